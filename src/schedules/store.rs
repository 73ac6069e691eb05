//! How plans are kept: a row for the publication and one for its end, the times also in the article's own row.

use std::collections::HashMap;

use diesel::prelude::*;
use serde_json::{Value, json};

use super::{ScheduleAction, ScheduleFailure, check};
use crate::articles::input::PublishInput;
use crate::articles::revisions::store::keep;
use crate::articles::store::{ArticleRow, check_turn, claim, save_telling, snapshot};
use crate::audit::Actor;
use crate::auth::Caller;
use crate::conditional::Guard;
use crate::db::{Conn, Tx, clock};
use crate::error::{Problem, Result};
use crate::holds;
use crate::images::rights::{self, ExpiredRights};
use crate::schema::{schedules, slugs};
use crate::types::{Id, Time};

/// Pins a locked article as it is now for a time to come. `asked_by` had asked for its review.
#[allow(clippy::too_many_arguments, reason = "what a plan is made of")]
pub fn schedule(
    tx: &mut Tx<'_>,
    caller: &Caller,
    mut row: ArticleRow,
    guard: &Guard,
    input: &PublishInput,
    at: Time,
    asked_by: Option<&Id>,
    rule: ExpiredRights,
) -> Result<ArticleRow> {
    let id = &row.id.clone();
    check(input, row.unpublish_at, clock(tx.conn)?)?;
    check_turn(tx, caller, &row, guard)?;
    row.facts()?.allow("publish")?;
    let snapshot = snapshot(tx.conn, &row)?;
    // What is known now to fail at its time is told now.
    rights::check(tx.conn, &snapshot.captions, at, rule)?;
    drop_plan(tx.conn, id, ScheduleAction::Publish)?;
    set_end(tx, caller, &mut row, input)?;
    row.publish_at = Some(at);
    row.review = "none".to_owned();
    let told = told(&row, json!({}));
    save_telling(tx, &Actor::from(caller), &mut row, &snapshot, "schedule", None, told)?;
    diesel::insert_into(schedules::table)
        .values((
            schedules::article_id.eq(id),
            schedules::action.eq(ScheduleAction::Publish.as_str()),
            schedules::at_ms.eq(at),
            schedules::revision.eq(row.revision),
            schedules::slug.eq(&row.slug),
            schedules::as_new.eq(input.as_new == Some(true)),
            schedules::editor_id.eq(&caller.id),
            schedules::asked_by.eq(asked_by),
        ))
        .execute(tx.conn)?;
    holds::put(tx, id, id, &snapshot, holds::FOREVER)?;
    keep(tx, id, row.revision)?;
    Ok(row)
}

/// Who had asked for the review of what is planned, or was planned and could not be done.
pub fn asked_by(conn: &mut Conn, article: &Id) -> Result<Option<Id>> {
    let asked: Option<Option<Id>> = schedules::table
        .find((article, ScheduleAction::Publish.as_str()))
        .select(schedules::asked_by)
        .first(conn)
        .optional()?;
    Ok(asked.flatten())
}

/// The times of an article, with more, for the audit line.
fn told(row: &ArticleRow, mut more: Value) -> Value {
    more["publish_at"] = json!(row.publish_at);
    more["unpublish_at"] = json!(row.unpublish_at);
    more
}

/// What publishing by hand does to the plans: the publication is done, the end is as the caller says. Gives what the
/// audit line tells of it; the row is written by the caller.
pub fn settle(tx: &mut Tx<'_>, caller: &Caller, row: &mut ArticleRow, input: &PublishInput) -> Result<Value> {
    drop_plan(tx.conn, &row.id, ScheduleAction::Publish)?;
    row.publish_at = None;
    set_end(tx, caller, row, input)?;
    Ok(match row.unpublish_at {
        None => json!({}),
        Some(end) => json!({ "unpublish_at": end }),
    })
}

fn set_end(tx: &mut Tx<'_>, caller: &Caller, row: &mut ArticleRow, input: &PublishInput) -> Result<()> {
    let Some(end) = input.unpublish_at.clone().change() else {
        return Ok(());
    };
    drop_plan(tx.conn, &row.id, ScheduleAction::Unpublish)?;
    row.unpublish_at = end;
    if let Some(end) = end {
        diesel::insert_into(schedules::table)
            .values((
                schedules::article_id.eq(&row.id),
                schedules::action.eq(ScheduleAction::Unpublish.as_str()),
                schedules::at_ms.eq(end),
                schedules::as_new.eq(false),
                schedules::editor_id.eq(&caller.id),
            ))
            .execute(tx.conn)?;
    }
    Ok(())
}

