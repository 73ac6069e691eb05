//! How admins ask for webhooks and look at what was sent.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, delete, get, patch, post};
use serde::Serialize;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::deliveries::{self, New};
use super::input::{
    RotateSecretInput, WebhookActionInput, WebhookCreate, WebhookPatch, WebhookReplayInput, apply, checked,
    checked_overlap, checked_patch,
};
use super::signature::Secret;
use super::store;
use super::{DeliveryState, EVENTS, STATES, TEST, WebhookDelivery, WebhookRecord, sending, test_payload};
use crate::app::State;
use crate::audit::{self, Actor};
use crate::auth::{Caller, Role};
use crate::changes;
use crate::conditional::{Guard, IfMatch};
use crate::error::{Problem, Result};
use crate::idempotency::{Answer, IdempotencyKey, write_once};
use crate::openapi::merged;
use crate::page::{Key, PageQuery};
use crate::page_type;
use crate::request::{Body, FromParams, IdempotencyParam, IfMatchParam, Params, PathId, Query};
use crate::types::Id;

page_type! {
    /// A page of webhooks.
    WebhookRecordPage of WebhookRecord
}

page_type! {
    /// A page of deliveries.
    WebhookDeliveryPage of WebhookDelivery
}

/// A secret, the one time it is shown.
#[derive(Serialize, ToSchema)]
pub struct ShownSecret {
    /// What receivers check signatures with. It is not shown again.
    #[schema(example = "whsec_bm90IGEgc2VjcmV0LCBidXQgYXMgbG9uZyBhcyBvbmU=")]
    pub secret: String,
}

/// A webhook with its new secret, which is shown this once.
#[derive(Serialize)]
pub struct WebhookSecretRecord {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: WebhookRecord,
    /// The secret.
    #[serde(flatten)]
    pub secret: ShownSecret,
}

impl PartialSchema for WebhookSecretRecord {
    fn schema() -> RefOr<Schema> {
        merged::<WebhookRecord, ShownSecret>()
    }
}

impl ToSchema for WebhookSecretRecord {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        <WebhookRecord as ToSchema>::schemas(schemas);
    }
}

/// The guard of a new secret, for the documents.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "a description: the header is read by IfMatch")]
struct RotateIfMatch {
    /// The `ETag` you read (its `version` in quotation marks), to change the secret only if nobody else has.
    #[param(rename = "If-Match", required = false, nullable = false, value_type = String, example = "\"3\"")]
    if_match: Option<String>,
}

/// Filters of the list of deliveries.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "a description: deliveries::Filter is what is read")]
pub struct DeliveryFilters {
    /// Only these; several mean any of them.
    #[param(inline, required = false)]
    state: Vec<DeliveryState>,
    /// Events of these types; several mean any of them.
    #[param(required = false, rename = "type", example = json!(["article.published"]))]
    kind: Vec<String>,
}

struct DeliveryQuery(deliveries::Filter, PageQuery);

impl FromParams for DeliveryQuery {
    fn take(params: &mut Params) -> Result<Self> {
        let kinds: Vec<(&str, &str)> = EVENTS.iter().chain([&TEST]).map(|kind| (*kind, *kind)).collect();
        let filter = deliveries::Filter {
            states: params.several("state", STATES)?,
            kinds: params.several("type", &kinds)?.into_iter().map(str::to_owned).collect(),
        };
        Ok(Self(filter, PageQuery::take(params)?))
    }
}

/// Extractor: a webhook and one of its deliveries in the path.
struct DeliveryPath {
    webhook: Id,
    delivery: Id,
}

