//! How counts are kept: by the hour, and as sums over the windows.

use diesel::prelude::*;
use uuid::Uuid;

use super::{Views, Window, hour};
use crate::app::App;
use crate::articles::listing::Resolved;
use crate::articles::publication::PublicationRow;
use crate::db::{Conn, Tx, Value, insert_once, try_lock};
use crate::error::Result;
use crate::literals::{Live, Zero};
use crate::schema::{meta, publications, view_flushes, view_hours, view_totals};
use crate::types::Id;

/// Hours of the windows that hours fall out of.
const WINDOWS: [(&str, i64); 3] = [("h24", 24), ("d7", 7 * 24), ("d30", 30 * 24)];
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
    let counted = views.take();
    flushing.waiting.extend(counted.chunks(BATCH).map(<[_]>::to_vec));
    while let Some(batch) = flushing.waiting.first().cloned() {
        let (instance, number) = (flushing.instance.clone(), flushing.number + 1);
        app.db
            .write(move |tx| write_batch(tx, &instance, number, &batch))
            .await?;
        flushing.number = number;
        flushing.waiting.remove(0);
    }
    Ok(())
}

fn write_batch(tx: &mut Tx<'_>, instance: &str, number: i64, batch: &[(Uuid, i64, i64)]) -> Result<()> {
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
    let this_hour = hour(tx.now);
    for (article, hour, n) in batch {
        let article = article.to_string();
        let in_window = |hours: i64| Value::Int(if *hour > this_hour - hours { *n } else { 0 });
        insert_once(
            tx.conn,
            "INSERT INTO view_hours (article_id, hour, n) VALUES ($1, $2, $3) \
             ON CONFLICT (article_id, hour) DO UPDATE SET n = view_hours.n + excluded.n",
            &[Value::Text(&article), Value::Int(*hour), Value::Int(*n)],
        )?;
        let [day, week, month] = WINDOWS.map(|(_, hours)| in_window(hours));
        insert_once(
            tx.conn,
            "INSERT INTO view_totals (article_id, h24, d7, d30, total) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (article_id) DO UPDATE SET h24 = view_totals.h24 + excluded.h24, \
             d7 = view_totals.d7 + excluded.d7, d30 = view_totals.d30 + excluded.d30, total = view_totals.total + excluded.total",
            &[Value::Text(&article), day, week, month, Value::Int(*n)],
        )?;
    }
    Ok(())
}

/// Up to which hour the sums have been brought.
const ROLLED: &str = "views_rolled";

/// Takes out of the sums what has fallen out of their windows since the last time; one program at a time does it, one
/// hour a call. True when there may be more to do.
pub fn roll(tx: &mut Tx<'_>) -> Result<bool> {
    if !try_lock(tx.conn, ROLLED)? {
        return Ok(false);
    }
    let now = hour(tx.now);
    let rolled: Option<String> = meta::table.find(ROLLED).select(meta::value).first(tx.conn).optional()?;
    let Some(rolled) = rolled.and_then(|text| text.parse::<i64>().ok()) else {
        set_rolled(tx.conn, now)?;
        return Ok(false);
    };
    if now <= rolled {
        return Ok(false);
    }
    // After a long stop nothing is left to fall out once every window has passed over the last hour that was counted.
    let longest = WINDOWS.map(|(_, hours)| hours).into_iter().max().unwrap_or(0);
    let next = rolled + 1;
    for (window, hours) in WINDOWS {
        fall_out(tx.conn, window, next - hours)?;
    }
    diesel::delete(view_hours::table.filter(view_hours::hour.lt(next - longest))).execute(tx.conn)?;
    diesel::delete(view_flushes::table.filter(view_flushes::at_ms.lt(tx.now.plus_seconds(-24 * 3600))))
        .execute(tx.conn)?;
    let behind = next < now;
    let left: Option<i64> = match behind {
        true => view_hours::table.select(view_hours::hour).first(tx.conn).optional()?,
        false => None,
    };
    let next = if behind && left.is_none() { now } else { next };
    set_rolled(tx.conn, next)?;
    Ok(next < now)
}

