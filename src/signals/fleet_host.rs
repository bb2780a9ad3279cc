//! The readings of hosts of a fleet, each by its own agent. A host that does not answer in time is a missing reading.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::host::{interval_of, into_reading};
use super::open_loop::Output;
use super::pace::{ExactTimer, Schedule};
use super::sample::Reading;
use crate::experiment::document::HostSignal;
use crate::fleet::{Agent, ReadRequest};

/// Whom a `host` signal of a run on a fleet reads, and what of each.
#[derive(Debug, Clone)]
pub struct FleetSubject {
    /// The agents of the hosts.
    pub agents: Vec<Arc<dyn Agent>>,
    /// What each is asked.
    pub request: ReadRequest,
    /// Those of them that the run has lost, which are not read any more: the run says so.
    pub lost: LostHosts,
}

/// The hosts that a run has lost, by name. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct LostHosts(Arc<Mutex<BTreeSet<String>>>);

impl LostHosts {
    /// From now on it is not read.
    pub fn add(&self, host: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned());
    }

    fn has(&self, host: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(host)
    }
}

#[derive(Debug)]
pub(super) struct FleetReader {
    pub(super) interval: Duration,
    subject: FleetSubject,
}

impl FleetReader {
    pub(super) fn new(signal: &HostSignal, subject: FleetSubject) -> Result<Self, String> {
        Ok(Self { interval: interval_of(signal)?, subject })
    }

    /// Asks every agent at every moment of the schedule until the stop: one sample a host.
    pub(super) async fn run(self, schedule: Schedule, output: Output) -> io::Result<()> {
        let timer = ExactTimer::new()?;
        let mut asked: JoinSet<(f64, Reading)> = JoinSet::new();
        let mut number = schedule.first_from(Instant::now());
        loop {
            tokio::select! {
                biased;
                () = output.stop.cancelled() => return Ok(()),
                Some(Ok((at, reading))) = asked.join_next() => {
                    output.send(at, reading);
                    continue;
                }
                waited = timer.until(schedule.moment(number)) => waited?,
            }
            let at = schedule.at(number);
            output.lateness.note(schedule.moment(number).elapsed());
            for agent in self.subject.agents.iter().filter(|agent| !self.subject.lost.has(agent.host())) {
                let (host, limit) = (agent.host().to_owned(), self.interval);
                let reading = agent.read(self.subject.request.clone());
                asked.spawn(async move {
                    let reading = match tokio::time::timeout(limit, reading).await {
                        Ok(Ok(reading)) => into_reading(reading),
                        Ok(Err(reason)) => Reading::Missing { reason: format!("{host}: {reason}") },
                        Err(_) => {
                            let reason = format!("{host}: no answer within {} ms", limit.as_millis());
                            Reading::Missing { reason }
                        }
                    };
                    (at, reading)
                });
            }
            number = schedule.first_from(Instant::now()).max(number + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use faultline_agent::signals::HostReading;
    use serde_json::json;
    use tokio::sync::mpsc::unbounded_channel;
    use tokio_util::sync::CancellationToken;

    use super::super::{SignalContext, build};
    use super::*;
    use crate::fleet::fake::FakeAgent;

    #[tokio::test]
    async fn every_host_gives_a_sample_and_a_silent_one_a_missing_one() {
        let speaking = HostReading { cpu: Some(0.5), ..HostReading::default() };
        let agents: Vec<Arc<dyn Agent>> = vec![
            Arc::new(FakeAgent { name: "db-1".into(), reading: Some(speaking), ..FakeAgent::default() }),
            Arc::new(FakeAgent { name: "db-2".into(), ..FakeAgent::default() }),
        ];
        let request = ReadRequest {
            run: "r-1".into(),
            signal: "db".into(),
            target_name: "db".into(),
            target: None,
            path: "/".into(),
            seed: 1,
        };
        let lost = LostHosts::default();
        let mut context = SignalContext::new(Instant::now());
        context.fleet = Some(BTreeMap::from([("db".to_owned(), FleetSubject { agents, request, lost: lost.clone() })]));
        let signal = serde_json::from_value(json!({"host": {"of": "db", "interval": "60ms"}})).unwrap();
        let (sink, mut samples) = unbounded_channel();
        let stop = CancellationToken::new();
        let running = tokio::spawn(build("db", &signal, &context).unwrap().run(sink, stop.clone()));
        let (mut heard, mut missed) = (0, 0);
        while heard < 2 || missed < 2 {
            match samples.recv().await.unwrap().reading {
                Reading::Host { saturation, .. } => {
                    heard += usize::from(saturation.iter().any(|(_, share)| *share == 0.5));
                }
                Reading::Missing { reason } => {
                    assert_eq!(reason, "db-2: no answer within 60 ms");
                    missed += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        lost.add("db-2");
        // What was asked before that may still come.
        let settled = Instant::now() + Duration::from_millis(200);
        heard = 0;
        while heard < 4 {
            match samples.recv().await.unwrap().reading {
                Reading::Host { .. } => heard += usize::from(Instant::now() > settled),
                Reading::Missing { .. } => assert!(Instant::now() < settled, "a lost host is not read"),
                other => panic!("{other:?}"),
            }
        }
        stop.cancel();
        running.await.unwrap();
        let elsewhere = serde_json::from_value(json!({"host": {"of": "web", "interval": "60ms"}})).unwrap();
        assert!(build("web", &elsewhere, &context).unwrap_err().to_string().contains("no host of the fleet"));
    }
}
