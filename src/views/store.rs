//! How counts are kept: by the hour, and as sums over the windows.

use std::collections::HashMap;

use diesel::prelude::*;
use uuid::Uuid;

use super::windows::{Sums, count};
use super::{Views, Window};
use crate::app::App;
use crate::articles::listing::Resolved;
use crate::articles::publication::PublicationRow;
use crate::db::{Conn, Tx, Value, clock, insert_once};
use crate::error::Result;
use crate::literals::{Live, Zero};
use crate::schema::{publications, view_totals};
use crate::types::Id;

/// Rows of one write, so that others are not kept waiting.
const BATCH: usize = 500;

/// What is being written: batches keep their number until they are known to be written.
pub struct Flushing {
    instance: String,
    number: i64,
    waiting: Vec<Vec<(Uuid, i64, i64)>>,
}

impl Default for Flushing {
    fn default() -> Self {
        Self {
            instance: Uuid::now_v7().to_string(),
            number: 0,
            waiting: Vec::new(),
        }
    }
}

/// Writes what was counted. What cannot be written now is kept and tried again with the next call.
pub async fn flush(app: &App, views: &Views) -> Result<()> {
    let mut flushing = views.flushing.lock().await;
    let hour = views.tending.hour(app.db.read(clock).await?);
    let counted: Vec<_> = views
        .take()
        .into_iter()
        .map(|(article, n)| (article, hour, n))
        .collect();
    flushing.waiting.extend(counted.chunks(BATCH).map(<[_]>::to_vec));
    while let Some(batch) = flushing.waiting.first().cloned() {
        let (instance, number) = (flushing.instance.clone(), flushing.number + 1);
        app.db
            .write(move |tx| write_batch(tx, &instance, number, hour, &batch))
            .await?;
        flushing.number = number;
        flushing.waiting.remove(0);
    }
    Ok(())
}

fn write_batch(tx: &mut Tx<'_>, instance: &str, number: i64, now: i64, batch: &[(Uuid, i64, i64)]) -> Result<()> {
    let fresh = insert_once(
        tx.conn,
        "INSERT INTO view_flushes (instance, flush_no, at_ms) VALUES ($1, $2, $3) ON CONFLICT (instance) \
         DO UPDATE SET flush_no = excluded.flush_no, at_ms = excluded.at_ms WHERE view_flushes.flush_no < excluded.flush_no",
        &[Value::Text(instance), Value::Int(number), Value::Int(tx.now.ms())],
    )?;
    if !fresh {
        // It was written before, and only its answer was lost.
        return Ok(());
    }
    let oldest = batch.iter().map(|(_, hour, _)| *hour).min().unwrap_or(now);
    let sums = Sums::for_counts(tx.conn, oldest, now)?;
    batch.iter().try_for_each(|counted| count(tx.conn, &sums, *counted))
}

/// Most viewed stories that are looked through in the order of their views.
const WALK: i64 = 2000;
/// Stories looked through at once.
const STEP: i64 = 200;
/// Newest stories of the sections (or languages) that are asked for, whose views are looked at when too few of the most
/// viewed pass.
const NEWEST: i64 = 2000;

/// A story and its views.
type Viewed = (Id, i64);

/// The most viewed live stories that pass the filters, with their views; ties by id, the newest first. They are looked for
/// among the most viewed of all and among the newest that may pass: what it costs does not grow with a section.
pub fn most_viewed(
    conn: &mut Conn,
    filters: &Resolved<'_>,
    window: Window,
    limit: usize,
) -> Result<Vec<(PublicationRow, i64)>> {
    let mut found = Vec::new();
    let (mut seen, mut after) = (0, None);
    while found.len() < limit && seen < WALK {
        let step = ranked(conn, window, after.as_ref())?;
        found.extend(passing(conn, filters, &step)?);
        seen += STEP;
        if (step.len() as i64) < STEP {
            found.truncate(limit);
            return Ok(found);
        }
        after = step.into_iter().next_back();
    }
    if found.len() < limit {
        let mut newest = Vec::new();
        for ids in newest_of(conn, filters)?.chunks(BATCH) {
            newest.extend(views_of(conn, window, ids)?);
        }
        newest.retain(|(id, _)| found.iter().all(|(row, _)| row.article_id != *id));
        for some in newest.chunks(BATCH) {
            found.extend(passing(conn, filters, some)?);
        }
        found.sort_by(|(one, n), (other, m)| (m, &other.article_id).cmp(&(n, &one.article_id)));
    }
    found.truncate(limit);
    Ok(found)
}

