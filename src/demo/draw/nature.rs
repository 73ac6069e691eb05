//! Mountains in mist, a river at dusk, a forest.

use super::canvas::{Canvas, Rgb, hex, mix, shade, smooth};
use super::figures::{birds, clouds, farmer};
use super::noise::{Dice, fbm1, fbm2, noise1};

/// Ridges behind ridges with mist between them, and firs on the nearest.
pub(super) fn mist_mountains(canvas: &mut Canvas, seed: u64) {
    let mut dice = Dice::new(seed, 1);
    let palettes = [
        [0x5f86b3, 0xf3c9a5, 0xffe9cf, 0x14303c],
        [0x4f9cc4, 0xbfe3e6, 0xf4fbf3, 0x123b35],
        [0x4a3f7a, 0xe58f7b, 0xffd9a8, 0x1c1a3a],
        [0x7fa6a8, 0xdfe6cf, 0xfff6dc, 0x1d3a2a],
    ];
    let [zenith, low, haze, dark] = palettes[(seed % 4) as usize].map(hex);
    canvas.gradient(0.0, 700.0, &[(0.0, zenith), (0.65, low), (1.0, haze)]);
    canvas.gradient(700.0, 1000.0, &[(0.0, haze), (1.0, haze)]);
    let width = canvas.width();
    let sun = (width * dice.range(0.25, 0.75), dice.range(250.0, 360.0));
    canvas.glow(sun, 620.0, mix(haze, hex(0xffb070), 0.4), 0.42);
    canvas.glow(sun, 190.0, hex(0xfff0c8), 0.5);
    canvas.ellipse(sun, (44.0, 44.0), hex(0xfffbe8), 0.95, 0.06);
    clouds(
        canvas,
        seed ^ 77,
        (40.0, 460.0),
        mix(haze, hex(0xffffff), 0.5),
        mix(low, zenith, 0.3),
        0.2,
    );
    birds(canvas, &mut dice, (width * 0.6, 300.0), 7, mix(dark, low, 0.3));
    let layers = 7;
    for layer in 0..layers {
        let near = layer as f32 / (layers - 1) as f32;
        let level = |near: f32| 400.0 + 400.0 * near * near + 90.0 * near;
        let (base, height) = (level(near), 210.0 - 60.0 * near);
        let (stretch, own) = (420.0 - 160.0 * near, seed.wrapping_add(layer * 101));
        let line = |x: f32| {
            let ridge = 1.0 - (fbm1(own, x / stretch, 5) * 2.0 - 1.0).abs();
            base - height * (ridge * ridge * 1.25 - 0.35) - 7.0 * fbm1(own ^ 9, x / 22.0, 2)
        };
        let body = mix(mix(low, zenith, 0.45), dark, 0.12 + 0.88 * near.powf(1.3));
        let floor = if layer + 1 == layers {
            1000.0
        } else {
            level(near + 1.0 / (layers - 1) as f32) + height * 0.38
        };
        canvas.band(line, floor, |x, _, depth| {
            let lit = 0.06 * (noise1(own ^ 5, (x + depth * 0.7) / 26.0) - 0.5) * (1.0 - near * 0.5);
            let foot = mix(body, haze, smooth(20.0, 270.0, depth) * (0.9 - 0.62 * near));
            foot.map(|channel| channel + lit)
        });
        if layer + 2 >= layers {
            let size = if layer + 1 == layers { 62.0 } else { 30.0 };
            let mut x = -20.0;
            while x < width + 20.0 {
                x += dice.range(size * 0.12, size * 0.7);
                if noise1(own ^ 3, x / 170.0) > 0.42 {
                    fir(
                        canvas,
                        (x, line(x) + 8.0),
                        size * dice.range(0.5, 1.2),
                        shade(body, 0.9),
                    );
                }
            }
        }
        if layer + 1 < layers {
            let drift = own ^ 0xf0;
            canvas.veil(base - 60.0, base + 190.0, |x, y| {
                let band = smooth(base - 60.0, base + 60.0, y) * smooth(base + 190.0, base + 90.0, y);
                (
                    haze,
                    band * smooth(0.35, 0.75, fbm2(drift, x / 300.0, y / 70.0, 3)) * 0.8,
                )
            });
        }
    }
}

