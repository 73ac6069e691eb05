//! The job that tells that the right to show an image ends: some days ahead, and when it has come; each once for an image
//! and its end, by webhook and by mail.

use std::time::Duration;

use diesel::prelude::*;
use serde_json::json;

use super::mail::{self, Stage};
use super::{TOLD_AHEAD, TOLD_ENDED};
use crate::app::State;
use crate::changes::{self, Change};
use crate::config::Config;
use crate::db::{self, Conn, Tx, try_lock};
use crate::error::Result;
use crate::literals::{Live, ToldEnded};
use crate::schedules::clock::{Steady, ticks};
use crate::schema::{images, publication_images, publications};
use crate::types::{Id, Time};
use crate::webhooks::{self, deliveries};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(5);
/// Images that one write tells of: as many as a mail names.
const PIECE: i64 = 50;
/// Live stories that are named for an image.
const STORIES: i64 = 100;

/// Watches for as long as the program runs.
pub async fn run(app: State) {
    let (mut steady, mut failing) = (None, false);
    loop {
        match look(&app, &mut steady).await {
            Ok(()) => failing = false,
            Err(problem) if !failing => {
                failing = true;
                tracing::error!(cause = %problem, "rights of images cannot be watched; it is tried again");
            }
            Err(_) => {}
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// By a clock that a step of the machine's does not hurry: what was told once is not told again.
async fn look(app: &State, steady: &mut Option<Steady>) -> Result<()> {
    let clock = app.db.read(db::clock).await?;
    let ticks = ticks();
    let now = steady
        .get_or_insert_with(|| Steady::new(clock, ticks))
        .now(clock, ticks);
    let ahead = app.config.rights_warn_days * 24 * 3600;
    loop {
        // An idle instance must not write.
        if app.db.read(move |conn| due(conn, now, ahead)).await?.is_empty() {
            return Ok(());
        }
        let state = app.clone();
        let told = app
            .db
            .write(move |tx| tell(tx, now, ahead, &state.config, state.mail.is_some()))
            .await?;
        app.webhooks.queued.notify_one();
        app.outbox.notify_one();
        if told < PIECE {
            return Ok(());
        }
    }
}

/// An image whose right ends, and who uploaded it.
#[derive(Debug, Clone, Queryable)]
struct Due {
    id: Id,
    end: Option<Time>,
    uploader: Id,
}

fn due(conn: &mut Conn, now: Time, ahead: i64) -> Result<Vec<Due>> {
    let horizon = now.plus_seconds(ahead).ms();
    Ok(images::table
        .filter(images::deleted_ms.is_null())
        .filter(
            images::rights_told
                .lt(ToldEnded)
                .and(images::rights_expire_ms.le(horizon)),
        )
        .filter(images::rights_told.eq(0).or(images::rights_expire_ms.le(now.ms())))
        .order((images::rights_expire_ms, images::id))
        .select((images::id, images::rights_expire_ms, images::uploaded_by))
        .limit(PIECE)
        .load(conn)?)
}

/// Tells of the next images; how many they were.
fn tell(tx: &mut Tx<'_>, now: Time, ahead: i64, config: &Config, mails: bool) -> Result<i64> {
    if !try_lock(tx.conn, "image rights")? {
        return Ok(0);
    }
    let found = due(tx.conn, now, ahead)?;
    let epoch = changes::epoch(tx.conn)?;
    let (mut soon, mut over) = (Vec::new(), Vec::new());
    for image in &found {
        let Some(end) = image.end else { continue };
        let ended = end <= now;
        diesel::update(images::table.find(&image.id))
            .set(images::rights_told.eq(if ended { TOLD_ENDED } else { TOLD_AHEAD }))
            .execute(tx.conn)?;
        queue_webhooks(tx, &image.id, end, ended, now, &epoch, config)?;
        let list = if ended { &mut over } else { &mut soon };
        list.push((image.id.clone(), end, image.uploader.clone()));
    }
    if mails {
        mail::tell(tx, Stage::Expiring, &soon)?;
        mail::tell(tx, Stage::Expired, &over)?;
    }
    Ok(found.len() as i64)
}

/// Queues the event for each webhook that wants it: ids and times, never words.
fn queue_webhooks(
    tx: &mut Tx<'_>,
    image: &Id,
    end: Time,
    ended: bool,
    now: Time,
    epoch: &str,
    config: &Config,
) -> Result<()> {
    let kind = if ended {
        webhooks::RIGHTS_EXPIRED
    } else {
        webhooks::RIGHTS_EXPIRING
    };
    let stories: Vec<Id> = publication_images::table
        .inner_join(publications::table.on(publications::article_id.eq(publication_images::article_id)))
        .filter(publication_images::ref_id.eq(image).and(publications::state.eq(Live)))
        .order(publication_images::article_id.desc())
        .select(publication_images::article_id)
        .limit(STORIES)
        .load(tx.conn)?;
    let data = json!({
        "image_id": image,
        "expires_at": end,
        "article_ids": stories,
        "management_url": format!("{}/management/v1/images/{image}", config.public_url),
    });
    let change = Change {
        kind: kind.into(),
        subject_id: image.to_string(),
        language: None,
        keys: Vec::new(),
    };
    let event_id = format!("evt_{epoch}_{image}_{}{}", if ended { "e" } else { "w" }, end.ms());
    let payload = webhooks::body(kind, now, data);
    for webhook in webhooks::store::enabled(tx.conn)? {
        if webhook.filter()?.takes(&change) {
            let new = deliveries::New {
                webhook_id: &webhook.id,
                event_id: &event_id,
                kind,
                payload: &payload,
            };
            deliveries::queue(tx, &new)?;
        }
    }
    Ok(())
}
