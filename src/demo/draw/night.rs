//! After dark: a city on a river, a lantern festival.

use super::canvas::{Canvas, Rgb, hex, mix, shade, smooth};
use super::noise::{Dice, fbm1, fbm2, noise1};

/// A skyline with lit windows over dark water, and a bridge with lights.
pub(super) fn city_night(canvas: &mut Canvas, seed: u64) {
    let mut dice = Dice::new(seed, 6);
    let palettes = [
        [0x070b22, 0x1b2a5c, 0x6a4a86, 0xf0a06a],
        [0x061a2e, 0x114466, 0x3f7f96, 0xf4c58a],
        [0x120821, 0x3a1c5a, 0x94406e, 0xff9a5c],
    ];
    let [zenith, upper, lower, rim] = palettes[(seed % 3) as usize].map(hex);
    let (width, level) = (canvas.width(), 690.0);
    canvas.gradient(0.0, level, &[(0.0, zenith), (0.5, upper), (0.85, lower), (1.0, rim)]);
    for _ in 0..170 {
        let (x, y) = (dice.range(0.0, width), dice.range(0.0, 380.0));
        canvas.ellipse((x, y), (1.2, 1.2), hex(0xffffff), dice.range(0.15, 0.8), 0.8);
    }
    let moon = (width * dice.range(0.1, 0.9), dice.range(90.0, 200.0));
    canvas.glow(moon, 260.0, hex(0xaebbe6), 0.3);
    canvas.ellipse(moon, (36.0, 36.0), hex(0xf6f1dc), 1.0, 0.04);
    canvas.ellipse((moon.0 - 10.0, moon.1 - 6.0), (9.0, 8.0), hex(0xd9d2bb), 0.6, 0.5);
    canvas.ellipse((moon.0 + 13.0, moon.1 + 11.0), (6.0, 5.0), hex(0xd9d2bb), 0.6, 0.5);
    canvas.veil(150.0, 560.0, |x, y| {
        (
            mix(lower, rim, 0.25),
            smooth(0.5, 0.8, fbm2(seed ^ 4, x / 420.0, y / 80.0, 4)) * 0.4,
        )
    });
    canvas.below(
        |x| level - 60.0 - 90.0 * fbm1(seed ^ 2, x / 300.0, 3),
        |_, _, _| mix(upper, lower, 0.45),
    );
    for layer in 0..3 {
        let near = layer as f32 / 2.0;
        let body = mix(mix(upper, lower, 0.55), hex(0x060914), 0.25 + 0.68 * near);
        let mut x = -30.0;
        while x < width {
            let wide = dice.range(38.0, 92.0) + 16.0 * near;
            let middle = 1.0 - ((x / width) - 0.5).abs() * 1.2;
            let tall = dice.range(110.0, 330.0) * middle * (1.08 - 0.32 * near) + 30.0;
            tower(canvas, &mut dice, (x, level), (wide, tall), body, near);
            x += wide + dice.range(-8.0, 26.0);
        }
    }
    canvas.rect(0.0, level - 12.0, width, 14.0, hex(0x0a0d18), 1.0);
    for lamp in 0..(width / 46.0) as u32 {
        let x = 20.0 + lamp as f32 * 46.0;
        canvas.line((x, level - 10.0), (x, level - 34.0), 2.0, hex(0x11131d), 1.0);
        canvas.glow((x, level - 36.0), 30.0, hex(0xffc170), 0.75);
        canvas.ellipse((x, level - 36.0), (3.2, 3.2), hex(0xfff1cc), 1.0, 0.3);
    }
    bridge(canvas, width, level);
    let waves = seed ^ 0x99;
    canvas.water(level + 2.0, hex(0x050a18), 0.42, |x, y| {
        let near = (y - level) / 310.0;
        let wave = noise1(waves, y / (2.2 + 7.0 * near) + x / 300.0) - 0.5;
        (wave * (10.0 + 34.0 * near), wave * (24.0 + 110.0 * near))
    });
}

