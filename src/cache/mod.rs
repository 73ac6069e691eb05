//! How delivery reads are answered: from memory while nothing they are made of has changed, else built once, however many
//! ask for the same thing.
//!
//! An answer knows at which change number it was built and on which purge keys it depends ([`crate::changes::Truth`]).
//! It is used while none of them is newer, looked at on each use, so nothing has to be dropped when something changes.

mod entry;

use std::collections::HashMap;
use std::collections::hash_map;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use tokio::sync::watch;

use crate::app::State;
use crate::changes::Truth;
use crate::conditional::Made;
use crate::db::{Conn, Db, Here};
use crate::error::{Code, Problem, Result};

pub use entry::{Entry, Response};

/// What a delivery read came to.
pub enum Outcome {
    /// The answer.
    Here(Made),
    /// It is at this address now (308); the query is kept.
    Moved(String),
}

/// The address of a request, for what is built away from it.
#[derive(Debug, Clone)]
pub struct Target {
    /// The path.
    pub path: String,
    /// The query string, without the question mark.
    pub query: String,
}

impl Target {
    /// The address of this request.
    pub fn of(req: &HttpRequest) -> Self {
        Self {
            path: req.path().to_owned(),
            query: req.query_string().to_owned(),
        }
    }
}

/// The name an answer is kept by: the address, with the parameters of the query in one order.
fn canonical(path: &str, query: &str) -> String {
    if query.is_empty() {
        return path.to_owned();
    }
    let mut pairs: Vec<&str> = query.split('&').collect();
    pairs.sort_unstable();
    format!("{path}?{}", pairs.join("&"))
}

/// Rendered answers, and the builds that are running.
pub struct Cache {
    entries: quick_cache::sync::Cache<Box<str>, Arc<Entry>, Weight>,
    flights: Mutex<HashMap<String, Flight>>,
}

/// An entry's share of the cache's bytes.
#[derive(Clone)]
struct Weight;

impl quick_cache::Weighter<Box<str>, Arc<Entry>> for Weight {
    fn weight(&self, key: &Box<str>, entry: &Arc<Entry>) -> u64 {
        (key.len() + entry.weight()) as u64
    }
}

/// What a build came to, once it did.
type Flight = watch::Receiver<Option<Arc<Result<Built>>>>;

enum Built {
    Entry(Arc<Entry>),
    Moved(String),
}

/// What one entry weighs on the average, to size the cache's tables.
const TYPICAL_WEIGHT: u64 = 8 * 1024;

impl Cache {
    /// A cache of so many bytes; 0 keeps nothing.
    pub fn new(bytes: u64) -> Self {
        let items = (bytes / TYPICAL_WEIGHT) as usize;
        Self {
            entries: quick_cache::sync::Cache::with_weighter(items, bytes, Weight),
            flights: Mutex::default(),
        }
    }

    /// The answer to this address, when there is one that holds.
    pub fn get(&self, path: &str, query: &str) -> Option<Arc<Entry>> {
        let found = if query.contains('&') {
            self.entries.get(canonical(path, query).as_str())
        } else if query.is_empty() {
            self.entries.get(path)
        } else {
            self.entries.get(format!("{path}?{query}").as_str())
        };
        found.filter(|entry| entry.is_current())
    }

