//! Portable Text in and out.

use serde_json::{Value, json};

use super::{body, refusals};
use crate::body::{Body, MAX_ERRORS};

fn refused(value: Value) -> Vec<(String, &'static str)> {
    refusals(Body::from_value(value))
}

fn one(pointer: &str, code: &'static str) -> Vec<(String, &'static str)> {
    vec![(pointer.to_owned(), code)]
}

#[test]
fn keeps_what_is_complete() {
    let value = json!([
        {"_type": "block", "_key": "a", "style": "h2", "children": [
            {"_type": "span", "_key": "b", "text": "x", "marks": ["strong", "l"]}
        ], "markDefs": [{"_type": "link", "_key": "l", "href": "https://a.vn"}]},
        {"_type": "block", "_key": "b", "style": "normal", "listItem": "number", "level": 2, "children": [], "markDefs": []},
        {"_type": "figure", "_key": "c", "caption_id": "01890a5d-ac96-774b-bcce-b302099a8057"},
        {"_type": "table", "_key": "d", "rows": [{"_key": "a", "cells": [{"_key": "a", "text": "x\ny", "header": true}]}]},
        {"_type": "embed", "_key": "e", "url": "https://a.vn/b"},
        {"_type": "divider", "_key": "f"}
    ]);
    let parsed = body(value.clone());
    assert_eq!(serde_json::to_string(&parsed).unwrap(), value.to_string());
    assert_eq!(serde_json::from_value::<Body>(value).unwrap(), parsed);
    assert_eq!(
        parsed.figures(),
        [("/2/caption_id".to_owned(), "01890a5d-ac96-774b-bcce-b302099a8057")]
    );
}

#[test]
fn fills_in_what_may_be_left_out() {
    let parsed = body(json!([
        {"_type": "block", "children": [{"_type": "span", "text": "Vie\u{302}\u{323}t"}]},
        {"_type": "block", "listItem": "bullet", "children": [{"_type": "span", "text": ""}]},
        {"_type": "table", "rows": [{"cells": [{"text": "x"}]}]},
    ]));
    let value = serde_json::to_value(&parsed).unwrap();
    assert_eq!(value[0]["style"], "normal");
    assert_eq!(value[0]["markDefs"], json!([]));
    assert_eq!(value[0]["children"][0]["marks"], json!([]));
    assert_eq!(value[0]["children"][0]["text"], "Vi\u{1ec7}t");
    assert_eq!(value[1]["level"], 1);
    assert_eq!(value[2]["rows"][0]["cells"][0]["header"], false);
    for pointer in [
        "/0/_key",
        "/0/children/0/_key",
        "/1/_key",
        "/2/rows/0/_key",
        "/2/rows/0/cells/0/_key",
    ] {
        let key = value.pointer(pointer).and_then(Value::as_str).unwrap();
        assert!(
            key.len() == 12 && key.chars().all(|c| c.is_ascii_hexdigit()),
            "{pointer}: {key}"
        );
    }
}

#[test]
fn refuses_wrong_shapes() {
    let span = |span: Value| json!([{"_type": "block", "children": [span]}]);
    assert_eq!(refused(json!({})), one("", "wrong_type"));
    assert_eq!(refused(Value::Null), one("", "wrong_type"));
    assert_eq!(refused(json!([[]])), one("/0", "wrong_type"));
    assert_eq!(refused(json!([{}])), one("/0/_type", "required"));
    assert_eq!(refused(json!([{"_type": 1}])), one("/0/_type", "wrong_type"));
    assert_eq!(refused(json!([{"_type": "image"}])), one("/0/_type", "unknown_type"));
    assert_eq!(
        refused(json!([{"_type": "divider", "a/b~": 1}])),
        one("/0/a~1b~0", "unknown_field")
    );
    assert_eq!(
        refused(json!([{"_type": "divider", "_key": null}])),
        one("/0/_key", "wrong_type")
    );
    assert_eq!(
        refused(json!([{"_type": "divider", "_key": ""}])),
        one("/0/_key", "invalid_value")
    );
    assert_eq!(refused(json!([{"_type": "block"}])), one("/0/children", "required"));
    assert_eq!(
        refused(json!([{"_type": "block", "children": "x"}])),
        one("/0/children", "wrong_type")
    );
    assert_eq!(
        refused(json!([{"_type": "block", "style": "h1", "children": []}])),
        one("/0/style", "invalid_value")
    );
    assert_eq!(
        refused(json!([{"_type": "block", "style": null, "children": []}])),
        one("/0/style", "wrong_type")
    );
    assert_eq!(
        refused(json!([{"_type": "block", "markDefs": null, "children": []}])),
        one("/0/markDefs", "wrong_type")
    );
    assert_eq!(refused(span(json!([]))), one("/0/children/0", "wrong_type"));
    assert_eq!(
        refused(span(json!({"_type": "image", "text": ""}))),
        one("/0/children/0/_type", "unknown_type")
    );
    assert_eq!(
        refused(span(json!({"_type": "span"}))),
        one("/0/children/0/text", "required")
    );
    assert_eq!(
        refused(span(json!({"_type": "span", "text": 7}))),
        one("/0/children/0/text", "wrong_type")
    );
    assert_eq!(
        refused(span(json!({"_type": "span", "text": "a\u{0}"}))),
        one("/0/children/0/text", "invalid_text")
    );
    assert_eq!(
        refused(span(json!({"_type": "span", "text": "\u{85}"}))),
        one("/0/children/0/text", "invalid_text")
    );
    assert_eq!(
        refused(span(json!({"_type": "span", "text": "", "marks": "em"}))),
        one("/0/children/0/marks", "wrong_type")
    );
    assert_eq!(
        refused(span(json!({"_type": "span", "text": "", "marks": ["em", 1]}))),
        one("/0/children/0/marks/1", "wrong_type")
    );
    assert_eq!(
        refused(span(json!({"_type": "span", "text": "", "marks": ["em", "bold"]}))),
        one("/0/children/0/marks/1", "invalid_value")
    );
    assert_eq!(
        refused(span(json!({"_type": "span", "text": "", "marks": ["em", "em"]}))),
        one("/0/children/0/marks/1", "invalid_value")
    );
    assert_eq!(
        refused(json!([{"_type": "figure", "caption_id": "x"}])),
        one("/0/caption_id", "invalid_value")
    );
    assert_eq!(
        refused(json!([{"_type": "table", "rows": []}])),
        one("/0/rows", "invalid_value")
    );
    assert_eq!(
        refused(json!([{"_type": "table", "rows": [{"cells": [{"text": "", "header": 1}]}]}])),
        one("/0/rows/0/cells/0/header", "wrong_type")
    );
    assert_eq!(
        refused(json!([{"_type": "embed", "url": "/x"}])),
        one("/0/url", "invalid_link")
    );
    assert_eq!(
        refused(Value::Array(vec![json!({"_type": "divider"}); 2_001])),
        one("", "too_many")
    );
}

