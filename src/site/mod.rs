//! The site itself: its name, its languages, its time zone, and the text that readers consent to.
//!
//! There is one row, made from the settings when the program first starts and changed over the API from then on.

mod consent;
mod delivery;
mod management;

use std::collections::BTreeMap;

use diesel::prelude::*;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::app::App;
use crate::changes;
use crate::config::Config;
use crate::db::{Conn, Tx, Value, insert_once};
use crate::error::{Problem, Result};
use crate::request::hash;
use crate::schema::{consent_texts, meta, site};
use crate::types::Time;

pub use delivery::mount as mount_delivery;
pub use management::mount as mount_management;

/// The site as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteRow {
    /// Its name.
    pub name: String,
    /// Its languages; the first is the default.
    pub languages: Vec<String>,
    /// Its time zone, an IANA name.
    pub time_zone: String,
    /// The version of the text that readers consent to now.
    pub consent_version: i64,
    /// Raised by every change.
    pub version: i64,
    /// When it was last changed.
    pub updated_at: Time,
}

#[cfg(test)]
impl SiteRow {
    /// A site whose readers live by this time zone.
    pub fn of_time_zone(name: &str) -> Self {
        Self {
            name: "Báo".into(),
            languages: vec!["vi".into()],
            time_zone: name.into(),
            consent_version: 1,
            version: 1,
            updated_at: Time::from_ms(0),
        }
    }
}

impl SiteRow {
    /// The default language.
    pub fn default_language(&self) -> &str {
        self.languages.first().map_or("", String::as_str)
    }

    /// A time as the site's readers know it, to the minute, with its distance from UTC: `2026-11-26 10:04 +07:00`.
    pub fn moment(&self, time: Time) -> String {
        let at = Timestamp::from_millisecond(time.ms()).unwrap_or_default();
        let zone = TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC);
        at.to_zoned_datetime(zone).strftime("%Y-%m-%d %H:%M %:z").to_string()
    }

    /// Whether the newsroom gets its mail in Vietnamese: mails are written in two languages, and the first that the site has
    /// counts.
    pub fn writes_vietnamese(&self) -> bool {
        let known = self.languages.iter().find(|tag| matches!(tag.as_str(), "vi" | "en"));
        known.is_some_and(|tag| tag == "vi")
    }
}

/// What readers consent to before they send feedback.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Consent {
    /// Sent back as `consent_version` with the reader's message.
    #[schema(minimum = 1, example = 1)]
    pub version: i64,
    /// The text by language.
    #[schema(example = json!({ "vi": "Khi bạn gửi thư, …", "en": "When you send a message, …" }))]
    pub texts: BTreeMap<String, String>,
}

/// The site, with its languages parsed.
pub fn current(conn: &mut Conn) -> Result<SiteRow> {
    let row = site::table.find(1).first(conn).optional()?;
    read(row.ok_or_else(|| Problem::internal("the site has not been prepared: the program makes it at its start"))?)
}

/// The version of the text that readers consent to now.
pub fn consent_version(conn: &mut Conn) -> Result<i64> {
    Ok(site::table.find(1).select(site::consent_version).first(conn)?)
}

/// The columns of the one row.
type Columns = (i64, String, String, String, i64, i64, Time);

fn read((_, name, languages, time_zone, consent_version, version, updated_at): Columns) -> Result<SiteRow> {
    Ok(SiteRow {
        name,
        languages: serde_json::from_str(&languages).map_err(Problem::internal)?,
        time_zone,
        consent_version,
        version,
        updated_at,
    })
}

/// A version of the text; old ones are kept, because readers' messages name them.
fn consent(conn: &mut Conn, version: i64) -> Result<Consent> {
    let texts: String = consent_texts::table
        .find(version)
        .select(consent_texts::texts)
        .first(conn)?;
    let texts = serde_json::from_str(&texts).map_err(Problem::internal)?;
    Ok(Consent { version, texts })
}

/// Makes the site when there is none yet, and tells followers when the settings that answers are made with are not
/// those of the last start. Several instances may do this at the same moment.
pub async fn prepare(app: &App) -> Result<()> {
    let first = First::of(&app.config);
    app.db
        .write(move |tx| {
            changes::retention::begin(tx)?;
            first.insert(tx)?;
            note_settings(tx, &first.settings_hash)
        })
        .await
}

/// What the settings say, for the first start.
struct First {
    name: String,
    languages: String,
    time_zone: String,
    texts: String,
    settings_hash: String,
}

impl First {
    fn of(config: &Config) -> Self {
        let mut languages: Vec<&String> = Vec::new();
        for language in &config.languages {
            if !languages.contains(&language) {
                languages.push(language);
            }
        }
        let answers_are_made_with = json!([
            config.site_url,
            config.article_url,
            config.public_url,
            config.media_public_url,
            config.variants_public_url,
            config.avif,
            config.smtp_url.is_some()
        ]);
        let default = languages.first().map_or("en", |language| language.as_str());
        let texts = consent::first_texts(&config.site_name, config.feedback_retention_days, default);
        Self {
            name: config.site_name.clone(),
            languages: json!(languages).to_string(),
            time_zone: config.time_zone.clone(),
            texts: json!(texts).to_string(),
            settings_hash: hash(answers_are_made_with.to_string().as_bytes()),
        }
    }

    fn insert(&self, tx: &mut Tx<'_>) -> Result<()> {
        let now = Value::Int(tx.now.ms());
        insert_once(
            tx.conn,
            "INSERT INTO consent_texts (version, texts, created_ms) VALUES (1, $1, $2) ON CONFLICT DO NOTHING",
            &[Value::Text(&self.texts), now],
        )?;
        insert_once(
            tx.conn,
            "INSERT INTO site (id, name, languages, time_zone, updated_ms, consent_version, version) \
             VALUES (1, $1, $2, $3, $4, 1, 1) ON CONFLICT DO NOTHING",
            &[
                Value::Text(&self.name),
                Value::Text(&self.languages),
                Value::Text(&self.time_zone),
                now,
            ],
        )?;
        Ok(())
    }
}

/// Every answer holds addresses made from settings, so new settings change them all.
fn note_settings(tx: &mut Tx<'_>, settings_hash: &str) -> Result<()> {
    let first = insert_once(
        tx.conn,
        "INSERT INTO meta (name, value) VALUES ('config_hash', $1) ON CONFLICT DO NOTHING",
        &[Value::Text(settings_hash)],
    )?;
    // Of two instances that start with the same new settings, the second finds them already noted.
    let other = meta::table.find("config_hash").filter(meta::value.ne(settings_hash));
    if !first
        && diesel::update(other)
            .set(meta::value.eq(settings_hash))
            .execute(tx.conn)?
            > 0
    {
        announce(tx);
    }
    Ok(())
}

/// Every delivery answer carries this key.
fn announce(tx: &mut Tx<'_>) {
    changes::record(tx, "site.updated", "site", None, vec!["site".into()]);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_texts_are_filled_in() {
        let texts = super::consent::first_texts("Báo {days}", 365, "vi");
        for language in ["vi", "en"] {
            let text = &texts[language];
            assert!(text.contains("Báo {days}") && text.contains("365"), "{text}");
            assert!(!text.contains("{site}"), "{text}");
        }
    }
}
