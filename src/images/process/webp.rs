//! WebP: a RIFF file of chunks.
//!
//! What stays: the picture chunks, alpha, animation and the ICC profile. EXIF, XMP and unknown chunks go, in frames too,
//! the flags in VP8X follow, and so does what lies behind the RIFF.

use image::metadata::Orientation;

use super::reader::Reader;
use super::{CameraFacts, Limits, Rejected, Stripped, exif_orientation, icc};

const FLAG_ICC: u8 = 0x20;
const FLAG_ALPHA: u8 = 0x10;
const FLAG_ANIMATION: u8 = 0x02;

pub(super) fn strip(data: &[u8], limits: &Limits) -> Result<Stripped, Rejected> {
    let mut file = Reader::new(data);
    file.take(4)?;
    let size = file.u32_le()? as usize;
    let mut riff = Reader::new(file.take(size)?);
    riff.take(4)?;

    let first = chunk(&mut riff)?;
    if first.0 != *b"VP8X" {
        // The simple form: one picture and nothing else.
        let (width, height) = picture_size(first)?;
        limits.check_size(width, height)?;
        limits.check_memory(memory(first.0, width, height))?;
        let mut body = Vec::with_capacity(first.1.len() + 8);
        push_chunk(&mut body, first);
        return Ok(stripped(
            body,
            width,
            height,
            Orientation::NoTransforms,
            false,
            Vec::new(),
        ));
    }
    strip_extended(first.1, &mut riff, limits)
}

fn strip_extended(header: &[u8], riff: &mut Reader<'_>, limits: &Limits) -> Result<Stripped, Rejected> {
    let mut fields = Reader::new(header);
    let flags = fields.u8()?;
    fields.take(3)?;
    let (width, height) = (fields.u24_le()? + 1, fields.u24_le()? + 1);
    limits.check_size(width, height)?;
    let area = u64::from(width) * u64::from(height);
    let animated = flags & FLAG_ANIMATION != 0;
    if animated {
        // The canvas, the frame, its alpha and the copy handed out.
        limits.check_memory(area * 16)?;
    }

    let mut kept = Vec::new();
    let (mut orientation, mut camera) = (Orientation::NoTransforms, None);
    let (mut icc, mut frames, mut picture) = (None, 0_u64, false);
    while !riff.is_empty() {
        let part = chunk(riff)?;
        match &part.0 {
            b"ICCP" if icc.is_none() => {
                let mut profile = part.1.to_vec();
                if icc::clean(&mut profile) {
                    push_chunk(&mut kept, (part.0, &profile));
                    icc = Some(profile);
                }
            }
            b"EXIF" => {
                let block = part.1.strip_prefix(b"Exif\0\0").unwrap_or(part.1);
                orientation = exif_orientation(block);
                camera = CameraFacts::read(block);
            }
            b"ANIM" if animated => push_chunk(&mut kept, (part.0, part.1.get(..6).ok_or_else(Rejected::truncated)?)),
            b"ANMF" if animated => {
                frames += 1;
                limits.check_animation(frames, frames * area)?;
                let frame = frame(part.1, width, height)?;
                push_chunk(&mut kept, (*b"ANMF", &frame));
            }
            b"ALPH" if !animated && !picture => push_chunk(&mut kept, part),
            b"VP8 " | b"VP8L" if !animated && !picture => {
                // A decoder allocates for the size inside, not for the one the header promised.
                if picture_size(part)? != (width, height) {
                    return Err(Rejected::broken(
                        "The WebP picture has another size than its header says.",
                    ));
                }
                limits.check_memory(area * 8)?;
                picture = true;
                push_chunk(&mut kept, part);
            }
            _ => {}
        }
    }
    if frames == 0 && !picture {
        return Err(Rejected::broken("The WebP has no picture."));
    }
    let mut new_header = header.get(..10).ok_or_else(Rejected::truncated)?.to_vec();
    new_header[0] = (flags & (FLAG_ALPHA | FLAG_ANIMATION)) | if icc.is_some() { FLAG_ICC } else { 0 };
    new_header[1..4].fill(0);
    let mut body = Vec::with_capacity(kept.len() + 18);
    push_chunk(&mut body, (*b"VP8X", &new_header));
    body.extend_from_slice(&kept);
    Ok(Stripped {
        camera,
        ..stripped(body, width, height, orientation, animated, icc.unwrap_or_default())
    })
}

