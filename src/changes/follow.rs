//! Follows what other processes write: other instances, and the command line beside a running server. And sees when the
//! database is not the one it was: a standby that took over may not have got the last commits.

use std::sync::Arc;
use std::time::Duration;

use super::{EPOCH, Recorded, after, head, retention};
use crate::app::{App, State};
use crate::db::Conn;
use crate::error::Result;
use crate::meta;

/// How often the diary's end is looked at. Reads that need the database see it anyway; this is for answers from memory
/// and for streams.
const EVERY: Duration = Duration::from_millis(200);

/// Follows for ever.
pub async fn follow(app: State) {
    let mut failing = false;
    let mut end = None;
    loop {
        tokio::time::sleep(EVERY).await;
        match look(&app, &mut end).await {
            Ok(()) => failing = false,
            Err(problem) if !failing => {
                failing = true;
                tracing::error!(cause = %problem, "the diary of changes cannot be read; it is tried again");
            }
            Err(_) => {}
        }
    }
}

/// The diary's end as it was seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    /// The epoch; none when somebody took it away, as after a restore.
    epoch: Option<String>,
    head: i64,
    /// What its last row says; none where retention or nobody yet has left one.
    last: Option<String>,
}

impl End {
    fn find(conn: &mut Conn, head: i64) -> Result<Self> {
        Ok(Self {
            epoch: meta::value(conn, EPOCH)?,
            head,
            last: row(conn, head)?,
        })
    }

    /// Whether a diary that ends at `head` still says what it said. A row that retention took away says nothing else, but
    /// the last row of all is never taken away.
    fn is_in(&self, conn: &mut Conn, head: i64) -> Result<bool> {
        if head < self.head || self.epoch != meta::value(conn, EPOCH)? {
            return Ok(false);
        }
        let Some(said) = &self.last else { return Ok(true) };
        let is_last = head == self.head;
        Ok(row(conn, self.head)?.map_or(!is_last, |row| row == *said))
    }
}

/// What a row says, as far as tells it from another of the same number.
fn row(conn: &mut Conn, seq: i64) -> Result<Option<String>> {
    let text = |row: &Recorded| format!("{} {} {}", row.at.ms(), row.change.kind, row.change.subject_id);
    let rows = after(conn, seq - 1, 1)?;
    Ok(rows.first().filter(|row| row.seq == seq).map(|row| text(row)))
}

async fn look(app: &App, end: &mut Option<End>) -> Result<()> {
    let (truth, known) = (Arc::clone(app.db.truth()), end.clone());
    // Before the snapshot: all of it is committed, so whatever history it belongs to has it.
    let followed = truth.followed();
    let found = app.db.read(move |conn| {
        let head = head(conn)?;
        let is_known = known.as_ref().map_or(Ok(true), |end| end.is_in(conn, head))?;
        if head < followed || !is_known {
            return Ok(None);
        }
        truth.catch_up_to(conn, head)?;
        match known {
            Some(end) if end.head == head => Ok(Some(end)),
            _ => End::find(conn, head).map(Some),
        }
    });
    match found.await? {
        Some(now) => *end = Some(now),
        None => begin_anew(app, followed, end).await?,
    }
    Ok(())
}

/// Looks again where it is written, since a snapshot may come from a server that is behind, and gives the diary another epoch
/// there. Only then all that is known is dropped: when that cannot be written, this is tried again with the next look.
async fn begin_anew(app: &App, followed: i64, end: &mut Option<End>) -> Result<()> {
    let known = end.clone();
    let began = app.db.write(move |tx| {
        let head = head(tx.conn)?;
        let is_known = known.as_ref().map_or(Ok(true), |end| end.is_in(tx.conn, head))?;
        if head >= followed && is_known {
            return Ok(None);
        }
        let before = known.as_ref().and_then(|end| end.epoch.as_deref());
        retention::begin_anew(tx, before)?;
        Ok(Some(head))
    });
    if let Some(head) = began.await? {
        tracing::error!(
            followed,
            head,
            "the database has another history than the one that was followed: it was replaced or restored while the \
             program ran. What was in memory is dropped, and those who follow the changes are told to begin anew"
        );
        app.db.truth().begin_anew(head);
        *end = None;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;

    use super::*;
    use crate::db::tests::scratch;

    fn diary(rows: &str) -> Conn {
        scratch(&format!(
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT); INSERT INTO meta VALUES ('epoch', 'one');
             CREATE TABLE changes (seq BIGINT, kind TEXT, subject_id TEXT, language TEXT, keys TEXT, at_ms BIGINT);
             INSERT INTO changes VALUES {rows}"
        ))
    }

    #[test]
    fn another_history_is_told_from_what_retention_leaves() {
        let mut conn =
            diary("(1, 'k', 'a', NULL, '[]', 10), (2, 'k', 'b', NULL, '[]', 20), (3, 'k', 'c', NULL, '[]', 30)");
        let end = End::find(&mut conn, 3).expect("an end");
        let mut holds = |statement: &str, head: i64| {
            conn.batch_execute("SAVEPOINT a").expect("a savepoint");
            conn.batch_execute(statement).expect("a change");
            let holds = end.is_in(&mut conn, head).expect("an answer");
            conn.batch_execute("ROLLBACK TO a").expect("taken back");
            holds
        };
        assert!(holds("", 3) && holds("INSERT INTO changes VALUES (4, 'k', 'a', NULL, '[]', 40)", 4));
        assert!(
            holds("DELETE FROM changes WHERE seq = 3", 4),
            "superseded and forgotten"
        );
        assert!(
            !holds("DELETE FROM changes WHERE seq = 3", 3),
            "the last is never forgotten"
        );
        assert!(!holds("DELETE FROM changes WHERE seq = 3", 2), "the numbers went back");
        assert!(
            !holds("UPDATE changes SET subject_id = 'd' WHERE seq = 3", 5),
            "another change has the number"
        );
        assert!(!holds("UPDATE changes SET at_ms = 31 WHERE seq = 3", 3));
        assert!(!holds("UPDATE meta SET value = 'two'", 3), "somebody else began anew");
        assert!(!holds("DELETE FROM meta", 3));
    }
}
