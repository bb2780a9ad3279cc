//! How reports print numbers: few digits, always with the unit.

use crate::experiment::document::Signal;
use crate::hypothesis::verdict::{Phase, RunVerdict, Verdict};

/// A number with three significant digits, whole from 100 on, and thousands set apart: `3,000`, `21.4`, `0.0123`.
pub(crate) fn number(value: f64) -> String {
    significant(value, 3)
}

/// A number with so many significant digits.
fn significant(value: f64, digits: i32) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let size = value.abs();
    if size == 0.0 {
        return "0".into();
    }
    if size < 1e-4 {
        return format!("{value:.1e}");
    }
    #[expect(clippy::cast_possible_truncation, reason = "the logarithm of a finite number is below 309")]
    let magnitude = size.log10().floor() as i32;
    let decimals = usize::try_from(digits - 1 - magnitude).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    let text = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    apart(text)
}

/// Sets the thousands of a decimal number apart.
fn apart(text: &str) -> String {
    let (whole, rest) = text.find('.').map_or((text, ""), |dot| text.split_at(dot));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

/// A count of events, which counters may give as a fraction.
pub(crate) fn count(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { apart(&format!("{value:.0}")) } else { number(value) }
}

/// A length of time: `212 ms`, `1.24 s`, `2 min 5 s`.
pub(crate) fn seconds(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        "–".into()
    } else if size == 0.0 {
        "0 s".into()
    } else if size < 0.000_999_5 {
        format!("{} µs", number(value * 1e6))
    } else if size < 0.9995 {
        format!("{} ms", number(value * 1e3))
    } else if size < 99.95 {
        format!("{} s", number(value))
    } else {
        let whole = value.round();
        let (hours, minutes, rest) = ((whole / 3600.0).floor(), (whole / 60.0).floor() % 60.0, whole % 60.0);
        match (hours > 0.0, rest > 0.0) {
            (true, _) => format!("{hours} h {minutes} min"),
            (false, true) => format!("{minutes} min {rest} s"),
            (false, false) => format!("{minutes} min"),
        }
    }
}

/// A moment of the run as a clock reads it: `00:42.7`, `1:02:03.4`.
pub(crate) fn clock(at: f64) -> String {
    let tenths = (at.max(0.0) * 10.0).round();
    let (hours, minutes, rest) =
        ((tenths / 36_000.0).floor(), (tenths / 600.0).floor() % 60.0, (tenths % 600.0) / 10.0);
    if hours > 0.0 { format!("{hours}:{minutes:02}:{rest:04.1}") } else { format!("{minutes:02}:{rest:04.1}") }
}

/// A number in the unit of a dose or a measurement, with five significant digits, so that asked and measured can be
/// compared; bytes are shortened to the binary unit that fits.
pub(crate) fn measure(value: f64, unit: &str) -> String {
    let number = |value| significant(value, 5);
    match unit {
        "bytes" | "B" => {
            let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
            let (mut value, mut index) = (value, 0);
            while value.abs() >= 1024.0 && index + 1 < units.len() {
                value /= 1024.0;
                index += 1;
            }
            format!("{} {}", number(value), units[index])
        }
        "%" => format!("{}%", number(value)),
        "" => number(value),
        unit => format!("{} {unit}", number(value)),
    }
}

/// A measure with its name, and with its unit where the name does not say it already: `delay 100.08 ms`,
/// `processes stopped 3`.
pub(crate) fn named(name: &str, value: f64, unit: &str) -> String {
    let said = name.split_whitespace().any(|word| word == unit);
    format!("{name} {}", measure(value, if said { "" } else { unit }))
}

/// A wall clock to the second: `2026-11-21 08:15:00Z`.
pub(crate) fn wall_clock(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) if time.ends_with('Z') => format!("{}Z", seconds.replace('T', " ")),
        _ => time.replace('T', " "),
    }
}

/// By how much a measure misses what was asked: `+0.08%`, `exact`; nothing where nothing but 0 was asked.
pub(crate) fn deviation(asked: f64, measured: f64) -> Option<String> {
    if asked == measured {
        return Some("exact".into());
    }
    let share = (measured - asked) / asked.abs() * 100.0;
    share.is_finite().then(|| format!("{}{}%", if share > 0.0 { "+" } else { "" }, significant(share, 2)))
}

