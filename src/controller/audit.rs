//! Reading the audit log, and seeing that nobody has changed it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::{Command, Object};
use super::{Controller, ControllerError};
use crate::access::{Action, Principal};
use crate::audit::{Head, Record};
use crate::store::AuditFilter;

/// One record of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// Its number; the first has 1, and none is left out.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What he did or asked for.
    pub action: String,
    /// To what.
    pub object: String,
    /// What came of it: `asked`, `done`, `refused: …`, `failed: …`.
    pub outcome: String,
    /// The rest, a JSON text.
    pub details: String,
    /// The hash of the record before it.
    pub previous: String,
    /// Its own.
    pub hash: String,
}

impl From<Record> for AuditRecord {
    fn from(record: Record) -> Self {
        Self {
            sequence: record.sequence,
            at: record.at,
            actor: record.deed.actor,
            action: record.deed.action,
            object: record.deed.object,
            outcome: record.deed.outcome,
            details: record.deed.details,
            previous: record.previous.to_string(),
            hash: record.hash.to_string(),
        }
    }
}

/// One page of the audit log, the newest record first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditPage {
    /// The records.
    pub records: Vec<AuditRecord>,
    /// Give this as `before` for the next page; not there on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Where the log ends, after it was followed from its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditVerified {
    /// How many records there are, none of which was changed, removed or put in.
    pub records: u64,
    /// Where it ends, to be kept elsewhere and given as `head` the next time: it shows that nothing before it was changed.
    pub head: String,
}

impl Controller {
    /// Lists the audit log, the newest record first, at most `limit`.
    ///
    /// # Errors
    /// If `who` may not, or by the store.
    pub async fn audit(&self, who: &Principal, filter: &AuditFilter, limit: u32) -> Result<AuditPage, ControllerError> {
        self.authorise(who, Action::SeeAudit, &Object::fleet("audit")).await?;
        let records = self.store.audit(filter, limit).await?;
        let full = records.len() as u64 >= u64::from(limit);
        let next = records.last().map(|record| record.sequence).filter(|sequence| full && *sequence > 1);
        Ok(AuditPage { records: records.into_iter().map(AuditRecord::from).collect(), next })
    }

    /// Follows the whole log; with a head that was kept elsewhere, also sees that the log contains it.
    ///
    /// # Errors
    /// If `who` may not, the log was tampered with, or by the store.
    pub async fn verify_audit(&self, who: &Principal, kept: Option<Head>) -> Result<AuditVerified, ControllerError> {
        let command = Command::new(Action::SeeAudit, Object::fleet("audit"));
        self.command(who, command, async {
            let head = self.store.verify_audit(kept).await?;
            Ok(AuditVerified { records: head.sequence, head: head.to_string() })
        })
        .await
    }
}
