//! What can go wrong with a store, and what it means.

use super::refusal::Refusal;

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
