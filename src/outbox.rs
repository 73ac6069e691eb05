//! What has to be sent: rows written in the transaction of their cause, sent later, at least once each.
//!
//! An instance takes a row by a lease and a fence, so that no two send it at once; a lease that ran out (a crash) is
//! taken by the next. A row that cannot be sent waits by the schedule of `MAIL_RETRY_SECONDS`, then it is given up.

use std::time::Duration;

use diesel::prelude::*;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::app::{App, State};
use crate::articles::review::mail as review;
use crate::auth::links;
use crate::db::{Tx, Value, insert_once};
use crate::error::Result;
use crate::images::rights::mail as rights;
use crate::mail::Sent;
use crate::schema::outbox;
use crate::share;
use crate::types::{Id, Time};
use crate::webhooks::mail as webhooks;

/// How often an instance looks for what others queued or left, and for what is due again.
const EVERY: Duration = Duration::from_secs(1);
/// Rows that one instance sends at once.
const AT_ONCE: usize = 8;
/// How long a row is ours; longer than any try.
const LEASE_SECONDS: i64 = 120;
/// The settings allow waits of a week and a fifth; a longer one comes from a clock that was ahead.
const NO_WAIT_SECONDS: i64 = 9 * 24 * 3600;
/// No lease lasts for longer: one that would, was taken by a clock that was ahead.
const NO_LEASE_SECONDS: i64 = 10 * LEASE_SECONDS;
/// How long a row without its payload is kept, so that its cause cannot queue it twice.
const DONE_SECONDS: i64 = 7 * 24 * 3600;

/// One thing to send.
#[derive(Debug, Clone, Queryable)]
pub struct Row {
    /// The id: stable across tries.
    pub id: Id,
    /// What it is.
    pub kind: String,
    /// What it needs, as JSON.
    pub payload: String,
    attempts: i64,
    fence: i64,
}

/// Queues one thing; what was queued under the same `dedupe` before stays as it is.
pub fn queue(tx: &mut Tx<'_>, kind: &str, payload: &str, dedupe: &str) -> Result<bool> {
    let statement = "INSERT INTO outbox (id, kind, payload, dedupe, due_ms, attempts, lease_ms, fence) \
                     VALUES ($1, $2, $3, $4, $5, 0, 0, 0) ON CONFLICT (dedupe) DO NOTHING";
    let id = Id::new();
    let values = [
        Value::Text(id.as_str()),
        Value::Text(kind),
        Value::Text(payload),
        Value::Text(dedupe),
        Value::Int(tx.now.ms()),
    ];
    insert_once(tx.conn, statement, &values)
}

/// Something whose rows are sent one by one, each at least once.
pub trait Queue: 'static {
    /// What is taken and then tried.
    type Row: Send + 'static;
    /// Rows that one instance sends at once.
    const AT_ONCE: usize;

    /// Wakes the sender when something was queued here.
    fn woken(app: &App) -> &Notify;
    /// Takes up to `free` rows that are due, each by a lease and a fence.
    fn take(app: &App, free: usize) -> impl Future<Output = Result<Vec<Self::Row>>>;
    /// Tries one row, and keeps what came of it.
    fn attempt(app: State, row: Self::Row) -> impl Future<Output = ()> + Send + 'static;
}

