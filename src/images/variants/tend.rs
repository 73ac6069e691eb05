//! Keeping variants within their budget: what was not used for longest goes, and what belongs to no picture any more.
//!
//! A file that goes is marked, removed from the store, and then from the table. A crash in between leaves a mark that
//! the next look goes on from; several instances may do the same at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::store::{self, EVICTING, MAKING, READY};
use crate::app::State;
use crate::changes;
use crate::db::{Conn, Tx};
use crate::error::{Problem, Result};
use crate::images::process::{Limits, process_bytes};
use crate::schema::{image_files, image_plans, image_variants, images};
use crate::types::Time;

/// How often the budget is looked at when nothing was made.
const EVERY: Duration = Duration::from_secs(15);
/// Every so many looks what has lost its picture is looked for.
const SELDOM: u32 = 40;
/// How long a look waits for more after something was made.
const GATHER: Duration = Duration::from_secs(1);
/// Files that one transaction marks, or removes.
const PIECE: i64 = 200;
/// A use is not written down when one of the last ten minutes is.
const USE_SECONDS: i64 = 600;
/// Files whose use is remembered between two looks.
const USES: usize = 20_000;
/// A file that was begun so long ago will not be finished.
const BEGUN_SECONDS: i64 = 900;
/// Files of a replaced picture stay for a day after their last use: pages that were built with them may be about.
const REPLACED_SECONDS: i64 = 24 * 3600;
/// A file that is missing is asked for once in so long.
const ASK_AGAIN: Duration = Duration::from_secs(600);
/// Old originals that one look takes.
const OLD: i64 = 20;

/// What was served since it was last written down.
#[derive(Default)]
pub struct Uses {
    keys: Mutex<HashMap<String, i64>>,
}

