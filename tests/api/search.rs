//! Search: what is found, in which order, how it is shown, and what is never found.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::support::{Desk, Reply, Value, json, newsroom_tests};

/// A query, as it stands in an address.
fn address(query: &str, more: &str) -> String {
    let q: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    format!("/search?q={q}{more}")
}

async fn search(desk: &Desk, query: &str, more: &str) -> Reply {
    desk.as_reader().get(&address(query, more)).await.is(200)
}

async fn titles(desk: &Desk, query: &str) -> Vec<String> {
    search(desk, query, "").await.each("title")
}

/// An excerpt with what was found in brackets.
fn shown(highlight: &Value) -> String {
    let parts = highlight["parts"].as_array().expect("parts").iter();
    let parts = parts.map(|part| match (part["hit"].as_bool(), part["text"].as_str()) {
        (Some(true), Some(text)) => format!("[{text}]"),
        (_, text) => text.unwrap_or_default().to_owned(),
    });
    format!(
        "{}: {}",
        highlight["field"].as_str().unwrap_or(""),
        parts.collect::<String>()
    )
}

async fn at(desk: &Desk, mut content: Value, day: u32) -> Reply {
    let object = content.as_object_mut().expect("an object");
    object.entry("language").or_insert(json!("vi"));
    let draft = desk.as_editor().post("/articles", content).await.is(201);
    let path = format!("/articles/{}/publish", draft.id());
    let input = json!({ "published_at": format!("2024-03-{day:02}T00:00:00Z") });
    let version = draft.version();
    desk.as_editor()
        .ask("POST", &path)
        .version(version)
        .json(&input)
        .await
        .is(200)
}

/// A fixed corpus.
async fn corpus(desk: &Desk) {
    let tag = desk.named("tags", "Thái Nguyên").await;
    let author = desk.named("authors", "Đỗ Thoại").await;
    let stories = [
        json!({ "title": "Đối thoại ở Thái Nguyên", "body_markdown": "Nước lên." }),
        json!({ "title": "Doi thoai khong dau", "body_markdown": "Thai Nguyen." }),
        json!({ "title": "Lũ rút", "lead": "Bà con Thái Nguyên đối thoại với lãnh đạo" }),
        json!({ "title": "Chợ Tết", "body_markdown": "Một cuộc đối thoại dài.\n\nỞ Thái Bình và Nguyên Bình." }),
        json!({ "title": "Chỉ có thẻ", "tag_ids": [tag.id()] }),
        json!({ "title": "Chỉ có tác giả", "author_ids": [author.id()] }),
        json!({ "title": "Dialogue in Thai Nguyen", "language": "en" }),
    ];
    for (day, story) in stories.into_iter().enumerate() {
        at(desk, story, day as u32 + 1).await;
    }
}

