//! What is wrong, broken or hostile: each a clear problem with a page about it, and nothing stored.

use std::collections::BTreeSet;

use crate::support::newsroom::{bomb, jpeg};
use crate::support::{Ask, Desk, Reply, json, newsroom_tests};

/// How much there is of everything.
async fn stock(desk: &Desk) -> Vec<i64> {
    let mut totals = Vec::new();
    for list in [
        "articles", "images", "captions", "sections", "tags", "authors", "editors", "feedback",
    ] {
        let page = desk
            .as_admin()
            .get(&format!("/{list}?include_total=true"))
            .await
            .is(200);
        totals.push(page["page"]["total"].as_i64().expect("a total"));
    }
    totals
}

/// Sends each, expects its refusal, looks its page up, and sees that nothing was stored.
async fn refused(desk: &Desk, cases: Vec<(Ask, u16, &str)>) {
    let before = stock(desk).await;
    let mut pages = BTreeSet::new();
    for (ask, status, code) in cases {
        let reply: Reply = ask.await.refuses(status, code);
        pages.insert(reply.text("/type").trim_start_matches(&desk.address()).to_owned());
    }
    for page in pages {
        desk.as_reader().get(&page).await.is(200);
    }
    assert_eq!(stock(desk).await, before);
}

fn nested(depth: usize) -> String {
    format!(
        "{{\"title\":\"x\",\"body\":{}{}}}",
        "[".repeat(depth),
        "]".repeat(depth)
    )
}

