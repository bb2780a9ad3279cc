//! What must hold when many write at once: sixteen tasks, over two stores on one SQLite file, or each over its own on
//! PostgreSQL.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{LEASE, Place, around, at, both, by, count, nightly, run};
use crate::audit::Deed;
use crate::store::runs::{NewRun, Origin, RunFilter, RunState};
use crate::store::{DefinitionKind, NewEnrolmentToken, NewMessage, Refusal, SlotClaim, Store, TokenRefusal};

const TASKS: usize = 16;

/// A store for each task, on connections of their own as far as the store allows it.
async fn stores(place: &Place) -> Vec<Store> {
    let different = if place.is_sqlite() { 2 } else { TASKS };
    let mut opened = Vec::new();
    for _ in 0..different {
        opened.push(place.open().await);
    }
    (0..TASKS).map(|task| opened[task % different].clone()).collect()
}

/// Does the same in sixteen tasks at once.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    stores: &[Store],
    task: impl Fn(usize, Store) -> F,
) -> Vec<T> {
    let tasks: Vec<_> =
        stores.iter().enumerate().map(|(index, store)| tokio::spawn(task(index, store.clone()))).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

/// The runs that hold each host, as their drivers believe it: from the answer to the claim until the call to finish.
#[derive(Debug, Default)]
struct Believed(Mutex<HashMap<String, Vec<(String, bool)>>>);

impl Believed {
    fn enter(&self, run: &str, shared: bool, hosts: &[String]) {
        let mut held = self.0.lock().unwrap();
        for host in hosts {
            let on_it = held.entry(host.clone()).or_default();
            assert!(on_it.iter().all(|(_, other)| *other && shared), "{run} meets {on_it:?} on {host}");
            on_it.push((run.to_owned(), shared));
        }
    }

    fn leave(&self, run: &str) {
        for on_it in self.0.lock().unwrap().values_mut() {
            on_it.retain(|(other, _)| other != run);
        }
    }
}

#[test]
fn two_hundred_runs_are_each_claimed_once_and_never_meet_on_a_host() {
    both(|place| async move {
        let stores = stores(&place).await;
        let mut random = ChaCha8Rng::seed_from_u64(7);
        for number in 0..200 {
            let hosts: Vec<String> =
                (0..random.random_range(0..4)).map(|_| format!("h{}", random.random_range(0..12))).collect();
            let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
            let new = NewRun { shared_hosts: random.random_bool(0.3), ..run(&format!("r{number:03}"), &hosts) };
            stores[0].submit(&new, at(number)).await.unwrap();
        }
        let believed = Arc::new(Believed::default());
        let left = Arc::new(AtomicI64::new(200));
        let began = std::time::Instant::now();
        let claimed = at_once(&stores, |task, store| {
            let (believed, left) = (Arc::clone(&believed), Arc::clone(&left));
            async move {
                let mut mine = Vec::new();
                while left.load(Ordering::SeqCst) > 0 {
                    let Some(run) = store.claim_next(&format!("c{task}"), LEASE, at(1_000)).await.unwrap() else {
                        // Between processes SQLite hands its lock to whoever asks at the right moment, so that one who asks
                        // without a pause can keep it from the others for long.
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        continue;
                    };
                    assert_eq!((run.state, run.epoch), (RunState::Claimed, 1));
                    let hosts = store.run_document(&run.id).await.unwrap().hosts;
                    believed.enter(&run.id, run.shared_hosts, &hosts);
                    store.record_state(&run.id, 1, RunState::Running).await.unwrap();
                    believed.leave(&run.id);
                    store.finish(&run.id, 1, "held", "", at(1_000)).await.unwrap();
                    left.fetch_sub(1, Ordering::SeqCst);
                    mine.push(run.id);
                }
                mine
            }
        })
        .await;
        println!("{:?}: 200 runs claimed, run and finished in {:?}", place.address, began.elapsed());
        let all: Vec<String> = claimed.concat();
        assert_eq!(all.len(), 200);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 200, "each once");
        assert_eq!(count(&stores[0], "SELECT COUNT(*) AS n FROM host_locks").await, 0);
    });
}

