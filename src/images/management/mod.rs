//! How editors ask for images.

mod files;
mod query;

use actix_web::{HttpRequest, delete, get, patch};
use utoipa_actix_web::service_config::ServiceConfig;

use super::store::{self, record, records};
use super::{Image, ImagePage, ImagePatch};
use crate::app::State;
use crate::auth::Caller;
use crate::conditional::IfMatch;
use crate::error::Result;
use crate::idempotency::Answer;
use crate::page::{Key, PageQuery};
use crate::request::{Body, IfMatchParam, NoParams, PathId, Query};
use crate::types::Id;

pub use query::{ImageQuery, ImageSort, Orientation};

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(list_images)
        .service(files::create_image)
        .service(get_image)
        .service(update_image)
        .service(files::replace_image_file)
        .service(files::get_image_upload)
        .service(delete_image);
}

/// List images.
///
/// The whole library, newest first. Everyone in the newsroom sees every image; `used_in` holds what the caller may know.
#[utoipa::path(
    tag = "images",
    params(ImageQuery, PageQuery),
    responses((status = 200, description = "A page of images.", body = ImagePage))
)]
#[get("/images")]
async fn list_images(app: State, caller: Caller, query: Query<ImageQuery>, req: HttpRequest) -> Result<Answer> {
    let query = query.0;
    let sample = if query.sort.is_by_name() {
        Key::Text(String::new())
    } else {
        Key::Int(0)
    };
    let mut plain = query.clone();
    plain.page = PageQuery::default();
    let start = query.page.start(&format!("images {plain:?}"), &sample)?;
    let state = app.clone();
    let (data, page) = app
        .db
        .read(move |conn| {
            let (rows, page) = store::list(conn, &query, &start)?;
            Ok((records(conn, &state.config, &caller, &rows)?, page))
        })
        .await?;
    let link = page.link(&app.config.public_url, &req);
    Ok(Answer::ok(&ImagePage { data, page })?.maybe_header("Link", link))
}

/// Get an image.
///
/// With where it is used, as far as the caller may know.
#[utoipa::path(
    tag = "images",
    params(("id" = Id, Path, description = "The image's id.")),
    responses((status = 200, description = "The image.", body = Image))
)]
#[get("/images/{id}")]
async fn get_image(app: State, caller: Caller, id: PathId, _query: Query<NoParams>) -> Result<Answer> {
    let state = app.clone();
    let image = app
        .db
        .read(move |conn| {
            let row = store::get(conn, &id.0)?;
            record(conn, &state.config, &caller, &row)
        })
        .await?;
    Ok(Answer::ok(&image)?.version(image.version))
}

/// Change an image.
///
/// A merge patch (RFC 7396), also taken as `application/json`. Writers change what they uploaded and nobody uses yet.
/// A new focal point shows in published stories at once; their words are frozen and change when they are published again.
#[utoipa::path(
    tag = "images",
    params(("id" = Id, Path, description = "The image's id."), IfMatchParam),
    request_body(content = ImagePatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The image as it is now.", body = Image))
)]
#[patch("/images/{id}")]
async fn update_image(app: State, caller: Caller, id: PathId, if_match: IfMatch, body: Body) -> Result<Answer> {
    let PathId(id) = id;
    check_may_change(&app, &caller, &id).await?;
    let patch = body.patch::<ImagePatch>().await?.checked()?;
    let guard = if_match.required()?;
    let state = app.clone();
    let image = app
        .db
        .write(move |tx| {
            let row = store::update(tx, &caller, &id, &guard, patch.clone())?;
            record(tx.conn, &state.config, &caller, &row)
        })
        .await?;
    Ok(Answer::ok(&image)?.version(image.version))
}

/// Delete an image.
///
/// 409 while a caption (also of a trashed article), a published story or an author's portrait uses it. Writers delete
/// what they uploaded and nobody uses. The image leaves the library; whoever has the file's address can still load it for
/// some time (30 days, unless the installation says otherwise), then the file is removed.
#[utoipa::path(
    tag = "images",
    params(("id" = Id, Path, description = "The image's id."), IfMatchParam),
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, description = "It is in use; `used_in` says where."),
    )
)]
#[delete("/images/{id}")]
async fn delete_image(app: State, caller: Caller, id: PathId, if_match: IfMatch) -> Result<Answer> {
    let PathId(id) = id;
    check_may_change(&app, &caller, &id).await?;
    let guard = if_match.required()?;
    app.db.write(move |tx| store::delete(tx, &caller, &id, &guard)).await?;
    Ok(Answer::no_content())
}

/// 404 or 403 before the body is read.
async fn check_may_change(app: &State, caller: &Caller, id: &Id) -> Result<()> {
    let (caller, id) = (caller.clone(), id.clone());
    app.db
        .read(move |conn| store::get(conn, &id)?.check_may_change(conn, &caller))
        .await
}
