use super::super::AnyFault;
use super::super::packet_tests::{plan as plan_of, process_in, scope_of};
use super::*;
use crate::facts::fake::{FakeFacts, process};
use crate::facts::{Freezer, ProcessFacts};
use crate::fault::Scope;

fn host() -> FakeFacts {
    let mut facts = FakeFacts::default();
    let child = |pid, parent, state| ProcessFacts { parent, state, ..process(pid, "worker") };
    facts.processes.extend([process(200, "shop"), child(201, 200, 'S'), child(202, 201, 'R'), child(203, 200, 'T')]);
    facts.processes.extend([process_in(300, "/shop"), process_in(301, "/shop/backend")]);
    let freezer = Freezer { folder: "/sys/fs/cgroup/shop".into(), inode: 99, frozen: false };
    facts.freezers.insert("/shop".into(), freezer);
    facts
}

fn parse(json: &str) -> ProcessPause {
    serde_json::from_str(json).unwrap()
}

fn plan(fault: &str, scope: &Scope, facts: &FakeFacts) -> Result<Plan, PlanError> {
    plan_of(&AnyFault::ProcessPause(parse(fault)), scope, facts)
}

fn refusal(fault: &str, scope: &Scope, facts: &FakeFacts) -> String {
    plan(fault, scope, facts).unwrap_err().to_string()
}

fn cgroup() -> Scope {
    Scope { cgroup: Some("/shop".into()), ..Scope::default() }
}

#[test]
fn names_every_process_and_how_each_is_continued() {
    let facts = host();
    let plan = plan("{}", &scope_of(&facts, &[200, 201]), &facts).unwrap();
    assert_eq!(plan.undo_class(), UndoClass::Guard);
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan).unwrap());
    insta::assert_snapshot!(plan.steps[0].describe(), @"stop processes 200, 201");
    insta::assert_snapshot!(plan.steps[0].manual_undo(), @"kill -CONT 200 201");
}

#[test]
fn takes_descendants_and_leaves_out_who_was_stopped_before() {
    let facts = host();
    let plan =
        plan(r#"{ "descendants": true, "pause": "2s", "every": "10s" }"#, &scope_of(&facts, &[200]), &facts).unwrap();
    insta::assert_snapshot!(
        plan.steps[0].describe(),
        @"stop processes 200, 201, 202 and the children that they start meanwhile, for 2s every 10s"
    );
    insta::assert_snapshot!(plan.notes.join("\n"), @"worker (203): /usr/bin/worker is stopped already and is left alone");
    assert_eq!(plan.dose[0].asked, 3.0);
}

#[test]
fn freezes_a_whole_cgroup_and_signals_a_part_of_one() {
    let facts = host();
    let whole = plan("{}", &cgroup(), &facts).unwrap();
    insta::assert_snapshot!(whole.steps[0].describe(), @"write 1 to /sys/fs/cgroup/shop/cgroup.freeze");
    insta::assert_snapshot!(whole.targets.join("\n"), @r"
    shop (300): /usr/bin/shop
    shop (301): /usr/bin/shop
    ");
    let part = Scope { processes: scope_of(&facts, &[301]).processes, ..cgroup() };
    insta::assert_snapshot!(plan("{}", &part, &facts).unwrap().steps[0].describe(), @"stop process 301");
    insta::assert_snapshot!(
        refusal(r#"{ "by": "freezer" }"#, &part, &facts),
        @"shop (300) is in cgroup /shop and was not chosen; a freezer takes all"
    );
    let signal = plan(r#"{ "by": "signal" }"#, &cgroup(), &facts).unwrap();
    insta::assert_snapshot!(signal.steps[0].describe(), @"stop processes 300, 301");
}

#[test]
fn refuses_a_cgroup_that_is_frozen_or_holds_faultline() {
    let mut facts = host();
    facts.freezers.get_mut(std::path::Path::new("/shop")).unwrap().frozen = true;
    insta::assert_snapshot!(refusal("{}", &cgroup(), &facts), @"cgroup /shop is frozen already, by somebody else");
    facts.processes.iter_mut().find(|one| one.identity.pid == 100).unwrap().cgroup = Some("/shop/agent".into());
    let chosen = Scope { processes: scope_of(&facts, &[300, 301]).processes, ..cgroup() };
    insta::assert_snapshot!(
        refusal("{}", &chosen, &facts),
        @"cgroup /shop cannot be frozen: faultline (100) is in it, and it is Faultline itself"
    );
    facts.freezers.clear();
    insta::assert_snapshot!(
        refusal(r#"{ "by": "freezer" }"#, &chosen, &facts),
        @"cgroup /shop has no cgroup.freeze (v2, not its root)"
    );
}

#[test]
fn refuses_what_must_not_or_cannot_be_paused() {
    let facts = host();
    let ask = |fault: &str, pids: &[i32]| refusal(fault, &scope_of(&facts, pids), &facts);
    insta::assert_snapshot!(ask("{}", &[1]), @"init (1) may not be touched: it is process 1, without which the host stops");
    insta::assert_snapshot!(
        ask("{}", &[203]),
        @"all of the target is stopped already: worker (203): /usr/bin/worker is stopped already and is left alone"
    );
    insta::assert_snapshot!(ask(r#"{ "pause": "2s" }"#, &[200]), @"`pause` and `every` go together");
    insta::assert_snapshot!(ask(r#"{ "pause": "2s", "every": "2s" }"#, &[200]), @"`pause: 2s` is not shorter than `every: 2s`");
    insta::assert_snapshot!(
        ask(r#"{ "pause": "1ms", "every": "2s" }"#, &[200]),
        @"a pause or the time between two pauses is shorter than 10ms"
    );
    insta::assert_snapshot!(
        ask(r#"{ "by": "freezer", "descendants": true }"#, &[200]),
        @"`pause`, `every` and `descendants` do not go with `by: freezer`"
    );
}
