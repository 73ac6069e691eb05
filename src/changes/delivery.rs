//! The diary of public changes, for whoever follows it: static-site builders, caches, search engines of one's own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpMessage, HttpRequest, HttpResponse, get};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{broadcast, watch};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::truth::ANY;
use super::{Recorded, after, streams};
use crate::app::State;
use crate::cache::{Outcome, Target, serve};
use crate::conditional::{Lifetime, Made};
use crate::db::Conn;
use crate::error::{Code, Problem, Result};
use crate::meta;
use crate::page::{PageInfo, limit_of};
use crate::request::{FromParams, Params, Query, client_address};
use crate::types::{Id, Time};

/// What happened to which part of the public truth. Ids and keys, never words.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChangeEvent {
    /// Its number; later changes have higher ones.
    #[schema(minimum = 1, example = 4711)]
    pub seq: i64,
    /// What happened: `article.published`, `article.updated`, `article.unpublished`, `section.updated`, `tag.updated`,
    /// `author.updated`, `image.updated`, `feedback.updated`, `site.updated`. More may come.
    #[serde(rename = "type")]
    #[schema(example = "article.published")]
    pub kind: String,
    /// The article it is about; null when it is about something else.
    #[schema(required = true)]
    pub article_id: Option<Id>,
    /// The article, section, tag, author or image it is about; null for the site.
    #[schema(required = true)]
    pub subject_id: Option<Id>,
    /// The article's language.
    #[schema(required = true, example = "vi")]
    pub language: Option<String>,
    /// When.
    pub at: Time,
    /// What caches have to drop: the memberships before and after.
    #[schema(example = json!(["a7c608f0e0d", "articles", "Lvi"]))]
    pub surrogate_keys: Vec<String>,
}

impl From<&Recorded> for ChangeEvent {
    fn from(row: &Recorded) -> Self {
        let subject_id = Id::parse(&row.change.subject_id);
        let about_article = ["article.", "feedback."]
            .iter()
            .any(|family| row.change.kind.starts_with(family));
        Self {
            seq: row.seq,
            kind: row.change.kind.clone().into_owned(),
            article_id: subject_id.clone().filter(|_| about_article),
            subject_id,
            language: row.change.language.clone(),
            at: row.at,
            surrogate_keys: row.change.keys.clone(),
        }
    }
}

/// Changes in commit order. `page.next_cursor` is never null: it is the next `after`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeEventPage {
    /// The changes, oldest first.
    pub data: Vec<ChangeEvent>,
    /// Where the next page starts.
    pub page: PageInfo,
}

/// Where to go on, and how far.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangesQuery {
    /// `page.next_cursor` of the answer before; without it from the beginning, which always rebuilds everything.
    #[param(required = false, nullable = false, value_type = String)]
    after: Option<String>,
    /// How many changes a page has.
    #[param(minimum = 1, maximum = 100, default = 20, required = false, example = 100)]
    limit: i64,
}

impl FromParams for ChangesQuery {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self {
            after: params.one("after")?,
            limit: limit_of(params)? as i64,
        })
    }
}

/// Where to go on with the stream.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StreamQuery {
    /// `page.next_cursor` of `GET /delivery/v1/changes`, or the last event's `id`; without it from the beginning.
    #[param(required = false, nullable = false, value_type = String)]
    after: Option<String>,
}

impl FromParams for StreamQuery {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self {
            after: params.one("after")?,
        })
    }
}

/// The header of a stream that goes on, for the documents.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "a description: the header is read from the request")]
pub struct LastEventIdParam {
    /// The last event's `id`, which browsers send by themselves when they connect again; stronger than `after`.
    #[param(rename = "Last-Event-ID", required = false, nullable = false, value_type = String)]
    last_event_id: Option<String>,
}

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(list_changes).service(stream_changes);
}

