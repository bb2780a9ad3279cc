//! Counters or a value read from Prometheus, by instant queries of raw counters: `rate()` would smear the time before
//! the fault over the time during it. Whatever is not a plain answer is missing: never zero, never good.

mod answer;
mod growth;

use std::io;
use std::time::{Duration, Instant, SystemTime};

use faultline_agent::units::TimeSpan;
use http::Request;
use http::header::{ACCEPT, CONNECTION, HOST};
use http_body_util::Full;
use hyper::body::Bytes;

use self::answer::Series;
use self::growth::Counters;
use super::exchange::{Endpoint, drain, send};
use super::open_loop::Output;
use super::pace::{ExactTimer, Schedule};
use super::sample::Reading;
use crate::experiment::document::PrometheusSignal;

/// The longest answer that is read.
const LONGEST: usize = 8 << 20;
/// How long an answer that is asked for once may take: it may be about a month of samples.
const ASKED_ONCE: TimeSpan = TimeSpan::from_secs(10);
/// The label by which one query carries several: so they are evaluated at the same moment, on the same data.
const PART: &str = "faultline_part";

#[derive(Debug)]
pub(super) struct PrometheusReader {
    pub(super) interval: Duration,
    endpoint: Endpoint,
    timeout: TimeSpan,
    query: String,
    asked: Asked,
    counters: Counters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Counts,
    Value,
}

impl PrometheusReader {
    pub(super) fn new(signal: &PrometheusSignal) -> Result<Self, String> {
        let mut endpoint = Endpoint::parse(&signal.url)?;
        if endpoint.path.contains('?') {
            return Err(format!("`{}` holds a query; give the server's address alone", signal.url));
        }
        endpoint.path = format!("{}/api/v1/query", endpoint.path.trim_end_matches('/'));
        if signal.interval < TimeSpan::from_millis(10) {
            return Err("`interval` must be at least 10ms".into());
        }
        if signal.timeout.is_zero() {
            return Err("`timeout` is 0: nothing can be that fast".into());
        }
        let (parts, asked) = match (&signal.bad, &signal.total, &signal.value) {
            (Some(bad), Some(total), None) => (vec![("bad", bad), ("total", total)], Asked::Counts),
            (None, None, Some(value)) => (vec![("value", value)], Asked::Value),
            _ => return Err("give either both `bad` and `total`, or `value` alone".into()),
        };
        for (name, query) in &parts {
            if query.trim().is_empty() {
                return Err(format!("`{name}` is an empty query"));
            }
        }
        Ok(Self {
            interval: signal.interval.duration(),
            endpoint,
            timeout: signal.timeout,
            query: compose(&parts),
            asked,
            counters: Counters::default(),
        })
    }

    /// Asks at every moment of the schedule. An answer that comes after later moments makes these missing.
    pub(super) async fn run(mut self, schedule: Schedule, output: Output) -> io::Result<()> {
        let timer = ExactTimer::new()?;
        let mut number = schedule.first_from(Instant::now());
        loop {
            tokio::select! {
                biased;
                () = output.stop.cancelled() => return Ok(()),
                waited = timer.until(schedule.moment(number)) => waited?,
            }
            let at = schedule.at(number);
            output.lateness.note(schedule.moment(number).elapsed());
            tokio::select! {
                biased;
                reading = self.read() => if let Some(reading) = reading {
                    output.send(at, reading);
                },
                () = output.stop.cancelled() => return Ok(()),
            }
            let next = schedule.first_from(Instant::now()).max(number + 1);
            for skipped in number + 1..next {
                output.missing(schedule.at(skipped), "not asked: the answer before came too late");
            }
            number = next;
        }
    }

    /// One reading; nothing while counters have only been seen once.
    async fn read(&mut self) -> Option<Reading> {
        let asked = tokio::time::timeout(self.timeout.duration(), self.ask()).await;
        let series = asked.unwrap_or_else(|_| Err(format!("timeout after {}", self.timeout)));
        let series = series.and_then(|series| answer::refuse_stale(series, 2.0 * self.interval.as_secs_f64()));
        let reading = match (self.asked, series) {
            (Asked::Value, series) => series.and_then(|series| single_value(&series)).map(Some),
            (Asked::Counts, Ok(series)) => self.counters.grow(&series),
            (Asked::Counts, Err(reason)) => Err(reason),
        };
        match reading {
            Ok(reading) => reading,
            Err(reason) => Some(Reading::Missing { reason }),
        }
    }

    async fn ask(&self) -> Result<Vec<Series>, String> {
        let mut sender = self.endpoint.connect().await.map_err(|failure| failure.into_reason())?;
        // By POST, since a long query does not fit into every server's idea of a URL.
        let request = Request::post(self.endpoint.path.as_str())
            .header(HOST, self.endpoint.authority.clone())
            .header(CONNECTION, "close")
            .header(ACCEPT, "application/json")
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(format!("query={}", form_encoded(&self.query)))))
            .map_err(|error| error.to_string())?;
        let response = send(&mut sender, request).await.map_err(|unanswered| unanswered.failure.into_reason())?;
        let status = response.status().as_u16();
        let body = drain(response.into_body(), LONGEST).await.map_err(|failure| failure.into_reason())?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        answer::parse(status, &body, now)
    }
}

/// The number that a query is answered by, asked once of the server of a signal.
///
/// # Errors
/// In words, why there is no such number.
pub(crate) async fn number(signal: &PrometheusSignal, query: String) -> Result<f64, String> {
    let value = PrometheusSignal { bad: None, total: None, value: Some(query), timeout: ASKED_ONCE, ..signal.clone() };
    match PrometheusReader::new(&value)?.read().await {
        Some(Reading::Value { value }) => Ok(value),
        Some(Reading::Missing { reason }) => Err(reason),
        _ => Err("the answer holds no value".into()),
    }
}

fn single_value(series: &[Series]) -> Result<Reading, String> {
    match series {
        [one] => Ok(Reading::Value { value: one.value }),
        [] => Err("`value` has no series".into()),
        more => Err(format!("`value` has {} series where one is expected; aggregate them, as with sum()", more.len())),
    }
}

/// One query for all parts. Of a plain selector the time of its sample is asked too: an answer itself always bears the
/// time of the question, however old the sample.
fn compose(parts: &[(&str, &String)]) -> String {
    let labelled = |query: &str, part: &str| format!("label_replace({query}\n, \"{PART}\", \"{part}\", \"\", \"\")");
    let mut queries = Vec::new();
    for (name, query) in parts {
        queries.push(labelled(query, name));
        if is_plain_selector(query) {
            queries.push(labelled(&format!("timestamp({query}\n)"), &format!("{name}-time")));
        }
    }
    queries.join(" or ")
}

/// Whether a query is a metric's name, perhaps with matchers, and nothing else.
fn is_plain_selector(query: &str) -> bool {
    let query = query.trim();
    let (name, rest) = query.split_at(query.find('{').unwrap_or(query.len()));
    let word = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == ':';
    let matchers = rest.is_empty() || (rest.ends_with('}') && rest.matches(['{', '}', '\n', '#']).count() == 2);
    !name.is_empty() && name.chars().all(word) && !name.starts_with(|first: char| first.is_ascii_digit()) && matchers
}

fn form_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests;
