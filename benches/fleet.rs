//! What a fleet costs its controller: hosts that are played, each with a TCP connection, TLS and session of its own, in a
//! second process. Aim against measured, and what it comes to for one agent.
//!
//! `cargo bench --bench fleet -- 100 1000 10000`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and ends at the first surprise")]
#![allow(dead_code, unreachable_pub, reason = "parts of the tests are used here")]

#[path = "../tests/fleet/certificates.rs"]
mod certificates;
#[path = "../tests/fleet/played_host.rs"]
mod played_host;
#[path = "fleet/yardstick.rs"]
mod yardstick;

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use faultline::fleet::registry::Registry;
use faultline::fleet::remote::RemoteAgent;
use faultline::fleet::{Agent, halt, server};
use faultline_agent::session::dial::{Dial, Stream, TlsDial};
use faultline_agent::session::{AgentOptions, Answer, Greeting, HostClock, Notifier, Trouble};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use certificates::Authority;
use played_host::{PlayedHost, request};

const CHILD: &str = "FAULTLINE_BENCH_FLEET";
/// How long heartbeats are watched: two rounds of an idle agent.
const STEADY: Duration = Duration::from_secs(30);

fn main() {
    // One descriptor an agent in either process.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Ok(text) = std::env::var(CHILD) {
        let (count, port) = text.split_once(' ').unwrap();
        runtime.block_on(play(count.parse().unwrap(), port.parse().unwrap()));
        return;
    }
    if let Ok(text) = std::env::var(yardstick::CHILD) {
        runtime.block_on(yardstick::answer(&text));
        return;
    }
    let counts: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let counts = if counts.is_empty() { vec![100, 1_000] } else { counts };
    for count in counts {
        runtime.block_on(measure(count));
    }
}

/// The controller's side.
async fn measure(count: usize) {
    let authority = Authority::new();
    let listener = tokio::net::TcpSocket::new_v4().unwrap();
    listener.bind("0.0.0.0:0".parse().unwrap()).unwrap();
    let listener = listener.listen(4096).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (registry, stop) = (Arc::new(Registry::default()), CancellationToken::new());
    let gate = authority.gate();
    let before = resident();
    let serving = tokio::spawn(server::serve(listener, gate, Arc::clone(&registry), stop.clone()));
    let began = Instant::now();
    let mut hosts = Hosts::start(count, port, &authority);
    while registry.connected() < count {
        assert!(began.elapsed() < Duration::from_secs(120), "{} of {count} came", registry.connected());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let joined = began.elapsed();
    println!("\n{count} agents");
    told("all enrolled hosts connected (no aim)", None, joined.as_secs_f64() * 1e3, "ms", count);
    // Beyond the first heartbeat of each, so that what the handshakes took is given back.
    tokio::time::sleep(Duration::from_secs(16)).await;
    let (cpu, since) = (processor_time(), Instant::now());
    tokio::time::sleep(STEADY).await;
    let share = (processor_time() - cpu).as_secs_f64() / since.elapsed().as_secs_f64();
    assert_eq!(registry.connected(), count, "a session was lost");
    told("steady heartbeats, of one core", Some(20.0), share * 100.0, "%", count);
    told("memory of the controller for an idle agent", Some(64.0), per_agent(resident() - before, count), "KiB", 1);

    let agents: Vec<_> =
        (0..count).map(|number| RemoteAgent::new(Arc::clone(&registry), format!("host-{number}"))).collect();
    let began = Instant::now();
    let asked = agents.iter().zip(1..).map(|(agent, number)| {
        let answer = agent.inject(request(number, Duration::from_secs(600)));
        tokio::spawn(async move {
            answer.await.unwrap();
            began.elapsed()
        })
    });
    let mut took = Vec::with_capacity(count);
    for answer in asked.collect::<Vec<_>>() {
        took.push(answer.await.unwrap());
    }
    took.sort();
    told("dispatch to all, p50", None, quantile(&took, 50).as_secs_f64() * 1e3, "ms", count);
    told("dispatch to all, p99", Some(1000.0), quantile(&took, 99).as_secs_f64() * 1e3, "ms", count);
    let ordered = monotonic();
    let halted = halt::halt(&registry, "bench", Duration::from_secs(30)).await;
    assert!(halted.is_clean() && halted.hosts.iter().all(|host| host.undone.len() == 1), "not everything was undone");
    let mut undone: Vec<_> = hosts.undone().into_iter().map(|at| at.checked_sub(ordered).unwrap()).collect();
    undone.sort();
    assert_eq!(undone.len(), count, "each host undid one fault");
    told("halt to undone on the host, p50", None, quantile(&undone, 50).as_secs_f64() * 1e3, "ms", count);
    told("halt to undone on the host, p99", Some(500.0), quantile(&undone, 99).as_secs_f64() * 1e3, "ms", count);
    told("halt until the last host has said so (no aim)", None, halted.took.as_secs_f64() * 1e3, "ms", count);
    stop.cancel();
    serving.await.unwrap();
    hosts.end();
    let yardstick = yardstick::round_trips(count, &authority).await;
    told("yardstick: as many bare round trips over TLS (no aim)", None, yardstick.as_secs_f64() * 1e3, "ms", count);
    let ratio = |took: Duration| took.as_secs_f64() / yardstick.as_secs_f64();
    let (dispatched, undone) = (quantile(&took, 99), quantile(&undone, 99));
    println!("  to the yardstick: dispatch p99 {:.2}, halt to undone p99 {:.2}", ratio(dispatched), ratio(undone));
}

fn told(what: &str, aim: Option<f64>, measured: f64, unit: &str, count: usize) {
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let each = measured / count as f64 * 1e3;
    let aim_text = aim.map_or(String::new(), |aim| format!(", aim {aim} {unit}, ratio {:.2}", measured / aim));
    let each = if count > 1 { format!(", for a thousand agents {each:.3} {unit}") } else { String::new() };
    let each = each.replace("for a thousand agents", "a thousand agents");
    println!("  {what}: measured {measured:.1} {unit}{aim_text}{each}");
}

fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

#[expect(clippy::cast_precision_loss, reason = "megabytes")]
fn per_agent(kilobytes: u64, count: usize) -> f64 {
    kilobytes as f64 / count as f64
}

/// The resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_ascii_whitespace().next().unwrap().parse().unwrap()
}

