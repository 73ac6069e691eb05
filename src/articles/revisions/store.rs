//! How revisions are read, restored and thinned out. They are written by [`crate::articles::store::save`].

use diesel::prelude::*;

use super::{Revision, RevisionRestoreInput};
use crate::app::State;
use crate::articles::record::{people, person};
use crate::articles::slugs::{claim_slug, drop_working_slugs};
use crate::articles::store::{ArticleRow, claim, get, save, translation_group};
use crate::articles::{CaptionContent, Snapshot};
use crate::audit::Actor;
use crate::auth::{Caller, forbidden};
use crate::captions::store::replace;
use crate::conditional::Guard;
use crate::db::{Conn, Tx};
use crate::error::{Code, FieldError, Problem, Result};
use crate::images;
use crate::keyset;
use crate::page::{Key, PageInfo, Start};
use crate::schema::{articles, authors, revisions, sections, tags};
use crate::types::{Id, Time};

/// The columns of a revision without its snapshot.
type Head = (i64, Id, String, Option<String>, Time, Option<i64>);

/// The article, if the caller may read its history: 404 when they may not know of it, 403 when they may see only what
/// readers see.
pub fn open(conn: &mut Conn, caller: &Caller, id: &Id) -> Result<ArticleRow> {
    let row = get(conn, caller, id)?;
    check_open(&row, caller)?;
    Ok(row)
}

/// 403 for who may see of the article only what readers see.
pub fn check_open(row: &ArticleRow, caller: &Caller) -> Result<()> {
    if row.is_open_to(caller) {
        Ok(())
    } else {
        Err(forbidden("Writers read the history of their own articles."))
    }
}

fn revisions_of(conn: &mut Conn, heads: Vec<Head>) -> Result<Vec<Revision>> {
    let people = people(conn, heads.iter().map(|(_, editor, ..)| editor.clone()))?;
    let revision = |(number, editor, action, note, created_at, restored_from): Head| Revision {
        number,
        created_at,
        created_by: person(&people, &editor),
        action,
        note,
        restored_from,
    };
    Ok(heads.into_iter().map(revision).collect())
}

/// A part of an article's history, newest first.
pub fn list(conn: &mut Conn, article: &Id, start: &Start, total: bool) -> Result<(Vec<Revision>, PageInfo)> {
    let all = || revisions::table.filter(revisions::article_id.eq(article)).into_boxed();
    let total = match total {
        true => Some(all().count().get_result::<i64>(conn)?),
        false => None,
    };
    let heads: Vec<Head> = keyset!(all(), start, true, revisions::number, revisions::article_id, int)
        .select((
            revisions::number,
            revisions::editor_id,
            revisions::action,
            revisions::note,
            revisions::created_ms,
            revisions::restored_from,
        ))
        .load(conn)?;
    let (heads, page) = start.finish(heads, total, |head| (Key::Int(head.0), article.to_string()));
    Ok((revisions_of(conn, heads)?, page))
}

/// One revision, whole.
pub fn find(conn: &mut Conn, article: &Id, number: i64) -> Result<(Revision, Snapshot)> {
    let found: Option<(Head, String)> = revisions::table
        .find((article, number))
        .select((
            (
                revisions::number,
                revisions::editor_id,
                revisions::action,
                revisions::note,
                revisions::created_ms,
                revisions::restored_from,
            ),
            revisions::snapshot,
        ))
        .first(conn)
        .optional()?;
    let (head, stored) = found.ok_or_else(|| Problem::not_found("revision"))?;
    let snapshot = serde_json::from_str(&stored).map_err(Problem::internal)?;
    let revision = revisions_of(conn, vec![head])?.pop();
    Ok((revision.ok_or_else(|| Problem::not_found("revision"))?, snapshot))
}

/// Keeps a revision from being thinned out: it was published, is scheduled, or a preview link shows it.
pub fn keep(tx: &mut Tx<'_>, article: &Id, number: i64) -> Result<()> {
    diesel::update(revisions::table.find((article, number)))
        .set(revisions::kept.eq(true))
        .execute(tx.conn)?;
    Ok(())
}

/// Makes the working copy what it was in a revision, as a new revision.
pub fn restore(
    tx: &mut Tx<'_>,
    caller: &Caller,
    id: &Id,
    guard: &Guard,
    number: i64,
    input: &RevisionRestoreInput,
) -> Result<ArticleRow> {
    let mut row = claim(tx, caller, id, guard)?;
    row.check_may_change(caller)?;
    let (_, mut snapshot) = find(tx.conn, id, number)?;
    if row.trashed.is_some() {
        let detail = "The article is in the trash: restore it first.";
        return Err(Problem::new(Code::InvalidTransition, detail).with("allowed", row.facts()?.actions()));
    }
    let language = &snapshot.content.language;
    translation_group(tx.conn, caller, id, &snapshot.translation_group, None, language)?;
    let missing = without_missing(tx, &row, &mut snapshot)?;
    if !missing.is_empty() && input.without_deleted != Some(true) {
        return Err(incomplete(number, missing));
    }
    drop_working_slugs(tx.conn, id, &snapshot.content.slug)?;
    row.translation_group = snapshot.translation_group.clone();
    replace(tx, &row, &snapshot.captions)?;
    let actor = Actor::from(caller);
    save(
        tx,
        &actor,
        &mut row,
        &snapshot,
        "revision_restore",
        input.note.as_deref(),
    )?;
    diesel::update(revisions::table.find((id, row.revision)))
        .set(revisions::restored_from.eq(number))
        .execute(tx.conn)?;
    Ok(row)
}