/// A place in the diary: its epoch, which a restore of the database ends, and a number. A reader who is below what
/// retention has removed, because it began from the beginning, says at which floor it began.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    epoch: String,
    seq: i64,
    floor: i64,
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (epoch, seq) = (parts.next()?, parts.next()?.parse().ok()?);
        let floor = parts.next().map_or(Some(0), |text| text.parse().ok())?;
        let good = !epoch.is_empty() && seq >= 0 && floor >= 0 && parts.next().is_none();
        good.then(|| Self {
            epoch: epoch.to_owned(),
            seq,
            floor,
        })
    }

    fn text(&self) -> String {
        if self.seq < self.floor {
            format!("{}.{}.{}", self.epoch, self.seq, self.floor)
        } else {
            format!("{}.{}", self.epoch, self.seq)
        }
    }

    /// The place that `after` names, or the beginning. 400 for what is no cursor, 410 for one that has been passed.
    fn find(conn: &mut Conn, cursor: Option<&str>) -> Result<Self> {
        let now = Self {
            epoch: super::epoch(conn)?,
            seq: 0,
            floor: meta::value(conn, "changes_floor")?
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
        };
        let Some(cursor) = cursor else { return Ok(now) };
        let given = Self::parse(cursor).ok_or_else(|| {
            let detail = "This is no cursor of the changes: send page.next_cursor as it was given, or nothing.";
            Problem::parameter(Code::InvalidCursor, "after", detail)
        })?;
        let passed = given.seq < now.floor && given.floor != now.floor;
        if given.epoch != now.epoch || passed || given.seq > super::head(conn)? {
            let detail = "The changes after this cursor are not kept any more: read from the beginning, without after.";
            return Err(Problem::new(Code::ChangesExpired, detail));
        }
        Ok(Self { seq: given.seq, ..now })
    }

    fn at(&self, seq: i64) -> Self {
        Self { seq, ..self.clone() }
    }
}

/// List public changes.
///
/// Everything that readers could see differently, in commit order: nothing is skipped and nothing comes twice. Ask with
/// `after` for what is new. Without it the answer begins at the beginning, and whoever reads to the end has rebuilt
/// everything; superseded changes may be left out of that. A withdrawn story leaves its `article.unpublished`. A cursor
/// that retention or a restored database has passed is answered 410.
#[utoipa::path(
    tag = "changes",
    params(ChangesQuery),
    responses(
        (status = 200, description = "Changes, oldest first.", body = ChangeEventPage),
        (status = 410, description = "The changes after this cursor are not kept any more: read from the beginning."),
    )
)]
#[get("/changes")]
async fn list_changes(app: State, query: Query<ChangesQuery>, req: HttpRequest) -> Result<HttpResponse> {
    let (state, target) = (app.clone(), Target::of(&req));
    serve(&app, &req, move |conn| {
        let place = Place::find(conn, query.0.after.as_deref())?;
        let mut rows = after(conn, place.seq, query.0.limit + 1)?;
        let has_more = rows.len() as i64 > query.0.limit;
        rows.truncate(query.0.limit as usize);
        let next = place.at(rows.last().map_or(place.seq, |row| row.seq));
        let newest = rows.last().map(|row| row.at);
        let page = PageInfo {
            next_cursor: Some(next.text()),
            prev_cursor: None,
            has_more,
            total: None,
        };
        let link = next_link(&state.config.public_url, &target, &next);
        let data = rows.iter().map(|row| ChangeEvent::from(&**row)).collect();
        let mut made = Made::json(
            &ChangeEventPage { data, page },
            newest,
            vec![ANY.to_owned()],
            Some(link),
        )?;
        made.lifetime = Lifetime::Revalidated;
        Ok(Outcome::Here(made))
    })
    .await
}

fn next_link(public_url: &str, target: &Target, next: &Place) -> String {
    let kept = url::form_urlencoded::parse(target.query.as_bytes()).filter(|(name, _)| name != "after");
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .append_pair("after", &next.text())
        .finish();
    format!("<{public_url}{}?{query}>; rel=\"next\"", target.path)
}

/// How often a quiet stream sends a comment, so that nothing in between takes it for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Rows that are read at once for a stream that is behind.
const PIECE: i64 = 200;

