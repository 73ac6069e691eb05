//! How whoever has a link sees its revision.

use actix_web::{HttpRequest, get};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{is_ours, store};
use crate::app::{App, State};
use crate::articles::compose::Article;
use crate::articles::delivery::{OneQuery, whole};
use crate::error::{Problem, Result};
use crate::idempotency::Answer;
use crate::request::Query;

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(get_preview);
}

/// No cache keeps a preview.
const NO_STORE: &str = "private, no-store";

/// Get a preview.
///
/// One revision in the shape of a story, published or not. Search engines are told not to list it and caches not to keep
/// it; a page that shows it should do the same. A token that we did not make is 404, a link that has ended 410.
#[utoipa::path(
    tag = "previews",
    params(
        ("token" = String, Path, description = "The token of a preview link.", max_length = 150),
        OneQuery,
    ),
    responses(
        (
            status = 200, description = "The revision as readers would get it.", body = Article,
            headers(("X-Robots-Tag" = String, description = "`noindex`"))
        ),
        (status = 410, description = "The link has run out or was revoked (`preview_ended`)."),
    )
)]
#[get("/previews/{token}")]
async fn get_preview(app: State, query: Result<Query<OneQuery>>, req: HttpRequest) -> Result<Answer> {
    app.limits.reads(&req)?;
    let token = req.match_info().query("token").to_owned();
    let article = preview(&app, token, query).await.map_err(unlisted)?;
    Ok(Answer::ok(&article)?
        .header("Cache-Control", NO_STORE)
        .header("X-Robots-Tag", "noindex")
        .header("Referrer-Policy", "no-referrer"))
}

/// A refusal is not kept or listed either.
fn unlisted(problem: Problem) -> Problem {
    problem
        .header("Cache-Control", NO_STORE)
        .header("X-Robots-Tag", "noindex")
}

async fn preview(app: &State, token: String, query: Result<Query<OneQuery>>) -> Result<Article> {
    if !is_ours(app.keys.secret(), &token)? {
        return Err(Problem::not_found("preview"));
    }
    let state = app.clone();
    app.db
        .read(move |conn| {
            let app: &App = &state;
            let story = store::story(conn, app, &token)?;
            // Looked at now and not before: an unknown link is 404 whatever the query says.
            let Query(OneQuery { include }) = query?;
            whole(conn, app, story, &include)
        })
        .await
}
