//! What a camera wrote about the moment of the picture: the few facts a photo desk asks for, out of its EXIF block.
//!
//! Only named fields are read. Location, owner, serial numbers, maker notes and thumbnails have fields of their own,
//! which are never looked at, so that they cannot come out by mistake.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rejected;
use super::reader::Reader;

/// Names of cameras and lenses are some twenty characters; a longer text is something else.
const MAX_TEXT: usize = 80;
/// A directory has some sixty entries; a longer one is a trap.
const MAX_ENTRIES: u16 = 1000;

/// How the picture was taken, as the camera says. For people at the desk only: it is in nothing that is served.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct CameraFacts {
    /// When the shutter was released, on the camera's own clock; with its offset from UTC where the camera knew it.
    #[schema(example = "2026-03-14T18:05:09+07:00")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<String>,
    /// Who made the camera.
    #[schema(example = "FUJIFILM")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make: Option<String>,
    /// Which camera.
    #[schema(example = "X-T5")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Which lens.
    #[schema(example = "XF23mmF1.4 R LM WR")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lens: Option<String>,
    /// Exposure time in seconds, as photographers write it.
    #[schema(example = "1/250")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure_time: Option<String>,
    /// Aperture as an f-number.
    #[schema(example = 2.8)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f_number: Option<f64>,
    /// Sensitivity.
    #[schema(example = 400)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iso: Option<u32>,
    /// Focal length in millimetres.
    #[schema(example = 23.0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focal_length_mm: Option<f64>,
}

impl CameraFacts {
    /// Reads the facts of an EXIF block, which starts with its TIFF header. None when it holds none of them.
    ///
    /// A block that is damaged gives what was read before the damage: it is not worth refusing a picture for.
    pub(super) fn read(tiff: &[u8]) -> Option<Self> {
        let mut facts = Self::default();
        let _ = facts.fill(tiff);
        (facts != Self::default()).then_some(facts)
    }

    fn fill(&mut self, tiff: &[u8]) -> Result<(), Rejected> {
        let mut header = Reader::new(tiff);
        let little = match &header.array()? {
            b"II" => true,
            b"MM" => false,
            _ => return Err(Rejected::broken("no TIFF")),
        };
        let block = Block { tiff, little };
        if block.u16(&mut header)? != 42 {
            return Err(Rejected::broken("no TIFF"));
        }
        let first = block.u32(&mut header)?;
        let mut more = None;
        let mut changed = None;
        block.directory(first, |tag, entry| match tag {
            0x010f => self.make = entry.text(),
            0x0110 => self.model = entry.text(),
            0x0132 => changed = entry.text(),
            0x8769 => more = entry.number(),
            _ => {}
        })?;
        let (mut taken, mut offset) = (None, None);
        if let Some(at) = more {
            block.directory(at, |tag, entry| match tag {
                0x829a => self.exposure_time = entry.rational().and_then(exposure),
                0x829d => self.f_number = entry.rational().and_then(decimal),
                0x8827 => self.iso = entry.number().filter(|iso| *iso > 0),
                0x9003 => taken = entry.text(),
                0x9011 => offset = entry.text(),
                0x920a => self.focal_length_mm = entry.rational().and_then(decimal),
                0xa434 => self.lens = entry.text(),
                _ => {}
            })?;
        }
        self.taken_at = taken.or(changed).and_then(|at| moment(&at, offset.as_deref()));
        Ok(())
    }
}

struct Block<'a> {
    tiff: &'a [u8],
    little: bool,
}

struct Entry<'a> {
    block: &'a Block<'a>,
    kind: u16,
    /// The value itself when it has four bytes or fewer, or what its offset points at.
    value: &'a [u8],
}

impl<'a> Block<'a> {
    fn u16(&self, reader: &mut Reader<'_>) -> Result<u16, Rejected> {
        if self.little { reader.u16_le() } else { reader.u16_be() }
    }

    fn u32(&self, reader: &mut Reader<'_>) -> Result<u32, Rejected> {
        if self.little { reader.u32_le() } else { reader.u32_be() }
    }

    fn directory(&'a self, at: u32, mut take: impl FnMut(u16, Entry<'a>)) -> Result<(), Rejected> {
        let mut reader = Reader::new(self.tiff.get(at as usize..).ok_or_else(Rejected::truncated)?);
        let count = self.u16(&mut reader)?.min(MAX_ENTRIES);
        for _ in 0..count {
            let (tag, kind) = (self.u16(&mut reader)?, self.u16(&mut reader)?);
            let count = self.u32(&mut reader)? as usize;
            let place = reader.take(4)?;
            let size = match kind {
                1 | 2 | 7 => 1,
                3 => 2,
                4 => 4,
                5 => 8,
                _ => continue,
            };
            let Some(length) = count.checked_mul(size) else {
                continue;
            };
            let value = if length <= 4 {
                place.get(..length)
            } else {
                let from = self.u32(&mut Reader::new(place))? as usize;
                from.checked_add(length).and_then(|to| self.tiff.get(from..to))
            };
            if let Some(value) = value {
                let block = self;
                take(tag, Entry { block, kind, value });
            }
        }
        Ok(())
    }
}

