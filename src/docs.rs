//! What explains the API in a browser: the docs page (Swagger UI over both documents), the conventions, a page for each
//! problem type, and the OpenAPI documents themselves. Nothing on these pages is loaded from anywhere else.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::cache::Entry;
use crate::conditional::{Lifetime, Made, deliver};
use crate::error::{Code, Problem, Result};
use crate::openapi;
use crate::request::hash;

/// Mounts `/docs/…` and `/openapi/…`. The pages of the problem types come before the files, so that no file name can
/// stand in their way.
pub fn mount(config: &mut ServiceConfig) {
    config
        .route("/docs", web::get().to(to_docs))
        .route("/docs/", web::get().to(get_docs))
        .route("/docs/api", web::get().to(get_conventions))
        .route("/docs/errors", web::get().to(to_errors))
        .route("/docs/errors/", web::get().to(list_errors))
        .route("/docs/errors/{code}", web::get().to(get_error_page))
        .route("/docs/{file}", web::get().to(get_file))
        .route("/openapi/{document}", web::get().to(get_document));
}

/// Whether there is something at an address of this room, for those who come with another method.
pub fn knows(path: &str) -> bool {
    match path {
        "/docs" | "/docs/" | "/docs/api" | "/docs/errors" | "/docs/errors/" => true,
        _ => match (path.strip_prefix("/docs/"), path.strip_prefix("/openapi/")) {
            (_, Some(document)) => openapi::NAMES.contains(&document),
            (Some(rest), _) => match rest.strip_prefix("errors/") {
                Some(code) => find_code(code).is_some(),
                None => files().named.contains_key(rest),
            },
            (None, None) => false,
        },
    }
}

/// What the files of Swagger UI and ours are called, in the order in which the page names them.
const SWAGGER_FILES: [&str; 3] = [
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
];
const OWN_FILES: [(&str, &str, &str); 3] = [
    ("icon.svg", "image/svg+xml", include_str!("docs/icon.svg")),
    ("newsdesk.css", "text/css", include_str!("docs/newsdesk.css")),
    ("newsdesk.js", "text/javascript", include_str!("docs/newsdesk.js")),
];
const INDEX: &str = include_str!("docs/index.html");
const PAGE: &str = include_str!("docs/page.html");
const PAGE_CSS: &str = include_str!("docs/page.css");
const CONVENTIONS: &str = include_str!("../docs/api.md");

/// Pages may change with the next version of the program; browsers ask again after this time.
const PAGE_CACHE: &str = "public, max-age=300";
/// For a file that was asked for by the version it has.
const FILE_CACHE: &str = "public, max-age=31536000, immutable";

/// A static file, ready to be sent.
struct File {
    bytes: Bytes,
    media_type: String,
    tag: String,
}

/// The static files, and one version for all of them: a page never meets the files of another release.
struct Files {
    named: BTreeMap<&'static str, File>,
    version: String,
}

fn files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        let config = Arc::new(utoipa_swagger_ui::Config::from(""));
        let mut named = BTreeMap::new();
        for name in SWAGGER_FILES {
            if let Ok(Some(file)) = utoipa_swagger_ui::serve(name, Arc::clone(&config)) {
                named.insert(name, prepared(Bytes::from(file.bytes.into_owned()), file.content_type));
            }
        }
        for (name, media_type, text) in OWN_FILES {
            let media_type = format!("{media_type}; charset=utf-8");
            named.insert(name, prepared(Bytes::from_static(text.as_bytes()), media_type));
        }
        let tags: String = named.values().map(|file| file.tag.as_str()).collect();
        Files {
            version: hash(tags.as_bytes())[..12].to_owned(),
            named,
        }
    })
}

fn prepared(bytes: Bytes, media_type: String) -> File {
    let tag = format!("\"{}-i\"", &hash(&bytes)[..22]);
    File { bytes, media_type, tag }
}

async fn to_docs() -> HttpResponse {
    redirect("/docs/")
}

async fn to_errors() -> HttpResponse {
    redirect("/docs/errors/")
}

fn redirect(to: &str) -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((header::LOCATION, to))
        .finish()
}

/// Swagger UI. What it loads is ours; it may only talk to this API, and nobody may frame it.
async fn get_docs(req: HttpRequest) -> HttpResponse {
    let html = INDEX.replace("{version}", &files().version);
    // `blob:` and `data:` are how the page shows an image that an operation answered, and its own icons.
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                  connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    page_answer(&req, html, policy)
}

