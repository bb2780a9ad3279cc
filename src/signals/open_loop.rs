//! The open loop: what is due starts on time, however long earlier work takes. So a slow service is never asked less
//! often, and waiting behind it is measured rather than left out (coordinated omission).

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::pace::{ExactTimer, Lateness, Schedule};
use super::sample::{Reading, Sample};

/// Work that is this late because of this host says nothing about the other side, so it is not begun any more.
const TOO_LATE: Duration = Duration::from_millis(50);
/// How long work under way may take once the signal is stopped.
const GRACE: Duration = Duration::from_millis(500);

/// Where a source's samples go, and when it is to end.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) signal: String,
    pub(super) sink: UnboundedSender<Sample>,
    pub(super) stop: CancellationToken,
    pub(super) lateness: Arc<Lateness>,
}

impl Output {
    pub(super) fn send(&self, at: f64, reading: Reading) {
        // Nobody listens any more when the run has ended.
        let _ = self.sink.send(Sample { signal: self.signal.clone(), at, reading });
    }

    pub(super) fn missing(&self, at: f64, reason: impl Into<String>) {
        self.send(at, Reading::Missing { reason: reason.into() });
    }
}

/// What is done again and again.
pub(super) trait Probe: Send + Sync + 'static {
    /// Does it once. `intended` is when it was meant to start: latency counts from there.
    fn probe(self: Arc<Self>, intended: Instant) -> impl Future<Output = Reading> + Send;
}

/// Starts a probe at every moment of the schedule until the stop. At most `limit` run at once; those above it are
/// reported as missing.
pub(super) async fn run<P: Probe>(schedule: Schedule, limit: usize, output: Output, probe: Arc<P>) -> io::Result<()> {
    let timer = ExactTimer::new()?;
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    let mut number = schedule.first_from(Instant::now());
    loop {
        let intended = schedule.moment(number);
        tokio::select! {
            biased;
            () = output.stop.cancelled() => break,
            waited = timer.until(intended) => waited?,
        }
        let at = schedule.at(number);
        number += 1;
        let late = intended.elapsed();
        output.lateness.note(late);
        if late > TOO_LATE {
            output.missing(at, format!("not started: this host was {} ms late", late.as_millis()));
            // Lets those under way go on, which are late already too.
            tokio::task::yield_now().await;
            continue;
        }
        if tasks.len() >= limit {
            output.missing(at, format!("not started: {limit} earlier ones are still under way"));
            continue;
        }
        let (output, probe, cut) = (output.clone(), probe.clone(), cut.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                reading = probe.probe(intended) => output.send(at, reading),
                () = cut.cancelled() => output.missing(at, "still under way when the run ended"),
            }
        });
    }
    tasks.close();
    if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
        cut.cancel();
        tasks.wait().await;
    }
    Ok(())
}

/// How many probes may be under way: as many as can be waiting for their timeout, as far as file descriptors go.
pub(super) fn limit(rate: f64, timeout: Duration) -> usize {
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1 << 20);
    let most = usize::try_from(descriptors / 2).unwrap_or(usize::MAX).clamp(16, 20_000);
    let waiting = (rate * timeout.as_secs_f64()).ceil().clamp(0.0, 1e6);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped above")]
    let waiting = waiting as usize;
    (waiting + 16).min(most)
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    struct Sleeper(Duration);

    impl Probe for Sleeper {
        async fn probe(self: Arc<Self>, intended: Instant) -> Reading {
            tokio::time::sleep(self.0).await;
            Reading::Request { latency: intended.elapsed().as_secs_f64(), failure: None }
        }
    }

    fn output() -> (Output, UnboundedReceiver<Sample>) {
        let (sink, samples) = unbounded_channel();
        let stop = CancellationToken::new();
        (Output { signal: "s".into(), sink, stop, lateness: Arc::default() }, samples)
    }

    async fn collect(sleep: Duration, limit: usize, lasts: Duration) -> Vec<Sample> {
        let (output, mut samples) = output();
        let stop = output.stop.clone();
        let schedule = Schedule::new(Instant::now(), Duration::from_millis(10));
        let running = tokio::spawn(run(schedule, limit, output, Arc::new(Sleeper(sleep))));
        tokio::time::sleep(lasts).await;
        stop.cancel();
        running.await.unwrap().unwrap();
        std::iter::from_fn(|| samples.try_recv().ok()).collect()
    }

    /// Whether this machine was too busy to start things on time, which other tests are about.
    fn was_late(samples: &[Sample]) -> bool {
        samples.iter().any(|sample| matches!(&sample.reading, Reading::Missing { reason } if reason.contains("late")))
    }

    #[tokio::test]
    async fn slow_work_does_not_delay_what_follows() {
        let samples = collect(Duration::from_millis(100), 1000, Duration::from_millis(300)).await;
        assert!((25..=32).contains(&samples.len()), "{}", samples.len());
        let mut moments: Vec<f64> = samples.iter().map(|sample| sample.at).collect();
        moments.sort_by(f64::total_cmp);
        assert!(moments.windows(2).all(|pair| (pair[1] - pair[0] - 0.01).abs() < 1e-9), "{moments:?}");
    }

    #[tokio::test]
    async fn work_above_the_limit_is_reported_as_missing() {
        let samples = collect(Duration::from_millis(200), 3, Duration::from_millis(150)).await;
        let missing =
            |sample: &&Sample| matches!(&sample.reading, Reading::Missing { reason } if reason.contains("3 earlier"));
        assert!(was_late(&samples) || samples.iter().filter(missing).count() >= 8, "{samples:?}");
    }

    #[tokio::test]
    async fn work_that_does_not_end_after_the_stop_is_missing_and_not_good() {
        let began = Instant::now();
        let samples = collect(Duration::from_secs(60), 1000, Duration::from_millis(50)).await;
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(samples.len() >= 4 && samples.iter().all(|sample| matches!(sample.reading, Reading::Missing { .. })));
    }
}
