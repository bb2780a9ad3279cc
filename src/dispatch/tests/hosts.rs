//! Hosts that vanish, restart and join in mid-run, and a fleet that changed since the plan.

use super::fixture::{Controllers, Wanted, run};
use crate::report::{Format, LinkState, RunReport, render};
use crate::run::journal::{Entry, Event};
use crate::store::AuditFilter;
use crate::store::runs::Run;
use crate::targets::hosts::HostEvent;

const THREE: [&str; 3] = ["db-1", "db-2", "db-3"];

/// Drives a run on three databases; `then` happens once the fault is in place on all of them.
async fn drive(wanted: &Wanted, then: impl AsyncFnOnce(&Controllers)) -> (Controllers, Run, Vec<Entry>) {
    let fleet = Controllers::new(&THREE).await;
    let one = fleet.start("one").await;
    fleet.submit(wanted).await;
    for host in THREE {
        fleet.wait_for_the_fault("r-1", host).await;
    }
    then(&fleet).await;
    let over = fleet.wait_for("r-1", |run| run.state.is_over()).await;
    let journal = fleet.journal("r-1").await;
    one.stop().await;
    (fleet, over, journal)
}

fn ended(run: &Run) -> (&str, &str) {
    (run.verdict.as_deref().unwrap_or_default(), run.because.as_deref().unwrap_or_default())
}

/// What happened to hosts, in words.
fn told(journal: &[Entry]) -> Vec<&str> {
    let host = |entry| match entry {
        &Entry { event: Event::Host { ref note, .. }, .. } => Some(note.as_str()),
        _ => None,
    };
    journal.iter().filter_map(host).collect()
}

