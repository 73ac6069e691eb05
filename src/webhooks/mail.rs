//! The mail that a webhook was given up: fixed words in two languages, to the admins. Where there is no mail none is queued.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::store::{find, origin};
use super::{DisabledReason, WebhookRecord};
use crate::app::State;
use crate::auth::Role;
use crate::db::{Conn, Tx};
use crate::error::{Problem, Result};
use crate::mail::Sent;
use crate::outbox::{self, Row};
use crate::schema::editors;
use crate::site;
use crate::types::Id;

/// The outbox's name for these mails.
pub const KIND: &str = "webhook_disabled";

/// Admins that are told.
const MOST: i64 = 20;

/// What the outbox keeps until the mail is sent: one recipient. The address is looked up when it is sent.
#[derive(Debug, Serialize, Deserialize)]
struct Notice {
    webhook_id: Id,
    recipient: Id,
}

/// Everything a mail is made of, as it is at the time of sending.
struct Words {
    to: String,
    vietnamese: bool,
    site: String,
    id: Id,
    name: String,
    gone: bool,
}

/// Queues a mail for each admin.
pub fn tell(tx: &mut Tx<'_>, webhook: &Id) -> Result<()> {
    let admins: Vec<Id> = editors::table
        .filter(editors::role.eq(Role::Admin.as_str()).and(editors::disabled.eq(false)))
        .order(editors::id)
        .select(editors::id)
        .limit(MOST)
        .load(tx.conn)?;
    for recipient in admins {
        let notice = Notice {
            webhook_id: webhook.clone(),
            recipient,
        };
        let payload = serde_json::to_string(&notice).map_err(Problem::internal)?;
        outbox::queue(tx, KIND, &payload, Id::new().as_str())?;
    }
    Ok(())
}

/// Sends one queued mail; it is dropped when the webhook sends again or is gone, or its recipient is no admin any more.
pub async fn send(app: &State, row: &Row) -> Result<Sent> {
    let Some(mailer) = &app.mail else {
        return Ok(Sent::Later("mail is not set up here".into()));
    };
    let notice: Notice = serde_json::from_str(&row.payload).map_err(Problem::internal)?;
    let Some(words) = app.db.read(move |conn| words(conn, &notice)).await? else {
        return Ok(Sent::Accepted);
    };
    Ok(mailer
        .send_plain(&row.id, &words.to, words.subject(), words.text())
        .await)
}

fn words(conn: &mut Conn, notice: &Notice) -> Result<Option<Words>> {
    let to: Option<String> = editors::table
        .find(&notice.recipient)
        .filter(editors::role.eq(Role::Admin.as_str()).and(editors::disabled.eq(false)))
        .select(editors::email)
        .first(conn)
        .optional()?;
    let webhook: Option<WebhookRecord> = match find(conn, &notice.webhook_id)? {
        Some(_) => Some(super::store::get(conn, &notice.webhook_id)?),
        None => None,
    };
    let (Some(to), Some(webhook)) = (to, webhook) else {
        return Ok(None);
    };
    let gone = match webhook.disabled_reason {
        Some(DisabledReason::Gone) => true,
        Some(DisabledReason::Failing) => false,
        Some(DisabledReason::ByHand) | None => return Ok(None),
    };
    let site = site::current(conn)?;
    Ok(Some(Words {
        to,
        vietnamese: site.writes_vietnamese(),
        site: site.name,
        // The whole address may hold a secret.
        name: webhook.name.unwrap_or_else(|| origin(&webhook.url)),
        id: webhook.id,
        gone,
    }))
}

impl Words {
    fn pick<'t>(&self, vi: &'t str, en: &'t str) -> &'t str {
        if self.vietnamese { vi } else { en }
    }

    fn subject(&self) -> String {
        let what = self.pick("Webhook bị tắt", "Webhook disabled");
        format!("[{}] {what}: {}", self.site, self.name)
    }

    fn text(&self) -> String {
        let why = match self.gone {
            true => self.pick(
                "Bên nhận đã trả lời 410: không còn nhận nữa.",
                "Its receiver answered 410: it takes nothing any more.",
            ),
            false => self.pick(
                "Bên nhận không nhận được gì suốt năm ngày.",
                "Its receiver has taken nothing for five days.",
            ),
        };
        let opening = self.pick("Webhook này không gửi gì nữa:", "This webhook sends nothing any more:");
        let then = self.pick(
            "Sửa xong bên nhận: POST …/test, rồi PATCH {\"disabled\": false}, rồi POST …/replay.",
            "After the repair: POST …/test, then PATCH {\"disabled\": false}, then POST …/replay.",
        );
        let id = self.pick("Mã webhook:", "Webhook:");
        format!("{opening}\n{}\n\n{why}\n\n{then}\n\n{id} {}\n", self.name, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_words_in_both_languages() {
        let mut seen = std::collections::BTreeSet::new();
        for (gone, vietnamese) in [(true, true), (true, false), (false, true), (false, false)] {
            let words = Words {
                to: "a@example.vn".into(),
                vietnamese,
                site: "Tin".into(),
                id: Id::nil(),
                name: "Trang tĩnh".into(),
                gone,
            };
            let text = words.text();
            assert!(
                text.contains(":\nTrang tĩnh\n") && text.contains(Id::nil().as_str()),
                "{text}"
            );
            assert!(words.subject().starts_with("[Tin] ") && words.subject().ends_with(": Trang tĩnh"));
            assert!(seen.insert(text), "twice the same words");
        }
    }
}
