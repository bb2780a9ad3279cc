//! The types of an experiment document. `deny_unknown_fields` throughout: a misspelt key is an error, never ignored.

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use faultline_agent::facts::{Pick, ProcessSelector};
use faultline_agent::fault::AnyFault;
use faultline_agent::units::{Percent, Rate, TimeSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The one version of the document's format.
pub const API_VERSION: &str = "faultline.dev/v1";

/// A whole experiment: what should hold, what is done, and to whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Experiment {
    /// `faultline.dev/v1`.
    pub api_version: ApiVersion,
    /// `Experiment`.
    pub kind: Kind,
    /// Its name and labels.
    pub metadata: Metadata,
    /// What it is.
    pub spec: Spec,
}

/// The format's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first one.
    #[serde(rename = "faultline.dev/v1")]
    V1,
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// One experiment.
    Experiment,
}

/// Name and labels, as Kubernetes writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The experiment's name: lower-case letters, digits and dashes, at most 63.
    pub name: String,
    /// Labels, to select by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Notes for people and other programs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The experiment itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// The sentence that the experiment tests.
    pub hypothesis: String,
    /// Programs that the run starts itself and takes down again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, Service>,
    /// The network in which `services` run: a namespace of their own, in which signals and faults act too, or the host's.
    #[serde(default)]
    pub network: ServiceNetwork,
    /// Where samples come from.
    pub signals: BTreeMap<String, Signal>,
    /// What must hold before, during and again after the fault.
    pub steady_state: Vec<Objective>,
    /// Bounds whose breach aborts the run and undoes everything at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guardrails: Vec<Objective>,
    /// Whom the faults meet, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, Target>,
    /// What is done, in order.
    pub method: Vec<MethodStep>,
    /// How soon everything must be steady again.
    #[serde(default)]
    pub recovery: Recovery,
    /// The seed of everything left to chance; drawn and recorded when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The probability with which a verdict of a healthy objective may be wrong (5% unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<Percent>,
}

/// The network of the services that the run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceNetwork {
    /// A network namespace made for the run, with loopback only.
    #[default]
    Private,
    /// The host's own.
    Host,
}

/// A program that the run starts and takes down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// The program and its arguments; no shell is involved. `faultline` as the program means this very binary.
    pub run: Vec<String>,
    /// Variables added to its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The folder in which it runs; a scratch folder of the run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// The user whose rights it gets (root only), by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How to know that it is up; without it, it counts as up once it has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// Services that must be up first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Whether it is started again when it ends, and how soon; not at all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
}

/// Starting a service again when it ends, as a supervisor would.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restart {
    /// How long to wait before each new start.
    pub after: TimeSpan,
}

/// How to know that a service is up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ready {
    /// A URL that answers with a status below 400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// An address that accepts a TCP connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    /// A command that exits with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<Vec<String>>,
    /// How long it may take (30 s unless told).
    #[serde(default = "default_ready_within")]
    pub within: TimeSpan,
}

fn default_ready_within() -> TimeSpan {
    TimeSpan::from_secs(30)
}

/// Where the samples of a signal come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// Requests that we send ourselves, at a fixed rate.
    Http(HttpSignal),
    /// Connections that we open ourselves, at a fixed rate.
    Tcp(TcpSignal),
    /// Counters or a value read from Prometheus.
    Prometheus(PrometheusSignal),
    /// A command of the user's own.
    Exec(ExecSignal),
    /// The agent's own reading of the kernel.
    Host(HostSignal),
}

/// An open-loop HTTP prober: requests start on time whether or not earlier ones were answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpSignal {
    /// What is requested.
    pub url: String,
    /// How many requests start a second.
    pub rate: Rate,
    /// After how long a request counts as failed (2 s unless told).
    #[serde(default = "default_timeout")]
    pub timeout: TimeSpan,
    /// The method (GET unless told).
    #[serde(default = "default_method")]
    pub method: String,
    /// Header fields to send.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A body to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The statuses that count as good (200 to 399 unless told): `200`, `200-299`, `404`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect_status: Vec<StatusRange>,
    /// A text that a good answer's body holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_body: Option<String>,
    /// Whether connections are kept for the next request (no, unless told: each request then measures its own connection).
    #[serde(default)]
    pub keep_alive: bool,
}

fn default_timeout() -> TimeSpan {
    TimeSpan::from_secs(2)
}

fn default_method() -> String {
    "GET".into()
}

/// One status or a range of them, written `200` or `200-299`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// The first that counts.
    pub first: u16,
    /// The last that counts.
    pub last: u16,
}

/// An open-loop TCP prober: connect, perhaps send, perhaps wait for a first answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TcpSignal {
    /// Host and port.
    pub address: String,
    /// How many connections start a second.
    pub rate: Rate,
    /// After how long one counts as failed (2 s unless told).
    #[serde(default = "default_timeout")]
    pub timeout: TimeSpan,
    /// What to send once connected, with `\r`, `\n`, `\t`, `\\`, and `\xHH` escapes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<String>,
    /// What the answer must hold; latency then ends with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
}

/// Queries to a Prometheus server: `bad` and `total` counters, or one `value`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrometheusSignal {
    /// The server.
    pub url: String,
    /// A query of a raw counter of bad events (no `rate()`): its growth is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<String>,
    /// A query of a raw counter of all events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
    /// A query of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// How often to ask (1 s unless told; a scrape interval is a good choice).
    #[serde(default = "default_interval")]
    pub interval: TimeSpan,
    /// After how long an answer counts as missing (2 s unless told).
    #[serde(default = "default_timeout")]
    pub timeout: TimeSpan,
}

