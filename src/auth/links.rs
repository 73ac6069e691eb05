//! One-time links by mail: a new password for who forgot the old one, a first one for who is invited.
//!
//! A request for a link does the same for every address: it queues a row. Whether there is such an account is looked up
//! when the mail is made, so neither the answer nor its time tells. The token is derived from the row's id with the
//! server's secret, so that a mail which is tried again is the same mail; the table has its SHA-256 only.

use actix_web::{HttpRequest, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::editors::{self, Account};
use super::sessions::keyed;
use super::{Caller, Role, passwords, sessions};
use crate::app::{App, State};
use crate::audit::{self, Actor};
use crate::db::{Conn, Tx, Value, insert_once};
use crate::error::{Code, Problem, Result};
use crate::idempotency::{Answer, IdempotencyKey, write_once};
use crate::mail::Sent;
use crate::outbox::{self, Row};
use crate::request::{Body, IdempotencyParam, PathId, RequestId, client_address, hash};
use crate::schema::{editors as accounts, one_time_tokens};
use crate::text::{Check, email_key};
use crate::types::{Id, Time};

/// The outbox's name for mails with a link to a new password.
pub const RESET: &str = "password_reset";
/// The outbox's name for mails with a link to a first password.
pub const INVITATION: &str = "invitation";

/// How long a link to a new password is good, in seconds.
const RESET_SECONDS: i64 = 3600;
/// How long an invitation is good, in seconds.
const INVITATION_SECONDS: i64 = 7 * 24 * 3600;
const PREFIX: &str = "ndo_";

/// Whose password is to be set anew.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordResetInput {
    /// The account's e-mail address.
    #[schema(format = Email, min_length = 3, max_length = 254, example = "thu.ha@example.vn")]
    pub email: String,
}

/// A one-time token, and the password to have.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordByLinkInput {
    /// The `token` of the link in the mail.
    #[schema(max_length = 200, example = "ndo_5Sx3uGm3wJ0yN1v9Jb0Zl2q4c6T8a0e1KfHs7dPiQkE")]
    pub token: String,
    /// The password to have: 15 to 128 characters of any kind, and not one that is tried first.
    #[schema(format = Password, min_length = 15, max_length = 128, example = "mua xuan tren song Cau")]
    pub password: String,
}

/// What became of a mail so far.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkReceipt {
    /// Where it is.
    pub status: LinkStatus,
}

/// Where a mail with a link is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkStatus {
    /// It will be sent, if there is somebody to send it to.
    Queued,
}

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(request_password_reset)
        .service(confirm_password_reset)
        .service(accept_invitation)
        .service(invite_editor);
}

/// Ask for a new password.
///
/// Mails a link that is good for one hour and one use, to the account with this address. The answer and its time are the
/// same whether there is such an account or not. Five times an hour for an address.
#[utoipa::path(
    tag = "auth",
    request_body = PasswordResetInput,
    responses((status = 202, description = "If there is such an account, the mail is queued.", body = LinkReceipt))
)]
#[post("/auth/password-resets")]
async fn request_password_reset(app: State, req: HttpRequest, body: Body) -> Result<Answer> {
    let input = body.json::<PasswordResetInput>().await?.value;
    let mut check = Check::new();
    let email = email_key(&check.email("/email", &input.email));
    check.done()?;
    app.limits.reset(client_address(&req), &email)?;
    refuse_without_mail(&app)?;
    let payload = serde_json::to_string(&Wanted::Reset { email_key: email }).map_err(Problem::internal)?;
    app.db
        .write(move |tx| outbox::queue(tx, RESET, &payload, Id::new().as_str()))
        .await?;
    app.outbox.notify_one();
    queued()
}

/// Set a new password by a mailed link.
///
/// The link is good once. All sessions of the account end; a second factor stays.
#[utoipa::path(
    tag = "auth",
    request_body = PasswordByLinkInput,
    responses((status = 204, description = "The password is set: sign in with it."))
)]
#[post("/auth/password-resets/confirm")]
async fn confirm_password_reset(app: State, req: HttpRequest, request_id: RequestId, body: Body) -> Result<Answer> {
    redeem(&app, &req, request_id, body, RESET).await
}

