//! When each held packet is let go: by due time, and within one connection in the order in which its packets came.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::{Duration, Instant};

/// The packets held, by the time at which they are due.
#[derive(Debug)]
pub(super) enum Schedule {
    /// All packets are held equally long: they are due in the order in which they came.
    Even(VecDeque<Held>),
    /// Each may be held for another time; those of one connection never overtake each other.
    Varied {
        /// By due time, and by number among equals.
        heap: BinaryHeap<Reverse<Held>>,
        /// When the last packet of each connection is due.
        last: HashMap<u64, Instant>,
    },
}

/// A packet that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held {
    /// When it goes on.
    pub(super) due: Instant,
    /// Its number in the queue.
    pub(super) id: u32,
    /// When it came.
    pub(super) since: Instant,
}

/// Connections are forgotten in bulk once so many are known.
const MOST_CONNECTIONS: usize = 65_536;

impl Schedule {
    /// An empty one.
    pub(super) fn new(varies: bool) -> Self {
        if varies {
            Self::Varied { heap: BinaryHeap::new(), last: HashMap::new() }
        } else {
            Self::Even(VecDeque::new())
        }
    }

    /// Takes a packet in.
    pub(super) fn hold(&mut self, id: u32, now: Instant, time: Duration, connection: u64) {
        match self {
            Self::Even(queue) => queue.push_back(Held { due: now + time, id, since: now }),
            Self::Varied { heap, last } => {
                if last.len() >= MOST_CONNECTIONS {
                    last.retain(|_, due| *due > now);
                }
                let latest = last.entry(connection).or_insert(now);
                *latest = (now + time).max(*latest);
                heap.push(Reverse(Held { due: *latest, id, since: now }));
            }
        }
    }

    /// When the next packet is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        match self {
            Self::Even(queue) => queue.front().map(|held| held.due),
            Self::Varied { heap, .. } => heap.peek().map(|held| held.0.due),
        }
    }

    /// Takes the next packet out if it is due by a time.
    pub(super) fn release(&mut self, by: Instant) -> Option<Held> {
        if self.next_due()? > by {
            return None;
        }
        match self {
            Self::Even(queue) => queue.pop_front(),
            Self::Varied { heap, .. } => heap.pop().map(|held| held.0),
        }
    }

    /// Takes the next packet out, due or not: in the order of their due times.
    pub(super) fn release_early(&mut self) -> Option<Held> {
        match self {
            Self::Even(queue) => queue.pop_front(),
            Self::Varied { heap, .. } => heap.pop().map(|held| held.0),
        }
    }

    /// Whether packets are let go in the order of their numbers.
    pub(super) fn is_even(&self) -> bool {
        matches!(self, Self::Even(_))
    }
}

/// A number that tells connections apart: from addresses, protocol and ports of the headers (FNV-1a).
pub(super) fn connection_of(headers: &[u8]) -> u64 {
    let parts: [&[u8]; 3] = match headers.first().map(|byte| byte >> 4) {
        Some(4) => {
            let start = usize::from(headers[0] & 15) * 4;
            [slice(headers, 9, 1), slice(headers, 12, 8), slice(headers, start, 4)]
        }
        Some(6) => [slice(headers, 6, 1), slice(headers, 8, 32), slice(headers, 40, 4)],
        _ => [headers, &[], &[]],
    };
    let bytes = parts.into_iter().flatten();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn slice(bytes: &[u8], start: usize, length: usize) -> &[u8] {
    bytes.get(start..start + length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packets_of_one_connection_keep_their_order_and_none_is_early(
            packets in prop::collection::vec((0u64..4, 0u64..50, 0u64..5), 1..200)
        ) {
            let start = Instant::now();
            let mut schedule = Schedule::new(true);
            let mut now = start;
            let mut asked = Vec::new();
            for (id, (connection, hold, pause)) in (0u32..).zip(&packets) {
                now += Duration::from_millis(*pause);
                schedule.hold(id, now, Duration::from_millis(*hold), *connection);
                asked.push((*connection, now + Duration::from_millis(*hold)));
            }
            let mut last = HashMap::new();
            let mut count = 0;
            while let Some(held) = schedule.release(start + Duration::from_secs(3600)) {
                let (connection, due) = asked[held.id as usize];
                prop_assert!(held.due >= due);
                prop_assert!(last.insert(connection, held.id).is_none_or(|before| before < held.id));
                count += 1;
            }
            prop_assert_eq!(count, packets.len());
        }
    }

    #[test]
    fn connections_are_told_apart_by_addresses_and_ports() {
        let mut packet = vec![0x45; 40];
        packet[9] = 6;
        let one = connection_of(&packet);
        packet[8] = 1;
        assert_eq!(connection_of(&packet), one, "the time to live is none of it");
        packet[23] = 7;
        assert_ne!(connection_of(&packet), one);
        connection_of(&[]);
        connection_of(&[0x4f]);
    }
}
