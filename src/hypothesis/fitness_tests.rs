//! Signals that are unfit to be judged, and guardrails on signals that fail in bursts.

use rand_chacha::ChaCha8Rng;

use super::Steady;
use super::trial::{Trial, failing, with_objectives};
use super::verdict::{Phase, Verdict};
use crate::signals::sample::Reading;

const SHOP: &str = "shop: { http: { url: 'http://a/', rate: 50/s } }";
const OVER: &str = "{ signal: shop, errors: { atMost: +50pp, of: baseline } }";

/// Of the 50 requests of each second so many fail, spread over it.
fn each_second(failed: impl Fn(f64) -> u32) -> impl FnMut(f64, &mut ChaCha8Rng) -> Option<Reading> {
    move |at, _| {
        let (number, failed) = ((at.fract() * 50.0).round(), f64::from(failed(at.floor())));
        let is_bad = ((number + 1.0) * failed / 50.0).floor() > (number * failed / 50.0).floor();
        Some(Reading::Request { latency: 0.02, failure: is_bad.then(|| "status 500".to_owned()) })
    }
}

#[test]
fn bursts_as_long_as_the_baseline_are_no_base_for_a_verdict() {
    for failing_then in [0.0, 1.0] {
        let mut trial = Trial::new(&with_objectives(SHOP, OVER));
        trial.phase(Phase::Before, (0, 32), "shop", 50, each_second(|at| if at < 8.0 { 5 } else { 0 }));
        let Steady::NotYet(because) = trial.judge.is_steady(32.0) else { panic!("the gate opened") };
        assert!(because.contains("shop is unfit to be judged at an error rate of 5%"), "{because}");
        trial.phase(Phase::During, (32, 64), "shop", 50, failing(failing_then));
        trial.phase(Phase::After, (64, 96), "shop", 50, failing(0.0));
        let verdicts = trial.verdicts();
        assert!(verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Inconclusive), "{verdicts:?}");
    }
    let mut trial = Trial::new(&with_objectives(SHOP, OVER));
    trial.phase(Phase::Before, (0, 32), "shop", 50, each_second(|at| if at < 8.0 { 5 } else { 0 }));
    insta::assert_snapshot!(trial.verdict(Phase::Before).because, @"40 of 1,600 requests failed: 2.5%; shop is unfit to be judged at an error rate of 5%: already before the fault it fails in bursts, by 18 times what chance explains in 4 s and growing with the time, too long for the baseline to tell how large they are; take a baseline of 120 s or more, or another signal");
}

#[test]
fn a_baseline_that_differs_from_itself_is_no_reference() {
    let mut trial = Trial::new(&with_objectives(SHOP, OVER));
    // Too short for blocks to tell of bursts.
    trial.phase(Phase::Before, (0, 7), "shop", 50, each_second(|at| if at < 3.0 { 0 } else { 20 }));
    trial.phase(Phase::During, (7, 67), "shop", 50, failing(0.0));
    assert_eq!(trial.verdict(Phase::During).verdict, Verdict::Inconclusive);
    insta::assert_snapshot!(trial.verdict(Phase::Before).because, @"80 of 350 requests failed: 22.9%; shop is unfit to be judged at an error rate of 5%: without any fault, the second half of the baseline differs from the first (0% and 40% are bad), as if there had been one; let it settle before the baseline begins, take a longer one, or another signal");
}

/// What is plainly not steady is refused for that, and not for its bursts; numbers are never unfit.
#[test]
fn a_bound_that_is_broken_before_the_fault_is_refused() {
    let mut trial = Trial::new(&with_objectives(SHOP, "{ signal: shop, errors: { below: 1% } }"));
    trial.phase(Phase::Before, (0, 32), "shop", 50, each_second(|at| if at < 8.0 { 40 } else { 0 }));
    assert!(matches!(trial.judge.is_steady(32.0), Steady::No(_)));
}

/// Two seconds in twenty in which half of the requests fail.
fn bursts(at: f64) -> u32 {
    if at % 20.0 < 2.0 { 25 } else { 0 }
}

/// A baseline of 120 s and then a minute; when the guardrail is breached, if it is.
fn breached(before: impl Fn(f64) -> u32, then: impl Fn(f64) -> u32) -> Option<f64> {
    let guardrails = "guardrails: [ { signal: shop, errors: { below: 10% } } ]\n";
    let mut trial = Trial::new(&(with_objectives(SHOP, "{ signal: shop, errors: { below: 50% } }") + guardrails));
    trial.phase(Phase::Before, (0, 120), "shop", 50, each_second(before));
    trial.judge.begin(Phase::During, 120.0);
    let mut readings = each_second(then);
    (120..180).map(f64::from).find(|second| {
        for tick in 0..50 {
            let at = second + f64::from(tick) / 50.0;
            let reading = readings(at, &mut trial.chance).expect("a reading");
            trial.judge.observe(&crate::signals::sample::Sample { signal: "shop".into(), at, reading });
        }
        trial.judge.breach(second + 1.0).is_some()
    })
}

#[test]
fn a_guardrail_knows_the_bursts_of_the_baseline() {
    assert_eq!(breached(bursts, bursts), None, "nothing is new");
    assert!(breached(|_| 0, bursts).is_some_and(|at| at < 125.0), "to one that knew none they are harm");
    let outage = breached(bursts, |_| 50).expect("an outage is more than a burst");
    assert!((120.0..140.0).contains(&outage), "{outage}");
}
