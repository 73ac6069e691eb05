//! What this process knows of the public truth: up to which change it has followed, and when what last changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::broadcast;

use super::{Recorded, after, head};
use crate::db::Conn;
use crate::error::Result;

/// The number of the last change that touched one purge key.
pub type Cell = Arc<AtomicI64>;

/// Changes that a slow stream may be behind before it has to read from the database again.
const BACKLOG: usize = 1024;
/// Rows read at once while catching up.
const PIECE: i64 = 500;

/// Follows the diary within this process.
///
/// A change is applied after its COMMIT and before its answer; what other processes wrote is applied by whoever sees it
/// first, a read or the follower. An answer that was made at some number holds while every cell it depends on is at or
/// below that number.
pub struct Truth {
    followed: AtomicI64,
    inner: Mutex<Inner>,
}

struct Inner {
    /// Purge keys that somebody depends on.
    cells: HashMap<String, Cell>,
    /// Every change up to this number has been applied, and told to the streams.
    followed: i64,
    /// The highest number that was applied: concurrent commits may be applied out of order.
    highest: i64,
    /// Applied, but with a gap before them.
    ahead: BTreeMap<i64, Arc<Recorded>>,
    /// Cells that were there when unused ones were last swept.
    swept: usize,
    stream: broadcast::Sender<Arc<Recorded>>,
}

impl Truth {
    /// Begins at a number: what is older has no followers here.
    pub fn new(head: i64) -> Self {
        Self {
            followed: AtomicI64::new(head),
            inner: Mutex::new(Inner {
                cells: HashMap::new(),
                followed: head,
                highest: head,
                ahead: BTreeMap::new(),
                swept: 0,
                stream: broadcast::channel(BACKLOG).0,
            }),
        }
    }

    /// Another history has begun, as when a database server was replaced by one that had not got the last commits: nothing
    /// that is known holds any more, and streams end, so that their readers ask where they stand.
    pub fn begin_anew(&self, head: i64) {
        let mut inner = self.lock();
        for (_, cell) in inner.cells.drain() {
            cell.store(i64::MAX, Ordering::Release);
        }
        inner.ahead.clear();
        inner.swept = 0;
        inner.followed = head;
        inner.highest = head;
        inner.stream = broadcast::channel(BACKLOG).0;
        self.followed.store(head, Ordering::Release);
    }

    /// Every change up to this number has been applied.
    pub fn followed(&self) -> i64 {
        self.followed.load(Ordering::Acquire)
    }

    /// The changes from now on, in order and without a gap. Closed when another history begins.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Recorded>> {
        self.lock().stream.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here can panic half-way through a change.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The cells of some keys, for what was made in a snapshot of this number. One that nobody had is taken to have changed
    /// just now: what was missed while nobody looked at it then counts as changed. A snapshot that is ahead of all that was
    /// applied is of a history that has ended: what was made in it never holds.
    pub fn cells<'k>(&self, keys: impl Iterator<Item = &'k str>, seq: i64) -> Vec<Cell> {
        let mut inner = self.lock();
        let highest = inner.highest;
        if seq > highest {
            return vec![Arc::new(AtomicI64::new(i64::MAX))];
        }
        let cells = keys
            .map(|key| match inner.cells.get(key) {
                Some(cell) => Arc::clone(cell),
                None => {
                    let cell = Arc::new(AtomicI64::new(highest));
                    inner.cells.insert(key.to_owned(), Arc::clone(&cell));
                    cell
                }
            })
            .collect();
        if inner.cells.len() > 2 * inner.swept + 1024 {
            inner.cells.retain(|_, cell| Arc::strong_count(cell) > 1);
            inner.swept = inner.cells.len();
        }
        cells
    }

    /// Applies changes that have been committed; ones that were applied before are passed over.
    pub fn apply(&self, changes: &[Arc<Recorded>]) {
        if !changes.is_empty() {
            self.advance(changes, None);
        }
    }

    fn advance(&self, changes: &[Arc<Recorded>], through: Option<i64>) {
        let mut inner = self.lock();
        for change in changes {
            if change.seq <= inner.followed || inner.ahead.contains_key(&change.seq) {
                continue;
            }
            for key in &change.change.keys {
                if let Some(cell) = inner.cells.get(key) {
                    cell.fetch_max(change.seq, Ordering::AcqRel);
                }
            }
            if let Some(cell) = inner.cells.get(ANY) {
                cell.fetch_max(change.seq, Ordering::AcqRel);
            }
            inner.highest = inner.highest.max(change.seq);
            inner.ahead.insert(change.seq, Arc::clone(change));
        }
        // Numbers have no gaps; but retention may have removed rows that a process was far behind on.
        loop {
            let next = through.unwrap_or(0).max(inner.followed + 1);
            let Some(first) = inner.ahead.first_entry().filter(|first| *first.key() <= next) else {
                break;
            };
            let (seq, change) = first.remove_entry();
            inner.followed = seq;
            // Nobody may be listening.
            let _ = inner.stream.send(change);
        }
        if let Some(through) = through {
            inner.followed = inner.followed.max(through);
            inner.highest = inner.highest.max(through);
        }
        self.followed.store(inner.followed, Ordering::Release);
    }

    /// Applies what this snapshot sees and nobody here has applied yet. Gives the snapshot's number.
    pub fn catch_up(&self, conn: &mut Conn) -> Result<i64> {
        let head = head(conn)?;
        self.catch_up_to(conn, head)?;
        Ok(head)
    }

    /// The same for a snapshot whose number is known.
    pub(super) fn catch_up_to(&self, conn: &mut Conn, head: i64) -> Result<()> {
        let mut from = self.followed();
        while from < head {
            let rows = after(conn, from, PIECE)?;
            let through = match rows.last() {
                Some(last) if rows.len() as i64 == PIECE => last.seq,
                _ => head,
            };
            self.advance(&rows, Some(through));
            from = through;
        }
        Ok(())
    }
}

