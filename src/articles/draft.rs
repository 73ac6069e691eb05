//! A new article: all that can be made of it before its turn to be written comes, and its rows.

use serde_json::json;

use super::input::Changes;
use super::slugs::{claim_slug, likely_slug, slug_taken, take_slug};
use super::store::{ArticleRow, check_references, file_new, leave_trace, translation_group};
use super::{Content, PublicState, Seo, Snapshot, Status};
use crate::audit::Actor;
use crate::auth::Caller;
use crate::body::Body;
use crate::db::{Conn, Fixed, Tx, Value};
use crate::error::Result;
use crate::types::{Id, Time};

/// How a draft was written.
pub struct Written {
    at: Time,
    /// When it is not the draft itself.
    instead: Option<Box<Draft>>,
}

/// A draft of the caller's that is ready to be written.
#[derive(Clone)]
pub struct Draft {
    row: ArticleRow,
    snapshot: Snapshot,
    stored: String,
    by_hand: bool,
    note: Option<String>,
}

impl Draft {
    /// Makes it, with all checks; the database's own rules stand in for them while it waits for its turn.
    pub fn prepare(conn: &mut Conn, caller: &Caller, changes: &Changes) -> Result<Self> {
        let id = Id::new();
        let owner = changes.owner().cloned().unwrap_or_else(|| caller.id.clone());
        let site = crate::site::current(conn)?;
        let mut content = Content {
            title: String::new(),
            slug: String::new(),
            kicker: None,
            lead: None,
            dateline: None,
            body: Body::default(),
            language: site.default_language().to_owned(),
            section_id: None,
            tag_ids: Vec::new(),
            author_ids: Vec::new(),
            source: None,
            seo: Seo::default(),
            feedback_open: true,
            featured: false,
        };
        changes.apply(&mut content)?;
        check_references(conn, &content, changes.owner(), Some(&site.languages))?;
        let mut snapshot = Snapshot {
            content,
            captions: Vec::new(),
            translation_group: id.clone(),
        };
        snapshot.check_figures()?;
        let language = &snapshot.content.language;
        let group = translation_group(conn, caller, &id, &id, changes.translation_of(), language)?;
        snapshot.translation_group = group.clone();
        let by_hand = changes.slug().flatten();
        snapshot.content.slug = match by_hand {
            Some(slug) => slug.to_owned(),
            None => likely_slug(conn, &id, &snapshot.content.title)?,
        };
        let now = Time::now();
        let mut row = ArticleRow {
            id,
            version: 1,
            revision: 0,
            content_hash: String::new(),
            status: Status::Draft.as_str().to_owned(),
            public_state: PublicState::Never.as_str().to_owned(),
            review: "none".to_owned(),
            trashed: None,
            slug: String::new(),
            title: String::new(),
            title_key: String::new(),
            public_title_key: String::new(),
            search: String::new(),
            language: String::new(),
            translation_group: group,
            section_id: None,
            owner_id: owner,
            content: String::new(),
            published_hash: None,
            first_published: None,
            published: None,
            created_by: caller.id.clone(),
            created: now,
            updated_by: caller.id.clone(),
            updated: now,
            publish_at: None,
            unpublish_at: None,
        };
        Ok(Self {
            stored: row.take(&snapshot, false)?,
            by_hand: by_hand.is_some(),
            note: changes.note().map(str::to_owned),
            row,
            snapshot,
        })
    }

    /// Writes it. When another has taken the slug that was made for it, with the next that is free.
    pub fn write(&self, tx: &mut Tx<'_>, caller: &Caller) -> Result<Written> {
        if claim_slug(tx.conn, &self.row.id, &self.row.slug)? {
            let at = self.insert(tx, caller)?;
            return Ok(Written { at, instead: None });
        }
        if self.by_hand {
            return Err(slug_taken(&self.row.slug));
        }
        let mut other = self.clone();
        other.snapshot.content.slug = take_slug(tx.conn, &self.row.id, None, &self.row.title)?;
        other.row.revision = 0;
        other.stored = other.row.take(&other.snapshot, false)?;
        let at = other.insert(tx, caller)?;
        let instead = Some(Box::new(other));
        Ok(Written { at, instead })
    }

    fn insert(&self, tx: &mut Tx<'_>, caller: &Caller) -> Result<Time> {
        let row = &self.row;
        let now = Value::Int(tx.now.ms());
        Fixed::with(
            "INSERT INTO articles (id, version, revision, content_hash, status, public_state, review, slug, title, \
             title_key, public_title_key, search, language, translation_group, section_id, owner_id, content, \
             created_by, created_ms, updated_by, updated_ms) VALUES \
             ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $18, $19)",
            &[
                Value::Text(row.id.as_str()),
                Value::Int(row.version),
                Value::Int(row.revision),
                Value::Text(&row.content_hash),
                Value::Text(&row.status),
                Value::Text(&row.public_state),
                Value::Text(&row.review),
                Value::Text(&row.slug),
                Value::Text(&row.title),
                Value::Text(&row.title_key),
                Value::Text(&row.public_title_key),
                Value::Text(&row.search),
                Value::Text(&row.language),
                Value::Text(row.translation_group.as_str()),
                Value::Maybe(row.section_id.as_ref().map(Id::as_str)),
                Value::Text(row.owner_id.as_str()),
                Value::Text(&row.content),
                Value::Text(row.created_by.as_str()),
                now,
            ],
        )
        .run(tx.conn)?;
        file_new(tx.conn, &row.id, &self.snapshot.content)?;
        let actor = Actor::from(caller);
        leave_trace(tx, &actor, row, &self.stored, "create", self.note.as_deref(), json!({}))?;
        Ok(tx.now)
    }

    /// Its row and what it says, as they were written.
    pub fn result(&self, written: &Written) -> (ArticleRow, Snapshot) {
        let draft = written.instead.as_deref().unwrap_or(self);
        let mut row = draft.row.clone();
        (row.created, row.updated) = (written.at, written.at);
        (row, draft.snapshot.clone())
    }
}

/// Makes an article within a transaction that does more.
pub fn create(tx: &mut Tx<'_>, caller: &Caller, changes: &Changes) -> Result<(ArticleRow, Snapshot)> {
    let draft = Draft::prepare(tx.conn, caller, changes)?;
    let written = draft.write(tx, caller)?;
    Ok(draft.result(&written))
}
