use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::FingerprintScope;

const PREFIX: &str = ".faultline-";
/// File systems in which no fault leaves a file.
const WITHOUT_FILES: [&str; 16] = [
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "devpts",
    "mqueue",
    "bpf",
    "debugfs",
    "tracefs",
    "securityfs",
    "pstore",
    "configfs",
    "fusectl",
    "nsfs",
    "binfmt_misc",
    "autofs",
];

/// Scratch files and folders at the top of every mount and in the folders of the scope, and the records of the journal.
pub(super) fn read(scope: &FingerprintScope) -> Result<Vec<String>, String> {
    let mut folders: BTreeSet<PathBuf> = scope.folders.iter().cloned().collect();
    folders.insert("/tmp".into());
    folders.extend(mount_points()?);
    let mut lines = Vec::new();
    for folder in &folders {
        lines.extend(names(folder, |name| name.starts_with(PREFIX)));
    }
    if let Some(state) = &scope.state {
        lines.extend(names(&state.join("faults"), |name| !name.starts_with('.')));
    }
    Ok(lines)
}

/// A folder that is not there, or may not be read, holds nothing of ours.
fn names(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| wanted(&entry.file_name().to_string_lossy()));
    ours.map(|entry| entry.path().display().to_string()).collect()
}

fn mount_points() -> Result<Vec<PathBuf>, String> {
    let path = "/proc/self/mountinfo";
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let point = |line: &str| {
        let (fields, rest) = line.split_once(" - ")?;
        let kind = rest.split(' ').next()?;
        (!WITHOUT_FILES.contains(&kind)).then(|| fields.split(' ').nth(4).map(PathBuf::from))?
    };
    Ok(text.lines().filter_map(point).collect())
}
