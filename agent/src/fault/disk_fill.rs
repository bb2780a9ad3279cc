mod inodes;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, PlanContext, PlanError};
use crate::facts::{FileSystemFacts, Need};
use crate::plan::step::{SpaceFill, SpaceGoal};
use crate::plan::{Dose, Plan, Step, UndoClass};
use crate::units::{ByteRate, Bytes, Percent};

pub use inodes::Inodes;

/// What is left on the file system that holds the journal, whatever was asked: without it no undo could be written down.
const JOURNAL_SPACE: u64 = 64 << 20;

/// What is left of memory when a file system in memory is filled.
const MEMORY_KEPT: u64 = 256 << 20;

/// Kinds on which a file without a name vanishes with its holder: local, and given back after a crash of the host too.
const NAMELESS: &[&str] = &["ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "f2fs"];

/// Kinds on which the file may need a name for a moment, because not every kernel can make one without.
const NAMED: &[&str] = &[
    "overlay", "bcachefs", "zfs", "vfat", "exfat", "ntfs3", "jfs", "reiserfs", "nilfs2", "udf", "minix", "hfsplus",
    "ubifs",
];

/// Fills a file system: its space, its inodes, or both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiskFill {
    /// Any path on the file system, absolute. It must be a folder in which files can be made, or a file in one.
    pub path: PathBuf,
    /// Until so much is used, as `df` counts it: used / (used + available), root's reserved blocks being neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_percent: Option<Percent>,
    /// So many bytes, rounded up to whole blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Bytes>,
    /// All but so many bytes of what `df` calls available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave_free: Option<Bytes>,
    /// How fast; at once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<ByteRate>,
    /// Inodes to take, beside the space or instead of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inodes: Option<Inodes>,
}

impl Fault for DiskFill {
    const NAME: &'static str = "disk-fill";
    const SUMMARY: &'static str =
        "Fills a file system: its space to a percent or a number of bytes, its inodes, or both";
    const DETAILS: &'static str = "\
**Space** is taken by a file without a name (`O_TMPFILE`) that the worker holds open: when the worker ends, however it \
ends, the kernel gives the space back, and nobody finds a file to clean up. Where a file system cannot make one, the file \
gets a name and loses it at once; a crash just between the two is cleaned up by the recovery. `fallocate` takes any \
amount at once; file systems without it are written, with data that does not compress. What is then \
used is read back by `statvfs` and corrected, so that the file system's own blocks are counted too: exact to one block \
on ext4, ext2, xfs, tmpfs and overlayfs. btrfs counts space when it commits and frees whole extents only: exact to 64 \
blocks there, and its last percent cannot be reached.\n\n\
`toPercent` means what `df` shows: used / (used + available). Blocks reserved for root stay free, so at 100% ordinary \
users find the disk full and root does not. Space that others take or free afterwards is not made up for.\n\n\
**Inodes** are taken by empty files in a scratch folder (`.faultline-ID` in `path`). They need names, so they survive a \
crash of the worker and a reboot: the guard or the recovery removes them, following no link and removing nothing that \
this fault did not make. The folders that hold them take some space of their own.\n\n\
Refused: read-only file systems, those of the kernel (`proc`, `sysfs`), network file systems (their server keeps files \
that were deleted while open), more than there is, and whatever would leave the journal of Faultline below 64 MiB or \
1024 inodes. A `tmpfs` may be filled as far as 256 MiB of memory stay available.";
    const UNDO: UndoClass = UndoClass::Boot;
    const NEEDS: &'static [Need] = &[];
    const EXAMPLE: &'static str = "disk-fill: { path: /var/lib/postgresql, toPercent: 95%, speed: 200MiB/s }\n";

