//! The few hands that write publications: publish, unpublish, and what the trash does. Each is one transaction with the
//! revision, the audit line and the change row.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::input::{PublishInput, UnpublishInput};
use super::store::{ArticleRow, check_turn, claim, save, save_telling, snapshot};
use super::{CaptionRole, PublicState, Seo, Snapshot, Source, reading_minutes, revisions};
use crate::audit::Actor;
use crate::auth::scopes::Scope;
use crate::auth::{Caller, forbidden};
use crate::body::KeptBody;
use crate::changes::{self, key};
use crate::conditional::Guard;
use crate::db::{Conn, KeptJson, Tx, clock};
use crate::error::{Code, Problem, Result};
use crate::images::rights::{self, ExpiredRights};
use crate::images::variants::store::want_avif;
use crate::literals::Live;
use crate::previews;
use crate::request::PathRef;
use crate::schedules;
use crate::schema::{
    images, publication_authors, publication_docs, publication_images, publication_tags, publications, slugs,
};
use crate::search;
use crate::text::{fold, sort_key};
use crate::types::{Id, Time};

/// A placed image, frozen: its words with the image's own filled in, and the image's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenCaption {
    /// The caption's id.
    pub id: Id,
    /// The image it places.
    pub image_id: Id,
    /// What it is for.
    pub role: CaptionRole,
    /// Order among the captions.
    pub position: i64,
    /// Text under the image.
    pub text: Option<String>,
    /// Alternative text.
    pub alt: Option<String>,
    /// Whose image it is.
    pub credit: Option<String>,
}

/// What a card shows, frozen, with ids for what is composed later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Headline.
    pub title: String,
    /// Line above the headline.
    pub kicker: Option<String>,
    /// Opening paragraph.
    pub lead: Option<String>,
    /// Date line, as printed.
    pub dateline: Option<String>,
    /// Section.
    pub section_id: Option<Id>,
    /// Tags, in order.
    pub tag_ids: Vec<Id>,
    /// Authors, in order.
    pub author_ids: Vec<Id>,
    /// Where it was taken from.
    pub source: Option<Source>,
    /// The lead image, or else the first placed one.
    pub cover: Option<FrozenCaption>,
    /// Minutes to read.
    pub reading_minutes: i64,
}

/// The rest of the story, frozen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Doc {
    /// The body.
    pub body: KeptBody,
    /// The captions, in order.
    pub captions: Vec<FrozenCaption>,
    /// For search engines.
    pub seo: Seo,
}

/// A row of the table `publications`.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = publications)]
pub struct PublicationRow {
    /// The article's id.
    pub article_id: Id,
    /// `live` or `gone`.
    pub state: String,
    /// The public slug.
    pub slug: String,
    /// Language.
    pub language: String,
    /// The id that a story and its translations share.
    pub translation_group: Id,
    /// Section.
    pub section_id: Option<Id>,
    /// Whether it belongs to the front page.
    pub featured: bool,
    /// Headline to sort by.
    pub title_key: String,
    /// When it was published, as readers are told.
    #[diesel(column_name = published_ms)]
    pub published: Time,
    /// When it was first published.
    #[diesel(column_name = first_published_ms)]
    pub first_published: Time,
    /// When readers last got something new.
    #[diesel(column_name = updated_ms)]
    pub updated: Time,
    /// Whether readers may send feedback.
    pub feedback_open: bool,
    /// [`Card`] as JSON.
    pub card: KeptJson,
}

impl PublicationRow {
    /// The card.
    pub fn card(&self) -> Result<Card> {
        self.card.read()
    }
}

/// The images' own words, which captions fall back to.
type ImageWords = (Id, Option<String>, Option<String>, Option<String>);

