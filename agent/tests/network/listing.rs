//! What a person sees of our tables with `nft`.

use faultline_agent::plan::Step;
use faultline_agent::plan::step::{Direction, PacketOwner, PartitionAction, Protocol};

use crate::lab::{Lab, PORT, apply, can_run, cut, delay, run, selection, to_port, undo};

fn listed(lab: &Lab, step: &Step) -> String {
    let name = match step {
        Step::PacketRules(rules) => &rules.table,
        Step::PacketQueue(queue) => &queue.table,
        _ => panic!("{step:?}"),
    };
    let hold = apply(step);
    let listed = run(&format!("ip netns exec {} nft -s list table inet {name}", lab.client));
    undo(step, hold);
    let lines = listed.lines().filter(|line| !line.contains("progname")).map(str::trim_end);
    lines.collect::<Vec<_>>().join("\n").replace(name.as_str(), "NAME").replace('\t', "  ")
}

#[test]
fn a_partition_by_peers_reads_as_it_was_asked() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let mut chosen = to_port(lab.client_namespace(), PORT);
    chosen.direction = Direction::Both;
    chosen.interface = Some("eth0".into());
    chosen.protocol = Some(Protocol::Tcp);
    chosen.networks = ["10.0.0.0/8", "10.1.0.0/16", "fd77::/16"].iter().map(|text| text.parse().unwrap()).collect();
    chosen.loopback = false;
    insta::assert_snapshot!(listed(&lab, &cut(chosen, PartitionAction::Reject)));
}

#[test]
fn a_delay_of_a_process_reads_as_it_was_asked() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let mut chosen = selection(lab.client_namespace());
    chosen.owner = PacketOwner::Processes(Vec::new());
    let listed = listed(&lab, &delay(chosen, 10));
    // Numbers of queues come from the process; older `nft` cannot print what xtables targets are asked for.
    let lines = listed.lines().map(|line| line.split("queue").next().unwrap_or_default().trim_end());
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}
