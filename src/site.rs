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
/// Languages (stub).
pub fn languages(_: &mut crate::db::Conn) -> Result<Vec<String>> {
    Ok(vec!["vi".into(), "en".into()])
}
