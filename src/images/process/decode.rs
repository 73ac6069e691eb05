//! From a stored original to pixels in memory.

use std::io::Cursor;

use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder};
use moxcms::ColorProfile;

use super::raster::{Plane, Raster};
use super::{Kind, Limits, Rejected, colour, pixels};

/// A picture in memory, and what its numbers mean.
pub(super) struct Decoded {
    pub(super) raster: Raster,
    /// None for sRGB.
    pub(super) profile: Option<ColorProfile>,
}

/// Decodes a picture that does not move.
pub(super) fn still(kind: Kind, bytes: &[u8], limits: &Limits) -> Result<Decoded, Rejected> {
    let image = match kind {
        Kind::Jpeg => pixels::decode_jpeg(bytes, limits)?,
        Kind::Avif => return Err(Rejected::unsupported("AVIF images are served as they are.")),
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
        profile: icc.as_deref().and_then(colour::profile),
    })
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
