//! The `meta` box of an AVIF: read, and written again with only what the primary picture is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::super::reader::Reader;
use super::super::{Limits, Rejected, blank_except, icc};
use super::{Part, parts};

/// Properties that say how to show a picture. Others (texts among them) are blanked where they stand, since
/// properties are referred to by their place.
const PROPERTIES: [&[u8; 4]; 15] = [
    b"ispe", b"pixi", b"av1C", b"colr", b"irot", b"imir", b"clap", b"pasp", b"auxC", b"clli", b"mdcv", b"cclv",
    b"amve", b"a1op", b"lsel",
];
const ALPHA: [&[u8]; 2] = [
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0",
    b"urn:mpeg:hevc:2015:auxid:1\0",
];
/// Far above what a 12,000 px grid needs; reading stays quick whatever a file claims. Counts items, the pieces all of
/// them lie in, what they refer to and the places of their properties.
const MAX_ITEMS: usize = 4096;
/// Bytes of what a camera writes, at most; JPEG has no room for more.
const MAX_EXIF: usize = 64 * 1024;
/// A picture has tiles, alpha, and alpha may have tiles: nothing is made of things that are made of more than these.
const MAX_DEPTH: usize = 4;

/// The primary picture and the box that describes nothing else.
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    /// The new box, as long as the old one.
    pub(super) meta: Vec<u8>,
    /// Where the bytes of the kept items lie in the file.
    pub(super) in_file: Vec<Range<usize>>,
    /// What the camera wrote (EXIF, from its TIFF header on).
    pub(super) exif: Option<Vec<u8>>,
    /// How to decode it; none for one that is put together of tiles.
    pub(super) coded: Option<Coded>,
}

/// Where the coded pixels lie, and how they are shown.
pub(super) struct Coded {
    pub(super) colour: Vec<Range<usize>>,
    pub(super) alpha: Vec<Range<usize>>,
    /// Quarter turns against the clock.
    pub(super) turns: u8,
    /// Exchanges top and bottom (0) or left and right (1), after turning.
    pub(super) mirror: Option<u8>,
    /// Only a part of it is shown.
    pub(super) cropped: bool,
    pub(super) icc: Option<Range<usize>>,
    /// What the box says of its colours, which goes before what the pixels say.
    pub(super) named: Option<Named>,
}

/// Colours by their numbers in H.273; 2 is for what is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) primaries: u16,
    pub(super) transfer: u16,
    pub(super) matrix: u16,
    /// Whether black is 0 and white 255, and not 16 and 235.
    pub(super) full: bool,
}

impl Named {
    fn read(colr: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(colr.strip_prefix(b"nclx")?);
        Some(Self {
            primaries: reader.u16_be().ok()?,
            transfer: reader.u16_be().ok()?,
            matrix: reader.u16_be().ok()?,
            full: reader.u8().ok()? & 0x80 != 0,
        })
    }
}

struct Location {
    method: u16,
    /// The item's entry, as it stands in the box.
    raw: Range<usize>,
    extents: Vec<(u64, u64)>,
}

impl Location {
    /// Where the item's pieces lie in the file.
    fn pieces(&self, idat: &Range<usize>, end: usize) -> Result<Vec<Range<usize>>, Rejected> {
        if self.extents.is_empty() {
            return Err(Rejected::truncated());
        }
        let within = if self.method == 1 { idat.clone() } else { 0..end };
        let base = if self.method == 1 { idat.start } else { 0 };
        let piece = |(offset, length): &(u64, u64)| {
            let start = usize::try_from(*offset).ok()?.checked_add(base)?;
            let end = usize::try_from(*length).ok()?.checked_add(start)?;
            (start < end && end <= within.end).then_some(start..end)
        };
        let pieces: Option<Vec<Range<usize>>> = self.extents.iter().map(piece).collect();
        pieces.ok_or_else(Rejected::truncated)
    }
}

struct Locations {
    version: u8,
    /// Everything in the body before the number of items.
    head: Vec<u8>,
    items: BTreeMap<u32, Location>,
}

