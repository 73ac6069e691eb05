//! Whether the clock may be believed when something is to be deleted for its age.
//!
//! What is deleted does not come back when a clock is put right again. So the newest time that was ever believed is kept
//! in the database, and a time far ahead of it has to stand for three days before anything is deleted by it. Nothing can
//! tell a clock that jumped from a program that stood still for long: both wait.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::db::{self, Conn, Tx, Value, insert_once, try_lock};
use crate::error::{Problem, Result};
use crate::schedules::clock::ticks;
use crate::schema::{audit, meta};
use crate::types::Time;

const HOUR: i64 = 3600 * 1000;
const DAY: i64 = 24 * HOUR;
/// How long a time far ahead has to stand: longer than a weekend without anybody who looks.
const HOLD: i64 = 3 * DAY;
/// How far a program that stood still may be ahead of the time that is waiting to be believed, and wait on with it.
const STOP: i64 = 30 * DAY;
/// What is kept moves on by this much at a time.
const STEP: i64 = 10 * 60 * 1000;
/// Where it is kept.
const NAME: &str = "retention_clock";

/// What is kept, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// The newest time that was believed; while the clock is not, it goes on by the time that passes.
    high: i64,
    /// A time far from it that waits to be believed.
    claim: Option<Claim>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// The clock when it was looked at last.
    seen: i64,
    /// For how long it has stood.
    stood: i64,
}

/// What a process remembers of its last look.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// What was kept after it.
    kept: Kept,
    /// The believed time then, to the millisecond.
    line: i64,
    /// When it was, by a clock that nobody sets.
    ticks: i64,
    /// Whether this process has ever seen the clock near that time.
    confirmed: bool,
}

/// What a look comes to.
struct Judged {
    after: Kept,
    /// Whether things may be deleted by this clock.
    good: bool,
    confirmed: bool,
}

fn judge(kept: Kept, last: Option<&Look>, clock: i64, ticks: i64) -> Judged {
    let ran = last.map_or(0, |last| ticks - last.ticks);
    let line = match last {
        Some(last) if last.kept == kept => last.line + ran,
        // The first look of this process, or another instance knows better.
        _ => kept.high,
    };
    let believed = Judged {
        after: Kept {
            high: clock,
            claim: None,
        },
        good: true,
        confirmed: true,
    };
    let confirmed = last.is_some_and(|last| last.confirmed);
    // How long the program stood still, nothing tells: a night, and a little more.
    let near = if confirmed { HOUR } else { DAY };
    if (line - HOUR..=line.saturating_add(near)).contains(&clock) {
        return believed;
    }
    let latest = if last.is_some() { ran + HOUR } else { STOP };
    let goes_on = |claim: &Claim| (claim.seen - HOUR..=claim.seen.saturating_add(latest)).contains(&clock);
    let stood = match kept.claim.filter(goes_on) {
        // Only time that somebody was there to see counts.
        Some(claim) if clock - claim.seen <= HOUR => claim.stood + (clock - claim.seen).max(0),
        Some(claim) => claim.stood,
        None => 0,
    };
    if stood >= HOLD {
        return believed;
    }
    Judged {
        after: Kept {
            high: line,
            claim: Some(Claim { seen: clock, stood }),
        },
        // What is old by an earlier clock is old by the right one, too.
        good: clock < line,
        confirmed,
    }
}

/// Whether a look has something to keep: not each has, since an idle instance must not write.
fn is_news(before: Kept, after: Kept) -> bool {
    let moved = |before: i64, after: i64| (after - before).abs() >= STEP;
    match (before.claim, after.claim) {
        (None, None) => moved(before.high, after.high),
        (Some(before), Some(after)) => after.stood < before.stood || moved(before.seen, after.seen),
        _ => true,
    }
}

/// What this process remembers.
#[derive(Debug, Default)]
pub struct Watch(tokio::sync::Mutex<Option<Look>>);

