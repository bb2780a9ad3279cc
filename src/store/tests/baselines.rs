use super::{at, both};
use crate::store::{KeptBaseline, Refusal};

#[test]
fn a_baseline_is_changed_only_by_who_has_read_it() {
    both(|place| async move {
        let store = place.open().await;
        assert_eq!(store.baseline("main").await.unwrap(), None);
        assert_eq!(store.keep_baseline("main", 0, "one", "ann", at(1)).await.unwrap(), 1);
        for (given, current) in [(0, 1), (7, 1)] {
            let refused = store.keep_baseline("main", given, "two", "bob", at(2)).await.unwrap_err();
            let changed = Refusal::Changed { kind: "baseline", name: "main".into(), given, current };
            assert_eq!(refused.refusal(), Some(&changed));
        }
        assert_eq!(store.keep_baseline("main", 1, "two", "bob", at(2)).await.unwrap(), 2);
        let kept = place.open().await.baseline("main").await.unwrap();
        assert_eq!(kept, Some(KeptBaseline { version: 2, document: "two".into() }));
        assert_eq!(store.baseline("other").await.unwrap(), None);
        let unknown = store.keep_baseline("other", 3, "", "ann", at(3)).await.unwrap_err();
        assert!(matches!(unknown.refusal(), Some(Refusal::Changed { current: 0, .. })));
    });
}
