//! Who runs where. Of several threads on a few cores now these share one and now those, and the same requests cost a third
//! more or less. While CPU is measured each worker of a server stays on a core of its own, and the client on the last, which
//! is its alone when it asks one thing after the other: connections go to the workers in turn.

use crate::process::Process;

/// What actix calls its workers.
const WORKERS: &str = "actix-rt";

/// Keeps workers and this thread on their cores until it is dropped.
pub struct Seats<'p> {
    processes: Vec<&'p Process>,
    cores: Vec<usize>,
}

impl<'p> Seats<'p> {
    /// Seats them.
    pub fn take(processes: impl Iterator<Item = &'p Process>, connections: usize) -> Result<Self, String> {
        let seats = Self {
            processes: processes.collect(),
            cores: cores(),
        };
        let places = match (connections, seats.cores.as_slice()) {
            (1, [others @ .., _]) if !others.is_empty() => others,
            (_, all) => all,
        };
        for process in &seats.processes {
            let places = places.iter().cycle();
            for (worker, core) in process.threads(WORKERS)?.into_iter().zip(places) {
                run_on(worker, &[*core])?;
            }
        }
        if let Some(last) = seats.cores.last() {
            run_on(0, &[*last])?;
        }
        Ok(seats)
    }
}

impl Drop for Seats<'_> {
    fn drop(&mut self) {
        // What cannot be set back would show in the figures, and nothing else depends on it.
        let workers = self.processes.iter().flat_map(|process| process.threads(WORKERS));
        for thread in workers.flatten().chain([0]) {
            run_on(thread, &self.cores).ok();
        }
    }
}

#[cfg(target_os = "linux")]
fn cores() -> Vec<usize> {
    let set = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0));
    let is_ours = |core: &usize| set.as_ref().is_ok_and(|set| set.is_set(*core).unwrap_or(false));
    (0..nix::sched::CpuSet::count()).filter(is_ours).collect()
}

#[cfg(target_os = "linux")]
fn run_on(thread: i32, cores: &[usize]) -> Result<(), String> {
    let mut set = nix::sched::CpuSet::new();
    for core in cores {
        set.set(*core).map_err(|error| error.to_string())?;
    }
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(thread), &set).map_err(|error| error.to_string())
}

#[cfg(not(target_os = "linux"))]
fn cores() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
fn run_on(_: i32, _: &[usize]) -> Result<(), String> {
    Ok(())
}
