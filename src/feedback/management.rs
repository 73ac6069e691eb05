//! How editors work through readers' messages, and how admins answer requests about personal data.

use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::export::{self, Format};
use super::store::{self, Edit, Filter};
use super::{Feedback, FeedbackStatus, MESSAGE_LENGTH, STATUSES};
use crate::app::State;
use crate::audit::Actor;
use crate::auth::{Caller, Role};
use crate::conditional::IfMatch;
use crate::error::Result;
use crate::idempotency::{Answer, IdempotencyKey, write_once};
use crate::page::{Key, PageQuery};
use crate::page_type;
use crate::request::{Body, FromParams, IdempotencyParam, IfMatchParam, Params, PathId, Query};
use crate::text::{Check, email_key};
use crate::types::{Id, Patch, Time};

page_type! {
    /// A page of messages.
    FeedbackPage of Feedback
}

/// Changes of a message; what is absent stays, null clears.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackPatch {
    /// How far the newsroom is with it; `spam` also hides it.
    #[serde(default)]
    #[schema(value_type = FeedbackStatus, required = false)]
    pub status: Patch<FeedbackStatus>,
    /// Whether readers see it under the article; needs the sender's permission (`may_publish`).
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub visible: Patch<bool>,
    /// A note among colleagues.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 5000)]
    pub internal_note: Patch<String>,
}

/// The newsroom's reply to a message.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackReplyInput {
    /// The reply, as plain text. It takes the place of an earlier one.
    #[schema(min_length = 1, max_length = 5000, example = "Tòa soạn cảm ơn bạn.")]
    pub message: String,
    /// Whether readers see the message and the reply under the article; as before when absent.
    #[serde(default)]
    pub visible: Option<bool>,
}

/// Whose personal data is meant. In the body, because addresses do not belong in URLs.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PrivacyInput {
    /// The e-mail address; capitals do not matter.
    #[schema(max_length = 254, format = "email", example = "an@example.vn")]
    pub email: String,
}

/// Everything that is kept under one e-mail address.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "a description: the answer is written piece by piece")]
pub struct PersonalData {
    /// Every message of that address, oldest first.
    pub data: Vec<Feedback>,
}

/// How much was erased.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonalDataErased {
    /// The number of messages.
    #[schema(minimum = 0, example = 2)]
    pub erased: i64,
}

/// Filters of the list of messages.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "a description: Filter is what is read")]
pub struct FeedbackFilters {
    /// Only these; several mean any of them.
    #[param(inline, required = false)]
    status: Vec<FeedbackStatus>,
    /// About this article.
    #[param(required = false, nullable = false, value_type = Id)]
    article_id: Option<Id>,
    /// Whether readers see them.
    #[param(required = false, nullable = false, value_type = bool)]
    visible: Option<bool>,
    /// Part of the message, the sender's name or e-mail address, with or without accents.
    #[param(required = false, nullable = false, value_type = String, max_length = 200)]
    q: Option<String>,
    /// Came after this.
    #[param(required = false, nullable = false, value_type = Time)]
    created_after: Option<Time>,
    /// The order; a dash turns it round.
    #[param(inline, required = false, example = "-created_at")]
    sort: Sort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
enum Sort {
    #[serde(rename = "created_at")]
    Created,
    #[serde(rename = "-created_at")]
    CreatedDown,
}

const SORTS: &[(&str, Sort)] = &[("created_at", Sort::Created), ("-created_at", Sort::CreatedDown)];

/// What the list's parameters say.
struct FeedbackQuery {
    filter: Filter,
    sort: Sort,
}

impl FromParams for FeedbackQuery {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self {
            filter: Filter {
                statuses: params.several("status", STATUSES)?,
                article_id: params.id("article_id")?,
                visible: params.flag("visible")?,
                q: params.words("q")?,
                created_after: params.time("created_after")?,
                email_key: None,
            },
            sort: params.choice("sort", SORTS)?.unwrap_or(Sort::CreatedDown),
        })
    }
}

struct ListQuery(FeedbackQuery, PageQuery);

impl FromParams for ListQuery {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self(FeedbackQuery::take(params)?, PageQuery::take(params)?))
    }
}

/// The form of the file.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "a description: Format is what is read")]
pub struct ExportFormat {
    /// CSV with a header line, or one JSON object a line.
    #[param(inline, required = false, example = "csv")]
    format: FormatName,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "a description: Format is what is read")]
enum FormatName {
    Csv,
    Ndjson,
}

struct ExportQuery(FeedbackQuery, Format);

impl FromParams for ExportQuery {
    fn take(params: &mut Params) -> Result<Self> {
        let formats = [("csv", Format::Csv), ("ndjson", Format::Ndjson)];
        let format = params.choice("format", &formats)?.unwrap_or(Format::Csv);
        Ok(Self(FeedbackQuery::take(params)?, format))
    }
}

/// Mounts the handlers; fixed addresses before those with an id.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(list_feedback)
        .service(export_feedback)
        .service(export_personal_data)
        .service(erase_personal_data)
        .service(get_feedback)
        .service(update_feedback)
        .service(reply_to_feedback)
        .service(delete_feedback);
}

