//! Signing in and out, accounts, and what an admin does to them.

use std::future::IntoFuture;
use std::time::Duration;

use crate::support::database::PASSWORD;
use crate::support::{Desk, Reply, all, json, newsroom_tests};

const WRITER: &str = "writer@example.vn";
const NEW: &str = "bai tho Duong doi thu hai";

/// The id and version of one of the staff.
async fn account(desk: &Desk, email: &str) -> Reply {
    let found = desk.as_admin().get(&format!("/editors?q={email}")).await.is(200);
    let id = found.text("/data/0/id");
    desk.as_admin().get(&format!("/editors/{id}")).await.is(200)
}

async fn refresh(desk: &Desk, token: &str) -> Reply {
    desk.as_nobody()
        .post("/auth/refresh", json!({ "refresh_token": token }))
        .await
}

newsroom_tests! {
    async fn a_login_opens_the_newsroom(desk) {
        let login = desk.log_in(WRITER, PASSWORD).await.is(200);
        assert_eq!((&login["token_type"], &login["expires_in"]), (&json!("Bearer"), &json!(900)));
        assert_eq!(login["editor"]["email"], WRITER);
        assert_eq!(login.header("cache-control"), "private, no-store, no-transform");
        let me = desk.with_token(&login.text("/access_token")).get("/auth/me").await.is(200);
        assert_eq!((&me["email"], &me["role"]), (&json!(WRITER), &json!("writer")));
        desk.log_in("WRITER@Example.vn", PASSWORD).await.is(200);
        assert!(!login.body().contains("argon2"));
    }

    async fn a_login_that_fails_tells_nothing(desk) {
        let other = account(&desk, "other@example.vn").await;
        let path = format!("/editors/{}", other.id());
        desk.as_admin().patch(&path, json!({ "disabled": true }), other.version()).await.is(200);
        let mut answers = Vec::new();
        for (email, password) in [
            ("nobody@example.vn", PASSWORD), (WRITER, "not the right password"), ("other@example.vn", PASSWORD), (WRITER, ""),
        ] {
            let mut refused = desk.log_in(email, password).await.refuses(401, "invalid_credentials");
            refused.json["request_id"] = json!("");
            let kind = refused.header("www-authenticate");
            answers.push((refused.json.to_string(), kind, refused.headers.len()));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:#?}");
    }

    async fn a_refresh_token_is_good_once_and_for_a_moment_gives_the_same_again(desk) {
        let login = desk.log_in(WRITER, PASSWORD).await.is(200);
        let first = login.text("/refresh_token");
        let second = refresh(&desk, &first).await.is(200).text("/refresh_token");
        assert_ne!(first, second);
        assert_eq!(refresh(&desk, &first).await.is(200).text("/refresh_token"), second, "a lost answer");
        let many = all((0..10).map(|_| refresh(&desk, &second))).await;
        let third = many[0].text("/refresh_token");
        assert!(many.iter().all(|reply| reply.text("/refresh_token") == third), "two windows at once");
        tokio::time::sleep(Duration::from_millis(10_600)).await;
        refresh(&desk, &first).await.refuses(401, "invalid_refresh_token");
        for token in [&second, &third] {
            refresh(&desk, token).await.refuses(401, "invalid_refresh_token");
        }
        let access = desk.with_token(&login.text("/access_token"));
        access.get("/auth/me").await.refuses(401, "unauthenticated");
    }

    async fn strange_refresh_tokens_are_refused(desk) {
        for token in ["", "ndr_AAAA", "x\u{2028}", &"a".repeat(1000)] {
            refresh(&desk, token).await.refuses(401, "invalid_refresh_token");
        }
    }

    async fn a_logout_acts_at_once(desk) {
        let login = desk.log_in(WRITER, PASSWORD).await.is(200);
        let who = desk.with_token(&login.text("/access_token"));
        who.ask("POST", "/auth/logout").await.is(204);
        who.get("/auth/me").await.refuses(401, "unauthenticated");
        refresh(&desk, &login.text("/refresh_token")).await.refuses(401, "invalid_refresh_token");
        let login = desk.log_in(WRITER, PASSWORD).await.is(200);
        let by_token = json!({ "refresh_token": login.text("/refresh_token") });
        desk.as_nobody().post("/auth/logout", by_token.clone()).await.is(204);
        desk.with_token(&login.text("/access_token")).get("/auth/me").await.refuses(401, "unauthenticated");
        desk.as_nobody().post("/auth/logout", by_token).await.is(401);
        desk.as_nobody().ask("POST", "/auth/logout").await.refuses(401, "unauthenticated");
    }

    async fn a_new_password_ends_the_other_sessions(desk) {
        let (here, there) = (desk.log_in(WRITER, PASSWORD).await, desk.log_in(WRITER, PASSWORD).await);
        let who = desk.with_token(&here.text("/access_token"));
        let change = |current: &str, new: &str| who.put("/auth/password", json!({ "current_password": current, "new_password": new }));
        change("wrong password here", NEW).await.points_at("/current_password");
        for weak in ["short", "password12345678", "writer@example.vn", &"a".repeat(129)] {
            change(PASSWORD, weak).await.points_at("/new_password");
        }
        let changed = change(PASSWORD, NEW).await.is(200);
        who.get("/auth/me").await.refuses(401, "unauthenticated");
        desk.with_token(&there.text("/access_token")).get("/auth/me").await.refuses(401, "unauthenticated");
        refresh(&desk, &there.text("/refresh_token")).await.refuses(401, "invalid_refresh_token");
        desk.with_token(&changed.text("/access_token")).get("/auth/me").await.is(200);
        desk.log_in(WRITER, PASSWORD).await.refuses(401, "invalid_credentials");
        desk.log_in(WRITER, NEW).await.is(200);
    }

    async fn sessions_are_listed_and_ended_one_by_one_or_all_others(desk) {
        let logins = [desk.log_in(WRITER, PASSWORD).await, desk.log_in(WRITER, PASSWORD).await, desk.log_in(WRITER, PASSWORD).await];
        let people: Vec<_> = logins.iter().map(|login| desk.with_token(&login.text("/access_token"))).collect();
        let list = people[0].get("/auth/sessions").await.is(200);
        assert_eq!(list.list("/data").len(), 3);
        let current: Vec<_> = list.list("/data").iter().filter(|session| session["current"] == true).collect();
        assert_eq!(current.len(), 1);
        let newest = list.text("/data/0/id");
        people[0].ask("DELETE", &format!("/auth/sessions/{newest}")).await.is(204);
        people[2].get("/auth/me").await.refuses(401, "unauthenticated");
        people[0].ask("DELETE", &format!("/auth/sessions/{newest}")).await.refuses(404, "not_found");
        let stranger = desk.as_admin().get("/auth/sessions").await.is(200).text("/data/0/id");
        people[0].ask("DELETE", &format!("/auth/sessions/{stranger}")).await.refuses(404, "not_found");
        people[0].ask("DELETE", "/auth/sessions").await.is(204);
        people[1].get("/auth/me").await.refuses(401, "unauthenticated");
        people[0].get("/auth/me").await.is(200);
    }

    async fn closing_an_account_acts_on_the_next_request(desk) {
        let login = desk.log_in(WRITER, PASSWORD).await.is(200);
        let who = desk.with_token(&login.text("/access_token"));
        let writer = account(&desk, WRITER).await;
        let path = format!("/editors/{}", writer.id());
        desk.as_admin().patch(&path, json!({ "disabled": true }), writer.version()).await.is(200);
        who.get("/auth/me").await.refuses(401, "unauthenticated");
        refresh(&desk, &login.text("/refresh_token")).await.refuses(401, "invalid_refresh_token");
        let closed = desk.as_admin().get(&path).await;
        desk.as_admin().patch(&path, json!({ "disabled": false }), closed.version()).await.is(200);
        who.get("/auth/me").await.refuses(401, "unauthenticated");
        desk.log_in(WRITER, PASSWORD).await.is(200);
    }

    async fn a_new_role_acts_on_the_next_request(desk) {
        let editor = desk.as_editor();
        editor.post("/sections", json!({ "name": "Một" })).await.is(201);
        let row = account(&desk, "editor@example.vn").await;
        desk.as_admin().patch(&format!("/editors/{}", row.id()), json!({ "role": "writer" }), row.version()).await.is(200);
        editor.post("/sections", json!({ "name": "Hai" })).await.refuses(403, "forbidden");
        assert_eq!(editor.get("/auth/me").await.is(200)["role"], "writer");
    }

    async fn accounts_are_made_changed_and_deleted(desk) {
        let admin = desk.as_admin();
        let new = json!({ "email": "Moi@Example.vn", "name": "Người Mới", "role": "writer", "password": NEW });
        let made = admin.post("/editors", new.clone()).await.is(201);
        assert!(!made.body().contains(NEW));
        admin.post("/editors", new).await.refuses(409, "email_taken");
        let path = format!("/editors/{}", made.id());
        admin.patch(&path, json!({ "email": "editor@example.vn" }), 1).await.refuses(409, "email_taken");
        let changed = admin.patch(&path, json!({ "name": "Tên Khác", "email": "khac@example.vn" }), 1).await.is(200);
        assert_eq!((&changed["name"], changed.version()), (&json!("Tên Khác"), 2));
        admin.patch(&path, json!({ "role": "king" }), 2).await.points_at("/role");
        admin.patch(&path, json!({ "email": "no address" }), 2).await.points_at("/email");
        desk.log_in("khac@example.vn", NEW).await.is(200);
        admin.delete(&path, 2).await.is(204);
        admin.get(&path).await.refuses(404, "not_found");
        desk.log_in("khac@example.vn", NEW).await.refuses(401, "invalid_credentials");
        desk.draft("Có tác giả").await;
        let writer = account(&desk, WRITER).await;
        let used = admin.delete(&format!("/editors/{}", writer.id()), writer.version()).await.refuses(409, "in_use");
        assert!(!used.list("/used_in").is_empty());
    }

    async fn one_admin_stays(desk) {
        let admin = account(&desk, "admin@example.vn").await;
        let path = format!("/editors/{}", admin.id());
        for change in [json!({ "role": "editor" }), json!({ "disabled": true })] {
            desk.as_admin().patch(&path, change, admin.version()).await.refuses(409, "last_admin");
        }
        desk.as_admin().delete(&path, admin.version()).await.refuses(409, "last_admin");
        desk.as_admin().get("/auth/me").await.is(200);
    }

    async fn two_admins_cannot_demote_each_other(desk) {
        let first = account(&desk, "admin@example.vn").await;
        let second = account(&desk, "editor@example.vn").await;
        let path = |row: &Reply| format!("/editors/{}", row.id());
        let second = desk.as_admin().patch(&path(&second), json!({ "role": "admin" }), second.version()).await.is(200);
        desk.as_editor().get("/auth/me").await.is(200);
        let writer = json!({ "role": "writer" });
        let (a, b) = (desk.as_admin(), desk.as_editor());
        let (one, two) = tokio::join!(
            a.patch(&path(&second), writer.clone(), second.version()).into_future(),
            b.patch(&path(&first), writer, first.version()).into_future(),
        );
        let mut statuses = [one.status, two.status];
        statuses.sort();
        assert!(matches!(statuses, [200, 403] | [200, 409]), "{statuses:?}");
        let count = all([desk.as_admin(), desk.as_editor()].map(|who| who.get("/editors?role=admin&disabled=false"))).await;
        let left: Vec<_> = count.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!((left.len(), left[0].list("/data").len()), (1, 1));
    }

    async fn logins_are_limited_by_account(desk) {
        for _ in 0..10 {
            desk.log_in("nobody@example.vn", "not the right password").await.refuses(401, "invalid_credentials");
        }
        let limited = desk.log_in("nobody@example.vn", "not the right password").await.refuses(429, "rate_limited");
        let wait: u64 = limited.header("retry-after").parse().expect("seconds");
        assert!((1..=60).contains(&wait));
        assert!(limited.header("ratelimit-policy").contains("q=10"), "{:?}", limited.headers);
        desk.log_in(WRITER, PASSWORD).await.is(200);
    }
}
