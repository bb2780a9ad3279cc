//! Limits kept in a file, so that a later search can be compared with an earlier one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::LimitResult;
use crate::experiment::document::ApiVersion;
use crate::gate::baseline::write_as_a_whole;

/// How many limits of an experiment are kept.
pub const KEPT: usize = 10;

/// A file of limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitFile {
    /// `faultline.dev/v1`.
    pub api_version: ApiVersion,
    /// `LimitBaseline`.
    pub kind: LimitFileKind,
    /// The limits of each experiment's parameters, the oldest first, by the baselines' and the experiments' names.
    pub baselines: BTreeMap<String, BTreeMap<String, Vec<PastLimit>>>,
}

/// What the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitFileKind {
    /// Limits that were found.
    LimitBaseline,
}

/// A limit that was found before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PastLimit {
    /// The parameter, as `--set` names it.
    pub parameter: String,
    /// When the search began, RFC 3339.
    pub started: String,
    /// The limit, as a document has it.
    pub limit: String,
    /// The dose that was taken to hold.
    pub low: String,
    /// The dose that was taken to fail; nothing if all of the range held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<String>,
    /// The probability of that, from 0 to 1.
    pub confidence: f64,
    /// In how many runs.
    pub runs: usize,
}

/// A file of limits that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} the baseline {}: {reason}", path.display())]
pub struct LimitFileError {
    what: &'static str,
    path: PathBuf,
    reason: String,
}

impl LimitFile {
    /// Reads a file; one that is not there is empty.
    ///
    /// # Errors
    /// If it cannot be read, or is none: it is not written over then.
    pub fn read(path: &Path) -> Result<Self, LimitFileError> {
        let failed = |reason: String| LimitFileError { what: "read", path: path.to_owned(), reason };
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| failed(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let (api_version, kind) = (ApiVersion::V1, LimitFileKind::LimitBaseline);
                Ok(Self { api_version, kind, baselines: BTreeMap::new() })
            }
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Writes it, as a whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), LimitFileError> {
        let failed = |reason: String| LimitFileError { what: "write", path: path.to_owned(), reason };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.to_string()))?;
        write_as_a_whole(path, &(text + "\n")).map_err(|error| failed(error.to_string()))
    }

    /// The last limit of a parameter of an experiment in a baseline.
    pub fn last(&self, baseline: &str, experiment: &str, parameter: &str) -> Option<&PastLimit> {
        self.baselines.get(baseline)?.get(experiment)?.iter().rev().find(|past| past.parameter == parameter)
    }

    /// Adds what a search found, if it found a limit, and forgets the oldest beyond [`KEPT`].
    pub fn add(&mut self, baseline: &str, result: &LimitResult) {
        let (Some(limit), Some(low)) = (&result.limit, &result.low) else { return };
        if !result.outcome.is_found() {
            return;
        }
        let past = PastLimit {
            parameter: result.parameter.clone(),
            started: result.started.clone(),
            limit: limit.written.clone(),
            low: low.written.clone(),
            high: result.high.as_ref().map(|high| high.written.clone()),
            confidence: result.confidence,
            runs: result.runs.len(),
        };
        let limits = self.baselines.entry(baseline.into()).or_default().entry(result.experiment.clone()).or_default();
        limits.push(past);
        limits.drain(..limits.len().saturating_sub(KEPT));
    }
}
