//! Bodies: three forms in, four out, and nothing hostile in any of them.

use crate::support::{Desk, Reply, Value, json, newsroom_tests};

/// The editor's new article with a body, with all its forms.
async fn with_body(desk: &Desk, property: &str, body: Value) -> Reply {
    let mut content = json!({ "title": "Thân bài" });
    content[property] = body;
    let made = desk.as_editor().post("/articles", content).await.is(201);
    desk.as_editor()
        .get(&format!("/articles/{}?include=html,markdown,text", made.id()))
        .await
        .is(200)
}

fn texts(body: &Value) -> Vec<String> {
    let text = |block: &Value| {
        let spans = block["children"].as_array().into_iter().flatten();
        spans.map(|span| span["text"].as_str().unwrap_or("")).collect()
    };
    body.as_array().into_iter().flatten().map(text).collect()
}

newsroom_tests! {
    async fn three_forms_say_the_same(desk) {
        let markdown = "## Mục\n\nĐoạn **đậm** và [liên kết](https://bao.vn/).\n\n- một\n- hai\n\n> trích\n\n---\n";
        let from_markdown = with_body(&desk, "body_markdown", json!(markdown)).await;
        let from_html = with_body(&desk, "body_html", from_markdown["html"].clone()).await;
        let from_body = with_body(&desk, "body", from_markdown["body"].clone()).await;
        assert_eq!(from_body["body"], from_markdown["body"], "keys are kept when sent");
        for other in [&from_html, &from_body] {
            for form in ["html", "markdown", "text"] {
                assert_eq!(other[form], from_markdown[form], "{form}");
            }
        }
        assert_eq!(texts(&from_markdown["body"])[..2], ["Mục", "Đoạn đậm và liên kết."]);
        let html = from_markdown.text("/html");
        for part in ["<h2>Mục</h2>", "<strong>đậm</strong>", "<a href=\"https://bao.vn/\"", "<li>một</li>", "<blockquote>", "<hr"] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    async fn hostile_html_gives_harmless_text_or_a_refusal(desk) {
        for hostile in [
            "<p>a</p><script>alert(1)</script>", "<p onclick=\"alert(1)\">a</p>", "<p><img src=x onerror=alert(1)></p>",
            "<p><a href=\"javascript:alert(1)\">a</a></p>", "<p><a href=\" JaVaScRiPt:alert(1)\">a</a></p>",
            "<p><a href=\"data:text/html,<script>alert(1)</script>\">a</a></p>", "<svg/onload=alert(1)>", "<iframe src=\"javascript:alert(1)\"></iframe>",
            "<style>*{background:url(javascript:alert(1))}</style><p>a</p>", "<math><mtext><script>alert(1)</script></mtext></math>",
            "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>", "<!--><script>alert(1)</script-->",
        ] {
            let article = json!({ "title": "Hiểm", "body_html": hostile });
            let made = desk.as_editor().post("/articles", article).await;
            if made.status == 422 {
                continue;
            }
            let path = format!("/articles/{}?include=html", made.is(201).id());
            let html = desk.as_editor().get(&path).await.is(200).text("/html").to_lowercase();
            for bad in ["<script", "onclick=", "onerror=", "onload=", "href=\"javascript:", "href=\"data:", "<svg", "<iframe", "<style", "<img"] {
                assert!(!html.contains(bad), "{hostile} gave {html}");
            }
        }
    }

    async fn text_is_text_in_every_form(desk) {
        let evil = "<script>alert(1)</script> & \"quotes\" *stars* [link](javascript:1)";
        let block = json!([{ "_type": "block", "children": [{ "_type": "span", "text": evil }] }]);
        let made = with_body(&desk, "body", block).await;
        assert_eq!(texts(&made["body"]), [evil]);
        assert!(!made.text("/html").contains("<script") && made.text("/html").contains("&lt;script&gt;"));
        let again = with_body(&desk, "body_markdown", made["markdown"].clone()).await;
        assert_eq!(texts(&again["body"]), [evil], "Markdown is escaped: {}", made["markdown"]);
    }

    async fn what_is_no_block_is_refused_at_its_place(desk) {
        for (body, pointer) in [
            (json!([{ "_type": "blink" }]), "/body/0/_type"),
            (json!([{ "_type": "divider" }, { "_type": "block", "children": [{ "_type": "span", "text": 7 }] }]), "/body/1/children/0/text"),
            (json!([{ "_type": "block", "style": "h7", "children": [] }]), "/body/0/style"),
            (json!([{ "_type": "embed", "url": "javascript:alert(1)" }]), "/body/0/url"),
        ] {
            let article = json!({ "title": "Sai", "body": body });
            desk.as_editor().post("/articles", article).await.points_at(pointer);
        }
        desk.as_editor().post("/articles", json!({ "title": "Sai", "body": {} })).await.refuses(422, "validation_failed");
    }

    async fn a_figure_shows_a_caption_of_its_own_article(desk) {
        let one = desk.as_editor().post("/articles", json!({ "title": "Một" })).await.is(201);
        let two = desk.as_editor().post("/articles", json!({ "title": "Hai" })).await.is(201);
        let image = desk.image(90).await;
        let caption = desk.caption(&one, &image, "inline").await;
        let figure = |id: &str| json!({ "body": [{ "_type": "figure", "caption_id": id }] });
        let (first, second) = (format!("/articles/{}", one.id()), format!("/articles/{}", two.id()));
        desk.as_editor().patch(&second, figure(&caption.id()), 1).await.points_at("/body/0/caption_id");
        desk.as_editor().patch(&first, figure(&image.id()), 2).await.points_at("/body/0/caption_id");
        let markdown = json!({ "body_markdown": format!("![Cầu](caption:{})", caption.id()) });
        let with = desk.as_editor().patch(&first, markdown, 2).await.is(200);
        assert_eq!(with["body"][0]["caption_id"], caption["id"]);
        let html = json!({ "body_html": format!("<figure data-caption-id=\"{}\"></figure>", caption.id()) });
        let with = desk.as_editor().patch(&first, html, 3).await.is(200);
        desk.publish(&with).await;
        let read = desk.as_reader().get(&format!("{first}?include=html,markdown")).await.is(200);
        assert!(read.text("/html").contains("<img") && read.text("/html").contains("Nước rút"), "{}", read["html"]);
        assert!(read.text("/markdown").contains(&format!("(caption:{})", caption.id())));
    }

    async fn a_table_goes_in_and_out(desk) {
        let markdown = "| Huyện | Mưa |\n| --- | --- |\n| Đại Từ | 120 |\n";
        let made = with_body(&desk, "body_markdown", json!(markdown)).await;
        assert_eq!(made["body"][0]["_type"], "table");
        let again = with_body(&desk, "body_markdown", made["markdown"].clone()).await;
        assert_eq!(again["html"], made["html"]);
        assert!(made.text("/html").contains("<th") && made.text("/text").contains("Đại Từ"));
    }
}