fn tower(canvas: &mut Canvas, dice: &mut Dice, foot: (f32, f32), size: (f32, f32), body: Rgb, near: f32) {
    let ((x, y), (wide, tall)) = (foot, size);
    let top = y - tall;
    canvas.rect(x, top, wide, tall, body, 1.0);
    canvas.rect(x + wide * 0.78, top, wide * 0.22, tall, shade(body, 0.72), 1.0);
    match (dice.next() * 4.0) as u32 {
        0 => {
            canvas.rect(x + wide * 0.25, top - 14.0, wide * 0.5, 15.0, body, 1.0);
            canvas.line(
                (x + wide * 0.5, top - 12.0),
                (x + wide * 0.5, top - 52.0),
                2.2,
                body,
                1.0,
            );
            canvas.glow((x + wide * 0.5, top - 53.0), 14.0, hex(0xff4a3d), 0.9);
        }
        1 => canvas.polygon(
            &[(x, top + 1.0), (x + wide, top - 26.0), (x + wide, top + 1.0)],
            body,
            1.0,
        ),
        _ => canvas.rect(x + wide * 0.12, top - 9.0, wide * 0.3, 10.0, body, 1.0),
    }
    let (step_x, step_y) = (8.0 + 3.0 * near, 11.0 + 4.0 * near);
    let warm = hex(dice.pick(&[0xffd48a, 0xffe2ae, 0xffbf6b, 0xcfe3ff]));
    let share = dice.range(0.22, 0.6);
    let mut wy = top + 8.0;
    while wy < y - 16.0 {
        let mut wx = x + 5.0;
        while wx < x + wide - 7.0 {
            if dice.chance(share) {
                canvas.rect(
                    wx,
                    wy,
                    step_x * 0.5,
                    step_y * 0.48,
                    shade(warm, dice.range(0.55, 1.0)),
                    0.45 + 0.5 * near,
                );
            }
            wx += step_x;
        }
        wy += step_y;
    }
}

fn bridge(canvas: &mut Canvas, width: f32, level: f32) {
    let (deck, dark) = (level - 46.0, hex(0x141a2c));
    let place = |t: f32| {
        (
            width * (0.42 + 0.62 * t),
            deck - 16.0 * (t * std::f32::consts::PI).sin(),
        )
    };
    for pylon in [0.28_f32, 0.72] {
        let (x, y) = place(pylon);
        let top = y - 190.0;
        for cable in 1..=9 {
            let reach = cable as f32 * 0.024;
            for side in [-1.0, 1.0] {
                canvas.line(
                    (x, top + cable as f32 * 4.0),
                    place(pylon + side * reach),
                    1.3,
                    hex(0xf7d9a0),
                    0.6,
                );
            }
        }
        canvas.polygon(
            &[
                (x - 12.0, level + 3.0),
                (x - 4.0, top - 8.0),
                (x + 4.0, top - 8.0),
                (x + 12.0, level + 3.0),
            ],
            hex(0x3a4668),
            1.0,
        );
        canvas.glow((x, top), 46.0, hex(0xffd9a0), 0.55);
    }
    let deck_line: Vec<(f32, f32)> = (0..=30).map(|i| place(i as f32 / 30.0)).collect();
    canvas.path(&deck_line, 9.0, dark, 1.0);
    for lamp in 0..=40 {
        let (x, y) = place(lamp as f32 / 40.0);
        canvas.glow((x, y - 5.0), 15.0, hex(0xffcf7a), 0.8);
    }
}

