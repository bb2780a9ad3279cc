//! A PostgreSQL for the tests of this process alone: in a scratch folder, reached by a socket in it, run by an ordinary
//! user. It stops when the last test lets go of it, and dies with this process however that ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::StoreAddress;

#[derive(Debug)]
pub(super) struct Cluster {
    folder: PathBuf,
    /// The process group's leader, the postmaster; for tests that end its connections.
    stop: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
    databases: AtomicU32,
}

static CURRENT: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

impl Cluster {
    /// The one that runs, or a new one. `Err` says why there can be none.
    pub(super) fn get() -> Result<Arc<Self>, String> {
        let mut current = CURRENT.lock().unwrap();
        if let Some(cluster) = current.upgrade() {
            return Ok(cluster);
        }
        let programs = programs().ok_or("initdb and postgres are not installed (Debian package postgresql)")?;
        let cluster = Arc::new(Self::start(&programs));
        *current = Arc::downgrade(&cluster);
        Ok(cluster)
    }

    fn start(programs: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("faultline-store-").tempdir().unwrap().keep();
        if nix::unistd::geteuid().is_root() {
            let user = nix::unistd::User::from_name("postgres").unwrap().unwrap();
            nix::unistd::chown(&folder, Some(user.uid), Some(user.gid)).unwrap();
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let made = as_user()
            .arg(programs.join("initdb"))
            .args(["-A", "trust", "-U", "faultline", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(folder.join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let (stop, stopped) = mpsc::channel();
        let (up, is_up) = mpsc::channel();
        // The kernel sends the death signal when the thread that started the process ends: it must outlast all tests.
        let keeper = {
            let (folder, programs) = (folder.clone(), programs.to_owned());
            std::thread::spawn(move || {
                let mut postmaster = postmaster(&folder, &programs);
                up.send(()).unwrap();
                let _ = stopped.recv();
                end(&mut postmaster);
                let _ = fs::remove_dir_all(&folder);
            })
        };
        is_up.recv().unwrap();
        let socket = folder.join(".s.PGSQL.5432");
        let began = Instant::now();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(60), "PostgreSQL does not start: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { folder, stop: Some(stop), keeper: Some(keeper), databases: AtomicU32::new(0) }
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

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

fn postmaster(folder: &Path, programs: &Path) -> Child {
    as_user()
        .args(["--pdeathsig", "QUIT"])
        .arg(programs.join("postgres"))
        .args(["-c", "listen_addresses=", "-c", "max_connections=400", "-c", "fsync=off", "-D"])
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap()
}

/// Stops it at once: what is in it is of no use to anybody.
fn end(postmaster: &mut Child) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(postmaster.id()).unwrap());
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT);
    let _ = postmaster.wait();
}

/// `setpriv`, as the user `postgres` if this is root, as whom PostgreSQL refuses to run.
fn as_user() -> Command {
    let mut command = Command::new("setpriv");
    if nix::unistd::geteuid().is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.current_dir("/");
    command
}

fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.into_iter().rev().find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}
