//! Carrying out what is due: each article in one transaction, with the revision, the audit line and the change row that
//! the same action by hand has.

use diesel::prelude::*;
use serde_json::{Value, json};

use super::store::{drop_plan, let_go};
use super::{ScheduleAction, ScheduleProblem};
use crate::articles::Snapshot;
use crate::articles::input::PublishInput;
use crate::articles::publication::{begin, complete, withdraw};
use crate::articles::review::store::{By, asked_by, tell_failed, tell_on_time};
use crate::articles::store::{ArticleRow, check_references, hold, record, save_telling, snapshot, write_row};
use crate::audit::Actor;
use crate::auth::Role;
use crate::db::{self, Conn, Tx};
use crate::error::{Code, Problem, Result};
use crate::images::rights::ExpiredRights;
use crate::schema::{articles, editors, images, revisions, schedules, slugs};
use crate::text::sort_key;
use crate::types::{Id, Time};

/// A row that is due.
#[derive(Debug, Clone, Queryable)]
struct Plan {
    action: String,
    at: Time,
    revision: Option<i64>,
    as_new: bool,
    editor_id: Id,
    asked_by: Option<Id>,
}

impl Plan {
    fn action(&self) -> ScheduleAction {
        if self.action == ScheduleAction::Publish.as_str() {
            ScheduleAction::Publish
        } else {
            ScheduleAction::Unpublish
        }
    }
}

/// Takes the article's lock, then looks what is due: whoever comes second finds nothing.
fn take(tx: &mut Tx<'_>, id: &Id, now: Time) -> Result<Vec<Plan>> {
    if !hold(tx, id)? {
        return Ok(Vec::new());
    }
    Ok(schedules::table
        .filter(schedules::article_id.eq(id))
        .filter(schedules::failed_ms.is_null().and(schedules::at_ms.le(now)))
        .order((schedules::at_ms, schedules::action))
        .select((
            schedules::action,
            schedules::at_ms,
            schedules::revision,
            schedules::as_new,
            schedules::editor_id,
            schedules::asked_by,
        ))
        .load(tx.conn)?)
}

/// The locked article's next version, in the name of who planned it.
fn claim(tx: &mut Tx<'_>, id: &Id, by: &Id) -> Result<ArticleRow> {
    Ok(diesel::update(articles::table.find(id))
        .set((
            articles::version.eq(articles::version + 1),
            articles::updated_ms.eq(tx.now),
            articles::updated_by.eq(by),
        ))
        .returning(articles::all_columns)
        .get_result(tx.conn)?)
}