/// Those of some stories that pass, in their order.
fn passing(conn: &mut Conn, filters: &Resolved<'_>, some: &[Viewed]) -> Result<Vec<(PublicationRow, i64)>> {
    let ids: Vec<&Id> = some.iter().map(|(id, _)| id).collect();
    let rows: Vec<PublicationRow> = filters
        .rows()
        .filter(publications::article_id.eq_any(ids))
        .select(PublicationRow::as_select())
        .load(conn)?;
    let mut rows: HashMap<Id, PublicationRow> = rows.into_iter().map(|row| (row.article_id.clone(), row)).collect();
    let found = some.iter().filter_map(|(id, n)| Some((rows.remove(id)?, *n)));
    Ok(found.collect())
}

/// Picks the column of a window, in a query that ends with these calls.
macro_rules! by_window {
    ($window:expr, $column:ident => $query:expr) => {
        match $window {
            Window::Day => {
                use view_totals::h24 as $column;
                $query
            }
            Window::Week => {
                use view_totals::d7 as $column;
                $query
            }
            Window::Month => {
                use view_totals::d30 as $column;
                $query
            }
            Window::All => {
                use view_totals::total as $column;
                $query
            }
        }
    };
}

/// The next most viewed stories, live or not, after one of them.
fn ranked(conn: &mut Conn, window: Window, after: Option<&Viewed>) -> Result<Vec<Viewed>> {
    let mut rows = view_totals::table.limit(STEP).into_boxed();
    Ok(by_window!(window, column => {
        if let Some((id, n)) = after {
            let next = column.lt(n).or(view_totals::article_id.lt(id));
            rows = rows.filter(column.le(n).and(next));
        }
        rows.filter(column.gt(Zero))
            .order((column.desc(), view_totals::article_id.desc()))
            .select((view_totals::article_id, column))
            .load(conn)?
    }))
}

/// The views of these stories that have any.
fn views_of(conn: &mut Conn, window: Window, ids: &[Id]) -> Result<Vec<Viewed>> {
    let rows = view_totals::table.filter(view_totals::article_id.eq_any(ids));
    Ok(by_window!(window, column => rows
        .filter(column.gt(Zero))
        .select((view_totals::article_id, column))
        .load(conn)?))
}

/// The newest live stories of each section that is asked for; of each language when it is languages alone.
fn newest_of(conn: &mut Conn, filters: &Resolved<'_>) -> Result<Vec<Id>> {
    let newest = |limit: i64| {
        publications::table
            .filter(publications::state.eq(Live))
            .order((publications::published_ms.desc(), publications::article_id.desc()))
            .select(publications::article_id)
            .limit(limit)
            .into_boxed()
    };
    let each = |values: usize| NEWEST / values.max(1) as i64;
    let mut found: Vec<Id> = Vec::new();
    match (filters.sections(), filters.languages()) {
        (Some(sections), _) => {
            for section in sections {
                let rows = newest(each(sections.len())).filter(publications::section_id.eq(section));
                found.extend(rows.load::<Id>(conn)?);
            }
        }
        (None, Some(languages)) => {
            for language in languages {
                let rows = newest(each(languages.len())).filter(publications::language.eq(language));
                found.extend(rows.load::<Id>(conn)?);
            }
        }
        (None, None) => found = newest(NEWEST).load(conn)?,
    }
    Ok(found)
}
