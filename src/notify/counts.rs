//! What became of messages since the start of this process, by endpoint.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Counted as it happens.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) delivered: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) given_up: AtomicU64,
    pub(super) dropped: AtomicU64,
}

/// What became of an endpoint's messages since the start of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// The endpoint's name.
    pub endpoint: String,
    /// Messages delivered.
    pub delivered: u64,
    /// Attempts that failed and are followed by another.
    pub failed_attempts: u64,
    /// Messages given up: refused for good, or tried long enough.
    pub given_up: u64,
    /// Messages dropped because the queue was full.
    pub dropped: u64,
}

impl Counters {
    pub(super) fn counts(&self, endpoint: &str) -> Counts {
        Counts {
            endpoint: endpoint.to_owned(),
            delivered: self.delivered.load(Relaxed),
            failed_attempts: self.failed.load(Relaxed),
            given_up: self.given_up.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
        }
    }
}
