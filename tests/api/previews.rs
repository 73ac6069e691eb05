//! Links that show one revision to whoever has them, and to nobody else.

use std::time::Duration;

use crate::support::database::PASSWORD;
use crate::support::{Desk, Reply, Value, json, newsroom_tests};

/// The editor makes a link.
async fn link(desk: &Desk, article: &Reply, input: Value) -> Reply {
    let path = format!("/articles/{}/preview-links", article.id());
    desk.as_editor().post(&path, input).await
}

async fn open(desk: &Desk, link: &Reply) -> Reply {
    desk.as_reader()
        .get(&format!("/previews/{}", link.text("/token")))
        .await
}

/// A draft with a section, a tag, an author, a lead image and a figure.
async fn whole_draft(desk: &Desk) -> Reply {
    let section = desk.named("sections", "Thời sự").await;
    let tag = desk.named("tags", "Lũ").await;
    let author = desk.named("authors", "An").await;
    let content = json!({
        "title": "Xem trước", "lead": "Nước rút.", "section_id": section.id(), "tag_ids": [tag.id()],
        "author_ids": [author.id()], "source": { "name": "Báo" }
    });
    let draft = desk.as_editor().post("/articles", content).await.is(201);
    desk.caption(&draft, &desk.image(60).await, "lead").await;
    let inline = desk.caption(&draft, &desk.image(61).await, "inline").await;
    let body = json!({ "body_markdown": format!("Một đoạn.\n\n![](caption:{})", inline.id()) });
    desk.as_editor()
        .ask("PATCH", &format!("/articles/{}", draft.id()))
        .json(&body)
        .header("If-Match", "*")
        .await
        .is(200)
}

