//! Markdown in and out.

use proptest::prelude::*;
use serde_json::json;

use super::bodies::{any_body, any_text, settled};
use super::{body, refusals, without_keys};
use crate::body::{Block, Body, MAX_LEVEL};

fn read(source: &str) -> Body {
    Body::from_markdown(source).unwrap_or_else(|errors| panic!("refused: {errors:?}"))
}

fn refused(source: &str) -> Vec<&'static str> {
    refusals(Body::from_markdown(source))
        .into_iter()
        .map(|(_, code)| code)
        .collect()
}

/// Style, list and level, and the text with its marks.
fn outline(body: &Body) -> Vec<String> {
    body.blocks()
        .iter()
        .map(|block| match block {
            Block::Text(block) => {
                let style = format!("{:?}", block.style).to_lowercase();
                let item = block
                    .list_item
                    .map(|kind| format!(" {kind:?}{}", block.level.unwrap_or(0)).to_lowercase())
                    .unwrap_or_default();
                let name = |mark: &String| match block.mark_defs.iter().find(|link| link.key == *mark) {
                    Some(link) => link.href.clone(),
                    None => mark.clone(),
                };
                let spans: Vec<String> = block
                    .children
                    .iter()
                    .map(|span| match &span.marks[..] {
                        [] => span.text.clone(),
                        marks => format!(
                            "{{{}:{}}}",
                            marks.iter().map(name).collect::<Vec<_>>().join("+"),
                            span.text
                        ),
                    })
                    .collect();
                format!("{style}{item}: {}", spans.concat())
            }
            Block::Figure(figure) => format!("figure {}", figure.caption_id),
            Block::Embed(embed) => format!("embed {}", embed.url),
            Block::Table(table) => {
                let rows = table.rows.iter().map(|row| {
                    row.cells
                        .iter()
                        .map(|cell| format!("{}{}", if cell.header { "!" } else { "" }, cell.text))
                        .collect::<Vec<_>>()
                        .join("|")
                });
                format!("table {}", rows.collect::<Vec<_>>().join(" / "))
            }
            Block::Divider(_) => "divider".to_owned(),
        })
        .collect()
}

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[test]
fn reads_text() {
    let source = "# One\n\nA *b* **c** ~~d~~ `e` <u>f</u> [g](/h) <https://a.vn>\nsame line  \nnext\\\nlast\n\n##### Five\n\n> quote\n> > deeper\n\n---\n";
    assert_eq!(
        outline(&read(source)),
        [
            "h2: One",
            "normal: A {em:b} {strong:c} {strike-through:d} {code:e} {underline:f} {/h:g} {https://a.vn:https://a.vn} same line\nnext\nlast",
            "h4: Five",
            "blockquote: quote",
            "blockquote: deeper",
            "divider",
        ]
    );
}

#[test]
fn reads_lists() {
    let source = "- a\n  - b\n    1. c\n    2. d\n\n       more\n- ## e\n- > f\n- - g\n";
    assert_eq!(
        outline(&read(source)),
        [
            "normal bullet1: a",
            "normal bullet2: b",
            "normal number3: c",
            "normal number3: d\nmore",
            "h2 bullet1: e",
            "blockquote bullet1: f",
            "normal bullet2: g"
        ]
    );
}

#[test]
fn reads_what_is_no_text() {
    let source = format!(
        "![alt](caption:{ID})\n\n[https://v.vn/1](https://v.vn/1 \"embed\")\n\n| a | b |\n|---|--:|\n| 1<br>2 | \\| |\n| **c** | |\n\n| | |\n|-|-|\n| d | e |\n\n```rust\nx\n\n  y\n```\n"
    );
    assert_eq!(
        outline(&read(&source)),
        [
            &format!("figure {ID}"),
            "embed https://v.vn/1",
            "table !a|!b / 1\n2|| / !c|",
            "table d|e",
            "normal: {code:x\n\n  y}",
        ]
    );
}

#[test]
fn a_link_called_embed_is_a_link() {
    assert_eq!(
        outline(&read("[embed](https://v.vn)")),
        ["normal: {https://v.vn:embed}"]
    );
    let link = body(
        json!([{"_type": "block", "children": [{"_type": "span", "text": "https://v.vn", "marks": ["a"]}], "markDefs": [{"_type": "link", "_key": "a", "href": "https://v.vn"}]}]),
    );
    assert_eq!(outline(&read(&link.to_markdown())), outline(&link));
}

