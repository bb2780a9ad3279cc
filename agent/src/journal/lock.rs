use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

/// The right to change one fault and its record: whoever applies, amends or undoes holds it. It ends with its holder,
/// however that dies.
#[derive(Debug)]
pub(crate) struct FaultLock {
    path: PathBuf,
    file: File,
}

impl FaultLock {
    /// Waits at most that long for the lock; `None` if somebody else still has it then.
    pub(super) fn take(path: &Path, patience: Duration) -> io::Result<Option<Self>> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // The holder before us may have removed the file while we waited for it: a lock on a file that nobody
                // else can open locks nothing.
                Ok(()) if is_at(&file, path)? => return Ok(Some(Self { path: path.to_owned(), file })),
                Ok(()) => continue,
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(error) => return Err(error.into()),
            }
            if began.elapsed() >= patience {
                return Ok(None);
            }
            std::thread::sleep(pause.min(patience.saturating_sub(began.elapsed())));
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Gives the lock back and removes its file, since the fault is no more.
    pub(crate) fn remove(self) {
        // A lock file that stays is of no harm; the next sweep removes it.
        let _ = std::fs::remove_file(&self.path);
        drop(self.file);
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok(there.ino() == ours.ino() && there.dev() == ours.dev()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
