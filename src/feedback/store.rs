//! How messages are kept: the tables, retention, and erasing by e-mail address.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;
use serde_json::{Value, json};

use super::{Feedback, FeedbackArticle, FeedbackSender, FeedbackStatus, settle_visibility};
use crate::app::State;
use crate::articles::publication::live_article;
use crate::audit::{self, Actor};
use crate::changes;
use crate::conditional::Guard;
use crate::db::{Conn, Tx};
use crate::error::{Code, Problem, Result};
use crate::keyset;
use crate::literals::Live;
use crate::page::{PageInfo, Start};
use crate::request::PathRef;
use crate::schema::{articles, changes as diary, consent_texts, editors, feedback, publications, site};
use crate::text::{fold, like_pattern};
use crate::types::{Id, PersonRef, Time};

/// A row of the table.
#[derive(Debug, Clone, Queryable)]
pub struct Row {
    pub id: Id,
    pub reference: String,
    pub article_id: Id,
    #[diesel(deserialize_as = String)]
    pub status: FeedbackStatus,
    pub visible: bool,
    pub message: String,
    pub sender_name: String,
    pub sender_email: Option<String>,
    pub sender_phone: Option<String>,
    pub sender_address: Option<String>,
    #[allow(dead_code, reason = "a column of the table, looked for and never shown")]
    email_key: Option<String>,
    search: String,
    pub consent_version: i64,
    pub consent_at: Time,
    pub may_publish: bool,
    pub internal_note: Option<String>,
    pub reply: Option<String>,
    pub replied_at: Option<Time>,
    pub replied_by: Option<Id>,
    pub created_at: Time,
    pub updated_at: Time,
    expire_ms: i64,
    pub version: i64,
}

/// `expire_ms` of a row whose sender's details are removed already: retention has nothing more to find there.
const FORGOTTEN: i64 = i64::MAX;

impl Row {
    /// What readers see of it, to know whether a write changes that.
    fn seen(&self) -> Option<(&str, &str, Option<&str>, Option<Time>)> {
        self.visible.then_some((
            self.sender_name.as_str(),
            self.message.as_str(),
            self.reply.as_deref(),
            self.replied_at,
        ))
    }
}

/// How long a consent text that was replaced is still taken: a reader may have the form open, a front end may be built
/// once a day, and the text they saw is the one they consented to.
const REPLACED_TEXT_SECONDS: i64 = 24 * 3600;

/// The versions of the consent text that a message may name: the current one, and those replaced within a day.
pub fn accepted_consents(conn: &mut Conn, now: Time) -> Result<Vec<i64>> {
    let current: Option<i64> = site::table
        .find(1)
        .select(site::consent_version)
        .first(conn)
        .optional()?;
    let Some(current) = current else { return Ok(Vec::new()) };
    let texts: Vec<(i64, Time)> = consent_texts::table
        .filter(consent_texts::version.le(current))
        .order(consent_texts::version.desc())
        .select((consent_texts::version, consent_texts::created_ms))
        .limit(50)
        .load(conn)?;
    let oldest = now.plus_seconds(-REPLACED_TEXT_SECONDS);
    let replaced = texts
        .windows(2)
        .take_while(|pair| pair[0].1 >= oldest)
        .map(|pair| pair[1].0);
    Ok(std::iter::once(current).chain(replaced).collect())
}

/// A message that has passed every check.
#[derive(Debug, Clone)]
pub struct NewMessage {
    pub reference: String,
    pub name: String,
    pub email: String,
    pub email_key: String,
    pub phone: Option<String>,
    pub address: Option<String>,
    pub message: String,
    pub search: String,
    pub consent_version: i64,
    pub may_publish: bool,
    pub keep_days: i64,
}

/// What `q` looks through.
pub fn search_text(name: &str, email: Option<&str>, message: &str) -> String {
    fold(&format!("{name}\n{}\n{message}", email.unwrap_or("")))
}

