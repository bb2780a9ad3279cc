//! A controller that is killed at any moment leaves the store whole: a process of its own, ended by SIGKILL.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::{LEASE, Place, at, both, by, count, nightly, run};
use crate::audit::Deed;
use crate::store::runs::{NewRun, Origin, RunState};
use crate::store::transaction::Under;
use crate::store::{DefinitionKind, SlotClaim, Store, StoreError};

const ADDRESS: &str = "FAULTLINE_TEST_STORE";
const TASK: &str = "FAULTLINE_TEST_TASK";

/// A process that does `task` with the store until it is killed.
struct Controller {
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Controller {
    fn start(place: &Place, task: &str) -> Self {
        let address = match &place.address {
            crate::store::StoreAddress::Sqlite(path) => format!("sqlite:{}", path.display()),
            crate::store::StoreAddress::Postgres(url) => url.clone(),
        };
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::crash::a_controller", "--ignored", "--nocapture"])
            .env(ADDRESS, address)
            .env(TASK, task)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        Self { process, said }
    }

    /// Reads on until it says this.
    fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        while line.trim_end() != word {
            line.clear();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "it ended before it said `{word}`");
        }
    }

    /// The next line that it says.
    fn wait_for_more(&mut self) -> String {
        let mut line = String::new();
        assert!(self.said.read_line(&mut line).unwrap() > 0, "it ended");
        line.trim_end().to_owned()
    }

    /// Kills it, and returns what it said since.
    fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        let status = self.process.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "it lived until it was killed");
        self.said.lines().map_while(Result::ok).collect()
    }
}

#[test]
#[ignore = "the process that the tests of this file start and kill"]
fn a_controller() {
    let (Ok(address), Ok(task)) = (std::env::var(ADDRESS), std::env::var(TASK)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(&address.parse().unwrap()).await.unwrap();
        match task.as_str() {
            "stop in the middle" => stop_in_the_middle(&store).await,
            round => work(&store, round).await,
        }
    });
}

/// The middle of a claim: the run is marked and one host locked, nothing is committed.
async fn stop_in_the_middle(store: &Store) {
    let mut work = store.begin(Under::Runs).await.unwrap();
    for statement in [
        "UPDATE runs SET state = 'claimed', controller = 'dead', epoch = epoch + 1, lease_until = 0 WHERE id = 'one'",
        "INSERT INTO host_locks (host, run, shared, since) VALUES ('a', 'one', 0, 0)",
    ] {
        sqlx::query(statement).execute(work.on()).await.unwrap();
    }
    println!("\nin the middle");
    std::future::pending::<()>().await;
}

/// Fires, claims, finishes and records, and says what it was told is done.
async fn work(store: &Store, round: &str) {
    println!("\nworking");
    for number in 0_i64.. {
        let slot = at(number + 1_000_000 * round.parse::<i64>().unwrap());
        let origin = Origin::Schedule { name: "nightly".into(), slot };
        let id = format!("{round}-{number}");
        let new = NewRun { origin, ..run(&id, &[&format!("h{}", number % 3), &format!("h{}", 3 + number % 5)]) };
        let claim = store.claim_slot(&nightly(1, slot), false, &new, at(number)).await.unwrap();
        assert!(matches!(claim, SlotClaim::Fired(_)), "{claim:?}");
        println!("fired {id}");
        if let Some(mine) = store.claim_next("c", LEASE, at(number)).await.unwrap() {
            let deed = Deed::new("controller/c", "run.claim", &mine.id, "done", &serde_json::json!({ "n": number }));
            store.append_audit(&deed, at(number)).await.unwrap();
            if number % 4 != 0 {
                store.finish(&mine.id, mine.epoch, "held", "", at(number)).await.unwrap();
                println!("finished {}", mine.id);
            }
        }
        let owned = store.reclaim("c", LEASE, at(number)).await.unwrap();
        if let [first, .., _] = owned.as_slice() {
            store.finish(&first.id, first.epoch, "aborted", "", at(number)).await.unwrap();
            println!("finished {}", first.id);
        }
    }
}

