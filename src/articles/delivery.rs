//! How readers ask for stories. Nothing here reads a working copy.

use actix_web::{HttpRequest, HttpResponse, get};
use diesel::prelude::*;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::compose::{
    Article, ArticleSummary, Composer, Placement, Translations, docs_of, figure_html, published_body, translations_of,
};
use super::publication::{Card, Doc, Found, PublicationRow, look_up};
use crate::app::{App, State};
use crate::changes::{self, key};
use crate::conditional::{Made, deliver};
use crate::config::Config;
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::page::{Key, PageQuery, Start};
use crate::request::{FromParams, Params, PathRef, Query, client_address, invalid};
use crate::schema::{publication_authors, publication_tags, publications};
use crate::taxonomy::{self, Kind};
use crate::text::fold;
use crate::types::{Id, Time};
use crate::{keyset, page_type};

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(list_articles).service(get_article);
}

page_type! {
    /// A page of stories.
    ArticlePage of ArticleSummary
}

/// Orders of the list of stories; a dash turns them round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum ArticleSort {
    /// Oldest publication first.
    #[serde(rename = "published_at")]
    PublishedAt,
    /// Newest publication first.
    #[serde(rename = "-published_at")]
    PublishedAtDown,
    /// Least recently updated first.
    #[serde(rename = "updated_at")]
    UpdatedAt,
    /// Most recently updated first.
    #[serde(rename = "-updated_at")]
    UpdatedAtDown,
    /// By headline, without regard to accents.
    #[serde(rename = "title")]
    Title,
    /// By headline, from the end.
    #[serde(rename = "-title")]
    TitleDown,
}

const SORTS: &[(&str, ArticleSort)] = &[
    ("published_at", ArticleSort::PublishedAt),
    ("-published_at", ArticleSort::PublishedAtDown),
    ("updated_at", ArticleSort::UpdatedAt),
    ("-updated_at", ArticleSort::UpdatedAtDown),
    ("title", ArticleSort::Title),
    ("-title", ArticleSort::TitleDown),
];

/// What a list can be asked to add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListInclude {
    /// The body.
    Body,
    /// The placed images.
    Captions,
}

/// What one story can be asked to add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArticleInclude {
    /// The body as HTML.
    Html,
    /// The body as Markdown.
    Markdown,
    /// The body as plain text.
    Text,
}

/// Filters, order and additions of the list of stories. Several values of one filter mean any of them.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArticleQuery {
    /// Just these stories.
    #[param(required = false, max_items = 100)]
    id: Vec<Id>,
    /// Of these sections (slugs or ids).
    #[param(required = false, max_items = 50, example = json!(["thoi-su"]))]
    section: Vec<String>,
    /// With one of these tags (slugs or ids).
    #[param(required = false, max_items = 50)]
    tag: Vec<String>,
    /// By one of these authors (slugs or ids).
    #[param(required = false, max_items = 50)]
    author: Vec<String>,
    /// In these languages.
    #[param(required = false, max_items = 20, example = json!(["vi"]))]
    language: Vec<String>,
    /// Taken from the source with this name; accents and case do not matter.
    #[param(required = false, nullable = false, value_type = String, max_length = 200)]
    source: Option<String>,
    /// Only those that belong to the front page, or only the others.
    #[param(required = false, nullable = false, value_type = bool)]
    featured: Option<bool>,
    /// Published at this time or later.
    #[param(required = false, nullable = false, value_type = Time)]
    published_after: Option<Time>,
    /// Published before this time.
    #[param(required = false, nullable = false, value_type = Time)]
    published_before: Option<Time>,
    /// The order.
    #[param(required = false)]
    sort: ArticleSort,
    /// Properties to add; then `limit` is at most 50.
    #[param(required = false)]
    include: Vec<ListInclude>,
    #[param(ignore)]
    page: PageQuery,
}

