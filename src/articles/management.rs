//! How editors ask for articles.

use std::sync::Arc;

use actix_web::{HttpRequest, delete, get, patch, post};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::action::Action;
use super::compose::figure_html;
use super::draft::Draft;
use super::input::{ArticleCreate, ArticlePatch, EmptyInput, LONG, PublishInput, UnpublishInput};
use super::record::{WorkingArticle, WorkingArticleSummary, answer, fresh, summaries, whole};
use super::review::store as review;
use super::store::{ArticleRow, erase, get, update};
use super::{Status, publication};
use crate::app::State;
use crate::auth::{Caller, Role};
use crate::conditional::IfMatch;
use crate::db::{Conn, Tx};
use crate::error::Result;
use crate::idempotency::{Answer, IdempotencyKey, write_once_prepared};
use crate::images::delivered::image_files_of;
use crate::literals::Live;
use crate::page::{Key, PageInfo, PageQuery, Start};
use crate::request::{Body, FromParams, IdempotencyParam, IfMatchParam, Params, PathId, Query};
use crate::schedules;
use crate::schema::{article_authors, article_tags, articles, publication_authors, publication_tags, publications};
use crate::taxonomy::{self, Kind};
use crate::text::{Check, like_pattern};
use crate::types::{Id, Time};
use crate::{keyset, page_type};

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(list_articles)
        .service(create_article)
        .service(get_article)
        .service(update_article)
        .service(erase_article)
        .service(publish_article)
        .service(unpublish_article)
        .service(trash_article)
        .service(restore_article)
        .configure(super::batch::management::mount)
        .configure(super::corrections::management::mount)
        .configure(super::review::management::mount)
        .configure(super::revisions::management::mount);
}

page_type! {
    /// A page of working copies.
    WorkingArticlePage of WorkingArticleSummary
}

/// Orders of the list; a dash turns them round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum WorkingArticleSort {
    /// Least recently changed first.
    #[serde(rename = "updated_at")]
    UpdatedAt,
    /// Most recently changed first.
    #[serde(rename = "-updated_at")]
    UpdatedAtDown,
    /// Oldest first.
    #[serde(rename = "created_at")]
    CreatedAt,
    /// Newest first.
    #[serde(rename = "-created_at")]
    CreatedAtDown,
    /// By headline, without regard to accents.
    #[serde(rename = "title")]
    Title,
    /// By headline, from the end.
    #[serde(rename = "-title")]
    TitleDown,
}

const SORTS: &[(&str, WorkingArticleSort)] = &[
    ("updated_at", WorkingArticleSort::UpdatedAt),
    ("-updated_at", WorkingArticleSort::UpdatedAtDown),
    ("created_at", WorkingArticleSort::CreatedAt),
    ("-created_at", WorkingArticleSort::CreatedAtDown),
    ("title", WorkingArticleSort::Title),
    ("-title", WorkingArticleSort::TitleDown),
];

/// Other forms of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkingArticleInclude {
    /// The body as HTML.
    Html,
    /// The body as Markdown.
    Markdown,
    /// The body as plain text.
    Text,
}

/// Filters and order of the list. Several values of one filter mean any of them.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WorkingArticleQuery {
    /// In one of these states; everything but the trash when absent.
    #[param(required = false)]
    status: Vec<Status>,
    /// Of these sections (slugs or ids).
    #[param(required = false, max_items = 50)]
    section: Vec<String>,
    /// With one of these tags (slugs or ids).
    #[param(required = false, max_items = 50)]
    tag: Vec<String>,
    /// By one of these authors (slugs or ids).
    #[param(required = false, max_items = 50)]
    author: Vec<String>,
    /// Owned by one of these editors.
    #[param(required = false, max_items = 50)]
    owner: Vec<Id>,
    /// In these languages.
    #[param(required = false, max_items = 20)]
    language: Vec<String>,
    /// Words in headline, kicker, lead or slug, with or without accents. Of other writers' stories only the public
    /// headline is looked at.
    #[param(required = false, nullable = false, value_type = String, max_length = 200)]
    q: Option<String>,
    /// Changed at this time or later.
    #[param(required = false, nullable = false, value_type = Time)]
    updated_after: Option<Time>,
    /// The order.
    #[param(required = false)]
    sort: WorkingArticleSort,
    #[param(ignore)]
    page: PageQuery,
}

