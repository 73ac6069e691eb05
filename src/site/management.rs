//! How admins ask for the site.

use std::collections::BTreeMap;

use actix_web::{get, patch};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Consent, SiteRow, announce, consent, current};
use crate::app::State;
use crate::audit::{self, Actor};
use crate::auth::{Caller, Role};
use crate::conditional::{Guard, IfMatch};
use crate::config::is_time_zone;
use crate::db::{Conn, Tx};
use crate::error::Result;
use crate::idempotency::Answer;
use crate::request::{Body, NoParams, Query};
use crate::schema::{consent_texts, site};
use crate::text::{Check, is_language};
use crate::types::{Id, Patch, Time};

/// The site as admins see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SiteSettings {
    /// Its name.
    #[schema(example = "Báo Thái Nguyên")]
    pub name: String,
    /// Its languages as BCP 47 tags; the first is the default.
    #[schema(example = json!(["vi", "en"]))]
    pub languages: Vec<String>,
    /// The IANA time zone that dates are printed in.
    #[schema(example = "Asia/Ho_Chi_Minh")]
    pub time_zone: String,
    /// What readers consent to before they send feedback.
    pub consent: Consent,
    /// When it was last changed.
    pub updated_at: Time,
    /// Raised by every change; `ETag` is this in quotation marks.
    #[schema(minimum = 1, example = 3)]
    pub version: i64,
}

/// Changes of the site; what is absent stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SitePatch {
    /// Its name.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200, example = "Báo Thái Nguyên")]
    pub name: Patch<String>,
    /// All its languages as lower-case BCP 47 tags; the first is the default.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false, min_items = 1, max_items = 50, example = json!(["vi", "en"]))]
    pub languages: Patch<Vec<String>>,
    /// The IANA time zone that dates are printed in.
    #[serde(default)]
    #[schema(value_type = String, required = false, example = "Asia/Ho_Chi_Minh")]
    pub time_zone: Patch<String>,
    /// Texts by language that readers consent to from now on; a language left out keeps its text, null removes it. A
    /// change makes a new version; messages that were sent name the version they consented to.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>, required = false, example = json!({ "en": "When you send a message, …" }))]
    pub consent_texts: Patch<BTreeMap<String, Option<String>>>,
}

/// The optional guard of a write, for the documents.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "a description: the header is read by IfMatch")]
struct OptionalIfMatch {
    /// The `ETag` you read (its `version` in quotation marks), to change the site only if nobody else has.
    #[param(rename = "If-Match", required = false, nullable = false, value_type = String, example = "\"3\"")]
    if_match: Option<String>,
}

/// Longest name, in characters.
const NAME_LENGTH: usize = 200;
/// Most languages.
const LANGUAGES: usize = 50;
/// Longest text that readers consent to, in characters.
const CONSENT_LENGTH: usize = 10_000;

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(get_site_settings).service(update_site_settings);
}

/// Get the site's settings.
///
/// Needs the role admin.
#[utoipa::path(
    tag = "site",
    responses(
        (status = 200, description = "The settings.", body = SiteSettings),
        (status = 403, description = "The caller is no admin."),
    )
)]
#[get("/site")]
async fn get_site_settings(app: State, caller: Caller, _: Query<NoParams>) -> Result<Answer> {
    caller.at_least(Role::Admin)?;
    let settings = app
        .db
        .read(|conn| {
            let row = current(conn)?;
            settings(conn, row)
        })
        .await?;
    Ok(Answer::ok(&settings)?.version(settings.version))
}

/// Change the site's settings.
///
/// Needs the role admin. A merge patch (RFC 7396), also taken as `application/json`. `If-Match` is not needed here, and
/// heeded when it is sent.
#[utoipa::path(
    tag = "site",
    params(OptionalIfMatch),
    request_body(content = SitePatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The settings as they are now.", body = SiteSettings))
)]
#[patch("/site")]
async fn update_site_settings(app: State, caller: Caller, if_match: IfMatch, body: Body) -> Result<Answer> {
    caller.at_least(Role::Admin)?;
    let patch = checked(body.patch::<SitePatch>().await?)?;
    let guard = match if_match {
        IfMatch::Absent => Guard::any(),
        given => given.required()?,
    };
    let actor = Actor::from(&caller);
    let settings = app
        .db
        .write(move |tx| update(tx, &actor, &guard, patch.clone()))
        .await?;
    Ok(Answer::ok(&settings)?.version(settings.version))
}

