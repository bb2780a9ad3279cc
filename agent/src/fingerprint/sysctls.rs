use std::fs;
use std::path::Path;

/// Values that the kernel counts or draws by itself, and files that do something when read.
const PASSING: [&str; 6] =
    ["nf_conntrack_count", "stat_refresh", "compact_memory", "drop_caches", "tcp_fastopen_key", "stable_secret"];

/// The kernel parameters below a folder of `/proc/sys`; those below `net` are those of this thread's namespace. `vm`
/// comes with `net`, so that one section holds both.
pub(super) fn read(folder: &str) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for folder in [folder, "vm"] {
        walk(&Path::new("/proc/sys").join(folder), &mut lines)
            .map_err(|error| format!("/proc/sys/{folder}: {error}"))?;
    }
    Ok(lines)
}

fn walk(folder: &Path, lines: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            // An interface may go while its folder is read.
            match walk(&path, lines) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => continue,
            }
        }
        if PASSING.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        // Some can be written only, some not be read by an ordinary user.
        if let Ok(value) = fs::read_to_string(&path) {
            let name = path.strip_prefix("/proc/sys").unwrap_or(&path).display().to_string();
            lines.push(format!("{name} = {}", value.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    Ok(())
}
