//! What editors send: a new article, changes of one, and the parameters of actions.

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::{Content, Seo, Source};
use crate::body::{self, Body};
use crate::error::{FieldError, Problem, Result};
use crate::text::Check;
use crate::types::{Id, Patch, Time};

/// The source a story was taken from.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceInput {
    /// Its name; needed when the article has no source yet.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200, example = "thainguyen.gov.vn")]
    pub name: Patch<String>,
    /// Its address.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 2000, format = "uri")]
    pub url: Patch<String>,
}

/// What search engines and social networks are told.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeoInput {
    /// Title for search engines.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 200)]
    pub title: Patch<String>,
    /// Description for search engines.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 500)]
    pub description: Patch<String>,
    /// The address that search engines should list instead.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 2000, format = "uri")]
    pub canonical_url: Patch<String>,
}

/// Changes of an article; what is absent stays, null clears.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArticlePatch {
    /// Headline.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 300, example = "Lũ rút trên sông Cầu")]
    pub title: Patch<String>,
    /// The slug that publishing will make public; null makes one from the title.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, min_length = 1, max_length = 150, example = "lu-rut-tren-song-cau")]
    pub slug: Patch<String>,
    /// Short line above the headline.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 100)]
    pub kicker: Patch<String>,
    /// Opening paragraph.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 3000)]
    pub lead: Patch<String>,
    /// Date line or place line, as printed.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 200, example = "Thứ Tư, 24/7/2024")]
    pub dateline: Patch<String>,
    /// The body as Portable Text; at most one of the three forms.
    #[serde(default)]
    #[schema(value_type = Option<body::BodyInput>, required = false)]
    pub body: Patch<Value>,
    /// The body as Markdown.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub body_markdown: Patch<String>,
    /// The body as HTML.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub body_html: Patch<String>,
    /// Language, one of the site's; the site's first when absent.
    #[serde(default)]
    #[schema(value_type = String, required = false, example = "vi")]
    pub language: Patch<String>,
    /// The article this one is a translation of.
    #[serde(default)]
    #[schema(value_type = Option<Id>, required = false)]
    pub translation_of: Patch<Id>,
    /// Section.
    #[serde(default)]
    #[schema(value_type = Option<Id>, required = false)]
    pub section_id: Patch<Id>,
    /// Tags, in order.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Id>>, required = false, max_items = 50)]
    pub tag_ids: Patch<Vec<Id>>,
    /// Authors, in order.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Id>>, required = false, max_items = 50)]
    pub author_ids: Patch<Vec<Id>>,
    /// Where it was taken from.
    #[serde(default)]
    #[schema(value_type = Option<SourceInput>, required = false)]
    pub source: Patch<SourceInput>,
    /// For search engines.
    #[serde(default)]
    #[schema(value_type = Option<SeoInput>, required = false)]
    pub seo: Patch<SeoInput>,
    /// Whether readers may send feedback; yes when absent.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub feedback_open: Patch<bool>,
    /// Whether it belongs to the front page; no when absent.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub featured: Patch<bool>,
    /// Whose article it is; only editors may say so.
    #[serde(default)]
    #[schema(value_type = Id, required = false)]
    pub owner_id: Patch<Id>,
    /// What this change is about, for colleagues; kept with its revision and no part of the article.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 1000, example = "Thêm số liệu của tỉnh")]
    pub note: Patch<String>,
}

