//! How long to wait before the next try to reach the controller.

use std::time::Duration;

/// The longest wait after the first failure; it doubles with every further one.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait of all.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest while a fault is in place: a controller that restarts is to be found within the lease.
const LONGEST_WITH_FAULT: Duration = Duration::from_secs(1);

/// The wait after that many failures in a row, by a chance from 0 to 1.
///
/// Full jitter: anything from nothing to the bound. After a controller's restart the agents come back spread over the
/// whole interval, and not in waves. (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)
pub fn wait(failures: u32, chance: f64, has_fault: bool) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let longest = if has_fault { LONGEST_WITH_FAULT } else { LONGEST };
    let bound = FIRST.saturating_mul(1 << doublings).min(longest);
    bound.mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bound_doubles_up_to_half_a_minute() {
        let bounds = (1..9).map(|failures| wait(failures, 1.0, false).as_millis()).collect::<Vec<_>>();
        assert_eq!(bounds, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(wait(0, 1.0, false), FIRST);
        assert_eq!(wait(20, 1.0, true), LONGEST_WITH_FAULT);
        assert_eq!(wait(5, 0.0, false), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn it_is_never_above_the_bound_and_grows_with_chance(failures: u32, has_fault: bool, low in 0.0..1.0f64, high in 0.0..1.0f64) {
            let (low, high) = (low.min(high), low.max(high));
            prop_assert!(wait(failures, low, has_fault) <= wait(failures, high, has_fault));
            prop_assert!(wait(failures, high, has_fault) <= LONGEST);
        }
    }
}
