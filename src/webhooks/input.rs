//! What admins send: new webhooks, changes, and what the actions take.

use serde::Deserialize;
use utoipa::ToSchema;

use super::store::Settings;
use super::{EVENTS, Filter};
use crate::error::{Problem, Result};
use crate::text::Check;
use crate::types::{Id, Patch, Time};

/// A new webhook.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookCreate {
    /// Where its events are sent: an http or https address without a user, a password or a fragment.
    #[schema(
        max_length = 2000,
        format = "uri",
        example = "https://build.example.vn/hooks/newsdesk"
    )]
    pub url: String,
    /// What admins call it.
    #[serde(default)]
    #[schema(max_length = 100, example = "Static site")]
    pub name: Option<String>,
    /// The types it wants; all when absent or empty.
    #[serde(default)]
    #[schema(max_items = 50, example = json!(["article.published", "article.updated", "article.unpublished"]))]
    pub events: Vec<String>,
    /// Of events that have a language, only those in these; all when absent or empty.
    #[serde(default)]
    #[schema(max_items = 50, example = json!(["vi"]))]
    pub languages: Vec<String>,
    /// Of `article.*` events, only those of stories that are or were in these sections; all when absent or empty.
    #[serde(default)]
    #[schema(max_items = 50, example = json!([]))]
    pub section_ids: Vec<Id>,
    /// Whether nothing is sent yet.
    #[serde(default)]
    pub disabled: bool,
}

/// Changes of a webhook; what is absent stays, null clears.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookPatch {
    /// Where its events are sent.
    #[serde(default)]
    #[schema(value_type = String, required = false, max_length = 2000, format = "uri")]
    pub url: Patch<String>,
    /// What admins call it.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 100, example = "Static site")]
    pub name: Patch<String>,
    /// The types it wants; null or none means all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, required = false, max_items = 50, example = json!(["article.published"]))]
    pub events: Patch<Vec<String>>,
    /// Languages; null or none means all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, required = false, max_items = 50, example = json!(["vi"]))]
    pub languages: Patch<Vec<String>>,
    /// Sections; null or none means all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Id>>, required = false, max_items = 50, example = json!([]))]
    pub section_ids: Patch<Vec<Id>>,
    /// Whether nothing is sent. True cancels what waits; false begins with what changes from then on.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub disabled: Patch<bool>,
}

/// How a secret is changed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSecretInput {
    /// For how many seconds earlier secrets sign as well, so that receivers have time to take the new one; 0 ends them at
    /// once.
    #[serde(default = "a_day")]
    #[schema(minimum = 0, maximum = 604800, default = 86400, example = 86400)]
    pub overlap_seconds: i64,
}

fn a_day() -> i64 {
    24 * 3600
}

/// The longest overlap of two secrets, in seconds.
const LONGEST_OVERLAP: i64 = 7 * 24 * 3600;

/// What is sent again.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookReplayInput {
    /// Everything since then that the webhook wants: what was delivered, what was given up, and what it was never told.
    pub since: Time,
}

/// The body of an action that needs nothing said.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookActionInput {}

/// Longest name, in characters.
const NAME_LENGTH: usize = 100;
/// Most values of one filter.
const MOST: usize = 50;

/// What a new webhook is to be, or all that is wrong with it.
pub fn checked(input: WebhookCreate) -> Result<Settings> {
    let mut check = Check::new();
    let url = check_url(&mut check, &input.url);
    let name = check.optional_line("/name", input.name.as_deref(), NAME_LENGTH);
    check_events(&mut check, &input.events);
    check_languages(&mut check, &input.languages);
    check_list(&mut check, "/section_ids", &input.section_ids);
    check.done()?;
    Ok(Settings {
        name,
        url,
        filter: Filter {
            events: input.events,
            languages: input.languages,
            section_ids: input.section_ids,
        },
        disabled: input.disabled,
    })
}

/// Checks each property by itself.
pub fn checked_patch(mut patch: WebhookPatch) -> Result<WebhookPatch> {
    let mut check = Check::new();
    match &mut patch.url {
        Patch::Set(url) => *url = check_url(&mut check, url),
        Patch::Clear => check.fail("/url", "required", "A webhook has an address."),
        Patch::Keep => {}
    }
    patch.name = patch
        .name
        .map(|name| check.optional_line("/name", Some(&name), NAME_LENGTH));
    if let Patch::Set(events) = &patch.events {
        check_events(&mut check, events);
    }
    if let Patch::Set(languages) = &patch.languages {
        check_languages(&mut check, languages);
    }
    if let Patch::Set(ids) = &patch.section_ids {
        check_list(&mut check, "/section_ids", ids);
    }
    if patch.disabled == Patch::Clear {
        check.fail("/disabled", "required", "It cannot be null.");
    }
    check.done()?;
    Ok(patch)
}

/// Writes a patch over what was chosen before.
pub fn apply(patch: &WebhookPatch, settings: &mut Settings) {
    if let Patch::Set(url) = &patch.url {
        settings.url.clone_from(url);
    }
    patch.name.clone().apply(&mut settings.name);
    let filter = &mut settings.filter;
    set_list(&patch.events, &mut filter.events);
    set_list(&patch.languages, &mut filter.languages);
    set_list(&patch.section_ids, &mut filter.section_ids);
    if let Patch::Set(disabled) = patch.disabled {
        settings.disabled = disabled;
    }
}

fn set_list<T: Clone>(patch: &Patch<Vec<T>>, to: &mut Vec<T>) {
    if let Some(list) = patch.clone().change() {
        *to = list.unwrap_or_default();
    }
}

/// An address that can be sent to. Which addresses may be sent to is judged at each try, when names are resolved.
fn check_url(check: &mut Check, text: &str) -> String {
    let text = check.web_address("/url", text);
    if let Ok(url) = url::Url::parse(&text) {
        if !url.username().is_empty() || url.password().is_some() {
            check.fail("/url", "invalid_url", "It must hold no user and no password.");
        }
        if url.fragment().is_some() {
            check.fail("/url", "invalid_url", "It must hold no fragment.");
        }
    }
    text
}

fn check_events(check: &mut Check, events: &[String]) {
    check_list(check, "/events", events);
    for (n, event) in events.iter().enumerate() {
        if !EVENTS.contains(&event.as_str()) {
            let detail = format!("It must be one of {}.", EVENTS.join(", "));
            check.fail(format!("/events/{n}"), "invalid_value", detail);
        }
    }
}

fn check_languages(check: &mut Check, languages: &[String]) {
    check_list(check, "/languages", languages);
    for (n, language) in languages.iter().enumerate() {
        check.language(&format!("/languages/{n}"), language);
    }
}

fn check_list<T: PartialEq>(check: &mut Check, pointer: &str, list: &[T]) {
    if list.len() > MOST {
        check.fail(pointer, "too_many", format!("At most {MOST} values."));
    }
    for (n, value) in list.iter().enumerate() {
        if list[..n].contains(value) {
            check.fail(format!("{pointer}/{n}"), "duplicate", "It stands here already.");
        }
    }
}

/// For how many seconds earlier secrets go on signing.
pub fn checked_overlap(input: &RotateSecretInput) -> Result<i64> {
    if (0..=LONGEST_OVERLAP).contains(&input.overlap_seconds) {
        return Ok(input.overlap_seconds);
    }
    let detail = format!("It must be a number of seconds from 0 to {LONGEST_OVERLAP}.");
    Err(Problem::invalid("/overlap_seconds", "out_of_range", detail))
}