struct Reference {
    kind: [u8; 4],
    from: u32,
    to: Vec<u32>,
    raw: Range<usize>,
}

/// For each item the places (from 1) of its properties, and the raw entries.
type Associations = BTreeMap<u32, Vec<(usize, Range<usize>)>>;

pub(super) fn read(data: &[u8], meta: &Part, limits: &Limits) -> Result<Picture, Rejected> {
    let children_from = (meta.body.start + 4).min(meta.body.end);
    let (children, clean) = parts(data, children_from..meta.body.end);
    if !clean {
        return Err(damaged());
    }
    let child = |kind: &[u8; 4]| children.iter().find(|part| part.kind == *kind);
    let need = |kind: &[u8; 4]| child(kind).ok_or_else(damaged);
    let (handler, pitm, iloc, iinf, iprp) = (
        need(b"hdlr")?,
        need(b"pitm")?,
        need(b"iloc")?,
        need(b"iinf")?,
        need(b"iprp")?,
    );

    let primary = read_primary(body(data, pitm))?;
    let kinds = read_items(data, iinf)?;
    let locations = read_locations(data, iloc)?;
    let (references_head, references) =
        child(b"iref").map_or_else(|| Ok(Default::default()), |p| read_references(data, p))?;
    let (property_parts, _) = parts(data, iprp.body.clone());
    let ipco = property_parts
        .iter()
        .find(|part| part.kind == *b"ipco")
        .ok_or_else(damaged)?;
    let (properties, _) = parts(data, ipco.body.clone());
    let mut room = MAX_ITEMS * 4;
    let associations = property_parts
        .iter()
        .filter(|part| part.kind == *b"ipma")
        .map(|part| read_associations(data, part, &mut room))
        .collect::<Result<Vec<_>, _>>()?;
    let properties_of = |item: u32| -> Vec<&Part> {
        let places = associations.iter().filter_map(|(_, map)| map.get(&item)).flatten();
        places
            .filter_map(|(place, _)| place.checked_sub(1).and_then(|i| properties.get(i)))
            .collect()
    };

    if !matches!(kinds.get(&primary).map(|(kind, _)| kind), Some(b"av01" | b"grid")) {
        return Err(Rejected::unsupported(
            "The picture in this AVIF is coded in a way that is not taken.",
        ));
    }
    let (width, height) = displayed_size(data, &properties_of(primary), limits)?;

    let says_alpha = |item: u32| {
        properties_of(item).iter().any(|p| {
            p.kind == *b"auxC"
                && body(data, p)
                    .get(4..)
                    .is_some_and(|urn| ALPHA.iter().any(|a| urn.starts_with(a)))
        })
    };
    let auxiliary = references.iter().filter(|reference| reference.kind == *b"auxl");
    let auxiliary: BTreeSet<u32> = auxiliary.map(|reference| reference.from).collect();
    let alphas: BTreeSet<u32> = auxiliary.into_iter().filter(|item| says_alpha(*item)).collect();
    let is_alpha = |item: u32| alphas.contains(&item);
    let mut kept = BTreeSet::from([primary]);
    for depth in 0.. {
        if depth > MAX_DEPTH {
            return Err(damaged());
        }
        let before = kept.len();
        for reference in &references {
            if reference.kind == *b"dimg" && kept.contains(&reference.from) {
                kept.extend(&reference.to);
            } else if reference.kind == *b"auxl"
                && is_alpha(reference.from)
                && reference.to.iter().any(|item| kept.contains(item))
            {
                kept.insert(reference.from);
            }
        }
        if kept.len() == before {
            break;
        }
    }

    let idat = child(b"idat").map_or(0..0, |part| part.body.clone());
    let (mut in_file, mut in_idat) = (Vec::new(), Vec::new());
    let mut lying: BTreeMap<u32, Vec<Range<usize>>> = BTreeMap::new();
    for item in &kept {
        if !matches!(kinds.get(item).map(|(kind, _)| kind), Some(b"av01" | b"grid")) {
            return Err(damaged());
        }
        let location = locations.items.get(item).ok_or_else(damaged)?;
        let pieces = location.pieces(&idat, data.len())?;
        match location.method {
            1 => in_idat.extend(pieces.iter().cloned()),
            _ => in_file.extend(pieces.iter().cloned()),
        }
        lying.insert(*item, pieces);
    }
    // What the camera wrote, of which little is kept and nothing stays in the file: damage to it matters to nobody.
    let described = references
        .iter()
        .filter(|reference| reference.kind == *b"cdsc" && reference.to.contains(&primary));
    let exif = described.map(|reference| reference.from).find_map(|item| {
        let (b"Exif", location) = (&kinds.get(&item)?.0, locations.items.get(&item)?) else {
            return None;
        };
        let pieces = location.pieces(&idat, data.len()).ok()?;
        let size: usize = pieces.iter().map(ExactSizeIterator::len).sum();
        let pieces = pieces
            .into_iter()
            .filter(|_| size <= MAX_EXIF)
            .filter_map(|piece| data.get(piece));
        let block = pieces.flatten().copied().collect::<Vec<u8>>();
        // First how far it is to the block itself.
        let from = Reader::new(&block).u32_be().ok()? as usize;
        block.get(from.checked_add(4)?..).map(<[u8]>::to_vec)
    });

    // Pieces may overlap, and would be more together than the file.
    let all: usize = lying.values().flatten().map(ExactSizeIterator::len).sum();
    if all > data.len() {
        return Err(damaged());
    }

    let alpha = kept.iter().find(|item| is_alpha(**item));
    let single = matches!(kinds.get(&primary).map(|(kind, _)| kind), Some(b"av01"));
    let coded = single.then(|| {
        let shown = properties_of(primary);
        let first = |kind: &[u8; 4]| {
            let part = shown.iter().find(|part| part.kind == *kind)?;
            body(data, part).first().copied()
        };
        Coded {
            colour: lying.get(&primary).cloned().unwrap_or_default(),
            alpha: alpha.and_then(|item| lying.get(item)).cloned().unwrap_or_default(),
            turns: first(b"irot").unwrap_or_default() & 3,
            mirror: first(b"imir").map(|axis| axis & 1),
            cropped: first(b"clap").is_some(),
            icc: shown
                .iter()
                .filter(|part| part.kind == *b"colr")
                .find(|part| matches!(body(data, part).get(..4), Some(b"prof" | b"rICC")))
                .map(|part| part.body.start + 4..part.body.end),
            named: shown
                .iter()
                .filter(|part| part.kind == *b"colr")
                .find_map(|part| Named::read(body(data, part))),
        }
    });

    let mut out = data.get(meta.body.start..children_from).unwrap_or_default().to_vec();
    let handler_body = body(data, handler);
    if handler_body.get(8..12) != Some(b"pict") {
        return Err(damaged());
    }
    let mut new_handler = handler_body.get(..24).ok_or_else(damaged)?.to_vec();
    // The only version there is, and nothing in what is reserved.
    new_handler.iter_mut().take(8).for_each(|byte| *byte = 0);
    new_handler.iter_mut().skip(12).for_each(|byte| *byte = 0);
    // The name behind it is free text.
    new_handler.resize(handler_body.len().min(25), 0);
    let handler_end = out.len() + 8 + new_handler.len();
    push(&mut out, b"hdlr", &new_handler);
    push(&mut out, b"pitm", body(data, pitm));
    push(&mut out, b"iloc", &locations.only(data, &kept));
    push(&mut out, b"iinf", &items_only(data, iinf, &kinds, &kept));
    let mut iref = references_head;
    for reference in &references {
        // Those of other kinds (`cdsc`, `thmb`) tie something that goes to something that stays.
        if kept.contains(&reference.from) && reference.to.iter().all(|item| kept.contains(item)) {
            iref.extend_from_slice(data.get(reference.raw.clone()).unwrap_or_default());
        }
    }
    if iref.len() > 4 {
        push(&mut out, b"iref", &iref);
    }
    let mut new_iprp = Vec::new();
    push(&mut new_iprp, b"ipco", &properties_only(data, &properties));
    for (head, map) in &associations {
        push(&mut new_iprp, b"ipma", &associations_only(data, head, map, &kept));
    }
    push(&mut out, b"iprp", &new_iprp);
    if !in_idat.is_empty() {
        let mut all = data.to_vec();
        blank_except(&mut all, idat.clone(), &in_idat);
        push(&mut out, b"idat", all.get(idat).unwrap_or_default());
    }
    let header = data.get(meta.whole.start..meta.body.start).unwrap_or_default();
    let room = meta.body.len().checked_sub(out.len()).ok_or_else(damaged)?;
    if room >= 8 {
        push(&mut out, b"free", &vec![0; room - 8]);
    } else if room > 0 {
        // Too little for a box: it becomes more zeros behind the handler's empty name.
        out.splice(handler_end..handler_end, std::iter::repeat_n(0, room));
        let size = u32::try_from(handler_end - 4 + room).unwrap_or_default().to_be_bytes();
        out.get_mut(4..8).unwrap_or_default().copy_from_slice(&size);
    }
    Ok(Picture {
        width,
        height,
        meta: [header, &out].concat(),
        in_file,
        exif,
        coded,
    })
}

