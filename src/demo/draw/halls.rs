//! Where people gather in rows: a stadium, an assembly hall.

use super::canvas::{Canvas, hex, mix, shade, smooth};
use super::figures::{clouds, person, star};
use super::noise::{Dice, noise2};

/// A football ground under floodlights.
pub(super) fn stadium(canvas: &mut Canvas, seed: u64) {
    let mut dice = Dice::new(seed, 8);
    let width = canvas.width();
    let palettes = [
        [0x101a3a, 0x40508a, 0xe09a70],
        [0x0b2030, 0x2d6a86, 0xf0c79a],
        [0x4a90c8, 0x8fc4e6, 0xe8f4f4],
    ];
    let [zenith, upper, low] = palettes[(seed % 3) as usize].map(hex);
    canvas.gradient(0.0, 400.0, &[(0.0, zenith), (0.6, upper), (1.0, low)]);
    clouds(
        canvas,
        seed ^ 3,
        (0.0, 320.0),
        mix(low, hex(0xffffff), 0.3),
        mix(upper, zenith, 0.4),
        0.28,
    );
    let stand = |x: f32| 292.0 + 34.0 * ((x / width - 0.5) * 2.0).powi(2);
    canvas.below(
        |x| stand(x) - 34.0,
        |_, _, depth| mix(hex(0xdfe5ec), hex(0x7b8796), smooth(0.0, 26.0, depth)),
    );
    canvas.below(stand, |_, _, depth| {
        mix(hex(0x1c2433), hex(0x39465c), smooth(0.0, 180.0, depth))
    });
    let home = hex(dice.pick(&[0xd8322c, 0x1f6fc4, 0xe8a21c]));
    let mut y = 306.0;
    while y < 486.0 {
        let size = 3.1 + (y - 300.0) * 0.016;
        let mut x = dice.range(0.0, size * 2.0);
        while x < width {
            let dy = stand(x) - 292.0;
            if y + dy < 492.0 && dice.chance(0.86) {
                let shirt = if dice.chance(0.55) {
                    home
                } else {
                    hex(dice.pick(&[0xf3efe6, 0x2f3b52, 0xf0c04a, 0x5a8fc0, 0x8a4b57]))
                };
                let light = dice.range(0.55, 1.05);
                canvas.ellipse((x, y + dy), (size * 0.95, size * 1.15), shade(shirt, light), 1.0, 0.3);
                canvas.ellipse(
                    (x, y + dy - size * 1.5),
                    (size * 0.55, size * 0.62),
                    shade(hex(0xc89a76), light),
                    1.0,
                    0.3,
                );
            }
            x += size * dice.range(2.1, 2.9);
        }
        y += size * 3.0;
    }
    canvas.below(
        |_| 490.0,
        |x, _, depth| {
            let panel = (x / 170.0).floor() as i64 as u64;
            let color = hex([0x1d4f8f, 0xb3262a, 0x0f7a55, 0xe6b325][(panel.wrapping_add(seed) % 4) as usize]);
            if depth < 24.0 {
                mix(color, hex(0xffffff), 0.12 * smooth(24.0, 0.0, depth))
            } else {
                hex(0x2f7d32)
            }
        },
    );
    pitch(canvas, seed);
    for (x, side) in [(width * 0.09, 1.0), (width * 0.91, -1.0)] {
        canvas.polygon(
            &[(x - 8.0, 330.0), (x - 3.0, 70.0), (x + 3.0, 70.0), (x + 8.0, 330.0)],
            hex(0x2b3342),
            1.0,
        );
        canvas.polygon(
            &[
                (x - 62.0, 38.0),
                (x + 62.0, 38.0 + 8.0 * side),
                (x + 58.0, 96.0),
                (x - 58.0, 96.0),
            ],
            hex(0x222a38),
            1.0,
        );
        for lamp in 0..15 {
            let at = (x - 46.0 + 23.0 * (lamp % 5) as f32, 50.0 + 17.0 * (lamp / 5) as f32);
            canvas.ellipse(at, (8.0, 6.5), hex(0xfffbe6), 1.0, 0.2);
        }
        canvas.glow((x, 66.0), 330.0, hex(0xe8f0ff), 0.5);
    }
    let away = hex(0xf4f4f0);
    for player in 0..13 {
        let (u, v) = (dice.range(-0.82, 0.82), dice.range(0.08, 0.85));
        let place = ground(width, u, v);
        let shirt = if player % 2 == 0 { home } else { away };
        let shorts = if player % 2 == 0 { hex(0xf4f4f0) } else { hex(0x1b2740) };
        person(canvas, place, 46.0 + 78.0 * v, shirt, shorts, false);
    }
    let ball = ground(width, dice.range(-0.3, 0.3), 0.6);
    canvas.ellipse((ball.0 + 8.0, ball.1 + 9.0), (12.0, 4.0), hex(0x0c2a10), 0.5, 0.6);
    canvas.ellipse(ball, (9.5, 9.5), hex(0xfafafa), 1.0, 0.0);
    canvas.ellipse((ball.0 + 2.0, ball.1 + 1.0), (3.2, 3.2), hex(0x22262e), 1.0, 0.2);
}

