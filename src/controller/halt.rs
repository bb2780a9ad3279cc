//! Halting the fleet, and releasing it.

use faultline_agent::node::UndoneStep;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::{ASKED, Command, Object};
use super::{Controller, ControllerError};
use crate::access::{Action, Principal};
use crate::audit::Record;
use crate::experiment::machine::Stop;
use crate::fleet::halt::{FleetHalted, FleetReleased};
use crate::store::runs::Run;
use crate::store::{AuditFilter, Halt, Halted, Refusal};

/// That the fleet is halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HaltView {
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
}

impl From<Halt> for HaltView {
    fn from(halt: Halt) -> Self {
        let Halt { reason, by, since } = halt;
        Self { reason, by, since }
    }
}

/// Whether the fleet is halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HaltState {
    /// The halt that is in force; nothing if none is.
    pub halted: Option<HaltView>,
}

/// What a halt did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HaltAnswer {
    /// The halt that is in force now: the first one's, if the fleet was halted already.
    pub halt: HaltView,
    /// Whether every host that is known to this controller has said that nothing is left.
    pub clean: bool,
    /// Runs that waited and are cancelled.
    pub cancelled: Vec<String>,
    /// Runs under way, which end now.
    pub stopping: Vec<String>,
    /// The faults that were undone, and seen to be.
    pub undone: Vec<FaultOfHost>,
    /// What may still be there, with what a person does about it.
    pub left: Vec<LeftOnHost>,
    /// Hosts that did not answer. They undo by themselves at the end of their leases, and are halted when they come back.
    pub out_of_reach: Vec<OutOfReach>,
    /// From the order to the last answer, in seconds.
    pub took: f64,
}

impl HaltAnswer {
    fn of(store: Halted, fleet: FleetHalted) -> Self {
        let ids = |runs: Vec<Run>| runs.into_iter().map(|run| run.id).collect();
        let (mut undone, mut left) = (Vec::new(), Vec::new());
        let clean = fleet.is_clean();
        for host in fleet.hosts {
            let name = host.host;
            for fault in host.undone {
                if fault.undone.verified {
                    undone.push(FaultOfHost { host: name.clone(), fault: fault.fault });
                } else if !host.left.iter().any(|stuck| stuck.id.to_string() == fault.fault) {
                    let because = UndoneStep::unclean(&fault.undone.steps);
                    left.push(LeftOnHost { host: name.clone(), fault: fault.fault, because, by_hand: Vec::new() });
                }
            }
            for stuck in host.left {
                left.push(LeftOnHost {
                    host: name.clone(),
                    fault: stuck.id.to_string(),
                    because: stuck.fault,
                    by_hand: stuck.by_hand,
                });
            }
        }
        let out_of_reach = fleet.not_reached.into_iter().map(|host| OutOfReach {
            host: host.host,
            because: host.because,
            undoes_within: host.undoes_within.as_secs_f64(),
        });
        Self {
            halt: store.halt.into(),
            clean,
            cancelled: ids(store.cancelled),
            stopping: ids(store.stopping),
            undone,
            left,
            out_of_reach: out_of_reach.collect(),
            took: fleet.took.as_secs_f64(),
        }
    }
}

/// A fault on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FaultOfHost {
    /// The host.
    pub host: String,
    /// The fault's id.
    pub fault: String,
}

/// What may still be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeftOnHost {
    /// The host.
    pub host: String,
    /// The fault's id.
    pub fault: String,
    /// What it is, or what was found of it.
    pub because: String,
    /// The commands with which a person undoes it.
    pub by_hand: Vec<String>,
}

/// A host that did not answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutOfReach {
    /// The host.
    pub host: String,
    /// Why.
    pub because: String,
    /// Within how many seconds it will have undone everything by itself.
    pub undoes_within: f64,
}

/// What a release did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseAnswer {
    /// The halt that was released; nothing if there was none.
    pub released: Option<HaltView>,
    /// Hosts that are halted all the same, by somebody on the host.
    pub still_halted: Vec<StillHalted>,
    /// Hosts that did not answer. They are released when they come back.
    pub out_of_reach: Vec<NotReleased>,
}

