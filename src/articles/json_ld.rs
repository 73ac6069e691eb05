//! A story as search engines read it: NewsArticle of schema.org, written as JSON-LD.

use serde_json::{Map, Value, json};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::Source;
use super::compose::{ArticleSummary, Placement};
use super::corrections::Correction;
use super::publication::Doc;
use crate::config::Config;
use crate::error::{Problem, Result};
use crate::site::SiteRow;

/// The media type of JSON-LD.
pub const MEDIA_TYPE: &str = "application/ld+json";

/// A NewsArticle, for the documents: schema.org says what is in it.
pub enum JsonLd {}

impl PartialSchema for JsonLd {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(
                "The story as schema.org's NewsArticle. What is not known is left out.",
            ))
            .examples([json!({
                "@context": "https://schema.org", "@type": "NewsArticle", "headline": "Lũ rút trên sông Cầu"
            })])
            .into()
    }
}

impl ToSchema for JsonLd {}

/// The story as a NewsArticle.
pub fn news_article(
    config: &Config,
    site: &SiteRow,
    story: &ArticleSummary,
    doc: &Doc,
    captions: &[Placement],
    corrections: &[Correction],
) -> Result<Value> {
    let lead = story.lead.as_deref();
    let words = doc.body.read()?.word_count() + lead.map_or(0, |lead| lead.split_whitespace().count());
    let names = |list: Vec<&str>| (!list.is_empty()).then(|| json!(list));
    let authors: Vec<Value> = story
        .authors
        .iter()
        .map(|author| json!({ "@type": "Person", "name": author.name }))
        .collect();
    let images = images(story.cover.as_ref(), captions);
    let canonical = doc.seo.canonical_url.as_deref().unwrap_or(&story.url);
    Ok(present([
        ("@context", Some(json!("https://schema.org"))),
        ("@type", Some(json!("NewsArticle"))),
        ("headline", Some(json!(doc.seo.title.as_ref().unwrap_or(&story.title)))),
        ("alternativeHeadline", story.kicker.as_ref().map(|kicker| json!(kicker))),
        (
            "description",
            doc.seo.description.as_deref().or(lead).map(|text| json!(text)),
        ),
        ("image", (!images.is_empty()).then(|| json!(images))),
        ("datePublished", Some(json!(story.published_at))),
        ("dateModified", Some(json!(story.updated_at))),
        ("author", (!authors.is_empty()).then(|| json!(authors))),
        (
            "publisher",
            Some(json!({ "@type": "Organization", "name": site.name, "url": config.site_url })),
        ),
        ("inLanguage", Some(json!(story.language))),
        (
            "articleSection",
            story.section.as_ref().map(|section| json!(section.name)),
        ),
        (
            "keywords",
            names(story.tags.iter().map(|tag| tag.name.as_str()).collect()),
        ),
        ("url", Some(json!(story.url))),
        ("mainEntityOfPage", Some(json!(canonical))),
        ("isBasedOn", story.source.as_ref().map(based_on)),
        (
            "correction",
            (!corrections.is_empty()).then(|| json!(comments(corrections))),
        ),
        ("wordCount", Some(json!(words))),
        ("isAccessibleForFree", Some(json!(true))),
    ]))
}

/// Its bytes, which may stand in a page's `<script>` as they are: there is no `<` that could end the element.
pub fn script_safe(value: &Value) -> Result<Vec<u8>> {
    let text = serde_json::to_string(value).map_err(Problem::internal)?;
    // In JSON the character is found in strings only.
    Ok(text.replace('<', "\\u003c").into_bytes())
}

/// The placed images, each file once, the one for cards first.
fn images(cover: Option<&Placement>, captions: &[Placement]) -> Vec<Value> {
    let mut seen = Vec::new();
    let mut list = Vec::new();
    for placement in cover.into_iter().chain(captions) {
        if !seen.contains(&&placement.image.id) {
            seen.push(&placement.image.id);
            list.push(image(placement));
        }
    }
    list
}

fn image(placement: &Placement) -> Value {
    present([
        ("@type", Some(json!("ImageObject"))),
        ("url", Some(json!(placement.image.url))),
        ("width", Some(json!(placement.image.width))),
        ("height", Some(json!(placement.image.height))),
        ("caption", placement.text.as_ref().map(|text| json!(text))),
        ("creditText", placement.credit.as_ref().map(|credit| json!(credit))),
    ])
}

fn based_on(source: &Source) -> Value {
    present([
        ("@type", Some(json!("CreativeWork"))),
        ("name", Some(json!(source.name))),
        ("url", source.url.as_ref().map(|url| json!(url))),
    ])
}

fn comments(corrections: &[Correction]) -> Vec<Value> {
    let comment = |one: &Correction| json!({ "@type": "CorrectionComment", "text": one.text, "datePublished": one.at });
    corrections.iter().map(comment).collect()
}

fn present<const N: usize>(properties: [(&str, Option<Value>); N]) -> Value {
    let known = properties
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(known.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_bytes_ends_a_script() {
        let value = json!({ "headline": "</script><script>" });
        let bytes = script_safe(&value).expect("JSON");
        assert!(!bytes.contains(&b'<'));
        assert_eq!(serde_json::from_slice::<Value>(&bytes).expect("JSON"), value);
    }
}
