//! JUnit XML, as CI systems read it: one test case for the verdict, one a link of the chain, one an objective and
//! phase, one a guardrail, one a host that vanished, restarted or joined.
//!
//! Held is a pass and violated a failure. Everything else is an error, and never a pass or a skipped test: many CI
//! systems count skipped tests as passed.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::{JudgedAgain, LinkState, ReportError, RunReport, human, notation};
use crate::hypothesis::verdict::{Phase, RunVerdict, Verdict};

/// One report as JUnit XML.
pub(super) fn render(report: &RunReport) -> Result<String, ReportError> {
    render_all(std::slice::from_ref(report))
}

/// Several reports in one JUnit file, a test suite each.
pub(super) fn render_all(reports: &[RunReport]) -> Result<String, ReportError> {
    let mut whole = Report::new("faultline");
    let mut all = Duration::ZERO;
    for report in reports {
        let duration = Duration::try_from_secs_f64(report.run.duration).unwrap_or_default();
        all = all.saturating_add(duration);
        let mut suite = TestSuite::new(&*report.run.experiment);
        suite.set_time(duration);
        suite.add_properties(properties(report));
        suite.add_test_cases(cases(report));
        whole.add_test_suite(suite);
    }
    whole.set_time(all);
    let failed = |error: quick_junit::SerializeError| ReportError::Write { format: "JUnit", reason: error.to_string() };
    whole.to_string().map_err(failed)
}

pub(super) fn properties(report: &RunReport) -> Vec<Property> {
    let run = &report.run;
    let mut properties = vec![
        Property::new("run", &*run.id),
        Property::new("started", &*run.started),
        Property::new("host", &*run.host),
        Property::new("file", &*run.file),
        Property::new("version", &*run.version),
        Property::new("seed", run.seed.to_string()),
        Property::new("hypothesis", &*run.hypothesis),
        Property::new("verdict", notation::run_verdict(report.verdict)),
        Property::new("because", &*report.because),
        Property::new("exit code", report.exit_code.to_string()),
    ];
    properties.extend(run.labels.iter().map(|(label, value)| Property::new(format!("label {label}"), &**value)));
    for fault in &report.faults {
        let name = format!("fault {} {} on {}", fault.id, fault.fault, fault.target);
        properties.extend(fault.dose.iter().map(|row| Property::new(&*name, human::dose(row))));
        properties.extend(fault.changes.iter().map(|change| Property::new(&*name, &**change)));
    }
    properties.extend(report.budget.iter().map(|budget| Property::new("error budget", &*budget.sentence)));
    let again = report.judged_again.iter().flat_map(JudgedAgain::sentences);
    properties.extend(again.map(|line| Property::new("judged again", &*line)));
    properties.extend(report.drift.iter().map(|line| Property::new("since the plan", &**line)));
    properties.extend(report.unknown.iter().map(|line| Property::new("not known", &**line)));
    properties
}

pub(super) fn cases(report: &RunReport) -> Vec<TestCase> {
    let mut cases = Vec::new();
    let mut case = |class: &str, name: String, status: Status, evidence: &str| {
        let mut case = TestCase::new(name, status.junit());
        case.set_classname(format!("{}.{class}", report.run.experiment));
        if !evidence.is_empty() {
            case.set_system_out(evidence);
        }
        cases.push(case);
    };
    let verdict = match report.verdict {
        RunVerdict::Held => Status::Pass,
        RunVerdict::Violated => Status::Failure(report.because.clone(), "violated"),
        other => Status::Error(report.because.clone(), notation::run_verdict(other)),
    };
    case("run", "verdict".into(), verdict, &report.because);
    for link in &report.chain {
        let status = match link.state {
            LinkState::Proven => Status::Pass,
            LinkState::Broken => Status::Failure(link.detail.clone(), "broken"),
            LinkState::Unproven => Status::Error(link.detail.clone(), "unproven"),
            LinkState::NotReached => Status::Error(link.detail.clone(), "not reached"),
        };
        case("chain", link.name.clone(), status, &link.detail);
    }
    for row in &report.objectives {
        for phase in [Phase::Before, Phase::During, Phase::After] {
            let name = format!("{} ({})", row.description, notation::phase(phase));
            let Some(found) = row.phases.iter().find(|found| found.phase == phase) else {
                case("objectives", name, Status::Error("the run did not come so far".into(), "not judged"), "");
                continue;
            };
            let evidence = format!(
                "{}; {} bad of {} events; {} (error rate {})",
                found.measured_text,
                notation::count(found.bad),
                notation::count(found.events),
                found.because,
                found.error_rate
            );
            let message = format!("{}: {}", found.measured_text, found.because);
            let status = match found.verdict {
                Verdict::Held => Status::Pass,
                Verdict::Violated => Status::Failure(message, "violated"),
                other => Status::Error(message, notation::verdict(other)),
            };
            case("objectives", name, status, &evidence);
        }
    }
    for host in &report.hosts {
        let told = host.events.iter().map(|moment| format!("{}: {}", notation::clock(moment.at), moment.note));
        let told = told.chain(host.said.iter().cloned()).collect::<Vec<_>>().join("\n");
        let status = match host.clean {
            true => Status::Pass,
            false => Status::Error(host.said.join("; "), "not clean"),
        };
        case("hosts", format!("{}: {}", host.host, host.outcome()), status, &told);
    }
    for row in &report.guardrails {
        let status = match (row.breached_at, &row.because) {
            (Some(at), because) => {
                let because = because.as_deref().unwrap_or_default();
                Status::Failure(format!("breached after {}: {because}", notation::seconds(at)), "breached")
            }
            (None, _) if report.run.finished => Status::Pass,
            (None, _) => Status::Error("the run did not finish".into(), "not finished"),
        };
        case("guardrails", row.description.clone(), status, "");
    }
    cases
}

/// The outcome of a test case: its message and its kind.
enum Status {
    Pass,
    Failure(String, &'static str),
    Error(String, &'static str),
}

impl Status {
    fn junit(self) -> TestCaseStatus {
        let (kind, message, word) = match self {
            Self::Pass => return TestCaseStatus::success(),
            Self::Failure(message, word) => (NonSuccessKind::Failure, message, word),
            Self::Error(message, word) => (NonSuccessKind::Error, message, word),
        };
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(message).set_type(word);
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{self, Ending};

    fn xml(ending: Ending) -> String {
        render(&fixture::report(ending)).unwrap()
    }

    #[test]
    fn every_ending() {
        for ending in Ending::ALL {
            insta::assert_snapshot!(format!("junit-{}", ending.name()), xml(ending));
        }
    }

    #[test]
    fn only_a_held_run_is_green_and_nothing_is_skipped() {
        for ending in Ending::ALL {
            let report = Report::deserialize_from_str(&xml(ending)).unwrap();
            assert_eq!(report.failures + report.errors == 0, ending == Ending::Held, "{ending:?}");
            assert!(!xml(ending).contains("<skipped"), "{ending:?}");
            assert_eq!(report.tests, 1 + 5 + 4 * 3 + 1, "{ending:?}");
        }
    }

    #[test]
    fn hosts_that_vanish_come_back_and_join() {
        insta::assert_snapshot!("junit-fleet", render(&fixture::fleet_report()).unwrap());
    }

    #[test]
    fn hostile_names_stay_text() {
        let report = RunReport::from_entries(&fixture::hostile()).unwrap();
        let text = render(&report).unwrap();
        let read = Report::deserialize_from_str(&text).unwrap();
        assert_eq!(read.tests, 1 + 5 + 4 * 3 + 1);
        assert!(!text.contains("<script"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