/// Keeps a reader's message.
pub fn insert(tx: &mut Tx<'_>, article: &PathRef, new: &NewMessage) -> Result<()> {
    let story = live_article(tx.conn, article)?;
    if !story.feedback_open {
        return Err(Problem::new(Code::FeedbackClosed, "This story takes no feedback."));
    }
    let row = (
        feedback::id.eq(Id::new()),
        feedback::reference.eq(&new.reference),
        feedback::article_id.eq(&story.article_id),
        feedback::status.eq(FeedbackStatus::New.as_str()),
        feedback::visible.eq(false),
        feedback::message.eq(&new.message),
        feedback::sender_name.eq(&new.name),
        feedback::sender_email.eq(&new.email),
        feedback::sender_phone.eq(&new.phone),
        feedback::sender_address.eq(&new.address),
        feedback::email_key.eq(&new.email_key),
        feedback::search.eq(&new.search),
        feedback::consent_version.eq(new.consent_version),
        feedback::consent_ms.eq(tx.now),
        feedback::may_publish.eq(new.may_publish),
        feedback::created_ms.eq(tx.now),
        feedback::updated_ms.eq(tx.now),
        feedback::expire_ms.eq(tx.now.plus_seconds(new.keep_days * 24 * 3600)),
        feedback::version.eq(1),
    );
    diesel::insert_into(feedback::table).values(row).execute(tx.conn)?;
    Ok(())
}

/// The message with this reference.
pub fn by_reference(conn: &mut Conn, reference: &str) -> Result<Row> {
    let found = feedback::table
        .filter(feedback::reference.eq(reference))
        .first(conn)
        .optional()?;
    found.ok_or_else(|| Problem::not_found("message"))
}

/// Which messages are meant.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub statuses: Vec<FeedbackStatus>,
    pub article_id: Option<Id>,
    pub visible: Option<bool>,
    pub q: Option<String>,
    pub created_after: Option<Time>,
    pub email_key: Option<String>,
}

fn filtered(filter: &Filter) -> feedback::BoxedQuery<'static, <Conn as diesel::Connection>::Backend> {
    let mut rows = feedback::table.into_boxed();
    if !filter.statuses.is_empty() {
        let names: Vec<&'static str> = filter.statuses.iter().map(|status| status.as_str()).collect();
        rows = rows.filter(feedback::status.eq_any(names));
    }
    if let Some(id) = &filter.article_id {
        rows = rows.filter(feedback::article_id.eq(id.clone()));
    }
    if let Some(visible) = filter.visible {
        rows = rows.filter(feedback::visible.eq(visible));
    }
    if let Some(q) = &filter.q {
        rows = rows.filter(feedback::search.like(like_pattern(q)).escape('\\'));
    }
    if let Some(time) = filter.created_after {
        rows = rows.filter(feedback::created_ms.gt(time.ms()));
    }
    if let Some(key) = &filter.email_key {
        rows = rows.filter(feedback::email_key.eq(key.clone()));
    }
    rows
}

/// How many messages there are.
pub fn count(conn: &mut Conn, filter: &Filter) -> Result<i64> {
    Ok(filtered(filter).count().get_result(conn)?)
}

/// A piece of the list, by the time the messages came.
pub fn load(conn: &mut Conn, filter: &Filter, newest_first: bool, start: &Start) -> Result<Vec<Row>> {
    let query = filtered(filter);
    Ok(keyset!(query, start, newest_first, feedback::created_ms, feedback::id, int).load(conn)?)
}

/// A page of the list.
pub fn list(
    conn: &mut Conn,
    filter: &Filter,
    newest_first: bool,
    start: &Start,
    total: bool,
) -> Result<(Vec<Row>, PageInfo)> {
    let total = if total { Some(count(conn, filter)?) } else { None };
    let rows = load(conn, filter, newest_first, start)?;
    Ok(start.finish(rows, total, |row| {
        (crate::page::Key::Int(row.created_at.ms()), row.id.to_string())
    }))
}

