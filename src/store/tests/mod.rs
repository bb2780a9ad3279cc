//! Every test runs against a fresh SQLite file and against a fresh database of a PostgreSQL of its own.

mod approvals;
mod audit;
mod baselines;
mod budgets;
mod concurrency;
mod crash;
mod fleet;
mod game_days;
mod history;
mod once;
mod opening;
mod outbox;
mod postgres;
mod rotation;
mod runs;
mod schedules;
mod tokens;
mod unclean;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use self::postgres::Cluster;
use super::runs::{NewRun, Origin};
use super::{Kind, Occasion, Store, StoreAddress};

/// A place for a store, empty at first, and gone with this value.
#[derive(Debug, Clone)]
struct Place {
    address: StoreAddress,
    _folder: Option<Arc<tempfile::TempDir>>,
}

impl Place {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = StoreAddress::in_folder(folder.path());
        Self { address, _folder: Some(Arc::new(folder)) }
    }

    async fn postgres(cluster: &Cluster) -> Self {
        Self { address: cluster.database().await, _folder: None }
    }

    async fn open(&self) -> Store {
        Store::open(&self.address).await.unwrap()
    }

    fn is_sqlite(&self) -> bool {
        matches!(self.address, StoreAddress::Sqlite(_))
    }
}

/// Runs a test against both stores.
fn both<F: Future<Output = ()>>(test: impl Fn(Place) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(test(Place::sqlite()));
    match Cluster::get() {
        Ok(cluster) => runtime.block_on(async { test(Place::postgres(cluster).await).await }),
        Err(reason) => println!("skipped: the store on PostgreSQL: {reason}"),
    }
}

/// So many seconds after the start of the tests' time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A slot of the schedule `nightly`.
fn nightly(version: i64, slot: Timestamp) -> Occasion<'static> {
    Occasion { schedule: "nightly", version, rule: "nightly", slot }
}

const LEASE: Duration = Duration::from_secs(10);

fn run(id: &str, hosts: &[&str]) -> NewRun {
    NewRun {
        id: id.to_owned(),
        experiment: "checkout-survives".to_owned(),
        labels: BTreeMap::from([("team".to_owned(), "payments".to_owned())]),
        document: "kind: Experiment # as it was written\n".to_owned(),
        seed: u64::MAX - 6,
        plan: r#"{"b": 1, "a": [0.1]}"#.to_owned(),
        plan_hash: "5eed".to_owned(),
        hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
        shared_hosts: false,
        requested_by: "token/ann".to_owned(),
        origin: Origin::Api,
        approvals_needed: 0,
        not_before: None,
        deadline: None,
    }
}

/// Executes SQL around the store, as somebody with access to the database could.
async fn around(store: &Store, sql: &'static str) -> u64 {
    use sqlx::Executor;
    store.writers.execute(sqlx::raw_sql(sql)).await.unwrap().rows_affected()
}

async fn count(store: &Store, sql: &'static str) -> i64 {
    use super::columns::Columns;
    sqlx::query(sql).fetch_one(&store.readers).await.unwrap().number("n").unwrap()
}

#[test]
fn a_place_is_what_it_says() {
    both(|place| async move {
        let store = place.open().await;
        assert_eq!(store.kind == Kind::Sqlite, place.is_sqlite());
        let words = store.describe().await.unwrap();
        assert!(words.starts_with(if place.is_sqlite() { "SQLite 3." } else { "PostgreSQL " }), "{words}");
    });
}

/// Somebody who may do everything.
fn by(name: &str) -> super::Author<'_> {
    super::Author { name, scope: "*" }
}
