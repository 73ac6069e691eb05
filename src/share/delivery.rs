//! How readers send a story to friends, and how those end it.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{KIND, Share, links, mailbox, opened, store, template::escaped};
use crate::app::{App, State};
use crate::articles::publication::live_article;
use crate::db::Tx;
use crate::error::{Code, Problem, Result};
use crate::idempotency::{Answer, IdempotencyKey, write_once_counted};
use crate::json;
use crate::outbox;
use crate::request::{Body, IdempotencyParam, PathRef, accepts_html, client_address, hash};
use crate::text::Check;
use crate::types::Id;

/// Largest body, in bytes.
const BODY_LIMIT: usize = 16 * 1024;

/// A story to send to friends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareCreate {
    /// Who sends it.
    pub sender: ShareSender,
    /// E-mail addresses of those who get it.
    #[schema(min_items = 1, max_items = 3, example = json!(["binh@example.vn"]))]
    pub recipients: Vec<String>,
    /// A few words, as plain text without web addresses.
    #[serde(default)]
    #[schema(max_length = 500, example = "Bài này hay lắm.")]
    pub note: Option<String>,
}

/// Who sends a story.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareSender {
    /// The name, told in the mail.
    #[schema(min_length = 1, max_length = 100, example = "Nguyễn Văn An")]
    pub name: String,
    /// The e-mail address, to which answers go.
    #[schema(max_length = 254, format = "email", example = "an@example.vn")]
    pub email: String,
}

/// What became of it so far.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShareReceipt {
    /// Where it is.
    pub status: ShareStatus,
}

/// Where a story that is sent to friends is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShareStatus {
    /// It will be sent.
    Queued,
}

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(share_article).service(show_opt_out).service(opt_out);
}

/// Send a story to friends.
///
/// Queues a mail of fixed words to each of up to three recipients. The answer is the same whether a recipient has had three mails today, has opted out, or gets it. Works under the story's old slugs too.
#[utoipa::path(
    tag = "shares",
    params(("article" = String, Path, description = "The story's id or slug."), IdempotencyParam),
    request_body = ShareCreate,
    responses(
        (status = 202, description = "The mails are queued.", body = ShareReceipt),
        (status = 410, description = "The story has been withdrawn."),
        (status = 503, description = "This installation sends no mail."),
    )
)]
#[post("/articles/{article}/shares")]
async fn share_article(
    app: State,
    article: PathRef,
    idempotency: IdempotencyKey,
    body: Body,
    req: HttpRequest,
) -> Result<Answer> {
    let address = client_address(&req);
    app.limits.reads(&req)?;
    let wanted = article.clone();
    app.db.read(move |conn| live_article(conn, &wanted).map(|_| ())).await?;
    body.expect(&["application/json"], "Accept")?;
    let bytes = body.bytes(BODY_LIMIT).await?;
    let input = checked(json::parse(&bytes)?)?;
    let mail = app.mail.is_some();
    let once = idempotency.of_anyone(&hash(&bytes));
    // Counted after the checks, so that a typing error does not use up a reader's mails.
    let count = || if mail { app.limits.share(address) } else { Ok(()) };
    let answer = write_once_counted(&app, once, count, move |tx| {
        if mail {
            queue(tx, &article, &input)
        } else {
            Err(unavailable())
        }
    })
    .await?;
    app.outbox.notify_one();
    Ok(answer)
}

/// Mail does not appear by itself: an hour is the politest time there is.
fn unavailable() -> Problem {
    Problem::new(Code::MailUnavailable, "This site sends no mail: do not offer the form.").header("Retry-After", "3600")
}

/// A recipient who has opted out is counted and queued like any other, so that the answer's time tells nothing; the
/// sending drops them.
fn queue(tx: &mut Tx<'_>, article: &PathRef, input: &ShareCreate) -> Result<Answer> {
    let story = live_article(tx.conn, article)?;
    let secret = store::made_secret(tx)?;
    // In the order of the HMACs: two requests take the same rows in the same order, and one mailbox once.
    let mut recipients = BTreeMap::new();
    for recipient in &input.recipients {
        recipients.insert(store::address_hmac(&secret, &mailbox::key(recipient))?, recipient);
    }
    for (hmac, recipient) in recipients {
        if !store::count_one(tx, &hmac)? {
            continue;
        }
        let share = Share {
            article_id: story.article_id.clone(),
            sender_name: input.sender.name.clone(),
            sender_email: input.sender.email.clone(),
            recipient: recipient.clone(),
            note: input.note.clone(),
        };
        let payload = serde_json::to_string(&share).map_err(Problem::internal)?;
        outbox::queue(tx, KIND, &payload, Id::new().as_str())?;
    }
    Answer::new(
        202,
        &ShareReceipt {
            status: ShareStatus::Queued,
        },
    )
}

