use super::super::packet_tests::plan as plan_of;
use super::super::{AnyFault, Scope};
use super::*;
use crate::facts::fake::{FakeFacts, file_system};

/// A host with a disk of its own for /srv, and the journal on the root file system.
fn host() -> FakeFacts {
    let mut facts = FakeFacts::default();
    let disk = FileSystemFacts { device: 0xfe01, blocks: 100_001, ..file_system("/srv") };
    facts.file_systems.push(disk);
    facts
}

fn plan(fault: &str, facts: &FakeFacts) -> Result<Plan, PlanError> {
    plan_of(&AnyFault::DiskFill(serde_json::from_str(fault).unwrap()), &Scope::default(), facts)
}

fn refusal(fault: &str, facts: &FakeFacts) -> String {
    let error = plan(fault, facts).unwrap_err();
    error.to_string()
}

#[test]
fn says_what_is_filled_and_how_it_is_given_back() {
    let facts = host();
    let plan = plan(r#"{ "path": "/srv/data", "toPercent": "95%" }"#, &facts).unwrap();
    assert_eq!(plan.undo_class(), UndoClass::Kernel);
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan).unwrap());
    insta::assert_snapshot!(
        plan.steps[0].describe(),
        @"grow a file without a name in /srv/data until 95% of the file system are used"
    );
}

#[test]
fn inodes_come_first_and_survive_a_reboot() {
    let facts = host();
    let plan = plan(r#"{ "path": "/srv", "bytes": "100MiB", "inodes": { "leaveFree": 10 } }"#, &facts).unwrap();
    assert_eq!(plan.undo_class(), UndoClass::Boot);
    let steps: Vec<_> = plan.steps.iter().map(Step::describe).collect();
    insta::assert_snapshot!(steps.join("\n"), @r"
    make empty files in /srv/.faultline-00000000002a until 10 inodes are left
    grow a file without a name in /srv of 100MiB
    ");
    insta::assert_snapshot!(plan.steps[0].manual_undo(), @"rm -rf '/srv/.faultline-00000000002a'");
}

#[test]
fn an_overlay_may_need_a_name_and_is_undone_after_a_reboot_too() {
    let mut facts = host();
    facts.file_systems[1].kind = "overlay".into();
    let plan = plan(r#"{ "path": "/srv", "leaveFree": "1MiB" }"#, &facts).unwrap();
    assert_eq!(plan.undo_class(), UndoClass::Boot);
    let Step::SpaceFill(step) = &plan.steps[0] else { panic!("{plan:?}") };
    assert_eq!(step.scratch_name.as_deref(), Some(".faultline-00000000002a"));
}

#[test]
fn refuses_parameters_that_say_nothing_or_too_much() {
    let facts = host();
    let ask = |rest: &str| refusal(&format!(r#"{{ "path": "/srv"{rest} }}"#), &facts);
    insta::assert_snapshot!(ask(""), @"nothing says how much to fill");
    insta::assert_snapshot!(
        ask(r#", "toPercent": 90, "bytes": "1GiB""#),
        @"more than one of `toPercent`, `bytes` and `leaveFree` is given"
    );
    insta::assert_snapshot!(
        ask(r#", "inodes": { "count": 5, "leaveFree": 5 }"#),
        @"`inodes` needs exactly one of `toPercent`, `count` (above 0) and `leaveFree`"
    );
    insta::assert_snapshot!(
        ask(r#", "inodes": { "count": 5 }, "speed": "1MiB/s""#),
        @"`speed` is of bytes, and only inodes are taken"
    );
    insta::assert_snapshot!(refusal(r#"{ "path": "srv", "bytes": 1 }"#, &facts), @"`path: srv` is not absolute");
    insta::assert_snapshot!(
        ask(r#", "bytes": "200MiB", "speed": "1MiB/s""#),
        @"at 1MiB/s the fill takes 200 s, longer than the fault lasts (1m)"
    );
}

#[test]
fn refuses_what_the_disk_cannot_give() {
    let mut facts = host();
    let ask = |rest: &str, facts: &FakeFacts| refusal(&format!(r#"{{ "path": "/srv"{rest} }}"#), facts);
    insta::assert_snapshot!(
        ask(r#", "bytes": "1GiB""#, &facts),
        @"1.0 GiB do not fit: /srv has 293.0 MiB available"
    );
    insta::assert_snapshot!(
        ask(r#", "toPercent": "10%""#, &facts),
        @"/srv is beyond the goal already: 21.1% used, 293.0 MiB available"
    );
    insta::assert_snapshot!(
        ask(r#", "inodes": { "count": 40001 }"#, &facts),
        @"40001 inodes are not there: /srv has 40000 free"
    );
    facts.file_systems[1].inodes = 0;
    insta::assert_snapshot!(
        ask(r#", "inodes": { "count": 5 }"#, &facts),
        @"/srv (ext4) makes inodes as they are needed and has no end of them"
    );
    facts.file_systems[1].read_only = true;
    insta::assert_snapshot!(ask(r#", "bytes": "1MiB""#, &facts), @"/srv is mounted read-only");
    for kind in ["proc", "sysfs", "nfs4", "cifs", "cgroup2", "fuse.sshfs", "squashfs"] {
        facts.file_systems[1] = FileSystemFacts { kind: kind.into(), read_only: false, ..file_system("/srv") };
        assert_eq!(
            ask(r#", "bytes": "1MiB""#, &facts),
            format!("/srv is of kind {kind}, which this fault does not fill")
        );
    }
}

#[test]
fn refuses_to_starve_the_journal_or_memory() {
    let mut facts = host();
    let root = |rest: &str, facts: &FakeFacts| refusal(&format!(r#"{{ "path": "/tmp"{rest} }}"#), facts);
    insta::assert_snapshot!(
        root(r#", "toPercent": "100%""#, &facts),
        @"it would leave 0 bytes where Faultline keeps its journal (/var/lib/faultline), and 64.0 MiB are needed to write the undo down"
    );
    insta::assert_snapshot!(
        root(r#", "inodes": { "leaveFree": 1000 }"#, &facts),
        @"it would leave 1000 inodes where Faultline keeps its journal (/var/lib/faultline), and 1024 are needed"
    );
    assert!(plan(r#"{ "path": "/tmp", "leaveFree": "64MiB" }"#, &facts).is_ok());
    // An overlay over the same disk has another device number and the same blocks.
    facts.file_systems[1] = FileSystemFacts { device: 0x99, kind: "overlay".into(), ..file_system("/srv") };
    assert!(refusal(r#"{ "path": "/srv", "toPercent": "100%" }"#, &facts).contains("keeps its journal"));
    facts.file_systems[1] =
        FileSystemFacts { device: 0x98, blocks: 99_999, kind: "tmpfs".into(), ..file_system("/srv") };
    facts.available_memory = 400 << 20;
    insta::assert_snapshot!(
        refusal(r#"{ "path": "/srv", "bytes": "200MiB" }"#, &facts),
        @"/srv lies in memory: 200.0 MiB of the 400.0 MiB available would be taken, and 256.0 MiB must stay"
    );
    assert!(plan(r#"{ "path": "/srv", "bytes": "100MiB" }"#, &facts).is_ok());
}