fn fir(canvas: &mut Canvas, foot: (f32, f32), tall: f32, color: Rgb) {
    let (x, y) = foot;
    for tier in 0..4 {
        let up = y - tall * (0.12 + 0.21 * tier as f32);
        let half = tall * (0.2 - 0.042 * tier as f32);
        canvas.polygon(&[(x - half, up), (x, up - tall * 0.32), (x + half, up)], color, 1.0);
    }
    canvas.line((x, y + 6.0), (x, y - tall * 0.2), tall * 0.05, color, 1.0);
}

/// A wide river under an evening sky, with boats going home.
pub(super) fn river_dusk(canvas: &mut Canvas, seed: u64) {
    let mut dice = Dice::new(seed, 2);
    let palettes = [
        [0x29335c, 0xb5557a, 0xf79a5b, 0xffdf9e],
        [0x1d4063, 0x7d7aa6, 0xf2a07d, 0xffe3b5],
        [0x3a2a52, 0xd3574f, 0xffa546, 0xffe08a],
    ];
    let [zenith, upper, lower, gold] = palettes[(seed % 3) as usize].map(hex);
    let (width, level) = (canvas.width(), 560.0);
    canvas.gradient(0.0, level, &[(0.0, zenith), (0.45, upper), (0.8, lower), (1.0, gold)]);
    let sun = (width * dice.range(0.3, 0.7), level - dice.range(70.0, 120.0));
    clouds(
        canvas,
        seed ^ 3,
        (20.0, 480.0),
        mix(gold, lower, 0.4),
        mix(zenith, upper, 0.6),
        0.38,
    );
    canvas.glow(sun, 560.0, lower, 0.5);
    canvas.glow(sun, 170.0, gold, 0.6);
    canvas.ellipse(sun, (48.0, 48.0), hex(0xfff6d8), 1.0, 0.05);
    for layer in 0..3_u64 {
        let near = layer as f32 / 2.0;
        let own = seed.wrapping_add(40 + layer);
        let body = mix(
            mix(lower, upper, 0.7),
            mix(zenith, hex(0x0b1020), 0.5),
            0.25 + 0.6 * near,
        );
        let top = level - 150.0 + 55.0 * layer as f32;
        canvas.below(
            |x| top + 150.0 * (fbm1(own, x / (300.0 - 60.0 * near), 4) - 0.2).max(0.0),
            |_, _, depth| mix(body, lower, smooth(0.0, 200.0, depth) * 0.35),
        );
    }
    let shore = mix(zenith, hex(0x0a0d18), 0.7);
    canvas.below(|x| level - 26.0 * (fbm1(seed ^ 8, x / 70.0, 3) - 0.25), |_, _, _| shore);
    let mut x = dice.range(20.0, 80.0);
    while x < width {
        let tall = dice.range(24.0, 70.0);
        palm(canvas, &mut dice, (x, level - 6.0), tall, shore);
        if dice.chance(0.5) {
            canvas.rect(x + 16.0, level - 22.0, 34.0, 20.0, shore, 1.0);
            canvas.polygon(
                &[
                    (x + 10.0, level - 20.0),
                    (x + 33.0, level - 38.0),
                    (x + 56.0, level - 20.0),
                ],
                shore,
                1.0,
            );
            canvas.rect(x + 28.0, level - 16.0, 6.0, 8.0, gold, 0.9);
        }
        x += dice.range(35.0, 190.0);
    }
    let waves = seed ^ 0x77;
    canvas.water(level, mix(zenith, hex(0x101c30), 0.45), 0.34, |x, y| {
        let near = (y - level) / 440.0;
        let wave = noise1(waves, y / (2.0 + 9.0 * near) + x / 260.0) - 0.5;
        (wave * (14.0 + 60.0 * near), wave * (10.0 + 60.0 * near))
    });
    for step in 0..150 {
        let near = step as f32 / 150.0;
        let y = level + 4.0 + 430.0 * near * near;
        let x = sun.0 + dice.range(-1.0, 1.0) * (30.0 + 150.0 * near);
        let long = dice.range(8.0, 26.0) * (0.6 + 2.2 * near);
        canvas.ellipse((x, y), (long, 1.2 + 3.2 * near), gold, 0.55 * (1.0 - near * 0.6), 0.7);
    }
    for boat in 0..4 {
        let near = [0.12, 0.26, 0.5, 0.8][boat];
        let place = (
            width * dice.range(0.12 + 0.1 * boat as f32, 0.5 + 0.12 * boat as f32),
            level + 20.0 + 300.0 * near,
        );
        sampan(canvas, place, 60.0 + 200.0 * near, shade(shore, 0.8), gold);
    }
    for _ in 0..130 {
        let x = if dice.chance(0.62) {
            dice.range(-10.0, width * 0.26)
        } else {
            dice.range(width * 0.85, width)
        };
        let tall = dice.range(60.0, 230.0) * (1.0 - (x / width - 0.1).abs().min(0.5));
        let lean = dice.range(-40.0, 40.0);
        canvas.path(
            &[
                (x, 1005.0),
                (x + lean * 0.3, 1000.0 - tall * 0.6),
                (x + lean, 1000.0 - tall),
            ],
            3.4,
            shade(shore, 0.7),
            0.95,
        );
    }
}

