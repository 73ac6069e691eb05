//! Sitemaps (sitemaps.org 0.9): an index, its pages with images and other languages, and Google's extension for news.
//!
//! A page is a span of time and has the stories published in it, so what is published or withdrawn elsewhere never moves
//! a story from one page to another. A span with more stories than a page takes is split: months into days, days into
//! hours, then minutes and seconds.

use chrono::{Datelike, Months, NaiveDate, NaiveDateTime, TimeDelta, Timelike};

use super::store::{self, Crowd, News, Place};
use super::xml::Xml;
use crate::db::Conn;
use crate::error::Result;
use crate::types::Time;

/// The media type.
pub const MEDIA_TYPE: &str = "application/xml; charset=utf-8";
/// Most addresses of one page.
pub const PAGE_LENGTH: i64 = 5000;
/// Most addresses of a page that cannot be split: what search engines take.
pub const LONGEST: i64 = 50_000;
/// Most addresses of the sitemap for news.
pub const NEWS_LENGTH: i64 = 1000;
/// How old a story in the sitemap for news may be.
pub const NEWS_SECONDS: i64 = 2 * 24 * 3600;
/// Images of one story that search engines take.
const MOST_IMAGES: usize = 1000;

const NAMESPACE: (&str, &str) = ("xmlns", "http://www.sitemaps.org/schemas/sitemap/0.9");

/// How long a page's span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

impl Length {
    /// How it is written, as `chrono` has it.
    fn format(self) -> &'static str {
        match self {
            Self::Month => "%Y-%m",
            Self::Day => "%Y-%m-%d",
            Self::Hour => "%Y-%m-%dT%H",
            Self::Minute => "%Y-%m-%dT%H%M",
            Self::Second => "%Y-%m-%dT%H%M%S",
        }
    }

    /// What it is split into, and how many milliseconds that has.
    fn parts(self) -> Option<(Self, i64)> {
        match self {
            Self::Month => Some((Self::Day, 24 * 3_600_000)),
            Self::Day => Some((Self::Hour, 3_600_000)),
            Self::Hour => Some((Self::Minute, 60_000)),
            Self::Minute => Some((Self::Second, 1000)),
            Self::Second => None,
        }
    }

    /// What it is a part of.
    fn whole(self) -> Option<Self> {
        match self {
            Self::Month => None,
            Self::Day => Some(Self::Month),
            Self::Hour => Some(Self::Day),
            Self::Minute => Some(Self::Hour),
            Self::Second => Some(Self::Minute),
        }
    }
}

/// The span of time of a page, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: NaiveDateTime,
    length: Length,
}

impl Span {
    /// The span of a length that a time is in.
    fn of(time: NaiveDateTime, length: Length) -> Option<Self> {
        let start = match length {
            Length::Month => time.date().with_day(1)?.and_hms_opt(0, 0, 0)?,
            Length::Day => time.date().and_hms_opt(0, 0, 0)?,
            Length::Hour => time.date().and_hms_opt(time.hour(), 0, 0)?,
            Length::Minute => time.date().and_hms_opt(time.hour(), time.minute(), 0)?,
            Length::Second => time.with_nanosecond(0)?,
        };
        Some(Self { start, length })
    }

    /// Reads `2026-11`, `2026-11-03`, `2026-11-03T08`, `2026-11-03T0815` or `2026-11-03T081530`.
    pub fn parse(name: &str) -> Option<Self> {
        let part = |from: usize, to: usize| name.get(from..to).map(str::parse::<u32>);
        let (length, day, hour, minute, second) = match name.len() {
            7 => (Length::Month, Ok(1), Ok(0), Ok(0), Ok(0)),
            10 => (Length::Day, part(8, 10)?, Ok(0), Ok(0), Ok(0)),
            13 => (Length::Hour, part(8, 10)?, part(11, 13)?, Ok(0), Ok(0)),
            15 => (Length::Minute, part(8, 10)?, part(11, 13)?, part(13, 15)?, Ok(0)),
            17 => (
                Length::Second,
                part(8, 10)?,
                part(11, 13)?,
                part(13, 15)?,
                part(15, 17)?,
            ),
            _ => return None,
        };
        let date = NaiveDate::from_ymd_opt(name.get(..4)?.parse().ok()?, part(5, 7)?.ok()?, day.ok()?)?;
        let start = date.and_hms_opt(hour.ok()?, minute.ok()?, second.ok()?)?;
        let span = Self { start, length };
        // No signs, no zeros more or less.
        (span.name() == name).then_some(span)
    }

