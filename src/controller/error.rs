use crate::access::Denied;
use crate::authority::AuthorityError;
use crate::document::load::LoadError;
use crate::game_day::machine::Illegal;
use crate::game_day::sheet::SheetError;
use crate::report::ReportError;
use crate::store::runs::RunState;
use crate::store::{Refusal, StoreError, TokenRefusal};
use crate::targets::fleet_plan::FleetPlanError;
use crate::targets::hosts::HostChoiceError;

/// Why a controller did not do what it was asked. Nothing was done unless it says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControllerError {
    /// Who asks may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// What was asked makes no sense.
    #[error("{message}")]
    Request {
        /// What is wrong.
        message: String,
        /// The way on.
        hint: String,
    },
    /// The document is wrong.
    #[error("{}", .0.render(false).trim_end())]
    Document(Box<LoadError>),
    /// The document is right, and cannot be run by a controller.
    #[error("{message}")]
    Unsuitable {
        /// Why.
        message: String,
        /// The way on.
        hint: String,
    },
    /// No plan can be made: no hosts can be chosen.
    #[error(transparent)]
    Hosts(#[from] FleetPlanError),
    /// A chosen host cannot plan a fault, or its own policy forbids it.
    #[error("{host} cannot do `{fault}`: {reason}")]
    NotPlanned {
        /// The host.
        host: String,
        /// The fault.
        fault: String,
        /// Why.
        reason: String,
    },
    /// The plan is not the one that was expected.
    #[error("the plan is another one now: its hash is {is}, and {expected} was expected")]
    PlanChanged {
        /// The hash that was named.
        expected: String,
        /// What it is.
        is: String,
    },
    /// The plan cannot be carried out on the fleet any more.
    #[error("{because}")]
    Drifted {
        /// What is different.
        because: String,
    },
    /// A game day cannot go on as it was planned.
    #[error("{because}")]
    GameDayDrifted {
        /// Of which experiment, and what is different.
        because: String,
    },
    /// The journal of the run is on another controller.
    #[error("run {run} is driven by controller {controller}, which keeps its journal")]
    Elsewhere {
        /// The run.
        run: String,
        /// The controller.
        controller: String,
        /// Where that is reached.
        address: Option<String>,
    },
    /// The run has no journal yet, or never gets one.
    #[error("run {run} is {state}: there is no journal of it")]
    NotBegun {
        /// The run.
        run: String,
        /// Where it stands.
        state: RunState,
    },
    /// A journal cannot be read, or no report made of it.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// What was said to a game day makes no sense to it as it stands.
    #[error(transparent)]
    GameDay(#[from] Illegal),
    /// An answer to what a game day does not ask now: somebody else was faster, or it was never asked.
    #[error("{message}")]
    NotAsked {
        /// What is asked instead.
        message: String,
    },
    /// The journal of a game day is not what it was.
    #[error(transparent)]
    Sheet(#[from] SheetError),
    /// A step of a rotation of the authority would cut somebody off.
    #[error("{message}")]
    Rotation {
        /// Whom.
        message: String,
        /// The way on.
        hint: String,
    },
    /// The authority is not as it must be.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The machine that this controller runs on gave way.
    #[error("{0}")]
    Broken(String),
}

impl ControllerError {
    /// What was asked makes no sense.
    pub(super) fn request(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Request { message: message.into(), hint: hint.into() }
    }

    /// The document cannot be run by a controller.
    pub(super) fn unsuitable(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unsuitable { message: message.into(), hint: hint.into() }
    }

    /// The status of HTTP, a word that stays the same, and that word in a few more.
    pub fn class(&self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Denied(_) => (403, "denied", "You may not do this"),
            Self::Request { .. } => (400, "request", "The request is wrong"),
            Self::Document(_) => (422, "document", "The document is wrong"),
            Self::Unsuitable { .. } => (422, "unsuitable", "The document cannot be run by a controller"),
            Self::Hosts(FleetPlanError::Hosts(HostChoiceError::NoHosts { .. })) => {
                (422, "unsuitable", "The document cannot be run by a controller")
            }
            Self::Hosts(_) => (409, "hosts", "The hosts cannot be had"),
            Self::NotPlanned { .. } => (409, "not-planned", "A host refuses the fault"),
            Self::PlanChanged { .. } => (409, "plan-changed", "The plan has changed"),
            Self::Drifted { .. } | Self::GameDayDrifted { .. } => (409, "drifted", "The fleet has changed"),
            Self::Elsewhere { .. } => (421, "elsewhere", "Another controller has it"),
            Self::NotBegun { .. } => (409, "not-begun", "The run has not begun"),
            Self::GameDay(Illegal::NotEntitled { .. }) => (403, "denied", "You may not do this"),
            Self::GameDay(Illegal::OtherPlan { .. }) => (409, "plan-changed", "The plan has changed"),
            Self::GameDay(Illegal::NoSuch { .. } | Illegal::Required) => (400, "request", "The request is wrong"),
            Self::NotAsked { .. } | Self::GameDay(_) | Self::Rotation { .. } => {
                (409, "not-now", "This makes no sense now")
            }
            Self::Report(_) | Self::Sheet(_) => (500, "report", "The report cannot be made"),
            Self::Store(error) => match error.refusal() {
                Some(Refusal::Unknown { .. }) => (404, "unknown", "There is no such thing"),
                Some(Refusal::Token(TokenRefusal::Unknown | TokenRefusal::Revoked | TokenRefusal::Expired)) => {
                    (401, "bad-token", "The token is refused")
                }
                Some(Refusal::KeyReused { .. }) => (422, "key-reused", "The key belongs to another request"),
                Some(Refusal::NotNow(_)) => (409, "not-now", "This makes no sense now"),
                Some(Refusal::Halted(_)) => (409, "halted", "The fleet is halted"),
                Some(Refusal::Audit(_)) => (500, "tampered", "The audit log was tampered with"),
                Some(_) => (409, "conflict", "This contradicts what there is"),
                None if error.is_transient() => (503, "store", "The store cannot be reached"),
                None => (500, "store", "The store gave way"),
            },
            Self::Authority(_) => (500, "authority", "The authority is not as it must be"),
            Self::Broken(_) => (500, "broken", "The controller's host gave way"),
        }
    }

    /// The way on.
    pub fn hint(&self) -> String {
        match self {
            Self::Denied(Denied::Role { needed, .. }) => {
                format!("ask somebody with the role {needed}, or an admin for such a token")
            }
            Self::Denied(Denied::Own { .. } | Denied::NobodyAsked) => "somebody else must look at the plan".into(),
            Self::Denied(_) => "use a token whose scope includes it: `faultline token list` shows all".into(),
            Self::Request { hint, .. } | Self::Unsuitable { hint, .. } | Self::Rotation { hint, .. } => hint.clone(),
            Self::Authority(error) => error.hint(),
            Self::Document(_) => "`faultline check FILE` says the same before it is sent".into(),
            Self::Hosts(error) => error.hint().into(),
            Self::NotPlanned { host, .. } => {
                format!("see `faultline-agent doctor` and the policy file on {host}, or choose other hosts")
            }
            Self::PlanChanged { .. } => "look at the new plan with `faultline plan`, and agree to its hash".into(),
            Self::Drifted { .. } => {
                "ask for a new run, whose plan is of the fleet as it is now, and cancel this one".into()
            }
            Self::GameDayDrifted { .. } => {
                "`faultline gameday replan` makes a plan of the fleet as it is now, which is approved anew".into()
            }
            Self::Elsewhere { address: Some(address), .. } => format!("ask it: --controller {address}"),
            Self::Elsewhere { address: None, .. } => "ask that controller".into(),
            Self::NotBegun { state, .. } => match state {
                RunState::Queued => "it waits for its turn, and for its hosts".into(),
                RunState::WaitingForApproval => "it waits for approval: `faultline runs approve`".into(),
                _ => "`faultline runs show` says why it ended".into(),
            },
            Self::Report(error) => error.hint().into(),
            Self::GameDay(illegal) => match illegal.hint() {
                hint if hint.is_empty() => "`faultline gameday show` says where it stands and what is asked".into(),
                hint => hint,
            },
            Self::NotAsked { .. } => "look what is asked now with `faultline gameday show`, and answer that".into(),
            Self::Sheet(_) => "somebody changed the store by hand; restore a backup".into(),
            Self::Store(error) => error.hint().into(),
            Self::Broken(_) => "see the log of the controller".into(),
        }
    }

    /// In one line, for the audit log.
    pub(super) fn outcome(&self) -> String {
        let line = self.to_string();
        let first = line.lines().next().unwrap_or_default();
        match self.class().0 {
            500.. => format!("failed: {first}"),
            _ => format!("refused: {first}"),
        }
    }
}

impl From<LoadError> for ControllerError {
    fn from(error: LoadError) -> Self {
        Self::Document(Box::new(error))
    }
}

impl From<Refusal> for ControllerError {
    fn from(refusal: Refusal) -> Self {
        Self::Store(refusal.into())
    }
}
