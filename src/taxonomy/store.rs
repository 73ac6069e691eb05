//! What the three kinds share in the tables: free slugs, names for stories, and who uses what.

use std::collections::HashMap;

use diesel::dsl::exists;
use diesel::prelude::*;

use super::{first_slug, slug_taken};
use crate::changes;
use crate::db::{Conn, Tx, Value, insert_once};
use crate::error::{Problem, Result, UsedBy};
use crate::holds;
use crate::literals::Live;
use crate::schema::{
    article_authors, article_tags, articles, authors, publication_authors, publication_tags, publications, sections,
    tags,
};
use crate::text::sort_key;
use crate::types::{Id, Patch, Time};

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A section.
    Section,
    /// A tag.
    Tag,
    /// An author.
    Author,
}

impl Kind {
    /// The purge key of one item.
    pub fn key(self, id: &Id) -> String {
        let letter = match self {
            Self::Section => 's',
            Self::Tag => 't',
            // `a` is the article's.
            Self::Author => 'u',
        };
        changes::key(letter, id)
    }

    /// The purge key of the readers' list, which each of its items carries too: whatever adds or removes one of the
    /// kind purges this.
    pub fn list_key(self) -> &'static str {
        match self {
            Self::Section => "sections",
            Self::Tag => "tags",
            Self::Author => "authors",
        }
    }
}

/// The id behind a slug or an id.
pub fn find_id(conn: &mut Conn, kind: Kind, reference: &str) -> Result<Option<Id>> {
    let found = match kind {
        Kind::Section => sections::table
            .filter(sections::slug.eq(reference).or(sections::id.eq(reference)))
            .select(sections::id)
            .first(conn),
        Kind::Tag => tags::table
            .filter(tags::slug.eq(reference).or(tags::id.eq(reference)))
            .select(tags::id)
            .first(conn),
        Kind::Author => authors::table
            .filter(authors::slug.eq(reference).or(authors::id.eq(reference)))
            .select(authors::id)
            .first(conn),
    };
    Ok(found.optional()?)
}

/// The ids behind slugs or ids; unknown ones are left out.
pub fn find_ids(conn: &mut Conn, kind: Kind, references: &[String]) -> Result<Vec<Id>> {
    let mut ids = Vec::new();
    for reference in references {
        ids.extend(find_id(conn, kind, reference)?);
    }
    Ok(ids)
}

/// Slugs to try one after the other: the wanted one, and unless it was written by hand, the same with `-2`, `-3` …
/// behind it, and with an id's random end at last.
fn candidates((wanted, by_hand): &(String, bool)) -> impl Iterator<Item = String> {
    let numbered = (2..100).map(move |number| format!("{wanted}-{number}"));
    let last = std::iter::once_with(move || format!("{wanted}-{}", Id::new().random_end()));
    let tries = if *by_hand { 1 } else { usize::MAX };
    std::iter::once(wanted.clone()).chain(numbered).chain(last).take(tries)
}

/// Makes the row of a new item, with a slug that nobody else of its kind has, and gives its id. What else the kind has
/// is written by its room in the same transaction.
pub fn insert(tx: &mut Tx<'_>, kind: Kind, name: &str, slug: Option<&str>) -> Result<Id> {
    let id = Id::new();
    for slug in candidates(&first_slug(slug, name)) {
        if insert_with(tx, kind, &id, name, &slug)? {
            return Ok(id);
        }
    }
    Err(slug_taken(slug.unwrap_or(name)))
}

