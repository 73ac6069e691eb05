//! A million stories: the published rows of a small newsroom, many times over, further and further in the past. What only
//! editors see and the words of the search index are not multiplied, since nothing that is measured there reads them.

use crate::data::progress;
use crate::store::{Backend, Conn};

/// What readers' answers are made of. The first holds the stories.
const TABLES: [&str; 7] = [
    "publications",
    "publication_docs",
    "publication_tags",
    "publication_authors",
    "publication_images",
    "slugs",
    // Without these the program would put the stories into its index while it is measured.
    "search_docs",
];

/// Makes `stories` of the `base` that are there. The server must not run.
pub fn multiply(backend: &Backend, name: &str, base: usize, stories: usize) -> Result<(), String> {
    let mut conn = backend.connect(name)?;
    conn.run(match conn {
        Conn::Sqlite(_) => "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;",
        Conn::Postgres(_) => "SET synchronous_commit = off",
    })?;
    conn.run("CREATE TABLE bench_originals AS SELECT article_id FROM publications")?;
    let span = number(
        &mut conn,
        "SELECT CAST(MAX(published_ms) - MIN(published_ms) AS TEXT) AS word FROM publications",
    )?;
    let mut tables = Vec::new();
    for table in TABLES {
        tables.push((table, columns(&mut conn, table)?));
    }
    let copies = stories.div_ceil(base.max(1)).max(1) - 1;
    let bar = progress(copies * base, &format!("{}: multiplying stories", backend.name()));
    for copy in 1..=copies {
        conn.run("BEGIN")?;
        for (table, columns) in &tables {
            conn.run(&statement(table, columns, copy, span + 60_000))?;
        }
        conn.run("COMMIT")?;
        bar.inc(base as u64);
    }
    bar.finish_and_clear();
    conn.run("DROP TABLE bench_originals")?;
    conn.run(match conn {
        Conn::Sqlite(_) => "PRAGMA wal_checkpoint(TRUNCATE)",
        Conn::Postgres(_) => "VACUUM ANALYZE",
    })
}

fn number(conn: &mut Conn, sql: &str) -> Result<i64, String> {
    let words = conn.words(sql)?;
    let number = words.first().and_then(|word| word.parse().ok());
    number.ok_or_else(|| format!("no number: {sql}"))
}

fn columns(conn: &mut Conn, table: &str) -> Result<Vec<String>, String> {
    conn.words(&match conn {
        Conn::Sqlite(_) => format!("SELECT name AS word FROM pragma_table_info('{table}')"),
        Conn::Postgres(_) => format!(
            "SELECT CAST(column_name AS TEXT) AS word FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = '{table}' ORDER BY ordinal_position"
        ),
    })
}

/// One copy of every original row of a table, with ids, slugs and times of its own.
fn statement(table: &str, columns: &[String], copy: usize, span: i64) -> String {
    let values: Vec<String> = columns.iter().map(|column| value(table, column, copy, span)).collect();
    format!(
        "INSERT INTO {table} ({}) SELECT {} FROM {table} WHERE article_id IN (SELECT article_id FROM bench_originals)",
        columns.join(", "),
        values.join(", ")
    )
}

fn value(table: &str, column: &str, copy: usize, span: i64) -> String {
    match column {
        // Four of the random digits, and four others move behind them: one in 65,536 originals has the number of a copy in
        // that place itself.
        "article_id" | "translation_group" => {
            format!("substr({column}, 1, 24) || '{copy:04x}' || substr({column}, 25, 4) || substr({column}, 33)")
        }
        "slug" => format!("slug || '-c{copy}'"),
        "published_ms" | "first_published_ms" | "updated_ms" => format!("{column} - {}", span * copy as i64),
        // A number that orders stories in an index of its own.
        "row_id" => {
            format!(
                "{column} - {copy} * (SELECT MAX({column}) - MIN({column}) + 1 FROM {table} \
                     WHERE article_id IN (SELECT article_id FROM bench_originals))"
            )
        }
        _ => column.to_owned(),
    }
}
