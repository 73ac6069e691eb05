//! How working copies are kept: the row, its revisions, its slugs. Queries only, no HTTP.

use diesel::prelude::*;
use serde_json::json;

use super::input::Changes;
use super::slugs::{drop_working_slugs, take_slug};
use super::{CaptionContent, CaptionRole, Content, Facts, PublicState, Snapshot, Status};
use crate::audit::{self, Actor};
use crate::auth::{Caller, forbidden};
use crate::conditional::Guard;
use crate::db::{Conn, Fixed, Tx, Value};
use crate::error::{Code, Problem, Result};
use crate::leases;
use crate::schema::{
    article_authors, article_tags, articles, authors, captions, editors, publications, revisions, sections, slugs, tags,
};
use crate::text::{fold, sort_key};
use crate::types::{Id, Time};

/// A row of the table `articles`.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = articles)]
pub struct ArticleRow {
    /// The article's id.
    pub id: Id,
    /// Raised by every write.
    pub version: i64,
    /// Number of the newest revision.
    pub revision: i64,
    /// Hash of the newest revision.
    pub content_hash: String,
    /// Derived; see [`Status`].
    pub status: String,
    /// See [`PublicState`].
    pub public_state: String,
    /// `none` or `requested`.
    pub review: String,
    /// When it was put in the trash.
    #[diesel(column_name = trashed_ms)]
    pub trashed: Option<Time>,
    /// The working slug.
    pub slug: String,
    /// Headline.
    pub title: String,
    /// Headline to sort by.
    pub title_key: String,
    /// Headline to sort by for those who see only what readers see: the published one while it is live.
    pub public_title_key: String,
    /// Folded text to look through.
    pub search: String,
    /// Language.
    pub language: String,
    /// The id that a story and its translations share.
    pub translation_group: Id,
    /// Section.
    pub section_id: Option<Id>,
    /// Whose article it is.
    pub owner_id: Id,
    /// [`Content`] as JSON.
    pub content: String,
    /// Hash of the revision that readers see.
    pub published_hash: Option<String>,
    /// When it was first published.
    #[diesel(column_name = first_published_ms)]
    pub first_published: Option<Time>,
    /// When it was published, as readers are told.
    #[diesel(column_name = published_ms)]
    pub published: Option<Time>,
    /// Who made it.
    pub created_by: Id,
    /// When it was made.
    #[diesel(column_name = created_ms)]
    pub created: Time,
    /// Who changed it last.
    pub updated_by: Id,
    /// When it was changed last.
    #[diesel(column_name = updated_ms)]
    pub updated: Time,
    /// When the pinned revision will be published.
    #[diesel(column_name = publish_ms)]
    pub publish_at: Option<Time>,
    /// When it will be withdrawn.
    #[diesel(column_name = unpublish_ms)]
    pub unpublish_at: Option<Time>,
}

impl ArticleRow {
    /// The content.
    pub fn content(&self) -> Result<Content> {
        serde_json::from_str(&self.content).map_err(Problem::internal)
    }

    /// Takes over a snapshot as its next revision, of which the JSON is given back to be stored. `seen`: readers get to see
    /// it with this write.
    pub fn take(&mut self, snapshot: &Snapshot, seen: bool) -> Result<String> {
        let content = &snapshot.content;
        let json = serde_json::value::to_raw_value(content).map_err(Problem::internal)?;
        let (stored, content_hash) = snapshot.stored(&json)?;
        self.revision += 1;
        self.content_hash = content_hash;
        self.content = String::from(Box::<str>::from(json));
        self.title.clone_from(&content.title);
        self.slug.clone_from(&content.slug);
        self.language.clone_from(&content.language);
        self.section_id.clone_from(&content.section_id);
        self.title_key = sort_key(&content.title);
        if !self.is_live() || seen {
            self.public_title_key.clone_from(&self.title_key);
        }
        self.search = searchable(content);
        Ok(stored)
    }

