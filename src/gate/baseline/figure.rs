//! What is measured of each kind of objective.

use crate::experiment::document::{
    ErrorBound, LatencyBound, Objective, SaturationBound, TrafficBound, TrafficFloor, ValueBound, quantile_name,
};

/// What the number is that was measured of an objective, as
/// [`ObjectiveVerdict::measured`](crate::hypothesis::verdict::ObjectiveVerdict) has it.
///
/// Of what is bounded by a reference (`atMost: +10%`) this is the latency or the share of errors itself, not by how much it
/// exceeds the reference: such an excess is often next to nothing, and a percentage of next to nothing says nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Figure {
    /// A quantile of the latency, in milliseconds. There is no number where it falls upon a failed request.
    Latency { quantile: f64 },
    /// Bad events in percent of all.
    Errors,
    /// Good events a second.
    Traffic,
    /// Good events a second in percent of the reference's.
    TrafficOfReference,
    /// The use of a resource, in percent.
    Saturation,
    /// A value in a unit of its own, bounded from above, from below, or from both sides.
    Value { below: bool, at_least: bool },
}

impl Figure {
    /// What is measured of an objective. Every key is named, so that no new kind of objective compiles without an answer.
    pub(super) fn of(objective: &Objective) -> Self {
        let Objective { signal: _, latency, errors, traffic, saturation, value, slo, burn_rate: _ } = objective;
        match (latency, errors, traffic, saturation, value, slo) {
            (Some(LatencyBound { quantile, below: _, at_most: _, of: _ }), ..) => Self::Latency { quantile: *quantile },
            // The target of an SLO, and a burn rate of its budget, are bounds on its share of bad events.
            (None, Some(ErrorBound { below: _, at_most: _, of: _ }), ..) | (None, None, None, None, None, Some(_)) => {
                Self::Errors
            }
            (None, None, Some(TrafficBound { at_least, of: _ }), ..) => match at_least {
                TrafficFloor::Rate(_) => Self::Traffic,
                TrafficFloor::Share(_) => Self::TrafficOfReference,
            },
            (None, None, None, Some(SaturationBound { resource: _, below: _ }), ..) => Self::Saturation,
            (None, None, None, None, Some(ValueBound { below, at_least }), _) => {
                Self::Value { below: below.is_some(), at_least: at_least.is_some() }
            }
            // No run has such an objective: reading its document refuses it.
            (None, None, None, None, None, None) => Self::Value { below: false, at_least: false },
        }
    }

