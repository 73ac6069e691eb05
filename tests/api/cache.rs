//! Answers from memory: never staler than the last change here, in every coding, built once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Desk, Reply, all, json, newsroom_tests};

async fn in_coding(desk: &Desk, path: &str, codings: &str) -> Reply {
    desk.as_reader()
        .ask("GET", path)
        .header("Accept-Encoding", codings)
        .await
}

/// The number that a title ends with.
fn number(reply: &Reply) -> u64 {
    let title = reply.text("/title");
    title
        .rsplit(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

newsroom_tests! {
    async fn every_coding_holds_the_same_words_and_has_a_tag_of_its_own(desk) {
        let story = desk.story(json!({ "title": "Dài", "body_markdown": "Nước rút trên sông Cầu. ".repeat(200) })).await;
        let path = format!("/articles/{}", story.id());
        let mut tags = Vec::new();
        // The first of each is built, the second comes from memory.
        for _ in 0..2 {
            let plain = in_coding(&desk, &path, "identity").await.is(200);
            for (codings, coding) in [("br, gzip", "br"), ("gzip", "gzip"), ("br;q=0, gzip;q=0.5", "gzip"), ("identity", "")] {
                let reply = desk.as_reader().ask("GET", &path).header("Accept-Encoding", codings).await;
                assert_eq!((reply.status, reply.header("content-encoding").as_str()), (200, coding), "{codings}");
                assert_eq!(reply.unpacked(), plain.bytes, "{codings}");
                assert_eq!(reply.header("vary"), "Accept-Encoding");
                assert!(coding.is_empty() || reply.bytes.len() * 3 < plain.bytes.len(), "{codings} saves much");
                tags.push(reply.header("etag"));
                let again = desk.as_reader().ask("GET", &path).header("Accept-Encoding", codings);
                let again = again.header("If-None-Match", &reply.header("etag")).await.is(304);
                assert!(again.bytes.is_empty() && again.header("etag") == reply.header("etag"));
            }
        }
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), 3, "{tags:?}");
        // A tag of one coding is good for another: the words are the same.
        let other = desk.as_reader().ask("GET", &path).header("Accept-Encoding", "gzip");
        other.header("If-None-Match", &tags[0]).await.is(304);
    }

    async fn a_change_shows_at_once_in_everything_that_was_asked_before(desk, RATE_LIMITS = "off") {
        let section = desk.named("sections", "Cũ").await;
        let author = desk.named("authors", "Tên cũ").await;
        let story = json!({ "title": "Tin", "section_id": section.id(), "author_ids": [author.id()] });
        let story = desk.story(story).await;
        let one = format!("/articles/{}", story.id());
        let list = format!("/articles?section={}", section.id());
        let reader = desk.as_reader();
        let both = async || (reader.get(&one).await.is(200), reader.get(&list).await.is(200));
        both().await;
        both().await;
        desk.as_editor().patch(&format!("/authors/{}", author.id()), json!({ "name": "Tên mới" }), 1).await.is(200);
        let (a, b) = both().await;
        assert_eq!((a.text("/authors/0/name"), b.text("/data/0/authors/0/name")), ("Tên mới".into(), "Tên mới".into()));
        desk.as_editor().patch(&format!("/sections/{}", section.id()), json!({ "name": "Mới" }), 1).await.is(200);
        let (a, b) = both().await;
        assert_eq!((a.text("/section/name"), b.text("/data/0/section/name")), ("Mới".into(), "Mới".into()));
        let now = desk.current(&story).await;
        desk.action(&now, "unpublish").await.is(200);
        reader.get(&one).await.refuses(410, "gone");
        assert!(reader.get(&list).await.is(200).list("/data").is_empty());
    }

    async fn what_another_process_changes_is_followed(desk) {
        desk.as_reader().get("/site").await.is(200);
        let before = desk.as_reader().get("/site").await.is(200);
        // Another program on the same database: it finds other settings than the last start's and says so.
        let seq = "(SELECT n FROM counters WHERE name = 'changes')";
        desk.database().execute(&format!(
            "UPDATE site SET name = 'Báo khác'; UPDATE counters SET n = n + 1 WHERE name = 'changes'; \
             INSERT INTO changes (seq, kind, subject_id, keys, at_ms) VALUES ({seq}, 'site.updated', 'site', '[\"site\"]', 1)"
        ));
        for _ in 0..50 {
            let now = desk.as_reader().get("/site").await.is(200);
            if now["name"] == "Báo khác" {
                assert_ne!(now.header("etag"), before.header("etag"));
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("the change of the other process is not seen");
    }

    async fn one_page_that_many_miss_is_built_once(desk, RATE_LIMITS = "off", LOG = "info,newsdesk::cache=debug") {
        let story = desk.story(json!({ "title": "Nóng" })).await;
        for round in 0..5 {
            let path = format!("/articles?limit={}&include=body,captions", 40 + round);
            for reply in all((0..100).map(|_| desk.as_reader().get(&path))).await {
                assert_eq!(reply.is(200).each("id"), [story.id()]);
            }
        }
        let log = desk.log();
        let builds = log.lines().filter(|line| line.contains("\"built\"") && line.contains("include=body")).count();
        assert_eq!(builds, 5, "{log}");
    }

    async fn what_was_renamed_while_nobody_saw_it_is_right_when_it_is_public_again(desk) {
        let section = desk.named("sections", "Thể thao").await;
        let (tag, author) = (desk.named("tags", "Giải chạy").await, desk.named("authors", "Lan").await);
        let image = desk.image(60).await;
        let content = json!({
            "title": "Đường chạy", "section_id": section.id(), "tag_ids": [tag.id()], "author_ids": [author.id()]
        });
        let draft = desk.as_editor().post("/articles", content).await.is(201);
        desk.caption(&draft, &image, "lead").await;
        let live = desk.publish(&desk.current(&draft).await).await;
        let shown = desk.read(&live).await.is(200);
        assert_eq!(shown.text("/section/name"), "Thể thao");
        assert_eq!(shown["cover"]["image"]["focal_point"], json!(null));
        desk.action(&desk.current(&live).await, "unpublish").await.is(200);
        // Nothing public changes now, and the diary says nothing.
        for (kind, item) in [("sections", &section), ("tags", &tag), ("authors", &author)] {
            let path = format!("/{kind}/{}", item.id());
            desk.as_editor().patch(&path, json!({ "name": "Tên mới" }), item.version()).await.is(200);
        }
        let path = format!("/images/{}", image.id());
        desk.as_editor().patch(&path, json!({ "focal_point": { "x": 0.2, "y": 0.3 } }), image.version()).await.is(200);
        desk.publish(&desk.current(&live).await).await;
        let shown = desk.read(&live).await.is(200);
        for place in ["/section/name", "/tags/0/name", "/authors/0/name"] {
            assert_eq!(shown.text(place), "Tên mới", "{place}");
        }
        assert_eq!(shown["cover"]["image"]["focal_point"], json!({ "x": 0.2, "y": 0.3 }));
    }

    async fn a_look_for_a_story_that_is_not_there_counts_once(desk, RATE_LIMITS = "on") {
        // 300 at once, and some more for the time that this takes.
        let looks = (0..1500).map(|n| format!("/articles/khong-co-{n}"));
        let mut missed = 0;
        for path in looks {
            match desk.as_reader().get(&path).await {
                reply if reply.status == 404 => missed += 1,
                reply => _ = reply.refuses(429, "rate_limited"),
            }
        }
        assert!(missed >= 300, "limited after {missed}");
    }

    async fn answers_from_memory_are_not_limited(desk, RATE_LIMITS = "on") {
        // Reads that need the database are limited to 300 in ten seconds; answers from memory are not.
        let story = desk.story(json!({ "title": "Nóng" })).await;
        let path = format!("/articles/{}", story.id());
        desk.read(&story).await.is(200);
        for _ in 0..10 {
            for reply in all((0..60).map(|_| desk.as_reader().get(&path))).await {
                reply.is(200);
            }
        }
    }

    async fn nobody_sees_an_older_version_after_a_newer_one_nor_a_story_after_its_unpublish(desk, RATE_LIMITS = "off") {
        let (stories, publishers, readers) = (50, 8, 64);
        let made = all((0..stories).map(|n| desk.story(json!({ "title": format!("Tin {n} bản 0") })))).await;
        let ended = AtomicBool::new(false);
        let (desk, made, ended) = (&desk, &made, &ended);
        let publish = |who: usize| async move {
            let editor = desk.as_editor();
            for round in 1..=6 {
                let story = &made[(who * 3 + round) % stories];
                let path = format!("/articles/{}", story.id());
                let now = editor.get(&path).await.is(200);
                let title = format!("Tin bản {}", now.version());
                let changed = editor.patch(&path, json!({ "title": title }), now.version()).await;
                if changed.status == 200 {
                    editor.act(&format!("{path}/publish"), changed.version()).await;
                }
            }
        };
        let read = |who: usize| async move {
            let mut newest = vec![0; stories];
            let mut n = who;
            while !ended.load(Ordering::Relaxed) {
                n += 1;
                let at = n % stories;
                let query = if n.is_multiple_of(3) { "?include=text" } else { "" };
                let reply = desk.as_reader().get(&format!("/articles/{}{query}", made[at].id())).await.is(200);
                let version = number(&reply);
                assert!(version >= newest[at], "story {at}: {version} after {}", newest[at]);
                newest[at] = version;
            }
        };
        let publishing = async {
            all((0..publishers).map(publish)).await;
            ended.store(true, Ordering::Relaxed);
        };
        tokio::join!(publishing, all((0..readers).map(read)));
        let withdraw = |story: usize| async move {
            let story = &made[story];
            let now = desk.current(story).await;
            desk.action(&now, "unpublish").await.is(200);
            for query in ["", "?include=text"] {
                desk.as_reader().get(&format!("/articles/{}{query}", story.id())).await.refuses(410, "gone");
            }
            let list = desk.as_reader().get("/articles").await.is(200);
            assert!(!list.each("id").contains(&story.id()));
        };
        all((0..stories).map(withdraw)).await;
    }
}