impl Uses {
    /// A file was used. Originals are no concern of the budget's.
    pub fn tell(&self, key: &str) {
        if super::spec::read_key(key).is_none() {
            return;
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() < USES || keys.contains_key(key) {
            keys.insert(key.to_owned(), Time::now().ms());
        }
    }

    fn take(&self) -> HashMap<String, i64> {
        std::mem::take(&mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Missing files that were asked for lately.
#[derive(Default)]
pub struct Asks {
    keys: Mutex<HashMap<String, Instant>>,
}

impl Asks {
    /// Whether nobody asked for this one lately.
    pub fn is_news(&self, key: &str) -> bool {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= 1000 {
            keys.retain(|_, asked| asked.elapsed() < ASK_AGAIN);
        }
        if keys.len() >= 1000 || keys.get(key).is_some_and(|asked| asked.elapsed() < ASK_AGAIN) {
            return false;
        }
        keys.insert(key.to_owned(), Instant::now());
        true
    }
}

/// Looks after variants for as long as the program runs.
pub async fn run(app: State) {
    let (mut failing, mut looks) = (false, 0_u32);
    loop {
        let seldom = looks.is_multiple_of(SELDOM);
        let done = async {
            write_uses(&app).await?;
            evict(&app, seldom).await?;
            if seldom {
                forget_plans(&app).await?;
                plan_old(&app).await?;
            }
            Ok::<_, Problem>(())
        };
        match done.await {
            Ok(()) => {
                failing = false;
                looks = looks.wrapping_add(1);
            }
            Err(problem) if !failing => {
                failing = true;
                tracing::error!(cause = %problem, "variants cannot be looked after; it is tried again");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = app.variants.made.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn write_uses(app: &State) -> Result<()> {
    let uses: Vec<String> = app.variants.uses.take().into_keys().collect();
    for piece in uses.chunks(PIECE as usize) {
        let keys = piece.to_vec();
        app.db
            .write(move |tx| {
                let lately = tx.now.plus_seconds(-USE_SECONDS);
                store::write_uses(tx, &keys, tx.now, lately)
            })
            .await?;
    }
    Ok(())
}

/// Marks what has to go, and removes what is marked.
async fn evict(app: &State, seldom: bool) -> Result<()> {
    let budget = i64::try_from(app.config.variants_bytes).unwrap_or(i64::MAX);
    loop {
        // An idle instance must not write.
        let wanted = app.db.read(move |conn| to_evict(conn, budget, seldom)).await?;
        if wanted.is_empty() {
            return Ok(());
        }
        let keys = wanted.clone();
        app.db
            .write(move |tx| {
                let there = image_variants::table.filter(image_variants::object_key.eq_any(&keys));
                diesel::update(there)
                    .set(image_variants::state.eq(EVICTING))
                    .execute(tx.conn)?;
                Ok(())
            })
            .await?;
        for key in &wanted {
            app.media.delete(key).await?;
            app.hot.forget(key);
        }
        tracing::debug!(files = wanted.len(), "variants were removed");
        app.db
            .write(move |tx| {
                // One that was made anew meanwhile has another state, and stays.
                let gone = image_variants::table
                    .filter(image_variants::object_key.eq_any(&wanted))
                    .filter(image_variants::state.eq(EVICTING));
                diesel::delete(gone).execute(tx.conn)?;
                Ok(())
            })
            .await?;
    }
}

/// A piece of what has to go: what a crash left marked, what goes with its picture, what nobody used for longest.
fn to_evict(conn: &mut Conn, budget: i64, seldom: bool) -> Result<Vec<String>> {
    let mut keys: Vec<String> = image_variants::table
        .filter(image_variants::state.eq(EVICTING))
        .select(image_variants::object_key)
        .limit(PIECE)
        .load(conn)?;
    if keys.is_empty() {
        keys = begun(conn)?;
    }
    if keys.is_empty() && seldom {
        keys = lost(conn)?;
    }
    if keys.is_empty() {
        keys = over_budget(conn, budget)?;
    }
    Ok(keys)
}

/// What was begun and never finished: the file may be there or not.
fn begun(conn: &mut Conn) -> Result<Vec<String>> {
    Ok(image_variants::table
        .filter(image_variants::state.eq(MAKING))
        .filter(image_variants::used_ms.lt(Time::now().plus_seconds(-BEGUN_SECONDS).ms()))
        .select(image_variants::object_key)
        .limit(PIECE)
        .load(conn)?)
}

/// Variants of pictures that are gone, or that another file has replaced for a while.
fn lost(conn: &mut Conn) -> Result<Vec<String>> {
    let its_image = || {
        image_files::table
            .inner_join(images::table.on(images::id.eq(image_files::image_id)))
            .filter(image_files::file_key.eq(image_variants::file_key))
            .filter(images::deleted_ms.is_null())
    };
    let shown = its_image().filter(images::file_key.eq(image_variants::file_key));
    let unused = image_variants::used_ms.lt(Time::now().plus_seconds(-REPLACED_SECONDS).ms());
    Ok(image_variants::table
        .filter(not(exists(its_image())).or(unused.and(not(exists(shown)))))
        .select(image_variants::object_key)
        .limit(PIECE)
        .load(conn)?)
}

/// The least recently used that have to go for the rest to fit; then a tenth more, so that it is not each time one.
fn over_budget(conn: &mut Conn, budget: i64) -> Result<Vec<String>> {
    let kept = kept(conn)?;
    if kept <= budget {
        return Ok(Vec::new());
    }
    let oldest: Vec<(String, i64)> = image_variants::table
        .filter(image_variants::state.eq(READY))
        .order((image_variants::used_ms, image_variants::object_key))
        .select((image_variants::object_key, image_variants::bytes))
        .limit(PIECE)
        .load(conn)?;
    let mut left = kept;
    let going = oldest.into_iter().take_while(|(_, bytes)| {
        let goes = left > budget / 10 * 9;
        left -= bytes;
        goes
    });
    Ok(going.map(|(key, _)| key).collect())
}

/// What all variants weigh together, in bytes.
fn kept(conn: &mut Conn) -> Result<i64> {
    // By state, as the index has them. PostgreSQL adds whole numbers up to a decimal.
    let mut all = 0;
    for state in [READY, MAKING, EVICTING] {
        let bytes: Option<i64> = image_variants::table
            .filter(image_variants::state.eq(state))
            .select(
                diesel::dsl::sql::<diesel::sql_types::Nullable<diesel::sql_types::BigInt>>(
                    "CAST(SUM(bytes) AS BIGINT)",
                ),
            )
            .first(conn)?;
        all += bytes.unwrap_or(0);
    }
    Ok(all)
}

/// Originals that were there before variants were: what is in them is found out.
async fn plan_old(app: &State) -> Result<()> {
    let mut planned = 0;
    loop {
        let files = app.db.read(unplanned).await?;
        if files.is_empty() {
            break;
        }
        for (file_key, media_type) in files {
            let facts = facts_of(app, &file_key, &media_type).await?;
            app.db.write(move |tx| store::plan_old(tx, &file_key, facts)).await?;
            planned += 1;
        }
    }
    if planned > 0 {
        tracing::info!(images = planned, "images are offered in all sizes now");
        app.db
            .write(|tx| {
                // One line for all of them. `articles` is what remembered image files hold by.
                let keys = ["site", "articles", "names"].map(str::to_owned).to_vec();
                changes::record(tx, "site.updated", "site", None, keys);
                Ok(())
            })
            .await?;
    }
    Ok(())
}

/// What was known of originals that are gone.
async fn forget_plans(app: &State) -> Result<()> {
    let gone = || {
        let there = image_files::table.filter(image_files::file_key.eq(image_plans::file_key));
        image_plans::table.filter(not(exists(there)))
    };
    let keys: Vec<String> = app
        .db
        .read(move |conn| Ok(gone().select(image_plans::file_key).limit(PIECE).load(conn)?))
        .await?;
    // An idle instance must not write.
    if keys.is_empty() {
        return Ok(());
    }
    app.db
        .write(move |tx| {
            diesel::delete(image_plans::table.filter(image_plans::file_key.eq_any(&keys))).execute(tx.conn)?;
            Ok(())
        })
        .await
}

fn unplanned(conn: &mut Conn) -> Result<Vec<(String, String)>> {
    let planned = image_plans::table.filter(image_plans::file_key.eq(image_files::file_key));
    Ok(image_files::table
        .filter(image_files::upload_of.is_null())
        .filter(not(exists(planned)))
        .order(image_files::file_key.desc())
        .select((image_files::file_key, image_files::media_type))
        .limit(OLD)
        .load(conn)?)
}

/// Whether a stored original moves, and whether it can be seen through. None when it cannot be read.
async fn facts_of(app: &State, file_key: &str, media_type: &str) -> Result<Option<(bool, bool)>> {
    if media_type == "image/jpeg" {
        return Ok(Some((false, false)));
    }
    let Some(stored) = app.media.get(file_key, None).await? else {
        return Ok(None);
    };
    let turn = app.decoding.turn(u64::MAX).await?;
    let look = move || {
        let _held = turn;
        let file = process_bytes(&stored.bytes, &Limits::default()).ok()?;
        (!file.sealed).then_some((file.animated, file.has_alpha))
    };
    tokio::task::spawn_blocking(look).await.map_err(Problem::internal)
}

/// Marks a picture's variants to go with it.
pub fn forget(tx: &mut Tx<'_>, file_key: &str) -> Result<()> {
    let its_own = image_variants::table.filter(image_variants::file_key.eq(file_key));
    diesel::update(its_own)
        .set(image_variants::state.eq(EVICTING))
        .execute(tx.conn)?;
    Ok(())
}
