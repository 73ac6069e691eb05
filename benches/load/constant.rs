//! What everything is compared with: an actix handler that returns constant bytes, in a process of its own with the same
//! workers and connection settings as newsdesk. The bench runs itself again with `--constant` for it.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{App, HttpResponse, HttpServer, web};

use crate::client::Answer;
use crate::process::{Process, free_address};

/// Starts a handler that answers everything with these bytes.
pub fn start(folder: &Path, answer: &Answer) -> Result<Process, String> {
    let body = folder.join("constant-body");
    std::fs::write(&body, &answer.body).map_err(|error| format!("{}: {error}", body.display()))?;
    let address = free_address()?;
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(this);
    command
        .arg("--constant")
        .args([address.to_string(), answer.status.to_string()])
        .arg(&body)
        .args([answer.header("content-type"), answer.header("content-encoding")])
        .stdin(Stdio::piped());
    Process::start(&mut command, address, "/", answer.status)
}

/// The process: address, status, file of the body, media type, coding. Ends with the standard input.
pub fn serve(arguments: &[String]) -> Result<(), String> {
    let [address, status, body, media_type, coding] = arguments else {
        return Err("--constant takes five values".into());
    };
    let address: SocketAddr = address.parse().map_err(|error| format!("{error}"))?;
    let status: StatusCode = status.parse().map_err(|error| format!("{error}"))?;
    let body = Bytes::from(std::fs::read(body).map_err(|error| error.to_string())?);
    let headers = [named(CONTENT_TYPE, media_type)?, named(CONTENT_ENCODING, coding)?];
    // Nobody is left behind when the bench is killed.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let server = HttpServer::new(move || {
        let (body, headers) = (body.clone(), headers.clone());
        App::new().default_service(web::to(move || {
            let mut response = HttpResponse::build(status);
            for header in headers.iter().flatten() {
                response.insert_header(header.clone());
            }
            std::future::ready(response.body(body.clone()))
        }))
    })
    .client_request_timeout(Duration::from_secs(30))
    .keep_alive(Duration::from_secs(75))
    .tcp_nodelay(true)
    .bind(address)
    .map_err(|error| error.to_string())?
    .run();
    let ran = actix_web::rt::System::new().block_on(server);
    ran.map_err(|error| error.to_string())
}

/// A header, or none when it has no value.
fn named(name: HeaderName, value: &str) -> Result<Option<(HeaderName, HeaderValue)>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    let value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
    Ok(Some((name, value)))
}
