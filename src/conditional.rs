//! Versions and validators: `If-Match` for editors (RFC 9110), `ETag` and 304 for readers.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use serde::Serialize;

use crate::cache::Entry;
use crate::error::{Code, Problem, Result};
use crate::request::{stray, unknown_parameter};
use crate::types::Time;

/// What the caller says about the version they mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// Nothing.
    Absent,
    /// `*`: whatever there is.
    Any,
    /// One of these.
    Tags(Vec<String>),
    /// A weak tag, which cannot guard a write.
    Weak,
    /// Neither `*` nor entity tags; refused when it is needed, after what comes before it.
    Malformed,
    /// The address has query parameters, which this operation does not take; refused like a malformed header.
    Stray(String),
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let values: Vec<&[u8]> = req
            .headers()
            .get_all(header::IF_MATCH)
            .map(|value| value.as_bytes())
            .collect();
        ready(Ok(match stray(req) {
            Some(name) => Self::Stray(name),
            None => Self::parse(&values),
        }))
    }
}

impl IfMatch {
    fn parse(values: &[&[u8]]) -> Self {
        Self::read(values).unwrap_or(Self::Malformed)
    }

    fn read(values: &[&[u8]]) -> Option<Self> {
        if values.is_empty() {
            return Some(Self::Absent);
        }
        let text = String::from_utf8(values.join(&b", "[..])).ok()?;
        if text.trim() == "*" {
            return Some(Self::Any);
        }
        let (mut tags, mut weak) = (Vec::new(), false);
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            weak |= part.starts_with("W/");
            let part = part.strip_prefix("W/").unwrap_or(part);
            let inner = part.strip_prefix('"').and_then(|part| part.strip_suffix('"'))?;
            if inner.contains('"') {
                return None;
            }
            tags.push(inner.to_owned());
        }
        match (tags.is_empty(), weak) {
            (true, _) => None,
            (false, true) => Some(Self::Weak),
            (false, false) => Some(Self::Tags(tags)),
        }
    }

    /// The guard of a write: 428 when it is missing.
    pub fn required(self) -> Result<Guard> {
        match self {
            Self::Absent => Err(Problem::new(
                Code::PreconditionRequired,
                "Send If-Match with the ETag you read, or * to write whatever the version is.",
            )),
            Self::Malformed => Err(Problem::parameter(
                Code::InvalidHeader,
                "If-Match",
                "If-Match must be * or entity tags such as \"3\".",
            )),
            Self::Stray(name) => Err(unknown_parameter(&name)),
            given => Ok(Guard(given)),
        }
    }
}

/// An `If-Match` that was sent.
#[derive(Debug, Clone)]
pub struct Guard(IfMatch);

impl Guard {
    /// A guard that any version passes, for writes whose caller need not name one.
    pub fn any() -> Self {
        Self(IfMatch::Any)
    }

    /// A guard that one version passes.
    pub fn version(version: i64) -> Self {
        Self(IfMatch::Tags(vec![version.to_string()]))
    }

    /// 412 unless this is the version the caller means.
    pub fn check(&self, version: i64) -> Result<()> {
        match &self.0 {
            IfMatch::Any => Ok(()),
            IfMatch::Tags(tags) if tags.contains(&version.to_string()) => Ok(()),
            IfMatch::Weak => Err(Problem::new(
                Code::WeakEtag,
                "If-Match compares strongly: send the ETag as it was given, without W/.",
            )
            .with("current_version", version)),
            _ => Err(Problem::new(
                Code::VersionMismatch,
                format!("It is at version {version} now: read it again, and repeat the change on what you find."),
            )
            .with("current_version", version)),
        }
    }
}

/// A strong entity tag for a management item.
pub fn version_tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// Most stories are smaller, in bytes.
const TYPICAL_BODY: usize = 16 * 1024;

/// Cache lifetime of delivery answers (seconds fresh, seconds stale while revalidating).
pub const PUBLIC: &str = "public, max-age=30, stale-while-revalidate=30";

