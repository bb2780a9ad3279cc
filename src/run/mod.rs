//! A run: carrying out what the state machine decides, and the journal in which every event is kept.
//!
//! Each run has a thread of its own. With private services that thread moves into a network namespace first, and
//! everything that the run starts from there (services, signals, the agent, its guard) is inside as well.

pub mod close;
mod drive;
pub mod folder;
pub mod journal;
pub mod left;
pub mod record;
pub mod stop;

use std::path::PathBuf;
use std::sync::Arc;

use faultline_agent::identity::NetworkNamespace;
use faultline_agent::kernel::{KernelError, namespace};
use faultline_agent::state::StateFolder;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::experiment::document::Experiment;
use crate::experiment::machine::Stop;
use crate::fleet::Agent;
use crate::hypothesis::verdict::RunVerdict;
use folder::{FolderError, JournalWriter, RunFolder};
use journal::Entry;
use record::{Keeper, Record, Watcher};
use stop::{StopOrders, StopSignals};

/// What is to be run.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The experiment, checked.
    pub experiment: Experiment,
    /// The file that it came from.
    pub file: String,
    /// The document as read.
    pub text: String,
    /// The seed of everything left to chance.
    pub seed: u64,
    /// Where the run's folder is made.
    pub runs: PathBuf,
    /// Whether everything is done but the faults' own steps, so that nothing is injected.
    pub placebo: bool,
}

/// How a run went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its id.
    pub run: String,
    /// Its folder.
    pub folder: RunFolder,
    /// Its verdict.
    pub verdict: RunVerdict,
    /// Why, in one sentence.
    pub because: String,
    /// Everything that happened.
    pub entries: Vec<Entry>,
}

/// A run that could not even begin. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run's folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The private network.
    #[error("cannot give the run a private network: {0}")]
    Network(#[source] KernelError),
    /// The threads of the run.
    #[error("cannot start the threads of the run: {0}")]
    Threads(#[source] std::io::Error),
    /// The run's own thread panicked; its guard undoes what was injected.
    #[error("the run broke down; its guard undoes what was injected (`faultline list` shows what is left)")]
    Panicked,
}

impl RunError {
    /// The way on.
    pub fn hint(&self) -> String {
        match self {
            Self::Folder(error) => error.hint().into(),
            Self::Network(error) => error.hint.clone().unwrap_or_else(|| {
                "a private network needs root, or user namespaces; with `network: host` the services share this host's".into()
            }),
            Self::Threads(_) => "the host has too little memory or too many threads".into(),
            Self::Panicked => "this is a defect of Faultline: please report it with the run's journal".into(),
        }
    }
}

/// Where the faults of a run act.
#[derive(Debug)]
pub enum Placement {
    /// On this host, by an agent in this process that keeps its files there, in this network.
    Here(StateFolder, NetworkNamespace),
    /// On hosts of a fleet.
    Fleet(FleetGround),
}

/// Where a run on a fleet acts.
#[derive(Debug)]
pub struct FleetGround {
    /// For each injection of the method, in the order of the document, the agents of the plan's hosts.
    pub agents: Vec<Vec<Arc<dyn Agent>>>,
    /// What is different since the plan was made, one sentence each.
    pub differences: Vec<String>,
    /// Why the plan cannot be carried out any more, if it cannot: the run ends before anything is touched.
    pub refused: Option<String>,
    /// Hosts that join while the run goes on.
    pub newcomers: UnboundedReceiver<Newcomer>,
}

/// A host that can be had and that a target of a run means, and that was not there when the run's hosts were chosen. It
/// is told of, and left in peace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newcomer {
    /// Its name.
    pub host: String,
    /// The targets that mean it.
    pub targets: Vec<String>,
}

/// A run on a fleet.
pub struct FleetRun {
    /// Its id.
    pub run: String,
    /// Where it acts.
    pub ground: FleetGround,
    /// Whoever may end it.
    pub orders: UnboundedReceiver<Stop>,
    /// Who keeps a copy of what decides it.
    pub keeper: Option<Box<dyn Keeper>>,
}

