//! The delivery path: in front of the routing, answers that are at hand leave at once.
//!
//! What is not at hand goes the ordinary way, through [`crate::server`], and is at hand afterwards. Here is nothing that
//! waits: no lock that is held while anything is made, and of the database only one story out of an embedded one, which
//! takes a few looks by index; see [`crate::db::Db::read_here`].

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_http::Request;
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::HttpMessage;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use futures_util::future::{Either, LocalBoxFuture};
use futures_util::{FutureExt, TryFutureExt};

use crate::app::State;
use crate::auth::api_keys::in_header;
use crate::cache::Response;
use crate::request::{Counted, PathRef, address_behind, last_seen};
use crate::types::Time;
use crate::{articles, cache, server};

// Made when this is compiled: at run time each would be looked through for letters that no header may have.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");
const EXPOSED: HeaderValue = HeaderValue::from_static(server::EXPOSED);

/// No name that [`Fields`] looks for is longer: to ask each how long it is takes a walk through all that there are.
const LONGEST_NAME: usize = "x-forwarded-for".len();

/// Where stories are.
const STORIES: &str = "/delivery/v1/articles/";

/// Puts the delivery path in front of an application.
pub fn front<I, S, B>(app: State, application: I) -> Front<S>
where
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>>,
{
    Front {
        app,
        inner: application.into_factory(),
    }
}

/// Makes a [`FrontService`] a worker.
pub struct Front<S> {
    app: State,
    inner: S,
}

impl<S, B> ServiceFactory<Request> for Front<S>
where
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>>,
    S::Future: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Config = AppConfig;
    type Service = FrontService<S::Service>;
    type InitError = S::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, S::InitError>>;

    fn new_service(&self, config: AppConfig) -> Self::Future {
        let app = self.app.clone();
        let inner = self.inner.new_service(config);
        inner.map_ok(|inner| FrontService { app, inner }).boxed_local()
    }
}

/// Answers what is at hand; everything else goes on to the application.
pub struct FrontService<S> {
    app: State,
    inner: S,
}

impl<S, B> Service<Request> for FrontService<S>
where
    S: Service<Request, Response = ServiceResponse<B>>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = Response;
    type Error = S::Error;
    // The application's is large, and would be moved about with every answer that is at hand.
    type Future = Either<Ready<Result<Response, S::Error>>, LocalBoxFuture<'static, Result<Response, S::Error>>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: Request) -> Self::Future {
        match at_hand(&self.app, &request) {
            Some(response) => Either::Left(ready(Ok(response))),
            None => Either::Right(self.inner.call(request).map_ok(plain).boxed_local()),
        }
    }
}

fn plain<B: MessageBody + 'static>(response: ServiceResponse<B>) -> Response {
    actix_http::Response::<B>::from(response).map_into_boxed_body()
}

/// What is asked of the headers of a request, found in one walk over them: to look each of them up costs several times as
/// much. Of headers that come twice it is the first.
#[derive(Default)]
struct Fields<'r> {
    /// Bytes, some more than there are: who may have too many goes the ordinary way, where they are counted.
    size: usize,
    length: Option<&'r HeaderValue>,
    is_chunked: bool,
    authorization: Option<&'r HeaderValue>,
    browser: Option<&'r HeaderValue>,
    request_id: Option<&'r HeaderValue>,
    forwarded: Option<&'r HeaderValue>,
    forwarded_again: bool,
}

impl<'r> Fields<'r> {
    fn of(headers: &'r HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            let place = if *name == header::USER_AGENT {
                &mut fields.browser
            } else if *name == header::CONTENT_LENGTH {
                &mut fields.length
            } else if *name == header::AUTHORIZATION {
                &mut fields.authorization
            } else if *name == server::X_REQUEST_ID {
                &mut fields.request_id
            } else if *name == header::X_FORWARDED_FOR {
                fields.forwarded_again = fields.forwarded.is_some();
                &mut fields.forwarded
            } else {
                fields.is_chunked |= *name == header::TRANSFER_ENCODING;
                fields.size += server::header_size(name, value);
                continue;
            };
            fields.size += LONGEST_NAME + value.len() + 4;
            place.get_or_insert(value);
        }
        fields
    }

    /// Where the client is.
    fn address(&self, app: &State, request: &Request) -> IpAddr {
        let trusted = &app.config.trusted_proxies;
        if self.forwarded_again {
            return address_behind(request.peer_addr(), request.headers(), trusted);
        }
        last_seen(request.peer_addr(), self.forwarded.into_iter(), trusted)
    }

    /// Whether there is no body.
    fn is_all(&self) -> bool {
        matches!(self.length.map(HeaderValue::as_bytes), None | Some(b"0")) && !self.is_chunked
    }

    /// Whether they say more than this room looks at: too much, or an API key's secret, which takes a look at the key.
    fn need_more(&self) -> bool {
        self.size > server::HEAD_LIMIT || self.authorization.and_then(in_header).is_some()
    }
}

