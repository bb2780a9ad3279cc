//! A command of the user's own, run again and again without a shell.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faultline_agent::units::TimeSpan;

use super::command::{self, CommandEnd};
use super::exchange::Failure;
use super::open_loop::Probe;
use super::sample::Reading;
use super::tcp::reading;
use crate::experiment::document::{ExecReading, ExecSignal};

/// How many runs of a command may overlap.
pub(super) const LIMIT: usize = 64;
/// How much of a command's last words is repeated.
const WORDS: usize = 120;

#[derive(Debug)]
pub(super) struct CommandProber {
    pub(super) interval: Duration,
    run: Vec<String>,
    read: ExecReading,
    timeout: TimeSpan,
}

impl CommandProber {
    pub(super) fn new(signal: &ExecSignal) -> Result<Self, String> {
        if signal.run.first().is_none_or(String::is_empty) {
            return Err("`run` names no program".into());
        }
        for (name, span) in [("interval", signal.interval), ("timeout", signal.timeout)] {
            if span < TimeSpan::from_millis(1) {
                return Err(format!("`{name}` must be at least 1ms"));
            }
        }
        Ok(Self {
            interval: signal.interval.duration(),
            run: signal.run.clone(),
            read: signal.read,
            timeout: signal.timeout,
        })
    }

    fn exit_code(&self, end: CommandEnd) -> Result<(), Failure> {
        match end {
            CommandEnd::Exited { status, .. } if status.success() => Ok(()),
            CommandEnd::Exited { status, stderr, .. } => {
                Err(Failure::Theirs(with_last_words(command::describe(status), &stderr)))
            }
            CommandEnd::TimedOut => Err(Failure::Theirs(format!("timeout after {}", self.timeout))),
            CommandEnd::NotStarted(error) => Err(Failure::Ours(self.not_started(&error))),
        }
    }

    fn number(&self, end: CommandEnd) -> Result<f64, String> {
        match end {
            CommandEnd::Exited { status, stdout, .. } if status.success() => parse_number(&stdout),
            CommandEnd::Exited { status, stderr, .. } => Err(with_last_words(command::describe(status), &stderr)),
            CommandEnd::TimedOut => Err(format!("timeout after {}", self.timeout)),
            CommandEnd::NotStarted(error) => Err(self.not_started(&error)),
        }
    }

    fn not_started(&self, error: &std::io::Error) -> String {
        format!("`{}` cannot be run: {error}", self.run.first().map_or("", String::as_str))
    }
}

impl Probe for CommandProber {
    async fn probe(self: Arc<Self>, intended: Instant) -> Reading {
        let left = (intended + self.timeout.duration()).saturating_duration_since(Instant::now());
        let end = command::run(&self.run, &BTreeMap::new(), None, left).await;
        let latency = intended.elapsed();
        match self.read {
            ExecReading::ExitCode => reading(latency, self.exit_code(end)),
            ExecReading::Number => match self.number(end) {
                Ok(value) => Reading::Value { value },
                Err(reason) => Reading::Missing { reason },
            },
        }
    }
}

fn with_last_words(end: String, stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    match text.lines().map(str::trim).rfind(|line| !line.is_empty()) {
        Some(line) => format!("{end}: {}", line.chars().take(WORDS).collect::<String>()),
        None => end,
    }
}

/// A number and nothing else, finite.
fn parse_number(stdout: &[u8]) -> Result<f64, String> {
    let text = String::from_utf8_lossy(stdout);
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(_) => Err(format!("the output is {text}, which is no finite number")),
        Err(_) if text.is_empty() => Err("the output is empty, not a number".into()),
        Err(_) => Err(format!("the output is not a number: `{}`", text.chars().take(WORDS).collect::<String>())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(run: &[&str], read: ExecReading, timeout: u64) -> Reading {
        let signal = ExecSignal {
            run: run.iter().map(ToString::to_string).collect(),
            read,
            interval: TimeSpan::from_secs(1),
            timeout: TimeSpan::from_millis(timeout),
        };
        Arc::new(CommandProber::new(&signal).unwrap()).probe(Instant::now()).await
    }

    fn missing(reading: Reading) -> String {
        match reading {
            Reading::Missing { reason } => reason,
            other => panic!("{other:?} should be missing"),
        }
    }

    fn failure(reading: Reading) -> Option<String> {
        match reading {
            Reading::Request { failure, .. } => failure,
            other => panic!("{other:?} should be a request"),
        }
    }

    #[tokio::test]
    async fn the_exit_code_tells_good_from_bad() {
        assert_eq!(failure(read(&["true"], ExecReading::ExitCode, 5000).await), None);
        let bad = read(&["sh", "-c", "echo first; echo no quorum >&2; exit 3"], ExecReading::ExitCode, 5000).await;
        assert_eq!(failure(bad).as_deref(), Some("exited with code 3: no quorum"));
        let killed = read(&["sh", "-c", "kill -SEGV $$"], ExecReading::ExitCode, 5000).await;
        assert_eq!(failure(killed).as_deref(), Some("was ended by SIGSEGV"));
        let absent = missing(read(&["/no/such/program"], ExecReading::ExitCode, 5000).await);
        assert!(absent.starts_with("`/no/such/program` cannot be run: "), "{absent}");
    }

    #[tokio::test]
    async fn only_a_finite_number_is_a_value() {
        let number = |text| async move { read(&["printf", "%s\n", text], ExecReading::Number, 5000).await };
        assert_eq!(number(" -1.5e3 ").await, Reading::Value { value: -1500.0 });
        for (text, reason) in
            [("NaN", "finite"), ("inf", "finite"), ("", "empty"), ("12 ms", "`12 ms`"), ("1,5", "`1,5`")]
        {
            let told = missing(number(text).await);
            assert!(told.contains(reason), "{text}: {told}");
        }
        let failed = missing(read(&["sh", "-c", "echo 5; exit 1"], ExecReading::Number, 5000).await);
        assert_eq!(failed, "exited with code 1");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 86399 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let began = Instant::now();
        let slow = read(&["sh", "-c", &script], ExecReading::ExitCode, 700).await;
        assert_eq!(failure(slow).as_deref(), Some("timeout after 700ms"));
        assert!(began.elapsed() < Duration::from_secs(5));
        let child: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        for _ in 0..500 {
            let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            if state.is_empty() || state.contains(") Z ") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("process {child} still runs");
    }

    #[tokio::test]
    async fn a_child_that_keeps_the_output_open_does_not_delay_the_end() {
        let began = Instant::now();
        let quick = read(&["sh", "-c", "sleep 86398 & echo 4"], ExecReading::Number, 10_000).await;
        assert_eq!(quick, Reading::Value { value: 4.0 });
        assert!(began.elapsed() < Duration::from_secs(3));
    }
}
