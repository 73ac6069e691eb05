//! The image library and its files.

mod library;
mod replacing;
mod rights;
mod stores;
mod uploads;

use crate::support::newsroom::{jpeg, png};
use crate::support::{json, newsroom_tests};

/// A form as browsers send it.
pub fn form(parts: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend(format!("--edge\r\nContent-Disposition: form-data; {head}\r\n\r\n").bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--edge--\r\n");
    ("multipart/form-data; boundary=edge".into(), body)
}

newsroom_tests! {
    async fn a_form_brings_an_image_and_its_words_in_any_order(desk) {
        let file = png(70, 50);
        let (media_type, body) = form(&[
            ("name=\"credit\"", "Ảnh: TTX".as_bytes()), ("name=\"file\"; filename=\"C:\\\\anh\\\\cầu.png\"", &file),
            ("name=\"alt\"", "Cầu".as_bytes()), ("name=\"focal_point\"", br#"{"x":0.25,"y":0.5}"#),
        ]);
        let image = desk.as_writer().ask("POST", "/images").bytes(&media_type, body).await.is(201);
        assert_eq!((&image["alt"], &image["credit"]), (&json!("Cầu"), &json!("Ảnh: TTX")));
        assert_eq!((&image["width"], &image["height"], &image["media_type"]), (&json!(70), &json!(50), &json!("image/png")));
        assert_eq!(image["filename"], "cầu.png");
        assert_eq!(image["focal_point"], json!({ "x": 0.25, "y": 0.5 }));
    }

    async fn the_same_file_again_is_the_same_image(desk) {
        let image = desk.image(71).await;
        assert_eq!(image["duplicate"], false);
        let again = desk.as_writer().ask("POST", "/images").bytes("application/octet-stream", png(71, 40)).await.is(200);
        assert_eq!((again.id(), &again["duplicate"]), (image.id(), &json!(true)));
        assert_eq!(desk.as_editor().get("/images?include_total=true").await["page"]["total"], 1);
    }

    async fn the_content_decides_what_a_file_is(desk) {
        let upload = |media_type: &str, bytes: Vec<u8>| desk.as_editor().ask("POST", "/images").bytes(media_type, bytes);
        let image = upload("image/png", jpeg(72, 40)).await.is(201);
        assert_eq!(image["media_type"], "image/jpeg");
        upload("text/plain", png(72, 40)).await.refuses(415, "unsupported_media_type");
        upload("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec()).await.refuses(415, "unsupported_media_type");
        upload("image/png", b"just words".to_vec()).await.refuses(415, "unsupported_media_type");
    }

    async fn a_file_is_served_for_good_and_never_as_a_page(desk) {
        let image = desk.image(73).await;
        let path = image.text("/url").strip_prefix(&desk.address()).expect("our address").to_owned();
        let file = desk.as_reader().get(&path).await.is(200);
        assert_eq!(file.header("content-type"), "image/png");
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(file.header("x-content-type-options"), "nosniff");
        assert_eq!(file.bytes.len() as i64, image["bytes"].as_i64().expect("a number"));
        let part = desk.as_reader().get(&path).header("Range", "bytes=0-7").await.is(206);
        assert_eq!(part.bytes, b"\x89PNG\r\n\x1a\n");
        desk.as_reader().get(&path).header("Range", "bytes=9999999-").await.refuses(416, "range_not_satisfiable");
        desk.as_reader().get(&path).header("If-None-Match", &file.header("etag")).await.is(304);
        let head = desk.as_reader().ask("HEAD", &path).await.is(200);
        assert_eq!(head.header("content-length"), file.bytes.len().to_string());
        for wrong in ["/media/00/00.png", "/media/x", "/media/..%2Fnewsdesk.db/x", "/media/x/..%2F..%2Fnewsdesk.db"] {
            desk.as_reader().get(wrong).await.refuses(404, "not_found");
        }
        for wrong in ["/media/../newsdesk.db", "/media/%2e%2e/newsdesk.db", "/media/./../../etc/passwd"] {
            let answer = desk.raw(format!("GET {wrong} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
            assert!(answer.starts_with("HTTP/1.1 404"), "{wrong}: {answer}");
        }
    }

    async fn words_and_rights_are_merged(desk) {
        let image = desk.image(74).await;
        let path = format!("/images/{}", image.id());
        let editor = desk.as_editor();
        let first = editor.patch(&path, json!({ "alt": "A", "rights": { "licence": "CC0", "notes": "N" } }), 1).await.is(200);
        assert_eq!(first["rights"], json!({ "licence": "CC0", "source": null, "expires_at": null, "regions": [], "notes": "N" }));
        let second = editor.patch(&path, json!({ "rights": { "notes": null }, "focal_point": { "x": 0, "y": 1 } }), 2).await.is(200);
        assert_eq!((&second["rights"]["licence"], &second["rights"]["notes"]), (&json!("CC0"), &json!(null)));
        editor.patch(&path, json!({ "focal_point": { "x": 2, "y": 1 } }), 3).await.points_at("/focal_point/x");
        editor.patch(&path, json!({ "filename": "../x.png" }), 3).await.points_at("/filename");
        editor.patch(&path, json!({ "width": 1 }), 3).await.points_at("/width");
    }

    async fn an_image_in_use_stays_and_says_where(desk) {
        let image = desk.image(75).await;
        let draft = desk.as_editor().post("/articles", json!({ "title": "Dùng ảnh" })).await.is(201);
        let caption = desk.caption(&draft, &image, "lead").await;
        let path = format!("/images/{}", image.id());
        let used = desk.as_editor().get(&path).await.is(200);
        assert_eq!((&used["used_in"][0]["article_id"], &used["used_in"][0]["caption_id"]), (&draft["id"], &caption["id"]));
        desk.as_editor().delete(&path, 1).await.refuses(409, "in_use");
        assert!(desk.as_editor().get("/images?unused=true").await.is(200).each("id").is_empty());
        assert_eq!(desk.as_writer().get(&path).await.is(200)["used_in"], json!([]), "not of what a writer may not know");
        desk.as_editor().delete(&format!("/captions/{}", caption.id()), 1).await.is(204);
        desk.as_editor().delete(&path, 1).await.is(204);
        desk.as_editor().get(&path).await.refuses(404, "not_found");
        assert!(desk.as_editor().get("/images").await.is(200).each("id").is_empty());
    }

    async fn a_writer_changes_own_images_that_are_not_placed(desk) {
        let own = desk.as_writer().ask("POST", "/images").bytes("image/png", png(76, 40)).await.is(201);
        let path = format!("/images/{}", own.id());
        desk.as_writer().patch(&path, json!({ "alt": "Của tôi" }), 1).await.is(200);
        desk.as_other_writer().patch(&path, json!({ "alt": "Của bạn" }), 2).await.refuses(403, "forbidden");
        desk.as_other_writer().delete(&path, 2).await.refuses(403, "forbidden");
        let draft = desk.as_editor().post("/articles", json!({ "title": "Đặt" })).await.is(201);
        desk.caption(&draft, &own, "lead").await;
        desk.as_writer().patch(&path, json!({ "alt": "Muộn" }), 2).await.refuses(403, "forbidden");
    }
}
