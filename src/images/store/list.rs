//! The list of the library: its filters and orders. Each filter is answered by an index or looked at row by row along the
//! index of the order, so that a page costs little however large the library is.

use diesel::dsl::{exists, not, sql};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use super::super::management::{ImageQuery, ImageSort, Orientation};
use super::ImageRow;
use super::words::Wanted;
use crate::db::Conn;
use crate::error::Result;
use crate::keyset;
use crate::page::{Key, PageInfo, Start};
use crate::schema::{authors, captions, holds, image_files, images, publication_images};
use crate::types::Time;

/// A part of the list.
pub fn list(conn: &mut Conn, query: &ImageQuery, start: &Start) -> Result<(Vec<ImageRow>, PageInfo)> {
    let wanted = query.q.as_deref().map(|q| Wanted::new(conn, q)).transpose()?;
    if wanted.as_ref().is_some_and(Wanted::is_impossible) {
        let total = query.page.include_total.then_some(0);
        return Ok(start.finish(Vec::new(), total, |_| (Key::Int(0), String::new())));
    }
    let filtered = || {
        let mut rows = images::table.filter(images::deleted_ms.is_null()).into_boxed();
        if let Some(wanted) = &wanted {
            let (before, matching, after) = wanted.condition();
            rows = rows.filter(sql::<Bool>(before).bind::<Text, _>(matching).sql(after));
        }
        let file = || image_files::table.filter(image_files::file_key.eq(images::file_key));
        if !query.media_type.is_empty() {
            let types: Vec<&str> = query.media_type.iter().map(|kind| kind.as_str()).collect();
            rows = rows.filter(exists(file().filter(image_files::media_type.eq_any(types))));
        }
        if let Some(width) = query.min_width {
            rows = rows.filter(exists(file().filter(image_files::width.ge(width))));
        }
        if let Some(height) = query.min_height {
            rows = rows.filter(exists(file().filter(image_files::height.ge(height))));
        }
        match query.orientation {
            Some(Orientation::Landscape) => {
                rows = rows.filter(exists(file().filter(image_files::width.gt(image_files::height))));
            }
            Some(Orientation::Portrait) => {
                rows = rows.filter(exists(file().filter(image_files::width.lt(image_files::height))));
            }
            Some(Orientation::Square) => {
                rows = rows.filter(exists(file().filter(image_files::width.eq(image_files::height))));
            }
            None => {}
        }
        if !query.uploaded_by.is_empty() {
            rows = rows.filter(images::uploaded_by.eq_any(&query.uploaded_by));
        }
        if let Some(before) = query.rights_expire_before {
            rows = rows.filter(images::rights_expire_ms.lt(before.ms()));
        }
        if let Some(after) = query.created_after {
            rows = rows.filter(images::created_ms.gt(after));
        }
        if let Some(before) = query.created_before {
            rows = rows.filter(images::created_ms.lt(before));
        }
        let placed = exists(captions::table.filter(captions::image_id.eq(images::id)));
        let live = exists(publication_images::table.filter(publication_images::ref_id.eq(images::id)));
        let portrait = exists(authors::table.filter(authors::image_id.eq(images::id.nullable())));
        let held = exists(holds::table.filter(holds::ref_id.eq(images::id).and(holds::until_ms.gt(Time::now()))));
        match query.unused {
            Some(true) => rows
                .filter(not(placed))
                .filter(not(live))
                .filter(not(portrait))
                .filter(not(held)),
            Some(false) => rows.filter(placed.or(live).or(portrait).or(held)),
            None => rows,
        }
    };
    let total = match query.page.include_total {
        true => Some(filtered().count().get_result::<i64>(conn)?),
        false => None,
    };
    let rows: Vec<ImageRow> = match query.sort {
        ImageSort::Created => keyset!(filtered(), start, false, images::created_ms, images::id, int).load(conn)?,
        ImageSort::CreatedDown => keyset!(filtered(), start, true, images::created_ms, images::id, int).load(conn)?,
        ImageSort::Filename => keyset!(filtered(), start, false, images::filename, images::id, text).load(conn)?,
        ImageSort::FilenameDown => keyset!(filtered(), start, true, images::filename, images::id, text).load(conn)?,
    };
    Ok(start.finish(rows, total, |row| {
        let key = if query.sort.is_by_name() {
            Key::Text(row.filename.clone())
        } else {
            Key::Int(row.created.ms())
        };
        (key, row.id.to_string())
    }))
}