#[test]
fn a_claim_that_is_killed_in_its_middle_was_never_made() {
    both(|place| async move {
        let store = place.open().await;
        store.submit(&run("one", &["a", "b"]), at(0)).await.unwrap();
        let mut controller = Controller::start(&place, "stop in the middle");
        controller.wait_for("in the middle");
        let before = store.run("one").await.unwrap();
        assert_eq!(before.state, RunState::Queued, "what is not committed is not seen");
        controller.kill();
        let began = std::time::Instant::now();
        let claimed = store.claim_next("c", LEASE, at(1)).await.unwrap().unwrap();
        assert_eq!((claimed.id.as_str(), claimed.epoch), ("one", 1));
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM host_locks WHERE run = 'one' AND since > 0").await, 2);
        assert!(began.elapsed() < Duration::from_secs(5), "the dead one's lock is gone: {:?}", began.elapsed());
    });
}

#[test]
fn a_store_is_whole_whenever_its_controller_is_killed() {
    both(|place| async move {
        let store = place.open().await;
        store.create_definition(DefinitionKind::Schedule, "nightly", "kind: Schedule", by("ann"), at(0)).await.unwrap();
        let mut told = BTreeSet::new();
        for round in 1..=8_u64 {
            let mut controller = Controller::start(&place, &round.to_string());
            controller.wait_for("working");
            let first = controller.wait_for_more();
            tokio::time::sleep(Duration::from_millis(20 + 13 * round)).await;
            told.extend(controller.kill().into_iter().chain([first]).filter(|line| line.starts_with("fi")));
            whole(&store).await;
        }
        let fired = told.iter().filter_map(|line| line.strip_prefix("fired "));
        for run in fired {
            store.run(run).await.expect("what was reported as done is there");
        }
        for run in told.iter().filter_map(|line| line.strip_prefix("finished ")) {
            assert_eq!(store.run(run).await.unwrap().state, RunState::Finished);
        }
        println!("{:?}: {} answers, all kept", place.address, told.len());
        assert!(told.len() >= 8, "{told:?}");
    });
}

async fn whole(store: &Store) {
    let rules = [
        ("a slot that fired without its run", "SELECT COUNT(*) AS n FROM slots WHERE run NOT IN (SELECT id FROM runs)"),
        ("a run without its slot", "SELECT COUNT(*) AS n FROM runs WHERE id NOT IN (SELECT run FROM slots)"),
        (
            "a run without its document",
            "SELECT COUNT(*) AS n FROM runs WHERE id NOT IN (SELECT run FROM run_documents)",
        ),
        (
            "a run without its hosts",
            "SELECT COUNT(*) AS n FROM runs r WHERE (SELECT COUNT(*) FROM run_hosts h WHERE h.run = r.id) <> 2",
        ),
        (
            "an owned run without its locks",
            "SELECT COUNT(*) AS n FROM runs r WHERE state = 'claimed' AND (SELECT COUNT(*) FROM host_locks l WHERE l.run = r.id) <> 2",
        ),
        (
            "a lock of a run that nobody has",
            "SELECT COUNT(*) AS n FROM host_locks WHERE run NOT IN (SELECT id FROM runs WHERE state = 'claimed')",
        ),
    ];
    for (what, sql) in rules {
        assert_eq!(count(store, sql).await, 0, "{what}");
    }
    store.verify_audit(None).await.unwrap();
}

/// A connection that the server ends, as it does when it is stopped, is told as such and replaced.
#[test]
fn a_lost_connection_is_told_and_the_next_call_has_a_new_one() {
    both(|place| async move {
        if place.is_sqlite() {
            return;
        }
        let store = place.open().await;
        store.submit(&run("one", &["a"]), at(0)).await.unwrap();
        let other = place.open().await;
        let change = async || {
            let mut work = store.begin(Under::Runs).await?;
            super::around(
                &other,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await;
            sqlx::query("UPDATE runs SET epoch = 7").execute(work.on()).await?;
            work.commit().await
        };
        let error = store.done("test", change).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }) && error.is_transient(), "{error}");
        assert_eq!(store.run("one").await.unwrap().epoch, 0);
        store.claim_next("c", LEASE, at(1)).await.unwrap().unwrap();
    });
}