/// Accept an invitation.
///
/// Sets the first password of an account by the link that was mailed to its address. The link is good once.
#[utoipa::path(
    tag = "auth",
    request_body = PasswordByLinkInput,
    responses((status = 204, description = "The password is set: sign in with it."))
)]
#[post("/auth/invitations/accept")]
async fn accept_invitation(app: State, req: HttpRequest, request_id: RequestId, body: Body) -> Result<Answer> {
    redeem(&app, &req, request_id, body, INVITATION).await
}

/// Invite an editor again.
///
/// Needs the role admin. Mails a new link to an account that has no password yet; a link is good for seven days. The first
/// one is mailed when an account is made without a password.
#[utoipa::path(
    tag = "editors",
    params(("id" = Id, Path, description = "The editor's id."), IdempotencyParam),
    responses(
        (status = 202, description = "The mail is queued.", body = LinkReceipt),
        (status = 409, description = "`already_active`: the editor has a password, or the account is closed."),
    )
)]
#[post("/editors/{id}/invitation")]
async fn invite_editor(app: State, caller: Caller, id: PathId, idempotency: IdempotencyKey) -> Result<Answer> {
    caller.at_least(Role::Admin)?;
    let PathId(id) = id;
    let actor = Actor::from(&caller);
    let mail = app.mail.is_some();
    let once = idempotency.of(caller.id.as_str(), "");
    let answer = write_once(&app, once, move |tx| {
        let account = editors::get(tx.conn, &id)?;
        if account.role == Role::Admin.as_str() {
            caller.session()?;
        }
        if account.disabled || !account.password_hash.is_empty() {
            return Err(Problem::new(
                Code::AlreadyActive,
                "This editor has a password already, or the account is closed: an invitation would lead nowhere.",
            ));
        }
        invite(tx, &actor, &id, mail)?;
        queued()
    })
    .await?;
    app.outbox.notify_one();
    Ok(answer)
}

/// Queues the mail that invites an editor.
pub fn invite(tx: &mut Tx<'_>, actor: &Actor, editor: &Id, mail: bool) -> Result<()> {
    if !mail {
        return Err(mail_unavailable());
    }
    let wanted = Wanted::Invitation {
        editor_id: editor.clone(),
    };
    let payload = serde_json::to_string(&wanted).map_err(Problem::internal)?;
    outbox::queue(tx, INVITATION, &payload, Id::new().as_str())?;
    audit::record(tx, actor, "editor.invite", "editor", editor, json!({}))
}

fn queued() -> Result<Answer> {
    Answer::new(
        202,
        &LinkReceipt {
            status: LinkStatus::Queued,
        },
    )
}

fn refuse_without_mail(app: &App) -> Result<()> {
    match app.mail {
        Some(_) => Ok(()),
        None => Err(mail_unavailable()),
    }
}

/// Mail does not appear by itself: an hour is the politest time there is.
fn mail_unavailable() -> Problem {
    Problem::new(
        Code::MailUnavailable,
        "No mail is sent here: an admin can set passwords with PATCH /management/v1/editors/{id}.",
    )
    .header("Retry-After", "3600")
}

/// What the outbox keeps until the mail is sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    /// A new password for whoever has this address.
    Reset { email_key: String },
    /// A first password for an account.
    Invitation { editor_id: Id },
}

/// Everything a mail is made of, as it is at the time of sending.
struct Letter {
    to: String,
    name: String,
    token: String,
    site: String,
    vietnamese: bool,
}

/// Sends one queued mail; it is dropped when there is no such account, or nothing for it to do.
pub async fn send(app: &State, row: &Row) -> Result<Sent> {
    let Some(mailer) = &app.mail else {
        return Ok(Sent::Later("mail is not set up here".into()));
    };
    let secret = app.keys.secret();
    let token = keyed(
        secret,
        &[b"one-time link", row.kind.as_bytes(), row.id.as_str().as_bytes()],
    )?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(token));
    let wanted: Wanted = serde_json::from_str(&row.payload).map_err(Problem::internal)?;
    let letter = app.db.write(move |tx| letter(tx, &wanted, &token)).await?;
    let Some(letter) = letter else {
        return Ok(Sent::Accepted);
    };
    let (subject, text) = words(&app.config.admin_url, &letter, row.kind == RESET);
    Ok(mailer.send_plain(&row.id, &letter.to, subject, text).await)
}

