//! Everything that readers can ask about a story, and an ear that knows a word in any spelling.
//!
//! The addresses come from the delivery document: an operation that it has and [`asked`] does not know ends the test, so
//! nothing is added to the API that nobody listens to.

use std::collections::BTreeMap;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::client::Reply;
use super::desk::{Desk, http};
use super::{Value, all, contract};

/// A story that somebody may know of, or guess: what they could ask by.
#[derive(Debug, Clone)]
pub struct Names {
    /// Its id.
    pub id: String,
    /// The slug that readers would know it by.
    pub slug: String,
    /// Its section.
    pub section: Thing,
    /// Its tag.
    pub tag: Thing,
    /// Its author.
    pub author: Thing,
    /// The name of its source.
    pub source: String,
    /// Words to search for: they are all in the story.
    pub words: Vec<String>,
    /// A live story whose translation it is, and one whose other news it is.
    pub others: [String; 2],
    /// Files of its images, as paths.
    pub files: Vec<String>,
    /// Tokens of links to it that show nothing any more.
    pub ended_previews: Vec<String>,
}

/// Something that stories belong to.
#[derive(Debug, Clone)]
pub struct Thing {
    /// Its id.
    pub id: String,
    /// Its slug.
    pub slug: String,
}

/// What was answered to one request, without what is never twice the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The operation.
    pub operation: String,
    /// Status, and headers in order.
    pub head: String,
    /// The body.
    pub body: String,
}

/// One kind of request for each way to ask.
struct Question {
    operation: String,
    method: &'static str,
    path: String,
    header: Option<(&'static str, &'static str)>,
}

/// Headers that might make an answer say more.
const MANNERS: [(&str, &str); 5] = [
    ("If-None-Match", "*"),
    ("If-Modified-Since", "Sun, 01 Jan 2034 00:00:00 GMT"),
    ("Range", "bytes=0-400"),
    ("Accept-Encoding", "br"),
    ("Accept", "text/html"),
];

/// Paths, after the face's prefix, by which one operation is asked about a story.
fn asked(operation: &str, names: &Names) -> Vec<String> {
    let own = [&names.id, &names.slug];
    let each = |kind: &str, thing: &Thing| vec![format!("/{kind}/{}", thing.id), format!("/{kind}/{}", thing.slug)];
    let of_story = |forms: &[&str]| -> Vec<String> {
        let stories = own.into_iter().chain(&names.others);
        stories
            .flat_map(|story| forms.iter().map(move |form| format!("/articles/{story}{form}")))
            .collect()
    };
    let filters = [
        format!("section={}", names.section.slug),
        format!("section={}", names.section.id),
        format!("tag={}", names.tag.slug),
        format!("tag={}", names.tag.id),
        format!("author={}", names.author.slug),
        format!("author={}", names.author.id),
        format!("source={}", quoted(&names.source)),
        format!("id={}", names.id),
        "language=en".into(),
        "featured=true".into(),
        "published_after=2020-01-01T00:00:00Z".into(),
    ];
    let filtered = |path: &str| {
        filters
            .iter()
            .map(move |filter| format!("{path}?{filter}"))
            .collect::<Vec<_>>()
    };
    let with = |mut paths: Vec<String>, more: &[&str]| {
        paths.extend(more.iter().map(|path| (*path).to_owned()));
        paths
    };
    match operation {
        "listArticles" => with(
            filtered("/articles"),
            &[
                "/articles",
                "/articles?include=body,captions&limit=50&include_total=true",
                "/articles?sort=title&limit=1",
                "/articles?sort=-title&limit=1",
                "/articles?sort=-updated_at&limit=1",
                "/articles?sort=published_at&limit=1&include_total=true",
            ],
        ),
        "getArticle" => of_story(&["", "?include=html,markdown,text,json_ld", "?include=drafts", "?x=1"]),
        "listVisibleFeedback" => of_story(&["/feedback"]),
        "getArticleHtml" => of_story(&["/html"]),
        "getArticleJsonLd" => of_story(&["/json-ld"]),
        "getArticleMarkdown" => of_story(&["/markdown"]),
        "listRelated" => of_story(&["/related", "/related?by=topic"]),
        "sendFeedback" => of_story(&["/feedback"]),
        "shareArticle" => of_story(&["/shares"]),
        "recordView" => of_story(&["/views"]),
        "listSections" => with(Vec::new(), &["/sections?include_total=true", "/sections?limit=1"]),
        "getSection" => each("sections", &names.section),
        "listTags" => with(Vec::new(), &["/tags?include_total=true", "/tags?limit=1"]),
        "getTag" => each("tags", &names.tag),
        "listAuthors" => with(Vec::new(), &["/authors?include_total=true", "/authors?limit=1"]),
        "getAuthor" => each("authors", &names.author),
        "listChanges" => with(Vec::new(), &["/changes?limit=100", "/changes?limit=1"]),
        "streamChanges" => with(Vec::new(), &["/changes/stream"]),
        "followFeedback" => with(Vec::new(), &["/feedback/0123456789abcdef0123456789abcdef"]),
        "listMostViewed" => vec![
            "/most-viewed".into(),
            "/most-viewed?window=all&language=en".into(),
            format!("/most-viewed?window=all&section={}", names.section.slug),
        ],
        "getPreview" => {
            let tokens = names.ended_previews.iter().chain(own);
            let paths = tokens.map(|token| format!("/previews/{token}?include=html,json_ld"));
            paths.chain(["/previews/ndp_unknown".into()]).collect()
        }
        "searchArticles" => {
            let words = names.words.iter().flat_map(|word| {
                let q = quoted(word);
                [
                    "",
                    "&sort=-published_at&include_total=true",
                    "&include_total=true&language=en",
                ]
                .map(|more| format!("/search?q={q}{more}"))
            });
            let plain = filters.iter().map(|filter| format!("/search?q=tin&{filter}"));
            words.chain(plain).collect()
        }
        "showOptOut" => with(Vec::new(), &["/shares/opt-out/unknown"]),
        "optOut" => with(Vec::new(), &["/shares/opt-out/unknown"]),
        "getSite" => with(Vec::new(), &["/site"]),
        "getAtomFeed" => with(filtered("/feeds/atom.xml"), &["/feeds/atom.xml"]),
        "getJsonFeed" => with(filtered("/feeds/feed.json"), &["/feeds/feed.json"]),
        "getRssFeed" => with(filtered("/feeds/rss.xml"), &["/feeds/rss.xml"]),
        "getLiveness" => with(Vec::new(), &["/health/live"]),
        "getReadiness" => with(Vec::new(), &["/health/ready"]),
        "getMedia" => with(names.files.clone(), &["/media/00/00000000000000000000000000000000.png"]),
        "getSitemap" => with(Vec::new(), &["/sitemap.xml"]),
        "getNewsSitemap" => with(Vec::new(), &["/sitemap-news.xml"]),
        "getSitemapPage" => {
            let this_month = chrono::Utc::now().format("/sitemap-%Y-%m.xml").to_string();
            vec![
                this_month.replace(".xml", "-2.xml"),
                this_month,
                "/sitemap-2019-05.xml".into(),
            ]
        }
        unknown => panic!("{unknown}: say in sweep.rs how readers could hear of a story by it"),
    }
}

