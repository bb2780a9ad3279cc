//! Hosts on which a run may have left something.

use serde_json::json;

use super::{LEASE, at, both, run};
use crate::audit::Deed;
use crate::store::runs::NewRun;
use crate::store::{AuditFilter, Leftover, Leftovers, Refusal, Store, UncleanHost};

fn left(what: &str) -> Vec<Leftover> {
    vec![Leftover { fault: Some("0123456789ab".into()), what: what.into() }]
}

fn on(hosts: &[&str]) -> Leftovers {
    Leftovers::On(hosts.iter().map(|host| ((*host).to_owned(), left("network-latency on db"))).collect())
}

async fn unclean(store: &Store) -> Vec<(String, String)> {
    store.unclean_hosts().await.unwrap().into_iter().map(|unclean| (unclean.host, unclean.run)).collect()
}

fn named(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(host, run)| ((*host).to_owned(), (*run).to_owned())).collect()
}

#[test]
fn a_run_names_the_hosts_it_left_unclean_in_the_moment_in_which_it_finishes() {
    both(|place| async move {
        let store = place.open().await;
        for (id, hosts, submitted) in
            [("one", &["a", "b", "c"][..], 0), ("two", &["a", "b"], 1), ("three", &["d", "e"], 2)]
        {
            store.submit(&run(id, hosts), at(submitted)).await.unwrap();
        }
        store.claim_next("c1", LEASE, at(2)).await.unwrap().unwrap();
        // Who was replaced says nothing of what is left.
        let refused = store.finish_leaving("one", 7, "cleanup-unverified", "", &on(&["a"]), at(2)).await;
        assert!(matches!(refused.unwrap_err().refusal(), Some(Refusal::TakenOver { .. })));
        assert_eq!(unclean(&store).await, []);
        store.finish_leaving("one", 1, "cleanup-unverified", "", &on(&["b", "a"]), at(2)).await.unwrap();
        let all = store.unclean_hosts().await.unwrap();
        let first =
            UncleanHost { host: "a".into(), run: "one".into(), left: left("network-latency on db"), since: at(2) };
        assert_eq!((all.len(), &all[0], all[1].host.as_str()), (2, &first, "b"), "c was seen to be clean");
        // Whoever claims another run on it knows by then: what it does about that is decided with the rest of the fleet.
        let next = store.claim_next("c1", LEASE, at(3)).await.unwrap().unwrap();
        assert_eq!(next.id, "two");
        store.finish("two", 1, "refused", "", at(4)).await.unwrap();
        assert_eq!(
            unclean(&store).await,
            named(&[("a", "one"), ("b", "one")]),
            "a run that left nothing changes nothing"
        );
        // Nobody can say what the third left.
        store.claim_next("c1", LEASE, at(5)).await.unwrap().unwrap();
        let unknown = Leftovers::Unknown("its journal cannot be read".into());
        store.finish_leaving("three", 1, "cleanup-unverified", "", &unknown, at(6)).await.unwrap();
        let all = store.unclean_hosts().await.unwrap();
        assert_eq!((all[2].host.as_str(), all[3].host.as_str()), ("d", "e"));
        assert_eq!(all[3].left, [Leftover { fault: None, what: "its journal cannot be read".into() }]);
    });
}

#[test]
fn what_is_acknowledged_is_what_was_left_there_by_whichever_run_and_outlives_the_run() {
    both(|place| async move {
        let store = place.open().await;
        for id in ["one", "two"] {
            let shared = NewRun { shared_hosts: true, ..run(id, &["a", "b"]) };
            store.submit(&shared, at(0)).await.unwrap();
            store.claim_next("c1", LEASE, at(1)).await.unwrap().unwrap();
        }
        for id in ["one", "two"] {
            store.finish_leaving(id, 1, "cleanup-unverified", "", &on(&["a", "b"]), at(2)).await.unwrap();
        }
        assert!(store.forget_run("one").await.unwrap());
        let acknowledged = store.acknowledge_unclean("a").await.unwrap();
        assert_eq!(acknowledged.iter().map(|unclean| unclean.run.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(store.acknowledge_unclean("a").await.unwrap(), []);
        assert_eq!(store.acknowledge_unclean("z").await.unwrap(), []);
        assert_eq!(unclean(&store).await, named(&[("b", "one"), ("b", "two")]));
    });
}

#[test]
fn that_a_host_is_clean_is_written_to_the_audit_log_with_it_and_once() {
    both(|place| async move {
        let store = place.open().await;
        store.submit(&run("one", &["a"]), at(0)).await.unwrap();
        store.claim_next("c1", LEASE, at(1)).await.unwrap().unwrap();
        store.finish_leaving("one", 1, "cleanup-unverified", "", &on(&["a"]), at(2)).await.unwrap();
        let seen = store.unclean_hosts().await.unwrap().remove(0);
        let deed = Deed::new("agent/a", "acknowledge", "agent/a", "done", &json!({ "run": "one" }));
        let other = UncleanHost { left: left("something else"), ..seen.clone() };
        assert!(!store.host_is_clean(&other, &deed, at(3)).await.unwrap(), "more was left than was looked at");
        assert!(store.host_is_clean(&seen, &deed, at(3)).await.unwrap());
        assert!(!store.host_is_clean(&seen, &deed, at(4)).await.unwrap(), "another controller was faster");
        let audited = store.audit(&AuditFilter::default(), 10).await.unwrap();
        assert_eq!((audited.len(), audited[0].deed.actor.as_str()), (1, "agent/a"));
        store.verify_audit(None).await.unwrap();
        assert_eq!(unclean(&store).await, []);
    });
}
