//! The addresses of a story for those who want it in another form than JSON.

use actix_web::{HttpRequest, HttpResponse, get};

use super::compose::{ArticleSummary, figure_html, shown};
use super::json_ld::{self, JsonLd};
use super::publication::Found;
use super::story::{self, Sight, Story};
use super::{CaptionRole, corrections};
use crate::app::{App, State};
use crate::body::{figure_to_html, figure_to_markdown, markdown_destination, text_to_html, text_to_markdown};
use crate::cache::{Outcome, serve};
use crate::conditional::{Lifetime, Made};
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::request::{NoParams, PathRef, Query};
use crate::site::{self, SiteRow};

/// What a page made of a story may do: show images. Nothing in it runs.
const POLICY: &str = "default-src 'none'; img-src *; sandbox";

/// A form that a story has an address for.
#[derive(Clone, Copy)]
enum Form {
    Html,
    Markdown,
    JsonLd,
}

impl Form {
    fn suffix(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Markdown => "markdown",
            Self::JsonLd => "json-ld",
        }
    }
}

/// Get a story as HTML.
///
/// One `<article>` with all that the story's page shows: headline, kicker, authors, time (in the site's zone), lead,
/// pictures with their words, body, corrections and source, made by escaping: nothing in it runs. A slug the story had
/// before is answered 308 with the address now.
#[utoipa::path(
    tag = "articles",
    params(("article" = String, Path, description = "Id or slug.", max_length = 150, example = "lu-rut-tren-song-cau")),
    responses(
        (
            status = 200, description = "The story.", body = String, content_type = "text/html",
            headers(("Content-Security-Policy" = String, description = "Lets a browser show images and run nothing."))
        ),
        (status = 308, description = "The story has another slug now."),
        (status = 410, description = "It was public once and has been withdrawn."),
    )
)]
#[get("/articles/{article}/html")]
pub async fn get_article_html(
    app: State,
    article: PathRef,
    query: Result<Query<NoParams>>,
    req: HttpRequest,
) -> Result<HttpResponse> {
    answer(app, article, query, req, Form::Html).await
}

/// Get a story as Markdown.
///
/// The headline as a heading, then all else that the story's page shows, as in the HTML; pictures by their addresses. A slug
/// the story had before is answered 308 with the address now.
#[utoipa::path(
    tag = "articles",
    params(("article" = String, Path, description = "Id or slug.", max_length = 150, example = "lu-rut-tren-song-cau")),
    responses(
        (status = 200, description = "The story.", body = String, content_type = "text/markdown"),
        (status = 308, description = "The story has another slug now."),
        (status = 410, description = "It was public once and has been withdrawn."),
    )
)]
#[get("/articles/{article}/markdown")]
pub async fn get_article_markdown(
    app: State,
    article: PathRef,
    query: Result<Query<NoParams>>,
    req: HttpRequest,
) -> Result<HttpResponse> {
    answer(app, article, query, req, Form::Markdown).await
}

/// Get a story as JSON-LD.
///
/// The NewsArticle of schema.org for a page's script element of type `application/ld+json`: `<` is escaped, so the text may be
/// put there as it is. A slug the story had before is answered 308 with the address now.
#[utoipa::path(
    tag = "articles",
    params(("article" = String, Path, description = "Id or slug.", max_length = 150, example = "lu-rut-tren-song-cau")),
    responses(
        (status = 200, description = "The story.", body = JsonLd, content_type = "application/ld+json"),
        (status = 308, description = "The story has another slug now."),
        (status = 410, description = "It was public once and has been withdrawn."),
    )
)]
#[get("/articles/{article}/json-ld")]
pub async fn get_article_json_ld(
    app: State,
    article: PathRef,
    query: Result<Query<NoParams>>,
    req: HttpRequest,
) -> Result<HttpResponse> {
    answer(app, article, query, req, Form::JsonLd).await
}

async fn answer(
    app: State,
    article: PathRef,
    query: Result<Query<NoParams>>,
    req: HttpRequest,
    form: Form,
) -> Result<HttpResponse> {
    let state = app.clone();
    serve(&app, &req, move |conn| {
        let found = match story::find(conn, &article)? {
            Found::Here(found) => found,
            Found::Moved(slug) => {
                let address = format!("/delivery/v1/articles/{slug}/{}", form.suffix());
                return Ok(Outcome::Moved(address));
            }
        };
        // Looked at now and not before: an unknown story is 404 whatever the query says.
        query.as_ref().map_err(Problem::copy)?;
        made(conn, &state, found, form).map(Outcome::Here)
    })
    .await
}

