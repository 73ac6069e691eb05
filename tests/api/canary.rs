//! A canary: a word that stands everywhere in a story goes through every step of the story's life, and after each of them
//! everything that readers can ask is listened to. Unpublished is not heard, not counted and not guessed: the answers are
//! byte for byte those that they were before, or those for a story that does not exist.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use crate::support::sweep::{Names, Thing, Told, hears, sweep};
use crate::support::{Desk, Reply, Value, json, newsroom_tests};

const CANARY: &str = "Hoàngyến";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// A newsroom with public stories, and what the canary will be put into.
struct Cage {
    desk: Desk,
    names: Names,
    image: Reply,
    /// What readers were told before.
    before: BTreeMap<String, Told>,
    /// Texts without the canary, which need no second hearing.
    quiet: RefCell<HashSet<String>>,
}

/// Every field that takes words, with the canary in it.
fn words(names: &Names) -> Value {
    json!({
        "title": format!("{CANARY} tựa"), "kicker": format!("{CANARY} nhãn"), "lead": format!("{CANARY} dẫn"),
        "dateline": format!("{CANARY} ngày"), "slug": names.slug, "language": "en", "featured": true,
        "body_markdown": format!("## {CANARY} mục\n\nMột con {CANARY}.\n\n[{CANARY}](https://hoangyen.example.vn)"),
        "source": { "name": names.source, "url": "https://hoangyen.example.vn/nguon" },
        "seo": { "title": format!("{CANARY} seo"), "description": format!("{CANARY} seo"),
            "canonical_url": "https://hoangyen.example.vn/chinh" },
        "section_id": names.section.id, "tag_ids": [names.tag.id], "author_ids": [names.author.id]
    })
}

/// The same story without the canary.
fn silence() -> Value {
    json!({
        "title": "A quiet story", "kicker": null, "lead": null, "dateline": null, "slug": "quiet", "body": [], "source": null,
        "seo": null, "section_id": null, "tag_ids": [], "author_ids": [], "featured": false
    })
}

impl Cage {
    async fn open(desk: &Desk) -> Self {
        let public = desk.named("sections", "Thời sự").await;
        let story = desk
            .story(json!({ "title": "Tin công khai", "section_id": public.id() }))
            .await;
        let neighbour = desk.story(json!({ "title": "Tin in English", "language": "en" })).await;
        let nobody = |last: u8| format!("01900000-0000-7000-8000-0000000000{last:02}");
        let thing = |last: u8| Thing {
            id: nobody(last),
            slug: "hoangyen".into(),
        };
        let names = Names {
            id: nobody(1),
            slug: "hoangyen".into(),
            section: thing(2),
            tag: thing(3),
            author: thing(4),
            source: CANARY.into(),
            words: [CANARY, "hoangyen", "hoàng", "\"hoangyen tua\"", "hoangyen.example.vn"]
                .map(str::to_owned)
                .into(),
            others: [story.id(), neighbour.id()],
            files: Vec::new(),
            ended_previews: Vec::new(),
        };
        let mut cage = Self {
            desk: desk.clone(),
            names,
            image: story,
            before: BTreeMap::new(),
            quiet: RefCell::default(),
        };
        cage.settle().await;
        cage.image = desk.image(80).await;
        let bird = |input: Value| json!({ "name": CANARY, "slug": "hoangyen" }).merged(input);
        for (kind, more) in [
            ("sections", json!({ "description": CANARY })),
            ("tags", json!({})),
            ("authors", json!({ "bio": CANARY })),
        ] {
            let made = desk.as_editor().post(&format!("/{kind}"), bird(more)).await.is(201);
            let thing = match kind {
                "sections" => &mut cage.names.section,
                "tags" => &mut cage.names.tag,
                _ => &mut cage.names.author,
            };
            thing.id = made.id();
        }
        let image = json!({ "alt": CANARY, "credit": CANARY, "caption": CANARY, "filename": "hoangyen.png" });
        desk.as_editor()
            .patch(&format!("/images/{}", cage.image.id()), image, 1)
            .await
            .is(200);
        cage
    }

