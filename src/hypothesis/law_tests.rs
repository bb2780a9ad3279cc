//! Laws of the whole judge.

use proptest::prelude::*;

use super::trial::{Trial, with_objectives};
use super::verdict::{Phase, Verdict};
use crate::signals::sample::Reading;

const SHOP: &str = "shop: { http: { url: 'http://a/', rate: 50/s } }";

/// The verdicts on the fault when the requests of these places fail.
fn verdicts(places: &[u32], of_baseline: u32) -> Vec<Verdict> {
    let objectives = "{ signal: shop, errors: { below: 5% } }, \
                      { signal: shop, errors: { atMost: +3pp, of: baseline } }, \
                      { signal: shop, latency: { quantile: 0.95, below: 300ms } }, \
                      { signal: shop, latency: { quantile: 0.9, atMost: +50%, of: baseline } }";
    let mut trial = Trial::new(&with_objectives(SHOP, objectives));
    let mut number = 0_u32;
    let mut request = |bad: bool| {
        number += 1;
        let latency = 0.1 + f64::from(number % 50) / 1_000.0;
        Some(Reading::Request { latency, failure: bad.then(|| "status 500".to_owned()) })
    };
    let mut tick = 0_u32;
    trial.phase(Phase::Before, (0, 20), "shop", 50, |_, _| {
        tick += 1;
        request(of_baseline > 0 && tick.is_multiple_of(of_baseline))
    });
    let mut tick = 0_u32;
    trial.phase(Phase::During, (20, 40), "shop", 50, |_, _| {
        tick += 1;
        request(places.contains(&tick))
    });
    let judged = trial.judge.verdicts();
    judged.into_iter().filter(|judged| judged.phase == Phase::During).map(|judged| judged.verdict).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn more_bad_events_never_turn_violated_into_held(
        bad in proptest::collection::vec(1u32..=1_000, 0..200),
        more in proptest::collection::vec(1u32..=1_000, 1..100),
        of_baseline in prop_oneof![Just(0u32), Just(37u32)],
    ) {
        let worse: Vec<u32> = bad.iter().chain(&more).copied().collect();
        for (before, after) in verdicts(&bad, of_baseline).into_iter().zip(verdicts(&worse, of_baseline)) {
            // From held through inconclusive to violated, never back.
            prop_assert!(before <= after, "{before:?} became {after:?}");
        }
    }
}
