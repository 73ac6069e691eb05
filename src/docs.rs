//! The docs page, the documents and the pages of the problem types.

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, http::header};

use crate::error::{Code, Problem, Result};
use crate::openapi;

/// Mounts `/docs`, `/docs/errors/…` and `/openapi/…`.
pub fn mount(config: &mut ServiceConfig) {
    config
        .route("/docs/errors/{code}", web::get().to(get_error_page))
        .route("/openapi/{document}", web::get().to(get_document));
}

async fn get_error_page(code: web::Path<String>) -> Result<HttpResponse> {
    let found = Code::ALL.iter().find(|known| known.as_str() == code.as_str());
    let code = found.ok_or_else(|| Problem::not_found("problem type"))?;
    let body = comrak::markdown_to_html(code.page(), &comrak::Options::default());
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .body(body))
}

async fn get_document(name: web::Path<String>) -> Result<HttpResponse> {
    let text = openapi::document(&name).ok_or_else(|| Problem::not_found("document"))?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .body(text))
}