/// A new article: the same properties, of which `title` is needed. For the documents; it is read as [`ArticlePatch`].
#[derive(ToSchema)]
#[allow(
    dead_code,
    reason = "a description: new articles are read as changes of an empty one"
)]
pub struct ArticleCreate {
    /// Headline.
    #[schema(min_length = 1, max_length = 300, example = "Lũ rút trên sông Cầu")]
    pub title: String,
    /// The slug that publishing will make public; made from the title when absent.
    #[schema(min_length = 1, max_length = 150, example = "lu-rut-tren-song-cau")]
    pub slug: Option<String>,
    /// Short line above the headline.
    #[schema(max_length = 100)]
    pub kicker: Option<String>,
    /// Opening paragraph.
    #[schema(max_length = 3000)]
    pub lead: Option<String>,
    /// Date line or place line, as printed.
    #[schema(max_length = 200, example = "Thứ Tư, 24/7/2024")]
    pub dateline: Option<String>,
    /// The body as Portable Text; at most one of the three forms.
    pub body: Option<body::BodyInput>,
    /// The body as Markdown.
    pub body_markdown: Option<String>,
    /// The body as HTML.
    pub body_html: Option<String>,
    /// Language, one of the site's; the site's first when absent.
    #[schema(value_type = String, required = false, example = "vi")]
    pub language: Option<String>,
    /// The article this one is a translation of.
    pub translation_of: Option<Id>,
    /// Section.
    pub section_id: Option<Id>,
    /// Tags, in order.
    #[schema(max_items = 50)]
    pub tag_ids: Option<Vec<Id>>,
    /// Authors, in order.
    #[schema(max_items = 50)]
    pub author_ids: Option<Vec<Id>>,
    /// Where it was taken from.
    pub source: Option<SourceInput>,
    /// For search engines.
    pub seo: Option<SeoInput>,
    /// Whether readers may send feedback; yes when absent.
    #[schema(value_type = bool, required = false)]
    pub feedback_open: Option<bool>,
    /// Whether it belongs to the front page; no when absent.
    #[schema(value_type = bool, required = false)]
    pub featured: Option<bool>,
    /// Whose article it is; the caller's when absent. Only editors may name another.
    #[schema(value_type = Id, required = false)]
    pub owner_id: Option<Id>,
    /// What it is about, for colleagues; kept with its first revision and no part of the article.
    #[schema(max_length = 1000)]
    pub note: Option<String>,
}

/// What publishing may be told.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishInput {
    /// Publish at this time to come, and not now: the article as it is now, whatever is changed until then.
    #[serde(default)]
    #[schema(value_type = Time, required = false)]
    pub publish_at: Option<Time>,
    /// Withdraw the story at this time; absent leaves what is set, null clears it.
    #[serde(default)]
    #[schema(value_type = Option<Time>, required = false)]
    pub unpublish_at: Patch<Time>,
    /// A past time to publish under, for imports; now when absent.
    #[serde(default)]
    #[schema(value_type = Time, required = false)]
    pub published_at: Option<Time>,
    /// Whether a story that was public before counts as new and moves to the top of lists; no when absent.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub as_new: Option<bool>,
}

/// What unpublishing may be told.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnpublishInput {
    /// Why, for colleagues; kept with the revision.
    #[serde(default)]
    #[schema(value_type = String, required = false, max_length = 1000)]
    pub reason: Option<String>,
}

/// An action that needs to be told nothing.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmptyInput {}

/// Changes that were checked and can be written over a content.
#[derive(Debug, Clone)]
pub struct Changes {
    patch: ArticlePatch,
    body: Option<Body>,
}

/// Bytes of Markdown or HTML, or of a request, that take so long to read that other requests would notice.
pub const LONG: usize = 32 * 1024;

/// One long text is read at a time: what editors send must not slow down what readers get.
static READING: Semaphore = Semaphore::const_new(1);

/// Reads what may take long, off the async threads.
pub async fn read_aside<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let permit = READING.acquire().await.map_err(Problem::internal)?;
    let work = move || {
        let _permit = permit;
        read()
    };
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)
}

impl ArticlePatch {
    /// [`Self::checked`], off the async threads when there is a long text to read.
    pub async fn checked_aside(self, new: bool) -> Result<Changes> {
        let is_long = |text: &Patch<String>| matches!(text, Patch::Set(text) if text.len() > LONG);
        if !is_long(&self.body_markdown) && !is_long(&self.body_html) {
            return self.checked(new);
        }
        read_aside(move || self.checked(new)).await?
    }

