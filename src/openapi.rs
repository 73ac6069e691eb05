//! The OpenAPI documents, one a face, made from the mounted handlers.
//!
//! Handlers declare what is theirs: parameters, bodies, the answers they give and the refusals that only they know.
//! What follows from those facts is added here, once: a request body brings 400, 413, 415 and 422, `If-Match` brings
//! 412 and 428, a path parameter 404, a signed-in face 401, and so on.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{OpenApi as _, PartialSchema};
use utoipa_actix_web::AppExt;

use crate::auth::scopes::{self, Needs};
use crate::error::{FieldError, ProblemSchema, UsedBy};
use crate::{articles, docs, server};

mod downgrade;

/// The documents and what is read from them while serving.
struct Documents {
    delivery: String,
    management: String,
    delivery_3_0: String,
    management_3_0: String,
    routes: Vec<Route>,
}

/// An address of the API.
struct Route {
    path: String,
    pattern: Vec<String>,
    methods: Vec<&'static str>,
    /// The methods that have query parameters.
    queried: Vec<String>,
}

/// The names under `/openapi/` and in the folder `openapi/`.
pub const NAMES: [&str; 4] = [
    "delivery.json",
    "management.json",
    "delivery-3.0.json",
    "management-3.0.json",
];

/// A document's text by its file name.
pub fn document(name: &str) -> Option<&'static str> {
    let documents = documents();
    match name {
        "delivery.json" => Some(&documents.delivery),
        "management.json" => Some(&documents.management),
        "delivery-3.0.json" => Some(&documents.delivery_3_0),
        "management-3.0.json" => Some(&documents.management_3_0),
        _ => None,
    }
}

fn route(path: &str) -> Option<&'static Route> {
    let parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    let matches = |pattern: &[String]| {
        pattern.len() == parts.len() && pattern.iter().zip(&parts).all(|(want, part)| fits(want, part))
    };
    // An address without parameters goes before one that has them.
    let found = documents().routes.iter().filter(|route| matches(&route.pattern));
    found.min_by_key(|route| route.pattern.iter().filter(|part| part.contains('{')).count())
}

/// Whether a part of a path fits a part of a pattern, in which one parameter may stand: `sitemap-{page}.xml`.
fn fits(want: &str, part: &str) -> bool {
    let (Some((before, _)), Some((_, after))) = (want.split_once('{'), want.rsplit_once('}')) else {
        return want == part;
    };
    let inner = part.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    inner.is_some_and(|inner| !inner.is_empty())
}

/// The methods that an address takes; none when there is no such address.
pub fn allowed_methods(path: &str) -> Vec<&'static str> {
    match route(path) {
        Some(route) => route.methods.clone(),
        None if docs::knows(path) => vec!["GET", "HEAD", "OPTIONS"],
        None => Vec::new(),
    }
}

/// The address of an operation as the documents write it; none when there is no such operation.
pub fn pattern_of(path: &str, method: &str) -> Option<&'static str> {
    let found = route(path).filter(|route| route.methods.contains(&method));
    found.map(|route| route.path.as_str())
}

/// Method and address of every operation under management.
#[cfg(test)]
pub fn management_operations() -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&documents().management).unwrap_or_default();
    let items = object(&document["paths"]);
    items
        .flat_map(|(path, item)| object(item).map(move |(method, _)| (method.clone(), path.clone())))
        .collect()
}

/// Whether an operation may have query parameters; an address that is not known may have what it likes.
pub fn takes_query(path: &str, method: &str) -> bool {
    match route(path) {
        Some(route) => route.queried.iter().any(|queried| queried.eq_ignore_ascii_case(method)),
        None => true,
    }
}

fn documents() -> &'static Documents {
    static DOCUMENTS: OnceLock<Documents> = OnceLock::new();
    DOCUMENTS.get_or_init(make)
}

/// Components that no handler's body names: what every refusal looks like, and the enumerations of parameters.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(
    ProblemSchema,
    FieldError,
    UsedBy,
    articles::delivery::ArticleSort,
    articles::delivery::ListInclude,
    articles::delivery::ArticleInclude,
    articles::management::WorkingArticleSort,
    articles::management::WorkingArticleInclude,
    articles::related::RelatedBy,
    crate::search::delivery::SearchSort,
    crate::views::Window,
)))]
struct Common;

