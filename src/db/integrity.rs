//! What a database finds wrong with itself.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::opener::Opener;
use super::{Conn, Location};

/// What the database finds wrong with its files, and references that lead nowhere; one line each.
pub fn check_integrity(location: &Location) -> Result<Vec<String>, String> {
    let opener = Opener {
        location: location.clone(),
        read_only: true,
    };
    let conn = opener
        .open()
        .map_err(|error| format!("The database cannot be opened: {error}"))?;
    let faults = match conn {
        Conn::Sqlite(mut conn) => sqlite_faults(&mut conn),
        Conn::Postgres(mut conn) => postgres_faults(&mut conn),
    };
    faults.map_err(|error| format!("The database cannot be examined: {error}"))
}

fn sqlite_faults(conn: &mut SqliteConnection) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Fault {
        #[diesel(sql_type = Text)]
        integrity_check: String,
    }
    #[derive(QueryableByName)]
    struct Orphan {
        #[diesel(sql_type = Text)]
        table: String,
        #[diesel(sql_type = Text)]
        parent: String,
    }
    let faults: Vec<Fault> = diesel::sql_query("PRAGMA integrity_check(20)").load(conn)?;
    let orphans: Vec<Orphan> = diesel::sql_query("PRAGMA foreign_key_check").load(conn)?;
    let faults = faults.into_iter().map(|fault| fault.integrity_check);
    let mut lines: Vec<String> = faults.filter(|fault| fault != "ok").collect();
    lines.extend(orphans.iter().take(20).map(|orphan| {
        format!(
            "a row of {} names a row of {} that is not there",
            orphan.table, orphan.parent
        )
    }));
    Ok(lines)
}

/// PostgreSQL keeps references whole by itself, unless somebody switched that off, as some ways of restoring do.
fn postgres_faults(conn: &mut PgConnection) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Reference {
        #[diesel(sql_type = Text)]
        child: String,
        #[diesel(sql_type = Text)]
        child_column: String,
        #[diesel(sql_type = Text)]
        parent: String,
        #[diesel(sql_type = Text)]
        parent_column: String,
    }
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        n: i64,
    }
    conn.batch_execute("SET statement_timeout=0")?;
    let column = |table: &str, key: &str| {
        format!("(SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = {table} AND attnum = {key}[1])")
    };
    let references: Vec<Reference> = diesel::sql_query(format!(
        "SELECT conrelid::regclass::text AS child, {} AS child_column, confrelid::regclass::text AS parent, \
         {} AS parent_column FROM pg_constraint \
         WHERE contype = 'f' AND array_length(conkey, 1) = 1 AND connamespace = current_schema()::regnamespace",
        column("conrelid", "conkey"),
        column("confrelid", "confkey")
    ))
    .load(conn)?;
    let mut lines = Vec::new();
    for reference in references {
        let Reference {
            child,
            child_column,
            parent,
            parent_column,
        } = reference;
        let orphans: Count = diesel::sql_query(format!(
            "SELECT count(*) AS n FROM {child} c WHERE c.{child_column} IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE p.{parent_column} = c.{child_column})"
        ))
        .get_result(conn)?;
        if orphans.n > 0 {
            lines.push(format!(
                "{} rows of {child} name a row of {parent} that is not there",
                orphans.n
            ));
        }
    }
    Ok(lines)
}
