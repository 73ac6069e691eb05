//! The site itself (stub).
use crate::app::App;
use crate::error::Result;
use utoipa_actix_web::service_config::ServiceConfig;
/// Mounts.
pub fn mount_delivery(_: &mut ServiceConfig<'_>) {}
/// Mounts.
pub fn mount_management(_: &mut ServiceConfig<'_>) {}
/// Prepares.
pub async fn prepare(_: &App) -> Result<()> {
    Ok(())
}