/// A snapshot as readers get it: the captions with their fallbacks filled in.
pub fn freeze(conn: &mut Conn, snapshot: &Snapshot) -> Result<(Card, Doc)> {
    let ids: Vec<&Id> = snapshot.captions.iter().map(|caption| &caption.image_id).collect();
    let words: Vec<ImageWords> = images::table
        .filter(images::id.eq_any(ids))
        .select((images::id, images::caption, images::alt, images::credit))
        .load(conn)?;
    let captions: Vec<FrozenCaption> = snapshot
        .captions
        .iter()
        .map(|caption| {
            let own = words.iter().find(|(id, ..)| *id == caption.image_id);
            let (text, alt, credit) = own.map_or((None, None, None), |(_, text, alt, credit)| {
                (text.clone(), alt.clone(), credit.clone())
            });
            FrozenCaption {
                id: caption.id.clone(),
                image_id: caption.image_id.clone(),
                role: caption.role,
                position: caption.position,
                text: caption.text.clone().or(text),
                alt: caption.alt.clone().or(alt),
                credit: caption.credit.clone().or(credit),
            }
        })
        .collect();
    let content = &snapshot.content;
    let cover = captions
        .iter()
        .find(|caption| caption.role == CaptionRole::Lead)
        .or(captions.first())
        .cloned();
    let words = content.body.word_count() + content.lead.as_ref().map_or(0, |lead| lead.split_whitespace().count());
    let card = Card {
        title: content.title.clone(),
        kicker: content.kicker.clone(),
        lead: content.lead.clone(),
        dateline: content.dateline.clone(),
        section_id: content.section_id.clone(),
        tag_ids: content.tag_ids.clone(),
        author_ids: content.author_ids.clone(),
        source: content.source.clone(),
        cover,
        reading_minutes: reading_minutes(words),
    };
    Ok((
        card,
        Doc {
            body: KeptBody::new(&content.body)?,
            captions,
            seo: content.seo.clone(),
        },
    ))
}

/// 422 for a time of publication that has not come yet.
pub fn check_past(input: &PublishInput, now: Time) -> Result<()> {
    if input.published_at.is_some_and(|time| time > now) {
        return Err(Problem::invalid(
            "/published_at",
            "out_of_range",
            "published_at must not be in the future.",
        ));
    }
    Ok(())
}

/// Publishes the working copy of a locked article as it is, or pins it for the time that was asked for. `asked_by` had
/// asked for its review, and is remembered with a plan.
pub fn publish(
    tx: &mut Tx<'_>,
    caller: &Caller,
    mut row: ArticleRow,
    guard: &Guard,
    input: &PublishInput,
    asked_by: Option<&Id>,
    rule: ExpiredRights,
) -> Result<ArticleRow> {
    caller.needs(Scope::ArticlesPublish)?;
    if let Some(at) = input.publish_at {
        return schedules::store::schedule(tx, caller, row, guard, input, at, asked_by, rule);
    }
    check_past(input, tx.now)?;
    schedules::check(input, row.unpublish_at, clock(tx.conn)?)?;
    check_turn(tx, caller, &row, guard)?;
    row.facts()?.allow("publish")?;
    let snapshot = snapshot(tx.conn, &row)?;
    let hash = snapshot.hash()?;
    let terms = begin(tx, &mut row, &snapshot, &hash, input, rule)?;
    let told = schedules::store::settle(tx, caller, &mut row, input)?;
    save_telling(tx, &Actor::from(caller), &mut row, &snapshot, "publish", None, told)?;
    complete(tx, &row, &snapshot, row.revision, terms)?;
    Ok(row)
}

/// A publication that has begun: what was there before, and the times that readers are told.
pub struct Terms {
    old: Option<PublicationRow>,
    published: Time,
    first_published: Time,
    updated: Time,
    keys: Vec<String>,
    content_hash: String,
}

/// The first half of publishing a snapshot: everything that can be refused, and what the article's row remembers of it.
/// The row is written by the caller, then follows [`complete`].
pub fn begin(
    tx: &mut Tx<'_>,
    row: &mut ArticleRow,
    snapshot: &Snapshot,
    content_hash: &str,
    input: &PublishInput,
    rule: ExpiredRights,
) -> Result<Terms> {
    check_translations(tx.conn, &row.id, snapshot)?;
    rights::check(tx.conn, &snapshot.captions, tx.now, rule)?;
    let old: Option<PublicationRow> = publications::table
        .find(&row.id)
        .select(PublicationRow::as_select())
        .first(tx.conn)
        .optional()?;
    let keys = membership_keys(tx.conn, &row.id, old.as_ref())?;
    let published = match (&old, input.published_at) {
        (_, Some(time)) => time,
        (Some(old), None) if input.as_new != Some(true) => old.published,
        _ => tx.now,
    };
    let first_published = old.as_ref().map_or(published, |old| old.first_published.min(published));
    let updated = if old.is_some() { tx.now } else { published };
    row.public_state = PublicState::Live.as_str().to_owned();
    row.review = "none".to_owned();
    row.published = Some(published);
    row.first_published = Some(first_published);
    row.published_hash = Some(content_hash.to_owned());
    Ok(Terms {
        old,
        published,
        first_published,
        updated,
        keys,
        content_hash: content_hash.to_owned(),
    })
}

