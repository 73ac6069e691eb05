//! What readers get of an image: its file, its size, the files to choose from.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::process::Placeholder;
use super::process::variant::VariantFormat;
use super::variants::spec::{Cropped, Point, RATIOS, Source, Spec, stem};
use crate::config::Config;
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::schema::{image_files, image_plans, images};
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

/// An original up to this many bytes, and no wider than the default, is what `url` names: a page can use it as it is.
const SMALL_ORIGINAL: i64 = 300 * 1024;
/// The widest original that `url` names.
const NARROW_ORIGINAL: u32 = 1600;

/// Files of one media type, for `<source>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImageSource {
    /// The type of the files.
    #[schema(example = "image/jpeg")]
    pub media_type: String,
    /// Value for the attribute `srcset`.
    #[schema(
        example = "https://api.example.vn/media/3f/3f0c-w320.webp 320w, https://api.example.vn/media/3f/3f0c-w640.webp 640w"
    )]
    pub srcset: String,
}

/// The image cut to a ratio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImageCrop {
    /// Width to height.
    #[schema(example = "16:9")]
    pub ratio: String,
    /// Address of a file that every program shows, JPEG or PNG, at most 1280 pixels wide.
    #[schema(
        format = "uri",
        example = "https://api.example.vn/media/3f/3f0c-16x9-50x40-w1280.jpg"
    )]
    pub url: String,
    /// Width of that file in pixels.
    #[schema(minimum = 1, example = 1280)]
    pub width: i64,
    /// Height of that file in pixels.
    #[schema(minimum = 1, example = 720)]
    pub height: i64,
    /// Type of that file.
    #[schema(example = "image/jpeg")]
    pub media_type: String,
    /// Files of the same cut to choose from, the best type first.
    pub sources: Vec<ImageSource>,
}

/// An image's file, with what a page needs to reserve its space.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DeliveredImage {
    /// The image's id.
    pub id: Id,
    /// Address of a file that a page can use as it is, at most 1600 pixels wide; it never changes its content.
    #[schema(format = "uri", example = "https://api.example.vn/media/3f/3f0c-w1600.jpg")]
    pub url: String,
    /// Width of that file in pixels.
    #[schema(minimum = 1, example = 1600)]
    pub width: i64,
    /// Height of that file in pixels; all of `sources` have the same shape.
    #[schema(minimum = 1, example = 1067)]
    pub height: i64,
    /// Type of that file.
    #[schema(example = "image/jpeg")]
    pub media_type: String,
    /// The point that must stay in sight; null for the middle.
    #[schema(required = true)]
    pub focal_point: Option<FocalPoint>,
    /// What to show before the image is there.
    #[schema(required = true)]
    pub placeholder: Option<Placeholder>,
    /// Files to choose from, the best type first, each in several widths: a `<source>` each.
    pub sources: Vec<ImageSource>,
    /// Cuts for cards and social previews, around the focal point.
    pub crops: Vec<ImageCrop>,
}

/// An image's row and file, as far as readers see them.
pub struct ImageFile {
    image: Arc<DeliveredImage>,
    original: OriginalFile,
    alt: Option<String>,
    caption: Option<String>,
    credit: Option<String>,
    changed: Time,
}

/// The stored original.
pub struct OriginalFile {
    /// Its address.
    pub url: String,
    /// Its media type.
    pub media_type: String,
    /// Width in pixels.
    pub width: i64,
    /// Height in pixels.
    pub height: i64,
}

impl ImageFile {
    /// The image.
    pub fn image(&self) -> &Arc<DeliveredImage> {
        &self.image
    }

    /// The stored original.
    pub fn original(&self) -> &OriginalFile {
        &self.original
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

    /// When the image, or what is offered of it, last changed.
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

/// The beginning of variants' addresses.
fn variants_base(config: &Config) -> String {
    match config.variants_public_url.as_str() {
        "" => format!("{}/media/", config.public_url),
        host => format!("{host}/"),
    }
}

/// The address of a variant by its key in the media store.
pub fn variant_url(config: &Config, object_key: &str) -> String {
    variants_base(config) + object_key
}

/// The key of a variant in the media store, by its address.
pub fn variant_key<'u>(config: &Config, url: &'u str) -> Option<&'u str> {
    url.strip_prefix(&variants_base(config))
}

