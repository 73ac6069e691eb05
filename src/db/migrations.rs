//! The schema's migrations: one process at a time, each wholly or not at all.

use std::fs::File;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::opener::Opener;
use super::{Conn, Location};

const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Brings the schema up to date, one process at a time; each migration wholly or not at all. Gives the names of the
/// migrations that were run. A schema newer than this program is refused.
pub fn migrate(location: &Location) -> Result<Vec<String>, String> {
    let mut _lock = None;
    if let Location::Sqlite(path) = location {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("The folder {} cannot be made: {error}", folder.display()))?;
        }
        _lock = Some(lock_file(path)?);
    }
    let opener = Opener {
        location: location.clone(),
        read_only: false,
    };
    let conn = opener
        .open()
        .map_err(|error| format!("The database cannot be opened: {error}"))?;
    match conn {
        Conn::Sqlite(mut conn) => apply(&mut conn, SQLITE_MIGRATIONS),
        Conn::Postgres(mut conn) => {
            // Held until the connection closes, also when we fail. A migration may wait and work for long.
            conn.batch_execute("SET statement_timeout=0; SET lock_timeout=0; SELECT pg_advisory_lock(7236584)")
                .map_err(|error| error.to_string())?;
            apply(&mut conn, POSTGRES_MIGRATIONS)
        }
    }
}

/// Refuses a schema that is not this program's, for those who run migrations themselves (`AUTO_MIGRATE=off`).
pub fn check_schema(location: &Location) -> Result<(), String> {
    let opener = Opener {
        location: location.clone(),
        read_only: false,
    };
    let pending = match opener
        .open()
        .map_err(|error| format!("The database cannot be opened: {error}"))?
    {
        Conn::Sqlite(mut conn) => pending(&mut conn, &SQLITE_MIGRATIONS)?,
        Conn::Postgres(mut conn) => pending(&mut conn, &POSTGRES_MIGRATIONS)?,
    };
    match pending {
        0 => Ok(()),
        count => Err(format!(
            "The schema lacks {count} migrations and AUTO_MIGRATE is off: run newsdesk migrate"
        )),
    }
}

fn lock_file(database: &Path) -> Result<File, String> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    file.lock()
        .map_err(|error| format!("{} cannot be locked: {error}", path.display()))?;
    Ok(file)
}

fn apply<DB, C>(conn: &mut C, migrations: EmbeddedMigrations) -> Result<Vec<String>, String>
where
    DB: diesel::backend::Backend,
    C: MigrationHarness<DB>,
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
{
    pending(conn, &migrations)?;
    let run = conn
        .run_pending_migrations(migrations)
        .map_err(|error| format!("A migration failed: {error}"))?;
    Ok(run.iter().map(ToString::to_string).collect())
}

/// How many migrations the schema lacks; a schema with more than this program knows is refused.
fn pending<DB, C>(conn: &mut C, migrations: &EmbeddedMigrations) -> Result<usize, String>
where
    DB: diesel::backend::Backend,
    C: MigrationHarness<DB>,
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
{
    let known: Vec<String> = diesel::migration::MigrationSource::<DB>::migrations(migrations)
        .map_err(|error| error.to_string())?
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    let applied = conn.applied_migrations().map_err(|error| error.to_string())?;
    if let Some(newer) = applied
        .iter()
        .map(ToString::to_string)
        .find(|version| !known.contains(version))
    {
        return Err(format!(
            "The database has migration {newer}, which this version of newsdesk does not know: run a newer newsdesk"
        ));
    }
    Ok(known.len() - applied.len())
}
