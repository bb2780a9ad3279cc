//! Hosts that a run left unclean, and how they are trusted again.

use std::time::Duration;

use faultline_agent::node::{NodeStatus, StuckFault};
use tokio::time::Instant;

use super::fixture::{DOCUMENT, Fixture, labels, somebody};
use super::submit::Submission;
use super::unclean::Known;
use crate::access::{Principal, Role};
use crate::store::{Leftover, Leftovers};

const FAULT: &str = "0123456789ab";

/// Two databases, the first of which a run has left unclean; and that run.
async fn left_unclean(fault: Option<&str>) -> (Fixture, String) {
    let fixture = Fixture::new().await;
    fixture.host("db-1", &[("role", "db"), ("team", "payments")]).await;
    fixture.host("db-2", &[("role", "db")]).await;
    let (ann, store) = (somebody("ann", Role::Operator), &fixture.controller.store);
    let submission = Submission { document: DOCUMENT.into(), ..Submission::default() };
    let run = fixture.controller.submit(&ann, submission).await.unwrap().id;
    let now = store.now().await.unwrap();
    let claimed = store.claim_next("controller-a", Duration::from_secs(60), now).await.unwrap().unwrap();
    let left = Leftover {
        fault: fault.map(str::to_owned),
        what: "network-latency on db of db-1 was not seen to be undone".into(),
    };
    let left = Leftovers::On(vec![("db-1".into(), vec![left])]);
    store.finish_leaving(&run, claimed.epoch, "cleanup-unverified", "it is left", &left, now).await.unwrap();
    fixture.asked.lock().unwrap().clear();
    (fixture, run)
}

/// As if this controller had known of it for a minute.
fn for_a_minute(run: &str) -> Known {
    Known([(("db-1".to_owned(), run.to_owned()), Instant::now() - Duration::from_secs(60))].into())
}

async fn is_unclean(fixture: &Fixture) -> bool {
    !fixture.controller.store.unclean_hosts().await.unwrap().is_empty()
}

#[tokio::test]
async fn no_other_run_is_put_on_a_host_that_was_left_unclean_until_somebody_has_seen_to_it() {
    let (fixture, run) = left_unclean(Some(FAULT)).await;
    let (controller, ann) = (&fixture.controller, somebody("ann", Role::Operator));
    let planned = controller.plan(&ann, DOCUMENT, None).await.unwrap();
    assert_eq!(planned.hosts.iter().map(|host| host.host.as_str()).collect::<Vec<_>>(), ["db-2"]);
    let left_out = &planned.plan["targets"]["db"]["leftOut"][0];
    assert_eq!((&left_out["reason"]["kind"], &left_out["reason"]["run"]), (&"unclean".into(), &run.as_str().into()));
    let alone = DOCUMENT.replace("role: db", "team: payments");
    let refused = controller.plan(&ann, &alone, None).await.unwrap_err();
    assert_eq!(refused.class(), (409, "hosts", "The hosts cannot be had"));
    assert_eq!(
        refused.to_string(),
        format!(
            "target `db`: 0 of the hosts it means can be had, and it needs at least 1 (db-1: left unclean by run {run}: \
             network-latency on db of db-1 was not seen to be undone (hint: see to it, then \
             `faultline agents acknowledge db-1 --reason \"…\"`))"
        )
    );
    let agents = controller.agents(&ann, None, 500).await.unwrap().agents;
    assert_eq!(
        (agents[0].health.as_str(), agents[0].unclean.len(), agents[0].unclean[0].run.as_str()),
        ("unclean", 1, &*run)
    );
    assert_eq!((agents[1].health.as_str(), agents[1].unclean.len()), ("healthy", 0));
    let metrics = controller.exposition(&ann).await.unwrap();
    assert!(metrics.contains("faultline_hosts_unclean 1\n"), "{metrics}");

    let scoped = |scope: &str| Principal { scope: scope.parse().unwrap(), ..somebody("pay", Role::Operator) };
    let denied = controller.acknowledge_agent(&scoped("team=web"), "db-1", "x").await.unwrap_err();
    assert_eq!(denied.class().0, 403, "{denied}");
    let viewer = controller.acknowledge_agent(&somebody("eve", Role::Viewer), "db-1", "x").await.unwrap_err();
    assert_eq!(viewer.class().0, 403, "{viewer}");
    assert_eq!(controller.acknowledge_agent(&ann, "db-9", "x").await.unwrap_err().class().0, 404);
    assert!(is_unclean(&fixture).await);
    let done = controller.acknowledge_agent(&scoped("team=payments"), "db-1", "the qdisc is gone").await.unwrap();
    assert_eq!((done.agent.as_str(), done.acknowledged[0].run.as_str()), ("db-1", &*run));
    assert!(controller.acknowledge_agent(&ann, "db-1", "again").await.unwrap().acknowledged.is_empty());
    assert!(fixture.audited().await.contains(&"token/pay acknowledge agent/db-1: done".to_owned()));
    assert_eq!(controller.plan(&ann, &alone, None).await.unwrap().hosts.len(), 1);
    assert!(controller.exposition(&ann).await.unwrap().contains("faultline_hosts_unclean 0\n"));
}

