//! Originals of all kinds made into variants.

use image::AnimationDecoder as _;
use image::codecs::webp::WebPDecoder;

use super::variant::{Cut, Rendered, VariantFormat, Wanted, offered_formats, render, size_of};
use super::*;

pub(super) fn wanted(width: u32, format: VariantFormat) -> Wanted {
    Wanted {
        width,
        cut: None,
        format,
    }
}

pub(super) fn made(original: &[u8], width: u32, format: VariantFormat) -> Rendered {
    let all = render(original, &[wanted(width, format)], &Limits::default()).unwrap();
    let [one] = <[Rendered; 1]>::try_from(all).unwrap();
    one
}

/// A stored original: what an upload becomes.
pub(super) fn stored(upload: &[u8]) -> Vec<u8> {
    take(upload).unwrap().bytes.to_vec()
}

#[test]
fn sizes_are_never_enlarged_and_follow_the_shape() {
    let cut = |across, down| Cut {
        ratio: (across, down),
        focal: (0.5, 0.5),
    };
    assert_eq!(size_of(4000, 3000, None, 1280), Some((1280, 960)));
    assert_eq!(size_of(4000, 3000, None, 4000), Some((4000, 3000)));
    assert_eq!(size_of(4000, 3000, None, 4001), None);
    assert_eq!(size_of(4000, 3000, Some(&cut(16, 9)), 1920), Some((1920, 1080)));
    assert_eq!(size_of(4000, 3000, Some(&cut(1, 1)), 3000), Some((3000, 3000)));
    assert_eq!(size_of(4000, 3000, Some(&cut(1, 1)), 3001), None);
    assert_eq!(size_of(1200, 628, Some(&cut(191, 100)), 1199), Some((1199, 628)));
    assert_eq!(size_of(1000, 1, None, 320), Some((320, 1)));
    assert_eq!(size_of(0, 3000, None, 320), None);
    assert_eq!(size_of(4000, 3000, Some(&cut(0, 1)), 320), None);
}

#[test]
fn a_photograph_is_made_smaller_in_every_format_at_once() {
    let formats = offered_formats("image/jpeg", false, false);
    let all: Vec<Wanted> = formats.iter().map(|format| wanted(40, *format)).collect();
    let made = render(&stored(&loaded_jpeg(6)), &all, &Limits::default()).unwrap();
    assert_eq!(made.len(), 3);
    for (one, format) in made.iter().zip(formats) {
        assert_eq!((one.width, one.height, one.media_type), (40, 53, format.media_type()));
        assert_eq!(Kind::of(&one.bytes).unwrap().media_type(), one.media_type);
        assert_clean(&one.bytes);
        if *format != VariantFormat::Avif {
            assert_eq!(corner_names(&one.bytes), "bryg", "{}", one.media_type);
        }
    }
    let never = render(&stored(&jpeg()), &[wanted(65, VariantFormat::Jpeg)], &Limits::default());
    assert_eq!(never.unwrap_err().code, "internal_error");
}

#[test]
fn a_cut_keeps_the_focal_point_in_view() {
    let original = stored(&jpeg());
    // The left half is red over blue, the right half green over yellow.
    for (x, names) in [(0.0, "rrbb"), (1.0, "ggyy"), (f64::NAN, "rgby")] {
        let square = Wanted {
            cut: Some(Cut {
                ratio: (2, 3),
                focal: (x, 0.5),
            }),
            ..wanted(32, VariantFormat::Png)
        };
        let made = render(&original, &[square], &Limits::default()).unwrap();
        assert_eq!((made[0].width, made[0].height), (32, 48));
        assert_eq!(corner_names(&made[0].bytes), names);
    }
}

#[test]
fn what_can_be_seen_through_stays_lossless() {
    let image = RgbaImage::from_fn(90, 60, |x, y| {
        Rgba([x as u8, y as u8, 77, if x < 45 { 255 } else { 90 }])
    });
    let upload = encode(&image.clone().into(), ImageFormat::Png);
    assert!(take(&upload).unwrap().has_alpha);
    assert_eq!(
        offered_formats("image/png", false, true),
        [VariantFormat::WebP, VariantFormat::Png]
    );
    for format in [VariantFormat::WebP, VariantFormat::Png] {
        let same = made(&stored(&upload), 90, format);
        assert_eq!(image::load_from_memory(&same.bytes).unwrap().into_rgba8(), image);
    }
    let jpeg = image::load_from_memory(&made(&stored(&upload), 90, VariantFormat::Jpeg).bytes).unwrap();
    let seen = jpeg.get_pixel(70, 30);
    assert!(near(seen, [190, 176, 192]), "it lies on white: {seen:?}");
    let full = RgbaImage::from_pixel(20, 20, Rgba([1, 2, 3, 255]));
    assert!(!take(&encode(&full.into(), ImageFormat::Png)).unwrap().has_alpha);
}

#[test]
fn an_animation_keeps_moving() {
    for upload in [gif(3, 40), containers::apng(3), containers::moving_webp(3)] {
        let one = made(&stored(&upload), 20, VariantFormat::WebP);
        let decoder = WebPDecoder::new(Cursor::new(&one.bytes)).unwrap();
        assert!(
            decoder.has_animation() || !upload.starts_with(b"GIF"),
            "libwebp merges equal frames"
        );
        if upload.starts_with(b"GIF") {
            let frames = decoder.into_frames().collect_frames().unwrap();
            assert_eq!(frames.len(), 3);
            assert!(frames.iter().all(|frame| frame.delay().numer_denom_ms() == (100, 1)));
            assert!(frames[2].buffer().get_pixel(9, 9).0[0].abs_diff(80) < 12);
            let at = one.bytes.windows(4).position(|w| w == b"ANIM").unwrap();
            assert_eq!(one.bytes[at + 12..at + 14], [0, 0], "it plays for ever");
        }
        assert_clean(&one.bytes);
        let still = made(&stored(&upload), 20, VariantFormat::Jpeg);
        assert_eq!((still.width, still.media_type), (20, "image/jpeg"));
    }
    assert_eq!(offered_formats("image/gif", true, false), [VariantFormat::WebP]);
}
