//! Tags: what a tag is, how editors ask for it, how it is kept.

use actix_web::{HttpRequest, delete, get, patch, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::store::{Kind, announce, insert, patched_slug, used_in};
use super::{NAME_LENGTH, NameQuery, check_name, refuse_if_used};
use crate::app::State;
use crate::audit::{self, Actor};
use crate::auth::{Caller, Role};
use crate::conditional::{Guard, IfMatch};
use crate::db::{Conn, Tx};
use crate::error::{Problem, Result};
use crate::idempotency::{Answer, IdempotencyKey, write_once};
use crate::page::{Key, PageInfo, PageQuery, Start};
use crate::request::{Body, IdempotencyParam, IfMatchParam, PathId, Query};
use crate::schema::tags;
use crate::text::{Check, like_pattern, sort_key};
use crate::types::{Id, Patch, Time};
use crate::{keyset, page_type};

/// A tag as editors see it.
#[derive(Debug, Clone, Serialize, Queryable, ToSchema)]
pub struct TagRecord {
    /// The id.
    pub id: Id,
    /// Unique among tags.
    #[schema(example = "nong-nghiep")]
    pub slug: String,
    /// The name readers see.
    #[schema(example = "Nông nghiệp")]
    pub name: String,
    #[serde(skip)]
    #[schema(ignore)]
    name_key: String,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Raised by every change; `ETag` is this in quotation marks.
    #[schema(minimum = 1, example = 3)]
    pub version: i64,
}

page_type! {
    /// A page of tags.
    TagRecordPage of TagRecord
}

/// A new tag.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TagCreate {
    /// The name readers see.
    #[schema(min_length = 1, max_length = 100, example = "Nông nghiệp")]
    pub name: String,
    /// Made from the name when absent.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 150, example = "nong-nghiep")]
    pub slug: Option<String>,
}

/// Changes of a tag; what is absent stays, null clears.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TagPatch {
    /// The name readers see.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 100, example = "Nông nghiệp")]
    pub name: Patch<String>,
    /// A new slug; null makes one from the name.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, min_length = 1, max_length = 150)]
    pub slug: Patch<String>,
}

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(list_tags)
        .service(create_tag)
        .service(get_tag)
        .service(update_tag)
        .service(delete_tag);
}

/// List tags.
///
/// All tags by `name`, also those no published story uses yet.
#[utoipa::path(
    tag = "tags",
    params(NameQuery, PageQuery),
    responses((status = 200, description = "A page of tags.", body = TagRecordPage))
)]
#[get("/tags")]
async fn list_tags(app: State, _caller: Caller, query: Query<NameQuery>, req: HttpRequest) -> Result<Answer> {
    let query = query.0;
    let start = query.start("tags")?;
    let public_url = app.config.public_url.clone();
    let (data, page) = app.db.read(move |conn| list(conn, &query, &start)).await?;
    let link = page.link(&public_url, &req);
    Ok(Answer::ok(&TagRecordPage { data, page })?.maybe_header("Link", link))
}

/// Create a tag.
///
/// Everyone in the newsroom may. The slug is made from the name unless one is given.
#[utoipa::path(
    tag = "tags",
    params(IdempotencyParam),
    request_body = TagCreate,
    responses(
        (status = 201, description = "The new tag.", body = TagRecord),
        (status = 409, description = "The slug is taken."),
    )
)]
#[post("/tags")]
async fn create_tag(app: State, caller: Caller, idempotency: IdempotencyKey, body: Body) -> Result<Answer> {
    let input = body.json::<TagCreate>().await?;
    let new = checked(input.value)?;
    let actor = Actor::from(&caller);
    write_once(&app, idempotency.of(caller.id.as_str(), &input.hash), move |tx| {
        let tag = create(tx, &actor, new.clone())?;
        Ok(Answer::created(format!("/management/v1/tags/{}", tag.id), &tag)?.version(tag.version))
    })
    .await
}

/// Get a tag.
///
/// Also one that no published story uses yet.
#[utoipa::path(
    tag = "tags",
    params(("id" = Id, Path, description = "The tag's id.")),
    responses((status = 200, description = "The tag.", body = TagRecord))
)]
#[get("/tags/{id}")]
async fn get_tag(app: State, _caller: Caller, id: PathId) -> Result<Answer> {
    let tag = app.db.read(move |conn| get(conn, &id.0)).await?;
    Ok(Answer::ok(&tag)?.version(tag.version))
}

/// Change a tag.
///
/// Needs the role editor. A merge patch (RFC 7396), also taken as `application/json`. A new name shows in every published story at once.
#[utoipa::path(
    tag = "tags",
    params(("id" = Id, Path, description = "The tag's id."), IfMatchParam),
    request_body(content = TagPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The tag as it is now.", body = TagRecord),
        (status = 409, description = "The slug is taken."),
    )
)]
#[patch("/tags/{id}")]
async fn update_tag(app: State, caller: Caller, id: PathId, if_match: IfMatch, body: Body) -> Result<Answer> {
    let PathId(id) = id;
    let wanted = id.clone();
    app.db.read(move |conn| get(conn, &wanted)).await?;
    caller.at_least(Role::Editor)?;
    let patch = body.patch::<TagPatch>().await?;
    let patch = checked_patch(patch)?;
    let guard = if_match.required()?;
    let actor = Actor::from(&caller);
    let tag = app
        .db
        .write(move |tx| update(tx, &actor, &id, &guard, patch.clone()))
        .await?;
    Ok(Answer::ok(&tag)?.version(tag.version))
}

