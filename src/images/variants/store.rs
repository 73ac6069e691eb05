//! How variants are kept: what is known of originals, the files there are, and the focal points that were ever set.

use diesel::prelude::*;

use super::spec::{self, Point, Source, Spec};
use crate::changes;
use crate::db::{Conn, Tx, Value, insert_once};
use crate::error::Result;
use crate::images::delivered::FocalPoint;
use crate::images::process::Processed;
use crate::schema::{image_files, image_focal_points, image_plans, image_variants, images};
use crate::types::{Id, Time};

/// A file that is being written, or was when the program died.
pub const MAKING: &str = "making";
/// A file that is there.
pub const READY: &str = "ready";
/// A file that is being removed.
pub const EVICTING: &str = "evicting";
/// Tries of AVIF files before they are given up.
pub const TRIES: i64 = 3;
/// The file extensions of originals.
const EXTENSIONS: [&str; 5] = ["jpg", "png", "webp", "gif", "avif"];

/// An original as variants need it.
#[derive(Debug, Clone)]
pub struct Original {
    /// The file's key in the media store.
    pub file_key: String,
    /// The image it belongs to.
    pub image_id: Id,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its media type.
    pub media_type: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Whether it moves.
    pub animated: bool,
    /// Whether anything in it can be seen through.
    pub has_alpha: bool,
    /// Variants cannot be made of it.
    pub broken: bool,
    /// Where its image is cut now.
    pub point: Point,
    /// Its image shows this file and no other that has replaced it.
    pub current: bool,
}

impl Original {
    /// What its variants go by.
    pub fn source(&self) -> Source<'_> {
        Source {
            media_type: &self.media_type,
            width: self.width,
            height: self.height,
            animated: self.animated,
            has_alpha: self.has_alpha,
        }
    }
}

/// Keeps what is known of a new original, and has its AVIF files made.
pub fn plan(tx: &mut Tx<'_>, file_key: &str, file: &Processed) -> Result<()> {
    insert_plan(tx, file_key, (file.animated, file.has_alpha), file.sealed)
}

/// The same for an original that was there before; `facts` are whether it moves and whether it can be seen through, or
/// none when it cannot be read.
pub fn plan_old(tx: &mut Tx<'_>, file_key: &str, facts: Option<(bool, bool)>) -> Result<()> {
    insert_plan(tx, file_key, facts.unwrap_or_default(), facts.is_none())?;
    // The archive's AVIF files are made when somebody looks at them.
    diesel::update(image_plans::table.find(file_key))
        .set(image_plans::due_ms.eq(None::<i64>))
        .execute(tx.conn)?;
    Ok(())
}

fn insert_plan(tx: &mut Tx<'_>, file_key: &str, (animated, has_alpha): (bool, bool), broken: bool) -> Result<()> {
    // Two instances may come upon the same old file.
    let statement = "INSERT INTO image_plans \
         (file_key, animated, has_alpha, broken, avif, changed_ms, due_ms, tries, lease_ms, fence) \
         VALUES ($1, $2 <> 0, $3 <> 0, $4 <> 0, FALSE, $5, NULLIF($6, 0), 0, 0, 0) ON CONFLICT (file_key) DO NOTHING";
    let flag = |set: bool| Value::Int(i64::from(set));
    let values = [
        Value::Text(file_key),
        flag(animated),
        flag(has_alpha),
        flag(broken),
        Value::Int(tx.now.ms()),
        Value::Int(if broken { 0 } else { tx.now.ms() }),
    ];
    insert_once(tx.conn, statement, &values)?;
    Ok(())
}

/// Remembers a focal point for good, and has the AVIF files of the new cuts made.
pub fn remember_point(tx: &mut Tx<'_>, image: &Id, file_key: &str, focal: Option<FocalPoint>) -> Result<()> {
    if focal.is_some() {
        let point = Point::of(focal).to_string();
        let statement =
            "INSERT INTO image_focal_points (image_id, point) VALUES ($1, $2) ON CONFLICT (image_id, point) DO NOTHING";
        insert_once(tx.conn, statement, &[Value::Text(image.as_str()), Value::Text(&point)])?;
    }
    diesel::update(image_plans::table.find(file_key).filter(image_plans::broken.eq(false)))
        .set((image_plans::due_ms.eq(tx.now.ms()), image_plans::tries.eq(0)))
        .execute(tx.conn)?;
    Ok(())
}

/// Has the AVIF files of images made that a publication shows, unless they are there or were given up: before those of
/// images that were only uploaded.
pub fn want_avif(conn: &mut Conn, ids: &[&Id]) -> Result<()> {
    let keys: Vec<String> = images::table
        .filter(images::id.eq_any(ids.to_vec()))
        .select(images::file_key)
        .load(conn)?;
    let missing = image_plans::table.filter(
        image_plans::file_key
            .eq_any(keys)
            .and(image_plans::avif.eq(false))
            .and(image_plans::broken.eq(false))
            .and(image_plans::tries.lt(TRIES)),
    );
    diesel::update(missing)
        .set(image_plans::due_ms.eq(Time::now().ms()))
        .execute(conn)?;
    Ok(())
}

/// Has the AVIF files of one original looked after. Whether there is anything to do is seen then.
pub fn want_avif_of(tx: &mut Tx<'_>, file_key: &str) -> Result<()> {
    diesel::update(image_plans::table.find(file_key).filter(is_idle()))
        .set(image_plans::due_ms.eq(tx.now.ms()))
        .execute(tx.conn)?;
    Ok(())
}

