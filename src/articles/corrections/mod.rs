//! Corrections: what readers are told was wrong in a live story.

pub mod management;
pub mod store;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::{text_to_html, text_to_markdown};
use crate::site::SiteRow;
use crate::types::{Id, Time};

/// A correction that readers are told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Correction {
    /// What was corrected.
    #[schema(example = "Bản trước ghi nhầm mực nước là 27 m; đúng là 25,4 m.")]
    pub text: String,
    /// When.
    pub at: Time,
}

/// What readers shall be told.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrectionCreate {
    /// What was wrong and what is right.
    #[schema(
        min_length = 1,
        max_length = 2000,
        example = "Bản trước ghi nhầm mực nước là 27 m; đúng là 25,4 m."
    )]
    pub text: String,
}

/// A correction that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CorrectionReceipt {
    /// The article.
    pub article_id: Id,
    /// What readers are told.
    pub text: String,
    /// When; it is the story's `updated_at` too.
    pub at: Time,
    /// The article's version, which this raised; `ETag` is this in quotation marks.
    #[schema(minimum = 1)]
    pub version: i64,
}

/// The heading above corrections.
fn heading(language: &str) -> &'static str {
    match language.split('-').next() {
        Some("vi") => "Đính chính",
        _ => "Corrections",
    }
}

/// Corrections at the end of a story in HTML; nothing when there are none.
pub fn to_html(site: &SiteRow, language: &str, corrections: &[Correction]) -> String {
    if corrections.is_empty() {
        return String::new();
    }
    let item = |correction: &Correction| {
        format!(
            "<li><time datetime=\"{}\">{}</time>: {}</li>",
            correction.at,
            site.moment(correction.at),
            text_to_html(&correction.text)
        )
    };
    let items: String = corrections.iter().map(item).collect();
    format!("<h2>{}</h2><ul>{items}</ul>", heading(language))
}

/// Corrections at the end of a story in Markdown; nothing when there are none.
pub fn to_markdown(site: &SiteRow, language: &str, corrections: &[Correction]) -> String {
    if corrections.is_empty() {
        return String::new();
    }
    let item = |correction: &Correction| {
        format!(
            "- {}: {}\n",
            site.moment(correction.at),
            text_to_markdown(&correction.text, true).replace('\n', "\n  ")
        )
    };
    let items: String = corrections.iter().map(item).collect();
    format!("\n## {}\n\n{items}", heading(language))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrections_are_words_and_never_markup() {
        let at = Time::parse("2026-11-26T03:04:05.678Z").expect("a time");
        let one = Correction {
            text: "<b>27 m</b> & *25 m*".into(),
            at,
        };
        let site = SiteRow::of_time_zone("Asia/Ho_Chi_Minh");
        let html = to_html(&site, "vi", std::slice::from_ref(&one));
        assert_eq!(
            html,
            "<h2>Đính chính</h2><ul><li><time datetime=\"2026-11-26T03:04:05.678Z\">2026-11-26 10:04 +07:00</time>: \
             &lt;b&gt;27 m&lt;/b&gt; &amp; *25 m*</li></ul>"
        );
        let markdown = to_markdown(&site, "en", &[one]);
        assert!(
            markdown.starts_with("\n## Corrections\n\n- 2026-11-26 10:04 +07:00: "),
            "{markdown}"
        );
        assert!(!markdown.contains(" *25 m*"), "{markdown}");
        assert_eq!(
            (to_html(&site, "vi", &[]), to_markdown(&site, "vi", &[])),
            (String::new(), String::new())
        );
    }
}
