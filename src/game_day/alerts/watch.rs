use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Alert, Reading};

/// What was seen of the alerts during one experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    begun: Timestamp,
    /// The longest pause between two readings that is no gap.
    patience: SignedDuration,
    known: Vec<Alert>,
    episodes: Vec<Episode>,
    gaps: Vec<Gap>,
    /// The last reading of any kind, and the last one that was an answer.
    last: Option<Timestamp>,
    last_known: Option<Timestamp>,
}

/// An alert, from when it fired until it was gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// The alert; whether it was suppressed, as first seen.
    pub alert: Alert,
    /// When it was first seen here.
    pub seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// The first answer without it.
    pub gone: Option<Timestamp>,
}

impl Episode {
    /// When it fired: as its source says, but not later than it was seen here.
    pub fn fired_at(&self) -> Timestamp {
        self.alert.starts_at.min(self.seen)
    }
}

/// A time of which nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// The last answer before it, or the begin of the watch.
    pub from: Timestamp,
    /// The first answer after it; nothing if none came.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

impl Watch {
    /// A watch that begins now. Two readings that are further apart than `patience` have a gap between them.
    pub fn new(begun: Timestamp, patience: SignedDuration) -> Self {
        Self {
            begun,
            patience,
            known: Vec::new(),
            episodes: Vec::new(),
            gaps: Vec::new(),
            last: None,
            last_known: None,
        }
    }

    /// Takes note of a reading.
    pub fn follow(&mut self, at: Timestamp, reading: &Reading) {
        let silent = at.duration_since(self.last.unwrap_or(self.begun)) > self.patience;
        if silent {
            self.gap("Alertmanager was not asked");
        }
        self.last = Some(at);
        match reading {
            Reading::Unknown(reason) => self.gap(reason),
            Reading::Firing(alerts) => {
                self.known.clone_from(alerts);
                self.answered(at);
            }
            Reading::Unchanged if self.last_known.is_some() => self.answered(at),
            Reading::Unchanged => self.gap("what fired before is not known"),
        }
    }

    fn gap(&mut self, reason: &str) {
        if self.gaps.last().is_none_or(|last| last.until.is_some()) {
            let from = self.last_known.unwrap_or(self.begun);
            self.gaps.push(Gap { from, until: None, reason: reason.to_owned() });
        }
    }

    fn answered(&mut self, at: Timestamp) {
        if let Some(gap) = self.gaps.last_mut() {
            gap.until.get_or_insert(at);
        }
        for episode in self.episodes.iter_mut().filter(|episode| episode.gone.is_none()) {
            if self.known.iter().any(|alert| same(alert, &episode.alert)) {
                episode.last_seen = at;
            } else {
                episode.gone = Some(at);
            }
        }
        for alert in &self.known {
            let is_open = |episode: &&Episode| episode.gone.is_none() && same(alert, &episode.alert);
            if self.episodes.iter().find(is_open).is_none() {
                self.episodes.push(Episode { alert: alert.clone(), seen: at, last_seen: at, gone: None });
            }
        }
        self.last_known = Some(at);
    }

    /// Every alert that was seen, in the order in which they were.
    pub fn episodes(&self) -> &[Episode] {
        &self.episodes
    }

    /// The times of which nothing is known.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Since when alerts were watched.
    pub fn begun(&self) -> Timestamp {
        self.begun
    }

    /// Whether an answer came at this moment or later.
    pub(super) fn reaches(&self, moment: Timestamp) -> bool {
        self.last_known.is_some_and(|last| last >= moment)
    }

    /// Whether readings, of any kind, were taken at this moment or later.
    pub(super) fn was_asked_at(&self, moment: Timestamp) -> bool {
        self.last.is_some_and(|last| last >= moment)
    }

    /// The first gap that has a part of this time in it.
    pub(super) fn gap_in(&self, from: Timestamp, until: Timestamp) -> Option<&Gap> {
        self.gaps.iter().find(|gap| gap.from < until && gap.until.is_none_or(|end| end > from))
    }
}

/// An alert that began anew is another one.
fn same(one: &Alert, other: &Alert) -> bool {
    one.labels == other.labels && one.starts_at == other.starts_at
}
