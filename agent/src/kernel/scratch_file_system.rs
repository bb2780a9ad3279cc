//! File systems that a test makes for itself, in files, mounted where nobody else sees them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a forked child may take to become its program on a busy host.
const FORKED: Duration = Duration::from_secs(5);

/// A file system of a test's own, taken down with it.
#[derive(Debug)]
pub(super) struct ScratchFileSystem {
    scratch: tempfile::TempDir,
    mounts: Vec<PathBuf>,
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

impl ScratchFileSystem {
    /// One of a kind (`ext4`, `ext2`, `xfs`, `btrfs`, `tmpfs`, `overlay` over ext4) of so many MiB. `None`, with the
    /// reason printed, where it cannot be made. The mount is private to this thread and those that it starts.
    pub(super) fn make(kind: &str, mebibytes: u64) -> Option<Self> {
        match Self::try_make(kind, mebibytes) {
            Ok(made) => Some(made),
            Err(reason) => {
                println!("skipped: no scratch {kind}: {}", reason.trim());
                None
            }
        }
    }

    fn try_make(kind: &str, mebibytes: u64) -> Result<Self, String> {
        // Private, so that even a test that is killed leaves no mount behind.
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).map_err(|error| format!("unshare: {error}"))?;
        let private = rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).map_err(|error| format!("mount --make-rprivate /: {error}"))?;
        let scratch =
            tempfile::Builder::new().prefix("faultline-test-").tempdir().map_err(|error| error.to_string())?;
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(scratch.path(), open).map_err(|error| error.to_string())?;
        let mut made = Self { scratch, mounts: Vec::new() };
        match kind {
            "tmpfs" => {
                made.mount("fs", &["-t", "tmpfs", "-o", &format!("size={mebibytes}M,nr_inodes=5000"), "none"])?;
            }
            "overlay" => {
                made.mount_image("ext4", mebibytes)?;
                let lower = made.path();
                for folder in ["lower", "upper", "work"] {
                    std::fs::create_dir(lower.join(folder)).map_err(|error| error.to_string())?;
                }
                let at = |folder: &str| lower.join(folder).display().to_string();
                let options = format!("lowerdir={},upperdir={},workdir={}", at("lower"), at("upper"), at("work"));
                made.mount("merged", &["-t", "overlay", "-o", &options, "none"])?;
            }
            kind => made.mount_image(kind, mebibytes)?,
        }
        Ok(made)
    }

    fn mount_image(&mut self, kind: &str, mebibytes: u64) -> Result<(), String> {
        let image = self.scratch.path().join("image");
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(mebibytes << 20).map_err(|error| error.to_string())?;
        let image = image.display().to_string();
        run(&format!("mkfs.{kind}"), &["-q", &image])?;
        self.mount("fs", &["-o", "loop", "-t", kind, &image])
    }

    fn mount(&mut self, name: &str, arguments: &[&str]) -> Result<(), String> {
        let point = self.scratch.path().join(name);
        std::fs::create_dir(&point).map_err(|error| error.to_string())?;
        let shown = point.display().to_string();
        run("mount", &[arguments, &[&shown]].concat())?;
        self.mounts.push(point);
        Ok(())
    }

    /// Where it is mounted.
    pub(super) fn path(&self) -> PathBuf {
        self.mounts.last().cloned().unwrap_or_else(|| self.scratch.path().to_path_buf())
    }

    /// Waits until it looks like this again. What was removed or let go comes back with the last descriptor on it, and a child
    /// that another test has forked holds a copy of each until it has become its program.
    pub(super) fn is_again<T: PartialEq + std::fmt::Debug>(&self, before: &T, look: impl Fn() -> T) {
        let begun = Instant::now();
        loop {
            let now = look();
            if now == *before {
                return;
            }
            assert!(begun.elapsed() < FORKED, "{} is {now:?}, and was {before:?}", self.path().display());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The device number of its files.
    pub(super) fn device(&self) -> u64 {
        std::os::unix::fs::MetadataExt::dev(&Path::new(&self.path()).metadata().unwrap())
    }
}

impl Drop for ScratchFileSystem {
    fn drop(&mut self) {
        for point in self.mounts.iter().rev() {
            let begun = Instant::now();
            let mut taken_down = run("umount", &[&point.display().to_string()]);
            while taken_down.is_err() && begun.elapsed() < FORKED {
                std::thread::sleep(Duration::from_millis(10));
                taken_down = run("umount", &[&point.display().to_string()]);
            }
            if !std::thread::panicking() {
                assert_eq!(taken_down, Ok(()), "something still holds {}", point.display());
            }
        }
    }
}
