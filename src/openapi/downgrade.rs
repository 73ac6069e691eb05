//! The 3.0 form of a 3.1 document, for tools that know no newer one.

use serde_json::{Map, Value, json};

/// Rewrites what 3.1 says in another way: null types, constants, examples.
pub fn to_3_0(document: &Value) -> Value {
    let mut result = convert(document);
    result["openapi"] = json!("3.0.3");
    if let Some(license) = result.pointer_mut("/info/license").and_then(Value::as_object_mut) {
        license.remove("identifier");
    }
    result
}

fn convert(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(convert).collect()),
        Value::Object(map) => Value::Object(schema(
            map.iter().map(|(key, value)| (key.clone(), convert(value))).collect(),
        )),
        other => other.clone(),
    }
}

fn schema(mut map: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Array(types)) = map.get("type").cloned() {
        let real: Vec<Value> = types.iter().filter(|name| *name != "null").cloned().collect();
        if let [one] = real.as_slice() {
            map.insert("type".into(), one.clone());
        }
        if real.len() < types.len() {
            map.insert("nullable".into(), json!(true));
        }
    }
    if let Some(Value::Array(choices)) = map.get("oneOf").cloned() {
        let is_null = |choice: &Value| choice["type"] == "null";
        let real: Vec<Value> = choices.iter().filter(|choice| !is_null(choice)).cloned().collect();
        if real.len() < choices.len() {
            map.insert("nullable".into(), json!(true));
            map.remove("oneOf");
            map.insert(
                if real.len() == 1 { "allOf" } else { "oneOf" }.into(),
                Value::Array(real),
            );
        }
    }
    if let Some(constant) = map.remove("const") {
        map.insert("enum".into(), json!([constant]));
    }
    // In 3.0 a schema has one example; an object named `examples` beside a media type stays what it is.
    if let Some(Value::Array(examples)) = map.get("examples").cloned() {
        map.remove("examples");
        if let Some(first) = examples.into_iter().next() {
            map.insert("example".into(), first);
        }
    }
    if let Some(media_type) = map.remove("contentMediaType") {
        if media_type == "application/octet-stream" {
            map.insert("format".into(), json!("binary"));
        }
    }
    map.remove("propertyNames");
    map
}
