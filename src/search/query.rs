//! What a reader typed, as terms. Nothing in it is ever an operator but the quotation marks around a phrase.

use super::words::{Word, line, may_be, words};

/// A word, or a phrase in quotation marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Its words, as they are spelled.
    pub exact: Vec<String>,
    /// Its words without accents.
    pub folded: Vec<String>,
    /// Whether the last word may go on.
    pub prefix: bool,
}

/// Which spelling counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// As typed, without regard to case.
    Exact,
    /// Without regard to accents.
    Folded,
}

impl Word {
    /// The word in a spelling.
    fn spelled(&self, spelling: Spelling) -> &String {
        match spelling {
            Spelling::Exact => &self.exact,
            Spelling::Folded => &self.folded,
        }
    }
}

impl Term {
    fn new(found: &[Word], prefix: bool) -> Option<Self> {
        (!found.is_empty()).then(|| Self {
            exact: found.iter().map(|word| word.exact.clone()).collect(),
            folded: found.iter().map(|word| word.folded.clone()).collect(),
            prefix,
        })
    }

    /// All terms one after the other, the last one whole; none where there is but one.
    pub fn sequence(terms: &[Self]) -> Option<Self> {
        (terms.len() > 1).then(|| Self {
            exact: terms.iter().flat_map(|term| term.exact.iter().cloned()).collect(),
            folded: terms.iter().flat_map(|term| term.folded.iter().cloned()).collect(),
            prefix: false,
        })
    }

    /// Whether it may begin with a part of a text, told without making words of it.
    pub fn may_begin(&self, part: &str) -> bool {
        let first = self.folded.first();
        first.is_some_and(|first| may_be(part, first, self.prefix && self.folded.len() == 1))
    }

    /// Its words in a spelling.
    pub fn words(&self, spelling: Spelling) -> &[String] {
        match spelling {
            Spelling::Exact => &self.exact,
            Spelling::Folded => &self.folded,
        }
    }

    /// What a line of words contains when it holds the term.
    pub fn needle(&self, spelling: Spelling) -> String {
        let mut needle = line(self.words(spelling).iter().map(String::as_str));
        if self.prefix {
            needle.pop();
        }
        needle
    }

    /// How many words there must be to tell whether it is the term that begins with this one; none when it cannot be.
    pub fn reach(&self, first: &Word, spelling: Spelling) -> Option<usize> {
        let fits = match self.words(spelling) {
            [_] => self.matches(std::slice::from_ref(first), spelling).is_some(),
            [own, ..] => *own == *first.spelled(spelling),
            [] => false,
        };
        fits.then_some(self.exact.len())
    }

    /// How many of these words, from the first, are the term.
    pub fn matches(&self, found: &[Word], spelling: Spelling) -> Option<usize> {
        let own = self.words(spelling);
        let fits = |(place, (own_word, word)): (usize, (&String, &Word))| {
            let word = word.spelled(spelling);
            word == own_word || (self.prefix && place + 1 == own.len() && word.starts_with(own_word.as_str()))
        };
        (found.len() >= own.len() && own.iter().zip(found).enumerate().all(fits)).then_some(own.len())
    }
}

/// Reads what was typed. The last word is a beginning, unless it stands in quotation marks.
pub fn parse(text: &str) -> Vec<Term> {
    let mut terms = Vec::new();
    let pieces: Vec<&str> = text.split(['"', '“', '”', '„', '«', '»']).collect();
    let last = pieces.len() - 1;
    for (place, piece) in pieces.iter().enumerate() {
        let found = words(piece);
        // A mark that nothing closes opens nothing.
        if place % 2 == 1 && place < last {
            terms.extend(Term::new(&found, false));
            continue;
        }
        let ends = place == last;
        for (nth, word) in found.iter().enumerate() {
            let prefix = ends && nth + 1 == found.len();
            terms.extend(Term::new(std::slice::from_ref(word), prefix));
        }
    }
    let mut kept: Vec<Term> = Vec::new();
    for term in terms {
        if !kept.contains(&term) {
            kept.push(term);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Vec<String> {
        parse(text)
            .iter()
            .map(|term| format!("{}{}", term.exact.join("+"), if term.prefix { "*" } else { "" }))
            .collect()
    }

    #[test]
    fn words_phrases_and_beginnings_are_told_apart() {
        assert_eq!(shown("Đối tho"), ["đối", "tho*"]);
        assert_eq!(shown("\"Thái Nguyên\" lũ"), ["thái+nguyên", "lũ*"]);
        assert_eq!(shown("lũ “Thái Nguyên”"), ["lũ", "thái+nguyên"]);
        assert_eq!(shown("a \"b c"), ["a", "b", "c*"]);
        assert_eq!(
            shown("a OR b* NOT (c) NEAR:d"),
            ["a", "or", "b", "not", "c", "near", "d*"]
        );
        assert_eq!(shown("\"\" !? %"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn a_text_holds_its_own_words(text in "\\PC{0,60}") {
            let found = words(&text);
            let held = line(found.iter().map(|word| word.folded.as_str()));
            for term in parse(&text.replace(['"', '“', '”', '„', '«', '»'], " ")) {
                prop_assert!(held.contains(&term.needle(Spelling::Folded)));
            }
        }
    }
}
