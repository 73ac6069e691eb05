//! What this process remembers of the small things that most answers point at: names of sections, tags and authors, and
//! image files.
//!
//! They depend on their own purge key and on `articles`: while nobody public uses a thing its changes leave no trace in the
//! diary, but the publication that makes it public again does.

use std::collections::HashMap;
use std::sync::Arc;

use crate::changes::{self, Truth, key};
use crate::config::Config;
use crate::db::Conn;
use crate::error::Result;
use crate::images::delivered::{ImageFile, image_files_of};
use crate::shelf::{Kept, Rules, Shelf};
use crate::taxonomy::{Kind, Name, names_of};
use crate::types::{Id, Time};

/// Names of each kind that are remembered; about 200 bytes each.
const NAMES: u64 = 10_000;
/// Image files that are remembered; about 8 KiB each, most of it addresses of variants.
const IMAGES: u64 = 1_000;

/// Things by id. They are few: an answer's own.
pub struct Things<T>(Vec<(Id, Arc<Kept<T>>)>);

impl<T> Things<T> {
    /// The thing with this id.
    pub fn get(&self, id: &Id) -> Option<&T> {
        let found = self.0.binary_search_by(|(known, _)| known.cmp(id)).ok()?;
        self.0.get(found).map(|(_, thing)| &***thing)
    }

    /// All ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &Id> {
        self.0.iter().map(|(id, _)| id)
    }

    /// All things, by their ids.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, thing)| &***thing)
    }
}

impl<T> FromIterator<(Id, Arc<Kept<T>>)> for Things<T> {
    fn from_iter<I: IntoIterator<Item = (Id, Arc<Kept<T>>)>>(things: I) -> Self {
        let mut things: Vec<_> = things.into_iter().collect();
        things.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Self(things)
    }
}

impl<T> From<HashMap<Id, T>> for Things<T> {
    fn from(things: HashMap<Id, T>) -> Self {
        let loose = |(id, thing)| (id, Arc::new(Kept::loose(thing)));
        things.into_iter().map(loose).collect()
    }
}

/// The memory of one process.
pub struct Known {
    sections: Shelf<Id, Name>,
    tags: Shelf<Id, Name>,
    authors: Shelf<Id, Name>,
    images: Shelf<Id, ImageFile>,
    site_change: Shelf<(), Option<Time>>,
}

impl Known {
    /// A memory that follows this truth.
    pub fn new(truth: &Arc<Truth>) -> Self {
        fn shelf<T>(truth: &Arc<Truth>, things: u64, depends_on: fn(&Id, &T) -> Vec<String>) -> Shelf<Id, T> {
            let weight = |_: &T| 1;
            Shelf::new(Arc::clone(truth), things, things as usize, Rules { depends_on, weight })
        }
        fn keys(letter: char, id: &Id) -> Vec<String> {
            vec![key(letter, id), "articles".to_owned()]
        }
        Self {
            sections: shelf(truth, NAMES, |id, _| keys('s', id)),
            tags: shelf(truth, NAMES, |id, _| keys('t', id)),
            authors: shelf(truth, NAMES, |id, _| keys('u', id)),
            images: shelf(truth, IMAGES, |id, _| keys('i', id)),
            site_change: {
                let depends_on = |(): &(), _: &Option<Time>| vec!["site".to_owned()];
                Shelf::new(
                    Arc::clone(truth),
                    16,
                    16,
                    Rules {
                        depends_on,
                        weight: |_| 1,
                    },
                )
            },
        }
    }

    /// When the site, which every answer is made with, last changed.
    pub fn site_change(&self, conn: &mut Conn) -> Result<Option<Time>> {
        let load = |conn: &mut Conn, _: &[()]| Ok(HashMap::from([((), changes::newest_of(conn, &["site"])?)]));
        let found = self.site_change.get(conn, &[()], load)?;
        Ok(found.into_iter().flatten().find_map(|change| **change))
    }

    /// The same without a look at the database; none when it is not known.
    pub fn recall_site_change(&self) -> Option<Option<Time>> {
        Some(**self.site_change.recall(&())?)
    }

    /// Slugs and names of things that live stories use.
    pub fn names(&self, conn: &mut Conn, kind: Kind, ids: &[Id]) -> Result<Things<Name>> {
        let found = self.shelf(kind).get(conn, ids, |conn, ids| names_of(conn, kind, ids))?;
        Ok(things(ids, found))
    }

    /// The same, without a look at the database; none when not all of them are known.
    pub fn recall_names(&self, kind: Kind, ids: &[Id]) -> Option<Things<Name>> {
        recall(self.shelf(kind), ids)
    }

    /// Files of images, without a look at the database; none when not all of them are known.
    pub fn recall_images(&self, ids: &[Id]) -> Option<Things<ImageFile>> {
        recall(&self.images, ids)
    }

    fn shelf(&self, kind: Kind) -> &Shelf<Id, Name> {
        match kind {
            Kind::Section => &self.sections,
            Kind::Tag => &self.tags,
            Kind::Author => &self.authors,
        }
    }

    /// Files of images that live stories show.
    pub fn images(&self, conn: &mut Conn, config: &Config, ids: &[Id]) -> Result<Things<ImageFile>> {
        let load = |conn: &mut Conn, ids: &[Id]| image_files_of(conn, config, ids);
        Ok(things(ids, self.images.get(conn, ids, load)?))
    }
}

fn recall<T>(shelf: &Shelf<Id, T>, ids: &[Id]) -> Option<Things<T>> {
    ids.iter().map(|id| Some((id.clone(), shelf.recall(id)?))).collect()
}

fn things<T>(ids: &[Id], found: Vec<Option<Arc<Kept<T>>>>) -> Things<T> {
    let pairs = ids.iter().zip(found);
    pairs.filter_map(|(id, thing)| Some((id.clone(), thing?))).collect()
}
