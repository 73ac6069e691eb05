//! How images are kept: their rows and their files' rows.

mod list;
mod records;
mod replace;
mod uses;
pub mod words;

use diesel::prelude::*;
use serde_json::json;

use super::delivered::FocalPoint;
use super::process::Processed;
use super::{Camera, ImagePatch, ImageRights, clean_filename, variants};
use crate::audit::{self, Actor};
use crate::auth::{Caller, forbidden};
use crate::changes;
use crate::conditional::Guard;
use crate::db::{self, Conn, Tx};
use crate::error::{Code, Problem, Result};
use crate::schema::{image_files, images};
use crate::text::fold;
use crate::types::{Id, Patch, Time};

pub use list::list;
pub use records::{record, records};
pub use replace::{check_other, replace};
pub use uses::is_public;
use uses::{is_used, users};

/// A row of the table `images`.
#[derive(Debug, Clone, Queryable)]
pub struct ImageRow {
    /// The image's id.
    pub id: Id,
    /// The file's key in the media store.
    pub file_key: String,
    /// The name of the file.
    pub filename: String,
    /// Alternative text.
    pub alt: Option<String>,
    /// Whose image it is.
    pub credit: Option<String>,
    /// Text under it.
    pub caption: Option<String>,
    focal_x: Option<f64>,
    focal_y: Option<f64>,
    rights: String,
    search: String,
    /// Who uploaded it.
    pub uploaded_by: Id,
    /// When it was uploaded.
    pub created: Time,
    /// When it was last changed.
    pub updated: Time,
    /// Raised by every change.
    pub version: i64,
    /// When it was deleted; no query here gives such a row.
    #[allow(dead_code, reason = "the row has the table's columns, whichever are looked at")]
    deleted: Option<Time>,
    row_id: Option<i64>,
    rights_expire: Option<Time>,
    rights_told: i64,
}

/// A row of the table `image_files`, without the hash of the upload.
#[derive(Debug, Clone, Queryable)]
struct FileRow {
    file_key: String,
    sha256: String,
    media_type: String,
    width: i64,
    height: i64,
    bytes: i64,
    placeholder: Option<String>,
    camera: Option<String>,
}

/// A file that is about to be an image's: it is stored already.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// Its key in the media store.
    pub file_key: String,
    /// The name it was uploaded under; without one an image that is there keeps its own.
    pub filename: Option<String>,
    /// What is known about it; its bytes are not needed here.
    pub processed: Processed,
    /// The key and the size of the file as it was uploaded, where that is kept.
    pub upload: Option<(String, usize)>,
}

/// An image that is about to be in the library.
#[derive(Debug, Clone)]
pub struct NewImage {
    /// Its file.
    pub file: NewFile,
    /// Its words, checked.
    pub words: ImagePatch,
}

impl ImageRow {
    fn focal_point(&self) -> Option<FocalPoint> {
        self.focal_x.zip(self.focal_y).map(|(x, y)| FocalPoint { x, y })
    }

    /// 403 unless the caller may change it: editors always, writers what they uploaded and nobody has placed.
    pub fn check_may_change(&self, conn: &mut Conn, caller: &Caller) -> Result<()> {
        if caller.is_editor() || (self.uploaded_by == caller.id && !is_used(conn, &self.id)?) {
            Ok(())
        } else {
            Err(forbidden(
                "Writers change and delete images that they uploaded and nobody uses yet; ask an editor.",
            ))
        }
    }
}

/// The image with this id, if it is not deleted.
pub fn get(conn: &mut Conn, id: &Id) -> Result<ImageRow> {
    let row: Option<ImageRow> = images::table
        .find(id)
        .filter(images::deleted_ms.is_null())
        .first(conn)
        .optional()?;
    row.ok_or_else(|| Problem::not_found("image"))
}

/// The image that shows the same upload and is not deleted.
pub fn find_same(conn: &mut Conn, source_sha256: &str) -> Result<Option<ImageRow>> {
    // Not of a file that has been replaced since: its image shows another picture now.
    let of_source = image_files::table
        .filter(image_files::source_sha256.eq(source_sha256))
        .select(image_files::file_key);
    Ok(images::table
        .filter(images::file_key.eq_any(of_source))
        .filter(images::deleted_ms.is_null())
        .order(images::id)
        .first(conn)
        .optional()?)
}

/// Whether a file of the media store belongs to an image, also a deleted one.
pub fn has_file(conn: &mut Conn, file_key: &str) -> Result<bool> {
    let found: Option<String> = image_files::table
        .find(file_key)
        .select(image_files::file_key)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}

/// Lets only one transaction at a time decide whether this upload is new. Two of the same file at once on several
/// connections would both find nothing otherwise; what the second reads after the lock includes what the first wrote.
pub fn lock_source(conn: &mut Conn, source_sha256: &str) -> Result<()> {
    db::lock(conn, &format!("image {source_sha256}"))
}

