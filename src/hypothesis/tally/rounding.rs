//! Numbers as the judge takes them.

/// A moment, a latency or a reading as the judge takes it: to twelve significant digits. A number that went through the
/// text of the journal may come back one unit in the last place off; here that makes no difference.
pub(in crate::hypothesis) fn rounded(number: f64) -> f64 {
    let size = number.abs();
    if (1e-6..1e6).contains(&size)
        && let Some(unit) = unit_of(size)
    {
        // What nearly every number is, many times as fast as by its logarithm, and the same to the last bit.
        return whole(number * unit) / unit;
    }
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let digits = 11.0 - number.abs().log10().floor().clamp(-290.0, 290.0);
    #[expect(clippy::cast_possible_truncation, reason = "clamped above")]
    let digits = digits as i32;
    if digits >= 0 {
        let unit = 10_f64.powi(digits);
        (number * unit).round() / unit
    } else {
        let unit = 10_f64.powi(-digits);
        (number / unit).round() * unit
    }
}

/// Where a decade ends, from 10^-6 on, and by what its numbers are multiplied to be whole at twelve digits.
const DECADES: [(f64, f64); 12] = [
    (1e-5, 1e17),
    (1e-4, 1e16),
    (1e-3, 1e15),
    (1e-2, 1e14),
    (1e-1, 1e13),
    (1e0, 1e12),
    (1e1, 1e11),
    (1e2, 1e10),
    (1e3, 1e9),
    (1e4, 1e8),
    (1e5, 1e7),
    (1e6, 1e6),
];

/// The unit of the decade of a size from 10^-6 to below 10^6.
fn unit_of(size: f64) -> Option<f64> {
    // The power of two at or below it lies in the same decade or in the one before. 2^-20 is the one of 10^-6.
    let power = (size.to_bits() >> 52).saturating_sub(1_023 - 20);
    // 77 of 256 is the logarithm of 2 to the base of 10, nearly enough for forty powers; 2^-20 is just below 10^-6.
    let decade = usize::try_from(power.saturating_sub(1) * 77 / 256).ok()?;
    let (end, unit) = *DECADES.get(decade)?;
    if size < end { Some(unit) } else { DECADES.get(decade + 1).map(|(_, unit)| *unit) }
}

/// The nearest whole number, halves away from zero: [`f64::round`] for what is smaller than 2^52, without a call.
fn whole(number: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "smaller than 2^52")]
    let below = number as i64 as f64;
    if (number - below).abs() >= 0.5 { below + 1.0_f64.copysign(number) } else { below }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_unit_in_the_last_place_makes_no_difference() {
        for number in [1.0 / 3.0, 12_345.678_9, 1e-7, -2.5, 86_400.123_456_789, 1e15, 4e-300] {
            let once = rounded(number);
            assert_eq!((rounded(number.next_up()), rounded(number.next_down()), rounded(once)), (once, once, once));
            assert!((once - number).abs() <= number.abs() * 1e-11, "{number} became {once}");
        }
        assert_eq!(rounded(0.0), 0.0);
        // At the edges of the decades and of the table, as elsewhere: twelve digits.
        for exponent in -8..8 {
            for digits in [1.0, 9.999_999_999_99, 1.234_567_890_123_4] {
                let number = digits * 10_f64.powi(exponent);
                let text: f64 = format!("{number:.11e}").parse().expect("a number");
                let off = (rounded(number) - text).abs();
                assert!(off <= number * 1e-15, "{number} became {} and not {text}", rounded(number));
            }
        }
    }

    /// The plain way: the first decade that ends beyond the size, and the rounding of the standard library.
    fn plainly(number: f64) -> Option<f64> {
        let (_, unit) = DECADES.iter().find(|(end, _)| number.abs() < *end)?;
        Some((number * unit).round() / unit)
    }

    #[test]
    fn the_shortcut_finds_the_decade_at_every_edge() {
        for power in -20..20 {
            let edges =
                [2_f64.powi(power), 10_f64.powi(power.clamp(-5, 5)), 9.999_999_999_995 * 10_f64.powi(power / 4)];
            for edge in edges.into_iter().flat_map(|edge| [edge.next_down(), edge, edge.next_up()]) {
                if (1e-6..1e6).contains(&edge) {
                    assert_eq!(plainly(edge), Some(rounded(edge)), "{edge:e}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_shortcut_changes_no_bit(digits in 1.0f64..10.0, exponent in -6i32..6, is_negative: bool) {
            let size = digits * 10_f64.powi(exponent);
            prop_assume!((1e-6..1e6).contains(&size));
            let number = if is_negative { -size } else { size };
            prop_assert_eq!(plainly(number).map(f64::to_bits), Some(rounded(number).to_bits()));
        }

        #[test]
        fn halves_go_away_from_zero(number in -1_000_000i32..1_000_000) {
            for number in [f64::from(number), f64::from(number) + 0.5, f64::from(number) + 0.499_999_999] {
                prop_assert_eq!(whole(number), number.round());
            }
        }
    }
}