    fn flights(&self) -> std::sync::MutexGuard<'_, HashMap<String, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a flight off the board when its build ends, however it ends.
struct Landing {
    app: State,
    key: String,
}

impl Landing {
    /// Tells those who wait. Off the board first: who comes now starts anew instead of getting what was seen before they
    /// came.
    fn land(self, done: &watch::Sender<Option<Arc<Result<Built>>>>, built: Result<Built>) {
        drop(self);
        // All who waited may have hung up.
        let _ = done.send(Some(Arc::new(built)));
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.app.cache.flights().remove(&self.key);
    }
}

/// A builder of answers, shared by those who wait for one.
type Builder = dyn Fn(&mut Conn) -> Result<Outcome> + Send + Sync;

/// Answers a delivery read. The builder runs in one snapshot of the database, and may be run again.
pub async fn serve<F>(app: &State, req: &HttpRequest, build: F) -> Result<HttpResponse>
where
    F: Fn(&mut Conn) -> Result<Outcome> + Send + Sync + 'static,
{
    serve_for(app, req, req.query_string(), build).await
}

/// The same for an address that ignores parameters it does not know: `query` has the others, and the answer is kept
/// under them alone.
pub async fn serve_for<F>(app: &State, req: &HttpRequest, query: &str, build: F) -> Result<HttpResponse>
where
    F: Fn(&mut Conn) -> Result<Outcome> + Send + Sync + 'static,
{
    if let Some(entry) = app.cache.get(req.path(), query) {
        return Ok(entry.answer(req.head()).into());
    }
    app.limits.reads(req)?;
    let key = canonical(req.path(), query);
    let build: Arc<Builder> = Arc::new(build);
    let mut tries = 0;
    loop {
        let (flight, mine) = board(app, &key, &build);
        let built = landed(flight).await?;
        tries += 1;
        match &*built {
            Err(problem) => {
                // What somebody else's earlier look came to may be out of date by now.
                if mine || tries > 3 {
                    return Err(problem.copy());
                }
            }
            Ok(Built::Moved(location)) => {
                if mine || tries > 3 {
                    return Ok(moved(location, req.query_string()));
                }
            }
            Ok(Built::Entry(entry)) => {
                // A build that began before this request must not answer it with what has changed since.
                if mine || entry.is_current() {
                    return Ok(entry.answer(req.head()).into());
                }
            }
        }
    }
}

/// Builds an answer on this thread when that takes no waiting: nobody else builds it, and the database can be read at once.
/// None when it has to go the ordinary way, also when there is no answer to give.
pub fn build_here<F>(app: &State, path: &str, build: F) -> Option<Arc<Entry>>
where
    F: FnOnce(&mut Here<'_>) -> Result<(Outcome, i64)>,
{
    app.db
        .read_here(|here| {
            let done = {
                let mut flights = app.cache.flights();
                let hash_map::Entry::Vacant(vacant) = flights.entry(path.to_owned()) else {
                    return Ok(None);
                };
                if let Some(entry) = app.cache.entries.get(path).filter(|entry| entry.is_current()) {
                    return Ok(Some(entry));
                }
                let (done, flight) = watch::channel(None);
                vacant.insert(flight);
                done
            };
            let landing = Landing {
                app: app.clone(),
                key: path.to_owned(),
            };
            let built = build(here).map(|(outcome, seq)| built_of(app.db.truth(), outcome, seq));
            let entry = keep(app, path, &built);
            // Whoever came for the same meanwhile.
            landing.land(&done, built);
            Ok(entry)
        })?
        .ok()?
}

/// Keeps what was built, if it is an answer and nothing has changed since.
fn keep(app: &State, key: &str, built: &Result<Built>) -> Option<Arc<Entry>> {
    tracing::debug!(key, "built");
    let Ok(Built::Entry(entry)) = built else { return None };
    if entry.is_current() {
        app.cache.entries.insert(key.into(), Arc::clone(entry));
    }
    Some(Arc::clone(entry))
}

/// The build of this answer: the one that runs, or a new one, which then is the caller's own.
fn board(app: &State, key: &str, build: &Arc<Builder>) -> (Flight, bool) {
    let mut flights = app.cache.flights();
    let vacant = match flights.entry(key.to_owned()) {
        hash_map::Entry::Occupied(flight) => return (flight.get().clone(), false),
        hash_map::Entry::Vacant(vacant) => vacant,
    };
    // Whoever missed while the last build of this was landing: it is here by now.
    if let Some(entry) = app.cache.entries.get(key).filter(|entry| entry.is_current()) {
        let landed = Some(Arc::new(Ok(Built::Entry(entry))));
        return (watch::channel(landed).1, false);
    }
    let (done, flight) = watch::channel(None);
    vacant.insert(flight.clone());
    let landing = Landing {
        app: app.clone(),
        key: key.to_owned(),
    };
    let build = Arc::clone(build);
    // Detached from the client: one who hangs up takes nothing from those who wait for the same.
    tokio::task::spawn(async move {
        let app = landing.app.clone();
        let built = render(&app.db, build).await;
        keep(&app, &landing.key, &built);
        landing.land(&done, built);
    });
    (flight, true)
}

async fn landed(mut flight: Flight) -> Result<Arc<Result<Built>>> {
    let lost =
        || Problem::new(Code::Unavailable, "The answer could not be built. Try again.").header("Retry-After", "1");
    let built = flight.wait_for(Option::is_some).await.map_err(|_| lost())?.clone();
    built.ok_or_else(lost)
}

async fn render(db: &Db, build: Arc<Builder>) -> Result<Built> {
    let truth = Arc::clone(db.truth());
    db.read(move |conn| built(&truth, conn, &*build)).await
}

fn built(truth: &Truth, conn: &mut Conn, build: impl FnOnce(&mut Conn) -> Result<Outcome>) -> Result<Built> {
    // In the same snapshot as the data, and before it: what this snapshot sees has then been applied to what the process
    // remembers, and to all answers before anybody reads this one.
    let seq = truth.catch_up(conn)?;
    Ok(built_of(truth, build(conn)?, seq))
}

fn built_of(truth: &Truth, outcome: Outcome, seq: i64) -> Built {
    match outcome {
        Outcome::Moved(location) => Built::Moved(location),
        Outcome::Here(made) => Built::Entry(Arc::new(entry_of(truth, made, seq))),
    }
}

fn entry_of(truth: &Truth, made: Made, seq: i64) -> Entry {
    let keys = std::iter::once("site").chain(made.keys.iter().map(String::as_str));
    let cells = truth.cells(keys, seq);
    Entry::new(made, seq, cells, true)
}

/// 308 to where it is now.
fn moved(location: &str, query: &str) -> HttpResponse {
    let location = match query {
        "" => location.to_owned(),
        query => format!("{location}?{query}"),
    };
    HttpResponse::PermanentRedirect()
        .insert_header((header::LOCATION, location))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn the_order_of_parameters_does_not_matter() {
        assert_eq!(canonical("/a", ""), "/a");
        assert_eq!(canonical("/a", "x=1"), "/a?x=1");
        assert_eq!(canonical("/a", "y=2&x=1"), canonical("/a", "x=1&y=2"));
        assert_ne!(canonical("/a", "x=1&x=2"), canonical("/a", "x=1"));
    }
}
