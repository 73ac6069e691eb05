//! What editors get: the working copy, with who changed it and what state it is in.

use std::collections::HashMap;

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::corrections::Correction;
use super::corrections::store::corrections_of;
use super::store::{ArticleRow, revision, snapshot};
use super::{Content, Seo, Snapshot, Source, Status};
use crate::auth::Caller;
use crate::body::{self, Body};
use crate::captions::{ArticleCaption, article_captions};
use crate::config::Config;
use crate::db::Conn;
use crate::error::{FieldError, Result};
use crate::images::rights;
use crate::leases;
use crate::schedules::ScheduleFailure;
use crate::schedules::store::{Planned, planned};
use crate::schema::{editors, publications};
use crate::types::{Id, Lease, PersonRef, Time};

/// Whether colleagues are asked to look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    /// Nobody has asked.
    None,
    /// It waits for an editor.
    Requested,
}

/// A working copy as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct WorkingArticleSummary {
    /// The id.
    pub id: Id,
    /// Headline.
    #[schema(example = "Lũ rút trên sông Cầu")]
    pub title: String,
    /// The slug that publishing will make public.
    #[schema(example = "lu-rut-tren-song-cau")]
    pub slug: String,
    /// Line above the headline.
    #[schema(required = true)]
    pub kicker: Option<String>,
    /// Opening paragraph.
    #[schema(required = true)]
    pub lead: Option<String>,
    /// Language.
    #[schema(example = "vi")]
    pub language: String,
    /// The article this one is a translation of.
    #[schema(required = true)]
    pub translation_of: Option<Id>,
    /// Section.
    #[schema(required = true)]
    pub section_id: Option<Id>,
    /// Tags, in order.
    pub tag_ids: Vec<Id>,
    /// Authors, in order.
    pub author_ids: Vec<Id>,
    /// Whether it belongs to the front page.
    pub featured: bool,
    /// Whose article it is.
    pub owner_id: Id,
    /// What state it is in.
    pub status: Status,
    /// Whether colleagues are asked to look at it, also at edits of a live story.
    pub review: Review,
    /// Raised by every change; `ETag` is this in quotation marks.
    #[schema(minimum = 1)]
    pub version: i64,
    /// Number of the newest revision.
    #[schema(minimum = 1)]
    pub revision: i64,
    /// Whether publishing would change what readers see.
    pub has_unpublished_changes: bool,
    /// When it will be published.
    #[schema(required = true)]
    pub publish_at: Option<Time>,
    /// When it will be withdrawn.
    #[schema(required = true)]
    pub unpublish_at: Option<Time>,
    /// Number of the revision that is pinned for `publish_at`.
    #[schema(required = true, minimum = 1)]
    pub scheduled_revision: Option<i64>,
    /// What was scheduled and could not be done.
    #[schema(required = true)]
    pub schedule_failed: Option<ScheduleFailure>,
    /// Who is editing it.
    #[schema(required = true)]
    pub lease: Option<Lease>,
    /// When it was first published.
    #[schema(required = true)]
    pub first_published_at: Option<Time>,
    /// When it was published, as readers are told.
    #[schema(required = true)]
    pub published_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// Who made it.
    pub created_by: PersonRef,
    /// When it was changed last.
    pub updated_at: Time,
    /// Who changed it last.
    pub updated_by: PersonRef,
}