/// Silk lanterns over an old street by the water.
pub(super) fn lanterns(canvas: &mut Canvas, seed: u64) {
    let mut dice = Dice::new(seed, 7);
    let (width, level) = (canvas.width(), 770.0);
    let palettes = [
        [0x0c1030, 0x3b1f4d, 0x8a3b3f],
        [0x07182b, 0x1d3557, 0x7a4a3a],
        [0x150b26, 0x4a1a3e, 0xa04a2e],
    ];
    let [zenith, upper, lower] = palettes[(seed % 3) as usize].map(hex);
    canvas.gradient(0.0, level, &[(0.0, zenith), (0.6, upper), (1.0, lower)]);
    let mut x = -20.0;
    while x < width {
        let wide = dice.range(120.0, 200.0);
        old_house(canvas, &mut dice, (x, level), (wide, dice_height(seed, x)));
        x += wide;
    }
    for _ in 0..60 {
        let (x, y) = (dice.range(0.0, width), dice.range(430.0, level));
        let size = dice.range(7.0, 26.0);
        canvas.ellipse(
            (x, y),
            (size, size),
            hex(dice.pick(&[0xffc26b, 0xff8f5a, 0xffe3a3, 0xff6f7d])),
            dice.range(0.06, 0.2),
            0.14,
        );
    }
    for string in 0..5 {
        let near = string as f32 / 4.0;
        let (left, right) = (
            60.0 + 110.0 * (1.0 - near) + dice.range(-30.0, 30.0),
            40.0 + 130.0 * (1.0 - near) + dice.range(-30.0, 30.0),
        );
        let sag = 60.0 + 90.0 * near;
        let drop = 250.0 - 240.0 * near;
        let at = |t: f32| (width * t, left + (right - left) * t + drop + sag * 4.0 * t * (1.0 - t));
        let cord: Vec<(f32, f32)> = (0..=40).map(|i| at(i as f32 / 40.0)).collect();
        canvas.path(&cord, 1.5 + near, hex(0x0d0a12), 0.9);
        let count = 13 - string * 2;
        for lamp in 0..count {
            let (x, y) = at((lamp as f32 + 0.5 + dice.range(-0.12, 0.12)) / count as f32);
            let size = (20.0 + 42.0 * near * near) * dice.range(0.85, 1.2);
            let silk = hex(dice.pick(&[0xe8352e, 0xf7a821, 0xf06a2a, 0xe2558c, 0x3fa7a0, 0x6c7fe0, 0xf4d35e]));
            lantern(
                canvas,
                (x, y + size * 1.25),
                size,
                silk,
                seed.wrapping_add(lamp).is_multiple_of(3),
            );
        }
    }
    let waves = seed ^ 0x55;
    canvas.water(level, hex(0x0a0a1c), 0.3, |x, y| {
        let near = (y - level) / 230.0;
        let wave = noise1(waves, y / (2.0 + 6.0 * near) + x / 200.0) - 0.5;
        (wave * (10.0 + 30.0 * near), wave * (16.0 + 70.0 * near))
    });
    canvas.rect(0.0, level - 8.0, width, 10.0, hex(0x1a1216), 1.0);
    for _ in 0..22 {
        let (x, y) = (dice.range(0.0, width), dice.range(level + 30.0, 985.0));
        let size = 7.0 + 16.0 * (y - level) / 230.0;
        let petal = hex(dice.pick(&[0xffb25e, 0xff7d6b, 0xff9ac0, 0xffe08a]));
        canvas.glow((x, y), size * 3.6, hex(0xffb45c), 0.6);
        for (side, tone) in [(-1.0, 0.8), (1.0, 0.9), (0.0, 1.0)] {
            canvas.polygon(
                &[
                    (x + side * size * 0.9 - size * 0.4, y - size * 0.5),
                    (x + side * size * 0.9 + size * 0.4, y - size * 0.5),
                    (x + side * size * 0.35, y + size * 0.35),
                ],
                shade(petal, tone),
                0.95,
            );
        }
        canvas.ellipse((x, y - size * 0.45), (size * 0.24, size * 0.4), hex(0xfff4cf), 1.0, 0.4);
    }
}

fn dice_height(seed: u64, x: f32) -> f32 {
    300.0 + 130.0 * noise1(seed ^ 0x31, x / 90.0)
}

