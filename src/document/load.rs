//! Reading files of documents: from bytes to checked documents, or to everything that is wrong with them.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::diagnostic::{self, Diagnostic, Severity, Source};
use super::findings::{Findings, Origin, Surroundings};
use super::set::Setting;
use super::suggest;
use super::typing::Typed;
use super::yaml::{Node, Scalar, Value, at, read};
use super::{Document, Kind};
use crate::experiment::document::{Experiment, Spec};
use crate::game_day::document::GameDay;
use crate::schedule::document::{ExperimentSource, Schedule};
use crate::slo::resolve::resolve;

/// A document, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<T = Document> {
    /// The document, after `--set`.
    pub document: T,
    /// The file from which it came, as given; `standard input` for `-`.
    pub file: String,
    /// The whole text of that file, as read.
    pub text: String,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// The texts that the warnings are about.
    pub sources: Vec<Source>,
}

impl<T> Loaded<T> {
    /// Whether its file holds no other document.
    pub fn alone(&self) -> bool {
        from_text(&self.file, &self.text, &[]).is_ok_and(|all| all.len() == 1)
    }

    /// The warnings with their lines, one after the other.
    pub fn render_warnings(&self, colour: bool) -> String {
        render(&self.warnings, &self.sources, colour)
    }

    /// The same with its document as another type, or as something else than a document.
    ///
    /// # Errors
    /// With what the document is instead.
    pub fn try_map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Loaded<U>, E> {
        let Self { document, file, text, warnings, sources } = self;
        Ok(Loaded { document: change(document)?, file, text, warnings, sources })
    }
}

impl Loaded {
    /// The schedule that it is.
    ///
    /// # Errors
    /// With the document that is none.
    pub fn schedule(self) -> Result<Loaded<Schedule>, Box<Document>> {
        self.try_map(|document| match document {
            Document::Schedule(schedule) => Ok(*schedule),
            other => Err(Box::new(other)),
        })
    }

    /// The game day that it is.
    ///
    /// # Errors
    /// With the document that is none.
    pub fn game_day(self) -> Result<Loaded<GameDay>, Box<Document>> {
        self.try_map(|document| match document {
            Document::GameDay(game_day) => Ok(*game_day),
            other => Err(Box::new(other)),
        })
    }

    /// The experiment that it is.
    ///
    /// # Errors
    /// With the document that is none.
    pub fn experiment(self) -> Result<Loaded<Experiment>, Box<Document>> {
        self.try_map(|document| match document {
            Document::Experiment(experiment) => Ok(*experiment),
            other => Err(Box::new(other)),
        })
    }
}

/// Why a file is not usable.
#[derive(Debug)]
pub enum LoadError {
    /// It could not be read.
    Unreadable {
        /// The file.
        file: String,
        /// The reason.
        source: io::Error,
        /// The way on.
        hint: String,
    },
    /// Something in it is wrong.
    Wrong {
        /// The file.
        file: String,
        /// Everything that is wrong, in the order of the text; warnings too.
        diagnostics: Vec<Diagnostic>,
        /// The texts that they are about.
        sources: Vec<Source>,
    },
}

/// Reads a file (`-` is standard input) with one or several documents, and checks them.
///
/// # Errors
/// With everything that is wrong in the file, as far as it can be told at once.
pub fn load(path: &Path, set: &[Setting]) -> Result<Vec<Loaded>, LoadError> {
    let (name, text) = read_text(path)?;
    let folder = if is_stdin(path) { Some(".".into()) } else { Surroundings::folder_of(path) };
    read_documents(&name, &text, set, None, folder)
}

/// As [`load`], but what is set is about the documents of one kind alone: others in the file are read as they are.
///
/// # Errors
/// As there.
pub fn load_setting(path: &Path, kind: Kind, set: &[Setting]) -> Result<Vec<Loaded>, LoadError> {
    let (_, text) = read_text(path)?;
    load_text_setting(path, &text, kind, set)
}

/// As [`load_setting`], of a file whose text was read before: what is in it by now does not matter.
///
/// # Errors
/// As there.
pub(crate) fn load_text_setting(
    path: &Path,
    text: &str,
    kind: Kind,
    set: &[Setting],
) -> Result<Vec<Loaded>, LoadError> {
    let folder = if is_stdin(path) { Some(".".into()) } else { Surroundings::folder_of(path) };
    read_documents(&name_of(path), text, set, Some(kind), folder)
}

