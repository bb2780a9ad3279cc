//! A fleet of the real programs: `faultline init` and `serve`, `faultline-agent enrol` and `run`, and the command line as
//! a client.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::machine::Place;

/// The agent's program, where cargo puts it; nothing if it was not built.
pub fn agent_program() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_BIN_EXE_faultline")).with_file_name("faultline-agent");
    if program.exists() {
        return Some(program);
    }
    println!("skipped: {} is not built (cargo build -p faultline-agent)", program.display());
    None
}

/// A process that is ended with the test, by its number.
pub struct Running(pub Child);

impl Running {
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub fn ended(&mut self) -> i32 {
        self.ended_within(Duration::from_secs(60))
    }

    pub fn ended_within(&mut self, patience: Duration) -> i32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(begun.elapsed() < patience, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The state that the kernel shows: `S`, `T` for stopped, `Z`, or nothing when it is gone.
    pub fn state(&self) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).ok()?;
        stat.rsplit(") ").next()?.chars().next()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a fleet is made of.
pub struct Founding {
    /// Where the controller and its clients run.
    pub place: Place,
    /// The address at which others reach it.
    pub address: String,
    /// Its store, if that is not in its folder.
    pub store: Option<String>,
    /// The folder in which all its files are.
    pub within: PathBuf,
}

impl Default for Founding {
    fn default() -> Self {
        Self { place: Place::Here, address: "127.0.0.1".into(), store: None, within: std::env::temp_dir() }
    }
}

/// A controller with its data folder, and what is needed to speak to it.
pub struct Fleet {
    pub agent: PathBuf,
    pub controller: Option<Running>,
    pub log: Arc<Mutex<Vec<String>>>,
    scratch: tempfile::TempDir,
    founding: Founding,
    admin: String,
    fingerprint: String,
    ports: Option<(u16, u16)>,
}

impl Fleet {
    pub fn new() -> Option<Self> {
        Self::prepared(|_| ())
    }

    /// A controller whose data folder is made ready before it starts.
    pub fn prepared(prepare: impl FnOnce(&Path)) -> Option<Self> {
        let mut fleet = Self::founded(Founding::default())?;
        prepare(&fleet.path("controller"));
        fleet.serve();
        Some(fleet)
    }

    /// A controller that does not serve yet.
    pub fn founded(founding: Founding) -> Option<Self> {
        let agent = agent_program()?;
        let scratch = tempfile::Builder::new().prefix("faultline-test-").tempdir_in(&founding.within).unwrap();
        let mut init = Command::new(env!("CARGO_BIN_EXE_faultline"));
        init.args(["init", "--name", &founding.address, "--json", "--data"]).arg(scratch.path().join("controller"));
        let made = init.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        let (admin, fingerprint) = (text("token"), text("fingerprint"));
        let log = Arc::default();
        Some(Self { agent, controller: None, log, scratch, founding, admin, fingerprint, ports: None })
    }

    /// A further controller of the same fleet over the same store, made as a person makes it; it does not serve yet.
    pub fn joining(&self) -> Self {
        let Founding { place, address, store, within } = &self.founding;
        let scratch = tempfile::Builder::new().prefix("faultline-test-").tempdir_in(within).unwrap();
        let mut init = Command::new(env!("CARGO_BIN_EXE_faultline"));
        init.arg("init").arg("--join").arg(self.path("controller/authority"));
        init.args(["--name", address, "--json", "--data"]).arg(scratch.path().join("controller"));
        let made = init.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let founding =
            Founding { place: *place, address: address.clone(), store: store.clone(), within: within.clone() };
        let (admin, fingerprint) = (self.admin.clone(), self.fingerprint.clone());
        let (agent, log) = (self.agent.clone(), Arc::default());
        Self { agent, controller: None, log, scratch, founding, admin, fingerprint, ports: None }
    }

    /// The clients know it by these from now on, as a person who was told of another authority would.
    pub fn known_by(&mut self, fingerprints: &serde_json::Value) {
        let all: Vec<&str> = fingerprints.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        self.fingerprint = all.join(",");
    }

    /// The id of the controller, as the store knows it.
    pub fn id(&self) -> String {
        let text = std::fs::read_to_string(self.path("controller/controller-id")).unwrap();
        text.split_whitespace().next().unwrap().to_owned()
    }

