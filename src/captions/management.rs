//! How editors ask for captions.

use std::collections::HashMap;

use actix_web::{HttpRequest, delete, get, patch, post};
use diesel::prelude::*;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::store::{self, CaptionRow, check_may_change};
use super::{Caption, caption_image};
use crate::app::State;
use crate::articles::CaptionRole;
use crate::articles::store::ArticleRow;
use crate::auth::Caller;
use crate::conditional::IfMatch;
use crate::config::Config;
use crate::db::Conn;
use crate::error::{Code, Problem, Result};
use crate::idempotency::{Answer, IdempotencyKey, write_once};
use crate::images::delivered::image_files_of;
use crate::page::{Key, PageInfo, PageQuery, Start};
use crate::request::{Body, FromParams, IdempotencyParam, IfMatchParam, Params, PathId, Query};
use crate::schema::{articles, captions};
use crate::text::Check;
use crate::types::{Id, Patch};
use crate::{keyset, page_type};

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(list_captions)
        .service(create_caption)
        .service(get_caption)
        .service(update_caption)
        .service(delete_caption);
}

page_type! {
    /// A page of captions.
    CaptionPage of Caption
}

/// A new caption: an image and its place in an article.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptionCreate {
    /// The article.
    pub article_id: Id,
    /// The image.
    pub image_id: Id,
    /// What it is for; an article has one `lead`.
    pub role: CaptionRole,
    /// Text under the image; absent or empty takes the image's caption.
    #[serde(default)]
    #[schema(max_length = 2000, example = "Nước rút, bà con dọn bùn")]
    pub text: Option<String>,
    /// Alternative text; absent or empty takes the image's.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub alt: Option<String>,
    /// Credit; absent or empty takes the image's.
    #[serde(default)]
    #[schema(max_length = 300, example = "Ảnh: TTX")]
    pub credit: Option<String>,
    /// Order among the article's captions; at the end when absent.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub position: Option<i64>,
    /// What this change is about, for colleagues; kept with the article's revision.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub note: Option<String>,
}

/// Changes of a caption; what is absent stays, null clears.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptionPatch {
    /// What it is for.
    #[serde(default)]
    #[schema(value_type = CaptionRole, required = false)]
    pub role: Patch<CaptionRole>,
    /// Text under the image; null takes the image's caption.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 2000)]
    pub text: Patch<String>,
    /// Alternative text; null takes the image's.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 1000)]
    pub alt: Patch<String>,
    /// Credit; null takes the image's.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 300)]
    pub credit: Patch<String>,
    /// Order among the article's captions.
    #[serde(default)]
    #[schema(value_type = i64, required = false, minimum = 0, maximum = 1_000_000)]
    pub position: Patch<i64>,
    /// What this change is about, for colleagues; kept with the article's revision.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 1000)]
    pub note: Patch<String>,
}

/// Filters of the list of captions.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CaptionQuery {
    /// Of this article.
    #[param(required = false, nullable = false, value_type = Id)]
    article_id: Option<Id>,
    /// Placing this image.
    #[param(required = false, nullable = false, value_type = Id)]
    image_id: Option<Id>,
    #[param(ignore)]
    page: PageQuery,
}

impl FromParams for CaptionQuery {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self {
            article_id: params.id("article_id")?,
            image_id: params.id("image_id")?,
            page: PageQuery::take(params)?,
        })
    }
}

/// List captions.
///
/// By article or by image, in their order. Writers see the captions of their own articles.
#[utoipa::path(
    tag = "captions",
    params(CaptionQuery, PageQuery),
    responses((status = 200, description = "A page of captions.", body = CaptionPage))
)]
#[get("/captions")]
async fn list_captions(app: State, caller: Caller, query: Query<CaptionQuery>, req: HttpRequest) -> Result<Answer> {
    let query = query.0;
    let start = query.page.start(
        &format!("captions {:?} {:?}", query.article_id, query.image_id),
        &Key::Int(0),
    )?;
    let state = app.clone();
    let (data, page) = app
        .db
        .read(move |conn| list(conn, &state.config, &caller, &query, &start))
        .await?;
    let link = page.link(&app.config.public_url, &req);
    Ok(Answer::ok(&CaptionPage { data, page })?.maybe_header("Link", link))
}

