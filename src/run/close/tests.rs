use std::sync::PoisonError;

use super::*;
use crate::fleet::fake::FakeAgent;
use crate::report::fixture::{self, Ending as Fixture};

const RESTARTED: &str = "the controller was restarted in mid-run";

/// A journal of a run on host `db-1`, as far as this says.
fn journal(until: impl Fn(&Event) -> bool) -> Vec<Entry> {
    let mut entries = fixture::journal(Fixture::Held);
    for entry in &mut entries {
        if let Event::Planned { host, .. } = &mut entry.event {
            *host = Some("db-1".into());
        }
    }
    let end = entries.iter().position(|entry| until(&entry.event)).unwrap_or(entries.len());
    entries.truncate(end);
    entries
}

fn entered(wanted: RunState) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::State { state, .. } if *state == wanted)
}

fn closed(entries: Vec<Entry>, verifies: bool) -> (Closed, Vec<Entry>, usize) {
    let agent = Arc::new(FakeAgent { name: "db-1".into(), verifies, ..FakeAgent::default() });
    let mut written = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = agent.clone();
    let closing = close(
        entries,
        RESTARTED,
        move |host| {
            assert_eq!(host, "db-1");
            found.clone() as Arc<dyn Agent>
        },
        |entry| written.push(entry.clone()),
    );
    let closed = runtime.block_on(closing);
    let undone = agent.undone.lock().unwrap_or_else(PoisonError::into_inner).len();
    (closed, written, undone)
}

#[test]
fn a_run_cut_off_under_its_fault_is_undone_by_its_agent_and_ends_aborted() {
    let entries = journal(entered(RunState::Undoing));
    let faults = open_faults(&entries);
    assert!(!faults.is_empty() && faults.iter().all(|fault| fault.injected && fault.host.as_deref() == Some("db-1")));
    let (closed, written, undone) = closed(entries.clone(), true);
    assert_eq!((closed.verdict, closed.because.as_str()), (RunVerdict::Aborted, RESTARTED));
    assert_eq!((closed.asked, undone), (faults.len(), faults.len()));
    let whole: Vec<Entry> = entries.into_iter().chain(written).collect();
    assert!(open_faults(&whole).is_empty());
    assert!(whole.is_sorted_by(|one, other| one.at <= other.at), "the journal's clock goes on");
    assert!(matches!(whole.last().unwrap().event, Event::Finished { verdict: RunVerdict::Aborted, .. }));
}

#[test]
fn what_no_agent_vouches_for_is_never_taken_for_undone() {
    let (closed, written, _) = closed(journal(entered(RunState::Undoing)), false);
    assert_eq!(closed.verdict, RunVerdict::CleanupUnverified);
    assert!(written.iter().any(|entry| matches!(entry.event, Event::Undone { verified: false, .. })));
}

#[test]
fn a_fault_that_was_asked_for_and_never_answered_is_undone_too() {
    let entries = journal(|event| matches!(event, Event::Injected { .. }));
    assert!(open_faults(&entries).iter().all(|fault| !fault.injected));
    let (undone_well, _, undone) = closed(entries.clone(), true);
    assert_eq!((undone_well.verdict, undone > 0), (RunVerdict::Aborted, true));
    let (unverified, _, _) = closed(entries, false);
    assert_eq!(unverified.verdict, RunVerdict::CleanupUnverified);
}

#[test]
fn a_run_that_never_injected_is_refused_and_asks_nobody() {
    let (closed, _, undone) = closed(journal(entered(RunState::Injecting)), false);
    assert_eq!((closed.verdict, closed.asked, undone), (RunVerdict::Refused, 0, 0));
    assert_eq!(closed.because, RESTARTED);
}

#[test]
fn a_run_that_lacks_only_its_verdict_gets_the_one_it_earned() {
    let entries = journal(|event| matches!(event, Event::Judged { .. }));
    let (closed, written, undone) = closed(entries, true);
    // The few samples of the fixture decide nothing; what matters is that they were asked.
    assert_eq!((closed.verdict, undone), (RunVerdict::Inconclusive, 0), "{}", closed.because);
    assert!(closed.because.contains("requests"), "{}", closed.because);
    assert!(!written.iter().any(|entry| matches!(entry.event, Event::Stopped { .. })));
}

#[test]
fn closing_twice_changes_nothing() {
    let entries = fixture::journal(Fixture::Violated);
    let (closed, written, undone) = closed(entries, true);
    assert_eq!((closed.verdict, written.len(), undone), (RunVerdict::Violated, 0, 0));
}
