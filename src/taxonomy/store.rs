//! What the three kinds share in the tables: free slugs, names for stories, and who uses what.

use std::collections::HashMap;

use diesel::prelude::*;

use crate::db::Conn;
use crate::error::{Problem, Result, UsedBy};
use crate::schema::{
    article_authors, article_tags, articles, authors, publication_authors, publication_tags, publications, sections,
    tags,
};
use crate::types::{Id, Time};

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

/// A slug nobody of this kind has: the wanted one, or with `-2`, `-3` … behind it. None when one written by hand is
/// taken by another.
pub fn free_slug(conn: &mut Conn, kind: Kind, wanted: &str, by_hand: bool, own: Option<&Id>) -> Result<Option<String>> {
    let taken = |conn: &mut Conn, slug: &str| -> Result<bool> {
        Ok(find_id(conn, kind, slug)?.is_some_and(|id| Some(&id) != own))
    };
    if by_hand {
        return Ok((!taken(conn, wanted)?).then(|| wanted.to_owned()));
    }
    for number in 1..100 {
        let slug = if number == 1 {
            wanted.to_owned()
        } else {
            format!("{wanted}-{number}")
        };
        if !taken(conn, &slug)? {
            return Ok(Some(slug));
        }
    }
    Ok(Some(format!("{wanted}-{}", &Id::new().as_str()[24..])))
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

/// The first working copies and publications that use an item; at most ten are named.
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
    Ok(used)
}

fn article(id: Id, title: String) -> UsedBy {
    UsedBy {
        kind: "article".into(),
        id: id.to_string(),
        title,
    }
}

fn live(conn: &mut Conn, kind: Kind, id: &Id) -> Result<Vec<(Id, String)>> {
    let query = publications::table
        .filter(publications::state.eq("live"))
        .select((publications::article_id, publications::card))
        .limit(10)
        .into_boxed();
    Ok(match kind {
        Kind::Section => query.filter(publications::section_id.eq(id)).load(conn)?,
        Kind::Tag => {
            let of = publication_tags::table
                .filter(publication_tags::ref_id.eq(id))
                .select(publication_tags::article_id);
            query.filter(publications::article_id.eq_any(of)).load(conn)?
        }
        Kind::Author => {
            let of = publication_authors::table
                .filter(publication_authors::ref_id.eq(id))
                .select(publication_authors::article_id);
            query.filter(publications::article_id.eq_any(of)).load(conn)?
        }
    })
}

/// Whether a live publication uses the item: only then do readers know of it.
pub fn is_public(conn: &mut Conn, kind: Kind, id: &Id) -> Result<bool> {
    Ok(!live(conn, kind, id)?.is_empty())
}
