//! Stories: the working copy that editors change, and the publication that readers get.

pub mod action;
pub mod batch;
pub mod compose;
pub mod corrections;
pub mod delivery;
pub mod draft;
pub mod forms;
pub mod input;
pub mod json_ld;
pub mod listing;
pub mod management;
pub mod publication;
pub mod record;
pub mod related;
pub mod review;
pub mod revisions;
pub mod slugs;
pub mod store;
pub mod story;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::body::Body;
use crate::error::{Code, Problem, Result};
use crate::request::hash;
use crate::types::Id;

/// The source a story was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Source {
    /// Its name.
    #[schema(example = "thainguyen.gov.vn")]
    pub name: String,
    /// Its address.
    #[schema(required = true, format = "uri", example = "https://thainguyen.gov.vn")]
    pub url: Option<String>,
}

/// What search engines and social networks are told; null where the story's own title and lead serve.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Seo {
    /// Title for search engines.
    #[schema(required = true)]
    pub title: Option<String>,
    /// Description for search engines.
    #[schema(required = true)]
    pub description: Option<String>,
    /// The address that search engines should list instead.
    #[schema(required = true, format = "uri")]
    pub canonical_url: Option<String>,
}

/// What editors write: the content of a working copy, and of every revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Headline.
    pub title: String,
    /// The slug that publishing will make public.
    pub slug: String,
    /// Short line above the headline.
    pub kicker: Option<String>,
    /// Opening paragraph.
    pub lead: Option<String>,
    /// Date line or place line, as printed.
    pub dateline: Option<String>,
    /// The body.
    pub body: Body,
    /// Language, one of the site's.
    pub language: String,
    /// Section.
    pub section_id: Option<Id>,
    /// Tags, in order.
    pub tag_ids: Vec<Id>,
    /// Authors, in order.
    pub author_ids: Vec<Id>,
    /// Where it was taken from.
    pub source: Option<Source>,
    /// For search engines.
    pub seo: Seo,
    /// Whether readers may send feedback.
    pub feedback_open: bool,
    /// Whether it belongs to the front page.
    pub featured: bool,
}

/// What a placed image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaptionRole {
    /// The story's first picture, also on cards; one a story.
    Lead,
    /// Shown where a figure of the body points at it.
    Inline,
    /// Part of the gallery.
    Gallery,
}

impl CaptionRole {
    /// The name on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Inline => "inline",
            Self::Gallery => "gallery",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "lead" => Ok(Self::Lead),
            "inline" => Ok(Self::Inline),
            "gallery" => Ok(Self::Gallery),
            other => Err(Problem::internal(format!("the caption role {other:?} is not known"))),
        }
    }
}

/// A caption as a revision keeps it: its own words, before they fall back to the image's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptionContent {
    /// The caption's id.
    pub id: Id,
    /// The image it places.
    pub image_id: Id,
    /// What it is for.
    pub role: CaptionRole,
    /// Order among the captions.
    pub position: i64,
    /// Its own text.
    pub text: Option<String>,
    /// Its own alternative text.
    pub alt: Option<String>,
    /// Its own credit.
    pub credit: Option<String>,
}

/// A revision: everything that publishing would make public.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The content.
    pub content: Content,
    /// The captions, in order.
    pub captions: Vec<CaptionContent>,
    /// The id that the story and its translations share.
    pub translation_group: Id,
}

impl Snapshot {
    /// What tells whether two snapshots are the same.
    pub fn hash(&self) -> Result<String> {
        let content = serde_json::value::to_raw_value(&self.content).map_err(Problem::internal)?;
        Ok(self.stored(&content)?.1)
    }

    /// The JSON that is stored, and its hash, which tells whether two snapshots are the same. `content` is the content as
    /// JSON, which is made once.
    pub fn stored(&self, content: &RawValue) -> Result<(String, String)> {
        #[derive(Serialize)]
        struct Stored<'s> {
            content: &'s RawValue,
            captions: &'s [CaptionContent],
            translation_group: &'s Id,
        }
        let stored = Stored {
            content,
            captions: &self.captions,
            translation_group: &self.translation_group,
        };
        let json = serde_json::to_string(&stored).map_err(Problem::internal)?;
        let hash = hash(json.as_bytes());
        Ok((json, hash))
    }

    /// 422 for a figure that points at no caption of this article.
    pub fn check_figures(&self) -> Result<()> {
        let known = |id: &str| self.captions.iter().any(|caption| caption.id.as_str() == id);
        let errors: Vec<_> = self
            .content
            .body
            .figures()
            .into_iter()
            .filter(|(_, id)| !known(id))
            .map(|(pointer, id)| {
                let detail = format!("The figure points at the caption {id:?}, which this article does not have.");
                crate::error::FieldError::at(format!("/body{pointer}"), "invalid_reference", detail)
            })
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::validation(errors))
        }
    }
}

/// What state an article is in, for people; derived from four facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Never public.
    Draft,
    /// Review has been asked for.
    InReview,
    /// It will be published at a set time.
    Scheduled,
    /// Readers see it.
    Published,
    /// It was public and has been withdrawn.
    Unpublished,
    /// It is in the trash.
    Trashed,
}