    /// The facts that decide what may happen.
    pub fn facts(&self) -> Result<Facts> {
        Ok(Facts {
            public: PublicState::parse(&self.public_state)?,
            trashed: self.trashed.is_some(),
            review: self.review == "requested",
            scheduled: self.publish_at.is_some(),
            ending: self.unpublish_at.is_some(),
        })
    }

    /// Whether readers see it.
    pub fn is_live(&self) -> bool {
        self.public_state == "live"
    }

    /// Whether the caller may know of it: their own, everything for editors, and what readers see.
    pub fn is_visible_to(&self, caller: &Caller) -> bool {
        caller.is_editor() || self.owner_id == caller.id || (self.is_live() && self.trashed.is_none())
    }

    /// Whether the caller may see the working copy and not only what readers see.
    pub fn is_open_to(&self, caller: &Caller) -> bool {
        caller.is_editor() || self.owner_id == caller.id
    }

    /// 403 unless the caller may change it: editors always, writers their own drafts.
    pub fn check_may_change(&self, caller: &Caller) -> Result<()> {
        if caller.is_editor() || (self.owner_id == caller.id && self.status == Status::Draft.as_str()) {
            Ok(())
        } else {
            Err(forbidden(
                "Writers change their own drafts; ask an editor for anything else.",
            ))
        }
    }
}

/// The article with this id, if the caller may know of it.
pub fn get(conn: &mut Conn, caller: &Caller, id: &Id) -> Result<ArticleRow> {
    let row: Option<ArticleRow> = articles::table.find(id).first(conn).optional()?;
    row.filter(|row| row.is_visible_to(caller))
        .ok_or_else(|| Problem::not_found("article"))
}

/// Takes the article's lock and its next version: from here to the end of the transaction nobody else writes it or
/// its captions. 404 for who may not know of it, 412 when the guard does not fit, 409 while another is editing it.
pub fn claim(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard) -> Result<ArticleRow> {
    let row = lock(tx, caller, id)?;
    check_turn(tx, caller, &row, guard)?;
    Ok(row)
}

/// Takes the article's lock without changing anything; false when there is no such article.
pub fn hold(tx: &mut Tx<'_>, id: &Id) -> Result<bool> {
    let same = diesel::update(articles::table.find(id)).set(articles::version.eq(articles::version));
    Ok(same.execute(tx.conn)? > 0)
}

/// The second half of [`claim`]: 412 when the guard does not fit, 409 while another is editing.
pub fn check_turn(tx: &mut Tx<'_>, caller: &Caller, row: &ArticleRow, guard: &Guard) -> Result<()> {
    guard.check(row.version - 1)?;
    leases::store::check(tx, caller, &row.id)
}

/// The first half of [`claim`], for writes that have rules to check before the version (422 comes before 412).
pub fn lock(tx: &mut Tx<'_>, caller: &Caller, id: &Id) -> Result<ArticleRow> {
    let claimed: Option<ArticleRow> = diesel::update(articles::table.find(id))
        .set((
            articles::version.eq(articles::version + 1),
            articles::updated_ms.eq(tx.now),
            articles::updated_by.eq(&caller.id),
        ))
        .returning(articles::all_columns)
        .get_result(tx.conn)
        .optional()?;
    claimed
        .filter(|row| row.is_visible_to(caller))
        .ok_or_else(|| Problem::not_found("article"))
}

/// The captions of an article as revisions keep them, in order.
pub fn captions_of(conn: &mut Conn, article: &Id) -> Result<Vec<CaptionContent>> {
    type Row = (Id, Id, String, i64, Option<String>, Option<String>, Option<String>);
    let rows: Vec<Row> = captions::table
        .filter(captions::article_id.eq(article))
        .order((captions::position, captions::id))
        .select((
            captions::id,
            captions::image_id,
            captions::role,
            captions::position,
            captions::text,
            captions::alt,
            captions::credit,
        ))
        .load(conn)?;
    rows.into_iter()
        .map(|(id, image_id, role, position, text, alt, credit)| {
            Ok(CaptionContent {
                id,
                image_id,
                role: CaptionRole::parse(&role)?,
                position,
                text,
                alt,
                credit,
            })
        })
        .collect()
}

