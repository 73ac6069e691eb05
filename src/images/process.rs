//! What happens to an uploaded picture before it is stored.
//!
//! The name and the declared type of an upload are never believed: the content decides. A picture is judged from its
//! header first (so a bomb costs nothing), then written again from a list of parts that may stay, then decoded once to
//! prove that it is whole, and only turned (which means encoding it again) when its orientation asks for it.
//!
//! Everything here is synchronous and busy: run it where a busy thread hurts nobody, and only a few at a time, since
//! each may hold [`Limits::max_decode_bytes`] of pixels.

mod avif;
mod camera;
mod colour;
mod decode;
mod encode;
mod gif;
mod icc;
mod jpeg;
pub mod masters;
mod moving;
mod pixels;
mod png;
mod raster;
mod reader;
pub mod variant;
mod webp;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use image::metadata::Orientation;
use sha2::{Digest, Sha256};

pub use camera::CameraFacts;
pub use pixels::Placeholder;

/// Frames of an animation: two minutes at 25 a second.
const MAX_FRAMES: u64 = 3000;
/// Bytes of memory that pictures may take together while they are decoded and encoded.
pub const ROOM: u64 = 320 * 1024 * 1024;

/// The most one upload may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of the uploaded file.
    pub max_bytes: u64,
    /// Pixels of the longer side.
    pub max_side: u32,
    /// Width times height.
    pub max_pixels: u64,
    /// Bytes of memory for pixels while decoding, turning and encoding; the file itself comes on top.
    pub max_decode_bytes: u64,
    /// Width times height times frames of an animation, which bounds the time its check takes.
    pub max_animation_pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 20 * 1024 * 1024,
            max_side: 12_000,
            max_pixels: 50_000_000,
            max_decode_bytes: 256 * 1024 * 1024,
            max_animation_pixels: 250_000_000,
        }
    }
}

impl Limits {
    /// What stored originals may take: all memory that there is for pictures, when it is their turn.
    pub fn of_stored() -> Self {
        Self {
            max_decode_bytes: ROOM,
            ..Self::default()
        }
    }

    /// Judges the size a header claims, before anything is allocated for it.
    fn check_size(&self, width: u32, height: u32) -> Result<(), Rejected> {
        if width == 0 || height == 0 {
            return Err(Rejected::broken("The image has no pixels."));
        }
        if width > self.max_side || height > self.max_side {
            return Err(Rejected::too_large(format!(
                "The image is {width} × {height} px; a side may have at most {} px.",
                self.max_side
            )));
        }
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(Rejected::too_large(format!(
                "The image is {width} × {height} px; at most {} megapixels are taken.",
                self.max_pixels / 1_000_000
            )));
        }
        Ok(())
    }

    /// Judges the memory that decoding will take.
    fn check_memory(&self, bytes: u64) -> Result<(), Rejected> {
        if bytes > self.max_decode_bytes {
            return Err(Rejected::too_large(format!(
                "Decoding the image would take {} MiB of memory; at most {} MiB are given.",
                bytes.div_ceil(1024 * 1024),
                self.max_decode_bytes / (1024 * 1024)
            )));
        }
        Ok(())
    }

    /// Judges the number of frames, and the pixels of all of them together.
    fn check_animation(&self, frames: u64, total_pixels: u64) -> Result<(), Rejected> {
        if frames > MAX_FRAMES {
            return Err(Rejected::too_large(format!(
                "The animation has more than {MAX_FRAMES} frames."
            )));
        }
        if total_pixels > self.max_animation_pixels {
            return Err(Rejected::too_large(format!(
                "The frames of the animation have {} megapixels together; at most {} are taken.",
                total_pixels.div_ceil(1_000_000),
                self.max_animation_pixels / 1_000_000
            )));
        }
        Ok(())
    }
}

/// Why an upload is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// `unsupported_media_type`, `image_broken`, `image_too_large`; or `internal_error` when the spooled file itself
    /// could not be read, which is no fault of the sender.
    pub code: &'static str,
    /// One sentence for the person who uploaded.
    pub detail: String,
}

