//! Editors' accounts: what an account is, how admins ask for it, how it is kept.
//!
//! Every write that makes, changes or removes an account takes one guard row first, so that two admins who demote each
//! other, or two accounts that want one e-mail address, come one after the other on both databases.

use actix_web::{HttpRequest, delete, get, patch, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Caller, Role, links, passwords, sessions};
use crate::app::{App, State};
use crate::audit::{self, Actor};
use crate::conditional::{Guard, IfMatch};
use crate::db::{Conn, Tx};
use crate::error::{Code, FieldError, Problem, Result, UsedBy};
use crate::idempotency::{Answer, IdempotencyKey, write_once};
use crate::page::{Key, PageInfo, PageQuery, Start};
use crate::request::{Body, FromParams, IdempotencyParam, IfMatchParam, Params, PathId, Query};
use crate::schema::{articles, counters, editors, images, revisions};
use crate::text::{Check, email_key, like_pattern, sort_key};
use crate::types::{Id, Patch, Time};
use crate::{keyset, page_type};

/// Longest name of an editor.
const NAME_LENGTH: usize = 100;

/// An editor's account.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Editor {
    /// The id.
    pub id: Id,
    /// The address to sign in with; unique, whatever its case.
    #[schema(format = Email, example = "thu.ha@example.vn")]
    pub email: String,
    /// The name that colleagues see.
    #[schema(example = "Trần Thu Hà")]
    pub name: String,
    /// What the editor may do.
    pub role: Role,
    /// Whether the account is closed: it cannot sign in, and its sessions have ended.
    pub disabled: bool,
    /// Whether the editor was invited and has not chosen a password yet.
    pub invited: bool,
    /// Whether signing in takes a code of an authenticator app, too.
    pub totp_enabled: bool,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Raised by every change; `ETag` is this in quotation marks.
    #[schema(minimum = 1, example = 3)]
    pub version: i64,
}

/// The whole row of an account. It holds the password's hash, so it is neither printed nor sent.
#[derive(Clone, Queryable)]
#[allow(missing_docs, reason = "the columns of the table")]
pub struct Account {
    pub id: Id,
    pub email: String,
    pub email_key: String,
    pub name: String,
    pub name_key: String,
    pub role: String,
    pub disabled: bool,
    pub password_hash: String,
    pub auth_epoch: i64,
    pub created_ms: Time,
    pub updated_ms: Time,
    pub version: i64,
    pub totp: Option<String>,
    pub totp_on: bool,
    pub totp_step: i64,
}

impl Account {
    /// What a password is compared with; none for who is invited and has not chosen one yet.
    pub fn stored_hash(&self) -> Option<String> {
        (!self.password_hash.is_empty()).then(|| self.password_hash.clone())
    }

    /// What may be shown of it.
    pub fn editor(&self) -> Result<Editor> {
        Ok(Editor {
            id: self.id.clone(),
            email: self.email.clone(),
            name: self.name.clone(),
            role: self.role()?,
            disabled: self.disabled,
            invited: self.password_hash.is_empty(),
            totp_enabled: self.totp_on,
            created_at: self.created_ms,
            updated_at: self.updated_ms,
            version: self.version,
        })
    }

    /// The role.
    pub fn role(&self) -> Result<Role> {
        Role::parse(&self.role).ok_or_else(|| Problem::internal(format!("the role {:?} is not known", self.role)))
    }

    fn is_working_admin(&self) -> bool {
        !self.disabled && !self.password_hash.is_empty() && self.role == Role::Admin.as_str()
    }
}

page_type! {
    /// A page of editors.
    EditorPage of Editor
}