#[test]
fn a_slot_fires_once_whoever_tries() {
    both(|place| async move {
        let stores = stores(&place).await;
        stores[0]
            .create_definition(DefinitionKind::Schedule, "nightly", "kind: Schedule", by("ann"), at(0))
            .await
            .unwrap();
        let outcomes = at_once(&stores, |task, store| async move {
            let mut fired = Vec::new();
            for slot in 0..20 {
                let origin = Origin::Schedule { name: "nightly".into(), slot: at(slot) };
                let new = NewRun { origin, ..run(&format!("s{slot}-c{task}"), &[]) };
                match store.claim_slot(&nightly(1, at(slot)), false, &new, at(100)).await.unwrap() {
                    SlotClaim::Fired(run) => fired.push((slot, run.id)),
                    SlotClaim::Taken => {}
                    other => panic!("{other:?}"),
                }
            }
            fired
        })
        .await;
        let fired: Vec<(i64, String)> = outcomes.concat();
        assert_eq!(fired.iter().map(|(slot, _)| *slot).collect::<BTreeSet<_>>().len(), 20);
        assert_eq!(fired.len(), 20, "each once");
        let slots = stores[0].slots("nightly", None, 100).await.unwrap();
        let kept: BTreeSet<_> = slots.iter().filter_map(|slot| slot.run.clone()).collect();
        assert_eq!(kept, fired.into_iter().map(|(_, run)| run).collect(), "and by the run that was answered");
        assert_eq!(count(&stores[0], "SELECT COUNT(*) AS n FROM runs").await, 20, "no run without its slot");
    });
}

#[test]
fn schedules_that_must_run_alone_do() {
    both(|place| async move {
        let stores = stores(&place).await;
        stores[0]
            .create_definition(DefinitionKind::Schedule, "nightly", "kind: Schedule", by("ann"), at(0))
            .await
            .unwrap();
        let fired = at_once(&stores, |task, store| async move {
            let slot = i64::try_from(task).unwrap();
            let origin = Origin::Schedule { name: "nightly".into(), slot: at(slot) };
            let new = NewRun { origin, ..run(&format!("s{slot}"), &[]) };
            matches!(store.claim_slot(&nightly(1, at(slot)), true, &new, at(100)).await.unwrap(), SlotClaim::Fired(_))
        })
        .await;
        assert_eq!(fired.into_iter().filter(|&fired| fired).count(), 1);
    });
}

#[test]
fn a_token_is_redeemed_as_often_as_it_may_be() {
    both(|place| async move {
        let stores = stores(&place).await;
        for uses in [1, 3] {
            let token = NewEnrolmentToken {
                id: format!("t{uses}"),
                secret_hash: format!("hash{uses}"),
                labels: BTreeMap::new(),
                created_by: "ann".into(),
                expires_at: at(100),
                uses,
            };
            stores[0].create_enrolment_token(&token, at(0)).await.unwrap();
            let redeemed = at_once(&stores, |task, store| async move {
                let certificate = super::tokens::of(&format!("agent-{uses}-{task}"), &format!("{uses}-{task}"));
                match store.enrol(&format!("hash{uses}"), &certificate, at(1)).await {
                    Ok(_) => 1,
                    Err(error) => {
                        assert_eq!(error.refusal(), Some(&Refusal::Token(TokenRefusal::Used)), "{error}");
                        0
                    }
                }
            })
            .await;
            assert_eq!(redeemed.into_iter().sum::<u32>(), uses);
        }
    });
}

