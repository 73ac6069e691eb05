//! Another file for an image that stays what it is: its id, its words, its rights and its placements.

use diesel::prelude::*;
use serde_json::json;

use super::super::variants;
use super::{ImageRow, NewFile, claim, find_same, insert_file, lock_source, retire, tell_readers, words};
use crate::audit::{self, Actor};
use crate::auth::Caller;
use crate::conditional::Guard;
use crate::db::{Conn, Tx};
use crate::error::{Code, Problem, Result};
use crate::schema::{image_files, images};
use crate::types::Id;

/// 409 when another image of the library has the same file: one picture is one image. Whether it is this image's own.
pub fn check_other(conn: &mut Conn, id: &Id, source_sha256: &str) -> Result<bool> {
    match find_same(conn, source_sha256)? {
        None => Ok(false),
        Some(same) if same.id == *id => Ok(true),
        Some(other) => {
            let detail = format!(
                "The library has this file already, as the image {:?}: place that one instead.",
                other.filename
            );
            Err(Problem::new(Code::DuplicateImage, detail).with("image_id", other.id.as_str()))
        }
    }
}

/// Replaces an image's file. Readers get the new one at once, also in published stories: a story names its images and
/// not their files.
pub fn replace(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard, new: &NewFile) -> Result<ImageRow> {
    let mut row = claim(tx, caller, id, guard)?;
    let sha256 = &new.processed.source_sha256;
    lock_source(tx.conn, sha256)?;
    check_other(tx.conn, id, sha256)?;
    let old: String = image_files::table
        .find(&row.file_key)
        .select(image_files::sha256)
        .first(tx.conn)?;
    insert_file(tx, id, new)?;
    retire(tx, &row.file_key)?;
    row.file_key.clone_from(&new.file_key);
    variants::store::remember_point(tx, id, &row.file_key, row.focal_point())?;
    if let Some(name) = &new.filename {
        row.filename.clone_from(name);
        row.search = super::search_text(&row);
        words::put(tx.conn, &row)?;
    }
    diesel::update(images::table.find(id))
        .set((
            images::file_key.eq(&row.file_key),
            images::filename.eq(&row.filename),
            images::search.eq(&row.search),
        ))
        .execute(tx.conn)?;
    tell_readers(tx, id)?;
    let file = |sha256: &str| json!({ "sha256": sha256 });
    let data = json!({ "before": file(&old), "after": file(&new.processed.sha256), "filename": row.filename });
    audit::record(tx, &Actor::from(caller), "image.replace", "image", id, data)?;
    Ok(row)
}
