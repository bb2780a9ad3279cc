use super::{LEASE, at, both};
use crate::store::{MessageState, NewMessage};

fn message(id: &str, from: i64) -> NewMessage {
    NewMessage { id: id.into(), endpoint: "pager".into(), payload: r#"{"b": 1}"#.into(), not_before: at(from) }
}

#[test]
fn a_message_is_tried_until_it_is_delivered_or_given_up() {
    both(|place| async move {
        let store = place.open().await;
        assert_eq!(store.enqueue(&[message("a", 0), message("b", 5)], at(0)).await.unwrap(), 2);
        assert_eq!(store.enqueue(&[message("a", 0), message("c", 90)], at(1)).await.unwrap(), 1, "a is there already");
        let ids = |taken: &[crate::store::Message]| taken.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        let first = store.take_due(10, LEASE, at(4)).await.unwrap();
        assert_eq!(ids(&first), ["a"]);
        assert_eq!((first[0].attempts, first[0].payload.as_str()), (1, r#"{"b": 1}"#));
        assert_eq!(ids(&store.take_due(10, LEASE, at(5)).await.unwrap()), ["b"]);
        assert_eq!(store.take_due(10, LEASE, at(6)).await.unwrap(), []);

        // Whoever took it first did not come back in time; what it says later does not count.
        let second = store.take_due(10, LEASE, at(14)).await.unwrap();
        assert_eq!((ids(&second), second[0].attempts), (vec!["a".into()], 2));
        assert!(!store.delivered(&first[0], at(15)).await.unwrap());
        assert!(!store.give_up(&first[0], "too late", at(15)).await.unwrap());
        assert!(store.retry(&second[0], "503", at(60), at(15)).await.unwrap());
        assert_eq!(ids(&store.take_due(10, LEASE, at(59)).await.unwrap()), ["b"]);
        let third = store.take_due(1, LEASE, at(60)).await.unwrap();
        assert_eq!((third[0].attempts, third[0].last_error.as_deref()), (3, Some("503")));
        assert!(store.delivered(&third[0], at(61)).await.unwrap());
        assert!(!store.delivered(&third[0], at(61)).await.unwrap());

        let last = store.take_due(1, LEASE, at(70)).await.unwrap();
        assert!(store.give_up(&last[0], "410 Gone", at(71)).await.unwrap());
        let given_up = store.messages(Some(MessageState::GivenUp), 10).await.unwrap();
        assert_eq!((ids(&given_up), given_up[0].closed_at), (vec!["b".into()], Some(at(71))));
        assert_eq!(store.messages(None, 10).await.unwrap().len(), 3);
        assert_eq!(store.enqueue(&[message("a", 0)], at(72)).await.unwrap(), 0, "delivered is delivered");
        assert_eq!(store.prune_outbox(at(62)).await.unwrap(), 1);
        assert_eq!(store.messages(None, 10).await.unwrap().len(), 2);
    });
}

#[test]
fn what_waits_for_one_endpoint_is_listed_counted_and_taken_one_by_one() {
    both(|place| async move {
        let store = place.open().await;
        let other = NewMessage { endpoint: "channel".into(), ..message("c", 0) };
        store.enqueue(&[message("b", 0), message("a", 0), other], at(0)).await.unwrap();
        store.enqueue(&[message("0", 0)], at(1)).await.unwrap();
        let waiting = store.waiting_for("pager").await.unwrap();
        assert_eq!(waiting.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["a", "b", "0"]);
        assert_eq!(store.count_waiting_for("pager").await.unwrap(), 3);
        assert_eq!(store.count_waiting_for("nobody").await.unwrap(), 0);
        assert_eq!(store.endpoints_waited_for().await.unwrap(), ["channel", "pager"]);

        let taken = store.take("b", LEASE, at(2)).await.unwrap().unwrap();
        assert_eq!((taken.id.as_str(), taken.attempts), ("b", 1));
        assert_eq!(store.take("b", LEASE, at(3)).await.unwrap(), None, "it is taken");
        assert_eq!(store.take("none", LEASE, at(3)).await.unwrap(), None);
        assert_eq!(store.count_waiting_for("pager").await.unwrap(), 3, "and waits still");
        assert!(store.delivered(&taken, at(4)).await.unwrap());
        assert_eq!(store.take("b", LEASE, at(100)).await.unwrap(), None, "it is delivered");
        // What was not taken may be given up too.
        let waiting = store.waiting_for("channel").await.unwrap();
        assert!(store.give_up(&waiting[0], "dropped", at(5)).await.unwrap());
        assert_eq!(store.endpoints_waited_for().await.unwrap(), ["pager"]);
    });
}
