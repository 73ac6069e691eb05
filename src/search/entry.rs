//! What the index keeps of a story.

use std::collections::HashMap;

use super::store::Span;
use super::wanted::{GAP, featured_mark, id_mark, language_mark, source_mark};
use super::words::{line, words};
use crate::articles::publication::{Card, Doc};
use crate::error::Result;
use crate::types::{Id, Time};

/// Words of a story that are indexed; PostgreSQL knows no more places.
const MOST_WORDS: usize = 16_000;
/// Bytes of words that are indexed in one spelling.
const MOST_BYTES: usize = 400_000;
/// Places of one word that are indexed; PostgreSQL keeps no more.
const MOST_PLACES: usize = 250;
/// Bits of a number that tell stories of one millisecond apart; they say nothing about their order.
const SLOT_BITS: u32 = 20;

/// A live story, as the index has it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The story.
    pub article_id: Id,
    /// Its number; the next free one is taken.
    pub row_id: i64,
    /// All words, as they are spelled.
    pub exact: Vec<String>,
    /// All words without accents.
    pub folded: Vec<String>,
    /// The headline's words on one line.
    pub title_exact: String,
    /// The same without accents.
    pub title_folded: String,
    /// The lead's words on one line.
    pub lead_exact: String,
    /// The same without accents.
    pub lead_folded: String,
}

/// The lowest number of a time.
pub fn first_number(time: Time) -> i64 {
    // Within the years 1716 to 2223; what lies outside shares their ends.
    time.ms().clamp(-8_000_000_000_000, 8_000_000_000_000) << SLOT_BITS
}

/// The millisecond of a number.
pub fn moment(number: i64) -> i64 {
    number >> SLOT_BITS
}

/// The numbers of a millisecond.
pub fn numbers_of(moment: i64) -> Span {
    let from = moment << SLOT_BITS;
    Span {
        from,
        to: from + (1 << SLOT_BITS) - 1,
    }
}

fn number(published: Time, id: &Id) -> i64 {
    let slot = id
        .as_str()
        .bytes()
        .fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    first_number(published) + i64::from(slot % (1 << SLOT_BITS))
}

/// Makes the entry of a publication.
pub fn entry(id: &Id, published: Time, language: &str, featured: bool, card: &Card, doc: &Doc) -> Result<Entry> {
    let mut marks = vec![id_mark('a', id), language_mark(language), featured_mark(featured)];
    marks.extend(card.section_id.iter().map(|id| id_mark('s', id)));
    marks.extend(card.tag_ids.iter().map(|id| id_mark('t', id)));
    marks.extend(card.author_ids.iter().map(|id| id_mark('u', id)));
    marks.extend(card.source.iter().map(|source| source_mark(&source.name)));
    let mut exact = Spelled::new(&marks);
    let mut folded = Spelled::new(&marks);
    let lead = card.lead.as_deref().unwrap_or("");
    let body = doc.body.read()?.to_text();
    let captions = doc
        .captions
        .iter()
        .flat_map(|caption| [&caption.text, &caption.alt, &caption.credit])
        .filter_map(|text| text.as_deref());
    for text in [card.title.as_str(), lead, &body].into_iter().chain(captions) {
        for word in words(text) {
            exact.push(word.exact);
            folded.push(word.folded);
        }
        exact.gap();
        folded.gap();
    }
    let title = words(&card.title);
    let lead = words(lead);
    Ok(Entry {
        article_id: id.clone(),
        row_id: number(published, id),
        exact: exact.words,
        folded: folded.words,
        title_exact: line(title.iter().map(|word| word.exact.as_str())),
        title_folded: line(title.iter().map(|word| word.folded.as_str())),
        lead_exact: line(lead.iter().map(|word| word.exact.as_str())),
        lead_folded: line(lead.iter().map(|word| word.folded.as_str())),
    })
}

/// Words in one spelling, within what both databases can keep: then both find the same.
struct Spelled {
    words: Vec<String>,
    bytes: usize,
    places: HashMap<String, usize>,
}

impl Spelled {
    fn new(marks: &[String]) -> Self {
        let mut words = marks.to_vec();
        words.push(GAP.to_owned());
        Self {
            words,
            bytes: 0,
            places: HashMap::new(),
        }
    }

    fn push(&mut self, word: String) {
        if self.words.len() >= MOST_WORDS || self.bytes + word.len() > MOST_BYTES {
            return;
        }
        let places = self.places.entry(word.clone()).or_default();
        *places += 1;
        if *places > MOST_PLACES {
            self.gap();
            return;
        }
        self.bytes += word.len();
        self.words.push(word);
    }

    fn gap(&mut self) {
        self.words.push(GAP.to_owned());
    }
}
