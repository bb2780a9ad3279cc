use std::sync::Mutex;

use rustix::fs::statvfs;

use super::super::scratch_file_system::ScratchFileSystem;
use super::*;
use crate::units::{ByteRate, Bytes as Count, Percent};

type Journal = Arc<Mutex<Vec<SpaceFill>>>;

fn journal() -> (Journal, Arc<Amend<'static>>) {
    let journal = Journal::default();
    let copy = Arc::clone(&journal);
    let amend = move |step: &Step| match step {
        Step::SpaceFill(step) => {
            copy.lock().unwrap().push(step.clone());
            Ok(())
        }
        other => panic!("{other:?}"),
    };
    (journal, Arc::new(amend))
}

fn step(scratch: &ScratchFileSystem, goal: SpaceGoal) -> SpaceFill {
    let (folder, device) = (scratch.path(), scratch.device());
    SpaceFill { folder, device, goal, speed: None, scratch_name: None, inode: None }
}

fn percent(number: f64) -> SpaceGoal {
    SpaceGoal::ToPercent(Percent::new(number).unwrap())
}

fn measured(evidence: &Evidence, name: &str) -> f64 {
    evidence.measurements.iter().find(|one| one.name == name).map_or(f64::NAN, |one| one.measured)
}

/// Used, available and free blocks.
fn count(scratch: &ScratchFileSystem) -> (u64, u64, u64) {
    let found = statvfs(scratch.path()).unwrap();
    (found.f_blocks - found.f_bfree, found.f_bavail, found.f_bfree)
}

/// Fills, looks, and takes it back; the result of looking and the evidence are checked by the caller's closures.
fn fill_and_undo(scratch: &ScratchFileSystem, step: &SpaceFill, look: impl FnOnce(&Evidence)) {
    let before = count(scratch);
    assert_eq!(step.revert().unwrap(), Reverted::Absent, "it never ran");
    let (written, amend) = journal();
    let hold = step.apply(amend).unwrap().unwrap();
    let evidence = hold.evidence();
    look(&evidence);
    let amended = written.lock().unwrap().last().cloned().unwrap();
    assert!(amended.is_present().unwrap());
    assert_eq!(amended.measure().unwrap().bite, Bite::Yes);
    drop(hold);
    assert!(!amended.is_present().unwrap());
    assert_eq!(amended.revert().unwrap(), Reverted::Undone);
    scratch.is_again(&true, || before.2.abs_diff(count(scratch).2) <= 16);
}

fn exact(kind: &str, mebibytes: u64, tolerance: u64) {
    let Some(scratch) = ScratchFileSystem::make(kind, mebibytes) else { return };
    let block = statvfs(scratch.path()).unwrap().f_frsize;
    for goal in [42.0, 90.0, 99.0] {
        fill_and_undo(&scratch, &step(&scratch, percent(goal)), |evidence| {
            assert_eq!(evidence.bite, Bite::Yes, "{kind} {goal}: {evidence:?}");
            let (used, available, _) = count(&scratch);
            let wanted = goal / 100.0 * (used + available) as f64;
            assert!(
                (used as f64 - wanted).abs() <= tolerance as f64 + 0.5,
                "{kind} {goal}: {used} for {wanted}: {evidence:?}"
            );
            assert!((measured(evidence, "filled") - goal).abs() < 0.01 * tolerance as f64, "{evidence:?}");
        });
    }
    let free = SpaceGoal::LeaveFree(Count::new(30 << 20));
    fill_and_undo(&scratch, &step(&scratch, free), |evidence| {
        let (_, available, _) = count(&scratch);
        assert!((available * block).abs_diff(30 << 20) <= tolerance * block, "{kind}: {} left", available * block);
        assert_eq!(evidence.bite, Bite::Yes);
    });
    let bytes = SpaceGoal::Bytes(Count::new((40 << 20) + 1));
    fill_and_undo(&scratch, &step(&scratch, bytes), |evidence| {
        let taken = measured(evidence, "space taken");
        let wanted = ((40 << 20) + block) as f64;
        assert!((taken - wanted).abs() <= block as f64, "{kind}: {taken} for {wanted}");
        assert_eq!(evidence.bite, Bite::Yes);
    });
}

#[test]
fn ext4_is_filled_to_the_block() {
    exact("ext4", 256, 1);
}

#[test]
fn ext2_has_no_fallocate_and_is_written_to_the_block() {
    exact("ext2", 64, 1);
}

#[test]
fn xfs_is_filled_to_the_block() {
    exact("xfs", 400, 1);
}

#[test]
fn tmpfs_is_filled_to_the_block() {
    exact("tmpfs", 128, 1);
}

#[test]
fn overlay_is_filled_on_its_upper_layer_to_the_block() {
    exact("overlay", 256, 1);
}

#[test]
fn btrfs_is_filled_as_near_as_it_counts() {
    exact("btrfs", 512, 64);
}

