//! How editors make, list and end preview links.

use actix_web::{HttpRequest, delete, get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{MAX_SECONDS, front_end_url, store, token};
use crate::app::State;
use crate::articles::action::check_editor;
use crate::articles::store::get as get_article;
use crate::auth::Caller;
use crate::error::{Problem, Result};
use crate::idempotency::{Answer, IdempotencyKey, write_once};
use crate::page::{Key, PageQuery};
use crate::page_type;
use crate::request::{Body, IdempotencyParam, PathId, Query, stray, unknown_parameter};
use crate::text::Check;
use crate::types::{Id, PersonRef, Time};

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(create_preview_link)
        .service(list_preview_links)
        .service(revoke_preview_link);
}

page_type! {
    /// A page of preview links.
    PreviewLinkPage of PreviewLink
}

/// A new preview link.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewLinkCreate {
    /// Seconds that it holds; a week when absent.
    #[serde(default)]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 2_592_000, example = 86_400)]
    pub expires_in: Option<i64>,
    /// Number of the revision that it shows; the newest when absent.
    #[serde(default)]
    #[schema(value_type = i64, required = false, minimum = 1)]
    pub revision: Option<i64>,
}

/// A preview link, without the token, which is told once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewLink {
    /// The link's id, to revoke it by.
    pub id: Id,
    /// Number of the revision that it shows.
    #[schema(minimum = 1)]
    pub revision: i64,
    /// When it ends.
    pub expires_at: Time,
    /// When it was ended by hand.
    #[schema(required = true)]
    pub revoked_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// Who made it.
    pub created_by: PersonRef,
}

/// A preview link that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NewPreviewLink {
    /// The link's id, to revoke it by.
    pub id: Id,
    /// What opens the preview. It is not told again.
    pub token: String,
    /// The preview's address in this API.
    #[schema(format = "uri")]
    pub url: String,
    /// The address where the front end shows it, by `PREVIEW_URL`.
    #[schema(format = "uri")]
    pub front_end_url: String,
    /// Number of the revision that it shows.
    #[schema(minimum = 1)]
    pub revision: i64,
    /// When it ends.
    pub expires_at: Time,
    /// When it was ended by hand.
    #[schema(required = true)]
    pub revoked_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// Who made it.
    pub created_by: PersonRef,
}

/// Make a preview link.
///
/// Needs the role editor. Whoever has it sees one revision in the shape of the delivery API, until it ends or is revoked.
/// The token is told here only.
#[utoipa::path(
    tag = "previews",
    params(("id" = Id, Path, description = "The article's id."), IdempotencyParam),
    request_body(content = PreviewLinkCreate, content_type = "application/json"),
    responses(
        (
            status = 201, description = "The new link, with its token.", body = NewPreviewLink,
            headers(("Location" = String, description = "The link's address, to revoke it by."))
        ),
        (status = 409, description = "The article is in the trash."),
    )
)]
#[post("/articles/{id}/preview-links")]
async fn create_preview_link(
    app: State,
    caller: Caller,
    id: PathId,
    idempotency: IdempotencyKey,
    body: Body,
) -> Result<Answer> {
    let PathId(id) = id;
    check_editor(&app, &caller, &id).await?;
    let input = body.action::<PreviewLinkCreate>().await?;
    check(&input.value)?;
    let once = idempotency.of(caller.id.as_str(), &input.hash);
    let (state, who, article) = (app.clone(), caller.clone(), id.clone());
    let answer = write_once(&app, once, move |tx| {
        let link = store::create(tx, &who, &article, state.keys.secret(), &input.value)?;
        let location = format!("/management/v1/articles/{article}/preview-links/{}", link.id);
        // Kept for a day with the key, so without the token, which follows from the link.
        Answer::created(location, &link)
    })
    .await?;
    let link: PreviewLink = answer.read()?;
    let article = id.clone();
    let language = app
        .db
        .read(move |conn| Ok(get_article(conn, &caller, &article)?.language))
        .await?;
    let token = token(app.keys.secret(), &link.id, link.expires_at)?;
    answer.body(&NewPreviewLink {
        url: format!("{}/delivery/v1/previews/{token}", app.config.public_url),
        front_end_url: front_end_url(&app.config, &token, &id, &language),
        token,
        id: link.id,
        revision: link.revision,
        expires_at: link.expires_at,
        revoked_at: link.revoked_at,
        created_at: link.created_at,
        created_by: link.created_by,
    })
}

fn check(input: &PreviewLinkCreate) -> Result<()> {
    let mut check = Check::new();
    if input
        .expires_in
        .is_some_and(|seconds| !(1..=MAX_SECONDS).contains(&seconds))
    {
        let detail = format!("A link holds from 1 to {MAX_SECONDS} seconds (30 days).");
        check.fail("/expires_in", "out_of_range", detail);
    }
    if input.revision.is_some_and(|number| number < 1) {
        check.fail("/revision", "out_of_range", "Revisions are numbered from 1.");
    }
    check.done()
}

/// List preview links.
///
/// Needs the role editor. Of one article, newest first, also those that have ended in the last 30 days.
#[utoipa::path(
    tag = "previews",
    params(("id" = Id, Path, description = "The article's id."), PageQuery),
    responses(
        (status = 200, description = "A page of links.", body = PreviewLinkPage),
        (status = 403, description = "The caller is no editor."),
    )
)]
#[get("/articles/{id}/preview-links")]
async fn list_preview_links(
    app: State,
    caller: Caller,
    id: PathId,
    query: Result<Query<PageQuery>>,
    req: HttpRequest,
) -> Result<Answer> {
    check_editor(&app, &caller, &id.0).await?;
    let Query(query) = query?;
    let start = query.start(&format!("preview links {}", id.0), &Key::Int(0))?;
    let count = query.include_total;
    let (data, page) = app.db.read(move |conn| store::list(conn, &id.0, &start, count)).await?;
    let link = page.link(&app.config.public_url, &req);
    Ok(Answer::ok(&PreviewLinkPage { data, page })?.maybe_header("Link", link))
}

/// Revoke a preview link.
///
/// Needs the role editor. It ends at once; one that has ended is left as it is.
#[utoipa::path(
    tag = "previews",
    params(
        ("id" = Id, Path, description = "The article's id."),
        ("link_id" = Id, Path, description = "The link's id."),
    ),
    responses((status = 204, description = "It has ended."))
)]
#[delete("/articles/{id}/preview-links/{link_id}")]
async fn revoke_preview_link(app: State, caller: Caller, id: PathId, req: HttpRequest) -> Result<Answer> {
    check_editor(&app, &caller, &id.0).await?;
    let link = Id::parse(req.match_info().query("link_id")).ok_or_else(|| Problem::not_found("preview link"))?;
    if let Some(name) = stray(&req) {
        return Err(unknown_parameter(&name));
    }
    app.db.write(move |tx| store::revoke(tx, &caller, &id.0, &link)).await?;
    Ok(Answer::no_content())
}
