//! The sums over the windows: hours fall out of them as time goes on, and come back when a clock that was wrong is put
//! right.
//!
//! The sums are those of one hour, which is kept beside them; each step takes them to another one in pieces, and what is
//! half-way is kept too, so that a stop in between does nothing twice. The hours themselves outlive the longest window,
//! and go slowly.

use std::sync::Mutex;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{HOUR, hour, locked};
use crate::app::App;
use crate::db::{Conn, Tx, Value, clock, insert_once, lock, run_text, try_lock};
use crate::error::{Problem, Result};
use crate::meta;
use crate::retention;
use crate::schedules::clock::{Steady, ticks};
use crate::schema::{view_flushes, view_hours, view_totals};
use crate::types::Time;

/// The sums that hours fall out of, and their hours.
pub const WINDOWS: [(&str, i64); 3] = [("h24", 24), ("d7", 7 * 24), ("d30", 30 * 24)];
/// Hours that are kept: ten days more than the longest window.
const KEPT: i64 = 40 * 24;
/// Kept hours that go at once. With a clock that is years ahead it takes ten hours until one goes that will be missed.
const GO_AT_ONCE: i64 = 24;
/// How far a clock may be behind the sums before they are taken back to it, in hours: small steps heal by themselves.
const BEHIND: i64 = 2;
/// Stories of one write, so that others are not kept waiting.
const PIECE: i64 = 500;

/// The hour that the sums are those of; also the lock of whoever changes it.
const ROLLED: &str = "views_rolled";
/// The step that is half-way.
const STEP: &str = "views_step";

/// A steady clock, and when old hours last went.
#[derive(Default)]
pub struct Tending(Mutex<(Option<Steady>, Option<i64>)>);

impl Tending {
    /// The hour to count for: a clock that jumps ahead is not believed at once.
    pub fn hour(&self, clock: Time) -> i64 {
        let ticks = ticks();
        let steady = &mut locked(&self.0).0;
        hour(
            steady
                .get_or_insert_with(|| Steady::new(clock, ticks))
                .now(clock, ticks),
        )
    }

    /// True once an hour, by a clock that nobody sets.
    fn is_hour_over(&self) -> bool {
        let (ticks, last) = (ticks(), &mut locked(&self.0).1);
        let over = last.is_none_or(|last| ticks - last >= HOUR);
        if over {
            *last = Some(ticks);
        }
        over
    }
}

/// Brings the sums to this hour, and lets go what no window will ask for; one program at a time does it.
pub async fn tend(app: &App) -> Result<()> {
    let now = app.views.tending.hour(app.db.read(clock).await?);
    // A clock that is behind for a while must move no hours: only one that was ahead is put right.
    let settled = retention::clock::is_settled(app).await?;
    while app.db.write(move |tx| roll(tx, now, settled)).await? {}
    if app.views.tending.is_hour_over() && retention::clock::believed(app).await?.is_some() {
        let until = app.db.read(move |conn| going(conn, now)).await?;
        while app.db.write(move |tx| forget(tx, until)).await? {}
    }
    Ok(())
}

/// A step of the sums, and the story up to which it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    /// On to an hour, one window after the other.
    On { hour: i64, window: usize, article: String },
    /// Back to an hour that has been before.
    Back { hour: i64, article: String },
}

/// What the sums are those of.
pub struct Sums {
    hour: i64,
    step: Option<Step>,
}

impl Sums {
    /// Reads it; none before the first roll.
    fn load(conn: &mut Conn) -> Result<Option<Self>> {
        let Some(hour) = meta::value(conn, ROLLED)?.and_then(|text| text.parse().ok()) else {
            return Ok(None);
        };
        let step = meta::value(conn, STEP)?.filter(|text| !text.is_empty());
        let step = step.map(|text| serde_json::from_str(&text)).transpose();
        Ok(Some(Self {
            hour,
            step: step.map_err(Problem::internal)?,
        }))
    }

    /// The same for who writes counts. Counts of hours that may be falling out just now wait for that.
    pub fn for_counts(conn: &mut Conn, oldest: i64, now: i64) -> Result<Self> {
        if oldest < now - WINDOWS[0].1 + BEHIND {
            lock(conn, ROLLED)?;
        }
        Ok(Self::load(conn)?.unwrap_or(Self { hour: now, step: None }))
    }

    /// Whether the sum over a window has this hour of a story in it.
    pub fn has(&self, window: usize, hour: i64, article: &str) -> bool {
        let hours = WINDOWS[window].1;
        let at = match &self.step {
            Some(Step::On {
                hour,
                window: now,
                article: done,
            }) if window < *now || (window == *now && article <= done.as_str()) => *hour,
            Some(Step::Back { hour, .. }) => *hour,
            _ => self.hour,
        };
        hour > at - hours
    }

