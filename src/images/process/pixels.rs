//! The one decoding of an upload: it proves that the picture is whole, gives the placeholder, and turns the picture
//! upright when that is needed.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::{WebPDecoder, WebPEncoder};
use image::metadata::Orientation;
use image::{
    AnimationDecoder, DynamicImage, Frames, GenericImageView, GrayImage, ImageDecoder, ImageEncoder, ImageError,
    ImageFormat, Pixel, RgbImage,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use super::{Kind, Limits, Rejected, Stripped, avif, jpeg, png};

/// ThumbHash takes no more, and a dominant colour needs no more.
const SMALL_SIDE: u32 = 100;
/// High enough that turning a photograph cannot be seen.
const JPEG_QUALITY: u8 = 92;

/// What to show before the image is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Placeholder {
    /// A tiny blurred image (ThumbHash, in Base64).
    #[schema(example = "1QcSHQRnh493V4dIh4eXh1h4kJUI")]
    pub thumbhash: String,
    /// The colour that covers most of it.
    #[schema(example = "#5a7d4e")]
    pub dominant_color: String,
}

/// A picture as it is stored.
pub(super) struct Upright {
    pub(super) bytes: Vec<u8>,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) animated: bool,
    pub(super) has_alpha: bool,
    pub(super) placeholder: Option<Placeholder>,
}

pub(super) fn upright(kind: Kind, stripped: Stripped, limits: &Limits) -> Result<Upright, Rejected> {
    let Stripped {
        bytes,
        width,
        height,
        orientation,
        animated,
        colour,
        camera: _,
    } = stripped;
    if kind == Kind::Avif {
        // It stands upright by its own properties, which every viewer follows.
        let decoded = avif::decode(&bytes, limits)?;
        return Ok(Upright {
            width,
            height,
            animated,
            has_alpha: decoded.as_ref().is_some_and(|decoded| see_through(&decoded.image)),
            placeholder: decoded.map(|decoded| placeholder(&small(&decoded.image))),
            bytes,
        });
    }
    if animated {
        // No viewer turns an animation by its EXIF data, so it stands as its author saw it.
        let small = animation(kind, &bytes, limits)?;
        return Ok(Upright {
            bytes,
            width,
            height,
            animated,
            has_alpha: see_through(&small),
            placeholder: Some(placeholder(&small)),
        });
    }
    let decoded = if kind == Kind::Jpeg {
        decode_jpeg(&bytes, limits)?
    } else {
        decode(kind, &bytes, limits)?
    };
    if (decoded.width(), decoded.height()) != (width, height) {
        return Err(Rejected::broken("The image has another size than its header says."));
    }
    let has_alpha = see_through(&decoded);
    let mut small = small(&decoded);
    small.apply_orientation(orientation);
    let placeholder = Some(placeholder(&small));
    if orientation == Orientation::NoTransforms {
        return Ok(Upright {
            bytes,
            width,
            height,
            animated,
            has_alpha,
            placeholder,
        });
    }
    drop(bytes);
    let (width, height) = if swaps_sides(orientation) {
        (height, width)
    } else {
        (width, height)
    };
    let bytes = turn(kind, decoded, orientation, &colour, limits)?;
    Ok(Upright {
        bytes,
        width,
        height,
        animated,
        has_alpha,
        placeholder,
    })
}

/// Decodes a JPEG in strict mode: the usual tolerance would fill a hole with grey and call it a picture.
pub(super) fn decode_jpeg(bytes: &[u8], limits: &Limits) -> Result<DynamicImage, Rejected> {
    let damaged = || Rejected::broken("The JPEG is damaged: not all of its pixels are there.");
    let side = limits.max_side as usize;
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(side)
        .set_max_height(side);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|_| damaged())?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    decoder.set_options(options.jpeg_set_out_colorspace(if grey { ColorSpace::Luma } else { ColorSpace::RGB }));
    let pixels = decoder.decode().map_err(|_| damaged())?;
    let (width, height) = decoder.dimensions().ok_or_else(damaged)?;
    let (width, height) = (
        u32::try_from(width).map_err(|_| damaged())?,
        u32::try_from(height).map_err(|_| damaged())?,
    );
    if grey {
        GrayImage::from_raw(width, height, pixels)
            .map(DynamicImage::ImageLuma8)
            .ok_or_else(damaged)
    } else {
        RgbImage::from_raw(width, height, pixels)
            .map(DynamicImage::ImageRgb8)
            .ok_or_else(damaged)
    }
}

