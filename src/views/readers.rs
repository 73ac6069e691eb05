//! Who has opened which story in the last half hour: digests under a salt that is drawn anew each day, in a table that is
//! as large as it will ever be.

use std::hash::Hasher;
use std::net::IpAddr;

use rand::Rng;
use siphasher::sip::SipHasher13;
use uuid::Uuid;

use super::{Counted, DAY, ONCE_IN};
use crate::limits::network;

/// Different readers of one story at one address, an office or a household, that count in half an hour.
const MOST_READERS: u8 = 20;
/// Marks of a bucket, eight bytes each: what is looked through for a digest lies side by side, in one line of the
/// processor's cache.
const MARKS: usize = 8;
/// Buckets of a table; a power of two.
const BUCKETS: usize = 8192;
/// Bits of a mark that tell the time, in milliseconds. They begin anew every 50 days.
const TIME_BITS: u32 = 32;
/// Tells an address's mark from a reader's, in the upper half.
const ADDRESS: u64 = 1 << 31;
/// Bits of an address's mark that count its readers.
const COUNT_BITS: u32 = 5;

/// A part of all readers of stories.
///
/// Each reader of a story leaves a mark, and so does each address: the upper bits of a digest and when it was left. When a
/// bucket is full its oldest mark makes room, so that a flood of readers takes no more memory, and who was forgotten for
/// it may count again. In a full bucket a reader is taken for another once in 250 million views, an address once in eight
/// million, which then counts fewer of its readers.
pub struct Readers {
    salt: [u8; 16],
    /// Yesterday's salt and when it ended: for half an hour more it tells who comes again.
    ended: Option<([u8; 16], i64)>,
    day: i64,
    buckets: Vec<[u64; MARKS]>,
}

/// A reader of a story, and all readers of that story at the same address, under a salt.
#[derive(Clone, Copy)]
struct Digests {
    reader: u64,
    address: u64,
}

/// Someone at an address with a browser who opens a story.
#[derive(Clone, Copy)]
pub struct Reader<'r> {
    /// The story.
    pub story: Uuid,
    /// Where the request came from.
    pub address: IpAddr,
    /// What the browser calls itself.
    pub browser: &'r [u8],
}

impl Reader<'_> {
    /// SipHash-1-3 under the salt as its key: nobody without the salt can tell whom it names.
    fn digests(&self, salt: &[u8; 16]) -> Digests {
        let mut hash = SipHasher13::new_with_key(salt);
        hash.write(self.story.as_bytes());
        match network(self.address) {
            IpAddr::V4(ip) => hash.write(&ip.octets()),
            IpAddr::V6(ip) => hash.write(&ip.octets()),
        }
        let address = hash.finish();
        hash.write(&self.browser[..self.browser.len().min(256)]);
        Digests {
            reader: hash.finish(),
            address,
        }
    }
}

/// Milliseconds between a mark and now. A clock that was set back makes it very old, so that nothing holds for ever.
fn age(mark: u64, now: u32) -> u32 {
    now.wrapping_sub(mark as u32)
}

fn is_fresh(mark: u64, now: u32) -> bool {
    i64::from(age(mark, now)) < ONCE_IN
}

/// What a mark shows of a reader: its first bit says that it is one.
fn shown_of_reader(digest: u64) -> u64 {
    digest >> TIME_BITS & (ADDRESS - 1)
}

/// What a mark shows of an address, besides how many readers have counted there.
fn shown_of_address(digest: u64) -> u64 {
    (digest >> TIME_BITS | ADDRESS) >> COUNT_BITS
}

/// The mark of a reader.
fn reader_mark(digest: u64, now: u32) -> u64 {
    shown_of_reader(digest) << TIME_BITS | u64::from(now)
}

/// The mark of an address where so many readers have counted.
fn address_mark(digest: u64, readers: u8, now: u32) -> u64 {
    (shown_of_address(digest) << COUNT_BITS | u64::from(readers)) << TIME_BITS | u64::from(now)
}

/// The readers in an address's mark.
fn readers_of(mark: u64) -> u8 {
    (mark >> TIME_BITS) as u8 & ((1 << COUNT_BITS) - 1)
}

impl Readers {
    /// Nobody yet.
    pub fn new() -> Self {
        Self {
            salt: [0; 16],
            ended: None,
            day: i64::MIN,
            buckets: vec![[0; MARKS]; BUCKETS],
        }
    }

    /// Whether a view counts: the reader has not been here for half an hour, and not too many others at the same address
    /// have. The time is in milliseconds since 1970.
    pub fn meet(&mut self, reader: &Reader<'_>, now: i64) -> Counted {
        self.keep_salt(now);
        let time = now as u32;
        let today = reader.digests(&self.salt);
        let before = self.ended.map(|(salt, _)| reader.digests(&salt));
        if self.has_met(today, time) || before.is_some_and(|digests| self.has_met(digests, time)) {
            return Counted::Again;
        }
        let bucket = self.bucket(today.address);
        let shown = shown_of_address(today.address);
        let known = bucket
            .iter_mut()
            .find(|mark| **mark >> (TIME_BITS + COUNT_BITS) == shown && is_fresh(**mark, time));
        match known {
            Some(mark) if readers_of(*mark) >= MOST_READERS => return Counted::Enough,
            // The half hour of an address begins with its first reader.
            Some(mark) => *mark += 1 << TIME_BITS,
            None => leave(bucket, address_mark(today.address, 1, time), time),
        }
        let mark = reader_mark(today.reader, time);
        leave(self.bucket(today.reader), mark, time);
        Counted::Yes
    }

