//! From the frequencies of a block of 8 × 8 to its pixels, at full, half, quarter or eighth size.
//!
//! The smaller sizes use the lowest frequencies alone, which is a good filter for making smaller and costs a fraction
//! of decoding everything. The loops go over arrays side by side, so that the compiler makes vector code of them.

use std::f32::consts::{FRAC_1_SQRT_2, PI, SQRT_2};

/// Where the coefficients of a block stand in the file.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// A quantisation table made ready for one output size.
pub(super) struct Scale {
    /// Pixels of a side of the block that comes out: 8, 4, 2 or 1.
    side: usize,
    /// By place in the file: what to multiply with (0 beyond what is used), and where to put it.
    steps: [(f32, u8); 64],
    /// Places in the file beyond this one are not used.
    used: usize,
}

impl Scale {
    pub(super) fn new(quantisation: &[u16; 64], side: usize) -> Self {
        let mut steps = [(0.0, 0); 64];
        let mut used = 0;
        for (place, ((step, at), quantum)) in steps.iter_mut().zip(ZIGZAG).zip(quantisation).enumerate() {
            let (across, down) = (usize::from(at % 8), usize::from(at / 8));
            if across < side && down < side {
                *step = (
                    f32::from(*quantum) * weight(across, side) * weight(down, side),
                    (down * side + across) as u8,
                );
                used = place + 1;
            }
        }
        Self { side, steps, used }
    }

    /// Writes the pixels of a block, row by row with [`Self::side`] pixels each. `end` is the place behind the last
    /// coefficient that is not zero.
    pub(super) fn pixels(&self, block: &[i16; 64], end: usize, out: &mut [u8; 64]) {
        let mut values = [0.0_f32; 64];
        let (first, _) = self.steps[0];
        let mean = f32::from(block[0]) * first + 128.0;
        if end <= 1 || self.side == 1 {
            out[..self.side * self.side].fill(to_byte(mean));
            return;
        }
        let steps = self.steps.iter().zip(block).take(end.min(self.used));
        for ((step, to), value) in steps {
            values[usize::from(*to & 63)] = f32::from(*value) * step;
        }
        values[0] = mean;
        match self.side {
            8 => eight(&mut values),
            4 => four(&mut values),
            _ => two(&mut values),
        }
        for (byte, value) in out.iter_mut().zip(&values).take(self.side * self.side) {
            *byte = to_byte(*value);
        }
    }
}

/// To the nearest whole number from 0 to 255; this form becomes vector code, a cast does not.
fn to_byte(value: f32) -> u8 {
    // 2^23: behind it a float has no place for fractions.
    (value.clamp(0.0, 255.0) + 8_388_608.0).to_bits() as u8
}

/// The factors that the quick transforms below leave out, for one direction.
fn weight(frequency: usize, side: usize) -> f32 {
    match (side, frequency) {
        // The fast transform of Arai, Agui and Nakajima wants each frequency scaled by its cosine.
        (8, 0) => 0.5 * FRAC_1_SQRT_2,
        (8, _) => 0.5 * (frequency as f32 * PI / 16.0).cos(),
        // A mean is eight times too large in a block of 8, and the others with it.
        (4, 0) => 0.5 * FRAC_1_SQRT_2,
        (4, 2) => 0.5 * FRAC_1_SQRT_2,
        (4, _) => 0.5,
        (2, 0) => 0.5 * FRAC_1_SQRT_2,
        (2, _) => 0.5 * FRAC_1_SQRT_2,
        _ => 0.5 * FRAC_1_SQRT_2,
    }
}

fn two(values: &mut [f32; 64]) {
    let [a, b, c, d, ..] = *values;
    let (left, right) = (a + c, b + d);
    let (left_low, right_low) = (a - c, b - d);
    values[..4].copy_from_slice(&[left + right, left - right, left_low + right_low, left_low - right_low]);
}

