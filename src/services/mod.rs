//! The services of a document: programs that a run starts itself and takes down again, with nothing left behind even
//! when the run is killed (see [`keeper`]).

mod error;
mod instance;
pub mod keeper;
mod order;
mod output;
mod processes;
mod ready;
pub mod scratch;
mod supervisor;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use faultline_agent::identity::ProcessIdentity;
use faultline_agent::target::service_mark;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use self::error::ServiceError;
use self::instance::{Handle, Spawner, TakenDown};
use self::keeper::{Order, User};
use self::supervisor::Supervisor;
use crate::experiment::document::Service;

/// Where and for whom services run.
#[derive(Debug, Clone)]
pub struct ServiceContext {
    /// The run's id; services find it in `FAULTLINE_RUN`.
    pub run: String,
    /// The folder that keeps what they write, one `NAME.log` each; made if need be.
    pub output: PathBuf,
    /// The folder in which each gets a scratch folder of its own; made if need be, removed by [`Services::stop`]. A
    /// service with a `user` must be able to reach it, so it cannot lie below a folder that only root may enter.
    pub scratch: PathBuf,
    /// The `faultline` binary, which keeps the services: [`this_program`] in all but tests.
    pub program: PathBuf,
    /// Who is told what becomes of them.
    pub events: UnboundedSender<ServiceEvent>,
}

/// What became of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEvent {
    /// Its name in the document.
    pub name: String,
    /// `up after 120 ms`, `exited with code 1; starts again in 500ms`, `taken down`.
    pub change: String,
}

/// This very binary, by its own name where it still lies there.
pub fn this_program() -> PathBuf {
    std::env::current_exe().ok().filter(|path| path.exists()).unwrap_or_else(|| "/proc/self/exe".into())
}

/// How all services were taken down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stopped {
    /// Those that did not end within 5 s of SIGTERM and were killed.
    pub killed: Vec<String>,
    /// Processes that are there all the same, by service.
    pub left: Vec<(String, ProcessIdentity)>,
    /// The scratch folder and why it could not be removed, if so.
    pub scratch: Option<String>,
}

/// The services of a run. Dropped without [`stop`](Services::stop), they are killed at once.
#[derive(Debug)]
pub struct Services {
    /// In the order in which they started.
    running: Vec<Running>,
    context: ServiceContext,
}

#[derive(Debug)]
struct Running {
    name: String,
    handle: Arc<Mutex<Handle>>,
    stop: CancellationToken,
    task: AbortOnDropHandle<TakenDown>,
}

impl Services {
    /// No service yet.
    pub fn new(context: ServiceContext) -> Self {
        Self { running: Vec::new(), context }
    }

    /// Starts services, each after those that it names, and waits until each is up. They are in the network namespace of
    /// the calling thread. Whether this succeeds, fails or is given up half-way: [`stop`](Services::stop) takes down
    /// what was started.
    ///
    /// # Errors
    /// If one does not come up.
    pub async fn start(&mut self, services: &BTreeMap<String, Service>) -> Result<(), ServiceError> {
        for name in order::starting_order(services)? {
            let Some(service) = services.get(&name) else { continue };
            self.start_one(&name, service).await?;
        }
        Ok(())
    }