/// Carries out what is due for an article at a time; the names of what was done. With `mails` those concerned are told.
pub fn carry_out(tx: &mut Tx<'_>, id: &Id, now: Time, mails: bool, rule: ExpiredRights) -> Result<Vec<&'static str>> {
    tx.now = now;
    let plans = take(tx, id, now)?;
    let ends = plans.iter().any(|plan| plan.action() == ScheduleAction::Unpublish);
    let mut done = Vec::new();
    for plan in &plans {
        let mut row = claim(tx, id, &plan.editor_id)?;
        done.push(match plan.action() {
            ScheduleAction::Publish if ends => {
                let detail = "Its time was missed, and so was the time to withdraw it: it was not published.";
                let problem = ScheduleProblem {
                    code: "missed".into(),
                    detail: detail.into(),
                };
                park_plan(tx, &mut row, plan, &problem, mails)?;
                "schedule_failed"
            }
            ScheduleAction::Publish => publish(tx, &mut row, plan, mails, rule)?,
            ScheduleAction::Unpublish => unpublish(tx, &mut row, plan)?,
        });
    }
    Ok(done)
}

/// Who acts, and on whose behalf.
fn actor(conn: &mut Conn, plan: &Plan) -> Result<(Actor, Value)> {
    let name: Option<String> = editors::table
        .find(&plan.editor_id)
        .select(editors::name)
        .first(conn)
        .optional()?;
    let by = json!({ "id": plan.editor_id, "name": name });
    let told = json!({ "scheduled_by": by, "scheduled_for": plan.at });
    Ok((Actor::system("schedule"), told))
}

/// 403 when who planned it may not publish any more.
fn check_rights(conn: &mut Conn, editor: &Id) -> Result<()> {
    let row: Option<(String, String, bool)> = editors::table
        .find(editor)
        .select((editors::name, editors::role, editors::disabled))
        .first(conn)
        .optional()?;
    match row {
        Some((_, role, false)) if Role::parse(&role) >= Some(Role::Editor) => Ok(()),
        row => {
            let name = row.map_or_else(|| "Who planned it".to_owned(), |(name, ..)| name);
            let detail = format!("{name} planned this publication and may not publish any more.");
            Err(Problem::new(Code::Forbidden, detail))
        }
    }
}

/// 422 for an image that is not there any more.
fn check_images(conn: &mut Conn, snapshot: &Snapshot) -> Result<()> {
    let mut wanted: Vec<&Id> = snapshot.captions.iter().map(|caption| &caption.image_id).collect();
    wanted.sort();
    wanted.dedup();
    let known: i64 = images::table
        .filter(images::id.eq_any(&wanted).and(images::deleted_ms.is_null()))
        .count()
        .get_result(conn)?;
    if known == wanted.len() as i64 {
        return Ok(());
    }
    let detail = "An image that the revision places is not in the library any more.";
    Err(Problem::invalid("/captions", "invalid_reference", detail))
}

/// 409 unless the slug is this article's or free to become it.
fn take_slug(conn: &mut Conn, article: &Id, slug: &str) -> Result<()> {
    let statement =
        "INSERT INTO slugs (slug, article_id, working, public) VALUES ($1, $2, FALSE, 'none') ON CONFLICT DO NOTHING";
    let values = [db::Value::Text(slug), db::Value::Text(article.as_str())];
    if db::insert_once(conn, statement, &values)? {
        return Ok(());
    }
    let owner: Id = slugs::table.find(slug).select(slugs::article_id).first(conn)?;
    if owner == *article {
        return Ok(());
    }
    let detail = format!("The slug {slug:?} belongs to another article by now.");
    Err(Problem::new(Code::SlugTaken, detail))
}

/// The pinned revision, with its number and hash.
fn pinned(conn: &mut Conn, article: &Id, plan: &Plan) -> Result<(i64, Snapshot, String)> {
    let number = plan.revision.ok_or_else(|| Problem::internal("nothing is pinned"))?;
    let found: Option<(String, String)> = revisions::table
        .find((article, number))
        .select((revisions::snapshot, revisions::content_hash))
        .first(conn)
        .optional()?;
    let (stored, hash) = found.ok_or_else(|| Problem::not_found("revision"))?;
    Ok((number, serde_json::from_str(&stored).map_err(Problem::internal)?, hash))
}

fn publish(
    tx: &mut Tx<'_>,
    row: &mut ArticleRow,
    plan: &Plan,
    mails: bool,
    rule: ExpiredRights,
) -> Result<&'static str> {
    check_rights(tx.conn, &plan.editor_id)?;
    row.facts()?.allow("publish")?;
    let (number, pinned, hash) = pinned(tx.conn, &row.id, plan)?;
    check_references(tx.conn, &pinned.content, None, None)?;
    check_images(tx.conn, &pinned)?;
    take_slug(tx.conn, &row.id, &pinned.content.slug)?;
    let input = PublishInput {
        as_new: Some(plan.as_new),
        ..PublishInput::default()
    };
    let review = row.review.clone();
    let as_it_is = row.content_hash == hash;
    // Review of just this may also have been asked for after it was planned.
    let asked = match as_it_is {
        true => asked_by(tx.conn, row)?,
        false => plan.asked_by.clone(),
    };
    let terms = begin(tx, row, &pinned, &hash, &input, rule)?;
    row.publish_at = None;
    let (actor, told) = actor(tx.conn, plan)?;
    let name = told["scheduled_by"]["name"].as_str().unwrap_or_default().to_owned();
    let published = if as_it_is {
        save_telling(tx, &actor, row, &pinned, "publish", None, told)?;
        row.revision
    } else {
        // The working copy has moved on and stays as it is, with whatever review was asked of it.
        row.review = review;
        row.public_title_key = sort_key(&pinned.content.title);
        write_row(tx.conn, row)?;
        record(tx, &actor, row, "publish", told)?;
        number
    };
    complete(tx, row, &pinned, published, terms)?;
    drop_plan(tx.conn, &row.id, ScheduleAction::Publish)?;
    if mails {
        let planner = By {
            id: Some(&plan.editor_id),
            name: &name,
        };
        tell_on_time(tx, row, planner, asked)?;
    }
    Ok("publish")
}

fn unpublish(tx: &mut Tx<'_>, row: &mut ArticleRow, plan: &Plan) -> Result<&'static str> {
    let (actor, told) = actor(tx.conn, plan)?;
    drop_plan(tx.conn, &row.id, ScheduleAction::Unpublish)?;
    row.unpublish_at = None;
    if row.is_live() {
        withdraw(tx, row)?;
        let working = snapshot(tx.conn, row)?;
        save_telling(tx, &actor, row, &working, "unpublish", None, told)?;
        return Ok("unpublish");
    }
    write_row(tx.conn, row)?;
    record(tx, &actor, row, "unschedule", told)?;
    Ok("unschedule")
}

/// Parks what is due for an article first: it failed, and is not tried again.
pub fn park(tx: &mut Tx<'_>, id: &Id, now: Time, problem: &ScheduleProblem, mails: bool) -> Result<()> {
    tx.now = now;
    if let Some(plan) = take(tx, id, now)?.first() {
        let mut row = claim(tx, id, &plan.editor_id)?;
        park_plan(tx, &mut row, plan, problem, mails)?;
    }
    Ok(())
}

fn park_plan(tx: &mut Tx<'_>, row: &mut ArticleRow, plan: &Plan, problem: &ScheduleProblem, mails: bool) -> Result<()> {
    match plan.action() {
        ScheduleAction::Publish => {
            row.publish_at = None;
            let_go(tx.conn, &row.id)?;
        }
        ScheduleAction::Unpublish => row.unpublish_at = None,
    }
    let stored = serde_json::to_string(problem).map_err(Problem::internal)?;
    diesel::update(schedules::table.find((&row.id, plan.action.as_str())))
        .set((schedules::failed_ms.eq(tx.now), schedules::problem.eq(stored)))
        .execute(tx.conn)?;
    write_row(tx.conn, row)?;
    let (actor, mut told) = actor(tx.conn, plan)?;
    told["action"] = json!(plan.action);
    told["problem"] = json!(problem);
    record(tx, &actor, row, "schedule_failed", told)?;
    if mails {
        tell_failed(tx, row, &plan.editor_id, plan.action(), &problem.detail)?;
    }
    Ok(())
}
