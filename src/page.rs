//! Lists: limits, opaque keyset cursors for every sort, and the envelope.

use actix_web::HttpRequest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::{Code, Problem, Result};
use crate::request::{FromParams, Params, hash};

/// Totals are told up to this and no further.
const TOTAL_CAP: i64 = 100_000;

/// Where a page starts: the sort key of its neighbour and that row's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Key {
    /// A number (times, positions).
    Int(i64),
    /// Text.
    Text(String),
}

impl Key {
    /// The number; a cursor of another kind was refused before.
    pub fn int(&self) -> i64 {
        if let Self::Int(number) = self { *number } else { 0 }
    }

    /// The text.
    pub fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }
}

/// Which part of the list is asked for.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many items a page has.
    #[param(minimum = 1, maximum = 100, default = 20, required = false, example = 20)]
    pub limit: usize,
    /// Opaque: `page.next_cursor` or `page.prev_cursor` of an answer to the same filters and sort.
    #[param(required = false, nullable = false, value_type = String)]
    pub cursor: Option<String>,
    /// Whether `page.total` is counted.
    #[param(required = false, default = false)]
    pub include_total: bool,
}

/// How many items an answer has: 1 to 100, 20 when nothing is said.
pub fn limit_of(params: &mut Params) -> Result<usize> {
    match params.one("limit")?.map(|text| text.parse()) {
        None => Ok(20),
        Some(Ok(limit @ 1..=100)) => Ok(limit),
        Some(_) => Err(crate::request::invalid("limit", "must be a whole number from 1 to 100")),
    }
}

impl FromParams for PageQuery {
    fn take(params: &mut Params) -> Result<Self> {
        let limit = limit_of(params)?;
        let cursor = params.one("cursor")?;
        Ok(Self {
            limit,
            cursor,
            include_total: params.flag("include_total")?.unwrap_or(false),
        })
    }
}

/// The start of a page and the way to walk.
#[derive(Debug, Clone)]
pub struct Start {
    /// The neighbour outside the page; none at the list's beginning.
    pub after: Option<(Key, String)>,
    /// Walks against the list's order, for the previous page.
    pub backwards: bool,
    /// Rows to fetch: one more than the page holds, to know whether there is more.
    pub fetch: i64,
    list: String,
    limit: usize,
}

#[derive(Serialize, Deserialize)]
struct Cursor {
    /// Fingerprint of the list (path, sort, filters) it belongs to.
    l: String,
    /// The neighbour's sort key.
    k: Key,
    /// The neighbour's id.
    i: String,
    /// Backwards.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    b: bool,
}

/// 400 for a cursor that names no place in this list.
pub fn wrong_cursor() -> Problem {
    Problem::parameter(
        Code::InvalidCursor,
        "cursor",
        "The cursor is not one of this list: use it with the same filters and sort, or start without it.",
    )
}

impl PageQuery {
    /// Reads the cursor for the list that `describe` names: the path, the sort and every filter. `sample` tells the
    /// kind of the sort key.
    pub fn start(&self, describe: &str, sample: &Key) -> Result<Start> {
        let list = hash(describe.as_bytes())[..12].to_owned();
        let mut start = Start {
            after: None,
            backwards: false,
            fetch: self.limit as i64 + 1,
            list,
            limit: self.limit,
        };
        if let Some(text) = &self.cursor {
            let refuse = wrong_cursor;
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refuse())?;
            let cursor: Cursor = serde_json::from_slice(&bytes).map_err(|_| refuse())?;
            let same_kind = matches!(
                (&cursor.k, sample),
                (Key::Int(_), Key::Int(_)) | (Key::Text(_), Key::Text(_))
            );
            let clean = !cursor.i.contains('\0') && !matches!(&cursor.k, Key::Text(text) if text.contains('\0'));
            if cursor.l != start.list || !same_kind || !clean {
                return Err(refuse());
            }
            start.after = Some((cursor.k, cursor.i));
            start.backwards = cursor.b;
        }
        Ok(start)
    }
}

