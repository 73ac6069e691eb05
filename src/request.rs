//! What comes in: query parameters from closed lists, bodies with their limits, the caller's address.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, Header};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::error::{Code, Problem, Result};
use crate::json;
use crate::types::{Id, Time};

/// Largest JSON body, in bytes.
pub const JSON_LIMIT: usize = 1024 * 1024;
/// Time that every body has to arrive in, before its size is counted.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Bytes that buy one more second.
const BYTES_PER_SECOND: usize = 100 * 1024;

/// The id of the request, made or accepted by the outermost middleware.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Marks a HEAD request, which handlers see as GET: a range means nothing to it, and bytes need not be fetched for it.
#[derive(Debug, Clone, Copy)]
pub struct HeadOnly;

impl FromRequest for RequestId {
    type Error = Problem;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(req
            .extensions()
            .get::<Self>()
            .cloned()
            .unwrap_or_else(|| Self("unknown".into()))))
    }
}

/// Marks a request of a front end that fetches for readers, with the reader's address if it names one.
#[derive(Debug, Clone, Copy)]
pub struct Forwarded(pub Option<IpAddr>);

/// A read that has been counted against the reader's limit.
#[derive(Debug, Clone, Copy)]
pub struct Counted;

/// Whether a person's browser asks: it names HTML among what it takes. Programs that take anything do not.
pub fn accepts_html(req: &HttpRequest) -> bool {
    header::Accept::parse(req).is_ok_and(|accept| {
        let mut taken = accept.iter();
        taken.any(|one| one.quality > header::Quality::ZERO && one.item.essence_str() == "text/html")
    })
}

/// Whether the request comes from such a front end.
pub fn is_forwarded(req: &HttpRequest) -> bool {
    req.extensions().get::<Forwarded>().is_some()
}

/// The reader that a front end names: the first address, since proxies on the way add theirs behind it.
pub fn named_reader(headers: &header::HeaderMap) -> Option<IpAddr> {
    let line = headers.get(header::X_FORWARDED_FOR)?.to_str().ok()?;
    let ip = line.split(',').next()?.trim().parse::<IpAddr>().ok()?;
    Some(ip.to_canonical())
}

/// The caller's address: the peer's, or what a trusted proxy or a front end with a key says of it.
pub fn client_address(req: &HttpRequest) -> IpAddr {
    if let Some(Forwarded(Some(reader))) = req.extensions().get::<Forwarded>() {
        return *reader;
    }
    match req.app_data::<web::Data<App>>() {
        Some(app) => address_behind(req.peer_addr(), req.headers(), &app.config.trusted_proxies),
        None => address_behind(req.peer_addr(), req.headers(), &BTreeSet::new()),
    }
}

/// The client's address behind proxies that are trusted.
pub fn address_behind(peer: Option<SocketAddr>, headers: &header::HeaderMap, trusted: &BTreeSet<IpAddr>) -> IpAddr {
    let lines: Vec<&header::HeaderValue> = headers.get_all(header::X_FORWARDED_FOR).collect();
    last_seen(peer, lines.into_iter().rev(), trusted)
}

/// The same, told by the lines of `X-Forwarded-For`, the last one first.
pub fn last_seen<'h>(
    peer: Option<SocketAddr>,
    lines: impl Iterator<Item = &'h header::HeaderValue>,
    trusted: &BTreeSet<IpAddr>,
) -> IpAddr {
    let peer = peer.map_or(IpAddr::from([127, 0, 0, 1]), |peer| peer.ip().to_canonical());
    if !trusted.contains(&peer) {
        return peer;
    }
    // From the right, where our own proxies wrote: the first address that is not one of them is the last one that was
    // really seen. What stands left of an unreadable hop is anybody's word.
    let mut seen = peer;
    for hop in lines.flat_map(|line| line.to_str().unwrap_or("").rsplit(',')) {
        let Ok(ip) = hop.trim().parse::<IpAddr>() else { break };
        seen = ip.to_canonical();
        if !trusted.contains(&seen) {
            break;
        }
    }
    seen
}

/// A request body that has not been read yet: handlers read it after they know that the caller may be here at all.
pub struct Body {
    payload: Payload,
    media_type: Option<String>,
    length: Option<usize>,
    stray: Option<String>,
}

impl FromRequest for Body {
    type Error = Problem;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media_type = req
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let media_type = media_type.map(|text| text.split(';').next().unwrap_or("").trim().to_ascii_lowercase());
        let length = req
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        ready(Ok(Self {
            payload: payload.take(),
            media_type,
            length,
            stray: stray(req),
        }))
    }
}

/// A JSON body: the typed input and the hash of its bytes, which tells whether an idempotent request is the same.
pub struct Input<T> {
    /// The input.
    pub value: T,
    /// SHA-256 of the bytes, in hexadecimal.
    pub hash: String,
    /// How many bytes.
    pub length: usize,
}

