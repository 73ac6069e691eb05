//! How sessions are kept: opened by a login, carried on by refresh tokens that are used once, ended by a logout.
//!
//! A refresh token is 256 random bits; the table has its SHA-256 only. A token's successor is derived from it with the
//! server's secret and stored nowhere either: a client whose answer got lost, or that refreshed twice at the same time,
//! asks again within some seconds and gets the same successor. Whoever comes later with a used token has copied it, or
//! was copied from; then nobody can tell who is who, and the session ends.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;
use hmac::{Hmac, KeyInit, Mac};
use rand::Rng;
use serde::Serialize;
use sha2::Sha256;
use utoipa::ToSchema;

use super::editors::Account;
use crate::db::{Conn, Tx};
use crate::error::{Problem, Result};
use crate::page::{Key, PageInfo, PageQuery, Start};
use crate::request::hash;
use crate::schema::{editors, refresh_tokens, sessions};
use crate::types::{Id, Time};
use crate::{keyset, page_type};

/// A session ends when it is not refreshed for so long, in seconds.
const IDLE_SECONDS: i64 = 7 * 24 * 3600;
/// A session ends after so long in any case, in seconds.
const LIFE_SECONDS: i64 = 30 * 24 * 3600;
/// For so long a used token gives its successor again, in seconds.
const GRACE_SECONDS: i64 = 10;
const PREFIX: &str = "ndr_";

/// One sign-in of an editor, on one device.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Session {
    /// The session's id.
    pub id: Id,
    /// What the client called itself (`User-Agent`); empty when it did not.
    #[schema(example = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")]
    pub user_agent: String,
    /// The address that the client signed in from.
    #[schema(example = "203.0.113.7")]
    pub address: String,
    /// When it was opened.
    pub created_at: Time,
    /// When its tokens were last made.
    pub last_used_at: Time,
    /// When it ends unless it is refreshed before.
    pub expires_at: Time,
    /// Whether this is the session of the request.
    pub current: bool,
}

page_type! {
    /// A page of sessions.
    SessionPage of Session
}

/// A session with a new refresh token.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The session.
    pub session: Id,
    /// Its refresh token, in clear: it is not kept.
    pub refresh_token: String,
    /// When the refresh token ends.
    pub ends: Time,
}

/// What became of a refresh token.
pub enum Rotation {
    /// The session goes on.
    Renewed(Box<Account>, Opened),
    /// The token had been used: its session was ended.
    Reused(Id),
    /// The token is unknown, or its session has ended.
    Refused,
}

/// Where a login came from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// What the client calls itself.
    pub user_agent: String,
    /// Its address.
    pub address: String,
}

/// Opens a session.
pub fn open(tx: &mut Tx<'_>, editor: &Id, origin: &Origin) -> Result<Opened> {
    let session = Id::new();
    let ends = tx.now.plus_seconds(IDLE_SECONDS);
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(&session),
            sessions::editor_id.eq(editor),
            sessions::user_agent.eq(&origin.user_agent),
            sessions::address.eq(&origin.address),
            sessions::created_ms.eq(tx.now),
            sessions::used_ms.eq(tx.now),
            sessions::idle_ms.eq(ends),
            sessions::expires_ms.eq(tx.now.plus_seconds(LIFE_SECONDS)),
        ))
        .execute(tx.conn)?;
    let refresh_token = random_token();
    add_token(tx.conn, &session, &refresh_token)?;
    Ok(Opened {
        session,
        refresh_token,
        ends,
    })
}

/// Lets a session go on with a new refresh token; its older ones are forgotten. None when it has ended.
pub fn renew(tx: &mut Tx<'_>, session: &Id) -> Result<Option<Opened>> {
    let Some((_, ends)) = hold(tx, session)? else {
        return Ok(None);
    };
    diesel::delete(refresh_tokens::table.filter(refresh_tokens::session_id.eq(session))).execute(tx.conn)?;
    let refresh_token = random_token();
    add_token(tx.conn, session, &refresh_token)?;
    Ok(Some(Opened {
        session: session.clone(),
        refresh_token,
        ends,
    }))
}

/// The session of a refresh token that has not ended, for a look before the write: strangers' tokens never reach the
/// writer.
pub fn of_token(conn: &mut Conn, token: &str) -> Result<Option<Id>> {
    let now = Time::now();
    Ok(refresh_tokens::table
        .inner_join(sessions::table.on(sessions::id.eq(refresh_tokens::session_id)))
        .filter(refresh_tokens::hash.eq(hash(token.as_bytes())))
        .filter(sessions::revoked_ms.is_null())
        .filter(sessions::idle_ms.gt(now))
        .filter(sessions::expires_ms.gt(now))
        .select(sessions::id)
        .first(conn)
        .optional()?)
}

/// Exchanges a refresh token for its successor.
pub fn rotate(tx: &mut Tx<'_>, secret: &[u8], token: &str) -> Result<Rotation> {
    let Some(session) = of_token(tx.conn, token)? else {
        return Ok(Rotation::Refused);
    };
    // From here on nobody else refreshes or ends this session; what was read before is read again.
    let Some((editor, ends)) = hold(tx, &session)? else {
        return Ok(Rotation::Refused);
    };
    let used: Option<Option<Time>> = refresh_tokens::table
        .find(hash(token.as_bytes()))
        .select(refresh_tokens::used_ms)
        .first(tx.conn)
        .optional()?;
    let account: Option<Account> = editors::table
        .find(&editor)
        .filter(editors::disabled.eq(false))
        .first(tx.conn)
        .optional()?;
    let (Some(used), Some(account)) = (used, account) else {
        return Ok(Rotation::Refused);
    };
    let refresh_token = successor(secret, token)?;
    match used {
        Some(used) if used.plus_seconds(GRACE_SECONDS) < tx.now => {
            end(tx, &session)?;
            return Ok(Rotation::Reused(session));
        }
        Some(_) => {}
        None => {
            diesel::update(refresh_tokens::table.find(hash(token.as_bytes())))
                .set(refresh_tokens::used_ms.eq(tx.now))
                .execute(tx.conn)?;
            add_token(tx.conn, &session, &refresh_token)?;
        }
    }
    Ok(Rotation::Renewed(
        Box::new(account),
        Opened {
            session,
            refresh_token,
            ends,
        },
    ))
}

