//! JSON Feed 1.1.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Feed, Item};
use crate::error::{Problem, Result};
use crate::types::{Id, Time};

/// The media type.
pub const MEDIA_TYPE: &str = "application/feed+json";

/// A feed as JSON Feed 1.1 has it. What is not known is left out.
#[derive(Debug, Serialize, ToSchema)]
pub struct JsonFeed {
    /// The version of the format.
    #[schema(format = "uri", example = "https://jsonfeed.org/version/1.1")]
    version: &'static str,
    /// The site's name.
    title: String,
    /// The site's address.
    #[schema(format = "uri")]
    home_page_url: String,
    /// The feed's own address.
    #[schema(format = "uri")]
    feed_url: String,
    /// The language.
    #[schema(example = "vi")]
    language: String,
    /// The stories, newest first.
    items: Vec<JsonFeedItem>,
}

/// A story in a JSON Feed.
#[derive(Debug, Serialize, ToSchema)]
pub struct JsonFeedItem {
    /// The story's id.
    id: Id,
    /// Its address on the site.
    #[schema(format = "uri")]
    url: String,
    /// Headline.
    title: String,
    /// Opening paragraph.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = String)]
    summary: Option<String>,
    /// The body as HTML.
    content_html: String,
    /// The picture for cards.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = String, format = "uri")]
    image: Option<String>,
    /// When it was published.
    date_published: Time,
    /// When its content last changed for readers.
    date_modified: Time,
    /// Who it is by.
    authors: Vec<JsonFeedAuthor>,
    /// Names of its section and its tags.
    tags: Vec<String>,
    /// Its language.
    #[schema(example = "vi")]
    language: String,
}

/// An author in a JSON Feed.
#[derive(Debug, Serialize, ToSchema)]
pub struct JsonFeedAuthor {
    /// The name.
    name: String,
}

/// Writes a feed.
pub fn write(feed: &Feed) -> Result<Vec<u8>> {
    let document = JsonFeed {
        version: "https://jsonfeed.org/version/1.1",
        title: feed.title.clone(),
        home_page_url: feed.home.clone(),
        feed_url: feed.address.clone(),
        language: feed.language.clone(),
        items: feed.items.iter().map(item).collect(),
    };
    serde_json::to_vec(&document).map_err(Problem::internal)
}

fn item(item: &Item) -> JsonFeedItem {
    let story = &item.story;
    let section = story.section.iter().map(|section| section.name.clone());
    let author = |name: &String| JsonFeedAuthor { name: name.clone() };
    JsonFeedItem {
        id: story.id.clone(),
        url: story.url.clone(),
        title: story.title.clone(),
        summary: story.lead.clone(),
        content_html: item.html.clone(),
        image: story.cover.as_ref().map(|cover| cover.image.url.clone()),
        date_published: story.published_at,
        date_modified: story.updated_at,
        authors: story.authors.iter().map(|one| author(&one.name)).collect(),
        tags: section.chain(story.tags.iter().map(|tag| tag.name.clone())).collect(),
        language: story.language.clone(),
    }
}