/// As [`load`], from a text with a name. The text is in no folder, so it cannot name other files.
///
/// # Errors
/// As there.
pub fn from_text(name: &str, text: &str, set: &[Setting]) -> Result<Vec<Loaded>, LoadError> {
    read_documents(name, text, set, None, None)
}

fn read_documents(
    name: &str,
    text: &str,
    set: &[Setting],
    about: Option<Kind>,
    folder: Option<PathBuf>,
) -> Result<Vec<Loaded>, LoadError> {
    let mut sources = vec![Source { name: name.into(), text: text.into() }];
    sources.extend(set.iter().map(|setting| Source { name: "--set".into(), text: setting.text().into() }));
    let wrong = |diagnostics: Vec<Diagnostic>, sources: Vec<Source>| {
        Err(LoadError::Wrong { file: name.to_owned(), diagnostics, sources })
    };
    let unread = |error: read::ReadError| Diagnostic {
        severity: Severity::Error,
        path: String::new(),
        message: error.message,
        hint: error.hint,
        place: error.place,
    };
    let documents = match read::read(text, 0) {
        Ok(documents) => documents,
        Err(error) => return wrong(vec![unread(error)], sources),
    };
    if documents.is_empty() {
        let empty = read::ReadError {
            message: "there is no document in it".into(),
            place: super::yaml::Place::default(),
            hint: Some("`faultline demo --show` shows a complete one".into()),
        };
        return wrong(vec![unread(empty)], sources);
    }
    let file = Surroundings { folder, documents: documents.iter().filter_map(kind_and_name).collect() };
    let mut loaded = Vec::new();
    let mut diagnostics = Vec::new();
    for mut tree in documents {
        let mut found = Vec::new();
        let is_meant = about.is_none_or(|about| kind_and_name(&tree).is_some_and(|(kind, _)| kind == about));
        for (index, setting) in set.iter().enumerate().filter(|_| is_meant) {
            found.extend(setting.apply(&mut tree, index + 1).err());
        }
        let document = match kind(&mut tree, &mut found) {
            Some(kind) => {
                let Typed { mut document, tree: typed_tree, left_out, errors } = kind.read(&tree);
                found.extend(errors);
                if let Some(document) = &mut document {
                    let origin = Origin { tree: &typed_tree, whole: &tree, left_out: &left_out, file: &file };
                    found.extend(resolve_slos(document, &origin, &mut sources));
                    found.extend(document.check(&origin));
                }
                document
            }
            None => None,
        };
        found.sort_by_key(|diagnostic| (diagnostic.place.source, diagnostic.place.start));
        found.dedup();
        let failed = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        match document {
            Some(document) if !failed => loaded.push(Loaded {
                document,
                file: name.into(),
                text: text.into(),
                warnings: found,
                sources: sources.clone(),
            }),
            _ => diagnostics.extend(found),
        }
    }
    if diagnostics.is_empty() { Ok(loaded) } else { wrong(diagnostics, sources) }
}

/// Makes objectives of the references to SLOs in whatever experiments a document has. The files of the SLOs become
/// sources: what is wrong in them is shown there.
fn resolve_slos(document: &mut Document, origin: &Origin<'_>, sources: &mut Vec<Source>) -> Vec<Diagnostic> {
    let mut findings = Findings::new(origin);
    let mut in_files = Vec::new();
    let mut one = |spec: &mut Spec, findings: &mut Findings<'_>| resolve(spec, findings, sources, &mut in_files);
    match document {
        Document::Experiment(experiment) => one(&mut experiment.spec, &mut findings),
        Document::Schedule(schedule) => {
            if let ExperimentSource::Inline(spec) = &mut schedule.spec.experiment {
                findings.within(at!["spec", "experiment"], |findings| one(spec, findings));
            }
        }
        Document::GameDay(game_day) => {
            for (index, planned) in game_day.spec.experiments.iter_mut().enumerate() {
                if let ExperimentSource::Inline(spec) = &mut planned.experiment {
                    findings.within(at!["spec", "experiments", index, "experiment"], |findings| one(spec, findings));
                }
            }
        }
    }
    let mut found = findings.into_diagnostics();
    found.extend(in_files);
    found
}