/// Sends until the program is asked to stop, and then ends once the running tries have. What is slow keeps its own place,
/// not those of others. Tries that are cut off are taken again after their leases.
pub async fn work<Q: Queue>(app: State) {
    let mut tries = JoinSet::new();
    let mut stopping = app.stopping.subscribe();
    while !*stopping.borrow() {
        while tries.try_join_next().is_some() {}
        let free = Q::AT_ONCE.saturating_sub(tries.len());
        let found = if free == 0 {
            0
        } else {
            begin::<Q>(&app, &mut tries, free).await
        };
        if free > 0 && found == free {
            continue;
        }
        tokio::select! {
            Some(_) = tries.join_next() => {}
            () = Q::woken(&app).notified() => {}
            _ = stopping.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    while tries.join_next().await.is_some() {}
}

/// What can be sent here: mail waits until it is set up, on an instance that has it.
fn sendable(app: &App) -> &'static [&'static str] {
    if app.mail.is_some() {
        &[
            share::KIND,
            review::KIND,
            webhooks::KIND,
            rights::KIND,
            links::RESET,
            links::INVITATION,
        ]
    } else {
        &[]
    }
}

/// Starts the tries of up to `free` rows; how many they are.
async fn begin<Q: Queue>(app: &State, tries: &mut JoinSet<()>, free: usize) -> usize {
    match Q::take(app, free).await {
        Ok(rows) => {
            let found = rows.len();
            for row in rows {
                tries.spawn(Q::attempt(app.clone(), row));
            }
            found
        }
        Err(problem) => {
            tracing::error!(cause = %problem, "what has to be sent cannot be read; it is tried again");
            0
        }
    }
}

/// The rows of the table `outbox`.
pub struct Outbox;

impl Queue for Outbox {
    type Row = Row;
    const AT_ONCE: usize = AT_ONCE;

    fn woken(app: &App) -> &Notify {
        &app.outbox
    }

    fn take(app: &App, free: usize) -> impl Future<Output = Result<Vec<Row>>> {
        take(app, free)
    }

    async fn attempt(app: State, row: Row) {
        attempt(&app, row).await;
    }
}

async fn take(app: &App, free: usize) -> Result<Vec<Row>> {
    let now = Time::now();
    let kinds = sendable(app);
    let waiting: i64 = app
        .db
        .read(move |conn| {
            let due = outbox::table.filter(is_due(now)).filter(outbox::kind.eq_any(kinds));
            Ok(due.count().get_result(conn)?)
        })
        .await?;
    // An idle instance must not write.
    if waiting == 0 {
        Ok(Vec::new())
    } else {
        app.db.write(move |tx| claim(tx, kinds, free)).await
    }
}

/// It is to be sent, and nobody has it.
#[diesel::dsl::auto_type(no_type_alias)]
fn is_due(now: Time) -> _ {
    let (now, latest, longest): (i64, i64, i64) = (
        now.ms(),
        now.plus_seconds(NO_WAIT_SECONDS).ms(),
        now.plus_seconds(NO_LEASE_SECONDS).ms(),
    );
    outbox::done_ms
        .is_null()
        .and(outbox::due_ms.le(now).or(outbox::due_ms.gt(latest)))
        .and(outbox::lease_ms.le(now).or(outbox::lease_ms.gt(longest)))
}

fn claim(tx: &mut Tx<'_>, kinds: &[&str], free: usize) -> Result<Vec<Row>> {
    let rows: Vec<Row> = outbox::table
        .filter(is_due(tx.now))
        .filter(outbox::kind.eq_any(kinds))
        .order((outbox::due_ms, outbox::id))
        .select((
            outbox::id,
            outbox::kind,
            outbox::payload,
            outbox::attempts,
            outbox::fence,
        ))
        .limit(free as i64)
        .load(tx.conn)?;
    let mut ours = Vec::new();
    for mut row in rows {
        let same = outbox::table.filter(outbox::id.eq(row.id.as_str()).and(outbox::fence.eq(row.fence)));
        row.fence += 1;
        row.attempts += 1;
        let taken = diesel::update(same)
            .set((
                outbox::fence.eq(row.fence),
                outbox::attempts.eq(row.attempts),
                outbox::lease_ms.eq(tx.now.plus_seconds(LEASE_SECONDS).ms()),
            ))
            .execute(tx.conn)?;
        if taken == 1 {
            ours.push(row);
        }
    }
    Ok(ours)
}

async fn attempt(app: &State, row: Row) {
    let sent = match deliver(app, &row).await {
        Ok(sent) => sent,
        Err(problem) => Sent::Later(problem.to_string()),
    };
    let wait = usize::try_from(row.attempts - 1)
        .ok()
        .and_then(|tried| app.config.mail_retry_seconds.get(tried).copied());
    let wait = match &sent {
        Sent::Later(cause) => {
            tracing::warn!(id = %row.id, kind = row.kind, attempt = row.attempts, cause, "not sent yet");
            wait
        }
        Sent::Refused(cause) => {
            tracing::warn!(id = %row.id, kind = row.kind, attempt = row.attempts, cause, "refused for good");
            None
        }
        Sent::Accepted => None,
    };
    if let (Sent::Later(_), None) = (&sent, wait) {
        tracing::error!(id = %row.id, kind = row.kind, "given up after the last try");
    }
    let id = row.id.clone();
    if let Err(problem) = app.db.write(move |tx| settle(tx, &row, wait)).await {
        tracing::error!(%id, cause = %problem, "the outcome was not kept; it is sent again after its lease");
    }
}

/// Delivers one thing, whatever its kind.
async fn deliver(app: &State, row: &Row) -> Result<Sent> {
    match row.kind.as_str() {
        share::KIND => share::send(app, row).await,
        review::KIND => review::send(app, row).await,
        webhooks::KIND => webhooks::send(app, row).await,
        rights::KIND => rights::send(app, row).await,
        links::RESET | links::INVITATION => links::send(app, row).await,
        _ => Ok(Sent::Later("this version does not know the kind".into())),
    }
}

/// Ends a try: the row waits, or it is done and forgets what it held. A row that another has taken since stays theirs.
fn settle(tx: &mut Tx<'_>, row: &Row, wait: Option<u32>) -> Result<()> {
    let ours = outbox::table.filter(outbox::id.eq(row.id.as_str()).and(outbox::fence.eq(row.fence)));
    if let Some(wait) = wait {
        let wait = i64::from(wait) * 1000;
        let due = tx.now.ms() + wait + rand::random_range(0..=wait / 5);
        diesel::update(ours)
            .set((outbox::due_ms.eq(due), outbox::lease_ms.eq(0)))
            .execute(tx.conn)?;
    } else {
        diesel::update(ours)
            .set((outbox::done_ms.eq(tx.now.ms()), outbox::payload.eq("")))
            .execute(tx.conn)?;
    }
    Ok(())
}

/// Removes a piece of the rows that have been done for a week.
pub fn forget_done(tx: &mut Tx<'_>, piece: i64) -> Result<i64> {
    let old: Vec<String> = outbox::table
        .filter(outbox::done_ms.lt(tx.now.plus_seconds(-DONE_SECONDS).ms()))
        .select(outbox::id)
        .limit(piece)
        .load(tx.conn)?;
    diesel::delete(outbox::table.filter(outbox::id.eq_any(&old))).execute(tx.conn)?;
    Ok(old.len() as i64)
}
