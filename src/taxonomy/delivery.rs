//! How readers ask for sections, tags and authors: only those that a live publication uses.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get};
use diesel::dsl::exists;
use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::store::{Kind, find_id, is_public, public_sections};
use crate::app::State;
use crate::cache::{Outcome, Target, serve};
use crate::changes;
use crate::conditional::Made;
use crate::config::Config;
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::images::delivered::{DeliveredImage, image_files_of};
use crate::page::{Key, PageInfo, PageQuery, Start};
use crate::request::{NoParams, PathRef, Query};
use crate::schema::{authors, publication_authors, publication_tags, sections, tags};
use crate::types::{Id, Time};
use crate::{keyset, page_type};

/// A section of the site.
#[derive(Debug, Clone, Serialize, Queryable, Selectable, ToSchema)]
#[diesel(table_name = sections)]
pub struct Section {
    /// The id.
    pub id: Id,
    /// Part of stories' addresses.
    #[schema(example = "thoi-su")]
    pub slug: String,
    /// The name.
    #[schema(example = "Thời sự")]
    pub name: String,
    /// What the section is about.
    #[schema(required = true, example = "Tin trong tỉnh, trong nước")]
    pub description: Option<String>,
    /// The section this one belongs under.
    #[schema(required = true)]
    pub parent_id: Option<Id>,
    /// Order in menus, ascending.
    #[schema(minimum = 0, maximum = 1_000_000, example = 1)]
    pub position: i64,
    /// The language of the section; null when it has stories of several.
    #[schema(required = true, example = "vi")]
    pub language: Option<String>,
    #[serde(skip)]
    #[schema(ignore)]
    #[diesel(column_name = updated_ms)]
    changed: Time,
}

page_type! {
    /// A page of sections.
    SectionPage of Section
}

/// A tag across sections.
#[derive(Debug, Clone, Serialize, Queryable, Selectable, ToSchema)]
#[diesel(table_name = tags)]
pub struct Tag {
    /// The id.
    pub id: Id,
    /// The slug.
    #[schema(example = "nong-nghiep")]
    pub slug: String,
    /// The name.
    #[schema(example = "Nông nghiệp")]
    pub name: String,
    #[serde(skip)]
    #[schema(ignore)]
    name_key: String,
    #[serde(skip)]
    #[schema(ignore)]
    #[diesel(column_name = updated_ms)]
    changed: Time,
}

page_type! {
    /// A page of tags.
    TagPage of Tag
}

/// Who stories are by.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Author {
    /// The id.
    pub id: Id,
    /// The slug.
    #[schema(example = "minh-chau")]
    pub slug: String,
    /// The name.
    #[schema(example = "Minh Châu")]
    pub name: String,
    /// What the author does in the newsroom.
    #[schema(required = true, example = "Phóng viên")]
    pub role: Option<String>,
    /// A few words about the author.
    #[schema(required = true)]
    pub bio: Option<String>,
    /// The author's picture.
    #[schema(required = true, value_type = Option<DeliveredImage>)]
    pub image: Option<Arc<DeliveredImage>>,
    #[serde(skip)]
    #[schema(ignore)]
    name_key: String,
    #[serde(skip)]
    #[schema(ignore)]
    changed: Time,
}

page_type! {
    /// A page of authors.
    AuthorPage of Author
}

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(list_sections)
        .service(get_section)
        .service(list_tags)
        .service(get_tag)
        .service(list_authors)
        .service(get_author);
}

/// List sections.
///
/// The sections that published stories are in, and their parents, by `position`: the site's menu.
#[utoipa::path(
    tag = "sections",
    params(PageQuery),
    responses((status = 200, description = "A page of sections.", body = SectionPage))
)]
#[get("/sections")]
async fn list_sections(app: State, query: Query<PageQuery>, req: HttpRequest) -> Result<HttpResponse> {
    let start = query.0.start("delivered sections", &Key::Int(0))?;
    let (state, target) = (app.clone(), Target::of(&req));
    serve(&app, &req, move |conn| {
        let (data, page) = sections_of_page(conn, query.0.include_total, &start)?;
        let newest = newest(conn, data.iter().map(|section| section.changed))?;
        let link = page.link_at(&state.config.public_url, &target.path, &target.query);
        answer(
            &SectionPage { data, page },
            newest,
            keys(Kind::Section, Vec::new()),
            link,
        )
    })
    .await
}