    fn check(&self) -> Result<(), PlanError> {
        if !self.path.is_absolute() {
            return Err(PlanError::parameter(
                format!("`path: {}` is not absolute", self.path.display()),
                "write it from the root, as in /var/lib/postgresql",
            ));
        }
        let space = [self.to_percent.is_some(), self.bytes.is_some(), self.leave_free.is_some()];
        match (space.iter().filter(|given| **given).count(), self.inodes) {
            (0, None) => {
                return Err(PlanError::parameter(
                    "nothing says how much to fill",
                    "give one of `toPercent`, `bytes` and `leaveFree`, or `inodes`",
                ));
            }
            (0 | 1, _) => {}
            _ => {
                return Err(PlanError::parameter(
                    "more than one of `toPercent`, `bytes` and `leaveFree` is given",
                    "choose one of them",
                ));
            }
        }
        if self.speed.is_some() && !space.contains(&true) {
            return Err(PlanError::parameter("`speed` is of bytes, and only inodes are taken", "leave `speed` out"));
        }
        if self.bytes == Some(Bytes::new(0)) {
            return Err(PlanError::parameter("`bytes: 0` fills nothing", "give a number above 0"));
        }
        self.inodes.map_or(Ok(()), |inodes| inodes.goal().map(|_| ()))
    }

    fn plan(&self, context: PlanContext<'_>) -> Result<Plan, PlanError> {
        self.check()?;
        let disk = context.facts.file_system(&self.path)?;
        let takes_a_name = fits(&disk)?;
        let journal = context.facts.file_system(&context.facts.journal_folder()).ok();
        let holds_journal = journal.is_some_and(|journal| journal.is_the_same_as(&disk));
        let mut plan = Plan {
            id: context.id.clone(),
            fault: Self::NAME.into(),
            targets: vec![describe(&disk)],
            dose: Vec::new(),
            steps: Vec::new(),
            notes: Vec::new(),
        };
        if let Some(goal) = self.goal() {
            let bytes = amount(goal, &disk)?;
            keep_the_host_alive(&context, &disk, bytes, holds_journal)?;
            self.keep_to_the_time(&context, bytes)?;
            plan.dose.push(dose(goal));
            plan.notes.push(format!("takes {} of the {} available", whole(bytes), whole(disk.available())));
            if disk.kind == "tmpfs" {
                plan.notes.push("a tmpfs lies in memory: what is filled there is memory that the host lacks".into());
            }
            plan.steps.push(Step::SpaceFill(SpaceFill {
                folder: disk.folder.clone(),
                device: disk.device,
                goal,
                speed: self.speed,
                scratch_name: takes_a_name.then(|| context.id.scratch_name()),
                inode: None,
            }));
        }
        if let Some(inodes) = self.inodes {
            let goal = inodes.goal()?;
            // Inodes first, space afterwards: their folders need space, and the percentage of both is then exact.
            plan.steps.insert(0, Step::InodeFill(inodes::step(&context, goal, &disk, holds_journal)?));
            plan.dose.push(inodes::dose(goal));
            plan.notes
                .push("files with names survive a crash of the worker: the guard or the recovery removes them".into());
        }
        if context.scope.processes.is_some() || context.scope.cgroup.is_some() {
            plan.notes.push(
                "everybody who writes to this file system meets the fault, not the target's processes alone".into(),
            );
        }
        Ok(plan)
    }
}

impl DiskFill {
    fn goal(&self) -> Option<SpaceGoal> {
        let percent = self.to_percent.map(SpaceGoal::ToPercent);
        percent.or(self.bytes.map(SpaceGoal::Bytes)).or(self.leave_free.map(SpaceGoal::LeaveFree))
    }

    fn keep_to_the_time(&self, context: &PlanContext<'_>, bytes: u64) -> Result<(), PlanError> {
        let Some(speed) = self.speed else { return Ok(()) };
        let needed = speed.time_for(Bytes::new(bytes));
        if needed > context.lasts.duration() {
            return Err(PlanError::parameter(
                format!(
                    "at {speed} the fill takes {:.0} s, longer than the fault lasts ({})",
                    needed.as_secs_f64().ceil(),
                    context.lasts
                ),
                "raise `speed`, fill less, or lengthen `for`",
            ));
        }
        Ok(())
    }
}

/// Whether the file system can be filled at all, and whether the file may need a name for a moment.
fn fits(disk: &FileSystemFacts) -> Result<bool, PlanError> {
    let (shown, kind) = (disk.mount_point.display(), disk.kind.as_str());
    if disk.read_only {
        return Err(PlanError::unsupported(
            format!("{shown} is mounted read-only"),
            "choose a path on a file system that is written to",
        ));
    }
    if disk.blocks == 0 || !(NAMELESS.contains(&kind) || NAMED.contains(&kind)) {
        return Err(PlanError::unsupported(
            format!("{shown} is of kind {kind}, which this fault does not fill"),
            "choose a path on a local disk or a tmpfs; of others it is not known that undoing gives everything back",
        ));
    }
    Ok(NAMED.contains(&kind))
}

