//! Two controllers, two agents and a hostile network in simulated time, seed by seed: partitions, messages held back and
//! delivered late, controllers and agents that crash and start again. Each agent has a session with each controller.
//!
//! `FAULTLINE_SEEDS=5000 cargo test --test fleet simulation` tries more of them; `FAULTLINE_SEED=N` one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use faultline::fleet::Agent;
use faultline::fleet::registry::{Peer, Registry};
use faultline::fleet::remote::RemoteAgent;
use faultline::fleet::server;
use faultline_agent::lease::{BootTime, LEASE};
use faultline_agent::session::dial::{Dial, Stream};
use faultline_agent::session::{AgentOptions, Answer, Clock, Notifier, Trouble};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use turmoil::net::{TcpListener, TcpStream};

use crate::network::{greeting, no_gate};
use crate::played_host::{PlayedHost, request};

const AGENTS: [&str; 2] = ["agent-0", "agent-1"];
const CONTROLLERS: [&str; 2] = ["controller-0", "controller-1"];
const PORT: u16 = 7443;
const LATENCY: Duration = Duration::from_millis(150);
const UNDO_TAKES: Duration = Duration::from_millis(300);
/// The ticks of the simulation, and the second between two looks at what cannot be undone.
const SLACK: Duration = Duration::from_millis(100);
const LASTS: Duration = Duration::from_secs(120);

/// What must be true, as seen by somebody who sees both ends at once.
#[derive(Debug, Default)]
struct Ledger {
    /// Faults of which the controller has said that they are gone for certain, or never were.
    gone: BTreeSet<u64>,
    answered: usize,
    verified: usize,
}

#[derive(Clone, Copy)]
struct SimulatedClock;

impl Clock for SimulatedClock {
    fn now(&self) -> BootTime {
        BootTime::MIN.after(Duration::from_secs(1000) + turmoil::sim_elapsed().unwrap_or_default())
    }
}

struct SimulatedDial(&'static str);

impl Dial for SimulatedDial {
    fn dial(&self) -> Answer<Result<Box<dyn Stream>, Trouble>> {
        let controller = self.0;
        Box::pin(async move {
            let connecting = tokio::time::timeout(Duration::from_secs(3), TcpStream::connect((controller, PORT))).await;
            match connecting {
                Ok(Ok(stream)) => Ok(Box::new(stream) as Box<dyn Stream>),
                Ok(Err(error)) => Err(Trouble::of(controller, &error)),
                Err(_) => Err(Trouble::unreachable(controller, "no answer")),
            }
        })
    }

    fn peer(&self) -> String {
        self.0.into()
    }
}

/// A controller: serves, and asks its agents for faults again and again.
async fn control(which: usize, ledger: Arc<Mutex<Ledger>>, numbers: Arc<Mutex<u64>>, seed: u64) -> turmoil::Result {
    let registry = Arc::new(Registry::of(CONTROLLERS[which]));
    let listener = TcpListener::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), PORT)).await?;
    let swept = Arc::clone(&registry);
    tokio::spawn(async move { swept.sweep().await });
    for (number, name) in (0..).zip(AGENTS) {
        let agent = RemoteAgent::new(Arc::clone(&registry), name);
        let random = ChaCha8Rng::seed_from_u64(seed + number + 100 * which as u64);
        tokio::spawn(ask(which, agent, Arc::clone(&ledger), Arc::clone(&numbers), random));
    }
    loop {
        let (stream, address) = listener.accept().await?;
        let name = AGENTS.into_iter().find(|name| turmoil::lookup(*name) == address.ip()).unwrap();
        let peer = Peer {
            name: name.into(),
            serial: "1".into(),
            valid_until: jiff::Timestamp::MAX,
            labels: Default::default(),
        };
        tokio::spawn(server::serve_connection(stream, peer, name.into(), no_gate(), Arc::clone(&registry)));
    }
}

