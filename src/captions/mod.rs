//! An image placed in an article: its role, its order and its words, which fall back to the image's own.

pub mod management;
pub mod store;

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::articles::compose::Placement;
use crate::articles::{CaptionContent, CaptionRole};
use crate::config::Config;
use crate::db::Conn;
use crate::error::Result;
use crate::images::delivered::{ImageFile, image_files_of};
use crate::types::{Id, Time};

/// The image of a caption, as editors' tools show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CaptionImage {
    /// The image's id.
    pub id: Id,
    /// Address of the file.
    #[schema(format = "uri")]
    pub url: String,
    /// Width in pixels.
    #[schema(minimum = 1)]
    pub width: i64,
    /// Height in pixels.
    #[schema(minimum = 1)]
    pub height: i64,
    /// Type of the file.
    #[schema(example = "image/jpeg")]
    pub media_type: String,
}

/// A caption as a part of its article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ArticleCaption {
    /// The caption's id; figures of the body name it.
    pub id: Id,
    /// The image it places.
    pub image_id: Id,
    /// What it is for.
    pub role: CaptionRole,
    /// Order among the article's captions.
    #[schema(minimum = 0)]
    pub position: i64,
    /// Its own text; null takes the image's caption.
    #[schema(required = true)]
    pub text: Option<String>,
    /// Its own alternative text; null takes the image's.
    #[schema(required = true)]
    pub alt: Option<String>,
    /// Its own credit; null takes the image's.
    #[schema(required = true)]
    pub credit: Option<String>,
    /// The image.
    #[schema(required = true)]
    pub image: Option<CaptionImage>,
}

/// A caption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Caption {
    /// The caption's id; figures of the body name it.
    pub id: Id,
    /// The article it belongs to.
    pub article_id: Id,
    /// The image it places.
    pub image_id: Id,
    /// What it is for.
    pub role: CaptionRole,
    /// Order among the article's captions.
    #[schema(minimum = 0)]
    pub position: i64,
    /// Its own text; null takes the image's caption.
    #[schema(required = true)]
    pub text: Option<String>,
    /// Its own alternative text; null takes the image's.
    #[schema(required = true)]
    pub alt: Option<String>,
    /// Its own credit; null takes the image's.
    #[schema(required = true)]
    pub credit: Option<String>,
    /// The image.
    #[schema(required = true)]
    pub image: Option<CaptionImage>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Raised by every change of the caption; `ETag` is this in quotation marks.
    #[schema(minimum = 1)]
    pub version: i64,
    /// The article's version, which every change of a caption raises too.
    #[schema(minimum = 1)]
    pub article_version: i64,
}

/// The image of a caption from its file.
fn caption_image(files: &HashMap<Id, ImageFile>, id: &Id) -> Option<CaptionImage> {
    let original = files.get(id)?.original();
    Some(CaptionImage {
        id: id.clone(),
        url: original.url.clone(),
        width: original.width,
        height: original.height,
        media_type: original.media_type.clone(),
    })
}

/// Captions of a snapshot as a part of their article.
pub fn article_captions(
    conn: &mut Conn,
    config: &Config,
    captions: Vec<CaptionContent>,
) -> Result<Vec<ArticleCaption>> {
    let ids: Vec<Id> = captions.iter().map(|caption| caption.image_id.clone()).collect();
    let files = image_files_of(conn, config, &ids)?;
    let whole = |caption: CaptionContent| ArticleCaption {
        image: caption_image(&files, &caption.image_id),
        id: caption.id,
        image_id: caption.image_id,
        role: caption.role,
        position: caption.position,
        text: caption.text,
        alt: caption.alt,
        credit: caption.credit,
    };
    Ok(captions.into_iter().map(whole).collect())
}

impl ArticleCaption {
    /// The placement readers would get, for other forms of the body.
    pub fn placement(&self, files: &HashMap<Id, ImageFile>) -> Option<Placement> {
        let file = files.get(&self.image_id)?;
        let or = |own: &Option<String>, image: Option<&str>| own.clone().or_else(|| image.map(str::to_owned));
        Some(Placement {
            id: self.id.clone(),
            role: self.role,
            position: self.position,
            text: or(&self.text, file.caption()),
            alt: or(&self.alt, file.alt()),
            credit: or(&self.credit, file.credit()),
            image: Arc::clone(file.image()),
        })
    }
}