fn make() -> Documents {
    let app = actix_web::App::new()
        .into_utoipa_app()
        .openapi(Common::openapi())
        .configure(server::api);
    let (_, api) = app.split_for_parts();
    let mut api = serde_json::to_value(api).unwrap_or_default();
    if let Some(schemas) = api.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        schemas.sort_keys();
    }
    tidy_schemas(&mut api["components"]["schemas"]);
    let delivery = face(&api, "delivery");
    let management = face(&api, "management");
    let mut routes = Vec::new();
    for document in [&delivery, &management] {
        for (path, item) in object(&document["paths"]) {
            let pattern = path.trim_start_matches('/').split('/').map(str::to_owned).collect();
            let parameters = |operation: &Value| operation["parameters"].as_array().cloned().unwrap_or_default();
            let queried = object(item)
                .filter(|(_, operation)| parameters(operation).iter().any(|parameter| parameter["in"] == "query"))
                .map(|(method, _)| method.clone())
                .collect();
            routes.push(Route {
                path: path.clone(),
                pattern,
                methods: methods_of(item),
                queried,
            });
        }
    }
    let text = |document: &Value| serde_json::to_string_pretty(document).unwrap_or_default() + "\n";
    Documents {
        delivery_3_0: text(&downgrade::to_3_0(&delivery)),
        management_3_0: text(&downgrade::to_3_0(&management)),
        delivery: text(&delivery),
        management: text(&management),
        routes,
    }
}

/// One object schema with the properties of two: what `#[serde(flatten)]` sends, flat for whoever generates types.
pub fn merged<A: PartialSchema, B: PartialSchema>() -> RefOr<Schema> {
    match (A::schema(), B::schema()) {
        (RefOr::T(Schema::Object(mut first)), RefOr::T(Schema::Object(second))) => {
            first.properties.extend(second.properties);
            first.required.extend(second.required);
            first.description = second.description;
            first.into()
        }
        (other, _) => other,
    }
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn methods_of(item: &Value) -> Vec<&'static str> {
    let known = [
        ("get", "GET"),
        ("post", "POST"),
        ("put", "PUT"),
        ("patch", "PATCH"),
        ("delete", "DELETE"),
    ];
    let mut methods = Vec::new();
    for (key, name) in known {
        if item.get(key).is_some() {
            methods.push(name);
            if name == "GET" {
                methods.push("HEAD");
            }
        }
    }
    methods.push("OPTIONS");
    methods
}

/// One face's document: its paths and just the components that they use.
fn face(api: &Value, name: &str) -> Value {
    let management = name == "management";
    let mut paths = Map::new();
    for (path, item) in object(&api["paths"]) {
        if path.starts_with("/management/") == management {
            let mut item = item.clone();
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                complete(operation, path, method, management);
            }
            paths.insert(path.clone(), item);
        }
    }
    paths.sort_keys();
    let used: BTreeSet<String> = paths
        .values()
        .flat_map(|item| item.as_object().into_iter().flatten())
        .flat_map(|(_, operation)| {
            operation["tags"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|tag| tag.as_str().map(str::to_owned))
        })
        .collect();
    let tags: Vec<Value> = TAGS
        .iter()
        .filter(|(tag, _)| used.contains(*tag))
        .map(|(tag, description)| json!({ "name": tag, "description": description }))
        .collect();
    let (title, about) = if management {
        ("newsdesk management API", MANAGEMENT)
    } else {
        ("newsdesk delivery API", DELIVERY)
    };
    let mut components = json!({ "schemas": pruned(&api["components"]["schemas"], &Value::Object(paths.clone())) });
    if management {
        components["securitySchemes"] = json!({
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "The `access_token` of `POST /management/v1/auth/login`, or an API key (`ndk_…`)."
            }
        });
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "description": about,
            "version": env!("CARGO_PKG_VERSION"),
            "contact": { "name": "newsdesk" },
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" }
        },
        "servers": [{ "url": "/", "description": "The instance that serves this document." }],
        "tags": tags,
        "paths": paths,
        "components": components
    })
}