/// A new account.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditorCreate {
    /// The address to sign in with.
    #[schema(format = Email, min_length = 3, max_length = 254, example = "thu.ha@example.vn")]
    pub email: String,
    /// The name that colleagues see.
    #[schema(min_length = 1, max_length = 100, example = "Trần Thu Hà")]
    pub name: String,
    /// What the editor may do.
    pub role: Role,
    /// The first password: 15 to 128 characters of any kind, and not one that is tried first. Without it a link is mailed
    /// by which the editor chooses one.
    #[serde(default)]
    #[schema(format = Password, min_length = 15, max_length = 128, example = "mua xuan tren song Cau")]
    pub password: Option<String>,
}

/// Changes of an account; what is absent stays.
#[derive(Clone, Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields)]
pub struct EditorPatch {
    /// The address to sign in with.
    #[serde(default)]
    #[schema(value_type = String, required = false, format = Email, min_length = 3, max_length = 254, example = "thu.ha@example.vn")]
    pub email: Patch<String>,
    /// The name that colleagues see.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 100, example = "Trần Thu Hà")]
    pub name: Patch<String>,
    /// What the editor may do; it holds from the editor's next request.
    #[serde(default)]
    #[schema(value_type = Role, required = false)]
    pub role: Patch<Role>,
    /// Whether the account is closed; closing it ends the editor's sessions.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub disabled: Patch<bool>,
    /// A new password; it ends the editor's sessions.
    #[serde(default)]
    #[schema(value_type = String, required = false, format = Password, min_length = 15, max_length = 128)]
    pub password: Patch<String>,
}

/// Filters and order of the list of editors.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EditorQuery {
    /// Editors with one of these roles.
    #[param(inline, required = false, value_type = Vec<Role>, example = json!(["editor"]))]
    role: Vec<Role>,
    /// Closed accounts only, or open ones only.
    #[param(required = false, nullable = false, value_type = bool)]
    disabled: Option<bool>,
    /// Part of the name, with or without accents, or of the e-mail address.
    #[param(required = false, nullable = false, value_type = String, min_length = 1, max_length = 200)]
    q: Option<String>,
    /// The order; a dash turns it round.
    #[param(inline, required = false, example = "name")]
    sort: Sort,
    #[param(ignore)]
    page: PageQuery,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
enum Sort {
    #[serde(rename = "name")]
    Name,
    #[serde(rename = "-name")]
    NameDown,
    #[serde(rename = "created_at")]
    Created,
    #[serde(rename = "-created_at")]
    CreatedDown,
}

const SORTS: &[(&str, Sort)] = &[
    ("name", Sort::Name),
    ("-name", Sort::NameDown),
    ("created_at", Sort::Created),
    ("-created_at", Sort::CreatedDown),
];

const ROLES: &[(&str, Role)] = &[
    ("writer", Role::Writer),
    ("editor", Role::Editor),
    ("admin", Role::Admin),
];

impl FromParams for EditorQuery {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self {
            role: params.several("role", ROLES)?,
            disabled: params.flag("disabled")?,
            q: params.words("q")?,
            sort: params.choice("sort", SORTS)?.unwrap_or(Sort::Name),
            page: PageQuery::take(params)?,
        })
    }
}

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(list_editors)
        .service(create_editor)
        .service(get_editor)
        .service(update_editor)
        .service(delete_editor);
}

/// List editors.
///
/// Needs the role admin. All accounts, also closed ones, by `name` or `created_at`.
#[utoipa::path(
    tag = "editors",
    params(EditorQuery, PageQuery),
    responses(
        (status = 200, description = "A page of editors.", body = EditorPage),
        (status = 403, description = "The caller is no admin."),
    )
)]
#[get("/editors")]
async fn list_editors(
    app: State,
    caller: Caller,
    query: Result<Query<EditorQuery>>,
    req: HttpRequest,
) -> Result<Answer> {
    caller.at_least(Role::Admin)?;
    let query = query?;
    let query = query.0;
    let sample = match query.sort {
        Sort::Name | Sort::NameDown => Key::Text(String::new()),
        Sort::Created | Sort::CreatedDown => Key::Int(0),
    };
    let describe = format!(
        "editors {:?} {:?} {:?} {:?}",
        query.sort, query.role, query.disabled, query.q
    );
    let start = query.page.start(&describe, &sample)?;
    let public_url = app.config.public_url.clone();
    let (data, page) = app.db.read(move |conn| list(conn, &query, &start)).await?;
    let link = page.link(&public_url, &req);
    Ok(Answer::ok(&EditorPage { data, page })?.maybe_header("Link", link))
}

