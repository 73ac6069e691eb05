//! Merge patches, filters, orders and pages of working copies, and what writers see of others' work.

use crate::support::{Desk, Person, Value, json, newsroom_tests};

/// Walks a list forwards and back again, a few items a page; every item comes once, in the same order.
async fn walk(who: &Person, path: &str, count: usize) -> Vec<String> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let mut forwards: Vec<Vec<String>> = Vec::new();
    let mut page = who.get(&format!("{path}{joint}limit=3")).await.is(200);
    loop {
        forwards.push(page.each("id"));
        let next = page["page"]["next_cursor"].as_str().map(str::to_owned);
        assert_eq!(page["page"]["has_more"].as_bool(), Some(next.is_some()));
        assert_eq!(page.header("link").contains("rel=\"next\""), next.is_some());
        let Some(next) = next else { break };
        page = who.get(&format!("{path}{joint}limit=3&cursor={next}")).await.is(200);
    }
    let mut backwards = vec![page.each("id")];
    while let Some(previous) = page["page"]["prev_cursor"].as_str().map(str::to_owned) {
        page = who
            .get(&format!("{path}{joint}limit=3&cursor={previous}"))
            .await
            .is(200);
        if !page.each("id").is_empty() {
            backwards.insert(0, page.each("id"));
        }
    }
    assert_eq!(backwards, forwards, "{path}");
    let flat = forwards.concat();
    let mut once = flat.clone();
    once.sort();
    once.dedup();
    assert_eq!((once.len(), flat.len()), (count, count), "{path}");
    flat
}

async fn ten_stories(desk: &Desk) -> Vec<Value> {
    ten_stories_with(desk, &json!({})).await
}

async fn ten_stories_with(desk: &Desk, more: &Value) -> Vec<Value> {
    let mut stories = Vec::new();
    for n in 0..10 {
        // Pairs with one title and one time, so that the id decides.
        let title = format!("Bài {}", n / 2);
        let draft = desk
            .as_editor()
            .post("/articles", merged(json!({ "title": title }), more))
            .await
            .is(201);
        let path = format!("/articles/{}/publish", draft.id());
        let past = json!({ "published_at": format!("2024-01-0{}T00:00:00Z", 1 + n / 2) });
        stories.push(desk.as_editor().act(&path, 1).json(&past).await.is(200).json);
    }
    stories
}

fn merged(mut one: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().into_iter().flatten() {
        one[name] = value.clone();
    }
    one
}

