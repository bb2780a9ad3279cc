use super::{LEASE, at, both, count, run};
use crate::store::runs::{RequestKey, RunState};
use crate::store::{Refusal, StoreError};

fn request<'a>(by: &'a str, key: &'a str, digest: &'a str) -> RequestKey<'a> {
    RequestKey { requested_by: by, key, digest }
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> Refusal {
    answer.unwrap_err().refusal().cloned().expect("a refusal")
}

#[test]
fn a_request_makes_one_run_however_often_it_comes() {
    both(|place| async move {
        let store = place.open().await;
        let ann = request("ann", "k", "d1");
        assert_eq!(store.run_of_request(ann).await.unwrap(), None);
        let made = store.submit_once(&run("one", &["a"]), ann, at(0)).await.unwrap();
        assert_eq!((made.id.as_str(), made.state), ("one", RunState::Queued));
        assert_eq!(
            refusal(store.submit_once(&run("two", &["a"]), ann, at(1)).await),
            Refusal::AskedBefore { run: "one".into() }
        );
        assert_eq!(store.run_of_request(ann).await.unwrap().unwrap().id, "one");
        let other = Refusal::KeyReused { key: "k".into(), run: "one".into() };
        assert_eq!(refusal(store.run_of_request(request("ann", "k", "d2")).await), other);
        assert_eq!(refusal(store.submit_once(&run("two", &["a"]), request("ann", "k", "d2"), at(1)).await), other);
        assert_eq!(store.run_of_request(request("bob", "k", "d1")).await.unwrap(), None, "his keys are his own");
        store.submit_once(&run("two", &["a"]), request("bob", "k", "d1"), at(1)).await.unwrap();
        // What is refused leaves no key.
        store.halt("it hurts", "token/ann", at(2)).await.unwrap();
        let late = request("ann", "late", "d1");
        assert!(matches!(refusal(store.submit_once(&run("late", &["a"]), late, at(3)).await), Refusal::Halted(_)));
        assert_eq!(
            store.run_of_request(ann).await.unwrap().unwrap().state,
            RunState::Cancelled,
            "answered as it is now"
        );
        store.release_halt().await.unwrap();
        store.submit_once(&run("late", &["a"]), late, at(4)).await.unwrap();
        // A key is kept for as long as its run.
        assert!(store.forget_run("one").await.unwrap());
        assert_eq!(store.run_of_request(ann).await.unwrap(), None);
    });
}

#[test]
fn of_the_same_request_on_many_connections_one_makes_a_run() {
    both(|place| async move {
        let mut asking = tokio::task::JoinSet::new();
        for number in 0..12 {
            let store = place.open().await;
            asking.spawn(async move {
                store.submit_once(&run(&format!("run-{number}"), &["a"]), request("ann", "k", "d"), at(0)).await
            });
        }
        let (mut made, mut before) = (Vec::new(), Vec::new());
        while let Some(answer) = asking.join_next().await {
            match answer.unwrap() {
                Ok(run) => made.push(run.id),
                Err(error) => match error.refusal() {
                    Some(Refusal::AskedBefore { run }) => before.push(run.clone()),
                    _ => panic!("{error}"),
                },
            }
        }
        assert_eq!((made.len(), before.len()), (1, 11));
        assert!(before.iter().all(|run| *run == made[0]), "{made:?} {before:?}");
        let store = place.open().await;
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM runs").await, 1);
        assert!(store.claim_next("c", LEASE, at(1)).await.unwrap().is_some());
        assert!(store.claim_next("c", LEASE, at(1)).await.unwrap().is_none());
    });
}
