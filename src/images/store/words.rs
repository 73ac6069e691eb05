//! The words of the library's images, so that searching costs what there is to find and not the size of the library.
//!
//! Each database has an index of words of its own kind, as for search over stories. The words are cut and folded here, so
//! that both answer alike; this is the one file of the room that knows which database it is.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::ImageRow;
use crate::app::State;
use crate::db::{Conn, Tx};
use crate::error::Result;
use crate::schema::images;
use crate::search::words;
use crate::types::{Id, Time};

/// Images that one write of the job puts in.
const PIECE: i64 = 50;
/// How long the job waits after a failure.
const PAUSE: Duration = Duration::from_secs(10);

/// The words of a text without accents. What mixes letters and digits (`DSC01234`) is also found by its parts.
fn folded(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for word in words(text) {
        let word = word.folded;
        let mut parts: Vec<String> = Vec::new();
        let mut digits = None;
        for c in word.chars() {
            if digits != Some(c.is_ascii_digit()) {
                parts.push(String::new());
            }
            digits = Some(c.is_ascii_digit());
            if let Some(part) = parts.last_mut() {
                part.push(c);
            }
        }
        if parts.len() > 1 {
            all.extend(parts);
        }
        all.push(word);
    }
    all.sort();
    all.dedup();
    all
}

/// What is looked for: each word, or one that begins with it.
pub struct Wanted {
    before: &'static str,
    matching: String,
    after: &'static str,
}

/// Up to so many hits, looking each up and sorting them costs less than walking along the order and asking of each row
/// whether it is a hit: 5 ms for 1,000 of 100,000 images, against 30 ms for 100,000 (and 400 ms the other way).
const FEW: i64 = 2000;

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

impl Wanted {
    /// Reads what was typed, for this database.
    pub fn new(conn: &mut Conn, text: &str) -> Result<Self> {
        let mut found: Vec<String> = words(text).into_iter().map(|word| word.folded).collect();
        found.sort();
        found.dedup();
        let join = |and: &str, show: fn(&String) -> String| found.iter().map(show).collect::<Vec<_>>().join(and);
        Ok(match conn {
            Conn::Sqlite(conn) => {
                let matching = join(" AND ", |word| format!("\"{word}\" *"));
                // A plus sign keeps the index of numbers out of the plan, so that the order's index is walked along.
                let before = match few_on_sqlite(conn, &matching)? {
                    true => "images.row_id IN (SELECT rowid FROM image_words WHERE image_words MATCH ",
                    false => "+images.row_id IN (SELECT rowid FROM image_words WHERE image_words MATCH ",
                };
                Self {
                    before,
                    matching,
                    after: ")",
                }
            }
            // PostgreSQL knows how common a word is.
            Conn::Postgres(_) => Self {
                before: "images.row_id IN (SELECT row_id FROM image_words WHERE folded @@ ",
                matching: join(" & ", |word| format!("'{word}':*")),
                after: "::tsquery)",
            },
        })
    }

    /// Whether no image can have it: there is no word in it.
    pub fn is_impossible(&self) -> bool {
        self.matching.is_empty()
    }

    /// The condition on a row of `images`: the text before what is bound, what is bound, and the text after it.
    pub fn condition(&self) -> (&'static str, String, &'static str) {
        (self.before, self.matching.clone(), self.after)
    }
}

fn few_on_sqlite(conn: &mut SqliteConnection, matching: &str) -> Result<bool> {
    if matching.is_empty() {
        return Ok(true);
    }
    let query = "SELECT count(*) AS n FROM (SELECT rowid FROM image_words WHERE image_words MATCH ? LIMIT ?)";
    let counted: Counted = diesel::sql_query(query)
        .bind::<Text, _>(matching)
        .bind::<BigInt, _>(FEW + 1)
        .get_result(conn)?;
    Ok(counted.n <= FEW)
}

/// Gives an image its words, in place of those it had.
pub fn put(conn: &mut Conn, row: &ImageRow) -> Result<()> {
    let number = match row.row_id {
        Some(number) => number,
        None => number_of(conn, &row.id, row.created)?,
    };
    remove(conn, number)?;
    let words = folded(&row.search);
    match conn {
        Conn::Sqlite(conn) => diesel::sql_query("INSERT INTO image_words (rowid, folded) VALUES (?, ?)")
            .bind::<BigInt, _>(number)
            .bind::<Text, _>(words.join(" "))
            .execute(conn)?,
        Conn::Postgres(conn) => {
            let lexemes: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            diesel::sql_query("INSERT INTO image_words (row_id, folded) VALUES ($1, $2::tsvector)")
                .bind::<BigInt, _>(number)
                .bind::<Text, _>(lexemes.join(" "))
                .execute(conn)?
        }
    };
    Ok(())
}

/// Takes an image's words away.
pub fn remove(conn: &mut Conn, number: i64) -> Result<()> {
    match conn {
        Conn::Sqlite(conn) => diesel::sql_query("DELETE FROM image_words WHERE rowid = ?")
            .bind::<BigInt, _>(number)
            .execute(conn)?,
        Conn::Postgres(conn) => diesel::sql_query("DELETE FROM image_words WHERE row_id = $1")
            .bind::<BigInt, _>(number)
            .execute(conn)?,
    };
    Ok(())
}

/// A free number near the time of the upload, so that the newest stand together.
fn number_of(conn: &mut Conn, id: &Id, created: Time) -> Result<i64> {
    // One after another: two uploads in the same millisecond want the same number.
    crate::db::lock(conn, "image words")?;
    let mut number = created.ms().saturating_mul(1000);
    let taken = |conn: &mut Conn, number: i64| -> Result<bool> {
        let found: i64 = images::table
            .filter(images::row_id.eq(number))
            .count()
            .get_result(conn)?;
        Ok(found > 0)
    };
    while taken(conn, number)? {
        number += 1;
    }
    diesel::update(images::table.find(id))
        .set(images::row_id.eq(number))
        .execute(conn)?;
    Ok(number)
}

/// Gives their words to images that were uploaded before there was an index, the newest first.
pub async fn fill(app: State) {
    loop {
        match app.db.write(piece).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(problem) => {
                tracing::error!(cause = %problem, "the library's words could not be filled in; it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn piece(tx: &mut Tx<'_>) -> Result<usize> {
    crate::db::lock(tx.conn, "image words")?;
    let rows: Vec<ImageRow> = images::table
        .filter(images::row_id.is_null().and(images::deleted_ms.is_null()))
        .order((images::created_ms.desc(), images::id.desc()))
        .limit(PIECE)
        .load(tx.conn)?;
    for row in &rows {
        put(tx.conn, row)?;
    }
    Ok(rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_found_by_their_parts() {
        assert_eq!(folded("DSC01234.jpg"), ["01234", "dsc", "dsc01234", "jpg"]);
        assert_eq!(
            folded("Lũ trên sông Cầu\nẢnh: TTX"),
            ["anh", "cau", "lu", "song", "tren", "ttx"]
        );
        assert_eq!(folded("!? %"), Vec::<String>::new());
    }
}
