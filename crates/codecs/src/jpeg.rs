//! JPEG.

use jpeg_encoder::{ColorType, Encoder, ImageBuffer, JpegColorType, SamplingFactor};

use crate::{Failed, Planes};

struct Rows<'a> {
    planes: Planes<'a>,
    width: u16,
    height: u16,
}

impl ImageBuffer for Rows<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let (y, width) = (usize::from(y), self.planes.width);
        let half = width.div_ceil(2);
        let [luma, blue, red, _] = buffers;
        luma.extend_from_slice(self.planes.y.get(y * width..(y + 1) * width).unwrap_or_default());
        for (plane, out) in [(self.planes.cb, blue), (self.planes.cr, red)] {
            // Twice each, since the encoder takes the mean of four.
            let row = plane.get(y / 2 * half..(y / 2 + 1) * half).unwrap_or_default();
            let end = out.len() + width;
            out.extend(row.iter().flat_map(|value| [*value; 2]));
            out.truncate(end);
        }
    }
}

/// Encodes planes as they are, chroma at half the size.
///
/// # Errors
///
/// [`Failed`] when the planes are not of their sizes, or a side has more than 65,535 pixels.
pub fn jpeg_planes(planes: Planes<'_>, quality: u8) -> Result<Vec<u8>, Failed> {
    planes.check()?;
    let side = |side: usize| u16::try_from(side).map_err(|_| Failed);
    let (width, height) = (side(planes.width)?, side(planes.height)?);
    let mut out = Vec::new();
    // With the standard tables: with tables of its own this encoder writes a scan for each channel, which some decoders
    // get wrong.
    let mut encoder = Encoder::new(&mut out, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder
        .encode_image(Rows { planes, width, height })
        .map_err(|_| Failed)?;
    Ok(out)
}

/// Encodes one channel.
///
/// # Errors
///
/// As [`jpeg_planes`].
pub fn jpeg_grey(pixels: &[u8], (width, height): (usize, usize), quality: u8) -> Result<Vec<u8>, Failed> {
    let side = |side: usize| u16::try_from(side).map_err(|_| Failed);
    let mut out = Vec::new();
    Encoder::new(&mut out, quality)
        .encode(pixels, side(width)?, side(height)?, ColorType::Luma)
        .map_err(|_| Failed)?;
    Ok(out)
}