/// The snapshot of the working copy as it is now.
pub fn snapshot(conn: &mut Conn, row: &ArticleRow) -> Result<Snapshot> {
    Ok(Snapshot {
        content: row.content()?,
        captions: captions_of(conn, &row.id)?,
        translation_group: row.translation_group.clone(),
    })
}

/// One revision's snapshot.
pub fn revision(conn: &mut Conn, article: &Id, number: i64) -> Result<Snapshot> {
    let stored: String = revisions::table
        .find((article, number))
        .select(revisions::snapshot)
        .first(conn)?;
    serde_json::from_str(&stored).map_err(Problem::internal)
}

/// Writes a claimed article back: the row, its tags and authors, a revision and the audit line.
pub fn save(
    tx: &mut Tx<'_>,
    actor: &Actor,
    row: &mut ArticleRow,
    snapshot: &Snapshot,
    action: &str,
    note: Option<&str>,
) -> Result<()> {
    save_telling(tx, actor, row, snapshot, action, note, json!({}))
}

/// The same as [`save`], with more to tell in the audit line.
pub fn save_telling(
    tx: &mut Tx<'_>,
    actor: &Actor,
    row: &mut ArticleRow,
    snapshot: &Snapshot,
    action: &str,
    note: Option<&str>,
    more: serde_json::Value,
) -> Result<()> {
    let stored = row.take(snapshot, action == "publish")?;
    write_row(tx.conn, row)?;
    write_references(tx.conn, &row.id, &snapshot.content)?;
    leave_trace(tx, actor, row, &stored, action, note, more)
}

/// The revision and the audit line of a write.
pub fn leave_trace(
    tx: &mut Tx<'_>,
    actor: &Actor,
    row: &ArticleRow,
    stored: &str,
    action: &str,
    note: Option<&str>,
    mut more: serde_json::Value,
) -> Result<()> {
    Fixed::with(
        "INSERT INTO revisions (article_id, number, snapshot, content_hash, editor_id, action, note, created_ms) VALUES \
         ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            Value::Text(row.id.as_str()),
            Value::Int(row.revision),
            Value::Text(stored),
            Value::Text(&row.content_hash),
            Value::Text(row.updated_by.as_str()),
            Value::Text(action),
            Value::Maybe(note),
            Value::Int(tx.now.ms()),
        ],
    )
    .run(tx.conn)?;
    if let Some(note) = note {
        more["note"] = json!(note);
    }
    record(tx, actor, row, action, more)
}

/// The audit line of an action on an article.
pub fn record(tx: &mut Tx<'_>, actor: &Actor, row: &ArticleRow, action: &str, more: serde_json::Value) -> Result<()> {
    let mut data =
        json!({ "version": row.version, "revision": row.revision, "status": row.status, "title": row.title });
    if let (Some(data), serde_json::Value::Object(more)) = (data.as_object_mut(), more) {
        data.extend(more);
    }
    audit::record(tx, actor, &format!("article.{action}"), "article", &row.id, data)
}

/// Writes a claimed row, with the status that follows from its facts.
pub fn write_row(conn: &mut Conn, row: &mut ArticleRow) -> Result<()> {
    row.status = row.facts()?.status().as_str().to_owned();
    diesel::update(articles::table.find(&row.id))
        .set((
            articles::revision.eq(row.revision),
            articles::content_hash.eq(&row.content_hash),
            articles::status.eq(&row.status),
            articles::public_state.eq(&row.public_state),
            articles::review.eq(&row.review),
            articles::trashed_ms.eq(row.trashed),
            articles::slug.eq(&row.slug),
            articles::title.eq(&row.title),
            articles::title_key.eq(&row.title_key),
            articles::public_title_key.eq(&row.public_title_key),
            articles::search.eq(&row.search),
            articles::language.eq(&row.language),
            articles::translation_group.eq(&row.translation_group),
            articles::section_id.eq(&row.section_id),
            articles::owner_id.eq(&row.owner_id),
            articles::content.eq(&row.content),
            articles::published_hash.eq(&row.published_hash),
            articles::first_published_ms.eq(row.first_published),
            articles::published_ms.eq(row.published),
            articles::publish_ms.eq(row.publish_at),
            articles::unpublish_ms.eq(row.unpublish_at),
        ))
        .execute(conn)?;
    Ok(())
}