impl FromParams for ArticleQuery {
    fn take(params: &mut Params) -> Result<Self> {
        let include = params.include(&[("body", ListInclude::Body), ("captions", ListInclude::Captions)])?;
        let page = PageQuery::take(params)?;
        if !include.is_empty() && page.limit > 50 {
            return Err(invalid("limit", "is at most 50 together with include"));
        }
        let language = params.many("language", 20)?;
        if language.iter().any(|language| !crate::text::is_language(language)) {
            return Err(invalid("language", "takes lower-case BCP 47 tags such as vi"));
        }
        Ok(Self {
            id: params.ids("id", 100)?,
            section: params.references("section")?,
            tag: params.references("tag")?,
            author: params.references("author")?,
            language,
            source: params.words("source")?,
            featured: params.flag("featured")?,
            published_after: params.time("published_after")?,
            published_before: params.time("published_before")?,
            sort: params.choice("sort", SORTS)?.unwrap_or(ArticleSort::PublishedAtDown),
            include,
            page,
        })
    }
}

/// Additions to one story.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OneQuery {
    /// Properties to add.
    #[param(required = false)]
    include: Vec<ArticleInclude>,
}

impl FromParams for OneQuery {
    fn take(params: &mut Params) -> Result<Self> {
        let known = [
            ("html", ArticleInclude::Html),
            ("markdown", ArticleInclude::Markdown),
            ("text", ArticleInclude::Text),
        ];
        Ok(Self {
            include: params.include(&known)?,
        })
    }
}

/// List stories.
///
/// Summaries of published stories, newest first. With `include=body,captions` a static site can be built without a
/// request for each story.
#[utoipa::path(
    tag = "articles",
    params(ArticleQuery, PageQuery),
    responses((status = 200, description = "A page of stories.", body = ArticlePage))
)]
#[get("/articles")]
async fn list_articles(app: State, query: Query<ArticleQuery>, req: HttpRequest) -> Result<HttpResponse> {
    app.limits.delivery(client_address(&req))?;
    let query = query.0;
    let by_title = matches!(query.sort, ArticleSort::Title | ArticleSort::TitleDown);
    let sample = if by_title {
        Key::Text(String::new())
    } else {
        Key::Int(0)
    };
    let mut plain = query.clone();
    plain.page = PageQuery::default();
    plain.include = Vec::new();
    let start = query.page.start(&format!("articles {plain:?}"), &sample)?;
    let state = app.clone();
    let (page, newest, keys) = app
        .db
        .read(move |conn| list(conn, &state.config, &query, &start))
        .await?;
    let link = page.page.link(&app.config.public_url, &req);
    let body = serde_json::to_vec(&page).map_err(Problem::internal)?;
    Ok(deliver(
        &req,
        Made {
            body,
            media_type: "application/json",
            last_modified: newest,
            keys,
            link,
        },
    ))
}

/// Get a story.
///
/// By id or slug. A slug the story had before is answered 308 with its address now; a story that was withdrawn 410; one
/// that never was public 404, like one that does not exist.
#[utoipa::path(
    tag = "articles",
    params(
        ("article" = String, Path, description = "Id or slug.", max_length = 150, example = "lu-rut-tren-song-cau"),
        OneQuery,
    ),
    responses(
        (status = 200, description = "The story.", body = Article),
        (status = 308, description = "The story has another slug now."),
        (status = 410, description = "It was public once and has been withdrawn."),
    )
)]
#[get("/articles/{article}")]
async fn get_article(
    app: State,
    article: PathRef,
    query: Result<Query<OneQuery>>,
    req: HttpRequest,
) -> Result<HttpResponse> {
    app.limits.delivery(client_address(&req))?;
    let state = app.clone();
    let found = app.db.read(move |conn| one(conn, &state, &article, query)).await?;
    match found {
        Found::Here(made) => Ok(deliver(&req, made)),
        Found::Moved(slug) => {
            let query = req.uri().query().map_or(String::new(), |query| format!("?{query}"));
            let location = format!("/delivery/v1/articles/{slug}{query}");
            Ok(HttpResponse::PermanentRedirect()
                .insert_header(("Location", location))
                .finish())
        }
    }
}

