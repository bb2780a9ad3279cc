use std::io::ErrorKind;
use std::time::Duration;

use faultline_agent::kernel::namespace;
use faultline_agent::plan::Bite;
use faultline_agent::plan::step::{Direction, PartitionAction};

use crate::lab::run;
use crate::lab::{
    Lab, PORT, SERVER_4, SERVER_6, apply, assert_takes, can_run, connect, connect_within, cut, datagram_round_trip,
    round_trip, selection, serve, to_port, undo,
};

#[test]
fn a_cut_meets_existing_and_new_connections_and_heals() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let mut ports = PORT + 1..;
    for direction in [Direction::Egress, Direction::Ingress, Direction::Both] {
        for address in [SERVER_4, SERVER_6] {
            // A port of its own: the connections of the cut before may still repeat themselves to theirs, and would be
            // counted before this one's traffic has begun.
            let port = ports.next().unwrap();
            serve(&lab.server_namespace(), port);
            let mut existing = lab.client(|| connect(address, port).unwrap());
            let mut selection = to_port(lab.client_namespace(), port);
            selection.direction = direction;
            let step = cut(selection, PartitionAction::Drop);
            let hold = apply(&step);
            assert!(matches!(hold.evidence().bite, Bite::NotYet(_)));
            assert_eq!(round_trip(&mut existing).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(lab.client(|| connect(address, port)).unwrap_err().kind(), ErrorKind::TimedOut);
            assert!(lab.client(|| datagram_round_trip(address, port)).is_err());
            let evidence = hold.evidence();
            assert_eq!(evidence.bite, Bite::Yes);
            assert!(evidence.measurements[0].measured >= 3.0, "{evidence:?}");
            undo(&step, hold);
            assert!(lab.client(|| datagram_round_trip(address, port)).is_ok());
            assert!(round_trip(&mut existing).is_ok() || round_trip(&mut existing).is_ok(), "the connection recovers");
        }
    }
}

#[test]
fn a_rejected_client_is_told_at_once() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    serve(&lab.client_namespace(), PORT);
    for (action, told) in [
        (PartitionAction::Reject, ErrorKind::ConnectionRefused),
        (PartitionAction::Unreachable, ErrorKind::HostUnreachable),
    ] {
        for address in [SERVER_4, SERVER_6, "127.0.0.1", "::1"] {
            // Without ports everything is rejected, resets and unreachable messages excepted.
            for ports in [true, false] {
                let mut existing = lab.client(|| connect(address, PORT).unwrap());
                let mut selection =
                    if ports { to_port(lab.client_namespace(), PORT) } else { selection(lab.client_namespace()) };
                selection.direction = Direction::Both;
                let step = cut(selection, action);
                let hold = apply(&step);
                // IPv6 reports what came while it was sending only with the next SYN, a second later.
                let patience = Duration::from_secs(4);
                let refused = lab.client(|| connect_within(address, PORT, patience)).unwrap_err();
                assert_eq!(refused.kind(), told, "{address} {ports} {refused}");
                if action == PartitionAction::Reject {
                    assert_eq!(round_trip(&mut existing).unwrap_err().kind(), ErrorKind::ConnectionReset, "{address}");
                }
                assert_eq!(hold.evidence().bite, Bite::Yes);
                undo(&step, hold);
                assert_takes(0.0, || lab.client(|| round_trip(&mut connect(address, PORT).unwrap()).unwrap()));
            }
        }
    }
}

#[test]
fn neighbours_are_still_found_behind_a_cut() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let mut selection = selection(lab.client_namespace());
    selection.direction = Direction::Both;
    let step = cut(selection, PartitionAction::Drop);
    let hold = apply(&step);
    for (address, own) in [(SERVER_4, "10.77.0.1"), (SERVER_6, "fd77::1")] {
        assert!(lab.client(|| datagram_round_trip(address, PORT)).is_err());
        // Our own packets are dropped before they need a neighbour; the server asks for us, and must get its answer.
        run(&format!("ip -n {} neigh flush dev eth0", lab.server));
        let asking = namespace::within(&lab.server_namespace(), || datagram_round_trip(own, PORT)).unwrap();
        assert!(asking.is_err(), "{asking:?}");
        let known = run(&format!("ip -n {} neigh show {own}", lab.server));
        assert!(known.contains("lladdr") && !known.contains("FAILED"), "{known}");
    }
    undo(&step, hold);
}
