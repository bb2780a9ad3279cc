use super::*;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn agenda(lengths: &[u64], meet: &[(usize, usize)], within: Option<u64>, parallel: usize, retries: u32) -> Agenda {
    let lengths = lengths.iter().map(|least| Length { least: secs(*least), most: secs(least + 60) }).collect();
    Agenda::new(lengths, meet.iter().copied(), Pace { within: within.map(secs), parallel, retries })
}

#[test]
fn what_meets_runs_one_after_the_other_and_the_rest_beside_one_another() {
    let mut gate = agenda(&[10, 10, 10], &[(1, 0)], None, 2, 0);
    assert_eq!(gate.rehearse(), secs(20));
    assert_eq!(gate.step(secs(0), Event::Time), [Order::Start(0), Order::Start(2)]);
    assert_eq!(gate.step(secs(5), Event::Ended(2, RunVerdict::Held)), []);
    assert_eq!(gate.step(secs(10), Event::Ended(0, RunVerdict::Held)), [Order::Start(1)]);
    gate.step(secs(20), Event::Ended(1, RunVerdict::Held));
    assert!(gate.is_over() && gate.left_out().is_empty());
    assert_eq!(agenda(&[10, 10, 10], &[], None, 1, 0).rehearse(), secs(30));
    assert_eq!(agenda(&[10, 10, 10], &[], None, 3, 0).rehearse(), secs(10));
}

#[test]
fn the_box_cuts_what_runs_in_time_and_names_what_did_not_run() {
    let mut gate = agenda(&[60, 60, 10], &[], Some(120), 1, 0);
    assert_eq!(gate.step(secs(0), Event::Time), [Order::Start(0)]);
    // 105 s are for runs: 35 s of them are left now.
    assert_eq!(gate.step(secs(70), Event::Ended(0, RunVerdict::Held)), [Order::Start(2)]);
    assert_eq!(gate.left_out()[&1], "its method takes 1m, and 35s of the time box was left");
    assert_eq!(gate.wake(secs(70)), Some(secs(105)));
    assert_eq!(gate.step(secs(105), Event::Time), [Order::Cut(2)]);
    assert_eq!(gate.step(secs(106), Event::Time), []);
    assert_eq!(gate.wake(secs(106)), Some(secs(110)));
    assert_eq!(gate.step(secs(110), Event::Time), [Order::Hurry(2)]);
    assert_eq!(gate.step(secs(111), Event::Ended(2, RunVerdict::Aborted)), []);
    assert!(gate.is_over());
    assert_eq!(reserve(secs(20)), secs(5));
}

#[test]
fn only_what_was_not_decided_or_violated_is_run_again_and_no_more_often_than_asked() {
    let mut gate = agenda(&[10, 10], &[], None, 1, 1);
    gate.step(secs(0), Event::Time);
    assert_eq!(gate.step(secs(1), Event::Ended(0, RunVerdict::Violated)), [Order::Start(0)]);
    assert_eq!(gate.step(secs(2), Event::Ended(0, RunVerdict::Inconclusive)), [Order::Start(1)]);
    assert_eq!(gate.step(secs(3), Event::Ended(1, RunVerdict::Aborted)), []);
    assert!(gate.is_over());
}

#[test]
fn nothing_is_put_on_top_of_what_may_have_been_left_behind() {
    let mut gate = agenda(&[10, 10, 10], &[(0, 1)], None, 2, 3);
    gate.step(secs(0), Event::Time);
    assert_eq!(gate.step(secs(1), Event::Ended(0, RunVerdict::CleanupUnverified)), []);
    assert_eq!(gate.left_out().keys().copied().collect::<Vec<_>>(), [1]);
    assert!(!gate.is_over());
    gate.step(secs(2), Event::Ended(2, RunVerdict::Violated));
    assert!(gate.is_over());
    assert!(gate.left_out().contains_key(&2), "its retry was left out");
}

#[test]
fn an_interruption_reaches_everything_that_runs() {
    let mut gate = agenda(&[10, 10, 10], &[], None, 2, 1);
    gate.step(secs(0), Event::Time);
    assert_eq!(gate.step(secs(1), Event::Interrupted), [Order::Interrupt(0), Order::Interrupt(1)]);
    assert_eq!(gate.left_out()[&2], "the gate was interrupted");
    for index in [0, 1] {
        assert_eq!(gate.step(secs(2), Event::Ended(index, RunVerdict::Interrupted)), []);
    }
    assert!(gate.is_over());
}

proptest::proptest! {
    #[test]
    fn every_experiment_ends_or_is_named_and_what_meets_never_runs_together(
        lengths in proptest::collection::vec(1u64..100, 1..8),
        meet in proptest::collection::vec((0usize..8, 0usize..8), 0..8),
        parallel in 1usize..4,
        within in proptest::option::of(1u64..300),
        verdicts in proptest::collection::vec(0usize..9, 40),
        retries in 0u32..3,
    ) {
        let all = [
            RunVerdict::Held, RunVerdict::Held, RunVerdict::Held, RunVerdict::Violated, RunVerdict::Inconclusive,
            RunVerdict::Aborted, RunVerdict::Refused, RunVerdict::Invalid, RunVerdict::CleanupUnverified,
        ];
        let mut gate = agenda(&lengths, &meet, within, parallel, retries);
        let (mut now, mut event, mut verdicts) = (secs(0), Event::Time, verdicts.into_iter().cycle());
        let mut running: Vec<(Duration, usize)> = Vec::new();
        let mut ran = BTreeSet::new();
        loop {
            for order in gate.step(now, event) {
                match order {
                    Order::Start(index) => {
                        for (_, other) in &running {
                            proptest::prop_assert!(!meet.contains(&(index, *other)) && !meet.contains(&(*other, index)));
                        }
                        ran.insert(index);
                        running.push((now + secs(lengths[index]), index));
                    }
                    Order::Cut(index) | Order::Hurry(index) | Order::Interrupt(index) => {
                        for run in running.iter_mut().filter(|run| run.1 == index) {
                            run.0 = now + secs(1);
                        }
                    }
                }
            }
            proptest::prop_assert!(running.len() <= parallel);
            running.sort_unstable();
            let wake = gate.wake(now);
            match running.first().copied() {
                Some((end, _)) if wake.is_some_and(|wake| wake < end) => {
                    now = wake.unwrap();
                    event = Event::Time;
                }
                Some((end, index)) => {
                    now = end;
                    running.remove(0);
                    event = Event::Ended(index, all[verdicts.next().unwrap()]);
                }
                None => break,
            }
        }
        proptest::prop_assert!(gate.is_over());
        for index in 0..lengths.len() {
            proptest::prop_assert!(ran.contains(&index) || gate.left_out().contains_key(&index));
        }
        if let Some(within) = within {
            proptest::prop_assert!(now <= secs(within + 1));
        }
    }
}