/// Waits until the run has noted so much of hosts.
async fn noted(fleet: &Controllers, count: usize) {
    while told(&fleet.journal("r-1").await).len() < count {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_vanishes_within_what_is_tolerated_and_comes_back_clean_is_told_of_in_a_run_that_holds() {
    let wanted = run("r-1", "3s").with("  tolerate: { vanished: 34% }\n");
    let (fleet, over, journal) = drive(&wanted, async |fleet| {
        fleet.agent("db-3").vanish();
        noted(fleet, 1).await;
        fleet.agent("db-3").come_back(0);
    })
    .await;
    let (verdict, because) = ended(&over);
    assert_eq!(verdict, "held", "{because}");
    assert!(because.contains("2 of 3 faults were measured to act to their end, all seen to be undone"), "{because}");
    assert_eq!(
        told(&journal),
        [
            "db-3 vanished: nothing was heard of it for 16 s; its own lease undoes what is on it (1 of 3 hosts lost, 1 tolerated)",
            "db-3 is back; nothing is injected into it again, and it must say that the fault is gone",
            "db-3 undid its fault by itself (nothing was heard of the controller)",
        ]
    );
    assert_eq!(fleet.agent("db-3").injected.lock().unwrap().len(), 1, "never again");
    let report = RunReport::from_entries(&journal).unwrap();
    assert!(report.chain.iter().all(|link| link.state == LinkState::Proven), "{:?}", report.chain);
    assert_eq!((report.hosts.len(), report.hosts[0].clean, report.hosts[0].back_at.is_some()), (1, true, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_vanishes_beyond_what_is_tolerated_aborts_the_run_and_the_others_are_undone() {
    let (fleet, over, _) = drive(&run("r-1", "10min"), async |fleet| {
        fleet.agent("db-3").vanish();
        noted(fleet, 1).await;
        fleet.agent("db-3").come_back(0);
    })
    .await;
    let (verdict, because) = ended(&over);
    assert_eq!(verdict, "aborted");
    assert!(because.starts_with("db-3 vanished") && because.ends_with("(1 of 3 hosts lost, 0 tolerated)"), "{because}");
    assert!(THREE.iter().all(|host| fleet.agent(host).in_place().is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_never_comes_back_is_never_called_clean_however_much_is_tolerated() {
    let wanted = run("r-1", "2s").with("  tolerate: { vanished: 2 }\n");
    let (fleet, over, journal) = drive(&wanted, async |fleet| fleet.agent("db-3").vanish()).await;
    let (verdict, because) = ended(&over);
    assert_eq!(verdict, "cleanup-unverified");
    assert!(because.starts_with("process-pause on db of db-3 was not seen to be undone"), "{because}");
    assert!(["db-1", "db-2"].iter().all(|host| fleet.agent(host).in_place().is_empty()));
    let unclean = fleet.store.unclean_hosts().await.unwrap();
    assert_eq!(unclean.iter().map(|one| (&*one.host, &*one.run)).collect::<Vec<_>>(), [("db-3", "r-1")], "it alone");
    let left = &unclean[0].left;
    assert!(left.len() == 1 && left[0].fault.is_some(), "{left:?}");
    assert!(left[0].what.starts_with("process-pause on db of db-3 was not seen to be undone"), "{left:?}");
    let report = RunReport::from_entries(&journal).unwrap();
    assert_eq!((report.exit_code, report.hosts[0].clean, report.hosts[0].back_at), (7, false, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_restarts_has_lost_its_fault_and_gets_no_other() {
    let restart = async |fleet: &Controllers| fleet.agent("db-2").come_back(7);
    let (fleet, over, journal) = drive(&run("r-1", "10min"), restart).await;
    assert_eq!(ended(&over).0, "aborted");
    assert!(ended(&over).1.starts_with("db-2 has a new agent process"), "{}", ended(&over).1);
    assert_eq!(fleet.agent("db-2").injected.lock().unwrap().len(), 1);
    assert!(journal.iter().any(|entry| matches!(
        &entry.event,
        Event::Host { what: HostEvent::AgentRestarted, lost, .. } if lost.len() == 1
    )));
    let wanted = run("r-1", "2s").with("  tolerate: { vanished: 1 }\n");
    let (fleet, over, _) = drive(&wanted, restart).await;
    assert_eq!(ended(&over).0, "held", "{}", ended(&over).1);
    assert_eq!(fleet.agent("db-2").injected.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_too_few_hosts_bore_to_its_end_proves_nothing() {
    let wanted = run("r-1", "2s").pick("{ atLeast: 3 }").with("  tolerate: { vanished: 1 }\n");
    let (_, over, journal) = drive(&wanted, async |fleet| fleet.agent("db-1").come_back(7)).await;
    let (verdict, because) = ended(&over);
    assert_eq!(verdict, "invalid", "{because}");
    assert!(
        because.starts_with("process-pause on db acted to its end on 2 of 3 hosts, and at least 3 are needed: db-1"),
        "{because}"
    );
    let report = RunReport::from_entries(&journal).unwrap();
    assert_eq!((report.exit_code, report.chain[1].state), (6, LinkState::Broken));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_joins_is_told_of_once_and_left_in_peace() {
    let (fleet, over, journal) = drive(&run("r-1", "2s"), async |fleet| {
        fleet.join("db-9");
        noted(fleet, 1).await;
        fleet.join("db-9");
    })
    .await;
    assert_eq!(ended(&over).0, "held", "{}", ended(&over).1);
    assert_eq!(
        told(&journal),
        ["db-9 joined and is meant by `db`: it is not of the approved plan, and nothing is injected there"]
    );
    assert!(fleet.agent("db-9").injected.lock().unwrap().is_empty());
    let report = RunReport::from_entries(&journal).unwrap();
    let text = render(&report, Format::Human { colour: false, width: 100 }).unwrap();
    assert!(text.contains("Host db-9: joined, left in peace"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_that_is_not_the_approved_one_any_more_refuses_the_run_and_is_audited() {
    let fleet = Controllers::new(&THREE).await;
    fleet.submit(&run("r-1", "1s")).await;
    fleet.change("db-2", |facts| drop(facts.labels.insert("role".into(), "web".into())));
    let one = fleet.start("one").await;
    let over = fleet.wait_for("r-1", |run| run.state.is_over()).await;
    let (verdict, because) = ended(&over);
    assert_eq!(verdict, "refused");
    insta::assert_snapshot!(because, @"the fleet is not the one that was planned for: target `db`: 1 of 3 approved hosts cannot be had, and no `atLeast` says that fewer will do (db-2 of target `db` is gone: not meant: role is web, not db)");
    assert!(THREE.iter().all(|host| fleet.agent(host).injected.lock().unwrap().is_empty()));
    let audited = fleet.store.audit(&AuditFilter::default(), 10).await.unwrap();
    let deed = &audited[0].deed;
    assert_eq!((deed.actor.as_str(), deed.action.as_str(), deed.object.as_str()), ("controller/one", "run", "run/r-1"));
    assert_eq!(deed.outcome, format!("refused: {because}"));
    let report = RunReport::from_entries(&fleet.journal("r-1").await).unwrap();
    assert_eq!((report.exit_code, report.drift.len()), (3, 1));
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_that_change_who_is_meant_refuse_the_run_although_fewer_hosts_would_do() {
    let fleet = Controllers::new(&THREE).await;
    fleet.submit(&run("r-1", "1s").pick("{ atLeast: 1 }")).await;
    fleet.change("db-2", |facts| drop(facts.labels.insert("role".into(), "web".into())));
    let one = fleet.start("one").await;
    let over = fleet.wait_for("r-1", |run| run.state.is_over()).await;
    let (verdict, because) = ended(&over);
    assert_eq!(verdict, "refused", "{because}");
    assert!(because.contains("target `db` does not mean db-2 any more, whose labels changed"), "{because}");
    assert!(THREE.iter().all(|host| fleet.agent(host).injected.lock().unwrap().is_empty()));
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_waits_a_little_for_hosts_that_are_about_to_connect() {
    let fleet = Controllers::new(&THREE).await;
    fleet.submit(&run("r-1", "1s")).await;
    fleet.change("db-2", |facts| facts.connected = false);
    let one = fleet.start("one").await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    fleet.change("db-2", |facts| facts.connected = true);
    let over = fleet.wait_for("r-1", |run| run.state.is_over()).await;
    assert_eq!(ended(&over).0, "held", "{}", ended(&over).1);
    one.stop().await;
}