#[test]
fn a_full_disk_is_full_for_users_while_root_keeps_its_blocks() {
    let Some(scratch) = ScratchFileSystem::make("ext4", 128) else { return };
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(scratch.path(), open).unwrap();
    let write_as = |user: u32, name: &str| {
        let target = format!("of={}", scratch.path().join(name).display());
        let mut command = std::process::Command::new("dd");
        std::os::unix::process::CommandExt::uid(&mut command, user);
        command.args(["if=/dev/zero", "bs=64k", "count=1", "conv=fsync", &target]).stderr(std::process::Stdio::null());
        command.status().unwrap().success()
    };
    assert!(write_as(65534, "before"));
    let reserved = count(&scratch);
    assert!(reserved.2 > reserved.1, "mkfs keeps blocks for root");
    fill_and_undo(&scratch, &step(&scratch, percent(100.0)), |evidence| {
        let (_, available, free) = count(&scratch);
        assert!(
            available <= 1 && free + 8 >= reserved.2 - reserved.1,
            "{available} available, {free} free: {evidence:?}"
        );
        assert!(!write_as(65534, "during"), "an ordinary user finds the disk full");
        assert!(write_as(0, "root"), "root still has its blocks");
        let df = std::process::Command::new("df").arg("--output=pcent").arg(scratch.path()).output().unwrap();
        assert!(String::from_utf8_lossy(&df.stdout).contains("100%"));
        std::fs::remove_file(scratch.path().join("root")).unwrap();
        let _ = std::fs::remove_file(scratch.path().join("during"));
    });
}

#[test]
fn a_limited_speed_is_kept_and_the_goal_still_exact() {
    let Some(scratch) = ScratchFileSystem::make("ext4", 256) else { return };
    let goal = SpaceGoal::Bytes(Count::new(50 << 20));
    let speed = "100MiB/s".parse::<ByteRate>().ok();
    let slow = SpaceFill { speed, ..step(&scratch, goal) };
    let begun = std::time::Instant::now();
    let hold = slow.apply(journal().1).unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_millis(400), "it does not wait for a slow fill");
    let mut partly = 0;
    loop {
        let evidence = hold.evidence();
        let taken = measured(&evidence, "space taken") / f64::from(1 << 20);
        let due = begun.elapsed().as_secs_f64() * 100.0;
        // The file system's own blocks for a file of this size.
        assert!(taken <= due + 0.1, "{taken} MiB when {due} were due");
        partly += u32::from(taken > 1.0 && matches!(evidence.bite, Bite::NotYet(_)));
        if evidence.bite == Bite::Yes {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{evidence:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(partly > 0, "it was seen on its way");
    assert!(begun.elapsed() >= Duration::from_millis(490), "{:?}", begun.elapsed());
    assert_eq!(measured(&hold.evidence(), "filled"), f64::from(50 << 20));
}

#[test]
fn undone_in_the_middle_of_filling_nothing_is_left() {
    let Some(scratch) = ScratchFileSystem::make("ext4", 256) else { return };
    let before = count(&scratch);
    let slow = SpaceFill { speed: "10MiB/s".parse().ok(), ..step(&scratch, percent(90.0)) };
    let hold = slow.apply(journal().1).unwrap().unwrap();
    let begun = std::time::Instant::now();
    while count(&scratch).0 == before.0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    let begun = std::time::Instant::now();
    drop(hold);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    scratch.is_again(&before, || count(&scratch));
}

#[test]
fn a_killed_holder_gives_everything_back_and_one_who_lives_on_is_named() {
    let Some(scratch) = ScratchFileSystem::make("ext4", 128) else { return };
    let before = count(&scratch);
    // Somebody else who got the file: a child that inherits the descriptor as its standard input.
    let (written, amend) = journal();
    let hold = step(&scratch, percent(50.0)).apply(amend).unwrap().unwrap();
    let amended = written.lock().unwrap().last().cloned().unwrap();
    let own = format!("/proc/{}/fd", std::process::id());
    let descriptors = std::fs::read_dir(own).unwrap().flatten().map(|entry| entry.path());
    let held = descriptors.into_iter().find(|path| {
        std::fs::metadata(path).is_ok_and(|found| std::os::unix::fs::MetadataExt::ino(&found) == amended.inode.unwrap())
    });
    let file = std::fs::OpenOptions::new().read(true).write(true).open(held.unwrap()).unwrap();
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 1 << 20).unwrap();
    let mut child = std::process::Command::new("sleep").arg("1000").stdin(file).spawn().unwrap();
    drop(hold);
    let error = amended.revert().unwrap_err();
    assert!(error.hint.as_ref().is_some_and(|hint| hint.contains(&child.id().to_string())), "{error:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(amended.revert().unwrap(), Reverted::Undone);
    scratch.is_again(&before, || count(&scratch));
}

#[test]
fn a_name_left_by_a_crash_is_removed_and_nothing_else() {
    let Some(scratch) = ScratchFileSystem::make("tmpfs", 16) else { return };
    let crashed = SpaceFill { scratch_name: Some(".faultline-00000000002a".into()), ..step(&scratch, percent(50.0)) };
    let name = scratch.path().join(".faultline-00000000002a");
    std::fs::write(&name, "x").unwrap();
    assert!(crashed.is_present().unwrap());
    assert_eq!(crashed.revert().unwrap(), Reverted::Undone);
    assert!(!name.exists());
    std::fs::create_dir(&name).unwrap();
    assert_eq!(crashed.revert().unwrap(), Reverted::Absent, "a folder is not ours");
    assert!(name.exists());
    let elsewhere = SpaceFill { device: crashed.device + 1, ..crashed };
    assert_eq!(elsewhere.revert().unwrap(), Reverted::Absent);
    assert!(elsewhere.apply(journal().1).is_err(), "another file system is mounted there");
}

#[test]
fn nothing_is_filled_that_is_not_written_down() {
    let Some(scratch) = ScratchFileSystem::make("tmpfs", 16) else { return };
    let before = count(&scratch);
    let full: Arc<Amend<'static>> = Arc::new(|_: &Step| Err(ErrorKind::StorageFull.into()));
    assert!(step(&scratch, percent(50.0)).apply(full).is_err());
    scratch.is_again(&before, || count(&scratch));
}
