//! The public truth's diary: one row for every change that readers can see, numbered in commit order.
//!
//! A row carries ids and purge keys, never words or slugs: a slug holds the title, and an unpublished title must not
//! stay anywhere that readers can look.

pub mod delivery;
pub mod follow;
pub mod retention;
pub mod streams;
mod truth;

use std::borrow::Cow;
use std::sync::Arc;

use diesel::prelude::*;

use crate::db::{Conn, Fixed, Tx};
use crate::error::{Problem, Result};
use crate::meta;
use crate::schema::{changes, counters};
use crate::types::{Id, Time};

pub use truth::{Cell, Truth};

/// Where the diary's epoch is kept among what the program remembers.
const EPOCH: &str = "epoch";

/// What happened to which part of the public truth.
#[derive(Debug, Clone)]
pub struct Change {
    /// `article.published`, `section.updated`, …
    pub kind: Cow<'static, str>,
    /// The article, section, tag, author, image or site it is about.
    pub subject_id: String,
    /// The article's language.
    pub language: Option<String>,
    /// What caches have to drop: the memberships before and after.
    pub keys: Vec<String>,
}

/// Records a public change in the cause's transaction; it takes its number last, just before COMMIT, so that nobody
/// sees number 2 before number 1 exists.
pub fn record(tx: &mut Tx<'_>, kind: &'static str, subject: &str, language: Option<&str>, mut keys: Vec<String>) {
    keys.sort_unstable();
    keys.dedup();
    let change = Change {
        kind: kind.into(),
        subject_id: subject.to_owned(),
        language: language.map(str::to_owned),
        keys,
    };
    tx.push_change(change);
}

/// The purge key of one thing: a letter for its kind and eleven characters of its id's random end.
pub fn key(kind: char, id: &Id) -> String {
    // The last group of a canonical id has twelve digits.
    format!("{kind}{}", id.as_str().get(25..).unwrap_or_default())
}

/// The purge key of the stories published in the month (UTC) of a time.
pub fn month_key(time: Time) -> String {
    time.to_chrono().format("M%Y%m").to_string()
}

/// When the public truth last changed. A list is made of what is in it and of what has left it, so its `Last-Modified`
/// is not older than this.
pub fn newest(conn: &mut Conn) -> Result<Option<Time>> {
    let last = changes::table.order(changes::seq.desc()).select(changes::at_ms);
    Ok(last.first(conn).optional()?)
}

/// A change with its number: a row of the diary.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its number; numbers follow the order of commits and leave no gap.
    pub seq: i64,
    /// What happened.
    pub change: Change,
    /// When.
    pub at: Time,
}

/// Numbers the changes and writes them. Called once, as the last statements of a transaction.
pub fn flush(conn: &mut Conn, pending: Vec<Change>, now: Time) -> Result<Vec<Arc<Recorded>>> {
    if pending.is_empty() {
        return Ok(Vec::new());
    }
    let count = pending.len() as i64;
    let last: i64 = diesel::update(counters::table.find("changes"))
        .set(counters::n.eq(counters::n + count))
        .returning(counters::n)
        .get_result(conn)?;
    let mut written = Vec::with_capacity(pending.len());
    for (change, seq) in pending.into_iter().zip(last - count + 1..) {
        diesel::insert_into(changes::table)
            .values((
                changes::seq.eq(seq),
                changes::kind.eq(&change.kind),
                changes::subject_id.eq(&change.subject_id),
                changes::language.eq(&change.language),
                changes::keys.eq(serde_json::json!(change.keys).to_string()),
                changes::at_ms.eq(now),
            ))
            .execute(conn)?;
        written.push(Arc::new(Recorded { seq, change, at: now }));
    }
    Ok(written)
}

/// The number of the newest change that this snapshot sees. Everything before it is seen as well.
pub fn head(conn: &mut Conn) -> Result<i64> {
    Ok(Fixed::new("SELECT n FROM counters WHERE name = 'changes'").number(conn)?)
}

/// Rows of the diary after a number, in order.
pub fn after(conn: &mut Conn, seq: i64, limit: i64) -> Result<Vec<Arc<Recorded>>> {
    type Row = (i64, String, String, Option<String>, String, Time);
    let rows: Vec<Row> = changes::table
        .filter(changes::seq.gt(seq))
        .order(changes::seq)
        .limit(limit)
        .load(conn)?;
    rows.into_iter()
        .map(|(seq, kind, subject_id, language, keys, at)| {
            let keys = serde_json::from_str(&keys).map_err(Problem::internal)?;
            let change = Change {
                kind: kind.into(),
                subject_id,
                language,
                keys,
            };
            Ok(Arc::new(Recorded { seq, change, at }))
        })
        .collect()
}

/// The number before the first change that is not older than a time; none when all are older.
pub fn before(conn: &mut Conn, since: Time) -> Result<Option<i64>> {
    let first: Option<i64> = changes::table
        .filter(changes::at_ms.ge(since.ms()))
        .select(diesel::dsl::min(changes::seq))
        .first(conn)?;
    Ok(first.map(|seq| seq - 1))
}

/// The name of this life of the database: a restore begins another.
pub fn epoch(conn: &mut Conn) -> Result<String> {
    meta::value(conn, EPOCH)?.ok_or_else(|| Problem::internal("the diary has no epoch"))
}

/// The kind of change that a message under a story makes.
pub const FEEDBACK: &str = "feedback.updated";

/// When the newest change of these subjects (stories' contents, the site) was made.
pub fn newest_of(conn: &mut Conn, subjects: &[&str]) -> Result<Option<Time>> {
    let mut newest: Option<(i64, Time)> = None;
    // One look each, by the index: with several subjects at once SQLite reads the whole diary from its end.
    for subject in subjects {
        // What readers write about a story is a change of its own, and not of its content.
        let changed = changes::table
            .filter(changes::subject_id.eq(subject).and(changes::kind.ne(FEEDBACK)))
            .order(changes::seq.desc())
            .select((changes::seq, changes::at_ms))
            .first(conn)
            .optional()?;
        newest = newest.max(changed);
    }
    Ok(newest.map(|(_, at)| at))
}
