//! The databases of the bench: where they are, what they are called, how one is copied.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

/// Which database, and where.
pub enum Backend {
    /// Files in a folder.
    Sqlite(PathBuf),
    /// Databases of a server whose user may make them; the folder keeps logs and what was made when.
    Postgres(String, PathBuf),
}

/// A connection that the bench itself uses, with the server stopped.
pub enum Conn {
    /// A file.
    Sqlite(SqliteConnection),
    /// A database of the server.
    Postgres(PgConnection),
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}

impl Conn {
    /// Runs statements.
    pub fn run(&mut self, sql: &str) -> Result<(), String> {
        match self {
            Self::Sqlite(conn) => conn.batch_execute(sql),
            Self::Postgres(conn) => conn.batch_execute(sql),
        }
        .map_err(|error| format!("{error}: {sql}"))
    }

    /// Text of a query whose only column is called `word`.
    pub fn words(&mut self, sql: &str) -> Result<Vec<String>, String> {
        let query = diesel::sql_query(sql);
        let rows: Result<Vec<Word>, _> = match self {
            Self::Sqlite(conn) => query.load(conn),
            Self::Postgres(conn) => query.load(conn),
        };
        let rows = rows.map_err(|error| format!("{error}: {sql}"))?;
        Ok(rows.into_iter().map(|row| row.word).collect())
    }
}

impl Backend {
    /// Its name, for people.
    pub fn name(&self) -> &'static str {
        if self.is_sqlite() { "SQLite" } else { "PostgreSQL" }
    }

    /// Whether it is the embedded one.
    pub fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// The folder of one database: its file, logs, media, stamp.
    pub fn folder(&self, name: &str) -> PathBuf {
        let (Self::Sqlite(root) | Self::Postgres(_, root)) = self;
        root.join(name)
    }

    /// `DATABASE_URL` of one database.
    pub fn url(&self, name: &str) -> Result<String, String> {
        match self {
            Self::Sqlite(_) => Ok(format!("sqlite://{}", self.file(name).display())),
            Self::Postgres(server, _) => {
                let mut url =
                    url::Url::parse(server).map_err(|error| format!("BENCH_POSTGRES_URL is no address: {error}"))?;
                url.set_path(&database(name));
                Ok(url.into())
            }
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder(name).join("newsdesk.db")
    }

    /// Makes an empty one in place of what was there.
    pub fn create(&self, name: &str) -> Result<(), String> {
        let folder = self.folder(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(|error| told(&folder, &error))?;
        }
        std::fs::create_dir_all(&folder).map_err(|error| told(&folder, &error))?;
        self.administer(&[drop_statement(name), format!("CREATE DATABASE {}", database(name))])
    }

    /// Copies one in place of what was there; nothing else may use the original.
    pub fn copy(&self, from: &str, to: &str) -> Result<(), String> {
        let (source, target) = (self.folder(from), self.folder(to));
        if target.exists() {
            std::fs::remove_dir_all(&target).map_err(|error| told(&target, &error))?;
        }
        std::fs::create_dir_all(&target).map_err(|error| told(&target, &error))?;
        if self.is_sqlite() {
            let files = std::fs::read_dir(&source).map_err(|error| told(&source, &error))?;
            for file in files.flatten().filter(|file| file.path().is_file()) {
                std::fs::copy(file.path(), target.join(file.file_name())).map_err(|error| told(&target, &error))?;
            }
        }
        let copy = format!("CREATE DATABASE {} TEMPLATE {}", database(to), database(from));
        self.administer(&[drop_statement(to), copy])
    }

    /// A connection to one.
    pub fn connect(&self, name: &str) -> Result<Conn, String> {
        match self {
            Self::Sqlite(_) => open(&self.file(name)).map(Conn::Sqlite),
            Self::Postgres(..) => PgConnection::establish(&self.url(name)?)
                .map(Conn::Postgres)
                .map_err(|error| error.to_string()),
        }
    }

    /// Statements at the PostgreSQL server; nothing at all on SQLite.
    fn administer(&self, statements: &[String]) -> Result<(), String> {
        let Self::Postgres(server, _) = self else {
            return Ok(());
        };
        let mut conn = PgConnection::establish(server).map_err(|error| error.to_string())?;
        for statement in statements {
            conn.batch_execute(statement)
                .map_err(|error| format!("{error}: {statement}"))?;
        }
        Ok(())
    }
}

/// Opens a SQLite file, made when absent.
pub fn open(file: &Path) -> Result<SqliteConnection, String> {
    SqliteConnection::establish(&file.to_string_lossy()).map_err(|error| told(file, &error))
}

/// The name of a database at the server.
fn database(name: &str) -> String {
    format!("newsdesk_bench_{name}")
}

fn drop_statement(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database(name))
}

/// An error about a file.
pub fn told(file: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", file.display())
}
