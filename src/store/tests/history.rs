//! Random histories of several controllers, each step compared with a model that keeps everything in lists.

use std::collections::BTreeMap;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{LEASE, at, both, run};
use crate::store::runs::{NewRun, RunState};
use crate::store::{Refusal, Store};

/// A run in the model.
#[derive(Debug, Clone)]
struct Modelled {
    id: String,
    hosts: Vec<String>,
    shared: bool,
    state: RunState,
    owner: usize,
    epoch: i64,
    until: i64,
}

#[derive(Debug, Default)]
struct Model {
    runs: Vec<Modelled>,
    halted: bool,
    now: i64,
}

impl Model {
    /// The first of the queue that meets nobody on its hosts: neither who has them nor who waits for them.
    fn next(&self) -> Option<usize> {
        let meets = |one: &Modelled, other: &Modelled| {
            !(one.shared && other.shared) && one.hosts.iter().any(|host| other.hosts.contains(host))
        };
        let mut ahead: Vec<&Modelled> = self.runs.iter().filter(|run| run.state.is_owned()).collect();
        for (index, run) in self.runs.iter().enumerate().filter(|(_, run)| run.state == RunState::Queued) {
            if ahead.iter().all(|other| !meets(run, other)) {
                return Some(index);
            }
            ahead.push(run);
        }
        None
    }

    fn owned(&self, random: &mut ChaCha8Rng) -> Option<usize> {
        let owned: Vec<usize> = (0..self.runs.len()).filter(|&index| self.runs[index].epoch > 0).collect();
        owned.choose(random).copied()
    }
}

const CONTROLLERS: [&str; 3] = ["c0", "c1", "c2"];

#[test]
fn histories_go_as_the_model_says() {
    both(|place| async move {
        let stores = [place.open().await, place.open().await, place.open().await];
        let mut claims = 0;
        for seed in 0..16 {
            claims += history(&stores, seed).await;
        }
        assert!(claims > 100, "{claims}");
    });
}

async fn history(stores: &[Store; 3], seed: u64) -> u32 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut model = Model { now: i64::try_from(seed).unwrap() * 100_000, ..Model::default() };
    let mut claims = 0;
    for step in 0..120 {
        let who = random.random_range(0..3);
        let (store, controller) = (&stores[who], CONTROLLERS[who]);
        model.now += random.random_range(0..4);
        let now = at(model.now);
        let until = model.now + 10;
        match random.random_range(0..20) {
            0..6 => {
                let hosts: Vec<String> = ["a", "b", "c", "d"]
                    .iter()
                    .filter(|_| random.random_bool(0.4))
                    .map(|&host| host.to_owned())
                    .collect();
                let shared = random.random_bool(0.4);
                let id = format!("s{seed:02}-{step:03}");
                let new = NewRun { shared_hosts: shared, hosts: hosts.clone(), ..run(&id, &[]) };
                let submitted = store.submit(&new, now).await;
                assert_eq!(submitted.is_ok(), !model.halted);
                if !model.halted {
                    model.runs.push(Modelled {
                        id,
                        hosts,
                        shared,
                        state: RunState::Queued,
                        owner: 0,
                        epoch: 0,
                        until: 0,
                    });
                }
            }
            6..11 => {
                let claimed = store.claim_next(controller, LEASE, now).await;
                if model.halted {
                    assert!(matches!(claimed.unwrap_err().refusal(), Some(Refusal::Halted(_))));
                    continue;
                }
                let expected = model.next();
                assert_eq!(
                    claimed.unwrap().map(|run| run.id),
                    expected.map(|index| model.runs[index].id.clone()),
                    "seed {seed} step {step}"
                );
                if let Some(index) = expected {
                    let run = &mut model.runs[index];
                    (run.state, run.owner, run.epoch, run.until) = (RunState::Claimed, who, 1, until);
                    claims += 1;
                }
            }
            11..15 => {
                // By whoever believes to have it: with the epoch of now, or one from before.
                let Some(index) = model.owned(&mut random) else { continue };
                let run = &mut model.runs[index];
                let stale = i64::from(random.random_bool(0.3));
                let finished = store.finish(&run.id, run.epoch - stale, "held", "", now).await;
                let allowed = stale == 0 && run.state.is_owned();
                assert_eq!(finished.is_ok(), allowed, "{run:?}: {finished:?}");
                if stale == 1 {
                    assert!(matches!(finished.unwrap_err().refusal(), Some(Refusal::TakenOver { .. })));
                }
                if allowed {
                    run.state = RunState::Finished;
                }
            }
            15 => {
                let renewed = store.renew_runs(controller, LEASE, now).await.unwrap();
                let mut mine = BTreeMap::new();
                for run in model.runs.iter_mut().filter(|run| run.owner == who && run.state.is_owned()) {
                    run.until = until;
                    mine.insert(run.id.clone(), run.epoch);
                }
                assert_eq!(renewed.into_iter().map(|lease| (lease.run, lease.epoch)).collect::<BTreeMap<_, _>>(), mine);
            }
            16 | 17 => {
                model.now += 6;
                let now = at(model.now);
                for orphan in store.orphaned(now).await.unwrap() {
                    let taken = store.take_over(&orphan, controller, LEASE, now).await.unwrap().unwrap();
                    let run = model.runs.iter_mut().find(|run| run.id == taken.id).unwrap();
                    assert!(run.state.is_owned() && run.until <= model.now, "{run:?}");
                    (run.owner, run.epoch, run.until) = (who, run.epoch + 1, model.now + 10);
                    assert_eq!(taken.epoch, run.epoch);
                }
                assert!(model.runs.iter().all(|run| !run.state.is_owned() || run.until > model.now), "all were found");
            }
            18 if random.random_bool(0.4) => {
                let halted = store.halt("test", "ann", now).await.unwrap();
                let queued: Vec<_> = model.runs.iter_mut().filter(|run| run.state == RunState::Queued).collect();
                assert_eq!(halted.cancelled.len(), queued.len());
                queued.into_iter().for_each(|run| run.state = RunState::Cancelled);
                model.halted = true;
            }
            _ => {
                assert_eq!(store.release_halt().await.unwrap().is_some(), model.halted);
                model.halted = false;
            }
        }
    }
    // The next history begins with nothing under way.
    stores[0].release_halt().await.unwrap();
    for run in &model.runs {
        assert_eq!(stores[1].run(&run.id).await.unwrap().state, run.state);
        match run.state {
            RunState::Queued => drop(stores[0].cancel(&run.id, "", at(model.now)).await.unwrap()),
            state if state.is_owned() => {
                drop(stores[0].finish(&run.id, run.epoch, "held", "", at(model.now)).await.unwrap());
            }
            _ => {}
        }
    }
    claims
}
