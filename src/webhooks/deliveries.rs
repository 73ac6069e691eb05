//! How deliveries and their tries are kept: queued with their change, taken by a lease and a fence, settled once.

use diesel::prelude::*;

use super::{AttemptError, DeliveryState, STATES, WebhookAttempt, WebhookDelivery};
use crate::db::{Conn, Tx, Value, insert_once};
use crate::error::{Problem, Result};
use crate::keyset;
use crate::page::{Key, PageInfo, Start};
use crate::schema::{webhook_attempts, webhook_deliveries, webhooks};
use crate::types::{Id, Time};

/// How long a delivery is ours; longer than any try.
const LEASE_SECONDS: i64 = 30;
/// The settings allow waits of a week and a fifth; a longer one comes from a clock that was ahead, in seconds.
const NO_WAIT_SECONDS: i64 = 9 * 24 * 3600;
/// A lease that runs for longer does too; instances' clocks may differ by nearly as much.
const NO_LEASE_SECONDS: i64 = 600;
/// Tries of one webhook at once: a receiver that hangs holds no more.
const AT_ONCE_EACH: i64 = 4;
/// How long deliveries are kept.
const KEEP_SECONDS: i64 = 30 * 24 * 3600;
/// Tries of one delivery that are shown.
const SHOWN: i64 = 20;

/// A delivery as it is kept.
#[derive(Debug, Clone, Queryable)]
pub struct Row {
    /// The id.
    pub id: Id,
    /// The webhook.
    pub webhook_id: Id,
    /// The same at every try.
    pub event_id: String,
    /// The event's type.
    pub kind: String,
    /// The body.
    pub payload: String,
    state: String,
    /// Tries by the schedule, since it was queued or replayed.
    pub tries: i64,
    /// Tries in all.
    pub attempts: i64,
    due_at: Time,
    _lease_ms: i64,
    fence: i64,
    created_at: Time,
    ended_at: Option<Time>,
}

/// What is queued.
pub struct New<'n> {
    /// The webhook.
    pub webhook_id: &'n Id,
    /// The same at every try.
    pub event_id: &'n str,
    /// The event's type.
    pub kind: &'n str,
    /// The body.
    pub payload: &'n str,
}

/// Queues one event for one webhook; false when it was queued before.
pub fn queue(tx: &mut Tx<'_>, new: &New<'_>) -> Result<bool> {
    let statement = "INSERT INTO webhook_deliveries \
        (id, webhook_id, event_id, kind, payload, state, tries, attempts, due_ms, lease_ms, fence, created_ms) \
        VALUES ($1, $2, $3, $4, $5, 'pending', 0, 0, 0, 0, 0, $6) ON CONFLICT (webhook_id, event_id) DO NOTHING";
    let id = Id::new();
    let values = [
        Value::Text(id.as_str()),
        Value::Text(new.webhook_id.as_str()),
        Value::Text(new.event_id),
        Value::Text(new.kind),
        Value::Text(new.payload),
        Value::Int(tx.now.ms()),
    ];
    insert_once(tx.conn, statement, &values)
}

/// Queues an event that is tried once, by its caller: it is theirs already.
pub fn queue_taken(tx: &mut Tx<'_>, id: &Id, new: &New<'_>, tries: i64) -> Result<()> {
    diesel::insert_into(webhook_deliveries::table)
        .values((
            webhook_deliveries::id.eq(id),
            webhook_deliveries::webhook_id.eq(new.webhook_id),
            webhook_deliveries::event_id.eq(new.event_id),
            webhook_deliveries::kind.eq(new.kind),
            webhook_deliveries::payload.eq(new.payload),
            webhook_deliveries::state.eq(DeliveryState::Pending.as_str()),
            webhook_deliveries::tries.eq(tries),
            webhook_deliveries::attempts.eq(1),
            webhook_deliveries::due_ms.eq(tx.now.ms()),
            webhook_deliveries::lease_ms.eq(tx.now.plus_seconds(LEASE_SECONDS).ms()),
            webhook_deliveries::fence.eq(1),
            webhook_deliveries::created_ms.eq(tx.now.ms()),
        ))
        .execute(tx.conn)?;
    Ok(())
}

