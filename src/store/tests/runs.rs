use std::collections::BTreeMap;

use super::{LEASE, at, both, count, run};
use crate::store::runs::{Cursor, Keep, NewRun, Origin, RunFilter, RunState};
use crate::store::{Controller, Refusal, Store, StoreError};

fn refusal<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Refusal {
    result.unwrap_err().refusal().cloned().expect("a refusal")
}

async fn claimed(store: &Store, controller: &str, now: i64) -> Option<String> {
    store.claim_next(controller, LEASE, at(now)).await.unwrap().map(|run| run.id)
}

#[test]
fn a_run_is_driven_from_the_queue_to_its_verdict() {
    both(|place| async move {
        let store = place.open().await;
        let new = run("one", &["b", "a"]);
        let queued = store.submit(&new, at(0)).await.unwrap();
        assert_eq!((queued.state, queued.epoch, queued.seed), (RunState::Queued, 0, u64::MAX - 6));
        assert_eq!(queued.labels, new.labels);
        let texts = store.run_document("one").await.unwrap();
        assert_eq!((texts.document, texts.plan), (new.document.clone(), new.plan.clone()), "letter for letter");
        assert_eq!(texts.hosts, ["a", "b"]);

        let mine = store.claim_next("c1", LEASE, at(1)).await.unwrap().unwrap();
        assert_eq!((mine.state, mine.epoch, mine.controller.as_deref()), (RunState::Claimed, 1, Some("c1")));
        assert_eq!((mine.started_at, mine.lease_until), (Some(at(1)), Some(at(11))));
        assert_eq!(store.claim_next("c1", LEASE, at(1)).await.unwrap(), None);
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM host_locks").await, 2);

        assert_eq!(store.record_state("one", 1, RunState::Running).await.unwrap().state, RunState::Running);
        store.record_state("one", 1, RunState::Running).await.unwrap();
        assert_eq!(store.renew_runs("c1", LEASE, at(5)).await.unwrap()[0].run, "one");
        store.record_state("one", 1, RunState::Closing).await.unwrap();
        let refused = refusal(store.record_state("one", 1, RunState::Running).await);
        assert!(
            matches!(refused, Refusal::State { is: RunState::Closing, wanted: RunState::Running, .. }),
            "{refused}"
        );

        let over = store.finish("one", 1, "held", "all objectives held", at(9)).await.unwrap();
        assert_eq!(
            (over.state, over.verdict.as_deref(), over.finished_at),
            (RunState::Finished, Some("held"), Some(at(9)))
        );
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM host_locks").await, 0);
        assert_eq!(store.run("one").await.unwrap(), over);
        assert!(matches!(refusal(store.finish("one", 1, "violated", "", at(9)).await), Refusal::State { .. }));
        assert_eq!(store.renew_runs("c1", LEASE, at(9)).await.unwrap(), []);
    });
}

#[test]
fn a_run_of_the_same_id_is_refused_and_changes_nothing() {
    both(|place| async move {
        let store = place.open().await;
        let first = store.submit(&run("one", &["a"]), at(0)).await.unwrap();
        let other = NewRun { experiment: "another".into(), ..run("one", &["b"]) };
        assert_eq!(refusal(store.submit(&other, at(1)).await), Refusal::Exists { kind: "run", name: "one".into() });
        assert_eq!(store.run("one").await.unwrap(), first);
        assert_eq!(store.run_document("one").await.unwrap().hosts, ["a"]);
        assert!(matches!(refusal(store.run("two").await), Refusal::Unknown { .. }));
    });
}

