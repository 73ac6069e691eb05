//! One problem shape for every refusal (RFC 9457) and the one table of codes.
//!
//! A [`Problem`] is built anywhere and travels up by `?`. The outermost middleware ([`crate::server`]) turns it into
//! bytes, because only there the request's id and path are known. The public sentence (`detail`) and the inner cause
//! are two fields: the cause goes to the log and never to the caller.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::images::rights::ExpiredRight;
use crate::types::{Id, Lease};

/// Declares the codes once: name in Rust, name on the wire, HTTP status, title and the page under `docs/errors/`.
macro_rules! codes {
    ($($name:ident $wire:literal $status:literal $title:literal;)+) => {
        /// What went wrong, as a stable name that clients switch on (`code`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $title] $name,)+
        }

        impl Code {
            /// Every code there is, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$name,)+];

            /// The name on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $wire,)+ }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> StatusCode {
                let status = match self { $(Code::$name => $status,)+ };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// One short sentence that is the same for every problem with this code.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)+ }
            }

            /// The text of its page, in Markdown.
            pub fn page(self) -> &'static str {
                match self { $(Code::$name => include_str!(concat!("../docs/errors/", $wire, ".md")),)+ }
            }
        }
    };
}

codes! {
    InvalidJson "invalid_json" 400 "The body is not valid JSON.";
    DuplicateKey "duplicate_key" 400 "A JSON object names a key twice.";
    InvalidRequest "invalid_request" 400 "The request cannot be understood.";
    InvalidParameter "invalid_parameter" 400 "A query parameter has a value that is not allowed.";
    UnknownParameter "unknown_parameter" 400 "There is no such query parameter here.";
    InvalidCursor "invalid_cursor" 400 "The cursor does not belong to this list.";
    InvalidHeader "invalid_header" 400 "A request header is malformed.";
    Unauthenticated "unauthenticated" 401 "Sign in first.";
    InvalidCredentials "invalid_credentials" 401 "The e-mail address or the password is wrong.";
    TotpRequired "totp_required" 401 "A code of the authenticator app is needed, too.";
    TotpInvalid "totp_invalid" 401 "The code of the authenticator app is not right.";
    TokenExpired "token_expired" 401 "The access token has expired.";
    InvalidRefreshToken "invalid_refresh_token" 401 "The refresh token is not valid.";
    Forbidden "forbidden" 403 "You may not do this.";
    NotFound "not_found" 404 "There is nothing here.";
    MethodNotAllowed "method_not_allowed" 405 "This address does not take that method.";
    RequestTimeout "request_timeout" 408 "The request body did not arrive in time.";
    SlugTaken "slug_taken" 409 "Another item has this slug.";
    ArticleLeased "article_leased" 409 "Somebody else is editing this article.";
    EmailTaken "email_taken" 409 "Another editor has this e-mail address.";
    InUse "in_use" 409 "It is still in use.";
    InvalidTransition "invalid_transition" 409 "The article's state does not allow this.";
    TranslationExists "translation_exists" 409 "This story already has an article in that language.";
    RevisionIncomplete "revision_incomplete" 409 "Something this revision needs has been deleted.";
    RightsExpired "rights_expired" 409 "The right to show an image has ended.";
    DuplicateImage "duplicate_image" 409 "The library has this file as another image.";
    LeadExists "lead_exists" 409 "The article already has a lead image.";
    AlreadyActive "already_active" 409 "The editor needs no invitation.";
    TotpState "totp_state" 409 "Two-step sign-in is not in the state for this.";
    LastAdmin "last_admin" 409 "The last working admin has to stay.";
    NotPublishable "not_publishable" 409 "This message cannot be shown to readers.";
    FeedbackClosed "feedback_closed" 409 "This story takes no feedback.";
    LimitReached "limit_reached" 409 "There are as many of these as there may be.";
    WebhookDisabled "webhook_disabled" 409 "The webhook is disabled.";
    IdempotencyInProgress "idempotency_in_progress" 409 "A request with this Idempotency-Key is still running.";
    Gone "gone" 410 "It was public once and has been withdrawn.";
    PreviewEnded "preview_ended" 410 "This preview link has ended.";
    ChangesExpired "changes_expired" 410 "The changes after this cursor are not kept any more.";
    BatchUndone "batch_undone" 424 "Another operation of the batch failed.";
    VersionMismatch "version_mismatch" 412 "It has changed since you read it.";
    WeakEtag "weak_etag" 412 "If-Match needs a strong entity tag.";
    PayloadTooLarge "payload_too_large" 413 "The request body is too large.";
    UriTooLong "uri_too_long" 414 "The address is too long.";
    UnsupportedMediaType "unsupported_media_type" 415 "This media type is not taken here.";
    RangeNotSatisfiable "range_not_satisfiable" 416 "The range lies outside the file.";
    ValidationFailed "validation_failed" 422 "The content breaks a rule.";
    IdempotencyKeyReused "idempotency_key_reused" 422 "This Idempotency-Key was used for another request.";
    ImageBroken "image_broken" 422 "The image file is broken.";
    ImageTooLarge "image_too_large" 422 "The image is too large.";
    PreconditionRequired "precondition_required" 428 "Say which version you mean.";
    RateLimited "rate_limited" 429 "Too many requests.";
    HeadersTooLarge "headers_too_large" 431 "The request headers are too large.";
    Internal "internal" 500 "Something went wrong on our side.";
    Unavailable "unavailable" 503 "The service cannot answer just now.";
    MailUnavailable "mail_unavailable" 503 "Mail is not set up here.";
    StorageFull "storage_full" 507 "There is no room left to store this.";
}

