//! Webhooks: other programs are told what changed for readers, by the Standard Webhooks specification.
//!
//! What is told is a row of the diary of public changes: ids, never words. `queueing.rs` makes a delivery of each change
//! for each webhook that wants it, exactly once; `sending.rs` sends it, at least once, until the receiver has taken it.

pub mod deliveries;
pub mod guard;
pub mod input;
pub mod mail;
pub mod management;
pub mod queueing;
pub mod sending;
pub mod signature;
pub mod store;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::changes::delivery::ChangeEvent;
use crate::changes::{self, Change, Recorded};
use crate::types::{Id, Time};

/// The type of the event that the right to an image ends soon.
pub const RIGHTS_EXPIRING: &str = "image.rights_expiring";
/// The type of the event that it has ended.
pub const RIGHTS_EXPIRED: &str = "image.rights_expired";

/// Every type that a webhook can ask for: those of the change feed, and what only the newsroom is told.
pub const EVENTS: &[&str] = &[
    "article.published",
    "article.updated",
    "article.unpublished",
    "section.updated",
    "tag.updated",
    "author.updated",
    "image.updated",
    "feedback.updated",
    "site.updated",
    RIGHTS_EXPIRING,
    RIGHTS_EXPIRED,
];

/// The type of the event that is sent on demand; every webhook takes it.
pub const TEST: &str = "webhook.test";

/// Webhooks that there may be. Each is looked at for every change.
pub const MOST: i64 = 50;

/// A receiver that has failed for so long without one success is not called any more, in seconds.
pub const FAILING_SECONDS: i64 = 5 * 24 * 3600;
/// The longest wait that a receiver's `Retry-After` is heeded for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Why a webhook is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisabledReason {
    /// Somebody disabled it.
    ByHand,
    /// Its receiver answered 410.
    Gone,
    /// Its receiver failed for five days.
    Failing,
}

impl DisabledReason {
    /// The name on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ByHand => "by_hand",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::ByHand, Self::Gone, Self::Failing]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

/// A webhook as admins see it. Its secret is not in it: that is shown once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WebhookRecord {
    /// The id.
    pub id: Id,
    /// What admins call it.
    #[schema(required = true, example = "Static site")]
    pub name: Option<String>,
    /// Where its events are sent.
    #[schema(format = "uri", example = "https://build.example.vn/hooks/newsdesk")]
    pub url: String,
    /// The types it wants; none means all.
    #[schema(example = json!(["article.published", "article.updated", "article.unpublished"]))]
    pub events: Vec<String>,
    /// Of events that have a language, only those in these; none means all.
    #[schema(example = json!(["vi"]))]
    pub languages: Vec<String>,
    /// Of `article.*` events, only those of stories that are or were in these sections; none means all.
    pub section_ids: Vec<Id>,
    /// Whether nothing is sent.
    pub disabled: bool,
    /// Why nothing is sent; null while it is enabled.
    #[schema(required = true)]
    pub disabled_reason: Option<DisabledReason>,
    /// Since when every try has failed; null when the last one went well. After five days the webhook is disabled.
    #[schema(required = true)]
    pub failing_since: Option<Time>,
    /// Until when an earlier secret signs as well; null when only the newest does.
    #[schema(required = true)]
    pub previous_secret_expires_at: Option<Time>,
    /// Whether events of the past are still being queued again.
    pub replaying: bool,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Raised by every change; `ETag` is this in quotation marks.
    #[schema(minimum = 1, example = 3)]
    pub version: i64,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is sent now, or waits for its next try.
    Pending,
    /// The receiver took it (2xx).
    Delivered,
    /// It was given up after its last try.
    Failed,
    /// The webhook was disabled before it was delivered.
    Canceled,
}

/// Every state by its name.
pub const STATES: &[(&str, DeliveryState)] = &[
    ("pending", DeliveryState::Pending),
    ("delivered", DeliveryState::Delivered),
    ("failed", DeliveryState::Failed),
    ("canceled", DeliveryState::Canceled),
];

