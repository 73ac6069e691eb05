//! What runs without a request.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::app::State;
use crate::types::Time;
use crate::{audit, changes, images, outbox, retention, search, views, webhooks};

/// How often retention looks.
const EVERY: Duration = Duration::from_secs(600);
/// How long what is being sent has to end at a stop.
const LAST_TRIES: Duration = Duration::from_secs(6);

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
            tokio::task::spawn(images::store::words::fill(app.clone())),
            tokio::task::spawn(images::rights::watch::run(app.clone())),
            tokio::task::spawn(crate::schedules::job::run(app.clone())),
            tokio::task::spawn(images::variants::tend::run(app.clone())),
            tokio::task::spawn(images::variants::avif::run(app.clone())),
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
        // First, since retention may take long, and what it holds of readers is promised to go.
        app.views.sweep(Time::now());
        if let Err(problem) = retention::run(&app).await {
            tracing::error!(cause = %problem, "retention failed; it is tried again later");
        }
        app.limits.sweep();
        tokio::time::sleep(EVERY).await;
    }
}
