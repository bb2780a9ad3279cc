//! How a game day goes, and what ends it.

use super::*;

#[test]
fn a_whole_day() {
    let mut play = Play::holding();
    play.must(decided("ada", Answer::Go));
    assert_eq!(*play.state.stage(), Stage::Running { experiment: 1 });
    play.must(Event::Started { experiment: 1, run: "r1".into() });
    play.must(incited(1));
    play.must(undone(1));
    assert_eq!(play.must(ended(1, RunVerdict::Violated)), []);
    assert_eq!(*play.state.stage(), Stage::Settling { experiment: 1 }, "an alert may still fire");
    // Nobody wants to wait for it.
    play.must(decided("margaret", Answer::Go));
    assert_eq!(*play.state.stage(), Stage::Hold { experiment: 1, when: HoldPoint::After });
    assert_eq!(play.must(decided("ada", Answer::Go)), [Command::Finish]);
    assert_eq!(*play.state.stage(), Stage::Finished);
    assert_eq!(play.put(Event::Tick).unwrap_err(), Illegal::Over);
    let note = Note { author: "ada".into(), text: "a late thought".into(), tags: vec![] };
    play.must(Event::Noted(note));
}

#[test]
fn alerts_are_waited_for_until_nothing_more_can_be_seen_of_them() {
    let mut play = Play::running();
    play.must(firing(&[]));
    play.must(incited(0));
    let since = play.now;
    play.must(firing(&[("CheckoutSlow", since), ("BackendDown", since + 1)]));
    play.must(undone(0));
    play.must(ended(0, RunVerdict::Held));
    assert_eq!(*play.state.stage(), Stage::Settling { experiment: 0 }, "it is not resolved yet");
    play.must(firing(&[("BackendDown", since + 1)]));
    assert_eq!(*play.state.stage(), Stage::Hold { experiment: 1, when: HoldPoint::Before });
    assert!(play.state.alerts(0).iter().all(crate::game_day::alerts::AlertVerdict::is_as_expected));
    assert!(play.put(firing(&[])).is_err(), "nothing is watched at a hold");
}

#[test]
fn a_no_go_ends_it() {
    let mut play = Play::requested();
    play.approve("grace").unwrap();
    play.approve("linus").unwrap();
    assert!(matches!(play.put(answered(0, "grace", Answer::Go)), Err(Illegal::NotEntitled { .. })));
    assert_eq!(play.put(answered(0, "ada", Answer::Skip)).unwrap_err(), Illegal::Required);
    assert!(matches!(play.put(answered(9, "ada", Answer::Go)), Err(Illegal::NoSuch { .. })));
    assert_eq!(play.must(answered(0, "ada", Answer::NoGo)), [Command::Finish]);
    assert_eq!(ending(&play), EndingKind::NoGo);

    let mut play = Play::holding();
    assert!(play.put(decided("stranger", Answer::Go)).is_err());
    play.must(decided("margaret", Answer::NoGo));
    assert_eq!(ending(&play), EndingKind::NoGo);

    let mut play = Play::holding();
    assert_eq!(play.must(decided("ada", Answer::Skip)), [Command::Finish]);
    assert!(*play.state.stage() == Stage::Finished && play.state.experiments()[1].skipped);
}

#[test]
fn nothing_starts_outside_the_window_and_what_runs_at_its_end_is_undone() {
    let mut play = Play::requested();
    play.now = -50;
    play.state.now = at(-50);
    play.approve("grace").unwrap();
    play.approve("linus").unwrap();
    play.must(answered(0, "ada", Answer::Go));
    assert_eq!(play.must(answered(1, "ada", Answer::Skip)), []);
    assert_eq!(*play.state.stage(), Stage::AwaitingWindow);
    play.now = -2;
    assert_eq!(play.must(Event::Tick), []);
    assert_eq!(play.must(Event::Tick).len(), 2);
    play.now = 7198;
    assert_eq!(play.must(Event::Tick), []);
    let stopped = play.must(Event::Tick);
    assert_eq!(stopped, [Command::StopExperiment { experiment: 0, reason: "the window is over".into() }]);
    assert_eq!(play.must(Event::Tick), [], "once");
    assert!(!play.state.is_over(), "until it is undone");
    assert_eq!(play.must(ended(0, RunVerdict::Aborted)), [Command::Finish]);
    assert_eq!(ending(&play), EndingKind::WindowOver);

    let mut play = Play::holding();
    play.now = 7200;
    play.must(Event::Tick);
    assert_eq!(ending(&play), EndingKind::WindowOver);
    assert_eq!(play.put(decided("ada", Answer::Go)).unwrap_err(), Illegal::Over);
}

