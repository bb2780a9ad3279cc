//! A host that is played: it does to itself what is asked, in simulated time, and remembers everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use faultline::fleet::{FaultRequest, Injected, NotInjected, NotPlanned, Planned, ReadRequest, Undone, UndoneStep};
use faultline_agent::halt::{Halt, HaltScope};
use faultline_agent::identity::FaultId;
use faultline_agent::lease::BootTime;
use faultline_agent::node::{ActiveFault, MustStop, NodeStatus};
use faultline_agent::plan::{Bite, Evidence, Plan};
use faultline_agent::session::{Answer, BY_THE_CONTROLLER, Clock, Host};
use faultline_agent::signals::HostReading;
use tokio::time::Instant;

/// A clock that runs with the runtime's, which may be a simulated one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlayedClock(Instant);

impl PlayedClock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for PlayedClock {
    fn now(&self) -> BootTime {
        // No host's clock begins at zero.
        BootTime::MIN.after(Duration::from_secs(1000) + self.0.elapsed())
    }
}

#[derive(Debug, Default)]
pub(crate) struct Played {
    /// What is in place, and since when.
    pub(crate) in_place: BTreeMap<FaultId, Instant>,
    /// Every step that was really taken, in order.
    pub(crate) log: Vec<(Instant, String)>,
    pub(crate) over: BTreeSet<FaultId>,
    pub(crate) halted: Option<String>,
    pub(crate) guard_lost: bool,
    /// How long an injection takes, in two halves: before anything is done, and after.
    pub(crate) injection_takes: Duration,
    pub(crate) undo_takes: Duration,
    /// These cannot be undone.
    pub(crate) stubborn: BTreeSet<FaultId>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct PlayedHost(Arc<Mutex<Played>>);

impl PlayedHost {
    pub(crate) fn state(&self) -> MutexGuard<'_, Played> {
        self.0.lock().unwrap()
    }

    pub(crate) fn holds(&self, fault: &FaultId) -> bool {
        self.state().in_place.contains_key(fault)
    }

    /// How often a fault was really put in place.
    pub(crate) fn injections(&self, fault: &FaultId) -> usize {
        let word = format!("inject {fault}");
        self.state().log.iter().filter(|(_, step)| *step == word).count()
    }
}

/// What takes no time sets no timer.
async fn takes(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn plan(request: &FaultRequest) -> Plan {
    Plan {
        id: request.id.clone(),
        fault: request.fault.name().into(),
        targets: vec!["a process".into()],
        dose: Vec::new(),
        steps: Vec::new(),
        notes: Vec::new(),
    }
}

impl Host for PlayedHost {
    fn plan(&self, request: FaultRequest) -> Answer<Result<Planned, NotPlanned>> {
        Box::pin(async move { Ok(Planned { plan: plan(&request), targets: vec!["a process".into()], refused: None }) })
    }

    fn inject(&self, request: FaultRequest) -> Answer<Result<Injected, NotInjected>> {
        let host = self.clone();
        Box::pin(async move {
            let half = host.state().injection_takes / 2;
            takes(half).await;
            {
                let mut state = host.state();
                if let Some(reason) = &state.halted {
                    return Err(NotInjected::nothing(format!("this host is halted: {reason}")));
                }
                if !state.in_place.contains_key(&request.id) {
                    if state.over.contains(&request.id) {
                        return Err(NotInjected::nothing("it is over".into()));
                    }
                    state.in_place.insert(request.id.clone(), Instant::now());
                    state.log.push((Instant::now(), format!("inject {}", request.id)));
                }
            }
            takes(half).await;
            Ok(Injected { plan: plan(&request), took: half * 2 })
        })
    }

    fn evidence(&self, fault: FaultId) -> Answer<Result<Evidence, String>> {
        let there = self.holds(&fault);
        Box::pin(
            async move { if there { Ok(Evidence::new(Bite::Yes, Vec::new())) } else { Err("it is not there".into()) } },
        )
    }

    fn undo(&self, fault: FaultId) -> Answer<Undone> {
        let host = self.clone();
        Box::pin(async move {
            let took = host.state().undo_takes;
            takes(took).await;
            let mut state = host.state();
            if state.stubborn.contains(&fault) && state.in_place.contains_key(&fault) {
                let step = UndoneStep { step: "undo".into(), outcome: "it will not go".into(), clean: false };
                return Undone { steps: vec![step], verified: false, took };
            }
            let mut steps = Vec::new();
            if state.in_place.remove(&fault).is_some() {
                state.log.push((Instant::now(), format!("undo {fault}")));
                steps.push(UndoneStep { step: "undo".into(), outcome: "undone".into(), clean: true });
            }
            state.over.insert(fault);
            Undone { steps, verified: true, took }
        })
    }

    fn read(&self, _: ReadRequest) -> Answer<Result<HostReading, String>> {
        Box::pin(async { Ok(HostReading { cpu: Some(0.5), ..HostReading::default() }) })
    }

    fn halt(&self, reason: String) -> Answer<Result<(), String>> {
        self.state().halted = Some(format!("{BY_THE_CONTROLLER}{reason}"));
        Box::pin(async { Ok(()) })
    }

    fn release(&self) -> Answer<Result<Option<Halt>, String>> {
        let mut state = self.state();
        if state.halted.as_ref().is_some_and(|reason| reason.starts_with(BY_THE_CONTROLLER)) {
            state.halted = None;
        }
        let left = state.halted.clone().map(halt);
        Box::pin(async { Ok(left) })
    }

    fn status(&self) -> Answer<NodeStatus> {
        let must_stop = self.must_stop();
        let active = |id: &FaultId| ActiveFault {
            id: id.clone(),
            fault: "process-pause".into(),
            targets: vec!["a process".into()],
            left_ms: 1,
        };
        let in_place: Vec<_> = self.state().in_place.keys().map(active).collect();
        let status = NodeStatus { on_record: Some(in_place.len()), active: in_place, stuck: Vec::new(), must_stop };
        Box::pin(async { status })
    }

    fn must_stop(&self) -> Option<MustStop> {
        let state = self.state();
        let halted = state.halted.clone().map(|reason| MustStop::Halted(halt(reason)));
        halted.or(state.guard_lost.then_some(MustStop::GuardLost))
    }

    fn heartbeat(&self) {}
}

fn halt(reason: String) -> Halt {
    Halt { reason, user: Some(0), time: String::new(), scope: HaltScope::Folder, elsewhere: Vec::new() }
}

/// A fault that is asked for.
pub(crate) fn request(number: u64, lasts: Duration) -> FaultRequest {
    let fault = serde_json::from_str(r#"{"process-pause": {"by": "signal"}}"#).unwrap();
    FaultRequest {
        id: FaultId::from_number(number),
        run: "run".into(),
        fault,
        target_name: "host".into(),
        target: None,
        lasts: lasts.into(),
        seed: 1,
        placebo: false,
    }
}
