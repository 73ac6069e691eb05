//! What most tests begin with: a draft, a story, a section, a picture.

use std::io::Write;

use super::{Desk, Reply, Value, json};

impl Desk {
    /// The change feed from the beginning.
    pub async fn feed(&self) -> Vec<Value> {
        let (mut rows, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/changes?limit=100{after}");
            let page = self.as_reader().get(&path).await.is(200);
            rows.extend_from_slice(page.list("/data"));
            if page["page"]["has_more"] == false {
                return rows;
            }
            after = format!("&after={}", page.text("/page/next_cursor"));
        }
    }

    /// A draft of the writer's.
    pub async fn draft(&self, title: &str) -> Reply {
        self.as_writer()
            .post("/articles", json!({ "title": title }))
            .await
            .is(201)
    }

    /// A story of the editor's that readers see.
    pub async fn story(&self, content: Value) -> Reply {
        let draft = self.as_editor().post("/articles", content).await.is(201);
        self.publish(&draft).await
    }

    /// Publishes an article as it was when it was answered.
    pub async fn publish(&self, article: &Reply) -> Reply {
        self.action(article, "publish").await.is(200)
    }

    /// One action of the editor's on an article as it was when it was answered.
    pub async fn action(&self, article: &Reply, verb: &str) -> Reply {
        let path = format!("/articles/{}/{verb}", article.id());
        self.as_editor().act(&path, article.version()).await
    }

    /// The article as it is now.
    pub async fn current(&self, article: &Reply) -> Reply {
        self.as_editor()
            .get(&format!("/articles/{}", article.id()))
            .await
            .is(200)
    }

    /// What a reader gets of an article.
    pub async fn read(&self, article: &Reply) -> Reply {
        self.as_reader().get(&format!("/articles/{}", article.id())).await
    }

    /// A section, a tag, an author: `desk.named("sections", "Thời sự")`.
    pub async fn named(&self, kind: &str, name: &str) -> Reply {
        let path = format!("/{kind}");
        self.as_editor().post(&path, json!({ "name": name })).await.is(201)
    }

    /// An image of the editor's; another width is another image.
    pub async fn image(&self, width: u32) -> Reply {
        let upload = self.as_editor().ask("POST", "/images");
        upload.bytes("image/png", png(width, 40)).await.is(201)
    }

    /// The editor places an image in an article.
    pub async fn caption(&self, article: &Reply, image: &Reply, role: &str) -> Reply {
        let place = json!({ "article_id": article.id(), "image_id": image.id(), "role": role, "text": "Nước rút" });
        self.as_editor().post("/captions", place).await.is(201)
    }

    /// A reader's message about a story.
    pub async fn message(&self, story: &Reply, text: &str) -> Reply {
        let path = format!("/articles/{}/feedback", story.id());
        self.as_reader().post(&path, message(text)).await.is(201)
    }
}

/// A reader's message.
pub fn message(text: &str) -> Value {
    json!({
        "sender": { "name": "Nguyễn Văn An", "email": "an@example.vn", "phone": "+84 912 345 678" },
        "message": text, "consent": true, "consent_version": 1, "may_publish": true
    })
}

/// A picture with a slope of colour.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 160]));
    picture
        .write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png)
        .expect("a picture");
    bytes
}

/// A photograph.
pub fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 90]));
    picture
        .write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Jpeg)
        .expect("a photograph");
    bytes
}

/// A PNG of few bytes that claims to be large: one row after another of nothing.
pub fn bomb(side: u32) -> Vec<u8> {
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
    let mut head = [side.to_be_bytes(), side.to_be_bytes()].concat();
    head.extend([1, 0, 0, 0, 0]);
    chunk(b"IHDR", &head);
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let row = vec![0; 1 + side as usize / 8];
    (0..side / 16).for_each(|_| packed.write_all(&row).expect("memory"));
    chunk(b"IDAT", &packed.finish().expect("memory"));
    chunk(b"IEND", b"");
    bytes
}