/// Get a section.
///
/// By its id or its slug.
#[utoipa::path(
    tag = "sections",
    params(("section" = String, Path, description = "The section's id or slug.")),
    responses((status = 200, description = "The section.", body = Section))
)]
#[get("/sections/{section}")]
async fn get_section(app: State, section: PathRef, _: Query<NoParams>, req: HttpRequest) -> Result<HttpResponse> {
    serve(&app, &req, move |conn| {
        let section = section_of(conn, &section)?;
        let keys = keys(Kind::Section, vec![Kind::Section.key(&section.id)]);
        answer(&section, Some(section.changed), keys, None)
    })
    .await
}

/// List tags.
///
/// The tags of published stories, by name.
#[utoipa::path(
    tag = "tags",
    params(PageQuery),
    responses((status = 200, description = "A page of tags.", body = TagPage))
)]
#[get("/tags")]
async fn list_tags(app: State, query: Query<PageQuery>, req: HttpRequest) -> Result<HttpResponse> {
    let start = query.0.start("delivered tags", &Key::Text(String::new()))?;
    let (state, target) = (app.clone(), Target::of(&req));
    serve(&app, &req, move |conn| {
        let (data, page) = tags_of_page(conn, query.0.include_total, &start)?;
        let newest = newest(conn, data.iter().map(|tag| tag.changed))?;
        let link = page.link_at(&state.config.public_url, &target.path, &target.query);
        answer(&TagPage { data, page }, newest, keys(Kind::Tag, Vec::new()), link)
    })
    .await
}

/// Get a tag.
///
/// By its id or its slug.
#[utoipa::path(
    tag = "tags",
    params(("tag" = String, Path, description = "The tag's id or slug.")),
    responses((status = 200, description = "The tag.", body = Tag))
)]
#[get("/tags/{tag}")]
async fn get_tag(app: State, tag: PathRef, _: Query<NoParams>, req: HttpRequest) -> Result<HttpResponse> {
    serve(&app, &req, move |conn| {
        let tag = tag_of(conn, &tag)?;
        let keys = keys(Kind::Tag, vec![Kind::Tag.key(&tag.id)]);
        answer(&tag, Some(tag.changed), keys, None)
    })
    .await
}

/// List authors.
///
/// The authors of published stories, by name.
#[utoipa::path(
    tag = "authors",
    params(PageQuery),
    responses((status = 200, description = "A page of authors.", body = AuthorPage))
)]
#[get("/authors")]
async fn list_authors(app: State, query: Query<PageQuery>, req: HttpRequest) -> Result<HttpResponse> {
    let start = query.0.start("delivered authors", &Key::Text(String::new()))?;
    let (state, target) = (app.clone(), Target::of(&req));
    serve(&app, &req, move |conn| {
        let (data, page) = authors_of_page(conn, &state.config, query.0.include_total, &start)?;
        let newest = newest(conn, data.iter().map(|author| author.changed))?;
        let link = page.link_at(&state.config.public_url, &target.path, &target.query);
        let keys = keys(Kind::Author, image_keys(&data));
        answer(&AuthorPage { data, page }, newest, keys, link)
    })
    .await
}

/// Get an author.
///
/// By the author's id or slug.
#[utoipa::path(
    tag = "authors",
    params(("author" = String, Path, description = "The author's id or slug.")),
    responses((status = 200, description = "The author.", body = Author))
)]
#[get("/authors/{author}")]
async fn get_author(app: State, author: PathRef, _: Query<NoParams>, req: HttpRequest) -> Result<HttpResponse> {
    let state = app.clone();
    serve(&app, &req, move |conn| {
        let author = author_of(conn, &state.config, &author)?;
        let mut own = vec![Kind::Author.key(&author.id)];
        own.extend(image_keys(std::slice::from_ref(&author)));
        answer(&author, Some(author.changed), keys(Kind::Author, own), None)
    })
    .await
}

/// The purge keys of an answer about one kind: the items carry the list's too, because what takes an item out of the
/// list takes it from its own address as well.
fn keys(kind: Kind, own: Vec<String>) -> Vec<String> {
    std::iter::once(kind.list_key().to_owned()).chain(own).collect()
}

fn answer(value: &impl Serialize, newest: Option<Time>, keys: Vec<String>, link: Option<String>) -> Result<Outcome> {
    Made::json(value, newest, keys, link).map(Outcome::Here)
}

/// The newest thing a list is made of. An item that left it has left no time of its own behind, so the time of the
/// last public change stands in.
fn newest(conn: &mut Conn, items: impl Iterator<Item = Time>) -> Result<Option<Time>> {
    Ok(items.max().max(changes::newest(conn)?))
}

