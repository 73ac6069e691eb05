//! How often an address was written to, and which want no more: addresses are kept as HMACs only.

use diesel::prelude::*;
use hmac::{Hmac, KeyInit, Mac};
use rand::Rng;
use sha2::Sha256;

use crate::db::{Conn, Tx, Value, insert_once};
use crate::error::{Problem, Result};
use crate::meta;
use crate::schema::{share_counts, share_optouts};

/// Mails one address gets in a day (UTC) from all senders together.
const A_DAY: i64 = 3;
const SECRET: &str = "share_secret";
const DAY_MS: i64 = 24 * 3600 * 1000;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The secret of all address HMACs. It is made once and never changes: opt-out links hold for ever.
pub fn secret(conn: &mut Conn) -> Result<Option<String>> {
    meta::value(conn, SECRET)
}

/// The secret, made now if there is none.
pub fn made_secret(tx: &mut Tx<'_>) -> Result<String> {
    if let Some(secret) = secret(tx.conn)? {
        return Ok(secret);
    }
    let mut bytes = [0u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    meta::set_once(tx.conn, SECRET, &hex(&bytes))?;
    secret(tx.conn)?.ok_or_else(|| Problem::internal("the secret was not kept"))
}

/// HMAC of an address's key: all that is kept of it.
pub fn address_hmac(secret: &str, key: &str) -> Result<String> {
    hmac(secret, "address", key)
}

/// HMAC of a text for a purpose, in hex.
pub fn hmac(secret: &str, purpose: &str, text: &str) -> Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(Problem::internal)?;
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(text.as_bytes());
    Ok(hex(&mac.finalize().into_bytes()))
}

/// Counts one mail to an address, unless it has had its number today: one statement, so that no race gets past it.
pub fn count_one(tx: &mut Tx<'_>, email_hmac: &str) -> Result<bool> {
    let statement = "INSERT INTO share_counts (email_hmac, day, n) VALUES ($1, $2, 1) \
                     ON CONFLICT (email_hmac, day) DO UPDATE SET n = share_counts.n + 1 WHERE share_counts.n < $3";
    let values = [
        Value::Text(email_hmac),
        Value::Int(tx.now.ms() / DAY_MS),
        Value::Int(A_DAY),
    ];
    insert_once(tx.conn, statement, &values)
}

/// Whether an address that is known by these wants no mail.
pub fn opted_out(conn: &mut Conn, email_hmacs: Vec<String>) -> Result<bool> {
    let found = share_optouts::table
        .filter(share_optouts::email_hmac.eq_any(email_hmacs))
        .select(share_optouts::email_hmac);
    Ok(found.first::<String>(conn).optional()?.is_some())
}

/// Remembers that an address wants no mail.
pub fn opt_out(tx: &mut Tx<'_>, email_hmac: &str) -> Result<()> {
    let statement = "INSERT INTO share_optouts (email_hmac) VALUES ($1) ON CONFLICT (email_hmac) DO NOTHING";
    insert_once(tx.conn, statement, &[Value::Text(email_hmac)])?;
    Ok(())
}

/// Removes the counts of past days.
pub fn forget_counts(tx: &mut Tx<'_>) -> Result<()> {
    let old = share_counts::table.filter(share_counts::day.lt(tx.now.ms() / DAY_MS));
    diesel::delete(old).execute(tx.conn)?;
    Ok(())
}
