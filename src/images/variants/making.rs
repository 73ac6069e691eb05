//! Making variants while somebody waits: each once however many ask, a few at a time, and no more than may wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::HttpRequest;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::spec::{self, Spec};
use super::store::{self, Original};
use crate::app::State;
use crate::error::{Code, Problem, Result};
use crate::images::delivered::{media_url, variant_url};
use crate::images::process::variant::{Rendered, VariantFormat, Wanted, need, render};
use crate::images::process::{Limits, Rejected};
use crate::request::hash;

/// What became of a variant that was not there.
#[derive(Debug, Clone)]
pub enum Made {
    /// Its bytes.
    File(Bytes),
    /// Another address has a picture in its place for now.
    Elsewhere(String),
}

type Outcome = Arc<Result<Made>>;
/// What a making came to, once it did.
type Landed = watch::Receiver<Option<Outcome>>;

/// What is being made.
#[derive(Default)]
pub struct Board {
    flights: Mutex<HashMap<String, Flight>>,
}

/// One variant that is being made, or waits for its turn.
struct Flight {
    file_key: String,
    spec: Spec,
    waits: bool,
    done: Arc<watch::Sender<Option<Outcome>>>,
}

/// Variants that are made of one decoding at most: whoever wants a small one is not to wait for all of them.
const TOGETHER: usize = 6;

impl Flight {
    fn leave(&mut self, app: &State, key: &str) -> Ticket {
        self.waits = false;
        Ticket {
            app: app.clone(),
            key: key.to_owned(),
            spec: self.spec,
            done: Arc::clone(&self.done),
        }
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The flight of this variant, if it is on its way.
    fn join(&self, key: &str) -> Option<Landed> {
        self.lock().get(key).map(|flight| flight.done.subscribe())
    }

    /// The flight of this variant, and whether it is a new one, which then has to be flown.
    fn enter(&self, key: &str, file_key: &str, spec: Spec) -> (Landed, bool) {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(key) {
            return (flight.done.subscribe(), false);
        }
        let (done, landed) = watch::channel(None);
        let flight = Flight {
            file_key: file_key.to_owned(),
            spec,
            waits: true,
            done: Arc::new(done),
        };
        flights.insert(key.to_owned(), flight);
        (landed, true)
    }

    /// A flight whose turn has come, with others of the same original that wait for theirs: one decoding is enough for
    /// all of them. None when it has gone along with another already.
    fn board(&self, app: &State, key: &str, file_key: &str) -> Vec<Ticket> {
        let mut flights = self.lock();
        if !flights.get(key).is_some_and(|flight| flight.waits) {
            return Vec::new();
        }
        let waiting = flights
            .iter_mut()
            .filter(|(other, flight)| flight.waits && flight.file_key == file_key && *other != key);
        let others = waiting.take(TOGETHER - 1).map(|(key, flight)| flight.leave(app, key));
        let others: Vec<Ticket> = others.collect();
        let first = flights.get_mut(key).map(|flight| flight.leave(app, key));
        first.into_iter().chain(others).collect()
    }

    /// Takes a flight off the board whose turn never came.
    fn cancel(&self, key: &str, problem: Problem) {
        let mut flights = self.lock();
        if flights.get(key).is_some_and(|flight| flight.waits)
            && let Some(flight) = flights.remove(key)
        {
            flight.done.send_replace(Some(Arc::new(Err(problem))));
        }
    }
}

/// The duty to land a flight; when it is dropped without, those who wait learn that nothing came of it.
struct Ticket {
    app: State,
    key: String,
    spec: Spec,
    done: Arc<watch::Sender<Option<Outcome>>>,
}

impl Ticket {
    fn land(self, outcome: Result<Made>) {
        self.end(outcome);
    }

