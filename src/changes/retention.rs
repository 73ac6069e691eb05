//! Superseded changes are forgotten after a while; what a story, a name or the site is now stays told for ever, so that
//! reading from the beginning always rebuilds everything.

use diesel::prelude::*;

use super::{EPOCH, Recorded, after};
use crate::db::{self, Conn, Tx};
use crate::error::Result;
use crate::meta;
use crate::schema::changes;
use crate::types::Time;

/// For so long every change is kept, in seconds: whoever comes back within it misses no purge key.
const KEEP: i64 = 30 * 24 * 3600;

/// Goes on through the diary where it stopped the last time: what comes before a change of that age and is about the
/// same thing goes. Gives how many changes it looked at.
pub fn forget_superseded(tx: &mut Tx<'_>, piece: i64) -> Result<i64> {
    let swept = number(tx.conn, SWEPT)?;
    let old = tx.now.plus_seconds(-KEEP);
    let rows = after(tx.conn, swept, piece)?;
    let due = rows
        .get(..old_ones(rows.iter().map(|row| row.at), old, tx.now))
        .unwrap_or_default();
    let Some(last) = due.last() else { return Ok(0) };
    let mut floor = number(tx.conn, FLOOR)?;
    for row in due.iter().filter(|row| row.at < old) {
        if let Some(seq) = forget_before(tx.conn, row)? {
            floor = floor.max(seq);
        }
    }
    meta::set(tx.conn, FLOOR, &floor.to_string())?;
    meta::set(tx.conn, SWEPT, &last.seq.to_string())?;
    Ok(due.len() as i64)
}

/// How many rows, in the order in which they were written, are old: up to the last one that is. One that a clock ahead has
/// left stops nothing.
pub fn old_ones(times: impl Iterator<Item = Time>, old: Time, now: Time) -> usize {
    let ahead = now.plus_seconds(24 * 3600);
    let passed = times.take_while(|at| *at < old || *at > ahead);
    let last = passed.enumerate().filter(|(_, at)| *at < old).last();
    last.map_or(0, |(place, _)| place + 1)
}

/// The highest number that was removed; cursors below it have missed something.
const FLOOR: &str = "changes_floor";
/// The number up to which superseded changes have been removed.
const SWEPT: &str = "changes_swept";

/// Removes the older changes of what a change is about; gives the highest number that went.
fn forget_before(conn: &mut Conn, row: &Recorded) -> Result<Option<i64>> {
    let family = row.change.kind.split('.').next().unwrap_or_default();
    let older: Vec<i64> = changes::table
        .filter(changes::subject_id.eq(&row.change.subject_id))
        .filter(changes::seq.lt(row.seq))
        .filter(changes::kind.like(format!("{family}.%")))
        .select(changes::seq)
        .load(conn)?;
    diesel::delete(changes::table.filter(changes::seq.eq_any(&older))).execute(conn)?;
    Ok(older.into_iter().max())
}

fn number(conn: &mut Conn, name: &str) -> Result<i64> {
    Ok(meta::value(conn, name)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Gives the diary its epoch, once in the life of a database.
pub fn begin(tx: &mut Tx<'_>) -> Result<()> {
    meta::set_once(tx.conn, EPOCH, &new_epoch())
}

/// Gives the diary another epoch than `before`, unless it has one: of several instances that see another history, one does.
pub fn begin_anew(tx: &mut Tx<'_>, before: Option<&str>) -> Result<()> {
    db::lock(tx.conn, "epoch")?;
    match meta::value(tx.conn, EPOCH)? {
        Some(epoch) if before.is_some_and(|before| before != epoch) => Ok(()),
        _ => meta::set(tx.conn, EPOCH, &new_epoch()),
    }
}

fn new_epoch() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..12].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_a_clock_ahead_has_left_stops_nothing() {
        let day = 24 * 3600 * 1000;
        let (old, now) = (Time::from_ms(70 * day), Time::from_ms(100 * day));
        let count = |days: &[i64]| old_ones(days.iter().map(|at| Time::from_ms(at * day)), old, now);
        assert_eq!(count(&[60, 65, 90, 60]), 2, "up to the first that is young");
        assert_eq!(count(&[60, 9000, 65, 90]), 3);
        assert_eq!(count(&[60, 9000, 90]), 1, "what comes after it may be young");
        assert_eq!(count(&[9000, 9000]), 0);
        assert_eq!(count(&[]), 0);
    }
}
