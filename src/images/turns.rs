//! Whose turn it is to hold pixels in memory: as many as there are cores, and no more together than may be.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::process::ROOM;
use crate::error::{Problem, Result};

const MIB: u64 = 1024 * 1024;
/// What all that is decoded at one time may take together, in MiB: one picture may take all of it.
const TOGETHER: u32 = (ROOM / MIB) as u32;
/// What a picture is counted for at least, in MiB.
const LEAST: u32 = 8;

/// The turns of this process, first come, first served.
pub struct Turns {
    cores: Arc<Semaphore>,
    memory: Arc<Semaphore>,
}

/// A turn; it ends when it is dropped.
pub struct Turn {
    _core: Option<OwnedSemaphorePermit>,
    memory: OwnedSemaphorePermit,
}

impl Turns {
    /// Turns on as many cores.
    pub fn new(cores: usize) -> Self {
        Self {
            cores: Arc::new(Semaphore::new(cores)),
            memory: Arc::new(Semaphore::new(TOGETHER as usize)),
        }
    }

    /// Waits for a core, and for memory that so many bytes of pixels fit in.
    pub async fn turn(&self, bytes: u64) -> Result<Turn> {
        let core = Arc::clone(&self.cores)
            .acquire_owned()
            .await
            .map_err(Problem::internal)?;
        let memory = self.memory_for(bytes).await?;
        Ok(Turn {
            _core: Some(core),
            memory,
        })
    }

    /// The same turn with memory for so many bytes, now that it is known what is needed. Nothing may be decoded yet: what
    /// the turn had is given back before more is waited for, so that two who need more do not wait for each other.
    pub async fn enough(&self, turn: Turn, bytes: u64) -> Result<Turn> {
        if turn.memory.num_permits() as u64 * MIB >= bytes.min(ROOM) {
            return Ok(turn);
        }
        let Turn { _core, memory } = turn;
        drop(memory);
        Ok(Turn {
            _core,
            memory: self.memory_for(bytes).await?,
        })
    }

    /// Waits for memory alone, for work that gives way to all other work anyway.
    pub async fn aside(&self, bytes: u64) -> Result<Turn> {
        Ok(Turn {
            _core: None,
            memory: self.memory_for(bytes).await?,
        })
    }

    async fn memory_for(&self, bytes: u64) -> Result<OwnedSemaphorePermit> {
        let mebibytes = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(TOGETHER);
        let mebibytes = mebibytes.clamp(LEAST, TOGETHER);
        let memory = Arc::clone(&self.memory).acquire_many_owned(mebibytes).await;
        memory.map_err(Problem::internal)
    }
}
