//! The pixels of an AVIF, by a decoder in Rust.

use std::ops::Range;

use image::{DynamicImage, RgbImage, RgbaImage};
use moxcms::ColorProfile;
use re_rav1d::dav1d::{Decoder, Picture, PixelLayout, PlanarImageComponent, Settings};

use super::super::{Limits, Rejected};
use super::bitstream;
use super::meta::Named;

/// A decoded AVIF, as it is displayed.
pub(in super::super) struct Decoding {
    pub(in super::super) image: DynamicImage,
    /// The colour profile it carries.
    pub(in super::super) icc: Option<Vec<u8>>,
    /// The colours it names by number, where they are not sRGB's.
    pub(in super::super) named: Option<ColorProfile>,
}

fn damaged() -> Rejected {
    Rejected::broken("The AVIF is damaged: its pixels cannot be decoded.")
}

/// The displayed size of an AVIF that can be decoded; none for one of tiles, or of which only a part is shown.
pub(in super::super) fn size(data: &[u8], limits: &Limits) -> Result<Option<(u32, u32)>, Rejected> {
    let (_, picture) = super::opened(data, limits)?;
    let single = picture.coded.is_some_and(|coded| !coded.cropped);
    Ok(single.then_some((picture.width, picture.height)))
}

/// Decodes an AVIF; none when it is of a variety that [`size`] has no answer for either, or of high dynamic range.
pub(in super::super) fn decode(data: &[u8], limits: &Limits) -> Result<Option<Decoding>, Rejected> {
    let (_, picture) = super::opened(data, limits)?;
    let Some(coded) = picture.coded.filter(|coded| !coded.cropped) else {
        return Ok(None);
    };
    let area = u64::from(picture.width) * u64::from(picture.height);
    // Three planes of two bytes each, and what they become.
    limits.check_memory(area * 10)?;
    let (width, height) = match coded.turns % 2 {
        0 => (picture.width, picture.height),
        _ => (picture.height, picture.width),
    };
    let (frame, own) = frame(data, &coded.colour, (width, height))?;
    let numbers = numbers(own, coded.named);
    if matches!(numbers.transfer, PQ | HLG) {
        // Brighter than any of the formats that it would be made into.
        return Ok(None);
    }
    let named = named(&numbers);
    let colours = colours(&frame, &numbers)?;
    drop(frame);
    let mut image = if coded.alpha.is_empty() {
        DynamicImage::ImageRgb8(RgbImage::from_raw(width, height, colours).ok_or_else(damaged)?)
    } else {
        let (alpha, _) = self::frame(data, &coded.alpha, (width, height))?;
        let alpha = Samples::new(&alpha, PlanarImageComponent::Y);
        let pixels = colours.as_chunks::<3>().0.iter().enumerate();
        let all = pixels
            .flat_map(|(i, [r, g, b])| [*r, *g, *b, alpha.byte(i % width as usize, i / width as usize)])
            .collect();
        drop(colours);
        DynamicImage::ImageRgba8(RgbaImage::from_raw(width, height, all).ok_or_else(damaged)?)
    };
    image = match coded.turns {
        1 => image.rotate270(),
        2 => image.rotate180(),
        3 => image.rotate90(),
        _ => image,
    };
    image = match coded.mirror {
        Some(0) => image.flipv(),
        Some(_) => image.fliph(),
        None => image,
    };
    Ok(Some(Decoding {
        image,
        icc: coded.icc.and_then(|range| data.get(range)).map(<[u8]>::to_vec),
        named,
    }))
}

/// The picture in these pieces of a file, and the colours that it names itself.
fn frame(data: &[u8], extents: &[Range<usize>], size: (u32, u32)) -> Result<(Picture, Named), Rejected> {
    let mut bytes = Vec::new();
    for extent in extents {
        bytes.extend_from_slice(data.get(extent.clone()).ok_or_else(Rejected::truncated)?);
    }
    let colours = bitstream::colours(&bytes)?;
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    // A decoder allocates for the size inside, not for the one that the boxes promised.
    settings.set_frame_size_limit(size.0.saturating_mul(size.1));
    let mut decoder = Decoder::with_settings(&settings).map_err(|_| damaged())?;
    let sent = decoder.send_data(bytes, None, None, None);
    if sent.is_err_and(|error| !error.is_again()) {
        return Err(damaged());
    }
    let mut picture = decoder.get_picture();
    if picture.as_ref().is_err_and(|error| error.is_again()) {
        let _ = decoder.send_pending_data();
        picture = decoder.get_picture();
    }
    let picture = picture.map_err(|_| damaged())?;
    if (picture.width(), picture.height()) != size {
        return Err(Rejected::broken(
            "The AVIF picture has another size than its header says.",
        ));
    }
    Ok((picture, colours))
}

/// Transfer characteristics of pictures with high dynamic range (H.273).
const PQ: u16 = 16;
const HLG: u16 = 18;

/// What its box says of the colours, and where that tells nothing, its pixels.
fn numbers(own: Named, told: Option<Named>) -> Named {
    const UNTOLD: u16 = 2;
    let Some(told) = told else { return own };
    let first = |told: u16, own: u16| if told == UNTOLD { own } else { told };
    Named {
        primaries: first(told.primaries, own.primaries),
        transfer: first(told.transfer, own.transfer),
        matrix: first(told.matrix, own.matrix),
        full: told.full,
    }
}

