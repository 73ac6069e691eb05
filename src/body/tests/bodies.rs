//! Generated bodies, with the text that breaks things.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::body::build::{Marks, Run, join, settle_breaks};
use crate::body::{Block, Body, LinkMark, Span, Style, TextBlock};

const PIECES: [&str; 94] = [
    "*",
    "**",
    "_",
    "__",
    "~",
    "~~",
    "`",
    "``",
    "[",
    "]",
    "(",
    ")",
    "![",
    "](",
    "<",
    ">",
    "<u>",
    "</u>",
    "<br>",
    "<b>",
    "&",
    "&amp;",
    "&#42;",
    "#",
    "## ",
    "-",
    "- ",
    "+ ",
    "1.",
    "12) ",
    "1. ",
    "=",
    "===",
    "---",
    "***",
    "|",
    "| a |",
    "-|-",
    ":-:",
    "\\",
    "\\\\",
    "\\n",
    "!",
    "\"",
    "'",
    " ",
    "  ",
    "   ",
    "\n",
    "\n\n",
    "\t",
    "\u{a0}",
    "\u{3000}",
    "\u{200b}",
    "\u{2028}",
    "a",
    "b c",
    "word",
    "Việt Nam",
    "đường",
    "é",
    "e\u{301}",
    "\u{301}",
    "😀",
    "👨‍👩‍👧",
    "中文",
    "。",
    "“",
    "”",
    "—",
    "€",
    "7",
    "3.14",
    "x*y",
    "snake_case",
    "https://example.com/a_b",
    "www.example.com",
    "a@b.co",
    "{",
    "}",
    "$",
    "%",
    "^",
    ":",
    ";",
    ",",
    ".",
    "?",
    "/",
    "javascript:",
    "<script>",
    "[^1]",
    "[ ] ",
    "```",
];

const HREFS: [&str; 10] = [
    "https://example.com/",
    "https://example.com/a_(b)_c?d=e&amp;f=1&copy;#g",
    "http://a.vn/*x*",
    "mailto:a@b.co",
    "tel:+84123",
    "/path/to",
    "#part",
    "?q=1",
    "relative",
    "https://example.com/Vi%E1%BB%87t|\"'<>`~[]",
];

fn text() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![3 => select(PIECES.to_vec()), 1 => select(vec!["a", "b", " ", "word"])],
        0..6,
    )
    .prop_map(|pieces| pieces.concat())
}

fn marks() -> impl Strategy<Value = Vec<String>> {
    let decorators = ["strong", "em", "code", "underline", "strike-through"]
        .map(str::to_owned)
        .to_vec();
    let link = prop_oneof![3 => Just(None), 1 => select(vec!["l1", "l2", "l3"]).prop_map(|key| Some(key.to_owned()))];
    let decorators =
        prop_oneof![2 => subsequence(decorators.clone(), 0..=1), 1 => subsequence(decorators, 0..=5).prop_shuffle()];
    (decorators, link).prop_map(|(mut marks, link)| {
        marks.extend(link);
        marks
    })
}

fn text_block() -> impl Strategy<Value = Value> {
    let style = prop_oneof![4 => Just("normal"), 1 => select(vec!["h2", "h3", "h4", "blockquote"])];
    let item = option::of((
        select(vec!["bullet", "number"]),
        prop_oneof![4 => 1..4u8, 1 => 1..=10u8],
    ));
    (
        style,
        item,
        vec((text(), marks()), 0..6),
        vec(select(HREFS.to_vec()), 3),
    )
        .prop_map(|(style, item, spans, hrefs)| {
            let children: Vec<Value> = spans
                .into_iter()
                .map(|(text, marks)| json!({"_type": "span", "text": text, "marks": marks}))
                .collect();
            let links: Vec<Value> = ["l1", "l2", "l3"]
                .iter()
                .zip(hrefs)
                .map(|(key, href)| json!({"_type": "link", "_key": key, "href": href}))
                .collect();
            let mut block = json!({"_type": "block", "style": style, "children": children, "markDefs": links});
            if let Some((kind, level)) = item {
                block["listItem"] = json!(kind);
                block["level"] = json!(level);
            }
            block
        })
}

