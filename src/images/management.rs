//! How editors ask for images.

use std::fmt;

use actix_web::{HttpRequest, delete, get, patch, post};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::delivered::FocalPoint;
use super::store::{self, NewImage, record, records};
use super::upload::{self, Upload};
use super::{Image, ImagePage, ImagePatch, ImageRightsInput};
use crate::app::State;
use crate::audit::Actor;
use crate::auth::Caller;
use crate::conditional::IfMatch;
use crate::error::{Code, Problem, Result};
use crate::idempotency::{Answer, IdempotencyKey, Once, write_once};
use crate::media::{Binary, new_key};
use crate::page::{Key, PageQuery};
use crate::request::{Body, FromParams, IdempotencyParam, IfMatchParam, NoParams, Params, PathId, Query};
use crate::types::Id;

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(list_images)
        .service(create_image)
        .service(get_image)
        .service(update_image)
        .service(delete_image);
}

/// The kinds of picture that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum ImageMediaType {
    /// JPEG.
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// PNG.
    #[serde(rename = "image/png")]
    Png,
    /// WebP.
    #[serde(rename = "image/webp")]
    Webp,
    /// GIF.
    #[serde(rename = "image/gif")]
    Gif,
    /// AVIF.
    #[serde(rename = "image/avif")]
    Avif,
}

const MEDIA_TYPES: &[(&str, ImageMediaType)] = &[
    ("image/jpeg", ImageMediaType::Jpeg),
    ("image/png", ImageMediaType::Png),
    ("image/webp", ImageMediaType::Webp),
    ("image/gif", ImageMediaType::Gif),
    ("image/avif", ImageMediaType::Avif),
];

impl ImageMediaType {
    /// The media type.
    pub fn as_str(self) -> &'static str {
        MEDIA_TYPES
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(text, _)| *text)
    }
}

/// The orders of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum ImageSort {
    /// Oldest first.
    #[serde(rename = "created_at")]
    Created,
    /// Newest first.
    #[serde(rename = "-created_at")]
    CreatedDown,
    /// By name.
    #[serde(rename = "filename")]
    Filename,
    /// By name, from the end.
    #[serde(rename = "-filename")]
    FilenameDown,
}

impl ImageSort {
    /// Whether the sort key is text.
    pub fn is_by_name(self) -> bool {
        matches!(self, Self::Filename | Self::FilenameDown)
    }
}

const SORTS: &[(&str, ImageSort)] = &[
    ("-created_at", ImageSort::CreatedDown),
    ("created_at", ImageSort::Created),
    ("filename", ImageSort::Filename),
    ("-filename", ImageSort::FilenameDown),
];

/// Filters and order of the list of images.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImageQuery {
    /// Part of the file name, the alternative text, the credit or the caption, with or without accents.
    #[param(required = false, nullable = false, value_type = String, max_length = 200)]
    pub q: Option<String>,
    /// Any of these types.
    #[param(inline, required = false, example = json!(["image/jpeg"]))]
    pub media_type: Vec<ImageMediaType>,
    /// `true`: what no caption, no published story and no author's portrait uses; `false`: the rest.
    #[param(required = false, nullable = false, value_type = bool)]
    pub unused: Option<bool>,
    /// Who uploaded it, by id.
    #[param(required = false, nullable = false, value_type = Id)]
    pub uploader: Option<Id>,
    /// The order; a dash turns it round.
    #[param(inline, required = false, example = "-created_at")]
    pub sort: ImageSort,
    /// The page.
    #[param(ignore)]
    pub page: PageQuery,
}

impl FromParams for ImageQuery {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self {
            q: params.words("q")?,
            media_type: params.several("media_type", MEDIA_TYPES)?,
            unused: params.flag("unused")?,
            uploader: params.id("uploader")?,
            sort: params.choice("sort", SORTS)?.unwrap_or(ImageSort::CreatedDown),
            page: PageQuery::take(params)?,
        })
    }
}

