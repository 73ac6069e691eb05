//! Pictures in every size, cut and format that readers' screens want.

mod avif;
mod bombs;
mod budget;
mod variants;

use std::io::Cursor;
use std::time::Duration;

use crate::support::{Desk, Reply, Value, json};

/// A photograph like no other: noise, so that it neither compresses well nor looks like the next one.
pub fn photo(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let picture = image::RgbImage::from_fn(width, height, |x, y| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let noise = (state >> 26) as u8;
        image::Rgb([(x / 16) as u8 / 2 + noise, (y / 16) as u8 / 2 + noise, 60 + noise])
    });
    written(&picture.into(), image::ImageFormat::Jpeg)
}

/// A picture's file.
pub fn written(picture: &image::DynamicImage, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture
        .write_to(&mut Cursor::new(&mut bytes), format)
        .expect("a picture");
    bytes
}

/// Width and height of a file.
pub fn size_of(bytes: &[u8]) -> (u32, u32) {
    let reader = image::ImageReader::new(Cursor::new(bytes));
    reader
        .with_guessed_format()
        .expect("a kind")
        .into_dimensions()
        .expect("a size")
}

/// Waits until something has become true.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    for _ in 0..1200 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: not in two minutes");
}

/// One address of a `srcset` and its width.
pub fn candidates(srcset: &str) -> Vec<(String, u32)> {
    let candidate = |text: &str| {
        let (url, width) = text.split_once(' ').expect("an address and a width");
        let width = width.strip_suffix('w').expect("a width").parse().expect("a number");
        (url.to_owned(), width)
    };
    srcset.split(", ").map(candidate).collect()
}

/// The types of some sources, in order.
pub fn types(sources: &Value) -> Vec<&str> {
    let sources = sources.as_array().expect("sources");
    sources
        .iter()
        .map(|one| one["media_type"].as_str().expect("a type"))
        .collect()
}

impl Desk {
    /// The editor uploads a file.
    pub async fn upload(&self, media_type: &str, file: Vec<u8>) -> Reply {
        self.as_editor()
            .ask("POST", "/images")
            .bytes(media_type, file)
            .await
            .is(201)
    }

    /// A published story with a picture.
    pub async fn story_with(&self, image: &Reply, title: &str) -> Reply {
        let draft = self
            .as_editor()
            .post("/articles", json!({ "title": title }))
            .await
            .is(201);
        self.caption(&draft, image, "lead").await;
        let draft = self.current(&draft).await;
        self.publish(&draft).await
    }

    /// The story's picture as readers get it.
    pub async fn cover(&self, story: &Reply) -> Value {
        self.read(story).await.is(200)["cover"]["image"].clone()
    }

    /// A path of ours in an address of ours.
    pub fn path<'u>(&self, url: &'u str) -> &'u str {
        let path = url.find("/media/").map(|at| &url[at..]);
        path.unwrap_or_else(|| panic!("{url} is no picture's address"))
    }

    /// A picture's file.
    pub async fn file(&self, url: &str) -> Reply {
        self.as_reader().get(self.path(url)).await
    }
}