fn table() -> impl Strategy<Value = Value> {
    let cell = (text(), prop::bool::weighted(0.3)).prop_map(|(text, header)| json!({"text": text, "header": header}));
    (vec(vec(cell, 3), 1..4), 1..=3usize, any::<bool>()).prop_map(|(mut rows, width, head)| {
        for row in &mut rows {
            row.truncate(width);
        }
        if head {
            rows[0].iter_mut().for_each(|cell| cell["header"] = json!(true));
        }
        json!({"_type": "table", "rows": rows.into_iter().map(|cells| json!({"cells": cells})).collect::<Vec<_>>()})
    })
}

fn block() -> impl Strategy<Value = Value> {
    prop_oneof![
        12 => text_block(),
        2 => table(),
        1 => Just(json!({"_type": "figure", "caption_id": "01890a5d-ac96-774b-bcce-b302099a8057"})),
        1 => select(vec!["https://example.com/v_1?a=1&amp;b=(2)", "http://a.vn"]).prop_map(|url| json!({"_type": "embed", "url": url})),
        1 => Just(json!({"_type": "divider"})),
    ]
}

/// Any body.
pub(super) fn any_body() -> impl Strategy<Value = Body> {
    vec(block(), 0..6).prop_map(|blocks| super::body(Value::Array(blocks)))
}

/// Text blocks only, lists above all.
pub(super) fn any_text() -> impl Strategy<Value = Body> {
    vec(text_block(), 0..8).prop_map(|blocks| super::body(Value::Array(blocks)))
}

/// A body in the one form that stands for all that look the same, as the module's text on Markdown describes.
pub(super) fn settled(body: &Body) -> Body {
    Body(
        body.0
            .iter()
            .map(|block| match block {
                Block::Text(block) => Block::Text(settled_block(block)),
                other => other.clone(),
            })
            .collect(),
    )
}

fn settled_block(block: &TextBlock) -> TextBlock {
    let mut number = 0;
    let mut last = None;
    let mut runs = Vec::new();
    for span in block.children.iter().filter(|span| !span.text.is_empty()) {
        let has = |name: &str| span.marks.iter().any(|mark| mark == name);
        let link = block.mark_defs.iter().find(|link| has(&link.key));
        if link != last {
            number += 1;
            last = link;
        }
        let link = link.map(|link| (number, link.href.clone()));
        let marks = Marks {
            strong: has("strong"),
            em: has("em"),
            code: has("code"),
            underline: has("underline"),
            strike: has("strike-through"),
            link,
        };
        runs.push(Run {
            text: span.text.clone(),
            marks,
        });
    }
    let runs = join(runs);
    let only_code = Marks {
        code: true,
        ..Marks::default()
    };
    let fenced = matches!(&runs[..], [run] if run.marks == only_code && run.text.contains('\n'))
        && matches!(block.style, Style::Normal | Style::Blockquote);
    let runs = if fenced { runs } else { settle_breaks(runs) };
    let mut children = Vec::new();
    let mut mark_defs: Vec<LinkMark> = Vec::new();
    for run in runs {
        let all = [
            (run.marks.strong, "strong"),
            (run.marks.em, "em"),
            (run.marks.code, "code"),
            (run.marks.underline, "underline"),
            (run.marks.strike, "strike-through"),
        ];
        let mut marks: Vec<String> = all
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, name)| (*name).to_owned())
            .collect();
        if let Some((number, href)) = run.marks.link {
            let key = format!("k{number}");
            if mark_defs.iter().all(|link| link.key != key) {
                mark_defs.push(LinkMark { key: key.clone(), href });
            }
            marks.push(key);
        }
        children.push(Span {
            key: String::new(),
            text: unicode_normalization::UnicodeNormalization::nfc(run.text.chars()).collect(),
            marks,
        });
    }
    if children.is_empty() {
        children.push(Span {
            key: String::new(),
            text: String::new(),
            marks: Vec::new(),
        });
    }
    TextBlock {
        children,
        mark_defs,
        ..block.clone()
    }
}
