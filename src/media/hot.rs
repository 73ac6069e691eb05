//! Small files that were served lately, in memory, and how a file in memory answers a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use actix_web::body::{self, BoxBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use super::IMMUTABLE;
use super::delivery::{Wanted, asked_range, is_known, range_of};
use crate::cache::Response;
use crate::types::Time;

/// A file is believed to be in the store for so long without a look: one that was removed is not served for ever.
const FRESH: Duration = Duration::from_secs(600);
/// The largest file that is kept, in bytes; a page's pictures are smaller.
const LARGEST: usize = 256 * 1024;
/// What a file weighs besides its bytes.
const OVERHEAD: usize = 512;
/// What one file weighs on the average, to size the table.
const TYPICAL_WEIGHT: u64 = 32 * 1024;
/// A file's use is told at most once in so many milliseconds.
const TOLD_EVERY: i64 = 60_000;

/// A file in memory, with its headers made.
pub struct File {
    bytes: Bytes,
    tag: HeaderValue,
    media_type: HeaderValue,
    until: Instant,
    told: AtomicI64,
}

impl File {
    /// A file's bytes; `tag` is its entity tag.
    pub fn new(bytes: Bytes, tag: &str, media_type: &'static str) -> Self {
        Self {
            bytes,
            tag: HeaderValue::from_str(tag).unwrap_or(HeaderValue::from_static("\"\"")),
            media_type: HeaderValue::from_static(media_type),
            until: Instant::now() + FRESH,
            told: AtomicI64::new(0),
        }
    }

    /// Whether this use is worth telling: the first one in a while.
    pub fn is_news(&self, now: Time) -> bool {
        let told = self.told.load(Ordering::Relaxed);
        if (now.ms() - told).abs() < TOLD_EVERY {
            return false;
        }
        self.told.store(now.ms(), Ordering::Relaxed);
        true
    }

    /// Answers a request (RFC 9110 §13, §14): 304 when the client has it, 206 for a range, 416 for one behind the end,
    /// which is none of ours to answer here.
    pub fn answer(&self, headers: &HeaderMap, head_only: bool) -> Option<Response> {
        let tag = self.tag.to_str().unwrap_or_default();
        let size = self.bytes.len() as u64;
        let (status, bytes, range) = if is_known(headers, tag) {
            (StatusCode::NOT_MODIFIED, None, None)
        } else {
            match asked_range(headers, tag)
                .filter(|_| !head_only)
                .map(|asked| range_of(asked, size))
            {
                None | Some(Wanted::All) => (StatusCode::OK, Some(self.bytes.clone()), None),
                Some(Wanted::Part(range)) => {
                    // The range lies within the bytes.
                    let part = self.bytes.slice(range.start as usize..range.end as usize);
                    (StatusCode::PARTIAL_CONTENT, Some(part), Some(range))
                }
                Some(Wanted::Nothing) => return None,
            }
        };
        let fresh = bytes.is_none();
        let body = match bytes {
            Some(bytes) => BoxBody::new(bytes),
            None => BoxBody::new(body::None::new()),
        };
        let mut response = Response::with_body(status, body);
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.tag.clone());
        for (name, value) in FOR_GOOD {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if !fresh {
            headers.insert(header::CONTENT_TYPE, self.media_type.clone());
        }
        if let Some(range) = range {
            let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(header::CONTENT_RANGE, value);
            }
        }
        Some(response)
    }
}

/// What every answer that speaks of a file says: keep it for good, run nothing of it, show it on any page.
pub const FOR_GOOD: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, IMMUTABLE),
    (header::ACCEPT_RANGES, "bytes"),
    (header::CONTENT_DISPOSITION, "inline"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
];

/// The files that were served lately; what is wanted least goes first.
pub struct HotFiles {
    files: quick_cache::sync::Cache<Box<str>, Arc<File>, Weight>,
}

/// A file's share of the bytes.
#[derive(Clone)]
struct Weight;

impl quick_cache::Weighter<Box<str>, Arc<File>> for Weight {
    fn weight(&self, key: &Box<str>, file: &Arc<File>) -> u64 {
        (key.len() + file.bytes.len() + OVERHEAD) as u64
    }
}

impl HotFiles {
    /// Room for so many bytes; 0 keeps nothing.
    pub fn new(bytes: u64) -> Self {
        let items = (bytes / TYPICAL_WEIGHT) as usize;
        Self {
            files: quick_cache::sync::Cache::with_weighter(items, bytes, Weight),
        }
    }

    /// The file with this key, if it was served lately.
    pub fn get(&self, key: &str) -> Option<Arc<File>> {
        self.files.get(key).filter(|file| Instant::now() < file.until)
    }

    /// Keeps a file, unless it is too large.
    pub fn keep(&self, key: &str, file: &Arc<File>) {
        if file.bytes.len() <= LARGEST {
            self.files.insert(key.into(), Arc::clone(file));
        }
    }

    /// Forgets a file that is removed from the store.
    pub fn forget(&self, key: &str) {
        self.files.remove(key);
    }
}
