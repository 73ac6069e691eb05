//! Keys for programs: what a key is, how people make and revoke them, how a request with one is recognized.
//!
//! A key is 256 random bits, shown once; the table has its SHA-256 only. It acts for its owner, with the owner's rights
//! of that moment, and within its scopes ([`super::scopes`]).

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, delete, get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::scopes::Scope;
use super::{Caller, Role, forbidden};
use crate::app::{App, State};
use crate::audit::{self, Actor};
use crate::db::{Conn, Tx};
use crate::error::{Problem, Result};
use crate::idempotency::Answer;
use crate::openapi::merged;
use crate::page::{Key, PageInfo, PageQuery, Start};
use crate::request::{Body, FromParams, Params, PathId, Query, hash};
use crate::schema::{api_keys, editors};
use crate::text::Check;
use crate::types::{Id, PersonRef, Time};
use crate::{keyset, page_type};

/// What every key begins with.
pub const PREFIX: &str = "ndk_";
/// Characters of a key: the prefix and 256 bits.
const LENGTH: usize = PREFIX.len() + 43;
/// Characters of a key that are kept to tell it from others: 24 of its 256 bits.
const HINT: usize = PREFIX.len() + 4;
/// Longest name of a key.
const NAME_LENGTH: usize = 100;
/// How old the time of the last use may be, in seconds: a write in each request would be too many.
const USED_SECONDS: i64 = 60;

/// A key of a program that calls the API.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApiKey {
    /// The id.
    pub id: Id,
    /// What it is for.
    #[schema(example = "Trang web")]
    pub name: String,
    /// How the key begins, to tell it from others.
    #[schema(example = "ndk_5Sx3")]
    pub hint: String,
    /// What it may be used for, within its owner's rights.
    pub scopes: Vec<Scope>,
    /// Whom it acts for.
    pub owner: PersonRef,
    /// When it ends; null when it does not by itself.
    #[schema(required = true)]
    pub expires_at: Option<Time>,
    /// When it was last used, to the minute; null when it was not.
    #[schema(required = true)]
    pub last_used_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// Always 1: a key never changes.
    #[schema(minimum = 1, example = 1)]
    pub version: i64,
}

page_type! {
    /// A page of API keys.
    ApiKeyPage of ApiKey
}

/// A new key, the only time that it is shown.
#[derive(Serialize)]
pub struct ApiKeyCreated {
    #[serde(flatten)]
    record: ApiKey,
    key: String,
}

/// The secret of a new key.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "a description: the property is sent by ApiKeyCreated")]
struct Shown {
    /// Send it as `Authorization: Bearer ndk_…`. It is shown this once and kept nowhere.
    #[schema(example = "ndk_5Sx3uGm3wJ0yN1v9Jb0Zl2q4c6T8a0e1KfHs7dPiQkE")]
    key: String,
}

impl PartialSchema for ApiKeyCreated {
    fn schema() -> RefOr<Schema> {
        merged::<ApiKey, Shown>()
    }
}

impl ToSchema for ApiKeyCreated {
    fn name() -> std::borrow::Cow<'static, str> {
        "ApiKeyCreated".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        <ApiKey as ToSchema>::schemas(schemas);
    }
}

/// A key to make.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyCreate {
    /// What it is for.
    #[schema(min_length = 1, max_length = 100, example = "Trang web")]
    pub name: String,
    /// What it may be used for.
    #[schema(min_items = 1, max_items = 50, example = json!(["articles:read"]))]
    pub scopes: Vec<Scope>,
    /// When it ends; it does not by itself without.
    #[serde(default)]
    pub expires_at: Option<Time>,
}

/// Filters of the list of keys.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ApiKeyQuery {
    /// Keys of these editors, by id.
    #[param(required = false, value_type = Vec<Id>)]
    owner: Vec<Id>,
    #[param(ignore)]
    page: PageQuery,
}

impl FromParams for ApiKeyQuery {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self {
            owner: params.ids("owner", 100)?,
            page: PageQuery::take(params)?,
        })
    }
}

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(list_api_keys)
        .service(create_api_key)
        .service(get_api_key)
        .service(revoke_api_key);
}

