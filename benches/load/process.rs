//! Processes under measurement: started, watched, stopped.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{client, slow_disk};

/// How long a start or a stop may take: an old database may have to be migrated.
const PATIENCE: Duration = Duration::from_secs(300);

/// A running process that answers HTTP. Killed when it is dropped.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start to the first answer with the status that was waited for.
    pub start: Duration,
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Now (`VmRSS`).
    pub now: u64,
    /// At most so far (`VmHWM`).
    pub most: u64,
}

impl Process {
    /// Starts a command that will listen on `address`, and waits until `target` is answered with `status`.
    pub fn start(command: &mut Command, address: SocketAddr, target: &str, status: u16) -> Result<Self, String> {
        let request = client::request("GET", target, &[]);
        let began = Instant::now();
        let spawned = command.spawn();
        let child = spawned.map_err(|error| format!("{command:?} cannot be started: {error}"))?;
        let mut process = Self {
            child,
            address,
            start: Duration::ZERO,
        };
        loop {
            if let Ok(answer) = client::ask(address, &request)
                && answer.status == status
            {
                process.start = began.elapsed();
                return Ok(process);
            }
            let ended = process.child.try_wait().map_err(|error| error.to_string())?;
            if let Some(status) = ended {
                return Err(format!("{command:?} ended: {status}"));
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{command:?} does not answer {target} with {status}"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Its threads whose names begin so, in the order they were started.
    pub fn threads(&self, name: &str) -> Result<Vec<i32>, String> {
        let folder = format!("/proc/{}/task", self.child.id());
        let tasks = std::fs::read_dir(&folder).map_err(|error| format!("{folder}: {error}"))?;
        let mut threads: Vec<i32> = tasks
            .flatten()
            .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.starts_with(name)))
            .filter_map(|task| task.file_name().to_string_lossy().parse().ok())
            .collect();
        threads.sort_unstable();
        Ok(threads)
    }

    /// CPU time so far, of all its threads, in user and kernel.
    pub fn cpu(&self) -> Result<Duration, String> {
        cpu_of(self.child.id())
    }

    /// Its memory.
    pub fn memory(&self) -> Result<Memory, String> {
        let file = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            number.ok_or_else(|| format!("{file} has no {name}"))
        };
        Ok(Memory {
            now: kib("VmRSS:")? * 1024,
            most: kib("VmHWM:")? * 1024,
        })
    }

    /// Asks it to end, as an operator does, and waits.
    pub fn stop(mut self) -> Result<(), String> {
        terminate(self.child.id())?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                let good = status.success();
                return if good {
                    Ok(())
                } else {
                    Err(format!("it ended: {status}"))
                };
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err("it does not end".into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
pub fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
}

/// A command that sees no settings but these, runs in `folder` and logs into `folder`/`log`.
pub fn command(binary: &Path, folder: &Path, log: &str, settings: &[(&str, String)]) -> Result<Command, String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let log = File::create(folder.join(log)).map_err(|error| format!("{log}: {error}"))?;
    let mut command = Command::new(binary);
    command
        .env_clear()
        .envs(settings.iter().map(|(name, value)| (*name, value.as_str())))
        .envs(slow_disk::settings())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Ok(command)
}

#[cfg(target_os = "linux")]
fn cpu_of(pid: u32) -> Result<Duration, String> {
    use nix::time::{ClockId, clock_gettime};
    let clock = ClockId::pid_cpu_clock_id(nix::unistd::Pid::from_raw(pid.cast_signed()));
    let time = clock.and_then(clock_gettime);
    time.map(Duration::from)
        .map_err(|error| format!("the CPU clock of process {pid}: {error}"))
}

#[cfg(target_os = "linux")]
fn terminate(pid: u32) -> Result<(), String> {
    use nix::sys::signal::{Signal, kill};
    kill(nix::unistd::Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).map_err(|error| error.to_string())
}

#[cfg(not(target_os = "linux"))]
fn cpu_of(_: u32) -> Result<Duration, String> {
    Err("CPU is measured on Linux only".into())
}

#[cfg(not(target_os = "linux"))]
fn terminate(_: u32) -> Result<(), String> {
    Err("processes are measured on Linux only".into())
}
