//! The painter's tools: a float canvas measured in units, with anti-aliased shapes.

use super::noise::hash;

/// A colour, each channel from 0 to 1.
pub(super) type Rgb = [f32; 3];

/// A colour written the usual way, `0xRRGGBB`.
pub(super) fn hex(value: u32) -> Rgb {
    let channel = |shift: u32| ((value >> shift) & 0xff) as f32 / 255.0;
    [channel(16), channel(8), channel(0)]
}

/// The colour at `t` on the way from `a` to `b`.
pub(super) fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    let t = t.clamp(0.0, 1.0);
    [
        a[0] + (b[0] - a[0]) * t,
        a[1] + (b[1] - a[1]) * t,
        a[2] + (b[2] - a[2]) * t,
    ]
}

/// The same colour, brighter or darker.
pub(super) fn shade(color: Rgb, factor: f32) -> Rgb {
    color.map(|channel| channel * factor)
}

/// A smooth step from 0 at `from` to 1 at `to`.
pub(super) fn smooth(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The colour at `t` on a scale of stops, which stand in ascending order.
pub(super) fn ramp(stops: &[(f32, Rgb)], t: f32) -> Rgb {
    let mut before = stops.first().copied().unwrap_or((0.0, [0.0; 3]));
    for &(at, color) in stops {
        if t <= at {
            let span = (at - before.0).max(1e-6);
            return mix(before.1, color, (t - before.0) / span);
        }
        before = (at, color);
    }
    before.1
}

/// A canvas that is 1000 units high, whatever its size in pixels, so that scenes are drawn once for all sizes.
pub(super) struct Canvas {
    columns: usize,
    rows: usize,
    scale: f32,
    pixels: Vec<Rgb>,
}

impl Canvas {
    /// An empty canvas; a side of 0 counts as 1.
    pub(super) fn new(width: u32, height: u32) -> Self {
        let (columns, rows) = (width.max(1) as usize, height.max(1) as usize);
        Self {
            columns,
            rows,
            scale: rows as f32 / 1000.0,
            pixels: vec![[0.0; 3]; columns * rows],
        }
    }

    /// The width in units.
    pub(super) fn width(&self) -> f32 {
        self.columns as f32 / self.scale
    }

    /// A vertical gradient over the rows from `top` to `bottom`, in units.
    pub(super) fn gradient(&mut self, top: f32, bottom: f32, stops: &[(f32, Rgb)]) {
        let (first, last) = self.row_span(top, bottom);
        for row in first..last {
            let y = (row as f32 + 0.5) / self.scale;
            let color = ramp(stops, (y - top) / (bottom - top));
            self.pixels[row * self.columns..(row + 1) * self.columns].fill(color);
        }
    }

    /// Fills everything below a line; `paint` gets x, y and the depth under the line.
    pub(super) fn below(&mut self, line: impl Fn(f32) -> f32, paint: impl Fn(f32, f32, f32) -> Rgb) {
        self.band(line, 1000.0, paint);
    }

    /// The same down to `floor` only, for ground of which the rest will be hidden by what is nearer.
    pub(super) fn band(&mut self, line: impl Fn(f32) -> f32, floor: f32, paint: impl Fn(f32, f32, f32) -> Rgb) {
        let edges: Vec<f32> = (0..self.columns)
            .map(|column| line((column as f32 + 0.5) / self.scale))
            .collect();
        let highest = edges.iter().copied().fold(1000.0_f32, f32::min);
        let (first, last) = self.row_span(highest - 2.0, floor);
        for row in first..last {
            let y = (row as f32 + 0.5) / self.scale;
            for (column, edge) in edges.iter().enumerate() {
                let cover = ((y - edge) * self.scale + 0.5).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let color = paint((column as f32 + 0.5) / self.scale, y, (y - edge).max(0.0));
                    self.blend(column, row, color, cover);
                }
            }
        }
    }

    /// A polygon of one colour.
    pub(super) fn polygon(&mut self, points: &[(f32, f32)], color: Rgb, alpha: f32) {
        self.polygon_with(points, alpha, |_, _| color);
    }

    /// A polygon whose colour depends on the place: four scanlines a row, exact cover along each.
    pub(super) fn polygon_with(&mut self, points: &[(f32, f32)], alpha: f32, paint: impl Fn(f32, f32) -> Rgb) {
        const SUB: usize = 4;
        let top = points.iter().map(|p| p.1).fold(f32::INFINITY, f32::min);
        let bottom = points.iter().map(|p| p.1).fold(f32::NEG_INFINITY, f32::max);
        let (first, last) = self.row_span(top, bottom);
        let mut cover = vec![0.0_f32; self.columns];
        let mut crossings = Vec::with_capacity(8);
        for row in first..last {
            let (mut low, mut high) = (self.columns, 0);
            for sub in 0..SUB {
                let y = (row as f32 + (sub as f32 + 0.5) / SUB as f32) / self.scale;
                crossings.clear();
                for (index, &(x1, y1)) in points.iter().enumerate() {
                    let (x2, y2) = points[(index + 1) % points.len()];
                    if (y1 <= y) != (y2 <= y) {
                        crossings.push((x1 + (y - y1) / (y2 - y1) * (x2 - x1)) * self.scale);
                    }
                }
                crossings.sort_by(f32::total_cmp);
                for pair in crossings.chunks_exact(2) {
                    let from = pair[0].clamp(0.0, self.columns as f32);
                    let to = pair[1].clamp(0.0, self.columns as f32);
                    let (start, end) = (from as usize, (to.ceil() as usize).min(self.columns));
                    for (column, cell) in cover.iter_mut().enumerate().take(end).skip(start) {
                        let part = (to.min(column as f32 + 1.0) - from.max(column as f32)).max(0.0);
                        *cell += part / SUB as f32;
                    }
                    low = low.min(start);
                    high = high.max(end);
                }
            }
            for (column, cell) in cover.iter_mut().enumerate().take(high).skip(low) {
                let amount = (*cell * alpha).min(1.0);
                if amount > 0.0 {
                    let color = paint((column as f32 + 0.5) / self.scale, (row as f32 + 0.5) / self.scale);
                    self.blend(column, row, color, amount);
                }
                *cell = 0.0;
            }
        }
    }

    /// A rectangle by its corner and size.
    pub(super) fn rect(&mut self, x: f32, y: f32, w: f32, h: f32, color: Rgb, alpha: f32) {
        self.polygon(&[(x, y), (x + w, y), (x + w, y + h), (x, y + h)], color, alpha);
    }

    /// An ellipse; `soft` is the width of its edge as a share of the radius (0 for a crisp one).
    pub(super) fn ellipse(&mut self, center: (f32, f32), radii: (f32, f32), color: Rgb, alpha: f32, soft: f32) {
        let (cx, cy) = center;
        let (rx, ry) = (radii.0.max(0.1), radii.1.max(0.1));
        let edge = soft.max(1.0 / (rx.min(ry) * self.scale));
        let reach = 1.0 + edge;
        self.each(
            cx - rx * reach,
            cy - ry * reach,
            cx + rx * reach,
            cy + ry * reach,
            |x, y, pixel| {
                let far = ((x - cx) / rx).hypot((y - cy) / ry);
                let cover = alpha * smooth(1.0 + edge * 0.5, 1.0 - edge * 0.5, far);
                *pixel = mix(*pixel, color, cover);
            },
        );
    }

    /// A line with round ends.
    pub(super) fn line(&mut self, from: (f32, f32), to: (f32, f32), width: f32, color: Rgb, alpha: f32) {
        let half = width * 0.5;
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = (dx * dx + dy * dy).max(1e-6);
        let (left, right) = (from.0.min(to.0) - half - 2.0, from.0.max(to.0) + half + 2.0);
        let (top, bottom) = (from.1.min(to.1) - half - 2.0, from.1.max(to.1) + half + 2.0);
        let scale = self.scale;
        self.each(left, top, right, bottom, |x, y, pixel| {
            let t = (((x - from.0) * dx + (y - from.1) * dy) / length).clamp(0.0, 1.0);
            let far = (x - from.0 - t * dx).hypot(y - from.1 - t * dy);
            let cover = ((half - far) * scale + 0.5).clamp(0.0, 1.0) * alpha * (width * scale).min(1.0);
            if cover > 0.0 {
                *pixel = mix(*pixel, color, cover);
            }
        });
    }

    /// A line through many points.
    pub(super) fn path(&mut self, points: &[(f32, f32)], width: f32, color: Rgb, alpha: f32) {
        for pair in points.windows(2) {
            self.line(pair[0], pair[1], width, color, alpha);
        }
    }

    /// Light added around a point.
    pub(super) fn glow(&mut self, center: (f32, f32), radius: f32, color: Rgb, strength: f32) {
        let (cx, cy) = center;
        self.each(cx - radius, cy - radius, cx + radius, cy + radius, |x, y, pixel| {
            let near = 1.0 - ((x - cx) * (x - cx) + (y - cy) * (y - cy)) / (radius * radius);
            if near > 0.0 {
                let light = near * near * near * strength;
                for (channel, added) in pixel.iter_mut().zip(color) {
                    *channel += added * light;
                }
            }
        });
    }

    /// A veil over the rows from `top` to `bottom`: its colour and cover come from `cloth`, asked on a coarse
    /// grid and drawn out smoothly in between, because noise is dear.
    pub(super) fn veil(&mut self, top: f32, bottom: f32, cloth: impl Fn(f32, f32) -> (Rgb, f32)) {
        const STEP: usize = 6;
        let (first, last) = self.row_span(top, bottom);
        let (across, down) = (self.columns / STEP + 2, last.saturating_sub(first) / STEP + 2);
        let unit = STEP as f32 / self.scale;
        let base = first as f32 / self.scale;
        let grid: Vec<(Rgb, f32)> = (0..across * down)
            .map(|i| cloth((i % across) as f32 * unit, base + (i / across) as f32 * unit))
            .collect();
        for row in first..last {
            let (gy, fy) = ((row - first) / STEP, ((row - first) % STEP) as f32 / STEP as f32);
            for column in 0..self.columns {
                let (gx, fx) = (column / STEP, (column % STEP) as f32 / STEP as f32);
                let at = gy * across + gx;
                let (a, b, c, d) = (grid[at], grid[at + 1], grid[at + across], grid[at + across + 1]);
                let alpha = (a.1 + (b.1 - a.1) * fx) * (1.0 - fy) + (c.1 + (d.1 - c.1) * fx) * fy;
                if alpha > 0.002 {
                    let color = mix(mix(a.0, b.0, fx), mix(c.0, d.0, fx), fy);
                    self.blend(column, row, color, alpha.min(1.0));
                }
            }
        }
    }

    /// Everything below `level` becomes water that mirrors what stands above; `ripple` moves the image by (x, y) units.
    pub(super) fn water(&mut self, level: f32, tint: Rgb, amount: f32, ripple: impl Fn(f32, f32) -> (f32, f32)) {
        let (first, _) = self.row_span(level, 1000.0);
        let source = self.pixels[..first * self.columns].to_vec();
        if source.is_empty() {
            return;
        }
        for row in first..self.rows {
            let y = row as f32 / self.scale;
            for column in 0..self.columns {
                let (dx, dy) = ripple(column as f32 / self.scale, y);
                let from_x = (column as f32 + dx * self.scale).clamp(0.0, self.columns as f32 - 1.0) as usize;
                let mirrored = 2.0 * first as f32 - row as f32 - 1.0 + dy * self.scale;
                let from_y = mirrored.clamp(0.0, first as f32 - 1.0) as usize;
                let depth = (y - level) / (1000.0 - level);
                let color = mix(
                    source[from_y * self.columns + from_x],
                    tint,
                    amount * (0.6 + 0.6 * depth),
                );
                self.pixels[row * self.columns + column] = color;
            }
        }
    }

    /// The finished picture: darker corners, a little grain, eight bits a channel.
    pub(super) fn finish(self, seed: u64, vignette: f32, grain: f32) -> image::RgbImage {
        let (middle_x, middle_y) = (self.columns as f32 * 0.5, self.rows as f32 * 0.5);
        let mut bytes = Vec::with_capacity(self.pixels.len() * 3);
        for (index, pixel) in self.pixels.iter().enumerate() {
            let x = ((index % self.columns) as f32 - middle_x) / middle_x;
            let y = ((index / self.columns) as f32 - middle_y) / middle_y;
            let far = x * x + y * y;
            let light = 1.0 - vignette * far * far * 0.35;
            let speck = ((hash(seed ^ index as u64) >> 40) as f32 / 16_777_216.0 - 0.5) * grain;
            bytes.extend(pixel.map(|channel| ((channel * light + speck) * 255.0 + 0.5).clamp(0.0, 255.0) as u8));
        }
        image::RgbImage::from_raw(self.columns as u32, self.rows as u32, bytes).unwrap_or_default()
    }

    fn row_span(&self, top: f32, bottom: f32) -> (usize, usize) {
        let first = (top * self.scale).floor().clamp(0.0, self.rows as f32) as usize;
        let last = (bottom * self.scale).ceil().clamp(0.0, self.rows as f32) as usize;
        (first, last)
    }

    fn blend(&mut self, column: usize, row: usize, color: Rgb, alpha: f32) {
        let pixel = &mut self.pixels[row * self.columns + column];
        *pixel = mix(*pixel, color, alpha);
    }

    /// Visits the pixels of a box given in units.
    fn each(&mut self, left: f32, top: f32, right: f32, bottom: f32, mut visit: impl FnMut(f32, f32, &mut Rgb)) {
        let (first, last) = self.row_span(top, bottom);
        let start = (left * self.scale).floor().clamp(0.0, self.columns as f32) as usize;
        let end = (right * self.scale).ceil().clamp(0.0, self.columns as f32) as usize;
        for row in first..last {
            let y = (row as f32 + 0.5) / self.scale;
            for column in start..end {
                visit(
                    (column as f32 + 0.5) / self.scale,
                    y,
                    &mut self.pixels[row * self.columns + column],
                );
            }
        }
    }
}
