//! Freezes a cgroup (v2) by `cgroup.freeze` and waits until the kernel says that everything in it stands still
//! (Documentation/admin-guide/cgroup-v2.rst, "Core Interface Files").

use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Amend, Hold, KernelError, Reverted, Room};
use crate::plan::step::CgroupFreeze;
use crate::plan::{Bite, Evidence, Measurement};

/// How long the tasks of a cgroup may take to stand still, or to move again.
const TO_SETTLE: Duration = Duration::from_secs(1);

impl Room for CgroupFreeze {
    fn apply(&self, _amend: Arc<Amend<'static>>) -> Result<Option<Box<dyn Hold>>, KernelError> {
        if !self.is_the_same()? {
            return Err(self.error("stat", ErrorKind::NotFound.into()).hint("the cgroup was removed; make a new plan"));
        }
        if self.wanted()? {
            return Err(self
                .error("read cgroup.freeze", Error::new(ErrorKind::AlreadyExists, "somebody else froze it meanwhile"))
                .hint("thaw it, or wait for who froze it, and make a new plan"));
        }
        self.write("1")?;
        // Tasks in an uninterruptible wait freeze when it ends; whether they did is for the evidence to say.
        let _ = self.settle(true)?;
        Ok(None)
    }

    fn revert(&self) -> Result<Reverted, KernelError> {
        if !self.is_the_same()? || !self.wanted()? {
            return Ok(Reverted::Absent);
        }
        self.write("0")?;
        if self.wanted()? {
            return Err(self.error("write cgroup.freeze", Error::other("it still reads 1")));
        }
        let frozen_above = self.folder.ancestors().skip(1).any(|folder| reads_one(&folder.join("cgroup.freeze")));
        if !frozen_above && !self.settle(false)? {
            return Err(self.error("read cgroup.events", Error::new(ErrorKind::TimedOut, "it still says frozen")));
        }
        Ok(Reverted::Undone)
    }

    fn is_present(&self) -> Result<bool, KernelError> {
        Ok(self.is_the_same()? && self.wanted()?)
    }

    fn measure(&self) -> Result<Evidence, KernelError> {
        let frozen = self.is_the_same()? && self.is_frozen()?;
        let count = processes_below(&self.folder);
        let bite = match (frozen, count) {
            (false, _) if self.wanted().unwrap_or(false) => Bite::NotYet("some task has not frozen yet".into()),
            (false, _) => Bite::No("the cgroup is not frozen any more".into()),
            (true, 0) => Bite::No("no process is in the cgroup any more".into()),
            (true, _) => Bite::Yes,
        };
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 processes")]
        let measured = if frozen { count as f64 } else { 0.0 };
        let measurement = Measurement {
            name: "processes stopped".into(),
            asked: None,
            measured,
            unit: "processes".into(),
            by: "frozen in cgroup.events, cgroup.procs".into(),
        };
        Ok(Evidence::new(bite, vec![measurement]))
    }
}

impl CgroupFreeze {
    fn error(&self, call: &'static str, source: Error) -> KernelError {
        KernelError::new(format!("cgroup {}", self.folder.display()), call, source)
    }

    /// Whether the folder is there and is still the cgroup of the plan.
    fn is_the_same(&self) -> Result<bool, KernelError> {
        match self.folder.metadata() {
            Ok(metadata) => Ok(metadata.ino() == self.inode),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.error("stat", error)),
        }
    }

    fn read(&self, file: &str, call: &'static str) -> Result<String, KernelError> {
        std::fs::read_to_string(self.folder.join(file)).map_err(|error| self.error(call, error))
    }

    /// What was last written: whether it is to be frozen.
    fn wanted(&self) -> Result<bool, KernelError> {
        Ok(self.read("cgroup.freeze", "read cgroup.freeze")?.trim() == "1")
    }

    /// What has come of it: whether everything in it stands still.
    fn is_frozen(&self) -> Result<bool, KernelError> {
        Ok(self.read("cgroup.events", "read cgroup.events")?.lines().any(|line| line == "frozen 1"))
    }

    fn write(&self, value: &str) -> Result<(), KernelError> {
        std::fs::write(self.folder.join("cgroup.freeze"), value).map_err(|error| {
            self.error("write cgroup.freeze", error)
                .hint("root, or the user to whom the cgroup is delegated, may do that")
        })
    }

    fn settle(&self, frozen: bool) -> Result<bool, KernelError> {
        let begun = Instant::now();
        while self.is_frozen()? != frozen {
            if begun.elapsed() > TO_SETTLE {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(true)
    }
}

fn reads_one(file: &Path) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text.trim() == "1")
}