/// The time by which things may be deleted for their age; none while the clock is not believed.
pub async fn believed(app: &App) -> Result<Option<Time>> {
    let seen = look(app).await?;
    // What the rows say was written by this machine's clock; on PostgreSQL another one is looked at.
    let apart = (Time::now().ms() - seen.clock.ms()).abs() > HOUR;
    Ok((seen.good && !apart).then_some(seen.clock))
}

/// Whether the clock is neither ahead of the time that was believed nor behind it.
pub async fn is_settled(app: &App) -> Result<bool> {
    Ok(look(app).await?.settled)
}

/// The clock, and what it is worth.
struct Seen {
    clock: Time,
    good: bool,
    settled: bool,
}

async fn look(app: &App) -> Result<Seen> {
    // One look after another.
    let mut last = app.retention.0.lock().await;
    let (clock, found) = app.db.read(|conn| Ok((db::clock(conn)?, kept(conn)?))).await?;
    let ticks = ticks();
    let before = match found {
        Some(kept) => kept,
        None => first(app, clock).await?,
    };
    let Judged { after, good, confirmed } = judge(before, last.as_ref(), clock.ms(), ticks);
    let news = found.is_none() || is_news(before, after);
    tell(before, after, clock, last.is_none());
    if news {
        app.db.write(move |tx| keep(tx, &after)).await?;
    }
    *last = Some(Look {
        kept: if news { after } else { before },
        line: after.high,
        ticks,
        confirmed: confirmed || last.as_ref().is_some_and(|last| last.confirmed),
    });
    Ok(Seen {
        clock,
        good,
        settled: after.claim.is_none(),
    })
}

/// Before anything was kept: the newest line of the audit trail tells when somebody was here last.
async fn first(app: &App, clock: Time) -> Result<Kept> {
    let newest: Option<i64> = app
        .db
        .read(|conn| Ok(audit::table.select(diesel::dsl::max(audit::at_ms)).first(conn)?))
        .await?;
    Ok(Kept {
        high: newest.map_or(clock.ms(), |newest| newest.min(clock.ms())),
        claim: None,
    })
}

/// Says what has changed, and at the start what goes on.
fn tell(before: Kept, after: Kept, clock: Time, start: bool) {
    let hours = (clock.ms() - after.high) / HOUR;
    match (before.claim, after.claim) {
        (Some(_), None) => tracing::warn!(%clock, "the clock is believed again"),
        (Some(old), Some(new)) if !start && new.stood >= old.stood => {}
        (_, Some(_)) if hours > 0 => tracing::warn!(
            %clock,
            hours,
            "the clock is far ahead: nothing is deleted for its age until it is put right or has stood for three days"
        ),
        (_, Some(_)) => tracing::warn!(%clock, hours, "the clock is behind the time before"),
        (None, None) => {}
    }
}

