//! How the steps of a review are kept: as the article's revisions, with their notes.

use diesel::prelude::*;

use super::check_may_submit;
use super::mail::{Event, KIND, Notice};
use crate::articles::input::PublishInput;
use crate::articles::publication;
use crate::articles::store::{ArticleRow, claim, save, snapshot};
use crate::audit::Actor;
use crate::auth::{Caller, Role};
use crate::conditional::Guard;
use crate::db::{Conn, Tx};
use crate::error::{Problem, Result};
use crate::outbox;
use crate::schema::{articles, editors, revisions};
use crate::types::Id;

/// Editors that one submission is told to; a larger newsroom looks at its list.
const MOST: i64 = 20;

/// Asks for review, of a draft or of the edits of a live story.
pub fn submit(
    tx: &mut Tx<'_>,
    caller: &Caller,
    id: &Id,
    guard: &Guard,
    note: Option<&str>,
    mails: bool,
) -> Result<ArticleRow> {
    let mut row = claim(tx, caller, id, guard)?;
    check_may_submit(&row, caller)?;
    row.facts()?.allow("submit")?;
    row.review = "requested".to_owned();
    step(tx, caller, &mut row, "submit", note)?;
    if mails {
        let recipients = reviewers(tx.conn, &caller.id)?;
        tell(tx, caller, &row, Event::Submitted, note, recipients)?;
    }
    Ok(row)
}

/// Sends an article back.
pub fn reject(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard, note: &str, mails: bool) -> Result<ArticleRow> {
    let mut row = claim(tx, caller, id, guard)?;
    row.facts()?.allow("reject")?;
    row.review = "none".to_owned();
    step(tx, caller, &mut row, "reject", Some(note))?;
    if mails {
        let recipients = authors_of(tx.conn, &row)?;
        tell(tx, caller, &row, Event::Rejected, Some(note), recipients)?;
    }
    Ok(row)
}

/// Publishes an article, and tells those who had asked for its review.
pub fn publish(
    tx: &mut Tx<'_>,
    caller: &Caller,
    id: &Id,
    guard: &Guard,
    input: &PublishInput,
    mails: bool,
) -> Result<ArticleRow> {
    let asked = mails && is_asked(tx.conn, id)?;
    let row = publication::publish(tx, caller, id, guard, input)?;
    // What is only planned is not told as done.
    let done = row.is_live() && row.published_hash.as_ref() == Some(&row.content_hash);
    if asked && done {
        let recipients = authors_of(tx.conn, &row)?;
        tell(tx, caller, &row, Event::Published, None, recipients)?;
    }
    Ok(row)
}

fn step(tx: &mut Tx<'_>, caller: &Caller, row: &mut ArticleRow, action: &str, note: Option<&str>) -> Result<()> {
    let snapshot = snapshot(tx.conn, row)?;
    save(tx, &Actor::from(caller), row, &snapshot, action, note)
}

fn is_asked(conn: &mut Conn, id: &Id) -> Result<bool> {
    let review: Option<String> = articles::table
        .find(id)
        .select(articles::review)
        .first(conn)
        .optional()?;
    Ok(review.as_deref() == Some("requested"))
}

/// Who looks at what was submitted: editors, or admins where there are no others.
fn reviewers(conn: &mut Conn, submitter: &Id) -> Result<Vec<Id>> {
    for role in [Role::Editor, Role::Admin] {
        let found: Vec<Id> = editors::table
            .filter(editors::role.eq(role.as_str()).and(editors::disabled.eq(false)))
            .filter(editors::id.ne(submitter))
            .order(editors::id)
            .select(editors::id)
            .limit(MOST)
            .load(conn)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// Who waits for a decision: the owner, and who asked for it last.
fn authors_of(conn: &mut Conn, row: &ArticleRow) -> Result<Vec<Id>> {
    let submitter: Option<Id> = revisions::table
        .filter(revisions::article_id.eq(&row.id).and(revisions::action.eq("submit")))
        .order(revisions::number.desc())
        .select(revisions::editor_id)
        .first(conn)
        .optional()?;
    let mut all = vec![row.owner_id.clone()];
    all.extend(submitter.filter(|submitter| *submitter != row.owner_id));
    Ok(all)
}

/// Queues a mail for each of them but the one who acts.
fn tell(
    tx: &mut Tx<'_>,
    caller: &Caller,
    row: &ArticleRow,
    event: Event,
    note: Option<&str>,
    recipients: Vec<Id>,
) -> Result<()> {
    for recipient in recipients.into_iter().filter(|recipient| *recipient != caller.id) {
        let notice = Notice {
            event,
            article_id: row.id.clone(),
            recipient,
            by: caller.name.clone(),
            note: note.map(str::to_owned),
        };
        let payload = serde_json::to_string(&notice).map_err(Problem::internal)?;
        outbox::queue(tx, KIND, &payload, Id::new().as_str())?;
    }
    Ok(())
}
