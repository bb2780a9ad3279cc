//! A controller beside another one over the same store.

use std::time::Duration;

use jiff::Timestamp;

use super::fixture::{DOCUMENT, Fixture, labels, somebody};
use super::submit::Submission;
use crate::access::{Principal, Role};
use crate::console::Problem;
use crate::report::Format;
use crate::report::fixture::{Ending, journal, lines};
use crate::run::journal::Event;
use crate::store::runs::RunState;
use crate::store::{AgentConnection, Controller};

const LEASE: Duration = Duration::from_secs(60);
const OTHER: &str = "https://b.example:7443";

fn ann() -> Principal {
    somebody("ann", Role::Operator)
}

/// The other controller was seen at that time.
async fn is_seen(fixture: &Fixture, seen_at: Timestamp) {
    seen(fixture, "controller-b", seen_at).await;
}

async fn seen(fixture: &Fixture, id: &str, seen_at: Timestamp) {
    let other = Controller {
        id: id.into(),
        address: OTHER.into(),
        agents: "b.example:7444".into(),
        version: "0.1.0".into(),
        started_at: seen_at,
        seen_at,
    };
    fixture.controller.store.controller_seen(&other).await.unwrap();
}

fn connection(name: &str, controller: &str) -> AgentConnection {
    AgentConnection {
        name: name.into(),
        labels: labels(&[("role", "db")]),
        bound: labels(&[("role", "db")]),
        capabilities: serde_json::Value::Null,
        certificate: "02".into(),
        version: "0.1.0".into(),
        controller: controller.into(),
    }
}

#[tokio::test]
async fn a_host_that_was_connected_before_a_restart_is_not_called_connected_until_it_is_back() {
    let fixture = Fixture::new().await;
    let controller = &fixture.controller;
    let now = controller.now().await.unwrap();
    seen(&fixture, "controller-a", now).await;
    controller.store.agent_connected(&connection("db-1", "controller-a"), now).await.unwrap();
    let connected = async || controller.agents(&ann(), None, 500).await.unwrap().agents[0].connected;
    assert!(!connected().await, "nobody could be asked of it");
    assert!(controller.plan(&ann(), DOCUMENT, None).await.is_err());
    fixture.host("db-1", &[("role", "db")]).await;
    assert!(connected().await && controller.plan(&ann(), DOCUMENT, None).await.is_ok());
}

#[tokio::test]
async fn hosts_that_another_controller_has_are_chosen_and_not_asked() {
    let fixture = Fixture::new().await;
    let controller = &fixture.controller;
    fixture.host("db-1", &[("role", "db")]).await;
    let now = controller.now().await.unwrap();
    let connection = connection("db-2", "controller-b");
    controller.store.agent_connected(&connection, now).await.unwrap();
    let hosts = async || controller.plan(&ann(), DOCUMENT, None).await.unwrap().hosts;
    assert_eq!(hosts().await.iter().map(|host| host.host.as_str()).collect::<Vec<_>>(), ["db-1"], "nobody lives there");
    is_seen(&fixture, now).await;
    let both = hosts().await;
    assert_eq!(both.iter().map(|host| host.host.as_str()).collect::<Vec<_>>(), ["db-1", "db-2"]);
    assert!(both[0].not_asked.is_none() && both[0].undo.is_some(), "{both:?}");
    assert!(both[1].not_asked.as_ref().is_some_and(|why| why.contains(OTHER)) && both[1].refused.is_none(), "{both:?}");
    // Whoever drives it asks it.
    let submission = Submission { document: DOCUMENT.into(), ..Submission::default() };
    assert!(controller.submit(&ann(), submission).await.is_ok());
    let agents = controller.agents(&ann(), None, 500).await.unwrap().agents;
    let told = agents.iter().map(|agent| (agent.connected, agent.controllers.concat())).collect::<Vec<_>>();
    assert_eq!(told, [(true, "controller-a".into()), (true, "controller-b".into())]);
    let listed = controller.controllers(&ann()).await.unwrap().controllers;
    assert_eq!((listed.len(), listed[0].url.as_str(), listed[0].alive), (1, OTHER, true));
}

#[tokio::test]
async fn the_journal_of_another_controllers_run_is_there_and_here_once_that_one_is_gone() {
    let fixture = Fixture::new().await;
    let controller = &fixture.controller;
    fixture.host("db-1", &[("role", "db")]).await;
    let submission = Submission { document: DOCUMENT.into(), ..Submission::default() };
    let run = controller.submit(&ann(), submission).await.unwrap().id;
    let now = controller.now().await.unwrap();
    let claimed = controller.store.claim_next("controller-b", LEASE, now).await.unwrap().unwrap();
    let mut entries = journal(Ending::Held);
    entries.retain(|entry| !matches!(entry.event, Event::Sample(_)));
    for (number, line) in (0_u64..).zip(lines(&entries).lines()) {
        controller.store.keep_entry(&run, claimed.epoch, number, line).await.unwrap();
    }
    // As it was here before it was lost to the other one: not the journal any more.
    let folder = controller.runs_folder().join(&run);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("journal.jsonl"), lines(&entries[..1])).unwrap();
    is_seen(&fixture, now).await;
    let elsewhere = controller.journal(&ann(), &run, 0, Duration::ZERO).await.unwrap_err();
    assert_eq!((elsewhere.class().0, elsewhere.class().1), (421, "elsewhere"), "{elsewhere}");
    assert_eq!(Problem::from(elsewhere).controller.as_deref(), Some(OTHER));
    assert_eq!(controller.report(&ann(), &run, Format::Json).await.unwrap_err().class().0, 421);

    is_seen(&fixture, now - Duration::from_secs(60)).await;
    let page = controller.journal(&ann(), &run, 0, Duration::ZERO).await.unwrap();
    assert_eq!((page.entries, page.over), (entries.clone(), false));
    controller.store.record_state(&run, claimed.epoch, RunState::Running).await.unwrap();
    controller.store.finish(&run, claimed.epoch, "held", "it held", now).await.unwrap();
    let end = controller.journal(&ann(), &run, page.next, Duration::ZERO).await.unwrap();
    assert_eq!((end.entries.len(), end.over), (0, true));
    assert!(controller.report(&ann(), &run, Format::Json).await.unwrap().contains(&entries[0].at.to_string()));
}
