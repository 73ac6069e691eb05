//! How captions are kept. Every write claims the article first: it raises the article's version and makes its revision,
//! so that nobody publishes captions they did not see.

use diesel::prelude::*;
use serde_json::json;

use super::management::{CaptionCreate, CaptionPatch};
use crate::articles::store::{ArticleRow, lock, save, snapshot};
use crate::articles::{CaptionContent, CaptionRole, Snapshot};
use crate::audit::{self, Actor};
use crate::auth::Caller;
use crate::conditional::Guard;
use crate::db::{Conn, Tx};
use crate::error::{Code, Problem, Result, UsedBy};
use crate::leases;
use crate::schema::{articles, captions};
use crate::types::{Id, Patch, Time};

/// A row of the table `captions`.
#[derive(Debug, Clone, Queryable)]
pub struct CaptionRow {
    /// The caption's id.
    pub id: Id,
    /// The article it belongs to.
    pub article_id: Id,
    /// The image it places.
    pub image_id: Id,
    /// See [`CaptionRole`].
    pub role: String,
    /// Order among the article's captions.
    pub position: i64,
    /// Its own text.
    pub text: Option<String>,
    /// Its own alternative text.
    pub alt: Option<String>,
    /// Its own credit.
    pub credit: Option<String>,
    /// When it was made.
    pub created: Time,
    /// When it was last changed.
    pub updated: Time,
    /// Raised by every change.
    pub version: i64,
}

/// The caption with this id and its article, if the caller may see that working copy.
pub fn get(conn: &mut Conn, caller: &Caller, id: &Id) -> Result<(CaptionRow, ArticleRow)> {
    let missing = || Problem::not_found("caption");
    let row: CaptionRow = captions::table.find(id).first(conn).optional()?.ok_or_else(missing)?;
    let article: ArticleRow = articles::table.find(&row.article_id).first(conn)?;
    if article.is_open_to(caller) {
        Ok((row, article))
    } else {
        Err(missing())
    }
}

/// 404 unless the caller may know of the article, 403 unless they may change it.
pub fn check_may_change(conn: &mut Conn, caller: &Caller, article: &Id) -> Result<()> {
    crate::articles::store::get(conn, caller, article)?.check_may_change(caller)
}

/// Claims the caption's article, whatever its version.
fn lock_article(tx: &mut Tx<'_>, caller: &Caller, article: &Id) -> Result<ArticleRow> {
    let row = lock(tx, caller, article)?;
    row.check_may_change(caller)?;
    if row.trashed.is_some() {
        return Err(Problem::new(
            Code::InvalidTransition,
            "The article is in the trash: restore it first.",
        )
        .with("allowed", row.facts()?.actions()));
    }
    Ok(row)
}

fn check_lead(conn: &mut Conn, article: &Id, role: CaptionRole, own: Option<&Id>) -> Result<()> {
    if role != CaptionRole::Lead {
        return Ok(());
    }
    let lead: Option<Id> = captions::table
        .filter(captions::article_id.eq(article).and(captions::role.eq(role.as_str())))
        .select(captions::id)
        .first(conn)
        .optional()?;
    match lead {
        Some(other) if own != Some(&other) => Err(Problem::new(
            Code::LeadExists,
            "The article has a lead image already: change that one's role first.",
        )),
        _ => Ok(()),
    }
}

/// Places an image in an article.
pub fn create(tx: &mut Tx<'_>, caller: &Caller, new: &CaptionCreate) -> Result<(CaptionRow, ArticleRow)> {
    let mut article = lock_article(tx, caller, &new.article_id)?;
    if !crate::images::store::hold(tx, &new.image_id)? {
        return Err(Problem::invalid(
            "/image_id",
            "invalid_reference",
            "There is no such image.",
        ));
    }
    check_lead(tx.conn, &article.id, new.role, None)?;
    let last: Option<i64> = captions::table
        .filter(captions::article_id.eq(&article.id))
        .select(diesel::dsl::max(captions::position))
        .first(tx.conn)?;
    let row: CaptionRow = diesel::insert_into(captions::table)
        .values((
            captions::id.eq(Id::new()),
            captions::article_id.eq(&article.id),
            captions::image_id.eq(&new.image_id),
            captions::role.eq(new.role.as_str()),
            captions::position.eq(new.position.unwrap_or(last.map_or(0, |last| (last + 1).min(1_000_000)))),
            captions::text.eq(&new.text),
            captions::alt.eq(&new.alt),
            captions::credit.eq(&new.credit),
            captions::created_ms.eq(tx.now),
            captions::updated_ms.eq(tx.now),
            captions::version.eq(1),
        ))
        .returning(captions::all_columns)
        .get_result(tx.conn)?;
    let note = new.note.as_deref();
    finish(
        tx,
        caller,
        &mut article,
        ("caption_create", note),
        "caption.create",
        &row.id,
    )?;
    Ok((row, article))
}

