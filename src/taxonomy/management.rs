//! How editors ask for sections, tags and authors.

use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the three.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .configure(super::sections::mount)
        .configure(super::tags::mount)
        .configure(super::authors::mount);
}