impl FromParams for WorkingArticleQuery {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self {
            status: params.several("status", Status::NAMES)?,
            section: params.references("section")?,
            tag: params.references("tag")?,
            author: params.references("author")?,
            owner: params.ids("owner", 50)?,
            language: params.many("language", 20)?,
            q: params.words("q")?,
            updated_after: params.time("updated_after")?,
            sort: params
                .choice("sort", SORTS)?
                .unwrap_or(WorkingArticleSort::UpdatedAtDown),
            page: PageQuery::take(params)?,
        })
    }
}

/// Additions to one article.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OneQuery {
    /// Other forms of the body to add.
    #[param(required = false)]
    include: Vec<WorkingArticleInclude>,
}

impl FromParams for OneQuery {
    fn take(params: &mut Params) -> Result<Self> {
        let known = [
            ("html", WorkingArticleInclude::Html),
            ("markdown", WorkingArticleInclude::Markdown),
            ("text", WorkingArticleInclude::Text),
        ];
        Ok(Self {
            include: params.include(&known)?,
        })
    }
}

/// List articles.
///
/// Working copies, most recently changed first. Writers see their own and, as published, what readers see of others'.
#[utoipa::path(
    tag = "articles",
    params(WorkingArticleQuery, PageQuery),
    responses((status = 200, description = "A page of articles.", body = WorkingArticlePage))
)]
#[get("/articles")]
async fn list_articles(
    app: State,
    caller: Caller,
    query: Query<WorkingArticleQuery>,
    req: HttpRequest,
) -> Result<Answer> {
    let query = query.0;
    let by_title = matches!(query.sort, WorkingArticleSort::Title | WorkingArticleSort::TitleDown);
    let sample = if by_title {
        Key::Text(String::new())
    } else {
        Key::Int(0)
    };
    let mut plain = query.clone();
    plain.page = PageQuery::default();
    let start = query.page.start(&format!("working {plain:?}"), &sample)?;
    let (data, page) = app.db.read(move |conn| list(conn, &caller, &query, &start)).await?;
    let link = page.link(&app.config.public_url, &req);
    Ok(Answer::ok(&WorkingArticlePage { data, page })?.maybe_header("Link", link))
}

/// Create an article.
///
/// A draft of the caller's. Send the body as Portable Text (`body`), Markdown (`body_markdown`) or HTML (`body_html`).
#[utoipa::path(
    tag = "articles",
    params(IdempotencyParam),
    request_body = ArticleCreate,
    responses(
        (status = 201, description = "The new article.", body = WorkingArticle),
        (status = 409, description = "The slug is taken, or the story has an article in that language."),
    )
)]
#[post("/articles")]
async fn create_article(app: State, caller: Caller, idempotency: IdempotencyKey, body: Body) -> Result<Answer> {
    let input = body.json::<ArticlePatch>().await?;
    let changes = input.value.checked_aside(true).await?;
    if changes.owner().is_some_and(|owner| *owner != caller.id) {
        caller.at_least(Role::Editor)?;
    }
    let once = idempotency.of(caller.id.as_str(), &input.hash);
    let caller = Arc::new(caller);
    let (preparer, writer) = (Arc::clone(&caller), Arc::clone(&caller));
    let aside = input.length > LONG;
    let prepare = move |conn: &mut Conn| Draft::prepare(conn, &preparer, &changes);
    let write = move |tx: &mut Tx<'_>, draft: &Draft| draft.write(tx, &writer);
    let answer = move |draft: &Draft, written| {
        let (row, snapshot) = draft.result(&written);
        let article = fresh(&caller, &row, snapshot.content)?;
        let location = format!("/management/v1/articles/{}", article.id);
        Ok(Answer::created(location, &article)?.version(article.version))
    };
    write_once_prepared(&app, once, aside, prepare, write, answer).await
}

/// Get an article.
///
/// The working copy. Writers get others' stories as they are published.
#[utoipa::path(
    tag = "articles",
    params(("id" = Id, Path, description = "The article's id."), OneQuery),
    responses((status = 200, description = "The article.", body = WorkingArticle))
)]
#[get("/articles/{id}")]
async fn get_article(app: State, caller: Caller, id: PathId, query: Result<Query<OneQuery>>) -> Result<Answer> {
    let state = app.clone();
    let article = app
        .db
        .read(move |conn| {
            let row = get(conn, &caller, &id.0)?;
            let Query(OneQuery { include }) = query?;
            let mut article = whole(conn, &state.config, &caller, &row)?;
            add_forms(conn, &state.config, &mut article, &include)?;
            Ok(article)
        })
        .await?;
    Ok(Answer::ok(&article)?.version(article.version))
}

