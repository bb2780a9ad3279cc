use std::sync::Arc;
use std::time::{Duration, Instant};

use faultline_agent::facts::{Feature, kernel_features};
use faultline_agent::identity::{FaultId, NetworkNamespace};
use faultline_agent::kernel::{HostKernel, Kernel, KernelError, Reverted};
use faultline_agent::plan::step::{Distribution, HoldTime, Netem};
use faultline_agent::plan::{Bite, Evidence, Step};
use faultline_agent::units::{Percent, TimeSpan};

use super::network::{Pair, run};
use super::{is_inside, load};

pub(super) fn load_netem() {
    load(&[
        "net/ipv6/ipv6",
        "net/sched/sch_netem",
        "net/sched/sch_prio",
        "net/sched/cls_u32",
        "net/sched/cls_fw",
        "net/sched/sch_tbf",
        "drivers/net/veth",
    ]);
}

fn pair() -> Option<Pair> {
    is_inside().then(|| {
        load_netem();
        Pair::new()
    })
}

pub(super) fn hold(delay: u64) -> HoldTime {
    HoldTime {
        delay: TimeSpan::from_millis(delay),
        jitter: TimeSpan::ZERO,
        distribution: Distribution::Uniform,
        correlation: Percent::ZERO,
        seed: 7,
    }
}

fn step(pair: &Pair, id: u64, hold: HoldTime) -> Step {
    Step::Netem(Netem::new(&FaultId::from_number(id), pair.near(), "v0", hold))
}

fn apply(step: &Step) -> Result<Box<dyn faultline_agent::kernel::Hold>, KernelError> {
    HostKernel.apply(step, Arc::new(|_| Ok(()))).map(|hold| hold.expect("netem measures itself"))
}

fn revert(step: &Step) -> Reverted {
    let reverted = HostKernel.revert(step).unwrap();
    assert!(!HostKernel.is_present(step).unwrap(), "{step:?} after {reverted:?}");
    reverted
}

fn assert_about(measured: f64, asked: f64, what: &str) {
    // The host runs other things: a packet may come late, never early.
    assert!((asked - 0.05..asked + 5.0).contains(&measured), "{what}: asked {asked} ms, measured {measured} ms");
}

fn measured(evidence: &Evidence, name: &str) -> f64 {
    evidence.measurements.iter().find(|part| part.name == name).unwrap_or_else(|| panic!("{evidence:?}")).measured
}

#[test]
#[ignore = "runs in user-mode Linux"]
fn the_kernel_is_found_to_have_netem() {
    let Some(_pair) = pair() else { return };
    assert_eq!(kernel_features::probe(&NetworkNamespace::Own).netem, Feature::Present);
}

#[test]
#[ignore = "runs in user-mode Linux"]
fn a_delay_is_applied_measured_and_undone() {
    let Some(pair) = pair() else { return };
    let before = (pair.qdiscs(), pair.fastest(0));
    for delay in [1, 10, 100] {
        let step = step(&pair, 1, hold(delay));
        assert!(!HostKernel.is_present(&step).unwrap());
        let hold = apply(&step).unwrap();
        let trips = [pair.fastest(0), pair.fastest(1)];
        // On a busy host the first few frames may all come late.
        let begun = Instant::now();
        let evidence = loop {
            std::thread::sleep(Duration::from_millis(300));
            let evidence = hold.evidence();
            if measured(&evidence, "delay") < delay as f64 + 5.0 || begun.elapsed() > Duration::from_secs(5) {
                break evidence;
            }
        };
        assert_eq!(evidence.bite, Bite::Yes, "{evidence:?}");
        println!(
            "asked {delay} ms: round trips {trips:?} ms (without {:.3} ms), evidence {:?}",
            before.1, evidence.measurements
        );
        for trip in trips {
            assert_about(trip, delay as f64, "round trip");
        }
        assert_about(measured(&evidence, "delay"), delay as f64, "evidence");
        assert!(measured(&evidence, "packets delayed") >= 12.0);
        assert!(HostKernel.is_present(&step).unwrap());
        drop(hold);
        let begun = Instant::now();
        assert_eq!(revert(&step), Reverted::Undone);
        println!("undone in {:?}", begun.elapsed());
        assert_eq!(revert(&step), Reverted::Absent);
        assert_eq!(pair.qdiscs(), before.0);
    }
    assert!(pair.fastest(0) < 5.0);
}

