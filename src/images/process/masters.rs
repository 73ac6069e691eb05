//! One decoding for a whole family of variants that are made one after another: the picture and its cuts in memory, at
//! the largest size that is wanted of each.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::raster::Raster;
use super::variant::{Cut, Rendered, VariantFormat, Wanted, one, place, shrink};
use super::{Kind, Limits, Rejected, decode};

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
        let (source_w, source_h) = decode::size(kind, original, limits)?;
        let wanted = |(cut, width): &(Option<Cut>, u32)| Wanted {
            width: *width,
            cut: *cut,
            format: VariantFormat::Png,
        };
        let places = cuts.iter().map(|cut| place(source_w, source_h, wanted(cut)));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let decoded = decode::still(kind, original, shrink(&places), limits)?;
        places
            .into_iter()
            .map(|place| Ok(Master(decoded.made(place)?)))
            .collect()
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
            // No larger than the original, whose sides fit.
            let place = place(self.0.width() as u32, self.0.height() as u32, wanted)?;
            let small = self
                .0
                .resized(place.window, place.width as usize, place.height as usize)?;
            one(small, format)
        })
    }
}

/// An encoder or decoder that panics must not take its thread with it.
fn guarded<T>(work: impl FnOnce() -> Result<T, Rejected>) -> Result<T, Rejected> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Rejected::broken("The image cannot be decoded.")))
}
