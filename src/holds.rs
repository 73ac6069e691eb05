//! What a revision uses stays in use while a schedule pins it or a preview link shows it: its section, tags, authors and
//! images, whatever becomes of the working copy.

use diesel::prelude::*;

use crate::articles::Snapshot;
use crate::db::{Conn, Tx, Value, insert_once};
use crate::error::{Result, UsedBy};
use crate::schema::{articles, holds};
use crate::types::{Id, Time};

/// Until a holder lets go.
pub const FOREVER: Time = Time::from_ms(i64::MAX);

/// Holds everything that a snapshot uses. `holder` is whoever will [`release`] it.
pub fn put(tx: &mut Tx<'_>, holder: &Id, article: &Id, snapshot: &Snapshot, until: Time) -> Result<()> {
    let content = &snapshot.content;
    let images = snapshot.captions.iter().map(|caption| &caption.image_id);
    let mut all: Vec<&Id> = content.section_id.iter().chain(&content.tag_ids).collect();
    all.extend(content.author_ids.iter().chain(images));
    all.sort();
    all.dedup();
    for id in all {
        let statement =
            "INSERT INTO holds (ref_id, holder, article_id, until_ms) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let [id, holder, article] = [id, holder, article].map(|id| Value::Text(id.as_str()));
        insert_once(tx.conn, statement, &[id, holder, article, Value::Int(until.ms())])?;
    }
    Ok(())
}

/// Lets go of everything that this holder has.
pub fn release(conn: &mut Conn, holder: &Id) -> Result<()> {
    diesel::delete(holds::table.filter(holds::holder.eq(holder))).execute(conn)?;
    Ok(())
}

/// The articles that hold a section, tag, author or image; at most ten are named.
pub fn users(conn: &mut Conn, id: &Id) -> Result<Vec<UsedBy>> {
    let rows: Vec<(Id, String)> = holds::table
        .inner_join(articles::table.on(articles::id.eq(holds::article_id)))
        .filter(holds::ref_id.eq(id).and(holds::until_ms.gt(Time::now())))
        .order(articles::id)
        .select((articles::id, articles::title))
        .distinct()
        .limit(10)
        .load(conn)?;
    let user = |(id, title): (Id, String)| UsedBy {
        kind: "article".into(),
        id: id.to_string(),
        title,
    };
    Ok(rows.into_iter().map(user).collect())
}

/// The users of an item, and those that hold it without being named yet.
pub fn added(conn: &mut Conn, id: &Id, mut used: Vec<UsedBy>) -> Result<Vec<UsedBy>> {
    for user in users(conn, id)? {
        if !used.iter().any(|other| other.id == user.id) {
            used.push(user);
        }
    }
    Ok(used)
}
