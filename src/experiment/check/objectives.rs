use faultline_agent::units::TimeSpan;

use super::{Findings, at};
use crate::document::yaml::Path;
use crate::experiment::document::{Allowance, ExecReading, Objective, Reference, Resource, Signal, Spec, TrafficFloor};

/// The steady state and the guardrails.
pub(super) fn check(spec: &Spec, findings: &mut Findings<'_>) {
    for (list, objectives) in [("steadyState", &spec.steady_state), ("guardrails", &spec.guardrails)] {
        for (index, objective) in objectives.iter().enumerate() {
            let path = at!["spec", list, index];
            if objectives[..index].contains(objective) && findings.is_whole(&at!["spec", list]) {
                findings.warn(&path, "the same objective stands in this list before", "");
            }
            one(&path, objective, spec, findings);
            if list == "guardrails" {
                guards(&path, objective, findings);
            }
        }
    }
    let path = at!["spec", "steadyState"];
    if spec.steady_state.is_empty() && findings.is_whole(&path) {
        findings.error(
            &path,
            "there is no objective, so nothing would be judged",
            "say what must hold, as in `- { signal: checkout, errors: { below: 1% } }`",
        );
    }
}

fn one(path: &Path, objective: &Objective, spec: &Spec, findings: &mut Findings<'_>) {
    // A reference to an SLO that could not be followed was told of already.
    if objective.slo.is_some() && objective.signal.is_empty() {
        return;
    }
    let given: Vec<&str> = [
        ("latency", objective.latency.is_some()),
        ("errors", objective.errors.is_some()),
        ("traffic", objective.traffic.is_some()),
        ("saturation", objective.saturation.is_some()),
        ("value", objective.value.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, given)| given.then_some(key))
    .collect();
    match given.as_slice() {
        [_] => {}
        [] if findings.is_whole(path) => findings.error(
            path,
            "this objective bounds nothing",
            "give one of `latency`, `errors`, `traffic`, `saturation`, `value`",
        ),
        [] => {}
        [_, second, ..] => findings.error_at_key(
            &path.join(*second),
            format!("an objective has one bound, here are `{}`", given.join("`, `")),
            "write an objective for each",
        ),
    }
    bounds(path, objective, findings);
    for (key, of) in [
        ("latency", objective.latency.as_ref().and_then(|bound| bound.of.as_ref())),
        ("errors", objective.errors.as_ref().and_then(|bound| bound.of.as_ref())),
        ("traffic", objective.traffic.as_ref().and_then(|bound| bound.of.as_ref())),
    ] {
        reference(path, of, key, objective, spec, findings);
    }
    if objective.signal.is_empty() {
        if findings.is_whole(&path.join("signal")) {
            findings.error(path, "`signal` is missing here", "name one of `signals`, or write `{ slo: NAME }`");
        }
        return;
    }
    // The signal of an SLO is no text of the document: it was made, or found, when the reference was followed.
    let known = objective.slo.is_some()
        || findings.refers(&path.join("signal"), &objective.signal, &at!["spec", "signals"], "signal");
    // A signal that did not fit its type is there, but what it offers cannot be said.
    if let (true, Some(signal)) = (known, spec.signals.get(&objective.signal)) {
        let (kind, offers) = offers(signal);
        for bound in given {
            if !offers.contains(&bound) {
                findings.error_at_key(
                    &path.join(bound),
                    format!("`{}` is {kind}, which has no {}", objective.signal, in_words(bound)),
                    format!("it can be judged by `{}`", offers.join("`, `")),
                );
            }
        }
        against_the_signal(path, objective, signal, findings);
    }
}

/// A guardrail is judged every moment, by a bound of its own.
fn guards(path: &Path, objective: &Objective, findings: &mut Findings<'_>) {
    let hint = "give it `below`; what is relative belongs under `steadyState`";
    let relative = [
        ("latency", objective.latency.as_ref().is_some_and(|bound| bound.at_most.is_some())),
        ("errors", objective.errors.as_ref().is_some_and(|bound| bound.at_most.is_some())),
    ];
    for (key, _) in relative.iter().filter(|(_, relative)| *relative) {
        findings.error(&path.join(*key).join("atMost"), "a guardrail needs a bound that does not move", hint);
    }
    if objective.traffic.as_ref().is_some_and(|bound| matches!(bound.of, Some(Reference::Control(_)))) {
        let hint = "give it a rate, or a percentage of the baseline";
        findings.error(&path.join("traffic").join("of"), "a guardrail is not compared with a control", hint);
    }
}

