//! Sections: what a section is, how editors ask for it, how it is kept.

use actix_web::{HttpRequest, delete, get, patch, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::store::{Kind, announce, insert, patched_slug, used_in};
use super::{check_name, refuse_if_used};
use crate::app::State;
use crate::audit::{self, Actor};
use crate::auth::{Caller, Role};
use crate::conditional::{Guard, IfMatch};
use crate::db::{Conn, Tx};
use crate::error::{Problem, Result, UsedBy};
use crate::idempotency::{Answer, IdempotencyKey, write_once};
use crate::page::{Key, PageInfo, PageQuery, Start};
use crate::request::{Body, FromParams, IdempotencyParam, IfMatchParam, Params, PathId, Query};
use crate::schema::sections;
use crate::text::{Check, like_pattern, sort_key};
use crate::types::{Id, Patch, Time};
use crate::{keyset, page_type};

/// A section as editors see it.
#[derive(Debug, Clone, Serialize, Queryable, ToSchema)]
pub struct SectionRecord {
    /// The id.
    pub id: Id,
    /// Unique among sections; part of stories' addresses.
    #[schema(example = "thoi-su")]
    pub slug: String,
    /// The name readers see.
    #[schema(example = "Thời sự")]
    pub name: String,
    #[serde(skip)]
    #[schema(ignore)]
    name_key: String,
    /// What the section is about.
    #[schema(required = true, example = "Tin trong tỉnh, trong nước")]
    pub description: Option<String>,
    /// The section this one belongs under; a section has one level of children.
    #[schema(required = true)]
    pub parent_id: Option<Id>,
    /// Order in menus, ascending.
    #[schema(minimum = 0, maximum = 1_000_000, example = 1)]
    pub position: i64,
    /// The language of the section; null when it has stories of several.
    #[schema(required = true, example = "vi")]
    pub language: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Raised by every change; `ETag` is this in quotation marks.
    #[schema(minimum = 1, example = 3)]
    pub version: i64,
}

page_type! {
    /// A page of sections.
    SectionRecordPage of SectionRecord
}

/// A new section.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SectionCreate {
    /// The name readers see.
    #[schema(min_length = 1, max_length = 100, example = "Thời sự")]
    pub name: String,
    /// Made from the name when absent.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 150, example = "thoi-su")]
    pub slug: Option<String>,
    /// What the section is about.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub description: Option<String>,
    /// The section this one belongs under.
    #[serde(default)]
    pub parent_id: Option<Id>,
    /// Order in menus, ascending; at the end when absent.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub position: Option<i64>,
    /// The language of the section.
    #[serde(default)]
    #[schema(example = "vi")]
    pub language: Option<String>,
}

/// Changes of a section; what is absent stays, null clears.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SectionPatch {
    /// The name readers see.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 100, example = "Thời sự")]
    pub name: Patch<String>,
    /// A new slug; null makes one from the name.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, min_length = 1, max_length = 150)]
    pub slug: Patch<String>,
    /// What the section is about.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 1000)]
    pub description: Patch<String>,
    /// The section this one belongs under.
    #[serde(default)]
    #[schema(value_type = Option<Id>, required = false)]
    pub parent_id: Patch<Id>,
    /// Order in menus, ascending.
    #[serde(default)]
    #[schema(value_type = i64, required = false, minimum = 0, maximum = 1_000_000)]
    pub position: Patch<i64>,
    /// The language of the section.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, example = "vi")]
    pub language: Patch<String>,
}

/// Filters and order of the list of sections.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SectionQuery {
    /// Part of the name, with or without accents.
    #[param(required = false, nullable = false, value_type = String, max_length = 200)]
    q: Option<String>,
    /// The order; a dash turns it round.
    #[param(inline, required = false, example = "position")]
    sort: Sort,
    #[param(ignore)]
    page: PageQuery,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
enum Sort {
    #[serde(rename = "position")]
    Position,
    #[serde(rename = "-position")]
    PositionDown,
    #[serde(rename = "name")]
    Name,
    #[serde(rename = "-name")]
    NameDown,
}

const SORTS: &[(&str, Sort)] = &[
    ("position", Sort::Position),
    ("-position", Sort::PositionDown),
    ("name", Sort::Name),
    ("-name", Sort::NameDown),
];

