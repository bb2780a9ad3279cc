//! The search: by the answers so far, the dose to run next, or between which doses the limit lies. Pure and deterministic.
//!
//! It is a probabilistic bisection (Horstein, *Sequential transmission using noiseless feedback*, IEEE Transactions on
//! Information Theory 9, 1963; Waeber, Frazier and Henderson, *Bisection search with noisy responses*, SIAM Journal on Control
//! and Optimization 51, 2013). What is not known is how many of the doses hold; every answer is wrong with at most the error rate of the document's
//! verdicts, so Bayes' theorem tells after each answer how probable each number is. The next dose is the one of which it is most
//! uncertain whether it holds. The interval is the shortest that has the stated probability.
//!
//! A run that was not decided is no answer. It is repeated, since chance or a busy host may decide nothing once; a dose that is
//! still not decided is left alone, with those so close to it that the answers of the others beside them are narrow enough. Where
//! that is not all, doses are hazy there: each further one is repeated less and takes more of its neighbours with it. That is
//! where the limit often is, so that the search ends soon with what is left when nothing else would narrow it.

use std::ops::RangeInclusive;

use super::scale::Scale;

/// The probability, before anything was run, that not even the mildest dose holds.
const NONE_HOLDS: f64 = 0.05;
/// The probability, before anything was run, that the harshest dose holds too.
const ALL_HOLD: f64 = 0.1;
/// The error rate below which no answer is taken to lie: a host has troubles of which the mathematics knows nothing.
const LEAST_ERROR: f64 = 0.01;
/// How often the first dose is run that is not decided.
const MOST_UNANSWERED: usize = 3;
/// How often a dose is run that is not decided once another was left alone.
const MOST_UNANSWERED_IN_HAZE: usize = 2;
/// So many times as far as the one before reaches what is left alone around a dose. Simulated: of searches with some undecided
/// runs as many end narrow with 2 as with 4, but to see that nothing at all is decided takes 17 runs with 2 and 11 with 4.
const FURTHER: f64 = 4.0;

/// How an experiment's run at a dose answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The hypothesis held.
    Holds,
    /// It did not, or a guardrail was breached.
    Fails,
    /// It was not decided.
    None,
}

/// How narrow is narrow enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolution {
    /// A share of the limit, such as 0.05.
    Share(f64),
    /// So much, in the unit of the doses.
    Width(f64),
}

/// By which rules the search goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// With which probability an answer may be wrong, from 0 to 0.5.
    pub error_rate: f64,
    /// With which probability the interval holds the limit.
    pub confidence: f64,
    /// How narrow the interval is to be.
    pub resolution: Resolution,
    /// How many runs there may be.
    pub runs: usize,
    /// Whether the mildest dose is known to hold and is never run.
    pub mildest_holds: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Run the dose of this index.
    Run(usize),
    /// Nothing more.
    Stop(Stop),
}

/// Why nothing more is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// It is known well enough.
    Known,
    /// There were as many runs as there may be.
    RunsSpent,
    /// What is left was run and not decided.
    Undecided,
}

/// What is known of the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// The index of the last dose that holds, as likely too low as too high; nothing if most likely not even the mildest does.
    pub limit: Option<usize>,
    /// The last dose that is taken to hold; nothing if that is none.
    pub low: Option<usize>,
    /// The first dose that is taken to fail; nothing if that is none.
    pub high: Option<usize>,
}

/// The search, so far.
#[derive(Debug, Clone)]
pub struct Search {
    doses: Vec<f64>,
    rules: Rules,
    /// For each number of doses that may hold, from none to all, how probable it is.
    probability: Vec<f64>,
    runs: usize,
    /// The doses that were run without an answer.
    unanswered: Vec<usize>,
    /// Doses that are not run any more.
    closed: Vec<RangeInclusive<usize>>,
}

impl Search {
    /// Before the first run.
    pub fn new(scale: &Scale, rules: Rules) -> Self {
        let rules = Rules { error_rate: rules.error_rate.clamp(LEAST_ERROR, 0.4), ..rules };
        let none = if rules.mildest_holds { 0.0 } else { NONE_HOLDS };
        let gaps = scale.places.windows(2).map(|pair| (pair[1] - pair[0]) * (1.0 - none - ALL_HOLD));
        let probability = std::iter::once(none).chain(gaps).chain([ALL_HOLD]).collect();
        Self { doses: scale.doses.clone(), rules, probability, runs: 0, unanswered: Vec::new(), closed: Vec::new() }
    }

    /// Takes the answer of a run at the dose of this index.
    pub fn take(&mut self, index: usize, answer: Answer) {
        self.runs += 1;
        let (holds, fails) = match answer {
            Answer::Holds => (1.0 - self.rules.error_rate, self.rules.error_rate),
            Answer::Fails => (self.rules.error_rate, 1.0 - self.rules.error_rate),
            Answer::None => return self.unanswered(index),
        };
        for (number, probability) in self.probability.iter_mut().enumerate() {
            *probability *= if number > index { holds } else { fails };
        }
        let sum: f64 = self.probability.iter().sum();
        self.probability.iter_mut().for_each(|probability| *probability /= sum);
    }

