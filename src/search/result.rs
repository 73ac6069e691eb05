//! A found story, as readers get it.

use serde::Serialize;
use utoipa::ToSchema;

use super::highlight::Highlight;
use crate::articles::Source;
use crate::articles::compose::{ArticleSummary, Placement};
use crate::taxonomy::{AuthorRef, SectionRef, TagRef};
use crate::types::{Id, Time};

/// How a story matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MatchedAs {
    /// All words as they were typed, without regard to case.
    Exact,
    /// Without regard to accents.
    Folded,
}

/// A found story: its summary, and where the words are.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SearchResult {
    /// The id.
    pub id: Id,
    /// The slug.
    #[schema(example = "lu-rut-tren-song-cau")]
    pub slug: String,
    /// Its address on the site.
    #[schema(format = "uri", example = "https://news.example.vn/thoi-su/lu-rut-tren-song-cau")]
    pub url: String,
    /// Headline.
    #[schema(example = "Lũ rút trên sông Cầu")]
    pub title: String,
    /// Line above the headline.
    #[schema(required = true)]
    pub kicker: Option<String>,
    /// Opening paragraph.
    #[schema(required = true)]
    pub lead: Option<String>,
    /// Date line or place line, as printed.
    #[schema(required = true, example = "Thứ Tư, 24/7/2024")]
    pub dateline: Option<String>,
    /// Language.
    #[schema(example = "vi")]
    pub language: String,
    /// Section.
    #[schema(required = true)]
    pub section: Option<SectionRef>,
    /// Authors, in order.
    pub authors: Vec<AuthorRef>,
    /// Tags, in order.
    pub tags: Vec<TagRef>,
    /// Where it was taken from.
    #[schema(required = true)]
    pub source: Option<Source>,
    /// The picture for cards.
    #[schema(required = true)]
    pub cover: Option<Placement>,
    /// When it was published.
    pub published_at: Time,
    /// When it was first published.
    pub first_published_at: Time,
    /// When its content last changed for readers.
    pub updated_at: Time,
    /// Minutes to read.
    #[schema(minimum = 1)]
    pub reading_minutes: i64,
    /// Whether it belongs to the front page.
    pub featured: bool,
    /// Short excerpts with what was found, in the story's own spelling.
    pub highlights: Vec<Highlight>,
    /// Whether the words are there as they were typed.
    pub matched_as: MatchedAs,
}

impl SearchResult {
    /// A summary with where the words are.
    pub fn new(article: ArticleSummary, highlights: Vec<Highlight>, matched_as: MatchedAs) -> Self {
        Self {
            id: article.id,
            slug: article.slug,
            url: article.url,
            title: article.title,
            kicker: article.kicker,
            lead: article.lead,
            dateline: article.dateline,
            language: article.language,
            section: article.section,
            authors: article.authors,
            tags: article.tags,
            source: article.source,
            cover: article.cover,
            published_at: article.published_at,
            first_published_at: article.first_published_at,
            updated_at: article.updated_at,
            reading_minutes: article.reading_minutes,
            featured: article.featured,
            highlights,
            matched_as,
        }
    }
}
