//! A database per test: a copy of one that was migrated and given its staff once per run.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::desk::{newsdesk, run_to_end};

/// The password of everybody in the newsroom.
pub const PASSWORD: &str = "mua xuan tren song Cau";

/// The people of every newsroom: e-mail address, name, role.
pub const STAFF: [(&str, &str, &str); 4] = [
    ("admin@example.vn", "Nguyễn Quản Trị", "admin"),
    ("editor@example.vn", "Trần Biên Tập", "editor"),
    ("writer@example.vn", "Lê Phóng Viên", "writer"),
    ("other@example.vn", "Phạm Cộng Tác", "writer"),
];

/// Where the PostgreSQL server is, when these tests are to run on it.
pub fn postgres() -> Option<&'static str> {
    static URL: OnceLock<Option<String>> = OnceLock::new();
    URL.get_or_init(|| std::env::var("TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty()))
        .as_deref()
}

/// A database that one test may do with as it likes; removed at the end.
pub struct Database {
    /// For `DATABASE_URL`.
    pub url: String,
    name: Option<String>,
}

impl Database {
    /// A migrated one with its staff; `folder` is where SQLite keeps the file.
    pub fn with_staff(folder: &Path) -> Self {
        match (template(), postgres()) {
            (Template::Folder(from), _) => {
                for entry in files_of(from) {
                    std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("a copy");
                }
                Self::file(folder)
            }
            (Template::Database(from), Some(server)) => Self::create(server, Some(from)),
            (Template::Database(_), None) => unreachable!("a template of PostgreSQL has its server"),
        }
    }

    /// One without a schema.
    pub fn empty(folder: &Path) -> Self {
        match postgres() {
            Some(server) => Self::create(server, None),
            None => Self::file(folder),
        }
    }

    fn file(folder: &Path) -> Self {
        Self {
            url: format!("sqlite://{}", folder.join("newsdesk.db").display()),
            name: None,
        }
    }

    fn create(server: &str, template: Option<&str>) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("newsdesk_test_{}_{number}", std::process::id());
        let template = template.map_or(String::new(), |name| format!(" TEMPLATE {name}"));
        // Two copies of one template at once are refused, so one comes after the other.
        let mut conn = administration(server);
        conn.batch_execute("SELECT pg_advisory_lock(72)").expect("a lock");
        conn.batch_execute(&format!("CREATE DATABASE {name}{template}"))
            .expect("a new database");
        Self {
            url: with_name(server, &name),
            name: Some(name),
        }
    }

    /// How many rows there are: `count("audit WHERE action = 'login'")`.
    pub fn count(&self, rows: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Counted {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            n: i64,
        }
        let query = diesel::sql_query(format!("SELECT count(*) AS n FROM {rows}"));
        let counted: Counted = match &self.name {
            Some(_) => query.get_result(&mut PgConnection::establish(&self.url).expect("the database")),
            None => {
                let mut conn =
                    SqliteConnection::establish(self.url.trim_start_matches("sqlite://")).expect("the database");
                conn.batch_execute("PRAGMA busy_timeout = 10000").expect("a setting");
                query.get_result(&mut conn)
            }
        }
        .expect("a number");
        counted.n
    }

    /// Runs statements that both databases understand, beside the program and at once: it must not see half of them.
    pub fn execute(&self, statements: &str) {
        self.execute_after("", statements);
    }

    /// The same after statements that no transaction may have around them.
    pub fn execute_after(&self, before: &str, statements: &str) {
        match &self.name {
            Some(_) => PgConnection::establish(&self.url)
                .expect("the database")
                .batch_execute(&format!("{before}; BEGIN; {statements}; COMMIT")),
            // The program writes at moments of its own, so this waits for its turn like every other writer.
            None => SqliteConnection::establish(self.url.trim_start_matches("sqlite://"))
                .expect("the database")
                .batch_execute(&format!(
                    "PRAGMA busy_timeout = 10000; {before}; BEGIN IMMEDIATE; {statements}; COMMIT"
                )),
        }
        .expect("the statements run");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let (Some(name), Some(server)) = (&self.name, postgres()) {
            let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            // Nothing is worth a second panic here; the next run's server is a new one.
            let _ = administration(server).batch_execute(&statement);
        }
    }
}

enum Template {
    Folder(PathBuf),
    Database(String),
}

fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("template-{}", std::process::id()));
        sweep(Path::new(env!("CARGO_TARGET_TMPDIR")));
        std::fs::create_dir_all(&place).expect("a folder for the template");
        let (url, template) = match postgres() {
            None => (
                format!("sqlite://{}", place.join("newsdesk.db").display()),
                Template::Folder(place.clone()),
            ),
            Some(server) => {
                let name = format!("newsdesk_template_{}", std::process::id());
                let mut conn = administration(server);
                conn.batch_execute(&format!("DROP DATABASE IF EXISTS {name}"))
                    .expect("no old template");
                conn.batch_execute(&format!("CREATE DATABASE {name}"))
                    .expect("a template");
                (with_name(server, &name), Template::Database(name))
            }
        };
        let settings = [("DATABASE_URL", url.as_str())];
        run_to_end(newsdesk(&["migrate"], &settings, &place), "").done();
        for (email, name, role) in STAFF {
            let arguments = ["editor", "create", "--email", email, "--name", name, "--role", role];
            run_to_end(newsdesk(&arguments, &settings, &place), PASSWORD).done();
        }
        template
    })
}

/// Removes the templates of runs that have ended.
fn sweep(place: &Path) {
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let ended = name
            .strip_prefix("template-")
            .is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        if ended {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn administration(server: &str) -> PgConnection {
    PgConnection::establish(server).expect("the PostgreSQL server of TEST_POSTGRES_URL")
}

/// The address of another database on the same server.
fn with_name(server: &str, name: &str) -> String {
    let mut url = url::Url::parse(server).expect("TEST_POSTGRES_URL is an address");
    url.set_path(name);
    url.into()
}

fn files_of(folder: &Path) -> Vec<std::fs::DirEntry> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.filter(|entry| entry.path().is_file()).collect()
}
