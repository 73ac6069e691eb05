//! Hands one mail to the mail server. Nothing here logs an address or a mail server's words, which may hold one.

use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::Error;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use crate::config::Config;
use crate::types::Id;

/// How long one command to the mail server may take.
const COMMAND: Duration = Duration::from_secs(20);
/// How long one mail may take; shorter than a lease of the outbox.
const WHOLE: Duration = Duration::from_secs(60);

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The mail server has it.
    Accepted,
    /// Not now; the reason is for the log.
    Later(String),
    /// Never; the reason is for the log.
    Refused(String),
}

/// The way to the mail server.
#[derive(Debug)]
pub struct Mailer {
    transport: Transport,
    /// Who mail comes from.
    pub from: Mailbox,
}

impl Mailer {
    /// Whether an address of a mail server can be used.
    pub fn check(url: &str) -> Result<(), lettre::transport::smtp::Error> {
        Transport::from_url(url).map(|_| ())
    }

    /// The mailer of the settings; none without `SMTP_URL`.
    pub fn open(config: &Config) -> Result<Option<Self>, String> {
        let Some(url) = &config.smtp_url else {
            return Ok(None);
        };
        let wrong = "SMTP_URL cannot be used";
        let url = std::str::from_utf8(url.expose()).map_err(|_| wrong)?;
        let builder = Transport::from_url(url).map_err(|_| wrong)?;
        Ok(Some(Self {
            transport: builder.timeout(Some(COMMAND)).build(),
            from: config.mail_from.clone(),
        }))
    }

    /// Tries a mail of plain words to one of the staff once. The id is that of its row: a mail that comes twice is known
    /// by it.
    pub async fn send_plain(&self, id: &Id, to: &str, subject: String, text: String) -> Sent {
        match self.plain(id, to, subject, text) {
            Ok(message) => self.send(message).await,
            Err(_) => Sent::Refused("the mail could not be composed".into()),
        }
    }

    fn plain(
        &self,
        id: &Id,
        to: &str,
        subject: String,
        text: String,
    ) -> Result<Message, Box<dyn std::error::Error + Send + Sync>> {
        // RFC 3834: no holiday notice shall answer this.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        Ok(Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.parse()?))
            .subject(subject)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .raw_header(HeaderValue::new(automatic, "auto-generated".into()))
            .singlepart(SinglePart::plain(text))?)
    }

    /// Tries once.
    pub async fn send(&self, message: Message) -> Sent {
        match tokio::time::timeout(WHOLE, self.transport.send(message)).await {
            Ok(Ok(_)) => Sent::Accepted,
            Ok(Err(error)) => judged(&error),
            Err(_) => Sent::Later("the mail server took too long".into()),
        }
    }
}

/// 5xx is for good, but for what is wrong with our own sign-in: an operator can put that right.
fn judged(error: &Error) -> Sent {
    // Refused on our side, before the mail server: it would be refused each time.
    if error.is_client() {
        return Sent::Refused("the mail cannot be put to this mail server".into());
    }
    let Some(code) = error.status() else {
        return Sent::Later("the mail server was not reached or hung up".into());
    };
    let code = code.to_string();
    let sign_in = ["530", "534", "535", "538"].contains(&code.as_str());
    if error.is_permanent() && !sign_in {
        Sent::Refused(format!("the mail server said {code}"))
    } else {
        Sent::Later(format!("the mail server said {code}"))
    }
}
