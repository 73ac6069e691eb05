//! stub
use crate::app::App;
use crate::auth::Role;
use crate::error::{Problem, Result};
use crate::types::Id;
use utoipa_actix_web::service_config::ServiceConfig;
/// Mounts.
pub fn mount(_: &mut ServiceConfig<'_>) {}
/// Creates.
pub async fn create_from_command_line(_: &App, _: &str, _: &str, _: Role, _: &str) -> Result<Id> {
    Err(Problem::not_found("stub"))
}
/// Words.
pub fn in_words(problem: &Problem) -> String {
    problem.detail().to_owned()
}
