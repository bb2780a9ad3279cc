use std::os::unix::fs::PermissionsExt;

use super::{Place, at, both, count};
use crate::store::schema::STEPS;
use crate::store::{Store, StoreAddress, StoreError, VERSION};

#[test]
fn what_was_kept_is_there_after_a_restart() {
    both(|place| async move {
        let store = place.open().await;
        store.submit(&super::run("one", &["a"]), at(0)).await.unwrap();
        store.close().await;
        assert_eq!(place.open().await.run("one").await.unwrap().experiment, "checkout-survives");
    });
}

#[test]
fn many_that_open_a_new_store_at_once_make_its_tables_once() {
    both(|place| async move {
        let opening = (0..12).map(|_| {
            let place = place.clone();
            tokio::spawn(async move { place.open().await })
        });
        let mut stores = Vec::new();
        for opened in opening.collect::<Vec<_>>() {
            stores.push(opened.await.unwrap());
        }
        assert_eq!(count(&stores[0], "SELECT COUNT(*) AS n FROM faultline_schema").await, VERSION);
    });
}

#[test]
fn a_step_of_the_tables_is_made_wholly_or_not_at_all() {
    both(|place| async move {
        let store = place.open().await;
        let with = |step| -> &'static [&'static str] { [STEPS, &[step]].concat().leak() };
        let before = with("CREATE TABLE more (x BIGINT); CREATE TABLE runs (x BIGINT)");
        assert!(store.migrate_once(before, at(0)).await.is_err(), "the second statement cannot work");
        let after = with("CREATE TABLE more (x BIGINT)");
        let done = store.migrate_once(after, at(0)).await.unwrap();
        assert_eq!(done, VERSION + 1, "nothing of the failed step was left");
        assert_eq!(store.migrate_once(after, at(1)).await.unwrap(), VERSION + 1);
    });
}

#[test]
fn tables_of_a_newer_faultline_are_refused() {
    both(|place| async move {
        let store = place.open().await;
        super::around(&store, "INSERT INTO faultline_schema (version, applied_at) VALUES (99, 0)").await;
        store.close().await;
        let error = Store::open(&place.address).await.unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 99, known: VERSION, .. }), "{error}");
        assert!(error.hint().contains("update"));
    });
}

#[tokio::test]
async fn a_file_is_for_its_owner_alone_and_may_have_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new folder/50% #?&ü.db");
    let store = Store::open(&StoreAddress::Sqlite(path.clone())).await.unwrap();
    store.submit(&super::run("one", &["a"]), at(0)).await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        seen += 1;
    }
    assert!(path.exists() && seen >= 2, "the file and its write-ahead log");
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "this is no database, although it is a file that is long enough to be one").unwrap();
    let error = Store::open(&StoreAddress::Sqlite(file.clone())).await.unwrap_err();
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    let error = Store::open(&StoreAddress::Sqlite(file.join("below"))).await.unwrap_err();
    assert!(matches!(error, StoreError::Make { .. }), "{error}");
    let nowhere = format!("postgres:///fleet?user=faultline&password=secret&host={}", folder.path().display());
    let error = Store::open(&nowhere.parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }) && !error.to_string().contains("secret"), "{error}");
}

/// The settings on which the promises rest.
#[test]
fn a_commit_is_on_disk_before_it_is_reported() {
    both(|place| async move {
        let store = place.open().await;
        if place.is_sqlite() {
            use sqlx::Row;
            for pool in [&store.writers, &store.readers] {
                let value = async |sql| sqlx::query(sql).fetch_one(pool).await.unwrap();
                assert_eq!(value("PRAGMA synchronous").await.get::<i64, _>(0), 2, "FULL");
                assert_eq!(value("PRAGMA foreign_keys").await.get::<i64, _>(0), 1);
                assert_eq!(value("PRAGMA busy_timeout").await.get::<i64, _>(0), 10_000);
                assert_eq!(value("PRAGMA journal_mode").await.get::<String, _>(0), "wal");
            }
        } else {
            assert!(store.describe().await.unwrap().contains("synchronous_commit on"));
            super::around(&store, "ALTER ROLE faultline SET synchronous_commit = 'off'").await;
            let words = place.open().await.describe().await.unwrap();
            super::around(&store, "ALTER ROLE faultline RESET synchronous_commit").await;
            assert!(words.contains("synchronous_commit on"), "{words}");
        }
    });
}

#[test]
fn the_store_says_the_time() {
    both(|place: Place| async move {
        let store = place.open().await;
        let before = jiff::Timestamp::now();
        let now = store.now().await.unwrap();
        let apart = now.duration_since(before).abs();
        assert!(apart < jiff::SignedDuration::from_secs(5), "{apart:?}: both clocks are this host's");
    });
}
