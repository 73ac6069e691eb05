//! Authors: what an author is, how editors ask for it, how it is kept.

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
use crate::schema::authors;
use crate::text::{Check, like_pattern, sort_key};
use crate::types::{Id, Patch, Time};
use crate::{keyset, page_type};

/// An author as editors see it.
#[derive(Debug, Clone, Serialize, Queryable, ToSchema)]
pub struct AuthorRecord {
    /// The id.
    pub id: Id,
    /// Unique among authors.
    #[schema(example = "minh-chau")]
    pub slug: String,
    /// The name readers see.
    #[schema(example = "Minh Châu")]
    pub name: String,
    #[serde(skip)]
    #[schema(ignore)]
    name_key: String,
    /// What the author does in the newsroom.
    #[schema(required = true, example = "Phóng viên")]
    pub role: Option<String>,
    /// A few words about the author.
    #[schema(required = true)]
    pub bio: Option<String>,
    /// The author's picture in the image library.
    #[schema(required = true)]
    pub image_id: Option<Id>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Raised by every change; `ETag` is this in quotation marks.
    #[schema(minimum = 1, example = 3)]
    pub version: i64,
}

page_type! {
    /// A page of authors.
    AuthorRecordPage of AuthorRecord
}

/// A new author.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorCreate {
    /// The name readers see.
    #[schema(min_length = 1, max_length = 100, example = "Minh Châu")]
    pub name: String,
    /// Made from the name when absent.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 150, example = "minh-chau")]
    pub slug: Option<String>,
    /// What the author does in the newsroom.
    #[serde(default)]
    #[schema(max_length = 100, example = "Phóng viên")]
    pub role: Option<String>,
    /// A few words about the author.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub bio: Option<String>,
    /// The author's picture, an image of the library.
    #[serde(default)]
    pub image_id: Option<Id>,
}

/// Changes of an author; what is absent stays, null clears.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorPatch {
    /// The name readers see.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 100, example = "Minh Châu")]
    pub name: Patch<String>,
    /// A new slug; null makes one from the name.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, min_length = 1, max_length = 150)]
    pub slug: Patch<String>,
    /// What the author does in the newsroom.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 100, example = "Phóng viên")]
    pub role: Patch<String>,
    /// A few words about the author.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 2000)]
    pub bio: Patch<String>,
    /// The author's picture, an image of the library.
    #[serde(default)]
    #[schema(value_type = Option<Id>, required = false)]
    pub image_id: Patch<Id>,
}

/// Longest role, in characters.
const ROLE_LENGTH: usize = 100;
/// Longest bio, in characters.
const BIO_LENGTH: usize = 2000;

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(list_authors)
        .service(create_author)
        .service(get_author)
        .service(update_author)
        .service(delete_author);
}

/// List authors.
///
/// All authors by `name`, also those no published story uses yet.
#[utoipa::path(
    tag = "authors",
    params(NameQuery, PageQuery),
    responses((status = 200, description = "A page of authors.", body = AuthorRecordPage))
)]
#[get("/authors")]
async fn list_authors(app: State, _caller: Caller, query: Query<NameQuery>, req: HttpRequest) -> Result<Answer> {
    let query = query.0;
    let start = query.start("authors")?;
    let public_url = app.config.public_url.clone();
    let (data, page) = app.db.read(move |conn| list(conn, &query, &start)).await?;
    let link = page.link(&public_url, &req);
    Ok(Answer::ok(&AuthorRecordPage { data, page })?.maybe_header("Link", link))
}

/// Create an author.
///
/// Needs the role editor. The slug is made from the name unless one is given.
#[utoipa::path(
    tag = "authors",
    params(IdempotencyParam),
    request_body = AuthorCreate,
    responses(
        (status = 201, description = "The new author.", body = AuthorRecord),
        (status = 409, description = "The slug is taken."),
    )
)]
#[post("/authors")]
async fn create_author(app: State, caller: Caller, idempotency: IdempotencyKey, body: Body) -> Result<Answer> {
    caller.at_least(Role::Editor)?;
    let input = body.json::<AuthorCreate>().await?;
    let new = checked(input.value)?;
    let actor = Actor::from(&caller);
    write_once(&app, idempotency.of(caller.id.as_str(), &input.hash), move |tx| {
        let author = create(tx, &actor, new.clone())?;
        Ok(Answer::created(format!("/management/v1/authors/{}", author.id), &author)?.version(author.version))
    })
    .await
}

