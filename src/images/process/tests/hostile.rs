//! What comes from people who mean harm, or from a line that broke.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::containers::*;
use super::*;

#[test]
fn what_is_no_picture_is_unsupported() {
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    let others: [&[u8]; 11] = [
        b"",
        b"\xff",
        b"\x89PN",
        b"GIF8",
        b"RIFF",
        b"words",
        svg,
        heic,
        b"%PDF-1.7",
        b"<!doctype html>",
        b"BM\x46\0\0\0",
    ];
    for data in others {
        assert_eq!(code(data), "unsupported_media_type", "{data:?}");
    }
}

/// Made once: encoding takes longer than what the tests do with them.
static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    vec![
        jpeg(),
        loaded_jpeg(6),
        progressive_jpeg(),
        loaded_png(1),
        apng(3),
        webp_with_exif(6),
        moving_webp(2),
        encode(&corners().into(), ImageFormat::WebP),
        gif(3, 30),
        avif(),
    ]
});

#[test]
fn every_truncation_is_noticed() {
    // Without what may follow the end, so that each cut takes something needed.
    for whole in SAMPLES.iter().map(|data| take(data).unwrap().bytes) {
        let kind = Kind::of(&whole).unwrap();
        for length in 0..whole.len() {
            let found = code(&whole[..length]);
            assert!(
                found == "image_broken" || (found == "unsupported_media_type" && length < 32),
                "{kind:?} cut to {length} of {} is {found}",
                whole.len()
            );
        }
    }
}

#[test]
fn a_cut_jpeg_with_a_forged_end_is_noticed() {
    let noise = RgbImage::from_fn(200, 200, |x, y| {
        Rgb([(x * y) as u8, (x ^ y) as u8, (x * 7 + y * 13) as u8])
    });
    for whole in [encode(&noise.into(), ImageFormat::Jpeg), progressive_jpeg()] {
        assert_eq!(code(&whole), "accepted");
        let data = whole.windows(2).position(|w| w == [0xff, 0xda]).unwrap() + 14;
        for length in (data..whole.len() - 4).step_by(7) {
            let mut cut = whole[..length].to_vec();
            cut.truncate(cut.iter().rposition(|b| *b != 0xff).unwrap() + 1);
            cut.extend_from_slice(&[0xff, 0xd9]);
            // Later scans only sharpen a progressive picture: cut between two, it is whole, if coarse.
            let rest = &whole[cut.len() - 2..];
            let between = rest.starts_with(&[0xff, 0xc4]) || rest.starts_with(&[0xff, 0xda]);
            assert!(
                code(&cut) == "image_broken" || between,
                "cut to {length} of {}",
                whole.len()
            );
        }
    }
}

#[test]
fn a_wrong_checksum_is_noticed() {
    let mut data = loaded_png(1);
    let at = data.windows(4).position(|w| w == b"IDAT").unwrap();
    data[at + 20] ^= 1;
    assert_eq!(code(&data), "image_broken");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn damaged_bytes_never_panic(
        which in 0_usize..10,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut data = SAMPLES[which].clone();
        for (at, value) in flips {
            let at = at.index(data.len());
            data[at] = value;
        }
        // Not through the net that catches panics: there must be none to catch.
        if let Some(kind) = Kind::of(&data) {
            let done = finish(kind, &data, &Limits::default());
            prop_assert!(done.map_or(true, |d| d.width > 0 && d.height > 0));
        }
    }
}

fn quick(data: &[u8]) -> &'static str {
    let start = Instant::now();
    let found = code(data);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    found
}

fn huge_png(width: u32, height: u32, depth: u8) -> Vec<u8> {
    let mut out = png::SIGNATURE.to_vec();
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, 6, 0, 0, 0]].concat();
    out.extend(png_chunk(b"IHDR", &header));
    out.extend(png_chunk(b"IDAT", &zlib(&vec![0; 100_000])));
    out.extend(png_chunk(b"IEND", &[]));
    out
}