/// What a relative bound is compared with must be there, and must be something else.
fn reference(
    path: &Path,
    of: Option<&Reference>,
    key: &'static str,
    objective: &Objective,
    spec: &Spec,
    findings: &mut Findings<'_>,
) {
    let Some(Reference::Control(control)) = of else { return };
    let at = path.join(key).join("of").join("control");
    if *control == objective.signal {
        findings.error(&at, "a signal is no control of itself", "name one that reads untouched replicas");
        return;
    }
    let known = findings.refers(&at, control, &at!["spec", "signals"], "signal");
    let (true, Some(signal)) = (known, spec.signals.get(control)) else { return };
    let (kind, offered) = offers(signal);
    if !offered.contains(&key) {
        findings.error(
            &at,
            format!("`{control}` is {kind}, which has no {} to compare with", in_words(key)),
            "a control is of the same kind as the signal",
        );
    }
}

/// Either `below`, or `atMost` with `of`.
fn one_limit(path: &Path, below: bool, at_most: Option<Allowance>, of: bool, findings: &mut Findings<'_>) {
    match (below, at_most, of) {
        (true, Some(_), _) => {
            findings.error(&path.join("atMost"), "`below` and `atMost` are two bounds", "write an objective for each");
        }
        (true, None, true) => {
            findings.error(&path.join("of"), "`below` stands for itself", "leave `of` out, or write `atMost`");
        }
        (false, Some(allowed), false) => findings.error(
            &path.join("atMost"),
            format!("{allowed} over what?"),
            "write `of: baseline`, or `of: { control: SIGNAL }`, beside it",
        ),
        (false, None, _) if findings.is_whole(path) => {
            findings.error_at_key(path, "it bounds nothing", "give `below`, or `atMost` with `of`");
        }
        _ => {}
    }
    if at_most.is_some_and(|allowed| {
        matches!(allowed, Allowance::Percent(0.0) | Allowance::Points(0.0))
            || allowed == Allowance::Time(TimeSpan::ZERO)
    }) {
        findings.warn(
            &path.join("atMost"),
            "with no margin at all only what is better than its reference is ever shown to hold",
            "allow a little, such as +5%",
        );
    }
}

fn in_words(bound: &str) -> &str {
    match bound {
        "errors" => "errors to count",
        other => other,
    }
}