/// When what readers see of a story's messages last changed. Not the newest message's time: hiding one is a change
/// too, and what happened while the story was withdrawn shows when it is published again.
pub fn last_change(conn: &mut Conn, article: &Id) -> Result<Option<Time>> {
    let mut times = Vec::new();
    for kind in [changes::FEEDBACK, "article.published"] {
        let newest: Option<Time> = diary::table
            .filter(diary::kind.eq(kind).and(diary::subject_id.eq(article.as_str())))
            .order(diary::seq.desc())
            .select(diary::at_ms)
            .first(conn)
            .optional()?;
        times.extend(newest);
    }
    Ok(times.into_iter().max())
}

/// One message.
pub fn get(conn: &mut Conn, id: &Id) -> Result<Row> {
    let found = feedback::table.find(id).first(conn).optional()?;
    found.ok_or_else(|| Problem::not_found("message"))
}

/// One message, whole.
pub fn get_whole(conn: &mut Conn, id: &Id) -> Result<Feedback> {
    let row = get(conn, id)?;
    whole(conn, row)
}

fn whole(conn: &mut Conn, row: Row) -> Result<Feedback> {
    let mut items = with_names(conn, vec![row])?;
    items.pop().ok_or_else(|| Problem::internal("a message was lost"))
}

/// Adds the titles of articles and the names of those who replied.
pub fn with_names(conn: &mut Conn, rows: Vec<Row>) -> Result<Vec<Feedback>> {
    let wanted: BTreeSet<&Id> = rows.iter().map(|row| &row.article_id).collect();
    let titles: Vec<(Id, String)> = articles::table
        .filter(articles::id.eq_any(wanted))
        .select((articles::id, articles::title))
        .load(conn)?;
    let titles: HashMap<Id, String> = titles.into_iter().collect();
    let wanted: BTreeSet<&Id> = rows.iter().filter_map(|row| row.replied_by.as_ref()).collect();
    let names: Vec<(Id, String)> = match wanted.is_empty() {
        true => Vec::new(),
        false => editors::table
            .filter(editors::id.eq_any(wanted))
            .select((editors::id, editors::name))
            .load(conn)?,
    };
    let names: HashMap<Id, String> = names.into_iter().collect();
    let compose = |row: Row| Feedback {
        article: titles.get(&row.article_id).map(|title| FeedbackArticle {
            id: row.article_id.clone(),
            title: title.clone(),
        }),
        replied_by: row.replied_by.and_then(|id| {
            let name = names.get(&id)?.clone();
            Some(PersonRef { id, name })
        }),
        sender: FeedbackSender {
            name: row.sender_name,
            email: row.sender_email,
            phone: row.sender_phone,
            address: row.sender_address,
        },
        id: row.id,
        reference: row.reference,
        article_id: row.article_id,
        status: row.status,
        visible: row.visible,
        message: row.message,
        consent_version: row.consent_version,
        consented_at: row.consent_at,
        may_publish: row.may_publish,
        internal_note: row.internal_note,
        reply: row.reply,
        replied_at: row.replied_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
        version: row.version,
    };
    Ok(rows.into_iter().map(compose).collect())
}

/// Takes the row's lock and its next version: from here to the end of the transaction nobody else writes it.
fn claim(tx: &mut Tx<'_>, id: &Id, guard: &Guard) -> Result<Row> {
    let claimed: Option<Row> = diesel::update(feedback::table.find(id))
        .set((
            feedback::version.eq(feedback::version + 1),
            feedback::updated_ms.eq(tx.now),
        ))
        .returning(feedback::all_columns)
        .get_result(tx.conn)
        .optional()?;
    let row = claimed.ok_or_else(|| Problem::not_found("message"))?;
    guard.check(row.version - 1)?;
    Ok(row)
}

