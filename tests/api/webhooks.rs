//! Webhooks: what receivers get, what becomes of it when they fail, and where nothing is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::support::desk::Server;
use crate::support::receiver::{Answer, Receiver};
use crate::support::smtp::MailServer;
use crate::support::{Desk, Reply, Value, all, json, newsroom_tests, run};

/// A webhook of the admin's to a receiver, of all events unless something is said.
async fn webhook(desk: &Desk, receiver: &Receiver, more: Value) -> Reply {
    let mut new = json!({ "url": receiver.url() });
    for (name, value) in more.as_object().expect("an object") {
        new[name] = value.clone();
    }
    desk.as_admin().post("/webhooks", new).await.is(201)
}

async fn now(desk: &Desk, hook: &Reply) -> Reply {
    desk.as_admin().get(&format!("/webhooks/{}", hook.id())).await.is(200)
}

/// Waits until the webhook's deliveries are as a test wants them.
async fn deliveries(desk: &Desk, hook: &Reply, good: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let path = format!("/webhooks/{}/deliveries?limit=100", hook.id());
    let start = std::time::Instant::now();
    loop {
        let page = desk.as_admin().get(&path).await.is(200);
        if good(page.list("/data")) {
            return page.list("/data").to_vec();
        }
        assert!(start.elapsed() < Duration::from_secs(45), "{}", page.body());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn states(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["state"].as_str().expect("a state")).collect()
}

async fn change_feed(desk: &Desk) -> Vec<Value> {
    let page = desk.as_reader().get("/changes?limit=100").await.is(200);
    page.list("/data").to_vec()
}

async fn publish_again(desk: &Desk, story: &Reply, times: usize) {
    for _ in 0..times {
        desk.publish(&desk.current(story).await).await;
    }
}

newsroom_tests! {
    async fn a_receiver_is_told_what_readers_see_signed_and_without_words(desk, WEBHOOK_ALLOW_PRIVATE = "127.0.0.1") {
        let receiver = Receiver::start();
        let before = desk.story(json!({ "title": "Trước" })).await;
        let hook = webhook(&desk, &receiver, json!({ "name": "Trang tĩnh" })).await;
        let secret = hook.text("/secret");
        assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
        let draft = desk.as_editor().post("/articles", json!({ "title": "Lũ rút", "lead": "Kín" })).await.is(201);
        let story = desk.publish(&draft).await;
        desk.as_editor().patch(&format!("/articles/{}", story.id()), json!({ "lead": "Nháp" }), story.version()).await.is(200);
        desk.action(&desk.current(&story).await, "unpublish").await.is(200);
        receiver.got(2).await;
        let mut seen = receiver.settled().await;
        assert_eq!(seen.len(), 2, "each once, and nothing of drafts or of before: {seen:#?}");
        seen.sort_by_key(|hook| hook.json()["data"]["seq"].as_i64());
        assert_eq!([seen[0].kind(), seen[1].kind()], ["article.published", "article.unpublished"]);
        let feed = change_feed(&desk).await;
        for hook in &seen {
            assert!(hook.is_signed_with(&secret) && hook.signatures().len() == 1);
            assert!(hook.headers["user-agent"].starts_with("newsdesk/"));
            assert_eq!(hook.headers["content-type"], "application/json");
            assert!(!hook.id().contains('.') && !hook.id().is_empty());
            let body = hook.json();
            let keys: Vec<_> = body.as_object().expect("an object").keys().collect();
            assert_eq!(keys, ["type", "timestamp", "data"]);
            let mut data = body["data"].clone();
            let address = data.as_object_mut().expect("an object").remove("delivery_url").expect("an address");
            assert_eq!(address, format!("{}/delivery/v1/articles/{}", desk.address(), story.id()));
            assert!(feed.contains(&data), "the change feed has {data}");
            assert_eq!((&body["type"], &body["timestamp"]), (&data["type"], &data["at"]));
            let words = ["Lũ", "lu-rut", "Kín", "Nháp", "Trang"];
            assert!(words.iter().all(|word| !hook.body.contains(word)), "{}", hook.body);
        }
        assert_ne!(before.id(), story.id());
        let rows = deliveries(&desk, &hook, |rows| states(rows) == ["delivered"; 2]).await;
        for row in &rows {
            let attempt = &row["attempts"][0];
            assert_eq!((&attempt["number"], &attempt["status"], &attempt["error"]), (&json!(1), &json!(204), &Value::Null));
            assert!(attempt["duration_ms"].as_i64().is_some_and(|ms| ms < 15_000) && row["next_attempt_at"].is_null());
            let path = format!("/webhooks/{}/deliveries/{}", hook.id(), row["id"].as_str().expect("an id"));
            assert_eq!(desk.as_admin().get(&path).await.is(200).json, *row);
            assert!(seen.iter().any(|hook| row["payload"] == hook.body && row["event_id"] == hook.id()));
        }
        for answer in [now(&desk, &hook).await, desk.as_admin().get("/webhooks").await] {
            assert!(!answer.body().contains("whsec_"), "{}", answer.body());
        }
        let log = desk.log();
        assert!(!log.contains(&secret[6..]) && !log.contains("/hook"), "{log}");
    }

    async fn what_fails_is_tried_again_with_the_same_id_until_it_is_taken(desk, WEBHOOK_ALLOW_PRIVATE = "127.0.0.1", WEBHOOK_RETRY_SECONDS = "1,1,1,1") {
        let (receiver, elsewhere) = (Receiver::start(), Receiver::start());
        let away = format!("Location: {}", elsewhere.url());
        let words = format!("khong\u{0}duoc {}", "x".repeat(100_000));
        receiver.answers([
            Answer::With(500, "X-A: b".into(), words), Answer::HangUp, Answer::With(307, away, String::new()),
        ]);
        let hook = webhook(&desk, &receiver, json!({})).await;
        desk.story(json!({ "title": "Tin" })).await;
        let seen = receiver.got(4).await;
        let rows = deliveries(&desk, &hook, |rows| states(rows) == ["delivered"]).await;
        let ids: BTreeSet<_> = seen.iter().map(|hook| (hook.id(), hook.body.clone())).collect();
        assert_eq!((ids.len(), elsewhere.connections()), (1, 0), "redirects are not followed");
        assert!(seen.windows(2).all(|pair| pair[1].at - pair[0].at >= Duration::from_millis(950)));
        assert!(seen.iter().all(|hook_seen| hook_seen.is_signed_with(&hook.text("/secret"))));
        let attempts = rows[0]["attempts"].as_array().expect("a list");
        let told: Vec<_> = attempts.iter().map(|attempt| (attempt["status"].clone(), attempt["error"].clone())).collect();
        let (none, hung_up) = (Value::Null, json!("hung_up"));
        assert_eq!(told, [(json!(500), none.clone()), (none.clone(), hung_up), (json!(307), none.clone()), (json!(204), none)]);
        let response = attempts[0]["response"].as_str().expect("a piece of the answer");
        assert!(response.starts_with("khong duoc xxx") && response.len() == 1024, "{response}");
        assert!(now(&desk, &hook).await["failing_since"].is_null());
    }

    async fn a_receiver_may_ask_for_more_time(desk, WEBHOOK_ALLOW_PRIVATE = "127.0.0.1", WEBHOOK_RETRY_SECONDS = "1") {
        let receiver = Receiver::start();
        receiver.answers([Answer::With(503, "Retry-After: 4".into(), String::new())]);
        webhook(&desk, &receiver, json!({})).await;
        desk.story(json!({ "title": "Tin" })).await;
        let seen = receiver.got(2).await;
        let waited = seen[1].at - seen[0].at;
        assert!((Duration::from_millis(3900)..Duration::from_secs(12)).contains(&waited), "{waited:?}");
    }

    async fn what_was_given_up_is_shown_and_sent_again_on_demand(desk, WEBHOOK_ALLOW_PRIVATE = "127.0.0.1", WEBHOOK_RETRY_SECONDS = "1") {
        let receiver = Receiver::start();
        receiver.always(Answer::Status(500));
        let hook = webhook(&desk, &receiver, json!({})).await;
        desk.story(json!({ "title": "Tin" })).await;
        let rows = deliveries(&desk, &hook, |rows| states(rows) == ["failed"]).await;
        assert_eq!(rows[0]["attempts"].as_array().map(Vec::len), Some(2));
        assert!(!now(&desk, &hook).await["failing_since"].is_null());
        receiver.always(Answer::Status(200));
        let path = format!("/webhooks/{}/deliveries/{}/replay", hook.id(), rows[0]["id"].as_str().expect("an id"));
        let admin = desk.as_admin();
        let ask = || admin.ask("POST", &path).header("Idempotency-Key", "again");
        assert_eq!(ask().await.is(202)["state"], "pending");
        assert_eq!(ask().await.is(202).header("idempotency-replayed"), "true");
        deliveries(&desk, &hook, |rows| states(rows) == ["delivered"]).await;
        let seen = receiver.settled().await;
        assert_eq!(seen.len(), 3, "the key did its work once");
        assert!(seen.iter().all(|again| again.id() == seen[0].id() && again.body == seen[0].body));
        assert!(now(&desk, &hook).await["failing_since"].is_null());
    }

    async fn a_receiver_that_is_gone_is_not_called_any_more(desk, WEBHOOK_ALLOW_PRIVATE = "127.0.0.1", WEBHOOK_RETRY_SECONDS = "60") {
        let (receiver, admin) = (Receiver::start(), desk.as_admin());
        receiver.answers([Answer::Status(500), Answer::Status(410)]);
        let hook = webhook(&desk, &receiver, json!({})).await;
        let story = desk.story(json!({ "title": "Một" })).await;
        receiver.got(1).await;
        publish_again(&desk, &story, 1).await;
        let rows = deliveries(&desk, &hook, |rows| !states(rows).contains(&"pending")).await;
        assert_eq!(states(&rows), ["failed", "canceled"]);
        let off = now(&desk, &hook).await;
        assert_eq!((&off["disabled"], &off["disabled_reason"]), (&json!(true), &json!("gone")));
        publish_again(&desk, &story, 1).await;
        let (path, row) = (format!("/webhooks/{}", hook.id()), rows[0]["id"].as_str().expect("an id"));
        admin.post(&format!("{path}/replay"), json!({ "since": "2020-01-01T00:00:00Z" })).await.refuses(409, "webhook_disabled");
        admin.ask("POST", &format!("{path}/deliveries/{row}/replay")).await.refuses(409, "webhook_disabled");
        assert_eq!(admin.ask("POST", &format!("{path}/test")).await.is(200)["state"], "delivered");
        assert_eq!(receiver.settled().await.len(), 3, "nothing but the test");
        admin.patch(&path, json!({ "disabled": false }), hook.version()).await.refuses(412, "version_mismatch");
        let on = admin.patch(&path, json!({ "disabled": false }), off.version()).await.is(200);
        assert_eq!((&on["disabled_reason"], &on["failing_since"]), (&Value::Null, &Value::Null));
        publish_again(&desk, &story, 1).await;
        receiver.got(4).await;
        assert_eq!(receiver.settled().await.len(), 4, "what happened meanwhile is not sent by itself");
        admin.post(&format!("{path}/replay"), json!({ "since": "2020-01-01T00:00:00Z" })).await.is(202);
        let all = change_feed(&desk).await.len();
        receiver.got(4 + all).await;
        let seen = receiver.settled().await;
        assert_eq!(seen.len(), 4 + all, "everything since then, once");
        let again: BTreeSet<String> = seen[4..].iter().map(|hook| hook.id()).collect();
        assert_eq!(again.len(), all);
        assert!([&seen[0], &seen[1], &seen[3]].iter().all(|early| again.contains(&early.id())), "under the ids of before");
        assert_eq!(now(&desk, &hook).await["replaying"], false);
    }

    async fn a_receiver_that_fails_for_five_days_is_not_called_any_more(desk, WEBHOOK_ALLOW_PRIVATE = "127.0.0.1", WEBHOOK_RETRY_SECONDS = "1,60") {
        let receiver = Receiver::start();
        receiver.always(Answer::Status(500));
        let hook = webhook(&desk, &receiver, json!({})).await;
        desk.story(json!({ "title": "Tin" })).await;
        receiver.got(2).await;
        deliveries(&desk, &hook, |rows| rows[0]["attempts"].as_array().is_some_and(|list| list.len() == 2)).await;
        assert_eq!(now(&desk, &hook).await["disabled"], false);
        desk.database().execute("UPDATE webhooks SET failing_ms = failing_ms - 432000000; UPDATE webhook_deliveries SET due_ms = 0");
        deliveries(&desk, &hook, |rows| states(rows) == ["canceled"] || states(rows) == ["failed"]).await;
        assert_eq!(now(&desk, &hook).await["disabled_reason"], "failing");
    }

    async fn two_secrets_sign_while_one_follows_the_other(desk, WEBHOOK_ALLOW_PRIVATE = "127.0.0.1") {
        let (receiver, admin) = (Receiver::start(), desk.as_admin());
        let hook = webhook(&desk, &receiver, json!({})).await;
        let (path, old) = (format!("/webhooks/{}", hook.id()), hook.text("/secret"));
        let test = || async { admin.ask("POST", &format!("{path}/test")).await.is(200) };
        assert!(hook["previous_secret_expires_at"].is_null());
        let rotated = admin.post(&format!("{path}/rotate-secret"), json!({ "overlap_seconds": 3 })).await.is(200);
        let new = rotated.text("/secret");
        assert!(new != old && !rotated["previous_secret_expires_at"].is_null() && rotated.version() == 2);
        test().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        test().await;
        admin.ask("POST", &format!("{path}/rotate-secret")).version(1).await.refuses(412, "version_mismatch");
        let newest = admin.ask("POST", &format!("{path}/rotate-secret")).version(2).await.is(200).text("/secret");
        test().await;
        let end = admin.post(&format!("{path}/rotate-secret"), json!({ "overlap_seconds": 0 })).await.is(200);
        assert!(end["previous_secret_expires_at"].is_null());
        test().await;
        let seen = receiver.got(4).await;
        let signed = |n: usize| [&old, &new, &newest, &end.text("/secret")].map(|secret| seen[n].is_signed_with(secret));
        assert_eq!(signed(0), [true, true, false, false]);
        assert_eq!(signed(1), [false, true, false, false]);
        assert_eq!(signed(2), [false, true, true, false]);
        assert_eq!(signed(3), [false, false, false, true]);
        assert_eq!(seen.iter().map(|hook| hook.signatures().len()).collect::<Vec<_>>(), [2, 1, 2, 1]);
        admin.post(&format!("{path}/rotate-secret"), json!({ "overlap_seconds": -1 })).await.points_at("/overlap_seconds");
        let audited = |what: &str| desk.database().count(&format!("audit WHERE target_type = 'webhook' AND {what}"));
        assert_eq!([audited("action = 'webhook.create'"), audited("action = 'webhook.rotate_secret'"), audited("action = 'webhook.test'")], [1, 3, 4]);
        assert_eq!([audited("data LIKE '%whsec%'"), audited("data LIKE '%/hook%'")], [0, 0], "neither secrets nor whole addresses");
    }

    async fn a_test_tells_what_came_of_it(desk, WEBHOOK_ALLOW_PRIVATE = "127.0.0.1") {
        let (receiver, admin) = (Receiver::start(), desk.as_admin());
        receiver.answers([Answer::With(201, "X-A: b".into(), "nhận rồi".into()), Answer::Status(400), Answer::HangUp]);
        let hook = webhook(&desk, &receiver, json!({ "events": ["site.updated"] })).await;
        let path = format!("/webhooks/{}/test", hook.id());
        let good = admin.ask("POST", &path).header("Idempotency-Key", "one").await.is(200);
        assert_eq!((&good["state"], &good["type"]), (&json!("delivered"), &json!("webhook.test")));
        assert_eq!((&good["attempts"][0]["status"], &good["attempts"][0]["response"]), (&json!(201), &json!("nhận rồi")));
        assert_eq!(receiver.seen()[0].json()["data"], json!({ "webhook_id": hook.id() }));
        let again = admin.ask("POST", &path).header("Idempotency-Key", "one").await.is(200);
        assert_eq!((again.json, receiver.seen().len()), (good.json, 1));
        let bad = admin.ask("POST", &path).await.is(200);
        assert_eq!((&bad["state"], &bad["attempts"][0]["status"]), (&json!("failed"), &json!(400)));
        let hung_up = admin.post(&path, json!({})).await.is(200);
        assert_eq!((&hung_up["state"], &hung_up["attempts"][0]["error"]), (&json!("failed"), &json!("hung_up")));
        assert_eq!(receiver.settled().await.len(), 3, "a test is not tried again");
        let nobody = admin.patch(&format!("/webhooks/{}", hook.id()), json!({ "url": "http://127.0.0.1:1/" }), 1).await.is(200);
        let closed = admin.ask("POST", &format!("/webhooks/{}/test", nobody.id())).await.is(200);
        assert_eq!(closed["attempts"][0]["error"], "not_connected", "{}", closed.body());
        let secure = json!({ "url": receiver.url().replace("http:", "https:") });
        admin.patch(&format!("/webhooks/{}", hook.id()), secure, 2).await.is(200);
        let plain = admin.ask("POST", &path).await.is(200);
        assert_eq!(plain["attempts"][0]["error"], "not_connected", "no TLS there: {}", plain.body());
    }

    async fn nothing_is_sent_into_our_own_networks(desk) {
        let (receiver, admin) = (Receiver::start(), desk.as_admin());
        let port = receiver.port();
        let spellings = [
            "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "localhost", "[::1]",
            "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "169.254.169.254", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]",
        ];
        for host in spellings {
            let hook = admin.post("/webhooks", json!({ "url": format!("http://{host}:{port}/") })).await.is(201);
            let told = admin.ask("POST", &format!("/webhooks/{}/test", hook.id())).await.is(200);
            let attempt = &told["attempts"][0];
            assert_eq!((&attempt["error"], &attempt["status"]), (&json!("blocked_address"), &Value::Null), "{host}: {}", told.body());
            assert!(!told.body().contains("127.0.0.1") && !told.body().contains("::1"), "{}", told.body());
        }
        assert_eq!(receiver.connections(), 0);
    }

    async fn a_named_host_is_let_in_and_its_neighbours_are_not(desk, WEBHOOK_ALLOW_PRIVATE = "localhost") {
        let (receiver, admin) = (Receiver::start(), desk.as_admin());
        for (host, state) in [("localhost", "delivered"), ("127.0.0.1", "failed")] {
            let url = format!("http://{host}:{}/", receiver.port());
            let hook = admin.post("/webhooks", json!({ "url": url })).await.is(201);
            let told = admin.ask("POST", &format!("/webhooks/{}/test", hook.id())).await.is(200);
            assert_eq!(told["state"], state, "{}", told.body());
        }
        assert_eq!(receiver.seen().len(), 1);
    }

    async fn a_bad_receiver_delays_no_other(desk, WEBHOOK_ALLOW_PRIVATE = "127.0.0.1", RATE_LIMITS = "off") {
        let (bad, good) = (Receiver::start(), Receiver::start());
        bad.always(Answer::Hang(Duration::from_secs(60)));
        for _ in 0..3 {
            webhook(&desk, &bad, json!({})).await;
        }
        webhook(&desk, &good, json!({})).await;
        let start = std::time::Instant::now();
        let editor = desk.as_editor();
        let drafts = all((0..30).map(|n| editor.post("/articles", json!({ "title": format!("Tin {n}") })))).await;
        all(drafts.iter().map(|draft| editor.act(&format!("/articles/{}/publish", draft.id()), 1))).await;
        good.got(30).await;
        assert!(start.elapsed() < Duration::from_secs(14), "{:?}", start.elapsed());
        assert_eq!(bad.seen().len(), 12, "four at once of each");
    }

    async fn filters_choose_what_is_sent(desk, WEBHOOK_ALLOW_PRIVATE = "127.0.0.1") {
        let (here, there) = (desk.named("sections", "Thời sự").await, desk.named("sections", "Thể thao").await);
        let receivers: Vec<Receiver> = (0..3).map(|_| Receiver::start()).collect();
        webhook(&desk, &receivers[0], json!({ "events": ["article.unpublished", "section.updated"] })).await;
        webhook(&desk, &receivers[1], json!({ "languages": ["en"], "events": ["article.published"] })).await;
        webhook(&desk, &receivers[2], json!({ "section_ids": [here.id()], "events": ["article.published", "article.updated"] })).await;
        let story = desk.story(json!({ "title": "Một", "section_id": here.id() })).await;
        desk.story(json!({ "title": "Two", "section_id": there.id(), "language": "en" })).await;
        let path = format!("/articles/{}", story.id());
        let moved = desk.as_editor().patch(&path, json!({ "section_id": there.id() }), story.version()).await.is(200);
        let moved = desk.publish(&moved).await;
        publish_again(&desk, &moved, 1).await;
        desk.as_editor().patch(&format!("/sections/{}", there.id()), json!({ "name": "Khác" }), 1).await.is(200);
        desk.action(&desk.current(&story).await, "unpublish").await.is(200);
        receivers[0].got(2).await;
        let mut told = Vec::new();
        for receiver in &receivers {
            let mut kinds: Vec<String> = receiver.settled().await.iter().map(|hook| hook.kind()).collect();
            kinds.sort();
            told.push(kinds);
        }
        assert_eq!(told[0], ["article.unpublished", "section.updated"]);
        assert_eq!(told[1], ["article.published"]);
        assert_eq!(told[2], ["article.published", "article.updated"], "also when it leaves the section, and not after");
    }

    async fn a_power_cut_loses_nothing(desk, WEBHOOK_ALLOW_PRIVATE = "127.0.0.1", WEBHOOK_RETRY_SECONDS = "1,1,1,1,1,1", RATE_LIMITS = "off") {
        let receiver = Receiver::start();
        receiver.answers((0..6).map(|n| if n % 2 == 0 { Answer::Hang(Duration::from_secs(2)) } else { Answer::HangUp }));
        let hook = webhook(&desk, &receiver, json!({})).await;
        for n in 0..4 {
            for m in 0..3 {
                desk.story(json!({ "title": format!("Tin {n} {m}") })).await;
            }
            if n == 2 {
                receiver.got(1).await;
            }
            desk.kill();
            // The leases of what was in the air would run out by themselves.
            desk.database().execute("UPDATE webhook_deliveries SET lease_ms = 0");
            desk.start();
        }
        let rows = deliveries(&desk, &hook, |rows| rows.len() >= 12 && states(rows).iter().all(|state| *state == "delivered")).await;
        let mut told: BTreeMap<i64, (BTreeSet<String>, bool)> = BTreeMap::new();
        for hook in receiver.seen() {
            let seq = hook.json()["data"]["seq"].as_i64().expect("a number");
            let (ids, taken) = told.entry(seq).or_default();
            ids.insert(hook.id());
            *taken |= hook.taken;
        }
        assert!(told.values().all(|(ids, taken)| ids.len() == 1 && *taken), "each taken, under one id: {told:#?}");
        let published: Vec<i64> = change_feed(&desk)
            .await
            .iter()
            .filter(|row| row["type"] == "article.published")
            .filter_map(|row| row["seq"].as_i64())
            .collect();
        assert_eq!((published.len(), rows.len()), (12, told.len()));
        assert!(published.iter().all(|seq| told.contains_key(seq)), "{published:?} {told:#?}");
    }

    async fn a_clock_that_was_ahead_holds_nothing_back(desk, WEBHOOK_ALLOW_PRIVATE = "127.0.0.1", WEBHOOK_RETRY_SECONDS = "3600") {
        let receiver = Receiver::start();
        receiver.answers([Answer::Status(500)]);
        let hook = webhook(&desk, &receiver, json!({})).await;
        desk.story(json!({ "title": "Tin" })).await;
        deliveries(&desk, &hook, |rows| rows.len() == 1 && rows[0]["attempts"].as_array().is_some_and(|list| list.len() == 1)).await;
        assert_eq!(receiver.settled().await.len(), 1, "an hour to wait");
        desk.database().execute("UPDATE webhook_deliveries SET due_ms = due_ms + 31536000000, lease_ms = due_ms + 31536000000");
        receiver.got(2).await;
        deliveries(&desk, &hook, |rows| states(rows) == ["delivered"]).await;
    }

    async fn two_instances_send_each_event_once(desk, WEBHOOK_ALLOW_PRIVATE = "127.0.0.1", RATE_LIMITS = "off") {
        let receiver = Receiver::start();
        let hook = webhook(&desk, &receiver, json!({ "events": ["article.published"] })).await;
        let second = Server::start(&desk.settings(), desk.folder());
        let editor = desk.as_editor();
        let drafts = all((0..24).map(|n| editor.post("/articles", json!({ "title": format!("Tin {n}") })))).await;
        all(drafts.iter().map(|draft| editor.act(&format!("/articles/{}/publish", draft.id()), 1))).await;
        receiver.got(24).await;
        let seen = receiver.settled().await;
        let ids: BTreeSet<String> = seen.iter().map(|hook| hook.id()).collect();
        assert_eq!((seen.len(), ids.len()), (24, 24));
        deliveries(&desk, &hook, |rows| states(rows) == ["delivered"; 24]).await;
        drop(second);
    }

    async fn deleting_and_disabling_end_what_waits(desk, WEBHOOK_ALLOW_PRIVATE = "127.0.0.1", WEBHOOK_RETRY_SECONDS = "1,1,1,1,1,1") {
        let (receiver, admin) = (Receiver::start(), desk.as_admin());
        receiver.always(Answer::Status(500));
        let [one, two] = [webhook(&desk, &receiver, json!({})).await, webhook(&desk, &receiver, json!({})).await];
        let [first, second] = [format!("/webhooks/{}", one.id()), format!("/webhooks/{}", two.id())];
        desk.story(json!({ "title": "Tin" })).await;
        receiver.got(2).await;
        admin.ask("DELETE", &first).await.refuses(428, "precondition_required");
        admin.delete(&first, 1).await.is(204);
        let off = admin.patch(&second, json!({ "disabled": true }), 1).await.is(200);
        assert_eq!((&off["disabled_reason"], off.version()), (&json!("by_hand"), 2));
        let count = receiver.settled().await.len();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(receiver.seen().len(), count);
        for path in [first.clone(), format!("{first}/deliveries"), format!("{first}/test")] {
            let method = if path.ends_with("test") { "POST" } else { "GET" };
            admin.ask(method, &path).await.refuses(404, "not_found");
        }
        deliveries(&desk, &two, |rows| states(rows) == ["canceled"]).await;
    }

    async fn input_is_checked_and_lists_are_paged(desk, WEBHOOK_RETRY_SECONDS = "60") {
        let admin = desk.as_admin();
        let bad = [
            (json!({}), "/url"),
            (json!({ "url": "ftp://example.vn/" }), "/url"),
            (json!({ "url": "/hook" }), "/url"),
            (json!({ "url": "https://u:p@example.vn/" }), "/url"),
            (json!({ "url": "https://example.vn/#x" }), "/url"),
            (json!({ "url": "https://example.vn/", "events": ["article.deleted"] }), "/events/0"),
            (json!({ "url": "https://example.vn/", "events": ["webhook.test"] }), "/events/0"),
            (json!({ "url": "https://example.vn/", "events": "article.published" }), "/events"),
            (json!({ "url": "https://example.vn/", "languages": ["VI"] }), "/languages/0"),
            (json!({ "url": "https://example.vn/", "section_ids": ["01981d3e-5c1a-7c60-8f0e-0d7c3f0f7a11"] }), "/section_ids/0"),
            (json!({ "url": "https://example.vn/", "secret": "whsec_x" }), "/secret"),
            (json!({ "url": "https://example.vn/", "name": "a\u{7}" }), "/name"),
        ];
        for (input, pointer) in bad {
            admin.post("/webhooks", input).await.points_at(pointer);
        }
        let hooks = all((0..5).map(|n| admin.post("/webhooks", json!({ "url": format!("http://10.0.0.1/{n}"), "name": "Mạng trong" })))).await;
        let first = admin.get("/webhooks?limit=2&include_total=true").await.is(200);
        assert_eq!((first.list("/data").len(), &first["page"]["total"]), (2, &json!(5)));
        let cursor = first.text("/page/next_cursor");
        let next = admin.get(&format!("/webhooks?limit=100&cursor={cursor}")).await.is(200);
        assert_eq!(next.list("/data").len(), 3);
        admin.get("/webhooks?q=x").await.refuses(400, "unknown_parameter");
        let path = format!("/webhooks/{}", hooks[0].id());
        let changed = admin.patch(&path, json!({ "url": "https://bao.example.vn/x", "name": null, "events": ["tag.updated"], "languages": ["vi"] }), 1).await.is(200);
        assert_eq!((&changed["name"], &changed["events"], &changed["languages"]), (&Value::Null, &json!(["tag.updated"]), &json!(["vi"])));
        assert_eq!(admin.patch(&path, json!({ "events": null }), 2).await.is(200)["events"], json!([]));
        for (patch, pointer) in [(json!({ "url": null }), "/url"), (json!({ "disabled": null }), "/disabled"), (json!({ "version": 4 }), "/version")] {
            admin.patch(&path, patch, 3).await.points_at(pointer);
        }
        admin.ask("PATCH", &path).bytes("application/json", "{}").await.refuses(428, "precondition_required");
        let hook = &hooks[1];
        let path = format!("/webhooks/{}", hook.id());
        for _ in 0..3 {
            admin.ask("POST", &format!("{path}/test")).await.is(200);
        }
        desk.story(json!({ "title": "Tin" })).await;
        deliveries(&desk, hook, |rows| rows.len() == 4).await;
        let failed = admin.get(&format!("{path}/deliveries?state=failed&limit=2&include_total=true")).await.is(200);
        assert_eq!((failed.list("/data").len(), &failed["page"]["total"]), (2, &json!(3)));
        let rest = admin.get(&format!("{path}/deliveries?state=failed&cursor={}", failed.text("/page/next_cursor"))).await.is(200);
        assert_eq!(rest.list("/data").len(), 1);
        let other = format!("{path}/deliveries?state=pending&cursor={}", failed.text("/page/next_cursor"));
        admin.get(&other).await.refuses(400, "invalid_cursor");
        assert_eq!(admin.get(&format!("{path}/deliveries?type=article.published")).await.is(200).list("/data").len(), 1);
        admin.get(&format!("{path}/deliveries?state=lost")).await.refuses(400, "invalid_parameter");
        let delivery = failed.text("/data/0/id");
        admin.get(&format!("/webhooks/{}/deliveries/{delivery}", hooks[2].id())).await.refuses(404, "not_found");
        admin.ask("POST", &format!("/webhooks/{}/deliveries/{delivery}/replay", hooks[2].id())).await.refuses(404, "not_found");
        admin.post(&format!("{path}/replay"), json!({})).await.points_at("/since");
        admin.post(&format!("{path}/replay"), json!({ "since": "yesterday" })).await.points_at("/since");
    }

    async fn old_deliveries_and_those_of_deleted_webhooks_are_forgotten(desk) {
        let admin = desk.as_admin();
        let hooks = all((0..2).map(|_| admin.post("/webhooks", json!({ "url": "http://10.0.0.1/", "events": ["tag.updated"] })))).await;
        for hook in &hooks {
            admin.ask("POST", &format!("/webhooks/{}/test", hook.id())).await.is(200);
            admin.ask("POST", &format!("/webhooks/{}/test", hook.id())).await.is(200);
        }
        admin.delete(&format!("/webhooks/{}", hooks[1].id()), 1).await.is(204);
        let rows = deliveries(&desk, &hooks[0], |rows| rows.len() == 2).await;
        let old = rows[0]["id"].as_str().expect("an id");
        desk.database().execute(&format!("UPDATE webhook_deliveries SET created_ms = created_ms - 2592100000 WHERE id = '{old}'"));
        assert!(desk.terminate().success());
        desk.start();
        let rows = deliveries(&desk, &hooks[0], |rows| rows.len() == 1).await;
        assert_ne!(rows[0]["id"], old);
        let mut left = (9, 9);
        for _ in 0..100 {
            left = (desk.database().count("webhook_deliveries"), desk.database().count("webhook_attempts"));
            if left == (1, 1) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(left, (1, 1));
    }

    async fn there_are_fifty_webhooks_at_most(desk, RATE_LIMITS = "off") {
        let admin = desk.as_admin();
        let make = |n: usize| admin.post("/webhooks", json!({ "url": format!("http://10.0.0.1/{n}"), "disabled": true }));
        let made = all((0..60).map(make)).await;
        let (good, beyond): (Vec<_>, Vec<_>) = made.into_iter().partition(|reply| reply.status == 201);
        assert_eq!((good.len(), beyond.len()), (50, 10), "also when many are made at once");
        beyond.into_iter().for_each(|reply| drop(reply.refuses(409, "limit_reached")));
        admin.delete(&format!("/webhooks/{}", good[0].id()), 1).await.is(204);
        make(60).await.is(201);
        make(61).await.refuses(409, "limit_reached");
    }
}

#[test]
fn admins_are_told_of_a_webhook_that_was_given_up() {
    let server = MailServer::open(&[]);
    let smtp = server.url.clone();
    let settings = [
        ("SMTP_URL", smtp.as_str()),
        ("SITE_NAME", "Tin"),
        ("WEBHOOK_ALLOW_PRIVATE", "127.0.0.1"),
    ];
    run(&settings, |desk| async move {
        let receiver = Receiver::start();
        receiver.answers([Answer::Status(410)]);
        let hook = webhook(&desk, &receiver, json!({ "name": "Trang tĩnh" })).await;
        desk.story(json!({ "title": "Một" })).await;
        let mail = server.mails(1).await.remove(0);
        assert_eq!(mail.to, ["admin@example.vn"]);
        assert_eq!(mail.parsed().subject(), Some("[Tin] Webhook bị tắt: Trang tĩnh"));
        let text = mail.text();
        assert!(
            text.contains("410") && text.contains(&hook.id()) && !text.contains("/hook"),
            "{text}"
        );
        // What an admin does by hand is no news.
        let other = webhook(&desk, &receiver, json!({})).await;
        let off = json!({ "disabled": true });
        desk.as_admin()
            .patch(&format!("/webhooks/{}", other.id()), off, 1)
            .await
            .is(200);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(server.mails_now().len(), 1);
    });
}
