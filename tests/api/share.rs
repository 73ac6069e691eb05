//! Readers send stories to friends: what the friends get, and what senders cannot do.

use crate::support::smtp::{Mail, MailServer, Mood};
use crate::support::{Ask, Desk, Reply, Value, all, json, newsroom_tests, run};

/// A newsroom whose mail goes to a server in this mood.
fn with_mail<F: Future<Output = ()>>(moods: &[Mood], test: impl FnOnce(Desk, MailServer) -> F) {
    let server = MailServer::open(moods);
    let settings = [
        ("SMTP_URL", server.url.as_str()),
        ("MAIL_RETRY_SECONDS", "1,1,1"),
        ("RATE_LIMITS", "off"),
        ("SITE_NAME", "Tin Đồng Bằng"),
        ("SITE_URL", "https://tin.example.vn"),
    ];
    run(&settings, |desk| test(desk, server.clone()));
}

/// A reader's wish.
fn wish(recipients: &[&str]) -> Value {
    json!({
        "sender": { "name": "Nguyễn Văn An", "email": "an@example.vn" },
        "recipients": recipients, "note": "Bài này hay lắm.\nĐọc nhé!"
    })
}

/// A reader sends a story.
fn share(desk: &Desk, story: &Reply, wish: Value) -> Ask {
    desk.as_reader().post(&format!("/articles/{}/shares", story.id()), wish)
}

/// A story in the newsroom's first language.
async fn story(desk: &Desk) -> Reply {
    desk.story(json!({ "title": "Mùa gặt <sớm>", "lead": "Lúa chín & nước về." }))
        .await
}

/// The address at which the recipient of a mail ends it all, on the running program.
fn opt_out(mail: &Mail) -> String {
    let header = mail.header("List-Unsubscribe");
    let address = header.trim_start_matches('<').trim_end_matches('>');
    address[address.find("/delivery/").expect("a link")..].to_owned()
}

