//! How editors take a plan back. They make one by publishing: see [`crate::articles::management`].

use actix_web::post;
use utoipa_actix_web::service_config::ServiceConfig;

use super::store;
use crate::articles::action::Action;
use crate::articles::input::EmptyInput;
use crate::articles::record::WorkingArticle;
use crate::error::Result;
use crate::idempotency::Answer;
use crate::request::{Body, IdempotencyParam, IfMatchParam};
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
async fn unschedule_article(action: Action, body: Body) -> Result<Answer> {
    action.check_editor().await?;
    let input = body.action::<EmptyInput>().await?;
    action.run(&input.hash, store::unschedule).await
}
