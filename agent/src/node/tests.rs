use std::process::{Child, Command};
use std::sync::Arc;

use super::*;
use crate::kernel::HostKernel;
use crate::plan::Bite;

/// A process of the test's own, ended with it.
struct Victim(Child);

impl Victim {
    fn start() -> Self {
        Self(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next().unwrap()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn node(folder: &std::path::Path) -> Node {
    let state = StateFolder::resolve(Some(folder)).unwrap();
    Node::with(EngineOptions { state, kernel: Arc::new(HostKernel), guard: None, run: None, policy: None }).unwrap()
}

fn pause(victim: &Victim, number: u64) -> FaultRequest {
    serde_json::from_value(serde_json::json!({
        "id": FaultId::from_number(number), "run": "r-1", "fault": {"process-pause": {}}, "targetName": "victim",
        "target": {"process": {"pid": victim.0.id()}}, "lasts": "60s", "seed": 1,
    }))
    .unwrap()
}

#[test]
fn processes_of_a_target_that_end_and_others_that_come_are_told_with_the_evidence() {
    let (folder, argument) = (tempfile::tempdir().unwrap(), format!("1000.{}", std::process::id()));
    let start = || Victim(Command::new("sleep").arg(&argument).spawn().unwrap());
    let (first, second) = (start(), start());
    let (node, ground) = (node(folder.path()), Ground::default());
    let request: FaultRequest = serde_json::from_value(serde_json::json!({
        "id": FaultId::from_number(3), "run": "r-1", "fault": {"process-pause": {}}, "targetName": "victim",
        "target": {"process": {"commandLine": format!("^sleep {argument}$")}}, "lasts": "60s", "seed": 1,
    }))
    .unwrap();
    node.inject(&request, &ground).unwrap();
    assert_eq!(node.evidence(&request.id).unwrap().changes, Vec::<String>::new());
    let pid = first.0.id();
    drop(first);
    let successor = start();
    let evidence = node.evidence(&request.id).unwrap();
    let ended = format!("process {pid} (sleep) of the target ended");
    assert_eq!(
        evidence.changes,
        [ended, format!("process {} (sleep) is new and matches the target", successor.0.id())]
    );
    assert_eq!(evidence.bite, Bite::Yes, "the other one still stands");
    assert!(node.undo(&request.id).verified);
    assert_ne!((second.state(), successor.state()), ('T', 'T'));
}

#[test]
fn a_fault_is_planned_injected_measured_and_undone_by_its_request_alone() {
    let (folder, victim) = (tempfile::tempdir().unwrap(), Victim::start());
    let (node, ground) = (node(folder.path()), Ground::default());
    let request = pause(&victim, 1);
    let planned = node.plan(&request, &ground).unwrap();
    assert_eq!((planned.targets.len(), planned.refused), (1, None));
    assert_ne!(victim.state(), 'T', "a plan touches nothing");
    assert_eq!(node.inject(&request, &ground).unwrap().plan, planned.plan);
    assert_eq!(victim.state(), 'T');
    assert_eq!(node.evidence(&request.id).unwrap().bite, Bite::Yes);
    let status = node.status();
    assert_eq!((status.active.len(), status.stuck.len(), &status.must_stop), (1, 0, &None));
    assert_eq!(status.on_record, Some(1));
    assert_eq!(status.active[0].fault, "process-pause");
    let undone = node.undo(&request.id);
    assert!(undone.verified && undone.steps.iter().all(|step| step.clean), "{undone:?}");
    assert_ne!(victim.state(), 'T');
    assert!(node.status().is_seen_clean());
    std::fs::remove_dir_all(node.state().faults()).unwrap();
    let status = node.status();
    assert!(status.is_clean() && !status.is_seen_clean(), "a journal that cannot be read shows nothing");
}

#[test]
fn the_same_request_again_does_nothing_and_what_is_over_does_not_come_back() {
    let (folder, victim) = (tempfile::tempdir().unwrap(), Victim::start());
    let (node, ground) = (node(folder.path()), Ground::default());
    let request = pause(&victim, 2);
    let first = node.inject(&request, &ground).unwrap();
    assert_eq!(node.inject(&request, &ground).unwrap(), first);
    assert_eq!(node.status().active.len(), 1);
    assert!(node.undo(&request.id).verified);
    let again = node.inject(&request, &ground).unwrap_err();
    assert!(again.verified && again.reason.contains("does not come back"), "{again}");
    assert_ne!(victim.state(), 'T');
    assert!(node.undo(&request.id).verified, "an undo may be asked for again");
}

#[test]
fn what_cannot_be_planned_is_told_with_the_way_on_and_touches_nothing() {
    let (folder, victim) = (tempfile::tempdir().unwrap(), Victim::start());
    let node = node(folder.path());
    let mut request = pause(&victim, 3);
    request.target = serde_json::from_value(serde_json::json!({"process": {"name": "no-such-program"}})).unwrap();
    let refused = node.plan(&request, &Ground::default()).unwrap_err();
    assert!(!refused.unsupported && refused.reason.contains("no-such-program"), "{refused}");
    assert!(refused.reason.contains("(hint: "), "{refused}");
    let not = node.inject(&request, &Ground::default()).unwrap_err();
    assert!(not.verified);
    assert!(node.status().is_clean());
}

#[test]
fn undoing_everything_undoes_everything() {
    let (folder, victims) = (tempfile::tempdir().unwrap(), [Victim::start(), Victim::start()]);
    let (node, ground) = (node(folder.path()), Ground::default());
    for (number, victim) in victims.iter().enumerate() {
        node.inject(&pause(victim, number as u64 + 10), &ground).unwrap();
        assert_eq!(victim.state(), 'T');
    }
    let undone = node.undo_all();
    assert_eq!(undone.iter().filter(|(_, undone)| undone.verified).count(), 2);
    assert!(victims.iter().all(|victim| victim.state() != 'T'));
}
