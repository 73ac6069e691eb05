//! The mails of a review: fixed words in two languages, as plain text. Where there is no mail none is queued.

use diesel::prelude::*;
use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::app::State;
use crate::articles::compose::article_url;
use crate::articles::store::ArticleRow;
use crate::auth::Role;
use crate::config::Config;
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::mail::{Mailer, Sent};
use crate::outbox::Row;
use crate::schema::{articles, editors, publications, sections};
use crate::site;
use crate::types::Id;

/// The outbox's name for these mails.
pub const KIND: &str = "review";

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Review was asked for.
    Submitted,
    /// It was sent back.
    Rejected,
    /// It was published.
    Published,
}

/// What the outbox keeps until the mail is sent: one recipient. The address is looked up when it is sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Notice {
    /// What happened.
    pub event: Event,
    /// To which article.
    pub article_id: Id,
    /// Whom it concerns.
    pub recipient: Id,
    /// Name of who did it.
    pub by: String,
    /// What they said.
    pub note: Option<String>,
}

/// Everything a mail is made of, as it is at the time of sending.
struct Words {
    notice: Notice,
    to: String,
    vietnamese: bool,
    site: String,
    title: String,
    live: bool,
    url: Option<String>,
}

/// Sends one queued mail; it is dropped when it has lost its meaning or its recipient may not know of it any more.
pub async fn send(app: &State, row: &Row) -> Result<Sent> {
    let Some(mailer) = &app.mail else {
        return Ok(Sent::Later("mail is not set up here".into()));
    };
    let notice: Notice = serde_json::from_str(&row.payload).map_err(Problem::internal)?;
    let state = app.clone();
    let Some(words) = app.db.read(move |conn| words(conn, &state.config, notice)).await? else {
        return Ok(Sent::Accepted);
    };
    match message(mailer, &words, row) {
        Ok(message) => Ok(mailer.send(message).await),
        Err(_) => Ok(Sent::Refused("the mail could not be composed".into())),
    }
}

fn words(conn: &mut Conn, config: &Config, notice: Notice) -> Result<Option<Words>> {
    let row: Option<ArticleRow> = articles::table.find(&notice.article_id).first(conn).optional()?;
    let recipient: Option<(String, String, bool)> = editors::table
        .find(&notice.recipient)
        .select((editors::email, editors::role, editors::disabled))
        .first(conn)
        .optional()?;
    let (Some(row), Some((to, role, false))) = (row, recipient) else {
        return Ok(None);
    };
    let edits = Role::parse(&role).is_some_and(|role| role >= Role::Editor);
    let wanted = match notice.event {
        Event::Submitted => edits && row.review == "requested",
        Event::Rejected => edits || row.owner_id == notice.recipient,
        Event::Published => row.is_live() && (edits || row.owner_id == notice.recipient),
    };
    if !wanted || row.trashed.is_some() {
        return Ok(None);
    }
    let site = site::current(conn)?;
    let known = site.languages.iter().find(|tag| matches!(tag.as_str(), "vi" | "en"));
    let vietnamese = known.is_some_and(|tag| tag == "vi");
    let url = match notice.event {
        Event::Published => public_url(conn, config, &row.id)?,
        _ => None,
    };
    Ok(Some(Words {
        to,
        vietnamese,
        site: site.name,
        title: row.title.clone(),
        live: row.is_live(),
        url,
        notice,
    }))
}

/// Where readers find it.
fn public_url(conn: &mut Conn, config: &Config, id: &Id) -> Result<Option<String>> {
    let found: Option<(String, String, Option<Id>)> = publications::table
        .find(id)
        .select((publications::slug, publications::language, publications::section_id))
        .first(conn)
        .optional()?;
    let Some((slug, language, section)) = found else {
        return Ok(None);
    };
    let section: Option<String> = match section {
        Some(section) => sections::table
            .find(section)
            .select(sections::slug)
            .first(conn)
            .optional()?,
        None => None,
    };
    Ok(Some(article_url(config, section.as_deref(), &slug, id, &language)))
}

fn message(mailer: &Mailer, words: &Words, row: &Row) -> Result<Message, Box<dyn std::error::Error + Send + Sync>> {
    // RFC 3834: no holiday notice shall answer this.
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let message = Message::builder()
        .from(mailer.from.clone())
        .to(Mailbox::new(None, words.to.parse()?))
        .subject(words.subject())
        .message_id(Some(format!("<{}@{}>", row.id, mailer.from.email.domain())))
        .raw_header(HeaderValue::new(automatic, "auto-generated".into()))
        .header(ContentType::TEXT_PLAIN)
        .body(words.text())?;
    Ok(message)
}

impl Words {
    fn pick<'t>(&self, vi: &'t str, en: &'t str) -> &'t str {
        if self.vietnamese { vi } else { en }
    }

    fn subject(&self) -> String {
        let what = match self.notice.event {
            Event::Submitted => self.pick("Chờ duyệt", "To review"),
            Event::Rejected => self.pick("Cần sửa", "Sent back"),
            Event::Published => self.pick("Đã đăng", "Published"),
        };
        format!("[{}] {what}: {}", self.site, self.title)
    }

    fn text(&self) -> String {
        let what = match (self.notice.event, self.live) {
            (Event::Submitted, false) => self.pick("xin duyệt bài", "asks for a review of"),
            (Event::Submitted, true) => self.pick("xin duyệt bản sửa của bài", "asks for a review of the edits of"),
            (Event::Rejected, false) => self.pick("trả lại bài", "sent back"),
            (Event::Rejected, true) => self.pick("trả lại bản sửa của bài", "sent back the edits of"),
            (Event::Published, _) => self.pick("đã đăng bài", "published"),
        };
        let mut parts = vec![format!("{} {what}:\n{}", self.notice.by, self.title)];
        if let Some(note) = &self.notice.note {
            parts.push(format!("{}\n{note}", self.pick("Lời nhắn:", "The note:")));
        }
        parts.extend(self.url.clone());
        parts.push(format!(
            "{} {}",
            self.pick("Mã bài:", "Article:"),
            self.notice.article_id
        ));
        parts.join("\n\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_has_its_words_in_both_languages() {
        let mut seen = std::collections::BTreeSet::new();
        for (event, live) in [
            (Event::Submitted, false),
            (Event::Submitted, true),
            (Event::Rejected, false),
            (Event::Rejected, true),
            (Event::Published, true),
        ] {
            for vietnamese in [true, false] {
                let words = Words {
                    notice: Notice {
                        event,
                        article_id: Id::nil(),
                        recipient: Id::nil(),
                        by: "An".into(),
                        note: Some("Hai\ndòng".into()),
                    },
                    to: "b@example.vn".into(),
                    vietnamese,
                    site: "Tin".into(),
                    title: "Lũ".into(),
                    live,
                    url: None,
                };
                let text = words.text();
                assert!(
                    text.starts_with("An ") && text.contains(":\nLũ\n") && text.contains("\nHai\ndòng\n"),
                    "{text}"
                );
                assert!(words.subject().starts_with("[Tin] ") && words.subject().ends_with(": Lũ"));
                assert!(seen.insert(text), "twice the same words");
            }
        }
    }
}
