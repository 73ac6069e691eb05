//! How editors take a plan back. They make one by publishing: see [`crate::articles::management`].

use actix_web::post;
use utoipa_actix_web::service_config::ServiceConfig;

use super::store;
use crate::app::State;
use crate::articles::input::EmptyInput;
use crate::articles::management::{Action, check_editor_action};
use crate::articles::record::WorkingArticle;
use crate::auth::Caller;
use crate::conditional::IfMatch;
use crate::error::Result;
use crate::idempotency::{Answer, IdempotencyKey};
use crate::request::{Body, IdempotencyParam, IfMatchParam, PathId};
use crate::types::Id;

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(unschedule_article);
}

/// Take a schedule back.
///
/// Needs the role editor. Clears `publish_at`, `unpublish_at` and the notice of a schedule that failed.
#[utoipa::path(
    tag = "articles",
    params(("id" = Id, Path, description = "The article's id."), IfMatchParam, IdempotencyParam),
    request_body(content = EmptyInput, content_type = "application/json"),
    responses(
        (status = 200, description = "The article as it is now.", body = WorkingArticle),
        (status = 409, description = "Nothing is scheduled."),
    )
)]
#[post("/articles/{id}/unschedule")]
async fn unschedule_article(
    app: State,
    caller: Caller,
    id: PathId,
    if_match: IfMatch,
    idempotency: IdempotencyKey,
    body: Body,
) -> Result<Answer> {
    check_editor_action(&app, &caller, &id.0).await?;
    let input = body.action::<EmptyInput>().await?;
    let action = Action {
        app,
        caller,
        id: id.0,
        guard: if_match.required()?,
        idempotency,
        hash: input.hash,
    };
    action.run(store::unschedule).await
}
