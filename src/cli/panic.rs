//! What is said when Faultline itself is wrong.

use std::panic::{self, AssertUnwindSafe};

use super::output;

/// Replaces the standard panic message by an honest one.
pub(super) fn announce() {
    panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let what = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "unknown".into());
        let place = info.location().map(|location| format!(" ({}:{})", location.file(), location.line()));
        output::tell(&message(&what, &place.unwrap_or_default()));
    }));
}

fn message(what: &str, place: &str) -> String {
    format!(
        "error: Faultline itself failed: {what}{place}\n\
         What it had injected is being undone, by the process that failed or by its guard.\n\n\
         hint: `faultline list` shows whether a fault is still active, `faultline recover` undoes it; \
         please report this with the message above (version {})\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// Runs a subcommand; `None` if it panicked, which was announced by then.
pub(super) fn caught<R>(work: impl FnOnce() -> R) -> Option<R> {
    panic::catch_unwind(AssertUnwindSafe(work)).ok()
}