/// List API keys.
///
/// The own ones, newest first; admins see everybody's. A key itself is never shown again.
#[utoipa::path(
    tag = "api-keys",
    params(ApiKeyQuery, PageQuery),
    responses((status = 200, description = "A page of API keys.", body = ApiKeyPage))
)]
#[get("/api-keys")]
async fn list_api_keys(app: State, caller: Caller, query: Query<ApiKeyQuery>, req: HttpRequest) -> Result<Answer> {
    let query = query.0;
    let describe = format!("api-keys {} {:?}", caller.id, query.owner);
    let start = query.page.start(&describe, &Key::Int(0))?;
    let (data, page) = app.db.read(move |conn| list(conn, &caller, &query, &start)).await?;
    let link = page.link(&app.config.public_url, &req);
    Ok(Answer::ok(&ApiKeyPage { data, page })?.maybe_header("Link", link))
}

/// Create an API key.
///
/// It acts for you: with your rights as they are at each request, within its scopes, until it expires, is revoked, or
/// your account is closed. The answer holds the key, this once. `delivery:forward` is for admins.
#[utoipa::path(
    tag = "api-keys",
    request_body = ApiKeyCreate,
    responses((status = 201, description = "The new key.", body = ApiKeyCreated))
)]
#[post("/api-keys")]
async fn create_api_key(app: State, caller: Caller, body: Body) -> Result<Answer> {
    let new = checked(body.json::<ApiKeyCreate>().await?.value)?;
    if new.scopes.contains(&Scope::DeliveryForward) && caller.role < Role::Admin {
        return Err(forbidden("The scope delivery:forward is for keys of admins."));
    }
    let key = random_key();
    let shown = key.clone();
    let record = app.db.write(move |tx| create(tx, &caller, &new, &key)).await?;
    let location = format!("/management/v1/api-keys/{}", record.id);
    let version = record.version;
    Ok(Answer::created(location, &ApiKeyCreated { record, key: shown })?.version(version))
}

/// Get an API key.
///
/// One of the own ones; admins get everybody's.
#[utoipa::path(
    tag = "api-keys",
    params(("id" = Id, Path, description = "The API key's id.")),
    responses((status = 200, description = "The API key, without its secret.", body = ApiKey))
)]
#[get("/api-keys/{id}")]
async fn get_api_key(app: State, caller: Caller, id: PathId) -> Result<Answer> {
    let key = app.db.read(move |conn| get(conn, &caller, &id.0)).await?;
    Ok(Answer::ok(&key)?.version(key.version))
}

/// Revoke an API key.
///
/// It is dead from the next request on. One of the own ones; admins revoke everybody's.
#[utoipa::path(
    tag = "api-keys",
    params(("id" = Id, Path, description = "The API key's id.")),
    responses((status = 204, description = "It is revoked."))
)]
#[delete("/api-keys/{id}")]
async fn revoke_api_key(app: State, caller: Caller, id: PathId) -> Result<Answer> {
    app.db.write(move |tx| revoke(tx, &caller, &id.0)).await?;
    Ok(Answer::no_content())
}

fn checked(mut new: ApiKeyCreate) -> Result<ApiKeyCreate> {
    let mut check = Check::new();
    new.name = check.line("/name", &new.name, NAME_LENGTH);
    if new.scopes.is_empty() || new.scopes.len() > 50 {
        check.fail("/scopes", "invalid_scopes", "Name 1 to 50 scopes.");
    }
    if new.expires_at.is_some_and(|end| end <= Time::now()) {
        check.fail("/expires_at", "in_the_past", "A key ends in the future.");
    }
    check.done()?;
    // Each once, in one order.
    let scopes: BTreeSet<Scope> = new.scopes.into_iter().collect();
    new.scopes = scopes.into_iter().collect();
    Ok(new)
}

