use super::{at, both};

#[test]
fn what_a_run_spent_is_kept_once_and_read_by_time() {
    both(|place| async move {
        let store = place.open().await;
        store.keep_spending("two", at(20), "2").await.unwrap();
        store.keep_spending("one", at(10), "1").await.unwrap();
        store.keep_spending("two", at(20), "later").await.unwrap();
        assert_eq!(store.spendings(at(0)).await.unwrap(), ["1", "2"]);
        assert_eq!(place.open().await.spendings(at(11)).await.unwrap(), ["2"]);
    });
}
