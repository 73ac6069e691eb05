//! Links by mail that set a password, and the second factor.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use totp_rs::{Builder, Secret, Totp};

use crate::support::database::{PASSWORD, postgres};
use crate::support::smtp::{Mail, MailServer};
use crate::support::{Desk, Person, Reply, Value, all, json, newsroom_tests, run};

const WRITER: &str = "writer@example.vn";
const NEW: &str = "bai tho Duong doi thu hai";

/// A newsroom that sends mail.
fn with_mail<F: Future<Output = ()>>(test: impl FnOnce(Desk, MailServer) -> F) {
    let server = MailServer::open(&[]);
    let settings = [
        ("SMTP_URL", server.url.as_str()),
        ("MAIL_RETRY_SECONDS", "1,1,1"),
        ("SITE_NAME", "Tin Đồng Bằng"),
        ("ADMIN_URL", "https://desk.example.vn"),
        ("RATE_LIMITS", "off"),
    ];
    run(&settings, |desk| test(desk, server.clone()));
}

async fn forget(desk: &Desk, email: &str) -> Reply {
    desk.as_nobody()
        .post("/auth/password-resets", json!({ "email": email }))
        .await
}

async fn confirm(desk: &Desk, token: &str, password: &str) -> Reply {
    let body = json!({ "token": token, "password": password });
    desk.as_nobody().post("/auth/password-resets/confirm", body).await
}

async fn accept(desk: &Desk, token: &str, password: &str) -> Reply {
    let body = json!({ "token": token, "password": password });
    desk.as_nobody().post("/auth/invitations/accept", body).await
}

