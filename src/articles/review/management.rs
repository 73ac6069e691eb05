//! How a review is asked for and answered.

use actix_web::post;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{RejectInput, SubmitInput, check_may_submit, store};
use crate::app::State;
use crate::articles::management::{Action, check_editor_action};
use crate::articles::record::WorkingArticle;
use crate::articles::store::get;
use crate::auth::Caller;
use crate::conditional::IfMatch;
use crate::error::Result;
use crate::idempotency::{Answer, IdempotencyKey};
use crate::request::{Body, IdempotencyParam, IfMatchParam, PathId};
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
async fn submit_article(
    app: State,
    caller: Caller,
    id: PathId,
    if_match: IfMatch,
    idempotency: IdempotencyKey,
    body: Body,
) -> Result<Answer> {
    let (who, wanted) = (caller.clone(), id.0.clone());
    app.db
        .read(move |conn| check_may_submit(&get(conn, &who, &wanted)?, &who))
        .await?;
    let input = body.action::<SubmitInput>().await?;
    let mut check = Check::new();
    let note = check.optional_text("/note", input.value.note.as_deref(), 1000);
    check.done()?;
    let (waker, mails) = (app.clone(), app.mail.is_some());
    let action = Action {
        app,
        caller,
        id: id.0,
        guard: if_match.required()?,
        idempotency,
        hash: input.hash,
    };
    let answer = action
        .run(move |tx, caller, id, guard| store::submit(tx, caller, id, guard, note.as_deref(), mails))
        .await?;
    waker.outbox.notify_one();
    Ok(answer)
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
async fn reject_article(
    app: State,
    caller: Caller,
    id: PathId,
    if_match: IfMatch,
    idempotency: IdempotencyKey,
    body: Body,
) -> Result<Answer> {
    check_editor_action(&app, &caller, &id.0).await?;
    let input = body.action::<RejectInput>().await?;
    let mut check = Check::new();
    let note = check.text("/note", &input.value.note, 1000);
    check.done()?;
    let (waker, mails) = (app.clone(), app.mail.is_some());
    let action = Action {
        app,
        caller,
        id: id.0,
        guard: if_match.required()?,
        idempotency,
        hash: input.hash,
    };
    let answer = action
        .run(move |tx, caller, id, guard| store::reject(tx, caller, id, guard, &note, mails))
        .await?;
    waker.outbox.notify_one();
    Ok(answer)
}
