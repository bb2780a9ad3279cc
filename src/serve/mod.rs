//! `faultline serve`: one process that is the whole controller. Two ports, one store, a few tasks.
//!
//! ```text
//! people, programs ── API port ──▶ controller ──▶ store ──▶ dispatcher ──▶ agent port ──▶ agents
//!                                       scheduler ──┘ (by lease, one of all controllers)
//! ```
//!
//! Invariants:
//! - nothing is served before the store is open and the runs from before a restart are taken up;
//! - a stop ends runs first, undone, while their agents are still connected, and the ports after that;
//! - what another controller decided (a halt, a revocation, a stop) is obeyed here within seconds, from the store.

pub mod api_port;
mod cleaning;
mod enrolling;
mod game_days;
mod halting;
mod hearing;
mod host_halts;
mod identity;
mod presence;
mod scheduling;
mod telling;
mod upkeep;
mod vanished;
mod waiting;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use faultline_agent::credentials::CredentialsError;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::first_admin::{self, FirstAdmin};
use crate::authority::{AGENT_LIFE, Authority, AuthorityError, Revocations};
use crate::console::router;
use crate::controller::{Controller, ControllerError, FindAgent, Parts, Settings};
use crate::dispatch::{Dispatcher, FleetAsked, Hosts, Running};
use crate::document::load::LoadError;
use crate::fleet::Agent;
use crate::fleet::registry::{FleetEvent, Registry};
use crate::fleet::remote::RemoteAgent;
use crate::fleet::server::{self, AuthorityGate, enrolment};
use crate::notify::{self, Notifier};
use crate::store::{NewApiToken, Refusal, Store, StoreAddress, StoreError};
use crate::targets::hosts::HostFacts;
use identity::{Reached, identity};
use telling::Telling;

/// What a controller is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its own folder: the authority, the journals of its runs, and the store unless that is elsewhere.
    pub data: PathBuf,
    /// Where people and programs, and hosts that enrol, reach it.
    pub api: SocketAddr,
    /// Where agents do.
    pub agents: SocketAddr,
    /// The store; a SQLite file in the data folder when absent.
    pub store: Option<StoreAddress>,
    /// The name or address by which agents, people and other controllers reach it, at the ports above; the first name in
    /// its certificate when absent.
    pub advertise: Option<String>,
    /// What no call can change.
    pub settings: Settings,
}

/// A controller that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The token of the first admin.
    #[error(transparent)]
    FirstAdmin(#[from] CredentialsError),
    /// Its store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whom it tells what happens.
    #[error("{0}")]
    Notifications(LoadError),
    /// A port.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// A file of its own.
    #[error("cannot write {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl ServeError {
    /// The way on.
    pub fn hint(&self) -> String {
        match self {
            Self::Authority(error) => error.hint(),
            Self::FirstAdmin(error) => error.hint.clone(),
            Self::Store(error) => error.hint().into(),
            Self::Notifications(_) => "`notifications.yaml` in the data folder says who is told what".into(),
            Self::Listen { .. } => "another program may have the port: choose one with --listen or --agents".into(),
            Self::File { .. } => "the data folder must be writable for whoever runs the controller".into(),
        }
    }
}

/// Where a controller listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// For people and programs.
    pub api: SocketAddr,
    /// For agents.
    pub agents: SocketAddr,
}

/// The hosts of the fleet, each by its agent's session.
struct Connected(Arc<Controller>);

impl Hosts for Connected {
    fn agent(&self, host: &str) -> Arc<dyn Agent> {
        self.0.agent_of(host)
    }

    fn fleet<'a>(&'a self, except: &str) -> FleetAsked<'a> {
        let except = except.to_owned();
        Box::pin(async move { self.0.fleet_now(&except).await.map_err(|error| error.to_string()) })
    }

    fn facts(&self, host: &str) -> Option<HostFacts> {
        self.0.facts_of_host(host)
    }

    fn events(&self) -> broadcast::Receiver<FleetEvent> {
        self.0.registry().subscribe()
    }

    fn is_connected(&self, host: &str) -> bool {
        self.0.registry().line(host).is_some()
    }
}

