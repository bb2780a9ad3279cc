//! Crash points: places at which the tests of the undo machinery end a process with SIGKILL, or stop it, to see what
//! the others make of it. They exist in debug builds alone.

/// Names a place at which a test can end this process: `FAULTLINE_CRASH_AT=NAME[:worker|:guard]` raises SIGKILL there,
/// `FAULTLINE_CRASH_BY=stop` beside it raises SIGSTOP instead. Nothing at all in release builds.
#[macro_export]
macro_rules! crash_point {
    ($($name:tt)+) => {
        #[cfg(debug_assertions)]
        $crate::crash::reached(&format!($($name)+));
        // What is named counts as used there too.
        #[cfg(not(debug_assertions))]
        let _ = || ::std::format!($($name)+);
    };
}

#[cfg(debug_assertions)]
mod points {
    use std::sync::atomic::{AtomicBool, Ordering};

    static IS_GUARD: AtomicBool = AtomicBool::new(false);
    static REACHED: AtomicBool = AtomicBool::new(false);

    /// From here on the crash points of this process are those of the guard.
    pub fn this_is_the_guard() {
        IS_GUARD.store(true, Ordering::Relaxed);
    }

    /// Ends or stops this process if a test asked for it at this point.
    pub fn reached(name: &str) {
        #[cfg(test)]
        simulated::reached(name);
        let Ok(wanted) = std::env::var("FAULTLINE_CRASH_AT") else { return };
        let (point, role) = wanted.split_once(':').unwrap_or((&wanted, "worker"));
        if point == name && (role == "guard") == IS_GUARD.load(Ordering::Relaxed) {
            // Once only: a process that was continued goes on.
            if REACHED.swap(true, Ordering::Relaxed) {
                return;
            }
            let stops = std::env::var("FAULTLINE_CRASH_BY").is_ok_and(|how| how == "stop");
            let signal = if stops { nix::sys::signal::Signal::SIGSTOP } else { nix::sys::signal::Signal::SIGKILL };
            // To this thread: a stop that another thread takes up would let this one run on for a while.
            let _ = nix::sys::signal::raise(signal);
        }
    }

    /// Crashes of a simulated process, which is a thread of a test: unwinding past everything that a real death would
    /// cut short.
    #[cfg(test)]
    pub(crate) mod simulated {
        use std::cell::Cell;

        /// What a simulated death unwinds with.
        #[derive(Debug)]
        pub(crate) struct Crash;

        thread_local! {
            static AT: Cell<Option<u32>> = const { Cell::new(None) };
        }

        /// Lets this thread die at its crash point number `at` from now (0 is the next), or never.
        pub(crate) fn arm(at: Option<u32>) {
            AT.set(at);
        }

        pub(crate) fn reached(_: &str) {
            match AT.get() {
                None => {}
                Some(0) => {
                    AT.set(None);
                    std::panic::resume_unwind(Box::new(Crash));
                }
                Some(more) => AT.set(Some(more - 1)),
            }
        }
    }
}
#[cfg(all(test, debug_assertions))]
pub(crate) use points::simulated;
#[cfg(debug_assertions)]
pub use points::{reached, this_is_the_guard};
