//! How admins read the audit trail.

use actix_web::{HttpRequest, get};
use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::app::State;
use crate::auth::{Caller, Role};
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::idempotency::Answer;
use crate::page::{Key, PageInfo, PageQuery, Start};
use crate::request::{FromParams, Params, Query, invalid};
use crate::schema::audit;
use crate::types::{Id, Time};
use crate::{keyset, page_type};

/// One line: who did what to which, when and from where.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditLine {
    /// The line's id.
    pub id: Id,
    /// When it was done.
    pub at: Time,
    /// Who did it.
    pub actor: AuditActor,
    /// What was done.
    #[schema(example = "article.publish")]
    pub action: String,
    /// What it was done to.
    pub target: AuditTarget,
    /// The request it was done in; null outside of requests.
    #[schema(required = true, example = "01981d3e-5c1a-7c60-8f0e-0d7c3f0f7a11")]
    pub request_id: Option<String>,
    /// The network address the request came from; null outside of requests, and for what readers do.
    #[schema(required = true, example = "203.0.113.7")]
    pub address: Option<String>,
    /// What changed: facts that depend on the action, with `before` and `after` for access. Neither secrets nor
    /// readers' details.
    #[schema(value_type = Object, example = json!({ "before": { "role": "writer" }, "after": { "role": "editor" } }))]
    pub changes: Value,
    /// Its place in the chain; null in the second before it is sealed.
    #[schema(required = true, minimum = 1)]
    pub number: Option<i64>,
    /// SHA-256 over the line and the hash of the one before, in hexadecimal; null until it is sealed.
    #[schema(required = true)]
    pub hash: Option<String>,
}

/// Who did something.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditActor {
    /// `editor`, `api_key`, or `system` for the program itself.
    #[serde(rename = "type")]
    pub kind: ActorType,
    /// The editor's or key's id; null for the program itself.
    #[schema(required = true)]
    pub id: Option<Id>,
    /// The name at that time.
    #[schema(example = "Trần Thu Hà")]
    pub name: String,
}

/// Kinds of those who do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorType {
    /// Somebody who is signed in.
    Editor,
    /// A program with an API key.
    ApiKey,
    /// The program itself: the command line, a job.
    System,
}

const ACTOR_TYPES: &[(&str, ActorType)] = &[
    ("editor", ActorType::Editor),
    ("api_key", ActorType::ApiKey),
    ("system", ActorType::System),
];

impl ActorType {
    fn name(self) -> &'static str {
        let found = ACTOR_TYPES.iter().find(|(_, kind)| *kind == self);
        found.map_or("", |(name, _)| name)
    }
}

/// What something was done to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditTarget {
    /// What it is.
    #[serde(rename = "type")]
    #[schema(example = "article")]
    pub kind: String,
    /// Its id.
    pub id: Id,
}

page_type! {
    /// A page of the audit trail.
    AuditPage of AuditLine
}

/// Filters and order of the audit trail.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Done by one of these editors or API keys, by id.
    #[param(required = false, value_type = Vec<Id>)]
    actor: Vec<Id>,
    /// Done by one of these kinds.
    #[param(inline, required = false, value_type = Vec<ActorType>)]
    actor_type: Vec<ActorType>,
    /// One of these actions.
    #[param(required = false, example = json!(["article.publish"]))]
    action: Vec<String>,
    /// Done to one of these, by id.
    #[param(required = false, value_type = Vec<Id>)]
    target: Vec<Id>,
    /// Done to one of these kinds.
    #[param(required = false, example = json!(["article"]))]
    target_type: Vec<String>,
    /// Done after this time.
    #[param(required = false, nullable = false, value_type = Time)]
    at_after: Option<Time>,
    /// Done before this time.
    #[param(required = false, nullable = false, value_type = Time)]
    at_before: Option<Time>,
    /// The order; a dash turns it round.
    #[param(inline, required = false, example = "-at")]
    sort: Sort,
    #[param(ignore)]
    page: PageQuery,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
enum Sort {
    #[serde(rename = "at")]
    Oldest,
    #[serde(rename = "-at")]
    Newest,
}

const SORTS: &[(&str, Sort)] = &[("at", Sort::Oldest), ("-at", Sort::Newest)];

impl FromParams for AuditQuery {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self {
            actor: params.ids("actor", 100)?,
            actor_type: params.several("actor_type", ACTOR_TYPES)?,
            action: names(params, "action")?,
            target: params.ids("target", 100)?,
            target_type: names(params, "target_type")?,
            at_after: params.time("at_after")?,
            at_before: params.time("at_before")?,
            sort: params.choice("sort", SORTS)?.unwrap_or(Sort::Newest),
            page: PageQuery::take(params)?,
        })
    }
}