    fn unanswered(&mut self, index: usize) {
        self.unanswered.push(index);
        let most = if self.closed.is_empty() { MOST_UNANSWERED } else { MOST_UNANSWERED_IN_HAZE };
        if self.unanswered.iter().filter(|other| **other == index).count() >= most {
            // Doses beside it would be decided no better. What lies between those that are not left alone is narrow enough
            // the first time.
            let dose = self.doses[index];
            let reach = self.narrow(dose, dose) / 2.0 * self.closed.iter().fold(1.0, |reach, _| reach * FURTHER);
            let is_near = |other: &f64| (other - dose).abs() < reach;
            let first = self.doses.iter().position(is_near).unwrap_or(index);
            let last = self.doses.iter().rposition(is_near).unwrap_or(index);
            self.closed.push(first..=last);
        }
    }

    /// What to do now.
    pub fn next(&self) -> Next {
        if self.is_known() {
            return Next::Stop(Stop::Known);
        }
        if self.runs >= self.rules.runs {
            return Next::Stop(Stop::RunsSpent);
        }
        // Asking where hardly any doubt is left would not narrow anything.
        let doubt = (1.0 - self.rules.confidence) / 2.0;
        let mut below = 0.0;
        let mut best: Option<(f64, usize)> = None;
        for (index, probability) in self.probability.iter().take(self.doses.len()).enumerate() {
            below += probability;
            let distance = (below - 0.5).abs();
            let open = (doubt..=1.0 - doubt).contains(&below)
                && !(index == 0 && self.rules.mildest_holds)
                && !self.closed.iter().any(|closed| closed.contains(&index));
            if open && best.is_none_or(|(least, _)| distance < least) {
                best = Some((distance, index));
            }
        }
        best.map_or(Next::Stop(Stop::Undecided), |(_, index)| Next::Run(index))
    }

    fn is_known(&self) -> bool {
        let (first, last) = self.interval();
        if first == last && (first == 0 || first == self.doses.len()) {
            return true;
        }
        let (Some(low), Some(high)) = (self.dose_below(first), self.doses.get(last)) else { return false };
        self.is_narrow(low, *high)
    }

    fn is_narrow(&self, low: f64, high: f64) -> bool {
        (high - low).abs() <= self.narrow(low, high) * (1.0 + 1e-9)
    }

    /// How wide an interval with these ends may be.
    fn narrow(&self, low: f64, high: f64) -> f64 {
        match self.rules.resolution {
            Resolution::Share(share) => share * low.max(high),
            Resolution::Width(width) => width,
        }
    }

    /// The last of so many doses that hold.
    fn dose_below(&self, number: usize) -> Option<f64> {
        self.doses.get(number.checked_sub(1)?).copied()
    }

    /// From which to which number of doses hold, in the shortest interval of the stated probability. That none or all of them
    /// hold has no end: such an interval counts as a whole range longer.
    fn interval(&self) -> (usize, usize) {
        let (mildest, harshest) = (self.doses.first(), self.doses.last());
        let whole = mildest.zip(harshest).map_or(1.0, |(mildest, harshest)| (harshest - mildest).abs());
        let all = self.doses.len();
        let length = |first: usize, last: usize| {
            if first == last && (first == 0 || first == all) {
                return 0.0;
            }
            let low = self.dose_below(first).or(mildest.copied()).unwrap_or_default();
            let high = self.doses.get(last).or(harshest).copied().unwrap_or_default();
            let open = [first == 0, last == all].into_iter().filter(|open| *open).count();
            #[expect(clippy::cast_precision_loss, reason = "at most 2")]
            let open = open as f64;
            (high - low).abs() + open * whole
        };
        let (mut first, mut inside) = (0, 0.0);
        let mut best = (0, all);
        for last in 0..=all {
            inside += self.probability[last];
            while first < last && inside - self.probability[first] >= self.rules.confidence {
                inside -= self.probability[first];
                first += 1;
            }
            if inside >= self.rules.confidence && length(first, last) < length(best.0, best.1) {
                best = (first, last);
            }
        }
        best
    }

    /// What is known.
    pub fn known(&self) -> Known {
        let (first, last) = self.interval();
        let mut below = 0.0;
        let median = self.probability.iter().position(|probability| {
            below += probability;
            below >= 0.5
        });
        let median = median.unwrap_or(first).clamp(first, last);
        Known {
            limit: median.checked_sub(1),
            low: first.checked_sub(1),
            high: (last < self.doses.len()).then_some(last),
        }
    }

    /// How many runs there were.
    pub const fn runs(&self) -> usize {
        self.runs
    }

    /// The dose of an index.
    pub fn dose(&self, index: usize) -> f64 {
        self.doses[index]
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
