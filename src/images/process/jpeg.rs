//! JPEG: a row of marked segments, then entropy-coded scans.
//!
//! What stays: quantisation and Huffman tables, frame and scan headers, restart intervals, the scans themselves, a
//! JFIF header without its thumbnail, Adobe's APP14 (it tells CMYK and RGB apart) and the ICC profile. All other
//! segments go, and so does what follows the end of the image (second images, maker trailers).

mod bits;
mod idct;
mod scaled;
mod scan;
mod several;

use image::metadata::Orientation;

pub(super) use scaled::{decode as decode_scaled, memory as scaled_memory};
use scan::Scans;

use super::reader::Reader;
use super::{CameraFacts, Limits, Rejected, Stripped, exif_orientation, icc};

/// Progressive files have about ten; each may cost a pass over the whole picture.
const MAX_SCANS: u32 = 100;
const ICC_LABEL: &[u8] = b"ICC_PROFILE\0";

#[derive(Default)]
struct Parts {
    jfif: Vec<u8>,
    adobe: Vec<u8>,
    /// Segment bodies of the profile in file order, label included.
    icc: Vec<Vec<u8>>,
    /// Tables, headers and scans as they were.
    image: Vec<u8>,
    orientation: Option<Orientation>,
    camera: Option<CameraFacts>,
    frame: Option<Frame>,
    scans: u32,
    walked: Scans,
}

/// What the frame header says.
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    progressive: bool,
    components: Vec<Component>,
}

/// A channel, with how many blocks of it a unit has across and down.
struct Component {
    id: u8,
    h: u8,
    v: u8,
}

impl Frame {
    fn read(marker: u8, body: &[u8]) -> Result<Self, Rejected> {
        let mut body = Reader::new(body);
        if body.u8()? != 8 {
            return Err(Rejected::unsupported(
                "Only JPEG images with 8 bits a channel are taken.",
            ));
        }
        let height = u32::from(body.u16_be()?);
        let width = u32::from(body.u16_be()?);
        let count = body.u8()?;
        if !matches!(count, 1 | 3 | 4) {
            return Err(Rejected::unsupported("Only grey, RGB and CMYK JPEG images are taken."));
        }
        let mut components = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let [id, sampling, _table] = body.array()?;
            let (h, v) = (sampling >> 4, sampling & 15);
            if !(1..=4).contains(&h) || !(1..=4).contains(&v) {
                return Err(Rejected::broken("The JPEG header is damaged."));
            }
            components.push(Component { id, h, v });
        }
        Ok(Self {
            width,
            height,
            progressive: marker == 0xc2,
            components,
        })
    }

    pub(super) fn components(&self) -> usize {
        self.components.len()
    }

    fn largest_sampling(&self) -> (u32, u32) {
        let h = self.components.iter().map(|c| c.h).max().unwrap_or(1);
        let v = self.components.iter().map(|c| c.v).max().unwrap_or(1);
        (u32::from(h), u32::from(v))
    }

    /// How many units the picture has across and down.
    fn units(&self) -> (u32, u32) {
        let (h, v) = self.largest_sampling();
        (self.width.div_ceil(8 * h), self.height.div_ceil(8 * v))
    }

    /// How many blocks a component has across and down when it comes alone.
    fn blocks(&self, component: usize) -> (u32, u32) {
        let (h_most, v_most) = self.largest_sampling();
        let (h, v) = self
            .components
            .get(component)
            .map_or((1, 1), |c| (u32::from(c.h), u32::from(c.v)));
        (
            (self.width * h).div_ceil(h_most).div_ceil(8),
            (self.height * v).div_ceil(v_most).div_ceil(8),
        )
    }

    /// Bytes for the pixels, and for all coefficients when several scans fill them in.
    fn memory(&self, scans: u32) -> u64 {
        let channels = if self.components.len() == 1 { 1 } else { 3 };
        let mut bytes = u64::from(self.width) * u64::from(self.height) * channels;
        if self.progressive || scans > 1 {
            let (across, down) = self.units();
            let blocks: u64 = self.components.iter().map(|c| u64::from(c.h) * u64::from(c.v)).sum();
            bytes += u64::from(across) * u64::from(down) * blocks * 64 * 2;
        }
        bytes
    }
}

