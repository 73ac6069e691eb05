//! Answers of writes, and `Idempotency-Key`: the same request twice does its work once.

use std::collections::HashSet;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, Responder};
use diesel::prelude::*;
use serde::Serialize;

use crate::app::App;
use crate::auth::{Caller, Via};
use crate::conditional::version_tag;
use crate::db::{self, Conn, Tx};
use crate::error::{Code, Problem, Result};
use crate::request::hash;
use crate::schema::idempotency;
use crate::types::Time;

/// The answer of a management request, complete before its transaction commits so that it can be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    /// 200 with a body.
    pub fn ok(value: &impl Serialize) -> Result<Self> {
        Self::new(200, value)
    }

    /// 201 with `Location` and a body.
    pub fn created(location: String, value: &impl Serialize) -> Result<Self> {
        Ok(Self::new(201, value)?.header("Location", location))
    }

    /// Any status with a body.
    pub fn new(status: u16, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_string(value).map_err(Problem::internal)?;
        Ok(Self {
            status,
            headers: Vec::new(),
            body,
        })
    }

    /// 204.
    pub fn no_content() -> Self {
        Self {
            status: 204,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// Puts a body in the place of the one it was kept with: an answer that must not be kept whole is completed after
    /// its transaction.
    pub fn body(mut self, value: &impl Serialize) -> Result<Self> {
        self.body = serde_json::to_string(value).map_err(Problem::internal)?;
        Ok(self)
    }

    /// Reads the body back: what was kept of an answer that is completed after its transaction.
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.body).map_err(Problem::internal)
    }

    /// The body, for whoever completes an answer after its transaction.
    pub fn text(&self) -> &str {
        &self.body
    }

    /// Adds the item's entity tag.
    pub fn version(self, version: i64) -> Self {
        self.header("ETag", version_tag(version))
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a header when there is a value.
    pub fn maybe_header(self, name: &str, value: Option<String>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }
}

impl Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK));
        for (name, value) in self.headers {
            response.insert_header((name, value));
        }
        if self.body.is_empty() {
            response.finish()
        } else {
            response.content_type("application/json").body(self.body)
        }
    }
}

/// Extractor: the request's `Idempotency-Key`, if it has one, and what it belongs to.
pub struct IdempotencyKey {
    key: Sent,
    target: String,
}

impl FromRequest for IdempotencyKey {
    type Error = Problem;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut target = format!("{} {}", req.method(), req.path());
        // A program's keys are its own, not those of the editor it acts for.
        if let Some(Via::Key(key)) = req.extensions().get::<Caller>().map(|caller| &caller.via) {
            target = format!("{target} {}", key.id);
        }
        let mut values = req.headers().get_all("idempotency-key");
        let key = match (values.next(), values.next()) {
            (None, _) => Sent::Nothing,
            (Some(value), None) => match value.to_str() {
                Ok(text) if (1..=255).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b)) => {
                    Sent::Key(text.to_owned())
                }
                _ => Sent::Malformed,
            },
            (Some(_), Some(_)) => Sent::Malformed,
        };
        ready(Ok(Self { key, target }))
    }
}

/// What the header says. A malformed one is refused when it is needed, after what comes before it.
#[derive(Debug, Clone)]
enum Sent {
    Nothing,
    Key(String),
    Malformed,
}

/// One piece of work that must be done once.
#[derive(Debug, Clone)]
pub struct Once {
    scope: String,
    /// None when the header was malformed.
    key: Option<String>,
    request_hash: String,
}

impl Once {
    /// The key, and the name of the work while it runs; refused when the header was malformed.
    fn named(&self) -> Result<(String, String)> {
        let key = self.key.clone().ok_or_else(|| {
            Problem::parameter(
                Code::InvalidHeader,
                "Idempotency-Key",
                "Idempotency-Key must be one value of 1-255 printable ASCII characters.",
            )
        })?;
        let name = format!("{} {key}", self.scope);
        Ok((key, name))
    }
}

impl IdempotencyKey {
    /// For a signed-in caller: the key belongs to them, the method and the path.
    pub fn of(self, caller: &str, body_hash: &str) -> Option<Once> {
        let scope = hash(format!("{caller} {}", self.target).as_bytes());
        self.in_scope(scope, body_hash)
    }

    /// For anyone: strangers may choose the same key, so the body belongs to the scope too.
    pub fn of_anyone(self, body_hash: &str) -> Option<Once> {
        let scope = hash(format!("anyone {} {body_hash}", self.target).as_bytes());
        self.in_scope(scope, body_hash)
    }

    fn in_scope(self, scope: String, body_hash: &str) -> Option<Once> {
        let request_hash = body_hash.to_owned();
        match self.key {
            Sent::Nothing => None,
            Sent::Key(key) => Some(Once {
                scope,
                key: Some(key),
                request_hash,
            }),
            Sent::Malformed => Some(Once {
                scope,
                key: None,
                request_hash,
            }),
        }
    }
}

/// Keys whose work is running in this process.
#[derive(Debug, Default)]
pub struct InFlight(Mutex<HashSet<String>>);

struct Running<'a> {
    set: &'a InFlight,
    name: String,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.set
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.name);
    }
}

impl InFlight {
    fn enter(&self, name: &str) -> Result<Running<'_>> {
        let free = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned());
        if free {
            Ok(Running {
                set: self,
                name: name.to_owned(),
            })
        } else {
            Err(in_progress())
        }
    }
}

fn in_progress() -> Problem {
    Problem::new(
        Code::IdempotencyInProgress,
        "A request with this key is still running: ask again in a moment.",
    )
    .header("Retry-After", "1")
}

