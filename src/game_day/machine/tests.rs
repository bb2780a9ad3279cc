use faultline_agent::units::TimeSpan;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::game_day::alerts::{Alert, Reading};
use crate::game_day::fixture;
use crate::game_day::hash::PlanHash;
use crate::hypothesis::verdict::RunVerdict;

/// So many seconds after the window opened (10:00 in Berlin).
fn at(second: i64) -> Timestamp {
    "2026-12-01T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

/// A game day to which things happen, one a second.
struct Play {
    state: State,
    now: i64,
}

impl Play {
    fn new() -> Self {
        let (state, commands) = step(None, at(-60), Event::Opened(Box::new(fixture::opened()))).unwrap();
        assert_eq!((state.stage(), commands.len()), (&Stage::Drafted, 0));
        Self { state, now: 0 }
    }

    fn put(&mut self, event: Event) -> Result<Vec<Command>, Illegal> {
        self.now += 1;
        let (state, commands) = step(Some(&self.state), at(self.now), event)?;
        self.state = state;
        Ok(commands)
    }

    fn must(&mut self, event: Event) -> Vec<Command> {
        self.put(event).unwrap()
    }

    fn approve(&mut self, by: &str) -> Result<Vec<Command>, Illegal> {
        let hash = self.state.hash().clone();
        self.put(Event::Approved { by: by.into(), hash })
    }

    fn requested() -> Self {
        let mut play = Self::new();
        let asked = play.must(Event::Requested { by: "dennis".into() });
        assert_eq!(asked, [Command::AskApprovals { missing: 2 }]);
        play
    }

    /// Approved, and the checklist answered: the first experiment runs.
    fn running() -> Self {
        let mut play = Self::requested();
        play.approve("grace").unwrap();
        assert_eq!(play.approve("linus").unwrap(), [Command::Ask { item: 0 }]);
        assert_eq!(play.must(answered(0, "ada", Answer::Go)), [Command::Ask { item: 1 }]);
        let commands = play.must(answered(1, "ada", Answer::NoGo));
        let hash = play.state.opening().experiments[0].hash.clone();
        let start = Command::StartExperiment { experiment: 0, hash };
        assert_eq!(commands, [Command::WatchAlerts { experiment: 0 }, start]);
        play
    }

    /// The first experiment ran and nothing fired; it holds before the second.
    fn holding() -> Self {
        let mut play = Self::running();
        play.must(Event::Started { experiment: 0, run: "r0".into() });
        play.must(ended(0, RunVerdict::Held));
        assert_eq!(*play.state.stage(), Stage::Hold { experiment: 1, when: HoldPoint::Before });
        play
    }
}

fn answered(item: usize, by: &str, answer: Answer) -> Event {
    Event::Answered { item, by: by.into(), answer, remark: None }
}

fn decided(by: &str, answer: Answer) -> Event {
    Event::Decided { by: by.into(), answer, remark: None }
}

fn ended(experiment: usize, verdict: RunVerdict) -> Event {
    Event::Ended { experiment, verdict, because: "so it was".into() }
}

fn incited(experiment: usize) -> Event {
    Event::Progress { experiment, what: Milestone::Incited { fault: "network-latency".into() } }
}

fn undone(experiment: usize) -> Event {
    Event::Progress { experiment, what: Milestone::Undone { verified: true } }
}

fn firing(names: &[(&str, i64)]) -> Event {
    let alert = |(name, since): &(&str, i64)| Alert {
        labels: [("alertname".to_owned(), (*name).to_owned())].into(),
        starts_at: at(*since),
        suppressed: false,
    };
    Event::Alerts(Reading::Firing(names.iter().map(alert).collect()))
}

fn ending(play: &Play) -> EndingKind {
    match play.state.stage() {
        Stage::Aborted(ending) => ending.kind,
        other => panic!("{other:?}"),
    }
}

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
fn approvals_need_other_entitled_people_and_the_plan_as_it_is() {
    let mut play = Play::requested();
    for (by, error) in [
        ("ada", "ada may not approve"),
        ("nobody", "nobody may not approve"),
        ("dennis", "dennis may not approve what they asked for themselves"),
    ] {
        assert_eq!(play.approve(by).unwrap_err().to_string(), error);
    }
    let of_another = Event::Approved { by: "grace".into(), hash: PlanHash::given("sha256:other") };
    assert!(matches!(play.put(of_another), Err(Illegal::OtherPlan { .. })));
    play.approve("grace").unwrap();
    assert_eq!(play.approve("grace").unwrap_err(), Illegal::Twice { who: "grace".into() });
    play.must(Event::Withdrawn { by: "grace".into() });
    assert_eq!(play.state.missing_approvals(at(play.now)), 2);
    assert!(play.put(Event::Withdrawn { by: "linus".into() }).is_err());
}

#[test]
fn a_change_voids_and_time_expires_approvals_even_in_the_middle() {
    let mut play = Play::holding();
    let same = play.state.hash().clone();
    assert_eq!(play.must(Event::Planned { hash: same }), []);
    let asked = play.must(Event::Planned { hash: PlanHash::given("sha256:new") });
    assert_eq!(asked, [Command::AskApprovals { missing: 2 }]);
    assert!(play.put(decided("ada", Answer::Go)).is_err(), "nobody starts it without approvals");
    play.approve("grace").unwrap();
    let asked = play.approve("linus").unwrap();
    assert_eq!(asked, [Command::AskGo { experiment: 1, when: HoldPoint::Before }]);

    let mut opened = fixture::opened();
    opened.game_day.spec.window = None;
    if let Some(approvals) = &mut opened.game_day.spec.approvals {
        approvals.expire_after = TimeSpan::from_secs(100);
    }
    let (state, _) = step(None, at(0), Event::Opened(Box::new(opened))).unwrap();
    let mut play = Play { state, now: 0 };
    play.must(Event::Requested { by: "dennis".into() });
    play.approve("grace").unwrap();
    play.now = 50;
    play.approve("linus").unwrap();
    play.must(answered(0, "ada", Answer::Go));
    play.now = 120;
    let asked = play.must(answered(1, "ada", Answer::Go));
    assert_eq!(asked, [Command::AskApprovals { missing: 1 }], "the first approval has expired");
    play.approve("grace").unwrap();
    assert_eq!(*play.state.stage(), Stage::Running { experiment: 0 });
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

/// Events that may or may not make sense, biased towards those that lead on.
fn any_event() -> impl Strategy<Value = (i64, Event)> {
    let person = prop::sample::select(vec!["ada", "dennis", "grace", "linus", "margaret", "stranger"]);
    let answer = prop::sample::select(vec![Answer::Go, Answer::Go, Answer::Go, Answer::Go, Answer::Skip, Answer::NoGo]);
    let hash = prop::sample::select(vec!["current", "current", "current", "current", "other"]);
    let verdict = prop::sample::select(vec![RunVerdict::Held, RunVerdict::Violated, RunVerdict::Aborted]);
    let event =
        (0..22_u8, person, answer, hash, verdict, 0..3_usize).prop_map(|(kind, by, answer, hash, verdict, number)| {
            match kind {
                0 => Event::Requested { by: by.into() },
                1 => Event::Planned { hash: PlanHash::given(hash) },
                2..=6 => Event::Approved { by: by.into(), hash: PlanHash::given(hash) },
                7 => Event::Withdrawn { by: by.into() },
                8..=11 => answered(number, by, answer),
                12..=13 => decided(by, answer),
                14..=15 => ended(number, verdict),
                16 => incited(number),
                17 => firing(&[("CheckoutSlow", 0)]),
                18 => Event::Aborted { by: by.into(), reason: "x".into() },
                19 => Event::Queued { experiment: number, run: format!("r{number}") },
                _ => Event::Tick,
            }
        });
    (prop::sample::select(vec![0_i64, 1, 1, 5, 30, 400, 40_000]), event)
}

/// Whether a start is allowed, told from what people said alone: a second, simpler telling of the rules.
fn may_start(log: &[(i64, Event)], now: i64) -> Result<(), String> {
    let mut hash = "current".to_owned();
    let mut requester = String::new();
    let mut approved: std::collections::BTreeMap<String, i64> = Default::default();
    let mut required = None;
    for (time, event) in log {
        match event {
            Event::Requested { by } => requester.clone_from(by),
            Event::Planned { hash: new } if new.as_str() != hash => {
                new.as_str().clone_into(&mut hash);
                approved.clear();
            }
            Event::Approved { by, hash: of } if of.as_str() == hash => drop(approved.insert(by.clone(), *time)),
            Event::Withdrawn { by } => drop(approved.remove(by)),
            Event::Answered { item: 0, answer, .. } => required = Some(*answer),
            _ => {}
        }
    }
    let counted = approved.iter().filter(|(by, time)| {
        ["grace", "linus", "dennis"].contains(&by.as_str()) && **by != requester && now < **time + 24 * 3600
    });
    let counted = counted.count();
    if counted < 2 {
        return Err(format!("{counted} approvals"));
    }
    if required != Some(Answer::Go) {
        return Err(format!("the required question: {required:?}"));
    }
    if !(0..7200).contains(&now) { Err(format!("outside the window: {now}")) } else { Ok(()) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn over_any_history(first in -90_000_i64..100, events in prop::collection::vec(any_event(), 0..60)) {
        let mut opened = fixture::opened();
        opened.hash = PlanHash::given("current");
        let mut now = first;
        let (mut state, _) = step(None, at(now), Event::Opened(Box::new(opened.clone()))).unwrap();
        let mut journal = vec![Entry { at: at(now), event: Event::Opened(Box::new(opened)) }];
        let mut log: Vec<(i64, Event)> = Vec::new();
        let (mut running, mut said_no) = (None, false);
        let script = [Event::Requested { by: "dennis".into() }];
        for (pause, event) in script.map(|event| (0, event)).into_iter().chain(events) {
            now += pause;
            let was_over = state.is_over();
            let Ok((next, commands)) = step(Some(&state), at(now), event.clone()) else { continue };
            journal.push(Entry { at: at(now), event: event.clone() });
            said_no |= matches!(
                &event,
                Event::Answered { item: 0, answer: Answer::NoGo, .. } | Event::Decided { answer: Answer::NoGo, .. }
            );
            log.push((now, event.clone()));
            if let Event::Queued { experiment, .. } = event {
                let ends = matches!(state.stage(), Stage::Stopping { .. });
                prop_assert!(running == Some(experiment) && !ends);
                prop_assert!(state.experiments()[experiment].queued.is_none(), "a second run");
            }
            if let Event::Ended { .. } = event { running = None; }
            for command in &commands {
                if let Command::StartExperiment { experiment, .. } = command {
                    prop_assert!(may_start(&log, now).is_ok(), "{:?} {:?}", may_start(&log, now), log);
                    prop_assert!(!said_no && !was_over && running.is_none());
                    running = Some(*experiment);
                }
            }
            if said_no { prop_assert!(matches!(next.stage(), Stage::Aborted(_))); }
            if next.is_over() {
                prop_assert!(running.is_none(), "over while experiment {running:?} runs");
                prop_assert!(next.experiments().iter().all(|one| one.asked.is_some() == one.ended.is_some()));
                prop_assert_eq!(was_over, !commands.contains(&Command::Finish));
            }
            state = next;
        }
        let again = replay(&journal).unwrap();
        prop_assert_eq!(again.stage(), state.stage());
        prop_assert_eq!(again.experiments(), state.experiments());
    }
}
