//! What a controller counts and measures, for Prometheus.
//!
//! Counters and the histogram live here and are raised by whoever does the thing: of runs they hear as a listener of the
//! dispatcher. What is true at the moment (agents, faults, the halt) is read when the metrics are asked for.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::command::Object;
use super::{Controller, ControllerError};
use crate::access::{Action, Principal};
use crate::dispatch::Listener;
use crate::run::journal::{Entry, Event};
use crate::store::runs::{Run, RunFilter, RunState};

/// A word as a label's value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Word(String);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.as_str().encode(encoder)
    }
}

/// The label of finished runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VerdictLabel {
    verdict: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HostLabel {
    host: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: u32,
}

/// What is counted and measured. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    verdicts: Family<VerdictLabel, Counter>,
    dispatch: Histogram,
    store_errors: Counter,
    answers: Family<StatusLabel, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            verdicts: Family::default(),
            // 1 ms to 16 s.
            dispatch: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            store_errors: Counter::default(),
            answers: Family::default(),
        }
    }
}

impl Listener for Metrics {
    fn entry(&self, _: &Run, entry: &Entry) {
        if let Event::Injected { took, .. } = entry.event {
            self.dispatch.observe(took);
        }
    }

    fn over(&self, run: &Run) {
        let verdict = run.verdict.clone().unwrap_or_else(|| run.state.to_string());
        self.verdicts.get_or_create(&VerdictLabel { verdict: Word(verdict) }).inc();
    }
}

impl Metrics {
    /// The store did not do what it was asked.
    pub fn store_failed(&self) {
        self.store_errors.inc();
    }

    /// The API answered with this status.
    pub fn answered(&self, status: u16) {
        self.answers.get_or_create(&StatusLabel { status: status.into() }).inc();
    }
}

/// The states of runs that are not over: of those there are few, so that they can be counted each time.
const OPEN: [RunState; 5] =
    [RunState::WaitingForApproval, RunState::Queued, RunState::Claimed, RunState::Running, RunState::Closing];

impl Controller {
    /// All metrics, in the text format of OpenMetrics.
    ///
    /// # Errors
    /// If `who` may not. A store out of reach is itself a metric.
    pub async fn exposition(&self, who: &Principal) -> Result<String, ControllerError> {
        self.authorise(who, Action::SeeFleet, &Object::fleet("metrics")).await?;
        let mut registry = Registry::with_prefix("faultline");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of this controller", build);
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let mut gauge = |name: &str, help: &str, value: i64| {
            let gauge: Gauge = Gauge::default();
            gauge.set(value);
            registry.register(name, help, gauge);
        };
        let tally = self.registry.tally();
        gauge("agents_connected", "Agents connected to this controller", whole(tally.connected));
        let help =
            "Agents connected to this controller with faults in place, which live by a lease that heartbeats renew";
        gauge("leases_running", help, whole(tally.leases));
        gauge("faults_active", "Faults in place on hosts connected to this controller", whole(tally.active));
        gauge("faults_stuck", "Faults on those hosts that could not be undone", whole(tally.stuck));
        gauge("runs_driven", "Runs driven by this controller", whole(self.running.len()));
        let filter = RunFilter { states: OPEN.to_vec(), ..RunFilter::default() };
        let stored = async {
            Ok::<_, crate::store::StoreError>((
                self.store.halted().await?,
                self.store.runs(&filter, None, 100_000).await?.0,
                self.store.unclean_hosts().await?,
            ))
        };
        let stored = stored.await;
        gauge("store_up", "Whether the store answered just now", i64::from(stored.is_ok()));
        match stored {
            Ok((halt, open, unclean)) => {
                let unclean: BTreeSet<String> = unclean.into_iter().map(|unclean| unclean.host).collect();
                let help = "Hosts on which a run may have left something, so that no other is put there";
                gauge("hosts_unclean", help, whole(unclean.len()));
                gauge("halted", "Whether the fleet is halted", i64::from(halt.is_some()));
                let runs = Family::<StateLabel, Gauge>::default();
                for state in OPEN {
                    let count = open.iter().filter(|run| run.state == state).count();
                    let label = StateLabel { state: Word(state.as_str().into()) };
                    runs.get_or_create(&label).set(whole(count));
                }
                registry.register("runs", "Runs of the fleet that are not over, by state", runs);
            }
            Err(error) => {
                self.metrics.store_failed();
                tracing::warn!(%error, "the metrics lack what is in the store");
            }
        }
        let ages = Family::<HostLabel, Gauge<f64, AtomicU64>>::default();
        for (host, age) in tally.heard {
            ages.get_or_create(&HostLabel { host: Word(host) }).set(age.as_secs_f64());
        }
        let help = "How long ago this controller heard each host that was connected to it in its life, in seconds";
        registry.register("heartbeat_age_seconds", help, ages);
        let beats = self.registry.beats();
        registry.register("heartbeats", "Heartbeats of agents that were handled", beats.handled);
        registry.register("heartbeat_handling_seconds", "How long a heartbeat takes here, in seconds", beats.seconds);
        let Metrics { verdicts, dispatch, store_errors, answers } = self.metrics.clone();
        registry.register("runs_finished", "Runs that ended at this controller, by verdict, or `cancelled`", verdicts);
        let help = "From the command to a fault being in place on its host, in seconds";
        registry.register("dispatch_seconds", help, dispatch);
        registry.register("store_errors", "Operations that the store did not do", store_errors);
        registry.register("api_answers", "Answers of the HTTP API, by status", answers);
        let mut text = String::new();
        encode(&mut text, &registry).map_err(|error| ControllerError::Broken(error.to_string()))?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::controller::fixture::{Fixture, somebody};

    #[tokio::test]
    async fn the_names_and_kinds_of_the_metrics_stay() {
        let fixture = Fixture::new().await;
        fixture.host("db-1", &[]).await;
        fixture.controller.metrics().answered(200);
        let label = VerdictLabel { verdict: Word("held".into()) };
        fixture.controller.metrics().verdicts.get_or_create(&label).inc();
        let beat = faultline_agent::session::wire::Heartbeat::default();
        let registry = fixture.controller.registry();
        let line = registry.line("db-1").unwrap();
        for _ in 0..3 {
            registry.beat("db-1", &line, beat.clone());
        }
        let text = fixture.controller.exposition(&somebody("ann", Role::Viewer)).await.unwrap();
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE faultline_")).collect();
        names.sort_unstable();
        insta::assert_snapshot!(names.join("\n"), @r"
        agents_connected gauge
        api_answers counter
        build info
        dispatch_seconds histogram
        faults_active gauge
        faults_stuck gauge
        halted gauge
        heartbeat_age_seconds gauge
        heartbeat_handling_seconds histogram
        heartbeats counter
        hosts_unclean gauge
        leases_running gauge
        runs gauge
        runs_driven gauge
        runs_finished counter
        store_errors counter
        store_up gauge
        ");
        let said = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        assert_eq!(said("faultline_heartbeats_total 3"), 1, "{text}");
        assert_eq!(said("faultline_heartbeat_handling_seconds_count 3"), 1, "{text}");
        assert_eq!(said("faultline_heartbeat_age_seconds{host=\"db-1\"} "), 1, "{text}");
        assert_eq!(said("faultline_agents_connected 1"), 1, "{text}");
        assert_eq!(said("faultline_leases_running 0"), 1, "{text}");
    }
}
