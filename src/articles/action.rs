//! What the actions on one article have in common: who, on which, from what version, once.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::record::answer;
use super::store::{ArticleRow, get};
use crate::app::State;
use crate::auth::{Caller, forbidden};
use crate::conditional::{Guard, IfMatch};
use crate::db::{Conn, Tx};
use crate::error::{Problem, Result};
use crate::idempotency::{Answer, IdempotencyKey, write_once};
use crate::request::PathId;
use crate::types::Id;

/// Extractor: an action that somebody asks for. 401 comes before 404 for what is no id.
pub struct Action {
    /// The state.
    pub app: State,
    caller: Caller,
    id: Id,
    if_match: IfMatch,
    idempotency: IdempotencyKey,
}

impl FromRequest for Action {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let app = req.app_data::<State>().cloned();
            Ok(Self {
                app: app.ok_or_else(|| Problem::internal("no app state"))?,
                caller: Caller::extract(&req).await?,
                id: PathId::extract(&req).await?.0,
                if_match: IfMatch::extract(&req).await?,
                idempotency: IdempotencyKey::extract(&req).await?,
            })
        })
    }
}

/// 404 for who may not know of the article, 403 for who is no editor.
pub async fn check_editor(app: &State, caller: &Caller, id: &Id) -> Result<()> {
    let (who, wanted) = (caller.clone(), id.clone());
    app.db.read(move |conn| get(conn, &who, &wanted)).await?;
    match caller.is_editor() {
        true => Ok(()),
        false => Err(forbidden("This needs the role editor.")),
    }
}

impl Action {
    /// Whether it is theirs to do, looked at before the body is read: 404 for who may not know of the article, 403 for who
    /// may not do this.
    pub async fn check<F>(&self, rule: F) -> Result<()>
    where
        F: FnOnce(&mut Conn, &ArticleRow, &Caller) -> Result<()> + Send + 'static,
    {
        let (caller, id) = (self.caller.clone(), self.id.clone());
        let look = move |conn: &mut Conn| {
            let row = get(conn, &caller, &id)?;
            rule(conn, &row, &caller)
        };
        self.app.db.read(look).await
    }

    /// The same for what only editors do.
    pub async fn check_editor(&self) -> Result<()> {
        check_editor(&self.app, &self.caller, &self.id).await
    }

    /// Runs the action, once for its key and the hash of its body, and answers with the article as it is after it.
    pub async fn run<F>(self, hash: &str, mut act: F) -> Result<Answer>
    where
        F: FnMut(&mut Tx<'_>, &Caller, &Id, &Guard) -> Result<ArticleRow> + Send + 'static,
    {
        let app = self.app.clone();
        self.run_answering(hash, move |tx, caller, id, guard| {
            let row = act(tx, caller, id, guard)?;
            answer(tx.conn, &app.config, caller, &row)
        })
        .await
    }

    /// The same for an action with an answer of its own.
    pub async fn run_answering<F>(self, hash: &str, mut act: F) -> Result<Answer>
    where
        F: FnMut(&mut Tx<'_>, &Caller, &Id, &Guard) -> Result<Answer> + Send + 'static,
    {
        let Self {
            app,
            caller,
            id,
            if_match,
            idempotency,
        } = self;
        let guard = if_match.required()?;
        let once = idempotency.of(caller.id.as_str(), hash);
        write_once(&app, once, move |tx| act(tx, &caller, &id, &guard)).await
    }

    /// The same for an action that sends mail where mail is set up, which it is told, and begins to send it.
    pub async fn run_mailing<F>(self, hash: &str, mut act: F) -> Result<Answer>
    where
        F: FnMut(&mut Tx<'_>, &Caller, &Id, &Guard, bool) -> Result<ArticleRow> + Send + 'static,
    {
        let app = self.app.clone();
        let mails = app.mail.is_some();
        let answer = self
            .run(hash, move |tx, caller, id, guard| act(tx, caller, id, guard, mails))
            .await?;
        app.outbox.notify_one();
        Ok(answer)
    }
}
