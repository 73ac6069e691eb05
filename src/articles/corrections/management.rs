//! How editors correct a live story.

use actix_web::post;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{CorrectionCreate, CorrectionReceipt, store};
use crate::app::State;
use crate::articles::management::check_editor_action;
use crate::auth::Caller;
use crate::conditional::IfMatch;
use crate::error::Result;
use crate::idempotency::{Answer, IdempotencyKey, write_once};
use crate::request::{Body, IdempotencyParam, IfMatchParam, PathId};
use crate::text::Check;
use crate::types::Id;

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(create_correction);
}

/// Correct a live story.
///
/// Needs the role editor. Readers see the text and its date at once, in `corrections`, in JSON-LD and in feeds, and
/// `updated_at` moves. Nothing else changes for them: edits that are not published stay so. `If-Match` names the article's
/// version, which is raised.
#[utoipa::path(
    tag = "articles",
    params(("id" = Id, Path, description = "The article's id."), IfMatchParam, IdempotencyParam),
    request_body = CorrectionCreate,
    responses(
        (status = 201, description = "The correction; `Location` is its article.", body = CorrectionReceipt),
        (status = 409, description = "The story is not live."),
    )
)]
#[post("/articles/{id}/corrections")]
async fn create_correction(
    app: State,
    caller: Caller,
    id: PathId,
    if_match: IfMatch,
    idempotency: IdempotencyKey,
    body: Body,
) -> Result<Answer> {
    let PathId(id) = id;
    check_editor_action(&app, &caller, &id).await?;
    let input = body.json::<CorrectionCreate>().await?;
    let mut check = Check::new();
    let text = check.text("/text", &input.value.text, 2000);
    check.done()?;
    let guard = if_match.required()?;
    let once = idempotency.of(caller.id.as_str(), &input.hash);
    write_once(&app, once, move |tx| {
        let (row, correction) = store::correct(tx, &caller, &id, &guard, &text)?;
        let receipt = CorrectionReceipt {
            article_id: row.id,
            text: correction.text,
            at: correction.at,
            version: row.version,
        };
        let location = format!("/management/v1/articles/{}", receipt.article_id);
        Ok(Answer::created(location, &receipt)?.version(receipt.version))
    })
    .await
}
