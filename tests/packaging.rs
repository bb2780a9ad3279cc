//! The Debian packages: what is in them, and what installing, removing and purging them does to a host. Each test that
//! installs has a host of its own: pid, mount and network namespaces, and over this host's files a layer in memory that
//! takes all changes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests count as no tests to clippy"
)]

mod common;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::is_root;

/// Set on the host of a test's own: the folder with the packages.
const INSIDE: &str = "FAULTLINE_TEST_PACKAGES";

/// The packages, built from the programs under test; `None`, with the reason printed, where they cannot be.
fn build(out: &Path) -> Option<[PathBuf; 2]> {
    let faultline = PathBuf::from(env!("CARGO_BIN_EXE_faultline"));
    let agent = faultline.with_file_name("faultline-agent");
    if !agent.exists() {
        println!("skipped: there is no {} to be packed: `cargo build --workspace` makes it", agent.display());
        return None;
    }
    if let Err(error) = Command::new("dpkg-deb").arg("--version").stdout(Stdio::null()).status() {
        println!("skipped: packages cannot be built here: dpkg-deb: {error}");
        return None;
    }
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/deb/build"))
        .arg("--faultline")
        .arg(&faultline)
        .arg("--agent")
        .arg(&agent)
        .args(["--version", "1.2.3", "--out"])
        .arg(out)
        .env("FAULTLINE_DEB_LEVEL", "1")
        .env("SOURCE_DATE_EPOCH", "1800000000")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let built: Vec<PathBuf> = text.lines().map(PathBuf::from).collect();
    Some(built.try_into().unwrap())
}

fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn done(program: &str, arguments: &[&str]) -> String {
    let (success, text) = run(program, arguments);
    assert!(success, "{program} {arguments:?}: {text}");
    text
}

#[test]
fn the_packages_hold_what_they_say_and_are_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let Some([faultline, agent]) = build(&folder.path().join("first")) else { return };
    let again = build(&folder.path().join("second")).unwrap();
    for (first, second) in [&faultline, &agent].into_iter().zip(&again) {
        assert!(std::fs::read(first).unwrap() == std::fs::read(second).unwrap(), "{} differs", first.display());
    }
    let contents = |package: &Path| {
        let text = done("dpkg-deb", &["--contents", package.to_str().unwrap()]);
        let files = text.lines().filter(|line| !line.starts_with('d')).map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            format!("{} {} {}", words[0], words[1], words[5])
        });
        files.collect::<Vec<_>>()
    };
    assert_eq!(
        contents(&agent),
        [
            "-rw-r--r-- root/root ./etc/faultline/agent.yaml",
            "-rwxr-xr-x root/root ./usr/bin/faultline-agent",
            "-rw-r--r-- root/root ./usr/lib/systemd/system/faultline-agent-recover.service",
            "-rw-r--r-- root/root ./usr/lib/systemd/system/faultline-agent.service",
            "-rw-r--r-- root/root ./usr/share/doc/faultline-agent/changelog.gz",
            "-rw-r--r-- root/root ./usr/share/doc/faultline-agent/copyright",
        ]
    );
    assert_eq!(
        contents(&faultline),
        [
            "-rw-r--r-- root/root ./etc/default/faultline",
            "-rwxr-xr-x root/root ./usr/bin/faultline",
            "-rw-r--r-- root/root ./usr/lib/systemd/system/faultline.service",
            "-rw-r--r-- root/root ./usr/share/doc/faultline/changelog.gz",
            "-rw-r--r-- root/root ./usr/share/doc/faultline/copyright",
        ]
    );
    for (package, name, conffile) in
        [(&agent, "faultline-agent", "/etc/faultline/agent.yaml"), (&faultline, "faultline", "/etc/default/faultline")]
    {
        let package = package.to_str().unwrap();
        let field = |field: &str| done("dpkg-deb", &["--field", package, field]).trim().to_owned();
        assert_eq!((field("Package").as_str(), field("Version").as_str()), (name, "1.2.3"));
        assert_eq!(field("Architecture"), done("dpkg", &["--print-architecture"]).trim());
        assert!(field("Depends").starts_with("libc6 (>= 2."), "{}", field("Depends"));
        assert!(field("Installed-Size").parse::<u64>().unwrap() > 1000);
        assert_eq!(done("dpkg-deb", &["--info", package, "conffiles"]).trim(), conffile);
    }
}

