//! Images as editors get them.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::super::delivered::media_url;
use super::super::process::Placeholder;
use super::super::{Camera, Image};
use super::uses::uses_of;
use super::{FileRow, ImageRow};
use crate::articles::record::people;
use crate::auth::Caller;
use crate::config::Config;
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::schema::image_files;
use crate::types::{Id, PersonRef};

/// Images as the caller may see them.
pub fn records(conn: &mut Conn, config: &Config, caller: &Caller, rows: &[ImageRow]) -> Result<Vec<Image>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<&str> = rows.iter().map(|row| row.file_key.as_str()).collect();
    let files: Vec<FileRow> = image_files::table
        .filter(image_files::file_key.eq_any(keys))
        .select((
            image_files::file_key,
            image_files::sha256,
            image_files::media_type,
            image_files::width,
            image_files::height,
            image_files::bytes,
            image_files::placeholder,
            image_files::camera,
        ))
        .load(conn)?;
    let mut files: HashMap<String, FileRow> = files.into_iter().map(|file| (file.file_key.clone(), file)).collect();
    let uploads: HashSet<Option<String>> = image_files::table
        .filter(image_files::upload_of.eq_any(files.keys()))
        .select(image_files::upload_of)
        .load(conn)?
        .into_iter()
        .collect();
    let people = people(conn, rows.iter().map(|row| row.uploaded_by.clone()))?;
    let ids: Vec<&Id> = rows.iter().map(|row| &row.id).collect();
    let mut uses = uses_of(conn, caller, &ids)?;
    let record = |row: &ImageRow| {
        let file = files
            .remove(&row.file_key)
            .ok_or_else(|| Problem::internal(format!("image {} has no file", row.id)))?;
        let placeholder: Option<Placeholder> = file
            .placeholder
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(Problem::internal)?;
        let camera: Option<Camera> = file
            .camera
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(Problem::internal)?;
        Ok(Image {
            id: row.id.clone(),
            filename: row.filename.clone(),
            media_type: file.media_type,
            width: file.width,
            height: file.height,
            bytes: file.bytes,
            sha256: file.sha256,
            alt: row.alt.clone(),
            credit: row.credit.clone(),
            caption: row.caption.clone(),
            focal_point: row.focal_point(),
            rights: serde_json::from_str(&row.rights).map_err(Problem::internal)?,
            placeholder,
            camera,
            url: media_url(config, &row.file_key),
            upload_url: (caller.is_editor() && uploads.contains(&Some(row.file_key.clone())))
                .then(|| format!("{}/management/v1/images/{}/upload", config.public_url, row.id)),
            used_in: uses.remove(&row.id).unwrap_or_default(),
            created_at: row.created,
            created_by: PersonRef {
                id: row.uploaded_by.clone(),
                name: people.get(&row.uploaded_by).cloned().unwrap_or_default(),
            },
            updated_at: row.updated,
            version: row.version,
            duplicate: None,
        })
    };
    rows.iter().map(record).collect()
}

/// One image as the caller may see it.
pub fn record(conn: &mut Conn, config: &Config, caller: &Caller, row: &ImageRow) -> Result<Image> {
    let one = records(conn, config, caller, std::slice::from_ref(row))?.pop();
    one.ok_or_else(|| Problem::internal("a record was not made"))
}
