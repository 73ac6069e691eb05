//! The running program.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client::{Person, Reply, Role};
use super::database::Database;
use super::json;

/// What signs access tokens in tests.
pub const JWT_SECRET: &str = "a-secret-of-the-tests-with-more-than-32-bytes";
/// Programs that run at once: each takes up to 16 connections to PostgreSQL.
const SERVERS: usize = 4;
/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A newsroom: a folder, a database, the program, and the people who call it.
#[derive(Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    server: Mutex<Option<Server>>,
    tokens: tokio::sync::Mutex<BTreeMap<&'static str, String>>,
    http: reqwest::Client,
    settings: Vec<(String, String)>,
    database: Database,
    folder: tempfile::TempDir,
    _place: Place,
}

impl Desk {
    /// Starts a newsroom with its staff.
    pub fn open(settings: &[(&str, &str)]) -> Self {
        let place = Place::take();
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::with_staff(folder.path());
        let mut all = vec![("DATABASE_URL".to_owned(), database.url.clone())];
        all.extend(settings.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let desk = Self {
            inner: Arc::new(Inner {
                server: Mutex::new(None),
                tokens: Default::default(),
                http: http(),
                settings: all,
                database,
                folder,
                _place: place,
            }),
        };
        desk.start();
        desk
    }

    /// Starts the program again after [`Desk::kill`] or [`Desk::terminate`].
    pub fn start(&self) {
        let server = Server::start(&self.settings(), self.folder());
        *lock(&self.inner.server) = Some(server);
    }

    /// Ends the program at once, as a power cut would.
    pub fn kill(&self) {
        drop(lock(&self.inner.server).take());
    }

    /// The settings of the program, for others of its commands.
    pub fn settings(&self) -> Vec<(&str, &str)> {
        let pairs = self.inner.settings.iter();
        pairs.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Where it runs.
    pub fn folder(&self) -> &Path {
        self.inner.folder.path()
    }

    /// Its database.
    pub fn database(&self) -> &Database {
        &self.inner.database
    }

    /// Its address.
    pub fn address(&self) -> String {
        lock(&self.inner.server).as_ref().expect("it runs").address.clone()
    }

    /// Its address, while it runs.
    pub fn running(&self) -> Option<String> {
        lock(&self.inner.server).as_ref().map(|server| server.address.clone())
    }

    /// The address that clients of a program at this one see.
    pub fn public_url(&self, address: String) -> String {
        let set = self.inner.settings.iter().find(|(name, _)| name == "PUBLIC_URL");
        set.map_or(address, |(_, url)| url.clone())
    }

    /// The id of its process.
    pub fn process_id(&self) -> u32 {
        lock(&self.inner.server).as_ref().expect("it runs").child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        lock(&self.inner.server).as_ref().expect("it runs").log()
    }

    /// What the program answers to these very bytes, until it closes the connection.
    pub fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let address = self.address();
        let mut stream = TcpStream::connect(address.trim_start_matches("http://")).expect("a connection");
        stream.set_read_timeout(Some(START)).expect("a timeout");
        // The program may answer and close before it has read everything.
        let _ = stream.write_all(request.as_ref());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into()
    }

    /// Asks the program to end; gives its exit status.
    pub fn terminate(&self) -> ExitStatus {
        let mut server = lock(&self.inner.server).take().expect("it runs");
        server.terminate();
        server.wait()
    }

    /// Sends SIGTERM and goes on.
    pub fn ask_to_stop(&self) {
        lock(&self.inner.server).as_ref().expect("it runs").terminate();
    }

    /// Waits for the end of a program that was asked to stop.
    pub fn ended(&self) -> ExitStatus {
        lock(&self.inner.server).take().expect("it runs").wait()
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.inner.http
    }

    /// A reader: the delivery API, without sign-in.
    pub fn as_reader(&self) -> Person {
        Person::new(self, Role::Reader)
    }

    /// Somebody who calls the management API without sign-in.
    pub fn as_nobody(&self) -> Person {
        Person::new(self, Role::Nobody)
    }

    /// The writer.
    pub fn as_writer(&self) -> Person {
        Person::new(self, Role::Staff("writer@example.vn"))
    }

    /// Another writer.
    pub fn as_other_writer(&self) -> Person {
        Person::new(self, Role::Staff("other@example.vn"))
    }

    /// The editor.
    pub fn as_editor(&self) -> Person {
        Person::new(self, Role::Staff("editor@example.vn"))
    }

    /// The admin.
    pub fn as_admin(&self) -> Person {
        Person::new(self, Role::Staff("admin@example.vn"))
    }

    /// Whoever has this access token.
    pub fn with_token(&self, token: &str) -> Person {
        Person::new(self, Role::Bearer(token.into()))
    }

    /// Signs in.
    pub async fn log_in(&self, email: &str, password: &str) -> Reply {
        self.as_nobody()
            .post("/auth/login", json!({ "email": email, "password": password }))
            .await
    }

    /// The token of one of the staff, who signs in once.
    pub(super) async fn token(&self, email: &'static str) -> String {
        let mut tokens = self.inner.tokens.lock().await;
        if let Some(token) = tokens.get(email) {
            return token.clone();
        }
        let signed_in = Box::pin(self.log_in(email, super::database::PASSWORD)).await;
        let token = signed_in.is(200).text("/access_token");
        tokens.insert(email, token.clone());
        token
    }
}

/// A client that follows no redirects and speaks to nobody but the program.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(60))
        .build()
        .expect("a client")
}