    /// Checks every rule that needs no database. `new` asks for what a new article must have.
    pub fn checked(mut self, new: bool) -> Result<Changes> {
        let mut check = Check::new();
        match &self.title {
            Patch::Set(title) => self.title = Patch::Set(check.line("/title", title, 300)),
            Patch::Keep if !new => {}
            _ => check.fail("/title", "required", "A title is needed."),
        }
        if let Patch::Set(slug) = &self.slug {
            check.slug("/slug", slug);
        }
        line(&mut check, "/kicker", &mut self.kicker, 100);
        if let Patch::Set(lead) = &self.lead {
            self.lead = optional(check.optional_text("/lead", Some(lead), 3000));
        }
        line(&mut check, "/dateline", &mut self.dateline, 200);
        match &self.language {
            Patch::Set(language) => _ = check.language("/language", language),
            Patch::Clear => check.fail("/language", "required", "An article has a language."),
            Patch::Keep => {}
        }
        list(&mut check, "/tag_ids", &self.tag_ids);
        list(&mut check, "/author_ids", &self.author_ids);
        if let Patch::Set(source) = &mut self.source {
            match &source.name {
                Patch::Set(name) => source.name = Patch::Set(check.line("/source/name", name, 200)),
                Patch::Keep if !new => {}
                _ => check.fail("/source/name", "required", "A source has a name."),
            }
            address(&mut check, "/source/url", &mut source.url);
        }
        if let Patch::Set(seo) = &mut self.seo {
            line(&mut check, "/seo/title", &mut seo.title, 200);
            line(&mut check, "/seo/description", &mut seo.description, 500);
            address(&mut check, "/seo/canonical_url", &mut seo.canonical_url);
        }
        for (pointer, cleared) in [
            ("/feedback_open", self.feedback_open == Patch::Clear),
            ("/featured", self.featured == Patch::Clear),
            ("/owner_id", self.owner_id == Patch::Clear),
        ] {
            if cleared {
                check.fail(pointer, "required", "It cannot be null.");
            }
        }
        if let Patch::Set(note) = &self.note {
            self.note = optional(check.optional_text("/note", Some(note), 1000));
        }
        let body = self.read_body(&mut check);
        check.done()?;
        Ok(Changes { patch: self, body })
    }

    /// The body, from whichever of the three forms was sent.
    fn read_body(&mut self, check: &mut Check) -> Option<Body> {
        let value = std::mem::take(&mut self.body);
        let markdown = std::mem::take(&mut self.body_markdown);
        let html = std::mem::take(&mut self.body_html);
        if [value.is_sent(), markdown.is_sent(), html.is_sent()]
            .iter()
            .filter(|sent| **sent)
            .count()
            > 1
        {
            check.fail("/body", "conflict", "Send one of body, body_markdown and body_html.");
            return None;
        }
        let (pointer, read) = match (value, markdown, html) {
            (Patch::Set(value), _, _) => ("/body", Body::from_value(value)),
            (_, Patch::Set(text), _) => ("/body_markdown", Body::from_markdown(&text)),
            (_, _, Patch::Set(text)) => ("/body_html", Body::from_html(&text)),
            (Patch::Keep, Patch::Keep, Patch::Keep) => return None,
            _ => return Some(Body::default()),
        };
        match read {
            Ok(body) => Some(body),
            Err(errors) => {
                for error in errors {
                    check.fail(format!("{pointer}{}", error.pointer), error.code, error.detail);
                }
                None
            }
        }
    }
}

fn optional(text: Option<String>) -> Patch<String> {
    text.map_or(Patch::Clear, Patch::Set)
}

fn line(check: &mut Check, pointer: &str, value: &mut Patch<String>, max: usize) {
    if let Patch::Set(text) = value {
        *value = optional(check.optional_line(pointer, Some(text), max));
    }
}

