//! The experiments of a game day, found where its document says that they are.

use std::collections::BTreeMap;

use super::document::{ExperimentSource, GameDay, PlannedExperiment};
use crate::document::{Metadata, suggest};
use crate::experiment::document::{ApiVersion, Experiment, Kind};

/// A game day names an experiment that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no experiment `{name}` beside the game day")]
pub struct NoExperiment {
    /// The name.
    pub name: String,
    /// The nearest name that there is.
    pub near: Option<String>,
}

/// One experiment of a game day: the one written out in it, with the game day's labels, or one of those that are known.
///
/// # Errors
/// If it is none of them.
pub fn experiment<'a>(
    game_day: &GameDay,
    planned: &PlannedExperiment,
    known: impl IntoIterator<Item = &'a Experiment> + Clone,
) -> Result<Experiment, NoExperiment> {
    match &planned.experiment {
        ExperimentSource::Inline(spec) => {
            let (name, labels) = (planned.name().to_owned(), game_day.metadata.labels.clone());
            let metadata = Metadata { name, labels, annotations: BTreeMap::new() };
            Ok(Experiment { api_version: ApiVersion::V1, kind: Kind::Experiment, metadata, spec: (**spec).clone() })
        }
        ExperimentSource::Named(name) => {
            let found = known.clone().into_iter().find(|one| one.metadata.name == *name);
            found.cloned().ok_or_else(|| {
                let names = known.into_iter().map(|one| one.metadata.name.as_str());
                NoExperiment { name: name.clone(), near: suggest::nearest(name, names).map(str::to_owned) }
            })
        }
    }
}
