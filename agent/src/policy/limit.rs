use std::cmp::Ordering;

use serde::Deserialize;

use crate::plan::Plan;
use crate::units::{Bytes, Percent, TimeSpan};

/// The greatest dose, with the unit in which it is written: `2s`, `90%`, `20GiB`, or a bare number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Limit {
    /// A number without a unit.
    Number(f64),
    /// A number with its unit.
    Text(String),
}

impl Limit {
    pub(super) fn permit(&self, plan: &Plan, name: &str) -> Result<(), String> {
        let mut doses = plan.dose.iter().filter(|dose| dose.name == name).peekable();
        if doses.peek().is_none() {
            let known: Vec<&str> = plan.dose.iter().map(|dose| dose.name.as_str()).collect();
            return Err(format!(
                "it limits the {name} of {}, and this plan states none (it states: {})",
                plan.fault,
                known.join(", ")
            ));
        }
        for dose in doses {
            let Some(most) = self.in_unit(&dose.unit) else {
                return Err(format!("its limit {self:?} of {name} is no measure in {}", dose.unit));
            };
            // Incomparable, when the dose is no number, is refused as well.
            if !matches!(dose.asked.partial_cmp(&most), Some(Ordering::Less | Ordering::Equal)) {
                return Err(format!(
                    "a {name} of {} {} is above its limit of {most} {}",
                    dose.asked, dose.unit, dose.unit
                ));
            }
        }
        Ok(())
    }

    /// This limit as a number of that unit.
    fn in_unit(&self, unit: &str) -> Option<f64> {
        let text = match self {
            Self::Number(number) => return Some(*number),
            Self::Text(text) => text,
        };
        let seconds = |scale: f64| text.parse::<TimeSpan>().ok().map(|span| span.duration().as_secs_f64() * scale);
        match unit {
            "s" => seconds(1.0),
            "ms" => seconds(1e3),
            "us" | "µs" => seconds(1e6),
            "ns" => seconds(1e9),
            "%" => text.parse::<Percent>().ok().map(Percent::number),
            #[expect(
                clippy::cast_precision_loss,
                reason = "a limit of 2^53 bytes and more need not be exact to one byte"
            )]
            "bytes" | "B" => text.parse::<Bytes>().ok().map(|bytes| bytes.count() as f64),
            _ => text.strip_suffix(unit).unwrap_or(text).trim().parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_in_the_unit_of_the_dose() {
        for (limit, unit, expected) in [
            ("2s", "ms", Some(2000.0)),
            ("2GiB", "bytes", Some(2_147_483_648.0)),
            ("90%", "%", Some(90.0)),
            ("3 processes", "processes", Some(3.0)),
            ("2s", "%", None),
            ("much", "ms", None),
        ] {
            assert_eq!(Limit::Text(limit.into()).in_unit(unit), expected, "{limit} {unit}");
        }
    }
}
