//! What mail programs would make a link of, and characters that nobody sees: neither goes out under our name.
//!
//! Programs differ in what they take for a link, so a little more is refused than any of them makes one. Titles and
//! abbreviations are not: `PGS.TS`, `ThS.BS` and `TP.HCM` are how people write.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::text::is_ignorable;

/// Schemes that are followed without `//`.
const SCHEMES: [&str; 6] = ["http", "https", "ftp", "mailto", "javascript", "vbscript"];

/// Titles and abbreviations before a name or another title. Several of these, and some names, are countries' domains too
/// (`.bs`, `.cn`, `.ls`; `.vu`).
const TITLES: [&str; 41] = [
    "gs", "pgs", "ts", "tskh", "ths", "bs", "bsck", "bscki", "bsckii", "bsnt", "cki", "ckii", "ck1", "ck2", "cn", "ks",
    "kts", "ls", "ds", "đd", "lm", "nsnd", "nsưt", "ngnd", "ngưt", "ttnd", "ttưt", "tp", "tx", "tt", "mr", "mrs", "ms",
    "mx", "dr", "prof", "rev", "st", "phd", "md", "miss",
];

/// Whether some of it is a web address.
pub fn has_address(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| !is_ignorable(*c)).map(dotted).collect();
    let composed: String = plain.nfkc().map(dotted).collect();
    // As it stands, too: a sign may grow together with the word before it (`evil.com™`).
    [plain, composed].iter().any(|text| {
        let text = text.to_lowercase();
        has_scheme(&text) || has_www(&text) || has_host(&text)
    })
}

/// Whether some of it is not seen and may hide what the rest says: text direction, zero width, fillers. What joins emoji
/// stays.
pub fn has_invisible(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let hides = |at: usize, c: char| {
        let before = at.checked_sub(1).and_then(|at| chars.get(at)).copied().unwrap_or(' ');
        let after = chars.get(at + 1).copied().unwrap_or(' ');
        match c {
            // How the sign before is drawn: ❤️, 1️⃣.
            '\u{FE0E}' | '\u{FE0F}' => {
                let key = "0123456789#*".contains(before) && after == '\u{20E3}';
                !(is_pictograph(before) || key)
            }
            // One picture of two: 👩‍💻.
            '\u{200D}' => !((is_pictograph(before) || before == '\u{FE0F}') && is_pictograph(after)),
            _ => is_ignorable(c),
        }
    };
    chars.iter().enumerate().any(|(at, c)| hides(at, *c))
}

/// The other full stops between the labels of a host name (UTS 46).
fn dotted(c: char) -> char {
    match c {
        '\u{3002}' | '\u{FF0E}' | '\u{FF61}' => '.',
        _ => c,
    }
}

fn has_scheme(text: &str) -> bool {
    text.match_indices(':').any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let letters = before
            .rsplit(|c: char| !c.is_ascii_alphabetic())
            .next()
            .unwrap_or_default();
        let goes_on = after.starts_with(|c: char| !c.is_whitespace());
        (after.starts_with("//") && before.ends_with(char::is_alphanumeric)) || (goes_on && SCHEMES.contains(&letters))
    })
}

fn has_www(text: &str) -> bool {
    text.match_indices("www.")
        .any(|(at, www)| text[at + www.len()..].starts_with(char::is_alphanumeric))
}

fn has_host(text: &str) -> bool {
    // Anything beyond ASCII may stand in a label, as far as some program knows.
    let between = |c: char| c.is_whitespace() || c.is_ascii() && !c.is_ascii_alphanumeric() && !".-_".contains(c);
    let mut rest = text.trim_start_matches(between);
    while !rest.is_empty() {
        let (run, after) = rest.split_at(rest.find(between).unwrap_or(rest.len()));
        if is_host(run, after) {
            return true;
        }
        rest = after.trim_start_matches(between);
    }
    false
}

