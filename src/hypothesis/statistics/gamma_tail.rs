//! Both tails of the gamma distribution as logarithms.

use statrs::function::gamma::ln_gamma;

use super::continued_fraction::ContinuedFraction;
use super::ln_one_minus_exp;

const LONGEST: u32 = 200_000;

/// `ln P(a, x)` and `ln Q(a, x)`: the regularised incomplete gamma functions, for `a > 0` and `x > 0`.
///
/// As for the beta distribution, the smaller tail is computed directly.
pub(super) fn ln_tails(a: f64, x: f64) -> (f64, f64) {
    let front = a * x.ln() - x - ln_gamma(a);
    if x < a + 1.0 {
        let lower = (front + series(a, x).ln()).min(0.0);
        (lower, ln_one_minus_exp(lower))
    } else {
        let upper = (front + fraction(a, x).ln()).min(0.0);
        (ln_one_minus_exp(upper), upper)
    }
}

/// DLMF 8.11.4, divided by `x^a e^-x`.
fn series(a: f64, x: f64) -> f64 {
    let mut term = 1.0 / a;
    let mut sum = term;
    for step in 1..LONGEST {
        term *= x / (a + f64::from(step));
        sum += term;
        if term < sum * 1e-16 {
            break;
        }
    }
    sum
}

/// DLMF 8.9.2.
fn fraction(a: f64, x: f64) -> f64 {
    let mut b = x + 1.0 - a;
    let mut fraction = ContinuedFraction::begin(f64::INFINITY, b);
    for step in 1..LONGEST {
        let i = f64::from(step);
        let numerator = -i * (i - a);
        b += 2.0;
        if fraction.go_on(numerator, b) {
            break;
        }
    }
    fraction.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From mpmath 1.3 at 60 digits: `log(gammainc(a, 0, x, regularized=True))` and the same from `x` to infinity.
    #[test]
    fn agrees_with_sixty_digits() {
        for (a, x, lower, upper) in [
            (0.5, 0.5, -0.381_715_146_302_126_07, -1.147_874_464_449_318_2),
            (10.5, 3.0, -7.463_193_878_926_621, -0.000_573_985_226_350_708_5),
            (10.5, 30.0, -1.277_176_982_386_708_7e-5, -11.268_279_691_085_614),
            (1_500.5, 1_200.5, -37.680_784_868_106_83, -4.319_595_280_474_486e-17),
            (1_500.5, 1_900.0, -8.118_314_441_571_378e-22, -48.562_749_494_330_623),
            (100_000.5, 100_000.0, -0.693_567_791_570_286_1, -0.692_726_746_388_848_6),
        ] {
            let (ln_lower, ln_upper) = ln_tails(a, x);
            for (found, known) in [(ln_lower, lower), (ln_upper, upper)] {
                let scale = f64::max(1e-9 * f64::abs(known), 1e-15);
                assert!((found - known).abs() <= scale, "({a}, {x}): {found} is not {known}");
            }
        }
    }
}
