//! Follows what other processes write: other instances, and the command line beside a running server.

use std::time::Duration;

use crate::app::State;

/// How often the diary's end is looked at. Reads that need the database see it anyway; this is for answers from memory
/// and for streams.
const EVERY: Duration = Duration::from_millis(200);

/// Follows for ever.
pub async fn follow(app: State) {
    let mut failing = false;
    loop {
        tokio::time::sleep(EVERY).await;
        let state = app.clone();
        match app.db.read(move |conn| state.db.truth().catch_up(conn)).await {
            Ok(_) => failing = false,
            Err(problem) if !failing => {
                failing = true;
                tracing::error!(cause = %problem, "the diary of changes cannot be read; it is tried again");
            }
            Err(_) => {}
        }
    }
}