fn letter(tx: &mut Tx<'_>, wanted: &Wanted, token: &str) -> Result<Option<Letter>> {
    let (kind, seconds, account) = match wanted {
        Wanted::Reset { email_key } => (RESET, RESET_SECONDS, editors::by_email(tx.conn, email_key)?),
        Wanted::Invitation { editor_id } => {
            let found: Option<Account> = accounts::table.find(editor_id).first(tx.conn).optional()?;
            let waiting = found.filter(|account| account.password_hash.is_empty());
            (INVITATION, INVITATION_SECONDS, waiting)
        }
    };
    let Some(account) = account.filter(|account| !account.disabled) else {
        return Ok(None);
    };
    keep(tx, kind, &account, token, tx.now.plus_seconds(seconds))?;
    let site = crate::site::current(tx.conn)?;
    Ok(Some(Letter {
        to: account.email,
        name: account.name,
        token: token.to_owned(),
        vietnamese: site.default_language() == "vi",
        site: site.name,
    }))
}

/// Keeps the token's hash and what the account was like; a mail that is tried again gives its token new time.
fn keep(tx: &mut Tx<'_>, kind: &str, account: &Account, token: &str, expires: Time) -> Result<()> {
    let hash = hash(token.as_bytes());
    let statement = "INSERT INTO one_time_tokens (hash, kind, editor_id, email_key, auth_epoch, expires_ms) \
                     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (hash) DO NOTHING";
    let values = [
        Value::Text(&hash),
        Value::Text(kind),
        Value::Text(account.id.as_str()),
        Value::Text(&account.email_key),
        Value::Int(account.auth_epoch),
        Value::Int(expires.ms()),
    ];
    if insert_once(tx.conn, statement, &values)? {
        return Ok(());
    }
    diesel::update(one_time_tokens::table.find(&hash))
        .set(one_time_tokens::expires_ms.eq(expires))
        .execute(tx.conn)?;
    Ok(())
}

/// Subject and text.
fn words(admin_url: &str, letter: &Letter, reset: bool) -> (String, String) {
    let Letter { name, site, token, .. } = letter;
    let page = if reset { "reset-password" } else { "accept-invitation" };
    let link = format!("{admin_url}/{page}?token={token}");
    let (subject, opening, closing) = match (reset, letter.vietnamese) {
        (true, true) => (
            "Đặt lại mật khẩu",
            "Ai đó, có lẽ là bạn, muốn đặt lại mật khẩu của bạn. Trong một giờ tới, hãy đặt mật khẩu mới tại đây:",
            "Nếu không phải bạn, xin bỏ qua thư này: mật khẩu vẫn như cũ.",
        ),
        (true, false) => (
            "A new password",
            "Somebody, probably you, asked for a new password of yours. Within an hour, set it here:",
            "If it was not you, ignore this mail: your password stays as it is.",
        ),
        (false, true) => (
            "Lời mời vào tòa soạn",
            "Bạn được mời vào tòa soạn. Trong bảy ngày tới, hãy chọn mật khẩu của bạn tại đây:",
            "Nếu bạn không chờ lời mời này, xin bỏ qua thư.",
        ),
        (false, false) => (
            "An invitation to the newsroom",
            "You are invited to the newsroom. Within seven days, choose your password here:",
            "If you do not expect this, ignore this mail.",
        ),
    };
    let text = format!("{name},\n\n{opening}\n\n{link}\n\n{closing}\n\n-- \n{site}\n");
    (format!("{subject} – {site}"), text)
}

/// A token that is still good.
struct Good {
    account: Account,
    token_hash: String,
    kind: &'static str,
}

