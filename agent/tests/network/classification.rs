//! Rules that send chosen packets to netem, on a kernel that need not have netem: they set a priority and nothing else.

use faultline_agent::identity::FaultId;
use faultline_agent::kernel::HostKernel;
use faultline_agent::kernel::Kernel;
use faultline_agent::plan::step::{Netem, PacketClassification, PacketOwner, PacketSelection, Protocol};
use faultline_agent::plan::{Bite, Step};

use crate::lab::{Lab, PORT, SERVER_4, SERVER_6, apply, can_run, datagram_round_trip, hold, run, selection, to_port};

fn sent_to_netem(lab: &Lab, selection: PacketSelection, interfaces: &[&str]) -> Step {
    let id = FaultId::from_number(0x2a);
    let netem = |name: &str| Netem::new(&id, lab.client_namespace(), name, hold(10));
    let netems = (0..).zip(interfaces).map(|(nth, name)| netem(name).for_chosen(nth)).collect();
    Step::PacketClassification(PacketClassification { table: id.table_name(), selection, netems })
}

fn listed(lab: &Lab, selection: PacketSelection, interfaces: &[&str]) -> String {
    let step = sent_to_netem(lab, selection, interfaces);
    let held = apply(&step);
    let listed = run(&format!("ip netns exec {} nft -s list table inet faultline_00000000002a", lab.client));
    drop(held);
    assert!(!HostKernel.is_present(&step).unwrap());
    let lines = listed.lines().filter(|line| !line.contains("progname")).map(str::trim_end);
    lines.collect::<Vec<_>>().join("\n").replace('\t', "  ")
}

#[test]
fn rules_for_netem_read_as_they_were_asked() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let mut chosen = to_port(lab.client_namespace(), PORT);
    chosen.protocol = Some(Protocol::Tcp);
    chosen.networks = ["10.0.0.0/8", "fd77::/16"].iter().map(|text| text.parse().unwrap()).collect();
    insta::assert_snapshot!(listed(&lab, chosen, &["eth0", "lo"]));
}

#[test]
fn priorities_are_set_on_what_is_chosen_and_left_alone_on_the_rest() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let nft = |what: &str| run(&format!("ip netns exec {} nft {what}", lab.client));
    nft("add table inet watch");
    nft("add chain inet watch post { type filter hook postrouting priority 0 ; }");
    for priority in ["e62a:2", "none"] {
        nft(&format!("add rule inet watch post udp dport 7777 meta priority {priority} counter"));
    }
    let counts = || -> Vec<u64> {
        let listed = nft("list chain inet watch post");
        let count = |line: &str| line.split("packets ").nth(1)?.split(' ').next()?.parse().ok();
        listed.lines().filter_map(count).collect()
    };
    let trip = |address: &'static str| lab.client(move || datagram_round_trip(address, PORT).unwrap());
    let only_4 = PacketSelection {
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        owner: PacketOwner::Everyone,
        ..selection(lab.client_namespace())
    };
    let step = sent_to_netem(&lab, only_4, &["eth0"]);
    let held = apply(&step);
    trip(SERVER_4);
    trip(SERVER_6);
    assert_eq!(counts(), [1, 1]);
    // The rules chose a packet, but nothing holds it here: that is no effect.
    let evidence = held.evidence();
    let Bite::No(why) = evidence.bite else { panic!("{evidence:?}") };
    assert!(why.contains("netem f02a: is not on eth0"), "{why}");
    drop(held);
    trip(SERVER_4);
    assert_eq!(counts(), [1, 2], "as before");
}