fn save(tx: &mut Tx<'_>, row: &Row) -> Result<()> {
    diesel::update(feedback::table.find(&row.id))
        .set((
            feedback::status.eq(row.status.as_str()),
            feedback::visible.eq(row.visible),
            feedback::sender_name.eq(&row.sender_name),
            feedback::search.eq(&row.search),
            feedback::internal_note.eq(&row.internal_note),
            feedback::reply.eq(&row.reply),
            feedback::replied_ms.eq(row.replied_at),
            feedback::replied_by.eq(&row.replied_by),
        ))
        .execute(tx.conn)?;
    Ok(())
}

/// A change that readers see of a live story's messages goes into the diary.
fn tell_readers(tx: &mut Tx<'_>, articles: impl IntoIterator<Item = Id>) -> Result<()> {
    for id in articles {
        let language: Option<String> = publications::table
            .find(&id)
            .filter(publications::state.eq(Live))
            .select(publications::language)
            .first(tx.conn)
            .optional()?;
        if let Some(language) = language {
            changes::record(
                tx,
                changes::FEEDBACK,
                id.as_str(),
                Some(&language),
                vec![changes::key('f', &id)],
            );
        }
    }
    Ok(())
}

/// What an editor does with a message.
#[derive(Debug, Clone)]
pub struct Edit {
    pub action: &'static str,
    pub status: Option<FeedbackStatus>,
    pub visible: Option<bool>,
    pub internal_note: Option<Option<String>>,
    pub reply: Option<String>,
}

/// Changes a message or replies to it.
pub fn update(tx: &mut Tx<'_>, actor: &Actor, id: &Id, guard: &Guard, edit: &Edit) -> Result<Feedback> {
    let mut row = claim(tx, id, guard)?;
    let before = row.clone();
    row.status = edit.status.unwrap_or(row.status);
    settle_visibility(&mut row, edit.visible)?;
    if let Some(note) = &edit.internal_note {
        row.internal_note = note.clone();
    }
    if let Some(reply) = &edit.reply {
        row.reply = Some(reply.clone());
        row.replied_at = Some(tx.now);
        row.replied_by = actor.id.clone();
    }
    if row.expire_ms == FORGOTTEN && !row.visible && !row.sender_name.is_empty() {
        // The name outlived retention only because readers saw it.
        row.sender_name = String::new();
        row.search = search_text("", None, &row.message);
    }
    save(tx, &row)?;
    if before.seen() != row.seen() {
        tell_readers(tx, [row.article_id.clone()])?;
    }
    let facts = |row: &Row| json!({ "status": row.status, "visible": row.visible });
    let data = json!({ "before": facts(&before), "after": facts(&row), "note_changed": before.internal_note != row.internal_note });
    audit::record(tx, actor, edit.action, "feedback", id, data)?;
    whole(tx.conn, row)
}

/// Erases a message.
pub fn delete(tx: &mut Tx<'_>, actor: &Actor, id: &Id, guard: &Guard) -> Result<()> {
    let row = claim(tx, id, guard)?;
    diesel::delete(feedback::table.find(id)).execute(tx.conn)?;
    let data = json!({ "article_id": row.article_id, "status": row.status });
    if row.visible {
        tell_readers(tx, [row.article_id])?;
    }
    audit::record(tx, actor, "feedback.delete", "feedback", id, data)
}

/// Erases every message of an address; gives their number.
pub fn erase_address(tx: &mut Tx<'_>, actor: &Actor, email_key: &str) -> Result<i64> {
    let erased: Vec<(Id, bool)> = diesel::delete(feedback::table.filter(feedback::email_key.eq(email_key)))
        .returning((feedback::article_id, feedback::visible))
        .get_results(tx.conn)?;
    let count = erased.len() as i64;
    let seen: BTreeSet<Id> = erased
        .into_iter()
        .filter_map(|(id, visible)| visible.then_some(id))
        .collect();
    tell_readers(tx, seen)?;
    record_many(tx, actor, "feedback.privacy_erase", json!({ "erased": count }))?;
    Ok(count)
}