#[test]
fn hosts_are_shared_only_by_runs_that_all_share() {
    both(|place| async move {
        let store = place.open().await;
        let shared = |id, hosts: &[&str]| NewRun { shared_hosts: true, ..run(id, hosts) };
        store.submit(&shared("s1", &["a", "b"]), at(0)).await.unwrap();
        store.submit(&shared("s2", &["b", "c"]), at(1)).await.unwrap();
        store.submit(&run("x1", &["c"]), at(2)).await.unwrap();
        store.submit(&run("x2", &["d"]), at(3)).await.unwrap();
        store.submit(&run("x3", &["d"]), at(4)).await.unwrap();
        let mut order = Vec::new();
        while let Some(id) = claimed(&store, "c", 5).await {
            order.push(id);
        }
        assert_eq!(order, ["s1", "s2", "x2"], "x1 waits for s2, x3 for x2");
        store.finish("s2", 1, "held", "", at(6)).await.unwrap();
        assert_eq!(claimed(&store, "c", 7).await.as_deref(), Some("x1"));
        store.release_locks("x2", 1).await.unwrap();
        assert_eq!(
            claimed(&store, "c", 7).await.as_deref(),
            Some("x3"),
            "x2 has given its host back before its verdict"
        );
        assert_eq!(claimed(&store, "c", 7).await, None);
    });
}

#[test]
fn a_run_on_many_hosts_does_not_wait_behind_a_stream_of_runs_on_few() {
    both(|place| async move {
        let store = place.open().await;
        store.submit(&run("a1", &["a"]), at(0)).await.unwrap();
        assert_eq!(claimed(&store, "c", 0).await.as_deref(), Some("a1"));
        store.submit(&run("wide", &["a", "b"]), at(1)).await.unwrap();
        for number in 0..60 {
            store.submit(&run(&format!("b{number:02}"), &["b"]), at(2)).await.unwrap();
        }
        store.submit(&run("other", &["z"]), at(3)).await.unwrap();
        assert_eq!(claimed(&store, "c", 4).await.as_deref(), Some("other"), "found behind a page of runs that wait");
        assert_eq!(claimed(&store, "c", 4).await, None, "b is kept for the run that came first");
        store.finish("a1", 1, "held", "", at(5)).await.unwrap();
        assert_eq!(claimed(&store, "c", 5).await.as_deref(), Some("wide"));
    });
}

#[test]
fn a_run_waits_for_its_time_and_not_beyond_its_deadline() {
    both(|place| async move {
        let store = place.open().await;
        store.submit(&NewRun { not_before: Some(at(10)), ..run("later", &["a"]) }, at(0)).await.unwrap();
        store.submit(&NewRun { deadline: Some(at(5)), ..run("soon", &["b"]) }, at(1)).await.unwrap();
        assert_eq!(claimed(&store, "c", 5).await, None, "one is too early, the other too late");
        let expired = store.expire_runs(at(5)).await.unwrap();
        assert_eq!(expired.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), ["soon"]);
        assert_eq!(expired[0].because.as_deref(), Some("its deadline passed before it could start"));
        assert_eq!(store.expire_runs(at(9)).await.unwrap(), []);
        assert_eq!(claimed(&store, "c", 10).await.as_deref(), Some("later"));
    });
}

#[test]
fn a_run_is_cancelled_before_it_is_claimed_and_asked_to_stop_after() {
    both(|place| async move {
        let store = place.open().await;
        store.submit(&run("one", &["a"]), at(0)).await.unwrap();
        store.submit(&run("two", &["b"]), at(1)).await.unwrap();
        assert_eq!(claimed(&store, "c", 2).await.as_deref(), Some("one"));
        assert!(matches!(
            refusal(store.cancel("one", "no", at(3)).await),
            Refusal::State { is: RunState::Claimed, .. }
        ));
        assert_eq!(store.cancel("two", "not today", at(3)).await.unwrap().because.as_deref(), Some("not today"));
        assert!(matches!(
            refusal(store.request_stop("two", "no").await),
            Refusal::State { is: RunState::Cancelled, .. }
        ));
        store.request_stop("one", "ann asked").await.unwrap();
        store.request_stop("one", "bob asked").await.unwrap();
        let leases = store.renew_runs("c", LEASE, at(4)).await.unwrap();
        assert_eq!(leases[0].stop_requested.as_deref(), Some("ann asked"));
        assert!(matches!(refusal(store.cancel("three", "no", at(3)).await), Refusal::Unknown { .. }));
        assert_eq!(claimed(&store, "c", 4).await, None);
    });
}

