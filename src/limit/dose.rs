//! Doses as people write them: `delay=0ms..2s`.

use std::str::FromStr;
use std::time::Duration;

use faultline_agent::units::{ByteRate, Bytes, Percent, Rate, TimeSpan};

use crate::report::notation;

/// In what a dose is measured, by the way in which it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoseUnit {
    /// A length of time; numbers are seconds.
    Time,
    /// A percentage.
    Percent,
    /// Bytes.
    Bytes,
    /// Bytes a second.
    ByteRate,
    /// Times a second.
    Rate,
    /// A whole number.
    Count,
    /// A number with a decimal point.
    Number,
}

/// A text that is no dose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DoseError(pub(super) String);

impl DoseUnit {
    /// The unit in which a text is written, and its number in that unit; nothing if it is no dose.
    fn read(text: &str) -> Option<(Self, f64)> {
        if let Ok(whole) = text.parse::<u64>() {
            #[expect(clippy::cast_precision_loss, reason = "a dose beyond 2^53 is told to sixteen digits")]
            return Some((Self::Count, whole as f64));
        }
        if let Ok(number) = text.parse::<f64>() {
            return (number.is_finite() && number >= 0.0).then_some((Self::Number, number));
        }
        if text.ends_with('%') {
            return text.parse::<Percent>().ok().map(|percent| (Self::Percent, percent.number()));
        }
        if let Ok(time) = text.parse::<TimeSpan>() {
            return Some((Self::Time, time.duration().as_secs_f64()));
        }
        if let Ok(rate) = text.parse::<Rate>() {
            return Some((Self::Rate, rate.count_per_second()));
        }
        if let Some(bytes) = text.strip_suffix("/s").filter(|_| text.parse::<ByteRate>().is_ok()) {
            return bytes.parse::<Bytes>().ok().map(|bytes| (Self::ByteRate, in_full(bytes)));
        }
        text.parse::<Bytes>().ok().map(|bytes| (Self::Bytes, in_full(bytes)))
    }

    /// The number of a dose in this unit; 0 needs none.
    ///
    /// # Errors
    /// If the text is no dose, or one of another unit.
    pub fn number(self, text: &str) -> Result<f64, DoseError> {
        match Self::read(text.trim()) {
            Some((unit, number)) if unit == self || number == 0.0 => Ok(number),
            Some((Self::Count, number)) if self == Self::Number => Ok(number),
            _ => Err(DoseError(format!("`{text}` is not {}", self.expected()))),
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Time => "a length of time, such as 250ms",
            Self::Percent => "a percentage, such as 5%",
            Self::Bytes => "a number of bytes, such as 512MiB",
            Self::ByteRate => "a number of bytes a second, such as 10MiB/s",
            Self::Rate => "a rate, such as 50/s",
            Self::Count => "a whole number",
            Self::Number => "a number",
        }
    }

    /// A dose of so much, as a document has it.
    pub fn written(self, number: f64) -> String {
        match self {
            // To a microsecond: what is finer is the noise of the number's own representation.
            Self::Time => TimeSpan::from(Duration::from_micros(whole(number * 1e6))).to_string(),
            Self::Percent => format!("{}%", shortest(number)),
            Self::Bytes => Bytes::new(whole(number)).to_string(),
            Self::ByteRate => format!("{}/s", Bytes::new(whole(number))),
            Self::Rate => format!("{}/s", shortest(number)),
            Self::Count => whole(number).to_string(),
            Self::Number => shortest(number).to_string(),
        }
    }

    /// A dose of so much, for people.
    pub fn told(self, number: f64) -> String {
        match self {
            Self::Time => notation::seconds(number),
            Self::Percent => notation::measure(number, "%"),
            Self::Bytes => notation::measure(number, "B"),
            Self::ByteRate => notation::measure(number, "B") + "/s",
            Self::Rate => notation::measure(number, "") + "/s",
            Self::Count => notation::count(number),
            Self::Number => notation::measure(number, ""),
        }
    }

