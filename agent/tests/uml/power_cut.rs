//! Every row of the crash matrix × every moment of its life, at which the power goes: two boots of one machine.
//!
//! In the first boot all cases of a part stand side by side, each worker at its moment; then the machine is killed. The
//! state folders are on disks with a cache that a power cut empties, one a row: what is there at the second boot was
//! synced by the code under test, and not by time.
//!
//! The kernel of user-mode Linux has no nftables of the family `inet`. Faults that need them live on the kernel of this
//! host until their power cut, which is a copy of their disk as far as it was written; the second boot is theirs too.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::Machine;
use crate::matrix::rows::{self, Wants};
use crate::matrix::stage::{Stage, enter_mounts};
use crate::matrix::{Moment, Row};

/// One row at one moment.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) number: usize,
    pub(crate) row: &'static Row,
    pub(crate) moment: Moment,
}

/// All of them.
fn all_cases() -> impl Iterator<Item = Case> {
    let all = rows::ALL.iter().flat_map(|row| row.moments().into_iter().map(move |moment| (row, moment)));
    all.enumerate().map(|(number, (row, moment))| Case { number, row, moment })
}

/// Those that have their disk in the folder; the same in each boot.
pub(crate) fn cases(folder: &Path) -> impl Iterator<Item = Case> {
    all_cases().filter(|case| case.store(folder).exists())
}

impl Case {
    /// Its name in files.
    pub(crate) fn name(&self) -> String {
        format!("case-{:03}", self.number)
    }

    /// Its name for people.
    pub(crate) fn title(&self) -> String {
        format!("{}, power cut at {:?}", self.row.name, self.moment)
    }

    /// Whether the kernel of user-mode Linux can do it.
    pub(crate) fn lives_inside(&self) -> bool {
        !matches!(self.row.wants, Wants::Tables | Wants::Queue)
    }

    /// The disk with its state folder.
    pub(crate) fn store(&self, folder: &Path) -> PathBuf {
        let name = if self.lives_inside() { self.row.name.replace([' ', ','], "-") } else { self.name() };
        folder.join(name + ".store")
    }

    /// The disk that it fills, if it is about one.
    pub(crate) fn disk(&self, folder: &Path) -> Option<PathBuf> {
        self.row.is_of_disk().then(|| folder.join(format!("{}.disk", self.name())))
    }

    /// How its disk was before the fault; there if the case reached its moment.
    pub(crate) fn before(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.before", self.name()))
    }
}

/// Plays all cases of those rows and says how many there were.
pub(crate) fn play(name: &'static str, part: impl Fn(&Row) -> bool) {
    let machine = Machine::new(name);
    let folder = machine.folder();
    // The journal of ext4 takes 1 MiB at least.
    machine.make_disk("store", 4, "mkfs.ext4 -q -b 1024 -J size=1");
    machine.make_disk("disk", 16, "mkfs.ext4 -q -b 1024 -J size=1 -N 2048");
    for case in all_cases().filter(|case| part(case.row)) {
        copy(&folder.join("store"), &case.store(folder));
        if let Some(disk) = case.disk(folder) {
            copy(&folder.join("disk"), &disk);
        }
    }
    let cases: Vec<Case> = cases(folder).collect();
    std::thread::scope(|scope| {
        let outside = scope.spawn(|| {
            for row in rows::ALL {
                let cases = cases.iter().filter(|case| case.row.name == row.name && !case.lives_inside());
                live_outside(row, cases, folder);
            }
        });
        let mut boot = machine.start(&Machine::test("inside::power_cut::live_until"));
        println!("{}", boot.wait_for("STANDING"));
        boot.cut_power();
        outside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    for case in &cases {
        let is_to_live = case.lives_inside() || case.row.missing().is_none();
        assert_eq!(case.before(folder).exists(), is_to_live, "{}", case.title());
    }
    machine.run_tests("inside::power_cut::recover");
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("--sparse=always").args([from, to]).status().unwrap();
    assert!(status.success(), "cp {} {}", from.display(), to.display());
}

/// Lets the cases of a row live on this host's kernel, one after the other, up to their power cuts.
fn live_outside<'a>(row: &Row, cases: impl Iterator<Item = &'a Case>, folder: &Path) {
    let mut cases = cases.peekable();
    if cases.peek().is_none() {
        return;
    }
    if let Some(why) = row.missing() {
        println!("skipped: {}, power cut: neither user-mode Linux nor this kernel can do it: {why}", row.name);
        return;
    }
    for case in cases {
        // Its own thread, because the namespaces of a case end with the thread that made them.
        std::thread::scope(|scope| {
            let lived = scope.spawn(|| lives_outside(case, folder)).join();
            lived.unwrap().unwrap_or_else(|problem| panic!("{}: {problem}", case.title()));
        });
    }
}

fn lives_outside(case: &Case, folder: &Path) -> Result<(), String> {
    enter_mounts()?;
    let scratch = tempfile::Builder::new().prefix("faultline-power-cut-").tempdir().map_err(said)?;
    let (image, store, disk) =
        (scratch.path().join("image"), scratch.path().join("store"), scratch.path().join("disk"));
    copy(&case.store(folder), &image);
    for folder in [&store, &disk] {
        std::fs::create_dir(folder).map_err(said)?;
    }
    let mounted = Command::new("mount").args(["-o", &format!("loop,{OPTIONS}")]).args([&image, &store]).status();
    assert!(mounted.is_ok_and(|status| status.success()), "mount {}", image.display());
    let mount = Mount(&store);
    let stage = Stage::set_at(case.row, store.join(case.name()).join("state"), disk, &case.name())?;
    let mut worker = stage.stand_still_at(&case.moment)?;
    // The file system above has not written yet what nobody synced.
    copy(&image, &case.store(folder));
    worker.cut_off()?;
    drop((worker, stage, mount));
    std::fs::write(case.before(folder), "").map_err(said)
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A mount that is taken down, and its loop device with it.
struct Mount<'a>(&'a Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        if let Err(error) = nix::mount::umount(self.0) {
            println!("{}: cannot unmount: {error}", self.0.display());
        }
    }
}

/// How disks of cases are mounted: nothing is written for the mere passing of time.
pub(crate) const OPTIONS: &str = "commit=600";
