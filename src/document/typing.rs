//! Typing a tree as a document, and finding all that does not fit.
//!
//! serde stops at the first error. Here the value at fault is taken out and the rest is tried again, until it fits or
//! nothing is left to take out; so one wrong value does not hide the next.

use serde::de::DeserializeOwned;

use super::diagnostic::{Diagnostic, Severity};
use super::suggest;
use super::yaml::typed::{Problem, TypeError, from_tree};
use super::yaml::{Node, Path, Segment};

/// How many errors of one document are looked for.
const MOST_ERRORS: usize = 50;

/// What came of it.
#[derive(Debug)]
pub struct Typed<T> {
    /// The document, perhaps without what is listed in `left_out`; `None` if too little fits.
    pub document: Option<T>,
    /// The tree that became that document.
    pub tree: Node,
    /// What was taken out because it does not fit: the paths as written.
    pub left_out: Vec<Path>,
    /// Why it does not fit.
    pub errors: Vec<Diagnostic>,
}

impl<T> Typed<T> {
    /// The same with another type of document.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Typed<U> {
        let Self { document, tree, left_out, errors } = self;
        Typed { document: document.map(change), tree, left_out, errors }
    }
}

/// Types a tree and finds all errors.
pub fn type_all<T: DeserializeOwned>(tree: &Node) -> Typed<T> {
    let mut typed = Typed { document: None, tree: tree.clone(), left_out: Vec::new(), errors: Vec::new() };
    let mut misspelt = Vec::new();
    for _ in 0..MOST_ERRORS {
        let error = match from_tree::<T>(&typed.tree) {
            Ok(document) => {
                typed.document = Some(document);
                break;
            }
            Err(error) => error,
        };
        let path = as_written(&error.path, &typed.left_out);
        if !follows_from(&error, &path, &typed.left_out, &misspelt) {
            typed.errors.push(diagnose(&error, &path, &typed.tree));
        }
        if let Problem::UnknownKey { key, expected } = &error.problem
            && let (Some(meant), Some(parent)) = (suggest::nearest(key, expected.iter().copied()), path.parent())
        {
            misspelt.push(parent.join(meant));
        }
        if typed.tree.remove(&error.path).is_none() {
            break;
        }
        typed.left_out.push(path);
    }
    typed
}

/// Whether an error is there only because of what was taken out or misspelt, which was told of already.
fn follows_from(error: &TypeError, path: &Path, left_out: &[Path], misspelt: &[Path]) -> bool {
    match &error.problem {
        Problem::MissingKey(key) => [left_out, misspelt].iter().any(|told| told.contains(&path.join(*key))),
        Problem::NotOne { given, .. } => given.is_empty() && left_out.iter().any(|out| out.starts_with(path)),
        _ => false,
    }
}

/// The path in the text of a path in the tree, from which some items of lists were taken out.
pub fn as_written(path: &Path, left_out: &[Path]) -> Path {
    path.segments().iter().fold(Path::default(), |walked, segment| {
        let Segment::Index(index) = segment else { return walked.join(segment.clone()) };
        let is_out = |index: &usize| left_out.contains(&walked.join(*index));
        let written = (0..).filter(|index| !is_out(index)).nth(*index).unwrap_or(*index);
        walked.join(written)
    })
}

fn diagnose(error: &TypeError, written: &Path, tree: &Node) -> Diagnostic {
    let (path, message) = match &error.problem {
        Problem::UnknownKey { key, .. } => {
            let parent = written.parent().unwrap_or_default();
            let message = if parent.segments().is_empty() {
                format!("a document has no `{key}`")
            } else {
                format!("there is no `{key}` here")
            };
            (parent, message)
        }
        Problem::UnknownWord { .. } if ends_with_its_word(error) => {
            (written.parent().unwrap_or_default(), error.to_string())
        }
        _ => (written.clone(), error.to_string()),
    };
    Diagnostic {
        severity: Severity::Error,
        path: path.to_string(),
        message,
        hint: hint(error, tree),
        place: error.place.unwrap_or_default(),
    }
}

/// Whether the unknown word is the key at which the path ends (`fault: { network-latencyy: … }`).
fn ends_with_its_word(error: &TypeError) -> bool {
    match (&error.problem, error.path.segments().last()) {
        (Problem::UnknownWord { word, .. }, Some(Segment::Key(key))) => word == key,
        _ => false,
    }
}

fn hint(error: &TypeError, tree: &Node) -> Option<String> {
    match &error.problem {
        Problem::UnknownKey { key, expected } => {
            let present: Vec<&str> = error
                .path
                .parent()
                .and_then(|parent| tree.at(&parent))
                .map_or(Vec::new(), |node| node.keys().collect());
            let free = expected.iter().copied().filter(|name| !present.contains(name));
            Some(match suggest::nearest(key, free) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None if expected.is_empty() => "nothing can be set here".into(),
                None => format!("here can be `{}`", expected.join("`, `")),
            })
        }
        Problem::UnknownWord { word, expected } => Some(suggest::hint(word, expected.iter().copied())),
        Problem::MissingKey("apiVersion") => Some("write `apiVersion: faultline.dev/v1` at the top".into()),
        Problem::MissingKey("kind") => Some("write `kind: Experiment`".into()),
        Problem::NotOne { given, expected } if given.is_empty() => {
            Some(format!("give one of `{}`", expected.join("`, `")))
        }
        Problem::NotOne { .. } => {
            let in_list = matches!(error.path.segments().last(), Some(Segment::Index(_)));
            in_list.then(|| "begin a new item of the list with `- `".into())
        }
        Problem::NeedsSettings(word) => Some(format!("write `{word}: {{ … }}`, or `{word}: {{}}` for its defaults")),
        Problem::Kind { found, expected } if found == "nothing" && expected.starts_with("a mapping") => {
            Some("write `{}` for one without settings, or leave the key out".into())
        }
        _ => None,
    }
}