fn incomplete(number: i64, missing: Vec<FieldError>) -> Problem {
    let detail = format!(
        "Revision {number} needs what has been deleted or taken since (see errors): send \"without_deleted\": true to \
         restore it without."
    );
    Problem::new(Code::RevisionIncomplete, detail).with_errors(missing)
}

/// Takes out of a snapshot what does not exist any more; gives what that was. Holds the images, so that they stay.
fn without_missing(tx: &mut Tx<'_>, row: &ArticleRow, snapshot: &mut Snapshot) -> Result<Vec<FieldError>> {
    let mut missing = Vec::new();
    let mut note = |place: String, what: &str| {
        let detail = format!("The {what} has been deleted.");
        missing.push(FieldError::at(format!("/content/{place}"), "deleted", detail));
    };
    let content = &mut snapshot.content;
    if let Some(section) = &content.section_id {
        let known: i64 = sections::table.find(section).count().get_result(tx.conn)?;
        if known == 0 {
            note("section_id".into(), "section");
            content.section_id = None;
        }
    }
    let known: Vec<Id> = tags::table
        .filter(tags::id.eq_any(&content.tag_ids))
        .select(tags::id)
        .load(tx.conn)?;
    for (index, _) in content.tag_ids.iter().enumerate().filter(|(_, id)| !known.contains(id)) {
        note(format!("tag_ids/{index}"), "tag");
    }
    content.tag_ids.retain(|id| known.contains(id));
    let known: Vec<Id> = authors::table
        .filter(authors::id.eq_any(&content.author_ids))
        .select(authors::id)
        .load(tx.conn)?;
    for (index, _) in content
        .author_ids
        .iter()
        .enumerate()
        .filter(|(_, id)| !known.contains(id))
    {
        note(format!("author_ids/{index}"), "author");
    }
    content.author_ids.retain(|id| known.contains(id));
    let held = held_images(tx, &snapshot.captions)?;
    for (index, _) in snapshot
        .captions
        .iter()
        .enumerate()
        .filter(|(_, caption)| !held.contains(&caption.image_id))
    {
        note(format!("captions/{index}/image_id"), "image");
    }
    snapshot.captions.retain(|caption| held.contains(&caption.image_id));
    let captions = &snapshot.captions;
    let content = &mut snapshot.content;
    content
        .body
        .keep_figures(&|id| captions.iter().any(|caption| caption.id.as_str() == id));
    if content.slug != row.slug && !claim_slug(tx.conn, &row.id, &content.slug)? {
        let detail = format!("The slug {:?} belongs to another story now.", content.slug);
        missing.push(FieldError::at("/content/slug", "slug_taken", detail));
        content.slug.clone_from(&row.slug);
    }
    Ok(missing)
}

/// The images of captions that are in the library, held so that nobody deletes them now.
fn held_images(tx: &mut Tx<'_>, captions: &[CaptionContent]) -> Result<Vec<Id>> {
    let mut ids: Vec<&Id> = captions.iter().map(|caption| &caption.image_id).collect();
    // Everybody takes these locks in the same order.
    ids.sort();
    ids.dedup();
    let mut held = Vec::new();
    for id in ids {
        if images::store::hold(tx, id)? {
            held.push(id.clone());
        }
    }
    Ok(held)
}

/// Thins out revisions older than the configured time, `piece` at most; gives how many it found. The newest of each
/// article stays, and so does everything that is [kept](keep).
pub async fn thin(app: &State, now: Time, days: i64, piece: i64) -> Result<i64> {
    let before = now.plus_seconds(-days * 24 * 3600);
    let due: Vec<(Id, i64)> = app
        .db
        .read(move |conn| {
            Ok(revisions::table
                .inner_join(articles::table.on(articles::id.eq(revisions::article_id)))
                .filter(revisions::kept.eq(false).and(revisions::created_ms.lt(before)))
                .filter(revisions::number.lt(articles::revision))
                .order(revisions::created_ms)
                .select((revisions::article_id, revisions::number))
                .limit(piece)
                .load(conn)?)
        })
        .await?;
    if due.is_empty() {
        return Ok(0);
    }
    let found = due.len() as i64;
    app.db.write(move |tx| forget(tx, &due)).await?;
    Ok(found)
}

/// One that was kept in the meantime stays.
fn forget(tx: &mut Tx<'_>, due: &[(Id, i64)]) -> Result<()> {
    for (article, number) in due {
        let one = revisions::table.find((article, number));
        diesel::delete(one.filter(revisions::kept.eq(false))).execute(tx.conn)?;
    }
    Ok(())
}
