use std::sync::Arc;
use std::time::Duration;

use faultline::fleet::Agent;
use faultline::fleet::registry::FleetEvent;
use faultline_agent::session::dial::Dial;
use faultline_agent::session::wire::RenewRequest;
use faultline_agent::session::{client, speak};

use crate::certificates::{Authority, VALID, Years, client as tls_client};
use crate::network::{Controller, greeting, run_agent, run_agent_of, until};
use crate::played_host::{PlayedHost, request};

#[tokio::test]
async fn a_fault_is_planned_injected_measured_and_undone_over_tls() {
    let authority = Authority::new();
    let controller = Controller::start(authority.gate()).await;
    let mut events = controller.registry.subscribe();
    let running = run_agent("db-1", controller.dial(authority.identity("db-1")));
    let agent = controller.agent("db-1");
    let wanted = request(7, Duration::from_secs(60));
    // Asked before the host is there: it waits.
    assert_eq!(agent.plan(wanted.clone()).await.unwrap().plan.id, wanted.id);
    assert_eq!(events.recv().await.unwrap(), FleetEvent::Joined { host: "db-1".into() });
    agent.inject(wanted.clone()).await.unwrap();
    agent.inject(wanted.clone()).await.unwrap();
    assert_eq!(running.host.injections(&wanted.id), 1, "the same request again does nothing");
    assert!(agent.evidence(wanted.id.clone()).await.is_ok());
    let view = || controller.registry.view("db-1").unwrap();
    until("the status shows it", || view().status.active.len() == 1).await;
    assert_eq!(view().labels["role"], "db");
    assert_eq!(view().labels["faultline.dev/kernel"], "6");
    assert!(view().connected && view().address.starts_with("127.0.0.1:"));
    let undone = agent.undo(wanted.id.clone()).await;
    assert!(undone.verified && undone.steps.len() == 1, "{undone:?}");
    assert_eq!(agent.undo(wanted.id.clone()).await, undone, "what was really done is answered again");
    assert!(agent.inject(wanted.clone()).await.unwrap_err().reason.contains("its undo was asked for already"));
    assert!(agent.evidence(wanted.id).await.is_err());
    assert_eq!(agent.must_stop(), None);
    let ended = running.end("SIGTERM").await;
    assert!(ended.status.is_clean() && !ended.guard_lost);
    until("it has left", || !view().connected).await;
    assert_eq!(events.recv().await.unwrap(), FleetEvent::Left { host: "db-1".into(), because: "SIGTERM".into() });
    controller.stop().await;
}

#[tokio::test]
async fn an_agent_that_ends_undoes_first_and_tells() {
    let authority = Authority::new();
    let controller = Controller::start(authority.gate()).await;
    let mut events = controller.registry.subscribe();
    let running = run_agent("db-1", controller.dial(authority.identity("db-1")));
    let wanted = request(7, Duration::from_secs(60));
    controller.agent("db-1").inject(wanted.clone()).await.unwrap();
    let host = running.host.clone();
    running.end("SIGTERM").await;
    assert!(!host.holds(&wanted.id));
    let mut told = Vec::new();
    while let Ok(Ok(event)) = tokio::time::timeout(Duration::from_secs(2), events.recv()).await {
        let ends = matches!(event, FleetEvent::Left { .. });
        told.push(event);
        if ends {
            break;
        }
    }
    assert!(
        matches!(&told[..], [FleetEvent::Joined { .. }, FleetEvent::UndoneAlone { fault, because, undone, .. }, FleetEvent::Left { .. }]
            if *fault == wanted.id.to_string() && because.contains("SIGTERM") && undone.verified),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_certificate_is_renewed_over_the_same_connection() {
    let authority = Authority::new();
    let controller = Controller::start(authority.gate()).await;
    let stream = controller.dial(authority.identity("db-1")).dial().await.unwrap();
    let (connection, driver) = speak(stream).await.unwrap();
    tokio::spawn(driver);
    let answer = client(connection).renew(RenewRequest { signing_request: "request".into() }).await.unwrap();
    assert_eq!(answer.into_inner().certificate_chain, "for db-1");
}

#[tokio::test]
async fn a_certificate_that_was_revoked_ends_the_session_and_opens_none() {
    let authority = Authority::new();
    let gate = authority.gate();
    let controller = Controller::start(Arc::clone(&gate) as _).await;
    let _running = run_agent("db-1", controller.dial(authority.identity("db-1")));
    until("it is there", || controller.registry.connected() == 1).await;
    gate.revoked.lock().unwrap().insert("db-1".into());
    // The port asks again and again who is admitted.
    until("it is gone", || controller.registry.connected() == 0).await;
    let second = run_agent("db-1", controller.dial(authority.identity("db-1")));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(controller.registry.connected(), 0);
    second.end("over").await;
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_with_the_way_on() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let trouble = async |controller: &Controller, identity| {
        controller.dial(identity).dial().await.err().map(|trouble| trouble.to_string()).unwrap_or_default()
    };
    let controller = Controller::start(authority.gate()).await;
    // An agent of another authority does not trust this controller.
    let told = trouble(&controller, foreign.identity("db-1")).await;
    assert!(told.contains("another authority signed its certificate"), "{told}");
    let not_yet = Controller::start(authority.gate_valid(Years(2080, 2090))).await;
    let told = trouble(&not_yet, authority.identity("db-1")).await;
    assert!(told.contains("valid from 2080-01-01T00:00:00Z, and this host's clock says 20"), "{told}");
    let expired = Controller::start(authority.gate_valid(Years(2000, 2001))).await;
    let told = trouble(&expired, authority.identity("db-1")).await;
    assert!(told.contains("was valid until 2001-01-01T00:00:00Z"), "{told}");
}

#[tokio::test]
async fn a_client_without_a_certificate_of_this_authority_gets_no_session() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let controller = Controller::start(authority.gate()).await;
    let none = tls_client(authority.roots()).with_no_client_auth();
    let (chain, key) = foreign.issue("db-1", VALID);
    let other = tls_client(authority.roots()).with_client_auth_cert(chain, key).unwrap();
    let (chain, key) = authority.issue("db-1", Years(2000, 2001));
    let expired = tls_client(authority.roots()).with_client_auth_cert(chain, key).unwrap();
    for (config, what) in [(none, "none"), (other, "foreign"), (expired, "expired")] {
        let identity = crate::certificates::TestIdentity(Arc::new(config));
        // In TLS 1.3 the client is done before the server has looked: the refusal comes with the first read.
        if let Ok(stream) = controller.dial(identity).dial().await
            && let Ok((connection, driver)) = speak(stream).await
        {
            tokio::spawn(driver);
            let answer = client(connection).renew(RenewRequest::default()).await;
            assert!(answer.is_err(), "{what}");
        }
    }
    assert!(controller.registry.views().is_empty());
}

#[tokio::test]
async fn an_agent_that_claims_another_name_is_refused_and_hears_why() {
    let authority = Authority::new();
    let controller = Controller::start(authority.gate()).await;
    let running = run_agent_of(greeting("db-2"), PlayedHost::default(), controller.dial(authority.identity("db-1")));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(controller.registry.views().is_empty());
    running.end("over").await;
}