#[test]
fn a_controller_that_was_replaced_cannot_write() {
    both(|place| async move {
        let (store, other) = (place.open().await, place.open().await);
        store.submit(&run("one", &["a"]), at(0)).await.unwrap();
        assert_eq!(claimed(&store, "c1", 0).await.as_deref(), Some("one"));
        store.record_state("one", 1, RunState::Running).await.unwrap();
        assert_eq!(other.orphaned(at(9)).await.unwrap(), [], "its lease lasts until 10");
        let orphans = other.orphaned(at(10)).await.unwrap();
        assert_eq!(orphans.len(), 1);
        store.renew_runs("c1", LEASE, at(9)).await.unwrap();
        assert_eq!(other.take_over(&orphans[0], "c2", LEASE, at(10)).await.unwrap(), None, "it was renewed meanwhile");

        let orphan = other.orphaned(at(20)).await.unwrap().remove(0);
        let taken = other.take_over(&orphan, "c2", LEASE, at(20)).await.unwrap().unwrap();
        assert_eq!((taken.epoch, taken.state, taken.controller.as_deref()), (2, RunState::Running, Some("c2")));
        assert_eq!(other.take_over(&orphan, "c3", LEASE, at(40)).await.unwrap(), None, "it was another epoch");

        let expected = Refusal::TakenOver { run: "one".into(), given: 1, current: 2, by: "c2".into() };
        assert_eq!(refusal(store.record_state("one", 1, RunState::Closing).await), expected);
        assert_eq!(refusal(store.finish("one", 1, "held", "", at(21)).await), expected);
        assert_eq!(refusal(store.release_locks("one", 1).await), expected);
        assert_eq!(refusal(store.lock_hosts("one", 1, &["z".into()], at(21)).await), expected);
        assert_eq!(store.renew_runs("c1", LEASE, at(21)).await.unwrap(), []);
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM host_locks").await, 1, "its host stays locked");
        other.finish("one", 2, "aborted", "its controller was lost", at(22)).await.unwrap();
    });
}

#[test]
fn a_controller_that_restarts_takes_up_its_runs_at_once() {
    both(|place| async move {
        let store = place.open().await;
        for id in ["one", "two", "three"] {
            store.submit(&run(id, &[id]), at(0)).await.unwrap();
            claimed(&store, if id == "two" { "c2" } else { "c1" }, 0).await.unwrap();
        }
        // They come in the order of their ids, as they were asked for at the same time.
        let mine = store.reclaim("c1", LEASE, at(1)).await.unwrap();
        assert_eq!(mine.len(), 2);
        assert!(mine.iter().all(|run| run.epoch == 2 && run.lease_until == Some(at(11))));
        let id = &mine[0].id;
        assert!(matches!(refusal(store.record_state(id, 1, RunState::Running).await), Refusal::TakenOver { .. }));
        store.record_state(id, 2, RunState::Running).await.unwrap();
    });
}

#[test]
fn a_running_run_locks_further_hosts_all_or_none() {
    both(|place| async move {
        let store = place.open().await;
        store.submit(&run("one", &["a"]), at(0)).await.unwrap();
        store.submit(&run("two", &["b"]), at(1)).await.unwrap();
        claimed(&store, "c", 2).await.unwrap();
        claimed(&store, "c", 2).await.unwrap();
        let refused = refusal(store.lock_hosts("one", 1, &["c".into(), "b".into()], at(3)).await);
        assert_eq!(refused, Refusal::HostLocked { host: "b".into(), by: "two".into() });
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM host_locks").await, 2);
        store.lock_hosts("one", 1, &["a".into(), "c".into()], at(3)).await.unwrap();
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM host_locks WHERE run = 'one'").await, 2);
    });
}

