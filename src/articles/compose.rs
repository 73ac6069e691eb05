//! What readers get, put together when an answer is made: the frozen story with today's names, image files, addresses
//! and translations.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::schema::{Discriminator, OneOfBuilder};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::corrections::Correction;
use super::json_ld::JsonLd;
use super::publication::{Card, Doc, FrozenCaption, PublicationRow};
use super::{CaptionRole, Seo, Source};
use crate::app::App;
use crate::body::{self, KeptBody, ShownFigure};
use crate::changes::{self, key};
use crate::config::Config;
use crate::db::{Conn, KeptJson};
use crate::error::Result;
use crate::images::delivered::{DeliveredImage, ImageFile, image_files_of};
use crate::known::{Known, Things};
use crate::schema::{publication_docs, publications};
use crate::taxonomy::{AuthorRef, Kind, Name, SectionRef, TagRef, names_of};
use crate::types::{Id, Time};

/// An image in a story, with its words.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Placement {
    /// The caption's id.
    pub id: Id,
    /// What it is for.
    pub role: CaptionRole,
    /// Order among the story's images.
    #[schema(minimum = 0)]
    pub position: i64,
    /// Text under the image.
    #[schema(required = true, example = "Nước rút, bà con dọn bùn")]
    pub text: Option<String>,
    /// For those who do not see the image.
    #[schema(required = true)]
    pub alt: Option<String>,
    /// Whose image it is.
    #[schema(required = true, example = "Ảnh: TTX")]
    pub credit: Option<String>,
    /// The image.
    #[schema(value_type = DeliveredImage)]
    pub image: Arc<DeliveredImage>,
}

/// The same story in another language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Translation {
    /// Its language.
    #[schema(example = "en")]
    pub language: String,
    /// Its id.
    pub id: Id,
    /// Its slug.
    pub slug: String,
    /// Its headline.
    pub title: String,
    /// Its address on the site.
    #[schema(format = "uri")]
    pub url: String,
}

/// A story as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ArticleSummary {
    /// The id.
    pub id: Id,
    /// The slug.
    #[schema(example = "lu-rut-tren-song-cau")]
    pub slug: String,
    /// Its address on the site.
    #[schema(format = "uri", example = "https://news.example.vn/thoi-su/lu-rut-tren-song-cau")]
    pub url: String,
    /// Headline.
    #[schema(example = "Lũ rút trên sông Cầu")]
    pub title: String,
    /// Line above the headline.
    #[schema(required = true)]
    pub kicker: Option<String>,
    /// Opening paragraph.
    #[schema(required = true)]
    pub lead: Option<String>,
    /// Date line or place line, as printed.
    #[schema(required = true, example = "Thứ Tư, 24/7/2024")]
    pub dateline: Option<String>,
    /// Language.
    #[schema(example = "vi")]
    pub language: String,
    /// Section.
    #[schema(required = true)]
    pub section: Option<SectionRef>,
    /// Authors, in order.
    pub authors: Vec<AuthorRef>,
    /// Tags, in order.
    pub tags: Vec<TagRef>,
    /// Where it was taken from.
    #[schema(required = true)]
    pub source: Option<Source>,
    /// The picture for cards.
    #[schema(required = true)]
    pub cover: Option<Placement>,
    /// When it was published.
    pub published_at: Time,
    /// When it was first published.
    pub first_published_at: Time,
    /// When its content last changed for readers.
    pub updated_at: Time,
    /// Minutes to read.
    #[schema(minimum = 1)]
    pub reading_minutes: i64,
    /// Whether it belongs to the front page.
    pub featured: bool,
    /// The body, with `include=body`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = Vec<PublishedBlock>)]
    pub body: Option<KeptBody>,
    /// The placed images, with `include=captions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = Vec<Placement>)]
    pub captions: Option<Vec<Placement>>,
}

