//! What an agent says of itself within a session: heartbeats, news beside an answer, and its farewell.

use std::time::Duration;

use super::Clock;
use super::converse::Session;
use super::desk::Alone;
use super::greeting::{json, told};
use super::wire::agent_message::Message as Said;
use super::wire::answer::Outcome;
use super::wire::{Answer, Goodbye, Heartbeat};
use crate::node::NodeStatus;

impl<C: Clock> Session<C> {
    fn take_alone(&self) -> Vec<Alone> {
        self.controller.as_deref().map(|controller| self.desk.take_alone(controller)).unwrap_or_default()
    }

    pub(super) fn has_news(&self) -> bool {
        self.stands
            && (self.controller.as_deref().is_some_and(|controller| self.desk.has_alone(controller))
                || self.desk.count() != self.told.active.len()
                || self.desk.must_stop() != self.told.must_stop)
    }

    pub(super) async fn beat(&mut self) {
        let number = self.alone.said();
        let beat = self.news(number, &[]).await;
        self.send(Said::Heartbeat(beat));
    }

    /// What the controller does not know yet, heard for certain once it acknowledges the heartbeat of that number. Of the
    /// faults that were undone alone, these are told beside it.
    pub(super) async fn news(&mut self, number: u64, beside: &[String]) -> Heartbeat {
        let status = self.desk.status().await;
        let changed = !same(&status, &self.told);
        let alone = self.take_alone();
        let news = Heartbeat {
            clock_ns: self.desk.clock.now().nanoseconds(),
            status: changed.then(|| json(&status)),
            undone_alone: alone.iter().filter(|alone| !beside.contains(&alone.fault.to_string())).map(told).collect(),
        };
        self.told = status;
        self.alone.told(number, alone);
        news
    }

    pub(super) async fn goodbye(&mut self, reason: &str) {
        let status = json(&self.desk.status().await);
        // What was undone for the farewell is told before it.
        self.beat().await;
        self.send(Said::Goodbye(Goodbye { reason: reason.to_owned(), status }));
        // The controller closes the stream once it has read that.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.say.closed()).await;
    }
}

/// The faults of which an answer tells that they were undone alone.
pub(super) fn in_answer(answer: &Answer) -> Vec<String> {
    match &answer.outcome {
        Some(Outcome::Halted(halted)) => halted.faults.iter().map(|undone| undone.fault.clone()).collect(),
        _ => Vec::new(),
    }
}

/// Whether two statuses say the same; the time that a fault has left goes down by itself.
fn same(one: &NodeStatus, other: &NodeStatus) -> bool {
    let timeless = |status: &NodeStatus| {
        let mut status = status.clone();
        status.active.iter_mut().for_each(|fault| fault.left_ms = 0);
        status
    };
    timeless(one) == timeless(other)
}