/// Queues one delivery again, from the beginning of the schedule. A try that runs is not counted any more.
pub fn replay(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    let none: Option<i64> = None;
    diesel::update(webhook_deliveries::table.find(id))
        .set((
            webhook_deliveries::state.eq(DeliveryState::Pending.as_str()),
            webhook_deliveries::tries.eq(0),
            webhook_deliveries::due_ms.eq(0),
            webhook_deliveries::lease_ms.eq(0),
            webhook_deliveries::fence.eq(webhook_deliveries::fence + 1),
            webhook_deliveries::ended_ms.eq(none),
        ))
        .execute(tx.conn)?;
    Ok(())
}

/// Queues the delivery of an event again, unless it is being sent just now.
pub fn replay_event(tx: &mut Tx<'_>, webhook: &Id, event: &str) -> Result<()> {
    let found: Option<Id> = webhook_deliveries::table
        .filter(webhook_deliveries::webhook_id.eq(webhook))
        .filter(webhook_deliveries::event_id.eq(event))
        .filter(
            webhook_deliveries::state
                .ne(DeliveryState::Pending.as_str())
                .or(not_held(tx.now)),
        )
        .select(webhook_deliveries::id)
        .first(tx.conn)
        .optional()?;
    match found {
        Some(id) => replay(tx, &id),
        None => Ok(()),
    }
}

/// Which deliveries may be tried now: a few of each webhook, so that none waits for another's receiver.
pub fn waiting(conn: &mut Conn, now: Time, free: usize) -> Result<Vec<Id>> {
    let enabled: Vec<Id> = webhooks::table
        .filter(webhooks::disabled.eq(false))
        .select(webhooks::id)
        .load(conn)?;
    let mut each = Vec::new();
    for webhook in enabled {
        let due = due_of(conn, &webhook, now)?;
        if !due.is_empty() {
            each.push(due.into_iter());
        }
    }
    let mut found = Vec::new();
    while !each.is_empty() && found.len() < free {
        each.retain_mut(|due| match due.next() {
            Some(id) => {
                found.push(id);
                true
            }
            None => false,
        });
    }
    found.truncate(free);
    Ok(found)
}

fn due_of(conn: &mut Conn, webhook: &Id, now: Time) -> Result<Vec<Id>> {
    let too_far = now.plus_seconds(NO_WAIT_SECONDS).ms();
    let due: Vec<Id> = pending_of(webhook)
        .filter(
            webhook_deliveries::due_ms
                .le(now.ms())
                .or(webhook_deliveries::due_ms.gt(too_far)),
        )
        .filter(not_held(now))
        .order((webhook_deliveries::due_ms, webhook_deliveries::id))
        .select(webhook_deliveries::id)
        .limit(AT_ONCE_EACH)
        .load(conn)?;
    if due.is_empty() {
        return Ok(due);
    }
    let running: i64 = pending_of(webhook)
        .filter(diesel::dsl::not(not_held(now)))
        .count()
        .get_result(conn)?;
    let places = (AT_ONCE_EACH - running).max(0) as usize;
    Ok(due.into_iter().take(places).collect())
}

/// Nobody has it: no lease runs.
#[diesel::dsl::auto_type(no_type_alias)]
fn not_held(now: Time) -> _ {
    let (now, longest): (i64, i64) = (now.ms(), now.plus_seconds(NO_LEASE_SECONDS).ms());
    webhook_deliveries::lease_ms
        .le(now)
        .or(webhook_deliveries::lease_ms.gt(longest))
}

fn pending_of(webhook: &Id) -> webhook_deliveries::BoxedQuery<'_, <Conn as diesel::Connection>::Backend> {
    // The state is written out in the index as well.
    webhook_deliveries::table
        .filter(webhook_deliveries::webhook_id.eq(webhook))
        .filter(diesel::dsl::sql::<diesel::sql_types::Bool>("state = 'pending'"))
        .into_boxed()
}

