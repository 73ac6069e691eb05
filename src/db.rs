//! The one door to the database: [`Db::read`] and [`Db::write`], and the schema's migrations.
//!
//! Which database it is, only this file knows. Queries are written once, against [`Conn`].
//!
//! SQLite has one writer thread. It takes the writes that wait, runs each in a savepoint of its own and commits them
//! together, so that the cost of a durable commit (`synchronous=FULL`) is shared; no answer leaves before that commit.
//! Readers are separate `query_only` connections. PostgreSQL has a pool; lost races are run again.

use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ManageConnection, Pool};
use diesel::sql_types::{BigInt, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use tokio::sync::{Semaphore, oneshot};

use crate::changes::{self, Change, Recorded, Truth};
use crate::error::{Code, Problem, Result};
use crate::types::Time;

const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Writes that may wait for the SQLite writer; more are answered 503.
const QUEUE: usize = 1024;
/// Writes that share one commit.
const GROUP: usize = 64;
/// Pages of SQLite's log before they are copied into the database's file: 32 MiB. The log is written either way; copied less
/// often, pages that every write touches are copied once in place of many times.
const CHECKPOINT: u32 = 8192;
/// How long a request waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// Connections to PostgreSQL.
const POSTGRES_POOL: usize = 16;
/// How often a lost race is run again.
const RETRIES: usize = 3;

/// A connection to either database. Store functions take `&mut Conn` and need not know which it is.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    /// The embedded database.
    Sqlite(SqliteConnection),
    /// A PostgreSQL server.
    Postgres(PgConnection),
}

/// Where the database is, read from `DATABASE_URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `sqlite://path`: a file, made when absent.
    Sqlite(PathBuf),
    /// `postgres://…`: given to libpq as it is.
    Postgres(String),
}

impl Location {
    /// Reads a URL; the error says what is wrong in one line.
    pub fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            if path.is_empty() {
                return Err("DATABASE_URL names no file: write sqlite://data/newsdesk.db".into());
            }
            Ok(Self::Sqlite(PathBuf::from(path)))
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Ok(Self::Postgres(url.to_owned()))
        } else {
            Err("DATABASE_URL must begin with sqlite:// or postgres://".into())
        }
    }

    /// Whether this is the embedded database.
    pub fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }
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
        })
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
        self.blocking(move |open| {
            let conn = &mut open.conn;
            let begin = match conn {
                Conn::Sqlite(_) => "BEGIN",
                Conn::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            };
            conn.batch_execute(begin)?;
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| work(conn)));
            open.broken = open.conn.batch_execute("ROLLBACK").is_err();
            result.unwrap_or_else(|panic| Err(Problem::internal(format!("a read panicked: {}", panic_text(&*panic)))))
        })
        .await
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
        match writer.try_send(Box::new(Task {
            work,
            result: None,
            reply: Some(reply),
        })) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(overloaded("the writer's queue is full")),
            Err(TrySendError::Disconnected(_)) => return Err(Problem::internal("the writer has stopped")),
        }
        answer
            .await
            .unwrap_or_else(|_| Err(Problem::internal("the writer dropped a task")))
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
        joined.await.map_err(Problem::internal)?
    }
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

/// A task for the writer whose result type is hidden.
trait Work: Send {
    fn run(&mut self, conn: &mut Conn) -> bool;
    fn answer(self: Box<Self>, committed: Result<(), &Problem>, truth: &Truth);
}

struct Task<T, F> {
    work: F,
    result: Option<Result<Written<T>>>,
    reply: Option<oneshot::Sender<Result<T>>>,
}

impl<T: Send, F: FnMut(&mut Tx<'_>) -> Result<T> + Send> Work for Task<T, F> {
    fn run(&mut self, conn: &mut Conn) -> bool {
        let result = run(conn, &mut self.work);
        let good = result.is_ok();
        self.result = Some(result);
        good
    }

    fn answer(mut self: Box<Self>, committed: Result<(), &Problem>, truth: &Truth) {
        let result = match (self.result.take(), committed) {
            (Some(Ok(_)) | None, Err(problem)) => Err(problem.copy()),
            (Some(Ok(written)), Ok(())) => {
                truth.apply(&written.changes);
                Ok(written.value)
            }
            (Some(Err(problem)), _) => Err(problem),
            (None, Ok(())) => Err(Problem::internal("a task was never run")),
        };
        if let Some(reply) = self.reply.take() {
            // The caller may have gone away; what is committed stays committed.
            let _ = reply.send(result);
        }
    }
}