impl DeliveryState {
    /// The name on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// One event for one webhook, with its tries.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WebhookDelivery {
    /// The delivery's id.
    pub id: Id,
    /// The webhook.
    pub webhook_id: Id,
    /// The header `webhook-id` of every try: the same however often it is sent, so that receivers know what they have.
    #[schema(example = "evt_1f0c9a7b3d5e_4711")]
    pub event_id: String,
    /// The event's type.
    #[serde(rename = "type")]
    #[schema(example = "article.published")]
    pub kind: String,
    /// What became of it.
    pub state: DeliveryState,
    /// When the next try is due; null when there is none.
    #[schema(required = true)]
    pub next_attempt_at: Option<Time>,
    /// When the event was queued.
    pub created_at: Time,
    /// When it was delivered, given up or canceled; null before.
    #[schema(required = true)]
    pub ended_at: Option<Time>,
    /// The body that is sent, to the byte: JSON with `type`, `timestamp` and `data`.
    pub payload: String,
    /// The last tries, at most 20, oldest first.
    pub attempts: Vec<WebhookAttempt>,
}

/// One try.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WebhookAttempt {
    /// Which try it was; a number that is missing was cut off by a crash.
    #[schema(minimum = 1, example = 1)]
    pub number: i64,
    /// When it began.
    pub at: Time,
    /// How long it took, in milliseconds.
    #[schema(minimum = 0, example = 84)]
    pub duration_ms: i64,
    /// The status that was answered; null when there was no answer.
    #[schema(required = true, example = 204)]
    pub status: Option<i64>,
    /// Why there was no answer; null when there was one.
    #[schema(required = true)]
    pub error: Option<AttemptError>,
    /// The same in words.
    #[schema(required = true)]
    pub detail: Option<String>,
    /// The beginning of the answer's body, at most 1 KiB.
    #[schema(required = true)]
    pub response: Option<String>,
}

/// Why a try got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptError {
    /// The address is one of our own networks; see `WEBHOOK_ALLOW_PRIVATE`.
    BlockedAddress,
    /// No connection: the name is not known, nobody listens, or the certificate is not good.
    NotConnected,
    /// No answer within 15 seconds.
    TimedOut,
    /// The connection broke before the answer.
    HungUp,
}

impl AttemptError {
    /// The name on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlockedAddress => "blocked_address",
            Self::NotConnected => "not_connected",
            Self::TimedOut => "timed_out",
            Self::HungUp => "hung_up",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::BlockedAddress, Self::NotConnected, Self::TimedOut, Self::HungUp]
            .into_iter()
            .find(|error| error.as_str() == text)
    }
}

/// Which changes a webhook is told.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Types; none means all.
    pub events: Vec<String>,
    /// Languages; none means all.
    pub languages: Vec<String>,
    /// Sections; none means all.
    pub section_ids: Vec<Id>,
}

impl Filter {
    /// Whether a change passes. Events without a language pass every choice of languages, and only stories are in
    /// sections; a story that leaves a section is still told of, by the keys of where it was.
    pub fn takes(&self, change: &Change) -> bool {
        let event = self.events.is_empty() || self.events.iter().any(|event| *event == change.kind);
        let language = match &change.language {
            Some(language) => self.languages.is_empty() || self.languages.contains(language),
            None => true,
        };
        let section = self.section_ids.is_empty()
            || !change.kind.starts_with("article.")
            || self
                .section_ids
                .iter()
                .any(|id| change.keys.contains(&changes::key('S', id)));
        event && language && section
    }
}

/// A change as the feed tells it, and where the story is read.
#[derive(Serialize)]
struct Data {
    #[serde(flatten)]
    event: ChangeEvent,
    delivery_url: Option<String>,
}

/// The id of a change's event, the same for every webhook. A restored database has another epoch, so its new changes are
/// other events.
pub fn event_id(epoch: &str, seq: i64) -> String {
    format!("evt_{epoch}_{seq}")
}

/// The body for a change. The address is by id: a slug holds words of the story.
pub fn payload(row: &Recorded, public_url: &str) -> String {
    let event = ChangeEvent::from(row);
    let article = event.article_id.as_ref();
    let delivery_url = article.map(|id| format!("{public_url}/delivery/v1/articles/{id}"));
    let data = serde_json::to_value(Data { event, delivery_url }).unwrap_or_default();
    body(&row.change.kind, row.at, data)
}

