//! newsdesk seen from outside: every test starts the real program with a database of its own and speaks HTTP to it.
//!
//! Without `TEST_POSTGRES_URL` all of it runs on SQLite; with it on PostgreSQL: a server whose user may create
//! databases, and better one to throw away, since the template of each run stays there.
//!
//! Every answer in every test is held against the OpenAPI documents: see [`support::contract`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should fail loudly"
)]

mod support;

mod api_keys;
mod articles;
mod audit;
mod auth;
mod bad_input;
mod batch;
mod body;
mod cache;
mod canary;
mod captions;
mod changes;
mod concurrency;
mod corrections;
mod delivery;
mod feedback;
mod feeds;
mod images;
mod leases;
mod lists;
mod news_day;
mod operation;
mod people;
mod pictures;
mod previews;
mod problems;
mod related;
mod retention;
mod review;
mod revisions;
mod rights;
mod schedules;
mod search;
mod share;
mod site;
mod taxonomy;
mod tokens;
mod translations;
mod views;
mod webhooks;
