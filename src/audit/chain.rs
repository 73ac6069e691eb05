//! The chain: every audit line gets a number and a hash over its stored bytes and the hash before it, so that a line
//! which is changed, added or removed later shows.
//!
//! Lines are written without, since numbering them in each transaction would make every write of the newsroom wait for
//! one row. A job seals them within a second, one instance at a time. What retention removes leaves an anchor: the
//! number and hash of the last line that is gone.

use std::time::Duration;

use diesel::prelude::*;
use sha2::{Digest, Sha256};

use crate::app::State;
use crate::changes::retention::old_ones;
use crate::db::{Conn, Fixed, Tx, Value, try_lock};
use crate::error::{Problem, Result};
use crate::schema::{audit, audit_anchors, counters};
use crate::types::Time;

/// How often the job looks for lines.
const EVERY: Duration = Duration::from_millis(400);
/// Lines that one write seals, so that others are not kept waiting.
const PIECE: i64 = 200;
/// Lines that are checked at a time.
const CHECKED: i64 = 1000;
/// Faults that are told one by one.
const TOLD: usize = 20;

/// A line with everything that is kept of it.
#[derive(Clone, Queryable)]
struct Line {
    id: String,
    at_ms: i64,
    actor_type: String,
    actor_id: Option<String>,
    actor_name: String,
    action: String,
    target_type: String,
    target_id: String,
    request_id: String,
    data: String,
    address: String,
    chain_no: Option<i64>,
    hash: Option<String>,
}

