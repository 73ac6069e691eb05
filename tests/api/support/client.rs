//! People who call the API, and what they are answered.

use std::future::IntoFuture;
use std::io::Read;
use std::ops::Index;
use std::pin::Pin;

use reqwest::Method;
use reqwest::header::HeaderMap;

use super::desk::Desk;
use super::{Value, contract};

/// Who calls.
#[derive(Clone)]
pub enum Role {
    /// A reader of the delivery API.
    Reader,
    /// Somebody without sign-in at the management API.
    Nobody,
    /// One of the staff, by e-mail address.
    Staff(&'static str),
    /// Whoever has this token.
    Bearer(String),
}

/// Somebody who calls.
#[derive(Clone)]
pub struct Person {
    desk: Desk,
    role: Role,
}

impl Person {
    pub(super) fn new(desk: &Desk, role: Role) -> Self {
        let desk = desk.clone();
        Self { desk, role }
    }

    /// Any request. Short paths belong to the face that the caller uses: `/articles` is `/delivery/v1/articles` for a
    /// reader and `/management/v1/articles` for everybody else.
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        let whole = [
            "/delivery/",
            "/management/",
            "/media/",
            "/health/",
            "/feeds/",
            "/sitemap",
            "/docs",
            "/openapi/",
            "/nowhere",
        ];
        let prefix = match self.role {
            _ if whole.iter().any(|start| path.starts_with(start)) => "",
            Role::Reader => "/delivery/v1",
            _ => "/management/v1",
        };
        Ask {
            who: self.clone(),
            method: Method::from_bytes(method.as_bytes()).expect("a method"),
            path: format!("{prefix}{path}"),
            headers: Vec::new(),
            body: None,
        }
    }

    /// Reads.
    pub fn get(&self, path: &str) -> Ask {
        self.ask("GET", path)
    }

    /// Creates, or does something that needs no version.
    pub fn post(&self, path: &str, body: Value) -> Ask {
        self.ask("POST", path).json(&body)
    }

    /// Does something to a version of an item.
    pub fn act(&self, path: &str, version: i64) -> Ask {
        self.ask("POST", path).version(version)
    }

    /// Changes a version of an item.
    pub fn patch(&self, path: &str, body: Value, version: i64) -> Ask {
        let body = body.to_string().into_bytes();
        self.ask("PATCH", path)
            .bytes("application/merge-patch+json", body)
            .version(version)
    }

    /// Replaces.
    pub fn put(&self, path: &str, body: Value) -> Ask {
        self.ask("PUT", path).json(&body)
    }

    /// Removes a version of an item.
    pub fn delete(&self, path: &str, version: i64) -> Ask {
        self.ask("DELETE", path).version(version)
    }
}

/// A request that is about to be sent: `.await` sends it.
#[derive(Clone)]
pub struct Ask {
    who: Person,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Ask {
    /// A header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// `If-Match`.
    pub fn version(self, version: i64) -> Self {
        self.header("If-Match", &format!("\"{version}\""))
    }

    /// A JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.bytes("application/json", body.to_string())
    }

    /// A body of some media type; none says nothing about it.
    pub fn bytes(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        if media_type.is_empty() {
            self
        } else {
            self.header("Content-Type", media_type)
        }
    }

    async fn send(self) -> Reply {
        let asked = format!("{} {}", self.method, self.path);
        self.attempt().await.unwrap_or_else(|error| panic!("{asked}: {error}"))
    }

    /// Sends it to a program that may not be there, or may die before it has answered.
    pub async fn attempt(self) -> Result<Reply, Unanswered> {
        let desk = &self.who.desk;
        let address = desk.running().ok_or(Unanswered::NotSent)?;
        let url = format!("{address}{}", self.path);
        let mut request = desk.http().request(self.method.clone(), &url);
        let token = match &self.who.role {
            Role::Staff(email) => Some(desk.token(email).await),
            Role::Bearer(token) => Some(token.clone()),
            Role::Reader | Role::Nobody => None,
        };
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = self.body {
            request = request.body(body);
        }
        let unanswered = |error: reqwest::Error| match error.is_connect() {
            true => Unanswered::NotSent,
            false => Unanswered::Sent(format!("{error:?}")),
        };
        let answer = request.send().await.map_err(unanswered)?;
        let reply = Reply {
            asked: format!("{} {}", self.method, self.path),
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            bytes: match answer.headers().get("content-type") {
                // A stream of events has no end; tests of it speak with it themselves.
                Some(kind) if kind.as_bytes().starts_with(b"text/event-stream") => Vec::new(),
                _ => answer.bytes().await.map_err(unanswered)?.to_vec(),
            },
            json: Value::Null,
            again: false,
        }
        .read();
        contract::check(&self.method, &self.path, &desk.public_url(address), &reply);
        Ok(reply)
    }
}

