//! Statements whose text is written by hand: what Diesel's builder cannot say on two engines at once (`ON CONFLICT`), and
//! what is run so often that building its text anew each time would cost more than running it.

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Nullable, Text};

use super::Conn;
use crate::error::Result;

/// A value in a statement.
#[derive(Debug, Clone, Copy)]
pub enum Value<'v> {
    /// Text.
    Text(&'v str),
    /// A whole number.
    Int(i64),
    /// Text, or NULL.
    Maybe(Option<&'v str>),
}

/// A statement with one text for both databases, which each connection prepares once and keeps. Placeholders are `$1`,
/// `$2`, …; one may stand in several places.
#[derive(Debug, Clone, Copy)]
pub struct Fixed<'v> {
    sql: &'static str,
    values: &'v [Value<'v>],
}

impl<'v> Fixed<'v> {
    /// A statement without values.
    pub const fn new(sql: &'static str) -> Self {
        Self { sql, values: &[] }
    }

    /// A statement with values, one for each placeholder.
    pub const fn with(sql: &'static str, values: &'v [Value<'v>]) -> Self {
        Self { sql, values }
    }

    /// Reads the one number that it selects.
    pub fn number(self, conn: &mut Conn) -> QueryResult<i64> {
        match conn {
            Conn::Sqlite(conn) => self.get_result(conn),
            Conn::Postgres(conn) => self.get_result(conn),
        }
    }

    /// Runs it; gives the number of rows.
    pub fn run(self, conn: &mut Conn) -> QueryResult<usize> {
        match conn {
            Conn::Sqlite(conn) => self.execute(conn),
            Conn::Postgres(conn) => self.execute(conn),
        }
    }
}

impl QueryId for Fixed<'_> {
    type QueryId = ();
    // The text is the key.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Fixed<'_> {
    type SqlType = BigInt;
}

impl<C> RunQueryDsl<C> for Fixed<'_> {}

impl<'v, DB: Backend> QueryFragment<DB> for Fixed<'v>
where
    str: diesel::serialize::ToSql<Text, DB>,
    i64: diesel::serialize::ToSql<BigInt, DB>,
    Option<&'v str>: diesel::serialize::ToSql<Nullable<Text>, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut pieces = self.sql.split('$');
        out.push_sql(pieces.next().unwrap_or(""));
        for piece in pieces {
            let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
            let (number, text) = piece.split_at(digits);
            let value = number
                .parse()
                .ok()
                .and_then(|number: usize| self.values.get(number.checked_sub(1)?));
            match value {
                Some(Value::Text(text)) => out.push_bind_param::<Text, str>(text)?,
                Some(Value::Int(number)) => out.push_bind_param::<BigInt, i64>(number)?,
                Some(Value::Maybe(text)) => out.push_bind_param::<Nullable<Text>, Option<&'v str>>(text)?,
                None => {
                    let error = format!("a statement has no value for ${number}: {}", self.sql);
                    return Err(diesel::result::Error::QueryBuilderError(error.into()));
                }
            }
            out.push_sql(text);
        }
        Ok(())
    }
}

/// Runs a fixed statement; true when it changed a row.
pub fn insert_once(conn: &mut Conn, statement: &'static str, values: &[Value<'_>]) -> Result<bool> {
    Ok(Fixed::with(statement, values).run(conn)? > 0)
}

/// Runs a statement whose text is made at run time, and so is not kept. Placeholders are `$1`, `$2`, … in order.
pub fn run_text(conn: &mut Conn, statement: &str, values: &[Value<'_>]) -> Result<bool> {
    let mut query = diesel::sql_query(statement).into_boxed();
    for value in values {
        query = match value {
            Value::Text(text) => query.bind::<Text, _>((*text).to_owned()),
            Value::Int(number) => query.bind::<BigInt, _>(*number),
            Value::Maybe(text) => query.bind::<Nullable<Text>, _>(text.map(str::to_owned)),
        };
    }
    Ok(query.execute(conn)? > 0)
}
