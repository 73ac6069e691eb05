//! How often stories are opened: counted once a reader in half an hour, without a cookie and without storing anything
//! about anyone.
//!
//! A reader is known by a digest of network address, browser and story under a salt that is drawn anew each day. Digests
//! live in memory only, and no longer than an hour and some minutes. Whoever calls their browser something else each time is many
//! readers, but one address has no more than [`MOST_READERS`]. Counts are gathered here and written every few seconds.

pub mod delivery;
mod robots;
pub mod store;
pub mod windows;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::Rng;
use serde::Serialize;
use siphasher::sip::SipHasher24;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::changes::Cell;
use crate::limits::network;
use crate::types::Time;

/// For so long a reader who opens a story again is not counted again, in milliseconds.
const ONCE_IN: i64 = 30 * 60 * 1000;
/// Different readers of one story at one address, an office or a household, that count in that time.
const MOST_READERS: u8 = 20;
/// Readers of stories that are remembered at once; when there are more, the oldest are forgotten and may count again.
/// They and their addresses take about 20 MiB at the most.
const REMEMBERED: usize = 400_000;
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
    readers: [Mutex<Readers>; SHARDS],
    counts: [Mutex<HashMap<Uuid, i64>>; SHARDS],
    references: quick_cache::sync::Cache<Box<str>, Reference>,
    flushing: tokio::sync::Mutex<store::Flushing>,
    tending: windows::Tending,
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

/// The digests of one shard, in two generations: the older one is dropped whole.
struct Readers {
    salt: [u8; 16],
    /// Yesterday's salt and when it ended: for half an hour more it tells who comes again.
    ended: Option<([u8; 16], i64)>,
    day: i64,
    young: Generation,
    old: Generation,
    young_since: i64,
}

#[derive(Default)]
struct Generation {
    /// When each reader of a story counted last.
    readers: ByDigest<i64>,
    /// How many have counted at each address.
    addresses: ByDigest<Tally>,
}

/// Things by digests, which are hashes already, and nobody can choose them.
type ByDigest<T> = HashMap<u64, T, BuildHasherDefault<AsItIs>>;

/// The hash of a digest is the digest.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}

impl Generation {
    fn clear(&mut self) {
        self.readers.clear();
        self.addresses.clear();
    }
}

/// The readers of a story at one address who have counted in half an hour.
#[derive(Clone, Copy)]
struct Tally {
    since: i64,
    readers: u8,
}

impl Readers {
    fn new() -> Self {
        Self {
            salt: [0; 16],
            ended: None,
            day: i64::MIN,
            young: Generation::default(),
            old: Generation::default(),
            young_since: 0,
        }
    }

    /// A new salt each day, the old one gone half an hour later: nobody can be followed from one day to the next.
    fn keep_fresh(&mut self, now: i64) {
        let day = now.div_euclid(DAY);
        if day != self.day {
            self.ended = (self.day != i64::MIN).then_some((self.salt, now));
            self.day = day;
            rand::rng().fill_bytes(&mut self.salt);
        }
        self.ended = self.ended.filter(|(_, since)| (0..ONCE_IN).contains(&(now - since)));
        let full = self.young.readers.len() >= REMEMBERED / SHARDS / 2;
        if full || now - self.young_since > ONCE_IN || now < self.young_since {
            // The older one's room is used again: growing anew each time would cost more than the views.
            mem::swap(&mut self.old, &mut self.young);
            self.young.clear();
            self.young_since = now;
        }
    }

