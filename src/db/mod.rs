//! The one door to the database: [`Db::read`] and [`Db::write`], and the schema's migrations.
//!
//! Which database it is, only this room knows. Queries are written once, against [`Conn`].
//!
//! SQLite has one writer thread ([`writer`]). Readers are separate `query_only` connections. PostgreSQL has a pool; lost
//! races are run again.

mod integrity;
mod kept;
mod location;
mod migrations;
mod opener;
mod text;
mod writer;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{Pool, PooledConnection};
use diesel::sql_types::{BigInt, Text};
use tokio::sync::{Semaphore, oneshot};

use crate::changes::{self, Change, Recorded, Truth};
use crate::error::{Code, Problem, Result};
use crate::types::Time;

pub use integrity::check_integrity;
pub use kept::KeptJson;
pub use location::Location;
pub use migrations::{check_schema, migrate};
use opener::{Open, Opener};
pub use text::{Fixed, Value, insert_once, run_text};
use writer::{Task, Work, start_writer};

/// How long a request waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How long a request waits for a server that took its question and is silent. One that lives ends a statement after ten
/// seconds, or after five behind another's lock, and no request has many long ones.
const SILENCE: Duration = Duration::from_secs(25);
/// Connections to PostgreSQL.
const POSTGRES_POOL: usize = 16;
/// How often a lost race is run again.
const RETRIES: usize = 3;
/// A read that takes longer has waited for a disk, and not just for its turn on a busy processor.
const SLOW: Duration = Duration::from_millis(10);
/// For so many times as long as a slow read took, no other is done where others wait behind it: they wait for a hundredth of
/// the time at most.
const REST: u32 = 100;

/// A connection to either database. Store functions take `&mut Conn` and need not know which it is.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    /// The embedded database.
    Sqlite(SqliteConnection),
    /// A PostgreSQL server.
    Postgres(PgConnection),
}

/// A write transaction: the connection, its time, and the public changes that are numbered just before COMMIT.
pub struct Tx<'c> {
    /// The connection, inside the transaction.
    pub conn: &'c mut Conn,
    /// The transaction's time: one for everything it writes.
    pub now: Time,
    changes: Vec<Change>,
}

impl Tx<'_> {
    /// Remembers a public change; it takes its number as the last statement before COMMIT.
    pub fn push_change(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Runs a part of the work that may be refused without undoing the rest. Whatever is no refusal (a lost race, a database
    /// that cannot write) is the outer error and ends the whole.
    pub fn attempt<T>(&mut self, part: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<Result<T>> {
        self.conn.batch_execute("SAVEPOINT part")?;
        let changes = self.changes.len();
        match part(self) {
            Err(problem) if problem.is_retryable() || problem.code().status().is_server_error() => Err(problem),
            Err(problem) => {
                self.conn.batch_execute("ROLLBACK TO part; RELEASE part")?;
                self.changes.truncate(changes);
                Ok(Err(problem))
            }
            Ok(value) => {
                self.conn.batch_execute("RELEASE part")?;
                Ok(Ok(value))
            }
        }
    }
}

/// Prepares a piece of work, unless that was done before its turn, and does it.
pub fn in_turn<P, T>(
    tx: &mut Tx<'_>,
    prepared: Option<Arc<P>>,
    prepare: impl Fn(&mut Conn) -> Result<P>,
    work: impl Fn(&mut Tx<'_>, &P) -> Result<T>,
) -> Result<(Arc<P>, T)> {
    let prepared = match prepared {
        Some(prepared) => prepared,
        None => Arc::new(prepare(tx.conn)?),
    };
    let done = work(tx, &prepared)?;
    Ok((prepared, done))
}

/// What a piece of work came to: its answer, and the public changes that are applied once it is committed.
struct Written<T> {
    value: T,
    changes: Vec<Arc<Recorded>>,
}

/// Runs one piece of work inside an open transaction or savepoint.
fn run<T>(conn: &mut Conn, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<Written<T>> {
    let mut tx = Tx {
        conn,
        now: Time::now(),
        changes: Vec::new(),
    };
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let value = work(&mut tx)?;
        let changes = std::mem::take(&mut tx.changes);
        let changes = changes::flush(tx.conn, changes, tx.now)?;
        Ok(Written { value, changes })
    }));
    result.unwrap_or_else(|panic| Err(Problem::internal(format!("a write panicked: {}", panic_text(&*panic)))))
}

/// The words of a panic, for the log.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// The database, as handlers see it. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pool: Pool<Opener>,
    permits: Arc<Semaphore>,
    writer: Option<SyncSender<Box<dyn Work>>>,
    truth: Arc<Truth>,
    opened: Instant,
    haste: Arc<Haste>,
    hurries: bool,
}

