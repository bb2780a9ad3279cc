use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use faultline::fleet::registry::FleetEvent;
use faultline::fleet::server::{Credentials, Enrolled, Enroller, Wanted, enrolment};
use faultline::fleet::{Agent, Answer, FaultRequest};
use faultline::{authority, fleet};
use faultline_agent::credentials::EnrolmentToken;
use jiff::Timestamp;
use rustix::process::Signal;

use crate::network::{Controller, until};
use crate::played_host::request;
use crate::real_agent::{Office, RealAgent, program};

/// A process of the test's own.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('T')
    }

    /// A fault that pauses it.
    fn pause(&self, number: u64) -> FaultRequest {
        let target = serde_json::json!({ "process": { "pid": self.0.id() } });
        let target = serde_json::from_value(target).unwrap();
        FaultRequest { target_name: "sleeper".into(), target: Some(target), ..request(number, Duration::from_secs(60)) }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_agent_pauses_a_process_undoes_at_sigterm_and_ends_with_zero() {
    let Some(program) = program() else { return };
    let office = Office::open();
    let controller = Controller::start(office.gate()).await;
    let state = office.enrolled("db-1", controller.address.port(), authority::AGENT_LIFE);
    let sleeper = Sleeper::start();
    let mut agent = RealAgent::start(&program, &state);
    let remote = controller.agent("db-1");
    let planned = remote.plan(sleeper.pause(1)).await.unwrap();
    assert!(planned.targets[0].contains("sleep") || planned.plan.targets[0].contains("sleep"), "{planned:?}");
    remote.inject(sleeper.pause(1)).await.unwrap();
    assert!(sleeper.is_stopped());
    assert!(remote.evidence(sleeper.pause(1).id).await.is_ok());
    let undone = remote.undo(sleeper.pause(1).id).await;
    assert!(undone.verified && !sleeper.is_stopped(), "{undone:?}");
    remote.inject(sleeper.pause(2)).await.unwrap();
    assert!(sleeper.is_stopped());
    let view = controller.registry.view("db-1").unwrap();
    assert_eq!(view.labels["role"], "db");
    assert!(view.labels["faultline.dev/kernel"].starts_with(|letter: char| letter.is_ascii_digit()));
    let refused = remote.plan(request(3, Duration::from_secs(1))).await.unwrap_err();
    assert!(!refused.reason.is_empty(), "the whole host cannot be paused");
    agent.signal(Signal::TERM);
    assert_eq!(agent.ended().code(), Some(0));
    assert!(!sleeper.is_stopped());
    until("it has left", || controller.registry.connected() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_is_undone_by_its_guard_and_is_known_again() {
    let Some(program) = program() else { return };
    let office = Office::open();
    let controller = Controller::start(office.gate()).await;
    let state = office.enrolled("db-1", controller.address.port(), authority::AGENT_LIFE);
    let sleeper = Sleeper::start();
    let mut events = controller.registry.subscribe();
    let mut agent = RealAgent::start(&program, &state);
    let remote = controller.agent("db-1");
    remote.inject(sleeper.pause(1)).await.unwrap();
    agent.signal(Signal::KILL);
    agent.ended();
    until("the guard has undone it", || !sleeper.is_stopped()).await;
    let _again = RealAgent::start(&program, &state);
    // What the controller does not know it asks, and believes no other.
    assert!(remote.undo(sleeper.pause(1).id).await.verified);
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        told.push(event);
    }
    assert!(
        matches!(&told[..], [FleetEvent::Joined { .. }, FleetEvent::Vanished { .. }, FleetEvent::Restarted { .. }]),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_is_kept_by_the_host_itself_until_released() {
    let Some(program) = program() else { return };
    let office = Office::open();
    let controller = Controller::start(office.gate()).await;
    let state = office.enrolled("db-1", controller.address.port(), authority::AGENT_LIFE);
    let sleeper = Sleeper::start();
    let _agent = RealAgent::start(&program, &state);
    let remote = controller.agent("db-1");
    remote.inject(sleeper.pause(1)).await.unwrap();
    let halted = fleet::halt::halt(&controller.registry, "enough", Duration::from_secs(5)).await;
    assert!(halted.is_clean() && halted.hosts[0].undone.len() == 1 && !sleeper.is_stopped(), "{halted:?}");
    // Also for who does not ask this controller.
    let halt = std::fs::read_to_string(state.join("halt.json")).unwrap();
    assert!(halt.contains("controller: enough"), "{halt}");
    fleet::halt::release(&controller.registry, Duration::from_secs(5)).await;
    assert!(!state.join("halt.json").exists());
    remote.inject(sleeper.pause(2)).await.unwrap();
    assert!(remote.undo(sleeper.pause(2).id).await.verified);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_due_is_renewed_and_one_that_is_revoked_ends_the_session() {
    let Some(program) = program() else { return };
    let office = Office::open();
    let controller = Controller::start(office.gate()).await;
    // Of its life of two minutes, five before now included, everything but a moment is over.
    let state = office.enrolled("db-1", controller.address.port(), Duration::from_secs(30));
    let before = std::fs::read_to_string(state.join("credentials/credentials.json")).unwrap();
    let _agent = RealAgent::start(&program, &state);
    let renewed = || std::fs::read_to_string(state.join("credentials/credentials.json")).unwrap() != before;
    until("it is renewed", renewed).await;
    let valid_for_long = || {
        let view = controller.registry.view("db-1");
        view.is_some_and(|view| view.connected && view.valid_until > Timestamp::now() + Duration::from_secs(3600))
    };
    until("it is connected with the new one", valid_for_long).await;
    let serial = controller.registry.view("db-1").unwrap().serial;
    office.revocations.revoke(serial.parse().unwrap());
    until("its session is ended", || controller.registry.connected() == 0).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(controller.registry.connected(), 0);
    let log = std::fs::read_to_string(state.join("agent.log")).unwrap();
    assert!(log.contains("was revoked"), "{log}");
}

/// Enrols whoever knows the secret, once.
struct OneToken {
    office: Arc<authority::Authority>,
    token: EnrolmentToken,
    used: std::sync::Mutex<bool>,
    agents: String,
}

impl Enroller for OneToken {
    fn enrol(&self, wanted: Wanted) -> Answer<Result<Enrolled, String>> {
        let good = wanted.token_id == self.token.id.as_str() && wanted.token_secret == self.token.secret.reveal();
        let fresh = good && !std::mem::replace(&mut *self.used.lock().unwrap(), true);
        let enrolled = if fresh {
            let name = wanted.name.parse().unwrap();
            let issued = self.office.issue_agent(
                &wanted.signing_request,
                &name,
                &Default::default(),
                authority::AGENT_LIFE,
                Timestamp::now(),
            );
            let issued = issued.unwrap();
            Ok(Enrolled {
                credentials: Credentials {
                    certificate_chain: issued.certificate_chain,
                    trust_bundle: issued.trust_bundle,
                },
                server_name: "127.0.0.1".into(),
                agent_address: self.agents.clone(),
            })
        } else {
            Err("the token is unknown, used up, or expired".into())
        };
        Box::pin(async { enrolled })
    }
}

/// The port for people and programs, as far as hosts need it to be enrolled.
async fn serve_enrolment(office: &Office, enroller: Arc<dyn Enroller>) -> u16 {
    let tls = authority::tls::api_port(&office.authority, authority::tls::system_time()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = enrolment(enroller);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&tls));
            let service = service.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = hyper_util::service::TowerToHyperService::new(service);
                let executor = hyper_util::rt::TokioExecutor::new();
                let serving = hyper::server::conn::http2::Builder::new(executor);
                let _ = serving.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_enrolled_by_its_token_once_and_then_connects() {
    let Some(program) = program() else { return };
    let office = Office::open();
    let controller = Controller::start(office.gate()).await;
    let token = EnrolmentToken::random(office.authority.fingerprint().unwrap()).unwrap();
    let enroller = OneToken {
        office: Arc::clone(&office.authority),
        token: token.clone(),
        used: std::sync::Mutex::default(),
        agents: controller.address.to_string(),
    };
    let port = serve_enrolment(&office, Arc::new(enroller)).await;
    let enrol = |state: &str, port: u16, token: &EnrolmentToken| {
        let mut command = Command::new(&program);
        command.args(["enrol", "--controller", &format!("https://127.0.0.1:{port}"), "--token", &token.to_string()]);
        command.args(["--name", "web-1", "--state"]).arg(office.scratch.path().join(state));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), text)
    };
    let elsewhere = Office::open();
    let foreign = EnrolmentToken { authority: elsewhere.authority.fingerprint().unwrap(), ..token.clone() };
    let (code, told) = enrol("a", port, &foreign);
    assert!(code == Some(3) && told.contains("another authority signed its certificate"), "{code:?} {told}");
    let wrong = EnrolmentToken::random(office.authority.fingerprint().unwrap()).unwrap();
    let (code, told) = enrol("a", port, &wrong);
    assert!(code == Some(3) && told.contains("does not enrol this host: the token is unknown"), "{told}");
    assert!(told.contains("hint: ") && !told.contains(&wrong.secret.reveal()), "{told}");
    let (code, told) = enrol("a", 1, &token);
    assert!(code == Some(3) && told.contains("cannot reach the controller at 127.0.0.1:1"), "{told}");
    let (code, told) = enrol("a", port, &token);
    assert!(code == Some(0) && told.starts_with("enrolled as web-1 at 127.0.0.1:"), "{told}");
    let (code, told) = enrol("b", port, &token);
    assert!(code == Some(3) && told.contains("used up"), "a token is good once: {told}");
    let _agent = RealAgent::start(&program, &office.scratch.path().join("a"));
    until("it is connected", || controller.registry.view("web-1").is_some()).await;
}

#[test]
fn a_host_that_is_not_enrolled_is_told_how() {
    let Some(program) = program() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let output = Command::new(program).args(["run", "--state"]).arg(scratch.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3));
    assert!(told.contains("error: this host is not enrolled") && told.contains("hint: "), "{told}");
}