/// Runs the rest of a test on a host of its own; the packages there, if this is that.
fn on_a_host_of_its_own(test: &str) -> Option<[PathBuf; 2]> {
    if let Some(folder) = std::env::var_os(INSIDE) {
        let package = |name: &str| {
            let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            let prefix = format!("{name}_");
            files.into_iter().find(|file| file.file_name().unwrap().to_str().unwrap().starts_with(&prefix)).unwrap()
        };
        return Some([package("faultline"), package("faultline-agent")]);
    }
    if !is_root() {
        println!("skipped: a host of its own to install packages on needs root");
        return None;
    }
    if Command::new("adduser").arg("--version").output().is_err() {
        println!("skipped: adduser, which the packages depend on, is not installed");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    build(folder.path())?;
    // The network is empty: no sweep of remnants may see another test's.
    let namespaces = ["--pid", "--fork", "--mount-proc", "--kill-child", "--mount", "--net"];
    let layer = "set -e; at=$1; exec 8<\"$2\"; shift 2; mount -t tmpfs none /mnt; mkdir /mnt/upper /mnt/work /mnt/root; \
                 mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work none /mnt/root; cd /mnt/root; \
                 mount -t proc none proc; mount --rbind /dev dev; mount --rbind /sys sys; \
                 mount -t tmpfs -o mode=755 none run; mount -t tmpfs -o mode=1777 none tmp; \
                 mkdir tmp/packages; cp \"$at\"/*.deb tmp/packages; rm -rf var/lib/faultline etc/faultline; ";
    let possible = Command::new("unshare")
        .args(namespaces)
        .args(["sh", "-c", &format!("{layer} true"), "sh"])
        .arg(folder.path())
        .arg("/bin/true")
        .output();
    match possible {
        Ok(output) if output.status.success() => {}
        other => {
            println!("skipped: no host of its own can be made for a test here: {other:?}");
            return None;
        }
    }
    let status = Command::new("unshare")
        .args(namespaces)
        .args(["sh", "-c", &format!("{layer} exec chroot /mnt/root /proc/self/fd/8 \"$@\""), "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "/tmp/packages")
        .env("TMPDIR", "/tmp")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env_remove("FAULTLINE_STATE")
        .status()
        .unwrap();
    assert!(status.success(), "on a host of its own: {status}");
    None
}

fn exists(path: &str) -> bool {
    Path::new(path).symlink_metadata().is_ok()
}

/// The processes of this host, by their programs' names.
fn processes() -> Vec<String> {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let folder = entry.unwrap().path();
        folder.file_name()?.to_str()?.parse::<u32>().ok()?;
        Some(std::fs::read_to_string(folder.join("comm")).ok()?.trim().to_owned())
    });
    all.collect()
}

#[test]
fn what_is_installed_starts_nothing_and_goes_without_a_trace() {
    let Some([faultline, agent]) = on_a_host_of_its_own("what_is_installed_starts_nothing_and_goes_without_a_trace")
    else {
        return;
    };
    let said = done("dpkg", &["--install", faultline.to_str().unwrap(), agent.to_str().unwrap()]);
    assert!(said.contains("this host is not enrolled yet"), "{said}");
    assert!(done("faultline-agent", &["--version"]).starts_with("faultline-agent "));
    assert!(done("faultline", &["--version"]).starts_with("faultline "));
    assert!(!processes().iter().any(|name| name.starts_with("faultline")), "{:?}", processes());
    let wanted = "/etc/systemd/system/multi-user.target.wants";
    assert!(!exists(&format!("{wanted}/faultline.service")) && !exists(&format!("{wanted}/faultline-agent.service")));
    let data = std::fs::metadata("/var/lib/faultline-controller").unwrap();
    let user = done("id", &["-u", "faultline"]).trim().parse::<u32>().unwrap();
    assert_eq!((data.mode() & 0o7777, data.uid()), (0o700, user));
    for package in ["faultline", "faultline-agent"] {
        assert_eq!(done("dpkg", &["--verify", package]), "", "every file is as packed");
    }
    match Command::new("systemd-analyze").arg("--version").output() {
        Ok(_) => {
            let units = ["faultline.service", "faultline-agent.service", "faultline-agent-recover.service"];
            let said = done("systemd-analyze", &[&["verify"], &units[..]].concat());
            let ours: Vec<&str> = said.lines().filter(|line| line.contains("faultline")).collect();
            assert_eq!(ours, [""; 0]);
        }
        Err(error) => println!("skipped: the units are not verified: systemd-analyze: {error}"),
    }

    std::fs::write("/etc/faultline/agent.yaml", "labels: { role: db }\n").unwrap();
    done("faultline-agent", &["recover"]);
    std::fs::create_dir_all("/var/lib/faultline/credentials").unwrap();
    std::fs::create_dir_all("/var/lib/faultline-controller/authority").unwrap();
    // Again, as an upgrade: what was changed and what was enrolled stays.
    done("dpkg", &["--install", faultline.to_str().unwrap(), agent.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string("/etc/faultline/agent.yaml").unwrap(), "labels: { role: db }\n");

    done("dpkg", &["--remove", "faultline-agent", "faultline"]);
    assert!(!exists("/usr/bin/faultline") && !exists("/usr/bin/faultline-agent"));
    assert!(!exists("/usr/lib/systemd/system/faultline-agent.service"));
    assert!(!exists("/usr/lib/systemd/system/faultline-agent-recover.service"));
    for kept in
        ["/etc/faultline/agent.yaml", "/var/lib/faultline/credentials", "/var/lib/faultline-controller/authority"]
    {
        assert!(exists(kept), "{kept} is kept by a removal");
    }
    assert!(!exists("/var/lib/faultline/halt.json"), "and no halt is left");
    done("dpkg", &["--purge", "faultline-agent", "faultline"]);
    for gone in ["/etc/faultline", "/etc/default/faultline", "/var/lib/faultline", "/var/lib/faultline-controller"] {
        assert!(!exists(gone), "{gone} is gone after a purge");
    }
}

#[test]
fn a_removal_undoes_first_and_does_not_go_on_where_it_cannot() {
    let Some([faultline, agent]) = on_a_host_of_its_own("a_removal_undoes_first_and_does_not_go_on_where_it_cannot")
    else {
        return;
    };
    done("dpkg", &["--install", faultline.to_str().unwrap(), agent.to_str().unwrap()]);
    // A worker and its guard that were killed with a disk filled.
    let mut worker = fill_a_disk();
    // The guard first, frozen so that it cannot act, then the worker.
    let guards: Vec<String> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let folder = entry.unwrap().path();
            let pid = folder.file_name()?.to_str()?.parse::<u32>().ok()?;
            let command = std::fs::read_to_string(folder.join("cmdline")).ok()?;
            (command.contains("\0guard\0") && pid != worker.id()).then(|| pid.to_string())
        })
        .collect();
    assert_eq!(guards.len(), 1, "{guards:?}");
    done("kill", &["-STOP", &guards[0]]);
    worker.kill().unwrap();
    worker.wait().unwrap();
    done("kill", &["-KILL", &guards[0]]);
    assert_ne!(std::fs::read_dir("/tmp/scratch").unwrap().count(), 0, "nobody undid it");

    let record = |folder: &str| {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.into_iter().find(|file| file.extension().is_some_and(|extension| extension == "json")).unwrap()
    };
    let kept = std::fs::read(record("/var/lib/faultline/faults")).unwrap();
    let name = record("/var/lib/faultline/faults");
    // A record that cannot be understood: nobody can say what is left.
    std::fs::write(&name, "{").unwrap();
    let (success, said) = run("dpkg", &["--remove", "faultline-agent"]);
    assert!(!success && said.contains("something is left on this host, so the agent stays"), "{said}");
    assert!(exists("/usr/bin/faultline-agent") && !exists("/var/lib/faultline/halt.json"));
    std::fs::write(&name, kept).unwrap();
    done("dpkg", &["--remove", "faultline-agent"]);
    assert_eq!(std::fs::read_dir("/tmp/scratch").unwrap().count(), 0, "the removal undid it");
    assert!(!exists("/usr/bin/faultline-agent"));
    // Removed although something is left, as somebody insisted: then a purge keeps what is known of it.
    done("dpkg", &["--install", agent.to_str().unwrap()]);
    std::fs::write(&name, "{").unwrap();
    done("env", &["FAULTLINE_REMOVE_ANYWAY=1", "dpkg", "--purge", "faultline-agent"]);
    assert!(name.exists() && !exists("/usr/bin/faultline-agent"));
}