/// Makes a row unless another has its slug. Of two that want one slug at the same moment, the second waits here until
/// the first has committed, and is then refused.
fn insert_with(tx: &mut Tx<'_>, kind: Kind, id: &Id, name: &str, slug: &str) -> Result<bool> {
    let statement = match kind {
        Kind::Section => {
            "INSERT INTO sections (id, slug, name, name_key, created_ms, updated_ms, position, version) \
             VALUES ($1, $2, $3, $4, $5, $6, 0, 1) ON CONFLICT (slug) DO NOTHING"
        }
        Kind::Tag => {
            "INSERT INTO tags (id, slug, name, name_key, created_ms, updated_ms, version) \
             VALUES ($1, $2, $3, $4, $5, $6, 1) ON CONFLICT (slug) DO NOTHING"
        }
        Kind::Author => {
            "INSERT INTO authors (id, slug, name, name_key, created_ms, updated_ms, version) \
             VALUES ($1, $2, $3, $4, $5, $6, 1) ON CONFLICT (slug) DO NOTHING"
        }
    };
    let (key, now) = (sort_key(name), Value::Int(tx.now.ms()));
    let [id, slug, name, key] = [id.as_str(), slug, name, &key].map(Value::Text);
    insert_once(tx.conn, statement, &[id, slug, name, key, now, now])
}

/// The slug of an item after a patch.
///
/// `UPDATE` knows no `ON CONFLICT`, so a new slug is taken by a row of its own, which makes way at once: until this
/// transaction ends, whoever wants the slug waits, and nobody meets a unique violation.
pub fn patched_slug(tx: &mut Tx<'_>, kind: Kind, name: &str, patch: Patch<String>, current: String) -> Result<String> {
    let wanted = match patch {
        Patch::Keep => return Ok(current),
        Patch::Clear => first_slug(None, name),
        Patch::Set(slug) => (slug, true),
    };
    let taker = Id::new();
    for slug in candidates(&wanted) {
        if slug == current {
            return Ok(current);
        }
        if insert_with(tx, kind, &taker, name, &slug)? {
            match kind {
                Kind::Section => diesel::delete(sections::table.find(&taker)).execute(tx.conn)?,
                Kind::Tag => diesel::delete(tags::table.find(&taker)).execute(tx.conn)?,
                Kind::Author => diesel::delete(authors::table.find(&taker)).execute(tx.conn)?,
            };
            return Ok(slug);
        }
    }
    Err(slug_taken(&wanted.0))
}

/// The slug, the name and the time of the last change.
pub type Name = (String, String, Time);

/// Slugs and names of the items with these ids.
pub fn names_of(conn: &mut Conn, kind: Kind, ids: &[Id]) -> Result<HashMap<Id, Name>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Id, String, String, Time)> = match kind {
        Kind::Section => sections::table
            .filter(sections::id.eq_any(ids))
            .select((sections::id, sections::slug, sections::name, sections::updated_ms))
            .load(conn)?,
        Kind::Tag => tags::table
            .filter(tags::id.eq_any(ids))
            .select((tags::id, tags::slug, tags::name, tags::updated_ms))
            .load(conn)?,
        Kind::Author => authors::table
            .filter(authors::id.eq_any(ids))
            .select((authors::id, authors::slug, authors::name, authors::updated_ms))
            .load(conn)?,
    };
    Ok(rows
        .into_iter()
        .map(|(id, slug, name, time)| (id, (slug, name, time)))
        .collect())
}

/// The first working copies, publications, pinned and previewed revisions that use an item; at most ten of each are named.
pub fn used_in(conn: &mut Conn, kind: Kind, id: &Id) -> Result<Vec<UsedBy>> {
    let working: Vec<(Id, String)> = match kind {
        Kind::Section => articles::table
            .filter(articles::section_id.eq(id))
            .select((articles::id, articles::title))
            .limit(10)
            .load(conn)?,
        Kind::Tag => articles::table
            .inner_join(article_tags::table.on(article_tags::article_id.eq(articles::id)))
            .filter(article_tags::tag_id.eq(id))
            .select((articles::id, articles::title))
            .limit(10)
            .load(conn)?,
        Kind::Author => articles::table
            .inner_join(article_authors::table.on(article_authors::article_id.eq(articles::id)))
            .filter(article_authors::author_id.eq(id))
            .select((articles::id, articles::title))
            .limit(10)
            .load(conn)?,
    };
    let mut used: Vec<UsedBy> = working.into_iter().map(|(id, title)| article(id, title)).collect();
    for (id, card) in live(conn, kind, id)? {
        if !used.iter().any(|other| other.id == id.as_str()) {
            let card: serde_json::Value = serde_json::from_str(&card).map_err(Problem::internal)?;
            used.push(article(id, card["title"].as_str().unwrap_or("").to_owned()));
        }
    }
    holds::added(conn, id, used)
}

