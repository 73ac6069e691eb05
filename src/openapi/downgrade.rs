//! The 3.0 form of a 3.1 document, for tools that know no newer one.

use serde_json::{Map, Value, json};

/// Rewrites what 3.1 says in another way: null types, constants, examples, references with siblings.
pub fn to_3_0(document: &Value) -> Value {
    let mut result = convert(document, document);
    result["openapi"] = json!("3.0.3");
    result["info"]["license"] = json!({ "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" });
    result
}

fn convert(value: &Value, document: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(|item| convert(item, document)).collect()),
        Value::Object(map) => Value::Object(schema(
            map.iter()
                .map(|(key, value)| (key.clone(), convert(value, document)))
                .collect(),
            document,
        )),
        other => other.clone(),
    }
}

fn schema(mut map: Map<String, Value>, document: &Value) -> Map<String, Value> {
    if let Some(Value::Array(types)) = map.get("type").cloned() {
        let real: Vec<Value> = types.iter().filter(|name| *name != "null").cloned().collect();
        if let [one] = real.as_slice() {
            map.insert("type".into(), one.clone());
        }
        if real.len() < types.len() {
            nullable(&mut map);
        }
    }
    for key in ["oneOf", "anyOf"] {
        let Some(Value::Array(choices)) = map.get(key).cloned() else {
            continue;
        };
        let real: Vec<Value> = choices
            .iter()
            .filter(|choice| choice["type"] != "null")
            .cloned()
            .collect();
        if real.len() == choices.len() {
            continue;
        }
        map.remove(key);
        // In 3.0 `nullable` counts only beside a `type`.
        map.insert("type".into(), type_of(real.first(), document));
        nullable(&mut map);
        map.insert(if real.len() == 1 { "allOf" } else { key }.into(), Value::Array(real));
    }
    if map.len() > 1
        && map
            .get("$ref")
            .is_some_and(|target| target.as_str().is_some_and(|t| t.contains("/schemas/")))
    {
        let target = map.remove("$ref");
        map.insert("allOf".into(), json!([{ "$ref": target }]));
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
    if map
        .get("contentMediaType")
        .is_some_and(|kind| kind == "application/octet-stream")
    {
        map.remove("contentMediaType");
        map.insert("format".into(), json!("binary"));
    }
    if map
        .get("required")
        .is_some_and(|list| list.as_array().is_some_and(Vec::is_empty))
    {
        map.remove("required");
    }
    map.remove("propertyNames");
    map
}

fn nullable(map: &mut Map<String, Value>) {
    map.insert("nullable".into(), json!(true));
    if let Some(values) = map.get_mut("enum").and_then(Value::as_array_mut)
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

/// The type of a schema or of what it refers to.
fn type_of(schema: Option<&Value>, document: &Value) -> Value {
    let Some(schema) = schema else { return json!("object") };
    if let Some(target) = schema["$ref"].as_str() {
        return type_of(document.pointer(target.trim_start_matches('#')), document);
    }
    match schema.get("type") {
        Some(Value::String(name)) => json!(name),
        _ => json!("object"),
    }
}
