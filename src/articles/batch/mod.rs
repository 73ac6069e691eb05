//! Many writes in one request, each with a result of its own, or all or nothing.

pub mod management;
pub mod store;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::input::ArticlePatch;
use super::record::WorkingArticle;
use crate::error::ProblemSchema;
use crate::types::Id;

/// Operations that one request may have.
pub const MOST: usize = 100;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum BatchMethod {
    /// Makes an article.
    #[serde(rename = "POST", alias = "post")]
    Post,
    /// Changes one.
    #[serde(rename = "PATCH", alias = "patch")]
    Patch,
    /// Erases one from the trash.
    #[serde(rename = "DELETE", alias = "delete")]
    Delete,
}

/// One write of an article.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchOperation {
    /// What it does.
    pub method: BatchMethod,
    /// Which article; needed with `PATCH` and `DELETE`.
    #[serde(default)]
    pub id: Option<Id>,
    /// The version that is meant, in the place of `If-Match`; needed with `PATCH` and `DELETE`.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub version: Option<i64>,
    /// What a request of its own would send: an `ArticleCreate` with `POST`, an `ArticlePatch` with `PATCH`.
    #[serde(default)]
    #[schema(value_type = Option<ArticlePatch>)]
    pub body: Option<Value>,
}

/// Many writes.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchInput {
    /// Whether nothing is written when one operation fails; no when absent.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub atomic: Option<bool>,
    /// The writes, done one after the other.
    #[schema(min_items = 1, max_items = 100)]
    pub operations: Vec<BatchOperation>,
}

/// What came of one operation.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchResult {
    /// The status that a request of its own would have got; 424 when it was undone or not tried because another failed.
    #[schema(minimum = 200, maximum = 599, example = 200)]
    pub status: i32,
    /// The article as it is now; null when it failed or is erased.
    #[schema(required = true)]
    pub article: Option<WorkingArticle>,
    /// Why it failed; pointers are those of the operation's `body`, or `/id`.
    #[schema(required = true, value_type = Option<ProblemSchema>)]
    pub problem: Option<Value>,
}

/// What came of all.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchResults {
    /// A result for each operation, in their order.
    pub results: Vec<BatchResult>,
}