fn old_house(canvas: &mut Canvas, dice: &mut Dice, foot: (f32, f32), size: (f32, f32)) {
    let ((x, y), (wide, tall)) = (foot, size);
    let wall = mix(
        hex(dice.pick(&[0xc98a2e, 0xb8742c, 0x9a5a3a, 0xc79a4b])),
        hex(0x1a1030),
        0.5,
    );
    let top = y - tall;
    canvas.polygon_with(&[(x, top), (x + wide, top), (x + wide, y), (x, y)], 1.0, |_, py| {
        shade(wall, 0.5 + 0.75 * smooth(top, y, py))
    });
    let roof = hex(0x2b1a22);
    canvas.polygon(
        &[
            (x - 12.0, top + 10.0),
            (x + wide * 0.12, top - 44.0),
            (x + wide * 0.88, top - 44.0),
            (x + wide + 12.0, top + 10.0),
        ],
        roof,
        1.0,
    );
    for tile in 0..(wide / 9.0) as u32 {
        let tx = x + tile as f32 * 9.0;
        canvas.line((tx + 4.0, top - 40.0), (tx, top + 8.0), 1.4, shade(roof, 1.5), 0.5);
    }
    let glow = hex(0xffb65c);
    for (row, high) in [(0.16, 0.22), (0.58, 0.42)] {
        for column in 0..3 {
            let wx = x + wide * (0.12 + 0.28 * column as f32);
            let lit = dice.chance(0.72);
            let color = if lit {
                shade(glow, dice.range(0.75, 1.0))
            } else {
                shade(wall, 0.3)
            };
            canvas.rect(
                wx - 3.0,
                top + tall * row - 3.0,
                wide * 0.2 + 6.0,
                tall * high + 6.0,
                hex(0x24150f),
                1.0,
            );
            canvas.rect(wx, top + tall * row, wide * 0.2, tall * high, color, 1.0);
            canvas.line(
                (wx + wide * 0.1, top + tall * row),
                (wx + wide * 0.1, top + tall * (row + high)),
                2.6,
                hex(0x24150f),
                1.0,
            );
            if lit {
                canvas.glow(
                    (wx + wide * 0.1, top + tall * (row + high * 0.6)),
                    wide * 0.36,
                    glow,
                    0.3,
                );
            }
        }
    }
    canvas.rect(x, top + tall * 0.46, wide, 8.0, hex(0x2a1812), 1.0);
}

fn lantern(canvas: &mut Canvas, center: (f32, f32), size: f32, silk: Rgb, round: bool) {
    let (x, y) = center;
    let (rx, ry) = if round {
        (size * 0.8, size * 0.78)
    } else {
        (size * 0.66, size * 0.95)
    };
    canvas.glow(center, size * 3.2, silk, 0.55);
    canvas.line((x, y - ry - size * 0.35), (x, y - ry), 1.6, hex(0x1a1014), 1.0);
    canvas.ellipse(center, (rx, ry), shade(silk, 0.78), 1.0, 0.0);
    canvas.ellipse((x, y + ry * 0.08), (rx * 0.8, ry * 0.86), silk, 0.9, 0.5);
    canvas.ellipse(
        (x, y + ry * 0.14),
        (rx * 0.45, ry * 0.6),
        mix(silk, hex(0xfff3c4), 0.72),
        0.9,
        0.8,
    );
    for rib in [-0.66_f32, -0.33, 0.0, 0.33, 0.66] {
        let points: Vec<(f32, f32)> = (0..=10)
            .map(|i| (i as f32 * 18.0 - 90.0).to_radians())
            .map(|turn| (x + rib * rx * turn.cos(), y + ry * turn.sin()))
            .collect();
        canvas.path(&points, 1.2, shade(silk, 0.5), 0.55);
    }
    canvas.rect(x - rx * 0.3, y - ry - 2.0, rx * 0.6, size * 0.1, hex(0x3a1d12), 1.0);
    canvas.rect(x - rx * 0.3, y + ry - 3.0, rx * 0.6, size * 0.1, hex(0x3a1d12), 1.0);
    for thread in [-0.12_f32, 0.0, 0.12] {
        canvas.line(
            (x + thread * rx, y + ry + 2.0),
            (x + thread * rx * 2.4, y + ry + size * 0.62),
            1.6,
            shade(silk, 0.9),
            0.95,
        );
    }
}
