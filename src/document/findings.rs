//! What is wrong with a document, found by the checks of its kind.

use std::path::{Path as FilePath, PathBuf};

use faultline_agent::units::TimeSpan;

use super::Kind;
use super::diagnostic::{Diagnostic, Severity};
use super::suggest;
use super::typing::as_written;
use super::yaml::{Node, Path, Segment};

/// The texts behind a document.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The tree that became the document: its paths are the document's.
    pub tree: &'a Node,
    /// The tree as it was read; more than `tree` where something did not fit its type.
    pub whole: &'a Node,
    /// What is only in `whole`: paths as written.
    pub left_out: &'a [Path],
    /// What else is in the file, and where the file is.
    pub file: &'a Surroundings,
}

/// What a document may refer to without naming a file or a host: its own file.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The folder from which relative paths in it are meant; `None` of a text that is no file.
    pub folder: Option<PathBuf>,
    /// The kind and name of each document in the file that has both.
    pub documents: Vec<(Kind, String)>,
}

impl Surroundings {
    /// The names of the documents of a kind.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.documents.iter().filter(move |(of, _)| *of == kind).map(|(_, name)| name.as_str())
    }

    /// The folder of a file.
    pub fn folder_of(file: &FilePath) -> Option<PathBuf> {
        file.parent().map(|folder| if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.into() })
    }
}

/// The longest time that a step, a recovery or a timeout may take.
const LONGEST: TimeSpan = TimeSpan::from_secs(24 * 3600);

/// What was found so far.
#[derive(Debug)]
pub struct Findings<'a> {
    /// The document that is looked at.
    pub document: &'a Origin<'a>,
    /// Where `spec` is, of a document within another.
    within: Option<Path>,
    found: Vec<Diagnostic>,
}

impl<'a> Findings<'a> {
    /// Nothing yet.
    pub fn new(document: &'a Origin<'a>) -> Self {
        Self { document, within: None, found: Vec::new() }
    }

    /// All of it, in no certain order.
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.found
    }

    /// Has something checked whose `spec` is not the document's own, but stands at this path in it.
    pub fn within(&mut self, spec: Path, check: impl FnOnce(&mut Self)) {
        let outer = self.within.replace(spec);
        check(self);
        self.within = outer;
    }

    /// The path from the root of the document.
    fn rooted(&self, path: &Path) -> Path {
        match (&self.within, path.segments().split_first()) {
            (Some(spec), Some((Segment::Key(first), rest))) if first == "spec" => {
                rest.iter().fold(spec.clone(), |path, segment| path.join(segment.clone()))
            }
            _ => path.clone(),
        }
    }

    /// Something wrong with the value at a path.
    pub fn error(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Error, path, message.into(), hint.into());
    }

    /// Something that is probably not meant.
    pub fn warn(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Warning, path, message.into(), hint.into());
    }

    fn add(&mut self, severity: Severity, path: &Path, message: String, hint: String) {
        let path = self.rooted(path);
        let place = self.document.tree.place_of(&path);
        let hint = (!hint.is_empty()).then_some(hint);
        let path = as_written(&path, self.document.left_out).to_string();
        self.found.push(Diagnostic { severity, path, message, hint, place });
    }

    /// As [`error`](Self::error), shown at the key rather than at its value.
    pub fn error_at_key(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.error(path, message, hint);
        let place = self.document.tree.place_of_key(&self.rooted(path));
        if let Some(last) = self.found.last_mut() {
            last.place = place;
        }
    }

    /// Checks a length of time that must not be nothing, and not absurd.
    pub fn time(&mut self, path: &Path, time: TimeSpan) {
        if time.is_zero() {
            self.error(path, "this must be longer than nothing", "");
        } else if time > LONGEST {
            self.error(path, format!("`{time}` is too long"), format!("at most {LONGEST}"));
        }
    }

    /// Whether all that is written below a path was understood, so that what is not there is really missing.
    pub fn is_whole(&self, path: &Path) -> bool {
        let path = as_written(&self.rooted(path), self.document.left_out);
        !self.document.left_out.iter().any(|out| out.starts_with(&path))
    }

    /// The names written in a mapping, understood or not.
    pub fn names(&self, path: &Path) -> Vec<String> {
        self.document
            .whole
            .at(&self.rooted(path))
            .map_or_else(Vec::new, |node| node.keys().map(str::to_owned).collect())
    }

    /// Checks that a name is one of a mapping's keys.
    pub fn refers(&mut self, path: &Path, name: &str, mapping: &Path, what: &str) -> bool {
        let names = self.names(mapping);
        let known = names.iter().any(|known| known == name);
        if !known {
            let hint = match names.as_slice() {
                [] => format!("the document has no `{mapping}`"),
                _ => suggest::hint(name, names.iter().map(String::as_str)),
            };
            self.error(path, format!("there is no {what} `{name}`"), hint);
        }
        known
    }

    /// Checks a name by the rule of DNS labels (RFC 1123): it may become part of a path, a metric or a Kubernetes
    /// object. `whose` is `an experiment's` and the like.
    pub fn name(&mut self, path: &Path, name: &str, whose: &str) {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = !name.is_empty()
            && name.len() <= 63
            && name.bytes().all(allowed)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if fits {
            return;
        }
        let proposal: String = name
            .to_lowercase()
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
            .take(63)
            .collect();
        let proposal = proposal.trim_matches('-');
        let hint = if proposal.is_empty() { String::new() } else { format!("`{proposal}` would do") };
        let message =
            format!("{whose} name has 1 to 63 lower-case letters, digits and dashes, and no dash at its ends");
        self.error_at_key(path, message, hint);
    }
}
