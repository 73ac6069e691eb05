//! Other news: the newest of the same section, or what is most alike.

use std::collections::{HashMap, HashSet};

use actix_web::{HttpRequest, HttpResponse, get};
use diesel::prelude::*;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::compose::docs_of;
use super::delivery::ArticlePage;
use super::listing::summaries;
use super::publication::{Card, Found, PublicationRow, look_up};
use crate::app::{App, State};
use crate::cache::{Outcome, serve};
use crate::changes::{self, key};
use crate::conditional::Made;
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::literals::Live;
use crate::page::PageInfo;
use crate::request::{FromParams, Params, PathRef, Query};
use crate::schema::publications;
use crate::search::{self, Alternative, Head, Spelling, Wanted};
use crate::types::Id;

/// Stories that are looked at for their likeness: the newest that share something.
const COMPARED: i64 = 500;
/// Pairs of words that stories are looked up by.
const MOST_PAIRS: usize = 40;
/// What a shared tag counts, a pair of words shared with headline or lead, and one shared with the rest.
const TAG: i64 = 12;
const TITLE_PAIR: i64 = 6;
const LEAD_PAIR: i64 = 2;

/// What relates stories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RelatedBy {
    /// The section.
    Section,
    /// Tags and words.
    Topic,
}

/// Which other news.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RelatedQuery {
    /// `section`: the newest of the same section; `topic`: most alike.
    #[param(required = false)]
    by: RelatedBy,
    /// How many stories.
    #[param(minimum = 1, maximum = 100, default = 20, required = false, example = 5)]
    limit: i64,
}

impl FromParams for RelatedQuery {
    fn take(params: &mut Params) -> Result<Self> {
        let known = [("section", RelatedBy::Section), ("topic", RelatedBy::Topic)];
        let by = params.choice("by", &known)?.unwrap_or(RelatedBy::Section);
        let limit = match params.one("limit")?.map(|text| text.parse::<i64>()) {
            None => 20,
            Some(Ok(limit @ 1..=100)) => limit,
            Some(_) => return Err(crate::request::invalid("limit", "must be a whole number from 1 to 100")),
        };
        Ok(Self { by, limit })
    }
}

/// List other news.
///
/// The newest stories of the same section, or those most alike: they share tags and words, and the newer stand first
/// among equals; when few are alike, the newest follow. All are in the story's language; never the story itself. For a story
/// without a section, the newest of all sections. The list is one page: its cursors are null.
#[utoipa::path(
    tag = "articles",
    params(
        ("article" = String, Path, description = "Id or slug.", max_length = 150, example = "lu-rut-tren-song-cau"),
        RelatedQuery,
    ),
    responses(
        (status = 200, description = "Other stories.", body = ArticlePage),
        (status = 308, description = "The story has another slug now."),
        (status = 410, description = "It was public once and has been withdrawn."),
    )
)]
#[get("/articles/{article}/related")]
pub async fn list_related(
    app: State,
    article: PathRef,
    query: Result<Query<RelatedQuery>>,
    req: HttpRequest,
) -> Result<HttpResponse> {
    let state = app.clone();
    serve(&app, &req, move |conn| related(conn, &state, &article, &query)).await
}

fn related(conn: &mut Conn, app: &App, article: &PathRef, query: &Result<Query<RelatedQuery>>) -> Result<Outcome> {
    let row = match look_up(conn, article)? {
        Found::Here(row) => row,
        Found::Moved(slug) => return Ok(Outcome::Moved(format!("/delivery/v1/articles/{slug}/related"))),
    };
    let Query(query) = query.as_ref().map_err(Problem::copy)?;
    let rows = match query.by {
        RelatedBy::Section => newest(conn, &row, query.limit)?,
        RelatedBy::Topic => alike(conn, app, &row, query.limit)?,
    };
    let data = summaries(conn, app, rows, &[])?;
    let page = PageInfo {
        next_cursor: None,
        prev_cursor: None,
        has_more: false,
        total: None,
    };
    let mut keys = vec![
        key('a', &row.article_id),
        "articles".into(),
        "names".into(),
        "site".into(),
    ];
    keys.extend(row.section_id.iter().map(|id| key('S', id)));
    let newest = changes::newest(conn)?;
    let mut made = Made::json(&ArticlePage { data, page }, newest, keys, None)?;
    if query.by == RelatedBy::Topic {
        search::until_filled(&mut made);
    }
    Ok(Outcome::Here(made))
}

