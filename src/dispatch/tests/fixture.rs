use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::dispatch::driving::experiment;
use crate::dispatch::{Dispatcher, FleetAsked, Hosts, Listener, Running};
use crate::fleet::Agent;
use crate::fleet::fake::FakeAgent;
use crate::fleet::registry::FleetEvent;
use crate::run::journal::Entry;
use crate::store::runs::{NewRun, Origin, Run};
use crate::store::{AgentConnection, Controller, Store, StoreAddress};
use crate::targets::fleet_plan::{Fleet, plan};
use crate::targets::hosts::{HostFacts, HostHealth, HostQuestion};

/// A store, the hosts of a fleet, and controllers over them.
pub(super) struct Controllers {
    pub(super) store: Store,
    data: tempfile::TempDir,
    hosts: Arc<Listed>,
    service: TcpListener,
}

/// Hosts that are only lists, all of them databases.
struct Listed {
    agents: Mutex<BTreeMap<String, Arc<FakeAgent>>>,
    facts: Mutex<BTreeMap<String, HostFacts>>,
    events: broadcast::Sender<FleetEvent>,
}

impl Listed {
    fn add(&self, host: &str) {
        let labels = BTreeMap::from([("role".to_owned(), "db".to_owned())]);
        let facts = HostFacts {
            name: host.to_owned(),
            labels,
            bound: BTreeMap::new(),
            connected: true,
            health: HostHealth::Healthy,
        };
        self.facts.lock().unwrap().insert(host.to_owned(), facts);
        self.agents.lock().unwrap().insert(host.to_owned(), Arc::new(FakeAgent::named(host)));
    }

    fn fleet(&self) -> Fleet {
        Fleet { hosts: self.facts.lock().unwrap().values().cloned().collect(), ..Fleet::default() }
    }
}

/// What of it a controller can speak to.
struct Within {
    all: Arc<Listed>,
    connected: Option<Arc<Mutex<BTreeSet<String>>>>,
}

impl Hosts for Within {
    fn agent(&self, host: &str) -> Arc<dyn Agent> {
        self.all.agents.lock().unwrap()[host].clone()
    }

    fn is_connected(&self, host: &str) -> bool {
        self.connected.as_ref().is_none_or(|connected| connected.lock().unwrap().contains(host))
    }

    fn fleet(&self, _: &str) -> FleetAsked<'_> {
        Box::pin(async { Ok(self.all.fleet()) })
    }

    fn facts(&self, host: &str) -> Option<HostFacts> {
        self.all.facts.lock().unwrap().get(host).cloned()
    }

    fn events(&self) -> broadcast::Receiver<FleetEvent> {
        self.all.events.subscribe()
    }
}

struct Deaf;

impl Listener for Deaf {
    fn entry(&self, _: &Run, _: &Entry) {}
    fn over(&self, _: &Run) {}
}

/// One controller at work, in a runtime of its own so that it can be killed.
pub(super) struct Working {
    pub(super) dispatcher: Arc<Dispatcher>,
    stop: CancellationToken,
    runtime: Option<tokio::runtime::Runtime>,
    work: Option<tokio::task::JoinHandle<()>>,
}

impl Working {
    /// As SIGTERM: it ends its runs first.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        if let Some(work) = self.work.take() {
            work.await.unwrap();
        }
        self.end();
    }

    /// As SIGKILL, as far as a thread can be: nothing that it began goes on to write or to ask anybody.
    pub(super) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a run is to be: 2 s before, so long under a fault, on every host of the fleet.
pub(super) struct Wanted {
    id: &'static str,
    lasts: &'static str,
    /// The names of its hosts, as the document says them.
    names: &'static str,
    /// The `pick` of its hosts, and more of the spec.
    pick: &'static str,
    more: &'static str,
}

pub(super) fn run(id: &'static str, lasts: &'static str) -> Wanted {
    Wanted { id, lasts, names: "[\"*\"]", pick: "all", more: "" }
}

impl Wanted {
    /// With more in its spec.
    pub(super) fn with(self, more: &'static str) -> Self {
        Self { more, ..self }
    }

    /// On hosts of these names alone.
    pub(super) fn on(self, names: &'static str) -> Self {
        Self { names, ..self }
    }

    /// With another pick of hosts.
    pub(super) fn pick(self, pick: &'static str) -> Self {
        Self { pick, ..self }
    }

    fn document(&self, port: u16) -> String {
        let Self { lasts, names, pick, more, .. } = self;
        format!(
            "apiVersion: faultline.dev/v1\nkind: Experiment\nmetadata: {{ name: pause }}\nspec:\n  \
             hypothesis: Nobody notices.\n  signals:\n    port: {{ tcp: {{ address: \"127.0.0.1:{port}\", rate: 100/s, timeout: 200ms }} }}\n  \
             steadyState:\n    - {{ signal: port, errors: {{ below: 50% }} }}\n  \
             targets:\n    db: {{ hosts: {{ labels: {{ role: db }}, names: {names}, pick: {pick} }}, process: {{ name: sleep }} }}\n  method:\n    \
             - observe: 2s\n    - inject: {{ fault: {{ process-pause: {{}} }}, on: db, for: {lasts} }}\n    \
             - observe: 2s\n  recovery: {{ within: 10s }}\n{more}"
        )
    }
}

