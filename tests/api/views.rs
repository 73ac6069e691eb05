//! Views: who counts, what is kept, and which stories are the most viewed.

use std::time::Duration;

use crate::support::{Desk, Reply, json, newsroom_tests};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Mobile/15E148 Safari/604.1";

async fn view(desk: &Desk, story: &str, browser: &str) -> Reply {
    let beacon = desk.as_reader().ask("POST", &format!("/articles/{story}/views"));
    beacon.header("User-Agent", browser).await
}

/// Asks until there are so many views in all, and gives the list.
async fn counted(desk: &Desk, query: &str, views: i64) -> Reply {
    let mut list = desk.as_reader().get(&format!("/most-viewed{query}")).await.is(200);
    for _ in 0..200 {
        let sum: i64 = list.list("/data").iter().filter_map(|row| row["views"].as_i64()).sum();
        if sum == views {
            return list;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        list = desk.as_reader().get(&format!("/most-viewed{query}")).await.is(200);
    }
    panic!("not {views} views: {}", list.body());
}

newsroom_tests! {
    async fn a_reader_counts_once_and_robots_do_not(desk) {
        let story = desk.story(json!({ "title": "Được đọc" })).await;
        for _ in 0..3 {
            let reply = view(&desk, &story.id(), FIREFOX).await.is(202);
            assert!(reply.header("set-cookie").is_empty());
            assert_eq!(reply.header("cache-control"), "no-store");
        }
        view(&desk, &story.text("/slug"), FIREFOX).await.is(202);
        view(&desk, &story.id(), SAFARI).await.is(202);
        for robot in ["curl/8.5.0", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", ""] {
            view(&desk, &story.id(), robot).await.is(202);
        }
        let list = counted(&desk, "", 2).await;
        assert_eq!((list.text("/data/0/id"), list.text("/data/0/title")), (story.id(), "Được đọc".into()));
        assert_eq!(list.header("cache-control"), "public, max-age=5");
    }

    async fn a_beacon_takes_any_body_and_only_of_live_stories(desk) {
        let story = desk.story(json!({ "title": "Sống" })).await;
        let draft = desk.draft("Nháp").await;
        let path = format!("/articles/{}/views", story.id());
        let reader = desk.as_reader();
        for (kind, body) in [("", ""), ("text/plain", "x"), ("application/json", "{"), ("application/x-www-form-urlencoded", "a=b")] {
            reader.ask("POST", &path).bytes(kind, body).header("User-Agent", FIREFOX).await.is(202);
        }
        reader.ask("POST", &path).bytes("text/plain", vec![b'x'; 17 * 1024]).await.refuses(413, "payload_too_large");
        reader.ask("POST", &format!("{path}?x=1")).await.refuses(400, "unknown_parameter");
        view(&desk, &draft.id(), FIREFOX).await.refuses(404, "not_found");
        view(&desk, "khong-co", FIREFOX).await.refuses(404, "not_found");
        let renamed = desk.as_editor().patch(&format!("/articles/{}", story.id()), json!({ "slug": "ten-moi" }), story.version()).await.is(200);
        desk.publish(&renamed).await;
        view(&desk, &story.text("/slug"), SAFARI).await.is(202);
        counted(&desk, "", 2).await;
        let now = desk.current(&story).await;
        desk.action(&now, "unpublish").await.is(200);
        view(&desk, &story.id(), SAFARI).await.refuses(410, "gone");
        assert!(desk.as_reader().get("/most-viewed").await.is(200).list("/data").is_empty());
    }

    async fn readers_behind_a_trusted_proxy_are_told_apart(desk, TRUSTED_PROXIES = "127.0.0.1") {
        let story = desk.story(json!({ "title": "Sau proxy" })).await;
        for address in ["203.0.113.1", "203.0.113.2", "203.0.113.1", "2001:db8::1", "2001:db8::2"] {
            let beacon = desk.as_reader().ask("POST", &format!("/articles/{}/views", story.id()));
            beacon.header("User-Agent", FIREFOX).header("X-Forwarded-For", address).await.is(202);
        }
        counted(&desk, "?window=all", 3).await;
    }

    async fn views_outlive_a_stop_whole(desk) {
        let story = desk.story(json!({ "title": "Dừng" })).await;
        view(&desk, &story.id(), FIREFOX).await.is(202);
        view(&desk, &story.id(), SAFARI).await.is(202);
        assert!(desk.terminate().success());
        desk.start();
        let list = desk.as_reader().get("/most-viewed").await.is(200);
        assert_eq!((list.text("/data/0/id"), &list["data"][0]["views"]), (story.id(), &json!(2)));
    }

    async fn windows_lose_the_hours_that_have_passed(desk) {
        let story = desk.story(json!({ "title": "Hôm qua" })).await;
        view(&desk, &story.id(), FIREFOX).await.is(202);
        assert!(desk.terminate().success());
        // As if it had been seen 25 hours ago, and the program stopped since.
        desk.database().execute("UPDATE view_hours SET hour = hour - 25; UPDATE meta SET value = CAST(CAST(value AS BIGINT) - 25 AS TEXT) WHERE name = 'views_rolled'");
        desk.start();
        for _ in 0..100 {
            if desk.as_reader().get("/most-viewed?window=24h&limit=1").await.is(200).list("/data").is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for (window, views) in [("24h", 0), ("7d", 1), ("30d", 1), ("all", 1)] {
            counted(&desk, &format!("?window={window}"), views).await;
        }
        assert!(desk.terminate().success());
        desk.database().execute("UPDATE view_hours SET hour = hour - 800; UPDATE meta SET value = CAST(CAST(value AS BIGINT) - 800 AS TEXT) WHERE name = 'views_rolled'");
        desk.start();
        for (window, views) in [("30d", 0), ("7d", 0), ("all", 1)] {
            counted(&desk, &format!("?window={window}"), views).await;
        }
    }

    async fn one_address_is_so_many_readers_and_no_more(desk, TRUSTED_PROXIES = "127.0.0.1") {
        let (story, other) = (desk.story(json!({ "title": "Bơm" })).await, desk.story(json!({ "title": "Khác" })).await);
        let beacon = async |story: &Reply, browser: usize, address: &str| {
            let beacon = desk.as_reader().ask("POST", &format!("/articles/{}/views", story.id()));
            let browser = format!("{FIREFOX} Bản/{browser}").replace('ả', "a");
            beacon.header("User-Agent", &browser).header("X-Forwarded-For", address).await.is(202);
        };
        for browser in 0..60 {
            beacon(&story, browser, "203.0.113.1").await;
        }
        beacon(&story, 0, "203.0.113.2").await;
        beacon(&other, 99, "203.0.113.1").await;
        let list = counted(&desk, "?window=all", 22).await;
        assert_eq!((list.text("/data/0/id"), &list["data"][0]["views"]), (story.id(), &json!(21)), "20 of one address, and one of another");
    }

    async fn hours_fall_out_in_pieces_each_once(desk) {
        let story = desk.story(json!({ "title": "Còn" })).await;
        view(&desk, &story.id(), FIREFOX).await.is(202);
        counted(&desk, "", 1).await;
        assert!(desk.terminate().success());
        // 1,300 stories with three views 24 hours ago and two now; then the hour ends, and the program stopped after 500.
        let rolled = "(SELECT CAST(value AS BIGINT) FROM meta WHERE name = 'views_rolled')";
        let numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1001 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2300)";
        let id = "'01900000-0000-7000-8000-00000000' || CAST(n AS TEXT)";
        desk.database().execute(&format!(
            "UPDATE meta SET value = CAST(CAST(value AS BIGINT) - 1 AS TEXT) WHERE name = 'views_rolled';
             INSERT INTO view_hours (article_id, hour, n) {numbers} SELECT {id}, {rolled} - 23, 3 FROM numbers;
             INSERT INTO view_hours (article_id, hour, n) {numbers} SELECT {id}, {rolled}, 2 FROM numbers;
             INSERT INTO view_totals (article_id, h24, d7, d30, total) {numbers} SELECT {id}, 5, 5, 5, 5 FROM numbers;
             UPDATE view_totals SET h24 = h24 - 3 WHERE article_id LIKE '01900000-%' AND article_id <= '01900000-0000-7000-8000-000000001500';
             DELETE FROM meta WHERE name = 'views_step';
             INSERT INTO meta (name, value) VALUES ('views_step', '{{\"On\":{{\"hour\":' || CAST({rolled} + 1 AS TEXT)
                || ',\"window\":0,\"article\":\"01900000-0000-7000-8000-000000001500\"}}}}')"
        ));
        desk.start();
        for _ in 0..200 {
            if desk.database().count("meta WHERE name = 'views_step' AND value = ''") == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let of_those = "view_totals WHERE article_id LIKE '01900000-%'";
        assert_eq!(desk.database().count(&format!("{of_those} AND h24 = 2 AND d7 = 5 AND d30 = 5 AND total = 5")), 1300);
        counted(&desk, "", 1).await;
    }

    async fn a_clock_that_was_ahead_takes_nothing_away_for_good(desk) {
        let story = desk.story(json!({ "title": "Đồng hồ" })).await;
        view(&desk, &story.id(), FIREFOX).await.is(202);
        view(&desk, &story.id(), SAFARI).await.is(202);
        counted(&desk, "", 2).await;
        assert!(desk.terminate().success());
        // As if a clock had been a year ahead: the windows were emptied, and one view was counted then.
        let id = story.id();
        desk.database().execute(&format!(
            "INSERT INTO view_hours (article_id, hour, n) SELECT '{id}', MAX(hour) + 8760, 1 FROM view_hours;
             UPDATE view_totals SET h24 = 1, d7 = 1, d30 = 1, total = 3;
             UPDATE meta SET value = CAST(CAST(value AS BIGINT) + 8760 AS TEXT) WHERE name = 'views_rolled'"
        ));
        desk.start();
        for window in ["24h", "7d", "30d", "all"] {
            counted(&desk, &format!("?window={window}"), 3).await;
        }
        view(&desk, &story.id(), FIREFOX).await.is(202);
        counted(&desk, "?limit=2", 4).await;
        assert!(desk.log().contains("the clock was ahead"), "{}", desk.log());
    }

    async fn kept_hours_go_slowly(desk) {
        let story = desk.story(json!({ "title": "Cũ" })).await;
        view(&desk, &story.id(), FIREFOX).await.is(202);
        counted(&desk, "", 1).await;
        assert!(desk.terminate().success());
        for days in [29, 39, 41, 44, 45] {
            let id = story.id();
            desk.database().execute(&format!("INSERT INTO view_hours (article_id, hour, n) SELECT '{id}', MAX(hour) - 24 * {days}, 1 FROM view_hours WHERE n = 1 AND article_id = '{id}'"));
        }
        desk.start();
        for _ in 0..200 {
            if desk.database().count("view_hours") < 6 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(desk.database().count("view_hours"), 5, "the oldest of those that no window asks for, and no more in this hour");
    }

    async fn a_section_that_few_open_has_its_most_viewed(desk) {
        let quiet = desk.named("sections", "Ít đọc").await;
        let mut ids = Vec::new();
        for title in ["Một", "Hai", "Ba"] {
            ids.push(desk.story(json!({ "title": title, "section_id": quiet.id() })).await.id());
        }
        // 2,300 stories elsewhere that were opened more often than these.
        let numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1001 UNION ALL SELECT n + 1 FROM numbers WHERE n < 3300)";
        desk.database().execute(&format!(
            "INSERT INTO view_totals (article_id, h24, d7, d30, total) {numbers}
             SELECT '01900000-0000-7000-8000-00000000' || CAST(n AS TEXT), n, n, n, n FROM numbers;
             INSERT INTO view_totals (article_id, h24, d7, d30, total) VALUES ('{}', 3, 3, 9, 10), ('{}', 5, 5, 5, 10), ('{}', 0, 3, 8, 9)",
            ids[0], ids[1], ids[2]
        ));
        let titles = async |query: &str| {
            let list = desk.as_reader().get(&format!("/most-viewed?{query}")).await.is(200);
            (list.each("title"), list.list("/data").iter().map(|row| row["views"].as_i64().expect("views")).collect::<Vec<_>>())
        };
        assert_eq!(titles("section=it-doc").await, (vec!["Hai".into(), "Một".into()], vec![5, 3]));
        assert_eq!(titles("section=it-doc&window=7d").await, (vec!["Hai".into(), "Ba".into(), "Một".into()], vec![5, 3, 3]));
        assert_eq!(titles("section=it-doc&window=30d&limit=2").await, (vec!["Một".into(), "Ba".into()], vec![9, 8]));
        assert_eq!(titles("language=vi&window=all").await, (vec!["Hai".into(), "Một".into(), "Ba".into()], vec![10, 10, 9]));
        assert_eq!(titles("language=en").await, (vec![], vec![]));
        assert_eq!(titles("").await.0, ["Hai", "Một"], "those that are not live are passed over");
    }

    async fn the_most_viewed_come_first_by_section_and_language(desk, TRUSTED_PROXIES = "127.0.0.1") {
        let (sport, news) = (desk.named("sections", "Thể thao").await, desk.named("sections", "Thời sự").await);
        let mut stories = Vec::new();
        for (title, section, language) in [("Một", &sport, "vi"), ("Hai", &news, "vi"), ("Three", &news, "en")] {
            let story = desk.story(json!({ "title": title, "section_id": section.id(), "language": language })).await;
            for reader in 0..=stories.len() {
                let beacon = desk.as_reader().ask("POST", &format!("/articles/{}/views", story.id()));
                beacon.header("User-Agent", FIREFOX).header("X-Forwarded-For", &format!("203.0.113.{reader}")).await.is(202);
            }
            stories.push(story);
        }
        let titles = |list: &Reply| list.each("title");
        assert_eq!(titles(&counted(&desk, "", 6).await), ["Three", "Hai", "Một"]);
        assert_eq!(titles(&counted(&desk, "?limit=1", 3).await), ["Three"]);
        assert_eq!(titles(&counted(&desk, "?language=vi", 3).await), ["Hai", "Một"]);
        assert_eq!(titles(&counted(&desk, "?section=thoi-su,the-thao&language=vi", 3).await), ["Hai", "Một"]);
        assert_eq!(titles(&counted(&desk, &format!("?section={}", sport.id()), 1).await), ["Một"]);
        assert!(titles(&counted(&desk, "?section=khong-co", 0).await).is_empty());
        desk.as_reader().get("/most-viewed?window=1h").await.refuses(400, "invalid_parameter");
        desk.as_reader().get("/most-viewed?tag=x").await.refuses(400, "unknown_parameter");
    }
}