#[test]
fn refuses_wrong_levels() {
    let level = |level: Value| json!([{"_type": "block", "listItem": "bullet", "level": level, "children": []}]);
    for wrong in [json!(0), json!(11), json!(-1), json!(1.5), json!(1e9)] {
        assert_eq!(refused(level(wrong)), one("/0/level", "invalid_value"));
    }
    assert_eq!(refused(level(json!("1"))), one("/0/level", "wrong_type"));
    assert_eq!(
        refused(json!([{"_type": "block", "level": 1, "children": []}])),
        one("/0/level", "invalid_value")
    );
}

#[test]
fn refuses_equal_keys() {
    let block = json!({"_type": "block", "_key": "a", "children": [
        {"_type": "span", "_key": "s", "text": "x"}, {"_type": "span", "_key": "s", "text": "y"}
    ], "markDefs": [
        {"_type": "link", "_key": "l", "href": "/a"}, {"_type": "link", "_key": "l", "href": "/b"},
        {"_type": "link", "_key": "strong", "href": "/c"}
    ]});
    let expected = [
        ("/0/children/1/_key", "duplicate_key"),
        ("/0/markDefs/1/_key", "duplicate_key"),
        ("/0/markDefs/2/_key", "invalid_value"),
        ("/1/_key", "duplicate_key"),
    ];
    let expected = expected.map(|(pointer, code)| (pointer.to_owned(), code));
    assert_eq!(refused(json!([block, {"_type": "divider", "_key": "a"}])), expected);
}

#[test]
fn refuses_links_in_links() {
    let value = json!([{"_type": "block", "children": [{"_type": "span", "text": "x", "marks": ["a", "b"]}], "markDefs": [
        {"_type": "link", "_key": "a", "href": "/a"}, {"_type": "link", "_key": "b", "href": "/b"}
    ]}]);
    assert_eq!(refused(value), one("/0/children/0/marks/1", "invalid_value"));
}

#[test]
fn takes_and_refuses_addresses() {
    let link = |href: &str| {
        Body::from_value(json!([{"_type": "block", "children": [], "markDefs": [{"_type": "link", "href": href}]}]))
    };
    for good in [
        "https://a.vn",
        "HTTP://a.vn/b?c#d",
        "mailto:a@b.co",
        "tel:+84",
        "/a:b",
        "#a:b",
        "a/b",
        "?a:b",
        "//a.vn/x",
        "../a",
        "https://a.vn/đường",
        "a?b:c",
    ] {
        assert!(link(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\tscript:alert(1)",
        "java\nscript:x",
        "\u{1}javascript:x",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "ftp://a.vn",
        "https://",
        "https:a.vn",
        "http:",
        "mailto:",
        "a b",
        "https://a.vn/ b",
        "a\\b",
        "\u{feff}javascript:x",
        "blob:x",
        "x:y",
        "java\u{200b}script:x",
        "https://a.vn/\u{0}",
        "javascript&colon;:x",
    ] {
        assert_eq!(
            refusals(link(bad)),
            one("/0/markDefs/0/href", "invalid_link"),
            "{bad:?}"
        );
    }
}

#[test]
fn reports_all_errors_up_to_a_cap() {
    let value = json!([{"_type": "x"}, {"_type": "block", "children": [{}, 1]}, {"_type": "divider", "y": 1, "z": 2}]);
    let expected = [
        ("/0/_type", "unknown_type"),
        ("/1/children/0/_type", "required"),
        ("/1/children/0/text", "required"),
        ("/1/children/1", "wrong_type"),
        ("/2/y", "unknown_field"),
        ("/2/z", "unknown_field"),
    ];
    assert_eq!(
        refused(value),
        expected.map(|(pointer, code)| (pointer.to_owned(), code))
    );
    assert_eq!(
        refused(Value::Array(vec![json!({"_type": "x"}); 500])).len(),
        MAX_ERRORS
    );
}
