//! The agent of another host, over its session.
//!
//! Invariants:
//! - nothing is called undone and verified but by the agent's own word;
//! - an injection of which nothing is known any more is undone before that is said;
//! - an injection is asked of one process of the agent alone: another knows nothing of what that one did;
//! - whatever is asked while the host is out of reach waits for it, within its patience, and is asked again.

use std::sync::Arc;
use std::time::Duration;

use faultline_agent::identity::FaultId;
use faultline_agent::lease::LEASE;
use faultline_agent::plan::Evidence;
use faultline_agent::session::wire::answer::Outcome;
use faultline_agent::session::wire::request::Kind;
use faultline_agent::session::wire::{Ask, FaultName};
use faultline_agent::signals::HostReading;
use rand::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::registry::{NoAnswer, Registry};
use super::{
    Agent, Answer, FaultRequest, Injected, MustStop, NotInjected, NotPlanned, Planned, Presence, ReadRequest, Undone,
    UndoneAlone, UndoneStep,
};
use crate::targets::hosts::HostLife;

/// How long a question waits for its host and for the answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long an injection does: a fill at a limited speed takes its time.
const INJECTION: Duration = Duration::from_secs(60);
/// How long an undo does: the host undoes alone at the end of its lease, and has time after that to come back and say so.
const UNDO: Duration = LEASE.saturating_add(Duration::from_secs(60));

/// The agent of one host of the registry.
#[derive(Debug, Clone)]
pub struct RemoteAgent {
    registry: Arc<Registry>,
    host: String,
}

impl RemoteAgent {
    /// The agent of that host, connected or not.
    pub fn new(registry: Arc<Registry>, host: impl Into<String>) -> Self {
        Self { registry, host: host.into() }
    }

    /// Asks until there is an answer or the time is over. What is asked must do no harm when asked twice.
    async fn ask(&self, kind: Kind, patience: Duration) -> Result<Outcome, String> {
        self.ask_of(None, kind, patience).await
    }

    /// The same, of nobody but this process of the agent.
    async fn ask_of(&self, life: Option<&HostLife>, kind: Kind, patience: Duration) -> Result<Outcome, String> {
        let deadline = Instant::now() + patience;
        loop {
            let line = tokio::time::timeout_at(deadline, self.registry.line_soon(&self.host)).await;
            let Ok(line) = line else { return Err(self.out_of_reach(patience)) };
            if life.is_some_and(|life| *life != line.life) {
                return Err(format!("{}: its agent was started anew before there was an answer", self.host));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match line.ask(kind.clone(), left).await {
                Ok(outcome) => return Ok(outcome),
                // It is asked again over the next line; a moment, since a line that has ended may still stand there.
                Err(NoAnswer::Lost) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => return Err(format!("{}: {error}", self.host)),
            }
        }
    }

    fn out_of_reach(&self, patience: Duration) -> String {
        match self.registry.silent_for(&self.host) {
            Some(silent) => format!(
                "{} is out of reach: last heard {} s ago, waited for {} s (it undoes everything by itself {} s after it \
                 last heard of this controller)",
                self.host,
                silent.as_secs(),
                patience.as_secs(),
                LEASE.as_secs()
            ),
            None => format!("{} has not connected since this controller began", self.host),
        }
    }

    async fn undo_patiently(self, fault: FaultId) -> Undone {
        let began = Instant::now();
        let kind = Kind::Undo(FaultName { fault: fault.to_string() });
        let reason = match self.ask(kind, UNDO).await {
            Ok(Outcome::Undone(text)) => match read(&text) {
                Ok(undone) => return undone,
                Err(error) => error,
            },
            Ok(Outcome::Refused(reason)) => format!("{} refuses: {reason}", self.host),
            Ok(_) => not_an_answer(&self.host),
            Err(reason) => reason,
        };
        let step = UndoneStep { step: format!("ask {} to undo {fault}", self.host), outcome: reason, clean: false };
        Undone { steps: vec![step], verified: false, took: began.elapsed() }
    }

    async fn inject_surely(self, request: FaultRequest) -> Result<Injected, NotInjected> {
        if let Some(reason) = self.registry.halted() {
            return Err(NotInjected::nothing(format!(
                "the fleet is halted: {reason} (hint: `faultline halt --release`)"
            )));
        }
        let fault = request.id.clone();
        let kind = Kind::Inject(Ask { fault: write(&request) });
        let life = self.registry.presence(&self.host).map(|presence| presence.life);
        let reason = match self.ask_of(life.as_ref(), kind, INJECTION).await {
            Ok(Outcome::Injected(text)) => match read(&text) {
                Ok(injected) => return Ok(injected),
                Err(error) => error,
            },
            Ok(Outcome::NotInjected(text)) => match read::<NotInjected>(&text) {
                Ok(why) if why.verified => return Err(why),
                Ok(why) => why.reason,
                Err(error) => error,
            },
            // Refused before anything was begun.
            Ok(Outcome::Refused(reason)) => {
                return Err(NotInjected::nothing(format!("{} refuses: {reason}", self.host)));
            }
            Ok(_) => not_an_answer(&self.host),
            Err(reason) => reason,
        };
        // It may have been put in place all the same.
        let undone = self.undo_patiently(fault).await;
        Err(NotInjected { reason, verified: undone.verified })
    }
}

impl Agent for RemoteAgent {
    fn host(&self) -> &str {
        &self.host
    }

