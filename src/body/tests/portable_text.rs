//! Samples for the comparison with the stock renderer, see `tests/portable-text/compare.mjs`.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::bodies::{any_body, any_text};
use super::body;
use crate::body::Body;

/// A span with marks.
fn span(text: &str, marks: &[&str]) -> Value {
    json!({"_type": "span", "text": text, "marks": marks})
}

fn paragraph(spans: Vec<Value>) -> Value {
    json!({"_type": "block", "children": spans, "markDefs": [
        {"_type": "link", "_key": "a", "href": "https://example.com/?x=1&y='2'"},
        {"_type": "link", "_key": "b", "href": "/b"},
    ]})
}

fn styled(style: &str) -> Value {
    json!({"_type": "block", "style": style, "children": [span("x", &[]), span("y", &["em"])]})
}

/// List items as `b1 n2 …`: kind and level.
fn list(items: &str) -> Value {
    let item = |(index, item): (usize, &str)| {
        let (kind, level) = item.split_at(1);
        let kind = if kind == "b" { "bullet" } else { "number" };
        json!({"_type": "block", "listItem": kind, "level": level.parse::<u8>().unwrap(), "children": [span(&format!("item {index}"), &[])]})
    };
    Value::Array(items.split_whitespace().enumerate().map(item).collect())
}

/// Texts with a name each.
fn fixed() -> Vec<(String, Value)> {
    let mut samples: Vec<(String, Value)> = vec![("nothing".to_owned(), json!([]))];
    for style in ["normal", "h2", "h3", "h4", "blockquote"] {
        samples.push((format!("style {style}"), json!([styled(style)])));
        let mut item = styled(style);
        item["listItem"] = json!("bullet");
        let mut nested = item.clone();
        nested["level"] = json!(2);
        samples.push((
            format!("list items of style {style}"),
            json!([item, nested, nested, item]),
        ));
    }
    for text in [
        "",
        " ",
        "  ",
        "   a   b  ",
        "\n",
        "\n\n",
        "a\n",
        "\na",
        "a\nb",
        "a \n b",
        "<b>&amp;\"'",
        "a\tb",
        "\u{a0} \u{a0}",
        "Việt Nam",
        "👍🏽",
        "&nbsp;",
        "'",
        "a  \n  b",
    ] {
        samples.push((format!("text {text:?}"), json!([paragraph(vec![span(text, &[])])])));
        samples.push((
            format!("marked text {text:?}"),
            json!([paragraph(vec![span(text, &["strong", "a"]), span("b", &["a"])])]),
        ));
    }
    for mark in ["strong", "em", "code", "underline", "strike-through", "a"] {
        samples.push((
            format!("mark {mark}"),
            json!([paragraph(vec![span("x", &[]), span("y", &[mark]), span("z", &[])])]),
        ));
    }
    let nestings: [(&str, Vec<Value>); 13] = [
        (
            "all marks",
            vec![span("x", &["strike-through", "underline", "code", "em", "strong", "a"])],
        ),
        (
            "longer marks outside",
            vec![span("x", &["em", "strong"]), span("y", &["strong"])],
        ),
        (
            "longer marks outside, the other way",
            vec![span("x", &["em", "strong"]), span("y", &["em"])],
        ),
        (
            "overlapping",
            vec![span("x", &["em"]), span("y", &["em", "strong"]), span("z", &["strong"])],
        ),
        (
            "overlapping links",
            vec![span("x", &["strong"]), span("y", &["strong", "a"]), span("z", &["a"])],
        ),
        (
            "links side by side",
            vec![span("x", &["a"]), span("y", &["b"]), span("z", &["a"])],
        ),
        (
            "one link twice",
            vec![span("x", &["a"]), span("y", &[]), span("z", &["a"])],
        ),
        ("equal spans", vec![span("x", &["em"]), span("y", &["em"])]),
        ("no spans", vec![]),
        (
            "empty spans",
            vec![
                span("", &[]),
                span("", &["em"]),
                span("x", &["em"]),
                span("", &["em", "strong"]),
            ],
        ),
        (
            "three deep",
            vec![
                span("x", &["em"]),
                span("y", &["em", "code"]),
                span("z", &["em", "code", "a"]),
                span("w", &["em"]),
            ],
        ),
        (
            "reopened",
            vec![
                span("x", &["em", "strong"]),
                span("y", &[]),
                span("z", &["strong", "em"]),
            ],
        ),
        (
            "breaks in marks",
            vec![span("x\n", &["em"]), span("\ny", &["em", "strong"]), span("\n", &[])],
        ),
    ];
    samples.extend(nestings.map(|(name, spans)| (name.to_owned(), json!([paragraph(spans)]))));
    for items in [
        "b1",
        "n1 n1",
        "b1 b2 b1",
        "b1 b3 b1",
        "b3",
        "b3 b2 b1",
        "b1 n1 b1",
        "b1 b2 n2 b2 b1",
        "b1 n2 n2 b1 n1",
        "b2 b1 b2",
        "b1 b2 b3 b4 b2",
        "b1 b2 b3 n1",
        "b1 n2 b2 n2",
        "b1 b2 b3 n2 b3",
        "n1 b2 n3 b4 n5 b6 n7 b8 n9 b10 n1",
        "b10 b1",
        "b1 b4 b2 b3",
        "b2 n1 b2 n1",
        "b1 n3 b2",
    ] {
        samples.push((format!("list {items}"), list(items)));
    }
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let cell = |text: &str, header: bool| json!({"text": text, "header": header});
    samples.push(("figure".to_owned(), json!([{"_type": "figure", "caption_id": id}])));
    samples.push((
        "embed".to_owned(),
        json!([{"_type": "embed", "url": "https://example.com/?a=1&b='2'"}]),
    ));
    samples.push((
        "table".to_owned(),
        json!([{"_type": "table", "rows": [{"cells": [cell("a  b", true)]}, {"cells": [cell("<\n", false)]}]}]),
    ));
    samples.push((
        "table without head".to_owned(),
        json!([{"_type": "table", "rows": [{"cells": [cell("a", true), cell("b", false)]}]}]),
    ));
    let item = list("b1")[0].clone();
    samples.push((
        "lists around others".to_owned(),
        json!([item, {"_type": "divider"}, item, styled("normal"), item]),
    ));
    for href in [
        "#a:b",
        "/a:b",
        "a/b",
        "?a:b",
        "//a.vn",
        "mailto:a@b.co",
        "TEL:1",
        "HTTPS://a.vn/ä",
    ] {
        let block = json!({"_type": "block", "children": [span("x", &["l"])], "markDefs": [{"_type": "link", "_key": "l", "href": href}]});
        samples.push((format!("link {href}"), json!([block])));
    }
    samples
}

