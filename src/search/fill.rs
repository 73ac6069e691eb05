//! Puts into the index what was published before there was one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::prelude::*;

use super::entry::entry;
use super::store;
use crate::app::State;
use crate::articles::compose::docs_of;
use crate::articles::publication::PublicationRow;
use crate::db::Tx;
use crate::error::Result;
use crate::literals::Live;
use crate::schema::{publications, search_docs};
use crate::types::Id;

/// Stories that one write puts in, so that others are not kept waiting.
const PIECE: i64 = 50;
/// How long the job waits after a failure.
const PAUSE: Duration = Duration::from_secs(10);

static FILLED: AtomicBool = AtomicBool::new(false);

/// Whether every live story is in the index, as far as this process knows.
pub fn is_filled() -> bool {
    FILLED.load(Ordering::Acquire)
}

/// Fills the index piece by piece, from the newest article on. What is published meanwhile is put in by whoever does it.
pub async fn fill(app: State) {
    let mut before = None;
    loop {
        let from = before.clone();
        match app.db.write(move |tx| piece(tx, from.as_ref())).await {
            Ok(None) => break,
            Ok(last) => before = last,
            Err(problem) => {
                tracing::error!(cause = %problem, "the search index could not be filled; it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    FILLED.store(true, Ordering::Release);
}

/// Puts in the next stories that are missing; gives the last of them.
fn piece(tx: &mut Tx<'_>, before: Option<&Id>) -> Result<Option<Id>> {
    // One process at a time; the others wait for it and find less to do.
    crate::db::lock(tx.conn, "search")?;
    let mut missing = publications::table
        .left_join(search_docs::table.on(search_docs::article_id.eq(publications::article_id)))
        .filter(publications::state.eq(Live))
        .filter(search_docs::row_id.nullable().is_null())
        .order(publications::article_id.desc())
        .select(publications::article_id)
        .limit(PIECE)
        .into_boxed();
    if let Some(before) = before {
        missing = missing.filter(publications::article_id.lt(before));
    }
    let missing: Vec<Id> = missing.load(tx.conn)?;
    for id in &missing {
        put_if_live(tx, id)?;
    }
    Ok(missing.last().cloned())
}

fn put_if_live(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    // Takes the row, so that who publishes or withdraws the story just now comes before or after.
    let row = publications::table.filter(publications::article_id.eq(id).and(publications::state.eq(Live)));
    if diesel::update(row)
        .set(publications::state.eq("live"))
        .execute(tx.conn)?
        == 0
    {
        return Ok(());
    }
    let row: PublicationRow = publications::table
        .find(id)
        .select(PublicationRow::as_select())
        .first(tx.conn)?;
    if let Some(doc) = docs_of(tx.conn, std::slice::from_ref(id))?.remove(id) {
        let entry = entry(id, row.published, &row.language, row.featured, &row.card()?, &doc)?;
        store::put(tx.conn, &entry)?;
    }
    Ok(())
}
