//! Durable writes: articles created through the management API by 16 clients at once, against the same rows written
//! straight into a SQLite file on the same disk, one durable commit each. Rounds take turns.

use std::path::Path;
use std::time::Instant;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde_json::Value;

use crate::data::{Names, send, send_over};
use crate::measure::{ROUNDS, median, percentile};
use crate::newsroom::{Desk, remove};
use crate::process::Process;
use crate::report::{Goal, Line};
use crate::store::{open, told};

/// What it is called.
pub const PATH: &str = "create article, 16 connections";
/// Articles that one round creates.
const CREATES: usize = 600;
/// Articles of one round that one client creates alone: each is a commit of its own.
const ALONE: usize = 100;
/// Commits of one round beside it.
const COMMITS: usize = 200;

/// Creates articles. `scratch` is a folder for the file beside it, when there is to be one.
pub fn create_articles(process: &Process, scratch: Option<&Path>, scale: f64) -> Result<Line, String> {
    let names = Names::found(process)?;
    let desk = Desk::sign_in(process)?;
    let mut plain = scratch.map(Plain::open).transpose()?;
    let (creates, commits) = (scaled(CREATES, scale), scaled(COMMITS, scale));
    let (mut rates, mut plain_rates, mut latencies, mut cpus) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut alone_rates = Vec::new();
    let alone = scaled(ALONE, scale);
    for round in 0..=ROUNDS {
        let mut stories = names.new_stories(round * (creates + alone), creates + alone);
        let by_one = stories.split_off(creates);
        let posts = |stories: &[Value]| stories.iter().map(|body| desk.post("/articles", body)).collect();
        let requests = posts(&stories);
        let before = process.cpu()?;
        let load = send(process, requests, 201, false)?;
        let cpu = process.cpu()?.saturating_sub(before);
        let one_by_one = send_over(1, process, posts(&by_one), 201, false)?;
        let plain_rate = match &mut plain {
            Some(plain) => Some(plain.rate(&stories, commits)?),
            None => None,
        };
        // The first round warms up.
        if round > 0 {
            rates.push(creates as f64 / load.wall.as_secs_f64());
            alone_rates.push(alone as f64 / one_by_one.wall.as_secs_f64());
            cpus.push(cpu.as_secs_f64() * 1e6 / creates as f64);
            plain_rates.extend(plain_rate);
            latencies.extend(load.latencies);
        }
    }
    latencies.sort_unstable();
    let rate = median(rates.clone());
    let times = median(
        rates
            .iter()
            .zip(&plain_rates)
            .map(|(ours, theirs)| ours / theirs)
            .collect(),
    );
    let mut line = Line {
        path: PATH.into(),
        note: format!(
            "{rate:.0} a second, CPU {:.0} µs, p50 {:.1} ms, p99 {:.1} ms; one client alone {:.0} a second",
            median(cpus),
            percentile(&latencies, 50),
            percentile(&latencies, 99),
            median(alone_rates)
        ),
        ..Line::default()
    };
    if plain.is_some() {
        let one_each = median(plain_rates);
        line.note = format!("{}; one commit each {one_each:.0} a second: {times:.2} ×", line.note);
        line.goal = Goal::at_least(times, 4.0, " ×");
    }
    drop(plain);
    if let Some(folder) = scratch {
        remove(folder)?;
    }
    Ok(line)
}

fn scaled(number: usize, scale: f64) -> usize {
    ((number as f64 * scale) as usize).max(32)
}

/// A SQLite file with what a created article leaves: the article, its slug, tags and author, a revision, an audit line.
struct Plain {
    conn: SqliteConnection,
    next: i64,
}

impl Plain {
    fn open(folder: &Path) -> Result<Self, String> {
        remove(folder)?;
        std::fs::create_dir_all(folder).map_err(|error| told(folder, &error))?;
        let mut conn = open(&folder.join("plain.db"))?;
        conn.batch_execute(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE articles (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL, content TEXT NOT NULL);
             CREATE TABLE revisions (article_id TEXT, number BIGINT, snapshot TEXT, PRIMARY KEY (article_id, number));
             CREATE TABLE slugs (slug TEXT PRIMARY KEY NOT NULL, article_id TEXT NOT NULL);
             CREATE TABLE refs (article_id TEXT, ref_id TEXT, PRIMARY KEY (article_id, ref_id));
             CREATE TABLE audit (id TEXT PRIMARY KEY NOT NULL, data TEXT NOT NULL);",
        )
        .map_err(|error| error.to_string())?;
        Ok(Self { conn, next: 0 })
    }

    /// Commits a second.
    fn rate(&mut self, stories: &[Value], commits: usize) -> Result<f64, String> {
        let texts: Vec<String> = stories.iter().map(Value::to_string).collect();
        let start = Instant::now();
        for text in texts.iter().cycle().take(commits) {
            self.commit(text).map_err(|error| error.to_string())?;
        }
        Ok(commits as f64 / start.elapsed().as_secs_f64())
    }

    fn commit(&mut self, content: &str) -> QueryResult<()> {
        self.next += 1;
        // Spread over the index, as random ids are.
        let id = format!(
            "{:016x}-{}",
            self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()),
            self.next
        );
        self.conn.immediate_transaction(|conn| {
            let article = "INSERT INTO articles VALUES (?, 'a title of some length', ?)";
            two(conn, article, &id, content)?;
            diesel::sql_query("INSERT INTO revisions VALUES (?, ?, ?)")
                .bind::<Text, _>(&id)
                .bind::<BigInt, _>(1)
                .bind::<Text, _>(content)
                .execute(conn)?;
            two(conn, "INSERT INTO slugs VALUES (?, ?)", &format!("slug-{id}"), &id)?;
            for number in 0..4 {
                two(conn, "INSERT INTO refs VALUES (?, ?)", &id, &format!("ref-{number}"))?;
            }
            two(
                conn,
                "INSERT INTO audit VALUES (?, ?)",
                &id,
                &"who did what, when, from where; ".repeat(10),
            )
            .map(|_| ())
        })
    }
}

fn two(conn: &mut SqliteConnection, sql: &str, first: &str, second: &str) -> QueryResult<usize> {
    diesel::sql_query(sql)
        .bind::<Text, _>(first)
        .bind::<Text, _>(second)
        .execute(conn)
}
