//! The OpenAPI schemas of bodies.

use serde_json::Value;
use utoipa::openapi::{ComponentsBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::body::schema::{BlockInput, TextBlockInput};
use crate::body::{Block, Body, BodyInput, Table};

/// A component and all it refers to.
fn components<T: ToSchema>() -> Value {
    let mut schemas: Vec<(String, RefOr<Schema>)> = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    serde_json::to_value(ComponentsBuilder::new().schemas_from_iter(schemas).build()).unwrap()["schemas"].clone()
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value
                    .as_str()
                    .and_then(|value| value.strip_prefix("#/components/schemas/"))
                {
                    Some(name) => found.push(name.to_owned()),
                    None if key != "examples" => references(value, found),
                    None => {}
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn schemas_are_complete() {
    for all in [components::<Body>(), components::<BodyInput>()] {
        let names: Vec<&String> = all.as_object().unwrap().keys().collect();
        assert_eq!(names.len(), 11, "{names:?}");
        let mut found = Vec::new();
        references(&all, &mut found);
        for name in found {
            assert!(names.contains(&&name), "{name}");
        }
        for (name, schema) in all.as_object().unwrap() {
            assert!(
                schema["description"].as_str().is_some_and(|text| text.len() > 10),
                "{name}"
            );
            for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
                assert!(schema["description"].is_string(), "{name}.{property}");
            }
        }
    }
    assert_eq!(components::<Table>().as_object().unwrap().len(), 3);
    assert_eq!(components::<TextBlockInput>().as_object().unwrap().len(), 3);
}

#[test]
fn answers_need_what_requests_may_leave_out() {
    let required = |all: &Value, name: &str| -> Vec<String> {
        all[name]["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    let answered = components::<Block>();
    assert_eq!(
        required(&answered, "TextBlock"),
        ["_type", "_key", "style", "children", "markDefs"]
    );
    assert_eq!(required(&answered, "Span"), ["_type", "_key", "text", "marks"]);
    assert_eq!(required(&answered, "TableCell"), ["_key", "text", "header"]);
    assert_eq!(answered["TextBlock"].get("additionalProperties"), None);
    let sent = components::<BlockInput>();
    assert_eq!(required(&sent, "TextBlockInput"), ["_type", "children"]);
    assert_eq!(required(&sent, "SpanInput"), ["_type", "text"]);
    assert_eq!(required(&sent, "DividerInput"), ["_type"]);
    assert_eq!(sent["TextBlockInput"]["additionalProperties"], false);
}

#[test]
fn blocks_are_told_apart_by_their_type() {
    let block = serde_json::to_value(Block::schema()).unwrap();
    assert_eq!(block["oneOf"].as_array().unwrap().len(), 5);
    assert_eq!(block["discriminator"]["propertyName"], "_type");
    assert_eq!(
        block["discriminator"]["mapping"]["block"],
        "#/components/schemas/TextBlock"
    );
    let text = components::<Block>()["TextBlock"].clone();
    assert_eq!(text["properties"]["_type"]["enum"], serde_json::json!(["block"]));
    assert_eq!(text["properties"]["level"]["format"], "int32");
    assert_eq!(text["properties"]["level"]["maximum"], 10);
}

#[test]
fn examples_are_taken() {
    let block = serde_json::to_value(components::<Body>()).unwrap();
    for name in ["TextBlock", "Figure", "Table", "Embed", "Divider"] {
        let example = block[name]["examples"][0].clone();
        let body = Body::from_value(serde_json::json!([example.clone()]));
        assert_eq!(serde_json::to_value(body.unwrap()).unwrap()[0], example, "{name}");
    }
}
