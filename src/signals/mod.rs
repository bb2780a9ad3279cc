//! Where samples come from: one file a source. A source only measures; what a sample means is for
//! [`hypothesis`](crate::hypothesis) to say.
//!
//! Each running source has a thread of its own, so that no other work of the run makes it late, and starts what it does
//! on a fixed schedule whether or not earlier work has ended (open loop). What it could not do itself it reports as
//! missing; it never stays silent about it.

pub(crate) mod command;
pub(crate) mod exchange;
mod exec;
mod fleet_host;
mod host;
mod http;
mod open_loop;
pub mod pace;
pub(crate) mod prometheus;
pub mod reach;
pub mod sample;
mod tcp;
#[cfg(test)]
mod test_server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub use self::fleet_host::{FleetSubject, LostHosts};
pub use self::host::Subject;
use self::pace::{Lateness, Schedule};
use self::reach::Reach;
use self::sample::{Reading, Sample};
use crate::experiment::document::Signal;

/// What a source must know of its run.
#[derive(Clone)]
pub struct SignalContext {
    /// When the run began: samples count seconds from here.
    pub epoch: Instant,
    /// Whom each `host` signal with a target (`of`) reads, by the signal's name.
    pub subjects: BTreeMap<String, Subject>,
    /// On a fleet, the hosts that each `host` signal reads, by the signal's name.
    pub fleet: Option<BTreeMap<String, FleetSubject>>,
}

impl std::fmt::Debug for SignalContext {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let subjects: Vec<_> = self.subjects.keys().collect();
        formatter.debug_struct("SignalContext").field("epoch", &self.epoch).field("subjects", &subjects).finish()
    }
}

impl SignalContext {
    /// The context of a run that began at `epoch` and whose `host` signals read the host itself.
    pub fn new(epoch: Instant) -> Self {
        Self { epoch, subjects: BTreeMap::new(), fleet: None }
    }
}

/// Why a signal cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("signal `{signal}`: {reason}")]
pub struct SignalError {
    /// Its name in the document.
    pub signal: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A signal that is ready to be read.
#[derive(Debug)]
pub struct Source {
    name: String,
    epoch: Instant,
    lateness: Arc<Lateness>,
    kind: Kind,
    reach: Reach,
}

#[derive(Debug)]
enum Kind {
    Http(http::HttpProber),
    Tcp(tcp::TcpProber),
    Prometheus(prometheus::PrometheusReader),
    Exec(exec::CommandProber),
    Host(host::KernelReader),
    Fleet(fleet_host::FleetReader),
}

/// Checks a signal and makes it ready. Nothing is sent yet.
///
/// # Errors
/// If the document's values cannot be used: a URL, an address, a header, an empty command.
pub fn build(name: &str, signal: &Signal, context: &SignalContext) -> Result<Source, SignalError> {
    let kind = match signal {
        Signal::Http(signal) => http::HttpProber::new(signal).map(Kind::Http),
        Signal::Tcp(signal) => tcp::TcpProber::new(signal).map(Kind::Tcp),
        Signal::Prometheus(signal) => prometheus::PrometheusReader::new(signal).map(Kind::Prometheus),
        Signal::Exec(signal) => exec::CommandProber::new(signal).map(Kind::Exec),
        Signal::Host(signal) => match &context.fleet {
            None => host::KernelReader::new(signal, context.subjects.get(name)).map(Kind::Host),
            Some(fleet) => match fleet.get(name) {
                Some(subject) => fleet_host::FleetReader::new(signal, subject.clone()).map(Kind::Fleet),
                None => Err("it reads no host of the fleet: give it the target of a fault with `of`".into()),
            },
        },
    };
    let kind = kind.map_err(|reason| SignalError { signal: name.into(), reason })?;
    // On one host, whoever runs it could reach the same himself.
    let reach = if context.fleet.is_some() { reach::of_this_controller() } else { Reach::Everything };
    Ok(Source { name: name.into(), epoch: context.epoch, lateness: Arc::default(), kind, reach })
}

impl Source {
    /// How late this host itself started what the source does, which the source keeps up to date.
    pub fn lateness(&self) -> Arc<Lateness> {
        self.lateness.clone()
    }

    /// Sends samples until `stop`, and ends soon after it: work under way gets a moment to finish and is reported as
    /// missing when it does not. It reads from the network namespace of the calling thread.
    pub async fn run(self, sink: UnboundedSender<Sample>, stop: CancellationToken) {
        let (name, at) = (self.name.clone(), self.epoch.elapsed().as_secs_f64());
        // Whoever drops this future does not want it to go on either.
        let stop = stop.child_token();
        let _stopped_when_dropped = stop.clone().drop_guard();
        let (done, is_done) = oneshot::channel::<()>();
        let failed = sink.clone();
        let thread = std::thread::Builder::new().name(format!("signal {name}")).spawn(move || {
            let outcome = self.run_here(sink, stop);
            let _ = done.send(());
            outcome
        });
        let reason = match thread {
            Ok(thread) => {
                let _ = is_done.await;
                thread.join().unwrap_or_else(|_| Err("its thread broke".into())).err()
            }
            Err(error) => Some(format!("no thread could be started for it: {error}")),
        };
        if let Some(reason) = reason {
            let _ = failed.send(Sample { signal: name, at, reading: Reading::Missing { reason } });
        }
    }

    fn run_here(self, sink: UnboundedSender<Sample>, stop: CancellationToken) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("its event loop could not be set up: {error}"))?;
        reach::keep_to(self.reach);
        let output = open_loop::Output { signal: self.name, sink, stop, lateness: self.lateness };
        let schedule = |interval| Schedule::new(self.epoch, interval);
        let run = async {
            match self.kind {
                Kind::Http(prober) => {
                    pace::take_precedence(prober.rate);
                    let (schedule, limit) = (schedule(prober.rate.interval()), prober.limit());
                    open_loop::run(schedule, limit, output, Arc::new(prober)).await
                }
                Kind::Tcp(prober) => {
                    pace::take_precedence(prober.rate);
                    let (schedule, limit) = (schedule(prober.rate.interval()), prober.limit());
                    open_loop::run(schedule, limit, output, Arc::new(prober)).await
                }
                Kind::Exec(prober) => {
                    open_loop::run(schedule(prober.interval), exec::LIMIT, output, Arc::new(prober)).await
                }
                Kind::Host(reader) => {
                    let schedule = schedule(reader.interval);
                    reader.run(schedule, output).await
                }
                Kind::Fleet(reader) => {
                    let schedule = schedule(reader.interval);
                    reader.run(schedule, output).await
                }
                Kind::Prometheus(reader) => {
                    let schedule = schedule(reader.interval);
                    reader.run(schedule, output).await
                }
            }
        };
        runtime.block_on(run).map_err(|error| format!("its timer failed: {error}"))
    }
}
