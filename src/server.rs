//! The page that shows the whole API, one line a resource, and what surrounds every request: ids, limits, one problem
//! shape, logs, graceful stop.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_cors::Cors;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, HttpServer, ResponseError, web};
use bytes::BytesMut;
use futures_util::FutureExt;
use rand::RngExt;
use rand::rngs::SmallRng;
use tokio::signal::unix::{Signal, SignalKind, signal};
use utoipa_actix_web::AppExt;
use utoipa_actix_web::scope::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::app::{App, State};
use crate::auth::{Caller, Via, api_keys, scopes};
use crate::config::Config;
use crate::db::panic_text;
use crate::error::{Code, Problem};
use crate::front::front;
use crate::request::{self, Forwarded, HeadOnly, RequestId};
use crate::types::Time;
use crate::{
    articles, audit, auth, captions, changes, docs, feedback, feeds, health, images, jobs, leases, media, openapi,
    previews, schedules, search, share, site, taxonomy, views, webhooks,
};

/// The whole API. Mounting a handler documents it.
pub fn api(config: &mut ServiceConfig<'_>) {
    config
        .service(
            scope("/delivery/v1")
                .configure(articles::delivery::mount)
                .configure(search::delivery::mount)
                .configure(taxonomy::delivery::mount)
                .configure(feedback::delivery::mount)
                .configure(share::delivery::mount)
                .configure(changes::delivery::mount)
                .configure(views::delivery::mount)
                .configure(previews::delivery::mount)
                .configure(site::mount_delivery),
        )
        .service(
            scope("/management/v1")
                .wrap(from_fn(signed_in))
                .configure(auth::management::mount)
                .configure(auth::links::mount)
                .configure(auth::totp::mount)
                .configure(auth::editors::mount)
                .configure(auth::api_keys::mount)
                .configure(articles::management::mount)
                .configure(schedules::management::mount)
                .configure(leases::management::mount)
                .configure(previews::management::mount)
                .configure(captions::management::mount)
                .configure(images::management::mount)
                .configure(feedback::management::mount)
                .configure(taxonomy::management::mount)
                .configure(site::mount_management)
                .configure(audit::management::mount)
                .configure(webhooks::management::mount),
        )
        .configure(media::delivery::mount)
        .configure(feeds::delivery::mount)
        .configure(health::mount);
}

/// Longest request target, in bytes.
const URL_LIMIT: usize = 8 * 1024;
/// Longest request head, in bytes.
pub const HEAD_LIMIT: usize = 16 * 1024;
/// How long a graceful stop waits for running requests, in seconds.
const DRAIN_SECONDS: u64 = 20;
/// How long all of a graceful stop may take.
const STOP: Duration = Duration::from_secs(29);

/// Serves until SIGTERM or SIGINT. `ready` is told the address once the port is open.
pub async fn serve(app: App, ready: impl FnOnce(&Config)) -> Result<(), String> {
    let listener = std::net::TcpListener::bind(app.config.bind)
        .map_err(|error| format!("{} cannot be listened on: {error}", app.config.bind))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let mut app = app;
    app.db.hurry();
    app.config.bind = address;
    if app.config.public_url.is_empty() {
        app.config.public_url = format!("http://{address}");
    }
    site::prepare(&app).await.map_err(|problem| problem.to_string())?;
    let state = State::new(app);
    let jobs = jobs::start(state.clone());
    let shared = state.clone();
    let mut server = HttpServer::new(move || {
        let cors = shared.clone();
        let application = actix_web::App::new()
            .app_data(shared.clone())
            .into_utoipa_app()
            .configure(api)
            .into_app()
            .configure(docs::mount)
            .default_service(web::to(nothing_here))
            .wrap(from_fn(options))
            .wrap(cors_rules(&cors.config))
            .wrap(from_fn(surround));
        front(shared.clone(), application)
    })
    .client_request_timeout(Duration::from_secs(30))
    .keep_alive(Duration::from_secs(75))
    .tcp_nodelay(true)
    .shutdown_timeout(DRAIN_SECONDS)
    .listen(listener)
    .map_err(|error| error.to_string())?
    .run();
    // Streams of changes would go on for ever. Listened for from here on: the signal may come right after `ready`.
    match stop_signals() {
        Ok(signals) => _ = tokio::task::spawn(end_streams(state.clone(), signals)),
        Err(error) => tracing::error!(%error, "signals cannot be listened to: open streams will be cut off at a stop"),
    }
    // The first poll starts the workers and takes the signals over: whoever reads the line below may send one.
    let ended = futures_util::future::poll_immediate(&mut server).await;
    tracing::info!(%address, "listening");
    ready(&state.config);
    match ended {
        Some(result) => result,
        None => server.await,
    }
    .map_err(|error| error.to_string())?;
    // After the last request, so that every view that was taken is written.
    if let Err(problem) = views::store::flush(&state, &state.views).await {
        tracing::error!(cause = %problem, "the last seconds' views could not be written");
    }
    jobs.stop().await;
    tracing::info!("stopped");
    Ok(())
}

