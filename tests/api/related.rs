//! Other news.

use crate::support::{Desk, Reply, Value, json, newsroom_tests};

async fn related(desk: &Desk, story: &Reply, query: &str) -> Vec<String> {
    let path = format!("/articles/{}/related{query}", story.id());
    desk.as_reader().get(&path).await.is(200).each("title")
}

async fn at(desk: &Desk, content: Value, day: u32) -> Reply {
    let draft = desk.as_editor().post("/articles", content).await.is(201);
    let path = format!("/articles/{}/publish", draft.id());
    let input = json!({ "published_at": format!("2024-03-{day:02}T00:00:00Z") });
    desk.as_editor()
        .ask("POST", &path)
        .version(draft.version())
        .json(&input)
        .await
        .is(200)
}

newsroom_tests! {
    async fn other_news_are_the_newest_of_the_section(desk) {
        let section = desk.named("sections", "Thời sự").await;
        let of = |title: &str| json!({ "title": title, "section_id": section.id() });
        let story = at(&desk, of("Chính"), 5).await;
        for (title, day) in [("Cũ", 1), ("Mới", 9), ("Giữa", 4)] {
            at(&desk, of(title), day).await;
        }
        let elsewhere = at(&desk, json!({ "title": "Nơi khác" }), 10).await;
        let draft = desk.as_editor().post("/articles", of("Nháp")).await.is(201);
        assert_eq!(related(&desk, &story, "").await, ["Mới", "Giữa", "Cũ"]);
        assert_eq!(related(&desk, &story, "?limit=1&by=section").await, ["Mới"]);
        assert_eq!(related(&desk, &elsewhere, "?limit=2").await, ["Mới", "Chính"], "without a section, of all");
        desk.publish(&draft).await;
        assert_eq!(related(&desk, &story, "?limit=1").await, ["Nháp"], "at once");
    }

    async fn other_news_are_in_the_language_of_the_story(desk) {
        let section = desk.named("sections", "Văn hóa").await;
        let of = |title: &str, language: &str| json!({ "title": title, "section_id": section.id(), "language": language });
        let story = at(&desk, of("Đèn lồng", "vi"), 5).await;
        for (title, language, day) in [("Lanterns", "en", 9), ("Phố cổ", "vi", 3), ("Old quarter", "en", 2)] {
            at(&desk, of(title, language), day).await;
        }
        let mut translation = of("Lantern", "en");
        translation["translation_of"] = json!(story.id());
        let english = at(&desk, translation, 8).await;
        assert_eq!(related(&desk, &story, "").await, ["Phố cổ"]);
        assert_eq!(related(&desk, &english, "").await, ["Lanterns", "Old quarter"]);
    }

    async fn the_most_alike_come_first_and_the_newest_fill_up(desk) {
        let tag = desk.named("tags", "Lũ").await;
        let story = at(&desk, json!({ "title": "Lũ rút trên sông Cầu", "tag_ids": [tag.id()], "lead": "Bà con dọn bùn" }), 5).await;
        for (content, day) in [
            (json!({ "title": "Nước sông Cầu lên nhanh" }), 1),
            (json!({ "title": "Chợ phiên", "body_markdown": "Bà con dọn bùn để họp chợ" }), 2),
            (json!({ "title": "Bóng đá" }), 9),
            (json!({ "title": "Đê điều", "tag_ids": [tag.id()] }), 3),
            (json!({ "title": "Sông Cầu", "language": "en", "tag_ids": [tag.id()] }), 8),
            (json!({ "title": "Lũ rút trên sông Hồng", "tag_ids": [tag.id()] }), 4),
        ] {
            at(&desk, content, day).await;
        }
        let expected = ["Lũ rút trên sông Hồng", "Đê điều", "Nước sông Cầu lên nhanh", "Chợ phiên", "Bóng đá"];
        assert_eq!(related(&desk, &story, "?by=topic").await, expected);
        assert_eq!(related(&desk, &story, "?by=topic&limit=2").await, expected[..2]);
    }

    async fn addresses_are_those_of_the_story(desk) {
        let story = desk.story(json!({ "title": "Tin", "slug": "ten-cu" })).await;
        desk.as_reader().get("/articles/ten-cu/related").await.is(200);
        let moved = desk.as_editor().patch(&format!("/articles/{}", story.id()), json!({ "slug": "ten-moi" }), story.version()).await.is(200);
        let live = desk.publish(&moved).await;
        let answer = desk.as_reader().get("/articles/ten-cu/related?by=topic").await.is(308);
        assert_eq!(answer.header("location"), "/delivery/v1/articles/ten-moi/related?by=topic");
        for bad in ["limit=0", "limit=101", "by=date", "x=1", "cursor=a"] {
            desk.as_reader().get(&format!("/articles/ten-moi/related?{bad}")).await.is(400);
        }
        desk.action(&live, "unpublish").await.is(200);
        desk.as_reader().get("/articles/ten-moi/related").await.refuses(410, "gone");
        let draft = desk.draft("Nháp").await;
        desk.as_reader().get(&format!("/articles/{}/related", draft.id())).await.refuses(404, "not_found");
    }
}
