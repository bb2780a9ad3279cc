//! Words for a signal that cannot be judged.

use crate::hypothesis::statistics::Unfit;

use super::{Facts, percent, seconds, significant};

/// So many times as long as the blocks in which bursts were seen a baseline should be: two dozen blocks and more.
const BLOCKS: f64 = 30.0;

/// Why it cannot, and what to do.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 blocks")]
pub(super) fn unfit(facts: &Facts<'_>, unfit: Unfit) -> String {
    let signal = facts.signal;
    let error_rate = percent(facts.rates.health);
    match unfit {
        Unfit::Bursts { factor, length } => {
            let block = length as f64 * facts.beat;
            format!(
                "{signal} is unfit to be judged at an error rate of {error_rate}: already before the fault it fails in bursts, \
                 by {} times what chance explains in {} and growing with the time, too long for the baseline to tell how \
                 large they are; take a baseline of {} or more, or another signal",
                significant(factor, 2),
                seconds(block),
                seconds(BLOCKS * block)
            )
        }
        Unfit::Drift { first, second } => format!(
            "{signal} is unfit to be judged at an error rate of {error_rate}: without any fault, the second half of the \
             baseline differs from the first ({} and {} are bad), as if there had been one; let it settle before the \
             baseline begins, take a longer one, or another signal",
            percent(first),
            percent(second)
        ),
    }
}
