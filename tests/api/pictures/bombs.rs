//! Files made to take all the memory there is.

use std::io::Write;

use super::photo;
use crate::support::newsroom::bomb;
use crate::support::{Desk, newsroom_tests};

/// What the program may take at most, in KiB.
const MOST: u64 = 512 * 1024;

/// A PNG of one colour that is as large as it says, within the limits or not. `tag` makes it another file.
fn plain(width: u32, height: u32, colour: u8, depth: u8, tag: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8], data: &[u8]| {
        let mut sum = crc32fast::Hasher::new();
        sum.update(kind);
        sum.update(data);
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(kind);
        bytes.extend(data);
        bytes.extend(sum.finalize().to_be_bytes());
    };
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    head.extend([depth, colour, 0, 0, 0]);
    chunk(b"IHDR", &head);
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let channels = match colour {
        2 => 3,
        6 => 4,
        _ => 1,
    };
    let row = vec![0; 1 + width as usize * channels * usize::from(depth) / 8];
    (0..height).for_each(|_| packed.write_all(&row).expect("memory"));
    chunk(b"IDAT", &packed.finish().expect("memory"));
    chunk(b"tEXt", format!("Comment\0{tag}").as_bytes());
    chunk(b"IEND", b"");
    bytes
}

/// The most memory the program has held so far, in KiB.
fn most(desk: &Desk) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", desk.process_id())).expect("its status");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("its memory");
    let number = line.split_whitespace().nth(1).expect("a number");
    number.parse().expect("a number")
}

newsroom_tests! {
    async fn twenty_bombs_at_once_do_not_fill_the_memory(desk, AVIF = "on", RATE_LIMITS = "off") {
        let story = desk.story_with(&desk.upload("image/jpeg", photo(600, 400, 50)).await, "Bom").await;
        // What decodes to as much as may be, some of it see-through, some in sixteen bits; what claims more; a real one.
        let mut files: Vec<Vec<u8>> = Vec::new();
        files.extend((0..3).map(|tag| plain(8000, 6000, 6, 8, tag)));
        files.extend((0..2).map(|tag| plain(7000, 4600, 6, 16, tag)));
        files.extend((0..2).map(|tag| plain(12_000, 4100, 2, 8, tag)));
        files.extend([20_000, 30_000, 60_000, 12_000, 11_999, 40_000, 12_001, 25_000].map(bomb));
        files.extend((0..3).map(|tag| plain(9000, 9000, 6, 8, tag)));
        files.extend((0..2).map(|seed| photo(4000, 3000, 60 + seed)));
        assert_eq!(files.len(), 20);
        let done = std::sync::atomic::AtomicBool::new(false);
        let uploads = async {
            // On a busy machine some are not answered in a minute; they are worked on all the same.
            let sent = files.into_iter().map(|file| desk.as_editor().ask("POST", "/images").bytes("image/png", file).attempt());
            let answers: Vec<_> = futures_util::future::join_all(sent).await.into_iter().flatten().collect();
            // What was taken is asked for in the largest size, all at once.
            let taken: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
            let paths: Vec<String> = taken
                .iter()
                .map(|image| {
                    let url = image.text("/url");
                    let (stem, _) = desk.path(&url).rsplit_once('.').expect("an extension");
                    format!("{stem}-w2560.webp")
                })
                .collect();
            let variants = paths.iter().map(|path| desk.as_reader().get(path).attempt());
            let variants: Vec<_> = futures_util::future::join_all(variants).await.into_iter().flatten().collect();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            (answers, variants)
        };
        let reading = async {
            let mut read = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                desk.read(&story).await.is(200);
                desk.as_reader().get(&format!("/articles?limit={}", read % 100 + 1)).await.is(200);
                read += 1;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            read
        };
        let ((answers, variants), read) = tokio::join!(uploads, reading);
        for answer in answers {
            assert!(matches!(answer.status, 201 | 422 | 503), "{}: {}", answer.status, answer.body());
        }
        for variant in variants {
            assert!(matches!(variant.status, 200 | 307 | 503), "{}: {}", variant.status, variant.body());
        }
        assert!(read > 10, "readers went on reading: {read}");
        let most = most(&desk);
        println!("{} MiB at most, {read} rounds of reading meanwhile", most / 1024);
        assert!(most < MOST, "{} MiB", most / 1024);
    }
}
