//! A disk that takes longer to have written something: a library in front of newsdesk and of the bench itself, since what
//! newsdesk's writes are compared with is written here.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::store::told;

const SOURCE: &str = include_str!("slow_sync.c");
/// What the library reads and the linker.
const SETTINGS: [&str; 2] = ["FSYNC_US", "LD_PRELOAD"];

/// What a process needs in its environment to have the same disk as this one.
pub fn settings() -> Vec<(&'static str, OsString)> {
    let set = |name| Some((name, std::env::var_os(name)?));
    SETTINGS.into_iter().filter_map(set).collect()
}

/// Whether this process has such a disk.
pub fn is_slow() -> bool {
    settings().len() == SETTINGS.len()
}

/// Runs the bench again in this one's place, with a disk that takes so many milliseconds more.
pub fn again(folder: &Path, ms: f64) -> Result<(), String> {
    if !(0.0..=1000.0).contains(&ms) {
        return Err("--fsync-ms takes 0 to 1000".into());
    }
    std::fs::create_dir_all(folder).map_err(|error| told(folder, &error))?;
    let (source, library) = (folder.join("slow_sync.c"), folder.join("slow_sync.so"));
    std::fs::write(&source, SOURCE).map_err(|error| told(&source, &error))?;
    let mut compiler = Command::new("cc");
    compiler
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl");
    let compiled = compiler.status().map_err(|error| format!("{compiler:?}: {error}"))?;
    if !compiled.success() {
        return Err(format!("{compiler:?}: {compiled}"));
    }
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut bench = Command::new(this);
    bench
        .args(std::env::args_os().skip(1))
        .env(SETTINGS[0], format!("{:.0}", ms * 1000.0))
        .env(SETTINGS[1], &library);
    Err(format!("{bench:?}: {}", bench.exec()))
}