impl Start {
    /// Turns fetched rows into a page. `key` gives a row's sort key and id.
    pub fn finish<R>(
        &self,
        mut rows: Vec<R>,
        total: Option<i64>,
        key: impl Fn(&R) -> (Key, String),
    ) -> (Vec<R>, PageInfo) {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        if self.backwards {
            rows.reverse();
        }
        let cursor = |row: Option<&R>, backwards: bool| {
            let (k, i) = key(row?);
            let bytes = serde_json::to_vec(&Cursor {
                l: self.list.clone(),
                k,
                i,
                b: backwards,
            })
            .ok()?;
            Some(URL_SAFE_NO_PAD.encode(bytes))
        };
        let (has_next, has_prev) = if self.backwards {
            (true, more)
        } else {
            (more, self.after.is_some())
        };
        let info = PageInfo {
            next_cursor: has_next.then(|| cursor(rows.last(), false)).flatten(),
            prev_cursor: has_prev.then(|| cursor(rows.first(), true)).flatten(),
            has_more: has_next && !rows.is_empty(),
            total: total.map(|total| total.min(TOTAL_CAP)),
        };
        (rows, info)
    }
}

/// Where this page stands in its list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PageInfo {
    /// `cursor` of the next page; null on the last.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
    /// `cursor` of the previous page; null on the first.
    #[schema(required = true)]
    pub prev_cursor: Option<String>,
    /// Whether there is a next page.
    pub has_more: bool,
    /// How many items the list has, told up to 100,000; null unless `include_total=true`.
    #[schema(required = true, minimum = 0)]
    pub total: Option<i64>,
}

impl PageInfo {
    /// Of a list that is one page.
    pub fn only() -> Self {
        Self {
            next_cursor: None,
            prev_cursor: None,
            has_more: false,
            total: None,
        }
    }

    /// The `Link` header (RFC 8288) with the neighbouring pages.
    pub fn link(&self, public_url: &str, req: &HttpRequest) -> Option<String> {
        self.link_at(public_url, req.path(), req.query_string())
    }

    /// The same for an address without its request.
    pub fn link_at(&self, public_url: &str, path: &str, query: &str) -> Option<String> {
        let link = |cursor: &Option<String>, rel: &str| {
            let cursor = cursor.as_deref()?;
            let kept = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "cursor");
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(kept)
                .append_pair("cursor", cursor)
                .finish();
            Some(format!("<{public_url}{path}?{query}>; rel=\"{rel}\""))
        };
        let links: Vec<String> = [link(&self.next_cursor, "next"), link(&self.prev_cursor, "prev")]
            .into_iter()
            .flatten()
            .collect();
        (!links.is_empty()).then(|| links.join(", "))
    }
}

/// Adds the keyset condition, the order and the limit to a boxed query: rows after the neighbour, in the order of one
/// column and then the id. The condition has the form `a <= t AND (a < t OR id < x)`, which both databases answer from
/// the index however deep the page is.
#[macro_export]
macro_rules! keyset {
    ($query:expr, $start:expr, $descending:expr, $column:expr, $id:expr, $value:ident) => {{
        use diesel::prelude::*;
        let start: &$crate::page::Start = $start;
        let mut query = $query;
        let falling = $descending != start.backwards;
        if let Some((key, id)) = &start.after {
            let value = key.$value();
            let (value, id) = (value.to_owned(), id.clone());
            query = if falling {
                query.filter($column.le(value.clone()).and($column.lt(value).or($id.lt(id))))
            } else {
                query.filter($column.ge(value.clone()).and($column.gt(value).or($id.gt(id))))
            };
        }
        query = if falling {
            query.order(($column.desc(), $id.desc()))
        } else {
            query.order(($column.asc(), $id.asc()))
        };
        query.limit(start.fetch)
    }};
}

/// Declares the envelope of a list as a named component.
#[macro_export]
macro_rules! page_type {
    ($(#[$doc:meta])+ $name:ident of $item:ty) => {
        $(#[$doc])+
        #[derive(serde::Serialize, utoipa::ToSchema)]
        pub struct $name {
            /// The items of this page.
            pub data: Vec<$item>,
            /// Where this page stands in its list.
            pub page: $crate::page::PageInfo,
        }
    };
}