fn add_forms(
    conn: &mut Conn,
    config: &crate::config::Config,
    article: &mut WorkingArticle,
    include: &[WorkingArticleInclude],
) -> Result<()> {
    let with_images = [WorkingArticleInclude::Html, WorkingArticleInclude::Markdown];
    if with_images.iter().any(|form| include.contains(form)) {
        let captions = &article.captions;
        let ids: Vec<Id> = captions.iter().map(|caption| caption.image_id.clone()).collect();
        let files = image_files_of(conn, config, &ids)?;
        let placements: Vec<_> = captions
            .iter()
            .filter_map(|caption| caption.placement(&files))
            .collect();
        if include.contains(&WorkingArticleInclude::Html) {
            article.html = Some(article.body.to_html(&figure_html(&placements)));
        }
        if include.contains(&WorkingArticleInclude::Markdown) {
            let alt = |id: &str| placements.iter().find(|shown| shown.id.as_str() == id)?.alt.clone();
            article.markdown = Some(article.body.to_markdown_with(&alt));
        }
    }
    if include.contains(&WorkingArticleInclude::Text) {
        article.text = Some(article.body.to_text());
    }
    Ok(())
}

/// Change an article.
///
/// A merge patch (RFC 7396) of the working copy, also taken as `application/json`. Readers see nothing of it until it is
/// published. Writers change their own drafts.
#[utoipa::path(
    tag = "articles",
    params(("id" = Id, Path, description = "The article's id."), IfMatchParam),
    request_body(content = ArticlePatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The article as it is now.", body = WorkingArticle),
        (status = 409, description = "It is in the trash, the slug is taken, or the story has an article in that language."),
    )
)]
#[patch("/articles/{id}")]
async fn update_article(app: State, caller: Caller, id: PathId, if_match: IfMatch, body: Body) -> Result<Answer> {
    let PathId(id) = id;
    let (who, wanted) = (caller.clone(), id.clone());
    app.db
        .read(move |conn| get(conn, &who, &wanted)?.check_may_change(&who))
        .await?;
    let changes = body.patch::<ArticlePatch>().await?.checked_aside(false).await?;
    if changes.owner().is_some() {
        caller.at_least(Role::Editor)?;
    }
    let guard = if_match.required()?;
    let state = app.clone();
    app.db
        .write(move |tx| {
            let row = update(tx, &caller, &id, &guard, &changes)?;
            answer(tx.conn, &state.config, &caller, &row)
        })
        .await
}

/// Erase an article.
///
/// Needs the role editor. Only a trashed one; its revisions go with it. A slug that was public keeps answering 410.
#[utoipa::path(
    tag = "articles",
    params(("id" = Id, Path, description = "The article's id."), IfMatchParam),
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, description = "It is not in the trash."),
    )
)]
#[delete("/articles/{id}")]
async fn erase_article(app: State, caller: Caller, id: PathId, if_match: IfMatch) -> Result<Answer> {
    let PathId(id) = id;
    let (who, wanted) = (caller.clone(), id.clone());
    app.db.read(move |conn| get(conn, &who, &wanted)).await?;
    caller.at_least(Role::Editor)?;
    let guard = if_match.required()?;
    app.db.write(move |tx| erase(tx, &caller, &id, &guard)).await?;
    Ok(Answer::no_content())
}

/// Publish an article.
///
/// Needs the role editor. Readers get the working copy as it is now. Publishing a live story again keeps its
/// `published_at` and place in lists; `as_new` moves it to the top. With `publish_at` the article as it is now is pinned
/// and published at that time; later edits are not swept along: publish again to take them. `unpublish_at` withdraws it.
///
/// With an image whose right has ended by the time of publication it is refused (409 `rights_expired`), unless the
/// installation only warns: see `warnings`.
#[utoipa::path(
    tag = "articles",
    params(("id" = Id, Path, description = "The article's id."), IfMatchParam, IdempotencyParam),
    request_body(content = PublishInput, content_type = "application/json"),
    responses(
        (status = 200, description = "The article as it is now.", body = WorkingArticle),
        (status = 409, description = "It is in the trash, or the right to one of its images has ended."),
    )
)]
#[post("/articles/{id}/publish")]
async fn publish_article(action: Action, body: Body) -> Result<Answer> {
    action.check_editor().await?;
    let input = body.action::<PublishInput>().await?;
    publication::check_past(&input.value, Time::now())?;
    schedules::check_wish(&action.app, &input.value).await?;
    let rule = action.app.config.rights_expired;
    action
        .run_mailing(&input.hash, move |tx, caller, id, guard, mails| {
            review::publish(tx, caller, id, guard, &input.value, mails, rule)
        })
        .await
}

