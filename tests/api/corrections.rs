//! Corrections, withdrawing and coming back: what readers are told, and where a story stands afterwards.

use crate::support::{Desk, Reply, Value, json, newsroom_tests};

async fn correct(desk: &Desk, article: &Reply, text: &str) -> Reply {
    let path = format!("/articles/{}/corrections", article.id());
    let version = desk.current(article).await.version();
    desk.as_editor()
        .act(&path, version)
        .json(&json!({ "text": text }))
        .await
}

/// The newest change, with its keys.
async fn last_change(desk: &Desk) -> Value {
    let changes = desk.as_reader().get("/changes?limit=100").await.is(200);
    changes.list("/data").last().expect("a change").clone()
}

fn keys(change: &Value) -> Vec<&str> {
    let keys = change["surrogate_keys"].as_array().expect("keys").iter();
    keys.map(|key| key.as_str().expect("a key")).collect()
}

fn key_of(reply: &Reply) -> Vec<String> {
    reply.header("surrogate-key").split(' ').map(str::to_owned).collect()
}

newsroom_tests! {
    async fn a_correction_changes_itself_and_the_date_and_nothing_else(desk) {
        let section = desk.named("sections", "Thời sự").await;
        let story = desk.story(json!({ "title": "Mực nước", "body_markdown": "27 m", "section_id": section.id() })).await;
        let path = format!("/articles/{}", story.id());
        let before = desk.read(&story).await.is(200);
        let edited = desk.as_editor().patch(&path, json!({ "title": "Chưa đăng", "lead": "Chưa đăng" }), story.version()).await.is(200);
        let made = correct(&desk, &story, "Đúng là <b>25,4 m</b>.").await.is(201);
        assert_eq!((&made["text"], &made["article_id"]), (&json!("Đúng là <b>25,4 m</b>."), &story["id"]));
        assert_eq!(made.version(), edited.version() + 1);
        assert_eq!((made.header("etag"), made.header("location")),
            (format!("\"{}\"", made.version()), format!("/management/v1{path}")));
        let after = desk.read(&story).await.is(200);
        assert_eq!(after["corrections"], json!([{ "text": "Đúng là <b>25,4 m</b>.", "at": made["at"] }]));
        assert_eq!(after["updated_at"], made["at"]);
        assert!(after.text("/updated_at") > before.text("/updated_at"));
        let (mut old, mut new) = (before.json.clone(), after.json.clone());
        for story in [&mut old, &mut new] {
            let story = story.as_object_mut().expect("a story");
            story.remove("corrections");
            story.remove("updated_at");
        }
        assert_eq!(old, new, "the working copy is not published by it");
        let now = desk.current(&story).await;
        assert_eq!((&now["title"], &now["has_unpublished_changes"]), (&json!("Chưa đăng"), &json!(true)));
        assert_eq!(now["corrections"], after["corrections"]);
        let change = last_change(&desk).await;
        assert_eq!((&change["type"], &change["article_id"]), (&json!("article.updated"), &story["id"]));
        let list = desk.as_reader().get("/articles?section=thoi-su&sort=-updated_at").await.is(200);
        assert_eq!(list["data"][0]["updated_at"], made["at"]);
        let dropped = keys(&change);
        for shown in [&after, &list] {
            assert!(key_of(shown).iter().any(|key| dropped.contains(&key.as_str())), "{dropped:?}");
        }
        assert!(!change.to_string().contains("25,4"), "ids and keys, never words");
        let second = correct(&desk, &story, "Và ngày là 24.").await.is(201);
        let texts = desk.read(&story).await.json["corrections"].clone();
        assert_eq!((&texts[0]["text"], &texts[1]["text"]), (&made["text"], &second["text"]));
        let history = desk.as_editor().get(&format!("{path}/revisions")).await.is(200);
        assert_eq!((&history["data"][0]["action"], &history["data"][0]["note"]), (&json!("correct"), &json!("Và ngày là 24.")));
    }

    async fn corrections_are_in_every_form_of_the_story(desk) {
        let story = desk.story(json!({ "title": "Mực nước", "lead": "Mở", "body_markdown": "27 m" })).await;
        let english = desk.story(json!({ "title": "Water", "language": "en", "translation_of": story.id() })).await;
        let plain = desk.as_reader().get(&format!("/articles/{}?include=html,json_ld", story.id())).await.is(200);
        assert_eq!(plain["json_ld"].get("correction"), None);
        let made = correct(&desk, &story, "Đúng là 25,4 m & <không> 27 m.").await.is(201);
        correct(&desk, &english, "It is 25.4 m.").await.is(201);
        let path = format!("/articles/{}", story.id());
        let read = desk.as_reader().get(&format!("{path}?include=html,json_ld")).await.is(200);
        assert_eq!(read["json_ld"]["correction"], json!([
            { "@type": "CorrectionComment", "text": "Đúng là 25,4 m & <không> 27 m.", "datePublished": made["at"] }
        ]));
        assert_eq!(read["json_ld"]["dateModified"], made["at"]);
        assert_eq!(read["html"], plain["html"], "the body is the body");
        let alone = desk.as_reader().get(&format!("{path}/json-ld")).await.is(200);
        assert_eq!(alone.json, read["json_ld"]);
        let html = desk.as_reader().get(&format!("{path}/html")).await.is(200).body();
        let words = format!("<h2>Đính chính</h2><ul><li><time datetime=\"{}\">", made.text("/at"));
        assert!(html.contains(&words) && html.contains("25,4 m &amp; &lt;không&gt; 27 m."), "{html}");
        let markdown = desk.as_reader().get(&format!("{path}/markdown")).await.is(200).body();
        assert!(markdown.contains("27 m\n\n## Đính chính\n\n- 2"), "{markdown}");
        for feed in ["/feeds/rss.xml", "/feeds/atom.xml", "/feeds/feed.json"] {
            let vietnamese = desk.as_reader().get(&format!("{feed}?language=vi")).await.is(200).body();
            assert!(vietnamese.contains("Đính chính") && vietnamese.contains("25,4 m"), "{vietnamese}");
            let english = desk.as_reader().get(&format!("{feed}?language=en")).await.is(200).body();
            assert!(english.contains("Corrections") && english.contains("It is 25.4 m."), "{english}");
        }
        let atom = desk.as_reader().get("/feeds/atom.xml?language=vi").await.is(200).body();
        assert!(atom.contains(&format!("<updated>{}</updated>", made.text("/at"))), "{atom}");
    }

    async fn a_correction_is_for_live_stories_and_editors(desk) {
        let draft = desk.draft("Bài").await;
        let path = format!("/articles/{}/corrections", draft.id());
        let text = json!({ "text": "Đúng là" });
        desk.as_writer().post(&path, text.clone()).await.refuses(403, "forbidden");
        desk.as_other_writer().post(&path, text.clone()).await.refuses(404, "not_found");
        let refused = desk.as_editor().act(&path, 1).json(&text).await.refuses(409, "invalid_transition");
        assert!(!refused.list("/allowed").contains(&json!("corrections")));
        let live = desk.publish(&desk.current(&draft).await).await;
        for bad in [json!({}), json!({ "text": "" }), json!({ "text": "x".repeat(2001) }), json!({ "text": null })] {
            desk.as_editor().post(&path, bad).await.points_at("/text");
        }
        desk.as_editor().post(&path, json!({ "text": "x", "at": "2020-01-01T00:00:00Z" })).await.points_at("/at");
        desk.as_editor().post(&path, text.clone()).await.refuses(428, "precondition_required");
        desk.as_editor().act(&path, live.version() - 1).json(&text).await.refuses(412, "version_mismatch");
        let once = desk.as_editor().act(&path, live.version()).json(&text).header("Idempotency-Key", "c").await.is(201);
        let twice = desk.as_editor().act(&path, live.version()).json(&text).header("Idempotency-Key", "c").await.is(201);
        assert_eq!(once.json, twice.json);
        let read = desk.read(&live).await.is(200);
        assert_eq!(read["corrections"].as_array().expect("a list").len(), 1);
        let now = desk.current(&live).await;
        assert_eq!(now["has_unpublished_changes"], false);
        let gone = desk.action(&now, "unpublish").await.is(200);
        desk.as_editor().act(&path, gone.version()).json(&text).await.refuses(409, "invalid_transition");
    }

    async fn a_withdrawn_story_is_gone_everywhere_at_once(desk) {
        let section = desk.named("sections", "Thời sự").await;
        let content = json!({ "title": "Chim lạ", "slug": "chim-cu", "body_markdown": "chim", "section_id": section.id() });
        let other = desk.story(json!({ "title": "Ở lại", "section_id": section.id() })).await;
        let story = desk.story(content).await;
        let path = format!("/articles/{}", story.id());
        let renamed = desk.as_editor().patch(&path, json!({ "slug": "chim-moi" }), story.version()).await.is(200);
        desk.publish(&renamed).await;
        correct(&desk, &story, "Chim khác").await.is(201);
        let reader = desk.as_reader();
        let lists = ["/articles", "/articles?section=thoi-su", "/search?q=chim", "/feeds/rss.xml", "/feeds/atom.xml",
            "/feeds/feed.json", "/sitemap.xml", "/sitemap-news.xml"];
        let related = format!("/articles/{}/related", other.id());
        for list in lists.iter().chain([&related.as_str()]) {
            reader.get(list).await.is(200);
        }
        let shown = reader.get(&path).await.is(200);
        let gone = desk.action(&desk.current(&story).await, "unpublish").await.is(200);
        assert_eq!(gone["status"], "unpublished");
        for name in [story.id(), "chim-cu".into(), "chim-moi".into()] {
            for form in ["", "/html", "/markdown", "/json-ld", "/related", "/feedback"] {
                reader.get(&format!("/articles/{name}{form}")).await.refuses(410, "gone");
            }
        }
        for list in lists.iter().chain([&related.as_str()]) {
            let body = reader.get(list).await.is(200).body();
            assert!(!body.contains("chim-") && !body.contains("Chim") && !body.contains(&story.id()), "{list}: {body}");
        }
        let change = last_change(&desk).await;
        assert_eq!((&change["type"], &change["article_id"]), (&json!("article.unpublished"), &story["id"]));
        let dropped = keys(&change);
        assert!(key_of(&shown).iter().any(|key| dropped.contains(&key.as_str())));
        let section_list = reader.get("/articles?section=thoi-su").await.is(200);
        assert!(key_of(&section_list).iter().any(|key| dropped.contains(&key.as_str())), "{dropped:?}");
        let back = desk.publish(&gone).await;
        assert_eq!(desk.read(&back).await.json["corrections"][0]["text"], "Chim khác", "it was said and stays said");
    }

    async fn coming_back_keeps_the_place_unless_it_is_as_new(desk) {
        let (a, b) = (desk.story(json!({ "title": "A" })).await, desk.story(json!({ "title": "B" })).await);
        let first = desk.read(&a).await.text("/published_at");
        let order = async || {
            let list = desk.as_reader().get("/articles").await.is(200).each("title");
            let feed = desk.as_reader().get("/feeds/feed.json").await.is(200);
            let feed: Vec<String> = feed.list("/items").iter().map(|item| item["title"].as_str().expect("a title").to_owned()).collect();
            assert_eq!(list, feed);
            list.concat()
        };
        assert_eq!(order().await, "BA");
        let gone = desk.action(&a, "unpublish").await.is(200);
        assert_eq!(order().await, "B");
        let back = desk.publish(&gone).await;
        assert_eq!((order().await.as_str(), desk.read(&a).await.text("/published_at")), ("BA", first.clone()));
        assert!(desk.read(&a).await.text("/updated_at") > first);
        let again = desk.publish(&back).await;
        assert_eq!(order().await, "BA");
        let publish = format!("/articles/{}/publish", a.id());
        let new = desk.as_editor().act(&publish, again.version()).json(&json!({ "as_new": true })).await.is(200);
        let read = desk.read(&a).await.is(200);
        assert_eq!((order().await.as_str(), &read["first_published_at"]), ("AB", &json!(first)));
        assert!(read.text("/published_at") > first && read["published_at"] == read["updated_at"]);
        let old = json!({ "published_at": "2020-05-06T07:08:09.010Z" });
        desk.as_editor().act(&publish, new.version()).json(&old).await.is(200);
        let read = desk.read(&a).await.is(200);
        assert_eq!((order().await.as_str(), &read["published_at"]), ("BA", &old["published_at"]));
        assert_eq!(read["first_published_at"], old["published_at"]);
        let later = json!({ "published_at": "2999-01-01T00:00:00Z" });
        desk.as_editor().act(&format!("/articles/{}/publish", b.id()), b.version()).json(&later).await.points_at("/published_at");
    }

    async fn what_an_erased_story_said_is_gone_with_it(desk) {
        let story = desk.story(json!({ "title": "Bài", "slug": "bai-xoa" })).await;
        correct(&desk, &story, "Đúng là").await.is(201);
        let trashed = desk.action(&desk.current(&story).await, "trash").await.is(200);
        desk.as_editor().delete(&format!("/articles/{}", story.id()), trashed.version()).await.is(204);
        desk.as_reader().get("/articles/bai-xoa").await.refuses(410, "gone");
        desk.database().execute("CREATE TABLE none_left (n BIGINT CHECK (n = 0)); INSERT INTO none_left SELECT COUNT(*) FROM corrections");
    }
}