fn made(conn: &mut Conn, app: &App, found: Sight, form: Form) -> Result<Made> {
    let story = Story::load(conn, app, found)?;
    let site = site::current(conn)?;
    let (body, media_type, policy) = match form {
        Form::Html => (
            html(&site, &story)?.into_bytes(),
            "text/html; charset=utf-8",
            Some(POLICY),
        ),
        Form::Markdown => (
            markdown(&site, &story)?.into_bytes(),
            "text/markdown; charset=utf-8",
            None,
        ),
        Form::JsonLd => {
            let Story {
                summary,
                doc,
                captions,
                corrections,
                ..
            } = &story;
            let value = json_ld::news_article(&app.config, &site, summary, doc, captions, corrections)?;
            (json_ld::script_safe(&value)?, json_ld::MEDIA_TYPE, None)
        }
    };
    Ok(Made {
        body,
        media_type,
        last_modified: story.last_modified,
        keys: story.keys,
        link: None,
        lifetime: Lifetime::Followed,
        policy,
    })
}

fn html(site: &SiteRow, story: &Story) -> Result<String> {
    let summary = &story.summary;
    let paragraph = |text: &String| format!("<p>{}</p>", text_to_html(text));
    let figures = |role| -> String {
        let placed = story.captions.iter().filter(|placed| placed.role == role);
        placed
            .map(|placed| figure_to_html(placed.id.as_str(), shown(placed)))
            .collect()
    };
    let published = summary.published_at;
    let time = format!("<time datetime=\"{published}\">{}</time>", site.moment(published));
    let signed = authors(summary).map(|authors| format!("{} · ", text_to_html(&authors)));
    let source = summary.source.as_ref().map(|source| {
        let name = text_to_html(&source.name);
        match &source.url {
            Some(url) => format!("<p>{}: <a href=\"{}\">{name}</a></p>", from(summary), text_to_html(url)),
            None => format!("<p>{}: {name}</p>", from(summary)),
        }
    });
    Ok(format!(
        "<article lang=\"{}\">{}<h1>{}</h1><p>{}{time}</p>{}{}{}{}{}{}{}</article>\n",
        text_to_html(&summary.language),
        summary.kicker.as_ref().map(paragraph).unwrap_or_default(),
        text_to_html(&summary.title),
        signed.unwrap_or_default(),
        summary.lead.as_ref().map(paragraph).unwrap_or_default(),
        figures(CaptionRole::Lead),
        summary.dateline.as_ref().map(paragraph).unwrap_or_default(),
        story.doc.body.read()?.to_html(&figure_html(&story.captions)),
        figures(CaptionRole::Gallery),
        corrections::to_html(site, &summary.language, &story.corrections),
        source.unwrap_or_default(),
    ))
}

fn markdown(site: &SiteRow, story: &Story) -> Result<String> {
    let summary = &story.summary;
    let paragraph = |text: &String| format!("{}\n\n", text_to_markdown(text, true));
    let figures = |role, before: &str, after: &str| -> String {
        let placed = story.captions.iter().filter(|placed| placed.role == role);
        let figures = placed.map(|placed| format!("{before}{}{after}", figure_to_markdown(&shown(placed))));
        figures.collect()
    };
    let signed = authors(summary).map(|authors| format!("{} · ", text_to_markdown(&authors, false)));
    let source = summary.source.as_ref().map(|source| {
        let name = text_to_markdown(&source.name, false);
        match &source.url {
            Some(url) => format!("\n{}: [{name}]({})\n", from(summary), markdown_destination(url)),
            None => format!("\n{}: {name}\n", from(summary)),
        }
    });
    Ok(format!(
        "# {}\n\n{}{}{}\n\n{}{}{}{}{}{}{}",
        text_to_markdown(&summary.title, false),
        summary.kicker.as_ref().map(paragraph).unwrap_or_default(),
        signed.unwrap_or_default(),
        text_to_markdown(&site.moment(summary.published_at), false),
        summary.lead.as_ref().map(paragraph).unwrap_or_default(),
        figures(CaptionRole::Lead, "", "\n\n"),
        summary.dateline.as_ref().map(paragraph).unwrap_or_default(),
        story.doc.body.read()?.to_markdown_shown(&figure_html(&story.captions)),
        figures(CaptionRole::Gallery, "\n", "\n"),
        corrections::to_markdown(site, &summary.language, &story.corrections),
        source.unwrap_or_default(),
    ))
}

/// Who wrote it, in one line.
fn authors(summary: &ArticleSummary) -> Option<String> {
    let names: Vec<&str> = summary.authors.iter().map(|author| author.name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// What stands before a story's source.
fn from(summary: &ArticleSummary) -> &'static str {
    match summary.language.split('-').next() {
        Some("vi") => "Nguồn",
        _ => "Source",
    }
}
