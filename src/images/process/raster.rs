//! Pixels on their way from a stored original to a variant: cut, made smaller, brought into the form an encoder wants.
//!
//! A photograph stays in the planes that JPEG stores it in (a luma plane and two smaller chroma planes, full range,
//! BT.601), because WebP, AVIF and JPEG all take planes: a third of the work of RGB, and none of the rounding.

use newsdesk_codecs::Channels;
pub(super) use newsdesk_codecs::Window;

use super::Rejected;

/// One channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) data: Vec<u8>,
}

impl Plane {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            data: vec![0; width * height],
        }
    }

    /// A row; the last one below the plane, so that odd sizes need no special case.
    pub(super) fn row(&self, y: usize) -> &[u8] {
        let y = y.min(self.height.saturating_sub(1));
        self.data.get(y * self.width..(y + 1) * self.width).unwrap_or_default()
    }
}

/// A picture in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raster {
    Grey(Plane),
    /// Luma and chroma; the chroma planes may be smaller.
    Ycc(Box<[Plane; 3]>),
    /// Three bytes a pixel.
    Rgb(Plane),
    /// Four bytes a pixel, colour not multiplied by alpha.
    Rgba(Plane),
}

impl Raster {
    pub(super) fn width(&self) -> usize {
        self.first().width
    }

    pub(super) fn height(&self) -> usize {
        self.first().height
    }

    fn first(&self) -> &Plane {
        match self {
            Self::Grey(plane) | Self::Rgb(plane) | Self::Rgba(plane) => plane,
            Self::Ycc(planes) => &planes[0],
        }
    }

    /// The window made `width` by `height` pixels. Chroma comes out at half of it, as all three encoders want it.
    pub(super) fn resized(&self, window: Window, width: usize, height: usize) -> Result<Self, Rejected> {
        Ok(match self {
            Self::Grey(plane) => Self::Grey(resize(plane, Channels::Grey, window, width, height)?),
            Self::Rgb(plane) => Self::Rgb(resize(plane, Channels::Rgb, window, width, height)?),
            Self::Rgba(plane) => Self::Rgba(resize(plane, Channels::Rgba, window, width, height)?),
            Self::Ycc(planes) => {
                let [luma, blue, red] = planes.as_ref();
                let (across, down) = (ratio(luma.width, blue.width), ratio(luma.height, blue.height));
                let part = Window {
                    left: window.left / across,
                    top: window.top / down,
                    width: window.width / across,
                    height: window.height / down,
                };
                let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
                Self::Ycc(Box::new([
                    resize(luma, Channels::Grey, window, width, height)?,
                    resize(blue, Channels::Grey, part, half_width, half_height)?,
                    resize(red, Channels::Grey, part, half_width, half_height)?,
                ]))
            }
        })
    }

    /// As red, green and blue; transparency is laid on white.
    pub(super) fn into_rgb(self) -> Plane {
        match self {
            Self::Rgb(plane) => plane,
            Self::Grey(plane) => Plane {
                data: plane.data.iter().flat_map(|grey| [*grey; 3]).collect(),
                ..plane
            },
            Self::Rgba(plane) => Plane {
                data: plane
                    .data
                    .as_chunks()
                    .0
                    .iter()
                    .flat_map(|[red, green, blue, alpha]| [red, green, blue].map(|colour| on_white(*colour, *alpha)))
                    .collect(),
                ..plane
            },
            Self::Ycc(planes) => ycc_to_rgb(&planes),
        }
    }

    /// As luma and chroma at half the size.
    pub(super) fn into_ycc(self) -> Box<[Plane; 3]> {
        match self {
            Self::Ycc(planes) if halved(&planes) => planes,
            Self::Grey(luma) => {
                let (width, height) = (luma.width.div_ceil(2), luma.height.div_ceil(2));
                let chroma = Plane {
                    width,
                    height,
                    data: vec![128; width * height],
                };
                Box::new([luma, chroma.clone(), chroma])
            }
            other => rgb_to_ycc(&other.into_rgb()),
        }
    }
}

/// Whether chroma has half the size of luma in both directions.
fn halved([luma, blue, _]: &[Plane; 3]) -> bool {
    blue.width == luma.width.div_ceil(2) && blue.height == luma.height.div_ceil(2)
}

/// How many pixels of luma lie across one of chroma: 1, 2 or 4.
fn ratio(luma: usize, chroma: usize) -> f64 {
    (luma as f64 / chroma.max(1) as f64).round().max(1.0)
}