#[test]
#[ignore = "runs in user-mode Linux"]
fn packets_under_way_arrive_although_the_fault_is_undone() {
    let Some(pair) = pair() else { return };
    let mut client = pair.client(0);
    client.send();
    client.receive();
    let step = step(&pair, 1, hold(150));
    let _hold = apply(&step).unwrap();
    client.send();
    assert_eq!(revert(&step), Reverted::Undone);
    let trip = client.receive();
    assert!(trip >= Duration::from_millis(145), "{trip:?}");
}

#[test]
#[ignore = "runs in user-mode Linux"]
fn two_faults_on_one_interface_add_up_and_come_off_in_either_order() {
    let Some(pair) = pair() else { return };
    let before = pair.qdiscs();
    for first in [0, 1] {
        let steps = [step(&pair, 1, hold(20)), step(&pair, 2, hold(30))];
        let holds = [apply(&steps[0]).unwrap(), apply(&steps[1]).unwrap()];
        let both = pair.fastest(0);
        assert_about(both, 50.0, "both");
        for (hold, asked) in holds.iter().zip([20.0, 30.0]) {
            assert_about(measured(&hold.evidence(), "delay"), asked, "evidence");
            assert_eq!(hold.evidence().bite, Bite::Yes);
        }
        assert_eq!(revert(&steps[first]), Reverted::Undone);
        let rest = pair.fastest(0);
        assert_about(rest, [30.0, 20.0][first], "the other alone");
        assert!(HostKernel.is_present(&steps[1 - first]).unwrap());
        assert_eq!(revert(&steps[first]), Reverted::Absent);
        // A third one finds its place beside what is left of the first.
        let third = step(&pair, 3, hold(40));
        let _hold = apply(&third).unwrap();
        assert_about(pair.fastest(1), [70.0, 60.0][first], "with a third");
        assert_eq!(revert(&steps[1 - first]), Reverted::Undone);
        assert_about(pair.fastest(1), 40.0, "the third alone");
        assert_eq!(revert(&third), Reverted::Undone);
        println!("both {both:.2} ms, then {rest:.2} ms, then as before");
        assert_eq!(pair.qdiscs(), before);
    }
}

#[test]
#[ignore = "runs in user-mode Linux"]
fn a_foreign_root_is_refused_and_left_as_it_is() {
    let Some(pair) = pair() else { return };
    for root in [
        "root handle 10: tbf rate 1gbit burst 100kb latency 50ms",
        "root handle fa00: prio bands 3",
        "root netem delay 3ms",
    ] {
        pair.run(&format!("tc qdisc add dev v0 {root}"));
        let before = pair.qdiscs();
        let step = step(&pair, 1, hold(10));
        let error = apply(&step).expect_err("the root is somebody else's");
        assert!(error.to_string().contains("somebody's qdisc"), "{error}");
        assert_eq!(revert(&step), Reverted::Absent);
        assert_eq!(pair.qdiscs(), before);
        pair.run("tc qdisc del dev v0 root");
    }
}

#[test]
#[ignore = "runs in user-mode Linux"]
fn loopback_is_an_interface_like_any_other() {
    let Some(pair) = pair() else { return };
    let before = pair.run("tc qdisc show dev lo");
    let step = Step::Netem(Netem::new(&FaultId::from_number(1), pair.near(), "lo", hold(10)));
    let held = apply(&step).unwrap();
    std::thread::sleep(Duration::from_millis(350));
    let evidence = held.evidence();
    assert!(evidence.measurements[0].by.contains("timed by the kernel"), "{evidence:?}");
    assert_about(measured(&evidence, "delay"), 10.0, "evidence");
    drop(held);
    assert_eq!(revert(&step), Reverted::Undone);
    assert_eq!(pair.run("tc qdisc show dev lo"), before);
}

