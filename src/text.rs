//! Rules for text: what may be stored, how it is folded for search and slugs, and the collector of field errors.

use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::error::{FieldError, Problem, Result};

/// Folds text so that what is typed without accents meets what was written with them: canonical decomposition, marks
/// dropped, `đ` as `d`, lower case. One function serves search, sorting and slugs.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'đ' { 'd' } else { c })
        // Lower-casing may decompose again (İ); a second look keeps the result a fixed point.
        .filter(|c| !is_combining_mark(*c))
        .collect()
}

/// Text in canonical composition (Unicode's NFC), the form in which all text is stored.
pub fn nfc(text: &str) -> String {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text.to_owned(),
        _ => text.nfc().collect(),
    }
}

/// A key to sort by: folded and cut to 200 characters.
pub fn sort_key(text: &str) -> String {
    fold(text).chars().take(200).collect()
}

/// The longest slug made from a title, in characters.
const SLUG_LENGTH: usize = 100;

/// Makes a slug from words: folded, other scripts transliterated, everything but letters and digits a dash.
/// Empty when nothing of the text can be kept.
pub fn slugify(text: &str) -> String {
    let ascii = deunicode::deunicode(&fold(text)).to_lowercase();
    let mut slug = String::new();
    for word in ascii
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        let room = SLUG_LENGTH.saturating_sub(slug.len() + 1);
        if word.len() > room {
            if slug.is_empty() {
                slug.extend(word.chars().take(SLUG_LENGTH));
            }
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(word);
    }
    slug
}

/// Whether a slug written by hand has the right form: 1-150 of `a-z 0-9` in groups joined by single dashes, no UUID.
pub fn is_slug(text: &str) -> bool {
    (1..=150).contains(&text.len())
        && text
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
        && uuid::Uuid::try_parse(text).is_err()
}

/// A pattern for `LIKE … ESCAPE '\'` that finds the text anywhere, as it is.
pub fn like_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in fold(text).chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Collects everything that is wrong with an input, so that the caller hears it all at once.
#[derive(Debug, Default)]
pub struct Check {
    errors: Vec<FieldError>,
}

impl Check {
    /// Starts with nothing wrong.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes one error.
    pub fn fail(&mut self, pointer: impl Into<String>, code: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::at(pointer, code, detail));
    }

    /// Ends the check: nothing wrong, or one 422 with all of it.
    pub fn done(self) -> Result<()> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::validation(self.errors))
        }
    }

    /// A needed line of text of 1 to `max` characters.
    pub fn line(&mut self, pointer: &str, value: &str, max: usize) -> String {
        let text = self.clean(pointer, value, max, false);
        if text.chars().all(is_invisible) {
            self.fail(pointer, "required", "It must not be empty.");
        }
        text
    }

    /// A line of text that may be absent; empty text counts as absent.
    pub fn optional_line(&mut self, pointer: &str, value: Option<&str>, max: usize) -> Option<String> {
        value
            .map(|value| self.clean(pointer, value, max, false))
            .filter(|text| !text.is_empty())
    }

    /// A needed text that may have several lines.
    pub fn text(&mut self, pointer: &str, value: &str, max: usize) -> String {
        let text = self.clean(pointer, value, max, true);
        if text.chars().all(is_invisible) {
            self.fail(pointer, "required", "It must not be empty.");
        }
        text
    }

    /// A text of several lines that may be absent; empty text counts as absent.
    pub fn optional_text(&mut self, pointer: &str, value: Option<&str>, max: usize) -> Option<String> {
        value
            .map(|value| self.clean(pointer, value, max, true))
            .filter(|text| !text.is_empty())
    }

    /// A slug written by hand.
    pub fn slug(&mut self, pointer: &str, value: &str) -> String {
        if !is_slug(value) {
            self.fail(
                pointer,
                "invalid_slug",
                "A slug is 1-150 characters of a-z and 0-9 in groups joined by single dashes, and no UUID.",
            );
        }
        value.to_owned()
    }

    /// An absolute http or https address.
    pub fn web_address(&mut self, pointer: &str, value: &str) -> String {
        let text = self.clean(pointer, value, 2000, false);
        let good = url::Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !good {
            self.fail(
                pointer,
                "invalid_url",
                "It must be an absolute address that begins with http:// or https://.",
            );
        }
        text
    }

    /// An e-mail address that mail can be sent to.
    pub fn email(&mut self, pointer: &str, value: &str) -> String {
        let text = self.clean(pointer, value, 254, false);
        if !is_email(&text) {
            self.fail(
                pointer,
                "invalid_email",
                "It must be an e-mail address such as name@example.vn.",
            );
        }
        text
    }

    /// A language by its tag (BCP 47), in the canonical form that sites list: `vi`, `en`, `zh-hant`.
    pub fn language(&mut self, pointer: &str, value: &str) -> String {
        if !is_language(value) {
            self.fail(
                pointer,
                "invalid_language",
                "A language is a lower-case BCP 47 tag such as vi or en.",
            );
        }
        value.to_owned()
    }

    fn clean(&mut self, pointer: &str, value: &str, max: usize, lines: bool) -> String {
        let value = if lines {
            value.replace("\r\n", "\n")
        } else {
            value.to_owned()
        };
        if value.chars().any(|c| is_refused(c, lines)) {
            self.fail(
                pointer,
                "invalid_text",
                "Control characters and U+0000 are not allowed.",
            );
        }
        let text = nfc(value.trim());
        if text.chars().count() > max {
            self.fail(pointer, "too_long", format!("At most {max} characters."));
        }
        text
    }
}

