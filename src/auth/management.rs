//! How editors sign in and out, and what they may do with their own account.

use actix_web::http::header;
use actix_web::{HttpRequest, delete, get, post, put};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::editors::{self, Account, Editor};
use super::sessions::{self, Opened, Origin, Rotation, SessionPage};
use super::tokens::ACCESS_SECONDS;
use super::totp::{self, Second};
use super::{Caller, passwords, unauthenticated};
use crate::app::{App, State};
use crate::audit::{self, Actor};
use crate::db::Tx;
use crate::error::{Code, Problem, Result};
use crate::idempotency::Answer;
use crate::page::{Key, PageQuery};
use crate::request::{Body, PathId, Query, RequestId, client_address};
use crate::schema;
use crate::text::{Check, email_key};
use crate::types::{Id, Time};

/// Characters of a `User-Agent` that are kept.
const USER_AGENT_LENGTH: usize = 300;

/// What to sign in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginInput {
    /// The account's e-mail address.
    #[schema(format = Email, min_length = 1, max_length = 254, example = "thu.ha@example.vn")]
    pub email: String,
    /// The account's password.
    #[schema(format = Password, max_length = 1000, example = "mua xuan tren song Cau")]
    pub password: String,
    /// The code of the authenticator app, or a recovery code, for accounts with two-step sign-in.
    #[serde(default)]
    #[schema(max_length = 100, example = "492039")]
    pub totp: Option<String>,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshInput {
    /// The `refresh_token` of the last answer.
    #[schema(max_length = 1000, example = "ndr_5Sx3uGm3wJ0yN1v9Jb0Zl2q4c6T8a0e1KfHs7dPiQkE")]
    pub refresh_token: String,
}

/// What to sign out of.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogoutInput {
    /// A refresh token of the session to end, for clients whose access token has expired.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub refresh_token: Option<String>,
}

/// A change of the own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordInput {
    /// The password as it is.
    #[schema(format = Password, max_length = 1000)]
    pub current_password: String,
    /// The password to have: 15 to 128 characters of any kind, and not one that is tried first.
    #[schema(format = Password, min_length = 15, max_length = 128, example = "mua xuan tren song Cau")]
    pub new_password: String,
}

/// How an access token is sent.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub enum TokenType {
    /// As `Authorization: Bearer …` (RFC 6750).
    Bearer,
}

/// What a sign-in gives: a token for requests, one for the next token, and who it is.
#[derive(Serialize, ToSchema)]
pub struct SignedIn {
    /// Send it as `Authorization: Bearer …`.
    pub access_token: String,
    /// How the access token is sent.
    pub token_type: TokenType,
    /// How long the access token is good, in seconds.
    #[schema(minimum = 1, example = 900)]
    pub expires_in: i64,
    /// Good for one `POST /management/v1/auth/refresh`.
    #[schema(example = "ndr_5Sx3uGm3wJ0yN1v9Jb0Zl2q4c6T8a0e1KfHs7dPiQkE")]
    pub refresh_token: String,
    /// How long the refresh token is good, in seconds.
    #[schema(minimum = 0, example = 604_800)]
    pub refresh_expires_in: i64,
    /// Who has signed in.
    pub editor: Editor,
}

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(login)
        .service(refresh)
        .service(logout)
        .service(get_me)
        .service(change_password)
        .service(list_sessions)
        .service(end_other_sessions)
        .service(end_session);
}

/// Sign in.
///
/// A wrong password, an address without an account and a disabled account are answered alike. With two-step sign-in a right
/// password alone is answered `totp_required`: send it again with `totp`; each code is good once. After ten attempts for an
/// address, more are taken one a minute.
#[utoipa::path(
    tag = "auth",
    request_body = LoginInput,
    responses(
        (status = 200, description = "Signed in.", body = SignedIn),
        (status = 401, description = "`invalid_credentials`: the e-mail address or the password is wrong; `totp_required`, `totp_invalid`: the password is right, the code is missing or wrong."),
        (status = 507, description = "There is no room left to store this."),
    )
)]
#[post("/auth/login")]
async fn login(app: State, req: HttpRequest, request_id: RequestId, body: Body) -> Result<Answer> {
    let input = body.json::<LoginInput>().await?.value;
    let mut check = Check::new();
    let email = email_key(&check.line("/email", &input.email, 254));
    check_tried(&mut check, "/password", &input.password);
    check.done()?;
    app.limits.login(client_address(&req), &email)?;
    let account = app.db.read(move |conn| editors::by_email(conn, &email)).await?;
    let stored = account.as_ref().and_then(Account::stored_hash);
    let checked = app.hashing.check(&input.password, stored).await?;
    let account = match account {
        Some(account) if checked.right && !account.disabled => account,
        account => return Err(login_refused(account.as_ref(), &request_id)),
    };
    let second = Second::at_login(&app, &account, input.totp.as_deref())?;
    let better_hash = match checked.cheap {
        true => Some(app.hashing.hash(&input.password).await?),
        false => None,
    };
    let origin = origin(&req);
    let actor = actor_of(&account, &request_id, &origin.address);
    let found = account.clone();
    let opened = app
        .db
        .write(move |tx| open(tx, &actor, &found, &second, better_hash.as_deref(), &origin))
        .await?;
    let (account, opened) = opened.ok_or_else(|| login_refused(Some(&account), &request_id))?;
    signed_in(&app, &account, opened)
}

