//! Hosts that vanish, restart and join in mid-fault, with the real programs on hosts of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod common;

use std::process::{Command, Stdio};
use std::time::Duration;

use common::fleet::{Fleet, Founding, Running, is_paused};
use common::machine::{Machine, Network};
use rustix::process::Signal;

/// How long a run may take: its fault, and the time in which a host that is back finds its controller.
const PATIENCE: Duration = Duration::from_secs(240);

/// A controller with a service beside it, and three databases, each with a process that can be paused. A machine is gone
/// when all that ran on it is, and so is dropped after that.
struct Site {
    agents: Vec<Running>,
    victims: Vec<Running>,
    _service: Running,
    fleet: Fleet,
    machines: Vec<Machine>,
    _controller: Machine,
    network: Network,
    _shared: tempfile::TempDir,
}

impl Site {
    fn new() -> Option<Self> {
        common::fleet::agent_program()?;
        let shared = tempfile::Builder::new().prefix("faultline-test-").tempdir().unwrap();
        let mut network = Network::new(&[shared.path()])?;
        let controller = network.host();
        let founding = Founding {
            place: controller.place(),
            address: controller.address.clone(),
            within: shared.path().to_path_buf(),
            ..Founding::default()
        };
        let mut fleet = Fleet::founded(founding)?;
        fleet.serve();
        let mut service = Command::new(env!("CARGO_BIN_EXE_faultline"));
        service.args(["sample", "backend", "--port", "8081"]).stdin(Stdio::null()).stderr(Stdio::null());
        let service = Running(controller.place().spawn(&mut service));
        let (machines, agents, victims) = (Vec::new(), Vec::new(), Vec::new());
        let mut site = Self {
            agents,
            victims,
            _service: service,
            fleet,
            machines,
            _controller: controller,
            network,
            _shared: shared,
        };
        (1..=3).for_each(|number| site.host(number));
        Some(site)
    }

    /// A database more.
    fn host(&mut self, number: usize) {
        let machine = self.network.host();
        let mut victim = Command::new("sleep");
        self.victims.push(Running(machine.place().spawn(victim.arg("98765").stdin(Stdio::null()))));
        self.agents.push(self.fleet.host_at(&format!("db-{number}"), machine.place(), "role=db", &[]));
        self.machines.push(machine);
    }

    /// A run on all databases, with the client that follows it, once its fault is in place everywhere.
    fn under_a_fault(&self, lasts: &str, tolerate: &str) -> Running {
        let text = format!(
            "apiVersion: faultline.dev/v1\nkind: Experiment\nmetadata: {{ name: pause }}\nspec:\n  hypothesis: Nobody \
             notices.\n  signals:\n    backend: {{ http: {{ url: \"http://127.0.0.1:8081/healthz\", rate: 20/s, timeout: \
             2s }} }}\n  steadyState:\n    - {{ signal: backend, errors: {{ below: 50% }} }}\n  targets:\n    db: {{ \
             hosts: {{ labels: {{ role: db }} }}, process: {{ commandLine: \"^sleep 98765$\" }} }}\n  tolerate: {{ vanished: \
             {tolerate} }}\n  method:\n    - observe: 4s\n    - inject: {{ fault: {{ process-pause: {{}} }}, on: db, for: \
             {lasts} }}\n    - observe: 4s\n  recovery: {{ within: 30s }}\n"
        );
        let file = self.fleet.path("experiment.yaml");
        std::fs::write(&file, text).unwrap();
        let told = std::fs::File::create(self.fleet.path("told")).unwrap();
        let mut client = self.fleet.client(&["run", file.to_str().unwrap()]);
        client.stdout(told.try_clone().unwrap()).stderr(told);
        let following = Running(self.fleet.place().spawn(&mut client));
        self.fleet.wait_for("the fault", || self.victims.iter().all(is_paused));
        following
    }