/// Place an image in an article.
///
/// Raises the article's version and makes a revision of it. Readers see it when the article is published again.
#[utoipa::path(
    tag = "captions",
    params(IdempotencyParam),
    request_body = CaptionCreate,
    responses(
        (status = 201, description = "The new caption.", body = Caption),
        (status = 409, description = "The article has a lead image already, or is in the trash."),
    )
)]
#[post("/captions")]
async fn create_caption(app: State, caller: Caller, idempotency: IdempotencyKey, body: Body) -> Result<Answer> {
    let input = body.json::<CaptionCreate>().await?;
    let new = checked(input.value)?;
    let (who, article) = (caller.clone(), new.article_id.clone());
    let may = app.db.read(move |conn| check_may_change(conn, &who, &article)).await;
    // The article is named in the body, so an unknown one is a fault of the body.
    may.map_err(|problem| match problem.code() {
        Code::NotFound => Problem::invalid("/article_id", "invalid_reference", "There is no such article."),
        _ => problem,
    })?;
    let once = idempotency.of(caller.id.as_str(), &input.hash);
    let state = app.clone();
    write_once(&app, once, move |tx| {
        let (row, article) = store::create(tx, &caller, &new)?;
        let caption = caption(tx.conn, &state.config, row, &article)?;
        let location = format!("/management/v1/captions/{}", caption.id);
        Ok(Answer::created(location, &caption)?.version(caption.version))
    })
    .await
}

/// Get a caption.
///
/// Of an article whose working copy the caller may see.
#[utoipa::path(
    tag = "captions",
    params(("id" = Id, Path, description = "The caption's id.")),
    responses((status = 200, description = "The caption.", body = Caption))
)]
#[get("/captions/{id}")]
async fn get_caption(app: State, caller: Caller, id: PathId) -> Result<Answer> {
    let state = app.clone();
    let caption = app
        .db
        .read(move |conn| {
            let (row, article) = store::get(conn, &caller, &id.0)?;
            caption(conn, &state.config, row, &article)
        })
        .await?;
    Ok(Answer::ok(&caption)?.version(caption.version))
}

/// Change a caption.
///
/// A merge patch (RFC 7396), also taken as `application/json`. Raises the article's version too; `If-Match` names the
/// caption's.
#[utoipa::path(
    tag = "captions",
    params(("id" = Id, Path, description = "The caption's id."), IfMatchParam),
    request_body(content = CaptionPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The caption as it is now.", body = Caption),
        (status = 409, description = "The article has a lead image already, or is in the trash."),
    )
)]
#[patch("/captions/{id}")]
async fn update_caption(app: State, caller: Caller, id: PathId, if_match: IfMatch, body: Body) -> Result<Answer> {
    let PathId(id) = id;
    check_caption(&app, &caller, &id).await?;
    let patch = checked_patch(body.patch::<CaptionPatch>().await?)?;
    let guard = if_match.required()?;
    let state = app.clone();
    app.db
        .write(move |tx| {
            let (row, article) = store::update(tx, &caller, &id, &guard, &patch)?;
            let caption = caption(tx.conn, &state.config, row, &article)?;
            Ok(Answer::ok(&caption)?.version(caption.version))
        })
        .await
}

/// Take an image out of an article.
///
/// 409 while a figure of the body points at the caption. Raises the article's version too.
#[utoipa::path(
    tag = "captions",
    params(("id" = Id, Path, description = "The caption's id."), IfMatchParam),
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, description = "A figure points at it, or the article is in the trash."),
    )
)]
#[delete("/captions/{id}")]
async fn delete_caption(app: State, caller: Caller, id: PathId, if_match: IfMatch) -> Result<Answer> {
    let PathId(id) = id;
    check_caption(&app, &caller, &id).await?;
    let guard = if_match.required()?;
    app.db.write(move |tx| store::delete(tx, &caller, &id, &guard)).await?;
    Ok(Answer::no_content())
}

async fn check_caption(app: &State, caller: &Caller, id: &Id) -> Result<()> {
    let (who, wanted) = (caller.clone(), id.clone());
    app.db
        .read(move |conn| store::get(conn, &who, &wanted)?.1.check_may_change(&who))
        .await
}

