//! Where the bytes are kept: what every image needs is there, what nobody needs goes, and all of it can be moved.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::library::stored;
use crate::support::desk::{Ended, newsdesk, run_to_end};
use crate::support::newsroom::png;
use crate::support::{Desk, Reply, json, newsroom_tests};

impl Desk {
    /// Runs a command beside the server.
    pub fn command(&self, arguments: &[&str]) -> Ended {
        run_to_end(newsdesk(arguments, &self.settings(), self.folder()), "")
    }

    /// Where an image's file is in the media folder.
    fn file_of(&self, image: &Reply) -> PathBuf {
        let url = image.text("/url");
        let key = url.rsplit_once("/media/").expect("a file").1;
        self.folder().join("media").join(key)
    }
}

/// Makes a file this old.
fn age(path: &Path, days: u64) {
    let file = std::fs::File::options().write(true).open(path).expect("a file");
    let time = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
    file.set_modified(time).expect("a time");
}

/// Waits until it is so; retention looks at each start.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

newsroom_tests! {
    async fn files_of_deleted_and_replaced_images_go_when_their_time_has_come(desk) {
        let (deleted, replaced, kept) = (desk.image(100).await, desk.image(101).await, desk.image(102).await);
        desk.as_editor().delete(&format!("/images/{}", deleted.id()), 1).await.is(204);
        let put = desk.as_editor().ask("PUT", &format!("/images/{}/file", replaced.id())).bytes("image/png", png(103, 40)).version(1).await.is(200);
        let files = [desk.file_of(&deleted), desk.file_of(&replaced)];
        // Within their time nothing goes, also over a start.
        desk.terminate();
        desk.start();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(files.iter().all(|file| file.exists()));
        desk.terminate();
        desk.database().execute("UPDATE image_files SET retired_ms = retired_ms - 2592000000 - 60000 WHERE retired_ms IS NOT NULL");
        desk.start();
        until("retired files stay", || files.iter().all(|file| !file.exists())).await;
        assert!(desk.file_of(&kept).exists() && desk.file_of(&put).exists());
        until("their rows stay", || desk.database().count("image_files") == 2).await;
        desk.as_reader().get(desk.file_of(&put).strip_prefix(desk.folder()).map(|path| format!("/{}", path.display())).expect("a path").as_str()).await.is(200);
        desk.command(&["media", "check", "--checksums"]).done();
    }

    async fn what_a_crash_left_behind_goes_after_a_day(desk) {
        let image = desk.image(104).await;
        let folder = desk.file_of(&image).parent().expect("a folder").to_owned();
        let prefix = folder.file_name().expect("a name").to_str().expect("text").to_owned();
        let orphan = |rest: &str| folder.join(format!("{prefix}{}{rest}", "0".repeat(30)));
        let (old, variant, young) = (orphan(".png"), orphan("-w320.webp"), folder.join(format!("{prefix}{}.png", "1".repeat(30))));
        let staged = folder.join(format!("{prefix}{}.png#1", "2".repeat(30)));
        let foreign = desk.folder().join("media/readme.txt");
        // Another size that no row counts, as after a database was restored.
        let uncounted = PathBuf::from(desk.file_of(&image).display().to_string().replace(".png", "-w320.webp"));
        for file in [&old, &variant, &young, &staged, &foreign, &uncounted] {
            std::fs::write(file, "x").expect("a file");
        }
        for file in [&old, &variant, &staged, &foreign, &uncounted, &desk.file_of(&image)] {
            age(file, 2);
        }
        let checked = desk.command(&["media", "check"]);
        assert_eq!(checked.code, Some(1), "{checked:?}");
        assert!(checked.out.contains("orphan") && checked.err.contains("3 that no image owns"), "{checked:?}");
        desk.terminate();
        desk.database().execute("DELETE FROM meta WHERE name = 'media_looked_ms'");
        desk.start();
        until("orphans stay", || [&old, &variant, &staged, &uncounted].iter().all(|file| !file.exists())).await;
        assert!([&young, &foreign, &desk.file_of(&image)].iter().all(|file| file.exists()));
        desk.command(&["media", "check"]).done();
    }

    async fn another_installations_store_is_left_alone(desk) {
        let image = desk.image(105).await;
        desk.kill();
        let file = desk.file_of(&image);
        age(&file, 2);
        std::fs::write(desk.folder().join("media/newsdesk-owner.txt"), "somebody else").expect("a file");
        desk.database().execute("DELETE FROM image_files; DELETE FROM meta WHERE name = 'media_looked_ms'");
        desk.start();
        let log = desk.clone();
        until("nobody was told", || log.log().contains("belongs to another installation")).await;
        assert!(file.exists());
    }

    async fn a_check_finds_what_is_missing_cut_or_bent(desk) {
        let images = [desk.image(106).await, desk.image(107).await, desk.image(108).await, desk.image(109).await];
        let files: Vec<PathBuf> = images.iter().map(|image| desk.file_of(image)).collect();
        let good = desk.command(&["media", "check", "--checksums"]);
        good.done();
        assert!(good.out.contains("4 originals") && good.out.contains("every checksum compared"), "{good:?}");
        std::fs::remove_file(&files[0]).expect("removed");
        std::fs::write(&files[1], "short").expect("cut");
        let mut bent = std::fs::read(&files[2]).expect("a file");
        let middle = bent.len() / 2;
        bent[middle] ^= 1;
        std::fs::write(&files[2], bent).expect("bent");
        let quick = desk.command(&["media", "check"]);
        assert_eq!(quick.code, Some(1));
        assert!(quick.err.contains("1 missing, 1 of the wrong size") && !quick.err.contains("checksum"), "{quick:?}");
        let whole = desk.command(&["media", "check", "--checksums", "--json"]);
        assert_eq!(whole.code, Some(1));
        let lines: Vec<crate::support::Value> = whole.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let found = |finding: &str, image: &Reply| {
            lines.iter().any(|line| line["finding"] == finding && line["image_id"] == image["id"])
        };
        assert!(found("missing", &images[0]) && found("wrong_size", &images[1]) && found("wrong_checksum", &images[2]), "{whole:?}");
        let summary = &lines.last().expect("a summary")["summary"];
        assert_eq!((&summary["images"], &summary["missing"], &summary["wrong_checksum"]), (&json!(4), &json!(1), &json!(1)));
    }

    async fn the_files_move_to_another_store_and_the_program_after_them(desk) {
        let mut images = Vec::new();
        for width in 110..140 {
            images.push(desk.image(width).await);
        }
        let target = desk.folder().join("elsewhere");
        let to = format!("file://{}", target.display());
        let moved = desk.command(&["media", "move", &to]);
        moved.done();
        assert!(moved.out.contains("30 files copied") && moved.out.contains(&format!("MEDIA_URL={to}")), "{moved:?}");
        let copy = |image: &Reply| target.join(desk.file_of(image).strip_prefix(desk.folder().join("media")).expect("a key"));
        for image in &images {
            assert_eq!(std::fs::read(desk.file_of(image)).expect("here"), std::fs::read(copy(image)).expect("there"));
        }
        // What came meanwhile is copied, what was lost there too, and nothing else once more.
        let late = desk.image(140).await;
        std::fs::remove_file(copy(&images[3])).expect("removed");
        let written = std::fs::metadata(copy(&images[4])).expect("a file").modified().expect("a time");
        let again = desk.command(&["media", "move", &to]);
        again.done();
        assert!(again.out.contains("2 files copied, 0 were there already"), "{again:?}");
        assert!(copy(&late).exists() && copy(&images[3]).exists());
        assert_eq!(std::fs::metadata(copy(&images[4])).expect("a file").modified().expect("a time"), written);
        // A move that forgot what it had done reads what is there and copies only what is not the same.
        desk.database().execute("DELETE FROM media_moves");
        let length = std::fs::metadata(copy(&images[5])).expect("a file").len();
        std::fs::write(copy(&images[5]), vec![0; usize::try_from(length).expect("a size")]).expect("bent");
        let anew = desk.command(&["media", "move", &to]);
        anew.done();
        assert!(anew.out.contains("1 files copied, 30 were there already"), "{anew:?}");
        assert_eq!(stored(desk.folder()).len(), 31, "nothing is removed here");
        let foreign = desk.folder().join("foreign");
        std::fs::create_dir(&foreign).expect("a folder");
        std::fs::write(foreign.join("newsdesk-owner.txt"), "somebody else").expect("a file");
        let refused = desk.command(&["media", "move", &format!("file://{}", foreign.display())]);
        assert!(refused.code == Some(1) && refused.err.contains("another installation"), "{refused:?}");
        let same = format!("file://{}", desk.folder().join("media").display());
        assert_eq!(desk.command(&["media", "move", &same]).code, Some(1));
        let within = format!("{same}/sub");
        assert!(desk.command(&["media", "move", &within]).err.contains("one within the other"));
        let checked = run_to_end(
            newsdesk(&["media", "check", "--checksums"], &[desk.settings(), vec![("MEDIA_URL", &to)]].concat(), desk.folder()), "",
        );
        checked.done();
    }

    async fn a_bent_original_is_moved_and_named(desk) {
        let image = desk.image(141).await;
        let file = desk.file_of(&image);
        let length = std::fs::metadata(&file).expect("a file").len();
        std::fs::write(&file, vec![7; usize::try_from(length).expect("a size")]).expect("bent");
        let moved = desk.command(&["media", "move", &format!("file://{}", desk.folder().join("elsewhere").display())]);
        assert_eq!(moved.code, Some(1));
        let key = file.file_name().expect("a name").to_str().expect("text");
        assert!(moved.err.contains("copied as they are") && moved.err.contains(key), "{moved:?}");
        // It is told as long as it is so.
        let again = desk.command(&["media", "move", &format!("file://{}", desk.folder().join("elsewhere").display())]);
        assert!(again.code == Some(1) && again.err.contains(key), "{again:?}");
    }
}
