use proptest::prelude::*;

use super::*;
use crate::identity::ProcessIdentity;
use crate::lease::BootTime;
use crate::plan::{Plan, Step, step};

fn journal() -> (tempfile::TempDir, Journal) {
    let scratch = tempfile::tempdir().unwrap();
    let state = StateFolder::resolve(Some(&scratch.path().join("state"))).unwrap();
    (scratch, Journal::of(&state))
}

fn record(number: u64) -> Record {
    let own = ProcessIdentity::own().unwrap();
    Record {
        run: Some("20260101T000000-abcdef".into()),
        boot_id: crate::identity::boot_id().unwrap(),
        worker: own,
        guard: None,
        since: "2026-01-01T00:00:00Z".into(),
        deadline: BootTime::now(),
        state: FaultState::Intended,
        steps: vec![StepStatus::Pending],
        plan: Plan {
            id: FaultId::from_number(number),
            fault: "process-pause".into(),
            targets: vec![],
            dose: vec![],
            steps: vec![Step::ProcessPause(step::ProcessPause { processes: vec![own], ..Default::default() })],
            notes: vec![],
        },
    }
}

#[test]
fn a_record_reads_back_and_is_forgotten_with_its_lock() {
    let (_scratch, journal) = journal();
    let record = record(1);
    let lock = journal.lock(record.id(), Duration::ZERO).unwrap().unwrap();
    journal.write(&record).unwrap();
    assert_eq!(journal.read_all().unwrap(), [Found::Record(Box::new(record.clone()))]);
    assert!(journal.lock(record.id(), Duration::from_millis(5)).unwrap().is_none());
    journal.forget(record.id(), lock).unwrap();
    assert_eq!(fs::read_dir(journal.folder()).unwrap().count(), 0);
}

#[test]
fn a_torn_file_beside_its_place_is_tidied_and_no_record() {
    let (_scratch, journal) = journal();
    let torn = journal.folder().join(".000000000001.tmp");
    fs::write(&torn, "{\"version\":1,\"crc").unwrap();
    assert_eq!(journal.read_all().unwrap(), []);
    journal.tidy();
    assert!(!torn.exists());
}

#[test]
fn tidying_leaves_alone_what_somebody_holds() {
    let (_scratch, journal) = journal();
    let id = FaultId::from_number(1);
    let lock = journal.lock(&id, Duration::ZERO).unwrap().unwrap();
    let half = journal.folder().join(format!(".{id}.tmp"));
    fs::write(&half, "").unwrap();
    journal.tidy();
    assert!(half.exists() && journal.lock_path(&id).exists());
    drop(lock);
    journal.tidy();
    assert!(!half.exists() && !journal.lock_path(&id).exists());
}

#[test]
fn a_record_of_another_version_or_name_is_reported() {
    let (_scratch, journal) = journal();
    let record = record(7);
    journal.write(&record).unwrap();
    let text = fs::read_to_string(journal.path(record.id())).unwrap();
    fs::write(journal.path(record.id()), text.replace("\"version\":1", "\"version\":2")).unwrap();
    fs::write(journal.folder().join("000000000008.json"), &text).unwrap();
    let reasons: Vec<String> = journal
        .read_all()
        .unwrap()
        .into_iter()
        .map(|found| match found {
            Found::Unreadable { reason, .. } => reason,
            Found::Record(_) => panic!("read as a record"),
        })
        .collect();
    assert!(reasons[0].contains("version 2") && reasons[1].contains("under another name"), "{reasons:?}");
}

#[test]
fn a_pipe_a_link_and_a_huge_file_are_no_records_and_hold_nobody_up() {
    let (_scratch, journal) = journal();
    let at = |number: u64| journal.path(&FaultId::from_number(number));
    nix::unistd::mkfifo(&at(1), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at(2)).unwrap();
    File::create(at(3)).unwrap().set_len(1 << 30).unwrap();
    for found in journal.read_all().unwrap() {
        assert!(matches!(&found, Found::Unreadable { reason, .. } if reason.contains("plain file")), "{found:?}");
    }
    assert_eq!(journal.read_all().unwrap().len(), 3);
}

#[test]
fn the_reserve_lets_a_record_be_written_on_a_full_file_system() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: mounting a tmpfs of a known size needs root");
        return;
    }
    struct Mounted(tempfile::TempDir);
    impl Drop for Mounted {
        fn drop(&mut self) {
            nix::mount::umount(self.0.path()).unwrap();
        }
    }
    let scratch = tempfile::tempdir().unwrap();
    nix::mount::mount(
        Some("tmpfs"),
        scratch.path(),
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        Some("size=256k,mode=0700"),
    )
    .unwrap();
    let scratch = Mounted(scratch);
    let state = StateFolder::resolve(Some(scratch.0.path())).unwrap();
    let journal = Journal::of(&state);
    journal.keep_reserve().unwrap();
    let _ = fs::write(state.path().join("ballast"), vec![0; 1 << 20]);
    assert!(fs::write(state.path().join("more"), [0; 4096]).is_err(), "not full");
    journal.write(&record(1)).unwrap();
    assert_eq!(journal.read_all().unwrap().len(), 1);
}

proptest! {
    #[test]
    fn no_damage_goes_unnoticed(at in 0usize..4096, flip in 1u8..=255) {
        let record = record(1);
        let mut text = envelope::seal(&record).unwrap();
        let at = at % text.len();
        text[at] ^= flip;
        prop_assert!(envelope::open(&text).is_err());
        prop_assert!(envelope::open(&text[..at]).is_err());
    }
}
