//! What can go wrong with a store, and what it means.

use jiff::Timestamp;

use super::halt::Halt;
use super::runs::RunState;
use super::tokens::TokenRefusal;
use crate::audit::Broken;

/// An operation that the store did not do. Unless it says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store could not be opened.
    #[error("cannot open the store {store}: {source}")]
    Open {
        /// Which store.
        store: String,
        /// The reason.
        source: sqlx::Error,
    },
    /// Its folder or file could not be made.
    #[error("cannot make the store {store}: {source}")]
    Make {
        /// Which store.
        store: String,
        /// The reason.
        source: std::io::Error,
    },
    /// A newer Faultline has changed its tables.
    #[error("the store {store} has tables of version {found}; this Faultline knows them up to version {known}")]
    Newer {
        /// Which store.
        store: String,
        /// The version found in it.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// Others kept it locked, and it was tried long enough.
    #[error("the store {store} stayed locked by others while this was tried {attempts} times: {doing}: {source}")]
    Busy {
        /// Which store.
        store: String,
        /// What was being done.
        doing: &'static str,
        /// How often it was tried.
        attempts: u32,
        /// The last reason.
        source: sqlx::Error,
    },
    /// The connection failed. If that was while the change was being made permanent, it may have taken effect.
    #[error("the store {store} cannot be reached, and it may or may not have done this: {doing}: {source}")]
    Unreachable {
        /// Which store.
        store: String,
        /// What was being done.
        doing: &'static str,
        /// The reason.
        source: sqlx::Error,
    },
    /// The database refused.
    #[error("the store {store} could not do this: {doing}: {source}")]
    Failed {
        /// Which store.
        store: String,
        /// What was being done.
        doing: &'static str,
        /// The reason.
        source: sqlx::Error,
    },
    /// A value in the store is not what Faultline writes.
    #[error("the store {store} holds a value that is not Faultline's: {column} is `{value}`: {doing}")]
    Foreign {
        /// Which store.
        store: String,
        /// What was being done.
        doing: &'static str,
        /// The column.
        column: &'static str,
        /// What is in it.
        value: String,
    },
    /// Something else refused it: the rules of the store itself.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

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

impl StoreError {
    /// The refusal, if it is one: what callers decide by.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether trying the same again later may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unreachable { .. })
    }

    /// The way on.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Open { .. } => {
                "see that the database runs, that the address, user and password are right, and that the folder can be written"
            }
            Self::Make { .. } => {
                "see that the folder exists or can be made, and can be written by the user of faultline"
            }
            Self::Newer { .. } => "update this Faultline; a store is never taken back to an older version",
            Self::Busy { .. } => "look for a program that keeps the store locked; then try again",
            Self::Unreachable { .. } => "see that the database runs; before trying again, look whether it was done",
            Self::Failed { .. } => "see the database's own message; for a full disk, free space",
            Self::Foreign { .. } => "somebody changed the store by hand; put the value back or restore a backup",
            Self::Refused(refusal) => refusal.hint(),
        }
    }
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

/// What goes wrong inside an operation, before it is known as whose.
#[derive(Debug)]
pub(super) enum Fault {
    /// The database's answer.
    Sql(sqlx::Error),
    /// A value that Faultline does not write.
    Foreign { column: &'static str, value: String },
    /// The store's own rules.
    Refused(Refusal),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// How an answer of the database is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// Nothing was done since others were in the way: try again.
    Contended,
    /// The connection is gone: nobody knows.
    Lost,
    /// There is such a row already.
    Duplicate,
    /// Everything else.
    Other,
}

/// SQLSTATE 40001 serialization_failure, 40P01 deadlock_detected, 55P03 lock_not_available (PostgreSQL, appendix A); for
/// SQLite the low byte of the extended result code, 5 SQLITE_BUSY or 6 SQLITE_LOCKED.
pub(super) fn nature(error: &sqlx::Error) -> Nature {
    match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => Nature::Duplicate,
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("40001" | "40P01" | "55P03") => Nature::Contended,
            // 57P01 to 57P03: the server stops or starts; 25P03: it ended a transaction that lay idle; class 08: connections.
            Some("57P01" | "57P02" | "57P03" | "25P03") => Nature::Lost,
            Some(code) if code.len() == 5 && code.starts_with("08") => Nature::Lost,
            Some(code) if code.len() < 5 && code.parse().is_ok_and(|code: u32| matches!(code & 0xff, 5 | 6)) => {
                Nature::Contended
            }
            _ => Nature::Other,
        },
        // No connection within the time for it: all are busy, or none can be made.
        sqlx::Error::PoolTimedOut
        | sqlx::Error::Io(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Nature::Lost,
        _ => Nature::Other,
    }
}
