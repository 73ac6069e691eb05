//! The addresses of a story for those who want it in another form than JSON.

use actix_web::{HttpRequest, HttpResponse, get};

use super::compose::{figure_alt, figure_html};
use super::corrections;
use super::json_ld::{self, JsonLd};
use super::publication::Found;
use super::story::{self, Sight, Story};
use crate::app::{App, State};
use crate::body::{text_to_html, text_to_markdown};
use crate::cache::{Outcome, serve};
use crate::conditional::{Lifetime, Made};
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::request::{NoParams, PathRef, Query};
use crate::site;

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
/// One `<article>` with headline, lead and body, made by escaping: nothing in it runs. A slug the story had before is
/// answered 308 with the address now.
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
/// The headline as a heading, then lead and body. A slug the story had before is answered 308 with the address now.
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
    let (body, media_type, policy) = match form {
        Form::Html => (html(&story)?.into_bytes(), "text/html; charset=utf-8", Some(POLICY)),
        Form::Markdown => (markdown(&story)?.into_bytes(), "text/markdown; charset=utf-8", None),
        Form::JsonLd => {
            let site = site::current(conn)?;
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

fn html(story: &Story) -> Result<String> {
    let summary = &story.summary;
    let lead = summary
        .lead
        .as_deref()
        .map(|lead| format!("<p>{}</p>", text_to_html(lead)));
    Ok(format!(
        "<article lang=\"{}\"><h1>{}</h1>{}{}{}</article>\n",
        text_to_html(&summary.language),
        text_to_html(&summary.title),
        lead.unwrap_or_default(),
        story.doc.body.read()?.to_html(&figure_html(&story.captions)),
        corrections::to_html(&summary.language, &story.corrections),
    ))
}

fn markdown(story: &Story) -> Result<String> {
    let summary = &story.summary;
    let lead = summary
        .lead
        .as_deref()
        .map(|lead| format!("{}\n\n", text_to_markdown(lead, true)));
    Ok(format!(
        "# {}\n\n{}{}{}",
        text_to_markdown(&summary.title, false),
        lead.unwrap_or_default(),
        story.doc.body.read()?.to_markdown_with(&figure_alt(&story.captions)),
        corrections::to_markdown(&summary.language, &story.corrections),
    ))
}
