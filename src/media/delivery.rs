//! How files are served: by their key, for ever the same, and never as anything that could run.

use std::ops::Range;
use std::sync::Arc;

use actix_web::body::{BoxBody, SizedStream};
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder, get};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_range::{HttpRange, HttpRangeParseError};
use utoipa_actix_web::service_config::ServiceConfig;

use super::hot::{FOR_GOOD, File};
use super::{Binary, UPLOAD, content_type, stem};
use crate::app::State;
use crate::error::{Code, Problem, Result};
use crate::images::variants::making::{Made, make};
use crate::images::variants::spec;
use crate::request::HeadOnly;

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(get_media);
}

/// Get an image file.
///
/// Take the address from JSON (`url`, `srcset`): it cannot be guessed and its content never changes, so caches may keep
/// it for good. Other sizes and cuts of a picture are made when they are first asked for; widths, ratios and formats
/// that no answer names are 404. One range of bytes may be asked for; several are answered with the whole file. Query
/// parameters are ignored.
#[utoipa::path(
    tag = "media",
    params(
        ("folder" = String, Path, description = "First part of the file's key.", example = "3f"),
        ("file" = String, Path, description = "The file's name.", example = "3f9c2b1e5a7d4c60b8e21d0f6a9b3c47.jpg"),
        ("Range" = Option<String>, Header, description = "A part of the file (RFC 9110).", example = "bytes=0-1023"),
    ),
    responses(
        (
            status = 200, description = "The file.",
            content(
                (Binary = "image/avif"), (Binary = "image/gif"), (Binary = "image/jpeg"), (Binary = "image/png"), (Binary = "image/webp"),
            ),
            headers(
                ("ETag" = String, description = "Names the file, for `If-None-Match` and `If-Range`."),
                ("Cache-Control" = String, description = "`public, max-age=31536000, immutable`."),
                ("Accept-Ranges" = String, description = "`bytes`."),
            )
        ),
        (
            status = 206, description = "The part that was asked for.",
            content(
                (Binary = "image/avif"), (Binary = "image/gif"), (Binary = "image/jpeg"), (Binary = "image/png"), (Binary = "image/webp"),
            ),
            headers(("Content-Range" = String, description = "Which part of how many bytes."))
        ),
        (status = 304, description = "What you have is the file (`If-None-Match`)."),
        (
            status = 307, description = "The file is not there at the moment; the same picture in another format is.",
            headers(("Location" = String, description = "Where that is."))
        ),
        (status = 416, description = "The range lies outside the file; `Content-Range` says how long it is."),
        (status = 503, description = "Too many pictures are waiting to be made; `Retry-After` says when to come back."),
    )
)]
#[get("/media/{folder}/{file}")]
async fn get_media(app: State, req: HttpRequest) -> Result<HttpResponse> {
    let missing = || Problem::not_found("file");
    let part = |name| req.match_info().get(name).unwrap_or("");
    let key = format!("{}/{}", part("folder"), part("file"));
    let head_only = req.extensions().get::<HeadOnly>().is_some();
    if let Some(answer) = app.hot.get(&key).and_then(|file| file.answer(req.headers(), head_only)) {
        return Ok(answer.into());
    }
    let names = Names::of(&key).ok_or_else(missing)?;
    let headers = req.headers();
    let whole = !head_only && !headers.contains_key(header::IF_NONE_MATCH) && !headers.contains_key(header::RANGE);
    let found = match whole {
        true => {
            let first = app.media.get(&key, Some(0..PIECE)).await?;
            first.map(|first| (first.size, Some(first.bytes)))
        }
        false => app.media.size(&key).await?.map(|size| (size, None)),
    };
    let Some((size, first)) = found else {
        return make_and_serve(&app, &req, &names, head_only).await;
    };
    app.variants.uses.tell(&key);
    let tag = names.tag(size);
    let media_type = names.media_type;
    if let Some(first) = first {
        if first.len() as u64 == size {
            return serve_bytes(&app, &req, &names, first, head_only);
        }
        let body = SizedStream::new(size, pieces(app, key, first, size));
        return Ok(headed(HttpResponse::Ok(), &tag).content_type(media_type).body(body));
    }
    let asked = asked_range(req.headers(), &tag).filter(|_| !head_only);
    if is_known(req.headers(), &tag) {
        return Ok(headed(HttpResponse::NotModified(), &tag).finish());
    }
    let Some(asked) = asked.filter(|_| !head_only) else {
        let nothing = SizedStream::new(size, stream::empty::<Result<Bytes, Problem>>());
        return Ok(headed(HttpResponse::Ok(), &tag).content_type(media_type).body(nothing));
    };
    match range_of(asked, size) {
        Wanted::All => {
            let first = app.media.get(&key, Some(0..PIECE)).await?.ok_or_else(missing)?;
            let body = SizedStream::new(size, pieces(app, key, first.bytes, size));
            Ok(headed(HttpResponse::Ok(), &tag).content_type(media_type).body(body))
        }
        Wanted::Part(range) => {
            let piece = range.start..range.end.min(range.start.saturating_add(PIECE));
            let first = app.media.get(&key, Some(piece)).await?.ok_or_else(missing)?;
            let length = range.end - range.start;
            let rest = pieces_from(app, key, range.start, first.bytes, range.end);
            Ok(headed(HttpResponse::PartialContent(), &tag)
                .insert_header((
                    header::CONTENT_RANGE,
                    format!("bytes {}-{}/{size}", range.start, range.end - 1),
                ))
                .content_type(media_type)
                .body(SizedStream::new(length, rest)))
        }
        Wanted::Nothing => Err(behind_the_end(size)),
    }
}

