//! A PostgreSQL for the tests of this process alone: the one that the tests of the store have.

use faultline::store::StoreAddress;

#[path = "../../src/store/tests/postgres.rs"]
mod cluster;

/// The URL of a new, empty database; nothing, and a printed reason, where there is no PostgreSQL.
pub(crate) fn new() -> Option<String> {
    let cluster = match cluster::Cluster::get() {
        Ok(cluster) => cluster,
        Err(reason) => {
            println!("skipped: {reason}");
            return None;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match runtime.block_on(cluster.database()) {
        StoreAddress::Postgres(url) => Some(url),
        StoreAddress::Sqlite(_) => None,
    }
}
