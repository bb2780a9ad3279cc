//! From the queue to the verdict: claims runs, drives each on its hosts, and closes those whose driver is gone.
//!
//! Invariants:
//! - **Nothing runs twice.** A run is driven by whoever claimed it, under the epoch of that claim; a journal is never begun
//!   a second time.
//! - **A run is driven by who reaches its hosts**, where there is such a controller ([`reach`]).
//! - **Nothing is injected that could not be found again.** What decides a run is in the store before the next agent is
//!   asked ([`keep`]); if it cannot be kept, the run ends.
//! - **Every run ends.** A run of a controller that was restarted, killed or cut off is closed: undone by its agents, and
//!   judged as what its journal shows.
//! - **Whoever lost a run stops.** When its lease cannot be renewed, or another controller has it, the driver undoes and
//!   writes no more.

mod closing;
mod driving;
mod keep;
mod newcomers;
mod reach;
mod running;
#[cfg(test)]
mod tests;

pub use running::Running;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::experiment::machine::Stop;
use crate::fleet::Agent;
use crate::fleet::registry::FleetEvent;
use crate::run::journal::Entry;
use crate::store::runs::{Reach, Run};
use crate::store::{Refusal, Store, StoreError};
use crate::targets::fleet_plan::Fleet;
use crate::targets::hosts::HostFacts;
use reach::{OutOfReach, Turn};

/// For how long a controller has a run without renewing it: the time after which another may take it over.
pub const LEASE: Duration = Duration::from_secs(10);
/// How often leases are renewed, and orphans looked for.
const RENEW: Duration = Duration::from_secs(2);
/// How often the queue is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often it is looked who reaches the hosts of runs that this controller does not.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// For how long the store may be out of reach before runs are ended: well before another controller takes them over.
const PATIENCE: Duration = Duration::from_secs(6);
/// How many runs one controller drives at once.
const MOST_RUNS: usize = 64;
/// How long a controller that stops waits for its runs.
const LAST_WORDS: Duration = Duration::from_secs(90);

/// The hosts of the fleet, by name. A host that is not connected has an agent all the same: it answers when the host is
/// back, or that it was not reached.
pub trait Hosts: Send + Sync {
    /// The agent of a host.
    fn agent(&self, host: &str) -> Arc<dyn Agent>;
    /// Whether it is connected to this controller now.
    fn is_connected(&self, host: &str) -> bool;

    /// The fleet as it is now, and what runs other than this one hold of it.
    fn fleet(&self, except: &str) -> FleetAsked<'_>;

    /// A host as it is now, if it is known here.
    fn facts(&self, host: &str) -> Option<HostFacts>;

    /// What happens to hosts from now on.
    fn events(&self) -> broadcast::Receiver<FleetEvent>;
}

/// The fleet at the moment of the answer, or why that cannot be told.
pub type FleetAsked<'a> = Pin<Box<dyn Future<Output = Result<Fleet, String>> + Send + 'a>>;

/// Who hears what happens in runs: notifications, metrics, whoever follows.
pub trait Listener: Send + Sync {
    /// An entry of a run's journal other than a sample.
    fn entry(&self, run: &Run, entry: &Entry);
    /// A run has its verdict, or was cancelled.
    fn over(&self, run: &Run);
}

/// Claims and drives runs for one controller.
pub struct Dispatcher {
    store: Store,
    hosts: Arc<dyn Hosts>,
    listener: Arc<dyn Listener>,
    /// Where the folders of runs are.
    folder: PathBuf,
    /// This controller's id, the same after a restart.
    controller: String,
    running: Running,
    /// Queued runs whose hosts are not all connected here.
    queued: Mutex<OutOfReach>,
    /// Such runs whose controller is gone.
    orphaned: Mutex<OutOfReach>,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Dispatcher").field("controller", &self.controller).finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// A dispatcher that has nothing to do with any run yet; whoever has `running` can stop those under way.
    pub fn new(
        store: Store,
        hosts: Arc<dyn Hosts>,
        listener: Arc<dyn Listener>,
        folder: PathBuf,
        controller: String,
        running: Running,
    ) -> Arc<Self> {
        let tasks = TaskTracker::new();
        let (queued, orphaned) = (Mutex::default(), Mutex::default());
        Arc::new(Self { store, hosts, listener, folder, controller, running, queued, orphaned, tasks })
    }