/// Whether a run of labels names a host; `after` is what comes behind it.
fn is_host(run: &str, after: &str) -> bool {
    let said = |c: char| c.is_alphanumeric() || is_combining_mark(c) || is_pictograph(c);
    let labels: Vec<&str> = run.split('.').map(|label| label.trim_matches(|c| !said(c))).collect();
    // A path, a query or a port.
    let leads_on = after.starts_with(['/', '?', '#'])
        || after
            .strip_prefix(':')
            .is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()));
    let numbers = labels
        .iter()
        .rev()
        .take_while(|label| label.parse::<u8>().is_ok())
        .count();
    if leads_on && numbers >= 4 {
        return true;
    }
    // Not the last label alone: what follows it may be ours to cut off (`evil.com.1`).
    (1..labels.len()).any(|at| {
        let (before, label) = (&labels[..at], labels[at]);
        let Some(top) = top_level(label) else { return false };
        // `Mr.Vu`, `ThS.BS`, `ThS.BS/TS.BS`; but `ts.la/x` leads somewhere.
        let titles = before.iter().all(|label| TITLES.contains(label));
        let title = titles && top.len() == 2 && (!leads_on || TITLES.contains(&label) && is_title_too(after));
        !before[at - 1].is_empty() && !title
    })
}

/// Whether what follows a slash is another run of titles, as in `ThS.BS/TS.BS`.
fn is_title_too(after: &str) -> bool {
    let Some(next) = after.strip_prefix('/') else {
        return false;
    };
    let run = next
        .split(|c: char| !c.is_alphanumeric() && c != '.')
        .next()
        .unwrap_or_default();
    let rest = &next[run.len()..];
    !rest.starts_with(['/', '?', '#', '-', '_', '='])
        && run
            .split('.')
            .filter(|label| !label.is_empty())
            .all(|label| TITLES.contains(&label))
        && !run.is_empty()
}

/// The top-level domain that a label is or begins with, before a dash or a sign.
fn top_level(label: &str) -> Option<&str> {
    let in_name = |c: char| c.is_alphabetic() || is_combining_mark(c) || c.is_ascii_digit() || c == '-';
    let name = &label[..label.find(|c| !in_name(c)).unwrap_or(label.len())];
    // No label has more than 63 letters.
    let ends = name
        .match_indices('-')
        .map(|(at, _)| at)
        .chain([name.len()])
        .take_while(|end| *end <= 63 * 4);
    ends.map(|end| &name[..end]).find(|name| is_top_level(name))
}

fn is_top_level(name: &str) -> bool {
    if name.is_ascii() {
        return tld::exist(name);
    }
    let known = |name: &str| {
        let host = url::Host::parse(&format!("a.{name}")).map(|host| host.to_string());
        host.is_ok_and(|host| host.strip_prefix("a.").is_some_and(tld::exist))
    };
    // Marks may belong to the letters of a script, or strike out what is a link all the same.
    known(name) || known(&name.chars().filter(|c| !is_combining_mark(*c)).collect::<String>())
}

