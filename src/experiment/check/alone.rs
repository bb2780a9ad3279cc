//! What cannot be carried out on one host, without a controller.

use super::at;
use crate::document::diagnostic::{Diagnostic, Severity};
use crate::document::load::{LoadError, Loaded};
use crate::document::yaml::{Node, Path, Place, Value, read};
use crate::experiment::document::Experiment;

/// Whether an experiment can be run on this host alone: no target selects among the agents of a controller.
///
/// # Errors
/// With every target that does, and where it stands in the file.
pub(crate) fn can_run_alone(loaded: &Loaded<Experiment>) -> Result<(), LoadError> {
    let on_fleet = loaded.document.spec.targets.iter().filter(|(_, target)| target.hosts.is_some());
    let diagnostics: Vec<Diagnostic> = on_fleet
        .map(|(name, _)| {
            let path = at!["spec", "targets", name, "hosts"];
            Diagnostic {
                severity: Severity::Error,
                path: path.to_string(),
                message: "`hosts` selects among the agents of a controller, and there is none here".into(),
                hint: Some("leave it out: everything then happens on the host of the run".into()),
                place: place(loaded, &path),
            }
        })
        .collect();
    if diagnostics.is_empty() {
        return Ok(());
    }
    Err(LoadError::Wrong { file: loaded.file.clone(), diagnostics, sources: loaded.sources.clone() })
}

/// Where a key stands in the file: in the document of this name.
fn place(loaded: &Loaded<Experiment>, path: &Path) -> Place {
    let documents = read::read(&loaded.text, 0).unwrap_or_default();
    let name = at!["metadata", "name"];
    let is_it = |tree: &&Node| match tree.at(&name).map(|node| &node.value) {
        Some(Value::Scalar(scalar)) => scalar.text == loaded.document.metadata.name,
        _ => false,
    };
    documents.iter().find(is_it).map_or_else(Place::default, |tree| tree.place_of_key(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::load::from_text;
    use crate::experiment::document::smallest::smallest;

    const PAUSE: &str = "{ inject: { fault: { process-pause: {} }, on: db, for: 30s } }";

    #[test]
    fn a_target_on_a_fleet_is_refused_at_its_place() {
        let one = smallest("one", "  targets: { db: { process: { name: db } } }", PAUSE);
        let two = smallest("two", "  targets:\n    db: { process: { name: db }, hosts: { names: [db-1] } }", PAUSE);
        let loaded = from_text("two.yaml", &format!("{one}---\n{two}"), &[])
            .unwrap_or_else(|error| panic!("{}", error.render(false)));
        let experiments: Vec<_> = loaded.into_iter().map(|one| one.experiment().unwrap()).collect();
        assert!(can_run_alone(&experiments[0]).is_ok());
        insta::assert_snapshot!(can_run_alone(&experiments[1]).unwrap_err().render(false), @r"
        error: spec.targets.db.hosts: `hosts` selects among the agents of a controller, and there is none here
           --> two.yaml:19:34
           |
        19 |     db: { process: { name: db }, hosts: { names: [db-1] } }
           |                                  ^^^^^
          hint: leave it out: everything then happens on the host of the run

        error: two.yaml is not usable: 1 error
        ");
    }
}