impl Body {
    /// The media type without parameters, lower case.
    pub fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }

    /// A JSON body.
    pub async fn json<T: DeserializeOwned>(self) -> Result<Input<T>> {
        self.expect(&["application/json"], "Accept")?;
        let bytes = self.bytes(JSON_LIMIT).await?;
        Ok(Input {
            value: json::parse(&bytes)?,
            hash: hash(&bytes),
            length: bytes.len(),
        })
    }

    /// A merge patch (RFC 7396).
    pub async fn patch<T: DeserializeOwned>(self) -> Result<T> {
        self.expect(&["application/merge-patch+json", "application/json"], "Accept-Patch")?;
        let bytes = self.bytes(JSON_LIMIT).await?;
        json::parse(&bytes)
    }

    /// The body of an action: JSON, or nothing at all, which stands for `{}`.
    pub async fn action<T: DeserializeOwned>(self) -> Result<Input<T>> {
        if self.media_type.is_some() {
            self.expect(&["application/json"], "Accept")?;
        }
        let typed = self.media_type.is_some();
        let bytes = self.bytes(JSON_LIMIT).await?;
        if !typed && !bytes.is_empty() {
            return Err(unsupported(&["application/json"], "Accept"));
        }
        let value = if bytes.is_empty() {
            json::parse(b"{}")?
        } else {
            json::parse(&bytes)?
        };
        Ok(Input {
            value,
            hash: hash(&bytes),
            length: bytes.len(),
        })
    }

    /// Refuses every media type but those named.
    pub fn expect(&self, accepted: &[&str], header: &'static str) -> Result<()> {
        match &self.media_type {
            Some(given) if accepted.contains(&given.as_str()) => Ok(()),
            _ => Err(unsupported(accepted, header)),
        }
    }

    /// The bytes in one piece, within a limit and a time.
    pub async fn bytes(self, limit: usize) -> Result<Bytes> {
        let mut body = bytes::BytesMut::new();
        let mut chunks = std::pin::pin!(self.chunks(limit)?);
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk?);
        }
        Ok(body.freeze())
    }

    /// The bytes as they come, within a limit and a time.
    pub fn chunks(self, limit: usize) -> Result<impl Stream<Item = Result<Bytes>>> {
        if self.length.is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        if let Some(name) = &self.stray {
            return Err(unknown_parameter(name));
        }
        let state = (self.payload, 0usize, tokio::time::Instant::now());
        let chunks = futures_util::stream::unfold(Some(state), move |state| async move {
            let (mut payload, seen, start) = state?;
            let end = start + BODY_TIME + Duration::from_secs((seen / BYTES_PER_SECOND) as u64);
            let chunk = match tokio::time::timeout_at(end, payload.next()).await {
                Err(_) => {
                    return Some((
                        Err(Problem::new(Code::RequestTimeout, "The request body came too slowly.")),
                        None,
                    ));
                }
                Ok(None) => return None,
                Ok(Some(Err(error))) => {
                    let problem = Problem::new(Code::InvalidRequest, "The request body broke off or was malformed.");
                    return Some((Err(problem.because(error)), None));
                }
                Ok(Some(Ok(chunk))) => chunk,
            };
            let seen = seen + chunk.len();
            if seen > limit {
                return Some((Err(too_large(limit)), None));
            }
            Some((Ok(chunk), Some((payload, seen, start))))
        });
        // Readers of forms ask again after the end.
        Ok(chunks.fuse())
    }
}

fn unsupported(accepted: &[&str], header: &'static str) -> Problem {
    let list = accepted.join(", ");
    Problem::new(
        Code::UnsupportedMediaType,
        format!("Send the body with Content-Type {list}."),
    )
    .header(header, list)
}

/// 413 with the limit.
pub fn too_large(limit: usize) -> Problem {
    let size = if limit >= 1024 * 1024 {
        format!("{} MiB", limit / 1024 / 1024)
    } else {
        format!("{} KiB", limit / 1024)
    };
    Problem::new(Code::PayloadTooLarge, format!("The body is larger than {size}."))
}

/// SHA-256 in hexadecimal.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The query string as a closed list: whoever reads takes what they know, and what is left is unknown.
pub struct Params {
    values: BTreeMap<String, Vec<String>>,
}

/// A type that is read from query parameters.
pub trait FromParams: Sized {
    /// Takes what it knows.
    fn take(params: &mut Params) -> Result<Self>;
}

/// Extractor: every parameter is known and well-formed, or the request is refused with 400.
pub struct Query<T>(pub T);

