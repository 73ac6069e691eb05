//! Making smaller and encoding, behind plain functions: slices of bytes in, bytes out.

mod avif;
mod jpeg;
mod resize;

pub use avif::avif;
pub use jpeg::{jpeg_grey, jpeg_planes};
pub use resize::{Channels, Window, resize};

/// What a codec gives when it gives nothing: sizes that do not fit to the bytes, or memory that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the codec failed")
    }
}

impl std::error::Error for Failed {}

/// Luma at full size and chroma at half of it (rounded up), full range, BT.601; each row directly behind the other.
#[derive(Debug, Clone, Copy)]
pub struct Planes<'a> {
    /// Width of luma in pixels.
    pub width: usize,
    /// Height of luma in pixels.
    pub height: usize,
    /// Luma.
    pub y: &'a [u8],
    /// Blue less luma.
    pub cb: &'a [u8],
    /// Red less luma.
    pub cr: &'a [u8],
}

impl Planes<'_> {
    fn check(&self) -> Result<(), Failed> {
        let half = self.width.div_ceil(2) * self.height.div_ceil(2);
        let fits = self.y.len() == self.width * self.height && self.cb.len() == half && self.cr.len() == half;
        if fits && half > 0 { Ok(()) } else { Err(Failed) }
    }
}
