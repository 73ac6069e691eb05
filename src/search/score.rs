//! How well a hit answers: from the same stored words on both databases, never from their own ranking.

use super::query::{Spelling, Term};
use super::store::Hit;

/// Hits in the given spelling stand before all that match only without accents.
const EXACT: i64 = 1_000_000;
/// The terms in one sequence in the headline.
const TITLE_SEQUENCE: i64 = 40;
/// One term in the headline, in the lead, anywhere.
const TITLE: i64 = 16;
const LEAD: i64 = 6;
const ANYWHERE: i64 = 1;

/// Scores hits of one query.
pub struct Scorer {
    needles: Vec<String>,
    sequence: String,
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
        Self {
            needles,
            sequence,
            spelling,
        }
    }

    /// The score of a hit that matches in this spelling.
    pub fn score(&self, hit: &Hit) -> i64 {
        let (base, title, lead) = match self.spelling {
            Spelling::Exact => (EXACT, &hit.title_exact, &hit.lead_exact),
            Spelling::Folded => (0, &hit.title_folded, &hit.lead_folded),
        };
        let sequence = if self.needles.len() > 1 && title.contains(&self.sequence) {
            TITLE_SEQUENCE
        } else {
            0
        };
        let terms: i64 = self
            .needles
            .iter()
            .map(|needle| match needle {
                needle if title.contains(needle) => TITLE,
                needle if lead.contains(needle) => LEAD,
                _ => ANYWHERE,
            })
            .sum();
        base + sequence + terms
    }
}

#[cfg(test)]
mod tests {
    use super::super::query::parse;
    use super::super::words::{line, words};
    use super::*;

    fn hit(title: &str, lead: &str) -> Hit {
        let exact = |text: &str| line(words(text).iter().map(|word| word.exact.as_str()));
        let folded = |text: &str| line(words(text).iter().map(|word| word.folded.as_str()));
        Hit {
            row_id: 1,
            article_id: String::new(),
            title_exact: exact(title),
            title_folded: folded(title),
            lead_exact: exact(lead),
            lead_folded: folded(lead),
        }
    }

    #[test]
    fn headline_before_lead_before_the_rest_and_exact_before_all() {
        let terms = parse("Thái Nguyên");
        let (exact, folded) = (
            Scorer::new(&terms, Spelling::Exact),
            Scorer::new(&terms, Spelling::Folded),
        );
        let scores = [
            exact.score(&hit("Lũ ở Thái Nguyên", "")),
            exact.score(&hit("Nguyên nhân của Thái", "")),
            exact.score(&hit("Lũ", "Ở Thái Nguyên")),
            exact.score(&hit("Lũ", "Nước lên")),
            folded.score(&hit("Thai Nguyen", "")),
            folded.score(&hit("Lũ", "")),
        ];
        assert!(scores.is_sorted_by(|a, b| a > b), "{scores:?}");
    }
}