fn settings(conn: &mut Conn, row: SiteRow) -> Result<SiteSettings> {
    Ok(SiteSettings {
        consent: consent(conn, row.consent_version)?,
        name: row.name,
        languages: row.languages,
        time_zone: row.time_zone,
        updated_at: row.updated_at,
        version: row.version,
    })
}

/// Checks each property by itself.
fn checked(mut patch: SitePatch) -> Result<SitePatch> {
    let mut check = Check::new();
    match &mut patch.name {
        Patch::Set(name) => *name = check.line("/name", name, NAME_LENGTH),
        Patch::Clear => check.fail("/name", "required", "The site has a name."),
        Patch::Keep => {}
    }
    match &patch.languages {
        Patch::Set(languages) => check_languages(&mut check, languages),
        Patch::Clear => check.fail("/languages", "required", "The site has at least one language."),
        Patch::Keep => {}
    }
    match &patch.time_zone {
        Patch::Set(name) if is_time_zone(name) => {}
        Patch::Set(_) => check.fail(
            "/time_zone",
            "invalid_time_zone",
            "A time zone is named as in the IANA database, such as Asia/Ho_Chi_Minh.",
        ),
        Patch::Clear => check.fail("/time_zone", "required", "The site has a time zone."),
        Patch::Keep => {}
    }
    match &mut patch.consent_texts {
        Patch::Set(texts) => {
            for (language, text) in texts {
                let pointer = format!("/consent_texts/{}", language.replace('~', "~0").replace('/', "~1"));
                if !is_language(language) {
                    check.language(&pointer, language);
                } else if let Some(text) = text {
                    *text = check.text(&pointer, text, CONSENT_LENGTH);
                }
            }
        }
        Patch::Clear => check.fail("/consent_texts", "required", "Readers need a text to consent to."),
        Patch::Keep => {}
    }
    check.done()?;
    Ok(patch)
}

fn check_languages(check: &mut Check, languages: &[String]) {
    if languages.is_empty() {
        check.fail("/languages", "required", "The site has at least one language.");
    }
    if languages.len() > LANGUAGES {
        check.fail("/languages", "too_many", format!("At most {LANGUAGES} languages."));
    }
    for (n, language) in languages.iter().enumerate() {
        let pointer = format!("/languages/{n}");
        check.language(&pointer, language);
        if languages[..n].contains(language) {
            check.fail(pointer, "duplicate", format!("{language} stands here already."));
        }
    }
}

/// The texts after a change: each is in a language of the site, and the default language has one.
fn merged_texts(
    site: &SiteRow,
    mut texts: BTreeMap<String, String>,
    patch: &SitePatch,
) -> Result<BTreeMap<String, String>> {
    let mut check = Check::new();
    if let Patch::Set(changes) = &patch.consent_texts {
        for (language, text) in changes {
            match text {
                Some(text) if site.languages.contains(language) => _ = texts.insert(language.clone(), text.clone()),
                Some(_) => check.fail(
                    format!("/consent_texts/{language}"),
                    "invalid_reference",
                    format!("{language} is no language of the site."),
                ),
                None => _ = texts.remove(language),
            }
        }
    }
    let touched = patch.consent_texts.is_sent() || patch.languages.is_sent();
    if touched && !texts.contains_key(site.default_language()) {
        check.fail(
            "/consent_texts",
            "required",
            format!("The default language, {}, needs a text.", site.default_language()),
        );
    }
    check.done()?;
    Ok(texts)
}

/// Takes the row's lock and its next version: from here to the end of the transaction nobody else writes it.
fn claim(tx: &mut Tx<'_>, guard: &Guard) -> Result<SiteRow> {
    let row = diesel::update(site::table.find(1))
        .set((site::version.eq(site::version + 1), site::updated_ms.eq(tx.now)))
        .returning(site::all_columns)
        .get_result(tx.conn)?;
    let row = super::read(row)?;
    guard.check(row.version - 1)?;
    Ok(row)
}

