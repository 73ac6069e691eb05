//! What searches came upon lately, in memory: headlines and leads of hits, and the texts that excerpts are cut from.
//! Relevance is compared among the newest thousand hits, which lie all over the disk, and most searches of a day come upon
//! the same ones. Both depend on their story's purge key.

use std::collections::HashMap;
use std::sync::Arc;

use super::query::Spelling;
use super::store;
use crate::articles::compose::docs_of;
use crate::changes::{Truth, key};
use crate::db::Conn;
use crate::error::Result;
use crate::shelf::{Kept, Rules, Shelf};
use crate::types::Id;

/// Bytes of heads that are remembered; one has about 700.
const HEADS: u64 = 6 * 1024 * 1024;
/// Bytes of texts that are remembered; one has about 4,000.
const TEXTS: u64 = 4 * 1024 * 1024;
/// What a thing weighs besides its words.
const OVERHEAD: usize = 200;

/// What relevance is told by, for one hit.
#[derive(Debug)]
pub struct Head {
    /// Its number; newer stories have higher ones.
    pub row_id: i64,
    /// The story.
    pub article_id: Id,
    exact: Lines,
    folded: Lines,
}

/// Words of one spelling, as lines.
#[derive(Debug)]
struct Lines {
    title: Box<str>,
    lead: Box<str>,
}

impl Head {
    /// The head of a story, from its row.
    pub fn new(article_id: Id, row: store::Row) -> Self {
        let lines = |title: String, lead: String| Lines {
            title: title.into(),
            lead: lead.into(),
        };
        Self {
            row_id: row.row_id,
            article_id,
            exact: lines(row.title_exact, row.lead_exact),
            folded: lines(row.title_folded, row.lead_folded),
        }
    }

    fn lines(&self, spelling: Spelling) -> &Lines {
        match spelling {
            Spelling::Exact => &self.exact,
            Spelling::Folded => &self.folded,
        }
    }

    /// The headline's words in one spelling, as a line.
    pub fn title(&self, spelling: Spelling) -> &str {
        &self.lines(spelling).title
    }

    /// The lead's words.
    pub fn lead(&self, spelling: Spelling) -> &str {
        &self.lines(spelling).lead
    }

    fn weight(&self) -> u64 {
        let words = |lines: &Lines| lines.title.len() + lines.lead.len();
        (OVERHEAD + words(&self.exact) + words(&self.folded)) as u64
    }
}

/// What excerpts of one story are cut from, besides its summary.
#[derive(Debug)]
pub struct Text {
    /// The body without its marks.
    pub body: Box<str>,
    /// The words of its pictures, in order.
    pub captions: Vec<Box<str>>,
}

impl Text {
    fn weight(&self) -> u64 {
        let captions: usize = self.captions.iter().map(|text| text.len()).sum();
        (OVERHEAD + self.body.len() + captions) as u64
    }
}

/// What one process remembers.
pub struct Heads {
    heads: Shelf<i64, Head>,
    texts: Shelf<Id, Text>,
}

impl Heads {
    /// A memory that follows this truth.
    pub fn new(truth: &Arc<Truth>) -> Self {
        let heads = Rules {
            depends_on: |_: &i64, head: &Head| vec![key('a', &head.article_id)],
            weight: Head::weight,
        };
        let texts = Rules {
            depends_on: |id: &Id, _: &Text| vec![key('a', id)],
            weight: Text::weight,
        };
        Self {
            heads: Shelf::new(Arc::clone(truth), HEADS, (HEADS / 1000) as usize, heads),
            texts: Shelf::new(Arc::clone(truth), TEXTS, (TEXTS / 4000) as usize, texts),
        }
    }

    /// The heads with these numbers, in their order.
    pub fn of(&self, conn: &mut Conn, numbers: &[i64]) -> Result<Vec<Arc<Kept<Head>>>> {
        let found = self.heads.get(conn, numbers, |conn, numbers| {
            let head = |row: store::Row| Some((row.row_id, Head::new(Id::parse(&row.article_id)?, row)));
            Ok(store::heads_of(conn, numbers)?.into_iter().filter_map(head).collect())
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The texts of live stories, in the order of their ids here.
    pub fn texts(&self, conn: &mut Conn, ids: &[Id]) -> Result<Vec<Option<Arc<Kept<Text>>>>> {
        self.texts.get(conn, ids, |conn, ids| {
            let mut texts = HashMap::with_capacity(ids.len());
            for (id, doc) in docs_of(conn, ids)? {
                let captions = doc.captions.into_iter();
                let words = captions.flat_map(|caption| [caption.text, caption.alt, caption.credit]);
                let text = Text {
                    body: doc.body.read()?.to_text().into(),
                    captions: words.flatten().map(Box::from).collect(),
                };
                texts.insert(id, text);
            }
            Ok(texts)
        })
    }
}
