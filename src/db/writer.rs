//! The one writer of SQLite. It takes the writes that wait, runs them in one transaction and commits them together, so that
//! the cost of a durable commit (`synchronous=FULL`) is shared; no answer leaves before that commit.
//!
//! Most writes succeed, so they run without savepoints, which would copy every page that a write is the first to touch. A
//! write that is refused before it has changed a row leaves nothing behind. When one is refused after that, the
//! transaction is taken back and its writes run again, each in a savepoint of its own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use tokio::sync::oneshot;

use super::opener::Opener;
use super::{Conn, Fixed, Location, Tx, Written, overloaded, run};
use crate::changes::Truth;
use crate::error::{Problem, Result};

/// Writes that may wait for the writer; more are answered 503.
const QUEUE: usize = 1024;
/// Writes that share one commit.
const GROUP: usize = 64;

/// What a piece of work came to, before its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// It is done.
    Done,
    /// It was refused, as requests are.
    Refused,
    /// The database or the program failed: the transaction may be gone.
    Failed,
}

/// A task for the writer whose result type is hidden.
pub trait Work: Send {
    fn run(&mut self, conn: &mut Conn) -> Ran;
    fn answer(self: Box<Self>, committed: Result<(), &Problem>, truth: &Truth);
}

/// A write that waits.
pub struct Task<T, F> {
    work: F,
    result: Option<Result<Written<T>>>,
    reply: Option<oneshot::Sender<Result<T>>>,
}

impl<T, F> Task<T, F> {
    /// A write, and where its answer goes.
    pub fn new(work: F, reply: oneshot::Sender<Result<T>>) -> Self {
        Self {
            work,
            result: None,
            reply: Some(reply),
        }
    }
}

impl<T: Send, F: FnMut(&mut Tx<'_>) -> Result<T> + Send> Work for Task<T, F> {
    fn run(&mut self, conn: &mut Conn) -> Ran {
        let result = run(conn, &mut self.work);
        let ran = match &result {
            Ok(_) => Ran::Done,
            Err(problem) if problem.is_retryable() || problem.code().status().is_server_error() => Ran::Failed,
            Err(_) => Ran::Refused,
        };
        self.result = Some(result);
        ran
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

/// Starts the writer; what is sent to it is written.
pub fn start_writer(location: Location, truth: Arc<Truth>) -> Result<SyncSender<Box<dyn Work>>, String> {
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
        let outcome = match commit_group(opener, &mut conn, &mut group, Apart::No) {
            Ok(false) if group.len() > 1 => commit_group(opener, &mut conn, &mut group, Apart::Yes).map(drop),
            outcome => outcome.map(drop),
        };
        let Err(problem) = outcome else {
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
            let outcome = commit_group(opener, &mut conn, &mut alone, Apart::No);
            alone
                .into_iter()
                .for_each(|task| task.answer(outcome.as_ref().map(drop), truth));
        }
    }
}

/// Whether each write of a group has a savepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Apart {
    Yes,
    No,
}

/// Runs the tasks in one transaction. False when it was taken back because one of them was refused after it had changed
/// something; of a group of one, nothing else is lost then. On error nothing of the group is in the database, and the
/// connection is dropped: after an automatic rollback (disk full, I/O error) the next statement would have a transaction
/// of its own.
fn commit_group(opener: &Opener, slot: &mut Option<Conn>, group: &mut [Box<dyn Work>], apart: Apart) -> Result<bool> {
    let mut conn = match slot.take() {
        Some(conn) => conn,
        None => opener.open().map_err(overloaded)?,
    };
    Fixed::new("BEGIN IMMEDIATE").run(&mut conn)?;
    for task in group {
        if apart == Apart::Yes {
            conn.batch_execute("SAVEPOINT task")?;
            let end = match task.run(&mut conn) {
                Ran::Done => "RELEASE task",
                Ran::Refused | Ran::Failed => "ROLLBACK TO task; RELEASE task",
            };
            conn.batch_execute(end)?;
            continue;
        }
        let before = changed_rows(&mut conn)?;
        let intact = match task.run(&mut conn) {
            Ran::Done => true,
            Ran::Refused => changed_rows(&mut conn)? == before,
            Ran::Failed => false,
        };
        if !intact {
            conn.batch_execute("ROLLBACK")?;
            *slot = Some(conn);
            return Ok(false);
        }
    }
    Fixed::new("COMMIT").run(&mut conn)?;
    *slot = Some(conn);
    Ok(true)
}

/// The rows that this connection has changed since it was opened.
fn changed_rows(conn: &mut Conn) -> Result<i64> {
    match conn {
        Conn::Sqlite(conn) => Ok(diesel::select(total_changes()).get_result(conn)?),
        Conn::Postgres(_) => Err(Problem::internal("SQLite's writer has no SQLite")),
    }
}

diesel::define_sql_function! {
    /// SQLite's count of rows that were inserted, changed or deleted.
    fn total_changes() -> BigInt;
}
