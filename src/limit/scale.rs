//! The doses that may be run: from the mildest to the harshest, laid out so that each step means about as much as any other.
//!
//! A range over which the dose grows tenfold or more is laid out geometrically, a shorter one evenly. One that begins with 0 has no
//! smallest dose to grow from: its doses are even up to about a fiftieth of the harshest, and grow geometrically from there.

use super::DoseRange;

/// From this ratio of its ends on a range is geometric.
const GEOMETRIC: f64 = 10.0;
/// The part of the harshest dose below which a range that begins with 0 is about even.
const EVEN: f64 = 1.0 / 50.0;
/// How many doses a range has at most.
const STEPS: u32 = 1000;

/// Doses in order, each once, and how far each lies on the way from the mildest (0) to the harshest (1).
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// The doses, in the unit of the range.
    pub doses: Vec<f64>,
    /// How far each lies.
    pub places: Vec<f64>,
}

impl Scale {
    /// That of a range, with doses of no more digits than a resolution (a share of the dose, such as 0.05) needs, at least three.
    pub fn new(range: &DoseRange, resolution: f64) -> Self {
        let (low, high) = (range.mildest.min(range.harshest), range.mildest.max(range.harshest));
        // What is added to a dose before its logarithm is taken; nothing for an even scale.
        let shift = match () {
            () if low == 0.0 && range.begins_with_nothing() => Some(high * EVEN),
            () if low > 0.0 && high / low >= GEOMETRIC => Some(0.0),
            () => None,
        };
        let there = |dose: f64| shift.map_or(dose, |shift| (dose + shift).ln());
        let back = |place: f64| shift.map_or(place, |shift| place.exp() - shift);
        let (begin, end) = (there(range.mildest), there(range.harshest));
        let digits = digits(resolution);
        let (mut doses, mut places): (Vec<f64>, Vec<f64>) = (vec![range.mildest], vec![0.0]);
        for step in 1..=STEPS {
            let dose = match step {
                STEPS => range.harshest,
                step => back(begin + (end - begin) * f64::from(step) / f64::from(STEPS)),
            };
            let dose = if step == STEPS { dose } else { range.unit.nearest(rounded(dose, digits)) };
            let last = doses.last().copied().unwrap_or(range.mildest);
            let goes_on =
                (dose > last) == (range.harshest > range.mildest) && (dose - last).abs() > f64::EPSILON * last.abs();
            let within = (low..=high).contains(&dose);
            if goes_on && within {
                doses.push(dose);
                places.push((there(dose) - begin) / (end - begin));
            }
        }
        Self { doses, places }
    }
}

/// How many digits tell apart doses that differ by half of the resolution.
fn digits(resolution: f64) -> i32 {
    let wanted = (2.0 / resolution.clamp(1e-6, 1.0)).log10().ceil() + 1.0;
    #[expect(clippy::cast_possible_truncation, reason = "between 2 and 8")]
    let wanted = wanted as i32;
    wanted.max(3)
}

fn rounded(number: f64, digits: i32) -> f64 {
    if number <= 0.0 {
        return 0.0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the logarithm of a finite number is below 309")]
    let decimals = digits - 1 - number.log10().floor() as i32;
    let size = 10_f64.powi(decimals.abs());
    if decimals >= 0 { (number * size).round() / size } else { (number / size).round() * size }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(range: &str, resolution: f64) -> Scale {
        Scale::new(&range.parse().unwrap(), resolution)
    }

    #[test]
    fn each_range_is_laid_out_as_it_should_be() {
        for (range, middle) in [
            ("delay=100ms..300ms", 0.2),
            ("delay=10ms..1s", 0.1),
            ("delay=1s..10ms", 0.1),
            // Where 51 is the ratio of the shifted ends: (sqrt(51) - 1) / 50 of the harshest.
            ("delay=0..1s", 0.123),
            ("leaveFree=1000B..0", 500.0),
        ] {
            let Scale { doses, places } = scale(range, 0.05);
            let found = places.iter().position(|place| *place >= 0.5).unwrap();
            assert!((doses[found] / middle - 1.0).abs() < 0.02, "{range}: {} in the middle", doses[found]);
            let parsed: DoseRange = range.parse().unwrap();
            assert_eq!((doses[0], doses[doses.len() - 1]), (parsed.mildest, parsed.harshest), "{range}");
            assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{range}");
            let falls = parsed.harshest < parsed.mildest;
            assert!(doses.windows(2).all(|pair| if falls { pair[0] > pair[1] } else { pair[0] < pair[1] }), "{range}");
        }
    }

    #[test]
    fn doses_are_numbers_that_people_write() {
        assert!(scale("delay=0..2s", 0.05).doses.iter().all(|dose| {
            let written = super::super::DoseUnit::Time.written(*dose);
            written.bytes().filter(|byte| (b'1'..=b'9').contains(byte)).count() <= 4
        }));
        let counts = scale("inodes.count=0..20", 0.05).doses;
        assert_eq!(counts, (0..=20).map(f64::from).collect::<Vec<_>>());
        let pair = |doses: &[f64]| doses.windows(2).map(|pair| pair[1] / pair[0] - 1.0).fold(0.0, f64::max);
        assert!(pair(&scale("delay=10ms..10s", 0.05).doses) < 0.015);
        assert!(pair(&scale("delay=100ms..200ms", 0.01).doses) < 0.005);
    }
}