impl Controllers {
    pub(super) async fn new(hosts: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreAddress::in_folder(data.path())).await.unwrap();
        let listed = Listed { agents: Mutex::default(), facts: Mutex::default(), events: broadcast::Sender::new(16) };
        hosts.iter().for_each(|host| listed.add(host));
        let service = TcpListener::bind("127.0.0.1:0").unwrap();
        let accepting = service.try_clone().unwrap();
        // Ends with the test's process; what is accepted is closed at once.
        std::thread::spawn(move || while accepting.accept().is_ok() {});
        Self { store, data, hosts: Arc::new(listed), service }
    }

    pub(super) fn folder(&self, controller: &str) -> PathBuf {
        self.data.path().join(controller)
    }

    pub(super) fn agent(&self, host: &str) -> Arc<FakeAgent> {
        self.hosts.agents.lock().unwrap()[host].clone()
    }

    /// A host joins the fleet.
    pub(super) fn join(&self, host: &str) {
        self.hosts.add(host);
        self.hosts.events.send(FleetEvent::Joined { host: host.to_owned() }).unwrap();
    }

    /// What is known of a host becomes another.
    pub(super) fn change(&self, host: &str, change: impl FnOnce(&mut HostFacts)) {
        change(self.hosts.facts.lock().unwrap().get_mut(host).unwrap());
    }

    /// The decisive entries of a run's journal.
    pub(super) async fn journal(&self, run: &str) -> Vec<Entry> {
        let texts = self.store.entries(run, 0).await.unwrap();
        texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    pub(super) async fn start(&self, controller: &str) -> Working {
        self.start_within(controller, None).await
    }

    /// A controller to which these hosts alone are connected, as the store knows too.
    pub(super) async fn start_reaching(
        &self,
        controller: &str,
        hosts: &[&str],
    ) -> (Working, Arc<Mutex<BTreeSet<String>>>) {
        self.is_seen(controller).await;
        for host in hosts {
            let connection = AgentConnection {
                name: (*host).into(),
                labels: BTreeMap::new(),
                bound: BTreeMap::new(),
                capabilities: serde_json::Value::Null,
                certificate: "01".into(),
                version: "0".into(),
                controller: controller.into(),
            };
            self.store.agent_connected(&connection, self.store.now().await.unwrap()).await.unwrap();
        }
        let connected = Arc::new(Mutex::new(hosts.iter().map(|&host| host.to_owned()).collect()));
        (self.start_within(controller, Some(Arc::clone(&connected))).await, connected)
    }

    /// A controller says that it lives.
    pub(super) async fn is_seen(&self, controller: &str) {
        let now = self.store.now().await.unwrap();
        let (id, version) = (controller.to_owned(), "0".to_owned());
        let (address, agents) = (String::new(), String::new());
        let seen = Controller { id, address, agents, version, started_at: now, seen_at: now };
        self.store.controller_seen(&seen).await.unwrap();
    }

    async fn start_within(&self, controller: &str, connected: Option<Arc<Mutex<BTreeSet<String>>>>) -> Working {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // Its own connections, which die with it.
        let address = StoreAddress::in_folder(self.data.path());
        let store = runtime.spawn(async move { Store::open(&address).await.unwrap() }).await.unwrap();
        let hosts: Arc<dyn Hosts> = Arc::new(Within { all: self.hosts.clone(), connected });
        let dispatcher = Dispatcher::new(
            store,
            hosts,
            Arc::new(Deaf),
            self.folder(controller),
            controller.to_owned(),
            Running::default(),
        );
        let stop = CancellationToken::new();
        let work = runtime.spawn(dispatcher.clone().work(stop.clone()));
        Working { dispatcher, stop, runtime: Some(runtime), work: Some(work) }
    }

    /// Asks for a run, planned for the fleet as it is now.
    pub(super) async fn submit(&self, wanted: &Wanted) {
        let document = wanted.document(self.service.local_addr().unwrap().port());
        let experiment = experiment("pause", &document).unwrap();
        let fleet = self.hosts.fleet();
        let question = HostQuestion {
            spec: &experiment.spec,
            seed: 7,
            fleet: &fleet.hosts,
            held: &fleet.held,
            ceilings: &fleet.ceilings,
        };
        let plan = plan(&experiment, &question).unwrap();
        let run = NewRun {
            id: wanted.id.to_owned(),
            experiment: "pause".to_owned(),
            labels: BTreeMap::new(),
            document,
            seed: 7,
            plan: plan.to_json().unwrap().to_string(),
            plan_hash: plan.hash().to_string(),
            hosts: plan.hosts().into_iter().map(str::to_owned).collect(),
            shared_hosts: false,
            requested_by: "ann".to_owned(),
            origin: Origin::Api,
            approvals_needed: 0,
            not_before: None,
            deadline: None,
        };
        self.store.submit(&run, self.store.now().await.unwrap()).await.unwrap();
    }

    pub(super) async fn run(&self, run: &str) -> Run {
        self.store.run(run).await.unwrap()
    }

    pub(super) async fn wait_for(&self, run: &str, seen: impl Fn(&Run) -> bool) -> Run {
        let begun = Instant::now();
        loop {
            let found = self.run(run).await;
            if seen(&found) {
                return found;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{found:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the fault of a run is in place on a host, and the run has written down all that it will until it ends: a
    /// controller that is killed here takes no thread of its run with it.
    pub(super) async fn wait_for_the_fault(&self, run: &str, host: &str) {
        let begun = Instant::now();
        let watching = async || {
            self.store.entries(run, 0).await.unwrap().iter().any(|entry| entry.contains("\"state\":\"watching\""))
        };
        while self.agent(host).in_place().is_empty() || !watching().await {
            let found = self.run(run).await;
            assert!(!found.state.is_over() && begun.elapsed() < Duration::from_secs(60), "{found:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
