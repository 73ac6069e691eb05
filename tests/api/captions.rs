//! Images placed in articles.

use crate::support::{Value, json, newsroom_tests};

newsroom_tests! {
    async fn a_caption_is_a_change_of_its_article(desk) {
        let story = desk.story(json!({ "title": "Có ảnh" })).await;
        let image = desk.image(60).await;
        let caption = desk.caption(&story, &image, "lead").await;
        assert_eq!(caption["article_version"], story.version() + 1);
        let article = desk.current(&story).await;
        assert_eq!((article.version(), &article["has_unpublished_changes"]), (story.version() + 1, &json!(true)));
        assert_eq!(article["revision"], story["revision"].as_i64().expect("a number") + 1);
        assert_eq!(article["captions"][0]["id"], caption["id"]);
        let stale = format!("/articles/{}/publish", story.id());
        desk.as_editor().act(&stale, story.version()).await.refuses(412, "version_mismatch");
        assert_eq!(desk.read(&story).await["cover"], Value::Null, "not before it is published");
        desk.publish(&article).await;
        let read = desk.read(&story).await.is(200);
        assert_eq!(read["cover"]["id"], caption["id"]);
        assert_eq!(read["cover"]["image"]["width"], 60);
    }

    async fn an_empty_caption_takes_the_images_words(desk) {
        let image = desk.image(61).await;
        let words = json!({ "alt": "Cầu", "credit": "Ảnh: TTX", "caption": "Sông Cầu" });
        desk.as_editor().patch(&format!("/images/{}", image.id()), words, 1).await.is(200);
        let draft = desk.as_editor().post("/articles", json!({ "title": "Lời ảnh" })).await.is(201);
        let place = json!({ "article_id": draft.id(), "image_id": image.id(), "role": "inline", "alt": "Riêng" });
        let caption = desk.as_editor().post("/captions", place).await.is(201);
        assert_eq!((&caption["text"], &caption["alt"]), (&Value::Null, &json!("Riêng")));
        let article = desk.current(&draft).await;
        desk.publish(&article).await;
        let placed = desk.read(&draft).await.json["captions"][0].clone();
        assert_eq!((&placed["text"], &placed["alt"], &placed["credit"]), (&json!("Sông Cầu"), &json!("Riêng"), &json!("Ảnh: TTX")));
    }

    async fn an_article_has_one_lead_image(desk) {
        let draft = desk.as_editor().post("/articles", json!({ "title": "Một ảnh chính" })).await.is(201);
        let image = desk.image(62).await;
        desk.caption(&draft, &image, "lead").await;
        let place = json!({ "article_id": draft.id(), "image_id": image.id(), "role": "lead" });
        desk.as_editor().post("/captions", place).await.refuses(409, "lead_exists");
        let second = desk.caption(&draft, &image, "gallery").await;
        let path = format!("/captions/{}", second.id());
        desk.as_editor().patch(&path, json!({ "role": "lead" }), 1).await.refuses(409, "lead_exists");
        assert_eq!(desk.as_editor().get(&path).await["version"], 1, "a refusal changes nothing");
    }

    async fn captions_keep_their_order(desk) {
        let draft = desk.as_editor().post("/articles", json!({ "title": "Thứ tự" })).await.is(201);
        let image = desk.image(63).await;
        let first = desk.caption(&draft, &image, "gallery").await;
        let second = desk.caption(&draft, &image, "gallery").await;
        assert_eq!((&first["position"], &second["position"]), (&json!(0), &json!(1)));
        desk.as_editor().patch(&format!("/captions/{}", first.id()), json!({ "position": 5 }), 1).await.is(200);
        let list = desk.as_editor().get(&format!("/captions?article_id={}", draft.id())).await.is(200);
        assert_eq!(list.each("id"), [second.id(), first.id()]);
        let by_image = desk.as_editor().get(&format!("/captions?image_id={}", image.id())).await.is(200);
        assert_eq!(by_image.each("id").len(), 2);
        let bad = json!({ "position": -1 });
        desk.as_editor().patch(&format!("/captions/{}", second.id()), bad, 1).await.points_at("/position");
    }

    async fn a_caption_that_a_figure_shows_stays(desk) {
        let draft = desk.as_editor().post("/articles", json!({ "title": "Hình" })).await.is(201);
        let image = desk.image(64).await;
        let caption = desk.caption(&draft, &image, "inline").await;
        let article = desk.current(&draft).await;
        let path = format!("/articles/{}", draft.id());
        let body = json!({ "body": [{ "_type": "figure", "caption_id": caption.id() }] });
        let with = desk.as_editor().patch(&path, body, article.version()).await.is(200);
        let its_path = format!("/captions/{}", caption.id());
        let used = desk.as_editor().delete(&its_path, 1).await.refuses(409, "in_use");
        assert_eq!(used["used_in"][0]["id"], draft.id());
        desk.publish(&with).await;
        let read = desk.read(&draft).await.is(200);
        assert_eq!(read["body"][0]["caption"]["image"]["id"], image.id(), "a renderer has all it needs");
        let now = desk.current(&draft).await;
        desk.as_editor().patch(&path, json!({ "body": [] }), now.version()).await.is(200);
        desk.as_editor().delete(&its_path, 1).await.is(204);
        desk.as_editor().get(&its_path).await.refuses(404, "not_found");
    }

    async fn a_caption_needs_an_article_and_an_image(desk) {
        let draft = desk.draft("Của phóng viên").await;
        let image = desk.image(65).await;
        let place = |article: String, image: String| json!({ "article_id": article, "image_id": image, "role": "inline" });
        let writer = desk.as_writer();
        writer.post("/captions", place(image.id(), image.id())).await.points_at("/article_id");
        writer.post("/captions", place(draft.id(), draft.id())).await.points_at("/image_id");
        let hidden = desk.as_other_writer().post("/articles", json!({ "title": "Kín" })).await.is(201);
        writer.post("/captions", place(hidden.id(), image.id())).await.points_at("/article_id");
        let caption = writer.post("/captions", place(draft.id(), image.id())).await.is(201);
        let path = format!("/captions/{}", caption.id());
        desk.as_other_writer().get(&path).await.refuses(404, "not_found");
        desk.as_other_writer().patch(&path, json!({ "text": "X" }), 1).await.refuses(404, "not_found");
        assert!(desk.as_other_writer().get("/captions").await.is(200).each("id").is_empty());
    }
}
