//! `newsdesk media move TO`: copies every file to another store, reads each back there, and says what to set then.
//!
//! What was copied and read back is remembered in the database, so that a move that was stopped, however, goes on where it
//! was. The server may run meanwhile: files never change, and what is uploaded during a pass is copied by the next.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;

use super::check::{bar, checksum, failed};
use super::sweep::OWNER;
use super::{MediaStore, ledger};
use crate::app::App;
use crate::request::hash;

/// Files that are copied at once; each is held in memory.
const AT_ONCE: usize = 6;
/// Copied files are remembered in groups of so many, so that a kill costs little to look at again.
const GROUP: usize = 20;
/// Passes over the store; each copies what came during the one before.
const PASSES: usize = 20;

/// What became of one file.
enum Outcome {
    /// It was copied.
    Copied,
    /// It was there already, and was read back.
    There,
    /// It went away meanwhile.
    Gone,
    /// The original does not have the checksum that was kept at its upload; it was copied as it is.
    Bent,
}

#[derive(Default)]
struct Sum {
    copied: u64,
    there: u64,
    bent: Vec<String>,
}

/// Moves from a store to another. The error says what was wrong, and what to do.
pub async fn run(app: &App, from: &str, to: &str) -> Result<(), String> {
    if from == to {
        return Err(format!("the files are at {to} already"));
    }
    let source = MediaStore::open(from)?;
    let target = MediaStore::open_other(to)?;
    if is_within(&source, from, &target, to) || is_within(&target, to, &source, from) {
        return Err(format!(
            "{to} and {from} lie one within the other, and a move would copy its own copies: choose a place beside it"
        ));
    }
    let endpoint = ["TO_AWS_ENDPOINT", "AWS_ENDPOINT"].map(|name| std::env::var(name).ok());
    let endpoint = endpoint
        .into_iter()
        .flatten()
        .next()
        .filter(|_| to.starts_with("s3://"));
    let name = endpoint.map_or(to.to_owned(), |endpoint| format!("{to} at {endpoint}"));
    take_over(&source, &target, to).await?;
    let mut sum = Sum::default();
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    for _ in 0..PASSES {
        let mut todo = todo(app, &source, &target, &name).await?;
        todo.retain(|(key, _)| !sum.bent.contains(key));
        if todo.is_empty() {
            return conclude(from, to, &sum);
        }
        let progress = bar(todo.len() as u64, "moving");
        let passed = pass(app, &source, &target, &name, todo, &mut sum, &progress);
        tokio::select! {
            passed = passed => passed?,
            _ = &mut stop => {
                progress.abandon();
                return Err(format!(
                    "stopped after {} files: run the same command again, and it goes on from here", sum.copied + sum.there
                ));
            }
        }
        progress.finish_and_clear();
    }
    Err("files come faster than they are copied: run the same command again in a quieter hour".into())
}

/// Whether the second store lies within the first, or is it.
fn is_within(outer: &MediaStore, outer_url: &str, inner: &MediaStore, inner_url: &str) -> bool {
    let real = |store: &MediaStore| store.folder().and_then(|folder| std::fs::canonicalize(folder).ok());
    match (real(outer), real(inner)) {
        (Some(outer), Some(inner)) => inner.starts_with(outer),
        _ => {
            // The same names may be those of two servers' buckets.
            let elsewhere = std::env::var_os("TO_AWS_ENDPOINT").is_some();
            let slashed = |url: &str| format!("{}/", url.trim_end_matches('/'));
            !elsewhere && slashed(inner_url).starts_with(&slashed(outer_url))
        }
    }
}

/// The target gets the name of whose store it is, unless it has another's.
async fn take_over(source: &MediaStore, target: &MediaStore, to: &str) -> Result<(), String> {
    let own = source.get(OWNER, None).await.map_err(|error| failed(&error))?;
    let there = target.get(OWNER, None).await;
    match (own, there.map_err(|error| format!("the target: {}", failed(&error)))?) {
        (own, Some(other)) if own.as_ref().is_none_or(|own| own.bytes != other.bytes) => Err(format!(
            "{to} is the store of another installation ({OWNER} there says so): choose another folder or prefix"
        )),
        (Some(own), None) => {
            let put = target.put(OWNER, own.bytes).await;
            put.map_err(|error| format!("the target: {}", failed(&error)))
        }
        _ => Ok(()),
    }
}

