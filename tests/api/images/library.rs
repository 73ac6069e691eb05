//! Finding images in the library, and one picture being one image.

use std::collections::BTreeSet;
use std::path::Path;

use crate::schedules::{ahead, publish};
use crate::support::newsroom::{jpeg, png};
use crate::support::{Desk, Reply, all, json, newsroom_tests};

/// An image of the editor's under a name, with words.
async fn named(desk: &Desk, width: u32, height: u32, filename: &str, words: crate::support::Value) -> Reply {
    let disposition = format!("attachment; filename*=UTF-8''{}", escaped(filename));
    let image = desk
        .as_editor()
        .ask("POST", "/images")
        .header("Content-Disposition", &disposition)
        .bytes("image/png", png(width, height))
        .await
        .is(201);
    desk.as_editor()
        .patch(&format!("/images/{}", image.id()), words, 1)
        .await
        .is(200)
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn found(desk: &Desk, query: &str) -> BTreeSet<String> {
    let page = desk.as_writer().get(&format!("/images?{query}")).await.is(200);
    page.each("filename").into_iter().collect()
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// The files of the media folder, but for the one that says whose it is.
pub fn stored(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.join("media")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.ends_with("newsdesk-owner.txt") => {}
                path => files.push(path.display().to_string()),
            }
        }
    }
    files.sort();
    files
}

/// A directory of EXIF entries: tag, kind, count, and the value or where it is.
fn directory(entries: &[(u16, u16, u32, u32)]) -> Vec<u8> {
    let mut bytes = (entries.len() as u16).to_le_bytes().to_vec();
    for (tag, kind, count, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(0u32.to_le_bytes());
    bytes
}

/// A photograph with what a camera writes, its serial number among it.
pub fn photograph(width: u32) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    // Two directories of 2 + 3 × 12 + 4 and 2 + 6 × 12 + 4 bytes, then the texts.
    let (first, second) = (8 + 42, 8 + 42 + 78);
    let texts: [&[u8]; 6] = [
        b"FUJIFILM\0",
        b"X-T5\0\0",
        b"2026:03:14 18:05:09\0",
        b"+07:00\0",
        b"XF23mmF1.4\0",
        b"SERIAL-4711\0",
    ];
    let mut places = vec![second as u32];
    texts
        .iter()
        .for_each(|text| places.push(places[places.len() - 1] + text.len() as u32));
    let exposure = places[6];
    let text = |tag: u16, nth: usize| (tag, 2u16, texts[nth].len() as u32, places[nth]);
    tiff.extend(directory(&[
        text(0x010f, 0),
        text(0x0110, 1),
        (0x8769, 4, 1, first as u32),
    ]));
    tiff.extend(directory(&[
        (0x829a, 5, 1, exposure),
        (0x8827, 3, 1, 400),
        text(0x9003, 2),
        text(0x9011, 3),
        text(0xa431, 5),
        text(0xa434, 4),
    ]));
    texts.iter().for_each(|text| tiff.extend(*text));
    tiff.extend([1u32.to_le_bytes(), 250u32.to_le_bytes()].concat());
    let plain = jpeg(width, 40);
    let mut bytes = plain[..2].to_vec();
    bytes.extend([0xff, 0xe1]);
    bytes.extend((tiff.len() as u16 + 8).to_be_bytes());
    bytes.extend(b"Exif\0\0");
    bytes.extend(tiff);
    bytes.extend(&plain[2..]);
    bytes
}

