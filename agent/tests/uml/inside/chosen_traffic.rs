//! What netem does to the traffic that was chosen: its jitter, and bulk transfers beside those through the queue.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use faultline_agent::identity::FaultId;
use faultline_agent::kernel::namespace::within;
use faultline_agent::plan::step::{PacketQueue, PacketSelection, TcpHeld};
use faultline_agent::plan::{Bite, Step};

use super::chosen::{Fault, everything, load_all, planned};
use super::is_inside;
use super::netem::hold;
use super::network::{FAR, PORT, Pair};

fn pair() -> Option<Pair> {
    is_inside().then(|| {
        load_all();
        Pair::new()
    })
}

#[test]
#[ignore = "runs in an emulated machine"]
fn jitter_that_is_asked_for_by_name_is_spread_as_asked() {
    let Some(pair) = pair() else { return };
    // Asked, then the median and the distance of the quartiles that follow from it, in milliseconds.
    for (jitter, wanted_median, wanted_spread) in [
        (r#""jitter": "8ms", "distribution": "uniform""#, 30.0, 8.0),
        (r#""jitter": "5ms", "distribution": "normal""#, 30.0, 6.74),
        (r#""jitter": "5ms", "distribution": "pareto""#, 28.4, 3.24),
    ] {
        let fault = format!(
            r#"{{"network-latency": {{"delay": "30ms", {jitter}, "engine": "netem", "interface": "v0", "peers": {{"ports": [7]}}}}}}"#
        );
        let plan = planned(&pair, 1, &fault).unwrap();
        assert_eq!(plan.notes[0], "engine netem, as asked");
        assert!(plan.notes.iter().any(|note| note.starts_with("packets overtake each other")), "{:?}", plan.notes);
        let mut fault = Fault::of(plan.steps).applied();
        let mut sorted = pair.round_trips(0, 120);
        let evidence = fault.evidence();
        fault.undo();
        sorted.sort_unstable();
        let quantile = |percent: usize| sorted[120 * percent / 100].as_secs_f64() * 1000.0;
        let (median, spread) = (quantile(50), quantile(75) - quantile(25));
        let delay = evidence.measurements.iter().find(|part| part.name == "delay").unwrap();
        println!("{jitter}: median {median:.2} ms, between the quartiles {spread:.2} ms; evidence {delay:?}");
        assert_eq!(evidence.bite, Bite::Yes);
        assert!((delay.asked.unwrap() - wanted_median).abs() < 0.1, "{delay:?}");
        assert!((wanted_median - 2.0..wanted_median + 8.0).contains(&median), "{median} ms");
        // A busy host spreads them further.
        assert!((wanted_spread * 0.5..wanted_spread * 2.0 + 3.0).contains(&spread), "{spread} ms");
    }
    // The kernel would list a correlation and not act by it, as `a_correlation_of_netem_has_no_effect` shows.
    let correlated =
        r#"{"network-latency": {"delay": "30ms", "jitter": "8ms", "correlation": "80%", "engine": "netem"}}"#;
    let refused = planned(&pair, 1, correlated).unwrap_err();
    assert_eq!(refused, "netem cannot do this: its correlation has no effect on delays");
}

#[test]
#[ignore = "runs in an emulated machine"]
fn a_correlation_of_netem_has_no_effect() {
    let Some(pair) = pair() else { return };
    pair.run("tc qdisc add dev v0 root netem delay 12ms 8ms 90%");
    let times: Vec<f64> = pair.round_trips(0, 300).iter().map(|time| time.as_secs_f64() * 1000.0).collect();
    pair.run("tc qdisc del dev v0 root");
    let correlation = correlation(&times);
    println!("tc netem, asked for a correlation of 90%: {correlation:.2}");
    assert!(correlation < 0.45, "{correlation}: netem has learned it, and need not refuse it any more");
}

/// How much each time depends on the one before, by their ranks: a packet that came late by accident counts as one.
fn correlation(times: &[f64]) -> f64 {
    let rank = |time: f64| times.iter().filter(|other| **other < time).count() as f64;
    let ranks: Vec<f64> = times.iter().map(|time| rank(*time)).collect();
    let mean = ranks.iter().sum::<f64>() / ranks.len() as f64;
    let together: f64 = ranks.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    together / ranks.iter().map(|rank| (rank - mean).powi(2)).sum::<f64>()
}

/// The time that some bytes take to a sink at the far end and its word back.
fn transfer(pair: &Pair, bytes: usize) -> Duration {
    let mut stream = within(&pair.near(), || TcpStream::connect((FAR[0], PORT)).unwrap()).unwrap();
    let begun = Instant::now();
    stream.write_all(&vec![7; bytes]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    begun.elapsed()
}

#[test]
#[ignore = "runs in an emulated machine"]
fn a_bulk_transfer_is_slowed_by_the_delay_and_not_by_what_its_socket_may_have_on_the_way() {
    const BYTES: usize = 400_000;
    let Some(pair) = pair() else { return };
    let sink = within(&pair.far(), || TcpListener::bind((FAR[0], PORT)).unwrap()).unwrap();
    std::thread::spawn(move || {
        for mut stream in sink.incoming().flatten() {
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
            let _ = stream.write_all(&[1]);
        }
    });
    let without = transfer(&pair, BYTES);
    let selection = || PacketSelection { ports: vec![PORT.into()], ..everything(pair.near()) };
    let queue = |id: u64, tcp| {
        let id = FaultId::from_number(id);
        let step = PacketQueue { table: id.table_name(), queue: 2000, selection: selection(), tcp, hold: hold(20) };
        Fault::of(vec![Step::PacketQueue(step)])
    };
    let faults = [Fault::chosen(1, 20, selection()), queue(2, TcpHeld::AsItLeaves), queue(3, TcpHeld::AsItArrives)];
    let taken = faults.map(|fault| {
        let mut fault = fault.applied();
        let taken = transfer(&pair, BYTES);
        fault.undo();
        taken
    });
    println!(
        "{BYTES} bytes: {without:?} without; at 20 ms by netem, the queue as they leave, and as they come back: {taken:?}"
    );
    assert!(taken[0] * 2 < taken[1], "{taken:?}");
}
