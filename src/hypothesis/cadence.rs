//! When a signal should be heard of: its pace, and the stretches of time in which it was.

use std::time::Duration;

use crate::experiment::document::{ExecReading, Signal};

/// How often a signal is read, and how late a reading may come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cadence {
    /// Seconds between two readings.
    pub(super) interval: f64,
    /// Seconds after which a reading has come, good or failed.
    pub(super) lateness: f64,
    /// For a prober of our own: how many events it starts a second, answered or not.
    pub(super) starts: Option<f64>,
    /// How many events a second are read, where each reading is one.
    pub(super) events: Option<f64>,
}

impl Cadence {
    pub(super) fn of(signal: &Signal) -> Self {
        let read = |interval: Duration, timeout: Duration| Self {
            interval: interval.as_secs_f64(),
            lateness: timeout.as_secs_f64(),
            starts: None,
            events: None,
        };
        let rate = |interval: Duration| Some(1.0 / interval.as_secs_f64().max(1e-6));
        let probe = |interval: Duration, timeout: Duration| Self {
            starts: rate(interval),
            events: rate(interval),
            ..read(interval, timeout)
        };
        match signal {
            Signal::Http(http) => probe(http.rate.interval(), http.timeout.duration()),
            Signal::Tcp(tcp) => probe(tcp.rate.interval(), tcp.timeout.duration()),
            Signal::Exec(exec) => {
                let events = (exec.read == ExecReading::ExitCode).then(|| rate(exec.interval.duration())).flatten();
                Self { events, ..read(exec.interval.duration(), exec.timeout.duration()) }
            }
            Signal::Prometheus(prometheus) => read(prometheus.interval.duration(), prometheus.timeout.duration()),
            Signal::Host(host) => read(host.interval.duration(), Duration::ZERO),
        }
    }

    /// The stretch in which at least one reading is to be expected: three intervals, and no less than a second.
    pub(super) fn beat(self) -> f64 {
        (3.0 * self.interval).max(1.0)
    }

    /// For how long a signal may say nothing before a guardrail counts it as lost: three intervals and no less than
    /// three seconds, after the time that a reading may take.
    pub(super) fn patience(self) -> f64 {
        self.lateness + (3.0 * self.interval).max(3.0)
    }
}

/// In which beats of the run a signal was heard of: one bit a beat.
#[derive(Debug, Clone, Default)]
pub(super) struct Beats {
    words: Vec<u64>,
}

/// How much of a stretch of time was covered by readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Coverage {
    /// Whole beats in the stretch.
    pub(super) beats: u32,
    /// Those in which nothing was heard.
    pub(super) empty: u32,
    /// Since when nothing was heard, if the stretch ends with two empty beats or more.
    pub(super) silent_since: Option<f64>,
}

/// No run is longer than this many beats; what claims to be later is not believed.
const MOST: f64 = 40_000_000.0;

impl Beats {
    pub(super) fn mark(&mut self, at: f64, beat: f64) {
        let Some((word, bit)) = place(at, beat) else { return };
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(bits) = self.words.get_mut(word) {
            *bits |= 1 << bit;
        }
    }

    fn word(&self, index: u32) -> u64 {
        self.words.get(index as usize / 64).copied().unwrap_or(0)
    }

    /// How much of the time from `from` to `to` was covered, by the beats that lie in it as a whole.
    pub(super) fn coverage(&self, from: f64, to: f64, beat: f64) -> Coverage {
        let (first, end) = (whole((from / beat).ceil()), whole((to / beat).floor()));
        let beats = end.saturating_sub(first);
        let trailing = self.trailing(first, end);
        let empty = beats - self.marked(first, end);
        let silent_since = (trailing >= 2).then(|| f64::from(end - trailing) * beat);
        Coverage { beats, empty, silent_since }
    }

    /// How many beats were marked, of those from `first` on and before `end`.
    fn marked(&self, first: u32, end: u32) -> u32 {
        let mut marked = 0;
        let mut index = first;
        while index < end {
            // To the end of the word, or of the stretch.
            let bits = (64 - index % 64).min(end - index);
            marked += ((self.word(index) >> (index % 64)) & lowest(bits)).count_ones();
            index += bits;
        }
        marked
    }

    /// How many beats at the end of those from `first` on and before `end` were not marked.
    fn trailing(&self, first: u32, end: u32) -> u32 {
        let mut index = end;
        while index > first {
            // From the beginning of the word, or of the stretch.
            let bits = ((index - 1) % 64 + 1).min(index - first);
            let found = (self.word(index - 1) >> ((index - bits) % 64)) & lowest(bits);
            if found != 0 {
                return end - (index - bits) - (64 - found.leading_zeros());
            }
            index -= bits;
        }
        end.saturating_sub(first)
    }
}

/// A word whose lowest so many bits, from 1 to 64, are set.
fn lowest(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

fn place(at: f64, beat: f64) -> Option<(usize, u32)> {
    let index = at / beat;
    (0.0..MOST).contains(&index).then(|| {
        let index = whole(index.floor());
        (index as usize / 64, index % 64)
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a range that fits")]
fn whole(number: f64) -> u32 {
    number.clamp(0.0, MOST) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_the_whole_beats_only() {
        let mut beats = Beats::default();
        for second in [0.2, 1.1, 2.9, 3.0, 6.5, 70.0] {
            beats.mark(second, 1.0);
        }
        assert_eq!(beats.coverage(0.0, 4.0, 1.0), Coverage { beats: 4, empty: 0, silent_since: None });
        assert_eq!(beats.coverage(0.5, 6.9, 1.0), Coverage { beats: 5, empty: 2, silent_since: Some(4.0) });
        assert_eq!(beats.coverage(0.0, 71.0, 1.0), Coverage { beats: 71, empty: 65, silent_since: None });
        assert_eq!(beats.coverage(0.0, 0.5, 1.0), Coverage { beats: 0, empty: 0, silent_since: None });
    }

    proptest! {
        #[test]
        fn whole_words_count_as_one_beat_after_the_other(
            beats in proptest::collection::vec(0u32..300, 0..40),
            first in 0u32..320,
            length in 0u32..320,
        ) {
            let mut marks = Beats::default();
            beats.iter().for_each(|beat| marks.mark(f64::from(*beat), 1.0));
            let end = first + length;
            let is_marked = |beat: &u32| beats.contains(beat);
            let marked = (first..end).filter(is_marked).count();
            let trailing = (first..end).rev().take_while(|beat| !is_marked(beat)).count();
            prop_assert_eq!((marks.marked(first, end) as usize, marks.trailing(first, end) as usize), (marked, trailing));
        }
    }

    #[test]
    fn an_absurd_moment_takes_no_memory() {
        let mut beats = Beats::default();
        for at in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            beats.mark(at, 1.0);
        }
        assert!(beats.words.is_empty());
    }
}
