//! How front ends tell that a story was opened, and ask which are opened most.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, post};
use serde::Serialize;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::Window;
use super::store::most_viewed;
use crate::app::{App, State};
use crate::articles::compose::ArticleSummary;
use crate::articles::listing::{ArticleFilters, summaries};
use crate::articles::publication::live_article;
use crate::cache::{Outcome, serve};
use crate::changes::key;
use crate::conditional::{Lifetime, Made};
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::openapi::merged;
use crate::page::{PageInfo, limit_of};
use crate::request::{Body, FromParams, Params, PathRef, Query, client_address};
use crate::types::Time;

/// Most bytes of a beacon's body, which is not looked at.
const BODY_LIMIT: usize = 16 * 1024;
/// How long an answer about views holds, in seconds.
const HOLDS: u32 = 5;

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(record_view).service(list_most_viewed);
}

/// Count a view.
///
/// A beacon for the page that shows the story, such as `navigator.sendBeacon(url)`: any body or none, of any media type.
/// The same reader counts once in 30 minutes, and of readers at one address the first 20 of a story in 30 minutes count;
/// robots do not. The answer is the same. No cookie is set, and nothing
/// about the reader is stored. Works behind a CDN, which lets POSTs through, and under the story's old slugs.
#[utoipa::path(
    tag = "articles",
    params(("article" = String, Path, description = "The story's id or slug.", max_length = 150)),
    responses(
        (status = 202, description = "Taken."),
        (status = 408, description = "The body came too slowly."),
        (status = 410, description = "The story has been withdrawn."),
        (status = 413, description = "The body is larger than 16 KiB."),
    )
)]
#[post("/articles/{article}/views")]
async fn record_view(app: State, article: PathRef, body: Body, req: HttpRequest) -> Result<HttpResponse> {
    let address = client_address(&req);
    let story = match app.views.resolve(article.as_str()) {
        Some(story) => story,
        None => look_up(&app, article, &req).await?,
    };
    body.bytes(BODY_LIMIT).await?;
    let browser = req.headers().get(header::USER_AGENT).map(header::HeaderValue::as_bytes);
    app.views.record(story, address, browser, Time::now());
    Ok(HttpResponse::build(StatusCode::ACCEPTED)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish())
}

/// Finds the story in the database and remembers what it was called.
async fn look_up(app: &State, article: PathRef, req: &HttpRequest) -> Result<Uuid> {
    app.limits.reads(req)?;
    let state = app.clone();
    app.db.read(move |conn| remember(conn, &state, &article)).await
}

fn remember(conn: &mut Conn, app: &App, article: &PathRef) -> Result<Uuid> {
    let id = live_article(conn, article)?.article_id;
    let story = Uuid::try_parse(id.as_str()).map_err(Problem::internal)?;
    let truth = app.db.truth();
    let seq = truth.catch_up(conn)?;
    let cell = truth.cells(std::iter::once(key('a', &id).as_str()), seq).pop();
    if let Some(cell) = cell {
        app.views.remember(article.as_str(), story, cell, seq);
    }
    Ok(story)
}

const WINDOWS: &[(&str, Window)] = &[
    ("24h", Window::Day),
    ("7d", Window::Week),
    ("30d", Window::Month),
    ("all", Window::All),
];

/// Which stories, for the documents: the filters read themselves.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "a description: ArticleFilters reads them")]
pub struct ScopeParams {
    /// Of these sections (slugs or ids).
    #[param(required = false, max_items = 50, example = json!(["thoi-su"]))]
    section: Vec<String>,
    /// In these languages.
    #[param(required = false, max_items = 20, example = json!(["vi"]))]
    language: Vec<String>,
}

/// Which views, and how many stories.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MostViewedQuery {
    /// The time whose views count, in whole hours up to now.
    #[param(required = false, default = "24h")]
    window: Window,
    /// How many stories at most.
    #[param(minimum = 1, maximum = 100, default = 20, required = false, example = 20)]
    limit: usize,
    #[param(ignore)]
    filters: ArticleFilters,
}

impl FromParams for MostViewedQuery {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self {
            window: params.choice("window", WINDOWS)?.unwrap_or(Window::Day),
            limit: limit_of(params)?,
            filters: ArticleFilters::of_section_and_language(params)?,
        })
    }
}

/// A story with how often it was opened.
#[derive(Debug, Serialize)]
pub struct MostViewedArticle {
    /// The story.
    #[serde(flatten)]
    pub article: ArticleSummary,
    /// Its views.
    #[serde(flatten)]
    pub views: ViewCount,
}

/// A story with how often it was opened.
#[derive(Debug, Serialize, ToSchema)]
pub struct ViewCount {
    /// How often readers opened it in the window.
    #[schema(minimum = 1, example = 1234)]
    pub views: i64,
}

impl PartialSchema for MostViewedArticle {
    fn schema() -> RefOr<Schema> {
        merged::<ArticleSummary, ViewCount>()
    }
}

impl ToSchema for MostViewedArticle {
    fn name() -> std::borrow::Cow<'static, str> {
        "MostViewedArticle".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ArticleSummary::schemas(schemas);
    }
}

/// The most viewed stories, in one page.
#[derive(Debug, Serialize, ToSchema)]
pub struct MostViewedPage {
    /// The stories, the most viewed first.
    pub data: Vec<MostViewedArticle>,
    /// There is one page: `limit` says how long it is.
    pub page: PageInfo,
}

/// List the most viewed stories.
///
/// By views in the window, of published stories that have any; equally many by id, the newest first. With filters they are
/// looked for among the 2,000 most viewed of all and the 2,000 newest of the sections (or languages). Views are in it some
/// ten seconds after they happened.
#[utoipa::path(
    tag = "articles",
    params(MostViewedQuery, ScopeParams),
    responses((status = 200, description = "The most viewed stories.", body = MostViewedPage))
)]
#[get("/most-viewed")]
async fn list_most_viewed(app: State, query: Query<MostViewedQuery>, req: HttpRequest) -> Result<HttpResponse> {
    let (state, query) = (app.clone(), query.0);
    serve(&app, &req, move |conn| {
        let found = {
            let filters = query.filters.resolve(conn)?;
            most_viewed(conn, &filters, query.window, query.limit)?
        };
        let (rows, views): (Vec<_>, Vec<i64>) = found.into_iter().unzip();
        let summaries = summaries(conn, &state, rows, &[])?;
        let data = summaries
            .into_iter()
            .zip(views)
            .map(|(article, views)| MostViewedArticle {
                article,
                views: ViewCount { views },
            });
        let data = data.collect();
        let page = MostViewedPage {
            data,
            page: PageInfo::only(),
        };
        let keys = vec!["articles".to_owned(), "names".to_owned()];
        let mut made = Made::json(&page, None, keys, None)?;
        made.lifetime = Lifetime::Seconds(HOLDS);
        Ok(Outcome::Here(made))
    })
    .await
}