/// Unpublish an article.
///
/// Needs the role editor. Readers get 410 at once; publishing it again brings it back to its place. What was scheduled is
/// cleared: it does not come back by itself.
#[utoipa::path(
    tag = "articles",
    params(("id" = Id, Path, description = "The article's id."), IfMatchParam, IdempotencyParam),
    request_body(content = UnpublishInput, content_type = "application/json"),
    responses(
        (status = 200, description = "The article as it is now.", body = WorkingArticle),
        (status = 409, description = "It is not published."),
    )
)]
#[post("/articles/{id}/unpublish")]
async fn unpublish_article(action: Action, body: Body) -> Result<Answer> {
    action.check_editor().await?;
    let mut input = body.action::<UnpublishInput>().await?;
    let mut check = Check::new();
    input.value.reason = check.optional_text("/reason", input.value.reason.as_deref(), 1000);
    check.done()?;
    action
        .run(&input.hash, move |tx, caller, id, guard| {
            publication::unpublish(tx, caller, id, guard, &input.value)
        })
        .await
}

/// Put an article in the trash.
///
/// A live one is unpublished first, which needs the role editor. Writers trash their own drafts. What was scheduled is
/// cleared, and preview links end.
#[utoipa::path(
    tag = "articles",
    params(("id" = Id, Path, description = "The article's id."), IfMatchParam, IdempotencyParam),
    request_body(content = EmptyInput, content_type = "application/json"),
    responses(
        (status = 200, description = "The article as it is now.", body = WorkingArticle),
        (status = 409, description = "It is in the trash already."),
    )
)]
#[post("/articles/{id}/trash")]
async fn trash_article(action: Action, body: Body) -> Result<Answer> {
    // What is in the trash already is refused as such, not as somebody else's.
    action
        .check(|_, row, caller| match row.trashed {
            Some(_) => Ok(()),
            None => row.check_may_change(caller),
        })
        .await?;
    let input = body.action::<EmptyInput>().await?;
    action.run(&input.hash, publication::trash).await
}

/// Take an article out of the trash.
///
/// It comes back as it was, but unpublished and unscheduled. Writers restore their own drafts.
#[utoipa::path(
    tag = "articles",
    params(("id" = Id, Path, description = "The article's id."), IfMatchParam, IdempotencyParam),
    request_body(content = EmptyInput, content_type = "application/json"),
    responses(
        (status = 200, description = "The article as it is now.", body = WorkingArticle),
        (status = 409, description = "It is not in the trash."),
    )
)]
#[post("/articles/{id}/restore")]
async fn restore_article(action: Action, body: Body) -> Result<Answer> {
    action
        .check(|_, row, caller| publication::check_may_restore(row, caller))
        .await?;
    let input = body.action::<EmptyInput>().await?;
    action.run(&input.hash, publication::restore).await
}

