//! What readers send, and what they find: addresses, cursors, beacons, and a close look at an answer.

use crate::client::{Answer, Bytes, ask, request};
use crate::newsroom::FIRST_PAGE;
use crate::process::Process;

/// An answer to the first request, looked at closely; or why there is none.
pub fn sample(
    process: &Process,
    requests: &dyn Fn(usize) -> Vec<Bytes>,
    status: u16,
    coding: &str,
) -> Result<Result<Answer, String>, String> {
    let asked = requests(0);
    let first = asked.first().ok_or("no request")?;
    let answer = ask(process.address, first)?;
    if matches!(answer.status, 404 | 405) {
        return Ok(Err(answer.status.to_string()));
    }
    if answer.status != status {
        return Err(format!("{status} was due: {}", answer.excerpt()));
    }
    let sent_in = answer.header("content-encoding");
    if coding != "identity" && sent_in != coding {
        return Ok(Err(format!("no {coding}")));
    }
    if status == 200 && answer.header("content-type").contains("json") {
        let plain = decoded(&answer)?;
        let json: serde_json::Value = serde_json::from_slice(&plain).map_err(|error| error.to_string())?;
        let whole = json["id"].is_string() || json["data"].as_array().is_some_and(|items| !items.is_empty());
        if !whole {
            return Err(format!("neither a story nor a list with stories: {}", answer.excerpt()));
        }
    }
    Ok(Ok(answer))
}

fn decoded(answer: &Answer) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let mut plain = Vec::new();
    let read = match answer.header("content-encoding") {
        "gzip" => flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_end(&mut plain),
        "br" => brotli::Decompressor::new(answer.body.as_slice(), 4096).read_to_end(&mut plain),
        _ => answer.body.as_slice().read_to_end(&mut plain),
    };
    read.map(|_| plain).map_err(|error| error.to_string())
}

/// The most viewed stories of a day.
pub const MOST_VIEWED: &str = "/delivery/v1/most-viewed?window=24h&limit=20";

/// The address of a search.
pub fn search(words: &str) -> String {
    let query: String = url::form_urlencoded::byte_serialize(words.as_bytes()).collect();
    format!("/delivery/v1/search?q={query}")
}

/// The slugs of the newest 1,000 stories.
pub fn slugs(process: &Process) -> Result<Vec<String>, String> {
    let mut slugs = Vec::new();
    let mut cursor = String::new();
    while slugs.len() < 1_000 {
        let target = format!("/delivery/v1/articles?limit=100{cursor}");
        let page = ask(process.address, &request("GET", &target, &[]))?.json()?;
        let items = page["data"].as_array().cloned().unwrap_or_default();
        slugs.extend(items.iter().filter_map(|item| item["slug"].as_str().map(str::to_owned)));
        match page["page"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    Ok(slugs)
}

/// The cursor of the page that begins after so many stories.
pub fn cursor_at(process: &Process, depth: usize) -> Result<String, String> {
    let mut cursor = String::new();
    for _ in 0..depth.div_ceil(100) {
        let target = match cursor.as_str() {
            "" => "/delivery/v1/articles?limit=100".to_owned(),
            cursor => format!("/delivery/v1/articles?limit=100&cursor={cursor}"),
        };
        let page = ask(process.address, &request("GET", &target, &[]))?.json()?;
        let next = page["page"]["next_cursor"].as_str();
        cursor = next.ok_or("the list ends before the deep page")?.to_owned();
    }
    Ok(cursor)
}

/// The newest stories of a section, and of a tag that one in a hundred has.
pub fn filters(process: &Process) -> Result<(String, String), String> {
    let page = ask(process.address, &request("GET", FIRST_PAGE, &[]))?.json()?;
    let slug = |pointer: &str| {
        let slug = page.pointer(pointer).and_then(serde_json::Value::as_str);
        slug.map(str::to_owned)
            .ok_or_else(|| format!("the newest story has no {pointer}"))
    };
    Ok((
        format!("{FIRST_PAGE}&section={}", slug("/data/0/section/slug")?),
        format!("{FIRST_PAGE}&tag={}", slug("/data/0/tags/0/slug")?),
    ))
}

/// Beacons of readers who come for the first time, round by round.
pub fn beacons(slugs: &[String], count: usize) -> impl Fn(usize) -> Vec<Bytes> + '_ {
    move |round| {
        let readers = (round + 1) * count..(round + 2) * count;
        readers
            .map(|reader| beacon(&slugs[reader % slugs.len().max(1)], reader))
            .collect()
    }
}

/// The beacon of a reader.
pub fn beacon(slug: &str, reader: usize) -> Bytes {
    let browser = format!("Mozilla/5.0 (X11; Linux x86_64; rv:140.{reader}) Gecko/20100101 Firefox/140.{reader}");
    let target = format!("/delivery/v1/articles/{slug}/views");
    // One address is only so many readers of a story; behind a proxy each has its own.
    let [_, a, b, c] = (reader as u32).to_be_bytes();
    let address = format!("10.{a}.{b}.{c}");
    request(
        "POST",
        &target,
        &[("User-Agent", &browser), ("X-Forwarded-For", &address)],
    )
}

/// Waits until the views that were counted are in the list of the most viewed, where there is one.
pub fn views_written(process: &Process) -> Result<(), String> {
    // Each question is another one, since answers are kept for a while.
    for limit in 1..20 {
        let target = format!("/delivery/v1/most-viewed?window=24h&limit={limit}");
        let answer = ask(process.address, &request("GET", &target, &[]))?;
        let written = answer.status == 200 && answer.json()?["data"].as_array().is_some_and(|items| !items.is_empty());
        if written || answer.status == 404 {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_secs(2));
    }
    Err("the most viewed stories stay empty".into())
}

/// Sends views, so that there is something most viewed.
pub fn send_views(process: &Process, count: usize) -> Result<(), String> {
    let slugs = slugs(process)?;
    let requests = beacons(&slugs, count)(0);
    let Some(first) = requests.first() else { return Ok(()) };
    if ask(process.address, first)?.status == 202 {
        crate::data::send(process, requests, 202, false)?;
    }
    Ok(())
}
