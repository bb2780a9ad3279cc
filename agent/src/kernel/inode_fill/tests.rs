use rustix::fs::statvfs;

use super::super::scratch_file_system::ScratchFileSystem;
use super::*;
use crate::units::Percent;

const NAME: &str = ".faultline-00000000002a";

fn step(scratch: &ScratchFileSystem, goal: InodeGoal) -> InodeFill {
    InodeFill { folder: scratch.path(), device: scratch.device(), file_system: None, scratch_name: NAME.into(), goal }
}

fn amend() -> Arc<Amend<'static>> {
    Arc::new(|_| Ok(()))
}

fn free(scratch: &ScratchFileSystem) -> (u64, u64) {
    let found = statvfs(scratch.path()).unwrap();
    (found.f_files, found.f_ffree)
}

fn fill_and_undo(scratch: &ScratchFileSystem, goal: InodeGoal, look: impl FnOnce(&Evidence)) {
    let before = free(scratch);
    let step = step(scratch, goal);
    assert_eq!(step.revert().unwrap(), Reverted::Absent, "it never ran");
    let hold = step.apply(amend()).unwrap().unwrap();
    look(&hold.evidence());
    assert!(step.is_present().unwrap());
    drop(hold);
    assert_eq!(step.revert().unwrap(), Reverted::Undone);
    assert_eq!(step.revert().unwrap(), Reverted::Absent);
    assert!(!step.is_present().unwrap());
    scratch.is_again(&before, || free(scratch));
}

fn exact(kind: &str, mebibytes: u64) {
    let Some(scratch) = ScratchFileSystem::make(kind, mebibytes) else { return };
    fill_and_undo(&scratch, InodeGoal::ToPercent(Percent::new(90.0).unwrap()), |evidence| {
        assert_eq!(evidence.bite, Bite::Yes);
        let (all, free) = free(&scratch);
        assert!(((all - free) as f64 - all as f64 * 0.9).abs() <= 1.0, "{} of {all}", all - free);
        assert!((evidence.measurements[0].measured - 90.0).abs() < 0.05, "{evidence:?}");
    });
    fill_and_undo(&scratch, InodeGoal::LeaveFree(17), |evidence| {
        assert_eq!((free(&scratch).1, &evidence.bite), (17, &Bite::Yes));
    });
    let before = free(&scratch).1;
    fill_and_undo(&scratch, InodeGoal::Count(1234), |evidence| {
        assert_eq!((before - free(&scratch).1, &evidence.bite), (1234, &Bite::Yes));
    });
}

#[test]
fn ext4_runs_out_of_inodes_to_the_last_one() {
    exact("ext4", 16);
}

#[test]
fn tmpfs_runs_out_of_inodes_to_the_last_one() {
    exact("tmpfs", 64);
}

#[test]
fn xfs_makes_inodes_as_it_goes_and_the_count_is_exact() {
    let Some(scratch) = ScratchFileSystem::make("xfs", 400) else { return };
    let step = step(&scratch, InodeGoal::Count(12_000));
    let hold = step.apply(amend()).unwrap().unwrap();
    let begun = std::time::Instant::now();
    while hold.evidence().bite != Bite::Yes && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!((hold.evidence().bite, hold.evidence().measurements[0].measured), (Bite::Yes, 12_000.0));
    let listed = std::process::Command::new("find").arg(scratch.path().join(NAME)).output().unwrap();
    assert_eq!(listed.stdout.split(|byte| *byte == b'\n').count() - 1, 12_000);
    drop(hold);
    assert_eq!(step.revert().unwrap(), Reverted::Undone);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_that_is_there_beforehand_is_neither_used_nor_removed() {
    let Some(scratch) = ScratchFileSystem::make("tmpfs", 16) else { return };
    let theirs = scratch.path().join(NAME);
    std::fs::create_dir(&theirs).unwrap();
    std::fs::write(theirs.join("00000001"), "theirs").unwrap();
    let step = step(&scratch, InodeGoal::Count(10));
    let error = step.apply(amend()).unwrap_err();
    assert_eq!(error.source.raw_os_error(), Some(nix::libc::EEXIST));
    assert!(matches!(step.revert().unwrap(), Reverted::Superseded(_)));
    assert_eq!(std::fs::read_to_string(theirs.join("00000001")).unwrap(), "theirs");
}

#[test]
fn what_others_put_in_stays_and_no_link_is_followed() {
    let Some(scratch) = ScratchFileSystem::make("tmpfs", 16) else { return };
    let step = step(&scratch, InodeGoal::Count(50));
    drop(step.apply(amend()).unwrap());
    let ours = scratch.path().join(NAME);
    let outside = scratch.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("00000000"), "").unwrap();
    std::os::unix::fs::symlink(&outside, ours.join("000007")).unwrap();
    let Reverted::Superseded(found) = step.revert().unwrap() else { panic!("superseded") };
    assert!(found.contains("000007"), "{found}");
    assert!(outside.join("00000000").exists(), "the link was not followed");
    std::fs::remove_file(ours.join("000007")).unwrap();
    assert_eq!(step.revert().unwrap(), Reverted::Undone);
    std::os::unix::fs::symlink(&outside, &ours).unwrap();
    assert_eq!(step.revert().unwrap(), Reverted::Absent, "a link of our name is not our folder");
    assert!(outside.join("00000000").exists());
}

#[test]
fn a_crash_at_any_moment_leaves_what_the_undo_knows() {
    let Some(scratch) = ScratchFileSystem::make("tmpfs", 16) else { return };
    let step = step(&scratch, InodeGoal::Count(10));
    let ours = scratch.path().join(NAME);
    std::fs::create_dir(&ours).unwrap();
    assert_eq!(step.revert().unwrap(), Reverted::Undone, "killed before the marker");
    std::fs::create_dir(&ours).unwrap();
    std::fs::write(ours.join(MARKER), "").unwrap();
    std::fs::create_dir(ours.join("000000")).unwrap();
    assert_eq!(step.revert().unwrap(), Reverted::Undone, "killed before the first file");
    assert!(!ours.exists());
}

#[test]
fn a_disk_with_another_number_is_known_by_its_name_and_one_that_is_not_there_is_waited_for() {
    let Some(scratch) = ScratchFileSystem::make("ext4", 16) else { return };
    let identifier = fstatvfs(open_any_folder(&scratch.path()).unwrap().unwrap()).unwrap().f_fsid;
    assert_ne!(identifier, 0);
    let renumbered = InodeFill {
        device: scratch.device() + 1,
        file_system: Some(identifier),
        ..step(&scratch, InodeGoal::Count(10))
    };
    assert_eq!(renumbered.revert().unwrap(), Reverted::Absent, "it never ran");
    let ours = scratch.path().join(NAME);
    std::fs::create_dir(&ours).unwrap();
    assert_eq!(renumbered.revert().unwrap(), Reverted::Undone);
    let another = InodeFill { file_system: Some(identifier + 1), ..renumbered.clone() };
    assert!(another.revert().unwrap_err().hint.unwrap().contains("mount its disk"));
    let nameless = InodeFill { file_system: None, ..renumbered };
    assert!(nameless.revert().unwrap_err().hint.unwrap().contains("mount its disk"));
}