#[test]
fn refuses_what_a_body_cannot_hold() {
    for source in [
        "![x](https://a.vn/x.png)",
        "text ![x](caption:01890a5d-ac96-774b-bcce-b302099a8057) text",
        "<div>x</div>",
        "a <b>b</b>",
        "a <u>b",
        "a </u> b",
        "**<u>a** b</u>",
        "<!-- x -->",
        "a[^1]\n\n[^1]: note",
        "[^1]: note that nobody uses",
        "- [ ] task",
        "3. third",
        "[a](/b \"title\")",
        "> # heading in a quote",
        "> ---",
        "- a\n  - b\n\n  after",
        "- ***",
        "| a |\n|---|\n| *b* |",
        "| a |\n|---|\n| b | c |",
        "- | a |\n  |---|\n  | b |",
    ] {
        assert!(
            refused(source).iter().all(|code| *code == "unsupported"),
            "{source}: {:?}",
            refused(source)
        );
    }
    assert_eq!(refused("[a](javascript:alert(1))"), ["invalid_link"]);
    assert_eq!(refused("[a](data:text/html,x)"), ["invalid_link"]);
    assert_eq!(refused("![a](caption:7)"), ["invalid_value"]);
    assert_eq!(refused("a\u{1}b"), ["invalid_text"]);
    assert_eq!(refused("a\0b"), ["invalid_text"]);
    assert_eq!(refused(&"a\n\n".repeat(2_001)), ["too_many"]);
}

#[test]
fn says_where() {
    let errors = Body::from_markdown("fine\n\nalso\n\n<div>\n").unwrap_err();
    assert!(errors[0].detail.starts_with("line 5:"), "{errors:?}");
}

#[test]
fn writes_readable_markdown() {
    let value = json!([
        {"_type": "block", "style": "h2", "children": [{"_type": "span", "text": "C#"}]},
        {"_type": "block", "children": [
            {"_type": "span", "text": "See ", "marks": ["strong"]},
            {"_type": "span", "text": "here", "marks": ["strong", "l"]},
            {"_type": "span", "text": " now", "marks": ["strong"]},
            {"_type": "span", "text": ", R&D, 2 * 3, 1. and\nthen "},
            {"_type": "span", "text": "x", "marks": ["em"]},
            {"_type": "span", "text": "."},
        ], "markDefs": [{"_type": "link", "_key": "l", "href": "https://a.vn/b_c"}]},
        {"_type": "block", "listItem": "number", "children": [{"_type": "span", "text": "a"}]},
        {"_type": "block", "listItem": "bullet", "level": 2, "children": [{"_type": "span", "text": "b"}]},
        {"_type": "block", "listItem": "number", "children": [{"_type": "span", "text": "c"}]},
        {"_type": "block", "style": "blockquote", "children": [{"_type": "span", "text": "q"}]},
        {"_type": "figure", "caption_id": ID},
        {"_type": "embed", "url": "https://v.vn/1"},
        {"_type": "divider"},
    ]);
    let expected = format!(
        "## C\\#\n\n**See [here](https://a.vn/b_c) now**, R\\&D, 2 \\* 3, 1. and\\\nthen _x_.\n\n1. a\n   - b\n2. c\n\n> q\n\n![](caption:{ID})\n\n[https://v.vn/1](https://v.vn/1 \"embed\")\n\n---\n"
    );
    assert_eq!(body(value.clone()).to_markdown(), expected);
    let alt = body(value).to_markdown_with(&|_| Some("A [cat]".to_owned()));
    assert!(alt.contains(&format!("![A \\[cat\\]](caption:{ID})")), "{alt}");
}

#[test]
fn survives_deep_nesting() {
    assert_eq!(refused(&"> ".repeat(200_000)).last(), Some(&"too_many"));
    for source in [
        "- ".repeat(200_000),
        "*a ".repeat(100_000),
        "[".repeat(200_000),
        "**_".repeat(60_000),
        "![".repeat(100_000),
        "`a``".repeat(50_000),
        "<u>".repeat(60_000),
    ] {
        let _ = Body::from_markdown(&source);
    }
    let deepest: String = (0..usize::from(MAX_LEVEL))
        .map(|level| format!("{}- x\n", "  ".repeat(level)))
        .collect();
    assert_eq!(read(&deepest).blocks().len(), usize::from(MAX_LEVEL));
    assert_eq!(
        refused(&format!("{deepest}{}- x\n", "  ".repeat(usize::from(MAX_LEVEL)))),
        ["too_many"]
    );
}

fn round_trip(body: &Body) {
    let markdown = body.to_markdown();
    let back = Body::from_markdown(&markdown).unwrap_or_else(|errors| panic!("{errors:?}\n{markdown}"));
    assert_eq!(without_keys(&back), without_keys(&settled(body)), "\n{markdown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(200)))]

    #[test]
    fn bodies_come_back(body in any_body()) {
        round_trip(&body);
    }

    #[test]
    fn texts_come_back(body in any_text()) {
        round_trip(&body);
    }

    #[test]
    fn anything_is_read_or_refused(source in "[ -~\n*_`\\[\\]()<>#|!&\\\\-]{0,80}") {
        if let Ok(body) = Body::from_markdown(&source) {
            round_trip(&body);
        }
    }
}