/// The id of an item that readers may know of.
fn public_id(conn: &mut Conn, kind: Kind, what: &str, reference: &PathRef) -> Result<Id> {
    match find_id(conn, kind, reference.as_str())? {
        Some(id) if is_public(conn, kind, &id)? => Ok(id),
        _ => Err(Problem::not_found(what)),
    }
}

fn sections_of_page(conn: &mut Conn, count: bool, start: &Start) -> Result<(Vec<Section>, PageInfo)> {
    let public = public_sections(conn)?;
    let rows = sections::table.filter(sections::id.eq_any(&public)).into_boxed();
    let total = count.then_some(public.len() as i64);
    let rows: Vec<Section> = keyset!(rows, start, false, sections::position, sections::id, int)
        .select(Section::as_select())
        .load(conn)?;
    Ok(start.finish(rows, total, |row| (Key::Int(row.position), row.id.to_string())))
}

fn section_of(conn: &mut Conn, reference: &PathRef) -> Result<Section> {
    let id = public_id(conn, Kind::Section, "section", reference)?;
    Ok(sections::table.find(id).select(Section::as_select()).first(conn)?)
}

fn tags_of_page(conn: &mut Conn, count: bool, start: &Start) -> Result<(Vec<Tag>, PageInfo)> {
    let public = || {
        let uses = publication_tags::table.filter(publication_tags::ref_id.eq(tags::id));
        tags::table.filter(exists(uses)).into_boxed()
    };
    let total = match count {
        true => Some(public().count().get_result::<i64>(conn)?),
        false => None,
    };
    let rows: Vec<Tag> = keyset!(public(), start, false, tags::name_key, tags::id, text)
        .select(Tag::as_select())
        .load(conn)?;
    Ok(start.finish(rows, total, |row| (Key::Text(row.name_key.clone()), row.id.to_string())))
}

fn tag_of(conn: &mut Conn, reference: &PathRef) -> Result<Tag> {
    let id = public_id(conn, Kind::Tag, "tag", reference)?;
    Ok(tags::table.find(id).select(Tag::as_select()).first(conn)?)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = authors)]
struct AuthorRow {
    id: Id,
    slug: String,
    name: String,
    name_key: String,
    role: Option<String>,
    bio: Option<String>,
    image_id: Option<Id>,
    #[diesel(column_name = updated_ms)]
    changed: Time,
}

fn authors_of_page(conn: &mut Conn, config: &Config, count: bool, start: &Start) -> Result<(Vec<Author>, PageInfo)> {
    let public = || {
        let uses = publication_authors::table.filter(publication_authors::ref_id.eq(authors::id));
        authors::table.filter(exists(uses)).into_boxed()
    };
    let total = match count {
        true => Some(public().count().get_result::<i64>(conn)?),
        false => None,
    };
    let rows: Vec<AuthorRow> = keyset!(public(), start, false, authors::name_key, authors::id, text)
        .select(AuthorRow::as_select())
        .load(conn)?;
    let rows = with_images(conn, config, rows)?;
    Ok(start.finish(rows, total, |row| (Key::Text(row.name_key.clone()), row.id.to_string())))
}

fn author_of(conn: &mut Conn, config: &Config, reference: &PathRef) -> Result<Author> {
    let id = public_id(conn, Kind::Author, "author", reference)?;
    let row: AuthorRow = authors::table.find(id).select(AuthorRow::as_select()).first(conn)?;
    with_images(conn, config, vec![row])?
        .pop()
        .ok_or_else(|| Problem::internal("an author was lost"))
}

fn with_images(conn: &mut Conn, config: &Config, rows: Vec<AuthorRow>) -> Result<Vec<Author>> {
    let ids: Vec<Id> = rows.iter().filter_map(|row| row.image_id.clone()).collect();
    let files = image_files_of(conn, config, &ids)?;
    let author = |row: AuthorRow| {
        let file = row.image_id.and_then(|id| files.get(&id));
        Author {
            image: file.map(|file| Arc::clone(file.image())),
            id: row.id,
            slug: row.slug,
            name: row.name,
            role: row.role,
            bio: row.bio,
            name_key: row.name_key,
            changed: file.map_or(row.changed, |file| row.changed.max(file.changed())),
        }
    };
    Ok(rows.into_iter().map(author).collect())
}

/// The purge keys of authors' pictures.
fn image_keys(authors: &[Author]) -> Vec<String> {
    let images = authors.iter().filter_map(|author| author.image.as_ref());
    images.map(|image| changes::key('i', &image.id)).collect()
}
