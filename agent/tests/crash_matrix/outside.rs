//! The host as tools that are not ours see it from within the case's namespace, without counters.

use std::path::Path;
use std::process::Command;

/// What a fault could have changed: rules, queueing disciplines, links, space, inodes, files, the state of processes.
pub fn look(disk: &Path, victims: &[u32]) -> String {
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
    let counted = nix::sys::statvfs::statvfs(disk).unwrap();
    seen.push_str(&format!("[space]\n{} blocks, {} inodes free\n", counted.blocks_free(), counted.files_free()));
    let mut files: Vec<String> =
        std::fs::read_dir(disk).unwrap().map(|entry| format!("{:?}", entry.unwrap().file_name())).collect();
    files.sort();
    seen.push_str(&format!("[files]\n{}\n", files.join("\n")));
    seen.push_str("[processes]\n");
    for (index, pid) in victims.iter().enumerate() {
        // A process that is gone was killed, which is the one thing that cannot be undone.
        if let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            let state = stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next());
            if let Some(stopped @ ('T' | 't')) = state {
                seen.push_str(&format!("victim {index} is {stopped}\n"));
            }
        }
    }
    seen
}
