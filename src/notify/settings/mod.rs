//! Who is told of what: `notifications.yaml` in the controller's data folder.
//!
//! ```yaml
//! source: https://faultline.example.com      # who speaks: the controller's own address
//! endpoints:
//!   - name: events
//!     format: cloud-events                   # cloud-events, webhook, slack, pagerduty, grafana
//!     url: https://broker.example.com/faultline
//!   - name: pager
//!     format: pagerduty
//!     secretFile: pagerduty.key              # from the folder of this file; never in it, never in a log
//!   - name: payments-channel
//!     format: slack
//!     urlFile: slack.url                     # for a URL that is itself the secret
//!     events: [run.finished, "guardrail.*", "halt.*"]
//!     labels: { team: payments }             # halts are told whatever the labels
//!     timeout: 10s                           # the rest as it is by default
//!     giveUpAfter: 24h
//!     queue: 1000
//! ```
//!
//! A signing secret is `whsec_` and Base64; a file may hold several, one a line. While they are changed, put the new one
//! into the first line, let receivers learn it, then take out the old: the file is read for each message.

mod check;
mod secret;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use faultline_agent::units::TimeSpan;
use serde::Deserialize;

use self::check::{FileText, check};
pub(super) use self::secret::SecretFile;
use super::format::Format;
use super::occurrence::{Occurrence, What};
use super::retry::Rule;
use crate::document::diagnostic::{Diagnostic, Severity, Source};
use crate::document::findings::{Findings, Origin, Surroundings};
use crate::document::load::{LoadError, Loaded, read_text};
use crate::document::typing::{Typed, type_all};
use crate::document::yaml::{Node, Place, read};
use crate::signals::exchange;

/// The name of the file in the data folder.
pub const FILE: &str = "notifications.yaml";

/// Who is told of what.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who speaks: a URI, of CloudEvents the `source`.
    pub source: String,
    /// Whom to tell.
    pub endpoints: Vec<Endpoint>,
}

/// One receiver. Shown, it leaves out its URL's path and all secrets.
#[derive(Clone)]
pub struct Endpoint {
    /// Its name: unique, lower-case letters, digits and dashes.
    pub name: String,
    /// What it understands.
    pub format: Format,
    /// How long one delivery may take, from the name's resolution to the end of the answer.
    pub timeout: TimeSpan,
    /// When it is tried again, and when no more.
    pub rule: Rule,
    /// How many messages may wait for it before the least important are dropped.
    pub queue: usize,
    pub(super) origin: String,
    pub(super) target: exchange::Endpoint,
    pub(super) secret: Option<SecretFile>,
    events: Option<Vec<String>>,
    labels: BTreeMap<String, String>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Endpoint")
            .field("name", &self.name)
            .field("format", &self.format)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Whether it is told of this: its format has something to say about it, and neither filter leaves it out. Labels do
    /// not leave out a halt: it concerns everybody.
    pub fn wants(&self, occurrence: &Occurrence) -> bool {
        let name = occurrence.what.name();
        let by_event = self.events.as_ref().is_none_or(|events| events.iter().any(|event| matches(event, name)));
        let about_all = matches!(occurrence.what, What::HaltSet { .. } | What::HaltReleased { .. });
        let by_labels = about_all || self.labels.iter().all(|(name, value)| occurrence.labels.get(name) == Some(value));
        by_event && by_labels && self.format.tells(occurrence)
    }

    /// Scheme, host and port of its URL: the part that may be shown.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// `run.finished`, or `run.*` for all that begins so, or `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    }
}

impl Settings {
    /// Nobody is told anything.
    pub fn none() -> Self {
        Self { source: String::new(), endpoints: Vec::new() }
    }

    /// Those of a data folder; [`Settings::none`] if it has no such file.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn of_folder(folder: &Path) -> Result<Loaded<Self>, LoadError> {
        match Self::load(&folder.join(FILE)) {
            Err(LoadError::Unreadable { file, source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Loaded {
                document: Self::none(),
                file,
                text: String::new(),
                warnings: Vec::new(),
                sources: Vec::new(),
            }),
            other => other,
        }
    }

    /// Reads and checks a file, and the files with secrets that it names.
    ///
    /// # Errors
    /// With everything that is wrong in it, with its lines.
    pub fn load(path: &Path) -> Result<Loaded<Self>, LoadError> {
        let (file, text) = read_text(path)?;
        Self::from_text(&file, &text, Surroundings::folder_of(path).unwrap_or_default())
    }

    fn from_text(file: &str, text: &str, folder: PathBuf) -> Result<Loaded<Self>, LoadError> {
        let sources = vec![Source { name: file.to_owned(), text: text.to_owned() }];
        let wrong = |diagnostics| LoadError::Wrong { file: file.to_owned(), diagnostics, sources: sources.clone() };
        let error = |message: String, hint: Option<String>, place| Diagnostic {
            severity: Severity::Error,
            path: String::new(),
            message,
            hint,
            place,
        };
        let trees = read::read(text, 0).map_err(|bad| wrong(vec![error(bad.message, bad.hint, bad.place)]))?;
        let tree: &Node = match trees.as_slice() {
            [tree] => tree,
            _ => {
                let hint = "it has one document: `source` and `endpoints`".to_owned();
                let message = format!("there are {} documents in it", trees.len());
                return Err(wrong(vec![error(message, Some(hint), Place::default())]));
            }
        };
        let Typed { document, tree: typed, left_out, errors } = type_all::<FileText>(tree);
        let mut diagnostics = errors;
        let mut settings = None;
        if let Some(document) = document {
            let file = Surroundings { folder: Some(folder), documents: Vec::new() };
            let origin = Origin { tree: &typed, whole: tree, left_out: &left_out, file: &file };
            let mut findings = Findings::new(&origin);
            settings = check(document, &mut findings);
            diagnostics.extend(findings.into_diagnostics());
        }
        diagnostics.sort_by_key(|diagnostic| diagnostic.place.start);
        match settings {
            Some(document) if diagnostics.iter().all(|one| one.severity == Severity::Warning) => {
                Ok(Loaded { document, file: file.to_owned(), text: text.to_owned(), warnings: diagnostics, sources })
            }
            _ => Err(wrong(diagnostics)),
        }
    }
}