fn stop_signals() -> std::io::Result<(Signal, Signal)> {
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
}

/// Tells what never ends by itself that the program is asked to stop; the server sees the same signals.
async fn end_streams(app: State, (mut terminate, mut interrupt): (Signal, Signal)) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    app.stopping.send_replace(true);
    // A thread of its own: what is waited for may be a database that is silent, and that holds the runtime's end up, too.
    std::thread::spawn(|| {
        std::thread::sleep(STOP);
        // Whoever reads the log may be what hangs.
        std::thread::spawn(|| {
            tracing::error!(
                "not everything came to its end in time; what was answered is on disk, the rest is cut off"
            );
        });
        std::thread::sleep(Duration::from_millis(100));
        std::process::exit(0);
    });
}

/// The response headers that scripts of other origins may read.
pub const EXPOSED: &str =
    "ETag, Last-Modified, Link, Location, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Idempotency-Replayed";

/// Delivery is open to every web origin, without credentials; management to those that are listed.
fn cors_rules(config: &Config) -> Cors {
    let origins = config.cors_origins.clone();
    Cors::default()
        .allowed_origin_fn(move |origin, head| {
            let path = head.uri.path();
            !path.starts_with("/management/") || origin.to_str().is_ok_and(|origin| origins.iter().any(|o| o == origin))
        })
        .allowed_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_any_header()
        .expose_headers(EXPOSED.split(", "))
        .block_on_origin_mismatch(false)
        .send_wildcard()
        .max_age(3600)
}

/// Before anything else is looked at: who is calling. The handlers' [`Caller`] is found here.
async fn signed_in(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if !openapi::OPEN.contains(&req.path()) {
        match req.extract::<Caller>().await {
            Ok(caller) => {
                if let Err(problem) = check_scopes(&caller, &req) {
                    return Ok(req.error_response(problem));
                }
                req.extensions_mut().insert(caller);
            }
            Err(problem) => return Ok(req.error_response(problem)),
        }
    }
    next.call(req).await.map(ServiceResponse::map_into_boxed_body)
}

/// 403 for an API key without the scope of this operation. What is no operation is refused further on.
fn check_scopes(caller: &Caller, req: &ServiceRequest) -> Result<(), Problem> {
    match (&caller.via, openapi::pattern_of(req.path(), req.method().as_str())) {
        (Via::Key(key), Some(pattern)) => scopes::check(&key.scopes, req.method().as_str(), pattern),
        _ => Ok(()),
    }
}

/// OPTIONS without a browser's question: what the address takes.
async fn options(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if req.method() == Method::OPTIONS {
        let allowed = openapi::allowed_methods(req.path());
        if !allowed.is_empty() {
            let response = HttpResponse::NoContent()
                .insert_header((header::ALLOW, allowed.join(", ")))
                .finish();
            return Ok(req.into_response(response));
        }
    }
    next.call(req).await.map(ServiceResponse::map_into_boxed_body)
}

/// No such address, or not with this method. Under `/management` only those who are signed in get here.
async fn nothing_here(req: HttpRequest) -> Result<HttpResponse, Problem> {
    let allowed = openapi::allowed_methods(req.path());
    if allowed.is_empty() {
        return Err(Problem::not_found("address"));
    }
    let list = allowed.join(", ");
    Err(
        Problem::new(Code::MethodNotAllowed, format!("This address takes {list}."))
            .header("Allow", list)
            .with("allowed", allowed),
    )
}