const TAGS: &[(&str, &str)] = &[
    (
        "articles",
        "Stories: the working copy that editors change, and the publication that readers get.",
    ),
    (
        "previews",
        "Links that show one revision to whoever has them, for a front end's preview mode.",
    ),
    ("images", "The image library."),
    ("captions", "Images placed in articles, with their texts."),
    ("revisions", "What an article was after every write, and the way back."),
    (
        "feedback",
        "Readers' messages to the newsroom and the newsroom's replies.",
    ),
    ("shares", "Stories that readers send to friends by mail."),
    ("changes", "What changed for readers, in order, for whoever follows it."),
    ("search", "Finding stories by their words."),
    ("sections", "Sections of the site."),
    ("tags", "Tags across sections."),
    ("authors", "Who stories are by."),
    (
        "feeds",
        "The newest stories for feed readers, and sitemaps for search engines.",
    ),
    (
        "site",
        "The site: its name, languages, and the text readers consent to.",
    ),
    (
        "webhooks",
        "Other programs that are told what changed for readers, by the Standard Webhooks specification.",
    ),
    ("auth", "Signing in and out."),
    ("editors", "Accounts of the people in the newsroom."),
    ("api-keys", "Keys of programs that call the API."),
    ("audit", "Who did what to which, when and from where."),
    ("media", "Image files. Always take their addresses from JSON."),
    ("health", "For whoever runs the program."),
];

const DELIVERY: &str = "What readers may see: published content, without sign-in, cacheable. Every GET also answers HEAD, and \
every address OPTIONS; any web origin may call (CORS, without credentials). Answers carry `X-Request-Id`. Lists are \
paged by opaque cursors and carry `Link` headers. Refusals are problems (RFC 9457): switch on `code`. Clients ignore \
properties, enum values and block types they do not know; more may come within v1.";

const MANAGEMENT: &str = "For editors and their tools: working copies and everything else, by role. Sign in with \
`POST /management/v1/auth/login` and send the access token as `Authorization: Bearer …`. Items carry `version` and a \
strong `ETag`; writes to existing items need `If-Match`. Changes are merge patches (RFC 7396). POSTs take an \
`Idempotency-Key`. Every GET also answers HEAD. Refusals are problems (RFC 9457): switch on `code`.";

/// Completes one operation with what follows from its facts.
fn complete(operation: &mut Value, path: &str, method: &str, management: bool) {
    if let Some(id) = operation["operationId"].as_str() {
        operation["operationId"] = json!(camel(id));
    }
    if operation.get("description").is_none() {
        operation["description"] = operation["summary"].clone();
    }
    if let Some(summary) = operation["summary"].as_str() {
        operation["summary"] = json!(summary.trim_end_matches('.'));
    }
    let has = |name: &str| {
        operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|parameter| parameter["name"] == name)
    };
    let (if_match, idempotent) = (has("If-Match"), has("Idempotency-Key"));
    let guarded = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|parameter| parameter["name"] == "If-Match" && parameter["required"] == true);
    let in_path = path.contains('{');
    let body = operation.get("requestBody").is_some();
    let queries = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|parameter| parameter["in"] == "query");
    let open = !management || OPEN.contains(&path);
    let database = !path.starts_with("/health/");

    if ACTIONS.iter().any(|action| path.ends_with(action)) && body {
        // An action's body may be left out, which stands for `{}`.
        operation["requestBody"]["required"] = json!(false);
    }
    operation["security"] = if open { json!([]) } else { json!([{ "bearer": [] }]) };
    let mut refusals = BTreeSet::from([414, 431]);
    if database {
        refusals.extend([400, 429, 500, 503]);
    }
    if management {
        refusals.insert(401);
    }
    if in_path {
        refusals.insert(404);
    }
    if body {
        refusals.extend([400, 408, 413, 415, 422]);
    }
    if idempotent {
        refusals.extend([400, 409, 422]);
    }
    if if_match {
        refusals.extend([400, 412]);
    }
    if guarded {
        refusals.insert(428);
    }
    if !open {
        refusals.insert(403);
        say_scope(operation, path, method);
    }
    if database && method != "get" {
        refusals.insert(507);
    }
    if queries {
        refusals.insert(400);
    }
    if is_leased(path, method) {
        refusals.insert(409);
        if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
            parameters.push(take_over_parameter());
        }
    }
    if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
        for parameter in parameters {
            tidy_parameter(parameter);
        }
    }
    let responses = operation["responses"].as_object_mut();
    let Some(responses) = responses else { return };
    for status in refusals {
        responses
            .entry(status.to_string())
            .or_insert_with(|| json!({ "description": meaning(status) }));
    }
    if method == "get" && is_cached(path) && !unvalidated(path) {
        responses.entry("304").or_insert_with(
            || json!({ "description": "What you have is still right (`If-None-Match`, `If-Modified-Since`)." }),
        );
    }
    responses.sort_keys();
    for (status, response) in responses.iter_mut() {
        let status: u16 = status.parse().unwrap_or(0);
        if status >= 400 {
            // Beside what it says to people.
            response["content"]["application/problem+json"] =
                json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
        }
        let headers = headers_of(status, response, management, path);
        if !headers.is_empty() {
            let known = response["headers"].as_object().cloned().unwrap_or_default();
            let mut all = headers;
            all.extend(known);
            response["headers"] = Value::Object(all);
        }
    }
}

