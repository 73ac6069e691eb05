//! From a delivery to its receiver: one try, what it came to, and what comes next.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use reqwest::{Client, Response, StatusCode, Url, header};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::deliveries::{self, Row};
use super::guard::{Allowed, Blocked, Guarded};
use super::signature::{Secret, signatures};
use super::{AttemptError, DeliveryState, TEST, WebhookAttempt, store, wait_after};
use crate::app::{App, State};
use crate::db::Tx;
use crate::error::Result;
use crate::outbox::Queue;
use crate::retention;
use crate::types::Time;

/// How long one try may take, from the name's look-up to the answer.
const WHOLE: Duration = Duration::from_secs(15);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How much of an answer is read, in bytes.
const READ: usize = 64 * 1024;
/// How much of it is kept, in bytes.
const KEPT: usize = 1024;
/// How much of an error's words is kept, in characters.
const WORDS: usize = 300;

/// What sends webhooks.
pub struct Webhooks {
    allowed: Arc<Allowed>,
    client: OnceLock<Result<Client, String>>,
    /// Wakes the sender when something was queued here.
    pub queued: Notify,
    /// Wakes the follower when something of the past is asked for.
    pub asked: Notify,
}

impl Webhooks {
    /// A sender that may go to some addresses.
    pub fn new(allowed: Allowed) -> Self {
        Self {
            allowed: Arc::new(allowed),
            client: OnceLock::new(),
            queued: Notify::new(),
            asked: Notify::new(),
        }
    }

    /// Made when it is first needed: it reads this machine's certificates, which commands need not wait for.
    fn client(&self) -> Result<&Client, &String> {
        self.client.get_or_init(|| connector(&self.allowed)).as_ref()
    }
}

