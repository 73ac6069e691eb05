//! How a batch is done: in one transaction, each operation in a part of its own that a refusal undoes.

use serde_json::Value;

use super::{BatchMethod, BatchOperation, BatchResult};
use crate::articles::draft::create;
use crate::articles::input::{ArticlePatch, Changes};
use crate::articles::record::{WorkingArticle, fresh, whole};
use crate::articles::store::{erase, get, update};
use crate::auth::{Caller, Role};
use crate::conditional::{Guard, IfMatch};
use crate::config::Config;
use crate::db::Tx;
use crate::error::{Code, Problem, Result};
use crate::json;
use crate::types::Id;

/// An operation that was read as far as that can be done without the database. What is wrong with it is told when its turn
/// comes, after what comes before it.
pub struct Prepared {
    method: BatchMethod,
    id: Result<Option<Id>>,
    guard: Result<Guard>,
    changes: Result<Changes>,
}

impl Prepared {
    /// Reads an operation: bodies are parsed here and not while others wait for the writer.
    pub fn of(operation: BatchOperation) -> Self {
        let BatchOperation {
            method,
            id,
            version,
            body,
        } = operation;
        let new = method == BatchMethod::Post;
        let id = match (new, id) {
            (true, Some(_)) => Err(Problem::invalid("/id", "unknown_field", "A new article has no id yet.")),
            (false, None) => Err(Problem::invalid("/id", "required", "Say which article.")),
            (_, id) => Ok(id),
        };
        Self {
            method,
            id,
            guard: version.map_or_else(|| IfMatch::Absent.required(), |version| Ok(Guard::version(version))),
            changes: changes(method, body.unwrap_or_default()),
        }
    }

    /// The address that a request of its own would have had.
    fn address(&self) -> String {
        match &self.id {
            Ok(Some(id)) => format!("/management/v1/articles/{id}"),
            _ => "/management/v1/articles".to_owned(),
        }
    }
}

fn changes(method: BatchMethod, body: Value) -> Result<Changes> {
    if method == BatchMethod::Delete {
        let nothing = body.is_null() || body.as_object().is_some_and(serde_json::Map::is_empty);
        return if nothing {
            ArticlePatch::default().checked(false)
        } else {
            Err(Problem::invalid("", "unknown_field", "DELETE takes no body."))
        };
    }
    json::typed::<ArticlePatch>(&body)?.checked(method == BatchMethod::Post)
}

/// Whose batch it is, and what its answers are made with.
pub struct Context<'c> {
    /// Who.
    pub caller: &'c Caller,
    /// The settings.
    pub config: &'c Config,
}

impl Context<'_> {
    fn done(status: i32, article: Option<WorkingArticle>) -> BatchResult {
        BatchResult {
            status,
            article,
            problem: None,
        }
    }

    fn failed(&self, operation: &Prepared, problem: &Problem) -> BatchResult {
        let json = problem.to_json(&self.config.public_url, &operation.address(), &self.caller.request_id);
        BatchResult {
            status: i32::from(problem.code().status().as_u16()),
            article: None,
            problem: Some(json),
        }
    }

    /// Does one operation, with the refusals of a request of its own in their order.
    fn perform(&self, tx: &mut Tx<'_>, operation: &Prepared) -> Result<BatchResult> {
        let caller = self.caller;
        let Some(id) = operation.id.as_ref().map_err(Problem::copy)? else {
            let changes = operation.changes.as_ref().map_err(Problem::copy)?;
            if changes.owner().is_some_and(|owner| *owner != caller.id) {
                caller.at_least(Role::Editor)?;
            }
            let (row, snapshot) = create(tx, caller, changes)?;
            return Ok(Self::done(201, Some(fresh(caller, &row, snapshot.content)?)));
        };
        let row = get(tx.conn, caller, id)?;
        if operation.method == BatchMethod::Delete {
            caller.at_least(Role::Editor)?;
            operation.changes.as_ref().map_err(Problem::copy)?;
            erase(tx, caller, id, operation.guard.as_ref().map_err(Problem::copy)?)?;
            return Ok(Self::done(204, None));
        }
        row.check_may_change(caller)?;
        let changes = operation.changes.as_ref().map_err(Problem::copy)?;
        if changes.owner().is_some() {
            caller.at_least(Role::Editor)?;
        }
        let guard = operation.guard.as_ref().map_err(Problem::copy)?;
        let row = update(tx, caller, id, guard, changes)?;
        Ok(Self::done(200, Some(whole(tx.conn, self.config, caller, &row)?)))
    }

    /// Each for itself: what is refused leaves the others as they are.
    pub fn each(&self, tx: &mut Tx<'_>, operations: &[Prepared]) -> Result<Vec<BatchResult>> {
        operations
            .iter()
            .map(|operation| {
                let result = tx.attempt(|tx| self.perform(tx, operation))?;
                Ok(result.unwrap_or_else(|problem| self.failed(operation, &problem)))
            })
            .collect()
    }

    /// All or nothing: the first refusal undoes what was done, and the others say so.
    pub fn all(&self, tx: &mut Tx<'_>, operations: &[Prepared]) -> Result<Vec<BatchResult>> {
        let mut done = Vec::new();
        let outcome = tx.attempt(|tx| {
            for operation in operations {
                done.push(self.perform(tx, operation)?);
            }
            Ok(())
        })?;
        let Err(problem) = outcome else { return Ok(done) };
        let place = done.len();
        let detail = format!("Nothing was written, because operation {place} (counted from 0) failed.");
        let undone = Problem::new(Code::BatchUndone, detail);
        let results = operations.iter().enumerate().map(|(index, operation)| {
            let why = if index == place { &problem } else { &undone };
            self.failed(operation, why)
        });
        Ok(results.collect())
    }
}