/// What kind of signal it is, and by which bounds it can be judged.
fn offers(signal: &Signal) -> (&'static str, &'static [&'static str]) {
    const REQUESTS: &[&str] = &["latency", "errors", "traffic"];
    match signal {
        Signal::Http(_) => ("an HTTP prober", REQUESTS),
        Signal::Tcp(_) => ("a TCP prober", REQUESTS),
        Signal::Prometheus(signal) if signal.value.is_some() => ("a Prometheus value", &["value"]),
        Signal::Prometheus(_) => ("a pair of Prometheus counters", &["errors", "traffic"]),
        Signal::Exec(signal) => match signal.read {
            ExecReading::ExitCode => ("a command with an exit code", REQUESTS),
            ExecReading::Number => ("a command with a number", &["value"]),
        },
        Signal::Host(_) => ("a host reading", &["saturation"]),
    }
}

/// Bounds that no measurement, or every measurement, would meet.
fn bounds(path: &Path, objective: &Objective, findings: &mut Findings<'_>) {
    if let Some(bound) = &objective.latency {
        let path = path.join("latency");
        one_limit(&path, bound.below.is_some(), bound.at_most, bound.of.is_some(), findings);
        if let Some(Allowance::Points(_)) = bound.at_most {
            findings.error(
                &path.join("atMost"),
                "a latency is no percentage",
                "write a time such as +20ms, or +10% of the reference",
            );
        }
        if !(bound.quantile > 0.0 && bound.quantile < 1.0) {
            let percent = bound.quantile > 1.0 && bound.quantile < 100.0;
            let hint = if percent {
                format!("for the {}th percentile write {}", bound.quantile, bound.quantile / 100.0)
            } else {
                "0.5 is the median, 0.99 the 99th percentile".into()
            };
            findings.error(&path.join("quantile"), format!("{} is not between 0 and 1", bound.quantile), hint);
        }
        if let Some(below) = bound.below {
            findings.time(&path.join("below"), below);
        }
    }
    if let Some(bound) = &objective.errors {
        let path = path.join("errors");
        one_limit(&path, bound.below.is_some(), bound.at_most, bound.of.is_some(), findings);
        if let Some(Allowance::Time(_)) = bound.at_most {
            findings.error(
                &path.join("atMost"),
                "errors are no time",
                "write percentage points such as +0.5pp, or +50% of the reference",
            );
        }
        if let Some(Allowance::Percent(_)) = bound.at_most {
            findings.warn(
                &path.join("atMost"),
                "of a reference without a single error every percentage is nothing, and stays inconclusive",
                "write percentage points, such as +0.5pp",
            );
        }
        if let Some(below) = bound.below {
            share(&path.join("below"), below.number(), findings);
        }
    }
    if let Some(bound) = objective.saturation {
        let path = path.join("saturation").join("below");
        share(&path, bound.below.number(), findings);
        let pressure =
            matches!(bound.resource, Resource::CpuPressure | Resource::MemoryPressure | Resource::IoPressure);
        if pressure && bound.below.number() >= 90.0 {
            findings.warn(&path, "so high a pressure is almost never reached", "10% is much already");
        }
    }
    if let Some(bound) = &objective.traffic {
        let path = path.join("traffic");
        match (bound.at_least, &bound.of) {
            (TrafficFloor::Share(share), None) => findings.error(
                &path.join("atLeast"),
                format!("{share} of what?"),
                "write `of: baseline` beside it, or a rate such as 50/s",
            ),
            (TrafficFloor::Rate(rate), Some(_)) => findings.error(
                &path.join("atLeast"),
                format!("`of` needs a percentage, and {rate} is a rate"),
                "write a percentage such as 80%, or leave `of` out",
            ),
            (TrafficFloor::Share(share), Some(_)) if share.number() == 0.0 => {
                findings.error(&path.join("atLeast"), "no traffic at all would meet this", "");
            }
            _ => {}
        }
    }
    if let Some(bound) = objective.value {
        let path = path.join("value");
        for (key, number) in [("below", bound.below), ("atLeast", bound.at_least)] {
            if number.is_some_and(|number| !number.is_finite()) {
                findings.error(&path.join(key), "this is not a finite number", "");
            }
        }
        match (bound.at_least, bound.below) {
            (None, None) => findings.error_at_key(&path, "`below` or `atLeast` is missing", ""),
            (Some(least), Some(below)) if least >= below => {
                findings.error(&path.join("atLeast"), format!("nothing is at least {least} and below {below}"), "");
            }
            _ => {}
        }
    }
}

fn share(path: &Path, percent: f64, findings: &mut Findings<'_>) {
    if percent == 0.0 {
        findings.error(path, "nothing is below 0%", "for as good as none write 0.1%");
    } else if percent == 100.0 {
        findings.warn(path, "everything but all is below 100%", "is so weak a bound meant?");
    }
}

/// Bounds that this very signal cannot meet, or cannot miss.
fn against_the_signal(path: &Path, objective: &Objective, signal: &Signal, findings: &mut Findings<'_>) {
    let (timeout, rate) = match signal {
        Signal::Http(signal) => (signal.timeout, Some(signal.rate)),
        Signal::Tcp(signal) => (signal.timeout, Some(signal.rate)),
        Signal::Exec(signal) => (signal.timeout, None),
        Signal::Prometheus(_) | Signal::Host(_) => return,
    };
    if let Some(below) = objective.latency.as_ref().and_then(|bound| bound.below).filter(|below| *below > timeout) {
        findings.warn(
            &path.join("latency").join("below"),
            format!("a request counts as failed after {timeout}, before it can be as slow as {below}"),
            "raise the signal's `timeout`, or lower this bound",
        );
    }
    if let (Some(bound), Some(rate)) = (&objective.traffic, rate)
        && let TrafficFloor::Rate(floor) = bound.at_least
        && floor.count_per_second() > rate.count_per_second()
    {
        findings.error(
            &path.join("traffic").join("atLeast"),
            format!("`{}` sends only {rate}, so {floor} cannot be served", objective.signal),
            "raise the signal's `rate`, or lower this bound",
        );
    }
}
