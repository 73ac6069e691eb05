//! The one writer of SQLite. It takes the writes that wait, runs them in one transaction and commits them together, so that
//! the cost of a durable commit (`synchronous=FULL`) is shared; no answer leaves before that commit.
//!
//! Most writes succeed, so they run without savepoints, which would copy every page that a write is the first to touch. A
//! write that is refused before it has changed a row leaves nothing behind. When one is refused after that, the
//! transaction is taken back and its writes run again, each in a savepoint of its own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use tokio::sync::oneshot;

use super::opener::Opener;
use super::{Conn, Fixed, Location, Tx, Written, overloaded, run};
use crate::changes::Truth;
use crate::error::{Problem, Result};

/// Writes that may wait for the writer; more are answered 503.
const QUEUE: usize = 1024;
/// Writes that share one commit.
const GROUP: usize = 64;

/// The longest wait for more writes.
const PATIENCE: Duration = Duration::from_millis(3);

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
    let mut waiting: Vec<Box<dyn Work>> = Vec::new();
    let mut pace = Pace::default();
    loop {
        if waiting.is_empty() {
            let Ok(first) = tasks.recv() else { return };
            waiting.push(first);
        }
        gather(tasks, &mut waiting, &pace);
        let mut group = std::mem::take(&mut waiting);
        let outcome = match commit_group(opener, &mut conn, &mut pace, &mut group, Apart::No) {
            Ok(false) if group.len() > 1 => {
                commit_group(opener, &mut conn, &mut pace, &mut group, Apart::Yes).map(drop)
            }
            outcome => outcome.map(drop),
        };
        take_waiting(tasks, &mut waiting);
        pace.expected = group.len() + waiting.len();
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
            let outcome = commit_group(opener, &mut conn, &mut pace, &mut alone, Apart::No);
            alone
                .into_iter()
                .for_each(|task| task.answer(outcome.as_ref().map(drop), truth));
        }
    }
}

/// How writes come, and how long it pays to wait for more of them: whoever was answered after the last commit comes again
/// just after it. Without a wait the first of them has a commit to itself, and all others wait for that one, too.
#[derive(Debug, Default)]
struct Pace {
    /// Writes of the last group, and those that waited when it was done.
    expected: usize,
    /// How long the last commit took.
    commit: Duration,
}

/// Takes what waits, a group at the most: what is over is refused when the queue is full.
fn take_waiting(tasks: &Receiver<Box<dyn Work>>, waiting: &mut Vec<Box<dyn Work>>) {
    let room = GROUP.saturating_sub(waiting.len());
    waiting.extend(tasks.try_iter().take(room));
}

/// Takes what waits, and waits for what is about to come: half as long as a commit takes at the most.
fn gather(tasks: &Receiver<Box<dyn Work>>, waiting: &mut Vec<Box<dyn Work>>, pace: &Pace) {
    let until = Instant::now() + (pace.commit / 2).min(PATIENCE);
    loop {
        take_waiting(tasks, waiting);
        if waiting.len() >= pace.expected.min(GROUP) {
            return;
        }
        match tasks.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(task) => waiting.push(task),
            Err(_) => return,
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
fn commit_group(
    opener: &Opener,
    slot: &mut Option<Conn>,
    pace: &mut Pace,
    group: &mut [Box<dyn Work>],
    apart: Apart,
) -> Result<bool> {
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
    let begin = Instant::now();
    Fixed::new("COMMIT").run(&mut conn)?;
    pace.commit = begin.elapsed();
    *slot = Some(conn);
    Ok(true)
}

/// The rows that this connection has changed since it was opened.
fn changed_rows(conn: &mut Conn) -> Result<i64> {
    Ok(Fixed::new("SELECT total_changes()").number(conn)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Task = Box<dyn Work>;

    struct Nothing;

    impl Work for Nothing {
        fn run(&mut self, _: &mut Conn) -> Ran {
            Ran::Done
        }

        fn answer(self: Box<Self>, _: Result<(), &Problem>, _: &Truth) {}
    }

    fn queue(count: usize) -> (SyncSender<Task>, Receiver<Task>) {
        let (sender, tasks) = sync_channel::<Task>(QUEUE);
        for _ in 0..count {
            sender.send(Box::new(Nothing)).expect("there is room");
        }
        (sender, tasks)
    }

    fn gathered(tasks: &Receiver<Task>, pace: &Pace) -> usize {
        let mut waiting: Vec<Task> = vec![Box::new(Nothing)];
        gather(tasks, &mut waiting, pace);
        waiting.len()
    }

    #[test]
    fn a_group_takes_what_waits_and_leaves_what_is_over_in_the_queue() {
        let (_sender, tasks) = queue(2 * GROUP);
        let pace = Pace::default();
        assert_eq!((gathered(&tasks, &pace), gathered(&tasks, &pace)), (GROUP, GROUP));
        assert_eq!((gathered(&tasks, &pace), tasks.try_iter().count()), (3, 0));
    }

    #[test]
    fn a_group_that_is_not_complete_is_written_all_the_same() {
        let (sender, tasks) = queue(1);
        let pace = Pace {
            expected: 5,
            commit: Duration::from_millis(1),
        };
        assert_eq!(gathered(&tasks, &pace), 2, "when nobody comes");
        drop(sender);
        assert_eq!(gathered(&tasks, &pace), 1, "and when nobody can come any more");
    }
}
