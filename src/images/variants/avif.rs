//! AVIF files are made ahead: they cost seconds, so no reader waits for them, and no answer names them before they are
//! all there.
//!
//! One original at a time, one file after the other, by a thread that gives way to everything else on the machine. An
//! instance takes an original by a lease and a fence; files that are there are not made again, so a crash costs one.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use diesel::prelude::*;
use tokio::sync::oneshot;

use super::making::{bytes_of, keep};
use super::spec::{self, Cropped, Spec};
use super::store::{self, Original, READY, TRIES};
use crate::app::State;
use crate::db::Tx;
use crate::error::{Problem, Result};
use crate::images::process::Limits;
use crate::images::process::masters::{Master, masters, masters_need};
use crate::images::process::variant::{AVIF_BYTES, VariantFormat};
use crate::images::store::is_public;
use crate::schema::{image_plans, image_variants};
use crate::types::Time;

/// How often an instance looks for what is wanted.
const EVERY: Duration = Duration::from_secs(5);
/// How long an original is ours without a sign; longer than one file takes.
const LEASE_SECONDS: i64 = 600;
/// No lease lasts for longer: one that would, was taken by a clock that was ahead.
const NO_LEASE_SECONDS: i64 = 10 * LEASE_SECONDS;
/// The wait after a failure, times the tries.
const WAIT_SECONDS: i64 = 60;