impl Line {
    /// The hash of this line at a place in the chain. Each part goes in with its length, so that no two lines read
    /// alike.
    fn seal(&self, number: i64, previous: &str) -> String {
        let (number, at) = (number.to_string(), self.at_ms.to_string());
        let parts = [
            Some(previous),
            Some(&number),
            Some(&self.id),
            Some(&at),
            Some(&self.actor_type),
            self.actor_id.as_deref(),
            Some(&self.actor_name),
            Some(&self.action),
            Some(&self.target_type),
            Some(&self.target_id),
            Some(&self.request_id),
            Some(&self.address),
            Some(&self.data),
        ];
        let mut hasher = Sha256::new();
        for part in parts {
            match part {
                Some(text) => {
                    hasher.update((text.len() as u64).to_be_bytes());
                    hasher.update(text.as_bytes());
                }
                None => hasher.update(u64::MAX.to_be_bytes()),
            }
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn told(&self) -> String {
        format!("{} ({} {})", self.id, self.action, Time::from_ms(self.at_ms))
    }
}

/// Seals lines for as long as the program runs.
pub async fn run(app: State) {
    let mut failing = false;
    loop {
        match seal_all(&app).await {
            Ok(()) => failing = false,
            Err(problem) if !failing => {
                failing = true;
                tracing::error!(cause = %problem, "audit lines cannot be sealed; it is tried again");
            }
            Err(_) => {}
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn seal_all(app: &State) -> Result<()> {
    // An idle instance must not write.
    while app.db.read(|conn| Ok(waiting(conn)? > 0)).await? {
        if app.db.write(seal).await? < PIECE {
            break;
        }
    }
    Ok(())
}

fn waiting(conn: &mut Conn) -> Result<i64> {
    Ok(audit::table
        .filter(audit::chain_no.is_null())
        .count()
        .get_result(conn)?)
}

/// Seals the next lines; how many they were. None while another instance does it.
fn seal(tx: &mut Tx<'_>) -> Result<i64> {
    if !try_lock(tx.conn, "audit chain")? {
        return Ok(0);
    }
    let last: i64 = counters::table.find("audit_chain").select(counters::n).first(tx.conn)?;
    let mut previous = hash_of(tx.conn, last)?;
    let lines: Vec<Line> = audit::table
        .filter(audit::chain_no.is_null())
        .order((audit::at_ms, audit::id))
        .limit(PIECE)
        .load(tx.conn)?;
    let mut number = last;
    for line in &lines {
        number += 1;
        previous = line.seal(number, &previous);
        let values = [Value::Int(number), Value::Text(&previous), Value::Text(&line.id)];
        Fixed::with("UPDATE audit SET chain_no = $1, hash = $2 WHERE id = $3", &values).run(tx.conn)?;
    }
    diesel::update(counters::table.find("audit_chain"))
        .set(counters::n.eq(number))
        .execute(tx.conn)?;
    Ok(lines.len() as i64)
}

/// The hash of a place in the chain: a line's, or the anchor's; nothing before the first. A line that somebody removed
/// is no reason to stop sealing: the gap shows.
fn hash_of(conn: &mut Conn, number: i64) -> Result<String> {
    let line: Option<Option<String>> = audit::table
        .filter(audit::chain_no.eq(number))
        .select(audit::hash)
        .first(conn)
        .optional()?;
    if let Some(Some(hash)) = line {
        return Ok(hash);
    }
    let anchor: Option<String> = audit_anchors::table
        .find(number)
        .select(audit_anchors::hash)
        .first(conn)
        .optional()?;
    Ok(anchor.unwrap_or_default())
}

/// Removes a piece of the lines from before a time, from the chain's beginning, and leaves the anchor.
pub fn forget(tx: &mut Tx<'_>, before: Time, piece: i64) -> Result<i64> {
    let oldest: Vec<(Option<i64>, Option<String>, i64)> = audit::table
        .filter(audit::chain_no.is_not_null())
        .order(audit::chain_no.asc())
        .select((audit::chain_no, audit::hash, audit::at_ms))
        .limit(piece)
        .load(tx.conn)?;
    let times = oldest.iter().map(|(_, _, at)| Time::from_ms(*at));
    let old = oldest.get(..old_ones(times, before, tx.now)).unwrap_or_default();
    let Some((Some(number), Some(hash), _)) = old.last() else {
        return Ok(0);
    };
    diesel::delete(audit::table.filter(audit::chain_no.le(number))).execute(tx.conn)?;
    diesel::delete(audit_anchors::table).execute(tx.conn)?;
    diesel::insert_into(audit_anchors::table)
        .values((audit_anchors::chain_no.eq(number), audit_anchors::hash.eq(hash)))
        .execute(tx.conn)?;
    Ok(old.len() as i64)
}

/// What a look at the whole chain came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Lines that hang together.
    pub lines: i64,
    /// The number of the last one.
    pub last: i64,
    /// Its hash. Who keeps it elsewhere can tell later that nothing before it was rewritten.
    pub head: String,
    /// Lines that wait for their seal.
    pub waiting: i64,
    /// What is wrong.
    pub faults: Vec<String>,
}

/// Follows the chain from its anchor to its end.
pub fn verify(conn: &mut Conn) -> Result<Verdict> {
    let anchor: Option<(i64, String)> = audit_anchors::table
        .order(audit_anchors::chain_no.desc())
        .first(conn)
        .optional()?;
    let (mut last, mut head) = anchor.unwrap_or_default();
    let (mut lines, mut faults) = (0, Vec::new());
    loop {
        let piece: Vec<Line> = audit::table
            .filter(audit::chain_no.gt(last))
            .order(audit::chain_no.asc())
            .limit(CHECKED)
            .load(conn)?;
        for line in &piece {
            let number = line.chain_no.unwrap_or_default();
            if number > last + 1 {
                faults.push(format!("{} missing", range(last + 1, number - 1)));
            } else if line.hash.as_deref() != Some(&line.seal(number, &head)) {
                faults.push(format!(
                    "line {number} was changed, or the one before it: {}",
                    line.told()
                ));
            }
            (last, head) = (number, line.hash.clone().unwrap_or_default());
            lines += 1;
        }
        if (piece.len() as i64) < CHECKED {
            break;
        }
    }
    faults.extend(wrong_end(conn, last)?);
    let more = faults.len().saturating_sub(TOLD);
    faults.truncate(TOLD);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    Ok(Verdict {
        lines,
        last,
        head,
        waiting: waiting(conn)?,
        faults,
    })
}

/// The counter knows how many lines there were.
fn wrong_end(conn: &mut Conn, last: i64) -> Result<Option<String>> {
    let counted: Option<i64> = counters::table
        .find("audit_chain")
        .select(counters::n)
        .first(conn)
        .optional()?;
    let counted = counted.ok_or_else(|| Problem::internal("the row audit_chain is missing"))?;
    Ok(match counted - last {
        0 => None,
        1.. => Some(format!("{} missing", range(last + 1, counted))),
        _ => Some(format!(
            "line {last} was never sealed here: the counter is at {counted}"
        )),
    })
}

fn range(first: i64, last: i64) -> String {
    if first == last {
        format!("line {first} is")
    } else {
        format!("lines {first} to {last} are")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line {
            id: "1".into(),
            at_ms: 7,
            actor_type: "editor".into(),
            actor_id: None,
            actor_name: "An".into(),
            action: "tag.create".into(),
            target_type: "tag".into(),
            target_id: "2".into(),
            request_id: "3".into(),
            data: "{}".into(),
            address: String::new(),
            chain_no: None,
            hash: None,
        }
    }

    #[test]
    fn every_stored_byte_is_in_the_hash() {
        let plain = line();
        let seal = plain.seal(1, "");
        assert_eq!(seal, line().seal(1, ""));
        let change = |change: fn(&mut Line)| {
            let mut other = line();
            change(&mut other);
            other.seal(1, "")
        };
        let others = [
            change(|line| line.id = "4".into()),
            change(|line| line.at_ms = 8),
            change(|line| line.actor_type = "system".into()),
            change(|line| line.actor_id = Some(String::new())),
            change(|line| line.actor_name = "Ant".into()),
            change(|line| line.action = "tag.delete".into()),
            change(|line| line.target_type = "tags".into()),
            change(|line| line.target_id = "23".into()),
            // The same bytes, cut at another place.
            change(|line| (line.target_id, line.request_id) = ("23".into(), String::new())),
            change(|line| line.data = "{ }".into()),
            change(|line| line.address = "::1".into()),
            plain.seal(2, ""),
            plain.seal(1, "x"),
        ];
        assert!(others.iter().all(|other| *other != seal));
        let distinct: std::collections::BTreeSet<_> = others.iter().collect();
        assert_eq!(distinct.len(), others.len());
    }
}
