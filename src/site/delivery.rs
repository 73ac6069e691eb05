//! How readers ask for the site.

use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Consent, consent, current};
use crate::app::State;
use crate::cache::{Outcome, serve};
use crate::conditional::Made;
use crate::error::Result;
use crate::request::{NoParams, Query};

/// The site: what a front end needs before the first story.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Site {
    /// Its name.
    #[schema(example = "Báo Thái Nguyên")]
    pub name: String,
    /// Its languages as BCP 47 tags; the first is the default.
    #[schema(example = json!(["vi", "en"]))]
    pub languages: Vec<String>,
    /// The IANA time zone that dates are printed in.
    #[schema(example = "Asia/Ho_Chi_Minh")]
    pub time_zone: String,
    /// What readers consent to before they send feedback.
    pub consent: Consent,
    /// Whether readers can send a story to friends: the installation sends mail.
    pub shares_open: bool,
}

/// Mounts the handler.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(get_site);
}

/// Get the site.
///
/// Its name, languages and time zone, the text that readers consent to before they send feedback, with the version
/// that `consent_version` names, and whether a story can be sent to friends.
#[utoipa::path(tag = "site", responses((status = 200, description = "The site.", body = Site)))]
#[get("/site")]
async fn get_site(app: State, _: Query<NoParams>, req: HttpRequest) -> Result<HttpResponse> {
    let state = app.clone();
    serve(&app, &req, move |conn| {
        let row = current(conn)?;
        let consent = consent(conn, row.consent_version)?;
        let site = Site {
            name: row.name,
            languages: row.languages,
            time_zone: row.time_zone,
            consent,
            shares_open: state.mail.is_some(),
        };
        // What the settings say changes at a start, which is told as a change of the site.
        let changed = state.known.site_change(conn)?;
        Made::json(&site, changed.max(Some(row.updated_at)), Vec::new(), None).map(Outcome::Here)
    })
    .await
}