/// Takes deliveries that are still to be had.
pub fn claim(tx: &mut Tx<'_>, ids: &[Id]) -> Result<Vec<Row>> {
    let mut ours = Vec::new();
    for id in ids {
        let free = webhook_deliveries::table
            .filter(webhook_deliveries::id.eq(id))
            .filter(webhook_deliveries::state.eq(DeliveryState::Pending.as_str()))
            .filter(not_held(tx.now));
        let taken: Option<Row> = diesel::update(free)
            .set((
                webhook_deliveries::tries.eq(webhook_deliveries::tries + 1),
                webhook_deliveries::attempts.eq(webhook_deliveries::attempts + 1),
                webhook_deliveries::fence.eq(webhook_deliveries::fence + 1),
                webhook_deliveries::lease_ms.eq(tx.now.plus_seconds(LEASE_SECONDS).ms()),
            ))
            .returning(webhook_deliveries::all_columns)
            .get_result(tx.conn)
            .optional()?;
        ours.extend(taken);
    }
    Ok(ours)
}

/// Keeps one try, whoever has the delivery by now.
pub fn keep_attempt(tx: &mut Tx<'_>, row: &Row, attempt: &WebhookAttempt) -> Result<()> {
    diesel::insert_into(webhook_attempts::table)
        .values((
            webhook_attempts::delivery_id.eq(&row.id),
            webhook_attempts::n.eq(attempt.number),
            webhook_attempts::at_ms.eq(attempt.at),
            webhook_attempts::duration_ms.eq(attempt.duration_ms),
            webhook_attempts::status.eq(attempt.status),
            webhook_attempts::error.eq(attempt.error.map(AttemptError::as_str)),
            webhook_attempts::detail.eq(attempt.detail.as_deref()),
            webhook_attempts::response.eq(attempt.response.as_deref()),
        ))
        .execute(tx.conn)?;
    Ok(())
}

/// Ends our hold: the delivery waits so many milliseconds, or has ended in a state. One that another has taken, or that
/// was canceled meanwhile, stays as it is.
pub fn settle(tx: &mut Tx<'_>, row: &Row, next: Result<i64, DeliveryState>) -> Result<()> {
    let ours = webhook_deliveries::table
        .filter(webhook_deliveries::id.eq(&row.id))
        .filter(webhook_deliveries::fence.eq(row.fence))
        .filter(webhook_deliveries::state.eq(DeliveryState::Pending.as_str()));
    match next {
        Ok(wait) => diesel::update(ours)
            .set((
                webhook_deliveries::due_ms.eq(tx.now.ms() + wait),
                webhook_deliveries::lease_ms.eq(0),
            ))
            .execute(tx.conn)?,
        Err(state) => diesel::update(ours)
            .set((
                webhook_deliveries::state.eq(state.as_str()),
                webhook_deliveries::ended_ms.eq(tx.now.ms()),
            ))
            .execute(tx.conn)?,
    };
    Ok(())
}

/// Which deliveries are meant.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In these states; none means all.
    pub states: Vec<DeliveryState>,
    /// Of these types; none means all.
    pub kinds: Vec<String>,
}

/// A page of a webhook's deliveries, the newest first.
pub fn page(
    conn: &mut Conn,
    webhook: &Id,
    filter: &Filter,
    start: &Start,
    total: bool,
) -> Result<(Vec<WebhookDelivery>, PageInfo)> {
    let filtered = || {
        let mut rows = webhook_deliveries::table
            .filter(webhook_deliveries::webhook_id.eq(webhook.clone()))
            .into_boxed();
        if !filter.states.is_empty() {
            let names: Vec<&'static str> = filter.states.iter().map(|state| state.as_str()).collect();
            rows = rows.filter(webhook_deliveries::state.eq_any(names));
        }
        if !filter.kinds.is_empty() {
            rows = rows.filter(webhook_deliveries::kind.eq_any(filter.kinds.clone()));
        }
        rows
    };
    let total = match total {
        true => Some(filtered().count().get_result::<i64>(conn)?),
        false => None,
    };
    let rows: Vec<Row> = keyset!(
        filtered(),
        start,
        true,
        webhook_deliveries::created_ms,
        webhook_deliveries::id,
        int
    )
    .load(conn)?;
    let (rows, info) = start.finish(rows, total, |row| (Key::Int(row.created_at.ms()), row.id.to_string()));
    let shown: Result<Vec<_>> = rows.into_iter().map(|row| shown(conn, row)).collect();
    Ok((shown?, info))
}

