//! JUnit XML: a suite an experiment, in which the first case is the gate's and the others are those of its last run.
//!
//! What fails the gate is a failure or an error; what does not count (quarantine, not decided and asked to pass) is skipped with
//! the reason; a pass after a retry has its failed runs as `flakyFailure`, as Surefire writes them and Jenkins and others read them.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::{ReportError, standing};
use crate::gate::GateResult;
use crate::gate::result::{Attempt, ExperimentResult, Standing};
use crate::hypothesis::verdict::RunVerdict;
use crate::report::{junit, notation};

pub(super) fn render(result: &GateResult) -> Result<String, ReportError> {
    let mut whole = Report::new("faultline gate");
    whole.set_time(duration(result.duration));
    for one in &result.experiments {
        whole.add_test_suite(suite(one));
    }
    let failed = |error: quick_junit::SerializeError| ReportError::Write { format: "JUnit", reason: error.to_string() };
    whole.to_string().map_err(failed)
}

fn suite(one: &ExperimentResult) -> TestSuite {
    let mut suite = TestSuite::new(&*one.experiment);
    suite.set_time(duration(one.attempts.iter().map(|attempt| attempt.duration).sum()));
    suite.add_property(Property::new("gate", standing(one.standing)));
    suite.add_properties(one.notes.iter().map(|note| Property::new("note", &**note)));
    let compared = one
        .comparison
        .iter()
        .map(|compared| Property::new("baseline", format!("{}: {}", compared.objective, compared.text)));
    suite.add_properties(compared);
    suite.add_test_case(gate(one));
    let last = one.attempts.last().and_then(|attempt| attempt.report.as_deref());
    let Some(report) = last else { return suite };
    suite.add_properties(junit::properties(report));
    let counts = !matches!(one.standing, Standing::Quarantined | Standing::NotDecided);
    // The verdict of the run is the gate's own case.
    for mut case in junit::cases(report).into_iter().skip(1) {
        if !counts && matches!(case.status, TestCaseStatus::NonSuccess { .. }) {
            case.status = skipped(one);
        }
        suite.add_test_case(case);
    }
    suite
}

fn gate(one: &ExperimentResult) -> TestCase {
    let mut status = match one.standing {
        Standing::Passed => TestCaseStatus::success(),
        Standing::Flaky if one.exit_code == 0 => {
            let mut status = TestCaseStatus::success();
            status.add_reruns(earlier(&one.attempts));
            status
        }
        Standing::Quarantined | Standing::NotDecided => skipped(one),
        Standing::Flaky | Standing::Failed | Standing::NotRun => {
            let violated = one.verdict == Some(RunVerdict::Violated) || one.exit_code == 1;
            let mut status = TestCaseStatus::non_success(kind(violated));
            status.add_reruns(earlier(&one.attempts));
            status
        }
    };
    if matches!(status, TestCaseStatus::NonSuccess { .. }) {
        let verdict = one.verdict.map_or_else(|| standing(one.standing), notation::run_verdict);
        let because = [&one.because].into_iter().chain(&one.notes).map(String::as_str).collect::<Vec<_>>().join("; ");
        status.set_message(because).set_type(verdict);
    }
    let mut case = TestCase::new("gate", status);
    case.set_classname(&*one.experiment);
    case.set_time(duration(one.attempts.iter().map(|attempt| attempt.duration).sum()));
    let told: Vec<&str> = [&one.because].into_iter().chain(&one.notes).map(String::as_str).collect();
    case.set_system_out(told.join("\n"));
    case
}

fn skipped(one: &ExperimentResult) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    let mut told = vec![format!("{}, does not count", standing(one.standing)), one.because.clone()];
    told.extend(one.notes.iter().cloned());
    status.set_message(told.join("; "));
    status
}

fn earlier(attempts: &[Attempt]) -> Vec<TestRerun> {
    let earlier = attempts.split_last().map_or(&[][..], |(_, earlier)| earlier);
    let rerun = |attempt: &Attempt| {
        let mut rerun = TestRerun::new(kind(attempt.verdict == RunVerdict::Violated));
        rerun.set_message(&*attempt.because).set_type(notation::run_verdict(attempt.verdict));
        rerun.set_time(duration(attempt.duration));
        rerun
    };
    earlier.iter().map(rerun).collect()
}

fn kind(violated: bool) -> NonSuccessKind {
    if violated { NonSuccessKind::Failure } else { NonSuccessKind::Error }
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn everything() {
        insta::assert_snapshot!("junit", render(&fixture::mixed()).unwrap());
    }

    #[test]
    fn red_where_the_gate_is_and_nowhere_else() {
        for one in &fixture::mixed().experiments {
            let mut whole = Report::new("x");
            whole.add_test_suite(suite(one));
            let failed = whole.failures + whole.errors > 0;
            assert_eq!(failed, one.exit_code != 0, "{}", one.experiment);
        }
    }
}
