use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

use super::Order;
use crate::identity::ProcessIdentity;
use crate::state::StateFolder;

/// The pid namespace in which the kernel booted (`PROC_PID_INIT_INO` of `include/linux/proc_ns.h`).
const FIRST_PID_NAMESPACE: u64 = 0xeffffffc;

/// A guard that is alive somewhere on this host: whoever injects has one, and it names the state folder.
///
/// This is how the runs of a host are found, from any terminal and whatever state folder they use: by the list of
/// processes, and not by a register of our own. A register can be lost, be out of date after a crash, be closed to a
/// run in a user namespace and out of sight of one in a container; the kernel's list is none of that. No fault is in
/// place without a guard (the engine starts it first, and undoes everything when it dies), and the arguments of a
/// process are there for everybody to read unless `/proc` hides them.
///
/// A process that only says that it is a guard gains nothing: its folder is looked into when it belongs to the user of
/// that process, and nothing recorded there is carried out on its word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LivingGuard {
    /// The guard, as seen from here.
    pub guard: ProcessIdentity,
    /// Its number within its own pid namespace, under which the journal knows it.
    pub number_inside: i32,
    /// Whether that is its number here too, as are those in the records of its folder.
    pub shares_numbers: bool,
    /// The worker, as seen from here; none if it is gone.
    pub worker: Option<ProcessIdentity>,
    /// The number of the user whose process it is, as seen from here.
    pub user: u32,
    /// The state folder, as the guard sees it.
    pub state: PathBuf,
}

/// The state folder of a living guard, held open.
#[derive(Debug)]
pub struct FolderInUse {
    folder: OwnedFd,
    /// The device and inode of the folder: the same for everybody who uses it, under whatever path.
    pub key: FolderKey,
    /// The number of its owner, as seen from here.
    pub owner: u32,
}

/// A folder by its device and inode number.
pub type FolderKey = (u64, u64);

/// The key of the folder that has this path here.
pub(crate) fn key_of(path: &Path) -> io::Result<FolderKey> {
    fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Every guard that is alive and not hidden from this process, by process number.
///
/// # Errors
/// If `/proc` cannot be listed.
pub fn living() -> io::Result<Vec<LivingGuard>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        // One that ended meanwhile, or that `/proc` hides, is none that can be told of.
        found.extend(name.to_str().and_then(|name| name.parse().ok()).and_then(look_at));
    }
    found.sort();
    Ok(found)
}

/// Which processes of this host cannot be seen from here, in words; none if all can.
pub fn unseen() -> Option<&'static str> {
    let is_first = fs::metadata("/proc/self/ns/pid").is_ok_and(|namespace| namespace.ino() == FIRST_PID_NAMESPACE);
    if !is_first {
        return Some("processes outside this container (pid namespace)");
    }
    fs::read("/proc/1/cmdline").is_err().then_some("processes of other users, which /proc hides here (`hidepid`)")
}

fn look_at(pid: i32) -> Option<LivingGuard> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = line.strip_suffix(&[0]).unwrap_or(&line);
    let arguments: Vec<OsString> =
        line.split(|byte| *byte == 0).skip(1).map(|word| OsStr::from_bytes(word).to_owned()).collect();
    let order = Order::read(&arguments)?;
    let guard = ProcessIdentity::of(pid).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let user = number_in(&status, "Uid:")?;
    let number_inside = last_number_in(&status, "NSpid:").unwrap_or(pid);
    let shares_numbers = words(&status, "NSpid:").count() <= 1;
    // The worker is its parent, until it dies: then the guard is given to another.
    let parent: i32 = number_in(&status, "PPid:")?;
    let of_parent = fs::read_to_string(format!("/proc/{parent}/status")).unwrap_or_default();
    let is_worker = last_number_in(&of_parent, "NSpid:") == Some(order.worker.pid);
    let worker = is_worker.then(|| ProcessIdentity::of(parent).ok()).flatten();
    let found = LivingGuard { guard, number_inside, shares_numbers, worker, user, state: order.state };
    found.guard.is_alive().then_some(found)
}

fn words<'a>(status: &'a str, field: &str) -> impl Iterator<Item = &'a str> {
    status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default().split_ascii_whitespace()
}

fn number_in<N: std::str::FromStr>(status: &str, field: &str) -> Option<N> {
    words(status, field).next()?.parse().ok()
}

fn last_number_in(status: &str, field: &str) -> Option<i32> {
    words(status, field).last()?.parse().ok()
}

