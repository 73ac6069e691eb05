//! What is old is deleted, and never because of a clock that is wrong.

use std::time::Duration;

use crate::support::{Desk, json, newsroom_tests};

const DAY: i64 = 24 * 3600 * 1000;

fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// What has served its time, if the clock is right.
const OLD: [&str; 6] = [
    "feedback WHERE sender_email IS NOT NULL",
    "idempotency",
    "audit WHERE at_ms < 1750000000000",
    "changes WHERE kind = 'article.published'",
    "outbox",
    "sessions WHERE expires_ms = 1",
];

fn counts(desk: &Desk) -> Vec<i64> {
    OLD.iter().map(|rows| desk.database().count(rows)).collect()
}

/// The believed time is this much behind the clock, and another one has stood for so long.
fn believe(desk: &Desk, behind: i64, stood: i64) {
    let (high, seen) = (now() - behind, now());
    let kept = json!({ "high": high, "claim": { "seen": seen, "stood": stood } });
    desk.database().execute(&format!(
        "UPDATE meta SET value = '{kept}' WHERE name = 'retention_clock'"
    ));
}

/// A newsroom in which everything is old.
async fn grow_old(desk: &Desk) {
    let story = desk.story(json!({ "title": "Cũ" })).await;
    desk.publish(&story).await;
    desk.message(&story, "Từ lâu").await;
    let tag = desk.as_editor().post("/tags", json!({ "name": "Xưa" }));
    tag.header("Idempotency-Key", "xua").await.is(201);
    assert!(desk.terminate().success());
    desk.database().execute(
        "UPDATE feedback SET expire_ms = 1; UPDATE idempotency SET created_ms = 1; UPDATE sessions SET expires_ms = 1; \
         UPDATE audit SET at_ms = at_ms - 94608000000, chain_no = NULL, hash = NULL; \
         UPDATE counters SET n = 0 WHERE name = 'audit_chain'; UPDATE changes SET at_ms = at_ms - 3000000000; \
         INSERT INTO outbox (id, kind, payload, dedupe, due_ms, attempts, lease_ms, fence, done_ms) \
         VALUES ('x', 'review', '', 'x', 1, 1, 0, 1, 1)",
    );
}

async fn until(desk: &Desk, what: &str, is_so: impl Fn(&Desk) -> bool) {
    for _ in 0..200 {
        if is_so(desk) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: {:?}", counts(desk));
}

newsroom_tests! {
    async fn a_clock_a_year_ahead_deletes_nothing_and_one_that_has_stood_does(desk, PUBLIC_URL = "https://api.example.vn") {
        grow_old(&desk).await;
        believe(&desk, 365 * DAY, 0);
        let before = counts(&desk);
        assert!(before.iter().all(|count| *count > 0), "{before:?}");
        // Once more with a time that has stood for less than three days, as after a weekend of restarts.
        for stood in [3 * DAY - 3_600_000, 3 * DAY] {
            desk.start();
            until(&desk, "the lines are sealed", |desk| desk.database().count("audit WHERE chain_no IS NULL") == 0).await;
            until(&desk, "the log says why", |desk| desk.log().contains("nothing is deleted for its age")).await;
            // The next looks come every five seconds.
            tokio::time::sleep(Duration::from_secs(6)).await;
            assert_eq!(counts(&desk), before);
            assert!(desk.terminate().success());
            believe(&desk, 365 * DAY, stood);
        }
        desk.start();
        until(&desk, "all of it goes", |desk| counts(desk).iter().all(|count| *count == 0)).await;
        assert!(desk.log().contains("the clock is believed again"));
    }

    async fn what_is_old_goes_after_a_night(desk, PUBLIC_URL = "https://api.example.vn") {
        grow_old(&desk).await;
        let kept = json!({ "high": now() - DAY * 9 / 10, "claim": null });
        desk.database().execute(&format!("UPDATE meta SET value = '{kept}' WHERE name = 'retention_clock'"));
        desk.start();
        // The lines of the trail go when they are sealed: at the next look, ten minutes later, or the next start.
        until(&desk, "the lines are sealed", |desk| desk.database().count("audit WHERE chain_no IS NULL") == 0).await;
        assert!(desk.terminate().success());
        desk.start();
        until(&desk, "all of it goes", |desk| counts(desk).iter().all(|count| *count == 0)).await;
    }
}
