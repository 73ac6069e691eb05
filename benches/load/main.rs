//! The load run: what newsdesk costs a request, in CPU of its process and beside a handler that returns constant bytes.
//! benches/README.md says what is measured and how, and what came out.

mod client;
mod constant;
mod cores;
mod data;
mod durable;
mod grow;
mod measure;
mod newsroom;
mod paths;
mod process;
mod reader;
mod report;
mod slow_disk;
mod store;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::measure::{ROUNDS, median};
use crate::newsroom::Program;
use crate::paths::Part;
use crate::process::Process;
use crate::report::{Goal, Line, Report};
use crate::store::Backend;

/// Settings of a process that keeps no answers.
const NO_CACHE: [(&str, &str); 1] = [("CACHE_MIB", "0")];
/// Views that are sent to a newsroom whose most viewed stories are to be measured.
const VIEWS: usize = 10_000;
/// What the memory of a process may come to.
const MEMORY: f64 = 120.0;

/// Measures newsdesk under load. With BENCH_POSTGRES_URL (a server where databases may be made) also on PostgreSQL.
#[derive(Parser)]
struct Arguments {
    /// Stories: 10000 measures everything, 100000 and 1000000 what may grow with them.
    stories: Option<usize>,
    /// Stories of the small newsroom.
    #[arg(long, default_value_t = 10_000)]
    base: usize,
    /// Part of the requests that are sent, for trials: 0.05 is quick and wrong.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Only sqlite, or only postgres.
    #[arg(long, value_parser = ["sqlite", "postgres"])]
    only: Option<String>,
    /// Only paths whose names contain this, such as uncached.
    #[arg(long, default_value = "")]
    paths: String,
    /// Milliseconds that every fsync takes longer, newsdesk's and the bench's own, as on a disk that has to turn.
    #[arg(long)]
    fsync_ms: Option<f64>,
    /// Print the tables for benches/README.md on standard output.
    #[arg(long)]
    markdown: bool,
    /// The program; target/release/newsdesk when absent.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Runs the constant handler: address, status, file of the body, media type, coding.
    #[arg(long, hide = true, num_args = 5)]
    constant: Vec<String>,
    /// Said by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.constant.is_empty() {
        run(&arguments)
    } else {
        constant::serve(&arguments.constant)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let target = std::path::absolute(target).map_err(|error| error.to_string())?;
    if let Some(ms) = arguments.fsync_ms.filter(|_| !slow_disk::is_slow()) {
        return slow_disk::again(&target.join("bench-data"), ms);
    }
    let binary = arguments
        .binary
        .clone()
        .unwrap_or_else(|| target.join("release/newsdesk"));
    let binary = std::path::absolute(binary).map_err(|error| error.to_string())?;
    if !binary.is_file() {
        return Err(format!("{} is not there: cargo build --release", binary.display()));
    }
    let program = Program { binary };
    let mut markdown = heading(arguments);
    eprint!("{markdown}");
    let mut missed = 0;
    for backend in backends(arguments, &target.join("bench-data"))? {
        let stories = arguments.stories.unwrap_or(arguments.base);
        let title = format!("{}, {stories} stories", backend.name());
        let mut report = Report::new(title, is_trial(arguments));
        if stories <= arguments.base {
            whole(&program, &backend, arguments, &mut report)?;
        } else {
            growth(&program, &backend, arguments, stories, &mut report)?;
        }
        missed += report.missed();
        markdown.push_str(&format!("\n{}", report.markdown()));
    }
    eprintln!("\ngoals missed: {missed}");
    if arguments.markdown {
        print!("{markdown}");
    }
    Ok(())
}

/// Few requests, few stories or a bench without optimisation: whether it runs can be seen, how fast cannot.
fn is_trial(arguments: &Arguments) -> bool {
    arguments.scale < 1.0 || arguments.base < 10_000 || cfg!(debug_assertions)
}

