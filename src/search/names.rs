//! Names of tags and authors. The index keeps their ids, and the names are looked at when somebody asks: a new name
//! holds at once for every story, and no story is indexed again.

use std::collections::BTreeSet;

use diesel::prelude::*;

use super::query::{Spelling, Term};
use super::wanted::id_mark;
use super::words::words;
use crate::db::Conn;
use crate::error::Result;
use crate::schema::{authors, tags};
use crate::text::like_pattern;
use crate::types::Id;

/// Names that one query looks at, of each kind.
const LOOKED_AT: i64 = 1000;
/// Names that one term can stand for.
const MOST_NAMES: usize = 100;

/// For each term the marks of what is named so, in both spellings.
#[derive(Debug, Default)]
pub struct Named {
    /// By the given spelling.
    pub exact: Vec<Vec<String>>,
    /// Without regard to accents.
    pub folded: Vec<Vec<String>>,
}

/// Looks the terms up among the names.
pub fn named(conn: &mut Conn, terms: &[Term]) -> Result<Named> {
    let patterns: BTreeSet<String> = terms
        .iter()
        .filter_map(|term| term.folded.iter().max_by_key(|word| word.chars().count()))
        .map(|word| like_pattern(word))
        .collect();
    let mut of_tags = tags::table.select((tags::id, tags::name)).into_boxed();
    let mut of_authors = authors::table.select((authors::id, authors::name)).into_boxed();
    for pattern in &patterns {
        of_tags = of_tags.or_filter(tags::name_key.like(pattern).escape('\\'));
        of_authors = of_authors.or_filter(authors::name_key.like(pattern).escape('\\'));
    }
    let of_tags: Vec<(Id, String)> = of_tags.order((tags::name_key, tags::id)).limit(LOOKED_AT).load(conn)?;
    let of_authors: Vec<(Id, String)> = of_authors
        .order((authors::name_key, authors::id))
        .limit(LOOKED_AT)
        .load(conn)?;
    let mut named = Named {
        exact: vec![Vec::new(); terms.len()],
        folded: vec![Vec::new(); terms.len()],
    };
    for (letter, list) in [('t', of_tags), ('u', of_authors)] {
        for (id, name) in list {
            named.add(terms, &id_mark(letter, &id), &name);
        }
    }
    Ok(named)
}

impl Named {
    fn add(&mut self, terms: &[Term], mark: &str, name: &str) {
        let found = words(name);
        for (place, term) in terms.iter().enumerate() {
            for (spelling, lists) in [(Spelling::Exact, &mut self.exact), (Spelling::Folded, &mut self.folded)] {
                let held = (0..found.len()).any(|at| {
                    let rest = found.get(at..).unwrap_or_default();
                    term.matches(rest, spelling).is_some()
                });
                if let Some(list) = lists.get_mut(place)
                    && held
                    && list.len() < MOST_NAMES
                {
                    list.push(mark.to_owned());
                }
            }
        }
    }
}
