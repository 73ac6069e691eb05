//! By day in town: a market, a school.

use super::canvas::{Canvas, Rgb, hex, mix, shade, smooth};
use super::figures::{clouds, farmer, person, star, tree};
use super::noise::{Dice, noise2};

/// Striped awnings over heaps of fruit.
pub(super) fn market(canvas: &mut Canvas, seed: u64) {
    let mut dice = Dice::new(seed, 10);
    let width = canvas.width();
    canvas.gradient(0.0, 420.0, &[(0.0, hex(0x7fbfe0)), (1.0, hex(0xfbe9c9))]);
    clouds(canvas, seed ^ 2, (0.0, 300.0), hex(0xffffff), hex(0xc9dbe4), 0.3);
    let mut x = -10.0;
    while x < width {
        let wide = dice.range(90.0, 150.0);
        let tall = dice.range(300.0, 470.0);
        tube_house(canvas, &mut dice, (x, 560.0), (wide, tall));
        x += wide;
    }
    for line in 0..2 {
        let top = 70.0 + 60.0 * line as f32;
        for flag in 0..30 {
            let t = flag as f32 / 30.0;
            let at = |t: f32| (width * t, top + 50.0 * 4.0 * t * (1.0 - t));
            canvas.line(at(t), at(t + 1.0 / 30.0), 1.6, hex(0x3a3a3a), 0.7);
            let (fx, fy) = at(t + 0.5 / 30.0);
            let cloth = hex([0xe2463c, 0xf2b632, 0x3f9a8c, 0xf4efe3][(flag + line) % 4]);
            canvas.polygon(&[(fx - 12.0, fy), (fx + 12.0, fy), (fx, fy + 26.0)], cloth, 1.0);
        }
    }
    canvas.below(
        |_| 548.0,
        |x, y, depth| {
            let stone = noise2(seed ^ 9, x / 9.0, y / 5.0) - 0.5;
            shade(
                mix(hex(0x9a8c7c), hex(0xb8a48c), smooth(0.0, 420.0, depth)),
                1.0 + 0.14 * stone,
            )
        },
    );
    for row in 0..3 {
        let near = row as f32 / 2.0;
        let (wide, foot) = (190.0 + 210.0 * near, 610.0 + 330.0 * near);
        let mut x = -wide * dice.range(0.1, 0.7);
        while x < width {
            let cloth = hex(dice.pick(&[0xd8413a, 0x2f8f83, 0xe9a02c, 0x3a6fb0, 0xc2527a]));
            if row == 2 && (x + wide * 0.5 - width * 0.5).abs() < wide * 0.5 {
                x += wide * 0.9;
                continue;
            }
            stall(canvas, &mut dice, (x, foot), wide, cloth);
            x += wide * dice.range(1.05, 1.3);
        }
        for _ in 0..6 - row {
            let place = (dice.range(0.0, width), foot + 26.0 + 20.0 * near);
            let tall = 100.0 + 120.0 * near;
            let shirt = hex(dice.pick(&[0xf0e6d2, 0x3f6fb5, 0xc8443c, 0x6a4b84, 0x2f6b4f, 0xe6b04a]));
            if dice.chance(0.6) {
                farmer(canvas, place, tall, shirt, false);
            } else {
                person(canvas, place, tall, shirt, hex(0x2b3040), false);
            }
        }
    }
}

