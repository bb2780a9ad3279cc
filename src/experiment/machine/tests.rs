use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::method::Stage;
use super::*;

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn observe(number: u64) -> Stage {
    Stage::Observe(seconds(number))
}

fn method(stages: Vec<Stage>) -> Method {
    Method { stages, recovery: seconds(60) }
}

fn quickstart() -> Method {
    method(vec![observe(10), Stage::Inject(vec![(FaultNumber(0), seconds(15))]), observe(10)])
}

fn walk(method: Method, events: &[Event]) -> (State, Vec<Command>) {
    events.iter().fold((State::new(method), Vec::new()), |(state, _), event| step(state, event.clone()).unwrap())
}

const FIRST: FaultNumber = FaultNumber(0);

#[test]
fn a_run_in_which_nothing_goes_wrong_walks_through_every_state() {
    let mut state = State::new(quickstart());
    let mut seen = Vec::new();
    let events = [
        Event::Started,
        Event::Elapsed(Timer::Observe),
        Event::Baseline(Steadiness::Shown),
        Event::Injected(FIRST),
        Event::Bites(FIRST),
        Event::Elapsed(Timer::Fault(FIRST)),
        Event::Undone { fault: FIRST, verified: true },
        Event::Recovered,
        Event::Elapsed(Timer::Observe),
    ];
    for event in events {
        let (next, commands) = step(state, event).unwrap();
        seen.push(format!("{:?} {commands:?}", next.run_state()));
        state = next;
    }
    insta::assert_snapshot!(seen.join("\n"), @r"
    Steady [Start(Observe, 10s)]
    Steady [JudgeBaseline]
    Injecting [Inject(FaultNumber(0))]
    Biting [Start(Fault(FaultNumber(0)), 15s)]
    Watching []
    Undoing [Undo(FaultNumber(0))]
    Recovering [Start(Recovery, 60s), Start(Observe, 10s), AwaitRecovery]
    Recovering []
    Judged [Judge]
    ");
    assert!(state.everything_bit() && state.recovered() == Some(true) && state.ending().is_none());
}

#[test]
fn nothing_is_injected_when_the_baseline_is_not_shown_steady() {
    let not_shown = Event::Baseline(Steadiness::NotShown("5% errors".into()));
    let (state, commands) = walk(quickstart(), &[Event::Started, Event::Elapsed(Timer::Observe), not_shown]);
    assert_eq!(commands, [Command::Judge]);
    assert_eq!(state.ending(), Some(&Ending::Refused("5% errors".into())));
    assert!(!state.anything_injected());
}

#[test]
fn a_fault_that_is_still_being_put_in_place_is_undone_as_soon_as_it_is() {
    let stop = Event::Stopped(Stop::Interrupted("SIGINT".into()));
    let baseline = [Event::Started, Event::Elapsed(Timer::Observe), Event::Baseline(Steadiness::Shown)];
    let (state, commands) = walk(quickstart(), &baseline);
    assert_eq!(commands, [Command::Inject(FIRST)]);
    let (state, commands) = step(state, stop).unwrap();
    assert_eq!(commands, []);
    let (state, commands) = step(state, Event::Injected(FIRST)).unwrap();
    assert_eq!(commands, [Command::Undo(FIRST)]);
    let (state, commands) = step(state, Event::Undone { fault: FIRST, verified: true }).unwrap();
    assert_eq!((state.run_state(), commands), (RunState::Judged, vec![Command::Judge]));
    assert!(matches!(state.ending(), Some(Ending::Interrupted(_))));
}

#[test]
fn a_fault_without_effect_makes_the_run_invalid_and_the_next_one_is_not_injected() {
    let two = method(vec![
        observe(1),
        Stage::Inject(vec![(FIRST, seconds(1))]),
        Stage::Inject(vec![(FaultNumber(1), seconds(1))]),
    ]);
    let (state, commands) = walk(
        two,
        &[
            Event::Started,
            Event::Elapsed(Timer::Observe),
            Event::Baseline(Steadiness::Shown),
            Event::Injected(FIRST),
            Event::Elapsed(Timer::Fault(FIRST)),
            Event::Undone { fault: FIRST, verified: true },
        ],
    );
    assert!(matches!(state.ending(), Some(Ending::Invalid(_))), "{state:?}");
    assert!(!commands.iter().any(|command| matches!(command, Command::Inject(_))));
}

/// A method of two faults at once and one after them, up to the moment at which the first two bite.
fn two_under_way() -> State {
    let stages = vec![
        observe(1),
        Stage::Inject(vec![(FIRST, seconds(10)), (SECOND, seconds(10))]),
        observe(1),
        Stage::Inject(vec![(FaultNumber(2), seconds(1))]),
    ];
    let events = [
        Event::Started,
        Event::Elapsed(Timer::Observe),
        Event::Baseline(Steadiness::Shown),
        Event::Injected(FIRST),
        Event::Injected(SECOND),
        Event::Bites(FIRST),
        Event::Bites(SECOND),
    ];
    walk(method(stages), &events).0
}

const SECOND: FaultNumber = FaultNumber(1);

fn steps(state: State, events: &[Event]) -> (State, Vec<Command>) {
    events.iter().fold((state, Vec::new()), |(state, mut all), event| {
        let (state, commands) = step(state, event.clone()).unwrap();
        all.extend(commands);
        (state, all)
    })
}

#[test]
fn a_lost_fault_is_asked_after_when_its_host_is_found_and_at_the_latest_when_nothing_acts_any_more() {
    let (state, commands) = steps(two_under_way(), &[Event::Lost(FIRST)]);
    assert_eq!((state.run_state(), commands), (RunState::Watching, vec![]));
    let (found, commands) = steps(state.clone(), &[Event::Found(FIRST)]);
    assert_eq!((found.run_state(), commands), (RunState::Watching, vec![Command::Undo(FIRST)]));
    let (never, commands) = steps(state, &[Event::Elapsed(Timer::Fault(SECOND))]);
    assert_eq!((never.run_state(), commands), (RunState::Undoing, vec![Command::Undo(SECOND), Command::Undo(FIRST)]));
    let both = [Event::Undone { fault: SECOND, verified: true }, Event::Undone { fault: FIRST, verified: false }];
    let (unverified, _) = steps(never, &both);
    assert_eq!((unverified.run_state(), unverified.left_behind()), (RunState::Recovering, &[FIRST][..]));
}

#[test]
fn a_run_ends_when_every_host_is_lost_and_what_was_to_come_is_not_injected() {
    let (state, commands) = steps(two_under_way(), &[Event::Lost(FIRST), Event::Lost(SECOND)]);
    assert_eq!((state.run_state(), commands), (RunState::Undoing, vec![Command::Undo(FIRST), Command::Undo(SECOND)]));
    let (state, _) = steps(two_under_way(), &[Event::Lost(FaultNumber(2)), Event::Elapsed(Timer::Fault(FIRST))]);
    let rest = [
        Event::Elapsed(Timer::Fault(SECOND)),
        Event::Undone { fault: FIRST, verified: true },
        Event::Undone { fault: SECOND, verified: true },
        Event::Elapsed(Timer::Observe),
    ];
    let (state, commands) = steps(state, &rest);
    assert!(!commands.contains(&Command::Inject(FaultNumber(2))), "{commands:?}");
    assert!(matches!(state.ending(), Some(Ending::Invalid(_))), "{state:?}");
}

#[test]
fn a_fault_whose_host_is_lost_while_it_is_put_in_place_is_waited_for_and_undone() {
    let requested = [Event::Started, Event::Elapsed(Timer::Observe), Event::Baseline(Steadiness::Shown)];
    let both = method(vec![observe(1), Stage::Inject(vec![(FIRST, seconds(9)), (SECOND, seconds(9))])]);
    let (state, _) = walk(both, &requested);
    let (state, commands) = steps(state, &[Event::Lost(FIRST), Event::Injected(SECOND), Event::Bites(SECOND)]);
    assert_eq!(state.run_state(), RunState::Injecting);
    assert!(!commands.contains(&Command::Undo(FIRST)));
    let (there, commands) = steps(state.clone(), &[Event::Injected(FIRST)]);
    assert_eq!((there.run_state(), commands), (RunState::Watching, vec![Command::Undo(FIRST)]));
    let failed = Event::InjectionFailed { fault: FIRST, reason: "out of reach".into(), verified: true };
    let (failed, commands) = steps(state, &[failed]);
    assert_eq!((failed.run_state(), commands, failed.ending()), (RunState::Watching, vec![], None));
}

#[test]
fn an_event_out_of_place_is_an_error() {
    for event in [Event::Injected(FIRST), Event::Recovered, Event::Baseline(Steadiness::Shown)] {
        let illegal = step(State::new(quickstart()), event.clone()).unwrap_err();
        assert_eq!(illegal, Illegal { state: RunState::Planned, event });
    }
    let (judged, _) = walk(quickstart(), &[Event::Stopped(Stop::Halted("x".into()))]);
    assert!(judged.is_over());
    assert!(step(judged, Event::Started).is_err());
}

/// Drives the machine with answers drawn from a seed, as a faithful driver would ask and answer, with stops and
/// breaches thrown in; returns the final state and everything commanded.
fn random_history(seed: u64) -> (State, Vec<Command>) {
    let mut lost: Vec<FaultNumber> = Vec::new();
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let faults = chance.random_range(1..4_usize);
    let mut stages = vec![observe(1)];
    let mut number = 0;
    while number < faults {
        let together = chance.random_range(1..=faults - number);
        stages.push(Stage::Inject((number..number + together).map(|fault| (FaultNumber(fault), seconds(1))).collect()));
        number += together;
        if chance.random_bool(0.5) {
            stages.push(observe(1));
        }
    }
    let mut state = State::new(method(stages));
    let mut possible = vec![Event::Started];
    let mut history = Vec::new();
    for _ in 0..200 {
        if state.is_over() {
            return (state, history);
        }
        let stray = chance.random_bool(0.03);
        let may_lose = !matches!(state.run_state(), RunState::Planned | RunState::Steady);
        let event = if may_lose && chance.random_bool(0.1) {
            let fault = FaultNumber(chance.random_range(0..faults));
            possible.push(Event::Found(fault));
            lost.push(fault);
            Event::Lost(fault)
        } else if stray || possible.is_empty() {
            match chance.random_range(0..3) {
                0 => Event::Breached("guardrail".into()),
                1 => Event::Stopped(Stop::Interrupted("SIGINT".into())),
                _ => Event::Stopped(Stop::Broken("the guard died".into())),
            }
        } else {
            possible.swap_remove(chance.random_range(0..possible.len()))
        };
        let (next, commands) = step(state, event.clone()).unwrap_or_else(|illegal| panic!("seed {seed}: {illegal}"));
        state = next;
        for command in &commands {
            possible.extend(answer(command, &mut chance));
            let into_a_lost_host = matches!(command, Command::Inject(fault) if lost.contains(fault));
            assert!(!into_a_lost_host, "seed {seed}: {command:?} after {event:?}");
        }
        history.extend(commands);
        if let Event::Injected(fault) = event
            && state.faults.get(&fault) == Some(&(Life::Active { bites: false }))
            && chance.random_bool(0.9)
        {
            state = step(state, Event::Bites(fault)).unwrap().0;
        }
    }
    panic!("seed {seed}: the run does not end: {state:?}");
}

fn answer(command: &Command, chance: &mut impl Rng) -> Vec<Event> {
    match command {
        Command::Start(timer, _) => vec![Event::Elapsed(*timer)],
        Command::JudgeBaseline if chance.random_bool(0.8) => vec![Event::Baseline(Steadiness::Shown)],
        Command::JudgeBaseline => vec![Event::Baseline(Steadiness::NotShown("errors".into()))],
        Command::Inject(fault) if chance.random_bool(0.9) => vec![Event::Injected(*fault)],
        Command::Inject(fault) => {
            vec![Event::InjectionFailed { fault: *fault, reason: "EPERM".into(), verified: chance.random_bool(0.8) }]
        }
        Command::Undo(fault) => vec![Event::Undone { fault: *fault, verified: chance.random_bool(0.9) }],
        Command::AwaitRecovery if chance.random_bool(0.7) => vec![Event::Recovered],
        Command::AwaitRecovery | Command::Judge => vec![],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn every_history_ends_with_everything_undone_and_judged_once(seed: u64) {
        let (state, history) = random_history(seed);
        for fault in &state.injected {
            let undone = history.iter().filter(|command| **command == Command::Undo(*fault)).count();
            prop_assert_eq!(undone, 1, "fault {:?} of seed {}", fault, seed);
        }
        prop_assert!(state.faults.values().all(|life| *life == Life::Gone));
        prop_assert_eq!(history.iter().filter(|command| **command == Command::Judge).count(), 1);
        if state.ending().is_none() && state.left_behind().is_empty() {
            prop_assert!(state.everything_bit() && state.recovered().is_some());
        }
        if matches!(state.ending(), Some(Ending::Refused(_))) {
            prop_assert!(!state.anything_injected());
        }
    }
}
