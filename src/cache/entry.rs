//! One answer, rendered: its bytes in every coding it was asked for, its headers, and until when it holds.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::body::{self, BoxBody};
use actix_web::dev::RequestHead;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use twox_hash::XxHash3_128;

use crate::changes::Cell;
use crate::conditional::{Lifetime, Made, is_fresh};
use crate::types::Time;

/// A response as the protocol's layer sends it.
pub type Response = actix_http::Response<BoxBody>;

/// The header with the purge keys.
pub const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const BR: HeaderValue = HeaderValue::from_static("br");
/// Bodies below this many bytes are not worth compressing: they fit one packet anyway.
const WORTH_COMPRESSING: usize = 512;
/// Brotli's quality: five costs about 40 µs a KiB and saves what eleven would to within a few per cent.
const BROTLI_QUALITY: i32 = 5;
/// Most bytes of `Surrogate-Key`.
const KEYS_LIMIT: usize = 2048;
/// What an entry weighs besides its bytes.
const OVERHEAD: usize = 1024;

/// A content coding (RFC 9110, RFC 7932, RFC 1952).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// gzip.
    Gzip,
    /// Brotli.
    Brotli,
}

impl Coding {
    /// The best one that the client takes (RFC 9110 §12.5.3). Brotli before gzip when both weigh the same: it is smaller.
    /// `*` is taken for gzip, which is old enough for whoever does not name what they know.
    pub fn accepted(headers: &HeaderMap) -> Self {
        let (mut brotli, mut gzip, mut identity, mut rest) = (None, None, None, None);
        let lines = headers.get_all(header::ACCEPT_ENCODING);
        for part in lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
        {
            let mut parts = part.split(';');
            let name = parts.next().unwrap_or_default().trim();
            let known = if name.eq_ignore_ascii_case("br") {
                &mut brotli
            } else if name.eq_ignore_ascii_case("gzip") {
                &mut gzip
            } else if name.eq_ignore_ascii_case("identity") {
                &mut identity
            } else if name == "*" {
                &mut rest
            } else {
                continue;
            };
            *known = Some(parts.next().map_or(1.0, weight));
        }
        let (brotli, gzip) = (brotli.unwrap_or(0.0), gzip.or(rest).unwrap_or(0.0));
        let identity = identity.unwrap_or(0.0);
        if brotli > 0.0 && brotli >= gzip && brotli >= identity {
            Self::Brotli
        } else if gzip > 0.0 && gzip >= identity {
            Self::Gzip
        } else {
            Self::Identity
        }
    }
}

/// The weight in a parameter `q=0.5`; none in what is no weight.
fn weight(parameter: &str) -> f32 {
    let named = parameter
        .split_once('=')
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    named.and_then(|(_, text)| text.trim().parse().ok()).unwrap_or(0.0)
}

/// A rendered answer.
pub struct Entry {
    seq: i64,
    depends_on: Vec<Cell>,
    until: Option<Instant>,
    identity: Bytes,
    compressible: bool,
    gzip: OnceLock<Option<Bytes>>,
    brotli: OnceLock<Option<Bytes>>,
    tags: [OnceLock<HeaderValue>; 3],
    hash: String,
    modified: Option<(Time, HeaderValue)>,
    settled: AtomicBool,
    media_type: HeaderValue,
    cache_control: HeaderValue,
    keys: HeaderValue,
    extra: Vec<(HeaderName, HeaderValue)>,
}

