//! The points of a fault's life at which somebody dies, or the power is cut.

use super::rows::Row;

/// A point in the life of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// One that is named in the code.
    CrashPoint(String),
    /// Any time while it is in place.
    Active,
}

impl Moment {
    /// Whether it lies in the undo.
    pub fn is_in_undo(&self) -> bool {
        matches!(self, Self::CrashPoint(name) if name.contains("undo") || name == "before-forget")
    }

    /// Whether it lies before the record is in its place.
    pub fn is_before_record(&self) -> bool {
        matches!(self, Self::CrashPoint(name) if name == "torn-record" || name == "before-rename")
    }
}

/// Who dies at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Killed {
    /// The worker; its guard undoes.
    Worker,
    /// The guard; its worker undoes.
    Guard,
    /// Both; a recovery undoes.
    Both,
    /// The worker while the fault is active, then the guard at that moment of its undo; a recovery undoes.
    WorkerThenGuard,
}

impl Row {
    /// Each point of the life of this fault.
    pub fn moments(&self) -> Vec<Moment> {
        let point = |name: String| Moment::CrashPoint(name);
        let mut moments =
            vec![point("torn-record".into()), point("before-rename".into()), point("after-record".into())];
        moments.extend((0..self.steps).map(|step| point(format!("after-step-{step}"))));
        moments.push(point("active".into()));
        moments.push(Moment::Active);
        for step in (0..self.steps).rev() {
            moments.push(point(format!("before-undo-{step}")));
            moments.push(point(format!("after-undo-{step}")));
        }
        moments.push(point("before-forget".into()));
        moments
    }
}