/// Sets a password by a link.
async fn redeem(
    app: &State,
    req: &HttpRequest,
    request_id: RequestId,
    body: Body,
    kind: &'static str,
) -> Result<Answer> {
    let input = body.json::<PasswordByLinkInput>().await?.value;
    let token_hash = hash(input.token.as_bytes());
    let address = client_address(req);
    app.limits.login(address, &token_hash)?;
    let wanted = token_hash.clone();
    let account = app.db.read(move |conn| look_up(conn, &wanted, kind)).await?;
    let account = account.ok_or_else(bad_link)?;
    let mut check = Check::new();
    let own = [account.email.as_str(), app.config.site_name.as_str()];
    passwords::check_new(&mut check, "/password", &input.password, &own);
    check.done()?;
    let password_hash = app.hashing.hash(&input.password).await?;
    let actor = Actor {
        kind: "editor",
        id: Some(account.id.clone()),
        name: account.name.clone(),
        request_id: request_id.0,
        address: address.to_string(),
    };
    let good = Good {
        account,
        token_hash,
        kind,
    };
    app.db.write(move |tx| set(tx, &actor, &good, &password_hash)).await?;
    Ok(Answer::no_content())
}

fn bad_link() -> Problem {
    Problem::invalid(
        "/token",
        "invalid_token",
        "This link is not good, or not any more: ask for a new one.",
    )
}

/// The account of a token that is still good: unused, in time, and nothing it vouched for has changed since.
fn look_up(conn: &mut Conn, token_hash: &str, kind: &str) -> Result<Option<Account>> {
    Ok(accounts::table
        .inner_join(one_time_tokens::table.on(one_time_tokens::editor_id.eq(accounts::id)))
        .filter(one_time_tokens::hash.eq(token_hash).and(one_time_tokens::kind.eq(kind)))
        .filter(one_time_tokens::used_ms.is_null())
        .filter(one_time_tokens::expires_ms.gt(Time::now().ms()))
        .filter(one_time_tokens::auth_epoch.eq(accounts::auth_epoch))
        .filter(one_time_tokens::email_key.eq(accounts::email_key))
        .filter(accounts::disabled.eq(false))
        .select(accounts::all_columns)
        .first(conn)
        .optional()?)
}

/// Writes the password, unless the token was used or the account has changed since it was looked up.
fn set(tx: &mut Tx<'_>, actor: &Actor, good: &Good, password_hash: &str) -> Result<()> {
    let unused = one_time_tokens::table
        .filter(one_time_tokens::hash.eq(&good.token_hash))
        .filter(one_time_tokens::used_ms.is_null());
    let used = diesel::update(unused)
        .set(one_time_tokens::used_ms.eq(tx.now))
        .execute(tx.conn)?;
    let Account {
        id,
        auth_epoch,
        email_key,
        ..
    } = &good.account;
    let unchanged = accounts::table
        .find(id)
        .filter(accounts::auth_epoch.eq(auth_epoch))
        .filter(accounts::email_key.eq(email_key))
        .filter(accounts::disabled.eq(false));
    let set = diesel::update(unchanged)
        .set((
            accounts::password_hash.eq(password_hash),
            // Every other link dies with the epoch.
            accounts::auth_epoch.eq(accounts::auth_epoch + 1),
            accounts::updated_ms.eq(tx.now),
            accounts::version.eq(accounts::version + 1),
        ))
        .execute(tx.conn)?;
    if used + set < 2 {
        return Err(bad_link());
    }
    let ended = sessions::end_all(tx, id, None)?;
    let action = match good.kind {
        RESET => "auth.password_reset",
        _ => "auth.invitation_accept",
    };
    audit::record(tx, actor, action, "editor", id, json!({ "sessions_ended": ended }))
}

/// Removes tokens whose time is over.
pub fn forget_expired(tx: &mut Tx<'_>) -> Result<()> {
    diesel::delete(one_time_tokens::table.filter(one_time_tokens::expires_ms.lt(tx.now.ms()))).execute(tx.conn)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_leads_to_its_page() {
        let letter = |vietnamese| Letter {
            to: "an@example.vn".into(),
            name: "An".into(),
            token: "ndo_x".into(),
            site: "Tin".into(),
            vietnamese,
        };
        for vietnamese in [true, false] {
            let (subject, text) = words("https://desk.vn", &letter(vietnamese), true);
            assert!(subject.ends_with("– Tin") && text.contains("\nhttps://desk.vn/reset-password?token=ndo_x\n"));
            let (other, text) = words("https://desk.vn", &letter(vietnamese), false);
            assert!(other != subject && text.contains("\nhttps://desk.vn/accept-invitation?token=ndo_x\n"));
        }
    }
}
