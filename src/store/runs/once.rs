//! A request for a run that may be sent again: it bears a key, and makes one run however often it comes.

use jiff::Timestamp;

use super::submit::{insert, not_halted};
use super::{NewRun, Run};
use crate::store::columns::Columns;
use crate::store::error::Fault;
use crate::store::refusal::Refusal;
use crate::store::transaction::Under;
use crate::store::{Store, StoreError};

/// What a request is known by, for as long as there is its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestKey<'a> {
    /// Who asks. Two people may have the same key.
    pub requested_by: &'a str,
    /// The key, which whoever asks has chosen.
    pub key: &'a str,
    /// A digest of all that is asked for.
    pub digest: &'a str,
}

const FIND: &str = "SELECT q.digest, r.* FROM run_requests q JOIN runs r ON r.id = q.run
                    WHERE q.requested_by = $1 AND q.request_key = $2";

impl Store {
    /// Takes a run as [`Store::submit`] does, and keeps the key of its request in the same transaction.
    ///
    /// # Errors
    /// [`Refusal::AskedBefore`] if that request made a run already, [`Refusal::KeyReused`] if its key is that of another
    /// request, and as [`Store::submit`].
    pub async fn submit_once(&self, run: &NewRun, request: RequestKey<'_>, now: Timestamp) -> Result<Run, StoreError> {
        self.done("submit a run once", || async {
            // One at a time: of two that bear one key the second must find the first.
            let mut work = self.begin(Under::Runs).await?;
            let row = sqlx::query(FIND).bind(request.requested_by).bind(request.key).fetch_optional(work.on()).await?;
            if let Some(found) = row.map(|row| read(&row, request)).transpose()? {
                return Err(Refusal::AskedBefore { run: found.id }.into());
            }
            not_halted(&mut work).await?;
            let made = insert(&mut work, run, now).await?;
            sqlx::query("INSERT INTO run_requests (requested_by, request_key, digest, run) VALUES ($1, $2, $3, $4)")
                .bind(request.requested_by)
                .bind(request.key)
                .bind(request.digest)
                .bind(made.id.as_str())
                .execute(work.on())
                .await?;
            work.commit_transition(made.state.as_str()).await?;
            Ok(made)
        })
        .await
    }

    /// The run that this request has made, if it has.
    ///
    /// # Errors
    /// [`Refusal::KeyReused`] if its key is that of another request, or the store's own.
    pub async fn run_of_request(&self, request: RequestKey<'_>) -> Result<Option<Run>, StoreError> {
        self.done("look for the run of a request", || async {
            let row = sqlx::query(FIND).bind(request.requested_by).bind(request.key);
            row.fetch_optional(&self.readers).await?.map(|row| read(&row, request)).transpose()
        })
        .await
    }
}

fn read(row: &sqlx::any::AnyRow, request: RequestKey<'_>) -> Result<Run, Fault> {
    let run = Run::read(row)?;
    match row.text("digest")? == request.digest {
        true => Ok(run),
        false => Err(Refusal::KeyReused { key: request.key.to_owned(), run: run.id }.into()),
    }
}
