//! Stories in other forms: HTML, Markdown, JSON-LD, feeds, sitemaps.

use quick_xml::events::Event;

use crate::support::{Desk, Reply, Value, json, newsroom_tests};

const FEEDS: [(&str, &str); 3] = [
    ("/feeds/rss.xml", "application/rss+xml; charset=utf-8"),
    ("/feeds/atom.xml", "application/atom+xml; charset=utf-8"),
    ("/feeds/feed.json", "application/feed+json"),
];
const SITEMAPS: [&str; 2] = ["/sitemap.xml", "/sitemap-news.xml"];
const HOSTILE: &str = "]]> & <script>alert('1')</script> \"Lũ\"";

/// The elements of a document in order: name, attributes, text. Fails when the document is not well-formed.
fn elements(reply: &Reply) -> Vec<(String, String, String)> {
    let text = reply.body();
    let mut reader = quick_xml::Reader::from_str(&text);
    let (mut found, mut open): (Vec<(String, String, String)>, Vec<usize>) = (Vec::new(), Vec::new());
    loop {
        let event = reader
            .read_event()
            .unwrap_or_else(|error| panic!("{}: {error} in {text}", reply.asked));
        let words = match &event {
            Event::Eof => break,
            Event::Start(start) | Event::Empty(start) => {
                let attributes: Vec<String> = start
                    .attributes()
                    .map(|attribute| {
                        let attribute = attribute.expect("an attribute");
                        let value = String::from_utf8_lossy(&attribute.value).into_owned();
                        let value = quick_xml::escape::unescape(&value).expect("a value").into_owned();
                        format!("{}={value}", String::from_utf8_lossy(attribute.key.as_ref()))
                    })
                    .collect();
                if matches!(event, Event::Start(_)) {
                    open.push(found.len());
                }
                let name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
                found.push((name, attributes.join(" "), String::new()));
                continue;
            }
            Event::End(_) => {
                open.pop().expect("an open element");
                continue;
            }
            Event::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Event::GeneralRef(name) => {
                let name = String::from_utf8_lossy(name).into_owned();
                quick_xml::escape::unescape(&format!("&{name};"))
                    .expect("a reference")
                    .into_owned()
            }
            _ => continue,
        };
        if let Some(place) = open.last() {
            found[*place].2.push_str(&words);
        }
    }
    assert!(open.is_empty(), "{}: an element is left open", reply.asked);
    found
}

fn texts(reply: &Reply, name: &str) -> Vec<String> {
    let named = elements(reply).into_iter().filter(|(found, ..)| found == name);
    named.map(|(_, _, text)| text).collect()
}

async fn titles(desk: &Desk, query: &str) -> Vec<Vec<String>> {
    let rss = desk.as_reader().get(&format!("/feeds/rss.xml{query}")).await.is(200);
    let atom = desk.as_reader().get(&format!("/feeds/atom.xml{query}")).await.is(200);
    let feed = desk.as_reader().get(&format!("/feeds/feed.json{query}")).await.is(200);
    let items = feed
        .list("/items")
        .iter()
        .map(|item| item["title"].as_str().unwrap_or("").to_owned());
    // The first title is that of the feed.
    vec![
        texts(&rss, "title").split_off(1),
        texts(&atom, "title").split_off(1),
        items.collect(),
    ]
}

/// A story with everything there is.
async fn rich(desk: &Desk) -> Reply {
    let section = desk.named("sections", "Thời sự").await;
    let tag = desk.named("tags", "Mưa lũ & gió").await;
    let author = desk.named("authors", "An <Bình>").await;
    let content = json!({
        "title": HOSTILE, "kicker": "Thời tiết", "lead": "Nước rút\nchậm & đều.", "slug": "lu-rut",
        "body_markdown": "Một đoạn **đậm**.\n\n## Mục\n\nHai đoạn.", "section_id": section.id(), "tag_ids": [tag.id()],
        "author_ids": [author.id()], "source": { "name": "Báo A", "url": "https://bao-a.vn/1" }
    });
    let draft = desk.as_editor().post("/articles", content).await.is(201);
    let image = desk.image(80).await;
    desk.caption(&draft, &image, "lead").await;
    desk.publish(&desk.current(&draft).await).await
}

