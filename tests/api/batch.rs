//! Many writes in one request.

use crate::support::{Ask, Desk, Person, Reply, Value, all, json, newsroom_tests};

fn batch(who: &Person, operations: Value) -> Ask {
    who.post("/articles/batch", json!({ "operations": operations }))
}

fn atomic(who: &Person, operations: Value) -> Ask {
    who.post("/articles/batch", json!({ "atomic": true, "operations": operations }))
}

/// Status and code of each result.
fn outcome(reply: &Reply) -> Vec<(i64, &str)> {
    let results = reply.list("/results").iter();
    results
        .map(|one| {
            let problem = &one["problem"];
            let status = one["status"].as_i64().expect("a status");
            assert_eq!(problem.is_null(), status < 300, "{one}");
            assert!(problem.is_null() || problem["status"] == status, "{one}");
            (status, problem["code"].as_str().unwrap_or(""))
        })
        .collect()
}

async fn count(desk: &Desk) -> i64 {
    let list = desk
        .as_editor()
        .get("/articles?include_total=true&limit=1")
        .await
        .is(200);
    list["page"]["total"].as_i64().expect("a total")
}

newsroom_tests! {
    async fn each_operation_has_a_result_of_its_own(desk) {
        let editor = desk.as_editor();
        let [one, two] = [desk.draft("Một").await, desk.draft("Hai").await];
        let trashed = desk.action(&desk.draft("Bỏ").await, "trash").await.is(200);
        let nobody = "01981d44-03c5-7d1c-8a55-2f6de0a8c9b1";
        let reply = batch(&editor, json!([
            { "method": "POST", "body": { "title": "Mới", "body_markdown": "Thân", "note": "Nhập" } },
            { "method": "PATCH", "id": one.id(), "version": 1, "body": { "title": "Một mới" } },
            { "method": "PATCH", "id": two.id(), "version": 9, "body": { "title": "Hai mới" } },
            { "method": "PATCH", "id": two.id(), "body": { "title": "Hai mới" } },
            { "method": "PATCH", "id": nobody, "version": 1, "body": { "title": "" } },
            { "method": "PATCH", "id": two.id(), "version": 9, "body": { "title": "", "word": 1 } },
            { "method": "POST", "body": { "title": "Trùng", "slug": "mot" } },
            { "method": "POST", "body": { "lead": "Không tên" } },
            { "method": "PATCH", "version": 1, "body": {} },
            { "method": "POST", "id": nobody, "body": { "title": "Có số" } },
            { "method": "POST" },
            { "method": "DELETE", "id": trashed.id(), "version": trashed.version() },
            { "method": "DELETE", "id": two.id(), "version": 1, "body": {} },
            { "method": "PATCH", "id": one.id(), "version": 2, "body": { "lead": "Lần nữa" } }
        ])).await.is(200);
        assert_eq!(outcome(&reply), [
            (201, ""), (200, ""), (412, "version_mismatch"), (428, "precondition_required"), (404, "not_found"),
            (422, "validation_failed"), (409, "slug_taken"), (422, "validation_failed"), (422, "validation_failed"),
            (422, "validation_failed"), (422, "validation_failed"), (204, ""), (409, "invalid_transition"), (200, ""),
        ]);
        let result = |index: usize| &reply.json["results"][index];
        assert_eq!((&result(0)["article"]["title"], &result(0)["article"]["status"]), (&json!("Mới"), &json!("draft")));
        assert_eq!(result(2)["problem"]["current_version"], 1);
        assert_eq!(result(2)["problem"]["instance"], format!("/management/v1/articles/{}", two.id()));
        assert_eq!(result(7)["problem"]["errors"][0]["pointer"], "/title");
        assert_eq!(result(8)["problem"]["errors"][0]["pointer"], "/id");
        assert_eq!(result(11)["article"], Value::Null);
        let made = result(0)["article"]["id"].as_str().expect("an id").to_owned();
        let article = editor.get(&format!("/articles/{made}")).await.is(200);
        assert_eq!(article.json, result(0)["article"]);
        assert_eq!(editor.get(&format!("/articles/{made}/revisions")).await["data"][0]["note"], "Nhập");
        let one = desk.current(&one).await;
        assert_eq!((&one["title"], &one["lead"], one.version()), (&json!("Một mới"), &json!("Lần nữa"), 3));
        assert_eq!(desk.current(&two).await.version(), 1, "a refusal leaves nothing behind");
        editor.get(&format!("/articles/{}", trashed.id())).await.refuses(404, "not_found");
    }

    async fn all_or_nothing_is_just_that(desk) {
        let editor = desk.as_editor();
        let draft = desk.draft("Một").await;
        let before = count(&desk).await;
        let failing = json!([
            { "method": "POST", "body": { "title": "Mới", "slug": "moi" } },
            { "method": "PATCH", "id": draft.id(), "version": 1, "body": { "title": "Khác", "slug": "khac" } },
            { "method": "PATCH", "id": draft.id(), "version": 1, "body": { "title": "Cũ" } },
            { "method": "POST", "body": { "title": "Không tới" } }
        ]);
        let reply = atomic(&editor, failing).await.is(200);
        assert_eq!(outcome(&reply), [(424, "batch_undone"), (424, "batch_undone"), (412, "version_mismatch"), (424, "batch_undone")]);
        assert!(reply.list("/results").iter().all(|one| one["article"].is_null()));
        assert_eq!((count(&desk).await, desk.current(&draft).await["title"].clone()), (before, json!("Một")));
        assert_eq!(desk.current(&draft).await.version(), 1);
        let good = json!([
            { "method": "POST", "body": { "title": "Mới", "slug": "moi" } },
            { "method": "PATCH", "id": draft.id(), "version": 1, "body": { "slug": "khac" } }
        ]);
        let reply = atomic(&editor, good).await.is(200);
        assert_eq!(outcome(&reply), [(201, ""), (200, "")], "the slugs of what was undone are free");
        assert_eq!(count(&desk).await, before + 1);
    }

    async fn a_batch_gives_no_rights(desk) {
        let (own, live) = (desk.draft("Của tôi").await, desk.story(json!({ "title": "Của người" })).await);
        let hidden = desk.as_other_writer().post("/articles", json!({ "title": "Kín" })).await.is(201);
        let other = desk.as_other_writer().get("/auth/me").await.id();
        let reply = batch(&desk.as_writer(), json!([
            { "method": "PATCH", "id": own.id(), "version": 1, "body": { "lead": "Mở" } },
            { "method": "PATCH", "id": live.id(), "version": live.version(), "body": { "lead": "Mở", "word": 1 } },
            { "method": "PATCH", "id": hidden.id(), "version": 1, "body": { "lead": "Mở" } },
            { "method": "DELETE", "id": own.id(), "version": 2 },
            { "method": "POST", "body": { "title": "Cho", "owner_id": other } },
            { "method": "PATCH", "id": own.id(), "version": 2, "body": { "owner_id": other } }
        ])).await.is(200);
        assert_eq!(outcome(&reply), [
            (200, ""), (403, "forbidden"), (404, "not_found"), (403, "forbidden"), (403, "forbidden"), (403, "forbidden")
        ]);
        assert!(!reply.body().contains("Kín"));
    }

    async fn a_batch_has_a_shape_and_a_size(desk) {
        let editor = desk.as_editor();
        let post = json!({ "method": "POST", "body": { "title": "Bài" } });
        batch(&editor, json!([])).await.points_at("/operations");
        batch(&editor, Value::Array(vec![post.clone(); 101])).await.points_at("/operations");
        batch(&editor, json!([post, { "method": "PUT" }])).await.points_at("/operations/1/method");
        batch(&editor, json!([{ "method": "PATCH", "id": "x", "body": {} }])).await.points_at("/operations/0/id");
        batch(&editor, json!([{ "method": "PATCH", "version": "1", "body": {} }])).await.points_at("/operations/0/version");
        batch(&editor, json!([{ "method": "POST", "body": {}, "word": 1 }])).await.points_at("/operations/0/word");
        editor.post("/articles/batch", json!({})).await.points_at("/operations");
        assert_eq!(count(&desk).await, 0, "a batch that cannot be read does nothing");
        let many: Vec<Value> = (0..100).map(|n| json!({ "method": "POST", "body": { "title": format!("Bài {n}") } })).collect();
        let start = std::time::Instant::now();
        let reply = batch(&editor, Value::Array(many)).await.is(200);
        println!("a hundred articles: {:?}", start.elapsed());
        assert_eq!((reply.list("/results").len(), count(&desk).await), (100, 100));
        assert!(outcome(&reply).iter().all(|(status, _)| *status == 201));
    }

    async fn a_batch_is_done_once(desk) {
        let editor = desk.as_editor();
        let operations = json!([{ "method": "POST", "body": { "title": "Một lần" } }, { "method": "POST", "body": {} }]);
        let ask = || batch(&editor, operations.clone()).header("Idempotency-Key", "b1");
        let (first, second) = (ask().await.is(200), ask().await.is(200));
        assert_eq!((second.header("idempotency-replayed"), &first.json), ("true".to_owned(), &second.json));
        assert_eq!(count(&desk).await, 1);
    }

    async fn a_hundred_long_stories_are_rewritten_at_once(desk) {
        // What is taken back when a write is refused no longer fits into SQLite's memory for it.
        let editor = desk.as_editor();
        let text = |word: &str| format!("{word} ").repeat(1_400);
        let made = (0..100).map(|n| json!({ "method": "POST", "body": { "title": format!("Bài {n}"), "body_markdown": text("đầu") } }));
        let made = atomic(&editor, made.collect()).await.is(200);
        let rewritten: Value = made.list("/results").iter().map(|one| json!({
            "method": "PATCH", "id": one["article"]["id"], "version": 1, "body": { "body_markdown": text("sau") }
        })).collect();
        let reply = atomic(&editor, rewritten).await.is(200);
        assert!(outcome(&reply).iter().all(|result| *result == (200, "")), "{reply:?}");
    }

    async fn batches_that_cross_each_other_all_end(desk) {
        let editor = desk.as_editor();
        let mut drafts = Vec::new();
        for n in 0..6 {
            drafts.push(desk.draft(&format!("Bài {n}")).await.id());
        }
        let asks = (0..8).map(|turn| {
            let mut ids = drafts.clone();
            if turn % 2 == 1 {
                ids.reverse();
            }
            let patch = |id: &String| json!({ "method": "PATCH", "id": id, "version": 1, "body": { "lead": format!("Lượt {turn}") } });
            atomic(&editor, ids.iter().map(patch).collect())
        });
        let replies = all(asks).await;
        let won: Vec<bool> = replies.iter().map(|reply| reply.status == 200 && reply["results"][0]["status"] == 200).collect();
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
        let list = editor.get("/articles").await.is(200);
        let leads = list.each("lead");
        assert!(leads.iter().all(|lead| *lead == leads[0] && !lead.is_empty()), "one batch wrote all of them: {leads:?}");
    }
}
