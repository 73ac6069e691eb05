//! Making smaller, by Lanczos' filter with three lobes: the sharpest of the usual ones, and what sharp uses.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::pixels::{InnerPixel, U8, U8x3, U8x4};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use crate::Failed;

/// How many bytes a pixel has, and what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// With alpha that the colours are not multiplied by.
    Rgba,
}

/// A part of a picture, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// From its left edge.
    pub left: f64,
    /// From its top edge.
    pub top: f64,
    /// Across.
    pub width: f64,
    /// Down.
    pub height: f64,
}

/// A part of a picture of `size`, as one of `to` pixels across and down. What of the window lies outside is cut off.
///
/// # Errors
///
/// [`Failed`] when the bytes are not those of a picture of this size, or the window is empty.
pub fn resize(
    source: &[u8],
    size: (usize, usize),
    channels: Channels,
    window: Window,
    to: (usize, usize),
) -> Result<Vec<u8>, Failed> {
    // By name, since the untyped way would bring the code for every kind of pixel there is.
    match channels {
        Channels::Grey => typed::<U8>(source, size, window, to),
        Channels::Rgb => typed::<U8x3>(source, size, window, to),
        Channels::Rgba => typed::<U8x4>(source, size, window, to),
    }
}

fn typed<P: PixelTrait + InnerPixel>(
    source: &[u8],
    size: (usize, usize),
    window: Window,
    to: (usize, usize),
) -> Result<Vec<u8>, Failed> {
    let side = |side: usize| u32::try_from(side).map_err(|_| Failed);
    let source = ImageRef::new(side(size.0)?, side(size.1)?, source, P::pixel_type()).map_err(|_| Failed)?;
    let source = source.typed_image::<P>().ok_or(Failed)?;
    let mut target = Image::new(side(to.0)?, side(to.1)?, P::pixel_type());
    let (left, top) = (window.left.max(0.0), window.top.max(0.0));
    let options = ResizeOptions::new()
        .crop(
            left,
            top,
            window.width.min(size.0 as f64 - left),
            window.height.min(size.1 as f64 - top),
        )
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    let mut view = target.typed_image_mut::<P>().ok_or(Failed)?;
    Resizer::new()
        .resize_typed(&source, &mut view, &options)
        .map_err(|_| Failed)?;
    Ok(target.into_vec())
}
