//! A memory of small things that were read from the database, each for as long as nothing it was made of has changed.
//!
//! A thing is kept with the number of the snapshot it was read in and with the cells of the purge keys it depends on; it
//! holds while none of them has been touched since. That is looked at on each use, so nothing has to be dropped when
//! something changes.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::changes::{self, Cell, Truth};
use crate::db::Conn;
use crate::error::Result;

/// A thing and how long it holds.
#[derive(Debug)]
pub struct Kept<T> {
    thing: T,
    seq: i64,
    cells: Box<[Cell]>,
}

impl<T> Kept<T> {
    /// A thing that was just read and is not kept.
    pub fn loose(thing: T) -> Self {
        Self {
            thing,
            seq: 0,
            cells: Box::default(),
        }
    }

    fn holds(&self) -> bool {
        self.cells.iter().all(|cell| cell.load(Ordering::Acquire) <= self.seq)
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.thing
    }
}

/// What the shelf must know of its things.
pub struct Rules<K, T> {
    /// The purge keys that one depends on.
    pub depends_on: fn(&K, &T) -> Vec<String>,
    /// What one takes of the room.
    pub weight: fn(&T) -> u64,
}

struct ByWeight<T>(fn(&T) -> u64);

impl<T> Clone for ByWeight<T> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<K, T> quick_cache::Weighter<K, Arc<Kept<T>>> for ByWeight<T> {
    fn weight(&self, _: &K, kept: &Arc<Kept<T>>) -> u64 {
        (self.0)(&kept.thing)
    }
}

/// Things of one kind, by their keys.
pub struct Shelf<K, T> {
    truth: Arc<Truth>,
    depends_on: fn(&K, &T) -> Vec<String>,
    items: quick_cache::sync::Cache<K, Arc<Kept<T>>, ByWeight<T>>,
}

impl<K: Clone + Eq + Hash, T> Shelf<K, T> {
    /// A shelf with so much room, for so many things on the average.
    pub fn new(truth: Arc<Truth>, room: u64, things: usize, rules: Rules<K, T>) -> Self {
        Self {
            truth,
            depends_on: rules.depends_on,
            items: quick_cache::sync::Cache::with_weighter(things, room, ByWeight(rules.weight)),
        }
    }

    /// The thing with this key, if it is known.
    pub fn recall(&self, key: &K) -> Option<Arc<Kept<T>>> {
        self.items.get(key).filter(|kept| kept.holds())
    }

    /// The things with these keys, in their order, None for those that there are none of; what is not known is read in this
    /// snapshot.
    pub fn get<L>(&self, conn: &mut Conn, keys: &[K], load: L) -> Result<Vec<Option<Arc<Kept<T>>>>>
    where
        L: FnOnce(&mut Conn, &[K]) -> Result<HashMap<K, T>>,
    {
        let mut found: Vec<_> = keys.iter().map(|key| self.recall(key)).collect();
        let missing: Vec<K> = keys
            .iter()
            .zip(&found)
            .filter(|(_, known)| known.is_none())
            .map(|(key, _)| key.clone())
            .collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let seq = changes::head(conn)?;
        let mut read = HashMap::with_capacity(missing.len());
        for (key, thing) in load(conn, &missing)? {
            let purge_keys = (self.depends_on)(&key, &thing);
            let cells = self.truth.cells(purge_keys.iter().map(String::as_str), seq).into();
            let kept = Arc::new(Kept { thing, seq, cells });
            self.items.insert(key.clone(), Arc::clone(&kept));
            read.insert(key, kept);
        }
        for (key, place) in keys.iter().zip(&mut found) {
            if place.is_none() {
                *place = read.get(key).cloned();
            }
        }
        Ok(found)
    }
}
