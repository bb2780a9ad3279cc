//! What the store's own rules refuse, and what to do about it.

use jiff::Timestamp;

use super::halt::Halt;
use super::runs::RunState;
use super::tokens::TokenRefusal;
use crate::audit::Broken;

/// A refusal by the store's own rules. The database is well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such object.
    #[error("there is no {kind} `{name}`")]
    Unknown {
        /// `run`, `schedule`, `agent`, …
        kind: &'static str,
        /// Its name or id.
        name: String,
    },
    /// There is one of this name already.
    #[error("there is a {kind} `{name}` already")]
    Exists {
        /// `run`, `schedule`, `agent`, …
        kind: &'static str,
        /// Its name or id.
        name: String,
    },
    /// A request has made its run already.
    #[error("this was asked before, and made run {run}")]
    AskedBefore {
        /// The run.
        run: String,
    },
    /// The key of a request is that of another one.
    #[error("the key `{key}` was given to another request, which made run {run}")]
    KeyReused {
        /// The key.
        key: String,
        /// The run that the other request made.
        run: String,
    },
    /// The name of an agent is another's.
    #[error("a host is enrolled as `{name}`")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The certificate that was to be renewed was revoked.
    #[error("certificate {serial} was revoked: it is not renewed")]
    RevokedCertificate {
        /// Its serial number.
        serial: String,
    },
    /// The authority is not where this could be the next step.
    #[error("{0}")]
    NotNow(&'static str),
    /// The fleet is halted.
    #[error("the fleet is halted since {} by {}: {}", .0.since, .0.by, .0.reason)]
    Halted(Halt),
    /// The run belongs to another controller now: this one must stop writing, and leave the run's faults to the other.
    #[error("run {run} was taken over by controller {by}: its epoch is {current}, not {given}")]
    TakenOver {
        /// Which run.
        run: String,
        /// The epoch that was named.
        given: i64,
        /// The epoch that it has.
        current: i64,
        /// Who has it now.
        by: String,
    },
    /// The run is in a state in which this cannot be done.
    #[error("run {run} is {is}, so it cannot become {wanted}")]
    State {
        /// Which run.
        run: String,
        /// Its state.
        is: RunState,
        /// The state that was asked for.
        wanted: RunState,
    },
    /// Somebody else has changed it meanwhile.
    #[error("{kind} `{name}` was changed meanwhile: its version is {current}, not {given}")]
    Changed {
        /// `schedule`, `game day`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The version that was named.
        given: i64,
        /// The version that it has.
        current: i64,
    },
    /// A host is locked by another run.
    #[error("host {host} is locked by run {by}")]
    HostLocked {
        /// Which host.
        host: String,
        /// The run that holds it.
        by: String,
    },
    /// The token is not to be accepted.
    #[error("the token is refused: {0}")]
    Token(TokenRefusal),
    /// This controller does not lead, or not any more.
    #[error(
        "controller {controller} does not lead with epoch {given}: controller {by} does, until {until}, with epoch {current}"
    )]
    NotLeading {
        /// Who asked.
        controller: String,
        /// The epoch that it named.
        given: i64,
        /// The epoch of the lead.
        current: i64,
        /// Who leads, or led last.
        by: String,
        /// Until when.
        until: Timestamp,
    },
    /// An agent has another connection by now.
    #[error("agent {agent} has another connection by now: its epoch is {current}, not {given}")]
    Reconnected {
        /// Which agent.
        agent: String,
        /// The epoch that was named.
        given: i64,
        /// The epoch that it has.
        current: i64,
    },
    /// The audit log was tampered with.
    #[error(transparent)]
    Audit(#[from] Broken),
}

impl Refusal {
    /// The way on.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "list what there is, and mind upper and lower case",
            Self::Exists { .. } => "choose another name, or change the existing one",
            Self::AskedBefore { .. } => "follow that run; nothing needs to be done",
            Self::KeyReused { .. } => "give each request a key of its own; the same one only to send the same again",
            Self::NameTaken { .. } => "`faultline agents revoke NAME` first, if that host is to be replaced",
            Self::RevokedCertificate { .. } => "enrol the host anew, if it is to come back",
            Self::NotNow(_) => "the steps are begin, switch and finish; `faultline rotate status` says which is next",
            Self::Halted(_) => "find out why it was halted; `faultline halt --release` lets new runs in",
            Self::TakenOver { .. } => "the other controller finishes or undoes the run; see `faultline runs`",
            Self::State { .. } => "see the run's state with `faultline runs`",
            Self::Changed { .. } => "read it again, and repeat the change on what it is now",
            Self::HostLocked { .. } => "wait for that run, or allow both to share their hosts",
            Self::Token(_) => "make a new token",
            Self::NotLeading { .. } => "another controller schedules now; nothing needs to be done",
            Self::Reconnected { .. } => "the agent's newer connection counts; nothing needs to be done",
            Self::Audit(_) => {
                "find out who can write the store; compare with a backup and with heads that were kept elsewhere"
            }
        }
    }
}
