use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::FileSystemFacts;
use crate::fault::{PlanContext, PlanError};
use crate::plan::Dose;
use crate::plan::step::{InodeFill, InodeGoal};
use crate::units::Percent;

/// What is left on the file system that holds the journal, whatever was asked.
const JOURNAL_INODES: u64 = 1024;

/// How many inodes to take: exactly one of these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inodes {
    /// Until so much is used, as `df -i` counts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_percent: Option<Percent>,
    /// So many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// All but so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave_free: Option<u64>,
}

impl Inodes {
    /// The one that was given.
    pub(super) fn goal(self) -> Result<InodeGoal, PlanError> {
        match (self.to_percent, self.count, self.leave_free) {
            (Some(percent), None, None) => Ok(InodeGoal::ToPercent(percent)),
            (None, Some(count), None) if count > 0 => Ok(InodeGoal::Count(count)),
            (None, None, Some(count)) => Ok(InodeGoal::LeaveFree(count)),
            _ => Err(PlanError::parameter(
                "`inodes` needs exactly one of `toPercent`, `count` (above 0) and `leaveFree`",
                "choose one of them, as in `inodes: { toPercent: 99% }`",
            )),
        }
    }
}

/// The step for the goal, if the file system has that many inodes and the journal keeps its own.
pub(super) fn step(
    context: &PlanContext<'_>,
    goal: InodeGoal,
    disk: &FileSystemFacts,
    holds_journal: bool,
) -> Result<InodeFill, PlanError> {
    let shown = disk.mount_point.display();
    if disk.inodes == 0 {
        return Err(PlanError::unsupported(
            format!("{shown} ({}) makes inodes as they are needed and has no end of them", disk.kind),
            "leave `inodes` out; fill its space instead",
        ));
    }
    let used = disk.inodes.saturating_sub(disk.free_inodes);
    let count = match goal {
        InodeGoal::Count(count) => count,
        InodeGoal::LeaveFree(count) => disk.free_inodes.saturating_sub(count),
        InodeGoal::ToPercent(percent) => {
            #[expect(clippy::cast_precision_loss, reason = "only compared; the room counts inodes")]
            let wanted = (percent.fraction() * disk.inodes as f64).round();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and all inodes")]
            (wanted as u64).saturating_sub(used)
        }
    };
    if count == 0 {
        return Err(PlanError::no_target(
            format!("{shown} is beyond the goal already: {used} of {} inodes used", disk.inodes),
            "ask for more",
        ));
    }
    if count > disk.free_inodes {
        return Err(PlanError::unsupported(
            format!("{count} inodes are not there: {shown} has {} free", disk.free_inodes),
            "ask for less, or use `inodes: { toPercent: 100% }`",
        ));
    }
    if holds_journal && disk.free_inodes - count < JOURNAL_INODES {
        return Err(PlanError::refused(
            format!(
                "it would leave {} inodes where Faultline keeps its journal ({}), and {JOURNAL_INODES} are needed",
                disk.free_inodes - count,
                context.facts.journal_folder().display()
            ),
            "keep the journal elsewhere with --state DIR, or take fewer",
        ));
    }
    Ok(InodeFill {
        folder: disk.folder.clone(),
        device: disk.device,
        file_system: Some(disk.identifier).filter(|identifier| *identifier != 0),
        scratch_name: context.id.scratch_name(),
        goal,
    })
}

#[expect(clippy::cast_precision_loss, reason = "doses beyond 2^53 are rounded a little")]
pub(super) fn dose(goal: InodeGoal) -> Dose {
    let (name, asked, unit) = match goal {
        InodeGoal::ToPercent(percent) => ("inodes used", percent.number(), "%"),
        InodeGoal::Count(count) => ("inodes taken", count as f64, "inodes"),
        InodeGoal::LeaveFree(count) => ("inodes left", count as f64, "inodes"),
    };
    Dose { name: name.into(), asked, unit: unit.into() }
}