/// Takes the row's lock for whoever is about to refer to the image, so that it is not deleted in the same moment.
/// False when there is no such image.
pub fn hold(tx: &mut Tx<'_>, id: &Id) -> Result<bool> {
    let held = diesel::update(images::table.find(id).filter(images::deleted_ms.is_null()))
        .set(images::file_key.eq(images::file_key))
        .execute(tx.conn)?;
    Ok(held > 0)
}

fn search_text(row: &ImageRow) -> String {
    let texts = [
        Some(&row.filename),
        row.alt.as_ref(),
        row.credit.as_ref(),
        row.caption.as_ref(),
    ];
    let texts: Vec<String> = texts.into_iter().flatten().map(|text| fold(text)).collect();
    texts.join("\n")
}

fn apply(row: &mut ImageRow, patch: ImagePatch, now: Time) -> Result<()> {
    if let Patch::Set(filename) = patch.filename {
        row.filename = filename;
    }
    patch.alt.apply(&mut row.alt);
    patch.credit.apply(&mut row.credit);
    patch.caption.apply(&mut row.caption);
    if let Some(point) = patch.focal_point.change() {
        row.focal_x = point.map(|point| point.x);
        row.focal_y = point.map(|point| point.y);
    }
    if let Some(change) = patch.rights.change() {
        let mut rights = ImageRights::default();
        if let Some(change) = change {
            rights = serde_json::from_str(&row.rights).map_err(Problem::internal)?;
            change.apply(&mut rights);
        }
        row.rights = serde_json::to_string(&rights).map_err(Problem::internal)?;
        if rights.expires_at != row.rights_expire {
            row.rights_expire = rights.expires_at;
            // Whoever writes an end that has come knows of it.
            let over = rights.expires_at.is_some_and(|end| end <= now);
            row.rights_told = if over { super::rights::TOLD_ENDED } else { 0 };
        }
    }
    row.search = search_text(row);
    Ok(())
}

/// Puts an image into the library.
pub fn insert(tx: &mut Tx<'_>, actor: &Actor, uploader: &Id, new: &NewImage) -> Result<ImageRow> {
    let NewFile {
        file_key,
        filename,
        processed: file,
        ..
    } = &new.file;
    let default = || format!("image.{}", file.extension);
    let mut row = ImageRow {
        id: Id::new(),
        file_key: file_key.clone(),
        filename: filename.as_deref().and_then(clean_filename).unwrap_or_else(default),
        alt: None,
        credit: None,
        caption: None,
        focal_x: None,
        focal_y: None,
        rights: serde_json::to_string(&ImageRights::default()).map_err(Problem::internal)?,
        search: String::new(),
        uploaded_by: uploader.clone(),
        created: tx.now,
        updated: tx.now,
        version: 1,
        deleted: None,
        row_id: None,
        rights_expire: None,
        rights_told: 0,
    };
    apply(&mut row, new.words.clone(), tx.now)?;
    diesel::insert_into(images::table)
        .values((
            images::id.eq(&row.id),
            images::file_key.eq(&row.file_key),
            images::filename.eq(&row.filename),
            images::alt.eq(&row.alt),
            images::credit.eq(&row.credit),
            images::caption.eq(&row.caption),
            images::focal_x.eq(row.focal_x),
            images::focal_y.eq(row.focal_y),
            images::rights.eq(&row.rights),
            images::search.eq(&row.search),
            images::uploaded_by.eq(&row.uploaded_by),
            images::created_ms.eq(row.created),
            images::updated_ms.eq(row.updated),
            images::version.eq(row.version),
            images::rights_expire_ms.eq(row.rights_expire.map(Time::ms)),
            images::rights_told.eq(row.rights_told),
        ))
        .execute(tx.conn)?;
    insert_file(tx, &row.id, &new.file)?;
    variants::store::remember_point(tx, &row.id, &row.file_key, row.focal_point())?;
    words::put(tx.conn, &row)?;
    audit::record(
        tx,
        actor,
        "image.create",
        "image",
        &row.id,
        json!({ "filename": row.filename, "sha256": file.sha256 }),
    )?;
    Ok(row)
}

/// Keeps what is known of an image's file; it is stored already.
fn insert_file(tx: &mut Tx<'_>, image: &Id, new: &NewFile) -> Result<()> {
    let NewFile {
        file_key,
        processed: file,
        upload,
        ..
    } = new;
    let placeholder = file.placeholder.as_ref().map(serde_json::to_string).transpose();
    let camera = file.camera.as_ref().map(Camera::from);
    let camera = camera.as_ref().map(serde_json::to_string).transpose();
    diesel::insert_into(image_files::table)
        .values((
            image_files::file_key.eq(file_key),
            image_files::image_id.eq(image),
            image_files::sha256.eq(&file.sha256),
            image_files::source_sha256.eq(&file.source_sha256),
            image_files::media_type.eq(file.media_type),
            image_files::width.eq(i64::from(file.width)),
            image_files::height.eq(i64::from(file.height)),
            image_files::bytes.eq(file.bytes.len() as i64),
            image_files::placeholder.eq(placeholder.map_err(Problem::internal)?),
            image_files::camera.eq(camera.map_err(Problem::internal)?),
        ))
        .execute(tx.conn)?;
    if let Some((key, bytes)) = upload {
        diesel::insert_into(image_files::table)
            .values((
                image_files::file_key.eq(key),
                image_files::image_id.eq(image),
                image_files::sha256.eq(&file.source_sha256),
                image_files::source_sha256.eq(&file.source_sha256),
                image_files::media_type.eq(file.media_type),
                image_files::width.eq(i64::from(file.width)),
                image_files::height.eq(i64::from(file.height)),
                image_files::bytes.eq(*bytes as i64),
                image_files::upload_of.eq(file_key),
            ))
            .execute(tx.conn)?;
    }
    variants::store::plan(tx, file_key, file)
}