/// The second half: readers get the snapshot, which is the revision of this number.
pub fn complete(tx: &mut Tx<'_>, row: &ArticleRow, snapshot: &Snapshot, revision: i64, terms: Terms) -> Result<()> {
    let id = &row.id;
    revisions::store::keep(tx, id, revision)?;
    let mut keys = terms.keys;
    let was_live = terms.old.as_ref().is_some_and(|old| old.state == "live");
    let (card, doc) = freeze(tx.conn, snapshot)?;
    let content = &snapshot.content;
    if terms.old.is_none() {
        // Made first, so that the rows below have something to belong to.
        insert_gone(tx.conn, row, terms.published)?;
    }
    diesel::update(publications::table.find(id))
        .set((
            publications::state.eq("live"),
            publications::revision.eq(revision),
            publications::content_hash.eq(&terms.content_hash),
            publications::slug.eq(&content.slug),
            publications::language.eq(&content.language),
            publications::translation_group.eq(&snapshot.translation_group),
            publications::section_id.eq(&content.section_id),
            publications::source_key.eq(content.source.as_ref().map(|source| fold(&source.name))),
            publications::featured.eq(content.featured),
            publications::title_key.eq(sort_key(&content.title)),
            publications::published_ms.eq(terms.published),
            publications::first_published_ms.eq(terms.first_published),
            publications::updated_ms.eq(terms.updated),
            publications::feedback_open.eq(content.feedback_open),
            publications::card.eq(serde_json::to_string(&card).map_err(Problem::internal)?),
        ))
        .execute(tx.conn)?;
    remove_parts(tx.conn, id)?;
    insert_parts(tx.conn, id, terms.published, &card, &doc)?;
    make_public(tx.conn, id, &content.slug)?;

    let new: PublicationRow = publications::table
        .find(id)
        .select(PublicationRow::as_select())
        .first(tx.conn)?;
    // After the row, which whoever fills the index takes as well.
    search::put(tx.conn, &new, &card, &doc)?;
    keys.extend(membership_keys(tx.conn, id, Some(&new))?);
    keys.sort();
    keys.dedup();
    let kind = if was_live {
        "article.updated"
    } else {
        "article.published"
    };
    changes::record(tx, kind, id.as_str(), Some(&content.language), keys);
    Ok(())
}

/// 409 when readers would get two stories of one group in one language.
fn check_translations(conn: &mut Conn, id: &Id, snapshot: &Snapshot) -> Result<()> {
    let rivals: i64 = publications::table
        .filter(publications::state.eq(Live))
        .filter(publications::translation_group.eq(&snapshot.translation_group))
        .filter(publications::language.eq(&snapshot.content.language))
        .filter(publications::article_id.ne(id))
        .count()
        .get_result(conn)?;
    if rivals == 0 {
        return Ok(());
    }
    let detail = "Another article is published as this story in this language: publish or withdraw that one first.";
    Err(Problem::new(Code::TranslationExists, detail))
}

fn insert_gone(conn: &mut Conn, row: &ArticleRow, published: Time) -> Result<()> {
    diesel::insert_into(publications::table)
        .values((
            publications::article_id.eq(&row.id),
            publications::state.eq("gone"),
            publications::revision.eq(row.revision),
            publications::content_hash.eq(&row.content_hash),
            publications::slug.eq(&row.slug),
            publications::language.eq(&row.language),
            publications::translation_group.eq(&row.translation_group),
            publications::featured.eq(false),
            publications::title_key.eq(""),
            publications::published_ms.eq(published),
            publications::first_published_ms.eq(published),
            publications::updated_ms.eq(published),
            publications::feedback_open.eq(false),
            publications::card.eq("{}"),
        ))
        .execute(conn)?;
    Ok(())
}

fn insert_parts(conn: &mut Conn, id: &Id, published: Time, card: &Card, doc: &Doc) -> Result<()> {
    diesel::insert_into(publication_docs::table)
        .values((
            publication_docs::article_id.eq(id),
            publication_docs::doc.eq(serde_json::to_string(doc).map_err(Problem::internal)?),
        ))
        .execute(conn)?;
    for tag in &card.tag_ids {
        diesel::insert_into(publication_tags::table)
            .values((
                publication_tags::ref_id.eq(tag),
                publication_tags::article_id.eq(id),
                publication_tags::published_ms.eq(published),
            ))
            .execute(conn)?;
    }
    for author in &card.author_ids {
        diesel::insert_into(publication_authors::table)
            .values((
                publication_authors::ref_id.eq(author),
                publication_authors::article_id.eq(id),
                publication_authors::published_ms.eq(published),
            ))
            .execute(conn)?;
    }
    let mut placed: Vec<&Id> = doc.captions.iter().map(|caption| &caption.image_id).collect();
    placed.sort();
    placed.dedup();
    want_avif(conn, &placed)?;
    for image in placed {
        diesel::insert_into(publication_images::table)
            .values((
                publication_images::ref_id.eq(image),
                publication_images::article_id.eq(id),
            ))
            .execute(conn)?;
    }
    Ok(())
}