/// Delete a tag.
///
/// Needs the role editor. 409 while an article, also a trashed one, uses it.
#[utoipa::path(
    tag = "tags",
    params(("id" = Id, Path, description = "The tag's id."), IfMatchParam),
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, description = "It is in use; `used_in` says where."),
    )
)]
#[delete("/tags/{id}")]
async fn delete_tag(app: State, caller: Caller, id: PathId, if_match: IfMatch) -> Result<Answer> {
    let PathId(id) = id;
    let wanted = id.clone();
    app.db.read(move |conn| get(conn, &wanted)).await?;
    caller.at_least(Role::Editor)?;
    let guard = if_match.required()?;
    let actor = Actor::from(&caller);
    app.db.write(move |tx| delete(tx, &actor, &id, &guard)).await?;
    Ok(Answer::no_content())
}

fn checked(mut new: TagCreate) -> Result<TagCreate> {
    let mut check = Check::new();
    new.name = check.line("/name", &new.name, NAME_LENGTH);
    new.slug = new.slug.map(|slug| check.slug("/slug", &slug));
    check.done()?;
    Ok(new)
}

fn checked_patch(mut patch: TagPatch) -> Result<TagPatch> {
    let mut check = Check::new();
    check_name(&mut check, &mut patch.name);
    if let Patch::Set(slug) = &patch.slug {
        check.slug("/slug", slug);
    }
    check.done()?;
    Ok(patch)
}

fn list(conn: &mut Conn, query: &NameQuery, start: &Start) -> Result<(Vec<TagRecord>, PageInfo)> {
    let filtered = || {
        let mut rows = tags::table.into_boxed();
        if let Some(q) = &query.q {
            rows = rows.filter(tags::name_key.like(like_pattern(q)).escape('\\'));
        }
        rows
    };
    let total = match query.page.include_total {
        true => Some(filtered().count().get_result::<i64>(conn)?),
        false => None,
    };
    let rows: Vec<TagRecord> =
        keyset!(filtered(), start, query.falling(), tags::name_key, tags::id, text).load(conn)?;
    Ok(start.finish(rows, total, |row| (Key::Text(row.name_key.clone()), row.id.to_string())))
}

fn get(conn: &mut Conn, id: &Id) -> Result<TagRecord> {
    let found = tags::table.find(id).first(conn).optional()?;
    found.ok_or_else(|| Problem::not_found("tag"))
}

/// Makes a tag.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: TagCreate) -> Result<TagRecord> {
    let id = insert(tx, Kind::Tag, &new.name, new.slug.as_deref())?;
    let tag = get(tx.conn, &id)?;
    audit::record(tx, actor, "tag.create", "tag", &id, json!({ "name": tag.name }))?;
    Ok(tag)
}

/// Takes the row's lock and its next version: from here to the end of the transaction nobody else writes it.
fn claim(tx: &mut Tx<'_>, id: &Id, guard: &Guard) -> Result<TagRecord> {
    let claimed: Option<TagRecord> = diesel::update(tags::table.find(id))
        .set((tags::version.eq(tags::version + 1), tags::updated_ms.eq(tx.now)))
        .returning(tags::all_columns)
        .get_result(tx.conn)
        .optional()?;
    let tag = claimed.ok_or_else(|| Problem::not_found("tag"))?;
    guard.check(tag.version - 1)?;
    Ok(tag)
}

fn update(tx: &mut Tx<'_>, actor: &Actor, id: &Id, guard: &Guard, patch: TagPatch) -> Result<TagRecord> {
    let mut tag = claim(tx, id, guard)?;
    let before = tag.clone();
    if let Patch::Set(name) = patch.name {
        tag.name_key = sort_key(&name);
        tag.name = name;
    }
    tag.slug = patched_slug(tx, Kind::Tag, &tag.name, patch.slug, tag.slug)?;
    diesel::update(tags::table.find(id))
        .set((
            tags::slug.eq(&tag.slug),
            tags::name.eq(&tag.name),
            tags::name_key.eq(&tag.name_key),
        ))
        .execute(tx.conn)?;
    announce(tx, Kind::Tag, id)?;
    let data = json!({ "before": { "name": before.name, "slug": before.slug }, "after": { "name": tag.name, "slug": tag.slug } });
    audit::record(tx, actor, "tag.update", "tag", id, data)?;
    Ok(tag)
}

fn delete(tx: &mut Tx<'_>, actor: &Actor, id: &Id, guard: &Guard) -> Result<()> {
    let tag = claim(tx, id, guard)?;
    refuse_if_used("tag", used_in(tx.conn, Kind::Tag, id)?)?;
    diesel::delete(tags::table.find(id)).execute(tx.conn)?;
    let data = json!({ "name": tag.name, "slug": tag.slug });
    audit::record(tx, actor, "tag.delete", "tag", id, data)
}
