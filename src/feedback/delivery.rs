//! How readers write to the newsroom, follow their message, and read what others wrote.

use actix_web::{HttpRequest, HttpResponse, get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::store::{self, Filter, NewMessage, Row};
use super::{FeedbackStatus, MESSAGE_LENGTH, is_reference, new_reference};
use crate::app::State;
use crate::articles::publication::live_article;
use crate::cache::{Outcome, Target, serve};
use crate::changes;
use crate::conditional::Made;
use crate::error::{Problem, Result};
use crate::idempotency::{Answer, IdempotencyKey, write_once_counted};
use crate::json;
use crate::page::{Key, PageQuery};
use crate::page_type;
use crate::request::{Body, IdempotencyParam, NoParams, PathRef, Query, client_address, hash};
use crate::text::{Check, email_key};
use crate::types::{Id, Time};

/// Largest body of a message, in bytes.
const BODY_LIMIT: usize = 16 * 1024;

/// A message to the newsroom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackCreate {
    /// Who writes.
    pub sender: FeedbackSenderInput,
    /// The message, as plain text.
    #[schema(min_length = 1, max_length = 5000, example = "Cảm ơn tòa soạn về bài viết.")]
    pub message: String,
    /// Whether the sender agrees to the consent text of `GET /delivery/v1/site`; must be true.
    #[schema(example = true)]
    pub consent: bool,
    /// Version of the consent text the sender saw: the current one, or one that was replaced within 24 hours.
    #[schema(minimum = 1, example = 1)]
    pub consent_version: i64,
    /// Whether the newsroom may show the message and the sender's name to readers; no when absent.
    #[serde(default)]
    pub may_publish: Option<bool>,
}

/// Who writes, for the newsroom only.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackSenderInput {
    /// The name, shown with the message when it is published.
    #[schema(min_length = 1, max_length = 100, example = "Nguyễn Văn An")]
    pub name: String,
    /// The e-mail address.
    #[schema(max_length = 254, format = "email", example = "an@example.vn")]
    pub email: String,
    /// The telephone number.
    #[serde(default)]
    #[schema(
        min_length = 6,
        max_length = 30,
        pattern = "^[0-9 +().-]*$",
        example = "+84 912 345 678"
    )]
    pub phone: Option<String>,
    /// The postal address.
    #[serde(default)]
    #[schema(max_length = 300)]
    pub address: Option<String>,
}

/// What the sender keeps to follow the message.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedbackReceipt {
    /// Unguessable; the message is followed under `/delivery/v1/feedback/{reference}`.
    #[schema(example = "7h2c9m4xq0v8n5k1t6wyzr3jbe")]
    pub reference: String,
    /// Where the message is.
    pub status: FeedbackProgress,
}

/// Where a message is, as its sender may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackProgress {
    /// The newsroom has it.
    Received,
    /// The newsroom has answered.
    Answered,
    /// The newsroom is done with it.
    Closed,
}

impl From<FeedbackStatus> for FeedbackProgress {
    fn from(status: FeedbackStatus) -> Self {
        match status {
            // Who sends spam learns nothing from it.
            FeedbackStatus::New | FeedbackStatus::InProgress | FeedbackStatus::Spam => Self::Received,
            FeedbackStatus::Answered => Self::Answered,
            FeedbackStatus::Closed => Self::Closed,
        }
    }
}

/// A message as its sender follows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FollowedFeedback {
    /// The reference it was asked for by.
    #[schema(example = "7h2c9m4xq0v8n5k1t6wyzr3jbe")]
    pub reference: String,
    /// Where the message is.
    pub status: FeedbackProgress,
    /// When it came.
    pub created_at: Time,
    /// The newsroom's reply.
    #[schema(required = true)]
    pub reply: Option<String>,
    /// When the newsroom last replied.
    #[schema(required = true)]
    pub replied_at: Option<Time>,
}

impl From<Row> for FollowedFeedback {
    fn from(row: Row) -> Self {
        let told = row.status != FeedbackStatus::Spam;
        Self {
            reference: row.reference,
            status: row.status.into(),
            created_at: row.created_at,
            reply: row.reply.filter(|_| told),
            replied_at: row.replied_at.filter(|_| told),
        }
    }
}

