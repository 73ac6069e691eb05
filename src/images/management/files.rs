//! How files come into the library: a new image, or another file for one that is there.

use std::fmt;

use actix_web::http::header::{self, ContentDisposition};
use actix_web::{HttpRequest, HttpResponse, get, post, put};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use super::check_may_change;
use crate::app::State;
use crate::audit::Actor;
use crate::auth::{Caller, forbidden};
use crate::conditional::{Guard, IfMatch};
use crate::db::Conn;
use crate::error::{Code, Problem, Result};
use crate::idempotency::{Answer, IdempotencyKey, Once, write_once};
use crate::images::delivered::FocalPoint;
use crate::images::store::{self, NewFile, NewImage, record};
use crate::images::upload::{self, Taken, Upload};
use crate::images::{Image, ImagePatch, ImageRightsInput};
use crate::media::delivery::whole;
use crate::media::{Binary, UPLOAD, new_key};
use crate::request::{Body, IdempotencyParam, IfMatchParam, NoParams, PathId, Query};
use crate::types::Id;

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
pub async fn create_image(
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
    let taken = match known {
        Some(_) => None,
        None => Some(upload::decode(&app, file).await?),
    };
    let keep = Keep {
        app,
        caller,
        once,
        sha256,
        new: taken.map(|taken| (Incoming::of(taken, filename), words)),
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
    new: Option<(Incoming, ImagePatch)>,
}

impl Keep {
    async fn run(self) -> Result<Answer> {
        let Self {
            app,
            caller,
            once,
            sha256,
            new,
        } = self;
        let (new, keys) = match new {
            None => (None, Vec::new()),
            Some((incoming, words)) => {
                let keys = incoming.keys();
                let file = incoming.put(&app).await?;
                (Some(NewImage { file, words }), keys)
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
        drop_unused(&app, keys).await;
        result
    }
}

/// A file on its way into the media store, with the upload it was made of where that is kept.
struct Incoming {
    file: NewFile,
    upload: Option<Bytes>,
    place: OwnedSemaphorePermit,
}

impl Incoming {
    fn of(taken: Taken, filename: Option<String>) -> Self {
        let Taken {
            processed,
            upload,
            place,
        } = taken;
        Self {
            file: NewFile {
                file_key: new_key(processed.extension),
                filename,
                processed,
                upload: upload.as_ref().map(|bytes| (new_key(UPLOAD), bytes.len())),
            },
            upload,
            place,
        }
    }

    fn keys(&self) -> Vec<String> {
        let upload = self.file.upload.iter().map(|(key, _)| key);
        std::iter::once(&self.file.file_key).chain(upload).cloned().collect()
    }

    /// Both files are on disk, or none is.
    async fn put(self, app: &State) -> Result<NewFile> {
        let Self {
            file,
            upload,
            place: _place,
        } = self;
        if let (Some(bytes), Some((key, _))) = (upload, &file.upload) {
            app.media.put(key, bytes).await?;
        }
        let put = app.media.put(&file.file_key, file.processed.bytes.clone()).await;
        if let Err(error) = put {
            let upload = file.upload.into_iter().map(|(key, _)| key).collect();
            drop_unused(app, upload).await;
            return Err(error.into());
        }
        Ok(file)
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

/// Deletes stored files that no row came to own: the write failed, was a replay, or another upload was first. Asking
/// the database is the only sure way: a write can fail for the caller and be committed all the same.
async fn drop_unused(app: &State, keys: Vec<String>) {
    for key in keys {
        let wanted = key.clone();
        let known = app.db.read(move |conn| store::has_file(conn, &wanted)).await;
        let outcome: Result<(), Box<dyn fmt::Display>> = match known {
            Ok(true) => Ok(()),
            Ok(false) => app.media.delete(&key).await.map_err(|error| Box::new(error) as _),
            Err(problem) => Err(Box::new(problem)),
        };
        if let Err(cause) = outcome {
            tracing::warn!(key, %cause, "a stored file that no image owns was left");
        }
    }
}

/// Another file for an image, as a form.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "a description: the form is read part by part")]
pub struct ImageFileInput {
    /// The file, as for a new image. Its name, when it has one, becomes `filename`.
    file: Binary,
}

/// Replace an image's file.
///
/// The image keeps its id, its words, focal point, rights and placements, and gets a new `url`; published stories show the
/// new file at once. The body is what an upload takes, without words. The old file can be loaded under its own address for
/// some time (30 days, unless the installation says otherwise), for pages and feeds elsewhere that name it. Writers replace
/// what they uploaded and nobody uses yet. The file it has already changes nothing and answers `duplicate: true`; a file
/// that another image has is refused (409 `duplicate_image`).
#[utoipa::path(
    tag = "images",
    params(
        ("id" = Id, Path, description = "The image's id."),
        IfMatchParam,
        ("Content-Disposition" = Option<String>, Header, description = "For a bare file: its name (RFC 6266).", example = "attachment; filename=\"song-cau.jpg\""),
    ),
    request_body(content(
        (ImageFileInput = "multipart/form-data"),
        (Binary = "application/octet-stream"),
        (Binary = "image/avif"),
        (Binary = "image/gif"),
        (Binary = "image/jpeg"),
        (Binary = "image/png"),
        (Binary = "image/webp"),
    )),
    responses(
        (status = 200, description = "The image as it is now.", body = Image),
        (status = 409, description = "Another image has this file."),
    )
)]
#[put("/images/{id}/file")]
pub async fn replace_image_file(
    app: State,
    caller: Caller,
    id: PathId,
    if_match: IfMatch,
    req: HttpRequest,
    body: Body,
) -> Result<Answer> {
    let PathId(id) = id;
    check_may_change(&app, &caller, &id).await?;
    let upload = upload::receive(&req, body).await?;
    if upload.words != ImagePatch::default() {
        let detail = "The only part of this form is file: change the words with PATCH.";
        return Err(Problem::invalid("", "unknown_field", detail));
    }
    let guard = if_match.required()?;
    let Upload { file, filename, .. } = upload;
    let own = {
        let (id, guard, sha256) = (id.clone(), guard.clone(), file.sha256.clone());
        let look = move |conn: &mut Conn| {
            // A stale version is told before anything is decoded.
            guard.check(store::get(conn, &id)?.version)?;
            store::check_other(conn, &id, &sha256)
        };
        app.db.read(look).await?
    };
    if own {
        return unchanged(&app, caller, id, guard).await;
    }
    let new = Incoming::of(upload::decode(&app, file).await?, filename);
    let keep = KeepFile {
        app,
        caller,
        id,
        guard,
        new,
    };
    // Not to be left half done when the sender goes away: an object without a row would stay for ever.
    actix_web::rt::spawn(keep.run()).await.map_err(Problem::internal)?
}

async fn unchanged(app: &State, caller: Caller, id: Id, guard: Guard) -> Result<Answer> {
    let state = app.clone();
    let image = app
        .db
        .read(move |conn| {
            let row = store::get(conn, &id)?;
            guard.check(row.version)?;
            record(conn, &state.config, &caller, &row)
        })
        .await?;
    let image = Image {
        duplicate: Some(true),
        ..image
    };
    Ok(Answer::ok(&image)?.version(image.version))
}

/// The last step of a replacement: the file into the store, then its row.
struct KeepFile {
    app: State,
    caller: Caller,
    id: Id,
    guard: Guard,
    new: Incoming,
}

impl KeepFile {
    async fn run(self) -> Result<Answer> {
        let Self {
            app,
            caller,
            id,
            guard,
            new,
        } = self;
        let keys = new.keys();
        let new = new.put(&app).await?;
        let state = app.clone();
        let result = app
            .db
            .write(move |tx| {
                let row = store::replace(tx, &caller, &id, &guard, &new)?;
                let mut image = record(tx.conn, &state.config, &caller, &row)?;
                image.duplicate = Some(false);
                Ok(Answer::ok(&image)?.version(image.version))
            })
            .await;
        drop_unused(&app, keys).await;
        result
    }
}

/// Get an image's upload.
///
/// The file as it was uploaded, byte for byte, with what the camera and the agency wrote into it: location, serial numbers,
/// thumbnails. Only for editors; readers never get it. 404 where the installation does not keep
/// uploads (`KEEP_UPLOADS`), and for images from before it did; `upload_url` of the image tells.
#[utoipa::path(
    tag = "images",
    params(("id" = Id, Path, description = "The image's id.")),
    responses((
        status = 200, description = "The file.",
        content(
            (Binary = "image/avif"), (Binary = "image/gif"), (Binary = "image/jpeg"), (Binary = "image/png"), (Binary = "image/webp"),
        ),
        headers(("Content-Disposition" = String, description = "`attachment`, with the image's `filename` (RFC 6266).")),
    ))
)]
#[get("/images/{id}/upload")]
pub async fn get_image_upload(
    app: State,
    caller: Caller,
    id: PathId,
    _query: Query<NoParams>,
    req: HttpRequest,
) -> Result<HttpResponse> {
    let look = move |conn: &mut Conn| {
        let row = store::get(conn, &id.0)?;
        if !caller.is_editor() {
            return Err(forbidden(
                "Uploads tell where and by whom a picture was taken: they are for editors.",
            ));
        }
        let upload = store::upload_of(conn, &row.file_key)?;
        Ok((upload.ok_or_else(|| Problem::not_found("upload"))?, row.filename))
    };
    let ((key, size, media_type), filename) = app.db.read(look).await?;
    let body = whole(&app, &req, key, size.unsigned_abs())
        .await?
        .ok_or_else(|| Problem::internal("an upload is not in the media store"))?;
    Ok(HttpResponse::Ok()
        .content_type(media_type)
        .insert_header(ContentDisposition::attachment(filename))
        .insert_header((header::CACHE_CONTROL, "private, no-store"))
        .body(body))
}
