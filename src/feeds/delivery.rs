//! How feed readers and search engines ask.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, get, web};
use url::form_urlencoded;
use utoipa_actix_web::service_config::ServiceConfig;

use super::json::JsonFeed;
use super::sitemap::{self, Span};
use super::{Feed, atom, json, rss, store};
use crate::app::State;
use crate::articles::listing::ArticleFilters;
use crate::cache::{Outcome, serve_for};
use crate::changes;
use crate::conditional::{Lifetime, Made};
use crate::config::Config;
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::request::{FromParams, Params};
use crate::site;
use crate::types::Time;

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(get_rss_feed)
        .service(get_atom_feed)
        .service(get_json_feed)
        .service(get_sitemap)
        // Before the pages, whose pattern it would fit.
        .service(get_news_sitemap)
        .service(get_sitemap_page);
}

/// The parameters that feeds know. What feed readers and links add of their own is nothing to refuse a reader for.
const KNOWN: [&str; 9] = [
    "id",
    "section",
    "tag",
    "author",
    "language",
    "source",
    "featured",
    "published_after",
    "published_before",
];

/// Extractor: the filters, and the query that says no more than they do.
pub struct Asked {
    filters: ArticleFilters,
    query: String,
}

impl FromRequest for Asked {
    type Error = Problem;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::read(req.query_string()))
    }
}

impl Asked {
    fn read(query: &str) -> Result<Self> {
        let mut known: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| KNOWN.contains(&&**name))
            .collect();
        // In one order, as the answer is kept: the feed's own address names it.
        known.sort();
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(known)
            .finish();
        let filters = ArticleFilters::take(&mut Params::parse(&query)?)?;
        Ok(Self { filters, query })
    }
}

/// Get the RSS feed.
///
/// The newest 20 stories as RSS 2.0, with their bodies. Takes the filters of the list of stories; other parameters are
/// ignored.
#[utoipa::path(
    tag = "feeds",
    params(ArticleFilters),
    responses((status = 200, description = "The feed.", body = String, content_type = "application/rss+xml"))
)]
#[get("/feeds/rss.xml")]
async fn get_rss_feed(app: State, asked: Asked, req: HttpRequest) -> Result<HttpResponse> {
    answer(app, asked, req, rss::write, rss::MEDIA_TYPE).await
}

/// Get the Atom feed.
///
/// The newest 20 stories as Atom (RFC 4287), with their bodies. Takes the filters of the list of stories; other
/// parameters are ignored.
#[utoipa::path(
    tag = "feeds",
    params(ArticleFilters),
    responses((status = 200, description = "The feed.", body = String, content_type = "application/atom+xml"))
)]
#[get("/feeds/atom.xml")]
async fn get_atom_feed(app: State, asked: Asked, req: HttpRequest) -> Result<HttpResponse> {
    answer(app, asked, req, atom::write, atom::MEDIA_TYPE).await
}

/// Get the JSON feed.
///
/// The newest 20 stories as JSON Feed 1.1, with their bodies. Takes the filters of the list of stories; other parameters
/// are ignored.
#[utoipa::path(
    tag = "feeds",
    params(ArticleFilters),
    responses((status = 200, description = "The feed.", body = JsonFeed, content_type = "application/feed+json"))
)]
#[get("/feeds/feed.json")]
async fn get_json_feed(app: State, asked: Asked, req: HttpRequest) -> Result<HttpResponse> {
    answer(app, asked, req, json::write, json::MEDIA_TYPE).await
}

async fn answer(
    app: State,
    asked: Asked,
    req: HttpRequest,
    write: fn(&Feed) -> Result<Vec<u8>>,
    media_type: &'static str,
) -> Result<HttpResponse> {
    let state = app.clone();
    let address = match asked.query.as_str() {
        "" => format!("{}{}", app.config.public_url, req.path()),
        query => format!("{}{}?{query}", app.config.public_url, req.path()),
    };
    let Asked { filters, query } = asked;
    serve_for(&app, &req, &query, move |conn| {
        let (feed, keys) = store::feed(conn, &state, &filters, address.clone())?;
        Ok(Outcome::Here(Made {
            body: write(&feed)?,
            media_type,
            // A feed gets newer by what leaves it too.
            last_modified: changes::newest(conn)?,
            keys,
            link: None,
            lifetime: Lifetime::Followed,
            policy: None,
        }))
    })
    .await
}

