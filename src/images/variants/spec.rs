//! Which variants there may be, and how their addresses are written. Pure.

use crate::images::delivered::FocalPoint;
use crate::images::process::variant::{Cut, VariantFormat, WIDEST, offered_formats, size_of};

/// The widths there are, in pixels. A picture that is not as wide has its own width as well.
pub const WIDTHS: [u32; 8] = [320, 480, 640, 960, 1280, 1600, 1920, WIDEST];
/// Larger AVIF files are not made.
const MOST_AVIF_PIXELS: u64 = 12_000_000;
/// The widths of cuts that are offered: each twice the one before, for cards and social previews.
const CUT_WIDTHS: [u32; 3] = [320, 640, 1280];
/// The width of the one file that is for whoever takes no list: wide enough for social previews and search engines.
const DEFAULT_WIDTH: u32 = 1600;
/// The same, for cuts.
const DEFAULT_CUT_WIDTH: u32 = 1280;
/// The ratios there are, width to height.
pub const RATIOS: [Ratio; 5] = [
    Ratio::new("1:1", "1x1", (1, 1)),
    Ratio::new("4:3", "4x3", (4, 3)),
    Ratio::new("3:2", "3x2", (3, 2)),
    Ratio::new("16:9", "16x9", (16, 9)),
    Ratio::new("1.91:1", "1.91x1", (191, 100)),
];

/// A ratio of width to height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// As people write it: `16:9`.
    pub name: &'static str,
    /// As addresses write it: `16x9`.
    key: &'static str,
    /// Width and height.
    sides: (u32, u32),
}

impl Ratio {
    const fn new(name: &'static str, key: &'static str, sides: (u32, u32)) -> Self {
        Self { name, key, sides }
    }
}

/// A focal point as addresses write it, in hundredths from the left and from the top: `50x40`. What is nearer together
/// makes the same cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    x: u8,
    y: u8,
}

impl Point {
    /// The middle, where pictures without a focal point are cut.
    pub const MIDDLE: Self = Self { x: 50, y: 50 };

    /// The nearest one.
    pub fn of(focal: Option<FocalPoint>) -> Self {
        let hundredths = |part: f64| (part.clamp(0.0, 1.0) * 100.0 + 0.5).floor() as u8;
        focal.map_or(Self::MIDDLE, |point| Self {
            x: hundredths(point.x),
            y: hundredths(point.y),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (x, y) = text.split_once('x')?;
        let (x, y): (u8, u8) = (x.parse().ok()?, y.parse().ok()?);
        (x <= 100 && y <= 100).then_some(Self { x, y })
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.x, self.y)
    }
}

/// How a picture is cut, or that it is not.
pub type Cropped = Option<(Ratio, Point)>;

/// One variant of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// How it is cut.
    pub cropped: Cropped,
    /// Its width in pixels.
    pub width: u32,
    /// Its format.
    pub format: VariantFormat,
}

/// The formats there are.
const FORMATS: [VariantFormat; 4] = [
    VariantFormat::Avif,
    VariantFormat::WebP,
    VariantFormat::Jpeg,
    VariantFormat::Png,
];

impl Spec {
    /// Reads what [`Spec`] writes, and nothing else: every variant has one address.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, extension) = text.rsplit_once('.')?;
        let format = FORMATS.into_iter().find(|one| one.extension() == extension)?;
        let (cropped, width) = match name.rsplit_once('-') {
            None => (None, name),
            Some((cut, width)) => {
                let (ratio, point) = cut.split_once('-')?;
                let ratio = RATIOS.iter().find(|one| one.key == ratio)?;
                (Some((*ratio, Point::parse(point)?)), width)
            }
        };
        let spec = Self {
            cropped,
            width: width.strip_prefix('w')?.parse().ok()?,
            format,
        };
        (spec.to_string() == text).then_some(spec)
    }

    /// The point it is cut around.
    pub fn point(&self) -> Option<Point> {
        self.cropped.map(|(_, point)| point)
    }
}

impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((ratio, point)) = &self.cropped {
            write!(f, "{}-{point}-", ratio.key)?;
        }
        write!(f, "w{}.{}", self.width, self.format.extension())
    }
}

/// What tells a variant's address from an original's.
const SEPARATOR: char = '-';

/// The part of a file's key that its variants share: the key without its extension.
pub fn stem(file_key: &str) -> &str {
    file_key.rsplit_once('.').map_or(file_key, |(stem, _)| stem)
}