/// Injects, measures and undoes on one host for ever, and notes what it is told.
async fn ask(
    which: usize,
    agent: RemoteAgent,
    ledger: Arc<Mutex<Ledger>>,
    numbers: Arc<Mutex<u64>>,
    mut random: ChaCha8Rng,
) {
    loop {
        // Whose a fault is can be told from its number.
        let number = {
            let mut numbers = numbers.lock().unwrap();
            *numbers += CONTROLLERS.len() as u64;
            *numbers + which as u64
        };
        let wanted = request(number, Duration::from_secs(random.random_range(1..LASTS.as_secs())));
        let began = tokio::time::Instant::now();
        let injected = agent.inject(wanted.clone()).await;
        assert!(began.elapsed() < Duration::from_secs(140), "an injection was answered after {:?}", began.elapsed());
        ledger.lock().unwrap().answered += 1;
        let injected = match injected {
            Ok(_) => true,
            Err(why) => {
                if why.verified {
                    ledger.lock().unwrap().gone.insert(number);
                }
                false
            }
        };
        if injected && random.random_bool(0.3) {
            // Once more, as after a lost answer.
            let _ = agent.inject(wanted.clone()).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..20_000))).await;
        let _ = agent.evidence(wanted.id.clone()).await;
        let began = tokio::time::Instant::now();
        let undone = agent.undo(wanted.id).await;
        assert!(began.elapsed() < Duration::from_secs(80), "an undo was answered after {:?}", began.elapsed());
        let mut ledger = ledger.lock().unwrap();
        ledger.answered += 1;
        if undone.verified {
            ledger.gone.insert(number);
            ledger.verified += 1;
        }
    }
}

/// What the network does to one agent.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Link {
    Up,
    Cut,
    Held,
}

struct World<'a> {
    simulation: turmoil::Sim<'a>,
    hosts: Vec<PlayedHost>,
    ledger: Arc<Mutex<Ledger>>,
    /// By agent, then by controller.
    links: [[Link; 2]; 2],
    /// Since when a host and a controller cannot speak with each other.
    apart: [[Option<Duration>; 2]; 2],
    controller_down: [bool; 2],
    agent_down: [bool; 2],
    since: BTreeMap<(usize, String), Duration>,
}

