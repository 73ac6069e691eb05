use utoipa_actix_web::service_config::ServiceConfig;
pub fn mount(_: &mut ServiceConfig<'_>) {}
