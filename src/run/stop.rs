//! Signals that end a run: Ctrl-C, a termination, a closed terminal.
//!
//! The first asks the run to undo and end. None ends the process by itself: a process that dies before it has undone
//! would leave that to its guard.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for any of the signals by which people and supervisors end a program.
#[derive(Debug)]
pub struct StopSignals {
    signals: Vec<(Signal, &'static str)>,
}

impl StopSignals {
    /// Listens from now on.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub fn listen() -> io::Result<Self> {
        let kinds = [
            (SignalKind::interrupt(), "SIGINT (Ctrl-C)"),
            (SignalKind::terminate(), "SIGTERM"),
            (SignalKind::hangup(), "SIGHUP (the terminal was closed)"),
            (SignalKind::quit(), "SIGQUIT"),
        ];
        let signals = kinds.into_iter().map(|(kind, name)| Ok((signal(kind)?, name))).collect::<io::Result<_>>()?;
        Ok(Self { signals })
    }

    /// The name of the next one.
    pub async fn next(&mut self) -> &'static str {
        std::future::poll_fn(|context| {
            for (signal, name) in &mut self.signals {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*name);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}
