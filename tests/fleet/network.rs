//! Controllers and agents joined: by real TCP and TLS over loopback, or by pipes in simulated time that a test can cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use faultline::fleet::registry::{Peer, Registry};
use faultline::fleet::remote::RemoteAgent;
use faultline::fleet::server::{self, Gate};
use faultline_agent::session::dial::{Dial, Stream, TlsDial};
use faultline_agent::session::{AgentOptions, Answer, Directory, Ended, Greeting, Notifier, Trouble};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::certificates::{Authority, TestIdentity};
use crate::played_host::{PlayedClock, PlayedHost};

/// A controller on a port of loopback.
pub(crate) struct Controller {
    pub(crate) registry: Arc<Registry>,
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Controller {
    pub(crate) async fn start(gate: Arc<dyn Gate>) -> Self {
        Self::start_at(gate, "127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(gate: Arc<dyn Gate>, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (registry, stop) = (Arc::new(Registry::default()), CancellationToken::new());
        let task = tokio::spawn(server::serve(listener, gate, Arc::clone(&registry), stop.clone()));
        Self { registry, address, stop, task }
    }

    pub(crate) fn agent(&self, name: &str) -> RemoteAgent {
        RemoteAgent::new(Arc::clone(&self.registry), name)
    }

    pub(crate) fn dial(&self, identity: TestIdentity) -> TlsDial {
        TlsDial::new("127.0.0.1", self.address.port(), identity)
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// An agent that runs.
pub(crate) struct Running {
    pub(crate) host: PlayedHost,
    pub(crate) stop: watch::Sender<Option<String>>,
    pub(crate) task: JoinHandle<Ended>,
}

impl Running {
    pub(crate) async fn end(self, reason: &str) -> Ended {
        self.stop.send_replace(Some(reason.into()));
        self.task.await.unwrap()
    }
}

pub(crate) fn greeting(name: &str) -> Greeting {
    Greeting {
        name: name.into(),
        program: "test".into(),
        labels: [("role".to_owned(), "db".to_owned())].into(),
        discovered: [("faultline.dev/kernel".to_owned(), "6".to_owned())].into(),
        boot_id: "boot".into(),
        process_began: 5,
    }
}

pub(crate) fn run_agent(name: &str, dial: impl Dial) -> Running {
    run_agent_of(greeting(name), PlayedHost::default(), dial)
}

pub(crate) fn run_agent_of(greeting: Greeting, host: PlayedHost, dial: impl Dial) -> Running {
    run_agent_with(greeting, host, vec![Arc::new(dial)], None)
}

pub(crate) fn run_agent_with(
    greeting: Greeting,
    host: PlayedHost,
    dials: Vec<Arc<dyn Dial>>,
    directory: Option<Arc<dyn Directory>>,
) -> Running {
    let options = AgentOptions {
        host: Arc::new(host.clone()),
        dials,
        directory,
        clock: PlayedClock::start(),
        greeting,
        seed: 1,
        notifier: Notifier::default(),
        renewal: None,
    };
    let (stop, stopped) = watch::channel(None);
    Running { host, stop, task: tokio::spawn(faultline_agent::session::run(options, stopped)) }
}

/// Waits until something is so; at most half a minute.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = tokio::time::Instant::now();
    while !is_so() {
        assert!(began.elapsed().as_secs() < 60, "waited in vain until {what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// A cable to a controller, in simulated time: each dial makes a pipe to the controller that is plugged in.
#[derive(Clone, Default)]
pub(crate) struct Cable(Arc<Mutex<Plugged>>);

#[derive(Default)]
struct Plugged {
    controller: Option<(Arc<Registry>, Arc<dyn Gate>)>,
    name: String,
    /// Whom it dials, for people.
    address: String,
    serving: Vec<CancellationToken>,
    /// Whether what is sent stays on the way, and nobody is told.
    silent: watch::Sender<bool>,
}

impl Cable {
    pub(crate) fn of(name: &str) -> Self {
        Self::to(name, "controller")
    }

    /// One that is dialled by another address.
    pub(crate) fn to(name: &str, address: &str) -> Self {
        let cable = Self::default();
        let mut plugged = cable.0.lock().unwrap();
        plugged.name = name.into();
        plugged.address = address.into();
        drop(plugged);
        cable
    }

    /// Plugs it into a controller.
    pub(crate) fn plug(&self, registry: &Arc<Registry>, gate: Arc<dyn Gate>) {
        self.0.lock().unwrap().controller = Some((Arc::clone(registry), gate));
    }

    /// Pulls it: connections end, and none can be made.
    pub(crate) fn pull(&self) {
        let mut plugged = self.0.lock().unwrap();
        plugged.controller = None;
        plugged.serving.drain(..).for_each(|serving| serving.cancel());
    }

    /// From now on nothing comes through, or everything that was held.
    pub(crate) fn hold(&self, silent: bool) {
        self.0.lock().unwrap().silent.send_replace(silent);
    }
}

impl Dial for Cable {
    fn dial(&self) -> Answer<Result<Box<dyn Stream>, Trouble>> {
        let mut plugged = self.0.lock().unwrap();
        let Some((registry, gate)) = plugged.controller.clone() else {
            return Box::pin(async { Err(Trouble::unreachable("controller", "the cable is pulled")) });
        };
        let (agent, agent_side) = tokio::io::duplex(64 * 1024);
        let (controller_side, controller) = tokio::io::duplex(64 * 1024);
        let ended = CancellationToken::new();
        plugged.serving.push(ended.clone());
        let peer = Peer {
            name: plugged.name.clone(),
            serial: "1".into(),
            valid_until: jiff::Timestamp::MAX,
            labels: Default::default(),
        };
        let (from_agent, to_agent) = tokio::io::split(agent_side);
        let (from_controller, to_controller) = tokio::io::split(controller_side);
        let silent = plugged.silent.subscribe();
        let carrying = ended.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = carry(from_agent, to_controller, silent.clone()) => {}
                () = carry(from_controller, to_agent, silent) => {}
                () = carrying.cancelled() => {}
            }
        });
        tokio::spawn(async move {
            tokio::select! {
                () = server::serve_connection(controller, peer, "pipe".into(), gate, registry) => {}
                () = ended.cancelled() => {}
            }
        });
        Box::pin(async move { Ok(Box::new(agent) as Box<dyn Stream>) })
    }

    fn peer(&self) -> String {
        self.0.lock().unwrap().address.clone()
    }
}

async fn carry(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    mut silent: watch::Receiver<bool>,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut buffer = [0; 4096];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        if silent.wait_for(|silent| !*silent).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// A registry with its sweep, without a port.
pub(crate) fn registry() -> (Arc<Registry>, JoinHandle<()>) {
    registry_of("controller")
}

/// That of the controller with this id.
pub(crate) fn registry_of(controller: &str) -> (Arc<Registry>, JoinHandle<()>) {
    let registry = Arc::new(Registry::of(controller));
    let swept = Arc::clone(&registry);
    let sweep = tokio::spawn(async move { swept.sweep().await });
    (registry, sweep)
}

/// A gate for cables, whose peers are known without certificates.
pub(crate) fn no_gate() -> Arc<dyn Gate> {
    static AUTHORITY: std::sync::OnceLock<Authority> = std::sync::OnceLock::new();
    AUTHORITY.get_or_init(Authority::new).gate()
}
