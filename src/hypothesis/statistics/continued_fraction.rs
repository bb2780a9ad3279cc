/// Nothing in its place is smaller, so that nothing is divided by zero.
const TINY: f64 = 1e-300;

/// A continued fraction `1 / (b₀ + a₁ / (b₁ + a₂ / (b₂ + …)))`, evaluated from its front by the modified Lentz method
/// (Thompson and Barnett, J. Comput. Phys. 64, 1986; DLMF 3.10(iii)).
#[derive(Debug)]
pub(super) struct ContinuedFraction {
    value: f64,
    /// The quotient of two numerators that follow each other.
    numerators: f64,
    /// That of two denominators, the other way round.
    denominators: f64,
}

impl ContinuedFraction {
    /// Its beginning `1 / b₀`, reached with this quotient of numerators: infinite for one that begins here, and 1 for one
    /// whose first step was taken already.
    pub(super) fn begin(numerators: f64, b: f64) -> Self {
        let denominators = 1.0 / not_zero(b);
        Self { value: denominators, numerators, denominators }
    }

    /// One step further, by `a` and `b`; answers whether it changed nothing any more.
    pub(super) fn go_on(&mut self, a: f64, b: f64) -> bool {
        self.denominators = 1.0 / not_zero(b + a * self.denominators);
        self.numerators = not_zero(b + a / self.numerators);
        let change = self.denominators * self.numerators;
        self.value *= change;
        (change - 1.0).abs() < 1e-15
    }

    /// What it has come to.
    pub(super) fn value(&self) -> f64 {
        self.value
    }
}

fn not_zero(value: f64) -> f64 {
    if value.abs() < TINY { TINY } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_ratio_is_all_ones() {
        let mut fraction = ContinuedFraction::begin(f64::INFINITY, 1.0);
        let steps = (1..).find(|_| fraction.go_on(1.0, 1.0)).unwrap();
        assert!(steps < 50, "{steps} steps");
        assert!((fraction.value() - (5.0_f64.sqrt() - 1.0) / 2.0).abs() < 1e-15, "{}", fraction.value());
    }
}