/// Create an editor.
///
/// Needs the role admin. Without a `password` the editor is invited: a link is mailed that is good for seven days and one
/// use. The first admin is made by the command line: `newsdesk editor create`.
#[utoipa::path(
    tag = "editors",
    params(IdempotencyParam),
    request_body = EditorCreate,
    responses(
        (status = 201, description = "The new account.", body = Editor),
        (status = 409, description = "Another editor has this e-mail address."),
        (status = 503, description = "`mail_unavailable`: without a password mail is needed."),
    )
)]
#[post("/editors")]
async fn create_editor(app: State, caller: Caller, idempotency: IdempotencyKey, body: Body) -> Result<Answer> {
    caller.at_least(Role::Admin)?;
    let input = body.json::<EditorCreate>().await?;
    let new = checked(&app, input.value)?;
    // A program that could make an admin, by a link mailed to whom it likes, would be one itself.
    if new.password.is_some() || new.role == Role::Admin {
        caller.session()?;
    }
    // The body holds a password: a plain hash of it must not lie in the table of idempotency keys.
    let body_hash = sessions::keyed(app.keys.secret(), &[b"idempotent body", input.hash.as_bytes()])?;
    let once = idempotency.of(caller.id.as_str(), &crate::request::hash(&body_hash));
    let password_hash = match &new.password {
        Some(password) => app.hashing.hash(password).await?,
        None => String::new(),
    };
    let actor = Actor::from(&caller);
    let mail = app.mail.is_some();
    let answer = write_once(&app, once, move |tx| {
        let editor = create(tx, &actor, &new, &password_hash)?;
        if new.password.is_none() {
            links::invite(tx, &actor, &editor.id, mail)?;
        }
        Ok(Answer::created(format!("/management/v1/editors/{}", editor.id), &editor)?.version(editor.version))
    })
    .await?;
    app.outbox.notify_one();
    Ok(answer)
}

/// Get an editor.
///
/// Needs the role admin; everybody's own account is `GET /management/v1/auth/me`.
#[utoipa::path(
    tag = "editors",
    params(("id" = Id, Path, description = "The editor's id.")),
    responses(
        (status = 200, description = "The account.", body = Editor),
        (status = 403, description = "The caller is no admin."),
    )
)]
#[get("/editors/{id}")]
async fn get_editor(app: State, caller: Caller, id: PathId) -> Result<Answer> {
    caller.at_least(Role::Admin)?;
    let editor = app.db.read(move |conn| get(conn, &id.0)).await?.editor()?;
    Ok(Answer::ok(&editor)?.version(editor.version))
}