fn one(conn: &mut Conn, app: &App, article: &PathRef, query: Result<Query<OneQuery>>) -> Result<Found<Made>> {
    let row = match look_up(conn, article)? {
        Found::Here(row) => row,
        Found::Moved(slug) => return Ok(Found::Moved(slug)),
    };
    // Looked at now and not before: an unknown story is 404 whatever the query says.
    let Query(OneQuery { include }) = query?;
    let card = row.card()?;
    let doc = docs_of(conn, std::slice::from_ref(&row.article_id))?.remove(&row.article_id);
    let doc = doc.ok_or_else(|| Problem::internal("a live publication has no document"))?;
    let composer = Composer::load(conn, &app.config, std::iter::once(&card), doc.captions.iter())?;
    let Translations {
        list: translations,
        newest: newest_translation,
        keys: translation_keys,
    } = translations_of(conn, &app.config, &row)?;
    let captions = placements(&composer, &doc);
    let summary = composer.summary(&row, card);
    let wants = |form| include.contains(&form);
    let article = Article {
        id: summary.id,
        slug: summary.slug,
        url: summary.url,
        title: summary.title,
        kicker: summary.kicker,
        lead: summary.lead,
        dateline: summary.dateline,
        language: summary.language,
        section: summary.section,
        authors: summary.authors,
        tags: summary.tags,
        source: summary.source,
        cover: summary.cover,
        published_at: summary.published_at,
        first_published_at: summary.first_published_at,
        updated_at: summary.updated_at,
        reading_minutes: summary.reading_minutes,
        featured: summary.featured,
        body: published_body(&doc.body, &captions)?,
        corrections: Vec::new(),
        translations,
        seo: doc.seo,
        feedback_open: row.feedback_open,
        html: wants(ArticleInclude::Html).then(|| doc.body.to_html(&figure_html(&captions))),
        markdown: wants(ArticleInclude::Markdown).then(|| {
            let alt = |id: &str| {
                captions
                    .iter()
                    .find(|placement| placement.id.as_str() == id)?
                    .alt
                    .clone()
            };
            doc.body.to_markdown_with(&alt)
        }),
        text: wants(ArticleInclude::Text).then(|| doc.body.to_text()),
        captions,
    };
    let mut keys = vec![key('a', &row.article_id), "site".to_owned()];
    keys.extend(composer.keys());
    keys.extend(translation_keys);
    let last_modified = [Some(row.updated), composer.newest(), newest_translation]
        .into_iter()
        .flatten()
        .max();
    let body = serde_json::to_vec(&article).map_err(Problem::internal)?;
    Ok(Found::Here(Made {
        body,
        media_type: "application/json",
        last_modified,
        keys,
        link: None,
    }))
}

fn placements(composer: &Composer<'_>, doc: &Doc) -> Vec<Placement> {
    doc.captions
        .iter()
        .filter_map(|caption| composer.placement(caption))
        .collect()
}

type Listed = (ArticlePage, Option<Time>, Vec<String>);