    /// Takes what readers are told now for what they are to be told later. Answers that are younger than a second have no
    /// date yet, so it waits for one.
    async fn settle(&mut self) {
        for _ in 0..100 {
            let list = self.desk.as_reader().get("/articles").await.is(200);
            if !list.header("last-modified").is_empty() {
                let told = self.tell().await;
                self.silent("before anything", &told);
                self.before = told;
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the list has no date");
    }

    fn path(&self) -> String {
        format!("/articles/{}", self.names.id)
    }

    async fn now(&self) -> Reply {
        self.desk.as_editor().get(&self.path()).await.is(200)
    }

    async fn edit(&self, content: Value) -> Reply {
        let version = self.now().await.version();
        self.desk
            .as_editor()
            .patch(&self.path(), content, version)
            .await
            .is(200)
    }

    async fn act(&self, verb: &str, input: Value) -> Reply {
        let version = self.now().await.version();
        let path = format!("{}/{verb}", self.path());
        self.desk.as_editor().act(&path, version).json(&input).await
    }

    /// Places the image with the canary in its words, and a figure in the body.
    async fn illustrate(&mut self) {
        let place = json!({ "article_id": self.names.id, "image_id": self.image.id(), "role": "inline", "text": CANARY,
            "alt": CANARY, "credit": CANARY });
        let caption = self.desk.as_editor().post("/captions", place).await.is(201);
        let body = format!("Một con {CANARY}.\n\n![{CANARY}](caption:{})", caption.id());
        self.edit(json!({ "body_markdown": body })).await;
    }

    async fn tell(&self) -> BTreeMap<String, Told> {
        sweep(&self.desk, &self.names).await
    }

    /// Whether the canary is in an answer.
    fn is_in(&self, told: &Told) -> bool {
        [&told.head, &told.body].into_iter().any(|text| {
            let heard = !self.quiet.borrow().contains(text) && hears(text, CANARY);
            if !heard {
                self.quiet.borrow_mut().insert(text.clone());
            }
            heard
        })
    }

    /// Nobody hears the canary.
    fn silent(&self, when: &str, told: &BTreeMap<String, Told>) {
        for (asked, told) in told {
            assert!(!self.is_in(told), "{when}, {asked} tells the canary: {told:#?}");
        }
    }

    /// Everything that readers can ask is answered as before, to the byte.
    async fn no_trace(&self, when: &str) {
        let told = self.tell().await;
        self.silent(when, &told);
        for (asked, before) in &self.before {
            assert_eq!(&told[asked], before, "{when}, the answer to {asked} is another one");
        }
    }

    /// Nobody hears the canary, the story has been withdrawn, and everything else is told as it was before there was one.
    async fn withdrawn(&self, when: &str) {
        let told = self.tell().await;
        self.silent(when, &told);
        for (asked, before) in &self.before {
            let now = &told[asked];
            let own = ["(id)", &self.names.slug]
                .iter()
                .any(|name| asked.contains(&format!("/articles/{name}")));
            if own && now.operation != "recordView" && !asked.starts_with("HEAD") {
                assert!(now.head.starts_with("410"), "{when}, {asked}: {now:#?}");
            } else if !own
                && !asked.ends_with("If-Modified-Since")
                && !["listChanges", "streamChanges"].contains(&now.operation.as_str())
            {
                assert_eq!(
                    undated(asked, &now.body),
                    undated(asked, &before.body),
                    "{when}, the answer to {asked} is not what it was before"
                );
            }
        }
    }

    /// Who hears the canary: every operation that shows stories must, or the silence elsewhere says nothing.
    async fn sings(&self, when: &str) {
        let told = self.tell().await;
        let mut heard = BTreeSet::new();
        for told in told.values() {
            if !heard.contains(told.operation.as_str()) && self.is_in(told) {
                heard.insert(told.operation.as_str());
            }
        }
        let singing = BTreeSet::from([
            "getArticle",
            "getArticleHtml",
            "getArticleJsonLd",
            "getArticleMarkdown",
            "getAtomFeed",
            "getAuthor",
            "getJsonFeed",
            "getNewsSitemap",
            "getRssFeed",
            "getSection",
            "getSitemapPage",
            "getTag",
            "listArticles",
            "listAuthors",
            "listMostViewed",
            "listRelated",
            "listSections",
            "listTags",
            "searchArticles",
        ]);
        assert_eq!(heard, singing, "{when}");
    }

    /// A link to the story, whose page shows the canary to whoever has it. It is revoked; what is left of it is listened to.
    async fn preview(&mut self) {
        let links = format!("{}/preview-links", self.path());
        let made = self.desk.as_editor().post(&links, json!({})).await.is(201);
        let token = made.text("/token");
        let shown = self.desk.as_reader().get(&format!("/previews/{token}")).await.is(200);
        assert!(hears(&shown.body(), CANARY), "{}", shown.body());
        self.no_trace("with a link to it").await;
        self.desk
            .as_editor()
            .ask("DELETE", &format!("{links}/{}", made.id()))
            .await
            .is(204);
        self.names.ended_previews.push(token);
    }

    /// A reader opens it, and the list of the most viewed has it.
    async fn open_once(&self) {
        let beacon = self.desk.as_reader().ask("POST", &format!("{}/views", self.path()));
        beacon.header("User-Agent", FIREFOX).await.is(202);
        for _ in 0..200 {
            let list = self.desk.as_reader().get("/most-viewed").await.is(200);
            if !list.list("/data").is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the view is not counted");
    }

    async fn publish(&self) -> Reply {
        self.act("publish", json!({})).await.is(200)
    }
}

trait Merged {
    fn merged(self, other: Self) -> Self;
}

impl Merged for Value {
    fn merged(mut self, other: Value) -> Value {
        for (name, value) in other.as_object().expect("an object") {
            self[name] = value.clone();
        }
        self
    }
}

fn tomorrow() -> String {
    let time = chrono::Utc::now() + chrono::Duration::days(1);
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// An answer, of the sitemap's index without its dates: a page that a story has left has changed, and that is what they
/// tell.
fn undated(asked: &str, body: &str) -> String {
    let pieces = body.split("<lastmod>");
    match asked.contains("/sitemap.xml") {
        true => pieces
            .map(|piece| piece.split_once("</lastmod>").map_or(piece, |(_, rest)| rest))
            .collect(),
        false => body.to_owned(),
    }
}

newsroom_tests! {
    async fn a_story_that_was_never_public_leaves_no_trace(desk, RATE_LIMITS = "off") {
        let mut cage = Cage::open(&desk).await;
        cage.no_trace("only its section, tag, author and image are there").await;
        let public = cage.names.others[0].clone();
        let content = words(&cage.names).merged(json!({ "translation_of": public, "featured": false }));
        let draft = desk.as_writer().post("/articles", content).await.is(201);
        cage.names.id = draft.id();
        cage.no_trace("a draft").await;
        cage.illustrate().await;
        let shown = desk.as_editor().get(&format!("/images/{}", cage.image.id())).await.is(200);
        cage.names.files.push(shown.text("/url").replace(&desk.address(), ""));
        cage.no_trace("edited and illustrated").await;

        let path = cage.path();
        let submit = desk.as_writer().act(&format!("{path}/submit"), cage.now().await.version());
        submit.json(&json!({ "note": CANARY })).await.is(200);
        cage.no_trace("in review").await;
        cage.act("reject", json!({ "note": CANARY })).await.is(200);
        cage.no_trace("sent back").await;
        let submit = desk.as_writer().act(&format!("{path}/submit"), cage.now().await.version());
        submit.json(&json!({ "note": CANARY })).await.is(200);
        desk.as_editor().ask("PUT", &format!("{path}/lease")).await.is(200);
        cage.no_trace("in review again, and open on somebody's desk").await;
        cage.preview().await;
        cage.no_trace("its link revoked").await;

        let version = cage.now().await.version();
        let change = json!({ "method": "PATCH", "id": cage.names.id, "version": version, "body": { "lead": format!("{CANARY} lô"), "featured": true } });
        let batch = desk.as_editor().post("/articles/batch", json!({ "operations": [change] })).await.is(200);
        assert_eq!(batch["results"][0]["status"], 200, "{}", batch.body());
        cage.no_trace("changed in a batch").await;
        cage.act("revisions/1/restore", json!({})).await.is(200);
        cage.no_trace("an old revision restored").await;

        cage.act("publish", json!({ "publish_at": tomorrow() })).await.is(200);
        cage.no_trace("scheduled").await;
        cage.edit(json!({ "kicker": format!("{CANARY} sau") })).await;
        cage.preview().await;
        cage.no_trace("edited while it is scheduled").await;
        cage.act("unschedule", json!({})).await.is(200);
        cage.no_trace("not scheduled any more").await;
        cage.act("publish", json!({ "publish_at": tomorrow() })).await.is(200);
        cage.act("trash", json!({})).await.is(200);
        cage.no_trace("in the trash").await;
        cage.act("restore", json!({})).await.is(200);
        cage.no_trace("out of the trash").await;
        let trashed = cage.act("trash", json!({})).await.is(200);
        desk.as_editor().delete(&path, trashed.version()).await.is(204);
        cage.no_trace("erased").await;
    }

    async fn an_unpublished_edit_of_a_live_story_leaves_no_trace(desk, RATE_LIMITS = "off") {
        let mut cage = Cage::open(&desk).await;
        let content = silence().merged(json!({ "translation_of": cage.names.others[0], "language": "en" }));
        let live = desk.story(content).await;
        cage.names.id = live.id();
        cage.open_once().await;
        cage.settle().await;
        cage.edit(words(&cage.names)).await;
        cage.no_trace("edited").await;
        cage.illustrate().await;
        cage.no_trace("illustrated").await;
        cage.act("submit", json!({ "note": CANARY })).await.is(200);
        cage.no_trace("submitted").await;
        cage.act("reject", json!({ "note": CANARY })).await.is(200);
        cage.preview().await;
        cage.no_trace("sent back, a link made and revoked").await;
        cage.act("publish", json!({ "publish_at": tomorrow() })).await.is(200);
        cage.no_trace("scheduled").await;
        cage.act("unschedule", json!({})).await.is(200);

        cage.act("corrections", json!({ "text": "Một chỗ sai." })).await.is(201);
        cage.silent("something else was corrected", &cage.tell().await);
        cage.publish().await;
        cage.sings("published").await;
        cage.edit(silence().merged(json!({ "slug": "quieter" }))).await;
        cage.sings("the words are gone from the working copy only").await;
        for caption in cage.now().await.list("/captions").to_vec() {
            desk.as_editor().ask("DELETE", &format!("/captions/{}", caption["id"].as_str().unwrap_or(""))).header("If-Match", "*").await.is(204);
        }
        cage.publish().await;
        cage.silent("published without it again", &cage.tell().await);
        let moved = desk.as_reader().get("/articles/hoangyen").await.is(308);
        assert_eq!(moved.header("location"), "/delivery/v1/articles/quieter");
    }

    async fn what_was_withdrawn_is_silent(desk, RATE_LIMITS = "off") {
        let mut cage = Cage::open(&desk).await;
        let content = words(&cage.names).merged(json!({ "translation_of": cage.names.others[0] }));
        let draft = desk.as_editor().post("/articles", content).await.is(201);
        cage.names.id = draft.id();
        cage.illustrate().await;
        cage.no_trace("a draft").await;
        cage.publish().await;
        cage.open_once().await;
        cage.sings("published").await;
        cage.act("corrections", json!({ "text": format!("Không phải {CANARY}.") })).await.is(201);
        cage.sings("corrected").await;
        cage.act("unpublish", json!({ "reason": CANARY })).await.is(200);
        cage.withdrawn("unpublished").await;
        cage.edit(json!({ "kicker": format!("{CANARY} sửa") })).await;
        cage.withdrawn("edited after that").await;
        cage.act("publish", json!({ "publish_at": tomorrow() })).await.is(200);
        cage.withdrawn("scheduled to come back").await;
        cage.publish().await;
        cage.sings("published again").await;
        cage.act("trash", json!({})).await.is(200);
        cage.withdrawn("in the trash").await;
        cage.act("restore", json!({})).await.is(200);
        cage.withdrawn("out of the trash").await;
        let soon = chrono::Utc::now() + chrono::Duration::milliseconds(1500);
        let soon = soon.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        cage.act("publish", json!({ "unpublish_at": soon })).await.is(200);
        for _ in 0..200 {
            if desk.as_reader().get(&cage.path()).await.status == 410 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        cage.withdrawn("unpublished by the clock").await;
        let trashed = cage.act("trash", json!({})).await.is(200);
        desk.as_editor().delete(&cage.path(), trashed.version()).await.is(204);
        cage.withdrawn("erased").await;
    }
}