impl Status {
    /// Every state, by the name on the wire.
    pub const NAMES: &'static [(&'static str, Status)] = &[
        ("draft", Status::Draft),
        ("in_review", Status::InReview),
        ("scheduled", Status::Scheduled),
        ("published", Status::Published),
        ("unpublished", Status::Unpublished),
        ("trashed", Status::Trashed),
    ];

    /// The name on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, status)| *status == self)
            .map_or("draft", |(name, _)| name)
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Result<Self> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, status)| *status)
            .ok_or_else(|| Problem::internal(format!("the status {text:?} is not known")))
    }
}

/// Whether readers see it, saw it, or never did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicState {
    /// Never public.
    Never,
    /// Public now.
    Live,
    /// Withdrawn.
    Gone,
}

impl PublicState {
    /// The name in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Live => "live",
            Self::Gone => "gone",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "never" => Ok(Self::Never),
            "live" => Ok(Self::Live),
            "gone" => Ok(Self::Gone),
            other => Err(Problem::internal(format!("the public state {other:?} is not known"))),
        }
    }
}

/// The facts that decide what may happen to an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Was it ever public?
    pub public: PublicState,
    /// Is it in the trash?
    pub trashed: bool,
    /// Has review been asked for?
    pub review: bool,
    /// Is a revision pinned for a time to come?
    pub scheduled: bool,
    /// Is the end of its publication set?
    pub ending: bool,
}

impl Facts {
    /// The state for people.
    pub fn status(self) -> Status {
        match self {
            Self { trashed: true, .. } => Status::Trashed,
            Self {
                public: PublicState::Live,
                ..
            } => Status::Published,
            Self { scheduled: true, .. } => Status::Scheduled,
            Self { review: true, .. } => Status::InReview,
            Self {
                public: PublicState::Gone,
                ..
            } => Status::Unpublished,
            Self {
                public: PublicState::Never,
                ..
            } => Status::Draft,
        }
    }

    /// The actions that are possible now, by name.
    pub fn actions(self) -> Vec<&'static str> {
        if self.trashed {
            return vec!["restore", "delete"];
        }
        let mut actions = vec!["publish", "trash"];
        actions.push(if self.review { "reject" } else { "submit" });
        if self.public == PublicState::Live {
            actions.extend(["unpublish", "corrections"]);
        }
        if self.scheduled || self.ending {
            actions.push("unschedule");
        }
        actions
    }

    /// 409 unless the action is possible now.
    pub fn allow(self, action: &str) -> Result<()> {
        let allowed = self.actions();
        if allowed.contains(&action) {
            return Ok(());
        }
        let status = self.status().as_str();
        let detail = format!("An article that is {status} cannot be changed by {action}.");
        Err(Problem::new(Code::InvalidTransition, detail).with("allowed", allowed))
    }
}

/// Minutes a reader needs, at 220 words a minute; at least one.
pub fn reading_minutes(words: usize) -> i64 {
    (words.div_ceil(220)).max(1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_follows_from_the_facts() {
        let facts = |public, trashed, review| Facts {
            public,
            trashed,
            review,
            scheduled: false,
            ending: false,
        };
        assert_eq!(facts(PublicState::Never, false, false).status(), Status::Draft);
        assert_eq!(facts(PublicState::Never, false, true).status(), Status::InReview);
        assert_eq!(facts(PublicState::Live, false, true).status(), Status::Published);
        assert_eq!(facts(PublicState::Gone, false, false).status(), Status::Unpublished);
        assert_eq!(facts(PublicState::Gone, true, true).status(), Status::Trashed);
        let scheduled = |facts: Facts| Facts {
            scheduled: true,
            ..facts
        };
        let status = |public, review| scheduled(facts(public, false, review)).status();
        assert_eq!(status(PublicState::Never, true), Status::Scheduled);
        assert_eq!(status(PublicState::Gone, false), Status::Scheduled);
        assert_eq!(status(PublicState::Live, false), Status::Published);
    }

    #[test]
    fn the_trash_allows_restoring_and_erasing_only() {
        let trashed = Facts {
            public: PublicState::Gone,
            trashed: true,
            review: false,
            scheduled: false,
            ending: false,
        };
        assert!(trashed.allow("restore").is_ok());
        for action in ["publish", "unpublish", "trash"] {
            assert_eq!(trashed.allow(action).expect_err(action).code(), Code::InvalidTransition);
        }
        let draft = Facts {
            public: PublicState::Never,
            trashed: false,
            review: false,
            scheduled: false,
            ending: false,
        };
        assert!(draft.allow("delete").is_err());
        assert!(draft.allow("unpublish").is_err());
    }

    #[test]
    fn a_review_is_asked_for_once_and_answered_once() {
        let facts = |review| Facts {
            public: PublicState::Live,
            trashed: false,
            review,
            scheduled: false,
            ending: false,
        };
        assert!(facts(false).allow("submit").is_ok() && facts(false).allow("reject").is_err());
        assert!(facts(true).allow("reject").is_ok() && facts(true).allow("submit").is_err());
    }

    #[test]
    fn reading_takes_at_least_a_minute() {
        assert_eq!(reading_minutes(0), 1);
        assert_eq!(reading_minutes(220), 1);
        assert_eq!(reading_minutes(221), 2);
    }
}
