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

/// Scripts that put no spaces between words: each character is a word.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{323AF}')
}

fn is_part(c: char) -> bool {
    // Letters of Latin scripts, Vietnamese among them, without a search in the tables of all scripts.
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{24F}' | '\u{1EA0}'..='\u{1EF9}' => true,
        '\0'..='\x7F' => false,
        c => c.is_alphanumeric() || is_combining_mark(c),
    }
}

/// Cuts a text into words: letters, digits and their marks; everything else is between words.
pub fn words(text: &str) -> Vec<Word> {
    let ranges = ranges(text).into_iter();
    ranges.filter_map(|range| word(text, range)).collect()
}

/// Where words stand in a text. Some turn out to be none: marks without a letter.
pub fn ranges(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        if let Some(from) = start
            && (!is_part(c) || stands_alone(c))
        {
            found.push(from..at);
            start = None;
        }
        if stands_alone(c) {
            found.push(at..at + c.len_utf8());
        } else if is_part(c) && start.is_none() {
            start = Some(at);
        }
    }
    if let Some(from) = start {
        found.push(from..text.len());
    }
    found
}

/// The first letter without its accents, where that can be told without making the word: in Latin scripts.
pub fn initial(part: &str) -> Option<char> {
    let first = part.chars().next()?;
    match first {
        '\0'..='\x7F' => Some(first.to_ascii_lowercase()),
        'đ' | 'Đ' => Some('d'),
        '\u{C0}'..='\u{24F}' | '\u{1EA0}'..='\u{1EF9}' => {
            let mut base = None;
            decompose_canonical(first, |c| _ = base.get_or_insert(c));
            base?.to_lowercase().next()
        }
        _ => None,
    }
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
        folded = folded.chars().filter(|c| is_part(*c)).take(LONGEST).collect();
    }
    (!folded.is_empty() && !exact.is_empty()).then_some(Word { exact, folded, range })
}

fn lower(letters: impl Iterator<Item = char>) -> String {
    let letters = letters.flat_map(char::to_lowercase).filter(|c| is_part(*c));
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
            prop_assert_eq!(is_part(c), c.is_alphanumeric() || is_combining_mark(c));
        }

        #[test]
        fn both_databases_get_plain_words(text in "\\PC{0,80}") {
            for word in words(&text) {
                prop_assert!(text.get(word.range.clone()).is_some());
                for spelling in [&word.exact, &word.folded] {
                    prop_assert!(!spelling.is_empty() && spelling.chars().all(is_part), "{:?}", spelling);
                }
            }
        }

        #[test]
        fn the_initial_is_the_first_letter_of_the_folded_word(text in "[a-zA-ZÀ-ÖØ-öø-ɏẠ-ỹ][a-zÀ-ÖØ-öø-ɏẠ-ỹ\u{300}-\u{30F}]{0,3}") {
            if let (Some(initial), Some(word)) = (initial(&text), words(&text).first()) {
                prop_assert_eq!(word.folded.chars().next(), Some(initial));
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