/// A host that somebody on the host keeps halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StillHalted {
    /// The host.
    pub host: String,
    /// Why.
    pub reason: String,
}

/// A host that did not answer a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotReleased {
    /// The host.
    pub host: String,
    /// Why.
    pub because: String,
}

impl Controller {
    /// Refuses while the fleet is halted. Asked before hosts are chosen: those of a halted fleet cannot be had either, and
    /// it would only be told that they are not healthy. The store asks again in the transaction that decides.
    ///
    /// # Errors
    /// [`Refusal::Halted`], or the store's.
    pub(super) async fn not_halted(&self) -> Result<(), ControllerError> {
        match self.store.halted().await? {
            Some(halt) => Err(Refusal::Halted(halt).into()),
            None => Ok(()),
        }
    }

    /// Whether the fleet is halted.
    ///
    /// # Errors
    /// If `who` may not, or by the store.
    pub async fn halt_state(&self, who: &Principal) -> Result<HaltState, ControllerError> {
        self.admit(who, Action::See).await?;
        Ok(HaltState { halted: self.store.halted().await?.map(HaltView::from) })
    }

    /// Halts the fleet: nothing new starts, everything that waits is cancelled, everything in place is undone. The
    /// agents connected here are told at once; those of other controllers by these.
    ///
    /// The hosts are told even when the store is out of reach.
    ///
    /// # Errors
    /// If `who` may not, or by the store; then what the hosts said is in the log.
    pub async fn halt(&self, who: &Principal, reason: &str) -> Result<HaltAnswer, ControllerError> {
        let object = Object::fleet("fleet");
        self.authorise(who, Action::Halt, &object).await?;
        let _ordered = self.registry.order_halt();
        // The hosts come first: a store that is slow or gone must not keep faults in place.
        self.running.stop_all(&Stop::Halted(format!("{reason} (by {})", who.name)));
        let told = format!("{reason} (by {})", who.name);
        let fleet = crate::fleet::halt::halt(&self.registry, &told, self.settings.halt_patience);
        let command = Command::new(Action::Halt, object).with("reason", reason);
        let stored =
            self.command(who, command, async { Ok(self.store.halt(reason, &who.name, self.now().await?).await?) });
        let (fleet, stored) = tokio::join!(fleet, stored);
        match stored {
            Ok(stored) => Ok(HaltAnswer::of(stored, fleet)),
            Err(error) => {
                tracing::error!(%error, ?fleet, "the hosts were halted, and that could not be kept");
                Err(error)
            }
        }
    }

    /// Who released the fleet last, and when: nothing if nobody has. One that was refused is none.
    ///
    /// # Errors
    /// By the store.
    pub async fn last_release(&self) -> Result<Option<Record>, ControllerError> {
        let (action, outcome) = (Some(Action::ReleaseHalt.as_str().to_owned()), Some(ASKED.to_owned()));
        let filter = AuditFilter { action, outcome, ..AuditFilter::default() };
        Ok(self.store.audit(&filter, 1).await?.pop())
    }

    /// Releases the halt. What was cancelled stays cancelled; what somebody halted on a host itself stays halted.
    ///
    /// # Errors
    /// If `who` may not, or by the store.
    pub async fn release(&self, who: &Principal) -> Result<ReleaseAnswer, ControllerError> {
        let command = Command::new(Action::ReleaseHalt, Object::fleet("fleet"));
        self.command(who, command, async {
            let released = self.store.release_halt().await?;
            let FleetReleased { still_halted, not_reached } =
                crate::fleet::halt::release(&self.registry, self.settings.halt_patience).await;
            let still = |(host, halt): (String, faultline_agent::halt::Halt)| StillHalted { host, reason: halt.reason };
            Ok(ReleaseAnswer {
                released: released.map(HaltView::from),
                still_halted: still_halted.into_iter().map(still).collect(),
                out_of_reach: not_reached.into_iter().map(|(host, because)| NotReleased { host, because }).collect(),
            })
        })
        .await
    }
}