pub(super) fn strip(data: &[u8], limits: &Limits) -> Result<Stripped, Rejected> {
    let mut parts = Parts::default();
    let mut reader = Reader::new(data);
    reader.take(2)?;
    while let Some(marker) = next_marker(&mut reader)? {
        read_segment(marker, &mut reader, &mut parts, limits)?;
    }
    let frame = parts.frame.ok_or_else(|| Rejected::broken("The JPEG has no frame."))?;
    if !parts.walked.complete() {
        return Err(Rejected::broken("The JPEG lacks some of its channels."));
    }
    limits.check_memory(frame.memory(parts.scans))?;

    let colour = icc_segments(&parts.icc);
    let mut bytes = Vec::with_capacity(parts.image.len() + colour.len() + 64);
    bytes.extend_from_slice(&[0xff, 0xd8]);
    bytes.extend_from_slice(&parts.jfif);
    bytes.extend_from_slice(&parts.adobe);
    bytes.extend_from_slice(&colour);
    bytes.extend_from_slice(&parts.image);
    bytes.extend_from_slice(&[0xff, 0xd9]);
    Ok(Stripped {
        bytes,
        width: frame.width,
        height: frame.height,
        orientation: parts.orientation.unwrap_or(Orientation::NoTransforms),
        animated: false,
        camera: parts.camera,
        // A turned picture is written as RGB, for which the profile of a CMYK one means nothing.
        colour: if frame.components.len() == 4 {
            Vec::new()
        } else {
            colour
        },
    })
}

/// What the frame header of a JPEG says, and whether its coefficients come in several scans.
pub(super) fn frame(data: &[u8]) -> Result<(Frame, bool), Rejected> {
    let mut reader = Reader::new(data);
    reader.take(2)?;
    while let Some(marker) = next_marker(&mut reader)? {
        let length = usize::from(reader.u16_be()?).checked_sub(2);
        let body = reader.take(length.ok_or_else(Rejected::truncated)?)?;
        if let 0xc0..=0xc2 = marker {
            let frame = Frame::read(marker, body)?;
            let kept = frame.progressive || scaled::first_scan(reader.rest()) != frame.components.len();
            return Ok((frame, kept));
        }
    }
    Err(Rejected::broken("The JPEG has no frame."))
}

/// The next marker, or none at the end of the image. Stray bytes between segments, as some cameras leave, are passed
/// over and so dropped. Running out of bytes means that the end of the image is missing.
fn next_marker(reader: &mut Reader<'_>) -> Result<Option<u8>, Rejected> {
    loop {
        while reader.u8()? != 0xff {}
        let mut marker = reader.u8()?;
        while marker == 0xff {
            marker = reader.u8()?;
        }
        match marker {
            0xd9 => return Ok(None),
            0x00 | 0x01 | 0xd0..=0xd7 => {}
            _ => return Ok(Some(marker)),
        }
    }
}