impl Entry {
    /// Renders an answer that was made at change number `seq` and holds while nothing it depends on is newer.
    pub fn new(made: Made, seq: i64, depends_on: Vec<Cell>, compressible: bool) -> Self {
        // 128 bits tell any two bodies apart that were not made to be taken for each other.
        let hash = URL_SAFE_NO_PAD.encode(XxHash3_128::oneshot(&made.body).to_be_bytes());
        // HTTP has no dates before 1970.
        let modified = made.last_modified.filter(|time| time.ms() >= 0).map(|time| {
            let date = httpdate::fmt_http_date(time.to_chrono().into());
            (time, header_value(&date))
        });
        let until = match made.lifetime {
            Lifetime::Seconds(seconds) => Some(Instant::now() + Duration::from_secs(seconds.into())),
            Lifetime::Followed | Lifetime::Revalidated => None,
        };
        let mut extra = Vec::new();
        if let Some(link) = made.link {
            extra.push((header::LINK, header_value(&link)));
        }
        if let Some(policy) = made.policy {
            extra.push((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)));
        }
        Self {
            seq,
            depends_on,
            until,
            compressible: compressible && made.body.len() >= WORTH_COMPRESSING,
            identity: made.body.into(),
            gzip: OnceLock::new(),
            brotli: OnceLock::new(),
            tags: Default::default(),
            hash,
            modified,
            settled: AtomicBool::new(false),
            media_type: HeaderValue::from_static(made.media_type),
            cache_control: header_value(&made.lifetime.cache_control()),
            // The site's settings are part of every answer, so its key comes first and is never cut off.
            keys: header_value(&surrogate_keys(std::iter::once("site".to_owned()).chain(made.keys))),
            extra,
        }
    }

    /// Whether nothing it depends on has changed, and its time is not over.
    pub fn is_current(&self) -> bool {
        self.depends_on
            .iter()
            .all(|cell| cell.load(Ordering::Acquire) <= self.seq)
            && self.until.is_none_or(|until| Instant::now() < until)
    }

    /// What it weighs in memory, in bytes. The compressed forms are counted from the start, at the most they can be:
    /// they are kept only when smaller, and come later.
    pub fn weight(&self) -> usize {
        let forms = if self.compressible { 2 } else { 1 };
        OVERHEAD + self.identity.len() * forms + self.depends_on.len() * 8
    }

    /// Whether the form that this client takes is at hand without compressing.
    pub fn is_ready(&self, request: &RequestHead) -> bool {
        match Coding::accepted(&request.headers) {
            _ if !self.compressible => true,
            Coding::Identity => true,
            Coding::Gzip => self.gzip.get().is_some(),
            Coding::Brotli => self.brotli.get().is_some(),
        }
    }

    /// The entity tag of its bytes in a coding.
    fn tag(&self, coding: Coding) -> &HeaderValue {
        self.tags[coding as usize].get_or_init(|| {
            let letter = match coding {
                Coding::Identity => 'i',
                Coding::Gzip => 'g',
                Coding::Brotli => 'b',
            };
            header_value(&format!("\"{}-{letter}\"", self.hash))
        })
    }

    /// Whether its date tells it from what came before: within a second a date cannot tell two versions apart.
    fn is_settled(&self, modified: Time) -> bool {
        self.settled.load(Ordering::Relaxed) || {
            let settled = Time::now().ms() - modified.ms() >= 1000;
            self.settled.store(settled, Ordering::Relaxed);
            settled
        }
    }

    /// The bytes in a coding, compressed once; identity when compressing does not pay.
    fn form(&self, coding: Coding) -> (Coding, &Bytes) {
        let kept = match coding {
            _ if !self.compressible => None,
            Coding::Identity => None,
            Coding::Gzip => self
                .gzip
                .get_or_init(|| smaller(gzip(&self.identity), &self.identity))
                .as_ref(),
            Coding::Brotli => self
                .brotli
                .get_or_init(|| smaller(brotli(&self.identity), &self.identity))
                .as_ref(),
        };
        match kept {
            Some(bytes) => (coding, bytes),
            None => (Coding::Identity, &self.identity),
        }
    }

    /// Answers a request (RFC 9110 §13, §12.5.3): 304 when the client has it, else the best form.
    pub fn answer(&self, request: &RequestHead) -> Response {
        let (coding, bytes) = self.form(Coding::accepted(&request.headers));
        let modified = self.modified.as_ref().filter(|(time, _)| self.is_settled(*time));
        let fresh = is_fresh(&request.headers, &self.hash, modified.map(|(time, _)| *time));
        let mut response = if fresh {
            Response::with_body(StatusCode::NOT_MODIFIED, BoxBody::new(body::None::new()))
        } else {
            Response::with_body(StatusCode::OK, BoxBody::new(bytes.clone()))
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.tag(coding).clone());
        headers.insert(header::CACHE_CONTROL, self.cache_control.clone());
        headers.insert(header::VARY, ACCEPT_ENCODING);
        headers.insert(SURROGATE_KEY, self.keys.clone());
        // A 304 says what is needed to go on using what the client has (RFC 9110 §15.4.5), and its tag is enough of that.
        if !fresh {
            if let Some((_, date)) = modified {
                headers.insert(header::LAST_MODIFIED, date.clone());
            }
            for (name, value) in &self.extra {
                headers.insert(name.clone(), value.clone());
            }
            headers.insert(header::CONTENT_TYPE, self.media_type.clone());
            match coding {
                Coding::Identity => {}
                Coding::Gzip => _ = headers.insert(header::CONTENT_ENCODING, GZIP),
                Coding::Brotli => _ = headers.insert(header::CONTENT_ENCODING, BR),
            }
        }
        response
    }
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

