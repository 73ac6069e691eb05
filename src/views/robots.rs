//! Which programs are no readers, by what they call themselves.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, packed};

/// Parts of the names of robots, previewers, monitors and libraries. People's browsers have none of them.
const MARKS: &[&str] = &[
    "bot",
    "crawl",
    "spider",
    "slurp",
    "archiver",
    "preview",
    "fetch",
    "scan",
    "monitor",
    "uptime",
    "pingdom",
    "probe",
    "validator",
    "lighthouse",
    "headless",
    "phantom",
    "selenium",
    "puppeteer",
    "playwright",
    "facebookexternalhit",
    "facebookcatalog",
    "whatsapp",
    "telegram",
    "embedly",
    "quora link",
    "outbrain",
    "mediapartners",
    "feedly",
    "feedparser",
    "newsblur",
    "inoreader",
    "rss",
    "://",
    "www.",
    "curl",
    "wget",
    "python",
    "aiohttp",
    "httpx",
    "java/",
    "okhttp",
    "go-http",
    "ruby",
    "perl",
    "php",
    "node",
    "axios",
    "undici",
    "deno",
    "bun/",
    "libwww",
    "httpclient",
    "http_request",
    "reqwest",
    "hyper/",
    "postman",
    "insomnia",
    "apache-",
    "scrapy",
];

/// The longest mark has so many letters.
const LONGEST: usize = 19;
/// What is looked at in one piece, in bytes.
const PIECE: usize = 256;

/// The marks as one search: several letters at once where the processor can do that, else letter by letter.
enum Search {
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

static ROBOTS: LazyLock<Option<Search>> = LazyLock::new(|| {
    let packed = packed::Config::new().builder().extend(MARKS).build();
    match packed {
        Some(packed) => Some(Search::Packed(packed)),
        None => AhoCorasick::new(MARKS).ok().map(Search::Automaton),
    }
});

/// Whether this is the name of a robot. Every browser says that it is a Mozilla or an Opera, robots say much.
pub fn is_robot(name: &[u8]) -> bool {
    let browser = [&b"Mozilla/"[..], b"Opera/"]
        .iter()
        .any(|start| name.starts_with(start));
    !browser || ROBOTS.as_ref().is_none_or(|robots| robots.is_in(name))
}

impl Search {
    /// Whether a mark is in a name, in letters of any size.
    fn is_in(&self, name: &[u8]) -> bool {
        let mut letters = [0; PIECE];
        // A mark may lie across two pieces.
        (0..name.len()).step_by(PIECE - LONGEST).any(|start| {
            let piece = &name[start..name.len().min(start + PIECE)];
            let letters = &mut letters[..piece.len()];
            letters.copy_from_slice(piece);
            letters.make_ascii_lowercase();
            match self {
                Self::Packed(search) => search.find(letters).is_some(),
                Self::Automaton(search) => search.is_match(&*letters),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_from_robots() {
        for browser in [
            "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (Linux; Android 15; SM-S931B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36 Zalo/25.06",
            "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/470.0;]",
            "Opera/9.80 (Android; Opera Mini/36.2; U; vi) Presto/2.12.423 Version/12.16",
            "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/138.0.0.0 Safari/537.36 coc_coc_browser/140.0",
        ] {
            assert!(!is_robot(browser.as_bytes()), "{browser}");
        }
        for robot in [
            "",
            "curl/8.5.0",
            "Wget/1.21",
            "python-requests/2.32",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
            "facebookexternalhit/1.1",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/138.0.0.0 Safari/537.36",
            "Mozilla/5.0 (compatible; UptimeRobot/2.0)",
        ] {
            assert!(is_robot(robot.as_bytes()), "{robot}");
        }
    }

    #[test]
    fn every_mark_is_found_wherever_it_stands() {
        assert_eq!(MARKS.iter().map(|mark| mark.len()).max(), Some(LONGEST));
        let automaton = Search::Automaton(AhoCorasick::new(MARKS).expect("an automaton"));
        for mark in MARKS {
            for before in [0, 1, 200, PIECE - LONGEST - 9, PIECE - 10, PIECE - 8, 2 * PIECE, 5000] {
                let name = format!("Mozilla/{}{} (X11)", "x".repeat(before), mark.to_uppercase());
                assert!(is_robot(name.as_bytes()), "{name}");
                assert!(automaton.is_in(name.as_bytes()), "{name}");
            }
        }
    }
}