impl Entry<'_> {
    /// Text up to its closing zero, if it is one that can be shown.
    fn text(&self) -> Option<String> {
        let bytes = self.value.split(|byte| *byte == 0).next()?;
        let text = std::str::from_utf8(bytes).ok()?.trim();
        let shown = self.kind == 2
            && !text.is_empty()
            && text.chars().count() <= MAX_TEXT
            && !text.chars().any(char::is_control);
        shown.then(|| text.to_owned())
    }

    fn number(&self) -> Option<u32> {
        let mut reader = Reader::new(self.value);
        match self.kind {
            3 => self.block.u16(&mut reader).ok().map(u32::from),
            4 => self.block.u32(&mut reader).ok(),
            _ => None,
        }
    }

    fn rational(&self) -> Option<(u32, u32)> {
        let mut reader = Reader::new(self.value);
        let value = (self.block.u32(&mut reader).ok()?, self.block.u32(&mut reader).ok()?);
        (self.kind == 5 && value.0 > 0 && value.1 > 0).then_some(value)
    }
}

/// `1/250` for what is shorter than a third of a second, `2.5` for what is longer.
fn exposure(value: (u32, u32)) -> Option<String> {
    let seconds = f64::from(value.0) / f64::from(value.1);
    if seconds < 0.3 {
        Some(format!("1/{}", (1.0 / seconds).round()))
    } else {
        decimal(value).map(|seconds| seconds.to_string())
    }
}

/// A fraction to one digit, which is as exact as cameras mean it.
fn decimal((over, under): (u32, u32)) -> Option<f64> {
    let value = (f64::from(over) / f64::from(under) * 10.0).round() / 10.0;
    (value > 0.0).then_some(value)
}

/// EXIF writes `2026:03:14 18:05:09`, and a clock that was never set as zeros or blanks.
fn moment(text: &str, offset: Option<&str>) -> Option<String> {
    let at = chrono::NaiveDateTime::parse_from_str(text, "%Y:%m:%d %H:%M:%S").ok()?;
    let at = at.format("%Y-%m-%dT%H:%M:%S").to_string();
    let with_offset = offset.map(|offset| format!("{at}{offset}"));
    Some(
        with_offset
            .filter(|full| chrono::DateTime::parse_from_rfc3339(full).is_ok())
            .unwrap_or(at),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(tag: u16, kind: u16, count: u32, value: [u8; 4]) -> Vec<u8> {
        [
            &tag.to_le_bytes()[..],
            &kind.to_le_bytes(),
            &count.to_le_bytes(),
            &value,
        ]
        .concat()
    }

    /// A block with make, model, owner, serial number and position, and the exposure, as a camera writes it.
    pub(crate) fn block() -> Vec<u8> {
        let mut data: Vec<u8> = Vec::new();
        let start = 8 + (2 + 4 * 12 + 4) + (2 + 8 * 12 + 4);
        let mut put = |bytes: &[u8]| {
            let at = u32::try_from(start + data.len()).unwrap();
            data.extend_from_slice(bytes);
            at.to_le_bytes()
        };
        let first = [
            entry(0x010f, 2, 9, put(b"FUJIFILM\0")),
            entry(0x0110, 2, 5, put(b"X-T5\0")),
            entry(0x8769, 4, 1, 62_u32.to_le_bytes()),
            entry(0x8825, 4, 1, put(b"GPS-10.7769N")),
        ]
        .concat();
        let second = [
            entry(0x829a, 5, 1, put(&[10, 0, 0, 0, 0xc4, 9, 0, 0])),
            entry(0x829d, 5, 1, put(&[28, 0, 0, 0, 10, 0, 0, 0])),
            entry(0x8827, 3, 1, [0x90, 1, 0, 0]),
            entry(0x9003, 2, 20, put(b"2026:03:14 18:05:09\0")),
            entry(0x9011, 2, 7, put(b"+07:00\0")),
            entry(0xa430, 2, 12, put(b"Owner-Secret")),
            entry(0xa431, 2, 12, put(b"Serial-4711\0")),
            entry(0xa434, 2, 9, put(b"XF23mmF14")),
        ]
        .concat();
        [
            b"II\x2a\0\x08\0\0\0\x04\0".to_vec(),
            first,
            vec![0; 4],
            vec![8, 0],
            second,
            vec![0; 4],
            data,
        ]
        .concat()
    }

    #[test]
    fn the_facts_are_read_and_nothing_else() {
        let facts = CameraFacts::read(&block()).unwrap();
        assert_eq!(facts.taken_at.as_deref(), Some("2026-03-14T18:05:09+07:00"));
        assert_eq!(facts.make.as_deref(), Some("FUJIFILM"));
        assert_eq!(facts.model.as_deref(), Some("X-T5"));
        assert_eq!(facts.lens.as_deref(), Some("XF23mmF14"));
        assert_eq!(facts.exposure_time.as_deref(), Some("1/250"));
        assert_eq!((facts.f_number, facts.iso), (Some(2.8), Some(400)));
        let all = serde_json::to_string(&facts).unwrap();
        for secret in ["GPS", "Owner", "4711"] {
            assert!(!all.contains(secret), "{all}");
        }
    }

    #[test]
    fn damage_anywhere_is_no_panic_and_no_nonsense() {
        let whole = block();
        for length in 0..whole.len() {
            let _ = CameraFacts::read(&whole[..length]);
        }
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 0xff;
            if let Some(facts) = CameraFacts::read(&bent) {
                assert!(facts.make.is_none_or(|make| make.chars().count() <= MAX_TEXT));
            }
        }
        assert_eq!(CameraFacts::read(b""), None);
        assert_eq!(moment("0000:00:00 00:00:00", None), None);
        assert_eq!(
            moment("2026:03:14 18:05:09", Some("odd")).as_deref(),
            Some("2026-03-14T18:05:09")
        );
    }
}