fn remove_parts(conn: &mut Conn, id: &Id) -> Result<()> {
    diesel::delete(publication_docs::table.find(id)).execute(conn)?;
    diesel::delete(publication_tags::table.filter(publication_tags::article_id.eq(id))).execute(conn)?;
    diesel::delete(publication_authors::table.filter(publication_authors::article_id.eq(id))).execute(conn)?;
    diesel::delete(publication_images::table.filter(publication_images::article_id.eq(id))).execute(conn)?;
    Ok(())
}

/// The slug becomes the story's public address; the one before keeps pointing here.
fn make_public(conn: &mut Conn, id: &Id, slug: &str) -> Result<()> {
    diesel::update(
        slugs::table.filter(
            slugs::article_id
                .eq(id)
                .and(slugs::public.eq("live"))
                .and(slugs::slug.ne(slug)),
        ),
    )
    .set(slugs::public.eq("old"))
    .execute(conn)?;
    diesel::update(slugs::table.filter(slugs::article_id.eq(id).and(slugs::slug.eq(slug))))
        .set(slugs::public.eq("live"))
        .execute(conn)?;
    Ok(())
}

/// The purge keys of everything that shows the story as it is public now: itself, the lists it is in, and its
/// translations, which name it.
fn membership_keys(conn: &mut Conn, id: &Id, row: Option<&PublicationRow>) -> Result<Vec<String>> {
    let mut keys = vec![key('a', id), "articles".to_owned()];
    let Some(row) = row.filter(|row| row.state == "live") else {
        return Ok(keys);
    };
    keys.extend(row.section_id.iter().map(|id| key('S', id)));
    keys.push(changes::month_key(row.published));
    keys.push(format!("L{}", &row.language.chars().take(11).collect::<String>()));
    let tags: Vec<Id> = publication_tags::table
        .filter(publication_tags::article_id.eq(id))
        .select(publication_tags::ref_id)
        .load(conn)?;
    keys.extend(tags.iter().map(|id| key('T', id)));
    let authors: Vec<Id> = publication_authors::table
        .filter(publication_authors::article_id.eq(id))
        .select(publication_authors::ref_id)
        .load(conn)?;
    keys.extend(authors.iter().map(|id| key('U', id)));
    let siblings: Vec<(Id, Time)> = publications::table
        .filter(
            publications::translation_group
                .eq(&row.translation_group)
                .and(publications::article_id.ne(id)),
        )
        .filter(publications::state.eq(Live))
        .select((publications::article_id, publications::published_ms))
        .load(conn)?;
    keys.extend(siblings.iter().map(|(id, _)| key('a', id)));
    // Sitemaps name the translations beside each other.
    keys.extend(siblings.iter().map(|(_, published)| changes::month_key(*published)));
    if row.section_id.is_some() || !tags.is_empty() || !authors.is_empty() {
        // A section, tag or author is listed while a live story uses it.
        keys.extend(["sections", "tags", "authors"].map(str::to_owned));
    }
    Ok(keys)
}

/// Takes the publication away; readers get 410 from here on.
pub fn withdraw(tx: &mut Tx<'_>, row: &mut ArticleRow) -> Result<()> {
    let old: PublicationRow = publications::table
        .find(&row.id)
        .select(PublicationRow::as_select())
        .first(tx.conn)?;
    let keys = membership_keys(tx.conn, &row.id, Some(&old))?;
    remove_parts(tx.conn, &row.id)?;
    diesel::update(publications::table.find(&row.id))
        .set((
            publications::state.eq("gone"),
            publications::section_id.eq(None::<Id>),
            publications::source_key.eq(None::<String>),
            publications::featured.eq(false),
            publications::title_key.eq(""),
            publications::content_hash.eq(""),
            publications::updated_ms.eq(tx.now),
            publications::card.eq("{}"),
        ))
        .execute(tx.conn)?;
    search::remove(tx.conn, &row.id)?;
    row.public_state = PublicState::Gone.as_str().to_owned();
    row.published_hash = None;
    changes::record(tx, "article.unpublished", row.id.as_str(), Some(&old.language), keys);
    Ok(())
}