/// The body of a test event.
pub fn test_payload(webhook: &Id, now: Time) -> String {
    body(TEST, now, json!({ "webhook_id": webhook }))
}

/// The body of an event: `{type, timestamp, data}`.
pub fn body(kind: &str, at: Time, data: Value) -> String {
    json!({ "type": kind, "timestamp": at, "data": data }).to_string()
}

/// How long to wait after a failed try, in milliseconds; none when it was the last. `tries` have been made by the
/// schedule. Up to a fifth is added by chance; a receiver may ask for more, up to a day.
pub fn wait_after(schedule: &[u32], tries: i64, retry_after: Option<Duration>) -> Option<i64> {
    let place = usize::try_from(tries - 1).ok()?;
    let wait = i64::from(*schedule.get(place)?) * 1000;
    let wait = wait + rand::random_range(0..=wait / 5);
    let asked = retry_after.unwrap_or_default().min(LONGEST_WAIT);
    Some(wait.max(asked.as_millis() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: &'static str, language: Option<&str>, keys: &[String]) -> Change {
        Change {
            kind: kind.into(),
            subject_id: Id::new().to_string(),
            language: language.map(str::to_owned),
            keys: keys.to_vec(),
        }
    }

    #[test]
    fn filters_narrow_what_they_are_about() {
        let (here, there) = (Id::new(), Id::new());
        let inside = change("article.published", Some("vi"), &[changes::key('S', &here)]);
        let outside = change("article.published", Some("en"), &[changes::key('S', &there)]);
        let site = change("site.updated", None, &[]);
        let filter = |events: &[&str], languages: &[&str], section_ids: &[&Id]| Filter {
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            languages: languages.iter().map(|language| (*language).to_owned()).collect(),
            section_ids: section_ids.iter().map(|id| (*id).clone()).collect(),
        };
        let told = |filter: Filter| [&inside, &outside, &site].map(|change| filter.takes(change));
        assert_eq!(told(filter(&[], &[], &[])), [true, true, true]);
        assert_eq!(told(filter(&["site.updated"], &[], &[])), [false, false, true]);
        assert_eq!(told(filter(&[], &["en"], &[])), [false, true, true]);
        assert_eq!(told(filter(&[], &[], &[&here])), [true, false, true]);
        assert_eq!(
            told(filter(&["article.published"], &["vi"], &[&there])),
            [false, false, false]
        );
    }

    #[test]
    fn waits_follow_the_schedule_and_the_receiver_within_bounds() {
        let schedule = [5, 300];
        let wait = |tries, asked: Option<u64>| wait_after(&schedule, tries, asked.map(Duration::from_secs));
        for _ in 0..100 {
            assert!((5_000..=6_000).contains(&wait(1, None).expect("a wait")));
            assert!((300_000..=360_000).contains(&wait(2, Some(7)).expect("a wait")));
        }
        assert_eq!(wait(1, Some(3600)), Some(3_600_000));
        assert_eq!(wait(1, Some(u64::MAX)), Some(24 * 3_600_000));
        assert_eq!(wait(3, Some(3600)), None, "the last try was made");
        assert_eq!(wait(0, None), None);
    }

    #[test]
    fn a_payload_is_the_change_and_an_address_without_words() {
        let id = Id::new();
        let row = Recorded {
            seq: 7,
            change: Change {
                subject_id: id.to_string(),
                ..change("article.unpublished", Some("vi"), &["articles".into()])
            },
            at: Time::from_ms(1_764_000_000_123),
        };
        let body: Value = serde_json::from_str(&payload(&row, "https://api.example.vn")).expect("JSON");
        let feed = serde_json::to_value(ChangeEvent::from(&row)).expect("JSON");
        assert_eq!(
            (&body["type"], &body["timestamp"]),
            (&json!("article.unpublished"), &json!("2025-11-24T16:00:00.123Z"))
        );
        let mut data = body["data"].clone();
        let address = data.as_object_mut().and_then(|data| data.remove("delivery_url"));
        assert_eq!(
            address,
            Some(json!(format!("https://api.example.vn/delivery/v1/articles/{id}")))
        );
        assert_eq!(data, feed);
    }
}
