//! What a program with an API key may ask for: the scopes, and the one table that says which operation needs which.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Code, Problem, Result};

/// What an API key may be used for. It never goes above what its owner may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum Scope {
    /// Reads articles, their revisions, schedules and preview links.
    #[serde(rename = "articles:read")]
    ArticlesRead,
    /// Makes and changes articles, submits them, puts them in the trash and takes them out.
    #[serde(rename = "articles:write")]
    ArticlesWrite,
    /// Decides what readers see: publishes, schedules, unpublishes, corrects.
    #[serde(rename = "articles:publish")]
    ArticlesPublish,
    /// Reads captions.
    #[serde(rename = "captions:read")]
    CaptionsRead,
    /// Makes, changes and removes captions.
    #[serde(rename = "captions:write")]
    CaptionsWrite,
    /// Reads the image library.
    #[serde(rename = "images:read")]
    ImagesRead,
    /// Uploads, describes and removes images.
    #[serde(rename = "images:write")]
    ImagesWrite,
    /// Reads and exports readers' messages.
    #[serde(rename = "feedback:read")]
    FeedbackRead,
    /// Answers, shows, deletes and erases readers' messages.
    #[serde(rename = "feedback:write")]
    FeedbackWrite,
    /// Reads sections.
    #[serde(rename = "sections:read")]
    SectionsRead,
    /// Makes, changes and removes sections.
    #[serde(rename = "sections:write")]
    SectionsWrite,
    /// Reads tags.
    #[serde(rename = "tags:read")]
    TagsRead,
    /// Makes, changes and removes tags.
    #[serde(rename = "tags:write")]
    TagsWrite,
    /// Reads authors.
    #[serde(rename = "authors:read")]
    AuthorsRead,
    /// Makes, changes and removes authors.
    #[serde(rename = "authors:write")]
    AuthorsWrite,
    /// Reads editors' accounts.
    #[serde(rename = "editors:read")]
    EditorsRead,
    /// Makes, changes, closes and removes editors' accounts, but sets no passwords.
    #[serde(rename = "editors:write")]
    EditorsWrite,
    /// Reads the site's settings.
    #[serde(rename = "site:read")]
    SiteRead,
    /// Changes the site's settings.
    #[serde(rename = "site:write")]
    SiteWrite,
    /// Reads webhooks and their deliveries.
    #[serde(rename = "webhooks:read")]
    WebhooksRead,
    /// Makes, changes and removes webhooks, tests and replays them.
    #[serde(rename = "webhooks:write")]
    WebhooksWrite,
    /// Reads the audit trail.
    #[serde(rename = "audit:read")]
    AuditRead,
    /// Fetches for readers: no limits of reads, and `X-Forwarded-For` names the reader. Works while its owner is admin.
    #[serde(rename = "delivery:forward")]
    DeliveryForward,
}

impl Scope {
    /// The name on the wire.
    pub fn name(self) -> String {
        let name = serde_json::to_value(self).unwrap_or_default();
        name.as_str().unwrap_or_default().to_owned()
    }
}

/// What a key needs for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// A good key is enough.
    Key,
    /// This scope.
    Scope(Scope),
    /// No key: somebody has to be signed in.
    Person,
}

