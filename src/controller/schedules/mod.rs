//! Schedules: putting, listing, suspending and removing them, and what they will do.

mod scheduled;
mod view;

use jiff::{SignedDuration, Timestamp};

pub use self::scheduled::Scheduled;
use self::scheduled::labels_of;
use self::view::view;
pub use self::view::{FiresList, ScheduleDetails, ScheduleView, SchedulesList, SlotView};
use super::command::{Command, Object};
use super::{Controller, ControllerError, suitable};
use crate::access::{Action, Labels, Principal};
use crate::store::{Author, DefinitionKind, Refusal};

const KIND: DefinitionKind = DefinitionKind::Schedule;
/// The longest time that is looked ahead.
const FARTHEST: SignedDuration = SignedDuration::from_hours(24 * 366);
/// How many of the times before now are shown with a schedule.
const PAST: u32 = 20;

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