/// A new image as a form; parts may come in any order.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "a description: the form is read part by part")]
pub struct ImageUploadInput {
    /// The file: JPEG, PNG, WebP, GIF or AVIF, at most 20 MiB, 12,000 px a side and 50 megapixels. Its content decides
    /// what it is. Its name becomes `filename`.
    file: Binary,
    /// For those who do not see the image.
    #[schema(value_type = String, required = false, max_length = 1000)]
    alt: Option<String>,
    /// Whose image it is.
    #[schema(value_type = String, required = false, max_length = 200, example = "Ảnh: TTX")]
    credit: Option<String>,
    /// Text under the image.
    #[schema(value_type = String, required = false, max_length = 2000)]
    caption: Option<String>,
    /// The point that must stay in sight when the image is cut, as JSON.
    #[schema(value_type = FocalPoint, required = false)]
    focal_point: Option<FocalPoint>,
    /// What the newsroom may do with it, as JSON.
    #[schema(value_type = ImageRightsInput, required = false)]
    rights: Option<ImageRightsInput>,
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

/// Upload an image.
///
/// As a form (`multipart/form-data`), or as the bare file with any `image/*` type or `application/octet-stream`, named
/// by `Content-Disposition: attachment; filename*=UTF-8''song-c%E1%BA%A7u.jpg`. JPEG, PNG, WebP, GIF and AVIF are
/// taken, up to 20 MiB, 12,000 px a side and 50 megapixels; the content decides, not the declared type. Location and
/// device data are removed, the image is turned upright. The same file again makes no second image: the answer is 200
/// with the one there is and `duplicate: true`, and the other parts of the form are not applied.
#[utoipa::path(
    tag = "images",
    params(
        IdempotencyParam,
        ("Content-Disposition" = Option<String>, Header, description = "For a bare file: its name (RFC 6266).", example = "attachment; filename=\"song-cau.jpg\""),
    ),
    request_body(content(
        (ImageUploadInput = "multipart/form-data"),
        (Binary = "application/octet-stream"),
        (Binary = "image/avif"),
        (Binary = "image/gif"),
        (Binary = "image/jpeg"),
        (Binary = "image/png"),
        (Binary = "image/webp"),
    )),
    responses(
        (status = 200, description = "The library has this file already; this is its image.", body = Image),
        (status = 201, description = "The new image.", body = Image),
    )
)]
#[post("/images")]
async fn create_image(
    app: State,
    caller: Caller,
    idempotency: IdempotencyKey,
    _query: Query<NoParams>,
    req: HttpRequest,
    body: Body,
) -> Result<Answer> {
    let upload = upload::receive(&req, body).await?;
    let once = idempotency.of(caller.id.as_str(), &upload.hash);
    let Upload {
        file, filename, words, ..
    } = upload;
    let sha256 = file.sha256.clone();
    let known = {
        let sha256 = sha256.clone();
        app.db.read(move |conn| store::find_same(conn, &sha256)).await?
    };
    let processed = match known {
        Some(_) => None,
        None => Some(upload::decode(&app, file).await?),
    };
    let keep = Keep {
        app,
        caller,
        once,
        sha256,
        new: processed.map(|processed| NewImage {
            file_key: new_key(processed.extension),
            filename,
            processed,
            words,
        }),
    };
    // Not to be left half done when the sender goes away: an object without a row would stay for ever.
    actix_web::rt::spawn(keep.run()).await.map_err(Problem::internal)?
}

/// The last step of an upload: the file into the store, then the row.
struct Keep {
    app: State,
    caller: Caller,
    once: Option<Once>,
    sha256: String,
    /// None when the library seemed to have it already.
    new: Option<NewImage>,
}

impl Keep {
    async fn run(self) -> Result<Answer> {
        let Self {
            app,
            caller,
            once,
            sha256,
            mut new,
        } = self;
        let key = match &mut new {
            None => None,
            Some(new) => {
                app.media.put(&new.file_key, new.processed.bytes.clone()).await?;
                Some(new.file_key.clone())
            }
        };
        let state = app.clone();
        let result = write_once(&app, once, move |tx| {
            store::lock_source(tx.conn, &sha256)?;
            let (row, duplicate) = match (store::find_same(tx.conn, &sha256)?, &new) {
                (Some(row), _) => (row, true),
                (None, Some(new)) => (store::insert(tx, &Actor::from(&caller), &caller.id, new)?, false),
                (None, None) => return Err(just_deleted()),
            };
            let mut image = record(tx.conn, &state.config, &caller, &row)?;
            image.duplicate = Some(duplicate);
            let answer = if duplicate {
                Answer::ok(&image)?
            } else {
                Answer::created(format!("/management/v1/images/{}", image.id), &image)?
            };
            Ok(answer.version(image.version))
        })
        .await;
        if let Some(key) = key {
            drop_unused(&app, key).await;
        }
        result
    }
}

/// The library had it when we looked, and does not have it any more.
fn just_deleted() -> Problem {
    Problem::new(
        Code::Unavailable,
        "The same image was deleted in this moment: send it again.",
    )
    .header("Retry-After", "1")
}

/// Deletes a stored file that no row came to own: the write failed, was a replay, or another upload was first. Asking
/// the database is the only sure way: a write can fail for the caller and be committed all the same.
async fn drop_unused(app: &State, key: String) {
    let wanted = key.clone();
    let outcome: Result<(), Box<dyn fmt::Display>> = match app.db.read(move |conn| store::has_file(conn, &wanted)).await
    {
        Ok(true) => Ok(()),
        Ok(false) => app.media.delete(&key).await.map_err(|error| Box::new(error) as _),
        Err(problem) => Err(Box::new(problem)),
    };
    if let Err(cause) = outcome {
        tracing::warn!(key, %cause, "a stored file that no image owns was left");
    }
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
/// what they uploaded and nobody uses. The image leaves the library; its file stays for the revisions of articles that
/// show it, so whoever has the file's address can still load it.
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
