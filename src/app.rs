//! The state that handlers get: the database, the media store, keys, settings.

use std::sync::Arc;

use actix_web::web;
use tokio::sync::{Notify, Semaphore, watch};

use crate::auth::api_keys::GoodKeys;
use crate::auth::passwords::Hashing;
use crate::auth::tokens::Keys;
use crate::cache::Cache;
use crate::changes::streams::Streams;
use crate::config::Config;
use crate::db::{self, Db};
use crate::idempotency::InFlight;
use crate::images::turns::Turns;
use crate::images::variants::Variants;
use crate::known::Known;
use crate::limits::Limits;
use crate::mail::Mailer;
use crate::media::MediaStore;
use crate::media::hot::HotFiles;
use crate::retention::clock::Watch;
use crate::search::Heads;
use crate::views::Views;
use crate::webhooks::sending::Webhooks;

/// The state, as handlers take it.
pub type State = web::Data<App>;

/// Everything that outlives a request.
pub struct App {
    /// All settings.
    pub config: Config,
    /// The one door to the database.
    pub db: Db,
    /// Where image files are kept.
    pub media: MediaStore,
    /// What signs tokens.
    pub keys: Keys,
    /// API keys that were good when they were last seen.
    pub good_keys: GoodKeys,
    /// Rate limits.
    pub limits: Limits,
    /// Idempotency keys whose work is running here.
    pub in_flight: InFlight,
    /// Hashes passwords, one a core at a time.
    pub hashing: Hashing,
    /// Whose turn it is to decode a picture.
    pub decoding: Turns,
    /// One upload that is decoded or waits for it per permit; when none is left, uploads are refused for now.
    pub uploads: Arc<Semaphore>,
    /// Other sizes of pictures, and what is going on with them.
    pub variants: Variants,
    /// Small files that were served lately.
    pub hot: HotFiles,
    /// Sends mail; none when it is not set up.
    pub mail: Option<Mailer>,
    /// Wakes the sender when something was queued here.
    pub outbox: Notify,
    /// Sends webhooks.
    pub webhooks: Webhooks,
    /// Delivery's answers, rendered.
    pub cache: Cache,
    /// Names and image files that stories point at.
    pub known: Known,
    /// What searches came upon lately.
    pub heads: Heads,
    /// How often stories are opened.
    pub views: Views,
    /// Whether the clock may be believed when something is deleted for its age.
    pub retention: Watch,
    /// The streams of changes that are open.
    pub streams: Arc<Streams>,
    /// Turns true when the program is asked to stop, for what would go on for ever.
    pub stopping: watch::Sender<bool>,
}

/// Uploads that may wait for a decoder; each holds a spooled file and no memory.
const WAITING_UPLOADS: usize = 32;

impl App {
    /// Opens everything. The error is one line for the operator.
    pub fn open(config: Config) -> Result<Self, String> {
        if config.auto_migrate {
            db::migrate(&config.database)?;
        } else {
            db::check_schema(&config.database)?;
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let db = Db::open(&config.database)?;
        let media = MediaStore::open(&config.media_url)?;
        Ok(Self {
            keys: Keys::new(config.jwt_secret.expose()),
            good_keys: GoodKeys::default(),
            limits: Limits::new(config.rate_limits),
            in_flight: InFlight::default(),
            hashing: Hashing::new(cores),
            decoding: Turns::new(cores),
            uploads: Arc::new(Semaphore::new(cores + WAITING_UPLOADS)),
            variants: Variants::new(),
            hot: HotFiles::new(config.media_cache_bytes),
            mail: Mailer::open(&config)?,
            outbox: Notify::new(),
            webhooks: Webhooks::new(config.webhook_allow_private.clone()),
            cache: Cache::new(config.cache_bytes),
            known: Known::new(db.truth()),
            heads: Heads::new(db.truth()),
            views: Views::new(),
            retention: Watch::default(),
            streams: Arc::default(),
            stopping: watch::channel(false).0,
            db,
            media,
            config,
        })
    }
}
