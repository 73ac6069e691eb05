//! Readers' messages to the newsroom: what a message is, and who may see what of it.
//!
//! A sender's details are for editors only, and only until they expire. Readers see a message when its sender allowed
//! it and an editor made it visible; of the sender they see the name and nothing else.

pub mod delivery;
mod export;
pub mod management;
pub mod store;

use rand::Rng;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Code, Problem, Result};
use crate::types::{Id, PersonRef, Time};
use store::Row;

pub use store::forget_senders;

/// Most characters of a message or a reply.
const MESSAGE_LENGTH: usize = 5000;

/// How far the newsroom is with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackStatus {
    /// Nobody has worked on it.
    New,
    /// Somebody has.
    InProgress,
    /// It has been answered.
    Answered,
    /// It is no honest message; its sender is not told.
    Spam,
    /// It is done with.
    Closed,
}

/// Names on the wire and in the table.
const STATUSES: &[(&str, FeedbackStatus)] = &[
    ("new", FeedbackStatus::New),
    ("in_progress", FeedbackStatus::InProgress),
    ("answered", FeedbackStatus::Answered),
    ("spam", FeedbackStatus::Spam),
    ("closed", FeedbackStatus::Closed),
];

impl FeedbackStatus {
    fn as_str(self) -> &'static str {
        let found = STATUSES.iter().find(|(_, status)| *status == self);
        found.map_or("new", |(name, _)| name)
    }
}

impl TryFrom<String> for FeedbackStatus {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let found = STATUSES.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, status)| *status)
            .ok_or_else(|| format!("the feedback status {text:?} is not known"))
    }
}

/// A reader's message as editors see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Feedback {
    /// The id.
    pub id: Id,
    /// What the sender follows the message by.
    #[schema(example = "7h2c9m4xq0v8n5k1t6wyzr3jbe")]
    pub reference: String,
    /// The article it is about.
    pub article_id: Id,
    /// That article's title now; null when it has been erased.
    #[schema(required = true)]
    pub article: Option<FeedbackArticle>,
    /// How far the newsroom is with it.
    pub status: FeedbackStatus,
    /// Whether readers see it under the article.
    pub visible: bool,
    /// The message.
    #[schema(example = "Cảm ơn tòa soạn về bài viết.")]
    pub message: String,
    /// Who sent it.
    pub sender: FeedbackSender,
    /// Version of the text that the sender consented to.
    #[schema(minimum = 1, example = 1)]
    pub consent_version: i64,
    /// When the sender consented.
    pub consented_at: Time,
    /// Whether the sender allowed to show the message and the name to readers.
    pub may_publish: bool,
    /// A note among colleagues.
    #[schema(required = true)]
    pub internal_note: Option<String>,
    /// The newsroom's reply.
    #[schema(required = true)]
    pub reply: Option<String>,
    /// When it was last replied to.
    #[schema(required = true)]
    pub replied_at: Option<Time>,
    /// Who replied; null when nobody did or the account is gone.
    #[schema(required = true)]
    pub replied_by: Option<PersonRef>,
    /// When it came.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Raised by every change; `ETag` is this in quotation marks.
    #[schema(minimum = 1, example = 3)]
    pub version: i64,
}

/// The article a message is about.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FeedbackArticle {
    /// The article's id.
    pub id: Id,
    /// The working copy's title.
    #[schema(example = "Lũ rút trên sông Cầu")]
    pub title: String,
}

/// Who sent a message. After the retention time only the name of a message that readers see is left.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FeedbackSender {
    /// The name as the sender gave it; empty when it has been removed.
    #[schema(example = "Nguyễn Văn An")]
    pub name: String,
    /// The e-mail address; null when it has been removed.
    #[schema(required = true, example = "an@example.vn")]
    pub email: Option<String>,
    /// The telephone number, when one was given.
    #[schema(required = true, example = "+84 912 345 678")]
    pub phone: Option<String>,
    /// The postal address, when one was given.
    #[schema(required = true)]
    pub address: Option<String>,
}

/// A message's name for its sender: 128 random bits in Crockford's base 32, which has no look-alikes.
pub fn new_reference() -> String {
    let mut bytes = [0u8; 16];
    rand::rng().fill_bytes(&mut bytes);
    let bits = u128::from_be_bytes(bytes);
    (0..REFERENCE_LENGTH)
        .map(|place| char::from(REFERENCE_DIGITS[(bits >> (5 * place) & 31) as usize]))
        .collect()
}

const REFERENCE_DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const REFERENCE_LENGTH: usize = 26;

fn is_reference(text: &str) -> bool {
    text.len() == REFERENCE_LENGTH && text.bytes().all(|byte| REFERENCE_DIGITS.contains(&byte))
}

/// Settles who sees a message after its status was set: spam is hidden, and what its sender did not allow is never
/// shown. `wanted` is what the editor asked for.
fn settle_visibility(row: &mut Row, wanted: Option<bool>) -> Result<()> {
    let spam = row.status == FeedbackStatus::Spam;
    if wanted == Some(true) && spam {
        return Err(not_publishable(
            "Spam is not shown to readers: give the message another status first.",
        ));
    }
    if wanted == Some(true) && !row.may_publish {
        return Err(not_publishable(
            "The sender did not allow publishing this message, so it cannot be made visible.",
        ));
    }
    row.visible = wanted.unwrap_or(row.visible) && !spam;
    Ok(())
}

fn not_publishable(why: &str) -> Problem {
    Problem::new(Code::NotPublishable, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_new_each_time_and_known_by_their_form() {
        let (one, two) = (new_reference(), new_reference());
        assert!(is_reference(&one) && is_reference(&two));
        assert_ne!(one, two);
        for bad in [
            "",
            "7h2c9m4xq0v8n5k1t6wyzr3jb",
            "7H2C9M4XQ0V8N5K1T6WYZR3JBE",
            "7h2c9m4xq0v8n5k1t6wyzr3jbl",
        ] {
            assert!(!is_reference(bad), "{bad}");
        }
    }

    #[test]
    fn statuses_are_read_as_they_are_written() {
        for (name, status) in STATUSES {
            assert_eq!(status.as_str(), *name);
            assert_eq!(FeedbackStatus::try_from((*name).to_owned()), Ok(*status));
            assert_eq!(serde_json::json!(status), serde_json::json!(name));
        }
        assert!(FeedbackStatus::try_from("gone".to_owned()).is_err());
    }

    #[test]
    fn spam_and_private_messages_are_never_visible() {
        let mut row = Row::sample();
        row.may_publish = true;
        settle_visibility(&mut row, Some(true)).expect("allowed by its sender");
        assert!(row.visible);
        row.status = FeedbackStatus::Spam;
        settle_visibility(&mut row, None).expect("spam is hidden");
        assert!(!row.visible);
        assert_eq!(
            settle_visibility(&mut row, Some(true)).expect_err("spam").code(),
            Code::NotPublishable
        );
        row.status = FeedbackStatus::Answered;
        settle_visibility(&mut row, None).expect("no wish");
        assert!(!row.visible, "what was spam stays hidden until somebody shows it");
        row.may_publish = false;
        assert!(settle_visibility(&mut row, Some(true)).is_err());
    }
}
