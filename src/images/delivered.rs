//! What readers get of an image: its file, its size, the files to choose from.

use std::collections::HashMap;

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::process::Placeholder;
use crate::config::Config;
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::schema::{image_files, images};
use crate::types::{Id, Time};

/// The point of an image that must stay in sight when it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FocalPoint {
    /// From the left edge (0) to the right edge (1).
    #[schema(minimum = 0, maximum = 1, example = 0.5)]
    pub x: f64,
    /// From the upper edge (0) to the lower edge (1).
    #[schema(minimum = 0, maximum = 1, example = 0.4)]
    pub y: f64,
}

/// Files of one media type, for `<source>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImageSource {
    /// The type of the files.
    #[schema(example = "image/jpeg")]
    pub media_type: String,
    /// Value for the attribute `srcset`.
    #[schema(example = "https://api.example.vn/media/3f/3f0c.jpg 1600w")]
    pub srcset: String,
}

/// The image cut to a ratio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImageCrop {
    /// Width to height.
    #[schema(example = "16:9")]
    pub ratio: String,
    /// Address of the file.
    #[schema(format = "uri")]
    pub url: String,
    /// Width in pixels.
    #[schema(minimum = 1)]
    pub width: i64,
    /// Height in pixels.
    #[schema(minimum = 1)]
    pub height: i64,
    /// More files of the same cut.
    pub sources: Vec<ImageSource>,
}

/// An image's file, with what a page needs to reserve its space.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DeliveredImage {
    /// The image's id.
    pub id: Id,
    /// Address of the file; it never changes its content.
    #[schema(format = "uri", example = "https://api.example.vn/media/3f/3f0c.jpg")]
    pub url: String,
    /// Width in pixels.
    #[schema(minimum = 1, example = 1600)]
    pub width: i64,
    /// Height in pixels.
    #[schema(minimum = 1, example = 1067)]
    pub height: i64,
    /// Type of the file.
    #[schema(example = "image/jpeg")]
    pub media_type: String,
    /// The point that must stay in sight; null for the middle.
    #[schema(required = true)]
    pub focal_point: Option<FocalPoint>,
    /// What to show before the image is there.
    #[schema(required = true)]
    pub placeholder: Option<Placeholder>,
    /// Files to choose from, by type and width.
    pub sources: Vec<ImageSource>,
    /// Cuts for cards and social previews.
    pub crops: Vec<ImageCrop>,
}

/// An image's row and file, as far as readers see them.
pub struct ImageFile {
    image: DeliveredImage,
    alt: Option<String>,
    caption: Option<String>,
    credit: Option<String>,
    changed: Time,
}

impl ImageFile {
    /// The image.
    pub fn image(&self) -> &DeliveredImage {
        &self.image
    }

    /// The image's own alternative text.
    pub fn alt(&self) -> Option<&str> {
        self.alt.as_deref()
    }

    /// The image's own caption.
    pub fn caption(&self) -> Option<&str> {
        self.caption.as_deref()
    }

    /// The image's own credit.
    pub fn credit(&self) -> Option<&str> {
        self.credit.as_deref()
    }

    /// When the image's row last changed.
    pub fn changed(&self) -> Time {
        self.changed
    }
}

/// The address of a file in the media store.
pub fn media_url(config: &Config, file_key: &str) -> String {
    match config.media_public_url.as_str() {
        "" => format!("{}/media/{file_key}", config.public_url),
        host => format!("{host}/{file_key}"),
    }
}

type ImageRow = (
    Id,
    String,
    Option<f64>,
    Option<f64>,
    (Option<String>, Option<String>, Option<String>),
    Time,
    String,
    i64,
    i64,
    Option<String>,
);

/// The files of these images.
pub fn image_files_of(conn: &mut Conn, config: &Config, ids: &[Id]) -> Result<HashMap<Id, ImageFile>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<ImageRow> = images::table
        .inner_join(image_files::table.on(image_files::file_key.eq(images::file_key)))
        .filter(images::id.eq_any(ids))
        .select((
            images::id,
            images::file_key,
            images::focal_x,
            images::focal_y,
            (images::alt, images::caption, images::credit),
            images::updated_ms,
            image_files::media_type,
            image_files::width,
            image_files::height,
            image_files::placeholder,
        ))
        .load(conn)?;
    let file = |(id, file_key, x, y, words, changed, media_type, width, height, placeholder): ImageRow| {
        let url = media_url(config, &file_key);
        let sources = vec![ImageSource {
            media_type: media_type.clone(),
            srcset: format!("{url} {width}w"),
        }];
        let focal_point = x.zip(y).map(|(x, y)| FocalPoint { x, y });
        let placeholder = placeholder
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(Problem::internal)?;
        let image = DeliveredImage {
            id: id.clone(),
            url,
            width,
            height,
            media_type,
            focal_point,
            placeholder,
            sources,
            crops: Vec::new(),
        };
        let (alt, caption, credit) = words;
        let file = ImageFile {
            image,
            alt,
            caption,
            credit,
            changed,
        };
        Ok((id, file))
    };
    rows.into_iter().map(file).collect()
}
