//! Readers' messages, from sending to erasing.

use crate::support::newsroom::message;
use crate::support::{Desk, Reply, Value, json, newsroom_tests};

/// The newest message as editors see it.
async fn newest(desk: &Desk) -> Reply {
    let id = desk.as_editor().get("/feedback").await.is(200).text("/data/0/id");
    desk.as_editor().get(&format!("/feedback/{id}")).await.is(200)
}

/// A story nobody has written about.
async fn story(desk: &Desk) -> Reply {
    desk.story(json!({ "title": "Tin" })).await
}

newsroom_tests! {
    async fn a_message_reaches_the_editors_and_its_sender_follows_it(desk) {
        let story = story(&desk).await;
        let receipt = desk.message(&story, "Cảm ơn tòa soạn.").await;
        let follow = format!("/feedback/{}", receipt.text("/reference"));
        assert_eq!(receipt.header("location"), format!("/delivery/v1{follow}"));
        assert_eq!(desk.as_reader().get(&follow).await.is(200)["status"], "received");
        let item = newest(&desk).await;
        assert_eq!((&item["message"], &item["status"]), (&json!("Cảm ơn tòa soạn."), &json!("new")));
        assert_eq!(item["sender"]["phone"], "+84 912 345 678");
        let reply = format!("/feedback/{}/reply", item.id());
        desk.as_editor().act(&reply, item.version()).json(&json!({ "message": "Không có gì." })).await.is(200);
        let followed = desk.as_reader().get(&follow).await.is(200);
        assert_eq!((&followed["status"], &followed["reply"]), (&json!("answered"), &json!("Không có gì.")));
        assert_eq!(followed.header("cache-control"), "private, no-store");
        desk.as_reader().get("/feedback/aaaaaaaaaaaaaaaaaaaaaaaaaa").await.refuses(404, "not_found");
    }

    async fn readers_see_what_editors_made_visible_and_of_the_sender_the_name(desk) {
        let story = story(&desk).await;
        desk.message(&story, "Hay quá.").await;
        let path = format!("/articles/{}/feedback", story.id());
        assert!(desk.as_reader().get(&path).await.is(200).each("id").is_empty());
        let item = newest(&desk).await;
        let its_path = format!("/feedback/{}", item.id());
        let visible = desk.as_editor().patch(&its_path, json!({ "visible": true, "internal_note": "Nội bộ" }), 1).await.is(200);
        let shown = desk.as_reader().get(&path).await.is(200);
        assert_eq!(shown["data"][0]["name"], "Nguyễn Văn An");
        for secret in ["an@example.vn", "912", "Nội bộ"] {
            assert!(!shown.body().contains(secret), "{secret}");
        }
        desk.as_editor().patch(&its_path, json!({ "status": "spam" }), visible.version()).await.is(200);
        assert!(desk.as_reader().get(&path).await.is(200).each("id").is_empty());
    }

    async fn a_message_is_shown_only_if_its_sender_allows_it(desk) {
        let story = story(&desk).await;
        let path = format!("/articles/{}/feedback", story.id());
        let mut quiet = message("Riêng tư.");
        quiet.as_object_mut().expect("an object").remove("may_publish");
        desk.as_reader().post(&path, quiet).await.is(201);
        let item = newest(&desk).await;
        let visible = json!({ "visible": true });
        desk.as_editor().patch(&format!("/feedback/{}", item.id()), visible, 1).await.refuses(409, "not_publishable");
    }

    async fn silence_is_not_consent(desk) {
        let story = story(&desk).await;
        let path = format!("/articles/{}/feedback", story.id());
        for (property, value, pointer) in [
            ("consent", json!(false), "/consent"), ("consent_version", json!(99), "/consent_version"),
            ("message", json!(" "), "/message"), ("message", json!("x".repeat(5001)), "/message"),
            ("sender", json!({ "name": "An", "email": "an" }), "/sender/email"),
            ("sender", json!({ "name": "An\nBcc: x@y.z", "email": "an@example.vn" }), "/sender/name"),
        ] {
            let mut bad = message("Chào");
            bad[property] = value;
            desk.as_reader().post(&path, bad).await.points_at(pointer);
        }
        let mut without = message("Chào");
        without.as_object_mut().expect("an object").remove("consent");
        desk.as_reader().post(&path, without).await.refuses(422, "validation_failed");
        let mut large = message("Chào");
        large["more"] = json!("x".repeat(17 * 1024));
        desk.as_reader().post(&path, large).await.refuses(413, "payload_too_large");
        assert_eq!(desk.as_editor().get("/feedback?include_total=true").await["page"]["total"], 0);
    }

    async fn a_story_takes_messages_while_it_is_live_and_open(desk) {
        let closed = desk.story(json!({ "title": "Đóng", "feedback_open": false })).await;
        let send = |id: String| desk.as_reader().post(&format!("/articles/{id}/feedback"), message("Chào"));
        send(closed.id()).await.refuses(409, "feedback_closed");
        let draft = desk.draft("Nháp").await;
        send(draft.id()).await.refuses(404, "not_found");
        let gone = desk.action(&closed, "unpublish").await.is(200);
        send(gone.id()).await.refuses(410, "gone");
    }

    async fn messages_of_one_address_are_limited(desk) {
        let story = story(&desk).await;
        for n in 0..5 {
            desk.message(&story, &format!("Số {n}")).await;
        }
        let path = format!("/articles/{}/feedback", story.id());
        let limited = desk.as_reader().post(&path, message("Số 6")).await.refuses(429, "rate_limited");
        assert!(limited.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
        desk.as_reader().get(&path).await.is(200);
    }

    async fn the_same_message_sent_twice_is_one(desk) {
        let story = story(&desk).await;
        let path = format!("/articles/{}/feedback", story.id());
        let send = |text: &str| desk.as_reader().post(&path, message(text)).header("Idempotency-Key", "1");
        let first = send("Một").await.is(201);
        assert_eq!(send("Một").await.is(201)["reference"], first["reference"]);
        let other = send("Hai").await.is(201);
        assert_ne!(other["reference"], first["reference"], "strangers may choose the same key");
    }

    async fn a_message_sent_again_with_its_key_counts_once(desk) {
        let story = story(&desk).await;
        let path = format!("/articles/{}/feedback", story.id());
        let send = |text: &str, key: &str| desk.as_reader().post(&path, message(text)).header("Idempotency-Key", key);
        let first = send("Một", "1").await.is(201);
        for _ in 0..5 {
            assert_eq!(send("Một", "1").await.is(201)["reference"], first["reference"]);
        }
        for n in 2..=5 {
            send(&format!("Số {n}"), "1").await.is(201);
        }
        for key in ["1", "6"] {
            send("Số 6", key).await.refuses(429, "rate_limited");
        }
        let again = send("Một", "1").await.is(201);
        assert_eq!((&again["reference"], again.header("idempotency-replayed").as_str()), (&first["reference"], "true"));
        send("Một", "").await.refuses(400, "invalid_header");
        assert_eq!(desk.as_editor().get("/feedback?include_total=true").await["page"]["total"], 5);
    }

    async fn a_persons_data_is_exported_and_erased_by_address(desk) {
        let story = story(&desk).await;
        desk.message(&story, "Một").await;
        let mut other = message("Của người khác");
        other["sender"]["email"] = json!("binh@example.vn");
        desk.as_reader().post(&format!("/articles/{}/feedback", story.id()), other).await.is(201);
        let admin = desk.as_admin();
        let who = json!({ "email": "AN@example.vn" });
        let data = admin.post("/feedback/privacy/export", who.clone()).await.is(200);
        assert_eq!((data.list("/data").len(), &data["data"][0]["message"]), (1, &json!("Một")));
        desk.as_editor().post("/feedback/privacy/export", who.clone()).await.refuses(403, "forbidden");
        assert_eq!(admin.post("/feedback/privacy/erase", who.clone()).await.is(200)["erased"], 1);
        assert_eq!(admin.post("/feedback/privacy/export", who).await.is(200)["data"], json!([]));
        let left = desk.as_editor().get("/feedback").await.is(200);
        assert_eq!(left.each("message"), ["Của người khác"]);
    }

    async fn messages_are_filtered_exported_and_erased(desk) {
        let story = story(&desk).await;
        desk.message(&story, "=cmd|' /C calc'!A0").await;
        desk.message(&story, "Đường sắt").await;
        let editor = desk.as_editor();
        for (filter, count) in [("q=duong", 1), ("q=AN%40example", 2), ("status=new", 2), ("status=spam,closed", 0), ("visible=true", 0)] {
            assert_eq!(editor.get(&format!("/feedback?{filter}")).await.is(200).each("id").len(), count, "{filter}");
        }
        let csv = editor.get("/feedback/export?sort=created_at").await.is(200).body();
        assert!(csv.contains("'=cmd") && !csv.contains(",=cmd"), "no formula: {csv}");
        let lines = editor.get("/feedback/export?format=ndjson").await.is(200).body();
        let parsed: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(parsed.len(), 2);
        let item = newest(&desk).await;
        let path = format!("/feedback/{}", item.id());
        editor.delete(&path, 9).await.refuses(412, "version_mismatch");
        editor.delete(&path, item.version()).await.is(204);
        editor.get(&path).await.refuses(404, "not_found");
        desk.as_reader().get(&format!("/feedback/{}", item.text("/reference"))).await.refuses(404, "not_found");
    }

    async fn feedback_is_not_the_writers_business(desk) {
        let story = story(&desk).await;
        desk.message(&story, "Chào").await;
        let item = newest(&desk).await;
        let path = format!("/feedback/{}", item.id());
        for path in ["/feedback", "/feedback/export", path.as_str()] {
            desk.as_writer().get(path).await.refuses(403, "forbidden");
        }
        desk.as_writer().patch(&path, json!({ "status": "closed" }), 1).await.refuses(403, "forbidden");
    }
}
