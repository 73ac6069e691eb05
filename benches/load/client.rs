//! A load client that costs little: one thread, keep-alive HTTP/1.1, requests that were made before the clock starts.
//!
//! It shares the machine with what it measures, so nothing it says about time is compared with anything but itself.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request, ready to be sent.
pub type Bytes = Vec<u8>;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request without a body.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Bytes {
    with_body(method, target, headers, None)
}

/// A request with a JSON body, if any.
pub fn with_body(method: &str, target: &str, headers: &[(&str, &str)], body: Option<&str>) -> Bytes {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: newsdesk\r\n");
    let named = headers.iter().any(|(name, _)| *name == "User-Agent");
    if !named {
        text.push_str("User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    match body {
        Some(body) => text.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )),
        None if method == "GET" => text.push_str("\r\n"),
        None => text.push_str("Content-Length: 0\r\n\r\n"),
    }
    text.into_bytes()
}

/// An answer.
#[derive(Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header, empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        header(&self.head, name).unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("{error} in {}", self.excerpt()))
    }

    /// Its beginning, for messages.
    pub fn excerpt(&self) -> String {
        let body: String = String::from_utf8_lossy(&self.body).chars().take(300).collect();
        format!("{} {body}", self.status)
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim())
}

/// What to send.
pub struct Plan<'p> {
    /// The requests; taken in turn, again from the beginning when there are fewer than `total`.
    pub requests: &'p [Bytes],
    /// How many answers to get.
    pub total: usize,
    /// Connections at once.
    pub connections: usize,
    /// The status each answer must have.
    pub status: u16,
    /// The body of each connection's first answer, where all are alike.
    pub body: Option<&'p [u8]>,
    /// Whether to keep the answers' bodies, in the order of the requests.
    pub keep: bool,
}

/// What came back.
pub struct Load {
    /// From the first request to the last answer.
    pub wall: Duration,
    /// How long each answer took, in microseconds, ascending.
    pub latencies: Vec<u32>,
    /// The bodies, when they were to be kept.
    pub bodies: Vec<Vec<u8>>,
}

/// Sends everything and waits for every answer.
pub fn load(address: SocketAddr, plan: &Plan<'_>) -> Result<Load, String> {
    runtime()?.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..plan.connections {
            connections.push(Connection::open(address).await?);
        }
        let next = Cell::new(0);
        let start = Instant::now();
        let mut running: FuturesUnordered<_> = connections.into_iter().map(|one| one.work(plan, &next)).collect();
        let mut load = Load {
            wall: Duration::ZERO,
            latencies: Vec::with_capacity(plan.total),
            bodies: vec![Vec::new(); if plan.keep { plan.total } else { 0 }],
        };
        while let Some(done) = running.next().await {
            let done = done?;
            load.latencies.extend(done.latencies);
            for (number, body) in done.bodies {
                load.bodies[number] = body;
            }
        }
        load.wall = start.elapsed();
        load.latencies.sort_unstable();
        Ok(load)
    })
}

/// One request on a connection of its own.
pub fn ask(address: SocketAddr, request: &[u8]) -> Result<Answer, String> {
    runtime()?.block_on(async {
        let mut connection = Connection::open(address).await?;
        let (head, end) = connection.ask(request).await?;
        Ok(connection.answer(head, end))
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| error.to_string())
}

/// What one connection did.
#[derive(Default)]
struct Done {
    latencies: Vec<u32>,
    bodies: Vec<(usize, Vec<u8>)>,
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, String> {
        let opened = TcpStream::connect(address).await;
        let stream = opened.map_err(|error| format!("{address} cannot be reached: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(64 * 1024),
        })
    }

    async fn work(mut self, plan: &Plan<'_>, next: &Cell<usize>) -> Result<Done, String> {
        let mut done = Done::default();
        let mut first = true;
        loop {
            let number = next.get();
            if number >= plan.total {
                return Ok(done);
            }
            next.set(number + 1);
            let start = Instant::now();
            let (head, end) = self.ask(&plan.requests[number % plan.requests.len()]).await?;
            done.latencies.push(start.elapsed().as_micros() as u32);
            if status(&self.buffer) != plan.status {
                let answer = self.answer(head, end);
                return Err(format!("{} was due: {}", plan.status, answer.excerpt()));
            }
            if first && plan.body.is_some_and(|body| body != &self.buffer[head..end]) {
                return Err(format!("another body was due: {}", self.answer(head, end).excerpt()));
            }
            first = false;
            if plan.keep {
                done.bodies.push((number, self.buffer[head..end].to_vec()));
            }
        }
    }

    /// Sends a request and reads one answer; gives where its body begins and ends.
    async fn ask(&mut self, request: &[u8]) -> Result<(usize, usize), String> {
        match tokio::time::timeout(PATIENCE, self.exchange(request)).await {
            Ok(result) => result.map_err(|error| format!("the connection broke: {error}")),
            Err(_) => Err("no answer within a minute".into()),
        }
    }

    async fn exchange(&mut self, request: &[u8]) -> std::io::Result<(usize, usize)> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let mut bounds = None;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if bounds.is_none() {
                bounds = bounds_of(&self.buffer)?;
            }
            if let Some((head, end)) = bounds.filter(|(_, end)| self.buffer.len() >= *end) {
                return Ok((head, end));
            }
        }
    }

    fn answer(&self, head: usize, end: usize) -> Answer {
        Answer {
            status: status(&self.buffer),
            head: String::from_utf8_lossy(&self.buffer[..head]).into(),
            body: self.buffer[head..end].to_vec(),
        }
    }
}

/// The status of an answer whose head is whole.
fn status(answer: &[u8]) -> u16 {
    let digits = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Where the body begins and where it ends, once the whole head is there.
fn bounds_of(answer: &[u8]) -> std::io::Result<Option<(usize, usize)>> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else {
        return Ok(None);
    };
    if matches!(status(answer), 204 | 304) {
        return Ok(Some((head, head)));
    }
    let text = std::str::from_utf8(&answer[..head]).map_err(std::io::Error::other)?;
    let length = header(text, "content-length").and_then(|length| length.parse::<usize>().ok());
    let length = length.ok_or_else(|| std::io::Error::other("an answer without Content-Length"))?;
    Ok(Some((head, head + length)))
}