/// One thing wrong with the request: where it is and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the request body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = String, example = "/title")]
    pub pointer: Option<String>,
    /// Name of the query parameter or header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = String, example = "limit")]
    pub parameter: Option<String>,
    /// What is wrong, as a stable name.
    #[schema(example = "required")]
    pub code: String,
    /// What is wrong and what to do, in words.
    #[schema(example = "A title is needed.")]
    pub detail: String,
}

impl FieldError {
    /// An error at a place in the request body.
    pub fn at(pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        Self {
            pointer: Some(pointer.into()),
            parameter: None,
            code: code.to_owned(),
            detail: detail.into(),
        }
    }
}

/// The one error type: everything a handler, a rule or a query can refuse with.
pub struct Problem {
    inner: Box<Inner>,
}

#[derive(Clone)]
struct Inner {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    extra: Map<String, Value>,
    headers: Vec<(&'static str, String)>,
    cause: Option<String>,
    retry: bool,
}

/// What all methods below return.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

impl Problem {
    /// A problem with its public sentence.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                code,
                detail: detail.into(),
                errors: Vec::new(),
                extra: Map::new(),
                headers: Vec::new(),
                cause: None,
                retry: false,
            }),
        }
    }

    /// 404 for what does not exist or the caller may not know to exist. The same words for both, on purpose.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("There is no such {what}."))
    }

    /// 422 with everything that is wrong.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => one.detail.clone(),
            many => format!("{} fields break a rule; see errors.", many.len()),
        };
        let mut problem = Self::new(Code::ValidationFailed, detail);
        problem.inner.errors = errors;
        problem
    }

    /// 422 at one place of the body.
    pub fn invalid(pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        Self::validation(vec![FieldError::at(pointer, code, detail)])
    }

    /// 400 about a query parameter.
    pub fn parameter(code: Code, parameter: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut problem = Self::new(code, detail.clone());
        problem.inner.errors.push(FieldError {
            pointer: None,
            parameter: Some(parameter.to_owned()),
            code: code.as_str().to_owned(),
            detail,
        });
        problem
    }

    /// 500: `cause` is for the log only.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(
            Code::Internal,
            "The request could not be answered; it has been logged under its request_id.",
        )
        .because(cause)
    }

    /// Names every place that it is about.
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.inner.errors = errors;
        self
    }

    /// Adds the inner cause, which is logged and never sent.
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.inner.cause = Some(cause.to_string());
        self
    }

    /// Adds a member of the problem object such as `current_version`.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.inner.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a response header such as `Retry-After`.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.inner.headers.push((name, value.into()));
        self
    }

    /// Marks a lost race that may be run again (serialization failure, deadlock).
    pub fn retryable(mut self) -> Self {
        self.inner.retry = true;
        self
    }

    /// Whether running the same transaction again may succeed.
    pub fn is_retryable(&self) -> bool {
        self.inner.retry
    }

    /// The same problem once more, for the middleware that sees it by reference.
    pub fn copy(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// The public sentence.
    pub fn detail(&self) -> &str {
        &self.inner.detail
    }

    /// Every wrong field.
    pub fn errors(&self) -> &[FieldError] {
        &self.inner.errors
    }

    /// The inner cause, for the log.
    pub fn cause(&self) -> Option<&str> {
        self.inner.cause.as_deref()
    }

    /// Headers that go with it.
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.inner.headers
    }

    /// The problem object as it is sent.
    pub fn to_json(&self, public_url: &str, instance: &str, request_id: &str) -> Value {
        let code = self.inner.code;
        let mut object = Map::new();
        object.insert(
            "type".into(),
            json!(format!("{public_url}/docs/errors/{}", code.as_str())),
        );
        object.insert("title".into(), json!(code.title()));
        object.insert("status".into(), json!(code.status().as_u16()));
        object.insert("detail".into(), json!(self.inner.detail));
        object.insert("instance".into(), json!(instance));
        object.insert("code".into(), json!(code.as_str()));
        object.insert("request_id".into(), json!(request_id));
        object.insert("errors".into(), json!(self.inner.errors));
        object.extend(self.inner.extra.clone());
        Value::Object(object)
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.inner.code.as_str(), self.inner.detail)?;
        match &self.inner.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for Problem {}

