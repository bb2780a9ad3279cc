use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::identity::{FaultId, NetworkNamespace, ProcessIdentity};
use crate::plan::{Dose, step};

fn policy(text: &str) -> Policy {
    serde_saphyr::from_str(text).unwrap()
}

fn plan() -> Plan {
    Plan {
        id: FaultId::from_number(1),
        fault: "network-latency".into(),
        targets: vec![],
        dose: vec![Dose { name: "delay".into(), asked: 100.0, unit: "ms".into() }],
        steps: vec![],
        notes: vec![],
    }
}

#[track_caller]
fn refusal(text: &str, plan: &Plan) -> String {
    policy(text).permits(plan, TimeSpan::from_secs(60), 1).unwrap_err().to_string()
}

#[test]
fn without_rules_everything_is_permitted() {
    assert_eq!(policy("{}").permits(&plan(), TimeSpan::from_secs(1_000_000), 99), Ok(()));
}

#[test]
fn each_rule_refuses_what_breaks_it_and_nothing_else() {
    let all = "{ faults: { allow: [network-latency], forbid: [disk-fill] }, maximumDuration: 1m, maximumConcurrent: 2,
                 limits: { network-latency: { delay: 100ms } } }";
    assert_eq!(policy(all).permits(&plan(), TimeSpan::from_secs(60), 1), Ok(()));
    assert!(refusal("{ faults: { forbid: [network-latency] } }", &plan()).contains("forbidden faults"));
    assert!(refusal("{ faults: { allow: [] } }", &plan()).contains("not on its list of allowed"));
    assert!(refusal("{ maximumDuration: 59s }", &plan()).contains("1m is longer than its maximumDuration of 59s"));
    assert!(refusal("{ maximumConcurrent: 1 }", &plan()).contains("maximumConcurrent is 1"));
    assert!(refusal("{ limits: { network-latency: { delay: 99ms } } }", &plan()).contains("above its limit of 99 ms"));
    assert!(refusal("{ limits: { network-latency: { jitter: 99ms } } }", &plan()).contains("states none"));
    assert!(refusal("{ limits: { network-latency: { delay: 10% } } }", &plan()).contains("no measure in ms"));
}

#[test]
fn a_dose_that_is_no_number_is_refused() {
    let mut plan = plan();
    plan.dose[0].asked = f64::NAN;
    assert!(refusal("{ limits: { network-latency: { delay: 1s } } }", &plan).contains("NaN"));
}

#[test]
fn forbidden_targets_are_found_in_the_steps() {
    let own = ProcessIdentity::own().unwrap();
    let name = fs::read_to_string("/proc/self/comm").unwrap();
    let pause = Step::ProcessPause(step::ProcessPause { processes: vec![own], ..Default::default() });
    let text = format!("{{ forbidden: {{ processes: ['{}'] }} }}", name.trim_end());
    assert!(policy(&text).permits_step(&pause).unwrap_err().reason.contains("no fault may touch"));
    assert_eq!(policy("{ forbidden: { processes: [somebody-else] } }").permits_step(&pause), Ok(()));

    let rules = |interface: Option<&str>, namespace| {
        Step::PacketRules(
            serde_json::from_value(serde_json::json!({
                "table": "faultline_000000000001",
                "selection": { "namespace": namespace, "direction": "both", "interface": interface, "owner": "everyone", "loopback": false },
                "action": "drop",
            }))
            .unwrap(),
        )
    };
    let guarded = policy("{ forbidden: { interfaces: [eth0] } }");
    let elsewhere = NetworkNamespace::Path { path: "/run/netns/a".into(), inode: 1 };
    assert!(guarded.permits_step(&rules(Some("eth0"), NetworkNamespace::Own)).is_err());
    assert!(guarded.permits_step(&rules(None, NetworkNamespace::Own)).is_err());
    assert_eq!(guarded.permits_step(&rules(None, elsewhere)), Ok(()));
    assert_eq!(guarded.permits_step(&rules(Some("lo"), NetworkNamespace::Own)), Ok(()));

    // Packets sent to netem are touched on its interfaces alone, whatever the selection leaves open.
    let sent = |interface: &str, owner: serde_json::Value| {
        let hold = serde_json::from_value(serde_json::json!({ "delay": "1s", "seed": 1 })).unwrap();
        let netem = step::Netem::new(&FaultId::from_number(1), NetworkNamespace::Own, interface, hold).for_chosen(0);
        Step::PacketClassification(
            serde_json::from_value(serde_json::json!({
                "table": "faultline_000000000001",
                "selection": { "namespace": NetworkNamespace::Own, "direction": "egress", "owner": owner, "loopback": true },
                "netems": [netem],
            }))
            .unwrap(),
        )
    };
    let everyone = || serde_json::json!("everyone");
    assert!(guarded.permits_step(&sent("eth0", everyone())).is_err());
    assert_eq!(guarded.permits_step(&sent("lo", everyone())), Ok(()));
    let processes = policy(&text);
    assert!(processes.permits_step(&sent("lo", serde_json::json!({ "processes": [own] }))).is_err());
    assert_eq!(processes.permits_step(&sent("lo", everyone())), Ok(()));
}

#[test]
fn a_forbidden_mount_point_protects_what_is_on_it() {
    let forbidden = Forbidden { mount_points: vec!["/".into(), "/proc".into()], ..Forbidden::default() };
    let folder = |path: &str| -> Step {
        serde_json::from_value(serde_json::json!({
            "inode-fill": { "folder": path, "device": 1, "scratchName": ".faultline-000000000001", "goal": { "count": 1 } }
        }))
        .unwrap()
    };
    let policy = Policy { forbidden, ..Policy::default() };
    assert!(policy.permits_step(&folder("/proc/self")).unwrap_err().reason.contains("which no fault may fill"));
    assert_eq!(policy.permits_step(&folder("/sys")), Ok(()));
}

fn load(path: &Path) -> Result<Policy, String> {
    Policy::load(Some(path)).map_err(|error| error.to_string())
}

#[test]
fn a_file_is_trusted_only_if_it_is_roots_alone_to_write() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: making a file that is root's needs root");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("policy.yaml");
    fs::write(&path, "maximumDuration: 1m\n").unwrap();
    assert_eq!(load(&path).unwrap().maximum_duration, Some(TimeSpan::from_secs(60)));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(load(&path).unwrap_err().contains("not root's alone to write"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::chown(&path, Some(1234), None).unwrap();
    assert!(load(&path).unwrap_err().contains("not root's alone to write"));
    std::os::unix::fs::chown(&path, Some(0), None).unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(load(&path).unwrap_err().contains("not root's alone to write"));
}

#[test]
fn a_file_that_cannot_be_understood_permits_nothing() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: making a file that is root's needs root");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("policy.json");
    for (text, expected) in [
        ("{ \"maximumDurations\": \"1m\" }", "cannot be understood"),
        ("{ \"faults\": { \"forbid\": [\"disk-fil\"] } }", "does not exist, `disk-fil`"),
        ("{", "cannot be understood"),
    ] {
        fs::write(&path, text).unwrap();
        let error = load(&path).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    fs::write(&path, "{ \"faults\": { \"forbid\": [\"disk-fill\"] } }").unwrap();
    assert_eq!(load(&path).unwrap().faults.forbid, ["disk-fill"]);
}