impl FromRequest for DeliveryPath {
    type Error = Problem;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = |name| req.match_info().get(name).and_then(Id::parse);
        let both = id("id").zip(id("delivery_id"));
        let path = both.map(|(webhook, delivery)| Self { webhook, delivery });
        ready(path.ok_or_else(|| Problem::not_found("delivery")))
    }
}

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(list_webhooks)
        .service(create_webhook)
        .service(get_webhook)
        .service(update_webhook)
        .service(delete_webhook)
        .service(rotate_webhook_secret)
        .service(test_webhook)
        .service(replay_webhook)
        .service(list_webhook_deliveries)
        .service(get_webhook_delivery)
        .service(replay_webhook_delivery);
}

/// List webhooks.
///
/// Needs the role admin. The newest first.
#[utoipa::path(
    tag = "webhooks",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of webhooks.", body = WebhookRecordPage),
        (status = 403, description = "The caller is no admin."),
    )
)]
#[get("/webhooks")]
async fn list_webhooks(
    app: State,
    caller: Caller,
    query: Result<Query<PageQuery>>,
    req: HttpRequest,
) -> Result<Answer> {
    caller.at_least(Role::Admin)?;
    let Query(query) = query?;
    let start = query.start("webhooks", &Key::Int(0))?;
    let total = query.include_total;
    let (data, page) = app.db.read(move |conn| store::page(conn, &start, total)).await?;
    let link = page.link(&app.config.public_url, &req);
    Ok(Answer::ok(&WebhookRecordPage { data, page })?.maybe_header("Link", link))
}

/// Create a webhook.
///
/// Needs the role admin. From now on every change that readers see, and that passes the filters, is sent to the address
/// as a `POST` by the Standard Webhooks specification: the body is `{type, timestamp, data}`, where `data` is the row of
/// `GET /delivery/v1/changes` and, for stories, `delivery_url`; the headers are `webhook-id` (the same at every try),
/// `webhook-timestamp` and `webhook-signature`. Any 2xx within 15 seconds takes it. Everything else is tried again after
/// 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h, each up to a fifth longer by chance, and later when
/// `Retry-After` says so; 410 disables the webhook. Receivers may get an event twice and in any order. The answer holds
/// the secret, which is not shown again; so an `Idempotency-Key` is not heeded.
#[utoipa::path(
    tag = "webhooks",
    request_body = WebhookCreate,
    responses(
        (status = 201, description = "The new webhook, with its secret.", body = WebhookSecretRecord),
        (status = 409, description = "There are as many webhooks as there may be: 50."),
    )
)]
#[post("/webhooks")]
async fn create_webhook(app: State, caller: Caller, body: Body) -> Result<Answer> {
    caller.at_least(Role::Admin)?;
    let new = checked(body.json::<WebhookCreate>().await?.value)?;
    let (actor, secret) = (Actor::from(&caller), Secret::new());
    let kept = secret.clone();
    let webhook = app.db.write(move |tx| store::create(tx, &actor, &new, &kept)).await?;
    let (location, version) = (format!("/management/v1/webhooks/{}", webhook.id), webhook.version);
    Ok(Answer::created(location, &with_secret(webhook, &secret))?.version(version))
}

/// Get a webhook.
///
/// Needs the role admin. Without its secret.
#[utoipa::path(
    tag = "webhooks",
    params(("id" = Id, Path, description = "The webhook's id.")),
    responses(
        (status = 200, description = "The webhook.", body = WebhookRecord),
        (status = 403, description = "The caller is no admin."),
    )
)]
#[get("/webhooks/{id}")]
async fn get_webhook(app: State, caller: Caller, id: Result<PathId>) -> Result<Answer> {
    let (_, webhook) = known(&app, &caller, id).await?;
    Ok(Answer::ok(&webhook)?.version(webhook.version))
}

