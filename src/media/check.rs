//! `newsdesk media check`: whether every image has its file, whole, and no file is without an image.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::ledger::{self, Kept};
use super::{MediaStore, sweep};
use crate::app::App;
use crate::request::hash;
use crate::types::Time;

/// Rows that are read at a time.
const PIECE: i64 = 500;
/// Files that are read at once.
const AT_ONCE: usize = 8;
/// A file without an image is told once it is so old, in seconds: an upload writes the file first.
const YOUNG_SECONDS: i64 = 3600;

/// How it is told.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Every original is read and compared with its checksum.
    pub checksums: bool,
    /// One JSON object a line in place of words.
    pub json: bool,
}

/// One thing that is not right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "finding")]
enum Finding {
    /// An image's file is not there.
    Missing { key: String, image_id: String },
    /// It has another size.
    WrongSize {
        key: String,
        image_id: String,
        bytes: u64,
        expected: i64,
    },
    /// It has other bytes.
    WrongChecksum { key: String, image_id: String },
    /// A file that no image owns.
    Orphan { key: String, bytes: u64 },
}

impl Finding {
    fn words(&self) -> String {
        match self {
            Self::Missing { key, image_id } => format!("missing         {key} of image {image_id}"),
            Self::WrongSize {
                key,
                image_id,
                bytes,
                expected,
            } => format!("wrong size      {key} of image {image_id}: {bytes} bytes, not {expected}"),
            Self::WrongChecksum { key, image_id } => format!("wrong checksum  {key} of image {image_id}"),
            Self::Orphan { key, bytes } => format!("orphan          {key} ({bytes} bytes): no image owns it"),
        }
    }
}

/// What was found in all.
#[derive(Debug, Default, Serialize)]
struct Summary {
    images: u64,
    files: u64,
    bytes: u64,
    missing: u64,
    wrong_size: u64,
    wrong_checksum: u64,
    orphans: u64,
    foreign: u64,
}

struct Report {
    asked: Asked,
    bar: ProgressBar,
    sum: Summary,
}

impl Report {
    fn find(&mut self, finding: &Finding) {
        match finding {
            Finding::Missing { .. } => self.sum.missing += 1,
            Finding::WrongSize { .. } => self.sum.wrong_size += 1,
            Finding::WrongChecksum { .. } => self.sum.wrong_checksum += 1,
            Finding::Orphan { .. } => self.sum.orphans += 1,
        }
        let line = match self.asked.json {
            true => serde_json::to_string(finding).unwrap_or_default(),
            false => finding.words(),
        };
        self.bar.suspend(|| println!("{line}"));
    }
}

