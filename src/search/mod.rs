//! Search over what is published: headline, lead, body, image texts, names of authors and tags; with or without accents.
//!
//! The index ([`store`]) has both spellings of every word under numbers that follow the publication time. It is asked for
//! the newest hits; how well each answers is told here, from the same stored words on both databases. Drafts are never
//! in it.

pub mod delivery;
mod entry;
mod fill;
mod heads;
mod highlight;
mod names;
mod query;
mod result;
mod score;
mod store;
mod wanted;
mod words;

use std::sync::Arc;

use crate::articles::publication::{Card, Doc, PublicationRow};
use crate::conditional::{Lifetime, Made};
use crate::db::Conn;
use crate::error::Result;
use crate::shelf::Kept;
use crate::types::Id;

pub use query::Spelling;

pub use delivery::rows_of;
pub use fill::fill;
pub use heads::{Head, Heads};
pub use store::remove;
pub use wanted::{Alternative, Wanted, featured_mark, language_mark, source_mark};
pub use words::words;

/// Puts a live story into the index, in place of what was there of it.
pub fn put(conn: &mut Conn, row: &PublicationRow, card: &Card, doc: &Doc) -> Result<()> {
    let entry = entry::entry(&row.article_id, row.published, &row.language, row.featured, card, doc)?;
    store::put(conn, &entry)
}

/// The newest stories that match without regard to accents.
pub fn newest_hits(conn: &mut Conn, heads: &Heads, wanted: &Wanted, limit: i64) -> Result<Vec<Arc<Kept<Head>>>> {
    let numbers = store::numbers(conn, wanted, Spelling::Folded, store::ALL, true, limit)?;
    heads.of(conn, &numbers)
}

/// Gives an answer that was made of the index a short life while the index is still being filled: what it lacks comes
/// without a change that would be followed.
pub fn until_filled(made: &mut Made) {
    if !fill::is_filled() {
        made.lifetime = Lifetime::Seconds(5);
    }
}

/// Marks of ids of one kind.
pub fn id_marks(letter: char, ids: &[Id]) -> Vec<String> {
    ids.iter().map(|id| wanted::id_mark(letter, id)).collect()
}
