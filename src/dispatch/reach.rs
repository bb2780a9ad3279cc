//! Which of several controllers is the one to drive a run.
//!
//! An agent holds a session with each controller, so any of them can drive any run, as a rule. Where a host cannot reach
//! one of them, a run on it is for another. The rule, by which each controller decides for itself:
//!
//! 1. a controller to which all hosts of the run are connected takes it at once;
//! 2. while another one that lives has them all, it is left to that one;
//! 3. when none has had them all for [`PATIENCE`], one takes it to which no fewer of them are connected than to any other:
//!    so that no run waits for ever, and hosts that are gone are told of by the run's verdict.
//!
//! Whoever is first gets it, in one transaction. Of itself a controller knows what is connected; of others what they wrote
//! into the store, which is a second old. The same rule is for runs of a controller that is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

/// For how long a run waits for a controller that reaches all of its hosts: an agent that lost its connection has another
/// within that time.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// This controller's.
    Mine,
    /// Another one's, which reaches all hosts.
    Theirs,
    /// Nobody's yet, since nobody reaches them all; or that of another one who reaches more of them.
    Nobodys,
}

/// Whose turn it is with a run on so many hosts, of which so many are connected here, so many to whichever other
/// controller has the most of them, and since when no controller is known to have them all.
pub(super) fn turn(hosts: usize, here: usize, elsewhere: usize, waited: Duration) -> Turn {
    if here >= hosts {
        Turn::Mine
    } else if elsewhere >= hosts {
        Turn::Theirs
    } else if waited >= PATIENCE && here >= elsewhere {
        Turn::Mine
    } else {
        Turn::Nobodys
    }
}

/// Runs of which not all hosts are connected here.
#[derive(Debug, Default)]
pub(super) struct OutOfReach {
    /// Since when nobody is known to reach all of a run's hosts.
    since: BTreeMap<String, Instant>,
    /// Those that are to be taken all the same.
    taken: BTreeSet<String>,
}

impl OutOfReach {
    /// Whose turn it is with one of these runs now.
    pub(super) fn look(&mut self, run: &str, hosts: usize, here: usize, elsewhere: usize) -> Turn {
        let since = *self.since.entry(run.to_owned()).or_insert_with(Instant::now);
        let turn = turn(hosts, here, elsewhere, since.elapsed());
        match turn {
            Turn::Mine => {
                self.taken.insert(run.to_owned());
            }
            Turn::Theirs => {
                self.since.remove(run);
            }
            Turn::Nobodys => {}
        }
        turn
    }

    /// Forgets all runs but these.
    pub(super) fn retain(&mut self, stays: impl Fn(&str) -> bool) {
        self.since.retain(|run, _| stays(run));
        self.taken.retain(|run| stays(run));
    }

    /// Those that are to be taken although not all of their hosts are connected here.
    pub(super) fn taken(&self) -> BTreeSet<String> {
        self.taken.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_all_hosts_takes_a_run_and_after_a_while_whoever_has_the_most() {
        let (fresh, late) = (Duration::from_secs(9), PATIENCE);
        assert_eq!(turn(0, 0, 0, fresh), Turn::Mine, "a run without hosts");
        assert_eq!(turn(3, 3, 3, fresh), Turn::Mine);
        assert_eq!(turn(3, 2, 3, late), Turn::Theirs, "however long it takes");
        assert_eq!(turn(3, 2, 1, fresh), Turn::Nobodys);
        assert_eq!(turn(3, 2, 1, late), Turn::Mine);
        assert_eq!(turn(3, 1, 2, late), Turn::Nobodys, "the other one takes it");
        assert_eq!(turn(3, 0, 0, late), Turn::Mine, "nobody reaches any of them");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_is_counted_anew_once_somebody_had_them_all() {
        let mut runs = OutOfReach::default();
        assert_eq!(runs.look("r-1", 2, 1, 0), Turn::Nobodys);
        tokio::time::sleep(PATIENCE).await;
        assert_eq!(runs.look("r-1", 2, 1, 2), Turn::Theirs);
        assert_eq!(runs.look("r-1", 2, 1, 1), Turn::Nobodys);
        tokio::time::sleep(PATIENCE).await;
        assert_eq!(runs.look("r-1", 2, 1, 1), Turn::Mine);
        assert_eq!(runs.taken(), BTreeSet::from(["r-1".to_owned()]));
        runs.retain(|_| false);
        assert_eq!(runs.taken(), BTreeSet::new());
    }
}
