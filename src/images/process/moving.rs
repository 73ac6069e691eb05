//! Animations: one frame after the other is decoded, cut, made smaller and written into an animated WebP.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, DynamicImage, Frames, ImageDecoder};

use super::raster::{Plane, Raster};
use super::variant::{Rendered, VariantFormat, Wanted, place};
use super::{Kind, Limits, Rejected, encode, gif, pixels};

/// Browsers stretch anything shorter to a tenth of a second, so that is what the author saw.
const SHORTEST_MS: u32 = 20;
const STRETCHED_MS: u32 = 100;
/// The longest that a GIF can show a frame; all frames that there may be stay within what WebP can count.
const LONGEST_MS: u32 = 655_350;

/// Whether a stored original has more than one frame. Stored originals are well-formed, so a look at labels is enough.
pub(super) fn moves(kind: Kind, bytes: &[u8]) -> bool {
    match kind {
        Kind::Png => PngDecoder::new(Cursor::new(bytes)).is_ok_and(|decoder| decoder.is_apng().unwrap_or(false)),
        Kind::WebP => WebPDecoder::new(Cursor::new(bytes)).is_ok_and(|decoder| decoder.has_animation()),
        Kind::Gif => gif::playing(bytes).is_ok_and(|(frames, _)| frames > 1),
        Kind::Jpeg | Kind::Avif => false,
    }
}

/// A variant of an animation: an animated WebP, or its first frame in any other format.
pub(super) fn render(kind: Kind, bytes: &[u8], wanted: Wanted, limits: &Limits) -> Result<Rendered, Rejected> {
    let input = Cursor::new(bytes);
    let given = pixels::decoder_limits(limits);
    match kind {
        Kind::Png => {
            let decoder = PngDecoder::with_limits(input, given).map_err(pixels::rejected)?;
            let decoder = decoder.apng().map_err(pixels::rejected)?;
            let loops = loops(decoder.loop_count());
            written(decoder.into_frames(), loops, wanted)
        }
        Kind::WebP => {
            let mut decoder = WebPDecoder::new(input).map_err(pixels::rejected)?;
            decoder.set_limits(given).map_err(pixels::rejected)?;
            let loops = loops(decoder.loop_count());
            written(decoder.into_frames(), loops, wanted)
        }
        _ => {
            let mut decoder = GifDecoder::new(input).map_err(pixels::rejected)?;
            decoder.set_limits(given).map_err(pixels::rejected)?;
            let (_, loops) = gif::playing(bytes)?;
            written(decoder.into_frames(), loops, wanted)
        }
    }
}

/// How often it plays, 0 for ever.
fn loops(count: image::metadata::LoopCount) -> u32 {
    match count {
        image::metadata::LoopCount::Infinite => 0,
        image::metadata::LoopCount::Finite(count) => count.get().min(u32::from(u16::MAX)),
    }
}

fn written(frames: Frames<'_>, loops: u32, wanted: Wanted) -> Result<Rendered, Rejected> {
    let mut animation: Option<encode::Animation> = None;
    let (mut width, mut height) = (0, 0);
    for frame in frames {
        let frame = frame.map_err(pixels::rejected)?;
        let (over, under) = frame.delay().numer_denom_ms();
        let buffer = frame.into_buffer();
        let place = place(buffer.width(), buffer.height(), wanted)?;
        (width, height) = (place.width, place.height);
        let raster = Raster::Rgba(Plane {
            width: buffer.width() as usize,
            height: buffer.height() as usize,
            data: buffer.into_raw(),
        });
        let small = raster.resized(place.window, width as usize, height as usize)?;
        drop(raster);
        if wanted.format != VariantFormat::WebP {
            return super::variant::one(decode_opaque(small), wanted.format);
        }
        let shown = over / under.max(1);
        let shown = if shown < SHORTEST_MS {
            STRETCHED_MS
        } else {
            shown.min(LONGEST_MS)
        };
        let animation = match &mut animation {
            Some(animation) => animation,
            None => animation.insert(encode::Animation::new(width, height, loops)?),
        };
        animation.add(&small, shown)?;
    }
    let animation = animation.ok_or_else(|| Rejected::broken("The animation has no frame."))?;
    Ok(Rendered {
        bytes: animation.finish()?,
        width,
        height,
        media_type: VariantFormat::WebP.media_type(),
    })
}

/// Without its alpha when nothing can be seen through.
fn decode_opaque(raster: Raster) -> Raster {
    match raster {
        Raster::Rgba(plane) => {
            let (width, height) = (plane.width as u32, plane.height as u32);
            match image::RgbaImage::from_raw(width, height, plane.data) {
                Some(image) => super::decode::raster(DynamicImage::ImageRgba8(image)),
                None => Raster::Rgba(Plane::new(width as usize, height as usize)),
            }
        }
        other => other,
    }
}
