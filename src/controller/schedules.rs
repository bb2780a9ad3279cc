//! Schedules: putting, listing, suspending and removing them, and what they will do.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::{Command, Object};
use super::{Controller, ControllerError, suitable};
use crate::access::{Action, Labels, Principal};
use crate::document::Document;
use crate::document::load::from_text;
use crate::experiment::document::{Experiment, Kind};
use crate::schedule::document::{ExperimentSource, Schedule};
use crate::schedule::{Outcome, Preview, Rule, preview};
use crate::store::{Author, Definition, DefinitionKind, Refusal, Slot};

const KIND: DefinitionKind = DefinitionKind::Schedule;
/// The longest time that is looked ahead.
const FARTHEST: SignedDuration = SignedDuration::from_hours(24 * 366);
/// How many of the times before now are shown with a schedule.
const PAST: u32 = 20;
/// How many of those to come.
const COMING: usize = 10;

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleView {
    /// Its name.
    pub name: String,
    /// Whether it rests: by a call, or by `suspend` in its document.
    pub suspended: bool,
    /// Grows with each change.
    pub version: i64,
    /// The newest slot that fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fire: Option<Timestamp>,
    /// When it fires next, if nothing stands in its way then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_fire: Option<Timestamp>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Who changed it last.
    pub changed_by: String,
    /// When.
    pub changed_at: Timestamp,
}

/// A time at which a schedule was to fire, with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotView {
    /// When it was to fire.
    pub slot: Timestamp,
    /// `fired` or `missed`.
    pub outcome: String,
    /// The run that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Why it was missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

impl From<Slot> for SlotView {
    fn from(slot: Slot) -> Self {
        let Slot { slot, outcome, run, because, .. } = slot;
        Self { slot, outcome: outcome.to_string(), run, because }
    }
}

/// A schedule with its document, what it did and what it will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleDetails {
    /// The schedule.
    #[serde(flatten)]
    pub schedule: ScheduleView,
    /// The document, letter for letter.
    pub document: String,
    /// What became of the last times at which it was to fire, the newest first.
    pub past: Vec<SlotView>,
    /// The next times at which it fires, if nothing stands in its way then.
    pub coming: Vec<Timestamp>,
}

/// All schedules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchedulesList {
    /// By name.
    pub schedules: Vec<ScheduleView>,
}