newsroom_tests! {
    async fn what_is_no_json_is_refused(desk) {
        let send = |body: &str| desk.as_editor().ask("POST", "/articles").bytes("application/json", body);
        let latin = desk.as_editor().ask("POST", "/articles").bytes("application/json", b"{\"title\":\"\xe9\"}".to_vec());
        refused(&desk, vec![
            (send(""), 400, "invalid_json"),
            (send("{"), 400, "invalid_json"),
            (send("{\"title\":\"x\"} {}"), 400, "invalid_json"),
            (send("{'title':'x'}"), 400, "invalid_json"),
            (send("{\"title\":NaN}"), 400, "invalid_json"),
            (send("{\"title\":\"x\",}"), 400, "invalid_json"),
            (send("\u{feff}{\"title\":\"x\"}"), 400, "invalid_json"),
            (send("{\"title\":\"\\ud800\"}"), 400, "invalid_json"),
            (send("{\"title\":\"a\u{0}b\"}"), 400, "invalid_json"),
            (send(&nested(200)), 400, "invalid_json"),
            (send(&nested(100_000)), 400, "invalid_json"),
            (latin, 400, "invalid_json"),
            (send("{\"title\":\"x\",\"title\":\"y\"}"), 400, "duplicate_key"),
            (send("{\"title\":\"x\",\"seo\":{\"title\":\"a\",\"title\":\"b\"}}"), 400, "duplicate_key"),
            (send("{\"title\":\"x\",\"titl\\u0065\":\"y\"}"), 400, "duplicate_key"),
        ]).await;
    }

    async fn what_breaks_a_rule_is_pointed_at(desk) {
        for (body, pointer) in [
            (json!([]), ""), (json!("x"), ""), (json!(null), ""), (json!(["Tiêu đề"]), ""),
            (json!({}), "/title"), (json!({ "title": 7 }), "/title"), (json!({ "title": ["x"] }), "/title"),
            (json!({ "title": "a\u{0}b" }), "/title"), (json!({ "title": "a\nb" }), "/title"),
            (json!({ "title": "x".repeat(301) }), "/title"), (json!({ "title": "x", "colour": 1 }), "/colour"),
            (json!({ "title": "x", "id": "1" }), "/id"), (json!({ "title": "x", "seo": [] }), "/seo"),
            (json!({ "title": "x", "seo": { "title": 1 } }), "/seo/title"), (json!({ "title": "x", "tag_ids": "a" }), "/tag_ids"),
            (json!({ "title": "x", "tag_ids": ["a"] }), "/tag_ids/0"), (json!({ "title": "x", "section_id": 1 }), "/section_id"),
            (json!({ "title": "x", "section_id": "01890A5D-AC96-774B-BCCE-B302099A8057" }), "/section_id"),
            (json!({ "title": "x", "featured": "true" }), "/featured"), (json!({ "title": "x", "featured": 1 }), "/featured"),
            (json!({ "title": "x", "seo": { "colour": 1 } }), "/seo/colour"), (json!({ "title": "x", "lead": "a\u{0}" }), "/lead"),
        ] {
            desk.as_editor().post("/articles", body).await.points_at(pointer);
        }
        assert_eq!(desk.as_editor().get("/articles?include_total=true").await["page"]["total"], 0);
    }

    async fn an_id_of_another_kind_names_nothing(desk) {
        let draft = desk.draft("Bài").await;
        let editor = desk.as_admin();
        for kind in ["images", "captions", "sections", "tags", "authors", "editors", "feedback"] {
            editor.get(&format!("/{kind}/{}", draft.id())).await.refuses(404, "not_found");
        }
        let tag = desk.named("tags", "Thẻ").await;
        for bad in [json!({ "section_id": tag.id() }), json!({ "author_ids": [tag.id()] }), json!({ "tag_ids": [draft.id()] })] {
            editor.patch(&format!("/articles/{}", draft.id()), bad, 1).await.refuses(422, "validation_failed");
        }
        for strange in ["x", "1", "%00", "%F0%9F%98%80", "01890A5D-AC96-774B-BCCE-B302099A8057", "..%2f..", "'%20OR%201=1--"] {
            for path in ["/articles", "/images", "/sections"] {
                editor.get(&format!("{path}/{strange}")).await.refuses(404, "not_found");
            }
            for path in ["/articles", "/sections", "/tags", "/authors"] {
                desk.as_reader().get(&format!("{path}/{strange}")).await.refuses(404, "not_found");
            }
        }
    }

    async fn what_is_no_picture_is_no_image(desk) {
        let send = |bytes: Vec<u8>| desk.as_editor().ask("POST", "/images").bytes("image/png", bytes);
        let mut truncated = jpeg(400, 300);
        truncated.truncate(truncated.len() / 2);
        let huge = bomb(30_000);
        assert!(huge.len() < 100_000, "{}", huge.len());
        refused(&desk, vec![
            (send(Vec::new()), 422, "validation_failed"),
            (send(b"Only words.".to_vec()), 415, "unsupported_media_type"),
            (send(b"\x89PNG\r\n\x1a\n".to_vec()), 422, "image_broken"),
            (send(truncated), 422, "image_broken"),
            (send(huge), 422, "image_too_large"),
        ]).await;
    }

    async fn a_body_has_a_size(desk) {
        let large = format!("{{\"title\":\"x\",\"lead\":\"{}\"}}", "y".repeat(2 << 20));
        let editor = desk.as_editor();
        refused(&desk, vec![
            (editor.ask("POST", "/articles").bytes("application/json", large.clone()), 413, "payload_too_large"),
            (editor.ask("POST", "/sections").bytes("application/json", large.clone()), 413, "payload_too_large"),
            (desk.as_nobody().ask("POST", "/auth/login").bytes("application/json", large), 413, "payload_too_large"),
            (editor.ask("POST", "/images").bytes("image/png", vec![0; (20 << 20) + 1]), 413, "payload_too_large"),
        ]).await;
        let chunked = "POST /management/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        let body = format!("{:x}\r\n{}\r\n", 2 << 20, "z".repeat(2 << 20));
        assert!(desk.raw(format!("{chunked}{body}0\r\n\r\n")).starts_with("HTTP/1.1 413"));
    }

    async fn addresses_and_headers_have_a_size(desk) {
        let reader = desk.as_reader();
        reader.get(&format!("/articles?q={}", "x".repeat(9 * 1024))).await.refuses(414, "uri_too_long");
        reader.get("/articles").header("X-Long", &"x".repeat(17 * 1024)).await.refuses(431, "headers_too_large");
        let larger = format!("GET /delivery/v1/articles HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(400 * 1024));
        let answer = desk.raw(larger);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{}", &answer[..200.min(answer.len())]);
    }

    async fn a_method_that_is_not_taken_is_told_which_are(desk) {
        let refused = desk.as_editor().put("/articles", json!({})).await.refuses(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), "GET, HEAD, POST, OPTIONS");
        assert_eq!(refused["allowed"], json!(["GET", "HEAD", "POST", "OPTIONS"]));
        desk.as_reader().ask("DELETE", "/articles").await.refuses(405, "method_not_allowed");
        desk.as_reader().ask("BREW", "/articles").await.refuses(405, "method_not_allowed");
        let answer = desk.raw("POST //delivery/v1/articles HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 404"), "another address: {answer}");
        desk.as_nobody().put("/articles", json!({})).await.refuses(401, "unauthenticated");
        let options = desk.as_reader().ask("OPTIONS", "/articles").await.is(204);
        assert_eq!(options.header("allow"), "GET, HEAD, OPTIONS");
        let options = desk.as_nobody().ask("OPTIONS", "/articles").await;
        assert!([204, 401].contains(&options.status));
    }

    async fn unknown_addresses_are_not_found_and_under_management_not_told(desk) {
        desk.as_nobody().get("/nothing").await.refuses(401, "unauthenticated");
        desk.as_nobody().get("/articles/1/nothing").await.refuses(401, "unauthenticated");
        for who in [desk.as_writer(), desk.as_admin(), desk.as_reader()] {
            for path in ["/nothing", "/articles/", "/articles/x/y/z", "/Articles", "/nowhere", "//articles"] {
                who.get(path).await.refuses(404, "not_found");
            }
        }
    }

    async fn a_body_of_another_type_is_told_the_right_one(desk) {
        let draft = desk.draft("Bài").await;
        let (editor, path) = (desk.as_editor(), format!("/articles/{}", draft.id()));
        for media_type in ["text/plain", "application/xml", "application/x-www-form-urlencoded", "", "json", "application/json-seq"] {
            let post = editor.ask("POST", "/articles").bytes(media_type, "{\"title\":\"x\"}").await;
            assert_eq!(post.refuses(415, "unsupported_media_type").header("accept"), "application/json");
            let patch = editor.ask("PATCH", &path).version(1).bytes(media_type, "{\"title\":\"x\"}").await;
            let accepted = patch.refuses(415, "unsupported_media_type").header("accept-patch");
            assert_eq!(accepted, "application/merge-patch+json, application/json");
        }
        let typed = editor.ask("PATCH", &path).version(1).bytes("Application/JSON; charset=utf-8", "{\"title\":\"x\"}");
        typed.await.is(200);
        editor.act(&format!("{path}/publish"), 2).bytes("text/plain", "{}").await.refuses(415, "unsupported_media_type");
        editor.act(&format!("{path}/publish"), 2).bytes("application/json", "{}").await.is(200);
    }

    async fn actions_take_what_they_know(desk) {
        let draft = desk.draft("Bài").await;
        let act = |verb: &str, body| desk.as_editor().act(&format!("/articles/{}/{verb}", draft.id()), 1).json(&body);
        act("publish", json!([])).await.refuses(422, "validation_failed");
        act("publish", json!({ "as_new": "yes" })).await.points_at("/as_new");
        act("trash", json!({ "why": "x" })).await.points_at("/why");
        act("unpublish", json!({ "reason": "x".repeat(1001) })).await.points_at("/reason");
        assert_eq!(desk.current(&draft).await.version(), 1);
    }

    async fn no_request_is_too_strange_for_an_answer(desk) {
        for request in [
            "GET http://evil.example/delivery/v1/articles HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
            "GET /delivery/v1/articles?q=%ff%fe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "GET /delivery/v1/articles/%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "POST /management/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "NONSENSE\r\n\r\n",
        ] {
            let answer = desk.raw(request);
            assert!(!answer.starts_with("HTTP/1.1 5"), "{request}: {answer}");
            assert!(!answer.contains("http://evil.example/") || answer.contains("\"instance\""), "{answer}");
        }
        desk.as_reader().get("/articles").await.is(200);
    }
}
