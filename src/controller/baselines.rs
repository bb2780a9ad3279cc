//! Baselines of the gate, kept for all who run it against this fleet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::{Command, Object};
use super::{Controller, ControllerError};
use crate::access::{Action, Principal};
use crate::gate::baseline::BaselineFile;

/// The longest name of a baseline, in bytes.
const LONGEST_NAME: usize = 200;

/// A baseline of the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BaselineView {
    /// Its name, such as that of a branch.
    pub name: String,
    /// Grows with each change; 0 where nothing was kept yet.
    pub version: i64,
    /// JSON of kind `GateBaseline`, as `faultline gate --baseline` writes it; empty where nothing was kept yet.
    pub document: String,
}

impl Controller {
    /// The baseline of this name; one that nobody kept is empty.
    ///
    /// # Errors
    /// If `who` may not, or by the store.
    pub async fn baseline(&self, who: &Principal, name: &str) -> Result<BaselineView, ControllerError> {
        self.admit(who, Action::See).await?;
        let kept = self.store.baseline(name).await?;
        let (version, document) = kept.map_or((0, String::new()), |kept| (kept.version, kept.document));
        Ok(BaselineView { name: name.to_owned(), version, document })
    }

    /// Keeps a baseline in place of the version that was read.
    ///
    /// # Errors
    /// If `who` may not, the document is none, somebody else changed it meanwhile, or by the store.
    pub async fn put_baseline(
        &self,
        who: &Principal,
        name: &str,
        version: i64,
        document: String,
    ) -> Result<BaselineView, ControllerError> {
        if name.is_empty() || name.len() > LONGEST_NAME {
            let why = format!("a baseline has a name of 1 to {LONGEST_NAME} bytes");
            return Err(ControllerError::request(why, "name it by --baseline-name"));
        }
        if let Err(error) = serde_json::from_str::<BaselineFile>(&document) {
            let hint = "send what `faultline gate --baseline FILE --update-baseline` writes";
            return Err(ControllerError::request(format!("the document is no baseline: {error}"), hint));
        }
        let command = Command::new(Action::KeepBaseline, Object::new(format!("baseline/{name}")));
        let command = command.with("sha256", crate::audit::Hash::of(document.as_bytes()).to_string());
        self.command(who, command, async {
            let version = self.store.keep_baseline(name, version, &document, &who.name, self.now().await?).await?;
            Ok(BaselineView { name: name.to_owned(), version, document })
        })
        .await
    }
}
