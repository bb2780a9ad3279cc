//! One case: a network namespace, a disk, victims, a worker with its guard, and who dies when.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use faultline_agent::facts::cgroup_mount;
use faultline_agent::fingerprint::{FingerprintScope, Section, take};
use faultline_agent::kernel::namespace;
use faultline_agent::units::TimeSpan;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;

use super::outside;
use super::rows::{Row, Target};
use super::task::Task;
use super::worker::{Crash, Worker};
use super::{Killed, Moment};

/// The case, set up. Whatever it started, made or mounted goes with it.
pub struct Stage<'a> {
    row: &'a Row,
    /// With the disk mounted in it, if the case made both.
    scratch: Option<tempfile::TempDir>,
    disk: PathBuf,
    state: PathBuf,
    cgroup: Option<PathBuf>,
    victims: Vec<Child>,
}

/// Makes a mount namespace for the calling thread: what it mounts is seen by nobody else, and goes with it.
pub fn enter_mounts() -> Result<(), String> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).map_err(|error| format!("unshare: {error}"))?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>)
        .map_err(|error| format!("mount --make-rprivate /: {error}"))
}

/// Makes a network namespace for the calling thread, with a pair of interfaces in it.
pub fn enter_network() -> Result<(), String> {
    namespace::enter_private().map_err(|error| error.to_string())?;
    let batch = "link add near type veth peer name far\n\
                 addr add 192.0.2.1/24 dev near\n\
                 addr add 2001:db8::1/64 dev near nodad\n\
                 link set near up\n\
                 link set far up\n";
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().map_err(|e| e.to_string())?;
    ip.stdin.take().unwrap().write_all(batch.as_bytes()).map_err(|error| error.to_string())?;
    let status = ip.wait().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("ip -batch: {status}")) }
}

impl<'a> Stage<'a> {
    /// Sets a case up, in the calling thread's new namespaces, with a tmpfs as its disk.
    pub fn set(row: &'a Row) -> Result<Self, String> {
        enter_network()?;
        // A recovery removes from every disk that it sees what nobody alive can own.
        enter_mounts()?;
        let scratch = tempfile::Builder::new().prefix(&format!("faultline-{}-", std::process::id())).tempdir().unwrap();
        let disk = scratch.path().join("disk");
        std::fs::create_dir(&disk).unwrap();
        mount(Some("tmpfs"), &disk, Some("tmpfs"), MsFlags::empty(), Some("size=16m,nr_inodes=2000"))
            .map_err(|error| format!("cannot mount a tmpfs: {error}"))?;
        let name = scratch.path().file_name().unwrap().to_str().unwrap().to_owned();
        Self::with_victims(row, scratch.path().join("state"), disk, Some(scratch), &name, 2)
    }

    /// Sets a case up whose state folder and disk are there, and on which others have looked: in a network namespace of
    /// its own if it is about a network.
    pub fn set_at(row: &'a Row, state: PathBuf, disk: PathBuf, name: &str) -> Result<Self, String> {
        if row.is_of_network() {
            enter_network()?;
        }
        let victims = if row.target == Target::Host { 0 } else { 2 };
        Self::with_victims(row, state, disk, None, name, victims)
    }

    fn with_victims(
        row: &'a Row,
        state: PathBuf,
        disk: PathBuf,
        scratch: Option<tempfile::TempDir>,
        name: &str,
        victims: usize,
    ) -> Result<Self, String> {
        let mut stage = Self { row, scratch, disk, state, cgroup: None, victims: Vec::new() };
        if row.target == Target::Cgroup {
            let cgroup = cgroup_mount().ok_or("no cgroup v2 hierarchy")?.join(name);
            std::fs::create_dir(&cgroup).map_err(|error| format!("{}: {error}", cgroup.display()))?;
            stage.cgroup = Some(cgroup);
        }
        for _ in 0..victims {
            let victim = Command::new("sleep").arg("1000").spawn().map_err(|error| error.to_string())?;
            let pid = victim.id().to_string();
            stage.victims.push(victim);
            if let Some(cgroup) = &stage.cgroup {
                std::fs::write(cgroup.join("cgroup.procs"), pid).map_err(|error| error.to_string())?;
            }
        }
        Ok(stage)
    }

