//! How long the faults of this host may stay, as a state machine without a clock in it.
//!
//! The law: a fault is in place no later than min(its end, the last moment at which the controller that had it put in
//! place was certainly alive, plus [`LEASE`]). No other controller's life keeps it there, and none's death removes it. A
//! lost connection alone undoes nothing, since a controller may restart within the lease. What is due is due until its
//! undo was verified.
//!
//! A controller is known here by the id that it keeps over restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::identity::FaultId;
use crate::lease::{BootTime, LEASE};

/// How long after an undo that did not succeed it is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// The faults of this host, and how long each may stay.
#[derive(Debug, Clone, Default)]
pub struct Leases {
    alive: BTreeMap<String, BootTime>,
    faults: BTreeMap<FaultId, Held>,
}

#[derive(Debug, Clone)]
struct Held {
    /// The controller that had it put in place.
    by: String,
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
    /// A controller was alive at that moment, as it is now known. A moment in the future counts as now: no peer can
    /// lengthen a lease beyond its length.
    pub fn alive(&mut self, controller: &str, at: BootTime, now: BootTime) {
        let at = at.min(now);
        match self.alive.get_mut(controller) {
            Some(known) => *known = at.max(*known),
            None => {
                // One that was lost and has nothing here is not remembered.
                let faults = &self.faults;
                self.alive
                    .retain(|known, alive| now < alive.after(LEASE) || faults.values().any(|held| held.by == *known));
                self.alive.insert(controller.to_owned(), at);
            }
        }
    }

    /// Whether the lease of a controller stands: it was heard of recently enough for a fault to be put in place.
    pub fn stands(&self, controller: &str, now: BootTime) -> bool {
        self.lost_at(controller).is_some_and(|lost| now < lost)
    }

    /// A fault is about to be put in place for a controller. From now on it is undone if that one's lease runs out. The
    /// first to ask for a fault has it: asking for one that another has lengthens nothing.
    pub fn begin(&mut self, fault: FaultId, controller: &str) {
        let by = || Held { by: controller.to_owned(), end: None, not_before: None };
        self.faults.entry(fault).or_insert_with(by);
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
        let due = self.faults.iter().filter(|(_, held)| held.not_before.is_none_or(|moment| moment <= now));
        due.filter_map(|(fault, held)| {
            let lost = !self.stands(&held.by, now);
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

    /// When next something is due, unless a word of a controller comes before.
    pub fn next(&self) -> Option<BootTime> {
        let moment = |held: &Held| {
            let lost = self.lost_at(&held.by).unwrap_or(BootTime::MIN);
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

    fn lost_at(&self, controller: &str) -> Option<BootTime> {
        self.alive.get(controller).map(|alive| alive.after(LEASE))
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
        leases.begin(id(1), "a");
        assert!(!leases.stands("a", at(0)));
        assert_eq!(leases.due(at(0)), [(id(1), Because::LeaseLost)]);
    }

    #[test]
    fn a_word_keeps_it_and_its_end_ends_it() {
        let mut leases = Leases::default();
        leases.alive("a", at(1_000), at(1_000));
        leases.begin(id(1), "a");
        leases.in_place(&id(1), at(100_000));
        assert_eq!(leases.next(), Some(at(16_000)));
        assert!(leases.due(at(15_999)).is_empty());
        leases.alive("a", at(14_000), at(15_999));
        assert!(leases.due(at(28_999)).is_empty());
        assert_eq!(leases.due(at(29_000)), [(id(1), Because::LeaseLost)]);
        leases.alive("a", at(99_000), at(99_000));
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
        leases.alive("a", at(90_000), at(10_000));
        leases.alive("a", at(5_000), at(10_000));
        assert!(leases.stands("a", at(24_999)) && !leases.stands("a", at(25_000)));
    }

    #[test]
    fn a_fault_lives_by_the_word_of_the_controller_that_has_it_and_of_no_other() {
        let mut leases = Leases::default();
        for controller in ["a", "b"] {
            leases.alive(controller, at(0), at(0));
        }
        leases.begin(id(1), "a");
        leases.begin(id(2), "b");
        leases.begin(id(1), "b");
        leases.alive("b", at(14_000), at(14_000));
        assert_eq!(leases.due(at(15_000)), [(id(1), Because::LeaseLost)], "a is lost, and b goes on");
        assert!(!leases.stands("a", at(15_000)) && leases.stands("b", at(15_000)));
        leases.gone(&id(1));
        assert_eq!(leases.next(), Some(at(29_000)));
        leases.alive("c", at(20_000), at(20_000));
        assert_eq!(leases.alive.keys().collect::<Vec<_>>(), ["b", "c"], "who is lost and has nothing is forgotten");
        assert!(!leases.stands("d", at(20_000)), "nobody ever heard of it");
    }

    const CONTROLLERS: [&str; 2] = ["a", "b"];

    #[derive(Debug, Clone)]
    enum Happens {
        /// A word of a controller that took so long to come.
        Word {
            by: usize,
            late: u64,
        },
        Begin {
            by: usize,
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
            (0..2usize, 0..40_000u64).prop_map(|(by, late)| Happens::Word { by, late }),
            (0..2usize, 0..4u64).prop_map(|(by, fault)| Happens::Begin { by, fault }),
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
            // Of each fault whose it is, and its end.
            let mut model: BTreeMap<u64, (usize, Option<u64>)> = BTreeMap::new();
            let mut last_word: [Option<u64>; 2] = [None; 2];
            let mut now = 100_000;
            for step in steps {
                let mut until = now;
                match step {
                    Happens::Word { by, late } => {
                        leases.alive(CONTROLLERS[by], at(now - late), at(now));
                        last_word[by] = last_word[by].max(Some(now - late));
                    }
                    Happens::Begin { by, fault } => {
                        if leases.stands(CONTROLLERS[by], at(now)) {
                            leases.begin(id(fault), CONTROLLERS[by]);
                            model.entry(fault).or_insert((by, None));
                        }
                    }
                    Happens::InPlace { fault, lasts } => {
                        leases.in_place(&id(fault), at(now + lasts));
                        model.entry(fault).and_modify(|(_, end)| *end = Some(end.unwrap_or(u64::MAX).min(now + lasts)));
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
                        let (by, end) = model.remove(&fault.number()).unwrap();
                        let bound = end.unwrap_or(u64::MAX).min(last_word[by].map_or(0, |word| word + 15_000));
                        prop_assert!(now >= bound, "undone at {now}, could stay until {bound}");
                        leases.gone(&fault);
                    }
                }
                now = until;
                for (by, end) in model.values() {
                    let bound = end.unwrap_or(u64::MAX).min(last_word[*by].map_or(0, |word| word + 15_000));
                    prop_assert!(now < bound, "in place at {now}, beyond {bound}");
                }
            }
        }
    }
}
