//! Network namespaces: working inside one, making a private one, and telling which one a thread is in.
//!
//! A namespace is known by the inode number of its file (`/proc/PID/ns/net`), since paths come and go with processes.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sched::{CloneFlags, setns, unshare};

use super::KernelError;
use super::raw_netlink::{ROUTE, RawNetlink, Request};
use crate::identity::NetworkNamespace;

const RTM_NEWLINK: u16 = 16;
/// Loopback is the first interface of every namespace (`LOOPBACK_IFINDEX`).
const LOOPBACK_INDEX: i32 = 1;

/// Does some work inside a network namespace.
///
/// The work runs on this thread if it is there already, else on a thread of its own that enters the namespace and ends
/// with the work. A namespace whose path leads elsewhere by now is looked for by its inode number among the
/// namespaces of all processes.
///
/// # Errors
/// If the namespace cannot be entered; [`KernelError::is_gone`] tells that it does not exist any more, and then
/// everything that was inside went with it.
pub fn within<R: Send>(namespace: &NetworkNamespace, work: impl FnOnce() -> R + Send) -> Result<R, KernelError> {
    let NetworkNamespace::Path { path, inode } = namespace else { return Ok(work()) };
    if inode_of_this_thread()? == *inode {
        return Ok(work());
    }
    let file = open(path, *inode)?;
    let object = namespace.to_string();
    std::thread::scope(|scope| {
        let inside = std::thread::Builder::new().name("in-namespace".into()).spawn_scoped(scope, move || {
            setns(&file, CloneFlags::CLONE_NEWNET).map_err(|error| {
                KernelError::new(object, "setns", error)
                    .hint("entering a network namespace needs CAP_SYS_ADMIN over it: run as root")
            })?;
            Ok(work())
        });
        let thread = inside.map_err(|error| KernelError::new(namespace.to_string(), "clone", error))?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Moves this thread, and all threads and processes that it starts from now on, into a new network namespace in which
/// loopback is up and nothing else exists.
///
/// The namespace lives as long as a process or an open file of it.
///
/// # Errors
/// If the kernel refuses: it needs CAP_SYS_ADMIN, which an ordinary user has inside a user namespace of their own.
pub fn enter_private() -> Result<NetworkNamespace, KernelError> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| {
        KernelError::new("a private network namespace", "unshare(CLONE_NEWNET)", error)
            .hint("run as root, or where the kernel lets ordinary users make user namespaces")
    })?;
    raise_loopback()?;
    let path = PathBuf::from(format!("/proc/{}/task/{}/ns/net", std::process::id(), nix::unistd::gettid()));
    Ok(NetworkNamespace::Path { path, inode: inode_of_this_thread()? })
}

/// The inode number of the network namespace in which this thread is.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn inode_of_this_thread() -> Result<u64, KernelError> {
    inode_of(Path::new("/proc/thread-self/ns/net"))
}

/// The inode number of the network namespace to which a path leads.
///
/// # Errors
/// If the path is not there or may not be looked at.
pub fn inode_of(path: &Path) -> Result<u64, KernelError> {
    let data = fs::metadata(path).map_err(|error| KernelError::new(path.display().to_string(), "stat", error))?;
    Ok(data.ino())
}

/// The names of the interfaces of a namespace, in the order of their index.
///
/// # Errors
/// If the namespace cannot be entered, or its interfaces cannot be listed.
pub fn interfaces(namespace: &NetworkNamespace) -> Result<Vec<String>, KernelError> {
    let names = || -> nix::Result<Vec<String>> {
        let listed = nix::net::if_::if_nameindex()?;
        Ok(listed.iter().map(|interface| interface.name().to_string_lossy().into_owned()).collect())
    };
    within(namespace, names)?.map_err(|error| KernelError::new(namespace.to_string(), "if_nameindex", error))
}