/// Get an author.
///
/// Also one that no published story uses yet.
#[utoipa::path(
    tag = "authors",
    params(("id" = Id, Path, description = "The author's id.")),
    responses((status = 200, description = "The author.", body = AuthorRecord))
)]
#[get("/authors/{id}")]
async fn get_author(app: State, _caller: Caller, id: PathId) -> Result<Answer> {
    let author = app.db.read(move |conn| get(conn, &id.0)).await?;
    Ok(Answer::ok(&author)?.version(author.version))
}

/// Change an author.
///
/// Needs the role editor. A merge patch (RFC 7396), also taken as `application/json`. A new name shows in every published story at once.
#[utoipa::path(
    tag = "authors",
    params(("id" = Id, Path, description = "The author's id."), IfMatchParam),
    request_body(content = AuthorPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The author as it is now.", body = AuthorRecord),
        (status = 409, description = "The slug is taken."),
    )
)]
#[patch("/authors/{id}")]
async fn update_author(app: State, caller: Caller, id: PathId, if_match: IfMatch, body: Body) -> Result<Answer> {
    let PathId(id) = id;
    let wanted = id.clone();
    app.db.read(move |conn| get(conn, &wanted)).await?;
    caller.at_least(Role::Editor)?;
    let patch = body.patch::<AuthorPatch>().await?;
    let patch = checked_patch(patch)?;
    let guard = if_match.required()?;
    let actor = Actor::from(&caller);
    let author = app
        .db
        .write(move |tx| update(tx, &actor, &id, &guard, patch.clone()))
        .await?;
    Ok(Answer::ok(&author)?.version(author.version))
}

/// Delete an author.
///
/// Needs the role editor. 409 while an article, also a trashed one, uses it.
#[utoipa::path(
    tag = "authors",
    params(("id" = Id, Path, description = "The author's id."), IfMatchParam),
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, description = "It is in use; `used_in` says where."),
    )
)]
#[delete("/authors/{id}")]
async fn delete_author(app: State, caller: Caller, id: PathId, if_match: IfMatch) -> Result<Answer> {
    let PathId(id) = id;
    let wanted = id.clone();
    app.db.read(move |conn| get(conn, &wanted)).await?;
    caller.at_least(Role::Editor)?;
    let guard = if_match.required()?;
    let actor = Actor::from(&caller);
    app.db.write(move |tx| delete(tx, &actor, &id, &guard)).await?;
    Ok(Answer::no_content())
}

fn checked(mut new: AuthorCreate) -> Result<AuthorCreate> {
    let mut check = Check::new();
    new.name = check.line("/name", &new.name, NAME_LENGTH);
    new.slug = new.slug.map(|slug| check.slug("/slug", &slug));
    new.role = check.optional_line("/role", new.role.as_deref(), ROLE_LENGTH);
    new.bio = check.optional_text("/bio", new.bio.as_deref(), BIO_LENGTH);
    check.done()?;
    Ok(new)
}

fn checked_patch(mut patch: AuthorPatch) -> Result<AuthorPatch> {
    let mut check = Check::new();
    check_name(&mut check, &mut patch.name);
    if let Patch::Set(slug) = &patch.slug {
        check.slug("/slug", slug);
    }
    patch.role = patch
        .role
        .map(|text| check.optional_line("/role", Some(&text), ROLE_LENGTH));
    patch.bio = patch
        .bio
        .map(|text| check.optional_text("/bio", Some(&text), BIO_LENGTH));
    check.done()?;
    Ok(patch)
}