impl<T: FromParams> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = || {
            let mut params = Params::parse(req.query_string())?;
            let value = T::take(&mut params)?;
            params.finish()?;
            Ok(Self(value))
        };
        ready(read())
    }
}

/// 400 for a query parameter that nobody takes.
pub fn unknown_parameter(name: &str) -> Problem {
    let detail = format!("There is no query parameter {name:?} here.");
    Problem::parameter(Code::UnknownParameter, name, detail)
}

/// The first query parameter of a request to an operation that documents none. What carries a body or `If-Match`
/// refuses it before it writes, reads after they are answered (see [`crate::server`]).
pub fn stray(req: &HttpRequest) -> Option<String> {
    let api = ["/management/v1/", "/delivery/v1/"]
        .iter()
        .any(|face| req.path().starts_with(face));
    if !api || crate::openapi::takes_query(req.path(), req.method().as_str()) {
        return None;
    }
    let mut pairs = url::form_urlencoded::parse(req.query_string().as_bytes());
    pairs.next().map(|(name, _)| name.into_owned())
}

/// A request that takes no query parameters at all.
pub struct NoParams;

impl FromParams for NoParams {
    fn take(_: &mut Params) -> Result<Self> {
        Ok(Self)
    }
}

impl Params {
    /// Splits a query string.
    pub fn parse(query: &str) -> Result<Self> {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if value.contains('\u{FFFD}') || value.chars().any(|c| c.is_control()) {
                return Err(Problem::parameter(
                    Code::InvalidParameter,
                    &name,
                    format!("{name} is not UTF-8 text without control characters."),
                ));
            }
            values.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        Ok(Self { values })
    }

    /// Refuses what nobody took.
    pub fn finish(self) -> Result<()> {
        match self.values.keys().next() {
            None => Ok(()),
            Some(name) => Err(unknown_parameter(name)),
        }
    }

    /// A parameter with one value.
    pub fn one(&mut self, name: &str) -> Result<Option<String>> {
        match self.values.remove(name) {
            None => Ok(None),
            Some(mut values) if values.len() == 1 => Ok(values.pop()),
            Some(_) => Err(Problem::parameter(
                Code::InvalidParameter,
                name,
                format!("{name} may be given once."),
            )),
        }
    }

    /// A parameter with several values, by comma or by repetition; empty values are refused.
    pub fn many(&mut self, name: &str, max: usize) -> Result<Vec<String>> {
        let Some(values) = self.values.remove(name) else {
            return Ok(Vec::new());
        };
        let parts: Vec<String> = values
            .iter()
            .flat_map(|value| value.split(','))
            .map(|part| part.trim().to_owned())
            .collect();
        if parts.iter().any(String::is_empty) {
            return Err(invalid(name, "has an empty value"));
        }
        if parts.len() > max {
            return Err(invalid(name, &format!("takes at most {max} values")));
        }
        Ok(parts)
    }

    /// A parameter with several values of an enumeration.
    pub fn several<T: Copy>(&mut self, name: &str, known: &[(&str, T)]) -> Result<Vec<T>> {
        self.many(name, 100)?
            .iter()
            .map(|value| choose(name, value, known))
            .collect()
    }

    /// The values of `include`: known, each once, in any order.
    pub fn include<T: Copy + Ord>(&mut self, known: &[(&str, T)]) -> Result<Vec<T>> {
        let mut list = self.several("include", known)?;
        let given = list.len();
        list.sort();
        list.dedup();
        if list.len() < given {
            Err(invalid("include", "names a value twice"))
        } else {
            Ok(list)
        }
    }

    /// A parameter with one value of an enumeration.
    pub fn choice<T: Copy>(&mut self, name: &str, known: &[(&str, T)]) -> Result<Option<T>> {
        self.one(name)?.map(|value| choose(name, &value, known)).transpose()
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>> {
        self.choice(name, &[("true", true), ("false", false)])
    }

    /// A point in time.
    pub fn time(&mut self, name: &str) -> Result<Option<Time>> {
        let parse = |text: String| {
            Time::parse(&text).ok_or_else(|| invalid(name, "must be RFC 3339 such as 2026-11-23T08:00:00Z"))
        };
        self.one(name)?.map(parse).transpose()
    }

    /// One id.
    pub fn id(&mut self, name: &str) -> Result<Option<Id>> {
        let parse = |text: String| Id::parse(&text).ok_or_else(|| invalid(name, "must be an id"));
        self.one(name)?.map(parse).transpose()
    }

    /// Several ids.
    pub fn ids(&mut self, name: &str, max: usize) -> Result<Vec<Id>> {
        let values = self.many(name, max)?;
        values
            .iter()
            .map(|text| Id::parse(text).ok_or_else(|| invalid(name, "takes ids")))
            .collect()
    }

    /// Slugs or ids of sections, tags, authors.
    pub fn references(&mut self, name: &str) -> Result<Vec<String>> {
        let values = self.many(name, 50)?;
        match values
            .iter()
            .find(|value| !crate::text::is_slug(value) && Id::parse(value).is_none())
        {
            Some(bad) => Err(invalid(name, &format!("takes slugs or ids, and {bad:?} is neither"))),
            None => Ok(values),
        }
    }

    /// Text to look for, 1-200 characters, never split.
    pub fn words(&mut self, name: &str) -> Result<Option<String>> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let text = text.trim().to_owned();
        if text.is_empty() || text.chars().count() > 200 {
            return Err(invalid(name, "must have 1-200 characters"));
        }
        Ok(Some(text))
    }
}

