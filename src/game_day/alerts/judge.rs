use faultline_agent::units::TimeSpan;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::in_words;
use super::watch::{Episode, Watch};
use crate::game_day::document::ExpectedAlert;
use crate::report::notation;

/// Whether an expected alert fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fired {
    /// Within its time after the fault was in place.
    InTime,
    /// After that.
    Late,
    /// Not at all, and that is known.
    Missed,
    /// It was firing before the fault, which is no evidence.
    FiringBefore,
    /// Not known, since Alertmanager could not be read or the watch ended too early.
    Unknown,
    /// No fault was in place.
    NotTested,
    /// Its time is not up.
    Pending,
}

/// Whether it went away after the undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolved {
    /// Within its time.
    InTime,
    /// After that, or not while it was watched.
    Late,
    /// Not known.
    Unknown,
    /// Its time is not up.
    Pending,
}

/// When things happened to an experiment, as far as they did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Life {
    /// The first fault was in place.
    pub incited: Option<Timestamp>,
    /// The last fault was undone.
    pub undone: Option<Timestamp>,
    /// Alerts were watched no longer.
    pub unwatched: Option<Timestamp>,
}

/// What became of an expected alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertVerdict {
    /// Which alert.
    pub alert: String,
    /// The time in which it had to fire.
    pub within: TimeSpan,
    /// Whether it fired.
    pub fired: Fired,
    /// When.
    pub fired_at: Option<Timestamp>,
    /// Seconds after the fault was in place.
    pub after: Option<f64>,
    /// Whether nobody was told: it was silenced or inhibited when it was first seen.
    pub suppressed: bool,
    /// Whether it went away in its time, if that was asked and it fired.
    pub resolved: Option<Resolved>,
    /// The first answer without it.
    pub resolved_at: Option<Timestamp>,
    /// In one sentence, why.
    pub because: String,
}

impl AlertVerdict {
    /// Whether it did all that was expected.
    pub fn is_as_expected(&self) -> bool {
        self.fired == Fired::InTime
            && !self.suppressed
            && self.resolved.is_none_or(|resolved| resolved == Resolved::InTime)
    }

    /// Whether more may be seen of it.
    pub fn is_pending(&self) -> bool {
        self.fired == Fired::Pending || self.resolved == Some(Resolved::Pending)
    }

    /// Whether too little is known to say what it did.
    pub fn is_unknown(&self) -> bool {
        matches!(self.fired, Fired::Unknown | Fired::FiringBefore | Fired::NotTested | Fired::Pending)
            || (self.fired == Fired::InTime && matches!(self.resolved, Some(Resolved::Unknown | Resolved::Pending)))
    }
}

/// An alert that fired during an experiment and that nobody expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnexpectedAlert {
    /// Its name and labels.
    pub alert: String,
    /// When it fired.
    pub fired_at: Timestamp,
    /// The first answer without it; nothing if it was there to the end.
    pub resolved_at: Option<Timestamp>,
    /// Whether nobody was told of it.
    pub suppressed: bool,
}

/// What became of an expected alert, by all that was seen.
pub fn judge(expected: &ExpectedAlert, life: Life, watch: &Watch) -> AlertVerdict {
    let selector = expected.selector();
    let mut verdict = AlertVerdict {
        alert: selector.to_string(),
        within: expected.within,
        fired: Fired::Pending,
        fired_at: None,
        after: None,
        suppressed: false,
        resolved: None,
        resolved_at: None,
        because: "its time is not up".into(),
    };
    let over = life.unwatched.is_some();
    let Some(incited) = life.incited else {
        if over {
            verdict.fired = Fired::NotTested;
            verdict.because = "no fault was in place".into();
        }
        return verdict;
    };
    let meant: Vec<&Episode> =
        watch.episodes().iter().filter(|episode| selector.matches(&episode.alert.labels)).collect();
    let evidence: Vec<&Episode> = meant.iter().copied().filter(|episode| episode.fired_at() >= incited).collect();
    match evidence.iter().min_by_key(|episode| episode.fired_at()) {
        Some(first) => {
            fired(&mut verdict, first, incited, expected);
            resolved(&mut verdict, &evidence, life, expected, watch);
        }
        None => not_fired(&mut verdict, &meant, incited, expected, watch, over),
    }
    verdict
}

