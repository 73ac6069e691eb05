//! The audit trail: one line for every management write, in its own transaction. Readers' personal data is never in it.

use diesel::prelude::*;
use serde_json::Value;

use crate::auth::Caller;
use crate::db::Tx;
use crate::error::Result;
use crate::schema::audit;
use crate::types::Id;

/// Who acts.
#[derive(Debug, Clone)]
pub struct Actor {
    /// `editor`, or `system` for the command line and jobs.
    pub kind: &'static str,
    /// The editor's id.
    pub id: Option<Id>,
    /// The name at that time.
    pub name: String,
    /// The request it happened in; empty outside of requests.
    pub request_id: String,
}

impl Actor {
    /// The program itself: the command line, a job.
    pub fn system(name: &str) -> Self {
        Self {
            kind: "system",
            id: None,
            name: name.to_owned(),
            request_id: String::new(),
        }
    }
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Self {
            kind: "editor",
            id: Some(caller.id.clone()),
            name: caller.name.clone(),
            request_id: caller.request_id.clone(),
        }
    }
}

/// Records what was done to what. `data` says what changed, without secrets and without readers' details.
pub fn record(tx: &mut Tx<'_>, actor: &Actor, action: &str, target_type: &str, target: &Id, data: Value) -> Result<()> {
    diesel::insert_into(audit::table)
        .values((
            audit::id.eq(Id::new()),
            audit::at_ms.eq(tx.now),
            audit::actor_type.eq(actor.kind),
            audit::actor_id.eq(actor.id.as_ref()),
            audit::actor_name.eq(&actor.name),
            audit::action.eq(action),
            audit::target_type.eq(target_type),
            audit::target_id.eq(target),
            audit::request_id.eq(&actor.request_id),
            audit::data.eq(data.to_string()),
        ))
        .execute(tx.conn)?;
    Ok(())
}
