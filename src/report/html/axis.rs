//! Scales and ticks: from numbers to places, and the round numbers that stand beside them.

use super::super::notation;

/// The time axis of a run: from its start to its end, as shares of the width.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeAxis {
    end: f64,
}

/// The steps that people count time in, in seconds.
const TIME_STEPS: [f64; 17] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0,
    43_200.0,
];

/// A tick of the time axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TimeTick {
    /// Its place in percent of the width.
    pub(super) place: f64,
    /// Its label.
    pub(super) label: String,
    /// Whether it is left out where there is little room.
    pub(super) minor: bool,
}

impl TimeAxis {
    /// The axis of a run of so many seconds.
    pub(super) fn new(duration: f64) -> Self {
        Self { end: if duration > 0.0 { duration } else { 1.0 } }
    }

    /// Where a moment lies, in percent of the width, never outside the plot.
    pub(super) fn place(self, at: f64) -> f64 {
        round((at / self.end * 100.0).clamp(0.0, 100.0))
    }

    /// The ticks: at most nine, on round times.
    pub(super) fn ticks(self) -> Vec<TimeTick> {
        let step = TIME_STEPS.into_iter().find(|step| self.end / step <= 9.0).unwrap_or_else(|| {
            let days = (self.end / 9.0 / 86_400.0).ceil();
            days * 86_400.0
        });
        let mut ticks = Vec::new();
        let mut number = 0.0;
        // The last tick keeps clear of the edge, where its label would be cut.
        while number * step <= self.end * 0.985 {
            let at = number * step;
            let minor = number % 2.0 == 1.0;
            ticks.push(TimeTick { place: self.place(at), label: label(at, self.end), minor });
            number += 1.0;
        }
        ticks
    }
}

/// A time as it stands below the axis of a run of this length.
fn label(at: f64, duration: f64) -> String {
    if at == 0.0 {
        return "0".into();
    }
    let (hours, minutes, seconds) = ((at / 3600.0).floor(), (at / 60.0).floor() % 60.0, at % 60.0);
    if duration < 120.0 {
        format!("{at} s")
    } else if duration < 7200.0 {
        format!("{}:{seconds:02}", hours * 60.0 + minutes)
    } else {
        format!("{hours}:{minutes:02} h")
    }
}

/// What the numbers of a plot are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Seconds, printed as the length of time that they are.
    Time,
    /// Shares from 0 to 1, printed as percentages.
    Share,
    /// Events a second.
    Rate,
    /// Anything.
    Number,
}

impl Unit {
    /// A number as printed.
    pub(super) fn print(self, value: f64) -> String {
        match self {
            Self::Time => notation::seconds(value),
            Self::Share => format!("{}%", notation::number(value * 100.0)),
            Self::Rate => format!("{}/s", notation::number(value)),
            Self::Number => notation::number(value),
        }
    }
}

/// The axis of a plot's numbers: from its floor up to a round number.
#[derive(Debug, Clone, Copy)]
pub(super) struct NumberAxis {
    low: f64,
    high: f64,
    step: f64,
}

impl NumberAxis {
    /// An axis from 0 (or below, if there are negative numbers) to the first round number at or above the highest.
    pub(super) fn around(low: f64, high: f64) -> Self {
        let low = low.min(0.0);
        let span = if high > low { high - low } else { 1.0 };
        let rough = span / 3.0;
        let power = 10f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough * 0.999_999);
        let step = factor.unwrap_or(10.0) * power;
        Self { low: (low / step).floor() * step, high: ((low + span) / step * 0.999_999).ceil() * step, step }
    }

    /// Where a number lies in a plot so many pixels high, from above; never outside of it.
    pub(super) fn place(self, value: f64, height: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        round(height * (1.0 - share))
    }

    /// The highest number on the axis.
    pub(super) fn high(self) -> f64 {
        self.high
    }

    /// The numbers that are named, from below.
    pub(super) fn ticks(self) -> Vec<f64> {
        let mut ticks = Vec::new();
        let mut tick = self.low;
        while tick <= self.high + self.step / 2.0 {
            // A sum of steps may miss zero by a hair.
            ticks.push(if tick.abs() < self.step / 1e6 { 0.0 } else { tick });
            tick += self.step;
        }
        ticks
    }
}

/// To a hundredth: places need no more, and files stay small.
pub(super) fn round(place: f64) -> f64 {
    (place * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_stand_on_round_numbers() {
        let labels = |seconds| TimeAxis::new(seconds).ticks().into_iter().map(|tick| tick.label).collect::<Vec<_>>();
        assert_eq!(labels(38.9), ["0", "5 s", "10 s", "15 s", "20 s", "25 s", "30 s", "35 s"]);
        assert_eq!(labels(600.0), ["0", "2:00", "4:00", "6:00", "8:00"]);
        let ticks = |high| NumberAxis::around(0.0, high).ticks();
        assert_eq!(ticks(0.3), [0.0, 0.1, 0.2, 0.30000000000000004]);
        assert_eq!(ticks(50.0), [0.0, 20.0, 40.0, 60.0]);
        assert_eq!(Unit::Time.print(0.30000000000000004), "300 ms");
    }

    proptest! {
        #[test]
        fn every_number_up_to_the_highest_is_on_the_axis(high in 1e-6f64..1e9, share in 0.0f64..1.0) {
            let axis = NumberAxis::around(0.0, high);
            prop_assert!(axis.high() >= high * 0.999_99, "{axis:?}");
            prop_assert!((2..=6).contains(&axis.ticks().len()), "{:?}", axis.ticks());
            let place = axis.place(high * share, 100.0);
            prop_assert!((0.0..=100.0).contains(&place));
        }

        #[test]
        fn a_run_of_any_length_has_some_ticks_but_not_too_many(duration in 0.0f64..1e7) {
            let ticks = TimeAxis::new(duration).ticks();
            prop_assert!((1..=10).contains(&ticks.len()), "{ticks:?}");
        }
    }
}