    fn end(&self, outcome: Result<Made>) {
        // Off the board first: who comes now finds the file.
        self.app.variants.board.lock().remove(&self.key);
        self.done.send_replace(Some(Arc::new(outcome)));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.done.borrow().is_none() {
            self.end(Err(failed()));
        }
    }
}

fn failed() -> Problem {
    Problem::new(Code::Unavailable, "The picture could not be made. Try again.").header("Retry-After", "1")
}

fn crowded() -> Problem {
    Problem::new(
        Code::Unavailable,
        "Too many pictures are waiting to be made: try again in a few seconds.",
    )
    .header("Retry-After", "5")
}

fn missing() -> Problem {
    Problem::not_found("file")
}

/// Makes a variant that the store does not have, and keeps it. 404 for what is none, 503 when too many wait.
pub async fn make(app: &State, req: &HttpRequest, key: &str) -> Result<Made> {
    let (stem, spec) = spec::read_key(key).ok_or_else(missing)?;
    if let Some(landed) = app.variants.board.join(key) {
        return wait(landed).await;
    }
    app.limits.reads(req)?;
    let stem = stem.to_owned();
    let original = app.db.read(move |conn| find_allowed(conn, &stem, spec)).await?;
    let original = original.ok_or_else(missing)?;
    if original.broken {
        return Ok(Made::Elsewhere(media_url(&app.config, &original.file_key)));
    }
    if spec.format == VariantFormat::Avif {
        super::avif::ask(app, &original, key).await;
        // Nobody waits for AVIF: the next best format has the same picture.
        let format = VariantFormat::WebP;
        let key = spec::object_key(&original.file_key, &Spec { format, ..spec });
        return Ok(Made::Elsewhere(variant_url(&app.config, &key)));
    }
    let place = Arc::clone(&app.variants.places)
        .try_acquire_owned()
        .map_err(|_| crowded())?;
    let (landed, mine) = app.variants.board.enter(key, &original.file_key, spec);
    if mine {
        // Detached from the client: one who hangs up takes nothing from those who wait for the same.
        tokio::task::spawn(fly(app.clone(), place, key.to_owned(), original));
    }
    wait(landed).await
}

fn find_allowed(conn: &mut crate::db::Conn, stem: &str, spec: Spec) -> Result<Option<Original>> {
    let Some(original) = store::find(conn, stem)?.filter(|original| original.source().allows(&spec)) else {
        return Ok(None);
    };
    let known = match spec.point() {
        None => true,
        Some(point) => store::had_point(conn, &original, point)?,
    };
    Ok(known.then_some(original))
}

async fn wait(mut landed: Landed) -> Result<Made> {
    let outcome = landed.wait_for(Option::is_some).await.map_err(|_| failed())?.clone();
    match outcome.as_deref() {
        Some(Ok(made)) => Ok(made.clone()),
        Some(Err(problem)) => Err(problem.copy()),
        None => Err(failed()),
    }
}

/// Waits for a turn, and makes everything of the same original that waits by then. A turn may find that an earlier one
/// has done it.
async fn fly(app: State, place: OwnedSemaphorePermit, key: String, original: Original) {
    // How much memory it needs is known once it is read.
    let turn = match app.decoding.turn(0).await {
        Ok(turn) => turn,
        Err(problem) => return app.variants.board.cancel(&key, problem),
    };
    let tickets = app.variants.board.board(&app, &key, &original.file_key);
    // Whoever missed it while the last making of it was landing.
    let mut wanted = Vec::new();
    for ticket in tickets {
        match app.media.get(&ticket.key, None).await {
            Ok(Some(object)) => ticket.land(Ok(Made::File(object.bytes))),
            _ => wanted.push(ticket),
        }
    }
    if wanted.is_empty() {
        return;
    }
    let specs: Vec<Spec> = wanted.iter().map(|ticket| ticket.spec).collect();
    let rendered = render_all(&app, &original, specs, turn).await;
    drop(place);
    match rendered {
        Ok(Ok(files)) => {
            let files: Vec<(Spec, Bytes)> = wanted.iter().map(|ticket| ticket.spec).zip(files).collect();
            keep(&app, &original.file_key, &files).await;
            tracing::debug!(file = original.file_key, variants = files.len(), "made variants");
            for (ticket, (_, bytes)) in wanted.into_iter().zip(files) {
                ticket.land(Ok(Made::File(bytes)));
            }
        }
        Ok(Err(rejected)) => {
            let told = give_up(&app, &original, &rejected).await;
            let there = media_url(&app.config, &original.file_key);
            for ticket in wanted {
                let outcome = match &told {
                    Ok(()) => Ok(Made::Elsewhere(there.clone())),
                    Err(problem) => Err(problem.copy()),
                };
                ticket.land(outcome);
            }
        }
        Err(problem) => {
            for ticket in wanted {
                ticket.land(Err(problem.copy()));
            }
        }
    }
}

/// The code of an original whose bytes have changed in the store.
const BENT: &str = "image_bent";

/// A stored original, as it was when it was stored: what is made of a bent one would be kept for good.
pub async fn bytes_of(app: &State, original: &Original) -> Result<Option<Result<Bytes, Rejected>>> {
    let Some(stored) = app.media.get(&original.file_key, None).await? else {
        return Ok(None);
    };
    let (bytes, sha256) = (stored.bytes, original.sha256.clone());
    let compared = tokio::task::spawn_blocking(move || (hash(&bytes) == sha256).then_some(bytes));
    let whole = compared.await.map_err(Problem::internal)?;
    Ok(Some(whole.ok_or_else(|| Rejected {
        code: BENT,
        detail: "The stored file is not what was uploaded: put it back from a backup.".into(),
    })))
}

/// Makes variants of an original from one decoding, where a busy thread hurts nobody.
async fn render_all(
    app: &State,
    original: &Original,
    specs: Vec<Spec>,
    turn: crate::images::turns::Turn,
) -> Result<Result<Vec<Bytes>, Rejected>> {
    let bytes = match bytes_of(app, original).await?.ok_or_else(missing)? {
        Ok(bytes) => bytes,
        Err(rejected) => return Ok(Err(rejected)),
    };
    let wanted: Vec<Wanted> = specs
        .iter()
        .map(|spec| Wanted {
            width: spec.width,
            cut: spec::cut(spec.cropped),
            format: spec.format,
        })
        .collect();
    let turn = app
        .decoding
        .enough(turn, need(&bytes, &wanted, &Limits::of_stored()))
        .await?;
    let promised = original.clone();
    let work = move || {
        // Held until the work is done, also when nobody waits any more.
        let _held = turn;
        let rendered = render(&bytes, &wanted, &Limits::of_stored())?;
        let checked = specs
            .iter()
            .zip(rendered)
            .map(|(spec, file)| as_promised(&promised, spec, file));
        checked.collect()
    };
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)
}