/// Refresh the tokens.
///
/// A refresh token is good for one exchange. Sent again within ten seconds, because an answer got lost or two windows
/// asked at once, it gives the same successor; later it ends the session, since somebody has copied it.
#[utoipa::path(
    tag = "auth",
    request_body = RefreshInput,
    responses(
        (status = 200, description = "New tokens.", body = SignedIn),
        (status = 401, description = "`invalid_refresh_token`: it is unknown or was used, or the session has ended."),
        (status = 507, description = "There is no room left to store this."),
    )
)]
#[post("/auth/refresh")]
async fn refresh(app: State, request_id: RequestId, body: Body, req: HttpRequest) -> Result<Answer> {
    app.limits.delivery(client_address(&req))?;
    let token = body.json::<RefreshInput>().await?.value.refresh_token;
    let looked_up = token.clone();
    let known = app.db.read(move |conn| sessions::of_token(conn, &looked_up)).await?;
    known.ok_or_else(refresh_refused)?;
    let secret = app.keys.secret().to_vec();
    let actor = Actor {
        request_id: request_id.0,
        address: client_address(&req).to_string(),
        ..Actor::system("refresh")
    };
    let rotation = app.db.write(move |tx| rotate(tx, &actor, &secret, &token)).await?;
    match rotation {
        Rotation::Renewed(account, opened) => signed_in(&app, &account, opened),
        Rotation::Reused(session) => {
            tracing::warn!(%session, "a refresh token was used twice: its session was ended");
            Err(refresh_refused())
        }
        Rotation::Refused => Err(refresh_refused()),
    }
}

/// Sign out.
///
/// Ends the session of the access token, of the refresh token, or of both; one of them is enough.
#[utoipa::path(
    tag = "auth",
    request_body(content = LogoutInput, content_type = "application/json"),
    responses(
        (status = 204, description = "The session has ended."),
        (status = 401, description = "Neither token belongs to a session that goes on."),
        (status = 507, description = "There is no room left to store this."),
    )
)]
#[post("/auth/logout")]
async fn logout(
    app: State,
    caller: Result<Caller>,
    request_id: RequestId,
    body: Body,
    req: HttpRequest,
) -> Result<Answer> {
    app.limits.delivery(client_address(&req))?;
    let (caller, refused) = match caller {
        Ok(caller) => (Some(caller), None),
        Err(problem) if problem.code().status().as_u16() == 401 => (None, Some(problem)),
        Err(problem) => return Err(problem),
    };
    let token = body.action::<LogoutInput>().await?.value.refresh_token;
    let by_token = match token {
        Some(token) => app.db.read(move |conn| sessions::of_token(conn, &token)).await?,
        None => None,
    };
    let mut ending: Vec<Id> = by_token.into_iter().collect();
    ending.extend(caller.as_ref().and_then(|caller| caller.session().ok().cloned()));
    ending.dedup();
    if ending.is_empty() {
        return Err(refused.unwrap_or_else(refresh_refused));
    }
    let address = client_address(&req).to_string();
    app.db
        .write(move |tx| {
            for session in &ending {
                log_out(tx, session, &request_id, &address)?;
            }
            Ok(())
        })
        .await?;
    Ok(Answer::no_content())
}

/// Get the own account.
///
/// The account that the access token belongs to.
#[utoipa::path(
    tag = "auth",
    responses((status = 200, description = "The account.", body = Editor))
)]
#[get("/auth/me")]
async fn get_me(app: State, caller: Caller) -> Result<Answer> {
    let editor = app
        .db
        .read(move |conn| editors::get(conn, &caller.id))
        .await?
        .editor()?;
    Ok(Answer::ok(&editor)?.version(editor.version))
}

