//! The audit trail: one line for every management write, in its own transaction. Readers' personal data is never in it.

pub mod chain;
pub mod management;

use diesel::prelude::*;
use serde_json::Value;

use crate::auth::{Caller, Via};
use crate::db::Tx;
use crate::error::Result;
use crate::schema::audit;
use crate::types::Id;

/// Who acts.
#[derive(Debug, Clone)]
pub struct Actor {
    /// `editor`, `api_key`, or `system` for the command line and jobs.
    pub kind: &'static str,
    /// The editor's or the key's id.
    pub id: Option<Id>,
    /// The name at that time.
    pub name: String,
    /// The request it happened in; empty outside of requests.
    pub request_id: String,
    /// The network address the request came from; empty outside of requests.
    pub address: String,
}

impl Actor {
    /// The program itself: the command line, a job.
    pub fn system(name: &str) -> Self {
        Self {
            kind: "system",
            id: None,
            name: name.to_owned(),
            request_id: String::new(),
            address: String::new(),
        }
    }
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        let (kind, id, name) = match &caller.via {
            Via::Session(_) => ("editor", &caller.id, &caller.name),
            Via::Key(key) => ("api_key", &key.id, &key.name),
        };
        Self {
            kind,
            id: Some(id.clone()),
            name: name.clone(),
            request_id: caller.request_id.clone(),
            address: caller.address.clone(),
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
            audit::address.eq(&actor.address),
        ))
        .execute(tx.conn)?;
    Ok(())
}