/// The token of the link in a mail, which leads to this page of the newsroom's front end.
#[track_caller]
fn token(mail: &Mail, page: &str) -> String {
    let start = format!("https://desk.example.vn/{page}?token=");
    let text = mail.text();
    let line = text.lines().find_map(|line| line.trim().strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no link in {text}")).to_owned()
}

/// The account of somebody, as admins see it.
async fn account(desk: &Desk, email: &str) -> Reply {
    let found = desk.as_admin().get(&format!("/editors?q={email}")).await.is(200);
    desk.as_admin()
        .get(&format!("/editors/{}", found.text("/data/0/id")))
        .await
        .is(200)
}

async fn set(desk: &Desk, email: &str, change: Value) {
    let account = account(desk, email).await;
    desk.as_admin()
        .patch(&format!("/editors/{}", account.id()), change, account.version())
        .await
        .is(200);
}

#[test]
fn a_forgotten_password_is_set_anew_by_a_link_that_is_good_once() {
    with_mail(|desk, server| async move {
        let login = desk.log_in(WRITER, PASSWORD).await.is(200);
        let known = forget(&desk, "Writer@Example.vn").await.is(202);
        let unknown = forget(&desk, "nobody@example.vn").await.is(202);
        assert_eq!(
            (known.body(), known.headers.len()),
            (unknown.body(), unknown.headers.len())
        );
        let mail = server.mails(1).await.remove(0);
        assert_eq!(mail.to, [WRITER]);
        assert!(
            mail.parsed()
                .subject()
                .is_some_and(|subject| subject.contains("Tin Đồng Bằng"))
        );
        let token = token(&mail, "reset-password");
        confirm(&desk, &token, "short").await.points_at("/password");
        confirm(&desk, &token, WRITER).await.points_at("/password");
        accept(&desk, &token, NEW).await.points_at("/token");
        confirm(&desk, &token, NEW).await.is(204);
        confirm(&desk, &token, PASSWORD).await.points_at("/token");
        desk.with_token(&login.text("/access_token"))
            .get("/auth/me")
            .await
            .refuses(401, "unauthenticated");
        let refresh = json!({ "refresh_token": login["refresh_token"] });
        desk.as_nobody()
            .post("/auth/refresh", refresh)
            .await
            .refuses(401, "invalid_refresh_token");
        desk.log_in(WRITER, PASSWORD).await.refuses(401, "invalid_credentials");
        desk.log_in(WRITER, NEW).await.is(200);
        let trail = desk.as_admin().get("/audit?action=auth.password_reset").await.is(200);
        assert_eq!(trail["data"][0]["actor"]["name"], "Lê Phóng Viên");
        assert!(!trail.body().contains(&token) && !desk.log().contains(&token));
        assert!(!desk.log().contains("nobody@example.vn"));
        if postgres().is_none() {
            for file in ["newsdesk.db", "newsdesk.db-wal"] {
                let bytes = std::fs::read(desk.folder().join(file)).unwrap_or_default();
                assert!(
                    !bytes.windows(token.len()).any(|part| part == token.as_bytes()),
                    "{file} holds the token"
                );
            }
        }
        assert_eq!(server.mails_now().len(), 1, "nobody else gets mail");
    });
}

#[test]
fn a_link_dies_with_what_it_vouched_for() {
    with_mail(|desk, server| async move {
        let mut seen = 0;
        let mut link = async |email: &str| {
            forget(&desk, email).await.is(202);
            seen += 1;
            token(&server.mails(seen).await[seen - 1], "reset-password")
        };
        let late = link(WRITER).await;
        desk.database().execute("UPDATE one_time_tokens SET expires_ms = 0");
        confirm(&desk, &late, NEW).await.points_at("/token");
        let moved = link("other@example.vn").await;
        set(&desk, "other@example.vn", json!({ "email": "khac@example.vn" })).await;
        confirm(&desk, &moved, NEW).await.points_at("/token");
        let (first, second) = (link(WRITER).await, link(WRITER).await);
        confirm(&desk, &second, NEW).await.is(204);
        confirm(&desk, &first, NEW).await.points_at("/token");
        let closed = link("editor@example.vn").await;
        set(&desk, "editor@example.vn", json!({ "disabled": true })).await;
        confirm(&desk, &closed, NEW).await.points_at("/token");
        set(&desk, "editor@example.vn", json!({ "disabled": false })).await;
        confirm(&desk, &closed, NEW).await.points_at("/token");
        for wrong in ["", "ndo_", "x\u{2028}"] {
            confirm(&desk, wrong, NEW).await.points_at("/token");
        }
        // A closed account gets no mail at all.
        set(&desk, "editor@example.vn", json!({ "disabled": true })).await;
        forget(&desk, "editor@example.vn").await.is(202);
        link(WRITER).await;
        assert!(
            server
                .mails_now()
                .iter()
                .filter(|mail| mail.to == ["editor@example.vn"])
                .count()
                == 1
        );
    });
}

#[test]
fn one_link_used_at_the_same_time_sets_one_password() {
    with_mail(|desk, server| async move {
        forget(&desk, WRITER).await.is(202);
        let token = token(&server.mails(1).await[0], "reset-password");
        let tries = all((0..6).map(|_| {
            let body = json!({ "token": token, "password": NEW });
            desk.as_nobody().post("/auth/password-resets/confirm", body)
        }))
        .await;
        assert_eq!(tries.iter().filter(|reply| reply.status == 204).count(), 1);
        assert!(tries.iter().all(|reply| reply.status == 204 || reply.status == 422));
    });
}

#[test]
fn the_answer_takes_as_long_whether_there_is_an_account_or_not() {
    with_mail(|desk, _server| async move {
        let mut fastest = [Duration::MAX; 2];
        for round in 0..4 {
            for (known, staff) in ["admin", "editor", "writer", "other"].into_iter().enumerate() {
                for (side, email) in [
                    format!("{staff}@example.vn"),
                    format!("nobody{round}{known}@example.vn"),
                ]
                .iter()
                .enumerate()
                {
                    let start = Instant::now();
                    forget(&desk, email).await.is(202);
                    fastest[side] = fastest[side].min(start.elapsed());
                }
            }
        }
        // The same work for everybody: a row for each, whatever becomes of it.
        desk.database().execute(
            "CREATE TABLE proof (right_number BIGINT NOT NULL); \
             INSERT INTO proof SELECT CASE WHEN count(*) = 32 THEN 1 END FROM outbox WHERE kind = 'password_reset'",
        );
        let [known, unknown] = fastest;
        let near = |a: Duration, b: Duration| a < b * 3 + Duration::from_millis(5);
        assert!(near(known, unknown) && near(unknown, known), "{fastest:?}");
    });
}

#[test]
fn asking_for_new_passwords_is_limited() {
    with_mail(|desk, _server| async move {
        for email in [WRITER, "nobody@example.vn"] {
            for _ in 0..5 {
                forget(&desk, email).await.is(202);
            }
            forget(&desk, email).await.refuses(429, "rate_limited");
        }
        forget(&desk, "no address").await.points_at("/email");
    });
}

#[test]
fn an_invited_editor_chooses_the_password() {
    with_mail(|desk, server| async move {
        let admin = desk.as_admin();
        let new = json!({ "email": "moi@example.vn", "name": "Người Mới", "role": "admin" });
        let made = admin.post("/editors", new).await.is(201);
        assert_eq!(made["invited"], true);
        let mail = server.mails(1).await.remove(0);
        assert_eq!(mail.to, ["moi@example.vn"]);
        for password in ["", PASSWORD] {
            desk.log_in("moi@example.vn", password)
                .await
                .refuses(401, "invalid_credentials");
        }
        // Somebody who cannot sign in yet is no admin to rely on.
        let last = account(&desk, "admin@example.vn").await;
        let path = format!("/editors/{}", last.id());
        admin
            .patch(&path, json!({ "role": "editor" }), last.version())
            .await
            .refuses(409, "last_admin");
        let invitation = format!("/editors/{}/invitation", made.id());
        let again = admin.ask("POST", &invitation).header("Idempotency-Key", "k");
        again.clone().await.is(202);
        assert_eq!(again.await.is(202).header("idempotency-replayed"), "true");
        let second = token(&server.mails(2).await[1], "accept-invitation");
        let first = token(&mail, "accept-invitation");
        confirm(&desk, &first, NEW).await.points_at("/token");
        accept(&desk, &first, "short").await.points_at("/password");
        accept(&desk, &first, NEW).await.is(204);
        accept(&desk, &second, NEW).await.points_at("/token");
        let login = desk.log_in("moi@example.vn", NEW).await.is(200);
        assert_eq!(login["editor"]["invited"], false);
        admin.ask("POST", &invitation).await.refuses(409, "already_active");
        admin
            .patch(&path, json!({ "role": "editor" }), last.version())
            .await
            .is(200);
        let trail = desk
            .with_token(&login.text("/access_token"))
            .get(&format!("/audit?target={}", made.id()))
            .await
            .is(200);
        let actions: Vec<&Value> = trail.list("/data").iter().map(|line| &line["action"]).collect();
        assert_eq!(
            actions,
            [
                "auth.invitation_accept",
                "editor.invite",
                "editor.invite",
                "editor.create"
            ]
        );
        assert_eq!(server.mails_now().len(), 2);
    });
}

newsroom_tests! {
    async fn without_mail_the_answer_says_so_to_everybody(desk) {
        for email in [WRITER, "nobody@example.vn"] {
            forget(&desk, email).await.refuses(503, "mail_unavailable");
        }
        let new = json!({ "email": "moi@example.vn", "name": "Người Mới", "role": "writer" });
        desk.as_admin().post("/editors", new).await.refuses(503, "mail_unavailable");
        assert!(desk.as_admin().get("/editors?q=moi@example.vn").await.is(200).list("/data").is_empty());
    }
}

/// Somebody whose sign-in takes two steps.
struct Enrolled {
    who: Person,
    app: Totp,
    recovery: Vec<String>,
}

impl Enrolled {
    async fn new(desk: &Desk, email: &str) -> Self {
        let login = desk.log_in(email, PASSWORD).await.is(200);
        let who = desk.with_token(&login.text("/access_token"));
        let started = who.post("/auth/totp", json!({ "password": PASSWORD })).await.is(200);
        let secret = started.text("/secret");
        assert!(started.text("/otpauth_url").contains(&secret));
        assert!(started.text("/otpauth_url").starts_with("otpauth://totp/"));
        let secret = Secret::try_from_base32(secret).expect("Base32");
        let app = Builder::new().with_secret(secret).build().expect("an app");
        let on = who
            .post("/auth/totp/confirm", json!({ "code": code(&app, 0) }))
            .await
            .is(200);
        let recovery = on
            .list("/recovery_codes")
            .iter()
            .map(|code| code.as_str().expect("a code").to_owned());
        let recovery = recovery.collect();
        Self { who, app, recovery }
    }
}

/// What the app shows so many steps from now.
fn code(app: &Totp, steps: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    app.generate(now.saturating_add_signed(steps * 30)).to_string()
}

async fn log_in(desk: &Desk, email: &str, password: &str, code: &str) -> Reply {
    desk.as_nobody()
        .post(
            "/auth/login",
            json!({ "email": email, "password": password, "totp": code }),
        )
        .await
}

/// As if none of the app's codes had been used.
fn unused(desk: &Desk) {
    desk.database().execute("UPDATE editors SET totp_step = 0");
}

newsroom_tests! {
    async fn signing_in_takes_two_steps_once_that_is_confirmed(desk) {
        let login = desk.log_in(WRITER, PASSWORD).await.is(200);
        let who = desk.with_token(&login.text("/access_token"));
        who.post("/auth/totp", json!({ "password": "not the right password" })).await.points_at("/password");
        who.post("/auth/totp/confirm", json!({ "code": "123456" })).await.refuses(409, "totp_state");
        let started = who.post("/auth/totp", json!({ "password": PASSWORD })).await.is(200);
        who.post("/auth/totp/confirm", json!({ "code": "12345" })).await.points_at("/code");
        desk.log_in(WRITER, PASSWORD).await.is(200);
        let secret = Secret::try_from_base32(started.text("/secret")).expect("Base32");
        let app = Builder::new().with_secret(secret).build().expect("an app");
        let on = who.post("/auth/totp/confirm", json!({ "code": code(&app, 0) })).await.is(200);
        assert_eq!(on.list("/recovery_codes").len(), 10);
        assert_eq!(who.get("/auth/me").await.is(200)["totp_enabled"], true);
        who.post("/auth/totp", json!({ "password": PASSWORD })).await.refuses(409, "totp_state");
        // Only who has the password is told.
        let refused = desk.log_in(WRITER, PASSWORD).await.refuses(401, "totp_required");
        assert!(refused.header("www-authenticate").starts_with("Bearer"));
        desk.log_in(WRITER, "not the right password").await.refuses(401, "invalid_credentials");
        log_in(&desk, WRITER, "not the right password", &code(&app, 1)).await.refuses(401, "invalid_credentials");
        let list = desk.as_admin().get("/audit?action=auth.totp_enable").await.is(200);
        assert_eq!(list["data"][0]["changes"], json!({ "before": { "totp_enabled": false }, "after": { "totp_enabled": true } }));
    }

    async fn a_code_of_the_app_is_good_once(desk) {
        let enrolled = Enrolled::new(&desk, WRITER).await;
        log_in(&desk, WRITER, PASSWORD, &code(&enrolled.app, 0)).await.refuses(401, "totp_invalid");
        let next = code(&enrolled.app, 1);
        let login = log_in(&desk, WRITER, PASSWORD, &format!("{} {}", &next[..3], &next[3..])).await.is(200);
        assert_eq!(login["editor"]["totp_enabled"], true);
        log_in(&desk, WRITER, PASSWORD, &next).await.refuses(401, "totp_invalid");
        unused(&desk);
        log_in(&desk, WRITER, PASSWORD, &code(&enrolled.app, 4)).await.refuses(401, "totp_invalid");
        log_in(&desk, WRITER, PASSWORD, &code(&enrolled.app, 1)).await.is(200);
        let trail = desk.as_admin().get("/audit?action=auth.login&limit=1").await.is(200);
        assert!(trail["data"][0]["changes"]["second_factor"].is_null() || trail["data"][0]["changes"]["second_factor"] == "app");
    }

    async fn one_code_at_the_same_time_opens_one_session(desk) {
        let enrolled = Enrolled::new(&desk, WRITER).await;
        let code = code(&enrolled.app, 1);
        let body = json!({ "email": WRITER, "password": PASSWORD, "totp": code });
        let tries = all((0..5).map(|_| desk.as_nobody().post("/auth/login", body.clone()))).await;
        let statuses: Vec<u16> = tries.iter().map(|reply| reply.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 4, "{statuses:?}");
    }

    async fn a_recovery_code_is_good_once(desk) {
        let enrolled = Enrolled::new(&desk, WRITER).await;
        let [first, second] = [&enrolled.recovery[0], &enrolled.recovery[1]];
        log_in(&desk, WRITER, PASSWORD, &first.to_lowercase().replace('-', "")).await.is(200);
        log_in(&desk, WRITER, PASSWORD, first).await.refuses(401, "totp_invalid");
        log_in(&desk, WRITER, PASSWORD, "AAAA-AAAA-AAAA-AAAA").await.refuses(401, "totp_invalid");
        log_in(&desk, WRITER, PASSWORD, second).await.is(200);
        let other = Enrolled::new(&desk, "other@example.vn").await;
        log_in(&desk, WRITER, PASSWORD, &other.recovery[0]).await.refuses(401, "totp_invalid");
        if postgres().is_none() {
            let plain = enrolled.recovery[5].replace('-', "");
            for file in ["newsdesk.db", "newsdesk.db-wal"] {
                let bytes = std::fs::read(desk.folder().join(file)).unwrap_or_default();
                for code in [&plain, &enrolled.recovery[5]] {
                    assert!(!bytes.windows(code.len()).any(|part| part == code.as_bytes()), "{file} holds a recovery code");
                }
            }
        }
    }

    async fn two_step_sign_in_ends_with_password_and_code(desk) {
        let enrolled = Enrolled::new(&desk, WRITER).await;
        let end = |password: &str, code: &str| enrolled.who.post("/auth/totp/disable", json!({ "password": password, "code": code }));
        end("not the right password", &code(&enrolled.app, 1)).await.points_at("/password");
        end(PASSWORD, "000000").await.points_at("/code");
        end(PASSWORD, &code(&enrolled.app, 0)).await.points_at("/code");
        end(PASSWORD, &code(&enrolled.app, 1)).await.is(204);
        end(PASSWORD, &enrolled.recovery[0]).await.refuses(409, "totp_state");
        desk.log_in(WRITER, PASSWORD).await.is(200);
        assert_eq!(enrolled.who.get("/auth/me").await.is(200)["totp_enabled"], false);
    }

    async fn an_admin_helps_who_lost_everything(desk) {
        Enrolled::new(&desk, WRITER).await;
        desk.log_in(WRITER, PASSWORD).await.refuses(401, "totp_required");
        let writer = account(&desk, WRITER).await;
        assert_eq!(writer["totp_enabled"], true);
        let path = format!("/editors/{}/totp", writer.id());
        desk.as_editor().ask("DELETE", &path).await.refuses(403, "forbidden");
        desk.as_admin().ask("DELETE", &path).await.is(204);
        desk.as_admin().ask("DELETE", &path).await.refuses(409, "totp_state");
        desk.log_in(WRITER, PASSWORD).await.is(200);
        let trail = desk.as_admin().get("/audit?action=editor.totp_remove").await.is(200);
        assert_eq!((&trail["data"][0]["target"]["id"], &trail["data"][0]["actor"]["name"]), (&writer["id"], &json!("Nguyễn Quản Trị")));
    }
}

#[test]
fn a_new_password_by_mail_leaves_the_second_factor() {
    with_mail(|desk, server| async move {
        let enrolled = Enrolled::new(&desk, WRITER).await;
        forget(&desk, WRITER).await.is(202);
        let token = token(&server.mails(1).await[0], "reset-password");
        confirm(&desk, &token, NEW).await.is(204);
        desk.log_in(WRITER, NEW).await.refuses(401, "totp_required");
        log_in(&desk, WRITER, NEW, &code(&enrolled.app, 1)).await.is(200);
    });
}
