//! The index: what is written when a story is published, and how the newest hits are found. With `db.rs` the only place
//! that knows which database it is.

use std::collections::{HashMap, HashSet};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::entry::Entry;
use super::query::Spelling;
use super::wanted::{GAP, Wanted};
use crate::db::{Conn, Fixed, Value};
use crate::error::Result;
use crate::schema::search_docs;
use crate::types::Id;

/// A story's headline and lead in the index: each spelling's words as a line.
#[derive(Debug, Clone, Default, QueryableByName)]
#[diesel(table_name = search_docs)]
pub struct Row {
    /// Its number; newer stories have higher ones.
    pub row_id: i64,
    /// The story.
    pub article_id: String,
    /// The headline.
    pub title_exact: String,
    /// The same without accents.
    pub title_folded: String,
    /// The lead.
    pub lead_exact: String,
    /// The same without accents.
    pub lead_folded: String,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    row_id: i64,
}

/// Numbers from this one up to that one, both included.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The lowest.
    pub from: i64,
    /// The highest.
    pub to: i64,
}

/// Every number.
pub const ALL: Span = Span {
    from: i64::MIN,
    to: i64::MAX,
};

/// Puts a live story into the index, in place of what was there of it.
pub fn put(conn: &mut Conn, entry: &Entry) -> Result<()> {
    remove(conn, &entry.article_id)?;
    let mut row_id = entry.row_id;
    while search_docs::table.find(row_id).count().get_result::<i64>(conn)? > 0 {
        row_id += 1;
    }
    diesel::insert_into(search_docs::table)
        .values((
            search_docs::row_id.eq(row_id),
            search_docs::article_id.eq(&entry.article_id),
            search_docs::title_exact.eq(&entry.title_exact),
            search_docs::title_folded.eq(&entry.title_folded),
            search_docs::lead_exact.eq(&entry.lead_exact),
            search_docs::lead_folded.eq(&entry.lead_folded),
        ))
        .execute(conn)?;
    match conn {
        Conn::Sqlite(conn) => diesel::sql_query("INSERT INTO search_words (rowid, exact, folded) VALUES (?, ?, ?)")
            .bind::<BigInt, _>(row_id)
            .bind::<Text, _>(entry.exact.join(" "))
            .bind::<Text, _>(entry.folded.join(" "))
            .execute(conn)?,
        Conn::Postgres(conn) => diesel::sql_query(
            "INSERT INTO search_words (row_id, exact, folded) VALUES ($1, $2::tsvector, $3::tsvector)",
        )
        .bind::<BigInt, _>(row_id)
        .bind::<Text, _>(vector(&entry.exact))
        .bind::<Text, _>(vector(&entry.folded))
        .execute(conn)?,
    };
    Ok(())
}

/// Takes a story out of the index; its words go with its row.
pub fn remove(conn: &mut Conn, article: &Id) -> Result<()> {
    diesel::delete(search_docs::table.filter(search_docs::article_id.eq(article))).execute(conn)?;
    Ok(())
}

/// Words as a `tsvector`, with their places.
fn vector(words: &[String]) -> String {
    let mut places: HashMap<&str, Vec<String>> = HashMap::new();
    for (place, word) in words.iter().enumerate().filter(|(_, word)| *word != GAP) {
        places.entry(word).or_default().push((place + 1).to_string());
    }
    let lexemes: Vec<String> = places
        .iter()
        .map(|(word, places)| format!("'{word}':{}", places.join(",")))
        .collect();
    lexemes.join(" ")
}

/// What the relevance of these is told by, in no particular order.
pub fn heads_of(conn: &mut Conn, numbers: &[i64]) -> Result<Vec<Row>> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    // More of them than a statement may have parameters.
    let list: Vec<String> = numbers.iter().map(i64::to_string).collect();
    let query = format!(
        "SELECT row_id, article_id, title_exact, title_folded, lead_exact, lead_folded FROM search_docs \
         WHERE row_id IN ({})",
        list.join(",")
    );
    Ok(diesel::sql_query(query).load(conn)?)
}