fn fall_out(conn: &mut Conn, window: &str, hour: i64) -> Result<()> {
    let statement = format!(
        "UPDATE view_totals SET {window} = {window} - \
         (SELECT n FROM view_hours WHERE view_hours.article_id = view_totals.article_id AND hour = $1) \
         WHERE article_id IN (SELECT article_id FROM view_hours WHERE hour = $2)"
    );
    insert_once(conn, &statement, &[Value::Int(hour), Value::Int(hour)])?;
    Ok(())
}

fn set_rolled(conn: &mut Conn, hour: i64) -> Result<()> {
    let text = hour.to_string();
    let statement =
        "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    insert_once(conn, statement, &[Value::Text(ROLLED), Value::Text(&text)])?;
    Ok(())
}

/// Most read stories that are looked through in the order of their views, before stories that pass the filters are
/// looked for from the other side.
const WALK: i64 = 2000;
/// Stories looked through at once.
const STEP: i64 = 200;

/// The most viewed live stories that pass the filters, with their views; ties by id, the newest first.
pub fn most_viewed(
    conn: &mut Conn,
    filters: &Resolved<'_>,
    window: Window,
    limit: usize,
) -> Result<Vec<(PublicationRow, i64)>> {
    let mut found = Vec::new();
    let mut seen = 0;
    while found.len() < limit && seen < WALK {
        let step = ranked(conn, window, seen, STEP)?;
        let ids: Vec<&Id> = step.iter().map(|(id, _)| id).collect();
        let rows: Vec<PublicationRow> = filters
            .rows()
            .filter(publications::article_id.eq_any(ids))
            .select(PublicationRow::as_select())
            .load(conn)?;
        let passing = step.iter().filter_map(|(id, n)| {
            let row = rows.iter().find(|row| row.article_id == *id)?;
            Some((row.clone(), *n))
        });
        found.extend(passing);
        seen += STEP;
        if (step.len() as i64) < STEP {
            found.truncate(limit);
            return Ok(found);
        }
    }
    if found.len() < limit {
        found = from_the_filters(conn, filters, window, limit)?;
    }
    found.truncate(limit);
    Ok(found)
}

fn ranked(conn: &mut Conn, window: Window, offset: i64, limit: i64) -> Result<Vec<(Id, i64)>> {
    let rows = view_totals::table.offset(offset).limit(limit).into_boxed();
    macro_rules! by {
        ($column:ident) => {
            rows.filter(view_totals::$column.gt(Zero))
                .order((view_totals::$column.desc(), view_totals::article_id.desc()))
                .select((view_totals::article_id, view_totals::$column))
                .load(conn)?
        };
    }
    Ok(match window {
        Window::Day => by!(h24),
        Window::Week => by!(d7),
        Window::Month => by!(d30),
        Window::All => by!(total),
    })
}

/// For filters that few stories pass: their views are looked up and sorted.
fn from_the_filters(
    conn: &mut Conn,
    filters: &Resolved<'_>,
    window: Window,
    limit: usize,
) -> Result<Vec<(PublicationRow, i64)>> {
    let mut joined = publications::table
        .inner_join(view_totals::table.on(view_totals::article_id.eq(publications::article_id)))
        .filter(publications::state.eq(Live))
        .limit(limit as i64)
        .into_boxed();
    if let Some(sections) = filters.sections() {
        joined = joined.filter(publications::section_id.eq_any(sections));
    }
    if let Some(languages) = filters.languages() {
        joined = joined.filter(publications::language.eq_any(languages));
    }
    macro_rules! by {
        ($column:ident) => {
            joined
                .filter(view_totals::$column.gt(Zero))
                .order((view_totals::$column.desc(), view_totals::article_id.desc()))
                .select((view_totals::article_id, view_totals::$column))
                .load::<(Id, i64)>(conn)?
        };
    }
    let ranked = match window {
        Window::Day => by!(h24),
        Window::Week => by!(d7),
        Window::Month => by!(d30),
        Window::All => by!(total),
    };
    let ids: Vec<&Id> = ranked.iter().map(|(id, _)| id).collect();
    let rows: Vec<PublicationRow> = publications::table
        .filter(publications::article_id.eq_any(ids))
        .select(PublicationRow::as_select())
        .load(conn)?;
    let found = ranked.iter().filter_map(|(id, n)| {
        let row = rows.iter().find(|row| row.article_id == *id)?;
        Some((row.clone(), *n))
    });
    Ok(found.collect())
}
