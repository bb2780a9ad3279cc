use std::collections::BTreeMap;
use std::sync::Arc;

use super::{LEASE, at, both, count, run};
use crate::store::runs::{NewRun, Origin, RunState};
use crate::store::{Controller, GameDayEntry, GameDayPlan, NewGameDay, Refusal};

fn day(id: &str) -> NewGameDay {
    let plan = |hosts: &[&str]| GameDayPlan {
        document: "kind: Experiment # as it was written\n".into(),
        plan: r#"{"b": 1, "a": [0.1]}"#.into(),
        hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
    };
    NewGameDay {
        id: id.into(),
        name: "shop-day".into(),
        title: "The shop without its backend".into(),
        labels: BTreeMap::from([("team".to_owned(), "payments".to_owned())]),
        document: "kind: GameDay # as it was written\n".into(),
        requested_by: "dennis".into(),
        plans: vec![plan(&["a", "b"]), plan(&["c"])],
        entries: vec!["\"opened\"".into(), "\"requested\"".into()],
        stage: "approvals".into(),
    }
}

fn entry(number: u64, text: &'static str) -> GameDayEntry<'static> {
    GameDayEntry { game_day: "one", number, entry: text, stage: "running", over: false }
}

#[test]
fn a_journal_is_continued_only_by_who_has_read_all_of_it() {
    both(|place| async move {
        let store = place.open().await;
        let made = store.create_game_day(&day("one"), at(0)).await.unwrap();
        assert_eq!((made.entries, made.stage.as_str(), made.ended_at), (2, "approvals", None));
        let twice = store.create_game_day(&day("one"), at(0)).await.unwrap_err();
        assert!(matches!(twice.refusal(), Some(Refusal::Exists { kind: "game day", .. })), "{twice}");
        let next = store.append_to_game_day(&entry(2, "\"approved\""), None, at(1)).await.unwrap();
        assert_eq!((next.entries, next.stage.as_str()), (3, "running"));
        for number in [1, 2, 4] {
            let late = store.append_to_game_day(&entry(number, "\"late\""), None, at(2)).await.unwrap_err();
            let name = "one".to_owned();
            let expected = Refusal::Changed { kind: "game day", name, given: number.cast_signed(), current: 3 };
            assert_eq!(late.refusal(), Some(&expected));
        }
        let unknown = GameDayEntry { game_day: "two", ..entry(0, "1") };
        let unknown = store.append_to_game_day(&unknown, None, at(2)).await.unwrap_err();
        assert!(matches!(unknown.refusal(), Some(Refusal::Unknown { .. })), "{unknown}");
        let over = GameDayEntry { over: true, stage: "finished", ..entry(3, "\"over\"") };
        assert_eq!(store.append_to_game_day(&over, None, at(5)).await.unwrap().ended_at, Some(at(5)));
        let note = GameDayEntry { number: 4, entry: "\"noted\"", ..over };
        assert_eq!(
            store.append_to_game_day(&note, None, at(9)).await.unwrap().ended_at,
            Some(at(5)),
            "a note after it"
        );
        let all = store.game_day_entries("one", 0, 100).await.unwrap();
        assert_eq!(all, ["\"opened\"", "\"requested\"", "\"approved\"", "\"over\"", "\"noted\""]);
        assert_eq!(store.game_day_entries("one", 1, 2).await.unwrap(), all[1..3]);
        assert_eq!(store.game_day_plans("one").await.unwrap(), day("one").plans);
        assert_eq!(store.game_day_document("one").await.unwrap(), day("one").document);
        assert!(store.game_day("two").await.is_err() && store.game_day_document("two").await.is_err());
        store.close().await;
        let again = place.open().await;
        assert_eq!(again.game_day("one").await.unwrap().entries, 5);
    });
}

#[test]
fn of_many_that_continue_it_at_once_one_does_and_its_run_is_made_with_it() {
    both(|place| async move {
        let store = Arc::new(place.open().await);
        store.create_game_day(&day("one"), at(0)).await.unwrap();
        let tries = (0..16).map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let origin = Origin::GameDay { name: "shop-day".into(), step: "slow".into() };
                let run = NewRun { origin, ..run(&format!("r{number}"), &["a"]) };
                store.append_to_game_day(&entry(2, "\"queued\""), Some(&run), at(1)).await
            })
        });
        let mut done = 0;
        for tried in tries.collect::<Vec<_>>() {
            match tried.await.unwrap() {
                Ok(day) => done += i32::from(day.entries == 3),
                Err(error) => assert!(matches!(error.refusal(), Some(Refusal::Changed { .. })), "{error}"),
            }
        }
        assert_eq!(done, 1);
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM runs").await, 1, "one run, and not two");
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM game_day_entries").await, 3);

        store.halt("it hurts", "ann", at(2)).await.unwrap();
        let halted = store.append_to_game_day(&entry(3, "1"), Some(&run("late", &["a"])), at(3)).await.unwrap_err();
        assert!(matches!(halted.refusal(), Some(Refusal::Halted(_))), "{halted}");
        assert_eq!(store.game_day("one").await.unwrap().entries, 3, "neither the entry nor the run");
        assert!(store.create_game_day(&day("two"), at(3)).await.is_err());
        store.append_to_game_day(&entry(3, "\"halted\""), None, at(3)).await.unwrap();
        store.release_halt().await.unwrap();
        let exists = store.append_to_game_day(&entry(4, "1"), Some(&run("late", &[])), at(4)).await;
        assert_eq!(exists.unwrap().entries, 5);
        let exists = store.append_to_game_day(&entry(5, "1"), Some(&run("late", &[])), at(4)).await.unwrap_err();
        assert!(matches!(exists.refusal(), Some(Refusal::Exists { .. })), "{exists}");
        assert_eq!(store.game_day("one").await.unwrap().entries, 5);
        assert_eq!(store.run("late").await.unwrap().state, RunState::Queued);
    });
}

