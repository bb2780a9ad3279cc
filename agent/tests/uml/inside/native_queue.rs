//! The userspace queue on a kernel with the queue expression of nftables, and on one that has the xtables target alone.

use std::time::Duration;

use faultline_agent::facts::{Feature, kernel_features};
use faultline_agent::fingerprint::diff;
use faultline_agent::identity::{FaultId, NetworkNamespace};
use faultline_agent::plan::step::{PacketOwner, PacketQueue, PacketSelection, TcpHeld};
use faultline_agent::plan::{Bite, Step};

use super::chosen::{Fault, Other, assert_about, everything, fingerprint, measured, to_port};
use super::netem::hold;
use super::network::Pair;
use super::{is_inside, load};

fn queue(id: u64, milliseconds: u64, selection: PacketSelection) -> Fault {
    let id = FaultId::from_number(id);
    let queue = u16::try_from(2000 + id.number()).unwrap();
    let (table, hold) = (id.table_name(), hold(milliseconds));
    let step = PacketQueue { table, queue, selection, tcp: TcpHeld::AsItLeaves, hold };
    Fault::of(vec![Step::PacketQueue(step)])
}

/// Delays measured, evidence and undo, and how `nft` lists what hands packets over.
fn packets_are_held(pair: &Pair) -> String {
    assert_eq!(kernel_features::probe(&NetworkNamespace::Own).packet_queue, Feature::Present);
    let before = fingerprint(pair);
    let mut listed = String::new();
    for delay in [10, 50] {
        let mut fault = queue(1, delay, to_port(pair.near())).applied();
        let trips = [pair.fastest(0), pair.fastest(1)];
        std::thread::sleep(Duration::from_millis(100));
        let evidence = fault.evidence();
        println!("asked {delay} ms: round trips {trips:?} ms; {evidence:?}");
        for trip in trips {
            assert_about(trip, delay as f64, "round trip");
        }
        assert_eq!(evidence.bite, Bite::Yes);
        assert_about(measured(&evidence, "delay"), delay as f64, "evidence");
        assert_eq!(measured(&evidence, "packets held"), 16.0);
        listed = pair.run("nft list ruleset");
        fault.undo();
        assert_about(pair.fastest(0), 0.0, "afterwards");
        assert_eq!(diff(&before, &fingerprint(pair)), [""; 0]);
    }
    // Connections that just open are handed over too, and judged.
    let (mut meant, mut bystander) = (Other::start(pair), Other::start(pair));
    let owner = PacketOwner::Processes(vec![meant.identity()]);
    let mut fault = queue(2, 250, PacketSelection { owner, ..everything(pair.near()) }).applied();
    let (new, other) = (meant.ask("new"), bystander.ask("new"));
    println!("one process: new socket {new} ms, a bystander's {other} ms");
    assert!((249.95..600.0).contains(&new) && other < 240.0, "{new} {other}");
    fault.undo();
    assert_eq!(diff(&before, &fingerprint(pair)), [""; 0]);
    listed
}

#[test]
#[ignore = "runs in an emulated machine"]
fn by_expression() {
    if !is_inside() {
        return;
    }
    load(&[
        "net/ipv6/ipv6",
        "drivers/net/veth",
        "net/netfilter/nf_tables",
        "net/netfilter/nft_queue",
        "net/netfilter/nfnetlink_queue",
        "net/ipv4/tcp_diag",
        "net/ipv4/udp_diag",
    ]);
    let listed = packets_are_held(&Pair::new());
    println!("{listed}");
    assert!(listed.contains("queue flags bypass to 2001") || listed.contains("queue num 2001 bypass"), "{listed}");
    assert!(!listed.contains("xt target"), "{listed}");
}

#[test]
#[ignore = "runs in an emulated machine"]
fn by_target() {
    if !is_inside() {
        return;
    }
    load(&[
        "net/ipv6/ipv6",
        "drivers/net/veth",
        "net/netfilter/nf_tables",
        "net/netfilter/nft_compat",
        "net/netfilter/xt_NFQUEUE",
        "net/netfilter/nfnetlink_queue",
        "net/ipv4/tcp_diag",
        "net/ipv4/udp_diag",
    ]);
    let listed = packets_are_held(&Pair::new());
    println!("{listed}");
    // `nft` has no words for xtables targets; with the expression it would say `queue`.
    assert!(listed.contains("counter") && !listed.contains("queue"), "{listed}");
}
