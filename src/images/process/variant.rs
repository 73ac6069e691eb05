//! Variants: a stored original in another size, cut to another shape, in another format.
//!
//! Pure: bytes in, bytes out. Which sizes there are, where they are kept and how many are made at once is the
//! service's matter. Synchronous and busy, like all of this room.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::decode::{self, Decoded};
use super::raster::{Raster, Window};
use super::{Kind, Limits, Rejected, colour, encode, moving};

/// What a variant can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VariantFormat {
    /// The smallest; costs the most to make. Never moves.
    Avif,
    /// Lossy for photographs; lossless where something can be seen through; animated when the original is.
    WebP,
    /// For what can show neither.
    Jpeg,
    /// Lossless, eight bits a channel.
    Png,
}

impl VariantFormat {
    /// The media type it is served with.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Avif => "image/avif",
            Self::WebP => "image/webp",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }

    /// The file extension that belongs to it, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Avif => "avif",
            Self::WebP => "webp",
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }
}

/// A shape to cut the picture to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Width to height: (16, 9); 1.91:1 is (191, 100).
    pub ratio: (u32, u32),
    /// The point that must stay in view, from the top left, 0 to 1 each.
    pub focal: (f64, f64),
}

/// One variant to make.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    /// Width in pixels.
    pub width: u32,
    /// The shape; none for the picture's own.
    pub cut: Option<Cut>,
    /// What to write it as.
    pub format: VariantFormat,
}

/// A finished variant.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The whole file. It holds pixels and nothing else; colours are sRGB.
    pub bytes: Vec<u8>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Its media type.
    pub media_type: &'static str,
}

/// The formats that an original is offered in, the best first; the last is the one that every browser shows. Empty
/// when no variants can be made of it, so that the original itself is what is served.
///
/// `media_type`, `animated` and `has_alpha` are those of [`super::Processed`].
pub fn offered_formats(media_type: &str, animated: bool, has_alpha: bool) -> &'static [VariantFormat] {
    use VariantFormat::{Avif, Jpeg, Png, WebP};
    match media_type {
        "image/gif" | "image/png" | "image/webp" if animated => &[WebP],
        // Logos and drawings: what is lossless stays lossless.
        "image/avif" | "image/gif" | "image/png" | "image/webp" if has_alpha => &[WebP, Png],
        "image/avif" | "image/gif" | "image/jpeg" | "image/png" | "image/webp" => &[Avif, WebP, Jpeg],
        _ => &[],
    }
}

/// The size that [`render`] gives, in pixels, for an original of this displayed size. None when it would have to be
/// enlarged, since nothing is won by that.
pub fn size_of(source_w: u32, source_h: u32, cut: Option<&Cut>, width: u32) -> Option<(u32, u32)> {
    let window = window(f64::from(source_w), f64::from(source_h), cut)?;
    // A hair of tolerance: the widest cut of 1000 × 1000 is 1000 wide, whatever the fraction says.
    if width == 0 || f64::from(width) > window.width + 1e-6 {
        return None;
    }
    let height = (f64::from(width) * window.height / window.width).round().max(1.0);
    // Smaller than the source's own height.
    Some((width, height as u32))
}

/// The largest part of the ratio, as near to the focal point as the edges allow.
fn window(source_w: f64, source_h: f64, cut: Option<&Cut>) -> Option<Window> {
    if source_w < 1.0 || source_h < 1.0 {
        return None;
    }
    let Some(cut) = cut else {
        return Some(Window {
            left: 0.0,
            top: 0.0,
            width: source_w,
            height: source_h,
        });
    };
    let (across, down) = (f64::from(cut.ratio.0), f64::from(cut.ratio.1));
    if across < 1.0 || down < 1.0 {
        return None;
    }
    let width = source_w.min(source_h * across / down);
    let height = (width * down / across).min(source_h);
    let place = |focal: f64, whole: f64, part: f64| {
        let focal = if focal.is_finite() { focal.clamp(0.0, 1.0) } else { 0.5 };
        (focal * whole - part / 2.0).clamp(0.0, (whole - part).max(0.0))
    };
    Some(Window {
        left: place(cut.focal.0, source_w, width),
        top: place(cut.focal.1, source_h, height),
        width,
        height,
    })
}

/// Makes one or several variants from one decoding of a stored original, which stands upright and holds nothing but
/// pixels already. Several at once cost little more than the largest of them.
///
/// # Errors
///
/// [`Rejected`]: `image_broken` when the original cannot be decoded, `image_too_large` when that would take more than
/// the limits allow, `unsupported_media_type` for an original no variants are made of, `internal_error` when an
/// encoder fails, or for a size that [`size_of`] refuses.
pub fn render(original: &[u8], wanted: &[Wanted], limits: &Limits) -> Result<Vec<Rendered>, Rejected> {
    let kind = Kind::of(original)
        .ok_or_else(|| Rejected::unsupported("The original is no image that variants are made of."))?;
    // As for uploads: a decoder that panics must not take its thread with it.
    catch_unwind(AssertUnwindSafe(|| all(kind, original, wanted, limits)))
        .unwrap_or_else(|_| Err(Rejected::broken("The image cannot be decoded.")))
}

fn all(kind: Kind, original: &[u8], wanted: &[Wanted], limits: &Limits) -> Result<Vec<Rendered>, Rejected> {
    if moving::moves(kind, original) {
        return wanted
            .iter()
            .map(|wanted| moving::render(kind, original, *wanted, limits))
            .collect();
    }
    let (source_w, source_h) = decode::size(kind, original, limits)?;
    let places = wanted
        .iter()
        .map(|wanted| place(source_w, source_h, *wanted))
        .collect::<Result<Vec<_>, _>>()?;
    let (shrink, memory) = fitting(kind, original, &places, wanted, limits)?;
    limits.check_memory(memory)?;
    let decoded = decode::still(kind, original, shrink, limits)?;
    wanted
        .iter()
        .zip(places)
        .map(|(wanted, place)| one(decoded.made(place)?, wanted.format))
        .collect()
}