/// Change an editor.
///
/// Needs the role admin. A merge patch (RFC 7396), also taken as `application/json`. A new role holds from the editor's
/// next request; a new password and closing the account (`disabled`) end the editor's sessions at once. The last admin
/// who can sign in stays one.
#[utoipa::path(
    tag = "editors",
    params(("id" = Id, Path, description = "The editor's id."), IfMatchParam),
    request_body(content = EditorPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The account as it is now.", body = Editor),
        (status = 409, description = "`email_taken`, or `last_admin`."),
    )
)]
#[patch("/editors/{id}")]
async fn update_editor(app: State, caller: Caller, id: PathId, if_match: IfMatch, body: Body) -> Result<Answer> {
    caller.at_least(Role::Admin)?;
    let PathId(id) = id;
    let wanted = id.clone();
    let account = app.db.read(move |conn| get(conn, &wanted)).await?;
    let patch = body.patch::<EditorPatch>().await?;
    // Who can change where an account's links are mailed, or raise one to admin, has it.
    let is_own_way_in =
        patch.password.is_sent() || patch.email.is_sent() || matches!(patch.role, Patch::Set(Role::Admin));
    if is_own_way_in || account.role == Role::Admin.as_str() {
        caller.session()?;
    }
    let patch = checked_patch(&app, &account, patch)?;
    let guard = if_match.required()?;
    // A look before the costly part; the write looks again.
    guard.check(account.version)?;
    let password_hash = match &patch.password {
        Patch::Set(password) => Some(app.hashing.hash(password).await?),
        _ => None,
    };
    let actor = Actor::from(&caller);
    let editor = app
        .db
        .write(move |tx| update(tx, &actor, &id, &guard, &patch, password_hash.as_deref()))
        .await?;
    Ok(Answer::ok(&editor)?.version(editor.version))
}

/// Delete an editor.
///
/// Needs the role admin. 409 while the editor owns, made or changed anything: then disable the account instead, and
/// the name stays with the work. The last admin who can sign in stays.
#[utoipa::path(
    tag = "editors",
    params(("id" = Id, Path, description = "The editor's id."), IfMatchParam),
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, description = "`in_use`, where `used_in` says by what, or `last_admin`."),
    )
)]
#[delete("/editors/{id}")]
async fn delete_editor(app: State, caller: Caller, id: PathId, if_match: IfMatch) -> Result<Answer> {
    caller.at_least(Role::Admin)?;
    let PathId(id) = id;
    let wanted = id.clone();
    let account = app.db.read(move |conn| get(conn, &wanted)).await?;
    if account.role == Role::Admin.as_str() {
        caller.session()?;
    }
    let guard = if_match.required()?;
    let actor = Actor::from(&caller);
    app.db.write(move |tx| delete(tx, &actor, &id, &guard)).await?;
    Ok(Answer::no_content())
}

/// Creates an account from the command line: the same rules, no sign-in.
pub async fn create_from_command_line(app: &App, email: &str, name: &str, role: Role, password: &str) -> Result<Id> {
    let new = checked(
        app,
        EditorCreate {
            email: email.to_owned(),
            name: name.to_owned(),
            role,
            password: Some(password.to_owned()),
        },
    )?;
    let password_hash = app.hashing.hash(password).await?;
    let actor = Actor::system("command line");
    let editor = app.db.write(move |tx| create(tx, &actor, &new, &password_hash)).await?;
    Ok(editor.id)
}

/// Gives an account a new password without the old one: for the command line only, whoever runs it owns the database.
pub async fn set_password(app: &App, email: &str, password: &str) -> Result<()> {
    let email_key = email_key(email);
    let account = app.db.read(move |conn| by_email(conn, &email_key)).await?;
    let id = account.ok_or_else(|| Problem::not_found("editor"))?.id;
    let hash = app.hashing.hash(password).await?;
    let patch = EditorPatch {
        password: Patch::Set(password.to_owned()),
        ..EditorPatch::default()
    };
    let actor = Actor::system("command line");
    app.db
        .write(move |tx| update(tx, &actor, &id, &Guard::any(), &patch, Some(&hash)))
        .await?;
    Ok(())
}

/// A problem in words for a terminal: one line for each wrong thing.
pub fn in_words(problem: &Problem) -> String {
    let line = |error: &FieldError| match &error.pointer {
        Some(pointer) => format!("the {}: {}", pointer.trim_start_matches('/'), error.detail),
        None => error.detail.clone(),
    };
    let lines: Vec<String> = problem.errors().iter().map(line).collect();
    match (lines.is_empty(), problem.cause()) {
        (false, _) => lines.join("\n"),
        (true, Some(cause)) => format!("{} ({})", problem.detail(), cause.replace('\n', " ")),
        (true, None) => problem.detail().to_owned(),
    }
}

