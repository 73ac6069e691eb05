//! What runs without a request: forgetting what has served its time.

use std::time::Duration;

use diesel::prelude::*;
use tokio::task::JoinHandle;

use crate::app::State;
use crate::auth::links;
use crate::db::{Conn, Tx};
use crate::error::Result;
use crate::schema::{idempotency, sessions};
use crate::{audit, changes, outbox, search, views, webhooks};

/// How often retention looks.
const EVERY: Duration = Duration::from_secs(600);
/// Rows that one write removes, so that others are not kept waiting.
const PIECE: i64 = 500;

/// How long what is being sent has to end at a stop.
const LAST_TRIES: Duration = Duration::from_secs(10);

/// The running jobs.
pub struct Jobs {
    sending: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

impl Jobs {
    /// Ends them; what is being sent gets a little time.
    pub async fn stop(mut self) {
        let ended = futures_util::future::join_all(&mut self.sending);
        if tokio::time::timeout(LAST_TRIES, ended).await.is_err() {
            tracing::warn!("what was being sent is cut off; it is sent again after the next start");
            // One that has ended must not be waited for again.
            let running = self.sending.into_iter().filter(|job| !job.is_finished());
            self.others.extend(running);
        }
        for job in self.others {
            job.abort();
            // Aborting is the expected end.
            let _ = job.await;
        }
    }
}

/// Starts the jobs on the current runtime.
pub fn start(app: State) -> Jobs {
    Jobs {
        sending: vec![
            tokio::task::spawn(outbox::work::<outbox::Outbox>(app.clone())),
            tokio::task::spawn(outbox::work::<webhooks::sending::Deliveries>(app.clone())),
        ],
        others: vec![
            tokio::task::spawn(changes::follow::follow(app.clone())),
            tokio::task::spawn(audit::chain::run(app.clone())),
            tokio::task::spawn(webhooks::queueing::follow(app.clone())),
            tokio::task::spawn(count_views(app.clone())),
            tokio::task::spawn(search::fill(app.clone())),
            tokio::task::spawn(crate::schedules::job::run(app.clone())),
            tokio::task::spawn(forget(app)),
        ],
    }
}

/// How often views are written: what a crash loses.
const FLUSH: Duration = Duration::from_secs(5);

/// Writes views, and keeps the sums over the windows right.
async fn count_views(app: State) {
    let mut failing = false;
    loop {
        let done = async {
            views::windows::tend(&app).await?;
            views::store::flush(&app, &app.views).await
        };
        match done.await {
            Ok(()) => failing = false,
            Err(problem) if !failing => {
                failing = true;
                tracing::error!(cause = %problem, "views cannot be written; they are kept and tried again");
            }
            Err(_) => {}
        }
        tokio::time::sleep(FLUSH).await;
    }
}

async fn forget(app: State) {
    loop {
        if let Err(problem) = retention(&app).await {
            tracing::error!(cause = %problem, "retention failed; it is tried again later");
        }
        app.limits.sweep();
        tokio::time::sleep(EVERY).await;
    }
}

/// How long the audit trail is kept.
const AUDIT_SECONDS: i64 = 2 * 365 * 24 * 3600;

/// Removes idempotency keys after 24 hours, sessions after their end, audit lines after two years,
/// readers' details and revisions nobody saw after the configured times, and changes that newer ones have superseded.
async fn retention(app: &State) -> Result<()> {
    loop {
        if app.db.write(forget_piece).await? < PIECE {
            break;
        }
    }
    while crate::feedback::forget_senders(app, PIECE).await? == PIECE {}
    while app.db.write(|tx| crate::outbox::forget_done(tx, PIECE)).await? == PIECE {}
    if let Some(days) = app.config.revision_retention_days {
        while crate::articles::revisions::store::thin(app, days, PIECE).await? == PIECE {}
    }
    app.db.write(crate::share::store::forget_counts).await?;
    while app.db.write(|tx| webhooks::deliveries::forget_old(tx, PIECE)).await? == PIECE {}
    while app
        .db
        .write(|tx| crate::previews::store::forget_ended(tx, PIECE))
        .await?
        == PIECE
    {}
    while app
        .db
        .write(|tx| changes::retention::forget_superseded(tx, PIECE))
        .await?
        == PIECE
    {}
    Ok(())
}

fn forget_piece(tx: &mut Tx<'_>) -> Result<i64> {
    let old_keys = tx.now.plus_seconds(-24 * 3600);
    links::forget_expired(tx)?;
    let keys = forget_idempotency(tx.conn, old_keys.ms())?;
    let ended: Vec<String> = sessions::table
        .filter(sessions::expires_ms.lt(tx.now.ms()))
        .select(sessions::id)
        .limit(PIECE)
        .load(tx.conn)?;
    diesel::delete(sessions::table.filter(sessions::id.eq_any(&ended))).execute(tx.conn)?;
    let lines = audit::chain::forget(tx, tx.now.plus_seconds(-AUDIT_SECONDS), PIECE)?;
    Ok(keys.max(ended.len() as i64).max(lines))
}

fn forget_idempotency(conn: &mut Conn, before_ms: i64) -> Result<i64> {
    let newest: Option<i64> = idempotency::table
        .filter(idempotency::created_ms.lt(before_ms))
        .order(idempotency::created_ms.asc())
        .select(idempotency::created_ms)
        .offset(PIECE - 1)
        .first(conn)
        .optional()?;
    let until = newest.unwrap_or(before_ms - 1);
    Ok(diesel::delete(idempotency::table.filter(idempotency::created_ms.le(until))).execute(conn)? as i64)
}