/// Change the own password.
///
/// Ends all other sessions. This one goes on with the tokens of the answer; those it had before are no longer good.
#[utoipa::path(
    tag = "auth",
    request_body = PasswordInput,
    responses((status = 200, description = "The password is changed; go on with these tokens.", body = SignedIn))
)]
#[put("/auth/password")]
async fn change_password(app: State, caller: Caller, req: HttpRequest, body: Body) -> Result<Answer> {
    let input = body.json::<PasswordInput>().await?.value;
    let id = caller.id.clone();
    let account = app.db.read(move |conn| editors::get(conn, &id)).await?;
    let mut check = Check::new();
    check_tried(&mut check, "/current_password", &input.current_password);
    let own = [account.email.as_str(), app.config.site_name.as_str()];
    passwords::check_new(&mut check, "/new_password", &input.new_password, &own);
    check.done()?;
    app.limits.login(client_address(&req), &account.email_key)?;
    let stored = account.stored_hash();
    if !app.hashing.check(&input.current_password, stored).await?.right {
        return Err(wrong_password("/current_password"));
    }
    let hash = app.hashing.hash(&input.new_password).await?;
    let (account, opened) = app
        .db
        .write(move |tx| set_password(tx, &caller, account.auth_epoch, &hash))
        .await?;
    signed_in(&app, &account, opened)
}

/// List the own sessions.
///
/// Every device that is signed in to the own account, newest first.
#[utoipa::path(
    tag = "auth",
    params(PageQuery),
    responses((status = 200, description = "A page of sessions.", body = SessionPage))
)]
#[get("/auth/sessions")]
async fn list_sessions(app: State, caller: Caller, query: Query<PageQuery>, req: HttpRequest) -> Result<Answer> {
    let query = query.0;
    let start = query.start(&format!("sessions {}", caller.id), &Key::Int(0))?;
    let public_url = app.config.public_url.clone();
    let (data, page) = app
        .db
        .read(move |conn| sessions::list(conn, &caller.id, caller.session()?, &query, &start))
        .await?;
    let link = page.link(&public_url, &req);
    Ok(Answer::ok(&SessionPage { data, page })?.maybe_header("Link", link))
}

/// End all other sessions.
///
/// Signs every other device out of the own account at once.
#[utoipa::path(
    tag = "auth",
    responses((status = 204, description = "Only this session goes on."))
)]
#[delete("/auth/sessions")]
async fn end_other_sessions(app: State, caller: Caller) -> Result<Answer> {
    app.db
        .write(move |tx| {
            let ended = sessions::end_all(tx, &caller.id, Some(caller.session()?))?;
            let data = json!({ "sessions": ended });
            audit::record(tx, &Actor::from(&caller), "session.revoke", "editor", &caller.id, data)
        })
        .await?;
    Ok(Answer::no_content())
}

/// End a session.
///
/// Signs one device out of the own account at once; the session of the request may be the one.
#[utoipa::path(
    tag = "auth",
    params(("id" = Id, Path, description = "The session's id.")),
    responses((status = 204, description = "It has ended."))
)]
#[delete("/auth/sessions/{id}")]
async fn end_session(app: State, caller: Caller, id: PathId) -> Result<Answer> {
    let PathId(id) = id;
    app.db
        .write(move |tx| {
            if !sessions::is_own(tx.conn, &caller.id, &id)? || !sessions::end(tx, &id)? {
                return Err(Problem::not_found("session"));
            }
            audit::record(tx, &Actor::from(&caller), "session.revoke", "session", &id, json!({}))
        })
        .await?;
    Ok(Answer::no_content())
}

/// A password that is only compared: too long to be one is told before any work.
pub fn check_tried(check: &mut Check, pointer: &str, password: &str) {
    if password.chars().count() > passwords::LONGEST_TRIED {
        check.fail(
            pointer,
            "too_long",
            format!("No password has more than {} characters.", passwords::LONGEST_TRIED),
        );
    }
}

/// 422 for a password that is not the caller's.
pub fn wrong_password(pointer: &str) -> Problem {
    Problem::invalid(pointer, "wrong_password", "This is not your password.")
}

/// The one answer to every login that fails. The log tells them apart, without what was typed.
fn login_refused(account: Option<&Account>, request_id: &RequestId) -> Problem {
    let editor = account.map(|account| account.id.as_str());
    let disabled = account.map(|account| account.disabled);
    tracing::warn!(request_id = request_id.0, editor, disabled, "a login failed");
    Problem::new(
        Code::InvalidCredentials,
        "The e-mail address or the password is wrong, or the account is closed.",
    )
    .header("WWW-Authenticate", "Bearer realm=\"newsdesk\"")
}

fn refresh_refused() -> Problem {
    unauthenticated(
        Code::InvalidRefreshToken,
        "The refresh token is not good any more: sign in again.",
    )
}

fn origin(req: &HttpRequest) -> Origin {
    let user_agent = req
        .headers()
        .get(header::USER_AGENT)
        .map_or(String::new(), |value| String::from_utf8_lossy(value.as_bytes()).into());
    Origin {
        user_agent: user_agent
            .chars()
            .filter(|c| !c.is_control())
            .take(USER_AGENT_LENGTH)
            .collect(),
        address: client_address(req).to_string(),
    }
}

