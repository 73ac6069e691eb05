//! Somebody who receives webhooks: a real listener that keeps what it gets and answers as a test wants.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};

use super::Value;

/// What a receiver does with a request it has read.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status, this header and this body.
    With(u16, String, String),
    /// Closes the connection.
    HangUp,
    /// Says nothing for so long.
    Hang(Duration),
}

/// One request.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Headers by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as it came.
    pub body: String,
    /// When it came.
    pub at: Instant,
    /// Whether it was answered 2xx.
    pub taken: bool,
}

impl Hook {
    /// The header that is the same at every try.
    pub fn id(&self) -> String {
        self.headers["webhook-id"].clone()
    }

    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// The event's type.
    pub fn kind(&self) -> String {
        self.json()["type"].as_str().expect("a type").to_owned()
    }

    /// Whether one of its signatures was made with this secret.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD
            .decode(secret.strip_prefix("whsec_").expect("a secret"))
            .expect("base64");
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("a key");
        mac.update(format!("{}.{}.{}", self.id(), self.headers["webhook-timestamp"], self.body).as_bytes());
        let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.signatures().contains(&wanted)
    }

    /// Its signatures.
    pub fn signatures(&self) -> Vec<String> {
        self.headers["webhook-signature"]
            .split(' ')
            .map(str::to_owned)
            .collect()
    }
}

#[derive(Default)]
struct Inner {
    seen: Vec<Hook>,
    next: VecDeque<Answer>,
    always: Option<Answer>,
    connections: usize,
}

/// A listener on this machine.
#[derive(Clone)]
pub struct Receiver {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

impl Receiver {
    /// One that answers 204.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let receiver = Self {
            address: listener.local_addr().expect("an address"),
            inner: Arc::default(),
        };
        let shared = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let receiver = shared.clone();
                receiver.lock().connections += 1;
                // A client that goes away in the middle is nobody's failure.
                std::thread::spawn(move || receiver.serve(stream));
            }
        });
        receiver
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let (mut line, mut headers) = (String::new(), BTreeMap::new());
        reader.read_line(&mut line).ok()?;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
        reader.read_exact(&mut body).ok()?;
        let answer = {
            let mut inner = self.lock();
            let always = inner.always.clone();
            let answer = inner.next.pop_front().or(always).unwrap_or(Answer::Status(204));
            inner.seen.push(Hook {
                headers,
                body: String::from_utf8(body).expect("UTF-8"),
                at: Instant::now(),
                taken: matches!(answer, Answer::Status(200..300) | Answer::With(200..300, ..)),
            });
            answer
        };
        self.answer(stream, answer).ok()
    }

    fn answer(&self, mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
        match answer {
            Answer::HangUp => Ok(()),
            Answer::Hang(time) => {
                std::thread::sleep(time);
                Ok(())
            }
            Answer::Status(status) => write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            ),
            Answer::With(status, header, body) => {
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 {status} X\r\n{header}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                )
            }
        }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How the next requests are answered, in turn.
    pub fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.lock().next.extend(answers);
    }

    /// How all others are answered.
    pub fn always(&self, answer: Answer) {
        self.lock().always = Some(answer);
    }

    /// What it has got.
    pub fn seen(&self) -> Vec<Hook> {
        self.lock().seen.clone()
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    /// Waits until it has got so many.
    pub async fn got(&self, count: usize) -> Vec<Hook> {
        let start = Instant::now();
        loop {
            let seen = self.seen();
            if seen.len() >= count {
                return seen;
            }
            assert!(
                start.elapsed() < Duration::from_secs(45),
                "only {} of {count}: {seen:#?}",
                seen.len()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What it has got a while after, when everything that was to come has come.
    pub async fn settled(&self) -> Vec<Hook> {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        self.seen()
    }
}