/// The colours that a picture names by their number in H.273, where they are a display's wider ones.
fn named(numbers: &Named) -> Option<ColorProfile> {
    match numbers.primaries {
        9 => Some(ColorProfile::new_bt2020()),
        11 | 12 => Some(ColorProfile::new_display_p3()),
        _ => None,
    }
}

/// The samples of one plane, of 8, 10 or 12 bits.
struct Samples {
    plane: re_rav1d::dav1d::Plane,
    stride: usize,
    deep: bool,
    most: f32,
}

impl Samples {
    fn new(picture: &Picture, component: PlanarImageComponent) -> Self {
        let bits = picture.bit_depth();
        Self {
            plane: picture.plane(component),
            stride: picture.stride(component) as usize,
            deep: bits > 8,
            most: ((1_u32 << bits.clamp(8, 16)) - 1) as f32,
        }
    }

    /// From 0 to 1.
    fn at(&self, x: usize, y: usize) -> f32 {
        let value = if self.deep {
            let at = y * self.stride + x * 2;
            let pair = self.plane.get(at..at + 2).and_then(|pair| pair.try_into().ok());
            u16::from_ne_bytes(pair.unwrap_or_default())
        } else {
            u16::from(self.plane.get(y * self.stride + x).copied().unwrap_or_default())
        };
        f32::from(value) / self.most
    }

    fn byte(&self, x: usize, y: usize) -> u8 {
        (self.at(x, y) * 255.0 + 0.5) as u8
    }
}

/// Red, green and blue, three bytes a pixel.
fn colours(picture: &Picture, numbers: &Named) -> Result<Vec<u8>, Rejected> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (across, down) = match picture.pixel_layout() {
        PixelLayout::I420 => (2, 2),
        PixelLayout::I422 => (2, 1),
        PixelLayout::I444 | PixelLayout::I400 => (1, 1),
    };
    let grey = picture.pixel_layout() == PixelLayout::I400;
    let luma = Samples::new(picture, PlanarImageComponent::Y);
    let chroma = (!grey).then(|| {
        let blue = Samples::new(picture, PlanarImageComponent::U);
        (blue, Samples::new(picture, PlanarImageComponent::V))
    });
    let Named { full, matrix, .. } = *numbers;
    // The shares of red and blue in luma, by the number of the matrix in H.273.
    let (red_share, blue_share) = match matrix {
        1 => (0.2126, 0.0722),
        9 | 10 => (0.2627, 0.0593),
        0 | 2 | 5 | 6 => (0.299, 0.114),
        _ => {
            return Err(Rejected::unsupported(
                "The colours of this AVIF are of a kind that is not taken.",
            ));
        }
    };
    let green_share = 1.0 - red_share - blue_share;
    let (luma_low, luma_span, chroma_span) = if full {
        (0.0, 1.0, 1.0)
    } else {
        (16.0 / 255.0, 219.0 / 255.0, 224.0 / 255.0)
    };
    let mut out = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let light = (luma.at(x, y) - luma_low) / luma_span;
            let pixel = match &chroma {
                None => [light; 3],
                Some((blue, red)) if matrix == 0 => {
                    let part = |plane: &Samples| (plane.at(x, y) - luma_low) / luma_span;
                    [part(red), light, part(blue)]
                }
                Some((blue, red)) => {
                    let part = |plane: &Samples| (plane.at(x / across, y / down) - 128.0 / 255.0) / chroma_span;
                    let red = light + 2.0 * (1.0 - red_share) * part(red);
                    let blue = light + 2.0 * (1.0 - blue_share) * part(blue);
                    [red, (light - red_share * red - blue_share * blue) / green_share, blue]
                }
            };
            out.extend(pixel.map(|value| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    fn sample() -> Vec<u8> {
        let sample = include_str!("../tests/sample.avif.txt").trim();
        let file = base64::engine::general_purpose::STANDARD.decode(sample);
        file.expect("base64")
    }

    #[test]
    fn the_header_is_read_as_the_decoder_reads_it() {
        let file = sample();
        let (_, picture) = super::super::opened(&file, &Limits::default()).expect("boxes");
        let coded = picture.coded.expect("a coded picture");
        let (picture, own) = frame(&file, &coded.colour, (picture.width, picture.height)).expect("pixels");
        let decoders = Named {
            primaries: picture.color_primaries() as u16,
            transfer: picture.transfer_characteristic() as u16,
            // The decoder has one name for two numbers that mean the same.
            matrix: 6,
            full: picture.color_range() as u8 != 0,
        };
        assert_eq!(own, decoders);
    }

    #[test]
    fn the_box_goes_before_the_pixels() {
        let mut file = sample();
        let at = file.windows(4).position(|part| part == b"nclx").expect("named colours");
        let decoded = |file: &[u8]| decode(file, &Limits::default()).expect("pixels");
        assert!(decoded(&file).expect("a picture").named.is_none());
        file[at + 4..at + 6].copy_from_slice(&12_u16.to_be_bytes());
        assert!(decoded(&file).expect("a picture").named.is_some(), "Display P3");
        file[at + 6..at + 8].copy_from_slice(&PQ.to_be_bytes());
        assert!(decoded(&file).is_none(), "high dynamic range is served as it is");
    }
}