/// Around everything: the request's id, its limits, panics, problems, the log line.
async fn surround(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let start = Instant::now();
    let id_header = request_id(req.headers().get(X_REQUEST_ID), Time::now());
    let request_id = id_header.to_str().unwrap_or_default().to_owned();
    req.extensions_mut().insert(RequestId(request_id.clone()));
    let method = req.method().clone();
    let path = req.path().to_owned();
    let logged = loggable(&path);
    if method == Method::HEAD {
        // Answered as GET; the protocol's codec leaves the body out.
        req.head_mut().method = Method::GET;
        req.extensions_mut().insert(HeadOnly);
    }
    let public_url = req
        .app_data::<State>()
        .map_or(String::new(), |app| app.config.public_url.clone());
    let stray = if req.method() == Method::GET {
        request::stray(req.request())
    } else {
        None
    };
    let refused = match head_limits(&req) {
        None => recognize_forwarder(&req).await.err(),
        refused => refused,
    };
    let result = match refused {
        Some(problem) => Ok(Ok(req
            .into_response(HttpResponse::from_error(problem))
            .map_into_boxed_body())),
        None => AssertUnwindSafe(next.call(req))
            .catch_unwind()
            .await
            .map(|result| result.map(ServiceResponse::map_into_boxed_body)),
    };
    let mut response = match result {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            let problem = Problem::from(error);
            log(
                &method,
                logged,
                problem.status_code(),
                start,
                &request_id,
                Some(&problem),
            );
            return Err(Finished::new(&problem, &public_url, &path, &request_id).into());
        }
        Err(panic) => {
            let problem = Problem::internal(format!("a handler panicked: {}", panic_text(&*panic)));
            log(
                &method,
                logged,
                StatusCode::INTERNAL_SERVER_ERROR,
                start,
                &request_id,
                Some(&problem),
            );
            return Err(Finished::new(&problem, &public_url, &path, &request_id).into());
        }
    };

    if let Some(name) = stray
        && !response.status().is_client_error()
        && !response.status().is_server_error()
    {
        let (req, _) = response.into_parts();
        response = ServiceResponse::from_err(request::unknown_parameter(&name), req).map_into_boxed_body();
    }
    let problem = problem_of(&response);
    if let Some(problem) = &problem {
        response = response.map_body(|head, _| {
            let json = problem.to_json(&public_url, &path, &request_id);
            head.headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/problem+json"),
            );
            set_headers(&mut head.headers, problem);
            BoxBody::new(json.to_string())
        });
    }
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, id_header);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !path.starts_with("/management/") {
        open_to_all(headers);
    }
    if !headers.contains_key(header::CACHE_CONTROL)
        && let Some(rule) = cache_rule(&path, status)
    {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(rule));
    }
    log(&method, logged, status, start, &request_id, problem.as_ref());
    Ok(response)
}

/// A front end that fetches for readers says so by a key: it has no limits of reads, and names the reader's address.
/// Whoever comes with another key is a reader like any other.
async fn recognize_forwarder(req: &ServiceRequest) -> Result<(), Problem> {
    if req.path().starts_with("/management/") {
        return Ok(());
    }
    let (Some(app), Some(token)) = (req.app_data::<State>().cloned(), api_keys::in_headers(req.headers())) else {
        return Ok(());
    };
    let found = api_keys::find(&app, token, request::client_address(req.request())).await?;
    if found.is_some_and(|found| found.forwards()) {
        let reader = request::named_reader(req.headers());
        req.extensions_mut().insert(Forwarded(reader));
    }
    Ok(())
}

/// The path as the log may keep it: a message's reference is its sender's only key, a preview's token its reader's.
fn loggable(path: &str) -> &str {
    if path.starts_with("/delivery/v1/shares/opt-out/") {
        return "/delivery/v1/shares/opt-out/…";
    }
    if path.starts_with("/delivery/v1/previews/") {
        return "/delivery/v1/previews/…";
    }
    match path.strip_prefix("/delivery/v1/feedback/") {
        Some(_) => "/delivery/v1/feedback/…",
        None => path,
    }
}

/// Outside of management every origin gets the same answer, so that caches keep one and not one an origin.
fn open_to_all(headers: &mut header::HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    let kept: Vec<String> = headers
        .get_all(header::VARY)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .filter(|name| {
            !name.eq_ignore_ascii_case("origin") && !name.to_ascii_lowercase().starts_with("access-control-")
        })
        .collect();
    headers.remove(header::VARY);
    if let Ok(value) = HeaderValue::from_str(&kept.join(", "))
        && !kept.is_empty()
    {
        headers.insert(header::VARY, value);
    }
}

/// Caching of answers that did not say themselves.
fn cache_rule(path: &str, status: StatusCode) -> Option<&'static str> {
    if path.starts_with("/management/") {
        Some("private, no-store, no-transform")
    } else if status == StatusCode::GONE || status == StatusCode::PERMANENT_REDIRECT {
        Some("public, max-age=30")
    } else if status.is_client_error() || status.is_server_error() || path.starts_with("/delivery/") {
        Some("no-store")
    } else {
        None
    }
}

fn set_headers(headers: &mut header::HeaderMap, problem: &Problem) {
    for (name, value) in problem.headers() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
}

/// Names a request in its answer and in the log.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request that comes now: one from a proxy is kept when it is harmless in a log.
pub fn request_id(given: Option<&HeaderValue>, now: Time) -> HeaderValue {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    let given = given.filter(|id| (1..=128).contains(&id.len()) && id.as_bytes().iter().copied().all(harmless));
    given.cloned().unwrap_or_else(|| {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let id = fresh_id(now).hyphenated().encode_lower(&mut text);
        let id = IDS.with_borrow_mut(|ids| {
            if ids.capacity() < id.len() {
                ids.reserve(IDS_SIZE);
            }
            ids.extend_from_slice(id.as_bytes());
            ids.split().freeze()
        });
        HeaderValue::from_maybe_shared(id).unwrap_or(HeaderValue::from_static("unknown"))
    })
}

