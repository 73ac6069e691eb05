//! Whose turn it is to hold pixels in memory: as many as there are cores, and no more together than may be.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Problem, Result};

const MIB: u64 = 1024 * 1024;
/// What all that is decoded at one time may take together, in MiB.
const TOGETHER: u32 = 384;
/// What one picture is counted for at most, in MiB: decoding takes no more.
const ONE: u32 = 256;
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
    _memory: OwnedSemaphorePermit,
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
            _memory: memory,
        })
    }

    /// Waits for memory alone, for work that gives way to all other work anyway.
    pub async fn aside(&self, bytes: u64) -> Result<Turn> {
        Ok(Turn {
            _core: None,
            _memory: self.memory_for(bytes).await?,
        })
    }

    async fn memory_for(&self, bytes: u64) -> Result<OwnedSemaphorePermit> {
        let mebibytes = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(ONE).clamp(LEAST, ONE);
        let memory = Arc::clone(&self.memory).acquire_many_owned(mebibytes).await;
        memory.map_err(Problem::internal)
    }
}
