//! How much of a picture is left: SSIM of luma (Wang and others, 2004; a Gaussian window of 11 pixels) against the
//! original made smaller in floating point.

use std::path::{Path, PathBuf};
use std::process::Command;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, ResizeOptions, Resizer};

/// Mean SSIM of both sides' files in a format.
pub(crate) fn compare(here: &Path, data: &Path, format: &str, files: &[PathBuf]) -> (f64, f64) {
    let extension = if format == "jpeg" { "jpg" } else { format };
    let decoded = data.join("decoded");
    // One decoder for both sides.
    let mut command = Command::new("node");
    command.arg(here.join("decode.mjs")).arg(&decoded);
    for side in ["newsdesk", "sharp"] {
        command.args(files.iter().map(|file| {
            let name = file.file_stem().unwrap().to_str().unwrap();
            data.join(side).join(format!("{name}.{extension}"))
        }));
    }
    assert!(command.status().unwrap().success(), "the files cannot be decoded");
    let mut sums = [0.0; 2];
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let mut reference = None;
        for (sum, side) in sums.iter_mut().zip(["newsdesk", "sharp"]) {
            let path = decoded.join(format!("{side}-{name}.{extension}.png"));
            let image = image::open(path).unwrap().into_rgb8();
            let (width, height) = image.dimensions();
            let reference = reference.get_or_insert_with(|| smaller(file, width, height));
            let pixels: Vec<f32> = image.pixels().map(|pixel| luma(pixel.0.map(f32::from))).collect();
            *sum += ssim(reference, &pixels, width as usize);
        }
    }
    let [ours, theirs] = sums.map(|sum| sum / files.len() as f64);
    (ours, theirs)
}

fn luma([red, green, blue]: [f32; 3]) -> f32 {
    0.299 * red + 0.587 * green + 0.114 * blue
}

fn smaller(file: &Path, width: u32, height: u32) -> Vec<f32> {
    let image = image::open(file).unwrap().into_rgb8();
    let pixels: Vec<u8> = image
        .pixels()
        .flat_map(|pixel| luma(pixel.0.map(f32::from)).to_ne_bytes())
        .collect();
    let source = ImageRef::new(image.width(), image.height(), &pixels, PixelType::F32).unwrap();
    let mut target = Image::new(width, height, PixelType::F32);
    Resizer::new()
        .resize(&source, &mut target, &ResizeOptions::new())
        .unwrap();
    target
        .buffer()
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_ne_bytes(*bytes))
        .collect()
}

fn ssim(a: &[f32], b: &[f32], width: usize) -> f64 {
    let (c1, c2) = ((0.01_f32 * 255.0).powi(2), (0.03_f32 * 255.0).powi(2));
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<f32>>();
    let (mean_a, mean_b) = (blurred(a, width), blurred(b, width));
    let (aa, bb, ab) = (
        blurred(&product(a, a), width),
        blurred(&product(b, b), width),
        blurred(&product(a, b), width),
    );
    let mut sum = 0.0;
    for i in 0..mean_a.len() {
        let (ma, mb) = (mean_a[i], mean_b[i]);
        let (va, vb, cov) = (aa[i] - ma * ma, bb[i] - mb * mb, ab[i] - ma * mb);
        sum += f64::from(((2.0 * ma * mb + c1) * (2.0 * cov + c2)) / ((ma * ma + mb * mb + c1) * (va + vb + c2)));
    }
    sum / mean_a.len() as f64
}

/// Without the edges that the window does not fit into.
fn blurred(values: &[f32], width: usize) -> Vec<f32> {
    let weights: Vec<f32> = (-5..=5).map(|x| (-(x * x) as f32 / (2.0 * 1.5 * 1.5)).exp()).collect();
    let total: f32 = weights.iter().sum();
    let inner = width - 10;
    let height = values.len() / width;
    let mut rows = Vec::with_capacity(inner * height);
    for row in values.chunks_exact(width) {
        rows.extend(
            row.windows(11)
                .map(|part| part.iter().zip(&weights).map(|(v, w)| v * w).sum::<f32>() / total),
        );
    }
    let mut out = vec![0.0; inner * (height - 10)];
    for (y, row) in out.chunks_exact_mut(inner).enumerate() {
        for (dy, weight) in weights.iter().enumerate() {
            let from = &rows[(y + dy) * inner..(y + dy + 1) * inner];
            for (value, from) in row.iter_mut().zip(from) {
                *value += from * weight / total;
            }
        }
    }
    out
}
