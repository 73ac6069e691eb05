//! How webhooks and their secrets are kept.

use diesel::prelude::*;
use serde_json::{Value, json};

use super::signature::Secret;
use super::{DeliveryState, DisabledReason, Filter, MOST, WebhookRecord, mail};
use crate::audit::{self, Actor};
use crate::changes;
use crate::conditional::Guard;
use crate::db::{self, Conn, Tx};
use crate::error::{Code, Problem, Result};
use crate::keyset;
use crate::page::{Key, PageInfo, Start};
use crate::schema::{sections, webhook_deliveries, webhook_secrets, webhooks};
use crate::types::{Id, Time};

/// A webhook as it is kept.
#[derive(Debug, Clone, Queryable)]
pub struct Row {
    /// The id.
    pub id: Id,
    name: Option<String>,
    /// Where its events go.
    pub url: String,
    events: String,
    languages: String,
    section_ids: String,
    /// Whether nothing is sent.
    pub disabled: bool,
    disabled_reason: Option<String>,
    failing_since: Option<Time>,
    /// Changes up to this one are none of its business.
    pub from_seq: i64,
    /// Up to where the past has been queued again; none when nothing is.
    pub replay_seq: Option<i64>,
    /// The end of what is queued again.
    pub replay_until: Option<i64>,
    created_at: Time,
    updated_at: Time,
    version: i64,
}

impl Row {
    /// Which changes it is told.
    pub fn filter(&self) -> Result<Filter> {
        Ok(Filter {
            events: list(&self.events)?,
            languages: list(&self.languages)?,
            section_ids: list(&self.section_ids)?,
        })
    }
}

fn list<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<T>> {
    serde_json::from_str(text).map_err(Problem::internal)
}

/// What admins choose.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What it is called.
    pub name: Option<String>,
    /// Where its events go.
    pub url: String,
    /// Which.
    pub filter: Filter,
    /// Whether nothing is sent.
    pub disabled: bool,
}

fn record(conn: &mut Conn, row: Row) -> Result<WebhookRecord> {
    let filter = row.filter()?;
    let expires: Vec<Option<i64>> = webhook_secrets::table
        .filter(webhook_secrets::webhook_id.eq(&row.id))
        .filter(webhook_secrets::expires_ms.gt(Time::now().ms()))
        .select(webhook_secrets::expires_ms)
        .load(conn)?;
    Ok(WebhookRecord {
        name: row.name,
        url: row.url,
        events: filter.events,
        languages: filter.languages,
        section_ids: filter.section_ids,
        disabled: row.disabled,
        disabled_reason: row.disabled_reason.as_deref().and_then(DisabledReason::parse),
        failing_since: row.failing_since,
        previous_secret_expires_at: expires.into_iter().flatten().max().map(Time::from_ms),
        replaying: row.replay_seq.is_some(),
        created_at: row.created_at,
        updated_at: row.updated_at,
        version: row.version,
        id: row.id,
    })
}

fn not_found() -> Problem {
    Problem::not_found("webhook")
}

/// A page of webhooks, the newest first.
pub fn page(conn: &mut Conn, start: &Start, total: bool) -> Result<(Vec<WebhookRecord>, PageInfo)> {
    let total = match total {
        true => Some(webhooks::table.count().get_result::<i64>(conn)?),
        false => None,
    };
    let all = webhooks::table.into_boxed();
    let rows: Vec<Row> = keyset!(all, start, true, webhooks::created_ms, webhooks::id, int).load(conn)?;
    let (rows, info) = start.finish(rows, total, |row| (Key::Int(row.created_at.ms()), row.id.to_string()));
    let records: Result<Vec<_>> = rows.into_iter().map(|row| record(conn, row)).collect();
    Ok((records?, info))
}

/// One webhook as it is kept, if it is there.
pub fn find(conn: &mut Conn, id: &Id) -> Result<Option<Row>> {
    Ok(webhooks::table.find(id).first(conn).optional()?)
}

/// One webhook.
pub fn get(conn: &mut Conn, id: &Id) -> Result<WebhookRecord> {
    let row = find(conn, id)?.ok_or_else(not_found)?;
    record(conn, row)
}

/// Those that are not disabled.
pub fn enabled(conn: &mut Conn) -> Result<Vec<Row>> {
    Ok(webhooks::table.filter(webhooks::disabled.eq(false)).load(conn)?)
}

/// The machine of an address.
pub fn origin(url: &str) -> String {
    let origin = url::Url::parse(url).map(|url| url.origin().ascii_serialization());
    origin.unwrap_or_default()
}

