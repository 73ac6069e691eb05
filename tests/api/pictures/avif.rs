//! AVIF files, made ahead and offered when they are all there. The pictures are small: whatever else runs on the machine
//! goes before the making of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{candidates, eventually, photo, size_of, types};
use crate::support::{Desk, Value, newsroom_tests};

fn has_avif(shown: &Value) -> bool {
    types(&shown["sources"])[0] == "image/avif"
}

/// Every AVIF address that an answer names.
fn named(shown: &Value) -> Vec<String> {
    let crops = shown["crops"]
        .as_array()
        .expect("crops")
        .iter()
        .map(|crop| &crop["sources"]);
    let sources = std::iter::once(&shown["sources"]).chain(crops);
    let sources = sources.flat_map(|sources| sources.as_array().expect("sources"));
    let sources = sources.filter(|source| source["media_type"] == "image/avif");
    sources
        .flat_map(|source| candidates(source["srcset"].as_str().expect("a srcset")))
        .map(|(url, _)| url)
        .collect()
}

/// The files there are of one kind.
fn ready(desk: &Desk) -> i64 {
    desk.database()
        .count("image_variants WHERE spec LIKE '%.avif' AND state = 'ready'")
}

async fn updates(desk: &Desk) -> usize {
    desk.feed()
        .await
        .iter()
        .filter(|row| row["type"] == "image.updated")
        .count()
}

