//! Holds a game day on one host: runs in this process, people at a terminal or in a file of answers.
//!
//! It obeys the state machine and decides nothing: every event is put to the machine, written to the journal, and only
//! then are its commands carried out.

mod experiment;
mod said;
mod voices;

pub use voices::Voices;

use std::path::PathBuf;
use std::time::Duration;

use faultline_agent::halt;
use faultline_agent::state::StateFolder;
use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::alerts::Sampler;
use super::hash::{self, PlanHash};
use super::journal::{Journal, JournalError, RUNS};
use super::machine::{Asked, Command, Entry, Event, Illegal, Opened, ResolvedExperiment, State, step};
use super::sheet::{Sheet, SheetError};
use crate::experiment::machine::Stop;
use crate::hypothesis::verdict::RunVerdict;
use crate::run::record::Watcher;
use crate::run::stop::StopSignals;
use crate::signals::reach::Reach;

/// How often the clock, the window and the halt files are looked at.
const TICK: Duration = Duration::from_millis(500);

/// A game day to be held on this host.
#[derive(Debug, Clone)]
pub struct LocalGameDay {
    /// How it begins.
    pub opened: Opened,
    /// The document as read.
    pub text: String,
    /// The texts of the experiments' files, in their order.
    pub texts: Vec<String>,
    /// Who asks for the approvals.
    pub requester: String,
    /// Where Faultline keeps its own files.
    pub state: StateFolder,
    /// Below which folder the game day's is made.
    pub days: PathBuf,
}

/// Who takes part, as the driver sees them: told what is asked and what happens.
pub trait Company {
    /// Something is asked of people.
    fn asked(&mut self, state: &State, command: &Command);
    /// Something happened; it is in the journal already.
    fn happened(&mut self, entry: &Entry, state: &State);
    /// What somebody said makes no sense.
    fn refused(&mut self, why: &Illegal);
    /// Who watches the run of an experiment.
    fn watcher(&mut self, experiment: &ResolvedExperiment) -> Box<dyn Watcher>;
}

/// How a game day went.
#[derive(Debug)]
pub struct Held {
    /// Its folder.
    pub folder: PathBuf,
    /// Its sheet.
    pub sheet: Sheet,
}

/// Why a game day could not be held, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// Its journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What the machine does not take.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// Its sheet.
    #[error(transparent)]
    Sheet(#[from] SheetError),
    /// The threads and signals of this process.
    #[error("cannot start the threads of the game day: {0}")]
    Threads(#[source] std::io::Error),
    /// Alertmanager's address.
    #[error("alerts cannot be read: {0}")]
    Alertmanager(String),
}

/// What comes from elsewhere than people.
enum Report {
    Event(Timestamp, Event),
}

/// Holds a game day on this host to its end.
///
/// # Errors
/// [`DriveError`] if it could not begin, or its journal could not be written any more; what ran then is undone first.
pub fn hold(day: &LocalGameDay, voices: Voices, company: &mut dyn Company) -> Result<Held, DriveError> {
    let journal = Journal::create(&day.days, &day.opened.id, &day.text)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(DriveError::Threads)?;
    let held = runtime.block_on(async {
        let signals = StopSignals::listen().map_err(DriveError::Threads)?;
        let (reports, incoming) = unbounded_channel();
        let sampler = match &day.opened.game_day.spec.alertmanager {
            Some(alertmanager) => {
                let reports = reports.clone();
                let tell = move |at, reading| reports.send(Report::Event(at, Event::Alerts(reading))).is_ok();
                // Whoever holds it here could ask the same himself.
                Some(Sampler::start(alertmanager, Reach::Everything, tell).map_err(DriveError::Alertmanager)?)
            }
            None => None,
        };
        let at = Timestamp::now();
        let opening = Event::Opened(Box::new(day.opened.clone()));
        let (state, _) = step(None, at, opening.clone())?;
        let mut drive = Drive {
            day,
            company,
            journal,
            state,
            entries: Vec::new(),
            orders: None,
            reports,
            sampler,
            interrupted: false,
        };
        drive.write(Entry { at, event: opening })?;
        drive.carry_out(voices, signals, incoming).await
    });
    // A thread that waits for a line of standard input is not waited for.
    runtime.shutdown_background();
    held
}

struct Drive<'a> {
    day: &'a LocalGameDay,
    company: &'a mut dyn Company,
    journal: Journal,
    state: State,
    entries: Vec<Entry>,
    /// Where the run under way takes orders.
    orders: Option<UnboundedSender<Stop>>,
    reports: UnboundedSender<Report>,
    sampler: Option<Sampler>,
    interrupted: bool,
}