    async fn start_one(&mut self, name: &str, service: &Service) -> Result<(), ServiceError> {
        let context = &self.context;
        let user = service.user.as_deref().map(|user| find_user(name, user)).transpose()?;
        let scratch = context.scratch.join(name);
        make_folder(&context.scratch, 0o711, None)
            .and_then(|()| make_folder(&scratch, 0o700, user.as_ref()))
            .map_err(|source| ServiceError::Folder { name: name.into(), path: scratch.clone(), source })?;
        for (file, text) in &service.files {
            write_file(&scratch, file, text, user.as_ref()).map_err(|source| ServiceError::Folder {
                name: name.into(),
                path: scratch.join(file),
                source,
            })?;
        }
        let log = context.output.join(format!("{name}.log"));
        make_folder(&context.output, 0o700, None)
            .and_then(|()| make_file(&log, user.as_ref()))
            .map_err(|source| ServiceError::Folder { name: name.into(), path: log.clone(), source })?;
        let mut environment = service.environment.clone();
        // Never the document's own: faults know the processes of a service again by it.
        environment
            .extend(service_mark(&context.run, name).split_once('=').map(|(key, mark)| (key.into(), mark.into())));
        environment.entry("FAULTLINE_RUN".into()).or_insert_with(|| context.run.clone());
        environment.entry("FAULTLINE_SCRATCH".into()).or_insert_with(|| scratch.display().to_string());
        let (handle, stop) = (Arc::new(Mutex::new(Handle::default())), CancellationToken::new());
        let supervisor = Supervisor {
            name: name.into(),
            service: service.clone(),
            order: Order {
                run: service.run.clone(),
                environment,
                directory: service.directory.clone().unwrap_or(scratch),
                user,
                isolation: None,
            },
            program: context.program.clone(),
            log,
            spawner: Spawner::new().map_err(|source| ServiceError::Start { name: name.into(), source })?,
            events: context.events.clone(),
            handle: handle.clone(),
            stop: stop.clone(),
        };
        let (up, is_up) = oneshot::channel();
        let task = AbortOnDropHandle::new(tokio::spawn(supervisor.keep(up)));
        self.running.push(Running { name: name.into(), handle, stop, task });
        let gone = || ServiceError::Start { name: name.into(), source: io::Error::other("its supervisor is gone") };
        is_up.await.unwrap_or_else(|_| Err(gone()))
    }

    /// The processes of each service now: the program first, then all that descends from it, daemons included. Empty
    /// for one that is down.
    pub fn processes(&self) -> BTreeMap<String, Vec<ProcessIdentity>> {
        self.running.iter().map(|running| (running.name.clone(), running.handle().processes())).collect()
    }

    /// The processes that keep the services together, which no fault may touch.
    pub fn keepers(&self) -> Vec<ProcessIdentity> {
        self.running.iter().flat_map(|running| running.handle().keepers()).collect()
    }

    /// Takes them down, the last one started first, and removes their scratch folders.
    pub async fn stop(self) -> Stopped {
        let mut stopped = Stopped::default();
        for running in self.running.into_iter().rev() {
            running.stop.cancel();
            let taken = running.task.await.unwrap_or_default();
            if taken.killed {
                stopped.killed.push(running.name.clone());
            }
            stopped.left.extend(taken.left.into_iter().map(|process| (running.name.clone(), process)));
            let _ = fs::remove_dir_all(self.context.scratch.join(&running.name));
        }
        let scratch = &self.context.scratch;
        if let Err(error) = scratch::remove(scratch) {
            stopped.scratch = Some(format!("{}: {error}", scratch.display()));
        }
        stopped
    }
}

impl Running {
    fn handle(&self) -> Handle {
        *self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find_user(name: &str, user: &str) -> Result<User, ServiceError> {
    let found = nix::unistd::User::from_name(user).ok().flatten();
    let found = found.ok_or_else(|| ServiceError::NoSuchUser { name: name.into(), user: user.into() })?;
    if !nix::unistd::geteuid().is_root() {
        return Err(ServiceError::NotRoot { name: name.into(), user: user.into() });
    }
    Ok(User { name: user.into(), uid: found.uid.as_raw(), gid: found.gid.as_raw() })
}

fn make_folder(path: &Path, mode: u32, user: Option<&User>) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)?;
    user.map_or(Ok(()), |user| chown(path, Some(user.uid), Some(user.gid)))
}

/// Writes a file of the document into the scratch folder, and never outside it.
fn write_file(scratch: &Path, name: &str, text: &str, user: Option<&User>) -> io::Result<()> {
    let plain = Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !plain || name.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the name of a file must stay within the scratch folder",
        ));
    }
    let path = scratch.join(name);
    if let Some(folder) = path.parent().filter(|folder| *folder != scratch) {
        make_folder(folder, 0o700, user)?;
    }
    fs::write(&path, text)?;
    user.map_or(Ok(()), |user| chown(&path, Some(user.uid), Some(user.gid)))
}

/// A service may open its own output again (`/dev/stderr`), so the file is its user's.
fn make_file(path: &Path, user: Option<&User>) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    user.map_or(Ok(()), |user| chown(path, Some(user.uid), Some(user.gid)))
}