#[test]
fn a_halt_cancels_stops_and_refuses_until_it_is_released() {
    both(|place| async move {
        let store = place.open().await;
        assert_eq!(store.halted().await.unwrap(), None);
        store.submit(&run("running", &["a"]), at(0)).await.unwrap();
        claimed(&store, "c", 0).await.unwrap();
        store.submit(&run("queued", &["a"]), at(1)).await.unwrap();
        store.submit(&NewRun { approvals_needed: 1, ..run("waiting", &["a"]) }, at(1)).await.unwrap();
        let halted = store.halt("it hurts", "token/ann", at(2)).await.unwrap();
        let mut cancelled: Vec<_> = halted.cancelled.iter().map(|run| run.id.as_str()).collect();
        cancelled.sort_unstable();
        assert_eq!(cancelled, ["queued", "waiting"]);
        assert_eq!(halted.stopping.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), ["running"]);
        assert_eq!(halted.stopping[0].stop_requested.as_deref(), Some("halted by token/ann: it hurts"));

        let again = store.halt("again", "token/bob", at(3)).await.unwrap();
        assert_eq!((again.halt.by.as_str(), again.halt.since, again.cancelled.len()), ("token/ann", at(2), 0));
        let expected = Refusal::Halted(again.halt.clone());
        assert_eq!(refusal(store.submit(&run("new", &["a"]), at(4)).await), expected);
        assert_eq!(refusal(store.claim_next("c", LEASE, at(4)).await), expected);
        let given = crate::store::Approval {
            object: "run/waiting".into(),
            plan_hash: "5eed".into(),
            approver: "token/bob".into(),
            approved_at: at(4),
            expires_at: at(100),
        };
        assert_eq!(refusal(store.approve_run("waiting", &given, at(4)).await), expected);
        assert_eq!(store.approvals("run/waiting", "5eed", at(4)).await.unwrap(), [], "not kept either");
        store.finish("running", 1, "aborted", "halted", at(5)).await.unwrap();

        assert_eq!(store.release_halt().await.unwrap(), Some(again.halt));
        assert_eq!(store.release_halt().await.unwrap(), None);
        store.submit(&run("new", &["a"]), at(6)).await.unwrap();
        assert_eq!(claimed(&store, "c", 6).await.as_deref(), Some("new"));
    });
}

#[test]
fn runs_are_listed_by_what_they_are_page_by_page() {
    both(|place| async move {
        let store = place.open().await;
        let team = |team: &str| BTreeMap::from([("team".to_owned(), team.to_owned())]);
        for number in 0..25 {
            let labels = team(if number % 5 == 0 { "search" } else { "payments" });
            let origin = match number % 3 {
                0 => Origin::Schedule { name: "nightly".into(), slot: at(number) },
                1 => Origin::GameDay { name: "autumn".into(), step: "2".into() },
                _ => Origin::Api,
            };
            let new = NewRun { labels, origin, ..run(&format!("r{number:02}"), &[]) };
            let made = store.submit(&new, at(number / 2)).await.unwrap();
            assert_eq!(made.origin, new.origin);
        }
        let list = async |filter: RunFilter, limit| {
            let (mut ids, mut pages, mut cursor): (Vec<String>, _, Option<Cursor>) = (Vec::new(), 0, None);
            loop {
                let (runs, next) = store.runs(&filter, cursor.as_ref(), limit).await.unwrap();
                assert!(runs.len() <= limit as usize);
                ids.extend(runs.into_iter().map(|run| run.id));
                pages += 1;
                match next {
                    Some(next) => cursor = Some(next),
                    None => return (ids, pages),
                }
            }
        };
        let all: Vec<String> = (0..25).rev().map(|number| format!("r{number:02}")).collect();
        assert_eq!(list(RunFilter::default(), 4).await.0, all, "each once, the newest first");
        assert_eq!(list(RunFilter::default(), 100).await, (all, 1));
        let search = RunFilter { labels: team("search"), ..RunFilter::default() };
        assert_eq!(list(search, 2).await.0, ["r20", "r15", "r10", "r05", "r00"]);
        let nightly = RunFilter { schedule: Some("nightly".into()), ..RunFilter::default() };
        assert_eq!(list(nightly, 3).await.0.len(), 9);
        let autumn = RunFilter { game_day: Some("autumn".into()), ..RunFilter::default() };
        assert_eq!(list(autumn, 50).await.0.len(), 8);
        for _ in 0..3 {
            claimed(&store, "c", 60).await.unwrap();
        }
        let states = |states: &[RunState]| RunFilter { states: states.to_vec(), ..RunFilter::default() };
        assert_eq!(list(states(&[RunState::Claimed]), 50).await.0, ["r02", "r01", "r00"]);
        assert_eq!(list(states(&[RunState::Claimed, RunState::Queued]), 50).await.0.len(), 25);
        assert_eq!(list(states(&[RunState::Finished]), 50).await.0, [""; 0]);
        let mine = RunFilter { controller: Some("c".into()), ..RunFilter::default() };
        assert_eq!(list(mine, 50).await.0.len(), 3);
        let nobody = RunFilter { requested_by: Some("token/bob".into()), ..RunFilter::default() };
        assert_eq!(list(nobody, 50).await.0, [""; 0]);
    });
}

