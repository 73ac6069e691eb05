//! Decoding a stored JPEG into its planes, at full, half, quarter or eighth size.
//!
//! A variant is a fraction of a photograph's width, and most of a JPEG's cost lies in pixels that are thrown away again
//! when it is made smaller. Here only the frequencies that a smaller picture can hold become pixels, and the planes stay
//! as they are stored. Uploads are judged by the strict decoder; this one reads what that has passed.

use super::super::raster::Plane;
use super::super::reader::Reader;
use super::super::{Limits, Rejected};
use super::bits::{Bits, Codes, damaged};
use super::idct::Scale;
use super::{Frame, ICC_LABEL, next_marker, scan_data};

/// What came out.
pub(in super::super) struct Scaled {
    /// One plane a channel: 1, 3 or 4.
    pub(in super::super) planes: Vec<Plane>,
    /// Pixels of the first plane for one of the picture, across and down.
    pub(in super::super) scale: (f64, f64),
    /// What Adobe's segment says of the channels: 0 for as they are, 1 or 2 for luma and chroma.
    pub(in super::super) transform: Option<u8>,
    /// Whether the channels are named R, G and B.
    pub(in super::super) named_rgb: bool,
    pub(in super::super) icc: Vec<u8>,
}

/// A channel while it is decoded.
pub(super) struct Channel {
    /// Which quantisation table is its own. The table may stand behind the frame header, before its first scan.
    table: usize,
    side: usize,
    scale: Option<Scale>,
    /// Blocks across, with those that only fill up the last unit.
    pub(super) across: usize,
    plane: Plane,
    /// All coefficients, when several scans fill them in.
    pub(super) blocks: Vec<[i16; 64]>,
    pub(super) mean: i32,
}

#[derive(Default)]
struct Tables {
    quantisation: [Option<[u16; 64]>; 4],
    means: [Option<Codes>; 4],
    others: [Option<Codes>; 4],
    restart: usize,
}

/// What a scan holds of which channels.
pub(super) struct Scan<'a> {
    /// Channel, table of the means, table of the others.
    pub(super) channels: Vec<(usize, Option<&'a Codes>, Option<&'a Codes>)>,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) high: u8,
    pub(super) low: u8,
}

/// Decodes a stored JPEG with each side divided by `shrink`: 1, 2, 4 or 8.
pub(in super::super) fn decode(data: &[u8], shrink: usize, limits: &Limits) -> Result<Scaled, Rejected> {
    let side = 8 / shrink.clamp(1, 8);
    let mut reader = Reader::new(data);
    reader.take(2)?;
    let mut tables = Tables::default();
    let mut state: Option<(Frame, Vec<Channel>, bool)> = None;
    let (mut transform, mut icc) = (None, Vec::new());
    while let Some(marker) = next_marker(&mut reader)? {
        let length = usize::from(reader.u16_be()?).checked_sub(2).ok_or_else(damaged)?;
        let body = reader.take(length)?;
        match marker {
            0xdb => quantisation(body, &mut tables)?,
            0xc4 => huffman(body, &mut tables)?,
            0xdd => tables.restart = usize::from(Reader::new(body).u16_be()?),
            0xee => transform = body.starts_with(b"Adobe").then(|| body.get(11).copied()).flatten(),
            0xe2 => icc.extend_from_slice(
                body.strip_prefix(ICC_LABEL)
                    .and_then(|b| b.get(2..))
                    .unwrap_or_default(),
            ),
            0xc0..=0xc2 => {
                let frame = Frame::read(marker, body)?;
                limits.check_size(frame.width, frame.height)?;
                // One scan of all channels becomes pixels at once; anything else is kept until the last scan.
                let kept = frame.progressive || first_scan(reader.rest()) != frame.components.len();
                limits.check_memory(memory(&frame, side, kept))?;
                let channels = channels(&frame, body, side, kept);
                state = Some((frame, channels, kept));
            }
            0xda => {
                let (frame, channels, kept) = state.as_mut().ok_or_else(damaged)?;
                let scan = scan(body, frame, &tables)?;
                for (index, ..) in &scan.channels {
                    channels.get_mut(*index).ok_or_else(damaged)?.prepare(&tables)?;
                }
                if !*kept {
                    let mut bits = Bits::new(reader.rest());
                    at_once(frame, &scan, channels, &mut bits, tables.restart)?;
                    bits.check()?;
                    break;
                }
                let mut bits = Bits::new(scan_data(&mut reader)?);
                super::several::read(frame, &scan, channels, &mut bits, tables.restart)?;
                bits.check()?;
            }
            _ => {}
        }
    }
    let (frame, mut channels, kept) = state.ok_or_else(damaged)?;
    if kept {
        channels.iter_mut().for_each(Channel::finish);
    }
    Ok(Scaled {
        scale: (side as f64 / 8.0, side as f64 / 8.0),
        named_rgb: frame.components.iter().map(|c| c.id).eq(*b"RGB"),
        planes: channels.into_iter().map(|channel| channel.plane).collect(),
        transform,
        icc,
    })
}