impl FromParams for SectionQuery {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self {
            q: params.words("q")?,
            sort: params.choice("sort", SORTS)?.unwrap_or(Sort::Position),
            page: PageQuery::take(params)?,
        })
    }
}

/// The last place in a menu.
const MAX_POSITION: i64 = 1_000_000;

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(list_sections)
        .service(create_section)
        .service(get_section)
        .service(update_section)
        .service(delete_section);
}

/// List sections.
///
/// All sections, also those no published story uses yet, by `position` or `name`.
#[utoipa::path(
    tag = "sections",
    params(SectionQuery, PageQuery),
    responses((status = 200, description = "A page of sections.", body = SectionRecordPage))
)]
#[get("/sections")]
async fn list_sections(app: State, _caller: Caller, query: Query<SectionQuery>, req: HttpRequest) -> Result<Answer> {
    let query = query.0;
    let sample = if matches!(query.sort, Sort::Name | Sort::NameDown) {
        Key::Text(String::new())
    } else {
        Key::Int(0)
    };
    let start = query
        .page
        .start(&format!("sections {:?} {:?}", query.sort, query.q), &sample)?;
    let public_url = app.config.public_url.clone();
    let (data, page) = app.db.read(move |conn| list(conn, &query, &start)).await?;
    let link = page.link(&public_url, &req);
    Ok(Answer::ok(&SectionRecordPage { data, page })?.maybe_header("Link", link))
}

/// Create a section.
///
/// Needs the role editor. The slug is made from the name unless one is given.
#[utoipa::path(
    tag = "sections",
    params(IdempotencyParam),
    request_body = SectionCreate,
    responses(
        (status = 201, description = "The new section.", body = SectionRecord),
        (status = 409, description = "The slug is taken."),
    )
)]
#[post("/sections")]
async fn create_section(app: State, caller: Caller, idempotency: IdempotencyKey, body: Body) -> Result<Answer> {
    caller.at_least(Role::Editor)?;
    let input = body.json::<SectionCreate>().await?;
    let new = checked(input.value)?;
    let actor = Actor::from(&caller);
    write_once(&app, idempotency.of(caller.id.as_str(), &input.hash), move |tx| {
        let section = create(tx, &actor, new.clone())?;
        Ok(Answer::created(format!("/management/v1/sections/{}", section.id), &section)?.version(section.version))
    })
    .await
}

/// Get a section.
///
/// Also one that no published story uses yet.
#[utoipa::path(
    tag = "sections",
    params(("id" = Id, Path, description = "The section's id.")),
    responses((status = 200, description = "The section.", body = SectionRecord))
)]
#[get("/sections/{id}")]
async fn get_section(app: State, _caller: Caller, id: PathId) -> Result<Answer> {
    let section = app.db.read(move |conn| get(conn, &id.0)).await?;
    Ok(Answer::ok(&section)?.version(section.version))
}

/// Change a section.
///
/// Needs the role editor. A merge patch (RFC 7396), also taken as `application/json`. A new name shows in every published story at once.
#[utoipa::path(
    tag = "sections",
    params(("id" = Id, Path, description = "The section's id."), IfMatchParam),
    request_body(content = SectionPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The section as it is now.", body = SectionRecord),
        (status = 409, description = "The slug is taken."),
    )
)]
#[patch("/sections/{id}")]
async fn update_section(app: State, caller: Caller, id: PathId, if_match: IfMatch, body: Body) -> Result<Answer> {
    let PathId(id) = id;
    let wanted = id.clone();
    app.db.read(move |conn| get(conn, &wanted)).await?;
    caller.at_least(Role::Editor)?;
    let patch = body.patch::<SectionPatch>().await?;
    let patch = checked_patch(patch)?;
    let guard = if_match.required()?;
    let actor = Actor::from(&caller);
    let section = app
        .db
        .write(move |tx| update(tx, &actor, &id, &guard, patch.clone()))
        .await?;
    Ok(Answer::ok(&section)?.version(section.version))
}

