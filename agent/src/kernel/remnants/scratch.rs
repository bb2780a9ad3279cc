use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Error;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, FlockOperation, flock, fstat, statat};
use rustix::io::Errno;

use super::Remnant;
use crate::identity::FaultId;
use crate::kernel::anchor::open_any_folder;
use crate::kernel::inode_fill::{MARKER, is_ours, list, open_below};
use crate::kernel::{KernelError, Reverted, Room};
use crate::plan::step::{InodeFill, InodeGoal};

const PREFIX: &str = ".faultline-";

/// Kinds of file systems that are not looked into: those without files of ours, and those whose server may be gone, where
/// looking would hang. On a server, too, a run of another host may have made what is there.
const PASSED_OVER: [&str; 27] = [
    "9p",
    "afs",
    "autofs",
    "binfmt_misc",
    "bpf",
    "ceph",
    "cgroup",
    "cgroup2",
    "cifs",
    "configfs",
    "debugfs",
    "devpts",
    "fusectl",
    "gfs2",
    "glusterfs",
    "lustre",
    "mqueue",
    "nfs",
    "nfs4",
    "nsfs",
    "ocfs2",
    "proc",
    "pstore",
    "securityfs",
    "smb3",
    "sysfs",
    "tracefs",
];

/// What has the name of a scratch folder, each once however many mounts show it.
pub(super) fn find() -> Vec<Remnant> {
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mut folders: BTreeSet<PathBuf> = mounts.split(|byte| *byte == b'\n').filter_map(mount_point).collect();
    folders.extend(
        ["/tmp".into(), std::env::temp_dir()].into_iter().filter_map(|folder: PathBuf| folder.canonicalize().ok()),
    );
    let mut met = BTreeSet::new();
    let mut found = Vec::new();
    for folder in folders {
        // A folder that is not there, or may not be read, holds nothing that could be removed.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let fault = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<FaultId>().ok());
            let Some(fault) = fault else { continue };
            if entry.metadata().is_ok_and(|data| met.insert((data.dev(), data.ino()))) {
                found.push(Remnant::Scratch { folder: folder.clone(), fault });
            }
        }
    }
    found
}

/// The place of a mount, from its line, unless it is passed over.
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let end = fields.iter().position(|field| *field == b"-")?;
    let kind = std::str::from_utf8(fields.get(end + 1)?).ok()?;
    let is_passed_over = PASSED_OVER.contains(&kind) || kind.starts_with("fuse");
    let path = PathBuf::from(unescape(fields.get(4)?));
    (!is_passed_over && path.is_absolute()).then_some(path)
}

/// The kernel writes spaces, line feeds and backslashes of paths as a backslash and three octal digits.
fn unescape(field: &[u8]) -> OsString {
    let mut bytes = Vec::new();
    let mut rest = field;
    while let [first, behind @ ..] = rest {
        let octal = behind.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => (bytes.push(byte), rest = &behind[3..]),
            None => (bytes.push(*first), rest = behind),
        };
    }
    OsString::from_vec(bytes)
}

/// Removes a scratch folder of ours through the undo of a step that fills inodes.
pub(super) fn remove(folder: &Path, fault: &FaultId) -> Result<Reverted, KernelError> {
    let name = fault.scratch_name();
    let error =
        |call, error: Errno| KernelError::new(folder.join(&name).display().to_string(), call, Error::from(error));
    let Some(parent) = open_any_folder(folder)? else { return Ok(Reverted::Absent) };
    let scratch = match open_below(&parent, &name) {
        Ok(scratch) => scratch,
        Err(Errno::NOENT) => return Ok(Reverted::Absent),
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Reverted::Superseded("it is no folder".into())),
        Err(Errno::XDEV) => return Ok(Reverted::Superseded("a file system is mounted on it".into())),
        Err(refused) => return Err(error("openat2", refused)),
    };
    // A living worker holds it shared. The lock is on the folder itself: it counts for containers that share the disk.
    match flock(&scratch, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(Reverted::Superseded("a living process holds it".into())),
        Err(refused) => return Err(error("flock", refused)),
        Ok(()) => {}
    }
    if let Some(why) = why_not_ours(&scratch).map_err(|refused| error("getdents", refused))? {
        return Ok(Reverted::Superseded(why));
    }
    let device = fstat(&parent).map_err(|refused| error("fstat", refused))?.st_dev;
    InodeFill { folder: folder.to_owned(), device, file_system: None, scratch_name: name, goal: InodeGoal::Count(0) }
        .revert()
}

/// What shows that somebody else made this folder, or put something into it; nothing if it is ours in every detail.
fn why_not_ours(scratch: &OwnedFd) -> Result<Option<String>, Errno> {
    let owner = fstat(scratch)?.st_uid;
    if owner != rustix::process::geteuid().as_raw() {
        return Ok(Some(format!("it belongs to user {owner}")));
    }
    let names = list(scratch)?;
    if !names.iter().any(|name| name == MARKER) {
        return Ok(Some("it holds no marker of Faultline".into()));
    }
    for name in &names {
        if name == MARKER && is_empty_file(scratch, name) {
            continue;
        }
        let foreign = match open_below(scratch, name) {
            Ok(inner) if is_ours(name, 6) => {
                list(&inner)?.into_iter().find(|file| !is_ours(file, 8) || !is_empty_file(&inner, file))
            }
            _ => Some(String::new()),
        };
        if let Some(file) = foreign {
            let name = Path::new(name).join(file);
            return Ok(Some(format!("it holds {}, which Faultline did not make", name.display())));
        }
    }
    Ok(None)
}

