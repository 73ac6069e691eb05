//! Follows what other processes write: other instances, and the command line beside a running server. And sees when the
//! database is not the one it was: a standby that took over may not have got the last commits.

use std::time::Duration;

use super::{Recorded, after, epoch, head, retention};
use crate::app::State;
use crate::db::Conn;
use crate::error::Result;

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
#[derive(Clone)]
struct End {
    epoch: String,
    /// The last row and its number; none where retention or nobody yet has left one.
    last: Option<(i64, String)>,
}

impl End {
    fn find(conn: &mut Conn, head: i64) -> Result<Self> {
        Ok(Self {
            epoch: epoch(conn)?,
            last: row(conn, head)?.map(|row| (head, row)),
        })
    }

    /// Whether the diary still says what it said. A row that retention took away says nothing else.
    fn is_there(&self, conn: &mut Conn) -> Result<bool> {
        let Some((seq, said)) = &self.last else {
            return Ok(self.epoch == epoch(conn)?);
        };
        let same_row = row(conn, *seq)?.is_none_or(|row| row == *said);
        Ok(same_row && self.epoch == epoch(conn)?)
    }
}

/// What a row says, as far as tells it from another of the same number.
fn row(conn: &mut Conn, seq: i64) -> Result<Option<String>> {
    let text = |row: &Recorded| format!("{} {} {}", row.at.ms(), row.change.kind, row.change.subject_id);
    let rows = after(conn, seq - 1, 1)?;
    Ok(rows.first().filter(|row| row.seq == seq).map(|row| text(row)))
}

/// What a look found.
enum Found {
    /// The history that is known, and where it ends now.
    Same(End),
    /// Another one.
    Other { head: i64, epoch: String },
}

async fn look(app: &State, end: &mut Option<End>) -> Result<()> {
    let (state, known) = (app.clone(), end.clone());
    // Before the snapshot: all of it is committed, so whatever history it belongs to has it.
    let followed = app.db.truth().followed();
    let found = app.db.read(move |conn| {
        let head = head(conn)?;
        let is_known = match &known {
            Some(end) => end.is_there(conn)?,
            None => true,
        };
        if head < followed || !is_known {
            let epoch = epoch(conn)?;
            return Ok(Found::Other { head, epoch });
        }
        state.db.truth().catch_up(conn)?;
        Ok(Found::Same(End::find(conn, head)?))
    });
    match found.await? {
        Found::Same(now) => *end = Some(now),
        Found::Other { head, epoch } => {
            tracing::error!(
                followed,
                head,
                "the database has another history than the one that was followed: it was replaced or restored while the \
                 program ran. What was in memory is dropped, and those who follow the changes are told to begin anew"
            );
            app.db.truth().begin_anew(head);
            let known = end.as_ref().map_or(epoch.clone(), |end| end.epoch.clone());
            app.db.write(move |tx| retention::begin_anew(tx, &known)).await?;
            *end = None;
        }
    }
    Ok(())
}