fn read_segment(marker: u8, reader: &mut Reader<'_>, parts: &mut Parts, limits: &Limits) -> Result<(), Rejected> {
    let length = usize::from(reader.u16_be()?);
    let body = reader.take(
        length
            .checked_sub(2)
            .ok_or_else(|| Rejected::broken("A JPEG segment is damaged."))?,
    )?;
    match marker {
        0xc0..=0xc2 => {
            if parts.frame.is_some() {
                return Err(Rejected::broken("The JPEG has two frames."));
            }
            let frame = Frame::read(marker, body)?;
            limits.check_size(frame.width, frame.height)?;
            limits.check_memory(frame.memory(1))?;
            parts.frame = Some(frame);
            push_segment(&mut parts.image, marker, body);
        }
        0xdb => push_segment(&mut parts.image, marker, body),
        0xc4 => {
            parts.walked.tables(body)?;
            push_segment(&mut parts.image, marker, body);
        }
        0xdd => {
            parts.walked.restarts(body)?;
            push_segment(&mut parts.image, marker, body);
        }
        0xda => {
            let Some(frame) = &parts.frame else {
                return Err(Rejected::broken("The JPEG has pixels before its header."));
            };
            parts.scans += 1;
            if parts.scans > MAX_SCANS {
                return Err(Rejected::too_large(format!(
                    "The JPEG has more than {MAX_SCANS} scans."
                )));
            }
            push_segment(&mut parts.image, marker, body);
            let data = scan_data(reader)?;
            parts.walked.scan(frame, body, data)?;
            parts.image.extend_from_slice(data);
        }
        0xe0 if parts.jfif.is_empty() && body.starts_with(b"JFIF\0") && body.len() >= 14 => {
            // Version, unit and density; the thumbnail that may follow is left behind.
            let mut minimal = body.get(..12).unwrap_or_default().to_vec();
            minimal.extend_from_slice(&[0, 0]);
            push_segment(&mut parts.jfif, marker, &minimal);
        }
        0xe1 if parts.orientation.is_none() && body.starts_with(b"Exif\0") => {
            parts.orientation = body.get(6..).map(exif_orientation);
            parts.camera = body.get(6..).and_then(CameraFacts::read);
        }
        0xe2 if body.starts_with(ICC_LABEL) => parts.icc.push(body.to_vec()),
        0xee if parts.adobe.is_empty() && body.starts_with(b"Adobe") && body.len() >= 12 => {
            // The flags (bytes 7 to 10) are of no use to a decoder; only the transform is.
            let mut minimal = body.get(..12).unwrap_or_default().to_vec();
            minimal.get_mut(7..11).unwrap_or_default().fill(0);
            push_segment(&mut parts.adobe, marker, &minimal);
        }
        0xd8 => return Err(Rejected::broken("A JPEG starts within the JPEG.")),
        0xc3 | 0xc5..=0xcf | 0xdc | 0xde | 0xdf => {
            return Err(Rejected::unsupported(
                "This kind of JPEG (lossless, arithmetic, hierarchical) is not taken.",
            ));
        }
        0xe0..=0xfe => {}
        _ => return Err(Rejected::broken("The JPEG holds an unknown segment.")),
    }
    Ok(())
}

/// The entropy-coded bytes up to the next marker that is neither a stuffed zero nor a restart.
fn scan_data<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Rejected> {
    let rest = reader.rest();
    let mut from = 0;
    loop {
        let found = rest
            .get(from..)
            .and_then(|r| r.iter().position(|b| *b == 0xff))
            .ok_or_else(Rejected::truncated)?;
        let at = from + found;
        match rest.get(at + 1) {
            None => return Err(Rejected::truncated()),
            Some(0x00 | 0xd0..=0xd7) => from = at + 2,
            Some(0xff) => from = at + 1,
            Some(_) => return reader.take(at),
        }
    }
}

/// The profile's segments, all or none.
fn icc_segments(bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut chunks: Vec<(u8, &[u8])> = Vec::new();
    for body in bodies {
        let (Some(number), Some(chunk)) = (body.get(12), body.get(14..)) else {
            return Vec::new();
        };
        chunks.push((*number, chunk));
    }
    chunks.sort_by_key(|(number, _)| *number);
    let in_order = chunks
        .iter()
        .zip(1..)
        .all(|((number, _), expected)| i32::from(*number) == expected);
    let mut profile: Vec<u8> = chunks.iter().flat_map(|(_, chunk)| chunk.iter().copied()).collect();
    if !in_order || !icc::clean(&mut profile) {
        return Vec::new();
    }
    let mut out = Vec::with_capacity(profile.len() + bodies.len() * 18);
    let (count, mut rest) = (chunks.len() as u8, profile.as_slice());
    for (number, chunk) in chunks {
        let (own, after) = rest.split_at_checked(chunk.len()).unwrap_or((rest, &[]));
        push_segment(&mut out, 0xe2, &[ICC_LABEL, &[number, count], own].concat());
        rest = after;
    }
    out
}

fn push_segment(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
    // Bodies come out of segments that were no longer than this.
    let length = u16::try_from(body.len() + 2).unwrap_or(u16::MAX);
    out.extend_from_slice(&[0xff, marker]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
}

/// Puts the colour segments into a JPEG of our own making, behind its JFIF header.
pub(super) fn with_colour(encoded: Vec<u8>, colour: &[u8]) -> Vec<u8> {
    let mut at = 2;
    if let Some(&[0xff, 0xe0, high, low]) = encoded.get(2..6).and_then(|b| <&[u8; 4]>::try_from(b).ok()) {
        at = 4 + usize::from(u16::from_be_bytes([high, low]));
    }
    let mut out = encoded;
    if at <= out.len() {
        out.splice(at..at, colour.iter().copied());
    }
    out
}
