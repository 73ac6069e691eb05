//! `newsdesk doctor`: whether an installation is sound. It looks at the configuration, the database, the storage and the
//! integrity of what is kept, says what it found in one line each, and changes nothing but the schema, which every
//! command brings up to date.

use bytes::Bytes;
use diesel::prelude::*;

use crate::audit::chain::{self, Verdict};
use crate::auth::editors;
use crate::config::Config;
use crate::db::{self, Conn, Db};
use crate::error::Result as Answered;
use crate::literals::Live;
use crate::media::{MediaStore, new_key};
use crate::schema::{publication_docs, publications};

/// What was found so far.
#[derive(Default)]
struct Report {
    failed: usize,
}

impl Report {
    fn ok(&mut self, what: &str, words: &str) {
        println!("ok    {what}: {words}");
    }

    fn note(&mut self, what: &str, words: &str) {
        println!("note  {what}: {words}");
    }

    fn fail(&mut self, what: &str, words: &str) {
        self.failed += 1;
        for line in words.lines() {
            println!("FAIL  {what}: {line}");
        }
    }
}

/// Looks at everything. The error says how many checks failed.
pub fn run(settings: Result<Config, String>) -> Result<(), String> {
    let mut report = Report::default();
    match settings {
        Err(errors) => report.fail("configuration", &errors),
        Ok(config) => {
            report.ok("configuration", "every setting can be used");
            if config.smtp_url.is_none() {
                report.note("mail", "SMTP_URL is not set: no mail is sent");
            }
            crate::cli::block_on(examine(&config, &mut report))?;
        }
    }
    match report.failed {
        0 => Ok(()),
        1 => Err("1 check failed".into()),
        failed => Err(format!("{failed} checks failed")),
    }
}

async fn examine(config: &Config, report: &mut Report) {
    check_media(config, report).await;
    let schema = if config.auto_migrate {
        db::migrate(&config.database).map(|_| ())
    } else {
        db::check_schema(&config.database)
    };
    let opened = schema.and_then(|()| Db::open(&config.database));
    match opened {
        Err(error) => report.fail("database", &error),
        Ok(db) => {
            report.ok("database", "it opens, and its schema is up to date");
            check_database(config, report);
            check_rows(&db, report).await;
            check_audit(&db, report).await;
        }
    }
}

/// Writes a file, reads it back, removes it.
async fn check_media(config: &Config, report: &mut Report) {
    let tried = async {
        let store = MediaStore::open(&config.media_url)?;
        let (key, bytes) = (new_key("tmp"), Bytes::from_static(b"newsdesk doctor"));
        let in_words = |error: crate::media::MediaError| error.to_string();
        store.put(&key, bytes.clone()).await.map_err(in_words)?;
        let read = store.get(&key, None).await.map_err(in_words)?;
        store.delete(&key).await.map_err(in_words)?;
        match read {
            Some(object) if object.bytes == bytes => Ok(()),
            _ => Err("what was written could not be read back".to_owned()),
        }
    };
    match tried.await {
        Ok(()) => report.ok("media", "a file can be written, read and removed"),
        Err(error) => report.fail("media", &format!("{}: {error}", config.media_url)),
    }
}

/// What the database itself says.
fn check_database(config: &Config, report: &mut Report) {
    match db::check_integrity(&config.database) {
        Err(error) => report.fail("integrity", &error),
        Ok(faults) if faults.is_empty() => {
            report.ok(
                "integrity",
                "the database is whole, and every reference leads somewhere",
            );
        }
        Ok(faults) => report.fail("integrity", &faults.join("\n")),
    }
}

/// What must hold between rows.
async fn check_rows(db: &Db, report: &mut Report) {
    match db
        .read(|conn| Ok((texts_missing(conn)?, editors::working_admins(conn)?)))
        .await
    {
        Err(problem) => report.fail("integrity", &problem.to_string()),
        Ok((missing, admins)) => {
            match missing {
                0 => report.ok("stories", "every published story has its text"),
                _ => report.fail("stories", &format!("{missing} published stories lack their text")),
            }
            if admins == 0 {
                report.note(
                    "editors",
                    "no admin can sign in: newsdesk editor create --role admin makes one",
                );
            }
        }
    }
}

fn texts_missing(conn: &mut Conn) -> Answered<i64> {
    Ok(publications::table
        .left_join(publication_docs::table.on(publication_docs::article_id.eq(publications::article_id)))
        .filter(publications::state.eq(Live))
        .filter(publication_docs::article_id.nullable().is_null())
        .count()
        .get_result(conn)?)
}

async fn check_audit(db: &Db, report: &mut Report) {
    let verdict = match db.read(chain::verify).await {
        Err(problem) => return report.fail("audit", &problem.to_string()),
        Ok(verdict) => verdict,
    };
    let Verdict {
        lines,
        last,
        head,
        waiting,
        faults,
    } = verdict;
    if faults.is_empty() {
        let words = match lines {
            0 => "no line is sealed yet".to_owned(),
            _ => format!("{lines} lines hang together, up to number {last} with hash {head}"),
        };
        report.ok("audit", &words);
    } else {
        report.fail("audit", &faults.join("\n"));
    }
    if waiting > 0 {
        report.note(
            "audit",
            &format!("{waiting} lines wait for their seal, which newsdesk serve sets"),
        );
    }
}
