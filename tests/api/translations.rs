//! A story in several languages: its parts know each other.

use crate::support::{Desk, Reply, Value, json, newsroom_tests};

async fn draft(desk: &Desk, title: &str, language: &str, of: Option<&Reply>) -> Reply {
    let mut content = json!({ "title": title, "language": language });
    if let Some(of) = of {
        content["translation_of"] = json!(of.id());
    }
    desk.as_editor().post("/articles", content).await.is(201)
}

async fn languages(desk: &Desk, story: &Reply) -> Vec<String> {
    let read = desk.read(story).await.is(200);
    let list = read.list("/translations").iter();
    list.map(|one| one["language"].as_str().expect("a language").to_owned())
        .collect()
}

async fn etag(desk: &Desk, story: &Reply) -> String {
    desk.read(story).await.is(200).header("etag")
}

newsroom_tests! {
    async fn translations_know_each_other(desk) {
        let section = desk.named("sections", "Thời sự").await;
        let story = desk.story(json!({ "title": "Lũ rút", "section_id": section.id() })).await;
        let english = draft(&desk, "The flood recedes", "en", Some(&story)).await;
        assert_eq!(english["translation_of"], story["id"]);
        assert_eq!(desk.read(&story).await["translations"], json!([]), "a draft is nothing to readers");
        let before = etag(&desk, &story).await;
        let live = desk.publish(&english).await;
        let one = desk.read(&story).await.is(200);
        let read = desk.read(&live).await.is(200);
        assert_eq!(one["translations"], json!([
            { "language": "en", "id": english["id"], "slug": "the-flood-recedes", "title": "The flood recedes", "url": read["url"] }
        ]));
        assert_eq!(read["translations"], json!([
            { "language": "vi", "id": story["id"], "slug": "lu-rut", "title": "Lũ rút", "url": one["url"] }
        ]));
        assert_ne!(etag(&desk, &story).await, before);
        let changes = desk.as_reader().get("/changes").await.is(200);
        let change = changes.list("/data").last().expect("a change");
        assert_eq!((&change["article_id"], &change["language"]), (&english["id"], &json!("en")));
        let own = one.header("surrogate-key");
        let own: Vec<&str> = own.split(' ').filter(|key| key.starts_with('a') && key.len() == 12).collect();
        let touched: &Value = &change["surrogate_keys"];
        assert!(own.iter().all(|key| touched.as_array().expect("keys").contains(&json!(key))), "{own:?} {touched}");
    }

    async fn whatever_one_becomes_the_others_show(desk) {
        let story = desk.story(json!({ "title": "Lũ rút" })).await;
        let english = desk.publish(&draft(&desk, "Flood", "en", Some(&story)).await).await;
        let path = format!("/articles/{}", english.id());
        let renamed = desk.as_editor().patch(&path, json!({ "title": "Flood is over", "slug": "over" }), english.version()).await.is(200);
        assert_eq!(desk.read(&story).await["translations"][0]["title"], "Flood", "not before it is published");
        let english = desk.publish(&renamed).await;
        let shown = desk.read(&story).await.json["translations"][0].clone();
        assert_eq!((&shown["title"], &shown["slug"]), (&json!("Flood is over"), &json!("over")));
        let gone = desk.action(&english, "unpublish").await.is(200);
        assert_eq!(languages(&desk, &story).await, [""; 0]);
        let back = desk.publish(&gone).await;
        assert_eq!(languages(&desk, &story).await, ["en"]);
        // It leaves the group: both sides forget it when that is published.
        let alone = desk.as_editor().patch(&path, json!({ "translation_of": null }), back.version()).await.is(200);
        assert_eq!(languages(&desk, &story).await, ["en"]);
        let alone = desk.publish(&alone).await;
        assert_eq!((languages(&desk, &story).await, languages(&desk, &alone).await), (vec![], vec![]));
        let joined = desk.as_editor().patch(&path, json!({ "translation_of": story.id() }), alone.version()).await.is(200);
        let joined = desk.publish(&joined).await;
        assert_eq!((languages(&desk, &story).await, languages(&desk, &joined).await), (vec!["en".to_owned()], vec!["vi".to_owned()]));
        desk.action(&joined, "trash").await.is(200);
        assert_eq!(languages(&desk, &story).await, [""; 0]);
    }

    async fn a_translation_of_a_translation_is_one_of_the_story(desk) {
        let site = desk.as_admin().get("/site").await.is(200);
        desk.as_admin().patch("/site", json!({ "languages": ["vi", "en", "fr"] }), site.version()).await.is(200);
        let story = desk.story(json!({ "title": "Gốc" })).await;
        let english = desk.publish(&draft(&desk, "Root", "en", Some(&story)).await).await;
        let french = desk.publish(&draft(&desk, "Racine", "fr", Some(&english)).await).await;
        assert_eq!(languages(&desk, &story).await, ["en", "fr"]);
        assert_eq!(languages(&desk, &french).await, ["en", "vi"]);
        let rival = json!({ "title": "Autre", "language": "fr", "translation_of": story.id() });
        desk.as_editor().post("/articles", rival).await.refuses(409, "translation_exists");
        let to_french = desk.as_editor().patch(&format!("/articles/{}", english.id()), json!({ "language": "fr" }), english.version());
        to_french.await.refuses(409, "translation_exists");
        let own = json!({ "translation_of": story.id() });
        desk.as_editor().patch(&format!("/articles/{}", story.id()), own, story.version()).await.points_at("/translation_of");
        desk.as_editor().post("/articles", json!({ "title": "X", "language": "de" })).await.points_at("/language");
    }

    async fn lists_feeds_and_search_are_asked_by_language(desk) {
        let story = desk.story(json!({ "title": "Lũ rút canary" })).await;
        desk.publish(&draft(&desk, "Flood canary", "en", Some(&story)).await).await;
        desk.story(json!({ "title": "Chỉ tiếng Việt canary" })).await;
        let titles = async |query: &str| {
            let list = desk.as_reader().get(&format!("/articles?sort=title{query}")).await.is(200).each("title");
            let found = desk.as_reader().get(&format!("/search?q=canary{query}")).await.is(200).each("title").len();
            let feed = desk.as_reader().get(&format!("/feeds/feed.json?x=1{query}")).await.is(200);
            let same = (list.len(), feed.list("/items").len());
            assert_eq!((found, same.1), (list.len(), same.0), "{query}");
            (list, feed.text("/language"))
        };
        assert_eq!(titles("&language=en").await, (vec!["Flood canary".to_owned()], "en".to_owned()));
        let (vietnamese, language) = titles("&language=vi").await;
        assert_eq!((vietnamese.len(), language.as_str()), (2, "vi"));
        assert_eq!(titles("&language=vi,en").await.0.len(), 3);
        assert_eq!(titles("").await.0.len(), 3);
        desk.as_reader().get("/articles?language=fr").await.is(200);
        for feed in ["/feeds/rss.xml", "/feeds/atom.xml"] {
            let english = desk.as_reader().get(&format!("{feed}?language=en")).await.is(200).body();
            assert!(english.contains("Flood canary") && !english.contains("Lũ rút"), "{english}");
        }
        let managed = desk.as_editor().get("/articles?language=en").await.is(200);
        assert_eq!(managed.each("title"), ["Flood canary"]);
    }
}