/// Where a signal's samples come from, in a few words.
pub(crate) fn source(signal: &Signal) -> String {
    match signal {
        Signal::Http(http) => format!("{} {} at {}", http.method, http.url, http.rate),
        Signal::Tcp(tcp) => format!("TCP connections to {} at {}", tcp.address, tcp.rate),
        Signal::Prometheus(prometheus) => {
            format!("Prometheus at {}, every {}", prometheus.url, prometheus.interval)
        }
        Signal::Exec(exec) => format!("`{}` every {}", exec.run.join(" "), exec.interval),
        Signal::Host(host) => match &host.of {
            Some(target) => format!("the kernel, about target {target}, every {}", host.interval),
            None => format!("the kernel of the run's host, every {}", host.interval),
        },
    }
}

/// The name of a phase.
pub(crate) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Before => "before",
        Phase::During => "during",
        Phase::After => "after",
    }
}

/// The verdict of an objective, as printed.
pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::Inconclusive => "inconclusive",
        Verdict::NoData => "no data",
        Verdict::Violated => "violated",
    }
}

/// The verdict of a run, as printed.
pub(crate) fn run_verdict(verdict: RunVerdict) -> &'static str {
    match verdict {
        RunVerdict::CleanupUnverified => "cleanup unverified",
        RunVerdict::Invalid => "invalid",
        RunVerdict::Aborted => "aborted",
        RunVerdict::Violated => "violated",
        RunVerdict::NoData => "no data",
        RunVerdict::Inconclusive => "inconclusive",
        RunVerdict::Held => "held",
        RunVerdict::Refused => "refused",
        RunVerdict::Interrupted => "interrupted",
    }
}

/// A text without control characters, so that no name can move a terminal's cursor or forge a line.
pub(crate) fn one_line(text: &str) -> String {
    let visible = |character: char| match character {
        '\n' | '\r' | '\t' => ' ',
        character if character.is_control() => '\u{fffd}',
        // Marks that turn the direction of text around could show a name as another one.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        character => character,
    };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_carry_their_unit() {
        let printed: Vec<String> = [0.0, 0.00004, 0.0123, 0.5, 1.0, 1.25, 21.44, 999.6, 3000.0, 1_234_567.0, -4200.0]
            .into_iter()
            .map(number)
            .collect();
        let expected = ["0", "4.0e-5", "0.0123", "0.5", "1", "1.25", "21.4", "1,000", "3,000", "1,234,567", "-4,200"];
        assert_eq!(printed, expected);
        let times: Vec<String> =
            [0.0, 0.000_05, 0.212, 0.9999, 1.24, 59.0, 125.0, 180.0, 7260.0].into_iter().map(seconds).collect();
        assert_eq!(times, ["0 s", "50 µs", "212 ms", "1 s", "1.24 s", "59 s", "2 min 5 s", "3 min", "2 h 1 min"]);
        assert_eq!([clock(42.73), clock(3723.4), clock(59.96)], ["00:42.7", "1:02:03.4", "01:00.0"]);
        assert_eq!([measure(5.0 * 1024.0 * 1024.0, "bytes"), measure(100.0812, "ms")], ["5 MiB", "100.08 ms"]);
        let misses =
            [(100.0, 100.08), (0.0, 1.0), (10.0, 10.0), (10.0, 9.84)].map(|(asked, got)| deviation(asked, got));
        let said = ["+0.08%", "exact", "-1.6%"].map(|text| Some(text.to_owned()));
        assert_eq!([&misses[0], &misses[2], &misses[3]], [&said[0], &said[1], &said[2]]);
        assert_eq!(misses[1], None);
        assert_eq!(number(f64::NAN), "–");
        assert_eq!(named("processes stopped", 3.0, "processes"), "processes stopped 3");
        assert_eq!(named("delay", 100.0, "ms"), "delay 100 ms");
        assert_eq!(wall_clock("2026-11-21T08:15:00.464071538Z"), "2026-11-21 08:15:00Z");
        assert_eq!(wall_clock("2026-11-21T08:15:00.5+02:00"), "2026-11-21 08:15:00.5+02:00");
    }

    #[test]
    fn no_name_can_move_the_cursor_or_forge_a_line() {
        assert_eq!(one_line("a\u{1b}[2Jb\nHELD\u{202e}c"), "a\u{fffd}[2Jb HELD\u{fffd}c");
    }
}