/// A message that editors made visible. Plain text: escape it before it becomes HTML.
#[derive(Debug, Serialize, ToSchema)]
pub struct VisibleFeedback {
    /// The id.
    pub id: Id,
    /// The name as the sender gave it.
    #[schema(example = "Nguyễn Văn An")]
    pub name: String,
    /// The message.
    #[schema(example = "Cảm ơn tòa soạn về bài viết.")]
    pub message: String,
    /// When it came.
    pub created_at: Time,
    /// The newsroom's reply.
    #[schema(required = true)]
    pub reply: Option<String>,
    /// When the newsroom last replied.
    #[schema(required = true)]
    pub replied_at: Option<Time>,
}

impl From<Row> for VisibleFeedback {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            name: row.sender_name,
            message: row.message,
            created_at: row.created_at,
            reply: row.reply,
            replied_at: row.replied_at,
        }
    }
}

page_type! {
    /// A page of visible messages.
    VisibleFeedbackPage of VisibleFeedback
}

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(send_feedback)
        .service(list_visible_feedback)
        .service(follow_feedback);
}

/// Write to the newsroom.
///
/// A reader's message about a story, 16 KiB at most. Needs the sender's consent to the text of `GET /delivery/v1/site`. Works under the story's old slugs too.
#[utoipa::path(
    tag = "feedback",
    params(("article" = String, Path, description = "The story's id or slug."), IdempotencyParam),
    request_body = FeedbackCreate,
    responses(
        (status = 201, description = "The newsroom has the message.", body = FeedbackReceipt,
            headers(("Location" = String, description = "Where the sender follows the message."))),
        (status = 409, description = "The story takes no feedback, or the same request is still running."),
        (status = 410, description = "The story has been withdrawn."),
        (status = 507, description = "There is no room left to store this."),
    )
)]
#[post("/articles/{article}/feedback")]
async fn send_feedback(
    app: State,
    article: PathRef,
    idempotency: IdempotencyKey,
    body: Body,
    req: HttpRequest,
) -> Result<Answer> {
    let address = client_address(&req);
    app.limits.reads(&req)?;
    let wanted = article.clone();
    let accepted = app
        .db
        .read(move |conn| {
            live_article(conn, &wanted)?;
            store::accepted_consents(conn, Time::now())
        })
        .await?;
    body.expect(&["application/json"], "Accept")?;
    let bytes = body.bytes(BODY_LIMIT).await?;
    let new = checked(json::parse(&bytes)?, &accepted, app.config.feedback_retention_days)?;
    // Counted after the checks, so that a typing error does not use up a reader's messages.
    let count = || app.limits.feedback(address);
    write_once_counted(&app, idempotency.of_anyone(&hash(&bytes)), count, move |tx| {
        store::insert(tx, &article, &new)?;
        let receipt = FeedbackReceipt {
            reference: new.reference.clone(),
            status: FeedbackProgress::Received,
        };
        Answer::created(format!("/delivery/v1/feedback/{}", new.reference), &receipt)
    })
    .await
}

fn checked(input: FeedbackCreate, accepted_consents: &[i64], keep_days: i64) -> Result<NewMessage> {
    let mut check = Check::new();
    let name = check.line("/sender/name", &input.sender.name, 100);
    let email = check.email("/sender/email", &input.sender.email);
    let phone = check.optional_line("/sender/phone", input.sender.phone.as_deref(), 30);
    if phone.as_deref().is_some_and(|phone| !is_phone(phone)) {
        check.fail(
            "/sender/phone",
            "invalid_phone",
            "A telephone number has 6-30 characters: digits, spaces and + - ( ) only.",
        );
    }
    let address = check.optional_text("/sender/address", input.sender.address.as_deref(), 300);
    let message = check.text("/message", &input.message, MESSAGE_LENGTH);
    if !input.consent {
        check.fail(
            "/consent",
            "consent_required",
            "The message can only be taken with the sender's consent.",
        );
    }
    if !accepted_consents.contains(&input.consent_version) {
        check.fail(
            "/consent_version",
            "consent_outdated",
            "Show the sender the current consent text of /delivery/v1/site and send its version.",
        );
    }
    check.done()?;
    Ok(NewMessage {
        reference: new_reference(),
        search: store::search_text(&name, Some(&email), &message),
        email_key: email_key(&email),
        name,
        email,
        phone,
        address,
        message,
        consent_version: input.consent_version,
        may_publish: input.may_publish.unwrap_or(false),
        keep_days,
    })
}

fn is_phone(text: &str) -> bool {
    text.len() >= 6 && text.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c))
}