/// A working copy.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct WorkingArticle {
    /// The id.
    pub id: Id,
    /// Headline.
    #[schema(example = "Lũ rút trên sông Cầu")]
    pub title: String,
    /// The slug that publishing will make public.
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
    /// The article this one is a translation of.
    #[schema(required = true)]
    pub translation_of: Option<Id>,
    /// Section.
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
    /// Whether readers may send feedback.
    pub feedback_open: bool,
    /// Whether it belongs to the front page.
    pub featured: bool,
    /// Whose article it is.
    pub owner_id: Id,
    /// What state it is in.
    pub status: Status,
    /// Whether colleagues are asked to look at it, also at edits of a live story.
    pub review: Review,
    /// Raised by every change; `ETag` is this in quotation marks.
    #[schema(minimum = 1)]
    pub version: i64,
    /// Number of the newest revision.
    #[schema(minimum = 1)]
    pub revision: i64,
    /// Whether publishing would change what readers see.
    pub has_unpublished_changes: bool,
    /// The placed images, in order.
    pub captions: Vec<ArticleCaption>,
    /// What readers are told was wrong, oldest first.
    pub corrections: Vec<Correction>,
    /// What its editors should know before it is published: rights to its images that have ended (`rights_expired`) or end
    /// within days (`rights_expiring`), with a pointer at the caption.
    pub warnings: Vec<FieldError>,
    /// When it will be published.
    #[schema(required = true)]
    pub publish_at: Option<Time>,
    /// When it will be withdrawn.
    #[schema(required = true)]
    pub unpublish_at: Option<Time>,
    /// Number of the revision that is pinned for `publish_at`.
    #[schema(required = true, minimum = 1)]
    pub scheduled_revision: Option<i64>,
    /// What was scheduled and could not be done.
    #[schema(required = true)]
    pub schedule_failed: Option<ScheduleFailure>,
    /// Who is editing it.
    #[schema(required = true)]
    pub lease: Option<Lease>,
    /// When it was first published.
    #[schema(required = true)]
    pub first_published_at: Option<Time>,
    /// When it was published, as readers are told.
    #[schema(required = true)]
    pub published_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// Who made it.
    pub created_by: PersonRef,
    /// When it was changed last.
    pub updated_at: Time,
    /// Who changed it last.
    pub updated_by: PersonRef,
    /// The body as HTML, with `include=html`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = String)]
    pub html: Option<String>,
    /// The body as Markdown, with `include=markdown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = String)]
    pub markdown: Option<String>,
    /// The body as plain text, with `include=text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = String)]
    pub text: Option<String>,
}

/// Names of editors by id.
pub type People = HashMap<Id, String>;

/// Loads the names of editors.
pub fn people(conn: &mut Conn, ids: impl IntoIterator<Item = Id>) -> Result<People> {
    let mut ids: Vec<Id> = ids.into_iter().collect();
    ids.sort();
    ids.dedup();
    let mut people = People::new();
    // A newsroom has few people; a list would be parsed anew each time on SQLite.
    for id in ids {
        let name: Option<String> = editors::table.find(&id).select(editors::name).first(conn).optional()?;
        people.extend(name.map(|name| (id, name)));
    }
    Ok(people)
}

/// Who has this id; without a name when the account is gone.
pub fn person(people: &People, id: &Id) -> PersonRef {
    PersonRef {
        id: id.clone(),
        name: people.get(id).cloned().unwrap_or_default(),
    }
}

/// What the caller may see of an article: the working copy, or for another writer's story what readers see.
fn visible(conn: &mut Conn, caller: &Caller, row: &ArticleRow) -> Result<(ArticleRow, Snapshot)> {
    if row.is_open_to(caller) {
        return Ok((row.clone(), snapshot(conn, row)?));
    }
    let (number, group, updated): (i64, Id, Time) = publications::table
        .find(&row.id)
        .select((
            publications::revision,
            publications::translation_group,
            publications::updated_ms,
        ))
        .first(conn)?;
    let mut seen = row.clone();
    seen.revision = number;
    seen.translation_group = group;
    seen.updated = updated;
    Ok((seen, revision(conn, &row.id, number)?))
}

/// What other tables know of some articles.
#[derive(Default)]
struct Beside {
    plans: HashMap<Id, Planned>,
    leases: HashMap<Id, Lease>,
}

impl Beside {
    fn load(conn: &mut Conn, ids: &[&Id]) -> Result<Self> {
        Ok(Self {
            plans: planned(conn, ids)?,
            leases: leases::store::of(conn, ids)?,
        })
    }
}

fn summary(
    row: &ArticleRow,
    content: &Content,
    people: &People,
    beside: &Beside,
    open: bool,
) -> Result<WorkingArticleSummary> {
    // What is planned is no business of those who see what readers see.
    let planned = beside.plans.get(&row.id).filter(|_| open).cloned().unwrap_or_default();
    let changed = row.is_live() && row.published_hash.as_ref() != Some(&row.content_hash);
    Ok(WorkingArticleSummary {
        id: row.id.clone(),
        title: content.title.clone(),
        slug: content.slug.clone(),
        kicker: content.kicker.clone(),
        lead: content.lead.clone(),
        language: content.language.clone(),
        translation_of: (row.translation_group != row.id).then(|| row.translation_group.clone()),
        section_id: content.section_id.clone(),
        tag_ids: content.tag_ids.clone(),
        author_ids: content.author_ids.clone(),
        featured: content.featured,
        owner_id: row.owner_id.clone(),
        status: Status::parse(&row.status)?,
        review: if row.review == "requested" {
            Review::Requested
        } else {
            Review::None
        },
        version: row.version,
        revision: row.revision,
        has_unpublished_changes: open && changed,
        publish_at: row.publish_at.filter(|_| open),
        unpublish_at: row.unpublish_at.filter(|_| open),
        scheduled_revision: planned.revision,
        schedule_failed: planned.failure,
        lease: beside.leases.get(&row.id).filter(|_| open).cloned(),
        first_published_at: row.first_published,
        published_at: row.published,
        created_at: row.created,
        created_by: person(people, &row.created_by),
        updated_at: row.updated,
        updated_by: person(people, &row.updated_by),
    })
}