fn damaged() -> Rejected {
    Rejected::broken("The AVIF is damaged.")
}

fn body<'a>(data: &'a [u8], part: &Part) -> &'a [u8] {
    data.get(part.body.clone()).unwrap_or_default()
}

fn push(out: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    // Boxes come out of a file far below 4 GiB.
    out.extend_from_slice(&u32::try_from(body.len() + 8).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(kind);
    out.extend_from_slice(body);
}

/// Version and flags of a full box.
fn full_box(reader: &mut Reader<'_>) -> Result<(u8, u32), Rejected> {
    let word = reader.u32_be()?;
    Ok(((word >> 24) as u8, word & 0x00ff_ffff))
}

fn item_id(reader: &mut Reader<'_>, wide: bool) -> Result<u32, Rejected> {
    if wide {
        reader.u32_be()
    } else {
        Ok(u32::from(reader.u16_be()?))
    }
}

fn read_primary(body: &[u8]) -> Result<u32, Rejected> {
    let mut reader = Reader::new(body);
    let (version, _) = full_box(&mut reader)?;
    item_id(&mut reader, version > 0)
}

/// The type of each item and its entry.
fn read_items(data: &[u8], iinf: &Part) -> Result<BTreeMap<u32, ([u8; 4], Part)>, Rejected> {
    let version = body(data, iinf).first().copied().ok_or_else(damaged)?;
    let from = iinf.body.start + if version == 0 { 6 } else { 8 };
    let (entries, clean) = parts(data, from.min(iinf.body.end)..iinf.body.end);
    if !clean || entries.len() > MAX_ITEMS {
        return Err(damaged());
    }
    let mut items = BTreeMap::new();
    for entry in entries {
        let mut reader = Reader::new(body(data, &entry));
        let (version, _) = full_box(&mut reader)?;
        if entry.kind != *b"infe" || !(2..=3).contains(&version) {
            return Err(damaged());
        }
        let id = item_id(&mut reader, version == 3)?;
        let protected = reader.u16_be()?;
        let kind = reader.array()?;
        if protected != 0 || items.insert(id, (kind, entry)).is_some() {
            return Err(damaged());
        }
    }
    Ok(items)
}

fn items_only(data: &[u8], iinf: &Part, kinds: &BTreeMap<u32, ([u8; 4], Part)>, kept: &BTreeSet<u32>) -> Vec<u8> {
    let version = body(data, iinf).first().copied().unwrap_or_default();
    let mut out = body(data, iinf).get(..4).unwrap_or_default().to_vec();
    push_count(&mut out, kept.len(), version > 0);
    for (_, entry) in kept.iter().filter_map(|id| kinds.get(id)) {
        let old = body(data, entry);
        let fixed = if old.first() == Some(&3) { 14 } else { 12 };
        // The name behind the type is free text; an empty one is enough.
        let mut new = old.get(..fixed.min(old.len())).unwrap_or_default().to_vec();
        new.resize(old.len().min(fixed + 1), 0);
        push(&mut out, b"infe", &new);
    }
    out
}

fn push_count(out: &mut Vec<u8>, count: usize, wide: bool) {
    let count = u32::try_from(count).unwrap_or_default().to_be_bytes();
    out.extend_from_slice(if wide { &count } else { &count[2..] });
}

fn read_locations(data: &[u8], iloc: &Part) -> Result<Locations, Rejected> {
    let all = body(data, iloc);
    let mut reader = Reader::new(all);
    let (version, _) = full_box(&mut reader)?;
    let (sizes, more) = (reader.u8()?, reader.u8()?);
    let (offset_size, length_size, base_size) = (sizes >> 4, sizes & 15, more >> 4);
    let index_size = if version > 0 { more & 15 } else { 0 };
    if version > 2
        || [offset_size, length_size, base_size, index_size]
            .iter()
            .any(|s| !matches!(s, 0 | 4 | 8))
    {
        return Err(damaged());
    }
    let head = all.get(..6).unwrap_or_default().to_vec();
    let count = item_id(&mut reader, version == 2)? as usize;
    if count > MAX_ITEMS {
        return Err(damaged());
    }
    let mut items = BTreeMap::new();
    let mut pieces = 0;
    for _ in 0..count {
        let start = iloc.body.end - reader.rest().len();
        let id = item_id(&mut reader, version == 2)?;
        let method = if version > 0 { reader.u16_be()? & 15 } else { 0 };
        let other_file = reader.u16_be()?;
        let base = reader.uint_be(usize::from(base_size))?;
        let extent_count = usize::from(reader.u16_be()?);
        let mut extents = Vec::new();
        for _ in 0..extent_count {
            reader.take(usize::from(index_size))?;
            let offset = reader.uint_be(usize::from(offset_size))?;
            let length = reader.uint_be(usize::from(length_size))?;
            extents.push((base.checked_add(offset).ok_or_else(damaged)?, length));
            // With no sizes an extent takes no bytes, and a count of 65,535 would be free for the sender.
            pieces += 1;
            if pieces > MAX_ITEMS {
                return Err(damaged());
            }
        }
        let raw = start..iloc.body.end - reader.rest().len();
        if other_file != 0 || method > 1 || items.insert(id, Location { method, raw, extents }).is_some() {
            return Err(damaged());
        }
    }
    Ok(Locations { version, head, items })
}

impl Locations {
    fn only(&self, data: &[u8], kept: &BTreeSet<u32>) -> Vec<u8> {
        let mut out = self.head.clone();
        push_count(&mut out, kept.len(), self.version == 2);
        for location in kept.iter().filter_map(|id| self.items.get(id)) {
            out.extend_from_slice(data.get(location.raw.clone()).unwrap_or_default());
        }
        out
    }
}

fn read_references(data: &[u8], iref: &Part) -> Result<(Vec<u8>, Vec<Reference>), Rejected> {
    let head = body(data, iref).get(..4).ok_or_else(damaged)?.to_vec();
    let wide = head.first() != Some(&0);
    let (entries, clean) = parts(data, iref.body.start + 4..iref.body.end);
    if !clean || entries.len() > MAX_ITEMS {
        return Err(damaged());
    }
    let mut references = Vec::new();
    let mut named = 0;
    for entry in entries {
        let mut reader = Reader::new(body(data, &entry));
        let from = item_id(&mut reader, wide)?;
        let count = reader.u16_be()?;
        named += usize::from(count);
        if named > MAX_ITEMS * 4 {
            return Err(damaged());
        }
        let to = (0..count)
            .map(|_| item_id(&mut reader, wide))
            .collect::<Result<_, _>>()?;
        references.push(Reference {
            kind: entry.kind,
            from,
            to,
            raw: entry.whole,
        });
    }
    Ok((head, references))
}

/// `room` is how many boxes, items and places there may be in all.
fn read_associations(data: &[u8], ipma: &Part, room: &mut usize) -> Result<(Vec<u8>, Associations), Rejected> {
    let mut take = |count: usize| -> Result<(), Rejected> {
        *room = room.checked_sub(count).ok_or_else(damaged)?;
        Ok(())
    };
    take(1)?;
    let mut reader = Reader::new(body(data, ipma));
    let (version, flags) = full_box(&mut reader)?;
    let head = body(data, ipma).get(..4).unwrap_or_default().to_vec();
    let mut map = Associations::new();
    for _ in 0..reader.u32_be()? {
        let start = ipma.body.end - reader.rest().len();
        let item = item_id(&mut reader, version > 0)?;
        let mut places = Vec::new();
        let count = reader.u8()?;
        take(usize::from(count) + 1)?;
        for _ in 0..count {
            let place = if flags & 1 != 0 {
                reader.u16_be()? & 0x7fff
            } else {
                u16::from(reader.u8()? & 0x7f)
            };
            places.push(usize::from(place));
        }
        let raw = start..ipma.body.end - reader.rest().len();
        if map
            .insert(item, places.into_iter().map(|place| (place, raw.clone())).collect())
            .is_some()
        {
            return Err(damaged());
        }
    }
    Ok((head, map))
}

fn associations_only(data: &[u8], head: &[u8], map: &Associations, kept: &BTreeSet<u32>) -> Vec<u8> {
    let entries: Vec<_> = kept
        .iter()
        .filter_map(|id| map.get(id))
        .filter_map(|places| places.first())
        .collect();
    let mut out = head.to_vec();
    push_count(&mut out, entries.len(), true);
    for (_, raw) in entries {
        out.extend_from_slice(data.get(raw.clone()).unwrap_or_default());
    }
    out
}

fn properties_only(data: &[u8], properties: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    for property in properties {
        let content = body(data, property);
        match colours(property, content) {
            Some(content) => push(&mut out, &property.kind, &content),
            None => push(&mut out, b"free", &vec![0; content.len()]),
        }
    }
    out
}

/// A property as it may stay: one that is known, and of a colour profile what says how colours are meant.
fn colours(property: &Part, content: &[u8]) -> Option<Vec<u8>> {
    if !PROPERTIES.contains(&&property.kind) || content.len() > icc::MAX_BYTES {
        return None;
    }
    let mut content = content.to_vec();
    if property.kind == *b"colr" && matches!(content.first_chunk(), Some(b"prof" | b"rICC")) {
        content.get_mut(4..).is_some_and(icc::clean).then_some(content)
    } else {
        Some(content)
    }
}

/// The size after cropping and turning, as a viewer shows it.
fn displayed_size(data: &[u8], properties: &[&Part], limits: &Limits) -> Result<(u32, u32), Rejected> {
    let find = |kind: &[u8; 4]| {
        properties
            .iter()
            .find(|part| part.kind == *kind)
            .map(|part| body(data, part))
    };
    let mut size = Reader::new(find(b"ispe").ok_or_else(damaged)?);
    size.take(4)?;
    let (mut width, mut height) = (size.u32_be()?, size.u32_be()?);
    limits.check_size(width, height)?;
    if let Some(crop) = find(b"clap") {
        let mut crop = Reader::new(crop);
        let (width_n, width_d, height_n, height_d) = (crop.u32_be()?, crop.u32_be()?, crop.u32_be()?, crop.u32_be()?);
        let cropped = (width_n.checked_div(width_d), height_n.checked_div(height_d));
        if let (Some(w @ 1..), Some(h @ 1..)) = cropped {
            (width, height) = (w.min(width), h.min(height));
        }
    }
    let turns = find(b"irot").and_then(<[u8]>::first).copied().unwrap_or_default() & 3;
    Ok(if turns % 2 == 1 {
        (height, width)
    } else {
        (width, height)
    })
}
