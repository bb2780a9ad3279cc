//! Words for what is compared with a reference.

use crate::experiment::document::quantile_name;
use crate::hypothesis::bound::Bound;
use crate::hypothesis::decide::{Compared, Comparison};
use crate::hypothesis::statistics::events_to_compare_shares;

use super::{Facts, count, percent, time, unit};

fn compared<'a>(facts: &Facts<'a>) -> Option<&'a Compared> {
    match facts.comparison {
        Comparison::With(compared) => compared.as_ref(),
        Comparison::Itself => None,
    }
}

/// The reference: `the baseline`, `the control spare`.
pub(super) fn name(facts: &Facts<'_>) -> String {
    let control = compared(facts).and_then(|compared| compared.control.as_ref());
    control.map_or_else(|| "the baseline".into(), |control| format!("the control {control}"))
}

/// Why there is nothing to compare with.
pub(super) fn nothing(facts: &Facts<'_>) -> String {
    match compared(facts).and_then(|compared| compared.control.as_ref()) {
        Some(control) => format!("there is nothing to compare with: the control {control} saw not one event"),
        None => "there is no baseline to compare with: nothing was served before the fault".into(),
    }
}

/// A quantile: what was measured, in words, and beside what it stood.
pub(super) fn latency(facts: &Facts<'_>, quantile: f64) -> (Option<f64>, String, String) {
    let shown = |found: f64| if found.is_finite() { time(found) } else { "a failed request".into() };
    let Some(found) = facts.latencies.quantile(quantile) else {
        return (None, String::new(), format!("no {} finished", unit(facts, 0.0)));
    };
    let total = facts.window.counts.total();
    let here = format!("{} {}", quantile_name(quantile), shown(found));
    let measured = found.is_finite().then_some(found * 1_000.0);
    let over = format!("{here} over {} {}", count(total), unit(facts, total));
    let reference = compared(facts).and_then(Compared::latencies);
    let Some((reference, of)) = reference.and_then(|both| Some((both.1, both.1.quantile(quantile)?))) else {
        return (measured, here, over);
    };
    let (of, name) = (shown(of), name(facts));
    let text = format!("{here}, {of} in {name}");
    (measured, text, format!("{over}, {of} over {} in {name}; {} asked", count(reference.total()), allowed(facts)))
}

/// A share of bad events, and beside what it stood.
pub(super) fn errors(facts: &Facts<'_>) -> (Option<f64>, String, String) {
    let counts = facts.window.counts;
    let Some(share) = counts.share() else {
        return (None, String::new(), format!("no {}", unit(facts, 0.0)));
    };
    let here = format!("{} of {}", percent(share), count(counts.total()));
    let failed = format!(
        "{} of {} {} failed: {}",
        count(counts.bad()),
        count(counts.total()),
        unit(facts, counts.total()),
        percent(share)
    );
    let Some((compared, of)) = compared(facts).and_then(|compared| Some((compared, compared.events.share()?))) else {
        return (Some(share * 100.0), here, failed);
    };
    let (name, of_all) = (name(facts), compared.events.bad + compared.events.good);
    let text = format!("{here}, {} in {name}", percent(of));
    let finding = format!("{failed}, {} of {} in {name}; {} asked", percent(of), count(of_all), allowed(facts));
    (Some(share * 100.0), text, finding)
}

fn allowed(facts: &Facts<'_>) -> String {
    facts.allowed.map_or_else(String::new, |allowed| format!("at most {allowed}"))
}

/// What would decide an open question.
pub(super) fn undecided(facts: &Facts<'_>) -> String {
    let name = name(facts);
    match facts.bound {
        Bound::ErrorsOver { margin }
            if margin.plus == 0.0 && compared(facts).is_some_and(|compared| compared.events.bad == 0.0) =>
        {
            format!(
                "{name} saw not one error, and a percentage of nothing is nothing: allow percentage points, such as +0.5pp"
            )
        }
        Bound::ErrorsOver { margin } => {
            let both = compared(facts).and_then(|compared| facts.window.counts.share().zip(compared.events.share()));
            let needed =
                both.and_then(|(here, of)| events_to_compare_shares(facts.rule, here, of, margin, facts.rates.health));
            match needed.map(|needed| needed * facts.window.dispersion) {
                Some(needed) if needed > facts.window.counts.total() => {
                    let noun = unit(facts, needed);
                    format!("needs about {} {noun}, and as many in {name}", count(needed.ceil()))
                }
                Some(_) => format!("needs a longer look at {name}"),
                None => "too near what is allowed for any wait to tell".into(),
            }
        }
        _ => format!("needs more events, or a longer look at {name}"),
    }
}