/// The file an image was uploaded as: its key, its size in bytes and its type. None where it is not kept.
pub fn upload_of(conn: &mut Conn, file_key: &str) -> Result<Option<(String, i64, String)>> {
    Ok(image_files::table
        .filter(image_files::upload_of.eq(file_key))
        .select((image_files::file_key, image_files::bytes, image_files::media_type))
        .first(conn)
        .optional()?)
}

/// The file is no image's any more: it stays for a while, for whoever still has its address, and is then removed.
fn retire(tx: &mut Tx<'_>, file_key: &str) -> Result<()> {
    let both = image_files::file_key
        .eq(file_key)
        .or(image_files::upload_of.eq(file_key));
    diesel::update(image_files::table.filter(both))
        .set(image_files::retired_ms.eq(tx.now.ms()))
        .execute(tx.conn)?;
    Ok(())
}

/// Readers get another file or another cut of it: caches have to drop what shows the image.
fn tell_readers(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    if is_public(tx.conn, id)? {
        // Lists carry no keys of images; they all carry `names`.
        let keys = vec![changes::key('i', id), "names".to_owned()];
        changes::record(tx, "image.updated", id.as_str(), None, keys);
    }
    Ok(())
}

/// Takes the row's lock and its next version: from here to the end of the transaction nobody else writes it.
fn claim(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard) -> Result<ImageRow> {
    let claimed: Option<ImageRow> = diesel::update(images::table.find(id).filter(images::deleted_ms.is_null()))
        .set((images::version.eq(images::version + 1), images::updated_ms.eq(tx.now)))
        .returning(images::all_columns)
        .get_result(tx.conn)
        .optional()?;
    let row = claimed.ok_or_else(|| Problem::not_found("image"))?;
    row.check_may_change(tx.conn, caller)?;
    guard.check(row.version - 1)?;
    Ok(row)
}

/// Changes an image. Readers learn of a new focal point at once; the words of published stories are frozen.
pub fn update(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard, patch: ImagePatch) -> Result<ImageRow> {
    let mut row = claim(tx, caller, id, guard)?;
    let before = row.clone();
    apply(&mut row, patch, tx.now)?;
    diesel::update(images::table.find(id))
        .set((
            images::filename.eq(&row.filename),
            images::alt.eq(&row.alt),
            images::credit.eq(&row.credit),
            images::caption.eq(&row.caption),
            images::focal_x.eq(row.focal_x),
            images::focal_y.eq(row.focal_y),
            images::rights.eq(&row.rights),
            images::search.eq(&row.search),
            images::rights_expire_ms.eq(row.rights_expire.map(Time::ms)),
            images::rights_told.eq(row.rights_told),
        ))
        .execute(tx.conn)?;
    if before.search != row.search {
        words::put(tx.conn, &row)?;
    }
    if before.focal_point() != row.focal_point() {
        variants::store::remember_point(tx, id, &row.file_key, row.focal_point())?;
        tell_readers(tx, id)?;
    }
    let data = json!({ "before": audited(&before), "after": audited(&row) });
    audit::record(tx, &Actor::from(caller), "image.update", "image", id, data)?;
    Ok(row)
}

fn audited(row: &ImageRow) -> serde_json::Value {
    json!({
        "filename": row.filename,
        "alt": row.alt,
        "credit": row.credit,
        "caption": row.caption,
        "focal_point": row.focal_point(),
        "rights": serde_json::from_str::<serde_json::Value>(&row.rights).unwrap_or_default(),
    })
}

/// Takes an image out of the library. Its row stays, since revisions of articles speak of it; its file for a while.
pub fn delete(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard) -> Result<()> {
    let row = claim(tx, caller, id, guard)?;
    let used = users(tx.conn, id)?;
    if !used.is_empty() {
        let detail = "This image is still in use: take it out there first.";
        let used = serde_json::to_value(&used).map_err(Problem::internal)?;
        return Err(Problem::new(Code::InUse, detail).with("used_in", used));
    }
    diesel::update(images::table.find(id))
        .set(images::deleted_ms.eq(tx.now))
        .execute(tx.conn)?;
    retire(tx, &row.file_key)?;
    variants::tend::forget(tx, &row.file_key)?;
    if let Some(number) = row.row_id {
        words::remove(tx.conn, number)?;
    }
    let data = json!({ "filename": row.filename });
    audit::record(tx, &Actor::from(caller), "image.delete", "image", id, data)
}