/// Readers get something new of a live story that is not part of its publication.
pub fn touch(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    diesel::update(publications::table.find(id))
        .set(publications::updated_ms.eq(tx.now))
        .execute(tx.conn)?;
    let row: PublicationRow = publications::table
        .find(id)
        .select(PublicationRow::as_select())
        .first(tx.conn)?;
    let keys = membership_keys(tx.conn, id, Some(&row))?;
    changes::record(tx, "article.updated", id.as_str(), Some(&row.language), keys);
    Ok(())
}

/// Unpublishes a live story.
pub fn unpublish(
    tx: &mut Tx<'_>,
    caller: &Caller,
    id: &Id,
    guard: &Guard,
    input: &UnpublishInput,
) -> Result<ArticleRow> {
    caller.needs(Scope::ArticlesPublish)?;
    let mut row = claim(tx, caller, id, guard)?;
    row.facts()?.allow("unpublish")?;
    withdraw(tx, &mut row)?;
    // What was withdrawn by hand does not come back by itself.
    schedules::store::clear(tx, &mut row)?;
    let snapshot = snapshot(tx.conn, &row)?;
    save(
        tx,
        &Actor::from(caller),
        &mut row,
        &snapshot,
        "unpublish",
        input.reason.as_deref(),
    )?;
    Ok(row)
}

/// Puts an article in the trash; a live one is unpublished first, which only editors may do.
pub fn trash(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard) -> Result<ArticleRow> {
    let mut row = claim(tx, caller, id, guard)?;
    row.facts()?.allow("trash")?;
    row.check_may_change(caller)?;
    if row.is_live() {
        caller.needs(Scope::ArticlesPublish)?;
        withdraw(tx, &mut row)?;
    }
    row.trashed = Some(tx.now);
    schedules::store::clear(tx, &mut row)?;
    previews::store::revoke_all(tx, id)?;
    let snapshot = snapshot(tx.conn, &row)?;
    save(tx, &Actor::from(caller), &mut row, &snapshot, "trash", None)?;
    Ok(row)
}

/// Takes an article out of the trash.
pub fn restore(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard) -> Result<ArticleRow> {
    let mut row = claim(tx, caller, id, guard)?;
    check_may_restore(&row, caller)?;
    row.facts()?.allow("restore")?;
    row.trashed = None;
    let snapshot = snapshot(tx.conn, &row)?;
    save(tx, &Actor::from(caller), &mut row, &snapshot, "restore", None)?;
    Ok(row)
}

/// Writers take their own drafts out of the trash, whoever put them there.
pub fn check_may_restore(row: &ArticleRow, caller: &Caller) -> Result<()> {
    if caller.is_editor() || (row.owner_id == caller.id && row.public_state == "never") {
        Ok(())
    } else {
        Err(forbidden(
            "Writers restore their own drafts; ask an editor for anything else.",
        ))
    }
}

/// A live story, or where it is now.
pub enum Found<T> {
    /// It is here.
    Here(T),
    /// It has this slug now.
    Moved(String),
}

/// Looks a live story up. Never public is 404, withdrawn 410; an old slug gives the new one.
pub fn look_up(conn: &mut Conn, article: &PathRef) -> Result<Found<PublicationRow>> {
    let missing = || Problem::not_found("article");
    let (id, slug) = match article {
        PathRef::Id(id) => (id.clone(), None),
        PathRef::Slug(slug) => {
            let found: Option<Id> = slugs::table
                .filter(slugs::slug.eq(slug).and(slugs::public.ne("none")))
                .select(slugs::article_id)
                .first(conn)
                .optional()?;
            (found.ok_or_else(missing)?, Some(slug))
        }
    };
    let row: Option<PublicationRow> = publications::table
        .find(&id)
        .select(PublicationRow::as_select())
        .first(conn)
        .optional()?;
    let row = row.ok_or_else(missing)?;
    if row.state != "live" {
        return Err(Problem::new(Code::Gone, "This article has been withdrawn."));
    }
    match slug {
        Some(slug) if *slug != row.slug => Ok(Found::Moved(row.slug)),
        _ => Ok(Found::Here(row)),
    }
}

/// The live story behind an id, a slug or an old slug, for what is sent to it.
pub fn live_article(conn: &mut Conn, article: &PathRef) -> Result<PublicationRow> {
    match look_up(conn, article)? {
        Found::Here(row) => Ok(row),
        Found::Moved(slug) => match look_up(conn, &PathRef::Slug(slug))? {
            Found::Here(row) => Ok(row),
            Found::Moved(_) => Err(Problem::internal("a live slug points at another slug")),
        },
    }
}