/// Writes the article's revision and the caption's own audit line; 409 while another is editing the article, which comes
/// after everything that is wrong with the request itself.
fn finish(
    tx: &mut Tx<'_>,
    caller: &Caller,
    article: &mut ArticleRow,
    (action, note): (&str, Option<&str>),
    line: &str,
    id: &Id,
) -> Result<()> {
    leases::store::check(tx, caller, &article.id)?;
    let snapshot: Snapshot = snapshot(tx.conn, article)?;
    let actor = Actor::from(caller);
    save(tx, &actor, article, &snapshot, action, note)?;
    audit::record(tx, &actor, line, "caption", id, json!({ "article_id": article.id }))
}

/// Takes the caption's next version.
fn claim(tx: &mut Tx<'_>, id: &Id, guard: &Guard) -> Result<CaptionRow> {
    let claimed: Option<CaptionRow> = diesel::update(captions::table.find(id))
        .set((
            captions::version.eq(captions::version + 1),
            captions::updated_ms.eq(tx.now),
        ))
        .returning(captions::all_columns)
        .get_result(tx.conn)
        .optional()?;
    let row = claimed.ok_or_else(|| Problem::not_found("caption"))?;
    guard.check(row.version - 1)?;
    Ok(row)
}

/// Writes checked changes over a caption.
pub fn update(
    tx: &mut Tx<'_>,
    caller: &Caller,
    id: &Id,
    guard: &Guard,
    patch: &CaptionPatch,
) -> Result<(CaptionRow, ArticleRow)> {
    let (row, _) = get(tx.conn, caller, id)?;
    let mut article = lock_article(tx, caller, &row.article_id)?;
    let mut row = claim(tx, id, guard)?;
    if let Patch::Set(role) = patch.role {
        check_lead(tx.conn, &article.id, role, Some(id))?;
        row.role = role.as_str().to_owned();
    }
    if let Patch::Set(position) = patch.position {
        row.position = position;
    }
    patch.text.clone().apply(&mut row.text);
    patch.alt.clone().apply(&mut row.alt);
    patch.credit.clone().apply(&mut row.credit);
    diesel::update(captions::table.find(id))
        .set((
            captions::role.eq(&row.role),
            captions::position.eq(row.position),
            captions::text.eq(&row.text),
            captions::alt.eq(&row.alt),
            captions::credit.eq(&row.credit),
        ))
        .execute(tx.conn)?;
    let note = match &patch.note {
        Patch::Set(note) => Some(note.as_str()),
        _ => None,
    };
    finish(tx, caller, &mut article, ("caption_update", note), "caption.update", id)?;
    Ok((row, article))
}

/// Takes an image out of an article; 409 while a figure of the body points at it.
pub fn delete(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard) -> Result<()> {
    let (row, _) = get(tx.conn, caller, id)?;
    let mut article = lock_article(tx, caller, &row.article_id)?;
    claim(tx, id, guard)?;
    if article
        .content()?
        .body
        .figures()
        .iter()
        .any(|(_, caption)| *caption == id.as_str())
    {
        let used = vec![UsedBy {
            kind: "article".into(),
            id: article.id.to_string(),
            title: article.title.clone(),
        }];
        let detail = "A figure of the article's body points at this caption: take the figure out first.";
        return Err(Problem::new(Code::InUse, detail).with("used_in", serde_json::to_value(used).unwrap_or_default()));
    }
    diesel::delete(captions::table.find(id)).execute(tx.conn)?;
    finish(tx, caller, &mut article, ("caption_delete", None), "caption.delete", id)
}

/// Makes the captions of a claimed article those of a revision, with their old ids.
pub fn replace(tx: &mut Tx<'_>, article: &ArticleRow, wanted: &[CaptionContent]) -> Result<()> {
    let old: Vec<CaptionRow> = captions::table
        .filter(captions::article_id.eq(&article.id))
        .load(tx.conn)?;
    let same = |row: &CaptionRow, new: &CaptionContent| {
        row.image_id == new.image_id
            && row.role == new.role.as_str()
            && row.position == new.position
            && (&row.text, &row.alt, &row.credit) == (&new.text, &new.alt, &new.credit)
    };
    let stays = |row: &&CaptionRow| wanted.iter().any(|new| new.id == row.id && same(row, new));
    // Out first: an article has one lead image at every moment.
    let out: Vec<&Id> = old.iter().filter(|row| !stays(row)).map(|row| &row.id).collect();
    diesel::delete(captions::table.filter(captions::id.eq_any(out))).execute(tx.conn)?;
    for new in wanted {
        let before = old.iter().find(|row| row.id == new.id);
        if before.as_ref().is_some_and(stays) {
            continue;
        }
        diesel::insert_into(captions::table)
            .values((
                captions::id.eq(&new.id),
                captions::article_id.eq(&article.id),
                captions::image_id.eq(&new.image_id),
                captions::role.eq(new.role.as_str()),
                captions::position.eq(new.position),
                captions::text.eq(&new.text),
                captions::alt.eq(&new.alt),
                captions::credit.eq(&new.credit),
                captions::created_ms.eq(before.map_or(tx.now, |row| row.created)),
                captions::updated_ms.eq(tx.now),
                // Above every version it ever had: each raised the article's too.
                captions::version.eq(article.version),
            ))
            .execute(tx.conn)?;
    }
    Ok(())
}
