//! PNG, WebP, GIF and AVIF with things planted in them.

use super::*;

pub(super) fn png_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(kind);
    out.extend_from_slice(body);
    let checksum = crc32fast::hash(&out[4..]);
    out.extend_from_slice(&checksum.to_be_bytes());
    out
}

pub(super) fn zlib(data: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A picture with these chunks behind its header.
pub(super) fn png_with(chunks: &[Vec<u8>]) -> Vec<u8> {
    let plain = encode(&corners().into(), ImageFormat::Png);
    [&plain[..33], &chunks.concat(), &plain[33..]].concat()
}

pub(super) fn loaded_png(orientation: u8) -> Vec<u8> {
    let icc = [&b"Camera-X100\0\0"[..], &zlib(&profile()), b"Serial-4711"].concat();
    let mut out = png_with(&[
        png_chunk(b"iCCP", &icc),
        png_chunk(b"gAMA", &45_455_u32.to_be_bytes()),
        png_chunk(b"eXIf", &exif(orientation)),
        png_chunk(b"tEXt", b"Comment\0GPS-10.7769N"),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0xmp-secret"),
        png_chunk(b"tIME", &[7, 234, 1, 1, 1, 1, 1]),
        png_chunk(b"prVt", b"MakerNote!"),
        png_chunk(b"bKGD", b"\0\0\0\0\0\0Serial-4711"),
    ]);
    out.extend_from_slice(b"thumb-secret behind the end");
    out
}

fn riff_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = kind.to_vec();
    out.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
    out.extend_from_slice(body);
    out.resize(out.len().next_multiple_of(2), 0);
    out
}

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = [b"WEBP".to_vec(), chunks.concat()].concat();
    riff_chunk(b"RIFF", &body)
}

fn vp8x(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let sides = [&(width - 1).to_le_bytes()[..3], &(height - 1).to_le_bytes()[..3]].concat();
    riff_chunk(b"VP8X", &[&[flags, 0, 0, 0][..], &sides].concat())
}

pub(super) fn webp_with_exif(orientation: u8) -> Vec<u8> {
    let plain = encode(&corners().into(), ImageFormat::WebP);
    let mut out = riff(&[
        vp8x(0x2c, 64, 48),
        riff_chunk(b"ICCP", &profile()),
        plain[12..].to_vec(),
        riff_chunk(b"EXIF", &exif(orientation)),
        riff_chunk(b"XMP ", b"xmp-secret"),
        riff_chunk(b"priv", b"MakerNote!"),
    ]);
    out.extend_from_slice(b"Camera-X100");
    out
}

pub(super) fn moving_webp(frames: usize) -> Vec<u8> {
    let plain = encode(&corners().into(), ImageFormat::WebP);
    let head = [
        &[0; 6][..],
        &63_u32.to_le_bytes()[..3],
        &47_u32.to_le_bytes()[..3],
        &[100, 0, 0, 0],
    ]
    .concat();
    let frame = [head, plain[12..].to_vec(), riff_chunk(b"note", b"Serial-4711")].concat();
    let mut chunks = vec![vp8x(0x02, 64, 48), riff_chunk(b"ANIM", &[0; 6])];
    chunks.extend(vec![riff_chunk(b"ANMF", &frame); frames]);
    chunks.push(riff_chunk(b"XMP ", b"xmp-secret"));
    riff(&chunks)
}

pub(super) fn apng(frames: u32) -> Vec<u8> {
    let plain = encode(&corners().into(), ImageFormat::Png);
    let control = |number: u32| {
        let fields = [number, 64, 48, 0, 0].map(u32::to_be_bytes).concat();
        png_chunk(b"fcTL", &[&fields[..], &[0, 1, 0, 10, 0, 0]].concat())
    };
    // One IDAT, which the encoder makes for a picture of this size.
    let idat = &plain[33..plain.len() - 12];
    assert_eq!(&idat[4..8], b"IDAT");
    let pixels = &idat[8..idat.len() - 4];
    let mut out = plain[..33].to_vec();
    out.extend(png_chunk(b"acTL", &[frames.to_be_bytes(), [0; 4]].concat()));
    out.extend(control(0));
    out.extend_from_slice(idat);
    for frame in 1..frames {
        out.extend(control(frame * 2 - 1));
        out.extend(png_chunk(b"fdAT", &[&(frame * 2).to_be_bytes()[..], pixels].concat()));
    }
    out.extend(png_chunk(b"IEND", &[]));
    out
}

