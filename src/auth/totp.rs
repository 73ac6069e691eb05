//! The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for when it is lost.
//!
//! A code is good once: the step it belongs to is kept, and only later ones are taken. The secret has to be kept as it is,
//! since codes are computed from it; recovery codes are 80 random bits and kept as SHA-256.

use actix_web::{HttpRequest, delete, post};
use diesel::prelude::*;
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;
use totp_rs::{Builder, Secret, Totp};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::editors::{self, Account};
use super::management::{check_tried, wrong_password};
use super::{Caller, Role, unauthenticated};
use crate::app::{App, State};
use crate::audit::{self, Actor};
use crate::db::Tx;
use crate::error::{Code, Problem, Result};
use crate::idempotency::Answer;
use crate::request::{Body, PathId, client_address, hash};
use crate::schema::{editors as accounts, recovery_codes};
use crate::text::Check;
use crate::types::{Id, Time};

/// Bytes of a secret (RFC 4226 recommends 160 bits).
const SECRET_BYTES: usize = 20;
/// Recovery codes that are made.
const RECOVERY_CODES: usize = 10;
/// Bytes of a recovery code.
const RECOVERY_BYTES: usize = 10;

/// The own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TotpInput {
    /// The password as it is.
    #[schema(format = Password, max_length = 1000)]
    pub password: String,
}

/// A code of the app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TotpConfirmInput {
    /// The six digits that the app shows now.
    #[schema(max_length = 100, example = "492039")]
    pub code: String,
}

/// The own password and a code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TotpDisableInput {
    /// The password as it is.
    #[schema(format = Password, max_length = 1000)]
    pub password: String,
    /// The six digits that the app shows now, or a recovery code.
    #[schema(max_length = 100, example = "492039")]
    pub code: String,
}

/// What an authenticator app needs.
#[derive(Serialize, ToSchema)]
pub struct TotpSecret {
    /// The secret in Base32, to type in.
    #[schema(example = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")]
    pub secret: String,
    /// The same as an address, to show as a QR code.
    #[schema(
        example = "otpauth://totp/newsdesk:an%40example.vn?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=newsdesk"
    )]
    pub otpauth_url: String,
}

/// Codes for when the app is lost.
#[derive(Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Each is good for one sign-in in the place of an app's code. They are shown this once.
    #[schema(example = json!(["7QK4-2MZB-LT5X-W3AE"]))]
    pub recovery_codes: Vec<String>,
}

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(start_totp)
        .service(confirm_totp)
        .service(disable_totp)
        .service(remove_totp);
}

