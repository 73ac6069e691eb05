//! How delivery reads are answered.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

use crate::app::State;
use crate::conditional::{Made, deliver};
use crate::db::Conn;
use crate::error::Result;
use crate::request::client_address;

/// What a delivery read came to.
pub enum Outcome {
    /// The answer.
    Here(Made),
    /// It is at this address now (308); the query is kept.
    Moved(String),
}

impl From<Made> for Outcome {
    fn from(made: Made) -> Self {
        Self::Here(made)
    }
}

/// The address of a request, for what is built away from it.
#[derive(Debug, Clone)]
pub struct Target {
    /// The path.
    pub path: String,
    /// The query string, without the question mark.
    pub query: String,
}

impl Target {
    /// The address of this request.
    pub fn of(req: &HttpRequest) -> Self {
        Self {
            path: req.path().to_owned(),
            query: req.query_string().to_owned(),
        }
    }
}

/// Answers a delivery read. The builder runs in one snapshot of the database, and may be run again.
pub async fn serve<F>(app: &State, req: &HttpRequest, build: F) -> Result<HttpResponse>
where
    F: Fn(&mut Conn) -> Result<Outcome> + Send + Sync + 'static,
{
    app.limits.delivery(client_address(req))?;
    match app.db.read(move |conn| build(conn)).await? {
        Outcome::Here(made) => Ok(deliver(req, made)),
        Outcome::Moved(mut location) => {
            if !req.query_string().is_empty() {
                location = format!("{location}?{}", req.query_string());
            }
            Ok(HttpResponse::PermanentRedirect()
                .insert_header((header::LOCATION, location))
                .finish())
        }
    }
}
