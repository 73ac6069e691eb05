//! The audit trail: who did what, kept so that a change of it shows.

use std::time::Duration;

use crate::support::desk::{Ended, Server, newsdesk, run_to_end};
use crate::support::{Desk, Reply, Value, all, json, newsroom_tests};

/// The trail, newest first.
async fn trail(desk: &Desk, filters: &str) -> Reply {
    let path = format!("/audit?limit=100&{filters}");
    desk.as_admin().get(path.trim_end_matches('&')).await.is(200)
}

/// The trail once every line of it is sealed.
async fn sealed(desk: &Desk) -> Vec<Value> {
    for _ in 0..100 {
        let trail = trail(desk, "").await;
        if trail.list("/data").iter().all(|line| line["number"].is_i64()) {
            return trail.list("/data").to_vec();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("lines stay without their seal");
}

fn doctor(desk: &Desk) -> Ended {
    run_to_end(newsdesk(&["doctor"], &desk.settings(), desk.folder()), "")
}

/// The doctor fails and says this.
#[track_caller]
fn finds(desk: &Desk, words: &str) {
    let ended = doctor(desk);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let told = ended
        .out
        .lines()
        .any(|line| line.starts_with("FAIL  audit: ") && line.contains(words));
    assert!(told, "not told: {words}: {ended:?}");
}

newsroom_tests! {
    async fn a_line_says_who_did_what_to_which_when_and_from_where(desk) {
        let tag = desk.as_editor().post("/tags", json!({ "name": "Lũ lụt" })).header("X-Request-Id", "viec-1").await.is(201);
        let line = trail(&desk, "action=tag.create").await.json["data"][0].clone();
        assert_eq!(line["actor"]["type"], "editor");
        assert_eq!(line["actor"]["name"], "Trần Biên Tập");
        assert_eq!(line["actor"]["id"], desk.as_editor().get("/auth/me").await.id());
        assert_eq!(line["target"], json!({ "type": "tag", "id": tag.id() }));
        assert_eq!((&line["request_id"], &line["address"]), (&json!("viec-1"), &json!("127.0.0.1")));
        assert_eq!((&line["at"], &line["changes"]["name"]), (&tag["created_at"], &json!("Lũ lụt")));
        for who in [desk.as_editor(), desk.as_writer()] {
            who.get("/audit").await.refuses(403, "forbidden");
        }
        let system = trail(&desk, "actor_type=system").await;
        assert_eq!(system.list("/data").len(), 4, "the command line made the staff");
        assert!(system["data"][0]["actor"]["id"].is_null() && system["data"][0]["address"].is_null());
    }

    async fn what_programs_do_is_told_as_theirs(desk) {
        let key = json!({ "name": "Máy nhập", "scopes": ["tags:write"] });
        let key = desk.as_editor().post("/api-keys", key).await.is(201);
        desk.with_token(&key.text("/key")).post("/tags", json!({ "name": "Một" })).await.is(201);
        let line = trail(&desk, "action=tag.create").await.json["data"][0].clone();
        assert_eq!(line["actor"], json!({ "type": "api_key", "id": key.id(), "name": "Máy nhập" }));
        let by_key = trail(&desk, &format!("actor={}", key.id())).await;
        assert_eq!(by_key.list("/data").len(), 1);
        desk.as_admin().ask("DELETE", &format!("/api-keys/{}", key.id())).await.is(204);
        let about = trail(&desk, &format!("target={}", key.id())).await;
        let actions: Vec<&Value> = about.list("/data").iter().map(|line| &line["action"]).collect();
        assert_eq!(actions, ["api_key.revoke", "api_key.create"]);
        assert_eq!(about["data"][1]["changes"]["scopes"], json!(["tags:write"]));
        assert!(!about.body().contains(&key.text("/key")));
    }

    async fn changes_of_access_are_told_before_and_after(desk) {
        let found = desk.as_admin().get("/editors?q=writer@example.vn").await.is(200);
        let path = format!("/editors/{}", found.text("/data/0/id"));
        let version = found.json["data"][0]["version"].as_i64().expect("a version");
        let change = json!({ "role": "editor", "disabled": true, "password": "bai tho Duong doi thu hai" });
        desk.as_admin().patch(&path, change, version).await.is(200);
        let trail = trail(&desk, "action=editor.update&target_type=editor").await;
        let changes = &trail["data"][0]["changes"];
        assert_eq!((&changes["before"]["role"], &changes["after"]["role"]), (&json!("writer"), &json!("editor")));
        assert_eq!((&changes["before"]["disabled"], &changes["after"]["disabled"]), (&json!(false), &json!(true)));
        assert_eq!(changes["password_set"], true);
        assert!(!trail.body().contains("bai tho") && !trail.body().contains("argon2"));
    }

    async fn the_trail_is_filtered_and_paged(desk) {
        for n in 0..5 {
            desk.as_editor().post("/tags", json!({ "name": format!("Thẻ {n}") })).await.is(201);
        }
        let page = desk.as_admin().get("/audit?action=tag.create&limit=2&include_total=true").await.is(200);
        assert_eq!((page.list("/data").len(), &page["page"]["total"]), (2, &json!(5)));
        let next = page.text("/page/next_cursor");
        let second = desk.as_admin().get(&format!("/audit?action=tag.create&limit=2&cursor={next}")).await.is(200);
        assert_eq!(second["data"][0]["changes"]["name"], "Thẻ 2");
        desk.as_admin().get(&format!("/audit?action=tag.update&cursor={next}")).await.refuses(400, "invalid_cursor");
        let oldest = trail(&desk, "action=tag.create,tag.delete&sort=at").await;
        assert_eq!(oldest["data"][0]["changes"]["name"], "Thẻ 0");
        let at = oldest.text("/data/2/at");
        let after = trail(&desk, &format!("action=tag.create&at_after={at}")).await;
        assert!(after.list("/data").len() <= 2, "{}", after.body());
        let before = trail(&desk, &format!("action=tag.create&at_before={at}")).await;
        assert!(before.list("/data").len() <= 2 && !before.list("/data").is_empty(), "{}", before.body());
        assert!(trail(&desk, "action=never.done").await.list("/data").is_empty());
        assert!(trail(&desk, "actor=01890a5d-ac96-774b-bcce-b302099a8057").await.list("/data").is_empty());
        for wrong in ["actor=x", "action=A%20B", "target=1", "actor_type=king", "at_after=yesterday", "sort=name"] {
            desk.as_admin().get(&format!("/audit?{wrong}")).await.refuses(400, "invalid_parameter");
        }
        desk.as_admin().get("/audit?who=me").await.refuses(400, "unknown_parameter");
    }

    async fn nothing_of_readers_is_in_the_trail(desk) {
        let story = desk.story(json!({ "title": "Tin" })).await;
        desk.message(&story, "Chuyện riêng").await;
        let list = desk.as_editor().get("/feedback").await.is(200);
        let path = format!("/feedback/{}", list.text("/data/0/id"));
        let version = list.json["data"][0]["version"].as_i64().expect("a version");
        desk.as_editor().post(&format!("{path}/reply"), json!({ "message": "Cảm ơn ông An" })).version(version).await.is(200);
        desk.as_admin().post("/feedback/privacy/export", json!({ "email": "an@example.vn" })).await.is(200);
        desk.as_admin().post("/feedback/privacy/erase", json!({ "email": "an@example.vn" })).await.is(200);
        let trail = trail(&desk, "").await.body();
        assert!(trail.contains("feedback"));
        for private in ["an@example.vn", "Nguyễn Văn An", "912 345", "Chuyện riêng", "Cảm ơn ông An"] {
            assert!(!trail.contains(private), "the trail holds {private}");
        }
    }

    async fn lines_are_sealed_within_a_second_and_hang_together(desk) {
        all((0..30).map(|n| desk.as_editor().post("/tags", json!({ "name": format!("Thẻ {n}") })))).await;
        let lines = sealed(&desk).await;
        let mut numbers: Vec<i64> = lines.iter().map(|line| line["number"].as_i64().expect("a number")).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=lines.len() as i64).collect::<Vec<_>>());
        assert!(lines.iter().all(|line| line["hash"].as_str().is_some_and(|hash| hash.len() == 64)));
        let well = doctor(&desk);
        assert_eq!(well.code, Some(0), "{well:?}");
        assert!(well.out.contains(&format!("ok    audit: {} lines hang together", lines.len())), "{well:?}");
    }

    async fn several_instances_make_one_chain(desk) {
        let second = Server::start(&desk.settings(), desk.folder());
        let third = Server::start(&desk.settings(), desk.folder());
        all((0..150).map(|n| desk.as_editor().post("/tags", json!({ "name": format!("Thẻ {n}") })))).await;
        sealed(&desk).await;
        let well = doctor(&desk);
        assert_eq!(well.code, Some(0), "{well:?}");
        drop((second, third));
    }

    async fn the_doctor_names_a_line_that_was_changed(desk) {
        desk.as_editor().post("/tags", json!({ "name": "Thật" })).await.is(201);
        sealed(&desk).await;
        let line = trail(&desk, "action=tag.create").await.json["data"][0].clone();
        let (id, number) = (line["id"].as_str().expect("an id"), &line["number"]);
        for change in ["data = '{\"name\":\"Giả\"}'", "actor_name = 'Ai đó'", "at_ms = at_ms - 1", "address = ''", "actor_id = NULL"] {
            let keep = format!("CREATE TABLE kept AS SELECT * FROM audit WHERE id = '{id}'");
            desk.database().execute(&format!("{keep}; UPDATE audit SET {change} WHERE id = '{id}'"));
            finds(&desk, &format!("line {number} was changed"));
            finds(&desk, id);
            let column = change.split(' ').next().expect("a column");
            desk.database().execute(&format!("UPDATE audit SET {column} = (SELECT {column} FROM kept) WHERE id = '{id}'; DROP TABLE kept"));
            assert_eq!(doctor(&desk).code, Some(0), "put back");
        }
        // Whoever makes the hash fit as well leaves the next line hanging.
        let first = "(SELECT id FROM audit WHERE chain_no = 2)";
        desk.database().execute(&format!("UPDATE audit SET hash = '00' WHERE id = {first}"));
        finds(&desk, "line 2 was changed");
        finds(&desk, "line 3 was changed");
    }

    async fn the_doctor_names_lines_that_are_missing(desk) {
        for n in 0..3 {
            desk.as_editor().post("/tags", json!({ "name": format!("Thẻ {n}") })).await.is(201);
        }
        let last = sealed(&desk).await.len();
        assert!(desk.terminate().success());
        desk.database().execute("DELETE FROM audit WHERE chain_no IN (3, 4)");
        finds(&desk, "lines 3 to 4 are missing");
        desk.database().execute(&format!("DELETE FROM audit WHERE chain_no = {last}"));
        finds(&desk, &format!("line {last} is missing"));
        desk.start();
        desk.as_editor().post("/tags", json!({ "name": "Sau" })).await.is(201);
        sealed(&desk).await;
        finds(&desk, &format!("line {last} is missing"));
    }

    async fn what_retention_removes_leaves_an_anchor(desk) {
        desk.as_editor().post("/tags", json!({ "name": "Xưa" })).await.is(201);
        let before = sealed(&desk).await.len();
        assert!(desk.terminate().success());
        desk.database().execute(
            "UPDATE audit SET at_ms = 1000, chain_no = NULL, hash = NULL; UPDATE counters SET n = 0 WHERE name = 'audit_chain'"
        );
        desk.start();
        // Retention runs at the start, too, and may take what has been sealed by then.
        for _ in 0..100 {
            if desk.database().count("audit WHERE chain_no IS NULL") == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(desk.terminate().success());
        desk.start();
        desk.as_editor().post("/tags", json!({ "name": "Nay" })).await.is(201);
        for _ in 0..100 {
            if trail(&desk, "at_before=2000-01-01T00:00:00Z").await.list("/data").is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let left = sealed(&desk).await;
        assert!(left.iter().all(|line| line["number"].as_u64() > Some(before as u64)), "{left:?}");
        let well = doctor(&desk);
        assert_eq!(well.code, Some(0), "{well:?}");
        desk.database().execute("UPDATE audit_anchors SET hash = '00'");
        finds(&desk, &format!("line {} was changed", before + 1));
    }
}
