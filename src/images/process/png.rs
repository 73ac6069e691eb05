//! PNG and APNG: a row of checked chunks.
//!
//! What stays: pixels, palette, transparency, animation and the chunks that change how colours look. Text, time, EXIF
//! and private chunks go unread (so a text chunk that inflates to gigabytes costs nothing), and all after IEND.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use image::metadata::Orientation;

use super::reader::Reader;
use super::{CameraFacts, Limits, Rejected, Stripped, exif_orientation, icc};

pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Pieces that a file may have: 20 MiB in pieces of 8 KiB, as is usual, are 2,560.
const MAX_CHUNKS: usize = 20_000;
/// Bytes a small chunk can need; a longer one hides something and is dropped.
const SMALL_CHUNKS: [(&[u8; 4], usize); 11] = [
    (b"tRNS", 256),
    (b"gAMA", 4),
    (b"cHRM", 32),
    (b"sRGB", 1),
    (b"sBIT", 4),
    (b"pHYs", 9),
    (b"bKGD", 6),
    (b"cICP", 4),
    (b"mDCV", 24),
    (b"cLLI", 8),
    (b"acTL", 8),
];

fn first_chunk<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Rejected> {
    match chunk(reader)? {
        (kind, header) if kind == *b"IHDR" && header.len() == 13 => Ok(header),
        _ => Err(Rejected::broken("The PNG does not begin with its header.")),
    }
}

/// The size of a PNG, read from its header alone: a decoder would inflate its colour profile on the way.
pub(super) fn size(data: &[u8]) -> Result<(u32, u32), Rejected> {
    let mut reader = Reader::new(data);
    reader.take(SIGNATURE.len())?;
    read_header(first_chunk(&mut reader)?).map(|(width, height, _)| (width, height))
}

pub(super) fn strip(data: &[u8], limits: &Limits) -> Result<Stripped, Rejected> {
    let mut reader = Reader::new(data);
    let mut bytes = reader.take(SIGNATURE.len())?.to_vec();
    let header = first_chunk(&mut reader)?;
    let (width, height, pixel_bytes) = read_header(header)?;
    limits.check_size(width, height)?;
    let area = u64::from(width) * u64::from(height);
    limits.check_memory(area * pixel_bytes)?;
    push_chunk(&mut bytes, b"IHDR", header);

    let (mut colour, mut camera) = (Vec::new(), None);
    let (mut orientation, mut declared, mut frames, mut pixels) = (Orientation::NoTransforms, false, 0_u64, false);
    let mut chunks = 0;
    loop {
        let (kind, body) = chunk(&mut reader)?;
        chunks += 1;
        if chunks > MAX_CHUNKS {
            return Err(Rejected::too_large("The PNG is cut into too many pieces."));
        }
        match &kind {
            b"IEND" => break,
            b"IDAT" => {
                pixels = true;
                push_chunk(&mut bytes, &kind, body);
            }
            b"PLTE" if body.len() <= 768 => push_chunk(&mut bytes, &kind, body),
            b"fcTL" if body.len() == 26 => {
                frames += 1;
                push_chunk(&mut bytes, &kind, body);
            }
            b"fdAT" => push_chunk(&mut bytes, &kind, body),
            b"iCCP" => {
                if let Some(profile) = compressed_profile(body) {
                    push_chunk(&mut bytes, &kind, &profile);
                    push_chunk(&mut colour, &kind, &profile);
                }
            }
            b"eXIf" => {
                orientation = exif_orientation(body);
                camera = CameraFacts::read(body);
            }
            _ if SMALL_CHUNKS
                .iter()
                .any(|(name, most)| **name == kind && body.len() <= *most) =>
            {
                declared |= kind == *b"acTL";
                push_chunk(&mut bytes, &kind, body);
                // Those whose meaning does not hang on the sample format or on the frames.
                if matches!(&kind, b"gAMA" | b"cHRM" | b"sRGB" | b"cICP" | b"mDCV" | b"cLLI") {
                    push_chunk(&mut colour, &kind, body);
                }
            }
            // A capital first letter says that the picture cannot be shown without this chunk.
            [first, ..] if first.is_ascii_uppercase() => {
                return Err(Rejected::broken("The PNG holds an unknown critical chunk."));
            }
            _ => {}
        }
    }
    if !pixels {
        return Err(Rejected::broken("The PNG has no pixels."));
    }
    push_chunk(&mut bytes, b"IEND", &[]);
    let animated = declared && frames > 0;
    if animated {
        // The canvas, the frame and the copy handed out, each RGBA.
        limits.check_memory(area * 16)?;
        limits.check_animation(frames, area * frames)?;
    }
    Ok(Stripped {
        bytes,
        width,
        height,
        orientation,
        animated,
        camera,
        colour,
    })
}

/// Width, height and the bytes a decoded pixel takes.
fn read_header(header: &[u8]) -> Result<(u32, u32, u64), Rejected> {
    let mut header = Reader::new(header);
    let (width, height) = (header.u32_be()?, header.u32_be()?);
    let (depth, colour_type) = (header.u8()?, header.u8()?);
    let channels = match colour_type {
        0 => 2,
        2 | 3 | 6 => 4,
        4 => 2,
        _ => return Err(Rejected::broken("The PNG header is damaged.")),
    };
    Ok((width, height, if depth == 16 { channels * 2 } else { channels }))
}

fn chunk<'a>(reader: &mut Reader<'a>) -> Result<([u8; 4], &'a [u8]), Rejected> {
    let length = reader.u32_be()? as usize;
    let start = reader.rest();
    let kind: [u8; 4] = reader.array()?;
    let body = reader.take(length)?;
    let expected = reader.u32_be()?;
    let covered = start.get(..length + 4).unwrap_or_default();
    if crc32fast::hash(covered) != expected {
        return Err(Rejected::broken("The PNG is damaged: a checksum is wrong."));
    }
    Ok((kind, body))
}

fn push_chunk(out: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    // Chunks come out of a file far below 4 GiB.
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or_default().to_be_bytes());
    let from = out.len();
    out.extend_from_slice(kind);
    out.extend_from_slice(body);
    let checksum = crc32fast::hash(out.get(from..).unwrap_or_default());
    out.extend_from_slice(&checksum.to_be_bytes());
}

/// The iCCP chunk with a neutral name (it is free text) and nothing behind the compressed profile; none when it is
/// oversized or no profile.
fn compressed_profile(body: &[u8]) -> Option<Vec<u8>> {
    let name_end = body.iter().take(80).position(|b| *b == 0)?;
    let compressed = body.get(name_end + 2..)?;
    let mut decoder = ZlibDecoder::new(compressed);
    let mut profile = Vec::new();
    // Never inflates more than may be kept, whatever it would grow to.
    decoder
        .by_ref()
        .take(icc::MAX_BYTES as u64 + 1)
        .read_to_end(&mut profile)
        .ok()?;
    if !icc::clean(&mut profile) {
        return None;
    }
    let mut encoder = ZlibEncoder::new(b"ICC profile\0\0".to_vec(), Compression::default());
    encoder.write_all(&profile).ok()?;
    encoder.finish().ok()
}

/// Puts the colour chunks into a PNG of our own making, behind its header.
pub(super) fn with_colour(encoded: Vec<u8>, colour: &[u8]) -> Vec<u8> {
    let at = SIGNATURE.len() + 12 + 13;
    let mut out = encoded;
    if at <= out.len() {
        out.splice(at..at, colour.iter().copied());
    }
    out
}
