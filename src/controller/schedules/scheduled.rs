//! A schedule that is kept, as what it will do.

use jiff::{SignedDuration, Timestamp};

use crate::access::Labels;
use crate::controller::ControllerError;
use crate::controller::command::Object;
use crate::document::Document;
use crate::document::load::from_text;
use crate::experiment::document::{Experiment, Kind};
use crate::schedule::document::{ExperimentSource, Schedule};
use crate::schedule::{Outcome, Preview, Rule, preview};

/// A schedule with its experiment, read and compiled: what is needed to fire it.
#[derive(Debug, Clone)]
pub struct Scheduled {
    /// The schedule, with the text of its calendars in it.
    pub schedule: Schedule,
    /// When it fires: one rule, or one for each group.
    pub rules: Vec<Rule>,
    /// What it runs.
    pub experiment: Experiment,
}

impl Scheduled {
    /// Reads a text that holds exactly one schedule, and the experiment that it names unless that is in it.
    ///
    /// # Errors
    /// If it is wrong, holds anything else, or its experiment is not there.
    pub fn read(text: &str) -> Result<Self, ControllerError> {
        let (mut schedules, mut experiments) = (Vec::new(), Vec::new());
        for loaded in from_text("the document", text, &[])? {
            #[allow(unreachable_patterns, reason = "whatever other kinds there will be have no place here")]
            match loaded.document {
                Document::Schedule(schedule) => schedules.push(*schedule),
                Document::Experiment(experiment) => experiments.push(*experiment),
                other => {
                    let message = format!("the {} {} has no place here", other.kind().noun(), other.metadata().name);
                    return Err(ControllerError::unsuitable(message, "send the schedule and its experiment alone"));
                }
            }
        }
        let (Some(schedule), true) = (schedules.pop(), schedules.is_empty()) else {
            return Err(ControllerError::unsuitable(
                "the text must hold exactly one schedule, and the experiment that it names",
                "a schedule is a document with `kind: Schedule`",
            ));
        };
        let schedule = schedule.with_calendars(None).map_err(|error| {
            let hint = "`faultline schedule apply` puts the text of calendars into the document";
            ControllerError::unsuitable(error.to_string(), hint)
        })?;
        let rules = Rule::compile(&schedule).map_err(|error| ControllerError::unsuitable(error.to_string(), ""))?;
        let experiment = match &schedule.spec.experiment {
            ExperimentSource::Inline(spec) => Experiment {
                api_version: schedule.api_version,
                kind: Kind::Experiment,
                metadata: schedule.metadata.clone(),
                spec: (**spec).clone(),
            },
            ExperimentSource::Named(name) => {
                let named = experiments.iter().find(|experiment| experiment.metadata.name == *name);
                named.cloned().ok_or_else(|| {
                    ControllerError::unsuitable(
                        format!("the schedule runs the experiment `{name}`, which is not in the text"),
                        "put the experiment into the same file, after a line `---`",
                    )
                })?
            }
        };
        Ok(Self { schedule, rules, experiment })
    }

    /// The document of the experiment as it is run, for a group with its labels added to every target.
    ///
    /// # Errors
    /// If a target asks for another value of one of these labels.
    pub fn document(&self, group: Option<&str>) -> Result<String, ControllerError> {
        let mut experiment = self.experiment.clone();
        let groups = self.schedule.spec.probabilistic.as_ref().map(|probabilistic| &probabilistic.groups);
        let labels = group.and_then(|group| groups?.get(group)).map(|group| group.labels.clone()).unwrap_or_default();
        for (name, target) in &mut experiment.spec.targets {
            let Some(hosts) = &mut target.hosts else { continue };
            for (label, value) in &labels {
                let asked = hosts.labels.entry(label.clone()).or_insert_with(|| value.clone());
                if asked != value {
                    let message =
                        format!("target `{name}` asks for {label}={asked}, and the group for {label}={value}");
                    return Err(ControllerError::unsuitable(message, "no host can have both"));
                }
            }
        }
        // JSON is YAML: it is read like any other document.
        serde_json::to_string_pretty(&experiment).map_err(|error| ControllerError::Broken(error.to_string()))
    }

    /// When it fires between these, at most so often.
    pub(super) fn fires(&self, from: Timestamp, until: Timestamp, most: usize) -> Vec<Timestamp> {
        let of = |rule: &Rule| {
            let Preview { entries, .. } = preview(rule, from, until);
            entries.into_iter().filter(|entry| matches!(entry.outcome, Outcome::Fire)).map(|entry| entry.at)
        };
        let mut fires: Vec<Timestamp> = self.rules.iter().flat_map(of).collect();
        fires.sort();
        fires.truncate(most);
        fires
    }

    /// The next fires, at most so many; looks farther and farther ahead, so that a schedule that fires each minute costs little.
    pub(super) fn coming(&self, now: Timestamp, most: usize) -> Vec<Timestamp> {
        let mut fires = Vec::new();
        for hours in [2, 48, 24 * 32, 24 * 366] {
            let Ok(until) = now.checked_add(SignedDuration::from_hours(hours)) else { break };
            fires = self.fires(now, until, most);
            if fires.len() >= most {
                break;
            }
        }
        fires
    }

    /// What it does in the time to come, as what somebody wants to do: each of its targets stands for the hosts that have
    /// the labels for which it asks. What these hosts really are is asked whenever it fires: see
    /// [`Controller::new_run`](crate::controller::Controller::new_run).
    pub(super) fn object(&self) -> Object {
        let object = Object::new(format!("schedule/{}", self.schedule.metadata.name));
        let object = object.experiment(self.schedule.metadata.labels.clone());
        let targets = self.experiment.spec.targets.iter();
        targets.fold(object, |object, (name, target)| {
            let labels = target.hosts.as_ref().map(|hosts| hosts.labels.clone());
            object.host(&format!("that target `{name}` may mean"), labels)
        })
    }
}

/// The labels of a schedule, by which a scope decides; none, if its document is not understood any more.
pub(super) fn labels_of(document: &str) -> Labels {
    Scheduled::read(document).map(|scheduled| scheduled.schedule.metadata.labels).unwrap_or_default()
}
