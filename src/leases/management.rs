//! How editors say that they are editing.

use actix_web::{delete, put};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::store;
use crate::app::State;
use crate::articles::store::get;
use crate::auth::Caller;
use crate::error::Result;
use crate::idempotency::Answer;
use crate::request::{Body, PathId};
use crate::types::{Id, Lease};

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(take_lease).service(end_lease);
}

/// What taking or ending a lease may be told.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseInput {
    /// Whether it is taken over from another who holds it; no when absent.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub take_over: Option<bool>,
}

/// Say that you are editing.
///
/// Takes the article's lease for two minutes, or renews your own. While it lasts, writes of the article and its captions by
/// others are refused with 409 `article_leased`, unless they take it over: here with `take_over`, or with the header
/// `Lease-Take-Over: true` of the write itself. For who may change the article. Schedules go on under a lease.
#[utoipa::path(
    tag = "articles",
    params(("id" = Id, Path, description = "The article's id.")),
    request_body(content = LeaseInput, content_type = "application/json"),
    responses(
        (status = 200, description = "The lease, which is yours.", body = Lease),
        (status = 409, description = "Another holds it (`article_leased`), or the article is in the trash."),
    )
)]
#[put("/articles/{id}/lease")]
async fn take_lease(app: State, caller: Caller, id: PathId, body: Body) -> Result<Answer> {
    let (who, wanted) = (caller.clone(), id.0.clone());
    app.db
        .read(move |conn| {
            let row = get(conn, &who, &wanted)?;
            // What is in the trash is refused as such, not as somebody else's.
            if row.trashed.is_some() {
                return Ok(());
            }
            row.check_may_change(&who)
        })
        .await?;
    let input: LeaseInput = body.action().await?.value;
    let take_over = caller.take_over || input.take_over == Some(true);
    let lease = app
        .db
        .write(move |tx| store::put(tx, &caller, &id.0, take_over))
        .await?;
    Answer::ok(&lease)
}

/// Stop editing.
///
/// Gives your lease back; 204 also when there is none. Another's ends with the header `Lease-Take-Over: true` (or a JSON
/// body `{"take_over": true}`).
#[utoipa::path(
    tag = "articles",
    params(
        ("id" = Id, Path, description = "The article's id."),
        (
            "Lease-Take-Over" = Option<String>, Header, description = "`true` ends the lease of another.",
            example = "true"
        ),
    ),
    responses(
        (status = 204, description = "You do not hold it, and nobody else does."),
        (status = 409, description = "Another holds it (`article_leased`)."),
    )
)]
#[delete("/articles/{id}/lease")]
async fn end_lease(app: State, caller: Caller, id: PathId, body: Body) -> Result<Answer> {
    let (who, wanted) = (caller.clone(), id.0.clone());
    app.db.read(move |conn| get(conn, &who, &wanted)).await?;
    let input: LeaseInput = body.action().await?.value;
    let take_over = caller.take_over || input.take_over == Some(true);
    app.db
        .write(move |tx| store::end(tx, &caller, &id.0, take_over))
        .await?;
    Ok(Answer::no_content())
}
