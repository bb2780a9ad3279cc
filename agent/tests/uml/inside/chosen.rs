//! Netem for chosen packets alone, on a kernel that has netem and nftables both.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use faultline_agent::facts::HostFacts;
use faultline_agent::fault::{AnyFault, PlanContext, Scope};
use faultline_agent::fingerprint::{FingerprintScope, Section, diff, take};
use faultline_agent::identity::{FaultId, NetworkNamespace, ProcessIdentity};
use faultline_agent::kernel::{Hold, HostKernel, Kernel, KernelError, Reverted, control_traffic, namespace::within};
use faultline_agent::plan::step::{Direction, Netem, PacketClassification, PacketOwner, PacketSelection};
use faultline_agent::plan::{Bite, Evidence, Plan, Step};
use faultline_agent::units::TimeSpan;

use super::netem::hold;
use super::network::{Client, FAR, PORT, Pair, echo};
use super::{is_inside, load};

/// A second port of the far end, which no fault here means.
const OTHER: u16 = 8;

pub(super) fn load_all() {
    load(&[
        "net/ipv6/ipv6",
        "drivers/net/veth",
        "net/sched/sch_netem",
        "net/sched/sch_prio",
        "net/sched/sch_tbf",
        "net/sched/cls_u32",
        "net/sched/cls_fw",
        "net/netfilter/nf_tables",
        "net/netfilter/nft_socket",
        "net/netfilter/nft_queue",
        "net/netfilter/nfnetlink_queue",
        "net/ipv4/tcp_diag",
        "net/ipv4/udp_diag",
    ]);
}

fn pair() -> Option<Pair> {
    is_inside().then(|| {
        load_all();
        let pair = Pair::new();
        for address in FAR {
            echo(&pair.far(), address, OTHER);
        }
        pair
    })
}

pub(super) fn everything(namespace: NetworkNamespace) -> PacketSelection {
    PacketSelection {
        namespace,
        direction: Direction::Egress,
        interface: Some("v0".into()),
        loopback: true,
        networks: Vec::new(),
        host_names: Vec::new(),
        ports: Vec::new(),
        local_ports: Vec::new(),
        protocol: None,
        owner: PacketOwner::Everyone,
    }
}

pub(super) fn to_port(namespace: NetworkNamespace) -> PacketSelection {
    PacketSelection { ports: vec![PORT.into()], ..everything(namespace) }
}

/// A fault as it is planned for one interface.
pub(super) struct Fault {
    pub(super) steps: Vec<Step>,
    holds: Vec<Option<Box<dyn Hold>>>,
}

impl Fault {
    pub(super) fn of(steps: Vec<Step>) -> Self {
        Self { steps, holds: Vec::new() }
    }

    pub(super) fn chosen(id: u64, milliseconds: u64, selection: PacketSelection) -> Self {
        let id = FaultId::from_number(id);
        let netem = Netem::new(&id, selection.namespace.clone(), "v0", hold(milliseconds)).for_chosen(0);
        let rules = PacketClassification { table: id.table_name(), selection, netems: vec![netem.clone()] };
        Self::of(vec![Step::Netem(netem), Step::PacketClassification(rules)])
    }

    fn whole(pair: &Pair, id: u64, milliseconds: u64) -> Self {
        Self::of(vec![Step::Netem(Netem::new(&FaultId::from_number(id), pair.near(), "v0", hold(milliseconds)))])
    }

    fn apply(&mut self) -> Result<(), KernelError> {
        for step in &self.steps {
            self.holds.push(HostKernel.apply(step, Arc::new(|_| Ok(())))?);
        }
        Ok(())
    }

    pub(super) fn applied(mut self) -> Self {
        if let Err(error) = self.apply() {
            panic!("{error} ({:?})", error.hint);
        }
        self
    }

    /// What the engine makes of it.
    pub(super) fn evidence(&self) -> Evidence {
        let parts = self.steps.iter().zip(&self.holds).map(|(step, hold)| match hold {
            Some(hold) => hold.evidence(),
            None => HostKernel.measure(step).unwrap(),
        });
        Evidence::combine(parts)
    }

    pub(super) fn undo(&mut self) -> Vec<Reverted> {
        let mut outcomes = Vec::new();
        for step in self.steps.iter().rev() {
            drop(self.holds.pop());
            outcomes.push(HostKernel.revert(step).unwrap());
            assert!(!HostKernel.is_present(step).unwrap(), "{step:?}");
        }
        outcomes
    }
}