/// When a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FiresList {
    /// In order, if nothing stands in its way then.
    pub fires: Vec<Timestamp>,
}

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

    fn fires(&self, from: Timestamp, until: Timestamp, most: usize) -> Vec<Timestamp> {
        let of = |rule: &Rule| {
            let Preview { entries, .. } = preview(rule, from, until);
            entries.into_iter().filter(|entry| matches!(entry.outcome, Outcome::Fire)).map(|entry| entry.at)
        };
        let mut fires: Vec<Timestamp> = self.rules.iter().flat_map(of).collect();
        fires.sort();
        fires.truncate(most);
        fires
    }

    /// The next fires; looks farther and farther ahead, so that a schedule that fires each minute costs little.
    fn coming(&self, now: Timestamp, most: usize) -> Vec<Timestamp> {
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
    /// [`Controller::new_run`].
    fn object(&self) -> Object {
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
fn labels_of(document: &str) -> Labels {
    Scheduled::read(document).map(|scheduled| scheduled.schedule.metadata.labels).unwrap_or_default()
}

fn view(definition: Definition, now: Timestamp) -> (ScheduleView, String, Vec<Timestamp>) {
    // One that this version cannot read any more is shown all the same, without a future.
    let compiled = Scheduled::read(&definition.document).ok();
    let rests = compiled.as_ref().is_some_and(|compiled| compiled.schedule.spec.suspend);
    let suspended = definition.suspended || rests;
    let coming = compiled.filter(|_| !suspended).map(|compiled| compiled.coming(now, COMING)).unwrap_or_default();
    let view = ScheduleView {
        name: definition.name,
        suspended,
        version: definition.version,
        last_fire: definition.last_fire,
        next_fire: coming.first().copied(),
        created_by: definition.created_by,
        created_at: definition.created_at,
        changed_by: definition.changed_by,
        changed_at: definition.changed_at,
    };
    (view, definition.document, coming)
}

impl Controller {
    /// Keeps a schedule, or replaces the one of its name. With `version`, only if that is the one there now (0: if there
    /// is none).
    ///
    /// # Errors
    /// If `who` may not, the document is wrong, there is another version, or by the store.
    pub async fn put_schedule(
        &self,
        who: &Principal,
        text: &str,
        version: Option<i64>,
    ) -> Result<ScheduleView, ControllerError> {
        let scheduled = Scheduled::read(text)?;
        suitable::fit(&scheduled.experiment, &self.settings)?;
        for rule in &scheduled.rules {
            scheduled.document(rule.group.as_deref())?;
        }
        let name = scheduled.schedule.metadata.name.clone();
        let runs = Object::new(format!("schedule/{name}")).experiment(scheduled.experiment.metadata.labels.clone());
        self.authorise(who, Action::Schedule, &runs).await?;
        // What is replaced must be his to replace, too.
        if self.store.definitions(KIND).await?.iter().any(|definition| definition.name == name) {
            self.authorise(who, Action::Schedule, &self.schedule_object(&name).await?).await?;
        }
        let hash = crate::audit::Hash::of(text.as_bytes()).to_string();
        let command = Command::new(Action::Schedule, scheduled.object()).with("sha256", hash);
        self.command(who, command, async {
            let now = self.now().await?;
            let scope = who.scope.to_string();
            let by = Author { name: &who.name, scope: &scope };
            let version = match version {
                Some(version) => version,
                None => match self.store.definition(KIND, &name).await {
                    Ok(definition) => definition.version,
                    Err(error) if matches!(error.refusal(), Some(Refusal::Unknown { .. })) => 0,
                    Err(error) => return Err(error.into()),
                },
            };
            let definition = match version {
                0 => self.store.create_definition(KIND, &name, text, by, now).await?,
                version => self.store.change_definition(KIND, &name, version, text, by, now).await?,
            };
            Ok(view(definition, now).0)
        })
        .await
    }

    /// All schedules, by name.
    ///
    /// # Errors
    /// If `who` may not, or by the store.
    pub async fn schedules(&self, who: &Principal) -> Result<SchedulesList, ControllerError> {
        self.admit(who, Action::See).await?;
        let now = self.now().await?;
        let definitions = self.store.definitions(KIND).await?;
        let seen = definitions.into_iter().filter(|definition| {
            self.may_see(who, &Object::new("schedule").experiment(labels_of(&definition.document)))
        });
        Ok(SchedulesList { schedules: seen.map(|definition| view(definition, now).0).collect() })
    }

    /// One schedule with its document, its past and its future.
    ///
    /// # Errors
    /// If `who` may not, there is no such schedule, or by the store.
    pub async fn schedule(&self, who: &Principal, name: &str) -> Result<ScheduleDetails, ControllerError> {
        self.authorise(who, Action::See, &self.schedule_object(name).await?).await?;
        let definition = self.store.definition(KIND, name).await?;
        let past = self.store.slots(name, None, PAST).await?;
        let (schedule, document, coming) = view(definition, self.now().await?);
        Ok(ScheduleDetails { schedule, document, past: past.into_iter().map(SlotView::from).collect(), coming })
    }

    /// When a schedule fires between two times, at most `most` of them; as if it did not rest.
    ///
    /// # Errors
    /// If `who` may not, there is no such schedule, the times make no sense, or by the store.
    pub async fn fires(
        &self,
        who: &Principal,
        name: &str,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
        most: usize,
    ) -> Result<FiresList, ControllerError> {
        self.authorise(who, Action::See, &self.schedule_object(name).await?).await?;
        let definition = self.store.definition(KIND, name).await?;
        let too_far = || ControllerError::request("these times are too far off", "at most a year is looked ahead");
        let from = match from {
            Some(from) => from,
            None => self.now().await?,
        };
        let until = match until {
            Some(until) => until,
            None => from.checked_add(SignedDuration::from_hours(24 * 14)).map_err(|_| too_far())?,
        };
        if until <= from {
            return Err(ControllerError::request("`until` is not after `from`", ""));
        }
        if until.duration_since(from) > FARTHEST {
            return Err(too_far());
        }
        let compiled = Scheduled::read(&definition.document)?;
        Ok(FiresList { fires: compiled.fires(from, until, most) })
    }

    /// Has a schedule rest, or wakes it up. Runs of it that are under way go on.
    ///
    /// # Errors
    /// If `who` may not, there is no such schedule, or by the store.
    pub async fn suspend_schedule(
        &self,
        who: &Principal,
        name: &str,
        suspended: bool,
    ) -> Result<ScheduleView, ControllerError> {
        let object = self.schedule_object(name).await?;
        let command = Command::new(Action::Schedule, object).with("suspended", suspended);
        self.command(who, command, async {
            let now = self.now().await?;
            let definition = self.store.suspend_definition(KIND, name, suspended, &who.name, now).await?;
            Ok(view(definition, now).0)
        })
        .await
    }

    /// Removes a schedule. Its runs stay.
    ///
    /// # Errors
    /// If `who` may not, there is no such schedule, somebody changes it just now, or by the store.
    pub async fn delete_schedule(&self, who: &Principal, name: &str) -> Result<(), ControllerError> {
        let object = self.schedule_object(name).await?;
        self.command(who, Command::new(Action::Schedule, object), async {
            let definition = self.store.definition(KIND, name).await?;
            Ok(self.store.remove_definition(KIND, name, definition.version).await?)
        })
        .await
    }

    /// A schedule as what is to be changed: its labels are those of its document.
    async fn schedule_object(&self, name: &str) -> Result<Object, ControllerError> {
        let definition = self.store.definition(KIND, name).await;
        let labels = match definition {
            Ok(definition) => labels_of(&definition.document),
            Err(error) if matches!(error.refusal(), Some(Refusal::Unknown { .. })) => Labels::default(),
            Err(error) => return Err(error.into()),
        };
        Ok(Object::new(format!("schedule/{name}")).experiment(labels))
    }
}