/// How many bytes the goal takes of a file system as it is now.
fn amount(goal: SpaceGoal, disk: &FileSystemFacts) -> Result<u64, PlanError> {
    let available = disk.available();
    let already = |found: String| {
        PlanError::no_target(
            format!("{} is beyond the goal already: {found}", disk.mount_point.display()),
            "ask for more, or free some space first",
        )
    };
    let bytes = match goal {
        SpaceGoal::Bytes(bytes) => bytes.count(),
        SpaceGoal::LeaveFree(bytes) => available.saturating_sub(bytes.count()),
        SpaceGoal::ToPercent(percent) => {
            #[expect(clippy::cast_precision_loss, reason = "only compared; the room counts in blocks")]
            let share = (percent.fraction() - disk.used_share()).max(0.0) * (disk.usable_blocks() as f64);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and all blocks")]
            (share.round() as u64).saturating_mul(disk.block_size)
        }
    };
    if bytes < disk.block_size && !matches!(goal, SpaceGoal::Bytes(_)) {
        return Err(already(format!("{:.1}% used, {} available", disk.used_share() * 100.0, whole(available))));
    }
    if bytes > available {
        return Err(PlanError::unsupported(
            format!("{} do not fit: {} has {} available", whole(bytes), disk.mount_point.display(), whole(available)),
            "ask for less, or use `toPercent: 100%` to take all there is",
        ));
    }
    Ok(bytes)
}

/// Refuses what would starve the journal, or memory where the file system lies in it.
fn keep_the_host_alive(
    context: &PlanContext<'_>,
    disk: &FileSystemFacts,
    bytes: u64,
    holds_journal: bool,
) -> Result<(), PlanError> {
    let left = disk.available() - bytes.min(disk.available());
    if holds_journal && left < JOURNAL_SPACE {
        return Err(PlanError::refused(
            format!(
                "it would leave {} where Faultline keeps its journal ({}), and {} are needed to write the undo down",
                whole(left),
                context.facts.journal_folder().display(),
                whole(JOURNAL_SPACE)
            ),
            "keep the journal elsewhere with --state DIR, or use `leaveFree: 64MiB` or more",
        ));
    }
    if disk.kind == "tmpfs" {
        let memory = context.facts.available_memory()?;
        if bytes.saturating_add(MEMORY_KEPT) > memory {
            return Err(PlanError::refused(
                format!(
                    "{} lies in memory: {} of the {} available would be taken, and {} must stay",
                    disk.mount_point.display(),
                    whole(bytes),
                    whole(memory),
                    whole(MEMORY_KEPT)
                ),
                "fill less",
            ));
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "doses beyond 2^53 are rounded a little")]
fn dose(goal: SpaceGoal) -> Dose {
    let (name, asked, unit) = match goal {
        SpaceGoal::ToPercent(percent) => ("filled", percent.number(), "%"),
        SpaceGoal::Bytes(bytes) => ("filled", bytes.count() as f64, "bytes"),
        SpaceGoal::LeaveFree(bytes) => ("available", bytes.count() as f64, "bytes"),
    };
    Dose { name: name.into(), asked, unit: unit.into() }
}

/// `/srv, ext4: 21.1% of 371.1 MiB used, 293.0 MiB available, 19.5 MiB kept for root`.
fn describe(disk: &FileSystemFacts) -> String {
    let kept = disk.free_blocks.saturating_sub(disk.available_blocks).saturating_mul(disk.block_size);
    let root = if kept == 0 { String::new() } else { format!(", {} kept for root", whole(kept)) };
    format!(
        "{}, {}: {:.1}% of {} used, {} available{root}",
        disk.mount_point.display(),
        disk.kind,
        disk.used_share() * 100.0,
        whole(disk.usable_blocks().saturating_mul(disk.block_size)),
        whole(disk.available())
    )
}

/// A number of bytes for people.
fn whole(bytes: u64) -> String {
    let steps = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match steps.into_iter().find(|(shift, _)| bytes >= 1 << shift) {
        #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
        Some((shift, unit)) => format!("{:.1} {unit}", bytes as f64 / (1u64 << shift) as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests;