fn tube_house(canvas: &mut Canvas, dice: &mut Dice, foot: (f32, f32), size: (f32, f32)) {
    let ((x, y), (wide, tall)) = (foot, size);
    let wall = mix(
        hex(dice.pick(&[0xe8c66a, 0xd9a08a, 0x9cc0b4, 0xe6d7b8, 0xb7c4d6, 0xd8b48a])),
        hex(0xf3e6cf),
        0.25,
    );
    let top = y - tall;
    canvas.polygon_with(&[(x, top), (x + wide, top), (x + wide, y), (x, y)], 1.0, |px, _| {
        shade(wall, 1.0 - 0.16 * smooth(x + wide * 0.7, x + wide, px))
    });
    canvas.rect(x - 4.0, top - 10.0, wide + 8.0, 14.0, shade(wall, 0.72), 1.0);
    let shutter = hex(dice.pick(&[0x3d7a6a, 0x2f5f8a, 0x7a4a32]));
    let floors = (tall / 110.0) as u32;
    for floor in 0..floors {
        let fy = top + 24.0 + 108.0 * floor as f32;
        for side in [0.16_f32, 0.58] {
            canvas.rect(x + wide * side, fy, wide * 0.26, 62.0, hex(0x2b3440), 1.0);
            canvas.rect(x + wide * (side - 0.06), fy - 2.0, wide * 0.11, 66.0, shutter, 1.0);
            canvas.rect(
                x + wide * (side + 0.21),
                fy - 2.0,
                wide * 0.11,
                66.0,
                shade(shutter, 0.85),
                1.0,
            );
        }
        canvas.rect(x + 4.0, fy + 70.0, wide - 8.0, 4.0, shade(wall, 0.55), 1.0);
        for bar in 0..(wide / 9.0) as u32 {
            canvas.line(
                (x + 8.0 + bar as f32 * 9.0, fy + 48.0),
                (x + 8.0 + bar as f32 * 9.0, fy + 72.0),
                1.5,
                shade(wall, 0.4),
                0.7,
            );
        }
    }
}

fn stall(canvas: &mut Canvas, dice: &mut Dice, foot: (f32, f32), wide: f32, cloth: Rgb) {
    let (x, y) = foot;
    let (tall, cream) = (wide * 0.74, hex(0xf6efdf));
    let (roof, edge) = (y - tall, y - tall * 0.7);
    canvas.ellipse(
        (x + wide * 0.5, y + 6.0),
        (wide * 0.56, wide * 0.05),
        hex(0x2a211a),
        0.4,
        0.8,
    );
    for post in [0.05_f32, 0.95] {
        canvas.line(
            (x + wide * post, y),
            (x + wide * post, roof + wide * 0.08),
            wide * 0.016,
            hex(0x6b4a30),
            1.0,
        );
    }
    canvas.polygon(
        &[
            (x + wide * 0.05, edge),
            (x + wide * 0.95, edge),
            (x + wide * 0.95, y - wide * 0.2),
            (x + wide * 0.05, y - wide * 0.2),
        ],
        hex(0x2c1e1a),
        0.5,
    );
    farmer(
        canvas,
        (x + wide * dice.range(0.3, 0.7), y - wide * 0.04),
        wide * 0.46,
        hex(dice.pick(&[0x8a4b6a, 0x3f6f8a, 0xb0553a])),
        false,
    );
    let wood = hex(0x8d5f3a);
    canvas.polygon(
        &[
            (x, y - wide * 0.22),
            (x + wide, y - wide * 0.22),
            (x + wide * 0.97, y),
            (x + wide * 0.03, y),
        ],
        wood,
        1.0,
    );
    for plank in 1..3 {
        canvas.line(
            (x + wide * 0.02, y - wide * 0.073 * plank as f32),
            (x + wide * 0.98, y - wide * 0.073 * plank as f32),
            1.8,
            shade(wood, 0.65),
            0.9,
        );
    }
    for heap in 0..5 {
        let fruit = hex(dice.pick(&[0xe4572e, 0xf2a33a, 0x6fae3c, 0xc9303e, 0xf4d35e, 0x6a3d7c, 0x3f8a45]));
        let (hx, size) = (x + wide * (0.1 + 0.2 * heap as f32), wide * 0.024);
        for layer in 0..4 {
            let count = 5 - layer;
            for piece in 0..count {
                let px = hx + (piece as f32 - (count - 1) as f32 * 0.5) * size * 1.7;
                let py = y - wide * 0.225 - layer as f32 * size * 1.25;
                canvas.ellipse((px, py), (size, size), shade(fruit, dice.range(0.7, 0.95)), 1.0, 0.0);
                canvas.ellipse(
                    (px - size * 0.3, py - size * 0.35),
                    (size * 0.4, size * 0.35),
                    mix(fruit, cream, 0.6),
                    0.75,
                    0.9,
                );
            }
        }
    }
    let stripes = 9;
    for stripe in 0..stripes {
        let (a, b) = (stripe as f32 / stripes as f32, (stripe + 1) as f32 / stripes as f32);
        let color = if stripe % 2 == 0 { cloth } else { cream };
        let upper = |t: f32| x + wide * (0.08 + 0.84 * t);
        let lower = |t: f32| x + wide * (1.1 * t - 0.05);
        canvas.polygon_with(
            &[(upper(a), roof), (upper(b), roof), (lower(b), edge), (lower(a), edge)],
            1.0,
            |_, py| shade(color, 1.06 - 0.26 * smooth(roof, edge, py)),
        );
        let middle = (lower(a) + lower(b)) * 0.5;
        canvas.ellipse(
            (middle, edge),
            ((lower(b) - lower(a)) * 0.5, wide * 0.045),
            shade(color, 0.84),
            1.0,
            0.0,
        );
    }
    let bulb = (x + wide * 0.5, edge + wide * 0.1);
    canvas.line((bulb.0, edge), bulb, 1.6, hex(0x20180f), 1.0);
    canvas.glow(bulb, wide * 0.26, hex(0xffcf7a), 0.6);
    canvas.ellipse(bulb, (wide * 0.016, wide * 0.02), hex(0xfff6d8), 1.0, 0.2);
}