/// What is not at the target yet, as far as was read back there.
async fn todo(app: &App, source: &MediaStore, target: &MediaStore, name: &str) -> Result<Vec<(String, bool)>, String> {
    let here = source.list().await.map_err(|error| failed(&error))?;
    let there = target
        .list()
        .await
        .map_err(|error| format!("the target: {}", failed(&error)))?;
    let there: HashMap<String, u64> = there.into_iter().map(|entry| (entry.key, entry.size)).collect();
    let wanted = name.to_owned();
    let moved = app
        .db
        .read(move |conn| ledger::moved(conn, &wanted))
        .await
        .map_err(|problem| problem.to_string())?;
    let mut todo: Vec<(String, bool)> = here
        .into_iter()
        // What nobody could have asked for is not newsdesk's.
        .filter(|entry| super::checked(&entry.key).is_ok() && entry.key != OWNER)
        .filter_map(|entry| {
            let same = there.get(&entry.key) == Some(&entry.size);
            (!(same && moved.contains(&entry.key))).then_some((entry.key, same))
        })
        .collect();
    todo.sort();
    Ok(todo)
}

async fn pass(
    app: &App,
    source: &MediaStore,
    target: &MediaStore,
    name: &str,
    todo: Vec<(String, bool)>,
    sum: &mut Sum,
    progress: &ProgressBar,
) -> Result<(), String> {
    let mut copies = stream::iter(todo)
        .map(|(key, there)| async move {
            let outcome = copy(app, source, target, &key, there).await;
            (key, outcome)
        })
        .buffer_unordered(AT_ONCE);
    let mut group = Vec::new();
    let mut failure = None;
    while let Some((key, outcome)) = copies.next().await {
        match outcome {
            Ok(Outcome::Copied) => sum.copied += 1,
            Ok(Outcome::There) => sum.there += 1,
            Ok(Outcome::Bent) => {
                sum.copied += 1;
                progress.suspend(|| eprintln!("{key}: copied as it is, though its checksum is not that of its upload"));
                // Not remembered: the next run has to tell of it, too.
                sum.bent.push(key);
                progress.inc(1);
                continue;
            }
            Ok(Outcome::Gone) => {
                progress.inc(1);
                continue;
            }
            Err(error) => {
                failure = Some(format!("{key}: {error}"));
                break;
            }
        }
        progress.inc(1);
        group.push(key);
        if group.len() >= GROUP {
            remember(app, name, &mut group).await?;
        }
    }
    remember(app, name, &mut group).await?;
    match failure {
        None => Ok(()),
        Some(failure) => Err(format!(
            "{failure}\n{} files were copied: run the same command again, and it goes on from here",
            sum.copied
        )),
    }
}

async fn remember(app: &App, name: &str, group: &mut Vec<String>) -> Result<(), String> {
    if group.is_empty() {
        return Ok(());
    }
    let (keys, name) = (std::mem::take(group), name.to_owned());
    app.db
        .write(move |tx| ledger::remember_moved(tx, &name, &keys))
        .await
        .map_err(|problem| problem.to_string())
}

/// Copies one file and reads it back. One of the same size that is there already is only read.
async fn copy(app: &App, source: &MediaStore, target: &MediaStore, key: &str, there: bool) -> Result<Outcome, String> {
    let Some(object) = source.get(key, None).await.map_err(|error| failed(&error))? else {
        return Ok(Outcome::Gone);
    };
    let bytes: Bytes = object.bytes;
    let sha256 = hash(&bytes);
    let wanted = key.to_owned();
    let kept = app
        .db
        .read(move |conn| ledger::kept(conn, &wanted))
        .await
        .map_err(|problem| problem.to_string())?;
    let bent = kept.is_some_and(|kept| kept.sha256 != sha256);
    if there && checksum(target, key).await?.as_deref() == Some(sha256.as_str()) {
        return Ok(if bent { Outcome::Bent } else { Outcome::There });
    }
    target
        .put(key, bytes)
        .await
        .map_err(|error| format!("it cannot be written at the target: {}", failed(&error)))?;
    if checksum(target, key).await?.as_deref() != Some(sha256.as_str()) {
        return Err("it was written at the target, and other bytes are read there".into());
    }
    Ok(if bent { Outcome::Bent } else { Outcome::Copied })
}

fn conclude(from: &str, to: &str, sum: &Sum) -> Result<(), String> {
    println!(
        "{} files copied, {} were there already; each was read back at {to}.",
        sum.copied, sum.there
    );
    println!();
    println!("Now: 1. Set MEDIA_URL={to} (with the AWS_ variables that belong to it) and restart every instance.");
    println!("     2. Run `newsdesk media move {to} --from {from}` once more, for what was uploaded until then.");
    println!("     3. Run `newsdesk media check`. Nothing was removed at {from}: do that yourself when all is well.");
    match sum.bent.as_slice() {
        [] => Ok(()),
        bent => Err(format!(
            "copied as they are, though their checksums are not those of their uploads: {}",
            bent.join(", ")
        )),
    }
}
