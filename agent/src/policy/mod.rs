//! The host's own policy: what may be injected here, whoever asks. Root writes it, it is read at the start of the
//! engine, and it is never sent anywhere.
//!
//! ```yaml
//! faults: { allow: [network-latency, process-pause], forbid: [disk-fill] }
//! maximumDuration: 10m
//! maximumConcurrent: 2
//! limits: { network-latency: { delay: 2s } }
//! forbidden: { processes: [sshd], mountPoints: [/], interfaces: [eth0] }
//! hours: { days: [monday, tuesday], from: "09:00", until: "17:00" }
//! ```

mod hours;
mod limit;
mod load;
mod touched;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

pub use hours::{Day, Hours};
pub use limit::Limit;
pub use load::PolicyError;

use crate::plan::{Plan, Step};
use crate::units::TimeSpan;

/// What may be injected on this host. The default, without a file, permits everything.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Policy {
    /// Where it was read, if there is a file.
    #[serde(skip)]
    pub path: Option<PathBuf>,
    /// Which faults.
    pub faults: Faults,
    /// The longest that a fault may last.
    pub maximum_duration: Option<TimeSpan>,
    /// How many faults one run may have in place at once.
    pub maximum_concurrent: Option<usize>,
    /// The greatest dose, by fault and by the name of the dose in its plan. A plan that does not say such a dose is
    /// refused: a limit must not be evaded by asking in another unit.
    pub limits: BTreeMap<String, BTreeMap<String, Limit>>,
    /// What no fault may touch.
    pub forbidden: Forbidden,
    /// When faults may be injected.
    pub hours: Option<Hours>,
}

/// Which faults may be injected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Faults {
    /// These alone; all when absent.
    pub allow: Option<Vec<String>>,
    /// None of these.
    pub forbid: Vec<String>,
}

/// What no fault may touch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Forbidden {
    /// Short names of processes (`/proc/PID/comm`).
    pub processes: Vec<String>,
    /// Mount points of file systems.
    pub mount_points: Vec<PathBuf>,
    /// Network interfaces, by name in whichever namespace. A fault that acts on every interface of the host touches
    /// them too.
    pub interfaces: Vec<String>,
}

/// The policy of this host forbids what was asked. Nothing was touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy of this host forbids it: {reason}")]
pub struct Refusal {
    /// Which rule, and what broke it.
    pub reason: String,
    /// Where the policy is and whose it is.
    pub hint: String,
}

impl Policy {
    /// Whether a plan may be carried out now for that long, beside so many faults of the same run.
    ///
    /// # Errors
    /// With the first rule that it breaks.
    pub fn permits(&self, plan: &Plan, lasts: TimeSpan, beside: usize) -> Result<(), Refusal> {
        let name = plan.fault.as_str();
        let is_named = |names: &[String]| names.iter().any(|listed| listed == name);
        if is_named(&self.faults.forbid) {
            return Err(self.refuse(format!("{name} is on its list of forbidden faults")));
        }
        if self.faults.allow.as_deref().is_some_and(|allowed| !is_named(allowed)) {
            return Err(self.refuse(format!("{name} is not on its list of allowed faults")));
        }
        if let Some(maximum) = self.maximum_duration
            && lasts > maximum
        {
            return Err(self.refuse(format!("{lasts} is longer than its maximumDuration of {maximum}")));
        }
        if let Some(maximum) = self.maximum_concurrent
            && beside >= maximum
        {
            return Err(self.refuse(format!("{beside} faults are in place, and its maximumConcurrent is {maximum}")));
        }
        if let Some(hours) = &self.hours {
            hours.permit(jiff::Zoned::now().datetime()).map_err(|reason| self.refuse(reason))?;
        }
        for (dose, limit) in self.limits.get(name).into_iter().flatten() {
            limit.permit(plan, dose).map_err(|reason| self.refuse(reason))?;
        }
        plan.steps.iter().try_for_each(|step| self.permits_step(step))
    }

    /// Whether a step touches nothing forbidden; asked again whenever a step chooses new victims.
    ///
    /// # Errors
    /// With what it would touch.
    pub fn permits_step(&self, step: &Step) -> Result<(), Refusal> {
        self.forbidden.permit(step).map_err(|reason| self.refuse(reason))
    }

    fn refuse(&self, reason: String) -> Refusal {
        let file = self.path.as_ref().map_or_else(|| "the policy".into(), |path| path.display().to_string());
        Refusal { reason, hint: format!("{file} is this host's own and cannot be overridden; ask whoever keeps it") }
    }
}

#[cfg(test)]
mod tests;
