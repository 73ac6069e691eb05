//! Opens connections with the settings that both databases need to keep our promises.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::ManageConnection;

use super::{Conn, Location};

/// What each connection to SQLite keeps of the database's file, in KiB: the upper levels of all indexes of a large newsroom.
const CACHE_KIB: u32 = 4096;
/// Pages of SQLite's log before they are copied into the database's file: 32 MiB. The log is written either way; copied less
/// often, pages that every write touches are copied once in place of many times.
const CHECKPOINT: u32 = 8192;

/// A pooled connection; a broken one is not given out again.
pub struct Open {
    pub conn: Conn,
    pub broken: bool,
}

/// Opens connections with the settings that both databases need to keep our promises.
#[derive(Debug, Clone)]
pub struct Opener {
    pub location: Location,
    pub read_only: bool,
}

impl Opener {
    /// Opens one. The error is one line.
    pub fn open(&self) -> Result<Conn, String> {
        match &self.location {
            Location::Sqlite(path) => {
                let mut conn =
                    SqliteConnection::establish(&path.to_string_lossy()).map_err(|error| error.to_string())?;
                let query_only = if self.read_only { "ON" } else { "OFF" };
                conn.batch_execute(&format!(
                    "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; \
                     PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA mmap_size=0; \
                     PRAGMA journal_size_limit=67108864; PRAGMA wal_autocheckpoint={CHECKPOINT}; \
                     PRAGMA cache_size=-{CACHE_KIB}; PRAGMA query_only={query_only};"
                ))
                .map_err(|error| error.to_string())?;
                Ok(Conn::Sqlite(conn))
            }
            Location::Postgres(url) => {
                let mut conn = PgConnection::establish(url).map_err(|error| error.to_string())?;
                conn.batch_execute(
                    "SET statement_timeout='10s'; SET lock_timeout='5s'; \
                     SET idle_in_transaction_session_timeout='2s'; SET timezone='UTC'; SET client_min_messages=warning;",
                )
                .map_err(|error| error.to_string())?;
                Ok(Conn::Postgres(conn))
            }
        }
    }
}

impl ManageConnection for Opener {
    type Connection = Open;
    type Error = OpenError;

    fn connect(&self) -> Result<Open, OpenError> {
        self.open().map(|conn| Open { conn, broken: false }).map_err(OpenError)
    }

    fn is_valid(&self, open: &mut Open) -> Result<(), OpenError> {
        open.conn
            .batch_execute("SELECT 1")
            .map_err(|error| OpenError(error.to_string()))
    }

    fn has_broken(&self, open: &mut Open) -> bool {
        open.broken
    }
}

/// Why a connection could not be opened.
#[derive(Debug)]
pub struct OpenError(String);

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}
