//! What the database says of files in the store.

use std::collections::HashSet;

use diesel::prelude::*;

use super::{UPLOAD, stem};
use crate::db::{Conn, Tx, Value, insert_once};
use crate::error::Result;
use crate::images::variants::spec;
use crate::schema::{image_files, image_variants, images, media_moves};
use crate::types::{Id, Time};

/// The extensions of files that have a row.
const EXTENSIONS: [&str; 6] = ["jpg", "png", "webp", "gif", "avif", UPLOAD];

/// A file that there has to be.
#[derive(Debug, Clone, Queryable)]
pub struct Kept {
    /// Its key.
    pub key: String,
    /// The image it belongs or belonged to.
    pub image: Id,
    /// Its size in bytes.
    pub bytes: i64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// Files that there have to be, in the order of their keys: those after a key.
pub fn kept_after(conn: &mut Conn, key: &str, limit: i64) -> Result<Vec<Kept>> {
    Ok(image_files::table
        .filter(image_files::file_key.gt(key))
        .order(image_files::file_key)
        .select((
            image_files::file_key,
            image_files::image_id,
            image_files::bytes,
            image_files::sha256,
        ))
        .limit(limit)
        .load(conn)?)
}

/// What is known of one original.
pub fn kept(conn: &mut Conn, key: &str) -> Result<Option<Kept>> {
    Ok(image_files::table
        .find(key)
        .select((
            image_files::file_key,
            image_files::image_id,
            image_files::bytes,
            image_files::sha256,
        ))
        .first(conn)
        .optional()?)
}

/// Of these keys, those that belong to no picture: the program named them, and no row knows their original, or them if
/// they are other sizes of one.
pub fn orphans(conn: &mut Conn, keys: &[String]) -> Result<Vec<String>> {
    let mut originals: Vec<String> = Vec::new();
    for key in keys {
        let of = stem(key).into_iter();
        originals.extend(of.flat_map(|stem| EXTENSIONS.map(|extension| format!("{stem}.{extension}"))));
    }
    let known: Vec<String> = image_files::table
        .filter(image_files::file_key.eq_any(&originals))
        .select(image_files::file_key)
        .load(conn)?;
    let known: HashSet<&str> = known.iter().filter_map(|key| stem(key)).collect();
    // Other sizes that no row counts, as after a database was restored, would take room for ever.
    let variants: Vec<String> = image_variants::table
        .filter(image_variants::object_key.eq_any(keys))
        .select(image_variants::object_key)
        .load(conn)?;
    let variants: HashSet<&String> = variants.iter().collect();
    let uncounted = |key: &String| spec::read_key(key).is_some() && !variants.contains(key);
    let orphan = |key: &&String| stem(key).is_some_and(|stem| !known.contains(stem) || uncounted(key));
    Ok(keys.iter().filter(orphan).cloned().collect())
}

/// Files that have been no image's since before a time.
pub fn retired(conn: &mut Conn, before: Time, limit: i64) -> Result<Vec<String>> {
    let shown = images::table.filter(
        images::file_key
            .eq(image_files::file_key)
            .and(images::deleted_ms.is_null()),
    );
    Ok(image_files::table
        .filter(image_files::retired_ms.is_not_null())
        .filter(image_files::retired_ms.lt(before.ms()))
        .filter(diesel::dsl::not(diesel::dsl::exists(shown)))
        .order(image_files::retired_ms)
        .select(image_files::file_key)
        .limit(limit)
        .load(conn)?)
}

/// Forgets files that are not in the store any more.
pub fn forget(tx: &mut Tx<'_>, keys: &[String]) -> Result<()> {
    let gone = image_files::table
        .filter(image_files::file_key.eq_any(keys))
        .filter(image_files::retired_ms.is_not_null());
    diesel::delete(gone).execute(tx.conn)?;
    Ok(())
}

/// The files that are at a target, and were read back there.
pub fn moved(conn: &mut Conn, target: &str) -> Result<HashSet<String>> {
    let keys: Vec<String> = media_moves::table
        .filter(media_moves::target.eq(target))
        .select(media_moves::object_key)
        .load(conn)?;
    Ok(keys.into_iter().collect())
}

/// Remembers that files are at a target.
pub fn remember_moved(tx: &mut Tx<'_>, target: &str, keys: &[String]) -> Result<()> {
    let statement = "INSERT INTO media_moves (target, object_key, at_ms) VALUES ($1, $2, $3) \
                     ON CONFLICT (target, object_key) DO NOTHING";
    for key in keys {
        let values = [Value::Text(target), Value::Text(key), Value::Int(tx.now.ms())];
        insert_once(tx.conn, statement, &values)?;
    }
    Ok(())
}

/// Removes a piece of what was remembered of moves before a time.
pub fn forget_moves(tx: &mut Tx<'_>, before: Time, piece: i64) -> Result<i64> {
    let old: Vec<(String, String)> = media_moves::table
        .filter(media_moves::at_ms.lt(before.ms()))
        .select((media_moves::target, media_moves::object_key))
        .limit(piece)
        .load(tx.conn)?;
    for (target, key) in &old {
        diesel::delete(media_moves::table.find((target, key))).execute(tx.conn)?;
    }
    Ok(old.len() as i64)
}
