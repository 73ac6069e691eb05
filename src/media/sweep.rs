//! Removing files that nobody needs: those of images that were deleted or got another file a while ago, what a crash left
//! without a row, and half-written files of a folder.
//!
//! A store belongs to one installation. The first one to sweep it leaves its name there; another never removes anything.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{Entry, MediaStore, ledger};
use crate::app::App;
use crate::db::{Tx, try_lock};
use crate::error::Result;
use crate::meta;
use crate::types::{Id, Time};

/// The file that says whose store it is.
pub const OWNER: &str = "newsdesk-owner.txt";
/// The installation's name for this.
const OWN_NAME: &str = "media_owner";
/// When the store was last looked through, in milliseconds.
const LOOKED: &str = "media_looked_ms";

const DAY_SECONDS: i64 = 24 * 3600;
/// Files that are removed in one go.
const PIECE: i64 = 200;
/// Files that are removed at once.
const AT_ONCE: usize = 8;
/// What was remembered of moves is kept so long, in seconds.
const MOVES_SECONDS: i64 = 90 * DAY_SECONDS;

/// Removes what is due by a time that may be believed.
pub async fn run(app: &App, now: Time) -> Result<()> {
    remove_retired(app, now).await?;
    let old = now.plus_seconds(-MOVES_SECONDS);
    while app.db.write(move |tx| ledger::forget_moves(tx, old, PIECE)).await? == PIECE {}
    if app.db.write(move |tx| is_turn(tx, now)).await? {
        look_through(app, now).await?;
    }
    Ok(())
}

/// First the file and then its row: what a crash leaves in between is found again.
async fn remove_retired(app: &App, now: Time) -> Result<()> {
    let before = now.plus_seconds(-app.config.media_retention_days * DAY_SECONDS);
    loop {
        let keys = app.db.read(move |conn| ledger::retired(conn, before, PIECE)).await?;
        if keys.is_empty() {
            return Ok(());
        }
        delete_all(&app.media, &keys).await?;
        keys.iter().for_each(|key| app.hot.forget(key));
        tracing::info!(files = keys.len(), "files of deleted and replaced images were removed");
        app.db.write(move |tx| ledger::forget(tx, &keys)).await?;
    }
}

async fn delete_all(store: &MediaStore, keys: &[String]) -> Result<()> {
    for keys in keys.chunks(AT_ONCE) {
        let deleted = futures_util::future::join_all(keys.iter().map(|key| store.delete(key))).await;
        deleted.into_iter().collect::<Result<Vec<()>, _>>()?;
    }
    Ok(())
}

/// Whether it is time to look through the store, which one instance does once a day.
fn is_turn(tx: &mut Tx<'_>, now: Time) -> Result<bool> {
    if !try_lock(tx.conn, LOOKED)? {
        return Ok(false);
    }
    let last: Option<i64> = meta::value(tx.conn, LOOKED)?.and_then(|text| text.parse().ok());
    // A time ahead of now was written by a clock that was wrong.
    let day = now.plus_seconds(-DAY_SECONDS).ms()..=now.ms();
    if last.is_some_and(|last| day.contains(&last)) {
        return Ok(false);
    }
    meta::set(tx.conn, LOOKED, &now.ms().to_string())?;
    Ok(true)
}

async fn look_through(app: &App, now: Time) -> Result<()> {
    let yesterday = now.plus_seconds(-DAY_SECONDS);
    if let Some(folder) = app.media.folder().map(Path::to_owned) {
        let swept = tokio::task::spawn_blocking(move || half_written(&folder));
        match swept.await {
            Ok(Ok(0)) => {}
            Ok(Ok(files)) => tracing::info!(files, "half-written files were removed"),
            Ok(Err(error)) => tracing::warn!(%error, "half-written files cannot be looked for"),
            Err(error) => tracing::warn!(%error, "half-written files cannot be looked for"),
        }
    }
    if !is_ours(app).await? {
        tracing::error!(
            "the media store belongs to another installation: nothing is removed from it. Give each its own folder or \
             prefix; when this one has taken the store over, delete {OWNER} in it"
        );
        return Ok(());
    }
    let old: Vec<Entry> = app.media.list().await?;
    let old: Vec<String> = old
        .into_iter()
        .filter(|entry| entry.written < yesterday)
        .map(|entry| entry.key)
        .collect();
    for keys in old.chunks(PIECE as usize) {
        let keys = keys.to_vec();
        let orphans = app.db.read(move |conn| ledger::orphans(conn, &keys)).await?;
        if !orphans.is_empty() {
            delete_all(&app.media, &orphans).await?;
            tracing::info!(files = orphans.len(), "files that no image owns were removed");
        }
    }
    Ok(())
}

/// Whether the store has this installation's name; one that has none gets it.
async fn is_ours(app: &App) -> Result<bool> {
    let name = app
        .db
        .write(|tx| {
            meta::set_once(tx.conn, OWN_NAME, Id::new().as_str())?;
            meta::value(tx.conn, OWN_NAME)
        })
        .await?
        .unwrap_or_default();
    match app.media.get(OWNER, None).await? {
        Some(object) => Ok(object.bytes == name.as_bytes()),
        None => {
            app.media.put(OWNER, Bytes::from(name)).await?;
            Ok(true)
        }
    }
}

/// Removes files that a crash left half-written in a folder: the store never lists them. How many there were.
fn half_written(folder: &Path) -> std::io::Result<usize> {
    let yesterday = SystemTime::now() - Duration::from_secs(DAY_SECONDS as u64);
    let (mut folders, mut removed) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let path: PathBuf = entry.path();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && is_staged(&path) && entry.metadata()?.modified()? < yesterday {
                std::fs::remove_file(&path)?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Files are written under their name with a number behind a `#`, and then renamed.
fn is_staged(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let number = name.rsplit_once('#').map_or("", |(_, number)| number);
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_written_files_go_when_they_are_old() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, days: u64| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            let file = std::fs::File::create(&path).expect("a file");
            let age = Duration::from_secs(days * DAY_SECONDS as u64);
            file.set_modified(SystemTime::now() - age).expect("a time");
            path
        };
        let kept = [
            file("3f/3f.jpg", 9),
            file("3f/3f.jpg#2", 0),
            file("#x", 9),
            file("3f/a#", 9),
        ];
        let gone = [file("3f/3f.jpg#1", 2), file("aa/aa.png#17", 400)];
        assert_eq!(half_written(folder.path()).expect("a sweep"), 2);
        assert!(kept.iter().all(|path| path.exists()));
        assert!(gone.iter().all(|path| !path.exists()));
    }
}
