//! Excerpts in the story's own spelling, with what was found marked.

use std::ops::Range;

use serde::Serialize;
use utoipa::ToSchema;

use super::query::{Spelling, Term};
use super::words::{Ranges, Word, word};

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
/// Places that an excerpt may begin with: a word on every line needs no look at each of its places.
const LOOKED_AT: usize = 200;

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

/// Where the terms stand, as far as the excerpt can reach. Only words that may begin a term are made and compared.
fn places(text: &str, terms: &[Term], spelling: Spelling) -> Vec<Place> {
    let mut ranges = Ranges::of(text);
    let mut places: Vec<Place> = Vec::new();
    // Where the excerpt ends, once that is known.
    let mut end = None;
    while let Some(range) = ranges.next() {
        if end.is_some_and(|end| range.start > end) {
            break;
        }
        let Some(part) = text.get(range.clone()) else { continue };
        if !terms.iter().any(|term| term.may_begin(part)) {
            continue;
        }
        let Some(first) = word(text, range) else { continue };
        let reach = terms.iter().filter_map(|term| term.reach(&first, spelling)).max();
        let Some(reach) = reach else { continue };
        let following = ranges.clone().filter_map(|range| word(text, range));
        let found: Vec<Word> = std::iter::once(first).chain(following).take(reach).collect();
        for (term, wanted) in terms.iter().enumerate() {
            if let Some(count) = wanted.matches(&found, spelling)
                && let (Some(first), Some(last)) = (found.first(), found.get(count - 1))
            {
                let range = first.range.start..last.range.end;
                places.push(Place { range, term });
            }
        }
        if end.is_none() && text.len() > WHOLE {
            end = reach_of(&places, terms.len());
        }
    }
    places
}

/// Where the excerpt ends when no later place can begin a better one: the first with all terms is there, or enough has been
/// looked at. Only places that the newest one is near to can have become complete by it.
fn reach_of(places: &[Place], terms: usize) -> Option<usize> {
    let newest = places.last()?;
    let near = places
        .iter()
        .rev()
        .take_while(|place| place.range.start + AFTER >= newest.range.end);
    let complete = near.filter(|place| different(place, places) == terms).last();
    let place = complete.or_else(|| places.get(LOOKED_AT - 1))?;
    Some(place.range.end.max(place.range.start + AFTER))
}

/// How many different terms stand in the excerpt that would begin with a place.
fn different(from: &Place, places: &[Place]) -> usize {
    let first = places.partition_point(|place| place.range.start < from.range.start);
    let near = places.iter().skip(first);
    // A phrase may end outside, and a word after it inside.
    let near = near.take_while(|place| place.range.start <= from.range.start + AFTER);
    let inside = near.filter(|place| place.range.end <= from.range.start + AFTER);
    // A query has room for some hundred terms.
    let terms = inside.fold(0_u128, |terms, place| terms | 1 << place.term.min(127));
    terms.count_ones() as usize
}

/// The part to show: the one with the most different terms, and of these the first.
fn window(text: &str, places: &[Place]) -> Option<Range<usize>> {
    let first = places.first()?;
    if text.len() <= WHOLE {
        return Some(0..text.len());
    }
    let best = places.iter().take(LOOKED_AT).fold((first, 0), |best, place| {
        let count = different(place, places);
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

/// The first boundary of a character at or before a byte.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// The first beginning of a word at or after a byte, up to a limit.
fn after_space(text: &str, from: usize, limit: usize) -> usize {
    let from = boundary(text, from);
    let rest = text.get(from..limit).unwrap_or("");
    let mut spaces = rest.char_indices().filter(|(_, c)| c.is_whitespace());
    spaces.next().map_or(limit, |(at, c)| from + at + c.len_utf8())
}

/// The last end of a word at or before a byte, down to a limit.
fn before_space(text: &str, to: usize, limit: usize) -> usize {
    let to = boundary(text, to);
    let reach = text.get(limit..to).unwrap_or("");
    let next_is_space = text
        .get(to..)
        .and_then(|rest| rest.chars().next())
        .is_some_and(char::is_whitespace);
    if next_is_space {
        return to;
    }
    reach.rfind(char::is_whitespace).map_or(limit, |at| limit + at)
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
        fn no_later_place_makes_a_better_excerpt(text in "([abđ]{1,2}[ ,]|[xyz]{1,40} ){0,200}", query in "[abđ]{1,2}( [abđ]{1,2}){0,2}") {
            let terms = parse(&query);
            let found = places(&text, &terms, Spelling::Folded);
            let mut all = Vec::new();
            let words = super::super::words::words(&text);
            for at in 0..words.len() {
                for (term, wanted) in terms.iter().enumerate() {
                    if let Some(count) = wanted.matches(&words[at..], Spelling::Folded) {
                        all.push(Place { range: words[at].range.start..words[at + count - 1].range.end, term });
                    }
                }
            }
            let excerpt = window(&text, &all);
            prop_assert_eq!(window(&text, &found), excerpt.clone());
            let marked = |places: Vec<Place>| -> Vec<Range<usize>> {
                let end = excerpt.as_ref().map_or(0, |excerpt| excerpt.end);
                merged(places).into_iter().filter(|range| range.end <= end).collect()
            };
            prop_assert_eq!(marked(found), marked(all));
        }

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
