use std::time::Duration;

use procfs::FromRead;
use procfs::net::InterfaceDeviceStatus;

use crate::identity::ProcessIdentity;

/// Bytes through the interfaces of a network namespace so far.
#[derive(Debug)]
pub(super) struct Traffic {
    received: u64,
    sent: u64,
}

/// What went through the namespace of a process, or of this thread. Loopback counts only where there is nothing else.
pub(super) fn count(process: Option<ProcessIdentity>) -> Option<Traffic> {
    // The namespace is that of a thread: of this one, unless a process is meant.
    let file = process.map_or("/proc/thread-self/net/dev".into(), |process| format!("/proc/{process}/net/dev"));
    let interfaces = InterfaceDeviceStatus::from_file(file).ok()?.0;
    let alone = interfaces.len() == 1;
    let counted = interfaces.values().filter(|interface| alone || interface.name != "lo");
    let (received, sent) =
        counted.fold((0u64, 0u64), |(received, sent), one| (received + one.recv_bytes, sent + one.sent_bytes));
    Some(Traffic { received, sent })
}

impl Traffic {
    /// Bytes a second between two counts; nothing where a counter went back, as when an interface was removed.
    pub(super) fn rates(&self, last: &Self, elapsed: Duration) -> Vec<(String, f64)> {
        let both = [
            ("network receive (bytes/s)", self.received.checked_sub(last.received)),
            ("network send (bytes/s)", self.sent.checked_sub(last.sent)),
        ];
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 bytes between two readings")]
        let rate = |(name, bytes): (&str, Option<u64>)| Some((name.to_owned(), bytes? as f64 / elapsed.as_secs_f64()));
        both.into_iter().filter_map(rate).collect()
    }
}