/// The body that says "a problem goes here"; the middleware fills it in.
impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.inner.code.status()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        HttpResponse::new(self.status_code())
    }
}

impl From<diesel::result::Error> for Problem {
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::{DatabaseErrorKind as Kind, Error};
        let text = error.to_string();
        match &error {
            Error::DatabaseError(Kind::SerializationFailure, _) => busy(text).retryable(),
            Error::DatabaseError(_, info) if info.message().contains("deadlock detected") => busy(text).retryable(),
            Error::DatabaseError(Kind::ClosedConnection | Kind::ReadOnlyTransaction, _) => busy(text),
            // A row that was referred to went away in the same moment; every other reference is checked beforehand.
            Error::DatabaseError(Kind::ForeignKeyViolation | Kind::UniqueViolation, _) => busy(text).retryable(),
            Error::DatabaseError(_, info) if is_full(info.message()) => Problem::new(
                Code::StorageFull,
                "The disk is full: reading still works, nothing was changed.",
            )
            .because(text),
            Error::DatabaseError(_, info) if is_timeout(info.message()) => busy(text),
            _ => Problem::internal(text),
        }
    }
}

/// 503 with a time to come back.
fn busy(cause: String) -> Problem {
    Problem::new(
        Code::Unavailable,
        "The database cannot take this just now; nothing was changed. Try again.",
    )
    .header("Retry-After", "1")
    .because(cause)
}

fn is_timeout(message: &str) -> bool {
    [
        "statement timeout",
        "lock timeout",
        "database is locked",
        "disk I/O error",
    ]
    .iter()
    .any(|sign| message.contains(sign))
}

fn is_full(message: &str) -> bool {
    ["database or disk is full", "No space left", "could not extend file"]
        .iter()
        .any(|sign| message.contains(sign))
}

/// The problem object, for the OpenAPI documents (RFC 9457, `application/problem+json`).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[allow(
    dead_code,
    reason = "a description: the object itself is written by Problem::to_json"
)]
pub struct ProblemSchema {
    /// Address of the page that explains this problem.
    #[serde(rename = "type")]
    #[schema(format = "uri", example = "https://api.example.vn/docs/errors/validation_failed")]
    pub kind: String,
    /// The same sentence for every problem of this type.
    #[schema(example = "The content breaks a rule.")]
    pub title: String,
    /// The HTTP status code.
    #[schema(minimum = 400, maximum = 599, example = 422)]
    pub status: i32,
    /// What was wrong this time, and what to do.
    #[schema(example = "A title is needed.")]
    pub detail: String,
    /// The path that was asked for.
    #[schema(example = "/management/v1/articles")]
    pub instance: String,
    /// Stable name to switch on.
    #[schema(example = "validation_failed")]
    pub code: String,
    /// The request's id, also in `X-Request-Id` and in the log.
    #[schema(example = "01981d3e-5c1a-7c60-8f0e-0d7c3f0f7a11")]
    pub request_id: String,
    /// Every field that is wrong; empty when the problem is not about a field.
    pub errors: Vec<FieldError>,
    /// With 412: the version there is now.
    #[schema(required = false, nullable = false, value_type = i64, minimum = 1)]
    pub current_version: Option<i64>,
    /// With 409 `in_use`: what uses it.
    #[schema(required = false, nullable = false, value_type = Vec<UsedBy>)]
    pub used_in: Option<Vec<UsedBy>>,
    /// With 409 `article_leased`: who is editing, and until when.
    #[schema(required = false, nullable = false, value_type = Lease)]
    pub lease: Option<Lease>,
    /// With 409 `rights_expired`: the placed images whose rights have ended.
    #[schema(required = false, nullable = false, value_type = Vec<ExpiredRight>)]
    pub expired_rights: Option<Vec<ExpiredRight>>,
    /// With 409 `duplicate_image`: the image that has the file.
    #[schema(required = false, nullable = false, value_type = Id)]
    pub image_id: Option<String>,
    /// With 403 for an API key: the scope that it lacks.
    #[schema(required = false, nullable = false, value_type = String, example = "articles:write")]
    pub required_scope: Option<String>,
    /// With 405 and 409 `invalid_transition`: what would be allowed.
    #[schema(required = false, nullable = false, value_type = Vec<String>)]
    pub allowed: Option<Vec<String>>,
}

/// Something that uses the item which was to be deleted.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UsedBy {
    /// Kind of the user: `article`, `caption`, `author`, `section`.
    #[serde(rename = "type")]
    #[schema(example = "article")]
    pub kind: String,
    /// Its id.
    #[schema(format = Uuid)]
    pub id: String,
    /// Its title or name.
    #[schema(example = "Lũ rút trên sông Cầu")]
    pub title: String,
}