/// What the audit trail may hold of a webhook: of its address no more than the machine, since the rest may be a secret.
fn audited(settings: &Settings) -> Value {
    json!({
        "name": settings.name,
        "origin": origin(&settings.url),
        "events": settings.filter.events,
        "languages": settings.filter.languages,
        "section_ids": settings.filter.section_ids,
        "disabled": settings.disabled,
    })
}

fn settings(row: &Row) -> Result<Settings> {
    Ok(Settings {
        name: row.name.clone(),
        url: row.url.clone(),
        filter: row.filter()?,
        disabled: row.disabled,
    })
}

/// 422 for sections that are not there.
fn check_sections(conn: &mut Conn, ids: &[Id]) -> Result<()> {
    let known: Vec<Id> = sections::table
        .filter(sections::id.eq_any(ids))
        .select(sections::id)
        .load(conn)?;
    match ids.iter().position(|id| !known.contains(id)) {
        Some(place) => Err(Problem::invalid(
            format!("/section_ids/{place}"),
            "invalid_reference",
            "There is no such section.",
        )),
        None => Ok(()),
    }
}

/// 409 when there are as many as there may be. Two that are made at once are counted one after the other.
fn check_room(conn: &mut Conn) -> Result<()> {
    db::lock(conn, "webhooks")?;
    let count: i64 = webhooks::table.count().get_result(conn)?;
    if count < MOST {
        return Ok(());
    }
    let detail = format!("There are {count} webhooks, which is the most: delete one that is not needed any more.");
    Err(Problem::new(Code::LimitReached, detail))
}

/// Makes a webhook; it is told what changes from now on.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: &Settings, secret: &Secret) -> Result<WebhookRecord> {
    check_sections(tx.conn, &new.filter.section_ids)?;
    check_room(tx.conn)?;
    let id = Id::new();
    let reason = new.disabled.then_some(DisabledReason::ByHand.as_str());
    diesel::insert_into(webhooks::table)
        .values((
            webhooks::id.eq(&id),
            webhooks::name.eq(&new.name),
            webhooks::url.eq(&new.url),
            webhooks::events.eq(json!(new.filter.events).to_string()),
            webhooks::languages.eq(json!(new.filter.languages).to_string()),
            webhooks::section_ids.eq(json!(new.filter.section_ids).to_string()),
            webhooks::disabled.eq(new.disabled),
            webhooks::disabled_reason.eq(reason),
            webhooks::from_seq.eq(changes::head(tx.conn)?),
            webhooks::created_ms.eq(tx.now),
            webhooks::updated_ms.eq(tx.now),
            webhooks::version.eq(1),
        ))
        .execute(tx.conn)?;
    add_secret(tx, &id, secret)?;
    audit::record(tx, actor, "webhook.create", "webhook", &id, audited(new))?;
    get(tx.conn, &id)
}

/// Takes the row's lock and its next version: from here to the end of the transaction nobody else writes it.
fn claim(tx: &mut Tx<'_>, id: &Id, guard: &Guard) -> Result<Row> {
    let claimed: Option<Row> = diesel::update(webhooks::table.find(id))
        .set((
            webhooks::version.eq(webhooks::version + 1),
            webhooks::updated_ms.eq(tx.now),
        ))
        .returning(webhooks::all_columns)
        .get_result(tx.conn)
        .optional()?;
    let row = claimed.ok_or_else(not_found)?;
    guard.check(row.version - 1)?;
    Ok(row)
}

/// Changes a webhook. Disabling ends what waits; enabling begins with what changes from now on.
pub fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: &Id,
    guard: &Guard,
    change: impl Fn(&mut Settings),
) -> Result<WebhookRecord> {
    let row = claim(tx, id, guard)?;
    let before = settings(&row)?;
    let mut after = before.clone();
    change(&mut after);
    if after.filter.section_ids != before.filter.section_ids {
        check_sections(tx.conn, &after.filter.section_ids)?;
    }
    diesel::update(webhooks::table.find(id))
        .set((
            webhooks::name.eq(&after.name),
            webhooks::url.eq(&after.url),
            webhooks::events.eq(json!(after.filter.events).to_string()),
            webhooks::languages.eq(json!(after.filter.languages).to_string()),
            webhooks::section_ids.eq(json!(after.filter.section_ids).to_string()),
        ))
        .execute(tx.conn)?;
    match (before.disabled, after.disabled) {
        (false, true) => disable(tx, id, DisabledReason::ByHand)?,
        (true, false) => enable(tx, id)?,
        _ => {}
    }
    let moved = before.url != after.url;
    let data = json!({ "before": audited(&before), "after": audited(&after), "url_changed": moved });
    audit::record(tx, actor, "webhook.update", "webhook", id, data)?;
    get(tx.conn, id)
}