/// Bytes that decoding takes, with each side of a block coming out as `side`.
pub(in super::super) fn memory(frame: &Frame, side: usize, kept: bool) -> u64 {
    let (across, down) = frame.units();
    let blocks: u64 = frame.components.iter().map(|c| u64::from(c.h) * u64::from(c.v)).sum();
    let one = (side * side) as u64 + if kept { 128 } else { 0 };
    u64::from(across) * u64::from(down) * blocks * one
}

/// How many channels the next scan has.
pub(super) fn first_scan(rest: &[u8]) -> usize {
    let at = rest.windows(2).position(|pair| pair == [0xff, 0xda]);
    at.and_then(|at| rest.get(at + 4))
        .map_or(0, |count| usize::from(*count))
}

fn channels(frame: &Frame, body: &[u8], side: usize, kept: bool) -> Vec<Channel> {
    let (units_across, units_down) = frame.units();
    let (h_most, v_most) = frame.largest_sampling();
    let mut channels = Vec::new();
    for (i, component) in frame.components.iter().enumerate() {
        let (h, v) = (u32::from(component.h), u32::from(component.v));
        let (across, down) = ((units_across * h) as usize, (units_down * v) as usize);
        let table = body.get(6 + i * 3 + 2).copied().unwrap_or_default();
        // The picture's own edge, not that of its last unit.
        let edge = |size: u32, part: u32, most: u32| {
            ((u64::from(size) * u64::from(part) * side as u64).div_ceil(u64::from(most) * 8)) as usize
        };
        channels.push(Channel {
            table: usize::from(table),
            side,
            scale: None,
            across,
            plane: Plane::new(edge(frame.width, h, h_most), edge(frame.height, v, v_most)),
            blocks: if kept { vec![[0; 64]; across * down] } else { Vec::new() },
            mean: 0,
        });
    }
    channels
}

fn quantisation(body: &[u8], tables: &mut Tables) -> Result<(), Rejected> {
    let mut reader = Reader::new(body);
    while !reader.is_empty() {
        let kind = reader.u8()?;
        let mut table = [0; 64];
        for value in &mut table {
            *value = if kind >> 4 == 0 {
                u16::from(reader.u8()?)
            } else {
                reader.u16_be()?
            };
        }
        *tables
            .quantisation
            .get_mut(usize::from(kind & 15))
            .ok_or_else(damaged)? = Some(table);
    }
    Ok(())
}

fn huffman(body: &[u8], tables: &mut Tables) -> Result<(), Rejected> {
    let mut reader = Reader::new(body);
    while !reader.is_empty() {
        let kind = reader.u8()?;
        let counts: [u8; 16] = reader.array()?;
        let symbols = reader.take(counts.iter().map(|count| usize::from(*count)).sum())?;
        let tables = if kind >> 4 == 0 {
            &mut tables.means
        } else {
            &mut tables.others
        };
        *tables.get_mut(usize::from(kind & 15)).ok_or_else(damaged)? = Some(Codes::new(counts, symbols)?);
    }
    Ok(())
}