pub(super) fn decode(kind: Kind, bytes: &[u8], limits: &Limits) -> Result<DynamicImage, Rejected> {
    let input = Cursor::new(bytes);
    match kind {
        Kind::Png => limited(
            PngDecoder::with_limits(input, decoder_limits(limits)).map_err(rejected)?,
            limits,
        ),
        Kind::WebP => limited(WebPDecoder::new(input).map_err(rejected)?, limits),
        _ => limited(GifDecoder::new(input).map_err(rejected)?, limits),
    }
}

fn limited(mut decoder: impl ImageDecoder, limits: &Limits) -> Result<DynamicImage, Rejected> {
    decoder.set_limits(decoder_limits(limits)).map_err(rejected)?;
    DynamicImage::from_decoder(decoder).map_err(rejected)
}

pub(super) fn decoder_limits(limits: &Limits) -> image::Limits {
    let mut given = image::Limits::default();
    given.max_image_width = Some(limits.max_side);
    given.max_image_height = Some(limits.max_side);
    given.max_alloc = Some(limits.max_decode_bytes);
    given
}

/// Decodes every frame, one at a time, and returns a small version of the first.
fn animation(kind: Kind, bytes: &[u8], limits: &Limits) -> Result<DynamicImage, Rejected> {
    let input = Cursor::new(bytes);
    match kind {
        Kind::Png => {
            let decoder = PngDecoder::with_limits(input, decoder_limits(limits)).map_err(rejected)?;
            first_of_all(decoder.apng().map_err(rejected)?.into_frames())
        }
        Kind::WebP => {
            let mut decoder = WebPDecoder::new(input).map_err(rejected)?;
            decoder.set_limits(decoder_limits(limits)).map_err(rejected)?;
            first_of_all(decoder.into_frames())
        }
        _ => {
            let mut decoder = GifDecoder::new(input).map_err(rejected)?;
            decoder.set_limits(decoder_limits(limits)).map_err(rejected)?;
            first_of_all(decoder.into_frames())
        }
    }
}

fn first_of_all(frames: Frames<'_>) -> Result<DynamicImage, Rejected> {
    let mut first = None;
    for frame in frames {
        let frame = frame.map_err(rejected)?;
        if first.is_none() {
            first = Some(small(&DynamicImage::ImageRgba8(frame.into_buffer())));
        }
    }
    first.ok_or_else(|| Rejected::broken("The animation has no frame."))
}

pub(super) fn rejected(error: ImageError) -> Rejected {
    match error {
        ImageError::Limits(_) => Rejected::too_large("Decoding the image would take too much memory."),
        ImageError::Unsupported(_) => Rejected::unsupported("This variety of the image format is not taken."),
        _ => Rejected::broken("The image is damaged."),
    }
}

fn swaps_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    )
}

/// Encodes the picture upright, in the format it came in.
fn turn(
    kind: Kind,
    decoded: DynamicImage,
    orientation: Orientation,
    colour: &[u8],
    limits: &Limits,
) -> Result<Vec<u8>, Rejected> {
    let failed = |_: ImageError| Rejected::broken("The image could not be turned upright.");
    let mut out = Vec::new();
    if kind == Kind::Jpeg {
        // The encoder asks for one block of pixels after the other, so a view that turns coordinates does: a second
        // copy of a 50 megapixel photograph would not fit into the memory given.
        let mut encoder = JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY);
        match decoded {
            DynamicImage::ImageLuma8(image) => encoder.encode_image(&Turned { image, orientation }),
            other => encoder.encode_image(&Turned {
                image: other.into_rgb8(),
                orientation,
            }),
        }
        .map_err(failed)?;
        return Ok(jpeg::with_colour(out, colour));
    }
    // Lossless formats are turned in memory: the picture twice, and once more what the WebP encoder keeps.
    limits.check_memory(decoded.as_bytes().len() as u64 * if kind == Kind::WebP { 3 } else { 2 })?;
    let mut image = decoded;
    image.apply_orientation(orientation);
    if kind == Kind::Png {
        image
            .write_to(&mut Cursor::new(&mut out), ImageFormat::Png)
            .map_err(failed)?;
        return Ok(png::with_colour(out, colour));
    }
    let mut encoder = WebPEncoder::new_lossless(&mut out);
    if !colour.is_empty() {
        encoder
            .set_icc_profile(colour.to_vec())
            .map_err(|_| Rejected::broken("The colour profile is damaged."))?;
    }
    encoder
        .write_image(image.as_bytes(), image.width(), image.height(), image.color().into())
        .map_err(failed)?;
    Ok(out)
}

