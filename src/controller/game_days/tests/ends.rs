//! How it ends before its time.

use super::*;

#[tokio::test]
async fn whoever_ends_it_has_what_runs_undone_and_what_waits_cancelled() {
    let day = Day::agreed().await;
    let controller = &day.fixture.controller;
    let ada = somebody("ada", Role::Operator);
    // Before anything was asked for.
    let early = Day::agreed().await;
    early.fixture.controller.abort_game_day(&ada, &early.id, "no").await.unwrap();
    assert_eq!(early.show().await.game_day.stage, "stopping");
    assert!(!early.round().await && early.runs().await.is_empty());
    assert_eq!(early.show().await.exit_code, Some(3));

    // Under way, driven here.
    day.round().await;
    let run = day.driven(Ending::Held, 6).await;
    let mut orders = day.fixture.running.begin(&run.id, run.epoch);
    controller.note_game_day(&ada, &day.id, "it is slow", &["detected".into()]).await.unwrap();
    let severity = FindingSeverity::High;
    let finding = crate::game_day::machine::Finding {
        author: "somebody else".into(),
        text: "no runbook".into(),
        severity,
        owner: Some("grace".into()),
        due: None,
    };
    controller.find_in_game_day(&ada, &day.id, finding).await.unwrap();
    controller.abort_game_day(&ada, &day.id, "a customer calls").await.unwrap();
    assert!(day.round().await, "until it is undone");
    let because = "the game day was ended: ended by ada: a customer calls".to_owned();
    assert_eq!(orders.try_recv(), Ok(Stop::Halted(because.clone())));
    assert_eq!(day.runs().await[0].stop_requested, Some(because));
    day.finish(&run, "aborted").await;
    assert!(!day.round().await);
    let over = day.show().await;
    assert_eq!((over.game_day.stage.as_str(), over.exit_code), ("aborted", Some(5)));
    let sheet = controller.game_day_sheet(&ada, &day.id, Format::Json).await.unwrap();
    let sheet: serde_json::Value = serde_json::from_str(&sheet).unwrap();
    assert_eq!((&sheet["findings"][0]["author"], &sheet["notes"][0]["author"]), (&"ada".into(), &"ada".into()));

    // While it waits for its hosts.
    let waiting = Day::agreed().await;
    waiting.round().await;
    waiting.fixture.controller.abort_game_day(&ada, &waiting.id, "no").await.unwrap();
    waiting.round().await;
    assert!(!waiting.round().await);
    assert_eq!(waiting.runs().await[0].state, RunState::Cancelled);
}

#[tokio::test]
async fn a_halt_ends_it_and_a_run_that_a_restart_cut_off_ends_it_too() {
    let day = Day::agreed().await;
    day.round().await;
    let run = day.driven(Ending::Held, 6).await;
    let controller = &day.fixture.controller;
    controller.halt(&somebody("eve", Role::Viewer), "customers complain").await.unwrap();
    assert!(day.round().await);
    assert_eq!(day.show().await.because.as_deref(), Some("halted: customers complain (by eve)"));
    day.finish(&run, "aborted").await;
    assert!(!day.round().await);
    let refused = controller.submit_game_day(&dennis(), &text()).await.unwrap_err();
    assert_eq!(refused.class().1, "halted", "{refused}");

    let waiting = Day::submitted().await;
    waiting.fixture.controller.halt(&somebody("eve", Role::Viewer), "enough").await.unwrap();
    assert!(!waiting.round().await);
    assert_eq!(waiting.show().await.exit_code, Some(3));

    let cut = Day::agreed().await;
    cut.round().await;
    let run = cut.driven(Ending::Held, 6).await;
    cut.finish(&run, "aborted").await;
    assert!(!cut.round().await, "an aborted run ends it by default");
    assert_eq!(cut.show().await.exit_code, Some(5));
}

#[tokio::test]
async fn a_plan_that_somebody_changed_in_the_store_is_not_run() {
    use sqlx::Connection;
    let day = Day::agreed().await;
    let path = day.fixture.controller.data().join("store.db");
    let mut around = sqlx::AnyConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    let changed = sqlx::query("UPDATE game_day_plans SET plan = REPLACE(plan, 'db-1', 'db-9') WHERE number = 0");
    assert_eq!(changed.execute(&mut around).await.unwrap().rows_affected(), 1);
    day.round().await;
    assert!(day.runs().await.is_empty());
    let shown = day.show().await;
    assert_eq!(shown.experiments[0].because.as_deref(), Some("its plan is not the one that was approved"));
}