newsroom_tests! {
    async fn the_stories_of_a_tag_and_of_an_author_page_like_all_stories(desk) {
        let (tag, author) = (desk.named("tags", "Lũ").await, desk.named("authors", "Thu Hà").await);
        let other = desk.named("tags", "Nắng").await;
        desk.story(json!({ "title": "Bài khác", "tag_ids": [other.id()] })).await;
        let of = json!({ "tag_ids": [tag.id(), other.id()], "author_ids": [author.id()] });
        let stories = ten_stories_with(&desk, &of).await;
        let reader = desk.as_reader();
        for sort in ["published_at", "-published_at"] {
            let ids: Vec<&str> = stories.iter().filter_map(|story| story["id"].as_str()).collect();
            // Looked through one by one, in place of being read in order.
            let all = walk(&reader, &format!("/articles?sort={sort}&id={}", ids.join(",")), 10).await;
            for filter in ["tag=lu", "author=thu-ha", "tag=lu&author=thu-ha", "tag=lu,nang&author=thu-ha"] {
                assert_eq!(walk(&reader, &format!("/articles?sort={sort}&{filter}"), 10).await, all, "{sort} {filter}");
            }
        }
        let counted = reader.get("/articles?tag=lu&limit=3&include_total=true").await.is(200);
        assert_eq!(counted["page"]["total"], 10);
        let oldest = stories[0]["id"].as_str().expect("an id");
        let again = json!({ "as_new": true });
        desk.as_editor().act(&format!("/articles/{oldest}/publish"), 2).json(&again).await.is(200);
        for filter in ["tag=lu", "author=thu-ha"] {
            let first = reader.get(&format!("/articles?{filter}&limit=1")).await.is(200);
            assert_eq!(first.each("id"), [oldest], "published as new, it moves to the top");
        }
        desk.as_editor().act(&format!("/articles/{oldest}/unpublish"), 3).await.is(200);
        for filter in ["tag=lu", "author=thu-ha"] {
            let left = reader.get(&format!("/articles?{filter}&limit=100")).await.is(200);
            assert_eq!(left.each("id").len(), 9, "withdrawn, it is in no list");
        }
    }

    async fn every_order_pages_forwards_and_backwards(desk) {
        ten_stories(&desk).await;
        for sort in ["updated_at", "created_at", "title"] {
            let up = walk(&desk.as_editor(), &format!("/articles?sort={sort}"), 10).await;
            let mut down = walk(&desk.as_editor(), &format!("/articles?sort=-{sort}"), 10).await;
            down.reverse();
            assert_eq!(up, down, "{sort}");
        }
        for sort in ["published_at", "updated_at", "title"] {
            let up = walk(&desk.as_reader(), &format!("/articles?sort={sort}"), 10).await;
            let mut down = walk(&desk.as_reader(), &format!("/articles?sort=-{sort}"), 10).await;
            down.reverse();
            assert_eq!(up, down, "{sort}");
        }
        let newest = desk.as_reader().get("/articles?limit=1").await.is(200);
        assert_eq!(newest["data"][0]["title"], "Bài 4", "newest first");
    }

    async fn a_cursor_belongs_to_its_list(desk) {
        ten_stories(&desk).await;
        for who in [desk.as_reader(), desk.as_editor()] {
            let page = who.get("/articles?limit=3").await.is(200);
            let cursor = page.text("/page/next_cursor");
            who.get(&format!("/articles?limit=5&cursor={cursor}")).await.is(200);
            for other in ["sort=title", "language=vi", "sort=updated_at"] {
                let path = format!("/articles?{other}&cursor={cursor}");
                who.get(&path).await.refuses(400, "invalid_cursor");
            }
            for broken in ["x", "", &cursor[1..], "%00", "e30"] {
                who.get(&format!("/articles?cursor={broken}")).await.is(400);
            }
        }
    }

    async fn the_next_page_follows_from_the_link(desk) {
        ten_stories(&desk).await;
        let page = desk.as_reader().get("/articles?limit=4&language=vi").await.is(200);
        let link = page.header("link");
        let address = link.split('>').next().expect("a link").trim_start_matches('<');
        let path = address.strip_prefix(&desk.address()).expect("our address");
        let next = desk.as_reader().get(path).await.is(200);
        assert_eq!(next.each("id").len(), 4);
        assert_ne!(next.each("id"), page.each("id"));
    }

    async fn filters_mean_what_they_say(desk) {
        let section = desk.named("sections", "Thời sự").await;
        let tag = desk.named("tags", "Lũ").await;
        let author = desk.named("authors", "Thu Hà").await;
        let one = desk.story(json!({
            "title": "Một", "section_id": section.id(), "tag_ids": [tag.id()], "author_ids": [author.id()],
            "source": { "name": "Báo Tỉnh" }, "featured": true
        })).await;
        let two = desk.story(json!({ "title": "Two", "language": "en" })).await;
        let (section_id, tag_id) = (section.id(), tag.id());
        let both = [
            "section=thoi-su".to_owned(), format!("section={section_id}"), "tag=lu".to_owned(), format!("tag={tag_id}"),
            "author=thu-ha".to_owned(), "language=vi".to_owned(), "section=thoi-su,khac".to_owned(),
            "section=khac&section=thoi-su".to_owned(),
        ];
        let delivery = ["source=bao%20tinh".to_owned(), "featured=true".to_owned(), format!("id={}", one.id())];
        for filter in both.iter().chain(&delivery) {
            assert_eq!(desk.as_reader().get(&format!("/articles?{filter}")).await.is(200).each("id"), [one.id()], "{filter}");
        }
        let editor = desk.as_editor();
        let owner = editor.get("/auth/me").await.id();
        for filter in both.iter().chain(&["q=mot".to_owned(), "q=M%E1%BB%98T".to_owned()]) {
            assert_eq!(editor.get(&format!("/articles?{filter}")).await.is(200).each("id"), [one.id()], "{filter}");
        }
        let and = editor.get(&format!("/articles?owner={owner}&status=published,draft&language=en")).await.is(200);
        assert_eq!(and.each("id"), [two.id()]);
        for none in ["section=khong-co", "tag=khong-co", "author=khong-co", "language=fr"] {
            assert!(desk.as_reader().get(&format!("/articles?{none}")).await.is(200).each("id").is_empty(), "{none}");
        }
        assert!(editor.get("/articles?q=%25").await.is(200).each("id").is_empty(), "a sign of patterns is itself");
        let after = two.text("/published_at");
        let later = desk.as_reader().get(&format!("/articles?published_after={after}")).await.is(200);
        assert_eq!(later.each("id"), [two.id()], "from that time on");
        let before = desk.as_reader().get(&format!("/articles?published_before={after}")).await.is(200);
        assert_eq!(before.each("id"), [one.id()], "up to that time");
        for bad in ["section=Th%E1%BB%9Di", "featured=yes", "limit=0", "limit=101", "limit=x", "sort=slug", "id=1",
            "published_after=today", "include=html", "include=body,body", "include=body&limit=51", "language=VI_vn",
            "section=", "sort=title&sort=title"] {
            let refused = desk.as_reader().get(&format!("/articles?{bad}")).await.refuses(400, "invalid_parameter");
            let name = bad.split('=').next();
            assert!(name == refused["errors"][0]["parameter"].as_str() || bad.contains("limit"), "{}", refused.body());
        }
        for who in [desk.as_reader(), desk.as_editor()] {
            let refused = who.get("/articles?colour=red").await.refuses(400, "unknown_parameter");
            assert_eq!(refused["errors"][0]["parameter"], "colour");
        }
    }

    async fn a_merge_patch_changes_what_it_names(desk) {
        let draft = desk.as_writer().post("/articles", json!({
            "title": "Gốc", "kicker": "K", "lead": "L", "source": { "name": "Báo", "url": "https://bao.vn/1" },
            "seo": { "title": "T", "description": "D" }
        })).await.is(201);
        let path = format!("/articles/{}", draft.id());
        let writer = desk.as_writer();
        let mut version = 1;
        let mut change = async |patch: Value| {
            let changed = writer.patch(&path, patch, version).await.is(200);
            version = changed.version();
            changed
        };
        let changed = change(json!({ "kicker": null, "seo": { "title": null }, "source": { "url": null } })).await;
        assert_eq!(changed["kicker"], Value::Null);
        assert_eq!(changed["lead"], "L");
        assert_eq!(changed["seo"], json!({ "title": null, "description": "D", "canonical_url": null }));
        assert_eq!(changed["source"], json!({ "name": "Báo", "url": null }));
        let changed = change(json!({ "seo": null, "source": null, "lead": "" })).await;
        assert_eq!(changed["seo"], json!({ "title": null, "description": null, "canonical_url": null }));
        assert_eq!((&changed["source"], &changed["lead"]), (&Value::Null, &Value::Null));
        let same = change(json!({})).await;
        assert_eq!(same["title"], "Gốc");
        let bad = |patch: Value| writer.patch(&path, patch, same.version());
        bad(json!({ "title": null })).await.points_at("/title");
        bad(json!({ "title": "  " })).await.points_at("/title");
        bad(json!({ "source": { "url": "https://bao.vn" } })).await.points_at("/source/name");
        bad(json!({ "seo": { "canonical_url": "javascript:alert(1)" } })).await.points_at("/seo/canonical_url");
        bad(json!({ "status": "published" })).await.points_at("/status");
        bad(json!({ "version": 9 })).await.points_at("/version");
        bad(json!({ "section_id": draft.id() })).await.points_at("/section_id");
        bad(json!({ "language": "fr" })).await.points_at("/language");
        bad(json!({ "body": [], "body_html": "" })).await.points_at("/body");
        desk.as_editor().patch(&path, json!({ "owner_id": draft.id() }), same.version()).await.points_at("/owner_id");
    }

    async fn translations_belong_together_one_a_language(desk) {
        let vi = desk.story(json!({ "title": "Tiếng Việt" })).await;
        let translation = json!({ "title": "English", "language": "en", "translation_of": vi.id() });
        let en = desk.story(translation.clone()).await;
        let read = desk.read(&vi).await.is(200);
        assert_eq!(read["translations"][0]["slug"], "english");
        desk.as_editor().post("/articles", translation).await.refuses(409, "translation_exists");
        desk.action(&en, "unpublish").await.is(200);
        assert_eq!(desk.read(&vi).await["translations"], json!([]));
    }

    async fn a_writer_sees_others_work_as_readers_do(desk) {
        let writer = desk.as_writer();
        let hidden = desk.as_other_writer().post("/articles", json!({ "title": "Kín" })).await.is(201);
        writer.get(&format!("/articles/{}", hidden.id())).await.refuses(404, "not_found");
        let story = desk.story(json!({ "title": "Công khai", "lead": "Cũ" })).await;
        let path = format!("/articles/{}", story.id());
        let edit = json!({ "title": "Bí mật", "lead": "Mật", "slug": "bi-mat", "body_markdown": "Mật" });
        desk.as_editor().patch(&path, edit, story.version()).await.is(200);
        let seen = writer.get(&format!("{path}?include=html,markdown,text")).await.is(200);
        assert_eq!((&seen["title"], &seen["lead"], &seen["slug"]), (&json!("Công khai"), &json!("Cũ"), &json!("cong-khai")));
        let list = writer.get("/articles?include_total=true").await.is(200);
        assert_eq!((list.each("title"), &list["page"]["total"]), (vec!["Công khai".to_owned()], &json!(1)));
        for answer in [seen.body(), list.body()] {
            assert!(!["Bí mật", "Mật", "bi-mat", "Kín"].iter().any(|word| answer.contains(word)), "{answer}");
        }
        for (words, found) in [("bi%20mat", 0), ("mat", 0), ("cong%20khai", 1), ("kin", 0)] {
            let list = writer.get(&format!("/articles?q={words}&include_total=true")).await.is(200);
            assert_eq!((list.each("id").len(), &list["page"]["total"]), (found, &json!(found)), "{words}");
        }
        writer.patch(&path, json!({ "title": "X" }), 3).await.refuses(403, "forbidden");
        for verb in ["publish", "unpublish", "trash"] {
            writer.act(&format!("{path}/{verb}"), 3).await.refuses(403, "forbidden");
        }
    }
}