impl Rejected {
    fn unsupported(detail: impl Into<String>) -> Self {
        Self {
            code: "unsupported_media_type",
            detail: detail.into(),
        }
    }

    fn broken(detail: impl Into<String>) -> Self {
        Self {
            code: "image_broken",
            detail: detail.into(),
        }
    }

    fn truncated() -> Self {
        Self::broken("The image is cut off: its end is missing.")
    }

    fn too_large(detail: impl Into<String>) -> Self {
        Self {
            code: "image_too_large",
            detail: detail.into(),
        }
    }
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Rejected {}

/// A picture that may be stored and served.
#[derive(Debug, Clone)]
pub struct Processed {
    /// The type of the content, one of five.
    pub media_type: &'static str,
    /// The file extension that belongs to it, without a dot.
    pub extension: &'static str,
    /// Width as displayed.
    pub width: u32,
    /// Height as displayed.
    pub height: u32,
    /// What is stored: without location and device data, upright.
    pub bytes: Bytes,
    /// SHA-256 of [`Self::bytes`], in hex.
    pub sha256: String,
    /// SHA-256 of the file as uploaded, in hex; the same upload again is known by it.
    pub source_sha256: String,
    /// Whether it has more than one frame.
    pub animated: bool,
    /// Whether anything in it can be seen through.
    pub has_alpha: bool,
    /// How it was taken, out of the EXIF data that is not kept.
    pub camera: Option<CameraFacts>,
    /// No variants can be made of it: an AVIF that is put together of tiles or has a high dynamic range, or more pixels than
    /// there is room for.
    pub sealed: bool,
    /// What to show while it loads; none for an AVIF whose pixels cannot be had.
    pub placeholder: Option<Placeholder>,
}

/// The five kinds of picture that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Jpeg,
    Png,
    WebP,
    Gif,
    Avif,
}

impl Kind {
    /// Recognises a picture by its first bytes.
    fn of(data: &[u8]) -> Option<Self> {
        if data.starts_with(&[0xff, 0xd8, 0xff]) {
            Some(Self::Jpeg)
        } else if data.starts_with(png::SIGNATURE) {
            Some(Self::Png)
        } else if data.starts_with(b"GIF87a") || data.starts_with(b"GIF89a") {
            Some(Self::Gif)
        } else if data.starts_with(b"RIFF") && data.get(8..12) == Some(b"WEBP") {
            Some(Self::WebP)
        } else if avif::is_avif(data) {
            Some(Self::Avif)
        } else {
            None
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Avif => "image/avif",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Gif => "gif",
            Self::Avif => "avif",
        }
    }
}

/// A picture written again from the parts that may stay; its pixels are untouched.
struct Stripped {
    bytes: Vec<u8>,
    /// Size as coded, before the orientation.
    width: u32,
    height: u32,
    /// What the dropped EXIF data said about the way up.
    orientation: Orientation,
    animated: bool,
    camera: Option<CameraFacts>,
    /// Parts that carry colour meaning, ready to be put into a picture that was encoded again.
    colour: Vec<u8>,
}

/// Whether a file that begins like this is one of the five kinds; the rest is judged by [`process`].
pub fn is_known(head: &[u8]) -> bool {
    Kind::of(head).is_some()
}

/// Checks an upload, frees it of location and device data and turns it upright.
///
/// # Errors
///
/// [`Rejected`] with its code and a sentence for the sender.
pub fn process_bytes(data: &[u8], limits: &Limits) -> Result<Processed, Rejected> {
    if data.len() as u64 > limits.max_bytes {
        return Err(file_too_large(limits));
    }
    let kind =
        Kind::of(data).ok_or_else(|| Rejected::unsupported("Only JPEG, PNG, WebP, GIF and AVIF images are taken."))?;
    // The decoders are other people's code fed with strangers' bytes. Should one of them panic, that upload is
    // broken; it must not take the request, let alone the thread pool, with it. Nothing outlives the closure.
    catch_unwind(AssertUnwindSafe(|| finish(kind, data, limits)))
        .unwrap_or_else(|_| Err(Rejected::broken("The image cannot be decoded.")))
}