#[test]
fn sizes_are_judged_from_the_header() {
    for (data, why) in [
        (huge_png(30_000, 30_000, 8), "sides"),
        (huge_png(12_001, 1, 8), "a side"),
        (huge_png(10_000, 5_001, 8), "pixels"),
        (huge_png(7_000, 7_000, 16), "memory"),
    ] {
        assert_eq!(quick(&data), "image_too_large", "{why}");
    }
    let mut data = jpeg();
    let frame = data.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    data[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    assert_eq!(quick(&data), "image_too_large");
    let mut data = gif(1, 10);
    data[6..10].copy_from_slice(&[0xff; 4]);
    assert_eq!(quick(&data), "image_too_large");
    let mut data = webp_with_exif(1);
    data[24..30].copy_from_slice(&[0xff; 6]);
    assert_eq!(quick(&data), "image_too_large");
    let mut data = avif();
    let at = data.windows(4).position(|w| w == b"ispe").unwrap();
    data[at + 8..at + 16].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    assert_eq!(quick(&data), "image_too_large");
    assert_eq!(quick(&vec![0xff; 20 * 1024 * 1024 + 1]), "image_too_large");
}

#[test]
fn a_webp_cannot_hide_a_large_picture_behind_a_small_header() {
    let mut data = webp_with_exif(1);
    data[24] = 10;
    assert_eq!(quick(&data), "image_broken");
}

#[test]
fn text_and_profiles_that_inflate_cost_nothing() {
    let bomb = zlib(&vec![b'a'; 100 * 1024 * 1024]);
    let named = |head: &[u8]| [head, &bomb].concat();
    let data = png_with(&[
        png_chunk(b"zTXt", &named(b"Comment\0\0")),
        png_chunk(b"iTXt", &named(b"Comment\0\x01\0\0\0")),
        png_chunk(b"iCCP", &named(b"icc\0\0")),
    ]);
    assert_eq!(quick(&data), "accepted");
    assert!(!holds(&take(&data).unwrap().bytes, "iCCP"));
}

#[test]
fn animations_are_bounded_in_all_their_frames_together() {
    // 1000 × 1000 px, each frame a few bytes: a picture area of one pixel is composed onto the whole canvas.
    let one = gif(2, 1);
    let at = one.windows(2).position(|w| w == [0x21, 0xf9]).unwrap();
    let mut data = one[..at].to_vec();
    data[6..10].copy_from_slice(&[0xe8, 0x03, 0xe8, 0x03]);
    let frame = &one[at..one.len() - 1];
    let mut many = data.clone();
    for _ in 0..20_000 {
        many.extend_from_slice(frame);
    }
    many.push(0x3b);
    assert_eq!(quick(&many), "image_too_large");

    let mut webp = moving_webp(2);
    let limits = Limits {
        max_animation_pixels: 64 * 48,
        ..Limits::default()
    };
    assert_eq!(process_bytes(&webp, &limits).unwrap_err().code, "image_too_large");
    assert_eq!(process_bytes(&apng(3), &limits).unwrap_err().code, "image_too_large");
    // A frame outside its canvas.
    let at = webp.windows(4).position(|w| w == b"ANMF").unwrap();
    webp[at + 8] = 60;
    assert_eq!(code(&webp), "image_broken");
}

#[test]
fn a_jpeg_with_very_many_scans_is_refused() {
    let plain = jpeg();
    let scan = plain.windows(2).position(|w| w == [0xff, 0xda]).unwrap();
    let mut data = plain[..scan].to_vec();
    for _ in 0..101 {
        data.extend_from_slice(&plain[scan..plain.len() - 2]);
    }
    data.extend_from_slice(&[0xff, 0xd9]);
    assert_eq!(quick(&data), "image_too_large");
}

#[test]
fn a_profile_that_inflates_is_not_inflated_for_the_size() {
    // 64 MiB of zeros in a few kilobytes, before anything is known of the picture.
    let profile = [&b"a\0\0"[..], &zlib(&vec![0; 64 << 20])].concat();
    let bomb = png_with(&[png_chunk(b"iCCP", &profile)]);
    assert_eq!(decode::size(Kind::Png, &bomb, &Limits::default()).unwrap(), (64, 48));
    assert!(need(&bomb, &Limits::default()) < 1 << 20);
    // A file in very many pieces takes a decoder minutes.
    let pieces = png_with(&vec![png_chunk(b"tEXt", b"a\0b"); 30_000]);
    assert_eq!(take(&pieces).unwrap_err().code, "image_too_large");
}
