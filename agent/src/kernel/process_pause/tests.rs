use procfs::process::Process;

use super::super::process_descriptor::tests::Victim;
use super::*;
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

fn last(journal: &Journal) -> ProcessPause {
    match journal.lock().unwrap().last() {
        Some(Step::ProcessPause(step)) => step.clone(),
        other => panic!("{other:?}"),
    }
}

fn pause(victims: &[&Victim]) -> ProcessPause {
    ProcessPause { processes: victims.iter().map(|victim| victim.identity()).collect(), ..ProcessPause::default() }
}

fn motion(victim: &Victim) -> Motion {
    ProcessDescriptor::open(victim.identity()).unwrap().unwrap().motion()
}

fn signal(victim: &Victim, signal: Signal, wanted: Motion) {
    let descriptor = ProcessDescriptor::open(victim.identity()).unwrap().unwrap();
    descriptor.signal(signal).unwrap();
    assert_eq!(descriptor.wait_for(wanted, Duration::from_secs(2)), wanted);
}

#[test]
fn stops_and_continues_and_says_so() {
    let (one, two, bystander) = (Victim::sleeper(), Victim::sleeper(), Victim::sleeper());
    let step = pause(&[&one, &two]);
    assert_eq!(step.revert().unwrap(), Reverted::Absent, "it never ran");
    let hold = step.apply(journal().1).unwrap().unwrap();
    let evidence = hold.evidence();
    assert_eq!(evidence.bite, Bite::Yes);
    assert_eq!((evidence.measurements[0].asked, evidence.measurements[0].measured), (Some(2.0), 2.0));
    assert_eq!([motion(&one), motion(&two), motion(&bystander)], [Motion::Stopped, Motion::Stopped, Motion::Running]);
    assert!(step.is_present().unwrap());
    assert_eq!(step.revert().unwrap(), Reverted::Undone);
    assert_eq!([motion(&one), motion(&two)], [Motion::Running, Motion::Running]);
    assert!(!step.is_present().unwrap());
    assert_eq!(step.revert().unwrap(), Reverted::Absent);
}

#[test]
fn every_thread_stands_still() {
    let threads = "import threading,time\nfor _ in range(8): threading.Thread(target=lambda: [time.sleep(0.001) for _ in \
                   iter(int, 1)], daemon=True).start()\nprint('x', flush=True)\ntime.sleep(1000)";
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: no python3 to run a program of many threads");
        return;
    }
    let victim = Victim::shell(&format!("exec python3 -c \"{threads}\""));
    let hold = pause(&[&victim]).apply(journal().1).unwrap().unwrap();
    let tasks = Process::new(victim.identity().pid).unwrap().tasks().unwrap();
    let states: Vec<char> = tasks.map(|task| task.unwrap().stat().unwrap().state).collect();
    assert_eq!(states, vec!['T'; 9]);
    assert_eq!(hold.evidence().bite, Bite::Yes);
}

#[test]
fn who_was_stopped_by_somebody_else_stays_stopped() {
    let (ours, foreign) = (Victim::sleeper(), Victim::sleeper());
    let step = pause(&[&ours, &foreign]);
    signal(&foreign, Signal::STOP, Motion::Stopped);
    let (written, amend) = journal();
    let hold = step.apply(amend).unwrap();
    let amended = last(&written);
    assert_eq!(amended.processes, [ours.identity()]);
    drop(hold);
    assert_eq!(amended.revert().unwrap(), Reverted::Undone);
    assert_eq!([motion(&ours), motion(&foreign)], [Motion::Running, Motion::Stopped]);
    assert!(pause(&[&foreign]).apply(journal().1).is_err(), "nothing is left to stop");
}

#[test]
fn says_that_somebody_else_continued_one() {
    let (one, two) = (Victim::sleeper(), Victim::sleeper());
    let step = pause(&[&one, &two]);
    let hold = step.apply(journal().1).unwrap().unwrap();
    signal(&one, Signal::CONT, Motion::Running);
    let Bite::No(why) = hold.evidence().bite else { panic!("{:?}", hold.evidence()) };
    assert!(why.contains(&format!("sleep ({})", one.identity())), "{why}");
    let Reverted::Superseded(found) = step.revert().unwrap() else { panic!("superseded") };
    assert!(found.contains(&one.identity().to_string()) && !found.contains(&two.identity().to_string()), "{found}");
    assert_eq!(motion(&two), Motion::Running);
}

#[test]
fn a_process_that_died_meanwhile_is_no_trouble() {
    let (mut one, two) = (Victim::sleeper(), Victim::sleeper());
    let step = pause(&[&one, &two]);
    let hold = step.apply(journal().1).unwrap().unwrap();
    one.0.kill().unwrap();
    one.0.wait().unwrap();
    assert_eq!(hold.evidence().bite, Bite::Yes);
    assert_eq!(step.revert().unwrap(), Reverted::Undone);
}

#[test]
fn children_started_meanwhile_are_stopped_too_and_written_down_first() {
    let parent = Victim::shell("sleep 1000 & sleep 1000 & echo; wait");
    let step = ProcessPause { descendants: true, ..pause(&[&parent]) };
    let (written, amend) = journal();
    let hold = step.apply(amend).unwrap().unwrap();
    let amended = last(&written);
    assert_eq!(amended.processes.len(), 3);
    assert_eq!(hold.evidence().measurements[0].measured, 3.0);
    assert_eq!(amended.revert().unwrap(), Reverted::Undone);
    for child in &amended.processes[1..] {
        let child = ProcessDescriptor::open(*child).unwrap().unwrap();
        assert_eq!(child.motion(), Motion::Running);
        child.signal(Signal::KILL).unwrap();
    }
}

#[test]
fn stops_and_continues_in_turn() {
    let victim = Victim::sleeper();
    let beat = Beat { pause: TimeSpan::from_millis(40), every: TimeSpan::from_millis(100) };
    let step = ProcessPause { beat: Some(beat), ..pause(&[&victim]) };
    let hold = step.apply(journal().1).unwrap().unwrap();
    let mut changes = 0;
    let mut before = Motion::Stopped;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(650) {
        let now = motion(&victim);
        changes += u32::from(now != before);
        before = now;
        std::thread::sleep(Duration::from_millis(1));
    }
    let evidence = hold.evidence();
    assert_eq!(evidence.bite, Bite::Yes, "{evidence:?}");
    let share = evidence.measurements.iter().find(|one| one.name == "time stopped").unwrap();
    assert_eq!(share.asked, Some(40.0));
    assert!((35.0..55.0).contains(&share.measured), "{share:?}");
    assert!(changes >= 8, "{changes} changes");
    drop(hold);
    step.revert().unwrap();
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(motion(&victim), Motion::Running);
}
