use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// The right to change the tree of one interface, held by one process at a time.
///
/// Reading the tree and changing it are several calls, and a worker and a guard of another run may be at it too. The
/// lock is an abstract Unix socket: its name belongs to the network namespace as the interface does, and the kernel
/// frees it when its holder dies.
#[derive(Debug)]
pub(crate) struct TreeLock {
    _socket: UnixDatagram,
}

impl TreeLock {
    /// Waits for the lock, for at most `patience`.
    pub(crate) fn take(interface: u32, patience: Duration) -> io::Result<Self> {
        const PAUSE: Duration = Duration::from_millis(2);
        let address = SocketAddr::from_abstract_name(format!("faultline-qdiscs-{interface}"))?;
        let begun = Instant::now();
        loop {
            match UnixDatagram::bind_addr(&address) {
                Ok(socket) => return Ok(Self { _socket: socket }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < patience => {
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        // No interface has so high an index.
        let interface = 0xfff0_0000 | std::process::id();
        let held = TreeLock::take(interface, Duration::ZERO).unwrap();
        let refused = TreeLock::take(interface, Duration::from_millis(5)).expect_err("it is held");
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        drop(held);
        TreeLock::take(interface, Duration::ZERO).unwrap();
    }
}
