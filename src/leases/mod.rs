//! Who is editing an article. A lease lasts two minutes and is renewed by asking again; while it lasts, writes by others
//! are refused with who holds it, unless they take it over.

pub mod management;
pub mod store;

/// How long a lease lasts, in seconds.
pub const SECONDS: i64 = 120;
