use super::super::process_descriptor::Motion;
use super::super::process_descriptor::tests::Victim;
use super::*;
use crate::facts::{Pick, ProcessSelector, Selection};
use crate::plan::step::Signal as Name;
use crate::units::TimeSpan;

type Journal = Arc<Mutex<Vec<Step>>>;

fn journal() -> (Journal, Arc<Amend<'static>>) {
    let journal = Journal::default();
    let copy = Arc::clone(&journal);
    (
        journal,
        Arc::new(move |step: &Step| {
            copy.lock().unwrap().push(step.clone());
            Ok(())
        }),
    )
}

fn kill(processes: Vec<ProcessIdentity>, signal: &str) -> ProcessKill {
    ProcessKill { processes, signal: signal.parse::<Name>().unwrap(), grace: None, again: None }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ends a supervisor before its children, so that it starts no others.
fn end_with_children(supervisor: &Victim) {
    let pid = supervisor.identity().pid;
    let supervisor = ProcessDescriptor::open(supervisor.identity()).unwrap().unwrap();
    supervisor.signal(Signal::STOP).unwrap();
    supervisor.wait_for(Motion::Stopped, Duration::from_secs(5));
    for child in processes().unwrap().iter().filter(|process| process.parent == pid) {
        if let Some(child) = ProcessDescriptor::open(child.identity).unwrap() {
            let _ = child.signal(Signal::KILL);
        }
    }
}

fn value(evidence: &Evidence, name: &str) -> f64 {
    evidence.measurements.iter().find(|one| one.name == name).map_or(f64::NAN, |one| one.measured)
}

#[test]
fn ends_each_and_measures_how_long_it_took() {
    let victims = [Victim::sleeper(), Victim::sleeper()];
    let bystander = Victim::sleeper();
    let step = kill(victims.iter().map(Victim::identity).collect(), "SIGKILL");
    assert!(matches!(step.measure().unwrap().bite, Bite::NotYet(_)));
    let hold = step.apply(journal().1).unwrap().unwrap();
    until("both end", || hold.evidence().bite == Bite::Yes && value(&hold.evidence(), "processes ended") == 2.0);
    let evidence = hold.evidence();
    assert_eq!(evidence.measurements[0].asked, Some(2.0));
    assert!((0.0..1000.0).contains(&value(&evidence, "longest time to end")), "{evidence:?}");
    assert_eq!(step.measure().unwrap().bite, Bite::Yes);
    assert!(bystander.identity().is_alive());
    assert_eq!(step.revert().unwrap(), Reverted::Absent);
}

#[test]
fn a_plan_whose_processes_all_ended_is_an_error() {
    let mut victim = Victim::sleeper();
    let step = kill(vec![victim.identity()], "SIGKILL");
    victim.0.kill().unwrap();
    victim.0.wait().unwrap();
    let error = step.apply(journal().1).unwrap_err();
    assert_eq!(error.source.raw_os_error(), Some(nix::libc::ESRCH));
    assert!(error.hint.is_some());
}

#[test]
fn who_ignores_the_first_signal_gets_the_second_after_its_grace() {
    let stubborn = Victim::shell("trap '' TERM; echo; while :; do sleep 0.01; done");
    let step = ProcessKill { grace: Some(TimeSpan::from_millis(150)), ..kill(vec![stubborn.identity()], "TERM") };
    let begun = Instant::now();
    let hold = step.apply(journal().1).unwrap().unwrap();
    assert!(matches!(hold.evidence().bite, Bite::NotYet(_)));
    until("it is killed", || hold.evidence().bite == Bite::Yes);
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert_eq!(value(&hold.evidence(), "killed after grace"), 1.0);
}

#[test]
fn undone_within_its_grace_it_kills_no_more() {
    let stubborn = Victim::shell("trap '' TERM; echo; while :; do sleep 0.01; done");
    let step = ProcessKill { grace: Some(TimeSpan::from_millis(100)), ..kill(vec![stubborn.identity()], "TERM") };
    drop(step.apply(journal().1).unwrap().unwrap());
    std::thread::sleep(Duration::from_millis(200));
    assert!(stubborn.identity().is_alive());
}

#[test]
fn further_rounds_find_successors_and_write_them_down_before_they_strike() {
    // A supervisor that starts its program again whenever it ends.
    let supervisor = Victim::shell("echo; while :; do sleep 1000; done");
    let selector = ProcessSelector {
        parent: Some(supervisor.identity().pid),
        command_line: Some("^sleep".into()),
        ..ProcessSelector::default()
    };
    let selection = Selection { selector, pick: Pick::default(), ..Selection::default() };
    let matcher = selection.matcher().unwrap();
    let find = || processes().unwrap().into_iter().find(|process| matcher.matches(process)).map(|one| one.identity);
    until("the program is up", || find().is_some());
    let first = find().unwrap();
    let again = KillAgain { every: TimeSpan::from_millis(50), selection, seed: 7, spared: Vec::new(), round: 1 };
    let step = ProcessKill { again: Some(again), ..kill(vec![first], "SIGKILL") };
    let (written, amend) = journal();
    let hold = step.apply(amend).unwrap().unwrap();
    until("three rounds", || value(&hold.evidence(), "processes ended") >= 3.0);
    drop(hold);
    let count = written.lock().unwrap().len();
    let mut met = vec![first];
    for (index, entry) in written.lock().unwrap().iter().enumerate() {
        let Step::ProcessKill(entry) = entry else { panic!("{entry:?}") };
        assert_eq!(entry.again.as_ref().unwrap().round as usize, index + 2);
        met.extend(&entry.processes);
    }
    assert_eq!(met.len(), count + 1);
    met.dedup();
    assert_eq!(met.len(), count + 1, "each round met another process");
    assert!(!met.contains(&supervisor.identity()));
    std::thread::sleep(Duration::from_millis(120));
    assert_eq!(written.lock().unwrap().len(), count, "no round after the undo");
    end_with_children(&supervisor);
}

#[test]
fn a_round_that_cannot_be_written_down_is_not_done() {
    let supervisor = Victim::shell("echo; while :; do sleep 1000; done");
    let selector = ProcessSelector { parent: Some(supervisor.identity().pid), ..ProcessSelector::default() };
    let selection = Selection { selector, ..Selection::default() };
    let matcher = selection.matcher().unwrap();
    let find = || processes().unwrap().into_iter().find(|one| matcher.matches(one)).map(|one| one.identity);
    until("the program is up", || find().is_some());
    let again = KillAgain { every: TimeSpan::from_millis(30), selection, seed: 7, spared: Vec::new(), round: 1 };
    let step = ProcessKill { again: Some(again), ..kill(vec![find().unwrap()], "SIGKILL") };
    let full: Arc<Amend<'static>> = Arc::new(|_: &Step| Err(Error::from(ErrorKind::StorageFull)));
    let hold = step.apply(full).unwrap().unwrap();
    until("a round is refused", || {
        hold.evidence().measurements.iter().any(|one| one.by.contains("journal could not be written"))
    });
    drop(hold);
    let survivor = find().unwrap();
    assert!(survivor.is_alive());
    end_with_children(&supervisor);
}