fn checked(app: &App, mut new: EditorCreate) -> Result<EditorCreate> {
    let mut check = Check::new();
    new.email = check.email("/email", &new.email);
    new.name = check.line("/name", &new.name, NAME_LENGTH);
    let own = [new.email.as_str(), app.config.site_name.as_str()];
    if let Some(password) = &new.password {
        passwords::check_new(&mut check, "/password", password, &own);
    }
    check.done()?;
    Ok(new)
}

fn checked_patch(app: &App, account: &Account, mut patch: EditorPatch) -> Result<EditorPatch> {
    let mut check = Check::new();
    match &patch.email {
        Patch::Set(email) => patch.email = Patch::Set(check.email("/email", email)),
        Patch::Clear => check.fail("/email", "required", "An editor has an e-mail address."),
        Patch::Keep => {}
    }
    match &patch.name {
        Patch::Set(name) => patch.name = Patch::Set(check.line("/name", name, NAME_LENGTH)),
        Patch::Clear => check.fail("/name", "required", "An editor has a name."),
        Patch::Keep => {}
    }
    if patch.role == Patch::Clear {
        check.fail("/role", "required", "An editor has a role.");
    }
    if patch.disabled == Patch::Clear {
        check.fail("/disabled", "required", "An account is disabled or not.");
    }
    match &patch.password {
        Patch::Set(password) => {
            let email = match &patch.email {
                Patch::Set(email) => email,
                _ => &account.email,
            };
            let own = [email.as_str(), app.config.site_name.as_str()];
            passwords::check_new(&mut check, "/password", password, &own);
        }
        Patch::Clear => check.fail("/password", "required", "An editor has a password."),
        Patch::Keep => {}
    }
    check.done()?;
    Ok(patch)
}

fn list(conn: &mut Conn, query: &EditorQuery, start: &Start) -> Result<(Vec<Editor>, PageInfo)> {
    let filtered = || {
        let mut rows = editors::table.into_boxed();
        if !query.role.is_empty() {
            let roles: Vec<&str> = query.role.iter().map(|role| role.as_str()).collect();
            rows = rows.filter(editors::role.eq_any(roles));
        }
        if let Some(disabled) = query.disabled {
            rows = rows.filter(editors::disabled.eq(disabled));
        }
        if let Some(q) = &query.q {
            let pattern = like_pattern(q);
            let in_name = editors::name_key.like(pattern.clone()).escape('\\');
            rows = rows.filter(in_name.or(editors::email_key.like(pattern).escape('\\')));
        }
        rows
    };
    let total = match query.page.include_total {
        true => Some(filtered().count().get_result::<i64>(conn)?),
        false => None,
    };
    let rows: Vec<Account> = match query.sort {
        Sort::Name => keyset!(filtered(), start, false, editors::name_key, editors::id, text).load(conn)?,
        Sort::NameDown => keyset!(filtered(), start, true, editors::name_key, editors::id, text).load(conn)?,
        Sort::Created => keyset!(filtered(), start, false, editors::created_ms, editors::id, int).load(conn)?,
        Sort::CreatedDown => keyset!(filtered(), start, true, editors::created_ms, editors::id, int).load(conn)?,
    };
    let by_name = matches!(query.sort, Sort::Name | Sort::NameDown);
    let (rows, page) = start.finish(rows, total, |row| {
        let key = if by_name {
            Key::Text(row.name_key.clone())
        } else {
            Key::Int(row.created_ms.ms())
        };
        (key, row.id.to_string())
    });
    Ok((rows.iter().map(Account::editor).collect::<Result<_>>()?, page))
}

/// One account.
pub fn get(conn: &mut Conn, id: &Id) -> Result<Account> {
    let found = editors::table.find(id).first(conn).optional()?;
    found.ok_or_else(|| Problem::not_found("editor"))
}