#[test]
fn a_game_day_is_carried_out_by_one_controller_until_its_lease_is_over() {
    both(|place| async move {
        let store = place.open().await;
        store.create_game_day(&day("one"), at(0)).await.unwrap();
        let takes =
            async |controller: &str, now| store.carry_game_day("one", controller, LEASE, at(now)).await.unwrap();
        assert!(takes("a", 0).await);
        assert!(!takes("b", 9).await);
        assert!(takes("a", 9).await, "renewed");
        assert!(!takes("b", 18).await);
        assert!(takes("b", 19).await, "a is gone");
        assert!(!takes("a", 20).await);
        assert_eq!(store.game_day("one").await.unwrap().controller.as_deref(), Some("b"));
        store.append_to_game_day(&GameDayEntry { over: true, ..entry(2, "1") }, None, at(21)).await.unwrap();
        assert!(!takes("b", 22).await, "it is over");
    });
}

#[test]
fn game_days_are_listed_the_newest_first_and_those_that_go_on() {
    both(|place| async move {
        let store = place.open().await;
        for (second, id) in (0..).zip(["a", "one", "c", "d", "e"]) {
            store.create_game_day(&day(id), at(second / 2)).await.unwrap();
        }
        store.append_to_game_day(&GameDayEntry { over: true, ..entry(2, "1") }, None, at(9)).await.unwrap();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = store.game_days(after.as_ref(), 2).await.unwrap();
            seen.extend(page.into_iter().map(|day| day.id));
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["e", "d", "c", "one", "a"]);
        let open = store.open_game_days().await.unwrap();
        assert_eq!(open.iter().map(|day| day.id.as_str()).collect::<Vec<_>>(), ["a", "c", "d", "e"]);
    });
}

