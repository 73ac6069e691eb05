//! `/health/live` and `/health/ready`, for whoever runs the program.

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, get};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::app::State;
use crate::error::{Code, Problem, Result};

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// It is well.
    Ok,
}

/// The state of the program.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// How it is.
    pub status: HealthStatus,
    /// The program's version.
    #[schema(example = "0.1.0")]
    pub version: String,
}

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(get_liveness).service(get_readiness);
}

fn well() -> HttpResponse {
    let health = Health {
        status: HealthStatus::Ok,
        version: env!("CARGO_PKG_VERSION").into(),
    };
    HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-store"))
        .json(health)
}

/// Is the program running?
///
/// Touches nothing: no database, no store.
#[utoipa::path(tag = "health", responses((status = 200, description = "It runs.", body = Health)))]
#[get("/health/live")]
async fn get_liveness() -> HttpResponse {
    well()
}

/// How long one look at the database answers for, so that asking often costs nothing.
const LOOK: Duration = Duration::from_secs(1);
/// Held while looking, so that a database that hangs is asked once and not by everyone.
static LAST: Mutex<Option<(Instant, bool)>> = Mutex::const_new(None);

/// Can the program answer requests?
///
/// Asks the database, at most once a second.
#[utoipa::path(
    tag = "health",
    responses(
        (status = 200, description = "It can answer.", body = Health),
        (status = 503, description = "The database cannot be reached."),
    )
)]
#[get("/health/ready")]
async fn get_readiness(app: State) -> Result<HttpResponse> {
    let mut last = LAST.lock().await;
    let good = match *last {
        Some((at, good)) if at.elapsed() < LOOK => good,
        _ => {
            let look = app
                .db
                .read(|conn| Ok(diesel::connection::SimpleConnection::batch_execute(conn, "SELECT 1")?));
            let good = tokio::time::timeout(Duration::from_secs(2), look)
                .await
                .is_ok_and(|result| result.is_ok());
            *last = Some((Instant::now(), good));
            good
        }
    };
    if good {
        Ok(well())
    } else {
        Err(Problem::new(Code::Unavailable, "The database cannot be reached.").header("Retry-After", "2"))
    }
}