/// The account that signs in with an e-mail address.
pub fn by_email(conn: &mut Conn, email_key: &str) -> Result<Option<Account>> {
    Ok(editors::table
        .filter(editors::email_key.eq(email_key))
        .first(conn)
        .optional()?)
}

/// Makes an account; `password_hash` is what `Hashing::hash` gave for its checked password.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: &EditorCreate, password_hash: &str) -> Result<Editor> {
    take_guard(tx)?;
    refuse_taken_email(tx.conn, &new.email, None)?;
    let account: Account = diesel::insert_into(editors::table)
        .values((
            editors::id.eq(Id::new()),
            editors::email.eq(&new.email),
            editors::email_key.eq(email_key(&new.email)),
            editors::name.eq(&new.name),
            editors::name_key.eq(sort_key(&new.name)),
            editors::role.eq(new.role.as_str()),
            editors::disabled.eq(false),
            editors::password_hash.eq(password_hash),
            editors::auth_epoch.eq(0),
            editors::created_ms.eq(tx.now),
            editors::updated_ms.eq(tx.now),
            editors::version.eq(1),
        ))
        .returning(editors::all_columns)
        .get_result(tx.conn)?;
    let data = json!({ "email": account.email, "name": account.name, "role": account.role });
    audit::record(tx, actor, "editor.create", "editor", &account.id, data)?;
    account.editor()
}

/// Takes the row's lock and its next version.
fn claim(tx: &mut Tx<'_>, id: &Id, guard: &Guard) -> Result<Account> {
    let claimed: Option<Account> = diesel::update(editors::table.find(id))
        .set((
            editors::version.eq(editors::version + 1),
            editors::updated_ms.eq(tx.now),
        ))
        .returning(editors::all_columns)
        .get_result(tx.conn)
        .optional()?;
    let account = claimed.ok_or_else(|| Problem::not_found("editor"))?;
    guard.check(account.version - 1)?;
    Ok(account)
}

fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: &Id,
    guard: &Guard,
    patch: &EditorPatch,
    password_hash: Option<&str>,
) -> Result<Editor> {
    take_guard(tx)?;
    let before = claim(tx, id, guard)?;
    let mut account = before.clone();
    if let Patch::Set(email) = &patch.email {
        refuse_taken_email(tx.conn, email, Some(id))?;
        account.email.clone_from(email);
    }
    if let Patch::Set(name) = &patch.name {
        account.name.clone_from(name);
    }
    if let Patch::Set(role) = patch.role {
        account.role = role.as_str().to_owned();
    }
    if let Patch::Set(disabled) = patch.disabled {
        account.disabled = disabled;
    }
    if let Some(hash) = password_hash {
        account.password_hash = hash.to_owned();
    }
    if before.is_working_admin() && !account.is_working_admin() {
        refuse_last_admin(tx.conn, id)?;
    }
    // A role is looked up on every request; what a password or an open account vouched for ends here.
    let ends_sessions = password_hash.is_some() || (account.disabled && !before.disabled);
    if ends_sessions {
        account.auth_epoch += 1;
        sessions::end_all(tx, id, None)?;
    }
    diesel::update(editors::table.find(id))
        .set((
            editors::email.eq(&account.email),
            editors::email_key.eq(email_key(&account.email)),
            editors::name.eq(&account.name),
            editors::name_key.eq(sort_key(&account.name)),
            editors::role.eq(&account.role),
            editors::disabled.eq(account.disabled),
            editors::password_hash.eq(&account.password_hash),
            editors::auth_epoch.eq(account.auth_epoch),
        ))
        .execute(tx.conn)?;
    let facts = |account: &Account| {
        json!({
            "email": account.email, "name": account.name, "role": account.role, "disabled": account.disabled,
        })
    };
    let data = json!({
        "before": facts(&before), "after": facts(&account), "password_set": password_hash.is_some(),
    });
    audit::record(tx, actor, "editor.update", "editor", id, data)?;
    account.editor()
}

