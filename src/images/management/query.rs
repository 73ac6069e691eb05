//! What the list of images can be asked.

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::error::Result;
use crate::page::PageQuery;
use crate::request::{FromParams, Params, invalid};
use crate::types::{Id, Time};

/// The kinds of picture that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum ImageMediaType {
    /// JPEG.
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// PNG.
    #[serde(rename = "image/png")]
    Png,
    /// WebP.
    #[serde(rename = "image/webp")]
    Webp,
    /// GIF.
    #[serde(rename = "image/gif")]
    Gif,
    /// AVIF.
    #[serde(rename = "image/avif")]
    Avif,
}

const MEDIA_TYPES: &[(&str, ImageMediaType)] = &[
    ("image/jpeg", ImageMediaType::Jpeg),
    ("image/png", ImageMediaType::Png),
    ("image/webp", ImageMediaType::Webp),
    ("image/gif", ImageMediaType::Gif),
    ("image/avif", ImageMediaType::Avif),
];

impl ImageMediaType {
    /// The media type.
    pub fn as_str(self) -> &'static str {
        MEDIA_TYPES
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(text, _)| *text)
    }
}

/// The orders of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum ImageSort {
    /// Oldest first.
    #[serde(rename = "created_at")]
    Created,
    /// Newest first.
    #[serde(rename = "-created_at")]
    CreatedDown,
    /// By name.
    #[serde(rename = "filename")]
    Filename,
    /// By name, from the end.
    #[serde(rename = "-filename")]
    FilenameDown,
}

impl ImageSort {
    /// Whether the sort key is text.
    pub fn is_by_name(self) -> bool {
        matches!(self, Self::Filename | Self::FilenameDown)
    }
}

const SORTS: &[(&str, ImageSort)] = &[
    ("-created_at", ImageSort::CreatedDown),
    ("created_at", ImageSort::Created),
    ("filename", ImageSort::Filename),
    ("-filename", ImageSort::FilenameDown),
];

/// How an image stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// Wider than high.
    Landscape,
    /// Higher than wide.
    Portrait,
    /// As wide as high.
    Square,
}

const ORIENTATIONS: &[(&str, Orientation)] = &[
    ("landscape", Orientation::Landscape),
    ("portrait", Orientation::Portrait),
    ("square", Orientation::Square),
];

/// Filters and order of the list of images.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImageQuery {
    /// Words of the file name, the alternative text, the credit or the caption, with or without accents. All of them must be
    /// there; each may be the beginning of one. `01234` finds `DSC01234.jpg`.
    #[param(required = false, nullable = false, value_type = String, max_length = 200)]
    pub q: Option<String>,
    /// Any of these types.
    #[param(inline, required = false, example = json!(["image/jpeg"]))]
    pub media_type: Vec<ImageMediaType>,
    /// `true`: what no caption, no published story and no author's portrait uses; `false`: the rest.
    #[param(required = false, nullable = false, value_type = bool)]
    pub unused: Option<bool>,
    /// Who uploaded it: any of these editors, by id.
    #[param(required = false)]
    pub uploaded_by: Vec<Id>,
    /// At least so wide, in pixels.
    #[param(required = false, nullable = false, value_type = i64, minimum = 1, example = 1600)]
    pub min_width: Option<i64>,
    /// At least so high, in pixels.
    #[param(required = false, nullable = false, value_type = i64, minimum = 1, example = 900)]
    pub min_height: Option<i64>,
    /// How it stands.
    #[param(inline, required = false, nullable = false, value_type = Orientation)]
    pub orientation: Option<Orientation>,
    /// The right to show it ends before this time, or has ended.
    #[param(required = false, nullable = false, value_type = Time)]
    pub rights_expire_before: Option<Time>,
    /// Uploaded after this time.
    #[param(required = false, nullable = false, value_type = Time)]
    pub created_after: Option<Time>,
    /// Uploaded before this time.
    #[param(required = false, nullable = false, value_type = Time)]
    pub created_before: Option<Time>,
    /// The order; a dash turns it round.
    #[param(inline, required = false, example = "-created_at")]
    pub sort: ImageSort,
    /// The page.
    #[param(ignore)]
    pub page: PageQuery,
}

impl FromParams for ImageQuery {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self {
            q: params.words("q")?,
            media_type: params.several("media_type", MEDIA_TYPES)?,
            unused: params.flag("unused")?,
            uploaded_by: params.ids("uploaded_by", 50)?,
            min_width: pixels(params, "min_width")?,
            min_height: pixels(params, "min_height")?,
            orientation: params.choice("orientation", ORIENTATIONS)?,
            rights_expire_before: params.time("rights_expire_before")?,
            created_after: params.time("created_after")?,
            created_before: params.time("created_before")?,
            sort: params.choice("sort", SORTS)?.unwrap_or(ImageSort::CreatedDown),
            page: PageQuery::take(params)?,
        })
    }
}

/// A length in pixels: 1 to 100,000.
fn pixels(params: &mut Params, name: &str) -> Result<Option<i64>> {
    match params.one(name)?.map(|text| text.parse()) {
        None => Ok(None),
        Some(Ok(length @ 1..=100_000)) => Ok(Some(length)),
        Some(_) => Err(invalid(name, "must be a whole number of pixels from 1 to 100000")),
    }
}
