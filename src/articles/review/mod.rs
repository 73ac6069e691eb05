//! Review: a writer submits, an editor sends back with a note or publishes; those concerned are told by mail.

pub mod mail;
pub mod management;
pub mod store;

use serde::Deserialize;
use utoipa::ToSchema;

use super::store::ArticleRow;
use crate::auth::{Caller, forbidden};
use crate::error::Result;

/// What submitting may be told.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitInput {
    /// What editors should know; kept with the revision.
    #[serde(default)]
    #[schema(value_type = String, required = false, max_length = 1000, example = "Xin duyệt trước 17 giờ")]
    pub note: Option<String>,
}

/// What sending back has to be told.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectInput {
    /// What has to be done; kept with the revision and told to the owner.
    #[schema(min_length = 1, max_length = 1000, example = "Thiếu nguồn của số liệu")]
    pub note: String,
}

/// 403 unless the caller may ask for review: editors always, writers of their own drafts. Whether it can be asked for now
/// is another question.
pub fn check_may_submit(row: &ArticleRow, caller: &Caller) -> Result<()> {
    let own = row.owner_id == caller.id && ["draft", "in_review", "trashed"].contains(&row.status.as_str());
    if caller.is_editor() || own {
        Ok(())
    } else {
        Err(forbidden("Writers submit their own drafts."))
    }
}
