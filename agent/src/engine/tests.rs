use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::crash::simulated::{self, Crash};
use crate::guard::{Ending, GuardReport, undo_kept_by};
use crate::journal::{Record, StepStatus};
use crate::kernel::fake::{FakeKernel, SharedWorld, Thing, World};
use crate::plan::{Plan, Step, step};
use crate::recover::RecoverResult;
use crate::units::TimeSpan;

const MINUTE: TimeSpan = TimeSpan::from_secs(60);

/// A state folder in memory, and a host.
struct Bench {
    _scratch: tempfile::TempDir,
    state: StateFolder,
    world: SharedWorld,
    /// Each process of the test gets a number that no real process has.
    next_process: u32,
}

impl Bench {
    fn new() -> Self {
        let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let state = StateFolder::resolve(Some(&scratch.path().join("state"))).unwrap();
        let mut world = World::default();
        world.changed_by_somebody("qdisc theirs");
        world.changed_by_somebody("table theirs");
        Self { _scratch: scratch, state, world: Arc::new(Mutex::new(world)), next_process: 1 }
    }

    fn kernel(&mut self) -> FakeKernel {
        self.next_process += 1;
        FakeKernel::new(Arc::clone(&self.world), self.next_process)
    }

    fn engine(&mut self, kernel: FakeKernel) -> Engine {
        let number = i32::try_from(self.next_process).unwrap();
        let worker = ProcessIdentity { pid: i32::MAX - 2 * number, start_time: 1 };
        let guard = ProcessIdentity { pid: worker.pid - 1, start_time: 1 };
        let options =
            EngineOptions { state: self.state.clone(), kernel: Arc::new(kernel), guard: None, run: None, policy: None };
        Engine::open_as(options, Some((worker, guard))).unwrap()
    }

    fn recover(&mut self) -> Recovery {
        let kernel = self.kernel();
        recover::recover(&self.state, &kernel).unwrap()
    }

    fn world(&self) -> World {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn records(&self) -> Vec<Found> {
        Journal::of(&self.state).read_all().unwrap()
    }

    /// The journal's files besides its reserve.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.state.faults()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".reserve")
            .collect()
    }
}

impl Engine {
    /// Dies like a process under SIGKILL: its locks are free, what it held open is gone, nothing is undone by it.
    fn die(self, world: &SharedWorld, process: u32) {
        world.lock().unwrap_or_else(std::sync::PoisonError::into_inner).process_died(process);
        for (_, live) in std::mem::take(&mut *locked(&self.faults)) {
            drop(locked(&live.ledger).lock.take());
            std::mem::forget(std::mem::take(&mut *locked(&live.holds)));
        }
    }
}

fn plan(id: FaultId, random: &mut ChaCha8Rng) -> Plan {
    let table = id.table_name();
    let mut kinds: Vec<Step> = vec![
        json(
            serde_json::json!({ "packet-rules": { "table": format!("{table}_a"), "selection": selection(), "action": "drop" } }),
        ),
        json(
            serde_json::json!({ "packet-queue": { "table": table, "queue": 7, "selection": selection(), "hold": { "delay": "1ms", "seed": 1 } } }),
        ),
        Step::ProcessPause(step::ProcessPause {
            processes: (0..random.random_range(1..4))
                .map(|pid| ProcessIdentity { pid: 50 + pid, start_time: 1 })
                .collect(),
            ..Default::default()
        }),
        json(serde_json::json!({ "cgroup-freeze": { "folder": "/cgroup/a", "inode": 1 } })),
        json(serde_json::json!({ "inode-fill": {
            "folder": "/mnt", "device": 1, "scratchName": id.scratch_name(), "goal": { "count": 9 }
        } })),
        json(serde_json::json!({ "space-fill": { "folder": "/mnt", "device": 1, "goal": { "bytes": "1MiB" } } })),
    ];
    let mut steps = Vec::new();
    for _ in 0..random.random_range(1..=4) {
        steps.push(kinds.remove(random.random_range(0..kinds.len())));
    }
    Plan { id, fault: "process-pause".into(), targets: vec![], dose: vec![], steps, notes: vec![] }
}

fn json(value: serde_json::Value) -> Step {
    serde_json::from_value(value).unwrap()
}