newsroom_tests! {
    async fn a_fixed_corpus_is_found_in_one_order(desk) {
        corpus(&desk).await;
        let found = search(&desk, "Thái Nguyên", "").await;
        assert_eq!(found.each("title"), [
            "Đối thoại ở Thái Nguyên", "Lũ rút", "Chỉ có thẻ", "Chợ Tết", "Dialogue in Thai Nguyen", "Doi thoai khong dau"
        ]);
        assert_eq!(found.each("matched_as"), ["exact", "exact", "exact", "exact", "folded", "folded"]);
        let excerpts: Vec<String> = found.list("/data").iter().flat_map(|row| row["highlights"].as_array().expect("a list").iter().map(shown)).collect();
        assert_eq!(excerpts, [
            "title: Đối thoại ở [Thái] [Nguyên]", "lead: Bà con [Thái] [Nguyên] đối thoại với lãnh đạo", "tag: [Thái] [Nguyên]",
            "body: Một cuộc đối thoại dài.\n\nỞ [Thái] Bình và [Nguyên] Bình.", "title: Dialogue in [Thai] [Nguyen]",
            "body: [Thai] [Nguyen]."
        ]);
        assert_eq!(titles(&desk, "\"thái nguyên\"").await, ["Đối thoại ở Thái Nguyên", "Lũ rút", "Chỉ có thẻ",
            "Dialogue in Thai Nguyen", "Doi thoai khong dau"], "a phrase");
        assert_eq!(titles(&desk, "DOI THOA").await, ["Doi thoai khong dau", "Đối thoại ở Thái Nguyên", "Lũ rút", "Chợ Tết"]);
        assert_eq!(titles(&desk, "\"doi thoa\"").await, Vec::<String>::new(), "a phrase has whole words");
        assert_eq!(titles(&desk, "do thoai").await, ["Chỉ có tác giả"], "only the last word is a beginning");
        assert_eq!(titles(&desk, "đối nguyên cho").await, ["Chợ Tết"], "each word anywhere");
        let newest = search(&desk, "thai nguyen", "&sort=-published_at").await;
        assert_eq!(newest.each("title"), ["Dialogue in Thai Nguyen", "Chỉ có thẻ", "Chợ Tết", "Lũ rút", "Doi thoai khong dau",
            "Đối thoại ở Thái Nguyên"]);
    }

    async fn words_that_stand_together_come_before_words_apart(desk) {
        let tag = desk.named("tags", "An sinh").await;
        for (content, day) in [
            (json!({ "title": "Trong bài", "body_markdown": "Chi cho an sinh xã hội." }), 1),
            (json!({ "title": "Bởi thẻ", "tag_ids": [tag.id()] }), 2),
            (json!({ "title": "Rời nhau", "body_markdown": "Xã An Lĩnh có trường sinh thái." }), 9),
            (json!({ "title": "Đầu đề an sinh", "body_markdown": "x" }), 3),
        ] {
            at(&desk, content, day).await;
        }
        let expected = ["Đầu đề an sinh", "Bởi thẻ", "Trong bài", "Rời nhau"];
        assert_eq!(titles(&desk, "an sinh").await, expected);
        assert_eq!(titles(&desk, "AN SINH").await, expected);
        assert_eq!(titles(&desk, "sinh an").await, ["Đầu đề an sinh", "Rời nhau", "Bởi thẻ", "Trong bài"], "only the order of words");
    }

    async fn spelling_is_told(desk) {
        corpus(&desk).await;
        for (query, kind) in [("Thái Nguyên", "exact"), ("thai nguyen", "folded"), ("đối thoại", "exact"), ("ĐỐI THOẠI", "exact"),
            ("DOI THOAI", "folded"), ("doi thoai", "folded"), ("đoi thoại", "folded"), ("đối tho", "exact")] {
            let found = search(&desk, query, "").await;
            let row = found.list("/data").iter().find(|row| row["title"] == "Đối thoại ở Thái Nguyên");
            assert_eq!(row.expect(query)["matched_as"], kind, "{query}");
        }
    }

    async fn drafts_are_never_found(desk) {
        let words = json!({ "title": "Canary canary", "lead": "canary", "body_markdown": "canary", "slug": "chim" });
        let draft = desk.as_editor().post("/articles", words).await.is(201);
        assert_eq!(titles(&desk, "canary").await, Vec::<String>::new());
        let live = desk.publish(&draft).await;
        assert_eq!(titles(&desk, "canary").await, ["Canary canary"]);
        let edit = json!({ "title": "Sparrow", "lead": null, "body": [] });
        let edited = desk.as_editor().patch(&format!("/articles/{}", live.id()), edit, live.version()).await.is(200);
        assert_eq!((titles(&desk, "sparrow").await.len(), titles(&desk, "canary").await.len()), (0, 1));
        let live = desk.publish(&edited).await;
        assert_eq!((titles(&desk, "sparrow").await.len(), titles(&desk, "canary").await.len()), (1, 0));
        desk.action(&live, "unpublish").await.is(200);
        for sort in ["relevance", "-published_at"] {
            let found = search(&desk, "sparrow", &format!("&include_total=true&sort={sort}")).await;
            assert_eq!((found.list("/data").len(), &found["page"]["total"]), (0, &json!(0)), "{sort}");
        }
    }

    async fn excerpts_are_cut_from_what_is_public_now(desk) {
        let draft = desk.as_editor().post("/articles", json!({ "title": "Bài", "body_markdown": "Nước lên ở cầu cũ." })).await.is(201);
        let live = desk.publish(&draft).await;
        let first = search(&desk, "nuoc", "").await;
        assert_eq!(shown(&first["data"][0]["highlights"][0]), "body: [Nước] lên ở cầu cũ.");
        let edit = json!({ "body_markdown": "Nước rút ở cầu mới." });
        let edited = desk.as_editor().patch(&format!("/articles/{}", live.id()), edit, live.version()).await.is(200);
        // Another page, so that it is not the answer that is kept.
        let before = search(&desk, "nuoc", "&limit=7").await;
        assert_eq!(shown(&before["data"][0]["highlights"][0]), "body: [Nước] lên ở cầu cũ.");
        desk.publish(&edited).await;
        let after = search(&desk, "nuoc", "&limit=8").await;
        assert_eq!(shown(&after["data"][0]["highlights"][0]), "body: [Nước] rút ở cầu mới.");
    }

    async fn image_texts_are_found(desk) {
        let draft = desk.draft("Bài ảnh").await;
        let image = desk.image(60).await;
        let place = json!({ "article_id": draft.id(), "image_id": image.id(), "role": "lead", "text": "Dọn bùn", "alt": "Xe xúc", "credit": "Ảnh: Hoàng Cường" });
        desk.as_editor().post("/captions", place).await.is(201);
        desk.publish(&desk.current(&draft).await).await;
        for (query, excerpt) in [("dọn bùn", "caption: [Dọn] [bùn]"), ("xe xuc", "caption: [Xe] [xúc]"), ("\"hoàng cường\"", "caption: Ảnh: [Hoàng Cường]")] {
            let found = search(&desk, query, "").await;
            assert_eq!(shown(&found["data"][0]["highlights"][0]), excerpt);
        }
    }

    async fn new_names_of_tags_and_authors_hold_at_once(desk) {
        for (kind, property) in [("tags", "tag_ids"), ("authors", "author_ids")] {
            let item = desk.named(kind, "Hải Âu").await;
            let mut content = json!({ "title": "Tin" });
            content[property] = json!([item.id()]);
            let story = desk.story(content).await;
            assert_eq!(titles(&desk, "hai au").await.len(), 1, "{kind}");
            desk.as_editor().patch(&format!("/{kind}/{}", item.id()), json!({ "name": "Bồ Nông" }), 1).await.is(200);
            assert_eq!(titles(&desk, "hai au").await.len(), 0, "{kind}");
            let found = search(&desk, "bồ nông tin", "").await;
            assert_eq!((found["data"][0]["id"].as_str(), &found["data"][0]["matched_as"]), (Some(story.id().as_str()), &json!("exact")));
            desk.action(&story, "unpublish").await.is(200);
        }
    }

    async fn whatever_is_typed_is_only_text(desk) {
        desk.story(json!({ "title": "OR AND NOT NEAR title exact folded", "body_markdown": "100% sure, a_b c" })).await;
        for nothing in ["\"", "\"\"", "%", "*", "!?", "🎉", "' OR 1=1 --", "(", ":", "^", "\\", "§f0", "¶", "“”", "title:zzz", "-sure zzz",
            "{title}: zzz", "zz' & 'b:*", "NEAR(a zzz)"] {
            assert_eq!(titles(&desk, nothing).await, Vec::<String>::new(), "{nothing}");
        }
        for something in ["OR", "and not", "\"AND NOT\"", "NEAR", "title", "exact:", "100%", "sure*", "\"sure", "a_b", "c'", "(OR)", "not\\", "\"a b c\" 100"] {
            assert_eq!(titles(&desk, something).await.len(), 1, "{something}");
        }
        let longest = "ộ".repeat(200);
        search(&desk, &longest, "").await;
        search(&desk, &"a ".repeat(99), "").await;
        for bad in ["/search", "/search?q=", "/search?q=%20", "/search?q=a%00b", "/search?q=a&sort=title", "/search?q=a&limit=101", "/search?q=a&cursor=x", "/search?q=a&q=b"] {
            desk.as_reader().get(bad).await.is(400);
        }
        desk.as_reader().get(&address(&"a".repeat(201), "")).await.refuses(400, "invalid_parameter");
    }

    async fn filters_narrow_what_is_found(desk) {
        let section = desk.named("sections", "Kinh tế").await;
        let other = desk.named("sections", "Văn hóa").await;
        let tag = desk.named("tags", "Giá").await;
        let author = desk.named("authors", "Minh").await;
        let all = json!({ "title": "Tin một", "section_id": section.id(), "tag_ids": [tag.id()], "author_ids": [author.id()],
            "featured": true, "source": { "name": "Báo Đất" } });
        let one = at(&desk, all, 5).await;
        at(&desk, json!({ "title": "Tin hai", "section_id": other.id(), "language": "en" }), 9).await;
        let id = one.id();
        for filter in ["section=kinh-te", "tag=gia", "author=minh", "featured=true", "source=bao%20dat", "language=vi", &format!("id={id}"),
            "published_before=2024-03-09T00:00:00Z", "published_after=2024-03-05T00:00:00Z&published_before=2024-03-06T00:00:00Z"] {
            for sort in ["relevance", "-published_at"] {
                let found = search(&desk, "tin", &format!("&{filter}&sort={sort}")).await;
                assert_eq!(found.each("title"), ["Tin một"], "{filter} {sort}");
            }
        }
        assert_eq!(search(&desk, "tin", "&section=kinh-te,van-hoa").await.list("/data").len(), 2);
        assert_eq!(search(&desk, "tin", "&published_after=2024-03-09T00:00:00Z").await.each("title"), ["Tin hai"]);
        assert!(search(&desk, "tin", "&section=khong-co").await.list("/data").is_empty());
    }

    async fn pages_give_each_story_once(desk) {
        for number in 0..13 {
            let title = if number % 3 == 0 { "Sông Cầu".to_owned() } else { format!("Tin {number}") };
            at(&desk, json!({ "title": title, "body_markdown": "Song Cau, sông Cầu" }), 1 + number % 4).await;
        }
        for sort in ["relevance", "-published_at"] {
            let whole = search(&desk, "song cau", &format!("&limit=100&include_total=true&sort={sort}")).await;
            assert_eq!((whole.list("/data").len(), &whole["page"]["total"]), (13, &json!(13)));
            let (mut seen, mut more) = (Vec::new(), format!("&limit=4&sort={sort}"));
            let last = loop {
                let page = search(&desk, "song cau", &more).await;
                assert_eq!(page["page"]["total"], Value::Null);
                seen.extend(page.each("id"));
                match page["page"]["next_cursor"].as_str() {
                    Some(cursor) => more = format!("&limit=4&sort={sort}&cursor={cursor}"),
                    None => break page,
                }
            };
            assert_eq!(seen, whole.each("id"), "{sort}");
            let back = last.text("/page/prev_cursor");
            let before = search(&desk, "song cau", &format!("&limit=4&sort={sort}&cursor={back}")).await;
            assert_eq!(before.each("id"), whole.each("id")[8..12], "{sort} backwards");
            desk.as_reader().get(&address("other", &format!("&sort={sort}&cursor={back}"))).await.refuses(400, "invalid_cursor");
            let mut torn: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&back).expect("base64")).expect("a cursor");
            torn["i"] = json!("nowhere");
            let torn = URL_SAFE_NO_PAD.encode(torn.to_string());
            desk.as_reader().get(&address("song cau", &format!("&limit=4&sort={sort}&cursor={torn}"))).await.refuses(400, "invalid_cursor");
        }
    }

    async fn stories_of_one_millisecond_stand_by_their_ids(desk) {
        let mut ids = Vec::new();
        for _ in 0..70 {
            ids.push(at(&desk, json!({ "title": "Sông Cầu" }), 2).await.id());
        }
        ids.extend([at(&desk, json!({ "title": "Sông Cầu" }), 1).await.id()]);
        let newer = at(&desk, json!({ "title": "Sông Cầu" }), 3).await.id();
        ids[..70].reverse();
        ids.insert(0, newer);
        for sort in ["relevance", "-published_at"] {
            assert_eq!(search(&desk, "song cau", &format!("&limit=100&sort={sort}")).await.each("id"), ids, "{sort}");
            let (mut seen, mut more) = (Vec::new(), format!("&limit=7&sort={sort}"));
            let last = loop {
                let page = search(&desk, "song cau", &more).await;
                seen.extend(page.each("id"));
                match page["page"]["next_cursor"].as_str() {
                    Some(cursor) => more = format!("&limit=7&sort={sort}&cursor={cursor}"),
                    None => break page,
                }
            };
            assert_eq!(seen, ids, "{sort}");
            let (mut seen, mut before) = (last.each("id"), last["page"]["prev_cursor"].as_str().map(str::to_owned));
            while let Some(cursor) = before {
                let page = search(&desk, "song cau", &format!("&limit=7&sort={sort}&cursor={cursor}")).await;
                seen.splice(0..0, page.each("id"));
                before = page["page"]["prev_cursor"].as_str().map(str::to_owned);
            }
            assert_eq!(seen, ids, "{sort} backwards");
        }
    }

    async fn scripts_without_spaces_are_found(desk) {
        at(&desk, json!({ "title": "東京の天気", "body_markdown": "明日は雨です。" }), 1).await;
        at(&desk, json!({ "title": "河內新聞", "lead": "越南河內的消息" }), 2).await;
        at(&desk, json!({ "title": "京東", "body_markdown": "Tin kinh tế" }), 3).await;
        assert_eq!(titles(&desk, "東京").await, ["東京の天気", "京東"], "in this order before in any");
        assert_eq!(titles(&desk, "\"東京\"").await, ["東京の天気"]);
        assert_eq!(titles(&desk, "雨").await, ["東京の天気"]);
        assert_eq!(titles(&desk, "河內").await, ["河內新聞"]);
        assert_eq!(titles(&desk, "京 kinh").await, ["京東"]);
        assert_eq!(titles(&desk, "北京").await, Vec::<String>::new());
        let found = search(&desk, "天気", "").await;
        assert_eq!(shown(&found["data"][0]["highlights"][0]), "title: 東京の[天][気]");
    }

    async fn stories_from_before_the_index_are_put_in_at_the_start(desk) {
        let live = desk.story(json!({ "title": "Chuyện cũ" })).await;
        let gone = desk.story(json!({ "title": "Chuyện đã rút" })).await;
        // More than one write puts in.
        let mut all = vec![live.id()];
        for number in 0..55 {
            all.push(desk.story(json!({ "title": format!("Chuyện {number}"), "body_markdown": "Một đoạn dài." })).await.id());
        }
        all.reverse();
        desk.draft("Chuyện kín").await;
        desk.action(&gone, "unpublish").await.is(200);
        desk.terminate();
        desk.database().execute("DELETE FROM search_docs");
        desk.start();
        for _ in 0..100 {
            if desk.database().count("search_docs") == 56 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let newest = "&sort=-published_at&limit=100";
        let mut found = search(&desk, "chuyen", newest).await.each("id");
        for _ in 0..100 {
            if found == all {
                break;
            }
            // An answer that was made meanwhile holds for five seconds.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            found = search(&desk, "chuyen", newest).await.each("id");
        }
        assert_eq!(found, all, "each once, with all its words");
        assert_eq!(search(&desk, "\"đoạn dài\"", newest).await.each("id"), all[..55]);
    }
}
