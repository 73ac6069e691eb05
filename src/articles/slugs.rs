//! Slugs: which one an article gets, and whose each is. The row in `slugs` decides.

use diesel::prelude::*;

use crate::db::{self, Conn, Fixed, Value};
use crate::error::{Code, Problem, Result};
use crate::schedules;
use crate::schema::slugs;
use crate::text::{is_slug, slugify};
use crate::types::Id;

/// Candidates that are tried before the id's end makes the slug unique.
const TRIES: usize = 1000;

/// Takes a slug for the article: the one written by hand, or one from the title that nobody has or ever had in public. A
/// lost race just goes on to the next candidate.
pub fn take_slug(conn: &mut Conn, id: &Id, by_hand: Option<&str>, title: &str) -> Result<String> {
    if let Some(slug) = by_hand {
        return if claim_slug(conn, id, slug)? {
            Ok(slug.to_owned())
        } else {
            Err(slug_taken(slug))
        };
    }
    let base = base_of(id, title);
    let first = next_number(conn, id, &base)?;
    for number in first..first + TRIES {
        let slug = numbered(&base, number);
        if claim_slug(conn, id, &slug)? {
            return Ok(slug);
        }
    }
    let slug = format!("{base}-{}", &id.as_str()[24..]);
    if claim_slug(conn, id, &slug)? {
        Ok(slug)
    } else {
        Err(slug_taken(&slug))
    }
}

/// The slug that [`take_slug`] would try first for an article with this title.
pub fn likely_slug(conn: &mut Conn, id: &Id, title: &str) -> Result<String> {
    let base = base_of(id, title);
    let number = next_number(conn, id, &base)?;
    Ok(numbered(&base, number))
}

/// 409 for a slug that is another's.
pub fn slug_taken(slug: &str) -> Problem {
    Problem::new(
        Code::SlugTaken,
        format!("The slug {slug:?} is taken, or was public for another story once: choose another."),
    )
}

fn base_of(id: &Id, title: &str) -> String {
    let made = slugify(title);
    if is_slug(&made) {
        made
    } else {
        format!("article-{}", &id.as_str()[24..])
    }
}

fn numbered(base: &str, number: usize) -> String {
    if number == 1 {
        base.to_owned()
    } else {
        format!("{base}-{number}")
    }
}

/// The first number that is worth trying behind a base.
fn next_number(conn: &mut Conn, id: &Id, base: &str) -> Result<usize> {
    let taken = "SELECT COUNT(*) FROM slugs WHERE slug = $1 AND article_id <> $2";
    if Fixed::with(taken, &[Value::Text(base), Value::Text(id.as_str())]).number(conn)? == 0 {
        return Ok(1);
    }
    // A range of the index: digits are followed by a colon. LIKE would read all slugs there are.
    let numbered: Vec<String> = slugs::table
        .filter(slugs::slug.ge(format!("{base}-0")))
        .filter(slugs::slug.lt(format!("{base}-:")))
        .select(slugs::slug)
        .limit(10_000)
        .load(conn)?;
    let numbers: std::collections::HashSet<usize> = numbered
        .iter()
        .filter_map(|slug| slug[base.len() + 1..].parse().ok())
        .collect();
    Ok((2..).find(|number| !numbers.contains(number)).unwrap_or(2))
}

/// Makes the slug this article's, if it is free or its own already.
pub fn claim_slug(conn: &mut Conn, id: &Id, slug: &str) -> Result<bool> {
    let statement =
        "INSERT INTO slugs (slug, article_id, working, public) VALUES ($1, $2, TRUE, 'none') ON CONFLICT DO NOTHING";
    if db::insert_once(conn, statement, &[Value::Text(slug), Value::Text(id.as_str())])? {
        return Ok(true);
    }
    let own = diesel::update(slugs::table.filter(slugs::slug.eq(slug).and(slugs::article_id.eq(id))))
        .set(slugs::working.eq(true))
        .execute(conn)?;
    Ok(own > 0)
}

/// Gives the slugs free that the working copy no longer has and that never were public.
pub fn drop_working_slugs(conn: &mut Conn, id: &Id, keep: &str) -> Result<()> {
    // A pinned revision's address must still be free when its time comes.
    let mut kept = schedules::store::pinned_slugs(conn, id)?;
    kept.push(keep.to_owned());
    let others = || slugs::table.filter(slugs::article_id.eq(id).and(slugs::slug.ne_all(kept.clone())));
    diesel::delete(others().filter(slugs::public.eq("none"))).execute(conn)?;
    let left = slugs::table.filter(slugs::article_id.eq(id).and(slugs::slug.ne(keep)));
    diesel::update(left).set(slugs::working.eq(false)).execute(conn)?;
    Ok(())
}
