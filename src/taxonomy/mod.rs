//! What stories are sorted by: sections, tags, authors. Renaming one shows in every story at once.

pub mod authors;
pub mod delivery;
pub mod management;
pub mod sections;
mod store;
pub mod tags;

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Code, Problem, Result, UsedBy};
use crate::text::{is_slug, slugify};
use crate::types::Id;

pub use store::{Kind, Name, find_ids, names_of};

/// A section, tag or author as part of a story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SectionRef {
    /// The section's id.
    pub id: Id,
    /// Its slug.
    #[schema(example = "thoi-su")]
    pub slug: String,
    /// Its name.
    #[schema(example = "Thời sự")]
    pub name: String,
}

/// A tag as part of a story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TagRef {
    /// The tag's id.
    pub id: Id,
    /// Its slug.
    #[schema(example = "nong-nghiep")]
    pub slug: String,
    /// Its name.
    #[schema(example = "Nông nghiệp")]
    pub name: String,
}

/// An author as part of a story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuthorRef {
    /// The author's id.
    pub id: Id,
    /// The slug.
    #[schema(example = "minh-chau")]
    pub slug: String,
    /// The name.
    #[schema(example = "Minh Châu")]
    pub name: String,
}

/// The slug to try first: the one written by hand, or one made from the name.
fn first_slug(by_hand: Option<&str>, name: &str) -> (String, bool) {
    match by_hand {
        Some(slug) => (slug.to_owned(), true),
        None => {
            let made = slugify(name);
            (
                if is_slug(&made) {
                    made
                } else {
                    format!("n-{}", &Id::new().as_str()[24..])
                },
                false,
            )
        }
    }
}

/// 409 with what uses it.
fn in_use(what: &str, used_in: Vec<UsedBy>) -> Problem {
    let used = serde_json::to_value(&used_in).unwrap_or_default();
    Problem::new(
        Code::InUse,
        format!("This {what} is still in use: take it out there first."),
    )
    .with("used_in", used)
}

/// 409 for a slug written by hand.
fn slug_taken(slug: &str) -> Problem {
    Problem::new(
        Code::SlugTaken,
        format!("The slug {slug:?} is taken: choose another, or leave it out to have one made."),
    )
}

/// Refuses a deletion while anything uses the item.
fn refuse_if_used(what: &str, used_in: Vec<UsedBy>) -> Result<()> {
    if used_in.is_empty() {
        Ok(())
    } else {
        Err(in_use(what, used_in))
    }
}
