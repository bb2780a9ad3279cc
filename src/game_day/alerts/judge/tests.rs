use std::collections::BTreeMap;

use super::super::{Alert, Reading};
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn alert(name: &str, since: i64) -> Alert {
    let labels = BTreeMap::from([("alertname".to_owned(), name.to_owned())]);
    Alert { labels, starts_at: at(since), suppressed: false }
}

fn expected(resolved_within: Option<u64>) -> ExpectedAlert {
    ExpectedAlert {
        name: Some("Down".into()),
        matchers: Vec::new(),
        within: TimeSpan::from_secs(60),
        resolved_within: resolved_within.map(TimeSpan::from_secs),
    }
}

/// Readings every 5 s from 0 to `until`: `firing(second)` are the alerts then, `None` is no answer.
fn watch(until: i64, firing: impl Fn(i64) -> Option<Vec<Alert>>) -> Watch {
    let mut watch = Watch::new(at(0), SignedDuration::from_secs(16));
    let mut last = None;
    for second in (0..=until).step_by(5) {
        let reading = match firing(second) {
            None => Reading::Unknown("connection refused".into()),
            Some(alerts) if last.as_ref() == Some(&alerts) => Reading::Unchanged,
            Some(alerts) => {
                last = Some(alerts.clone());
                Reading::Firing(alerts)
            }
        };
        watch.follow(at(second), &reading);
    }
    watch
}

/// The fault is in place at 30 and undone at 120; nobody watches after `over`.
fn life(over: Option<i64>) -> Life {
    Life { incited: Some(at(30)), undone: Some(at(120)), unwatched: over.map(at) }
}

/// An alert that fires from `since` until `end`, with answers at all times.
fn firing(since: i64, end: i64, until: i64) -> Watch {
    watch(until, move |second| Some(if second >= since && second < end { vec![alert("Down", since)] } else { vec![] }))
}

fn seen(expected: &ExpectedAlert, life: Life, watch: &Watch) -> (Fired, Option<Resolved>, String) {
    let verdict = judge(expected, life, watch);
    (verdict.fired, verdict.resolved, verdict.because)
}

#[test]
fn an_alert_fires_in_time_or_late_or_not() {
    let life = life(Some(300));
    let (fired, _, because) = seen(&expected(None), life, &firing(80, 200, 300));
    assert_eq!((fired, because.as_str()), (Fired::InTime, "fired 50 s after the fault was in place"));
    assert_eq!(seen(&expected(None), life, &firing(90, 200, 300)).0, Fired::InTime);
    let (fired, _, because) = seen(&expected(None), life, &firing(91, 200, 300));
    assert_eq!((fired, because.as_str()), (Fired::Late, "fired 61 s after the fault was in place, 1m was asked"));
    let (fired, _, because) = seen(&expected(None), life, &watch(300, |_| Some(vec![alert("Other", 40)])));
    assert_eq!((fired, because.as_str()), (Fired::Missed, "did not fire within 1m after the fault was in place"));
}

#[test]
fn what_was_firing_before_is_no_evidence_but_a_new_firing_is() {
    let (fired, _, because) = seen(&expected(None), life(Some(300)), &firing(10, 400, 300));
    assert_eq!(fired, Fired::FiringBefore);
    assert_eq!(because, "was firing already, since 20 s before the fault: that shows nothing");
    // Gone before the fault, so it did not fire at all.
    assert_eq!(seen(&expected(None), life(Some(300)), &firing(5, 25, 300)).0, Fired::Missed);
    let again = watch(300, |second| {
        Some(match second {
            0..40 => vec![alert("Down", -100)],
            60.. => vec![alert("Down", 57)],
            _ => vec![],
        })
    });
    let verdict = judge(&expected(None), life(Some(300)), &again);
    assert_eq!((verdict.fired, verdict.after), (Fired::InTime, Some(27.0)));
}

