//! Sending a story to friends: a fixed mail, few of them, and a way to end them for ever.

pub mod delivery;
mod links;
mod mailbox;
pub mod store;
mod template;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::app::{App, State};
use crate::articles::listing::summaries;
use crate::articles::publication::live_article;
use crate::db::Conn;
use crate::error::{Code, Problem, Result};
use crate::mail::{Mailer, Sent};
use crate::outbox::Row;
use crate::request::PathRef;
use crate::types::Id;
use template::Words;

/// The outbox's name for these mails.
pub const KIND: &str = "share";

/// What the outbox keeps until the mail is sent: one recipient.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Share {
    /// The story.
    pub article_id: Id,
    /// Who sends it.
    pub sender_name: String,
    /// Where answers go.
    pub sender_email: String,
    /// Who gets it.
    pub recipient: String,
    /// The sender's words.
    pub note: Option<String>,
}

/// Everything a mail is made of, as it is at the time of sending.
struct Story {
    title: String,
    lead: Option<String>,
    url: String,
    language: String,
    site: String,
    token: String,
}

/// Sends one queued mail; it is dropped when the story is not live any more or the recipient has opted out.
pub async fn send(app: &State, row: &Row) -> Result<Sent> {
    let Some(mailer) = &app.mail else {
        return Ok(Sent::Later("mail is not set up here".into()));
    };
    let share: Share = serde_json::from_str(&row.payload).map_err(Problem::internal)?;
    let (state, wanted) = (app.clone(), share.clone());
    let Some(story) = app.db.read(move |conn| story(conn, &state, &wanted)).await? else {
        return Ok(Sent::Accepted);
    };
    let opt_out = format!("{}/delivery/v1/shares/opt-out/{}", app.config.public_url, story.token);
    let Ok(message) = message(mailer, &share, &story, &opt_out, row) else {
        return Ok(Sent::Refused("the mail could not be composed".into()));
    };
    Ok(mailer.send(message).await)
}

fn story(conn: &mut Conn, app: &App, share: &Share) -> Result<Option<Story>> {
    let row = match live_article(conn, &PathRef::Id(share.article_id.clone())) {
        Ok(row) => row,
        Err(problem) if matches!(problem.code(), Code::NotFound | Code::Gone) => return Ok(None),
        Err(problem) => return Err(problem),
    };
    let secret = store::secret(conn)?.ok_or_else(|| Problem::internal("the secret of addresses is lost"))?;
    let hmac = store::address_hmac(&secret, &mailbox::key(&share.recipient))?;
    let mut known_by = vec![hmac.clone()];
    for key in mailbox::earlier_keys(&share.recipient) {
        known_by.push(store::address_hmac(&secret, &key)?);
    }
    if store::opted_out(conn, known_by)? {
        return Ok(None);
    }
    let site = crate::site::current(conn)?;
    let own = row.language.clone();
    let language = [own.as_str(), site.default_language()]
        .into_iter()
        .find(|tag| matches!(*tag, "vi" | "en"));
    let language = language.unwrap_or("en").to_owned();
    let summary = summaries(conn, app, vec![row], &[])?.pop();
    let summary = summary.ok_or_else(|| Problem::internal("a summary was lost"))?;
    Ok(Some(Story {
        title: summary.title,
        lead: summary.lead,
        url: summary.url,
        language,
        site: site.name,
        token: token(&secret, &hmac)?,
    }))
}

fn message(
    mailer: &Mailer,
    share: &Share,
    story: &Story,
    opt_out: &str,
    row: &Row,
) -> Result<Message, Box<dyn std::error::Error + Send + Sync>> {
    let words = Words {
        language: &story.language,
        site: &story.site,
        sender: &share.sender_name,
        note: share.note.as_deref(),
        title: &story.title,
        lead: story.lead.as_deref(),
        url: &story.url,
        opt_out,
    };
    let reply_to = Mailbox::new(Some(share.sender_name.clone()), share.sender_email.parse::<Address>()?);
    let list = HeaderName::new_from_ascii_str("List-Unsubscribe");
    let one_click = HeaderName::new_from_ascii_str("List-Unsubscribe-Post");
    // RFC 3834: no holiday notice shall answer this.
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let message = Message::builder()
        .from(mailer.from.clone())
        .reply_to(reply_to)
        .to(Mailbox::new(None, share.recipient.parse()?))
        .subject(words.subject())
        .message_id(Some(format!("<{}@{}>", row.id, mailer.from.email.domain())))
        .raw_header(HeaderValue::new(list, format!("<{opt_out}>")))
        .raw_header(HeaderValue::new(automatic, "auto-generated".into()))
        .raw_header(HeaderValue::new(one_click, "List-Unsubscribe=One-Click".into()))
        .multipart(MultiPart::alternative_plain_html(words.text(), words.html()))?;
    Ok(message)
}

/// The token of an opt-out link: the address's HMAC and our seal on it, so that nobody can fill the table.
fn token(secret: &str, hmac: &str) -> Result<String> {
    Ok(format!("{hmac}{}", &store::hmac(secret, "opt-out", hmac)?[..32]))
}

/// The address's HMAC in a token of ours.
fn opened(secret: &str, token: &str) -> Result<Option<String>> {
    let Some(hmac) = token.get(..64) else { return Ok(None) };
    let ours = self::token(secret, hmac)?;
    Ok(bool::from(ours.as_bytes().ct_eq(token.as_bytes())).then(|| hmac.to_owned()))
}