/// A place on the pitch: `u` from -1 to 1 along the far line, `v` from 0 far away to 1 near.
fn ground(width: f32, u: f32, v: f32) -> (f32, f32) {
    let depth = v / (2.1 - 1.1 * v);
    (width * (0.5 + u * (0.40 + 0.42 * depth)), 522.0 + 500.0 * depth)
}

fn pitch(canvas: &mut Canvas, seed: u64) {
    let width = canvas.width();
    let at = |u: f32, v: f32| ground(width, u, v);
    canvas.below(
        |_| 514.0,
        |x, y, _| {
            let grass = noise2(seed ^ 12, x / 3.0, y / 2.2) - 0.5;
            shade(hex(0x2f8a38), 0.94 + 0.16 * grass)
        },
    );
    for stripe in 0..12 {
        let (a, b) = (stripe as f32 / 6.0 - 1.0, (stripe + 1) as f32 / 6.0 - 1.0);
        let tone = if stripe % 2 == 0 { hex(0x46a848) } else { hex(0x38963d) };
        let blade = seed ^ stripe;
        canvas.polygon_with(&[at(a, 0.0), at(b, 0.0), at(b, 1.0), at(a, 1.0)], 1.0, |x, y| {
            let near = (y - 520.0) / 480.0;
            shade(
                tone,
                0.97 + (noise2(blade, x / 2.6, y / (1.6 + 3.0 * near)) - 0.5) * (0.08 + 0.16 * near),
            )
        });
    }
    let chalk = hex(0xf5fbf0);
    let mut stroke = |points: &[(f32, f32)]| {
        let drawn: Vec<(f32, f32)> = points.iter().map(|&(u, v)| at(u, v)).collect();
        for pair in drawn.windows(2) {
            let near = (pair[0].1 - 520.0) / 480.0;
            canvas.line(pair[0], pair[1], 3.0 + 5.0 * near, chalk, 0.9);
        }
    };
    stroke(&[(-0.98, 0.02), (0.98, 0.02), (0.98, 0.98), (-0.98, 0.98), (-0.98, 0.02)]);
    stroke(&[(0.0, 0.02), (0.0, 0.98)]);
    let circle: Vec<(f32, f32)> = (0..=48)
        .map(|i| (i as f32 * 7.5).to_radians())
        .map(|t| (0.19 * t.cos(), 0.5 + 0.24 * t.sin()))
        .collect();
    stroke(&circle);
    for side in [-1.0, 1.0] {
        stroke(&[
            (side * 0.98, 0.22),
            (side * 0.68, 0.22),
            (side * 0.68, 0.78),
            (side * 0.98, 0.78),
        ]);
        stroke(&[
            (side * 0.98, 0.37),
            (side * 0.87, 0.37),
            (side * 0.87, 0.63),
            (side * 0.98, 0.63),
        ]);
    }
    for side in [-1.0, 1.0] {
        let (near, far) = (at(side * 0.98, 0.57), at(side * 0.98, 0.43));
        let (near_top, far_top) = ((near.0, near.1 - 92.0), (far.0, far.1 - 74.0));
        let back = (far.0 + side * 34.0, far.1);
        for cord in 0..=9 {
            let t = cord as f32 / 9.0;
            let between = |a: (f32, f32), b: (f32, f32)| (a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t);
            let (top, low) = (between(near_top, far_top), between(near, far));
            canvas.path(&[top, (low.0 + side * 34.0, low.1 - 8.0)], 1.2, chalk, 0.45);
            let shelf = between(near_top, (near.0 + side * 34.0, near.1 - 8.0));
            canvas.path(
                &[shelf, (shelf.0 + far.0 - near.0, shelf.1 + far.1 - near.1)],
                1.2,
                chalk,
                0.4,
            );
        }
        canvas.path(&[near, near_top, far_top, far, back], 4.5, hex(0xffffff), 1.0);
    }
}

