//! Reading experiment files: from bytes to checked experiments, or to everything that is wrong with them.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::check;
use super::diagnostic::{self, Diagnostic, Severity, Source};
use super::document::Experiment;
use super::set::Setting;
use super::typing;
use super::yaml::read;

/// An experiment, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The experiment, after `--set`.
    pub experiment: Experiment,
    /// The file from which it came, as given; `standard input` for `-`.
    pub file: String,
    /// The whole text of that file, as read.
    pub text: String,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// The texts that the warnings are about.
    pub sources: Vec<Source>,
}

impl Loaded {
    /// The warnings with their lines, one after the other.
    pub fn render_warnings(&self, colour: bool) -> String {
        render(&self.warnings, &self.sources, colour)
    }
}

/// Why a file is no experiment.
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
    from_text(&name, &text, set)
}

/// As [`load`], from a text with a name.
///
/// # Errors
/// As there.
pub fn from_text(name: &str, text: &str, set: &[Setting]) -> Result<Vec<Loaded>, LoadError> {
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
    let mut loaded = Vec::new();
    let mut diagnostics = Vec::new();
    for mut tree in documents {
        let mut found = Vec::new();
        for (index, setting) in set.iter().enumerate() {
            found.extend(setting.apply(&mut tree, index + 1).err());
        }
        let typing::Typed { experiment, tree: typed_tree, left_out, errors } = typing::type_all(&tree);
        found.extend(errors);
        if let Some(experiment) = &experiment {
            found.extend(check::check(
                experiment,
                &check::Document { tree: &typed_tree, whole: &tree, left_out: &left_out },
            ));
        }
        found.sort_by_key(|diagnostic| (diagnostic.place.source, diagnostic.place.start));
        found.dedup();
        let failed = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        match experiment {
            Some(experiment) if !failed => loaded.push(Loaded {
                experiment,
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

/// A path as it is named in messages.
pub fn name_of(path: &Path) -> String {
    if is_stdin(path) { "standard input".into() } else { path.display().to_string() }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn read_text(path: &Path) -> Result<(String, String), LoadError> {
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
            io::ErrorKind::NotFound => "give the path of an experiment file, or `-` for standard input",
            io::ErrorKind::IsADirectory => "give the files in it: `faultline check DIR/*.yaml`",
            io::ErrorKind::PermissionDenied => "give yourself the right to read it, or pipe it in with `-`",
            _ => "",
        };
        return Err(unreadable(error, hint));
    }
    if bytes.len() > read::LONGEST {
        let error = io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB");
        return Err(unreadable(error, "an experiment is a short document; is this the right file?"));
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