impl World<'_> {
    fn build(seed: u64) -> Self {
        let mut builder = turmoil::Builder::new();
        builder
            .rng_seed(seed)
            .simulation_duration(Duration::from_secs(100_000))
            .tick_duration(Duration::from_millis(10))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(LATENCY)
            .tcp_capacity(10_000);
        let mut simulation = builder.build();
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let numbers = Arc::new(Mutex::new(0));
        for (which, name) in CONTROLLERS.into_iter().enumerate() {
            let (ledger, numbers) = (Arc::clone(&ledger), Arc::clone(&numbers));
            simulation.host(name, move || control(which, Arc::clone(&ledger), Arc::clone(&numbers), seed));
        }
        let hosts: Vec<PlayedHost> = AGENTS.iter().map(|_| PlayedHost::default()).collect();
        for (number, name) in (0_u64..).zip(AGENTS) {
            let host = hosts[usize::try_from(number).unwrap()].clone();
            host.state().undo_takes = UNDO_TAKES;
            host.state().injection_takes = Duration::from_millis(200 + 900 * (seed % 3));
            simulation.host(name, move || {
                let host = host.clone();
                async move {
                    // What an earlier process had in place its guard has undone.
                    let left = std::mem::take(&mut host.state().in_place);
                    host.state().over.extend(left.into_keys());
                    let began = turmoil::sim_elapsed().unwrap_or_default();
                    let options = AgentOptions {
                        host: Arc::new(host),
                        dials: CONTROLLERS.iter().map(|name| Arc::new(SimulatedDial(name)) as Arc<dyn Dial>).collect(),
                        directory: None,
                        clock: SimulatedClock,
                        greeting: faultline_agent::session::Greeting {
                            process_began: u64::try_from(began.as_nanos())?,
                            ..greeting(name)
                        },
                        seed: seed + number,
                        notifier: Notifier::default(),
                        renewal: None,
                    };
                    let (_stop, stopped) = watch::channel(None);
                    faultline_agent::session::run(options, stopped).await;
                    Ok(())
                }
            });
        }
        Self {
            simulation,
            hosts,
            ledger,
            links: [[Link::Up; 2]; 2],
            apart: [[None; 2]; 2],
            controller_down: [false; 2],
            agent_down: [false; 2],
            since: BTreeMap::new(),
        }
    }

    /// One misfortune, or the end of one.
    fn strike(&mut self, random: &mut ChaCha8Rng) {
        let which = random.random_range(0..AGENTS.len());
        let controller = random.random_range(0..CONTROLLERS.len());
        match random.random_range(0..10) {
            0..3 => self.link(which, controller, Link::Cut),
            3..5 => self.link(which, controller, Link::Held),
            5..8 => self.link(which, controller, Link::Up),
            8 => {
                let down = &mut self.controller_down[controller];
                if *down {
                    self.simulation.bounce(CONTROLLERS[controller]);
                } else {
                    self.simulation.crash(CONTROLLERS[controller]);
                }
                *down = !*down;
            }
            _ => {
                if self.agent_down[which] {
                    self.simulation.bounce(AGENTS[which]);
                } else {
                    self.simulation.crash(AGENTS[which]);
                    // Its guard undoes when it dies.
                    let left = std::mem::take(&mut self.hosts[which].state().in_place);
                    self.hosts[which].state().over.extend(left.into_keys());
                }
                self.agent_down[which] = !self.agent_down[which];
            }
        }
        let now = self.simulation.elapsed();
        for (apart, links) in self.apart.iter_mut().zip(self.links) {
            for (controller, (apart, link)) in apart.iter_mut().zip(links).enumerate() {
                if self.controller_down[controller] || link != Link::Up {
                    apart.get_or_insert(now);
                } else {
                    *apart = None;
                }
            }
        }
    }

    fn link(&mut self, which: usize, controller: usize, link: Link) {
        let (name, peer) = (AGENTS[which], CONTROLLERS[controller]);
        match self.links[which][controller] {
            Link::Cut => self.simulation.repair(peer, name),
            Link::Held => self.simulation.release(peer, name),
            Link::Up => {}
        }
        match link {
            Link::Cut => self.simulation.partition(peer, name),
            Link::Held => self.simulation.hold(peer, name),
            Link::Up => {}
        }
        self.links[which][controller] = link;
    }

    /// What must be true at every moment.
    fn check(&mut self, seed: u64) {
        let now = self.simulation.elapsed();
        let ledger = self.ledger.lock().unwrap();
        for (index, host) in self.hosts.iter().enumerate() {
            let state = host.state();
            let name = AGENTS[index];
            for fault in state.in_place.keys() {
                assert!(
                    !ledger.gone.contains(&fault.number()),
                    "seed {seed}, {now:?}: {fault} was called gone, {name}"
                );
                let since = *self.since.entry((index, fault.to_string())).or_insert(now);
                let bound = since + LASTS + Duration::from_secs(3) + UNDO_TAKES + SLACK;
                assert!(now <= bound, "seed {seed}, {now:?}: {fault} is on {name} after its end");
                let whose = usize::try_from(fault.number()).unwrap() % CONTROLLERS.len();
                if let Some(apart) = self.apart[index][whose] {
                    let bound = apart + LEASE + UNDO_TAKES + SLACK;
                    assert!(
                        now <= bound,
                        "seed {seed}, {now:?}: {fault} is on {name} beyond its lease, apart since {apart:?}"
                    );
                }
            }
        }
    }

    fn run(mut self, seed: u64, seconds: u64) -> (Vec<String>, usize, usize) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut next = Duration::from_secs(5);
        while self.simulation.elapsed() < Duration::from_secs(seconds) {
            if self.simulation.elapsed() >= next {
                self.strike(&mut random);
                next = self.simulation.elapsed() + Duration::from_millis(random.random_range(500..25_000));
            }
            self.simulation.step().unwrap();
            self.check(seed);
        }
        let mut log = Vec::new();
        for host in &self.hosts {
            let state = host.state();
            log.extend(state.log.iter().map(|(_, step)| step.clone()));
        }
        for step in log.iter().filter(|step| step.starts_with("inject")) {
            let count = log.iter().filter(|other| *other == step).count();
            assert_eq!(count, 1, "seed {seed}: {step} happened {count} times");
        }
        let ledger = self.ledger.lock().unwrap();
        (log, ledger.answered, ledger.verified)
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn nothing_stays_beyond_its_lease_and_nothing_is_called_gone_that_is_there() {
    let seeds: Vec<u64> = match number("FAULTLINE_SEED") {
        Some(seed) => vec![seed],
        // 833: the same injection is asked for over a new session while the first is under way.
        None => (0..number("FAULTLINE_SEEDS").unwrap_or(60)).chain([833]).collect(),
    };
    let (mut injected, mut answered, mut verified) = (0, 0, 0);
    for seed in seeds {
        let (log, answers, undone) = World::build(seed).run(seed, 240);
        injected += log.iter().filter(|step| step.starts_with("inject")).count();
        answered += answers;
        verified += undone;
    }
    println!("{injected} injections, {answered} answers, {verified} undos verified");
    assert!(injected > 0 && answered > 0 && verified > 0, "the simulation does nothing");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = || World::build(42).run(42, 120);
    assert_eq!(run(), run());
}