/// Emoji and signs like them, roughly: what may stand in a label, or be joined to a picture.
fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2BFF}' | '\u{1F000}'..='\u{1FAFF}') || "©®‼⁉™ℹ〰〽㊗㊙".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn people_write_like_this() {
        for text in [
            "PGS.TS Nguyễn Văn An",
            "GS.TS. Lê",
            "ThS.BS Hà",
            "TS.BS Lê Minh",
            "BS.CKII Trần Thị B",
            "BS.CK Nội",
            "TTƯT.BS Hà",
            "ThS.LS Bình",
            "CN.BS",
            "ĐD.CN Hoa",
            "“TS.BS”",
            "TP.HCM",
            "TP.Hà Nội",
            "Mr.Ha",
            "Mr.X",
            "Mr.Vu",
            "Dr.My & Mrs.Ly",
            "T.An",
            "Nguyễn.An",
            "Nguyễn Văn A. (b.1950)",
            "Gặp PGS.TS Nguyễn nhé",
            "Hay quá.Em đọc rồi",
            "Hay quá...Em",
            "Hay quá…com",
            "Đẹp😍.Em",
            "ở TP.HCM",
            "Node.js",
            "xem file.pdf",
            "bai hat.mp3 và phim.mp4",
            "đuôi “.com”, .vn",
            "v.v. và v.v.",
            "3.000.000 đ, 12.10.2026, 10h30.",
            "bản 10.1.2.3",
            "U.S.A., e.g. i.e. Ph.D",
            "Xem: hay, 10:30, tỉ số 2:1",
            "Học JavaScript: dễ. Http: là gì? mạng WWW. Rất hay :// ",
            "Tel:0912345678",
            "1/2 và/hoặc ThS.BS/TS.BS",
            "com, vn và net",
            "",
            ".",
            ":",
        ] {
            assert!(!has_address(text), "{text}");
        }
    }

    #[test]
    fn programs_make_links_of_this() {
        for text in [
            "ts.la?promo",
            "dr.io#x",
            "ms.md/free",
            "gs.st/x",
            "ts.la/x",
            "evil.com",
            "EVIL.COM!",
            "(evil.com)",
            "Hay quá.Evil.com",
            "Xem http://re.example.com",
            "x://y",
            "http:evil",
            "https:/evil",
            "mailto:an",
            "javascript:x()",
            "www.evil",
            "www.evil.com",
            "an@evil.vn",
            "evil.com- buy",
            "evil.com-now",
            "evil.com.1",
            "evil.com--now",
            "evil.com_now",
            "evil.com:8080/x",
            "evil.com…",
            "evil.com™",
            "evil.com😍",
            "evil.com½",
            "evil.com\u{336}",
            "evil.c\u{336}o\u{336}m",
            "evil.xn--p1ai",
            "evil.XN--P1AI--now",
            "evil.рф",
            "evil.भारत",
            "💩.la",
            "i❤️.ws",
            "10.1.2.3/login",
            "10.1.2.3:80",
            "evil。com",
            "evil．com",
            "evil｡com",
            "evil․com",
            "ｅｖｉｌ.ｃｏｍ",
            "evil.𝐜𝐨𝐦",
            "evil.ⓒⓞⓜ",
            "http：//evil",
            "evil\u{200B}.com",
            "evil.c\u{200B}om",
            "evil.c\u{AD}om",
            "t.me",
            "t.co/x",
            "ts.la/x",
            "dr.com",
            "ms.spr.ly",
            "bs.bs.com",
            "PGS.TS evil.vn",
        ] {
            assert!(has_address(text), "{text}");
        }
    }

    #[test]
    fn what_nobody_sees_is_told_from_emoji() {
        for text in [
            "evil\u{200B}.com",
            "evil.c\u{200B}om",
            "An\u{202E}nA",
            "\u{2066}An\u{2069}",
            "An\u{200F}",
            "a\u{200D}b",
            "a\u{FE0F}",
            "1\u{FE0F}",
            "❤\u{200D}a",
            "a\u{AD}b",
            "\u{FEFF}An",
            "\u{3164}",
            "a\u{E0041}",
        ] {
            assert!(has_invisible(text), "{text:?}");
        }
        for text in ["Nguyễn Văn An", "❤️ 👩‍💻 👍🏽 🇻🇳 1️⃣", "👩‍❤️‍👩", "🏳️‍🌈", "☎︎", "a\nb", ""]
        {
            assert!(!has_invisible(text), "{text:?}");
        }
    }

    fn top() -> impl Strategy<Value = String> {
        let all: Vec<&str> = tld::TLD.iter().copied().collect();
        let all = prop::sample::select(all);
        (all, any::<bool>()).prop_map(|(top, upper)| if upper { top.to_uppercase() } else { top.into() })
    }

    proptest! {
        #[test]
        fn every_top_level_domain_makes_an_address(
            before in "(|[ \"(“,])", name in "[a-z0-9ăâđêôơư]{2,12}xx", dot in "[.．。｡]", top in top(), after in "(|[ ,.)!?/”-]|\\.1|--x|😍)",
        ) {
            let text = format!("{before}{name}{dot}{top}{after}");
            prop_assert!(has_address(&text), "{}", text);
        }

        #[test]
        fn a_sentence_without_a_blank_is_none(
            one in "[A-Za-zăâđêôơưạảấầ ]{0,20}", two in "[A-Za-zăâđêôơưạảấầ]{1,10}", rest in "[ a-zăâđ,]{0,20}",
        ) {
            prop_assume!(!is_top_level(&two.to_lowercase()) && !one.to_lowercase().ends_with("www"));
            let text = format!("{one}.{two} {rest}");
            prop_assert!(!has_address(&text), "{}", text);
        }

        #[test]
        fn nothing_is_no_address_without_dot_and_colon(text in "[^.:。．｡․…⒈-⒛]{0,60}") {
            prop_assume!(!text.nfkc().any(|c| c == '.' || c == ':'));
            prop_assert!(!has_address(&text), "{}", text);
        }

        #[test]
        fn any_text_is_judged(text in "\\PC{0,80}") {
            _ = (has_address(&text), has_invisible(&text));
        }
    }
}
