//! Laws of the whole judge.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::trial::{Trial, spec, with_objectives};
use super::verdict::{ObjectiveVerdict, Phase, Verdict};
use super::{Judge, Steady};
use crate::signals::sample::{Reading, Sample};

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

/// Requests to two signals, 20 a second for 36 s, of which those of these places fail or are slow.
fn requests(bad: &[u32]) -> Vec<Sample> {
    let request = |tick: u32, signal: &str, is_bad: bool| {
        let latency = if is_bad && tick.is_multiple_of(2) { 0.5 } else { 0.1 + f64::from(tick % 10) / 1_000.0 };
        let failure = (is_bad && !tick.is_multiple_of(2)).then(|| "status 500".to_owned());
        Sample { signal: signal.into(), at: f64::from(tick) / 20.0, reading: Reading::Request { latency, failure } }
    };
    let both = |tick: u32| {
        let of_spare = bad.contains(&((tick + 360) % 720));
        [request(tick, "shop", bad.contains(&tick)), request(tick, "spare", of_spare)]
    };
    (0..720).flat_map(both).collect()
}

/// The verdicts on a run of 12 s a phase. Looked at after every second's worth of samples, or only in the end.
fn judged(samples: &[Sample], looks: bool) -> Vec<ObjectiveVerdict> {
    let signals = "shop: { http: { url: 'http://a/', rate: 20/s } }, spare: { http: { url: 'http://b/', rate: 20/s } }";
    let objectives = "{ signal: shop, errors: { below: 30% } }, \
                      { signal: shop, errors: { atMost: +20pp, of: baseline } }, \
                      { signal: shop, latency: { quantile: 0.8, atMost: +50%, of: baseline } }, \
                      { signal: shop, latency: { quantile: 0.8, atMost: +50%, of: { control: spare } } }";
    let yaml = with_objectives(signals, objectives);
    let mut judge = Judge::new(&spec(&yaml)).expect("judged");
    judge.begin(Phase::Before, 0.0);
    for (second, samples) in (0_u32..).zip(samples.chunks(40)) {
        for (begins, at, ends) in [(Phase::During, 12, Phase::Before), (Phase::After, 24, Phase::During)] {
            if second == at {
                judge.end(ends, f64::from(at));
                judge.begin(begins, f64::from(at));
            }
        }
        samples.iter().for_each(|sample| judge.observe(sample));
        if looks {
            assert!(matches!(judge.is_steady(f64::from(second + 1)), Steady::Yes | Steady::No(_) | Steady::NotYet(_)));
            judge.breach(f64::from(second + 1));
        }
    }
    judge.end(Phase::After, 36.0);
    judge.verdicts()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Nor do looks: what the judge keeps of the baseline between them is what it would find anew, though some samples
    /// of the baseline come only when the fault has begun.
    #[test]
    fn the_order_of_samples_and_the_number_of_looks_change_nothing(
        bad in proptest::collection::vec(0u32..720, 0..300),
        seed in 0u64..1_000,
    ) {
        let samples = requests(&bad);
        let in_order = judged(&samples, false);
        prop_assert_eq!(&judged(&samples, true), &in_order);
        let mut shuffled = samples;
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        // Up to five seconds late, so that the end of a phase lies in the middle of one chunk in two.
        shuffled.chunks_mut(200).for_each(|chunk| chunk.shuffle(&mut chance));
        prop_assert_eq!(&judged(&shuffled, true), &in_order);
    }

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