/// All samples: fixed ones, and generated ones that are the same in every run.
fn samples() -> Vec<(String, Body)> {
    let mut samples: Vec<(String, Body)> = fixed().into_iter().map(|(name, value)| (name, body(value))).collect();
    let mut runner = TestRunner::deterministic();
    for number in 0..200 {
        samples.push((
            format!("generated body {number}"),
            any_body().new_tree(&mut runner).unwrap().current(),
        ));
        samples.push((
            format!("generated text {number}"),
            any_text().new_tree(&mut runner).unwrap().current(),
        ));
    }
    samples
}

#[test]
fn there_are_enough_samples() {
    assert!(fixed().len() >= 60, "{}", fixed().len());
    assert!(samples().len() >= 360);
}

#[test]
#[ignore = "writes the file named by PORTABLE_TEXT_SAMPLES for tests/portable-text/compare.mjs"]
fn writes_portable_text_samples() {
    let path = std::env::var("PORTABLE_TEXT_SAMPLES").expect("PORTABLE_TEXT_SAMPLES names the file to write");
    let samples: Vec<Value> = samples()
        .into_iter()
        .map(|(name, body)| json!({"name": name, "body": body, "html": body.to_html(&|_| None)}))
        .collect();
    std::fs::write(path, serde_json::to_string(&samples).unwrap()).unwrap();
}

#[test]
fn an_unsafe_link_in_the_database_stays_text() {
    let stored = json!([{"_type": "block", "_key": "a", "style": "normal", "markDefs": [{"_type": "link", "_key": "l", "href": "javascript:x()"}],
        "children": [{"_type": "span", "_key": "b", "text": "x", "marks": ["l"]}]}]);
    let body: Body = serde_json::from_value(stored).unwrap();
    assert_eq!(body.to_html(&|_| None), "<p>x</p>");
}
