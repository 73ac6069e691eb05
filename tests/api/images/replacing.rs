//! Another file for an image: the same id, the same places, new addresses.

use super::form;
use super::library::stored;
use crate::support::newsroom::{jpeg, png};
use crate::support::{Desk, Reply, json, newsroom_tests};

async fn replace(desk: &Desk, image: &Reply, bytes: Vec<u8>, version: i64) -> Reply {
    let path = format!("/images/{}/file", image.id());
    desk.as_editor()
        .ask("PUT", &path)
        .bytes("application/octet-stream", bytes)
        .version(version)
        .await
}

/// The path of a file's address.
fn path_of(desk: &Desk, reply: &Reply, pointer: &str) -> String {
    reply.text(pointer).trim_start_matches(&desk.address()).to_owned()
}

newsroom_tests! {
    async fn a_new_file_keeps_the_image_and_reaches_published_stories_at_once(desk) {
        let image = desk.image(60).await;
        let draft = desk.as_editor().post("/articles", json!({ "title": "Ảnh mờ" })).await.is(201);
        let caption = desk.caption(&draft, &image, "lead").await;
        let live = desk.publish(&desk.current(&draft).await).await;
        let before = desk.read(&live).await.is(200);
        let list = desk.as_reader().get("/articles").await.is(200);
        assert_eq!(list.text("/data/0/cover/image/url"), image.text("/url"));

        let new = replace(&desk, &image, jpeg(90, 60), 1).await.is(200);
        assert_eq!((new.id(), new.version(), &new["duplicate"]), (image.id(), 2, &json!(false)));
        assert_eq!((&new["width"], &new["media_type"]), (&json!(90), &json!("image/jpeg")));
        assert_ne!(new.text("/url"), image.text("/url"));
        assert_eq!(new.text("/used_in/0/caption_id"), caption.id());
        assert_eq!(new.header("etag"), "\"2\"");

        let after = desk.read(&live).await.is(200);
        assert_eq!(after.text("/cover/image/url"), new.text("/url"));
        assert_eq!(after.text("/cover/image/id"), image.id());
        assert_ne!(after.header("etag"), before.header("etag"));
        let list = desk.as_reader().get("/articles").await.is(200);
        assert_eq!(list.text("/data/0/cover/image/url"), new.text("/url"));
        let feed = desk.feed().await;
        let told = feed.last().expect("a change");
        assert_eq!((&told["type"], &told["subject_id"]), (&json!("image.updated"), &json!(image.id())));
        assert!(!told["surrogate_keys"].as_array().expect("keys").is_empty());
        let working = desk.current(&live).await;
        assert_eq!((&working["has_unpublished_changes"], working.version()), (&json!(false), live.version()));

        // Pages elsewhere still name the old file.
        desk.as_reader().get(&path_of(&desk, &image, "/url")).await.is(200);
        desk.as_reader().get(&path_of(&desk, &new, "/url")).await.is(200);
        let actions = desk.as_admin().get("/audit?action=image.replace").await.is(200);
        assert_eq!(actions.list("/data").len(), 1);
    }

    async fn a_form_may_bring_the_new_file_but_no_words(desk) {
        let image = desk.image(61).await;
        let path = format!("/images/{}/file", image.id());
        let file = png(62, 40);
        let (media_type, body) = form(&[("name=\"file\"; filename=\"mới.png\"", &file)]);
        let new = desk.as_editor().ask("PUT", &path).bytes(&media_type, body).version(1).await.is(200);
        assert_eq!(new["filename"], "mới.png");
        assert_eq!(desk.as_editor().get("/images?q=moi").await.is(200).each("id"), [image.id()]);
        let (media_type, body) = form(&[("name=\"file\"", &file), ("name=\"alt\"", b"x")]);
        desk.as_editor().ask("PUT", &path).bytes(&media_type, body).version(2).await.refuses(422, "validation_failed");
    }

    async fn nobody_replaces_what_a_colleague_has_changed_meanwhile(desk) {
        let image = desk.image(63).await;
        let path = format!("/images/{}", image.id());
        desk.as_editor().patch(&path, json!({ "alt": "Khác" }), 1).await.is(200);
        let refused = replace(&desk, &image, png(64, 40), 1).await.refuses(412, "version_mismatch");
        assert_eq!(refused["current_version"], 2);
        let bare = desk.as_editor().ask("PUT", &format!("{path}/file")).bytes("image/png", png(64, 40)).await;
        bare.refuses(428, "precondition_required");
        desk.as_editor().ask("PUT", &format!("{path}/file")).bytes("text/plain", "x").version(2).await.refuses(415, "unsupported_media_type");
        replace(&desk, &image, b"\x89PNG\r\n\x1a\nbroken".to_vec(), 2).await.refuses(422, "image_broken");
        assert_eq!(stored(desk.folder()).len(), 1, "what was refused is not kept");
        assert_eq!(desk.as_editor().get(&path).await.is(200)["url"], image["url"]);
    }

    async fn one_picture_is_one_image_also_when_files_are_replaced(desk) {
        let one = desk.image(65).await;
        let other = desk.image(66).await;
        let refused = replace(&desk, &one, png(66, 40), 1).await.refuses(409, "duplicate_image");
        assert_eq!(refused["image_id"], other["id"]);
        let same = replace(&desk, &one, png(65, 40), 1).await.is(200);
        assert_eq!((same.version(), &same["duplicate"], &same["url"]), (1, &json!(true), &one["url"]));
        // The replaced picture is nobody's: it may come as an image of its own.
        replace(&desk, &one, png(67, 40), 1).await.is(200);
        let again = desk.image(65).await;
        assert_ne!(again.id(), one.id());
        let third = desk.as_editor().ask("POST", "/images").bytes("image/png", png(67, 40)).await.is(200);
        assert_eq!(third.id(), one.id());
    }

    async fn writers_replace_what_is_theirs_and_nobody_uses(desk) {
        let own = desk.as_writer().ask("POST", "/images").bytes("image/png", png(68, 40)).await.is(201);
        let path = format!("/images/{}/file", own.id());
        desk.as_writer().ask("PUT", &path).bytes("image/png", png(69, 40)).version(1).await.is(200);
        desk.as_other_writer().ask("PUT", &path).bytes("image/png", png(70, 40)).version(2).await.refuses(403, "forbidden");
        let draft = desk.draft("Đặt").await;
        desk.caption(&draft, &own, "lead").await;
        desk.as_writer().ask("PUT", &path).bytes("image/png", png(70, 40)).version(2).await.refuses(403, "forbidden");
    }
}