/// Get the sitemap.
///
/// An index of pages: one for each month in which stories were published (UTC), or one for each day, hour, minute or
/// second where they are too many. Parameters are ignored.
#[utoipa::path(
    tag = "feeds",
    responses((status = 200, description = "The index.", body = String, content_type = "application/xml"))
)]
#[get("/sitemap.xml")]
async fn get_sitemap(app: State, req: HttpRequest) -> Result<HttpResponse> {
    let state = app.clone();
    serve_for(&app, &req, "", move |conn| {
        let body = sitemap::index(&sitemap::pages(conn)?, &state.config.public_url)?;
        followed(conn, body, ["articles", "site"].map(str::to_owned).into()).map(Outcome::Here)
    })
    .await
}

/// Get a page of the sitemap.
///
/// Addresses of stories published in one span of time (UTC), oldest first, at most 5,000, with their images and other
/// languages. Take the page's address from the sitemap. Parameters are ignored.
#[utoipa::path(
    tag = "feeds",
    params(("page" = String, Path, description = "The span of time: a month, or as much as fits a page.", example = "2026-11")),
    responses((status = 200, description = "The page.", body = String, content_type = "application/xml"))
)]
#[get("/sitemap-{page}.xml")]
async fn get_sitemap_page(app: State, name: web::Path<String>, req: HttpRequest) -> Result<HttpResponse> {
    let span = Span::parse(&name).ok_or_else(|| Problem::not_found("sitemap"))?;
    let state = app.clone();
    serve_for(&app, &req, "", move |conn| {
        one_page(conn, &state.config, span).map(Outcome::Here)
    })
    .await
}

fn one_page(conn: &mut Conn, config: &Config, span: Span) -> Result<Made> {
    let missing = || Problem::not_found("sitemap");
    let bounds = span.bounds().ok_or_else(missing)?;
    let places = match span.is_page(conn)? {
        true => store::between(conn, config, bounds, sitemap::LONGEST)?,
        false => Vec::new(),
    };
    if places.is_empty() {
        return Err(missing());
    }
    let keys = vec![changes::month_key(bounds.0), "names".to_owned(), "site".to_owned()];
    followed(conn, sitemap::page(&places)?, keys)
}

/// Get the sitemap for news.
///
/// The newest stories of the last two days, at most 1,000, in the form that Google News reads. Parameters are ignored.
#[utoipa::path(
    tag = "feeds",
    responses((status = 200, description = "The sitemap.", body = String, content_type = "application/xml"))
)]
#[get("/sitemap-news.xml")]
async fn get_news_sitemap(app: State, req: HttpRequest) -> Result<HttpResponse> {
    let state = app.clone();
    serve_for(&app, &req, "", move |conn| {
        let start = Time::now().plus_seconds(-sitemap::NEWS_SECONDS);
        let stories = store::since(conn, &state.config, start, sitemap::NEWS_LENGTH)?;
        let body = sitemap::news(&stories, &site::current(conn)?.name)?;
        let made = followed(conn, body, ["articles", "names", "site"].map(str::to_owned).into())?;
        Ok(Outcome::Here(Made {
            // Stories leave it with time alone, which no date of a change tells.
            last_modified: None,
            lifetime: Lifetime::Seconds(60),
            ..made
        }))
    })
    .await
}

/// A sitemap that holds until something with these keys changes.
fn followed(conn: &mut Conn, body: Vec<u8>, keys: Vec<String>) -> Result<Made> {
    Ok(Made {
        body,
        media_type: sitemap::MEDIA_TYPE,
        last_modified: changes::newest(conn)?,
        keys,
        link: None,
        lifetime: Lifetime::Followed,
        policy: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_feeds_do_not_know_is_ignored() {
        let query = |query| Asked::read(query).map(|asked| asked.query);
        assert_eq!(
            query("utm_source=a&language=vi&limit=x&x=%ff").expect("read"),
            "language=vi"
        );
        assert_eq!(query("").expect("read"), "");
        for malformed in [
            "language=VI",
            "featured=yes",
            "section=%ff",
            "published_after=now",
            "id=1",
        ] {
            assert!(query(malformed).is_err(), "{malformed}");
        }
    }
}