/// Takes a session's lock and moves its idle time on. None when it has ended.
fn hold(tx: &mut Tx<'_>, session: &Id) -> Result<Option<(Id, Time)>> {
    let held: Option<(Id, Time)> = diesel::update(
        sessions::table
            .find(session)
            .filter(sessions::revoked_ms.is_null())
            .filter(sessions::idle_ms.gt(tx.now))
            .filter(sessions::expires_ms.gt(tx.now)),
    )
    .set((
        sessions::used_ms.eq(tx.now),
        sessions::idle_ms.eq(tx.now.plus_seconds(IDLE_SECONDS)),
    ))
    .returning((sessions::editor_id, sessions::expires_ms))
    .get_result(tx.conn)
    .optional()?;
    Ok(held.map(|(editor, expires)| (editor, expires.min(tx.now.plus_seconds(IDLE_SECONDS)))))
}

/// Ends a session; false when it had ended before.
pub fn end(tx: &mut Tx<'_>, session: &Id) -> Result<bool> {
    let ended = diesel::update(sessions::table.find(session).filter(sessions::revoked_ms.is_null()))
        .set(sessions::revoked_ms.eq(tx.now))
        .execute(tx.conn)?;
    Ok(ended > 0)
}

/// Ends all sessions of an editor, but one; gives their number.
pub fn end_all(tx: &mut Tx<'_>, editor: &Id, but: Option<&Id>) -> Result<usize> {
    let but = but.map_or("", Id::as_str);
    let all = sessions::table
        .filter(sessions::editor_id.eq(editor))
        .filter(sessions::revoked_ms.is_null())
        .filter(sessions::id.ne(but));
    Ok(diesel::update(all)
        .set(sessions::revoked_ms.eq(tx.now))
        .execute(tx.conn)?)
}

/// Whether an editor has such a session that has not ended.
pub fn is_own(conn: &mut Conn, editor: &Id, session: &Id) -> Result<bool> {
    let now = Time::now();
    let found: i64 = sessions::table
        .find(session)
        .filter(sessions::editor_id.eq(editor))
        .filter(sessions::revoked_ms.is_null())
        .filter(sessions::idle_ms.gt(now))
        .filter(sessions::expires_ms.gt(now))
        .count()
        .get_result(conn)?;
    Ok(found > 0)
}

/// An editor's sessions that have not ended, newest first.
pub fn list(
    conn: &mut Conn,
    editor: &Id,
    current: &Id,
    query: &PageQuery,
    start: &Start,
) -> Result<(Vec<Session>, PageInfo)> {
    let now = Time::now();
    let open = || {
        sessions::table
            .filter(sessions::editor_id.eq(editor))
            .filter(sessions::revoked_ms.is_null())
            .filter(sessions::idle_ms.gt(now))
            .filter(sessions::expires_ms.gt(now))
            .into_boxed()
    };
    let total = match query.include_total {
        true => Some(open().count().get_result::<i64>(conn)?),
        false => None,
    };
    type Row = (Id, String, String, Time, Time, Time, Time);
    let columns = (
        sessions::id,
        sessions::user_agent,
        sessions::address,
        sessions::created_ms,
        sessions::used_ms,
        sessions::idle_ms,
        sessions::expires_ms,
    );
    let rows: Vec<Row> = keyset!(open(), start, true, sessions::created_ms, sessions::id, int)
        .select(columns)
        .load(conn)?;
    let list = rows
        .into_iter()
        .map(
            |(id, user_agent, address, created_at, last_used_at, idle, expires)| Session {
                current: id == *current,
                id,
                user_agent,
                address,
                created_at,
                last_used_at,
                expires_at: idle.min(expires),
            },
        )
        .collect();
    Ok(start.finish(list, total, |session| {
        (Key::Int(session.created_at.ms()), session.id.to_string())
    }))
}

fn add_token(conn: &mut Conn, session: &Id, token: &str) -> Result<()> {
    diesel::insert_into(refresh_tokens::table)
        .values((
            refresh_tokens::hash.eq(hash(token.as_bytes())),
            refresh_tokens::session_id.eq(session),
        ))
        .execute(conn)?;
    Ok(())
}

fn random_token() -> String {
    let mut bytes = [0u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// The token that follows another, the same one whenever it is asked for.
fn successor(secret: &[u8], token: &str) -> Result<String> {
    let bytes = keyed(secret, &[b"refresh successor", token.as_bytes()])?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// HMAC-SHA256 of the parts with the server's secret. The first part names the purpose.
pub fn keyed(secret: &[u8], parts: &[&[u8]]) -> Result<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(Problem::internal)?;
    parts.iter().for_each(|part| mac.update(part));
    Ok(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_needs_the_secret_and_is_always_the_same() {
        let token = random_token();
        assert_eq!(token.len(), PREFIX.len() + 43);
        assert_ne!(token, random_token());
        let next = successor(b"secret", &token).expect("a token");
        assert_eq!(next, successor(b"secret", &token).expect("a token"));
        assert_eq!(next.len(), token.len());
        assert_ne!(next, successor(b"another", &token).expect("a token"));
        assert_ne!(next, successor(b"secret", &next).expect("a token"));
    }
}