    /// The name.
    pub fn name(self) -> String {
        self.start.format(self.length.format()).to_string()
    }

    /// When it begins, and when the next one does.
    pub fn bounds(self) -> Option<(Time, Time)> {
        let end = match self.length {
            Length::Month => self.start.checked_add_months(Months::new(1)),
            Length::Day => self.start.checked_add_signed(TimeDelta::days(1)),
            Length::Hour => self.start.checked_add_signed(TimeDelta::hours(1)),
            Length::Minute => self.start.checked_add_signed(TimeDelta::minutes(1)),
            Length::Second => self.start.checked_add_signed(TimeDelta::seconds(1)),
        };
        let time = |at: NaiveDateTime| Time::from_ms(at.and_utc().timestamp_millis());
        Some((time(self.start), time(end?)))
    }

    /// Whether it is a page: its stories fit one, and those of the span around it do not.
    pub fn is_page(self, conn: &mut Conn) -> Result<bool> {
        let is_crowded = |conn: &mut Conn, span: Self| match span.bounds() {
            Some(bounds) => store::has_more_than(conn, bounds, PAGE_LENGTH),
            None => Ok(false),
        };
        if self.length != Length::Second && is_crowded(conn, self)? {
            return Ok(false);
        }
        match self.length.whole().and_then(|whole| Self::of(self.start, whole)) {
            Some(whole) => is_crowded(conn, whole),
            None => Ok(true),
        }
    }
}

/// A page, as the index has it.
pub struct Page {
    /// Its span.
    pub span: Span,
    /// When a story in it last changed for readers.
    pub updated: Time,
}

/// All pages that have stories, the newest first.
pub fn pages(conn: &mut Conn) -> Result<Vec<Page>> {
    let mut months: Vec<(Span, Crowd)> = Vec::new();
    for (start, crowd) in store::crowds(conn, None, 24 * 3_600_000)? {
        let Some(month) = Span::of(start.to_chrono().naive_utc(), Length::Month) else {
            continue;
        };
        match months.last_mut().filter(|(last, _)| *last == month) {
            Some((_, all)) => all.add(crowd),
            None => months.push((month, crowd)),
        }
    }
    let mut pages = Vec::new();
    for (month, crowd) in months {
        split(conn, month, crowd, &mut pages)?;
    }
    Ok(pages)
}

/// The pages of one span.
fn split(conn: &mut Conn, span: Span, crowd: Crowd, pages: &mut Vec<Page>) -> Result<()> {
    let parts = span.length.parts().filter(|_| crowd.stories > PAGE_LENGTH);
    match (parts, span.bounds()) {
        (Some((length, ms)), Some(bounds)) => {
            for (start, crowd) in store::crowds(conn, Some(bounds), ms)? {
                let part = Span {
                    start: start.to_chrono().naive_utc(),
                    length,
                };
                split(conn, part, crowd, pages)?;
            }
        }
        _ if crowd.stories > 0 => pages.push(Page {
            span,
            updated: crowd.updated,
        }),
        _ => {}
    }
    Ok(())
}

/// The index: where the pages are.
pub fn index(pages: &[Page], public_url: &str) -> Result<Vec<u8>> {
    let mut xml = Xml::new()?;
    xml.open("sitemapindex", &[NAMESPACE])?;
    for page in pages {
        xml.open("sitemap", &[])?;
        xml.text("loc", &[], &format!("{public_url}/sitemap-{}.xml", page.span.name()))?;
        xml.text("lastmod", &[], &page.updated.to_string())?;
        xml.close("sitemap")?;
    }
    xml.close("sitemapindex")?;
    Ok(xml.finish())
}

