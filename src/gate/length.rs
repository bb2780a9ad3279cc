//! How long runs take, what of a time box is kept for cleaning up, and how times are told.

use std::time::Duration;

use crate::experiment::document::{MethodStep, Spec};

/// What undoing, and taking down services, may need at the end of a time box: an undo takes milliseconds, services have 5 s
/// to end, and the rest is for a loaded host.
const CLEANING: Duration = Duration::from_secs(15);

/// How long a run of an experiment takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Length {
    /// Its method alone: no complete run is shorter.
    pub least: Duration,
    /// With services that need all the time they may have to come up, a recovery that does, and the cleaning up.
    pub most: Duration,
}

impl Length {
    /// That of a document.
    pub fn of(spec: &Spec) -> Self {
        let least: Duration = spec.method.iter().map(MethodStep::lasts).sum();
        let ready = |service: &crate::experiment::document::Service| {
            service.ready.as_ref().map_or(Duration::ZERO, |ready| ready.within.duration())
        };
        let services: Duration = spec.services.values().map(ready).sum();
        Self { least, most: services + least + spec.recovery.within.duration() + CLEANING }
    }
}

/// The part of a time box that is kept for cleaning up: 15 s, of a short one a quarter.
pub fn reserve(within: Duration) -> Duration {
    CLEANING.min(within / 4)
}

/// The sum of lengths, for plans.
pub fn sum(lengths: &[Length]) -> Length {
    Length {
        least: lengths.iter().map(|length| length.least).sum(),
        most: lengths.iter().map(|length| length.most).sum(),
    }
}

/// A length of time as people say it, to the second: `24m 10s`.
pub fn seconds(length: Duration) -> String {
    let whole = (length + Duration::from_millis(500)).as_secs();
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    let parts = [(hours, "h"), (minutes, "m"), (seconds, "s")];
    let parts: Vec<String> =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number}{unit}")).collect();
    if parts.is_empty() { "0s".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_to_the_second() {
        let said = [0, 59, 60, 3661].map(|length| seconds(Duration::from_secs(length)));
        assert_eq!(said, ["0s", "59s", "1m", "1h 1m 1s"]);
    }
}