    /// What the client that follows a run has said so far, wherever it broke its lines.
    fn told(&self) -> String {
        let text = std::fs::read_to_string(self.fleet.path("told")).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn wait_until_told(&self, text: &str) {
        self.fleet.wait_for(text, || self.told().contains(text));
    }

    fn assert_nobody_is_paused(&self) {
        assert!(!self.victims.iter().any(is_paused), "{}", self.told());
    }
}

#[test]
fn a_run_goes_on_without_a_host_that_vanished_and_tells_of_it_and_of_one_that_joined() {
    let Some(mut site) = Site::new() else { return };
    let mut following = site.under_a_fault("50s", "34%");
    site.machines[2].cut(true);
    site.fleet.wait_for("the lease to undo on the host that was cut off", || !is_paused(&site.victims[2]));
    site.wait_until_told("db-3 vanished");
    assert!(is_paused(&site.victims[0]) && is_paused(&site.victims[1]), "the run goes on");
    site.host(4);
    site.wait_until_told("db-4 joined and is meant by `db`");
    site.machines[2].cut(false);
    assert_eq!(following.ended_within(PATIENCE), 0, "{}", site.told());
    for told in ["db-3 is back", "2 of 3 faults were measured to act to their end", "Host db-3: lost, back and clean"] {
        assert!(site.told().contains(told), "{told}: {}", site.told());
    }
    site.assert_nobody_is_paused();
}

#[test]
fn a_run_that_tolerates_no_loss_is_aborted_and_undone_on_the_others() {
    let Some(site) = Site::new() else { return };
    let mut following = site.under_a_fault("10min", "0");
    site.machines[2].cut(true);
    site.wait_until_told("db-3 vanished");
    site.fleet.wait_for("the undo on the others", || !site.victims.iter().any(is_paused));
    site.machines[2].cut(false);
    assert_eq!(following.ended_within(PATIENCE), 5, "{}", site.told());
    assert!(site.told().contains("1 of 3 hosts lost, 0 tolerated"), "{}", site.told());
}

#[test]
fn a_host_that_does_not_come_back_is_never_called_clean() {
    let Some(site) = Site::new() else { return };
    let mut following = site.under_a_fault("25s", "1");
    site.machines[2].cut(true);
    assert_eq!(following.ended_within(PATIENCE), 7, "{}", site.told());
    assert!(site.told().contains("Host db-3: lost, NOT seen to be clean"), "{}", site.told());
    site.assert_nobody_is_paused();
    // Nothing else is put there, until its agent is back and has shown that nothing is left.
    let ask = |arguments: &[&str]| {
        let output = site.fleet.place().output(&mut site.fleet.client(arguments));
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let file = site.fleet.path("experiment.yaml");
    let file = file.to_str().unwrap();
    let listed = ask(&["agents", "list"]);
    assert!(listed.contains("away, unclean") && listed.contains("UNCLEAN db-3 since"), "{listed}");
    assert!(listed.matches("UNCLEAN").count() == 1 && listed.contains("faultline agents acknowledge db-3"), "{listed}");
    let planned = ask(&["plan", file]);
    assert!(planned.contains("db-3: left unclean by run"), "{planned}");
    site.machines[2].cut(false);
    site.fleet.wait_for("db-3 to show that it is clean", || !ask(&["agents", "list"]).contains("nclean"));
    let planned = ask(&["plan", file]);
    assert!(planned.contains("db-3") && !planned.contains("unclean"), "{planned}");
    let audited = ask(&["audit", "list", "--action", "acknowledge"]);
    assert!(audited.contains("agent/db-3") && audited.contains("done"), "{audited}");
}

#[test]
fn an_agent_that_was_killed_and_started_again_has_lost_its_fault_and_gets_it_no_more() {
    let Some(mut site) = Site::new() else { return };
    let mut following = site.under_a_fault("40s", "1");
    site.agents[1].signal(Signal::KILL);
    site.fleet.wait_for("its guard to undo", || !is_paused(&site.victims[1]));
    site.agents[1] = site.fleet.start_agent("db-2", site.machines[1].place(), "role=db", &[]);
    site.wait_until_told("db-2 has a new agent process");
    assert!(!is_paused(&site.victims[1]) && is_paused(&site.victims[0]));
    assert_eq!(following.ended_within(PATIENCE), 0, "{}", site.told());
    assert!(site.told().contains("it says that nothing of process-pause is left"), "{}", site.told());
    site.assert_nobody_is_paused();
}
