//! How long a phase must last at least for an objective to be shown to hold, known before the run from the document.

use super::Judge;
use super::bound::Bound;
use super::cadence::Cadence;
use super::statistics::{
    DecisionRule, Margin, events_to_compare_quantiles, events_to_compare_shares, events_to_decide,
    seconds_to_compare_rates, seconds_to_decide,
};

/// The shortest phase in which an objective can be shown to hold, if nothing at all goes wrong in it. Against a
/// reference, that must be as long.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// The objective in a few words.
    pub description: String,
    /// So many seconds; nothing where that depends on traffic that the document does not tell.
    pub seconds: Option<f64>,
}

impl Judge {
    /// What each steady-state objective needs, in the order of the document.
    ///
    /// A baseline or a fault that is shorter leaves it inconclusive at best, which can be said before anything is touched:
    /// at 2 requests a second, errors below 1% take 189 s and the time that an answer may take.
    pub fn needs(&self) -> Vec<Need> {
        self.watches
            .iter()
            .filter_map(|watch| {
                let cadence = self.streams.get(watch.stream)?.cadence;
                let seconds = seconds(watch.bound, cadence, self.rates.health, &*self.rule);
                Some(Need { description: watch.description.clone(), seconds })
            })
            .collect()
    }
}

fn seconds(bound: Bound, cadence: Cadence, error_rate: f64, rule: &dyn DecisionRule) -> Option<f64> {
    match bound {
        Bound::Latency { .. } | Bound::Errors { .. } => {
            let events = events_to_decide(rule, bound.ratio()?, 0.0, error_rate)?;
            Some(events / cadence.starts? + cadence.lateness)
        }
        Bound::Rate { floor } => Some(seconds_to_decide(rule, floor, cadence.starts?, error_rate)? + cadence.lateness),
        // So long must the reference last as well: the baseline, or the fault beside a control.
        Bound::Share { share } => {
            let margin = Margin { factor: share, plus: 0.0 };
            Some(seconds_to_compare_rates(rule, cadence.starts?, margin, error_rate)? + cadence.lateness)
        }
        Bound::LatencyOver { quantile, margin } => {
            let events = events_to_compare_quantiles(rule, quantile, margin, error_rate)?;
            Some(events / cadence.starts? + cadence.lateness)
        }
        // Of a reference without an error a percentage is nothing.
        Bound::ErrorsOver { margin } if margin.plus <= 0.0 => None,
        Bound::ErrorsOver { margin } => {
            let events = events_to_compare_shares(rule, 0.0, 0.0, margin, error_rate)?;
            Some(events / cadence.starts? + cadence.lateness)
        }
        Bound::Saturation { .. } | Bound::Value { .. } => Some(3.0 * cadence.interval),
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{CHECKOUT, spec, with_objectives};
    use super::*;

    #[test]
    fn a_slow_prober_needs_minutes() {
        let needs = |yaml: &str| Judge::new(&spec(yaml)).expect("judged").needs().swap_remove(0).seconds;
        let seconds = needs(&CHECKOUT.replace("50/s", "2/s")).expect("known");
        assert!((189.0..=193.0).contains(&seconds), "{seconds}");
        let seconds = needs(CHECKOUT).expect("known");
        assert!((9.5..=9.7).contains(&seconds), "{seconds}");
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
}