fn fired(verdict: &mut AlertVerdict, first: &Episode, incited: Timestamp, expected: &ExpectedAlert) {
    let at = first.fired_at();
    let after = at.duration_since(incited);
    let in_time = after <= span(expected.within);
    verdict.fired = if in_time { Fired::InTime } else { Fired::Late };
    verdict.fired_at = Some(at);
    verdict.after = Some(after.as_secs_f64());
    verdict.suppressed = first.alert.suppressed;
    let took = notation::seconds(after.as_secs_f64());
    let told = if first.alert.suppressed { ", but it is silenced or inhibited, so nobody was told" } else { "" };
    verdict.because = if in_time {
        format!("fired {took} after the fault was in place{told}")
    } else {
        format!("fired {took} after the fault was in place, {} was asked{told}", expected.within)
    };
}

fn not_fired(
    verdict: &mut AlertVerdict,
    meant: &[&Episode],
    incited: Timestamp,
    expected: &ExpectedAlert,
    watch: &Watch,
    over: bool,
) {
    let deadline = later(incited, expected.within);
    let time_is_up = watch.was_asked_at(deadline);
    if !time_is_up && !over {
        return;
    }
    let before = meant.iter().find(|episode| episode.gone.is_none_or(|gone| gone > incited));
    let (fired, because) = if let Some(before) = before {
        let since = notation::seconds(incited.duration_since(before.fired_at()).as_secs_f64());
        (Fired::FiringBefore, format!("was firing already, since {since} before the fault: that shows nothing"))
    } else if let Some(gap) = watch.gap_in(incited, deadline) {
        (Fired::Unknown, format!("not known: {}", gap.reason))
    } else if !watch.reaches(deadline) {
        (Fired::Unknown, "not known: the watch ended before its time was up".into())
    } else {
        (Fired::Missed, format!("did not fire within {} after the fault was in place", expected.within))
    };
    verdict.fired = fired;
    verdict.because = because;
}

fn resolved(verdict: &mut AlertVerdict, evidence: &[&Episode], life: Life, expected: &ExpectedAlert, watch: &Watch) {
    let Some(within) = expected.resolved_within else { return };
    let over = life.unwatched.is_some();
    let Some(undone) = life.undone else {
        verdict.resolved = Some(if over { Resolved::Unknown } else { Resolved::Pending });
        if over {
            verdict.because += "; whether it was resolved is not known, since nothing was undone";
        }
        return;
    };
    let limit = later(undone, within);
    let gone: Option<Vec<Timestamp>> = evidence.iter().map(|episode| episode.gone).collect();
    let last_seen = evidence.iter().map(|episode| episode.last_seen).max().unwrap_or(undone);
    let (resolved, because) = match gone.and_then(|all| all.into_iter().max()) {
        Some(gone) => {
            verdict.resolved_at = Some(gone);
            let took = notation::seconds(gone.duration_since(undone).as_secs_f64().max(0.0));
            if gone <= limit {
                (Resolved::InTime, format!("resolved {took} after the undo"))
            } else if last_seen < limit && watch.gap_in(last_seen, gone).is_some() {
                (Resolved::Unknown, "when it was resolved is not known: Alertmanager could not be read".into())
            } else {
                (Resolved::Late, format!("resolved {took} after the undo, {within} was asked"))
            }
        }
        None if watch.reaches(limit) => (Resolved::Late, format!("not resolved within {within} after the undo")),
        None if over || watch.was_asked_at(limit) => {
            (Resolved::Unknown, "whether it was resolved in time is not known".into())
        }
        None => (Resolved::Pending, "not resolved yet".into()),
    };
    verdict.resolved = Some(resolved);
    verdict.because += "; ";
    verdict.because += &because;
}

/// The alerts that fired after the fault and that nobody expected.
pub fn unexpected(expected: &[ExpectedAlert], life: Life, watch: &Watch) -> Vec<UnexpectedAlert> {
    let Some(incited) = life.incited else { return Vec::new() };
    let selectors: Vec<_> = expected.iter().map(ExpectedAlert::selector).collect();
    watch
        .episodes()
        .iter()
        .filter(|episode| episode.fired_at() >= incited)
        .filter(|episode| !selectors.iter().any(|selector| selector.matches(&episode.alert.labels)))
        .map(|episode| UnexpectedAlert {
            alert: in_words(&episode.alert.labels),
            fired_at: episode.fired_at(),
            resolved_at: episode.gone,
            suppressed: episode.alert.suppressed,
        })
        .collect()
}

fn span(time: TimeSpan) -> SignedDuration {
    SignedDuration::try_from(time.duration()).unwrap_or(SignedDuration::MAX)
}

/// A moment, so much later; the end of time if there is none.
fn later(moment: Timestamp, by: TimeSpan) -> Timestamp {
    moment.checked_add(span(by)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
