//! How long a phase must last at least for an objective to be shown to hold, known before the run: from the document, and
//! from the baseline of an earlier run where the judge has followed one.

use std::time::Duration;

use faultline_agent::units::TimeSpan;

use super::Judge;
use super::bound::Bound;
use super::cadence::Cadence;
use super::statistics::{
    DecisionRule, Dispersion, Margin, Ranked, events_to_compare_quantiles, events_to_compare_quantiles_like,
    events_to_compare_shares, events_to_decide, seconds_to_compare_rates, seconds_to_decide,
};
use super::stream::Stream;
use super::verdict::Phase;
use super::watch::Watch;
use super::words::{percent, significant};

/// The shortest phase in which an objective can be shown to hold. Against a reference, that must be as long.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// The objective in a few words.
    pub description: String,
    /// So long; nothing where that is not known, or no length is enough.
    pub lasts: Option<TimeSpan>,
    /// What was taken for granted, in words: `at 2/s, if nothing fails`, `at 2/s with 0.3% bad`.
    pub because: String,
}

/// What usually comes of a signal.
struct Usual {
    /// Events a second, good and bad; nothing where nobody knows.
    rate: Option<f64>,
    /// The share of bad ones.
    bad: f64,
    /// What a baseline showed besides.
    shown: Option<Shown>,
}

/// What was seen of a baseline.
struct Shown {
    dispersion: Dispersion,
    is_unfit: bool,
    latencies: Ranked,
}

impl Judge {
    /// What each steady-state objective needs, in the order of the document.
    ///
    /// A baseline or a fault that is shorter leaves it inconclusive at best, which can be said before anything is touched:
    /// at 2 requests a second, errors below 1% take 189 s and the time that an answer may take, if none fails. A judge
    /// that has followed an earlier run knows from its baseline how many come and how many of them fail.
    pub fn needs(&self) -> Vec<Need> {
        self.watches.iter().filter_map(|watch| Some(self.need(watch, self.streams.get(watch.stream)?))).collect()
    }

    fn need(&self, watch: &Watch, stream: &Stream) -> Need {
        let usual = self.usual(watch, stream);
        let seconds = seconds(watch.bound, stream.cadence, &usual, self.rates.health, &*self.rule);
        // To whole seconds, upwards.
        let lasts = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.ceil()).ok()).map(TimeSpan::from);
        Need { description: watch.description.clone(), because: because(watch.bound, &usual, lasts), lasts }
    }

    fn usual(&self, watch: &Watch, stream: &Stream) -> Usual {
        let unknown = Usual { rate: stream.cadence.events, bad: 0.0, shown: None };
        let Some(sums) = watch.sums(stream, &self.phases, Phase::Before, self.now.next_up()) else { return unknown };
        let window = watch.window(stream, &sums, 0);
        let lasted = (window.to - window.from) * (1.0 - window.counts.missing_share());
        let Some(bad) = window.counts.share().filter(|_| lasted > 0.0) else { return unknown };
        let baseline = self.baseline(watch, stream);
        Usual {
            // A prober sends what the document says, whatever an earlier one sent.
            rate: stream.cadence.events.or(Some(window.counts.total() / lasted)),
            bad,
            shown: Some(Shown {
                dispersion: baseline.dispersion,
                is_unfit: baseline.unfit.is_some(),
                latencies: watch.latencies(stream, &self.phases, Phase::Before, sums.to).whole().ranked(),
            }),
        }
    }
}

fn seconds(bound: Bound, cadence: Cadence, usual: &Usual, error_rate: f64, rule: &dyn DecisionRule) -> Option<f64> {
    if usual.shown.as_ref().is_some_and(|shown| shown.is_unfit && bound.counts_bad_events()) {
        return None;
    }
    let bursts = usual.shown.as_ref().map_or(1.0, |shown| shown.dispersion.factor);
    let after = |events: f64| Some(events / usual.rate? + cadence.lateness);
    match bound {
        Bound::Latency { .. } | Bound::Errors { .. } => {
            let ratio = bound.ratio().filter(|ratio| usual.bad < *ratio)?;
            after(events_to_decide(rule, ratio, usual.bad, error_rate)? * bursts)
        }
        Bound::Rate { floor } => {
            let good = usual.rate? * (1.0 - usual.bad);
            let seconds = (good > floor).then(|| seconds_to_decide(rule, floor, good, error_rate)).flatten()?;
            Some(seconds + cadence.lateness)
        }
        // So long must the reference last as well: the baseline, or the fault beside a control.
        Bound::Share { share } => {
            let margin = Margin { factor: share, plus: 0.0 };
            let good = usual.rate? * (1.0 - usual.bad);
            Some(seconds_to_compare_rates(rule, good, margin, error_rate)? + cadence.lateness)
        }
        Bound::LatencyOver { quantile, margin } => after(match &usual.shown {
            None => events_to_compare_quantiles(rule, quantile, margin, error_rate)?,
            Some(shown) => events_to_compare_quantiles_like(rule, quantile, &shown.latencies, margin, error_rate)?,
        }),
        // Of a reference without an error a percentage is nothing.
        Bound::ErrorsOver { margin } if margin.bound(usual.bad) <= usual.bad => None,
        Bound::ErrorsOver { margin } => {
            after(events_to_compare_shares(rule, usual.bad, usual.bad, margin, error_rate)? * bursts)
        }
        Bound::Saturation { .. } | Bound::Value { .. } => Some(3.0 * cadence.interval),
    }
}

