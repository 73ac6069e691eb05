//! Files kept as they were uploaded, for the newsroom alone.

use super::library::{photograph, stored};
use super::stores::until;
use crate::support::{Desk, Reply, newsroom_tests};

const SECRET: &[u8] = b"SERIAL-4711";

fn holds(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|part| part == SECRET)
}

/// The kept uploads in the media folder.
fn kept(desk: &Desk) -> Vec<String> {
    let files = stored(desk.folder());
    files.into_iter().filter(|file| file.ends_with(".upload")).collect()
}

async fn uploaded(desk: &Desk, width: u32) -> Reply {
    let upload = desk.as_writer().ask("POST", "/images");
    upload.bytes("image/jpeg", photograph(width)).await.is(201)
}

newsroom_tests! {
    async fn an_upload_is_kept_byte_for_byte_and_no_reader_gets_it(desk, KEEP_UPLOADS = "on") {
        let image = uploaded(&desk, 60).await;
        let path = format!("/images/{}/upload", image.id());
        assert!(image["upload_url"].is_null(), "a writer is shown no address that is closed to writers");
        let seen = desk.as_editor().get(&format!("/images/{}", image.id())).await.is(200);
        assert_eq!(seen.text("/upload_url"), format!("{}/management/v1{path}", desk.address()));
        let upload = desk.as_editor().get(&path).await.is(200);
        assert_eq!(upload.bytes, photograph(60));
        assert_eq!(upload.header("content-type"), "image/jpeg");
        assert_eq!(upload.header("cache-control"), "private, no-store");
        assert!(upload.header("content-disposition").starts_with("attachment; filename="), "{upload:?}");
        desk.as_writer().get(&path).await.refuses(403, "forbidden");

        let served = desk.as_reader().get(desk.path(&image.text("/url"))).await.is(200);
        assert!(holds(&photograph(60)) && !holds(&served.bytes));
        let keys = kept(&desk);
        assert_eq!(keys.len(), 1, "{keys:?}");
        let stem = image.text("/url").rsplit_once('/').expect("a file").1.replace(".jpg", "");
        assert!(!keys[0].contains(&stem), "its name tells nobody where the upload is");
        let key = keys[0].rsplit_once("/media/").expect("a key").1;
        desk.as_reader().get(&format!("/media/{key}")).await.refuses(404, "not_found");
        desk.as_reader().ask("HEAD", &format!("/media/{key}")).await.is(404);
        desk.as_reader().get(&path).await.is(404);
    }

    async fn the_same_upload_is_kept_once_and_goes_with_its_image(desk, KEEP_UPLOADS = "on") {
        let image = uploaded(&desk, 61).await;
        desk.as_editor().ask("POST", "/images").bytes("image/jpeg", photograph(61)).await.is(200);
        let other = uploaded(&desk, 62).await;
        let put = desk.as_editor().ask("PUT", &format!("/images/{}/file", other.id()));
        let other = put.bytes("image/jpeg", photograph(63)).version(1).await.is(200);
        let upload = desk.as_editor().get(&format!("/images/{}/upload", other.id())).await.is(200);
        assert_eq!(upload.bytes, photograph(63), "the upload of the file that it has now");
        assert_eq!(kept(&desk).len(), 3);
        desk.command(&["media", "check", "--checksums"]).done();

        desk.as_editor().delete(&format!("/images/{}", image.id()), 1).await.is(204);
        desk.as_editor().get(&format!("/images/{}/upload", image.id())).await.refuses(404, "not_found");
        desk.terminate();
        desk.database().execute("UPDATE image_files SET retired_ms = retired_ms - 2592000000 - 60000 WHERE retired_ms IS NOT NULL");
        desk.start();
        until("the uploads of what is gone stay", || kept(&desk).len() == 1).await;
        until("their rows stay", || desk.database().count("image_files") == 2).await;
        std::fs::write(&kept(&desk)[0], "bent").expect("a file");
        let checked = desk.command(&["media", "check"]);
        assert!(checked.code == Some(1) && checked.err.contains("1 of the wrong size"), "{checked:?}");
    }

    async fn without_the_setting_nothing_of_it_is_kept(desk) {
        let image = uploaded(&desk, 64).await;
        assert!(image["upload_url"].is_null());
        desk.as_editor().get(&format!("/images/{}/upload", image.id())).await.refuses(404, "not_found");
        for file in stored(desk.folder()) {
            assert!(!holds(&std::fs::read(&file).expect("a file")), "{file}");
        }
    }
}
