//! Review: asked for, sent back, published, and who is told.

use std::time::Duration;

use crate::schedules::{ahead, once, publish};
use crate::support::database::{PASSWORD, postgres};
use crate::support::smtp::{Mail, MailServer, Mood};
use crate::support::{Desk, Reply, Value, json, newsroom_tests, run};

/// A newsroom whose mail goes to a server in this mood.
fn with_mail<F: Future<Output = ()>>(moods: &[Mood], test: impl FnOnce(Desk, MailServer) -> F) {
    let server = MailServer::open(moods);
    let settings = [
        ("SMTP_URL", server.url.as_str()),
        ("MAIL_RETRY_SECONDS", "1,1,1"),
        ("SITE_NAME", "Tin Đồng Bằng"),
        ("SITE_URL", "https://tin.example.vn"),
    ];
    run(&settings, |desk| test(desk, server.clone()));
}

impl Desk {
    async fn submit(&self, article: &Reply) -> Reply {
        let path = format!("/articles/{}/submit", article.id());
        self.as_writer().act(&path, article.version()).await
    }

    async fn reject(&self, article: &Reply, note: &str) -> Reply {
        let path = format!("/articles/{}/reject", article.id());
        self.as_editor()
            .act(&path, article.version())
            .json(&json!({ "note": note }))
            .await
    }
}

newsroom_tests! {
    async fn a_draft_goes_to_review_and_comes_back(desk) {
        let draft = desk.draft("Bài").await;
        let path = format!("/articles/{}", draft.id());
        let image = desk.image(40).await;
        let caption = desk.caption(&draft, &image, "lead").await;
        let writer = desk.as_writer();
        let submitted = desk.submit(&desk.current(&draft).await).await.is(200);
        assert_eq!((&submitted["status"], &submitted["review"]), (&json!("in_review"), &json!("requested")));
        assert_eq!(submitted.header("etag"), format!("\"{}\"", submitted.version()));
        writer.patch(&path, json!({ "title": "Khác" }), submitted.version()).await.refuses(403, "forbidden");
        writer.patch(&format!("/captions/{}", caption.id()), json!({ "text": "Khác" }), 1).await.refuses(403, "forbidden");
        writer.act(&format!("{path}/trash"), submitted.version()).await.refuses(403, "forbidden");
        let again = desk.submit(&submitted).await.refuses(409, "invalid_transition");
        assert!(again.list("/allowed").contains(&json!("reject")), "{}", again.body());
        let waiting = desk.as_editor().get("/articles?status=in_review").await.is(200);
        assert_eq!(waiting.each("id"), [draft.id()]);
        // An editor may change it meanwhile; it goes on waiting.
        let changed = desk.as_editor().patch(&path, json!({ "lead": "Mở" }), submitted.version()).await.is(200);
        assert_eq!(changed["status"], "in_review");
        let back = desk.reject(&changed, "Thiếu nguồn").await.is(200);
        assert_eq!((&back["status"], &back["review"]), (&json!("draft"), &json!("none")));
        desk.reject(&back, "Nữa").await.refuses(409, "invalid_transition");
        let mended = writer.patch(&path, json!({ "source": { "name": "Báo" } }), back.version()).await.is(200);
        let submitted = desk.submit(&mended).await.is(200);
        let live = desk.publish(&submitted).await;
        assert_eq!((&live["status"], &live["review"]), (&json!("published"), &json!("none")));
        let history = writer.get(&format!("{path}/revisions")).await.is(200);
        let steps: Vec<(&str, &str, &Value)> = history.list("/data").iter()
            .map(|one| (one["action"].as_str().expect("one"), one["created_by"]["name"].as_str().expect("one"), &one["note"]))
            .filter(|(action, ..)| ["submit", "reject", "publish"].contains(action))
            .collect();
        assert_eq!(steps, [
            ("publish", "Trần Biên Tập", &Value::Null),
            ("submit", "Lê Phóng Viên", &Value::Null),
            ("reject", "Trần Biên Tập", &json!("Thiếu nguồn")),
            ("submit", "Lê Phóng Viên", &Value::Null),
        ]);
        desk.read(&draft).await.is(200);
    }

    async fn edits_of_a_live_story_are_reviewed_too(desk) {
        let story = desk.story(json!({ "title": "Một" })).await;
        let path = format!("/articles/{}", story.id());
        let editor = desk.as_editor();
        let edited = editor.patch(&path, json!({ "title": "Hai" }), story.version()).await.is(200);
        let submit = format!("{path}/submit");
        let asked = editor.act(&submit, edited.version()).json(&json!({ "note": "Xem giúp" })).await.is(200);
        assert_eq!((&asked["status"], &asked["review"]), (&json!("published"), &json!("requested")));
        assert_eq!(desk.read(&story).await["title"], "Một", "readers see nothing of it");
        let back = desk.reject(&asked, "Chưa được").await.is(200);
        assert_eq!((&back["status"], &back["review"], &back["title"]), (&json!("published"), &json!("none"), &json!("Hai")));
        assert_eq!(desk.read(&story).await["title"], "Một");
        let asked = editor.act(&submit, back.version()).await.is(200);
        let gone = desk.action(&asked, "unpublish").await.is(200);
        assert_eq!(gone["status"], "in_review", "withdrawn and still waiting");
        let live = desk.publish(&gone).await;
        assert_eq!(live["review"], "none");
        assert_eq!(desk.read(&story).await["title"], "Hai");
    }

    async fn who_may_submit_and_reject(desk) {
        let draft = desk.draft("Bài").await;
        let path = format!("/articles/{}", draft.id());
        desk.as_other_writer().act(&format!("{path}/submit"), 1).await.refuses(404, "not_found");
        desk.as_writer().act(&format!("{path}/reject"), 1).json(&json!({ "note": "Tự trả" })).await.refuses(403, "forbidden");
        let live = desk.publish(&draft).await;
        desk.submit(&live).await.refuses(403, "forbidden");
        desk.as_other_writer().act(&format!("{path}/submit"), live.version()).await.refuses(403, "forbidden");
        let trashed = desk.action(&live, "trash").await.is(200);
        desk.as_editor().act(&format!("{path}/submit"), trashed.version()).await.refuses(409, "invalid_transition");
        desk.reject(&trashed, "Không").await.refuses(409, "invalid_transition");
    }

    async fn a_step_is_refused_in_order(desk) {
        let draft = desk.draft("Bài").await;
        let submit = format!("/articles/{}/submit", draft.id());
        let reject = format!("/articles/{}/reject", draft.id());
        desk.as_nobody().ask("POST", &submit).await.refuses(401, "unauthenticated");
        desk.as_writer().ask("POST", &submit).bytes("text/plain", "{").await.refuses(415, "unsupported_media_type");
        desk.as_writer().post(&submit, json!({ "word": "x" })).await.points_at("/word");
        desk.as_writer().post(&submit, json!({ "note": "x".repeat(1001) })).await.points_at("/note");
        desk.as_writer().post(&submit, json!({})).await.refuses(428, "precondition_required");
        desk.as_writer().act(&submit, 7).await.refuses(412, "version_mismatch");
        for bad in [json!({}), json!({ "note": " " }), json!({ "note": null })] {
            desk.as_editor().post(&reject, bad).await.points_at("/note");
        }
        desk.as_editor().ask("POST", &reject).await.points_at("/note");
        desk.as_editor().post(&reject, json!({ "note": "Sửa" })).await.refuses(428, "precondition_required");
        desk.as_editor().act(&reject, 7).json(&json!({ "note": "Sửa" })).await.refuses(412, "version_mismatch");
        desk.as_editor().act(&reject, 1).json(&json!({ "note": "Sửa" })).await.refuses(409, "invalid_transition");
        assert_eq!(desk.current(&draft).await.version(), 1, "refusals change nothing");
    }
}