/// A text as it stands in a query.
fn quoted(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn questions(names: &Names) -> Vec<Question> {
    let own = [&names.id, &names.slug];
    let paths = contract::document("delivery")["paths"].as_object().expect("paths");
    let mut list = Vec::new();
    for (method, about) in paths.values().flat_map(|item| item.as_object().expect("an item")) {
        let operation = about["operationId"].as_str().expect("an operation id");
        let asked = asked(operation, names);
        assert!(!asked.is_empty(), "{operation} is asked by nothing");
        for path in asked {
            let ask = |method, header| Question {
                operation: operation.into(),
                method,
                path: path.clone(),
                header,
            };
            if method == "post" {
                list.push(ask("POST", None));
                continue;
            }
            list.push(ask("GET", None));
            // Who asks for the story itself, or for all there is, tries every manner.
            let whole = !path.contains('?');
            let own = own.iter().any(|name| path.starts_with(&format!("/articles/{name}")));
            if whole && (own || !path.starts_with("/articles/")) {
                list.push(ask("HEAD", None));
                list.extend(MANNERS.map(|header| ask("GET", Some(header))));
            }
        }
    }
    list
}

/// Asks everything there is to ask. The answers stand under what was asked, with the story's ids called by their roles,
/// so that what is told of one story can be compared with what is told of none.
pub async fn sweep(desk: &Desk, names: &Names) -> BTreeMap<String, Told> {
    let questions = questions(names);
    let mut told = BTreeMap::new();
    for some in questions.chunks(16) {
        let replies = all(some.iter().map(|question| {
            let ask = desk.as_reader().ask(question.method, &question.path);
            let ask = match question.header {
                Some((name, value)) => ask.header(name, value),
                None => ask,
            };
            match question.method {
                // Nothing is left behind: this is no message and no address to send to, and no browser.
                "POST" if question.path.ends_with("/views") => ask,
                "POST" => ask.json(&Value::Object(Default::default())),
                _ => ask,
            }
        }))
        .await;
        for (question, reply) in some.iter().zip(replies) {
            let header = question.header.map(|(name, _)| name).unwrap_or_default();
            let name = called(names, &format!("{} {} {header}", question.method, question.path));
            told.insert(name, said(names, question, &reply));
        }
    }
    let stream = streamed(desk).await;
    let stream = Told {
        operation: "streamChanges".into(),
        head: String::new(),
        body: called(names, &stream),
    };
    told.insert("the stream".into(), stream);
    told
}

/// What is said in an answer. A refusal and a link repeat what was asked, which whoever asks knows.
fn said(names: &Names, question: &Question, reply: &Reply) -> Told {
    let mut body = String::from_utf8_lossy(&reply.unpacked()).into_owned();
    if let Some(id) = reply.json["request_id"].as_str() {
        body = body.replace(id, "");
    }
    // An answer that names its own address has another tag, and packed another length, for another id.
    let named = called(names, &question.path) != question.path;
    let never_twice = |name: &str| {
        ["date", "x-request-id", "connection"].contains(&name) || (named && ["etag", "content-length"].contains(&name))
    };
    let mut headers: Vec<String> = reply
        .headers
        .iter()
        .filter(|(name, _)| !never_twice(name.as_str()))
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    headers.sort();
    let asked = question.path.split_once('?').unwrap_or((&question.path, ""));
    let mut head = format!("{}\n{}", reply.status, headers.join("\n"));
    for text in [&mut head, &mut body] {
        // Only the very address that was asked for; any other place for the same words is told.
        *text = text.replace(&question.path, "(asked)");
        if reply.status >= 400 {
            *text = text.replace(asked.0, "(asked)");
        }
        *text = called(names, text);
    }
    Told {
        operation: question.operation.clone(),
        head,
        body,
    }
}

/// A text with the story's ids called by their roles.
fn called(names: &Names, text: &str) -> String {
    let mut text = text.replace(&names.id, "(id)");
    for (thing, role) in [
        (&names.section, "(section)"),
        (&names.tag, "(tag)"),
        (&names.author, "(author)"),
    ] {
        text = text.replace(&thing.id, role);
    }
    text
}

/// The stream of changes from its beginning to its end for now.
async fn streamed(desk: &Desk) -> String {
    let rows = desk.feed().await.len();
    let url = format!("{}/delivery/v1/changes/stream", desk.address());
    let mut answer = http().get(url).send().await.expect("a stream");
    let mut text = String::new();
    while text.matches("\ndata: ").count() < rows || !text.ends_with("\n\n") {
        let piece = answer.chunk().await.expect("a piece").expect("more");
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    text
}

/// Whether a word is in a text: in any case, with or without its accents, written with escapes of JSON, HTML or addresses,
/// or packed as base64 as in cursors.
pub fn hears(text: &str, word: &str) -> bool {
    let word = folded(word);
    let decoded: String = url::form_urlencoded::parse(text.as_bytes())
        .flat_map(|(name, value)| [name.into_owned(), value.into_owned()])
        .collect();
    [text.to_owned(), decoded, unescaped(text)]
        .into_iter()
        .chain(unpacked(text))
        .any(|text| folded(&text).contains(&word))
}

fn folded(text: &str) -> String {
    let plain = text
        .nfd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase);
    plain.map(|c| if c == 'đ' { 'd' } else { c }).collect()
}

/// With `\u00e0`, `&#xe0;` and `&#224;` as the letters that they are.
fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '&']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let letter = escape(rest).and_then(|(code, length)| Some((char::from_u32(code)?, length)));
        let (letter, length) = letter.unwrap_or((if rest.starts_with('&') { '&' } else { '\\' }, 1));
        plain.push(letter);
        rest = &rest[length..];
    }
    plain + rest
}

