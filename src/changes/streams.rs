//! How many streams of changes are open, in all and from one network: each holds a connection for as long as its reader
//! likes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Code, Problem, Result};
use crate::limits::network;

/// Streams that may be open at once; each takes a connection and a few KiB.
const ALL: usize = 1000;
/// Of these, from one address (IPv6: a /64).
const FROM_ONE: usize = 50;

/// The streams that are open.
#[derive(Default)]
pub struct Streams {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// One stream's place, free again when it is dropped.
pub struct Place {
    streams: Arc<Streams>,
    network: Option<IpAddr>,
}

impl Streams {
    /// Opens one more: 503 when there are too many, 429 when too many come from this address. None has no limit of its own.
    pub fn open(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Place> {
        let network = address.map(network);
        let mut open = self.lock();
        if open.all >= ALL {
            let text = "Too many streams are open here. Try again later.";
            return Err(Problem::new(Code::Unavailable, text).header("Retry-After", "30"));
        }
        if let Some(network) = network {
            let from_one = open.by_network.entry(network).or_default();
            if *from_one >= FROM_ONE {
                let text = format!("{FROM_ONE} streams are open from this address: close one, or try again later.");
                return Err(Problem::new(Code::RateLimited, text).header("Retry-After", "30"));
            }
            *from_one += 1;
        }
        open.all += 1;
        Ok(Place {
            streams: Arc::clone(self),
            network,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // What is locked here is whole between any two statements.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        open.all -= 1;
        let Some(network) = self.network else { return };
        if let Some(from_one) = open.by_network.get_mut(&network) {
            *from_one -= 1;
            if *from_one == 0 {
                open.by_network.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_the_streams_of_all() {
        let streams = Arc::new(Streams::default());
        let one = Some(IpAddr::from([192, 0, 2, 1]));
        let open = |address| streams.open(address).map_err(|problem| problem.code());
        let mut places: Vec<Place> = (0..FROM_ONE).map(|_| open(one).expect("a place")).collect();
        assert_eq!(open(one).err(), Some(Code::RateLimited));
        places.pop();
        places.push(open(one).expect("a place that is free again"));
        places.push(open(Some(IpAddr::from([192, 0, 2, 2]))).expect("another address"));
        places.extend((places.len()..ALL).map(|_| open(None).expect("a front end")));
        assert_eq!(open(None).err(), Some(Code::Unavailable));
        assert_eq!(open(one).err(), Some(Code::Unavailable));
        places.clear();
        assert!(streams.lock().by_network.is_empty());
        assert!(open(one).is_ok());
    }
}
