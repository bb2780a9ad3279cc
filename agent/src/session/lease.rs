//! How long the faults of this host may stay, as a state machine without a clock in it.
//!
//! The law: a fault is in place no later than min(its end, the last moment at which the controller was certainly alive
//! plus [`LEASE`]). A lost connection alone undoes nothing, since a controller may restart within the lease. What is due
//! is due until its undo was verified.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::identity::FaultId;
use crate::lease::{BootTime, LEASE};

/// How long after an undo that did not succeed it is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// The faults of this host, and how long each may stay.
#[derive(Debug, Clone, Default)]
pub struct Leases {
    alive: Option<BootTime>,
    faults: BTreeMap<FaultId, Held>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Held {
    /// When it must be gone; not known while it is being put in place.
    end: Option<BootTime>,
    /// Before this its undo is not tried once more.
    not_before: Option<BootTime>,
}

/// Why a fault is undone without anybody's asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// Its time was over.
    Ended,
    /// Nothing was heard of the controller for the length of the lease.
    LeaseLost,
}

impl Because {
    /// As it is reported.
    pub fn told(self) -> &'static str {
        match self {
            Self::Ended => "its time was over",
            Self::LeaseLost => "nothing was heard of the controller for the length of the lease",
        }
    }
}

impl Leases {
    /// The controller was alive at that moment, as it is now known. A moment in the future counts as now: no peer can
    /// lengthen a lease beyond its length.
    pub fn alive(&mut self, at: BootTime, now: BootTime) {
        self.alive = self.alive.max(Some(at.min(now)));
    }

    /// Whether the lease stands: the controller was heard of recently enough for a fault to be put in place.
    pub fn stands(&self, now: BootTime) -> bool {
        self.lost_at().is_some_and(|lost| now < lost)
    }

    /// A fault is about to be put in place. From now on it is undone if the lease runs out.
    pub fn begin(&mut self, fault: FaultId) {
        self.faults.entry(fault).or_default();
    }

    /// A fault is in place, and ends then. The first end counts: asking twice for a fault does not lengthen it.
    pub fn in_place(&mut self, fault: &FaultId, end: BootTime) {
        if let Some(held) = self.faults.get_mut(fault) {
            held.end = Some(held.end.map_or(end, |first| first.min(end)));
        }
    }

    /// A fault is gone for certain, or never was.
    pub fn gone(&mut self, fault: &FaultId) {
        self.faults.remove(fault);
    }

    /// An undo did not succeed; it is due again a little later.
    pub fn not_undone(&mut self, fault: &FaultId, now: BootTime) {
        if let Some(held) = self.faults.get_mut(fault) {
            held.not_before = Some(now.after(AGAIN));
        }
    }

    /// The faults that must be undone now.
    pub fn due(&self, now: BootTime) -> Vec<(FaultId, Because)> {
        let lost = !self.stands(now);
        let due = self.faults.iter().filter(|(_, held)| held.not_before.is_none_or(|moment| moment <= now));
        due.filter_map(|(fault, held)| {
            let ended = held.end.is_some_and(|end| end <= now);
            let because = if ended { Because::Ended } else { Because::LeaseLost };
            (ended || lost).then(|| (fault.clone(), because))
        })
        .collect()
    }

    /// All that is, or may be, in place, but for what was tried a moment ago.
    pub fn to_undo(&self, now: BootTime) -> Vec<FaultId> {
        let all = self.faults.iter().filter(|(_, held)| held.not_before.is_none_or(|moment| moment <= now));
        all.map(|(fault, _)| fault.clone()).collect()
    }

    /// When next something is due, unless a word of the controller comes before.
    pub fn next(&self) -> Option<BootTime> {
        let lost = self.lost_at().unwrap_or(BootTime::MIN);
        let moment = |held: &Held| {
            let bound = held.end.map_or(lost, |end| end.min(lost));
            held.not_before.map_or(bound, |not_before| bound.max(not_before))
        };
        self.faults.values().map(moment).min()
    }

    /// The faults that are, or may be, in place.
    pub fn faults(&self) -> impl Iterator<Item = &FaultId> {
        self.faults.keys()
    }

    /// Whether nothing is in place.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    fn lost_at(&self) -> Option<BootTime> {
        self.alive.map(|alive| alive.after(LEASE))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(milliseconds: u64) -> BootTime {
        BootTime::MIN.after(Duration::from_millis(milliseconds))
    }

    fn id(number: u64) -> FaultId {
        FaultId::from_number(number)
    }

    #[test]
    fn without_a_word_of_the_controller_everything_is_due() {
        let mut leases = Leases::default();
        leases.begin(id(1));
        assert!(!leases.stands(at(0)));
        assert_eq!(leases.due(at(0)), [(id(1), Because::LeaseLost)]);
    }