/// The summaries of some rows, in their order, as far as the caller may see them.
pub fn summaries(conn: &mut Conn, caller: &Caller, rows: &[ArticleRow]) -> Result<Vec<WorkingArticleSummary>> {
    let people = people(
        conn,
        rows.iter()
            .flat_map(|row| [row.created_by.clone(), row.updated_by.clone()]),
    )?;
    let ids: Vec<&Id> = rows.iter().map(|row| &row.id).collect();
    let beside = Beside::load(conn, &ids)?;
    rows.iter()
        .map(|row| {
            let open = row.is_open_to(caller);
            if open {
                return summary(row, &row.content()?, &people, &beside, open);
            }
            let (row, seen) = visible(conn, caller, row)?;
            summary(&row, &seen.content, &people, &beside, open)
        })
        .collect()
}

/// The whole article, as far as the caller may see it.
pub fn whole(conn: &mut Conn, config: &Config, caller: &Caller, row: &ArticleRow) -> Result<WorkingArticle> {
    let people = people(conn, [row.created_by.clone(), row.updated_by.clone()])?;
    let beside = Beside::load(conn, &[&row.id])?;
    let open = row.is_open_to(caller);
    let (row, Snapshot { content, captions, .. }) = visible(conn, caller, row)?;
    let head = summary(&row, &content, &people, &beside, open)?;
    // What is wrong with its rights is no business of those who see what readers see.
    let warnings = match open {
        true => rights::warnings(conn, &captions, config.rights_warn_days)?,
        false => Vec::new(),
    };
    let captions = article_captions(conn, config, captions)?;
    let corrections = corrections_of(conn, std::slice::from_ref(&row.id))?.remove(&row.id);
    let mut article = assemble(head, content, captions, corrections.unwrap_or_default());
    article.warnings = warnings;
    Ok(article)
}

/// An article that the caller has just made: there is nothing beside it yet.
pub fn fresh(caller: &Caller, row: &ArticleRow, content: Content) -> Result<WorkingArticle> {
    let people = People::from([(caller.id.clone(), caller.name.clone())]);
    let head = summary(row, &content, &people, &Beside::default(), true)?;
    Ok(assemble(head, content, Vec::new(), Vec::new()))
}

fn assemble(
    head: WorkingArticleSummary,
    content: Content,
    captions: Vec<ArticleCaption>,
    corrections: Vec<Correction>,
) -> WorkingArticle {
    WorkingArticle {
        captions,
        corrections,
        warnings: Vec::new(),
        id: head.id,
        title: head.title,
        slug: head.slug,
        kicker: head.kicker,
        lead: head.lead,
        dateline: content.dateline,
        body: content.body,
        language: head.language,
        translation_of: head.translation_of,
        section_id: head.section_id,
        tag_ids: head.tag_ids,
        author_ids: head.author_ids,
        source: content.source,
        seo: content.seo,
        feedback_open: content.feedback_open,
        featured: head.featured,
        owner_id: head.owner_id,
        status: head.status,
        review: head.review,
        version: head.version,
        revision: head.revision,
        has_unpublished_changes: head.has_unpublished_changes,
        publish_at: head.publish_at,
        unpublish_at: head.unpublish_at,
        scheduled_revision: head.scheduled_revision,
        schedule_failed: head.schedule_failed,
        lease: head.lease,
        first_published_at: head.first_published_at,
        published_at: head.published_at,
        created_at: head.created_at,
        created_by: head.created_by,
        updated_at: head.updated_at,
        updated_by: head.updated_by,
        html: None,
        markdown: None,
        text: None,
    }
}

/// The article as an answer: its JSON and its version.
pub fn answer(
    conn: &mut Conn,
    config: &Config,
    caller: &Caller,
    row: &ArticleRow,
) -> Result<crate::idempotency::Answer> {
    let article = whole(conn, config, caller, row)?;
    Ok(crate::idempotency::Answer::ok(&article)?.version(article.version))
}
