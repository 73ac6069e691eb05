//! What an AV1 bitstream says before its pixels: how many frames it has, and what its colours are. The decoder's own answer
//! to the latter panics at numbers that no standard has given a meaning.

use bitstream_io::{BigEndian, BitRead, BitReader};

use super::super::Rejected;
use super::meta::Named;

/// A decoder decodes frames that are never shown, too, and takes seconds for each: a picture has one, or a few layers.
const MAX_FRAMES: usize = 8;

const SEQUENCE_HEADER: u8 = 1;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;

fn damaged() -> Rejected {
    Rejected::broken("The AVIF is damaged: its bitstream cannot be read.")
}

/// The colours that the first picture's sequence header names; refuses a film.
pub(super) fn colours(bytes: &[u8]) -> Result<Named, Rejected> {
    let (mut units, mut frames, mut colours) = (Units(bytes), 0, None);
    while let Some((kind, payload)) = units.next()? {
        match kind {
            SEQUENCE_HEADER if frames == 0 => colours = Some(sequence_header(payload).map_err(|_| damaged())?),
            FRAME_HEADER | FRAME => frames += 1,
            _ => {}
        }
        if frames > MAX_FRAMES {
            return Err(Rejected::unsupported("An AVIF may hold one picture, not a film."));
        }
    }
    colours.ok_or_else(damaged)
}

/// Open bitstream units one after the other (AV1 specification, 5.3).
struct Units<'a>(&'a [u8]);

impl<'a> Units<'a> {
    /// The kind of the next one and what it holds.
    fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, Rejected> {
        let Some((head, after)) = self.0.split_first() else {
            return Ok(None);
        };
        let kind = head >> 3 & 15;
        let after = if head & 4 == 0 {
            after
        } else {
            after.get(1..).ok_or_else(damaged)?
        };
        if head & 2 == 0 {
            // The last one may go on to the end.
            self.0 = &[];
            return Ok(Some((kind, after)));
        }
        let (mut size, mut length) = (0_u64, 0);
        loop {
            let byte = *after.get(length).ok_or_else(damaged)?;
            size |= u64::from(byte & 0x7f) << (7 * length);
            length += 1;
            if byte & 0x80 == 0 {
                break;
            }
            if length == 8 {
                return Err(damaged());
            }
        }
        let end = usize::try_from(size).ok().and_then(|size| size.checked_add(length));
        let payload = end.and_then(|end| after.get(length..end)).ok_or_else(damaged)?;
        self.0 = after.get(length + payload.len()..).unwrap_or_default();
        Ok(Some((kind, payload)))
    }
}

/// The colours in a sequence header (AV1 specification, 5.5).
fn sequence_header(payload: &[u8]) -> std::io::Result<Named> {
    let mut bits = BitReader::endian(payload, BigEndian);
    let profile: u8 = bits.read::<3, _>()?;
    bits.skip(1)?;
    let reduced = bits.read_bit()?;
    if reduced {
        bits.skip(5)?;
    } else {
        skip_operating_points(&mut bits)?;
    }
    let (width, height): (u32, u32) = (bits.read::<4, _>()?, bits.read::<4, _>()?);
    bits.skip(width + 1 + height + 1)?;
    if !reduced && bits.read_bit()? {
        bits.skip(7)?;
    }
    bits.skip(3)?;
    if !reduced {
        bits.skip(4)?;
        let order_hint = bits.read_bit()?;
        if order_hint {
            bits.skip(2)?;
        }
        let chosen_by_frame = bits.read_bit()?;
        if (chosen_by_frame || bits.read_bit()?) && !bits.read_bit()? {
            bits.skip(1)?;
        }
        if order_hint {
            bits.skip(3)?;
        }
    }
    bits.skip(3)?;
    color_config(&mut bits, profile)
}

fn skip_operating_points(bits: &mut impl BitRead) -> std::io::Result<()> {
    let mut delay_length = None;
    if bits.read_bit()? {
        bits.skip(64)?;
        if bits.read_bit()? {
            skip_variable_length(bits)?;
        }
        if bits.read_bit()? {
            delay_length = Some(bits.read::<5, u32>()? + 1);
            bits.skip(32 + 5 + 5)?;
        }
    }
    let display_delay = bits.read_bit()?;
    for _ in 0..=bits.read::<5, u8>()? {
        bits.skip(12)?;
        if bits.read::<5, u8>()? > 7 {
            bits.skip(1)?;
        }
        if let Some(length) = delay_length
            && bits.read_bit()?
        {
            bits.skip(2 * length + 1)?;
        }
        if display_delay && bits.read_bit()? {
            bits.skip(4)?;
        }
    }
    Ok(())
}

/// A number that says by leading zeros how long it is (AV1 specification, 4.10.3).
fn skip_variable_length(bits: &mut impl BitRead) -> std::io::Result<()> {
    for zeros in 0..32 {
        if bits.read_bit()? {
            return bits.skip(zeros);
        }
    }
    Err(std::io::ErrorKind::InvalidData.into())
}

