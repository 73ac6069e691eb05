//! Who is calling and what they may do: roles, rights, and the [`Caller`] that every management handler takes.

pub mod editors;
pub mod management;
pub mod passwords;
pub mod sessions;
pub mod tokens;

use std::future::Future;
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
use crate::request::RequestId;
use crate::schema;
use crate::types::{Id, Time};
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

/// The signed-in editor of this request. The account was looked up for this very request, so that disabling, demoting,
/// a password change and logout act on the next one.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The editor's id.
    pub id: Id,
    /// The editor's name.
    pub name: String,
    /// The editor's role as it is now.
    pub role: Role,
    /// The session the token belongs to.
    pub session_id: Id,
    /// The request's id, for the audit trail.
    pub request_id: String,
    /// Whether the caller takes over what another is editing: `Lease-Take-Over: true`.
    pub take_over: bool,
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
        Box::pin(async move {
            let app = app.ok_or_else(|| Problem::internal("no app state"))?;
            let claims = app.keys.verify(&token?, Time::now())?;
            let mut caller = app.db.read(move |conn| look_up(conn, &claims, request_id)).await?;
            caller.take_over = take_over;
            app.limits.management(&caller.id)?;
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

/// Looks the account and the session up; whatever ended either ends this request.
fn look_up(conn: &mut Conn, claims: &Claims, request_id: String) -> Result<Caller> {
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
        session_id: claims.sid.clone(),
        request_id,
        take_over: false,
    })
}
