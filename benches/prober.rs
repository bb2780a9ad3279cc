//! How exact the HTTP prober is: how late it starts requests at 1,000 a second, and how far its latencies are from a
//! delay that the server is known to add. `cargo bench --bench prober`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a measurement, not part of the program")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faultline::signals::pace::{ExactTimer, Lateness};
use faultline::signals::sample::{Reading, Sample};
use faultline::signals::{SignalContext, build};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A server on a thread of its own that answers `delay` after it has read the head of a request, to the microsecond.
fn server(delay: Duration) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        // As exact as the prober itself, or the measurement would be of the server.
        let _ = faultline_agent::kernel::real_time::prefer_this_thread();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(async move {
                    let (mut buffer, mut used) = ([0; 4096], 0);
                    while let Ok(read @ 1..) = stream.read(&mut buffer[used..]).await {
                        used += read;
                        if !buffer[..used].ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        used = 0;
                        if !delay.is_zero() {
                            let due = Instant::now() + delay;
                            ExactTimer::new().unwrap().until(due).await.unwrap();
                        }
                        if stream.write_all(ANSWER).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
    });
    address
}

struct Measured {
    latency: Histogram<u64>,
    lateness: Arc<Lateness>,
    failed: usize,
    samples: usize,
}

fn measure(address: SocketAddr, rate: u32, keep_alive: bool, lasts: Duration) -> Measured {
    let signal = serde_json::json!({"http": {
        "url": format!("http://{address}/"), "rate": format!("{rate}/s"), "keepAlive": keep_alive,
    }});
    let context = SignalContext::new(Instant::now());
    let source = build("bench", &serde_json::from_value(signal).unwrap(), &context).unwrap();
    let lateness = source.lateness();
    let (sink, mut received) = unbounded_channel::<Sample>();
    let stop = CancellationToken::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stopping = stop.clone();
        tokio::join!(source.run(sink, stop), async move {
            tokio::time::sleep(lasts).await;
            stopping.cancel();
        });
    });
    let mut measured = Measured {
        latency: Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap(),
        lateness,
        failed: 0,
        samples: 0,
    };
    while let Ok(sample) = received.try_recv() {
        measured.samples += 1;
        match sample.reading {
            Reading::Request { latency, failure: None } => {
                let nanoseconds = u64::try_from(Duration::from_secs_f64(latency).as_nanos()).unwrap();
                measured.latency.record(nanoseconds).unwrap();
            }
            _ => measured.failed += 1,
        }
    }
    measured
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    let lasts = Duration::from_secs(if std::env::args().any(|argument| argument == "--bench") { 10 } else { 1 });
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let processors = std::thread::available_parallelism().unwrap();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!("kernel {}, {processors} processors, load {}", release.trim(), load.trim());

    println!("\nlateness of 1,000 requests/s (intended to actual start), ms");
    println!("{:28} {:>8} {:>8} {:>8} {:>8} {:>8}", "connections", "requests", "p50", "p90", "p99", "failed");
    let mut worst = Duration::ZERO;
    for (name, keep_alive) in [("one for each request", false), ("kept", true)] {
        let measured = measure(server(Duration::ZERO), 1000, keep_alive, lasts);
        let quantile = |share| milliseconds(measured.lateness.quantile(share));
        println!(
            "{name:28} {:>8} {:>8.3} {:>8.3} {:>8.3} {:>8}",
            measured.samples,
            quantile(0.5),
            quantile(0.9),
            quantile(0.99),
            measured.failed
        );
        worst = worst.max(measured.lateness.quantile(0.5));
    }

    println!("\nlatency against a server that adds a known delay, 200 requests/s on kept connections, ms");
    println!("{:>8} {:>10} {:>10} {:>10} {:>16}", "delay", "p50", "p90", "p99", "p50 - delay - p50 at 0");
    let mut base = 0.0;
    for delay in [0, 1, 5, 20, 100] {
        let measured = measure(server(Duration::from_millis(delay)), 200, true, lasts);
        let quantile = |share| milliseconds(Duration::from_nanos(measured.latency.value_at_quantile(share)));
        let known = milliseconds(Duration::from_millis(delay));
        if delay == 0 {
            base = quantile(0.5);
        }
        let error = quantile(0.5) - known - base;
        println!("{known:>8} {:>10.3} {:>10.3} {:>10.3} {error:>16.3}", quantile(0.5), quantile(0.9), quantile(0.99));
    }
    let verdict = if worst < Duration::from_micros(100) { "met" } else { "missed" };
    println!("\naim: median lateness below 0.1 ms at 1,000 requests/s: {verdict} ({:.3} ms)", milliseconds(worst));
}
