use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use faultline_agent::facts::kernel_features::probe;
use faultline_agent::facts::{Feature, cgroup_mount};
use faultline_agent::identity::NetworkNamespace;
use faultline_agent::kernel::namespace;
use faultline_agent::plan::Bite;
use faultline_agent::plan::step::{Direction, PacketOwner, PartitionAction};

use crate::lab::{
    Lab, PORT, SERVER_4, SERVER_6, apply, assert_takes, can_run, connect, cut, delay, delay_answers, round_trip,
    selection, undo,
};
use crate::peer::Peer;

#[test]
fn one_process_is_delayed_from_the_first_packet_of_each_connection() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let (mut target, mut other) = (Peer::start(&lab, None), Peer::start(&lab, None));
    for peer in [&mut target, &mut other] {
        peer.ask(&format!("connect {SERVER_4} {PORT}")).unwrap();
    }
    for make in [delay, delay_answers] {
        target.ask(&format!("connect {SERVER_4} {PORT}")).unwrap();
        let mut chosen = selection(lab.client_namespace());
        chosen.owner = PacketOwner::Processes(vec![target.identity()]);
        let step = make(chosen, 30);
        let hold = apply(&step);
        assert_takes(30.0, || target.ask("echo").unwrap());
        assert_takes(0.0, || other.ask("echo").unwrap());
        for address in [SERVER_4, SERVER_6] {
            for _ in 0..5 {
                for order in ["connect", "echo", "datagram"] {
                    let order = format!("{order} {address} {PORT}");
                    assert_takes(30.0, || target.ask(&order).unwrap());
                    assert_takes(0.0, || other.ask(&order).unwrap());
                }
            }
        }
        assert_eq!(hold.evidence().bite, Bite::Yes);
        undo(&step, hold);
        assert_takes(0.0, || target.ask("echo").unwrap());
    }
}

#[test]
fn one_process_is_cut_off_and_its_neighbour_is_not() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let (mut target, mut other) = (Peer::start(&lab, None), Peer::start(&lab, None));
    target.ask(&format!("connect {SERVER_6} {PORT}")).unwrap();
    target.ask("serve - 7900").unwrap();
    other.ask("serve - 7901").unwrap();
    let from_outside = |port: u16| {
        namespace::within(&lab.server_namespace(), || {
            connect("10.77.0.1", port).and_then(|mut open| round_trip(&mut open))
        })
        .unwrap()
    };
    let mut chosen = selection(lab.client_namespace());
    chosen.owner = PacketOwner::Processes(vec![target.identity()]);
    chosen.direction = Direction::Both;
    let step = cut(chosen, PartitionAction::Drop);
    let hold = apply(&step);
    assert_eq!(target.ask("echo"), Err("WouldBlock".into()));
    assert_eq!(target.ask(&format!("connect {SERVER_4} {PORT}")), Err("TimedOut".into()));
    assert!(target.ask(&format!("datagram {SERVER_4} {PORT}")).is_err());
    assert!(from_outside(7900).is_err(), "what it listens on is cut off too");
    assert_takes(0.0, || from_outside(7901).unwrap());
    assert_takes(0.0, || other.ask(&format!("connect {SERVER_4} {PORT}")).unwrap());
    assert_eq!(hold.evidence().bite, Bite::Yes);
    undo(&step, hold);
    target.ask(&format!("connect {SERVER_4} {PORT}")).unwrap();
    from_outside(7900).unwrap();
}

/// A cgroup of this test; removed when dropped, once its processes have ended.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(mount: &Path) -> Self {
        let folder = mount.join(format!("faultline-test-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let begin = Instant::now();
        while std::fs::remove_dir(&self.0).is_err() && begin.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_cgroup_is_delayed_and_its_neighbour_is_not() {
    if !can_run() {
        return;
    }
    if let Feature::Missing(reason) = probe(&NetworkNamespace::Own).cgroup_match {
        println!("skipped: {reason}");
        return;
    }
    let Some(mount) = cgroup_mount() else {
        println!("skipped: cgroup v2 is not mounted");
        return;
    };
    let lab = Lab::new();
    let cgroup = Cgroup::new(&mount);
    let (mut target, mut other) = (Peer::start(&lab, Some(&cgroup.0)), Peer::start(&lab, None));
    target.ask("serve - 7902").unwrap();
    let path = Path::new("/").join(cgroup.0.strip_prefix(&mount).unwrap());
    for (direction, answers, trips) in [
        (Direction::Egress, false, 1.0),
        (Direction::Egress, true, 1.0),
        (Direction::Ingress, false, 1.0),
        (Direction::Both, false, 2.0),
    ] {
        let mut chosen = selection(lab.client_namespace());
        chosen.owner = PacketOwner::Cgroups(vec![path.clone()]);
        chosen.direction = direction;
        let step = if answers { delay_answers(chosen, 30) } else { delay(chosen, 30) };
        let hold = apply(&step);
        for address in [SERVER_4, SERVER_6] {
            for order in ["connect", "echo", "datagram"] {
                let order = format!("{order} {address} {PORT}");
                assert_takes(30.0 * trips, || target.ask(&order).unwrap());
                assert_takes(0.0, || other.ask(&order).unwrap());
            }
        }
        let mut open = namespace::within(&lab.server_namespace(), || connect("10.77.0.1", 7902).unwrap()).unwrap();
        assert_takes(30.0 * trips, || round_trip(&mut open).unwrap());
        undo(&step, hold);
    }
    drop((target, other));
}
