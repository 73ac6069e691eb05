use std::io::Cursor;
use std::time::{Duration, Instant};

use image::codecs::gif::GifEncoder;
use image::{
    Delay, DynamicImage, Frame, GenericImageView as _, GrayImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage,
};

use super::*;

mod containers;
mod hostile;
mod kinds;
mod variants;

/// Planted wherever a format has room for words; none may come out.
pub(super) const PLANTED: [&str; 7] = [
    "GPS-10.7769N",
    "Camera-X100",
    "Serial-4711",
    "MakerNote!",
    "xmp-secret",
    "iptc-secret",
    "thumb-secret",
];

pub(super) fn take(data: &[u8]) -> Result<Processed, Rejected> {
    process_bytes(data, &Limits::default())
}

pub(super) fn code(data: &[u8]) -> &'static str {
    take(data).map_or_else(|rejected| rejected.code, |_| "accepted")
}

pub(super) fn holds(data: &[u8], word: &str) -> bool {
    data.windows(word.len()).any(|window| window == word.as_bytes())
}

pub(super) fn assert_clean(data: &[u8]) {
    for word in PLANTED {
        assert!(!holds(data, word), "{word} is still there");
    }
}

/// Red, green, blue, yellow corners (in reading order) on a picture that is wider than high.
pub(super) fn corners() -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| match (x < 32, y < 24) {
        (true, true) => Rgb([230, 20, 20]),
        (false, true) => Rgb([20, 200, 20]),
        (true, false) => Rgb([20, 20, 230]),
        (false, false) => Rgb([230, 230, 20]),
    })
}

pub(super) fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Vec::new();
    image.write_to(&mut Cursor::new(&mut out), format).unwrap();
    out
}

pub(super) fn jpeg() -> Vec<u8> {
    encode(&corners().into(), ImageFormat::Jpeg)
}

pub(super) fn gif(frames: u32, side: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut out, 30);
    encoder.set_repeat(image::codecs::gif::Repeat::Infinite).unwrap();
    for i in 0..frames {
        let shade = (i * 40 % 256) as u8;
        let image = RgbaImage::from_pixel(side, side, Rgba([shade, 0, 200, 255]));
        encoder
            .encode_frame(Frame::from_parts(image, 0, 0, Delay::from_numer_denom_ms(100, 1)))
            .unwrap();
    }
    drop(encoder);
    out
}

/// A TIFF block with the orientation and all the planted words behind it.
pub(super) fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    tiff.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0, 0]);
    tiff.extend_from_slice(PLANTED.join(" ").as_bytes());
    tiff
}

pub(super) fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker][..], &length, body].concat()
}

/// A colour profile with something behind its end.
fn profile() -> Vec<u8> {
    [
        moxcms::ColorProfile::new_srgb().encode().unwrap(),
        b"Serial-4711".to_vec(),
    ]
    .concat()
}