/// How many processes are in a cgroup and those below it.
fn processes_below(folder: &Path) -> usize {
    let here = std::fs::read_to_string(folder.join("cgroup.procs")).map_or(0, |list| list.lines().count());
    let below = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    here + folders.map(|entry| processes_below(&entry.path())).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::process_descriptor::tests::Victim;
    use super::*;
    use crate::facts::cgroup_mount;

    /// A cgroup of the test's own, removed with it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn make(name: &str) -> Option<Self> {
            let Some(mount) = cgroup_mount() else {
                println!("skipped: no cgroup v2 hierarchy is mounted");
                return None;
            };
            let folder = mount.join(format!("faultline-test-{}-{name}", std::process::id()));
            if let Err(error) = std::fs::create_dir(&folder) {
                println!("skipped: {} cannot be made: {error}", folder.display());
                return None;
            }
            Some(Self(folder))
        }

        fn step(&self) -> CgroupFreeze {
            CgroupFreeze { folder: self.0.clone(), inode: self.0.metadata().unwrap().ino() }
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::write(self.0.join("cgroup.freeze"), "0");
            let _ = std::fs::write(self.0.join("cgroup.kill"), "1");
            let begun = Instant::now();
            while std::fs::remove_dir(&self.0).is_err() && self.0.exists() && begun.elapsed() < Duration::from_secs(2) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    fn no_amend() -> Arc<Amend<'static>> {
        Arc::new(|_| Ok(()))
    }

    #[test]
    fn freezes_and_thaws_what_is_in_it() {
        let Some(scratch) = Scratch::make("freeze") else { return };
        let victim = Victim::sleeper();
        std::fs::write(scratch.0.join("cgroup.procs"), victim.identity().pid.to_string()).unwrap();
        let step = scratch.step();
        assert_eq!(step.revert().unwrap(), Reverted::Absent, "it never ran");
        step.apply(no_amend()).unwrap();
        let evidence = step.measure().unwrap();
        assert_eq!((evidence.bite, evidence.measurements[0].measured), (Bite::Yes, 1.0));
        assert!(step.is_present().unwrap());
        assert_eq!(step.revert().unwrap(), Reverted::Undone);
        assert_eq!(step.revert().unwrap(), Reverted::Absent);
        assert!(matches!(step.measure().unwrap().bite, Bite::No(_)));
        assert!(!step.is_present().unwrap());
    }

    #[test]
    fn leaves_alone_what_somebody_else_froze_and_what_is_another_cgroup() {
        let Some(scratch) = Scratch::make("foreign") else { return };
        std::fs::write(scratch.0.join("cgroup.freeze"), "1").unwrap();
        assert!(scratch.step().apply(no_amend()).unwrap_err().hint.is_some());
        let earlier = CgroupFreeze { inode: scratch.step().inode + 1, ..scratch.step() };
        assert_eq!(earlier.revert().unwrap(), Reverted::Absent);
        assert!(earlier.apply(no_amend()).is_err());
        assert!(reads_one(&scratch.0.join("cgroup.freeze")), "it stays as its owner wants it");
    }

    #[test]
    fn an_empty_cgroup_is_no_effect_and_a_removed_one_nothing_to_undo() {
        let Some(scratch) = Scratch::make("empty") else { return };
        let step = scratch.step();
        step.apply(no_amend()).unwrap();
        assert!(matches!(step.measure().unwrap().bite, Bite::No(_)));
        std::fs::remove_dir(&scratch.0).unwrap();
        assert_eq!(step.revert().unwrap(), Reverted::Absent);
    }
}