    #[test]
    fn a_word_keeps_it_and_its_end_ends_it() {
        let mut leases = Leases::default();
        leases.alive(at(1_000), at(1_000));
        leases.begin(id(1));
        leases.in_place(&id(1), at(100_000));
        assert_eq!(leases.next(), Some(at(16_000)));
        assert!(leases.due(at(15_999)).is_empty());
        leases.alive(at(14_000), at(15_999));
        assert!(leases.due(at(28_999)).is_empty());
        assert_eq!(leases.due(at(29_000)), [(id(1), Because::LeaseLost)]);
        leases.alive(at(99_000), at(99_000));
        assert_eq!(leases.next(), Some(at(100_000)));
        assert_eq!(leases.due(at(100_000)), [(id(1), Because::Ended)]);
        leases.not_undone(&id(1), at(100_000));
        assert_eq!((leases.due(at(104_999)).len(), leases.next()), (0, Some(at(105_000))));
        assert_eq!(leases.due(at(105_000)).len(), 1);
        leases.gone(&id(1));
        assert_eq!((leases.due(at(200_000)).len(), leases.next()), (0, None));
    }

    #[test]
    fn an_old_word_and_one_from_the_future_lengthen_nothing() {
        let mut leases = Leases::default();
        leases.alive(at(90_000), at(10_000));
        leases.alive(at(5_000), at(10_000));
        assert!(leases.stands(at(24_999)) && !leases.stands(at(25_000)));
    }

    #[derive(Debug, Clone)]
    enum Happens {
        /// A word of the controller that took so long to come.
        Word {
            late: u64,
        },
        Begin {
            fault: u64,
        },
        InPlace {
            fault: u64,
            lasts: u64,
        },
        Undone {
            fault: u64,
        },
        Pass {
            milliseconds: u64,
        },
    }

    fn happens() -> impl Strategy<Value = Happens> {
        prop_oneof![
            (0..40_000u64).prop_map(|late| Happens::Word { late }),
            (0..4u64).prop_map(|fault| Happens::Begin { fault }),
            (0..4u64, 0..60_000u64).prop_map(|(fault, lasts)| Happens::InPlace { fault, lasts }),
            (0..4u64).prop_map(|fault| Happens::Undone { fault }),
            (0..30_000u64).prop_map(|milliseconds| Happens::Pass { milliseconds }),
        ]
    }

    proptest! {
        /// Whoever wakes at `next` and undoes what is `due` never has a fault beyond min(its end, last word + LEASE), and
        /// never undoes one before that.
        #[test]
        fn no_fault_outlives_its_end_or_its_lease(steps in prop::collection::vec(happens(), 1..80)) {
            let mut leases = Leases::default();
            let mut model: BTreeMap<u64, Option<u64>> = BTreeMap::new();
            let mut last_word: Option<u64> = None;
            let mut now = 100_000;
            for step in steps {
                let mut until = now;
                match step {
                    Happens::Word { late } => {
                        leases.alive(at(now - late), at(now));
                        last_word = last_word.max(Some(now - late));
                    }
                    Happens::Begin { fault } => {
                        if leases.stands(at(now)) {
                            leases.begin(id(fault));
                            model.entry(fault).or_default();
                        }
                    }
                    Happens::InPlace { fault, lasts } => {
                        leases.in_place(&id(fault), at(now + lasts));
                        model.entry(fault).and_modify(|end| *end = Some(end.unwrap_or(u64::MAX).min(now + lasts)));
                        if !leases.faults().any(|held| *held == id(fault)) { model.remove(&fault); }
                    }
                    Happens::Undone { fault } => { leases.gone(&id(fault)); model.remove(&fault); }
                    Happens::Pass { milliseconds } => until = now + milliseconds,
                }
                while let Some(next) = leases.next().filter(|next| *next <= at(until)) {
                    now = now.max(u64::try_from(next.since(at(0)).as_millis()).unwrap());
                    let due = leases.due(at(now));
                    prop_assert!(!due.is_empty(), "woken for nothing at {now}");
                    for (fault, _) in due {
                        let end = model.remove(&fault.number()).unwrap();
                        let bound = end.unwrap_or(u64::MAX).min(last_word.map_or(0, |word| word + 15_000));
                        prop_assert!(now >= bound, "undone at {now}, could stay until {bound}");
                        leases.gone(&fault);
                    }
                }
                now = until;
                for end in model.values() {
                    let bound = end.unwrap_or(u64::MAX).min(last_word.map_or(0, |word| word + 15_000));
                    prop_assert!(now < bound, "in place at {now}, beyond {bound}");
                }
            }
        }
    }
}
