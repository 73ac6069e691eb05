//! The life of an article: from draft to story, and out of readers' sight again.

use crate::support::{json, newsroom_tests};

newsroom_tests! {
    async fn a_draft_is_unknown_to_readers(desk) {
        let draft = desk.draft("Lũ rút trên sông Cầu").await;
        assert_eq!(draft["status"], "draft");
        assert_eq!(draft["slug"], "lu-rut-tren-song-cau");
        desk.read(&draft).await.refuses(404, "not_found");
        desk.as_reader().get("/articles/lu-rut-tren-song-cau").await.refuses(404, "not_found");
        let list = desk.as_reader().get("/articles?include_total=true").await.is(200);
        assert_eq!(list["page"]["total"], 0);
    }

    async fn a_new_article_says_where_it_is(desk) {
        let draft = desk.draft("Tin mới").await;
        let path = format!("/management/v1/articles/{}", draft.id());
        assert_eq!(draft.header("location"), path);
        assert_eq!(draft.header("etag"), "\"1\"");
        let again = desk.as_writer().get(&path).await.is(200);
        assert_eq!(again.json, draft.json);
    }

    async fn readers_get_what_was_published(desk) {
        let story = desk.story(json!({
            "title": "Lũ rút", "kicker": "Thời tiết", "lead": "Nước đã rút.", "dateline": "Thứ Tư, 24/7/2024",
            "body_markdown": "Một đoạn.", "source": { "name": "thainguyen.gov.vn" }, "featured": true
        })).await;
        assert_eq!(story["status"], "published");
        assert_eq!(story["has_unpublished_changes"], false);
        let read = desk.read(&story).await.is(200);
        for property in ["title", "kicker", "lead", "dateline", "featured", "published_at", "body"] {
            assert_eq!(read[property], story[property], "{property}");
        }
        assert_eq!(read["source"], json!({ "name": "thainguyen.gov.vn", "url": null }));
        assert_eq!(read["url"], "https://bao.example.vn/lu-rut", "no section, no folder");
        assert_eq!(desk.as_reader().get("/articles/lu-rut").await.is(200).json, read.json);
    }

    async fn editing_a_live_story_changes_nothing_for_readers(desk) {
        let story = desk.story(json!({ "title": "Trước" })).await;
        let before = desk.read(&story).await;
        let path = format!("/articles/{}", story.id());
        let edited = desk.as_editor().patch(&path, json!({ "title": "Sau", "lead": "Mới" }), story.version()).await.is(200);
        assert_eq!(edited["status"], "published");
        assert_eq!(edited["has_unpublished_changes"], true);
        let after = desk.read(&story).await;
        assert_eq!(after.bytes, before.bytes);
        assert_eq!(after.header("etag"), before.header("etag"));
        let back = desk.as_editor().patch(&path, json!({ "title": "Trước", "lead": null }), edited.version()).await.is(200);
        assert_eq!(back["has_unpublished_changes"], false, "what counts is the content");
    }

    async fn publishing_again_keeps_the_time_unless_it_counts_as_new(desk) {
        let story = desk.story(json!({ "title": "Một" })).await;
        let first = desk.read(&story).await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        let again = desk.publish(&story).await;
        let second = desk.read(&story).await;
        assert_eq!(second["published_at"], first["published_at"]);
        assert!(second["updated_at"].as_str() > first["updated_at"].as_str());
        let path = format!("/articles/{}/publish", story.id());
        let new = desk.as_editor().act(&path, again.version()).json(&json!({ "as_new": true })).await.is(200);
        let third = desk.read(&story).await;
        assert!(third["published_at"].as_str() > first["published_at"].as_str());
        assert_eq!(third["first_published_at"], first["first_published_at"]);
        assert_eq!(new["first_published_at"], first["first_published_at"]);
    }

    async fn an_import_may_be_published_in_the_past_and_nothing_in_the_future(desk) {
        let draft = desk.draft("Tin cũ").await;
        let path = format!("/articles/{}/publish", draft.id());
        let at = |time: &str| desk.as_editor().act(&path, 1).json(&json!({ "published_at": time }));
        at("2999-01-01T00:00:00Z").await.points_at("/published_at");
        at("yesterday").await.points_at("/published_at");
        let story = at("2019-05-06T07:08:09+07:00").await.is(200);
        assert_eq!(story["published_at"], "2019-05-06T00:08:09.000Z");
        assert_eq!(desk.read(&story).await["published_at"], "2019-05-06T00:08:09.000Z");
    }

    async fn an_unpublished_story_is_gone_and_can_come_back(desk) {
        let story = desk.story(json!({ "title": "Rút lại" })).await;
        let first = desk.read(&story).await;
        let path = format!("/articles/{}/unpublish", story.id());
        let gone = desk.as_editor().act(&path, story.version()).json(&json!({ "reason": "Sai" })).await.is(200);
        assert_eq!(gone["status"], "unpublished");
        desk.read(&story).await.refuses(410, "gone");
        desk.as_reader().get("/articles/rut-lai").await.refuses(410, "gone");
        assert!(desk.as_reader().get("/articles").await.is(200).each("id").is_empty());
        desk.as_editor().act(&path, gone.version()).await.refuses(409, "invalid_transition");
        desk.publish(&gone).await;
        let back = desk.read(&story).await.is(200);
        assert_eq!(back["published_at"], first["published_at"], "it comes back to its place");
    }

    async fn the_trash_takes_a_story_away_and_gives_it_back_unpublished(desk) {
        let story = desk.story(json!({ "title": "Bỏ đi" })).await;
        let trashed = desk.action(&story, "trash").await.is(200);
        assert_eq!(trashed["status"], "trashed");
        desk.read(&story).await.refuses(410, "gone");
        assert!(desk.as_editor().get("/articles").await.is(200).each("id").is_empty());
        assert_eq!(desk.as_editor().get("/articles?status=trashed").await.is(200).each("id"), [story.id()]);
        let path = format!("/articles/{}", story.id());
        for verb in ["publish", "unpublish", "trash"] {
            let refused = desk.action(&trashed, verb).await.refuses(409, "invalid_transition");
            assert_eq!(refused["allowed"], json!(["restore", "delete"]), "{verb}");
        }
        desk.as_editor().patch(&path, json!({ "title": "X" }), trashed.version()).await.refuses(409, "invalid_transition");
        let back = desk.action(&trashed, "restore").await.is(200);
        assert_eq!(back["status"], "unpublished");
        desk.read(&story).await.refuses(410, "gone");
    }

    async fn an_erased_story_leaves_its_address_gone_for_ever(desk) {
        let story = desk.story(json!({ "title": "Xóa hẳn" })).await;
        let path = format!("/articles/{}", story.id());
        desk.as_editor().delete(&path, story.version()).await.refuses(409, "invalid_transition");
        let trashed = desk.action(&story, "trash").await.is(200);
        desk.as_editor().delete(&path, trashed.version()).await.is(204);
        desk.as_editor().get(&path).await.refuses(404, "not_found");
        desk.read(&story).await.refuses(410, "gone");
        desk.as_reader().get("/articles/xoa-han").await.refuses(410, "gone");
        let other = desk.draft("Xóa hẳn").await;
        assert_eq!(other["slug"], "xoa-han-2");
    }

    async fn an_erased_draft_leaves_nothing(desk) {
        let draft = desk.draft("Nháp").await;
        let trashed = desk.as_writer().act(&format!("/articles/{}/trash", draft.id()), 1).await.is(200);
        desk.as_editor().delete(&format!("/articles/{}", draft.id()), trashed.version()).await.is(204);
        desk.read(&draft).await.refuses(404, "not_found");
        assert_eq!(desk.draft("Nháp").await["slug"], "nhap", "its slug is free again");
    }

    async fn an_old_address_leads_to_the_new_one(desk) {
        let story = desk.story(json!({ "title": "Tên cũ" })).await;
        let path = format!("/articles/{}", story.id());
        let renamed = desk.as_editor().patch(&path, json!({ "slug": "ten-moi" }), story.version()).await.is(200);
        desk.as_reader().get("/articles/ten-moi").await.refuses(404, "not_found");
        desk.as_reader().get("/articles/ten-cu").await.is(200);
        let live = desk.publish(&renamed).await;
        let moved = desk.as_reader().get("/articles/ten-cu?include=html").await.is(308);
        assert_eq!(moved.header("location"), "/delivery/v1/articles/ten-moi?include=html");
        desk.as_reader().get("/articles/ten-moi").await.is(200);
        desk.action(&live, "unpublish").await.is(200);
        desk.as_reader().get("/articles/ten-cu").await.refuses(410, "gone");
        desk.as_reader().get("/articles/ten-moi").await.refuses(410, "gone");
    }

    async fn a_slug_that_was_public_is_never_another_storys(desk) {
        let story = desk.story(json!({ "title": "Của tôi" })).await;
        let path = format!("/articles/{}", story.id());
        let renamed = desk.as_editor().patch(&path, json!({ "slug": "moi" }), story.version()).await.is(200);
        desk.publish(&renamed).await;
        let by_hand = json!({ "title": "Khác", "slug": "cua-toi" });
        desk.as_editor().post("/articles", by_hand).await.refuses(409, "slug_taken");
        let other = desk.as_editor().post("/articles", json!({ "title": "Của tôi" })).await.is(201);
        assert_eq!(other["slug"], "cua-toi-2");
        let current = desk.current(&story).await;
        let back = desk.as_editor().patch(&path, json!({ "slug": "cua-toi" }), current.version()).await.is(200);
        assert_eq!(back["slug"], "cua-toi", "its own old one it may have again");
    }

    async fn a_slug_has_a_form(desk) {
        let long = "a".repeat(151);
        for bad in ["Hoa", "có dấu", "-a", "a--b", "", "01890a5d-ac96-774b-bcce-b302099a8057", long.as_str()] {
            let article = json!({ "title": "X", "slug": bad });
            desk.as_writer().post("/articles", article).await.points_at("/slug");
        }
    }

    async fn a_title_without_letters_still_gets_an_address(desk) {
        let draft = desk.draft("!!!").await;
        assert!(draft.text("/slug").starts_with("article-"), "{}", draft.body());
    }
}
