//! Colour profiles (ICC.1:2022) as they may stay in a picture: what their numbers mean, and nothing about the screen,
//! the camera or the person they were made for.
//!
//! Everything keeps its place and the profile its length, since some formats find things by their position. Tags that do
//! not say how colours are meant go out of the table, what no kept tag covers becomes zeros, and so do names and texts.

use std::ops::Range;

/// Profiles above this size are dropped: real ones are a few kilobytes, a few printing profiles reach 3 MiB.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;
const HEADER: usize = 128;
const ENTRY: usize = 12;
/// Real profiles have some twenty.
const MAX_TAGS: usize = 100;
/// Tags that colours are computed with, and two texts that there have to be.
const KEPT: [&[u8; 4]; 36] = [
    b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"wtpt", b"bkpt", b"chad", b"chrm", b"cicp",
    b"A2B0", b"A2B1", b"A2B2", b"A2B3", b"B2A0", b"B2A1", b"B2A2", b"B2A3", b"D2B0", b"D2B1", b"D2B2", b"D2B3",
    b"B2D0", b"B2D1", b"B2D2", b"B2D3", b"gamt", b"lumi", b"clro", b"pre0", b"pre1", b"pre2", DESC, CPRT,
];
const DESC: &[u8; 4] = b"desc";
const CPRT: &[u8; 4] = b"cprt";
/// In the header: when it was made, who made the device, which device, who made the profile, and the checksum that does
/// not hold any more.
const NAMES: [Range<usize>; 4] = [24..36, 48..56, 80..84, 84..100];

/// Whether these bytes may be a profile.
pub(super) fn is_profile(bytes: &[u8]) -> bool {
    bytes.len() <= MAX_BYTES && bytes.get(36..40) == Some(b"acsp")
}

/// Cleans a profile in its place. False when it is none, or damaged: then it is nobody's colour.
pub(super) fn clean(profile: &mut [u8]) -> bool {
    is_profile(profile) && cleaned(profile).is_some()
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(word.try_into().ok()?) as usize)
}

fn cleaned(profile: &mut [u8]) -> Option<()> {
    // What stands behind its own end is not part of it.
    let size = word(profile, 0)?.min(profile.len());
    let count = word(profile, HEADER).filter(|count| (1..=MAX_TAGS).contains(count))?;
    let table = HEADER + 4..HEADER + 4 + count * ENTRY;
    let mut entries = Vec::new();
    let mut kept: Vec<Range<usize>> = Vec::new();
    for entry in profile.get(table.clone())?.as_chunks::<ENTRY>().0 {
        let (start, length) = (word(entry, 4)?, word(entry, 8)?);
        let data = start..start.checked_add(length)?;
        if data.start < table.end || data.end > size {
            return None;
        }
        if KEPT.iter().any(|name| entry.starts_with(*name)) {
            entries.push(*entry);
            kept.push(data);
        }
    }
    for range in NAMES {
        profile.get_mut(range)?.fill(0);
    }
    for (entry, data) in entries.iter().zip(&kept) {
        if entry.starts_with(DESC) || entry.starts_with(CPRT) {
            without_text(profile.get_mut(data.clone())?);
        }
    }
    // The kept entries move up, and those that are left behind are blank.
    let mut new_table = u32::try_from(entries.len()).ok()?.to_be_bytes().to_vec();
    new_table.extend(entries.iter().flatten());
    new_table.resize(4 + count * ENTRY, 0);
    profile.get_mut(HEADER..table.end)?.copy_from_slice(&new_table);
    let everything = table.end..profile.len();
    super::blank_except(profile, everything, &kept);
    Some(())
}

/// Blanks the words of a text: of the old kinds behind their length, of many languages behind the list of them.
fn without_text(text: &mut [u8]) {
    let from = match text.first_chunk() {
        Some(b"desc") => 12,
        Some(b"mluc") => {
            let records = word(text, 8).unwrap_or_default();
            records.saturating_mul(12).saturating_add(16)
        }
        _ => 8,
    };
    text.get_mut(from..).unwrap_or_default().fill(0);
}

#[cfg(test)]
mod tests {
    use moxcms::ColorProfile;

    use super::*;

    fn holds(bytes: &[u8], text: &[u8]) -> bool {
        bytes.windows(text.len()).any(|part| part == text)
    }

    /// Display P3 with a tag more, as macOS writes it for a screen, and something behind its end.
    fn of_a_screen() -> Vec<u8> {
        let mut profile = ColorProfile::new_display_p3().encode().expect("a profile");
        let tags = word(&profile, HEADER).expect("a count");
        let table_end = HEADER + 4 + tags * ENTRY;
        // Everything behind the table moves by one entry.
        for at in 0..tags {
            let at = HEADER + 4 + at * ENTRY + 4;
            let moved = (word(&profile, at).expect("a place") + ENTRY) as u32;
            profile[at..at + 4].copy_from_slice(&moved.to_be_bytes());
        }
        profile[HEADER..HEADER + 4].copy_from_slice(&(tags as u32 + 1).to_be_bytes());
        let secret = b"mmod\0\0\0\0SERIAL-4711";
        let mut entry = b"mmod".to_vec();
        entry.extend(((profile.len() + ENTRY) as u32).to_be_bytes());
        entry.extend((secret.len() as u32).to_be_bytes());
        profile.splice(table_end..table_end, entry);
        profile.extend(secret);
        let size = profile.len() as u32;
        profile[..4].copy_from_slice(&size.to_be_bytes());
        profile[48..56].copy_from_slice(b"APPLSCRN");
        profile.extend(b"Hanoi, 21.0285 N");
        profile
    }

    #[test]
    fn colours_stay_and_names_go() {
        let mut profile = of_a_screen();
        let before = profile.clone();
        assert!(holds(&before, b"SERIAL-4711"));
        assert!(clean(&mut profile));
        assert_eq!(profile.len(), before.len());
        for secret in [&b"SERIAL-4711"[..], b"mmod", b"SCRN", b"Hanoi"] {
            assert!(!holds(&profile, secret), "{}", String::from_utf8_lossy(secret));
        }
        let (clean, given) = (
            ColorProfile::new_from_slice(&profile).expect("a profile"),
            ColorProfile::new_from_slice(&before).expect("a profile"),
        );
        assert_eq!(clean.red_colorant, given.red_colorant);
        assert_eq!(clean.white_point, given.white_point);
        assert!(clean.red_trc.is_some());
    }

    #[test]
    fn what_is_no_profile_is_dropped() {
        for cut in [0, 40, HEADER, HEADER + 3, HEADER + 20, 300] {
            let mut profile = of_a_screen();
            profile.truncate(cut);
            assert!(!clean(&mut profile), "{cut} bytes");
        }
        let mut many = of_a_screen();
        many[HEADER..HEADER + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(!clean(&mut many));
    }
}