fn start_writer(location: Location, truth: Arc<Truth>) -> Result<SyncSender<Box<dyn Work>>, String> {
    let opener = Opener {
        location,
        read_only: false,
    };
    let conn = opener
        .open()
        .map_err(|error| format!("The database cannot be opened: {error}"))?;
    let (sender, receiver) = sync_channel(QUEUE);
    std::thread::Builder::new()
        .name("writer".into())
        .spawn(move || write_groups(&opener, conn, &receiver, &truth))
        .map_err(|error| format!("The writer cannot be started: {error}"))?;
    Ok(sender)
}

fn write_groups(opener: &Opener, conn: Conn, tasks: &Receiver<Box<dyn Work>>, truth: &Truth) {
    let mut conn = Some(conn);
    while let Ok(first) = tasks.recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = tasks.try_recv()
        {
            group.push(next);
        }
        let Err(problem) = commit_group(opener, &mut conn, &mut group) else {
            group.into_iter().for_each(|task| task.answer(Ok(()), truth));
            continue;
        };
        if group.len() == 1 {
            group.into_iter().for_each(|task| task.answer(Err(&problem), truth));
            continue;
        }
        tracing::warn!(cause = %problem, tasks = group.len(), "a group of writes was undone; running them one by one");
        for task in group {
            let mut alone = vec![task];
            let outcome = commit_group(opener, &mut conn, &mut alone);
            alone
                .into_iter()
                .for_each(|task| task.answer(outcome.as_ref().copied(), truth));
        }
    }
}

/// Runs the tasks in one transaction. On error nothing of the group is in the database, and the connection is
/// dropped: after an automatic rollback (disk full, I/O error) the next savepoint would open a transaction of its own.
fn commit_group(opener: &Opener, slot: &mut Option<Conn>, group: &mut [Box<dyn Work>]) -> Result<()> {
    let mut conn = match slot.take() {
        Some(conn) => conn,
        None => opener.open().map_err(overloaded)?,
    };
    conn.batch_execute("BEGIN IMMEDIATE")?;
    for task in group {
        conn.batch_execute("SAVEPOINT task")?;
        let end = if task.run(&mut conn) {
            "RELEASE task"
        } else {
            "ROLLBACK TO task; RELEASE task"
        };
        conn.batch_execute(end)?;
    }
    conn.batch_execute("COMMIT")?;
    *slot = Some(conn);
    Ok(())
}

/// A pooled connection; a broken one is not given out again.
pub struct Open {
    conn: Conn,
    broken: bool,
}

/// Opens connections with the settings that both databases need to keep our promises.
#[derive(Debug, Clone)]
pub struct Opener {
    location: Location,
    read_only: bool,
}

impl Opener {
    fn open(&self) -> Result<Conn, String> {
        match &self.location {
            Location::Sqlite(path) => {
                let mut conn =
                    SqliteConnection::establish(&path.to_string_lossy()).map_err(|error| error.to_string())?;
                let query_only = if self.read_only { "ON" } else { "OFF" };
                conn.batch_execute(&format!(
                    "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; \
                     PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA mmap_size=0; \
                     PRAGMA journal_size_limit=67108864; PRAGMA wal_autocheckpoint={CHECKPOINT}; \
                     PRAGMA query_only={query_only};"
                ))
                .map_err(|error| error.to_string())?;
                Ok(Conn::Sqlite(conn))
            }
            Location::Postgres(url) => {
                let mut conn = PgConnection::establish(url).map_err(|error| error.to_string())?;
                conn.batch_execute(
                    "SET statement_timeout='10s'; SET lock_timeout='5s'; \
                     SET idle_in_transaction_session_timeout='2s'; SET timezone='UTC'; SET client_min_messages=warning;",
                )
                .map_err(|error| error.to_string())?;
                Ok(Conn::Postgres(conn))
            }
        }
    }
}

