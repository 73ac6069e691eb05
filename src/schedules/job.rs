//! The job that looks for what is due, in every instance.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Notify;

use super::clock::{Steady, ticks};
use super::{ScheduleProblem, due, store};
use crate::app::State;
use crate::db;
use crate::error::{Code, Problem, Result};
use crate::types::{Id, Time};

/// How often it looks.
const EVERY: Duration = Duration::from_millis(500);
/// Articles that one look takes.
const PIECE: i64 = 200;
/// Articles that are carried out at once.
const AT_ONCE: usize = 8;

/// Carries out what is due for as long as the program runs.
pub async fn run(app: State) {
    let (mut steady, mut failing) = (None, false);
    let beat = Arc::new(Notify::new());
    if let Err(error) = start_beat(Arc::downgrade(&beat)) {
        tracing::error!(%error, "schedules cannot be followed: a thread cannot be started");
        return;
    }
    loop {
        match look(&app, &mut steady).await {
            Ok(()) => failing = false,
            Err(problem) if !failing => {
                failing = true;
                tracing::error!(cause = %problem, "schedules cannot be read; it is tried again");
            }
            Err(_) => {}
        }
        beat.notified().await;
    }
}

/// Wakes the job for as long as it runs. A thread that sleeps a span of time goes on whatever is done to any clock; a
/// timer that was set while a clock was wrong would wait for its end.
fn start_beat(beat: Weak<Notify>) -> std::io::Result<()> {
    let beating = move || {
        while let Some(beat) = beat.upgrade() {
            beat.notify_one();
            drop(beat);
            std::thread::sleep(EVERY);
        }
    };
    std::thread::Builder::new().name("beat".into()).spawn(beating)?;
    Ok(())
}

async fn look(app: &State, steady: &mut Option<Steady>) -> Result<()> {
    let (clock, next) = app
        .db
        .read(|conn| Ok((db::clock(conn)?, store::next_due(conn)?)))
        .await?;
    let ticks = ticks();
    let now = steady
        .get_or_insert_with(|| Steady::new(clock, ticks))
        .now(clock, ticks);
    if next.is_none_or(|at| at > now) {
        return Ok(());
    }
    let ids = app.db.read(move |conn| store::due_articles(conn, now, PIECE)).await?;
    futures_util::stream::iter(ids)
        .for_each_concurrent(AT_ONCE, |id| carry_out(app, id, now))
        .await;
    Ok(())
}

async fn carry_out(app: &State, id: Id, now: Time) {
    let (article, mails) = (id.clone(), app.mail.is_some());
    let rule = app.config.rights_expired;
    let done = app
        .db
        .write(move |tx| due::carry_out(tx, &article, now, mails, rule))
        .await;
    match done {
        Ok(done) if done.is_empty() => {}
        Ok(done) => tracing::info!(%id, ?done, "carried out what was scheduled"),
        Err(problem) if is_passing(&problem) => {
            tracing::warn!(%id, cause = %problem, "what is scheduled cannot be done just now; it is tried again");
        }
        Err(problem) => {
            tracing::error!(%id, cause = %problem, "what was scheduled cannot be done");
            let told = ScheduleProblem::from(&problem);
            let article = id.clone();
            let parked = app.db.write(move |tx| due::park(tx, &article, now, &told, mails)).await;
            if let Err(problem) = parked {
                tracing::error!(%id, cause = %problem, "and that could not be kept; it is tried again");
            }
        }
    }
    app.outbox.notify_one();
}

/// Whether the database cannot take it just now: that says nothing about the plan.
fn is_passing(problem: &Problem) -> bool {
    matches!(problem.code(), Code::Unavailable | Code::StorageFull)
}
