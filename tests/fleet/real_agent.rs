//! The real `faultline-agent`, with a guard, against a controller with a real authority.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use faultline::authority::{AGENT_LIFE, Authority, Revocations};
use faultline::fleet::server::{AuthorityGate, Record};
use faultline_agent::credentials::{Controller as Where, KeyRequest};
use jiff::Timestamp;

/// The program, where cargo puts it; nothing if it was not built.
pub(crate) fn program() -> Option<PathBuf> {
    let own = std::env::current_exe().unwrap();
    let program = own.parent().and_then(Path::parent).unwrap().join("faultline-agent");
    if program.exists() {
        return Some(program);
    }
    println!("skipped: {} is not built (cargo build -p faultline-agent)", program.display());
    None
}

/// An authority in a folder of its own.
pub(crate) struct Office {
    pub(crate) scratch: tempfile::TempDir,
    pub(crate) authority: Arc<Authority>,
    pub(crate) revocations: Revocations,
}

impl Office {
    pub(crate) fn open() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("authority");
        let authority = Authority::create(&folder, &["127.0.0.1".to_owned()], Timestamp::now()).unwrap();
        Self { scratch, authority: Arc::new(authority), revocations: Revocations::default() }
    }

    pub(crate) fn gate(&self) -> Arc<AuthorityGate> {
        self.gate_signing_for(AGENT_LIFE)
    }

    pub(crate) fn gate_signing_for(&self, life: Duration) -> Arc<AuthorityGate> {
        let record: Record = Arc::new(|_, _| Box::pin(async { Ok(()) }));
        let gate = AuthorityGate::new(Arc::clone(&self.authority), self.revocations.clone(), life, record);
        Arc::new(gate.unwrap())
    }

    /// The state folder of an enrolled host.
    pub(crate) fn enrolled(&self, name: &str, port: u16, life: Duration) -> PathBuf {
        let state = self.scratch.path().join(name);
        let key = KeyRequest::new().unwrap();
        let request = key.signing_request().unwrap();
        let issued =
            self.authority.issue_agent(&request, &name.parse().unwrap(), &Default::default(), life, Timestamp::now());
        let issued = issued.unwrap();
        let controller = Where { address: format!("127.0.0.1:{port}"), server_name: "127.0.0.1".into() };
        let credentials =
            key.accept(&issued.certificate_chain, &issued.trust_bundle, controller, Timestamp::now()).unwrap();
        credentials.save(&state.join("credentials")).unwrap();
        state
    }
}

/// An agent that runs; killed when dropped.
pub(crate) struct RealAgent(pub(crate) Child);

impl RealAgent {
    pub(crate) fn start(program: &Path, state: &Path) -> Self {
        let child = Command::new(program)
            .args(["run", "--labels", "role=db", "--config", "/dev/null", "--state"])
            .arg(state)
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(state.join("agent.log")).unwrap())
            .spawn();
        Self(child.unwrap())
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "the agent does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for RealAgent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
