//! Who is calling and what they may do: roles, rights, and the [`Caller`] that every management handler takes.

pub mod api_keys;
pub mod editors;
pub mod links;
pub mod management;
pub mod passwords;
pub mod scopes;
pub mod sessions;
pub mod tokens;
pub mod totp;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::db::Conn;
use crate::error::{Code, Problem, Result};
use crate::request::{RequestId, client_address};
use crate::schema;
use crate::types::{Id, Time};
use api_keys::KeyRef;
use scopes::Scope;
use tokens::Claims;

/// What an account may do. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Writes own articles.
    Writer,
    /// Does everything with content.
    Editor,
    /// Also runs the place: editors, site.
    Admin,
}

impl Role {
    /// The name on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Writer, Self::Editor, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

/// What a caller showed.
#[derive(Debug, Clone)]
pub enum Via {
    /// An access token of this session.
    Session(Id),
    /// An API key.
    Key(KeyRef),
}

/// The signed-in editor of this request, or the program that acts for them. The account was looked up for this very
/// request, so that disabling, demoting, a password change, logout and revoking a key act on the next one.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The editor's id.
    pub id: Id,
    /// The editor's name.
    pub name: String,
    /// The editor's role as it is now.
    pub role: Role,
    /// What they showed.
    pub via: Via,
    /// The request's id, for the audit trail.
    pub request_id: String,
    /// Whether the caller takes over what another is editing: `Lease-Take-Over: true`.
    pub take_over: bool,
    /// The network address they call from, for the audit trail.
    pub address: String,
}

impl Caller {
    /// 403 unless the caller has at least this role.
    pub fn at_least(&self, role: Role) -> Result<()> {
        if self.role >= role {
            return Ok(());
        }
        Err(Problem::new(
            Code::Forbidden,
            format!(
                "This needs the role {}; yours is {}.",
                role.as_str(),
                self.role.as_str()
            ),
        ))
    }

    /// The caller's session; 403 for a program with an API key, which has none.
    pub fn session(&self) -> Result<&Id> {
        match &self.via {
            Via::Session(session) => Ok(session),
            Via::Key(_) => Err(forbidden("API keys cannot do this, whatever their scopes: sign in.")),
        }
    }

    /// 403 for an API key without this scope; people need none.
    pub fn needs(&self, scope: Scope) -> Result<()> {
        match &self.via {
            Via::Session(_) => Ok(()),
            Via::Key(key) => scopes::check_scope(&key.scopes, scope),
        }
    }

    /// What requests are counted by: each key by itself, a person's sessions together.
    pub fn credential(&self) -> &Id {
        match &self.via {
            Via::Session(_) => &self.id,
            Via::Key(key) => &key.id,
        }
    }

    /// Whether the caller may do everything with content.
    pub fn is_editor(&self) -> bool {
        self.role >= Role::Editor
    }
}

/// 403 for an object that the caller may see and not change.
pub fn forbidden(why: &str) -> Problem {
    Problem::new(Code::Forbidden, why)
}

fn unauthenticated(code: Code, detail: &str) -> Problem {
    let error = if code == Code::Unauthenticated {
        "Bearer realm=\"newsdesk\""
    } else {
        "Bearer realm=\"newsdesk\", error=\"invalid_token\""
    };
    Problem::new(code, detail).header("WWW-Authenticate", error)
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        if let Some(caller) = req.extensions().get::<Self>() {
            return Box::pin(std::future::ready(Ok(caller.clone())));
        }
        let app = req.app_data::<web::Data<App>>().cloned();
        let token = bearer(req);
        let take_over = req
            .headers()
            .get("lease-take-over")
            .is_some_and(|value| value == "true");
        let request_id = req
            .extensions()
            .get::<RequestId>()
            .map_or(String::new(), |id| id.0.clone());
        let address = client_address(req);
        Box::pin(async move {
            let app = app.ok_or_else(|| Problem::internal("no app state"))?;
            let token = token?;
            let mut caller = if token.starts_with(api_keys::PREFIX) {
                by_key(&app, &token, address).await?
            } else {
                let claims = app.keys.verify(&token, Time::now())?;
                app.db.look(move |conn| look_up(conn, &claims)).await?
            };
            caller.request_id = request_id;
            caller.address = address.to_string();
            caller.take_over = take_over;
            app.limits.management(caller.credential())?;
            Ok(caller)
        })
    }
}

/// The token of the `Authorization` header (RFC 6750).
fn bearer(req: &HttpRequest) -> Result<String> {
    let missing = || {
        unauthenticated(
            Code::Unauthenticated,
            "Send the access token as Authorization: Bearer ….",
        )
    };
    let mut values = req.headers().get_all(header::AUTHORIZATION);
    let value = values.next().ok_or_else(missing)?.to_str().map_err(|_| missing())?;
    let (scheme, token) = value.split_once(' ').ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() || values.next().is_some() {
        return Err(missing());
    }
    Ok(token.trim().to_owned())
}

/// The owner of a key, as its bearer may act.
async fn by_key(app: &App, token: &str, address: IpAddr) -> Result<Caller> {
    let found = api_keys::find(app, token, address).await?;
    let found = found.ok_or_else(|| {
        unauthenticated(
            Code::Unauthenticated,
            "This API key is not good: it is unknown, expired or revoked, or its owner's account is closed.",
        )
    })?;
    Ok(Caller {
        id: found.owner.id,
        name: found.owner.name,
        role: found.role,
        via: Via::Key(found.key),
        request_id: String::new(),
        address: String::new(),
        take_over: false,
    })
}

/// Looks the account and the session up; whatever ended either ends this request.
fn look_up(conn: &mut Conn, claims: &Claims) -> Result<Caller> {
    use schema::sessions;
    let row: Option<(String, String, bool, i64, Option<i64>, i64)> = sessions::table
        .inner_join(schema::editors::table.on(schema::editors::id.eq(sessions::editor_id)))
        .filter(sessions::id.eq(&claims.sid).and(schema::editors::id.eq(&claims.sub)))
        .select((
            schema::editors::name,
            schema::editors::role,
            schema::editors::disabled,
            schema::editors::auth_epoch,
            sessions::revoked_ms,
            sessions::expires_ms,
        ))
        .first(conn)
        .optional()?;
    let ended = || unauthenticated(Code::Unauthenticated, "The session has ended: sign in again.");
    let (name, role, disabled, epoch, revoked, expires) = row.ok_or_else(ended)?;
    if disabled || epoch != claims.epoch || revoked.is_some() || expires <= Time::now().ms() {
        return Err(ended());
    }
    let role = Role::parse(&role).ok_or_else(|| Problem::internal(format!("the role {role:?} is not known")))?;
    Ok(Caller {
        id: claims.sub.clone(),
        name,
        role,
        via: Via::Session(claims.sid.clone()),
        request_id: String::new(),
        address: String::new(),
        take_over: false,
    })
}