    /// The host as others see it, and as our own fingerprint does. Sections that other tests on this machine change are
    /// left to the others' view, which is confined to this case.
    fn look(&self) -> String {
        let sections = vec![Section::Links, Section::Qdiscs, Section::Nftables, Section::Xtables];
        let own = take(&FingerprintScope { sections, ..FingerprintScope::default() });
        let victims: Vec<u32> = self.victims.iter().map(Child::id).collect();
        let cgroup = self.cgroup.as_deref();
        format!("{}{}{}\n{own}", outside::network(), outside::disk(&self.disk), outside::processes(&victims, cgroup))
    }

    /// Lets the fault live, stops its worker for good, and waits for the guard; how long it took beyond the time that
    /// the fault was to last.
    pub fn hang(&mut self) -> Result<Duration, String> {
        let before = self.look();
        let mut worker = Worker::start(&self.task(TimeSpan::from_secs(1)), None);
        let guard = worker.introduce(self.row)?;
        worker.hear("active")?;
        let due = Instant::now() + Duration::from_secs(1);
        if self.look() == before {
            return Err("the fault does nothing".into());
        }
        worker.signal(worker.pid(), Signal::SIGSTOP)?;
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            worker.signal(guard, signal)?;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if worker.has_ended() {
            return Err("the worker was killed before its time".into());
        }
        worker.await_death_of_guard()?;
        let took = due.elapsed();
        worker.end();
        self.must_be_as(&before)?;
        Ok(took)
    }

    /// Lets the fault live until that moment, kills whom it says, and looks what is left.
    pub fn play(&mut self, moment: &Moment, killed: Killed) -> Result<(), String> {
        let before = self.look();
        let crash = match moment {
            Moment::CrashPoint(point) => Some(Crash {
                point,
                role: if killed == Killed::WorkerThenGuard { "guard" } else { "worker" },
                stops: matches!(killed, Killed::Guard | Killed::Both),
            }),
            Moment::Active => None,
        };
        let mut worker = Worker::start(&self.task(TimeSpan::from_secs(60)), crash);
        worker.introduce(self.row)?;
        let ended = worker.die(moment, killed);
        worker.end();
        ended?;
        worker.await_death_of_guard()?;
        if matches!(killed, Killed::Both | Killed::WorkerThenGuard) {
            recover(&self.state)?;
        }
        self.must_be_as(&before)
    }

    /// Lets the fault live until that moment, where its worker and its guard stand still from then on.
    pub fn stand_still_at(&self, moment: &Moment) -> Result<Worker, String> {
        let crash = match moment {
            Moment::CrashPoint(point) => Some(Crash { point, role: "worker", stops: true }),
            Moment::Active => None,
        };
        let mut worker = Worker::start(&self.task(TimeSpan::from_secs(3600)), crash);
        let guard = worker.introduce(self.row)?;
        worker.reach(moment)?;
        worker.signal(worker.pid(), Signal::SIGSTOP)?;
        worker.signal(guard, Signal::SIGSTOP)?;
        Ok(worker)
    }

    fn task(&self, lasts: TimeSpan) -> Task {
        let fault = self.row.fault.replace("DISK", &self.disk.display().to_string());
        let victims = self.victims.iter().map(|victim| i32::try_from(victim.id()).unwrap()).collect();
        Task {
            state: self.state.clone(),
            fault: serde_json::from_str(&fault).unwrap(),
            victims: (self.row.target != Target::Host).then_some(victims),
            cgroup: self.cgroup.as_ref().map(|cgroup| Path::new("/").join(cgroup.file_name().unwrap())),
            lasts,
        }
    }

    fn must_be_as(&self, before: &str) -> Result<(), String> {
        let after = self.look();
        if after != before {
            return Err(format!("the host is not as before.\nbefore:\n{before}\nafter:\n{after}"));
        }
        match outside::journal(&self.state).iter().filter(|name| name.ends_with(".json")).collect::<Vec<_>>() {
            records if records.is_empty() => Ok(()),
            records => Err(format!("the journal still has {records:?}")),
        }
    }
}

/// Runs the recovery as a person does, and tells what it printed.
pub fn recover(state: &Path) -> Result<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_faultline-agent"))
        .args(["recover", "--state"])
        .arg(state)
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(said) } else { Err(format!("recover: {}: {said}", output.status)) }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        for victim in &mut self.victims {
            let _ = victim.kill();
            let _ = victim.wait();
        }
        if let Some(cgroup) = &self.cgroup
            && let Err(error) = std::fs::remove_dir(cgroup)
        {
            println!("{}: cannot remove: {error}", cgroup.display());
        }
        if self.scratch.is_some()
            && let Err(error) = umount2(&self.disk, MntFlags::MNT_DETACH)
        {
            println!("{}: cannot unmount: {error}", self.disk.display());
        }
    }
}
