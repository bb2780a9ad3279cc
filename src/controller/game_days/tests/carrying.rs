//! Carrying out: one run for each experiment, whoever does it and however often it begins anew.

use super::*;

#[tokio::test]
async fn each_experiment_is_one_run_of_the_plan_that_was_approved_however_often_a_controller_begins_anew() {
    let day = Day::agreed().await;
    assert!(day.round().await);
    assert!(day.round().await, "as if it was restarted");
    let runs = day.runs().await;
    assert_eq!(runs.len(), 1);
    let origin = Origin::GameDay { name: "shop-day".into(), step: "checkout-survives-a-slow-database".into() };
    assert_eq!((&runs[0].origin, runs[0].state, runs[0].requested_by.as_str()), (&origin, RunState::Queued, "dennis"));
    let shown = day.show().await;
    assert_eq!(shown.experiments[0].plan_hash, runs[0].plan_hash);
    assert_eq!(shown.experiments[0].run.as_ref(), Some(&runs[0].id));

    // At every entry of the run, a controller begins anew.
    let all = kept(Ending::Held, &runs[0]).len();
    let run = day.driven(Ending::Held, 1).await;
    for number in 1..all {
        day.round().await;
        day.keep(&run, Ending::Held, number, number + 1).await;
        assert_eq!(day.show().await.game_day.stage, "running");
    }
    day.finish(&run, "held").await;
    assert!(day.round().await);
    let shown = day.show().await;
    assert_eq!((shown.asks, day.runs().await.len()), (Some(Asked::Before(1)), 1), "it holds before the second");
    let told = day.events().await;
    assert_eq!(told[5..], ["queued", "started", "incited", "undone", "recovered", "ended"]);

    assert!(day.round().await && day.runs().await.len() == 1, "nothing runs without a go");
    day.answer("grace", Asked::Before(1), Answer::Go).await.unwrap();
    day.round().await;
    let run = day.driven(Ending::Held, all).await;
    day.finish(&run, "held").await;
    assert!(!day.round().await, "it is over");
    let over = day.show().await;
    assert_eq!((over.game_day.stage.as_str(), over.exit_code, day.runs().await.len()), ("finished", Some(0), 2));
    let viewer = somebody("eve", Role::Viewer);
    let sheet = day.fixture.controller.game_day_sheet(&viewer, &day.id, Format::Json).await.unwrap();
    let sheet: serde_json::Value = serde_json::from_str(&sheet).unwrap();
    assert_eq!(sheet["place"], "the fleet: db-1");
    assert_eq!(sheet["identity"], "token");
    for moment in ["incited", "mitigated", "recovered"] {
        assert!(sheet["experiments"][1][moment]["at"].is_string(), "{moment}: {sheet:#}");
    }
    let page = day.fixture.controller.game_day_journal(&viewer, &day.id, 0, Duration::ZERO).await.unwrap();
    assert_eq!(page.entries.len(), day.events().await.len());
    let last = day.fixture.controller.game_day_journal(&viewer, &day.id, page.next, LEASE).await.unwrap();
    assert!(last.over && last.entries.is_empty());
}

#[tokio::test]
async fn two_that_carry_it_out_at_once_do_nothing_twice() {
    let day = Day::agreed().await;
    let nobody = |_: &Entry, _: &_, _: &[Command]| {};
    let begin = || Carrying::begin(Arc::clone(&day.fixture.controller), &day.id, &nobody);
    let (mut one, mut other) = (begin().await.unwrap(), begin().await.unwrap());
    let (first, second) = tokio::join!(one.round(&nobody), other.round(&nobody));
    assert!(first.unwrap() && second.unwrap());
    assert_eq!(day.runs().await.len(), 1);
    let run = day.driven(Ending::Held, usize::MAX).await;
    day.finish(&run, "held").await;
    let (first, second) = tokio::join!(one.round(&nobody), other.round(&nobody));
    assert!(first.unwrap() && second.unwrap());
    assert_eq!(day.events().await[5..], ["queued", "started", "incited", "undone", "recovered", "ended"]);
}

#[tokio::test]
async fn whoever_listens_hears_each_entry_once_for_each_that_reads_it() {
    let day = Day::agreed().await;
    let heard: Mutex<Vec<String>> = Mutex::default();
    let hear = |entry: &Entry, _: &_, commands: &[Command]| {
        heard.lock().unwrap().push(format!("{} {}", word(&entry.event), commands.len()));
    };
    let mut carrying = Carrying::begin(Arc::clone(&day.fixture.controller), &day.id, &hear).await.unwrap();
    carrying.round(&hear).await.unwrap();
    carrying.round(&hear).await.unwrap();
    let expected = ["opened 0", "requested 1", "approved 1", "approved 1", "answered 1", "queued 0"];
    assert_eq!(*heard.lock().unwrap(), expected);
}