fn raise_loopback() -> Result<(), KernelError> {
    const UP: u32 = libc::IFF_UP as u32;
    let mut header = [0u8; 16];
    header[4..8].copy_from_slice(&LOOPBACK_INDEX.to_ne_bytes());
    header[8..12].copy_from_slice(&UP.to_ne_bytes());
    header[12..16].copy_from_slice(&UP.to_ne_bytes());
    let mut route =
        RawNetlink::open(ROUTE).map_err(|error| KernelError::new("interface lo", "socket(NETLINK_ROUTE)", error))?;
    route
        .request(&Request { kind: RTM_NEWLINK, flags: 0, payload: header.to_vec() })
        .map_err(|refusal| KernelError::new("interface lo", "RTM_NEWLINK", refusal))
}

fn open(path: &Path, inode: u64) -> Result<File, KernelError> {
    if let Some(file) = open_if_same(path, inode) {
        return Ok(file);
    }
    let processes = fs::read_dir("/proc").map_err(|error| KernelError::new("/proc", "readdir", error))?;
    let numbers = processes.flatten().filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    for process in numbers {
        if let Some(file) = open_if_same(&process.path().join("ns/net"), inode) {
            return Ok(file);
        }
        // Threads of one process may be in different namespaces, as those of private runs are.
        let threads = fs::read_dir(process.path().join("task")).into_iter().flatten().flatten();
        if let Some(file) = threads.filter_map(|task| open_if_same(&task.path().join("ns/net"), inode)).next() {
            return Ok(file);
        }
    }
    let missing = io::Error::new(io::ErrorKind::NotFound, format!("no process is in namespace {inode} any more"));
    Err(KernelError::new(format!("network namespace {}", path.display()), "open", missing).gone())
}

fn open_if_same(path: &Path, inode: u64) -> Option<File> {
    let file = File::open(path).ok()?;
    (file.metadata().ok()?.ino() == inode).then_some(file)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Runs a test on a thread of its own, since it changes the thread's namespace.
    fn alone(test: impl FnOnce() + Send + 'static) {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: network namespaces need root");
            return;
        }
        std::thread::spawn(test).join().unwrap();
    }

    #[test]
    fn a_private_namespace_is_another_one_with_loopback_up() {
        alone(|| {
            let before = inode_of_this_thread().unwrap();
            let namespace = enter_private().unwrap();
            let NetworkNamespace::Path { inode, .. } = &namespace else { panic!("{namespace:?}") };
            assert_ne!(before, *inode);
            assert_eq!(inode_of_this_thread().unwrap(), *inode);
            let listener = TcpListener::bind("[::1]:0").unwrap();
            TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            assert_eq!(interfaces(&namespace).unwrap()[0], "lo");
            assert_eq!(std::thread::spawn(|| inode_of_this_thread().unwrap()).join().unwrap(), *inode);
        });
    }

    #[test]
    fn work_runs_inside_and_the_caller_stays_outside() {
        alone(|| {
            let (send, receive) = std::sync::mpsc::channel();
            let (end, wait) = std::sync::mpsc::channel::<()>();
            let holder = std::thread::spawn(move || {
                send.send(enter_private().unwrap()).unwrap();
                wait.recv().unwrap();
            });
            let namespace = receive.recv().unwrap();
            let NetworkNamespace::Path { inode, .. } = namespace.clone() else { panic!() };
            let before = inode_of_this_thread().unwrap();
            assert_eq!(within(&namespace, || inode_of_this_thread().unwrap()).unwrap(), inode);
            let moved = NetworkNamespace::Path { path: "/proc/1/ns/net".into(), inode };
            assert_eq!(within(&moved, || inode_of_this_thread().unwrap()).unwrap(), inode, "found by its inode");
            assert_eq!(inode_of_this_thread().unwrap(), before);
            end.send(()).unwrap();
            holder.join().unwrap();
            let gone = within(&namespace, || ()).unwrap_err();
            assert!(gone.is_gone(), "{gone}");
        });
    }
}