/// Bytes of a piece of memory for ids. Each id of its own would take one that the processor has not seen for long.
const IDS_SIZE: usize = 2048;

thread_local! {
    static DICE: RefCell<SmallRng> = RefCell::new(rand::make_rng());
    static IDS: RefCell<BytesMut> = RefCell::new(BytesMut::with_capacity(IDS_SIZE));
}

/// A UUIDv7 for a request. Nobody has to be kept from guessing it, and those of one millisecond are in no order: each
/// thread draws its own without asking the others.
fn fresh_id(now: Time) -> uuid::Uuid {
    let random = DICE.with_borrow_mut(|dice| dice.random());
    uuid::Builder::from_unix_timestamp_millis(now.ms().unsigned_abs(), &random).into_uuid()
}

/// The bytes of a request's headers.
fn head_size(headers: &header::HeaderMap) -> usize {
    headers.iter().map(|(name, value)| header_size(name, value)).sum()
}

/// The bytes of one of them: `name: value` and the end of the line.
#[inline]
pub fn header_size(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + value.len() + 4
}

fn head_limits(req: &ServiceRequest) -> Option<Problem> {
    let uri = req.uri();
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > URL_LIMIT {
        return Some(Problem::new(Code::UriTooLong, "The address may have 8 KiB at most."));
    }
    (head_size(req.headers()) > HEAD_LIMIT)
        .then(|| Problem::new(Code::HeadersTooLarge, "The request's headers may have 16 KiB at most."))
}

/// The problem of a refusal: ours, or a plain one for a refusal of the framework itself.
fn problem_of(response: &ServiceResponse<BoxBody>) -> Option<Problem> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    if let Some(error) = response.response().error() {
        if let Some(problem) = error.as_error::<Problem>() {
            return Some(problem.copy());
        }
        return Some(plain(status).because(error));
    }
    // A page for people tells them itself; the framework refuses in plain text.
    let media_type = response.headers().get(header::CONTENT_TYPE);
    let ours = media_type.is_some_and(|value| {
        let told = |media_type: &[u8]| value.as_bytes().starts_with(media_type);
        told(b"application/problem+json") || told(b"text/html")
    });
    (!ours).then(|| plain(status))
}

fn plain(status: StatusCode) -> Problem {
    let code = Code::ALL
        .iter()
        .copied()
        .find(|code| code.status() == status && *code != Code::InvalidJson);
    match (code, status.is_client_error()) {
        (Some(Code::DuplicateKey) | None, true) => {
            Problem::new(Code::InvalidRequest, "The request cannot be understood.")
        }
        (Some(code), true) => Problem::new(code, code.title()),
        (_, false) => Problem::internal(format!("the framework answered {status}")),
    }
}

/// The line that each request leaves in the log.
pub fn log(
    method: &Method,
    path: &str,
    status: StatusCode,
    start: Instant,
    request_id: &str,
    problem: Option<&Problem>,
) {
    let ms = start.elapsed().as_micros() as f64 / 1000.0;
    let (status, method) = (status.as_u16(), method.as_str());
    let code = problem.map(|problem| problem.code().as_str());
    match problem.and_then(Problem::cause) {
        Some(cause) if status >= 500 => {
            tracing::error!(request_id, method, path, status, ms, code, cause, "request");
        }
        cause => tracing::info!(request_id, method, path, status, ms, code, cause, "request"),
    }
}

/// A problem whose bytes are complete, for where the request is no longer at hand.
#[derive(Debug)]
struct Finished {
    status: StatusCode,
    body: String,
    request_id: String,
    headers: header::HeaderMap,
}

impl Finished {
    fn new(problem: &Problem, public_url: &str, path: &str, request_id: &str) -> Self {
        Self {
            status: problem.status_code(),
            body: problem.to_json(public_url, path, request_id).to_string(),
            request_id: request_id.to_owned(),
            headers: {
                let mut headers = header::HeaderMap::new();
                set_headers(&mut headers, problem);
                if !path.starts_with("/management/") {
                    open_to_all(&mut headers);
                }
                if let Some(rule) = cache_rule(path, problem.status_code()) {
                    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(rule));
                }
                headers
            },
        }
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "answered {}", self.status)
    }
}

impl ResponseError for Finished {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.status);
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        response
            .content_type("application/problem+json")
            .insert_header(("X-Request-Id", self.request_id.as_str()))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(self.body.clone())
    }
}

impl From<actix_web::Error> for Problem {
    fn from(error: actix_web::Error) -> Self {
        match error.as_error::<Problem>() {
            Some(problem) => problem.copy(),
            None => plain(error.as_response_error().status_code()).because(error),
        }
    }
}