/// Start two-step sign-in.
///
/// Gives a new secret for an authenticator app. Nothing changes until a code of the app confirms it.
#[utoipa::path(
    tag = "auth",
    request_body = TotpInput,
    responses(
        (status = 200, description = "Put this into the app, then confirm.", body = TotpSecret),
        (status = 409, description = "`totp_state`: it is on already."),
    )
)]
#[post("/auth/totp")]
async fn start_totp(app: State, caller: Caller, req: HttpRequest, body: Body) -> Result<Answer> {
    caller.session()?;
    let input = body.json::<TotpInput>().await?.value;
    let account = with_password(&app, &caller, &req, &input.password).await?;
    let mut bytes = [0u8; SECRET_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    let secret = Secret::from(bytes).to_base32();
    let otpauth_url = codes(&secret, &account.email, &app.config.site_name)?
        .to_url()
        .map_err(Problem::internal)?;
    let kept = secret.clone();
    app.db
        .write(move |tx| {
            let off = accounts::table.find(&account.id).filter(accounts::totp_on.eq(false));
            let started = diesel::update(off)
                .set((accounts::totp.eq(&kept), accounts::totp_step.eq(0)))
                .execute(tx.conn)?;
            if started == 0 {
                return Err(wrong_state("Two-step sign-in is on already: turn it off first."));
            }
            let actor = Actor::from(&caller);
            audit::record(tx, &actor, "auth.totp_start", "editor", &caller.id, json!({}))
        })
        .await?;
    Answer::ok(&TotpSecret { secret, otpauth_url })
}

/// Confirm two-step sign-in.
///
/// With a code of the app it is on from now: signing in takes a code, too. The answer holds the recovery codes, this once.
#[utoipa::path(
    tag = "auth",
    request_body = TotpConfirmInput,
    responses(
        (status = 200, description = "It is on.", body = RecoveryCodes),
        (status = 409, description = "`totp_state`: it is on already, or was not started."),
    )
)]
#[post("/auth/totp/confirm")]
async fn confirm_totp(app: State, caller: Caller, body: Body) -> Result<Answer> {
    caller.session()?;
    let input = body.json::<TotpConfirmInput>().await?.value;
    app.limits.second_factor(&caller.id)?;
    let id = caller.id.clone();
    let account = app.db.read(move |conn| editors::get(conn, &id)).await?;
    let secret = match &account.totp {
        Some(secret) if !account.totp_on => secret.clone(),
        _ => {
            return Err(wrong_state(
                "There is nothing to confirm: start two-step sign-in first.",
            ));
        }
    };
    let step = right_step(&account, &input.code, Time::now())?.ok_or_else(wrong_code)?;
    let recovery_codes = new_recovery_codes();
    let kept = recovery_codes.clone();
    app.db
        .write(move |tx| turn_on(tx, &caller, &secret, step, &kept))
        .await?;
    Answer::ok(&RecoveryCodes { recovery_codes })
}

/// End two-step sign-in.
///
/// Takes the password and a code of the app, or a recovery code.
#[utoipa::path(
    tag = "auth",
    request_body = TotpDisableInput,
    responses(
        (status = 204, description = "It is off."),
        (status = 409, description = "`totp_state`: it is not on."),
    )
)]
#[post("/auth/totp/disable")]
async fn disable_totp(app: State, caller: Caller, req: HttpRequest, body: Body) -> Result<Answer> {
    caller.session()?;
    let input = body.json::<TotpDisableInput>().await?.value;
    let account = with_password(&app, &caller, &req, &input.password).await?;
    if !account.totp_on {
        return Err(wrong_state("Two-step sign-in is not on."));
    }
    app.limits.second_factor(&caller.id)?;
    let second = Second::read(&account, &input.code, Time::now())?.ok_or_else(wrong_code)?;
    app.db
        .write(move |tx| {
            if !second.spend(tx, &account.id)? {
                return Err(wrong_code());
            }
            turn_off(tx, &account.id)?;
            let actor = Actor::from(&caller);
            audit::record(tx, &actor, "auth.totp_disable", "editor", &caller.id, switched(false))
        })
        .await?;
    Ok(Answer::no_content())
}

/// Remove an editor's second factor.
///
/// Needs the role admin, for an editor who lost the app and the recovery codes. It does not show that somebody is who they
/// say: make sure of that first.
#[utoipa::path(
    tag = "editors",
    params(("id" = Id, Path, description = "The editor's id.")),
    responses(
        (status = 204, description = "Signing in takes the password alone."),
        (status = 409, description = "`totp_state`: it is not on."),
    )
)]
#[delete("/editors/{id}/totp")]
async fn remove_totp(app: State, caller: Caller, id: PathId) -> Result<Answer> {
    caller.session()?;
    caller.at_least(Role::Admin)?;
    let PathId(id) = id;
    app.db
        .write(move |tx| {
            editors::get(tx.conn, &id)?;
            turn_off(tx, &id)?;
            let actor = Actor::from(&caller);
            audit::record(tx, &actor, "editor.totp_remove", "editor", &id, switched(false))
        })
        .await?;
    Ok(Answer::no_content())
}

fn wrong_state(detail: &str) -> Problem {
    Problem::new(Code::TotpState, detail)
}

fn wrong_code() -> Problem {
    Problem::invalid("/code", "wrong_code", "This code is not right, or was used.")
}

