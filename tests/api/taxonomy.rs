//! Sections, tags and authors.

use crate::support::{Value, json, newsroom_tests};

newsroom_tests! {
    async fn a_new_name_shows_at_once_in_delivered_stories(desk) {
        let section = desk.named("sections", "Thời sự").await;
        let tag = desk.named("tags", "Lũ").await;
        let author = desk.named("authors", "Thu Hà").await;
        let story = desk.story(json!({
            "title": "Tin", "section_id": section.id(), "tag_ids": [tag.id()], "author_ids": [author.id()]
        })).await;
        let before = desk.read(&story).await.is(200);
        assert_eq!(before["section"], json!({ "id": section.id(), "slug": "thoi-su", "name": "Thời sự" }));
        for (kind, item) in [("sections", &section), ("tags", &tag), ("authors", &author)] {
            let path = format!("/{kind}/{}", item.id());
            desk.as_editor().patch(&path, json!({ "name": "Tên mới" }), 1).await.is(200);
        }
        let after = desk.read(&story).await.is(200);
        assert_eq!(after["section"]["name"], "Tên mới");
        assert_eq!((&after["tags"][0]["name"], &after["authors"][0]["name"]), (&json!("Tên mới"), &json!("Tên mới")));
        assert_ne!(after.header("etag"), before.header("etag"));
        let list = desk.as_reader().get("/articles").await.is(200);
        assert_eq!(list["data"][0]["section"]["name"], "Tên mới");
        assert_eq!(desk.current(&story).await["has_unpublished_changes"], false);
    }

    async fn what_is_in_use_stays(desk) {
        for (kind, property) in [("sections", "section_id"), ("tags", "tag_ids"), ("authors", "author_ids")] {
            let item = desk.named(kind, "Dùng").await;
            let value = if kind == "sections" { json!(item.id()) } else { json!([item.id()]) };
            let mut content = json!({ "title": "Bài" });
            content[property] = value;
            let draft = desk.as_editor().post("/articles", content).await.is(201);
            let path = format!("/{kind}/{}", item.id());
            let used = desk.as_editor().delete(&path, 1).await.refuses(409, "in_use");
            assert_eq!((&used["used_in"][0]["id"], &used["used_in"][0]["type"]), (&draft["id"], &json!("article")));
            let story = desk.publish(&draft).await;
            let article = format!("/articles/{}", story.id());
            let clear = if kind == "sections" { Value::Null } else { json!([]) };
            let cleared = desk.as_editor().patch(&article, json!({ property: clear }), story.version()).await.is(200);
            desk.as_editor().delete(&path, 1).await.refuses(409, "in_use");
            desk.publish(&cleared).await;
            desk.as_editor().delete(&path, 1).await.is(204);
            desk.as_editor().get(&path).await.refuses(404, "not_found");
        }
    }

    async fn a_trashed_article_still_uses_its_section(desk) {
        let section = desk.named("sections", "Thùng rác").await;
        let draft = desk.as_editor().post("/articles", json!({ "title": "Bài", "section_id": section.id() })).await.is(201);
        let trashed = desk.action(&draft, "trash").await.is(200);
        let path = format!("/sections/{}", section.id());
        desk.as_editor().delete(&path, 1).await.refuses(409, "in_use");
        desk.as_editor().delete(&format!("/articles/{}", draft.id()), trashed.version()).await.is(204);
        desk.as_editor().delete(&path, 1).await.is(204);
    }

    async fn readers_are_told_of_what_live_stories_use(desk) {
        for (kind, property) in [("sections", "section_id"), ("tags", "tag_ids"), ("authors", "author_ids")] {
            let item = desk.named(kind, "Kín đáo").await;
            let mut content = json!({ "title": "Bài" });
            content[property] = if kind == "sections" { json!(item.id()) } else { json!([item.id()]) };
            let draft = desk.as_editor().post("/articles", content).await.is(201);
            let (list, one, by_slug) = (format!("/{kind}"), format!("/{kind}/{}", item.id()), format!("/{kind}/kin-dao"));
            let reader = desk.as_reader();
            assert!(reader.get(&list).await.is(200).each("id").is_empty(), "{kind} of a draft");
            reader.get(&one).await.refuses(404, "not_found");
            let story = desk.publish(&draft).await;
            assert_eq!(reader.get(&list).await.is(200).each("id"), [item.id()]);
            assert_eq!(reader.get(&one).await.is(200).json, reader.get(&by_slug).await.is(200).json);
            desk.action(&story, "unpublish").await.is(200);
            assert!(reader.get(&list).await.is(200).each("id").is_empty(), "{kind} of a withdrawn story");
            reader.get(&one).await.refuses(404, "not_found");
        }
    }

    async fn slugs_are_unique_in_their_kind(desk) {
        for kind in ["sections", "tags", "authors"] {
            let path = format!("/{kind}");
            let first = desk.named(kind, "Hoạt động").await;
            assert_eq!(first["slug"], "hoat-dong");
            desk.as_editor().post(&path, json!({ "name": "X", "slug": "hoat-dong" })).await.refuses(409, "slug_taken");
            let second = desk.as_editor().post(&path, json!({ "name": "Khác" })).await.is(201);
            let one = format!("/{kind}/{}", second.id());
            desk.as_editor().patch(&one, json!({ "slug": "hoat-dong" }), 1).await.refuses(409, "slug_taken");
            let changed = desk.as_editor().patch(&one, json!({ "name": "Mới", "slug": null }), 1).await.is(200);
            assert_eq!(changed["slug"], "moi");
            desk.as_editor().patch(&one, json!({ "name": null }), 2).await.points_at("/name");
            desk.as_editor().patch(&one, json!({ "name": "x" }), 1).await.refuses(412, "version_mismatch");
        }
    }

    async fn a_section_has_one_level_of_children(desk) {
        let top = desk.named("sections", "Cha").await;
        let child = desk.as_editor().post("/sections", json!({ "name": "Con", "parent_id": top.id() })).await.is(201);
        let below = json!({ "name": "Cháu", "parent_id": child.id() });
        desk.as_editor().post("/sections", below).await.points_at("/parent_id");
        let path = format!("/sections/{}", top.id());
        desk.as_editor().patch(&path, json!({ "parent_id": top.id() }), 1).await.points_at("/parent_id");
        desk.as_editor().delete(&path, 1).await.refuses(409, "in_use");
    }

    async fn a_writer_makes_tags_and_nothing_else_here(desk) {
        desk.as_writer().post("/tags", json!({ "name": "Mới" })).await.is(201);
        for kind in ["/sections", "/authors"] {
            desk.as_writer().post(kind, json!({ "name": "Mới" })).await.refuses(403, "forbidden");
        }
    }

    async fn lists_are_looked_through_without_accents(desk) {
        for kind in ["sections", "tags", "authors"] {
            let item = desk.named(kind, "Đường sắt").await;
            desk.named(kind, "Khác").await;
            for words in ["duong", "%C4%91%C6%B0%E1%BB%9Dng", "SAT"] {
                let list = desk.as_writer().get(&format!("/{kind}?q={words}")).await.is(200);
                assert_eq!(list.each("id"), [item.id()], "{kind} {words}");
            }
        }
    }
}
