//! How leases are kept: one row an article, changed by one statement, by the database's clock.

use std::collections::HashMap;

use diesel::prelude::*;
use serde_json::json;

use super::SECONDS;
use crate::articles::store::get;
use crate::audit::{self, Actor};
use crate::auth::Caller;
use crate::db::{Conn, Tx, Value, clock, insert_once};
use crate::error::{Code, Problem, Result};
use crate::schema::{edit_leases, editors};
use crate::types::{Id, Lease, PersonRef, Time};

/// The leases of some articles that have not run out.
pub fn of(conn: &mut Conn, articles: &[&Id]) -> Result<HashMap<Id, Lease>> {
    type Row = (Id, Id, String, Time, Time);
    let held = edit_leases::table.inner_join(editors::table.on(editors::id.eq(edit_leases::editor_id)));
    // A list is parsed anew each time on SQLite; one article, the usual case, is not.
    let held = match articles {
        [one] => held.filter(edit_leases::article_id.eq(*one)).into_boxed(),
        many => held.filter(edit_leases::article_id.eq_any(many.to_vec())).into_boxed(),
    };
    let rows: Vec<Row> = held
        .select((
            edit_leases::article_id,
            editors::id,
            editors::name,
            edit_leases::since_ms,
            edit_leases::until_ms,
        ))
        .load(conn)?;
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let now = clock(conn)?;
    let lease = |(article, id, name, since, until): Row| {
        let editor = PersonRef { id, name };
        (
            article,
            Lease {
                editor,
                since,
                expires_at: until,
            },
        )
    };
    Ok(rows.into_iter().filter(|row| row.4 > now).map(lease).collect())
}

fn current(conn: &mut Conn, article: &Id) -> Result<Option<Lease>> {
    Ok(of(conn, &[article])?.remove(article))
}

/// 409 while another is editing the article, unless the caller takes it over with the write.
pub fn check(tx: &mut Tx<'_>, caller: &Caller, article: &Id) -> Result<()> {
    match current(tx.conn, article)? {
        Some(lease) if lease.editor.id != caller.id => {
            if !caller.take_over {
                return Err(leased(&lease));
            }
            take(tx, caller, article, Some(lease), true)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn leased(lease: &Lease) -> Problem {
    let detail = format!(
        "{} is editing this article until {}: wait, ask, or take it over with Lease-Take-Over: true.",
        lease.editor.name, lease.expires_at
    );
    Problem::new(Code::ArticleLeased, detail).with("lease", json!(lease))
}

/// Takes or renews the lease of an article.
pub fn put(tx: &mut Tx<'_>, caller: &Caller, article: &Id, take_over: bool) -> Result<Lease> {
    let row = get(tx.conn, caller, article)?;
    if row.trashed.is_some() {
        let detail = "The article is in the trash: restore it first.";
        return Err(Problem::new(Code::InvalidTransition, detail).with("allowed", row.facts()?.actions()));
    }
    row.check_may_change(caller)?;
    let before = current(tx.conn, article)?;
    take(tx, caller, article, before, take_over)
}

/// Makes the lease the caller's, if it is theirs already, has run out or is taken over: decided by one statement.
fn take(tx: &mut Tx<'_>, caller: &Caller, article: &Id, before: Option<Lease>, take_over: bool) -> Result<Lease> {
    let now = clock(tx.conn)?;
    let statement = "INSERT INTO edit_leases (article_id, editor_id, since_ms, until_ms) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (article_id) DO UPDATE SET since_ms = CASE WHEN edit_leases.editor_id = $2 \
                     AND edit_leases.until_ms > $3 THEN edit_leases.since_ms ELSE $3 END, editor_id = $2, until_ms = $4 \
                     WHERE edit_leases.editor_id = $2 OR edit_leases.until_ms <= $3 OR $5 = 1";
    let values = [
        Value::Text(article.as_str()),
        Value::Text(caller.id.as_str()),
        Value::Int(now.ms()),
        Value::Int(now.plus_seconds(SECONDS).ms()),
        Value::Int(i64::from(take_over)),
    ];
    let taken = insert_once(tx.conn, statement, &values)?;
    let held = current(tx.conn, article)?.ok_or_else(|| Problem::internal("a lease was lost"))?;
    if !taken {
        return Err(leased(&held));
    }
    // A renewal is not worth a line.
    match before {
        Some(before) if before.editor.id == caller.id => {}
        before => {
            let data = json!({ "taken_over_from": before.map(|before| before.editor) });
            audit::record(tx, &Actor::from(caller), "article.lease", "article", article, data)?;
        }
    }
    Ok(held)
}

/// Gives the lease back, or ends another's knowingly.
pub fn end(tx: &mut Tx<'_>, caller: &Caller, article: &Id, take_over: bool) -> Result<()> {
    let row = get(tx.conn, caller, article)?;
    let held = current(tx.conn, article)?;
    let own = held.as_ref().is_some_and(|lease| lease.editor.id == caller.id);
    if !own {
        row.check_may_change(caller)?;
    }
    let Some(lease) = held else { return Ok(()) };
    if !own && !take_over {
        return Err(leased(&lease));
    }
    let same = edit_leases::article_id
        .eq(article)
        .and(edit_leases::editor_id.eq(&lease.editor.id));
    diesel::delete(edit_leases::table.filter(same)).execute(tx.conn)?;
    let data = json!({ "taken_over_from": (!own).then_some(lease.editor) });
    audit::record(tx, &Actor::from(caller), "article.lease_end", "article", article, data)
}
