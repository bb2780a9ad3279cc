//! The agent's units under a real systemd: started, killed with its guard, stopped, and after a power cut.
//!
//! systemd is the first process of a host of the test's own: namespaces of process numbers, mounts, host name, IPC, network
//! and control groups; over this host's files a layer in memory, which outlives a power cut; a control group below the
//! test's own, which is removed with it. Of the machine's own systemd, control groups and devices it sees nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::fleet::{Fleet, Founding, Running};
use common::machine::{Machine, Network, Place};
use rustix::process::{Pid, Signal, kill_process};

const SYSTEMD: &str = "/lib/systemd/systemd";
const AGENT: &str = "faultline-agent.service";
const RECOVERY: &str = "faultline-agent-recover.service";
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes the files of the host, once. `$1` the layer, `$2` the units.
const PREPARE: &str = r#"set -e; umask 022; root="$1/root"; system="$root/etc/systemd/system"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
rm -rf "$system"/*.wants "$system"/*.requires "$system/default.target" "$root/var/lib/faultline" "$root/etc/faultline"
: > "$root/etc/fstab"
tr -d - < /proc/sys/kernel/random/uuid > "$root/etc/machine-id"
# Nothing of this machine is started but what systemd itself needs.
mkdir -p "$root/etc/systemd/system-generators"
for generator in "$root"/usr/lib/systemd/system-generators/*; do
  ln -sf /dev/null "$root/etc/systemd/system-generators/${generator##*/}"
done
for unit in dbus.service dbus.socket getty.target systemd-logind.service systemd-udevd.service systemd-networkd.service \
  systemd-modules-load.service systemd-journald-audit.socket sys-kernel-debug.mount sys-kernel-tracing.mount; do
  ln -sf /dev/null "$system/$unit"
done
rm -f "$root"/usr/lib/systemd/system/faultline* "$system"/faultline*
cp "$2"/faultline-agent.service "$2"/faultline-agent-recover.service "$root/usr/lib/systemd/system/"
: > "$root/usr/bin/faultline-agent"; chmod 755 "$root/usr/bin/faultline-agent"
mkdir -p "$root/etc/faultline" "$root/srv/data"
echo 'labels: { role: db }' > "$root/etc/faultline/agent.yaml"
umount "$root"
"#;

/// Switches the host on. `$1` the layer, `$2` the agent's program.
const BOOT: &str = r#"set -e; root="$1/root"
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
mount --bind "$2" "$root/usr/bin/faultline-agent"
mount -t proc proc "$root/proc"
# What is not of namespaces is the machine's, and only to be read.
for own in sys sysrq-trigger; do
  [ ! -e "$root/proc/$own" ] || { mount --bind "$root/proc/$own" "$root/proc/$own"; mount -o remount,bind,ro "$root/proc/$own"; }
done
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 none "$root/dev"
for device in null zero full random urandom tty; do
  : > "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"; ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777 none "$root/dev/shm"
mount -t tmpfs -o mode=755 none "$root/run"
mount -t tmpfs -o mode=1777 none "$root/tmp"
cd "$root"; mkdir -p mnt/before; pivot_root . mnt/before; umount -l /mnt/before
exec setpriv --bounding-set=-sys_module,-sys_time,-sys_boot,-audit_control \
  env -i container=faultline-test PATH=/usr/sbin:/usr/bin:/sbin:/bin "$3" --system --unit=multi-user.target
"#;

/// A control group below the test's own, removed with everything in it.
struct Group(PathBuf);

impl Group {
    fn new() -> Result<Self, String> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounted = mounts.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4));
        let mounted = mounted.ok_or("there is no file system cgroup2")?;
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let own =
            groups.lines().find_map(|line| line.strip_prefix("0::")).ok_or("this process has no control group")?;
        let own = PathBuf::from(format!("{mounted}{own}"));
        // What a test left that was itself killed.
        for other in std::fs::read_dir(&own).into_iter().flatten().flatten() {
            let name = other.file_name().to_string_lossy().into_owned();
            let of = name.strip_prefix("faultline-test-").filter(|of| !Path::new("/proc").join(of).exists());
            of.map(|_| Self::remove(&other.path()));
        }
        let folder = own.join(format!("faultline-test-{}", std::process::id()));
        std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self(folder))
    }

    /// Removes the groups below, and itself; answers whether that is done.
    fn remove(folder: &Path) -> bool {
        for below in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if below.file_type().is_ok_and(|kind| kind.is_dir()) {
                Self::remove(&below.path());
            }
        }
        let _ = std::fs::remove_dir(folder);
        !folder.exists()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let begun = Instant::now();
        // Processes that were killed leave it a moment later.
        while !Self::remove(&self.0) && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A host that is switched on.