fn article(id: Id, title: String) -> UsedBy {
    UsedBy {
        kind: "article".into(),
        id: id.to_string(),
        title,
    }
}

fn live(conn: &mut Conn, kind: Kind, id: &Id) -> Result<Vec<(Id, String)>> {
    const MOST: i64 = 10;
    let query = publications::table
        .filter(publications::state.eq(Live))
        .select((publications::article_id, publications::card))
        .limit(MOST)
        .into_boxed();
    Ok(match kind {
        Kind::Section => query.filter(publications::section_id.eq(id)).load(conn)?,
        Kind::Tag => {
            let of = publication_tags::table
                .filter(publication_tags::ref_id.eq(id))
                .order(publication_tags::published_ms.desc())
                .limit(MOST)
                .select(publication_tags::article_id);
            query.filter(publications::article_id.eq_any(of)).load(conn)?
        }
        Kind::Author => {
            let of = publication_authors::table
                .filter(publication_authors::ref_id.eq(id))
                .order(publication_authors::published_ms.desc())
                .limit(MOST)
                .select(publication_authors::article_id);
            query.filter(publications::article_id.eq_any(of)).load(conn)?
        }
    })
}

/// The sections that readers know of: those a live publication is in, and their parents.
pub fn public_sections(conn: &mut Conn) -> Result<Vec<Id>> {
    let of_section = publications::table
        .filter(publications::state.eq(Live))
        .filter(publications::section_id.eq(sections::id.nullable()));
    let used: Vec<(Id, Option<Id>)> = sections::table
        .filter(exists(of_section))
        .select((sections::id, sections::parent_id))
        .load(conn)?;
    // A parent is named by itself and by each of its children.
    let ids: std::collections::BTreeSet<Id> = used
        .into_iter()
        .flat_map(|(id, parent)| [Some(id), parent])
        .flatten()
        .collect();
    Ok(ids.into_iter().collect())
}

/// Whether readers know of the item: a live publication uses it.
pub fn is_public(conn: &mut Conn, kind: Kind, id: &Id) -> Result<bool> {
    Ok(match kind {
        Kind::Section => public_sections(conn)?.contains(id),
        // Only live stories are listed under these.
        Kind::Tag => {
            let listed = publication_tags::table.filter(publication_tags::ref_id.eq(id));
            listed
                .select(publication_tags::article_id)
                .first::<Id>(conn)
                .optional()?
                .is_some()
        }
        Kind::Author => {
            let listed = publication_authors::table.filter(publication_authors::ref_id.eq(id));
            listed
                .select(publication_authors::article_id)
                .first::<Id>(conn)
                .optional()?
                .is_some()
        }
    })
}

/// Records that an item was changed, when readers know of it.
pub fn announce(tx: &mut Tx<'_>, kind: Kind, id: &Id) -> Result<()> {
    if is_public(tx.conn, kind, id)? {
        let change = match kind {
            Kind::Section => "section.updated",
            Kind::Tag => "tag.updated",
            Kind::Author => "author.updated",
        };
        let keys = vec![kind.key(id), kind.list_key().to_owned(), "names".to_owned()];
        changes::record(tx, change, id.as_str(), None, keys);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::candidates;

    #[test]
    fn a_slug_by_hand_is_tried_alone() {
        let made: Vec<String> = candidates(&("tin".into(), false)).collect();
        assert_eq!(made[..3], ["tin", "tin-2", "tin-3"]);
        assert_eq!(made.len(), 100);
        assert!(made.iter().all(|slug| crate::text::is_slug(slug)));
        let by_hand: Vec<String> = candidates(&("tin".into(), true)).collect();
        assert_eq!(by_hand, ["tin"]);
    }
}
