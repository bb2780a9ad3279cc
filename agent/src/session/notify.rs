//! Words to the service manager (sd_notify(3)): one datagram each to the socket that `$NOTIFY_SOCKET` names.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

/// Tells the service manager how this process does, where there is one.
#[derive(Debug, Clone, Default)]
pub struct Notifier {
    socket: Option<Arc<UnixDatagram>>,
    /// How often the service manager wants a sign of life.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// That which the environment names (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`); one that says nothing if it
    /// names none.
    pub fn of_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let for_us = variable("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = variable("WATCHDOG_USEC").filter(|_| for_us).and_then(|text| text.parse().ok());
        Self {
            socket: std::env::var_os("NOTIFY_SOCKET").and_then(|name| connect(&name)).map(Arc::new),
            // Half of it, as sd_watchdog_enabled(3) recommends.
            watchdog: watchdog.map(|period: u64| Duration::from_micros(period / 2)),
        }
    }

    /// The service is up.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// How it stands, for people.
    pub fn status(&self, text: &str) {
        self.say(&format!("STATUS={}", text.replace('\n', " ")));
    }

    /// The service ends.
    pub fn stopping(&self, why: &str) {
        self.say(&format!("STOPPING=1\nSTATUS={}", why.replace('\n', " ")));
    }

    /// Gives signs of life for as long as this is polled; for ever.
    pub(super) async fn watchdog(&self) {
        let Some(period) = self.watchdog.filter(|period| !period.is_zero()) else {
            return std::future::pending().await;
        };
        loop {
            self.say("WATCHDOG=1");
            tokio::time::sleep(period).await;
        }
    }

    fn say(&self, text: &str) {
        if let Some(socket) = &self.socket {
            // A service manager that does not listen is no reason to stop.
            let _ = socket.send(text.as_bytes());
        }
    }
}

fn connect(name: &OsStr) -> Option<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name),
        None => SocketAddr::from_pathname(name),
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect_addr(&address.ok()?).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_one_datagram() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier { socket: connect(path.as_os_str()).map(Arc::new), watchdog: None };
        notifier.ready();
        notifier.status("two\nlines");
        let mut buffer = [0; 100];
        let count = manager.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"READY=1");
        let count = manager.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"STATUS=two lines");
    }

    #[test]
    fn without_a_service_manager_it_says_nothing() {
        assert!(connect(OsStr::new("/no/such/socket")).is_none());
        Notifier::default().ready();
    }
}
