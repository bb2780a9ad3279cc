//! Who holds a file that has no name any more.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The number of a process that has the file open; nothing if nobody has, as far as may be seen.
pub(super) fn holder_of(device: u64, inode: u64) -> Option<i32> {
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|pid: &i32| holds(Path::new(&format!("/proc/{pid}/fd")), device, inode))
}

fn holds(descriptors: &Path, device: u64, inode: u64) -> bool {
    let Ok(descriptors) = std::fs::read_dir(descriptors) else { return false };
    descriptors.flatten().map(|entry| entry.path()).any(|path| {
        // Only files that were deleted are looked at: a look at one on a dead network mount could hang.
        let deleted = std::fs::read_link(&path).is_ok_and(|link| link.to_string_lossy().ends_with(" (deleted)"));
        deleted && path.metadata().is_ok_and(|found| found.dev() == device && found.ino() == inode)
    })
}

/// Waits until nobody has it open; tells who still has it when the time is over.
pub(super) fn wait_until_released(device: u64, inode: u64, at_most: Duration) -> Option<i32> {
    let begun = Instant::now();
    loop {
        let holder = holder_of(device, inode)?;
        if begun.elapsed() > at_most {
            return Some(holder);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