fn selection() -> serde_json::Value {
    serde_json::json!({ "namespace": "own", "direction": "both", "owner": "everyone", "loopback": false })
}

fn random(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

#[test]
fn a_fault_comes_bites_and_goes() {
    let mut bench = Bench::new();
    let before = bench.world();
    let kernel = bench.kernel();
    let engine = bench.engine(kernel);
    let plan = plan(engine.new_id(), &mut random(1));
    let id = plan.id.clone();
    engine.inject(plan, MINUTE).unwrap();
    assert_ne!(bench.world(), before);
    assert!(matches!(bench.records().as_slice(), [Found::Record(record)] if record.state == FaultState::Active));
    assert_eq!(engine.evidence(&id).unwrap().bite, crate::plan::Bite::Yes);
    assert_eq!(engine.active().len(), 1);
    let undone = engine.undo(&id);
    assert!(undone.verified && undone.steps.iter().all(|step| step.outcome == Outcome::Undone), "{undone:?}");
    assert_eq!(bench.world(), before);
    assert_eq!(bench.files(), Vec::<String>::new());
    let again = engine.undo(&id);
    assert!(again.verified && again.steps.is_empty());
}

#[test]
fn an_id_is_injected_once_and_a_halted_host_takes_nothing() {
    let mut bench = Bench::new();
    let kernel = bench.kernel();
    let engine = bench.engine(kernel);
    let plan = plan(engine.new_id(), &mut random(1));
    engine.inject(plan.clone(), MINUTE).unwrap();
    assert!(matches!(engine.inject(plan.clone(), MINUTE), Err(InjectError::Exists(_))));
    crate::halt::set(&bench.state, "enough").unwrap();
    assert!(matches!(engine.inject(plan, MINUTE), Err(InjectError::Halted(halt)) if halt.reason == "enough"));
    drop(engine);
    assert_eq!(bench.world(), Bench::new().world());
}

#[test]
fn an_undo_that_cannot_succeed_is_stuck_with_its_command_and_succeeds_later() {
    let mut bench = Bench::new();
    let before = bench.world();
    let kernel = bench.kernel().broken("frozen /cgroup/a");
    let process = bench.next_process;
    let engine = bench.engine(kernel);
    let mut plan = plan(engine.new_id(), &mut random(1));
    plan.steps = vec![
        json(serde_json::json!({ "inode-fill": {
            "folder": "/mnt", "device": 1, "scratchName": ".faultline-x", "goal": { "count": 9 }
        } })),
        json(serde_json::json!({ "cgroup-freeze": { "folder": "/cgroup/a", "inode": 1 } })),
    ];
    let id = plan.id.clone();
    engine.inject(plan, MINUTE).unwrap();
    let undone = engine.undo(&id);
    let Outcome::Failed { command, .. } = &undone.steps[0].outcome else { panic!("{undone:?}") };
    assert!(command.contains("cgroup.freeze"), "{command}");
    // The step beside it was undone all the same.
    assert_eq!(undone.steps[1].outcome, Outcome::Undone);
    let records = bench.records();
    let [Found::Record(record)] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(record.state, FaultState::Stuck);
    assert_eq!(record.steps[0], StepStatus::Undone);
    assert!(matches!(record.steps[1], StepStatus::Stuck { attempts: 4, .. }), "{:?}", record.steps);
    engine.die(&bench.world, process);
    let kernel = bench.kernel();
    let next = bench.engine(kernel);
    assert_eq!(next.swept().undone().count(), 1);
    assert_eq!(bench.world(), before);
}

#[test]
fn a_record_that_cannot_be_read_is_reported_and_kept() {
    let mut bench = Bench::new();
    let path = bench.state.faults().join("0123456789ab.json");
    std::fs::write(&path, "{\"version\":1,").unwrap();
    let kernel = bench.kernel();
    let engine = bench.engine(kernel);
    let stuck: Vec<_> = engine.swept().stuck().collect();
    assert!(matches!(&stuck[0].result, RecoverResult::Unreadable { .. }) && stuck.len() == 1);
    assert!(path.exists() && engine.swept().is_stuck());
    assert!(!engine.undo(&FaultId::from_number(0x0123_4567_89ab)).verified);
}

/// What one seeded run met, so that a loop of them can show that it tested something.
#[derive(Debug, Default)]
struct Tally {
    worker_crashes: u32,
    guard_crashes: u32,
    recover_crashes: u32,
    failed_injections: u32,
    stuck: u32,
    superseded: u32,
}

/// Runs a closure that may die at the crash point with this number; whether it lived.
fn mortal(at: Option<u32>, work: impl FnOnce()) -> bool {
    simulated::arm(at);
    let ended = catch_unwind(AssertUnwindSafe(work));
    simulated::arm(None);
    match ended {
        Ok(()) => true,
        Err(payload) if payload.is::<Crash>() => false,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// One life of a fault with random failures, deaths and strangers; at its end nothing is left but what strangers did.
fn life(seed: u64, tally: &mut Tally) {
    let random = &mut random(seed);
    let chance = |random: &mut ChaCha8Rng, probability| random.random_bool(probability);
    let mut bench = Bench::new();
    let mut expected = bench.world();
    let flaky = [0.0, 0.0, 0.1, 0.4][random.random_range(0..4)];

    let kernel = bench.kernel().failing(seed, flaky);
    let worker = bench.next_process;
    let engine = bench.engine(kernel);
    let keeper = engine.guard().unwrap();
    let plan = plan(engine.new_id(), random);
    let id = plan.id.clone();
    let names: Vec<String> = plan.steps.iter().flat_map(FakeKernel::names).collect();
    let stranger = chance(random, 0.2).then(|| names[random.random_range(0..names.len())].clone());
    let dies_at = chance(random, 0.8).then(|| random.random_range(0..60));
    let lived = mortal(dies_at, || {
        if engine.inject(plan.clone(), MINUTE).is_err() {
            tally.failed_injections += 1;
        } else if let Some(name) = &stranger {
            bench.world.lock().unwrap().changed_by_somebody(name);
            expected.changed_by_somebody(name);
        }
        let undone = engine.undo(&id);
        tally.stuck += u32::from(!undone.verified);
        let left = |step: &StepUndone| matches!(step.outcome, Outcome::Superseded(_));
        tally.superseded += u32::from(undone.steps.iter().any(left));
    });
    tally.worker_crashes += u32::from(!lived);
    engine.die(&bench.world, worker);

    let boot = boot_id().unwrap();
    if !lived && chance(random, 0.7) {
        let kernel = bench.kernel().failing(seed + 1, flaky);
        let dies_at = chance(random, 0.5).then(|| random.random_range(0..15));
        let mut report = GuardReport { ending: Ending::WorkerGone, undone: vec![], problems: vec![] };
        let lived = mortal(dies_at, || {
            undo_kept_by(keeper, &Journal::of(&bench.state), &kernel, &boot, &mut report);
        });
        tally.guard_crashes += u32::from(!lived);
    }
    while chance(random, 0.5) {
        let kernel = bench.kernel().failing(seed + 2, flaky);
        let dies_at = random.random_range(0..15);
        tally.recover_crashes += u32::from(!mortal(Some(dies_at), || {
            recover::recover(&bench.state, &kernel).unwrap();
        }));
    }
    let last = bench.recover();
    assert!(!last.is_stuck(), "seed {seed}: {last:#?}");
    assert_eq!(bench.world(), expected, "seed {seed}: {names:?}");
    assert_eq!(bench.files(), Vec::<String>::new(), "seed {seed}");
    // Undo of what is undone changes nothing.
    let kernel = bench.kernel();
    for step in &plan.steps {
        kernel.revert(step).unwrap();
    }
    assert_eq!(bench.world(), expected, "seed {seed}");
}

#[test]
fn after_a_reboot_numbers_mean_others_and_names_made_of_the_id_do_not() {
    let mut bench = Bench::new();
    let kernel = bench.kernel();
    let engine = bench.engine(kernel);
    let id = engine.new_id();
    let process = ProcessIdentity { pid: 50, start_time: 1 };
    let numbers = [
        Step::ProcessPause(step::ProcessPause { processes: vec![process], ..Default::default() }),
        json(serde_json::json!({ "cgroup-freeze": { "folder": "/cgroup/a", "inode": 1 } })),
    ];
    let names = [json(serde_json::json!({ "inode-fill": {
        "folder": "/mnt", "device": 1, "scratchName": id.scratch_name(), "goal": { "count": 9 }
    } }))];
    let steps = numbers.iter().chain(&names).cloned().collect();
    let plan = Plan { id, fault: "process-pause".into(), targets: vec![], dose: vec![], steps, notes: vec![] };
    engine.inject(plan, MINUTE).unwrap();
    // What is found by these numbers from here on is what strangers did in this boot.
    engine.die(&bench.world, bench.next_process);
    let journal = Journal::of(&bench.state);
    let [Found::Record(record)] = &bench.records()[..] else { panic!("one record") };
    let record = Record { boot_id: "another boot".into(), ..Record::clone(record) };
    journal.write(&record).unwrap();

    let recovery = bench.recover();
    assert_eq!(recovery.undone().count(), 1, "{recovery:#?}");
    let left = bench.world().things;
    let is_there = |step: &Step| FakeKernel::names(step).iter().all(|name| left.contains_key(name));
    assert!(numbers.iter().all(is_there), "{left:#?}");
    assert!(!names.iter().any(is_there), "{left:#?}");
}

#[test]
fn in_thousands_of_lives_nothing_is_left_behind() {
    let mut tally = Tally::default();
    for seed in 0..2000 {
        life(seed, &mut tally);
    }
    println!("{tally:?}");
    let Tally { worker_crashes, guard_crashes, recover_crashes, failed_injections, stuck, superseded } = tally;
    for met in [worker_crashes, guard_crashes, recover_crashes, failed_injections, stuck, superseded] {
        assert!(met > 20, "the lives did not meet everything: {tally:?}");
    }
}

#[test]
fn each_single_crash_point_of_a_life_is_survived() {
    for at in 0..500 {
        let mut bench = Bench::new();
        let before = bench.world();
        let kernel = bench.kernel();
        let worker = bench.next_process;
        let engine = bench.engine(kernel);
        let plan = plan(engine.new_id(), &mut random(3));
        let lived = mortal(Some(at), || {
            engine.inject(plan.clone(), MINUTE).unwrap();
            engine.undo(&plan.id);
        });
        engine.die(&bench.world, worker);
        assert!(!bench.recover().is_stuck());
        assert_eq!(bench.world(), before, "crash point {at}");
        assert_eq!(bench.files(), Vec::<String>::new(), "crash point {at}");
        if lived {
            assert!(at > 20, "only {at} crash points");
            return;
        }
    }
    panic!("a life has no end");
}

#[test]
fn a_step_that_amends_has_its_new_victims_undone_after_a_crash() {
    let mut bench = Bench::new();
    let kernel = bench.kernel();
    let worker = bench.next_process;
    let engine = bench.engine(kernel);
    let mut plan = plan(engine.new_id(), &mut random(1));
    let pause = |pid| {
        Step::ProcessPause(step::ProcessPause {
            processes: vec![ProcessIdentity { pid, start_time: 1 }],
            ..Default::default()
        })
    };
    plan.steps = vec![pause(1)];
    let id = plan.id.clone();
    engine.inject(plan, MINUTE).unwrap();
    let live = engine.live(&id).unwrap();
    live.amend(&engine.journal, &engine.policy, 0)(&pause(2)).unwrap();
    let things = BTreeMap::from([("stopped 2".into(), Thing { value: pause(2).describe(), process: None })]);
    bench.world.lock().unwrap().things = things;
    drop(live);
    engine.die(&bench.world, worker);
    bench.recover();
    assert_eq!(bench.world(), World::default());
}

#[test]
fn no_step_amends_once_its_undo_began() {
    let mut bench = Bench::new();
    let kernel = bench.kernel();
    let engine = bench.engine(kernel);
    let plan = plan(engine.new_id(), &mut random(1));
    let (id, step) = (plan.id.clone(), plan.steps[0].clone());
    engine.inject(plan, MINUTE).unwrap();
    let live = engine.live(&id).unwrap();
    let amend = live.amend(&engine.journal, &engine.policy, 0);
    amend(&step).unwrap();
    engine.undo(&id);
    assert!(amend(&step).unwrap_err().to_string().contains("being undone"));
    assert_eq!(bench.files(), Vec::<String>::new());
}
