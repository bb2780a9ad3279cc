use std::path::Path;
use std::process::{Child, Command};

use super::*;
use crate::kernel::namespace;

fn run(command: &str) {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a test in a network and mount namespace of its own, on a thread of its own.
fn alone(test: impl FnOnce() + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    std::thread::spawn(move || {
        namespace::enter_private().unwrap();
        test();
    })
    .join()
    .unwrap();
}

fn of(sections: &[Section]) -> Fingerprint {
    take(&FingerprintScope { sections: sections.to_vec(), ..FingerprintScope::default() })
}

/// What a change adds to and takes from some sections; afterwards `undo` has to make them equal again.
fn change(sections: &[Section], command: &str, undo: &str) -> Vec<String> {
    let before = of(sections);
    assert_eq!(diff(&before, &of(sections)), Vec::<String>::new(), "at rest");
    run(command);
    let differences = diff(&before, &of(sections));
    run(undo);
    assert_eq!(diff(&before, &of(sections)), Vec::<String>::new(), "after {undo}");
    differences
}

#[test]
fn each_change_of_a_network_namespace_is_seen_and_its_undo_too() {
    alone(|| {
        run("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
        run(
            "nft add table inet t && nft add chain inet t c '{ type filter hook output priority 0; }' && nft add set inet t s '{ type ipv4_addr; }'",
        );
        let network = Section::NETWORK;
        for (command, undo, sign) in [
            (
                "tc qdisc add dev v0 root handle 1: tbf rate 1mbit burst 10kb latency 50ms",
                "tc qdisc del dev v0 root",
                "+ qdiscs: v0 parent ffffffff qdisc 00010000 tbf",
            ),
            (
                "tc qdisc add dev v0 clsact && tc filter add dev v0 egress protocol ip prio 3 u32 match u32 0 0",
                "tc qdisc del dev v0 clsact",
                "+ qdiscs: v0 parent fffffff3 filter",
            ),
            ("ip link set v0 mtu 1400", "ip link set v0 mtu 1500", "+ links: v0 up"),
            ("ip link set v1 down", "ip link set v1 up", "+ links: v1 down"),
            ("nft add table ip other", "nft delete table ip other", "+ nftables: table family 2 other"),
            (
                "nft add rule inet t c tcp dport 80 counter drop",
                "nft flush chain inet t c",
                "+ nftables: rule family 1 t c number 0 [meta",
            ),
            (
                "nft add element inet t s '{ 10.0.0.1 }'",
                "nft delete element inet t s '{ 10.0.0.1 }'",
                "+ nftables: element of set family 1 t s",
            ),
            (
                "nft add chain inet t d '{ type filter hook input priority 0; policy drop; }'",
                "nft delete chain inet t d",
                "+ nftables: chain family 1 t d",
            ),
            (
                "sysctl -qw net.ipv4.ip_forward=1",
                "sysctl -qw net.ipv4.ip_forward=0",
                "+ sysctls: net/ipv4/ip_forward = 1",
            ),
        ] {
            let differences = change(&network, command, undo);
            assert!(differences.iter().any(|line| line.starts_with(sign)), "{command}: {differences:#?}");
        }
    });
}

#[test]
fn counters_change_nothing() {
    alone(|| {
        run(
            "nft add table inet t && nft add chain inet t c '{ type filter hook output priority 0; }' && nft add rule inet t c counter accept",
        );
        run(
            "ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up && ip addr add 10.8.0.1/24 dev v0",
        );
        run("tc qdisc add dev v0 root handle 1: htb default 5");
        let before = of(&Section::NETWORK);
        run("ping -c 3 -i 0.01 -W 0.1 10.8.0.9 >/dev/null || true; ping -c 3 -i 0.01 127.0.0.1 >/dev/null || true");
        assert_eq!(diff(&before, &of(&Section::NETWORK)), Vec::<String>::new());
    });
}

/// A process that the test started, killed when dropped.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_stopped_process_is_seen() {
    let process = Started(Command::new("sleep").arg("60").spawn().unwrap());
    let pid = nix::unistd::Pid::from_raw(process.0.id().try_into().unwrap());
    let is_listed = || {
        let print = of(&[Section::Tasks]);
        print.sections().any(|(_, lines)| lines.iter().any(|line| line.starts_with(&format!("{pid} sleep since "))))
    };
    assert!(!is_listed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let stopped = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        is_listed()
    });
    assert!(stopped);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    let continued = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        !is_listed()
    });
    assert!(continued);
}

#[test]
fn scratch_folders_and_journal_records_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir_all(state.join("faults")).unwrap();
    let scope = FingerprintScope {
        folders: vec![folder.path().into()],
        state: Some(state.clone()),
        sections: vec![Section::Scratch],
        ..FingerprintScope::default()
    };
    let ours = |print: &Fingerprint| {
        let all = print.sections().flat_map(|(_, lines)| lines.to_vec());
        all.filter(|line| Path::new(line).starts_with(folder.path())).count()
    };
    assert_eq!(ours(&take(&scope)), 0);
    std::fs::create_dir(folder.path().join(".faultline-0123456789ab")).unwrap();
    std::fs::write(state.join("faults/0123456789ab.json"), "{}").unwrap();
    assert_eq!(ours(&take(&scope)), 2);
}

#[test]
fn a_mount_is_seen() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    // In a mount namespace of its own, so that this machine's mounts stay as they are.
    let script = "mount -t tmpfs faultline-test /mnt && cat /proc/self/mountinfo";
    let output = Command::new("unshare").args(["-m", "sh", "-c", script]).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let after: Vec<String> = lines.lines().map(mounts::line).collect();
    let before = mounts::read().unwrap();
    let added: Vec<_> = missing_from(&before, &after).filter(|line| line.contains("faultline-test")).collect();
    assert_eq!(added.len(), 1, "{added:?}");
    assert!(added[0].starts_with("/ /mnt rw"), "{added:?}");
}

#[test]
fn it_travels_as_json_and_names_what_cannot_be_read() {
    let print = of(&[Section::Clock, Section::Xtables]);
    let text = serde_json::to_string(&print).unwrap();
    assert_eq!(serde_json::from_str::<Fingerprint>(&text).unwrap(), print);
    let gone = NetworkNamespace::Path { path: "/run/netns/faultline-not-there".into(), inode: 1 };
    let scope =
        FingerprintScope { namespaces: vec![gone], sections: vec![Section::Links], ..FingerprintScope::default() };
    assert!(take(&scope).to_string().contains("unreadable: "), "{}", take(&scope));
}
