//! A mail server: it takes mail, or misbehaves as it was told to.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use mail_parser::{Message, MessageParser};

/// How long a mail may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a mail server does with the next mail.
#[derive(Debug, Clone, Copy)]
pub enum Mood {
    /// Takes it.
    Takes,
    /// Says this to the recipient, such as `550 no such user`.
    Says(&'static str),
    /// Takes the words and hangs up before it has said that it has them.
    HangsUp,
    /// Takes it, after this many milliseconds.
    Slow(u64),
}

/// A mail as it came.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Recipients of the envelope.
    pub to: Vec<String>,
    /// Head and body.
    pub raw: Vec<u8>,
}

impl Mail {
    /// Its parts, read by somebody else's program.
    pub fn parsed(&self) -> Message<'_> {
        MessageParser::default().parse(&self.raw).expect("a mail")
    }

    /// The plain words.
    pub fn text(&self) -> String {
        self.parsed().body_text(0).expect("plain text").into_owned()
    }

    /// The HTML.
    pub fn html(&self) -> String {
        self.parsed().body_html(0).expect("HTML").into_owned()
    }

    /// A header's value, without folds.
    pub fn header(&self, name: &str) -> String {
        let parsed = self.parsed();
        let value = parsed.header_raw(name).unwrap_or_else(|| panic!("no {name}"));
        value.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[derive(Default)]
struct State {
    moods: VecDeque<Mood>,
    tries: usize,
    mails: Vec<Mail>,
}

/// A running mail server; it ends with the test's process.
#[derive(Clone)]
pub struct MailServer {
    /// `SMTP_URL`.
    pub url: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl MailServer {
    /// Starts one. It behaves for as long as there are moods, one a mail, and takes everything after them.
    pub fn open(moods: &[Mood]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("smtp://{}", listener.local_addr().expect("an address"));
        let state: Arc<(Mutex<State>, Condvar)> = Arc::default();
        state.0.lock().expect("a lock").moods.extend(moods);
        let server = Self { url, state };
        let shared = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || shared.talk(&stream));
            }
        });
        server
    }

    /// The mails once there are `count` of them.
    pub async fn mails(&self, count: usize) -> Vec<Mail> {
        self.until(move |state| (state.mails.len() >= count).then(|| state.mails.clone()))
            .await
    }

    /// Waits until a mail was refused, or its words were here, so many times.
    pub async fn tried(&self, count: usize) {
        self.until(move |state| (state.tries >= count).then_some(())).await;
    }

    /// The mails there are now.
    pub fn mails_now(&self) -> Vec<Mail> {
        self.state.0.lock().expect("a lock").mails.clone()
    }

    async fn until<T: Send + 'static>(&self, found: impl Fn(&State) -> Option<T> + Send + 'static) -> T {
        let state = self.state.clone();
        let waiting = tokio::task::spawn_blocking(move || {
            let end = Instant::now() + PATIENCE;
            let mut guard = state.0.lock().expect("a lock");
            loop {
                if let Some(found) = found(&guard) {
                    return found;
                }
                let left = end.checked_duration_since(Instant::now());
                let left = left.unwrap_or_else(|| panic!("no mail came; {} tries", guard.tries));
                guard = state.1.wait_timeout(guard, left).expect("a lock").0;
            }
        });
        waiting.await.expect("mail")
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.0.lock().expect("a lock"));
        self.state.1.notify_all();
    }

    /// One connection (RFC 5321). A line that cannot be written means that the caller is gone.
    fn talk(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let say = |line: &str| {
            let mut stream = stream;
            stream.write_all(format!("{line}\r\n").as_bytes()).ok()
        };
        say("220 mail.test ready")?;
        let (mut to, mut mood) = (Vec::new(), Mood::Takes);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let command = line.trim_end().to_uppercase();
            if command.starts_with("MAIL ") {
                to.clear();
                self.change(|state| mood = state.moods.pop_front().unwrap_or(Mood::Takes));
                say("250 fine")?;
            } else if command.starts_with("RCPT ") {
                if let Mood::Says(words) = mood {
                    say(words)?;
                    self.change(|state| state.tries += 1);
                    continue;
                }
                let (_, rest) = line.split_once('<')?;
                to.push(rest.split_once('>')?.0.to_owned());
                say("250 fine")?;
            } else if command == "DATA" {
                say("354 go on")?;
                let raw = data(&mut reader)?;
                self.change(|state| state.tries += 1);
                match mood {
                    Mood::HangsUp => return None,
                    Mood::Slow(wait) => std::thread::sleep(Duration::from_millis(wait)),
                    Mood::Takes | Mood::Says(_) => {}
                }
                let mail = Mail { to: to.clone(), raw };
                self.change(|state| state.mails.push(mail));
                say("250 it is here")?;
            } else if command == "QUIT" {
                say("221 bye")?;
                return None;
            } else {
                say("250 mail.test")?;
            }
        }
    }
}

/// The words of a mail up to the dot, without the dots that were put before dots.
fn data(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut raw = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        if line == b".\r\n" {
            return Some(raw);
        }
        raw.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