async fn get_file(req: HttpRequest, name: web::Path<String>) -> Result<HttpResponse> {
    let files = files();
    let file = files
        .named
        .get(name.as_str())
        .ok_or_else(|| Problem::not_found("file"))?;
    let current = req.query_string().strip_prefix("v=") == Some(files.version.as_str());
    let given = req.headers().get(header::IF_NONE_MATCH);
    let known = given.and_then(|value| value.to_str().ok()).is_some_and(|tags| {
        tags.split(',')
            .any(|tag| tag.trim().trim_start_matches("W/") == file.tag)
    });
    let mut response = if known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header((header::ETAG, file.tag.as_str()))
        .insert_header((header::CACHE_CONTROL, if current { FILE_CACHE } else { PAGE_CACHE }))
        .content_type(file.media_type.as_str());
    Ok(if known {
        response.finish()
    } else {
        response.body(file.bytes.clone())
    })
}

/// The conventions, `docs/api.md`.
async fn get_conventions(req: HttpRequest) -> HttpResponse {
    let body = to_html(CONVENTIONS);
    text_page(&req, title_of(CONVENTIONS), "api", &body)
}

/// Every problem type there is.
async fn list_errors(req: HttpRequest) -> HttpResponse {
    let mut body = String::from(
        "<h1>Problem types</h1><p>Every refusal is a problem object (RFC 9457). Its <code>type</code> is the address \
         of one of these pages, its <code>code</code> is what programs switch on. What can be wrong with single fields \
         is listed under <a href=\"/docs/errors/validation_failed\">validation_failed</a>.</p><div class=\"wide\">\
         <table><thead><tr><th>Status</th><th>Code</th><th>Meaning</th></tr></thead><tbody>",
    );
    for code in Code::ALL {
        let (name, status, title) = (code.as_str(), code.status().as_u16(), code.title());
        // Long names may break after an underscore on a narrow screen.
        let shown = name.replace('_', "_<wbr>");
        // Writing to a String cannot fail.
        let _ = write!(
            body,
            "<tr><td>{status}</td><td><a href=\"/docs/errors/{name}\"><code>{shown}</code></a></td><td>{title}</td></tr>"
        );
    }
    body.push_str("</tbody></table></div>");
    text_page(&req, "Problem types", "errors", &body)
}

async fn get_error_page(req: HttpRequest, code: web::Path<String>) -> Result<HttpResponse> {
    let code = find_code(&code).ok_or_else(|| Problem::not_found("problem type"))?;
    let markdown = code.page();
    Ok(text_page(&req, title_of(markdown), "", &to_html(markdown)))
}

fn find_code(name: &str) -> Option<Code> {
    Code::ALL.iter().copied().find(|code| code.as_str() == name)
}

async fn get_document(req: HttpRequest, name: web::Path<String>) -> Result<HttpResponse> {
    static DOCUMENTS: OnceLock<BTreeMap<&str, Entry>> = OnceLock::new();
    let documents = DOCUMENTS.get_or_init(|| {
        let named = openapi::NAMES
            .iter()
            .filter_map(|name| Some((*name, openapi::document(name)?)));
        // Kept, so that each is compressed once.
        let entry = |text: &str| Entry::new(made(text.into(), "application/json"), 0, Vec::new(), true);
        named.map(|(name, text)| (name, entry(text))).collect()
    });
    let document = documents.get(name.as_str());
    let document = document.ok_or_else(|| Problem::not_found("document"))?;
    Ok(document.answer(req.head()).into())
}

/// An answer with validators and nothing that purges it.
fn made(body: Vec<u8>, media_type: &'static str) -> Made {
    Made {
        body,
        media_type,
        last_modified: None,
        keys: Vec::new(),
        link: None,
        lifetime: Lifetime::Followed,
        policy: None,
    }
}

