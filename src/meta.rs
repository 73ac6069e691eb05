//! What a job or the program itself remembers, by name: one value each.

use diesel::prelude::*;

use crate::db::{Conn, Value, insert_once};
use crate::error::Result;
use crate::schema::meta;

/// What is remembered under a name.
pub fn value(conn: &mut Conn, name: &str) -> Result<Option<String>> {
    Ok(meta::table.find(name).select(meta::value).first(conn).optional()?)
}

/// Remembers a value under a name, in place of what was there.
pub fn set(conn: &mut Conn, name: &str, value: &str) -> Result<()> {
    let statement =
        "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    insert_once(conn, statement, &[Value::Text(name), Value::Text(value)])?;
    Ok(())
}

/// Remembers a value unless there is one.
pub fn set_once(conn: &mut Conn, name: &str, value: &str) -> Result<()> {
    let statement = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    insert_once(conn, statement, &[Value::Text(name), Value::Text(value)])?;
    Ok(())
}
