//! Worked land: tea hills and rice fields.

use super::canvas::{Canvas, Rgb, hex, mix, shade, smooth};
use super::figures::{clouds, farmer, tree};
use super::noise::{Dice, fbm1, fbm2, noise1, noise2, table};

/// Rolling hills combed with rows of tea, pickers between them.
pub(super) fn tea_hills(canvas: &mut Canvas, seed: u64) {
    let mut dice = Dice::new(seed, 4);
    let palettes = [
        [0x6fb1de, 0xf6ead0, 0x8fbf4a, 0x1f5a2c],
        [0x88a9c9, 0xffdcae, 0xa3b84a, 0x2b5526],
        [0x8fd0e8, 0xf1fbf2, 0x7cc455, 0x14583a],
    ];
    let [zenith, haze, bright, deep] = palettes[(seed % 3) as usize].map(hex);
    let width = canvas.width();
    canvas.gradient(0.0, 480.0, &[(0.0, zenith), (1.0, haze)]);
    let sun = (width * dice.range(0.15, 0.85), 190.0);
    canvas.glow(sun, 560.0, hex(0xffe6ae), 0.4);
    clouds(
        canvas,
        seed ^ 5,
        (0.0, 430.0),
        hex(0xffffff),
        mix(zenith, haze, 0.6),
        0.3,
    );
    for layer in 0..3_u64 {
        let own = seed.wrapping_add(10 + layer);
        let body = mix(mix(zenith, haze, 0.35), deep, 0.18 + 0.2 * layer as f32);
        let base = 330.0 + 45.0 * layer as f32;
        canvas.below(
            |x| base - 150.0 * (fbm1(own, x / 330.0, 5) - 0.3),
            |_, _, depth| mix(body, haze, smooth(0.0, 210.0, depth) * 0.75),
        );
    }
    let hills = 5;
    for hill in 0..hills {
        let near = hill as f32 / (hills - 1) as f32;
        let own = seed.wrapping_add(200 + hill);
        let base = 460.0 + 92.0 * hill as f32 + 60.0 * near * near;
        let swell = 250.0 + 30.0 * near;
        let line = |x: f32| {
            base - swell * (fbm1(own, x / (430.0 + 160.0 * near), 2) - 0.35) - 4.0 * noise1(own ^ 2, x / 6.0) * near
        };
        let spacing = 9.0 + 24.0 * near;
        let (bright, deep) = (mix(haze, bright, 0.45 + 0.55 * near), mix(haze, deep, 0.5 + 0.5 * near));
        let floor = if hill + 1 == hills { 1000.0 } else { base + 225.0 };
        let bend = table(width, |x| 26.0 * (noise1(own ^ 7, x / 240.0) - 0.5) + 0.06 * x);
        let slope = table(width, |x| {
            (noise1(own, (x - 30.0) / 400.0) - noise1(own, (x + 30.0) / 400.0)) * 1.43
        });
        canvas.band(line, floor, |x, y, depth| {
            let curve = depth + bend(x);
            let row = curve / (spacing * (1.0 + depth / 420.0));
            let number = row as i32;
            let inside = row - number as f32;
            let crest = smooth(0.04, 0.42, inside) * smooth(1.0, 0.52, inside);
            let bush = noise2(own ^ number as u64, x / (4.0 + 8.0 * near), y / (4.0 + 6.0 * near)) - 0.5;
            let lit = crest * 0.82 + bush * 0.34 + slope(x) + 0.2 * smooth(160.0, 0.0, depth) - 0.04;
            let color = mix(deep, bright, lit);
            mix(color, shade(deep, 0.5), smooth(0.11, 0.0, (inside - 0.02).abs()) * 0.55)
        });
        if hill == 1 || hill == 2 {
            for _ in 0..5 {
                let x = dice.range(0.0, width);
                tree(
                    canvas,
                    &mut dice,
                    (x, line(x) + 14.0),
                    52.0 + 44.0 * near,
                    shade(deep, 0.85),
                    None,
                );
            }
        }
        if hill >= 2 {
            for _ in 0..(6 - hill) + 2 {
                let x = dice.range(width * 0.06, width * 0.94);
                let tall = 26.0 + 74.0 * (near - 0.4);
                let shirt = hex(dice.pick(&[0xc8443c, 0x3f6fb5, 0xe0a13a, 0x7a4b94, 0xf0ede2]));
                farmer(
                    canvas,
                    (x, line(x) + 26.0 + spacing * 1.4),
                    tall,
                    shirt,
                    dice.chance(0.65),
                );
            }
        }
        canvas.veil(base + 10.0, base + 120.0, |x, y| {
            let band = smooth(base + 10.0, base + 70.0, y) * smooth(base + 120.0, base + 80.0, y);
            (haze, band * fbm2(own ^ 4, x / 260.0, y / 60.0, 2) * 0.42 * (1.0 - near))
        });
    }
}