/// Writes of an article and its captions, which another's lease refuses.
fn is_leased(path: &str, method: &str) -> bool {
    let of_article = path.starts_with("/management/v1/articles/") || path.starts_with("/management/v1/captions");
    of_article && method != "get" && !path.contains("/preview-links") && !path.ends_with("/lease")
}

/// The header of [`is_leased`] operations.
fn take_over_parameter() -> Value {
    json!({
        "name": "Lease-Take-Over", "in": "header", "required": false, "schema": { "type": "string", "enum": ["true"] },
        "description": "`true` takes the article over from whoever is editing it, who is told in the 409 `article_leased` without it."
    })
}

/// Tells which API keys may do an operation.
fn say_scope(operation: &mut Value, path: &str, method: &str) {
    let words = match scopes::needed(method, path) {
        Some(Needs::Scope(scope)) => format!("An API key needs the scope `{}`.", scope.name()),
        Some(Needs::Key) => "Any API key may do this.".to_owned(),
        Some(Needs::Person) | None => "API keys cannot do this.".to_owned(),
    };
    let description = operation["description"].as_str().unwrap_or_default();
    operation["description"] = json!(format!("{description}\n\n{words}"));
}

/// Answers with validators, which the delivery cache makes.
fn is_cached(path: &str) -> bool {
    ["/delivery/", "/feeds/", "/sitemap"]
        .iter()
        .any(|start| path.starts_with(start))
}

/// Operations whose body may be left out, by the end of their address.
const ACTIONS: &[&str] = &[
    "/submit",
    "/publish",
    "/unschedule",
    "/unpublish",
    "/trash",
    "/restore",
    "/auth/logout",
    "/rotate-secret",
    "/webhooks/{id}/test",
    "{delivery_id}/replay",
];

/// Management operations that need no token.
pub const OPEN: &[&str] = &[
    "/management/v1/auth/login",
    "/management/v1/auth/refresh",
    "/management/v1/auth/logout",
    "/management/v1/auth/password-resets",
    "/management/v1/auth/password-resets/confirm",
    "/management/v1/auth/invitations/accept",
];

/// Delivery answers that are for one reader or for one moment, and have no validators.
fn unvalidated(path: &str) -> bool {
    path.starts_with("/delivery/v1/feedback/")
        || path.starts_with("/delivery/v1/previews/")
        || path.ends_with("/changes/stream")
        || path.contains("/shares")
}

/// Answers that change with time alone, and so have no date of their last change.
fn changes_with_time(path: &str) -> bool {
    path.ends_with("/most-viewed") || path == "/sitemap-news.xml"
}

/// Lists that have no other pages.
fn is_one_page(path: &str) -> bool {
    path.ends_with("/most-viewed") || path.ends_with("/related")
}

