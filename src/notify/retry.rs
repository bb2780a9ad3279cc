//! When a message that was not accepted is sent again, and when no more. Pure: time and chance come in as numbers.

use std::time::Duration;

use jiff::Timestamp;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver took it: a status of 200 to 299, and the whole answer came.
    Accepted,
    /// The receiver answered with another status.
    Answered {
        /// The status.
        status: u16,
        /// How long it asks to be left alone (`Retry-After`, RFC 9110 section 10.2.3).
        retry_after: Option<Duration>,
        /// The beginning of what it said.
        said: String,
    },
    /// There was no complete answer, or no connection.
    Unanswered(String),
    /// It could not be sent for a reason on this side that may go away: a file with a secret that cannot be read.
    NotSent(String),
    /// It can never be sent.
    Unsendable(String),
}

/// What is done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is delivered.
    Delivered,
    /// It is sent again at this time.
    Again {
        /// When.
        at: Timestamp,
        /// Why the attempt failed.
        because: String,
    },
    /// It is given up.
    GivenUp {
        /// Why.
        because: String,
    },
}

/// The rule: exponential with full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015), bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The upper bound of the first pause; it doubles with each attempt.
    pub first: Duration,
    /// The upper bound of all pauses.
    pub longest: Duration,
    /// How long after it was put in a message is given up.
    pub give_up_after: Duration,
}

/// No pause is shorter: a receiver in trouble is not asked twice in one second.
const SHORTEST: Duration = Duration::from_secs(1);

/// The longest `Retry-After` that is heeded: one that means days is a mistake, or a way to silence us.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

impl Default for Rule {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            longest: Duration::from_secs(600),
            give_up_after: Duration::from_secs(24 * 3600),
        }
    }
}

impl Rule {
    /// What follows the outcome of attempt number `attempt`, counted from 1, of a message put in at `created`. `chance` is
    /// a random number from 0 to 1.
    pub fn next(&self, outcome: Outcome, attempt: u32, created: Timestamp, now: Timestamp, chance: f64) -> Next {
        let (because, asked) = match outcome {
            Outcome::Accepted => return Next::Delivered,
            Outcome::Unsendable(because) => return Next::GivenUp { because },
            Outcome::Answered { status, retry_after, said } => {
                let because =
                    if said.is_empty() { format!("answered {status}") } else { format!("answered {status}: {said}") };
                if is_final(status) {
                    return Next::GivenUp { because };
                }
                (because, retry_after)
            }
            Outcome::Unanswered(because) | Outcome::NotSent(because) => (because, None),
        };
        let deadline = later(created, self.give_up_after);
        if now >= deadline {
            return Next::GivenUp { because: format!("tried {attempt} times until now; at last: {because}") };
        }
        let pause = self.pause(attempt, asked, chance);
        // One last attempt at the deadline itself, unless the receiver asked for more time than that.
        let at = later(now, pause);
        let at = if asked.is_none() { at.min(deadline) } else { at };
        Next::Again { at, because }
    }

    /// The pause after the attempt of this number, counted from 1; `asked` is what the receiver asked for.
    pub fn pause(&self, attempt: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1).min(31));
        let bound = self.first.saturating_mul(doubled).min(self.longest);
        let pause = bound.mul_f64(chance.clamp(0.0, 1.0)).max(SHORTEST);
        pause.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }
}

/// Whether asking again is useless: all of 400 to 499 but 408 (the receiver gave up waiting) and 429 (too much at once).
fn is_final(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 408 | 429)
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Reads `Retry-After`: seconds, or a date.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn answered(status: u16) -> Outcome {
        Outcome::Answered { status, retry_after: None, said: String::new() }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let rule = Rule::default();
        let mut pauses = Vec::new();
        for attempt in 1..=9 {
            match rule.next(answered(503), attempt, at(0), at(100), 1.0) {
                Next::Again { at: next, .. } => pauses.push(next.as_second() - 100),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
    }

    #[test]
    fn what_cannot_get_better_is_given_up_at_once() {
        let rule = Rule::default();
        let next = |status| rule.next(answered(status), 1, at(0), at(1), 0.5);
        for status in [400, 401, 403, 404, 410, 413, 422] {
            assert_eq!(next(status), Next::GivenUp { because: format!("answered {status}") });
        }
        for status in [301, 302, 307, 408, 429, 500, 502, 503, 504] {
            assert!(matches!(next(status), Next::Again { .. }), "{status}");
        }
        assert_eq!(rule.next(Outcome::Accepted, 1, at(0), at(1), 0.5), Next::Delivered);
    }

    #[test]
    fn after_the_time_that_was_set_it_is_given_up_with_one_last_try_at_its_end() {
        let rule = Rule { give_up_after: Duration::from_secs(60), ..Rule::default() };
        let next = |now| rule.next(Outcome::Unanswered("connection refused".into()), 7, at(0), at(now), 1.0);
        assert_eq!(next(59), Next::Again { at: at(60), because: "connection refused".into() });
        let because = "tried 7 times until now; at last: connection refused".to_owned();
        assert_eq!(next(60), Next::GivenUp { because });
    }

    #[test]
    fn a_receiver_that_asks_for_time_gets_it_up_to_an_hour() {
        let rule = Rule::default();
        let next = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            let outcome = Outcome::Answered { status: 429, retry_after, said: String::new() };
            match rule.next(outcome, 1, at(0), at(0), 0.0) {
                Next::Again { at, .. } => at.as_second(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([next(0), next(30), next(1_000_000)], [1, 30, 3600]);
    }

    #[test]
    fn both_ways_to_write_retry_after_are_read() {
        let now: Timestamp = "2015-10-21T07:27:00Z".parse().unwrap();
        assert_eq!(retry_after(" 120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:26:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }

    proptest! {
        #[test]
        fn a_pause_is_never_shorter_than_a_second_nor_past_the_bounds(
            attempt in 1_u32..100, chance in 0.0..=1.0_f64, now in 0_i64..86_000, status in 500_u16..600,
        ) {
            let rule = Rule::default();
            match rule.next(answered(status), attempt, at(0), at(now), chance) {
                Next::Again { at: next, .. } => {
                    let pause = next.as_second() - now;
                    prop_assert!((1..=600).contains(&pause));
                    prop_assert!(next <= at(86_400));
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
