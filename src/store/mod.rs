//! What the controller must not forget: runs and who drives them, schedules, agents, tokens, approvals, the halt, what is
//! still to be told to others, and the audit log. SQLite in the data folder, or a PostgreSQL that several controllers
//! share; the same tables and the same texts of SQL for both.
//!
//! # What always holds
//!
//! - **A run is claimed at most once.** [`Store::claim_next`] chooses and marks it in one transaction, under a lock that
//!   all claims take. A slot of a schedule makes at most one run ([`Store::claim_slot`]).
//! - **No two runs on one host unless both share.** Claims take the locks of all hosts of a run or none, in the same
//!   transaction; a run that finishes gives them back in the transaction in which it finishes.
//! - **A host that is not known to be clean is told of.** A run that finishes gives its hosts back and names those on which
//!   something may be left in one transaction ([`Store::finish_leaving`]), so that nobody ever sees them as free.
//! - **Who was replaced cannot write.** A run's epoch grows whenever a controller claims it or takes it over. Every
//!   write by its driver names the epoch, and is refused ([`Refusal::TakenOver`]) when it has grown meanwhile.
//! - **Halted is halted.** A halt cancels everything queued in the transaction that sets it, and whatever adds or starts
//!   a run looks for it in its own, under the same lock: nothing slips in between.
//! - **Two never continue a game day from the same point.** Each entry of its journal is kept under its number, and one who
//!   names a number that is taken is refused; a run that follows from an entry is made in the transaction that keeps it.
//! - **At most one leads**, by a lease; each new lead has a greater epoch.
//! - **A one-time token is redeemed once**, by one conditional statement.
//! - **The audit log has no forks**: each record is appended under a lock, to the head that is read under it.
//! - **Nothing is half done.** What is more than one statement is one transaction; a controller that is killed inside
//!   one has done nothing. A commit is on disk when it is reported (`synchronous = FULL`; `synchronous_commit` is
//!   never off).
//!
//! The price of the last: a commit to SQLite took 1.5 ms at the median and 8 ms at p99 on a busy virtual machine, instead
//! of 0.01 ms without waiting for the disk. So nothing here is written per heartbeat: [`Store::controller_seen`] notes
//! all agents of a controller in one statement (45 ms for 10,000 of them).
//!
//! # Time
//!
//! No method looks at a clock but [`Store::now`]; all others are given the time. Controllers that share a store must ask
//! it for that time: see there. Times are kept to the microsecond; what is finer is dropped.

mod address;
mod agents;
mod api_tokens;
mod approvals;
mod audit;
mod baselines;
mod budgets;
mod certificates;
mod columns;
mod controllers;
mod definitions;
mod enrolment;
mod error;
mod game_days;
mod halt;
mod leader;
mod outbox;
mod refusal;
mod rotation;
pub mod runs;
mod schema;
mod slots;
mod tokens;
mod transaction;
mod unclean;

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, Connection, Executor};

pub use self::address::{AddressError, StoreAddress};
pub use self::agents::{ALIVE, Agent, AgentHealth, Connected, Connection as AgentConnection, Report};
pub use self::api_tokens::{ApiToken, NewApiToken};
pub use self::approvals::Approval;
pub use self::audit::AuditFilter;
pub use self::certificates::{Certificate, CertificateRole, NewCertificate};
pub use self::columns::UnknownWord;
pub use self::controllers::Controller;
pub use self::definitions::{Author, Definition, DefinitionKind};
pub use self::enrolment::{EnrolmentToken, NewEnrolmentToken};
pub use self::error::StoreError;
pub use self::game_days::{GameDay, GameDayCursor, GameDayEntry, GameDayPlan, NewGameDay};
pub use self::halt::{Halt, Halted};
pub use self::leader::Lead;
pub use self::outbox::{Message, MessageState, NewMessage};
pub use self::refusal::Refusal;
pub use self::rotation::{CertificateInUse, ControllerAuthorities, Rotation, RotationStep};
pub use self::schema::VERSION;
pub use self::slots::{Occasion, Slot, SlotClaim, SlotOutcome};
pub use self::tokens::TokenRefusal;
pub use self::transaction::ATTEMPTS;
pub use self::unclean::{Leftover, Leftovers, UncleanHost};
pub use baselines::KeptBaseline;

