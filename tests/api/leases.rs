//! Who is editing: leases that last two minutes, are renewed, run out, and are taken over knowingly.

use crate::support::{Ask, Desk, Person, Reply, Value, all, json, newsroom_tests};

fn lease(who: &Person, article: &Reply) -> Ask {
    who.ask("PUT", &format!("/articles/{}/lease", article.id()))
}

fn end(who: &Person, article: &Reply) -> Ask {
    who.ask("DELETE", &format!("/articles/{}/lease", article.id()))
}

fn seconds_left(lease: &Value) -> i64 {
    let until = chrono::DateTime::parse_from_rfc3339(lease["expires_at"].as_str().expect("a time")).expect("a time");
    until.signed_duration_since(chrono::Utc::now()).num_seconds()
}

/// The leases grow old by so many seconds.
fn wait(desk: &Desk, seconds: i64) {
    let ms = seconds * 1000;
    desk.database().execute(&format!(
        "UPDATE edit_leases SET until_ms = until_ms - {ms}, since_ms = since_ms - {ms}"
    ));
}

newsroom_tests! {
    async fn a_lease_says_who_is_editing_and_until_when(desk) {
        let draft = desk.draft("Đang sửa").await;
        assert_eq!(draft["lease"], Value::Null);
        let writer = desk.as_writer();
        let taken = lease(&writer, &draft).await.is(200);
        assert_eq!(taken["editor"]["name"], "Lê Phóng Viên");
        assert!((100..=120).contains(&seconds_left(&taken.json)), "{}", taken.body());
        let read = desk.current(&draft).await;
        assert_eq!(read["lease"], taken.json);
        assert_eq!(read.version(), 1, "a lease is no change of the article");
        let list = desk.as_editor().get("/articles").await.is(200);
        assert_eq!(list.list("/data")[0]["lease"], taken.json);
        wait(&desk, 60);
        let renewed = lease(&writer, &draft).json(&json!({})).await.is(200);
        assert!(seconds_left(&renewed.json) > 100);
        assert!(renewed.text("/since") < taken.text("/since"), "it is still the same");
        let lines = desk.database().count("audit WHERE action = 'article.lease'");
        assert_eq!(lines, 1, "a renewal is not worth a line");
    }

    async fn writes_by_others_are_refused_with_who_holds_it(desk) {
        let editor = desk.as_editor();
        let draft = desk.draft("Khóa").await;
        let image = desk.image(70).await;
        let caption = desk.caption(&draft, &image, "inline").await;
        let current = desk.current(&draft).await;
        let (path, version) = (format!("/articles/{}", draft.id()), current.version());
        let held = lease(&desk.as_admin(), &draft).await.is(200);
        let place = json!({ "article_id": draft.id(), "image_id": image.id(), "role": "lead" });
        let soon = json!({ "publish_at": "2999-01-01T00:00:00Z" });
        let writes = [
            editor.patch(&path, json!({ "title": "Khác" }), version),
            editor.act(&format!("{path}/publish"), version),
            editor.act(&format!("{path}/publish"), version).json(&soon),
            editor.act(&format!("{path}/trash"), version),
            editor.post("/captions", place),
            editor.patch(&format!("/captions/{}", caption.id()), json!({ "text": "Khác" }), 1),
            editor.delete(&format!("/captions/{}", caption.id()), 1),
        ];
        for refused in all(writes).await {
            let refused = refused.refuses(409, "article_leased");
            assert_eq!(refused["lease"], held.json, "{}", refused.asked);
        }
        assert_eq!(desk.current(&draft).await.version(), version, "nothing was changed");
        assert_eq!(editor.get(&format!("/captions?article_id={}", draft.id())).await.is(200).list("/data").len(), 1);
        editor.patch(&path, json!({ "title": "x" }), version + 7).await.refuses(412, "version_mismatch");
        editor.patch(&format!("/captions/{}", caption.id()), json!({ "text": "x" }), 7).await.refuses(412, "version_mismatch");
        editor.patch(&path, json!({ "title": "" }), version).await.points_at("/title");
        lease(&editor, &draft).await.refuses(409, "article_leased");
        desk.as_admin().patch(&path, json!({ "title": "Của người giữ" }), version).await.is(200);
    }

    async fn a_live_story_is_not_withdrawn_or_unscheduled_under_anothers_hands(desk) {
        let story = desk.story(json!({ "title": "Đang lên trang" })).await;
        let path = format!("/articles/{}", story.id());
        let end = json!({ "unpublish_at": "2999-01-01T00:00:00Z" });
        let planned = desk.as_editor().act(&format!("{path}/publish"), story.version()).json(&end).await.is(200);
        lease(&desk.as_admin(), &story).await.is(200);
        for verb in ["unpublish", "unschedule", "trash", "publish"] {
            desk.action(&planned, verb).await.refuses(409, "article_leased");
        }
        let trashed = desk.as_admin().act(&format!("{path}/trash"), planned.version()).await.is(200);
        desk.action(&trashed, "restore").await.refuses(409, "article_leased");
        desk.as_editor().delete(&path, trashed.version()).await.refuses(409, "article_leased");
        lease(&desk.as_admin(), &story).await.refuses(409, "invalid_transition");
    }

    async fn a_lease_runs_out(desk) {
        let draft = desk.draft("Hết giờ").await;
        lease(&desk.as_writer(), &draft).await.is(200);
        wait(&desk, 121);
        assert_eq!(desk.current(&draft).await["lease"], Value::Null);
        let path = format!("/articles/{}", draft.id());
        desk.as_editor().patch(&path, json!({ "title": "Được" }), 1).await.is(200);
        let mine = lease(&desk.as_editor(), &draft).await.is(200);
        assert_eq!(mine["editor"]["name"], "Trần Biên Tập");
        lease(&desk.as_writer(), &draft).await.refuses(409, "article_leased");
    }

    async fn a_lease_is_taken_over_knowingly(desk) {
        let (writer, editor) = (desk.as_writer(), desk.as_editor());
        let draft = desk.draft("Nhường tôi").await;
        let path = format!("/articles/{}", draft.id());
        lease(&writer, &draft).await.is(200);
        lease(&editor, &draft).json(&json!({ "take_over": false })).await.refuses(409, "article_leased");
        let mine = lease(&editor, &draft).json(&json!({ "take_over": true })).await.is(200);
        assert_eq!(mine["editor"]["name"], "Trần Biên Tập");
        writer.patch(&path, json!({ "lead": "x" }), 1).await.refuses(409, "article_leased");
        let back = writer.patch(&path, json!({ "lead": "x" }), 1).header("Lease-Take-Over", "true").await.is(200);
        assert_eq!(back["lease"]["editor"]["name"], "Lê Phóng Viên", "who writes over it holds it");
        editor.patch(&path, json!({ "lead": "y" }), 2).header("Lease-Take-Over", "no").await.refuses(409, "article_leased");
        lease(&editor, &draft).json(&json!({ "take_over": "yes" })).await.points_at("/take_over");
        let lines = desk.database().count("audit WHERE action = 'article.lease'");
        assert_eq!(lines, 3);
    }

    async fn a_lease_is_given_back(desk) {
        let (writer, editor) = (desk.as_writer(), desk.as_editor());
        let draft = desk.draft("Trả lại").await;
        end(&writer, &draft).await.is(204);
        lease(&writer, &draft).await.is(200);
        end(&editor, &draft).await.refuses(409, "article_leased");
        end(&writer, &draft).await.is(204);
        assert_eq!(desk.current(&draft).await["lease"], Value::Null);
        lease(&writer, &draft).await.is(200);
        end(&editor, &draft).header("Lease-Take-Over", "true").await.is(204);
        lease(&writer, &draft).await.is(200);
        end(&editor, &draft).json(&json!({ "take_over": true })).await.is(204);
        let path = format!("/articles/{}", draft.id());
        editor.patch(&path, json!({ "title": "Xong" }), 1).await.is(200);
    }

    async fn a_schedule_goes_on_under_a_lease(desk) {
        let draft = desk.draft("Vẫn đúng giờ").await;
        let at = (chrono::Utc::now() + chrono::Duration::milliseconds(700)).to_rfc3339();
        let path = format!("/articles/{}/publish", draft.id());
        desk.as_editor().act(&path, 1).json(&json!({ "publish_at": at })).await.is(200);
        lease(&desk.as_admin(), &draft).await.is(200);
        for _ in 0..100 {
            if desk.read(&draft).await.status == 200 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        desk.read(&draft).await.is(200);
    }

    async fn of_many_who_ask_at_once_one_holds_it(desk, RATE_LIMITS = "off") {
        let draft = desk.draft("Tranh nhau").await;
        let people = [desk.as_writer(), desk.as_editor(), desk.as_admin()];
        for person in &people {
            person.get("/auth/me").await.is(200);
        }
        let replies = all((0..30).map(|n| lease(&people[n % 3], &draft))).await;
        let mut holders: Vec<String> = replies
            .iter()
            .filter(|reply| reply.status == 200)
            .map(|reply| reply.text("/editor/name"))
            .collect();
        assert_eq!(holders.len(), 10, "one person's asks");
        holders.dedup();
        assert_eq!(holders.len(), 1);
    }

    async fn another_writer_does_not_see_who_edits(desk) {
        let story = desk.story(json!({ "title": "Của biên tập" })).await;
        lease(&desk.as_editor(), &story).await.is(200);
        let seen = desk.as_writer().get(&format!("/articles/{}", story.id())).await.is(200);
        assert_eq!(seen["lease"], Value::Null);
    }
}
