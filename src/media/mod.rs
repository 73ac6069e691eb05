//! Where the bytes of pictures are kept: a folder, an S3 bucket, or memory for tests.

pub mod check;
pub mod delivery;
pub mod hot;
mod ledger;
pub mod moving;
pub mod sweep;

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as StorePath;
use object_store::prefix::PrefixStore;
use object_store::{
    Attribute, AttributeValue, Attributes, BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, RetryConfig,
};

use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::error::{Code, Problem};
use crate::types::Time;

/// A connection that is not made in this time will not be.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// No request waits longer for the store, retries included.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Tries after the first; each one also ends by [`WHOLE_TIMEOUT`].
const RETRIES: usize = 3;
/// Larger files go to a bucket in parts: each has the time of a whole request, and only what failed is sent again.
const ONE_REQUEST: usize = 8 * 1024 * 1024;
/// The size of a part; S3 takes none below 5 MiB but the last.
const PART: usize = 5 * 1024 * 1024;
/// Parts that are sent at once.
const PARTS_AT_ONCE: usize = 3;
/// Settings of the store that files are moved to, where it needs others than the one they come from.
const OTHER: &str = "TO_";
const MAX_KEY_BYTES: usize = 200;
/// What caches may do with files: they never change.
pub const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Why the store did not do what was asked.
#[derive(Debug)]
pub struct MediaError {
    /// A sentence that may be shown to anybody.
    pub public: &'static str,
    /// What happened, for the log.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// Whether the disk is full, which answers 507 instead of 503.
    pub full: bool,
}

impl MediaError {
    fn new(public: &'static str) -> Self {
        Self {
            public,
            cause: None,
            full: false,
        }
    }

    fn bad_key() -> Self {
        Self::new("No such media file can exist.")
    }

    fn slow() -> Self {
        Self::new("The media store did not answer in time.")
    }
}

impl From<object_store::Error> for MediaError {
    fn from(error: object_store::Error) -> Self {
        let full = is_disk_full(&error);
        let public = if full {
            "There is no room left for media."
        } else {
            "The media store is not available at the moment."
        };
        Self {
            public,
            cause: Some(Box::new(error)),
            full,
        }
    }
}

impl std::fmt::Display for MediaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.public)
    }
}

impl std::error::Error for MediaError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// Looks for "no space" anywhere in the chain of causes.
fn is_disk_full(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(this) = cause {
        if let Some(io) = this.downcast_ref::<io::Error>() {
            return is_full(io);
        }
        cause = this.source();
    }
    false
}

/// Whether a file could not grow: no room, a quota, a limit of the system.
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

impl From<MediaError> for Problem {
    fn from(error: MediaError) -> Self {
        let cause = error
            .cause
            .as_deref()
            .map_or(error.public.to_owned(), ToString::to_string);
        if error.full {
            Self::new(Code::StorageFull, error.public).because(cause)
        } else {
            Self::new(Code::Unavailable, error.public)
                .header("Retry-After", "5")
                .because(cause)
        }
    }
}

/// The bytes of a file, for the documents.
pub enum Binary {}

impl utoipa::PartialSchema for Binary {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
            .description(Some("The bytes of a file."))
            .into()
    }
}

impl utoipa::ToSchema for Binary {}

/// A stored file, or the part of it that was asked for.
#[derive(Debug, Clone)]
pub struct Object {
    /// The bytes in [`Self::range`].
    pub bytes: Bytes,
    /// The size of the whole file.
    pub size: u64,
    /// What part of it this is.
    #[cfg(test)]
    pub range: Range<u64>,
}

/// A file in the list of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written, by the store's clock.
    pub written: Time,
}

/// The place where media are kept. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MediaStore {
    store: Arc<dyn ObjectStore>,
    /// The folder, when it is one.
    folder: Option<PathBuf>,
    /// Whether large files go in parts.
    in_parts: bool,
}

impl MediaStore {
    /// Opens the store that a setting names: `file://data/media` (relative to the working folder, made when missing),
    /// `file:///srv/media`, `s3://bucket/prefix` (the rest from the usual `AWS_*` variables) or `memory://`.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong with the setting.
    pub fn open(url: &str) -> Result<Self, String> {
        Self::open_as(url, "")
    }

    /// Opens a store beside the one of the settings: a variable such as `TO_AWS_ENDPOINT` goes before `AWS_ENDPOINT`.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong with the address.
    pub fn open_other(url: &str) -> Result<Self, String> {
        Self::open_as(url, OTHER)
    }

    fn open_as(url: &str, before: &str) -> Result<Self, String> {
        let mut folder_of = None;
        let store: Arc<dyn ObjectStore> = if let Some(folder) = url.strip_prefix("file://") {
            folder_of = Some(PathBuf::from(folder));
            Arc::new(open_folder(url, folder)?)
        } else if let Some(place) = url.strip_prefix("s3://") {
            open_bucket(url, place, before)?
        } else if url == "memory://" {
            Arc::new(InMemory::new())
        } else {
            return Err(format!(
                "MEDIA_URL `{url}` is not understood: write file://FOLDER, s3://BUCKET/PREFIX or memory://"
            ));
        };
        Ok(Self {
            store,
            folder: folder_of,
            in_parts: url.starts_with("s3://"),
        })
    }