/// Clears both times by hand.
pub fn unschedule(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard) -> Result<ArticleRow> {
    let mut row = claim(tx, caller, id, guard)?;
    let before = told(&row, json!({}));
    let facts = row.facts()?;
    if !clear(tx, &mut row)? {
        facts.allow("unschedule")?;
    }
    let snapshot = snapshot(tx.conn, &row)?;
    let actor = Actor::from(caller);
    save_telling(
        tx,
        &actor,
        &mut row,
        &snapshot,
        "unschedule",
        None,
        json!({ "before": before }),
    )?;
    Ok(row)
}

/// Forgets every plan of an article, also one that failed; whether there was any. The row is written by the caller.
pub fn clear(tx: &mut Tx<'_>, row: &mut ArticleRow) -> Result<bool> {
    let published = drop_plan(tx.conn, &row.id, ScheduleAction::Publish)?;
    let withdrawn = drop_plan(tx.conn, &row.id, ScheduleAction::Unpublish)?;
    row.publish_at = None;
    row.unpublish_at = None;
    Ok(published || withdrawn)
}

/// Forgets one plan, and with a publication what it held.
pub fn drop_plan(conn: &mut Conn, article: &Id, action: ScheduleAction) -> Result<bool> {
    let gone = diesel::delete(schedules::table.find((article, action.as_str()))).execute(conn)?;
    if gone > 0 && action == ScheduleAction::Publish {
        let_go(conn, article)?;
    }
    Ok(gone > 0)
}

/// Frees what a pinned revision held: what it uses, and a slug that nothing else of the article has.
pub fn let_go(conn: &mut Conn, article: &Id) -> Result<()> {
    holds::release(conn, article)?;
    let unused = slugs::article_id
        .eq(article)
        .and(slugs::working.eq(false))
        .and(slugs::public.eq("none"));
    diesel::delete(slugs::table.filter(unused)).execute(conn)?;
    Ok(())
}

/// The slugs that pinned revisions of an article will make public.
pub fn pinned_slugs(conn: &mut Conn, article: &Id) -> Result<Vec<String>> {
    let slugs: Vec<Option<String>> = schedules::table
        .filter(schedules::article_id.eq(article).and(schedules::failed_ms.is_null()))
        .select(schedules::slug)
        .load(conn)?;
    Ok(slugs.into_iter().flatten().collect())
}

/// What reads tell of an article's plans beside their times.
#[derive(Debug, Clone, Default)]
pub struct Planned {
    /// The pinned revision.
    pub revision: Option<i64>,
    /// What could not be done.
    pub failure: Option<ScheduleFailure>,
}

/// The plans of some articles.
pub fn planned(conn: &mut Conn, articles: &[&Id]) -> Result<HashMap<Id, Planned>> {
    type Row = (Id, String, Time, Option<i64>, Option<Time>, Option<String>);
    // A list is parsed anew each time on SQLite; one article, the usual case, is not.
    let plans = match articles {
        [one] => schedules::table.filter(schedules::article_id.eq(*one)).into_boxed(),
        many => schedules::table
            .filter(schedules::article_id.eq_any(many.to_vec()))
            .into_boxed(),
    };
    let rows: Vec<Row> = plans
        .order((schedules::article_id, schedules::action))
        .select((
            schedules::article_id,
            schedules::action,
            schedules::at_ms,
            schedules::revision,
            schedules::failed_ms,
            schedules::problem,
        ))
        .load(conn)?;
    let mut all: HashMap<Id, Planned> = HashMap::new();
    for (article, action, at, revision, failed, problem) in rows {
        let one = all.entry(article).or_default();
        let action = if action == ScheduleAction::Publish.as_str() {
            ScheduleAction::Publish
        } else {
            ScheduleAction::Unpublish
        };
        match (failed, problem) {
            (Some(failed_at), Some(problem)) if one.failure.is_none() => {
                let problem = serde_json::from_str(&problem).map_err(Problem::internal)?;
                one.failure = Some(ScheduleFailure {
                    action,
                    at,
                    failed_at,
                    problem,
                });
            }
            (None, _) if action == ScheduleAction::Publish => one.revision = revision,
            _ => {}
        }
    }
    Ok(all)
}

/// When the next thing is due.
pub fn next_due(conn: &mut Conn) -> Result<Option<Time>> {
    Ok(schedules::table
        .filter(schedules::failed_ms.is_null())
        .order(schedules::at_ms)
        .select(schedules::at_ms)
        .first(conn)
        .optional()?)
}

/// The articles with something due, the longest waiting first.
pub fn due_articles(conn: &mut Conn, now: Time, limit: i64) -> Result<Vec<Id>> {
    let mut ids: Vec<Id> = schedules::table
        .filter(schedules::failed_ms.is_null().and(schedules::at_ms.le(now)))
        .order(schedules::at_ms)
        .select(schedules::article_id)
        .limit(limit)
        .load(conn)?;
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    Ok(ids)
}
