//! A found story, as readers get it.

use serde::Serialize;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::highlight::Highlight;
use crate::articles::compose::ArticleSummary;
use crate::openapi::merged;

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
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchResult {
    /// The story.
    #[serde(flatten)]
    pub article: ArticleSummary,
    /// What was found.
    #[serde(flatten)]
    pub found: Found,
}

/// A found story: its summary, and where the words are.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Found {
    /// Short excerpts with what was found, in the story's own spelling.
    pub highlights: Vec<Highlight>,
    /// Whether the words are there as they were typed.
    pub matched_as: MatchedAs,
}

impl PartialSchema for SearchResult {
    fn schema() -> RefOr<Schema> {
        merged::<ArticleSummary, Found>()
    }
}

impl ToSchema for SearchResult {
    fn name() -> std::borrow::Cow<'static, str> {
        "SearchResult".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ArticleSummary::schemas(schemas);
        Found::schemas(schemas);
    }
}