impl Drive<'_> {
    async fn carry_out(
        mut self,
        mut voices: Voices,
        mut signals: StopSignals,
        mut incoming: UnboundedReceiver<Report>,
    ) -> Result<Held, DriveError> {
        self.event(Timestamp::now(), Event::Requested { by: self.day.requester.clone() })?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut broken = None;
        while !self.state.is_over() {
            if let Some(sampler) = &self.sampler {
                sampler.watch(self.state.watches().is_some());
            }
            let done = tokio::select! {
                biased;
                signal = signals.next() => {
                    self.interrupted = true;
                    let reason = format!("interrupted by {signal}");
                    self.event(Timestamp::now(), Event::Aborted { by: "a signal".into(), reason })
                }
                Some(Report::Event(at, event)) = incoming.recv() => self.reported(at, event),
                spoken = voices.next(&self.state, false) => self.said(spoken),
                _ = tick.tick() => self.tick(),
            };
            // A journal that cannot be written ends the game day; what runs is undone all the same.
            if let Err(error) = done
                && broken.is_none()
            {
                match &self.orders {
                    Some(orders) => {
                        let _ = orders.send(Stop::Broken(error.to_string()));
                        broken = Some(error);
                    }
                    None => return Err(error),
                }
            }
            if broken.is_some() && self.orders.is_none() {
                break;
            }
        }
        if let Some(error) = broken {
            return Err(error);
        }
        let sheet = Sheet::from_entries(&self.entries)?;
        Ok(Held { folder: self.journal.folder().to_owned(), sheet })
    }

    fn write(&mut self, entry: Entry) -> Result<(), DriveError> {
        self.journal.append(&entry)?;
        self.company.happened(&entry, &self.state);
        self.entries.push(entry);
        Ok(())
    }

    /// Puts an event to the machine, writes it down, and carries out what follows.
    fn event(&mut self, at: Timestamp, event: Event) -> Result<(), DriveError> {
        let (state, commands) = step(Some(&self.state), at, event.clone())?;
        let ended = matches!(event, Event::Ended { .. });
        let is_news = state.is_news_after(&self.state, &event);
        self.state = state;
        if ended {
            self.orders = None;
        }
        if is_news {
            self.write(Entry { at, event })?;
        }
        for command in commands {
            self.command(&command)?;
        }
        Ok(())
    }

    fn command(&mut self, command: &Command) -> Result<(), DriveError> {
        match command {
            Command::AskApprovals { .. } | Command::Ask { .. } | Command::AskGo { .. } | Command::AskPlan { .. } => {
                self.company.asked(&self.state, command);
            }
            Command::WatchAlerts { .. } => {
                if let Some(sampler) = &self.sampler {
                    sampler.begin();
                }
            }
            Command::StartExperiment { experiment, hash } => self.start(*experiment, hash)?,
            Command::StopExperiment { reason, .. } => {
                let stop =
                    if self.interrupted { Stop::Interrupted(reason.clone()) } else { Stop::Halted(reason.clone()) };
                if let Some(orders) = &self.orders {
                    // A run that has just ended says so itself.
                    let _ = orders.send(stop);
                }
            }
            Command::Finish => {}
        }
        Ok(())
    }

    fn start(&mut self, number: usize, hash: &PlanHash) -> Result<(), DriveError> {
        let resolved = &self.day.opened.experiments[number];
        if hash::of_experiment(&resolved.experiment, resolved.seed) != *hash {
            let because = "its plan is not the one that was approved".to_owned();
            let verdict = RunVerdict::Refused;
            return self.event(Timestamp::now(), Event::Ended { experiment: number, verdict, because });
        }
        let (orders, orders_in) = unbounded_channel();
        self.orders = Some(orders);
        let watcher = self.company.watcher(resolved);
        let request = crate::run::RunRequest {
            experiment: resolved.experiment.clone(),
            file: self.day.opened.file.clone(),
            text: self.day.texts.get(number).cloned().unwrap_or_default(),
            seed: resolved.seed,
            runs: self.journal.folder().join(RUNS),
            placebo: false,
        };
        let state = self.day.state.clone();
        experiment::start(number, request, state, orders_in, watcher, self.reports.clone());
        Ok(())
    }

    fn reported(&mut self, at: Timestamp, event: Event) -> Result<(), DriveError> {
        // A reading that was asked for before the watch ended comes too late.
        if matches!(event, Event::Alerts(_)) && self.state.watches().is_none() {
            return Ok(());
        }
        self.event(at, event)
    }

    fn tick(&mut self) -> Result<(), DriveError> {
        let now = Timestamp::now();
        // A run under way looks at the halt itself, and ends as it says.
        if self.orders.is_none()
            && let Some(halt) = halt::read(&self.day.state)
        {
            return self.event(now, Event::Halted { reason: halt.reason });
        }
        self.event(now, Event::Tick)
    }
}

/// Whether a person is needed for anything to happen.
fn awaits_people(state: &State) -> bool {
    state.asked().is_some_and(Asked::is_needed)
}