#[test]
fn old_runs_of_a_schedule_are_forgotten_but_for_what_is_open_or_not_clean() {
    both(|place| async move {
        let store = place.open().await;
        let made_by = |number: i64| match number % 2 {
            0 => Origin::Schedule { name: "nightly".into(), slot: at(number) },
            _ => Origin::Api,
        };
        for number in 0..12 {
            store
                .submit(&NewRun { origin: made_by(number), ..run(&format!("r{number:02}"), &["h"]) }, at(number))
                .await
                .unwrap();
            let driver = if number == 4 { "other" } else { "c" };
            let id = claimed(&store, driver, number).await.unwrap();
            let verdict = if number == 2 { "cleanup-unverified" } else { "held" };
            store.finish(&id, 1, verdict, "", at(number)).await.unwrap();
        }
        let queued = NewRun { origin: made_by(20), ..run("queued", &["h"]) };
        store.submit(&queued, at(20)).await.unwrap();
        let other = Controller {
            id: "other".into(),
            address: "https://other:7443".into(),
            agents: String::new(),
            version: "0.1.0".into(),
            started_at: at(0),
            seen_at: at(50),
        };
        store.controller_seen(&other).await.unwrap();
        let old = async |newest, gone_before| {
            let keep = Keep { schedule: "nightly".into(), newest };
            store.runs_to_forget(&keep, "c", at(gone_before)).await.unwrap()
        };
        assert_eq!(old(6, 0).await, [""; 0]);
        assert_eq!(old(2, 0).await, ["r00", "r06"], "r02 left something, and r04 is of a controller that lives");
        assert_eq!(old(2, 51).await, ["r00", "r04", "r06"], "which lives no more");
        for id in old(2, 51).await {
            assert!(store.forget_run(&id).await.unwrap());
            assert!(!store.forget_run(&id).await.unwrap(), "once");
        }
        assert_eq!(old(2, 51).await, [""; 0]);
        assert!(!store.forget_run("queued").await.unwrap(), "what is not over is never forgotten");
        assert_eq!(store.run("queued").await.unwrap().state, RunState::Queued);
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM run_documents").await, 10, "what belongs to them goes too");
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM run_hosts").await, 10);
    });
}

#[test]
fn a_value_that_faultline_does_not_write_is_named() {
    both(|place| async move {
        let store = place.open().await;
        store.submit(&run("one", &["a"]), at(0)).await.unwrap();
        super::around(&store, "UPDATE runs SET labels = 'team=payments'").await;
        let error = store.run("one").await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Foreign { column: "labels", value, .. } if value == "team=payments"),
            "{error}"
        );
    });
}