type ImageRow = (
    (Id, String, Option<f64>, Option<f64>, Time, Option<Time>),
    (Option<String>, Option<String>, Option<String>),
    (String, i64, i64, i64, Option<String>),
    Option<PlanRow>,
);

/// Whether it moves, can be seen through, has no variants, has AVIF files; around which point its cuts have some; when
/// that changed.
type PlanRow = (bool, bool, bool, bool, Option<String>, Time);

/// The files of these images.
pub fn image_files_of(conn: &mut Conn, config: &Config, ids: &[Id]) -> Result<HashMap<Id, ImageFile>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<ImageRow> = images::table
        .inner_join(image_files::table.on(image_files::file_key.eq(images::file_key)))
        .left_join(image_plans::table.on(image_plans::file_key.eq(images::file_key)))
        .filter(images::id.eq_any(ids))
        .select((
            (
                images::id,
                images::file_key,
                images::focal_x,
                images::focal_y,
                images::updated_ms,
                images::deleted_ms,
            ),
            (images::alt, images::caption, images::credit),
            (
                image_files::media_type,
                image_files::width,
                image_files::height,
                image_files::bytes,
                image_files::placeholder,
            ),
            (
                image_plans::animated,
                image_plans::has_alpha,
                image_plans::broken,
                image_plans::avif,
                image_plans::avif_point,
                image_plans::changed_ms,
            )
                .nullable(),
        ))
        .load(conn)?;
    rows.into_iter().map(|row| file_of(config, row)).collect()
}

fn file_of(config: &Config, row: ImageRow) -> Result<(Id, ImageFile)> {
    let ((id, file_key, x, y, updated, deleted), words, file, plan) = row;
    let (media_type, width, height, bytes, placeholder) = file;
    let focal_point = x.zip(y).map(|(x, y)| FocalPoint { x, y });
    let placeholder = placeholder
        .map(|json| serde_json::from_str(&json))
        .transpose()
        .map_err(Problem::internal)?;
    let changed = plan.as_ref().map_or(updated, |plan| updated.max(plan.5));
    let original = OriginalFile {
        url: media_url(config, &file_key),
        media_type,
        width,
        height,
    };
    // Variants of a deleted image are gone; revisions still show its original.
    let offer = plan.filter(|(_, _, broken, ..)| !broken && deleted.is_none()).and_then(
        |(animated, has_alpha, _, avif, avif_point, _)| {
            let point = Point::of(focal_point);
            let offer = Offer {
                base: format!("{}{}-", variants_base(config), stem(&file_key)),
                source: Source {
                    media_type: &original.media_type,
                    width: u32::try_from(width).ok()?,
                    height: u32::try_from(height).ok()?,
                    animated,
                    has_alpha,
                },
                point,
                avif: config.avif && avif,
                avif_cuts: config.avif && avif_point.is_some_and(|ready| ready == point.to_string()),
            };
            (!offer.source.formats(None).is_empty()).then_some(offer)
        },
    );
    let (shown, sources, crops) = match &offer {
        Some(offer) => {
            let shown = offer.shown(bytes);
            let mut sources = offer.sources(None);
            // Of two lists of one type a browser looks at the first.
            if offer.source.animated && !sources.iter().any(|source| source.media_type == original.media_type) {
                sources.push(original.source());
            }
            (shown, sources, offer.crops())
        }
        None => (None, vec![original.source()], Vec::new()),
    };
    let shown = shown.unwrap_or_else(|| DefaultFile {
        url: original.url.clone(),
        media_type: original.media_type.clone(),
        width,
        height,
    });
    let image = DeliveredImage {
        id: id.clone(),
        url: shown.url,
        width: shown.width,
        height: shown.height,
        media_type: shown.media_type,
        focal_point,
        placeholder,
        sources,
        crops,
    };
    let (alt, caption, credit) = words;
    let file = ImageFile {
        image: Arc::new(image),
        original,
        alt,
        caption,
        credit,
        changed,
    };
    Ok((id, file))
}

