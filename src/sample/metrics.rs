//! What the front end counts, written as Prometheus reads it (text format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// The upper bounds of the latency histogram's buckets, in seconds.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0];

/// The front end's counters.
#[derive(Debug, Default)]
pub struct Metrics {
    orders: BTreeMap<u16, u64>,
    degraded: u64,
    retries: u64,
    buckets: [u64; BUCKETS.len()],
    seconds: f64,
    count: u64,
}

impl Metrics {
    /// Counts one checkout: its status, whether it was degraded, how many attempts it took, how long it was.
    pub fn checkout(&mut self, status: u16, degraded: bool, attempts: u32, took: Duration) {
        *self.orders.entry(status).or_default() += 1;
        self.degraded += u64::from(degraded);
        self.retries += u64::from(attempts.saturating_sub(1));
        let seconds = took.as_secs_f64();
        for (count, bound) in self.buckets.iter_mut().zip(BUCKETS) {
            *count += u64::from(seconds <= bound);
        }
        self.seconds += seconds;
        self.count += 1;
    }

    /// The text that `/metrics` answers with.
    pub fn render(&self) -> String {
        let mut text = String::from("# HELP orders_total Checkouts by status.\n# TYPE orders_total counter\n");
        // A series that appears with its first error would hide that error from whoever counts growth.
        for code in [200, 502, 504] {
            let _ = writeln!(text, "orders_total{{code=\"{code}\"}} {}", self.orders.get(&code).unwrap_or(&0));
        }
        for (name, help, value) in [
            ("orders_degraded_total", "Checkouts answered without a price.", self.degraded),
            ("backend_retries_total", "Attempts after the first one.", self.retries),
        ] {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}");
        }
        text.push_str("# HELP checkout_duration_seconds How long checkouts took.\n");
        text.push_str("# TYPE checkout_duration_seconds histogram\n");
        for (count, bound) in self.buckets.iter().zip(BUCKETS) {
            let _ = writeln!(text, "checkout_duration_seconds_bucket{{le=\"{bound}\"}} {count}");
        }
        let _ = writeln!(text, "checkout_duration_seconds_bucket{{le=\"+Inf\"}} {}", self.count);
        let _ = writeln!(text, "checkout_duration_seconds_sum {}", self.seconds);
        let _ = writeln!(text, "checkout_duration_seconds_count {}", self.count);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_errors_have_a_series_before_the_first_one() {
        let mut metrics = Metrics::default();
        metrics.checkout(200, false, 1, Duration::from_millis(7));
        metrics.checkout(200, true, 3, Duration::from_millis(260));
        let text = metrics.render();
        for line in [
            "orders_total{code=\"200\"} 2",
            "orders_total{code=\"504\"} 0",
            "orders_degraded_total 1",
            "backend_retries_total 2",
            "checkout_duration_seconds_bucket{le=\"0.005\"} 0",
            "checkout_duration_seconds_bucket{le=\"0.01\"} 1",
            "checkout_duration_seconds_bucket{le=\"0.3\"} 2",
            "checkout_duration_seconds_bucket{le=\"+Inf\"} 2",
            "checkout_duration_seconds_count 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