/// One process of `newsdesk serve`; killed when dropped.
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:…`
    pub address: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts it and waits until it listens.
    pub fn start(settings: &[(&str, &str)], folder: &Path) -> Self {
        let mut child = newsdesk(&["serve"], settings, folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("newsdesk starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (told, address) = std::sync::mpsc::channel();
        let lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(address) = listening(&line) {
                    let _ = told.send(address);
                }
                lock(&kept).push(line);
            }
        });
        let server = |address| Self { child, address, log };
        match address.recv_timeout(START) {
            Ok(address) => server(format!("http://{address}")),
            Err(_) => panic!("newsdesk did not start:\n{}", server(String::new()).log()),
        }
    }

    /// Every line it has logged.
    pub fn log(&self) -> String {
        lock(&self.log).join("\n")
    }

    fn terminate(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.expect("kill runs").success());
    }

    fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(start.elapsed() < START, "newsdesk did not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = lock(&self.log);
            let last = log.len().saturating_sub(40);
            eprintln!("the program's last words:\n{}", log[last..].join("\n"));
        }
    }
}

fn listening(line: &str) -> Option<String> {
    let event: super::Value = serde_json::from_str(line).ok()?;
    (event["message"] == "listening").then(|| event["address"].as_str().map(str::to_owned))?
}

/// The program with settings of its own and none of this machine's.
pub fn newsdesk(arguments: &[&str], settings: &[(&str, &str)], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_newsdesk"));
    command.args(arguments).current_dir(folder).env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .env("BIND", "127.0.0.1:0")
        .env("JWT_SECRET", JWT_SECRET)
        .env("MEDIA_URL", format!("file://{}", folder.join("media").display()))
        .env("SITE_URL", "https://bao.example.vn")
        // Its files come at a time of their own, and answers change with them.
        .env("AVIF", "off")
        .envs(settings.iter().copied());
    command
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    /// It went well.
    pub fn done(&self) {
        assert_eq!(self.code, Some(0), "{self:?}");
    }
}

/// Runs a command with this as its standard input.
pub fn run_to_end(mut command: Command, input: &str) -> Ended {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().expect("newsdesk starts");
    // A command that reads nothing may have ended already.
    let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("its output");
    Ended {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into(),
        err: String::from_utf8_lossy(&output.stderr).into(),
    }
}

/// One of the places for a running newsroom.
struct Place;

static PLACES: (Mutex<usize>, Condvar) = (Mutex::new(SERVERS), Condvar::new());

impl Place {
    fn take() -> Self {
        let mut free = lock(&PLACES.0);
        while *free == 0 {
            free = PLACES.1.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *lock(&PLACES.0) += 1;
        PLACES.1.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