/// Stops a webhook: what waits is canceled, and nothing of the past is queued any more.
fn disable(tx: &mut Tx<'_>, id: &Id, reason: DisabledReason) -> Result<()> {
    let nothing: Option<i64> = None;
    diesel::update(webhooks::table.find(id))
        .set((
            webhooks::disabled.eq(true),
            webhooks::disabled_reason.eq(reason.as_str()),
            webhooks::replay_seq.eq(nothing),
            webhooks::replay_until.eq(nothing),
        ))
        .execute(tx.conn)?;
    cancel_pending(tx, id)
}

fn enable(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    // A change that was queued while it was being disabled.
    cancel_pending(tx, id)?;
    let (nothing, no_reason): (Option<i64>, Option<String>) = (None, None);
    diesel::update(webhooks::table.find(id))
        .set((
            webhooks::disabled.eq(false),
            webhooks::disabled_reason.eq(no_reason),
            webhooks::failing_ms.eq(nothing),
            webhooks::from_seq.eq(changes::head(tx.conn)?),
        ))
        .execute(tx.conn)?;
    Ok(())
}

fn cancel_pending(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    let pending = webhook_deliveries::table
        .filter(webhook_deliveries::webhook_id.eq(id))
        .filter(webhook_deliveries::state.eq(DeliveryState::Pending.as_str()));
    diesel::update(pending)
        .set((
            webhook_deliveries::state.eq(DeliveryState::Canceled.as_str()),
            webhook_deliveries::ended_ms.eq(tx.now.ms()),
        ))
        .execute(tx.conn)?;
    Ok(())
}

/// Deletes a webhook. Its deliveries cannot be reached from here on, and are removed later in pieces.
pub fn delete(tx: &mut Tx<'_>, actor: &Actor, id: &Id, guard: &Guard) -> Result<()> {
    let row = claim(tx, id, guard)?;
    diesel::delete(webhook_secrets::table.filter(webhook_secrets::webhook_id.eq(id))).execute(tx.conn)?;
    diesel::delete(webhooks::table.find(id)).execute(tx.conn)?;
    let data = audited(&settings(&row)?);
    audit::record(tx, actor, "webhook.delete", "webhook", id, data)
}

fn add_secret(tx: &mut Tx<'_>, webhook: &Id, secret: &Secret) -> Result<()> {
    diesel::insert_into(webhook_secrets::table)
        .values((
            webhook_secrets::id.eq(Id::new()),
            webhook_secrets::webhook_id.eq(webhook),
            webhook_secrets::secret.eq(secret.expose()),
        ))
        .execute(tx.conn)?;
    Ok(())
}

/// Gives a webhook a new secret. Those before it sign for some seconds more, and no longer than they were to.
pub fn rotate(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: &Id,
    guard: &Guard,
    secret: &Secret,
    overlap: i64,
) -> Result<WebhookRecord> {
    claim(tx, id, guard)?;
    let until = tx.now.plus_seconds(overlap);
    let of_webhook = webhook_secrets::table.filter(webhook_secrets::webhook_id.eq(id));
    let longer = webhook_secrets::expires_ms
        .is_null()
        .or(webhook_secrets::expires_ms.gt(until.ms()));
    diesel::update(of_webhook.filter(longer))
        .set(webhook_secrets::expires_ms.eq(until.ms()))
        .execute(tx.conn)?;
    let ended = of_webhook.filter(webhook_secrets::expires_ms.le(tx.now.ms()));
    diesel::delete(ended).execute(tx.conn)?;
    add_secret(tx, id, secret)?;
    let data = json!({ "previous_secret_expires_at": until });
    audit::record(tx, actor, "webhook.rotate_secret", "webhook", id, data)?;
    get(tx.conn, id)
}

/// The secrets that sign now, the newest first.
pub fn secrets(conn: &mut Conn, webhook: &Id, now: Time) -> Result<Vec<Secret>> {
    let texts: Vec<String> = webhook_secrets::table
        .filter(webhook_secrets::webhook_id.eq(webhook))
        .filter(
            webhook_secrets::expires_ms
                .is_null()
                .or(webhook_secrets::expires_ms.gt(now.ms())),
        )
        .order(webhook_secrets::id.desc())
        .select(webhook_secrets::secret)
        .load(conn)?;
    Ok(texts.into_iter().map(Secret::kept).collect())
}