/// A picture seen through its orientation.
struct Turned<P: Pixel> {
    image: image::ImageBuffer<P, Vec<P::Subpixel>>,
    orientation: Orientation,
}

impl<P: Pixel> GenericImageView for Turned<P> {
    type Pixel = P;

    fn dimensions(&self) -> (u32, u32) {
        let (width, height) = self.image.dimensions();
        if swaps_sides(self.orientation) {
            (height, width)
        } else {
            (width, height)
        }
    }

    fn get_pixel(&self, x: u32, y: u32) -> P {
        let (width, height) = self.image.dimensions();
        let (right, bottom) = (width - 1, height - 1);
        let (x, y) = match self.orientation {
            Orientation::NoTransforms => (x, y),
            Orientation::FlipHorizontal => (right - x, y),
            Orientation::Rotate180 => (right - x, bottom - y),
            Orientation::FlipVertical => (x, bottom - y),
            Orientation::Rotate90FlipH => (y, x),
            Orientation::Rotate90 => (y, bottom - x),
            Orientation::Rotate270FlipH => (right - y, bottom - x),
            Orientation::Rotate270 => (right - y, x),
        };
        *self.image.get_pixel(x, y)
    }
}

/// Whether any pixel lets something through. A layer of alpha that is full everywhere is no transparency.
pub(super) fn see_through(image: &DynamicImage) -> bool {
    match image {
        DynamicImage::ImageLumaA8(image) => image.pixels().any(|pixel| pixel.0[1] != u8::MAX),
        DynamicImage::ImageRgba8(image) => image.pixels().any(|pixel| pixel.0[3] != u8::MAX),
        DynamicImage::ImageLumaA16(image) => image.pixels().any(|pixel| pixel.0[1] != u16::MAX),
        DynamicImage::ImageRgba16(image) => image.pixels().any(|pixel| pixel.0[3] != u16::MAX),
        _ => false,
    }
}

fn small(image: &DynamicImage) -> DynamicImage {
    if image.width() <= SMALL_SIDE && image.height() <= SMALL_SIDE {
        return DynamicImage::ImageRgba8(image.to_rgba8());
    }
    DynamicImage::ImageRgba8(image.thumbnail(SMALL_SIDE, SMALL_SIDE).into_rgba8())
}

fn placeholder(small: &DynamicImage) -> Placeholder {
    let rgba = small.to_rgba8();
    let hash = thumbhash::rgba_to_thumb_hash(rgba.width() as usize, rgba.height() as usize, rgba.as_raw());
    Placeholder {
        thumbhash: STANDARD.encode(hash),
        dominant_color: dominant_color(&rgba),
    }
}

/// The mean of the fullest of 512 buckets of similar colour. The mean of all pixels would be a colour that is nowhere
/// in the picture: grey-brown for most photographs.
fn dominant_color(rgba: &image::RgbaImage) -> String {
    let mut buckets = vec![[0_u32; 4]; 512];
    for image::Rgba([r, g, b, a]) in rgba.pixels() {
        if *a < 128 {
            continue;
        }
        let index = usize::from(r >> 5) << 6 | usize::from(g >> 5) << 3 | usize::from(b >> 5);
        if let Some([count, red, green, blue]) = buckets.get_mut(index) {
            *count += 1;
            *red += u32::from(*r);
            *green += u32::from(*g);
            *blue += u32::from(*b);
        }
    }
    match buckets.iter().max_by_key(|[count, ..]| *count) {
        Some([count, red, green, blue]) if *count > 0 => {
            format!("#{:02x}{:02x}{:02x}", red / count, green / count, blue / count)
        }
        // Nothing in it can be seen; the page's usual ground is the best guess.
        _ => "#ffffff".into(),
    }
}