#[test]
fn those_concerned_get_mail() {
    with_mail(&[], |desk, server| async move {
        let draft = desk.draft("Lũ rút").await;
        let path = format!("/articles/{}/submit", draft.id());
        let note = json!({ "note": "Trước 17 giờ\nnhé" });
        let submitted = desk.as_writer().act(&path, 1).json(&note).await.is(200);
        let mail = server.mails(1).await.remove(0);
        assert_eq!(
            mail.to,
            ["editor@example.vn"],
            "editors, and no admins where there is one"
        );
        assert_eq!(mail.parsed().subject(), Some("[Tin Đồng Bằng] Chờ duyệt: Lũ rút"));
        assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
        let text = mail.text().replace("\r\n", "\n");
        for words in [
            "Lê Phóng Viên xin duyệt bài:\nLũ rút\n",
            "Trước 17 giờ\nnhé",
            &draft.id(),
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let back = desk.reject(&submitted, "Thiếu nguồn").await.is(200);
        let mail = server.mails(2).await.remove(1);
        assert_eq!(mail.to, ["writer@example.vn"]);
        assert_eq!(mail.parsed().subject(), Some("[Tin Đồng Bằng] Cần sửa: Lũ rút"));
        assert!(mail.text().contains("Thiếu nguồn"));
        let submitted = desk.submit(&back).await.is(200);
        server.mails(3).await;
        let live = desk.publish(&submitted).await;
        let mail = server.mails(4).await.remove(3);
        assert_eq!(mail.to, ["writer@example.vn"]);
        assert_eq!(mail.parsed().subject(), Some("[Tin Đồng Bằng] Đã đăng: Lũ rút"));
        assert!(mail.text().contains(&desk.read(&live).await.text("/url")));
        // Nobody waited for this one, and nobody is told what they did themselves.
        desk.publish(&live).await;
        let own = desk
            .as_editor()
            .post("/articles", json!({ "title": "Của tôi" }))
            .await
            .is(201);
        let asked = desk
            .as_editor()
            .act(&format!("/articles/{}/submit", own.id()), 1)
            .await
            .is(200);
        let mail = server.mails(5).await.remove(4);
        assert_eq!(mail.to, ["admin@example.vn"], "the only other one who can");
        desk.publish(&asked).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(server.mails_now().len(), 5);
    });
}

#[test]
fn a_mail_that_has_lost_its_meaning_is_not_sent() {
    with_mail(&[Mood::Says("450 later")], |desk, server| async move {
        let submitted = desk.submit(&desk.draft("Gấp").await).await.is(200);
        server.tried(1).await;
        desk.publish(&submitted).await;
        let mail = server.mails(1).await.remove(0);
        assert_eq!(mail.to, ["writer@example.vn"]);
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(
            server.mails_now().len(),
            1,
            "the editor who published it need not be asked any more"
        );
    });
}

/// Whom each mail went to, and its subject, in some order that is always the same.
fn told(mails: &[Mail]) -> Vec<(String, String)> {
    let mut told: Vec<_> = mails
        .iter()
        .map(|mail| {
            (
                mail.to.join(" "),
                mail.parsed().subject().expect("a subject").to_owned(),
            )
        })
        .collect();
    told.sort();
    told
}

fn mail(to: &str, subject: &str) -> (String, String) {
    (to.to_owned(), format!("[Tin Đồng Bằng] {subject}"))
}

/// Nothing more comes.
async fn no_more(server: &MailServer, count: usize) {
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(server.mails_now().len(), count, "{:?}", told(&server.mails_now()));
}

#[test]
fn who_had_asked_is_told_when_it_is_published_on_time() {
    with_mail(&[], |desk, server| async move {
        let submitted = desk.submit(&desk.draft("Đúng giờ").await).await.is(200);
        server.mails(1).await;
        let planned = publish(&desk, &submitted, json!({ "publish_at": ahead(3_600_000) }))
            .await
            .is(200);
        assert_eq!(planned["review"], "none");
        // Planned once more, and edited afterwards: what was asked for is what readers get.
        let planned = publish(&desk, &planned, json!({ "publish_at": ahead(1500) }))
            .await
            .is(200);
        let path = format!("/articles/{}", planned.id());
        desk.as_editor()
            .patch(&path, json!({ "title": "Về sau" }), planned.version())
            .await
            .is(200);
        let live = once(&desk, &planned, |article| article["status"] == "published").await;
        let last = server.mails(2).await.remove(1);
        assert_eq!(
            told(std::slice::from_ref(&last)),
            [mail("writer@example.vn", "Đã đăng: Đúng giờ")]
        );
        let text = last.text().replace("\r\n", "\n");
        assert!(
            text.starts_with("Trần Biên Tập đã hẹn giờ đăng, và bài đã lên trang:\nĐúng giờ\n"),
            "{text}"
        );
        assert!(text.contains(&desk.read(&live).await.text("/url")));
        // Review of what is planned may also be asked for later.
        let planned = publish(&desk, &desk.draft("Sau").await, json!({ "publish_at": ahead(1500) }))
            .await
            .is(200);
        let asked = desk
            .as_editor()
            .act(&format!("/articles/{}/submit", planned.id()), planned.version())
            .await
            .is(200);
        server.mails(3).await;
        once(&desk, &asked, |article| article["status"] == "published").await;
        let last = server.mails(4).await.remove(3);
        assert_eq!(told(&[last]), [mail("writer@example.vn", "Đã đăng: Sau")]);
        // Nobody waits for this one.
        let planned = publish(
            &desk,
            &desk.draft("Không ai đợi").await,
            json!({ "publish_at": ahead(500) }),
        )
        .await
        .is(200);
        once(&desk, &planned, |article| article["status"] == "published").await;
        no_more(&server, 4).await;
    });
}

#[test]
fn who_had_asked_is_told_when_a_plan_is_carried_out_by_hand() {
    with_mail(&[], |desk, server| async move {
        let submitted = desk.submit(&desk.draft("Sớm hơn").await).await.is(200);
        server.mails(1).await;
        let planned = publish(&desk, &submitted, json!({ "publish_at": ahead(3_600_000) }))
            .await
            .is(200);
        let live = desk.publish(&planned).await;
        desk.publish(&live).await;
        let mails = server.mails(2).await;
        assert_eq!(told(&mails[1..]), [mail("writer@example.vn", "Đã đăng: Sớm hơn")]);
        no_more(&server, 2).await;
    });
}

#[test]
fn those_who_can_do_something_about_it_are_told_when_a_plan_fails() {
    with_mail(&[], |desk, server| async move {
        let admin = desk.as_admin();
        let account =
            json!({ "email": "khach@example.vn", "name": "Biên tập cũ", "role": "editor", "password": PASSWORD });
        let account = admin.post("/editors", account).await.is(201);
        let signed_in = desk.log_in("khach@example.vn", PASSWORD).await.is(200);
        let guest = desk.with_token(&signed_in.text("/access_token"));
        let draft = desk.draft("Của người cũ").await;
        let path = format!("/articles/{}/publish", draft.id());
        guest
            .act(&path, 1)
            .json(&json!({ "publish_at": ahead(1500) }))
            .await
            .is(200);
        admin
            .patch(&format!("/editors/{}", account.id()), json!({ "role": "writer" }), 1)
            .await
            .is(200);
        once(&desk, &draft, |article| !article["schedule_failed"].is_null()).await;
        let mails = server.mails(2).await;
        let subject = "Không đăng được theo lịch: Của người cũ";
        assert_eq!(
            told(&mails),
            [mail("editor@example.vn", subject), mail("writer@example.vn", subject)]
        );
        let text = mails[0].text().replace("\r\n", "\n");
        assert!(
            text.starts_with("Bài đã hẹn giờ mà không đăng được:\nCủa người cũ\n\nLý do:\nBiên tập cũ planned"),
            "{text}"
        );
        // The one who planned it is told, and no others, when it is theirs to mend.
        let vi = desk
            .as_editor()
            .post("/articles", json!({ "title": "Một chuyện" }))
            .await
            .is(201);
        let planned = publish(&desk, &vi, json!({ "publish_at": ahead(2500) })).await.is(200);
        let moved = json!({ "language": "en" });
        desk.as_editor()
            .patch(&format!("/articles/{}", vi.id()), moved, planned.version())
            .await
            .is(200);
        desk.story(json!({ "title": "Chuyện ấy", "translation_of": vi.id() }))
            .await;
        once(&desk, &vi, |article| !article["schedule_failed"].is_null()).await;
        let mails = server.mails(3).await;
        assert_eq!(
            told(&mails[2..]),
            [mail("editor@example.vn", "Không đăng được theo lịch: Một chuyện")]
        );
        no_more(&server, 3).await;
    });
}

#[test]
fn a_submission_at_the_moment_of_publishing_is_not_missed() {
    with_mail(&[], |desk, server| async move {
        let draft = desk.draft("Cùng lúc").await;
        let id = draft.id();
        // Another transaction has the article, submits it, and commits while the publication waits for its turn. SQLite
        // has one writer, so there nothing can come between.
        let submitting = format!("UPDATE articles SET review = 'requested' WHERE id = '{id}'");
        let held = match postgres() {
            Some(_) => format!("BEGIN; {submitting}; SELECT pg_sleep(1.5); COMMIT"),
            None => submitting,
        };
        let other = desk.clone();
        let holding = tokio::task::spawn_blocking(move || other.database().execute(&held));
        let locked = "pg_stat_activity WHERE query LIKE '%pg_sleep(1.5)%' AND pid <> pg_backend_pid()";
        for _ in 0..100 {
            if holding.is_finished() || postgres().is_some() && desk.database().count(locked) > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let path = format!("/articles/{id}/publish");
        desk.as_editor()
            .ask("POST", &path)
            .header("If-Match", "*")
            .await
            .is(200);
        holding.await.expect("the other transaction");
        assert_eq!(
            told(&server.mails(1).await),
            [mail("writer@example.vn", "Đã đăng: Cùng lúc")]
        );
    });
}

#[test]
fn a_clock_that_was_ahead_holds_no_mail_back() {
    with_mail(&[Mood::Says("450 later")], |desk, server| async move {
        desk.submit(&desk.draft("Gấp").await).await.is(200);
        server.tried(1).await;
        assert!(desk.terminate().success());
        // As it would stand there if the clock had been a year ahead when it was tried.
        let year = 31_536_000_000_i64;
        desk.database().execute(&format!(
            "UPDATE outbox SET due_ms = due_ms + {year}, lease_ms = due_ms + {year} WHERE done_ms IS NULL"
        ));
        desk.start();
        assert_eq!(
            told(&server.mails(1).await),
            [mail("editor@example.vn", "Chờ duyệt: Gấp")]
        );
    });
}