/// A meeting: a stage with a red curtain and a lectern, rows of people seen from behind.
pub(super) fn assembly_hall(canvas: &mut Canvas, seed: u64) {
    let mut dice = Dice::new(seed, 9);
    let width = canvas.width();
    let wall = hex([0xcfae7c, 0xb99a78, 0xc8b79a][(seed % 3) as usize]);
    canvas.gradient(
        0.0,
        1000.0,
        &[(0.0, shade(wall, 0.55)), (0.3, wall), (1.0, shade(wall, 0.5))],
    );
    for panel in 0..(width / 60.0) as u32 + 1 {
        canvas.rect(panel as f32 * 60.0, 90.0, 2.0, 620.0, shade(wall, 0.62), 0.5);
    }
    canvas.rect(0.0, 0.0, width, 92.0, shade(wall, 0.42), 1.0);
    for lamp in 0..9 {
        let x = width * (lamp as f32 + 0.5) / 9.0;
        canvas.ellipse((x, 60.0), (34.0, 7.0), hex(0xfff3d2), 1.0, 0.3);
        canvas.glow((x, 74.0), 210.0, hex(0xffe2a8), 0.32);
    }
    let (left, right, foot) = (width * 0.17, width * 0.83, 560.0);
    let curtain = hex([0xa81c22, 0x8f1d2c, 0x1e4f7a][(seed % 3) as usize]);
    canvas.polygon_with(
        &[(left, 120.0), (right, 120.0), (right, foot), (left, foot)],
        1.0,
        |x, y| {
            let fold = ((x - left) / 17.0 + (y / 240.0).sin() * 0.6).sin();
            shade(curtain, 0.82 + 0.26 * fold + 0.14 * smooth(560.0, 120.0, y))
        },
    );
    canvas.polygon_with(
        &[(left, 112.0), (right, 112.0), (right, 158.0), (left, 158.0)],
        1.0,
        |x, y| {
            shade(
                curtain,
                0.72 + 0.3 * ((x - left) / 46.0).sin().abs() - (y - 112.0) * 0.003,
            )
        },
    );
    let middle = width * 0.5;
    if curtain[0] > curtain[2] {
        star(canvas, (middle, 272.0), 62.0, hex(0xf7d23e));
    } else {
        canvas.rect(middle - 210.0, 190.0, 420.0, 190.0, hex(0xeef2f5), 1.0);
        for bar in 0..6 {
            let tall = 30.0 + 18.0 * bar as f32 + dice.range(-12.0, 20.0);
            canvas.rect(
                middle - 170.0 + 60.0 * bar as f32,
                360.0 - tall,
                34.0,
                tall,
                hex([0x2b7fb8, 0xe08a2e][bar % 2]),
                1.0,
            );
        }
        canvas.glow((middle, 285.0), 420.0, hex(0xdbeaff), 0.3);
    }
    canvas.polygon_with(
        &[
            (left - 70.0, foot),
            (right + 70.0, foot),
            (right + 120.0, 640.0),
            (left - 120.0, 640.0),
        ],
        1.0,
        |_, y| mix(hex(0x9a5f34), hex(0x5a331c), smooth(foot, 640.0, y)),
    );
    table(canvas, &mut dice, (middle - 60.0, foot + 6.0), width * 0.36);
    lectern(canvas, &mut dice, (left + 90.0, foot + 34.0));
    for row in 0..4 {
        let near = row as f32 / 3.0;
        let (y, size) = (668.0 + 260.0 * near.powf(1.25), 23.0 + 37.0 * near);
        let mut x = -size + (row % 2) as f32 * size * 1.4;
        canvas.rect(
            0.0,
            y + size * 1.25,
            width,
            400.0,
            mix(hex(0x3b1f1c), hex(0x140d10), near),
            1.0,
        );
        while x < width + size {
            let shirt = hex(dice.pick(&[0xe9e6de, 0x26304a, 0x3d4a3a, 0xb7c7d8, 0x5a2f35, 0x20242c, 0xd9cbb2]));
            let tone = 0.9 - 0.42 * near;
            if dice.chance(0.9) {
                let sway = dice.range(-4.0, 4.0);
                canvas.ellipse(
                    (x, y + size * 1.9),
                    (size * 1.12, size * 1.15),
                    shade(shirt, tone),
                    1.0,
                    0.04,
                );
                canvas.rect(
                    x - size * 0.2 + sway * 0.5,
                    y + size * 0.35,
                    size * 0.4,
                    size * 0.7,
                    shade(hex(0xb88a66), tone),
                    1.0,
                );
                let hair = hex(dice.pick(&[0x17120f, 0x221a17, 0x2b2826, 0x6b6864]));
                canvas.ellipse((x + sway, y), (size * 0.52, size * 0.64), shade(hair, tone), 1.0, 0.05);
                canvas.ellipse(
                    (x + sway - size * 0.12, y - size * 0.3),
                    (size * 0.26, size * 0.2),
                    shade(hair, tone * 1.7),
                    0.6,
                    0.8,
                );
            }
            canvas.polygon(
                &[
                    (x - size * 1.05, y + size * 3.4),
                    (x - size * 0.98, y + size * 1.75),
                    (x + size * 0.98, y + size * 1.75),
                    (x + size * 1.05, y + size * 3.4),
                ],
                mix(hex(0x7c2a26), hex(0x2a1012), near),
                1.0,
            );
            x += size * 2.75;
        }
    }
}