/// How many connections one controller holds to a PostgreSQL, and how many it reads a SQLite file with.
const CONNECTIONS: u32 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

/// The store of one controller. Cheap to clone; all clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    kind: Kind,
    address: StoreAddress,
    /// One connection for SQLite, so that writers of this process queue instead of colliding.
    writers: AnyPool,
    readers: AnyPool,
}

impl Store {
    /// Opens the store, makes it if it is a SQLite file that does not exist, and brings its tables up to date.
    ///
    /// # Errors
    /// If it cannot be opened or made, or has tables of a newer Faultline.
    pub async fn open(address: &StoreAddress) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let open = |source| StoreError::Open { store: address.to_string(), source };
        // A pool would hide why it cannot connect, and try for long.
        let try_out = async |url: &str, settings| {
            let mut connection = AnyConnection::connect(url).await?;
            connection.execute(sqlx::raw_sql(settings)).await?;
            connection.close().await
        };
        let store = match address {
            StoreAddress::Sqlite(path) => {
                make(path).map_err(|source| StoreError::Make { store: address.to_string(), source })?;
                let url = sqlite_url(path);
                try_out(&url, SQLITE).await.map_err(open)?;
                let writers = options(1, SQLITE).connect(&url).await.map_err(open)?;
                let readers = options(CONNECTIONS, SQLITE).connect_lazy(&url).map_err(open)?;
                Self { kind: Kind::Sqlite, address: address.clone(), writers, readers }
            }
            StoreAddress::Postgres(url) => {
                try_out(url, POSTGRES).await.map_err(open)?;
                let pool = options(CONNECTIONS, POSTGRES).connect(url).await.map_err(open)?;
                Self { kind: Kind::Postgres, address: address.clone(), writers: pool.clone(), readers: pool }
            }
        };
        if store.kind == Kind::Sqlite {
            // Kept in the file. Of two that open a new file at once, one may find it locked.
            store
                .done("switch to a write-ahead log", || async {
                    sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&store.writers).await?;
                    Ok(())
                })
                .await?;
        }
        store.migrate(Timestamp::now()).await?;
        Ok(store)
    }

    /// Where it is. Shown, it leaves out the password.
    pub fn address(&self) -> &StoreAddress {
        &self.address
    }

    /// Waits for what is under way and closes the connections. Of a SQLite file, the write-ahead log is put into it.
    pub async fn close(&self) {
        self.writers.close().await;
        self.readers.close().await;
    }
}

/// Set on each connection to a SQLite file. FULL: a commit is in the log on disk before it is reported.
const SQLITE: &str = "PRAGMA busy_timeout = 10000; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
    PRAGMA trusted_schema = OFF";

/// Set on each connection to a PostgreSQL. A controller that is frozen or cut off inside a transaction keeps its locks
/// from the others no longer than this. A server that reports commits before they are on disk does not so for us.
const POSTGRES: &str = "SET idle_in_transaction_session_timeout = '15s'; SET lock_timeout = '15s'; \
    SET statement_timeout = '60s'; SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; \
    SET tcp_keepalives_count = 3; SET client_min_messages = warning; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

fn options(connections: u32, settings: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(connections).acquire_timeout(Duration::from_secs(10)).after_connect(
        move |connection, _| Box::pin(async move { connection.execute(sqlx::raw_sql(settings)).await.map(drop) }),
    )
}

/// Makes the file and its folder for their owner alone: the store holds hashes of tokens and the documents of runs.
fn make(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

/// The path with everything encoded that has a meaning in a URL.
fn sqlite_url(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut url = String::from("sqlite:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => url.push(char::from(*byte)),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests;