/// Answers have told the file's size and type before there was one.
fn as_promised(original: &Original, spec: &Spec, file: Rendered) -> Result<Bytes, Rejected> {
    let size = original.source().size(spec);
    if size == Some((file.width, file.height)) && file.media_type == spec.format.media_type() {
        return Ok(Bytes::from(file.bytes));
    }
    Err(Rejected {
        code: "internal_error",
        detail: format!(
            "{spec} came out as {} of {} × {}",
            file.media_type, file.width, file.height
        ),
    })
}

/// Puts files into the store: first their rows, then the files, then that they are there. What cannot be kept is made
/// again the next time.
pub async fn keep(app: &State, file_key: &str, files: &[(Spec, Bytes)]) -> bool {
    let rows: Vec<(Spec, i64)> = files.iter().map(|(spec, bytes)| (*spec, bytes.len() as i64)).collect();
    let result: Result<()> = async {
        let key = file_key.to_owned();
        app.db.write(move |tx| store::begin(tx, &key, &rows)).await?;
        let mut written = Vec::new();
        for (spec, bytes) in files {
            let object_key = spec::object_key(file_key, spec);
            app.media.put(&object_key, bytes.clone()).await?;
            written.push(object_key);
        }
        app.db.write(move |tx| store::finish(tx, &written)).await
    }
    .await;
    app.variants.made.notify_one();
    if let Err(problem) = &result {
        tracing::warn!(file = file_key, cause = %problem, "variants were made and cannot be kept");
    }
    result.is_ok()
}

/// Tells whether the fault is the original's: then nothing will ever come of it.
async fn give_up(app: &State, original: &Original, rejected: &Rejected) -> Result<()> {
    if rejected.code == "internal_error" {
        return Err(Problem::internal(rejected));
    }
    if matches!(rejected.code, "image_too_large" | BENT) {
        // Nothing is wrong with the picture: another program may have more room, and files come back from backups.
        tracing::error!(file = original.file_key, cause = %rejected, "a variant cannot be made; the picture is shown as it is");
        return Ok(());
    }
    tracing::error!(file = original.file_key, cause = %rejected, "no variants can be made of a stored picture; it is shown as it is");
    let original = original.clone();
    app.db.write(move |tx| store::give_up(tx, &original)).await?;
    Ok(())
}
