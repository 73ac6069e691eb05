//! Small things that several scenes share: people, trees, clouds, birds.

use super::canvas::{Canvas, Rgb, hex, mix, shade, smooth};
use super::noise::{Dice, fbm2};

/// Someone under a conical hat, bent over work when `bent`; `at` is where the feet stand.
pub(super) fn farmer(canvas: &mut Canvas, at: (f32, f32), tall: f32, shirt: Rgb, bent: bool) {
    let (x, y) = at;
    let lean = if bent { tall * 0.16 } else { 0.0 };
    let top = if bent { y - tall * 0.72 } else { y - tall };
    let wide = tall * 0.15;
    canvas.line(
        (x - wide * 0.4, y),
        (x - wide * 0.2, y - tall * 0.45),
        tall * 0.09,
        shade(shirt, 0.35),
        1.0,
    );
    canvas.line(
        (x + wide * 0.5, y),
        (x + wide * 0.2, y - tall * 0.45),
        tall * 0.09,
        shade(shirt, 0.3),
        1.0,
    );
    canvas.line(
        (x, y - tall * 0.42),
        (x + lean * 0.8, top + tall * 0.27),
        tall * 0.21,
        shirt,
        1.0,
    );
    canvas.line(
        (x + lean * 0.7, top + tall * 0.3),
        (x + lean + tall * 0.17, y - tall * 0.38),
        tall * 0.07,
        shade(shirt, 0.8),
        1.0,
    );
    canvas.ellipse(
        (x + lean, top + tall * 0.15),
        (tall * 0.06, tall * 0.075),
        hex(0xb98a62),
        1.0,
        0.0,
    );
    let hat = hex(0xe9d6a4);
    let (hx, hy) = (x + lean, top + tall * 0.14);
    canvas.polygon(
        &[(hx - tall * 0.19, hy), (hx, hy - tall * 0.17), (hx + tall * 0.19, hy)],
        hat,
        1.0,
    );
    canvas.polygon(
        &[(hx + tall * 0.02, hy), (hx, hy - tall * 0.17), (hx + tall * 0.19, hy)],
        shade(hat, 0.82),
        1.0,
    );
}

/// Someone standing; with a red scarf when a pupil.
pub(super) fn person(canvas: &mut Canvas, at: (f32, f32), tall: f32, shirt: Rgb, trousers: Rgb, pupil: bool) {
    let (x, y) = at;
    canvas.ellipse(
        (x + tall * 0.1, y),
        (tall * 0.26, tall * 0.04),
        hex(0x101418),
        0.28,
        0.6,
    );
    canvas.line(
        (x - tall * 0.06, y),
        (x - tall * 0.04, y - tall * 0.45),
        tall * 0.1,
        trousers,
        1.0,
    );
    canvas.line(
        (x + tall * 0.06, y),
        (x + tall * 0.04, y - tall * 0.45),
        tall * 0.1,
        shade(trousers, 0.8),
        1.0,
    );
    canvas.line((x, y - tall * 0.48), (x, y - tall * 0.72), tall * 0.23, shirt, 1.0);
    canvas.line(
        (x - tall * 0.12, y - tall * 0.74),
        (x - tall * 0.16, y - tall * 0.48),
        tall * 0.07,
        shade(shirt, 0.9),
        1.0,
    );
    canvas.line(
        (x + tall * 0.12, y - tall * 0.74),
        (x + tall * 0.16, y - tall * 0.48),
        tall * 0.07,
        shade(shirt, 0.82),
        1.0,
    );
    canvas.ellipse(
        (x, y - tall * 0.91),
        (tall * 0.075, tall * 0.09),
        hex(0xd0a27c),
        1.0,
        0.0,
    );
    canvas.ellipse(
        (x, y - tall * 0.945),
        (tall * 0.08, tall * 0.06),
        hex(0x1d1715),
        1.0,
        0.0,
    );
    if pupil {
        let red = hex(0xd22f27);
        canvas.polygon(
            &[
                (x - tall * 0.08, y - tall * 0.81),
                (x + tall * 0.08, y - tall * 0.81),
                (x, y - tall * 0.66),
            ],
            red,
            1.0,
        );
    }
}

