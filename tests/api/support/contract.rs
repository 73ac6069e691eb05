//! The OpenAPI documents as a judge: every answer that any test gets must be one that they promise.
//!
//! The operation must declare the status; a JSON body must be valid against its schema and hold no property that the
//! schema does not name (front ends may meet unknown properties; we may not send undocumented ones); a refusal is a
//! whole problem; headers that are declared are there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::Validator;
use reqwest::Method;

use super::client::Reply;
use super::desk::{newsdesk, run_to_end};
use super::{Value, json};

/// One operation of a document.
#[derive(Debug)]
pub struct Operation {
    /// `getArticle`
    pub id: String,
    /// `GET`
    pub method: String,
    /// `/delivery/v1/articles/{article}`
    pub path: String,
    /// Its description.
    pub about: Value,
    /// The document: 0 delivery, 1 management.
    document: usize,
}

struct Contract {
    documents: [Value; 2],
    operations: Vec<Operation>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// Every operation of both documents.
pub fn operations() -> &'static [Operation] {
    &contract().operations
}

/// A document as the program writes it: `delivery` or `management`.
pub fn document(face: &str) -> &'static Value {
    &contract().documents[usize::from(face == "management")]
}

fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        run_to_end(newsdesk(&["openapi"], &[], folder.path()), "").done();
        let documents = ["delivery", "management"].map(|name| {
            let file = folder.path().join(format!("openapi/{name}.json"));
            serde_json::from_slice::<Value>(&std::fs::read(file).expect("a document")).expect("JSON")
        });
        let operations = (0..2).flat_map(|face| operations_of(&documents[face], face)).collect();
        Contract {
            operations,
            documents,
            validators: Mutex::default(),
        }
    })
}

fn operations_of(document: &Value, face: usize) -> Vec<Operation> {
    let items = document["paths"].as_object().expect("paths").iter();
    items
        .flat_map(|(path, item)| {
            item.as_object()
                .expect("an item")
                .iter()
                .map(move |(method, about)| (path, method, about))
        })
        .map(|(path, method, about)| Operation {
            id: about["operationId"].as_str().expect("an operation id").to_owned(),
            method: method.to_uppercase(),
            path: path.clone(),
            about: about.clone(),
            document: face,
        })
        .collect()
}

/// The operation that a request belongs to; words of a path come before its parameters.
fn operation(method: &Method, path: &str) -> Option<&'static Operation> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let path = path.split('?').next().unwrap_or("");
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |operation: &&Operation| {
        let want: Vec<&str> = operation.path.split('/').collect();
        operation.method == method
            && want.len() == parts.len()
            && want.iter().zip(&parts).all(|(want, part)| stands_for(want, part))
    };
    operations()
        .iter()
        .filter(fits)
        .min_by_key(|operation| operation.path.matches('{').count())
}

/// Whether a part of a path is what a part of a pattern means, such as `sitemap-{page}.xml`.
fn stands_for(want: &str, part: &str) -> bool {
    match (want.split_once('{'), want.rsplit_once('}')) {
        (Some((start, _)), Some((_, end))) => {
            part.len() > start.len() + end.len() && part.starts_with(start) && part.ends_with(end)
        }
        _ => want == part,
    }
}

/// Holds an answer against the documents.
#[track_caller]
pub fn check(method: &Method, path: &str, address: &str, reply: &Reply) {
    assert_ne!(reply.status, 500, "{}: {}", reply.asked, reply.body());
    if method == Method::OPTIONS {
        return;
    }
    assert!(
        !reply.header("x-request-id").is_empty(),
        "{}: no X-Request-Id",
        reply.asked
    );
    let operation = operation(method, path);
    // A page for people, where one is declared.
    let page = reply.header("content-type").starts_with("text/html")
        && operation.is_some_and(|operation| {
            operation.about["responses"][reply.status.to_string()]["content"]["text/html"].is_object()
        });
    if reply.status >= 400 && method != Method::HEAD && !page {
        check_problem(path, address, reply);
    }
    let Some(operation) = operation else {
        let known = path.starts_with("/docs") || path.starts_with("/openapi/") || reply.status >= 400;
        assert!(known, "{}: {} in no document", reply.asked, reply.status);
        return;
    };
    let declared = &operation.about["responses"][reply.status.to_string()];
    assert!(
        declared.is_object(),
        "{}: {} does not declare {}: {}",
        reply.asked,
        operation.id,
        reply.status,
        reply.body()
    );
    for (name, _) in declared["headers"].as_object().into_iter().flatten() {
        let may_be_absent = ["Link", "Last-Modified", "Surrogate-Key", "Idempotency-Replayed"];
        assert!(
            may_be_absent.contains(&name.as_str()) || reply.headers.contains_key(name),
            "{}: the header {name} is declared and absent",
            reply.asked
        );
    }
    if method != Method::HEAD {
        check_body(operation, declared, reply);
    }
}