fn default_interval() -> TimeSpan {
    TimeSpan::from_secs(1)
}

/// A command run again and again, without a shell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecSignal {
    /// The program and its arguments.
    pub run: Vec<String>,
    /// What it tells: good or bad by its exit code, or a number on its standard output.
    #[serde(default)]
    pub read: ExecReading,
    /// How often it starts (1 s unless told).
    #[serde(default = "default_interval")]
    pub interval: TimeSpan,
    /// After how long it is ended and counts as failed (2 s unless told).
    #[serde(default = "default_timeout")]
    pub timeout: TimeSpan,
}

/// What a command's end tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
pub enum ExecReading {
    /// Exit code 0 is good, any other bad.
    #[default]
    ExitCode,
    /// The number on standard output is a value.
    Number,
}

/// The agent's own reading of the kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostSignal {
    /// The target whose host, processes or cgroup is read; the host of the run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// How often it is read (1 s unless told).
    #[serde(default = "default_interval")]
    pub interval: TimeSpan,
    /// The path whose file system `disk` means (`/` unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

/// One bound on one golden signal. Exactly one of `latency`, `errors`, `traffic`, `saturation` and `value` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objective {
    /// The signal that it bounds.
    pub signal: String,
    /// A quantile of the latency stays below a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyBound>,
    /// The share of bad events stays below a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<ErrorBound>,
    /// As much is served as before, or as a rate says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficBound>,
    /// A resource is used less than a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturation: Option<SaturationBound>,
    /// A value stays within bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueBound>,
}

/// A bound on a latency quantile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LatencyBound {
    /// Which quantile, above 0 and below 1: 0.99 is the 99th percentile.
    pub quantile: f64,
    /// The time below which it stays. A failed request counts as slower than any bound.
    pub below: TimeSpan,
}

/// A bound on the share of bad events.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ErrorBound {
    /// The percentage below which it stays.
    pub below: Percent,
}

/// A bound on how much is served.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrafficBound {
    /// At least this: a rate, or a percentage with `of: baseline`.
    pub at_least: TrafficFloor,
    /// What a percentage is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Reference>,
}

/// A rate, or a share of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TrafficFloor {
    /// So many good events a second.
    Rate(Rate),
    /// So much of the reference's rate.
    Share(Percent),
}

/// What a share is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    /// The same signal before the fault.
    Baseline,
}

/// A bound on the use of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SaturationBound {
    /// Which resource.
    pub resource: Resource,
    /// The percentage below which its use stays.
    pub below: Percent,
}

/// A resource whose use the agent reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Time in which the processors worked.
    Cpu,
    /// Memory that is not available.
    Memory,
    /// Space of the file system, as `df` counts it.
    Disk,
    /// Time in which some task waited for a processor (pressure, PSI `some`).
    CpuPressure,
    /// Time in which some task waited for memory.
    MemoryPressure,
    /// Time in which some task waited for input or output.
    IoPressure,
}

/// Bounds on a value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValueBound {
    /// It stays below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// It is at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
}

/// Whom a fault meets. With nothing but `pick`, or nothing at all: the host of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// Which hosts; the host of the run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<HostSelector>,
    /// A service that this run started: its processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Processes, by what they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessSelector>,
    /// A cgroup and everything in it, by its path below the cgroup mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<PathBuf>,
    /// A network namespace, by its name below /run/netns or by a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_namespace: Option<PathBuf>,
    /// How many of those found.
    #[serde(default)]
    pub pick: Pick,
}

/// Which hosts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostSelector {
    /// Hosts that bear all these labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// One step of the method: exactly one of `observe`, `inject` and `together`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MethodStep {
    /// Watch for a while. Before the first fault this is the baseline.
    Observe(TimeSpan),
    /// Inject one fault for a while.
    Inject(Inject),
    /// Inject several at the same time.
    Together(Vec<Inject>),
}

/// One fault on one target for one length of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inject {
    /// Which fault.
    pub fault: AnyFault,
    /// On which target; the host of the run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// For how long.
    #[serde(rename = "for")]
    pub lasts: TimeSpan,
}

/// How soon everything must be steady again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recovery {
    /// Within this time after the undo (60 s unless told).
    pub within: TimeSpan,
}

impl Default for Recovery {
    fn default() -> Self {
        Self { within: TimeSpan::from_secs(60) }
    }
}

impl StatusRange {
    /// Whether a status is in the range.
    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl std::str::FromStr for StatusRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not an HTTP status (200) or a range of them (200-299)");
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let parse = |part: &str| part.trim().parse::<u16>().ok().filter(|status| (100..=599).contains(status));
        match (parse(first), parse(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(refuse()),
        }
    }
}

impl std::fmt::Display for StatusRange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(formatter, "{}", self.first)
        } else {
            write!(formatter, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for StatusRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StatusRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Notation;
        impl serde::de::Visitor<'_> for Notation {
            type Value = StatusRange;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an HTTP status (200) or a range of them (200-299)")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<StatusRange, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<StatusRange, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Notation)
    }
}

impl JsonSchema for StatusRange {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StatusRange".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "integer"],
            "description": "An HTTP status (200) or a range of them (200-299).",
            "pattern": "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$",
        })
    }
}
