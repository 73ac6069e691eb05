//! A street and its traffic, by day or in the evening.

use super::canvas::{Canvas, Rgb, hex, mix, shade, smooth};
use super::figures::{clouds, tree};
use super::noise::{Dice, noise2};

/// A street with traffic lights, motorbikes and cars.
pub(super) fn road(canvas: &mut Canvas, seed: u64) {
    let mut dice = Dice::new(seed, 12);
    let (width, level) = (canvas.width(), 520.0);
    let night = seed % 2 == 1;
    let (zenith, low) = if night {
        (hex(0x232a4d), hex(0xe88d5e))
    } else {
        (hex(0x6fb0da), hex(0xfaf0d8))
    };
    let dim = if night { 0.55 } else { 1.0 };
    canvas.gradient(0.0, level, &[(0.0, zenith), (1.0, low)]);
    clouds(
        canvas,
        seed ^ 2,
        (0.0, 420.0),
        mix(low, hex(0xffffff), 0.4),
        mix(zenith, low, 0.35),
        0.32,
    );
    let vanish = width * 0.5;
    canvas.glow((vanish, level - 60.0), 420.0, hex(0xffd9a0), 0.3);
    for step in 0..9 {
        let t = (step + 1) as f32 / 9.0;
        let (tall, away) = (70.0 + 560.0 * t * t, 60.0 + 690.0 * t * t);
        for side in [-1.0, 1.0] {
            let wide = 40.0 + 190.0 * t * t;
            let x = vanish + side * away - if side < 0.0 { wide } else { 0.0 };
            let wall = hex(dice.pick(&[0xd9b27a, 0xb9c4c9, 0xe3d3b4, 0xa9836a, 0x8fa6b5]));
            let color = mix(low, shade(wall, dim * 0.85), 0.35 + 0.65 * t);
            canvas.rect(x, level - tall, wide, tall + 30.0, color, 1.0);
            let mut y = level - tall + 16.0 * t + 6.0;
            while y < level - 20.0 {
                for column in 0..3 {
                    let lit = night && dice.chance(0.6);
                    let glass = if lit { hex(0xffd68a) } else { shade(hex(0x4a6274), dim) };
                    canvas.rect(
                        x + wide * (0.12 + 0.3 * column as f32),
                        y,
                        wide * 0.18,
                        10.0 + 26.0 * t,
                        mix(color, glass, 0.8),
                        1.0,
                    );
                }
                y += 22.0 + 52.0 * t;
            }
            let foot = (vanish + side * (away * 0.86 + 20.0), level + 8.0 + 90.0 * t * t);
            tree(
                canvas,
                &mut dice,
                foot,
                60.0 + 190.0 * t * t,
                shade(hex(0x4c8a45), dim),
                None,
            );
        }
    }
    canvas.below(
        |_| level,
        |x, y, depth| {
            let near = depth / 480.0;
            let across = (x - vanish) / (depth + 6.0);
            let tar = noise2(seed ^ 4, x / (1.5 + 3.0 * near), y / (1.0 + 2.0 * near)) - 0.5;
            let asphalt = shade(
                mix(mix(low, hex(0x6b7079), 0.6), hex(0x43474f), near.sqrt()),
                dim.max(0.7) * (1.0 + 0.16 * tar),
            );
            let pavement = shade(hex(0xb5a58e), dim * (1.0 + 0.2 * tar));
            let kerb = smooth(1.48, 1.5, across.abs());
            let dash = (7.0 / (near + 0.09)).fract() < 0.52;
            let lane = (smooth(0.04, 0.03, (across.abs() - 0.72).abs()) * if dash { 1.0 } else { 0.0 }).max(smooth(
                0.035,
                0.025,
                (across.abs() - 0.04).abs(),
            ));
            let paint = mix(asphalt, shade(hex(0xf2eee2), dim.max(0.75)), lane * 0.85 * (1.0 - kerb));
            let edge = smooth(0.05, 0.0, (across.abs() - 1.48).abs());
            mix(mix(paint, pavement, kerb), shade(hex(0xe6dfd0), dim), edge * 0.7)
        },
    );
    for bar in 0..11 {
        let x = vanish + (bar as f32 - 5.0) * 128.0;
        let t = |y: f32| vanish + (x - vanish) * (y - level) / 380.0;
        canvas.polygon(
            &[
                (t(868.0) - 30.0, 868.0),
                (t(868.0) + 30.0, 868.0),
                (t(944.0) + 37.0, 944.0),
                (t(944.0) - 37.0, 944.0),
            ],
            hex(0xf1ede2),
            0.8 * dim.max(0.8),
        );
    }
    let mut riders: Vec<(f32, f32, bool)> = (0..15)
        .map(|_| (dice.range(0.03, 0.62), dice.range(-1.3, 1.3), dice.chance(0.25)))
        .collect();
    riders.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (near, across, is_car) in riders {
        let depth = 480.0 * near;
        let place = (vanish + across * (depth + 6.0), level + depth);
        let going = across > 0.0;
        let paint = hex(dice.pick(&[0xd94a3d, 0x2f6fb5, 0xf0f0ec, 0x2b2f38, 0xe0a13a, 0x4b8a6a]));
        if is_car {
            car(canvas, place, 30.0 + 250.0 * near, shade(paint, dim.max(0.7)), going);
        } else {
            rider(canvas, place, 26.0 + 230.0 * near, shade(paint, dim.max(0.75)), going);
        }
    }
    for (side, lit) in [(-1.0_f32, (seed % 3) as usize), (1.0, (seed % 3) as usize)] {
        signal(canvas, (vanish + side * width * 0.33, 900.0), side, lit);
    }
}

