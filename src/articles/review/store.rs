//! How the steps of a review are kept: as the article's revisions, with their notes.

use diesel::prelude::*;

use super::check_may_submit;
use super::mail::{Event, KIND, Notice};
use crate::articles::input::PublishInput;
use crate::articles::publication;
use crate::articles::store::{ArticleRow, claim, lock, save, snapshot};
use crate::audit::Actor;
use crate::auth::{Caller, Role};
use crate::conditional::Guard;
use crate::db::{Conn, Tx};
use crate::error::{Problem, Result};
use crate::images::rights::ExpiredRights;
use crate::outbox;
use crate::schedules::{self, ScheduleAction};
use crate::schema::{editors, revisions};
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
        tell(tx, By::caller(caller), &row, Event::Submitted, note, recipients)?;
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
        let asked = submitter(tx.conn, &row.id)?;
        tell(
            tx,
            By::caller(caller),
            &row,
            Event::Rejected,
            Some(note),
            waiting(&row, asked),
        )?;
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
    rule: ExpiredRights,
) -> Result<ArticleRow> {
    // Under the article's lock: a submission at the same moment comes before this or after it, and is not missed.
    let row = lock(tx, caller, id)?;
    let asked = asked_by(tx.conn, &row)?;
    let row = publication::publish(tx, caller, row, guard, input, asked.as_ref(), rule)?;
    // What is only planned is not told as done.
    if mails && asked.is_some() && input.publish_at.is_none() {
        tell(
            tx,
            By::caller(caller),
            &row,
            Event::Published,
            None,
            waiting(&row, asked),
        )?;
    }
    Ok(row)
}

/// What was planned is public: tells those who had asked for its review.
pub fn tell_on_time(tx: &mut Tx<'_>, row: &ArticleRow, planner: By<'_>, asked: Option<Id>) -> Result<()> {
    if asked.is_none() {
        return Ok(());
    }
    tell(tx, planner, row, Event::PublishedOnTime, None, waiting(row, asked))
}

/// What was planned could not be done: tells who planned it and who waits for it, and the other editors when none of
/// those could do anything about it.
pub fn tell_failed(
    tx: &mut Tx<'_>,
    row: &ArticleRow,
    planner: &Id,
    action: ScheduleAction,
    reason: &str,
) -> Result<()> {
    let event = match action {
        ScheduleAction::Publish => Event::PublicationFailed,
        ScheduleAction::Unpublish => Event::WithdrawalFailed,
    };
    let mut recipients = waiting(row, schedules::store::asked_by(tx.conn, &row.id)?);
    if !recipients.contains(planner) {
        recipients.push(planner.clone());
    }
    let able: i64 = editors::table
        .filter(editors::id.eq_any(&recipients).and(editors::disabled.eq(false)))
        .filter(editors::role.ne(Role::Writer.as_str()))
        .count()
        .get_result(tx.conn)?;
    if able == 0 {
        recipients.extend(reviewers(tx.conn, planner)?);
    }
    tell(tx, By::nobody(), row, event, Some(reason), recipients)
}

fn step(tx: &mut Tx<'_>, caller: &Caller, row: &mut ArticleRow, action: &str, note: Option<&str>) -> Result<()> {
    let snapshot = snapshot(tx.conn, row)?;
    save(tx, &Actor::from(caller), row, &snapshot, action, note)
}

/// Who waits to hear that a locked article is published: who asked for its review, or had when it was planned.
pub fn asked_by(conn: &mut Conn, row: &ArticleRow) -> Result<Option<Id>> {
    if row.review != "requested" {
        return schedules::store::asked_by(conn, &row.id);
    }
    // Old revisions may be thinned out; the owner waits all the same.
    Ok(Some(submitter(conn, &row.id)?.unwrap_or_else(|| row.owner_id.clone())))
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

/// Who asked for review last.
fn submitter(conn: &mut Conn, article: &Id) -> Result<Option<Id>> {
    Ok(revisions::table
        .filter(revisions::article_id.eq(article).and(revisions::action.eq("submit")))
        .order(revisions::number.desc())
        .select(revisions::editor_id)
        .first(conn)
        .optional()?)
}

/// Who waits for a decision: the owner, and who asked for it.
fn waiting(row: &ArticleRow, asked: Option<Id>) -> Vec<Id> {
    let mut all = vec![row.owner_id.clone()];
    all.extend(asked.filter(|asked| *asked != row.owner_id));
    all
}

/// Who did what a mail tells of.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// They know it already.
    pub id: Option<&'a Id>,
    /// What they are called in the mail.
    pub name: &'a str,
}

impl<'a> By<'a> {
    fn caller(caller: &'a Caller) -> Self {
        Self {
            id: Some(&caller.id),
            name: &caller.name,
        }
    }

    fn nobody() -> Self {
        Self { id: None, name: "" }
    }
}

/// Queues a mail for each of them but the one who acts.
fn tell(
    tx: &mut Tx<'_>,
    by: By<'_>,
    row: &ArticleRow,
    event: Event,
    note: Option<&str>,
    recipients: Vec<Id>,
) -> Result<()> {
    for recipient in recipients.into_iter().filter(|recipient| Some(recipient) != by.id) {
        let notice = Notice {
            event,
            article_id: row.id.clone(),
            recipient,
            by: by.name.to_owned(),
            note: note.map(str::to_owned),
        };
        let payload = serde_json::to_string(&notice).map_err(Problem::internal)?;
        outbox::queue(tx, KIND, &payload, Id::new().as_str())?;
    }
    Ok(())
}
