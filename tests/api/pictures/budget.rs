//! What variants may take of the disk.

use super::{eventually, photo};
use crate::support::{Desk, newsroom_tests};

const BUDGET: i64 = 1024 * 1024;

/// Bytes of all files in the media folder whose names have this in them.
fn on_disk(desk: &Desk, part: &str) -> i64 {
    let entries = std::fs::read_dir(desk.folder().join("media")).expect("the media folder");
    let folders = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).expect("a folder"));
    let files = files.map(|file| file.expect("a file"));
    files
        .filter(|file| file.file_name().to_string_lossy().contains(part))
        .map(|file| file.metadata().expect("a size").len() as i64)
        .sum()
}

newsroom_tests! {
    async fn what_was_not_used_for_longest_makes_room(desk, VARIANTS_MIB = "1") {
        let image = desk.upload("image/jpeg", photo(1600, 1200, 20)).await;
        let stem = desk.path(&image.text("/url")).replace(".jpg", "");
        let wanted = |name: &str| format!("{stem}-{name}");
        let (old, dear) = (wanted("w320.jpg"), wanted("w480.jpg"));
        let first = desk.as_reader().get(&old).await.is(200);
        desk.as_reader().get(&dear).await.is(200);
        // One has not been looked at for days, the other one a minute ago.
        desk.database().execute("UPDATE image_variants SET used_ms = used_ms - 864000000 WHERE spec = 'w320.jpg'");
        for name in ["w1600.jpg", "w1280.jpg", "w960.jpg", "w1600.webp", "w1280.webp", "1x1-50x50-w1200.jpg", "4x3-50x50-w1280.jpg", "3x2-50x50-w1280.jpg"] {
            desk.as_reader().get(&wanted(name)).await.is(200);
        }
        eventually("the budget is kept", || async {
            desk.database().count("image_variants WHERE spec = 'w320.jpg'") == 0 && on_disk(&desk, "-") <= BUDGET
        })
        .await;
        assert!(desk.database().count("image_variants") > 0, "not everything goes");
        assert!(on_disk(&desk, ".jpg") > 0, "the original stays");
        let again = desk.as_reader().get(&old).await.is(200);
        assert!(again.bytes == first.bytes, "the same address makes the same picture again");
    }

    async fn a_crash_in_the_middle_of_anything_leaves_nothing_behind(desk) {
        let image = desk.upload("image/jpeg", photo(800, 600, 21)).await;
        let stem = desk.path(&image.text("/url")).replace(".jpg", "");
        for name in ["w320.jpg", "w480.jpg", "w640.jpg"] {
            desk.as_reader().get(&format!("{stem}-{name}")).await.is(200);
        }
        desk.kill();
        // It died after one file was removed and its row was not, before another was removed, and while a third was made.
        let file = |name: &str| desk.folder().join(format!("media/{}-{name}", stem.trim_start_matches("/media/")));
        std::fs::remove_file(file("w320.jpg")).expect("the file");
        desk.database().execute(
            "UPDATE image_variants SET state = 'evicting' WHERE spec IN ('w320.jpg', 'w480.jpg'); \
             UPDATE image_variants SET state = 'making', used_ms = used_ms - 7200000 WHERE spec = 'w640.jpg'",
        );
        desk.start();
        eventually("nothing is left", || async { desk.database().count("image_variants") == 0 }).await;
        for name in ["w320.jpg", "w480.jpg", "w640.jpg"] {
            assert!(!file(name).exists(), "{name}");
            desk.as_reader().get(&format!("{stem}-{name}")).await.is(200);
        }
        assert_eq!(desk.database().count("image_variants WHERE state = 'ready'"), 3);
    }
}
