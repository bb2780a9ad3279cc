//! Halting the whole fleet: everything on every host is undone at once, and nothing is injected until released.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faultline_agent::halt::Halt;
use faultline_agent::lease::LEASE;
use faultline_agent::node::{StuckFault, Undone};
use faultline_agent::session::wire::answer::Outcome;
use faultline_agent::session::wire::request::Kind;
use faultline_agent::session::wire::{HaltOrder, ReleaseOrder, UndoneAlone};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::registry::Registry;

/// What a halt of the fleet did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetHalted {
    /// The hosts that answered, by name.
    pub hosts: Vec<HostHalted>,
    /// Those that did not.
    pub not_reached: Vec<NotReached>,
    /// From the order to the last answer.
    pub took: Duration,
}

/// A host that obeyed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostHalted {
    /// Its name.
    pub host: String,
    /// The faults that were in place, each with what became of it.
    pub undone: Vec<FaultHalted>,
    /// What is stuck there.
    pub left: Vec<StuckFault>,
}

/// A fault that was in place when its host was halted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultHalted {
    /// Its id.
    pub fault: String,
    /// What was found and done.
    pub undone: Undone,
}

/// A host that did not answer. It undoes by itself at the end of its lease, and is told to halt when it comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotReached {
    /// Its name.
    pub host: String,
    /// Why.
    pub because: String,
    /// Within which time it will have undone everything by itself.
    pub undoes_within: Duration,
}

impl FleetHalted {
    /// Whether every host that is known has said that nothing is left.
    pub fn is_clean(&self) -> bool {
        self.not_reached.is_empty()
            && self
                .hosts
                .iter()
                .all(|host| host.left.is_empty() && host.undone.iter().all(|fault| fault.undone.verified))
    }
}

/// Halts every host at once, and waits for their answers for so long. From the first moment on nothing is injected over
/// this registry, and hosts that join are halted too.
pub async fn halt(registry: &Arc<Registry>, reason: &str, within: Duration) -> FleetHalted {
    let began = Instant::now();
    registry.set_halted(Some(reason.to_owned()));
    let order =
        Kind::Halt(HaltOrder { reason: reason.to_owned(), answer_after_ms: answer_after(registry.connected()) });
    let mut halted = FleetHalted { hosts: Vec::new(), not_reached: Vec::new(), took: Duration::ZERO };
    for (host, answer) in ask_all(registry, &order, within, obeyed).await {
        match answer {
            // Its answer came with its status.
            Ok(undone) => halted.hosts.push(HostHalted { left: registry.stuck(&host), host, undone }),
            Err(because) => {
                let silent = registry.silent_for(&host).unwrap_or_default();
                halted.not_reached.push(NotReached { host, because, undoes_within: LEASE.saturating_sub(silent) });
            }
        }
    }
    halted.took = began.elapsed();
    halted
}

/// By when the orders to so many hosts have gone out, in milliseconds: until then no host answers, so that its answer keeps
/// nobody's order waiting. Of a few hosts nobody waits.
fn answer_after(hosts: usize) -> u32 {
    /// What an order costs the controller, in microseconds.
    const ORDER: usize = 40;
    u32::try_from(hosts * ORDER / 1_000).unwrap_or(u32::MAX)
}

/// So many hosts are asked by one task: enough that tasks cost little, few enough that every processor has its part.
const TOGETHER: usize = 32;

/// Asks every host that is known the same, all at once: what they answered, by name.
async fn ask_all<T: Send + 'static>(
    registry: &Registry,
    kind: &Kind,
    within: Duration,
    read: fn(Outcome) -> Result<T, String>,
) -> BTreeMap<String, Result<T, String>> {
    let (lines, gone) = registry.lines();
    let mut asking = JoinSet::new();
    for some in lines.chunks(TOGETHER) {
        let (some, kind) = (some.to_vec(), kind.clone());
        asking.spawn(async move {
            // All of them before the first answer is waited for.
            let asked: Vec<_> = some.iter().map(|(_, line)| line.send(kind.clone(), within)).collect();
            let mut answers = Vec::with_capacity(some.len());
            for ((host, _), asked) in some.iter().zip(asked) {
                let answer = async { asked?.answer().await }.await;
                let answer = answer.map_err(|error| error.to_string()).and_then(read);
                answers.push((host.clone(), answer));
            }
            answers
        });
    }
    let gone = gone.into_iter().map(|host| (host, Err("it is not connected".to_owned())));
    asking.join_all().await.into_iter().flatten().chain(gone).collect()
}

const SOMETHING_ELSE: &str = "it answers something else than was asked";

fn not_understood(error: &serde_json::Error) -> String {
    format!("its answer cannot be understood: {error}")
}

fn obeyed(outcome: Outcome) -> Result<Vec<FaultHalted>, String> {
    match outcome {
        Outcome::Halted(halted) => {
            let undone = halted.faults.into_iter().map(|UndoneAlone { fault, undone, .. }| {
                let undone = serde_json::from_str(&undone).map_err(|error| not_understood(&error))?;
                Ok(FaultHalted { fault, undone })
            });
            undone.collect()
        }
        Outcome::Refused(reason) => Err(reason),
        _ => Err(SOMETHING_ELSE.into()),
    }
}

/// What a release of the fleet did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetReleased {
    /// Hosts that are halted all the same, by somebody on the host, with that halt.
    pub still_halted: Vec<(String, Halt)>,
    /// Hosts that did not answer, and why. They are released when they come back.
    pub not_reached: Vec<(String, String)>,
}

/// Takes the halt of the fleet back. What somebody set on a host itself stays.
pub async fn release(registry: &Arc<Registry>, within: Duration) -> FleetReleased {
    registry.set_halted(None);
    let mut released = FleetReleased::default();
    let left = |outcome| match outcome {
        Outcome::Released(text) => serde_json::from_str::<Option<Halt>>(&text).map_err(|error| not_understood(&error)),
        Outcome::Refused(reason) => Err(reason),
        _ => Err(SOMETHING_ELSE.into()),
    };
    for (host, left) in ask_all(registry, &Kind::Release(ReleaseOrder {}), within, left).await {
        match left {
            Ok(Some(halt)) => released.still_halted.push((host, halt)),
            Ok(None) => {}
            Err(because) => released.not_reached.push((host, because)),
        }
    }
    released
}