/// Delete a section.
///
/// Needs the role editor. 409 while an article, also a trashed one, or a child section uses it.
#[utoipa::path(
    tag = "sections",
    params(("id" = Id, Path, description = "The section's id."), IfMatchParam),
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, description = "It is in use; `used_in` says where."),
    )
)]
#[delete("/sections/{id}")]
async fn delete_section(app: State, caller: Caller, id: PathId, if_match: IfMatch) -> Result<Answer> {
    let PathId(id) = id;
    let wanted = id.clone();
    app.db.read(move |conn| get(conn, &wanted)).await?;
    caller.at_least(Role::Editor)?;
    let guard = if_match.required()?;
    let actor = Actor::from(&caller);
    app.db.write(move |tx| delete(tx, &actor, &id, &guard)).await?;
    Ok(Answer::no_content())
}

fn checked(mut new: SectionCreate) -> Result<SectionCreate> {
    let mut check = Check::new();
    new.name = check.line("/name", &new.name, 100);
    new.slug = new.slug.map(|slug| check.slug("/slug", &slug));
    new.description = check.optional_text("/description", new.description.as_deref(), 1000);
    new.language = new.language.map(|language| check.language("/language", &language));
    check_position(&mut check, new.position);
    check.done()?;
    Ok(new)
}

fn checked_patch(mut patch: SectionPatch) -> Result<SectionPatch> {
    let mut check = Check::new();
    check_name(&mut check, &mut patch.name);
    if let Patch::Set(slug) = &patch.slug {
        check.slug("/slug", slug);
    }
    patch.description = patch
        .description
        .map(|text| check.optional_text("/description", Some(&text), 1000));
    if let Patch::Set(language) = &patch.language {
        check.language("/language", language);
    }
    match patch.position {
        Patch::Set(position) => check_position(&mut check, Some(position)),
        Patch::Clear => check.fail("/position", "required", "A section has a position."),
        Patch::Keep => {}
    }
    check.done()?;
    Ok(patch)
}

fn check_position(check: &mut Check, position: Option<i64>) {
    if position.is_some_and(|position| !(0..=MAX_POSITION).contains(&position)) {
        check.fail(
            "/position",
            "out_of_range",
            "A position is a whole number from 0 to 1000000.",
        );
    }
}

fn list(conn: &mut Conn, query: &SectionQuery, start: &Start) -> Result<(Vec<SectionRecord>, PageInfo)> {
    let filtered = || {
        let mut rows = sections::table.into_boxed();
        if let Some(q) = &query.q {
            rows = rows.filter(sections::name_key.like(like_pattern(q)).escape('\\'));
        }
        rows
    };
    let total = match query.page.include_total {
        true => Some(filtered().count().get_result::<i64>(conn)?),
        false => None,
    };
    let rows: Vec<SectionRecord> = match query.sort {
        Sort::Position => keyset!(filtered(), start, false, sections::position, sections::id, int).load(conn)?,
        Sort::PositionDown => keyset!(filtered(), start, true, sections::position, sections::id, int).load(conn)?,
        Sort::Name => keyset!(filtered(), start, false, sections::name_key, sections::id, text).load(conn)?,
        Sort::NameDown => keyset!(filtered(), start, true, sections::name_key, sections::id, text).load(conn)?,
    };
    let by_name = matches!(query.sort, Sort::Name | Sort::NameDown);
    Ok(start.finish(rows, total, |row| {
        let key = if by_name {
            Key::Text(row.name_key.clone())
        } else {
            Key::Int(row.position)
        };
        (key, row.id.to_string())
    }))
}

fn get(conn: &mut Conn, id: &Id) -> Result<SectionRecord> {
    let found = sections::table.find(id).first(conn).optional()?;
    found.ok_or_else(|| Problem::not_found("section"))
}

/// A parent is a section without a parent of its own. Its row stays locked until the transaction ends, so that it does
/// not get a parent in the same moment.
fn check_parent(conn: &mut Conn, parent: &Id, own: Option<&Id>) -> Result<()> {
    let refuse = |detail: &str| Err(Problem::invalid("/parent_id", "invalid_reference", detail));
    let found: Option<Option<Id>> = diesel::update(sections::table.find(parent))
        .set(sections::version.eq(sections::version))
        .returning(sections::parent_id)
        .get_result(conn)
        .optional()?;
    match found {
        None => return refuse("There is no such section."),
        Some(Some(_)) => return refuse("That section has a parent itself: sections have two levels."),
        Some(None) => {}
    }
    let Some(own) = own else { return Ok(()) };
    if own == parent {
        return refuse("A section cannot be its own parent.");
    }
    let children: i64 = sections::table
        .filter(sections::parent_id.eq(own))
        .count()
        .get_result(conn)?;
    if children > 0 {
        refuse("This section has children: sections have two levels.")
    } else {
        Ok(())
    }
}

