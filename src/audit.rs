//! The audit trail: one line for every management write, in its own transaction. Readers' personal data is never in it.

pub mod chain;
pub mod management;

use serde_json::Value as Json;

use crate::auth::{Caller, Via};
use crate::db::{Fixed, Tx, Value};
use crate::error::Result;
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
pub fn record(tx: &mut Tx<'_>, actor: &Actor, action: &str, target_type: &str, target: &Id, data: Json) -> Result<()> {
    Fixed::with(
        "INSERT INTO audit (id, at_ms, actor_type, actor_id, actor_name, action, target_type, target_id, request_id, data, \
         address) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        &[
            Value::Text(Id::new().as_str()),
            Value::Int(tx.now.ms()),
            Value::Text(actor.kind),
            Value::Maybe(actor.id.as_ref().map(Id::as_str)),
            Value::Text(&actor.name),
            Value::Text(action),
            Value::Text(target_type),
            Value::Text(target.as_str()),
            Value::Text(&actor.request_id),
            Value::Text(&data.to_string()),
            Value::Text(&actor.address),
        ],
    )
    .run(tx.conn)?;
    Ok(())
}