fn scan<'a>(body: &[u8], frame: &Frame, tables: &'a Tables) -> Result<Scan<'a>, Rejected> {
    let mut reader = Reader::new(body);
    let count = reader.u8()?;
    let mut channels = Vec::new();
    for _ in 0..count {
        let [id, table] = reader.array()?;
        let channel = frame.components.iter().position(|c| c.id == id).ok_or_else(damaged)?;
        channels.push((
            channel,
            tables.means.get(usize::from(table >> 4)).and_then(Option::as_ref),
            tables.others.get(usize::from(table & 15)).and_then(Option::as_ref),
        ));
    }
    let [from, to, bits] = reader.array()?;
    let (from, to) = if frame.progressive { (from, to) } else { (0, 63) };
    if channels.is_empty() || from > to || to > 63 {
        return Err(damaged());
    }
    Ok(Scan {
        channels,
        from: usize::from(from),
        to: usize::from(to),
        high: bits >> 4,
        low: bits & 15,
    })
}

impl Channel {
    fn prepare(&mut self, tables: &Tables) -> Result<(), Rejected> {
        if self.scale.is_none() {
            let table = tables.quantisation.get(self.table).and_then(Option::as_ref);
            self.scale = Some(Scale::new(table.ok_or_else(damaged)?, self.side));
        }
        Ok(())
    }

    /// Makes pixels of a block. `end` is the place behind its last coefficient that is not zero.
    fn show(&mut self, x: usize, y: usize, block: &[i16; 64], end: usize) {
        let mut pixels = [0; 64];
        if let Some(scale) = &self.scale {
            scale.pixels(block, end, &mut pixels);
            self.put(x, y, &pixels);
        }
    }

    /// Puts the pixels of a block where they belong; what is beyond the picture's edge is left out.
    fn put(&mut self, x: usize, y: usize, pixels: &[u8; 64]) {
        let side = self.side;
        let (left, top) = (x * side, y * side);
        let count = side.min(self.plane.width.saturating_sub(left));
        let rows = self
            .plane
            .data
            .chunks_exact_mut(self.plane.width.max(1))
            .skip(top)
            .take(side);
        for (row, from) in rows.zip(pixels.chunks_exact(side)) {
            if let (Some(to), Some(from)) = (row.get_mut(left..left + count), from.get(..count)) {
                to.copy_from_slice(from);
            }
        }
    }

    fn finish(&mut self) {
        for (i, block) in std::mem::take(&mut self.blocks).iter().enumerate() {
            let end = block.iter().rposition(|value| *value != 0).map_or(0, |last| last + 1);
            self.show(i % self.across.max(1), i / self.across.max(1), block, end);
        }
    }
}

/// The only scan of a picture that has all its channels: each block becomes pixels as it is read.
fn at_once(
    frame: &Frame,
    scan: &Scan<'_>,
    channels: &mut [Channel],
    bits: &mut Bits<'_>,
    restart: usize,
) -> Result<(), Rejected> {
    if scan.channels.len() != frame.components.len() {
        return Err(damaged());
    }
    // A picture of one channel has no units but its blocks.
    let alone = frame.components.len() == 1;
    let (units_across, units_down) = if alone { frame.blocks(0) } else { frame.units() };
    let mut block = [0_i16; 64];
    let mut until_restart = restart;
    for unit_y in 0..units_down as usize {
        for unit_x in 0..units_across as usize {
            if restart > 0 {
                if until_restart == 0 {
                    bits.restart()?;
                    until_restart = restart;
                    channels.iter_mut().for_each(|channel| channel.mean = 0);
                }
                until_restart -= 1;
            }
            for (index, means, others) in &scan.channels {
                let (means, others) = (means.ok_or_else(damaged)?, others.ok_or_else(damaged)?);
                let (Some(channel), Some(component)) = (channels.get_mut(*index), frame.components.get(*index)) else {
                    return Err(damaged());
                };
                let (h, v) = if alone {
                    (1, 1)
                } else {
                    (usize::from(component.h), usize::from(component.v))
                };
                for y in 0..v {
                    for x in 0..h {
                        block.fill(0);
                        channel.mean = channel.mean.wrapping_add(bits.difference(means)?);
                        block[0] = channel.mean as i16;
                        let end = bits.block(others, &mut block)?;
                        channel.show(unit_x * h + x, unit_y * v + y, &block, end);
                    }
                }
            }
        }
    }
    Ok(())
}
