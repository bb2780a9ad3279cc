//! A controller over a real store, with hosts that are only lists: for tests.

use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use faultline_agent::node::{NodeStatus, Planned, Undone};
use faultline_agent::plan::Plan;
use faultline_agent::session::limits::PROTOCOL;
use faultline_agent::session::wire::answer::Outcome;
use faultline_agent::session::wire::controller_message::Message;
use faultline_agent::session::wire::request::Kind;
use faultline_agent::session::wire::{Answer, Halted, Heartbeat, Hello};
use tokio_util::sync::CancellationToken;

use super::{Controller, Parts, Settings};
use crate::access::{Principal, Role, Scope};
use crate::authority::{Authority, Revocations};
use crate::dispatch::Running;
use crate::fleet::FaultRequest;
use crate::fleet::registry::{Peer, Registry};
use crate::fleet::remote::RemoteAgent;
use crate::store::{CertificateRole, NewCertificate, Store, StoreAddress};

/// A document that two hosts with `role: db` can carry out.
pub(crate) const DOCUMENT: &str = r#"
apiVersion: faultline.dev/v1
kind: Experiment
metadata: { name: checkout-survives-a-slow-database, labels: { team: payments } }
spec:
  hypothesis: It holds.
  signals:
    shop: { http: { url: "http://127.0.0.1:9/", rate: 50/s } }
  steadyState:
    - { signal: shop, latency: { quantile: 0.99, below: 300ms } }
  targets:
    db: { hosts: { labels: { role: db } } }
  method:
    - observe: 30s
    - inject: { fault: { network-latency: { delay: 100ms } }, on: db, for: 2m }
  seed: 7
"#;

/// A schedule with its experiment.
pub(crate) const SCHEDULE: &str = r#"
apiVersion: faultline.dev/v1
kind: Schedule
metadata: { name: nightly, labels: { team: payments } }
spec:
  cron: "0 3 * * *"
  experiment:
    hypothesis: It holds.
    signals:
      shop: { http: { url: "http://127.0.0.1:9/", rate: 50/s } }
    steadyState:
      - { signal: shop, latency: { quantile: 0.99, below: 300ms } }
    targets:
      db: { hosts: { labels: { role: db } } }
    method:
      - observe: 30s
      - inject: { fault: { network-latency: { delay: 100ms } }, on: db, for: 2m }
"#;

pub(crate) struct Fixture {
    pub(crate) controller: Arc<Controller>,
    pub(crate) running: Running,
    /// What hosts were asked, in words.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    /// Removed with it.
    _scratch: tempfile::TempDir,
}

