//! The site's settings, and what readers are told of them.

use crate::support::newsroom::message;
use crate::support::{json, newsroom_tests};

newsroom_tests! {
    async fn the_site_tells_its_name_and_languages(desk, SITE_NAME = "Báo Thử") {
        let site = desk.as_reader().get("/site").await.is(200);
        assert_eq!((&site["name"], &site["languages"]), (&json!("Báo Thử"), &json!(["vi", "en"])));
        assert_eq!((&site["time_zone"], &site["consent"]["version"]), (&json!("Asia/Ho_Chi_Minh"), &json!(1)));
        assert!(!site["consent"]["texts"]["vi"].as_str().unwrap_or("").is_empty());
        assert_eq!(site["shares_open"], json!(false), "there is no mail server");
    }

    async fn a_front_end_knows_whether_stories_can_be_sent_to_friends(desk, SMTP_URL = "smtp://127.0.0.1:1", MAIL_FROM = "tin@example.vn") {
        assert_eq!(desk.as_reader().get("/site").await.is(200)["shares_open"], json!(true));
    }

    async fn an_admin_changes_the_site_and_readers_get_it_at_once(desk) {
        let before = desk.as_reader().get("/site").await.is(200);
        let settings = desk.as_admin().get("/site").await.is(200);
        let change = json!({ "name": "Tên mới", "languages": ["vi", "en", "fr"], "time_zone": "UTC" });
        let changed = desk.as_admin().patch("/site", change, settings.version()).await.is(200);
        assert_eq!(changed.version(), settings.version() + 1);
        let after = desk.as_reader().get("/site").await.is(200);
        assert_eq!((&after["name"], &after["time_zone"]), (&json!("Tên mới"), &json!("UTC")));
        assert_ne!(after.header("etag"), before.header("etag"));
        desk.as_editor().post("/articles", json!({ "title": "Bonjour", "language": "fr" })).await.is(201);
        desk.as_admin().patch("/site", json!({ "name": "X" }), settings.version()).await.refuses(412, "version_mismatch");
        desk.as_admin().ask("PATCH", "/site").json(&json!({ "name": "Không cần" })).await.is(200);
    }

    async fn a_changed_consent_text_is_a_new_version(desk) {
        let story = desk.story(json!({ "title": "Tin" })).await;
        let texts = json!({ "consent_texts": { "en": "A new text." } });
        let changed = desk.as_admin().ask("PATCH", "/site").json(&texts).await.is(200);
        assert_eq!(changed["consent"]["version"], 2);
        let again = desk.as_admin().ask("PATCH", "/site").json(&texts).await.is(200);
        assert_eq!(again["consent"]["version"], 2, "the same text is no new version");
        let site = desk.as_reader().get("/site").await.is(200);
        assert_eq!(site["consent"]["texts"]["en"], "A new text.");
        let path = format!("/articles/{}/feedback", story.id());
        desk.as_reader().post(&path, message("Vừa đọc bản cũ")).await.is(201);
        let mut new = message("Đã đọc bản mới");
        new["consent_version"] = json!(2);
        desk.as_reader().post(&path, new).await.is(201);
    }

    async fn settings_have_rules(desk) {
        let change = |patch| desk.as_admin().ask("PATCH", "/site").json(&patch);
        change(json!({ "name": "" })).await.points_at("/name");
        change(json!({ "languages": [] })).await.points_at("/languages");
        change(json!({ "languages": ["VI"] })).await.points_at("/languages/0");
        change(json!({ "time_zone": "saigon" })).await.points_at("/time_zone");
        change(json!({ "consent": {} })).await.points_at("/consent");
        assert_eq!(desk.as_admin().get("/site").await.is(200)["version"], 1, "nothing was changed");
    }

    async fn the_settings_are_the_admins(desk) {
        for who in [desk.as_editor(), desk.as_writer()] {
            who.get("/site").await.refuses(403, "forbidden");
            who.patch("/site", json!({ "name": "X" }), 1).await.refuses(403, "forbidden");
        }
    }
}
