//! The newsrooms that are measured: made once through the management API, kept, and used again while nothing they were
//! made from has changed.

use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::client::{Load, Plan, load};
use crate::grow;
use crate::newsroom::{Desk, Program, id_of};
use crate::process::Process;
use crate::store::{Backend, told};
use crate::words::{self, AUTHORS, SECTIONS, Story, TAGS};

/// Newsrooms up to so many times the small one are made story by story; a larger one is the small one, many times over.
const BY_HAND: usize = 10;
/// Stories that are created, then published, at once.
const BATCH: usize = 1_000;
/// Connections that make stories.
const CONNECTIONS: usize = 16;
/// An access token is good for 15 minutes.
const SIGN_IN_AGAIN: Duration = Duration::from_secs(300);

/// Sees to it that there is a newsroom of so many stories, and gives its name.
pub fn ready(program: &Program, backend: &Backend, stories: usize, base: usize) -> Result<String, String> {
    let name = stories.to_string();
    let stamp = backend.folder(&name).join("stamp");
    let due = stamp_text(stories)?;
    if std::fs::read_to_string(&stamp).is_ok_and(|kept| kept == due) {
        return Ok(name);
    }
    words::check()?;
    if stories <= base * BY_HAND {
        make(program, backend, &name, stories)?;
    } else {
        let from = ready(program, backend, base, base)?;
        backend.copy(&from, &name)?;
        // The copy's stamp is that of the original.
        std::fs::remove_file(backend.folder(&name).join("stamp")).or_else(|error| absent(&error, &stamp))?;
        grow::multiply(backend, &name, base, stories)?;
    }
    std::fs::write(&stamp, due).map_err(|error| told(&stamp, &error))?;
    Ok(name)
}

fn absent(error: &std::io::Error, file: &Path) -> Result<(), String> {
    if error.kind() == std::io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(told(file, error))
    }
}

/// What a newsroom was made from: other migrations or other words, another newsroom.
fn stamp_text(stories: usize) -> Result<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let entries = std::fs::read_dir(&folder).map_err(|error| told(&folder, &error))?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let sample = words::story(1, stories).words;
    Ok(format!("{stories} stories\n{}\n{sample}\n", names.join("\n")))
}

fn make(program: &Program, backend: &Backend, name: &str, stories: usize) -> Result<(), String> {
    backend.create(name)?;
    program.create_editor(backend, name)?;
    let process = program.start(backend, name, &[("LOG", "warn")])?;
    let mut desk = Desk::sign_in(&process)?;
    let mut signed_in = Instant::now();
    let names = Names::create(&desk)?;
    let bar = progress(stories, &format!("{}: making stories", backend.name()));
    for first in (0..stories).step_by(BATCH) {
        if signed_in.elapsed() > SIGN_IN_AGAIN {
            desk = Desk::sign_in(&process)?;
            signed_in = Instant::now();
        }
        let numbers = first..stories.min(first + BATCH);
        let batch: Vec<Story> = numbers.map(|number| words::story(number, stories)).collect();
        let bodies: Vec<Value> = batch.iter().map(|story| names.fill_in(story)).collect();
        let ids = create(&process, &desk, &bodies)?;
        publish(&process, &desk, &ids, &batch)?;
        bar.inc(ids.len() as u64);
    }
    bar.finish_and_clear();
    process.stop()
}

/// Ids of what stories are filed under.
pub struct Names {
    sections: Vec<String>,
    tags: Vec<String>,
    authors: Vec<String>,
}

impl Names {
    fn create(desk: &Desk<'_>) -> Result<Self, String> {
        let named = |path: &str, name: &str| desk.create(path, &json!({ "name": name }));
        let tags = (0..TAGS).map(|number| named("/tags", &words::tag(number)));
        let authors = (0..AUTHORS).map(|number| named("/authors", &words::author(number)));
        Ok(Self {
            sections: SECTIONS
                .iter()
                .map(|name| named("/sections", name))
                .collect::<Result<_, _>>()?,
            tags: tags.collect::<Result<_, _>>()?,
            authors: authors.collect::<Result<_, _>>()?,
        })
    }

    fn fill_in(&self, story: &Story) -> Value {
        let mut body = story.words.clone();
        body["section_id"] = json!(self.sections[story.section]);
        body["tag_ids"] = json!(story.tags.map(|number| &self.tags[number]));
        body["author_ids"] = json!([self.authors[story.author]]);
        body
    }

    /// The names that a made newsroom has already, as a reader finds them.
    pub fn found(process: &Process) -> Result<Self, String> {
        Ok(Self {
            sections: ids(process, "sections")?,
            tags: ids(process, "tags")?,
            authors: ids(process, "authors")?,
        })
    }

    /// So many stories, ready to be created; none of them is in the newsroom already.
    pub fn new_stories(&self, first: usize, count: usize) -> Vec<Value> {
        let numbers = first..first + count;
        numbers
            .map(|number| self.fill_in(&words::story(10_000_000 + number, 0)))
            .collect()
    }
}

fn ids(process: &Process, kind: &str) -> Result<Vec<String>, String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let target = format!("/delivery/v1/{kind}?limit=100{cursor}");
        let page = crate::client::ask(process.address, &crate::client::request("GET", &target, &[]))?.json()?;
        let items = page["data"].as_array().cloned().unwrap_or_default();
        ids.extend(items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)));
        match page["page"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    // A newsroom made small for a trial does not use all of them.
    let due = match kind {
        "sections" => SECTIONS.len(),
        "tags" => TAGS,
        _ => AUTHORS,
    };
    if ids.is_empty() {
        return Err(format!("the newsroom has no {kind}"));
    }
    Ok(ids.iter().cycle().take(due).cloned().collect())
}

/// Creates stories and gives their ids.
pub fn create(process: &Process, desk: &Desk<'_>, bodies: &[Value]) -> Result<Vec<String>, String> {
    let requests = bodies.iter().map(|body| desk.post("/articles", body)).collect();
    let load = send(process, requests, 201, true)?;
    load.bodies.iter().map(|body| id_of(body)).collect()
}

fn publish(process: &Process, desk: &Desk<'_>, ids: &[String], batch: &[Story]) -> Result<(), String> {
    let now = chrono::Utc::now();
    let requests = ids.iter().zip(batch).map(|(id, story)| {
        let at = now - chrono::Duration::minutes(story.minutes_ago);
        let at = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        desk.post(&format!("/articles/{id}/publish"), &json!({ "published_at": at }))
    });
    send(process, requests.collect(), 200, false).map(|_| ())
}

/// Sends each request once, over the connections that make stories.
pub fn send(process: &Process, requests: Vec<Vec<u8>>, status: u16, keep: bool) -> Result<Load, String> {
    send_over(CONNECTIONS, process, requests, status, keep)
}

/// The same over so many connections.
pub fn send_over(
    connections: usize,
    process: &Process,
    requests: Vec<Vec<u8>>,
    status: u16,
    keep: bool,
) -> Result<Load, String> {
    let plan = Plan {
        requests: &requests,
        total: requests.len(),
        connections,
        status,
        body: None,
        keep,
    };
    load(process.address, &plan)
}

/// A bar for work that takes its time.
pub fn progress(length: usize, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(length as u64).with_message(what.to_owned());
    match ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
