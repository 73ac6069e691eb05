//! newsdesk as the bench runs it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::client;
use crate::process::{Process, command, free_address};
use crate::store::{Backend, told};

/// Who makes the stories.
const EMAIL: &str = "bench@example.vn";
const PASSWORD: &str = "mot mat khau dai cho phep do";
/// What signs their tokens.
const SECRET: &str = "a-secret-of-the-bench-with-more-than-32-bytes";
/// The first page of stories: what a start is over with.
pub const FIRST_PAGE: &str = "/delivery/v1/articles?limit=20";

/// The program to measure.
pub struct Program {
    /// The release binary.
    pub binary: PathBuf,
}

impl Program {
    /// Starts it on a database; `settings` go before the bench's own.
    pub fn start(&self, backend: &Backend, name: &str, settings: &[(&'static str, &str)]) -> Result<Process, String> {
        let address = free_address()?;
        let mut all = self.settings(backend, name)?;
        all.push(("BIND", address.to_string()));
        all.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let mut command = command(&self.binary, &backend.folder(name), "log", &all)?;
        Process::start(command.arg("serve"), address, FIRST_PAGE, 200).map_err(|error| {
            let log = std::fs::read_to_string(backend.folder(name).join("log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            format!("{error}\n{}", last.join("\n"))
        })
    }

    /// Makes the account of whoever makes the stories, and with it the schema.
    pub fn create_editor(&self, backend: &Backend, name: &str) -> Result<(), String> {
        let settings = self.settings(backend, name)?;
        let mut command = command(&self.binary, &backend.folder(name), "log", &settings)?;
        command.args([
            "editor", "create", "--email", EMAIL, "--name", "Bench", "--role", "admin",
        ]);
        run_with(&mut command, PASSWORD)
    }

    // Rate limits are another promise: one client that asks for all it can get would meet nothing else.
    fn settings(&self, backend: &Backend, name: &str) -> Result<Vec<(&'static str, String)>, String> {
        let media = backend.folder(name).join("media");
        Ok(vec![
            ("DATABASE_URL", backend.url(name)?),
            ("MEDIA_URL", format!("file://{}", media.display())),
            ("JWT_SECRET", SECRET.into()),
            ("RATE_LIMITS", "off".into()),
            ("TRUSTED_PROXIES", "127.0.0.1".into()),
            // Made in the background for minutes, AVIF files would count as the cost of whatever is measured meanwhile.
            ("AVIF", "off".into()),
        ])
    }
}

fn run_with(command: &mut Command, input: &str) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        std::io::Write::write_all(&mut stdin, input.as_bytes()).map_err(|error| error.to_string())?;
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    let good = status.success();
    if good {
        Ok(())
    } else {
        Err(format!("{command:?}: {status}"))
    }
}

/// Somebody who is signed in at a running newsroom.
pub struct Desk<'p> {
    process: &'p Process,
    authorization: String,
}

impl<'p> Desk<'p> {
    /// Signs in.
    pub fn sign_in(process: &'p Process) -> Result<Self, String> {
        let body = json!({ "email": EMAIL, "password": PASSWORD }).to_string();
        let request = client::with_body("POST", "/management/v1/auth/login", &[], Some(&body));
        let answer = client::ask(process.address, &request)?;
        let token = answer.json()?["access_token"].as_str().map(str::to_owned);
        let token = token.ok_or_else(|| format!("nobody can sign in: {}", answer.excerpt()))?;
        let authorization = format!("Bearer {token}");
        Ok(Self { process, authorization })
    }

    /// A management request, ready to be sent.
    pub fn post(&self, path: &str, body: &Value) -> Vec<u8> {
        let headers = [("Authorization", self.authorization.as_str()), ("If-Match", "*")];
        let target = format!("/management/v1{path}");
        client::with_body("POST", &target, &headers, Some(&body.to_string()))
    }

    /// Uploads a photograph that is drawn here, and gives the path of its file.
    pub fn upload_photo(&self) -> Result<String, String> {
        // Noise on a slope of colours: its variants weigh what a photograph's do.
        let mut state = 1_u32;
        let picture = image::RgbImage::from_fn(1600, 1200, |x, y| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            image::Rgb([(x / 8) as u8, (y / 8) as u8, (state >> 27) as u8 + 90])
        });
        let mut file = std::io::Cursor::new(Vec::new());
        let written = picture.write_to(&mut file, image::ImageFormat::Jpeg);
        written.map_err(|error| error.to_string())?;
        let file = file.into_inner();
        let head = format!(
            "POST /management/v1/images HTTP/1.1\r\nHost: newsdesk\r\nAuthorization: {}\r\nContent-Type: image/jpeg\r\n\
             Content-Length: {}\r\n\r\n",
            self.authorization,
            file.len()
        );
        let answer = client::ask(self.process.address, &[head.into_bytes(), file].concat())?;
        let url = answer.json()?["url"].as_str().map(str::to_owned);
        let path = url.and_then(|url| url.find("/media/").map(|at| url[at..].to_owned()));
        path.ok_or_else(|| format!("no picture was taken: {}", answer.excerpt()))
    }

    /// Creates something and gives its id.
    pub fn create(&self, path: &str, body: &Value) -> Result<String, String> {
        let answer = client::ask(self.process.address, &self.post(path, body))?;
        if answer.status != 201 {
            return Err(format!("POST {path}: {}", answer.excerpt()));
        }
        id_of(&answer.body)
    }
}

/// The id in an answer.
pub fn id_of(body: &[u8]) -> Result<String, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let id = value["id"].as_str().map(str::to_owned);
    id.ok_or_else(|| "an answer without an id".to_owned())
}

/// Removes a folder that may not be there.
pub fn remove(folder: &std::path::Path) -> Result<(), String> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(told(folder, &error)),
        _ => Ok(()),
    }
}
