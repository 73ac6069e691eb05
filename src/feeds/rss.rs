//! RSS 2.0, with the modules that feed readers know: Atom for the feed's own address, Dublin Core for names, Content for
//! the body.

use super::xml::Xml;
use super::{Feed, Item};
use crate::body::text_to_html;
use crate::error::Result;
use crate::types::Time;

/// The media type.
pub const MEDIA_TYPE: &str = "application/rss+xml; charset=utf-8";

/// Writes a feed.
pub fn write(feed: &Feed) -> Result<Vec<u8>> {
    let mut xml = Xml::new()?;
    xml.open(
        "rss",
        &[
            ("version", "2.0"),
            ("xmlns:atom", "http://www.w3.org/2005/Atom"),
            ("xmlns:dc", "http://purl.org/dc/elements/1.1/"),
            ("xmlns:content", "http://purl.org/rss/1.0/modules/content/"),
        ],
    )?;
    xml.open("channel", &[])?;
    xml.text("title", &[], &feed.title)?;
    xml.text("link", &[], &feed.home)?;
    // RSS demands one, and the site has no other words for itself.
    xml.text("description", &[], &feed.site.name)?;
    xml.text("language", &[], &feed.language)?;
    xml.text("lastBuildDate", &[], &date(feed.updated()))?;
    xml.empty(
        "atom:link",
        &[
            ("href", &feed.address),
            ("rel", "self"),
            ("type", "application/rss+xml"),
        ],
    )?;
    for entry in &feed.items {
        item(&mut xml, entry)?;
    }
    xml.close("channel")?;
    xml.close("rss")?;
    Ok(xml.finish())
}

fn item(xml: &mut Xml, item: &Item) -> Result<()> {
    let story = &item.story;
    xml.open("item", &[])?;
    xml.text("title", &[], &story.title)?;
    xml.text("link", &[], &story.url)?;
    xml.text("guid", &[("isPermaLink", "false")], story.id.as_str())?;
    xml.text("pubDate", &[], &date(story.published_at))?;
    for author in &story.authors {
        xml.text("dc:creator", &[], &author.name)?;
    }
    let section = story.section.iter().map(|section| &section.name);
    for name in section.chain(story.tags.iter().map(|tag| &tag.name)) {
        xml.text("category", &[], name)?;
    }
    if let Some(lead) = &story.lead {
        // Readers take it for HTML.
        xml.text("description", &[], &text_to_html(lead))?;
    }
    xml.text("content:encoded", &[], &item.html)?;
    if let Some(file) = &item.enclosure {
        xml.empty(
            "enclosure",
            &[
                ("url", &file.url),
                ("length", &file.bytes.to_string()),
                ("type", &file.media_type),
            ],
        )?;
    }
    xml.close("item")
}

/// As RFC 822 writes it, with the four digits of the year that RSS prefers.
fn date(time: Time) -> String {
    time.to_chrono().format("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_mail() {
        let time = Time::parse("2026-11-03T15:04:05.678+07:00").expect("a time");
        assert_eq!(date(time), "Tue, 03 Nov 2026 08:04:05 +0000");
    }
}
