//! Chance that repeats itself: hashing, value noise and a small generator, all from a seed.

/// A well-mixed number from any number (the finaliser of splitmix64).
pub(super) fn hash(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn unit(value: u64) -> f32 {
    (hash(value) >> 40) as f32 / 16_777_216.0
}

/// A lighter mix for the lattice of the noise.
fn corner(value: u64) -> f32 {
    let mixed = (value ^ (value >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (((mixed ^ (mixed >> 32)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40) as i32) as f32 / 16_777_216.0
}

/// A stream of numbers that is the same for the same seed.
pub(super) struct Dice(u64);

impl Dice {
    /// A stream; `salt` keeps the streams of one picture apart.
    pub(super) fn new(seed: u64, salt: u64) -> Self {
        Self(hash(seed.wrapping_mul(31).wrapping_add(salt)))
    }

    /// From 0 up to 1.
    pub(super) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(1);
        unit(self.0)
    }

    /// From `low` up to `high`.
    pub(super) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.next()
    }

    /// One of the choices; the default when there are none.
    pub(super) fn pick<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        let index = (self.next() * choices.len() as f32) as usize;
        choices.get(index).copied().unwrap_or_default()
    }

    /// True with the given chance.
    pub(super) fn chance(&mut self, share: f32) -> bool {
        self.next() < share
    }
}

/// The whole and the broken part; plain `floor` is a library call on older processors, and this runs for every pixel.
fn split(x: f32) -> (i64, f32) {
    let near = x as i32;
    let whole = if x < near as f32 { near - 1 } else { near };
    (i64::from(whole), x - whole as f32)
}

/// Smooth noise along a line, 0 to 1.
pub(super) fn noise1(seed: u64, x: f32) -> f32 {
    let (cell, t) = split(x);
    let t = t * t * (3.0 - 2.0 * t);
    let at = |offset: i64| corner(seed ^ (cell + offset).wrapping_mul(0x51_7cc1_b727) as u64);
    let (a, b) = (at(0), at(1));
    a + (b - a) * t
}

/// Smooth noise over a plane, 0 to 1.
pub(super) fn noise2(seed: u64, x: f32, y: f32) -> f32 {
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let ((cx, tx), (cy, ty)) = (split(x), split(y));
    let (tx, ty) = (ease(tx), ease(ty));
    let at = |ox: i64, oy: i64| {
        let key = (cx + ox).wrapping_mul(0x51_7cc1_b727) ^ (cy + oy).wrapping_mul(0x2545_f491_4f6c);
        corner(seed ^ key as u64)
    };
    let (top, bottom) = (
        at(0, 0) + (at(1, 0) - at(0, 0)) * tx,
        at(0, 1) + (at(1, 1) - at(0, 1)) * tx,
    );
    top + (bottom - top) * ty
}

/// A function of x, worked out once for every two units up to `width`, for what is asked at every pixel.
pub(super) fn table(width: f32, value: impl Fn(f32) -> f32) -> impl Fn(f32) -> f32 {
    let known: Vec<f32> = (0..width as usize / 2 + 3)
        .map(|step| value(step as f32 * 2.0))
        .collect();
    move |x| {
        let place = x.max(0.0) * 0.5;
        let (step, part) = (place as usize, place - (place as usize) as f32);
        let at = |index: usize| known.get(index).copied().unwrap_or_default();
        at(step) + (at(step + 1) - at(step)) * part
    }
}

/// Layered noise along a line, 0 to 1.
pub(super) fn fbm1(seed: u64, x: f32, octaves: u32) -> f32 {
    layered(octaves, |level, frequency| {
        noise1(seed.wrapping_add(level), x * frequency)
    })
}

/// Layered noise over a plane, 0 to 1.
pub(super) fn fbm2(seed: u64, x: f32, y: f32, octaves: u32) -> f32 {
    layered(octaves, |level, frequency| {
        noise2(seed.wrapping_add(level), x * frequency, y * frequency)
    })
}

fn layered(octaves: u32, sample: impl Fn(u64, f32) -> f32) -> f32 {
    let (mut sum, mut weight, mut total, mut frequency) = (0.0, 1.0, 0.0, 1.0);
    for level in 0..octaves {
        sum += sample(u64::from(level) * 7919, frequency) * weight;
        total += weight;
        weight *= 0.5;
        frequency *= 2.03;
    }
    if total > 0.0 { sum / total } else { 0.0 }
}
