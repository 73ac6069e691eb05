//! From a stored original to pixels in memory.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{ColorType, DynamicImage, ImageDecoder};
use moxcms::ColorProfile;

use super::raster::{Plane, Raster, rgb_of};
use super::{Kind, Limits, Rejected, avif, colour, jpeg, pixels, png};

/// A picture in memory, and what its numbers mean.
pub(super) struct Decoded {
    pub(super) raster: Raster,
    /// Pixels of the raster for one of the original, across and down: 1, or less when it was decoded smaller.
    pub(super) scale: (f64, f64),
    /// None for sRGB.
    pub(super) profile: Option<ColorProfile>,
}

fn as_they_are() -> Rejected {
    Rejected::unsupported("No variants are made of AVIF images that are put together of parts.")
}

/// The size of a picture as displayed.
pub(super) fn size(kind: Kind, bytes: &[u8], limits: &Limits) -> Result<(u32, u32), Rejected> {
    let input = Cursor::new(bytes);
    let (width, height) = match kind {
        Kind::Jpeg => jpeg::frame(bytes).map(|(frame, _)| (frame.width, frame.height))?,
        Kind::Png => png::size(bytes)?,
        Kind::WebP => WebPDecoder::new(input).map_err(pixels::rejected)?.dimensions(),
        Kind::Gif => GifDecoder::new(input).map_err(pixels::rejected)?.dimensions(),
        Kind::Avif => avif::size(bytes, limits)?.ok_or_else(as_they_are)?,
    };
    limits.check_size(width, height)?;
    Ok((width, height))
}

/// What [`still`] takes for pixels.
pub(super) struct Memory {
    /// Bytes while it decodes, at most.
    pub(super) decoding: u64,
    /// Bytes of what is left.
    pub(super) left: u64,
    /// Whether it may be seen through.
    pub(super) alpha: bool,
}

/// What [`still`] takes for pixels, told from the header.
pub(super) fn memory(kind: Kind, bytes: &[u8], shrink: usize, limits: &Limits) -> Result<Memory, Rejected> {
    if kind == Kind::Jpeg {
        let (frame, kept) = jpeg::frame(bytes)?;
        let side = 8 / shrink.clamp(1, 8);
        let planes = jpeg::scaled_memory(&frame, side, false);
        // Inks are also held as four and three bytes a pixel.
        let more = if frame.components() == 4 { planes * 4 } else { 0 };
        return Ok(Memory {
            decoding: jpeg::scaled_memory(&frame, side, kept) + more,
            left: planes,
            alpha: false,
        });
    }
    let (width, height) = size(kind, bytes, limits)?;
    let area = u64::from(width) * u64::from(height);
    let input = Cursor::new(bytes);
    let colours = match kind {
        Kind::Png => PngDecoder::new(input).map_err(pixels::rejected)?.color_type(),
        Kind::WebP => WebPDecoder::new(input).map_err(pixels::rejected)?.color_type(),
        _ => ColorType::Rgba8,
    };
    let left = area * if colours.has_alpha() { 4 } else { 3 };
    let decoding = match kind {
        // Three planes of two bytes each, and what they become.
        Kind::Avif => area * 10,
        // As it is.
        _ if colours == ColorType::Rgb8 => left,
        // What the file holds, and the copy with eight bits a channel, or without what cannot be seen through after all.
        _ => area * u64::from(colours.bytes_per_pixel()) + left,
    };
    Ok(Memory {
        decoding,
        left,
        alpha: colours.has_alpha(),
    })
}

/// Decodes a picture that does not move, at a size divided by up to `shrink` where the format can.
pub(super) fn still(kind: Kind, bytes: &[u8], shrink: usize, limits: &Limits) -> Result<Decoded, Rejected> {
    let image = match kind {
        Kind::Jpeg => return jpeg(bytes, shrink, limits),
        Kind::Avif => {
            let decoding = avif::decode(bytes, limits)?.ok_or_else(as_they_are)?;
            let carried = decoding.icc.as_deref().map(colour::profile);
            return Ok(Decoded {
                raster: raster(decoding.image),
                scale: (1.0, 1.0),
                profile: carried.unwrap_or(decoding.named),
            });
        }
        _ => pixels::decode(kind, bytes, limits)?,
    };
    let icc = match kind {
        Kind::Png => PngDecoder::with_limits(Cursor::new(bytes), pixels::decoder_limits(limits))
            .and_then(|mut decoder| decoder.icc_profile())
            .map_err(pixels::rejected)?,
        Kind::WebP => WebPDecoder::new(Cursor::new(bytes))
            .and_then(|mut decoder| decoder.icc_profile())
            .map_err(pixels::rejected)?,
        _ => None,
    };
    Ok(Decoded {
        raster: raster(image),
        scale: (1.0, 1.0),
        profile: icc.as_deref().and_then(colour::profile),
    })
}

