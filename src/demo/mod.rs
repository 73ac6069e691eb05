//! `newsdesk demo`: a sample newsroom, made on first start, served, and where to look.

mod draw;
mod seed;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use rand::Rng;

use crate::app::App;
use crate::auth::editors;
use crate::cli;
use crate::config::Config;
use crate::error::Result as Outcome;
use crate::telemetry;

/// Where the demo keeps its files.
const FOLDER: &str = "demo-data";
/// Where they are made; renamed when they are complete, so that a half-made newsroom is never served.
const STAGING: &str = "demo-data.new";
/// The address that the demo's sign-in uses.
const EMAIL: &str = "demo@newsdesk.example";

/// Makes the newsroom if there is none, prints where to look, serves.
pub fn run() -> Result<(), String> {
    let made = !Path::new(FOLDER).exists();
    if made {
        make()?;
    }
    let config = settings(FOLDER)?;
    telemetry::start(&config.log)?;
    let password = sign_in(&config)?;
    cli::serve(config, |config| {
        // Without a terminal or with a closed pipe there is nobody to tell.
        let _ = greet(config, &password, made);
    })
}

/// The demo's own database and media folder; everything else is set as usual.
fn settings(folder: &str) -> Result<Config, String> {
    let bind = std::env::var("BIND").unwrap_or_else(|_| free_address().to_string());
    cli::settings(&|name| match name {
        "DATABASE_URL" => Some(format!("sqlite://{folder}/newsdesk.db")),
        "MEDIA_URL" => Some(format!("file://{folder}/media")),
        "SITE_NAME" => Some("An Lĩnh Online".into()),
        "BIND" => Some(bind.clone()),
        "LOG" => Some(std::env::var("LOG").unwrap_or_else(|_| "warn".into())),
        _ => None,
    })
}

/// Port 8080, or any free one when that is taken.
fn free_address() -> SocketAddr {
    let usual = SocketAddr::from(([127, 0, 0, 1], 8080));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    match TcpListener::bind(usual) {
        Ok(_) => usual,
        Err(_) => any,
    }
}

fn make() -> Result<(), String> {
    let staging = Path::new(STAGING);
    if staging.exists() {
        std::fs::remove_dir_all(staging).map_err(|error| format!("{STAGING} cannot be removed: {error}"))?;
    }
    let app = App::open(settings(STAGING)?)?;
    cli::block_on(async {
        crate::site::prepare(&app).await?;
        let admin = make_admin(&app).await?;
        seed::newsroom(&app, admin).await
    })?
    .map_err(|problem| format!("The sample newsroom cannot be made: {problem}"))?;
    drop(app);
    std::fs::rename(staging, FOLDER).map_err(|error| format!("{STAGING} cannot be renamed to {FOLDER}: {error}"))
}

async fn make_admin(app: &App) -> Outcome<crate::types::Id> {
    editors::create_from_command_line(app, EMAIL, "Trần Thu Hà", crate::auth::Role::Admin, &new_password()).await
}

/// 24 random letters and digits in groups, easy to copy by eye.
fn new_password() -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut bytes = [0u8; 24];
    rand::rng().fill_bytes(&mut bytes);
    let letters: Vec<char> = bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect();
    letters
        .chunks(6)
        .map(|group| group.iter().collect::<String>())
        .collect::<Vec<_>>()
        .join("-")
}

/// A new password for this run; the old one is known to nobody any more.
fn sign_in(config: &Config) -> Result<String, String> {
    let app = App::open(config.clone())?;
    let password = new_password();
    let outcome = cli::block_on(editors::set_password(&app, EMAIL, &password))?;
    outcome.map_err(|problem| format!("The demo's sign-in cannot be made: {}", editors::in_words(&problem)))?;
    Ok(password)
}

fn greet(config: &Config, password: &str, made: bool) -> std::io::Result<()> {
    let url = &config.public_url;
    let mut out = std::io::stdout().lock();
    writeln!(out)?;
    writeln!(
        out,
        "newsdesk demo: {} sample newsroom in {FOLDER}/, served at {url}",
        if made { "a new" } else { "the" }
    )?;
    writeln!(out)?;
    writeln!(out, "Paste one of these into another terminal:")?;
    writeln!(out, "  curl -s '{url}/delivery/v1/articles?limit=3'")?;
    writeln!(
        out,
        "  curl -s '{url}/delivery/v1/articles/{}?include=html'",
        seed::first_slug()
    )?;
    writeln!(
        out,
        "  curl -s '{url}/management/v1/auth/login' -H 'Content-Type: application/json' -d '{{\"email\":\"{EMAIL}\",\"password\":\"{password}\"}}'"
    )?;
    writeln!(out)?;
    writeln!(out, "API documentation: {url}/docs/")?;
    writeln!(out, "Editor's sign-in, made for this run: {EMAIL}  {password}")?;
    writeln!(out)?;
    writeln!(out, "Stop with Ctrl-C. To begin anew, delete {FOLDER}/.")?;
    out.flush()
}