/// The answer, when it can be given without waiting.
fn at_hand(app: &State, request: &Request) -> Option<Response> {
    if *request.method() == Method::POST {
        return count_view(app, request);
    }
    let uri = request.uri();
    let path = uri.path();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    if let Some(key) = path.strip_prefix("/media/") {
        return file(app, request, key);
    }
    if !is_delivery(path) {
        return None;
    }
    let Some(entry) = app.cache.get(path, uri.query().unwrap_or("")) else {
        return read_story(app, request);
    };
    let fields = Fields::of(request.headers());
    if !entry.is_ready(request.head()) || fields.size > server::HEAD_LIMIT {
        return None;
    }
    let mut response = entry.answer(request.head());
    surround(&fields, Time::now(), &mut response);
    tracing::debug!(path, status = response.status().as_u16(), "answered from memory");
    Some(response)
}

/// A story that is not at hand, but can be read without waiting: its page is what most readers ask for who ask for what
/// nobody else does.
fn read_story(app: &State, request: &Request) -> Option<Response> {
    let start = Instant::now();
    let uri = request.uri();
    let path = uri.path();
    let article = PathRef::parse(path.strip_prefix(STORIES)?)?;
    // A front end that fetches for readers has no limit, which takes a look at its key.
    let fields = Fields::of(request.headers());
    if uri.query().is_some() || fields.need_more() {
        return None;
    }
    let address = fields.address(app, request);
    app.limits.delivery(address).ok()?;
    let Some(entry) = cache::build_here(app, path, |here| articles::delivery::plain(here, app, &article)) else {
        request.extensions_mut().insert(Counted);
        return None;
    };
    let mut response = entry.answer(request.head());
    surround(&fields, Time::now(), &mut response);
    let ms = start.elapsed().as_micros() as f64 / 1000.0;
    let request_id = response
        .headers()
        .get(server::X_REQUEST_ID)
        .and_then(|id| id.to_str().ok());
    tracing::debug!(
        request_id,
        path,
        status = response.status().as_u16(),
        ms,
        "a story at once"
    );
    Some(response)
}

/// A file that is in memory; the query says nothing about it.
fn file(app: &State, request: &Request, key: &str) -> Option<Response> {
    let file = app.hot.get(key)?;
    let fields = Fields::of(request.headers());
    if fields.size > server::HEAD_LIMIT {
        return None;
    }
    let now = Time::now();
    let mut response = file.answer(request.headers(), *request.method() == Method::HEAD)?;
    if file.is_news(now) {
        app.variants.uses.tell(key);
    }
    surround(&fields, now, &mut response);
    tracing::debug!(key, status = response.status().as_u16(), "a file from memory");
    Some(response)
}

/// A beacon without a body, of a story whose address is known.
fn count_view(app: &State, request: &Request) -> Option<Response> {
    let uri = request.uri();
    let reference = uri.path().strip_prefix(STORIES)?.strip_suffix("/views")?;
    let fields = Fields::of(request.headers());
    if !fields.is_all() || fields.need_more() || uri.query().is_some() {
        return None;
    }
    let story = app.views.resolve(reference)?;
    let address = fields.address(app, request);
    let browser = fields.browser.map(HeaderValue::as_bytes);
    let now = Time::now();
    app.views.record(story, address, browser, now);
    let mut response = Response::with_body(StatusCode::ACCEPTED, BoxBody::new(()));
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    surround(&fields, now, &mut response);
    Some(response)
}

fn is_delivery(path: &str) -> bool {
    ["/delivery/v1/", "/feeds/", "/sitemap"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

/// The headers that every answer outside of management carries.
fn surround(fields: &Fields<'_>, now: Time, response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(server::X_REQUEST_ID, server::request_id(fields.request_id, now));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
    // Whether the request names its origin or not: a shared cache gives the answer to others, too.
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}