/// A key that every change touches.
pub const ANY: &str = "changes";

#[cfg(test)]
mod tests {
    use super::super::Change;
    use super::*;
    use crate::types::Time;

    fn change(seq: i64, keys: &[&str]) -> Arc<Recorded> {
        Arc::new(Recorded {
            seq,
            change: Change {
                kind: "article.updated".into(),
                subject_id: String::new(),
                language: None,
                keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            },
            at: Time::from_ms(0),
        })
    }

    fn read(cell: &Cell) -> i64 {
        cell.load(Ordering::Acquire)
    }

    #[test]
    fn a_new_cell_counts_as_changed_and_then_follows_its_key() {
        let truth = Truth::new(7);
        let cells = truth.cells(["a1", "a2"].into_iter(), 7);
        assert_eq!(cells.iter().map(read).collect::<Vec<_>>(), [7, 7]);
        truth.apply(&[change(8, &["a1"])]);
        assert_eq!(cells.iter().map(read).collect::<Vec<_>>(), [8, 7]);
        assert_eq!(
            truth
                .cells(["a3", ANY].into_iter(), 8)
                .iter()
                .map(read)
                .collect::<Vec<_>>(),
            [8, 8]
        );
    }

    #[test]
    fn changes_out_of_order_are_told_in_order() {
        let truth = Truth::new(0);
        let mut told = truth.subscribe();
        let cell = truth.cells(["a"].into_iter(), 0).remove(0);
        truth.apply(&[change(2, &["a"])]);
        assert_eq!((read(&cell), truth.followed()), (2, 0), "applied at once, told later");
        assert!(told.try_recv().is_err());
        truth.apply(&[change(1, &["a"]), change(2, &["a"])]);
        assert_eq!((read(&cell), truth.followed()), (2, 2));
        let seqs: Vec<i64> = std::iter::from_fn(|| told.try_recv().ok()).map(|row| row.seq).collect();
        assert_eq!(seqs, [1, 2]);
    }

    #[test]
    fn another_history_ends_all_that_was_known() {
        let truth = Truth::new(0);
        let mut told = truth.subscribe();
        let old = truth.cells(["a"].into_iter(), 0).remove(0);
        truth.apply(&[change(1, &["a"]), change(2, &["b"])]);
        truth.begin_anew(1);
        assert_eq!((read(&old), truth.followed()), (i64::MAX, 1));
        assert_eq!(
            read(&truth.cells(["a"].into_iter(), 1)[0]),
            1,
            "what is made now may be kept"
        );
        let old = truth.cells(["a"].into_iter(), 2).remove(0);
        assert_eq!(read(&old), i64::MAX, "what was made then not");
        while told.try_recv().is_ok() {}
        assert_eq!(told.try_recv().err(), Some(broadcast::error::TryRecvError::Closed));
        let mut told = truth.subscribe();
        truth.apply(&[change(2, &["c"])]);
        assert_eq!(told.try_recv().map(|row| row.seq), Ok(2));
    }

    #[test]
    fn cells_that_nobody_holds_are_swept() {
        let truth = Truth::new(0);
        let held = truth.cells(["held"].into_iter(), 0);
        for n in 0..5000 {
            truth.cells([format!("a{n}").as_str()].into_iter(), 0);
        }
        assert!(truth.lock().cells.len() < 3000);
        truth.apply(&[change(1, &["held"])]);
        assert_eq!(read(&held[0]), 1);
    }
}