    /// The runs that are under way here, to be stopped by others.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Works until the stop; then ends all runs of this controller, undone, and waits for that.
    pub async fn work(self: Arc<Self>, stop: CancellationToken) {
        self.take_up_again().await;
        let mut renewed = Instant::now();
        let (mut next_renewal, mut next_look_around) = (Instant::now(), Instant::now());
        while !stop.is_cancelled() {
            if Instant::now() >= next_renewal {
                next_renewal = Instant::now() + RENEW;
                match self.renew().await {
                    Ok(()) => renewed = Instant::now(),
                    Err(error) => tracing::warn!(%error, "the leases of runs could not be renewed"),
                }
                if renewed.elapsed() > PATIENCE {
                    self.running.stop_all(&Stop::Broken(format!(
                        "the store was out of reach for {} s: another controller may have taken this run over",
                        renewed.elapsed().as_secs()
                    )));
                }
                self.adopt_orphans().await;
            }
            let out_of_reach = self.claim().await;
            if Instant::now() >= next_look_around {
                next_look_around = Instant::now() + LOOK_AROUND;
                self.look_around(&out_of_reach).await;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        self.end().await;
    }

    /// Runs that this controller had when it was stopped or killed.
    async fn take_up_again(self: &Arc<Self>) {
        let again = async { self.store.reclaim(&self.controller, LEASE, self.store.now().await?).await };
        match again.await {
            Ok(runs) => {
                for run in runs {
                    tracing::warn!(run = %run.id, "taken up again after a restart of this controller");
                    self.close(run, "the controller was restarted while the run was under way");
                }
            }
            // They are orphans once their leases have run out, and found as such.
            Err(error) => tracing::error!(%error, "the runs from before the restart could not be taken up"),
        }
    }

    /// Renews the leases of this controller's runs; tells those that are to stop.
    async fn renew(&self) -> Result<(), StoreError> {
        let leases = self.store.renew_runs(&self.controller, LEASE, self.store.now().await?).await?;
        for (run, epoch) in self.running.all() {
            match leases.iter().find(|lease| lease.run == run) {
                Some(lease) if lease.epoch == epoch => {
                    if let Some(because) = &lease.stop_requested {
                        self.running.stop(&run, Stop::Halted(because.clone()));
                    }
                }
                _ => {
                    self.running.stop(&run, Stop::Broken("another controller has taken this run over".into()));
                }
            }
        }
        Ok(())
    }

    /// Takes over runs whose controller is gone, and closes them.
    async fn adopt_orphans(self: &Arc<Self>) {
        let orphans = async { self.store.orphaned(self.store.now().await?).await };
        let Ok(orphans) = orphans.await else { return };
        locked(&self.orphaned).retain(|run| orphans.iter().any(|orphan| orphan.id == run));
        for orphan in orphans.into_iter().filter(|orphan| !self.running.has(&orphan.id)) {
            let turn = async {
                let hosts = self.store.run_document(&orphan.id).await?.hosts;
                self.turn_with(&self.orphaned, &orphan.id, &hosts).await
            };
            match turn.await {
                Ok(Turn::Mine) => {}
                Ok(Turn::Theirs | Turn::Nobodys) => continue,
                Err(error) => {
                    tracing::warn!(run = %orphan.id, %error, "it is not known who reaches its hosts");
                    continue;
                }
            }
            let from = orphan.controller.clone().unwrap_or_default();
            let taken = async { self.store.take_over(&orphan, &self.controller, LEASE, self.store.now().await?).await };
            match taken.await {
                Ok(Some(run)) => {
                    tracing::warn!(run = %run.id, from, "taken over from a controller that is gone");
                    self.close(run, &format!("controller {from}, which drove the run, is gone"));
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(run = %orphan.id, %error, "could not be taken over"),
            }
        }
    }

    /// Whose turn it is with a run, by the rule in [`reach`].
    async fn turn_with(&self, among: &Mutex<OutOfReach>, run: &str, hosts: &[String]) -> Result<Turn, StoreError> {
        let here = hosts.iter().filter(|host| self.hosts.is_connected(host)).count();
        if here == hosts.len() {
            return Ok(Turn::Mine);
        }
        let reached = self.store.reach_of_run(run, self.store.now().await?).await?;
        let others = reached.into_iter().filter(|(controller, _)| *controller != self.controller);
        let elsewhere = others.map(|(_, count)| count).max().unwrap_or(0);
        Ok(locked(among).look(run, hosts.len(), here, elsewhere))
    }

    /// Decides about queued runs whose hosts are not all connected here.
    async fn look_around(&self, queued: &[(String, Vec<String>)]) {
        locked(&self.queued).retain(|run| queued.iter().any(|(id, _)| id == run));
        for (run, hosts) in queued {
            match self.turn_with(&self.queued, run, hosts).await {
                Ok(Turn::Mine) => {
                    tracing::warn!(run, "taken from the queue, though not all of its hosts are connected");
                }
                Ok(Turn::Theirs | Turn::Nobodys) => {}
                Err(error) => tracing::warn!(run, %error, "it is not known who reaches its hosts"),
            }
        }
    }

    /// Claims what may start now, and drops what waited too long. Answers what could start, but for hosts that are not
    /// connected here.
    async fn claim(self: &Arc<Self>) -> Vec<(String, Vec<String>)> {
        let expired = async { self.store.expire_runs(self.store.now().await?).await };
        match expired.await {
            Ok(expired) => expired.iter().for_each(|run| self.listener.over(run)),
            Err(error) => tracing::warn!(%error, "runs that waited too long could not be looked for"),
        }
        let all_the_same = locked(&self.queued).taken();
        let connected = |host: &str| self.hosts.is_connected(host);
        let reach = Reach { host: &connected, all_the_same: &all_the_same };
        while self.running.len() < MOST_RUNS {
            let claimed =
                async { self.store.claim_within(&self.controller, reach, LEASE, self.store.now().await?).await };
            match claimed.await {
                Ok(claim) => match claim.run {
                    Some(run) => self.drive(run),
                    None => return claim.out_of_reach,
                },
                Err(error) if matches!(error.refusal(), Some(Refusal::Halted(_))) => return Vec::new(),
                Err(error) => {
                    tracing::warn!(%error, "the queue could not be looked at");
                    return Vec::new();
                }
            }
        }
        Vec::new()
    }

    /// Ends everything under way here.
    async fn end(&self) {
        self.running.stop_all(&Stop::Broken("the controller was told to stop".into()));
        self.tasks.close();
        let all = async {
            tokio::pin!(let waiting = self.tasks.wait(););
            loop {
                tokio::select! {
                    () = &mut waiting => return,
                    () = tokio::time::sleep(RENEW) => {
                        if let Err(error) = self.renew().await {
                            tracing::warn!(%error, "the leases of runs could not be renewed");
                        }
                    }
                }
            }
        };
        if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
            tracing::error!("some runs did not end in time; the next start closes them");
        }
    }
}

fn locked(runs: &Mutex<OutOfReach>) -> MutexGuard<'_, OutOfReach> {
    runs.lock().unwrap_or_else(PoisonError::into_inner)
}
