use std::process::Command;

use faultline_agent::plan::step::{Direction, PartitionAction};

use crate::lab::{
    Lab, PORT, SERVER_4, SERVER_6, apply, assert_takes, can_run, connect, cut, delay, round_trip, run, to_port, undo,
};

#[test]
fn two_delays_add_up_and_come_off_in_either_order() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let mut open = lab.client(|| connect(SERVER_4, PORT).unwrap());
    for first_off_first in [true, false] {
        let one = delay(to_port(lab.client_namespace(), PORT), 30);
        let other = delay(to_port(lab.client_namespace(), PORT), 50);
        let (one_hold, other_hold) = (apply(&one), apply(&other));
        assert_takes(80.0, || round_trip(&mut open).unwrap());
        assert_takes(80.0, || lab.client(|| round_trip(&mut connect(SERVER_6, PORT).unwrap()).unwrap()));
        if first_off_first {
            undo(&one, one_hold);
            assert_takes(50.0, || round_trip(&mut open).unwrap());
            undo(&other, other_hold);
        } else {
            undo(&other, other_hold);
            assert_takes(30.0, || round_trip(&mut open).unwrap());
            undo(&one, one_hold);
        }
        assert_takes(0.0, || round_trip(&mut open).unwrap());
    }
}

#[test]
fn undoing_one_fault_loses_no_packet_of_another() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let slow = delay(to_port(lab.client_namespace(), PORT), 200);
    let slow_hold = apply(&slow);
    let socket = lab.client(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect((SERVER_4, PORT)).unwrap();
        socket
    });
    socket.set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
    let mut brief = to_port(lab.client_namespace(), PORT + 9);
    brief.direction = Direction::Both;
    for step in [delay(brief.clone(), 10), cut(brief, PartitionAction::Drop)] {
        let hold = apply(&step);
        for number in 0..50u8 {
            socket.send(&[number]).unwrap();
        }
        undo(&step, hold);
        let mut byte = [0];
        let echoed: Vec<u8> = (0..50).map_while(|_| socket.recv(&mut byte).ok().map(|_| byte[0])).collect();
        assert_eq!(echoed, (0..50).collect::<Vec<u8>>());
    }
    undo(&slow, slow_hold);
}

#[test]
fn undo_lets_go_of_what_is_held() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let step = delay(to_port(lab.client_namespace(), PORT), 5_000);
    let hold = apply(&step);
    let socket = lab.client(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect((SERVER_4, PORT)).unwrap();
        socket
    });
    socket.set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
    for number in 0..20u8 {
        socket.send(&[number]).unwrap();
    }
    undo(&step, hold);
    let mut byte = [0];
    let echoed: Vec<u8> = (0..20).map_while(|_| socket.recv(&mut byte).ok().map(|_| byte[0])).collect();
    assert_eq!(echoed, (0..20).collect::<Vec<u8>>());
}

/// Everything of a host that others may have put there.
fn state_of(host: &str) -> String {
    let inside = |line: &str| run(&format!("ip netns exec {host} {line}"));
    let chains = inside("iptables-save");
    let chains: Vec<_> = chains.lines().filter(|line| !line.starts_with('#')).collect();
    format!("{}\n{}\n{}", inside("nft -s list ruleset"), chains.join("\n"), inside("tc qdisc show"))
}

#[test]
fn what_others_put_there_is_the_same_afterwards_and_works_meanwhile() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let host = lab.client.clone();
    let inside = |line: &str| run(&format!("ip netns exec {host} {line}"));
    inside("nft add table inet firewall");
    inside("nft add chain inet firewall out { type filter hook output priority 0 ; policy accept ; }");
    inside("nft add rule inet firewall out tcp dport 7999 drop");
    inside("iptables -A OUTPUT -p tcp --dport 7998 -j REJECT");
    inside("tc qdisc add dev eth0 root tbf rate 100mbit burst 64kb latency 50ms");
    let before = state_of(&host);
    assert!(before.contains("7999") && before.contains("7998") && before.contains("tbf"), "{before}");
    let steps = [
        delay(to_port(lab.client_namespace(), PORT), 20),
        cut(to_port(lab.client_namespace(), PORT + 1), PartitionAction::Reject),
    ];
    let holds: Vec<_> = steps.iter().map(apply).collect();
    let meanwhile = state_of(&host);
    assert_ne!(before, meanwhile);
    assert!(meanwhile.contains("flags owner"), "{meanwhile}");
    assert_takes(20.0, || lab.client(|| round_trip(&mut connect(SERVER_4, PORT).unwrap()).unwrap()));
    assert!(lab.client(|| connect(SERVER_4, 7998)).is_err(), "the rules of others still act");
    for (step, hold) in steps.iter().zip(holds) {
        undo(step, hold);
    }
    assert_eq!(before, state_of(&host));
}

#[test]
fn nobody_else_can_change_our_table() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let step = cut(to_port(lab.client_namespace(), PORT), PartitionAction::Drop);
    let hold = apply(&step);
    let flush = Command::new("ip").args(["netns", "exec", &lab.client, "nft", "flush", "ruleset"]).output().unwrap();
    assert!(flush.status.success(), "{flush:?}");
    assert!(lab.client(|| connect(SERVER_4, PORT)).is_err(), "a flush by others leaves the fault in force");
    undo(&step, hold);
}
