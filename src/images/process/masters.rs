//! One decoding for a whole family of variants that are made one after another: the picture and its cuts in memory, at
//! the largest size that is wanted of each.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::raster::Raster;
use super::variant::{Cut, Rendered, VariantFormat, Wanted, one, place};
use super::{Kind, Limits, Rejected, colour, decode};

/// A picture, or a cut of one, in memory.
pub struct Master(Raster);

/// Decodes a stored original that stands still, and cuts and scales it; each cut comes with its largest width.
///
/// # Errors
///
/// As [`super::variant::render`].
pub fn masters(original: &[u8], cuts: &[(Option<Cut>, u32)], limits: &Limits) -> Result<Vec<Master>, Rejected> {
    let kind = Kind::of(original)
        .ok_or_else(|| Rejected::unsupported("The original is no image that variants are made of."))?;
    guarded(|| {
        let decode::Decoded { raster, profile } = decode::still(kind, original, limits)?;
        let master = |(cut, width): &(Option<Cut>, u32)| {
            let wanted = Wanted {
                width: *width,
                cut: *cut,
                format: VariantFormat::Png,
            };
            let (window, width, height) = place(&raster, wanted)?;
            let small = raster.resized(window, width as usize, height as usize)?;
            Ok(Master(colour::to_srgb(small, profile.as_ref())))
        };
        cuts.iter().map(master).collect()
    })
}

impl Master {
    /// A variant of this width, which may not be larger than the master.
    ///
    /// # Errors
    ///
    /// As [`super::variant::render`].
    pub fn render(&self, width: u32, format: VariantFormat) -> Result<Rendered, Rejected> {
        guarded(|| {
            let wanted = Wanted {
                width,
                cut: None,
                format,
            };
            let (window, width, height) = place(&self.0, wanted)?;
            one(self.0.resized(window, width as usize, height as usize)?, format)
        })
    }
}

/// An encoder or decoder that panics must not take its thread with it.
fn guarded<T>(work: impl FnOnce() -> Result<T, Rejected>) -> Result<T, Rejected> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Rejected::broken("The image cannot be decoded.")))
}