/// The headers that a client may want to read from an answer.
fn headers_of(status: u16, response: &Value, management: bool, path: &str) -> Map<String, Value> {
    let mut headers = Map::new();
    let mut add = |name: &str, description: &str| {
        headers.insert(
            name.to_owned(),
            json!({ "description": description, "schema": { "type": "string" } }),
        );
    };
    let schema = response
        .pointer("/content/application~1json/schema/$ref")
        .and_then(Value::as_str)
        .unwrap_or("");
    let versioned = [
        "Record",
        "WorkingArticle",
        "/Image",
        "/Caption",
        "/Feedback",
        "/Editor",
        "CorrectionReceipt",
        "/ApiKey",
        "/ApiKeyCreated",
        "SiteSettings",
    ];
    match status {
        200 | 201 if management && versioned.iter().any(|name| schema.ends_with(name)) => {
            add("ETag", "The item's version in quotation marks, for `If-Match`.");
            if status == 201 {
                add("Location", "The new item's address.");
            }
        }
        200 if !management && unvalidated(path) => {
            add("Cache-Control", "No cache may keep it: `no-store`.");
        }
        200 if is_cached(path) => {
            add("ETag", "A hash of the content, for `If-None-Match`.");
            if !changes_with_time(path) {
                add("Last-Modified", "When the newest thing in the answer changed.");
            }
            add("Cache-Control", "How long caches may keep it.");
        }
        308 => add("Location", "Where the story is now."),
        405 => add("Allow", "The methods this address takes."),
        429 | 503 => add("Retry-After", "Seconds to wait."),
        _ => {}
    }
    if schema.ends_with("Page") && !is_one_page(path) {
        add("Link", "The neighbouring pages (RFC 8288).");
    }
    headers
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => {
            "The request cannot be understood: broken JSON, an unknown or wrong query parameter, a malformed header."
        }
        401 => "There is no valid access token.",
        403 => "The caller's role, or the API key's scopes, do not allow this.",
        404 => "There is no such item, or the caller may not know of it.",
        408 => "The body came too slowly.",
        409 => "The item's state, or another request with the same `Idempotency-Key`, does not allow this now.",
        412 => "The item has changed since it was read; `current_version` says to what.",
        413 => "The body is too large.",
        414 => "The address is too long.",
        415 => "The body's media type is not taken here.",
        422 => "The content breaks a rule; `errors` points at each place.",
        428 => "`If-Match` is missing.",
        429 => "Too many requests.",
        431 => "The request's headers are too large.",
        503 => "The service cannot answer just now.",
        507 => "There is no room left to store this.",
        _ => "Something went wrong on our side.",
    }
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or("").to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

/// Parameters that may be left out are never null; several values are arrays, by repetition.
fn tidy_parameter(parameter: &mut Value) {
    if let Some(types) = parameter.pointer_mut("/schema/type")
        && let Some(list) = types.as_array_mut()
    {
        list.retain(|name| name != "null");
        if let [one] = list.as_slice() {
            *types = one.clone();
        }
    }
    if parameter["schema"]["type"] == "array" && parameter["in"] == "query" {
        parameter["style"] = json!("form");
        parameter["explode"] = json!(true);
    }
    if parameter.get("required").is_none() {
        parameter["required"] = json!(parameter["in"] == "path");
    }
}

/// What the derive macros cannot say: response objects are open, so `additionalProperties: false` stays on requests only.
fn tidy_schemas(schemas: &mut Value) {
    for (name, schema) in schemas.as_object_mut().into_iter().flatten() {
        let request = name.ends_with("Create") || name.ends_with("Patch") || name.ends_with("Input");
        let Some(object) = schema.as_object_mut() else { continue };
        if !request {
            object.remove("additionalProperties");
        } else if object.contains_key("properties") {
            object.insert("additionalProperties".into(), json!(false));
        }
    }
}

/// The schemas that the paths use, and what those use.
fn pruned(schemas: &Value, paths: &Value) -> Value {
    let mut found = BTreeSet::new();
    let mut waiting = vec![paths];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Array(items) => waiting.extend(items),
            Value::Object(map) => {
                for (key, value) in map {
                    if (key == "$ref"
                        || value
                            .as_str()
                            .is_some_and(|text| text.starts_with("#/components/schemas/")))
                        && let Some(name) = value
                            .as_str()
                            .and_then(|text| text.strip_prefix("#/components/schemas/"))
                        && found.insert(name.to_owned())
                    {
                        waiting.push(&schemas[name]);
                    }
                    waiting.push(value);
                }
            }
            _ => {}
        }
    }
    Value::Object(
        object(schemas)
            .filter(|(name, _)| found.contains(*name))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
    )
}