fn list(conn: &mut Conn, query: &NameQuery, start: &Start) -> Result<(Vec<AuthorRecord>, PageInfo)> {
    let filtered = || {
        let mut rows = authors::table.into_boxed();
        if let Some(q) = &query.q {
            rows = rows.filter(authors::name_key.like(like_pattern(q)).escape('\\'));
        }
        rows
    };
    let total = match query.page.include_total {
        true => Some(filtered().count().get_result::<i64>(conn)?),
        false => None,
    };
    let rows: Vec<AuthorRecord> =
        keyset!(filtered(), start, query.falling(), authors::name_key, authors::id, text).load(conn)?;
    Ok(start.finish(rows, total, |row| (Key::Text(row.name_key.clone()), row.id.to_string())))
}

fn get(conn: &mut Conn, id: &Id) -> Result<AuthorRecord> {
    let found = authors::table.find(id).first(conn).optional()?;
    found.ok_or_else(|| Problem::not_found("author"))
}

/// A picture is an image of the library that is not deleted, and is not while this transaction runs.
fn check_image(tx: &mut Tx<'_>, image: &Id) -> Result<()> {
    if crate::images::store::hold(tx, image)? {
        return Ok(());
    }
    Err(Problem::invalid(
        "/image_id",
        "invalid_reference",
        "There is no such image.",
    ))
}

/// Makes an author.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: AuthorCreate) -> Result<AuthorRecord> {
    if let Some(image) = &new.image_id {
        check_image(tx, image)?;
    }
    let id = insert(tx, Kind::Author, &new.name, new.slug.as_deref())?;
    let author: AuthorRecord = diesel::update(authors::table.find(&id))
        .set((
            authors::role.eq(&new.role),
            authors::bio.eq(&new.bio),
            authors::image_id.eq(&new.image_id),
        ))
        .returning(authors::all_columns)
        .get_result(tx.conn)?;
    audit::record(
        tx,
        actor,
        "author.create",
        "author",
        &id,
        json!({ "name": author.name }),
    )?;
    Ok(author)
}

/// Takes the row's lock and its next version: from here to the end of the transaction nobody else writes it.
fn claim(tx: &mut Tx<'_>, id: &Id, guard: &Guard) -> Result<AuthorRecord> {
    let claimed: Option<AuthorRecord> = diesel::update(authors::table.find(id))
        .set((
            authors::version.eq(authors::version + 1),
            authors::updated_ms.eq(tx.now),
        ))
        .returning(authors::all_columns)
        .get_result(tx.conn)
        .optional()?;
    let author = claimed.ok_or_else(|| Problem::not_found("author"))?;
    guard.check(author.version - 1)?;
    Ok(author)
}

fn update(tx: &mut Tx<'_>, actor: &Actor, id: &Id, guard: &Guard, patch: AuthorPatch) -> Result<AuthorRecord> {
    let mut author = claim(tx, id, guard)?;
    let before = author.clone();
    if let Patch::Set(image) = &patch.image_id {
        check_image(tx, image)?;
    }
    if let Patch::Set(name) = patch.name {
        author.name_key = sort_key(&name);
        author.name = name;
    }
    author.slug = patched_slug(tx, Kind::Author, &author.name, patch.slug, author.slug)?;
    patch.role.apply(&mut author.role);
    patch.bio.apply(&mut author.bio);
    patch.image_id.apply(&mut author.image_id);
    diesel::update(authors::table.find(id))
        .set((
            authors::slug.eq(&author.slug),
            authors::name.eq(&author.name),
            authors::name_key.eq(&author.name_key),
            authors::role.eq(&author.role),
            authors::bio.eq(&author.bio),
            authors::image_id.eq(&author.image_id),
        ))
        .execute(tx.conn)?;
    announce(tx, Kind::Author, id)?;
    let data = json!({ "before": { "name": before.name, "slug": before.slug }, "after": { "name": author.name, "slug": author.slug } });
    audit::record(tx, actor, "author.update", "author", id, data)?;
    Ok(author)
}

fn delete(tx: &mut Tx<'_>, actor: &Actor, id: &Id, guard: &Guard) -> Result<()> {
    let author = claim(tx, id, guard)?;
    refuse_if_used("author", used_in(tx.conn, Kind::Author, id)?)?;
    diesel::delete(authors::table.find(id)).execute(tx.conn)?;
    let data = json!({ "name": author.name, "slug": author.slug });
    audit::record(tx, actor, "author.delete", "author", id, data)
}