fn processor_time() -> Duration {
    clock(rustix::time::ClockId::ProcessCPUTime)
}

/// A moment that both processes name alike.
fn monotonic() -> Duration {
    clock(rustix::time::ClockId::Monotonic)
}

fn clock(id: rustix::time::ClockId) -> Duration {
    let clock = rustix::time::clock_gettime(id);
    Duration::new(clock.tv_sec.try_into().unwrap(), clock.tv_nsec.try_into().unwrap())
}

/// The process that plays all hosts, with its input and output.
struct Hosts(Child, Option<ChildStdin>, ChildStdout);

impl Hosts {
    fn start(count: usize, port: u16, authority: &Authority) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(CHILD, format!("{count} {port}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        writeln!(input, "{}", authority.to_json()).unwrap();
        Self(child, Some(input), output)
    }

    /// When each host undid what was in place there.
    fn undone(&mut self) -> Vec<Duration> {
        self.1 = None;
        let mut text = String::new();
        self.2.read_to_string(&mut text).unwrap();
        text.lines().map(|line| Duration::from_nanos(line.parse().unwrap())).collect()
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.end();
    }
}

/// The hosts' side, until its input ends: then it tells when each host undid what was in place.
async fn play(count: usize, port: u16) {
    let mut text = String::new();
    std::io::stdin().read_line(&mut text).unwrap();
    let authority = Authority::of_json(&text);
    let at_once = Arc::new(Semaphore::new(128));
    let (_stop, stopped) = watch::channel(None);
    let mut tasks = tokio::task::JoinSet::new();
    let mut hosts = Vec::with_capacity(count);
    for number in 0..count {
        hosts.push(PlayedHost::default());
        let name = format!("host-{number}");
        let address = format!("127.0.{}.{}", number / 200 % 200, number % 200 + 1);
        let dial = Throttled {
            dial: Arc::new(TlsDial::new(address, port, authority.identity(&name))),
            at_once: Arc::clone(&at_once),
        };
        let options = AgentOptions {
            host: Arc::new(hosts[number].clone()),
            dials: vec![Arc::new(dial)],
            directory: None,
            clock: HostClock,
            greeting: greeting(name),
            seed: number.try_into().unwrap(),
            notifier: Notifier::default(),
            renewal: None,
        };
        tasks.spawn(faultline_agent::session::run(options, stopped.clone()));
    }
    // Until the other end has seen enough.
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()).unwrap()).await.unwrap();
    for host in &hosts {
        for (at, _) in host.state().log.iter().filter(|(_, step)| step.starts_with("undo")) {
            println!("{}", (monotonic() - at.elapsed()).as_nanos());
        }
    }
}

fn greeting(name: String) -> Greeting {
    let labels = |pairs: [(&str, &str); 3]| pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    Greeting {
        name,
        program: "bench".into(),
        labels: labels([("role", "database"), ("zone", "eu-central-1a"), ("team", "payments")]),
        discovered: labels([
            ("faultline.dev/kernel", "6.18.5"),
            ("faultline.dev/host-name", "ip-10-0-0-1.internal"),
            ("faultline.dev/architecture", "x86_64"),
        ]),
        boot_id: "6c1ee8a6-0f4b-4f0e-9a53-2d0a4a4c3c11".into(),
        process_began: 5,
    }
}

/// Dials with so many others at once: a fleet that is spread over time by its jitter.
struct Throttled {
    dial: Arc<TlsDial>,
    at_once: Arc<Semaphore>,
}

impl Dial for Throttled {
    fn dial(&self) -> Answer<Result<Box<dyn Stream>, Trouble>> {
        let (dial, at_once) = (Arc::clone(&self.dial), Arc::clone(&self.at_once));
        Box::pin(async move {
            let _place = at_once.acquire_owned().await;
            dial.dial().await
        })
    }

    fn peer(&self) -> String {
        self.dial.peer()
    }
}