/// Whatever was taken before the halt is named by it as cancelled or stopping, and nothing is taken after it.
#[test]
fn nothing_slips_past_a_halt() {
    both(|place| async move {
        let stores = stores(&place).await;
        for round in 0..4 {
            let halted = Arc::new(AtomicBool::new(false));
            let taken = Arc::new(AtomicI64::new(0));
            let outcomes = at_once(&stores, |task, store| {
                let (halted, taken) = (Arc::clone(&halted), Arc::clone(&taken));
                async move {
                    let (mut submitted, mut claimed, mut by_halt) = (BTreeSet::new(), BTreeSet::new(), None);
                    if task == 0 {
                        while taken.load(Ordering::SeqCst) < 20 + 11 * round {
                            tokio::task::yield_now().await;
                        }
                        let done = store.halt("race", "ann", at(5)).await.unwrap();
                        halted.store(true, Ordering::SeqCst);
                        by_halt = Some(done);
                    }
                    for number in 0.. {
                        let after_halt = halted.load(Ordering::SeqCst);
                        let id = format!("r{round}-{task}-{number}");
                        let outcome = if (task + number) % 2 == 0 {
                            store.submit(&run(&id, &[]), at(1)).await.map(|_| submitted.insert(id))
                        } else {
                            let claim = store.claim_next("c", LEASE, at(1)).await;
                            claim.map(|run| run.is_some_and(|run| claimed.insert(run.id)))
                        };
                        match outcome {
                            Ok(_) => {
                                assert!(!after_halt, "taken although the halt was reported before");
                                taken.fetch_add(1, Ordering::SeqCst);
                            }
                            Err(error) => {
                                assert!(matches!(error.refusal(), Some(Refusal::Halted(_))), "{error}");
                                break;
                            }
                        }
                    }
                    (submitted, claimed, by_halt)
                }
            })
            .await;
            let ids = |runs: &[crate::store::runs::Run]| runs.iter().map(|run| run.id.clone()).collect::<BTreeSet<_>>();
            let halt = outcomes.iter().find_map(|(_, _, halt)| halt.clone()).unwrap();
            let submitted: BTreeSet<_> = outcomes.iter().flat_map(|(submitted, _, _)| submitted.clone()).collect();
            let claimed: BTreeSet<_> = outcomes.iter().flat_map(|(_, claimed, _)| claimed.clone()).collect();
            assert_eq!(ids(&halt.stopping), claimed);
            assert_eq!(ids(&halt.cancelled), &submitted - &claimed);
            assert!(submitted.len() > 8, "there was a race: {}", submitted.len());
            let queued = RunFilter { states: vec![RunState::Queued], ..RunFilter::default() };
            assert_eq!(stores[0].runs(&queued, None, 10).await.unwrap().0, []);
            stores[0].release_halt().await.unwrap();
            for id in claimed {
                stores[0].finish(&id, 1, "aborted", "", at(6)).await.unwrap();
            }
        }
    });
}

#[test]
fn never_do_two_lead_at_a_time() {
    both(|place| async move {
        let stores = stores(&place).await;
        let clock = Arc::new(AtomicI64::new(0));
        let leads = at_once(&stores, |task, store| {
            let clock = Arc::clone(&clock);
            async move {
                let controller = format!("c{task}");
                let mut random = ChaCha8Rng::seed_from_u64(task as u64);
                let mut leads: Vec<(i64, i64, i64)> = Vec::new();
                let mut epoch = None;
                for _ in 0..40 {
                    // Time passes between asking for it and using it, differently for each.
                    let now = clock.fetch_add(random.random_range(0..3), Ordering::SeqCst);
                    if random.random_bool(0.3) {
                        tokio::time::sleep(Duration::from_millis(random.random_range(0..5))).await;
                    }
                    match epoch {
                        None => {
                            epoch = store.try_lead(&controller, LEASE, at(now)).await.unwrap();
                            // It leads from the moment when it knows.
                            let start = clock.load(Ordering::SeqCst);
                            leads.extend(epoch.map(|epoch| (epoch, start, now + 10)));
                        }
                        Some(held) if random.random_bool(0.6) => {
                            match store.renew_lead(&controller, held, LEASE, at(now)).await {
                                Ok(()) => {
                                    let lead = leads.last_mut().unwrap();
                                    lead.2 = lead.2.max(now + 10);
                                }
                                Err(error) => {
                                    assert!(matches!(error.refusal(), Some(Refusal::NotLeading { .. })), "{error}");
                                    epoch = None;
                                }
                            }
                        }
                        Some(held) => {
                            // It stops leading before it says so.
                            let now = clock.load(Ordering::SeqCst);
                            if store.resign(&controller, held).await.is_ok() {
                                leads.last_mut().unwrap().2 = now;
                            }
                            epoch = None;
                        }
                    }
                }
                leads
            }
        })
        .await;
        let mut leads: Vec<(i64, i64, i64)> = leads.concat();
        leads.sort_unstable();
        assert!(leads.len() > 5, "{leads:?}");
        for pair in leads.windows(2) {
            let ((one, _, end), (other, start, _)) = (pair[0], pair[1]);
            assert!(other > one, "an epoch is given once");
            assert!(start >= end, "{pair:?}: the next lead began before the former ended");
        }
    });
}

