//! Other sizes, cuts and formats of the library's pictures.
//!
//! A variant's address is its original's unguessable key with what it is: `3f/3f9c…-w640.webp`,
//! `3f/3f9c…-16x9-50x40-w640.jpg`. It is made when it is first asked for and kept in the media store, where it may be
//! removed again to keep within a budget; the same address then makes the same picture anew.

pub mod avif;
pub mod making;
pub mod spec;
pub mod store;
pub mod tend;

use std::sync::Arc;

use tokio::sync::{Notify, Semaphore};

use making::Board;
use tend::{Asks, Uses};

/// Variants that may wait to be made; more are answered 503. Each holds a name and a place, no pixels.
const WAITING: usize = 100;

/// What is going on with variants in this process.
pub struct Variants {
    /// What is being made, and who waits for it.
    board: Board,
    /// One variant that is made or waits for it per permit.
    places: Arc<Semaphore>,
    /// What was served since it was last written down.
    pub uses: Uses,
    /// Missing files that were asked for lately.
    asks: Asks,
    /// Wakes the maker of AVIF files.
    avif: Notify,
    /// Wakes whoever looks after the budget.
    made: Notify,
}

impl Variants {
    /// Nothing is going on yet.
    pub fn new() -> Self {
        Self {
            board: Board::default(),
            places: Arc::new(Semaphore::new(WAITING)),
            uses: Uses::default(),
            asks: Asks::default(),
            avif: Notify::new(),
            made: Notify::new(),
        }
    }
}