#[test]
fn a_friend_gets_the_story_and_answers_go_to_the_sender() {
    with_mail(&[], |desk, server| async move {
        let story = story(&desk).await;
        let receipt = share(&desk, &story, wish(&["binh@example.vn"])).await.is(202);
        assert_eq!(receipt["status"], "queued");
        let mail = server.mails(1).await.remove(0);
        assert_eq!(mail.to, ["binh@example.vn"]);
        let parsed = mail.parsed();
        let reply_to = parsed.reply_to().and_then(|all| all.first()).expect("Reply-To");
        assert_eq!(
            (reply_to.name(), reply_to.address()),
            (Some("Nguyễn Văn An"), Some("an@example.vn"))
        );
        let from = parsed.from().and_then(|all| all.first()).expect("From");
        assert_eq!(
            (from.name(), from.address()),
            (Some("Tin Đồng Bằng"), Some("no-reply@tin.example.vn"))
        );
        assert_eq!(parsed.subject(), Some("Một bài viết gửi tới bạn từ Tin Đồng Bằng"));
        assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
        assert_eq!(mail.header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
        let url = desk.read(&story).await.text("/url");
        let text = mail.text();
        for words in [
            "Nguyễn Văn An gửi tới bạn",
            "Bài này hay lắm.\n",
            "Mùa gặt <sớm>",
            "Lúa chín & nước về.",
            &url,
            &opt_out(&mail),
        ] {
            assert!(text.replace("\r\n", "\n").contains(words), "{words}: {text}");
        }
        let html = mail.html();
        for words in [
            "Mùa gặt &lt;sớm&gt;",
            "Lúa chín &amp; nước về.",
            &format!("href=\"{url}\""),
            "<br>",
        ] {
            assert!(html.contains(words), "{words}: {html}");
        }
        // Addresses and words are gone once they have served.
        desk.terminate();
        let log = String::from_utf8(
            std::fs::read(desk.folder().join("newsdesk.db"))
                .unwrap_or_default()
                .into_iter()
                .filter(u8::is_ascii)
                .collect(),
        );
        assert!(!log.expect("ASCII").contains("binh@example.vn"));
    });
}

#[test]
fn the_mail_speaks_the_storys_language() {
    with_mail(&[], |desk, server| async move {
        let story = desk.story(json!({ "title": "Harvest", "language": "en" })).await;
        share(&desk, &story, wish(&["binh@example.vn"])).await.is(202);
        let mail = server.mails(1).await.remove(0);
        assert_eq!(mail.parsed().subject(), Some("A story for you from Tin Đồng Bằng"));
        assert!(mail.text().contains("sends you a story.") && mail.html().contains("lang=\"en\""));
    });
}

#[test]
fn each_friend_gets_a_mail_of_their_own_and_the_same_friend_one() {
    with_mail(&[], |desk, server| async move {
        let story = story(&desk).await;
        share(
            &desk,
            &story,
            wish(&["Binh@example.vn", "binh@EXAMPLE.vn", "chi@example.vn"]),
        )
        .await
        .is(202);
        let mails = server.mails(2).await;
        assert!(mails.iter().all(|mail| mail.to.len() == 1));
        assert!(!mails[0].text().contains("chi@") && !mails[1].text().contains("inh@"));
        desk.terminate();
        assert_eq!(server.mails_now().len(), 2);
    });
}

#[test]
fn nobody_sets_headers_or_advertises() {
    with_mail(&[], |desk, server| async move {
        let story = story(&desk).await;
        for (pointer, value) in [
            ("/sender/name", json!("An\r\nBcc: all@example.vn")),
            ("/sender/name", json!("")),
            ("/sender/name", json!("Mua ngay tại re.example.com")),
            ("/sender/email", json!("an@example.vn\nBcc: all@example.vn")),
            ("/sender/email", json!("an")),
            ("/recipients", json!([])),
            (
                "/recipients",
                json!(["a@example.vn", "b@example.vn", "c@example.vn", "d@example.vn"]),
            ),
            ("/recipients/0", json!(["b@example.vn\r\nCc: all@example.vn"])),
            ("/recipients/1", json!(["b@example.vn", "b@example.vn, c@example.vn"])),
            ("/note", json!("Xem http://re.example.com")),
            ("/note", json!("x".repeat(501))),
        ] {
            let mut bad = wish(&["b@example.vn"]);
            let place = pointer.trim_end_matches("/0").trim_end_matches("/1");
            *bad.pointer_mut(place).expect("a property") = value;
            share(&desk, &story, bad).await.points_at(pointer);
        }
        let mut odd = wish(&["b@example.vn"]);
        odd["sender"]["name"] = json!("\"An\" <x@y.vn>, Bình; (chú)");
        share(&desk, &story, odd).await.points_at("/sender/name");
        let mut quoted = wish(&["b@example.vn"]);
        quoted["sender"]["name"] = json!("\"An\", Bình; (chú) = ?= <>");
        share(&desk, &story, quoted).await.is(202);
        let mails = server.mails(1).await;
        let parsed = mails[0].parsed();
        let reply_to = parsed.reply_to().expect("Reply-To");
        assert_eq!(reply_to.iter().count(), 1);
        assert_eq!(reply_to.first().and_then(|one| one.address()), Some("an@example.vn"));
        assert_eq!(mails[0].to, ["b@example.vn"]);
        assert!(parsed.cc().is_none() && parsed.bcc().is_none());
    });
}

newsroom_tests! {
    async fn titles_and_abbreviations_are_no_web_addresses(desk, RATE_LIMITS = "off") {
        let story = story(&desk).await;
        // Right, as far as it goes: this newsroom sends no mail.
        for name in [
            "PGS.TS Nguyễn Văn An", "GS.TS. Lê", "ThS.BS Hà", "TS.BS Hà", "BS.CKII Hà", "TP.HCM", "TP.Hà Nội", "Mr.Ha",
            "Mr.X", "T.An", "Nguyễn.An",
        ] {
            let mut titled = wish(&["b@example.vn"]);
            titled["sender"]["name"] = json!(name);
            share(&desk, &story, titled).await.refuses(503, "mail_unavailable");
        }
        for note in [
            "Gặp PGS.TS Nguyễn nhé", "Hay quá.Em đọc rồi", "ở TP.HCM", "Node.js", "xem file.pdf", "Thích lắm ❤️ 👩‍💻",
        ] {
            let mut noted = wish(&["b@example.vn"]);
            noted["note"] = json!(note);
            share(&desk, &story, noted).await.refuses(503, "mail_unavailable");
        }
    }

    async fn an_address_in_disguise_is_refused(desk, RATE_LIMITS = "off") {
        let story = story(&desk).await;
        for disguise in [
            "evil.com- buy", "evil.com.1", "evil.com--now", "evil.xn--p1ai", "10.1.2.3/login", "evil。com", "evil．com",
            "http:evil", "ts.la/x",
        ] {
            for pointer in ["/note", "/sender/name"] {
                let mut bad = wish(&["b@example.vn"]);
                *bad.pointer_mut(pointer).expect("a property") = json!(disguise);
                let refused = share(&desk, &story, bad).await.points_at(pointer);
                assert_eq!(refused["errors"][0]["code"], "web_address", "{disguise}");
            }
        }
        for hidden in ["evil\u{200B}.com", "evil.c\u{200B}om", "An\u{202E}moc.live", "a\u{200D}b"] {
            for pointer in ["/note", "/sender/name"] {
                let mut bad = wish(&["b@example.vn"]);
                *bad.pointer_mut(pointer).expect("a property") = json!(hidden);
                let refused = share(&desk, &story, bad).await.points_at(pointer);
                assert_eq!(refused["errors"][0]["code"], "invisible_text", "{hidden:?}");
            }
        }
    }
}

#[test]
fn a_mail_server_that_fails_is_asked_again_with_the_same_mail() {
    with_mail(&[Mood::Says("451 later"), Mood::HangsUp], |desk, server| async move {
        let story = story(&desk).await;
        share(&desk, &story, wish(&["binh@example.vn"])).await.is(202);
        server.tried(2).await;
        let mail = server.mails(1).await.remove(0);
        let log = desk.log();
        assert!(
            log.contains("not sent yet") && !log.contains("binh@example.vn") && !log.contains("an@example.vn"),
            "{log}"
        );
        let id = mail.header("Message-ID");
        assert!(id.starts_with('<') && id.ends_with("@tin.example.vn>"), "{id}");
    });
}

#[test]
fn a_mail_server_without_an_answer_gets_the_same_message_id_twice() {
    with_mail(&[Mood::Slow(2_000)], |desk, server| async move {
        let story = story(&desk).await;
        share(&desk, &story, wish(&["binh@example.vn"])).await.is(202);
        server.tried(1).await;
        desk.kill();
        // The lease of the program that died.
        desk.database().execute("UPDATE outbox SET lease_ms = 0");
        desk.start();
        let mails = server.mails(2).await;
        assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
    });
}

#[test]
fn a_stop_lets_the_running_mail_end() {
    with_mail(&[Mood::Slow(1_500)], |desk, server| async move {
        let story = story(&desk).await;
        share(&desk, &story, wish(&["binh@example.vn"])).await.is(202);
        server.tried(1).await;
        assert!(desk.terminate().success());
        desk.database().execute("UPDATE outbox SET lease_ms = 0");
        desk.start();
        share(&desk, &story, wish(&["chi@example.vn"])).await.is(202);
        let mails = server.mails(2).await;
        assert_eq!(
            (&mails[0].to[0][..], &mails[1].to[0][..]),
            ("binh@example.vn", "chi@example.vn")
        );
    });
}

#[test]
fn what_is_refused_for_good_is_not_tried_again() {
    with_mail(&[Mood::Says("550 no such user")], |desk, server| async move {
        let story = story(&desk).await;
        share(&desk, &story, wish(&["nobody@example.vn"])).await.is(202);
        server.tried(1).await;
        tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
        share(&desk, &story, wish(&["binh@example.vn"])).await.is(202);
        assert_eq!(server.mails(1).await[0].to, ["binh@example.vn"]);
        assert!(desk.log().contains("refused for good"));
    });
}

#[test]
fn a_story_that_was_withdrawn_meanwhile_is_not_sent() {
    with_mail(&[Mood::Says("451 later")], |desk, server| async move {
        let story = story(&desk).await;
        share(&desk, &story, wish(&["binh@example.vn"])).await.is(202);
        server.tried(1).await;
        desk.action(&desk.current(&story).await, "unpublish").await.is(200);
        share(&desk, &story, wish(&["binh@example.vn"]))
            .await
            .refuses(410, "gone");
        tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
        let other = desk.story(json!({ "title": "Tin khác" })).await;
        share(&desk, &other, wish(&["chi@example.vn"])).await.is(202);
        assert_eq!(server.mails(1).await[0].to, ["chi@example.vn"]);
    });
}

#[test]
fn one_address_gets_three_mails_a_day_and_nobody_is_told() {
    with_mail(&[], |desk, server| async move {
        let story = story(&desk).await;
        let mut answers = Vec::new();
        for _ in 0..5 {
            answers.push(share(&desk, &story, wish(&["binh@example.vn"])).await.is(202).body());
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        share(&desk, &story, wish(&["chi@example.vn"])).await.is(202);
        let mails = server.mails(4).await;
        assert_eq!(mails.iter().filter(|mail| mail.to == ["binh@example.vn"]).count(), 3);
    });
}

#[test]
fn another_spelling_is_no_other_mailbox() {
    with_mail(&[], |desk, server| async move {
        let story = story(&desk).await;
        for spellings in [
            &["victim+1@gmail.com", "v.i.c.t.i.m@gmail.com", "Victim@GoogleMail.com"][..],
            &["victim+2@gmail.com"],
            &["vic.tim+x@googlemail.com"],
            &["victim@gmail.com"],
            &["vi.ctim@gmail.com"],
            &["chi@example.vn"],
        ] {
            share(&desk, &story, wish(spellings)).await.is(202);
        }
        // Three in all, each to the address as it was written.
        let mut written: Vec<String> = server.mails(4).await.into_iter().flat_map(|mail| mail.to).collect();
        written.sort();
        let wanted = [
            "Victim@GoogleMail.com",
            "chi@example.vn",
            "vic.tim+x@googlemail.com",
            "victim+2@gmail.com",
        ];
        assert_eq!(written, wanted);
    });
}

#[test]
fn who_opts_out_does_so_for_every_spelling() {
    with_mail(&[], |desk, server| async move {
        let story = story(&desk).await;
        share(&desk, &story, wish(&["victim+1@gmail.com"])).await.is(202);
        let link = opt_out(&server.mails(1).await[0]);
        desk.as_reader().ask("POST", &link).await.is(200);
        for spelling in ["victim@gmail.com", "v.ictim+2@googlemail.com"] {
            share(&desk, &story, wish(&[spelling])).await.is(202);
        }
        share(&desk, &story, wish(&["chi@example.vn"])).await.is(202);
        assert_eq!(server.mails(2).await[1].to, ["chi@example.vn"]);
        desk.terminate();
        assert_eq!(server.mails_now().len(), 2);
    });
}

#[test]
fn who_opted_out_before_mailboxes_had_keys_hears_no_more_either() {
    with_mail(&[], |desk, server| async move {
        let secret = "11".repeat(32);
        let mut statements = format!("INSERT INTO meta (name, value) VALUES ('share_secret', '{secret}')");
        // Kept by the address as it was written, in lower case.
        for kept in [
            "an+1@example.vn",
            "v.ictim@gmail.com",
            "binh@googlemail.com",
            "chi@example.vn",
        ] {
            let hmac = address_hmac(&secret, kept);
            statements.push_str(&format!("; INSERT INTO share_optouts (email_hmac) VALUES ('{hmac}')"));
        }
        desk.database().execute(&statements);
        let story = story(&desk).await;
        for spelling in [
            "An+1@example.vn",
            "v.ictim@gmail.com",
            "v.ictim+2@gmail.com",
            "b.inh@gmail.com",
            "chi+tin@example.vn",
            "CHI@example.vn",
        ] {
            share(&desk, &story, wish(&[spelling])).await.is(202);
        }
        share(&desk, &story, wish(&["dung@example.vn"])).await.is(202);
        assert_eq!(server.mails(1).await[0].to, ["dung@example.vn"]);
        desk.terminate();
        assert_eq!(server.mails_now().len(), 1);
    });
}

/// What is kept of an address.
fn address_hmac(secret: &str, address: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(b"address\0");
    mac.update(address.as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_person_with_a_broken_link_is_told_so_in_words() {
    with_mail(&[], |desk, server| async move {
        let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
        let open = |link: &str| desk.as_reader().get(link).header("Accept", browser);
        open("/shares/opt-out/unknown").await.is(404);
        let story = story(&desk).await;
        share(&desk, &story, wish(&["binh@example.vn"])).await.is(202);
        let link = opt_out(&server.mails(1).await[0]);
        let cut = &link[..link.len() - 4];
        for (method, accepts) in [("GET", browser), ("POST", browser), ("GET", "text/html")] {
            let page = desk
                .as_reader()
                .ask(method, cut)
                .header("Accept", accepts)
                .await
                .is(404);
            assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
            assert_eq!(page.header("cache-control"), "private, no-store");
            let words = page.body();
            assert!(
                words.contains("không đúng") && words.contains("not right") && !words.contains("<form"),
                "{words}"
            );
        }
        for accepts in ["*/*", "application/json", "text/html;q=0, */*"] {
            let program = desk.as_reader().get(cut).header("Accept", accepts);
            program.await.refuses(404, "not_found");
        }
        assert!(open(&link).await.is(200).body().contains("<form method=\"post\">"));
        for _ in 0..2 {
            let page = desk
                .as_reader()
                .ask("POST", &link)
                .header("Accept", browser)
                .await
                .is(200);
            assert!(page.body().contains("Đã ngừng. / Done."));
            let again = open(&link).await.is(200);
            assert!(
                again.body().contains("Đã ngừng. / Done.") && !again.body().contains("<form"),
                "{}",
                again.body()
            );
        }
    });
}

#[test]
fn who_opts_out_hears_no_more_for_ever() {
    with_mail(&[], |desk, server| async move {
        let story = story(&desk).await;
        share(&desk, &story, wish(&["binh@example.vn"])).await.is(202);
        let link = opt_out(&server.mails(1).await[0]);
        let page = desk.as_reader().get(&link).await.is(200);
        assert!(page.header("content-type").starts_with("text/html") && page.body().contains("<form method=\"post\">"));
        assert_eq!(page.header("cache-control"), "private, no-store");
        // Looking is not asking: programs that check links open them too.
        share(&desk, &story, wish(&["binh@example.vn"])).await.is(202);
        server.mails(2).await;
        let forged = format!("{}{}", &link[..link.len() - 4], "0000");
        desk.as_reader().ask("POST", &forged).await.refuses(404, "not_found");
        desk.as_reader().get(&forged).await.refuses(404, "not_found");
        let one_click = desk.as_reader().ask("POST", &link);
        one_click
            .bytes("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click")
            .await
            .is(200);
        desk.as_reader().ask("POST", &link).await.is(200);
        desk.terminate();
        desk.start();
        share(&desk, &story, wish(&["BINH@example.vn"])).await.is(202);
        share(&desk, &story, wish(&["chi@example.vn"])).await.is(202);
        let mails = server.mails(3).await;
        assert_eq!(mails[2].to, ["chi@example.vn"]);
        assert!(!desk.log().contains(&link[link.len() - 40..]), "the link is in the log");
    });
}

#[test]
fn the_same_wish_sent_twice_is_one_mail() {
    with_mail(&[], |desk, server| async move {
        let story = story(&desk).await;
        let once = share(&desk, &story, wish(&["binh@example.vn"])).header("Idempotency-Key", "a");
        once.clone().await.is(202);
        assert_eq!(once.await.is(202).header("idempotency-replayed"), "true");
        share(&desk, &story, wish(&["chi@example.vn"])).await.is(202);
        let mails = server.mails(2).await;
        assert_eq!(mails.iter().filter(|mail| mail.to == ["binh@example.vn"]).count(), 1);
    });
}

newsroom_tests! {
    async fn without_a_mail_server_readers_are_told_so(desk) {
        let story = story(&desk).await;
        let refused = share(&desk, &story, wish(&["binh@example.vn"])).await.refuses(503, "mail_unavailable");
        assert_eq!(refused.header("retry-after"), "3600");
        share(&desk, &story, json!({ "recipients": [] })).await.refuses(422, "validation_failed");
        let draft = desk.draft("Nháp").await;
        share(&desk, &draft, wish(&["binh@example.vn"])).await.refuses(404, "not_found");
        let as_text = desk.as_reader().ask("POST", &format!("/articles/{}/shares", story.id()));
        as_text.bytes("text/plain", "binh@example.vn").await.refuses(415, "unsupported_media_type");
    }
}

#[test]
fn one_address_sends_five_stories_an_hour() {
    let server = MailServer::open(&[]);
    run(&[("SMTP_URL", &server.url)], |desk| async move {
        let story = story(&desk).await;
        for n in 0..5 {
            share(&desk, &story, wish(&[&format!("friend{n}@example.vn")]))
                .await
                .is(202);
        }
        share(&desk, &story, wish(&["no"])).await.points_at("/recipients/0");
        share(&desk, &story, wish(&["sixth@example.vn"]))
            .await
            .refuses(429, "rate_limited");
    });
}

#[test]
fn a_story_sent_again_with_its_key_counts_once() {
    let server = MailServer::open(&[]);
    let inbox = server.clone();
    run(&[("SMTP_URL", &server.url)], |desk| async move {
        let story = story(&desk).await;
        let once = share(&desk, &story, wish(&["binh@example.vn"])).header("Idempotency-Key", "a");
        // At once, as from an impatient hand, and one after the other.
        let replies = all((0..5).map(|_| once.clone())).await;
        assert!(
            replies.iter().all(|reply| [202, 409].contains(&reply.status)),
            "{replies:?}"
        );
        for _ in 0..5 {
            assert_eq!(once.clone().await.is(202).header("idempotency-replayed"), "true");
        }
        for n in 0..4 {
            let another = share(&desk, &story, wish(&[&format!("friend{n}@example.vn")]));
            another.header("Idempotency-Key", &format!("b{n}")).await.is(202);
        }
        let sixth = share(&desk, &story, wish(&["sixth@example.vn"]));
        sixth.clone().await.refuses(429, "rate_limited");
        sixth.header("Idempotency-Key", "a").await.refuses(429, "rate_limited");
        assert_eq!(once.await.is(202).header("idempotency-replayed"), "true");
        let mails = inbox.mails(5).await;
        assert_eq!(mails.iter().filter(|mail| mail.to == ["binh@example.vn"]).count(), 1);
    });
}