pub(crate) fn somebody(name: &str, role: Role) -> Principal {
    Principal { name: name.into(), role, scope: Scope::everything() }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreAddress::in_folder(scratch.path())).await.unwrap();
        let folder = Authority::folder(scratch.path());
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let authority = Authority::create(&folder, &names, Timestamp::now()).unwrap();
        let registry = Arc::new(Registry::default());
        let (running, hosts) = (Running::default(), Arc::clone(&registry));
        let parts = Parts {
            id: "controller-a".into(),
            store: Arc::new(store),
            agents: Arc::new(move |host| Arc::new(RemoteAgent::new(Arc::clone(&hosts), host))),
            registry,
            authority: Arc::new(authority),
            revocations: Revocations::default(),
            running: running.clone(),
            settings,
            data: scratch.path().to_owned(),
            stopping: CancellationToken::new(),
        };
        Self { controller: Arc::new(Controller::new(parts)), running, asked: Arc::default(), _scratch: scratch }
    }

    /// A host is connected that answers whatever it is asked; its labels are bound to it.
    pub(crate) async fn host(&self, name: &str, labels: &[(&str, &str)]) {
        self.host_that(name, labels, None).await;
    }

    /// The same, whose policy refuses every fault.
    pub(crate) async fn host_that(&self, name: &str, labels: &[(&str, &str)], refuses: Option<&'static str>) {
        self.host_claiming(name, labels, labels, refuses).await;
    }

    /// The same, to which some labels are bound, and which claims these of itself.
    pub(crate) async fn host_claiming(
        &self,
        name: &str,
        bound: &[(&str, &str)],
        claimed: &[(&str, &str)],
        refuses: Option<&'static str>,
    ) {
        let serial = format!("{:032x}", name.bytes().fold(7_u128, |sum, byte| sum * 31 + u128::from(byte)));
        let certificate = NewCertificate {
            serial: serial.clone(),
            subject: name.into(),
            role: CertificateRole::Agent,
            not_after: Timestamp::now() + std::time::Duration::from_secs(3600),
            authority: self.controller.authority.fingerprint().unwrap().to_string(),
            trusts: vec![self.controller.authority.fingerprint().unwrap().to_string()],
        };
        self.controller.store.record_certificate(&certificate, Timestamp::now()).await.unwrap();
        let hello = Hello {
            protocol: PROTOCOL,
            program: "0.1.0".into(),
            name: name.into(),
            labels: claimed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            boot_id: "boot".into(),
            process_began_ns: 5,
            clock_ns: 10,
            status: serde_json::to_string(&NodeStatus::default()).unwrap(),
            ..Hello::default()
        };
        let peer = Peer { name: name.into(), serial, valid_until: Timestamp::MAX, labels: labels(bound) };
        let mut greeted = self.controller.registry.greet(&peer, "10.0.0.1:5", hello).unwrap();
        let (asked, name) = (Arc::clone(&self.asked), name.to_owned());
        tokio::spawn(async move {
            while let Some(message) = greeted.outgoing.recv().await {
                let Some(Message::Request(request)) = message.message else { continue };
                let Some(kind) = request.kind else { continue };
                let (word, outcome) = answer(kind, refuses);
                asked.lock().unwrap().push(format!("{name}: {word}"));
                greeted.line.answered(Answer { id: request.id, outcome: Some(outcome), news: None });
            }
        });
    }

    /// A connected host says how it stands.
    pub(crate) fn says(&self, host: &str, status: &NodeStatus) {
        let line = self.controller.registry.line(host).unwrap();
        let status = Some(serde_json::to_string(status).unwrap());
        self.controller.registry.beat(host, &line, Heartbeat { status, ..Heartbeat::default() });
    }

    /// What is in the audit log, the oldest first: who did what to which object with which outcome.
    pub(crate) async fn audited(&self) -> Vec<String> {
        let mut records = self.controller.store.audit(&Default::default(), 1_000).await.unwrap();
        records.reverse();
        let line = |record: crate::audit::Record| {
            format!("{} {} {}: {}", record.deed.actor, record.deed.action, record.deed.object, record.deed.outcome)
        };
        records.into_iter().map(line).collect()
    }
}

fn answer(kind: Kind, refuses: Option<&str>) -> (String, Outcome) {
    match kind {
        Kind::Plan(ask) => {
            let request: FaultRequest = serde_json::from_str(&ask.fault).unwrap();
            let plan = Plan {
                id: request.id.clone(),
                fault: request.fault.name().into(),
                targets: vec!["everything".into()],
                dose: Vec::new(),
                steps: Vec::new(),
                notes: Vec::new(),
            };
            let planned = Planned { targets: plan.targets.clone(), plan, refused: refuses.map(str::to_owned) };
            ("plan".into(), Outcome::Planned(serde_json::to_string(&planned).unwrap()))
        }
        Kind::Halt(order) => (format!("halt: {}", order.reason), Outcome::Halted(Halted { faults: Vec::new() })),
        // Of one fault it is sure that it is gone.
        Kind::Undo(of) if of.fault == "0123456789ab" => {
            let undone = Undone { steps: Vec::new(), verified: true, took: std::time::Duration::ZERO };
            (format!("undo {}", of.fault), Outcome::Undone(serde_json::to_string(&undone).unwrap()))
        }
        Kind::Release(_) => ("release".into(), Outcome::Released("null".into())),
        other => (format!("{other:?}"), Outcome::Refused("a host that is only a list".into())),
    }
}

/// Labels from pairs.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
