//! What variants cost, beside `sharp` (libvips): CPU, quality, bytes and memory for each picture, one core each.
//!
//! `just bench-pictures`. See ../README.md.

#![allow(
    dead_code,
    reason = "the picture room is included whole, and not all of it is measured"
)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench may stop"
)]

#[path = "../../src/demo"]
mod demo {
    pub mod draw;
}
#[path = "../../src/images"]
mod images {
    pub mod process;
}
mod photographs;
mod quality;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use images::process::Limits;
use images::process::variant::{VariantFormat, Wanted, render};
use nix::sys::resource::{UsageWho, getrusage};

const WIDTH: u32 = 1280;
/// Format, and how often sharp's CPU time we may take.
const GOALS: [(&str, f64); 3] = [("webp", 1.0), ("jpeg", 1.0), ("avif", 1.5)];

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if let Some(("--side", format, out, files)) = side(&arguments) {
        return measure(format, Path::new(out), files);
    }
    let only: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = root.join("target/bench-data/pictures");
    let files = photographs::ready(&data);
    let here = root.join("benches/pictures");
    assert!(
        here.join("node_modules/sharp").exists(),
        "sharp is missing: run `npm ci` in benches/pictures"
    );
    println!(
        "| JPEG to {WIDTH} | CPU ms | sharp ms | Ratio | Goal | SSIM | sharp SSIM | KB | sharp KB | Peak MiB | sharp MiB |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (format, goal) in GOALS {
        if !only.is_empty() && !only.iter().any(|name| *name == format) {
            continue;
        }
        let ours = run(ours(), format, &data.join("newsdesk"), &files);
        let theirs = run(sharp(&here), format, &data.join("sharp"), &files);
        let (our_quality, their_quality) = quality::compare(&here, &data, format, &files);
        println!(
            "| {format} | {:.1} | {:.1} | {:.2} | ≤ {goal:.1} | {our_quality:.4} | {their_quality:.4} | {:.0} | {:.0} | {:.0} | {:.0} |",
            ours.cpu_ms,
            theirs.cpu_ms,
            ours.cpu_ms / theirs.cpu_ms,
            ours.kilobytes,
            theirs.kilobytes,
            ours.peak_mib,
            theirs.peak_mib,
        );
    }
    if only.is_empty() {
        // Why the picture room has a JPEG decoder of its own: what a decoder that reads whole pictures takes, without
        // making anything smaller or encoding it.
        let whole = run(ours(), "decode", &data.join("newsdesk"), &files);
        println!(
            "| only decoded, whole, by zune-jpeg | {:.1} | | | | | | | | {:.0} | |",
            whole.cpu_ms, whole.peak_mib,
        );
    }
}

fn side(arguments: &[String]) -> Option<(&str, &str, &str, &[String])> {
    match arguments {
        [flag, format, out, files @ ..] => Some((flag, format, out, files)),
        _ => None,
    }
}

struct Measured {
    cpu_ms: f64,
    kilobytes: f64,
    peak_mib: f64,
}

fn ours() -> Command {
    let mut command = Command::new("taskset");
    command
        .args(["-c", "0"])
        .arg(std::env::current_exe().unwrap())
        .arg("--side");
    command
}

fn sharp(here: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0", "node"]).arg(here.join("sharp.mjs"));
    command.env("VIPS_CONCURRENCY", "1").env("UV_THREADPOOL_SIZE", "1");
    command
}

/// Runs one side; it answers with a line for each picture (CPU ms, bytes) and one with its peak (KiB).
fn run(mut command: Command, format: &str, out: &Path, files: &[PathBuf]) -> Measured {
    std::fs::create_dir_all(out).unwrap();
    let output = command
        .arg(format)
        .arg(out)
        .args(files)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "one side failed");
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<Vec<f64>> = text
        .lines()
        .map(|line| line.split_whitespace().map(|number| number.parse().unwrap()).collect())
        .collect();
    let (peak, pictures) = numbers.split_last().unwrap();
    assert_eq!(pictures.len(), files.len());
    let mean = |place: usize| pictures.iter().map(|numbers| numbers[place]).sum::<f64>() / pictures.len() as f64;
    Measured {
        cpu_ms: mean(0),
        kilobytes: mean(1) / 1000.0,
        peak_mib: peak[0] / 1024.0,
    }
}

/// Our side, in a process of its own.
fn measure(format: &str, out: &Path, files: &[String]) {
    if format == "decode" {
        for file in files {
            let original = std::fs::read(file).unwrap();
            let before = cpu_ms();
            let pixels = image::load_from_memory(&original).unwrap();
            println!("{} {}", cpu_ms() - before, pixels.as_bytes().len());
        }
        println!("{}", peak_kib());
        return;
    }
    let format = match format {
        "webp" => VariantFormat::WebP,
        "jpeg" => VariantFormat::Jpeg,
        "avif" => VariantFormat::Avif,
        _ => VariantFormat::Png,
    };
    let wanted = [Wanted {
        width: WIDTH,
        cut: None,
        format,
    }];
    let limits = Limits::default();
    for file in files {
        let original = std::fs::read(file).unwrap();
        let before = cpu_ms();
        let made = render(&original, &wanted, &limits).unwrap();
        let cpu = cpu_ms() - before;
        println!("{cpu} {}", made[0].bytes.len());
        std::fs::write(
            out.join(Path::new(file).file_name().unwrap())
                .with_extension(format.extension()),
            &made[0].bytes,
        )
        .unwrap();
    }
    println!("{}", peak_kib());
}

/// Not `ru_maxrss`: a program inherits that from the one that started it.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn cpu_ms() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let (user, system) = (usage.user_time(), usage.system_time());
    (user.tv_sec() + system.tv_sec()) as f64 * 1000.0 + (user.tv_usec() + system.tv_usec()) as f64 / 1000.0
}