/// No whole answer came.
#[derive(Debug)]
pub enum Unanswered {
    /// Nobody was there.
    NotSent,
    /// It may have been done or not.
    Sent(String),
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSent => write!(f, "nobody was there"),
            Self::Sent(error) => write!(f, "unanswered: {error}"),
        }
    }
}

impl IntoFuture for Ask {
    type Output = Reply;
    type IntoFuture = Pin<Box<dyn Future<Output = Reply>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Method and path of the request.
    pub asked: String,
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub bytes: Vec<u8>,
    /// The body as JSON, null when it is none.
    pub json: Value,
    /// Whether the same was asked before, and not answered.
    pub again: bool,
}

impl Reply {
    fn read(mut self) -> Self {
        let media_type = self.header("content-type");
        if media_type.contains("json") {
            self.json = serde_json::from_slice(&self.unpacked()).unwrap_or_default();
        }
        self
    }

    /// The body without its content coding.
    pub fn unpacked(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        match self.header("content-encoding").as_str() {
            "br" => brotli::BrotliDecompress(&mut &*self.bytes, &mut plain).expect("brotli"),
            "gzip" => {
                _ = flate2::read::GzDecoder::new(&*self.bytes)
                    .read_to_end(&mut plain)
                    .expect("gzip")
            }
            _ => plain.clone_from(&self.bytes),
        }
        plain
    }

    /// The status must be this one.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.body());
        self
    }

    /// It must be a refusal with this status and code.
    #[track_caller]
    pub fn refuses(self, status: u16, code: &str) -> Self {
        assert_eq!(
            (self.status, self.json["code"].as_str()),
            (status, Some(code)),
            "{}: {}",
            self.asked,
            self.body()
        );
        self
    }

    /// It must be a 422 that points at this place.
    #[track_caller]
    pub fn points_at(self, pointer: &str) -> Self {
        let reply = self.refuses(422, "validation_failed");
        let places: Vec<_> = reply
            .list("/errors")
            .iter()
            .map(|error| error["pointer"].clone())
            .collect();
        assert!(places.contains(&pointer.into()), "{}: {}", reply.asked, reply.body());
        reply
    }

    /// The body as text.
    pub fn body(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into()
    }

    /// A header, empty when there is none.
    pub fn header(&self, name: &str) -> String {
        let value = self
            .headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        value.unwrap_or_default()
    }

    /// Text at a JSON pointer.
    #[track_caller]
    pub fn text(&self, pointer: &str) -> String {
        let value = self.json.pointer(pointer).and_then(Value::as_str);
        value
            .unwrap_or_else(|| panic!("{}: no text at {pointer} in {}", self.asked, self.body()))
            .to_owned()
    }

    /// A list at a JSON pointer.
    #[track_caller]
    pub fn list(&self, pointer: &str) -> &[Value] {
        let value = self.json.pointer(pointer).and_then(Value::as_array);
        value.unwrap_or_else(|| panic!("{}: no list at {pointer} in {}", self.asked, self.body()))
    }

    /// One property of every item of a page.
    #[track_caller]
    pub fn each(&self, property: &str) -> Vec<String> {
        let text = |item: &Value| item[property].as_str().unwrap_or_default().to_owned();
        self.list("/data").iter().map(text).collect()
    }

    /// The item's id.
    #[track_caller]
    pub fn id(&self) -> String {
        self.text("/id")
    }

    /// The item's version.
    #[track_caller]
    pub fn version(&self) -> i64 {
        self.json["version"]
            .as_i64()
            .unwrap_or_else(|| panic!("{}: no version in {}", self.asked, self.body()))
    }
}

impl Index<&str> for Reply {
    type Output = Value;

    fn index(&self, property: &str) -> &Value {
        &self.json[property]
    }
}