/// 64 × 48 in ten scans with refinements and half the colour, made by libjpeg.
pub(super) fn progressive_jpeg() -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(include_str!("progressive.jpg.txt").trim())
        .unwrap()
}

/// 64 × 48, with alpha, EXIF and XMP, made by libavif.
pub(super) fn avif() -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(include_str!("sample.avif.txt").trim())
        .unwrap()
}

#[test]
fn a_png_keeps_only_what_shows() {
    let done = take(&loaded_png(1)).unwrap();
    assert_clean(&done.bytes);
    for name in ["tEXt", "iTXt", "eXIf", "tIME", "prVt", "bKGD"] {
        assert!(!holds(&done.bytes, name), "{name}");
    }
    assert!(holds(&done.bytes, "iCCP") && holds(&done.bytes, "gAMA"));
    assert!(done.bytes.ends_with(b"IEND\xae\x42\x60\x82"));
}

#[test]
fn a_webp_keeps_only_what_shows() {
    let done = take(&webp_with_exif(1)).unwrap();
    assert_clean(&done.bytes);
    assert_eq!(done.bytes[20], 0x20, "only the profile is announced");
    assert_eq!(
        done.bytes.len(),
        u32::from_le_bytes(done.bytes[4..8].try_into().unwrap()) as usize + 8
    );
}

#[test]
fn animations_are_measured_cleaned_and_kept() {
    for data in [moving_webp(3), apng(3)] {
        let done = take(&data).unwrap();
        assert!(done.animated, "{}", done.media_type);
        assert_eq!((done.width, done.height), (64, 48));
        assert_clean(&done.bytes);
        assert!(holds(&done.bytes, "ANMF") || holds(&done.bytes, "fdAT"));
    }
}

#[test]
fn a_gif_loses_comments_and_foreign_extensions() {
    let plain = gif(2, 20);
    let extension = |label: u8, words: &[u8]| [&[0x21, label, words.len() as u8][..], words, &[0]].concat();
    // Before the first extension of the encoder, behind screen and palette.
    let at = plain.windows(2).position(|w| w == [0x21, 0xff]).unwrap();
    let loaded = [
        &plain[..at],
        &extension(0xfe, b"GPS-10.7769N"),
        &[&[0x21, 0xff, 11][..], b"XMP DataXMP", &[10], b"xmp-secret", &[0]].concat(),
        &extension(0x01, b"Camera-X100 "),
        &plain[at..],
        b"Serial-4711",
    ]
    .concat();
    let done = take(&loaded).unwrap();
    assert_clean(&done.bytes);
    assert!(done.animated);
    assert_eq!(done.bytes, take(&plain).unwrap().bytes);
}

#[test]
fn an_avif_loses_exif_and_xmp_in_place() {
    let data = avif();
    assert!(holds(&data, "Camera-X100") && holds(&data, "xmp-secret"));
    let done = take(&data).unwrap();
    assert_eq!(
        done.camera.as_ref().and_then(|camera| camera.model.as_deref()),
        Some("Camera-X100")
    );
    assert_clean(&done.bytes);
    for word in ["Exif", "mime", "cdsc", "rdf+xml", "Color"] {
        assert!(!holds(&done.bytes, word), "{word}");
    }
    assert_eq!((done.width, done.height, done.has_alpha), (64, 48, true));
    assert!(done.placeholder.is_some());
    assert!(holds(&done.bytes, "aux"), "alpha stays");
    assert_eq!(done.bytes.len(), data.len());
    assert_eq!(take(&done.bytes).unwrap().bytes, done.bytes);
}

#[test]
fn an_avif_is_measured_as_displayed() {
    // The first `pixi` becomes a quarter turn; its place is one the picture refers to.
    let mut data = avif();
    let at = data.windows(4).position(|w| w == b"pixi").unwrap();
    data[at..at + 5].copy_from_slice(b"irot\x01");
    let done = take(&data).unwrap();
    assert_eq!((done.width, done.height), (48, 64));
    assert!(holds(&done.bytes, "irot"));
}

#[test]
fn what_else_lies_in_an_avif_is_blanked() {
    let mut data = avif();
    let boxed = |words: &[u8]| [&(words.len() as u32 + 8).to_be_bytes()[..], b"uuid", words].concat();
    data.extend(boxed(b"Serial-4711"));
    data.extend_from_slice(b"Camera-X100");
    let done = take(&data).unwrap();
    assert_clean(&done.bytes);
    assert_eq!(done.bytes.len(), avif().len());
}
