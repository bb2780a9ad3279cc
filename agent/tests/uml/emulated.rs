//! A full Debian kernel under emulation. User-mode Linux has netem, but its nftables lacks every family that Faultline
//! uses; this kernel has both, and all there is of packet queues.
//!
//! It boots from a folder of files that is packed for it: this program, the few tools by which the tests look from
//! outside, their libraries, and kernel modules. `tests/run` puts the kernel where this looks for it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::machine::INSIDE;

const EMULATOR: &str = "qemu-system-x86_64";
/// An unpacked package `linux-image-…-cloud-amd64`.
const KERNEL: &str = "/var/cache/faultline-tests/kernel";
const TOOLS: [&str; 9] = ["sh", "ip", "tc", "nft", "sysctl", "mount", "mkdir", "cat", "sleep"];
const MODULES: [&str; 17] = [
    "kernel/drivers/net/veth.ko",
    "kernel/drivers/net/ifb.ko",
    "kernel/drivers/net/dummy.ko",
    "kernel/net/sched/sch_netem.ko",
    "kernel/net/sched/sch_prio.ko",
    "kernel/net/sched/sch_tbf.ko",
    "kernel/net/sched/cls_u32.ko",
    "kernel/net/sched/cls_fw.ko",
    "kernel/net/netfilter/nf_tables.ko",
    "kernel/net/netfilter/nft_socket.ko",
    "kernel/net/netfilter/nft_reject_inet.ko",
    "kernel/net/netfilter/nft_queue.ko",
    "kernel/net/netfilter/nft_compat.ko",
    "kernel/net/netfilter/xt_NFQUEUE.ko",
    "kernel/net/netfilter/nfnetlink_queue.ko",
    "kernel/net/ipv4/tcp_diag.ko",
    "kernel/net/ipv4/udp_diag.ko",
];
/// Boot and tests, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(540);

/// The kernel and its folder of modules, if the lane can run; says so if not.
fn kernel() -> Option<(PathBuf, PathBuf)> {
    let found = |folder: &str, prefix: &str| {
        let entries = fs::read_dir(Path::new(KERNEL).join(folder)).ok()?.flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix))
            .max()
    };
    let tool = TOOLS.into_iter().find(|tool| place_of(tool).is_none());
    let missing = match (tool, found("boot", "vmlinuz"), found("lib/modules", "")) {
        (Some(tool), ..) => format!("`{tool}` is not installed"),
        (None, Some(kernel), Some(modules)) if place_of(EMULATOR).is_some() => return Some((kernel, modules)),
        (None, Some(_), Some(_)) => "the emulator is not installed: `apt-get install qemu-system-x86`".to_owned(),
        (None, ..) => format!("there is no kernel to emulate in {KERNEL}: `tests/run` puts one there"),
    };
    println!("skipped: {missing}");
    None
}

fn place_of(tool: &str) -> Option<PathBuf> {
    ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .map(|folder| Path::new(folder).join(tool))
        .into_iter()
        .find(|path| path.exists())
}

/// The emulator, which ends with the test.
struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the tests of this program whose name begins so, inside, and fails if one fails there.
fn run_tests(filter: &str) {
    let Some((kernel, modules)) = kernel() else { return };
    let scratch = tempfile::Builder::new().prefix("faultline-emulated-").tempdir().unwrap();
    let archive = scratch.path().join("files");
    pack(&archive, &modules, &format!("/test {filter} --ignored --test-threads=1 --nocapture 2>&1"));
    let process = Command::new(EMULATOR)
        .args(["-accel", "tcg", "-cpu", "max", "-m", "640", "-nodefaults", "-display", "none", "-serial", "stdio"])
        .args(["-no-reboot", "-append", "console=ttyS0 quiet panic=-1"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(&archive)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut emulator = Emulator(process);
    let console = BufReader::new(emulator.0.stdout.take().unwrap());
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in console.split(b'\n').map_while(Result::ok) {
            let _ = send.send(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    });
    let begun = Instant::now();
    let mut printed = Vec::new();
    while let Ok(line) = lines.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())) {
        printed.push(line);
    }
    drop(emulator);
    println!("{}", printed.join("\n"));
    let summary = printed.iter().rfind(|line| line.starts_with("test result: "));
    let passed = summary.is_some_and(|summary| summary.contains("ok.") && !summary.contains("ok. 0 passed"));
    assert!(passed, "under emulation, after {:?}: {summary:?}", begun.elapsed());
}

