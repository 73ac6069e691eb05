//! How often stories are opened: counted once a reader in half an hour, without a cookie and without storing anything
//! about anyone.
//!
//! A reader is known by a digest of network address, browser and story under a salt that is drawn anew each day. Digests
//! live in memory only, and no longer than some forty minutes. Whoever calls their browser something else each time is
//! many readers, but one address has no more than some. Counts are gathered here and written every few seconds.

pub mod delivery;
mod readers;
mod robots;
pub mod store;
pub mod windows;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::changes::Cell;
use crate::limits::network;
use crate::types::Time;
use readers::{Reader, Readers};

/// For so long a reader who opens a story again is not counted again, in milliseconds.
const ONCE_IN: i64 = 30 * 60 * 1000;
/// Parts that are locked on their own.
const SHARDS: usize = 16;
/// Stories whose address is remembered.
const REFERENCES: usize = 20_000;
/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;
/// Milliseconds of a day.
const DAY: i64 = 24 * HOUR;

/// The time whose views count, in whole hours up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ViewWindow)]
pub enum Window {
    /// The last 24 hours.
    #[serde(rename = "24h")]
    Day,
    /// The last 7 days.
    #[serde(rename = "7d")]
    Week,
    /// The last 30 days.
    #[serde(rename = "30d")]
    Month,
    /// Since the story was first published.
    #[serde(rename = "all")]
    All,
}

/// An hour since 1970, UTC.
fn hour(time: Time) -> i64 {
    time.ms().div_euclid(HOUR)
}

/// Counts views in memory.
pub struct Views {
    shards: [Mutex<Shard>; SHARDS],
    references: quick_cache::sync::Cache<Box<str>, Reference>,
    flushing: tokio::sync::Mutex<store::Flushing>,
    tending: windows::Tending,
}

/// Some of the readers, and what they opened that has not been written yet.
struct Shard {
    readers: Readers,
    counts: HashMap<Uuid, i64, BuildHasherDefault<AsItIs>>,
}

/// The hash of an id is the id: its end is random, and nobody can choose one.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut eight = [0; 8];
            eight[..part.len()].copy_from_slice(part);
            self.0 = self.0.rotate_left(5) ^ u64::from_be_bytes(eight);
        }
    }

    fn write_usize(&mut self, _: usize) {}
}

/// A live story behind an id or a slug, for as long as it has not changed.
#[derive(Clone)]
struct Reference {
    article: Uuid,
    cell: Cell,
    seq: i64,
}

/// What became of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// It counts.
    Yes,
    /// The same reader opened the story less than half an hour ago.
    Again,
    /// As many readers at this address as count have opened the story.
    Enough,
    /// A robot, or something that does not say what it is.
    Robot,
}

impl Views {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| {
                Mutex::new(Shard {
                    readers: Readers::new(),
                    counts: HashMap::default(),
                })
            }),
            references: quick_cache::sync::Cache::new(REFERENCES),
            flushing: tokio::sync::Mutex::default(),
            tending: windows::Tending::default(),
        }
    }

    /// Counts a view of a story, if it is one.
    pub fn record(&self, article: Uuid, address: IpAddr, browser: Option<&[u8]>, now: Time) -> Counted {
        let Some(browser) = browser.filter(|browser| !robots::is_robot(browser)) else {
            return Counted::Robot;
        };
        let reader = Reader {
            story: article,
            address,
            browser,
        };
        let mut shard = locked(&self.shards[shard_of(article, address)]);
        let counted = shard.readers.meet(&reader, now.ms());
        if counted == Counted::Yes {
            *shard.counts.entry(article).or_default() += 1;
        }
        counted
    }

    /// Lets go of readers whose half hour is over, also where nobody comes any more.
    pub fn sweep(&self, now: Time) {
        for shard in &self.shards {
            locked(shard).readers.sweep(now.ms());
        }
    }

    /// The live story that an id or slug is known to mean.
    pub fn resolve(&self, reference: &str) -> Option<Uuid> {
        let found = self.references.get(reference)?;
        let holds = found.cell.load(std::sync::atomic::Ordering::Acquire) <= found.seq;
        holds.then_some(found.article)
    }

    /// Remembers what an id or slug meant at a change number.
    pub fn remember(&self, reference: &str, article: Uuid, cell: Cell, seq: i64) {
        self.references
            .insert(reference.into(), Reference { article, cell, seq });
    }

    /// Takes out everything that was counted.
    fn take(&self) -> Vec<(Uuid, i64)> {
        // A reader's address says which part counts, so a story may be in several.
        let mut all: HashMap<Uuid, i64> = HashMap::new();
        for shard in &self.shards {
            for (article, n) in mem::take(&mut locked(shard).counts) {
                *all.entry(article).or_default() += n;
            }
        }
        let mut all: Vec<(Uuid, i64)> = all.into_iter().collect();
        // In one order, so that two instances that write the same rows do not wait for each other in a circle.
        all.sort_unstable();
        all
    }
}