/// Change a webhook.
///
/// Needs the role admin. A merge patch (RFC 7396), also taken as `application/json`. A new address is where everything goes
/// from now on, also what waits for its next try; new filters hold for what changes from now on.
#[utoipa::path(
    tag = "webhooks",
    params(("id" = Id, Path, description = "The webhook's id."), IfMatchParam),
    request_body(content = WebhookPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The webhook as it is now.", body = WebhookRecord))
)]
#[patch("/webhooks/{id}")]
async fn update_webhook(
    app: State,
    caller: Caller,
    id: Result<PathId>,
    if_match: IfMatch,
    body: Body,
) -> Result<Answer> {
    let (id, _) = known(&app, &caller, id).await?;
    let patch = checked_patch(body.patch().await?)?;
    let guard = if_match.required()?;
    let actor = Actor::from(&caller);
    let webhook = app
        .db
        .write(move |tx| store::update(tx, &actor, &id, &guard, |settings| apply(&patch, settings)))
        .await?;
    Ok(Answer::ok(&webhook)?.version(webhook.version))
}

/// Delete a webhook.
///
/// Needs the role admin. Nothing more is sent; its deliveries go with it.
#[utoipa::path(
    tag = "webhooks",
    params(("id" = Id, Path, description = "The webhook's id."), IfMatchParam),
    responses((status = 204, description = "It is gone."))
)]
#[delete("/webhooks/{id}")]
async fn delete_webhook(app: State, caller: Caller, id: Result<PathId>, if_match: IfMatch) -> Result<Answer> {
    let (id, _) = known(&app, &caller, id).await?;
    let guard = if_match.required()?;
    let actor = Actor::from(&caller);
    app.db.write(move |tx| store::delete(tx, &actor, &id, &guard)).await?;
    Ok(Answer::no_content())
}

/// Give a webhook a new secret.
///
/// Needs the role admin. Until `previous_secret_expires_at` earlier secrets sign as well: `webhook-signature` then holds
/// several signatures, joined by spaces. `If-Match` is not needed here, and heeded when it is sent. The answer holds the
/// secret, which is not shown again; so an `Idempotency-Key` is not heeded.
#[utoipa::path(
    tag = "webhooks",
    params(("id" = Id, Path, description = "The webhook's id."), RotateIfMatch),
    request_body = RotateSecretInput,
    responses((status = 200, description = "The webhook, with its new secret.", body = WebhookSecretRecord))
)]
#[post("/webhooks/{id}/rotate-secret")]
async fn rotate_webhook_secret(
    app: State,
    caller: Caller,
    id: Result<PathId>,
    if_match: IfMatch,
    body: Body,
) -> Result<Answer> {
    let (id, _) = known(&app, &caller, id).await?;
    let overlap = checked_overlap(&body.action::<RotateSecretInput>().await?.value)?;
    let guard = match if_match {
        IfMatch::Absent => Guard::any(),
        given => given.required()?,
    };
    let (actor, secret) = (Actor::from(&caller), Secret::new());
    let kept = secret.clone();
    let webhook = app
        .db
        .write(move |tx| store::rotate(tx, &actor, &id, &guard, &kept, overlap))
        .await?;
    let version = webhook.version;
    Ok(Answer::ok(&with_secret(webhook, &secret))?.version(version))
}