/// A story as readers get it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Article {
    /// The id.
    pub id: Id,
    /// The slug.
    #[schema(example = "lu-rut-tren-song-cau")]
    pub slug: String,
    /// Its address on the site.
    #[schema(format = "uri", example = "https://news.example.vn/thoi-su/lu-rut-tren-song-cau")]
    pub url: String,
    /// Headline.
    #[schema(example = "Lũ rút trên sông Cầu")]
    pub title: String,
    /// Line above the headline.
    #[schema(required = true)]
    pub kicker: Option<String>,
    /// Opening paragraph.
    #[schema(required = true)]
    pub lead: Option<String>,
    /// Date line or place line, as printed.
    #[schema(required = true, example = "Thứ Tư, 24/7/2024")]
    pub dateline: Option<String>,
    /// Language.
    #[schema(example = "vi")]
    pub language: String,
    /// Section.
    #[schema(required = true)]
    pub section: Option<SectionRef>,
    /// Authors, in order.
    pub authors: Vec<AuthorRef>,
    /// Tags, in order.
    pub tags: Vec<TagRef>,
    /// Where it was taken from.
    #[schema(required = true)]
    pub source: Option<Source>,
    /// The picture for cards.
    #[schema(required = true)]
    pub cover: Option<Placement>,
    /// When it was published.
    pub published_at: Time,
    /// When it was first published.
    pub first_published_at: Time,
    /// When its content last changed for readers.
    pub updated_at: Time,
    /// Minutes to read.
    #[schema(minimum = 1)]
    pub reading_minutes: i64,
    /// Whether it belongs to the front page.
    pub featured: bool,
    /// The body (Portable Text).
    #[schema(value_type = Vec<PublishedBlock>)]
    pub body: KeptBody,
    /// The placed images, in order.
    pub captions: Vec<Placement>,
    /// Corrections since publication, oldest first.
    pub corrections: Vec<Correction>,
    /// The same story in other languages.
    pub translations: Vec<Translation>,
    /// What search engines and social networks are told.
    pub seo: Seo,
    /// Whether readers may send feedback.
    pub feedback_open: bool,
    /// The body as HTML, with `include=html`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = String)]
    pub html: Option<String>,
    /// The body as Markdown, with `include=markdown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = String)]
    pub markdown: Option<String>,
    /// The body as plain text, with `include=text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = String)]
    pub text: Option<String>,
    /// The story as schema.org's NewsArticle, with `include=json_ld`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = JsonLd)]
    pub json_ld: Option<Value>,
}

/// A figure with its placement, so that a stock renderer has all it needs.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "a description: figures are filled in on the JSON value")]
pub struct PublishedFigure {
    /// What the block is.
    #[serde(rename = "_type")]
    #[schema(example = "figure")]
    pub kind: PublishedFigureType,
    /// The block's key.
    #[serde(rename = "_key")]
    pub key: String,
    /// The caption it shows.
    pub caption_id: Id,
    /// The image and its words.
    pub caption: Placement,
}

/// The one value of a published figure's `_type`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code, reason = "a description: figures are filled in on the JSON value")]
pub enum PublishedFigureType {
    /// A figure.
    Figure,
}

/// One block of a published body; `_type` says which.
pub enum PublishedBlock {}

impl PartialSchema for PublishedBlock {
    fn schema() -> RefOr<Schema> {
        let kinds = [
            ("block", "TextBlock"),
            ("figure", "PublishedFigure"),
            ("table", "Table"),
            ("embed", "Embed"),
            ("divider", "Divider"),
        ];
        let place = |name: &str| format!("#/components/schemas/{name}");
        let mapping = kinds.map(|(kind, name)| (kind, place(name)));
        let one_of = kinds.iter().fold(OneOfBuilder::new(), |list, (_, name)| {
            list.item(Ref::from_schema_name(*name))
        });
        one_of
            .description(Some(
                "One block of a published body; `_type` says which. More kinds may come.",
            ))
            .discriminator(Some(Discriminator::with_mapping("_type", mapping)))
            .into()
    }
}

impl ToSchema for PublishedBlock {
    fn name() -> std::borrow::Cow<'static, str> {
        "PublishedBlock".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        <body::Block as ToSchema>::schemas(schemas);
        schemas.push((PublishedFigure::name().into_owned(), PublishedFigure::schema()));
        <PublishedFigure as ToSchema>::schemas(schemas);
    }
}

/// The address of a story on the site.
pub fn article_url(config: &Config, section: Option<&str>, slug: &str, id: &Id, language: &str) -> String {
    let mut url = String::with_capacity(160);
    let mut rest = config.article_url.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        url.push_str(before);
        let named = after.split_once('}').and_then(|(name, after)| {
            let value = match name {
                "site" => config.site_url.as_str(),
                "section" => section.unwrap_or(""),
                "slug" => slug,
                "id" => id.as_str(),
                "language" => language,
                _ => return None,
            };
            // Without a section its slash goes, too.
            let slash = if name == "section" && section.is_none() {
                "/"
            } else {
                ""
            };
            Some((value, after.strip_prefix(slash).unwrap_or(after)))
        });
        let (value, after) = named.unwrap_or(("{", after));
        url.push_str(value);
        rest = after;
    }
    url.push_str(rest);
    url
}

/// Names, from memory if there is one.
fn names(conn: &mut Conn, known: Option<&Known>, kind: Kind, ids: &[Id]) -> Result<Things<Name>> {
    match known {
        Some(known) => known.names(conn, kind, ids),
        None => Ok(names_of(conn, kind, ids)?.into()),
    }
}

