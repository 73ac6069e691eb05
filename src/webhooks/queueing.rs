//! From a change to its deliveries: follows the diary with a place that is moved in the transaction that queues, so that
//! each change is queued exactly once for each webhook, whichever instance does it and whenever one dies.

use std::time::Duration;

use diesel::prelude::*;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::deliveries::{self, New};
use super::{event_id, payload, store};
use crate::app::State;
use crate::changes::{self, Recorded};
use crate::db::{Conn, Tx};
use crate::error::Result;
use crate::schema::counters;

/// How often the diary is looked at when nothing tells of a change.
const EVERY: Duration = Duration::from_secs(5);
/// Changes that one transaction queues.
const PIECE: i64 = 100;
/// The counter that holds the place.
const PLACE: &str = "webhooks";

/// Follows for as long as the program runs.
pub async fn follow(app: State) {
    let mut news = app.db.truth().subscribe();
    let mut failing = false;
    loop {
        // What was told until now is committed, so the pass below sees it.
        while !matches!(news.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
        match pass(&app).await {
            Ok(()) => failing = false,
            Err(problem) if !failing => {
                failing = true;
                tracing::error!(cause = %problem, "webhooks cannot be queued; it is tried again");
            }
            Err(_) => {}
        }
        tokio::select! {
            told = news.recv() => {
                if let Err(RecvError::Closed) = told {
                    news = app.db.truth().subscribe();
                }
            }
            () = app.webhooks.asked.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Queues what is new, and what is asked for again.
async fn pass(app: &State) -> Result<()> {
    loop {
        let work = app.db.read(look).await?;
        if !work.behind && work.replays.is_empty() {
            return Ok(());
        }
        let public_url = app.config.public_url.clone();
        app.db
            .write(move |tx| {
                let epoch = changes::epoch(tx.conn)?;
                if work.behind {
                    queue_new(tx, &epoch, &public_url)?;
                }
                for row in &work.replays {
                    queue_again(tx, row, &epoch, &public_url)?;
                }
                Ok(())
            })
            .await?;
        app.webhooks.queued.notify_one();
    }
}

/// What there is to do.
struct Work {
    behind: bool,
    replays: Vec<store::Row>,
}

/// Without webhooks nothing is written: one that is made begins at the end of the diary, wherever the place is.
fn look(conn: &mut Conn) -> Result<Work> {
    let webhooks = store::enabled(conn)?;
    let behind = match webhooks.iter().map(|webhook| webhook.from_seq).min() {
        Some(from) => place(conn)?.max(from) < changes::head(conn)?,
        None => false,
    };
    let replays = webhooks.into_iter().filter(|row| row.replay_seq.is_some()).collect();
    Ok(Work { behind, replays })
}

fn place(conn: &mut Conn) -> Result<i64> {
    Ok(counters::table.find(PLACE).select(counters::n).first(conn)?)
}

/// Queues the next changes. The changes are read before the webhooks: whoever was made before a change is seen.
fn queue_new(tx: &mut Tx<'_>, epoch: &str, public_url: &str) -> Result<()> {
    let place = place(tx.conn)?;
    let enabled = store::enabled(tx.conn)?;
    let Some(from) = enabled.iter().map(|webhook| webhook.from_seq).min() else {
        return Ok(());
    };
    let head = changes::head(tx.conn)?;
    let rows = changes::after(tx.conn, place.max(from), PIECE)?;
    let end = rows.last().map_or(head, |row| row.seq);
    let moved = diesel::update(counters::table.filter(counters::name.eq(PLACE).and(counters::n.eq(place))))
        .set(counters::n.eq(end))
        .execute(tx.conn)?;
    if moved == 0 {
        return Ok(());
    }
    for webhook in store::enabled(tx.conn)? {
        let filter = webhook.filter()?;
        for row in rows
            .iter()
            .filter(|row| row.seq > webhook.from_seq && filter.takes(&row.change))
        {
            queue(tx, &webhook, row, epoch, public_url)?;
        }
    }
    Ok(())
}

fn queue(tx: &mut Tx<'_>, webhook: &store::Row, row: &Recorded, epoch: &str, public_url: &str) -> Result<bool> {
    let new = New {
        webhook_id: &webhook.id,
        event_id: &event_id(epoch, row.seq),
        kind: &row.change.kind,
        payload: &payload(row, public_url),
    };
    deliveries::queue(tx, &new)
}

/// Queues the next piece of the past again: what was delivered too, and what never was meant for it.
fn queue_again(tx: &mut Tx<'_>, webhook: &store::Row, epoch: &str, public_url: &str) -> Result<()> {
    let (Some(from), Some(until)) = (webhook.replay_seq, webhook.replay_until) else {
        return Ok(());
    };
    let mut rows = changes::after(tx.conn, from, PIECE)?;
    rows.retain(|row| row.seq <= until);
    let next = rows.last().map(|row| row.seq).filter(|seq| *seq < until);
    if !store::move_replay(tx.conn, webhook, next)? {
        return Ok(());
    }
    let filter = webhook.filter()?;
    for row in rows.iter().filter(|row| filter.takes(&row.change)) {
        if !queue(tx, webhook, row, epoch, public_url)? {
            deliveries::replay_event(tx, &webhook.id, &event_id(epoch, row.seq))?;
        }
    }
    Ok(())
}