/// Send a test event.
///
/// Needs the role admin. Sends `webhook.test` once, also by a disabled webhook, waits for what comes of it (15 seconds at
/// most) and tells it; it is also in the list of deliveries.
#[utoipa::path(
    tag = "webhooks",
    params(("id" = Id, Path, description = "The webhook's id."), IdempotencyParam),
    request_body = WebhookActionInput,
    responses((status = 200, description = "The delivery with its one try.", body = WebhookDelivery))
)]
#[post("/webhooks/{id}/test")]
async fn test_webhook(
    app: State,
    caller: Caller,
    id: Result<PathId>,
    idempotency: IdempotencyKey,
    body: Body,
) -> Result<Answer> {
    let (id, _) = known(&app, &caller, id).await?;
    let input = body.action::<WebhookActionInput>().await?;
    let actor = Actor::from(&caller);
    let (webhook, new) = (id.clone(), Id::new());
    let made = new.clone();
    // Beyond the last try of the schedule: it is not tried again.
    let tries = app.config.webhook_retry_seconds.len() as i64 + 1;
    let answer = write_once(&app, idempotency.of(caller.id.as_str(), &input.hash), move |tx| {
        let event = format!("evt_test_{}", made.as_str().replace('-', ""));
        let payload = test_payload(&webhook, tx.now);
        let test = New {
            webhook_id: &webhook,
            event_id: &event,
            kind: TEST,
            payload: &payload,
        };
        deliveries::queue_taken(tx, &made, &test, tries)?;
        audit::record(tx, &actor, "webhook.test", "webhook", &webhook, serde_json::json!({}))?;
        // Kept without what comes of it, which is not known yet.
        Answer::ok(&made)
    })
    .await?;
    let sent: Id = serde_json::from_str(answer.text()).map_err(Problem::internal)?;
    if sent == new {
        send_now(&app, &sent).await?;
    }
    let delivery = app.db.read(move |conn| deliveries::get(conn, &id, &sent)).await?;
    answer.body(&delivery)
}

/// Sends a delivery that is ours to the end, whether or not the caller waits for it.
async fn send_now(app: &State, id: &Id) -> Result<()> {
    let wanted = id.clone();
    let Some(row) = app.db.read(move |conn| deliveries::row(conn, &wanted)).await? else {
        return Ok(());
    };
    let app = app.clone();
    let sending = tokio::task::spawn(async move { sending::attempt(&app, row).await });
    sending.await.map_err(Problem::internal)
}

/// Replay everything since a time.
///
/// Needs the role admin. Queues again what changed since then and passes the webhook's filters, also what was delivered,
/// with the same `webhook-id` as before. Answered before it is sent; `replaying` tells whether it is still being queued.
/// Changes are kept for 30 days, then the last of each thing.
#[utoipa::path(
    tag = "webhooks",
    params(("id" = Id, Path, description = "The webhook's id."), IdempotencyParam),
    request_body = WebhookReplayInput,
    responses(
        (status = 202, description = "It will be sent.", body = WebhookRecord),
        (status = 409, description = "The webhook is disabled, or the same request is still running."),
    )
)]
#[post("/webhooks/{id}/replay")]
async fn replay_webhook(
    app: State,
    caller: Caller,
    id: Result<PathId>,
    idempotency: IdempotencyKey,
    body: Body,
) -> Result<Answer> {
    let (id, _) = known(&app, &caller, id).await?;
    let input = body.json::<WebhookReplayInput>().await?;
    let (since, actor) = (input.value.since, Actor::from(&caller));
    // Looked up outside of the write: far back it is a long way.
    let before = app.db.read(move |conn| changes::before(conn, since)).await?;
    let answer = write_once(&app, idempotency.of(caller.id.as_str(), &input.hash), move |tx| {
        let webhook = store::ask_replay(tx, &actor, &id, since, before.unwrap_or(i64::MAX))?;
        Answer::new(202, &webhook)
    })
    .await?;
    app.webhooks.asked.notify_one();
    Ok(answer)
}

/// List deliveries.
///
/// Needs the role admin. What was sent and what waits, with its tries, the newest first. Kept for 30 days.
#[utoipa::path(
    tag = "webhooks",
    params(("id" = Id, Path, description = "The webhook's id."), DeliveryFilters, PageQuery),
    responses(
        (status = 200, description = "A page of deliveries.", body = WebhookDeliveryPage),
        (status = 403, description = "The caller is no admin."),
    )
)]
#[get("/webhooks/{id}/deliveries")]
async fn list_webhook_deliveries(
    app: State,
    caller: Caller,
    id: Result<PathId>,
    query: Result<Query<DeliveryQuery>>,
    req: HttpRequest,
) -> Result<Answer> {
    let (id, _) = known(&app, &caller, id).await?;
    let Query(DeliveryQuery(filter, query)) = query?;
    let start = query.start(&format!("deliveries {id} {filter:?}"), &Key::Int(0))?;
    let total = query.include_total;
    let (data, page) = app
        .db
        .read(move |conn| deliveries::page(conn, &id, &filter, &start, total))
        .await?;
    let link = page.link(&app.config.public_url, &req);
    Ok(Answer::ok(&WebhookDeliveryPage { data, page })?.maybe_header("Link", link))
}