fn check_problem(path: &str, address: &str, reply: &Reply) {
    assert_eq!(
        reply.header("content-type"),
        "application/problem+json",
        "{}: {}",
        reply.asked,
        reply.body()
    );
    let problem = &reply.json;
    let kind = format!("{address}/docs/errors/{}", problem["code"].as_str().unwrap_or("?"));
    assert_eq!(problem["type"], kind, "{}", reply.asked);
    assert_eq!(problem["status"], reply.status, "{}", reply.asked);
    assert_eq!(problem["request_id"], reply.header("x-request-id"), "{}", reply.asked);
    let asked_path = path.split('?').next().unwrap_or("");
    assert_eq!(problem["instance"], asked_path, "{}", reply.asked);
    validate(1, "#/components/schemas/Problem", reply);
}

fn check_body(operation: &Operation, declared: &Value, reply: &Reply) {
    let Some(content) = declared["content"].as_object() else {
        assert!(
            reply.bytes.is_empty(),
            "{}: an undeclared body: {}",
            reply.asked,
            reply.body()
        );
        return;
    };
    let media_type = reply.header("content-type");
    let plain = media_type.split(';').next().unwrap_or("").trim();
    let fitting = |declared: &&String| {
        *declared == plain
            || declared
                .strip_suffix("/*")
                .is_some_and(|kind| plain.starts_with(&format!("{kind}/")))
    };
    let found = content.keys().find(fitting);
    let key = found.unwrap_or_else(|| panic!("{}: {media_type:?} is none of {:?}", reply.asked, content.keys()));
    if plain == "application/json" || plain.ends_with("+json") {
        let escape = |text: &str| text.replace('~', "~0").replace('/', "~1");
        let pointer = format!(
            "#/paths/{}/{}/responses/{}/content/{}/schema",
            escape(&operation.path),
            operation.method.to_lowercase(),
            reply.status,
            escape(key)
        );
        validate(operation.document, &pointer, reply);
    }
}

#[track_caller]
fn validate(face: usize, pointer: &str, reply: &Reply) {
    let contract = contract();
    let name = format!("{face}{pointer}");
    let known = contract.validators.lock().expect("validators").get(&name).cloned();
    let validator = known.unwrap_or_else(|| {
        let made = Arc::new(validator(&contract.documents[face], pointer));
        contract
            .validators
            .lock()
            .expect("validators")
            .insert(name, Arc::clone(&made));
        made
    });
    let errors: Vec<String> = validator
        .iter_errors(&reply.json)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(
        errors.is_empty(),
        "{} breaks {pointer}: {errors:#?}\n{}",
        reply.asked,
        reply.body()
    );
}

fn validator(document: &Value, pointer: &str) -> Validator {
    let schema = document.pointer(pointer.trim_start_matches('#')).expect("a schema");
    let mut whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "allOf": [schema],
        "components": { "schemas": document["components"]["schemas"] },
    });
    close(&mut whole);
    jsonschema::options()
        .should_validate_formats(true)
        .build(&whole)
        .unwrap_or_else(|error| panic!("{pointer} is no schema: {error}"))
}

/// Refuses what a schema does not name: here, unlike for clients, an unknown property is a mistake.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(close);
            let composed = ["allOf", "oneOf", "anyOf"]
                .iter()
                .any(|word| object.contains_key(*word));
            if object.get("properties").is_some_and(Value::is_object) && !composed {
                object.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}