fn table(canvas: &mut Canvas, dice: &mut Dice, middle: (f32, f32), wide: f32) {
    let (x, y) = (middle.0 + 120.0, middle.1);
    for seat in 0..5 {
        let px = x - wide * 0.4 + wide * 0.2 * seat as f32;
        let suit = hex(dice.pick(&[0x1d2636, 0xe8e6e0, 0x2b2f38, 0x7a2f3d]));
        canvas.ellipse((px, y - 34.0), (27.0, 34.0), suit, 1.0, 0.04);
        canvas.polygon(
            &[(px - 7.0, y - 62.0), (px + 7.0, y - 62.0), (px, y - 36.0)],
            hex(0xf4f2ec),
            1.0,
        );
        canvas.ellipse((px, y - 80.0), (13.0, 16.0), hex(0xc9976f), 1.0, 0.05);
        canvas.ellipse((px, y - 90.0), (14.0, 10.0), hex(0x1c1613), 1.0, 0.1);
    }
    canvas.rect(x - wide * 0.5, y - 32.0, wide, 12.0, hex(0xf3efe4), 1.0);
    canvas.polygon_with(
        &[
            (x - wide * 0.5, y - 22.0),
            (x + wide * 0.5, y - 22.0),
            (x + wide * 0.5, y + 44.0),
            (x - wide * 0.5, y + 44.0),
        ],
        1.0,
        |px, _| shade(hex(0x9c1f2a), 0.85 + 0.18 * (px / 9.0).sin()),
    );
    for seat in 0..5 {
        let px = x - wide * 0.4 + wide * 0.2 * seat as f32;
        canvas.rect(px - 20.0, y - 44.0, 40.0, 14.0, hex(0xfafafa), 1.0);
        canvas.rect(px + 26.0, y - 48.0, 7.0, 18.0, hex(0xbfdff0), 0.9);
    }
}

fn lectern(canvas: &mut Canvas, dice: &mut Dice, foot: (f32, f32)) {
    let (x, y) = foot;
    person(canvas, (x, y), 168.0, hex(0x1f2a3d), hex(0x161c28), false);
    canvas.polygon(
        &[
            (x - 56.0, y - 92.0),
            (x + 56.0, y - 92.0),
            (x + 42.0, y + 12.0),
            (x - 42.0, y + 12.0),
        ],
        hex(0x6e3f20),
        1.0,
    );
    canvas.rect(x - 62.0, y - 102.0, 124.0, 14.0, hex(0x8a5530), 1.0);
    star(canvas, (x, y - 44.0), 22.0, hex(0xe8c04a));
    canvas.line((x + 24.0, y - 100.0), (x + 10.0, y - 136.0), 2.6, hex(0x15181d), 1.0);
    for _ in 0..34 {
        let at = (x + dice.range(-64.0, 64.0), y - 104.0 + dice.range(-12.0, 10.0));
        canvas.ellipse(
            at,
            (8.0, 7.0),
            hex(dice.pick(&[0xe23d4f, 0xf7b32e, 0xf3e9e2, 0x3f8a45, 0x2f7038])),
            1.0,
            0.2,
        );
    }
}
