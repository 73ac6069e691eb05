//! Messages written out: CSV for spreadsheets, NDJSON for programs, JSON for the person they are from. Pieces of the
//! table are read one after the other, so that a long export needs neither much memory nor a long transaction.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::Feedback;
use super::store::{self, Filter};
use crate::app::State;
use crate::error::{Problem, Result};
use crate::page::{Key, PageQuery};
use crate::types::Time;

/// Messages that one piece has.
const PIECE: usize = 200;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180 with a header line.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// One JSON object with all of it under `data`.
    Json,
}

impl Format {
    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
            Self::Json => "application/json",
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::Csv => "feedback.csv",
            Self::Ndjson => "feedback.ndjson",
            Self::Json => "feedback.json",
        }
    }
}

/// The way through the list: by time and id, so that each message is met once however many come meanwhile.
struct Walk {
    filter: Arc<Filter>,
    newest_first: bool,
    format: Format,
    after: Option<(Key, String)>,
    first: bool,
    done: bool,
}

/// Answers with everything that passes the filter. What cannot be read is refused before the first byte; after that a
/// failure breaks the answer off, so that nobody takes half of it for the whole.
pub async fn answer(app: State, filter: Filter, newest_first: bool, format: Format) -> Result<HttpResponse> {
    let mut walk = Walk {
        filter: Arc::new(filter),
        newest_first,
        format,
        after: None,
        first: true,
        done: false,
    };
    let first = walk.next(&app).await?;
    let rest = stream::try_unfold((app, walk), |(app, mut walk)| async move {
        if walk.done {
            return Ok::<_, Problem>(None);
        }
        match walk.next(&app).await {
            Ok(bytes) => Ok(Some((bytes, (app, walk)))),
            Err(problem) => {
                tracing::error!(cause = %problem, "an export broke off");
                Err(problem)
            }
        }
    });
    let body = stream::once(std::future::ready(Ok(first))).chain(rest);
    let attachment = format!("attachment; filename=\"{}\"", format.file_name());
    Ok(HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header((header::CONTENT_DISPOSITION, attachment))
        .streaming(body))
}

impl Walk {
    async fn next(&mut self, app: &State) -> Result<Bytes> {
        let everything = PageQuery {
            limit: PIECE,
            ..PageQuery::default()
        };
        let mut start = everything.start("export", &Key::Int(0))?;
        start.fetch = PIECE as i64;
        start.after = self.after.take();
        let (filter, newest_first) = (Arc::clone(&self.filter), self.newest_first);
        let items = app
            .db
            .read(move |conn| {
                let rows = store::load(conn, &filter, newest_first, &start)?;
                store::with_names(conn, rows)
            })
            .await?;
        self.done = items.len() < PIECE;
        self.after = items
            .last()
            .map(|item| (Key::Int(item.created_at.ms()), item.id.to_string()));
        let first = std::mem::replace(&mut self.first, false);
        match self.format {
            Format::Csv => csv_piece(&items, first),
            Format::Ndjson => ndjson_piece(&items),
            Format::Json => json_piece(&items, first, self.done),
        }
        .map(Bytes::from)
    }
}

fn ndjson_piece(items: &[Feedback]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for item in items {
        serde_json::to_writer(&mut text, item).map_err(Problem::internal)?;
        text.push(b'\n');
    }
    Ok(text)
}

fn json_piece(items: &[Feedback], first: bool, last: bool) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    if first {
        text.extend_from_slice(b"{\"data\":[");
    }
    for (number, item) in items.iter().enumerate() {
        if number > 0 || !first {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, item).map_err(Problem::internal)?;
    }
    if last {
        text.extend_from_slice(b"]}");
    }
    Ok(text)
}

const COLUMNS: [&str; 21] = [
    "id",
    "reference",
    "article_id",
    "article_title",
    "status",
    "visible",
    "message",
    "sender_name",
    "sender_email",
    "sender_phone",
    "sender_address",
    "consent_version",
    "consented_at",
    "may_publish",
    "internal_note",
    "reply",
    "replied_at",
    "replied_by",
    "created_at",
    "updated_at",
    "version",
];

fn csv_piece(items: &[Feedback], first: bool) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    if first {
        writer.write_record(COLUMNS).map_err(Problem::internal)?;
    }
    for item in items {
        writer
            .write_record(cells(item).iter().map(|text| defused(text)))
            .map_err(Problem::internal)?;
    }
    writer.into_inner().map_err(Problem::internal)
}

fn cells(item: &Feedback) -> [String; COLUMNS.len()] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let time = |value: &Option<Time>| value.map_or(String::new(), |time| time.to_string());
    [
        item.id.to_string(),
        item.reference.clone(),
        item.article_id.to_string(),
        item.article
            .as_ref()
            .map_or(String::new(), |article| article.title.clone()),
        item.status.as_str().to_owned(),
        item.visible.to_string(),
        item.message.clone(),
        item.sender.name.clone(),
        text(&item.sender.email),
        text(&item.sender.phone),
        text(&item.sender.address),
        item.consent_version.to_string(),
        item.consented_at.to_string(),
        item.may_publish.to_string(),
        text(&item.internal_note),
        text(&item.reply),
        time(&item.replied_at),
        item.replied_by
            .as_ref()
            .map_or(String::new(), |person| person.name.clone()),
        item.created_at.to_string(),
        item.updated_at.to_string(),
        item.version.to_string(),
    ]
}

/// A cell that no spreadsheet takes for a formula.
fn defused(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_defused() {
        for formula in ["=1+1", "+84 912", "-1", "@SUM(A1)", "\t=1"] {
            assert_eq!(defused(formula), format!("'{formula}"));
        }
        assert_eq!(defused("an@example.vn"), "an@example.vn");
    }

    #[test]
    fn empty_exports_are_whole() {
        assert_eq!(json_piece(&[], true, true).expect("json"), b"{\"data\":[]}");
        assert!(csv_piece(&[], true).expect("csv").starts_with(b"id,reference,"));
        assert!(ndjson_piece(&[]).expect("ndjson").is_empty());
    }
}