fn palm(canvas: &mut Canvas, dice: &mut Dice, foot: (f32, f32), tall: f32, color: Rgb) {
    let (x, y) = foot;
    let top = (x + dice.range(-0.15, 0.15) * tall, y - tall);
    canvas.line(foot, top, 3.0, color, 1.0);
    for leaf in 0..8 {
        let turn = (leaf as f32 * 45.0 + 12.0).to_radians();
        let tip = (
            top.0 + turn.cos() * tall * 0.36,
            top.1 + turn.sin().abs() * tall * 0.22 - tall * 0.06,
        );
        let knee = (top.0 + turn.cos() * tall * 0.2, top.1 - tall * 0.1);
        canvas.path(&[top, knee, tip], 2.6, color, 1.0);
    }
}

fn sampan(canvas: &mut Canvas, at: (f32, f32), long: f32, color: Rgb, light: Rgb) {
    let (x, y) = at;
    let half = long * 0.5;
    canvas.ellipse(
        (x, y + long * 0.13),
        (half * 0.92, long * 0.07),
        shade(color, 0.7),
        0.5,
        0.5,
    );
    let hull: Vec<(f32, f32)> = (0..=16)
        .map(|i| (i as f32 / 8.0 - 1.0, true))
        .chain((0..=16).map(|i| (1.0 - i as f32 / 8.0, false)))
        .map(|(t, upper)| {
            (
                x + t * half,
                y - long * 0.1 * t * t + if upper { 0.0 } else { long * 0.085 * (1.0 - t * t) },
            )
        })
        .collect();
    canvas.polygon(&hull, color, 1.0);
    let roof: Vec<(f32, f32)> = (0..=12)
        .map(|i| (180.0 - i as f32 * 15.0).to_radians())
        .map(|turn| {
            (
                x + long * 0.06 + turn.cos() * long * 0.16,
                y + long * 0.02 - turn.sin() * long * 0.13,
            )
        })
        .collect();
    canvas.polygon(&roof, mix(color, light, 0.14), 1.0);
    farmer(
        canvas,
        (x - half * 0.62, y),
        long * 0.34,
        mix(color, hex(0x6a4a58), 0.4),
        false,
    );
    canvas.line(
        (x - half * 0.45, y - long * 0.24),
        (x - half * 1.12, y + long * 0.13),
        long * 0.012,
        color,
        1.0,
    );
    canvas.glow((x + long * 0.06, y - long * 0.04), long * 0.16, light, 0.5);
}

