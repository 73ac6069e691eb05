//! How preview links are kept, and what they show. This reads revisions, which are frozen, and never a working copy: the
//! one place where something that has not been published leaves under `/delivery`, for whoever has the link.

use diesel::prelude::*;
use serde_json::json;

use super::management::{PreviewLink, PreviewLinkCreate};
use super::{DEFAULT_SECONDS, LISTED_SECONDS, token};
use crate::app::App;
use crate::articles::Snapshot;
use crate::articles::publication::{PublicationRow, freeze};
use crate::articles::record::people;
use crate::articles::revisions::store::keep;
use crate::articles::store::{get, hold};
use crate::articles::story::{Around, Story};
use crate::audit::{self, Actor};
use crate::auth::Caller;
use crate::db::{Conn, KeptJson, Tx, clock};
use crate::error::{Code, Problem, Result};
use crate::keyset;
use crate::page::{Key, PageInfo, Start};
use crate::request::hash;
use crate::schema::{holds, preview_links, publications, revisions, schedules};
use crate::text::sort_key;
use crate::types::{Id, PersonRef, Time};

type Row = (Id, i64, Id, Time, Time, Option<Time>);

fn links(conn: &mut Conn, rows: Vec<Row>) -> Result<Vec<PreviewLink>> {
    let people = people(conn, rows.iter().map(|row| row.2.clone()))?;
    let link = |(id, revision, by, created_at, expires_at, revoked_at): Row| PreviewLink {
        id,
        revision,
        expires_at,
        revoked_at,
        created_at,
        created_by: PersonRef {
            name: people.get(&by).cloned().unwrap_or_default(),
            id: by,
        },
    };
    Ok(rows.into_iter().map(link).collect())
}

fn snapshot_of(conn: &mut Conn, article: &Id, revision: i64) -> Result<Option<Snapshot>> {
    let stored: Option<String> = revisions::table
        .find((article, revision))
        .select(revisions::snapshot)
        .first(conn)
        .optional()?;
    let read = |json: String| serde_json::from_str(&json).map_err(Problem::internal);
    stored.map(read).transpose()
}

/// Makes a link to a revision, the newest when none is named. Gives it without its token, which follows from it.
pub fn create(
    tx: &mut Tx<'_>,
    caller: &Caller,
    article: &Id,
    secret: &[u8],
    input: &PreviewLinkCreate,
) -> Result<PreviewLink> {
    // So that nobody puts it in the trash in the same moment.
    hold(tx, article)?;
    let row = get(tx.conn, caller, article)?;
    let number = input.revision.unwrap_or(row.revision);
    let snapshot = snapshot_of(tx.conn, article, number)?.ok_or_else(|| {
        let detail = format!("The article has no revision {number}.");
        Problem::invalid("/revision", "invalid_reference", detail)
    })?;
    if row.trashed.is_some() {
        let detail = "The article is in the trash: restore it first.";
        return Err(Problem::new(Code::InvalidTransition, detail).with("allowed", row.facts()?.actions()));
    }
    let id = Id::new();
    let now = clock(tx.conn)?;
    let expires = now.plus_seconds(input.expires_in.unwrap_or(DEFAULT_SECONDS));
    diesel::insert_into(preview_links::table)
        .values((
            preview_links::id.eq(&id),
            preview_links::article_id.eq(article),
            preview_links::revision.eq(number),
            preview_links::token_hash.eq(hash(token(secret, &id, expires)?.as_bytes())),
            preview_links::created_by.eq(&caller.id),
            preview_links::created_ms.eq(now),
            preview_links::expires_ms.eq(expires),
        ))
        .execute(tx.conn)?;
    crate::holds::put(tx, &id, article, &snapshot, expires)?;
    keep(tx, article, number)?;
    let data = json!({ "article_id": article, "revision": number, "expires_at": expires });
    audit::record(
        tx,
        &Actor::from(caller),
        "preview_link.create",
        "preview_link",
        &id,
        data,
    )?;
    Ok(PreviewLink {
        id,
        revision: number,
        expires_at: expires,
        revoked_at: None,
        created_at: now,
        created_by: PersonRef {
            id: caller.id.clone(),
            name: caller.name.clone(),
        },
    })
}

/// A part of an article's links, newest first.
pub fn list(conn: &mut Conn, article: &Id, start: &Start, count: bool) -> Result<(Vec<PreviewLink>, PageInfo)> {
    let of_article = || {
        preview_links::table
            .filter(preview_links::article_id.eq(article))
            .into_boxed()
    };
    let total = match count {
        true => Some(of_article().count().get_result::<i64>(conn)?),
        false => None,
    };
    let rows: Vec<Row> = keyset!(
        of_article(),
        start,
        true,
        preview_links::created_ms,
        preview_links::id,
        int
    )
    .select((
        preview_links::id,
        preview_links::revision,
        preview_links::created_by,
        preview_links::created_ms,
        preview_links::expires_ms,
        preview_links::revoked_ms,
    ))
    .load(conn)?;
    let (rows, page) = start.finish(rows, total, |row| (Key::Int(row.3.ms()), row.0.to_string()));
    Ok((links(conn, rows)?, page))
}