pub(super) fn fingerprint(pair: &Pair) -> faultline_agent::fingerprint::Fingerprint {
    let sections = vec![Section::Links, Section::Qdiscs, Section::Nftables];
    take(&FingerprintScope { namespaces: vec![pair.near()], sections, ..FingerprintScope::default() })
}

pub(super) fn measured(evidence: &Evidence, name: &str) -> f64 {
    evidence.measurements.iter().find(|part| part.name == name).unwrap_or_else(|| panic!("{evidence:?}")).measured
}

/// An emulated machine is slow, and beside it others run: a packet may come late, never early.
#[track_caller]
pub(super) fn assert_about(measured: f64, asked: f64, what: &str) {
    assert!((asked - 0.05..asked + 15.0).contains(&measured), "{what}: asked {asked} ms, measured {measured} ms");
}

/// The fastest round trips, by IPv4 and IPv6, to the port that is meant and the one that is not.
fn trips(pair: &Pair) -> [[f64; 2]; 2] {
    [PORT, OTHER].map(|port| FAR.map(|address| pair.client_of(address, port).fastest()))
}

#[test]
#[ignore = "runs in an emulated machine"]
fn only_what_is_chosen_is_delayed_and_then_all_is_as_before() {
    let Some(pair) = pair() else { return };
    let before = fingerprint(&pair);
    println!("without: {:?}", trips(&pair));
    // Behind this, nothing that the closed connections still say to the port is under way.
    pair.client_of(FAR[0], OTHER).fastest();
    let mut fault = Fault::chosen(1, 40, to_port(pair.near())).applied();
    pair.client_of(FAR[0], OTHER).fastest();
    let Bite::NotYet(why) = fault.evidence().bite else { panic!("{:?}", fault.evidence()) };
    println!("so far: {why}");
    let [meant, others] = trips(&pair);
    std::thread::sleep(Duration::from_millis(500));
    let evidence = fault.evidence();
    println!("meant {meant:?} ms, others {others:?} ms; {evidence:?}");
    for (meant, other) in meant.into_iter().zip(others) {
        assert_about(meant, 40.0, "meant");
        assert_about(other, 0.0, "not meant");
    }
    assert_eq!(evidence.bite, Bite::Yes);
    assert_about(measured(&evidence, "delay"), 40.0, "evidence");
    assert_eq!(measured(&evidence, "packets chosen"), 16.0);
    assert_eq!(measured(&evidence, "packets delayed"), 16.0);
    println!("{}", pair.run("tc qdisc show dev v0"));
    let begun = Instant::now();
    let outcomes = fault.undo();
    println!("undone in {:?}: {outcomes:?}", begun.elapsed());
    assert_eq!(outcomes, [Reverted::Absent, Reverted::Undone], "the rules end with their hold");
    assert_eq!(fault.undo(), [Reverted::Absent, Reverted::Absent]);
    assert_eq!(diff(&before, &fingerprint(&pair)), [""; 0]);
    let [meant, _] = trips(&pair);
    assert_about(meant[0], 0.0, "afterwards");
}

#[test]
#[ignore = "runs in an emulated machine"]
fn peers_are_told_by_address_in_both_families_and_names_are_followed() {
    let Some(pair) = pair() else { return };
    for (network, [four, six]) in
        [("10.9.0.2/32", [30.0, 0.0]), ("fd09::2/128", [0.0, 30.0]), ("10.8.0.0/16", [0.0; 2])]
    {
        let selection = PacketSelection { networks: vec![network.parse().unwrap()], ..everything(pair.near()) };
        let mut fault = Fault::chosen(1, 30, selection).applied();
        let [meant, _] = trips(&pair);
        println!("{network}: {meant:?} ms");
        assert_about(meant[0], four, "IPv4");
        assert_about(meant[1], six, "IPv6");
        fault.undo();
    }
    let name =
        |address: &str| std::fs::write("/etc/hosts", format!("127.0.0.1 localhost\n{address} db.test\n")).unwrap();
    name("10.9.0.2");
    let selection = PacketSelection { host_names: vec!["db.test".into()], ..everything(pair.near()) };
    let mut fault = Fault::chosen(1, 30, selection).applied();
    assert_about(pair.fastest(0), 30.0, "by name");
    assert_about(pair.fastest(1), 0.0, "by name, the other family");
    name("fd09::2");
    let begun = Instant::now();
    while pair.fastest(1) < 30.0 {
        assert!(begun.elapsed() < Duration::from_secs(12), "the name is followed");
    }
    assert_about(pair.fastest(0), 0.0, "no longer the name's address");
    println!("followed after {:?}", begun.elapsed());
    fault.undo();
}

