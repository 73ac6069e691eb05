//! Publishing and withdrawing at a set time: pinned, on time, once, and parked when it cannot be.

use std::time::{Duration, Instant};

use crate::support::desk::Server;
use crate::support::{Desk, Reply, Value, all, json, newsroom_tests};

/// A time some milliseconds from now.
pub fn ahead(ms: i64) -> String {
    let time = chrono::Utc::now() + chrono::Duration::milliseconds(ms);
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn now() -> String {
    ahead(0)
}

/// The editor publishes an article as it was answered, with these words.
pub async fn publish(desk: &Desk, article: &Reply, input: Value) -> Reply {
    let path = format!("/articles/{}/publish", article.id());
    desk.as_editor().act(&path, article.version()).json(&input).await
}

/// The article, once it is as it should be; at most ten seconds later.
pub async fn once(desk: &Desk, article: &Reply, is_so: impl Fn(&Reply) -> bool) -> Reply {
    let start = Instant::now();
    loop {
        let current = desk.current(article).await;
        if is_so(&current) {
            return current;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it never came: {}",
            current.body()
        );
        pause(50).await;
    }
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// How often the feed tells this of an article.
async fn told(desk: &Desk, article: &Reply, kind: &str) -> usize {
    let feed = desk.as_reader().get("/changes?limit=100").await.is(200);
    let same = |change: &&Value| change["article_id"] == article.id() && change["type"] == kind;
    feed.list("/data").iter().filter(same).count()
}

/// How often the audit trail has this action on an article by the schedule.
fn audited(desk: &Desk, article: &Reply, action: &str) -> i64 {
    let id = article.id();
    desk.database().count(&format!(
        "audit WHERE action = 'article.{action}' AND target_id = '{id}' \
         AND actor_type = 'system' AND actor_name = 'schedule' AND data LIKE '%Trần Biên Tập%'"
    ))
}

async fn edit(desk: &Desk, article: &Reply, change: Value) -> Reply {
    let path = format!("/articles/{}", article.id());
    desk.as_editor().patch(&path, change, article.version()).await
}

newsroom_tests! {
    async fn a_pinned_revision_is_published_at_its_time(desk) {
        let draft = desk.draft("Như đã duyệt").await;
        let at = ahead(1500);
        let scheduled = publish(&desk, &draft, json!({ "publish_at": at })).await.is(200);
        assert_eq!((&scheduled["status"], &scheduled["publish_at"]), (&json!("scheduled"), &json!(at)));
        assert_eq!(scheduled["scheduled_revision"], scheduled["revision"]);
        assert_eq!(scheduled["unpublish_at"], Value::Null);
        let list = desk.as_editor().get("/articles?status=scheduled").await.is(200);
        assert_eq!(list.list("/data")[0]["publish_at"], at.as_str());
        let edited = edit(&desk, &scheduled, json!({ "title": "Sửa sau đó", "slug": "sua-sau-do" })).await.is(200);
        assert_eq!(edited["status"], "scheduled");
        assert_ne!(edited["scheduled_revision"], edited["revision"], "later edits are not swept along");
        while now() < at {
            let before = now();
            let read = desk.read(&draft).await;
            assert!(read.status == 404 || now() >= at, "public at {before}, before {at}");
            pause(20).await;
        }
        let live = once(&desk, &draft, |article| article["status"] == "published").await;
        assert!(now() < ahead(5000) && now() >= at);
        let read = desk.read(&draft).await.is(200);
        assert_eq!((&read["title"], &read["slug"]), (&json!("Như đã duyệt"), &json!("nhu-da-duyet")));
        assert!(read.text("/published_at") >= at, "never early");
        assert_eq!(live["title"], "Sửa sau đó", "the working copy is where it was");
        assert_eq!(live["has_unpublished_changes"], true);
        assert_eq!((&live["publish_at"], &live["scheduled_revision"]), (&Value::Null, &Value::Null));
        assert_eq!(live["published_at"], read["published_at"]);
        assert_eq!((told(&desk, &draft, "article.published").await, audited(&desk, &draft, "publish")), (1, 1));
        let again = desk.publish(&live).await;
        assert_eq!(again["has_unpublished_changes"], false);
        desk.as_reader().get("/articles/nhu-da-duyet").await.is(308);
        assert_eq!(desk.database().count("holds"), 0);
    }

    async fn it_comes_within_five_seconds(desk) {
        let draft = desk.draft("Đúng giờ").await;
        let at = ahead(800);
        publish(&desk, &draft, json!({ "publish_at": at })).await.is(200);
        let live = once(&desk, &draft, |article| article["status"] == "published").await;
        let published = chrono::DateTime::parse_from_rfc3339(&live.text("/published_at")).expect("a time");
        let late = published.signed_duration_since(chrono::DateTime::parse_from_rfc3339(&at).expect("a time"));
        assert!((0..5000).contains(&late.num_milliseconds()), "{late}");
        assert_eq!(live["has_unpublished_changes"], false);
        assert_eq!(told(&desk, &draft, "article.published").await, 1);
    }

    async fn planning_again_takes_the_newer_words_and_the_other_time(desk) {
        let draft = desk.draft("Bản một").await;
        let first = publish(&desk, &draft, json!({ "publish_at": ahead(1000) })).await.is(200);
        let edited = edit(&desk, &first, json!({ "title": "Bản hai" })).await.is(200);
        let at = ahead(2500);
        let second = publish(&desk, &edited, json!({ "publish_at": at })).await.is(200);
        assert_eq!(second["publish_at"], at.as_str());
        pause(1600).await;
        desk.read(&draft).await.refuses(404, "not_found");
        once(&desk, &draft, |article| article["status"] == "published").await;
        assert_eq!(desk.read(&draft).await["title"], "Bản hai");
        assert_eq!(told(&desk, &draft, "article.published").await, 1);
    }

    async fn a_live_story_is_updated_and_then_withdrawn_at_set_times(desk) {
        let story = desk.story(json!({ "title": "Trước" })).await;
        let first = desk.read(&story).await;
        let edited = edit(&desk, &story, json!({ "title": "Sau" })).await.is(200);
        let plan = json!({ "publish_at": ahead(800), "unpublish_at": ahead(2500) });
        let planned = publish(&desk, &edited, plan).await.is(200);
        assert_eq!(planned["status"], "published", "it is live meanwhile");
        assert_eq!(desk.read(&story).await["title"], "Trước");
        once(&desk, &story, |article| article["publish_at"].is_null()).await;
        let updated = desk.read(&story).await.is(200);
        assert_eq!(updated["title"], "Sau");
        assert_eq!(updated["published_at"], first["published_at"], "it keeps its place");
        let gone = once(&desk, &story, |article| article["status"] == "unpublished").await;
        assert_eq!(gone["unpublish_at"], Value::Null);
        desk.read(&story).await.refuses(410, "gone");
        assert_eq!((told(&desk, &story, "article.updated").await, told(&desk, &story, "article.unpublished").await), (1, 1));
        assert_eq!((audited(&desk, &story, "publish"), audited(&desk, &story, "unpublish")), (1, 1));
    }

    async fn an_end_may_be_set_while_publishing_and_is_kept_until_it_is_cleared(desk) {
        let draft = desk.draft("Có hạn").await;
        let end = ahead(3_600_000);
        let live = publish(&desk, &draft, json!({ "unpublish_at": end })).await.is(200);
        assert_eq!((&live["status"], &live["unpublish_at"]), (&json!("published"), &json!(end)));
        let again = publish(&desk, &live, json!({})).await.is(200);
        assert_eq!(again["unpublish_at"], end.as_str());
        publish(&desk, &again, json!({ "publish_at": ahead(7_200_000) })).await.points_at("/unpublish_at");
        let cleared = publish(&desk, &again, json!({ "unpublish_at": null })).await.is(200);
        assert_eq!(cleared["unpublish_at"], Value::Null);
    }

    async fn as_new_moves_a_story_to_the_top_at_its_time(desk) {
        let story = desk.story(json!({ "title": "Lên đầu" })).await;
        let at = ahead(700);
        publish(&desk, &story, json!({ "publish_at": at, "as_new": true })).await.is(200);
        let live = once(&desk, &story, |article| article["publish_at"].is_null()).await;
        assert!(live.text("/published_at") >= at);
        assert_eq!(live["first_published_at"], story["first_published_at"]);
    }

    async fn times_have_to_make_sense(desk) {
        let draft = desk.draft("Giờ sai").await;
        for (input, pointer) in [
            (json!({ "publish_at": ahead(-1000) }), "/publish_at"),
            (json!({ "publish_at": "tomorrow" }), "/publish_at"),
            (json!({ "unpublish_at": ahead(-1000) }), "/unpublish_at"),
            (json!({ "publish_at": ahead(9000), "unpublish_at": ahead(8000) }), "/unpublish_at"),
            (json!({ "publish_at": ahead(9000), "published_at": ahead(-9000) }), "/published_at"),
        ] {
            publish(&desk, &draft, input.clone()).await.points_at(pointer);
            let path = format!("/articles/{}/publish", draft.id());
            desk.as_editor().post(&path, input).await.points_at(pointer);
        }
        let soon = json!({ "publish_at": ahead(9000) });
        desk.as_writer().act(&format!("/articles/{}/publish", draft.id()), 1).json(&soon).await.refuses(403, "forbidden");
        assert_eq!(desk.current(&draft).await.version(), 1);
    }

    async fn what_is_planned_can_be_taken_back(desk) {
        let draft = desk.draft("Thôi").await;
        desk.action(&draft, "unschedule").await.refuses(409, "invalid_transition");
        let plan = json!({ "publish_at": ahead(900), "unpublish_at": ahead(9000) });
        let planned = publish(&desk, &draft, plan).await.is(200);
        desk.as_writer().patch(&format!("/articles/{}", draft.id()), json!({ "lead": "x" }), planned.version()).await.refuses(403, "forbidden");
        let back = desk.action(&planned, "unschedule").await.is(200);
        assert_eq!((&back["status"], &back["publish_at"], &back["unpublish_at"]), (&json!("draft"), &Value::Null, &Value::Null));
        pause(1800).await;
        desk.read(&draft).await.refuses(404, "not_found");
        assert_eq!(desk.current(&draft).await.version(), back.version());
        desk.action(&back, "unschedule").await.refuses(409, "invalid_transition");
    }

    async fn publishing_by_hand_settles_what_was_planned(desk) {
        let draft = desk.draft("Ngay bây giờ").await;
        let planned = publish(&desk, &draft, json!({ "publish_at": ahead(800) })).await.is(200);
        let live = desk.publish(&planned).await;
        assert_eq!(live["publish_at"], Value::Null);
        pause(1800).await;
        assert_eq!(desk.current(&draft).await.version(), live.version(), "nothing happens a second time");
    }

    async fn what_is_withdrawn_or_trashed_does_not_come_back_by_itself(desk) {
        let story = desk.story(json!({ "title": "Rút" })).await;
        let planned = publish(&desk, &story, json!({ "publish_at": ahead(900) })).await.is(200);
        let gone = desk.action(&planned, "unpublish").await.is(200);
        assert_eq!((&gone["status"], &gone["publish_at"]), (&json!("unpublished"), &Value::Null));
        let draft = desk.draft("Bỏ").await;
        let planned = publish(&desk, &draft, json!({ "publish_at": ahead(900) })).await.is(200);
        let trashed = desk.action(&planned, "trash").await.is(200);
        let restored = desk.action(&trashed, "restore").await.is(200);
        assert_eq!((&restored["status"], &restored["publish_at"]), (&json!("draft"), &Value::Null));
        let erased = desk.draft("Xóa").await;
        let planned = publish(&desk, &erased, json!({ "publish_at": ahead(900) })).await.is(200);
        let trashed = desk.action(&planned, "trash").await.is(200);
        desk.as_editor().delete(&format!("/articles/{}", erased.id()), trashed.version()).await.is(204);
        pause(1800).await;
        desk.read(&story).await.refuses(410, "gone");
        desk.read(&draft).await.refuses(404, "not_found");
        desk.read(&erased).await.refuses(404, "not_found");
    }

    async fn who_may_not_publish_any_more_publishes_nothing(desk) {
        let admin = desk.as_admin();
        let account = json!({ "email": "khach@example.vn", "name": "Biên tập cũ", "role": "editor", "password": crate::support::database::PASSWORD });
        let account = admin.post("/editors", account).await.is(201);
        let signed_in = desk.log_in("khach@example.vn", crate::support::database::PASSWORD).await.is(200);
        let guest = desk.with_token(&signed_in.text("/access_token"));
        let draft = desk.draft("Của người cũ").await;
        let at = ahead(1200);
        guest.act(&format!("/articles/{}/publish", draft.id()), 1).json(&json!({ "publish_at": at })).await.is(200);
        admin.patch(&format!("/editors/{}", account.id()), json!({ "role": "writer" }), 1).await.is(200);
        let parked = once(&desk, &draft, |article| !article["schedule_failed"].is_null()).await;
        assert_eq!((&parked["status"], &parked["publish_at"]), (&json!("draft"), &Value::Null));
        let failed = &parked["schedule_failed"];
        assert_eq!((&failed["action"], &failed["at"]), (&json!("publish"), &json!(at)));
        assert_eq!(failed["problem"]["code"], "forbidden");
        assert!(failed["problem"]["detail"].as_str().expect("words").contains("Biên tập cũ"));
        desk.read(&draft).await.refuses(404, "not_found");
        pause(1500).await;
        assert_eq!(desk.current(&draft).await.version(), parked.version(), "it is not tried again");
        let list = desk.as_editor().get("/articles").await.is(200);
        assert_eq!(list.list("/data")[0]["schedule_failed"], parked["schedule_failed"]);
        let live = desk.publish(&parked).await;
        assert_eq!(live["schedule_failed"], Value::Null);
    }

    async fn one_story_a_language_holds_for_plans_too(desk) {
        let vi = desk.draft("Một chuyện").await;
        let planned = publish(&desk, &vi, json!({ "publish_at": ahead(2500) })).await.is(200);
        // The article that was pinned becomes another language's, and a new one takes its place and goes live first.
        edit(&desk, &planned, json!({ "language": "en" })).await.is(200);
        let rival = json!({ "title": "Chuyện ấy", "translation_of": vi.id() });
        desk.story(rival).await;
        let parked = once(&desk, &vi, |article| !article["schedule_failed"].is_null()).await;
        assert_eq!(parked["schedule_failed"]["problem"]["code"], "translation_exists");
        assert_eq!(audited(&desk, &vi, "schedule_failed"), 1);
        let back = desk.action(&parked, "unschedule").await.is(200);
        assert_eq!(back["schedule_failed"], Value::Null);
    }

    async fn what_a_pinned_revision_uses_is_in_use(desk) {
        let editor = desk.as_editor();
        let section = desk.named("sections", "Thời sự").await;
        let tag = desk.named("tags", "Lũ").await;
        let author = desk.named("authors", "An").await;
        let image = desk.image(80).await;
        let content = json!({ "title": "Giữ", "section_id": section.id(), "tag_ids": [tag.id()], "author_ids": [author.id()] });
        let article = editor.post("/articles", content).await.is(201);
        let caption = desk.caption(&article, &image, "lead").await;
        let current = desk.current(&article).await;
        let planned = publish(&desk, &current, json!({ "publish_at": ahead(3_600_000) })).await.is(200);
        edit(&desk, &planned, json!({ "section_id": null, "tag_ids": [], "author_ids": [] })).await.is(200);
        editor.delete(&format!("/captions/{}", caption.id()), 1).await.is(204);
        let things = [("sections", &section), ("tags", &tag), ("authors", &author), ("images", &image)];
        for (kind, thing) in things {
            let refused = editor.delete(&format!("/{kind}/{}", thing.id()), thing.version()).await.refuses(409, "in_use");
            assert_eq!(refused.json["used_in"][0]["id"], article.id(), "{kind}");
        }
        assert!(editor.get("/images?unused=true").await.is(200).each("id").is_empty());
        assert_eq!(editor.get("/images?unused=false").await.is(200).json["data"][0]["used_in"][0]["article_id"], article.id());
        let current = desk.current(&article).await;
        desk.action(&current, "unschedule").await.is(200);
        for (kind, thing) in things {
            let now = editor.get(&format!("/{kind}/{}", thing.id())).await.is(200);
            editor.delete(&format!("/{kind}/{}", thing.id()), now.version()).await.is(204);
        }
    }

    async fn what_is_gone_from_under_a_plan_parks_it(desk) {
        let section = desk.named("sections", "Sẽ mất").await;
        let draft = desk.as_editor().post("/articles", json!({ "title": "Mất mục", "section_id": section.id() })).await.is(201);
        let planned = publish(&desk, &draft, json!({ "publish_at": ahead(2000) })).await.is(200);
        edit(&desk, &planned, json!({ "section_id": null })).await.is(200);
        // No request can do this; a restore or a hand in the database can.
        desk.database().execute(&format!("DELETE FROM sections WHERE id = '{}'", section.id()));
        let parked = once(&desk, &draft, |article| !article["schedule_failed"].is_null()).await;
        assert_eq!(parked["schedule_failed"]["problem"]["code"], "validation_failed");
        desk.read(&draft).await.refuses(404, "not_found");
    }

    async fn a_pinned_address_is_nobody_elses(desk) {
        let draft = desk.draft("Địa chỉ").await;
        let planned = publish(&desk, &draft, json!({ "publish_at": ahead(3_600_000) })).await.is(200);
        let moved = edit(&desk, &planned, json!({ "slug": "cho-khac" })).await.is(200);
        let other = json!({ "title": "Khác", "slug": "dia-chi" });
        desk.as_editor().post("/articles", other.clone()).await.refuses(409, "slug_taken");
        desk.action(&moved, "unschedule").await.is(200);
        desk.as_editor().post("/articles", other).await.is(201);
    }

    async fn a_missed_time_is_made_up_for_once(desk) {
        let draft = desk.draft("Muộn còn hơn không").await;
        let both = desk.draft("Lỡ cả hai").await;
        let untouched = desk.draft("Chưa tới").await;
        publish(&desk, &draft, json!({ "publish_at": ahead(700) })).await.is(200);
        publish(&desk, &both, json!({ "publish_at": ahead(700), "unpublish_at": ahead(900) })).await.is(200);
        publish(&desk, &untouched, json!({ "publish_at": ahead(3_600_000) })).await.is(200);
        desk.kill();
        pause(1500).await;
        desk.start();
        let live = once(&desk, &draft, |article| article["status"] == "published").await;
        let parked = once(&desk, &both, |article| !article["schedule_failed"].is_null()).await;
        assert_eq!((&parked["status"], &parked["unpublish_at"]), (&json!("draft"), &Value::Null));
        assert_eq!(parked["schedule_failed"]["problem"]["code"], "missed");
        desk.read(&both).await.refuses(404, "not_found");
        desk.kill();
        desk.start();
        pause(1200).await;
        assert_eq!(desk.current(&draft).await.version(), live.version());
        assert_eq!(told(&desk, &draft, "article.published").await, 1);
        assert_eq!(desk.current(&untouched).await["status"], "scheduled");
    }

    async fn two_instances_publish_each_story_once(desk, RATE_LIMITS = "off") {
        let second = Server::start(&desk.settings(), desk.folder());
        let drafts = all((0..24).map(|n| desk.as_editor().post("/articles", json!({ "title": format!("Bài {n}") })))).await;
        let at = ahead(3000);
        let editor = desk.as_editor();
        let plan = |draft: &Reply| {
            editor.act(&format!("/articles/{}/publish", draft.id()), 1).json(&json!({ "publish_at": at }))
        };
        for reply in all(drafts.iter().map(plan)).await {
            reply.is(200);
        }
        for draft in &drafts {
            once(&desk, draft, |article| article["status"] == "published").await;
        }
        pause(1000).await;
        for draft in &drafts {
            assert_eq!((told(&desk, draft, "article.published").await, audited(&desk, draft, "publish")), (1, 1));
            assert_eq!(desk.current(draft).await.version(), 3, "made, planned, published");
        }
        drop(second);
    }

    async fn another_writer_sees_nothing_of_a_plan(desk) {
        let story = desk.story(json!({ "title": "Của biên tập" })).await;
        publish(&desk, &story, json!({ "publish_at": ahead(3_600_000), "unpublish_at": ahead(7_200_000) })).await.is(200);
        let seen = desk.as_writer().get(&format!("/articles/{}", story.id())).await.is(200);
        for property in ["publish_at", "unpublish_at", "scheduled_revision", "schedule_failed"] {
            assert_eq!(seen[property], Value::Null, "{property}");
        }
    }
}