/// A page with its validators and its Content-Security-Policy.
fn page_answer(req: &HttpRequest, html: String, policy: &str) -> HttpResponse {
    let mut response = deliver(req, made(html.into_bytes(), "text/html; charset=utf-8"));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static(PAGE_CACHE));
    headers.insert(header::REFERRER_POLICY, header::HeaderValue::from_static("same-origin"));
    if let Ok(policy) = header::HeaderValue::from_str(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A page of text: no script at all, and its one style sheet inside, named in the policy by its hash.
fn text_page(req: &HttpRequest, title: &str, here: &str, body: &str) -> HttpResponse {
    let mark = |place: &str| if place == here { " aria-current=\"page\"" } else { "" };
    let html = PAGE
        .replace("{css}", PAGE_CSS)
        .replace("{here_api}", mark("api"))
        .replace("{here_errors}", mark("errors"))
        .replace("{title}", title)
        .replace("{body}", body);
    let style = STANDARD.encode(Sha256::digest(PAGE_CSS.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    page_answer(req, html, &policy)
}

/// The first heading.
fn title_of(markdown: &'static str) -> &'static str {
    markdown.lines().next().unwrap_or("").trim_start_matches("# ")
}

/// Our own Markdown as HTML. Links between the files lead to the pages: both are read, here and in the repository.
fn to_html(markdown: &str) -> String {
    let mut options = comrak::Options::default();
    options.extension.table = true;
    options.extension.header_id_prefix = Some(String::new());
    options.extension.link_url_rewriter = Some(Arc::new(|url: &str| {
        let (path, anchor) = url.split_once('#').map_or((url, ""), |(path, anchor)| (path, anchor));
        match path.strip_suffix(".md") {
            Some(path) if anchor.is_empty() => path.to_owned(),
            Some(path) => format!("{path}#{anchor}"),
            None => url.to_owned(),
        }
    }));
    comrak::markdown_to_html(markdown, &options)
        // A wide table scrolls by itself on a narrow screen.
        .replace("<table>", "<div class=\"wide\"><table>")
        .replace("</table>", "</table></div>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_type_has_a_whole_page() {
        for code in Code::ALL {
            let page = code.page();
            let name = code.as_str();
            assert!(page.starts_with("# "), "{name} has a title");
            assert!(page.contains(&format!("\"code\": \"{name}\"")), "{name} has an example");
            for block in page.split("```json").skip(1) {
                let text = block.split("```").next().expect("a closed block");
                let value: serde_json::Value = serde_json::from_str(text).expect(name);
                if value["code"] != name {
                    continue;
                }
                assert_eq!(value["status"], code.status().as_u16(), "{name}");
                assert_eq!(value["title"], code.title(), "{name}");
                let kind = value["type"].as_str().expect("type");
                assert!(kind.ends_with(&format!("/docs/errors/{name}")), "{name}: {kind}");
                for member in ["detail", "instance", "request_id", "errors"] {
                    assert!(value.get(member).is_some(), "{name} shows {member}");
                }
            }
        }
    }

    #[test]
    fn links_between_pages_lead_somewhere() {
        let pages = Code::ALL.iter().map(|code| (code.page(), "/docs/errors/"));
        for (markdown, folder) in pages.chain([(CONVENTIONS, "/docs/")]) {
            let html = to_html(markdown);
            for link in html.split("href=\"").skip(1) {
                let link = link.split('"').next().unwrap_or("");
                if link.starts_with("https://") {
                    continue;
                }
                match link.strip_prefix('#') {
                    Some(id) => assert!(html.contains(&format!("id=\"{id}\"")), "#{id}"),
                    None => {
                        let path = link.split('#').next().unwrap_or("");
                        let full = match (path.strip_prefix("../"), path.starts_with('/')) {
                            (Some(rest), _) => format!("/docs/{rest}"),
                            (None, true) => path.to_owned(),
                            (None, false) => format!("{folder}{path}"),
                        };
                        assert!(knows(&full), "{link} leads to {full}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_page_names_only_files_there_are() {
        let names = INDEX
            .split("?v={version}")
            .filter_map(|part| part.rsplit(['"', '/']).next());
        let named: Vec<&str> = names.filter(|name| name.contains('.')).collect();
        assert_eq!(named.len(), files().named.len());
        for name in named {
            assert!(knows(&format!("/docs/{name}")), "{name}");
        }
        assert!(!INDEX.contains("http") && !PAGE.contains("http") && !PAGE_CSS.contains("url("));
        assert!(!knows("/docs/errors/nothing") && !knows("/docs/index.html") && !knows("/openapi/all.json"));
    }
}
