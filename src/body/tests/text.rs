//! Plain text and words.

use serde_json::json;

use super::body;

#[test]
fn writes_plain_text() {
    let span = |text: &str| json!([{"_type": "span", "text": text}]);
    let parsed = body(json!([
        {"_type": "block", "style": "h2", "children": span("Tin mới")},
        {"_type": "block", "children": [{"_type": "span", "text": "one\n", "marks": ["em"]}, {"_type": "span", "text": "two"}]},
        {"_type": "block", "listItem": "number", "children": span("a")},
        {"_type": "block", "listItem": "bullet", "level": 2, "children": span("b\nb")},
        {"_type": "block", "listItem": "number", "children": span("c")},
        {"_type": "figure", "caption_id": "01890a5d-ac96-774b-bcce-b302099a8057"},
        {"_type": "divider"},
        {"_type": "block", "listItem": "number", "children": span("d")},
        {"_type": "table", "rows": [{"cells": [{"text": "x\ny", "header": true}, {"text": "z"}]}, {"cells": [{"text": "1"}, {"text": "2"}]}]},
        {"_type": "embed", "url": "https://a.vn/b"},
    ]));
    let expected = "Tin mới\n\none\ntwo\n\n1. a\n  - b\n    b\n2. c\n\n1. d\n\nx y\tz\n1\t2\n\nhttps://a.vn/b";
    assert_eq!(parsed.to_text(), expected);
    assert_eq!(parsed.word_count(), 2 + 2 + 5 + 5);
}

#[test]
fn counts_words() {
    let words =
        |text: &str| body(json!([{"_type": "block", "children": [{"_type": "span", "text": text}]}])).word_count();
    assert_eq!(words(""), 0);
    assert_eq!(words(" - — … "), 0);
    assert_eq!(words("Hà Nội, ngày 1/2 – đẹp!"), 5);
    assert_eq!(words("中文 abc漢"), 4);
    let split = json!([{"_type": "block", "children": [{"_type": "span", "text": "wo"}, {"_type": "span", "text": "rd", "marks": ["em"]}]}]);
    assert_eq!(body(split).word_count(), 1);
}
