//! Words: one way to cut text for the index, the query and the excerpts, whichever database it is.

use std::ops::Range;

use unicode_normalization::char::{decompose_canonical, is_combining_mark};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::text::fold;

/// Longer words are cut, in the index as in the query.
const LONGEST: usize = 60;

/// A word in both spellings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it is spelled, in lower case.
    pub exact: String,
    /// Without accents.
    pub folded: String,
    /// Where it stands in the text.
    pub range: Range<usize>,
}

/// What a character does in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It is part of a word.
    Part,
    /// It is a word: its script puts no spaces between words.
    Word,
    /// It stands between words.
    Between,
}

fn role(c: char) -> Role {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => Role::Part,
        '\0'..='\x7F' => Role::Between,
        _ if is_latin(c) => Role::Part,
        c if c.is_alphanumeric() => match c {
            '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' => Role::Word,
            '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{323AF}' => Role::Word,
            _ => Role::Part,
        },
        c if is_combining_mark(c) => Role::Part,
        _ => Role::Between,
    }
}

/// Letters of Latin scripts beyond ASCII, Vietnamese among them: known without a search in the tables of all scripts.
fn is_latin(c: char) -> bool {
    matches!(c, '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{24F}' | '\u{1EA0}'..='\u{1EF9}')
}

/// Cuts a text into words: letters, digits and their marks; everything else is between words.
pub fn words(text: &str) -> Vec<Word> {
    Ranges::of(text).filter_map(|range| word(text, range)).collect()
}

/// Where words stand in a text. Some turn out to be none: marks without a letter.
#[derive(Debug, Clone)]
pub struct Ranges<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Ranges<'t> {
    /// The places of the words of a text, in order.
    pub fn of(text: &'t str) -> Self {
        Self { text, at: 0 }
    }
}

impl Iterator for Ranges<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let from = self.at;
        let mut start = None;
        for (offset, c) in self.text.get(from..)?.char_indices() {
            let at = from + offset;
            match (role(c), start) {
                (Role::Part, None) => start = Some(at),
                (Role::Part, Some(_)) | (Role::Between, None) => {}
                (Role::Word, None) => {
                    self.at = at + c.len_utf8();
                    return Some(at..self.at);
                }
                (Role::Word | Role::Between, Some(start)) => {
                    self.at = at;
                    return Some(start..at);
                }
            }
        }
        self.at = self.text.len();
        start.map(|start| start..self.at)
    }
}

/// Whether a part of a text may be a word, or begin like it, in the folded spelling. Told letter by letter and without
/// making the word, up to the first that differs; true where that cannot be told, in scripts other than Latin.
pub fn may_be(part: &str, folded: &str, prefix: bool) -> bool {
    let mut wanted = folded.chars();
    for c in part.chars() {
        let own = match c {
            '\0'..='\x7F' => c.to_ascii_lowercase(),
            'đ' | 'Đ' => 'd',
            '\u{300}'..='\u{36F}' => continue,
            c if is_latin(c) => {
                let mut base = c;
                let mut first = true;
                decompose_canonical(c, |part| {
                    if std::mem::take(&mut first) {
                        base = part;
                    }
                });
                let mut lower = base.to_lowercase();
                match (lower.next(), lower.next()) {
                    (Some(one), None) => one,
                    _ => return true,
                }
            }
            _ => return true,
        };
        match wanted.next() {
            Some(wanted) if wanted == own => {}
            Some(_) => return false,
            // Longer words are cut.
            None => return prefix || folded.len() >= LONGEST,
        }
    }
    wanted.next().is_none()
}

/// The word at a place.
pub fn word(text: &str, range: Range<usize>) -> Option<Word> {
    let part = text.get(range.clone())?;
    if part.is_ascii() {
        let exact = part.get(..LONGEST).unwrap_or(part).to_ascii_lowercase();
        let folded = exact.clone();
        return (!exact.is_empty()).then_some(Word { exact, folded, range });
    }
    let exact: String = match is_nfc_quick(part.chars()) {
        IsNormalized::Yes => lower(part.chars()),
        _ => lower(part.nfc()),
    };
    let mut folded = fold(part);
    if !folded.is_ascii() || folded.len() > LONGEST {
        folded = folded
            .chars()
            .filter(|c| role(*c) != Role::Between)
            .take(LONGEST)
            .collect();
    }
    (!folded.is_empty() && !exact.is_empty()).then_some(Word { exact, folded, range })
}

fn lower(letters: impl Iterator<Item = char>) -> String {
    let letters = letters
        .flat_map(char::to_lowercase)
        .filter(|c| role(*c) != Role::Between);
    letters.take(LONGEST).collect()
}

/// Words as one line with a space around each, in which [`holds`] looks.
pub fn line<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let mut line = String::from(" ");
    for word in words {
        line.push_str(word);
        line.push(' ');
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_have_both_spellings() {
        let found = words("Đồng chí K’Ré: 10% — “xong”! 東京");
        let exact: Vec<&str> = found.iter().map(|word| word.exact.as_str()).collect();
        let folded: Vec<&str> = found.iter().map(|word| word.folded.as_str()).collect();
        assert_eq!(exact, ["đồng", "chí", "k", "ré", "10", "xong", "東", "京"]);
        assert_eq!(folded, ["dong", "chi", "k", "re", "10", "xong", "東", "京"]);
        assert_eq!(words("?!… 🎉 ' \" * ( )"), []);
    }

    proptest! {
        #[test]
        fn letters_are_those_of_all_scripts(c in proptest::char::any()) {
            prop_assert_eq!(role(c) != Role::Between, c.is_alphanumeric() || is_combining_mark(c));
        }

        #[test]
        fn both_databases_get_plain_words(text in "\\PC{0,80}") {
            for word in words(&text) {
                prop_assert!(text.get(word.range.clone()).is_some());
                for spelling in [&word.exact, &word.folded] {
                    prop_assert!(!spelling.is_empty() && spelling.chars().all(|c| role(c) != Role::Between), "{:?}", spelling);
                }
            }
        }

        #[test]
        fn a_look_at_the_letters_misses_no_word(
            text in "[a-zA-ZÀ-ÖØ-öø-ɏẠ-ỹ\u{300}-\u{30F}東ж]{1,4}",
            other in "[a-dđà-ãāạ-ằж]{1,3}",
            prefix: bool,
        ) {
            for word in words(&text) {
                let part = &text[word.range.clone()];
                prop_assert!(may_be(part, &word.folded, prefix));
                let other = fold(&other);
                let fits = word.folded == other || (prefix && word.folded.starts_with(&other));
                prop_assert!(may_be(part, &other, prefix) || !fits, "{part} {other}");
            }
        }

        #[test]
        fn a_word_is_found_again_by_either_spelling(text in "\\PC{1,40}") {
            for word in words(&text) {
                let again = words(&word.exact);
                prop_assert_eq!(again.first().map(|again| again.folded.clone()), Some(word.folded));
            }
        }
    }
}
