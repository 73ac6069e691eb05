//! How an upload comes in: a form or a bare file, spooled to disk and hashed on the way, and then made fit to be kept.

use std::cell::RefCell;
use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;

use actix_multipart::Multipart;
use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::{self, ContentDisposition, HeaderValue};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::sync::OwnedSemaphorePermit;

use super::process::{self, Limits, Processed, Rejected};
use super::{ImagePatch, clean_filename};
use crate::app::App;
use crate::error::{Code, FieldError, Problem, Result};
use crate::json;
use crate::media;
use crate::request::{Body, hash, too_large};

/// Largest file, in bytes.
pub const FILE_LIMIT: usize = 20 * 1024 * 1024;
/// What a form may have around the file: the other parts, boundaries and headers.
const FORM_EXTRA: usize = 256 * 1024;
/// Most parts of a form.
const PARTS: usize = 20;
/// Largest part of a form that is no file.
const TEXT_LIMIT: usize = 64 * 1024;
/// Bytes that tell what kind of file it is.
const HEAD: usize = 4096;
/// The types that are taken.
const TYPES: &str = "image/jpeg, image/png, image/webp, image/gif, image/avif";

/// An upload that has arrived.
pub struct Upload {
    /// The file.
    pub file: Spooled,
    /// Its cleaned name, if it was given one.
    pub filename: Option<String>,
    /// The other parts of the form, checked.
    pub words: ImagePatch,
    /// Tells two requests apart: the file, its name and the other parts.
    pub hash: String,
}

/// A file on disk that has no name there: it is gone when it is dropped, whatever happens.
pub struct Spooled {
    file: File,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// Receives an upload. Refuses by content type (415), size (413), form (400), kind of file (415) and words (422).
pub async fn receive(req: &HttpRequest, body: Body) -> Result<Upload> {
    let form = match body.media_type() {
        Some("multipart/form-data") => true,
        Some(media_type) if media_type.starts_with("image/") => false,
        _ => {
            body.expect(
                &["application/octet-stream", "image/*", "multipart/form-data"],
                "Accept",
            )?;
            false
        }
    };
    let mut parts = Parts::default();
    if form {
        parts.read_form(req, body.chunks(FILE_LIMIT + FORM_EXTRA)?).await?;
    } else {
        parts.filename = req.headers().get(header::CONTENT_DISPOSITION).and_then(name_in);
        parts.file = Some(spool(body.chunks(FILE_LIMIT)?).await?);
    }
    parts.finish()
}

/// The file name of a `Content-Disposition` (RFC 6266): `filename*` before `filename`. A malformed header names nothing.
fn name_in(value: &HeaderValue) -> Option<String> {
    name_of(&ContentDisposition::from_raw(value).ok()?)
}

fn name_of(disposition: &ContentDisposition) -> Option<String> {
    let extended = disposition
        .get_filename_ext()
        .map(|name| match std::str::from_utf8(&name.value) {
            Ok(text) => text.to_owned(),
            Err(_) => name.value.iter().map(|byte| char::from(*byte)).collect(),
        });
    let plain = || disposition.get_filename().map(str::to_owned);
    clean_filename(&extended.or_else(plain)?)
}

/// A spool file that is being written.
struct Spool {
    file: tokio::fs::File,
    digest: Sha256,
    size: usize,
    head: Vec<u8>,
}

/// A file as it arrived, with its first bytes.
struct Arrived {
    file: Spooled,
    size: usize,
    head: Vec<u8>,
}

impl Spool {
    async fn new() -> Result<Self> {
        let file = tokio::task::spawn_blocking(tempfile::tempfile)
            .await
            .map_err(Problem::internal)?
            .map_err(not_spooled)?;
        Ok(Self {
            file: tokio::fs::File::from_std(file),
            digest: Sha256::new(),
            size: 0,
            head: Vec::new(),
        })
    }

    async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        self.size += chunk.len();
        if self.size > FILE_LIMIT {
            return Err(too_large(FILE_LIMIT));
        }
        let missing = HEAD - self.head.len();
        self.head.extend_from_slice(&chunk[..chunk.len().min(missing)]);
        self.digest.update(chunk);
        self.file.write_all(chunk).await.map_err(not_spooled)
    }

    async fn finish(mut self) -> Result<Arrived> {
        self.file.flush().await.map_err(not_spooled)?;
        let sha256 = self
            .digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Arrived {
            file: Spooled {
                file: self.file.into_std().await,
                sha256,
            },
            size: self.size,
            head: self.head,
        })
    }
}