fn jpeg(bytes: &[u8], shrink: usize, limits: &Limits) -> Result<Decoded, Rejected> {
    let scaled = jpeg::decode_scaled(bytes, shrink, limits)?;
    let scale = scaled.scale;
    let mut profile = colour::profile(&scaled.icc);
    let (transform, named_rgb) = (scaled.transform, scaled.named_rgb);
    let raster = match <[Plane; 3]>::try_from(scaled.planes) {
        Ok(planes) if transform == Some(0) || (transform.is_none() && named_rgb) => {
            Raster::Rgb(interleaved(&planes, |red, green, blue| [red, green, blue]))
        }
        Ok(planes) => Raster::Ycc(Box::new(planes)),
        Err(mut planes) => match (planes.pop(), <[Plane; 3]>::try_from(planes)) {
            (Some(grey), Err(_)) => Raster::Grey(grey),
            (Some(black), Ok(inks)) => {
                let rgb = inks_to_rgb(inks, black, transform, profile.as_ref());
                // It is sRGB from here on.
                profile = None;
                Raster::Rgb(rgb)
            }
            _ => return Err(Rejected::broken("The JPEG has no channels.")),
        },
    };
    Ok(Decoded { raster, scale, profile })
}

/// Four planes of ink to colours. Adobe's programs, and with them nearly all, write 255 for no ink, and say who they
/// are; others mean what they write.
fn inks_to_rgb(inks: [Plane; 3], black: Plane, transform: Option<u8>, profile: Option<&ColorProfile>) -> Plane {
    let flip = if transform.is_none() { 255 } else { 0 };
    let three = if transform == Some(2) {
        interleaved(&inks, |y, cb, cr| rgb_of(y, cb, cr).map(|value| 255 - value))
    } else {
        interleaved(&inks, |c, m, y| [c, m, y].map(|ink| ink ^ flip))
    };
    let pixels = three.data.as_chunks::<3>().0.iter().zip(&black.data);
    let four = Plane {
        data: pixels.flat_map(|([c, m, y], k)| [*c, *m, *y, k ^ flip]).collect(),
        ..three
    };
    colour::inks_to_rgb(four, profile)
}

/// Three planes, of which the later may be smaller, as one with three bytes a pixel.
fn interleaved(planes: &[Plane; 3], pixel: impl Fn(u8, u8, u8) -> [u8; 3]) -> Plane {
    let [first, second, third] = planes;
    let (width, height) = (first.width, first.height);
    let mut data = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let row_of = |plane: &Plane| -> Vec<u8> {
            let row = plane.row(y * plane.height / height);
            (0..width)
                .map(|x| row.get(x * plane.width / width).copied().unwrap_or(128))
                .collect()
        };
        let (second, third) = (row_of(second), row_of(third));
        for ((first, second), third) in first.row(y).iter().zip(second).zip(third) {
            data.extend_from_slice(&pixel(*first, second, third));
        }
    }
    Plane { width, height, data }
}

/// Eight bits a channel; alpha only where it shows.
pub(super) fn raster(image: DynamicImage) -> Raster {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let plane = |data| Plane { width, height, data };
    let grey = matches!(image, DynamicImage::ImageLuma8(_) | DynamicImage::ImageLuma16(_))
        || matches!(image, DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLumaA16(_));
    if pixels::see_through(&image) {
        Raster::Rgba(plane(image.into_rgba8().into_raw()))
    } else if grey {
        Raster::Grey(plane(image.into_luma8().into_raw()))
    } else {
        Raster::Rgb(plane(image.into_rgb8().into_raw()))
    }
}
