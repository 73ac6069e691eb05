//! Writing variants. No encoder is given anything but pixels, so no file can carry more than those.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use newsdesk_codecs::Planes;

use super::Rejected;
use super::raster::{Plane, Raster};

/// The usual number for the web, and sharp's: artefacts are hard to find at normal distance.
const JPEG_QUALITY: u8 = 80;
/// WebP's own scale; 80 looks like a JPEG of 80 at two thirds of its bytes.
const WEBP_QUALITY: f32 = 80.0;
/// 4 of 0 (fast) to 6 (small): beyond it each step doubles the time for some two per cent of the bytes.
pub(super) const WEBP_METHOD: u8 = 4;
/// AV1's quantizer, 0 (lossless) to 255: the SSIM of sharp's default, see benches/README.md.
const AVIF_QUANTIZER: u8 = 128;
/// 10 is the fastest. 8 costs twice its time for a sixth fewer bytes, 6 four times for no fewer than 8. (The encoder's
/// assembly would need nasm to build.)
const AVIF_SPEED: u8 = 10;

fn failed() -> Rejected {
    Rejected {
        code: "internal_error",
        detail: "The variant could not be encoded.".into(),
    }
}

pub(super) fn webp(raster: Raster) -> Result<Vec<u8>, Rejected> {
    let config = webpx::EncoderConfig::new().quality(WEBP_QUALITY).method(WEBP_METHOD);
    let side = |side: usize| u32::try_from(side).map_err(|_| failed());
    if let Raster::Rgba(plane) = raster {
        // Drawings with transparency stay exact, as they do in PNG.
        let config = config.lossless(true);
        return webpx::Encoder::new_rgba(&plane.data, side(plane.width)?, side(plane.height)?)
            .config(config)
            .encode(webpx::Unstoppable)
            .map_err(|_| failed());
    }
    let mut planes = raster.into_ycc();
    // WebP counts luma from 16 to 235 and chroma from 16 to 240.
    let narrow = |low: i32, span: i32| -> [u8; 256] {
        std::array::from_fn(|value| (low + (i32::try_from(value).unwrap_or(0) * span + 127) / 255) as u8)
    };
    let (luma, chroma) = (narrow(16, 219), narrow(16, 224));
    for (plane, table) in planes.iter_mut().zip([&luma, &chroma, &chroma]) {
        for value in &mut plane.data {
            *value = table[usize::from(*value)];
        }
    }
    let [y, u, v] = planes.as_ref();
    webpx::Encoder::new_yuv(webpx::YuvPlanesRef {
        y: &y.data,
        y_stride: y.width,
        u: &u.data,
        u_stride: u.width,
        v: &v.data,
        v_stride: v.width,
        a: None,
        a_stride: 0,
        width: side(y.width)?,
        height: side(y.height)?,
    })
    .config(config)
    .encode(webpx::Unstoppable)
    .map_err(|_| failed())
}

/// Lossless, eight bits a channel.
pub(super) fn png(raster: Raster) -> Result<Vec<u8>, Rejected> {
    let (plane, kind) = match raster {
        Raster::Grey(plane) => (plane, ExtendedColorType::L8),
        Raster::Rgba(plane) => (plane, ExtendedColorType::Rgba8),
        other => (other.into_rgb(), ExtendedColorType::Rgb8),
    };
    let side = |side: usize| u32::try_from(side).map_err(|_| failed());
    let mut out = Vec::new();
    PngEncoder::new_with_quality(&mut out, CompressionType::Default, FilterType::Adaptive)
        .write_image(&plane.data, side(plane.width)?, side(plane.height)?, kind)
        .map_err(|_| failed())?;
    Ok(out)
}

pub(super) fn jpeg(raster: Raster) -> Result<Vec<u8>, Rejected> {
    if let Raster::Grey(plane) = &raster {
        return newsdesk_codecs::jpeg_grey(&plane.data, (plane.width, plane.height), JPEG_QUALITY)
            .map_err(|_| failed());
    }
    newsdesk_codecs::jpeg_planes(planes(&raster.into_ycc()), JPEG_QUALITY).map_err(|_| failed())
}

pub(super) fn avif(raster: Raster) -> Result<Vec<u8>, Rejected> {
    newsdesk_codecs::avif(planes(&raster.into_ycc()), AVIF_QUANTIZER, AVIF_SPEED).map_err(|_| failed())
}

fn planes([y, cb, cr]: &[Plane; 3]) -> Planes<'_> {
    Planes {
        width: y.width,
        height: y.height,
        y: &y.data,
        cb: &cb.data,
        cr: &cr.data,
    }
}

/// An animated WebP being written, frame by frame.
pub(super) struct Animation {
    encoder: webpx::AnimationEncoder,
    /// Where the next frame begins, in milliseconds.
    at: i32,
}

impl Animation {
    /// `loops` is how often it plays, 0 for ever.
    pub(super) fn new(width: u32, height: u32, loops: u32) -> Result<Self, Rejected> {
        let mut encoder = webpx::AnimationEncoder::with_options(width, height, true, loops).map_err(|_| failed())?;
        encoder.set_quality(WEBP_QUALITY);
        Ok(Self { encoder, at: 0 })
    }

    /// Adds a frame that is shown for so many milliseconds.
    pub(super) fn add(&mut self, frame: &Raster, shown_ms: u32) -> Result<(), Rejected> {
        let Raster::Rgba(plane) = frame else {
            return Err(failed());
        };
        self.encoder
            .add_frame_rgba(&plane.data, self.at)
            .map_err(|_| failed())?;
        let shown = i32::try_from(shown_ms).map_err(|_| failed())?;
        self.at = self.at.checked_add(shown).ok_or_else(failed)?;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, Rejected> {
        self.encoder.finish(self.at).map_err(|_| failed())
    }
}
