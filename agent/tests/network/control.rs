//! The session with the controller, while the network of the whole host is cut or slow.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use faultline_agent::plan::Bite;
use faultline_agent::plan::step::{Direction, PartitionAction};
use faultline_agent::session::dial::connect_exempt;

use crate::lab::{Lab, PORT, SERVER_4, SERVER_6, apply, can_run, connect, cut, delay, round_trip, selection, undo};

/// As an agent connects to its controller.
fn session(address: &str) -> std::io::Result<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = SocketAddr::new(address.parse().unwrap(), PORT);
    let stream = runtime.block_on(connect_exempt(address))?.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    Ok(stream)
}

#[test]
fn a_cut_of_the_whole_host_leaves_the_session_alone_and_lets_it_be_dialled_anew() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    for direction in [Direction::Egress, Direction::Ingress, Direction::Both] {
        for address in [SERVER_4, SERVER_6] {
            let mut standing = lab.client(|| session(address).unwrap());
            let mut other = lab.client(|| connect(address, PORT).unwrap());
            let mut selection = selection(lab.client_namespace());
            selection.direction = direction;
            let step = cut(selection, PartitionAction::Drop);
            let hold = apply(&step);
            assert_eq!(round_trip(&mut other).unwrap_err().kind(), ErrorKind::WouldBlock, "others are cut");
            for _ in 0..5 {
                assert!(round_trip(&mut standing).unwrap() < 100.0, "{direction:?} {address}");
            }
            let mut anew = lab.client(|| session(address)).unwrap();
            assert!(round_trip(&mut anew).is_ok());
            assert_eq!(hold.evidence().bite, Bite::Yes);
            undo(&step, hold);
        }
    }
}

#[test]
fn a_slow_network_does_not_slow_the_session() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let mut standing = lab.client(|| session(SERVER_4).unwrap());
    let mut other = lab.client(|| connect(SERVER_4, PORT).unwrap());
    let mut selection = selection(lab.client_namespace());
    selection.direction = Direction::Both;
    let step = delay(selection, 150);
    let hold = apply(&step);
    assert!(round_trip(&mut other).unwrap() >= 150.0);
    let fastest = (0..5).map(|_| round_trip(&mut standing).unwrap()).fold(f64::MAX, f64::min);
    assert!(fastest < 50.0, "{fastest} ms");
    undo(&step, hold);
}