/// Readers of one story are spread over all shards.
fn shard_of(article: Uuid, address: IpAddr) -> usize {
    let last = match network(address) {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(ip) => ip.octets().iter().fold(0, |all, octet| all ^ octet),
    };
    usize::from(article.as_bytes()[15] ^ last) % SHARDS
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is locked here is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIREFOX: &[u8] = b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_reader_counts_once_in_half_an_hour() {
        let (views, story) = (Views::new(), Uuid::now_v7());
        let at = |ms: i64| Time::from_ms(1_780_000_000_000 / DAY * DAY + ms);
        let view = |browser: &[u8], address: &str, time| views.record(story, ip(address), Some(browser), time);
        assert_eq!(view(FIREFOX, "203.0.113.7", at(0)), Counted::Yes);
        assert_eq!(view(FIREFOX, "203.0.113.7", at(ONCE_IN - 1)), Counted::Again);
        assert_eq!(view(FIREFOX, "203.0.113.8", at(1)), Counted::Yes, "another address");
        assert_eq!(
            view(b"Mozilla/5.0 (iPhone)", "203.0.113.7", at(1)),
            Counted::Yes,
            "another browser"
        );
        assert_eq!(
            view(FIREFOX, "203.0.113.7", at(ONCE_IN)),
            Counted::Yes,
            "half an hour later"
        );
        assert_eq!(view(FIREFOX, "203.0.113.7", at(2 * ONCE_IN - 1)), Counted::Again);
        let counted: i64 = views.take().iter().map(|(_, n)| n).sum();
        assert_eq!((counted, views.take().len()), (4, 0));
    }

    #[test]
    fn an_address_has_so_many_readers_of_a_story() {
        let (views, story, other) = (Views::new(), Uuid::now_v7(), Uuid::now_v7());
        let at = |ms: i64| Time::from_ms(1_780_000_000_000 / DAY * DAY + ms);
        let view = |story, browser: u32, address: &str, time| {
            let browser = format!("Mozilla/5.0 (X11; rv:{browser}.0)");
            views.record(story, ip(address), Some(browser.as_bytes()), time)
        };
        let most = 20;
        for browser in 0..most {
            assert_eq!(
                view(story, browser, "203.0.113.7", at(i64::from(browser))),
                Counted::Yes
            );
        }
        for browser in most..500 {
            assert_eq!(view(story, browser, "203.0.113.7", at(ONCE_IN - 1)), Counted::Enough);
        }
        assert_eq!(
            view(story, 3, "203.0.113.7", at(1000)),
            Counted::Again,
            "who has counted"
        );
        assert_eq!(
            view(story, 999, "203.0.113.8", at(1000)),
            Counted::Yes,
            "another address"
        );
        assert_eq!(view(other, 999, "203.0.113.7", at(1000)), Counted::Yes, "another story");
        assert_eq!(
            view(story, 999, "203.0.113.7", at(ONCE_IN)),
            Counted::Yes,
            "half an hour later"
        );
        let counted: i64 = views.take().iter().map(|(_, n)| n).sum();
        assert_eq!(counted, i64::from(most) + 3);
    }

    #[test]
    fn a_customers_ipv6_network_is_one_reader() {
        let (views, story) = (Views::new(), Uuid::now_v7());
        let now = Time::now();
        assert_eq!(
            views.record(story, ip("2001:db8:1:2::1"), Some(FIREFOX), now),
            Counted::Yes
        );
        assert_eq!(
            views.record(story, ip("2001:db8:1:2::9"), Some(FIREFOX), now),
            Counted::Again
        );
        assert_eq!(
            views.record(story, ip("2001:db8:1:3::1"), Some(FIREFOX), now),
            Counted::Yes
        );
    }

    #[test]
    fn robots_do_not_count() {
        let (views, story) = (Views::new(), Uuid::now_v7());
        for browser in [
            None,
            Some(&b"curl/8.5.0"[..]),
            Some(b"Mozilla/5.0 (compatible; Googlebot/2.1)"),
        ] {
            assert_eq!(
                views.record(story, ip("203.0.113.7"), browser, Time::now()),
                Counted::Robot
            );
        }
        assert!(views.take().is_empty());
    }
}
