//! AVIF: boxes within boxes. The `meta` box lists items (pictures, their alpha, EXIF, XMP) and where their bytes lie.
//!
//! What is checked is the structure, the size the picture claims, and that all bytes of the picture are there. Its
//! pixels are decoded when it is one coded picture; of one that is put together of tiles no variants are made.
//!
//! Stripping keeps every byte in its place, because items are found by their position in the file. `meta` is written
//! again with only the items that the primary picture is made of and filled up to its old length with a `free` box;
//! bytes of the media data that belong to no kept item become zeros; boxes at the top that are not needed become
//! zeroed `free` boxes, or are cut off at the end. Orientation is a property (`irot`, `imir`) that every viewer
//! follows, so it stays.

mod bitstream;
mod decode;
mod meta;

use std::ops::Range;

use image::metadata::Orientation;

use super::reader::Reader;
use super::{CameraFacts, Limits, Rejected, Stripped, blank_except};

pub(super) use decode::{decode, size};

/// Whether the file type box names AVIF. HEIC has the same box with other brands.
pub(super) fn is_avif(data: &[u8]) -> bool {
    if data.get(4..8) != Some(b"ftyp") {
        return false;
    }
    let size = Reader::new(data).u32_be().map_or(0, |size| size as usize);
    let brands = data.get(8..size.min(data.len())).unwrap_or_default();
    // The second word is a version, not a brand.
    brands
        .chunks_exact(4)
        .enumerate()
        .any(|(i, brand)| i != 1 && (brand == b"avif" || brand == b"avis"))
}

/// A box: its kind and the ranges of the whole and of its content.
#[derive(Clone)]
struct Part {
    kind: [u8; 4],
    whole: Range<usize>,
    body: Range<usize>,
}

/// The boxes in a range, up to the first that does not fit into it. `clean` tells whether they filled it.
fn parts(data: &[u8], within: Range<usize>) -> (Vec<Part>, bool) {
    let mut found = Vec::new();
    let mut at = within.start;
    while at < within.end {
        let Some(part) = data.get(at..within.end).and_then(|rest| part(rest, at)) else {
            return (found, false);
        };
        at = part.whole.end;
        found.push(part);
    }
    (found, true)
}

fn part(rest: &[u8], at: usize) -> Option<Part> {
    let mut reader = Reader::new(rest);
    let short = reader.u32_be().ok()?;
    let kind = reader.array().ok()?;
    let (size, header) = match short {
        // To the end of the file.
        0 => (rest.len(), 8),
        1 => (usize::try_from(reader.uint_be(8).ok()?).ok()?, 16),
        size => (size as usize, 8),
    };
    if size < header || size > rest.len() {
        return None;
    }
    Some(Part {
        kind,
        whole: at..at + size,
        body: at + header..at + size,
    })
}

/// The boxes at the top, and what `meta` says of the picture.
fn opened(data: &[u8], limits: &Limits) -> Result<(Vec<Part>, meta::Picture), Rejected> {
    let (top, _) = parts(data, 0..data.len());
    if top.iter().any(|part| part.kind == *b"moov") || data.get(8..12) == Some(b"avis") {
        return Err(Rejected::unsupported(
            "Animated AVIF images are not taken; WebP and GIF animations are.",
        ));
    }
    let mut metas = top.iter().filter(|part| part.kind == *b"meta");
    let (Some(meta), None) = (metas.next(), metas.next()) else {
        return Err(Rejected::truncated());
    };
    let picture = meta::read(data, meta, limits)?;
    Ok((top, picture))
}

pub(super) fn strip(data: &[u8], limits: &Limits) -> Result<Stripped, Rejected> {
    let (top, picture) = opened(data, limits)?;
    let media: Vec<Range<usize>> = top
        .iter()
        .filter(|p| p.kind == *b"mdat")
        .map(|p| p.body.clone())
        .collect();
    for extent in &picture.in_file {
        if !media
            .iter()
            .any(|body| body.start <= extent.start && extent.end <= body.end)
        {
            return Err(Rejected::truncated());
        }
    }

    let mut bytes = data.to_vec();
    let mut end = 0;
    for part in &top {
        match &part.kind {
            b"ftyp" => end = part.whole.end,
            b"meta" => {
                let target = bytes.get_mut(part.whole.clone()).unwrap_or_default();
                if target.len() != picture.meta.len() {
                    return Err(Rejected::broken(
                        "The AVIF is laid out in a way that cannot be cleaned.",
                    ));
                }
                target.copy_from_slice(&picture.meta);
                end = part.whole.end;
            }
            b"mdat" => {
                blank_except(&mut bytes, part.body.clone(), &picture.in_file);
                end = part.whole.end;
            }
            _ => {
                // Kept as room only, so that what follows stays where it is.
                let kind = part.whole.start + 4..part.whole.start + 8;
                bytes.get_mut(kind).unwrap_or_default().copy_from_slice(b"free");
                bytes.get_mut(part.body.clone()).unwrap_or_default().fill(0);
            }
        }
    }
    bytes.truncate(end);
    Ok(Stripped {
        bytes,
        width: picture.width,
        height: picture.height,
        orientation: Orientation::NoTransforms,
        animated: false,
        camera: picture.exif.as_deref().and_then(CameraFacts::read),
        colour: Vec::new(),
    })
}