/// List messages.
///
/// Needs the role editor. Readers' messages with their senders, newest first unless sorted otherwise.
#[utoipa::path(
    tag = "feedback",
    params(FeedbackFilters, PageQuery),
    responses(
        (status = 200, description = "A page of messages.", body = FeedbackPage),
        (status = 403, description = "The caller's role does not allow this."),
    )
)]
#[get("/feedback")]
async fn list_feedback(
    app: State,
    caller: Caller,
    query: Result<Query<ListQuery>>,
    req: HttpRequest,
) -> Result<Answer> {
    caller.at_least(Role::Editor)?;
    let Query(ListQuery(FeedbackQuery { filter, sort }, page)) = query?;
    let start = page.start(&format!("feedback {sort:?} {filter:?}"), &Key::Int(0))?;
    let (data, page) = app
        .db
        .read(move |conn| {
            let newest_first = sort == Sort::CreatedDown;
            let (rows, info) = store::list(conn, &filter, newest_first, &start, page.include_total)?;
            Ok((store::with_names(conn, rows)?, info))
        })
        .await?;
    let link = page.link(&app.config.public_url, &req);
    Ok(Answer::ok(&FeedbackPage { data, page })?.maybe_header("Link", link))
}

/// Export messages.
///
/// Needs the role editor. Everything that passes the list's filters, as a file. In CSV a leading apostrophe keeps spreadsheets from reading text as a formula.
#[utoipa::path(
    tag = "feedback",
    params(ExportFormat, FeedbackFilters),
    responses(
        (status = 200, description = "The file.", content(
            (String = "text/csv"),
            (String = "application/x-ndjson"),
        )),
        (status = 403, description = "The caller's role does not allow this."),
        (status = 507, description = "There is no room left for the line in the audit trail."),
    )
)]
#[get("/feedback/export")]
async fn export_feedback(app: State, caller: Caller, query: Result<Query<ExportQuery>>) -> Result<HttpResponse> {
    caller.at_least(Role::Editor)?;
    let Query(ExportQuery(FeedbackQuery { filter, sort }, format)) = query?;
    let actor = Actor::from(&caller);
    app.db
        .write(move |tx| {
            let data = json!({ "format": if format == Format::Csv { "csv" } else { "ndjson" } });
            store::record_many(tx, &actor, "feedback.export", data)
        })
        .await?;
    export::answer(app, filter, sort == Sort::CreatedDown, format).await
}

/// Get a message.
///
/// Needs the role editor.
#[utoipa::path(
    tag = "feedback",
    params(("id" = Id, Path, description = "The message's id.")),
    responses(
        (status = 200, description = "The message.", body = Feedback),
        (status = 403, description = "The caller's role does not allow this."),
    )
)]
#[get("/feedback/{id}")]
async fn get_feedback(app: State, caller: Caller, id: Result<PathId>) -> Result<Answer> {
    caller.at_least(Role::Editor)?;
    let PathId(id) = id?;
    let item = app.db.read(move |conn| store::get_whole(conn, &id)).await?;
    Ok(Answer::ok(&item)?.version(item.version))
}

/// Change a message.
///
/// Needs the role editor. A merge patch (RFC 7396), also taken as `application/json`. Status `spam` hides the message; its sender is not told.
#[utoipa::path(
    tag = "feedback",
    params(("id" = Id, Path, description = "The message's id."), IfMatchParam),
    request_body(content = FeedbackPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The message as it is now.", body = Feedback),
        (status = 409, description = "It is spam, or its sender did not allow showing it to readers."),
    )
)]
#[patch("/feedback/{id}")]
async fn update_feedback(
    app: State,
    caller: Caller,
    id: Result<PathId>,
    if_match: IfMatch,
    body: Body,
) -> Result<Answer> {
    let id = known(&app, &caller, id).await?;
    let edit = checked_patch(body.patch().await?)?;
    let guard = if_match.required()?;
    let actor = Actor::from(&caller);
    let item = app
        .db
        .write(move |tx| store::update(tx, &actor, &id, &guard, &edit))
        .await?;
    Ok(Answer::ok(&item)?.version(item.version))
}

/// Reply to a message.
///
/// Needs the role editor. The sender finds the reply under the message's reference; readers see it when the message is visible. The status becomes `answered`.
#[utoipa::path(
    tag = "feedback",
    params(("id" = Id, Path, description = "The message's id."), IfMatchParam, IdempotencyParam),
    request_body = FeedbackReplyInput,
    responses(
        (status = 200, description = "The message with the reply.", body = Feedback),
        (status = 409, description = "Its sender did not allow showing it to readers, or the same request is still running."),
    )
)]
#[post("/feedback/{id}/reply")]
async fn reply_to_feedback(
    app: State,
    caller: Caller,
    id: Result<PathId>,
    if_match: IfMatch,
    idempotency: IdempotencyKey,
    body: Body,
) -> Result<Answer> {
    let id = known(&app, &caller, id).await?;
    let input = body.json::<FeedbackReplyInput>().await?;
    let edit = checked_reply(input.value)?;
    let guard = if_match.required()?;
    let actor = Actor::from(&caller);
    let once = idempotency.of(caller.id.as_str(), &input.hash);
    let wanted = id.clone();
    let answer = write_once(&app, once, move |tx| {
        store::update(tx, &actor, &id, &guard, &edit)?;
        // Kept for a day with the key, so without the item: a sender's details stay in one table, where they can be
        // erased.
        Answer::ok(&json!({}))
    })
    .await?;
    let item = app.db.read(move |conn| store::get_whole(conn, &wanted)).await?;
    Ok(answer.body(&item)?.version(item.version))
}

