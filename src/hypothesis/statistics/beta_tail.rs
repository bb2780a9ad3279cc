//! Both tails of the beta distribution as logarithms.

use statrs::function::beta::ln_beta;

use super::continued_fraction::ContinuedFraction;
use super::ln_one_minus_exp;

/// More steps than any count of events that fits the judge needs: convergence takes about the square root of the
/// larger parameter.
const LONGEST: u32 = 200_000;

/// `ln I_x(a, b)` and `ln (1 - I_x(a, b))`, for `a, b > 0` and `0 < x < 1`.
///
/// The smaller tail is computed from its own continued fraction and the other from it, so that neither is ever the
/// difference of two numbers near 1: a probability of e^-1300 is as exact as one of a half.
pub(super) fn ln_tails(a: f64, b: f64, x: f64) -> (f64, f64) {
    if x < (a + 1.0) / (a + b + 2.0) {
        let lower = ln_near_zero(a, b, x).min(0.0);
        (lower, ln_one_minus_exp(lower))
    } else {
        let upper = ln_near_zero(b, a, 1.0 - x).min(0.0);
        (ln_one_minus_exp(upper), upper)
    }
}

/// `ln I_x(a, b)` left of the mean, by the continued fraction of DLMF 8.17.22.
fn ln_near_zero(a: f64, b: f64, x: f64) -> f64 {
    a * x.ln() + b * (-x).ln_1p() - a.ln() - ln_beta(a, b) + fraction(a, b, x).ln()
}

/// The continued fraction.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let mut fraction = ContinuedFraction::begin(1.0, 1.0 - (a + b) * x / (a + 1.0));
    for step in 1..LONGEST {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        fraction.go_on(even, 1.0);
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        if fraction.go_on(odd, 1.0) {
            break;
        }
    }
    fraction.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From mpmath 1.3 at 60 digits: `log(betainc(a, b, 0, x, regularized=True))` and the same from `x` to 1.
    #[test]
    fn agrees_with_sixty_digits() {
        for (a, b, x, lower, upper) in [
            (0.5, 0.5, 0.01, -2.752_494_986_597_868, -0.065_892_569_029_216_59),
            (0.5, 300.5, 0.01, -0.014_122_352_617_967_164, -4.267_049_311_080_256),
            (3.5, 1497.5, 0.01, -9.004_641_178_410_636e-5, -9.315_230_356_932_565),
            (60.5, 240.5, 0.01, -133.027_572_042_359, -1.685_659_263_390_636_8e-58),
            (600.5, 2400.5, 0.01, -1_291.585_484_203_290_1, 0.0),
            (12.5, 29_988.5, 0.001, -0.000_103_947_855_510_787_99, -9.171_673_147_357_444),
            (50.5, 50.5, 0.5, -std::f64::consts::LN_2, -std::f64::consts::LN_2),
            (1_000.5, 9.5, 0.9, -77.835_432_656_939_06, -1.572_175_776_485_194e-34),
        ] {
            let (ln_lower, ln_upper) = ln_tails(a, b, x);
            for (found, known) in [(ln_lower, lower), (ln_upper, upper)] {
                let scale = f64::max(1e-9 * f64::abs(known), 1e-15);
                assert!((found - known).abs() <= scale, "({a}, {b}, {x}): {found} is not {known}");
            }
        }
    }

    /// The first version of this test in the reference lost I_p0 to underflow and "proved" health at 20% errors.
    #[test]
    fn a_tail_below_the_smallest_float_keeps_its_size() {
        let (lower, _) = ln_tails(20_000.5, 80_000.5, 0.01);
        assert!(lower < -40_000.0 && lower.is_finite(), "{lower}");
    }
}
