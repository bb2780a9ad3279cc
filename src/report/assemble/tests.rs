use super::*;
use crate::report::LinkState;
use crate::report::fixture::{self, Ending};

fn report(ending: Ending) -> RunReport {
    RunReport::from_entries(&fixture::journal(ending)).unwrap()
}

fn states(report: &RunReport) -> Vec<LinkState> {
    report.chain.iter().map(|link| link.state).collect()
}

#[test]
fn each_ending_breaks_the_chain_at_its_own_link() {
    use LinkState::{Broken, NotReached, Proven, Unproven};
    assert_eq!(states(&report(Ending::Held)), [Proven; 5]);
    assert_eq!(states(&report(Ending::Violated)), [Proven, Proven, Broken, Proven, Proven]);
    assert_eq!(states(&report(Ending::Invalid)), [Proven, Broken, Proven, Proven, Proven]);
    assert_eq!(states(&report(Ending::Aborted)), [Proven, Proven, Broken, Proven, Proven]);
    assert_eq!(states(&report(Ending::CutOff)), [Proven, Proven, NotReached, Broken, NotReached]);
    let planned_only: Vec<Entry> = fixture::journal(Ending::Held).into_iter().filter(|entry| entry.at < 6.0).collect();
    let report = RunReport::from_entries(&planned_only).unwrap();
    assert_eq!(states(&report), [Unproven, NotReached, NotReached, NotReached, NotReached]);
    assert_eq!(report.verdict, RunVerdict::Inconclusive);
}

#[test]
fn no_prefix_of_a_journal_is_a_pass_and_none_with_a_fault_in_place_is_called_clean() {
    let entries: Vec<Entry> =
        fixture::journal(Ending::Held).into_iter().filter(|entry| !matches!(entry.event, Event::Sample(_))).collect();
    for cut in 1..entries.len() {
        let report = RunReport::from_entries(&entries[..cut]).unwrap();
        assert_ne!(report.exit_code, 0, "cut after {cut}");
        assert!(!report.run.finished && !report.unknown.is_empty(), "cut after {cut}");
        let touched =
            entries[..cut].iter().any(|entry| matches!(entry.event, Event::State { state: RunState::Injecting, .. }));
        let undone = entries[..cut].iter().any(|entry| matches!(entry.event, Event::Undone { verified: true, .. }));
        let expected = if touched && !undone { 7 } else { 4 };
        assert_eq!(report.exit_code, expected, "cut after {cut}: {}", report.because);
    }
    assert_eq!(report(Ending::Held).exit_code, 0);
}

#[test]
fn a_pass_without_a_verified_undo_is_not_believed() {
    let mut entries = fixture::journal(Ending::Held);
    for entry in &mut entries {
        if let Event::Undone { verified, steps, .. } = &mut entry.event {
            *verified = false;
            steps[0].clean = false;
            steps[0].outcome = "left: somebody changed it".into();
        }
    }
    let report = RunReport::from_entries(&entries).unwrap();
    assert_eq!(report.verdict, RunVerdict::CleanupUnverified);
    assert!(report.faults[0].steps[0].manual.is_some());
    entries.retain(|entry| !matches!(entry.event, Event::Undone { .. }));
    let report = RunReport::from_entries(&entries).unwrap();
    assert_eq!((report.verdict, report.exit_code), (RunVerdict::CleanupUnverified, 7));
}

#[test]
fn phases_follow_the_states_and_the_dose_is_what_was_measured_last() {
    let report = report(Ending::Held);
    let phases: Vec<(Phase, f64, f64)> = report.phases.iter().map(|span| (span.phase, span.start, span.end)).collect();
    assert_eq!(phases[0], (Phase::Before, 0.4, 12.4));
    assert_eq!((phases[1].0, phases[1].1), (Phase::During, 12.4));
    assert!((phases[1].2 - 32.407).abs() < 1e-9 && phases[2].0 == Phase::After, "{phases:?}");
    let delay = &report.faults[0].dose[0];
    assert_eq!((delay.asked, delay.measured), (Some(100.0), Some(100.08)));
    assert_eq!(report.faults[0].dose.len(), 3);
    let checkout = report.signals.iter().find(|signal| signal.name == "checkout").unwrap();
    assert_eq!(checkout.phases.len(), 3);
    assert!(checkout.points.len() > 35 && checkout.quantiles == [0.5, 0.99]);
    assert!(RunReport::from_entries(&[]).is_err());
}

#[test]
fn what_the_run_itself_left_behind_breaks_the_chain() {
    let mut entries = fixture::journal(Ending::Held);
    let event = Event::LeftBehind { what: "process 4711 of service shop".into() };
    entries.insert(entries.len() - 1, Entry { at: 38.8, event });
    let report = RunReport::from_entries(&entries).unwrap();
    assert_eq!((report.verdict, report.exit_code), (RunVerdict::CleanupUnverified, 7));
    assert_eq!(report.chain[3].state, LinkState::Broken);
    assert!(report.chain[3].detail.contains("process 4711"));
}