fn list(conn: &mut Conn, config: &Config, query: &ArticleQuery, start: &Start) -> Result<Listed> {
    let ids = |conn: &mut Conn, kind, names: &[String]| taxonomy::find_ids(conn, kind, names);
    let sections = ids(conn, Kind::Section, &query.section)?;
    let tags = ids(conn, Kind::Tag, &query.tag)?;
    let authors = ids(conn, Kind::Author, &query.author)?;
    let filtered = || {
        let mut rows = publications::table.filter(publications::state.eq("live")).into_boxed();
        if !query.id.is_empty() {
            rows = rows.filter(publications::article_id.eq_any(&query.id));
        }
        if !query.section.is_empty() {
            rows = rows.filter(publications::section_id.eq_any(sections.clone()));
        }
        if !query.tag.is_empty() {
            let of = publication_tags::table
                .filter(publication_tags::ref_id.eq_any(tags.clone()))
                .select(publication_tags::article_id);
            rows = rows.filter(publications::article_id.eq_any(of));
        }
        if !query.author.is_empty() {
            let of = publication_authors::table
                .filter(publication_authors::ref_id.eq_any(authors.clone()))
                .select(publication_authors::article_id);
            rows = rows.filter(publications::article_id.eq_any(of));
        }
        if !query.language.is_empty() {
            rows = rows.filter(publications::language.eq_any(&query.language));
        }
        if let Some(source) = &query.source {
            rows = rows.filter(publications::source_key.eq(fold(source)));
        }
        if let Some(featured) = query.featured {
            rows = rows.filter(publications::featured.eq(featured));
        }
        if let Some(time) = query.published_after {
            rows = rows.filter(publications::published_ms.ge(time));
        }
        if let Some(time) = query.published_before {
            rows = rows.filter(publications::published_ms.lt(time));
        }
        rows
    };
    let total = match query.page.include_total {
        true => Some(filtered().count().get_result::<i64>(conn)?),
        false => None,
    };
    let id = publications::article_id;
    let rows: Vec<PublicationRow> = match query.sort {
        ArticleSort::PublishedAt => keyset!(filtered(), start, false, publications::published_ms, id, int)
            .select(PublicationRow::as_select())
            .load(conn)?,
        ArticleSort::PublishedAtDown => keyset!(filtered(), start, true, publications::published_ms, id, int)
            .select(PublicationRow::as_select())
            .load(conn)?,
        ArticleSort::UpdatedAt => keyset!(filtered(), start, false, publications::updated_ms, id, int)
            .select(PublicationRow::as_select())
            .load(conn)?,
        ArticleSort::UpdatedAtDown => keyset!(filtered(), start, true, publications::updated_ms, id, int)
            .select(PublicationRow::as_select())
            .load(conn)?,
        ArticleSort::Title => keyset!(filtered(), start, false, publications::title_key, id, text)
            .select(PublicationRow::as_select())
            .load(conn)?,
        ArticleSort::TitleDown => keyset!(filtered(), start, true, publications::title_key, id, text)
            .select(PublicationRow::as_select())
            .load(conn)?,
    };
    let (rows, page) = start.finish(rows, total, |row| {
        let key = match query.sort {
            ArticleSort::PublishedAt | ArticleSort::PublishedAtDown => Key::Int(row.published.ms()),
            ArticleSort::UpdatedAt | ArticleSort::UpdatedAtDown => Key::Int(row.updated.ms()),
            ArticleSort::Title | ArticleSort::TitleDown => Key::Text(row.title_key.clone()),
        };
        (key, row.article_id.to_string())
    });
    let data = summaries(conn, config, rows, &query.include)?;
    // A list gets newer by what leaves it too, so its date is that of the last public change of all.
    let newest = changes::newest(conn)?;
    let mut keys = Vec::new();
    let mut known = 0;
    for (kind, letter, ids) in [
        (Kind::Section, 'S', &sections),
        (Kind::Tag, 'T', &tags),
        (Kind::Author, 'U', &authors),
    ] {
        for id in ids {
            // A key for what no story uses would tell that it exists.
            if taxonomy::is_public(conn, kind, id)? {
                keys.push(key(letter, id));
                known += 1;
            }
        }
    }
    let asked = query.section.len() + query.tag.len() + query.author.len();
    if known < asked || known == 0 || known > 50 {
        keys = vec!["articles".into()];
    }
    // A renamed section, tag or author shows in every list.
    keys.extend(["names".into(), "site".into()]);
    Ok((ArticlePage { data, page }, newest, keys))
}

/// Summaries of some rows, in their order.
fn summaries(
    conn: &mut Conn,
    config: &Config,
    rows: Vec<PublicationRow>,
    include: &[ListInclude],
) -> Result<Vec<ArticleSummary>> {
    let rows: Vec<(PublicationRow, Card)> = rows
        .into_iter()
        .map(|row| row.card().map(|card| (row, card)))
        .collect::<Result<_>>()?;
    let docs = if include.is_empty() {
        Default::default()
    } else {
        let ids: Vec<Id> = rows.iter().map(|(row, _)| row.article_id.clone()).collect();
        docs_of(conn, &ids)?
    };
    let captions = docs.values().flat_map(|doc| &doc.captions);
    let composer = Composer::load(conn, config, rows.iter().map(|(_, card)| card), captions)?;
    rows.into_iter()
        .map(|(row, card)| {
            let mut summary = composer.summary(&row, card);
            if let Some(doc) = docs.get(&row.article_id) {
                let captions = placements(&composer, doc);
                if include.contains(&ListInclude::Body) {
                    summary.body = Some(published_body(&doc.body, &captions)?);
                }
                if include.contains(&ListInclude::Captions) {
                    summary.captions = Some(captions);
                }
            }
            Ok(summary)
        })
        .collect()
}
