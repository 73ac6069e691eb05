//! The diary of public changes: the list, the stream, and what a follower can rely on.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;

use crate::support::{Desk, Reply, Value, all, json, newsroom_tests};

/// Reads the diary from a cursor to its end.
async fn read_on(desk: &Desk, mut after: Option<String>) -> (Vec<Value>, String) {
    let mut seen = Vec::new();
    loop {
        let place = after.map_or(String::new(), |after| format!("&after={after}"));
        let page = desk.as_reader().get(&format!("/changes?limit=7{place}")).await.is(200);
        seen.extend(page.list("/data").iter().cloned());
        let next = page.text("/page/next_cursor");
        if page["page"]["has_more"] == false {
            return (seen, next);
        }
        after = Some(next);
    }
}

fn seqs(rows: &[Value]) -> Vec<i64> {
    rows.iter().map(|row| row["seq"].as_i64().expect("a number")).collect()
}

/// Events of the stream until there are so many, as id, type and change.
async fn listen(desk: &Desk, after: &str, last: Option<&str>, count: usize) -> Vec<(String, String, Value)> {
    let url = format!("{}/delivery/v1/changes/stream{after}", desk.address());
    let mut request = crate::support::desk::http().get(url);
    if let Some(last) = last {
        request = request.header("Last-Event-ID", last);
    }
    let answer = request.send().await.expect("a stream");
    assert_eq!(answer.status(), 200);
    let (mut text, mut bytes) = (String::new(), answer.bytes_stream());
    while text.matches("\ndata: ").count() < count || !text.ends_with("\n\n") {
        let piece = tokio::time::timeout(Duration::from_secs(20), bytes.next()).await;
        text.push_str(&String::from_utf8_lossy(
            &piece.expect("in time").expect("more").expect("a piece"),
        ));
    }
    let event = |block: &str| {
        let field = |name: &str| {
            block
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::to_owned)
        };
        let data = serde_json::from_str(&field("data: ")?).expect("JSON");
        Some((field("id: ").expect("an id"), field("event: ").expect("a type"), data))
    };
    text.split("\n\n").filter_map(event).collect()
}

async fn unpublish(desk: &Desk, story: &Reply) {
    let now = desk.current(story).await;
    desk.action(&now, "unpublish").await.is(200);
}