async fn published_at(desk: &Desk, title: &str, time: &str) -> Reply {
    let draft = desk
        .as_editor()
        .post("/articles", json!({ "title": title }))
        .await
        .is(201);
    let path = format!("/articles/{}/publish", draft.id());
    let publish = desk.as_editor().act(&path, draft.version());
    publish.json(&json!({ "published_at": time })).await.is(200)
}

newsroom_tests! {
    async fn a_story_has_forms_at_addresses_of_their_own(desk) {
        let story = rich(&desk).await;
        let reader = desk.as_reader();
        let path = format!("/articles/{}", story.id());
        let read = reader.get(&format!("{path}?include=json_ld,html")).await.is(200);
        let site = reader.get("/site").await.is(200);

        let about = &read["json_ld"];
        assert_eq!(about["@context"], "https://schema.org");
        assert_eq!(about["@type"], "NewsArticle");
        assert_eq!(about["headline"], HOSTILE);
        assert_eq!(about["alternativeHeadline"], "Thời tiết");
        assert_eq!(about["description"], "Nước rút\nchậm & đều.");
        assert_eq!(about["datePublished"], read["published_at"]);
        assert_eq!(about["dateModified"], read["updated_at"]);
        assert_eq!(about["author"], json!([{ "@type": "Person", "name": "An <Bình>" }]));
        assert_eq!(about["publisher"]["name"], site["name"]);
        assert_eq!(about["inLanguage"], read["language"]);
        assert_eq!(about["articleSection"], "Thời sự");
        assert_eq!(about["keywords"], json!(["Mưa lũ & gió"]));
        assert_eq!(about["url"], read["url"]);
        assert_eq!(about["mainEntityOfPage"], read["url"]);
        assert_eq!(about["isBasedOn"], json!({ "@type": "CreativeWork", "name": "Báo A", "url": "https://bao-a.vn/1" }));
        assert_eq!(about["isAccessibleForFree"], true);
        assert_eq!(about["wordCount"], 11);
        let image = &about["image"][0];
        assert_eq!(image["@type"], "ImageObject");
        assert_eq!(image["url"], read["cover"]["image"]["url"]);
        assert_eq!((&image["width"], &image["height"], &image["caption"]), (&json!(80), &json!(40), &json!("Nước rút")));
        assert!(about["image"][1].is_null());

        let alone = reader.get(&format!("{path}/json-ld")).await.is(200);
        assert_eq!(alone.header("content-type"), "application/ld+json");
        assert!(!alone.body().contains('<'));
        assert_eq!(alone.json, *about);

        let html = reader.get(&format!("{path}/html")).await.is(200);
        assert_eq!(html.header("content-type"), "text/html; charset=utf-8");
        let policy = html.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
        let body = html.body();
        assert!(body.starts_with("<article") && !body.contains("<script") && body.contains("&lt;script&gt;"), "{body}");
        assert!(body.contains("<p>Nước rút<br/>chậm &amp; đều.</p>"), "{body}");
        assert!(body.contains(&read.text("/html")), "{body}");
        let time = format!("<time datetime=\"{}\">", read.text("/published_at"));
        let photo = format!("<img src=\"{}\"", read.text("/cover/image/url"));
        for part in ["<p>Thời tiết</p>", "<p>An &lt;Bình&gt; · ", time.as_str(), "+07:00</time>", photo.as_str(), "Nước rút</figcaption>"] {
            assert!(body.contains(part), "{part} in {body}");
        }
        assert!(body.ends_with("<p>Nguồn: <a href=\"https://bao-a.vn/1\">Báo A</a></p></article>\n"), "{body}");

        let markdown = reader.get(&format!("{path}/markdown")).await.is(200);
        assert_eq!(markdown.header("content-type"), "text/markdown; charset=utf-8");
        let body = markdown.body();
        assert!(body.starts_with("# ") && body.contains("\n\n## Mục\n\n") && !body.contains("<script>"), "{body}");
        let photo = format!("]({})\n\nNước rút\n\n", read.text("/cover/image/url"));
        assert!(body.contains(&photo) && body.contains("Thời tiết") && body.contains("An \\<Bình\\> · "), "{body}");
        assert!(body.trim_end().ends_with("Nguồn: [Báo A](https://bao-a.vn/1)") && !body.contains("caption:"), "{body}");

        // From memory the answer is the same, with its policy.
        let again = reader.get(&format!("{path}/html")).await.is(200);
        assert_eq!((again.bytes.clone(), again.header("content-security-policy")), (html.bytes.clone(), policy));
        for form in ["html", "markdown", "json-ld"] {
            let address = format!("{path}/{form}");
            let etag = reader.get(&address).await.is(200).header("etag");
            reader.get(&address).header("If-None-Match", &etag).await.is(304);
            reader.ask("HEAD", &address).await.is(200);
            for _ in 0..2 {
                reader.get(&format!("{address}?x=1")).await.refuses(400, "unknown_parameter");
            }
        }
    }

    async fn forms_move_and_go_with_their_story(desk) {
        let story = rich(&desk).await;
        let draft = desk.draft("Kín").await;
        let reader = desk.as_reader();
        let path = format!("/articles/{}", story.id());
        desk.as_editor().patch(&path, json!({ "slug": "nuoc-rut", "title": "Nước đã rút" }), story.version()).await.is(200);
        assert!(!reader.get(&format!("{path}/html")).await.is(200).body().contains("Nước đã rút"));
        let story = desk.publish(&desk.current(&story).await).await;
        for form in ["html", "markdown", "json-ld"] {
            assert!(reader.get(&format!("{path}/{form}")).await.is(200).body().contains("Nước đã rút"));
            let moved = reader.get(&format!("/articles/lu-rut/{form}")).await.is(308);
            assert_eq!(moved.header("location"), format!("/delivery/v1/articles/nuoc-rut/{form}"));
            reader.get(&format!("/articles/{}/{form}", draft.id())).await.refuses(404, "not_found");
        }
        desk.action(&story, "unpublish").await.is(200);
        for form in ["html", "markdown", "json-ld"] {
            reader.get(&format!("{path}/{form}")).await.refuses(410, "gone");
        }
    }

    async fn feeds_carry_the_newest_stories_whole(desk) {
        let story = rich(&desk).await;
        let read = desk.read(&story).await.is(200);
        let body = desk.as_reader().get(&format!("/articles/{}?include=html", story.id())).await.text("/html");
        let lead = "Nước rút<br/>chậm &amp; đều.";
        let html = format!("<p>{lead}</p>{body}");
        let reader = desk.as_reader();
        for (path, media_type) in FEEDS {
            let feed = reader.get(path).await.is(200);
            assert_eq!(feed.header("content-type"), media_type);
            let head = reader.ask("HEAD", path).await.is(200);
            assert_eq!(head.header("etag"), feed.header("etag"));
            reader.get(path).header("If-None-Match", &feed.header("etag")).await.is(304);
            reader.ask("OPTIONS", path).await.is(204);
            reader.ask("DELETE", path).await.refuses(405, "method_not_allowed");
        }
        assert_eq!(titles(&desk, "").await, vec![vec![HOSTILE]; 3]);

        let rss = reader.get("/feeds/rss.xml").await;
        assert_eq!(texts(&rss, "guid"), [story.id()]);
        assert_eq!(texts(&rss, "content:encoded"), [html.as_str()]);
        assert_eq!(texts(&rss, "dc:creator"), ["An <Bình>"]);
        assert_eq!(texts(&rss, "category"), ["Thời sự", "Mưa lũ & gió"]);
        assert_eq!(texts(&rss, "description")[1], lead);
        assert_eq!(texts(&rss, "link")[1], read.text("/url"));
        let image = read.text("/cover/image/url");
        let file = reader.get(image.trim_start_matches(&desk.address())).await.is(200);
        let enclosure = format!("url={image} length={} type=image/png", file.bytes.len());
        assert!(elements(&rss).contains(&("enclosure".into(), enclosure, String::new())), "{}", rss.body());
        let own = format!("href={}/feeds/rss.xml rel=self type=application/rss+xml", desk.address());
        assert!(elements(&rss).contains(&("atom:link".into(), own, String::new())), "{}", rss.body());

        let atom = reader.get("/feeds/atom.xml").await;
        assert_eq!(texts(&atom, "id")[1], format!("urn:uuid:{}", story.id()));
        assert_eq!(texts(&atom, "content"), [html.as_str()]);
        assert_eq!(texts(&atom, "published"), [read.text("/published_at")]);
        assert_eq!(texts(&atom, "name")[1], "An <Bình>");
        let enclosure = format!("rel=enclosure type=image/png length={} href={image}", file.bytes.len());
        assert!(elements(&atom).contains(&("link".into(), enclosure, String::new())), "{}", atom.body());

        let feed = reader.get("/feeds/feed.json").await;
        assert_eq!(feed["version"], "https://jsonfeed.org/version/1.1");
        assert_eq!(feed.text("/items/0/content_html"), html);
        assert_eq!(feed.text("/items/0/image"), image);
        assert_eq!(feed["items"][0]["tags"], json!(["Thời sự", "Mưa lũ & gió"]));
        assert_eq!(feed.text("/feed_url"), format!("{}/feeds/feed.json", desk.address()));
    }

    async fn feeds_take_the_filters_of_lists_and_ignore_the_rest(desk) {
        rich(&desk).await;
        desk.story(json!({ "title": "Khác", "featured": true })).await;
        let all = vec![vec!["Khác".to_owned(), HOSTILE.to_owned()]; 3];
        let rich = vec![vec![HOSTILE.to_owned()]; 3];
        let other = vec![vec!["Khác".to_owned()]; 3];
        assert_eq!(titles(&desk, "?utm_source=x&limit=none&sort=title&x=%ff").await, all);
        assert_eq!(titles(&desk, "?section=thoi-su&utm_source=x").await, rich);
        assert_eq!(titles(&desk, "?source=bao%20a").await, rich);
        assert_eq!(titles(&desk, "?featured=true").await, other);
        assert_eq!(titles(&desk, "?section=khong-co").await, vec![Vec::<String>::new(); 3]);
        for (path, _) in FEEDS {
            for malformed in ["featured=maybe", "language=VI", "published_after=now", "section=A%20B", "id=1", "tag="] {
                desk.as_reader().get(&format!("{path}?{malformed}")).await.refuses(400, "invalid_parameter");
            }
        }
        for number in 0..21 {
            desk.story(json!({ "title": format!("Bài {number}") })).await;
        }
        let newest: Vec<String> = (1..21).rev().map(|number| format!("Bài {number}")).collect();
        assert_eq!(titles(&desk, "").await, vec![newest; 3]);
    }

    async fn what_they_ignore_makes_no_answer_of_its_own(desk, LOG = "info,newsdesk::cache=debug") {
        rich(&desk).await;
        let month = chrono::Utc::now().format("%Y-%m").to_string();
        let reader = desk.as_reader();
        for address in ["/feeds/rss.xml", "/feeds/atom.xml?section=thoi-su&tag=khac", "/feeds/feed.json?language=vi", "/sitemap.xml", "/sitemap-news.xml",
            &format!("/sitemap-{month}.xml")] {
            let (path, query) = address.split_once('?').unwrap_or((address, ""));
            let plain = reader.get(address).await.is(200);
            let turned = query.split('&').rev().collect::<Vec<_>>().join("&");
            for more in ["utm_source=a", "utm_source=b", "x=%ff", "cursor=1&limit=2", "SECTION=x"] {
                for query in [format!("{more}&{query}"), format!("{turned}&{more}")] {
                    let same = reader.get(&format!("{path}?{query}")).await.is(200);
                    assert_eq!((&same.bytes, same.header("etag")), (&plain.bytes, plain.header("etag")), "{path}?{query}");
                }
            }
            let log = desk.log();
            let built = log.lines().filter(|line| line.contains("\"built\"") && line.contains(path)).count();
            assert_eq!(built, 1, "{address}: {log}");
        }
    }

    async fn a_feed_is_called_by_its_section_and_speaks_its_language(desk) {
        let section = desk.named("sections", "Thời sự").await;
        let (other, hidden) = (desk.named("sections", "Thể thao").await, desk.named("sections", "Kín").await);
        desk.story(json!({ "title": "Tin", "section_id": section.id() })).await;
        desk.story(json!({ "title": "Match", "section_id": other.id(), "language": "en" })).await;
        let site = desk.as_reader().get("/site").await.text("/name");
        let names = async |query: &str| {
            let [rss, atom, feed] = FEEDS.map(|(path, _)| desk.as_reader().get(&format!("{path}?{query}")));
            let (rss, atom, feed) = (rss.await.is(200), atom.await.is(200), feed.await.is(200));
            let titles = vec![texts(&rss, "title")[0].clone(), texts(&atom, "title")[0].clone(), feed.text("/title")];
            let attributes = elements(&atom)[0].1.clone();
            let spoken = attributes.rsplit_once("xml:lang=").expect("a language").1.to_owned();
            let languages = vec![texts(&rss, "language")[0].clone(), spoken, feed.text("/language")];
            (titles, languages)
        };
        let all = |title: &str, language: &str| (vec![title.to_owned(); 3], vec![language.to_owned(); 3]);
        let of = |name: &str| format!("{site} – {name}");
        for _ in 0..2 {
            assert_eq!(names("section=thoi-su").await, all(&of("Thời sự"), "vi"));
        }
        assert_eq!(names(&format!("section={}&language=en", other.id())).await, all(&of("Thể thao"), "en"));
        assert_eq!(names("language=vi,en").await, all(&site, "vi"), "of several languages, the site's first");
        assert_eq!(names("section=thoi-su,the-thao").await, all(&site, "vi"), "of several sections, the site's name");
        assert_eq!(names("section=khong-co").await, all(&site, "vi"));
        assert_eq!(names("section=kin").await, all(&site, "vi"), "readers do not know of it");
        let rename = |id: String, name: &str| desk.as_editor().patch(&format!("/sections/{id}"), json!({ "name": name }), 1);
        rename(section.id(), "Chuyện trong ngày").await.is(200);
        assert_eq!(names("section=thoi-su").await, all(&of("Chuyện trong ngày"), "vi"), "at once");
        rename(hidden.id(), "Vẫn kín").await.is(200);
        assert_eq!(names("section=kin").await, all(&site, "vi"));
        let atom = desk.as_reader().get("/feeds/atom.xml").await.is(200);
        let entries: Vec<_> = elements(&atom).into_iter().filter(|(name, ..)| name == "entry").map(|(_, attributes, _)| attributes).collect();
        assert_eq!(entries, ["xml:lang=en", "xml:lang=vi"], "each story in its own");
    }

    async fn search_engines_read_what_was_written_for_them(desk) {
        let content = json!({ "title": "Lũ rút", "lead": "Nước rút.", "seo": { "title": "Lũ rút ở Thái Nguyên", "description": "Bà con dọn bùn." } });
        let story = desk.story(content).await;
        let path = format!("/articles/{}/json-ld", story.id());
        let about = async || {
            let about = desk.as_reader().get(&path).await.is(200);
            (about.text("/headline"), about.text("/description"))
        };
        assert_eq!(about().await, ("Lũ rút ở Thái Nguyên".into(), "Bà con dọn bùn.".into()));
        let edit = |version| desk.as_editor().patch(&format!("/articles/{}", story.id()), json!({ "seo": null }), version);
        desk.publish(&edit(story.version()).await.is(200)).await;
        assert_eq!(about().await, ("Lũ rút".into(), "Nước rút.".into()));
    }

    async fn what_is_not_public_is_in_no_feed_and_no_sitemap(desk) {
        let live = desk.story(json!({ "title": "Công khai", "slug": "cong-khai" })).await;
        let canary = json!({ "title": "canary", "lead": "canary", "slug": "canary", "body_markdown": "canary" });
        let draft = desk.as_editor().post("/articles", canary.clone()).await.is(201);
        let path = format!("/articles/{}", live.id());
        let live = desk.as_editor().patch(&path, canary_of_live(), live.version()).await.is(200);
        let month = desk.as_reader().get(&format!("/articles/{}", live.id())).await.text("/published_at");
        let page = format!("/sitemap-{}.xml", &month[..7]);
        let addresses: Vec<&str> = FEEDS.map(|(path, _)| path).into_iter().chain(SITEMAPS).chain([page.as_str()]).collect();
        for address in &addresses {
            let reply = desk.as_reader().get(address).await.is(200);
            let all = format!("{:?} {}", reply.headers, reply.body());
            assert!(!all.contains("canary") && !all.contains(&draft.id()), "{address}: {all}");
            assert!(*address == "/sitemap.xml" || all.contains("cong-khai"), "{address}: {all}");
        }
        desk.publish(&draft).await;
        for address in &addresses {
            let all = desk.as_reader().get(address).await.is(200).body();
            assert!(*address == "/sitemap.xml" || all.contains("canary"), "{address}: {all}");
        }
        let draft = desk.current(&draft).await;
        desk.action(&draft, "unpublish").await.is(200);
        for address in &addresses {
            assert!(!desk.as_reader().get(address).await.is(200).body().contains("canary"), "{address}");
        }
        desk.action(&live, "unpublish").await.is(200);
        desk.as_reader().get(&page).await.refuses(404, "not_found");
        assert_eq!(texts(&desk.as_reader().get("/sitemap.xml").await.is(200), "loc"), Vec::<String>::new());
    }

    async fn sitemaps_lead_to_every_story_month_by_month(desk) {
        let reader = desk.as_reader();
        for (title, time) in [
            ("Cũ", "2024-01-31T23:59:59.999Z"),
            ("Kế", "2024-02-01T00:00:00Z"),
            ("Xưa", "1999-12-31T12:00:00Z"),
        ] {
            published_at(&desk, title, time).await;
        }
        let fresh = desk.story(json!({ "title": HOSTILE, "slug": "moi" })).await;
        let read = desk.read(&fresh).await.is(200);
        let month = &read.text("/published_at")[..7];
        let index = reader.get("/sitemap.xml?utm=1").await.is(200);
        let at = |name: &str| format!("{}/sitemap-{name}.xml", desk.address());
        assert_eq!(texts(&index, "loc"), [at(month), at("2024-02"), at("2024-01"), at("1999-12")]);
        let dates = ["2024-02-01T00:00:00.000Z", "2024-01-31T23:59:59.999Z", "1999-12-31T12:00:00.000Z"];
        assert_eq!(texts(&index, "lastmod"), [vec![read.text("/updated_at").as_str()], dates.to_vec()].concat());
        let mut seen = Vec::new();
        for address in texts(&index, "loc") {
            let page = reader.get(address.trim_start_matches(&desk.address())).await.is(200);
            assert_eq!(texts(&page, "lastmod").len(), texts(&page, "loc").len());
            seen.extend(texts(&page, "loc"));
        }
        let listed = reader.get("/articles").await.is(200);
        assert_eq!(seen, listed.list("/data").iter().map(|one| one["url"].clone()).collect::<Vec<Value>>());
        for nowhere in ["2024-03", "2024-01-31", "2024-01-31T23", "2024-01-31T235959", "2024-01-2", "2024-1", "x"] {
            reader.get(&format!("/sitemap-{nowhere}.xml")).await.refuses(404, "not_found");
        }
        reader.ask("POST", "/sitemap-2024-01.xml").await.refuses(405, "method_not_allowed");

        let news = reader.get("/sitemap-news.xml").await.is(200);
        assert_eq!(news.header("cache-control"), "public, max-age=60");
        assert_eq!(texts(&news, "loc"), [read.text("/url")]);
        assert_eq!(texts(&news, "news:title"), [HOSTILE]);
        assert_eq!(texts(&news, "news:publication_date"), [read.text("/published_at")]);
        assert_eq!(texts(&news, "news:name"), [reader.get("/site").await.text("/name")]);
        reader.ask("HEAD", "/sitemap-news.xml").await.is(200);
        reader.get("/sitemap-news.xml").header("If-None-Match", &news.header("etag")).await.is(304);
    }

    async fn a_month_with_many_stories_is_split_and_nothing_moves(desk) {
        // Two in each of 2,501 milliseconds, and one a day later.
        many(&desk, 5002, "1709251200000 + (n - 1) / 2");
        published_at(&desk, "Hôm sau", "2024-03-02T10:00:00Z").await;
        let reader = desk.as_reader();
        let index = reader.get("/sitemap.xml").await.is(200);
        let at = |name: &str| format!("{}/sitemap-{name}.xml", desk.address());
        let names = ["2024-03-02", "2024-03-01T000002", "2024-03-01T000001", "2024-03-01T000000"];
        assert_eq!(texts(&index, "loc"), names.map(at));
        assert_eq!(texts(&index, "lastmod")[1..], ["1970-01-01T00:00:00.000Z"; 3]);
        let page = async |name: &str| texts(&reader.get(&format!("/sitemap-{name}.xml")).await.is(200), "loc");
        let (mut all, before) = (Vec::new(), page(names[2]).await);
        for name in names {
            all.extend(page(name).await);
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 5003, "each story once");
        for nowhere in ["2024-03", "2024-03-01", "2024-03-01T00", "2024-03-01T0000", "2024-03-01T000003", "2024-03-02T10"] {
            reader.get(&format!("/sitemap-{nowhere}.xml")).await.refuses(404, "not_found");
        }
        assert_eq!((page(names[3]).await.len(), before.len()), (2000, 2000));
        desk.database().execute("UPDATE publications SET state = 'gone', updated_ms = 1709300000000 WHERE slug = 'bai-2'");
        published_at(&desk, "Cũng hôm sau", "2024-03-02T11:00:00Z").await;
        assert_eq!(page(names[3]).await.len(), 1999, "one of the first is withdrawn");
        assert_eq!(page(names[2]).await, before, "the later ones stay where they are");
        let index = reader.get("/sitemap.xml").await.is(200);
        assert_eq!(texts(&index, "lastmod")[3], "2024-03-01T13:33:20.000Z", "what is withdrawn changes its page, too");
    }

    async fn a_sitemap_shows_images_and_other_languages(desk) {
        let reader = desk.as_reader();
        let story = rich(&desk).await;
        let second = desk.caption(&story, &desk.image(81).await, "gallery").await;
        let story = desk.publish(&desk.current(&story).await).await;
        let read = desk.read(&story).await.is(200);
        let page = format!("/sitemap-{}.xml", &read.text("/published_at")[..7]);
        let links = async || {
            let found = elements(&reader.get(&page).await.is(200)).into_iter();
            found.filter(|(name, ..)| name == "xhtml:link").map(|(_, attributes, _)| attributes).collect::<Vec<_>>()
        };
        let images: Vec<String> = read.list("/captions").iter().map(|one| one["image"]["url"].as_str().expect("a URL").to_owned()).collect();
        assert_eq!(texts(&reader.get(&page).await.is(200), "image:loc"), images);
        assert_eq!(links().await, Vec::<String>::new());

        let content = json!({ "title": "The flood recedes", "language": "en", "translation_of": story.id() });
        let draft = desk.as_editor().post("/articles", content).await.is(201);
        assert_eq!(links().await, Vec::<String>::new(), "a draft is nothing to readers");
        let path = format!("/articles/{}/publish", draft.id());
        let publish = desk.as_editor().act(&path, draft.version()).json(&json!({ "published_at": "2024-01-31T10:00:00Z" }));
        let english = publish.await.is(200);
        let url = desk.read(&english).await.is(200).text("/url");
        let both = |first: &str, second: &str| [first, second].map(|one| format!("rel=alternate hreflang={one}")).to_vec();
        let (vi, en) = (format!("vi href={}", read.text("/url")), format!("en href={url}"));
        assert_eq!(links().await, both(&vi, &en));
        let other = elements(&reader.get("/sitemap-2024-01.xml").await.is(200)).into_iter();
        let other: Vec<String> = other.filter(|(name, ..)| name == "xhtml:link").map(|(_, attributes, _)| attributes).collect();
        assert_eq!(other, both(&en, &vi), "each page has both");
        desk.action(&desk.current(&english).await, "unpublish").await.is(200);
        assert_eq!(links().await, Vec::<String>::new());
        desk.as_editor().ask("DELETE", &format!("/captions/{}", second.id())).header("If-Match", "*").await.is(204);
        desk.publish(&desk.current(&story).await).await;
        assert_eq!(texts(&reader.get(&page).await.is(200), "image:loc"), images[..1]);
    }

    async fn a_publication_leaves_the_sitemaps_of_other_months_in_memory(desk, LOG = "info,newsdesk::cache=debug") {
        let reader = desk.as_reader();
        let section = desk.named("sections", "Thời sự").await;
        let january = published_at(&desk, "Giêng", "2024-01-10T00:00:00Z").await;
        published_at(&desk, "Hai", "2024-02-10T00:00:00Z").await;
        let ask = async || {
            for month in ["2024-01", "2024-02"] {
                reader.get(&format!("/sitemap-{month}.xml")).await.is(200);
            }
        };
        let built = |month: &str| desk.log().lines().filter(|line| line.contains("\"built\"") && line.contains(month)).count();
        ask().await;
        published_at(&desk, "Hai nữa", "2024-02-11T00:00:00Z").await;
        ask().await;
        desk.draft("Nháp").await;
        ask().await;
        assert_eq!((built("sitemap-2024-01"), built("sitemap-2024-02")), (1, 2));
        let moved = desk.as_editor().patch(&format!("/articles/{}", january.id()), json!({ "section_id": section.id() }), january.version()).await.is(200);
        desk.publish(&moved).await;
        let page = reader.get("/sitemap-2024-01.xml").await.is(200);
        assert_eq!(texts(&page, "loc"), ["https://bao.example.vn/thoi-su/gieng"]);
        desk.as_editor().patch(&format!("/sections/{}", section.id()), json!({ "slug": "tin" }), 1).await.is(200);
        let page = reader.get("/sitemap-2024-01.xml").await.is(200);
        assert_eq!(texts(&page, "loc"), ["https://bao.example.vn/tin/gieng"], "a renamed section is another address");
        let now = desk.current(&january).await;
        let publish = desk.as_editor().act(&format!("/articles/{}/publish", january.id()), now.version());
        publish.json(&json!({ "published_at": "2024-02-12T00:00:00Z" })).await.is(200);
        reader.get("/sitemap-2024-01.xml").await.refuses(404, "not_found");
        assert_eq!(texts(&reader.get("/sitemap-2024-02.xml").await.is(200), "loc").len(), 3, "it has moved to another month");
    }

    async fn news_are_two_days_old_at_the_most(desk) {
        let ago = |seconds: i64| (chrono::Utc::now() - chrono::Duration::seconds(seconds)).to_rfc3339();
        for (title, seconds) in [("Sáng nay", 3600), ("Còn mới", 172_800 - 30), ("Vừa cũ", 172_801), ("Cũ", 400_000)] {
            published_at(&desk, title, &ago(seconds)).await;
        }
        let site = desk.as_admin().get("/site").await.is(200);
        desk.as_admin().patch("/site", json!({ "languages": ["vi", "zh-tw", "en-gb"] }), site.version()).await.is(200);
        let traditional = desk.as_editor().post("/articles", json!({ "title": "新聞", "slug": "xin-wen", "language": "zh-tw" })).await.is(201);
        desk.publish(&traditional).await;
        let british = desk.as_editor().post("/articles", json!({ "title": "News", "language": "en-gb" })).await.is(201);
        desk.publish(&british).await;
        let news = desk.as_reader().get("/sitemap-news.xml").await.is(200);
        assert_eq!(texts(&news, "news:title"), ["News", "新聞", "Sáng nay", "Còn mới"]);
        assert_eq!(texts(&news, "news:language"), ["en", "zh-tw", "vi", "vi"], "as Google names languages");
    }

    async fn news_are_a_thousand_at_the_most_and_the_newest(desk) {
        let now = chrono::Utc::now().timestamp_millis();
        many(&desk, 1001, &format!("{now} - 1000 * (1002 - n)"));
        let news = desk.as_reader().get("/sitemap-news.xml").await.is(200);
        let urls = texts(&news, "loc");
        assert_eq!(urls.len(), 1000);
        assert!(urls[0].ends_with("/bai-1001") && urls[999].ends_with("/bai-2"), "{} {}", urls[0], urls[999]);
    }
}

/// So many live stories, number n of them published at this time: written where no publishing could be waited for.
fn many(desk: &Desk, count: usize, published_ms: &str) {
    let card = json!({ "title": "Bài", "kicker": null, "lead": null, "dateline": null, "section_id": null, "tag_ids": [],
        "author_ids": [], "source": null, "cover": null, "reading_minutes": 1 });
    desk.database().execute(&format!(
        "INSERT INTO publications (article_id, state, revision, content_hash, slug, language, translation_group, featured,
            title_key, published_ms, first_published_ms, updated_ms, feedback_open, card)
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
         SELECT '01900000-0000-7000-8000-' || CAST(100000000000 + n AS TEXT), 'live', 1, '', 'bai-' || CAST(n AS TEXT), 'vi',
            '01900000-0000-7000-8000-' || CAST(100000000000 + n AS TEXT), FALSE, '', {published_ms}, 0, 0, FALSE, '{card}'
         FROM numbers"
    ));
}

fn canary_of_live() -> Value {
    json!({ "title": "canary", "lead": "canary", "slug": "canary-moi" })
}