/// Everything that cards point at, loaded at once.
pub struct Composer<'c> {
    config: &'c Config,
    sections: Things<Name>,
    tags: Things<Name>,
    authors: Things<Name>,
    images: Things<ImageFile>,
}

/// What some stories point at.
struct Pointers {
    sections: Vec<Id>,
    tags: Vec<Id>,
    authors: Vec<Id>,
    images: Vec<Id>,
}

impl Pointers {
    fn of<'a>(
        cards: impl Iterator<Item = &'a Card> + Clone,
        captions: impl Iterator<Item = &'a FrozenCaption>,
    ) -> Self {
        let unique = |ids: Vec<&Id>| {
            let mut ids: Vec<Id> = ids.into_iter().cloned().collect();
            ids.sort();
            ids.dedup();
            ids
        };
        let covers = cards.clone().filter_map(|card| card.cover.as_ref());
        Self {
            sections: unique(cards.clone().filter_map(|card| card.section_id.as_ref()).collect()),
            tags: unique(cards.clone().flat_map(|card| &card.tag_ids).collect()),
            authors: unique(cards.flat_map(|card| &card.author_ids).collect()),
            images: unique(covers.chain(captions).map(|caption| &caption.image_id).collect()),
        }
    }
}

impl<'c> Composer<'c> {
    /// Takes the names and image files of a story from memory; none when not all of them are there.
    pub fn recall(config: &'c Config, known: &Known, card: &Card, captions: &[FrozenCaption]) -> Option<Self> {
        let ids = Pointers::of(std::iter::once(card), captions.iter());
        Some(Self {
            config,
            sections: known.recall_names(Kind::Section, &ids.sections)?,
            tags: known.recall_names(Kind::Tag, &ids.tags)?,
            authors: known.recall_names(Kind::Author, &ids.authors)?,
            images: known.recall_images(&ids.images)?,
        })
    }

    /// Loads the names and image files of some stories.
    pub fn load<'a>(
        conn: &mut Conn,
        config: &'c Config,
        known: Option<&Known>,
        cards: impl Iterator<Item = &'a Card> + Clone,
        captions: impl Iterator<Item = &'a FrozenCaption>,
    ) -> Result<Self> {
        let ids = Pointers::of(cards, captions);
        Ok(Self {
            config,
            sections: names(conn, known, Kind::Section, &ids.sections)?,
            tags: names(conn, known, Kind::Tag, &ids.tags)?,
            authors: names(conn, known, Kind::Author, &ids.authors)?,
            images: match known {
                Some(known) => known.images(conn, config, &ids.images)?,
                None => image_files_of(conn, config, &ids.images)?.into(),
            },
        })
    }

    /// When the newest name or image file in here changed.
    pub fn newest(&self) -> Option<Time> {
        let names = self
            .sections
            .values()
            .chain(self.tags.values())
            .chain(self.authors.values())
            .map(|name| name.2);
        names.chain(self.images.values().map(|file| file.changed())).max()
    }

    /// The purge keys of everything that was loaded.
    pub fn keys(&self) -> Vec<String> {
        let sections = self.sections.ids().map(|id| key('s', id));
        let tags = self.tags.ids().map(|id| key('t', id));
        let authors = self.authors.ids().map(|id| key('u', id));
        let images = self.images.ids().map(|id| key('i', id));
        sections.chain(tags).chain(authors).chain(images).collect()
    }

    /// A placed image; none when its file is not there, which the library's rules prevent.
    pub fn placement(&self, caption: &FrozenCaption) -> Option<Placement> {
        let file = self.images.get(&caption.image_id)?;
        Some(Placement {
            id: caption.id.clone(),
            role: caption.role,
            position: caption.position,
            text: caption.text.clone(),
            alt: caption.alt.clone(),
            credit: caption.credit.clone(),
            image: Arc::clone(file.image()),
        })
    }

    /// A story's summary.
    pub fn summary(&self, row: &PublicationRow, card: Card) -> ArticleSummary {
        let section = card.section_id.as_ref().and_then(|id| {
            let (slug, name, _) = self.sections.get(id)?;
            Some(SectionRef {
                id: id.clone(),
                slug: slug.clone(),
                name: name.clone(),
            })
        });
        let tags = card.tag_ids.iter().filter_map(|id| {
            let (slug, name, _) = self.tags.get(id)?;
            Some(TagRef {
                id: id.clone(),
                slug: slug.clone(),
                name: name.clone(),
            })
        });
        let authors = card.author_ids.iter().filter_map(|id| {
            let (slug, name, _) = self.authors.get(id)?;
            Some(AuthorRef {
                id: id.clone(),
                slug: slug.clone(),
                name: name.clone(),
            })
        });
        let section_slug = section.as_ref().map(|section| section.slug.as_str());
        ArticleSummary {
            id: row.article_id.clone(),
            slug: row.slug.clone(),
            url: article_url(self.config, section_slug, &row.slug, &row.article_id, &row.language),
            kicker: card.kicker,
            lead: card.lead,
            dateline: card.dateline,
            language: row.language.clone(),
            authors: authors.collect(),
            tags: tags.collect(),
            cover: card.cover.as_ref().and_then(|cover| self.placement(cover)),
            section,
            title: card.title,
            source: card.source,
            published_at: row.published,
            first_published_at: row.first_published,
            updated_at: row.updated,
            reading_minutes: card.reading_minutes,
            featured: row.featured,
            body: None,
            captions: None,
        }
    }
}