fn switched(on: bool) -> serde_json::Value {
    json!({ "before": { "totp_enabled": !on }, "after": { "totp_enabled": on } })
}

/// The own account, after its password was compared.
async fn with_password(app: &App, caller: &Caller, req: &HttpRequest, password: &str) -> Result<Account> {
    let mut check = Check::new();
    check_tried(&mut check, "/password", password);
    check.done()?;
    let id = caller.id.clone();
    let account = app.db.read(move |conn| editors::get(conn, &id)).await?;
    app.limits.login(client_address(req), &account.email_key)?;
    if app.hashing.check(password, account.stored_hash()).await?.right {
        Ok(account)
    } else {
        Err(wrong_password("/password"))
    }
}

fn codes(secret: &str, account: &str, issuer: &str) -> Result<Totp> {
    let secret = Secret::try_from_base32(secret).map_err(|_| Problem::internal("a kept secret is no Base32"))?;
    // A colon parts the two in the address.
    let plain = |text: &str| text.replace(':', " ");
    Builder::new()
        .with_secret(secret)
        .with_account_name(plain(account))
        .with_issuer(Some(plain(issuer)))
        .build()
        .map_err(Problem::internal)
}

/// The step of a code, when it is right: the one of now, or a neighbour. Steps that were used are not.
fn right_step(account: &Account, code: &str, now: Time) -> Result<Option<i64>> {
    let Some(secret) = &account.totp else { return Ok(None) };
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if code.len() != 6 || !code.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    let seconds = u64::try_from(now.ms() / 1000).map_err(Problem::internal)?;
    let step = codes(secret, "account", "newsdesk")?.check(&code, seconds);
    let step = step.map(i64::try_from).transpose().map_err(Problem::internal)?;
    Ok(step.filter(|step| *step > account.totp_step))
}

/// A second factor that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Second {
    /// None, and none is needed.
    NotNeeded,
    /// A code of this step.
    Step(i64),
    /// The hash of what may be a recovery code.
    Recovery(String),
}

impl Second {
    /// What a sign-in shows, after the password was right.
    pub fn at_login(app: &App, account: &Account, code: Option<&str>) -> Result<Self> {
        if !account.totp_on {
            return Ok(Self::NotNeeded);
        }
        let code = code.ok_or_else(|| {
            let detail = "The password is right; send the code of the authenticator app as totp, too.";
            unauthenticated(Code::TotpRequired, detail)
        })?;
        app.limits.second_factor(&account.id)?;
        Self::read(account, code, Time::now())?.ok_or_else(refused)
    }

    /// What the audit trail calls it; null for none.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Self::NotNeeded => None,
            Self::Step(_) => Some("app"),
            Self::Recovery(_) => Some("recovery_code"),
        }
    }

    fn read(account: &Account, code: &str, now: Time) -> Result<Option<Self>> {
        if let Some(step) = right_step(account, code, now)? {
            return Ok(Some(Self::Step(step)));
        }
        let code = plain_recovery_code(code);
        // Shorter ones, such as an app's codes, are no recovery codes and need no look.
        Ok((code.len() == RECOVERY_BYTES * 8 / 5).then(|| Self::Recovery(hash(code.as_bytes()))))
    }

    /// Uses it up; false when it was used before, or is none.
    pub fn spend(&self, tx: &mut Tx<'_>, editor: &Id) -> Result<bool> {
        let spent = match self {
            Self::NotNeeded => {
                let off = accounts::table.find(editor).filter(accounts::totp_on.eq(false));
                off.count().get_result::<i64>(tx.conn)? as usize
            }
            Self::Step(step) => {
                let earlier = accounts::table
                    .find(editor)
                    .filter(accounts::totp_on.eq(true).and(accounts::totp_step.lt(step)));
                diesel::update(earlier)
                    .set(accounts::totp_step.eq(step))
                    .execute(tx.conn)?
            }
            Self::Recovery(hash) => {
                let own = recovery_codes::table
                    .find(hash)
                    .filter(recovery_codes::editor_id.eq(editor));
                diesel::delete(own).execute(tx.conn)?
            }
        };
        Ok(spent == 1)
    }
}