#[test]
#[ignore = "runs in user-mode Linux"]
fn a_root_that_the_kernel_would_not_make_again_is_left_alone() {
    let Some(_pair) = pair() else { return };
    load(&["drivers/net/ifb", "net/sched/sch_fq"]);
    run("ip link add ifb9 type ifb && ip link set ifb9 up");
    let before = run("tc qdisc show dev ifb9");
    let step = Step::Netem(Netem::new(&FaultId::from_number(1), NetworkNamespace::Own, "ifb9", hold(10)));
    apply(&step).unwrap();
    assert_eq!(revert(&step), Reverted::Undone);
    assert_eq!(run("tc qdisc show dev ifb9"), before);
    // With another default, removing ours would leave the interface with that one.
    let default = std::fs::read_to_string(DEFAULT).unwrap();
    std::fs::write(DEFAULT, "fq").unwrap();
    let error = apply(&step).expect_err("the root would come back as another kind");
    std::fs::write(DEFAULT, default.trim()).unwrap();
    assert!(error.to_string().contains("net.core.default_qdisc"), "{error}");
    assert_eq!(run("tc qdisc show dev ifb9"), before);
    run("ip link del ifb9");
}

const DEFAULT: &str = "/proc/sys/net/core/default_qdisc";

#[test]
#[ignore = "runs in user-mode Linux"]
fn what_somebody_changed_since_is_left_to_them() {
    let Some(pair) = pair() else { return };
    let Step::Netem(netem) = step(&pair, 1, hold(10)) else { unreachable!() };
    let step = Step::Netem(netem.clone());
    let change =
        |what: &str| pair.run(&format!("tc qdisc change dev v0 parent fa00:2 handle {:x}: netem {what}", netem.handle));

    let hold = apply(&step).unwrap();
    change("delay 7ms");
    assert!(matches!(hold.evidence().bite, Bite::No(_)), "{:?}", hold.evidence());
    let Reverted::Superseded(why) = revert(&step) else { panic!("it was changed") };
    assert!(why.contains("7ms"), "{why}");
    assert_about(pair.fastest(0), 7.0, "theirs");
    pair.run("tc qdisc del dev v0 root");

    // Somebody replaces the whole tree.
    let _hold = apply(&step).unwrap();
    pair.run("tc qdisc replace dev v0 root handle 10: tbf rate 1gbit burst 100kb latency 50ms");
    let theirs = pair.qdiscs();
    assert_eq!(revert(&step), Reverted::Absent);
    assert_eq!(pair.qdiscs(), theirs);
    pair.run("tc qdisc del dev v0 root");

    // Somebody hangs a qdisc below ours: it stays where it is, and is delayed no more.
    let _hold = apply(&step).unwrap();
    pair.run(&format!(
        "tc qdisc add dev v0 parent {:x}:1 handle 20: tbf rate 1gbit burst 100kb latency 50ms",
        netem.handle
    ));
    let Reverted::Superseded(why) = revert(&step) else { panic!("somebody's tbf is below") };
    assert!(why.contains("tbf 20:"), "{why}");
    assert!(pair.fastest(0) < 5.0);
    assert!(pair.qdiscs().contains("tbf 20:"));
}

