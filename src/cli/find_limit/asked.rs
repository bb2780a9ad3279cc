//! What is asked: how the search goes, and what the limit is to be.

use super::{Arguments, Subject};
use crate::cli::failure::Failure;
use crate::cli::flags::Global;
use crate::cli::output;
use crate::limit::kept::PastLimit;
use crate::limit::result::Asked;
use crate::limit::scale::Scale;
use crate::limit::search::{Resolution, Rules};

/// How the search goes, and the doses it may run.
pub(super) fn rules(arguments: &Arguments, subject: &Subject<'_>) -> anyhow::Result<(Rules, Scale)> {
    let range = &arguments.dose;
    let confidence = arguments.confidence.fraction();
    if !(0.5..=0.999).contains(&confidence) {
        return Err(Failure::usage("the confidence is from 50% to 99.9%").into());
    }
    if arguments.runs == 0 {
        return Err(Failure::usage("a search needs a run at least").into());
    }
    let text = arguments.resolution.trim();
    let share = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok()).map(|percent| percent / 100.0);
    let resolution = match share {
        Some(share) => Resolution::Share(share),
        None => Resolution::Width(
            range.unit.number(text).map_err(|error| Failure::usage(format!("--resolution: {error}")))?,
        ),
    };
    let harshest = range.mildest.max(range.harshest);
    let fine = match resolution {
        Resolution::Share(share) => share,
        Resolution::Width(width) => width / harshest,
    };
    if !(0.001..1.0).contains(&fine) {
        let message = "the resolution is from a thousandth of the limit to all of it";
        return Err(Failure::usage(message).hint("as in `--resolution 5%` or `--resolution 10ms`").into());
    }
    let error_rate = subject.harshest.document.spec.stated_error_rate();
    let rules =
        Rules { error_rate, confidence, resolution, runs: arguments.runs, mildest_holds: range.begins_with_nothing() };
    Ok((rules, Scale::new(range, fine)))
}

/// What is asked of the limit.
pub(super) fn asked(arguments: &Arguments, last: Option<&PastLimit>, global: &Global) -> anyhow::Result<Vec<Asked>> {
    let range = &arguments.dose;
    let within = range.mildest.min(range.harshest)..=range.mildest.max(range.harshest);
    let mut asked = Vec::new();
    if let Some(text) = &arguments.at_least {
        let dose = range.unit.number(text).map_err(|error| Failure::usage(format!("--at-least: {error}")))?;
        if !within.contains(&dose) {
            let message = format!("--at-least {text} is not within the range, so that nothing would be known of it");
            return Err(Failure::usage(message).hint("widen --dose").into());
        }
        asked.push(Asked { words: format!("at least {}", range.dose(dose).told()), dose });
    }
    let tell = |text: String| {
        if !global.quiet {
            output::tell(&text);
        }
    };
    match (last, arguments.not_worse_than) {
        (Some(last), Some(percent)) => {
            let before = range.unit.number(&last.limit).map_err(|error| {
                Failure::usage(format!("the baseline's limit: {error}"))
                    .hint("it was found with another unit: give another file")
            })?;
            let worse = if range.harshest > range.mildest { -percent.fraction() } else { percent.fraction() };
            let dose = before * (1.0 + worse);
            let told = range.dose(before).told();
            if within.contains(&dose) {
                asked.push(Asked { words: format!("not more than {percent} worse than {told} in the baseline"), dose });
            } else {
                let message = format!("the baseline's limit, {told}, lies where this range says nothing of it");
                return Err(Failure::usage(message).hint("widen --dose").into());
            }
        }
        (None, Some(_)) => tell("the baseline has no limit of this parameter yet: nothing is compared\n".into()),
        (Some(last), None) => tell(format!("the limit in the baseline is {}\n", last.limit)),
        (None, None) => {}
    }
    Ok(asked)
}
