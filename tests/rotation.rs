//! The authority of a fleet is replaced while everything goes on, with the real programs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod common;
#[path = "common/database.rs"]
mod database;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use common::fleet::{Fleet, Founding, service, told, victim};
use common::machine::Place;
use serde_json::Value;

fn credentials(state: &Path) -> PathBuf {
    state.join("credentials/credentials.json")
}

fn stored(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn status(fleet: &Fleet) -> Value {
    fleet.ask(&["rotate", "status"])
}

/// Waits until nobody would be cut off by the next step.
fn waits_for_nobody(fleet: &Fleet) {
    fleet.wait_for("everybody to be ready", || status(fleet)["waits"].as_array().unwrap().is_empty());
}

/// A step that is refused, with what is said of it.
fn refused(fleet: &Fleet, step: &str) -> String {
    let output = fleet.client(&["rotate", step]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    told(&output)
}

fn runs(fleet: &Fleet) {
    let process = victim();
    let file = fleet.experiment(process.0.id(), "3s", service());
    let output = fleet.client(&["run", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}

#[test]
fn a_fleet_gets_another_authority_while_it_serves() {
    let Some(mut fleet) = Fleet::new() else { return };
    let (_one, two) = (fleet.host("db-1"), fleet.host("db-2"));
    let before = stored(&credentials(&fleet.path("db-1")));
    let begun = Instant::now();
    let view = fleet.ask(&["rotate", "begin"]);
    assert_eq!((view["step"].as_str(), view["fingerprints"].as_array().unwrap().len()), (Some("begun"), 2), "{view}");
    waits_for_nobody(&fleet);
    let between = stored(&credentials(&fleet.path("db-1")));
    assert_eq!(between["trustBundle"].as_str().unwrap().matches("BEGIN").count(), 2);
    assert_ne!(between["key"], before["key"], "renewed long before it was due");
    println!("both agents trust the next authority after {:.1} s", begun.elapsed().as_secs_f64());
    // One is away while the next one begins to sign.
    drop(two);
    fleet.wait_for("db-2 to be away", || fleet.connected() == ["db-1"]);
    let switched = fleet.ask(&["rotate", "switch"]);
    assert_eq!(switched["fingerprints"][0], view["fingerprints"][1], "{switched}");
    // The port of the API shows a certificate of the next one; who knows the former alone is told what to do.
    let stranger = fleet.client(&["rotate", "status"]).output().unwrap();
    assert!(told(&stranger).contains("`faultline rotate status`") && !stranger.status.success(), "{}", told(&stranger));
    fleet.known_by(&switched["fingerprints"]);
    fleet.wait_for("db-1 to live by the next one", || status(&fleet)["agentsWaitedFor"] == 1);
    assert_eq!(fleet.connected(), ["db-1"]);
    let said = refused(&fleet, "finish");
    assert!(said.contains("1 agents live by a certificate of the former authority: db-2"), "{said}");
    let _two = fleet.start_agent("db-2", Place::Here, "role=db", &[]);
    waits_for_nobody(&fleet);
    let finished = fleet.ask(&["rotate", "finish"]);
    assert_eq!(finished["fingerprints"].as_array().unwrap().len(), 1, "{finished}");
    println!("the former authority is forgotten after {:.1} s", begun.elapsed().as_secs_f64());
    fleet.known_by(&finished["fingerprints"]);
    // For those who use --ca.
    let ca = fleet.path("ca.pem");
    std::fs::write(&ca, fleet.client(&["rotate", "status", "--pem"]).output().unwrap().stdout).unwrap();
    let mut by_file = fleet.client(&["agents", "list", "--ca", ca.to_str().unwrap()]);
    let listed = by_file.env_remove("FAULTLINE_FINGERPRINT").output().unwrap();
    assert!(listed.status.success(), "{}", told(&listed));
    runs(&fleet);

    // A host that still has a certificate of the former one, and would know the controller.
    let mut old = between;
    old["trustBundle"] = stored(&credentials(&fleet.path("db-1")))["trustBundle"].clone();
    let state = fleet.path("old");
    for folder in [state.clone(), state.join("credentials")] {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().mode(0o700).create(folder).unwrap();
    }
    std::fs::write(credentials(&state), old.to_string()).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(credentials(&state), std::fs::Permissions::from_mode(0o600)).unwrap();
    let _old = fleet.start_agent("old", Place::Here, "role=db", &[]);
    let log = || std::fs::read_to_string(fleet.path("old.log")).unwrap();
    // Which of the two it sees first, the refusal or the end of the connection, is left to chance.
    fleet.wait_for("it to be refused", || log().contains("UnknownCA") || log().contains("cannot reach the controller"));
    assert!(!log().contains("the session with the controller stands"), "{}", log());

    // And after a restart.
    fleet.controller = None;
    fleet.serve();
    fleet.wait_for("both to be back", || fleet.connected() == ["db-1", "db-2"]);
    runs(&fleet);
    fleet.ask(&["audit", "verify"]);
}

#[test]
fn two_controllers_follow_each_other_and_the_key_is_brought_by_hand() {
    let Some(store) = database::new() else { return };
    let Some(mut one) = Fleet::founded(Founding { store: Some(store), ..Founding::default() }) else { return };
    let mut two = one.joining();
    one.serve();
    two.serve();
    let _agent = one.host("db-1");
    let sessions = |fleet: &Fleet| fleet.ask(&["agents", "list"])["agents"][0]["controllers"].as_array().unwrap().len();
    one.wait_for("a session with both", || sessions(&one) == 2);
    let begun = one.ask(&["rotate", "begin"]);
    one.known_by(&begun["fingerprints"]);
    two.known_by(&begun["fingerprints"]);
    // The other one trusts the next authority, and cannot sign with it.
    two.wait_for("it to follow", || status(&two)["fingerprints"].as_array().unwrap().len() == 2);
    let said = refused(&two, "switch");
    assert!(said.contains(&two.id()) && said.contains("has not the key of the next authority"), "{said}");
    assert!(said.contains("faultline rotate join"), "{said}");
    let mut join = Command::new(env!("CARGO_BIN_EXE_faultline"));
    join.args(["rotate", "join", "--data"]).arg(two.path("controller"));
    let joined = join.arg("--from").arg(one.path("controller/authority")).output().unwrap();
    assert!(joined.status.success(), "{}", told(&joined));
    waits_for_nobody(&two);
    two.ask(&["rotate", "switch"]);
    one.wait_for("the first to follow", || {
        let view = status(&one);
        view["nextStep"] == "finish" && view["waits"].as_array().unwrap().is_empty()
    });
    let finished = one.ask(&["rotate", "finish"]);
    for fleet in [&mut one, &mut two] {
        fleet.known_by(&finished["fingerprints"]);
        fleet.wait_for("it to forget", || status(fleet)["fingerprints"].as_array().unwrap().len() == 1);
        let kept = stored(&fleet.path("controller/authority/authority.json"));
        assert_eq!(kept["authorities"].as_array().unwrap().len(), 1);
    }
    one.wait_for("a session with both", || sessions(&two) == 2);
    runs(&two);
    runs(&one);
}