/// Ends a link; one that was ended before stays so.
pub fn revoke(tx: &mut Tx<'_>, caller: &Caller, article: &Id, link: &Id) -> Result<()> {
    let same = || preview_links::table.filter(preview_links::id.eq(link).and(preview_links::article_id.eq(article)));
    let known: i64 = same().count().get_result(tx.conn)?;
    if known == 0 {
        return Err(Problem::not_found("preview link"));
    }
    let ended = diesel::update(same().filter(preview_links::revoked_ms.is_null()))
        .set(preview_links::revoked_ms.eq(tx.now))
        .execute(tx.conn)?;
    if ended == 0 {
        return Ok(());
    }
    crate::holds::release(tx.conn, link)?;
    let data = json!({ "article_id": article });
    audit::record(
        tx,
        &Actor::from(caller),
        "preview_link.revoke",
        "preview_link",
        link,
        data,
    )
}

/// Ends every link of an article: what is in the trash is shown to nobody.
pub fn revoke_all(tx: &mut Tx<'_>, article: &Id) -> Result<()> {
    let open = preview_links::article_id
        .eq(article)
        .and(preview_links::revoked_ms.is_null());
    let ended: Vec<Id> = diesel::update(preview_links::table.filter(open))
        .set(preview_links::revoked_ms.eq(tx.now))
        .returning(preview_links::id)
        .get_results(tx.conn)?;
    for link in &ended {
        crate::holds::release(tx.conn, link)?;
    }
    Ok(())
}

/// Removes a piece of the links that ended long ago, and what ended ones still hold.
pub fn forget_ended(tx: &mut Tx<'_>, piece: i64) -> Result<i64> {
    let old: Vec<Id> = preview_links::table
        .filter(preview_links::expires_ms.lt(tx.now.plus_seconds(-LISTED_SECONDS)))
        .select(preview_links::id)
        .limit(piece)
        .load(tx.conn)?;
    for link in &old {
        crate::holds::release(tx.conn, link)?;
    }
    diesel::delete(preview_links::table.filter(preview_links::id.eq_any(&old))).execute(tx.conn)?;
    // Those of links that went with the account of who made them.
    let ended = holds::until_ms.lt(tx.now.plus_seconds(-LISTED_SECONDS));
    diesel::delete(holds::table.filter(ended)).execute(tx.conn)?;
    Ok(old.len() as i64)
}

/// The story that a token of ours shows, as readers would get it. 404 for a link that was never made or was erased, 410
/// for one that has ended.
pub fn story(conn: &mut Conn, app: &App, token: &str) -> Result<Story> {
    type Found = (Id, i64, Time, Option<Time>);
    let found: Option<Found> = preview_links::table
        .filter(preview_links::token_hash.eq(hash(token.as_bytes())))
        .select((
            preview_links::article_id,
            preview_links::revision,
            preview_links::expires_ms,
            preview_links::revoked_ms,
        ))
        .first(conn)
        .optional()?;
    let (article, number, expires, revoked) = found.ok_or_else(|| Problem::not_found("preview"))?;
    let ended = || {
        Problem::new(
            Code::PreviewEnded,
            "This preview link has run out or was revoked: ask for a new one.",
        )
    };
    if revoked.is_some() || expires <= clock(conn)? {
        return Err(ended());
    }
    let snapshot = snapshot_of(conn, &article, number)?.ok_or_else(ended)?;
    let (card, doc) = freeze(conn, &snapshot)?;
    let row = as_published(conn, &article, number, snapshot)?;
    // What nobody public uses may change without a trace in the diary, so nothing is taken from memory.
    Story::compose(conn, app, None, row, card, doc, Around::UNKNOWN)
}

/// The row that publishing the revision would make.
fn as_published(conn: &mut Conn, article: &Id, number: i64, snapshot: Snapshot) -> Result<PublicationRow> {
    let written: Time = revisions::table
        .find((article, number))
        .select(revisions::created_ms)
        .first(conn)?;
    let before: Option<(Time, Time)> = publications::table
        .find(article)
        .select((publications::published_ms, publications::first_published_ms))
        .first(conn)
        .optional()?;
    let planned: Option<Time> = schedules::table
        .filter(schedules::article_id.eq(article).and(schedules::revision.eq(number)))
        .select(schedules::at_ms)
        .first(conn)
        .optional()?;
    let to_come = planned.unwrap_or(written);
    let (published, first_published) = before.unwrap_or((to_come, to_come));
    let content = snapshot.content;
    Ok(PublicationRow {
        article_id: article.clone(),
        state: "preview".into(),
        title_key: sort_key(&content.title),
        slug: content.slug,
        language: content.language,
        translation_group: snapshot.translation_group,
        section_id: content.section_id,
        featured: content.featured,
        published,
        first_published,
        updated: if before.is_some() { written } else { to_come },
        feedback_open: content.feedback_open,
        card: KeptJson::default(),
    })
}