/// Bytes of memory that [`render`] takes beside the original and the finished files, told from the header alone. For what
/// cannot be told, the most it may take.
pub fn need(original: &[u8], wanted: &[Wanted], limits: &Limits) -> u64 {
    let told = || {
        let kind = Kind::of(original)?;
        let (source_w, source_h) = decode::size(kind, original, limits).ok()?;
        if moving::moves(kind, original) {
            // The canvas, the frame and its copy; and what the encoder of animations compares and tries.
            let area = u64::from(source_w) * u64::from(source_h);
            return Some((area * 76).min(limits.max_decode_bytes));
        }
        let places = wanted.iter().map(|wanted| place(source_w, source_h, *wanted));
        let places = places.collect::<Result<Vec<_>, _>>().ok()?;
        Some(fitting(kind, original, &places, wanted, limits).ok()?.1)
    };
    catch_unwind(AssertUnwindSafe(told))
        .ok()
        .flatten()
        .unwrap_or(limits.max_decode_bytes)
}

/// By how much the original is decoded smaller, and the bytes of memory that are taken then: more than would be best where
/// the memory is not enough otherwise.
pub(super) fn fitting(
    kind: Kind,
    original: &[u8],
    places: &[Place],
    wanted: &[Wanted],
    limits: &Limits,
) -> Result<(usize, u64), Rejected> {
    let mut shrink = shrink(places);
    loop {
        let memory = memory(kind, original, shrink, places, wanted, limits)?;
        if memory <= limits.max_decode_bytes || kind != Kind::Jpeg || shrink >= 8 {
            return Ok((shrink, memory));
        }
        shrink *= 2;
    }
}

fn memory(
    kind: Kind,
    original: &[u8],
    shrink: usize,
    places: &[Place],
    wanted: &[Wanted],
    limits: &Limits,
) -> Result<u64, Rejected> {
    let (source_w, _) = decode::size(kind, original, limits)?;
    let decode::Memory { decoding, left, alpha } = decode::memory(kind, original, shrink, limits)?;
    let encoding = places
        .iter()
        .zip(wanted)
        .map(|(place, wanted)| {
            // Making smaller goes by way of a picture that is narrower but as high as the original; it is gone when the
            // encoder begins.
            let narrower = left * u64::from(place.width) / u64::from(source_w.max(1));
            let pixels = u64::from(place.width) * u64::from(place.height);
            (narrower + pixels * 4).max(pixels * encoding_bytes(wanted.format, alpha))
        })
        .max()
        .unwrap_or_default();
    Ok(decoding.max(left + encoding))
}

/// The width of the widest variant, in pixels.
pub const WIDEST: u32 = 2560;

/// Bytes the encoder of AVIF is taken to hold for a pixel.
pub const AVIF_BYTES: u64 = 16;

/// Bytes an encoder is taken to hold for a pixel, with the pixels it is given: what was seen with 10 megapixels (14, 4, 3
/// and 6; 30 for WebP without loss), and a little more.
fn encoding_bytes(format: VariantFormat, alpha: bool) -> u64 {
    match format {
        VariantFormat::Avif => AVIF_BYTES,
        VariantFormat::WebP if alpha => 30,
        VariantFormat::WebP => 6,
        VariantFormat::Jpeg => 4,
        VariantFormat::Png => 8,
    }
}

/// By how much the original may be decoded smaller, so that the largest variant still loses nothing it could show.
pub(super) fn shrink(places: &[Place]) -> usize {
    let least = places
        .iter()
        .map(|place| place.window.width / f64::from(place.width))
        .fold(f64::INFINITY, f64::min);
    [8, 4, 2]
        .into_iter()
        .find(|shrink| least >= *shrink as f64)
        .unwrap_or(1)
}

impl Decoded {
    /// The picture, or the part of it, at its size.
    pub(super) fn made(&self, place: Place) -> Result<Raster, Rejected> {
        let (across, down) = self.scale;
        let window = Window {
            left: place.window.left * across,
            top: place.window.top * down,
            width: place.window.width * across,
            height: place.window.height * down,
        };
        let small = self
            .raster
            .resized(window, place.width as usize, place.height as usize)?;
        Ok(colour::to_srgb(small, self.profile.as_ref()))
    }
}

/// Where a variant lies in its original, and its size.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) window: Window,
    pub(super) width: u32,
    pub(super) height: u32,
}

pub(super) fn place(source_w: u32, source_h: u32, wanted: Wanted) -> Result<Place, Rejected> {
    let too_wide = || Rejected {
        code: "internal_error",
        detail: format!("The image is too small for a variant {} px wide.", wanted.width),
    };
    let (width, height) = size_of(source_w, source_h, wanted.cut.as_ref(), wanted.width).ok_or_else(too_wide)?;
    let window = window(f64::from(source_w), f64::from(source_h), wanted.cut.as_ref()).ok_or_else(too_wide)?;
    Ok(Place { window, width, height })
}

pub(super) fn one(raster: Raster, format: VariantFormat) -> Result<Rendered, Rejected> {
    // No larger than the original, whose sides fit.
    let (width, height) = (raster.width() as u32, raster.height() as u32);
    let bytes = match format {
        VariantFormat::Avif => encode::avif(raster),
        VariantFormat::WebP => encode::webp(raster),
        VariantFormat::Jpeg => encode::jpeg(raster),
        VariantFormat::Png => encode::png(raster),
    }?;
    Ok(Rendered {
        bytes,
        width,
        height,
        media_type: format.media_type(),
    })
}