fn delete(tx: &mut Tx<'_>, actor: &Actor, id: &Id, guard: &Guard) -> Result<()> {
    take_guard(tx)?;
    let account = claim(tx, id, guard)?;
    if account.is_working_admin() {
        refuse_last_admin(tx.conn, id)?;
    }
    let used = used_in(tx.conn, id)?;
    if !used.is_empty() {
        return Err(Problem::new(
            Code::InUse,
            "This editor's work is still here: disable the account instead, and the name stays with the work.",
        )
        .with("used_in", serde_json::to_value(used).map_err(Problem::internal)?));
    }
    diesel::delete(editors::table.find(id)).execute(tx.conn)?;
    let data = json!({ "email": account.email, "name": account.name, "role": account.role });
    audit::record(tx, actor, "editor.delete", "editor", id, data)
}

/// Takes the row that all writes of accounts take first.
fn take_guard(tx: &mut Tx<'_>) -> Result<()> {
    let taken = diesel::update(counters::table.find("guard_admins"))
        .set(counters::n.eq(counters::n + 1))
        .execute(tx.conn)?;
    if taken == 1 {
        Ok(())
    } else {
        Err(Problem::internal("the row guard_admins is missing"))
    }
}

fn refuse_taken_email(conn: &mut Conn, email: &str, own: Option<&Id>) -> Result<()> {
    match by_email(conn, &email_key(email))? {
        Some(other) if Some(&other.id) != own => Err(Problem::new(
            Code::EmailTaken,
            format!("Another editor signs in with {email}: use another address, or that account."),
        )),
        _ => Ok(()),
    }
}

/// 409 unless another admin can still sign in.
fn refuse_last_admin(conn: &mut Conn, id: &Id) -> Result<()> {
    let others: i64 = editors::table
        .filter(editors::role.eq(Role::Admin.as_str()))
        .filter(editors::disabled.eq(false).and(editors::password_hash.ne("")))
        .filter(editors::id.ne(id))
        .count()
        .get_result(conn)?;
    if others > 0 {
        return Ok(());
    }
    Err(Problem::new(
        Code::LastAdmin,
        "This is the last admin who can sign in: make another one first.",
    ))
}

/// How many admins can sign in.
pub fn working_admins(conn: &mut Conn) -> Result<i64> {
    Ok(editors::table
        .filter(editors::role.eq(Role::Admin.as_str()))
        .filter(editors::disabled.eq(false).and(editors::password_hash.ne("")))
        .count()
        .get_result(conn)?)
}

/// What an editor owns or made: some of it, to show.
fn used_in(conn: &mut Conn, id: &Id) -> Result<Vec<UsedBy>> {
    const SHOWN: i64 = 10;
    let articles: Vec<(Id, String)> = articles::table
        .filter(
            articles::owner_id
                .eq(id)
                .or(articles::created_by.eq(id))
                .or(articles::updated_by.eq(id)),
        )
        .select((articles::id, articles::title))
        .limit(SHOWN)
        .load(conn)?;
    let used = |kind: &'static str| {
        move |(id, title): (Id, String)| UsedBy {
            kind: kind.to_owned(),
            id: id.to_string(),
            title,
        }
    };
    if !articles.is_empty() {
        return Ok(articles.into_iter().map(used("article")).collect());
    }
    let images: Vec<(Id, String)> = images::table
        .filter(images::uploaded_by.eq(id))
        .select((images::id, images::filename))
        .limit(SHOWN)
        .load(conn)?;
    if !images.is_empty() {
        return Ok(images.into_iter().map(used("image")).collect());
    }
    let revised: Vec<(Id, String)> = articles::table
        .filter(
            articles::id.eq_any(
                revisions::table
                    .filter(revisions::editor_id.eq(id))
                    .select(revisions::article_id),
            ),
        )
        .select((articles::id, articles::title))
        .limit(SHOWN)
        .load(conn)?;
    Ok(revised.into_iter().map(used("article")).collect())
}