/// Rice to the horizon under a storm; `seed` decides how ripe the rice is and where the rain falls.
pub(super) fn rice_storm(canvas: &mut Canvas, seed: u64) {
    let mut dice = Dice::new(seed, 5);
    let (width, level) = (canvas.width(), 500.0);
    let ripe = dice.next();
    let (fresh, deep) = (
        mix(hex(0x9ed14f), hex(0xe2bf4a), ripe),
        mix(hex(0x2f6d2f), hex(0x6f5a1c), ripe),
    );
    canvas.gradient(
        0.0,
        level,
        &[
            (0.0, hex(0x27323f)),
            (0.55, hex(0x5d6b76)),
            (0.9, hex(0xc9b98e)),
            (1.0, hex(0xf1dca0)),
        ],
    );
    canvas.veil(0.0, level, |x, y| {
        let (u, v) = (x / 300.0, y * (1.0 + y / 420.0) / 140.0);
        let bend = fbm2(seed ^ 2, u * 0.6, v * 0.6, 3) * 1.6;
        let thick = fbm2(seed, u + bend, v + bend * 0.4, 5);
        let above = fbm2(seed, u + bend + 0.1, v + bend * 0.4 - 0.25, 4);
        let tone = mix(
            hex(0x2b343f),
            hex(0xa3abb0),
            0.36 + (thick - above) * 2.4 + 0.25 * y / level,
        );
        (tone, smooth(0.28, 0.52, thick) * smooth(level, level - 150.0, y))
    });
    let rain = (width * dice.range(0.15, 0.8), dice.range(120.0, 260.0));
    canvas.veil(180.0, level, |x, y| {
        let slant = x - rain.0 + (y - 180.0) * 0.22;
        let inside = smooth(rain.1, rain.1 * 0.3, slant.abs());
        (
            hex(0x6d7983),
            inside * smooth(180.0, 300.0, y) * (0.45 + 0.3 * noise1(seed, slant / 14.0)),
        )
    });
    if dice.chance(0.6) {
        lightning(canvas, &mut dice, (rain.0, 150.0), level);
    }
    canvas.below(
        |x| level - 70.0 * (fbm1(seed ^ 6, x / 260.0, 4) - 0.3).max(0.0),
        |_, _, depth| mix(hex(0x42566a), hex(0x93998a), smooth(0.0, 60.0, depth)),
    );
    canvas.below(
        |x| level - 7.0 - 13.0 * fbm1(seed ^ 16, x / 24.0, 3),
        |_, _, _| hex(0x2d3f33),
    );
    let vanish = (width * dice.range(0.38, 0.62), level - 8.0);
    canvas.below(
        |_| level,
        |x, y, depth| {
            let near = (depth / (1000.0 - level)).max(0.002);
            let across = (x - vanish.0) / (depth + 8.0);
            let plot = (across * 1.15 + 40.0).floor();
            let along = (3.2 / (near + 0.08) + plot * 0.37).floor();
            let tint = noise2(seed ^ 21, plot * 5.3, along * 3.7);
            let blade = noise2(seed ^ 31, x / (1.4 + 6.0 * near), y / (3.0 + 26.0 * near)) - 0.5;
            let row = ((across * 26.0) * std::f32::consts::PI).sin() * 0.5 + 0.5;
            let wind = noise2(seed ^ 41, across * 1.2, 2.4 / (near + 0.2)) - 0.45;
            let lit = 0.42
                + 0.4 * (tint - 0.5)
                + blade * (0.3 + 0.45 * near)
                + (row - 0.5) * 0.34 * smooth(0.02, 0.3, near)
                + wind * 0.7;
            mix(mix(deep, fresh, lit), hex(0xd9cf9c), smooth(0.16, 0.0, near) * 0.45)
        },
    );
    for ditch in [-2.6_f32, -0.9, 0.75, 2.3] {
        let (from, to) = (vanish.0 + ditch * 8.0, vanish.0 + ditch * 560.0);
        let shape = [
            (from - 1.0, level + 2.0),
            (from + 1.0, level + 2.0),
            (to + 34.0, 1010.0),
            (to - 34.0, 1010.0),
        ];
        canvas.polygon_with(&shape, 0.92, |_, y| {
            mix(hex(0xefe2b4), hex(0x5f7480), smooth(level, 1000.0, y))
        });
        canvas.line(
            (from - 1.0, level + 2.0),
            (to - 40.0, 1010.0),
            5.0,
            shade(deep, 0.55),
            0.75,
        );
        canvas.line(
            (from + 1.0, level + 2.0),
            (to + 40.0, 1010.0),
            5.0,
            shade(deep, 0.7),
            0.75,
        );
    }
    for _ in 0..4 {
        let near = dice.range(0.06, 0.42);
        let place = (vanish.0 + dice.range(-1.0, 1.0) * width * 0.42, level + 500.0 * near);
        farmer(
            canvas,
            place,
            24.0 + 200.0 * near,
            hex(dice.pick(&[0x35506e, 0x7a3d3a, 0x8a8064])),
            dice.chance(0.7),
        );
    }
    for _ in 0..520 {
        let (x, y) = (dice.range(-60.0, width), dice.range(-20.0, 1000.0));
        let long = dice.range(14.0, 46.0);
        canvas.line(
            (x, y),
            (x - long * 0.24, y + long),
            1.3,
            hex(0xdfe8ec),
            dice.range(0.06, 0.24),
        );
    }
    let blades: Vec<(f32, f32, f32)> = (0..260)
        .map(|_| (dice.range(0.0, width), dice.range(30.0, 120.0), dice.range(-34.0, 14.0)))
        .collect();
    for (x, tall, lean) in blades {
        let tone: Rgb = mix(shade(deep, 0.6), fresh, dice.range(0.1, 0.8));
        canvas.path(
            &[
                (x, 1004.0),
                (x + lean * 0.3, 1000.0 - tall * 0.65),
                (x + lean, 1000.0 - tall),
            ],
            3.0,
            tone,
            0.95,
        );
    }
}

fn lightning(canvas: &mut Canvas, dice: &mut Dice, from: (f32, f32), level: f32) {
    let mut at = from;
    let mut points = vec![at];
    while at.1 < level - 12.0 {
        at = (at.0 + dice.range(-26.0, 24.0), at.1 + dice.range(12.0, 34.0));
        points.push(at);
    }
    for &point in points.iter().step_by(2) {
        canvas.glow(point, 90.0, hex(0xbcd0ff), 0.12);
    }
    canvas.path(&points, 3.0, hex(0xf6f8ff), 0.95);
    let fork: Vec<(f32, f32)> = points
        .iter()
        .skip(points.len() / 3)
        .take(4)
        .enumerate()
        .map(|(i, p)| (p.0 + 22.0 * i as f32, p.1 + 9.0 * i as f32))
        .collect();
    canvas.path(&fork, 1.6, hex(0xe6ecff), 0.8);
}