newsroom_tests! {
    async fn avif_is_offered_once_all_of_it_is_there_and_answers_follow(desk, AVIF = "on") {
        let image = desk.upload("image/jpeg", photo(90, 60, 30)).await;
        let story = desk.story_with(&image, "AVIF").await;
        let first = desk.read(&story).await.is(200);
        desk.as_reader().get("/articles").await.is(200);
        eventually("it is offered", || {
            let desk = desk.clone();
            let story = story.clone();
            async move {
                let shown = desk.cover(&story).await;
                let there = ready(&desk);
                // What an answer names is there; that one is not named yet may be.
                assert!(!has_avif(&shown) || there >= named(&shown).len() as i64);
                has_avif(&shown) && !named(&shown).is_empty()
            }
        })
        .await;
        let now = desk.read(&story).await.is(200);
        let shown = now["cover"]["image"].clone();
        assert_eq!(types(&shown["sources"]), ["image/avif", "image/webp", "image/jpeg"]);
        let files = named(&shown);
        assert_eq!(files.len(), 6, "the whole picture and five cuts: {files:?}");
        for url in files {
            let file = desk.file(&url).await.is(200);
            assert_eq!((file.header("content-type").as_str(), &file.bytes[4..12]), ("image/avif", b"ftypavif".as_slice()), "{url}");
        }
        if first["cover"]["image"] != shown {
            assert!(now.header("last-modified") >= first.header("last-modified"));
            assert_ne!(now.header("etag"), first.header("etag"));
        }
        let list = desk.as_reader().get("/articles").await.is(200);
        assert_eq!(list["data"][0]["cover"]["image"], shown, "lists follow, too");
        assert!(updates(&desk).await <= 1, "one line for all of its files");
    }

    async fn an_avif_upload_comes_in_every_size_and_format(desk, AVIF = "on") {
        let photograph = desk.upload("image/jpeg", photo(120, 80, 35)).await;
        let story = desk.story_with(&photograph, "JPEG").await;
        eventually("it is offered", || async { has_avif(&desk.cover(&story).await) }).await;
        let whole = named(&desk.cover(&story).await).swap_remove(0);
        let file = desk.file(&whole).await.is(200).bytes.to_vec();

        let image = desk.upload("image/avif", file).await;
        let story = desk.story_with(&image, "AVIF").await;
        eventually("it is offered, too", || async { has_avif(&desk.cover(&story).await) }).await;
        let shown = desk.cover(&story).await;
        assert_eq!(types(&shown["sources"]), ["image/avif", "image/webp", "image/jpeg"]);
        assert_eq!((&shown["width"], &shown["height"]), (&120.into(), &80.into()));
        for (url, width) in shown["sources"].as_array().expect("sources").iter().skip(1).flat_map(|source| {
            candidates(source["srcset"].as_str().expect("a srcset"))
        }) {
            let file = desk.file(&url).await.is(200);
            assert_eq!(size_of(&file.bytes), (width, 80), "{url}");
        }
    }

    async fn an_avif_that_can_be_seen_through_stays_so(desk) {
        let sample = include_str!("../../../src/images/process/tests/sample.avif.txt").trim();
        let image = desk.upload("image/avif", STANDARD.decode(sample).expect("base64")).await;
        let story = desk.story_with(&image, "Biểu trưng").await;
        let shown = desk.cover(&story).await;
        assert_eq!(types(&shown["sources"]), ["image/webp", "image/png"]);
        let png = shown["sources"][1]["srcset"].as_str().map(candidates).expect("a srcset").swap_remove(0).0;
        let file = desk.file(&png).await.is(200);
        let picture = image::load_from_memory(&file.bytes).expect("a PNG").into_rgba8();
        assert!(picture.pixels().any(|pixel| pixel.0[3] < 255));
    }

    async fn without_avif_nothing_is_made_and_nothing_is_offered(desk) {
        let image = desk.upload("image/jpeg", photo(400, 300, 31)).await;
        let story = desk.story_with(&image, "Không").await;
        assert_eq!(types(&desk.cover(&story).await["sources"]), ["image/webp", "image/jpeg"]);
        let path = desk.path(&image.text("/url")).replace(".jpg", "-w320.avif");
        let answer = desk.as_reader().get(&path).await.is(307);
        assert_eq!(answer.header("location"), image.text("/url").replace(".jpg", "-w320.webp"), "an old page shows the picture");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(desk.database().count("image_variants"), 0);
        desk.as_reader().get(&path.replace("w320", "w321")).await.refuses(404, "not_found");
    }

    async fn a_kill_in_the_middle_costs_one_file(desk, AVIF = "on", LOG = "newsdesk=debug") {
        let image = desk.upload("image/jpeg", photo(100, 80, 32)).await;
        let story = desk.story_with(&image, "Đang làm").await;
        eventually("some are there", || async { ready(&desk) >= 2 }).await;
        desk.kill();
        let before = desk.database().count("image_variants WHERE spec LIKE '%.avif'");
        // The lease of the program that died has run out.
        desk.database().execute("UPDATE image_plans SET lease_ms = 0");
        desk.start();
        eventually("it is offered", || async { has_avif(&desk.cover(&story).await) }).await;
        for url in named(&desk.cover(&story).await) {
            desk.file(&url).await.is(200);
        }
        assert!(ready(&desk) >= before);
    }

    async fn what_cannot_be_made_is_given_up_and_told_once(desk, AVIF = "on") {
        let image = desk.upload("image/jpeg", photo(120, 80, 33)).await;
        desk.kill();
        desk.database().execute("DELETE FROM image_variants; UPDATE image_plans SET avif = FALSE, due_ms = 1, tries = 0, lease_ms = 0");
        let original = desk.path(&image.text("/url")).trim_start_matches("/media/").to_owned();
        std::fs::remove_file(desk.folder().join("media").join(&original)).expect("the original");
        desk.start();
        eventually("it is given up", || async {
            // Nobody waits for the next try.
            desk.database().execute("UPDATE image_plans SET due_ms = 1 WHERE due_ms IS NOT NULL AND lease_ms = 0 AND tries > 0");
            desk.database().count("image_plans WHERE due_ms IS NULL AND tries = 3") == 1
        })
        .await;
        eventually("and told", || async { desk.log().contains("given up") }).await;
        assert_eq!(desk.log().lines().filter(|line| line.contains("given up")).count(), 1);
    }

    async fn an_avif_file_that_made_room_leads_to_another_and_comes_back(desk, AVIF = "on") {
        let image = desk.upload("image/jpeg", photo(80, 60, 34)).await;
        let story = desk.story_with(&image, "Trở lại").await;
        eventually("it is offered", || async { has_avif(&desk.cover(&story).await) }).await;
        let url = named(&desk.cover(&story).await)[0].clone();
        desk.database().execute("UPDATE image_variants SET state = 'evicting' WHERE spec LIKE '%.avif'");
        let left = || desk.database().count("image_variants WHERE spec LIKE '%.avif'");
        eventually("they are removed", || async { left() == 0 }).await;
        let answer = desk.file(&url).await.is(307);
        let picture = desk.file(&answer.header("location")).await.is(200);
        assert_eq!(picture.header("content-type"), "image/webp");
        eventually("it is back", || async { desk.file(&url).await.status == 200 }).await;
        assert!(has_avif(&desk.cover(&story).await), "pages did not have to change");
        assert!(updates(&desk).await <= 1);
    }
}
