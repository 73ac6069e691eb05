//! Excerpts in the story's own spelling, with what was found marked.

use std::ops::Range;

use serde::Serialize;
use utoipa::ToSchema;

use super::query::{Spelling, Term};
use super::words::{Word, initial, ranges, word};

/// Where something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HighlightField {
    /// The headline.
    Title,
    /// The opening paragraph.
    Lead,
    /// The body.
    Body,
    /// An image's text, alternative text or credit.
    Caption,
    /// An author's name.
    Author,
    /// A tag's name.
    Tag,
}

/// A piece of an excerpt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HighlightPart {
    /// The text; show it as text, not as HTML.
    #[schema(example = "Thái Nguyên")]
    pub text: String,
    /// Whether it is what was looked for.
    pub hit: bool,
}

/// A short excerpt with what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Highlight {
    /// Where it was found.
    pub field: HighlightField,
    /// The excerpt, piece by piece.
    pub parts: Vec<HighlightPart>,
}

/// Bytes of an excerpt before the first hit, and after it.
const BEFORE: usize = 80;
const AFTER: usize = 240;
/// Bytes up to which a text is shown wholly.
const WHOLE: usize = 300;

/// A place where a term was found.
struct Place {
    range: Range<usize>,
    term: usize,
}

/// The excerpt of a text; none when nothing is found in it.
pub fn highlight(field: HighlightField, text: &str, terms: &[Term], spelling: Spelling) -> Option<Highlight> {
    let places = places(text, terms, spelling);
    let window = window(text, &places)?;
    let mut parts = Vec::new();
    let mut push = |text: &str, hit: bool| {
        if !text.is_empty() {
            parts.push(HighlightPart {
                text: text.to_owned(),
                hit,
            });
        }
    };
    let mut at = window.start;
    let before = if window.start > 0 { "… " } else { "" };
    let mut lead_in = before.to_owned();
    for range in merged(places) {
        if range.start < at || range.end > window.end {
            continue;
        }
        lead_in.push_str(text.get(at..range.start).unwrap_or(""));
        push(&lead_in, false);
        lead_in.clear();
        push(text.get(range.clone()).unwrap_or(""), true);
        at = range.end;
    }
    let rest = text.get(at..window.end).unwrap_or("").to_owned();
    let rest = if window.end < text.len() {
        rest.trim_end().to_owned() + " …"
    } else {
        rest
    };
    push(&rest, false);
    Some(Highlight { field, parts })
}

/// Where the terms stand. Only words that begin like one of them are made and compared.
fn places(text: &str, terms: &[Term], spelling: Spelling) -> Vec<Place> {
    let ranges = ranges(text);
    let initials: Vec<Option<char>> = terms.iter().map(Term::initial).collect();
    let mut places = Vec::new();
    for (at, range) in ranges.iter().enumerate() {
        let begins = text.get(range.clone()).and_then(initial).map(Some);
        if begins.is_some_and(|begins| !initials.contains(&begins)) {
            continue;
        }
        let Some(first) = word(text, range.clone()) else {
            continue;
        };
        let reach = terms.iter().filter_map(|term| term.reach(&first, spelling)).max();
        let Some(reach) = reach else { continue };
        let following = ranges.iter().skip(at + 1).filter_map(|range| word(text, range.clone()));
        let found: Vec<Word> = std::iter::once(first).chain(following).take(reach).collect();
        for (term, wanted) in terms.iter().enumerate() {
            if let Some(count) = wanted.matches(&found, spelling)
                && let (Some(first), Some(last)) = (found.first(), found.get(count - 1))
            {
                let range = first.range.start..last.range.end;
                places.push(Place { range, term });
            }
        }
    }
    places
}