/// What a file's key says of it.
struct Names<'k> {
    key: &'k str,
    name: &'k str,
    media_type: &'static str,
    is_variant: bool,
}

impl<'k> Names<'k> {
    fn of(key: &'k str) -> Option<Self> {
        let (name, extension) = key.split_once('/')?.1.rsplit_once('.')?;
        // What this program never named costs no look into the store.
        if extension == UPLOAD || stem(key).is_none() {
            return None;
        }
        Some(Self {
            key,
            name,
            media_type: content_type(extension),
            is_variant: spec::read_key(key).is_some(),
        })
    }

    /// The entity tag. A variant that is made anew, by a newer program, may have other bytes.
    fn tag(&self, size: u64) -> String {
        if self.is_variant {
            format!("\"{}-{size:x}\"", self.name)
        } else {
            format!("\"{}\"", self.name)
        }
    }
}

/// Serves a whole file from memory, and keeps it there if it is small.
fn serve_bytes(
    app: &State,
    req: &HttpRequest,
    names: &Names<'_>,
    bytes: Bytes,
    head_only: bool,
) -> Result<HttpResponse> {
    let size = bytes.len() as u64;
    let file = Arc::new(File::new(bytes, &names.tag(size), names.media_type));
    app.hot.keep(names.key, &file);
    let answer = file.answer(req.headers(), head_only);
    answer.map(HttpResponse::from).ok_or_else(|| behind_the_end(size))
}

/// What the store does not have: a variant is made, if it is one.
async fn make_and_serve(app: &State, req: &HttpRequest, names: &Names<'_>, head_only: bool) -> Result<HttpResponse> {
    match make(app, req, names.key).await? {
        Made::File(bytes) => serve_bytes(app, req, names, bytes, head_only),
        Made::Elsewhere(location) => Ok(HttpResponse::TemporaryRedirect()
            .insert_header((header::LOCATION, location))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .finish()),
    }
}

fn behind_the_end(size: u64) -> Problem {
    Problem::new(
        Code::RangeNotSatisfiable,
        format!("The file has {size} bytes; the range lies behind them."),
    )
    .header("Content-Range", format!("bytes */{size}"))
}

/// A file is read in pieces as its reader takes them, so that slow readers hold a piece each and not the file.
const PIECE: u64 = 512 * 1024;

fn pieces(app: State, key: String, first: Bytes, end: u64) -> impl Stream<Item = Result<Bytes>> {
    pieces_from(app, key, 0, first, end)
}

