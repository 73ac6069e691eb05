//! How readers ask for stories. Nothing here reads a working copy.

use actix_web::{HttpRequest, HttpResponse, get};
use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::compose::{Article, ArticleSummary, figure_alt, figure_html, published_body};
use super::forms;
use super::json_ld;
use super::listing::{ArticleFilters, summaries};
use super::publication::{Found, PublicationRow};
use super::story::{self, Story};
use crate::app::{App, State};
use crate::cache::{Outcome, Target, serve};
use crate::changes;
use crate::conditional::Made;
use crate::db::{Conn, Here};
use crate::error::{Problem, Result};
use crate::page::{Key, PageQuery, Start};
use crate::request::{FromParams, Params, PathRef, Query, invalid};
use crate::schema::publications;
use crate::site;
use crate::{keyset, page_type};

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(list_articles)
        .service(super::related::list_related)
        .service(get_article)
        .service(forms::get_article_html)
        .service(forms::get_article_markdown)
        .service(forms::get_article_json_ld);
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
    /// The story as schema.org's NewsArticle.
    JsonLd,
}

/// Order and additions of the list of stories.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArticleQuery {
    /// The order.
    #[param(required = false)]
    sort: ArticleSort,
    /// Properties to add; then `limit` is at most 50.
    #[param(required = false)]
    include: Vec<ListInclude>,
    #[param(ignore)]
    filters: ArticleFilters,
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
        Ok(Self {
            filters: ArticleFilters::take(params)?,
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
    pub include: Vec<ArticleInclude>,
}

impl FromParams for OneQuery {
    fn take(params: &mut Params) -> Result<Self> {
        let known = [
            ("html", ArticleInclude::Html),
            ("markdown", ArticleInclude::Markdown),
            ("text", ArticleInclude::Text),
            ("json_ld", ArticleInclude::JsonLd),
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
    params(ArticleFilters, ArticleQuery, PageQuery),
    responses((status = 200, description = "A page of stories.", body = ArticlePage))
)]
#[get("/articles")]
async fn list_articles(app: State, query: Query<ArticleQuery>, req: HttpRequest) -> Result<HttpResponse> {
    let query = query.0;
    let by_title = matches!(query.sort, ArticleSort::Title | ArticleSort::TitleDown);
    let sample = if by_title {
        Key::Text(String::new())
    } else {
        Key::Int(0)
    };
    let start = query
        .page
        .start(&format!("articles {:?} {:?}", query.sort, query.filters), &sample)?;
    let (state, target) = (app.clone(), Target::of(&req));
    serve(&app, &req, move |conn| {
        list(conn, &state, &query, &start, &target).map(Outcome::Here)
    })
    .await
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
    let state = app.clone();
    serve(&app, &req, move |conn| one(conn, &state, &article, &query)).await
}

/// A story as most readers ask for it, without additions: one look when the rest is known. With it the number of the last
/// change that is in it.
pub fn plain(here: &mut Here<'_>, app: &App, article: &PathRef) -> Result<(Outcome, i64)> {
    if let Found::Here(found) = here.once(|conn| story::find(conn, article))?
        && let Some((story, seq)) = Story::recall(app, found)?
    {
        return Ok((Outcome::Here(answer(story, |story| filled(story, &[], None))?), seq));
    }
    here.together(|conn| {
        let seq = app.db.truth().catch_up(conn)?;
        let query = Ok(Query(OneQuery { include: Vec::new() }));
        Ok((one(conn, app, article, &query)?, seq))
    })
}

fn one(conn: &mut Conn, app: &App, article: &PathRef, query: &Result<Query<OneQuery>>) -> Result<Outcome> {
    let found = match story::find(conn, article)? {
        Found::Here(found) => found,
        Found::Moved(slug) => return Ok(Outcome::Moved(format!("/delivery/v1/articles/{slug}"))),
    };
    // Looked at now and not before: an unknown story is 404 whatever the query says.
    let Query(OneQuery { include }) = query.as_ref().map_err(Problem::copy)?;
    let story = Story::load(conn, app, found)?;
    answer(story, |story| whole(conn, app, story, include)).map(Outcome::Here)
}

fn answer(mut story: Story, form: impl FnOnce(Story) -> Result<Article>) -> Result<Made> {
    let (keys, last_modified) = (std::mem::take(&mut story.keys), story.last_modified);
    Made::json(&form(story)?, last_modified, keys, None)
}

/// A story as readers get it, with what was asked to be added.
pub fn whole(conn: &mut Conn, app: &App, story: Story, include: &[ArticleInclude]) -> Result<Article> {
    let json_ld = match include.contains(&ArticleInclude::JsonLd) {
        true => Some(json_ld::news_article(
            &app.config,
            &site::current(conn)?,
            &story.summary,
            &story.doc,
            &story.captions,
            &story.corrections,
        )?),
        false => None,
    };
    filled(story, include, json_ld)
}

fn filled(story: Story, include: &[ArticleInclude], json_ld: Option<Value>) -> Result<Article> {
    let Story {
        row,
        summary,
        doc,
        captions,
        corrections,
        translations,
        ..
    } = story;
    let wants = |form| include.contains(&form);
    // Most readers get the body as it was kept.
    let forms = [ArticleInclude::Html, ArticleInclude::Markdown, ArticleInclude::Text];
    let body = match forms.into_iter().any(wants) {
        true => Some(doc.body.read()?),
        false => None,
    };
    let form = |form: ArticleInclude| body.as_ref().filter(|_| wants(form));
    Ok(Article {
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
        body: published_body(doc.body, &captions)?,
        corrections,
        translations,
        feedback_open: row.feedback_open,
        html: form(ArticleInclude::Html).map(|body| body.to_html(&figure_html(&captions))),
        markdown: form(ArticleInclude::Markdown).map(|body| body.to_markdown_with(&figure_alt(&captions))),
        text: form(ArticleInclude::Text).map(|body| body.to_text()),
        json_ld,
        seo: doc.seo,
        captions,
    })
}

fn list(conn: &mut Conn, app: &App, query: &ArticleQuery, start: &Start, target: &Target) -> Result<Made> {
    let filters = query.filters.resolve(conn)?;
    let total = match query.page.include_total {
        true => Some(filters.rows().count().get_result::<i64>(conn)?),
        false => None,
    };
    let id = publications::article_id;
    let rows: Vec<PublicationRow> = match query.sort {
        ArticleSort::PublishedAt | ArticleSort::PublishedAtDown => {
            let descending = matches!(query.sort, ArticleSort::PublishedAtDown);
            let rows = match filters.page_of_one(conn, start, descending)? {
                Some(ids) => publications::table.filter(id.eq_any(ids)).into_boxed(),
                None => filters.rows(),
            };
            keyset!(rows, start, descending, publications::published_ms, id, int)
                .select(PublicationRow::as_select())
                .load(conn)?
        }
        ArticleSort::UpdatedAt => keyset!(filters.rows(), start, false, publications::updated_ms, id, int)
            .select(PublicationRow::as_select())
            .load(conn)?,
        ArticleSort::UpdatedAtDown => keyset!(filters.rows(), start, true, publications::updated_ms, id, int)
            .select(PublicationRow::as_select())
            .load(conn)?,
        ArticleSort::Title => keyset!(filters.rows(), start, false, publications::title_key, id, text)
            .select(PublicationRow::as_select())
            .load(conn)?,
        ArticleSort::TitleDown => keyset!(filters.rows(), start, true, publications::title_key, id, text)
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
    let data = summaries(conn, app, rows, &query.include)?;
    // A list gets newer by what leaves it too, so its date is that of the last public change of all.
    let newest = changes::newest(conn)?;
    let keys = filters.keys(conn)?;
    let link = page.link_at(&app.config.public_url, &target.path, &target.query);
    Made::json(&ArticlePage { data, page }, newest, keys, link)
}