#[test]
#[ignore = "runs in an emulated machine"]
fn priorities_of_others_mean_what_they_did_and_control_traffic_is_spared() {
    use nix::sys::socket::{setsockopt, sockopt};
    let Some(pair) = pair() else { return };
    pair.run("nft add table inet watch");
    pair.run("nft 'add chain inet watch post { type filter hook postrouting priority 0 ; }'");
    let counted = |what: &str| {
        let udp = format!("udp dport {{ {PORT}, {OTHER} }}");
        pair.run(&format!("nft 'add rule inet watch post {udp} meta priority {what} counter'"));
    };
    for what in ["0:6", "1:6", "e601:2", "none"] {
        counted(what);
    }
    let counts = || -> Vec<u64> {
        let listed = pair.run("nft list chain inet watch post");
        let packets = listed.lines().filter_map(|line| line.split("packets ").nth(1)?.split(' ').next()?.parse().ok());
        packets.collect()
    };
    let mut fault = Fault::chosen(1, 30, to_port(pair.near())).applied();
    let client = |port, priority: i32| {
        let client = pair.client_of(FAR[0], port);
        setsockopt(&client.socket, sockopt::Priority, &priority).unwrap();
        client
    };
    assert_about(client(OTHER, 6).fastest(), 0.0, "an interactive priority");
    assert_about(client(OTHER, 0x0001_0006).fastest(), 0.0, "a class of somebody's");
    assert_about(client(OTHER, 0).fastest(), 0.0, "none");
    assert_about(client(PORT, 6).fastest(), 30.0, "meant");
    assert_eq!(counts(), [8, 8, 8, 8], "{}", pair.run("nft list chain inet watch post"));
    let mut control = pair.client_of(FAR[0], PORT);
    control_traffic::exempt(&control.socket.as_fd()).unwrap();
    assert_about(control.fastest(), 0.0, "control traffic");
    fault.undo();
    pair.run("nft delete table inet watch");
}

/// A process of its own that measures when told to.
pub(super) struct Other {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<std::process::ChildStdout>,
}

impl Other {
    pub(super) fn start(pair: &Pair) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "inside::chosen::other_process", "--ignored", "--nocapture"])
            .env(NAMESPACE, pair.near_name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut other = Self { process, orders, answers };
        other.ask("hello");
        other
    }

    pub(super) fn identity(&self) -> ProcessIdentity {
        ProcessIdentity::of(i32::try_from(self.process.id()).unwrap()).unwrap()
    }

    pub(super) fn ask(&mut self, order: &str) -> f64 {
        writeln!(self.orders, "{order}").unwrap();
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "it ended");
            if let Some(answer) = line.strip_prefix("ANSWER ") {
                return answer.trim().parse().unwrap();
            }
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) const NAMESPACE: &str = "FAULTLINE_TEST_NAMESPACE";

pub(super) fn named(namespace: &std::ffi::OsStr) -> NetworkNamespace {
    let path = Path::new("/run/netns").join(namespace);
    let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&path).unwrap());
    NetworkNamespace::Path { path, inode }
}

/// Answers `old` and `new`: a round trip from a socket that it had, and the first of one just made. In milliseconds.
#[test]
#[ignore = "is started by tests in an emulated machine"]
fn other_process() {
    let Some(namespace) = std::env::var_os(NAMESPACE) else { return };
    let client = || within(&named(&namespace), || Client::of(FAR[0], PORT)).unwrap();
    let mut old = client();
    for order in std::io::stdin().lines().map_while(Result::ok) {
        let time = match order.as_str() {
            "old" => old.fastest(),
            "new" => {
                let mut new = client();
                new.send();
                new.receive().as_secs_f64() * 1000.0
            }
            _ => 0.0,
        };
        println!("\nANSWER {time}");
    }
}