#[test]
fn experiments_alerts_people_and_halts_end_it() {
    for (verdict, ends) in [
        (RunVerdict::Aborted, true),
        (RunVerdict::CleanupUnverified, true),
        (RunVerdict::Interrupted, true),
        (RunVerdict::Violated, false),
        (RunVerdict::Refused, false),
    ] {
        let mut play = Play::running();
        play.must(ended(0, verdict));
        assert_eq!(matches!(play.state.stage(), Stage::Aborted(_)), ends, "{verdict:?}");
    }
    let mut play = Play::running();
    assert_eq!(play.must(firing(&[("CustomersHurt", -500)])), [], "it was firing before");
    let since = play.now;
    let stopped = play.must(firing(&[("CustomersHurt", since)]));
    assert!(
        matches!(&stopped[..], [Command::StopExperiment { experiment: 0, reason }] if reason.contains("CustomersHurt"))
    );
    play.must(ended(0, RunVerdict::Aborted));
    assert_eq!(ending(&play), EndingKind::Alert);

    let mut play = Play::running();
    play.must(Event::Aborted { by: "margaret".into(), reason: "a customer calls".into() });
    play.must(Event::Halted { reason: "later".into() });
    play.must(ended(0, RunVerdict::Aborted));
    assert_eq!(ending(&play), EndingKind::Person, "the first reason stays");
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    assert_eq!(step(None, at(0), Event::Tick).unwrap_err(), Illegal::Opening);
    let mut opened = fixture::opened();
    opened.experiments.pop();
    assert!(step(None, at(0), Event::Opened(Box::new(opened))).is_err());
    let mut play = Play::new();
    for event in [
        Event::Opened(Box::new(fixture::opened())),
        answered(0, "ada", Answer::Go),
        decided("ada", Answer::Go),
        Event::Started { experiment: 0, run: "r".into() },
        incited(0),
        ended(0, RunVerdict::Held),
        firing(&[]),
        Event::Approved { by: "grace".into(), hash: play.state.hash().clone() },
    ] {
        assert!(play.put(event.clone()).is_err(), "{event:?}");
    }
    let mut play = Play::running();
    play.must(Event::Started { experiment: 0, run: "r".into() });
    for event in [
        Event::Started { experiment: 0, run: "again".into() },
        Event::Started { experiment: 1, run: "other".into() },
        ended(1, RunVerdict::Held),
        answered(0, "ada", Answer::NoGo),
        Event::Requested { by: "ada".into() },
    ] {
        let message = play.put(event.clone()).unwrap_err().to_string();
        assert!(message.ends_with("while the game day runs experiment 1"), "{message}");
    }
}

#[test]
fn a_run_waits_for_its_hosts_once_and_is_the_one_that_starts() {
    let queued = |run: &str| Event::Queued { experiment: 0, run: run.into() };
    let started = |run: &str| Event::Started { experiment: 0, run: run.into() };
    let mut play = Play::requested();
    assert!(play.put(queued("r")).is_err(), "nothing was approved");
    let mut play = Play::running();
    assert!(play.put(Event::Queued { experiment: 1, run: "r".into() }).is_err());
    assert!(play.put(Event::Queued { experiment: 7, run: "r".into() }).is_err());
    play.must(queued("r"));
    assert!(play.put(queued("another")).is_err() && play.put(started("another")).is_err());
    assert_eq!(play.state.experiments()[0].queued.as_ref().map(|(_, run)| run.as_str()), Some("r"));
    play.must(started("r"));
    assert!(play.put(queued("later")).is_err());
    let mut play = Play::running();
    let commands = play.must(Event::Aborted { by: "ada".into(), reason: "no".into() });
    assert!(matches!(commands[..], [Command::StopExperiment { experiment: 0, .. }]), "{commands:?}");
    assert!(play.put(queued("r")).is_err(), "nothing is asked for any more");
    assert_eq!(play.must(ended(0, RunVerdict::Refused)), [Command::Finish]);
}

#[test]
fn what_is_asked_follows_the_stage() {
    assert_eq!(Play::new().state.asked(), None);
    assert_eq!(Play::requested().state.asked(), Some(Asked::Approvals));
    assert_eq!(Play::running().state.asked(), None);
    let mut play = Play::holding();
    assert_eq!(play.state.asked(), Some(Asked::Before(1)));
    play.must(Asked::Before(1).answered("ada".into(), Answer::Go, None).unwrap());
    play.must(incited(1));
    play.must(undone(1));
    play.must(ended(1, RunVerdict::Held));
    assert_eq!(play.state.asked(), Some(Asked::Alerts(1)));
    play.must(Asked::Alerts(1).answered("ada".into(), Answer::Go, None).unwrap());
    assert_eq!(play.state.asked(), Some(Asked::After(1)));
    assert_eq!(Asked::Approvals.answered("ada".into(), Answer::Go, None), None);
    let question = Asked::Question(0).answered("ada".into(), Answer::Skip, None);
    assert_eq!(question, Some(answered(0, "ada", Answer::Skip)));
}