#[test]
#[ignore = "runs in user-mode Linux"]
fn an_undo_finds_a_renamed_interface_and_knows_when_all_is_gone() {
    let Some(pair) = pair() else { return };
    let step = step(&pair, 1, hold(10));
    let _hold = apply(&step).unwrap();
    pair.run("sh -c 'ip link set v0 down && ip link set v0 name w0 && ip link set w0 up'");
    assert_eq!(revert(&step), Reverted::Undone);
    assert!(!pair.run("tc qdisc show").contains("netem"));
    pair.run("sh -c 'ip link set w0 down && ip link set w0 name v0 && ip link set v0 up'");

    let _hold = apply(&step).unwrap();
    pair.run("ip link del v0");
    assert_eq!(revert(&step), Reverted::Absent);

    let error = apply(&step).expect_err("there is no interface");
    assert!(error.to_string().starts_with("interface v0 in network namespace"), "{error}");
    drop(pair);
    assert_eq!(revert(&step), Reverted::Absent);
}

#[test]
#[ignore = "runs in user-mode Linux"]
fn a_crash_within_an_undo_is_finished_by_the_next_one() {
    let Some(pair) = pair() else { return };
    let before = pair.qdiscs();
    let Step::Netem(netem) = step(&pair, 1, hold(10)) else { unreachable!() };
    let step = Step::Netem(netem.clone());
    let _hold = apply(&step).unwrap();
    pair.run(&format!("tc qdisc change dev v0 parent fa00:2 handle {:x}: netem delay 0ms", netem.handle));
    assert!(HostKernel.is_present(&step).unwrap(), "an idle netem is still something left");
    assert_eq!(revert(&step), Reverted::Undone);
    assert_eq!(pair.qdiscs(), before);

    // A crash within `apply` leaves the frame alone, with or without its filters.
    pair.run("tc qdisc add dev v0 root handle fa00: prio bands 2 priomap 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
    assert!(HostKernel.is_present(&step).unwrap());
    assert_eq!(revert(&step), Reverted::Undone);
    assert_eq!(pair.qdiscs(), before);
}

#[test]
#[ignore = "runs in user-mode Linux"]
fn neighbours_are_found_without_delay() {
    let Some(pair) = pair() else { return };
    let step = step(&pair, 1, hold(400));
    let _hold = apply(&step).unwrap();
    for protocol in [0, 1] {
        pair.run("ip neigh flush dev v0");
        let first = pair.round_trips(protocol, 1)[0];
        println!("first round trip, with the neighbour to be found: {first:?}");
        assert!(first < Duration::from_millis(600), "protocol {protocol}: {first:?}");
    }
    let rows = pair.run("tc -s qdisc show dev v0");
    assert!(rows.contains("qdisc pfifo fa01:"), "{rows}");
    revert(&step);
}

#[test]
#[ignore = "runs in user-mode Linux"]
fn jitter_is_spread_as_asked() {
    let Some(pair) = pair() else { return };
    for distribution in [Distribution::Uniform, Distribution::Normal, Distribution::Pareto] {
        let jitter = HoldTime { jitter: TimeSpan::from_millis(5), distribution, ..hold(20) };
        let step = step(&pair, 1, jitter);
        let _hold = apply(&step).unwrap();
        let mut times = pair.round_trips(0, 160);
        times.sort_unstable();
        let quantile = |percent: usize| times[160 * percent / 100].as_secs_f64() * 1000.0;
        let (median, spread) = (quantile(50), quantile(75) - quantile(25));
        let listed = pair.qdiscs();
        println!("{distribution:?}: median {median:.2} ms, between the quartiles {spread:.2} ms");
        assert!(listed.contains("delay 20ms  5ms"), "{listed}");
        // Quantiles rather than moments: now and then the host lets a packet wait.
        let (wanted_median, wanted_spread) = match distribution {
            Distribution::Uniform => (20.0, 5.0),
            Distribution::Normal => (20.0, 6.74),
            Distribution::Pareto => (18.4, 3.24),
        };
        assert!((wanted_median - 1.5..wanted_median + 6.0).contains(&median), "{distribution:?}: {median} ms");
        assert!((wanted_spread * 0.6..wanted_spread * 1.6).contains(&spread), "{distribution:?}: {spread} ms");
        assert_eq!(revert(&step), Reverted::Undone);
    }
}