#[test]
#[ignore = "runs in an emulated machine"]
fn one_process_is_delayed_and_its_neighbours_are_not() {
    let Some(pair) = pair() else { return };
    let before = fingerprint(&pair);
    let (mut meant, mut bystander) = (Other::start(&pair), Other::start(&pair));
    let by_sockets = PacketOwner::Processes(vec![meant.identity()]);
    std::fs::create_dir("/sys/fs/cgroup/meant").unwrap();
    std::fs::write("/sys/fs/cgroup/meant/cgroup.procs", meant.process.id().to_string()).unwrap();
    // Sockets belong to the cgroup in which they were made.
    let by_cgroup = PacketOwner::Cgroups(vec!["/meant".into()]);
    for (owner, old_ones) in [(by_sockets, true), (by_cgroup, false)] {
        let mut fault =
            Fault::chosen(1, 250, PacketSelection { owner: owner.clone(), ..everything(pair.near()) }).applied();
        if old_ones {
            assert_about(meant.ask("old"), 250.0, "a socket that was there");
        }
        let new = meant.ask("new");
        println!("{owner:?}: new socket {new} ms");
        assert!((249.95..600.0).contains(&new), "the first packet of a new socket: {new} ms");
        assert_about(bystander.ask("old"), 0.0, "a bystander");
        // Its first packet waits for a look at the sockets, which takes its time here.
        let new = bystander.ask("new");
        assert!(new < 240.0, "a bystander's new socket: {new} ms");
        assert_eq!(fault.evidence().bite, Bite::Yes, "{:?}", fault.evidence());
        fault.undo();
        assert_about(meant.ask("old"), 0.0, "afterwards");
        assert_eq!(diff(&before, &fingerprint(&pair)), [""; 0]);
    }
    drop(meant);
    drop(bystander);
    std::fs::remove_dir("/sys/fs/cgroup/meant").unwrap();
}

#[test]
#[ignore = "runs in an emulated machine"]
fn it_adds_up_with_a_whole_interface_and_comes_off_in_either_order() {
    let Some(pair) = pair() else { return };
    let before = fingerprint(&pair);
    for whole_first in [true, false] {
        let mut whole = Fault::whole(&pair, 1, 20).applied();
        let mut chosen = Fault::chosen(2, 30, to_port(pair.near())).applied();
        let [meant, others] = trips(&pair);
        println!("both: meant {meant:?} ms, others {others:?} ms");
        for (meant, other) in meant.into_iter().zip(others) {
            assert_about(meant, 50.0, "both");
            assert_about(other, 20.0, "the whole interface");
        }
        assert_eq!((whole.evidence().bite, chosen.evidence().bite), (Bite::Yes, Bite::Yes));
        let (first, second) = if whole_first { (&mut whole, &mut chosen) } else { (&mut chosen, &mut whole) };
        first.undo();
        let [meant, others] = trips(&pair).map(|[four, _]| four);
        let rest = if whole_first { [30.0, 0.0] } else { [20.0, 20.0] };
        println!("then: meant {meant} ms, others {others} ms");
        assert_about(meant, rest[0], "the rest, meant");
        assert_about(others, rest[1], "the rest, others");
        second.undo();
        assert_eq!(diff(&before, &fingerprint(&pair)), [""; 0]);
    }
}

pub(super) fn planned(pair: &Pair, id: u64, fault: &str) -> Result<Plan, String> {
    let fault: AnyFault = serde_json::from_str(fault).unwrap();
    let scope = Scope { namespace: pair.near(), ..Scope::default() };
    let facts = HostFacts::new(Path::new("/run"), Vec::new());
    let id = FaultId::from_number(id);
    let context = PlanContext { id: &id, scope: &scope, facts: &facts, seed: 1, lasts: TimeSpan::from_secs(60) };
    fault.plan(context).map_err(|error| error.to_string())
}

