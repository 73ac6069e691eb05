//! Forgetting what has served its time.

pub mod clock;

use diesel::prelude::*;

use crate::app::State;
use crate::articles::revisions;
use crate::auth::links;
use crate::db::{Conn, Tx};
use crate::error::Result;
use crate::schema::{idempotency, sessions};
use crate::types::Time;
use crate::{audit, changes, feedback, media, outbox, previews, share, webhooks};

/// Rows that one write removes, so that others are not kept waiting.
const PIECE: i64 = 500;

/// How long the audit trail is kept.
const AUDIT_SECONDS: i64 = 2 * 365 * 24 * 3600;

/// Removes idempotency keys after 24 hours, sessions after their end, audit lines after two years,
/// readers' details, revisions nobody saw and files of images that are gone after the configured times, and changes that
/// newer ones have superseded.
/// Nothing while the clock is not believed.
pub async fn run(app: &State) -> Result<()> {
    let Some(now) = clock::believed(app).await? else {
        return Ok(());
    };
    in_pieces(app, now, forget_piece).await?;
    while feedback::forget_senders(app, now, PIECE).await? == PIECE {}
    in_pieces(app, now, |tx| outbox::forget_done(tx, PIECE)).await?;
    if let Some(days) = app.config.revision_retention_days {
        while revisions::store::thin(app, now, days, PIECE).await? == PIECE {}
    }
    in_pieces(app, now, |tx| share::store::forget_counts(tx).map(|()| 0)).await?;
    in_pieces(app, now, |tx| webhooks::deliveries::forget_old(tx, PIECE)).await?;
    in_pieces(app, now, |tx| previews::store::forget_ended(tx, PIECE)).await?;
    in_pieces(app, now, |tx| changes::retention::forget_superseded(tx, PIECE)).await?;
    // The last, since it is not the database alone that it needs.
    media::sweep::run(app, now).await
}

/// One write after another, by a time that was believed, until one finds less than a piece.
async fn in_pieces(app: &State, now: Time, forget: fn(&mut Tx<'_>) -> Result<i64>) -> Result<()> {
    let piece = move |tx: &mut Tx<'_>| {
        tx.now = now;
        forget(tx)
    };
    while app.db.write(piece).await? >= PIECE {}
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
