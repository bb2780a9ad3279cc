//! Numbers as people read them: three significant digits, thousands apart, with their unit.

/// A count: `1,500`, and `12.5` where events are counted in fractions.
pub(in crate::hypothesis) fn count(count: f64) -> String {
    if count.fract() == 0.0 && count.abs() < 1e15 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, not negative and small enough"
        )]
        whole(count.max(0.0) as u64)
    } else {
        significant(count, 3)
    }
}

/// A whole number with its thousands apart.
pub(in crate::hypothesis) fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share from 0 to 1 as a percentage: `0.42%`.
pub(in crate::hypothesis) fn percent(share: f64) -> String {
    format!("{}%", significant(share * 100.0, 3))
}

/// A latency in seconds: `0.85 ms`, `212 ms`, `1.52 s`.
pub(in crate::hypothesis) fn time(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{} ms", significant(seconds * 1_000.0, 3))
    } else {
        format!("{} s", significant(seconds, 3))
    }
}

/// A stretch of time in seconds: `0.4 s`, `12.3 s`, `190 s`.
pub(in crate::hypothesis) fn seconds(seconds: f64) -> String {
    if seconds < 100.0 {
        format!("{} s", trim(&format!("{seconds:.1}")))
    } else {
        format!("{} s", count(seconds.round()))
    }
}

/// A number to so many significant digits, without idle zeros.
pub(in crate::hypothesis) fn significant(number: f64, digits: i32) -> String {
    if number == 0.0 || !number.is_finite() {
        return if number == 0.0 { "0".into() } else { number.to_string() };
    }
    #[expect(clippy::cast_possible_truncation, reason = "the exponent of an f64 fits")]
    let exponent = number.abs().log10().floor() as i32;
    let decimals = usize::try_from((digits - 1 - exponent).clamp(0, 12)).unwrap_or(0);
    let text = format!("{number:.decimals$}");
    let (sign, plain) = text.strip_prefix('-').map_or(("", text.as_str()), |plain| ("-", plain));
    match plain.parse::<u64>() {
        Ok(number) => format!("{sign}{}", whole(number)),
        Err(_) => format!("{sign}{}", trim(plain)),
    }
}

fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(["0", "1,500", "1,234,567", "12.5"], [0.0, 1500.0, 1_234_567.0, 12.5].map(count).as_slice());
        assert_eq!(
            ["0%", "0.42%", "0.00123%", "6.67%", "12.3%", "100%", "1%"],
            [0.0, 0.0042, 0.000_012_34, 0.0667, 0.1234, 1.0, 1.0 - 0.99].map(percent).as_slice()
        );
        assert_eq!(["0.85 ms", "212 ms", "1.52 s", "12 s"], [0.000_85, 0.212_3, 1.524, 12.0].map(time).as_slice());
        assert_eq!(["0.4 s", "12.3 s", "1,900 s", "30 s"], [0.4, 12.34, 1_900.2, 30.0].map(seconds).as_slice());
        assert_eq!(["99.9", "-0.5", "12,346"], [99.9, -0.5, 12_345.6].map(|n| significant(n, 4)).as_slice());
    }
}