/// What the length rests on, or why there is none.
fn because(bound: Bound, usual: &Usual, lasts: Option<TimeSpan>) -> String {
    if matches!(bound, Bound::Saturation { .. } | Bound::Value { .. }) {
        return "three readings".into();
    }
    let Some(rate) = usual.rate else {
        return "not known before the run: how much comes is not in the document, and `--baseline RUN` was not given"
            .into();
    };
    let rate = significant(rate, 3);
    let what = match &usual.shown {
        None => format!("at {rate}/s, if nothing fails"),
        Some(shown) if shown.is_unfit => return "never: in that baseline the signal was unfit to be judged".into(),
        Some(shown) if shown.dispersion.factor > 1.0 && bound.counts_bad_events() => {
            let factor = significant(shown.dispersion.factor, 2);
            format!("at {rate}/s with {} bad in bursts, of which {factor} count as one", percent(usual.bad))
        }
        Some(_) => format!("at {rate}/s with {} bad", percent(usual.bad)),
    };
    if lasts.is_some() { what } else { format!("never {what}") }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{CHECKOUT, Trial, failing, spec, with_objectives};
    use super::*;
    use crate::signals::sample::Reading;

    #[test]
    fn a_slow_prober_needs_minutes() {
        let needs = |yaml: &str| {
            Judge::new(&spec(yaml))
                .expect("judged")
                .needs()
                .swap_remove(0)
                .lasts
                .map(|lasts| lasts.duration().as_secs_f64())
        };
        let seconds = needs(&CHECKOUT.replace("50/s", "2/s")).expect("known");
        assert!((189.0..=193.0).contains(&seconds), "{seconds}");
        let seconds = needs(CHECKOUT).expect("known");
        assert_eq!(seconds, 10.0);
        let host = with_objectives("db: { host: {} }", "{ signal: db, saturation: { resource: cpu, below: 95% } }");
        assert_eq!(needs(&host), Some(3.0));
        let never = "checkout: { http: { url: 'http://127.0.0.1/', rate: 50/s } }";
        let never = with_objectives(never, "{ signal: checkout, traffic: { atLeast: 50/s } }");
        assert_eq!(needs(&never), None, "a prober never sends more than its rate");
        let shop = "shop: { http: { url: 'http://127.0.0.1/', rate: 2/s } }";
        let relative = |objective: &str| needs(&with_objectives(shop, &format!("{{ signal: shop, {objective} }}")));
        let errors = relative("errors: { atMost: +1pp, of: baseline }").expect("known");
        let latency = relative("latency: { quantile: 0.9, atMost: +10%, of: baseline }").expect("known");
        assert!(errors > 190.0 && latency > 15.0 && errors > latency, "{errors} {latency}");
        assert_eq!(relative("errors: { atMost: +50%, of: baseline }"), None, "a percentage of nothing");
        assert!(relative("traffic: { atLeast: 80%, of: baseline }").is_some());
    }

    /// What is needed after a baseline of 60 s in which so many of the requests failed.
    fn after_a_baseline(yaml: &str, signal: &str, per_second: u32, failed: f64) -> Need {
        let mut trial = Trial::new(yaml);
        trial.phase(Phase::Before, (0, 60), signal, per_second, failing(failed));
        trial.judge.needs().swap_remove(0)
    }

    #[test]
    fn a_baseline_that_was_seen_tells_more() {
        let yaml = CHECKOUT.replace("50/s", "10/s");
        let alone = Judge::new(&spec(&yaml)).expect("judged").needs().swap_remove(0);
        assert_eq!(
            (alone.lasts, alone.because.as_str()),
            (Some("40s".parse().expect("a time")), "at 10/s, if nothing fails")
        );
        let well = after_a_baseline(&yaml, "checkout", 10, 0.0);
        assert_eq!((well.lasts, well.because.as_str()), (alone.lasts, "at 10/s with 0% bad"));
        let so_so = after_a_baseline(&yaml, "checkout", 10, 0.005);
        assert!(so_so.lasts > well.lasts, "{so_so:?}");
        let bad = after_a_baseline(&yaml, "checkout", 10, 0.05);
        assert_eq!(bad.lasts, None);
        let known = bad.because.strip_prefix("never at 10/s with ").and_then(|rest| rest.strip_suffix("% bad"));
        assert!(known.is_some_and(|share| share.parse::<f64>().is_ok_and(|share| share > 3.0)), "{bad:?}");
    }

    #[test]
    fn traffic_that_no_document_tells_is_known_by_a_baseline() {
        let shop = "shop: { prometheus: { url: 'http://127.0.0.1/', total: t, bad: b, interval: 1s } }";
        let yaml = with_objectives(shop, "{ signal: shop, errors: { below: 1% } }");
        let alone = Judge::new(&spec(&yaml)).expect("judged").needs().swap_remove(0);
        insta::assert_snapshot!(alone.because, @"not known before the run: how much comes is not in the document, and `--baseline RUN` was not given");
        let mut trial = Trial::new(&yaml);
        let counts = |_: f64, _: &mut _| Some(Reading::Counts { bad: 0.0, total: 20.0 });
        trial.phase(Phase::Before, (0, 60), "shop", 1, counts);
        let known = trial.judge.needs().swap_remove(0);
        insta::assert_snapshot!(format!("{:?}: {}", known.lasts.map(|lasts| lasts.to_string()), known.because), @r#"Some("21s"): at 20/s with 0% bad"#);
    }
}