/// The key of a variant in the media store, and in its address.
pub fn object_key(file_key: &str, spec: &Spec) -> String {
    format!("{}{SEPARATOR}{spec}", stem(file_key))
}

/// The stem and the variant that a key names; none for what cannot be a variant's.
pub fn read_key(key: &str) -> Option<(&str, Spec)> {
    let (stem, spec) = key.split_once(SEPARATOR)?;
    Some((stem, Spec::parse(spec)?))
}

/// For the processing: how a picture is cut.
pub fn cut(cropped: Cropped) -> Option<Cut> {
    cropped.map(|(ratio, point)| Cut {
        ratio: ratio.sides,
        focal: (f64::from(point.x) / 100.0, f64::from(point.y) / 100.0),
    })
}

/// A stored original, as far as its variants go by it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    /// Its media type.
    pub media_type: &'s str,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Whether it moves.
    pub animated: bool,
    /// Whether anything in it can be seen through.
    pub has_alpha: bool,
}

impl Source<'_> {
    /// The widest this picture is, cut or not.
    fn own_width(&self, cropped: Cropped) -> u32 {
        match cropped {
            None => self.width,
            Some((ratio, _)) => {
                let (across, down) = ratio.sides;
                let fitting = u64::from(self.height) * u64::from(across) / u64::from(down);
                u64::from(self.width).min(fitting).max(1) as u32
            }
        }
    }

    /// Pixels of the largest variant of the whole picture.
    fn widest_area(&self) -> u64 {
        let width = u64::from(self.width.min(WIDTHS[WIDTHS.len() - 1]));
        width * width * u64::from(self.height) / u64::from(self.width.max(1))
    }

    /// The formats this picture comes in, best first; AVIF among them whether or not it is made. None when no variants
    /// can be made of it.
    pub fn formats(&self, cropped: Cropped) -> &'static [VariantFormat] {
        let formats = offered_formats(self.media_type, self.animated, self.has_alpha);
        // What is very high, such as a drawing that explains something, would take minutes and much memory.
        if cropped.is_none() && formats.contains(&VariantFormat::Avif) && self.widest_area() > MOST_AVIF_PIXELS {
            return &[VariantFormat::WebP, VariantFormat::Jpeg];
        }
        // Cards and previews stand still.
        match cropped {
            Some(_) if self.animated && !formats.is_empty() => &[VariantFormat::Jpeg],
            _ => formats,
        }
    }

    /// What may be asked for: a listed width or the picture's own, never enlarged.
    pub fn allows(&self, spec: &Spec) -> bool {
        let own = self.own_width(spec.cropped);
        let listed = WIDTHS.contains(&spec.width) && spec.width <= own;
        let own = spec.width == own && own <= WIDTHS[WIDTHS.len() - 1];
        (listed || own) && self.formats(spec.cropped).contains(&spec.format) && self.size(spec).is_some()
    }

    /// Width and height of a variant; none when it would be enlarged.
    pub fn size(&self, spec: &Spec) -> Option<(u32, u32)> {
        size_of(self.width, self.height, cut(spec.cropped).as_ref(), spec.width)
    }

    /// The widths that are offered: the listed ones that are clearly less than the widest, and the widest.
    pub fn widths(&self, cropped: Cropped) -> Vec<u32> {
        let listed: &[u32] = if cropped.is_some() { &CUT_WIDTHS } else { &WIDTHS };
        let most = listed.last().copied().unwrap_or(0);
        let widest = self.own_width(cropped).min(most);
        let clearly_less = listed.iter().copied().filter(|width| width * 10 <= widest * 9);
        clearly_less.chain([widest]).collect()
    }

    /// The width of the file for whoever takes no list.
    pub fn default_width(&self, cropped: Cropped) -> u32 {
        let wanted = if cropped.is_some() {
            DEFAULT_CUT_WIDTH
        } else {
            DEFAULT_WIDTH
        };
        let widths = self.widths(cropped);
        let fitting = widths.iter().rev().find(|width| **width <= wanted);
        fitting.or(widths.first()).copied().unwrap_or(self.width)
    }

    /// Everything of one format that is offered: the whole picture, and its cuts around a point.
    pub fn all_of(&self, format: VariantFormat, point: Point) -> Vec<Spec> {
        let cuts = RATIOS.iter().map(|ratio| Some((*ratio, point)));
        std::iter::once(None)
            .chain(cuts)
            .filter(|cropped| self.formats(*cropped).contains(&format))
            .flat_map(|cropped| {
                let spec = move |width| Spec { cropped, width, format };
                self.widths(cropped).into_iter().map(spec)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(width: u32, height: u32) -> Source<'static> {
        Source {
            media_type: "image/jpeg",
            width,
            height,
            animated: false,
            has_alpha: false,
        }
    }

    #[test]
    fn each_variant_has_one_address() {
        for text in [
            "w640.webp",
            "16x9-50x40-w640.jpg",
            "1.91x1-0x100-w1280.png",
            "w1000.avif",
        ] {
            assert_eq!(Spec::parse(text).expect(text).to_string(), text);
        }
        for wrong in [
            "w640",
            "640.webp",
            "w0640.webp",
            "w+640.webp",
            "w640.gif",
            "w640.WEBP",
            "w-1.jpg",
            "w99999999999.jpg",
            ".webp",
            "16x9-w640.jpg",
            "16x9-50x40.jpg",
            "16x9-050x40-w640.jpg",
            "16x9-101x0-w640.jpg",
            "2x1-50x50-w640.jpg",
            "16x9-50x40-w640-w640.jpg",
            "w640.webp.jpg",
        ] {
            assert_eq!(Spec::parse(wrong), None, "{wrong}");
        }
        let (stem, spec) = read_key("3f/3f9c-1.91x1-50x50-w320.jpg").expect("a variant");
        assert_eq!(
            (stem, object_key("3f/3f9c.png", &spec).as_str()),
            ("3f/3f9c", "3f/3f9c-1.91x1-50x50-w320.jpg")
        );
        assert!(read_key("3f/3f9c.jpg").is_none());
    }

    #[test]
    fn listed_widths_and_the_own_one_never_enlarged() {
        let allowed = |source: Source<'_>, text: &str| source.allows(&Spec::parse(text).expect(text));
        let photo = source(1300, 1000);
        for good in [
            "w320.webp",
            "w1280.jpg",
            "w1300.jpg",
            "w1300.avif",
            "16x9-50x50-w1300.jpg",
            "1x1-1x2-w1000.webp",
            "4x3-0x0-w960.jpg",
        ] {
            assert!(allowed(photo, good), "{good}");
        }
        for bad in [
            "w321.webp",
            "w1299.jpg",
            "w1600.jpg",
            "w2560.jpg",
            "w0.jpg",
            "w640.png",
            "1x1-50x50-w1300.jpg",
            "1x1-50x50-w1280.jpg",
        ] {
            assert!(!allowed(photo, bad), "{bad}");
        }
        assert!(
            !allowed(source(6000, 4000), "w6000.jpg"),
            "the own width is for what is no wider than the list"
        );
        assert!(allowed(source(6000, 4000), "w2560.jpg"));
        assert!(allowed(source(1, 1), "w1.webp") && allowed(source(1, 1), "16x9-50x50-w1.webp"));
    }

    #[test]
    fn what_is_offered_is_allowed_and_makes_sense() {
        assert_eq!(source(4000, 3000).widths(None), WIDTHS);
        assert_eq!(
            source(1000, 800).widths(None),
            [320, 480, 640, 1000],
            "960 would be nearly the same again"
        );
        assert_eq!(source(1280, 800).widths(None), [320, 480, 640, 960, 1280]);
        assert_eq!(source(80, 40).widths(None), [80]);
        assert_eq!(
            (
                source(4000, 3000).default_width(None),
                source(1000, 800).default_width(None)
            ),
            (1600, 1000)
        );
        assert_eq!(source(1700, 800).default_width(None), 1280);
        for (width, height) in [
            (1, 1),
            (80, 40),
            (319, 5000),
            (12_000, 2),
            (1300, 1000),
            (2561, 1441),
            (6000, 4000),
        ] {
            for (media_type, animated, has_alpha) in [
                ("image/jpeg", false, false),
                ("image/png", false, true),
                ("image/gif", true, true),
                ("image/avif", false, false),
            ] {
                let source = Source {
                    media_type,
                    animated,
                    has_alpha,
                    ..source(width, height)
                };
                for format in FORMATS {
                    for spec in source.all_of(format, Point::MIDDLE) {
                        assert!(source.allows(&spec), "{spec} of {source:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn points_are_hundredths() {
        let point = |x, y| Point::of(Some(FocalPoint { x, y })).to_string();
        assert_eq!(point(0.5, 0.4), "50x40");
        assert_eq!(point(1.0, 0.0), "100x0");
        assert_eq!(point(0.125, 0.996), "13x100");
        assert_eq!(Point::of(None).to_string(), "50x50");
    }
}
