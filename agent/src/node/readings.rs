use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::signals::{HostReader, HostReading, HostSubject};
use crate::target::HostTarget;

/// A reader that nobody asked for this long is given up.
const FORGOTTEN: Duration = Duration::from_secs(300);

/// A reading of the kernel that is asked for again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadRequest {
    /// The run that asks.
    pub run: String,
    /// The name of its signal: each covers the time since it was read before.
    pub signal: String,
    /// The target's name in the document, or what people call the whole host.
    pub target_name: String,
    /// What of this host is read; nothing for the whole of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<HostTarget>,
    /// Any path on the file system whose space is read.
    pub path: PathBuf,
    /// The seed by which the target's processes are chosen.
    pub seed: u64,
}

/// The readers of all signals that this agent serves.
#[derive(Debug, Default)]
pub(super) struct Readings(Mutex<BTreeMap<(String, String), Served>>);

#[derive(Debug)]
struct Served {
    subject: HostSubject,
    reader: HostReader,
    asked: Instant,
}

impl Readings {
    /// Reads a subject for a signal.
    ///
    /// # Errors
    /// If the subject is another than the time before, since their counters have nothing to do with each other, or if
    /// nothing of it is left.
    pub(super) fn read(&self, request: &ReadRequest, subject: HostSubject) -> Result<HostReading, String> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        all.retain(|_, served| now.duration_since(served.asked) < FORGOTTEN);
        let key = (request.run.clone(), request.signal.clone());
        let fresh = |subject: HostSubject| Served {
            reader: HostReader::new(subject.clone(), request.path.clone()),
            subject,
            asked: now,
        };
        match all.get_mut(&key) {
            Some(served) if served.subject == subject => {
                served.asked = now;
                served.reader.read().map_err(|error| error.to_string())
            }
            Some(served) => {
                *served = fresh(subject);
                Err("the processes read are others than before; their use is counted from here".into())
            }
            None => {
                let mut served = fresh(subject);
                let reading = served.reader.read().map_err(|error| error.to_string());
                all.insert(key, served);
                reading
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(signal: &str) -> ReadRequest {
        ReadRequest {
            run: "r-1".into(),
            signal: signal.into(),
            target_name: "host".into(),
            target: None,
            path: "/".into(),
            seed: 1,
        }
    }

    /// The first readings of two signals, 40 ms apart, each taken at once: on a busy host a thread may stand still within
    /// one for longer than a share of time takes.
    fn first_of_two() -> (Readings, HostReading, HostReading) {
        loop {
            let readings = Readings::default();
            let at_once = |signal: &str| {
                let begun = Instant::now();
                let reading = readings.read(&request(signal), HostSubject::Host).unwrap();
                (begun.elapsed() < Duration::from_millis(15)).then_some(reading)
            };
            let first = at_once("a");
            std::thread::sleep(Duration::from_millis(40));
            if let (Some(first), Some(other)) = (first, at_once("b")) {
                return (readings, first, other);
            }
        }
    }

    #[test]
    fn each_signal_has_a_reader_of_its_own_and_a_change_of_subject_is_a_missing_reading() {
        let own = HostSubject::Processes(vec![crate::identity::ProcessIdentity::own().unwrap()]);
        let (readings, first, other) = first_of_two();
        assert!(first.memory.is_some_and(|share| share > 0.0) && first.cpu.is_none(), "{first:?}");
        assert!(other.cpu.is_none(), "its own first");
        std::thread::sleep(Duration::from_millis(40));
        assert!(readings.read(&request("a"), HostSubject::Host).unwrap().cpu.is_some(), "since the first");
        assert!(readings.read(&request("a"), own.clone()).unwrap_err().contains("others than before"));
        assert!(readings.read(&request("a"), own).is_ok());
    }
}