fn on_white(colour: u8, alpha: u8) -> u8 {
    let (colour, alpha) = (u32::from(colour), u32::from(alpha));
    // Never above 255.
    ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

fn resize(plane: &Plane, channels: Channels, window: Window, width: usize, height: usize) -> Result<Plane, Rejected> {
    let whole = window.left <= 0.0
        && window.top <= 0.0
        && window.width >= plane.width as f64
        && window.height >= plane.height as f64;
    if whole && (width, height) == (plane.width, plane.height) {
        return Ok(plane.clone());
    }
    let size = (plane.width, plane.height);
    let data = newsdesk_codecs::resize(&plane.data, size, channels, window, (width, height))
        .map_err(|_| Rejected::broken("The image cannot be made smaller."))?;
    Ok(Plane { width, height, data })
}

/// Sixteen bits behind the point.
const ONE: f32 = 65_536.0;
const RED_OF_CR: i32 = (1.402 * ONE) as i32;
const GREEN_OF_CB: i32 = (0.344_136 * ONE) as i32;
const GREEN_OF_CR: i32 = (0.714_136 * ONE) as i32;
const BLUE_OF_CB: i32 = (1.772 * ONE) as i32;
const HALF: i32 = 1 << 15;

pub(super) fn rgb_of(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = ((i32::from(y) << 16) + HALF, i32::from(cb) - 128, i32::from(cr) - 128);
    [
        y + RED_OF_CR * cr,
        y - GREEN_OF_CB * cb - GREEN_OF_CR * cr,
        y + BLUE_OF_CB * cb,
    ]
    .map(|value| (value >> 16).clamp(0, 255) as u8)
}

pub(super) fn ycc_of([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let (red, green, blue) = (i32::from(red), i32::from(green), i32::from(blue));
    [
        19_595 * red + 38_470 * green + 7_471 * blue + HALF,
        -11_059 * red - 21_709 * green + 32_768 * blue + (128 << 16) + HALF - 1,
        32_768 * red - 27_439 * green - 5_329 * blue + (128 << 16) + HALF - 1,
    ]
    .map(|value| (value >> 16).clamp(0, 255) as u8)
}

/// Chroma between its samples is mixed from the nearest two of each direction, three to one.
fn ycc_to_rgb(planes: &[Plane; 3]) -> Plane {
    let [luma, blue, red] = planes;
    let mut data = Vec::with_capacity(luma.data.len() * 3);
    let halved = halved(planes) && luma.width > 1;
    let (mut cb, mut cr) = (vec![0; luma.width], vec![0; luma.width]);
    for y in 0..luma.height {
        if halved {
            between(blue, y, &mut cb);
            between(red, y, &mut cr);
        } else {
            nearest(blue, y, luma, &mut cb);
            nearest(red, y, luma, &mut cr);
        }
        for ((y, cb), cr) in luma.row(y).iter().zip(&cb).zip(&cr) {
            data.extend_from_slice(&rgb_of(*y, *cb, *cr));
        }
    }
    Plane {
        width: luma.width,
        height: luma.height,
        data,
    }
}

fn nearest(chroma: &Plane, y: usize, luma: &Plane, out: &mut [u8]) {
    let row = chroma.row(y * chroma.height / luma.height.max(1));
    for (x, value) in out.iter_mut().enumerate() {
        *value = row.get(x * chroma.width / luma.width.max(1)).copied().unwrap_or(128);
    }
}

fn between(chroma: &Plane, y: usize, out: &mut [u8]) {
    let near = chroma.row(y / 2);
    let far = chroma.row(if y.is_multiple_of(2) {
        (y / 2).saturating_sub(1)
    } else {
        y / 2 + 1
    });
    let mixed: Vec<u16> = near
        .iter()
        .zip(far)
        .map(|(near, far)| 3 * u16::from(*near) + u16::from(*far))
        .collect();
    for (x, value) in out.iter_mut().enumerate() {
        let at = x / 2;
        let other = if x % 2 == 0 {
            at.saturating_sub(1)
        } else {
            (at + 1).min(mixed.len() - 1)
        };
        let (near, far) = (
            mixed.get(at).copied().unwrap_or_default(),
            mixed.get(other).copied().unwrap_or_default(),
        );
        // A sixteenth of 16 × 255 at most.
        *value = ((3 * near + far + 8) >> 4) as u8;
    }
}

fn rgb_to_ycc(rgb: &Plane) -> Box<[Plane; 3]> {
    let (width, height) = (rgb.width, rgb.height);
    let mut luma = Plane::new(width, height);
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let (mut blue, mut red) = (Plane::new(half_width, half_height), Plane::new(half_width, half_height));
    let mut sums = vec![[0_u16; 3]; half_width];
    for y in 0..height {
        let row = rgb.data.get(y * width * 3..(y + 1) * width * 3).unwrap_or_default();
        let out = luma.data.get_mut(y * width..(y + 1) * width).unwrap_or_default();
        if y.is_multiple_of(2) {
            sums.fill([0; 3]);
        }
        for (x, (pixel, out)) in row.as_chunks::<3>().0.iter().zip(out).enumerate() {
            let [y, cb, cr] = ycc_of(*pixel);
            *out = y;
            if let Some([blue, red, count]) = sums.get_mut(x / 2) {
                *blue += u16::from(cb);
                *red += u16::from(cr);
                *count += 1;
            }
        }
        if y % 2 == 1 || y + 1 == height {
            let from = y / 2 * half_width;
            let rows = blue.data.iter_mut().zip(&mut red.data).skip(from);
            for ((blue, red), [blue_sum, red_sum, count]) in rows.zip(&sums) {
                *blue = ((blue_sum + count / 2) / count.max(&1)) as u8;
                *red = ((red_sum + count / 2) / count.max(&1)) as u8;
            }
        }
    }
    Box::new([luma, blue, red])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_goes_through_planes_and_back() {
        let colour = [190, 176, 192];
        let clear = Raster::Rgba(Plane {
            width: 5,
            height: 3,
            data: [80, 30, 77, 90].repeat(15),
        });
        let rgb = clear.into_rgb();
        assert_eq!(rgb.data, [193, 176, 192].repeat(15));
        let rgb = Plane {
            data: colour.repeat(15),
            ..rgb
        };
        let planes = Raster::Rgb(rgb).into_ycc();
        assert_eq!((planes[1].width, planes[1].height), (3, 2));
        assert_eq!(planes[0].data, [182; 15]);
        assert!(
            planes[1].data.iter().all(|blue| blue.abs_diff(133) < 2),
            "{:?}",
            planes[1].data
        );
        let back = Raster::Ycc(planes).into_rgb();
        assert!(
            back.data.iter().zip(colour.repeat(15)).all(|(a, b)| a.abs_diff(b) < 3),
            "{:?}",
            back.data
        );
    }
}