fn actor_of(account: &Account, request_id: &RequestId, address: &str) -> Actor {
    Actor {
        kind: "editor",
        id: Some(account.id.clone()),
        name: account.name.clone(),
        request_id: request_id.0.clone(),
        address: address.to_owned(),
    }
}

fn signed_in(app: &App, account: &Account, opened: Opened) -> Result<Answer> {
    let now = Time::now();
    Answer::ok(&SignedIn {
        access_token: app.keys.issue(&account.id, &opened.session, account.auth_epoch, now)?,
        token_type: TokenType::Bearer,
        expires_in: ACCESS_SECONDS,
        refresh_token: opened.refresh_token,
        refresh_expires_in: ((opened.ends.ms() - now.ms() + 500) / 1000).max(0),
        editor: account.editor()?,
    })
}

/// Opens a session, unless the account was closed or got another password since the password was compared.
fn open(
    tx: &mut Tx<'_>,
    actor: &Actor,
    found: &Account,
    second: &Second,
    better_hash: Option<&str>,
    origin: &Origin,
) -> Result<Option<(Account, Opened)>> {
    let unchanged = schema::editors::table
        .find(&found.id)
        .filter(schema::editors::auth_epoch.eq(found.auth_epoch))
        .filter(schema::editors::disabled.eq(false));
    // Takes the row's lock: a change of the password waits and then ends this session too.
    let account: Option<Account> = diesel::update(unchanged)
        .set(schema::editors::auth_epoch.eq(found.auth_epoch))
        .returning(schema::editors::all_columns)
        .get_result(tx.conn)
        .optional()?;
    let Some(account) = account else { return Ok(None) };
    if !second.spend(tx, &account.id)? {
        return Err(totp::refused());
    }
    if let Some(hash) = better_hash {
        diesel::update(schema::editors::table.find(&account.id))
            .set(schema::editors::password_hash.eq(hash))
            .execute(tx.conn)?;
    }
    let opened = sessions::open(tx, &account.id, origin)?;
    let data = json!({ "second_factor": second.name() });
    audit::record(tx, actor, "auth.login", "session", &opened.session, data)?;
    Ok(Some((account, opened)))
}

fn rotate(tx: &mut Tx<'_>, actor: &Actor, secret: &[u8], token: &str) -> Result<Rotation> {
    let rotation = sessions::rotate(tx, secret, token)?;
    if let Rotation::Reused(session) = &rotation {
        let data = json!({ "reason": "refresh_token_reused" });
        audit::record(tx, actor, "session.revoke", "session", session, data)?;
    }
    Ok(rotation)
}

fn log_out(tx: &mut Tx<'_>, session: &Id, request_id: &RequestId, address: &str) -> Result<()> {
    if !sessions::end(tx, session)? {
        return Ok(());
    }
    let account: Account = schema::editors::table
        .inner_join(schema::sessions::table.on(schema::sessions::editor_id.eq(schema::editors::id)))
        .filter(schema::sessions::id.eq(session))
        .select(schema::editors::all_columns)
        .first(tx.conn)?;
    let actor = actor_of(&account, request_id, address);
    audit::record(tx, &actor, "auth.logout", "session", session, json!({}))
}

/// Writes a new password, unless the account has changed since the old one was compared, and ends the other sessions.
fn set_password(tx: &mut Tx<'_>, caller: &Caller, epoch: i64, hash: &str) -> Result<(Account, Opened)> {
    let unchanged = schema::editors::table
        .find(&caller.id)
        .filter(schema::editors::auth_epoch.eq(epoch))
        .filter(schema::editors::disabled.eq(false));
    let account: Option<Account> = diesel::update(unchanged)
        .set((
            schema::editors::password_hash.eq(hash),
            schema::editors::auth_epoch.eq(schema::editors::auth_epoch + 1),
            schema::editors::updated_ms.eq(tx.now),
            schema::editors::version.eq(schema::editors::version + 1),
        ))
        .returning(schema::editors::all_columns)
        .get_result(tx.conn)
        .optional()?;
    let account = account.ok_or_else(|| wrong_password("/current_password"))?;
    let opened = sessions::renew(tx, caller.session()?)?
        .ok_or_else(|| unauthenticated(Code::Unauthenticated, "The session has ended: sign in again."))?;
    let ended = sessions::end_all(tx, &caller.id, Some(caller.session()?))?;
    let data = json!({ "sessions_ended": ended });
    audit::record(
        tx,
        &Actor::from(caller),
        "auth.password_change",
        "editor",
        &caller.id,
        data,
    )?;
    Ok((account, opened))
}