fn smaller(compressed: std::io::Result<Vec<u8>>, identity: &Bytes) -> Option<Bytes> {
    let compressed = compressed.ok()?;
    (compressed.len() < identity.len()).then(|| Bytes::from(compressed.into_boxed_slice()))
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn brotli(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        // A window that is not larger than the body keeps the encoder's memory small.
        lgwin: bytes.len().next_power_of_two().ilog2().clamp(10, 22) as i32,
        size_hint: bytes.len(),
        ..Default::default()
    };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &*bytes, &mut compressed, &parameters)?;
    Ok(compressed)
}

fn surrogate_keys(keys: impl Iterator<Item = String>) -> String {
    let mut line = String::new();
    for key in keys {
        if line.len() + key.len() + 1 > KEYS_LIMIT {
            break;
        }
        if !line.split(' ').any(|known| known == key) {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&key);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(text: &'static str) -> Coding {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(text));
        Coding::accepted(&headers)
    }

    #[test]
    fn the_best_coding_that_the_client_takes() {
        assert_eq!(Coding::accepted(&HeaderMap::new()), Coding::Identity);
        assert_eq!(accepted("gzip, deflate, br, zstd"), Coding::Brotli);
        assert_eq!(accepted("br;q=0.5, gzip"), Coding::Gzip);
        assert_eq!(accepted("br;q=0, gzip;q=0"), Coding::Identity);
        assert_eq!(accepted("identity"), Coding::Identity);
        assert_eq!(accepted("GZIP;q=0.1"), Coding::Gzip);
        assert_eq!(accepted("*"), Coding::Gzip);
        assert_eq!(accepted("br;q=nonsense"), Coding::Identity);
        assert_eq!(accepted("gzip;q=0.5, identity"), Coding::Identity);
        assert_eq!(accepted("gzip;q=0.2,identity;q=0.9,br;q=0.1"), Coding::Identity);
        assert_eq!(accepted("br, identity"), Coding::Brotli);
        assert_eq!(accepted("gzip;q=0, *"), Coding::Identity);
        assert_eq!(accepted("br; Q=0.4 ;x, gzip ; q=0.3"), Coding::Brotli);
    }

    #[test]
    fn compressed_forms_hold_the_same_bytes() {
        let text = "Lũ rút trên sông Cầu. ".repeat(300).into_bytes();
        let mut plain = Vec::new();
        brotli::BrotliDecompress(&mut &*brotli(&text).expect("compressed"), &mut plain).expect("plain");
        assert_eq!(plain, text);
        let mut plain = Vec::new();
        let packed = gzip(&text).expect("compressed");
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*packed), &mut plain).expect("plain");
        assert_eq!(plain, text);
    }
}