/// A client that follows no redirect, asks no proxy, and opens a connection of its own for each try, to an address that
/// was judged for it.
fn connector(allowed: &Arc<Allowed>) -> Result<Client, String> {
    Client::builder()
        .user_agent(concat!("newsdesk/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .dns_resolver(Arc::new(Guarded(Arc::clone(allowed))))
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT)
        .build()
        .map_err(|error| root(&error))
}

/// The deliveries, as something that is sent one by one.
pub struct Deliveries;

impl Queue for Deliveries {
    type Row = Row;
    const AT_ONCE: usize = 256;

    fn woken(app: &App) -> &Notify {
        &app.webhooks.queued
    }

    async fn take(app: &App, free: usize) -> Result<Vec<Row>> {
        let now = Time::now();
        let ids = app.db.read(move |conn| deliveries::waiting(conn, now, free)).await?;
        // An idle instance must not write.
        if ids.is_empty() {
            Ok(Vec::new())
        } else {
            app.db.write(move |tx| deliveries::claim(tx, &ids)).await
        }
    }

    async fn attempt(app: State, row: Row) {
        attempt(&app, row).await;
    }
}

/// Tries one delivery that is ours, and keeps what came of it.
pub async fn attempt(app: &State, row: Row) {
    let id = row.id.clone();
    if let Err(problem) = try_and_keep(app, row).await {
        tracing::error!(%id, cause = %problem, "a webhook's outcome was not kept; it is sent again after its lease");
    }
}

async fn try_and_keep(app: &State, row: Row) -> Result<()> {
    let webhook = row.webhook_id.clone();
    let found = app
        .db
        .read(move |conn| {
            let secrets = store::secrets(conn, &webhook, Time::now())?;
            Ok(store::find(conn, &webhook)?.map(|webhook| (webhook, secrets)))
        })
        .await?;
    // It may have been deleted or disabled since; then its deliveries have ended. A test is sent all the same.
    let Some((webhook, secrets)) = found.filter(|(webhook, _)| !webhook.disabled || row.kind == TEST) else {
        return Ok(());
    };
    let outcome = send(app, &row, &webhook.url, &secrets).await;
    log(&row, &outcome);
    // Five days of failures are not five days when the clock has jumped; what cannot be told is not kept from being noted.
    let timely = !outcome.delivered() && matches!(retention::clock::believed(app).await, Ok(Some(_)));
    let (schedule, mails) = (app.config.webhook_retry_seconds.clone(), app.mail.is_some());
    let keeping = app
        .db
        .write(move |tx| keep(tx, &row, &outcome, &schedule, timely, mails));
    if keeping.await? {
        app.outbox.notify_one();
    }
    Ok(())
}

fn log(row: &Row, outcome: &Outcome) {
    let (status, error) = (outcome.attempt.status, outcome.attempt.error.map(AttemptError::as_str));
    let (id, webhook, ms) = (&row.id, &row.webhook_id, outcome.attempt.duration_ms);
    if outcome.delivered() {
        tracing::info!(%id, %webhook, attempt = row.attempts, status, ms, "webhook delivered");
    } else {
        tracing::warn!(%id, %webhook, attempt = row.attempts, status, error, ms, "webhook not delivered");
    }
}

/// What one try came to.
struct Outcome {
    attempt: WebhookAttempt,
    retry_after: Option<Duration>,
}

impl Outcome {
    fn delivered(&self) -> bool {
        self.attempt.status.is_some_and(|status| (200..300).contains(&status))
    }

    fn gone(&self) -> bool {
        self.attempt.status == Some(i64::from(StatusCode::GONE.as_u16()))
    }
}

/// Keeps a try, and what comes next: the end, or a wait. True when the webhook was given up.
fn keep(tx: &mut Tx<'_>, row: &Row, outcome: &Outcome, schedule: &[u32], timely: bool, mails: bool) -> Result<bool> {
    deliveries::keep_attempt(tx, row, &outcome.attempt)?;
    let next = if outcome.delivered() {
        Err(DeliveryState::Delivered)
    } else if outcome.gone() {
        Err(DeliveryState::Failed)
    } else {
        wait_after(schedule, row.tries, outcome.retry_after).ok_or(DeliveryState::Failed)
    };
    // The webhook is locked before its deliveries, as everywhere.
    let end = match outcome.delivered() {
        true => store::note_success(tx, &row.webhook_id)?,
        false => store::note_failure(tx, &row.webhook_id, outcome.gone(), timely)?,
    };
    deliveries::settle(tx, row, next)?;
    if let Some(end) = &end {
        store::give_up(tx, &row.webhook_id, end, mails)?;
    }
    Ok(end.is_some())
}

async fn send(app: &State, row: &Row, url: &str, secrets: &[Secret]) -> Outcome {
    let (at, begun) = (Time::now(), Instant::now());
    let answer = post(app, row, url, secrets, at, begun + WHOLE).await;
    let (status, retry_after, response, error, detail) = match answer {
        Ok((head, body)) => (
            Some(i64::from(head.status.as_u16())),
            head.retry_after,
            Some(body),
            None,
            None,
        ),
        Err((error, detail)) => (None, None, None, Some(error), Some(detail)),
    };
    Outcome {
        attempt: WebhookAttempt {
            number: row.attempts,
            at,
            duration_ms: begun.elapsed().as_millis() as i64,
            status,
            error,
            detail,
            response,
        },
        retry_after,
    }
}

struct Head {
    status: StatusCode,
    retry_after: Option<Duration>,
}

type Failed = (AttemptError, String);

async fn post(
    app: &State,
    row: &Row,
    url: &str,
    secrets: &[Secret],
    at: Time,
    end: Instant,
) -> Result<(Head, String), Failed> {
    let broken = |words: &dyn std::fmt::Display| (AttemptError::NotConnected, words.to_string());
    let url = Url::parse(url).map_err(|error| broken(&error))?;
    let blocked = |blocked: Blocked| (AttemptError::BlockedAddress, blocked.to_string());
    app.webhooks.allowed.check(&url).map_err(blocked)?;
    let client = app.webhooks.client().map_err(|error| broken(error))?;
    let timestamp = at.ms() / 1000;
    let request = client
        .post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header("webhook-id", &row.event_id)
        .header("webhook-timestamp", timestamp)
        .header(
            "webhook-signature",
            signatures(secrets, &row.event_id, timestamp, &row.payload),
        )
        .body(row.payload.clone());
    let response = match timeout_at(end, request.send()).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(reason(&error)),
        Err(_) => return Err((AttemptError::TimedOut, "no answer in time".to_owned())),
    };
    let head = Head {
        status: response.status(),
        retry_after: retry_after(&response, SystemTime::now()),
    };
    Ok((head, beginning(response, end).await))
}

fn reason(error: &reqwest::Error) -> Failed {
    let kind = if causes(error).any(|error| error.is::<Blocked>()) {
        AttemptError::BlockedAddress
    } else if error.is_timeout() {
        AttemptError::TimedOut
    } else if error.is_connect() {
        AttemptError::NotConnected
    } else {
        AttemptError::HungUp
    };
    (kind, root(error))
}

/// An error and what caused it, from the outside in.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// The words of the innermost cause: the outer ones name the address, which may hold a secret.
fn root(error: &(dyn Error + 'static)) -> String {
    let words = causes(error).last().map_or(String::new(), ToString::to_string);
    printable(&words).chars().take(WORDS).collect()
}

/// The beginning of an answer's body. Whatever happens to the rest, the status has been said.
async fn beginning(mut response: Response, end: Instant) -> String {
    let (mut kept, mut read) = (Vec::new(), 0);
    while read < READ
        && let Ok(Ok(Some(piece))) = timeout_at(end, response.chunk()).await
    {
        read += piece.len();
        let room = KEPT - kept.len();
        kept.extend_from_slice(&piece[..piece.len().min(room)]);
    }
    printable(&String::from_utf8_lossy(&kept))
}

/// Text without controls, which neither a database nor a log should be given by a stranger.
fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n' && c != '\t', " ")
}

/// What the receiver asks to wait: seconds, or a date.
fn retry_after(response: &Response, now: SystemTime) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok(),
    }
}