impl std::fmt::Debug for FleetRun {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FleetRun").field("run", &self.run).field("ground", &self.ground).finish_non_exhaustive()
    }
}

/// Runs an experiment on this host to its verdict. Signals to this process end it.
///
/// # Errors
/// [`RunError`] if it could not begin.
pub fn execute(request: &RunRequest, state: &StateFolder, watcher: &mut dyn Watcher) -> Result<Outcome, RunError> {
    in_a_thread(request, new_run_id(), Where::Here(state.clone(), None), watcher)
}

/// The same; what holds the run within this process may end it too.
///
/// # Errors
/// [`RunError`] if it could not begin.
pub fn execute_with_orders(
    request: &RunRequest,
    state: &StateFolder,
    orders: UnboundedReceiver<Stop>,
    watcher: &mut dyn Watcher,
) -> Result<Outcome, RunError> {
    in_a_thread(request, new_run_id(), Where::Here(state.clone(), Some(orders)), watcher)
}

/// Runs an experiment on a fleet to its verdict.
///
/// # Errors
/// [`RunError`] if it could not begin.
pub fn execute_on_fleet(request: &RunRequest, fleet: FleetRun, watcher: &mut dyn Watcher) -> Result<Outcome, RunError> {
    in_a_thread(request, fleet.run.clone(), Where::OnFleet(fleet), watcher)
}

/// Where a run acts, before its network is made.
enum Where {
    Here(StateFolder, Option<UnboundedReceiver<Stop>>),
    OnFleet(FleetRun),
}

fn in_a_thread(
    request: &RunRequest,
    run: String,
    place: Where,
    watcher: &mut dyn Watcher,
) -> Result<Outcome, RunError> {
    let folder = RunFolder::create(&request.runs, &run, &request.text)?;
    faultline_agent::crash_point!("run/folder/made");
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("run".into())
            .spawn_scoped(scope, || in_its_thread(request, run, folder, place, watcher))
            .map_err(RunError::Threads)?;
        thread.join().unwrap_or(Err(RunError::Panicked))
    })
}

fn in_its_thread(
    request: &RunRequest,
    run: String,
    folder: RunFolder,
    place: Where,
    watcher: &mut dyn Watcher,
) -> Result<Outcome, RunError> {
    let namespace = if matches!(place, Where::Here(..)) && request.experiment.spec.has_private_network() {
        namespace::enter_private().map_err(RunError::Network)?
    } else {
        NetworkNamespace::Own
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(RunError::Threads)?;
    // Before anything is written or started: from here on no signal ends the process half-way.
    let (placement, stops, keeper) = match place {
        Where::OnFleet(fleet) => (Placement::Fleet(fleet.ground), StopOrders::Controller(fleet.orders), fleet.keeper),
        Where::Here(state, orders) => {
            let _inside = runtime.enter();
            let signals = StopSignals::listen().map_err(RunError::Threads)?;
            let stops = match orders {
                Some(orders) => StopOrders::Either(signals, orders),
                None => StopOrders::Signals(signals),
            };
            (Placement::Here(state, namespace), stops, None)
        }
    };
    let mut record = Record::new(JournalWriter::create(&folder)?, watcher).kept_by(keeper);
    let (verdict, because) = runtime.block_on(drive::drive(request, &run, &folder, placement, &mut record, stops));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    Ok(Outcome { run, folder, verdict, because, entries: record.into_entries() })
}

/// `20261121T074455-3fa9c1`: sorts by time, and two runs of one second do not meet.
pub fn new_run_id() -> String {
    let now = jiff::Zoned::now();
    format!("{}-{:06x}", now.strftime("%Y%m%dT%H%M%S"), crate::targets::draw_seed() & 0xff_ffff)
}

#[cfg(test)]
mod tests {
    #[test]
    fn run_ids_differ_and_are_file_names() {
        let (first, second) = (super::new_run_id(), super::new_run_id());
        assert_ne!(first, second);
        assert_eq!(first.len(), "20261121T074455-3fa9c1".len());
        assert!(first.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    }
}
