//! The mail that rights of images end: fixed words in two languages, to the editors and to who uploaded them. One mail
//! tells of all that end at the same time. Where there is no mail none is queued.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::app::State;
use crate::articles::compose::article_url;
use crate::articles::publication::Card;
use crate::auth::Role;
use crate::config::Config;
use crate::db::{Conn, Tx};
use crate::error::{Problem, Result};
use crate::literals::Live;
use crate::mail::Sent;
use crate::outbox::{self, Row};
use crate::schema::{editors, images, publication_images, publications, sections};
use crate::site;
use crate::types::{Id, Time};

/// The outbox's name for these mails.
pub const KIND: &str = "image_rights";

/// Editors that are told.
const MOST: i64 = 20;
/// Live stories that are named for an image.
const STORIES: i64 = 10;

/// Which of the two is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The right ends soon.
    Expiring,
    /// It has ended.
    Expired,
}

/// What the outbox keeps until the mail is sent: one recipient. Everything else is looked up when it is sent.
#[derive(Debug, Serialize, Deserialize)]
struct Notice {
    stage: Stage,
    images: Vec<(Id, Time)>,
    recipient: Id,
}

/// Queues a mail for each of the editors (of the admins, where there are no others) about all of these images, and for
/// each other uploader about theirs.
pub fn tell(tx: &mut Tx<'_>, stage: Stage, ending: &[(Id, Time, Id)]) -> Result<()> {
    if ending.is_empty() {
        return Ok(());
    }
    let editors = editors_of(tx.conn)?;
    let mut uploaders: Vec<&Id> = ending.iter().map(|(.., uploader)| uploader).collect();
    uploaders.sort();
    uploaders.dedup();
    let others = uploaders.into_iter().filter(|uploader| !editors.contains(uploader));
    let all = editors.iter().map(|editor| (editor, None));
    for (recipient, only) in all.chain(others.map(|uploader| (uploader, Some(uploader)))) {
        let mine = ending
            .iter()
            .filter(|(.., uploader)| only.is_none_or(|only| only == uploader));
        let notice = Notice {
            stage,
            images: mine.map(|(image, end, _)| (image.clone(), *end)).collect(),
            recipient: recipient.clone(),
        };
        let payload = serde_json::to_string(&notice).map_err(Problem::internal)?;
        outbox::queue(tx, KIND, &payload, Id::new().as_str())?;
    }
    Ok(())
}