/// What a document is, as it says itself. One that says nothing is taken for an experiment and told so when it is
/// typed; one that says something unknown is told so here, and taken for what it probably means, if anything.
fn kind(tree: &mut Node, found: &mut Vec<Diagnostic>) -> Option<Kind> {
    let place = tree.place_of(&at!["kind"]);
    let Some(node) = tree.child_mut(&"kind".into()) else { return Kind::ALL.first().copied() };
    let Value::Scalar(Scalar { text, .. }) = &mut node.value else { return Kind::ALL.first().copied() };
    if let Some(kind) = Kind::named(text) {
        return Some(kind);
    }
    let names = Kind::ALL.iter().map(|kind| kind.name());
    let meant = suggest::nearest(text, names.clone());
    found.push(Diagnostic {
        severity: Severity::Error,
        path: "kind".into(),
        message: format!("`{text}` is no kind of document"),
        hint: Some(suggest::hint(text, names)),
        place,
    });
    *text = meant?.to_owned();
    meant.and_then(Kind::named)
}

fn kind_and_name(tree: &Node) -> Option<(Kind, String)> {
    let text = |path| match &tree.at(&path)?.value {
        Value::Scalar(scalar) => Some(scalar.text.as_str()),
        _ => None,
    };
    Some((Kind::named(text(at!["kind"])?)?, text(at!["metadata", "name"])?.to_owned()))
}

/// A path as it is named in messages.
pub fn name_of(path: &Path) -> String {
    if is_stdin(path) { "standard input".into() } else { path.display().to_string() }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// The text of a file and the name by which messages call it.
pub(crate) fn read_text(path: &Path) -> Result<(String, String), LoadError> {
    let (stdin, name) = (is_stdin(path), name_of(path));
    let unreadable =
        |source: io::Error, hint: &str| LoadError::Unreadable { file: name.clone(), source, hint: hint.into() };
    let mut bytes = Vec::new();
    let most = read::LONGEST as u64 + 1;
    let done = if stdin {
        io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| {
            if file.metadata()?.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            file.take(most).read_to_end(&mut bytes)
        })
    };
    if let Err(error) = done {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "give the path of a file with documents, or `-` for standard input",
            io::ErrorKind::IsADirectory => "give the files in it: `faultline check DIR/*.yaml`",
            io::ErrorKind::PermissionDenied => "give yourself the right to read it, or pipe it in with `-`",
            _ => "",
        };
        return Err(unreadable(error, hint));
    }
    if bytes.len() > read::LONGEST {
        let error = io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB");
        return Err(unreadable(error, "documents are short; is this the right file?"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let error =
            io::Error::new(io::ErrorKind::InvalidData, format!("it is not UTF-8 text (line {line}, byte {at})"));
        unreadable(error, "save it as UTF-8; is this the right file?")
    })?;
    Ok((name, text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned)))
}

fn render(diagnostics: &[Diagnostic], sources: &[Source], colour: bool) -> String {
    let rendered: Vec<String> = diagnostics.iter().map(|diagnostic| diagnostic.render(sources, colour)).collect();
    rendered.join("\n")
}

impl LoadError {
    /// All of it, with lines and carets.
    pub fn render(&self, colour: bool) -> String {
        let paint = |style: &str, word: &str| {
            if colour { format!("\x1b[{style}m{word}\x1b[0m") } else { word.to_owned() }
        };
        match self {
            Self::Unreadable { hint, .. } => {
                let hint =
                    if hint.is_empty() { String::new() } else { format!("  {} {hint}\n", paint("1;36", "hint:")) };
                format!("{}: {self}\n{hint}", paint("1;31", "error"))
            }
            Self::Wrong { diagnostics, sources, .. } => {
                format!("{}\n{}: {self}\n", render(diagnostics, sources, colour), paint("1;31", "error"))
            }
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, source, .. } => write!(formatter, "cannot read {file}: {source}"),
            Self::Wrong { file, diagnostics, .. } => {
                write!(formatter, "{file} is not usable: {}", diagnostic::count(diagnostics))
            }
        }
    }
}

impl std::error::Error for LoadError {}
