//! newsdesk: a headless CMS for news sites. See README.md for what it does and docs/ARCHITECTURE.md for the map.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod app;
mod articles;
mod audit;
mod auth;
mod body;
mod cache;
mod captions;
mod changes;
mod cli;
mod conditional;
mod config;
mod db;
mod demo;
mod docs;
mod doctor;
mod error;
mod feedback;
mod feeds;
mod front;
mod health;
mod holds;
mod idempotency;
mod images;
mod jobs;
mod json;
mod known;
mod leases;
mod limits;
mod literals;
mod mail;
mod media;
mod meta;
mod openapi;
mod outbox;
mod page;
mod previews;
mod request;
mod retention;
mod schedules;
mod schema;
mod search;
mod server;
mod share;
mod shelf;
mod site;
mod taxonomy;
mod telemetry;
mod text;
mod types;
mod views;
mod webhooks;

fn main() -> std::process::ExitCode {
    cli::main()
}