fn car(canvas: &mut Canvas, foot: (f32, f32), wide: f32, paint: Rgb, going: bool) {
    let (x, y) = foot;
    let h = wide * 0.5;
    canvas.ellipse((x, y + 2.0), (h * 1.12, wide * 0.07), hex(0x0c0e12), 0.55, 0.6);
    canvas.rect(
        x - h * 0.86,
        y - wide * 0.16,
        wide * 0.16,
        wide * 0.17,
        hex(0x15171b),
        1.0,
    );
    canvas.rect(
        x + h * 0.54,
        y - wide * 0.16,
        wide * 0.16,
        wide * 0.17,
        hex(0x15171b),
        1.0,
    );
    canvas.polygon(
        &[
            (x - h * 0.7, y - wide * 0.72),
            (x + h * 0.7, y - wide * 0.72),
            (x + h * 0.9, y - wide * 0.4),
            (x - h * 0.9, y - wide * 0.4),
        ],
        shade(paint, 0.85),
        1.0,
    );
    canvas.polygon(
        &[
            (x - h * 0.6, y - wide * 0.68),
            (x + h * 0.6, y - wide * 0.68),
            (x + h * 0.76, y - wide * 0.42),
            (x - h * 0.76, y - wide * 0.42),
        ],
        hex(0x23303c),
        1.0,
    );
    canvas.polygon(
        &[
            (x - h, y - wide * 0.1),
            (x - h * 0.92, y - wide * 0.42),
            (x + h * 0.92, y - wide * 0.42),
            (x + h, y - wide * 0.1),
        ],
        paint,
        1.0,
    );
    canvas.rect(x - h * 0.3, y - wide * 0.2, h * 0.6, wide * 0.07, hex(0xf0f0e8), 1.0);
    let lamp = if going { hex(0xff3b2e) } else { hex(0xfff2cc) };
    for side in [-0.76_f32, 0.76] {
        canvas.ellipse(
            (x + h * side, y - wide * 0.3),
            (wide * 0.085, wide * 0.045),
            lamp,
            1.0,
            0.2,
        );
        canvas.glow((x + h * side, y - wide * 0.3), wide * 0.34, lamp, 0.5);
    }
}

fn rider(canvas: &mut Canvas, foot: (f32, f32), tall: f32, paint: Rgb, going: bool) {
    let (x, y) = foot;
    canvas.ellipse((x, y + 1.0), (tall * 0.24, tall * 0.05), hex(0x0c0e12), 0.5, 0.6);
    canvas.line(
        (x, y - tall * 0.02),
        (x, y - tall * 0.28),
        tall * 0.1,
        hex(0x16181c),
        1.0,
    );
    canvas.line((x, y - tall * 0.24), (x, y - tall * 0.46), tall * 0.17, paint, 1.0);
    canvas.line(
        (x - tall * 0.24, y - tall * 0.52),
        (x + tall * 0.24, y - tall * 0.52),
        tall * 0.035,
        hex(0x23262c),
        1.0,
    );
    let shirt = mix(hex(0xe8e4da), paint, 0.35);
    canvas.ellipse((x, y - tall * 0.62), (tall * 0.16, tall * 0.2), shirt, 1.0, 0.04);
    canvas.ellipse(
        (x, y - tall * 0.88),
        (tall * 0.095, tall * 0.11),
        shade(paint, 0.8),
        1.0,
        0.04,
    );
    let lamp = if going { hex(0xff3b2e) } else { hex(0xfff2cc) };
    canvas.ellipse((x, y - tall * 0.4), (tall * 0.05, tall * 0.04), lamp, 1.0, 0.2);
    canvas.glow((x, y - tall * 0.4), tall * 0.28, lamp, 0.5);
}

fn signal(canvas: &mut Canvas, foot: (f32, f32), side: f32, lit: usize) {
    let (x, y) = foot;
    let steel = hex(0x2a2f36);
    canvas.line((x, y), (x, 250.0), 11.0, steel, 1.0);
    canvas.line((x, 262.0), (x - side * 170.0, 246.0), 8.0, steel, 1.0);
    for (px, py, size) in [(x - side * 170.0, 300.0, 1.0), (x - side * 24.0, 470.0, 0.7)] {
        canvas.rect(
            px - 27.0 * size,
            py - 70.0 * size,
            54.0 * size,
            150.0 * size,
            hex(0x15181c),
            1.0,
        );
        for (lamp, color) in [0xff3b2e, 0xffc23a, 0x3fe08a].into_iter().enumerate() {
            let at = (px, py + (lamp as f32 * 46.0 - 42.0) * size);
            let on = lamp == lit;
            let tone = if on {
                mix(hex(color), hex(0xffffff), 0.3)
            } else {
                shade(hex(color), 0.22)
            };
            canvas.ellipse(at, (17.0 * size, 17.0 * size), tone, 1.0, 0.08);
            if on {
                canvas.glow(at, 120.0 * size, hex(color), 0.85);
            }
        }
    }
}