fn is_empty_file(folder: &OwnedFd, name: &str) -> bool {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile && found.st_size == 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use super::*;
    use crate::kernel::Amend;

    fn filled(folder: &Path) -> (FaultId, InodeFill) {
        let fault = FaultId::from_number(0xabc);
        let device = fstat(fs::File::open(folder).unwrap()).unwrap().st_dev;
        let goal = InodeGoal::Count(12);
        (
            fault.clone(),
            InodeFill {
                folder: folder.to_owned(),
                device,
                file_system: None,
                scratch_name: fault.scratch_name(),
                goal,
            },
        )
    }

    /// A folder as a worker that died leaves it.
    fn orphan(folder: &Path) -> (FaultId, PathBuf) {
        let (fault, fill) = filled(folder);
        let amend: Arc<Amend<'static>> = Arc::new(|_| Ok(()));
        drop(fill.apply(amend).unwrap());
        let scratch = folder.join(fault.scratch_name());
        assert!(scratch.join("000000/00000000").exists());
        (fault, scratch)
    }

    #[test]
    fn what_a_dead_worker_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (fault, scratch) = orphan(folder.path());
        assert_eq!(remove(folder.path(), &fault).unwrap(), Reverted::Undone);
        assert!(!scratch.exists());
        assert_eq!(remove(folder.path(), &fault).unwrap(), Reverted::Absent);
    }

    #[test]
    fn what_a_living_worker_holds_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (fault, fill) = filled(folder.path());
        let amend: Arc<Amend<'static>> = Arc::new(|_| Ok(()));
        let hold = fill.apply(amend).unwrap();
        assert_eq!(remove(folder.path(), &fault).unwrap(), Reverted::Superseded("a living process holds it".into()));
        drop(hold);
        assert_eq!(remove(folder.path(), &fault).unwrap(), Reverted::Undone);
    }

    #[test]
    fn what_is_not_ours_in_every_detail_stays_as_it_is() {
        type Spoil = (&'static str, fn(&Path));
        let spoil: [Spoil; 7] = [
            ("no marker", |scratch| fs::remove_file(scratch.join(MARKER)).unwrap()),
            ("notes.txt", |scratch| fs::write(scratch.join("notes.txt"), "theirs").unwrap()),
            ("000000/00000003", |scratch| fs::write(scratch.join("000000/00000003"), "theirs").unwrap()),
            ("000000/00000004", |scratch| {
                fs::remove_file(scratch.join("000000/00000004")).unwrap();
                symlink("/etc", scratch.join("000000/00000004")).unwrap();
            }),
            ("000001", |scratch| symlink("/etc", scratch.join("000001")).unwrap()),
            (MARKER, |scratch| fs::write(scratch.join(MARKER), "theirs").unwrap()),
            ("no folder", |scratch| {
                fs::remove_dir_all(scratch).unwrap();
                symlink("/etc", scratch).unwrap();
            }),
        ];
        for (what, spoil) in spoil {
            let folder = tempfile::tempdir().unwrap();
            let (fault, scratch) = orphan(folder.path());
            spoil(&scratch);
            let count = || {
                fs::read_dir(&scratch).unwrap().count()
                    + fs::read_dir(scratch.join("000000")).map_or(0, Iterator::count)
            };
            let before = count();
            let Reverted::Superseded(why) = remove(folder.path(), &fault).unwrap() else { panic!("{what}: removed") };
            assert!(why.contains(what), "{what}: {why}");
            assert_eq!(count(), before, "{what}");
        }
    }

    #[test]
    fn somebody_else_s_folder_stays() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can give a folder away");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (fault, scratch) = orphan(folder.path());
        std::os::unix::fs::chown(&scratch, Some(65534), None).unwrap();
        assert!(matches!(remove(folder.path(), &fault).unwrap(), Reverted::Superseded(why) if why.contains("65534")));
        assert!(scratch.join("000000/00000000").exists());
    }

    #[test]
    fn mounts_are_read_with_their_escapes_and_servers_are_passed_over() {
        let line = |kind: &str| format!(r"36 35 98:0 / /mnt/with\040a\134 rw,noatime master:1 - {kind} /dev/x rw");
        assert_eq!(mount_point(line("ext4").as_bytes()), Some(PathBuf::from(r"/mnt/with a\")));
        for kind in ["nfs4", "fuse.sshfs", "proc"] {
            assert_eq!(mount_point(line(kind).as_bytes()), None, "{kind}");
        }
        assert_eq!(mount_point(b""), None);
    }
}