/// Get a delivery.
///
/// Needs the role admin. One event for one webhook, with its tries.
#[utoipa::path(
    tag = "webhooks",
    params(
        ("id" = Id, Path, description = "The webhook's id."),
        ("delivery_id" = Id, Path, description = "The delivery's id."),
    ),
    responses(
        (status = 200, description = "The delivery.", body = WebhookDelivery),
        (status = 403, description = "The caller is no admin."),
    )
)]
#[get("/webhooks/{id}/deliveries/{delivery_id}")]
async fn get_webhook_delivery(app: State, caller: Caller, path: Result<DeliveryPath>) -> Result<Answer> {
    caller.at_least(Role::Admin)?;
    let path = path?;
    let delivery = app
        .db
        .read(move |conn| deliveries::get(conn, &path.webhook, &path.delivery))
        .await?;
    Answer::ok(&delivery)
}

/// Replay a delivery.
///
/// Needs the role admin. Sends it again, whatever became of it, from the beginning of the schedule and with the same
/// `webhook-id`. Answered before it is sent.
#[utoipa::path(
    tag = "webhooks",
    params(
        ("id" = Id, Path, description = "The webhook's id."),
        ("delivery_id" = Id, Path, description = "The delivery's id."),
        IdempotencyParam,
    ),
    request_body = WebhookActionInput,
    responses(
        (status = 202, description = "It will be sent.", body = WebhookDelivery),
        (status = 409, description = "The webhook is disabled, or the same request is still running."),
    )
)]
#[post("/webhooks/{id}/deliveries/{delivery_id}/replay")]
async fn replay_webhook_delivery(
    app: State,
    caller: Caller,
    path: Result<DeliveryPath>,
    idempotency: IdempotencyKey,
    body: Body,
) -> Result<Answer> {
    caller.at_least(Role::Admin)?;
    let DeliveryPath { webhook, delivery } = path?;
    let (of, wanted) = (webhook.clone(), delivery.clone());
    app.db.read(move |conn| deliveries::get(conn, &of, &wanted)).await?;
    let input = body.action::<WebhookActionInput>().await?;
    let actor = Actor::from(&caller);
    let answer = write_once(&app, idempotency.of(caller.id.as_str(), &input.hash), move |tx| {
        let row = store::find(tx.conn, &webhook)?.ok_or_else(|| Problem::not_found("webhook"))?;
        store::refuse_disabled(&row)?;
        deliveries::replay(tx, &delivery)?;
        let data = serde_json::json!({ "delivery_id": delivery });
        audit::record(tx, &actor, "webhook.replay_delivery", "webhook", &webhook, data)?;
        Answer::new(202, &deliveries::get(tx.conn, &webhook, &delivery)?)
    })
    .await?;
    app.webhooks.queued.notify_one();
    Ok(answer)
}

/// A webhook that is there, for a caller who may know of it. Others are told first that they may not.
async fn known(app: &State, caller: &Caller, id: Result<PathId>) -> Result<(Id, WebhookRecord)> {
    caller.at_least(Role::Admin)?;
    let PathId(id) = id?;
    let wanted = id.clone();
    let webhook = app.db.read(move |conn| store::get(conn, &wanted)).await?;
    Ok((id, webhook))
}

fn with_secret(webhook: WebhookRecord, secret: &Secret) -> WebhookSecretRecord {
    let secret = ShownSecret {
        secret: secret.expose().to_owned(),
    };
    WebhookSecretRecord { webhook, secret }
}
