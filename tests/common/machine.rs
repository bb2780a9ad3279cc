//! Hosts of a test's own on one machine: each has its own processes, mounts and network, and a cable to a switch that
//! the test can cut. Nothing of them is in the machine's own network, and the kernel removes all of it when the first
//! process of each is gone, which ends with the test however that ends.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sched::{CloneFlags, setns, unshare};

/// Where a program is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On this machine, as the test itself.
    Here,
    /// On the host whose first process this is.
    Host(u32),
    /// On this machine, in the network of that host alone.
    NetworkOf(u32),
}

impl Place {
    pub fn spawn(self, command: &mut Command) -> Child {
        if self == Self::Here {
            return command.spawn().unwrap();
        }
        // The thread's children are born on that host; the thread itself ends here.
        std::thread::scope(|scope| {
            let started = scope.spawn(|| {
                self.enter();
                command.spawn().unwrap()
            });
            started.join().unwrap()
        })
    }

    pub fn output(self, command: &mut Command) -> Output {
        self.spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped())).wait_with_output().unwrap()
    }

    fn enter(self) {
        let (Self::Host(first) | Self::NetworkOf(first)) = self else { return };
        let open = |kind: &str| File::open(format!("/proc/{first}/ns/{kind}")).unwrap();
        let (network, processes, mounts) = (open("net"), open("pid"), open("mnt"));
        setns(network.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
        if matches!(self, Self::Host(_)) {
            // A thread that shares its working folder with others cannot change its mounts.
            unshare(CloneFlags::CLONE_FS).unwrap();
            setns(processes.as_fd(), CloneFlags::CLONE_NEWPID).unwrap();
            setns(mounts.as_fd(), CloneFlags::CLONE_NEWNS).unwrap();
        }
    }

    /// Runs a command that must succeed, and answers what it said.
    pub fn run(self, program: &str, arguments: &[&str]) -> String {
        let output = self.output(Command::new(program).args(arguments).stdin(Stdio::null()));
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// The first process of a host: it waits for its children, and ends when nobody holds its input any more.
const FIRST: &str =
    "exec 3<&0; trap 'exit 0' TERM; (read -r _ <&3; kill -TERM 1) & sleep infinity & while :; do wait; done";

/// Mounts of its own. What the test gives it to see stays where it is, also below a folder that is empty there.
const MOUNTS: &str = "set -e; mount --make-rprivate /; mount -t proc proc /proc; mount -t tmpfs -o mode=1777 none /mnt; \
                      for seen in \"$@\"; do case $seen in /tmp/*) mkdir -p \"/mnt/${seen#/tmp/}\"; \
                      mount --rbind \"$seen\" \"/mnt/${seen#/tmp/}\";; esac; done; \
                      mount --rbind /mnt /tmp; umount -l /mnt; \
                      mount -t tmpfs -o mode=755 none /run; mount -t tmpfs -o mode=755 none /var/lib; echo ready; ";

/// A host, until it is dropped.
pub struct Machine {
    first: Child,
    pub address: String,
    cable: String,
    switch: Place,
}

/// The switch between hosts.
pub struct Network {
    switch: Machine,
    hosts: u8,
    seen: Vec<PathBuf>,
}

impl Network {
    /// A network without hosts. They see of `/tmp` these folders alone. Nothing, and a printed reason, where there can be none.
    pub fn new(seen: &[&Path]) -> Option<Self> {
        if !super::is_root() {
            println!("skipped: hosts in network namespaces of their own need root");
            return None;
        }
        if let Some(missing) = ["ip", "bridge"].into_iter().find(|program| !super::has(program)) {
            println!("skipped: {missing} is not installed (Debian package iproute2)");
            return None;
        }
        let seen = and_the_programs(seen);
        let switch = Machine::start(&seen, Place::Here, CloneFlags::CLONE_NEWNET);
        let place = Place::NetworkOf(switch.first.id());
        place.run("ip", &["link", "add", "switch", "type", "bridge"]);
        place.run("ip", &["link", "set", "switch", "up"]);
        Some(Self { switch, hosts: 0, seen })
    }

    /// A new host, with its cable to the switch.
    pub fn host(&mut self) -> Machine {
        self.hosts += 1;
        let place = Place::NetworkOf(self.switch.first.id());
        let mut host = Machine::start(&self.seen, place, CloneFlags::CLONE_NEWNET);
        host.cable = format!("cable{}", self.hosts);
        host.address = format!("10.213.0.{}", self.hosts);
        let (switch, inside) = (host.switch, host.place());
        let first = host.first.id().to_string();
        switch.run("ip", &["link", "add", &host.cable, "type", "veth", "peer", "name", "eth0", "netns", &first]);
        switch.run("ip", &["link", "set", &host.cable, "master", "switch", "up"]);
        inside.run("ip", &["link", "set", "lo", "up"]);
        inside.run("ip", &["address", "add", &format!("{}/24", host.address), "dev", "eth0"]);
        inside.run("ip", &["link", "set", "eth0", "up"]);
        host
    }
}

/// What a host sees of `/tmp`: these folders, and that of the programs, which may be there too.
fn and_the_programs(seen: &[&Path]) -> Vec<PathBuf> {
    let programs = Path::new(env!("CARGO_BIN_EXE_faultline")).parent().unwrap();
    seen.iter().copied().chain([programs]).map(Path::to_path_buf).collect()
}

impl Machine {
    /// A host that shares the network of this machine, and sees of `/tmp` these folders alone.
    pub fn on_this_network(seen: &[&Path]) -> Self {
        Self::start(&and_the_programs(seen), Place::Here, CloneFlags::empty())
    }

    fn start(seen: &[PathBuf], switch: Place, network: CloneFlags) -> Self {
        let script = format!("{MOUNTS}{FIRST}");
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh"]).args(seen).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut first = std::thread::scope(|scope| {
            let started = scope.spawn(|| {
                unshare(network | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS).unwrap();
                command.spawn().unwrap()
            });
            started.join().unwrap()
        });
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(first.stdout.take().unwrap()), &mut line).unwrap();
        assert_eq!(line, "ready\n", "a host of its own can be made");
        Self { first, address: String::new(), cable: String::new(), switch }
    }

    pub fn place(&self) -> Place {
        Place::Host(self.first.id())
    }

    /// From now on nothing comes through its cable, and neither end is told; or everything again.
    pub fn cut(&self, cut: bool) {
        let state = if cut { "disabled" } else { "forwarding" };
        self.switch.run("bridge", &["link", "set", "dev", &self.cable, "state", state]);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The kernel ends every process of the host with its first.
        let _ = self.first.kill();
        let _ = self.first.wait();
    }
}
