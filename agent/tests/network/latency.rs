use std::io::{Read, Write};
use std::time::Instant;

use faultline_agent::plan::Bite;
use faultline_agent::plan::Step;
use faultline_agent::plan::step::{Direction, Distribution, Protocol};
use faultline_agent::units::TimeSpan;

use crate::lab::{
    Lab, PORT, SERVER_4, SERVER_6, apply, assert_takes, can_run, connect, datagram_round_trip, delay, delay_answers,
    round_trip, selection, serve, to_port, undo,
};

#[test]
fn both_families_and_protocols_are_delayed_once_a_direction() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    for (port, direction, answers, trips) in [
        (PORT + 1, Direction::Egress, false, 1.0),
        (PORT + 2, Direction::Egress, true, 1.0),
        (PORT + 3, Direction::Ingress, false, 1.0),
        (PORT + 4, Direction::Both, false, 2.0),
    ] {
        // Each has its own port: what connections of the delay before still say would be counted as this one's.
        serve(&lab.server_namespace(), port);
        let mut existing = lab.client(|| connect(SERVER_4, port).unwrap());
        let mut selection = to_port(lab.client_namespace(), port);
        selection.direction = direction;
        let step = if answers { delay_answers(selection, 40) } else { delay(selection, 40) };
        let hold = apply(&step);
        assert!(matches!(hold.evidence().bite, Bite::NotYet(_)));
        assert_takes(40.0 * trips, || round_trip(&mut existing).unwrap());
        for address in [SERVER_4, SERVER_6] {
            let mut stream = lab.client(|| connect(address, port).unwrap());
            assert_takes(40.0 * trips, || round_trip(&mut stream).unwrap());
            assert_takes(40.0 * trips, || lab.client(|| datagram_round_trip(address, port).unwrap()));
        }
        let evidence = hold.evidence();
        assert_eq!(evidence.bite, Bite::Yes, "{direction:?}");
        let measured = evidence.measurements.iter().find(|measurement| measurement.name == "delay").unwrap();
        assert_eq!(measured.asked, Some(40.0));
        assert!((40.0..60.0).contains(&measured.measured), "{measured:?}");
        undo(&step, hold);
        assert_takes(0.0, || round_trip(&mut existing).unwrap());
    }
}

#[test]
fn loopback_is_delayed_once_each_way() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    serve(&lab.client_namespace(), PORT);
    for (direction, answers, ports, asked) in [
        (Direction::Egress, false, true, 30.0),
        (Direction::Egress, true, true, 30.0),
        (Direction::Both, false, true, 60.0),
        // Without a filter the answer leaves and arrives as well; nothing is held twice.
        (Direction::Egress, false, false, 60.0),
        (Direction::Egress, true, false, 60.0),
        (Direction::Both, false, false, 60.0),
    ] {
        let mut selection =
            if ports { to_port(lab.client_namespace(), PORT) } else { selection(lab.client_namespace()) };
        selection.direction = direction;
        let step = if answers { delay_answers(selection, 30) } else { delay(selection, 30) };
        let hold = apply(&step);
        for address in ["127.0.0.1", "::1"] {
            let mut stream = lab.client(|| connect(address, PORT).unwrap());
            assert_takes(asked, || round_trip(&mut stream).unwrap());
            assert_takes(asked, || lab.client(|| datagram_round_trip(address, PORT).unwrap()));
        }
        undo(&step, hold);
    }
}

/// What is held on its way out counts against its socket (TCP small queues), what is held on its way in does not.
#[test]
fn a_connection_has_as_much_on_the_way_as_its_window_allows() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let mut taken = Vec::new();
    for make in [delay, delay_answers] {
        let step = make(to_port(lab.client_namespace(), PORT), 20);
        let hold = apply(&step);
        let mut stream = lab.client(|| connect(SERVER_4, PORT).unwrap());
        let begin = Instant::now();
        let sender = stream.try_clone().unwrap();
        let sending = std::thread::spawn(move || (&sender).write_all(&vec![7; 200_000]).unwrap());
        let mut echoed = vec![0; 200_000];
        stream.read_exact(&mut echoed).unwrap();
        taken.push(begin.elapsed());
        sending.join().unwrap();
        undo(&step, hold);
    }
    println!("200 kB there and back at 20 ms: {taken:?}, held as they leave and as they arrive");
    assert!(taken[0] > 2 * taken[1], "{taken:?}");
}

#[test]
fn only_the_peers_meant_are_delayed() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    serve(&lab.server_namespace(), PORT + 1);
    let trip = |address: &str, port: u16| lab.client(|| round_trip(&mut connect(address, port).unwrap()).unwrap());
    let check =
        |change: &dyn Fn(&mut faultline_agent::plan::step::PacketSelection), hit: (&str, u16), missed: (&str, u16)| {
            let mut chosen = selection(lab.client_namespace());
            change(&mut chosen);
            let step = delay(chosen, 30);
            let hold = apply(&step);
            assert_takes(30.0, || trip(hit.0, hit.1));
            assert_takes(0.0, || trip(missed.0, missed.1));
            undo(&step, hold);
        };
    check(&|s| s.networks = vec!["10.77.0.0/24".parse().unwrap()], (SERVER_4, PORT), (SERVER_6, PORT));
    check(
        &|s| s.networks = vec!["fd77::2".parse().unwrap(), "10.0.0.0/16".parse().unwrap()],
        (SERVER_6, PORT),
        (SERVER_4, PORT),
    );
    check(&|s| s.ports = vec!["7778-7800".parse().unwrap()], (SERVER_4, PORT + 1), (SERVER_4, PORT));
    check(&|s| s.host_names = vec!["10.77.0.2".into()], (SERVER_4, PORT), (SERVER_6, PORT));
    let mut datagrams = selection(lab.client_namespace());
    datagrams.protocol = Some(Protocol::Udp);
    datagrams.interface = Some("eth0".into());
    let step = delay(datagrams, 30);
    let hold = apply(&step);
    assert_takes(0.0, || trip(SERVER_4, PORT));
    assert_takes(30.0, || lab.client(|| datagram_round_trip(SERVER_4, PORT).unwrap()));
    undo(&step, hold);
}

#[test]
fn a_server_is_slowed_by_its_own_port() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let mut chosen = selection(lab.server_namespace());
    chosen.local_ports = vec![PORT.into()];
    chosen.direction = Direction::Both;
    let step = delay(chosen, 20);
    let hold = apply(&step);
    let mut stream = lab.client(|| connect(SERVER_6, PORT).unwrap());
    assert_takes(40.0, || round_trip(&mut stream).unwrap());
    undo(&step, hold);
}

#[test]
fn jitter_varies_the_delay_and_keeps_the_order() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let mut step = delay(to_port(lab.client_namespace(), PORT), 20);
    let Step::PacketQueue(queue) = &mut step else { panic!() };
    queue.hold.jitter = TimeSpan::from_millis(10);
    queue.hold.distribution = Distribution::Uniform;
    let hold = apply(&step);
    let mut trips: Vec<f64> = (0..60).map(|_| lab.client(|| datagram_round_trip(SERVER_4, PORT).unwrap())).collect();
    trips.sort_unstable_by(f64::total_cmp);
    assert!(trips[0] < 20.0 && trips[0] >= 10.0 && trips[50] > 25.0, "{trips:?}");
    let numbers = lab.client(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect((SERVER_4, PORT)).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
        for number in 0..100u8 {
            socket.send(&[number]).unwrap();
        }
        let mut byte = [0];
        (0..100).map(|_| socket.recv(&mut byte).map(|_| byte[0]).unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
    undo(&step, hold);
}
