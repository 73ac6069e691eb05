//! The mails about an article, of its review and its set times: fixed words in two languages, as plain text. Where there
//! is no mail none is queued.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::app::State;
use crate::articles::compose::article_url;
use crate::articles::publication::Card;
use crate::articles::store::ArticleRow;
use crate::auth::Role;
use crate::config::Config;
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::mail::Sent;
use crate::outbox::Row;
use crate::schedules::ScheduleAction;
use crate::schema::{articles, editors, publications, schedules, sections};
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
    /// It was published at its set time.
    PublishedOnTime,
    /// It could not be published at its set time.
    PublicationFailed,
    /// It could not be withdrawn at its set time.
    WithdrawalFailed,
}

impl Event {
    /// The plan that failed.
    fn failed(self) -> Option<ScheduleAction> {
        match self {
            Self::PublicationFailed => Some(ScheduleAction::Publish),
            Self::WithdrawalFailed => Some(ScheduleAction::Unpublish),
            _ => None,
        }
    }

    fn is_published(self) -> bool {
        matches!(self, Self::Published | Self::PublishedOnTime)
    }
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
    /// Name of who did it; empty for what happened by itself.
    pub by: String,
    /// What they said, or what was wrong.
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
    Ok(mailer
        .send_plain(&row.id, &words.to, words.subject(), words.text())
        .await)
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
    let mine = edits || row.owner_id == notice.recipient;
    let wanted = match notice.event {
        Event::Submitted => edits && row.review == "requested",
        Event::Rejected => mine,
        Event::Published | Event::PublishedOnTime => mine && row.is_live(),
        Event::PublicationFailed => mine && still_failed(conn, &row.id, ScheduleAction::Publish)?,
        Event::WithdrawalFailed => mine && still_failed(conn, &row.id, ScheduleAction::Unpublish)?,
    };
    if !wanted || row.trashed.is_some() {
        return Ok(None);
    }
    let site = site::current(conn)?;
    let vietnamese = site.writes_vietnamese();
    let public = match notice.event.is_published() {
        true => public(conn, config, &row.id)?,
        false => None,
    };
    let (title, url) = match public {
        Some((title, url)) => (title, Some(url)),
        None => (row.title.clone(), None),
    };
    Ok(Some(Words {
        to,
        vietnamese,
        site: site.name,
        title,
        live: row.is_live(),
        url,
        notice,
    }))
}

/// Whether a plan failed and nobody has done anything about it since.
fn still_failed(conn: &mut Conn, id: &Id, action: ScheduleAction) -> Result<bool> {
    let failed: i64 = schedules::table
        .find((id, action.as_str()))
        .filter(schedules::failed_ms.is_not_null())
        .count()
        .get_result(conn)?;
    Ok(failed > 0)
}

/// What readers see it as, and where: the working copy may have moved on.
fn public(conn: &mut Conn, config: &Config, id: &Id) -> Result<Option<(String, String)>> {
    let found: Option<(String, String, Option<Id>, String)> = publications::table
        .find(id)
        .select((
            publications::slug,
            publications::language,
            publications::section_id,
            publications::card,
        ))
        .first(conn)
        .optional()?;
    let Some((slug, language, section, card)) = found else {
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
    let card: Card = serde_json::from_str(&card).map_err(Problem::internal)?;
    Ok(Some((
        card.title,
        article_url(config, section.as_deref(), &slug, id, &language),
    )))
}

impl Words {
    fn pick<'t>(&self, vi: &'t str, en: &'t str) -> &'t str {
        if self.vietnamese { vi } else { en }
    }

    fn subject(&self) -> String {
        let what = match self.notice.event {
            Event::Submitted => self.pick("Chờ duyệt", "To review"),
            Event::Rejected => self.pick("Cần sửa", "Sent back"),
            Event::Published | Event::PublishedOnTime => self.pick("Đã đăng", "Published"),
            Event::PublicationFailed => self.pick("Không đăng được theo lịch", "Not published on time"),
            Event::WithdrawalFailed => self.pick("Không gỡ được theo lịch", "Not withdrawn on time"),
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
            (Event::PublishedOnTime, _) => self.pick(
                "đã hẹn giờ đăng, và bài đã lên trang",
                "planned it, and now it is published",
            ),
            (Event::PublicationFailed, _) => {
                self.pick("Bài đã hẹn giờ mà không đăng được", "Planned and not published")
            }
            (Event::WithdrawalFailed, _) => self.pick(
                "Bài đã hẹn giờ mà không gỡ được",
                "Planned to be withdrawn, and still public",
            ),
        };
        let opening = format!("{} {what}:\n{}", self.notice.by, self.title);
        let mut parts = vec![opening.trim_start().to_owned()];
        if let Some(note) = &self.notice.note {
            let about = match self.notice.event.failed() {
                None => self.pick("Lời nhắn:", "The note:"),
                Some(_) => self.pick("Lý do:", "The reason:"),
            };
            parts.push(format!("{about}\n{note}"));
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
            (Event::PublishedOnTime, true),
            (Event::PublicationFailed, false),
            (Event::WithdrawalFailed, true),
        ] {
            for vietnamese in [true, false] {
                let words = Words {
                    notice: Notice {
                        event,
                        article_id: Id::nil(),
                        recipient: Id::nil(),
                        by: event.failed().map_or("An", |_| "").into(),
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
                    text.starts_with("An ") == event.failed().is_none()
                        && text.contains(":\nLũ\n")
                        && text.contains("\nHai\ndòng\n"),
                    "{text}"
                );
                assert!(words.subject().starts_with("[Tin] ") && words.subject().ends_with(": Lũ"));
                assert!(seen.insert(text), "twice the same words");
            }
        }
    }
}