fn heading(arguments: &Arguments) -> String {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let trial = if is_trial(arguments) {
        "\n\nA trial: the figures are worth nothing."
    } else {
        ""
    };
    format!(
        "`just bench {}`, {}, {}{trial}\n",
        words.join(" "),
        chrono::Utc::now().format("%Y-%m-%d"),
        report::machine()
    )
    .replace(" `,", "`,")
}

fn backends(arguments: &Arguments, folder: &Path) -> Result<Vec<Backend>, String> {
    let wanted = |name: &str| arguments.only.as_deref().is_none_or(|only| only == name);
    let mut backends = Vec::new();
    if wanted("sqlite") {
        backends.push(Backend::Sqlite(folder.join("sqlite")));
    }
    let server = std::env::var("BENCH_POSTGRES_URL").ok().filter(|url| !url.is_empty());
    match server {
        Some(server) if wanted("postgres") => backends.push(Backend::Postgres(server, folder.join("postgres"))),
        None if arguments.only.as_deref() == Some("postgres") => return Err("set BENCH_POSTGRES_URL".into()),
        _ => {}
    }
    Ok(backends)
}

/// Everything, on a copy of the small newsroom.
fn whole(program: &Program, backend: &Backend, arguments: &Arguments, report: &mut Report) -> Result<(), String> {
    let (stories, scale) = (arguments.base, arguments.scale);
    let made = data::ready(program, backend, stories, stories)?;
    backend.copy(&made, "run")?;
    report.add(start_up(program, backend, "run")?);
    let process = program.start(backend, "run", &[])?;
    let mut part = Part {
        backend,
        report,
        scale,
        stories,
        paths: &arguments.paths,
    };
    part.cached(&process)?;
    if durable::PATH.contains(&arguments.paths) {
        let scratch = backend.is_sqlite().then(|| backend.folder("plain"));
        let line = durable::create_articles(&process, scratch.as_deref(), scale)?;
        part.report.add(line);
    }
    part.report
        .add(memory("memory after all of this", &process, Some(MEMORY))?);
    process.stop()?;
    let process = program.start(backend, "run", &NO_CACHE)?;
    part.uncached(&process, None)?;
    part.report
        .add(memory("memory of the process without a cache", &process, None)?);
    process.stop()
}

/// What may grow with the stories, beside the small newsroom.
fn growth(
    program: &Program,
    backend: &Backend,
    arguments: &Arguments,
    stories: usize,
    report: &mut Report,
) -> Result<(), String> {
    let small = data::ready(program, backend, arguments.base, arguments.base)?;
    backend.copy(&small, "run")?;
    // Large newsrooms are not copied: views are all that is added to them.
    let large = data::ready(program, backend, stories, arguments.base)?;
    for name in ["run", large.as_str()] {
        let process = program.start(backend, name, &[])?;
        reader::send_views(&process, VIEWS)?;
        process.stop()?;
    }
    report.add(start_up(program, backend, &large)?);
    let small = program.start(backend, "run", &NO_CACHE)?;
    let large = program.start(backend, &large, &NO_CACHE)?;
    let mut part = Part {
        backend,
        report,
        scale: arguments.scale,
        stories,
        paths: &arguments.paths,
    };
    part.uncached(&large, Some(&small))?;
    part.report.add(memory("memory after all of this", &large, None)?);
    small.stop()?;
    large.stop()
}

/// From the start of the process to its first page of stories.
fn start_up(program: &Program, backend: &Backend, name: &str) -> Result<Line, String> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let process = program.start(backend, name, &[])?;
        times.push(millis(process.start));
        process.stop()?;
    }
    Ok(Line {
        path: "start-up to the first 200".into(),
        note: format!("{:.0} ms, the middle of {ROUNDS}", median(times)),
        ..Line::default()
    })
}

fn memory(path: &str, process: &Process, limit: Option<f64>) -> Result<Line, String> {
    let memory = process.memory()?;
    let mib = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    Ok(Line {
        path: path.into(),
        note: format!("{:.0} MiB, at most {:.0} so far", mib(memory.now), mib(memory.most)),
        goal: limit.and_then(|limit| Goal::at_most(mib(memory.now), limit, " MiB")),
        ..Line::default()
    })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