/// A bar on standard error, when somebody watches.
pub fn bar(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_prefix(what);
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {elapsed_precise} (still {eta})");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Compares rows and files. The error says in one line what is not right.
pub async fn run(app: &App, asked: Asked) -> Result<(), String> {
    let in_words = |problem: crate::error::Problem| problem.to_string();
    // The list first: what is uploaded meanwhile is asked for by itself.
    let listed = app.media.list().await.map_err(|error| failed(&error))?;
    let mut report = Report {
        asked,
        bar: bar(listed.len() as u64, "checking"),
        sum: Summary {
            files: listed.len() as u64,
            bytes: listed.iter().map(|entry| entry.size).sum(),
            ..Summary::default()
        },
    };
    let sizes: HashMap<&str, u64> = listed.iter().map(|entry| (entry.key.as_str(), entry.size)).collect();
    let mut after = String::new();
    loop {
        let from = after.clone();
        let rows = app
            .db
            .read(move |conn| ledger::kept_after(conn, &from, PIECE))
            .await
            .map_err(in_words)?;
        let Some(last) = rows.last() else { break };
        after.clone_from(&last.key);
        report.sum.images += rows.len() as u64;
        let mut looks = stream::iter(rows)
            .map(|row| {
                let size = sizes.get(row.key.as_str()).copied();
                async move { look(app, &row, size, asked.checksums).await }
            })
            .buffer_unordered(AT_ONCE);
        while let Some(found) = looks.next().await {
            if let Some(finding) = found? {
                report.find(&finding);
            }
            report.bar.inc(1);
        }
    }
    let young = Time::now().plus_seconds(-YOUNG_SECONDS);
    let old: Vec<String> = listed
        .iter()
        .filter(|entry| entry.written < young)
        .map(|entry| entry.key.clone())
        .collect();
    for keys in old.chunks(PIECE as usize) {
        let keys = keys.to_vec();
        let orphans = app
            .db
            .read(move |conn| ledger::orphans(conn, &keys))
            .await
            .map_err(in_words)?;
        for key in orphans {
            let bytes = sizes.get(key.as_str()).copied().unwrap_or_default();
            report.find(&Finding::Orphan { key, bytes });
        }
    }
    let foreign = listed
        .iter()
        .filter(|entry| super::stem(&entry.key).is_none() && entry.key != sweep::OWNER);
    report.sum.foreign = foreign.count() as u64;
    report.bar.finish_and_clear();
    conclude(&report.sum, asked)
}

fn conclude(sum: &Summary, asked: Asked) -> Result<(), String> {
    if asked.json {
        println!("{}", serde_json::json!({ "summary": sum }));
    } else {
        let compared = if asked.checksums {
            ", every checksum compared"
        } else {
            ""
        };
        println!(
            "{} originals, {} files in the store ({} MiB){compared}",
            sum.images,
            sum.files,
            sum.bytes >> 20
        );
        if sum.foreign > 0 {
            println!(
                "{} other files in the store are not newsdesk's and were left alone",
                sum.foreign
            );
        }
    }
    let counts = [
        (sum.missing, "missing"),
        (sum.wrong_size, "of the wrong size"),
        (sum.wrong_checksum, "with the wrong checksum"),
        (
            sum.orphans,
            "that no image owns (removed by newsdesk serve once they are a day old)",
        ),
    ];
    let wrong: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("files: {}", wrong.join(", "))),
    }
}

/// Looks at one original. What seems to be wrong is looked at once more, since it may have changed since it was listed.
async fn look(app: &App, row: &Kept, listed: Option<u64>, checksums: bool) -> Result<Option<Finding>, String> {
    let (key, image_id) = (row.key.clone(), row.image.to_string());
    let expected = row.bytes;
    let fits = |size: u64| i64::try_from(size) == Ok(expected);
    if !listed.is_some_and(fits) {
        match app.media.size(&key).await.map_err(|error| failed(&error))? {
            Some(bytes) if !fits(bytes) => {
                return Ok(Some(Finding::WrongSize {
                    key,
                    image_id,
                    bytes,
                    expected,
                }));
            }
            Some(_) => {}
            None => {
                let wanted = key.clone();
                // It was removed just now, with its row.
                let still = app.db.read(move |conn| ledger::kept(conn, &wanted)).await;
                let gone = matches!(still, Ok(None));
                return Ok((!gone).then_some(Finding::Missing { key, image_id }));
            }
        }
    }
    if checksums && checksum(&app.media, &key).await?.as_deref() != Some(row.sha256.as_str()) {
        return Ok(Some(Finding::WrongChecksum { key, image_id }));
    }
    Ok(None)
}

/// SHA-256 of a stored file, in hexadecimal; none when it is not there.
pub async fn checksum(store: &MediaStore, key: &str) -> Result<Option<String>, String> {
    let object = store.get(key, None).await.map_err(|error| failed(&error))?;
    Ok(object.map(|object| hash(&object.bytes)))
}

/// What the store said, for the operator.
pub fn failed(error: &super::MediaError) -> String {
    match &error.cause {
        Some(cause) => format!("{} ({cause})", error.public),
        None => error.public.to_owned(),
    }
}