impl LivingGuard {
    /// Opens its state folder, through its own view of the file system: in a container that is another one than ours.
    ///
    /// # Errors
    /// If this process may not look into the guard's file system, the guard has ended, or the folder belongs to
    /// somebody else than the guard's user and so cannot be what it says.
    pub fn open(&self) -> io::Result<FolderInUse> {
        let root = self.root()?;
        // Its path has no links in it, since the engine resolved them; in a foreign folder none is followed.
        let stay = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        let folder =
            openat2(&root, &self.state, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), stay)?;
        let found = fstat(&folder)?;
        if !self.guard.is_alive() {
            return Err(io::ErrorKind::NotFound.into());
        }
        if found.st_uid != self.user {
            return Err(io::Error::other(format!(
                "its folder {} belongs to user {}, not to that process's",
                self.state.display(),
                found.st_uid
            )));
        }
        Ok(FolderInUse { key: (found.st_dev, found.st_ino), owner: found.st_uid, folder })
    }

    /// Whether a file of ours, with that device and inode, is under the same path for this guard's worker.
    pub(crate) fn sees(&self, path: &Path, key: FolderKey) -> bool {
        let look = || -> io::Result<bool> {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let found = fstat(openat2(self.root()?, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?)?;
            Ok((found.st_dev, found.st_ino) == key)
        };
        look().unwrap_or(false)
    }

    /// The inode number of its mount namespace, by which a container's file system is found again.
    pub(crate) fn mount_namespace(&self) -> io::Result<u64> {
        Ok(fs::metadata(format!("/proc/{}/ns/mnt", self.guard.pid))?.ino())
    }

    /// Whether its worker, or it itself, is alive.
    pub fn is_alive(&self) -> bool {
        self.guard.is_alive() || self.worker.is_some_and(|worker| worker.is_alive())
    }

    /// Whether this is the guard that a record names: process numbers there are those within its own namespace.
    pub(crate) fn is(&self, recorded: ProcessIdentity) -> bool {
        (self.number_inside, self.guard.start_time) == (recorded.pid, recorded.start_time)
    }

    /// The number of the process that a person should look for.
    pub fn process(&self) -> i32 {
        self.worker.unwrap_or(self.guard).pid
    }

    fn root(&self) -> io::Result<OwnedFd> {
        root_of(self.guard.pid)
    }
}

/// The file system as a process sees it.
pub(crate) fn root_of(pid: i32) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, format!("/proc/{pid}/root"), flags, Mode::empty())?)
}

impl FolderInUse {
    /// The folder as one of ours, to be read: valid as long as this is held.
    pub fn state(&self) -> StateFolder {
        StateFolder::held_open(self.folder.as_raw_fd())
    }

    /// The folder itself.
    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::guard::order::WORD;

    /// A process with a guard's arguments, which does nothing; ended with the test.
    struct Pretender(Child);

    impl Pretender {
        fn start(scratch: &Path, state: &Path) -> Self {
            fs::write(scratch.join(WORD), "read nothing").unwrap();
            let order = Order { worker: ProcessIdentity::own().unwrap(), state: state.to_owned() };
            let mut command = Command::new("sh");
            command.arg(WORD).args(order.arguments()).current_dir(scratch).stdin(Stdio::piped());
            let process = Self(command.spawn().unwrap());
            // The kernel shows the new arguments a moment after the program was started.
            while process.seen().is_none() {
                std::thread::yield_now();
            }
            process
        }

        /// How others see it.
        fn seen(&self) -> Option<LivingGuard> {
            let pid = i32::try_from(self.0.id()).unwrap();
            living().unwrap().into_iter().find(|living| living.guard.pid == pid)
        }
    }

    impl Drop for Pretender {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_guard_is_found_by_its_arguments_and_no_longer_when_it_is_dead() {
        let scratch = tempfile::tempdir().unwrap();
        let state = StateFolder::resolve(Some(&scratch.path().join("s"))).unwrap();
        let guard = Pretender::start(scratch.path(), state.path());
        let seen = guard.seen().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!((seen.worker, seen.process()), (ProcessIdentity::own().ok(), own));
        assert!(seen.shares_numbers && seen.state == state.path());
        assert_eq!(seen.user, rustix::process::geteuid().as_raw());
        assert!(seen.is(seen.guard));
        let folder = seen.open().unwrap();
        let there = fstat(folder.descriptor()).unwrap();
        assert_eq!(folder.key, (there.st_dev, there.st_ino));
        assert_eq!(fs::read_dir(folder.state().faults()).unwrap().count(), 0);
        drop(guard);
        assert!(!seen.guard.is_alive() && seen.open().is_err());
        assert!(living().unwrap().iter().all(|living| living.guard != seen.guard));
    }

    #[test]
    fn a_folder_of_somebody_else_is_not_opened_on_a_process_s_word() {
        let scratch = tempfile::tempdir().unwrap();
        // That of another user, or, for a user who is not root, root's.
        let theirs = if rustix::process::geteuid().is_root() { scratch.path().join("theirs") } else { "/usr".into() };
        if rustix::process::geteuid().is_root() {
            fs::create_dir(&theirs).unwrap();
            std::os::unix::fs::chown(&theirs, Some(65534), None).unwrap();
        }
        let liar = Pretender::start(scratch.path(), &theirs);
        let error = liar.seen().unwrap().open().unwrap_err();
        assert!(error.to_string().contains("belongs to user"), "{error}");
        let link = scratch.path().join("link");
        std::os::unix::fs::symlink(scratch.path(), &link).unwrap();
        let liar = Pretender::start(scratch.path(), &link);
        assert!(liar.seen().unwrap().open().is_err(), "no link is followed");
    }
}