/// Nothing is to be made of it, and it was not given up.
#[diesel::dsl::auto_type(no_type_alias)]
fn is_idle() -> _ {
    let tries: i64 = TRIES;
    image_plans::due_ms
        .is_null()
        .and(image_plans::broken.eq(false))
        .and(image_plans::tries.lt(tries))
}

type OriginalRow = (
    (String, Id, String, String, i64, i64),
    (bool, bool, bool),
    (String, Option<f64>, Option<f64>),
);

/// The original whose variants share a stem, while its image is in the library.
pub fn find(conn: &mut Conn, stem: &str) -> Result<Option<Original>> {
    let keys = EXTENSIONS.map(|extension| format!("{stem}.{extension}"));
    let row: Option<OriginalRow> = image_files::table
        .inner_join(images::table.on(images::id.eq(image_files::image_id)))
        .inner_join(image_plans::table.on(image_plans::file_key.eq(image_files::file_key)))
        .filter(image_files::file_key.eq_any(keys))
        .filter(images::deleted_ms.is_null())
        .select((
            (
                image_files::file_key,
                image_files::image_id,
                image_files::sha256,
                image_files::media_type,
                image_files::width,
                image_files::height,
            ),
            (image_plans::animated, image_plans::has_alpha, image_plans::broken),
            (images::file_key, images::focal_x, images::focal_y),
        ))
        .first(conn)
        .optional()?;
    Ok(row.map(|(file, (animated, has_alpha, broken), (shown, x, y))| {
        let (file_key, image_id, sha256, media_type, width, height) = file;
        Original {
            current: shown == file_key,
            file_key,
            image_id,
            sha256,
            media_type,
            width: u32::try_from(width).unwrap_or(0),
            height: u32::try_from(height).unwrap_or(0),
            animated,
            has_alpha,
            broken,
            point: Point::of(x.zip(y).map(|(x, y)| FocalPoint { x, y })),
        }
    }))
}

/// Whether an image is, or ever was, cut around a point. Those without a focal point are cut around the middle.
pub fn had_point(conn: &mut Conn, original: &Original, point: Point) -> Result<bool> {
    if point == original.point || point == Point::MIDDLE {
        return Ok(true);
    }
    let found: Option<String> = image_focal_points::table
        .find((&original.image_id, point.to_string()))
        .select(image_focal_points::point)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}

/// Before a file is written: its row, so that no file is ever without one.
pub fn begin(tx: &mut Tx<'_>, file_key: &str, files: &[(Spec, i64)]) -> Result<()> {
    for (spec, bytes) in files {
        let (name, object_key) = (spec.to_string(), spec::object_key(file_key, spec));
        let statement = "INSERT INTO image_variants (file_key, spec, object_key, bytes, state, used_ms) \
                         VALUES ($1, $2, $3, $4, 'making', $5) ON CONFLICT (file_key, spec) \
                         DO UPDATE SET bytes = excluded.bytes, state = 'making', used_ms = excluded.used_ms";
        let values = [
            Value::Text(file_key),
            Value::Text(&name),
            Value::Text(&object_key),
            Value::Int(*bytes),
            Value::Int(tx.now.ms()),
        ];
        insert_once(tx.conn, statement, &values)?;
    }
    Ok(())
}

/// After files were written: they are there.
pub fn finish(tx: &mut Tx<'_>, object_keys: &[String]) -> Result<()> {
    let written = image_variants::table
        .filter(image_variants::object_key.eq_any(object_keys))
        .filter(image_variants::state.eq(MAKING));
    diesel::update(written)
        .set(image_variants::state.eq(READY))
        .execute(tx.conn)?;
    Ok(())
}

/// No variants can be made of an original: readers get the original from now on. True when that is news.
pub fn give_up(tx: &mut Tx<'_>, original: &Original) -> Result<bool> {
    let given_up = diesel::update(
        image_plans::table
            .find(&original.file_key)
            .filter(image_plans::broken.eq(false)),
    )
    .set((
        image_plans::broken.eq(true),
        image_plans::due_ms.eq(None::<i64>),
        image_plans::changed_ms.eq(tx.now.ms()),
    ))
    .execute(tx.conn)?;
    if given_up > 0 {
        tell_readers(tx, &original.image_id)?;
    }
    Ok(given_up > 0)
}

/// Answers that show an image are out of date.
pub fn tell_readers(tx: &mut Tx<'_>, image: &Id) -> Result<bool> {
    let public = crate::images::store::is_public(tx.conn, image)?;
    if public {
        let keys = vec![changes::key('i', image), "names".to_owned()];
        changes::record(tx, "image.updated", image.as_str(), None, keys);
    }
    Ok(public)
}

/// Writes down when files were last used.
pub fn write_uses(tx: &mut Tx<'_>, object_keys: &[String], used: Time, unless_after: Time) -> Result<()> {
    let stale = image_variants::table
        .filter(image_variants::object_key.eq_any(object_keys))
        .filter(image_variants::used_ms.lt(unless_after.ms()));
    diesel::update(stale)
        .set(image_variants::used_ms.eq(used.ms()))
        .execute(tx.conn)?;
    Ok(())
}