struct Booted {
    /// Who waits for it.
    outside: Running,
    /// The first process of it, by its number here.
    first: u32,
}

impl Booted {
    fn place(&self) -> Place {
        Place::Host(self.first)
    }

    /// A file of it.
    fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.first))
    }

    fn systemctl(&self, arguments: &[&str]) -> String {
        self.place().run("systemctl", arguments)
    }

    fn property(&self, unit: &str, property: &str) -> String {
        self.systemctl(&["show", "--property", property, "--value", unit]).trim().to_owned()
    }

    fn journal(&self, unit: &str) -> String {
        let arguments = ["--no-pager", "--boot", "--output=cat", "--unit", unit];
        let output = self.place().output(Command::new("journalctl").args(arguments).stdin(Stdio::null()));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn records(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.path("/var/lib/faultline/faults")).into_iter().flatten().flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(".json") && !name.starts_with('.')).collect()
    }

    /// Everything of it dies at once; with it what this test started there, for which the kernel waits.
    fn cut_the_power(mut self, started: Option<Running>) {
        kill_process(Pid::from_raw(self.first.cast_signed()).unwrap(), Signal::KILL).unwrap();
        if let Some(mut started) = started {
            assert_eq!(started.ended_within(PATIENCE), -1, "ended by a signal");
        }
        self.outside.ended_within(PATIENCE);
    }
}

/// The host with its controller. What is dropped first stands first.
struct Bench {
    fleet: Fleet,
    host: Machine,
    _controller: Machine,
    _network: Network,
    group: Group,
    ground: tempfile::TempDir,
}

/// Where the layer of the host is, on the machine on which it is switched on.
const LAYER: &str = "/tmp/systemd";