impl Db {
    /// Opens the database. Its schema has to be up to date; see [`migrate`].
    pub fn open(location: &Location) -> Result<Self, String> {
        let readers = std::thread::available_parallelism().map_or(4, |n| (n.get() * 2).max(4));
        let size = if location.is_sqlite() { readers } else { POSTGRES_POOL };
        let opener = Opener {
            location: location.clone(),
            read_only: location.is_sqlite(),
        };
        let pool = Pool::builder()
            .max_size(size as u32)
            .min_idle(Some(0))
            .test_on_check_out(!location.is_sqlite())
            .connection_timeout(ACQUIRE)
            .build_unchecked(opener);
        let mut first = pool
            .get()
            .map_err(|error| format!("The database cannot be opened: {error}"))?;
        let head = changes::head(&mut first.conn).map_err(|problem| problem.to_string())?;
        drop(first);
        let truth = Arc::new(Truth::new(head));
        let writer = match location {
            Location::Sqlite(_) => Some(start_writer(location.clone(), Arc::clone(&truth))?),
            Location::Postgres(_) => None,
        };
        Ok(Self {
            pool,
            permits: Arc::new(Semaphore::new(size)),
            writer,
            truth,
            opened: Instant::now(),
            haste: Arc::default(),
            hurries: false,
        })
    }

    /// From here on nobody waits for ever for a server that is silent: for a program that serves. What an operator starts by
    /// hand may take its time.
    pub fn hurry(&mut self) {
        self.hurries = self.writer.is_none();
    }

    /// What this process knows of the public truth.
    pub fn truth(&self) -> &Arc<Truth> {
        &self.truth
    }