newsroom_tests! {
    async fn every_public_change_is_told_in_order_and_once(desk) {
        let section = desk.named("sections", "Thời sự").await;
        let (_, start) = read_on(&desk, None).await;
        let story = desk.story(json!({ "title": "Một tin", "section_id": section.id() })).await;
        desk.draft("Không ai thấy").await;
        desk.publish(&desk.current(&story).await).await;
        desk.as_editor().patch(&format!("/sections/{}", section.id()), json!({ "name": "Tin tức" }), 1).await.is(200);
        unpublish(&desk, &story).await;
        let (rows, end) = read_on(&desk, Some(start.clone())).await;
        let kinds: Vec<&str> = rows.iter().map(|row| row["type"].as_str().expect("a type")).collect();
        assert_eq!(kinds, ["article.published", "article.updated", "section.updated", "article.unpublished"]);
        assert_eq!(rows[0]["article_id"], story.id());
        assert_eq!((&rows[2]["article_id"], &rows[2]["subject_id"]), (&Value::Null, &json!(section.id())));
        assert!(seqs(&rows).windows(2).all(|pair| pair[1] == pair[0] + 1), "{:?}", seqs(&rows));
        assert!(read_on(&desk, Some(end)).await.0.is_empty());
        assert_eq!(read_on(&desk, Some(start)).await.0, rows, "the same again");
    }

    async fn a_story_that_moves_purges_both_lists(desk) {
        let (from, to) = (desk.named("sections", "Đi").await, desk.named("sections", "Đến").await);
        let story = desk.story(json!({ "title": "Chuyển mục", "section_id": from.id() })).await;
        let (_, start) = read_on(&desk, None).await;
        let path = format!("/articles/{}", story.id());
        let moved = desk.as_editor().patch(&path, json!({ "section_id": to.id() }), story.version()).await.is(200);
        desk.publish(&moved).await;
        let (rows, _) = read_on(&desk, Some(start)).await;
        let keys = rows[0]["surrogate_keys"].to_string();
        for section in [&from, &to] {
            let list = desk.as_reader().get(&format!("/articles?section={}", section.id())).await.is(200);
            let own = list.header("surrogate-key").split(' ').find(|key| key.starts_with('S')).map(str::to_owned);
            if section.id() == to.id() {
                assert!(keys.contains(&own.expect("a key of the section")), "{keys}");
            }
        }
        assert_eq!(keys.matches("\"S").count(), 2, "{keys}");
    }

    async fn cursors_that_cannot_be_followed_are_refused(desk) {
        let reader = desk.as_reader();
        reader.get("/changes?after=17").await.refuses(400, "invalid_cursor");
        reader.get("/changes?after=elsewhere.1").await.refuses(410, "changes_expired");
        reader.get("/changes?limit=101").await.refuses(400, "invalid_parameter");
        reader.get("/changes/stream?after=elsewhere.1").await.refuses(410, "changes_expired");
        reader.ask("GET", "/changes/stream").header("Last-Event-ID", "elsewhere.1").await.refuses(410, "changes_expired");
        let (_, end) = read_on(&desk, None).await;
        let (epoch, seq) = end.split_once('.').expect("two parts");
        let ahead = format!("/changes?after={epoch}.{}", seq.parse::<i64>().expect("a number") + 1);
        reader.get(&ahead).await.refuses(410, "changes_expired");
    }

    async fn old_superseded_changes_go_and_the_beginning_still_rebuilds_everything(desk) {
        let kept = desk.story(json!({ "title": "Còn" })).await;
        let gone = desk.story(json!({ "title": "Mất" })).await;
        let (_, early) = read_on(&desk, None).await;
        for _ in 0..3 {
            desk.publish(&desk.current(&kept).await).await;
        }
        unpublish(&desk, &gone).await;
        let (before, end) = read_on(&desk, None).await;
        assert!(desk.terminate().success());
        desk.database().execute("UPDATE changes SET at_ms = at_ms - 3000000000");
        desk.start();
        let mut rows = before.clone();
        for _ in 0..100 {
            rows = read_on(&desk, None).await.0;
            if rows.len() < before.len() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let last: BTreeMap<String, String> = rows
            .iter()
            .filter(|row| !row["article_id"].is_null())
            .map(|row| (row["article_id"].to_string(), row["type"].to_string()))
            .collect();
        assert_eq!(last[&json!(kept.id()).to_string()], "\"article.updated\"");
        assert_eq!(last[&json!(gone.id()).to_string()], "\"article.unpublished\"");
        let stories = rows.iter().filter(|row| row["article_id"] == kept.id()).count();
        assert_eq!(stories, 1, "superseded changes are gone");
        desk.as_reader().get(&format!("/changes?after={early}")).await.refuses(410, "changes_expired");
        let (since, _) = read_on(&desk, Some(end)).await;
        let told = since.iter().all(|row| row["type"] == "site.updated");
        assert!(told, "who was up to date goes on, with the address of the new start: {since:?}");
    }

    async fn a_database_that_went_back_in_time_is_noticed_while_the_program_runs(desk) {
        let reader = desk.as_reader();
        let kept = desk.story(json!({ "title": "Còn" })).await;
        let (_, before) = read_on(&desk, None).await;
        let (_, seq) = before.split_once('.').expect("two parts");
        let lost = desk.story(json!({ "title": "Không kịp sang máy chủ mới" })).await;
        let lost_too = desk.story(json!({ "title": "Cũng thế" })).await;
        for story in [&kept, &lost, &lost_too] {
            desk.read(story).await.is(200);
        }
        let (_, end) = read_on(&desk, None).await;
        let stream = format!("{}/delivery/v1/changes/stream?after={end}", desk.address());
        let stream = crate::support::desk::http().get(stream).send().await.expect("a stream");
        // What a standby that takes over has got: everything up to a commit.
        desk.database().execute(&format!(
            "DELETE FROM publications WHERE article_id IN ('{}', '{}'); DELETE FROM changes WHERE seq > {seq}; \
             UPDATE counters SET n = {seq} WHERE name = 'changes'",
            lost.id(),
            lost_too.id()
        ));
        let ended = tokio::time::timeout(Duration::from_secs(10), stream.text()).await;
        assert!(ended.is_ok(), "who listened is sent away, to ask where they stand");
        for story in [&lost, &lost_too] {
            assert_ne!(desk.read(story).await.status, 200, "a story that the database does not have");
        }
        // Other stories take the numbers of those that were lost.
        let unpublished = desk.current(&kept).await;
        desk.action(&unpublished, "unpublish").await.is(200);
        desk.read(&kept).await.refuses(410, "gone");
        desk.story(json!({ "title": "Mới" })).await;
        for cursor in [&before, &end] {
            let gone = reader.get(&format!("/changes?after={cursor}")).await;
            gone.refuses(410, "changes_expired");
        }
        let (rows, _) = read_on(&desk, None).await;
        assert!(rows.iter().any(|row| row["type"] == "article.unpublished" && row["article_id"] == kept.id()));
        assert!(desk.log().contains("another history"), "the operator is told");
    }

    async fn the_stream_brings_what_was_and_what_comes(desk) {
        let first = desk.story(json!({ "title": "Trước" })).await;
        let (rows, _) = read_on(&desk, None).await;
        let listening = async { listen(&desk, "", None, rows.len() + 2).await };
        let publishing = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            desk.story(json!({ "title": "Sau" })).await;
            unpublish(&desk, &first).await;
        };
        let (events, ()) = tokio::join!(listening, publishing);
        let (all_rows, _) = read_on(&desk, None).await;
        let told: Vec<Value> = events.iter().map(|(_, _, row)| row.clone()).collect();
        assert_eq!(told, all_rows, "the stream and the list tell the same");
        assert_eq!(events.last().expect("one").1, "article.unpublished");
        let resumed = listen(&desk, "", Some(&events[0].0), all_rows.len() - 1).await;
        assert_eq!(resumed.iter().map(|(_, _, row)| row.clone()).collect::<Vec<_>>(), all_rows[1..]);
        let after = listen(&desk, &format!("?after={}", events[0].0), None, 1).await;
        assert_eq!(after[0].2, all_rows[1]);
    }

    async fn one_address_does_not_take_the_streams_of_all(desk) {
        let url = format!("{}/delivery/v1/changes/stream", desk.address());
        let http = crate::support::desk::http();
        let mut open = Vec::new();
        for _ in 0..50 {
            open.push(http.get(&url).send().await.expect("a stream"));
        }
        assert!(open.iter().all(|stream| stream.status() == 200));
        let refused = desk.as_reader().get("/changes/stream").await.refuses(429, "rate_limited");
        assert_eq!(refused.header("retry-after"), "30");
        desk.as_reader().get("/changes").await.is(200);
        drop(open);
    }

    async fn an_open_stream_does_not_hold_up_a_stop(desk) {
        let url = format!("{}/delivery/v1/changes/stream", desk.address());
        let answer = crate::support::desk::http().get(url).send().await.expect("a stream");
        let start = std::time::Instant::now();
        assert!(desk.terminate().success());
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        drop(answer);
    }

    async fn with_many_publishers_nothing_is_skipped_and_nothing_comes_twice(desk, RATE_LIMITS = "off") {
        let editor = desk.as_editor();
        let drafts = all((0..24).map(|n| editor.post("/articles", json!({ "title": format!("Tin {n}") })))).await;
        let (_, start) = read_on(&desk, None).await;
        let listening = listen(&desk, "", Some(&start), 48);
        let following = async {
            let (mut seen, mut after) = (Vec::new(), start.clone());
            while seen.len() < 48 {
                let (rows, next) = read_on(&desk, Some(after)).await;
                seen.extend(rows);
                after = next;
            }
            seen
        };
        let publishing = async {
            for _ in 0..2 {
                let now = all(drafts.iter().map(|draft| editor.get(&format!("/articles/{}", draft.id())))).await;
                all(now.iter().map(|draft| editor.act(&format!("/articles/{}/publish", draft.id()), draft.version()))).await;
            }
        };
        let (events, seen, ()) = tokio::join!(listening, following, publishing);
        let told: Vec<Value> = events.into_iter().map(|(_, _, row)| row).collect();
        let first = seqs(&seen)[0];
        assert_eq!(seqs(&seen), (first..first + 48).collect::<Vec<_>>());
        assert_eq!(told, seen);
    }
}
