//! What ends a run from outside: signals to its process (Ctrl-C, a termination, a closed terminal), or orders of a
//! controller.
//!
//! The first asks the run to undo and end. None ends the process by itself: a process that dies before it has undone
//! would leave that to its guard.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::experiment::machine::Stop;

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

/// Whoever may end a run from outside.
#[derive(Debug)]
pub enum StopOrders {
    /// Signals to this process.
    Signals(StopSignals),
    /// A controller.
    Controller(UnboundedReceiver<Stop>),
    /// Signals to this process, or what holds the run within it.
    Either(StopSignals, UnboundedReceiver<Stop>),
}

impl StopOrders {
    /// The next order.
    pub async fn next(&mut self) -> Stop {
        match self {
            Self::Signals(signals) => interrupted(signals).await,
            Self::Controller(orders) => ordered(orders).await,
            Self::Either(signals, orders) => tokio::select! {
                biased;
                stop = interrupted(signals) => stop,
                stop = ordered(orders) => stop,
            },
        }
    }
}

async fn interrupted(signals: &mut StopSignals) -> Stop {
    Stop::Interrupted(format!("interrupted by {}", signals.next().await))
}

async fn ordered(orders: &mut UnboundedReceiver<Stop>) -> Stop {
    match orders.recv().await {
        Some(stop) => stop,
        None => std::future::pending().await,
    }
}