/// The text that `q` looks through.
fn searchable(content: &Content) -> String {
    let parts = [
        Some(&content.title),
        content.kicker.as_ref(),
        content.lead.as_ref(),
        Some(&content.slug),
    ];
    parts
        .into_iter()
        .flatten()
        .map(|part| fold(part))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Lists a working copy under its tags and authors, and no longer under those it had.
fn write_references(conn: &mut Conn, id: &Id, content: &Content) -> Result<()> {
    let tags: Vec<Id> = article_tags::table
        .filter(article_tags::article_id.eq(id))
        .select(article_tags::tag_id)
        .load(conn)?;
    for tag in tags.iter().filter(|tag| !content.tag_ids.contains(tag)) {
        diesel::delete(article_tags::table.find((id, tag))).execute(conn)?;
    }
    let authors: Vec<Id> = article_authors::table
        .filter(article_authors::article_id.eq(id))
        .select(article_authors::author_id)
        .load(conn)?;
    for author in authors.iter().filter(|author| !content.author_ids.contains(author)) {
        diesel::delete(article_authors::table.find((id, author))).execute(conn)?;
    }
    let new = |id: &&Id| !tags.contains(id) && !authors.contains(id);
    file(
        conn,
        id,
        content.tag_ids.iter().filter(new),
        content.author_ids.iter().filter(new),
    )
}

/// Lists a new working copy under its tags and authors.
pub fn file_new(conn: &mut Conn, id: &Id, content: &Content) -> Result<()> {
    file(conn, id, content.tag_ids.iter(), content.author_ids.iter())
}

fn file<'i>(
    conn: &mut Conn,
    id: &Id,
    tags: impl Iterator<Item = &'i Id>,
    authors: impl Iterator<Item = &'i Id>,
) -> Result<()> {
    let pair = |other: &'i Id| [Value::Text(id.as_str()), Value::Text(other.as_str())];
    for tag in tags {
        Fixed::with(
            "INSERT INTO article_tags (article_id, tag_id) VALUES ($1, $2)",
            &pair(tag),
        )
        .run(conn)?;
    }
    for author in authors {
        let statement = "INSERT INTO article_authors (article_id, author_id) VALUES ($1, $2)";
        Fixed::with(statement, &pair(author)).run(conn)?;
    }
    Ok(())
}

/// 422 for a section, tag, author or owner that does not exist, and for a language that is none of `languages`, when it
/// matters: one that the site has given up may stay where it is.
pub fn check_references(
    conn: &mut Conn,
    content: &Content,
    owner: Option<&Id>,
    languages: Option<&[String]>,
) -> Result<()> {
    let mut check = crate::text::Check::new();
    if let Some(section) = &content.section_id {
        let known: i64 = sections::table.find(section).count().get_result(conn)?;
        if known == 0 {
            check.fail("/section_id", "invalid_reference", "There is no such section.");
        }
    }
    // One look each: a list would be parsed anew each time on SQLite.
    for (index, id) in content.tag_ids.iter().enumerate() {
        let known: Option<Id> = tags::table.find(id).select(tags::id).first(conn).optional()?;
        if known.is_none() {
            let place = format!("/tag_ids/{index}");
            check.fail(place, "invalid_reference", "There is no such tag.");
        }
    }
    for (index, id) in content.author_ids.iter().enumerate() {
        let known: Option<Id> = authors::table.find(id).select(authors::id).first(conn).optional()?;
        if known.is_none() {
            let place = format!("/author_ids/{index}");
            check.fail(place, "invalid_reference", "There is no such author.");
        }
    }
    if let Some(owner) = owner {
        let known: i64 = editors::table.find(owner).count().get_result(conn)?;
        if known == 0 {
            check.fail("/owner_id", "invalid_reference", "There is no such editor.");
        }
    }
    if let Some(languages) = languages.filter(|languages| !languages.contains(&content.language)) {
        let detail = format!("The site's languages are {}.", languages.join(", "));
        check.fail("/language", "invalid_language", detail);
    }
    check.done()
}

