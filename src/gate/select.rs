//! What the gate is about: the files below the paths that were given, and the experiments in them that were asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::Candidate;
use crate::document::load::name_of;
use crate::experiment::document::LabelExpression;

/// A path that cannot be looked into.
#[derive(Debug, thiserror::Error)]
#[error("cannot look into {}: {source}", path.display())]
pub struct SelectError {
    /// The file or folder.
    pub path: PathBuf,
    /// The reason.
    pub source: io::Error,
}

/// A file to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was named itself, and so must hold an experiment.
    pub named: bool,
}

/// The files that paths mean: a file is itself, a folder is every `*.yaml` and `*.yml` in it and below it, in the order of
/// their names. Each file is there once. Folders and files whose names begin with a dot are left out, and folders that are links
/// are not entered, so that a circle of links ends.
///
/// # Errors
/// If a path is not there or a folder cannot be read: what cannot be seen must not look absent.
pub fn files(paths: &[PathBuf]) -> Result<Vec<Found>, SelectError> {
    let mut found = Vec::new();
    for path in paths {
        let failed = |source| SelectError { path: path.clone(), source };
        if path == Path::new("-") {
            found.push(Found { path: path.clone(), named: true });
        } else if std::fs::metadata(path).map_err(failed)?.is_dir() {
            descend(path, &mut found)?;
        } else {
            found.push(Found { path: path.clone(), named: true });
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|file| seen.insert(std::fs::canonicalize(&file.path).unwrap_or_else(|_| file.path.clone())));
    Ok(found)
}

fn descend(folder: &Path, found: &mut Vec<Found>) -> Result<(), SelectError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| SelectError { path, source }
    };
    let entries = std::fs::read_dir(folder).map_err(failed(folder))?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed(folder))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type().map_err(failed(&path))?.is_dir() {
            descend(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") && path.is_file() {
            found.push(Found { path, named: false });
        }
    }
    Ok(())
}

/// Whether all these are true of an experiment's labels.
pub fn is_selected(labels: &BTreeMap<String, String>, expressions: &[LabelExpression]) -> bool {
    expressions.iter().all(|expression| expression.holds(labels.get(&expression.label).map(String::as_str)))
}

/// Two experiments of one name: baseline and quarantine could not tell them apart.
pub fn same_name(candidates: &[Candidate]) -> Option<(&Candidate, &Candidate)> {
    let mut known: BTreeMap<&str, &Candidate> = BTreeMap::new();
    candidates.iter().find_map(|candidate| known.insert(candidate.name(), candidate).map(|first| (first, candidate)))
}

/// The paths as they were given, for messages.
pub fn named(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| name_of(path)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_its_documents_in_the_order_of_their_names_each_once() {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        for folder in ["b", ".git"] {
            std::fs::create_dir(path(folder)).unwrap();
        }
        for file in ["c.yaml", "a.yml", "b/z.yaml", "b/notes.md", ".git/x.yaml", ".hidden.yaml", "run.sh"] {
            std::fs::write(path(file), "").unwrap();
        }
        std::os::unix::fs::symlink(scratch.path(), path("b/circle")).unwrap();
        std::os::unix::fs::symlink(path("c.yaml"), path("b/link.yaml")).unwrap();
        let found = files(&[path("c.yaml"), scratch.path().to_owned()]).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|file| (file.path.strip_prefix(scratch.path()).unwrap().to_str().unwrap(), file.named))
            .collect();
        assert_eq!(names, [("c.yaml", true), ("a.yml", false), ("b/z.yaml", false)]);
        let error = files(&[path("nowhere")]).unwrap_err().to_string();
        assert!(error.contains("nowhere: No such file or directory"), "{error}");
    }

    #[test]
    fn every_expression_must_be_true() {
        let labels = BTreeMap::from([("team".to_owned(), "payments".to_owned()), ("tier".into(), "1".into())]);
        let selected = |expressions: &[&str]| {
            let expressions: Vec<LabelExpression> = expressions.iter().map(|one| one.parse().unwrap()).collect();
            is_selected(&labels, &expressions)
        };
        assert!(selected(&[]));
        assert!(selected(&["team=payments", "tier in (1, 2)", "!slow"]));
        assert!(!selected(&["team=payments", "slow"]));
        assert!(!selected(&["team=search"]));
    }
}