/// A leafy tree: many soft tufts, lighter towards the upper left.
pub(super) fn tree(
    canvas: &mut Canvas,
    dice: &mut Dice,
    foot: (f32, f32),
    tall: f32,
    leaves: Rgb,
    blossom: Option<Rgb>,
) {
    let (x, y) = foot;
    let bark = mix(hex(0x4a3728), leaves, 0.15);
    canvas.polygon(
        &[
            (x - tall * 0.045, y),
            (x - tall * 0.02, y - tall * 0.6),
            (x + tall * 0.02, y - tall * 0.6),
            (x + tall * 0.05, y),
        ],
        bark,
        1.0,
    );
    for reach in [-0.2, 0.16, -0.05] {
        canvas.line(
            (x, y - tall * 0.42),
            (x + tall * reach, y - tall * 0.68),
            tall * 0.025,
            bark,
            1.0,
        );
    }
    for step in 0..170 {
        let turn = dice.range(0.0, std::f32::consts::TAU);
        let far = dice.next().sqrt();
        let (ox, oy) = (turn.cos() * far * tall * 0.36, turn.sin() * far * tall * 0.25);
        let light = 0.62 + 0.4 * smooth(0.25, -0.3, (oy + ox * 0.4) / tall) + step as f32 * 0.0008;
        let color = match blossom {
            Some(flower) if dice.chance(0.42) => shade(flower, light.min(1.05)),
            _ => shade(leaves, light),
        };
        let size = tall * dice.range(0.022, 0.06);
        canvas.ellipse((x + ox, y - tall * 0.75 + oy), (size, size * 0.8), color, 0.92, 0.25);
    }
}

/// Clouds between two heights; `cover` from 0 (a few) to 1 (closed).
pub(super) fn clouds(canvas: &mut Canvas, seed: u64, rows: (f32, f32), light: Rgb, dark: Rgb, cover: f32) {
    let (top, bottom) = rows;
    canvas.veil(top, bottom, |x, y| {
        let squash = 1.0 + 1.6 * (y - top) / (bottom - top);
        let (u, v) = (x / 330.0, y * squash / 170.0);
        let bend = fbm2(seed ^ 0xc1, u * 0.7, v * 0.7, 2) * 1.2;
        let thick = fbm2(seed, u + bend, v, 5);
        let above = fbm2(seed, u + bend - 0.12, v - 0.22, 3);
        let edge = 0.66 - 0.36 * cover;
        let fade = smooth(bottom, bottom - (bottom - top) * 0.35, y);
        (
            mix(dark, light, 0.55 + (thick - above) * 2.6),
            smooth(edge, edge + 0.2, thick) * fade * 0.95,
        )
    });
}

/// A few birds, far away.
pub(super) fn birds(canvas: &mut Canvas, dice: &mut Dice, around: (f32, f32), count: u32, color: Rgb) {
    for _ in 0..count {
        let (x, y) = (around.0 + dice.range(-130.0, 130.0), around.1 + dice.range(-45.0, 45.0));
        let size = dice.range(7.0, 13.0);
        let lift = dice.range(0.25, 0.6) * size;
        canvas.path(
            &[
                (x - size, y - lift),
                (x - size * 0.4, y - lift * 0.7),
                (x, y),
                (x + size * 0.4, y - lift * 0.7),
                (x + size, y - lift),
            ],
            2.2,
            color,
            0.8,
        );
    }
}

/// A five-pointed star.
pub(super) fn star(canvas: &mut Canvas, center: (f32, f32), radius: f32, color: Rgb) {
    let points: Vec<(f32, f32)> = (0..10)
        .map(|corner| {
            let turn = (corner as f32 * 36.0 - 90.0).to_radians();
            let far = if corner % 2 == 0 { radius } else { radius * 0.385 };
            (center.0 + turn.cos() * far, center.1 + turn.sin() * far)
        })
        .collect();
    canvas.polygon(&points, color, 1.0);
}