fn choose<T: Copy>(name: &str, value: &str, known: &[(&str, T)]) -> Result<T> {
    known
        .iter()
        .find(|(text, _)| *text == value)
        .map(|(_, choice)| *choice)
        .ok_or_else(|| {
            let list: Vec<&str> = known.iter().map(|(text, _)| *text).collect();
            invalid(name, &format!("must be one of {}", list.join(", ")))
        })
}

/// 400 about a parameter.
pub fn invalid(name: &str, what: &str) -> Problem {
    Problem::parameter(
        Code::InvalidParameter,
        name,
        format!("The query parameter {name} {what}."),
    )
}

/// Extractor: the id in the path. What is no id names nothing.
#[derive(Debug, Clone)]
pub struct PathId(pub Id);

impl FromRequest for PathId {
    type Error = Problem;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = req.match_info().iter().next().and_then(|(_, text)| Id::parse(text));
        ready(id.map(Self).ok_or_else(|| Problem::not_found("item")))
    }
}

/// Extractor: the id or slug in the path of a delivery address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRef {
    /// An id.
    Id(Id),
    /// A slug, or text that no slug is equal to.
    Slug(String),
}

impl PathRef {
    /// Reads a segment of a path; none when nothing can be named by it.
    pub fn parse(text: &str) -> Option<Self> {
        match Id::parse(text) {
            Some(id) => Some(Self::Id(id)),
            None => crate::text::is_slug(text).then(|| Self::Slug(text.to_owned())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Id(id) => id.as_str(),
            Self::Slug(slug) => slug,
        }
    }
}

impl FromRequest for PathRef {
    type Error = Problem;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = req.match_info().iter().next().map_or("", |(_, text)| text);
        ready(Self::parse(text).ok_or_else(|| Problem::not_found("item")))
    }
}

/// The header of a guarded write, for the documents.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "a description: the header is read by IfMatch")]
pub struct IfMatchParam {
    /// The `ETag` you read (its `version` in quotation marks), or `*` to write whatever the version is.
    #[param(rename = "If-Match", example = "\"3\"")]
    if_match: String,
}

/// The header of a request that may be sent twice, for the documents.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "a description: the header is read by IdempotencyKey")]
pub struct IdempotencyParam {
    /// A key of your choice: the same request sent again within 24 hours does its work once and is answered alike.
    // No example: the docs page would fill it in, and the second try of a request would be refused or replayed.
    #[param(rename = "Idempotency-Key", required = false, nullable = false, value_type = String, min_length = 1, max_length = 255)]
    idempotency_key: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_choose_its_address_behind_a_proxy() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let proxy = ip("127.0.0.1");
        let trusted = BTreeSet::from([proxy]);
        let seen_by = |peer: &str, lines: &[&'static str]| {
            let mut headers = header::HeaderMap::new();
            for line in lines {
                let line = header::HeaderValue::from_bytes(line.as_bytes()).expect("a value");
                headers.append(header::X_FORWARDED_FOR, line);
            }
            address_behind(Some(SocketAddr::new(ip(peer), 4711)), &headers, &trusted)
        };
        let seen = |lines: &[&'static str]| seen_by("127.0.0.1", lines);
        assert_eq!(seen(&["203.0.113.7"]), ip("203.0.113.7"));
        assert_eq!(seen(&["6.6.6.6, x, 203.0.113.7"]), ip("203.0.113.7"));
        assert_eq!(seen(&["6.6.6.6", "203.0.113.7, 127.0.0.1"]), ip("203.0.113.7"));
        assert_eq!(seen(&["6.6.6.6, 203.0.113.7", "127.0.0.1"]), ip("203.0.113.7"));
        assert_eq!(seen(&["6.6.6.6, nonsense"]), proxy);
        assert_eq!(
            seen(&["6.6.6.6", "\u{ff}, 203.0.113.7"]),
            proxy,
            "a line of more than ASCII"
        );
        assert_eq!(seen(&[]), proxy);
        assert_eq!(seen_by("198.51.100.9", &["203.0.113.7"]), ip("198.51.100.9"));
    }
}
