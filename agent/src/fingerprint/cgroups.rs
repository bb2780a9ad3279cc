use std::fs;
use std::path::{Path, PathBuf};

/// Values that faults set, with what they are where nobody set them.
const VALUES: [(&str, &[&str]); 12] = [
    ("cgroup.freeze", &["0"]),
    ("cpu.max", &["max 100000"]),
    ("cpu.weight", &["100"]),
    ("cpuset.cpus", &[""]),
    ("io.max", &[""]),
    ("memory.high", &["max"]),
    ("memory.max", &["max"]),
    ("memory.swap.max", &["max"]),
    ("pids.max", &["max"]),
    // Version 1.
    ("freezer.state", &["THAWED"]),
    ("cpu.cfs_quota_us", &["-1"]),
    ("memory.limit_in_bytes", &["9223372036854771712"]),
];

/// The values of all cgroups, of both versions, that somebody set; and every cgroup of Faultline's own.
pub(super) fn read() -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for mount in mounts()? {
        walk(&mount, &mut lines);
    }
    Ok(lines)
}

fn mounts() -> Result<Vec<PathBuf>, String> {
    let path = "/proc/self/mountinfo";
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let mount = |line: &str| {
        let (fields, rest) = line.split_once(" - ")?;
        let is_cgroup = matches!(rest.split(' ').next(), Some("cgroup" | "cgroup2"));
        is_cgroup.then(|| fields.split(' ').nth(4).map(PathBuf::from))?
    };
    Ok(text.lines().filter_map(mount).collect())
}

/// A cgroup may go while it is read: then it has nothing to tell.
fn walk(folder: &Path, lines: &mut Vec<String>) {
    if folder.file_name().is_some_and(|name| name.to_string_lossy().contains("faultline")) {
        lines.push(folder.display().to_string());
    }
    for (name, unset) in VALUES {
        let Ok(value) = fs::read_to_string(folder.join(name)) else { continue };
        let value = value.trim().replace('\n', "; ");
        if !unset.contains(&value.as_str()) {
            lines.push(format!("{}/{name} = {value}", folder.display()));
        }
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), lines);
        }
    }
}
