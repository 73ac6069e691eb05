//! GIF: a screen, then blocks made of sub-blocks.
//!
//! What stays: palettes, frames, their timing and the looping extension. Comments, plain text, XMP and other
//! application extensions go, and so does what follows the trailer.

use image::metadata::Orientation;

use super::reader::Reader;
use super::{Limits, Rejected, Stripped};

pub(super) fn strip(data: &[u8], limits: &Limits) -> Result<Stripped, Rejected> {
    let mut reader = Reader::new(data);
    let mut bytes = Vec::with_capacity(data.len());
    bytes.extend_from_slice(reader.take(6)?);
    let screen = reader.take(7)?;
    bytes.extend_from_slice(screen);
    let mut header = Reader::new(screen);
    let (width, height) = (u32::from(header.u16_le()?), u32::from(header.u16_le()?));
    limits.check_size(width, height)?;
    bytes.extend_from_slice(reader.take(table_bytes(header.u8()?))?);

    let screen_area = u64::from(width) * u64::from(height);
    let (mut frames, mut total, mut largest_other) = (0_u32, 0_u64, 0_u64);
    // The graphic control extension belongs to the block after it, and goes where that goes.
    let mut control: Option<&[u8]> = None;
    loop {
        match reader.u8()? {
            0x3b => break,
            0x21 => match reader.u8()? {
                0xf9 => control = Some(control_block(&mut reader)?),
                0xff => keep_looping(&mut reader, &mut bytes)?,
                0x01 => {
                    control = None;
                    sub_blocks(&mut reader)?;
                }
                _ => {
                    sub_blocks(&mut reader)?;
                }
            },
            0x2c => {
                if let Some(block) = control.take() {
                    bytes.extend_from_slice(&[0x21, 0xf9]);
                    bytes.extend_from_slice(block);
                }
                let descriptor = reader.take(9)?;
                let mut fields = Reader::new(descriptor);
                let (left, top) = (fields.u16_le()?, fields.u16_le()?);
                let (w, h) = (u32::from(fields.u16_le()?), u32::from(fields.u16_le()?));
                limits.check_size(w, h)?;
                let area = u64::from(w) * u64::from(h);
                frames += 1;
                total += area.max(screen_area);
                limits.check_animation(u64::from(frames), total)?;
                if (left, top) != (0, 0) || (w, h) != (width, height) {
                    largest_other = largest_other.max(area);
                }
                bytes.push(0x2c);
                bytes.extend_from_slice(descriptor);
                bytes.extend_from_slice(reader.take(table_bytes(fields.u8()?))?);
                bytes.push(reader.u8()?);
                bytes.extend_from_slice(sub_blocks(&mut reader)?);
            }
            _ => return Err(Rejected::broken("The GIF holds an unknown block.")),
        }
    }
    if frames == 0 {
        return Err(Rejected::broken("The GIF has no picture."));
    }
    let animated = frames > 1;
    // RGBA: the screen and a frame that does not fill it; for animations also the canvas kept and the copy handed out.
    limits.check_memory(4 * (screen_area * if animated { 3 } else { 1 } + largest_other))?;
    bytes.push(0x3b);
    Ok(Stripped {
        bytes,
        width,
        height,
        orientation: Orientation::NoTransforms,
        animated,
        camera: None,
        colour: Vec::new(),
    })
}

/// How many frames a stored GIF has, and how often it plays (0 for ever).
pub(super) fn playing(data: &[u8]) -> Result<(u32, u32), Rejected> {
    let mut reader = Reader::new(data);
    reader.take(10)?;
    let packed = reader.u8()?;
    reader.take(2 + table_bytes(packed))?;
    let (mut frames, mut loops) = (0, 1);
    loop {
        match reader.u8()? {
            0x21 => {
                let label = reader.u8()?;
                let blocks = sub_blocks(&mut reader)?;
                // Eleven bytes of name, then a block of its own: 3, 1 and the number of repetitions after the first.
                if let (0xff, Some(&[3, 1, low, high])) = (label, blocks.get(12..16)) {
                    let again = u32::from(u16::from_le_bytes([low, high]));
                    loops = if again == 0 { 0 } else { again + 1 };
                }
            }
            0x2c => {
                let descriptor = reader.take(9)?;
                reader.take(table_bytes(descriptor[8]) + 1)?;
                sub_blocks(&mut reader)?;
                frames += 1;
            }
            _ => return Ok((frames, loops)),
        }
    }
}

/// Bytes of the colour table that a packed field announces.
fn table_bytes(packed: u8) -> usize {
    if packed & 0x80 == 0 { 0 } else { 3 << ((packed & 7) + 1) }
}

/// The sub-blocks up to and with their terminator.
fn sub_blocks<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Rejected> {
    let all = reader.rest();
    let mut length = 0;
    loop {
        let size = usize::from(reader.u8()?);
        reader.take(size)?;
        length += 1 + size;
        if size == 0 {
            return Ok(all.get(..length).unwrap_or_default());
        }
    }
}

/// A graphic control extension has one sub-block of four bytes and nothing more.
fn control_block<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Rejected> {
    let block = sub_blocks(reader)?;
    if block.len() != 6 {
        return Err(Rejected::broken("The GIF has a damaged timing block."));
    }
    Ok(block)
}

/// Of the application extensions only the number of loops stays, written anew.
fn keep_looping(reader: &mut Reader<'_>, bytes: &mut Vec<u8>) -> Result<(), Rejected> {
    let mut blocks = Reader::new(sub_blocks(reader)?);
    let length = usize::from(blocks.u8()?);
    let name = blocks.take(length)?;
    if name != b"NETSCAPE2.0" && name != b"ANIMEXTS1.0" {
        return Ok(());
    }
    if let [3, 1, low, high, ..] = *blocks.rest() {
        bytes.extend_from_slice(&[0x21, 0xff, 11]);
        bytes.extend_from_slice(b"NETSCAPE2.0");
        bytes.extend_from_slice(&[3, 1, low, high, 0]);
    }
    Ok(())
}
