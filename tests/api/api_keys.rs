//! Keys of programs: what they open, what they never open, and how they end.

use std::time::Duration;

use crate::support::contract::operations;
use crate::support::database::postgres;
use crate::support::newsroom::message;
use crate::support::{Desk, Person, Reply, Value, all, json, newsroom_tests};

/// A new key of somebody.
async fn key(who: &Person, scopes: &[&str]) -> Reply {
    who.post("/api-keys", json!({ "name": "Máy", "scopes": scopes }))
        .await
        .is(201)
}

/// A program with a new key of somebody.
async fn program(desk: &Desk, who: &Person, scopes: &[&str]) -> Person {
    desk.with_token(&key(who, scopes).await.text("/key"))
}

/// Changes an account.
async fn set(desk: &Desk, email: &str, change: Value) {
    let found = desk.as_admin().get(&format!("/editors?q={email}")).await.is(200);
    let version = found.json["data"][0]["version"].as_i64().expect("a version");
    let path = format!("/editors/{}", found.text("/data/0/id"));
    desk.as_admin().patch(&path, change, version).await.is(200);
}

newsroom_tests! {
    async fn a_key_is_shown_once_and_acts_within_its_scopes(desk) {
        let made = key(&desk.as_editor(), &["articles:write", "articles:read", "articles:read"]).await;
        let secret = made.text("/key");
        assert!(secret.starts_with("ndk_") && secret.len() >= 47, "{secret}");
        assert!(secret.starts_with(&made.text("/hint")));
        assert_eq!(made["scopes"], json!(["articles:read", "articles:write"]));
        assert_eq!((made.header("etag"), made.header("location")), ("\"1\"".into(), format!("/management/v1/api-keys/{}", made.id())));
        let list = desk.as_editor().get("/api-keys").await.is(200);
        let one = desk.as_editor().get(&format!("/api-keys/{}", made.id())).await.is(200);
        assert!(!list.body().contains(&secret) && !one.body().contains(&secret));
        assert_eq!(list["data"][0]["id"], made["id"]);
        let program = desk.with_token(&secret);
        let draft = program.post("/articles", json!({ "title": "Từ máy" })).await.is(201);
        assert_eq!(draft["created_by"]["name"], "Trần Biên Tập");
        program.patch(&format!("/articles/{}", draft.id()), json!({ "lead": "Mới" }), 1).await.is(200);
        let refused = program.get("/tags").await.refuses(403, "forbidden");
        assert_eq!(refused["required_scope"], "tags:read");
        assert!(refused.text("/detail").contains("tags:read"));
        assert!(refused.header("www-authenticate").contains("insufficient_scope"));
        assert_eq!(program.get("/auth/me").await.is(200)["email"], "editor@example.vn");
        program.get("/nowhere-at-all").await.refuses(404, "not_found");
        program.ask("PUT", "/articles").await.refuses(405, "method_not_allowed");
        if postgres().is_none() {
            for file in ["newsdesk.db", "newsdesk.db-wal"] {
                let bytes = std::fs::read(desk.folder().join(file)).unwrap_or_default();
                assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{file} holds the key");
            }
        }
    }

    async fn every_operation_wants_a_scope_that_it_names(desk) {
        let none = program(&desk, &desk.as_admin(), &["delivery:forward"]).await;
        let mut asked = 0;
        for operation in operations().iter().filter(|operation| operation.path.starts_with("/management/")) {
            if operation.about["security"] == json!([]) || operation.id == "getMe" {
                continue;
            }
            let path = operation.path.replace("{id}", "01890a5d-ac96-774b-bcce-b302099a8057").replace(['{', '}'], "");
            let refused = none.ask(&operation.method, &path).await.refuses(403, "forbidden");
            let person = refused["required_scope"].is_null();
            let about = operation.about["description"].as_str().unwrap_or_default();
            let told = about.contains("API keys cannot do this.") || about.contains(&format!("`{}`", refused["required_scope"].as_str().unwrap_or("?")));
            let secret = ["/auth/", "/api-keys", "/totp"].iter().any(|part| path.contains(part));
            assert!(told && person == secret, "{}: {}", operation.id, refused.body());
            asked += 1;
        }
        assert!(asked > 50, "{asked}");
    }

    async fn what_readers_see_needs_the_scope_to_publish(desk) {
        let editor = desk.as_editor();
        let writing = program(&desk, &editor, &["articles:read", "articles:write"]).await;
        let publishing = program(&desk, &editor, &["articles:publish"]).await;
        let draft = desk.draft("Tin").await;
        let act = |action: &str| format!("/articles/{}/{action}", draft.id());
        let refused = writing.act(&act("publish"), draft.version()).await.refuses(403, "forbidden");
        assert_eq!(refused["required_scope"], "articles:publish");
        let live = publishing.act(&act("publish"), draft.version()).await.is(200);
        let refused = writing.act(&act("trash"), live.version()).await.refuses(403, "forbidden");
        assert_eq!(refused["required_scope"], "articles:publish");
        writing.act(&act("unpublish"), live.version()).await.refuses(403, "forbidden");
        let gone = publishing.act(&act("unpublish"), live.version()).await.is(200);
        writing.act(&act("trash"), gone.version()).await.is(200);
    }

    async fn a_key_never_goes_above_its_owner(desk) {
        let scopes = ["articles:read", "articles:write", "articles:publish", "sections:write", "editors:read"];
        let writers = program(&desk, &desk.as_writer(), &scopes).await;
        let draft = writers.post("/articles", json!({ "title": "Của tôi" })).await.is(201);
        writers.act(&format!("/articles/{}/publish", draft.id()), 1).await.refuses(403, "forbidden");
        writers.get("/editors").await.refuses(403, "forbidden");
        let editors = program(&desk, &desk.as_editor(), &scopes).await;
        editors.post("/sections", json!({ "name": "Một" })).await.is(201);
        set(&desk, "editor@example.vn", json!({ "role": "writer" })).await;
        editors.post("/sections", json!({ "name": "Hai" })).await.refuses(403, "forbidden");
        editors.get(&format!("/articles/{}", draft.id())).await.refuses(404, "not_found");
    }

    async fn a_dead_key_is_dead_on_the_next_request(desk) {
        let editor = desk.as_editor();
        let made = key(&editor, &["articles:read"]).await;
        let program = desk.with_token(&made.text("/key"));
        program.get("/articles").await.is(200);
        editor.ask("DELETE", &format!("/api-keys/{}", made.id())).await.is(204);
        let refused = program.get("/articles").await.refuses(401, "unauthenticated");
        assert!(refused.header("www-authenticate").starts_with("Bearer"));
        editor.ask("DELETE", &format!("/api-keys/{}", made.id())).await.refuses(404, "not_found");
        editor.get(&format!("/api-keys/{}", made.id())).await.refuses(404, "not_found");

        let writers = desk.with_token(&key(&desk.as_writer(), &["articles:read"]).await.text("/key"));
        writers.get("/articles").await.is(200);
        set(&desk, "writer@example.vn", json!({ "disabled": true })).await;
        writers.get("/articles").await.refuses(401, "unauthenticated");
        set(&desk, "writer@example.vn", json!({ "disabled": false })).await;
        writers.get("/articles").await.is(200);

        let soon = chrono::Utc::now() + chrono::TimeDelta::milliseconds(1500);
        let short = json!({ "name": "Ngắn", "scopes": ["articles:read"], "expires_at": soon.to_rfc3339() });
        let short = desk.with_token(&editor.post("/api-keys", short).await.is(201).text("/key"));
        short.get("/articles").await.is(200);
        tokio::time::sleep(Duration::from_millis(1600)).await;
        short.get("/articles").await.refuses(401, "unauthenticated");

        let good = made.text("/key");
        for bad in ["ndk_", "ndk_x", &good[..46], &format!("{good}x"), &good.to_uppercase(), "ndk_\u{2028}"] {
            desk.with_token(bad).get("/articles").await.is(401);
        }
    }

    async fn a_key_opens_nothing_that_people_sign_in_with(desk) {
        let scopes = ["editors:read", "editors:write", "audit:read", "articles:write"];
        let machine = program(&desk, &desk.as_admin(), &scopes).await;
        machine.post("/api-keys", json!({ "name": "Con", "scopes": ["articles:read"] })).await.refuses(403, "forbidden");
        machine.get("/api-keys").await.refuses(403, "forbidden");
        machine.put("/auth/password", json!({ "current_password": "x", "new_password": "y" })).await.refuses(403, "forbidden");
        machine.get("/auth/sessions").await.refuses(403, "forbidden");
        machine.ask("DELETE", "/auth/sessions").await.refuses(403, "forbidden");
        machine.ask("POST", "/auth/logout").await.is(401);
        let found = machine.get("/editors?q=writer@example.vn").await.is(200);
        let path = format!("/editors/{}", found.text("/data/0/id"));
        let version = found.json["data"][0]["version"].as_i64().expect("a version");
        machine.patch(&path, json!({ "password": "bai tho Duong doi thu hai" }), version).await.refuses(403, "forbidden");
        machine.patch(&path, json!({ "name": "Tên khác" }), version).await.is(200);
        let new = json!({ "email": "moi@example.vn", "name": "Mới", "role": "admin", "password": "bai tho Duong doi thu hai" });
        machine.post("/editors", new).await.refuses(403, "forbidden");
    }

    async fn a_key_makes_no_admin_and_becomes_none(desk, SMTP_URL = "smtp://127.0.0.1:1") {
        let machine = program(&desk, &desk.as_admin(), &["editors:read", "editors:write"]).await;
        let of = async |email: &str| {
            let found = machine.get(&format!("/editors?q={email}")).await.is(200);
            (format!("/editors/{}", found.text("/data/0/id")), found.json["data"][0]["version"].as_i64().expect("a version"))
        };
        let (admin, version) = of("admin@example.vn").await;
        machine.patch(&admin, json!({ "name": "Quản trị" }), version).await.refuses(403, "forbidden");
        machine.patch(&admin, json!({ "email": "toi@example.vn" }), version).await.refuses(403, "forbidden");
        machine.patch(&admin, json!({ "role": "writer" }), version).await.refuses(403, "forbidden");
        machine.delete(&admin, version).await.refuses(403, "forbidden");
        let (writer, version) = of("writer@example.vn").await;
        machine.patch(&writer, json!({ "role": "admin" }), version).await.refuses(403, "forbidden");
        machine.patch(&writer, json!({ "email": "toi@example.vn" }), version).await.refuses(403, "forbidden");
        let admin = json!({ "email": "moi@example.vn", "name": "Mới", "role": "admin" });
        machine.post("/editors", admin.clone()).await.refuses(403, "forbidden");
        let invited = desk.as_admin().post("/editors", admin).await.is(201);
        machine.ask("POST", &format!("/editors/{}/invitation", invited.id())).await.refuses(403, "forbidden");
        let new = json!({ "email": "phu@example.vn", "name": "Phụ", "role": "editor" });
        machine.post("/editors", new).await.is(201);
    }

    async fn a_new_key_is_checked(desk) {
        let editor = desk.as_editor();
        for (body, pointer) in [
            (json!({ "scopes": ["articles:read"] }), "/name"),
            (json!({ "name": "", "scopes": ["articles:read"] }), "/name"),
            (json!({ "name": "Máy" }), "/scopes"),
            (json!({ "name": "Máy", "scopes": [] }), "/scopes"),
            (json!({ "name": "Máy", "scopes": ["articles:fly"] }), "/scopes/0"),
            (json!({ "name": "Máy", "scopes": ["articles:read"], "expires_at": "2020-01-01T00:00:00Z" }), "/expires_at"),
            (json!({ "name": "Máy", "scopes": ["articles:read"], "key": "ndk_x" }), "/key"),
        ] {
            editor.post("/api-keys", body).await.points_at(pointer);
        }
        let forward = json!({ "name": "Máy", "scopes": ["delivery:forward"] });
        editor.post("/api-keys", forward).await.refuses(403, "forbidden");
        assert_eq!(editor.get("/api-keys?include_total=true").await.is(200)["page"]["total"], 0);
    }

    async fn admins_see_and_revoke_everybodys_keys(desk) {
        let writers = key(&desk.as_writer(), &["articles:read"]).await;
        key(&desk.as_admin(), &["articles:read"]).await;
        let path = format!("/api-keys/{}", writers.id());
        desk.as_other_writer().get(&path).await.refuses(404, "not_found");
        desk.as_editor().ask("DELETE", &path).await.refuses(404, "not_found");
        assert!(desk.as_other_writer().get("/api-keys").await.is(200).list("/data").is_empty());
        assert_eq!(desk.as_writer().get("/api-keys").await.is(200).list("/data").len(), 1);
        let all = desk.as_admin().get("/api-keys?include_total=true&limit=1").await.is(200);
        assert_eq!((&all["page"]["total"], &all["page"]["has_more"]), (&json!(2), &json!(true)));
        let owner = writers.text("/owner/id");
        let theirs = desk.as_admin().get(&format!("/api-keys?owner={owner}")).await.is(200);
        assert_eq!(theirs.each("id"), [writers.id()]);
        desk.as_admin().ask("DELETE", &path).await.is(204);
        desk.with_token(&writers.text("/key")).get("/articles").await.refuses(401, "unauthenticated");
    }

    async fn the_last_use_is_seen_and_not_written_each_time(desk) {
        let made = key(&desk.as_editor(), &["articles:read"]).await;
        let path = format!("/api-keys/{}", made.id());
        assert!(made["last_used_at"].is_null());
        let program = desk.with_token(&made.text("/key"));
        program.get("/articles").await.is(200);
        let first = desk.as_editor().get(&path).await.text("/last_used_at");
        program.get("/articles").await.is(200);
        assert_eq!(desk.as_editor().get(&path).await.text("/last_used_at"), first);
        desk.database().execute("UPDATE api_keys SET used_ms = used_ms - 61000");
        program.get("/articles").await.is(200);
        assert!(desk.as_editor().get(&path).await.text("/last_used_at") >= first);
    }

    async fn an_idempotency_key_belongs_to_one_api_key(desk) {
        let editor = desk.as_editor();
        let one = program(&desk, &editor, &["articles:write"]).await;
        let two = program(&desk, &editor, &["articles:write"]).await;
        let send = |who: &Person| who.post("/articles", json!({ "title": "Một" })).header("Idempotency-Key", "k");
        let first = send(&one).await.is(201);
        assert_eq!(send(&one).await.is(201).header("idempotency-replayed"), "true");
        for who in [&two, &editor] {
            let other = send(who).await.is(201);
            assert!(other.header("idempotency-replayed").is_empty() && other.id() != first.id());
        }
    }

    async fn a_front_end_fetches_without_limits_and_names_the_reader(desk) {
        let story = desk.story(json!({ "title": "Tin" })).await;
        let forward = key(&desk.as_admin(), &["delivery:forward"]).await.text("/key");
        let bearer = format!("Bearer {forward}");
        let missing = |n: usize| desk.as_reader().get(&format!("/articles/khong-co-{n}"));
        let with_key = all((0..330).map(|n| missing(n).header("Authorization", &bearer))).await;
        assert!(with_key.iter().all(|reply| reply.status == 404), "a front end has no limit");
        let path = format!("/articles/{}/feedback", story.id());
        let send = |reader: &str, key: Option<&str>| {
            let ask = desk.as_reader().post(&path, message("Chào")).header("X-Forwarded-For", reader);
            match key {
                Some(key) => ask.header("Authorization", &format!("Bearer {key}")),
                None => ask,
            }
        };
        for n in 0..7 {
            send(&format!("203.0.113.{n}, 10.0.0.1"), Some(&forward)).await.is(201);
        }
        for _ in 0..5 {
            send("198.51.100.7", Some(&forward)).await.is(201);
        }
        send("198.51.100.7", Some(&forward)).await.refuses(429, "rate_limited");
        // Without the key, or with one that has other scopes, the header is anybody's word.
        let other = key(&desk.as_admin(), &["articles:read"]).await.text("/key");
        for n in 0..5 {
            send(&format!("192.0.2.{n}"), if n % 2 == 0 { Some(&other) } else { None }).await.is(201);
        }
        send("192.0.2.99", Some(&other)).await.refuses(429, "rate_limited");
        // Its owner's demotion ends it.
        set(&desk, "editor@example.vn", json!({ "role": "admin" })).await;
        set(&desk, "admin@example.vn", json!({ "role": "editor" })).await;
        send("203.0.113.200", Some(&forward)).await.refuses(429, "rate_limited");
        let without = all((0..330).map(missing)).await;
        assert!(without.iter().any(|reply| reply.status == 429), "a reader has a limit");
    }

    async fn guessing_keys_is_limited(desk) {
        let guess = |n: usize| desk.with_token(&format!("ndk_{n:043}")).get("/articles");
        let guesses = all((0..330).map(guess)).await;
        assert!(guesses.iter().all(|reply| reply.status == 401 || reply.status == 429));
        assert!(guesses.iter().any(|reply| reply.status == 429));
    }
}
