//! Random histories, and what holds over all of them.

use proptest::prelude::*;

use super::*;

/// Events that may or may not make sense, biased towards those that lead on.
fn any_event() -> impl Strategy<Value = (i64, Event)> {
    let person = prop::sample::select(vec!["ada", "dennis", "grace", "linus", "margaret", "stranger"]);
    let answer = prop::sample::select(vec![Answer::Go, Answer::Go, Answer::Go, Answer::Go, Answer::Skip, Answer::NoGo]);
    let hash = prop::sample::select(vec!["current", "current", "current", "current", "other"]);
    let verdict = prop::sample::select(vec![RunVerdict::Held, RunVerdict::Violated, RunVerdict::Aborted]);
    let event =
        (0..23_u8, person, answer, hash, verdict, 0..3_usize).prop_map(|(kind, by, answer, hash, verdict, number)| {
            match kind {
                0 => Event::Requested { by: by.into() },
                1 => planned(PlanHash::given(hash), &[]),
                20 => Event::Drifted { experiment: number, because: "db-1 is gone".into() },
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
            Event::Planned { hash: new, .. } if new.as_str() != hash => {
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
            if let Event::Ended { .. } | Event::Drifted { .. } = event { running = None; }
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
