//! The history of an article: what was written is never lost.

use crate::support::{Desk, Reply, Value, json, newsroom_tests};

fn path(article: &Reply) -> String {
    format!("/articles/{}/revisions", article.id())
}

/// The text that the pieces make up, without those of one kind.
fn text_of(pieces: &Value, without: &str) -> String {
    let pieces = pieces.as_array().expect("pieces").iter();
    pieces
        .filter(|piece| piece["op"] != without)
        .map(|piece| piece["text"].as_str().expect("text"))
        .collect()
}

async fn numbers(desk: &Desk, article: &Reply) -> Vec<i64> {
    let list = desk
        .as_editor()
        .get(&format!("{}?limit=100", path(article)))
        .await
        .is(200);
    list.list("/data")
        .iter()
        .map(|one| one["number"].as_i64().expect("a number"))
        .collect()
}

newsroom_tests! {
    async fn every_write_is_a_revision_with_its_author_and_note(desk) {
        let writer = desk.as_writer();
        let draft = writer.post("/articles", json!({ "title": "Một", "note": "  Bản đầu\nhai dòng " })).await.is(201);
        assert_eq!(draft.json.get("note"), None, "it belongs to the revision");
        let article = format!("/articles/{}", draft.id());
        let changed = writer.patch(&article, json!({ "title": "Hai", "note": "Đổi tên" }), 1).await.is(200);
        let silent = writer.patch(&article, json!({ "lead": "Mở", "note": null }), changed.version()).await.is(200);
        let image = desk.image(50).await;
        let place = json!({ "article_id": draft.id(), "image_id": image.id(), "role": "lead", "note": "Ảnh mới" });
        let caption = desk.as_editor().post("/captions", place).await.is(201);
        let caption_path = format!("/captions/{}", caption.id());
        writer.patch(&caption_path, json!({ "text": "Lời", "note": "Sửa lời" }), 1).await.is(200);
        writer.delete(&caption_path, 2).await.is(204);
        let live = desk.publish(&desk.current(&draft).await).await;
        let unpublish = format!("{article}/unpublish");
        desk.as_editor().act(&unpublish, live.version()).json(&json!({ "reason": "Nhầm" })).await.is(200);
        let list = writer.get(&path(&draft)).await.is(200);
        let told: Vec<(i64, &str, &str, &str)> = list.list("/data").iter().map(|one| (
            one["number"].as_i64().expect("a number"),
            one["action"].as_str().expect("an action"),
            one["created_by"]["name"].as_str().expect("a name"),
            one["note"].as_str().unwrap_or("-"),
        )).collect();
        assert_eq!(told, [
            (8, "unpublish", "Trần Biên Tập", "Nhầm"),
            (7, "publish", "Trần Biên Tập", "-"),
            (6, "caption_delete", "Lê Phóng Viên", "-"),
            (5, "caption_update", "Lê Phóng Viên", "Sửa lời"),
            (4, "caption_create", "Trần Biên Tập", "Ảnh mới"),
            (3, "update", "Lê Phóng Viên", "-"),
            (2, "update", "Lê Phóng Viên", "Đổi tên"),
            (1, "create", "Lê Phóng Viên", "Bản đầu\nhai dòng"),
        ]);
        assert_eq!(silent["revision"], 3);
        writer.patch(&article, json!({ "note": "x".repeat(1001) }), 1).await.refuses(403, "forbidden");
        desk.as_editor().patch(&article, json!({ "note": "x".repeat(1001) }), 1).await.points_at("/note");
    }

    async fn the_list_is_paged_newest_first(desk) {
        let draft = desk.draft("Bài").await;
        let article = format!("/articles/{}", draft.id());
        for version in 1..6 {
            desk.as_writer().patch(&article, json!({ "lead": format!("Lần {version}") }), version).await.is(200);
        }
        let get = async |query: &str| desk.as_writer().get(&format!("{}?limit=2&{query}", path(&draft))).await.is(200);
        let first = get("include_total=true").await;
        assert_eq!((first["page"]["total"].clone(), first["data"][0]["number"].clone()), (json!(6), json!(6)));
        let second = get(&format!("cursor={}", first.text("/page/next_cursor"))).await;
        let third = get(&format!("cursor={}", second.text("/page/next_cursor"))).await;
        assert_eq!((&second["data"][1]["number"], &third["data"][1]["number"]), (&json!(3), &json!(1)));
        assert_eq!((&third["page"]["has_more"], &third["page"]["next_cursor"]), (&json!(false), &Value::Null));
        assert!(second.header("link").contains("rel=\"prev\""));
        let back = get(&format!("cursor={}", third.text("/page/prev_cursor"))).await;
        assert_eq!(back["data"], second["data"]);
        let other = desk.draft("Khác").await;
        let foreign = format!("{}?cursor={}", path(&other), first.text("/page/next_cursor"));
        desk.as_writer().get(&foreign).await.refuses(400, "invalid_cursor");
        desk.as_writer().get(&format!("{}?sort=number", path(&draft))).await.refuses(400, "unknown_parameter");
        desk.as_writer().get("/articles/01981d44-03c5-7d1c-8a55-2f6de0a8c9b1/revisions?sort=number").await.refuses(404, "not_found");
    }

    async fn a_revision_is_the_article_as_it_was(desk) {
        let section = desk.named("sections", "Thời sự").await;
        let content = json!({ "title": "Một", "lead": "Mở", "body_markdown": "Thân **đậm**.", "section_id": section.id(), "source": { "name": "Báo" } });
        let draft = desk.as_editor().post("/articles", content).await.is(201);
        let image = desk.image(51).await;
        let caption = desk.caption(&draft, &image, "lead").await;
        let now = desk.current(&draft).await;
        let article = format!("/articles/{}", draft.id());
        desk.as_editor().patch(&article, json!({ "title": "Hai", "body": [], "section_id": null }), now.version()).await.is(200);
        let old = desk.as_editor().get(&format!("{}/2", path(&draft))).await.is(200);
        for property in ["title", "slug", "lead", "body", "language", "section_id", "tag_ids", "source", "seo", "featured", "captions"] {
            assert_eq!(old["content"][property], now[property], "{property}");
        }
        assert_eq!((&old["number"], &old["content"]["captions"][0]["id"]), (&json!(2), &caption["id"]));
        for unknown in ["0", "4", "-1", "01", "+1", "x", "99999999999999999999", "1e0"] {
            desk.as_editor().get(&format!("{}/{unknown}", path(&draft))).await.refuses(404, "not_found");
        }
        desk.as_editor().ask("POST", &format!("{}/1", path(&draft))).await.refuses(405, "method_not_allowed");
    }

    async fn the_difference_of_two_revisions_is_told_word_by_word(desk) {
        let first = json!({ "title": "Nước sông Cầu lên", "kicker": "Bão", "lead": "Dân chạy lũ.", "body_markdown": "Sáng nay mưa to.\n\nTối tạnh." });
        let draft = desk.as_editor().post("/articles", first).await.is(201);
        let image = desk.image(52).await;
        let [kept, gone] = [desk.caption(&draft, &image, "lead").await, desk.caption(&draft, &image, "inline").await];
        let editor = desk.as_editor();
        editor.patch(&format!("/captions/{}", kept.id()), json!({ "text": "Nước lên" }), 1).await.is(200);
        editor.delete(&format!("/captions/{}", gone.id()), 1).await.is(204);
        let new = desk.caption(&draft, &image, "gallery").await;
        let second = json!({ "title": "Nước sông Cầu rút", "kicker": null, "body_markdown": "Sáng nay mưa nhỏ.\n\nTối tạnh.", "featured": true });
        let now = editor.patch(&format!("/articles/{}", draft.id()), second, new["article_version"].as_i64().expect("a version")).await.is(200);
        let last = now["revision"].as_i64().expect("a number");
        let diff = editor.get(&format!("{}/3/diff/{last}", path(&draft))).await.is(200);
        assert_eq!((&diff["from"]["number"], &diff["to"]["number"]), (&json!(3), &json!(last)));
        assert_eq!(diff["changed"], json!(["title", "kicker", "body", "featured", "captions"]));
        assert_eq!(diff["title"], json!([
            { "op": "equal", "text": "Nước sông Cầu " }, { "op": "delete", "text": "lên" }, { "op": "insert", "text": "rút" }
        ]));
        assert_eq!(diff["kicker"], json!([{ "op": "delete", "text": "Bão" }]));
        assert_eq!(diff["lead"], json!([{ "op": "equal", "text": "Dân chạy lũ." }]));
        assert_eq!(text_of(&diff["body"], "insert"), "Sáng nay mưa to.\n\nTối tạnh.");
        assert_eq!(text_of(&diff["body"], "delete"), "Sáng nay mưa nhỏ.\n\nTối tạnh.");
        let changes: Vec<(&Value, &Value)> = diff.list("/captions").iter().map(|one| (&one["id"], &one["change"])).collect();
        assert_eq!(changes, [(&kept["id"], &json!("changed")), (&new["id"], &json!("added")), (&gone["id"], &json!("removed"))]);
        assert_eq!(diff["captions"][0]["text"], json!([
            { "op": "equal", "text": "Nước " }, { "op": "delete", "text": "rút" }, { "op": "insert", "text": "lên" }
        ]));
        let back = editor.get(&format!("{}/{last}/diff/3", path(&draft))).await.is(200);
        assert_eq!(text_of(&back["title"], "delete"), "Nước sông Cầu lên", "either way round");
        let same = editor.get(&format!("{}/3/diff/3", path(&draft))).await.is(200);
        assert_eq!(same["changed"], json!([]));
        editor.get(&format!("{}/3/diff/99", path(&draft))).await.refuses(404, "not_found");
    }

    async fn a_huge_difference_is_told_in_time(desk) {
        let text = |start: usize| (0..30_000).map(|n| format!("từ{} ", (n * 7919 + start) % 20_011)).collect::<String>();
        let draft = desk.as_editor().post("/articles", json!({ "title": "Dài", "body_markdown": text(0) })).await.is(201);
        let article = format!("/articles/{}", draft.id());
        desk.as_editor().patch(&article, json!({ "body_markdown": text(13) }), 1).await.is(200);
        let start = std::time::Instant::now();
        let diff = desk.as_editor().get(&format!("{}/1/diff/2", path(&draft))).await.is(200);
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
        assert_eq!(text_of(&diff["body"], "insert"), text(0).trim());
        assert_eq!(text_of(&diff["body"], "delete"), text(13).trim());
    }

    async fn restoring_brings_back_words_and_pictures(desk) {
        let editor = desk.as_editor();
        let draft = editor.post("/articles", json!({ "title": "Gốc", "lead": "Mở" })).await.is(201);
        let article = format!("/articles/{}", draft.id());
        let image = desk.image(53).await;
        let [lead, inline] = [desk.caption(&draft, &image, "lead").await, desk.caption(&draft, &image, "inline").await];
        let figure = json!({ "body": [{ "_type": "figure", "caption_id": inline.id() }] });
        let good = editor.patch(&article, figure, 3).await.is(200);
        let cleared = json!({ "title": "Hỏng", "slug": "hong", "lead": null, "body": [] });
        editor.patch(&article, cleared, good.version()).await.is(200);
        editor.delete(&format!("/captions/{}", inline.id()), 1).await.is(204);
        editor.patch(&format!("/captions/{}", lead.id()), json!({ "role": "gallery", "text": "Khác" }), 1).await.is(200);
        let other = desk.caption(&draft, &image, "lead").await;
        let broken = desk.current(&draft).await;
        let restore = format!("{}/{}/restore", path(&draft), good["revision"]);
        editor.ask("POST", &restore).await.refuses(428, "precondition_required");
        editor.act(&restore, broken.version() - 1).await.refuses(412, "version_mismatch");
        editor.act(&restore, broken.version()).json(&json!({ "note": 1 })).await.points_at("/note");
        let back = editor.act(&restore, broken.version()).json(&json!({ "note": "Bản này đúng" })).await.is(200);
        assert_eq!(back.header("etag"), format!("\"{}\"", broken.version() + 1));
        assert_eq!(back["revision"], broken["revision"].as_i64().expect("a number") + 1);
        for property in ["title", "slug", "lead", "body", "captions"] {
            assert_eq!(back[property], good[property], "{property}");
        }
        let head = editor.get(&path(&draft)).await.is(200);
        let newest = &head["data"][0];
        assert_eq!((&newest["action"], &newest["note"], &newest["restored_from"]),
            (&json!("revision_restore"), &json!("Bản này đúng"), &good["revision"]));
        editor.get(&format!("/captions/{}", other.id())).await.refuses(404, "not_found");
        let lead_again = editor.get(&format!("/captions/{}", lead.id())).await.is(200);
        editor.patch(&format!("/captions/{}", lead.id()), json!({ "text": "Cũ" }), 2).await.refuses(412, "version_mismatch");
        let inline_again = editor.get(&format!("/captions/{}", inline.id())).await.is(200);
        assert!(lead_again.version() > 2 && inline_again.version() > 1, "no tag of before fits by chance");
        let live = desk.publish(&back).await;
        let read = desk.read(&live).await.is(200);
        assert_eq!((&read["title"], &read["cover"]["id"]), (&json!("Gốc"), &lead["id"]));
    }

    async fn restoring_a_live_story_shows_readers_nothing_yet(desk) {
        let story = desk.story(json!({ "title": "Một" })).await;
        let edited = desk.as_editor().patch(&format!("/articles/{}", story.id()), json!({ "title": "Hai" }), story.version()).await.is(200);
        let live = desk.publish(&edited).await;
        let restore = format!("{}/1/restore", path(&story));
        let back = desk.as_editor().act(&restore, live.version()).header("Idempotency-Key", "r1").await.is(200);
        assert_eq!((&back["title"], &back["has_unpublished_changes"]), (&json!("Một"), &json!(true)));
        assert_eq!(desk.read(&story).await["title"], "Hai");
        let again = desk.as_editor().act(&restore, live.version()).header("Idempotency-Key", "r1").await.is(200);
        assert_eq!((again.header("idempotency-replayed"), again.json), ("true".into(), back.json));
    }

    async fn what_was_deleted_since_is_named_and_never_dropped_in_silence(desk) {
        let editor = desk.as_editor();
        let (section, tag, kept) = (desk.named("sections", "Mục").await, desk.named("tags", "Thẻ").await, desk.named("tags", "Còn").await);
        let content = json!({ "title": "Đủ", "slug": "du", "section_id": section.id(), "tag_ids": [tag.id(), kept.id()] });
        let draft = editor.post("/articles", content).await.is(201);
        let article = format!("/articles/{}", draft.id());
        let image = desk.image(54).await;
        let caption = desk.caption(&draft, &image, "inline").await;
        let body = json!({ "body": [
            { "_type": "figure", "_key": "f", "caption_id": caption.id() },
            { "_type": "block", "_key": "b", "style": "normal", "children": [{ "_type": "span", "_key": "s", "text": "Chữ", "marks": [] }], "markDefs": [] }
        ] });
        let good = editor.patch(&article, body, 2).await.is(200);
        let bare = json!({ "slug": "khac", "section_id": null, "tag_ids": [], "body": [] });
        let now = editor.patch(&article, bare, good.version()).await.is(200);
        editor.delete(&format!("/captions/{}", caption.id()), 1).await.is(204);
        for gone in [format!("/images/{}", image.id()), format!("/sections/{}", section.id()), format!("/tags/{}", tag.id())] {
            editor.delete(&gone, 1).await.is(204);
        }
        editor.post("/articles", json!({ "title": "Bài khác", "slug": "du" })).await.is(201);
        let old = editor.get(&format!("{}/{}", path(&draft), good["revision"])).await.is(200);
        assert_eq!(old["content"]["captions"][0]["image"]["width"], 54, "the history still shows it");
        let (restore, version) = (format!("{}/{}/restore", path(&draft), good["revision"]), now.version() + 1);
        let refused = editor.act(&restore, version).await.refuses(409, "revision_incomplete");
        let places: Vec<&Value> = refused.list("/errors").iter().map(|error| &error["pointer"]).collect();
        assert_eq!(places, ["/content/section_id", "/content/tag_ids/0", "/content/captions/0/image_id", "/content/slug"]);
        assert_eq!(desk.current(&draft).await.version(), version, "a refusal changes nothing");
        let back = editor.act(&restore, version).json(&json!({ "without_deleted": true })).await.is(200);
        assert_eq!((&back["section_id"], &back["tag_ids"], &back["captions"]), (&Value::Null, &json!([kept.id()]), &json!([])));
        assert_eq!((&back["slug"], &back["body"].as_array().expect("blocks").len()), (&json!("khac"), &1));
        desk.publish(&back).await;
    }

    async fn a_translation_of_another_language_does_not_come_back_twice(desk) {
        let editor = desk.as_editor();
        let story = editor.post("/articles", json!({ "title": "Gốc" })).await.is(201);
        let first = editor.post("/articles", json!({ "title": "First", "language": "en", "translation_of": story.id() })).await.is(201);
        let alone = editor.patch(&format!("/articles/{}", first.id()), json!({ "translation_of": null }), 1).await.is(200);
        editor.post("/articles", json!({ "title": "Second", "language": "en", "translation_of": story.id() })).await.is(201);
        editor.act(&format!("{}/1/restore", path(&first)), alone.version()).await.refuses(409, "translation_exists");
    }

    async fn writers_restore_their_drafts_and_nothing_else(desk) {
        let draft = desk.draft("Của tôi").await;
        let article = format!("/articles/{}", draft.id());
        desk.as_writer().patch(&article, json!({ "title": "Khác" }), 1).await.is(200);
        let restore = format!("{}/1/restore", path(&draft));
        desk.as_other_writer().act(&restore, 2).await.refuses(404, "not_found");
        assert_eq!(desk.as_writer().act(&restore, 2).await.is(200)["title"], "Của tôi");
        let live = desk.publish(&desk.current(&draft).await).await;
        desk.as_writer().act(&restore, live.version()).await.refuses(403, "forbidden");
        desk.as_other_writer().get(&path(&draft)).await.refuses(403, "forbidden");
        desk.as_writer().get(&path(&draft)).await.is(200);
        let trashed = desk.action(&live, "trash").await.is(200);
        desk.as_editor().act(&restore, trashed.version()).await.refuses(409, "invalid_transition");
        desk.as_other_writer().get(&path(&draft)).await.refuses(404, "not_found");
    }

    async fn old_revisions_are_thinned_but_not_the_newest_nor_the_published(desk, REVISION_RETENTION_DAYS = "30") {
        let draft = desk.draft("Bài").await;
        let article = format!("/articles/{}", draft.id());
        let second = desk.as_writer().patch(&article, json!({ "lead": "2" }), 1).await.is(200);
        let live = desk.publish(&second).await;
        let fourth = desk.as_editor().patch(&article, json!({ "lead": "4" }), live.version()).await.is(200);
        desk.as_editor().patch(&article, json!({ "lead": "5" }), fourth.version()).await.is(200);
        let untouched = desk.draft("Chỉ một lần").await;
        desk.database().execute("UPDATE revisions SET created_ms = created_ms - 2678400000");
        let last = desk.as_editor().patch(&article, json!({ "lead": "6" }), fourth.version() + 1).await.is(200);
        assert_eq!(numbers(&desk, &draft).await, [6, 5, 4, 3, 2, 1]);
        assert!(desk.terminate().success());
        desk.start();
        for _ in 0..100 {
            if numbers(&desk, &draft).await.len() <= 2 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(numbers(&desk, &draft).await, [6, 3]);
        assert_eq!(numbers(&desk, &untouched).await, [1]);
        assert_eq!(desk.current(&draft).await["lead"], last["lead"]);
    }

    async fn nothing_is_thinned_unless_it_is_asked_for(desk) {
        let draft = desk.draft("Bài").await;
        desk.as_writer().patch(&format!("/articles/{}", draft.id()), json!({ "lead": "2" }), 1).await.is(200);
        desk.database().execute("UPDATE revisions SET created_ms = 0");
        assert!(desk.terminate().success());
        desk.start();
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert_eq!(numbers(&desk, &draft).await, [2, 1]);
    }
}
