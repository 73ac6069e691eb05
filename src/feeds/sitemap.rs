//! Sitemaps (sitemaps.org 0.9): an index, a page for each month of publication, and Google's extension for news.

use chrono::{Datelike, Months, NaiveDate, NaiveTime};

use super::store::{self, News, Place};
use super::xml::Xml;
use crate::db::Conn;
use crate::error::Result;
use crate::types::Time;

/// The media type.
pub const MEDIA_TYPE: &str = "application/xml; charset=utf-8";
/// Most addresses of one page.
pub const PAGE_LENGTH: i64 = 5000;
/// Most addresses of the sitemap for news.
pub const NEWS_LENGTH: i64 = 1000;
/// How old a story in the sitemap for news may be.
pub const NEWS_SECONDS: i64 = 2 * 24 * 3600;

const NAMESPACE: (&str, &str) = ("xmlns", "http://www.sitemaps.org/schemas/sitemap/0.9");

/// A month of publication, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month(NaiveDate);

impl Month {
    /// The month of a point in time.
    pub fn of(time: Time) -> Option<Self> {
        time.to_chrono().date_naive().with_day(1).map(Self)
    }

    /// When it begins, and when the next one does.
    pub fn span(self) -> Option<(Time, Time)> {
        let begin = |date: NaiveDate| Time::from_ms(date.and_time(NaiveTime::MIN).and_utc().timestamp_millis());
        Some((begin(self.0), begin(self.0.checked_add_months(Months::new(1))?)))
    }
}

/// A page of the sitemap: a month, and which of its pages, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The month.
    pub month: Month,
    /// The number.
    pub number: i64,
}

impl Page {
    /// Reads `2026-11` or `2026-11-2`; each page has one name only.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.splitn(3, '-');
        let (year, month) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let number = parts.next().map_or(Some(1), |number| number.parse().ok())?;
        let page = Self {
            month: Month(NaiveDate::from_ymd_opt(year, month, 1)?),
            number,
        };
        // No zeros more or less, no signs, no page 1 by its number; and no offset that does not fit.
        (page.name() == name && (1..1_000_000).contains(&number)).then_some(page)
    }

    /// The name.
    pub fn name(self) -> String {
        let (year, month) = (self.month.0.year(), self.month.0.month());
        match self.number {
            1 => format!("{year:04}-{month:02}"),
            number => format!("{year:04}-{month:02}-{number}"),
        }
    }
}

/// All pages, the newest month first. Months without stories are hopped over.
pub fn pages(conn: &mut Conn) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    let mut last = store::last_before(conn, None)?;
    while let Some(month) = last.and_then(Month::of) {
        let Some((start, end)) = month.span() else { break };
        let stories = store::count(conn, (start, end))?;
        let numbers = 1..=(stories + PAGE_LENGTH - 1) / PAGE_LENGTH;
        pages.extend(numbers.map(|number| Page { month, number }));
        last = store::last_before(conn, Some(start))?;
    }
    Ok(pages)
}

/// The index: where the pages are.
pub fn index(pages: &[Page], public_url: &str) -> Result<Vec<u8>> {
    let mut xml = Xml::new()?;
    xml.open("sitemapindex", &[NAMESPACE])?;
    for page in pages {
        xml.open("sitemap", &[])?;
        xml.text("loc", &[], &format!("{public_url}/sitemap-{}.xml", page.name()))?;
        xml.close("sitemap")?;
    }
    xml.close("sitemapindex")?;
    Ok(xml.finish())
}

/// A page.
pub fn page(places: &[Place]) -> Result<Vec<u8>> {
    let mut xml = Xml::new()?;
    xml.open("urlset", &[NAMESPACE])?;
    for place in places {
        xml.open("url", &[])?;
        xml.text("loc", &[], &place.url)?;
        xml.text("lastmod", &[], &place.updated.to_string())?;
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
        for name in ["2026-11", "2026-11-2", "0001-01", "9999-12-30"] {
            assert_eq!(Page::parse(name).map(Page::name).as_deref(), Some(name));
        }
        for name in [
            "",
            "2026",
            "2026-13",
            "2026-1",
            "2026-11-1",
            "2026-11-0",
            "2026-11-02",
            "2026-11-+2",
            "+026-11",
            "2026-11-",
            "2026-11-2-3",
            "2026-11--2",
            "2026-11-99999999999999999999",
            "2026-11-9223372036854775807",
            "news",
        ] {
            assert_eq!(Page::parse(name), None, "{name}");
        }
    }

    #[test]
    fn months_end_where_the_next_begins() {
        let month = Month::of(Time::parse("2026-12-31T23:59:59.999Z").expect("a time")).expect("a month");
        let (start, end) = month.span().expect("a span");
        assert_eq!(start.to_string(), "2026-12-01T00:00:00.000Z");
        assert_eq!(end.to_string(), "2027-01-01T00:00:00.000Z");
    }
}
