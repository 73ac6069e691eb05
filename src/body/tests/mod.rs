//! Tests of bodies and their forms.

mod bodies;
mod html;
mod json;
mod markdown;
mod portable_text;
mod schemas;
mod text;

use super::{Body, FieldError};
use serde_json::{Value, json};

/// The body of valid Portable Text.
fn body(value: Value) -> Body {
    Body::from_value(value).unwrap_or_else(|errors| panic!("refused: {errors:?}"))
}

/// Pointer and code of each error.
fn refusals(result: Result<Body, Vec<FieldError>>) -> Vec<(String, &'static str)> {
    match result {
        Ok(body) => panic!("taken: {body:?}"),
        Err(errors) => errors.into_iter().map(|error| (error.pointer, error.code)).collect(),
    }
}

/// The JSON of a body without any keys, links by what they lead to.
fn without_keys(body: &Body) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Object(map) => {
                map.shift_remove("_key");
                map.values_mut().for_each(strip);
            }
            _ => {}
        }
    }
    let mut value = serde_json::to_value(body).unwrap();
    for block in value.as_array_mut().unwrap() {
        let links: Vec<(Value, Value)> = match block.get("markDefs").and_then(Value::as_array) {
            Some(defs) => defs
                .iter()
                .enumerate()
                .map(|(n, def)| {
                    (
                        def["_key"].clone(),
                        json!(format!("link {n} to {}", def["href"].as_str().unwrap())),
                    )
                })
                .collect(),
            None => continue,
        };
        for child in block["children"].as_array_mut().unwrap() {
            for mark in child["marks"].as_array_mut().unwrap() {
                if let Some((_, name)) = links.iter().find(|(key, _)| key == mark) {
                    *mark = name.clone();
                }
            }
        }
    }
    strip(&mut value);
    value
}