fn list(
    conn: &mut Conn,
    caller: &Caller,
    query: &WorkingArticleQuery,
    start: &Start,
) -> Result<(Vec<WorkingArticleSummary>, PageInfo)> {
    let sections = taxonomy::find_ids(conn, Kind::Section, &query.section)?;
    let tags = taxonomy::find_ids(conn, Kind::Tag, &query.tag)?;
    let authors = taxonomy::find_ids(conn, Kind::Author, &query.author)?;
    let status: Vec<&str> = query.status.iter().map(|status| status.as_str()).collect();
    // What a working copy has to be like.
    let working = || {
        let mut rows = articles::table.into_boxed();
        if !query.section.is_empty() {
            rows = rows.filter(articles::section_id.eq_any(sections.clone()));
        }
        if !query.tag.is_empty() {
            let of = article_tags::table
                .filter(article_tags::tag_id.eq_any(tags.clone()))
                .select(article_tags::article_id);
            rows = rows.filter(articles::id.eq_any(of));
        }
        if !query.author.is_empty() {
            let of = article_authors::table
                .filter(article_authors::author_id.eq_any(authors.clone()))
                .select(article_authors::article_id);
            rows = rows.filter(articles::id.eq_any(of));
        }
        if !query.language.is_empty() {
            rows = rows.filter(articles::language.eq_any(&query.language));
        }
        if let Some(q) = &query.q {
            rows = rows.filter(articles::search.like(like_pattern(q)).escape('\\'));
        }
        if let Some(time) = query.updated_after {
            rows = rows.filter(articles::updated_ms.ge(time));
        }
        rows
    };
    // What a publication has to be like: of others' stories a writer finds what readers see, by what readers see. Spelled
    // out with switches, because a query that is built step by step cannot be part of another one.
    let any = |unused: bool| unused.into_sql::<Bool>();
    let public = || {
        let pattern = query.q.as_deref().map(like_pattern).unwrap_or_default();
        let tagged = publication_tags::table
            .filter(publication_tags::ref_id.eq_any(tags.clone()))
            .select(publication_tags::article_id);
        let written = publication_authors::table
            .filter(publication_authors::ref_id.eq_any(authors.clone()))
            .select(publication_authors::article_id);
        let section = publications::section_id.assume_not_null();
        publications::table
            .filter(publications::state.eq(Live))
            .filter(any(query.section.is_empty()).or(section.eq_any(sections.clone())))
            .filter(any(query.tag.is_empty()).or(publications::article_id.eq_any(tagged)))
            .filter(any(query.author.is_empty()).or(publications::article_id.eq_any(written)))
            .filter(any(query.language.is_empty()).or(publications::language.eq_any(&query.language)))
            .filter(any(query.q.is_none()).or(publications::title_key.like(pattern).escape('\\')))
            .filter(publications::updated_ms.ge(query.updated_after.unwrap_or(Time::from_ms(i64::MIN))))
            .select(publications::article_id)
    };
    let filtered = || {
        let mut rows = working();
        if !caller.is_editor() {
            rows = rows.filter(articles::owner_id.eq(&caller.id)).or_filter(
                articles::status
                    .eq(Status::Published.as_str())
                    .and(articles::owner_id.ne(&caller.id))
                    .and(articles::id.eq_any(public())),
            );
        }
        rows = if status.is_empty() {
            rows.filter(articles::status.ne(Status::Trashed.as_str()))
        } else {
            rows.filter(articles::status.eq_any(status.clone()))
        };
        if !query.owner.is_empty() {
            rows = rows.filter(articles::owner_id.eq_any(&query.owner));
        }
        rows
    };
    let total = match query.page.include_total {
        true => Some(filtered().count().get_result::<i64>(conn)?),
        false => None,
    };
    let id = articles::id;
    let rows: Vec<ArticleRow> = match query.sort {
        WorkingArticleSort::UpdatedAt => keyset!(filtered(), start, false, articles::updated_ms, id, int).load(conn)?,
        WorkingArticleSort::UpdatedAtDown => {
            keyset!(filtered(), start, true, articles::updated_ms, id, int).load(conn)?
        }
        WorkingArticleSort::CreatedAt => keyset!(filtered(), start, false, articles::created_ms, id, int).load(conn)?,
        WorkingArticleSort::CreatedAtDown => {
            keyset!(filtered(), start, true, articles::created_ms, id, int).load(conn)?
        }
        WorkingArticleSort::Title if caller.is_editor() => {
            keyset!(filtered(), start, false, articles::title_key, id, text).load(conn)?
        }
        WorkingArticleSort::TitleDown if caller.is_editor() => {
            keyset!(filtered(), start, true, articles::title_key, id, text).load(conn)?
        }
        // The order and the cursor must not tell a headline that is not published.
        WorkingArticleSort::Title => {
            keyset!(filtered(), start, false, articles::public_title_key, id, text).load(conn)?
        }
        WorkingArticleSort::TitleDown => {
            keyset!(filtered(), start, true, articles::public_title_key, id, text).load(conn)?
        }
    };
    let (rows, page) = start.finish(rows, total, |row| {
        let key = match query.sort {
            WorkingArticleSort::UpdatedAt | WorkingArticleSort::UpdatedAtDown => Key::Int(row.updated.ms()),
            WorkingArticleSort::CreatedAt | WorkingArticleSort::CreatedAtDown => Key::Int(row.created.ms()),
            WorkingArticleSort::Title | WorkingArticleSort::TitleDown if caller.is_editor() => {
                Key::Text(row.title_key.clone())
            }
            WorkingArticleSort::Title | WorkingArticleSort::TitleDown => Key::Text(row.public_title_key.clone()),
        };
        (key, row.id.to_string())
    });
    Ok((summaries(conn, caller, &rows)?, page))
}