/// The audit line of an act on many messages: it has an id of its own, and nothing in it says whose they were.
pub fn record_many(tx: &mut Tx<'_>, actor: &Actor, action: &str, data: Value) -> Result<()> {
    audit::record(tx, actor, action, "feedback_set", &Id::new(), data)
}

/// What is left of a row after retention.
#[derive(Clone)]
struct Remains {
    id: Id,
    version: i64,
    name: String,
    search: String,
}

/// Removes the details of senders whose time is over, `piece` at most; gives how many it found. A name stays where
/// readers see it with the message.
pub async fn forget_senders(app: &State, now: Time, piece: i64) -> Result<i64> {
    let due: Vec<Row> = app
        .db
        .read(move |conn| {
            let due = feedback::table
                .filter(feedback::expire_ms.le(now.ms()))
                .order(feedback::expire_ms.asc())
                .limit(piece);
            Ok(due.load(conn)?)
        })
        .await?;
    if due.is_empty() {
        return Ok(0);
    }
    let found = due.len() as i64;
    // Folding takes its time, and the writer has none to give: it happens here.
    let remains: Vec<Remains> = due.into_iter().map(forgotten).collect();
    app.db.write(move |tx| forget(tx, &remains)).await?;
    Ok(found)
}

fn forgotten(row: Row) -> Remains {
    let name = if row.visible && row.may_publish {
        row.sender_name
    } else {
        String::new()
    };
    Remains {
        search: search_text(&name, None, &row.message),
        id: row.id,
        version: row.version,
        name,
    }
}

/// A row that an editor changed in between is left for the next time: its name may have to stay, or go.
fn forget(tx: &mut Tx<'_>, remains: &[Remains]) -> Result<()> {
    let mut count = 0;
    for row in remains {
        let same = feedback::table.find(&row.id).filter(feedback::version.eq(row.version));
        count += diesel::update(same)
            .set((
                feedback::sender_name.eq(&row.name),
                feedback::sender_email.eq(None::<String>),
                feedback::sender_phone.eq(None::<String>),
                feedback::sender_address.eq(None::<String>),
                feedback::email_key.eq(None::<String>),
                feedback::search.eq(&row.search),
                feedback::expire_ms.eq(FORGOTTEN),
                feedback::updated_ms.eq(tx.now),
                feedback::version.eq(feedback::version + 1),
            ))
            .execute(tx.conn)?;
    }
    if count == 0 {
        return Ok(());
    }
    let actor = Actor::system("retention");
    record_many(tx, &actor, "feedback.forget_senders", json!({ "forgotten": count }))
}

#[cfg(test)]
impl Row {
    /// A new message, for tests.
    pub fn sample() -> Self {
        let now = Time::now();
        Self {
            id: Id::new(),
            reference: super::new_reference(),
            article_id: Id::new(),
            status: FeedbackStatus::New,
            visible: false,
            message: "Bài viết rất hay".into(),
            sender_name: "Nguyễn Văn An".into(),
            sender_email: Some("an@example.vn".into()),
            sender_phone: None,
            sender_address: None,
            email_key: Some("an@example.vn".into()),
            search: search_text("Nguyễn Văn An", Some("an@example.vn"), "Bài viết rất hay"),
            consent_version: 1,
            consent_at: now,
            may_publish: false,
            internal_note: None,
            reply: None,
            replied_at: None,
            replied_by: None,
            created_at: now,
            updated_at: now,
            expire_ms: now.plus_seconds(3600).ms(),
            version: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_leaves_a_name_only_where_readers_see_it() {
        let mut row = Row::sample();
        let remains = forgotten(row.clone());
        assert_eq!(remains.name, "");
        assert_eq!(remains.search.trim(), "bai viet rat hay");
        (row.visible, row.may_publish) = (true, true);
        let remains = forgotten(row);
        assert_eq!(remains.name, "Nguyễn Văn An");
        assert!(!remains.search.contains("example.vn"));
    }
}
