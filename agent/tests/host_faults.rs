//! The faults on processes and disks, planned on this host as it is and carried out by the real engine.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use faultline_agent::engine::{Engine, EngineOptions, InjectError};
use faultline_agent::facts::{Facts, HostFacts, ProcessFacts};
use faultline_agent::fault::{AnyFault, PlanContext, PlanError, Scope};
use faultline_agent::identity::FaultId;
use faultline_agent::plan::{Bite, Evidence, Plan};
use faultline_agent::state::StateFolder;
use faultline_agent::units::TimeSpan;

const MINUTE: TimeSpan = TimeSpan::from_secs(60);

/// An engine with a journal of its own, and the facts of this host.
struct Bench {
    scratch: tempfile::TempDir,
    engine: Engine,
    facts: HostFacts,
}

impl Bench {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let state = StateFolder::resolve(Some(&scratch.path().join("state"))).unwrap();
        let facts = HostFacts::new(state.path(), Vec::new());
        let options = EngineOptions { guard: None, ..EngineOptions::host(state, None) };
        Self { scratch, engine: Engine::open(options).unwrap(), facts }
    }

    fn plan(&self, fault: &str, scope: &Scope) -> Result<Plan, PlanError> {
        let fault: AnyFault = serde_json::from_str(fault).unwrap();
        let id = self.engine.new_id();
        fault.plan(PlanContext { id: &id, scope, facts: &self.facts, seed: 7, lasts: MINUTE })
    }

    fn inject(&self, fault: &str, scope: &Scope) -> FaultId {
        let plan = self.plan(fault, scope).unwrap();
        let id = plan.id.clone();
        let injected: Result<_, InjectError> = self.engine.inject(plan, MINUTE);
        injected.unwrap();
        id
    }

    /// The evidence as soon as the fault bites.
    fn bites(&self, id: &FaultId) -> Evidence {
        let begun = Instant::now();
        loop {
            let evidence = self.engine.evidence(id).unwrap();
            if evidence.bite == Bite::Yes {
                return evidence;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{evidence:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn undo(&self, id: &FaultId) {
        let undone = self.engine.undo(id);
        assert!(undone.verified, "{undone:?}");
    }
}

struct Victim(Child);

impl Victim {
    fn sleeper() -> Self {
        Self(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        self.0.id().try_into().unwrap()
    }

    /// The state letter in `/proc`, seen from outside.
    fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn scope_of(bench: &Bench, victims: &[&Victim]) -> Scope {
    let all = bench.facts.processes().unwrap();
    let chosen: Vec<ProcessFacts> =
        all.into_iter().filter(|one| victims.iter().any(|victim| victim.pid() == one.identity.pid)).collect();
    assert_eq!(chosen.len(), victims.len());
    Scope { processes: Some(chosen), ..Scope::default() }
}

fn measured(evidence: &Evidence, name: &str) -> f64 {
    evidence.measurements.iter().find(|one| one.name == name).map_or(f64::NAN, |one| one.measured)
}

/// A mount of the test's own, taken down with it.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(std::thread::panicking() || unmounted.is_ok_and(|status| status.success()), "something holds the disk");
    }
}

/// A tmpfs that nobody but this thread and its children sees; nothing, with the reason, where that is not allowed.
fn private_tmpfs(bench: &Bench) -> Option<Disk> {
    let folder = bench.scratch.path().join("disk");
    std::fs::create_dir(&folder).unwrap();
    let made = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).is_ok()
        && Command::new("mount").args(["--make-rprivate", "/"]).status().is_ok_and(|status| status.success())
        && Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64M,nr_inodes=2000", "none"])
            .arg(&folder)
            .status()
            .is_ok_and(|status| status.success());
    if !made {
        println!("skipped: a mount of one's own needs root");
    }
    made.then_some(Disk(folder))
}

fn free(folder: &std::path::Path) -> (u64, u64) {
    let counted = rustix::fs::statvfs(folder).unwrap();
    (counted.f_bavail * counted.f_frsize, counted.f_ffree)
}

#[test]
fn a_pause_and_a_kill_meet_those_who_were_named_and_nobody_else() {
    let bench = Bench::new();
    let (paused, killed, bystander) = (Victim::sleeper(), Victim::sleeper(), Victim::sleeper());
    let pause = bench.inject(r#"{ "process-pause": {} }"#, &scope_of(&bench, &[&paused]));
    let kill = bench.inject(r#"{ "process-kill": {} }"#, &scope_of(&bench, &[&killed]));
    bench.bites(&pause);
    assert_eq!(measured(&bench.bites(&kill), "processes ended"), 1.0);
    assert_eq!([paused.state(), killed.state()], ['T', 'Z']);
    assert!(matches!(bystander.state(), 'R' | 'S'));
    let again = bench.plan(r#"{ "process-pause": {} }"#, &scope_of(&bench, &[&paused]));
    assert!(matches!(again, Err(PlanError::NoTarget { .. })), "{again:?}");
    bench.undo(&kill);
    bench.undo(&pause);
    assert!([paused.state(), bystander.state()].iter().all(|state| matches!(state, 'R' | 'S')));
    assert!(bench.engine.active().is_empty());
}

#[test]
fn the_test_itself_and_what_it_runs_below_are_refused() {
    let bench = Bench::new();
    let all = bench.facts.processes().unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    let parent = all.iter().find(|one| one.identity.pid == own).unwrap().parent;
    for pid in [1, own, parent] {
        let chosen = all.iter().filter(|one| one.identity.pid == pid).cloned().collect();
        let scope = Scope { processes: Some(chosen), ..Scope::default() };
        for fault in [r#"{ "process-kill": {} }"#, r#"{ "process-pause": {} }"#] {
            let refused = bench.plan(fault, &scope);
            assert!(matches!(refused, Err(PlanError::Refused { .. })), "{pid}: {refused:?}");
        }
    }
}

#[test]
fn two_fills_of_one_disk_add_up_and_come_off_in_either_order() {
    let bench = Bench::new();
    let Some(disk) = private_tmpfs(&bench) else { return };
    let folder = &disk.0;
    let before = free(folder);
    for first_off in [0, 1] {
        let fill = |rest: &str| {
            let fault = format!(r#"{{ "disk-fill": {{ "path": "{}", {rest} }} }}"#, folder.display());
            bench.inject(&fault, &Scope::default())
        };
        let fills = [fill(r#""bytes": "10MiB""#), fill(r#""bytes": "20MiB", "inodes": { "leaveFree": 100 }"#)];
        bench.bites(&fills[0]);
        assert_eq!(measured(&bench.bites(&fills[1]), "inodes left"), 100.0);
        assert_eq!(before.0 - free(folder).0, 30 << 20);
        bench.undo(&fills[first_off]);
        bench.bites(&fills[1 - first_off]);
        bench.undo(&fills[1 - first_off]);
        assert_eq!(free(folder), before);
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
    }
}

#[test]
fn a_disk_filled_to_a_percentage_is_what_df_shows() {
    let bench = Bench::new();
    let Some(disk) = private_tmpfs(&bench) else { return };
    let folder = &disk.0;
    let fault = format!(r#"{{ "disk-fill": {{ "path": "{}", "toPercent": "87%" }} }}"#, folder.display());
    let fill = bench.inject(&fault, &Scope::default());
    let evidence = bench.bites(&fill);
    assert!((measured(&evidence, "filled") - 87.0).abs() < 0.01, "{evidence:?}");
    let df = Command::new("df").arg("--output=pcent").arg(folder).output().unwrap();
    // df rounds up.
    let shown = String::from_utf8_lossy(&df.stdout).into_owned();
    assert!(shown.contains("87%") || shown.contains("88%"), "{shown}");
    bench.undo(&fill);
}