    /// Lets go of whoever's half hour is over, also where nobody comes any more.
    pub fn sweep(&mut self, now: i64) {
        self.keep_salt(now);
        let marks = self.buckets.iter_mut().flatten();
        for mark in marks.filter(|mark| **mark != 0 && !is_fresh(**mark, now as u32)) {
            *mark = 0;
        }
    }

    /// A new salt each day, the old one gone half an hour later: nobody can be followed from one day to the next.
    fn keep_salt(&mut self, now: i64) {
        let day = now.div_euclid(DAY);
        if day != self.day {
            self.ended = (self.day != i64::MIN).then_some((self.salt, now));
            self.day = day;
            rand::rng().fill_bytes(&mut self.salt);
        }
        self.ended = self.ended.filter(|(_, since)| (0..ONCE_IN).contains(&(now - since)));
    }

    fn has_met(&mut self, digests: Digests, now: u32) -> bool {
        let shown = shown_of_reader(digests.reader);
        let bucket = self.bucket(digests.reader);
        bucket
            .iter()
            .any(|mark| *mark >> TIME_BITS == shown && is_fresh(*mark, now))
    }

    fn bucket(&mut self, digest: u64) -> &mut [u64; MARKS] {
        &mut self.buckets[digest as usize % BUCKETS]
    }
}

/// Writes a mark in the place of the oldest.
fn leave(bucket: &mut [u64; MARKS], mark: u64, now: u32) {
    let oldest = bucket.iter_mut().max_by_key(|mark| match **mark {
        0 => u32::MAX,
        mark => age(mark, now),
    });
    if let Some(oldest) = oldest {
        *oldest = mark;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 20_000 * DAY + DAY / 2;

    fn reader(story: Uuid, number: u32) -> Reader<'static> {
        Reader {
            story,
            address: IpAddr::from(number.to_be_bytes()),
            browser: b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        }
    }

    fn marks(readers: &Readers) -> usize {
        readers.buckets.iter().flatten().filter(|mark| **mark != 0).count()
    }

    #[test]
    fn a_new_day_has_a_new_salt() {
        let (mut readers, somebody) = (Readers::new(), reader(Uuid::now_v7(), 7));
        assert_eq!(readers.meet(&somebody, DAY - 1), Counted::Yes);
        let first = readers.salt;
        assert_eq!(
            readers.meet(&somebody, DAY),
            Counted::Again,
            "midnight makes nobody new"
        );
        assert_ne!(readers.salt, first);
        readers.sweep(DAY + ONCE_IN);
        assert_eq!(readers.ended, None, "yesterday's salt is gone");
        assert_eq!(marks(&readers), 0);
        assert_eq!(readers.meet(&somebody, DAY + ONCE_IN), Counted::Yes);
    }

    #[test]
    fn a_flood_of_readers_forgets_the_oldest() {
        let (mut readers, story) = (Readers::new(), Uuid::now_v7());
        let room = (BUCKETS * MARKS) as u32;
        for number in 0..2 * room {
            let time = NOON + i64::from(number) / 100;
            assert_eq!(readers.meet(&reader(story, number), time), Counted::Yes);
        }
        let now = NOON + i64::from(2 * room) / 100;
        let met = |numbers: std::ops::Range<u32>, readers: &mut Readers| {
            let time = now as u32;
            let digests = numbers.map(|number| reader(story, number).digests(&readers.salt));
            let digests: Vec<Digests> = digests.collect();
            digests.into_iter().filter(|one| readers.has_met(*one, time)).count()
        };
        assert!(
            met(2 * room - 10_000..2 * room, &mut readers) > 9_900,
            "who came last is known"
        );
        assert!(met(0..10_000, &mut readers) < 100, "who came first is not");
        readers.sweep(now + ONCE_IN);
        assert_eq!(marks(&readers), 0, "half an hour later nothing is kept");
    }

    #[test]
    fn an_address_keeps_its_count_beside_many_others() {
        let stories: Vec<Uuid> = (0..500).map(|_| Uuid::now_v7()).collect();
        let mut readers = Readers::new();
        for browser in 0..60 {
            let browser = format!("Mozilla/5.0 (X11; rv:{browser}.0)");
            for (number, story) in stories.iter().enumerate() {
                let reader = Reader {
                    browser: browser.as_bytes(),
                    ..reader(*story, number as u32)
                };
                readers.meet(&reader, NOON);
            }
        }
        // One mark for each address and one for each of the readers that count; hardly any was crowded out.
        let most = stories.len() * (1 + usize::from(MOST_READERS));
        let left = marks(&readers);
        assert!(left.abs_diff(most) < most / 200, "{left} of {most}");
    }

    #[test]
    fn what_is_half_full_forgets_hardly_anybody() {
        let (mut readers, story) = (Readers::new(), Uuid::now_v7());
        let many = (BUCKETS * MARKS / 4) as u32;
        for number in 0..many {
            readers.meet(&reader(story, number), NOON);
        }
        let again = (0..many).filter(|number| readers.meet(&reader(story, *number), NOON + 1) == Counted::Again);
        assert!(again.count() as u32 > many - many / 20);
    }

    #[test]
    fn a_clock_that_is_set_back_or_begins_anew_holds_nobody_for_ever() {
        let (mut readers, somebody) = (Readers::new(), reader(Uuid::now_v7(), 7));
        let wrap = ((NOON >> TIME_BITS) + 1) << TIME_BITS;
        assert_eq!(readers.meet(&somebody, wrap - 1), Counted::Yes);
        assert_eq!(readers.meet(&somebody, wrap), Counted::Again);
        assert_eq!(
            readers.meet(&somebody, wrap - 60_000),
            Counted::Yes,
            "set back by a minute"
        );
        assert_eq!(readers.meet(&somebody, wrap + ONCE_IN), Counted::Yes);
    }
}