newsroom_tests! {
    async fn what_the_camera_wrote_is_for_the_newsroom_alone(desk) {
        let photo = photograph(44);
        assert!(photo.windows(11).any(|part| part == b"SERIAL-4711"));
        let image = desk.as_editor().ask("POST", "/images").bytes("image/jpeg", photo).await.is(201);
        assert_eq!(image["camera"], json!({
            "taken_at": "2026-03-14T18:05:09+07:00", "make": "FUJIFILM", "model": "X-T5", "lens": "XF23mmF1.4",
            "exposure_time": "1/250", "f_number": null, "iso": 400, "focal_length_mm": null
        }));
        assert!(!image.body().contains("SERIAL"));
        let draft = desk.as_editor().post("/articles", json!({ "title": "Ảnh của máy" })).await.is(201);
        desk.caption(&draft, &image, "lead").await;
        let live = desk.publish(&desk.current(&draft).await).await;
        let seen = desk.as_reader().get(&format!("/articles/{}?include=html,json_ld", live.id())).await.is(200);
        let path = image.text("/url").trim_start_matches(&desk.address()).to_owned();
        let file = desk.as_reader().get(&path).await.is(200);
        for secret in ["FUJIFILM", "X-T5", "SERIAL", "2026:03:14"] {
            assert!(!seen.body().contains(secret), "{secret}");
            assert!(!file.bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
        }
        assert_eq!(desk.image(45).await["camera"], json!(null));
    }

    async fn pictures_are_found_by_their_words_with_and_without_accents(desk) {
        named(&desk, 40, 30, "DSC01234.png", json!({ "alt": "Đoàn người qua cầu", "credit": "Ảnh: TTX" })).await;
        named(&desk, 41, 30, "song-cau_lu.png", json!({ "caption": "Nước lũ trên sông Đồng Nai" })).await;
        named(&desk, 42, 30, "chợ Tết.png", json!({ "credit": "Nguyễn Văn An" })).await;
        for (q, wanted) in [
            ("doan nguoi", names(["DSC01234.png"])),
            ("ĐOÀN", names(["DSC01234.png"])),
            ("cau", names(["DSC01234.png", "song-cau_lu.png"])),
            ("01234", names(["DSC01234.png"])),
            ("dsc", names(["DSC01234.png"])),
            ("ttx anh", names(["DSC01234.png"])),
            ("đồng n", names(["song-cau_lu.png"])),
            ("lu song nuoc", names(["song-cau_lu.png"])),
            ("tet", names(["chợ Tết.png"])),
            ("van%20an", names(["chợ Tết.png"])),
            ("van cau", names([])),
            ("png", names(["DSC01234.png", "song-cau_lu.png", "chợ Tết.png"])),
            ("%25", names([])),
            ("\" OR *", names([])),
        ] {
            assert_eq!(found(&desk, &format!("q={}", q.replace(' ', "+"))).await, wanted, "{q}");
        }
        // New words are found and old ones are not; what is deleted is not found.
        let image = desk.as_editor().get("/images?q=tet").await.is(200);
        let path = format!("/images/{}", image.each("id")[0]);
        desk.as_editor().patch(&path, json!({ "filename": "hội xuân.png" }), 2).await.is(200);
        assert_eq!(found(&desk, "q=tet").await, names([]));
        assert_eq!(found(&desk, "q=hoi").await, names(["hội xuân.png"]));
        desk.as_editor().delete(&path, 3).await.is(204);
        assert_eq!(found(&desk, "q=hoi").await, names([]));
    }

    async fn pictures_from_before_the_index_are_found_after_a_start(desk) {
        named(&desk, 43, 30, "cũ.png", json!({ "alt": "Bến phà" })).await;
        desk.kill();
        desk.database().execute("DELETE FROM image_words; UPDATE images SET row_id = NULL");
        desk.start();
        let start = std::time::Instant::now();
        while found(&desk, "q=pha").await != names(["cũ.png"]) {
            assert!(start.elapsed().as_secs() < 20, "it is not filled in");
        }
    }

    async fn the_library_is_narrowed_by_kind_size_uploader_and_time(desk) {
        named(&desk, 60, 40, "ngang.png", json!({})).await;
        named(&desk, 40, 60, "dọc.png", json!({})).await;
        named(&desk, 50, 50, "vuông.png", json!({})).await;
        let photo = desk.as_writer().ask("POST", "/images").header("Content-Disposition", "attachment; filename=anh.jpg")
            .bytes("image/jpeg", jpeg(80, 20)).await.is(201);
        let writer = photo.text("/created_by/id");
        for (query, wanted) in [
            ("media_type=image/jpeg".to_owned(), names(["anh.jpg"])),
            ("media_type=image/jpeg,image/webp".to_owned(), names(["anh.jpg"])),
            ("min_width=60".to_owned(), names(["ngang.png", "anh.jpg"])),
            ("min_height=50".to_owned(), names(["dọc.png", "vuông.png"])),
            ("min_width=50&min_height=50".to_owned(), names(["vuông.png"])),
            ("orientation=landscape".to_owned(), names(["ngang.png", "anh.jpg"])),
            ("orientation=portrait".to_owned(), names(["dọc.png"])),
            ("orientation=square".to_owned(), names(["vuông.png"])),
            (format!("uploaded_by={writer}"), names(["anh.jpg"])),
            (format!("uploaded_by={writer}&media_type=image/png"), names([])),
            (format!("created_before={}", photo.text("/created_at")), names(["ngang.png", "dọc.png", "vuông.png"])),
            (format!("created_after={}", photo.text("/created_at")), names([])),
            ("q=png&orientation=portrait&sort=filename".to_owned(), names(["dọc.png"])),
        ] {
            assert_eq!(found(&desk, &query).await, wanted, "{query}");
        }
        for wrong in ["min_width=0", "min_width=x", "orientation=round", "media_type=image/svg%2Bxml", "uploaded_by=an",
            "rights_expire_before=tomorrow", "uploader=an", "sort=size"]
        {
            desk.as_writer().get(&format!("/images?{wrong}")).await.is(400);
        }
    }

    async fn pages_of_a_search_follow_each_other(desk) {
        for width in 40..47 {
            named(&desk, width, 30, &format!("lũ {width}.png"), json!({})).await;
        }
        named(&desk, 47, 30, "khác.png", json!({})).await;
        for sort in ["created_at", "-created_at", "filename", "-filename"] {
            let (mut seen, mut path) = (Vec::new(), format!("/images?q=lu&limit=3&sort={sort}&include_total=true"));
            loop {
                let page = desk.as_editor().get(&path).await.is(200);
                assert_eq!(page["page"]["total"], 7);
                seen.extend(page.each("filename"));
                match page["page"]["next_cursor"].as_str() {
                    Some(cursor) => path = format!("/images?q=lu&limit=3&sort={sort}&include_total=true&cursor={cursor}"),
                    None => break,
                }
            }
            let mut wanted: Vec<String> = (40..47).map(|width| format!("lũ {width}.png")).collect();
            if sort.starts_with('-') {
                wanted.reverse();
            }
            assert_eq!(seen, wanted, "{sort}");
        }
    }

    async fn the_same_bytes_sixteen_times_at_once_are_one_image_and_one_file(desk) {
        let upload = |desk: &Desk| desk.as_editor().ask("POST", "/images").bytes("image/png", png(300, 200));
        let answers = all((0..16).map(|_| upload(&desk))).await;
        let ids: BTreeSet<String> = answers.iter().map(Reply::id).collect();
        assert_eq!(ids.len(), 1, "one image");
        let made = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(made, 1, "made once");
        for answer in answers {
            assert_eq!(answer["duplicate"], json!(answer.status == 200));
        }
        assert_eq!(stored(desk.folder()).len(), 1, "one file");
        assert_eq!(desk.database().count("image_files"), 1);
    }

    async fn a_deleted_picture_may_come_again_as_another(desk) {
        let first = desk.image(48).await;
        desk.as_editor().delete(&format!("/images/{}", first.id()), 1).await.is(204);
        let second = desk.image(48).await;
        assert_ne!(first.id(), second.id());
        assert_eq!(second["duplicate"], false);
    }

    async fn where_a_picture_is_used_is_told_with_title_and_state(desk) {
        let image = desk.image(49).await;
        let path = format!("/images/{}", image.id());
        let live = desk.as_editor().post("/articles", json!({ "title": "Đã đăng" })).await.is(201);
        desk.caption(&live, &image, "lead").await;
        let live = desk.publish(&desk.current(&live).await).await;
        let draft = desk.draft("Nháp").await;
        desk.caption(&draft, &image, "inline").await;
        let planned = desk.draft("Hẹn giờ").await;
        let caption = desk.caption(&planned, &image, "lead").await;
        let planned = publish(&desk, &desk.current(&planned).await, json!({ "publish_at": ahead(3_600_000) })).await.is(200);
        // The working copy has dropped it; what is pinned still shows it.
        desk.as_editor().delete(&format!("/captions/{}", caption.id()), 1).await.is(204);
        let used = desk.as_editor().get(&path).await.is(200);
        let uses: BTreeSet<(String, String, String)> = used.list("/used_in").iter()
            .map(|one| ["article_id", "title", "status"].map(|name| one[name].as_str().expect("text").to_owned()).into())
            .collect();
        let wanted = [(&live, "Đã đăng", "published"), (&draft, "Nháp", "draft"), (&planned, "Hẹn giờ", "scheduled")];
        assert_eq!(uses, wanted.map(|(article, title, status)| (article.id(), title.to_owned(), status.to_owned())).into());
        let refused = desk.as_editor().delete(&path, 1).await.refuses(409, "in_use");
        let named: BTreeSet<&str> = refused.list("/used_in").iter().map(|one| one["title"].as_str().expect("a title")).collect();
        assert_eq!(named, ["Hẹn giờ", "Nháp", "Đã đăng"].into());
        assert!(desk.as_editor().get("/images?unused=true").await.is(200).each("id").is_empty());
        assert_eq!(desk.as_editor().get("/images?unused=false").await.is(200).each("id"), [image.id()]);
    }
}