/// Packs what the machine starts from.
fn pack(archive: &Path, modules: &Path, command: &str) {
    let mut files = Archive::new(archive);
    let program = std::env::current_exe().unwrap();
    let agent = Path::new(env!("CARGO_BIN_EXE_faultline-agent"));
    let stripped = archive.with_extension("stripped");
    for (path, name) in [(program.as_path(), "/test"), (agent, env!("CARGO_BIN_EXE_faultline-agent"))] {
        // Without what a debugger needs it is a tenth.
        let smaller =
            Command::new("strip").arg("-o").arg(&stripped).arg(path).status().is_ok_and(|done| done.success());
        files.add(name, if smaller { &stripped } else { path }, 0o755);
        files.add_libraries(path);
    }
    for tool in TOOLS {
        let path = place_of(tool).unwrap();
        files.add(&format!("/bin/{tool}"), &path, 0o755);
        files.add_libraries(&path);
    }
    let release = modules.file_name().unwrap().to_string_lossy().into_owned();
    let mut dependencies = String::new();
    for module in MODULES {
        let needs = needed_by(modules, module);
        dependencies += &format!("{module}: {}\n", needs.join(" "));
        for path in needs.iter().map(String::as_str).chain([module]) {
            files.add(&format!("/lib/modules/{release}/{path}"), &modules.join(path), 0o644);
        }
    }
    files.text(&format!("/lib/modules/{release}/modules.dep"), &dependencies, 0o644);
    files.add(&format!("/lib/modules/{release}/modules.builtin"), &modules.join("modules.builtin"), 0o644);
    files.text("/etc/nsswitch.conf", "hosts: files\n", 0o644);
    files.text("/etc/hosts", "127.0.0.1 localhost\n", 0o644);
    for folder in ["/proc", "/sys", "/run", "/tmp", "/var", "/dev"] {
        files.folder(folder);
    }
    let init = format!(
        "#!/bin/sh\nexport PATH=/bin {INSIDE}=/run TMPDIR=/run HOME=/run\n\
         mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run; mount -t devtmpfs dev /dev\n\
         mount -t cgroup2 none /sys/fs/cgroup; ip link set lo up\n{command}\necho b > /proc/sysrq-trigger; sleep 60\n"
    );
    files.text("/init", &init, 0o755);
    files.finish();
}

/// The modules that one needs, the nearest first: as `depmod` finds them, by the names in its section `.modinfo`.
fn needed_by(modules: &Path, module: &str) -> Vec<String> {
    let bytes = fs::read(modules.join(module)).unwrap_or_else(|error| panic!("{module}: {error}"));
    let depends = bytes.split(|byte| *byte == 0).find_map(|text| text.strip_prefix(b"depends="));
    let names = String::from_utf8_lossy(depends.unwrap_or_default()).into_owned();
    let mut all = Vec::new();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        let path = find(&modules.join("kernel"), name).unwrap_or_else(|| panic!("{module} needs {name}"));
        let path = path.strip_prefix(modules).unwrap().to_string_lossy().into_owned();
        let further = needed_by(modules, &path);
        all.push(path);
        all.extend(further);
    }
    // What several need has to be loaded before all of them.
    let mut seen = BTreeSet::new();
    let mut nearest_first: Vec<String> = all.into_iter().rev().filter(|path| seen.insert(path.clone())).collect();
    nearest_first.reverse();
    nearest_first
}

/// The file of a module; in names of modules `-` and `_` are one.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        let stem = path.file_stem()?.to_string_lossy().replace('-', "_");
        if path.is_dir() { find(&path, name) } else { (stem == name).then_some(path) }
    })
}

/// A file of the form that the kernel unpacks as its first root: `cpio` with new headers
/// (`Documentation/driver-api/early-userspace/buffer-format.rst`).
struct Archive {
    file: fs::File,
    names: BTreeSet<String>,
}

impl Archive {
    fn new(path: &Path) -> Self {
        Self { file: fs::File::create(path).unwrap(), names: BTreeSet::new() }
    }

    fn put(&mut self, name: &str, mode: u32, content: &[u8]) {
        if let Some((folder, _)) = name.rsplit_once('/')
            && !folder.is_empty()
        {
            self.folder(&format!("/{}", folder.trim_start_matches('/')));
        }
        if !self.names.insert(name.to_owned()) {
            return;
        }
        let name = name.trim_start_matches('/');
        let number = self.names.len();
        let mut entry = format!(
            "070701{number:08x}{mode:08x}00000000000000000000000100000000{:08x}00000000000000000000000000000000{:08x}00000000{name}\0",
            content.len(),
            name.len() + 1
        )
        .into_bytes();
        entry.resize(entry.len().next_multiple_of(4), 0);
        entry.extend(content);
        entry.resize(entry.len().next_multiple_of(4), 0);
        self.file.write_all(&entry).unwrap();
    }

    fn folder(&mut self, name: &str) {
        if !self.names.contains(name) {
            self.put(name, 0o040_755, &[]);
        }
    }

    fn text(&mut self, name: &str, text: &str, mode: u32) {
        self.put(name, 0o100_000 | mode, text.as_bytes());
    }

    fn add(&mut self, name: &str, path: &Path, mode: u32) {
        if !self.names.contains(name) {
            let content = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            self.put(name, 0o100_000 | mode, &content);
        }
    }

    /// Adds the shared libraries of a program, where the loader will look for them.
    fn add_libraries(&mut self, program: &Path) {
        let listed = Command::new("ldd").arg(program).output().unwrap();
        for path in String::from_utf8_lossy(&listed.stdout).split_whitespace().filter(|word| word.starts_with('/')) {
            self.add(path, Path::new(path), 0o755);
        }
    }

    fn finish(mut self) {
        self.put("TRAILER!!!", 0, &[]);
        let mut permissions = self.file.metadata().unwrap().permissions();
        permissions.set_mode(0o600);
        self.file.set_permissions(permissions).unwrap();
    }
}

#[test]
fn netem_holds_chosen_packets_and_lets_all_others_pass() {
    run_tests("inside::chosen::");
}

#[test]
fn the_kernel_itself_ends_what_netem_does_to_chosen_packets() {
    run_tests("inside::chosen_crash::");
}

#[test]
fn netem_spreads_jitter_and_lets_bulk_transfers_flow() {
    run_tests("inside::chosen_traffic::");
}

#[test]
fn packets_are_held_by_the_queue_expression_of_nftables() {
    run_tests("inside::native_queue::by_expression");
}

#[test]
fn packets_are_held_by_the_xtables_target_where_the_expression_is_missing() {
    run_tests("inside::native_queue::by_target");
}
