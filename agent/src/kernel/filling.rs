//! A thread that fills something until its goal, and what it got done so far.

use std::io::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How far the filling is.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// What was measured when the goal was reached, or when it could get no further.
    pub(super) reached: Option<f64>,
    /// How many blocks or inodes are missing from the goal then; below 0 for too many.
    pub(super) missing: i64,
    /// How long that took.
    pub(super) took: Duration,
    /// Why it goes no further.
    pub(super) trouble: Option<String>,
}

/// The thread; dropping it ends the filling, wherever it is.
#[derive(Debug)]
pub(super) struct Filling {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and its owner share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    stop: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    progress: Progress,
    ended: bool,
    stopping: bool,
}

impl Filling {
    /// Starts the thread and waits a moment for it to end, so that what is done at once is done when this returns.
    pub(super) fn start(
        name: &str,
        at_most: Duration,
        work: impl FnOnce(&Shared) -> Progress + Send + 'static,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            let begun = Instant::now();
            let progress = work(&its);
            let mut state = its.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.progress = Progress { took: begun.elapsed(), ..progress };
            state.ended = true;
            its.changed.notify_all();
        })?;
        let state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(shared.changed.wait_timeout_while(state, at_most, |state| !state.ended));
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How far it is.
    pub(super) fn progress(&self) -> Progress {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).progress.clone()
    }
}

impl Shared {
    /// Whether the filling is to end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sleeps, but not beyond the order to end.
    pub(super) fn sleep(&self, time: Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_timeout_while(state, time, |state| !state.stopping));
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).stopping = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
