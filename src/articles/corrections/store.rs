//! How corrections are kept: beside the publication, so that making one publishes nothing else.

use std::collections::HashMap;

use diesel::prelude::*;

use super::Correction;
use crate::articles::publication;
use crate::articles::revisions::store::keep;
use crate::articles::store::{ArticleRow, claim, save, snapshot};
use crate::audit::Actor;
use crate::auth::Caller;
use crate::conditional::Guard;
use crate::db::{Conn, Tx};
use crate::error::Result;
use crate::schema::corrections;
use crate::types::{Id, Time};

/// The corrections of some stories, oldest first.
pub fn corrections_of(conn: &mut Conn, articles: &[Id]) -> Result<HashMap<Id, Vec<Correction>>> {
    // A list is parsed anew each time on SQLite; one article, the usual case, is not.
    let asked = match articles {
        [one] => corrections::table.filter(corrections::article_id.eq(one)).into_boxed(),
        many => corrections::table
            .filter(corrections::article_id.eq_any(many))
            .into_boxed(),
    };
    let rows: Vec<(Id, String, Time)> = asked
        .order((corrections::at_ms, corrections::id))
        .select((corrections::article_id, corrections::text, corrections::at_ms))
        .load(conn)?;
    let mut all: HashMap<Id, Vec<Correction>> = HashMap::new();
    for (article, text, at) in rows {
        all.entry(article).or_default().push(Correction { text, at });
    }
    Ok(all)
}

/// Tells readers of a live story what was wrong; the working copy stays unpublished.
pub fn correct(
    tx: &mut Tx<'_>,
    caller: &Caller,
    id: &Id,
    guard: &Guard,
    text: &str,
) -> Result<(ArticleRow, Correction)> {
    let mut row = claim(tx, caller, id, guard)?;
    row.facts()?.allow("corrections")?;
    diesel::insert_into(corrections::table)
        .values((
            corrections::id.eq(Id::new()),
            corrections::article_id.eq(id),
            corrections::text.eq(text),
            corrections::created_by.eq(&caller.id),
            corrections::at_ms.eq(tx.now),
        ))
        .execute(tx.conn)?;
    publication::touch(tx, id)?;
    let snapshot = snapshot(tx.conn, &row)?;
    save(tx, &Actor::from(caller), &mut row, &snapshot, "correct", Some(text))?;
    keep(tx, id, row.revision)?;
    let correction = Correction {
        text: text.to_owned(),
        at: tx.now,
    };
    Ok((row, correction))
}
