//! One user-mode Linux: its root is this host's, read-only; what it writes goes to a scratch folder.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// Set inside, where it names the test's scratch folder.
pub(crate) const INSIDE: &str = "FAULTLINE_UML";
const PROGRAM: &str = "/usr/bin/linux.uml";
/// A boot takes 3 to 7 s on an idle machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Whether the lane can run; says so if not.
pub(crate) fn ready() -> bool {
    let missing = if !Path::new(PROGRAM).exists() {
        "user-mode Linux is not installed: `apt-get install user-mode-linux`"
    } else if !nix::unistd::geteuid().is_root() {
        "user-mode Linux mounts this host's files, which needs root"
    } else {
        return true;
    };
    println!("skipped: {missing}");
    false
}

/// A scratch folder, the state of a machine that outlives its boots.
#[derive(Debug)]
pub(crate) struct Machine {
    name: &'static str,
    measures: bool,
    scratch: tempfile::TempDir,
}

/// Machines share processors badly, so one in which delays are measured has them for itself.
static PROCESSORS: RwLock<()> = RwLock::new(());

#[derive(Debug)]
enum Share {
    Whole(#[expect(dead_code, reason = "held until the machine ends")] RwLockWriteGuard<'static, ()>),
    Part(#[expect(dead_code, reason = "held until the machine ends")] RwLockReadGuard<'static, ()>),
}

/// One boot of it.
pub(crate) struct Boot {
    _share: Share,
    process: Child,
    lines: Receiver<String>,
    console: Vec<String>,
}

impl Machine {
    /// One in which times are measured.
    pub(crate) fn that_measures(name: &'static str) -> Self {
        Self { measures: true, ..Self::new(name) }
    }

    /// One that may run beside others.
    pub(crate) fn new(name: &'static str) -> Self {
        let scratch = tempfile::Builder::new().prefix(&format!("faultline-uml-{name}-")).tempdir().unwrap();
        Self { name, measures: false, scratch }
    }

    /// Boots with a script as process 1. In it, `$FAULTLINE_UML` is the scratch folder, writable.
    pub(crate) fn start(&self, script: &str) -> Boot {
        let share = if self.measures {
            Share::Whole(PROCESSORS.write().unwrap_or_else(std::sync::PoisonError::into_inner))
        } else {
            Share::Part(PROCESSORS.read().unwrap_or_else(std::sync::PoisonError::into_inner))
        };
        let folder = self.scratch.path();
        let init = folder.join("init");
        let preamble = format!(
            "#!/bin/sh\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin {INSIDE}=/run/scratch TMPDIR=/run HOME=/run\n\
             mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run\n\
             mkdir /run/scratch; mount -t hostfs none /run/scratch -o {}\n\
             mount -t cgroup2 none /sys/fs/cgroup; ip link set lo up\n",
            folder.display()
        );
        let finish = "\nsync; echo o > /proc/sysrq-trigger; sleep 60\n";
        fs::write(&init, preamble + script + finish).unwrap();
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).unwrap();
        let mut process = Command::new(PROGRAM)
            .args(["mem=512M", "rootfstype=hostfs", "rootflags=/", "ro", "con=null", "con0=fd:0,fd:1", "quiet"])
            .arg(format!("uml_dir={}", folder.display()))
            .arg(format!("umid={}", self.name))
            .arg(format!("init={}", init.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let console = BufReader::new(process.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in console.split(b'\n').map_while(Result::ok) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if send.send(text).is_err() {
                    return;
                }
            }
        });
        Boot { _share: share, process, lines, console: Vec::new() }
    }

    /// The command that runs the tests of this program whose name begins so.
    pub(crate) fn test(filter: &str) -> String {
        let program = std::env::current_exe().unwrap();
        format!("{} {filter} --ignored --test-threads=1 --nocapture 2>&1", program.display())
    }

    /// The scratch folder, as it is called outside.
    pub(crate) fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Makes a disk of so many MiB in the scratch folder, with a file system.
    pub(crate) fn make_disk(&self, name: &str, mebibytes: u64, make: &str) {
        let path = self.scratch.path().join(name);
        fs::File::create(&path).unwrap().set_len(mebibytes << 20).unwrap();
        let made =
            Command::new("sh").args(["-c", &format!("PATH=$PATH:/usr/sbin:/sbin {make} {}", path.display())]).status();
        assert!(made.unwrap().success(), "{make}");
    }

    /// Runs the tests of this program whose name begins so, inside, and fails if one fails there.
    pub(crate) fn run_tests(&self, filter: &str) {
        let mut boot = self.start(&Self::test(filter));
        let summary = boot.wait_for("test result: ");
        let passed = summary.contains("ok.") && !summary.contains("ok. 0 passed");
        boot.wait_for_end();
        println!("{}", boot.console());
        assert!(passed, "in user-mode Linux: {summary}");
    }
}

impl Boot {
    /// Waits for a line that contains a text, and returns it.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            match self.lines.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())) {
                Ok(line) => {
                    let found = line.contains(text);
                    self.console.push(line.clone());
                    if found {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no `{text}` in {PATIENCE:?}:\n{}", self.console()),
                Err(RecvTimeoutError::Disconnected) => panic!("ended without `{text}`:\n{}", self.console()),
            }
        }
    }

    /// Waits until it has powered itself off.
    pub(crate) fn wait_for_end(&mut self) {
        let begun = Instant::now();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())) {
            self.console.push(line);
        }
        self.end();
    }

    /// Cuts its power: what it had not written is lost.
    pub(crate) fn cut_power(mut self) {
        self.end();
    }

    /// Everything that it printed so far.
    pub(crate) fn console(&self) -> String {
        self.console.join("\n")
    }

    fn end(&mut self) {
        // Its own process group: user-mode Linux runs the processes inside as traced children of itself.
        let group = nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

impl Drop for Boot {
    fn drop(&mut self) {
        self.end();
    }
}