/// What a delivery answer is made of.
pub struct Made {
    /// The bytes.
    pub body: Vec<u8>,
    /// Their media type.
    pub media_type: &'static str,
    /// The newest thing in it.
    pub last_modified: Option<Time>,
    /// Purge keys.
    pub keys: Vec<String>,
    /// `Link` header.
    pub link: Option<String>,
    /// How long it holds.
    pub lifetime: Lifetime,
    /// `Content-Security-Policy` header, for what browsers would show as a page.
    pub policy: Option<&'static str>,
}

/// How long an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until one of its purge keys changes; caches elsewhere keep it for [`PUBLIC`].
    Followed,
    /// Until anything changes; caches elsewhere ask each time whether it still holds.
    Revalidated,
    /// It changes with time alone: so many seconds.
    Seconds(u32),
}

impl Lifetime {
    /// The `Cache-Control` header.
    pub fn cache_control(self) -> String {
        match self {
            Self::Followed => PUBLIC.to_owned(),
            Self::Revalidated => "public, no-cache".to_owned(),
            Self::Seconds(seconds) => format!("public, max-age={seconds}"),
        }
    }
}

impl Made {
    /// A JSON answer that holds until one of its keys changes.
    pub fn json(
        value: &impl Serialize,
        last_modified: Option<Time>,
        keys: Vec<String>,
        link: Option<String>,
    ) -> Result<Self> {
        Ok(Self {
            body: bytes_of(value)?,
            media_type: "application/json",
            last_modified,
            keys,
            link,
            lifetime: Lifetime::Followed,
            policy: None,
        })
    }
}

/// JSON in a buffer of its size. Grown from nothing, a story's would be moved six times on the way.
fn bytes_of(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut body = Vec::with_capacity(TYPICAL_BODY);
    serde_json::to_writer(&mut body, value).map_err(Problem::internal)?;
    body.shrink_to_fit();
    Ok(body)
}

/// Answers with something that no change of the public truth touches: validators, cache headers, 304.
pub fn deliver(req: &HttpRequest, made: Made) -> HttpResponse {
    Entry::new(made, 0, Vec::new(), false).answer(req.head()).into()
}

/// RFC 9110 §13.2.2: `If-None-Match` decides when it is there, by weak comparison; else `If-Modified-Since`.
pub fn is_fresh(headers: &HeaderMap, hash: &str, modified: Option<Time>) -> bool {
    let mut lines = headers.get_all(header::IF_NONE_MATCH).peekable();
    if lines.peek().is_some() {
        let mut tags = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','));
        return tags.any(|given| {
            let given = given.trim().trim_start_matches("W/");
            // The coding that the tag ends with does not matter: it is the same content.
            given == "*"
                || given
                    .trim_matches('"')
                    .rsplit_once('-')
                    .is_some_and(|(given, _)| given == hash)
        });
    }
    let since = headers
        .get(header::IF_MODIFIED_SINCE)
        .and_then(|value| value.to_str().ok());
    match (since.and_then(|text| httpdate::parse_http_date(text).ok()), modified) {
        (Some(since), Some(modified)) => {
            let since: chrono::DateTime<chrono::Utc> = since.into();
            modified.ms() / 1000 <= since.timestamp()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> IfMatch {
        IfMatch::parse(&[text.as_bytes()])
    }

    #[test]
    fn if_match_is_read_as_the_standard_says() {
        assert_eq!(parse("*"), IfMatch::Any);
        assert_eq!(parse("\"3\", \"4\""), IfMatch::Tags(vec!["3".into(), "4".into()]));
        assert_eq!(parse("W/\"3\""), IfMatch::Weak);
        for malformed in ["3", "", "\"3", "\"a\"b\""] {
            assert_eq!(parse(malformed), IfMatch::Malformed);
            assert_eq!(
                parse(malformed).required().expect_err(malformed).code(),
                Code::InvalidHeader
            );
        }
    }

    #[test]
    fn a_guard_lets_only_its_version_pass() {
        let guard = parse("\"3\"").required().expect("a guard");
        assert!(guard.check(3).is_ok());
        assert_eq!(guard.check(4).expect_err("stale").code(), Code::VersionMismatch);
        assert_eq!(
            IfMatch::Absent.required().expect_err("missing").code(),
            Code::PreconditionRequired
        );
        let weak = parse("W/\"3\"").required().expect("a guard");
        assert_eq!(weak.check(3).expect_err("weak").code(), Code::WeakEtag);
    }
}
