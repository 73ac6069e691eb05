//! Versions, races and requests that are sent twice.

use std::collections::BTreeSet;
use std::future::IntoFuture;

use crate::support::{all, json, newsroom_tests};

newsroom_tests! {
    async fn nobody_overwrites_a_change_unknowingly(desk) {
        let draft = desk.draft("Chung").await;
        let path = format!("/articles/{}", draft.id());
        let change = || desk.as_writer().ask("PATCH", &path).json(&json!({ "title": "Mới" }));
        change().await.refuses(428, "precondition_required");
        let stale = change().header("If-Match", "\"7\"").await.refuses(412, "version_mismatch");
        assert_eq!(stale["current_version"], 1);
        change().header("If-Match", "W/\"1\"").await.refuses(412, "weak_etag");
        for malformed in ["1", "\"1", "", "\"1\" \"2\"", "*, \"1\""] {
            change().header("If-Match", malformed).await.refuses(400, "invalid_header");
        }
        let changed = change().header("If-Match", "\"9\", \"1\"").await.is(200);
        assert_eq!((changed.version(), changed.header("etag").as_str()), (2, "\"2\""));
        let changed = change().header("If-Match", "*").await.is(200);
        assert_eq!(changed.version(), 3);
    }

    async fn refusals_come_in_their_order(desk) {
        let draft = desk.draft("Thứ tự").await;
        let path = format!("/articles/{}", draft.id());
        let (nobody, other, writer) = (desk.as_nobody(), desk.as_other_writer(), desk.as_writer());
        let bad = |who: &crate::support::Person| who.ask("PATCH", &path).bytes("text/plain", "{");
        bad(&nobody).await.refuses(401, "unauthenticated");
        bad(&other).await.refuses(404, "not_found");
        writer.ask("PUT", &path).bytes("text/plain", "{").await.refuses(405, "method_not_allowed");
        bad(&writer).await.refuses(415, "unsupported_media_type");
        let sent = |body: &str| writer.ask("PATCH", &path).bytes("application/json", body);
        sent(&format!("{{\"lead\":\"{}\"", "x".repeat(2 << 20))).await.refuses(413, "payload_too_large");
        sent("{").await.refuses(400, "invalid_json");
        sent("{\"title\":7}").await.refuses(422, "validation_failed");
        sent("{\"title\":\"x\"}").await.refuses(428, "precondition_required");
        let trashed = writer.act(&format!("{path}/trash"), 1).await.is(200);
        desk.as_editor().patch(&path, json!({ "title": "x" }), 1).await.refuses(412, "version_mismatch");
        let version = trashed.version();
        desk.as_editor().patch(&path, json!({ "title": "x" }), version).await.refuses(409, "invalid_transition");
    }

    async fn of_fifty_changes_of_one_version_one_is_made(desk) {
        let draft = desk.draft("Đua").await;
        let path = format!("/articles/{}", draft.id());
        let editor = desk.as_editor();
        let change = |n: usize| editor.patch(&path, json!({ "title": format!("Số {n}") }), 1);
        let replies = all((0..50).map(change)).await;
        let count = |status| replies.iter().filter(|reply| reply.status == status).count();
        assert_eq!((count(200), count(412)), (1, 49));
        let now = desk.current(&draft).await;
        assert_eq!(now.version(), 2);
        let winner = replies.iter().find(|reply| reply.status == 200).expect("one");
        assert_eq!(winner["title"], now["title"]);
    }

    async fn fifty_articles_with_one_title_get_fifty_addresses(desk) {
        let editor = desk.as_editor();
        let replies = all((0..50).map(|_| editor.post("/articles", json!({ "title": "Cùng tên" })))).await;
        let slugs: BTreeSet<String> = replies.into_iter().map(|reply| reply.is(201).text("/slug")).collect();
        assert_eq!(slugs.len(), 50);
        assert!(slugs.contains("cung-ten") && slugs.contains("cung-ten-50"), "{slugs:?}");
    }

    async fn a_tag_that_goes_away_while_articles_are_filed_under_it_is_told(desk) {
        let editor = desk.as_editor();
        for round in 0..10 {
            let tag = desk.named("tags", &format!("Thẻ {round}")).await;
            let article = json!({ "title": "Có thẻ", "tag_ids": [tag.id()] });
            let creates = (0..8).map(|_| editor.post("/articles", article.clone()));
            let gone = editor.delete(&format!("/tags/{}", tag.id()), 1);
            let (made, gone) = tokio::join!(all(creates), gone.into_future());
            for reply in &made {
                match reply.status {
                    201 => assert_eq!(reply["tag_ids"], json!([tag.id()])),
                    _ => assert_eq!((reply.status, &reply["errors"][0]["code"]), (422, &json!("invalid_reference")), "{}", reply.body()),
                }
            }
            // A tag that an article has cannot be deleted, and no article has one that was.
            assert!(gone.status == 204 || gone.status == 409, "{}", gone.body());
            assert_eq!(gone.status == 409, made.iter().any(|reply| reply.status == 201), "{}", gone.body());
        }
    }

    async fn one_slug_by_hand_goes_to_one_of_many(desk) {
        let editor = desk.as_editor();
        let article = json!({ "title": "Bất kỳ", "slug": "chi-mot" });
        let replies = all((0..20).map(|_| editor.post("/articles", article.clone()))).await;
        let count = |status| replies.iter().filter(|reply| reply.status == status).count();
        assert_eq!((count(201), count(409)), (1, 19));
    }

    async fn a_story_is_published_once_by_many(desk) {
        let draft = desk.draft("Một lần").await;
        let path = format!("/articles/{}/publish", draft.id());
        let editor = desk.as_editor();
        let replies = all((0..20).map(|_| editor.act(&path, 1))).await;
        assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
        assert!(replies.iter().all(|reply| [200, 412].contains(&reply.status)));
    }

    async fn a_request_with_a_key_does_its_work_once(desk) {
        let editor = desk.as_editor();
        let create = |key: &str, title: &str| {
            editor.post("/articles", json!({ "title": title })).header("Idempotency-Key", key)
        };
        let first = create("k1", "Một").await.is(201);
        assert!(!first.headers.contains_key("idempotency-replayed"));
        let again = create("k1", "Một").await.is(201);
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!((again.bytes, again.headers.get("location")), (first.bytes.clone(), first.headers.get("location")));
        create("k1", "Hai").await.refuses(422, "idempotency_key_reused");
        let of_another = desk.as_writer().post("/articles", json!({ "title": "Một" }));
        let of_another = of_another.header("Idempotency-Key", "k1").await.is(201);
        assert_ne!(of_another.id(), first.id(), "keys belong to their caller");
        for bad in ["", "ż", &"k".repeat(256)] {
            create(bad, "X").await.refuses(400, "invalid_header");
        }
        let list = editor.get("/articles?include_total=true").await.is(200);
        assert_eq!(list["page"]["total"], 2);
    }

    async fn a_refused_request_does_not_use_up_its_key(desk) {
        let editor = desk.as_editor();
        let create = |body| editor.post("/articles", body).header("Idempotency-Key", "k");
        create(json!({})).await.refuses(422, "validation_failed");
        create(json!({ "title": "Đủ" })).await.is(201);
    }

    async fn a_replay_comes_before_the_version(desk) {
        let draft = desk.draft("Lặp").await;
        let path = format!("/articles/{}/publish", draft.id());
        let publish = || desk.as_editor().act(&path, 1).header("Idempotency-Key", "p");
        let first = publish().await.is(200);
        let again = publish().await.is(200);
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!((again.version(), first.version()), (2, 2));
    }

    async fn fifty_requests_with_one_key_make_one_article(desk) {
        let editor = desk.as_editor();
        let create = || editor.post("/articles", json!({ "title": "Một thôi" })).header("Idempotency-Key", "same");
        let replies = all((0..50).map(|_| create())).await;
        assert!(replies.iter().all(|reply| [201, 409].contains(&reply.status)));
        let made: BTreeSet<String> = replies.iter().filter(|reply| reply.status == 201).map(|reply| reply.id()).collect();
        assert_eq!(made.len(), 1);
        create().await.is(201);
        let list = editor.get("/articles?include_total=true").await.is(200);
        assert_eq!(list["page"]["total"], 1);
    }
}
