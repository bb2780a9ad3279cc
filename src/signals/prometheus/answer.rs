//! What Prometheus answers, and all the ways in which that is no number.
//! Format: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::PART;

/// One series of an answer; its value is finite.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// Which of the queries it answers.
    pub(super) part: String,
    /// Its labels in one canonical text.
    pub(super) labels: String,
    pub(super) value: f64,
    /// When the query was evaluated, in seconds since 1970.
    pub(super) evaluated: f64,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct VectorElement {
    metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
}

/// Reads an answer. `now` is this host's clock.
pub(super) fn parse(status: u16, body: &[u8], now: f64) -> Result<Vec<Series>, String> {
    let answer: Answer = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(_) if status != 200 => return Err(format!("Prometheus answered with status {status}")),
        Err(error) => return Err(format!("not an answer of Prometheus: {error}")),
    };
    if answer.status != "success" {
        return Err(format!("Prometheus refused the query ({}): {}", answer.error_type, answer.error));
    }
    if status != 200 {
        return Err(format!("Prometheus answered with status {status}"));
    }
    if !answer.warnings.is_empty() {
        return Err(format!("Prometheus warned: {}", answer.warnings.join("; ")));
    }
    let data = answer.data.ok_or("the answer holds no data")?;
    if data.result_type != "vector" {
        return Err(format!("the answer is a {} where an instant vector is expected", data.result_type));
    }
    let elements: Vec<VectorElement> =
        serde_json::from_value(data.result).map_err(|error| format!("not an answer of Prometheus: {error}"))?;
    if elements.is_empty() {
        return Err("the query has no series (an empty answer is not zero)".into());
    }
    elements.into_iter().map(|element| series(element, now)).collect()
}

fn series(element: VectorElement, now: f64) -> Result<Series, String> {
    let VectorElement { mut metric, value } = element;
    let part = metric.remove(PART).unwrap_or_default();
    let labels: Vec<String> = metric.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let labels = format!("{{{}}}", labels.join(","));
    let (evaluated, text) = value.ok_or_else(|| format!("{labels} is a histogram, not a number"))?;
    // Prometheus writes NaN, +Inf and -Inf, which Rust reads as numbers too.
    let value: f64 = text.parse().map_err(|_| format!("{labels} has the value `{text}`, which is not a number"))?;
    if !value.is_finite() {
        return Err(format!("{labels} is {text}"));
    }
    if !evaluated.is_finite() || (now - evaluated).abs() > 3600.0 {
        return Err(format!("{labels} bears the time {evaluated}, which is not of this hour by this host's clock"));
    }
    Ok(Series { part, labels, value, evaluated })
}

/// Takes out the series that tell when samples were taken (seconds since 1970), and refuses the answer if one of the
/// samples is older than `most` seconds.
pub(super) fn refuse_stale(series: Vec<Series>, most: f64) -> Result<Vec<Series>, String> {
    let (times, values): (Vec<_>, Vec<_>) = series.into_iter().partition(|series| series.part.ends_with("-time"));
    let oldest = times.iter().map(|time| time.evaluated - time.value).fold(0.0, f64::max);
    if oldest > most {
        return Err(format!(
            "the newest sample is {oldest:.1} s old, more than two intervals: is the target scraped? \
             (`interval` should be Prometheus' own scrape interval)"
        ));
    }
    Ok(values)
}