/// Makes a section.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: SectionCreate) -> Result<SectionRecord> {
    if let Some(parent) = &new.parent_id {
        check_parent(tx.conn, parent, None)?;
    }
    let last: Option<i64> = sections::table
        .select(diesel::dsl::max(sections::position))
        .first(tx.conn)?;
    let end = last.map_or(1, |last| (last + 1).min(MAX_POSITION));
    let id = insert(tx, Kind::Section, &new.name, new.slug.as_deref())?;
    let section: SectionRecord = diesel::update(sections::table.find(&id))
        .set((
            sections::description.eq(&new.description),
            sections::parent_id.eq(&new.parent_id),
            sections::position.eq(new.position.unwrap_or(end)),
            sections::language.eq(&new.language),
        ))
        .returning(sections::all_columns)
        .get_result(tx.conn)?;
    audit::record(
        tx,
        actor,
        "section.create",
        "section",
        &section.id,
        json!({ "name": section.name }),
    )?;
    Ok(section)
}

/// Takes the row's lock and its next version: from here to the end of the transaction nobody else writes it.
fn claim(tx: &mut Tx<'_>, id: &Id, guard: &Guard) -> Result<SectionRecord> {
    let claimed: Option<SectionRecord> = diesel::update(sections::table.find(id))
        .set((
            sections::version.eq(sections::version + 1),
            sections::updated_ms.eq(tx.now),
        ))
        .returning(sections::all_columns)
        .get_result(tx.conn)
        .optional()?;
    let section = claimed.ok_or_else(|| Problem::not_found("section"))?;
    guard.check(section.version - 1)?;
    Ok(section)
}

fn update(tx: &mut Tx<'_>, actor: &Actor, id: &Id, guard: &Guard, patch: SectionPatch) -> Result<SectionRecord> {
    let mut section = claim(tx, id, guard)?;
    let before = section.clone();
    if let Patch::Set(parent) = &patch.parent_id {
        check_parent(tx.conn, parent, Some(id))?;
    }
    if let Patch::Set(name) = patch.name {
        section.name = name;
    }
    section.slug = patched_slug(tx, Kind::Section, &section.name, patch.slug, section.slug)?;
    patch.description.apply(&mut section.description);
    patch.parent_id.apply(&mut section.parent_id);
    patch.language.apply(&mut section.language);
    if let Patch::Set(position) = patch.position {
        section.position = position;
    }
    section.name_key = sort_key(&section.name);
    diesel::update(sections::table.find(id))
        .set((
            sections::slug.eq(&section.slug),
            sections::name.eq(&section.name),
            sections::name_key.eq(&section.name_key),
            sections::description.eq(&section.description),
            sections::parent_id.eq(&section.parent_id),
            sections::position.eq(section.position),
            sections::language.eq(&section.language),
        ))
        .execute(tx.conn)?;
    announce(tx, Kind::Section, id)?;
    let data = json!({ "before": { "name": before.name, "slug": before.slug }, "after": { "name": section.name, "slug": section.slug } });
    audit::record(tx, actor, "section.update", "section", id, data)?;
    Ok(section)
}

fn delete(tx: &mut Tx<'_>, actor: &Actor, id: &Id, guard: &Guard) -> Result<()> {
    let section = claim(tx, id, guard)?;
    let mut used = used_in(tx.conn, Kind::Section, id)?;
    let children: Vec<(Id, String)> = sections::table
        .filter(sections::parent_id.eq(id))
        .select((sections::id, sections::name))
        .limit(10)
        .load(tx.conn)?;
    used.extend(children.into_iter().map(|(id, title)| UsedBy {
        kind: "section".into(),
        id: id.to_string(),
        title,
    }));
    refuse_if_used("section", used)?;
    diesel::delete(sections::table.find(id)).execute(tx.conn)?;
    audit::record(
        tx,
        actor,
        "section.delete",
        "section",
        id,
        json!({ "name": section.name, "slug": section.slug }),
    )
}