#[test]
fn old_game_days_are_forgotten_with_all_that_belongs_to_them_and_open_ones_never() {
    both(|place| async move {
        let store = place.open().await;
        // The second is open, the fourth was carried out by a controller that lives, the fifth by one that is gone.
        for (second, id) in (0..).zip(["a", "b", "c", "d", "e", "f", "g"]) {
            store.create_game_day(&day(id), at(second)).await.unwrap();
            let carrier = if id == "d" {
                "c2"
            } else if id == "e" {
                "c3"
            } else {
                "c1"
            };
            if id != "a" {
                assert!(store.carry_game_day(id, carrier, LEASE, at(second)).await.unwrap());
            }
            if id != "b" {
                let over = GameDayEntry { game_day: id, over: true, stage: "finished", ..entry(2, "\"over\"") };
                store.append_to_game_day(&over, None, at(second + 10)).await.unwrap();
            }
        }
        for (id, seen_at) in [("c2", at(90)), ("c3", at(10))] {
            let seen = Controller {
                id: id.into(),
                address: "https://127.0.0.1:1".into(),
                agents: String::new(),
                version: "1".into(),
                started_at: at(0),
                seen_at,
            };
            store.controller_seen(&seen).await.unwrap();
        }
        let old = store.game_days_to_forget(1, "c1", at(50)).await.unwrap();
        assert_eq!(old, ["a", "c", "e", "f"], "of those that are over all but the newest, and none of who lives");
        assert_eq!(store.game_days_to_forget(5, "c1", at(50)).await.unwrap(), ["a"]);
        assert_eq!(store.game_days_to_forget(6, "c1", at(50)).await.unwrap(), [""; 0]);
        assert!(!store.forget_game_day("b", 2).await.unwrap(), "it is open");
        assert!(!store.forget_game_day("c", 2).await.unwrap(), "somebody said more meanwhile");
        assert!(!store.forget_game_day("x", 3).await.unwrap());
        assert!(store.forget_game_day("c", 3).await.unwrap());
        assert!(!store.forget_game_day("c", 3).await.unwrap(), "once");
        assert!(matches!(store.game_day("c").await.unwrap_err().refusal(), Some(Refusal::Unknown { .. })));
        assert_eq!(store.game_day_entries("c", 0, 9).await.unwrap(), [""; 0]);
        assert_eq!(store.game_day_plans("c").await.unwrap(), []);
        assert_eq!(count(&store, "SELECT COUNT(*) AS n FROM game_day_entries").await, 3 * 5 + 2);
        assert_eq!(store.game_day_entries("b", 0, 9).await.unwrap().len(), 2);
    });
}

#[test]
fn a_new_plan_comes_with_its_entry_or_not_at_all() {
    both(|place| async move {
        let store = Arc::new(place.open().await);
        store.create_game_day(&day("one"), at(0)).await.unwrap();
        let plan =
            |text: &str| GameDayPlan { plan: text.into(), hosts: vec!["d".into()], ..day("one").plans[0].clone() };
        let late = store.replan_game_day(&entry(1, "\"late\""), &[plan("late")], at(1)).await.unwrap_err();
        assert!(matches!(late.refusal(), Some(Refusal::Changed { given: 1, current: 2, .. })), "{late}");
        assert_eq!(store.game_day_plans("one").await.unwrap(), day("one").plans);
        // Of many at once, one; its plans are all there are.
        let mut many = tokio::task::JoinSet::new();
        for number in 0..6 {
            let (store, plans) = (Arc::clone(&store), [plan(&format!("{number} a")), plan(&format!("{number} b"))]);
            many.spawn(
                async move { store.replan_game_day(&entry(2, "\"planned\""), &plans, at(2)).await.map(|_| plans) },
            );
        }
        let kept: Vec<_> = many.join_all().await.into_iter().filter_map(Result::ok).collect();
        assert_eq!(kept.len(), 1);
        assert_eq!(store.game_day_plans("one").await.unwrap(), kept[0]);
        assert_eq!(store.game_day_entries("one", 2, 9).await.unwrap(), ["\"planned\""]);
        let unknown = GameDayEntry { game_day: "two", ..entry(0, "1") };
        let unknown = store.replan_game_day(&unknown, &[], at(2)).await.unwrap_err();
        assert!(matches!(unknown.refusal(), Some(Refusal::Unknown { .. })), "{unknown}");
    });
}