    /// Runs queries in one snapshot of the database, off the async threads.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        self.blocking(move |open| in_snapshot(open, work)).await
    }

    /// Runs one statement on this thread, at once: for a look by index, which in an embedded database costs less than handing
    /// it to another thread. What runs several must put them into a snapshot by [`Here::together`]. None when it would have
    /// to wait: for a server, for a connection, or for a disk, as the last such read did.
    pub fn read_here<T>(&self, work: impl FnOnce(&mut Here<'_>) -> Result<T>) -> Option<Result<T>> {
        Some(self.at_hand()?.run(work))
    }

    /// Runs a few looks by index in one snapshot: on this thread when the database has them at hand, as for
    /// [`Self::read_here`], else off it.
    pub async fn look<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        match self.at_hand() {
            Some(at_hand) => at_hand.run(|here| here.together(work)),
            None => self.read(work).await,
        }
    }

    fn at_hand(&self) -> Option<AtHand<'_>> {
        self.writer.as_ref()?;
        let begin = self.opened.elapsed();
        if !self.haste.is_right(begin) {
            return None;
        }
        let open = self.pool.try_get()?;
        Some(AtHand { db: self, open, begin })
    }

    /// Runs one write transaction, wholly or not at all, and answers after it is on disk. The work may be run again
    /// when a race was lost or a neighbour's failure undid the group, so it must leave nothing behind but its rows.
    pub async fn write<T, F>(&self, mut work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let Some(writer) = &self.writer else {
            let truth = Arc::clone(&self.truth);
            return self.blocking(move |open| postgres_write(open, &truth, &mut work)).await;
        };
        let (reply, answer) = oneshot::channel();
        match writer.try_send(Box::new(Task::new(work, reply))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(overloaded("the writer's queue is full")),
            Err(TrySendError::Disconnected(_)) => return Err(Problem::internal("the writer has stopped")),
        }
        answer
            .await
            .unwrap_or_else(|_| Err(Problem::internal("the writer dropped a task")))
    }

    /// Does a write's looks and reckoning before its turn, where they keep nobody waiting: beside SQLite outside of the
    /// transaction. None beside PostgreSQL, which has no such turn: there they are done within. The database's own rules
    /// must tell in its turn whether what was prepared still holds. `aside` is for what takes long.
    pub async fn prepare<P, G>(&self, aside: bool, prepare: &Arc<G>) -> Result<Option<Arc<P>>>
    where
        P: Send + Sync + 'static,
        G: Fn(&mut Conn) -> Result<P> + Send + Sync + 'static,
    {
        if self.writer.is_none() {
            return Ok(None);
        }
        let prepare = Arc::clone(prepare);
        let look = move |conn: &mut Conn| prepare(conn);
        let prepared = match aside {
            true => self.read(look).await?,
            false => self.look(look).await?,
        };
        Ok(Some(Arc::new(prepared)))
    }

    async fn blocking<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Open) -> Result<T> + Send + 'static,
    {
        let permits = Arc::clone(&self.permits);
        let permit = tokio::time::timeout(ACQUIRE, permits.acquire_owned())
            .await
            .map_err(|_| overloaded("no connection was free in time"))?
            .map_err(Problem::internal)?;
        let pool = self.pool.clone();
        let joined = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut open = pool.get().map_err(overloaded)?;
            work(&mut open)
        });
        if !self.hurries {
            return joined.await.map_err(Problem::internal)?;
        }
        // The thread goes on waiting, with its permit: when all permits are gone, nobody waits longer than for one of them.
        match tokio::time::timeout(SILENCE, joined).await {
            Ok(joined) => joined.map_err(Problem::internal)?,
            Err(_) => Err(silent()),
        }
    }
}

/// A server that took a question and says nothing.
fn silent() -> Problem {
    let text =
        "The database did not answer in time. If this was a change, it may have been made: look before you try again.";
    Problem::new(Code::Unavailable, text).header("Retry-After", "5")
}

/// A connection that could be had without waiting.
struct AtHand<'d> {
    db: &'d Db,
    open: PooledConnection<Opener>,
    begin: Duration,
}

impl AtHand<'_> {
    fn run<T>(mut self, work: impl FnOnce(&mut Here<'_>) -> Result<T>) -> Result<T> {
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| work(&mut Here(&mut self.open))));
        self.db.haste.took(self.begin, self.db.opened.elapsed());
        result.unwrap_or_else(|panic| {
            self.open.broken = true;
            Err(Problem::internal(format!("a read panicked: {}", panic_text(&*panic))))
        })
    }
}

/// A connection for one statement at a time.
pub struct Here<'o>(&'o mut Open);

impl Here<'_> {
    /// Runs one statement, which is a snapshot by itself.
    pub fn once<T>(&mut self, statement: impl FnOnce(&mut Conn) -> Result<T>) -> Result<T> {
        statement(&mut self.0.conn)
    }

    /// Runs several in one snapshot.
    pub fn together<T>(&mut self, work: impl FnOnce(&mut Conn) -> Result<T>) -> Result<T> {
        in_snapshot(self.0, work)
    }
}

/// Whether reads may be done where others wait behind them: not for a while after one that took long. Times are since the
/// database was opened.
#[derive(Debug, Default)]
struct Haste {
    /// In microseconds.
    slow_until: AtomicU64,
}