/// The first piece, which was read at `start`, and then the ones after it up to `end`.
fn pieces_from(app: State, key: String, start: u64, first: Bytes, end: u64) -> impl Stream<Item = Result<Bytes>> {
    let next = start + first.len() as u64;
    let rest = stream::unfold(next, move |at| {
        let (app, key) = (app.clone(), key.clone());
        async move {
            if at >= end {
                return None;
            }
            let read = app.media.get(&key, Some(at..end.min(at + PIECE))).await;
            match read {
                Ok(Some(object)) if !object.bytes.is_empty() => {
                    let next = at + object.bytes.len() as u64;
                    Some((Ok(object.bytes), next))
                }
                // The length is promised already: breaking off is the only honest answer.
                Ok(_) => Some((Err(Problem::internal("a file ended early")), end)),
                Err(error) => Some((Err(error.into()), end)),
            }
        }
    });
    stream::once(std::future::ready(Ok(first))).chain(rest)
}

/// A file's bytes, read as they are taken; of a HEAD request only their number. None when it is not there.
pub async fn whole(app: &State, req: &HttpRequest, key: String, size: u64) -> Result<Option<BoxBody>> {
    if req.extensions().get::<HeadOnly>().is_some() {
        return Ok(Some(BoxBody::new(SizedStream::new(
            size,
            stream::empty::<Result<Bytes, Problem>>(),
        ))));
    }
    let first = app.media.get(&key, Some(0..PIECE)).await?;
    Ok(first.map(|first| {
        BoxBody::new(SizedStream::new(
            first.size,
            pieces(app.clone(), key, first.bytes, first.size),
        ))
    }))
}

fn headed(mut response: HttpResponseBuilder, tag: &str) -> HttpResponseBuilder {
    response.insert_header((header::ETAG, tag));
    for header in FOR_GOOD {
        response.insert_header(header);
    }
    response
}

/// `If-None-Match` names the file (RFC 9110 §13.1.2, weak comparison).
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|given| given.trim().trim_start_matches("W/"))
        .any(|given| given == "*" || given == tag)
}

/// The range that is asked for, if the condition of `If-Range` holds (strong comparison; we give no dates).
pub(super) fn asked_range<'h>(headers: &'h HeaderMap, tag: &str) -> Option<&'h str> {
    let mut ranges = headers.get_all(header::RANGE);
    let range = ranges.next()?.to_str().ok()?;
    let holds = headers
        .get(header::IF_RANGE)
        .is_none_or(|value| value.as_bytes() == tag.as_bytes());
    (holds && ranges.next().is_none()).then_some(range)
}

/// What a `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything: several ranges, another unit, or what cannot be read, all of which may be ignored.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes behind the end.
    Nothing,
}

pub(super) fn range_of(asked: &str, size: u64) -> Wanted {
    if asked.contains(',') {
        return Wanted::All;
    }
    match HttpRange::parse(asked, size).as_deref() {
        Ok([one]) => Wanted::Part(one.start..one.start + one.length),
        Ok(_) | Err(HttpRangeParseError::InvalidRange) => Wanted::All,
        Err(HttpRangeParseError::NoOverlap) => Wanted::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_and_the_rest_is_ignored() {
        for (asked, wanted) in [
            ("bytes=0-9", Wanted::Part(0..10)),
            ("bytes=90-", Wanted::Part(90..100)),
            ("bytes=90-1000", Wanted::Part(90..100)),
            ("bytes=-10", Wanted::Part(90..100)),
            ("bytes=-1000", Wanted::Part(0..100)),
            ("bytes=99-99", Wanted::Part(99..100)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=0-1,5-6", Wanted::All),
            ("bytes=9-0", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=", Wanted::All),
            ("lines=0-9", Wanted::All),
            ("bytes=18446744073709551616-", Wanted::All),
            ("bytes=0-18446744073709551615", Wanted::Part(0..100)),
        ] {
            assert_eq!(range_of(asked, 100), wanted, "{asked}");
        }
    }
}