fn editors_of(conn: &mut Conn) -> Result<Vec<Id>> {
    for role in [Role::Editor, Role::Admin] {
        let found: Vec<Id> = editors::table
            .filter(editors::role.eq(role.as_str()).and(editors::disabled.eq(false)))
            .order(editors::id)
            .select(editors::id)
            .limit(MOST)
            .load(conn)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// An image as the mail tells of it.
struct Told {
    filename: String,
    end: Time,
    stories: Vec<(String, String)>,
    id: Id,
}

/// Everything a mail is made of, as it is at the time of sending.
struct Words {
    to: String,
    vietnamese: bool,
    site: String,
    stage: Stage,
    images: Vec<Told>,
}

/// Sends one queued mail. Images that are gone or have another end by now are left out; without any it is dropped.
pub async fn send(app: &State, row: &Row) -> Result<Sent> {
    let Some(mailer) = &app.mail else {
        return Ok(Sent::Later("mail is not set up here".into()));
    };
    let notice: Notice = serde_json::from_str(&row.payload).map_err(Problem::internal)?;
    let state = app.clone();
    let Some(words) = app.db.read(move |conn| words(conn, &state.config, &notice)).await? else {
        return Ok(Sent::Accepted);
    };
    Ok(mailer
        .send_plain(&row.id, &words.to, words.subject(), words.text())
        .await)
}

fn words(conn: &mut Conn, config: &Config, notice: &Notice) -> Result<Option<Words>> {
    let to: Option<String> = editors::table
        .find(&notice.recipient)
        .filter(editors::disabled.eq(false))
        .select(editors::email)
        .first(conn)
        .optional()?;
    let mut told = Vec::new();
    for (image, end) in &notice.images {
        let filename: Option<String> = images::table
            .find(image)
            .filter(images::deleted_ms.is_null().and(images::rights_expire_ms.eq(end.ms())))
            .select(images::filename)
            .first(conn)
            .optional()?;
        if let Some(filename) = filename {
            told.push(Told {
                filename,
                end: *end,
                stories: stories_of(conn, config, image)?,
                id: image.clone(),
            });
        }
    }
    let Some(to) = to.filter(|_| !told.is_empty()) else {
        return Ok(None);
    };
    let site = site::current(conn)?;
    Ok(Some(Words {
        to,
        vietnamese: site.writes_vietnamese(),
        site: site.name,
        stage: notice.stage,
        images: told,
    }))
}

/// Titles and addresses of the live stories that show an image, as readers know them.
fn stories_of(conn: &mut Conn, config: &Config, image: &Id) -> Result<Vec<(String, String)>> {
    type Shown = (Id, String, String, Option<Id>, String);
    let rows: Vec<Shown> = publication_images::table
        .inner_join(publications::table.on(publications::article_id.eq(publication_images::article_id)))
        .filter(publication_images::ref_id.eq(image).and(publications::state.eq(Live)))
        .order(publications::published_ms.desc())
        .select((
            publications::article_id,
            publications::slug,
            publications::language,
            publications::section_id,
            publications::card,
        ))
        .limit(STORIES)
        .load(conn)?;
    let mut stories = Vec::with_capacity(rows.len());
    for (id, slug, language, section, card) in rows {
        let section: Option<String> = match section {
            Some(section) => sections::table
                .find(section)
                .select(sections::slug)
                .first(conn)
                .optional()?,
            None => None,
        };
        let card: Card = serde_json::from_str(&card).map_err(Problem::internal)?;
        stories.push((
            card.title,
            article_url(config, section.as_deref(), &slug, &id, &language),
        ));
    }
    Ok(stories)
}

impl Words {
    fn pick<'t>(&self, vi: &'t str, en: &'t str) -> &'t str {
        if self.vietnamese { vi } else { en }
    }

    fn subject(&self) -> String {
        let what = match self.stage {
            Stage::Expiring => self.pick("Sắp hết quyền dùng ảnh", "Image rights end soon"),
            Stage::Expired => self.pick("Đã hết quyền dùng ảnh", "Image rights have ended"),
        };
        match self.images.as_slice() {
            [one] => format!("[{}] {what}: {}", self.site, one.filename),
            many => format!("[{}] {what}: {}", self.site, many.len()),
        }
    }

    fn text(&self) -> String {
        let mut parts = vec![
            match self.stage {
                Stage::Expiring => self.pick(
                    "Quyền dùng những ảnh này sắp hết. Hãy gia hạn hoặc thay ảnh.",
                    "The right to show these images ends soon: renew it, or take them out.",
                ),
                Stage::Expired => self.pick(
                    "Quyền dùng những ảnh này đã hết. Bài đã đăng vẫn còn ảnh; bài có ảnh này không đăng mới được.",
                    "The right to show these images has ended. Live stories still show them; no story with them is \
                     published any more.",
                ),
            }
            .to_owned(),
        ];
        for image in &self.images {
            let mut lines = vec![format!("{} ({})", image.filename, image.end)];
            lines.push(format!("{} {}", self.pick("Mã ảnh:", "Image:"), image.id));
            if image.stories.is_empty() {
                lines.push(
                    self.pick("Không bài nào đang dùng.", "No live story shows it.")
                        .to_owned(),
                );
            }
            lines.extend(image.stories.iter().map(|(title, url)| format!("- {title}\n  {url}")));
            parts.push(lines.join("\n"));
        }
        parts.join("\n\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_its_words_in_both_languages() {
        let mut seen = std::collections::BTreeSet::new();
        for (stage, vietnamese) in [
            (Stage::Expiring, true),
            (Stage::Expiring, false),
            (Stage::Expired, true),
            (Stage::Expired, false),
        ] {
            let words = Words {
                to: "a@example.vn".into(),
                vietnamese,
                site: "Tin".into(),
                stage,
                images: vec![Told {
                    filename: "lu.jpg".into(),
                    end: Time::from_ms(1_764_000_000_123),
                    stories: vec![("Lũ".into(), "https://bao.example.vn/lu".into())],
                    id: Id::nil(),
                }],
            };
            let text = words.text();
            assert!(text.contains("lu.jpg (2025-11-24T16:00:00.123Z)"), "{text}");
            assert!(text.contains("- Lũ\n  https://bao.example.vn/lu"), "{text}");
            assert!(words.subject().starts_with("[Tin] ") && words.subject().ends_with(": lu.jpg"));
            assert!(seen.insert(text), "twice the same words");
        }
    }
}