fn checked(input: ShareCreate) -> Result<ShareCreate> {
    let mut check = Check::new();
    let name = check.line("/sender/name", &input.sender.name, 100);
    let email = mail_address(&mut check, "/sender/email", &input.sender.email);
    if !(1..=3).contains(&input.recipients.len()) {
        check.fail("/recipients", "invalid_recipients", "Name 1 to 3 recipients.");
    }
    let recipients = input.recipients.iter().take(3).enumerate();
    let recipients = recipients
        .map(|(n, one)| mail_address(&mut check, &format!("/recipients/{n}"), one))
        .collect();
    let note = check.optional_text("/note", input.note.as_deref(), 500);
    // A name is a place for advertising as much as a note.
    for (pointer, text) in [("/note", note.as_deref().unwrap_or("")), ("/sender/name", &name)] {
        // What is longer has been refused, and takes long to look through.
        let text: String = text.chars().take(500).collect();
        if links::has_invisible(&text) {
            check.fail(
                pointer,
                "invisible_text",
                "Characters that nobody sees (text direction, zero width) are not allowed here.",
            );
        }
        if links::has_address(&text) {
            check.fail(pointer, "web_address", "Web addresses are not allowed here.");
        }
    }
    check.done()?;
    Ok(ShareCreate {
        sender: ShareSender { name, email },
        recipients,
        note,
    })
}

/// An address that mail can be sent to: what the mailer would refuse later is told now.
fn mail_address(check: &mut Check, pointer: &str, value: &str) -> String {
    let email = check.email(pointer, value);
    if crate::text::is_email(&email) && email.parse::<lettre::Address>().is_err() {
        check.fail(
            pointer,
            "invalid_email",
            "It must be an e-mail address such as name@example.vn.",
        );
    }
    email
}

/// Whose link it is, and whether they have used it.
struct Owner {
    hmac: String,
    opted_out: bool,
}

/// None when the link is not whole, or not ours.
async fn owner(app: &App, req: &HttpRequest) -> Result<Option<Owner>> {
    let token = req.match_info().query("token").to_owned();
    app.db
        .read(move |conn| {
            let Some(secret) = store::secret(conn)? else {
                return Ok(None);
            };
            let Some(hmac) = opened(&secret, &token)? else {
                return Ok(None);
            };
            let opted_out = store::opted_out(conn, vec![hmac.clone()])?;
            Ok(Some(Owner { hmac, opted_out }))
        })
        .await
}

fn page(status: StatusCode, words: &str, rest: &str) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header(("Cache-Control", "private, no-store"))
        .insert_header(("Referrer-Policy", "no-referrer"))
        .insert_header(("X-Robots-Tag", "noindex"))
        .insert_header((
            "Content-Security-Policy",
            "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ))
        .body(format!(
            "<!doctype html><html lang=\"vi\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head>\
             <body><main><h1>{title}</h1>{rest}</main></body></html>",
            title = escaped(words)
        ))
}

fn done() -> HttpResponse {
    page(
        StatusCode::OK,
        "Đã ngừng. / Done.",
        "<p>Địa chỉ của bạn sẽ không nhận thư như thế nữa. / Your address gets no more mails like that.</p>",
    )
}

/// People whose link was cut on its way are told so in words; programs get the problem.
fn lost(req: &HttpRequest) -> Result<HttpResponse> {
    if !accepts_html(req) {
        return Err(Problem::not_found("link"));
    }
    Ok(page(
        StatusCode::NOT_FOUND,
        "Liên kết này không đúng. / This link is not right.",
        "<p>Có thể nó đã bị cắt mất một phần: hãy mở cả liên kết ở cuối thư. / \
         Some of it may be missing: open the whole link at the end of the mail.</p>",
    ))
}

/// Ask before ending mails.
///
/// A page with one button; once it was pressed, a page that says so. Looking at it changes nothing.
#[utoipa::path(
    tag = "shares",
    params(("token" = String, Path, description = "The token of the link in the mail.")),
    responses(
        (status = 200, description = "The page.", content_type = "text/html", body = String),
        (status = 404, description = "The link is not right: a page for whoever accepts `text/html`.", content_type = "text/html", body = String),
    )
)]
#[get("/shares/opt-out/{token}")]
async fn show_opt_out(app: State, req: HttpRequest) -> Result<HttpResponse> {
    app.limits.reads(&req)?;
    match owner(&app, &req).await? {
        None => lost(&req),
        Some(owner) if owner.opted_out => Ok(done()),
        Some(_) => Ok(page(
            StatusCode::OK,
            "Ngừng nhận bài viết do bạn đọc gửi? / Stop getting stories that readers send?",
            "<form method=\"post\"><button>Ngừng nhận / Stop</button></form>",
        )),
    }
}

/// End mails to an address.
///
/// For ever; mail programs do it with one click (RFC 8058). The body is not looked at.
#[utoipa::path(
    tag = "shares",
    params(("token" = String, Path, description = "The token of the link in the mail.")),
    responses(
        (status = 200, description = "It is done.", content_type = "text/html", body = String),
        (status = 404, description = "The link is not right: a page for whoever accepts `text/html`.", content_type = "text/html", body = String),
    )
)]
#[post("/shares/opt-out/{token}")]
async fn opt_out(app: State, req: HttpRequest) -> Result<HttpResponse> {
    app.limits.reads(&req)?;
    let Some(owner) = owner(&app, &req).await? else {
        return lost(&req);
    };
    if !owner.opted_out {
        app.db.write(move |tx| store::opt_out(tx, &owner.hmac)).await?;
    }
    Ok(done())
}