/// The newest others of the story's section, or of all when it has none, in its language: on a site with several languages
/// the section has the story's own translations, too.
fn newest(conn: &mut Conn, of: &PublicationRow, limit: i64) -> Result<Vec<PublicationRow>> {
    let others = publications::table
        .filter(publications::state.eq(Live))
        .filter(publications::language.eq(&of.language))
        .filter(publications::article_id.ne(&of.article_id))
        .order((publications::published_ms.desc(), publications::article_id.desc()))
        .limit(limit)
        .select(PublicationRow::as_select())
        .into_boxed();
    let others = match &of.section_id {
        Some(section) => others.filter(publications::section_id.eq(section)),
        None => others,
    };
    Ok(others.load(conn)?)
}

/// The others that are most alike, filled up with the newest of the language.
fn alike(conn: &mut Conn, app: &App, of: &PublicationRow, limit: i64) -> Result<Vec<PublicationRow>> {
    let card = of.card()?;
    let mut ids = most_alike(conn, app, of, &card)?;
    ids.truncate(usize::try_from(limit).unwrap_or(0));
    let mut rows = search::rows_of(conn, &ids)?;
    let missing = limit - rows.len() as i64;
    if missing > 0 {
        let known: HashSet<&Id> = ids.iter().collect();
        let of_language = PublicationRow {
            section_id: None,
            ..of.clone()
        };
        let more = newest(conn, &of_language, limit)?;
        let more = more.into_iter().filter(|row| !known.contains(&row.article_id));
        rows.extend(more.take(missing as usize));
    }
    Ok(rows)
}

fn most_alike(conn: &mut Conn, app: &App, of: &PublicationRow, card: &Card) -> Result<Vec<Id>> {
    let pairs = pairs(conn, of, card)?;
    let words = pairs.iter().map(|pair| Alternative::Words(pair.clone(), false));
    let tags = search::id_marks('t', &card.tag_ids).into_iter().map(Alternative::Mark);
    let mut wanted = Wanted(vec![words.chain(tags).collect()]);
    wanted.any_mark(vec![search::language_mark(&of.language)]);
    let hits = search::newest_hits(conn, &app.heads, &wanted, COMPARED)?;
    let ids: Vec<Id> = hits.iter().map(|hit| hit.article_id.clone()).collect();
    let rows = search::rows_of(conn, &ids)?;
    let rows: HashMap<&Id, &PublicationRow> = rows.iter().map(|row| (&row.article_id, row)).collect();
    let mut scored = Vec::new();
    for hit in &hits {
        let Some(row) = rows.get(&hit.article_id) else {
            continue;
        };
        if row.article_id != of.article_id {
            let shared = row
                .card()?
                .tag_ids
                .iter()
                .filter(|id| card.tag_ids.contains(id))
                .count() as i64;
            scored.push((
                shared * TAG + shared_pairs(hit, &pairs),
                hit.row_id,
                row.article_id.clone(),
            ));
        }
    }
    scored.sort_by_key(|(score, row_id, _)| std::cmp::Reverse((*score, *row_id)));
    Ok(scored.into_iter().map(|(_, _, id)| id).collect())
}

/// Words that stand together in headline and lead, and then in the body: one word alone says little about a topic.
fn pairs(conn: &mut Conn, of: &PublicationRow, card: &Card) -> Result<Vec<Vec<String>>> {
    let doc = docs_of(conn, std::slice::from_ref(&of.article_id))?.remove(&of.article_id);
    let body = match doc {
        Some(doc) => doc.body.read()?.to_text(),
        None => String::new(),
    };
    let mut pairs: Vec<Vec<String>> = Vec::new();
    for text in [card.title.as_str(), card.lead.as_deref().unwrap_or(""), &body] {
        let words = search::words(text);
        for pair in words.windows(2) {
            let pair: Vec<String> = pair.iter().map(|word| word.folded.clone()).collect();
            if pairs.len() < MOST_PAIRS && !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
    }
    Ok(pairs)
}

fn shared_pairs(hit: &Head, pairs: &[Vec<String>]) -> i64 {
    pairs
        .iter()
        .map(|pair| {
            let needle = format!(" {} ", pair.join(" "));
            let title = i64::from(hit.title(Spelling::Folded).contains(&needle)) * TITLE_PAIR;
            title + i64::from(hit.lead(Spelling::Folded).contains(&needle)) * LEAD_PAIR
        })
        .sum()
}