#[tokio::test]
async fn an_agent_takes_its_host_back_only_by_evidence_that_nothing_is_left() {
    let (fixture, run) = left_unclean(Some(FAULT)).await;
    let controller = &fixture.controller;
    let clean = NodeStatus { on_record: Some(0), ..NodeStatus::default() };
    let stuck = StuckFault { id: FAULT.parse().unwrap(), fault: "network-latency".into(), by_hand: Vec::new() };
    for (status, why) in [
        (NodeStatus::default(), "its journal was not read, or it is of an older version"),
        (NodeStatus { on_record: Some(1), ..NodeStatus::default() }, "something is on record, whoever's it is"),
        (NodeStatus { stuck: vec![stuck], ..clean.clone() }, "something is stuck"),
    ] {
        fixture.says("db-1", &status);
        controller.look_at_unclean(&mut for_a_minute(&run)).await.unwrap();
        assert!(is_unclean(&fixture).await, "{why}");
        assert!(fixture.asked.lock().unwrap().is_empty(), "{why}");
    }
    fixture.says("db-1", &clean);
    controller.look_at_unclean(&mut Known::default()).await.unwrap();
    assert!(is_unclean(&fixture).await, "it may have said so before the fault was left");
    controller.look_at_unclean(&mut for_a_minute(&run)).await.unwrap();
    assert!(!is_unclean(&fixture).await);
    assert_eq!(*fixture.asked.lock().unwrap(), [format!("db-1: undo {FAULT}")]);
    assert_eq!(fixture.audited().await.last().unwrap(), "agent/db-1 acknowledge agent/db-1: done");
}

#[tokio::test]
async fn a_host_that_does_not_say_of_the_fault_that_it_is_gone_stays_unclean() {
    // The host of the fixture knows only of the other fault.
    let (fixture, run) = left_unclean(Some("ffffffffffff")).await;
    fixture.says("db-1", &NodeStatus { on_record: Some(0), ..NodeStatus::default() });
    fixture.controller.look_at_unclean(&mut for_a_minute(&run)).await.unwrap();
    assert!(is_unclean(&fixture).await);
    let (fixture, run) = left_unclean(None).await;
    fixture.says("db-1", &NodeStatus { on_record: Some(0), ..NodeStatus::default() });
    fixture.controller.look_at_unclean(&mut for_a_minute(&run)).await.unwrap();
    assert!(!is_unclean(&fixture).await, "there is no fault to ask for, and nothing is on record");
    let agent = fixture.controller.agent(&somebody("ann", Role::Operator), "db-1").await.unwrap().agent;
    assert_eq!((agent.health.as_str(), agent.labels), ("healthy", labels(&[("role", "db"), ("team", "payments")])));
}
