//! What stories are sorted by: sections, tags, authors. Renaming one shows in every story at once.

pub mod authors;
pub mod delivery;
pub mod management;
pub mod sections;
mod store;
pub mod tags;

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::error::{Code, Problem, Result, UsedBy};
use crate::page::{Key, PageQuery, Start};
use crate::request::{FromParams, Params};
use crate::text::{Check, is_slug, slugify};
use crate::types::{Id, Patch};

pub use store::{Kind, Name, find_ids, is_public, names_of};

/// Longest name, in characters.
const NAME_LENGTH: usize = 100;

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

/// Filters and order of the lists of tags and of authors.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
struct NameQuery {
    /// Part of the name, with or without accents.
    #[param(required = false, nullable = false, value_type = String, max_length = 200)]
    q: Option<String>,
    /// The order; a dash turns it round.
    #[param(inline, required = false, example = "name")]
    sort: NameSort,
    #[param(ignore)]
    page: PageQuery,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
enum NameSort {
    #[serde(rename = "name")]
    Name,
    #[serde(rename = "-name")]
    NameDown,
}

const NAME_SORTS: &[(&str, NameSort)] = &[("name", NameSort::Name), ("-name", NameSort::NameDown)];

impl FromParams for NameQuery {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self {
            q: params.words("q")?,
            sort: params.choice("sort", NAME_SORTS)?.unwrap_or(NameSort::Name),
            page: PageQuery::take(params)?,
        })
    }
}

impl NameQuery {
    /// The start of the page of the list with this name.
    fn start(&self, list: &str) -> Result<Start> {
        let describe = format!("{list} {:?} {:?}", self.sort, self.q);
        self.page.start(&describe, &Key::Text(String::new()))
    }

    /// Whether the names fall.
    fn falling(&self) -> bool {
        self.sort == NameSort::NameDown
    }
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
                    format!("n-{}", Id::new().random_end())
                },
                false,
            )
        }
    }
}

/// Checks the name in a patch.
fn check_name(check: &mut Check, name: &mut Patch<String>) {
    match name {
        Patch::Set(text) => *text = check.line("/name", text, NAME_LENGTH),
        Patch::Clear => check.fail("/name", "required", "A name is needed: it can be changed, not removed."),
        Patch::Keep => {}
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
