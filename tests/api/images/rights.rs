//! Rights to images: until when a picture may be shown, and who is told.

use std::time::{Duration, Instant};

use crate::schedules::{ahead, once, publish};
use crate::support::receiver::Receiver;
use crate::support::smtp::{MailServer, Mood};
use crate::support::{Desk, Reply, Value, json, newsroom_tests, run};

const DAY: i64 = 24 * 3600 * 1000;

impl Desk {
    /// Writes when the right to an image ends, in milliseconds from now.
    async fn right_ends(&self, image: &Reply, ms: i64) -> String {
        let end = ahead(ms);
        let path = format!("/images/{}", image.id());
        let rights = json!({ "rights": { "expires_at": end } });
        self.as_editor()
            .ask("PATCH", &path)
            .json(&rights)
            .header("If-Match", "*")
            .await
            .is(200);
        end
    }

    /// A draft of the editor's that places an image.
    async fn placing(&self, title: &str, image: &Reply) -> Reply {
        let draft = self
            .as_editor()
            .post("/articles", json!({ "title": title }))
            .await
            .is(201);
        self.caption(&draft, image, "lead").await;
        self.current(&draft).await
    }
}

/// Waits for so many events of these types.
async fn hooks(receiver: &Receiver, count: usize) -> Vec<Value> {
    let start = Instant::now();
    loop {
        let seen: Vec<Value> = receiver
            .seen()
            .iter()
            .map(crate::support::receiver::Hook::json)
            .filter(|hook| {
                hook["type"]
                    .as_str()
                    .is_some_and(|kind| kind.starts_with("image.rights_"))
            })
            .collect();
        if seen.len() >= count {
            return seen;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

newsroom_tests! {
    async fn rights_are_written_and_cleared_and_regions_are_countries(desk) {
        let image = desk.image(80).await;
        let path = format!("/images/{}", image.id());
        let editor = desk.as_editor();
        let rights = json!({ "licence": "Một lần", "source": "TTXVN", "expires_at": "2030-01-01T00:00:00+07:00", "regions": ["VN", "LA", "VN"], "notes": "Hỏi An" });
        let kept = editor.patch(&path, json!({ "rights": rights }), 1).await.is(200);
        assert_eq!(kept["rights"], json!({
            "licence": "Một lần", "source": "TTXVN", "expires_at": "2029-12-31T17:00:00.000Z", "regions": ["LA", "VN"], "notes": "Hỏi An"
        }));
        editor.patch(&path, json!({ "rights": { "regions": ["VN", "vn"] } }), 2).await.points_at("/rights/regions/1");
        editor.patch(&path, json!({ "rights": { "regions": "VN" } }), 2).await.points_at("/rights/regions");
        editor.patch(&path, json!({ "rights": { "expires_at": "mai" } }), 2).await.points_at("/rights/expires_at");
        let kept = editor.patch(&path, json!({ "rights": { "regions": null, "expires_at": null } }), 2).await.is(200);
        assert_eq!((&kept["rights"]["regions"], &kept["rights"]["expires_at"]), (&json!([]), &Value::Null));
    }

    async fn images_whose_rights_end_are_listed(desk) {
        let (soon, late, never) = (desk.image(81).await, desk.image(82).await, desk.image(83).await);
        desk.right_ends(&soon, DAY).await;
        desk.right_ends(&late, 30 * DAY).await;
        let list = |before: String| desk.as_writer().get(&format!("/images?rights_expire_before={before}&sort=created_at"));
        assert_eq!(list(ahead(7 * DAY)).await.is(200).each("id"), [soon.id()]);
        assert_eq!(list(ahead(60 * DAY)).await.is(200).each("id"), [soon.id(), late.id()]);
        assert!(list(ahead(0)).await.is(200).each("id").is_empty());
        desk.right_ends(&never, -DAY).await;
        assert_eq!(list(ahead(0)).await.is(200).each("id"), [never.id()]);
    }

    async fn a_story_with_a_picture_whose_right_has_ended_is_not_published(desk) {
        let (image, other) = (desk.image(84).await, desk.image(85).await);
        let draft = desk.placing("Hết quyền", &image).await;
        desk.caption(&draft, &other, "inline").await;
        let draft = desk.current(&draft).await;
        assert_eq!(draft["warnings"], json!([]));
        let end = desk.right_ends(&image, -1000).await;
        let refused = publish(&desk, &draft, json!({})).await.refuses(409, "rights_expired");
        let detail = refused.text("/detail");
        assert!(detail.contains(&image.text("/filename")) && detail.contains("Nước rút"), "{detail}");
        assert_eq!(refused.text("/errors/0/pointer"), "/captions/0");
        let caption = &draft["captions"][0]["id"];
        assert_eq!(refused["expired_rights"], json!([{ "image_id": image.id(), "caption_id": caption, "expires_at": end }]));
        let now = desk.current(&draft).await;
        assert_eq!((&now["status"], now.version()), (&json!("draft"), draft.version()));
        assert_eq!(now.text("/warnings/0/code"), "rights_expired");
        // Renewed, it may go.
        desk.right_ends(&image, 3 * DAY).await;
        let live = publish(&desk, &draft, json!({})).await.is(200);
        assert_eq!(live.text("/warnings/0/code"), "rights_expiring");
        // It stays public when its right ends, and is corrected, but not published anew.
        desk.right_ends(&image, -1000).await;
        desk.read(&live).await.is(200);
        publish(&desk, &live, json!({})).await.refuses(409, "rights_expired");
        let path = format!("/articles/{}/corrections", live.id());
        desk.as_editor().act(&path, live.version()).json(&json!({ "text": "Đúng là 25 m." })).await.is(201);
        desk.read(&live).await.is(200);
    }

    async fn an_installation_may_only_warn(desk, RIGHTS_EXPIRED = "warn") {
        let image = desk.image(86).await;
        let draft = desk.placing("Chỉ báo", &image).await;
        desk.right_ends(&image, -1000).await;
        let live = publish(&desk, &draft, json!({})).await.is(200);
        assert_eq!((&live["status"], live.text("/warnings/0/code").as_str()), (&json!("published"), "rights_expired"));
        let due = desk.placing("Hẹn giờ", &image).await;
        let planned = publish(&desk, &due, json!({ "publish_at": ahead(1000) })).await.is(200);
        once(&desk, &planned, |now| now["status"] == "published").await;
    }

    async fn what_is_set_for_a_time_after_the_end_is_refused_at_once(desk) {
        let image = desk.image(87).await;
        let draft = desk.placing("Sau hạn", &image).await;
        desk.right_ends(&image, DAY).await;
        publish(&desk, &draft, json!({ "publish_at": ahead(2 * DAY) })).await.refuses(409, "rights_expired");
        publish(&desk, &draft, json!({ "publish_at": ahead(DAY / 2) })).await.is(200);
    }

    async fn pictures_of_writers_unknown_to_them_are_not_warned_of(desk) {
        let image = desk.image(88).await;
        let live = desk.publish(&desk.placing("Của biên tập", &image).await).await;
        desk.right_ends(&image, -1000).await;
        let seen = desk.as_writer().get(&format!("/articles/{}", live.id())).await.is(200);
        assert_eq!(seen["warnings"], json!([]));
    }
}

/// A newsroom whose mail and webhooks come to us.
fn with_mail<F: Future<Output = ()>>(test: impl FnOnce(Desk, MailServer) -> F) {
    let server = MailServer::open(&[Mood::Takes]);
    let settings = [
        ("SMTP_URL", server.url.as_str()),
        ("WEBHOOK_ALLOW_PRIVATE", "127.0.0.1"),
        ("SITE_NAME", "Tin Đồng Bằng"),
        ("SITE_URL", "https://tin.example.vn"),
    ];
    run(&settings, |desk| test(desk, server.clone()));
}

#[test]
fn a_plan_whose_picture_loses_its_right_is_parked_and_told() {
    with_mail(|desk, server| async move {
        let image = desk.image(89).await;
        let draft = desk.placing("Đúng giờ", &image).await;
        let planned = publish(&desk, &draft, json!({ "publish_at": ahead(1500) }))
            .await
            .is(200);
        desk.right_ends(&image, -1000).await;
        let parked = once(&desk, &planned, |now| !now["schedule_failed"].is_null()).await;
        assert_eq!(parked["status"], "draft");
        assert_eq!(parked.text("/schedule_failed/problem/code"), "rights_expired");
        assert!(
            parked
                .text("/schedule_failed/problem/detail")
                .contains(&image.text("/filename"))
        );
        desk.read(&planned).await.refuses(404, "not_found");
        let mails = server.mails(1).await;
        assert!(mails[0].text().contains("Nước rút"), "{}", mails[0].text());
    });
}

#[test]
fn who_edits_is_told_once_ahead_and_once_at_the_end() {
    with_mail(|desk, server| async move {
        let receiver = Receiver::start();
        let hook = json!({ "url": receiver.url(), "events": ["image.rights_expiring", "image.rights_expired"] });
        desk.as_admin().post("/webhooks", hook).await.is(201);
        let upload = desk.as_writer().ask("POST", "/images");
        let image = upload
            .bytes("image/png", crate::support::newsroom::png(90, 40))
            .await
            .is(201);
        let live = desk.publish(&desk.placing("Còn ba ngày", &image).await).await;
        let end = desk.right_ends(&image, 3 * DAY).await;

        let first = hooks(&receiver, 1).await.remove(0);
        assert_eq!(first["type"], "image.rights_expiring");
        assert_eq!(first["data"]["image_id"], image.id());
        assert_eq!(
            (&first["data"]["expires_at"], &first["data"]["article_ids"]),
            (&json!(end), &json!([live.id()]))
        );
        let mut mails = server.mails(2).await;
        mails.sort_by_key(|mail| mail.to.clone());
        assert_eq!(mails[0].to, ["editor@example.vn"]);
        assert_eq!(mails[1].to, ["writer@example.vn"], "who uploaded it");
        let text = mails[0].text();
        assert!(
            text.contains(&image.text("/filename")) && text.contains("Còn ba ngày"),
            "{text}"
        );
        assert!(text.contains("https://tin.example.vn/con-ba-ngay"), "{text}");

        // Another end is told anew when it has come; nothing is told twice, also after a start.
        let sooner = desk.right_ends(&image, -1).await;
        let past = desk.image(91).await;
        desk.right_ends(&past, 1500).await;
        let told = hooks(&receiver, 2).await;
        assert_eq!(
            (&told[1]["type"], &told[1]["data"]["image_id"]),
            (&json!("image.rights_expired"), &json!(past.id()))
        );
        assert!(
            told.iter().all(|hook| hook["data"]["expires_at"] != sooner),
            "who wrote an end in the past knows of it"
        );
        desk.read(&live).await.is(200);
        desk.terminate();
        desk.start();
        tokio::time::sleep(Duration::from_secs(7)).await;
        assert_eq!(hooks(&receiver, 2).await.len(), 2, "told once");
        let feed = desk.feed().await;
        assert!(
            feed.iter()
                .all(|row| !row["type"].as_str().expect("a type").contains("rights")),
            "readers are not told"
        );
    });
}
