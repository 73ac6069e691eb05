//! What the index is asked: groups that must all match, each by any of its alternatives; and how each database is told.

use super::query::{Spelling, Term};
use crate::request::hash;
use crate::text::fold;
use crate::types::Id;

/// Begins the index's own words (tags, sections, languages). No word of a text has it.
const MARK: char = '§';
/// Stands between the fields of a story, so that no phrase reaches over.
pub const GAP: &str = "¶";

/// One way to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alternative {
    /// These words one after the other; the last may be a beginning.
    Words(Vec<String>, bool),
    /// One of the index's own words.
    Mark(String),
}

/// All groups must match; a group without alternatives matches nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted(pub Vec<Vec<Alternative>>);

/// The index's word for a thing, by the letter of its kind.
pub fn id_mark(letter: char, id: &Id) -> String {
    format!("{MARK}{letter}{}", id.as_str().replace('-', ""))
}

/// The index's word for a language.
pub fn language_mark(language: &str) -> String {
    format!("{MARK}l{}", language.replace('-', ""))
}

/// The index's word for a source.
pub fn source_mark(name: &str) -> String {
    let hash = hash(fold(name).as_bytes());
    let hash: String = hash.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{MARK}k{}", hash.to_lowercase())
}

/// The index's word for what belongs to the front page and what does not.
pub fn featured_mark(featured: bool) -> String {
    format!("{MARK}f{}", u8::from(featured))
}

impl Wanted {
    /// The terms, each also by the marks of what is named so.
    pub fn terms(terms: &[Term], spelling: Spelling, names: &[Vec<String>]) -> Self {
        let group = |(place, term): (usize, &Term)| {
            let words = Alternative::Words(term.words(spelling).to_vec(), term.prefix);
            let marks = names.get(place).into_iter().flatten().cloned().map(Alternative::Mark);
            std::iter::once(words).chain(marks).collect()
        };
        Self(terms.iter().enumerate().map(group).collect())
    }

    /// Adds a group of marks.
    pub fn any_mark(&mut self, marks: Vec<String>) {
        self.0.push(marks.into_iter().map(Alternative::Mark).collect());
    }

    /// Whether it can match at all.
    pub fn is_possible(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|group| !group.is_empty())
    }

    /// For FTS5.
    pub fn for_sqlite(&self, spelling: Spelling) -> String {
        let column = match spelling {
            Spelling::Exact => "exact",
            Spelling::Folded => "folded",
        };
        let groups = self.join(" AND ", " OR ", |alternative| match alternative {
            Alternative::Words(words, prefix) => {
                format!("\"{}\"{}", words.join(" "), if *prefix { " *" } else { "" })
            }
            Alternative::Mark(mark) => format!("\"{mark}\""),
        });
        format!("{column} : ({groups})")
    }

    /// For a `tsquery`.
    pub fn for_postgres(&self) -> String {
        self.join(" & ", " | ", |alternative| match alternative {
            Alternative::Words(words, prefix) => {
                let last = words.len().saturating_sub(1);
                let words: Vec<String> = words
                    .iter()
                    .enumerate()
                    .map(|(place, word)| format!("'{word}'{}", if *prefix && place == last { ":*" } else { "" }))
                    .collect();
                format!("({})", words.join(" <-> "))
            }
            Alternative::Mark(mark) => format!("'{mark}'"),
        })
    }

    fn join(&self, and: &str, or: &str, show: impl Fn(&Alternative) -> String) -> String {
        let groups: Vec<String> = self
            .0
            .iter()
            .map(|group| format!("({})", group.iter().map(&show).collect::<Vec<_>>().join(or)))
            .collect();
        groups.join(and)
    }
}
