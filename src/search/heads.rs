//! Headlines and leads of stories that searches came upon lately, in memory. Relevance is compared among the newest
//! thousand hits, which lie all over the disk, and most searches of a day come upon the same ones.
//!
//! A head is remembered with the number of the snapshot it was read in, and holds while its story's purge key has not been
//! touched since.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::query::Spelling;
use super::store;
use crate::changes::{self, Cell, Truth, key};
use crate::db::Conn;
use crate::error::Result;
use crate::types::Id;

/// Bytes that are remembered; a head has about 700.
const BYTES: u64 = 8 * 1024 * 1024;
/// What a head weighs besides its words.
const OVERHEAD: usize = 200;

/// What relevance is told by, for one hit.
#[derive(Debug)]
pub struct Head {
    /// Its number; newer stories have higher ones.
    pub row_id: i64,
    /// The story.
    pub article_id: Id,
    exact: Lines,
    folded: Lines,
    seq: i64,
    cells: Box<[Cell]>,
}

/// Words of one spelling, as lines.
#[derive(Debug)]
struct Lines {
    title: Box<str>,
    lead: Box<str>,
}

impl Head {
    /// A head that was read at a change number and holds while no cell is beyond it.
    pub fn new(article_id: Id, row: store::Row, seq: i64, cells: Vec<Cell>) -> Self {
        let lines = |title: String, lead: String| Lines {
            title: title.into(),
            lead: lead.into(),
        };
        Self {
            row_id: row.row_id,
            article_id,
            exact: lines(row.title_exact, row.lead_exact),
            folded: lines(row.title_folded, row.lead_folded),
            seq,
            cells: cells.into(),
        }
    }

    fn lines(&self, spelling: Spelling) -> &Lines {
        match spelling {
            Spelling::Exact => &self.exact,
            Spelling::Folded => &self.folded,
        }
    }

    /// The headline's words in one spelling, as a line.
    pub fn title(&self, spelling: Spelling) -> &str {
        &self.lines(spelling).title
    }

    /// The lead's words.
    pub fn lead(&self, spelling: Spelling) -> &str {
        &self.lines(spelling).lead
    }

    fn holds(&self) -> bool {
        self.cells.iter().all(|cell| cell.load(Ordering::Acquire) <= self.seq)
    }

    fn weight(&self) -> usize {
        let words = |lines: &Lines| lines.title.len() + lines.lead.len();
        OVERHEAD + words(&self.exact) + words(&self.folded)
    }
}

#[derive(Clone)]
struct Weight;

impl quick_cache::Weighter<i64, Arc<Head>> for Weight {
    fn weight(&self, _: &i64, head: &Arc<Head>) -> u64 {
        head.weight() as u64
    }
}

/// The heads that one process remembers.
pub struct Heads {
    truth: Arc<Truth>,
    items: quick_cache::sync::Cache<i64, Arc<Head>, Weight>,
}

impl Heads {
    /// A memory that follows this truth.
    pub fn new(truth: Arc<Truth>) -> Self {
        Self {
            truth,
            items: quick_cache::sync::Cache::with_weighter((BYTES / 1000) as usize, BYTES, Weight),
        }
    }

    /// The heads with these numbers, in their order; those that are not known are read in this snapshot.
    pub fn of(&self, conn: &mut Conn, numbers: &[i64]) -> Result<Vec<Arc<Head>>> {
        let mut found: Vec<Option<Arc<Head>>> = Vec::with_capacity(numbers.len());
        let mut missing = Vec::new();
        for number in numbers {
            let known = self.items.get(number).filter(|head| head.holds());
            if known.is_none() {
                missing.push(*number);
            }
            found.push(known);
        }
        if !missing.is_empty() {
            let seq = changes::head(conn)?;
            let mut read = std::collections::HashMap::with_capacity(missing.len());
            for row in store::heads_of(conn, &missing)? {
                let Some(id) = Id::parse(&row.article_id) else { continue };
                let cells = self.truth.cells([key('a', &id).as_str()].into_iter());
                let head = Arc::new(Head::new(id, row, seq, cells));
                self.items.insert(head.row_id, Arc::clone(&head));
                read.insert(head.row_id, head);
            }
            for (number, place) in numbers.iter().zip(&mut found) {
                if place.is_none() {
                    *place = read.remove(number);
                }
            }
        }
        Ok(found.into_iter().flatten().collect())
    }
}