#[test]
fn the_audit_log_has_no_forks() {
    both(|place| async move {
        let stores = stores(&place).await;
        at_once(&stores, |task, store| async move {
            for number in 0..10 {
                let deed =
                    Deed::new(format!("token/{task}"), "test", format!("{number}"), "done", &serde_json::json!({}));
                store.append_audit(&deed, at(number)).await.unwrap();
                if number == 5 {
                    store.verify_audit(None).await.unwrap();
                }
            }
        })
        .await;
        assert_eq!(stores[0].verify_audit(None).await.unwrap().sequence, 160);
    });
}

#[test]
fn a_notification_is_taken_by_one() {
    both(|place| async move {
        let stores = stores(&place).await;
        let messages: Vec<NewMessage> = (0..60)
            .map(|number| NewMessage {
                id: format!("m{number}"),
                endpoint: "pager".into(),
                payload: "{}".into(),
                not_before: at(0),
            })
            .collect();
        assert_eq!(stores[0].enqueue(&messages, at(0)).await.unwrap(), 60);
        let taken = at_once(&stores, |_, store| async move {
            let mut taken = Vec::new();
            for _ in 0..10 {
                taken.extend(store.take_due(7, LEASE, at(1)).await.unwrap().into_iter().map(|message| message.id));
            }
            taken
        })
        .await
        .concat();
        assert_eq!(taken.len(), 60);
        assert_eq!(taken.into_iter().collect::<BTreeSet<_>>().len(), 60);
    });
}

#[test]
fn an_orphan_is_taken_over_by_one() {
    both(|place| async move {
        let stores = stores(&place).await;
        for number in 0..10 {
            stores[0].submit(&run(&format!("r{number}"), &[]), at(0)).await.unwrap();
            stores[0].claim_next("dead", LEASE, at(0)).await.unwrap().unwrap();
        }
        let taken = at_once(&stores, |task, store| async move {
            let mut taken = Vec::new();
            for orphan in store.orphaned(at(20)).await.unwrap() {
                taken.extend(
                    store.take_over(&orphan, &format!("c{task}"), LEASE, at(20)).await.unwrap().map(|run| run.id),
                );
            }
            taken
        })
        .await
        .concat();
        assert_eq!((taken.len(), taken.into_iter().collect::<BTreeSet<_>>().len()), (10, 10));
        assert_eq!(count(&stores[0], "SELECT COUNT(*) AS n FROM runs WHERE epoch = 2").await, 10);
    });
}

/// The database itself refuses what claims never do.
#[test]
fn a_second_exclusive_lock_of_a_host_is_refused_by_the_tables() {
    use sqlx::Executor;
    both(|place| async move {
        let store = place.open().await;
        for id in ["one", "two"] {
            store.submit(&run(id, &["a"]), at(0)).await.unwrap();
        }
        around(&store, "INSERT INTO host_locks (host, run, shared, since) VALUES ('a', 'one', 0, 0)").await;
        let second = sqlx::raw_sql("INSERT INTO host_locks (host, run, shared, since) VALUES ('a', 'two', 0, 0)");
        assert!(store.writers.execute(second).await.is_err());
    });
}