    /// Its port for agents.
    pub fn agents_address(&self) -> String {
        format!("{}:{}", self.founding.address, self.ports.unwrap().1)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Starts the controller; after a restart at the same ports, so that its agents find it again.
    pub fn serve(&mut self) {
        self.serve_with(&[]);
    }

    /// The same, with variables in its environment.
    pub fn serve_with(&mut self, environment: &[(&str, &str)]) {
        let begun = Instant::now();
        // After a restart another program may have the port for a moment: as the near end of a connection.
        while !self.try_to_serve(environment) {
            assert!(begun.elapsed() < Duration::from_secs(20), "it does not serve: {:?}", self.log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn try_to_serve(&mut self, environment: &[(&str, &str)]) -> bool {
        let (api, agents) = self.ports.unwrap_or((0, 0));
        let address = &self.founding.address;
        let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
        command
            .args(["serve", "--listen", &format!("{address}:{api}"), "--agents", &format!("{address}:{agents}")])
            .arg("--data")
            .arg(self.path("controller"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        if let Some(store) = &self.founding.store {
            command.args(["--store", store]);
        }
        let mut child = self.founding.place.spawn(&mut command);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut before = Vec::new();
        let serving = lines.by_ref().map_while(Result::ok).find(|line| {
            before.push(line.clone());
            line.starts_with("serving: ")
        });
        self.log.lock().unwrap().extend(before.into_iter().filter(|line| !line.starts_with("serving: ")));
        let Some(serving) = serving else {
            child.wait().unwrap();
            return false;
        };
        let ports: Vec<u16> =
            serving.split(':').filter_map(|part| part.split(',').next()?.trim().parse().ok()).collect();
        self.ports = Some((ports[0], ports[1]));
        // Read to its end, so that the controller never waits for somebody to read its log.
        let log = Arc::clone(&self.log);
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| log.lock().unwrap().push(line)));
        self.controller = Some(Running(child));
        true
    }

    /// Waits until the controller has been killed at the point that it was given; answers whether it was.
    pub fn controller_dies(&mut self, patience: Duration) -> bool {
        let mut controller = self.controller.take().expect("a controller serves");
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if let Some(status) = controller.0.try_wait().unwrap() {
                return status.code().is_none();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    pub fn url(&self) -> String {
        format!("https://{}:{}", self.founding.address, self.ports.unwrap().0)
    }

    pub fn place(&self) -> Place {
        self.founding.place
    }

    /// The command line as a client of the controller, to be started with [`Place::spawn`] or [`Place::output`].
    pub fn client(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
        command
            .args(arguments)
            .args(["--controller", &self.url()])
            .env("FAULTLINE_TOKEN", &self.admin)
            .env("FAULTLINE_FINGERPRINT", &self.fingerprint)
            .env("FAULTLINE_STATE", self.path("client"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    pub fn ask(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.founding.place.output(&mut self.client(&[arguments, &["--json"]].concat()));
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A host: its agent, enrolled and connected.
    pub fn host(&self, name: &str) -> Running {
        self.host_at(name, Place::Here, "role=db", &[])
    }

    /// A host at a place of its own.
    pub fn host_at(&self, name: &str, place: Place, labels: &str, environment: &[(&str, &str)]) -> Running {
        let token = self.ask(&["agents", "token"])["token"].as_str().unwrap().to_owned();
        let mut enrol = Command::new(&self.agent);
        enrol.args(["enrol", "--controller", &self.url(), "--token", &token, "--name", name, "--state"]);
        let enrolled = place.output(enrol.arg(self.path(name)));
        assert!(enrolled.status.success(), "{}", told(&enrolled));
        let agent = self.start_agent(name, place, labels, environment);
        self.wait_for(&format!("{name} to connect"), || self.connected().contains(&name.to_owned()));
        agent
    }

    /// Starts the agent of a host that is enrolled.
    pub fn start_agent(&self, name: &str, place: Place, labels: &str, environment: &[(&str, &str)]) -> Running {
        let log = std::fs::File::options().create(true).append(true).open(self.path(&format!("{name}.log"))).unwrap();
        let mut agent = Command::new(&self.agent);
        agent
            .args(["run", "--labels", labels, "--config", "/dev/null", "--state"])
            .arg(self.path(name))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stderr(log);
        Running(place.spawn(&mut agent))
    }

    pub fn connected(&self) -> Vec<String> {
        let agents = self.ask(&["agents", "list"]);
        let all = agents["agents"].as_array().unwrap();
        let here = all.iter().filter(|agent| agent["connected"].as_bool() == Some(true));
        here.map(|agent| agent["name"].as_str().unwrap().to_owned()).collect()
    }

    pub fn wait_for(&self, what: &str, seen: impl Fn() -> bool) {
        let begun = Instant::now();
        while !seen() {
            assert!(begun.elapsed() < Duration::from_secs(60), "waited for {what} in vain");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A run that goes on for long, with the client that follows it, once its fault is in place.
    pub fn under_a_fault(&self, process: &Running) -> (PathBuf, Running) {
        let file = self.experiment(process.0.id(), "10min", service());
        let mut client = self.client(&["run", file.to_str().unwrap()]);
        let following = Running(client.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        self.wait_for("the fault", || is_paused(process));
        (file, following)
    }

    /// An experiment that pauses a process by its number, for so long, on all hosts of the role; its signal is this port.
    pub fn experiment(&self, victim: u32, lasts: &str, port: u16) -> PathBuf {
        let path = self.path("experiment.yaml");
        let text = format!(
            "apiVersion: faultline.dev/v1\nkind: Experiment\nmetadata: {{ name: pause-over-the-fleet }}\nspec:\n  \
             hypothesis: Nobody notices that a process stands still.\n  signals:\n    port: {{ tcp: {{ address: \
             \"127.0.0.1:{port}\", rate: 50/s, timeout: 500ms }} }}\n  steadyState:\n    - {{ signal: port, errors: {{ \
             below: 50% }} }}\n  targets:\n    db: {{ hosts: {{ labels: {{ role: db }}, pick: {{ count: 1 }} }}, process: {{ \
             pid: {victim} }} }}\n  method:\n    - observe: 3s\n    - inject: {{ fault: {{ process-pause: {{}} }}, on: db, \
             for: {lasts} }}\n    - observe: 3s\n  recovery: {{ within: 30s }}\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }
}

pub fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A process of the test's own, to be paused.
pub fn victim() -> Running {
    Running(Command::new("sleep").arg("1000").spawn().unwrap())
}

pub fn is_paused(process: &Running) -> bool {
    process.state() == Some('T')
}

/// A service that accepts and closes, for the signals; it ends with the test's process.
pub fn service() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || while listener.accept().is_ok() {});
    port
}

/// A receiver of notifications that answers each with 204, and what it got.
pub fn receiver() -> (u16, Arc<Mutex<Vec<serde_json::Value>>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let got = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&got);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let mut reader = BufReader::new(stream);
            let (mut length, mut line) = (0, String::new());
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_ok() {
                heard.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                let _ = reader.into_inner().write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            }
        }
    });
    (port, got)
}