    /// The unit of the number; nothing where it has none that is known.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Latency { .. } => "ms",
            Self::Errors | Self::TrafficOfReference | Self::Saturation => "%",
            Self::Traffic => "/s",
            Self::Value { .. } => "",
        }
    }

    /// Whether more is worse; nothing of a value with bounds on both sides.
    pub(super) fn more_is_worse(self) -> Option<bool> {
        match self {
            Self::Latency { .. } | Self::Errors | Self::Saturation => Some(true),
            Self::Traffic | Self::TrafficOfReference => Some(false),
            Self::Value { below, at_least } => (below != at_least).then_some(below),
        }
    }

    /// What it is where events were judged and there is no number: slower than any.
    pub(super) fn without_limit(self) -> Option<String> {
        match self {
            Self::Latency { quantile } => Some(format!("{} is a failed request", quantile_name(quantile))),
            Self::Errors | Self::Traffic | Self::TrafficOfReference | Self::Saturation | Self::Value { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::document::{Resource, Spec};
    use crate::hypothesis::Judge;
    use crate::hypothesis::verdict::{ObjectiveVerdict, Phase};
    use crate::signals::sample::{Reading, Sample};

    const SIGNALS: &str = "
      shop: { http: { url: 'http://127.0.0.1/', rate: 50/s } }
      spare: { http: { url: 'http://127.0.0.2/', rate: 50/s } }
      host: { host: {} }
      queue: { prometheus: { url: 'http://127.0.0.1:9090', value: depth } }";

    /// Ten seconds before the fault and ten under it, in which every fourth request fails and the others take 250 ms
    /// instead of 100 ms; the untouched replica goes on as before.
    fn judged(objective: &str) -> ObjectiveVerdict {
        let text = format!(
            "hypothesis: all is well\nsignals: {{{}}}\nsteadyState: [ {objective} ]\nmethod: [ observe: 10s ]\n",
            SIGNALS.trim().replace('\n', ",")
        );
        let spec: Spec = serde_saphyr::from_str(&text).unwrap();
        let mut judge = Judge::new(&spec).unwrap();
        for (phase, from, latency) in [(Phase::Before, 0.0, 0.1), (Phase::During, 10.0, 0.25)] {
            judge.begin(phase, from);
            let mut observe = |at: f64, signal: &str, reading| {
                judge.observe(&Sample { signal: signal.into(), at: from + at, reading });
            };
            for tick in 0..500 {
                let at = f64::from(tick) / 50.0;
                let failure = (phase == Phase::During && tick % 4 == 0).then(|| "status 503".to_owned());
                observe(at, "shop", Reading::Request { latency, failure });
                observe(at, "spare", Reading::Request { latency: 0.1, failure: None });
                if tick % 50 == 0 {
                    let saturation = vec![(Resource::Cpu, 0.4)];
                    observe(at, "host", Reading::Host { saturation, numbers: Vec::new() });
                    observe(at, "queue", Reading::Value { value: 12.0 });
                }
            }
            judge.end(phase, from + 10.0);
        }
        judge.verdicts().into_iter().find(|verdict| verdict.phase == Phase::During).unwrap()
    }

    #[test]
    fn the_figure_of_every_kind_of_objective_is_what_the_judge_measures() {
        let latency = Figure::Latency { quantile: 0.5 };
        let value = |below, at_least| Figure::Value { below, at_least };
        let (more, less) = (Some(true), Some(false));
        for (objective, figure, measured, unit, more_is_worse) in [
            ("signal: shop, latency: { quantile: 0.5, below: 300ms }", latency, 250.0, "ms", more),
            ("signal: shop, latency: { quantile: 0.5, atMost: +10%, of: baseline }", latency, 250.0, "ms", more),
            ("signal: shop, latency: { quantile: 0.5, atMost: +20ms, of: baseline }", latency, 250.0, "ms", more),
            (
                "signal: shop, latency: { quantile: 0.5, atMost: +10%, of: { control: spare } }",
                latency,
                250.0,
                "ms",
                more,
            ),
            (
                "signal: shop, latency: { quantile: 0.5, atMost: +20ms, of: { control: spare } }",
                latency,
                250.0,
                "ms",
                more,
            ),
            ("signal: shop, errors: { below: 1% }", Figure::Errors, 25.0, "%", more),
            ("signal: shop, errors: { atMost: +50%, of: baseline }", Figure::Errors, 25.0, "%", more),
            ("signal: shop, errors: { atMost: +0.5pp, of: baseline }", Figure::Errors, 25.0, "%", more),
            ("signal: shop, errors: { atMost: +50%, of: { control: spare } }", Figure::Errors, 25.0, "%", more),
            ("signal: shop, errors: { atMost: +0.5pp, of: { control: spare } }", Figure::Errors, 25.0, "%", more),
            // As reading a document makes it of a reference to an SLO.
            ("signal: shop, slo: fast, errors: { below: 0.1% }", Figure::Errors, 25.0, "%", more),
            ("signal: shop, traffic: { atLeast: 30/s }", Figure::Traffic, 37.5, "/s", less),
            ("signal: shop, traffic: { atLeast: 80%, of: baseline }", Figure::TrafficOfReference, 75.0, "%", less),
            (
                "signal: shop, traffic: { atLeast: 80%, of: { control: spare } }",
                Figure::TrafficOfReference,
                75.0,
                "%",
                less,
            ),
            ("signal: host, saturation: { resource: cpu, below: 90% }", Figure::Saturation, 40.0, "%", more),
            ("signal: queue, value: { below: 20 }", value(true, false), 12.0, "", more),
            ("signal: queue, value: { atLeast: 5 }", value(false, true), 12.0, "", less),
            ("signal: queue, value: { below: 20, atLeast: 5 }", value(true, true), 12.0, "", None),
        ] {
            let verdict = judged(&format!("{{ {objective} }}"));
            let found = Figure::of(&verdict.objective);
            assert_eq!((found, found.unit(), found.more_is_worse()), (figure, unit, more_is_worse), "{objective}");
            let number = verdict.measured.unwrap();
            assert!((number / measured - 1.0).abs() < 0.01, "{objective}: {number} {unit}, {}", verdict.because);
        }
        let unread: Objective = serde_json::from_str(r#"{ "slo": "fast" }"#).unwrap();
        assert_eq!(Figure::of(&unread), Figure::Errors);
    }

    #[test]
    fn a_quantile_that_is_a_failed_request_has_no_number_and_no_limit() {
        for bound in ["below: 300ms", "atMost: +10%, of: baseline", "atMost: +20ms, of: { control: spare }"] {
            let verdict = judged(&format!("{{ signal: shop, latency: {{ quantile: 0.9, {bound} }} }}"));
            assert_eq!(verdict.measured, None, "{bound}: {}", verdict.because);
            assert!(verdict.events > 0.0);
            let told = Figure::of(&verdict.objective).without_limit();
            assert_eq!(told.as_deref(), Some("p90 is a failed request"));
        }
        assert_eq!(Figure::Errors.without_limit(), None);
    }
}
