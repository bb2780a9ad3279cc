use std::collections::BTreeSet;

use serde::Serialize;

use crate::fingerprint::{FingerprintScope, Section, take};
use crate::identity::{FaultId, TABLE_PREFIX};
use crate::journal::{Found, Journal};
use crate::kernel::netem::{FIRST_MAJOR, MAJORS};
use crate::plan::Step;
use crate::state::StateFolder;

/// Something that bears one of Faultline's names and that no record of this state folder explains: the folder was lost
/// or emptied by hand, or another one is in use on this host. It is shown and not touched, since in the second case its
/// fault is alive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// What it is, and where.
    pub what: String,
    /// The command with which a person can remove it.
    pub command: String,
}

/// Looks for orphans: tables and queueing disciplines in this process's network namespace, scratch files at the top of
/// every mount and in the temporary folder. Touches nothing.
pub fn orphans(state: &StateFolder) -> Vec<Orphan> {
    let journal = Journal::of(state);
    let is_recorded = |id: &FaultId| journal.path(id).exists();
    let handles = recorded_handles(&journal);
    let sections = vec![Section::Nftables, Section::Qdiscs, Section::Scratch];
    let fingerprint = take(&FingerprintScope { sections, ..FingerprintScope::default() });
    let mut found = BTreeSet::new();
    for (title, lines) in fingerprint.sections() {
        found.extend(lines.iter().filter_map(|line| {
            match title {
                "nftables" => table(line).filter(|id| !is_recorded(id)).map(|id| Orphan {
                    what: format!("nftables table inet {}", id.table_name()),
                    command: format!("nft delete table inet {}", id.table_name()),
                }),
                "qdiscs" => {
                    netem(line).filter(|(_, handle)| !handles.contains(handle)).map(|(interface, handle)| Orphan {
                        what: format!("netem {handle:x}: on {interface}"),
                        command: format!("tc qdisc del dev {interface} root"),
                    })
                }
                _ => scratch(line)
                    .filter(|id| !is_recorded(id))
                    .map(|_| Orphan { what: format!("scratch {line}"), command: format!("rm -rf '{line}'") }),
            }
        }));
    }
    found.into_iter().collect()
}

fn recorded_handles(journal: &Journal) -> BTreeSet<u16> {
    let found = journal.read_all().unwrap_or_default();
    let records = found.into_iter().filter_map(|found| match found {
        Found::Record(record) => Some(record.plan.steps),
        Found::Unreadable { .. } => None,
    });
    let handle = |step| match step {
        Step::Netem(netem) => Some(netem.handle),
        _ => None,
    };
    records.flatten().filter_map(handle).collect()
}

/// The fault whose table a line of the fingerprint is about.
fn table(line: &str) -> Option<FaultId> {
    let (_, rest) = line.split_once(TABLE_PREFIX)?;
    rest.get(..12)?.parse().ok()
}

/// The interface and the handle's major number, if a line of the fingerprint is about a netem of ours.
fn netem(line: &str) -> Option<(&str, u16)> {
    let (interface, _) = line.split_once(' ')?;
    let mut words = line.split_once(" qdisc ")?.1.split(' ');
    let handle = u32::from_str_radix(words.next()?, 16).ok()?;
    let major = u16::try_from(handle >> 16).ok()?;
    (words.next()? == "netem" && (FIRST_MAJOR..FIRST_MAJOR + MAJORS).contains(&major)).then_some((interface, major))
}

/// The fault whose scratch file or folder a path is.
fn scratch(path: &str) -> Option<FaultId> {
    path.rsplit_once("/.faultline-")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn lines_of_the_fingerprint_name_what_is_ours_and_nothing_else() {
        let id = FaultId::from_number(0xabc);
        assert_eq!(table("table family inet name=\"faultline_000000000abc\""), Some(id.clone()));
        assert_eq!(table("table family inet name=\"faultline_mine\""), None);
        assert_eq!(scratch("/mnt/.faultline-000000000abc"), Some(id));
        assert_eq!(scratch("/mnt/.faultline-1234-notes"), None);
        let line = format!("eth0 parent ffffffff qdisc {:04x}0000 netem delay", FIRST_MAJOR + 1);
        assert_eq!(netem(&line), Some(("eth0", FIRST_MAJOR + 1)));
        assert_eq!(netem("eth0 parent ffffffff qdisc 80010000 netem delay"), None);
        assert_eq!(netem(&line.replace("netem", "prio")), None);
    }

    #[test]
    fn a_table_without_a_record_is_shown_and_stays() {
        if let Err(error) = crate::kernel::namespace::enter_private() {
            println!("skipped: {error}");
            return;
        }
        let nft = |arguments: &str| Command::new("nft").args(arguments.split(' ')).output();
        match nft("add table inet faultline_000000000abc") {
            Ok(output) if output.status.success() => {}
            other => {
                println!("skipped: nft cannot make a table here: {other:?}");
                return;
            }
        }
        let scratch = tempfile::tempdir().unwrap();
        let state = StateFolder::resolve(Some(&scratch.path().join("state"))).unwrap();
        let tables = || -> Vec<Orphan> {
            orphans(&state).into_iter().filter(|orphan| orphan.what.starts_with("nftables")).collect()
        };
        let found = tables();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].command, "nft delete table inet faultline_000000000abc");
        assert!(nft("list table inet faultline_000000000abc").unwrap().status.success());
        // With its record it is no orphan, even if the record cannot be read.
        std::fs::write(state.faults().join("000000000abc.json"), "?").unwrap();
        assert_eq!(tables(), []);
    }
}