fn kept(conn: &mut Conn) -> Result<Option<Kept>> {
    let text: Option<String> = meta::table.find(NAME).select(meta::value).first(conn).optional()?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Whoever is second at the same moment leaves it to the first: both saw the same clock.
fn keep(tx: &mut Tx<'_>, kept: &Kept) -> Result<()> {
    if !try_lock(tx.conn, NAME)? {
        return Ok(());
    }
    let statement =
        "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    let text = serde_json::to_string(kept).map_err(Problem::internal)?;
    insert_once(tx.conn, statement, &[Value::Text(NAME), Value::Text(&text)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: i64 = 365 * DAY;
    const START: i64 = 1_795_000_000_000;
    const LOOK: i64 = 60 * 1000;

    /// A program that looks every minute at a clock which is this much off, and may stop and start.
    struct Life {
        kept: Kept,
        time: i64,
        last: Option<Look>,
    }

    impl Life {
        fn new() -> Self {
            let kept = Kept {
                high: START,
                claim: None,
            };
            Self {
                kept,
                time: START,
                last: None,
            }
        }

        /// Runs for so long; whether the clock was believed at every look, and at any.
        fn run(&mut self, long: i64, off: i64) -> (bool, bool) {
            let (mut all, mut any) = (true, false);
            let end = self.time + long;
            while self.time < end {
                self.time += LOOK;
                let judged = judge(self.kept, self.last.as_ref(), self.time + off, self.time);
                if is_news(self.kept, judged.after) {
                    self.kept = judged.after;
                }
                self.last = Some(Look {
                    kept: self.kept,
                    line: judged.after.high,
                    ticks: self.time,
                    confirmed: judged.confirmed || self.last.is_some_and(|last| last.confirmed),
                });
                (all, any) = (all && judged.good, any || judged.good);
            }
            (all, any)
        }

        fn stop(&mut self, long: i64) {
            self.time += long;
            self.last = None;
        }
    }

    const ALWAYS: (bool, bool) = (true, true);
    const NEVER: (bool, bool) = (false, false);

    #[test]
    fn a_clock_that_runs_is_believed_also_after_a_night() {
        let mut life = Life::new();
        assert_eq!(life.run(2 * DAY, 0), ALWAYS);
        life.stop(20 * HOUR);
        assert_eq!(life.run(DAY, 0), ALWAYS);
    }

    #[test]
    fn nothing_is_deleted_by_a_clock_that_jumped_ahead_and_is_put_right() {
        for jump in [3 * HOUR, 2 * DAY, YEAR, 12 * YEAR] {
            let mut life = Life::new();
            life.run(DAY, 0);
            assert_eq!(life.run(2 * DAY, jump), NEVER, "{jump}");
            assert_eq!(life.run(DAY, 0), ALWAYS, "{jump}");
            assert_eq!(life.run(2 * DAY, jump), NEVER, "and once more: {jump}");
        }
    }

    #[test]
    fn nor_by_one_that_was_wrong_when_the_program_started() {
        let mut life = Life::new();
        life.run(HOUR, 0);
        life.stop(HOUR);
        assert_eq!(life.run(DAY, YEAR), NEVER);
        life.stop(LOOK);
        assert_eq!(life.run(DAY, YEAR), NEVER);
        life.stop(LOOK);
        assert_eq!(life.run(DAY, 0), ALWAYS);
    }

    #[test]
    fn jumps_one_after_another_are_each_waited_out() {
        let mut life = Life::new();
        for n in 1..10 {
            assert_eq!(life.run(2 * DAY, n * YEAR), NEVER);
        }
    }

    #[test]
    fn a_clock_that_was_stepped_back_deletes_nothing_more_and_the_way_home_is_known() {
        let mut life = Life::new();
        life.run(DAY, 0);
        assert_eq!(life.run(DAY, -YEAR), ALWAYS);
        assert_eq!(life.run(DAY, 0), ALWAYS);
    }

    #[test]
    fn a_wrong_time_that_was_believed_is_forgotten_once_the_right_one_has_stood() {
        let mut life = Life::new();
        life.run(4 * DAY, YEAR);
        assert_eq!(life.run(DAY, YEAR), ALWAYS);
        assert_eq!(life.run(4 * DAY, 0), ALWAYS);
        assert_eq!(life.run(DAY, YEAR), NEVER, "it is far ahead again");
    }

    #[test]
    fn a_clock_that_is_put_right_after_the_start_was_right_all_along() {
        let mut life = Life::new();
        life.run(DAY, 0);
        life.stop(10 * HOUR);
        assert_eq!(life.run(HOUR, 12 * YEAR), NEVER);
        assert_eq!(life.run(HOUR, 0), ALWAYS);
    }

    #[test]
    fn a_time_that_stands_is_believed_in_the_end() {
        let mut life = Life::new();
        life.run(DAY, 0);
        assert_eq!(life.run(HOLD - HOUR, YEAR), NEVER);
        assert_eq!(life.run(2 * HOUR, YEAR), (false, true));
        assert_eq!(life.run(DAY, YEAR), ALWAYS);
    }

    #[test]
    fn after_a_long_stop_it_is_waited_too_and_days_off_do_not_begin_it_anew() {
        let mut life = Life::new();
        life.run(DAY, 0);
        life.stop(9 * DAY);
        for _ in 0..5 {
            assert_eq!(life.run(12 * HOUR, 0), NEVER);
            life.stop(2 * DAY);
        }
        assert_eq!(life.run(13 * HOUR, 0), (false, true));
    }
}
