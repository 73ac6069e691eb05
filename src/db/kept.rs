//! JSON in a column of text.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::sql_types::{Binary, Text};
use serde::de::DeserializeOwned;

use crate::error::{Problem, Result};

/// JSON as a column of text keeps it. That it is UTF-8 is looked at when it is read, many bytes at a time: the standard
/// library's look at a Vietnamese story takes as long as finding it.
#[derive(Debug, Clone, Default, FromSqlRow)]
pub struct KeptJson(Vec<u8>);

impl KeptJson {
    /// What it says.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        let text = simdutf8::basic::from_utf8(&self.0).map_err(Problem::internal)?;
        serde_json::from_str(text).map_err(Problem::internal)
    }
}

impl<DB: Backend> FromSql<Text, DB> for KeptJson
where
    Vec<u8>: FromSql<Binary, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Vec::<u8>::from_sql(bytes).map(Self)
    }
}
