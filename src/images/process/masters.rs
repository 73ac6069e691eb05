//! One decoding for a whole family of variants that are made one after another: the picture and its cuts in memory, at
//! the largest size that is wanted of each.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::raster::Raster;
use super::variant::{Cut, Rendered, VariantFormat, Wanted, fitting, need, one, place};
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
        let all = all_of(cuts);
        let places = all.iter().map(|wanted| place(source_w, source_h, *wanted));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let (shrink, memory) = fitting(kind, original, &places, &all, limits)?;
        limits.check_memory(memory)?;
        let decoded = decode::still(kind, original, shrink, limits)?;
        places
            .into_iter()
            .map(|place| Ok(Master(decoded.made(place)?)))
            .collect()
    })
}

/// Bytes of memory that [`masters`] takes, told from the header alone.
pub fn masters_need(original: &[u8], cuts: &[(Option<Cut>, u32)], limits: &Limits) -> u64 {
    need(original, &all_of(cuts), limits)
}

/// As formats that take little, since nothing is encoded yet.
fn all_of(cuts: &[(Option<Cut>, u32)]) -> Vec<Wanted> {
    let wanted = |(cut, width): &(Option<Cut>, u32)| Wanted {
        width: *width,
        cut: *cut,
        format: VariantFormat::Png,
    };
    cuts.iter().map(wanted).collect()
}

impl Master {
    /// Bytes of memory it takes.
    pub fn bytes(&self) -> u64 {
        // Three planes or three bytes, at most four.
        self.0.width() as u64 * self.0.height() as u64 * 4
    }

    /// Pixels of a variant of this width.
    pub fn pixels_at(&self, width: u32) -> u64 {
        let (own_width, height) = (self.0.width().max(1) as u64, self.0.height() as u64);
        u64::from(width) * (height * u64::from(width)).div_ceil(own_width)
    }

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
