//! Which message of an endpoint is next, and which is dropped first. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Message;
use crate::notify::occurrence::{Importance, Occurrence, Subject};

/// The messages that wait for one endpoint.
pub(in crate::notify) struct Queue {
    waiting: Vec<Waiting>,
}

struct Waiting {
    message: Message,
    /// Nothing, of a payload that is no occurrence: somebody else's, or a newer Faultline's.
    occurrence: Option<Occurrence>,
}

/// What a queue has.
pub(in crate::notify) enum Choice {
    /// This one may be delivered now.
    Due(Message),
    /// The first is due then.
    Later(Timestamp),
    /// Nothing waits.
    Empty,
}

impl Queue {
    pub(in crate::notify) fn of(messages: Vec<Message>) -> Self {
        let mut waiting: Vec<Waiting> = messages
            .into_iter()
            .map(|message| Waiting { occurrence: serde_json::from_str(&message.payload).ok(), message })
            .collect();
        waiting.sort_by_cached_key(|one| {
            (one.message.created_at, one.occurrence.as_ref().map(|occurrence| occurrence.at), one.message.id.clone())
        });
        Self { waiting }
    }

    /// The next one. Only the first of each subject can be it: a later one never overtakes an earlier one that is still
    /// to be delivered. Among subjects, the one that has the most important message to deliver comes first; then the one
    /// that was tried less often, so that a message which the receiver cannot take does not stand in the way of others.
    pub(in crate::notify) fn next(&self, now: Timestamp) -> Choice {
        let mut heads: BTreeMap<Option<Subject>, (&Message, Importance)> = BTreeMap::new();
        let mut unknown = Vec::new();
        for Waiting { message, occurrence } in &self.waiting {
            let Some(occurrence) = occurrence else {
                unknown.push((message, Importance::Detail));
                continue;
            };
            let head = heads.entry(Some(occurrence.subject())).or_insert((message, Importance::Detail));
            head.1 = head.1.max(occurrence.importance());
        }
        let heads: Vec<(&Message, Importance)> = heads.into_values().chain(unknown).collect();
        let due = heads.iter().filter(|(message, _)| message.next_attempt <= now);
        let first = due.min_by_key(|(message, importance)| {
            (Reverse(*importance), message.attempts, message.created_at, message.id.as_str())
        });
        match first {
            Some((message, _)) => Choice::Due((*message).clone()),
            None => match heads.iter().map(|(message, _)| message.next_attempt).min() {
                Some(at) => Choice::Later(at),
                None => Choice::Empty,
            },
        }
    }

    /// It is delivered, given up or taken by somebody else.
    pub(in crate::notify) fn remove(&mut self, id: &str) {
        self.waiting.retain(|one| one.message.id != id);
    }
}

/// The waiting messages that may be dropped for a new one of this importance, in the order in which to drop them: the
/// least important first, of those the oldest. Never a vital one, and none that is more important than the new one.
pub(in crate::notify) fn least_important(waiting: Vec<Message>, new: Importance) -> Vec<Message> {
    let mut can_go: Vec<(Importance, Message)> = waiting
        .into_iter()
        .map(|message| {
            let known: Option<Occurrence> = serde_json::from_str(&message.payload).ok();
            (known.map_or(Importance::Detail, |occurrence| occurrence.importance()), message)
        })
        .filter(|(importance, _)| *importance < Importance::Vital && *importance <= new)
        .collect();
    can_go.sort_by_key(|(importance, message)| (*importance, message.created_at));
    can_go.into_iter().map(|(_, message)| message).collect()
}
