use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use faultline_agent::facts::cgroup_mount;
use faultline_agent::journal::{Found, Journal, Record};
use faultline_agent::plan::Step;
use faultline_agent::plan::step::CgroupFreeze;
use faultline_agent::state::StateFolder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::netem::load_netem;
use super::network::run;
use super::{is_inside, load};
use crate::machine::INSIDE;
use crate::matrix::rows::Target;
use crate::matrix::stage::{Stage, enter_network, recover};
use crate::matrix::{Moment, outside};
use crate::power_cut::{Case, OPTIONS, cases};

/// A case with its state folder mounted.
struct Set {
    case: Case,
    state: PathBuf,
    disk: PathBuf,
}

impl Set {
    /// Mounts the disk that it fills, if it is about one, under the number that it had in the first boot or another one.
    fn mount_disk(&self, renumbered: bool) {
        if let Some(image) = self.case.disk(&scratch()) {
            let device = format!("/dev/loop{}", self.case.number + if renumbered { 500 } else { 200 });
            let (image, point) = (image.display(), self.disk.display());
            run(&format!("losetup {device} {image} && mount -o {OPTIONS} {device} {point}"));
        }
    }

    fn unmount_disk(&self) {
        if self.case.row.is_of_disk() {
            run(&format!("umount {}", self.disk.display()));
        }
    }

    fn look(&self) -> String {
        if self.case.row.is_of_disk() { outside::disk(&self.disk) } else { String::new() }
    }
}

fn scratch() -> PathBuf {
    std::env::var_os(INSIDE).unwrap().into()
}

/// Mounts the state folders of those cases.
fn mount(wanted: impl Fn(&Case) -> bool) -> Vec<Set> {
    load(&["drivers/block/loop"]);
    load_netem();
    // The files below the disks are on this host, and what is written to them is kept in this machine's memory until
    // somebody syncs: the cache of a disk, which a power cut empties.
    fs::write("/proc/sys/vm/dirty_writeback_centisecs", "0").unwrap();
    let folder = Path::new("/run/disks");
    let mut stores = BTreeSet::new();
    let mut sets = Vec::new();
    for case in cases(&scratch()).filter(wanted) {
        let image = case.store(&scratch());
        let (store, disk) = (folder.join(image.file_name().unwrap()), folder.join(case.name()));
        fs::create_dir_all(&store).unwrap();
        fs::create_dir_all(&disk).unwrap();
        stores.insert(format!("{} {} ext4 loop,{OPTIONS} 0 0\n", image.display(), store.display()));
        sets.push(Set { state: store.join(case.name()).join("state"), disk, case });
    }
    fs::write(folder.join("table"), stores.into_iter().collect::<String>()).unwrap();
    run("mount --all --fstab /run/disks/table");
    sets
}

/// The first boot: each case up to its moment, and there it stays.
#[test]
#[ignore = "runs in user-mode Linux"]
fn live_until_the_power_is_cut() {
    if !is_inside() {
        return;
    }
    let sets = mount(Case::lives_inside);
    let mut standing = Vec::new();
    for set in &sets {
        set.mount_disk(false);
        let before = set.look();
        // Its own thread, because the network namespace of a case begins with one. Its processes keep it.
        let live = || {
            let stage = Stage::set_at(set.case.row, set.state.clone(), set.disk.clone(), &set.case.name())?;
            stage.stand_still_at(&set.case.moment).map(|worker| (stage, worker))
        };
        let lives = std::thread::scope(|scope| scope.spawn(live).join().unwrap());
        standing.push(lives.unwrap_or_else(|problem| panic!("{}: {problem}", set.case.title())));
        let mut file = File::create(set.case.before(&scratch())).unwrap();
        file.write_all(before.as_bytes()).unwrap();
        file.sync_all().unwrap();
    }
    // What the faults did to their disks outlives the power cut for certain; for the records their writer has to care.
    for set in sets.iter().filter(|set| set.case.row.is_of_disk()) {
        rustix::fs::syncfs(File::open(&set.disk).unwrap()).unwrap();
    }
    println!("\nSTANDING: {} cases in user-mode Linux, each at its moment", standing.len());
    loop {
        std::thread::park();
    }
}

/// The record of a case: there, and whole, if and only if its moment is behind the writing of it.
fn record(set: &Set) -> Option<Record> {
    let title = set.case.title();
    let state = StateFolder::existing(Some(&set.state)).unwrap();
    let found = state.map(|state| Journal::of(&state).read_all().unwrap()).unwrap_or_default();
    match (&found[..], set.case.moment.is_before_record()) {
        ([], true) => None,
        ([Found::Record(record)], false) => Some(Record::clone(record)),
        _ => panic!("{title}: the journal after it: {found:?}"),
    }
}