/// Starts a run, and returns once it has taken inodes of `/tmp/scratch`.
fn fill_a_disk() -> Child {
    std::fs::create_dir_all("/tmp/scratch").unwrap();
    done("mount", &["-t", "tmpfs", "-o", "size=8m", "none", "/tmp/scratch"]);
    std::fs::write("/tmp/fill.yaml", FILL).unwrap();
    let mut worker = Command::new("faultline")
        .args(["run", "/tmp/fill.yaml"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = std::time::Instant::now();
    while is_empty("/tmp/scratch") {
        if let Some(status) = worker.try_wait().unwrap() {
            let mut said = String::new();
            std::io::Read::read_to_string(&mut worker.stderr.take().unwrap(), &mut said).unwrap();
            panic!("{status}: {said}");
        }
        assert!(begun.elapsed().as_secs() < 60, "no fault came");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    worker
}

fn is_empty(folder: &str) -> bool {
    std::fs::read_dir(folder).unwrap().count() == 0
}

#[test]
fn a_host_is_halted_and_released_by_its_agent_alone() {
    let Some([faultline, agent]) = on_a_host_of_its_own("a_host_is_halted_and_released_by_its_agent_alone") else {
        return;
    };
    done("dpkg", &["--install", faultline.to_str().unwrap(), agent.to_str().unwrap()]);
    let mut worker = fill_a_disk();
    let (success, said) = run("faultline-agent", &["halt", "--reason", "real incident", "--json"]);
    let stopped: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(success && is_empty("/tmp/scratch"), "{said}");
    assert_eq!((&stopped["scope"], stopped["left"].as_array().unwrap().len()), (&"host".into(), 0));
    assert_eq!(worker.wait().unwrap().code(), Some(5), "aborted, and undone");
    let refused = || {
        let output = Command::new("faultline").args(["run", "/tmp/fill.yaml"]).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = refused();
    assert!(code == Some(3) && said.contains("real incident"), "{code:?}: {said}");
    assert!(done("faultline-agent", &["halt", "--release"]).starts_with("released"));
    assert!(done("faultline-agent", &["halt", "--release"]).starts_with("nothing was halted"));
    let mut worker = fill_a_disk();
    done("faultline-agent", &["halt"]);
    worker.wait().unwrap();
}

/// Beside what `systemd-analyze verify` knows: what would leave faults behind, or keep them from acting.
#[test]
fn the_agents_unit_lets_its_guard_live_and_gives_it_the_hosts_own_mounts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    let unit = std::fs::read_to_string(folder.join("faultline-agent.service")).unwrap();
    let recovery = std::fs::read_to_string(folder.join("faultline-agent-recover.service")).unwrap();
    let settings: Vec<&str> = unit.lines().filter(|line| !line.starts_with('#')).collect();
    let recovering: Vec<&str> = recovery.lines().filter(|line| !line.starts_with('#')).collect();
    for needed in [
        "Type=oneshot",
        "ExecStart=/usr/bin/faultline-agent recover",
        "Before=faultline-agent.service",
        "WantedBy=multi-user.target",
    ] {
        assert!(recovering.contains(&needed), "{needed}");
    }
    for needed in [
        "Wants=network-online.target faultline-agent-recover.service",
        "After=network-online.target faultline-agent-recover.service",
        "Also=faultline-agent-recover.service",
        "KillMode=process",
        "OOMPolicy=continue",
        "Restart=always",
        "ExecStopPost=/usr/bin/faultline-agent recover",
        "Type=notify",
        "StartLimitIntervalSec=0",
    ] {
        assert!(settings.contains(&needed), "{needed}");
    }
    // systemd.exec(5): each of these makes a mount namespace, or takes the halt's folder away at a stop.
    let forbidden = [
        "Protect",
        "Private",
        "ReadOnlyPaths",
        "ReadWritePaths",
        "InaccessiblePaths",
        "ExecPaths",
        "NoExecPaths",
        "TemporaryFileSystem",
        "BindPaths",
        "BindReadOnlyPaths",
        "MountImages",
        "RootDirectory",
        "RootImage",
        "DynamicUser",
        "MountFlags",
        "RuntimeDirectory",
        "RestrictNamespaces",
        "CacheDirectory",
    ];
    for setting in settings.into_iter().chain(recovering) {
        assert!(!forbidden.iter().any(|word| setting.starts_with(word)), "{setting}");
    }
}

const FILL: &str = r#"
apiVersion: faultline.dev/v1
kind: Experiment
metadata: { name: fill }
spec:
  hypothesis: The disk may be full.
  signals:
    here: { exec: { run: ["true"], interval: 100ms } }
  steadyState: [ { signal: here, errors: { below: 50% } } ]
  method:
    - observe: 2s
    - inject: { fault: { disk-fill: { path: /tmp/scratch, inodes: { count: 50 } } }, for: 60s }
"#;
