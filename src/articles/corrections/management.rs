//! How editors correct a live story.

use actix_web::post;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{CorrectionCreate, CorrectionReceipt, store};
use crate::articles::action::Action;
use crate::error::Result;
use crate::idempotency::Answer;
use crate::request::{Body, IdempotencyParam, IfMatchParam};
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
async fn create_correction(action: Action, body: Body) -> Result<Answer> {
    action.check_editor().await?;
    let input = body.json::<CorrectionCreate>().await?;
    let mut check = Check::new();
    let text = check.text("/text", &input.value.text, 2000);
    check.done()?;
    action
        .run_answering(&input.hash, move |tx, caller, id, guard| {
            let (row, correction) = store::correct(tx, caller, id, guard, &text)?;
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