fn random_key() -> String {
    let mut bytes = [0u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

type Row = (Id, String, String, String, Option<Time>, Option<Time>, Time, Id, String);

const COLUMNS: (
    api_keys::id,
    api_keys::name,
    api_keys::hint,
    api_keys::scopes,
    api_keys::expires_ms,
    api_keys::used_ms,
    api_keys::created_ms,
    editors::id,
    editors::name,
) = (
    api_keys::id,
    api_keys::name,
    api_keys::hint,
    api_keys::scopes,
    api_keys::expires_ms,
    api_keys::used_ms,
    api_keys::created_ms,
    editors::id,
    editors::name,
);

fn record(row: Row) -> Result<ApiKey> {
    let (id, name, hint, scopes, expires_at, last_used_at, created_at, owner, owner_name) = row;
    Ok(ApiKey {
        id,
        name,
        hint,
        scopes: serde_json::from_str(&scopes).map_err(Problem::internal)?,
        owner: PersonRef {
            id: owner,
            name: owner_name,
        },
        expires_at,
        last_used_at,
        created_at,
        version: 1,
    })
}

/// The keys that a caller may see.
macro_rules! visible {
    ($caller:expr) => {{
        let mut rows = api_keys::table
            .inner_join(editors::table.on(editors::id.eq(api_keys::editor_id)))
            .into_boxed();
        if $caller.role < Role::Admin {
            rows = rows.filter(api_keys::editor_id.eq(&$caller.id));
        }
        rows
    }};
}

fn list(conn: &mut Conn, caller: &Caller, query: &ApiKeyQuery, start: &Start) -> Result<(Vec<ApiKey>, PageInfo)> {
    let filtered = || {
        let rows = visible!(caller);
        if query.owner.is_empty() {
            rows
        } else {
            rows.filter(api_keys::editor_id.eq_any(&query.owner))
        }
    };
    let total = match query.page.include_total {
        true => Some(filtered().count().get_result::<i64>(conn)?),
        false => None,
    };
    let rows: Vec<Row> = keyset!(filtered(), start, true, api_keys::created_ms, api_keys::id, int)
        .select(COLUMNS)
        .load(conn)?;
    let keys: Vec<ApiKey> = rows.into_iter().map(record).collect::<Result<_>>()?;
    Ok(start.finish(keys, total, |key| (Key::Int(key.created_at.ms()), key.id.to_string())))
}

fn get(conn: &mut Conn, caller: &Caller, id: &Id) -> Result<ApiKey> {
    let row: Option<Row> = visible!(caller)
        .filter(api_keys::id.eq(id))
        .select(COLUMNS)
        .first(conn)
        .optional()?;
    record(row.ok_or_else(|| Problem::not_found("API key"))?)
}

fn create(tx: &mut Tx<'_>, caller: &Caller, new: &ApiKeyCreate, key: &str) -> Result<ApiKey> {
    let id = Id::new();
    diesel::insert_into(api_keys::table)
        .values((
            api_keys::id.eq(&id),
            api_keys::hash.eq(hash(key.as_bytes())),
            api_keys::hint.eq(&key[..HINT]),
            api_keys::editor_id.eq(&caller.id),
            api_keys::name.eq(&new.name),
            api_keys::scopes.eq(serde_json::to_string(&new.scopes).map_err(Problem::internal)?),
            api_keys::expires_ms.eq(new.expires_at),
            api_keys::created_ms.eq(tx.now),
        ))
        .execute(tx.conn)?;
    let made = get(tx.conn, caller, &id)?;
    audit::record(tx, &Actor::from(caller), "api_key.create", "api_key", &id, facts(&made))?;
    Ok(made)
}

fn revoke(tx: &mut Tx<'_>, caller: &Caller, id: &Id) -> Result<()> {
    let key = get(tx.conn, caller, id)?;
    if diesel::delete(api_keys::table.find(id)).execute(tx.conn)? == 0 {
        return Err(Problem::not_found("API key"));
    }
    audit::record(tx, &Actor::from(caller), "api_key.revoke", "api_key", id, facts(&key))
}

/// What the audit trail keeps of a key.
fn facts(key: &ApiKey) -> serde_json::Value {
    json!({ "name": key.name, "scopes": key.scopes, "expires_at": key.expires_at, "owner": key.owner })
}

/// The key that a request came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRef {
    /// The key's id.
    pub id: Id,
    /// The key's name.
    pub name: String,
    /// Its scopes.
    pub scopes: Vec<Scope>,
}

/// A key in use, and whom it acts for.
#[derive(Debug, Clone)]
pub struct InUse {
    /// The key.
    pub key: KeyRef,
    /// Its owner.
    pub owner: PersonRef,
    /// The owner's role as it is now.
    pub role: Role,
    /// Whether the time of its last use has to be written.
    stale: bool,
}

impl InUse {
    /// Whether it may fetch for readers.
    pub fn forwards(&self) -> bool {
        self.key.scopes.contains(&Scope::DeliveryForward) && self.role == Role::Admin
    }
}

/// The key in the headers of a request, when there is one.
pub fn in_headers(headers: &HeaderMap) -> Option<&str> {
    in_header(headers.get(header::AUTHORIZATION)?)
}

/// The key in an `Authorization` header, when there is one.
pub fn in_header(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && token.starts_with(PREFIX)).then_some(token)
}

