//! The odd kinds that originals come in, and what their variants show.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use moxcms::ColorProfile;

use super::containers::{png_chunk, progressive_jpeg, zlib};
use super::variant::VariantFormat;
use super::variants::{made, stored};
use super::*;

/// The pixel in the middle of a variant of full size.
fn middle(upload: &[u8]) -> [u8; 3] {
    let (width, original) = (take(upload).unwrap().width, stored(upload));
    let one = made(&original, width, VariantFormat::Png);
    assert_clean(&one.bytes);
    assert!(!holds(&one.bytes, "iCCP") && !holds(&one.bytes, "eXIf"));
    let image = image::load_from_memory(&one.bytes).unwrap().into_rgb8();
    image.get_pixel(image.width() / 2, image.height() / 2).0
}

fn is_near(got: [u8; 3], wanted: [u8; 3], most: u8) {
    assert!(
        (0..3).all(|i| got[i].abs_diff(wanted[i]) <= most),
        "{got:?} for {wanted:?}"
    );
}

/// One colour in a JPEG, with a profile if there is one.
fn plain_jpeg(pixel: &[u8], kind: ColorType, profile: Option<&ColorProfile>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 95);
    if let Some(profile) = profile {
        encoder.add_icc_profile(&profile.encode().unwrap()).unwrap();
    }
    encoder.encode(&pixel.repeat(48 * 32), 48, 32, kind).unwrap();
    out
}

#[test]
fn four_inks_become_the_colours_they_print() {
    for kind in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        let cyan = plain_jpeg(&[255, 0, 0, 0], kind, None);
        is_near(middle(&cyan), [0, 255, 255], 6);
        let dark_red = plain_jpeg(&[0, 255, 255, 128], kind, None);
        is_near(middle(&dark_red), [127, 0, 0], 6);
    }
    // Without Adobe's mark the numbers mean ink, not paper.
    let adobe = plain_jpeg(&[255, 0, 0, 255], ColorType::Cmyk, None);
    let at = adobe
        .windows(7)
        .position(|w| w.starts_with(&[0xff, 0xee]) && w.ends_with(b"Ado"))
        .unwrap();
    let length = 2 + usize::from(u16::from_be_bytes([adobe[at + 2], adobe[at + 3]]));
    let unmarked = [&adobe[..at], &adobe[at + length..]].concat();
    is_near(middle(&unmarked), [255, 0, 0], 6);
}

#[test]
fn wide_colours_are_brought_into_srgb() {
    let p3 = ColorProfile::new_display_p3();
    // The same numbers in a wider space are a stronger colour.
    let strong = middle(&plain_jpeg(&[180, 90, 60], ColorType::Rgb, Some(&p3)));
    is_near(strong, [193, 84, 49], 5);
    let same = middle(&plain_jpeg(
        &[180, 90, 60],
        ColorType::Rgb,
        Some(&ColorProfile::new_srgb()),
    ));
    is_near(same, [180, 90, 60], 4);
    // A broken profile is as good as none.
    let broken = made(&stored(&loaded_jpeg(1)), 64, VariantFormat::Png);
    assert_eq!(corner_names(&broken.bytes), "rgby");
}

#[test]
fn every_sampling_size_and_restart_of_jpeg_is_read_alike() {
    let image = RgbImage::from_fn(203, 101, |x, y| Rgb([x as u8, (y * 2) as u8, (x + y) as u8 / 2]));
    for sampling in [
        SamplingFactor::F_1_1,
        SamplingFactor::F_2_1,
        SamplingFactor::F_1_2,
        SamplingFactor::F_2_2,
        SamplingFactor::F_4_1,
    ] {
        for (progressive, restart) in [(false, None), (true, None), (false, Some(5)), (true, Some(3))] {
            let mut file = Vec::new();
            let mut encoder = Encoder::new(&mut file, 95);
            encoder.set_sampling_factor(sampling);
            encoder.set_progressive(progressive);
            if let Some(restart) = restart {
                encoder.set_restart_interval(restart);
            }
            encoder.encode(image.as_raw(), 203, 101, ColorType::Rgb).unwrap();
            let original = stored(&file);
            for width in [203, 101, 50, 25] {
                let one = image::load_from_memory(&made(&original, width, VariantFormat::Png).bytes).unwrap();
                let right = image::imageops::resize(&image, width, one.height(), image::imageops::FilterType::Lanczos3);
                let off: u64 = one
                    .into_rgb8()
                    .as_raw()
                    .iter()
                    .zip(right.as_raw())
                    .map(|(a, b)| u64::from(a.abs_diff(*b)))
                    .sum();
                let mean = off as f64 / right.as_raw().len() as f64;
                assert!(mean < 4.0, "{sampling:?} {progressive} {restart:?} {width}: {mean}");
            }
        }
    }
}