    /// The next number that a document can say: whole where there are no parts.
    pub fn nearest(self, number: f64) -> f64 {
        match self {
            Self::Bytes | Self::ByteRate | Self::Count => number.round(),
            Self::Time => (number * 1e6).round() / 1e6,
            Self::Percent | Self::Rate | Self::Number => shortest(number),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a dose beyond 2^53 bytes is told to sixteen digits")]
fn in_full(bytes: Bytes) -> f64 {
    bytes.count() as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "doses are never below 0, and `as` saturates"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// Without the noise of the last digits: 0.3 instead of 0.30000000000000004.
fn shortest(number: f64) -> f64 {
    format!("{number:.9}").parse().unwrap_or(number)
}

/// A dose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dose {
    /// How much, in the unit.
    pub number: f64,
    /// The unit.
    pub unit: DoseUnit,
}

impl Dose {
    /// As a document has it.
    pub fn written(self) -> String {
        self.unit.written(self.number)
    }

    /// For people.
    pub fn told(self) -> String {
        self.unit.told(self.number)
    }
}

/// What is searched: a parameter and its doses, from the mildest to the harshest. Of most parameters more is harsher; of one of
/// which less is, such as the time between two kills, the range is written from the larger to the smaller number.
#[derive(Debug, Clone, PartialEq)]
pub struct DoseRange {
    /// The parameter as it was named, with what stands before it.
    pub parameter: Vec<String>,
    /// The mildest dose.
    pub mildest: f64,
    /// The harshest dose.
    pub harshest: f64,
    /// The unit of both.
    pub unit: DoseUnit,
}

impl FromStr for DoseRange {
    type Err = DoseError;

    fn from_str(text: &str) -> Result<Self, DoseError> {
        let wrong = |what: &str| DoseError(format!("{what}, as in `delay=0ms..2s`"));
        let (parameter, range) = text.split_once('=').ok_or_else(|| wrong("a parameter and its range are wanted"))?;
        let (from, to) = range.split_once("..").ok_or_else(|| wrong("a range has two ends with `..` between them"))?;
        let parameter: Vec<String> = parameter.trim().split('.').map(str::to_owned).collect();
        if parameter.iter().any(String::is_empty) {
            return Err(wrong("the parameter has an empty name"));
        }
        let read = |text: &str| {
            let found = DoseUnit::read(text.trim());
            found.ok_or_else(|| wrong(&format!("`{}` is no dose: a number with its unit is wanted", text.trim())))
        };
        let (one, other) = (read(from)?, read(to)?);
        let unit = match (one, other) {
            ((unit, _), (DoseUnit::Count, 0.0)) => unit,
            ((DoseUnit::Count, 0.0), (unit, _)) => unit,
            ((DoseUnit::Number, _), (DoseUnit::Count, _)) | ((DoseUnit::Count, _), (DoseUnit::Number, _)) => {
                DoseUnit::Number
            }
            ((one, _), (other, _)) if one == other => one,
            _ => return Err(wrong("both ends need the same unit")),
        };
        #[expect(clippy::float_cmp, reason = "a range of one dose is no range")]
        if one.1 == other.1 {
            return Err(wrong("both ends are the same"));
        }
        Ok(Self { parameter, mildest: one.1, harshest: other.1, unit })
    }
}

impl DoseRange {
    /// A dose of this parameter.
    pub const fn dose(&self, number: f64) -> Dose {
        Dose { number, unit: self.unit }
    }

    /// Whether the mildest dose is none at all, of which every run's baseline shows that the hypothesis holds.
    pub fn begins_with_nothing(&self) -> bool {
        self.mildest == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_notation_of_a_dose() {
        for (text, unit, mildest, harshest) in [
            ("delay=0ms..2s", DoseUnit::Time, 0.0, 2.0),
            ("delay=0..2s", DoseUnit::Time, 0.0, 2.0),
            ("toPercent=50%..99.5%", DoseUnit::Percent, 50.0, 99.5),
            ("bytes=1MiB..1GiB", DoseUnit::Bytes, 1_048_576.0, 1_073_741_824.0),
            ("speed=1MB/s..10MB/s", DoseUnit::ByteRate, 1e6, 1e7),
            ("rate=1/s..600/m", DoseUnit::Rate, 1.0, 10.0),
            ("inodes.count=0..100", DoseUnit::Count, 0.0, 100.0),
            ("share=0..0.5", DoseUnit::Number, 0.0, 0.5),
            ("every=1m..1s", DoseUnit::Time, 60.0, 1.0),
            ("leaveFree=1GB..0", DoseUnit::Bytes, 1e9, 0.0),
        ] {
            let range: DoseRange = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((range.unit, range.mildest, range.harshest), (unit, mildest, harshest), "{text}");
        }
        let named: DoseRange = "1.network-latency.delay=0..1s".parse().unwrap();
        assert_eq!(named.parameter, ["1", "network-latency", "delay"]);
        for text in
            ["", "delay", "delay=1s", "=0..1s", "a..b=0..1s", "delay=0..1", "delay=-1s..1s", "x=1s..5%", "x=1s..1s"]
        {
            // Bare numbers are counts: whether the parameter is one is found when the document is read.
            assert_eq!(text.parse::<DoseRange>().is_ok(), text == "delay=0..1", "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for (unit, number, written, told) in [
            (DoseUnit::Time, 0.122, "122ms", "122 ms"),
            (DoseUnit::Time, 61.5, "1m1s500ms", "61.5 s"),
            (DoseUnit::Percent, 0.1 + 0.2, "0.3%", "0.3%"),
            (DoseUnit::Bytes, 3_145_728.0, "3MiB", "3 MiB"),
            (DoseUnit::ByteRate, 2_000_000.0, "2MB/s", "1.9073 MiB/s"),
            (DoseUnit::Rate, 12.5, "12.5/s", "12.5/s"),
            (DoseUnit::Count, 1200.0, "1200", "1,200"),
            (DoseUnit::Number, 0.25, "0.25", "0.25"),
        ] {
            assert_eq!((&*unit.written(number), &*unit.told(number)), (written, told));
            assert!((unit.number(written).unwrap() - number).abs() < 1e-9, "{written}");
        }
        assert_eq!(DoseUnit::Time.number("0"), Ok(0.0));
        assert!(DoseUnit::Time.number("5%").is_err() && DoseUnit::Time.number("5").is_err());
    }
}