fn escape(text: &str) -> Option<(u32, usize)> {
    if let Some(digits) = text.strip_prefix("\\u").and_then(|rest| rest.get(..4)) {
        return Some((u32::from_str_radix(digits, 16).ok()?, 6));
    }
    let (number, _) = text.strip_prefix("&#")?.split_once(';')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => number.parse().ok()?,
    };
    Some((code, number.len() + 3))
}

/// What may be packed in a text: every run of base64 letters, begun at each of four places.
fn unpacked(text: &str) -> Vec<String> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    let engine = GeneralPurpose::new(&alphabet::STANDARD, config);
    let letter = |c: char| c.is_ascii_alphanumeric() || "+/-_".contains(c);
    let mut found = Vec::new();
    for run in text.split(|c| !letter(c)).filter(|run| run.len() >= 8) {
        let run = run.replace('-', "+").replace('_', "/");
        for start in 0..4 {
            let piece = &run[start..];
            let whole = &piece[..piece.len() - usize::from(piece.len() % 4 == 1)];
            let bytes = engine.decode(whole).unwrap_or_default();
            found.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    found
}

#[test]
fn the_ear_knows_a_word_in_every_spelling() {
    let word = "Hoàngyến";
    let standard = base64::engine::general_purpose::STANDARD;
    let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    for text in [
        "chim hoàngyến hót".to_owned(),
        "HOÀNGYẾN".nfd().collect(),
        "/hoangyen-2".into(),
        "q=ho%C3%A0ngy%E1%BA%BFn&x=1".into(),
        r"ho\u00e0ngy\u1ebfn".into(),
        "ho&#xe0;ngy&#7871;n &amp; x".into(),
        standard.encode("abc Hoàngyến"),
        url_safe.encode("{\"k\":\"hoangyen\"}?"),
        format!("xy{}", url_safe.encode("hoangyen is here")),
    ] {
        assert!(hears(&text, word), "{text}");
    }
    for text in ["hoang yen", "chim", "", "\\u", "&#;", "%"] {
        assert!(!hears(text, word), "{text}");
    }
}
