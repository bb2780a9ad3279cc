//! Who descends from whom, by `/proc/PID/stat`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use faultline_agent::identity::ProcessIdentity;

/// A line of the process table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) identity: ProcessIdentity,
    pub(super) parent: i32,
    /// Dead, only waiting to be looked at by its parent.
    pub(super) zombie: bool,
}

/// Reads one process.
///
/// # Errors
/// If it is gone.
pub(super) fn read(pid: i32) -> io::Result<Process> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse(pid, &text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat: {text}")))
}

/// Whether a process is on its way out: it has let go of its memory (and with it of its program), though it is no zombie
/// yet (`do_exit` in kernel/exit.c: `exit_mm` comes before `exit_files`, `exit_notify` last).
pub(super) fn is_ending(pid: i32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The name stands in parentheses and may hold anything, so fields are counted from the last `)`.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let state = *fields.first()?;
    Some(Process {
        identity: ProcessIdentity { pid, start_time: fields.get(19)?.parse().ok()? },
        parent: fields.get(1)?.parse().ok()?,
        zombie: state == "Z" || state == "X",
    })
}

/// All living descendants of a process, nearest first, itself not among them.
pub(super) fn descendants(of: i32) -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            && let Ok(process) = read(pid)
        {
            children.entry(process.parent).or_default().push(process);
        }
    }
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([of]);
    let mut level = vec![of];
    while !level.is_empty() {
        let mut next: Vec<Process> = level.iter().filter_map(|pid| children.remove(pid)).flatten().collect();
        next.retain(|process| seen.insert(process.identity.pid));
        next.sort_by_key(|process| process.identity.start_time);
        level = next.iter().map(|process| process.identity.pid).collect();
        found.extend(next.into_iter().filter(|process| !process.zombie));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "42 (a) S 9) Z 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 0 0";
        let process = parse(42, stat).unwrap();
        assert_eq!(process.identity, ProcessIdentity { pid: 42, start_time: 123_456 });
        assert_eq!((process.parent, process.zombie), (7, true));
    }

    #[test]
    fn a_child_and_its_child_are_descendants_and_a_stranger_is_not() {
        let mut child = std::process::Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let child_pid = i32::try_from(child.id()).unwrap();
        let mut found = Vec::new();
        for _ in 0..200 {
            found = descendants(child_pid);
            if !found.is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].parent, child_pid);
        assert!(descendants(own).iter().any(|process| process.identity == found[0].identity));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(found[0].identity.pid), nix::sys::signal::SIGKILL).unwrap();
        child.wait().unwrap();
        assert!(!found[0].identity.is_alive());
    }
}
