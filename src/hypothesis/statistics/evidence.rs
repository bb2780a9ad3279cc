//! How e-values are put together. All are natural logarithms.

/// The product: evidence of samples that do not know of each other against claims that are all true or one claim. It is
/// an e-value again if each factor is one given what came before it.
pub fn multiplied(evidence: impl IntoIterator<Item = f64>) -> f64 {
    evidence.into_iter().sum()
}

/// The average: evidence against "all of these claims are true", whatever their samples have to do with each other. The
/// average of e-values is an e-value, with no assumption at all (Vovk and Wang: E-values, Annals of Statistics 2021).
/// Nothing of nothing.
pub fn averaged(evidence: impl IntoIterator<Item = f64>) -> Option<f64> {
    let evidence: Vec<f64> = evidence.into_iter().collect();
    let greatest = evidence.iter().copied().reduce(f64::max)?;
    if greatest.is_infinite() {
        return Some(greatest);
    }
    let sum: f64 = evidence.iter().map(|value| (value - greatest).exp()).sum();
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 claims")]
    let count = evidence.len() as f64;
    Some(greatest + (sum / count).ln())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hypothesis::statistics::{DecisionRule, SequentialTest};

    #[test]
    fn an_average_of_tiny_and_of_huge_evidence() {
        let ln = f64::ln;
        assert!((averaged([ln(2.0), ln(4.0), ln(9.0)]).unwrap() - ln(5.0)).abs() < 1e-12);
        assert!((averaged([-2_000.0, -2_000.0]).unwrap() + 2_000.0).abs() < 1e-9);
        assert!((averaged([3_000.0, -9_000.0]).unwrap() - (3_000.0 - ln(2.0))).abs() < 1e-9);
        assert_eq!(averaged([f64::NEG_INFINITY; 2]), Some(f64::NEG_INFINITY));
        assert_eq!(averaged([]), None);
        assert!((multiplied([ln(2.0), ln(4.0)]) - ln(8.0)).abs() < 1e-12);
    }

    /// Under the claim the expectation is at most 1: by all outcomes of a few events, without chance.
    #[test]
    fn what_is_put_together_is_an_e_value_again() {
        let (share, bound) = (0.3_f64, 0.3);
        let e = |bad: f64, good: f64| SequentialTest.ratio_is_above(bound, bad, good);
        let weight = |bad: i32, good: i32, ways: f64| ways * share.powi(bad) * (1.0 - share).powi(good);
        let (mut product, mut average) = (0.0, 0.0);
        // Two samples of three events each; the ways to have so many bad ones of three.
        for (bad, ways) in [(0, 1.0), (1, 3.0), (2, 3.0), (3, 1.0)] {
            for (other, other_ways) in [(0, 1.0), (1, 3.0), (2, 3.0), (3, 1.0)] {
                let chance = weight(bad, 3 - bad, ways) * weight(other, 3 - other, other_ways);
                let both = [e(bad.into(), (3 - bad).into()), e(other.into(), (3 - other).into())];
                product += chance * multiplied(both).exp();
                average += chance * averaged(both).unwrap().exp();
            }
        }
        assert!(product <= 1.0 + 1e-9 && product > 0.9, "{product}");
        assert!(average <= 1.0 + 1e-9 && average > 0.9, "{average}");
    }

    proptest! {
        #[test]
        fn e_values_multiply_in_any_order_and_average_between(values in proptest::collection::vec(-50.0f64..50.0, 1..20)) {
            let product = multiplied(values.iter().copied());
            prop_assert!((product - multiplied(values.iter().rev().copied())).abs() < 1e-9);
            let (half, rest) = values.split_at(values.len() / 2);
            let parts = [multiplied(half.iter().copied()), multiplied(rest.iter().copied())];
            prop_assert!((multiplied(parts) - product).abs() < 1e-9);
            let average = averaged(values.iter().copied()).unwrap();
            let (least, most) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (value.min(least), value.max(most)));
            prop_assert!(least - 1e-9 <= average && average <= most + 1e-9);
        }
    }
}