/// Which keys may do which operation: method, the beginning of the address, what is needed. The first row that fits
/// counts, and what no row fits is for people only.
const TABLE: &[(&str, &str, Needs)] = &[
    ("GET", "/auth/me", Needs::Key),
    ("*", "/auth", Needs::Person),
    ("*", "/api-keys", Needs::Person),
    ("*", "/editors/{id}/totp", Needs::Person),
    ("GET", "/editors", Needs::Scope(Scope::EditorsRead)),
    ("*", "/editors", Needs::Scope(Scope::EditorsWrite)),
    ("POST", "/articles/{id}/publish", Needs::Scope(Scope::ArticlesPublish)),
    (
        "POST",
        "/articles/{id}/unschedule",
        Needs::Scope(Scope::ArticlesPublish),
    ),
    ("POST", "/articles/{id}/unpublish", Needs::Scope(Scope::ArticlesPublish)),
    (
        "POST",
        "/articles/{id}/corrections",
        Needs::Scope(Scope::ArticlesPublish),
    ),
    ("GET", "/articles", Needs::Scope(Scope::ArticlesRead)),
    ("*", "/articles", Needs::Scope(Scope::ArticlesWrite)),
    ("GET", "/captions", Needs::Scope(Scope::CaptionsRead)),
    ("*", "/captions", Needs::Scope(Scope::CaptionsWrite)),
    ("GET", "/images", Needs::Scope(Scope::ImagesRead)),
    ("*", "/images", Needs::Scope(Scope::ImagesWrite)),
    ("POST", "/feedback/privacy/export", Needs::Scope(Scope::FeedbackRead)),
    ("GET", "/feedback", Needs::Scope(Scope::FeedbackRead)),
    ("*", "/feedback", Needs::Scope(Scope::FeedbackWrite)),
    ("GET", "/sections", Needs::Scope(Scope::SectionsRead)),
    ("*", "/sections", Needs::Scope(Scope::SectionsWrite)),
    ("GET", "/tags", Needs::Scope(Scope::TagsRead)),
    ("*", "/tags", Needs::Scope(Scope::TagsWrite)),
    ("GET", "/authors", Needs::Scope(Scope::AuthorsRead)),
    ("*", "/authors", Needs::Scope(Scope::AuthorsWrite)),
    ("GET", "/site", Needs::Scope(Scope::SiteRead)),
    ("*", "/site", Needs::Scope(Scope::SiteWrite)),
    ("GET", "/webhooks", Needs::Scope(Scope::WebhooksRead)),
    ("*", "/webhooks", Needs::Scope(Scope::WebhooksWrite)),
    ("GET", "/audit", Needs::Scope(Scope::AuditRead)),
];

/// What a key needs for an operation of the management API; none when the table does not know it.
pub fn needed(method: &str, pattern: &str) -> Option<Needs> {
    let path = pattern.strip_prefix("/management/v1")?;
    let begins = |start: &str| {
        path.strip_prefix(start)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let found = TABLE
        .iter()
        .find(|(want, start, _)| (*want == "*" || want.eq_ignore_ascii_case(method)) && begins(start));
    found.map(|(_, _, needs)| *needs)
}

/// 403 unless a key with these scopes may do the operation.
pub fn check(scopes: &[Scope], method: &str, pattern: &str) -> Result<()> {
    match needed(method, pattern) {
        Some(Needs::Key) => Ok(()),
        Some(Needs::Scope(scope)) => check_scope(scopes, scope),
        Some(Needs::Person) | None => Err(Problem::new(
            Code::Forbidden,
            "API keys cannot do this, whatever their scopes: sign in.",
        )),
    }
}

/// 403 that names the scope which is missing.
pub fn check_scope(scopes: &[Scope], needed: Scope) -> Result<()> {
    if scopes.contains(&needed) {
        return Ok(());
    }
    let name = needed.name();
    let challenge = format!("Bearer realm=\"newsdesk\", error=\"insufficient_scope\", scope=\"{name}\"");
    Err(
        Problem::new(Code::Forbidden, format!("This API key lacks the scope {name}."))
            .header("WWW-Authenticate", challenge)
            .with("required_scope", name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi;

    #[test]
    fn every_management_operation_is_in_the_table() {
        let operations = openapi::management_operations();
        assert!(operations.len() > 50, "{operations:?}");
        for (method, path) in &operations {
            assert!(needed(method, path).is_some(), "no row fits {method} {path}");
        }
    }

    #[test]
    fn no_key_makes_keys_or_touches_what_people_sign_in_with() {
        for (method, path) in openapi::management_operations() {
            let secret = ["/auth/", "/api-keys", "/totp"].iter().any(|part| path.contains(part));
            let person = needed(&method, &path) == Some(Needs::Person);
            assert_eq!(secret && path != "/management/v1/auth/me", person, "{method} {path}");
        }
    }

    #[test]
    fn the_first_row_that_fits_counts() {
        let scope = |method, path| needed(method, path);
        assert_eq!(
            scope("POST", "/management/v1/articles/{id}/publish"),
            Some(Needs::Scope(Scope::ArticlesPublish))
        );
        assert_eq!(
            scope("post", "/management/v1/articles"),
            Some(Needs::Scope(Scope::ArticlesWrite))
        );
        assert_eq!(scope("GET", "/management/v1/articlesque"), None);
        assert_eq!(scope("GET", "/delivery/v1/articles"), None);
        let refused = check(&[Scope::ArticlesRead], "PATCH", "/management/v1/articles/{id}").expect_err("no scope");
        assert!(refused.detail().contains("articles:write"));
    }
}