fn address(check: &mut Check, pointer: &str, value: &mut Patch<String>) {
    if let Patch::Set(text) = value {
        *value = Patch::Set(check.web_address(pointer, text));
    }
}

fn list(check: &mut Check, pointer: &str, value: &Patch<Vec<Id>>) {
    let Patch::Set(ids) = value else { return };
    if ids.len() > 50 {
        check.fail(pointer, "too_many", "At most 50.");
        return;
    }
    for (index, id) in ids.iter().enumerate() {
        if ids[..index].contains(id) {
            check.fail(format!("{pointer}/{index}"), "duplicate", "It is named twice.");
        }
    }
}

impl Changes {
    /// The slug that was asked for: none leaves it, an inner none makes one from the title.
    pub fn slug(&self) -> Option<Option<&str>> {
        match &self.patch.slug {
            Patch::Keep => None,
            Patch::Clear => Some(None),
            Patch::Set(slug) => Some(Some(slug)),
        }
    }

    /// The owner that was asked for.
    pub fn owner(&self) -> Option<&Id> {
        if let Patch::Set(owner) = &self.patch.owner_id {
            Some(owner)
        } else {
            None
        }
    }

    /// The article this one shall be a translation of: none leaves it, an inner none makes it a story of its own.
    pub fn translation_of(&self) -> Option<Option<&Id>> {
        match &self.patch.translation_of {
            Patch::Keep => None,
            Patch::Clear => Some(None),
            Patch::Set(id) => Some(Some(id)),
        }
    }

    /// What the change is about.
    pub fn note(&self) -> Option<&str> {
        if let Patch::Set(note) = &self.patch.note {
            Some(note)
        } else {
            None
        }
    }

    /// The language that was asked for.
    pub fn language(&self) -> Option<&str> {
        if let Patch::Set(language) = &self.patch.language {
            Some(language)
        } else {
            None
        }
    }

    /// Writes the changes over a content; slug, owner and translation are the store's business.
    pub fn apply(&self, content: &mut Content) -> Result<()> {
        let patch = self.patch.clone();
        if let Patch::Set(title) = patch.title {
            content.title = title;
        }
        patch.kicker.apply(&mut content.kicker);
        patch.lead.apply(&mut content.lead);
        patch.dateline.apply(&mut content.dateline);
        if let Some(body) = &self.body {
            content.body = body.clone();
        }
        if let Patch::Set(language) = patch.language {
            content.language = language;
        }
        patch.section_id.apply(&mut content.section_id);
        if let Some(tags) = patch.tag_ids.change() {
            content.tag_ids = tags.unwrap_or_default();
        }
        if let Some(authors) = patch.author_ids.change() {
            content.author_ids = authors.unwrap_or_default();
        }
        match patch.source {
            Patch::Keep => {}
            Patch::Clear => content.source = None,
            Patch::Set(input) => content.source = Some(merged_source(content.source.take(), input)?),
        }
        match patch.seo {
            Patch::Keep => {}
            Patch::Clear => content.seo = Seo::default(),
            Patch::Set(input) => {
                input.title.apply(&mut content.seo.title);
                input.description.apply(&mut content.seo.description);
                input.canonical_url.apply(&mut content.seo.canonical_url);
            }
        }
        if let Patch::Set(open) = patch.feedback_open {
            content.feedback_open = open;
        }
        if let Patch::Set(featured) = patch.featured {
            content.featured = featured;
        }
        Ok(())
    }
}

fn merged_source(old: Option<Source>, input: SourceInput) -> Result<Source> {
    let (name, mut url) = match old {
        Some(source) => (Some(source.name), source.url),
        None => (None, None),
    };
    input.url.apply(&mut url);
    let name = input.name.change().flatten().or(name);
    let name = name
        .ok_or_else(|| Problem::validation(vec![FieldError::at("/source/name", "required", "A source has a name.")]))?;
    Ok(Source { name, url })
}