/// Makes what is wanted for as long as the program runs.
pub async fn run(app: State) {
    if !app.config.avif {
        return;
    }
    let worker = match Worker::start() {
        Ok(worker) => worker,
        Err(error) => return tracing::error!(%error, "AVIF files cannot be made: a thread cannot be started"),
    };
    let mut failing = false;
    loop {
        match take(&app).await {
            Ok(Some(job)) => {
                failing = false;
                work(&app, &worker, job).await;
                continue;
            }
            Ok(None) => failing = false,
            Err(problem) if !failing => {
                failing = true;
                tracing::error!(cause = %problem, "wanted AVIF files cannot be looked up; it is tried again");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = app.variants.avif.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// A reader's page names a file that is not there, because it was removed to make room: it is made again.
pub async fn ask(app: &State, original: &Original, object_key: &str) {
    if !app.config.avif || !app.variants.asks.is_news(object_key) {
        return;
    }
    let (file_key, object_key) = (original.file_key.clone(), object_key.to_owned());
    let asked = app.db.write(move |tx| {
        let gone = image_variants::table
            .filter(image_variants::object_key.eq(&object_key))
            .filter(image_variants::state.eq(READY));
        diesel::delete(gone).execute(tx.conn)?;
        store::want_avif_of(tx, &file_key)
    });
    match asked.await {
        Ok(()) => app.variants.avif.notify_one(),
        Err(problem) => tracing::warn!(cause = %problem, "a missing AVIF file cannot be asked for"),
    }
}

/// An original whose files are wanted, and that is ours for now.
#[derive(Debug, Clone)]
struct Job {
    file_key: String,
    due_ms: i64,
    tries: i64,
    fence: i64,
}

/// It is wanted, and nobody has it.
#[diesel::dsl::auto_type(no_type_alias)]
fn is_due(now: Time) -> _ {
    let (now, longest): (i64, i64) = (now.ms(), now.plus_seconds(NO_LEASE_SECONDS).ms());
    let latest: i64 = longest;
    image_plans::due_ms
        .le(now)
        .or(image_plans::due_ms.gt(latest))
        .and(image_plans::lease_ms.le(now).or(image_plans::lease_ms.gt(longest)))
}

/// The original that was wanted last: today's news goes before the archive.
async fn take(app: &State) -> Result<Option<Job>> {
    let now = Time::now();
    let found: Option<(String, Option<i64>, i64, i64)> = app
        .db
        .read(move |conn| {
            let due = image_plans::table.filter(is_due(now)).order(image_plans::due_ms.desc());
            let columns = (
                image_plans::file_key,
                image_plans::due_ms,
                image_plans::tries,
                image_plans::fence,
            );
            Ok(due.select(columns).first(conn).optional()?)
        })
        .await?;
    // An idle instance must not write.
    let Some((file_key, Some(due_ms), tries, fence)) = found else {
        return Ok(None);
    };
    let job = Job {
        file_key,
        due_ms,
        tries: tries + 1,
        fence: fence + 1,
    };
    let ours = job.clone();
    let taken = app.db.write(move |tx| claim(tx, &ours)).await?;
    Ok(taken.then_some(job))
}

fn claim(tx: &mut Tx<'_>, job: &Job) -> Result<bool> {
    let same = image_plans::table.filter(
        image_plans::file_key
            .eq(&job.file_key)
            .and(image_plans::fence.eq(job.fence - 1)),
    );
    let taken = diesel::update(same)
        .set((
            image_plans::fence.eq(job.fence),
            image_plans::tries.eq(job.tries),
            image_plans::lease_ms.eq(tx.now.plus_seconds(LEASE_SECONDS).ms()),
        ))
        .execute(tx.conn)?;
    Ok(taken == 1)
}

async fn work(app: &State, worker: &Worker, job: Job) {
    let outcome = match make_all(app, worker, &job).await {
        Ok(Some(original)) => finish(app, &job, &original).await,
        // Somebody else has it by now.
        Ok(None) => return,
        Err(problem) => Err(problem),
    };
    let Err(problem) = outcome else { return };
    let last = job.tries >= TRIES;
    if last {
        tracing::error!(file = job.file_key, cause = %problem, "AVIF files cannot be made and are given up");
    } else {
        tracing::warn!(file = job.file_key, cause = %problem, "AVIF files cannot be made; it is tried again");
    }
    let file = job.file_key.clone();
    if let Err(problem) = app.db.write(move |tx| put_off(tx, &job, last)).await {
        tracing::error!(file, cause = %problem, "and that was not kept; it is tried again after its lease");
    }
}

/// Makes what is missing. None when the original is not ours any more.
async fn make_all(app: &State, worker: &Worker, job: &Job) -> Result<Option<Option<Original>>> {
    let file_key = job.file_key.clone();
    let (original, there) = app
        .db
        .read(move |conn| {
            let original = store::find(conn, spec::stem(&file_key))?;
            let there: Vec<String> = image_variants::table
                .filter(image_variants::file_key.eq(&file_key))
                .filter(image_variants::state.eq(READY))
                .select(image_variants::spec)
                .load(conn)?;
            Ok((original, there))
        })
        .await?;
    // Deleted or replaced since.
    let Some(original) = original.filter(|original| original.current && !original.broken) else {
        return Ok(Some(None));
    };
    let there: HashSet<String> = there.into_iter().collect();
    let mut missing = original.source().all_of(VariantFormat::Avif, original.point);
    missing.retain(|spec| !there.contains(&spec.to_string()));
    if missing.is_empty() {
        return Ok(Some(Some(original)));
    }
    let turn = app.decoding.turn(0).await?;
    let bytes = bytes_of(app, &original).await?;
    let bytes = bytes.ok_or_else(|| Problem::internal("the original is not in the media store"))?;
    let bytes = bytes.map_err(Problem::internal)?;
    let cuts = widest(&missing);
    let wanted: Vec<_> = cuts
        .iter()
        .map(|(cropped, width)| (spec::cut(*cropped), *width))
        .collect();
    let turn = app
        .decoding
        .enough(turn, masters_need(&bytes, &wanted, &Limits::of_stored()))
        .await?;
    let pictures = worker.run(move || {
        let _held = turn;
        masters(&bytes, &wanted, &Limits::of_stored())
    });
    let pictures = pictures.await?.map_err(Problem::internal)?;
    // They stay in memory while files are made of them, which takes a while.
    let _kept = app.decoding.aside(pictures.iter().map(Master::bytes).sum()).await?;
    for ((cropped, _), master) in cuts.iter().zip(pictures) {
        let master = std::sync::Arc::new(master);
        for spec in missing.iter().filter(|spec| spec.cropped == *cropped) {
            let file = encode(app, worker, &master, *spec).await?;
            if !keep(app, &original.file_key, &[(*spec, file)]).await {
                return Err(Problem::internal("a file could not be kept"));
            }
            if !renew(app, job).await? {
                return Ok(None);
            }
        }
    }
    Ok(Some(Some(original)))
}

/// Each cut, with the largest width it is wanted in.
fn widest(specs: &[Spec]) -> Vec<(Cropped, u32)> {
    let mut cuts: Vec<(Cropped, u32)> = Vec::new();
    for spec in specs {
        match cuts.iter_mut().find(|(cropped, _)| *cropped == spec.cropped) {
            Some((_, width)) => *width = spec.width.max(*width),
            None => cuts.push((spec.cropped, spec.width)),
        }
    }
    cuts
}

async fn encode(app: &State, worker: &Worker, master: &std::sync::Arc<Master>, spec: Spec) -> Result<Bytes> {
    let turn = app.decoding.aside(master.pixels_at(spec.width) * AVIF_BYTES).await?;
    let master = std::sync::Arc::clone(master);
    let file = worker.run(move || {
        let _held = turn;
        master.render(spec.width, VariantFormat::Avif)
    });
    Ok(Bytes::from(file.await?.map_err(Problem::internal)?.bytes))
}

/// A sign that it goes on: what was made counts as a success. False when it is not ours any more.
async fn renew(app: &State, job: &Job) -> Result<bool> {
    let (file_key, fence) = (job.file_key.clone(), job.fence);
    app.db
        .write(move |tx| {
            let ours = image_plans::table.filter(image_plans::file_key.eq(&file_key).and(image_plans::fence.eq(fence)));
            let renewed = diesel::update(ours)
                .set((
                    image_plans::tries.eq(1),
                    image_plans::lease_ms.eq(tx.now.plus_seconds(LEASE_SECONDS).ms()),
                ))
                .execute(tx.conn)?;
            Ok(renewed == 1)
        })
        .await
}

/// From now on answers name the files. Without an original there is nothing to name.
async fn finish(app: &State, job: &Job, original: &Option<Original>) -> Result<()> {
    let (ours, original) = (job.clone(), original.clone());
    let image = original.as_ref().map(|original| original.image_id.clone());
    let (news, told) = app.db.write(move |tx| offer(tx, &ours, original.as_ref())).await?;
    // A story that shows it may have been published in this very moment, and not have been seen by that transaction.
    if let (Some(image), true, false) = (image, news, told) {
        let id = image.clone();
        if app.db.read(move |conn| is_public(conn, &id)).await? {
            app.db.write(move |tx| store::tell_readers(tx, &image)).await?;
        }
    }
    tracing::debug!(file = job.file_key, "AVIF files are there");
    Ok(())
}

/// Whether answers change, and whether anybody had to be told.
fn offer(tx: &mut Tx<'_>, job: &Job, original: Option<&Original>) -> Result<(bool, bool)> {
    let ours = || {
        image_plans::table.filter(
            image_plans::file_key
                .eq(&job.file_key)
                .and(image_plans::fence.eq(job.fence)),
        )
    };
    diesel::update(ours())
        .set((image_plans::tries.eq(0), image_plans::lease_ms.eq(0)))
        .execute(tx.conn)?;
    // What was wanted meanwhile is still wanted.
    diesel::update(ours().filter(image_plans::due_ms.eq(job.due_ms)))
        .set(image_plans::due_ms.eq(None::<i64>))
        .execute(tx.conn)?;
    let Some(original) = original else {
        return Ok((false, false));
    };
    if original.source().all_of(VariantFormat::Avif, original.point).is_empty() {
        return Ok((false, false));
    }
    let point = original.point.to_string();
    let news = ours().filter(
        image_plans::avif
            .eq(false)
            .or(image_plans::avif_point.is_null())
            .or(image_plans::avif_point.ne(&point)),
    );
    let news = diesel::update(news)
        .set((
            image_plans::avif.eq(true),
            image_plans::avif_point.eq(&point),
            image_plans::changed_ms.eq(tx.now.ms()),
        ))
        .execute(tx.conn)?;
    let told = news > 0 && store::tell_readers(tx, &original.image_id)?;
    Ok((news > 0, told))
}

fn put_off(tx: &mut Tx<'_>, job: &Job, last: bool) -> Result<()> {
    let ours = image_plans::table.filter(
        image_plans::file_key
            .eq(&job.file_key)
            .and(image_plans::fence.eq(job.fence)),
    );
    let due = (!last).then(|| tx.now.plus_seconds(WAIT_SECONDS * job.tries).ms());
    diesel::update(ours)
        .set((image_plans::due_ms.eq(due), image_plans::lease_ms.eq(0)))
        .execute(tx.conn)?;
    Ok(())
}

type Task = Box<dyn FnOnce() + Send>;

/// A thread of the lowest priority: whatever else has to be done on the machine goes first.
struct Worker {
    tasks: Sender<Task>,
}

impl Worker {
    fn start() -> std::io::Result<Self> {
        let (tasks, waiting): (Sender<Task>, Receiver<Task>) = channel();
        std::thread::Builder::new().name("avif".into()).spawn(move || {
            // On Linux a priority is a thread's own; elsewhere it would be the whole program's.
            #[cfg(target_os = "linux")]
            if let Err(error) = rustix::process::setpriority_process(None, 19) {
                tracing::warn!(%error, "AVIF files are made with ordinary priority");
            }
            while let Ok(task) = waiting.recv() {
                task();
            }
        })?;
        Ok(Self { tasks })
    }

    /// Does something on the thread. Whoever stops waiting for it stops nothing.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (done, result) = oneshot::channel();
        let task = Box::new(move || {
            // Nobody may wait any more.
            let _ = done.send(work());
        });
        self.tasks.send(task).map_err(Problem::internal)?;
        result.await.map_err(Problem::internal)
    }
}