/// Why a webhook is given up by itself.
pub struct End {
    reason: DisabledReason,
    failing_since: Time,
}

/// Notes that a receiver takes events.
pub fn note_success(tx: &mut Tx<'_>, id: &Id) -> Result<Option<End>> {
    let nothing: Option<i64> = None;
    let failing = webhooks::table.filter(webhooks::id.eq(id).and(webhooks::failing_ms.is_not_null()));
    diesel::update(failing)
        .set(webhooks::failing_ms.eq(nothing))
        .execute(tx.conn)?;
    Ok(None)
}

/// Notes that a try failed. A receiver that is gone, or has failed for too long by a clock that is believed, is to be given
/// up: the webhook is locked then.
pub fn note_failure(tx: &mut Tx<'_>, id: &Id, gone: bool, timely: bool) -> Result<Option<End>> {
    // Takes the row, so that of several tries that fail at once one gives it up.
    let locked = diesel::update(webhooks::table.find(id).filter(webhooks::disabled.eq(false)))
        .set(webhooks::disabled.eq(false))
        .execute(tx.conn)?;
    let Some(row) = find(tx.conn, id)?.filter(|_| locked > 0) else {
        return Ok(None);
    };
    // A time that a clock ahead has left does not hold for ever.
    let failing_since = row.failing_since.unwrap_or(tx.now).min(tx.now);
    if row.failing_since != Some(failing_since) {
        diesel::update(webhooks::table.find(id))
            .set(webhooks::failing_ms.eq(failing_since.ms()))
            .execute(tx.conn)?;
    }
    let too_long = failing_since.plus_seconds(super::FAILING_SECONDS) <= tx.now;
    let reason = match (gone, too_long && timely) {
        (true, _) => DisabledReason::Gone,
        (false, true) => DisabledReason::Failing,
        (false, false) => return Ok(None),
    };
    claim(tx, id, &Guard::any())?;
    Ok(Some(End { reason, failing_since }))
}

/// Disables a webhook that is to be given up; with `mails` the admins are told.
pub fn give_up(tx: &mut Tx<'_>, id: &Id, end: &End, mails: bool) -> Result<()> {
    disable(tx, id, end.reason)?;
    let data = json!({ "reason": end.reason, "failing_since": end.failing_since });
    audit::record(tx, &Actor::system("webhooks"), "webhook.disable", "webhook", id, data)?;
    match mails {
        true => mail::tell(tx, id),
        false => Ok(()),
    }
}

/// Asks for every change after a number to be queued again, up to the newest.
pub fn ask_replay(tx: &mut Tx<'_>, actor: &Actor, id: &Id, since: Time, from: i64) -> Result<WebhookRecord> {
    let row = find(tx.conn, id)?.ok_or_else(not_found)?;
    refuse_disabled(&row)?;
    let head = changes::head(tx.conn)?;
    let from = row.replay_seq.map_or(from, |running| running.min(from));
    if from < head {
        diesel::update(webhooks::table.find(id))
            .set((webhooks::replay_seq.eq(from), webhooks::replay_until.eq(head)))
            .execute(tx.conn)?;
    }
    audit::record(tx, actor, "webhook.replay", "webhook", id, json!({ "since": since }))?;
    get(tx.conn, id)
}

/// Moves the place of what is queued again; false when another instance was faster, or the webhook stopped.
pub fn move_replay(conn: &mut Conn, row: &Row, to: Option<i64>) -> Result<bool> {
    let same = webhooks::table
        .filter(webhooks::id.eq(&row.id).and(webhooks::disabled.eq(false)))
        .filter(webhooks::replay_seq.eq(row.replay_seq))
        .filter(webhooks::replay_until.eq(row.replay_until));
    let until = to.and(row.replay_until);
    let moved = diesel::update(same)
        .set((webhooks::replay_seq.eq(to), webhooks::replay_until.eq(until)))
        .execute(conn)?;
    Ok(moved == 1)
}

/// 409 while nothing is sent.
pub fn refuse_disabled(row: &Row) -> Result<()> {
    match row.disabled {
        false => Ok(()),
        true => Err(Problem::new(
            Code::WebhookDisabled,
            "Enable the webhook first: nothing is sent while it is disabled.",
        )),
    }
}
