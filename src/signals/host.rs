//! The agent's own reading of the kernel, of a host, of processes or of a cgroup.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faultline_agent::signals::{HostReader, HostReading, HostSubject};
use faultline_agent::units::TimeSpan;

use super::open_loop::Output;
use super::pace::{ExactTimer, Schedule};
use super::sample::Reading;
use crate::experiment::document::{HostSignal, Resource};

/// Says who is read now: the processes of a service, for one, change when it starts again.
pub type Subject = Arc<dyn Fn() -> HostSubject + Send + Sync>;

pub(super) struct KernelReader {
    pub(super) interval: Duration,
    disk: PathBuf,
    subject: Subject,
}

impl std::fmt::Debug for KernelReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KernelReader").field("interval", &self.interval).field("disk", &self.disk).finish()
    }
}

impl KernelReader {
    pub(super) fn new(signal: &HostSignal, subject: Option<&Subject>) -> Result<Self, String> {
        let interval = interval_of(signal)?;
        let subject = match (subject, &signal.of) {
            (Some(subject), _) => subject.clone(),
            (None, None) => Arc::new(|| HostSubject::Host),
            (None, Some(target)) => return Err(format!("nothing is known of its target `{target}`")),
        };
        let disk = signal.path.clone().unwrap_or_else(|| "/".into());
        Ok(Self { interval, disk, subject })
    }

    /// Reads at every moment of the schedule until the stop; each reading covers the time since the one before.
    pub(super) async fn run(self, schedule: Schedule, output: Output) -> io::Result<()> {
        let timer = ExactTimer::new()?;
        let mut subject = (self.subject)();
        let mut reader = HostReader::new(subject.clone(), self.disk.clone());
        let mut number = schedule.first_from(Instant::now());
        loop {
            tokio::select! {
                biased;
                () = output.stop.cancelled() => return Ok(()),
                waited = timer.until(schedule.moment(number)) => waited?,
            }
            let at = schedule.at(number);
            output.lateness.note(schedule.moment(number).elapsed());
            let now = (self.subject)();
            if now == subject {
                output.send(at, read(&mut reader));
            } else {
                // Their counters have nothing to do with each other.
                output.missing(at, "the processes read are others than before; their use is counted from here");
                reader = HostReader::new(now.clone(), self.disk.clone());
                subject = now;
            }
            number = schedule.first_from(Instant::now()).max(number + 1);
        }
    }
}

/// How often the kernel is read.
pub(super) fn interval_of(signal: &HostSignal) -> Result<Duration, String> {
    if signal.interval < TimeSpan::from_millis(50) {
        return Err("`interval` must be at least 50ms: the kernel counts in steps of 10 ms".into());
    }
    Ok(signal.interval.duration())
}

fn read(reader: &mut HostReader) -> Reading {
    match reader.read() {
        Ok(reading) => into_reading(reading),
        Err(error) => Reading::Missing { reason: error.to_string() },
    }
}

pub(super) fn into_reading(reading: HostReading) -> Reading {
    let shares = [
        (Resource::Cpu, reading.cpu),
        (Resource::Memory, reading.memory),
        (Resource::Disk, reading.disk),
        (Resource::CpuPressure, reading.cpu_pressure),
        (Resource::MemoryPressure, reading.memory_pressure),
        (Resource::IoPressure, reading.io_pressure),
    ];
    let saturation: Vec<(Resource, f64)> =
        shares.into_iter().filter_map(|(resource, share)| Some((resource, share?))).collect();
    if saturation.is_empty() && reading.numbers.is_empty() {
        return Reading::Missing { reason: "the kernel told nothing about it".into() };
    }
    Reading::Host { saturation, numbers: reading.numbers }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::{Child, Command};
    use std::sync::Mutex;

    use faultline_agent::facts::identity_of;
    use serde_json::json;
    use tokio::sync::mpsc::unbounded_channel;
    use tokio_util::sync::CancellationToken;

    use super::super::sample::Sample;
    use super::super::{SignalContext, build};
    use super::*;

    struct Busy(Child);

    impl Busy {
        fn start() -> Self {
            Self(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap())
        }

        fn subject(&self) -> HostSubject {
            HostSubject::Processes(vec![identity_of(i32::try_from(self.0.id()).unwrap()).unwrap()])
        }
    }

    impl Drop for Busy {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    fn cpu(reading: &Reading) -> Option<f64> {
        match reading {
            Reading::Host { saturation, .. } => {
                saturation.iter().find(|(resource, _)| *resource == Resource::Cpu).map(|(_, share)| *share)
            }
            _ => None,
        }
    }

    async fn until(
        samples: &mut tokio::sync::mpsc::UnboundedReceiver<Sample>,
        wanted: impl Fn(&Reading) -> bool,
    ) -> Reading {
        let searching = async {
            loop {
                let reading = samples.recv().await.unwrap().reading;
                if wanted(&reading) {
                    return reading;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), searching).await.unwrap()
    }

    #[tokio::test]
    async fn processes_are_read_until_they_end_and_their_successors_after_them() {
        let busy = Busy::start();
        let subject = Arc::new(Mutex::new(busy.subject()));
        let read = subject.clone();
        let mut context = SignalContext::new(Instant::now());
        context.subjects =
            BTreeMap::from([("db".to_owned(), Arc::new(move || read.lock().unwrap().clone()) as Subject)]);
        let signal = serde_json::from_value(json!({"host": {"of": "db", "interval": "100ms"}})).unwrap();
        let (sink, mut samples) = unbounded_channel();
        let stop = CancellationToken::new();
        let running = tokio::spawn(build("db", &signal, &context).unwrap().run(sink, stop.clone()));
        until(&mut samples, |reading| cpu(reading).is_some_and(|share| share > 0.0)).await;
        drop(busy);
        until(&mut samples, |reading| matches!(reading, Reading::Missing { reason } if reason.contains("ended"))).await;
        let next = Busy::start();
        *subject.lock().unwrap() = next.subject();
        until(&mut samples, |reading| matches!(reading, Reading::Missing { reason } if reason.contains("others")))
            .await;
        until(&mut samples, |reading| cpu(reading).is_some_and(|share| share > 0.0)).await;
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn the_host_itself_is_read_without_a_target_and_an_unknown_target_is_refused() {
        let signal = serde_json::from_value(json!({"host": {"interval": "60ms"}})).unwrap();
        let context = SignalContext::new(Instant::now());
        let (sink, mut samples) = unbounded_channel();
        let stop = CancellationToken::new();
        let running = tokio::spawn(build("host", &signal, &context).unwrap().run(sink, stop.clone()));
        let reading = until(&mut samples, |reading| matches!(reading, Reading::Host { .. })).await;
        let Reading::Host { saturation, .. } = reading else { unreachable!() };
        for resource in [Resource::Memory, Resource::Disk] {
            let share = saturation.iter().find(|(found, _)| *found == resource).map(|(_, share)| *share);
            assert!(share.is_some_and(|share| share > 0.0 && share < 1.0), "{resource:?}: {share:?}");
        }
        stop.cancel();
        running.await.unwrap();
        let signal = serde_json::from_value(json!({"host": {"of": "db"}})).unwrap();
        assert!(build("db", &signal, &context).unwrap_err().to_string().contains("`db`"));
    }
}
