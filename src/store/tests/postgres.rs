//! A PostgreSQL for the tests of this process alone: in a scratch folder, reached by a socket in it, run by an ordinary
//! user. It is stopped and its folder removed when this process ends, however it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::StoreAddress;

#[derive(Debug)]
pub(super) struct Cluster {
    folder: PathBuf,
    databases: AtomicU32,
    /// Reads from a pipe whose other end is in here: when this process is gone, so is that end.
    _keeper: Child,
}

/// Starts PostgreSQL with the arguments from the second on, waits for the end of its input, stops it by the pid that it
/// was started with, and removes the folder in the first argument. SIGQUIT: at once, as nobody needs what is in it.
const KEEPER: &str = r#"folder=$1; shift; "$@" & postmaster=$!; read -r _; kill -QUIT "$postmaster"; wait "$postmaster"; rm -rf "$folder""#;

impl Cluster {
    /// The one of this process. `Err` says why there can be none.
    pub(super) fn get() -> Result<&'static Self, &'static str> {
        static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
        let cluster = CLUSTER.get_or_init(|| programs().map(|programs| Self::start(&programs)));
        cluster.as_ref().ok_or("initdb and postgres are not installed (Debian package postgresql)")
    }

    fn start(programs: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("faultline-store-").tempdir().unwrap().keep();
        if nix::unistd::geteuid().is_root() {
            let user = nix::unistd::User::from_name("postgres").unwrap().unwrap();
            nix::unistd::chown(&folder, Some(user.uid), Some(user.gid)).unwrap();
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(&folder).args(as_user()).arg(programs.join("postgres"));
        keeper.args(["-c", "listen_addresses=", "-c", "max_connections=400", "-c", "fsync=off", "-D"]);
        keeper.arg(folder.join("data")).arg("-k").arg(&folder);
        // Out of reach of a Ctrl-C, after which it has to clean up.
        keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null());
        let user = as_user();
        let made = Command::new(user[0])
            .args(&user[1..])
            .arg(programs.join("initdb"))
            .args(["-A", "trust", "-U", "faultline", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(folder.join("data"))
            .current_dir("/")
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let log = folder.join("log");
        let keeper = keeper.current_dir("/").stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
        let began = Instant::now();
        while std::os::unix::net::UnixStream::connect(folder.join(".s.PGSQL.5432")).is_err() {
            let log = fs::read_to_string(&log).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(60), "PostgreSQL does not start: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { folder, databases: AtomicU32::new(0), _keeper: keeper }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user=faultline", self.folder.display())
    }

    /// A connection to the database of this name, beside the store's.
    async fn connect(&self, database: &str) -> PgConnection {
        let began = Instant::now();
        loop {
            match PgConnection::connect(&self.url(database)).await {
                Ok(connection) => return connection,
                // It accepts connections a moment before it is ready for them.
                Err(_) if began.elapsed() < Duration::from_secs(30) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// A new, empty database.
    pub(super) async fn database(&self) -> StoreAddress {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = self.connect("postgres").await;
        connection.execute(sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))).await.unwrap();
        connection.close().await.unwrap();
        self.url(&name).parse().unwrap()
    }
}

/// What a command begins with to be run by the user `postgres`: PostgreSQL refuses to be run by root.
fn as_user() -> &'static [&'static str] {
    if nix::unistd::geteuid().is_root() {
        &["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    } else {
        &["env"]
    }
}

fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.into_iter().rev().find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}