    fn save(conn: &mut Conn, hour: i64, step: Option<&Step>) -> Result<()> {
        let step = step.map(serde_json::to_string).transpose().map_err(Problem::internal)?;
        meta::set(conn, ROLLED, &hour.to_string())?;
        meta::set(conn, STEP, &step.unwrap_or_default())
    }
}

/// Takes the sums a piece nearer to an hour, back only when that hour is settled. True when there may be more to do.
fn roll(tx: &mut Tx<'_>, now: i64, settled: bool) -> Result<bool> {
    if !try_lock(tx.conn, ROLLED)? {
        return Ok(false);
    }
    let Some(Sums { hour, step }) = Sums::load(tx.conn)? else {
        Sums::save(tx.conn, now, None)?;
        return Ok(false);
    };
    match step {
        Some(Step::On {
            hour: to,
            window,
            article,
        }) => on(tx.conn, hour, to, window, &article)?,
        Some(Step::Back { hour: to, article }) => back(tx.conn, hour, to, &article)?,
        None if now > hour => {
            let to = next(tx.conn, hour)?.map_or(now, |next| next.min(now));
            on(tx.conn, hour, to, 0, "")?;
        }
        None if settled && now < hour - BEHIND => {
            tracing::warn!(
                hours = hour - now,
                "the clock was ahead: the windows of views are taken back to it"
            );
            back(tx.conn, hour, now, "")?;
        }
        None => return Ok(false),
    }
    Ok(true)
}

/// The next hour at which anything falls out of a window: after a long stop many hours pass without.
fn next(conn: &mut Conn, hour: i64) -> Result<Option<i64>> {
    let mut next = None;
    for (_, hours) in WINDOWS {
        let oldest: Option<i64> = view_hours::table
            .filter(view_hours::hour.gt(hour - hours))
            .order(view_hours::hour)
            .select(view_hours::hour)
            .first(conn)
            .optional()?;
        let falls = oldest.map(|oldest| oldest + hours);
        next = next.into_iter().chain(falls).min();
    }
    Ok(next)
}

/// Takes out of one window what falls out between two hours, of the next stories.
fn on(conn: &mut Conn, from: i64, to: i64, window: usize, after: &str) -> Result<()> {
    let Some((column, hours)) = WINDOWS.get(window) else {
        return Sums::save(conn, to, None);
    };
    let (first, last) = (from - hours, to - hours);
    let stories: Vec<String> = view_hours::table
        .filter(view_hours::hour.gt(first).and(view_hours::hour.le(last)))
        .filter(view_hours::article_id.gt(after))
        .select(view_hours::article_id)
        .distinct()
        .order(view_hours::article_id)
        .limit(PIECE)
        .load(conn)?;
    let Some(end) = stories.last() else {
        let step = Step::On {
            hour: to,
            window: window + 1,
            article: String::new(),
        };
        return Sums::save(conn, from, Some(&step));
    };
    let statement = format!(
        "UPDATE view_totals SET {column} = {column} - (SELECT SUM(n) FROM view_hours \
         WHERE view_hours.article_id = view_totals.article_id AND hour > $1 AND hour <= $2) \
         WHERE article_id IN (SELECT article_id FROM view_hours WHERE hour > $3 AND hour <= $4 \
         AND article_id > $5 AND article_id <= $6)"
    );
    let (from_hour, to_hour) = (Value::Int(first), Value::Int(last));
    let span = [
        from_hour,
        to_hour,
        from_hour,
        to_hour,
        Value::Text(after),
        Value::Text(end),
    ];
    run_text(conn, &statement, &span)?;
    let step = Step::On {
        hour: to,
        window,
        article: end.clone(),
    };
    Sums::save(conn, from, Some(&step))
}

/// Sums up anew, as of an hour that has been before, for the next stories. What was counted in hours that have not come
/// yet is put into that one first.
fn back(conn: &mut Conn, from: i64, to: i64, after: &str) -> Result<()> {
    let step = |article: &str| Step::Back {
        hour: to,
        article: article.to_owned(),
    };
    let early: Vec<(String, i64, i64)> = view_hours::table
        .filter(view_hours::hour.gt(to))
        .order((view_hours::hour, view_hours::article_id))
        .limit(PIECE)
        .load(conn)?;
    if !early.is_empty() {
        for (article, hour, n) in early {
            diesel::delete(view_hours::table.find((&article, hour))).execute(conn)?;
            add(conn, &article, to, n)?;
        }
        return Sums::save(conn, from, Some(&step(after)));
    }
    let stories: Vec<String> = view_totals::table
        .filter(view_totals::article_id.gt(after))
        .order(view_totals::article_id)
        .select(view_totals::article_id)
        .limit(PIECE)
        .load(conn)?;
    let Some(end) = stories.last() else {
        return Sums::save(conn, to, None);
    };
    let sums = WINDOWS.map(|(column, hours)| {
        format!(
            "{column} = COALESCE((SELECT SUM(n) FROM view_hours \
             WHERE view_hours.article_id = view_totals.article_id AND hour > {}), 0)",
            to - hours
        )
    });
    let statement = format!(
        "UPDATE view_totals SET {} WHERE article_id > $1 AND article_id <= $2",
        sums.join(", ")
    );
    run_text(conn, &statement, &[Value::Text(after), Value::Text(end)])?;
    Sums::save(conn, from, Some(&step(end)))
}