    /// Whether a view counts: the reader has not been here for half an hour, and not too many others at the same address
    /// have. The digests name the reader and the address under a salt.
    fn meet(&mut self, reader: impl Fn(&[u8; 16]) -> u64, address: impl FnOnce(&[u8; 16]) -> u64, now: i64) -> Counted {
        // A clock that was set back makes nothing hold for ever.
        let is_fresh = |since: i64| (0..ONCE_IN).contains(&(now - since));
        let seen = |digest: &u64| {
            let at = self.young.readers.get(digest).or_else(|| self.old.readers.get(digest));
            at.is_some_and(|at| is_fresh(*at))
        };
        let today = reader(&self.salt);
        if seen(&today) || self.ended.is_some_and(|(salt, _)| seen(&reader(&salt))) {
            return Counted::Again;
        }
        let address = address(&self.salt);
        let known = self
            .young
            .addresses
            .get(&address)
            .or_else(|| self.old.addresses.get(&address));
        let mut tally = known
            .copied()
            .filter(|tally| is_fresh(tally.since))
            .unwrap_or(Tally { since: now, readers: 0 });
        if tally.readers >= MOST_READERS {
            return Counted::Enough;
        }
        tally.readers += 1;
        self.young.addresses.insert(address, tally);
        self.young.readers.insert(today, now);
        Counted::Yes
    }
}

impl Views {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self {
            readers: std::array::from_fn(|_| Mutex::new(Readers::new())),
            counts: std::array::from_fn(|_| Mutex::default()),
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
        let shard = shard_of(article, address);
        let counted = {
            let mut readers = locked(&self.readers[shard]);
            readers.keep_fresh(now.ms());
            readers.meet(
                |salt| digest(salt, article, address, browser),
                |salt| digest(salt, article, address, b""),
                now.ms(),
            )
        };
        if counted == Counted::Yes {
            *locked(&self.counts[shard]).entry(article).or_default() += 1;
        }
        counted
    }

    /// Lets go of readers whose half hour is over, also where nobody comes any more.
    pub fn sweep(&self, now: Time) {
        for readers in &self.readers {
            locked(readers).keep_fresh(now.ms());
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
        for shard in &self.counts {
            for (article, n) in mem::take(&mut *locked(shard)) {
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
        IpAddr::V6(ip) => ip.octets()[7],
    };
    usize::from(article.as_bytes()[15] ^ last) % SHARDS
}

/// SipHash-2-4 under the salt as its key, 64 bits: nobody without the salt can tell whom it names, and among all readers
/// that are remembered, two are taken for one about once in ten million years.
fn digest(salt: &[u8; 16], article: Uuid, address: IpAddr, browser: &[u8]) -> u64 {
    let mut hash = SipHasher24::new_with_key(salt);
    hash.write(article.as_bytes());
    match network(address) {
        IpAddr::V4(ip) => hash.write(&ip.octets()),
        IpAddr::V6(ip) => hash.write(&ip.octets()),
    }
    hash.write(&browser[..browser.len().min(256)]);
    hash.finish()
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
        let most = u32::from(MOST_READERS);
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
    fn a_new_day_has_a_new_salt() {
        let mut readers = Readers::new();
        let digest = |salt: &[u8; 16]| u64::from(salt[0]) << 8 | u64::from(salt[1]);
        readers.keep_fresh(DAY - 1);
        let first = readers.salt;
        assert_eq!(readers.meet(digest, digest, DAY - 1), Counted::Yes);
        readers.keep_fresh(DAY);
        assert_ne!(readers.salt, first);
        assert_eq!(
            readers.meet(digest, digest, DAY),
            Counted::Again,
            "midnight makes nobody new"
        );
        readers.keep_fresh(DAY + ONCE_IN);
        assert_eq!(readers.ended, None, "yesterday's salt is gone");
        assert_eq!(readers.meet(digest, digest, DAY + ONCE_IN), Counted::Yes);
    }

    #[test]
    fn a_flood_of_readers_is_bounded() {
        let mut readers = Readers::new();
        for n in 0..(2 * REMEMBERED / SHARDS) as u64 {
            readers.keep_fresh(1000);
            assert_eq!(readers.meet(|_| n, |_| n, 1000), Counted::Yes);
        }
        assert!(readers.young.readers.len() + readers.old.readers.len() <= REMEMBERED / SHARDS);
        assert!(readers.young.addresses.len() + readers.old.addresses.len() <= REMEMBERED / SHARDS);
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