/// One delivery of a webhook.
pub fn get(conn: &mut Conn, webhook: &Id, id: &Id) -> Result<WebhookDelivery> {
    let found: Option<Row> = webhook_deliveries::table
        .find(id)
        .filter(webhook_deliveries::webhook_id.eq(webhook))
        .first(conn)
        .optional()?;
    let row = found.ok_or_else(|| Problem::not_found("delivery"))?;
    shown(conn, row)
}

/// One delivery as it is kept.
pub fn row(conn: &mut Conn, id: &Id) -> Result<Option<Row>> {
    Ok(webhook_deliveries::table.find(id).first(conn).optional()?)
}

fn shown(conn: &mut Conn, row: Row) -> Result<WebhookDelivery> {
    let known = STATES.iter().find(|(name, _)| *name == row.state);
    let state = known.map(|(_, state)| *state);
    let state = state.ok_or_else(|| Problem::internal(format!("the state {:?} is not known", row.state)))?;
    Ok(WebhookDelivery {
        attempts: attempts_of(conn, &row.id)?,
        next_attempt_at: (state == DeliveryState::Pending).then(|| row.due_at.max(row.created_at)),
        id: row.id,
        webhook_id: row.webhook_id,
        event_id: row.event_id,
        kind: row.kind,
        state,
        created_at: row.created_at,
        ended_at: row.ended_at,
        payload: row.payload,
    })
}

fn attempts_of(conn: &mut Conn, id: &Id) -> Result<Vec<WebhookAttempt>> {
    type Kept = (
        i64,
        Time,
        i64,
        Option<i64>,
        Option<String>,
        Option<String>,
        Option<String>,
    );
    let rows: Vec<Kept> = webhook_attempts::table
        .filter(webhook_attempts::delivery_id.eq(id))
        .order(webhook_attempts::n.desc())
        .select((
            webhook_attempts::n,
            webhook_attempts::at_ms,
            webhook_attempts::duration_ms,
            webhook_attempts::status,
            webhook_attempts::error,
            webhook_attempts::detail,
            webhook_attempts::response,
        ))
        .limit(SHOWN)
        .load(conn)?;
    let attempts =
        rows.into_iter().rev().map(
            |(number, at, duration_ms, status, error, detail, response)| WebhookAttempt {
                number,
                at,
                duration_ms,
                status,
                error: error.as_deref().and_then(AttemptError::parse),
                detail,
                response,
            },
        );
    Ok(attempts.collect())
}

/// Removes a piece of what is older than 30 days, or belongs to no webhook any more.
pub fn forget_old(tx: &mut Tx<'_>, piece: i64) -> Result<i64> {
    let mut ids: Vec<Id> = webhook_deliveries::table
        .filter(webhook_deliveries::created_ms.lt(tx.now.plus_seconds(-KEEP_SECONDS).ms()))
        .select(webhook_deliveries::id)
        .limit(piece)
        .load(tx.conn)?;
    if ids.len() < piece as usize {
        let kept = diesel::dsl::exists(webhooks::table.filter(webhooks::id.eq(webhook_deliveries::webhook_id)));
        let orphans: Vec<Id> = webhook_deliveries::table
            .filter(diesel::dsl::not(kept))
            .select(webhook_deliveries::id)
            .limit(piece - ids.len() as i64)
            .load(tx.conn)?;
        ids.extend(orphans);
        ids.sort();
        ids.dedup();
    }
    diesel::delete(webhook_attempts::table.filter(webhook_attempts::delivery_id.eq_any(&ids))).execute(tx.conn)?;
    diesel::delete(webhook_deliveries::table.filter(webhook_deliveries::id.eq_any(&ids))).execute(tx.conn)?;
    Ok(ids.len() as i64)
}
