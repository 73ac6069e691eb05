//! Publications and their ends that are planned for a time to come.
//!
//! A plan pins a revision; a job ([`job`]) carries it out when its time has come by a steady clock ([`clock`]). What
//! cannot be published then is parked as failed, where editors see it, and is not tried again.

pub mod clock;
pub mod due;
pub mod job;
pub mod management;
pub mod store;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::articles::input::PublishInput;
use crate::db;
use crate::error::{Problem, Result};
use crate::types::{Patch, Time};

/// What is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleAction {
    /// The pinned revision is published.
    Publish,
    /// The story is withdrawn.
    Unpublish,
}

impl ScheduleAction {
    /// The name on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Unpublish => "unpublish",
        }
    }
}

/// Why something planned was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleProblem {
    /// The code of the problem, as a request would have been answered.
    #[schema(example = "translation_exists")]
    pub code: String,
    /// What was wrong, in words.
    #[schema(example = "Another article is published as this story in this language.")]
    pub detail: String,
}

/// A plan that could not be carried out. It stays until the article is published, planned again, unscheduled or trashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ScheduleFailure {
    /// What was planned.
    pub action: ScheduleAction,
    /// For when.
    pub at: Time,
    /// When it failed.
    pub failed_at: Time,
    /// Why.
    pub problem: ScheduleProblem,
}

impl From<&Problem> for ScheduleProblem {
    fn from(problem: &Problem) -> Self {
        Self {
            code: problem.code().as_str().to_owned(),
            detail: problem.detail().to_owned(),
        }
    }
}

/// 422 for times that contradict each other or have passed. `end` is the end that is set already.
pub fn check(input: &PublishInput, end: Option<Time>, now: Time) -> Result<()> {
    let out_of_range = |pointer: &str, detail: &str| Err(Problem::invalid(pointer, "out_of_range", detail));
    if input.publish_at.is_some() && input.published_at.is_some() {
        let detail = "Send published_at, for what was published in the past, or publish_at, not both.";
        return Err(Problem::invalid("/published_at", "conflict", detail));
    }
    if input.publish_at.is_some_and(|at| at <= now) {
        return out_of_range("/publish_at", "publish_at must be in the future.");
    }
    let begin = input.publish_at.unwrap_or(now);
    match input.unpublish_at {
        Patch::Set(end) if end <= begin => out_of_range(
            "/unpublish_at",
            "unpublish_at must be in the future, and after publish_at.",
        ),
        Patch::Keep if end.is_some_and(|end| end <= begin) => out_of_range(
            "/unpublish_at",
            "The story is set to be withdrawn before that: send a later unpublish_at, or null.",
        ),
        _ => Ok(()),
    }
}

/// The part of [`check`] that needs no article, for what has to be refused before versions are compared.
pub async fn check_wish(app: &App, input: &PublishInput) -> Result<()> {
    if input.publish_at.is_none() && !input.unpublish_at.is_sent() {
        return Ok(());
    }
    check(input, None, app.db.read(db::clock).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(input: PublishInput, end: Option<i64>) -> Option<String> {
        let problem = check(&input, end.map(Time::from_ms), Time::from_ms(1_000_000)).err()?;
        problem.errors().first().and_then(|error| error.pointer.clone())
    }

    fn plan(publish: Option<i64>, unpublish: Patch<i64>) -> PublishInput {
        PublishInput {
            publish_at: publish.map(Time::from_ms),
            unpublish_at: match unpublish {
                Patch::Keep => Patch::Keep,
                Patch::Clear => Patch::Clear,
                Patch::Set(ms) => Patch::Set(Time::from_ms(ms)),
            },
            ..PublishInput::default()
        }
    }

    #[test]
    fn times_lie_ahead_and_in_their_order() {
        assert_eq!(pointer(plan(None, Patch::Keep), None), None);
        assert_eq!(pointer(plan(Some(1_000_001), Patch::Set(1_000_002)), None), None);
        assert_eq!(
            pointer(plan(Some(1_000_000), Patch::Keep), None).as_deref(),
            Some("/publish_at")
        );
        assert_eq!(
            pointer(plan(Some(1_000_005), Patch::Set(1_000_005)), None).as_deref(),
            Some("/unpublish_at")
        );
        assert_eq!(
            pointer(plan(None, Patch::Set(1_000_000)), None).as_deref(),
            Some("/unpublish_at")
        );
    }

    #[test]
    fn an_end_that_is_set_already_counts_until_it_is_replaced() {
        let end = Some(1_000_010);
        assert_eq!(pointer(plan(Some(1_000_009), Patch::Keep), end), None);
        assert_eq!(
            pointer(plan(Some(1_000_010), Patch::Keep), end).as_deref(),
            Some("/unpublish_at")
        );
        assert_eq!(pointer(plan(Some(1_000_010), Patch::Clear), end), None);
        assert_eq!(pointer(plan(Some(1_000_010), Patch::Set(1_000_011)), end), None);
    }

    #[test]
    fn an_import_is_not_planned() {
        let mut input = plan(Some(1_000_001), Patch::Keep);
        input.published_at = Some(Time::from_ms(5));
        assert_eq!(pointer(input, None).as_deref(), Some("/published_at"));
    }
}