fn update(tx: &mut Tx<'_>, actor: &Actor, guard: &Guard, patch: SitePatch) -> Result<SiteSettings> {
    let before = claim(tx, guard)?;
    let mut row = before.clone();
    if let Patch::Set(languages) = &patch.languages {
        row.languages.clone_from(languages);
    }
    let old = consent(tx.conn, before.consent_version)?.texts;
    let texts = merged_texts(&row, old.clone(), &patch)?;
    if let Patch::Set(name) = patch.name {
        row.name = name;
    }
    if let Patch::Set(time_zone) = patch.time_zone {
        row.time_zone = time_zone;
    }
    if texts != old {
        row.consent_version += 1;
        keep_consent(tx, row.consent_version, &texts)?;
    }
    diesel::update(site::table.find(1))
        .set((
            site::name.eq(&row.name),
            site::languages.eq(json!(row.languages).to_string()),
            site::time_zone.eq(&row.time_zone),
            site::consent_version.eq(row.consent_version),
        ))
        .execute(tx.conn)?;
    announce(tx);
    let data = json!({ "before": line(&before), "after": line(&row) });
    audit::record(tx, actor, "site.update", "site", &Id::nil(), data)?;
    settings(tx.conn, row)
}

fn keep_consent(tx: &mut Tx<'_>, version: i64, texts: &BTreeMap<String, String>) -> Result<()> {
    diesel::insert_into(consent_texts::table)
        .values((
            consent_texts::version.eq(version),
            consent_texts::texts.eq(json!(texts).to_string()),
            consent_texts::created_ms.eq(tx.now),
        ))
        .execute(tx.conn)?;
    Ok(())
}

/// The site in the audit trail.
fn line(row: &SiteRow) -> serde_json::Value {
    json!({
        "name": row.name,
        "languages": row.languages,
        "time_zone": row.time_zone,
        "consent_version": row.consent_version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(languages: &[&str], before: &[(&str, &str)], patch: serde_json::Value) -> Result<Vec<(String, String)>> {
        let own = |text: &str| text.to_owned();
        let site = SiteRow {
            name: own("x"),
            languages: languages.iter().map(|language| own(language)).collect(),
            time_zone: own("UTC"),
            consent_version: 1,
            version: 1,
            updated_at: Time::now(),
        };
        let texts = before
            .iter()
            .map(|(language, text)| (own(language), own(text)))
            .collect();
        let patch = checked(serde_json::from_value(patch).expect("a patch"))?;
        Ok(merged_texts(&site, texts, &patch)?.into_iter().collect())
    }

    #[test]
    fn texts_are_merged_by_language() {
        let before = [("en", "one"), ("vi", "một")];
        let merged = merge(
            &["vi", "en"],
            &before,
            json!({ "consent_texts": { "vi": "hai", "en": null } }),
        );
        assert_eq!(merged.expect("good"), [("vi".to_owned(), "hai".to_owned())]);
        let merged = merge(&["vi", "en"], &before, json!({ "consent_texts": { "fr": "un" } }));
        assert!(merged.is_err(), "no language of the site");
        let merged = merge(&["vi", "en"], &before, json!({ "consent_texts": { "vi": null } }));
        assert!(merged.is_err(), "the default language needs a text");
        assert!(merge(&["fr"], &before, json!({ "languages": ["fr"] })).is_err());
        assert!(
            merge(&["fr"], &before, json!({ "name": "y" })).is_ok(),
            "texts are not touched"
        );
    }

    #[test]
    fn languages_stand_once_and_zones_exist() {
        let refused = |patch| merge(&["vi"], &[("vi", "một")], patch).is_err();
        for languages in [json!([]), json!(["vi", "vi"]), json!(["VI"]), json!(["tiếng Việt"])] {
            assert!(refused(json!({ "languages": languages })), "{languages}");
        }
        for zone in ["Asia/Nowhere", "asia/ho_chi_minh", "", "+07:00"] {
            assert!(refused(json!({ "time_zone": zone })), "{zone}");
        }
        assert!(!refused(json!({ "time_zone": "Asia/Ho_Chi_Minh" })));
    }
}