/// Runs a write transaction; with a key, once: its answer is kept in the same transaction and replayed for 24 hours.
pub async fn write_once<F>(app: &App, once: Option<Once>, work: F) -> Result<Answer>
where
    F: FnMut(&mut Tx<'_>) -> Result<Answer> + Send + 'static,
{
    let Some(once) = once else {
        return app.db.write(work).await;
    };
    let (key, name) = once.named()?;
    let _running = app.in_flight.enter(&name)?;
    write_named(app, once, key, name, work).await
}

/// The same for work that a limit counts: what was done before is found by a look, so that its repetition neither uses up the
/// limit nor is refused by it. The caller has counted the look with the limit of reads.
pub async fn write_once_counted<F>(
    app: &App,
    once: Option<Once>,
    count: impl FnOnce() -> Result<()>,
    work: F,
) -> Result<Answer>
where
    F: FnMut(&mut Tx<'_>) -> Result<Answer> + Send + 'static,
{
    let Some(once) = once else {
        count()?;
        return app.db.write(work).await;
    };
    let (key, name) = once.named()?;
    // Before the look: of several at once with one key only the one that does the work is counted.
    let _running = app.in_flight.enter(&name)?;
    let (wanted, its_key) = (once.clone(), key.clone());
    let look = move |conn: &mut Conn| replay(conn, Time::now(), &wanted, &its_key);
    if let Some(answer) = app.db.look(look).await? {
        return Ok(answer);
    }
    count()?;
    write_named(app, once, key, name, work).await
}

async fn write_named<F>(app: &App, once: Once, key: String, name: String, mut work: F) -> Result<Answer>
where
    F: FnMut(&mut Tx<'_>) -> Result<Answer> + Send + 'static,
{
    app.db
        .write(move |tx| {
            if !db::try_lock(tx.conn, &name)? {
                return Err(in_progress());
            }
            if let Some(answer) = replay(tx.conn, tx.now, &once, &key)? {
                return Ok(answer);
            }
            let answer = work(tx)?;
            keep(tx, &once, &key, &answer)?;
            Ok(answer)
        })
        .await
}

/// The same for a write that is prepared before its turn, see [`db::Db::prepare`]. Without a key the answer of what was
/// prepared and written is made after the commit.
pub async fn write_once_prepared<P, T, G, F, A>(
    app: &App,
    once: Option<Once>,
    aside: bool,
    prepare: G,
    work: F,
    answer: A,
) -> Result<Answer>
where
    P: Send + Sync + 'static,
    T: Send + 'static,
    G: Fn(&mut Conn) -> Result<P> + Send + Sync + 'static,
    F: Fn(&mut Tx<'_>, &P) -> Result<T> + Send + Sync + 'static,
    A: Fn(&P, T) -> Result<Answer> + Send + Sync + 'static,
{
    let (prepare, work, answer) = (Arc::new(prepare), Arc::new(work), Arc::new(answer));
    let mut prepared = match (app.db.prepare(aside, &prepare).await, &once) {
        (Ok(prepared), _) => prepared,
        (Err(problem), None) => return Err(problem),
        // Whether the work was done before comes first.
        (Err(_), Some(_)) => None,
    };
    loop {
        let (first, is_first) = (prepared.clone(), prepared.is_some());
        let (prepare, work, answer) = (Arc::clone(&prepare), Arc::clone(&work), Arc::clone(&answer));
        let result = match once.clone() {
            None => {
                let write = move |tx: &mut Tx<'_>| db::in_turn(tx, first.clone(), &*prepare, &*work);
                let written = app.db.write(write).await;
                written.and_then(|(prepared, done)| answer(&prepared, done))
            }
            once => {
                let all = move |tx: &mut Tx<'_>| {
                    let (prepared, done) = db::in_turn(tx, first.clone(), &*prepare, &*work)?;
                    answer(&prepared, done)
                };
                write_once(app, once, all).await
            }
        };
        match result {
            // What it refers to went away meanwhile: preparing it anew tells what is wrong with it.
            Err(problem) if problem.is_retryable() && is_first => prepared = None,
            result => return result,
        }
    }
}

fn replay(conn: &mut Conn, now: Time, once: &Once, key: &str) -> Result<Option<Answer>> {
    let row: Option<(String, i64, String, String)> = idempotency::table
        .find((&once.scope, key))
        .filter(idempotency::created_ms.gt(now.plus_seconds(-24 * 3600)))
        .select((
            idempotency::request_hash,
            idempotency::status,
            idempotency::headers,
            idempotency::body,
        ))
        .first(conn)
        .optional()?;
    let Some((request_hash, status, headers, body)) = row else {
        return Ok(None);
    };
    if request_hash != once.request_hash {
        return Err(Problem::new(
            Code::IdempotencyKeyReused,
            "This Idempotency-Key was sent with another body: use a new key for a new request.",
        ));
    }
    let headers = serde_json::from_str(&headers).map_err(Problem::internal)?;
    let answer = Answer {
        status: status as u16,
        headers,
        body,
    };
    Ok(Some(answer.header("Idempotency-Replayed", "true")))
}

fn keep(tx: &mut Tx<'_>, once: &Once, key: &str, answer: &Answer) -> Result<()> {
    diesel::delete(idempotency::table.find((&once.scope, key))).execute(tx.conn)?;
    diesel::insert_into(idempotency::table)
        .values((
            idempotency::scope.eq(&once.scope),
            idempotency::idempotency_key.eq(key),
            idempotency::request_hash.eq(&once.request_hash),
            idempotency::status.eq(i64::from(answer.status)),
            idempotency::headers.eq(serde_json::to_string(&answer.headers).map_err(Problem::internal)?),
            idempotency::body.eq(&answer.body),
            idempotency::created_ms.eq(tx.now),
        ))
        .execute(tx.conn)?;
    Ok(())
}
