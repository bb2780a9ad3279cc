//! Host names as peers: resolved by the system's resolver when a fault begins, and again while it lasts.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::{OwnedTable, update};
use crate::kernel::KernelError;
use crate::plan::step::PacketSelection;

/// How often names are resolved again.
const INTERVAL: Duration = Duration::from_secs(5);

/// The addresses of all names now; an error if one has none.
pub(super) fn resolve_all(names: &[String]) -> Result<Vec<IpAddr>, KernelError> {
    let mut addresses = BTreeSet::new();
    for name in names {
        let found = resolve(name).map_err(|error| {
            KernelError::new(format!("host name {name}"), "getaddrinfo", error)
                .hint("a peer that cannot be resolved would never be met: correct the name, or give `peers.cidrs`")
        })?;
        addresses.extend(found);
    }
    Ok(addresses.into_iter().collect())
}

fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    Ok((name, 0).to_socket_addrs()?.map(|address| address.ip().to_canonical()).collect())
}

/// A thread that keeps the peers of a table current.
#[derive(Debug)]
pub(super) struct HostFollower {
    // Its end is the signal to stop. The thread is not waited for: a resolver may be stuck for half a minute.
    _stop: mpsc::Sender<()>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl HostFollower {
    /// Starts with the addresses that the table has already.
    pub(super) fn start(
        table: &super::Shared,
        selection: &PacketSelection,
        mut known: Vec<IpAddr>,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let table: Weak<Mutex<Option<OwnedTable>>> = Arc::downgrade(table);
        let selection = selection.clone();
        let trouble = Arc::new(Mutex::new(None));
        let said = Arc::clone(&trouble);
        std::thread::Builder::new().name("host-names".into()).spawn(move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let result = resolve_all(&selection.host_names).map_err(|error| error.to_string());
                let Some(table) = table.upgrade() else { return };
                let result = result.and_then(|addresses| {
                    if addresses == known {
                        return Ok(());
                    }
                    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
                    let Some(table) = table.as_mut() else { return Ok(()) };
                    update::replace_peers(table, &selection, &addresses).map_err(|refusal| refusal.to_string())?;
                    known = addresses;
                    Ok(())
                });
                *said.lock().unwrap_or_else(PoisonError::into_inner) = result.err();
            }
        })?;
        Ok(Self { _stop: stop, trouble })
    }

    /// Why the newest look failed, if it did; the addresses found before stay in force.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