/// The frozen rest of some stories.
pub fn docs_of(conn: &mut Conn, ids: &[Id]) -> Result<HashMap<Id, Doc>> {
    let rows: Vec<(Id, KeptJson)> = publication_docs::table
        .filter(publication_docs::article_id.eq_any(ids))
        .select((publication_docs::article_id, publication_docs::doc))
        .load(conn)?;
    rows.into_iter().map(|(id, doc)| Ok((id, doc.read()?))).collect()
}

/// The body with each figure's placement filled in.
pub fn published_body(body: KeptBody, placements: &[Placement]) -> Result<KeptBody> {
    body.with_captions(|id| placements.iter().find(|placement| placement.id.as_str() == id))
}

/// What HTML needs to know of a figure.
pub fn figure_html(placements: &[Placement]) -> impl Fn(&str) -> Option<ShownFigure> {
    move |id| {
        let placement = placements.iter().find(|placement| placement.id.as_str() == id)?;
        Some(shown(placement))
    }
}

/// A placed image as a figure.
pub fn shown(placement: &Placement) -> ShownFigure {
    ShownFigure {
        src: placement.image.url.clone(),
        width: placement.image.width as u32,
        height: placement.image.height as u32,
        alt: placement.alt.clone().unwrap_or_default(),
        text: placement.text.clone(),
        credit: placement.credit.clone(),
    }
}

/// The alternative text of a figure, for Markdown.
pub fn figure_alt(placements: &[Placement]) -> impl Fn(&str) -> Option<String> {
    move |id| {
        let placement = placements.iter().find(|placement| placement.id.as_str() == id)?;
        placement.alt.clone()
    }
}

/// The other languages of a story.
pub struct Translations {
    /// The live ones.
    pub list: Vec<Translation>,
    /// When one of them, also a withdrawn one, or what their addresses are made of, last changed.
    pub newest: Option<Time>,
    /// Purge keys of what their addresses are made of.
    pub keys: Vec<String>,
}

impl Translations {
    /// No other language; when the story or the site last changed.
    pub fn none(newest: Option<Time>) -> Self {
        Self {
            list: Vec::new(),
            newest,
            keys: Vec::new(),
        }
    }
}

/// The other languages of a story.
pub fn translations_of(conn: &mut Conn, app: &App, row: &PublicationRow) -> Result<Translations> {
    let rows: Vec<PublicationRow> = publications::table
        .filter(publications::translation_group.eq(&row.translation_group))
        .filter(publications::article_id.ne(&row.article_id))
        .order(publications::language)
        .select(PublicationRow::as_select())
        .load(conn)?;
    // A translation may be published under a past date: what counts is when readers could first see it.
    let others = rows.iter().map(|row| row.article_id.as_str());
    let subjects: Vec<&str> = [row.article_id.as_str(), "site"].into_iter().chain(others).collect();
    let changed = changes::newest_of(conn, &subjects)?;
    let live: Vec<(PublicationRow, Card)> = rows
        .into_iter()
        .filter(|row| row.state == "live")
        .map(|row| row.card().map(|card| (row, card)))
        .collect::<Result<_>>()?;
    let sections: Vec<Id> = live.iter().filter_map(|(_, card)| card.section_id.clone()).collect();
    let names = app.known.names(conn, Kind::Section, &sections)?;
    let newest = names.values().map(|name| name.2).chain(changed).max();
    let translation = |(row, card): (PublicationRow, Card)| {
        let section = card
            .section_id
            .as_ref()
            .and_then(|id| names.get(id))
            .map(|name| name.0.as_str());
        Translation {
            url: article_url(&app.config, section, &row.slug, &row.article_id, &row.language),
            language: row.language,
            id: row.article_id,
            slug: row.slug,
            title: card.title,
        }
    };
    Ok(Translations {
        list: live.into_iter().map(translation).collect(),
        newest,
        keys: sections.iter().map(|id| key('s', id)).collect(),
    })
}
