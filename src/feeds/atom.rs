//! Atom (RFC 4287).

use super::xml::Xml;
use super::{Feed, Item};
use crate::error::Result;

/// The media type.
pub const MEDIA_TYPE: &str = "application/atom+xml; charset=utf-8";

/// Writes a feed.
pub fn write(feed: &Feed) -> Result<Vec<u8>> {
    let mut xml = Xml::new()?;
    xml.open(
        "feed",
        &[("xmlns", "http://www.w3.org/2005/Atom"), ("xml:lang", &feed.language)],
    )?;
    xml.text("id", &[], &feed.address)?;
    xml.text("title", &[], &feed.title)?;
    xml.text("updated", &[], &feed.updated().to_string())?;
    // Stands for the stories that name no author of their own, which RFC 4287 demands.
    author(&mut xml, &feed.site.name)?;
    xml.empty(
        "link",
        &[
            ("rel", "self"),
            ("type", "application/atom+xml"),
            ("href", &feed.address),
        ],
    )?;
    xml.empty(
        "link",
        &[("rel", "alternate"), ("type", "text/html"), ("href", &feed.home)],
    )?;
    for item in &feed.items {
        entry(&mut xml, item)?;
    }
    xml.close("feed")?;
    Ok(xml.finish())
}

fn entry(xml: &mut Xml, item: &Item) -> Result<()> {
    let story = &item.story;
    xml.open("entry", &[("xml:lang", &story.language)])?;
    xml.text("id", &[], &format!("urn:uuid:{}", story.id.as_str()))?;
    xml.text("title", &[], &story.title)?;
    xml.empty(
        "link",
        &[
            ("rel", "alternate"),
            ("type", "text/html"),
            ("hreflang", &story.language),
            ("href", &story.url),
        ],
    )?;
    xml.text("published", &[], &story.published_at.to_string())?;
    xml.text("updated", &[], &story.updated_at.to_string())?;
    for one in &story.authors {
        author(xml, &one.name)?;
    }
    let section = story.section.iter().map(|section| (&section.slug, &section.name));
    for (slug, name) in section.chain(story.tags.iter().map(|tag| (&tag.slug, &tag.name))) {
        xml.empty("category", &[("term", slug), ("label", name)])?;
    }
    if let Some(lead) = &story.lead {
        xml.text("summary", &[], lead)?;
    }
    xml.text("content", &[("type", "html")], &item.html)?;
    if let Some(file) = &item.enclosure {
        xml.empty(
            "link",
            &[
                ("rel", "enclosure"),
                ("type", &file.media_type),
                ("length", &file.bytes.to_string()),
                ("href", &file.url),
            ],
        )?;
    }
    xml.close("entry")
}

fn author(xml: &mut Xml, name: &str) -> Result<()> {
    xml.open("author", &[])?;
    xml.text("name", &[], name)?;
    xml.close("author")
}
