use std::sync::Arc;

use faultline_agent::identity::FaultId;
use faultline_agent::kernel::{HostKernel, Kernel};
use faultline_agent::plan::Step;
use faultline_agent::plan::step::{HoldTime, Netem};
use faultline_agent::units::{Percent, TimeSpan};

use super::is_inside;
use super::netem::{hold, load_netem};
use super::network::Pair;

/// What a recovery in the near namespace says.
fn recover(pair: &Pair) -> String {
    pair.run(&format!("{} recover --state /run/scratch/orphans", env!("CARGO_BIN_EXE_faultline-agent")))
}

#[test]
#[ignore = "runs in user-mode Linux"]
fn chains_and_frames_go_and_what_others_made_stays() {
    if !is_inside() {
        return;
    }
    load_netem();
    let pair = Pair::new();
    let before = pair.qdiscs();
    let jittery = HoldTime { jitter: TimeSpan::from_millis(3), correlation: Percent::new(25.0).unwrap(), ..hold(20) };
    for (number, hold) in [(1, hold(10)), (2, jittery)] {
        let step = Step::Netem(Netem::new(&FaultId::from_number(number), pair.near(), "v0", hold));
        drop(HostKernel.apply(&step, Arc::new(|_| Ok(()))).unwrap());
    }
    assert_eq!(pair.qdiscs().matches("netem").count(), 2);
    let told = recover(&pair);
    println!("{told}");
    assert_eq!(told.matches("removed  netem").count(), 2, "{told}");
    assert_eq!(pair.qdiscs(), before);
    assert_eq!(recover(&pair), "nothing was left\n");

    // A crash between the frame and its first netem.
    let frame = "tc qdisc add dev v0 root handle fa00: prio bands 2 priomap 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1";
    pair.run(frame);
    let told = recover(&pair);
    println!("{told}");
    assert_eq!(pair.qdiscs(), before, "{told}");

    // Theirs, under handles of ours.
    for theirs in ["handle f005: netem delay 5ms", "handle fa00: prio bands 3"] {
        pair.run(&format!("tc qdisc add dev v0 root {theirs}"));
        let with_theirs = pair.qdiscs();
        let told = recover(&pair);
        println!("{told}");
        assert!(told.contains("left     netem") && told.contains("not as Faultline makes it"), "{told}");
        assert_eq!(pair.qdiscs(), with_theirs);
        pair.run("tc qdisc del dev v0 root");
    }
}
