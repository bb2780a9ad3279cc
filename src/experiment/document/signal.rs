use std::collections::BTreeMap;
use std::path::PathBuf;

use faultline_agent::units::{Rate, TimeSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StatusRange;

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
