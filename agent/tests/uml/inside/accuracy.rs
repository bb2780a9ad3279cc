//! Delays asked against delays measured, ours beside those of `tc qdisc add … netem`, in one run on one machine.

use std::sync::Arc;

use faultline_agent::identity::FaultId;
use faultline_agent::kernel::{HostKernel, Kernel};
use faultline_agent::plan::Step;
use faultline_agent::plan::step::Netem;

use super::is_inside;
use super::netem::{hold, load_netem};
use super::network::Pair;

/// What a delay added to the fastest, the middle and the slowest hundredth of the round trips, in milliseconds.
fn added(pair: &Pair, count: usize, without: f64) -> [f64; 3] {
    let mut times = pair.round_trips(0, count);
    times.sort_unstable();
    [0, 50, 99].map(|percent| times[count * percent / 100].as_secs_f64() * 1000.0 - without)
}

#[test]
#[ignore = "runs in user-mode Linux"]
fn our_delays_are_as_exact_as_those_of_tc() {
    if !is_inside() {
        return;
    }
    load_netem();
    let pair = Pair::new();
    let [_, without, _] = added(&pair, 200, 0.0);
    println!("ACCURACY without delay: median round trip {without:.3} ms");
    for (delay, count) in [(1u64, 200), (10, 100), (100, 40)] {
        pair.run(&format!("tc qdisc add dev v0 root netem delay {delay}ms"));
        let theirs = added(&pair, count, without);
        pair.run("tc qdisc del dev v0 root");
        let step = Step::Netem(Netem::new(&FaultId::from_number(1), pair.near(), "v0", hold(delay)));
        let held = HostKernel.apply(&step, Arc::new(|_| Ok(()))).unwrap();
        let ours = added(&pair, count, without);
        drop(held);
        HostKernel.revert(&step).unwrap();
        for (who, [fastest, median, slowest]) in [("tc netem ", theirs), ("faultline", ours)] {
            println!(
                "ACCURACY asked {delay:3} ms, {who}: fastest {fastest:8.3} ms, median {median:8.3} ms, p99 {slowest:8.3} ms"
            );
        }
        // The fastest is what the qdiscs do; the rest is what the host lets through.
        assert!((ours[0] - theirs[0]).abs() < 0.5, "{ours:?} against {theirs:?}");
    }
}
