//! Sizes, cuts and formats, made when they are first asked for.

use sha2::{Digest, Sha256};

use image::{DynamicImage, Frame, ImageFormat, Rgba, RgbaImage};

use super::{candidates, eventually, photo, size_of, types, written};
use crate::support::{Desk, all, json, newsroom_tests};

fn animation() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    let frame = |shade: u8| Frame::new(RgbaImage::from_pixel(500, 400, Rgba([shade, 90, 60, 255])));
    encoder
        .encode_frames([0, 80, 160, 240].map(frame))
        .expect("an animation");
    drop(encoder);
    bytes
}

/// The rows of variants that there are.
fn kept(desk: &Desk) -> i64 {
    desk.database().count("image_variants WHERE state = 'ready'")
}

newsroom_tests! {
    async fn a_page_gets_every_size_in_the_best_types_and_cuts_for_cards(desk) {
        let image = desk.upload("image/jpeg", photo(2000, 1500, 1)).await;
        let path = format!("/images/{}", image.id());
        desk.as_editor().patch(&path, json!({ "focal_point": { "x": 0.25, "y": 0.1 } }), 1).await.is(200);
        let story = desk.story_with(&image, "Ảnh").await;
        let shown = desk.cover(&story).await;
        assert_eq!((&shown["width"], &shown["height"], &shown["media_type"]), (&json!(1600), &json!(1200), &json!("image/jpeg")));
        assert_eq!(types(&shown["sources"]), ["image/webp", "image/jpeg"], "the best first");
        assert!(shown["placeholder"]["thumbhash"].is_string());
        for source in shown["sources"].as_array().expect("sources") {
            let files = candidates(source["srcset"].as_str().expect("a srcset"));
            let widths: Vec<u32> = files.iter().map(|(_, width)| *width).collect();
            assert_eq!(widths, [320, 480, 640, 960, 1280, 1600, 2000], "never enlarged");
            for (url, width) in &files[..3] {
                let file = desk.file(url).await.is(200);
                assert_eq!(file.header("content-type"), source["media_type"].as_str().expect("a type"));
                assert_eq!(size_of(&file.bytes), (*width, width * 3 / 4), "{url}");
            }
        }
        let names: Vec<_> = shown["crops"].as_array().expect("crops").iter().map(|crop| crop["ratio"].clone()).collect();
        assert_eq!(names, ["1:1", "4:3", "3:2", "16:9", "1.91:1"]);
        for crop in shown["crops"].as_array().expect("crops") {
            let file = desk.file(crop["url"].as_str().expect("a URL")).await.is(200);
            let (width, height) = size_of(&file.bytes);
            assert_eq!((&crop["width"], &crop["height"]), (&json!(width), &json!(height)), "{crop}");
            let (across, down) = crop["ratio"].as_str().expect("a ratio").split_once(':').expect("a ratio");
            let ratio: f64 = across.parse::<f64>().expect("a number") / down.parse::<f64>().expect("a number");
            assert!((f64::from(width) / f64::from(height) - ratio).abs() < 0.01, "{width} x {height} is not {ratio}");
            assert!(crop["url"].as_str().expect("a URL").contains("-25x10-"), "around the focal point: {crop}");
            assert_eq!(types(&crop["sources"]), ["image/webp", "image/jpeg"]);
        }
        assert_eq!(desk.file(shown["url"].as_str().expect("a URL")).await.is(200).header("content-type"), "image/jpeg");
        let page = desk.as_reader().get("/articles").await.is(200);
        assert_eq!(page["data"][0]["cover"]["image"], shown, "lists say the same");
        let about = desk.as_reader().get(&format!("/articles/{}/json-ld", story.id())).await.is(200);
        assert_eq!((&about["image"][0]["url"], &about["image"][0]["width"]), (&shown["url"], &json!(1600)));
    }

    async fn nobody_fills_the_disk_by_asking(desk) {
        let image = desk.upload("image/jpeg", photo(1000, 700, 2)).await;
        let url = image.text("/url");
        let stem = desk.path(&url).strip_suffix(".jpg").expect("a photograph").to_owned();
        for wrong in [
            "w321.webp", "w0.webp", "w-640.webp", "w0640.webp", "w640.gif", "w640.png", "w640.bmp", "w1280.webp", "w2560.jpg",
            "w999.jpg", "w640", "w640.webp.webp", "2x1-50x50-w640.jpg", "16x9-w640.jpg", "16x9-50x50-w1280.jpg", "16x9-51x50-w640.jpg",
            "16x9-101x50-w640.jpg", "1x1-50x50-w1000.jpg", "640.webp", "W640.webp", "w640-w640.webp", "", "w18446744073709551616.jpg",
        ] {
            let refused = desk.as_reader().get(&format!("{stem}-{wrong}")).await.refuses(404, "not_found");
            assert_eq!(refused.header("cache-control"), "no-store", "{wrong}");
        }
        let stranger = "/media/3f/3f9c2b1e5a7d4c60b8e21d0f6a9b3c47-w640.webp";
        desk.as_reader().get(stranger).await.refuses(404, "not_found");
        assert_eq!(desk.database().count("image_variants"), 0);
        for good in ["w640.webp", "w1000.jpg", "16x9-50x50-w640.jpg", "1x1-50x50-w700.webp"] {
            desk.as_reader().get(&format!("{stem}-{good}")).await.is(200);
        }
        eventually("four are kept", || async { kept(&desk) == 4 }).await;
    }

    async fn however_many_ask_it_is_made_once(desk, LOG = "newsdesk=debug") {
        let image = desk.upload("image/jpeg", photo(1600, 1200, 3)).await;
        let path = desk.path(&image.text("/url")).replace(".jpg", "-w960.webp");
        let answers = all((0..40).map(|_| desk.as_reader().get(&path))).await;
        let first = answers[0].bytes.clone();
        for answer in answers {
            assert_eq!(answer.is(200).bytes, first);
        }
        let made = desk.log().lines().filter(|line| line.contains("made variants")).count();
        assert_eq!(made, 1, "{}", desk.log());
        assert_eq!(kept(&desk), 1);
    }

    async fn too_many_at_once_are_told_to_come_back(desk, RATE_LIMITS = "off") {
        let mut paths = Vec::new();
        // Large, so that each turn takes its time.
        for seed in 0..4 {
            let image = desk.upload("image/jpeg", photo(4000, 3000, 40 + seed)).await;
            let stem = desk.path(&image.text("/url")).replace(".jpg", "");
            for format in ["webp", "jpg"] {
                for width in [320, 480, 640] {
                    paths.push(format!("{stem}-w{width}.{format}"));
                    for ratio in ["1x1", "4x3", "3x2", "16x9", "1.91x1"] {
                        paths.push(format!("{stem}-{ratio}-50x50-w{width}.{format}"));
                    }
                }
            }
        }
        // On a busy machine some are not answered in a minute; that says nothing here.
        let asked = paths.iter().map(|path| desk.as_reader().get(path).attempt());
        let answers = futures_util::future::join_all(asked).await.into_iter().flatten();
        let (good, crowded): (Vec<_>, Vec<_>) = answers.partition(|answer| answer.status == 200);
        assert!(!good.is_empty() && !crowded.is_empty(), "{} and {}", good.len(), crowded.len());
        for answer in crowded {
            assert!(!answer.refuses(503, "unavailable").header("retry-after").is_empty());
        }
    }

    async fn a_variant_is_served_like_every_file(desk) {
        let image = desk.upload("image/jpeg", photo(900, 600, 5)).await;
        let path = desk.path(&image.text("/url")).replace(".jpg", "-w640.jpg");
        let head = desk.as_reader().ask("HEAD", &path).await.is(200);
        let file = desk.as_reader().get(&path).await.is(200);
        assert_eq!(head.header("content-length"), file.bytes.len().to_string());
        assert_eq!(head.header("etag"), file.header("etag"));
        // From the store, from memory, and after a start that has forgotten both.
        for round in 0..3 {
            if round == 2 {
                desk.terminate();
                desk.start();
            }
            let again = desk.as_reader().get(&path).await.is(200);
            assert_eq!(again.bytes, file.bytes);
            for (name, value) in [
                ("content-type", "image/jpeg"), ("cache-control", "public, max-age=31536000, immutable"), ("x-content-type-options", "nosniff"),
                ("accept-ranges", "bytes"), ("access-control-allow-origin", "*"), ("cross-origin-resource-policy", "cross-origin"),
                ("content-disposition", "inline"), ("content-security-policy", "default-src 'none'; sandbox"), ("etag", &file.header("etag")),
            ] {
                assert_eq!(again.header(name), value, "{name}, round {round}");
            }
            assert!(!again.header("x-request-id").is_empty());
            let part = desk.as_reader().get(&path).header("Range", "bytes=10-19").await.is(206);
            assert_eq!((part.bytes.as_slice(), part.header("content-range")), (&file.bytes[10..20], format!("bytes 10-19/{}", file.bytes.len())));
            let tail = desk.as_reader().get(&path).header("Range", "bytes=-5").await.is(206);
            assert_eq!(tail.bytes, file.bytes[file.bytes.len() - 5..]);
            let other = desk.as_reader().get(&path).header("Range", "bytes=0-9").header("If-Range", "\"other\"").await.is(200);
            assert_eq!(other.bytes.len(), file.bytes.len());
            let refused = desk.as_reader().get(&path).header("Range", "bytes=99999999-").await.refuses(416, "range_not_satisfiable");
            assert_eq!(refused.header("content-range"), format!("bytes */{}", file.bytes.len()));
            desk.as_reader().get(&path).header("If-None-Match", &file.header("etag")).await.is(304);
            let head = desk.as_reader().ask("HEAD", &path).header("Range", "bytes=0-9").await.is(200);
            assert_eq!(head.header("content-length"), file.bytes.len().to_string());
            assert_eq!(desk.as_reader().get(&format!("{path}?v=1")).await.is(200).bytes, file.bytes);
        }
    }

    async fn a_moved_focal_point_gives_a_new_address_and_the_old_one_goes_on(desk) {
        let image = desk.upload("image/jpeg", photo(1200, 1200, 6)).await;
        let story = desk.story_with(&image, "Tiêu điểm").await;
        let path = format!("/images/{}", image.id());
        let wide = |shown: &crate::support::Value| shown["crops"][3]["url"].as_str().expect("a URL").to_owned();
        let middle = wide(&desk.cover(&story).await);
        desk.as_editor().patch(&path, json!({ "focal_point": { "x": 0.5, "y": 0.0 } }), 1).await.is(200);
        let upper = wide(&desk.cover(&story).await);
        desk.as_editor().patch(&path, json!({ "focal_point": { "x": 0.5, "y": 1.0 } }), 2).await.is(200);
        let lower = wide(&desk.cover(&story).await);
        let mut first = Vec::new();
        for url in [&middle, &upper, &lower] {
            first.push(desk.file(url).await.is(200).bytes);
        }
        assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2], "three cuts");
        // All of it is removed to make room; static pages still name the old addresses.
        desk.database().execute("UPDATE image_variants SET state = 'evicting'");
        eventually("they are removed", || async { desk.database().count("image_variants") == 0 }).await;
        for (url, bytes) in [&middle, &upper, &lower].into_iter().zip(&first) {
            let again = desk.file(url).await.is(200);
            assert!(again.bytes == *bytes, "{url} is the same picture again");
        }
        let never = desk.path(&lower).replace("-50x100-", "-50x99-");
        desk.as_reader().get(&never).await.refuses(404, "not_found");
    }

    async fn a_small_picture_is_offered_as_it_is(desk) {
        let image = desk.image(300).await;
        let story = desk.story_with(&image, "Nhỏ").await;
        let shown = desk.cover(&story).await;
        assert_eq!(shown["url"], image["url"], "small enough for every page");
        assert_eq!((&shown["width"], &shown["height"]), (&json!(300), &json!(40)));
        for source in shown["sources"].as_array().expect("sources") {
            let [(url, width)] = &candidates(source["srcset"].as_str().expect("a srcset"))[..] else { panic!("one width: {source}") };
            assert_eq!((*width, size_of(&desk.file(url).await.is(200).bytes)), (300, (300, 40)));
        }
        let square = &shown["crops"][0];
        assert_eq!((&square["width"], &square["height"]), (&json!(40), &json!(40)));
        desk.file(square["url"].as_str().expect("a URL")).await.is(200);
    }

    async fn what_can_be_seen_through_stays_so(desk) {
        let logo = RgbaImage::from_fn(1000, 500, |x, y| Rgba([x as u8, y as u8, 0, if x < 500 { 0 } else { 255 }]));
        let image = desk.upload("image/png", written(&DynamicImage::from(logo), ImageFormat::Png)).await;
        let story = desk.story_with(&image, "Biểu trưng").await;
        let shown = desk.cover(&story).await;
        assert_eq!(types(&shown["sources"]), ["image/webp", "image/png"]);
        for source in shown["sources"].as_array().expect("sources") {
            let files = candidates(source["srcset"].as_str().expect("a srcset"));
            let file = desk.file(&files[0].0).await.is(200);
            let pixels = image::load_from_memory(&file.bytes).expect("a picture").into_rgba8();
            assert_eq!((pixels.get_pixel(20, 50)[3], pixels.get_pixel(300, 50)[3]), (0, 255));
        }
        let stem = desk.path(&image.text("/url")).replace(".png", "");
        desk.as_reader().get(&format!("{stem}-w640.jpg")).await.refuses(404, "not_found");
    }

    async fn an_animation_moves_as_webp_and_as_it_was(desk) {
        let image = desk.upload("image/gif", animation()).await;
        let story = desk.story_with(&image, "Động").await;
        let shown = desk.cover(&story).await;
        assert_eq!(types(&shown["sources"]), ["image/webp", "image/gif"]);
        let files = candidates(shown["sources"][0]["srcset"].as_str().expect("a srcset"));
        let file = desk.file(&files[0].0).await.is(200);
        let moving = image::codecs::webp::WebPDecoder::new(std::io::Cursor::new(&file.bytes)).expect("WebP");
        assert!(moving.has_animation());
        assert_eq!(candidates(shown["sources"][1]["srcset"].as_str().expect("a srcset")), [(image.text("/url"), 500)]);
        let still = desk.file(shown["crops"][3]["url"].as_str().expect("a URL")).await.is(200);
        assert_eq!(still.header("content-type"), "image/jpeg", "cards stand still");
    }

    async fn a_deleted_image_takes_its_variants_with_it(desk) {
        let image = desk.upload("image/jpeg", photo(800, 600, 7)).await;
        let path = desk.path(&image.text("/url")).replace(".jpg", "-w320.webp");
        desk.as_reader().get(&path).await.is(200);
        desk.as_editor().delete(&format!("/images/{}", image.id()), 1).await.is(204);
        eventually("it is removed", || async { desk.database().count("image_variants") == 0 }).await;
        desk.as_reader().get(&path).await.refuses(404, "not_found");
    }

    async fn large_pictures_come_in_every_size(desk) {
        // Upright as phones write it: more than a wide one of as many pixels.
        let portrait = image::RgbImage::from_pixel(3024, 4032, image::Rgb([90, 120, 150]));
        let flat = image::RgbImage::from_pixel(6000, 4000, image::Rgb([10, 200, 90]));
        for (file, format, extension, wanted) in [
            (portrait, image::ImageFormat::Jpeg, ".jpg", (2560, 3413)),
            (flat, image::ImageFormat::Png, ".png", (2560, 1707)),
        ] {
            let image = desk.upload(format.to_mime_type(), written(&file.into(), format)).await;
            let path = desk.path(&image.text("/url")).to_owned();
            for ending in ["-w2560.webp", "-w320.jpg"] {
                let made = desk.as_reader().get(&path.replace(extension, ending)).await.is(200);
                let width = if ending.contains("320") { 320 } else { wanted.0 };
                assert_eq!(size_of(&made.bytes).0, width, "{ending} of {path}");
                assert!(width == 320 || size_of(&made.bytes).1 == wanted.1);
            }
        }
        assert_eq!(desk.database().count("image_plans WHERE broken"), 0);
    }

    async fn a_bent_original_is_shown_as_it_is_until_it_is_back(desk) {
        let image = desk.upload("image/jpeg", photo(800, 600, 9)).await;
        let original = desk.path(&image.text("/url")).to_owned();
        let file = desk.folder().join("media").join(original.trim_start_matches("/media/"));
        let whole = std::fs::read(&file).expect("the original");
        let mut bent = whole.clone();
        let middle = bent.len() / 2;
        bent[middle] ^= 4;
        std::fs::write(&file, bent).expect("a damaged disk");
        let variant = original.replace(".jpg", "-w640.webp");
        assert_eq!(desk.as_reader().get(&variant).await.is(307).header("location"), image.text("/url"));
        assert_eq!(desk.database().count("image_variants"), 0, "nothing is kept of it");
        std::fs::write(&file, whole).expect("a backup");
        desk.as_reader().get(&variant).await.is(200);
    }

    async fn a_picture_that_cannot_be_read_any_more_is_shown_as_it_is(desk) {
        let image = desk.upload("image/jpeg", photo(800, 600, 8)).await;
        let story = desk.story_with(&image, "Hỏng").await;
        assert_eq!(desk.cover(&story).await["sources"].as_array().expect("sources").len(), 2);
        let original = desk.path(&image.text("/url")).to_owned();
        let file = desk.folder().join("media").join(original.trim_start_matches("/media/"));
        let mut bytes = std::fs::read(&file).expect("the original");
        bytes.truncate(bytes.len() / 2);
        let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(&file, bytes).expect("a file that an older program took");
        desk.database().execute(&format!("UPDATE image_files SET sha256 = '{sha256}'"));
        let answer = desk.as_reader().get(&original.replace(".jpg", "-w640.webp")).await.is(307);
        assert_eq!((answer.header("location"), answer.header("cache-control")), (image.text("/url"), "no-store".to_owned()));
        let shown = desk.cover(&story).await;
        assert_eq!((&shown["url"], types(&shown["sources"])), (&image["url"], vec!["image/jpeg"]));
        assert_eq!(shown["crops"], json!([]));
        assert_eq!(desk.as_reader().get(&original.replace(".jpg", "-w320.webp")).await.is(307).header("location"), image.text("/url"));
    }

    async fn pictures_from_before_there_were_variants_get_them_at_the_next_start(desk) {
        let (photo, logo) = (desk.upload("image/jpeg", photo(800, 600, 9)).await, desk.image(400).await);
        let (one, two) = (desk.story_with(&photo, "Cũ").await, desk.story_with(&logo, "Xưa").await);
        desk.terminate();
        desk.database().execute("DELETE FROM image_plans");
        desk.start();
        eventually("both are offered", || async {
            let many = |shown: &crate::support::Value| shown["sources"].as_array().expect("sources").len() == 2;
            many(&desk.cover(&one).await) && many(&desk.cover(&two).await)
        })
        .await;
    }
}
