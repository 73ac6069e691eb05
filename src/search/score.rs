//! How well a hit answers: from the same stored words on both databases, never from their own ranking.

use memchr::memmem::Finder;

use super::heads::Head;
use super::query::{Spelling, Term};

/// Hits in the given spelling stand before all that match only without accents.
const EXACT: i64 = 1_000_000;
/// The terms in one sequence in the headline.
const TITLE_SEQUENCE: i64 = 40;
/// The terms in one sequence anywhere, also in a tag or a caption: most words of Vietnamese are two that are written apart.
const SEQUENCE: i64 = 12;
/// One term in the headline, in the lead, anywhere.
const TITLE: i64 = 16;
const LEAD: i64 = 6;
const ANYWHERE: i64 = 1;

/// Scores hits of one query.
pub struct Scorer {
    needles: Vec<Finder<'static>>,
    sequence: Finder<'static>,
    spelling: Spelling,
}

impl Scorer {
    /// For these terms in one spelling.
    pub fn new(terms: &[Term], spelling: Spelling) -> Self {
        let mut sequence = String::from(" ");
        let needles: Vec<String> = terms.iter().map(|term| term.needle(spelling)).collect();
        for needle in &needles {
            sequence.push_str(needle.trim_start());
        }
        let finder = |needle: &String| Finder::new(needle).into_owned();
        Self {
            needles: needles.iter().map(finder).collect(),
            sequence: finder(&sequence),
            spelling,
        }
    }

    /// The score of a hit that matches in this spelling; `in_sequence` when the terms stand side by side somewhere in it.
    pub fn score(&self, hit: &Head, in_sequence: bool) -> i64 {
        let base = match self.spelling {
            Spelling::Exact => EXACT,
            Spelling::Folded => 0,
        };
        let (title, lead) = (hit.title(self.spelling).as_bytes(), hit.lead(self.spelling).as_bytes());
        let holds = |text: &[u8], needle: &Finder<'_>| needle.find(text).is_some();
        let sequence = if self.needles.len() > 1 && holds(title, &self.sequence) {
            TITLE_SEQUENCE
        } else {
            0
        };
        let terms: i64 = self
            .needles
            .iter()
            .map(|needle| match needle {
                needle if holds(title, needle) => TITLE,
                needle if holds(lead, needle) => LEAD,
                _ => ANYWHERE,
            })
            .sum();
        base + sequence + if in_sequence { SEQUENCE } else { 0 } + terms
    }
}

#[cfg(test)]
mod tests {
    use super::super::query::parse;
    use super::super::store::Row;
    use super::super::words::{line, words};
    use super::*;
    use crate::types::Id;

    fn score(query: &str, spelling: Spelling, title: &str, lead: &str) -> i64 {
        let spelled = |text: &str| match spelling {
            Spelling::Exact => line(words(text).iter().map(|word| word.exact.as_str())),
            Spelling::Folded => line(words(text).iter().map(|word| word.folded.as_str())),
        };
        let row = Row {
            title_exact: spelled(title),
            title_folded: spelled(title),
            lead_exact: spelled(lead),
            lead_folded: spelled(lead),
            ..Row::default()
        };
        let terms = parse(query);
        let sequence = Term::sequence(&terms).map(|whole| whole.needle(spelling));
        let in_sequence = |needle: &String| row.title_exact.contains(needle) || row.lead_exact.contains(needle);
        let in_sequence = sequence.as_ref().is_some_and(in_sequence);
        Scorer::new(&terms, spelling).score(&Head::new(Id::new(), row), in_sequence)
    }

    #[test]
    fn headline_before_lead_before_the_rest_and_exact_before_all() {
        let exact = |title, lead| score("Thái Nguyên", Spelling::Exact, title, lead);
        let folded = |title, lead| score("Thái Nguyên", Spelling::Folded, title, lead);
        let scores = [
            exact("Lũ ở Thái Nguyên", ""),
            exact("Nguyên nhân của Thái", ""),
            exact("Lũ", "Ở Thái Nguyên"),
            exact("Lũ", "Nước lên"),
            folded("Thai Nguyen", ""),
            folded("Lũ", ""),
        ];
        assert!(scores.is_sorted_by(|a, b| a > b), "{scores:?}");
    }
}