/// Names as actions and targets have them; one that never occurred finds nothing.
fn names(params: &mut Params, name: &str) -> Result<Vec<String>> {
    let values = params.many(name, 100)?;
    let good = |value: &String| {
        value.len() <= 100
            && value
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._".contains(&b))
    };
    if values.iter().all(good) {
        Ok(values)
    } else {
        Err(invalid(name, "takes names such as article.publish"))
    }
}

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(list_audit);
}

/// Read the audit trail.
///
/// Needs the role admin. Every write under management and every sign-in, newest first: who did what to which, when and
/// from where, and what changed of anybody's access. Lines are never changed; they are numbered and chained by hashes
/// within a second, which `newsdesk doctor` checks, and kept for two years.
#[utoipa::path(
    tag = "audit",
    params(AuditQuery, PageQuery),
    responses((status = 200, description = "A page of the audit trail.", body = AuditPage))
)]
#[get("/audit")]
async fn list_audit(app: State, caller: Caller, query: Result<Query<AuditQuery>>, req: HttpRequest) -> Result<Answer> {
    caller.at_least(Role::Admin)?;
    let query = query?.0;
    let describe = format!(
        "audit {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        query.sort,
        query.actor,
        query.actor_type,
        query.action,
        query.target,
        query.target_type,
        query.at_after,
        query.at_before
    );
    let start = query.page.start(&describe, &Key::Int(0))?;
    let public_url = app.config.public_url.clone();
    let (data, page) = app.db.read(move |conn| list(conn, &query, &start)).await?;
    let link = page.link(&public_url, &req);
    Ok(Answer::ok(&AuditPage { data, page })?.maybe_header("Link", link))
}

type Row = (
    (Id, Time, String, Option<Id>, String, String),
    (String, Id, String, String, String),
    (Option<i64>, Option<String>),
);

fn list(conn: &mut Conn, query: &AuditQuery, start: &Start) -> Result<(Vec<AuditLine>, PageInfo)> {
    let filtered = || {
        let mut rows = audit::table.into_boxed();
        if !query.actor.is_empty() {
            let actors: Vec<&str> = query.actor.iter().map(Id::as_str).collect();
            rows = rows.filter(audit::actor_id.eq_any(actors));
        }
        if !query.actor_type.is_empty() {
            let kinds: Vec<&str> = query.actor_type.iter().map(|kind| kind.name()).collect();
            rows = rows.filter(audit::actor_type.eq_any(kinds));
        }
        if !query.action.is_empty() {
            rows = rows.filter(audit::action.eq_any(&query.action));
        }
        if !query.target.is_empty() {
            rows = rows.filter(audit::target_id.eq_any(&query.target));
        }
        if !query.target_type.is_empty() {
            rows = rows.filter(audit::target_type.eq_any(&query.target_type));
        }
        if let Some(time) = query.at_after {
            rows = rows.filter(audit::at_ms.gt(time.ms()));
        }
        if let Some(time) = query.at_before {
            rows = rows.filter(audit::at_ms.lt(time.ms()));
        }
        rows
    };
    let total = match query.page.include_total {
        true => Some(filtered().count().get_result::<i64>(conn)?),
        false => None,
    };
    let newest_first = query.sort == Sort::Newest;
    let rows: Vec<Row> = keyset!(filtered(), start, newest_first, audit::at_ms, audit::id, int)
        .select((
            (
                audit::id,
                audit::at_ms,
                audit::actor_type,
                audit::actor_id,
                audit::actor_name,
                audit::action,
            ),
            (
                audit::target_type,
                audit::target_id,
                audit::request_id,
                audit::address,
                audit::data,
            ),
            (audit::chain_no, audit::hash),
        ))
        .load(conn)?;
    let lines: Vec<AuditLine> = rows.into_iter().map(line).collect::<Result<_>>()?;
    Ok(start.finish(lines, total, |line| (Key::Int(line.at.ms()), line.id.to_string())))
}

fn line(row: Row) -> Result<AuditLine> {
    let ((id, at, actor_type, actor_id, name, action), (target_type, target, request_id, address, data), sealed) = row;
    let known = ACTOR_TYPES.iter().find(|(name, _)| *name == actor_type);
    let (_, kind) = known.ok_or_else(|| Problem::internal(format!("the actor {actor_type:?} is not known")))?;
    let some = |text: String| (!text.is_empty()).then_some(text);
    Ok(AuditLine {
        id,
        at,
        actor: AuditActor {
            kind: *kind,
            id: actor_id,
            name,
        },
        action,
        target: AuditTarget {
            kind: target_type,
            id: target,
        },
        request_id: some(request_id),
        address: some(address),
        changes: serde_json::from_str(&data).map_err(Problem::internal)?,
        number: sealed.0,
        hash: sealed.1,
    })
}