#[test]
fn a_progressive_jpeg_of_another_encoder_is_read_as_the_strict_decoder_reads_it() {
    let original = stored(&progressive_jpeg());
    let ours = image::load_from_memory(&made(&original, 64, VariantFormat::Png).bytes)
        .unwrap()
        .into_rgb8();
    let theirs = image::load_from_memory(&original).unwrap().into_rgb8();
    let most = ours
        .as_raw()
        .iter()
        .zip(theirs.as_raw())
        .map(|(a, b)| a.abs_diff(*b))
        .max();
    assert!(most < Some(30), "{most:?}");
}

fn png(depth: u8, kind: u8, interlaced: bool, size: (u32, u32), chunks: &[Vec<u8>], rows: &[u8]) -> Vec<u8> {
    let header = [
        &size.0.to_be_bytes()[..],
        &size.1.to_be_bytes(),
        &[depth, kind, 0, 0, u8::from(interlaced)],
    ]
    .concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        png_chunk(b"IHDR", &header),
        chunks.concat(),
        png_chunk(b"IDAT", &zlib(rows)),
        png_chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn the_odd_kinds_of_png_are_read() {
    let deep = image::ImageBuffer::<Rgb<u16>, _>::from_pixel(9, 9, Rgb([60_000_u16, 300, 30_000]));
    is_near(
        middle(&encode(&DynamicImage::ImageRgb16(deep), ImageFormat::Png)),
        [233, 1, 117],
        1,
    );

    let palette = png_chunk(b"PLTE", &[10, 20, 30, 200, 100, 50]);
    let rows = [0, 1, 1, 1].repeat(3);
    let indexed = png(8, 3, false, (3, 3), std::slice::from_ref(&palette), &rows);
    is_near(middle(&indexed), [200, 100, 50], 0);
    let clear = png(8, 3, false, (3, 3), &[palette, png_chunk(b"tRNS", &[255, 0])], &rows);
    let done = take(&clear).unwrap();
    assert!(done.has_alpha);
    let shown = image::load_from_memory(&made(&done.bytes, 3, VariantFormat::Png).bytes).unwrap();
    assert_eq!(shown.get_pixel(1, 1).0[3], 0);

    // Adam7: for each pass where it starts and in which steps it goes.
    let passes = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ];
    let mut rows = Vec::new();
    for (left, top, across, down) in passes {
        for y in (top..8).step_by(down) {
            rows.push(0);
            rows.extend((left..8).step_by(across).map(|x| (x * 10 + y * 20) as u8));
        }
    }
    let woven = png(8, 0, true, (8, 8), &[], &rows);
    is_near(middle(&woven), [120, 120, 120], 0);
}

#[test]
fn an_avif_is_decoded_and_made_into_variants() {
    let original = stored(&containers::avif());
    for format in [VariantFormat::WebP, VariantFormat::Png] {
        let one = made(&original, 32, format);
        assert_eq!((one.width, one.height), (32, 24));
        assert_clean(&one.bytes);
    }
    // And one of our own, back again.
    let ours = made(&stored(&jpeg()), 64, VariantFormat::Avif);
    let again = take(&ours.bytes).unwrap();
    assert!(!again.has_alpha && again.placeholder.is_some());
    assert_eq!(corner_names(&made(&again.bytes, 64, VariantFormat::Png).bytes), "rgby");
}

#[test]
fn memory_is_judged_before_it_is_taken() {
    let original = stored(&jpeg());
    let one = [variants::wanted(64, VariantFormat::WebP)];
    let with = |max_decode_bytes| {
        let limits = Limits {
            max_decode_bytes,
            ..Limits::default()
        };
        variant::render(&original, &one, &limits).map(drop)
    };
    assert_eq!(with(64 * 48).unwrap_err().code, "image_too_large");
    assert_eq!(with(64 * 48 * 64), Ok(()));
}