/// Tall trunks going back into the light, ferns on the floor.
pub(super) fn forest(canvas: &mut Canvas, seed: u64) {
    let mut dice = Dice::new(seed, 3);
    let palettes = [
        [0xf2f7c4, 0x9cc46a, 0x12301c],
        [0xfff0cf, 0xb9b467, 0x1f2c16],
        [0xd9f3ee, 0x7fb99a, 0x0d2a2a],
    ];
    let [light, middle, dark] = palettes[(seed % 3) as usize].map(hex);
    let width = canvas.width();
    canvas.gradient(
        0.0,
        1000.0,
        &[
            (0.0, mix(middle, light, 0.35)),
            (0.45, light),
            (0.62, mix(light, middle, 0.6)),
            (1.0, mix(middle, dark, 0.7)),
        ],
    );
    let sun = (width * dice.range(0.35, 0.65), 260.0);
    canvas.glow(sun, 620.0, light, 0.35);
    for layer in 0..5_u64 {
        let near = layer as f32 / 4.0;
        let color = mix(mix(light, middle, 0.55), dark, 0.1 + 0.86 * near);
        let ground = 600.0 + 210.0 * near;
        canvas.band(
            |x| ground + 60.0 * (fbm1(seed ^ (60 + layer), x / 260.0, 4) - 0.5),
            if layer == 4 { 1000.0 } else { ground + 120.0 },
            |x, _, depth| {
                let speck = noise1(seed ^ layer, (x + depth * 3.1) / 9.0) - 0.5;
                mix(
                    shade(mix(color, middle, 0.32), 1.0 + 0.35 * speck),
                    color,
                    smooth(0.0, 190.0, depth),
                )
            },
        );
        let mut x = dice.range(-40.0, 60.0);
        while x < width + 60.0 {
            let thick = (8.0 + 62.0 * near * near) * dice.range(0.6, 1.25);
            let open = ((x - width * 0.5).abs() / width) > 0.13 * near;
            if open {
                trunk(
                    canvas,
                    &mut dice,
                    seed ^ x as u64,
                    (x, ground + 34.0 * near + 22.0),
                    thick,
                    color,
                    light,
                );
            }
            x += thick * dice.range(1.6, 6.0) + 22.0;
        }
        canvas.veil(0.0, 420.0 - 190.0 * near, |x, y| {
            let leaf = fbm2(
                seed ^ (90 + layer),
                x / (70.0 + 70.0 * near),
                y / (50.0 + 60.0 * near),
                4,
            );
            let edge = 0.4 + 0.3 * smooth(0.0, 420.0 - 190.0 * near, y);
            (
                mix(color, middle, 0.5 * (leaf - edge).max(0.0) + 0.12),
                smooth(edge, edge + 0.05, leaf),
            )
        });
        if layer == 2 {
            for ray in 0..7 {
                let foot = width * (0.08 + 0.14 * ray as f32) + dice.range(-40.0, 40.0);
                let wide = dice.range(24.0, 70.0);
                let shaft = [
                    (sun.0 - 14.0 + ray as f32 * 5.0, -60.0),
                    (sun.0 + 12.0 + ray as f32 * 5.0, -60.0),
                    (foot + wide, 860.0),
                    (foot - wide, 860.0),
                ];
                canvas.polygon_with(&shaft, dice.range(0.12, 0.26), |_, _| light);
            }
        }
    }
    for _ in 0..26 {
        let foot = (dice.range(0.0, width), dice.range(900.0, 1030.0));
        fern(canvas, &mut dice, foot, mix(dark, middle, 0.3));
    }
}

fn trunk(canvas: &mut Canvas, dice: &mut Dice, seed: u64, foot: (f32, f32), thick: f32, color: Rgb, light: Rgb) {
    let (x, y) = foot;
    let lean = dice.range(-0.03, 0.03) * 900.0;
    let shape = [
        (x - thick * 0.75, y),
        (x - thick * 0.42, y - 120.0),
        (x + lean - thick * 0.34, -10.0),
        (x + lean + thick * 0.34, -10.0),
        (x + thick * 0.42, y - 120.0),
        (x + thick * 0.75, y),
    ];
    canvas.polygon_with(&shape, 1.0, |px, py| {
        let across = (px - x - lean * (1.0 - py / y.max(1.0))) / thick.max(1.0);
        let bark = noise1(seed, px / 3.5 + noise1(seed ^ 1, py / 40.0) * 3.0) - 0.5;
        let lit = smooth(-0.1, -0.5, across) * 0.22 + bark * 0.09;
        mix(shade(color, 0.92), light, lit)
    });
}

fn fern(canvas: &mut Canvas, dice: &mut Dice, foot: (f32, f32), color: Rgb) {
    for _ in 0..7 {
        let (reach, rise) = (dice.range(-95.0, 95.0), dice.range(40.0, 110.0));
        let tone = shade(color, dice.range(0.7, 1.35));
        for step in 1..12 {
            let t = step as f32 / 12.0;
            let at = |t: f32| (foot.0 + reach * t, foot.1 - rise * (1.8 * t - t * t));
            canvas.line(at(t - 1.0 / 12.0), at(t), 2.6, tone, 1.0);
            let long = 17.0 * (1.0 - t) + 4.0;
            canvas.line(
                at(t),
                (at(t).0 + long * 0.5 * reach.signum(), at(t).1 - long),
                2.8,
                tone,
                0.95,
            );
            canvas.line(
                at(t),
                (at(t).0 + long * 0.5 * reach.signum(), at(t).1 + long * 0.8),
                2.8,
                tone,
                0.95,
            );
        }
    }
}