fn not_spooled(error: std::io::Error) -> Problem {
    if media::is_full(&error) {
        return Problem::new(Code::StorageFull, "There is no room left for uploads.").because(error);
    }
    Problem::internal(format!("an upload could not be spooled: {error}"))
}

async fn spool(chunks: impl Stream<Item = Result<Bytes>>) -> Result<Arrived> {
    let mut spool = Spool::new().await?;
    let mut chunks = std::pin::pin!(chunks);
    while let Some(chunk) = chunks.next().await {
        spool.write(&chunk?).await?;
    }
    spool.finish().await
}

/// The parts of a form, in whatever order they come.
#[derive(Default)]
struct Parts {
    file: Option<Arrived>,
    filename: Option<String>,
    words: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Parts {
    async fn read_form(
        &mut self,
        req: &HttpRequest,
        chunks: impl Stream<Item = Result<Bytes>> + 'static,
    ) -> Result<()> {
        // The form reader knows only its own errors; ours (413, 408) wait here for it to come back.
        let refused: Rc<RefCell<Option<Problem>>> = Rc::default();
        let keep = Rc::clone(&refused);
        // Fused: the form reader asks again after the end.
        let stream = chunks.fuse().map(move |chunk| {
            chunk.map_err(|problem| {
                *keep.borrow_mut() = Some(problem);
                PayloadError::Incomplete(None)
            })
        });
        let broken = |error: actix_multipart::MultipartError| {
            let ours = refused.borrow_mut().take();
            ours.unwrap_or_else(|| {
                Problem::new(
                    Code::InvalidRequest,
                    format!("The form (multipart/form-data) cannot be read: {error}."),
                )
            })
        };
        let mut form = Multipart::new(req.headers(), stream);
        let mut parts = 0;
        while let Some(field) = form.next().await {
            let mut field = field.map_err(&broken)?;
            parts += 1;
            if parts > PARTS || (self.file.is_some() && field.name() == Some("file")) {
                self.fail("file", "too_many", "The form has one file, and each other part once.");
                return Ok(());
            }
            let name = field.name().unwrap_or_default().to_owned();
            if name == "file" {
                let filename = field.content_disposition().and_then(name_of);
                let mut spool = Spool::new().await?;
                while let Some(chunk) = field.next().await {
                    spool.write(&chunk.map_err(&broken)?).await?;
                }
                self.take_file(spool.finish().await?, filename);
            } else {
                let mut bytes = Vec::new();
                let mut size = 0;
                while let Some(chunk) = field.next().await {
                    let chunk = chunk.map_err(&broken)?;
                    size += chunk.len();
                    if size <= TEXT_LIMIT {
                        bytes.extend_from_slice(&chunk);
                    }
                }
                self.take_words(&name, &bytes, size > TEXT_LIMIT)?;
            }
        }
        Ok(())
    }

    fn take_file(&mut self, file: Arrived, filename: Option<String>) {
        self.file = Some(file);
        self.filename = filename;
    }

    fn take_words(&mut self, name: &str, bytes: &[u8], too_long: bool) -> Result<()> {
        if !matches!(name, "alt" | "credit" | "caption" | "focal_point" | "rights") {
            let known = "file, alt, credit, caption, focal_point and rights";
            self.fail(name, "unknown_field", format!("The parts of the form are {known}."));
            return Ok(());
        }
        if self.words.contains_key(name) {
            self.fail(name, "duplicate", "Each part comes once.");
            return Ok(());
        }
        if too_long {
            self.fail(name, "too_long", "A part that is no file has 64 KiB at most.");
            return Ok(());
        }
        let value = if matches!(name, "focal_point" | "rights") {
            if bytes.iter().all(u8::is_ascii_whitespace) {
                Value::Null
            } else {
                json::value(bytes)
                    .map_err(|problem| Problem::new(problem.code(), format!("Part {name}: {}", problem.detail())))?
            }
        } else {
            match std::str::from_utf8(bytes) {
                Ok(text) => Value::String(text.to_owned()),
                Err(_) => {
                    self.fail(name, "invalid_text", "The text is not UTF-8.");
                    return Ok(());
                }
            }
        };
        self.words.insert(name.to_owned(), value);
        Ok(())
    }

    fn fail(&mut self, name: &str, code: &str, detail: impl Into<String>) {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        self.errors.push(FieldError::at(pointer, code, detail));
    }

    fn finish(mut self) -> Result<Upload> {
        let file = self.file.take();
        match &file {
            None => self.fail("file", "required", "A file is needed."),
            Some(file) if file.size == 0 => self.fail("file", "required", "The file is empty."),
            Some(file) if !process::is_known(&file.head) => return Err(unknown_kind("The file is none of these.")),
            Some(_) => {}
        }
        let (Some(file), true) = (file, self.errors.is_empty()) else {
            return Err(Problem::validation(self.errors));
        };
        let file = file.file;
        let words = Value::Object(self.words);
        let hash = hash(format!("{} {:?} {words}", file.sha256, self.filename).as_bytes());
        let words: ImagePatch = json::typed(&words)?;
        Ok(Upload {
            file,
            filename: self.filename,
            words: words.checked()?,
            hash,
        })
    }
}

fn unknown_kind(detail: &str) -> Problem {
    Problem::new(
        Code::UnsupportedMediaType,
        format!("JPEG, PNG, WebP, GIF and AVIF images are taken. {detail}"),
    )
    .header("Accept", TYPES)
}

/// An upload that is understood.
pub struct Taken {
    /// What readers may get, and what is known of it.
    pub processed: Processed,
    /// The file as it came, where the installation keeps that.
    pub upload: Option<Bytes>,
    /// Held until it is stored: what waits for a slow store is in memory.
    pub place: OwnedSemaphorePermit,
}

/// Decodes an upload and takes out of it what must not be kept, where a busy thread hurts nobody and a few at a time.
/// More uploads than may wait are answered 503.
pub async fn decode(app: &App, file: Spooled) -> Result<Taken> {
    let crowded = || {
        Problem::new(
            Code::Unavailable,
            "Too many uploads are waiting: try again in a few seconds.",
        )
        .header("Retry-After", "5")
    };
    let place = Arc::clone(&app.uploads).try_acquire_owned().map_err(|_| crowded())?;
    let turn = app.decoding.turn(0).await?;
    let read = tokio::task::spawn_blocking(move || {
        let mut file = file.file;
        let limits = Limits::default();
        let data = process::read(&mut file, &limits)?;
        let need = process::need(&data, &limits);
        Ok((data, need))
    });
    let (data, need) = read.await.map_err(Problem::internal)?.map_err(rejected)?;
    let turn = app.decoding.enough(turn, need).await?;
    let keep = app.config.keep_uploads;
    let taken = tokio::task::spawn_blocking(move || {
        // Held until the work is done, also when the sender has gone away meanwhile.
        let _held = turn;
        Ok(Taken {
            processed: process::process_bytes(&data, &Limits::default())?,
            upload: keep.then(|| Bytes::from(data)),
            place,
        })
    });
    taken.await.map_err(Problem::internal)?.map_err(rejected)
}

fn rejected(rejected: Rejected) -> Problem {
    match rejected.code {
        "unsupported_media_type" => unknown_kind(""),
        "image_too_large" => Problem::new(Code::ImageTooLarge, rejected.detail),
        "image_broken" => Problem::new(Code::ImageBroken, rejected.detail),
        _ => Problem::internal(rejected.detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(header: &str) -> Option<String> {
        name_in(&HeaderValue::from_bytes(header.as_bytes()).expect("a header"))
    }

    #[test]
    fn the_name_comes_from_content_disposition() {
        assert_eq!(
            name("attachment; filename=\"song-cau.jpg\"").as_deref(),
            Some("song-cau.jpg")
        );
        assert_eq!(name("attachment; filename=a.png").as_deref(), Some("a.png"));
        assert_eq!(name("attachment; filename=\"lũ.png\"").as_deref(), Some("lũ.png"));
        let both = "attachment; filename=\"lu.jpg\"; filename*=UTF-8''l%C5%A9.jpg";
        assert_eq!(name(both).as_deref(), Some("lũ.jpg"));
        let latin = "attachment; filename*=ISO-8859-1''%E9t%E9.jpg";
        assert_eq!(name(latin).as_deref(), Some("été.jpg"));
        let climbing = "attachment; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd";
        assert_eq!(name(climbing).as_deref(), Some("passwd"));
        for nothing in [
            "attachment",
            "attachment; filename=\"..\"",
            "; filename=x",
            "inline; file",
        ] {
            assert_eq!(name(nothing), None, "{nothing}");
        }
    }
}