/// A frame of an animation with nothing in it but its picture.
fn frame(data: &[u8], width: u32, height: u32) -> Result<Vec<u8>, Rejected> {
    let mut reader = Reader::new(data);
    let header = reader.take(16)?;
    let mut fields = Reader::new(header);
    let (x, y) = (fields.u24_le()? * 2, fields.u24_le()? * 2);
    let (w, h) = (fields.u24_le()? + 1, fields.u24_le()? + 1);
    if x + w > width || y + h > height {
        return Err(Rejected::broken("A frame of the WebP lies outside its canvas."));
    }
    let mut out = header.to_vec();
    let mut picture = false;
    while !reader.is_empty() {
        let part = chunk(&mut reader)?;
        match &part.0 {
            b"ALPH" if !picture => push_chunk(&mut out, part),
            b"VP8 " | b"VP8L" if !picture => {
                if picture_size(part)? != (w, h) {
                    return Err(Rejected::broken(
                        "A frame of the WebP has another size than its header says.",
                    ));
                }
                picture = true;
                push_chunk(&mut out, part);
            }
            _ => {}
        }
    }
    if picture {
        Ok(out)
    } else {
        Err(Rejected::broken("A frame of the WebP has no picture."))
    }
}

type Chunk<'a> = ([u8; 4], &'a [u8]);

fn chunk<'a>(reader: &mut Reader<'a>) -> Result<Chunk<'a>, Rejected> {
    let kind = reader.array()?;
    let size = reader.u32_le()? as usize;
    let body = reader.take(size)?;
    // Chunks are padded to even length; some writers forget it at the very end.
    if size % 2 == 1 && !reader.is_empty() {
        reader.take(1)?;
    }
    Ok((kind, body))
}

fn push_chunk(out: &mut Vec<u8>, (kind, body): Chunk<'_>) {
    out.extend_from_slice(&kind);
    // Chunks come out of a file far below 4 GiB.
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or_default().to_le_bytes());
    out.extend_from_slice(body);
    if body.len() % 2 == 1 {
        out.push(0);
    }
}

/// The size that the picture data itself names.
fn picture_size((kind, body): Chunk<'_>) -> Result<(u32, u32), Rejected> {
    let mut reader = Reader::new(body);
    match &kind {
        b"VP8 " => {
            let tag = reader.u24_le()?;
            if tag & 1 != 0 || reader.array()? != [0x9d, 0x01, 0x2a] {
                return Err(Rejected::broken("The WebP picture does not begin with a key frame."));
            }
            Ok((
                u32::from(reader.u16_le()? & 0x3fff),
                u32::from(reader.u16_le()? & 0x3fff),
            ))
        }
        b"VP8L" => {
            if reader.u8()? != 0x2f {
                return Err(Rejected::broken("The WebP picture is damaged."));
            }
            let bits = reader.u32_le()?;
            Ok(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        _ => Err(Rejected::broken("The WebP does not begin with a picture.")),
    }
}

/// Bytes to decode a lone picture: RGB and the planes it comes from, or RGBA twice.
fn memory(kind: [u8; 4], width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height) * if kind == *b"VP8 " { 5 } else { 8 }
}

fn stripped(
    body: Vec<u8>,
    width: u32,
    height: u32,
    orientation: Orientation,
    animated: bool,
    colour: Vec<u8>,
) -> Stripped {
    let mut bytes = Vec::with_capacity(body.len() + 12);
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&u32::try_from(body.len() + 4).unwrap_or_default().to_le_bytes());
    bytes.extend_from_slice(b"WEBP");
    bytes.extend_from_slice(&body);
    Stripped {
        bytes,
        width,
        height,
        orientation,
        animated,
        camera: None,
        colour,
    }
}