    /// The folder of a local store.
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.folder.as_deref()
    }

    /// Stores a file, whole or not at all; when this returns, it is on disk.
    ///
    /// # Errors
    ///
    /// [`MediaError`] for an impossible key, a store that cannot be reached, a full disk.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), MediaError> {
        let path = checked(key)?;
        if self.in_parts && bytes.len() > ONE_REQUEST {
            return self.put_parts(&path, self.attributes(key), &bytes).await;
        }
        let options = PutOptions {
            attributes: self.attributes(key),
            ..PutOptions::default()
        };
        in_time(async {
            Ok(self
                .store
                .put_opts(&path, PutPayload::from_bytes(bytes), options)
                .await?)
        })
        .await
        .map(drop)
    }

    /// What a bucket tells whoever gets a file from it directly, or through a CDN: the same as this program. A folder keeps
    /// no such things.
    fn attributes(&self, key: &str) -> Attributes {
        if !self.in_parts {
            return Attributes::new();
        }
        let extension = key.rsplit_once('.').map_or("", |(_, extension)| extension);
        let caching = match content_type(extension) {
            media_type if media_type.starts_with("image/") => IMMUTABLE,
            _ => "private, no-store",
        };
        Attributes::from_iter([
            (Attribute::ContentType, AttributeValue::from(content_type(extension))),
            (Attribute::CacheControl, AttributeValue::from(caching)),
        ])
    }

    /// The file is there when all parts are and the store was told so; otherwise the parts are thrown away.
    async fn put_parts(&self, path: &StorePath, attributes: Attributes, bytes: &Bytes) -> Result<(), MediaError> {
        let options = PutMultipartOptions {
            attributes,
            ..PutMultipartOptions::default()
        };
        let mut upload = in_time(async { Ok(self.store.put_multipart_opts(path, options).await?) }).await?;
        let mut parts = Vec::new();
        for start in (0..bytes.len()).step_by(PART) {
            let part = bytes.slice(start..bytes.len().min(start + PART));
            parts.push(upload.put_part(PutPayload::from_bytes(part)));
        }
        let mut sent = Ok(());
        while sent.is_ok() && !parts.is_empty() {
            let some = parts.split_off(parts.len().saturating_sub(PARTS_AT_ONCE));
            let some = some.into_iter().map(|part| in_time(async { Ok(part.await?) }));
            let all = futures_util::future::join_all(some).await;
            sent = all.into_iter().collect();
        }
        let done = match sent {
            Ok(()) => in_time(async { Ok(upload.complete().await?) }).await,
            Err(error) => Err(error),
        };
        let Err(error) = done else { return Ok(()) };
        if let Err(cause) = in_time(async { Ok(upload.abort().await?) }).await {
            tracing::warn!(%cause, "parts of a file that was not stored could not be thrown away");
        }
        Err(error)
    }

    /// Reads a file, or the given range of it (cut to the file's end). None when there is no such file. A range that is
    /// empty or begins behind the end gives no bytes.
    ///
    /// # Errors
    ///
    /// [`MediaError`] when the store cannot be reached. An impossible key is simply not found.
    pub async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Option<Object>, MediaError> {
        let Ok(path) = checked(key) else { return Ok(None) };
        if range.as_ref().is_some_and(Range::is_empty) {
            return self.nothing_of(key).await;
        }
        let options = GetOptions {
            range: range.clone().map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let read = in_time(async {
            match self.store.get_opts(&path, options).await {
                Ok(result) => {
                    let size = result.meta.size;
                    #[cfg(test)]
                    let range = result.range.clone();
                    Ok(Some(Object {
                        bytes: result.bytes().await?,
                        size,
                        #[cfg(test)]
                        range,
                    }))
                }
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await;
        match (read, range) {
            // The store calls a range behind the end an error; only the size tells that apart from a real one.
            (Err(error), Some(range)) => match self.size(key).await {
                Ok(Some(size)) if range.start >= size => self.nothing_of(key).await,
                _ => Err(error),
            },
            (read, _) => read,
        }
    }

    async fn nothing_of(&self, key: &str) -> Result<Option<Object>, MediaError> {
        let size = self.size(key).await?;
        Ok(size.map(|size| Object {
            bytes: Bytes::new(),
            size,
            #[cfg(test)]
            range: size..size,
        }))
    }

    /// The size of a file, or none when there is no such file.
    ///
    /// # Errors
    ///
    /// [`MediaError`] when the store cannot be reached.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, MediaError> {
        let Ok(path) = checked(key) else { return Ok(None) };
        in_time(async {
            match self.store.head(&path).await {
                Ok(meta) => Ok(Some(meta.size)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Deletes a file. One that is not there is deleted already.
    ///
    /// # Errors
    ///
    /// [`MediaError`] for an impossible key or a store that cannot be reached.
    pub async fn delete(&self, key: &str) -> Result<(), MediaError> {
        let path = checked(key)?;
        in_time(async {
            match self.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// All files, in no particular order. What is not named as this program names files is told as well.
    ///
    /// # Errors
    ///
    /// [`MediaError`] when the store cannot be reached.
    pub async fn list(&self) -> Result<Vec<Entry>, MediaError> {
        let mut found = self.store.list(None).map_ok(|meta| Entry {
            key: meta.location.to_string(),
            size: meta.size,
            written: Time::from_ms(meta.last_modified.timestamp_millis()),
        });
        let mut entries = Vec::new();
        while let Some(entry) = in_time(async { Ok(found.next().await.transpose()?) }).await? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, MediaError>>) -> Result<T, MediaError> {
    tokio::time::timeout(WHOLE_TIMEOUT, work)
        .await
        .unwrap_or_else(|_| Err(MediaError::slow()))
}

fn open_folder(url: &str, folder: &str) -> Result<LocalFileSystem, String> {
    if folder.is_empty() {
        return Err(format!("MEDIA_URL `{url}` names no folder"));
    }
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder).map_err(|e| format!("media folder {} cannot be made: {e}", folder.display()))?;
    // Without fsync a file that was acknowledged could be empty after a power cut.
    LocalFileSystem::new_with_prefix(&folder)
        .map(|store| store.with_fsync(true))
        .map_err(|e| format!("media folder {} cannot be used: {e}", folder.display()))
}

fn open_bucket(url: &str, place: &str, before: &str) -> Result<Arc<dyn ObjectStore>, String> {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.trim_matches('/');
    if bucket.is_empty() {
        return Err(format!("MEDIA_URL `{url}` names no bucket"));
    }
    let mut client = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout(WHOLE_TIMEOUT);
    // The builder would forget AWS_ALLOW_HTTP when it is given these options, so the choice is made again.
    let plain = |name: &str| {
        let value = std::env::var(format!("{before}{name}")).or_else(|_| std::env::var(name));
        value.is_ok_and(|value| value.starts_with("http://"))
    };
    if plain("AWS_ENDPOINT") || plain("AWS_ENDPOINT_URL") || plain("AWS_ENDPOINT_URL_S3") {
        client = client.with_allow_http(true);
    }
    let retry = RetryConfig {
        backoff: BackoffConfig {
            max_backoff: Duration::from_secs(5),
            ..BackoffConfig::default()
        },
        max_retries: RETRIES,
        retry_timeout: WHOLE_TIMEOUT,
    };
    let mut builder = AmazonS3Builder::from_env();
    if std::env::var_os("AWS_CHECKSUM_ALGORITHM").is_none() {
        // The store compares what came with what was sent, and refuses what was bent on the way.
        builder = builder.with_checksum_algorithm(Checksum::SHA256);
    }
    for (name, value) in std::env::vars() {
        let own = name
            .strip_prefix(before)
            .filter(|own| !before.is_empty() && own.starts_with("AWS_"));
        if let Some(key) = own.and_then(|own| own.to_ascii_lowercase().parse().ok()) {
            builder = builder.with_config(key, value);
        }
    }
    let store = builder
        .with_bucket_name(bucket)
        .with_client_options(client)
        .with_retry(retry)
        .build()
        .map_err(|e| format!("MEDIA_URL `{url}` cannot be used: {e}"))?;
    if prefix.is_empty() {
        return Ok(Arc::new(store));
    }
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

/// The only way from a key to a path: what does not pass cannot name anything, least of all outside the store.
fn checked(key: &str) -> Result<StorePath, MediaError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'/' | b'.' | b'_' | b'-');
    if key.is_empty()
        || key.len() > MAX_KEY_BYTES
        || !key.bytes().all(allowed)
        || key.split('/').any(|part| part.is_empty() || part.starts_with('.'))
        || key.contains("..")
    {
        return Err(MediaError::bad_key());
    }
    StorePath::parse(key).map_err(|_| MediaError::bad_key())
}

/// What all files of one picture have in common: `3f/3f9c…` of `3f/3f9c….jpg` and of the variants `3f/3f9c…-….webp`. None for
/// what this program has not named.
pub fn stem(key: &str) -> Option<&str> {
    const STEM: usize = 3 + 32;
    let (stem, rest) = key.split_at_checked(STEM)?;
    let (folder, name) = stem.split_once('/')?;
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    let ours = folder.len() == 2 && name.starts_with(folder) && hex(name) && rest.starts_with(['.', '-']);
    (ours && checked(key).is_ok()).then_some(stem)
}

/// A new key that nobody can guess, spread over 256 folders: `3f/3f9c….jpg`.
pub fn new_key(extension: &str) -> String {
    let random = rand::random::<u128>();
    format!("{:02x}/{random:032x}.{extension}", random >> 120)
}

/// The extension of files as they were uploaded: nothing serves them to readers.
pub const UPLOAD: &str = "upload";

/// The type that files with this extension are served with; nothing else is ever served as anything else.
pub fn content_type(extension: &str) -> &'static str {
    match extension {
        "jpg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "avif" => "image/avif",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