/// The second boot: the worst that can meet the recovery is a host on which every number means another thing.
#[test]
#[ignore = "runs in user-mode Linux"]
fn recover_what_the_power_cut_left() {
    if !is_inside() {
        return;
    }
    // In the order of the first boot, in which numbers were given out as they are now.
    let mut sets = mount(Case::lives_inside);
    let mut records: Vec<Option<Record>> = sets.iter().map(record).collect();
    let strangers = Strangers::take_the_numbers_of(&sets, &records);
    let outside = mount(|case| !case.lives_inside() && case.before(&scratch()).exists());
    records.extend(outside.iter().map(record));
    sets.extend(outside);
    enter_network().unwrap();
    let network = outside::network();
    let mut outlived = 0;
    for (set, record) in sets.iter().zip(&records) {
        let title = set.case.title();
        let before = fs::read_to_string(set.case.before(&scratch())).unwrap();
        // No other disk is there: whoever recovers removes what he finds on it and nobody alive can own.
        set.mount_disk(set.case.number.is_multiple_of(2));
        let left = set.look();
        outlived += usize::from(left != before);
        if set.case.row.outlives_reboot && set.case.moment == Moment::Active {
            assert_ne!(left, before, "{title}: nothing outlived it, so that nothing is shown by its recovery");
        }
        let held = record.as_ref().and_then(|record| hold_file_with_its_number(set, record));
        let said = recover(&set.state).unwrap_or_else(|problem| panic!("{title}: {problem}"));
        drop(held);
        assert_eq!(set.look(), before, "{title}: the disk; recover said: {said}");
        assert_eq!(outside::journal(&set.state), [""; 0], "{title}: the journal");
        set.unmount_disk();
    }
    assert_eq!(outside::network(), network);
    strangers.must_be_as_they_were();
    println!("\n{} cases, each with nothing left; of {outlived} something had outlived the power cut", sets.len());
}

/// Makes a file that is deleted and open, as databases have them, and that has the number of the one which the fault
/// held before the power cut.
fn hold_file_with_its_number(set: &Set, record: &Record) -> Option<File> {
    let wanted = record.plan.steps.iter().find_map(|step| match step {
        Step::SpaceFill(fill) => fill.inode,
        _ => None,
    })?;
    let is_it = |file: &File| file.metadata().unwrap().ino() == wanted;
    let first = tempfile::tempfile_in(&set.disk).unwrap();
    if is_it(&first) {
        return Some(first);
    }
    // In a folder, whose blocks are given back with it; those of the root would stay.
    let others = tempfile::tempdir_in(&set.disk).unwrap();
    for name in 0..2000 {
        let path = others.path().join(name.to_string());
        let file = File::create(&path).unwrap();
        if is_it(&file) {
            fs::remove_file(&path).unwrap();
            return Some(file);
        }
    }
    panic!("{}: no file gets the number {wanted}", set.case.title());
}

/// Processes and cgroups of this boot that have the numbers of those in the records. All were stopped, or frozen, by
/// somebody else than Faultline, and are nobody's to continue or to kill.
struct Strangers {
    processes: Vec<Child>,
    cgroups: Vec<CgroupFreeze>,
}

impl Strangers {
    fn take_the_numbers_of(sets: &[Set], records: &[Option<Record>]) -> Self {
        let (mut numbers, mut cgroups) = (BTreeSet::new(), Vec::new());
        for (set, record) in sets.iter().zip(records) {
            // The kernel numbers them in the order in which they are made, so each is made anew.
            if set.case.row.target == Target::Cgroup {
                fs::create_dir(cgroup_mount().unwrap().join(set.case.name())).unwrap();
            }
            let Some(record) = record else { continue };
            numbers.extend([record.worker].into_iter().chain(record.guard).map(|process| process.pid));
            for step in &record.plan.steps {
                match step {
                    Step::ProcessPause(step) => numbers.extend(step.processes.iter().map(|process| process.pid)),
                    Step::ProcessKill(step) => numbers.extend(step.processes.iter().map(|process| process.pid)),
                    Step::CgroupFreeze(step) => cgroups.push(step.clone()),
                    _ => {}
                }
            }
        }
        let (processes, count) = (start_with_numbers(&numbers), numbers.len());
        for process in &processes {
            kill(Pid::from_raw(i32::try_from(process.id()).unwrap()), Signal::SIGSTOP).unwrap();
        }
        println!("{} of {count} processes in the records have a stranger in their place", processes.len());
        // Now and then the kernel takes a number for a thread of its own.
        assert!(processes.len() * 10 >= count * 9 && count > 0, "{} of {count}", processes.len());
        for step in &cgroups {
            fs::write(step.folder.join("cgroup.freeze"), "1").unwrap();
        }
        let same = cgroups.iter().filter(|step| fs::metadata(&step.folder).unwrap().ino() == step.inode).count();
        println!("{same} of {} cgroups in the records have a stranger in their place", cgroups.len());
        assert!(same == cgroups.len(), "{cgroups:?}");
        Self { processes, cgroups }
    }

    fn must_be_as_they_were(&self) {
        for process in &self.processes {
            assert_eq!(outside::state(process.id()), Some('T'), "process {}", process.id());
        }
        for step in &self.cgroups {
            let frozen = fs::read_to_string(step.folder.join("cgroup.freeze")).unwrap();
            assert_eq!(frozen.trim(), "1", "{}", step.folder.display());
        }
    }
}

/// Starts a process with each of those numbers that is not in use or past: the kernel gives them out in turn, to threads
/// as to processes.
fn start_with_numbers(numbers: &BTreeSet<i32>) -> Vec<Child> {
    let turn = || std::thread::spawn(|| rustix::thread::gettid().as_raw_nonzero().get()).join().unwrap();
    let mut last = turn();
    let mut processes = Vec::new();
    for number in numbers {
        while last < number - 1 {
            last = turn();
        }
        if last == number - 1 {
            let mut process = Command::new("sleep").arg("1000").spawn().unwrap();
            last = i32::try_from(process.id()).unwrap();
            if last == *number {
                processes.push(process);
            } else {
                process.kill().unwrap();
                process.wait().unwrap();
            }
        }
    }
    processes
}

impl Drop for Strangers {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
