use super::{ExperimentRow, Outcome};
use crate::game_day::alerts::AlertVerdict;
use crate::game_day::machine::EndingKind;
use crate::hypothesis::verdict::RunVerdict;

/// The exit code of a game day: the worst of its runs, of its alerts (1 if one did not do what was expected, 4 if that is
/// not known) and of its end (5 if it was ended early after something ran, else 3), in the order 7 130 2 6 3 5 1 4 0.
pub(super) fn code(outcome: &Outcome, experiments: &[ExperimentRow]) -> u8 {
    const ORDER: [u8; 8] = [7, 130, 6, 3, 5, 1, 4, 0];
    let mut codes: Vec<u8> = experiments.iter().filter_map(|row| row.verdict.map(RunVerdict::exit_code)).collect();
    // A run that never ended in the journal: nobody knows whether it was undone.
    if experiments.iter().any(|row| row.run.is_some() && row.verdict.is_none()) {
        codes.push(7);
    }
    let ran = experiments.iter().any(|row| row.run.is_some());
    let tested = experiments.iter().filter(|row| row.run.is_some()).flat_map(|row| &row.alerts);
    codes.extend(tested.map(|alert| match alert {
        alert if alert.is_as_expected() => 0,
        alert if AlertVerdict::is_unknown(alert) => 4,
        _ => 1,
    }));
    match outcome {
        Outcome::Finished => {
            if experiments.iter().any(|row| row.run.is_none()) {
                codes.push(4);
            }
        }
        Outcome::Aborted(ending) if ending.kind == EndingKind::Experiment => {}
        Outcome::Aborted(_) if ran => codes.push(5),
        Outcome::Aborted(_) => codes.push(3),
        Outcome::Unfinished => codes.push(4),
    }
    ORDER.into_iter().find(|code| codes.contains(code)).unwrap_or(0)
}