/// Writes checked changes over the working copy.
pub fn update(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard, changes: &Changes) -> Result<ArticleRow> {
    let mut row = lock(tx, caller, id)?;
    row.check_may_change(caller)?;
    let mut snapshot = snapshot(tx.conn, &row)?;
    changes.apply(&mut snapshot.content)?;
    let site = match changes.language() {
        Some(_) => Some(crate::site::current(tx.conn)?),
        None => None,
    };
    let languages = site.as_ref().map(|site| site.languages.as_slice());
    check_references(tx.conn, &snapshot.content, changes.owner(), languages)?;
    snapshot.check_figures()?;
    check_turn(tx, caller, &row, guard)?;
    if row.trashed.is_some() {
        let detail = "The article is in the trash: restore it first.";
        return Err(Problem::new(Code::InvalidTransition, detail).with("allowed", row.facts()?.actions()));
    }
    let content = &mut snapshot.content;
    if changes.translation_of().is_some() || changes.language().is_some() {
        let group = row.translation_group.clone();
        row.translation_group =
            translation_group(tx.conn, caller, id, &group, changes.translation_of(), &content.language)?;
    }
    if let Some(wanted) = changes.slug() {
        let keep = wanted.is_some_and(|wanted| wanted == content.slug);
        if !keep {
            content.slug = take_slug(tx.conn, id, wanted, &content.title)?;
            drop_working_slugs(tx.conn, id, &content.slug)?;
        }
    }
    if let Some(owner) = changes.owner() {
        row.owner_id = owner.clone();
    }
    snapshot.translation_group = row.translation_group.clone();
    save(tx, &Actor::from(caller), &mut row, &snapshot, "update", changes.note())?;
    Ok(row)
}

/// The group that a story and its translations share: the id of the story they are translations of.
pub fn translation_group(
    conn: &mut Conn,
    caller: &Caller,
    id: &Id,
    current: &Id,
    wanted: Option<Option<&Id>>,
    language: &str,
) -> Result<Id> {
    let group = match wanted {
        None => current.clone(),
        Some(None) => id.clone(),
        Some(Some(other)) => {
            let found: Option<ArticleRow> = articles::table.find(other).first(conn).optional()?;
            let found = found.filter(|row| row.is_visible_to(caller) && row.id != *id);
            found.map(|row| row.translation_group).ok_or_else(|| {
                Problem::invalid(
                    "/translation_of",
                    "invalid_reference",
                    "There is no such other article.",
                )
            })?
        }
    };
    let rival: Option<Id> = articles::table
        .filter(
            articles::translation_group
                .eq(&group)
                .and(articles::language.eq(language))
                .and(articles::id.ne(id)),
        )
        .select(articles::id)
        .first(conn)
        .optional()?;
    match rival {
        None => Ok(group),
        Some(_) => {
            let detail = format!("The story already has an article in the language {language:?}: one a language.");
            Err(Problem::new(Code::TranslationExists, detail))
        }
    }
}

/// Erases a trashed article. Slugs that were public stay, and keep answering 410.
pub fn erase(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard) -> Result<()> {
    let row = claim(tx, caller, id, guard)?;
    row.facts()?.allow("delete")?;
    diesel::delete(slugs::table.filter(slugs::article_id.eq(id).and(slugs::public.eq("none")))).execute(tx.conn)?;
    diesel::update(slugs::table.filter(slugs::article_id.eq(id)))
        .set(slugs::working.eq(false))
        .execute(tx.conn)?;
    diesel::delete(articles::table.find(id)).execute(tx.conn)?;
    // The publication keeps the fact that there was one, and nothing of what it said.
    let gone: i64 = publications::table.find(id).count().get_result(tx.conn)?;
    let data = json!({ "title": row.title, "was_public": gone > 0 });
    audit::record(tx, &Actor::from(caller), "article.erase", "article", id, data)
}