fn finish(kind: Kind, data: &[u8], limits: &Limits) -> Result<Processed, Rejected> {
    let mut stripped = match kind {
        Kind::Jpeg => jpeg::strip(data, limits)?,
        Kind::Png => png::strip(data, limits)?,
        Kind::WebP => webp::strip(data, limits)?,
        Kind::Gif => gif::strip(data, limits)?,
        Kind::Avif => avif::strip(data, limits)?,
    };
    let camera = stripped.camera.take();
    let mut upright = pixels::upright(kind, stripped, limits)?;
    let bytes = std::mem::take(&mut upright.bytes);
    Ok(Processed {
        media_type: kind.media_type(),
        extension: kind.extension(),
        width: upright.width,
        height: upright.height,
        sha256: hex_sha256(&bytes),
        source_sha256: hex_sha256(data),
        animated: upright.animated,
        has_alpha: upright.has_alpha,
        camera,
        sealed: upright.placeholder.is_none() || is_too_much(&bytes, upright.width),
        bytes: Bytes::from(bytes),
        placeholder: upright.placeholder,
    })
}

/// Whether even a variant of middle size would take more memory than there is. A larger one that does is not made, and its
/// address leads to the original.
fn is_too_much(stored: &[u8], width: u32) -> bool {
    let middle = variant::Wanted {
        width: width.min(variant::WIDEST / 2),
        cut: None,
        format: variant::VariantFormat::WebP,
    };
    variant::need(stored, &[middle], &Limits::of_stored()) > ROOM
}

/// Bytes of memory that [`process_bytes`] takes beside the upload, told from its header alone; for what cannot be told,
/// the most it may take.
pub fn need(data: &[u8], limits: &Limits) -> u64 {
    let told = || {
        let (width, height) = decode::size(Kind::of(data)?, data, limits).ok()?;
        // Two copies of eight bytes for two pixels while it is turned; three of the file, while it is written anew.
        Some(u64::from(width) * u64::from(height) * 10 + data.len() as u64 * 3)
    };
    let told = catch_unwind(AssertUnwindSafe(told)).ok().flatten();
    told.unwrap_or(limits.max_decode_bytes).min(limits.max_decode_bytes)
}

/// Reads a spooled upload, up to the largest that is taken.
///
/// # Errors
///
/// [`Rejected`] when it is larger, or cannot be read back.
pub fn read(file: &mut File, limits: &Limits) -> Result<Vec<u8>, Rejected> {
    let unreadable = |error: std::io::Error| {
        tracing::error!(%error, "a spooled upload could not be read");
        Rejected {
            code: "internal_error",
            detail: "The upload could not be read back.".into(),
        }
    };
    file.rewind().map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    if size > limits.max_bytes {
        return Err(file_too_large(limits));
    }
    let mut data = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    // One byte more than allowed: a file that grew meanwhile is noticed instead of silently cut.
    file.take(limits.max_bytes + 1)
        .read_to_end(&mut data)
        .map_err(unreadable)?;
    Ok(data)
}

fn file_too_large(limits: &Limits) -> Rejected {
    Rejected::too_large(format!(
        "The file is larger than {} MiB.",
        limits.max_bytes / (1024 * 1024)
    ))
}

fn hex_sha256(data: &[u8]) -> String {
    Sha256::digest(data)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// Reads the orientation out of an EXIF block (which starts with its TIFF header); anything odd means upright.
fn exif_orientation(tiff: &[u8]) -> Orientation {
    Orientation::from_exif_chunk(tiff).unwrap_or(Orientation::NoTransforms)
}

/// Zeroes a range but for the extents within it.
fn blank_except(bytes: &mut [u8], range: Range<usize>, keep: &[Range<usize>]) {
    let mut keep: Vec<&Range<usize>> = keep.iter().collect();
    keep.sort_by_key(|extent| extent.start);
    let mut at = range.start;
    for extent in keep {
        let gap = at..extent.start.clamp(at, range.end);
        bytes.get_mut(gap).unwrap_or_default().fill(0);
        at = at.max(extent.end.min(range.end));
    }
    bytes.get_mut(at..range.end).unwrap_or_default().fill(0);
}

#[cfg(test)]
mod tests;