impl ManageConnection for Opener {
    type Connection = Open;
    type Error = OpenError;

    fn connect(&self) -> Result<Open, OpenError> {
        self.open().map(|conn| Open { conn, broken: false }).map_err(OpenError)
    }

    fn is_valid(&self, open: &mut Open) -> Result<(), OpenError> {
        open.conn
            .batch_execute("SELECT 1")
            .map_err(|error| OpenError(error.to_string()))
    }

    fn has_broken(&self, open: &mut Open) -> bool {
        open.broken
    }
}

/// Why a connection could not be opened.
#[derive(Debug)]
pub struct OpenError(String);

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}

/// Brings the schema up to date, one process at a time; each migration wholly or not at all. Gives the names of the
/// migrations that were run. A schema newer than this program is refused.
pub fn migrate(location: &Location) -> Result<Vec<String>, String> {
    let mut _lock = None;
    if let Location::Sqlite(path) = location {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("The folder {} cannot be made: {error}", folder.display()))?;
        }
        _lock = Some(lock_file(path)?);
    }
    let opener = Opener {
        location: location.clone(),
        read_only: false,
    };
    let conn = opener
        .open()
        .map_err(|error| format!("The database cannot be opened: {error}"))?;
    match conn {
        Conn::Sqlite(mut conn) => apply(&mut conn, SQLITE_MIGRATIONS),
        Conn::Postgres(mut conn) => {
            // Held until the connection closes, also when we fail. A migration may wait and work for long.
            conn.batch_execute("SET statement_timeout=0; SET lock_timeout=0; SELECT pg_advisory_lock(7236584)")
                .map_err(|error| error.to_string())?;
            apply(&mut conn, POSTGRES_MIGRATIONS)
        }
    }
}

/// Refuses a schema that is not this program's, for those who run migrations themselves (`AUTO_MIGRATE=off`).
pub fn check_schema(location: &Location) -> Result<(), String> {
    let opener = Opener {
        location: location.clone(),
        read_only: false,
    };
    let pending = match opener
        .open()
        .map_err(|error| format!("The database cannot be opened: {error}"))?
    {
        Conn::Sqlite(mut conn) => pending(&mut conn, &SQLITE_MIGRATIONS)?,
        Conn::Postgres(mut conn) => pending(&mut conn, &POSTGRES_MIGRATIONS)?,
    };
    match pending {
        0 => Ok(()),
        count => Err(format!(
            "The schema lacks {count} migrations and AUTO_MIGRATE is off: run newsdesk migrate"
        )),
    }
}

/// What the database finds wrong with its files, and references that lead nowhere; one line each.
pub fn check_integrity(location: &Location) -> Result<Vec<String>, String> {
    let opener = Opener {
        location: location.clone(),
        read_only: true,
    };
    let conn = opener
        .open()
        .map_err(|error| format!("The database cannot be opened: {error}"))?;
    let faults = match conn {
        Conn::Sqlite(mut conn) => sqlite_faults(&mut conn),
        Conn::Postgres(mut conn) => postgres_faults(&mut conn),
    };
    faults.map_err(|error| format!("The database cannot be examined: {error}"))
}

fn sqlite_faults(conn: &mut SqliteConnection) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Fault {
        #[diesel(sql_type = Text)]
        integrity_check: String,
    }
    #[derive(QueryableByName)]
    struct Orphan {
        #[diesel(sql_type = Text)]
        table: String,
        #[diesel(sql_type = Text)]
        parent: String,
    }
    let faults: Vec<Fault> = diesel::sql_query("PRAGMA integrity_check(20)").load(conn)?;
    let orphans: Vec<Orphan> = diesel::sql_query("PRAGMA foreign_key_check").load(conn)?;
    let faults = faults.into_iter().map(|fault| fault.integrity_check);
    let mut lines: Vec<String> = faults.filter(|fault| fault != "ok").collect();
    lines.extend(orphans.iter().take(20).map(|orphan| {
        format!(
            "a row of {} names a row of {} that is not there",
            orphan.table, orphan.parent
        )
    }));
    Ok(lines)
}

