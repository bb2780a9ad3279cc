/// Values in order, each with how many lie at or above it: as much of a sample as quantiles need. Some may lie beyond
/// every value (requests that failed).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ranked {
    /// Each value that occurs, smallest first, with how many are that large or larger.
    values: Vec<(f64, f64)>,
    beyond: f64,
    total: f64,
}

/// So far apart, relatively, two values are the same: a product of a value and a margin may be off in its last digits.
const SAME: f64 = 1e-9;

impl Ranked {
    /// From finite values with how often each came, and from how many lie beyond all of them.
    pub fn new(values: impl IntoIterator<Item = (f64, u64)>, beyond: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
        let mut values: Vec<(f64, f64)> = values.into_iter().map(|(value, count)| (value, count as f64)).collect();
        values.sort_by(|one, other| one.0.total_cmp(&other.0));
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
        let beyond = beyond as f64;
        let mut total = beyond;
        for (_, count) in values.iter_mut().rev() {
            total += *count;
            *count = total;
        }
        Self { values, beyond, total }
    }

    /// The same values in the same parts, so many in all. Nothing stays nothing.
    pub fn of_size(&self, total: f64) -> Self {
        let part = if self.total > 0.0 { total / self.total } else { 0.0 };
        let values = self.values.iter().map(|(value, count)| (*value, count * part)).collect();
        Self { values, beyond: self.beyond * part, total: self.total * part }
    }

    /// How many there are in all.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// The smallest value that so large a share of all does not exceed; infinite where it lies beyond all of them.
    /// Nothing of nothing.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        (self.total > 0.0).then(|| self.place_of(quantile).map_or(f64::INFINITY, |place| self.value(place)))
    }

    /// The place of that value.
    pub(super) fn place_of(&self, quantile: f64) -> Option<usize> {
        let wanted = quantile * self.total - SAME;
        (0..self.values.len()).find(|place| self.total - self.beyond_place(*place) >= wanted)
    }

    /// How many are greater than a value; nothing is greater than an infinite one, not even what lies beyond all.
    pub(super) fn above(&self, value: f64) -> f64 {
        if value == f64::INFINITY {
            return 0.0;
        }
        let value = value + value.abs() * SAME;
        let place = self.values.partition_point(|(found, _)| *found <= value);
        self.values.get(place).map_or(self.beyond, |(_, count)| *count)
    }

    /// How many different values there are.
    pub(super) fn places(&self) -> usize {
        self.values.len()
    }

    /// The value at a place; infinite after the last.
    pub(super) fn value(&self, place: usize) -> f64 {
        self.values.get(place).map_or(f64::INFINITY, |(value, _)| *value)
    }

    /// How many are at least as large as the value at a place.
    pub(super) fn at_or_above(&self, place: usize) -> f64 {
        self.values.get(place).map_or(self.beyond, |(_, count)| *count)
    }

    /// How many are greater than the value at a place.
    pub(super) fn beyond_place(&self, place: usize) -> f64 {
        self.at_or_above(place + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_lies_above() {
        let ranked = Ranked::new([(3.0, 1), (1.0, 2), (2.0, 5)], 2);
        assert_eq!(ranked.total(), 10.0);
        assert_eq!([0.5, 1.0, 1.5, 2.0, 3.0, 9.0].map(|value| ranked.above(value)), [10.0, 8.0, 8.0, 3.0, 2.0, 2.0]);
        assert_eq!(ranked.above(f64::INFINITY), 0.0);
        assert_eq!([0, 1, 2, 3].map(|place| ranked.at_or_above(place)), [10.0, 8.0, 3.0, 2.0]);
        let quantiles = [0.1, 0.2, 0.21, 0.7, 0.8, 0.81].map(|quantile| ranked.quantile(quantile));
        assert_eq!(quantiles, [1.0, 1.0, 2.0, 2.0, 3.0, f64::INFINITY].map(Some));
        assert_eq!(Ranked::default().quantile(0.5), None);
    }
}
