//! The dispatcher over a store in a file and agents made of lists.

mod fixture;
mod hosts;
mod prometheus;

use std::time::Duration;

use fixture::{Controllers, run};

use crate::experiment::machine::Stop;
use crate::slo::ledger::Spending;
use crate::store::runs::RunState;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_run_is_driven_to_its_verdict_on_all_of_its_hosts() {
    let fleet = Controllers::new(&["db-1", "db-2"]).await;
    let one = fleet.start("one").await;
    fleet.submit(&run("r-1", "1s")).await;
    let over = fleet.wait_for("r-1", |run| run.state.is_over()).await;
    assert_eq!((over.state, over.verdict.as_deref()), (RunState::Finished, Some("held")), "{:?}", over.because);
    for host in ["db-1", "db-2"] {
        assert_eq!(fleet.agent(host).injected.lock().unwrap().len(), 1);
        assert!(fleet.agent(host).in_place().is_empty());
    }
    let kept = fleet.store.entries("r-1", 0).await.unwrap();
    let journal = std::fs::read_to_string(fleet.folder("one").join("r-1/journal.jsonl")).unwrap();
    let decisive: Vec<&str> = journal.lines().filter(|line| !line.contains("\"sample\"")).collect();
    assert_eq!(kept, decisive, "what decides the run is in the store, letter for letter");
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_on_one_host_follow_each_other() {
    let fleet = Controllers::new(&["db-1"]).await;
    let one = fleet.start("one").await;
    fleet.submit(&run("r-1", "1s")).await;
    fleet.submit(&run("r-2", "1s")).await;
    let first = fleet.wait_for("r-1", |run| run.state.is_over()).await;
    let second = fleet.wait_for("r-2", |run| run.state.is_over()).await;
    assert!(second.started_at.unwrap() >= first.finished_at.unwrap(), "{first:?} {second:?}");
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_is_asked_for_in_the_store_ends_the_run_undone() {
    let fleet = Controllers::new(&["db-1"]).await;
    let one = fleet.start("one").await;
    fleet.submit(&run("r-1", "10min")).await;
    fleet.wait_for_the_fault("r-1", "db-1").await;
    fleet.store.request_stop("r-1", "ann has seen enough").await.unwrap();
    let over = fleet.wait_for("r-1", |run| run.state.is_over()).await;
    assert_eq!((over.verdict.as_deref(), over.because.as_deref()), (Some("aborted"), Some("ann has seen enough")));
    assert!(fleet.agent("db-1").in_place().is_empty());
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_stops_undoes_its_runs_and_gives_each_its_verdict() {
    let fleet = Controllers::new(&["db-1"]).await;
    let one = fleet.start("one").await;
    fleet.submit(&run("r-1", "10min")).await;
    fleet.wait_for_the_fault("r-1", "db-1").await;
    one.stop().await;
    let over = fleet.run("r-1").await;
    assert_eq!((over.state, over.verdict.as_deref()), (RunState::Finished, Some("aborted")));
    assert_eq!(over.because.as_deref(), Some("the controller was told to stop"));
    assert!(fleet.agent("db-1").in_place().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_the_same_controller_closes_its_run_by_its_own_journal() {
    let fleet = Controllers::new(&["db-1"]).await;
    let one = fleet.start("one").await;
    fleet.submit(&run("r-1", "10min")).await;
    fleet.wait_for_the_fault("r-1", "db-1").await;
    one.kill();
    assert_eq!(fleet.agent("db-1").in_place().len(), 1, "nobody undid");
    let again = fleet.start("one").await;
    let over = fleet.wait_for("r-1", |run| run.state.is_over()).await;
    assert_eq!(over.verdict.as_deref(), Some("aborted"), "{:?}", over.because);
    let because = over.because.unwrap_or_default();
    assert!(because.contains("was restarted"), "{because}");
    assert!(fleet.agent("db-1").in_place().is_empty());
    assert_eq!(fleet.agent("db-1").injected.lock().unwrap().len(), 1, "it was not run twice");
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_another_controller_closes_it_by_what_the_store_kept() {
    let fleet = Controllers::new(&["db-1"]).await;
    let one = fleet.start("one").await;
    fleet.submit(&run("r-1", "10min")).await;
    fleet.wait_for_the_fault("r-1", "db-1").await;
    one.kill();
    let two = fleet.start("two").await;
    let over = fleet.wait_for("r-1", |run| run.state.is_over()).await;
    assert_eq!((over.controller.as_deref(), over.verdict.as_deref()), (Some("two"), Some("aborted")));
    assert!(fleet.agent("db-1").in_place().is_empty());
    assert!(fleet.folder("two").join("r-1/journal.jsonl").exists(), "it has a journal of its own now");
    assert_eq!(fleet.agent("db-1").injected.lock().unwrap().len(), 1, "it was not run twice");
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_spent_of_an_error_budget_is_in_the_ledger_of_the_fleet_also_of_one_that_was_cut_off() {
    let fleet = Controllers::new(&["db-1", "db-2"]).await;
    let one = fleet.start("one").await;
    let budget: &'static str = format!(
        "  slos: {{ checkout: {{ define: {{ service: shop, target: 99.9%, window: 30d, bad: \"sum(bad)\", total: \
         \"sum(all)\" }}, prometheus: \"http://127.0.0.1:{}\", interval: 200ms }} }}\n  budget: {{ slo: checkout, allowance: 90% }}\n",
        prometheus::serve()
    )
    .leak();
    fleet.submit(&run("r-1", "1s").on("[db-1]").with(budget)).await;
    fleet.submit(&run("r-2", "10min").on("[db-2]").with(budget)).await;
    let over = fleet.wait_for("r-1", |run| run.state.is_over()).await;
    assert_eq!(over.verdict.as_deref(), Some("held"), "{:?}", over.because);
    fleet.wait_for_the_fault("r-2", "db-2").await;
    one.kill();
    let again = fleet.start("one").await;
    fleet.wait_for("r-2", |run| run.state.is_over()).await;
    let spendings = fleet.store.spendings(jiff::Timestamp::MIN).await.unwrap();
    let mut spendings: Vec<Spending> = spendings.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    // In the order in which the runs began, which is either's.
    spendings.sort_by(|one, other| one.run.cmp(&other.run));
    assert_eq!(spendings.iter().map(|spending| spending.run.as_str()).collect::<Vec<_>>(), ["r-1", "r-2"]);
    let first = &spendings[0].spent;
    assert!(first.bad >= 1.0 && first.usual > 0.0 && first.usual <= first.bad, "{first:?}");
    assert_eq!((first.before.service.as_str(), first.before.budget.round()), ("shop", 1000.0));
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_lost_a_run_undoes_and_writes_no_more() {
    let fleet = Controllers::new(&["db-1"]).await;
    let one = fleet.start("one").await;
    fleet.submit(&run("r-1", "10min")).await;
    fleet.wait_for_the_fault("r-1", "db-1").await;
    // As if its lease had run out while it slept, and another controller had been there since.
    let later = fleet.store.now().await.unwrap() + Duration::from_secs(60);
    let orphan = fleet.run("r-1").await;
    let taken = fleet.store.take_over(&orphan, "two", Duration::from_secs(60), later).await.unwrap().unwrap();
    // It undoes, and waits in vain to be allowed to write that down.
    one.stop().await;
    assert!(fleet.agent("db-1").in_place().is_empty());
    let now = fleet.run("r-1").await;
    assert_eq!(
        (now.epoch, now.state, now.verdict),
        (taken.epoch, RunState::Running, None),
        "the verdict is for the other"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_given_directly_is_heard_at_once() {
    let fleet = Controllers::new(&["db-1"]).await;
    let one = fleet.start("one").await;
    fleet.submit(&run("r-1", "10min")).await;
    fleet.wait_for_the_fault("r-1", "db-1").await;
    assert!(one.dispatcher.running().stop("r-1", Stop::Halted("the fleet was halted: drill".into())));
    assert!(!one.dispatcher.running().stop("r-2", Stop::Halted("nobody".into())));
    let over = fleet.wait_for("r-1", |run| run.state.is_over()).await;
    assert_eq!(over.because.as_deref(), Some("the fleet was halted: drill"));
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_driven_by_the_controller_that_reaches_all_of_its_hosts() {
    let fleet = Controllers::new(&["db-1", "db-2"]).await;
    // The first one looks at the queue for a while before the other is there.
    let (one, _) = fleet.start_reaching("one", &["db-1"]).await;
    fleet.submit(&run("r-1", "1s")).await;
    fleet.submit(&run("r-2", "1s").on("[db-1]")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(fleet.run("r-1").await.state, RunState::Queued, "it waits for who reaches both hosts");
    assert_eq!(fleet.run("r-2").await.state, RunState::Queued, "and keeps them from those behind it");
    let (two, _) = fleet.start_reaching("two", &["db-1", "db-2"]).await;
    let first = fleet.wait_for("r-1", |run| run.state.is_over()).await;
    assert_eq!((first.controller.as_deref(), first.verdict.as_deref()), (Some("two"), Some("held")), "{first:?}");
    let second = fleet.wait_for("r-2", |run| run.state.is_over()).await;
    assert_eq!(second.verdict.as_deref(), Some("held"), "{second:?}");
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_hosts_nobody_reaches_is_taken_after_a_while_by_who_reaches_the_most() {
    let fleet = Controllers::new(&["db-1", "db-2", "db-3"]).await;
    let (one, _) = fleet.start_reaching("one", &["db-1"]).await;
    let (two, connected) = fleet.start_reaching("two", &["db-2", "db-3"]).await;
    fleet.submit(&run("r-1", "1s")).await;
    let submitted = std::time::Instant::now();
    // Its hosts are the agents of lists here, which answer although they are said not to be connected.
    let claimed = fleet.wait_for("r-1", |run| run.state != RunState::Queued).await;
    let waited = submitted.elapsed();
    assert_eq!(claimed.controller.as_deref(), Some("two"));
    assert!(waited >= super::reach::PATIENCE && waited < super::reach::PATIENCE * 2, "{waited:?}");
    fleet.wait_for("r-1", |run| run.state.is_over()).await;
    connected.lock().unwrap().clear();
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_a_controller_that_is_gone_is_closed_by_who_reaches_its_hosts() {
    let fleet = Controllers::new(&["db-1"]).await;
    let one = fleet.start("one").await;
    fleet.submit(&run("r-1", "10min").on("[db-1]")).await;
    fleet.wait_for_the_fault("r-1", "db-1").await;
    // This one looks for orphans all the time, and does not reach the host.
    let (two, _) = fleet.start_reaching("two", &[]).await;
    let (three, _) = fleet.start_reaching("three", &["db-1"]).await;
    one.kill();
    let over = fleet.wait_for("r-1", |run| run.state.is_over()).await;
    assert_eq!((over.controller.as_deref(), over.verdict.as_deref()), (Some("three"), Some("aborted")), "{over:?}");
    assert!(fleet.agent("db-1").in_place().is_empty());
    two.stop().await;
    three.stop().await;
}
