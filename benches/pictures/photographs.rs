//! Pictures to measure with: no photographs are at hand, so these are made, the same ones every time.
//!
//! A scene of the demo, with texture over it whose contrast is the same at every scale from two to 64 pixels (as it is
//! in nature), sharp in some places and out of focus in others, and the noise of a sensor. Written as a camera does:
//! 4:2:0, quality 92.

use std::path::{Path, PathBuf};

use image::RgbImage;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::demo::draw::draw;

const SCENES: [&str; 12] = [
    "mist_mountains",
    "tea_hills",
    "river_dusk",
    "city_night",
    "stadium",
    "market",
    "rice_storm",
    "school",
    "lanterns",
    "road",
    "assembly_hall",
    "forest",
];
/// Sizes of cameras and telephones, 12 to 24 megapixels.
const SIZES: [(u32, u32); 6] = [
    (4000, 3000),
    (4608, 3456),
    (3024, 4032),
    (5184, 3456),
    (5472, 3648),
    (6000, 4000),
];
const COUNT: usize = 24;
const QUALITY: u8 = 92;
/// Changes with what is drawn, so that old ones are not taken for new ones.
const VERSION: u32 = 1;

/// The files, made when they are not there.
pub(crate) fn ready(folder: &Path) -> Vec<PathBuf> {
    std::fs::create_dir_all(folder).unwrap();
    (0..COUNT)
        .map(|number| {
            let file = folder.join(format!("v{VERSION}-{number:02}.jpg"));
            if !file.exists() {
                eprintln!("making photograph {} of {COUNT}", number + 1);
                let half = folder.join("half");
                std::fs::write(&half, photograph(number)).unwrap();
                std::fs::rename(&half, &file).unwrap();
            }
            file
        })
        .collect()
}

fn photograph(number: usize) -> Vec<u8> {
    let seed = number as u64 + 11;
    let (width, height) = SIZES[(number + number / 6) % SIZES.len()];
    // Drawn at half the size, as no lens is sharper than that at its full resolution; texture is laid on at full size.
    let scene = draw(SCENES[number % SCENES.len()], seed, width / 2, height / 2);
    let mut image = image::imageops::resize(&scene, width, height, image::imageops::FilterType::Triangle);
    texture(&mut image, seed);
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder
        .encode(image.as_raw(), width as u16, height as u16, ColorType::Rgb)
        .unwrap();
    out
}

fn texture(image: &mut RgbImage, seed: u64) {
    let width = image.width() as usize;
    for (y, row) in image.as_mut().chunks_exact_mut(width * 3).enumerate() {
        for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            // Where the picture is in focus: patches of some 600 pixels.
            let sharp = (noise(x, y, 600, seed) * 3.0 - 1.0).clamp(0.05, 1.0);
            let mut relief = 0.0;
            for (octave, period) in [2, 4, 8, 16, 32, 64].into_iter().enumerate() {
                let focus = if period < 16 { sharp } else { 0.3 + 0.7 * sharp };
                relief += (noise(x, y, period, seed + octave as u64) - 0.5) * 14.0 * focus;
            }
            let light = f32::from(pixel[1]);
            let grain = 1.0 + (255.0 - light) / 100.0;
            for (channel, value) in pixel.iter_mut().enumerate() {
                let speck = (random(x as u64, y as u64, seed + 90 + channel as u64) - 0.5) * 2.0 * grain;
                let lit = f32::from(*value) * (1.0 + relief / 160.0) + relief * 0.3 + speck;
                *value = lit.clamp(0.0, 255.0) as u8;
            }
        }
    }
}

fn random(x: u64, y: u64, seed: u64) -> f32 {
    let mixed = (x.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ y.wrapping_mul(0xc2b2_ae3d_27d4_eb4f))
        .wrapping_add(seed.wrapping_mul(0x1656_67b1_9e37_79f9));
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed ^ (mixed >> 32)) >> 40 & 0xff_ffff) as f32 / 16_777_216.0
}

/// Smooth noise from 0 to 1 with features of this many pixels.
fn noise(x: usize, y: usize, period: usize, seed: u64) -> f32 {
    let (left, top) = ((x / period) as u64, (y / period) as u64);
    let smooth = |part: usize| {
        let part = (part as f32 + 0.5) / period as f32;
        part * part * (3.0 - 2.0 * part)
    };
    let (across, down) = (smooth(x % period), smooth(y % period));
    let seed = seed.wrapping_add(period as u64 * 977);
    let mix = |a: f32, b: f32, part: f32| a + (b - a) * part;
    mix(
        mix(random(left, top, seed), random(left + 1, top, seed), across),
        mix(random(left, top + 1, seed), random(left + 1, top + 1, seed), across),
        down,
    )
}