/// 401 for a code that is wrong or was used.
pub fn refused() -> Problem {
    unauthenticated(
        Code::TotpInvalid,
        "The code of the authenticator app is not right, or was used: wait for the next one.",
    )
}

fn turn_on(tx: &mut Tx<'_>, caller: &Caller, secret: &str, step: i64, codes: &[String]) -> Result<()> {
    let started = accounts::table
        .find(&caller.id)
        .filter(accounts::totp_on.eq(false).and(accounts::totp.eq(secret)));
    let done = diesel::update(started)
        .set((
            accounts::totp_on.eq(true),
            accounts::totp_step.eq(step),
            accounts::updated_ms.eq(tx.now),
            accounts::version.eq(accounts::version + 1),
        ))
        .execute(tx.conn)?;
    if done == 0 {
        return Err(wrong_state("Two-step sign-in was started anew or turned on meanwhile."));
    }
    for code in codes {
        diesel::insert_into(recovery_codes::table)
            .values((
                recovery_codes::hash.eq(hash(plain_recovery_code(code).as_bytes())),
                recovery_codes::editor_id.eq(&caller.id),
            ))
            .execute(tx.conn)?;
    }
    let actor = Actor::from(caller);
    audit::record(tx, &actor, "auth.totp_enable", "editor", &caller.id, switched(true))
}

fn turn_off(tx: &mut Tx<'_>, editor: &Id) -> Result<()> {
    let on = accounts::table.find(editor).filter(accounts::totp_on.eq(true));
    let done = diesel::update(on)
        .set((
            accounts::totp_on.eq(false),
            accounts::totp.eq(None::<String>),
            accounts::totp_step.eq(0),
            accounts::updated_ms.eq(tx.now),
            accounts::version.eq(accounts::version + 1),
        ))
        .execute(tx.conn)?;
    if done == 0 {
        return Err(wrong_state("Two-step sign-in is not on."));
    }
    diesel::delete(recovery_codes::table.filter(recovery_codes::editor_id.eq(editor))).execute(tx.conn)?;
    Ok(())
}

/// Codes in groups of four letters and digits.
fn new_recovery_codes() -> Vec<String> {
    let code = || {
        let mut bytes = [0u8; RECOVERY_BYTES];
        rand::rng().fill_bytes(&mut bytes);
        let text = Secret::from(bytes).to_base32();
        let groups: Vec<&str> = [0, 4, 8, 12]
            .iter()
            .filter_map(|from| text.get(*from..from + 4))
            .collect();
        groups.join("-")
    };
    std::iter::repeat_with(code).take(RECOVERY_CODES).collect()
}

/// A recovery code as it is kept, however it was typed.
fn plain_recovery_code(code: &str) -> String {
    let kept = code.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|c| c.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238's examples.
    const RFC: &[u8; 20] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = Secret::from(*RFC).to_base32();
        let codes = codes(&secret, "an@example.vn", "Tin: tức").expect("codes");
        for (time, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(codes.generate(time).to_string(), code);
        }
        let url = codes.to_url().expect("an address");
        assert!(url.starts_with("otpauth://totp/") && url.contains(&secret), "{url}");
    }

    #[test]
    fn recovery_codes_are_read_however_they_are_typed() {
        let codes = new_recovery_codes();
        assert_eq!(codes.len(), RECOVERY_CODES);
        let distinct: std::collections::BTreeSet<_> = codes.iter().collect();
        assert_eq!(distinct.len(), codes.len());
        for code in &codes {
            let typed = code.to_lowercase().replace('-', " ");
            assert_eq!(plain_recovery_code(&typed), code.replace('-', ""));
            assert_eq!(plain_recovery_code(code).len(), RECOVERY_BYTES * 8 / 5);
        }
    }
}