newsroom_tests! {
    async fn a_link_shows_one_revision_as_readers_would_get_it(desk) {
        let draft = whole_draft(&desk).await;
        let made = link(&desk, &draft, json!({})).await.is(201);
        assert_eq!(made["revision"], draft["revision"]);
        let token = made.text("/token");
        assert_eq!(made.text("/url"), format!("{}/delivery/v1/previews/{token}", desk.address()));
        assert_eq!(made.text("/front_end_url"), format!("https://bao.example.vn/preview?token={token}"));
        let path = format!("/management/v1/articles/{}/preview-links/{}", draft.id(), made.id());
        assert_eq!(made.header("location"), path);
        let preview = open(&desk, &made).await.is(200);
        let edited = desk.as_editor()
            .patch(&format!("/articles/{}", draft.id()), json!({ "title": "Đã sửa" }), draft.version()).await.is(200);
        assert_eq!(open(&desk, &made).await.json, preview.json, "it stays with its revision");
        let newest = link(&desk, &draft, json!({})).await.is(201);
        assert_eq!(open(&desk, &newest).await["title"], "Đã sửa");
        let older = link(&desk, &draft, json!({ "revision": 1 })).await.is(201);
        assert_eq!(open(&desk, &older).await.list("/captions").len(), 0);
        desk.read(&draft).await.refuses(404, "not_found");

        let back = desk.as_editor()
            .patch(&format!("/articles/{}", draft.id()), json!({ "title": "Xem trước" }), edited.version()).await.is(200);
        desk.publish(&back).await;
        let published = desk.read(&draft).await.is(200);
        for (name, value) in published.json.as_object().expect("a story") {
            if !["published_at", "first_published_at", "updated_at"].contains(&name.as_str()) {
                assert_eq!(preview[name], *value, "{name}");
            }
        }
        assert_eq!(preview.json.as_object().expect("a story").len(), published.json.as_object().expect("a story").len());
        assert_eq!(preview["body"][1]["caption"]["text"], "Nước rút");
        assert_eq!(preview["cover"], preview["captions"][0]);
    }

    async fn a_preview_has_the_forms_of_a_story(desk) {
        let draft = whole_draft(&desk).await;
        let made = link(&desk, &draft, json!({})).await.is(201);
        let path = format!("/previews/{}", made.text("/token"));
        let preview = desk.as_reader().get(&format!("{path}?include=html,markdown,text,json_ld")).await.is(200);
        assert!(preview.text("/html").contains("<figure"));
        assert_eq!(preview["json_ld"]["@type"], "NewsArticle");
        desk.as_reader().get(&format!("{path}?include=drafts")).await.refuses(400, "invalid_parameter");
        desk.as_reader().get("/previews/ndp_unknown?include=drafts").await.refuses(404, "not_found");
        let head = desk.as_reader().ask("HEAD", &path).await.is(200);
        assert_eq!(head.header("cache-control"), "private, no-store");
    }

    async fn no_cache_and_no_search_engine_keeps_it(desk) {
        let draft = desk.draft("Riêng tư").await;
        let made = link(&desk, &draft, json!({})).await.is(201);
        let preview = open(&desk, &made).await.is(200);
        assert_eq!(preview.header("x-robots-tag"), "noindex");
        assert_eq!(preview.header("cache-control"), "private, no-store");
        for absent in ["etag", "last-modified", "surrogate-key"] {
            assert_eq!(preview.header(absent), "", "{absent}");
        }
        desk.as_editor().ask("DELETE", &format!("/articles/{}/preview-links/{}", draft.id(), made.id())).await.is(204);
        let ended = open(&desk, &made).await.refuses(410, "preview_ended");
        assert_eq!(ended.header("cache-control"), "private, no-store");
        assert_eq!(ended.header("x-robots-tag"), "noindex");
        let unknown = desk.as_reader().get("/previews/ndp_x").await.refuses(404, "not_found");
        assert_eq!(unknown.header("cache-control"), "private, no-store");
    }

    async fn a_link_ends_by_time_by_hand_and_with_its_article(desk) {
        let draft = desk.draft("Có hạn").await;
        let short = link(&desk, &draft, json!({ "expires_in": 1 })).await.is(201);
        let long = link(&desk, &draft, json!({ "expires_in": 2_592_000 })).await.is(201);
        open(&desk, &short).await.is(200);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        open(&desk, &short).await.refuses(410, "preview_ended");
        open(&desk, &long).await.is(200);
        let path = format!("/articles/{}/preview-links", draft.id());
        let list = desk.as_editor().get(&format!("{path}?include_total=true")).await.is(200);
        assert_eq!(list.each("id"), [long.id(), short.id()], "newest first");
        assert_eq!(list["page"]["total"], 2);
        assert_eq!(list["data"][0]["created_by"]["name"], "Trần Biên Tập");
        assert_eq!(list["data"][0].get("token"), None, "it is told once");
        for (wrong, pointer) in [
            (json!({ "expires_in": 0 }), "/expires_in"),
            (json!({ "expires_in": 2_592_001 }), "/expires_in"),
            (json!({ "revision": 99 }), "/revision"),
            (json!({ "revision": 0 }), "/revision"),
        ] {
            link(&desk, &draft, wrong).await.points_at(pointer);
        }
        let trashed = desk.action(&draft, "trash").await.is(200);
        open(&desk, &long).await.refuses(410, "preview_ended");
        link(&desk, &draft, json!({})).await.refuses(409, "invalid_transition");
        let restored = desk.action(&trashed, "restore").await.is(200);
        open(&desk, &long).await.refuses(410, "preview_ended");
        let again = link(&desk, &draft, json!({})).await.is(201);
        open(&desk, &again).await.is(200);
        let trashed = desk.action(&restored, "trash").await.is(200);
        desk.as_editor().delete(&format!("/articles/{}", draft.id()), trashed.version()).await.is(204);
        open(&desk, &again).await.refuses(404, "not_found");
    }

    async fn a_token_is_kept_nowhere(desk, LOG = "debug") {
        let draft = desk.draft("Bí mật").await;
        let path = format!("/articles/{}/preview-links", draft.id());
        let editor = desk.as_editor();
        let make = || editor.post(&path, json!({})).header("Idempotency-Key", "xem");
        let made = make().await.is(201);
        let again = make().await.is(201);
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.json, made.json, "the same request is answered alike");
        let token = made.text("/token");
        open(&desk, &made).await.is(200);
        let mut bad = token.clone();
        bad.replace_range(20..21, if &token[20..21] == "A" { "B" } else { "A" });
        desk.as_reader().get(&format!("/previews/{bad}")).await.refuses(404, "not_found");
        assert!(!desk.log().contains(&token[..40]), "the log tells a token");
        for (table, column) in [("idempotency", "body"), ("idempotency", "headers"), ("audit", "data"), ("preview_links", "token_hash")] {
            let query = format!("{table} WHERE {column} LIKE '%{}%'", &token[4..]);
            assert_eq!(desk.database().count(&query), 0, "{table}.{column}");
        }
        // A row of somebody who can write the database, not knowing the secret, opens nothing.
        let id = made.id();
        desk.database().execute(&format!("UPDATE preview_links SET token_hash = 'x' WHERE id = '{id}'"));
        open(&desk, &made).await.refuses(404, "not_found");
    }

    async fn what_a_live_preview_shows_is_in_use(desk) {
        let editor = desk.as_editor();
        let section = desk.named("sections", "Thể thao").await;
        let draft = editor.post("/articles", json!({ "title": "Giữ", "section_id": section.id() })).await.is(201);
        let image = desk.image(66).await;
        let caption = desk.caption(&draft, &image, "lead").await;
        let made = link(&desk, &draft, json!({})).await.is(201);
        let current = desk.current(&draft).await;
        editor.patch(&format!("/articles/{}", draft.id()), json!({ "section_id": null }), current.version()).await.is(200);
        editor.delete(&format!("/captions/{}", caption.id()), 1).await.is(204);
        let used = editor.delete(&format!("/sections/{}", section.id()), 1).await.refuses(409, "in_use");
        assert_eq!(used["used_in"][0]["id"], draft.id());
        editor.delete(&format!("/images/{}", image.id()), 1).await.refuses(409, "in_use");
        assert_eq!(open(&desk, &made).await["section"]["slug"], "the-thao");
        desk.database().execute("UPDATE holds SET until_ms = 1");
        editor.delete(&format!("/sections/{}", section.id()), 1).await.is(204);
        let preview = open(&desk, &made).await.is(200);
        assert_eq!(preview["section"], Value::Null);
        assert_eq!(preview.list("/captions").len(), 1);
    }

    async fn a_live_story_keeps_its_times_in_a_preview(desk) {
        let story = desk.story(json!({ "title": "Đang đăng" })).await;
        let read = desk.read(&story).await;
        let path = format!("/articles/{}", story.id());
        desk.as_editor().patch(&path, json!({ "title": "Bản sau", "slug": "ban-sau" }), story.version()).await.is(200);
        let made = link(&desk, &story, json!({})).await.is(201);
        let preview = open(&desk, &made).await.is(200);
        assert_eq!((&preview["title"], &preview["slug"]), (&json!("Bản sau"), &json!("ban-sau")));
        assert_eq!(preview["published_at"], read["published_at"]);
        assert_eq!(desk.read(&story).await.bytes, read.bytes);
        desk.as_reader().get("/articles/ban-sau").await.refuses(404, "not_found");
    }

    async fn the_front_end_says_where_it_shows_previews(desk, PREVIEW_URL = "{site}/{language}/xem/{id}?t={token}") {
        let draft = desk.draft("Địa chỉ").await;
        let made = link(&desk, &draft, json!({})).await.is(201);
        let expected = format!("https://bao.example.vn/vi/xem/{}?t={}", draft.id(), made.text("/token"));
        assert_eq!(made.text("/front_end_url"), expected);
    }

    async fn a_link_is_found_under_its_own_article_only(desk) {
        let (one, other) = (desk.draft("Một").await, desk.draft("Hai").await);
        let made = link(&desk, &one, json!({})).await.is(201);
        let path = format!("/articles/{}/preview-links", other.id());
        desk.as_editor().ask("DELETE", &format!("{path}/{}", made.id())).await.refuses(404, "not_found");
        desk.as_editor().ask("DELETE", &format!("{path}/x")).await.refuses(404, "not_found");
        assert!(desk.as_editor().get(&path).await.is(200).each("id").is_empty());
        open(&desk, &made).await.is(200);
        let own = format!("/articles/{}/preview-links/{}", one.id(), made.id());
        desk.as_editor().ask("DELETE", &own).await.is(204);
        desk.as_editor().ask("DELETE", &own).await.is(204);
        let lines = desk.database().count("audit WHERE action LIKE 'preview_link.%'");
        assert_eq!(lines, 2, "made and revoked once");
    }
    async fn a_link_goes_with_the_account_of_who_made_it(desk) {
        let admin = desk.as_admin();
        let account = json!({ "email": "khach@example.vn", "name": "Khách", "role": "editor", "password": PASSWORD });
        let account = admin.post("/editors", account).await.is(201);
        let signed_in = desk.log_in("khach@example.vn", PASSWORD).await.is(200);
        let draft = desk.draft("Của khách").await;
        let guest = desk.with_token(&signed_in.text("/access_token"));
        let made = guest.post(&format!("/articles/{}/preview-links", draft.id()), json!({})).await.is(201);
        open(&desk, &made).await.is(200);
        admin.delete(&format!("/editors/{}", account.id()), 1).await.is(204);
        open(&desk, &made).await.refuses(404, "not_found");
    }
}