/// The name that a spelling has in the tables.
fn column(spelling: Spelling) -> &'static str {
    match spelling {
        Spelling::Exact => "exact",
        Spelling::Folded => "folded",
    }
}

const SQLITE_NEWEST: &str = "SELECT rowid FROM search_words WHERE search_words MATCH $1 AND rowid BETWEEN $2 AND $3 \
     ORDER BY rowid DESC LIMIT $4";
const SQLITE_OLDEST: &str = "SELECT rowid FROM search_words WHERE search_words MATCH $1 AND rowid BETWEEN $2 AND $3 \
     ORDER BY rowid ASC LIMIT $4";

/// The numbers of the newest hits (or the oldest) in a span, from that end on.
pub fn numbers(
    conn: &mut Conn,
    wanted: &Wanted,
    spelling: Spelling,
    span: Span,
    newest: bool,
    limit: i64,
) -> Result<Vec<i64>> {
    if !wanted.is_possible() {
        return Ok(Vec::new());
    }
    let rows: Vec<Number> = match conn {
        Conn::Sqlite(conn) => {
            let statement = if newest { SQLITE_NEWEST } else { SQLITE_OLDEST };
            let asked = wanted.for_sqlite(spelling);
            let (from, to) = (Value::Int(span.from), Value::Int(span.to));
            let values = [Value::Text(&asked), from, to, Value::Int(limit)];
            return Ok(Fixed::with(statement, &values).load(conn)?);
        }
        Conn::Postgres(conn) => {
            let order = if newest { "DESC" } else { "ASC" };
            let column = column(spelling);
            // The words lie outside of the rows, so looking at them row by row is what costs: the words' own index must
            // find all hits. The planner cannot know that, so the other ways are closed to it.
            conn.batch_execute(
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off; SET LOCAL jit = off",
            )?;
            let rows = diesel::sql_query(format!(
                "SELECT row_id FROM search_words WHERE {column} @@ $1::tsquery AND row_id + 0 BETWEEN $2 AND $3 \
                 ORDER BY row_id {order} LIMIT $4"
            ))
            .bind::<Text, _>(wanted.for_postgres())
            .bind::<BigInt, _>(span.from)
            .bind::<BigInt, _>(span.to)
            .bind::<BigInt, _>(limit)
            .load(conn)?;
            conn.batch_execute("SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = on")?;
            rows
        }
    };
    Ok(rows.into_iter().map(|row| row.row_id).collect())
}

/// Of these numbers, newest first, those that match.
pub fn among(conn: &mut Conn, wanted: &Wanted, spelling: Spelling, numbers: &[i64]) -> Result<HashSet<i64>> {
    let (Some(from), Some(to)) = (numbers.iter().min(), numbers.iter().max()) else {
        return Ok(HashSet::new());
    };
    let Conn::Postgres(conn) = conn else {
        let span = Span { from: *from, to: *to };
        let found = self::numbers(conn, wanted, spelling, span, true, numbers.len() as i64)?;
        return Ok(found.into_iter().collect());
    };
    // Of common words the few rows are looked at one by one, rare ones are found by the index: the planner knows which.
    let column = column(spelling);
    let rows: Vec<Number> = diesel::sql_query(format!(
        "SELECT row_id FROM search_words WHERE row_id = ANY ($1) AND {column} @@ $2::tsquery"
    ))
    .bind::<diesel::sql_types::Array<BigInt>, _>(numbers)
    .bind::<Text, _>(wanted.for_postgres())
    .load(conn)?;
    Ok(rows.into_iter().map(|row| row.row_id).collect())
}

/// How many hits there are in a span, counted up to a limit.
pub fn count(conn: &mut Conn, wanted: &Wanted, span: Span, limit: i64) -> Result<i64> {
    Ok(numbers(conn, wanted, Spelling::Folded, span, true, limit)?.len() as i64)
}
