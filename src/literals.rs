//! Constants that stand in the text of a query in place of bound values: SQLite uses a partial index only when the
//! index's condition can be read in the text.

use diesel::backend::Backend;
use diesel::expression::{ValidGrouping, is_aggregate};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Text};

macro_rules! literal {
    ($(#[$meta:meta])* $name:ident: $sql_type:ty = $text:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, QueryId)]
        pub struct $name;

        impl Expression for $name {
            type SqlType = $sql_type;
        }

        impl<T> AppearsOnTable<T> for $name {}
        impl<T> SelectableExpression<T> for $name {}

        impl<G> ValidGrouping<G> for $name {
            type IsAggregate = is_aggregate::Never;
        }

        impl<DB: Backend> QueryFragment<DB> for $name {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
                out.push_sql($text);
                Ok(())
            }
        }
    };
}

literal! {
    /// The state of a publication that readers see.
    Live: Text = "'live'"
}

literal! {
    /// Nothing, as a number.
    Zero: BigInt = "0"
}

literal! {
    /// Of the right to an image it has been told that it has ended.
    ToldEnded: BigInt = "2"
}
