//! How editors ask for revisions.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, get, post};
use utoipa_actix_web::service_config::ServiceConfig;

use super::diff::{Compared, compare};
use super::{Revision, RevisionContent, RevisionDiff, RevisionRestoreInput, WholeRevision, store};
use crate::app::State;
use crate::articles::action::Action;
use crate::articles::record::WorkingArticle;
use crate::auth::Caller;
use crate::error::{Problem, Result};
use crate::idempotency::Answer;
use crate::page::{Key, PageQuery};
use crate::page_type;
use crate::request::{Body, IdempotencyParam, IfMatchParam, PathId, Query};
use crate::text::Check;
use crate::types::Id;

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(list_revisions)
        .service(get_revision)
        .service(compare_revisions)
        .service(restore_revision);
}

page_type! {
    /// A page of revisions.
    RevisionPage of Revision
}

/// Extractor: the revisions' numbers in the path, after the article's id.
struct Numbers<const N: usize>([i64; N]);

impl<const N: usize> FromRequest for Numbers<N> {
    type Error = Problem;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parts: Vec<i64> = req
            .match_info()
            .iter()
            .skip(1)
            .filter_map(|(_, text)| number(text))
            .collect();
        let numbers = <[i64; N]>::try_from(parts);
        ready(numbers.map(Self).map_err(|_| Problem::not_found("revision")))
    }
}

/// A number as answers write it.
fn number(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number > 0 && number.to_string() == text).then_some(number)
}

/// List an article's revisions.
///
/// Newest first: who did what when, and why if they said so. Every write of an article or its captions is one. Writers
/// see those of their own articles.
#[utoipa::path(
    tag = "revisions",
    params(("id" = Id, Path, description = "The article's id."), PageQuery),
    responses(
        (status = 200, description = "A page of revisions.", body = RevisionPage),
        (status = 403, description = "It is another writer's article."),
    )
)]
#[get("/articles/{id}/revisions")]
async fn list_revisions(
    app: State,
    caller: Caller,
    id: PathId,
    query: Result<Query<PageQuery>>,
    req: HttpRequest,
) -> Result<Answer> {
    let PathId(id) = id;
    let (data, page) = app
        .db
        .read(move |conn| {
            store::open(conn, &caller, &id)?;
            let Query(query) = query?;
            let start = query.start(&format!("revisions {id}"), &Key::Int(0))?;
            store::list(conn, &id, &start, query.include_total)
        })
        .await?;
    let link = page.link(&app.config.public_url, &req);
    Ok(Answer::ok(&RevisionPage { data, page })?.maybe_header("Link", link))
}

/// Get a revision.
///
/// With everything that the article was: its content and its captions.
#[utoipa::path(
    tag = "revisions",
    params(
        ("id" = Id, Path, description = "The article's id."),
        ("number" = i64, Path, description = "The revision's number.", minimum = 1),
    ),
    responses(
        (status = 200, description = "The revision.", body = WholeRevision),
        (status = 403, description = "It is another writer's article."),
    )
)]
#[get("/articles/{id}/revisions/{number}")]
async fn get_revision(app: State, caller: Caller, id: PathId, numbers: Numbers<1>) -> Result<Answer> {
    let (PathId(id), Numbers([number])) = (id, numbers);
    let state = app.clone();
    let whole = app
        .db
        .read(move |conn| {
            store::open(conn, &caller, &id)?;
            let (head, snapshot) = store::find(conn, &id, number)?;
            Ok(WholeRevision {
                number: head.number,
                created_at: head.created_at,
                created_by: head.created_by,
                action: head.action,
                note: head.note,
                restored_from: head.restored_from,
                content: RevisionContent::of(conn, &state.config, &id, snapshot)?,
            })
        })
        .await?;
    Answer::ok(&whole)
}

/// Compare two revisions.
///
/// Word by word, in title, kicker, lead, body (as plain text) and captions. The order is yours: `b` may be the older one.
/// Texts too different to be compared in a third of a second are told as taken out and put in.
#[utoipa::path(
    tag = "revisions",
    params(
        ("id" = Id, Path, description = "The article's id."),
        ("a" = i64, Path, description = "The number of the revision to compare from.", minimum = 1),
        ("b" = i64, Path, description = "The number of the revision to compare to.", minimum = 1),
    ),
    responses(
        (status = 200, description = "What differs.", body = RevisionDiff),
        (status = 403, description = "It is another writer's article."),
    )
)]
#[get("/articles/{id}/revisions/{a}/diff/{b}")]
async fn compare_revisions(app: State, caller: Caller, id: PathId, numbers: Numbers<2>) -> Result<Answer> {
    let (PathId(id), Numbers([a, b])) = (id, numbers);
    let (from, to) = app
        .db
        .read(move |conn| {
            store::open(conn, &caller, &id)?;
            Ok((store::find(conn, &id, a)?, store::find(conn, &id, b)?))
        })
        .await?;
    // Off the async threads, and after the connection went back.
    let compared = tokio::task::spawn_blocking(move || {
        let Compared {
            changed,
            title,
            kicker,
            lead,
            body,
            captions,
        } = compare(&from.1, &to.1);
        Answer::ok(&RevisionDiff {
            from: from.0,
            to: to.0,
            changed,
            title,
            kicker,
            lead,
            body,
            captions,
        })
    });
    compared.await.map_err(Problem::internal)?
}

/// Restore a revision.
///
/// The working copy becomes what it was then, captions too, as a new revision; readers see nothing of it until it is
/// published. Who may change the article may do this. `If-Match` names the article's version. When something that the
/// revision needs has been deleted since, it is refused with all of it named in `errors`, unless `without_deleted` is true.
#[utoipa::path(
    tag = "revisions",
    params(
        ("id" = Id, Path, description = "The article's id."),
        ("number" = i64, Path, description = "The revision's number.", minimum = 1),
        IfMatchParam,
        IdempotencyParam,
    ),
    request_body(content = RevisionRestoreInput, content_type = "application/json"),
    responses(
        (status = 200, description = "The article as it is now.", body = WorkingArticle),
        (status = 409, description = "It is in the trash, the story has another article in that language by now, or something \
                                      that the revision needs has been deleted."),
    )
)]
#[post("/articles/{id}/revisions/{number}/restore")]
async fn restore_revision(action: Action, numbers: Numbers<1>, body: Body) -> Result<Answer> {
    let Numbers([number]) = numbers;
    action
        .check(move |conn, row, caller| {
            store::check_open(row, caller)?;
            store::find(conn, &row.id, number)?;
            row.check_may_change(caller)
        })
        .await?;
    let mut input = body.action::<RevisionRestoreInput>().await?;
    let mut check = Check::new();
    input.value.note = check.optional_text("/note", input.value.note.as_deref(), 1000);
    check.done()?;
    action
        .run(&input.hash, move |tx, caller, id, guard| {
            store::restore(tx, caller, id, guard, number, &input.value)
        })
        .await
}
