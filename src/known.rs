//! What this process remembers of the small things that most answers point at: names of sections, tags and authors, and
//! image files.
//!
//! A thing is remembered with the number of the snapshot it was read in, and holds while neither its own purge key nor
//! `articles` has been touched since: while nobody public uses a thing its changes leave no trace in the diary, but the
//! publication that makes it public again does.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::changes::{self, Cell, Truth, key};
use crate::config::Config;
use crate::db::Conn;
use crate::error::Result;
use crate::images::delivered::{ImageFile, image_files_of};
use crate::taxonomy::{Kind, Name, names_of};
use crate::types::Id;

/// Names of each kind that are remembered; about 200 bytes each.
const NAMES: usize = 10_000;
/// Image files that are remembered; about 8 KiB each, most of it addresses of variants.
const IMAGES: usize = 1_000;

/// Things by id.
pub type Things<T> = HashMap<Id, Arc<T>>;

/// The memory of one process.
pub struct Known {
    truth: Arc<Truth>,
    sections: Shelf<Name>,
    tags: Shelf<Name>,
    authors: Shelf<Name>,
    images: Shelf<ImageFile>,
}

/// Things of one kind.
struct Shelf<T> {
    letter: char,
    items: quick_cache::sync::Cache<Id, Item<T>>,
}

struct Item<T> {
    seq: i64,
    cells: Arc<[Cell]>,
    thing: Arc<T>,
}

impl<T> Clone for Item<T> {
    fn clone(&self) -> Self {
        Self {
            seq: self.seq,
            cells: Arc::clone(&self.cells),
            thing: Arc::clone(&self.thing),
        }
    }
}

impl<T> Item<T> {
    fn holds(&self) -> bool {
        self.cells.iter().all(|cell| cell.load(Ordering::Acquire) <= self.seq)
    }
}

impl<T> Shelf<T> {
    fn new(letter: char, items: usize) -> Self {
        Self {
            letter,
            items: quick_cache::sync::Cache::new(items),
        }
    }

    /// The things with these ids, when all are known.
    fn recall(&self, ids: &[Id]) -> Option<Things<T>> {
        let known = |id: &Id| {
            let item = self.items.get(id).filter(Item::holds)?;
            Some((id.clone(), item.thing))
        };
        ids.iter().map(known).collect()
    }

    /// The things with these ids; those that are not known are read in this snapshot.
    fn get<L>(&self, truth: &Truth, conn: &mut Conn, ids: &[Id], load: L) -> Result<Things<T>>
    where
        L: FnOnce(&mut Conn, &[Id]) -> Result<HashMap<Id, T>>,
    {
        let mut found = Things::with_capacity(ids.len());
        let mut missing = Vec::new();
        for id in ids {
            match self.items.get(id).filter(Item::holds) {
                Some(item) => _ = found.insert(id.clone(), item.thing),
                None => missing.push(id.clone()),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let seq = changes::head(conn)?;
        for (id, thing) in load(conn, &missing)? {
            let thing = Arc::new(thing);
            let own = key(self.letter, &id);
            let cells = truth.cells([own.as_str(), "articles"].into_iter()).into();
            let item = Item {
                seq,
                cells,
                thing: Arc::clone(&thing),
            };
            self.items.insert(id.clone(), item);
            found.insert(id, thing);
        }
        Ok(found)
    }
}

impl Known {
    /// A memory that follows this truth.
    pub fn new(truth: Arc<Truth>) -> Self {
        Self {
            truth,
            sections: Shelf::new('s', NAMES),
            tags: Shelf::new('t', NAMES),
            authors: Shelf::new('u', NAMES),
            images: Shelf::new('i', IMAGES),
        }
    }

    /// Slugs and names of things that live stories use.
    pub fn names(&self, conn: &mut Conn, kind: Kind, ids: &[Id]) -> Result<Things<Name>> {
        self.shelf(kind)
            .get(&self.truth, conn, ids, |conn, ids| names_of(conn, kind, ids))
    }

    /// The same, without a look at the database; none when not all of them are known.
    pub fn recall_names(&self, kind: Kind, ids: &[Id]) -> Option<Things<Name>> {
        self.shelf(kind).recall(ids)
    }

    /// Files of images, without a look at the database; none when not all of them are known.
    pub fn recall_images(&self, ids: &[Id]) -> Option<Things<ImageFile>> {
        self.images.recall(ids)
    }

    fn shelf(&self, kind: Kind) -> &Shelf<Name> {
        match kind {
            Kind::Section => &self.sections,
            Kind::Tag => &self.tags,
            Kind::Author => &self.authors,
        }
    }

    /// Files of images that live stories show.
    pub fn images(&self, conn: &mut Conn, config: &Config, ids: &[Id]) -> Result<Things<ImageFile>> {
        let load = |conn: &mut Conn, ids: &[Id]| image_files_of(conn, config, ids);
        self.images.get(&self.truth, conn, ids, load)
    }
}
