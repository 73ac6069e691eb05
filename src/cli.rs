//! The command line: one binary, few verbs, deliberate exit codes (0 done, 1 failed, 2 wrong usage).

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::app::App;
use crate::auth::{Role, editors};
use crate::config::Config;
use crate::{db, demo, doctor, media, openapi, server, telemetry};

/// A headless CMS for news sites.
#[derive(Parser)]
#[command(name = "newsdesk", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API.
    Serve,
    /// Serve a sample newsroom, made on first start in the folder demo-data.
    Demo,
    /// Bring the database's schema up to date.
    Migrate,
    /// Look whether everything is sound: configuration, database, storage, integrity. Exit 1 when something is not.
    Doctor,
    /// Work with editors' accounts.
    Editor {
        #[command(subcommand)]
        command: EditorCommand,
    },
    /// Look after the files of images.
    Media {
        #[command(subcommand)]
        command: MediaCommand,
    },
    /// Write the OpenAPI documents into the folder openapi, or compare them with --check.
    Openapi {
        /// Compare instead of writing; exit 1 on a difference.
        #[arg(long)]
        check: bool,
    },
}

#[derive(Subcommand)]
enum MediaCommand {
    /// Compare rows and files: what is missing, has another size, or is nobody's. Exit 1 when something is not right.
    Check {
        /// Read every original and compare its checksum with the one from its upload.
        #[arg(long)]
        checksums: bool,
        /// Tell it as JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// Copy every file to another store and read it back there. It may be stopped and run again, and the server may run.
    Move {
        /// Where to: file://FOLDER or s3://BUCKET/PREFIX. TO_AWS_… variables are for this store alone.
        to: String,
        /// Where from.
        #[arg(long, value_name = "URL", help = "Where from [default: MEDIA_URL]")]
        from: Option<String>,
    },
}

#[derive(Subcommand)]
enum EditorCommand {
    /// Create an editor. The password is read from standard input, or asked for at a terminal.
    Create {
        /// E-mail address to sign in with.
        #[arg(long)]
        email: String,
        /// Name that colleagues see.
        #[arg(long)]
        name: String,
        /// writer, editor or admin.
        #[arg(long, value_parser = role)]
        role: Role,
    },
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "must be writer, editor or admin".into())
}

/// Runs the command that was asked for.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Printing help to a closed pipe is no failure worth telling.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(2)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            for line in message.lines() {
                eprintln!("newsdesk: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Openapi { check } => openapi_files(check),
        Command::Serve => {
            let config = settings(&|_| None)?;
            telemetry::start(&config.log)?;
            serve(config, |_| {})
        }
        Command::Demo => demo::run(),
        Command::Doctor => doctor::run(settings(&|_| None)),
        Command::Migrate => {
            let config = settings(&|_| None)?;
            let run = db::migrate(&config.database)?;
            match run.len() {
                0 => println!("The schema is up to date."),
                _ => run.iter().for_each(|name| println!("ran {name}")),
            }
            Ok(())
        }
        Command::Media { command } => {
            let app = App::open(settings(&|_| None)?)?;
            match command {
                MediaCommand::Check { checksums, json } => {
                    block_on(media::check::run(&app, media::check::Asked { checksums, json }))?
                }
                MediaCommand::Move { to, from } => {
                    let from = from.unwrap_or_else(|| app.config.media_url.clone());
                    block_on(media::moving::run(&app, &from, &to))?
                }
            }
        }
        Command::Editor {
            command: EditorCommand::Create { email, name, role },
        } => {
            let app = App::open(settings(&|_| None)?)?;
            let password = password()?;
            let created = block_on(editors::create_from_command_line(&app, &email, &name, role, &password))?;
            let id = created.map_err(|problem| editors::in_words(&problem))?;
            println!("created {} {email} ({id})", role.as_str());
            Ok(())
        }
    }
}

/// Settings from the environment, then `.env`, then what the command itself sets.
pub fn settings(own: &dyn Fn(&str) -> Option<String>) -> Result<Config, String> {
    match dotenvy::dotenv() {
        Ok(_) => {}
        Err(error) if error.not_found() => {}
        Err(error) => return Err(format!(".env cannot be read: {error}")),
    }
    Config::read(&|name| own(name).or_else(|| std::env::var(name).ok()))
}

/// Opens everything and serves.
pub fn serve(config: Config, ready: impl FnOnce(&Config)) -> Result<(), String> {
    raise_file_limit();
    let app = App::open(config)?;
    block_on(server::serve(app, ready))?
}

/// As many open files as the system allows: each connection is one, and most systems begin with 1,024.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, files = limit.current, "the limit of open files cannot be raised");
    }
}

/// Runs async code on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T, String> {
    Ok(actix_web::rt::System::new().block_on(future))
}

fn password() -> Result<String, String> {
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password("Password: ")
            .map_err(|error| format!("The password cannot be read: {error}"));
    }
    let mut text = String::new();
    std::io::stdin()
        .take(4096)
        .read_to_string(&mut text)
        .map_err(|error| format!("The password cannot be read: {error}"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn openapi_files(check: bool) -> Result<(), String> {
    let folder = Path::new("openapi");
    let mut differing = Vec::new();
    for name in openapi::NAMES {
        let text = openapi::document(name).unwrap_or_default();
        let path = folder.join(name);
        if check {
            if std::fs::read_to_string(&path).is_ok_and(|kept| kept == text) {
                continue;
            }
            differing.push(path.display().to_string());
        } else {
            std::fs::create_dir_all(folder).map_err(|error| format!("openapi/ cannot be made: {error}"))?;
            std::fs::write(&path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        }
    }
    if differing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} differs from the program: run newsdesk openapi and commit the result",
        differing.join(", ")
    ))
}