/// A JPEG with everything a camera and an agency would add.
pub(super) fn loaded_jpeg(orientation: u8) -> Vec<u8> {
    let plain = jpeg();
    let icc = profile();
    let mut out = plain[..2].to_vec();
    out.extend(segment(0xe1, &[&b"Exif\0\0"[..], &exif(orientation)].concat()));
    out.extend(segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x>xmp-secret</x>"));
    let extended = [
        &b"http://ns.adobe.com/xmp/extension/\0"[..],
        &[b'0'; 32],
        &[0; 8],
        b"xmp-secret",
    ]
    .concat();
    out.extend(segment(0xe1, &extended));
    out.extend(segment(0xe0, b"JFXX\0\x10thumb-secret"));
    out.extend(segment(0xe2, &[&b"ICC_PROFILE\0\x01\x01"[..], &icc].concat()));
    out.extend(segment(0xe2, b"MPF\0Serial-4711"));
    out.extend(segment(0xed, b"Photoshop 3.0\08BIMiptc-secret"));
    out.extend(segment(0xe5, b"Camera-X100"));
    out.extend(segment(0xfe, b"Serial-4711"));
    out.extend_from_slice(&plain[2..]);
    out.extend_from_slice(b"\xff\xd8\xff\xd9 second image, Camera-X100, thumb-secret");
    out
}

fn near(pixel: Rgba<u8>, wanted: [u8; 3]) -> bool {
    (0..3).all(|i| pixel.0[i].abs_diff(wanted[i]) < 40)
}

/// The colours of the four corners as the letters of their names.
pub(super) fn corner_names(data: &[u8]) -> String {
    let image = image::load_from_memory(data).unwrap();
    let (w, h) = (image.width() - 4, image.height() - 4);
    [(3, 3), (w, 3), (3, h), (w, h)]
        .iter()
        .map(|(x, y)| {
            let pixel = image.get_pixel(*x, *y);
            [
                ('r', [230, 20, 20]),
                ('g', [20, 200, 20]),
                ('b', [20, 20, 230]),
                ('y', [230, 230, 20]),
            ]
            .iter()
            .find(|(_, colour)| near(pixel, *colour))
            .map_or('?', |(name, _)| *name)
        })
        .collect()
}

#[test]
fn a_plain_picture_of_each_kind_is_taken() {
    let image = DynamicImage::from(corners());
    for (data, media_type, extension) in [
        (jpeg(), "image/jpeg", "jpg"),
        (encode(&image, ImageFormat::Png), "image/png", "png"),
        (encode(&image, ImageFormat::WebP), "image/webp", "webp"),
        (gif(1, 20), "image/gif", "gif"),
    ] {
        let done = take(&data).unwrap();
        assert_eq!(
            (done.media_type, done.extension, done.animated),
            (media_type, extension, false)
        );
        assert_eq!(done.source_sha256, hex_sha256(&data));
        assert_eq!(done.sha256, hex_sha256(&done.bytes));
        assert!(done.placeholder.unwrap().thumbhash.len() > 8);
        let again = take(&done.bytes).unwrap();
        assert_eq!(again.bytes, done.bytes, "a clean picture stays as it is");
    }
}

#[test]
fn a_jpeg_loses_its_data_and_keeps_its_pixels() {
    let loaded = loaded_jpeg(1);
    let done = take(&loaded).unwrap();
    assert_clean(&done.bytes);
    assert!(holds(&done.bytes, "ICC_PROFILE") && holds(&done.bytes, "JFIF"));
    let before = image::load_from_memory(&loaded).unwrap();
    assert_eq!(before, image::load_from_memory(&done.bytes).unwrap());
    let most = jpeg().len() + profile().len() + 60;
    assert!(done.bytes.len() < most, "not encoded again");
}

#[test]
fn all_eight_orientations_stand_upright() {
    // What a viewer shows of a picture with corners rg/by for each orientation.
    let shown = ["rgby", "gryb", "ybgr", "byrg", "rbgy", "bryg", "ygbr", "gyrb"];
    for (orientation, names) in (1..=8).zip(shown) {
        let size = if orientation < 5 { (64, 48) } else { (48, 64) };
        let webp = containers::webp_with_exif(orientation);
        for data in [loaded_jpeg(orientation), containers::loaded_png(orientation), webp] {
            let done = take(&data).unwrap();
            assert_clean(&done.bytes);
            assert_eq!(corner_names(&done.bytes), names, "{} {orientation}", done.media_type);
            assert_eq!((done.width, done.height), size);
            assert_eq!(image::load_from_memory(&done.bytes).unwrap().dimensions(), size);
            let icc = ["ICC_PROFILE", "iCCP", "ICCP"]
                .iter()
                .any(|label| holds(&done.bytes, label));
            assert!(icc, "{} {orientation} lost its profile", done.media_type);
        }
    }
}

#[test]
fn the_turned_placeholder_stands_upright_too() {
    let upright = take(&loaded_jpeg(1)).unwrap().placeholder.unwrap();
    let turned = take(&loaded_jpeg(6)).unwrap().placeholder.unwrap();
    assert_ne!(upright.thumbhash, turned.thumbhash);
}

#[test]
fn the_dominant_colour_is_one_of_the_picture() {
    let mut image = RgbImage::from_pixel(200, 100, Rgb([250, 10, 10]));
    for (x, _, pixel) in image.enumerate_pixels_mut() {
        if x < 80 {
            *pixel = Rgb([10, 10, 250]);
        }
    }
    let done = take(&encode(&image.into(), ImageFormat::Png)).unwrap();
    assert_eq!(done.placeholder.unwrap().dominant_color, "#fa0a0a");
    let clear = DynamicImage::from(RgbaImage::from_pixel(9, 9, Rgba([0, 0, 0, 0])));
    let done = take(&encode(&clear, ImageFormat::Png)).unwrap();
    assert_eq!(done.placeholder.unwrap().dominant_color, "#ffffff");
}

#[test]
fn other_varieties_are_kept_as_they_are() {
    let deep = image::ImageBuffer::<Rgba<u16>, _>::from_pixel(30, 20, Rgba([60_000, 300, 5, 65_535]));
    let grey = GrayImage::from_pixel(31, 7, image::Luma([90]));
    for (image, format) in [
        (DynamicImage::ImageRgba16(deep), ImageFormat::Png),
        (DynamicImage::ImageLuma8(grey.clone()), ImageFormat::Png),
        (DynamicImage::ImageLuma8(grey), ImageFormat::Jpeg),
    ] {
        let data = encode(&image, format);
        let done = take(&data).unwrap();
        assert_eq!((done.width, done.height), image.dimensions());
        assert_eq!(
            image::load_from_memory(&data).unwrap(),
            image::load_from_memory(&done.bytes).unwrap()
        );
    }
    let moving = take(&gif(3, 40)).unwrap();
    assert!(moving.animated && holds(&moving.bytes, "NETSCAPE2.0"));
}

#[test]
fn a_spooled_file_is_read_and_an_unreadable_one_is_our_fault() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("upload");
    std::fs::write(&file, jpeg()).unwrap();
    let open = || std::fs::File::open(&file).unwrap();
    assert_eq!(read(&mut open(), &Limits::default()).unwrap(), jpeg());
    let small = Limits {
        max_bytes: 100,
        ..Limits::default()
    };
    assert_eq!(read(&mut open(), &small).unwrap_err().code, "image_too_large");
    let mut write_only = std::fs::File::create(folder.path().join("none")).unwrap();
    assert_eq!(read(&mut write_only, &small).unwrap_err().code, "internal_error");
}

/// Real files from elsewhere, when a folder of them is given: for use by hand.
#[test]
#[ignore = "needs a folder of pictures"]
fn a_folder_of_pictures() {
    let out = std::path::PathBuf::from(std::env::var("PICTURES_OUT").unwrap());
    for entry in std::fs::read_dir(std::env::var("PICTURES").unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let start = Instant::now();
        match take(&std::fs::read(&path).unwrap()) {
            Ok(done) => {
                std::fs::write(out.join(path.file_name().unwrap()), &done.bytes).unwrap();
                println!(
                    "{path:?} {}x{} animated={} {} bytes {:?} {:?}",
                    done.width,
                    done.height,
                    done.animated,
                    done.bytes.len(),
                    done.placeholder,
                    start.elapsed()
                );
            }
            Err(rejected) => println!("{path:?} {rejected} {:?}", start.elapsed()),
        }
    }
}