/// PostgreSQL keeps references whole by itself, unless somebody switched that off, as some ways of restoring do.
fn postgres_faults(conn: &mut PgConnection) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Reference {
        #[diesel(sql_type = Text)]
        child: String,
        #[diesel(sql_type = Text)]
        child_column: String,
        #[diesel(sql_type = Text)]
        parent: String,
        #[diesel(sql_type = Text)]
        parent_column: String,
    }
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        n: i64,
    }
    conn.batch_execute("SET statement_timeout=0")?;
    let column = |table: &str, key: &str| {
        format!("(SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = {table} AND attnum = {key}[1])")
    };
    let references: Vec<Reference> = diesel::sql_query(format!(
        "SELECT conrelid::regclass::text AS child, {} AS child_column, confrelid::regclass::text AS parent, \
         {} AS parent_column FROM pg_constraint \
         WHERE contype = 'f' AND array_length(conkey, 1) = 1 AND connamespace = current_schema()::regnamespace",
        column("conrelid", "conkey"),
        column("confrelid", "confkey")
    ))
    .load(conn)?;
    let mut lines = Vec::new();
    for reference in references {
        let Reference {
            child,
            child_column,
            parent,
            parent_column,
        } = reference;
        let orphans: Count = diesel::sql_query(format!(
            "SELECT count(*) AS n FROM {child} c WHERE c.{child_column} IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE p.{parent_column} = c.{child_column})"
        ))
        .get_result(conn)?;
        if orphans.n > 0 {
            lines.push(format!(
                "{} rows of {child} name a row of {parent} that is not there",
                orphans.n
            ));
        }
    }
    Ok(lines)
}

fn lock_file(database: &Path) -> Result<File, String> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    file.lock()
        .map_err(|error| format!("{} cannot be locked: {error}", path.display()))?;
    Ok(file)
}

fn apply<DB, C>(conn: &mut C, migrations: EmbeddedMigrations) -> Result<Vec<String>, String>
where
    DB: diesel::backend::Backend,
    C: MigrationHarness<DB>,
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
{
    pending(conn, &migrations)?;
    let run = conn
        .run_pending_migrations(migrations)
        .map_err(|error| format!("A migration failed: {error}"))?;
    Ok(run.iter().map(ToString::to_string).collect())
}

/// How many migrations the schema lacks; a schema with more than this program knows is refused.
fn pending<DB, C>(conn: &mut C, migrations: &EmbeddedMigrations) -> Result<usize, String>
where
    DB: diesel::backend::Backend,
    C: MigrationHarness<DB>,
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
{
    let known: Vec<String> = diesel::migration::MigrationSource::<DB>::migrations(migrations)
        .map_err(|error| error.to_string())?
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    let applied = conn.applied_migrations().map_err(|error| error.to_string())?;
    if let Some(newer) = applied
        .iter()
        .map(ToString::to_string)
        .find(|version| !known.contains(version))
    {
        return Err(format!(
            "The database has migration {newer}, which this version of newsdesk does not know: run a newer newsdesk"
        ));
    }
    Ok(known.len() - applied.len())
}

/// Raw text that both databases understand, for what Diesel's builder cannot say on two engines at once
/// (`ON CONFLICT`). Placeholders are `$1`, `$2`, … in order of appearance, which SQLite reads as well.
pub fn insert_once(conn: &mut Conn, statement: &str, values: &[Value<'_>]) -> Result<bool> {
    let mut query = diesel::sql_query(statement).into_boxed();
    for value in values {
        query = match value {
            Value::Text(text) => query.bind::<Text, _>((*text).to_owned()),
            Value::Int(number) => query.bind::<BigInt, _>(*number),
        };
    }
    Ok(query.execute(conn)? > 0)
}

/// A value for [`insert_once`].
#[derive(Debug, Clone, Copy)]
pub enum Value<'v> {
    /// Text.
    Text(&'v str),
    /// A whole number.
    Int(i64),
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