/// Characters that no stored text has: controls, and U+2028/U+2029 in what must be one line.
fn is_refused(c: char, lines: bool) -> bool {
    match c {
        '\n' | '\t' => !lines,
        '\u{2028}' | '\u{2029}' => !lines,
        _ => c.is_control(),
    }
}

/// Spaces, and characters that only steer others: text of these alone looks empty.
fn is_invisible(c: char) -> bool {
    c.is_whitespace() || is_ignorable(c)
}

/// Characters that show nothing of themselves: direction, joiners, variants, fillers (Unicode's Default_Ignorable_Code_Point
/// and the anchors of annotations).
pub fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Whether text is a language tag in our form.
pub fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    parts
        .next()
        .is_some_and(|first| (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_lowercase()))
        && text.len() <= 20
        && parts.all(|part| {
            (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

/// The practical part of RFC 5321: a dot-atom at a host name with a dot. Quoted local parts and literals are refused.
pub fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else {
        return false;
    };
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let local_good = local.len() <= 64 && local.split('.').all(|part| !part.is_empty() && part.chars().all(atom));
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    local_good && host.contains('.') && host.split('.').all(label)
}

/// The form of an e-mail address that tells whether two are the same.
pub fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vietnamese_is_folded() {
        assert_eq!(fold("Đối thoại ở Thái Nguyên"), "doi thoai o thai nguyen");
        assert_eq!(slugify("Hoạt động của Ban"), "hoat-dong-cua-ban");
        assert_eq!(
            slugify("Đồng chí Điểu K’Ré: 10% — “xong”!"),
            "dong-chi-dieu-k-re-10-xong"
        );
        assert_eq!(slugify("東京 news"), "dong-jing-news");
        assert_eq!(slugify("!!!"), "");
    }

    #[test]
    fn addresses_are_told_apart() {
        for good in ["a@example.vn", "nguyen.van.a+tin@mail.example.com", "x_y@a-b.co"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@b",
            "a@@b.vn",
            "a b@c.vn",
            ".a@c.vn",
            "a@-c.vn",
            "a@c..vn",
            "\"a\"@c.vn",
            "a@c.vn\r\nBcc: x@y.vn",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn uuids_are_no_slugs() {
        assert!(is_slug("tin-so-01"));
        assert!(!is_slug("01981d3e-5c1a-7c60-8f0e-0d7c3f0f7a11"));
        assert!(!is_slug("01981d3e5c1a7c608f0e0d7c3f0f7a11"));
        for bad in ["", "-a", "a-", "a--b", "Tin", "tin số"] {
            assert!(!is_slug(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn made_slugs_have_the_right_form(text in "\\PC{0,300}") {
            let slug = slugify(&text);
            prop_assert!(slug.is_empty() || slug.len() <= SLUG_LENGTH);
            prop_assert!(slug.is_empty() || is_slug(&slug) || uuid::Uuid::try_parse(&slug).is_ok(), "{}", slug);
        }
    }
}
