//! How a review is asked for and answered.

use actix_web::post;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{RejectInput, SubmitInput, check_may_submit, store};
use crate::articles::action::Action;
use crate::articles::record::WorkingArticle;
use crate::error::Result;
use crate::idempotency::Answer;
use crate::request::{Body, IdempotencyParam, IfMatchParam};
use crate::text::Check;
use crate::types::Id;

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(submit_article).service(reject_article);
}

/// Ask for review.
///
/// Of a draft, which becomes `in_review`, or of the edits of a live story, which shows in `review`. Writers submit their
/// own drafts, and cannot change them until they are sent back. Where mail is set up, editors are told.
#[utoipa::path(
    tag = "articles",
    params(("id" = Id, Path, description = "The article's id."), IfMatchParam, IdempotencyParam),
    request_body(content = SubmitInput, content_type = "application/json"),
    responses(
        (status = 200, description = "The article as it is now.", body = WorkingArticle),
        (status = 409, description = "It waits for a review already, or is in the trash."),
    )
)]
#[post("/articles/{id}/submit")]
async fn submit_article(action: Action, body: Body) -> Result<Answer> {
    action.check(|_, row, caller| check_may_submit(row, caller)).await?;
    let input = body.action::<SubmitInput>().await?;
    let mut check = Check::new();
    let note = check.optional_text("/note", input.value.note.as_deref(), 1000);
    check.done()?;
    action
        .run_mailing(&input.hash, move |tx, caller, id, guard, mails| {
            store::submit(tx, caller, id, guard, note.as_deref(), mails)
        })
        .await
}

/// Send an article back.
///
/// Needs the role editor, and a review that was asked for. The note says what has to be done. A draft is its writer's again;
/// a live story stays as readers see it. Where mail is set up, the owner and who had asked are told.
#[utoipa::path(
    tag = "articles",
    params(("id" = Id, Path, description = "The article's id."), IfMatchParam, IdempotencyParam),
    request_body(content = RejectInput, content_type = "application/json"),
    responses(
        (status = 200, description = "The article as it is now.", body = WorkingArticle),
        (status = 409, description = "Nobody has asked for a review."),
    )
)]
#[post("/articles/{id}/reject")]
async fn reject_article(action: Action, body: Body) -> Result<Answer> {
    action.check_editor().await?;
    let input = body.action::<RejectInput>().await?;
    let mut check = Check::new();
    let note = check.text("/note", &input.value.note, 1000);
    check.done()?;
    action
        .run_mailing(&input.hash, move |tx, caller, id, guard, mails| {
            store::reject(tx, caller, id, guard, &note, mails)
        })
        .await
}