impl Haste {
    fn is_right(&self, now: Duration) -> bool {
        now.as_micros() as u64 >= self.slow_until.load(Ordering::Relaxed)
    }

    fn took(&self, begin: Duration, end: Duration) {
        if end - begin > SLOW {
            let until = (end + REST * (end - begin)).as_micros() as u64;
            self.slow_until.store(until, Ordering::Relaxed);
        }
    }
}

/// Runs queries that all see the same state of the database.
fn in_snapshot<T>(open: &mut Open, work: impl FnOnce(&mut Conn) -> Result<T>) -> Result<T> {
    let conn = &mut open.conn;
    let (begin, end) = match conn {
        // Nothing can have been written, and SQLite ends a transaction cheaper than it takes one back.
        Conn::Sqlite(_) => ("BEGIN", "COMMIT"),
        Conn::Postgres(_) => ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "ROLLBACK"),
    };
    Fixed::new(begin).run(conn)?;
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| work(conn)));
    open.broken = Fixed::new(end).run(&mut open.conn).is_err();
    result.unwrap_or_else(|panic| Err(Problem::internal(format!("a read panicked: {}", panic_text(&*panic)))))
}

fn overloaded(cause: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Unavailable, "The database cannot be reached just now. Try again.")
        .header("Retry-After", "2")
        .because(cause)
}

fn postgres_write<T>(open: &mut Open, truth: &Truth, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
    let mut tries = 0;
    loop {
        tries += 1;
        open.conn.batch_execute("BEGIN")?;
        let result = run(&mut open.conn, work).and_then(|value| {
            open.conn.batch_execute("COMMIT")?;
            Ok(value)
        });
        let problem = match result {
            Ok(written) => {
                truth.apply(&written.changes);
                return Ok(written.value);
            }
            Err(problem) => problem,
        };
        if open.conn.batch_execute("ROLLBACK").is_err() {
            open.broken = true;
            return Err(problem);
        }
        if !problem.is_retryable() || tries > RETRIES {
            return Err(problem);
        }
    }
}

/// What time the database has: PostgreSQL's own clock, one for all instances; beside SQLite the machine's.
pub fn clock(conn: &mut Conn) -> Result<Time> {
    #[derive(QueryableByName)]
    struct Clock {
        #[diesel(sql_type = BigInt)]
        ms: i64,
    }
    match conn {
        Conn::Sqlite(_) => Ok(Time::now()),
        Conn::Postgres(conn) => {
            let query = "SELECT CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT) AS ms";
            Ok(Time::from_ms(diesel::sql_query(query).get_result::<Clock>(conn)?.ms))
        }
    }
}

/// Waits for a lock that only this transaction's end releases, on the whole installation; at most as long as for a row
/// (503 then). What is read after it sees what the one before committed.
pub fn lock(conn: &mut Conn, name: &str) -> Result<()> {
    if let Conn::Postgres(conn) = conn {
        let query = "SELECT pg_advisory_xact_lock(hashtextextended($1, 7236584))";
        diesel::sql_query(query).bind::<Text, _>(name).execute(conn)?;
    }
    Ok(())
}

/// Takes a lock that only this transaction's end releases, on the whole installation; false when another has it.
/// SQLite has one writer, so there the lock is always free.
pub fn try_lock(conn: &mut Conn, name: &str) -> Result<bool> {
    #[derive(QueryableByName)]
    struct Got {
        #[diesel(sql_type = diesel::sql_types::Bool)]
        got: bool,
    }
    match conn {
        Conn::Sqlite(_) => Ok(true),
        Conn::Postgres(conn) => {
            let query = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 7236584)) AS got";
            Ok(diesel::sql_query(query)
                .bind::<Text, _>(name)
                .get_result::<Got>(conn)?
                .got)
        }
    }
}

#[cfg(test)]
pub mod tests;