/// A page.
pub fn page(places: &[Place]) -> Result<Vec<u8>> {
    let languages = ("xmlns:xhtml", "http://www.w3.org/1999/xhtml");
    let images = ("xmlns:image", "http://www.google.com/schemas/sitemap-image/1.1");
    let mut xml = Xml::new()?;
    xml.open("urlset", &[NAMESPACE, languages, images])?;
    for place in places {
        xml.open("url", &[])?;
        xml.text("loc", &[], &place.url)?;
        xml.text("lastmod", &[], &place.updated.to_string())?;
        if !place.others.is_empty() {
            // Each language names all of them, itself too.
            let own = std::iter::once((&place.language, &place.url));
            for (language, url) in own.chain(place.others.iter().map(|(language, url)| (language, url))) {
                let attributes = [("rel", "alternate"), ("hreflang", language.as_str()), ("href", url)];
                xml.empty("xhtml:link", &attributes)?;
            }
        }
        for image in place.images.iter().take(MOST_IMAGES) {
            xml.open("image:image", &[])?;
            xml.text("image:loc", &[], image)?;
            xml.close("image:image")?;
        }
        xml.close("url")?;
    }
    xml.close("urlset")?;
    Ok(xml.finish())
}

/// The sitemap for news.
pub fn news(stories: &[News], site_name: &str) -> Result<Vec<u8>> {
    let extension = ("xmlns:news", "http://www.google.com/schemas/sitemap-news/0.9");
    let mut xml = Xml::new()?;
    xml.open("urlset", &[NAMESPACE, extension])?;
    for story in stories {
        xml.open("url", &[])?;
        xml.text("loc", &[], &story.url)?;
        xml.open("news:news", &[])?;
        xml.open("news:publication", &[])?;
        xml.text("news:name", &[], site_name)?;
        xml.text("news:language", &[], news_language(&story.language))?;
        xml.close("news:publication")?;
        xml.text("news:publication_date", &[], &story.published.to_string())?;
        xml.text("news:title", &[], &story.title)?;
        xml.close("news:news")?;
        xml.close("url")?;
    }
    xml.close("urlset")?;
    Ok(xml.finish())
}

/// Google takes the language alone, and two kinds of Chinese.
fn news_language(tag: &str) -> &str {
    match tag {
        "zh-cn" | "zh-tw" => tag,
        tag => tag.split('-').next().unwrap_or(tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_one_name_each() {
        for name in [
            "2026-11",
            "0001-01",
            "9999-12",
            "2026-11-03",
            "2024-02-29",
            "2026-11-03T08",
            "2026-11-03T0815",
            "2026-11-03T081559",
        ] {
            assert_eq!(Span::parse(name).map(Span::name).as_deref(), Some(name));
        }
        for name in [
            "",
            "2026",
            "2026-13",
            "2026-1",
            "2026-11-1",
            "2026-11-00",
            "2026-02-29",
            "+026-11",
            "2026-+1",
            "2026-11-",
            "2026_11",
            "2026-11-03T24",
            "2026-11-03t08",
            "2026-11-03T081",
            "2026-11-03T0860",
            "2026-11-03T081560",
            "2026-11-03T08:15",
            "ộ026-11",
            "news",
        ] {
            assert_eq!(Span::parse(name), None, "{name}");
        }
    }

    #[test]
    fn spans_end_where_the_next_begins() {
        for (name, start, end) in [
            ("2026-12", "2026-12-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"),
            ("2024-02-29", "2024-02-29T00:00:00.000Z", "2024-03-01T00:00:00.000Z"),
            ("2026-12-31T23", "2026-12-31T23:00:00.000Z", "2027-01-01T00:00:00.000Z"),
            (
                "2026-11-03T0815",
                "2026-11-03T08:15:00.000Z",
                "2026-11-03T08:16:00.000Z",
            ),
            (
                "2026-11-03T081559",
                "2026-11-03T08:15:59.000Z",
                "2026-11-03T08:16:00.000Z",
            ),
        ] {
            let bounds = Span::parse(name).and_then(Span::bounds).expect(name);
            assert_eq!((bounds.0.to_string(), bounds.1.to_string()), (start.into(), end.into()));
        }
    }

    #[test]
    fn a_time_is_in_one_span_of_each_length() {
        let time = Time::parse("2026-11-03T08:15:59.999Z").expect("a time");
        for (length, name) in [
            (Length::Month, "2026-11"),
            (Length::Day, "2026-11-03"),
            (Length::Hour, "2026-11-03T08"),
            (Length::Minute, "2026-11-03T0815"),
            (Length::Second, "2026-11-03T081559"),
        ] {
            let span = Span::of(time.to_chrono().naive_utc(), length).expect(name);
            assert_eq!((span.name().as_str(), Span::parse(name)), (name, Some(span)));
        }
    }
}