/// Erase a message.
///
/// Needs the role editor. Nothing of it is kept.
#[utoipa::path(
    tag = "feedback",
    params(("id" = Id, Path, description = "The message's id."), IfMatchParam),
    responses((status = 204, description = "It is gone."))
)]
#[delete("/feedback/{id}")]
async fn delete_feedback(app: State, caller: Caller, id: Result<PathId>, if_match: IfMatch) -> Result<Answer> {
    let id = known(&app, &caller, id).await?;
    let guard = if_match.required()?;
    let actor = Actor::from(&caller);
    app.db.write(move |tx| store::delete(tx, &actor, &id, &guard)).await?;
    Ok(Answer::no_content())
}

/// Export a person's data.
///
/// Needs the role admin. Every message that was sent with this e-mail address and still bears it.
#[utoipa::path(
    tag = "feedback",
    request_body = PrivacyInput,
    responses((status = 200, description = "Everything that is kept under the address.", body = PersonalData))
)]
#[post("/feedback/privacy/export")]
async fn export_personal_data(app: State, caller: Caller, body: Body) -> Result<HttpResponse> {
    caller.at_least(Role::Admin)?;
    let key = checked_address(&body.json::<PrivacyInput>().await?.value)?;
    let filter = Filter {
        email_key: Some(key),
        ..Filter::default()
    };
    let (actor, counted) = (Actor::from(&caller), filter.clone());
    app.db
        .write(move |tx| {
            let count = store::count(tx.conn, &counted)?;
            store::record_many(tx, &actor, "feedback.privacy_export", json!({ "exported": count }))
        })
        .await?;
    export::answer(app, filter, false, Format::Json).await
}

/// Erase a person's data.
///
/// Needs the role admin. Erases every message that was sent with this e-mail address and still bears it.
#[utoipa::path(
    tag = "feedback",
    params(IdempotencyParam),
    request_body = PrivacyInput,
    responses((status = 200, description = "How many messages were erased.", body = PersonalDataErased))
)]
#[post("/feedback/privacy/erase")]
async fn erase_personal_data(app: State, caller: Caller, idempotency: IdempotencyKey, body: Body) -> Result<Answer> {
    caller.at_least(Role::Admin)?;
    let input = body.json::<PrivacyInput>().await?;
    let key = checked_address(&input.value)?;
    let actor = Actor::from(&caller);
    write_once(&app, idempotency.of(caller.id.as_str(), &input.hash), move |tx| {
        let erased = store::erase_address(tx, &actor, &key)?;
        Answer::ok(&PersonalDataErased { erased })
    })
    .await
}

/// The id of a message that is there, for a caller who may know of it. Writers may not, so they are told first.
async fn known(app: &State, caller: &Caller, id: Result<PathId>) -> Result<Id> {
    caller.at_least(Role::Editor)?;
    let PathId(id) = id?;
    let wanted = id.clone();
    app.db.read(move |conn| store::get(conn, &wanted)).await?;
    Ok(id)
}

fn checked_patch(patch: FeedbackPatch) -> Result<Edit> {
    let mut check = Check::new();
    let status = needed(&mut check, "/status", patch.status);
    let visible = needed(&mut check, "/visible", patch.visible);
    let note = patch.internal_note.change();
    let internal_note = note.map(|note| check.optional_text("/internal_note", note.as_deref(), MESSAGE_LENGTH));
    check.done()?;
    Ok(Edit {
        action: "feedback.update",
        status,
        visible,
        internal_note,
        reply: None,
    })
}

/// A property that can be changed and not cleared.
fn needed<T>(check: &mut Check, pointer: &str, patch: Patch<T>) -> Option<T> {
    match patch {
        Patch::Set(value) => Some(value),
        Patch::Clear => {
            check.fail(pointer, "required", "It cannot be null.");
            None
        }
        Patch::Keep => None,
    }
}

fn checked_reply(input: FeedbackReplyInput) -> Result<Edit> {
    let mut check = Check::new();
    let reply = check.text("/message", &input.message, MESSAGE_LENGTH);
    check.done()?;
    Ok(Edit {
        action: "feedback.reply",
        status: Some(FeedbackStatus::Answered),
        visible: input.visible,
        internal_note: None,
        reply: Some(reply),
    })
}

fn checked_address(input: &PrivacyInput) -> Result<String> {
    let mut check = Check::new();
    let email = check.email("/email", &input.email);
    check.done()?;
    Ok(email_key(&email))
}
