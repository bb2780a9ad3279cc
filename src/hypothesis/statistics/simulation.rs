//! How often the sequential test is wrong when it is looked at after every single event: 10,000 simulated runs.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{DecisionRule, SequentialTest, threshold};

const RUNS: u64 = 10_000;

/// In how many of the runs the test said "above" and "below" at some moment.
///
/// Between two bad events the e-value against "at least" only grows and the one against "at most" only falls, so their
/// greatest values are found by looking just before and just after each bad event. The good events between them are
/// drawn at once, from the geometric distribution: the outcome is that of a look after every event.
fn answers(truth: f64, bound: f64, events: f64, error_rate: f64) -> (u32, u32) {
    let needed = threshold(error_rate);
    let mut chance = ChaCha8Rng::seed_from_u64(20_260_101);
    let (mut above, mut below) = (0, 0);
    for _ in 0..RUNS {
        let (mut bad, mut good) = (0.0, 0.0);
        let (mut said_above, mut said_below) = (false, false);
        loop {
            good += ((1.0 - chance.random::<f64>()).ln() / (-truth).ln_1p()).floor();
            let is_last = bad + good >= events;
            good = f64::min(good, events - bad);
            said_below |= bad < bound * (bad + good) && SequentialTest.ratio_is_below(bound, bad, good) >= needed;
            if is_last {
                break;
            }
            bad += 1.0;
            said_above |= bad > bound * (bad + good) && SequentialTest.ratio_is_above(bound, bad, good) >= needed;
        }
        above += u32::from(said_above);
        below += u32::from(said_below);
    }
    (above, below)
}

/// Exactly at the bound both claims are true, and both errors are at their most likely.
#[test]
fn at_the_bound_neither_answer_comes_more_often_than_stated() {
    for (bound, error_rate) in [(0.01, 0.05), (0.05, 0.0125)] {
        let (above, below) = answers(bound, bound, 1_000.0, error_rate);
        #[expect(clippy::cast_precision_loss, reason = "ten thousand")]
        let (runs, stated) = (RUNS as f64, error_rate);
        // Beyond three standard deviations lies one in a thousand; the seed is fixed, so this passes always or never.
        let most = runs * stated + 3.0 * (runs * stated * (1.0 - stated)).sqrt();
        assert!(f64::from(above) <= most, "above: {above} of {RUNS} at {stated}");
        assert!(f64::from(below) <= most, "below: {below} of {RUNS} at {stated}");
        // A test that never answers would pass as well.
        assert!(above > 0 && below > 0, "{above} {below}");
    }
}

/// Half of the bound: the stream is healthy, and is hardly ever called anything else.
#[test]
fn a_healthy_stream_is_not_called_broken() {
    let (above, below) = answers(0.002, 0.01, 2_000.0, 0.05);
    assert!(above <= 50, "{above} of {RUNS}");
    assert!(below >= 9_500, "{below} of {RUNS} are shown to be healthy");
}

/// Five times the bound is found in nearly every run within 20 s of 50 requests each.
#[test]
fn a_broken_stream_is_found() {
    let (above, below) = answers(0.05, 0.01, 1_000.0, 0.0125);
    assert!(above >= 9_990, "{above} of {RUNS}");
    assert!(below <= 5, "{below} of {RUNS}");
}