/// Hashes of keys that were good when they were last looked up: whoever comes with another has to wait like anybody
/// else whose requests need the database.
#[derive(Debug, Default)]
pub struct GoodKeys(Mutex<HashSet<String>>);

impl GoodKeys {
    fn set(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks a key up for this very request, so that its end, and its owner's, act on the next one. None when it is not
/// good, or not any more.
pub async fn find(app: &App, token: &str, address: IpAddr) -> Result<Option<InUse>> {
    if token.len() != LENGTH {
        return Ok(None);
    }
    let hash = hash(token.as_bytes());
    if !app.good_keys.set().contains(&hash) {
        app.limits.delivery(address)?;
    }
    let wanted = hash.clone();
    let found = app.db.read(move |conn| look_up(conn, &wanted)).await?;
    let Some(found) = found else {
        app.good_keys.set().remove(&hash);
        return Ok(None);
    };
    app.good_keys.set().insert(hash);
    if found.stale {
        note_use(app, found.key.id.clone()).await;
    }
    Ok(Some(found))
}

fn look_up(conn: &mut Conn, hash: &str) -> Result<Option<InUse>> {
    type Row = (Id, String, String, Option<Time>, Option<Time>, Id, String, String);
    let row: Option<Row> = api_keys::table
        .inner_join(editors::table.on(editors::id.eq(api_keys::editor_id)))
        .filter(api_keys::hash.eq(hash).and(editors::disabled.eq(false)))
        .select((
            api_keys::id,
            api_keys::name,
            api_keys::scopes,
            api_keys::expires_ms,
            api_keys::used_ms,
            editors::id,
            editors::name,
            editors::role,
        ))
        .first(conn)
        .optional()?;
    let now = Time::now();
    let Some((id, name, scopes, expires, used, owner, owner_name, role)) = row else {
        return Ok(None);
    };
    if expires.is_some_and(|end| end <= now) {
        return Ok(None);
    }
    Ok(Some(InUse {
        key: KeyRef {
            id,
            name,
            scopes: serde_json::from_str(&scopes).map_err(Problem::internal)?,
        },
        owner: PersonRef {
            id: owner,
            name: owner_name,
        },
        role: Role::parse(&role).ok_or_else(|| Problem::internal(format!("the role {role:?} is not known")))?,
        stale: used.is_none_or(|used| used.plus_seconds(USED_SECONDS) <= now),
    }))
}

/// Writes when a key was used. A request is not refused because this could not be written.
async fn note_use(app: &App, id: Id) {
    let noted = app
        .db
        .write(move |tx| {
            let old = api_keys::used_ms
                .is_null()
                .or(api_keys::used_ms.le(tx.now.plus_seconds(-USED_SECONDS).ms()));
            diesel::update(api_keys::table.filter(api_keys::id.eq(&id).and(old)))
                .set(api_keys::used_ms.eq(tx.now))
                .execute(tx.conn)?;
            Ok(())
        })
        .await;
    if let Err(problem) = noted {
        tracing::warn!(cause = %problem, "the last use of an API key could not be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn keys_are_long_and_never_the_same() {
        let (one, two) = (random_key(), random_key());
        assert_eq!((one.len(), two.len()), (LENGTH, LENGTH));
        assert_ne!(one, two);
    }

    #[test]
    fn a_key_is_known_by_its_prefix() {
        let mut headers = HeaderMap::new();
        let mut seen = |value: &'static str| {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            in_headers(&headers).map(str::to_owned)
        };
        assert_eq!(seen("Bearer ndk_abc").as_deref(), Some("ndk_abc"));
        assert_eq!(seen("bearer ndk_abc").as_deref(), Some("ndk_abc"));
        assert_eq!(seen("Bearer eyJ"), None);
        assert_eq!(seen("Basic ndk_abc"), None);
    }
}