/// AV1 specification, 5.5.2; the numbers are those of H.273.
fn color_config(bits: &mut impl BitRead, profile: u8) -> std::io::Result<Named> {
    const UNTOLD: u16 = 2;
    const SRGB: (u16, u16, u16) = (1, 13, 0);
    let high_bit_depth = bits.read_bit()?;
    if profile == 2 && high_bit_depth {
        bits.skip(1)?;
    }
    let monochrome = profile != 1 && bits.read_bit()?;
    let (primaries, transfer, matrix) = match bits.read_bit()? {
        true => (bits.read::<8, _>()?, bits.read::<8, _>()?, bits.read::<8, _>()?),
        false => (UNTOLD, UNTOLD, UNTOLD),
    };
    let always_full = !monochrome && (primaries, transfer, matrix) == SRGB;
    Ok(Named {
        primaries,
        transfer,
        matrix,
        full: always_full || bits.read_bit()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sequence header of a still picture of one pixel.
    const STILL: [u8; 6] = [0x0a, 4, 0x18, 0, 0, 0];

    #[test]
    fn a_film_is_no_picture() {
        let film = |frames: usize| [STILL.to_vec(), [0x32, 5, 1, 2, 3, 4, 5].repeat(frames)].concat();
        assert!(colours(&film(1)).is_ok());
        assert_eq!(colours(&film(100)).err().unwrap().code, "unsupported_media_type");
    }

    #[test]
    fn what_cannot_be_read_is_broken() {
        let endless: Vec<u8> = [0x32].into_iter().chain([0xff; 12]).collect();
        let beyond_the_end = vec![0x32, 9, 1];
        for bent in [endless, beyond_the_end] {
            let code = colours(&[STILL.to_vec(), bent].concat()).err().unwrap().code;
            assert_eq!(code, "image_broken");
        }
        let without_header = [0x32, 1, 1];
        let cut_header = [0x0a, 2, 0x18, 0];
        for bent in [&without_header[..], &cut_header, &[]] {
            assert_eq!(colours(bent).err().unwrap().code, "image_broken");
        }
    }

    #[test]
    fn every_part_of_a_header_is_passed_over() {
        let colours_of = |fields: &[(u32, u32)]| {
            let mut bits = Vec::new();
            for (size, value) in fields {
                bits.extend((0..*size).rev().map(|place| value >> place & 1));
            }
            let bytes = bits
                .chunks(8)
                .map(|byte| byte.iter().enumerate().fold(0, |all, (i, bit)| all | bit << (7 - i)));
            let payload: Vec<u8> = bytes.map(|byte| byte as u8).collect();
            sequence_header(&payload)
        };
        let wide = Named {
            primaries: 9,
            transfer: 14,
            matrix: 3,
            full: true,
        };
        let config = [(1, 1), (1, 1), (1, 0), (1, 1), (8, 9), (8, 14), (8, 3), (1, 1)];
        // The profile with 12 bits; timing with a number of 3 + 4 bits, delays of 7 bits, two operating points.
        let timing = [
            (1, 1),
            (32, 1),
            (32, 1),
            (1, 1),
            (3, 0),
            (4, 0b1101),
            (1, 1),
            (5, 6),
            (32, 0),
            (5, 0),
            (5, 0),
        ];
        let first = [(12, 0), (5, 8), (1, 1), (1, 1), (7, 1), (7, 1), (1, 1), (1, 1), (4, 3)];
        let second = [(12, 1), (5, 7), (1, 0), (1, 0)];
        let size = [(4, 9), (4, 3), (10, 639), (4, 15), (1, 1), (4, 1), (3, 1)];
        let tools = [
            (3, 7),
            (4, 15),
            (1, 1),
            (2, 3),
            (1, 0),
            (1, 1),
            (1, 0),
            (1, 1),
            (3, 6),
            (3, 0),
        ];
        let film = [
            &[(3, 2), (1, 0), (1, 0)][..],
            &timing,
            &[(1, 1), (5, 1)],
            &first,
            &second,
            &size,
            &tools,
            &config,
        ];
        assert_eq!(colours_of(&film.concat()).expect("a header"), wide);
        let endless = [
            &[(3, 2), (1, 0), (1, 0), (1, 1), (32, 1), (32, 1), (1, 1), (32, 0)][..],
            &timing,
        ]
        .concat();
        assert!(colours_of(&endless).is_err());
        // Nothing that may be left out.
        let bare = [
            &[(3, 0), (1, 1), (1, 0), (1, 0), (1, 0), (5, 0)][..],
            &[(12, 0), (5, 0), (4, 0), (4, 0), (1, 0), (1, 0), (1, 0)],
            &[(3, 0), (4, 0), (1, 0), (1, 0), (1, 0), (3, 0)],
            &[(1, 0), (1, 0), (1, 0), (1, 0)],
        ];
        let untold = Named {
            primaries: 2,
            transfer: 2,
            matrix: 2,
            full: false,
        };
        assert_eq!(colours_of(&bare.concat()).expect("a header"), untold);
    }
}
