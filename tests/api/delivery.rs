//! What readers and caches get: validators, lifetimes, additions, and nothing that is not theirs.

use crate::support::{Desk, Reply, Value, json, newsroom_tests};

async fn etag(desk: &Desk, path: &str) -> String {
    desk.as_reader().get(path).await.is(200).header("etag")
}

fn without_date(reply: &Reply) -> Vec<(String, String)> {
    let mut headers: Vec<_> = reply
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), format!("{value:?}")))
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .collect();
    headers.sort();
    headers
}

newsroom_tests! {
    async fn readers_get_no_editorial_fields(desk) {
        let story = desk.story(json!({ "title": "Tin" })).await;
        let one = desk.read(&story).await.is(200);
        let list = desk.as_reader().get("/articles?include=body,captions").await.is(200);
        for item in [&one.json, &list["data"][0]] {
            for field in ["status", "review", "version", "revision", "owner_id", "created_by", "updated_by", "has_unpublished_changes",
                "publish_at", "unpublish_at", "created_at", "translation_of", "section_id"] {
                assert_eq!(item.get(field), None, "{field}");
            }
        }
        let plain = desk.as_reader().get("/articles").await.is(200);
        assert_eq!((plain["data"][0].get("body"), one.json.get("html")), (None, None), "only what was asked for");
    }

    async fn additions_are_what_was_asked_for(desk) {
        let story = desk.story(json!({ "title": "Tin", "body_markdown": "# Mục\n\nĐoạn **đậm**." })).await;
        let path = format!("/articles/{}", story.id());
        let read = desk.as_reader().get(&format!("{path}?include=text,html&include=markdown")).await.is(200);
        assert!(read.text("/html").contains("<strong>đậm</strong>"), "{}", read.body());
        assert!(read.text("/markdown").contains("**đậm**"));
        assert!(read.text("/text").contains("Đoạn đậm."));
        for bad in ["include=body", "include=html,html", "include=", "fields=title"] {
            desk.as_reader().get(&format!("{path}?{bad}")).await.is(400);
        }
    }

    async fn a_tag_changes_with_the_content_and_only_then(desk) {
        let story = desk.story(json!({ "title": "Một" })).await;
        let path = format!("/articles/{}", story.id());
        let (one, list) = (etag(&desk, &path).await, etag(&desk, "/articles").await);
        assert_eq!((etag(&desk, &path).await, etag(&desk, "/articles").await), (one.clone(), list.clone()));
        desk.draft("Không ai biết").await;
        assert_eq!(etag(&desk, "/articles").await, list, "a draft is nothing to readers");
        assert_ne!(etag(&desk, &format!("{path}?include=html")).await, one);
        let edited = desk.as_editor().patch(&path, json!({ "title": "Hai" }), story.version()).await.is(200);
        assert_eq!(etag(&desk, &path).await, one);
        desk.publish(&edited).await;
        assert_ne!(etag(&desk, &path).await, one);
        assert_ne!(etag(&desk, "/articles").await, list);
    }

    async fn who_has_it_already_is_told_so(desk) {
        let story = desk.story(json!({ "title": "Tin" })).await;
        for path in [format!("/articles/{}", story.id()), "/articles".into(), "/site".into(), "/sections".into()] {
            let tag = etag(&desk, &path).await;
            assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
            let ask = |value: &str| desk.as_reader().get(&path).header("If-None-Match", value);
            for same in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), format!("\"x\",W/{tag} , \"y\""), "*".into()] {
                let fresh = ask(&same).await.is(304);
                assert!(fresh.bytes.is_empty());
                assert_eq!(fresh.header("etag"), tag);
                assert!(!fresh.header("cache-control").is_empty());
                assert_eq!(fresh.header("last-modified"), "", "the tag is enough (RFC 9110 §15.4.5)");
            }
            for other in ["\"x\"", "W/\"x\"", "x"] {
                ask(other).await.is(200);
            }
        }
    }

    async fn a_date_tells_when_something_changed(desk) {
        let story = desk.story(json!({ "title": "Tin" })).await;
        let path = format!("/articles/{}", story.id());
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let read = desk.as_reader().get(&path).await.is(200);
        let date = read.header("last-modified");
        let modified = httpdate::parse_http_date(&date).expect("a date");
        assert!(modified.elapsed().expect("the past").as_secs() < 60);
        let since = |date: &str| desk.as_reader().get(&path).header("If-Modified-Since", date);
        since(&date).await.is(304);
        since("Mon, 01 Jan 2024 00:00:00 GMT").await.is(200);
        since("whenever").await.is(200);
        since(&date).header("If-None-Match", "\"x\"").await.is(200);
    }

    async fn head_is_get_without_the_body(desk) {
        let story = desk.story(json!({ "title": "Tin" })).await;
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let reader = desk.as_reader();
        for path in [format!("/articles/{}", story.id()), "/articles".into(), "/site".into(), "/articles/nowhere".into()] {
            let (get, head) = (reader.get(&path).await, reader.ask("HEAD", &path).await);
            assert!(head.bytes.is_empty());
            assert_eq!(head.status, get.status, "{path}");
            let (mut of_get, mut of_head) = (without_date(&get), without_date(&head));
            if get.status >= 400 {
                // Their bodies hold the request's id.
                for headers in [&mut of_get, &mut of_head] {
                    headers.retain(|(name, _)| name != "content-length");
                }
            }
            assert_eq!(of_head, of_get, "{path}");
        }
    }

    async fn caches_are_told_how_long(desk) {
        let story = desk.story(json!({ "title": "Tin" })).await;
        let path = format!("/articles/{}", story.id());
        let public = "public, max-age=30, stale-while-revalidate=30";
        for path in [path.as_str(), "/articles", "/site", "/sections"] {
            let read = desk.as_reader().get(path).await.is(200);
            assert_eq!((read.header("cache-control"), read.header("vary")), (public.into(), "Accept-Encoding".into()), "{path}");
            assert!(!read.header("surrogate-key").is_empty(), "{path}");
            for key in read.header("surrogate-key").split(' ') {
                assert!((1..=12).contains(&key.len()), "{key}");
            }
            assert!(!read.headers.contains_key("set-cookie"));
            assert!(!read.headers.contains_key("ratelimit"), "shared caches keep it");
        }
        let renamed = desk.as_editor().patch(&path, json!({ "slug": "khac" }), story.version()).await.is(200);
        let live = desk.publish(&renamed).await;
        assert_eq!(desk.as_reader().get("/articles/tin").await.is(308).header("cache-control"), "public, max-age=30");
        desk.action(&live, "unpublish").await.is(200);
        assert_eq!(desk.as_reader().get(&path).await.is(410).header("cache-control"), "public, max-age=30");
        assert_eq!(desk.as_reader().get("/articles/x").await.is(404).header("cache-control"), "no-store");
        let managed = desk.as_editor().get("/articles").await.is(200);
        assert_eq!(managed.header("cache-control"), "private, no-store, no-transform");
    }

    async fn a_change_shows_in_the_very_next_answer(desk) {
        let draft = desk.draft("Ngay").await;
        let mut article = desk.current(&draft).await;
        for _ in 0..5 {
            desk.publish(&article).await;
            desk.read(&draft).await.is(200);
            article = desk.action(&desk.current(&draft).await, "unpublish").await.is(200);
            desk.read(&draft).await.is(410);
        }
    }

    async fn any_site_may_read_and_only_named_ones_manage(desk, CORS_ORIGINS = "https://desk.example.vn") {
        let from = |who: crate::support::Person, path: &str, origin: &str| who.get(path).header("Origin", origin);
        let read = from(desk.as_reader(), "/articles", "https://any.example").await.is(200);
        assert_eq!(read.header("access-control-allow-origin"), "*");
        assert!(!read.headers.contains_key("access-control-allow-credentials"));
        for name in ["etag", "last-modified", "link", "location", "retry-after", "x-request-id", "idempotency-replayed"] {
            assert!(read.header("access-control-expose-headers").to_lowercase().contains(name), "{name}");
        }
        let managed = from(desk.as_editor(), "/articles", "https://desk.example.vn").await.is(200);
        assert!(["*", "https://desk.example.vn"].contains(&managed.header("access-control-allow-origin").as_str()));
        let foreign = from(desk.as_editor(), "/articles", "https://evil.example").await.is(200);
        assert_eq!(foreign.header("access-control-allow-origin"), "");
        let asked = desk.as_nobody().ask("OPTIONS", "/articles").header("Origin", "https://desk.example.vn")
            .header("Access-Control-Request-Method", "PATCH")
            .header("Access-Control-Request-Headers", "authorization,if-match,content-type").await;
        assert!([200, 204].contains(&asked.status), "{}", asked.status);
        assert!(asked.header("access-control-allow-methods").contains("PATCH"));
    }

    async fn a_request_keeps_its_harmless_id(desk) {
        let with = |id: &str| desk.as_reader().get("/articles").header("X-Request-Id", id);
        assert_eq!(with("abc-123.x:y_z").await.header("x-request-id"), "abc-123.x:y_z");
        for strange in ["a b", "\"", &"x".repeat(129), "é"] {
            assert_ne!(with(strange).await.header("x-request-id"), *strange);
        }
        assert_eq!(desk.as_reader().get("/articles/x").header("X-Request-Id", "mine").await["request_id"], Value::from("mine"));
    }
}
