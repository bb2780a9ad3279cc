use std::fs;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::lab::{
    Lab, PORT, SERVER_4, SERVER_6, apply, assert_takes, can_run, connect, delay, round_trip, selection, undo,
};

/// The system's resolver reads `/etc/hosts`, which this test replaces for one thread, in a mount namespace of its own.
#[test]
fn a_host_name_that_moves_takes_the_fault_along() {
    if !can_run() {
        return;
    }
    let test = std::thread::spawn(|| {
        let scratch = tempfile::tempdir().unwrap();
        let hosts = scratch.path().join("hosts");
        fs::write(&hosts, format!("{SERVER_4} moving.faultline.test\n")).unwrap();
        unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        mount(Some(&hosts), "/etc/hosts", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();

        let lab = Lab::new();
        let trip = |address: &str| lab.client(|| round_trip(&mut connect(address, PORT).unwrap()).unwrap());
        let mut chosen = selection(lab.client_namespace());
        chosen.host_names = vec!["moving.faultline.test".into()];
        let step = delay(chosen, 30);
        let hold = apply(&step);
        assert_takes(30.0, || trip(SERVER_4));
        assert_takes(0.0, || trip(SERVER_6));

        // Written in place: the mount shows this very file.
        fs::write(&hosts, format!("{SERVER_6} moving.faultline.test\n")).unwrap();
        let moved = Instant::now();
        while trip(SERVER_6) < 30.0 {
            assert!(moved.elapsed() < Duration::from_secs(20), "the name is not resolved again");
            std::thread::sleep(Duration::from_millis(100));
        }
        println!("the fault followed the name after {:?}", moved.elapsed());
        assert_takes(0.0, || trip(SERVER_4));

        // A name that is gone keeps the addresses that it had.
        fs::write(&hosts, "").unwrap();
        std::thread::sleep(Duration::from_secs(6));
        assert_takes(30.0, || trip(SERVER_6));
        undo(&step, hold);
    });
    test.join().unwrap();
}