/// Adds views of a story to an hour.
pub fn add(conn: &mut Conn, article: &str, hour: i64, n: i64) -> Result<()> {
    insert_once(
        conn,
        "INSERT INTO view_hours (article_id, hour, n) VALUES ($1, $2, $3) \
         ON CONFLICT (article_id, hour) DO UPDATE SET n = view_hours.n + excluded.n",
        &[Value::Text(article), Value::Int(hour), Value::Int(n)],
    )?;
    Ok(())
}

/// The hour before which kept hours go now.
fn going(conn: &mut Conn, now: i64) -> Result<i64> {
    let oldest = view_hours::table.order(view_hours::hour).select(view_hours::hour);
    let oldest: Option<i64> = oldest.first(conn).optional()?;
    let ends = now - KEPT;
    Ok(oldest.map_or(ends, |oldest| ends.min(oldest + GO_AT_ONCE)))
}

/// Removes a piece of the oldest hour before another. True when there may be more.
fn forget(tx: &mut Tx<'_>, until: i64) -> Result<bool> {
    // Programs that have been silent for a day have ended.
    diesel::delete(view_flushes::table.filter(view_flushes::at_ms.lt(tx.now.plus_seconds(-24 * 3600))))
        .execute(tx.conn)?;
    let old: Vec<(i64, String)> = view_hours::table
        .filter(view_hours::hour.lt(until))
        .order((view_hours::hour, view_hours::article_id))
        .select((view_hours::hour, view_hours::article_id))
        .limit(PIECE)
        .load(tx.conn)?;
    let Some((hour, _)) = old.first() else { return Ok(false) };
    let stories: Vec<&String> = old
        .iter()
        .filter(|(other, _)| other == hour)
        .map(|(_, id)| id)
        .collect();
    diesel::delete(
        view_hours::table
            .filter(view_hours::hour.eq(hour))
            .filter(view_hours::article_id.eq_any(stories)),
    )
    .execute(tx.conn)?;
    Ok(true)
}

/// Counts of one batch, added to the sums that have their hour.
pub fn count(conn: &mut Conn, sums: &Sums, (article, hour, n): (Uuid, i64, i64)) -> Result<()> {
    let article = article.to_string();
    add(conn, &article, hour, n)?;
    let [day, week, month] = [0, 1, 2].map(|window| Value::Int(if sums.has(window, hour, &article) { n } else { 0 }));
    insert_once(
        conn,
        "INSERT INTO view_totals (article_id, h24, d7, d30, total) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (article_id) DO UPDATE SET h24 = view_totals.h24 + excluded.h24, \
         d7 = view_totals.d7 + excluded.d7, d30 = view_totals.d30 + excluded.d30, total = view_totals.total + excluded.total",
        &[Value::Text(&article), day, week, month, Value::Int(n)],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_in_the_sums_that_have_its_hour() {
        let sums = |step| Sums { hour: 1000, step };
        let at = |sums: &Sums, hour| [0, 1, 2].map(|window| sums.has(window, hour, "b"));
        assert_eq!(at(&sums(None), 1000 - 23), [true; 3]);
        assert_eq!(at(&sums(None), 1000 - 24), [false, true, true]);
        let on = |window, article: &str| {
            sums(Some(Step::On {
                hour: 1001,
                window,
                article: article.into(),
            }))
        };
        assert_eq!(at(&on(0, "a"), 1001 - 24), [true; 3], "not yet");
        assert_eq!(at(&on(0, "b"), 1001 - 24), [false, true, true], "it has fallen out");
        assert_eq!(at(&on(1, ""), 1001 - 24), [false, true, true]);
        assert_eq!(at(&on(1, "b"), 1001 - 7 * 24), [false, false, true]);
        let back = sums(Some(Step::Back {
            hour: 900,
            article: String::new(),
        }));
        assert_eq!(at(&back, 900 - 23), [true; 3]);
        assert_eq!(at(&back, 900 - 24), [false, true, true]);
    }
}