/// The part to show: the one with the most different terms, and of these the first.
fn window(text: &str, places: &[Place]) -> Option<Range<usize>> {
    let first = places.first()?;
    if text.len() <= WHOLE {
        return Some(0..text.len());
    }
    let different = |from: &Place| {
        let near = places
            .iter()
            .filter(|place| place.range.start >= from.range.start && place.range.end <= from.range.start + AFTER);
        let mut terms: Vec<usize> = near.map(|place| place.term).collect();
        terms.sort_unstable();
        terms.dedup();
        terms.len()
    };
    // A word on every line needs no look at each of its places.
    let best = places.iter().take(200).fold((first, 0), |best, place| {
        let count = different(place);
        if count > best.1 { (place, count) } else { best }
    });
    let place = best.0;
    let start = match place.range.start.checked_sub(BEFORE) {
        None | Some(0) => 0,
        Some(start) => after_space(text, start, place.range.start),
    };
    let end = place.range.end.max(place.range.start + AFTER);
    let end = if end >= text.len() {
        text.len()
    } else {
        before_space(text, end, place.range.end)
    };
    Some(start..end)
}

/// The first beginning of a word at or after a byte, up to a limit.
fn after_space(text: &str, from: usize, limit: usize) -> usize {
    let mut spaces = text.char_indices().skip_while(|(at, _)| *at < from);
    let space = spaces.find(|(_, c)| c.is_whitespace());
    space.map_or(limit, |(at, c)| at + c.len_utf8()).min(limit)
}

/// The last end of a word at or before a byte, down to a limit.
fn before_space(text: &str, to: usize, limit: usize) -> usize {
    let spaces = text.char_indices().take_while(|(at, _)| *at <= to);
    let space = spaces.filter(|(_, c)| c.is_whitespace()).last();
    space.map_or(limit, |(at, _)| at).max(limit)
}

/// Ranges in order, those that touch as one.
fn merged(mut places: Vec<Place>) -> Vec<Range<usize>> {
    places.sort_by_key(|place| (place.range.start, place.range.end));
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for place in places {
        match ranges.last_mut() {
            Some(last) if place.range.start < last.end => last.end = last.end.max(place.range.end),
            _ => ranges.push(place.range),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::query::parse;
    use super::*;

    fn shown(text: &str, query: &str, spelling: Spelling) -> String {
        let found = highlight(HighlightField::Body, text, &parse(query), spelling);
        let parts = found.map(|found| found.parts).unwrap_or_default();
        parts
            .iter()
            .map(|part| {
                if part.hit {
                    format!("[{}]", part.text)
                } else {
                    part.text.clone()
                }
            })
            .collect()
    }

    #[test]
    fn what_was_found_is_marked_in_its_own_spelling() {
        assert_eq!(
            shown("Lũ ở Thái Nguyên.", "thai nguyen", Spelling::Folded),
            "Lũ ở [Thái] [Nguyên]."
        );
        assert_eq!(
            shown("Lũ ở Thái Nguyên.", "\"thai nguyen\"", Spelling::Folded),
            "Lũ ở [Thái Nguyên]."
        );
        assert_eq!(shown("Lũ ở Thái Nguyên.", "thai", Spelling::Exact), "");
        let long = format!("{}Đối thoại {}", "mở đầu ".repeat(60), "kết thúc ".repeat(60));
        let excerpt = shown(&long, "doi thoai", Spelling::Folded);
        assert!(
            excerpt.starts_with("… ") && excerpt.ends_with(" …") && excerpt.contains("[Đối] [thoại]"),
            "{excerpt}"
        );
    }

    proptest! {
        #[test]
        fn an_excerpt_is_a_piece_of_the_text(text in "[aáđ ,\n🎉]{0,900}", query in "[aáđ \"]{1,9}") {
            if let Some(found) = highlight(HighlightField::Body, &text, &parse(&query), Spelling::Folded) {
                prop_assert!(found.parts.iter().any(|part| part.hit));
                let all: String = found.parts.iter().map(|part| part.text.as_str()).collect();
                prop_assert!(text.contains(all.trim_start_matches("… ").trim_end_matches(" …")));
                prop_assert!(all.len() <= 1000);
            }
        }
    }
}