    fn new_id(&self) -> FaultId {
        // A name decides nothing, so it does not come from the seed.
        FaultId::from_number(rand::rng().next_u64().max(1))
    }

    fn plan(&self, request: FaultRequest) -> Answer<Result<Planned, NotPlanned>> {
        let agent = self.clone();
        Box::pin(async move {
            let refused = |reason| NotPlanned { reason, unsupported: false };
            let outcome = agent.ask(Kind::Plan(Ask { fault: write(&request) }), PATIENCE).await;
            match outcome.map_err(refused)? {
                Outcome::Planned(text) => read(&text).map_err(refused),
                Outcome::NotPlanned(text) => Err(read(&text).map_err(refused)?),
                Outcome::Refused(reason) => Err(refused(format!("{} refuses: {reason}", agent.host))),
                _ => Err(refused(not_an_answer(&agent.host))),
            }
        })
    }

    fn inject(&self, request: FaultRequest) -> Answer<Result<Injected, NotInjected>> {
        Box::pin(self.clone().inject_surely(request))
    }

    fn evidence(&self, fault: FaultId) -> Answer<Result<Evidence, String>> {
        let agent = self.clone();
        Box::pin(async move {
            match agent.ask(Kind::Evidence(FaultName { fault: fault.to_string() }), PATIENCE).await? {
                Outcome::Evidence(text) => read(&text),
                Outcome::Refused(reason) => Err(reason),
                _ => Err(not_an_answer(&agent.host)),
            }
        })
    }

    fn undo(&self, fault: FaultId) -> Answer<Undone> {
        Box::pin(self.clone().undo_patiently(fault))
    }

    fn read(&self, request: ReadRequest) -> Answer<Result<HostReading, String>> {
        let agent = self.clone();
        Box::pin(async move {
            match agent.ask(Kind::Read(write(&request)), PATIENCE).await? {
                Outcome::Reading(text) => read(&text),
                Outcome::Refused(reason) => Err(reason),
                _ => Err(not_an_answer(&agent.host)),
            }
        })
    }

    /// Nothing: the heartbeats of the session keep the host's leases, for as long as this controller lives.
    fn heartbeat(&self) {}

    fn must_stop(&self) -> Option<MustStop> {
        self.registry.must_stop(&self.host).map(MustStop::from)
    }

    fn presence(&self) -> Presence {
        self.registry.presence(&self.host).unwrap_or_default()
    }

    fn undone_alone(&self, fault: &FaultId) -> Option<UndoneAlone> {
        self.registry.undone_alone(&self.host, fault)
    }
}

/// A request as JSON text. All of ours can be written; should one not, the agent refuses the empty text.
fn write(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("the agent's answer cannot be understood: {error}"))
}

fn not_an_answer(host: &str) -> String {
    format!("{host} answers something else than was asked; are agent and controller of the same version?")
}