#[test]
#[ignore = "runs in an emulated machine"]
fn a_second_netem_beside_chosen_packets_goes_to_the_queue_which_adds_up() {
    let Some(pair) = pair() else { return };
    let before = fingerprint(&pair);
    let first = planned(&pair, 1, r#"{"network-latency": {"delay": "30ms", "peers": {"ports": [7]}}}"#).unwrap();
    println!("{}", first.steps.iter().map(Step::describe).chain(first.notes.clone()).collect::<Vec<_>>().join("\n"));
    let kinds = |plan: &Plan| plan.steps.iter().map(|step| matches!(step, Step::Netem(_))).collect::<Vec<_>>();
    assert_eq!(kinds(&first), [true, true, false], "loopback, v0, and the rules for both");
    let mut first = Fault::of(first.steps).applied();
    // All packets leave by one of the two interfaces, and that is enough.
    assert_about(pair.fastest(0), 30.0, "the first");
    std::thread::sleep(Duration::from_millis(500));
    let evidence = first.evidence();
    assert_eq!(evidence.bite, Bite::Yes, "{evidence:?}");
    assert_about(measured(&evidence, "delay"), 30.0, "evidence");

    let second = r#"{"network-latency": {"delay": "20ms", "direction": "egress", "interface": "v0""#;
    let auto = planned(&pair, 2, &format!("{second}}}}}")).unwrap();
    println!("{}", auto.notes[0]);
    assert!(auto.notes[0].starts_with("engine queue, since netem cannot do this: v0: netem f002: of another fault"));
    let refused = planned(&pair, 2, &format!(r#"{second}, "engine": "netem"}}}}"#)).unwrap_err();
    assert!(refused.starts_with("netem cannot do this: v0: netem f002: of another fault"), "{refused}");
    // The kernel's room refuses as well, should it be planned before the first was there.
    let error = Fault::whole(&pair, 3, 10).apply().expect_err("there is no place for it");
    assert!(error.to_string().contains("could not add up"), "{error}");
    let error = Fault::chosen(3, 10, to_port(pair.near())).apply().expect_err("there is no place for it");
    assert!(error.to_string().contains("could not add up"), "{error}");
    let mut auto = Fault::of(auto.steps).applied();
    let [meant, others] = trips(&pair).map(|[four, _]| four);
    println!("netem and queue: meant {meant} ms, others {others} ms");
    assert_about(meant, 50.0, "both");
    assert_about(others, 20.0, "the queue alone");
    first.undo();
    assert_about(trips(&pair)[0][0], 20.0, "the queue alone");
    auto.undo();
    assert_eq!(diff(&before, &fingerprint(&pair)), [""; 0]);
}

#[test]
#[ignore = "runs in an emulated machine"]
fn a_foreign_root_is_left_alone_and_what_crashes_leave_is_swept() {
    let Some(pair) = pair() else { return };
    let before = fingerprint(&pair);
    pair.run("tc qdisc add dev v0 root handle 10: tbf rate 1gbit burst 100kb latency 50ms");
    let theirs = fingerprint(&pair);
    let mut fault = Fault::chosen(1, 10, to_port(pair.near()));
    let error = fault.apply().expect_err("the root is somebody else's");
    assert!(error.to_string().contains("somebody's qdisc tbf 10:"), "{error}");
    assert_eq!(fault.undo(), [Reverted::Absent, Reverted::Absent]);
    assert_eq!(diff(&theirs, &fingerprint(&pair)), [""; 0]);
    pair.run("tc qdisc del dev v0 root");

    // A crash within an injection leaves the fork, one within an undo an idle netem. Above them another fault is active.
    let mut whole = Fault::whole(&pair, 5, 20).applied();
    let above = fingerprint(&pair);
    let fork = "tc qdisc add dev v0 parent f005:1 handle e601: prio bands 2 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0";
    for left in [&[fork][..], &[fork, "tc qdisc add dev v0 parent e601:2 handle f001: netem delay 0ms limit 1000"]] {
        for again in [false, true] {
            for command in left {
                pair.run(command);
            }
            let mut fault = Fault::chosen(1, 10, to_port(pair.near()));
            assert!(HostKernel.is_present(&fault.steps[0]).unwrap(), "{left:?}");
            if again {
                // Another fault needs the place.
                fault = Fault::chosen(6, 10, to_port(pair.near())).applied();
                assert_about(pair.fastest(0), 30.0, "in that place");
            }
            assert_eq!(fault.undo().last(), Some(&Reverted::Undone));
            assert_eq!(diff(&above, &fingerprint(&pair)), [""; 0]);
        }
    }
    whole.undo();
    assert_eq!(diff(&before, &fingerprint(&pair)), [""; 0]);
}
