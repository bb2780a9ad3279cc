//! What is remembered of a journal that was read, and which game days are forgotten.

use super::*;
use crate::store::GameDayEntry;

/// Executes SQL around the store, as somebody with access to the database could.
async fn around(day: &Day, sql: &'static str) -> u64 {
    use sqlx::Connection;
    let path = day.fixture.controller.data().join("store.db");
    let mut around = sqlx::AnyConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    sqlx::query(sql).execute(&mut around).await.unwrap().rows_affected()
}

#[tokio::test]
async fn a_read_costs_what_is_new_and_a_journal_that_is_another_one_is_read_anew() {
    let day = Day::submitted().await;
    let controller = &day.fixture.controller;
    assert_eq!(controller.read_game_day(&day.id).await.unwrap().entries.len(), 2);
    // What was read before is not read again: nobody notices that it is gone.
    assert_eq!(around(&day, "DELETE FROM game_day_entries WHERE number = 0").await, 1);
    assert_eq!(day.show().await.approvals_missing, 2);
    assert_eq!(day.approve("grace").await.unwrap().approvals_missing, 1);
    let read = controller.read_game_day(&day.id).await.unwrap();
    assert_eq!((read.entries.len(), read.state.approvals().len()), (3, 1));
    let again = controller.read_game_day(&day.id).await.unwrap();
    assert!(Arc::ptr_eq(&read, &again), "nothing came since");
    // One whose last entry is another is not what was read: it is read from its beginning, which is not there.
    around(&day, "UPDATE game_day_entries SET entry = REPLACE(entry, 'grace', 'linus') WHERE number = 2").await;
    let refused = controller.read_game_day(&day.id).await.unwrap_err();
    assert!(refused.to_string().contains("entry 0"), "{refused}");
}

#[tokio::test]
async fn more_game_days_are_read_than_are_remembered() {
    let day = Day::submitted().await;
    let controller = &day.fixture.controller;
    let mut ids = vec![day.id.clone()];
    for _ in 0..40 {
        ids.push(controller.submit_game_day(&dennis(), &text()).await.unwrap().game_day.id);
    }
    for id in ids.iter().chain(ids.iter().rev()) {
        assert_eq!(controller.read_game_day(id).await.unwrap().state.opening().id, *id);
    }
}

/// Of these game days each is over, in this order; with whether everything was undone.
async fn over(day: &Day, clean: &[bool]) -> Vec<String> {
    let controller = &day.fixture.controller;
    let mut ids = Vec::new();
    for clean in clean {
        let one = controller.submit_game_day(&dennis(), &text()).await.unwrap();
        let id = one.game_day.id;
        let now = controller.now().await.unwrap();
        let verdict = if *clean { "held" } else { "cleanup-unverified" };
        let mut number = 2;
        let mut keep = async |event: serde_json::Value, stage: &'static str| {
            let entry = serde_json::json!({ "at": now.to_string(), "event": event }).to_string();
            let over = stage == "aborted";
            let kept = GameDayEntry { game_day: &id, number, entry: &entry, stage, over };
            controller.store.append_to_game_day(&kept, None, now).await.unwrap();
            number += 1;
        };
        for who in ["grace", "linus"] {
            keep(serde_json::json!({ "approved": { "by": who, "hash": one.plan_hash } }), "checklist").await;
        }
        keep(serde_json::json!({ "answered": { "item": 0, "by": "ada", "answer": "go" } }), "running").await;
        let ended = serde_json::json!({ "ended": { "experiment": 0, "verdict": verdict, "because": "so it is" } });
        keep(ended, "hold").await;
        if *clean {
            keep(serde_json::json!({ "aborted": { "by": "ada", "reason": "enough" } }), "aborted").await;
        } else {
            // The verdict itself has ended it.
            let note = serde_json::json!({ "noted": { "author": "ada", "text": "a table is left on db-1" } });
            keep(note, "aborted").await;
        }
        ids.push(id);
    }
    ids
}

#[tokio::test]
async fn old_game_days_are_forgotten_but_for_their_postmortems_and_never_an_open_or_unclean_one() {
    let day = Day::by(Settings { keep_game_days: 2, ..Settings::default() }, &text()).await;
    let controller = &day.fixture.controller;
    let ids = over(&day, &[true, false, true, true, true]).await;
    assert_eq!(controller.forget_old_game_days().await.unwrap(), [ids[0].clone(), ids[2].clone()]);
    assert_eq!(controller.forget_old_game_days().await.unwrap(), [""; 0]);
    for id in [&day.id, &ids[1], &ids[3], &ids[4]] {
        assert!(controller.game_day(&dennis(), id).await.is_ok());
        assert!(!controller.data().join("game-days").join(id).exists());
    }
    for id in [&ids[0], &ids[2]] {
        assert_eq!(status(&controller.game_day(&dennis(), id).await.unwrap_err()), 404);
        assert_eq!(controller.store.game_day_entries(id, 0, 10).await.unwrap(), [""; 0]);
        let folder = controller.data().join("game-days").join(id);
        let postmortem = std::fs::read_to_string(folder.join("postmortem.md")).unwrap();
        assert!(postmortem.starts_with("# ") && postmortem.contains("The shop with a slow database"), "{postmortem}");
        let sheet: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join("sheet.json")).unwrap()).unwrap();
        assert_eq!(sheet["id"], id.as_str());
        assert_eq!(sheet["experiments"][0]["verdict"], "held", "{sheet:#}");
    }
}

#[tokio::test]
async fn whoever_wants_no_postmortems_says_so() {
    let settings = Settings { keep_game_days: 1, keep_postmortems: false, ..Settings::default() };
    let day = Day::by(settings, &text()).await;
    let ids = over(&day, &[true, true]).await;
    assert_eq!(day.fixture.controller.forget_old_game_days().await.unwrap(), ids[..1]);
    assert!(!day.fixture.controller.data().join("game-days").exists());
}

#[tokio::test]
async fn a_game_day_whose_postmortem_cannot_be_written_stays() {
    let day = Day::by(Settings { keep_game_days: 1, ..Settings::default() }, &text()).await;
    let ids = over(&day, &[true, true]).await;
    let controller = &day.fixture.controller;
    std::fs::write(controller.data().join("game-days"), "in the way").unwrap();
    assert_eq!(controller.forget_old_game_days().await.unwrap(), [""; 0]);
    assert!(controller.game_day(&dennis(), &ids[0]).await.is_ok());
    std::fs::remove_file(controller.data().join("game-days")).unwrap();
    assert_eq!(controller.forget_old_game_days().await.unwrap(), ids[..1]);
}