/// List visible messages.
///
/// What the editors made visible of the messages about a story, newest first, with the newsroom's replies. Of the senders only the names.
#[utoipa::path(
    tag = "feedback",
    params(("article" = String, Path, description = "The story's id or slug."), PageQuery),
    responses(
        (status = 200, description = "A page of messages.", body = VisibleFeedbackPage),
        (status = 304, description = "What you have is still right (`If-None-Match`, `If-Modified-Since`)."),
        (status = 308, description = "The story has another slug now."),
        (status = 410, description = "The story has been withdrawn."),
    )
)]
#[get("/articles/{article}/feedback")]
async fn list_visible_feedback(
    app: State,
    article: PathRef,
    query: Result<Query<PageQuery>>,
    req: HttpRequest,
) -> Result<HttpResponse> {
    let (state, target) = (app.clone(), Target::of(&req));
    serve(&app, &req, move |conn| {
        let story = live_article(conn, &article)?;
        if matches!(&article, PathRef::Slug(slug) if *slug != story.slug) {
            return Ok(Outcome::Moved(format!("/delivery/v1/articles/{}/feedback", story.slug)));
        }
        // Looked at now and not before: an unknown story is 404 whatever the query says.
        let Query(query) = query.as_ref().map_err(Problem::copy)?;
        let start = query.start(&format!("visible feedback {}", story.article_id), &Key::Int(0))?;
        let filter = Filter {
            article_id: Some(story.article_id.clone()),
            visible: Some(true),
            ..Filter::default()
        };
        let (rows, page) = store::list(conn, &filter, true, &start, query.include_total)?;
        let changed_at = store::last_change(conn, &story.article_id)?;
        let link = page.link_at(&state.config.public_url, &target.path, &target.query);
        let data = rows.into_iter().map(VisibleFeedback::from).collect();
        let keys = vec![
            changes::key('f', &story.article_id),
            changes::key('a', &story.article_id),
        ];
        Made::json(
            &VisibleFeedbackPage { data, page },
            changed_at.max(Some(story.updated)),
            keys,
            link,
        )
        .map(Outcome::Here)
    })
    .await
}

/// Follow a message.
///
/// How far the newsroom is with the message of this reference, and its reply. For the sender, who alone knows the reference.
#[utoipa::path(
    tag = "feedback",
    params(("reference" = String, Path, description = "The reference of the answer to the message.")),
    responses((status = 200, description = "The message's state.", body = FollowedFeedback))
)]
#[get("/feedback/{reference}")]
async fn follow_feedback(app: State, query: Result<Query<NoParams>>, req: HttpRequest) -> Result<Answer> {
    app.limits.reads(&req)?;
    let reference = req.match_info().query("reference").to_owned();
    if !is_reference(&reference) {
        return Err(Problem::not_found("message"));
    }
    let row = app.db.read(move |conn| store::by_reference(conn, &reference)).await?;
    query?;
    Ok(Answer::ok(&FollowedFeedback::from(row))?.header("Cache-Control", "private, no-store"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_needs_consent_to_a_text_that_was_shown() {
        let input = |consent: bool, version: i64, phone: &str| -> FeedbackCreate {
            let value = serde_json::json!({
                "sender": { "name": " An ", "email": "An@Example.vn", "phone": phone },
                "message": "Xin chào", "consent": consent, "consent_version": version
            });
            json::typed(&value).expect("an input")
        };
        let good = checked(input(true, 2, "+84 (24) 3825-1234"), &[2, 1], 365).expect("good");
        assert_eq!((good.name.as_str(), good.email_key.as_str()), ("An", "an@example.vn"));
        assert!(!good.may_publish, "silence is not consent");
        let problem = checked(input(false, 3, "call me"), &[2, 1], 365).expect_err("three errors");
        let json = problem.to_json("", "", "");
        let pointers: Vec<_> = json["errors"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|error| error["pointer"].as_str())
            .collect();
        assert_eq!(
            pointers,
            [Some("/sender/phone"), Some("/consent"), Some("/consent_version")]
        );
    }

    #[test]
    fn a_spammer_learns_nothing() {
        let mut row = Row::sample();
        row.status = FeedbackStatus::Spam;
        row.reply = Some("Cảm ơn".into());
        row.replied_at = Some(row.created_at);
        let followed = FollowedFeedback::from(row);
        assert_eq!(followed.status, FeedbackProgress::Received);
        assert!(followed.reply.is_none() && followed.replied_at.is_none());
    }
}
