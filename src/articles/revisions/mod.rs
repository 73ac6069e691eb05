//! Revisions: what an article was after every write, who made it so and why.

pub mod diff;
pub mod management;
pub mod store;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Seo, Snapshot, Source};
use crate::body::{self, Body};
use crate::captions::{ArticleCaption, article_captions};
use crate::config::Config;
use crate::db::Conn;
use crate::error::Result;
use crate::types::{Id, PersonRef, Time};
use diff::{CaptionDiff, DiffPart};

/// A revision of an article, without what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Revision {
    /// Its number; numbers rise, and may have gaps where old ones were thinned out.
    #[schema(minimum = 1)]
    pub number: i64,
    /// When it was made.
    pub created_at: Time,
    /// Who made it.
    pub created_by: PersonRef,
    /// What was done: `create`, `update`, `caption_create`, `caption_update`, `caption_delete`, `submit`, `reject`,
    /// `publish`, `unpublish`, `correct`, `trash`, `restore` or `revision_restore`. More may come.
    #[schema(example = "update")]
    pub action: String,
    /// What its author said about it.
    #[schema(required = true, example = "Thêm số liệu của tỉnh")]
    pub note: Option<String>,
    /// The number of the revision that was restored by it.
    #[schema(required = true, minimum = 1)]
    pub restored_from: Option<i64>,
}

/// What an article was in a revision.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RevisionContent {
    /// Headline.
    #[schema(example = "Lũ rút trên sông Cầu")]
    pub title: String,
    /// The slug that publishing would have made public.
    #[schema(example = "lu-rut-tren-song-cau")]
    pub slug: String,
    /// Line above the headline.
    #[schema(required = true)]
    pub kicker: Option<String>,
    /// Opening paragraph.
    #[schema(required = true)]
    pub lead: Option<String>,
    /// Date line or place line, as printed.
    #[schema(required = true, example = "Thứ Tư, 24/7/2024")]
    pub dateline: Option<String>,
    /// The body (Portable Text).
    #[schema(value_type = Vec<body::Block>)]
    pub body: Body,
    /// Language.
    #[schema(example = "vi")]
    pub language: String,
    /// The article this one was a translation of.
    #[schema(required = true)]
    pub translation_of: Option<Id>,
    /// Section; it may have been deleted since.
    #[schema(required = true)]
    pub section_id: Option<Id>,
    /// Tags, in order.
    pub tag_ids: Vec<Id>,
    /// Authors, in order.
    pub author_ids: Vec<Id>,
    /// Where it was taken from.
    #[schema(required = true)]
    pub source: Option<Source>,
    /// What search engines and social networks are told.
    pub seo: Seo,
    /// Whether readers could send feedback.
    pub feedback_open: bool,
    /// Whether it belonged to the front page.
    pub featured: bool,
    /// The placed images, in order, also those that have left the library since.
    pub captions: Vec<ArticleCaption>,
}

impl RevisionContent {
    fn of(conn: &mut Conn, config: &Config, article: &Id, snapshot: Snapshot) -> Result<Self> {
        let Snapshot {
            content,
            captions,
            translation_group: group,
        } = snapshot;
        Ok(Self {
            captions: article_captions(conn, config, captions)?,
            title: content.title,
            slug: content.slug,
            kicker: content.kicker,
            lead: content.lead,
            dateline: content.dateline,
            body: content.body,
            language: content.language,
            translation_of: (group != *article).then_some(group),
            section_id: content.section_id,
            tag_ids: content.tag_ids,
            author_ids: content.author_ids,
            source: content.source,
            seo: content.seo,
            feedback_open: content.feedback_open,
            featured: content.featured,
        })
    }
}

/// A revision with what is in it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct WholeRevision {
    /// Its number.
    #[schema(minimum = 1)]
    pub number: i64,
    /// When it was made.
    pub created_at: Time,
    /// Who made it.
    pub created_by: PersonRef,
    /// What was done; see `Revision`.
    #[schema(example = "update")]
    pub action: String,
    /// What its author said about it.
    #[schema(required = true, example = "Thêm số liệu của tỉnh")]
    pub note: Option<String>,
    /// The number of the revision that was restored by it.
    #[schema(required = true, minimum = 1)]
    pub restored_from: Option<i64>,
    /// What the article was.
    pub content: RevisionContent,
}

/// Two revisions, compared word by word. The pieces of a text that are not `insert` make up the text in `from`, those
/// that are not `delete` the text in `to`; a text that is empty in both has no pieces.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RevisionDiff {
    /// The one.
    pub from: Revision,
    /// The other.
    pub to: Revision,
    /// Names of all the properties that differ, also of those that are no text.
    #[schema(example = json!(["title", "section_id"]))]
    pub changed: Vec<&'static str>,
    /// Headline.
    pub title: Vec<DiffPart>,
    /// Line above the headline.
    pub kicker: Vec<DiffPart>,
    /// Opening paragraph.
    pub lead: Vec<DiffPart>,
    /// The body as plain text.
    pub body: Vec<DiffPart>,
    /// The captions of `to` in order, then those that only `from` has.
    pub captions: Vec<CaptionDiff>,
}

/// What restoring a revision may be told.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevisionRestoreInput {
    /// Why, for colleagues; kept with the new revision.
    #[serde(default)]
    #[schema(value_type = String, required = false, max_length = 1000)]
    pub note: Option<String>,
    /// Whether to go on when something the revision needs has been deleted or taken since, without just that: images
    /// with their captions and figures, section, tags, authors; the slug stays as it is. No when absent: then it is
    /// refused with `revision_incomplete`, which names everything that is missing.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub without_deleted: Option<bool>,
}