/// Serves until the stop, and ends every run of this controller before it returns. `ready` is told once the ports are open.
///
/// # Errors
/// If it cannot start.
pub async fn serve(options: Options, stop: CancellationToken, ready: impl FnOnce(Listening)) -> Result<(), ServeError> {
    let now = Timestamp::now();
    let folder = Authority::folder(&options.data);
    let authority = Arc::new(Authority::open(&folder, now)?);
    let address = options.store.clone().unwrap_or_else(|| StoreAddress::in_folder(&options.data));
    let store = Store::open(&address).await?;
    admit_first_admin(&store, first_admin::read(&folder)?).await?;
    let id = identity(&options.data)?;
    let (api, agents) = (listen(options.api).await?, listen(options.agents).await?);
    let listening = Listening { api: address_of(&api, options.api), agents: address_of(&agents, options.agents) };
    let names = authority.names();
    let host = options.advertise.clone().or_else(|| names.first().cloned()).unwrap_or_default();
    if !names.contains(&host) {
        tracing::warn!(
            host,
            ?names,
            "its certificate is for other names: people cannot reach this controller by this one"
        );
    }
    let reached = Reached::of(&host, listening);

    let told = notify::Settings::of_folder(&options.data).map_err(ServeError::Notifications)?;
    let notifier = Notifier::new(told.document, store.clone(), crate::targets::draw_seed());
    let (telling, heard) = Telling::new();

    let registry = Arc::new(Registry::of(id.clone()));
    let revocations = Revocations::default();
    let by_name = Arc::clone(&registry);
    let find: FindAgent = Arc::new(move |host| Arc::new(RemoteAgent::new(Arc::clone(&by_name), host)));
    let running = Running::default();
    let stopping = stop.child_token();
    crate::signals::reach::decide(options.settings.signal_reach.clone());
    let controller = Arc::new(Controller::new(Parts {
        id: id.clone(),
        store: Arc::new(store.clone()),
        registry: Arc::clone(&registry),
        agents: find,
        authority: Arc::clone(&authority),
        revocations: revocations.clone(),
        running: running.clone(),
        settings: options.settings,
        data: options.data,
        stopping: stopping.clone(),
    }));
    let dispatcher = Dispatcher::new(
        store.clone(),
        Arc::new(Connected(Arc::clone(&controller))),
        Arc::new(hearing::Log(controller.metrics().clone(), telling.clone())),
        controller.runs_folder(),
        id.clone(),
        running,
    );
    // What a process of this controller that was killed had connected is not any more; nobody is told otherwise.
    if let Err(error) = store.agents_lost(&id).await {
        tracing::warn!(%error, "the agents from before the restart are still shown as connected");
    }
    match controller.follow_rotation().await {
        Err(ControllerError::Authority(error)) => return Err(error.into()),
        Err(error) => tracing::warn!(%error, "it is not known yet whether the authority is being replaced"),
        Ok(()) => {}
    }
    if let Err(error) = controller.read_revoked().await {
        tracing::warn!(%error, "the revoked certificates could not be read yet");
    }
    let record = enrolling::record(store.clone());
    let gate = Arc::new(AuthorityGate::new(Arc::clone(&authority), revocations, AGENT_LIFE, record)?);
    let enroller = Arc::new(enrolling::ByToken::new(Arc::clone(&authority), store.clone(), reached.agents.clone()));
    let accept = api_port::tls(&authority)?;

    // Two stops: the work first, the ports when it is done.
    let ports = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(server::serve(agents, gate, Arc::clone(&registry), ports.clone()));
    let routes = router(&controller).route_service("/faultline.agent.v1.Enrolment/{call}", enrolment(enroller));
    tasks.spawn(api_port::serve(api, accept, routes, ports.clone()));
    tasks.spawn(presence::keep(store.clone(), Arc::clone(&registry), id.clone(), telling.clone(), ports.clone()));
    tasks.spawn(vanished::watch(Arc::clone(&controller), telling.clone(), ports.clone()));
    tasks.spawn(waiting::watch(Arc::clone(&controller), telling.clone(), ports.clone()));
    tasks.spawn(telling::pass_on(heard, notifier.clone(), ports.clone()));
    tasks.spawn(upkeep::keep(Arc::clone(&controller), reached, now, ports.clone()));
    tasks.spawn(halting::obey(Arc::clone(&controller), telling.clone(), ports.clone()));
    tasks.spawn(cleaning::watch(Arc::clone(&controller), ports.clone()));
    tasks.spawn(host_halts::follow(Arc::clone(&controller), ports.clone()));
    tasks.spawn(game_days::carry(Arc::clone(&controller), telling.clone(), stopping.clone()));
    tasks.spawn(scheduling::fire(Arc::clone(&controller), telling, notifier, stopping.clone()));
    tasks.close();
    ready(listening);
    dispatcher.work(stopping).await;
    ports.cancel();
    tasks.wait().await;
    store.close().await;
    Ok(())
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

/// Where it really listens: a port of 0 was chosen by the kernel.
fn address_of(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

/// The token that `faultline init` made, on the first start.
async fn admit_first_admin(store: &Store, admin: Option<FirstAdmin>) -> Result<(), StoreError> {
    let Some(admin) = admin else { return Ok(()) };
    let token = NewApiToken {
        id: admin.id.to_string(),
        secret_hash: admin.secret_hash.to_string(),
        name: admin.principal.name.clone(),
        role: admin.principal.role.to_string(),
        scope: admin.principal.scope.to_string().into(),
        created_by: "faultline init".into(),
        expires_at: None,
    };
    match store.create_api_token(&token, store.now().await?).await {
        Err(error) if matches!(error.refusal(), Some(Refusal::Exists { .. })) => Ok(()),
        made => made,
    }
}