fn four(values: &mut [f32; 64]) {
    for _ in 0..2 {
        let mut turned = [0.0_f32; 16];
        for x in 0..4 {
            let [a, b, c, d] = [values[x], values[4 + x], values[8 + x], values[12 + x]];
            // The cosines of an eighth and three eighths of a half turn.
            let (even, odd) = (a + c, b * 0.923_879_5 + d * 0.382_683_4);
            let (even_low, odd_low) = (a - c, b * 0.382_683_4 - d * 0.923_879_5);
            turned[x * 4..x * 4 + 4].copy_from_slice(&[even + odd, even_low + odd_low, even_low - odd_low, even - odd]);
        }
        values[..16].copy_from_slice(&turned);
    }
}

/// Down the columns, then (turned over) along the rows.
fn eight(values: &mut [f32; 64]) {
    for _ in 0..2 {
        let mut rows = [[0.0_f32; 8]; 8];
        for (row, from) in rows.iter_mut().zip(values.as_chunks::<8>().0) {
            *row = *from;
        }
        let rows = columns(rows);
        for (y, row) in rows.iter().enumerate() {
            for (x, value) in row.iter().enumerate() {
                values[(x * 8 + y) & 63] = *value;
            }
        }
    }
}

type Row = [f32; 8];

fn plus(a: Row, b: Row) -> Row {
    std::array::from_fn(|i| a[i] + b[i])
}

fn minus(a: Row, b: Row) -> Row {
    std::array::from_fn(|i| a[i] - b[i])
}

fn times(a: Row, factor: f32) -> Row {
    a.map(|value| value * factor)
}

fn columns([r0, r1, r2, r3, r4, r5, r6, r7]: [Row; 8]) -> [Row; 8] {
    let (sum, difference) = (plus(r0, r4), minus(r0, r4));
    let outer = plus(r2, r6);
    let inner = minus(times(minus(r2, r6), SQRT_2), outer);
    let (e0, e3) = (plus(sum, outer), minus(sum, outer));
    let (e1, e2) = (plus(difference, inner), minus(difference, inner));

    let (z13, z10) = (plus(r5, r3), minus(r5, r3));
    let (z11, z12) = (plus(r1, r7), minus(r1, r7));
    let o7 = plus(z11, z13);
    let o11 = times(minus(z11, z13), SQRT_2);
    // Twice the cosine and combinations of it, of an eighth of a half turn.
    let z5 = times(plus(z10, z12), 1.847_759);
    let o10 = minus(z5, times(z12, 1.082_392_2));
    let o12 = minus(z5, times(z10, 2.613_126));
    let o6 = minus(o12, o7);
    let o5 = minus(o11, o6);
    let o4 = minus(o10, o5);
    [
        plus(e0, o7),
        plus(e1, o6),
        plus(e2, o5),
        plus(e3, o4),
        minus(e3, o4),
        minus(e2, o5),
        minus(e1, o6),
        minus(e0, o7),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition, which nothing can be wrong with but its speed.
    fn slowly(block: &[i16; 64], side: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let factor = |u: usize| {
            if u == 0 {
                (1.0 / side as f64).sqrt()
            } else {
                (2.0 / side as f64).sqrt()
            }
        };
        let wave =
            |x: usize, u: usize| ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / (2 * side) as f64).cos();
        for y in 0..side {
            for x in 0..side {
                let mut sum = 0.0;
                for (value, at) in block.iter().zip(ZIGZAG) {
                    let (u, v) = (usize::from(at % 8), usize::from(at / 8));
                    if u < side && v < side {
                        sum += f64::from(*value) * factor(u) * factor(v) * wave(x, u) * wave(y, v);
                    }
                }
                out.push((sum * side as f64 / 8.0 + 128.0).round().clamp(0.0, 255.0) as u8);
            }
        }
        out
    }

    #[test]
    fn every_size_is_what_the_definition_says() {
        let mut seed = 7_u64;
        for round in 0..200 {
            let mut block = [0_i16; 64];
            for (k, value) in block.iter_mut().enumerate() {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let most = 600 / (k as i64 + 1) + 1;
                *value = ((seed >> 33) as i64 % (2 * most) - most) as i16;
            }
            for side in [1, 2, 4, 8] {
                let mut out = [0; 64];
                Scale::new(&[1; 64], side).pixels(&block, 64, &mut out);
                for (got, right) in out.iter().zip(slowly(&block, side)) {
                    assert!(got.abs_diff(right) <= 1, "{round} {side}: {got} for {right}");
                }
            }
        }
    }
}