impl Bench {
    fn new() -> Option<Self> {
        let skip = |why: &str| println!("skipped: a host with its own systemd: {why}");
        if !common::is_root() {
            skip("needs root");
            return None;
        }
        if !Path::new(SYSTEMD).exists() {
            skip("systemd is not installed (Debian package systemd)");
            return None;
        }
        let namespaces = Command::new("unshare").args(NAMESPACES).arg("true").output();
        if let Some(why) = match namespaces {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(format!("unshare: {error}")),
        } {
            skip(&why);
            return None;
        }
        let group = match Group::new() {
            Ok(group) => group,
            Err(why) => {
                skip(&why);
                return None;
            }
        };
        let ground = tempfile::Builder::new().prefix("faultline-test-").tempdir().unwrap();
        std::fs::set_permissions(ground.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
        let mut network = Network::new(&[ground.path(), &units])?;
        let (controller, host) = (network.host(), network.host());
        let founding = Founding {
            place: controller.place(),
            address: controller.address.clone(),
            store: None,
            within: ground.path().to_owned(),
        };
        let mut fleet = Fleet::founded(founding)?;
        fleet.serve();
        for folder in ["upper", "work", "root"] {
            host.place().run("mkdir", &["-p", &format!("{LAYER}/{folder}")]);
        }
        host.place().run("sh", &["-c", PREPARE, "sh", LAYER, units.to_str().unwrap()]);
        Some(Self { fleet, host, _controller: controller, _network: network, group, ground })
    }

    /// Switches the host on, and waits until all is started that is to be.
    fn boot(&self) -> Booted {
        let enter = "echo 0 > \"$1/cgroup.procs\"; shift; exec unshare \"$@\"";
        let said = std::fs::File::create(self.ground.path().join("boot")).unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", enter, "sh", self.group.0.to_str().unwrap()])
            .args(NAMESPACES)
            .args(["sh", "-c", BOOT, "sh", LAYER]);
        command.arg(&self.fleet.agent).arg(SYSTEMD).stdin(Stdio::null());
        let outside = Running(self.host.place().spawn(command.stdout(said.try_clone().unwrap()).stderr(said)));
        let (begun, said) = (Instant::now(), || std::fs::read_to_string(self.ground.path().join("boot")).unwrap());
        let waiting = |what: &str| {
            assert!(begun.elapsed() < PATIENCE && outside.state() != Some('Z'), "{what}: {}", said());
            std::thread::sleep(Duration::from_millis(50));
        };
        let first = loop {
            if let Some(first) = child_of(outside.0.id()).filter(|first| name_of(*first) == "systemd") {
                break first;
            }
            waiting("systemd does not begin");
        };
        let booted = Booted { outside, first };
        loop {
            let mut active = Command::new("systemctl");
            let output = booted.place().output(active.args(["is-active", "multi-user.target"]).stdin(Stdio::null()));
            if output.status.success() {
                return booted;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not come up: {}", said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A run that injects this for long, once its fault is in place.
    fn inject(&self, fault: &str, target: &str, in_place: impl Fn() -> bool) -> Running {
        let address = self.fleet.url().replace("https://", "");
        let text = format!(
            "apiVersion: faultline.dev/v1\nkind: Experiment\nmetadata: {{ name: under-systemd }}\nspec:\n  hypothesis: Nobody \
             notices.\n  signals:\n    port: {{ tcp: {{ address: \"{address}\", rate: 20/s, timeout: 2s }} }}\n  \
             steadyState:\n    - {{ signal: port, errors: {{ below: 50% }} }}\n  targets:\n    db: {{ hosts: {{ labels: {{ \
             role: db }}, pick: all }}{target} }}\n  method:\n    - observe: 3s\n    - inject: {{ fault: {{ {fault} }}, on: \
             db, for: 10min }}\n    - observe: 1s\n"
        );
        let file = self.ground.path().join("experiment.yaml");
        std::fs::write(&file, text).unwrap();
        let said = std::fs::File::create(self.ground.path().join("said")).unwrap();
        let mut client = self.fleet.client(&["run", file.to_str().unwrap()]);
        let client = Running(self.fleet.place().spawn(client.stdout(said.try_clone().unwrap()).stderr(said)));
        let said = || std::fs::read_to_string(self.ground.path().join("said")).unwrap();
        let begun = Instant::now();
        while !in_place() {
            assert!(client.state() != Some('Z') && begun.elapsed() < PATIENCE, "no fault {fault}: {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        client
    }

    fn pause(&self, victim: &Running) -> Running {
        let target = ", process: { commandLine: \"^sleep 4712\" }";
        self.inject("process-pause: {}", target, || victim.state() == Some('T'))
    }

    /// Waits for the end of a run whose fault was undone by its host alone.
    fn ends(&self, client: Running) {
        let said = || std::fs::read_to_string(self.ground.path().join("said")).unwrap();
        within(PATIENCE, || format!("the run does not end: {}", said()), || client.state() == Some('Z'));
        drop(client);
    }

    fn connected(&self) {
        self.fleet.wait_for("the agent", || !self.fleet.connected().is_empty());
    }
}

const NAMESPACES: [&str; 8] =
    ["--fork", "--kill-child", "--pid", "--mount", "--cgroup", "--uts", "--ipc", "--propagation=private"];

fn child_of(process: u32) -> Option<u32> {
    let line = format!("PPid:\t{process}\n");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers
        .find(|number| std::fs::read_to_string(format!("/proc/{number}/status")).is_ok_and(|text| text.contains(&line)))
}

fn name_of(process: u32) -> String {
    std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default().trim().to_owned()
}

/// How long it took until this was so.
fn within(patience: Duration, what: impl Fn() -> String, seen: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while !seen() {
        assert!(begun.elapsed() < patience, "{}", what());
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

#[test]
fn the_units_undo_whatever_ends_the_agent() {
    let Some(bench) = Bench::new() else { return };
    let begun = Instant::now();
    let (group, layer) = (bench.group.0.clone(), bench.ground.path().to_owned());
    let booted = bench.boot();
    println!("systemd is up after {:.1?}", begun.elapsed());
    let place = booted.place();
    let running = |victim: &Running| !matches!(victim.state(), None | Some('T' | 'Z'));

    // A host that is not enrolled has nothing to run, which is no failure.
    booted.systemctl(&["start", AGENT]);
    assert_eq!(booted.property(AGENT, "ActiveState"), "inactive");
    assert_eq!(booted.property(AGENT, "ConditionResult"), "no");
    let token = bench.fleet.ask(&["agents", "token"])["token"].as_str().unwrap().to_owned();
    place.run("faultline-agent", &["enrol", "--controller", &bench.fleet.url(), "--token", &token, "--name", "db-1"]);
    // It is started as soon as it says that it is ready.
    booted.systemctl(&["start", AGENT]);
    assert_eq!(booted.property(AGENT, "ActiveState"), "active");
    bench.connected();
    let victim = Running(place.spawn(Command::new("sleep").arg("4712").stdin(Stdio::null())));

    // The agent and its guard are killed: nobody is left to undo but systemd. The guard is stopped first, else it might be
    // faster.
    let client = bench.pause(&victim);
    let main = booted.property(AGENT, "MainPID");
    // By their numbers there, as it reads them itself.
    let processes = place.run("cat", &["/sys/fs/cgroup/system.slice/faultline-agent.service/cgroup.procs"]);
    let guards: Vec<&str> = processes.lines().filter(|process| *process != main).collect();
    assert!(!guards.is_empty(), "the guard is of the same unit: {processes}");
    place.run("kill", &[&["-STOP"], guards.as_slice()].concat());
    place.run("kill", &[&["-KILL", main.as_str()], guards.as_slice()].concat());
    let took = within(PATIENCE, || booted.journal(AGENT), || running(&victim));
    println!("killed with its guard: undone after {took:.0?}");
    within(PATIENCE, || booted.journal(AGENT), || booted.property(AGENT, "NRestarts") == "1");
    let journal = booted.journal(AGENT);
    let at = |words: &str| journal.find(words).unwrap_or_else(|| panic!("`{words}` is not in the journal:\n{journal}"));
    assert!(at("process-pause on") < at("Scheduled restart job"), "by what runs after the stop:\n{journal}");
    assert!(journal[..at("Scheduled restart job")].contains("undone "), "{journal}");
    bench.ends(client);

    // It is stopped.
    bench.connected();
    let client = bench.pause(&victim);
    let asked = Instant::now();
    booted.systemctl(&["stop", AGENT]);
    println!("stopped after {:.1?}", asked.elapsed());
    assert!(running(&victim), "{}", booted.journal(AGENT));
    assert_eq!(booted.property(AGENT, "ActiveState"), "inactive");
    assert_eq!(booted.property(AGENT, "Result"), "success");
    assert_eq!(booted.records(), [""; 0]);

    // The power is cut, and the host has lost its credentials when it is on again: the agent is not started.
    booted.systemctl(&["enable", "--now", AGENT]);
    bench.connected();
    // The controller waits for the host's word that the fault is gone.
    bench.ends(client);
    let scratch = |root: &Path| {
        let names = std::fs::read_dir(root.join("srv/data")).unwrap().flatten();
        names.filter(|entry| entry.file_name().to_string_lossy().starts_with(".faultline-")).count()
    };
    let root = booted.path("");
    let client = bench.inject("disk-fill: { path: /srv/data, inodes: { count: 200 } }", "", || scratch(&root) == 1);
    assert_eq!(booted.records().len(), 1);
    booted.cut_the_power(Some(victim));
    let Place::Host(machine) = bench.host.place() else { panic!("a host") };
    let upper = PathBuf::from(format!("/proc/{machine}/root{LAYER}/upper"));
    assert_eq!(scratch(&upper), 1, "it is on the disk");
    std::fs::rename(upper.join("var/lib/faultline/credentials"), upper.join("var/lib/faultline/lost")).unwrap();
    let booted = bench.boot();
    within(PATIENCE, || booted.journal(RECOVERY), || booted.property(RECOVERY, "ActiveState") == "inactive");
    assert_eq!(booted.property(RECOVERY, "Result"), "success", "{}", booted.journal(RECOVERY));
    let journal = booted.journal(RECOVERY);
    assert!(journal.contains("undone ") && journal.contains("disk-fill"), "{journal}");
    assert_eq!((scratch(&booted.path("")), booted.records()), (0, Vec::new()), "{journal}");
    assert_eq!(booted.property(AGENT, "ConditionResult"), "no");

    // Nothing is left of the host.
    booted.cut_the_power(None);
    // The kernel ends no host before this test has heard of the end of all that it started there.
    drop(client);
    drop(bench);
    assert!(!group.exists(), "{} is left", group.display());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(layer.to_str().unwrap()) && !mounts.contains(LAYER), "{mounts}");
    println!("in {:.0?}", begun.elapsed());
}