/// The addresses that `url` names, of images by their ids, when nothing else is wanted of them.
pub fn addresses_of(conn: &mut Conn, config: &Config, ids: &[&Id]) -> Result<HashMap<Id, String>> {
    type Row = (Id, String, String, i64, i64, i64, Option<(bool, bool, bool)>);
    let rows: Vec<Row> = images::table
        .inner_join(image_files::table.on(image_files::file_key.eq(images::file_key)))
        .left_join(image_plans::table.on(image_plans::file_key.eq(images::file_key)))
        .filter(images::id.eq_any(ids.to_vec()))
        .select((
            images::id,
            images::file_key,
            image_files::media_type,
            image_files::width,
            image_files::height,
            image_files::bytes,
            (image_plans::animated, image_plans::has_alpha, image_plans::broken).nullable(),
        ))
        .load(conn)?;
    let address = |(id, file_key, media_type, width, height, bytes, plan): Row| {
        let shown = plan
            .filter(|(.., broken)| !broken)
            .and_then(|(animated, has_alpha, _)| {
                let offer = Offer {
                    base: format!("{}{}-", variants_base(config), stem(&file_key)),
                    source: Source {
                        media_type: &media_type,
                        width: u32::try_from(width).ok()?,
                        height: u32::try_from(height).ok()?,
                        animated,
                        has_alpha,
                    },
                    point: Point::MIDDLE,
                    avif: false,
                    avif_cuts: false,
                };
                offer.shown(bytes)
            });
        (id, shown.map_or_else(|| media_url(config, &file_key), |file| file.url))
    };
    Ok(rows.into_iter().map(address).collect())
}

impl OriginalFile {
    fn source(&self) -> ImageSource {
        ImageSource {
            media_type: self.media_type.clone(),
            srcset: format!("{} {}w", self.url, self.width),
        }
    }
}

/// What is offered of an image.
struct Offer<'s> {
    /// What all addresses begin with.
    base: String,
    source: Source<'s>,
    point: Point,
    /// Whether the AVIF files of the whole picture are there.
    avif: bool,
    /// Whether those of its cuts around the point are.
    avif_cuts: bool,
}

/// The file for whoever takes no list.
struct DefaultFile {
    url: String,
    media_type: String,
    width: i64,
    height: i64,
}

impl Offer<'_> {
    /// A `<source>` for each type, the best first.
    fn sources(&self, cropped: Cropped) -> Vec<ImageSource> {
        let avif = if cropped.is_some() { self.avif_cuts } else { self.avif };
        let widths = self.source.widths(cropped);
        let formats = self.source.formats(cropped).iter();
        let formats = formats.filter(|format| avif || **format != VariantFormat::Avif);
        formats
            .map(|format| {
                let mut srcset = String::with_capacity(widths.len() * (self.base.len() + 32));
                for width in &widths {
                    let spec = Spec {
                        cropped,
                        width: *width,
                        format: *format,
                    };
                    let comma = if srcset.is_empty() { "" } else { ", " };
                    // Writing to a String cannot fail.
                    let _ = write!(srcset, "{comma}{}{spec} {width}w", self.base);
                }
                ImageSource {
                    media_type: format.media_type().to_owned(),
                    srcset,
                }
            })
            .collect()
    }

    /// The variant that stands for the picture; none when its original does.
    fn shown(&self, bytes: i64) -> Option<DefaultFile> {
        // Not every program shows AVIF.
        let plain = self.source.media_type != VariantFormat::Avif.media_type();
        let small = plain && bytes <= SMALL_ORIGINAL && self.source.width <= NARROW_ORIGINAL;
        if small { None } else { self.default_file(None) }
    }

    fn default_file(&self, cropped: Cropped) -> Option<DefaultFile> {
        let spec = Spec {
            cropped,
            width: self.source.default_width(cropped),
            format: *self.source.formats(cropped).last()?,
        };
        let (width, height) = self.source.size(&spec)?;
        Some(DefaultFile {
            url: format!("{}{spec}", self.base),
            media_type: spec.format.media_type().to_owned(),
            width: width.into(),
            height: height.into(),
        })
    }

    fn crops(&self) -> Vec<ImageCrop> {
        let crop = |ratio: &super::variants::spec::Ratio| {
            let cropped = Some((*ratio, self.point));
            let file = self.default_file(cropped)?;
            Some(ImageCrop {
                ratio: ratio.name.to_owned(),
                url: file.url,
                width: file.width,
                height: file.height,
                media_type: file.media_type,
                sources: self.sources(cropped),
            })
        };
        RATIOS.iter().filter_map(crop).collect()
    }
}
