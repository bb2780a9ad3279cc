//! The host as tools that are not ours see it from within the case's namespace, without counters.

use std::path::Path;
use std::process::Command;

/// What a fault could have changed of the network: rules, queueing disciplines, links.
pub fn network() -> String {
    let mut seen = String::new();
    for (program, arguments) in [
        ("nft", ["list", "ruleset", ""]),
        ("tc", ["qdisc", "show", ""]),
        ("ip", ["-oneline", "link", "show"]),
        ("iptables-save", ["", "", ""]),
    ] {
        let output = Command::new(program).args(arguments.iter().filter(|argument| !argument.is_empty())).output();
        let text = output.map(|output| output.stdout).unwrap_or_else(|error| error.to_string().into_bytes());
        let text = String::from_utf8_lossy(&text);
        // Whether a link has its carrier settles a second after it was set up.
        let settled = |line: &str| {
            let words = line
                .split(' ')
                .filter(|word| !word.starts_with('<') && !["UP", "DOWN", "UNKNOWN", "LOWERLAYERDOWN"].contains(word));
            words.collect::<Vec<_>>().join(" ")
        };
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(settled);
        seen.push_str(&format!("[{program}]\n{}\n", lines.collect::<Vec<_>>().join("\n")));
    }
    seen
}

/// What a fault could have changed of a disk: space, inodes, files.
pub fn disk(disk: &Path) -> String {
    let counted = nix::sys::statvfs::statvfs(disk).unwrap();
    let files = names(disk).join("\n");
    format!("[space]\n{} blocks, {} inodes free\n[files]\n{files}\n", counted.blocks_free(), counted.files_free())
}

/// What a fault could have changed of processes: which of them stand still.
pub fn processes(victims: &[u32], cgroup: Option<&Path>) -> String {
    let mut seen = String::from("[processes]\n");
    for (index, pid) in victims.iter().enumerate() {
        // A process that is gone was killed, which is the one thing that cannot be undone.
        if let Some(stopped @ ('T' | 't')) = state(*pid) {
            seen.push_str(&format!("victim {index} is {stopped}\n"));
        }
    }
    if let Some(cgroup) = cgroup {
        let frozen = std::fs::read_to_string(cgroup.join("cgroup.freeze")).unwrap();
        seen.push_str(&format!("cgroup.freeze is {frozen}"));
    }
    seen
}

/// The state of a process, as `/proc` names it; nothing if it is gone.
pub fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim().chars().next()
}

/// The journal's files besides its reserve.
pub fn journal(state: &Path) -> Vec<String> {
    let mut names = names(&state.join("faults"));
    names.retain(|name| name != ".reserve");
    names
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
