//! Windows as SLO files write them: `30d`, `4w`, `1M`.

use faultline_agent::units::TimeSpan;

/// Seconds of a unit of OpenSLO and Prometheus; a month has 30 days, a quarter 90, a year 365.
fn unit(letter: &str) -> Option<u64> {
    Some(match letter {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        "M" => 30 * 86_400,
        "Q" => 90 * 86_400,
        "Y" | "y" => 365 * 86_400,
        _ => return None,
    })
}

/// A window of one or several parts: `30d`, `1h30m`.
pub(super) fn window(text: &str) -> Option<TimeSpan> {
    let mut rest = text.trim();
    let mut seconds = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let letters = rest[digits..].find(|letter: char| letter.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let count: u64 = rest[..digits].parse().ok()?;
        seconds = seconds.checked_add(count.checked_mul(unit(&rest[digits..letters])?)?)?;
        rest = &rest[letters..];
    }
    (seconds > 0 && seconds <= 366 * 86_400).then(|| TimeSpan::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_with_the_units_of_their_files() {
        let days = |text: &str| window(text).map(|span| span.duration().as_secs_f64() / 86_400.0);
        assert_eq!(days("30d"), Some(30.0));
        assert_eq!(days("4w"), Some(28.0));
        assert_eq!(days("1M"), Some(30.0));
        assert_eq!(days("36h"), Some(1.5));
        assert_eq!(days("1d12h"), Some(1.5));
        for text in ["", "d", "30", "30 parsecs", "-1d", "0d", "99Y", "99999999999999999999d"] {
            assert_eq!(days(text), None, "{text}");
        }
    }
}
