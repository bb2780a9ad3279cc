//! Hosts on which a run may have left something.
//!
//! They are written in the transaction that finishes the run, and so before its locks are gone: there is no moment in which
//! such a host looks free. They go when a person says so ([`Store::acknowledge_unclean`]), or when the host's own agent has
//! shown that nothing is left ([`Store::host_is_clean`]).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::audit::append;
use super::columns::{Columns, json, micros};
use super::error::Fault;
use super::transaction::{Under, Work};
use super::{Store, StoreError};
use crate::audit::Deed;

/// Something that a run may have left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// The fault's id; nothing if it is not even known which faults there were.
    pub fault: Option<String>,
    /// What it is, and what was found of it, in one line.
    pub what: String,
}

/// What a run left on its hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leftovers {
    /// On these hosts, each named once, what was not seen to be undone; on all others everything was.
    On(Vec<(String, Vec<Leftover>)>),
    /// It is not known what, so it may be anything on any of its hosts; why that is not known.
    Unknown(String),
}

impl Leftovers {
    /// Everything was seen to be undone.
    pub const NOTHING: Self = Self::On(Vec::new());
}

/// A host on which a run may have left something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UncleanHost {
    /// The host.
    pub host: String,
    /// The run.
    pub run: String,
    /// What it may have left.
    pub left: Vec<Leftover>,
    /// When the run finished.
    pub since: Timestamp,
}

impl Store {
    /// All hosts on which something may be left, by name; one with several runs stands there for each.
    ///
    /// # Errors
    /// The store's own.
    pub async fn unclean_hosts(&self) -> Result<Vec<UncleanHost>, StoreError> {
        self.done("list the hosts that are left unclean", || async {
            let rows = sqlx::query("SELECT * FROM unclean_hosts").fetch_all(&self.readers).await?;
            read(&rows)
        })
        .await
    }

    /// Somebody says that what was left on a host is gone, or does not matter: what there was, by run. Empty if nothing was.
    ///
    /// # Errors
    /// The store's own.
    pub async fn acknowledge_unclean(&self, host: &str) -> Result<Vec<UncleanHost>, StoreError> {
        self.done("acknowledge what is left on a host", || async {
            let mut work = self.begin(Under::Rows).await?;
            let rows = sqlx::query("DELETE FROM unclean_hosts WHERE host = $1 RETURNING *")
                .bind(host)
                .fetch_all(work.on())
                .await?;
            work.commit().await?;
            read(&rows)
        })
        .await
    }

    /// A host's agent has shown that nothing is left of that run there, which is written to the audit log in the same
    /// transaction. `false` if somebody was faster, or more was left since; then nothing is written.
    ///
    /// # Errors
    /// The store's own.
    pub async fn host_is_clean(&self, unclean: &UncleanHost, deed: &Deed, now: Timestamp) -> Result<bool, StoreError> {
        self.done("note that a host is clean", || async {
            let mut work = self.begin(Under::Audit).await?;
            let gone = sqlx::query("DELETE FROM unclean_hosts WHERE host = $1 AND run = $2 AND leftovers = $3")
                .bind(unclean.host.as_str())
                .bind(unclean.run.as_str())
                .bind(json(&unclean.left)?)
                .execute(work.on())
                .await?;
            if gone.rows_affected() == 0 {
                return Ok(false);
            }
            append(&mut work, deed, now).await?;
            work.commit().await?;
            Ok(true)
        })
        .await
    }
}

/// Writes down what a run left, in the transaction that finishes it.
pub(super) async fn leave(work: &mut Work, run: &str, left: &Leftovers, now: Timestamp) -> Result<(), Fault> {
    match left {
        Leftovers::On(hosts) => {
            for (host, left) in hosts {
                sqlx::query("INSERT INTO unclean_hosts (host, run, leftovers, since) VALUES ($1, $2, $3, $4)")
                    .bind(host.as_str())
                    .bind(run)
                    .bind(json(left)?)
                    .bind(micros(now))
                    .execute(work.on())
                    .await?;
            }
        }
        Leftovers::Unknown(why) => {
            let left = vec![Leftover { fault: None, what: why.clone() }];
            sqlx::query(
                "INSERT INTO unclean_hosts (host, run, leftovers, since)
                 SELECT host, run, $2, $3 FROM run_hosts WHERE run = $1",
            )
            .bind(run)
            .bind(json(&left)?)
            .bind(micros(now))
            .execute(work.on())
            .await?;
        }
    }
    Ok(())
}

fn read(rows: &[AnyRow]) -> Result<Vec<UncleanHost>, Fault> {
    let mut hosts = Vec::with_capacity(rows.len());
    for row in rows {
        let (host, run, since) = (row.text("host")?, row.text("run")?, row.time("since")?);
        hosts.push(UncleanHost { host, run, left: row.json("leftovers")?, since });
    }
    hosts.sort_by(|one, other| (&one.host, &one.run).cmp(&(&other.host, &other.run)));
    Ok(hosts)
}