fn check_position(check: &mut Check, position: Option<i64>) {
    if position.is_some_and(|position| !(0..=1_000_000).contains(&position)) {
        check.fail(
            "/position",
            "out_of_range",
            "A position is a whole number from 0 to 1000000.",
        );
    }
}

fn checked(mut new: CaptionCreate) -> Result<CaptionCreate> {
    let mut check = Check::new();
    new.text = check.optional_text("/text", new.text.as_deref(), 2000);
    new.alt = check.optional_text("/alt", new.alt.as_deref(), 1000);
    new.credit = check.optional_line("/credit", new.credit.as_deref(), 300);
    check_position(&mut check, new.position);
    new.note = check.optional_text("/note", new.note.as_deref(), 1000);
    check.done()?;
    Ok(new)
}

fn checked_patch(mut patch: CaptionPatch) -> Result<CaptionPatch> {
    let mut check = Check::new();
    let mut text = |pointer: &str, value: &mut Patch<String>, max| {
        if let Patch::Set(given) = value {
            *value = check
                .optional_text(pointer, Some(given), max)
                .map_or(Patch::Clear, Patch::Set);
        }
    };
    text("/text", &mut patch.text, 2000);
    text("/alt", &mut patch.alt, 1000);
    text("/credit", &mut patch.credit, 300);
    text("/note", &mut patch.note, 1000);
    if patch.role == Patch::Clear {
        check.fail("/role", "required", "A caption has a role.");
    }
    match patch.position {
        Patch::Set(position) => check_position(&mut check, Some(position)),
        Patch::Clear => check.fail("/position", "required", "A caption has a position."),
        Patch::Keep => {}
    }
    check.done()?;
    Ok(patch)
}

fn caption(conn: &mut Conn, config: &Config, row: CaptionRow, article: &ArticleRow) -> Result<Caption> {
    let versions = HashMap::from([(article.id.clone(), article.version)]);
    let mut all = whole(conn, config, vec![row], &versions)?;
    all.pop().ok_or_else(|| Problem::internal("a caption went missing"))
}

fn whole(conn: &mut Conn, config: &Config, rows: Vec<CaptionRow>, versions: &HashMap<Id, i64>) -> Result<Vec<Caption>> {
    let ids: Vec<Id> = rows.iter().map(|row| row.image_id.clone()).collect();
    let files = image_files_of(conn, config, &ids)?;
    rows.into_iter()
        .map(|row| {
            Ok(Caption {
                image: caption_image(&files, &row.image_id),
                role: CaptionRole::parse(&row.role)?,
                article_version: versions.get(&row.article_id).copied().unwrap_or(1),
                id: row.id,
                article_id: row.article_id,
                image_id: row.image_id,
                position: row.position,
                text: row.text,
                alt: row.alt,
                credit: row.credit,
                created_at: row.created,
                updated_at: row.updated,
                version: row.version,
            })
        })
        .collect()
}

fn list(
    conn: &mut Conn,
    config: &Config,
    caller: &Caller,
    query: &CaptionQuery,
    start: &Start,
) -> Result<(Vec<Caption>, PageInfo)> {
    let filtered = || {
        let mut rows = captions::table.into_boxed();
        if let Some(article) = &query.article_id {
            rows = rows.filter(captions::article_id.eq(article));
        }
        if let Some(image) = &query.image_id {
            rows = rows.filter(captions::image_id.eq(image));
        }
        if !caller.is_editor() {
            let own = articles::table
                .filter(articles::owner_id.eq(&caller.id))
                .select(articles::id);
            rows = rows.filter(captions::article_id.eq_any(own));
        }
        rows
    };
    let total = match query.page.include_total {
        true => Some(filtered().count().get_result::<i64>(conn)?),
        false => None,
    };
    let rows: Vec<CaptionRow> = keyset!(filtered(), start, false, captions::position, captions::id, int).load(conn)?;
    let (rows, page) = start.finish(rows, total, |row| (Key::Int(row.position), row.id.to_string()));
    let ids: Vec<&Id> = rows.iter().map(|row| &row.article_id).collect();
    let versions: Vec<(Id, i64)> = articles::table
        .filter(articles::id.eq_any(ids))
        .select((articles::id, articles::version))
        .load(conn)?;
    Ok((whole(conn, config, rows, &versions.into_iter().collect())?, page))
}