/// Stream public changes.
///
/// The same as the list, as server-sent events (`text/event-stream`): `id` is the cursor, `event` the type, `data` the
/// change as JSON. A browser's `EventSource` goes on by itself after a break. A quiet stream sends a comment every 15
/// seconds.
#[utoipa::path(
    tag = "changes",
    params(StreamQuery, LastEventIdParam),
    responses(
        (status = 200, description = "Events, for as long as the connection lasts.", content_type = "text/event-stream", body = String),
        (status = 410, description = "The changes after this cursor are not kept any more: read from the beginning."),
    )
)]
#[get("/changes/stream")]
async fn stream_changes(app: State, query: Query<StreamQuery>, req: HttpRequest) -> Result<HttpResponse> {
    app.limits.reads(&req)?;
    let resumed = req.headers().get("last-event-id").map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes()).trim().to_owned();
        Some(text).filter(|text| !text.is_empty())
    });
    let cursor = resumed.unwrap_or(query.0.after);
    let stream = app
        .streams
        .open(app.limits.is_counted(&req).then(|| client_address(&req)))?;
    // Subscribed before the database is read: what comes in between is seen twice here and told once.
    let live = app.db.truth().subscribe();
    let place = app.db.read(move |conn| Place::find(conn, cursor.as_deref())).await?;
    let head_only = req.extensions().get::<crate::request::HeadOnly>().is_some();
    let stopping = app.stopping.subscribe();
    let follower = Follower {
        app,
        place,
        live,
        waiting: VecDeque::new(),
        behind: true,
        stopping,
        _stream: stream,
    };
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/event-stream; charset=utf-8")
        .insert_header(("Cache-Control", "no-store"))
        .insert_header(("X-Accel-Buffering", "no"));
    if head_only {
        return Ok(response.finish());
    }
    let hello = stream::once(async { Ok::<_, Problem>(Bytes::from_static(b"retry: 3000\n\n")) });
    let events = stream::unfold(follower, Follower::step);
    Ok(response.streaming(futures_util::StreamExt::chain(hello, events)))
}

/// One open stream.
struct Follower {
    app: State,
    /// The last change that was sent.
    place: Place,
    live: broadcast::Receiver<Arc<Recorded>>,
    /// Read and not yet sent.
    waiting: VecDeque<Arc<Recorded>>,
    /// There may be rows in the database that the subscription does not bring.
    behind: bool,
    stopping: watch::Receiver<bool>,
    _stream: streams::Place,
}

impl Follower {
    /// The next piece of the stream; none at its end.
    async fn step(mut self) -> Option<(Result<Bytes>, Self)> {
        loop {
            if *self.stopping.borrow() {
                return None;
            }
            if !self.waiting.is_empty() {
                let text: String = self.waiting.drain(..).map(|row| event(&mut self.place, &row)).collect();
                return Some((Ok(Bytes::from(text)), self));
            }
            if self.behind {
                let from = self.place.seq;
                match self.app.db.read(move |conn| after(conn, from, PIECE)).await {
                    Ok(rows) => {
                        self.behind = rows.len() as i64 == PIECE;
                        self.waiting.extend(rows);
                    }
                    // The client connects again and goes on from its last event.
                    Err(problem) => return Some((Err(problem), self)),
                }
                continue;
            }
            tokio::select! {
                row = self.live.recv() => match row {
                    Ok(row) if row.seq > self.place.seq => self.waiting.push_back(row),
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Lagged(_)) => self.behind = true,
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
                _ = self.stopping.changed() => {}
                () = tokio::time::sleep(HEARTBEAT) => return Some((Ok(Bytes::from_static(b": \n\n")), self)),
            }
        }
    }
}

/// One change as an event (HTML Living Standard §9.2).
fn event(place: &mut Place, row: &Recorded) -> String {
    place.seq = row.seq;
    let data = serde_json::to_string(&ChangeEvent::from(row)).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {data}\n\n", place.text(), row.change.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in ["k3v9.0", "k3v9.17", "k3v9.17.40"] {
            assert_eq!(Place::parse(text).expect("a place").text(), text);
        }
        assert_eq!(Place::parse("k3v9.40.17").expect("a place").text(), "k3v9.40");
        for bad in ["", "17", "k3v9.", "k3v9.x", "k3v9.-1", ".1", "k3v9.1.2.3"] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
