//! How editors write many articles at once.

use std::sync::Arc;

use actix_web::post;
use utoipa_actix_web::service_config::ServiceConfig;

use super::store::{Context, Prepared};
use super::{BatchInput, BatchResults, MOST};
use crate::app::State;
use crate::articles::input::read_aside;
use crate::auth::Caller;
use crate::error::Result;
use crate::idempotency::{Answer, IdempotencyKey, write_once};
use crate::request::{Body, IdempotencyParam};
use crate::text::Check;

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(batch_articles);
}

/// Write many articles.
///
/// Up to 100 operations, one after the other, each with the rights and the refusals of a request of its own and a result in
/// its place; the answer is 200 whatever came of them. With `atomic` nothing is written when one fails: that one says why,
/// the others 424 `batch_undone`.
#[utoipa::path(
    tag = "articles",
    params(IdempotencyParam),
    request_body = BatchInput,
    responses((status = 200, description = "What came of each operation.", body = BatchResults))
)]
#[post("/articles/batch")]
async fn batch_articles(app: State, caller: Caller, idempotency: IdempotencyKey, body: Body) -> Result<Answer> {
    let input = body.json::<BatchInput>().await?;
    let BatchInput { atomic, operations } = input.value;
    let mut check = Check::new();
    match operations.len() {
        0 => check.fail("/operations", "required", "Send at least one operation."),
        count if count > MOST => check.fail("/operations", "too_many", format!("At most {MOST}.")),
        _ => {}
    }
    check.done()?;
    // A hundred bodies take their time.
    let prepare = move || operations.into_iter().map(Prepared::of).collect::<Vec<_>>();
    let operations = Arc::new(read_aside(prepare).await?);
    let once = idempotency.of(caller.id.as_str(), &input.hash);
    let state = app.clone();
    write_once(&app, once, move |tx| {
        let context = Context {
            caller: &caller,
            config: &state.config,
        };
        let results = match atomic {
            Some(true) => context.all(tx, &operations)?,
            _ => context.each(tx, &operations)?,
        };
        Answer::ok(&BatchResults { results })
    })
    .await
}