#[test]
fn no_answer_is_never_an_alert_that_did_not_fire() {
    let silent = |from: i64, until: i64| watch(300, move |second| (!(from..until).contains(&second)).then(Vec::new));
    for (from, until, fired) in [
        (0, 301, Fired::Unknown),
        (40, 60, Fired::Unknown),
        (85, 100, Fired::Unknown),
        (0, 20, Fired::Missed),
        (100, 200, Fired::Missed),
    ] {
        let (found, _, because) = seen(&expected(None), life(Some(300)), &silent(from, until));
        assert_eq!(found, fired, "{from}..{until}: {because}");
        assert_eq!(because.contains("connection refused"), fired == Fired::Unknown);
    }
    // Nobody asked for a while, and nobody said so.
    let mut unasked = watch(40, |_| Some(vec![]));
    unasked.follow(at(95), &Reading::Unchanged);
    assert_eq!(seen(&expected(None), life(Some(300)), &unasked).0, Fired::Unknown);
    // An alert that was seen after the gap, and says that it began in time, did.
    let late_seen = watch(300, |second| match second {
        40..100 => None,
        100.. => Some(vec![alert("Down", 70)]),
        _ => Some(vec![]),
    });
    assert_eq!(seen(&expected(None), life(Some(300)), &late_seen).0, Fired::InTime);
}

#[test]
fn the_watch_goes_on_until_the_time_is_up() {
    let quiet = |until| watch(until, |_| Some(vec![]));
    assert_eq!(seen(&expected(None), life(None), &quiet(85)).0, Fired::Pending);
    assert_eq!(seen(&expected(None), life(None), &quiet(90)).0, Fired::Missed);
    let (fired, _, because) = seen(&expected(None), life(Some(86)), &quiet(85));
    assert_eq!((fired, because.as_str()), (Fired::Unknown, "not known: the watch ended before its time was up"));
    let untouched = Life { incited: None, undone: None, unwatched: None };
    assert_eq!(seen(&expected(None), untouched, &quiet(85)).0, Fired::Pending);
    let refused = Life { unwatched: Some(at(86)), ..untouched };
    assert_eq!(seen(&expected(None), refused, &quiet(85)).0, Fired::NotTested);
}

#[test]
fn it_must_be_gone_in_time_after_the_undo() {
    let of = |end, until, over| {
        let (fired, resolved, because) = seen(&expected(Some(100)), life(over), &firing(60, end, until));
        assert_eq!(fired, Fired::InTime);
        (resolved.unwrap(), because)
    };
    assert_eq!(of(100, 400, Some(400)).0, Resolved::InTime);
    let (resolved, because) = of(200, 400, Some(400));
    assert_eq!(resolved, Resolved::InTime);
    assert_eq!(because, "fired 30 s after the fault was in place; resolved 80 s after the undo");
    let (resolved, because) = of(240, 400, Some(400));
    assert_eq!(resolved, Resolved::Late);
    assert!(because.ends_with("resolved 2 min after the undo, 1m40s was asked"), "{because}");
    let (resolved, because) = of(900, 400, None);
    assert_eq!(resolved, Resolved::Late);
    assert!(because.ends_with("not resolved within 1m40s after the undo"), "{because}");
    assert_eq!(of(900, 200, None).0, Resolved::Pending);
    assert_eq!(of(900, 200, Some(201)).0, Resolved::Unknown);
    let gap = watch(400, |second| match second {
        60..150 => Some(vec![alert("Down", 60)]),
        150..300 => None,
        _ => Some(vec![]),
    });
    assert_eq!(seen(&expected(Some(100)), life(Some(400)), &gap).1, Some(Resolved::Unknown));
}

#[test]
fn an_alert_of_which_nobody_was_told_is_not_as_expected() {
    let silenced = Alert { suppressed: true, ..alert("Down", 40) };
    let watch = watch(300, move |second| Some(if second < 40 { vec![] } else { vec![silenced.clone()] }));
    let verdict = judge(&expected(None), life(Some(300)), &watch);
    assert!(verdict.fired == Fired::InTime && verdict.suppressed && !verdict.is_as_expected());
}

#[test]
fn what_nobody_expected_is_listed() {
    let watch = watch(300, |second| {
        let mut alerts = vec![alert("Old", -50)];
        alerts.extend((second >= 50).then(|| alert("Down", 50)));
        alerts.extend((50..100).contains(&second).then(|| alert("Backlog", 48)));
        Some(alerts)
    });
    let found = unexpected(&[expected(None)], life(Some(300)), &watch);
    let found: Vec<_> = found.iter().map(|one| (one.alert.as_str(), one.fired_at, one.resolved_at)).collect();
    assert_eq!(found, [("Backlog", at(48), Some(at(100)))]);
}
