use super::desk::Alone;

/// What was undone alone and told in this session, but is not known to have been heard.
///
/// Acknowledgements come in the order of the heartbeats, one for each. What was told with an answer is heard for certain
/// when the heartbeat after it is acknowledged, since a session keeps the order.
#[derive(Debug, Default)]
pub(super) struct Unheard {
    said: u64,
    acknowledged: u64,
    told: Vec<(u64, Alone)>,
}

impl Unheard {
    /// What the greeting tells; heard when it is welcomed.
    pub(super) fn of_greeting(alone: Vec<Alone>) -> Self {
        let mut unheard = Self::default();
        unheard.told(0, alone);
        unheard
    }

    /// A heartbeat is said: its number.
    pub(super) fn said(&mut self) -> u64 {
        self.said += 1;
        self.said
    }

    /// The number of the heartbeat after this one.
    pub(super) fn next(&self) -> u64 {
        self.said + 1
    }

    /// This was told, and is heard for certain once the heartbeat of that number is acknowledged.
    pub(super) fn told(&mut self, number: u64, alone: Vec<Alone>) {
        self.told.extend(alone.into_iter().map(|alone| (number, alone)));
    }

    /// The greeting was heard.
    pub(super) fn welcomed(&mut self) {
        self.told.retain(|(number, _)| *number > 0);
    }

    /// The next heartbeat was heard.
    pub(super) fn acknowledged(&mut self) {
        self.acknowledged += 1;
        self.told.retain(|(number, _)| *number > self.acknowledged);
    }

    /// All that may not have been heard; nothing is left.
    pub(super) fn take(&mut self) -> Vec<Alone> {
        std::mem::take(&mut self.told).into_iter().map(|(_, alone)| alone).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::identity::FaultId;
    use crate::node::Undone;

    fn alone(number: u64) -> Alone {
        let undone = Undone { steps: Vec::new(), verified: true, took: Duration::ZERO };
        Alone { fault: FaultId::from_number(number), because: "its time was over".into(), undone }
    }

    #[test]
    fn an_acknowledgement_covers_what_was_told_up_to_its_heartbeat_and_nothing_later() {
        let mut unheard = Unheard::of_greeting(vec![alone(1)]);
        let first = unheard.said();
        unheard.told(first, vec![alone(2)]);
        // With an answer, after the first heartbeat.
        unheard.told(unheard.next(), vec![alone(3)]);
        let second = unheard.said();
        unheard.told(second, vec![alone(4)]);
        unheard.welcomed();
        unheard.acknowledged();
        assert_eq!(unheard.told.iter().map(|(_, alone)| alone.clone()).collect::<Vec<_>>(), [alone(3), alone(4)]);
        unheard.acknowledged();
        assert_eq!(unheard.take(), []);
    }

    #[test]
    fn what_was_not_heard_is_taken_once() {
        let mut unheard = Unheard::of_greeting(vec![alone(1)]);
        let number = unheard.said();
        unheard.told(number, vec![alone(2)]);
        assert_eq!(unheard.take(), [alone(1), alone(2)]);
        assert_eq!(unheard.take(), []);
    }
}