/// A school with a flag in its yard.
pub(super) fn school(canvas: &mut Canvas, seed: u64) {
    let mut dice = Dice::new(seed, 11);
    let width = canvas.width();
    canvas.gradient(0.0, 640.0, &[(0.0, hex(0x4f9fdb)), (1.0, hex(0xe9f5f4))]);
    clouds(canvas, seed ^ 2, (0.0, 460.0), hex(0xffffff), hex(0xb9d2e2), 0.42);
    canvas.below(
        |x| 470.0 - 60.0 * noise2(seed, x / 240.0, 0.5),
        |_, _, depth| mix(hex(0x6f9c9a), hex(0xb9d3c0), smooth(0.0, 160.0, depth)),
    );
    for place in 0..9 {
        tree(
            canvas,
            &mut dice,
            (width * (place as f32 + 0.3) / 9.0, 640.0),
            230.0,
            hex(0x3f7f45),
            None,
        );
    }
    let (left, right, foot) = (width * 0.14, width * 0.86, 690.0);
    let wall = hex([0xf0c861, 0xf3e3bf, 0xefb27a][(seed % 3) as usize]);
    canvas.polygon_with(
        &[(left, 390.0), (right, 390.0), (right, foot), (left, foot)],
        1.0,
        |_, y| shade(wall, 0.92 + 0.1 * smooth(foot, 390.0, y)),
    );
    canvas.polygon_with(
        &[
            (left - 26.0, 394.0),
            (left + 56.0, 318.0),
            (right - 56.0, 318.0),
            (right + 26.0, 394.0),
        ],
        1.0,
        |x, y| {
            let tile = ((x / 8.0).sin() * 0.5 + 0.5) * 0.2 + if (y / 11.0).fract() < 0.2 { -0.12 } else { 0.0 };
            shade(hex(0xb4492e), 0.84 + tile)
        },
    );
    for floor in 0..2 {
        let y = 412.0 + 140.0 * floor as f32;
        canvas.rect(left, y + 116.0, right - left, 10.0, hex(0xfaf4e4), 1.0);
        let rooms = 12;
        for room in 0..rooms {
            let x = left + (right - left) * (room as f32 + 0.14) / rooms as f32;
            let wide = (right - left) / rooms as f32 * 0.72;
            canvas.rect(x - 3.0, y + 9.0, wide + 6.0, 88.0, hex(0xfaf4e4), 1.0);
            canvas.polygon_with(
                &[(x, y + 12.0), (x + wide, y + 12.0), (x + wide, y + 94.0), (x, y + 94.0)],
                1.0,
                |px, py| {
                    mix(
                        hex(0x27425c),
                        hex(0x9cc4da),
                        smooth(0.0, 90.0, (px - x) * 0.6 + y + 80.0 - py),
                    )
                },
            );
            for side in [0.0, 0.72] {
                canvas.rect(x + wide * side, y + 12.0, wide * 0.28, 82.0, hex(0x2f7f9c), 1.0);
                for slat in 0..8 {
                    canvas.rect(
                        x + wide * side,
                        y + 16.0 + 10.0 * slat as f32,
                        wide * 0.28,
                        2.2,
                        hex(0x1d5a72),
                        0.8,
                    );
                }
            }
        }
    }
    let middle = width * 0.5;
    canvas.rect(middle - 96.0, 330.0, 192.0, 362.0, shade(wall, 1.05), 1.0);
    canvas.polygon(
        &[(middle - 116.0, 334.0), (middle, 258.0), (middle + 116.0, 334.0)],
        hex(0xa63f28),
        1.0,
    );
    canvas.ellipse((middle, 384.0), (34.0, 34.0), hex(0xfbfbf5), 1.0, 0.0);
    canvas.line((middle, 384.0), (middle, 360.0), 3.6, hex(0x22262e), 1.0);
    canvas.line((middle, 384.0), (middle + 17.0, 391.0), 3.6, hex(0x22262e), 1.0);
    canvas.rect(middle - 74.0, 440.0, 148.0, 34.0, hex(0x1d5f8f), 1.0);
    canvas.rect(middle - 60.0, 454.0, 120.0, 6.0, hex(0xf4f4ee), 0.9);
    canvas.rect(middle - 44.0, 560.0, 88.0, 132.0, hex(0x5a3a28), 1.0);
    canvas.line((middle, 562.0), (middle, 690.0), 3.0, hex(0x2e1c12), 1.0);
    canvas.below(
        |_| foot,
        |x, y, depth| {
            let (near, across) = (depth / 310.0, (x - middle) / (depth + 190.0));
            let joint = ((across * 9.0).fract().abs() < 0.035) || ((900.0 / (depth + 60.0)).fract() < 0.05);
            let base = mix(hex(0xd0b592), hex(0xb98d66), near);
            shade(
                base,
                0.97 + 0.08 * (noise2(seed, x / 6.0, y / 4.0) - 0.5) - if joint { 0.1 } else { 0.0 },
            )
        },
    );
    let pole = middle - 190.0;
    canvas.line((pole, 800.0), (pole, 190.0), 6.0, hex(0xe4e6e8), 1.0);
    let wave = |t: f32, low: f32| (pole + 150.0 * t, 196.0 + low + 9.0 * (t * 6.0 + seed as f32).sin() * t);
    let flag: Vec<(f32, f32)> = (0..=12)
        .map(|i| wave(i as f32 / 12.0, 0.0))
        .chain((0..=12).rev().map(|i| wave(i as f32 / 12.0, 98.0)))
        .collect();
    canvas.polygon_with(&flag, 1.0, |x, _| {
        shade(hex(0xda251d), 0.94 + 0.1 * ((x - pole) / 22.0 + seed as f32).sin())
    });
    let (sx, sy) = wave(0.5, 49.0);
    star(canvas, (sx, sy), 29.0, hex(0xffe14a));
    canvas.rect(pole - 34.0, 792.0, 68.0, 16.0, hex(0xc4b8a4), 1.0);
    for child in 0..16 {
        let near = child as f32 / 16.0;
        let place = (dice.range(width * 0.06, width * 0.94), 715.0 + 215.0 * near);
        person(canvas, place, 62.0 + 66.0 * near, hex(0xfafaf7), hex(0x22345c), true);
    }
    let flame = hex(0xe8452c);
    tree(
        canvas,
        &mut dice,
        (width * 0.06, 850.0),
        520.0,
        hex(0x3f8a3d),
        Some(flame),
    );
    tree(
        canvas,
        &mut dice,
        (width * 0.95, 880.0),
        560.0,
        hex(0x3a7f3a),
        Some(flame),
    );
}
