//! A fleet that changes between the plan of a game day and its experiments.

use super::*;

impl Day {
    /// Its host is gone, and another one of the same role is there.
    async fn another_host(&self) {
        self.fixture.controller.registry.end_refused(|peer| match peer.name.as_str() {
            "db-1" => Err("gone".into()),
            _ => Ok(()),
        });
        self.fixture.host("db-2", &[("role", "db"), ("team", "payments")]).await;
    }

    async fn replan(&self, who: &str) -> Result<GameDayDetails, ControllerError> {
        self.fixture.controller.replan_game_day(&somebody(who, Role::Operator), &self.id).await
    }

    /// Carried on, as by one controller, until it stands there.
    async fn carried_to(&self, stage: &str) {
        let nobody = |_: &Entry, _: &_, _: &[Command]| {};
        let mut carrying = Carrying::begin(Arc::clone(&self.fixture.controller), &self.id, &nobody).await.unwrap();
        for _ in 0..200 {
            carrying.round(&nobody).await.unwrap();
            if carrying.state().stage().word() == stage {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it is {}, and never {stage}", carrying.state().stage().word());
    }
}

#[tokio::test]
async fn a_plan_whose_hosts_are_gone_is_approved_no_more_and_a_new_one_needs_every_approval_again() {
    let mut day = Day::submitted().await;
    day.approve("grace").await.unwrap();
    day.another_host().await;
    let refused = day.approve("linus").await.unwrap_err();
    assert_eq!(refused.class().1, "drifted", "{refused}");
    let told = refused.to_string();
    assert!(told.starts_with("checkout-survives-a-slow-database: ") && told.contains("db-1"), "{told}");
    assert!(refused.hint().contains("gameday replan"), "{}", refused.hint());

    let viewer = somebody("eve", Role::Viewer);
    assert_eq!(status(&day.fixture.controller.replan_game_day(&viewer, &day.id).await.unwrap_err()), 403);
    let new = day.replan("linus").await.unwrap();
    assert_ne!(new.plan_hash, day.hash);
    assert_eq!((new.asks, new.approvals_missing), (Some(Asked::Approvals), 2));
    assert_eq!(new.experiments[0].faults, ["network-latency for 2m on db-2"]);
    assert_eq!(new.approvals[0].void.as_deref(), Some("the plan was changed"));
    let old = day.approve("grace").await.unwrap_err();
    assert_eq!(old.class().1, "plan-changed", "{old}");
    day.hash = new.plan_hash;
    let own = day.approve("linus").await.unwrap_err();
    assert!(status(&own) == 403 && own.to_string().contains("had made themselves"), "{own}");

    // Planned again without a change, nothing is void.
    day.approve("grace").await.unwrap();
    let same = day.replan("ada").await.unwrap();
    assert_eq!((same.plan_hash.as_str(), same.approvals_missing), (day.hash.as_str(), 1));
    let sheet = day.fixture.controller.game_day_sheet(&viewer, &day.id, Format::Json).await.unwrap();
    let sheet: serde_json::Value = serde_json::from_str(&sheet).unwrap();
    let deviations = sheet["deviations"].to_string();
    for told in
        ["linus had it planned anew", "now on db-2", "no longer on db-1", "approval by grace did not count any more"]
    {
        assert!(deviations.contains(told), "{told}: {deviations}");
    }
    assert_eq!(sheet["experiments"][0]["hash"], new.experiments[0].plan_hash);
}

#[tokio::test]
async fn an_experiment_that_is_due_on_a_fleet_that_has_changed_is_not_asked_for() {
    let mut day = Day::agreed().await;
    day.another_host().await;
    day.carried_to("awaiting-plan").await;
    let shown = day.show().await;
    assert_eq!(shown.asks, Some(Asked::Plan(0)));
    assert!(shown.because.as_ref().unwrap().contains("db-1"), "{:?}", shown.because);
    assert!(day.runs().await.is_empty());
    // Tried again it is the same.
    day.answer("ada", Asked::Plan(0), Answer::Go).await.unwrap();
    day.carried_to("awaiting-plan").await;

    let new = day.replan("ada").await.unwrap();
    assert_eq!((new.asks, new.approvals_missing), (Some(Asked::Approvals), 2));
    assert!(day.round().await && day.runs().await.is_empty(), "nobody has agreed to it");
    day.hash = new.plan_hash;
    day.approve("grace").await.unwrap();
    assert_eq!(day.approve("linus").await.unwrap().game_day.stage, "running", "what was answered stays answered");
    day.round().await;
    let runs = day.runs().await;
    assert_eq!((runs.len(), &runs[0].plan_hash), (1, &new.experiments[0].plan_hash));
    let hosts = day.fixture.controller.store.run_document(&runs[0].id).await.unwrap().hosts;
    assert_eq!(hosts, ["db-2"]);

    // What has begun keeps its plan: its host is another one again.
    day.fixture.controller.registry.end_refused(|_| Err("gone".into()));
    day.fixture.host("db-3", &[("role", "db"), ("team", "payments")]).await;
    let later = day.replan("ada").await.unwrap();
    assert_eq!(later.experiments[0].plan_hash, runs[0].plan_hash);
    assert_eq!(later.experiments[1].faults, ["network-latency for 2m on db-3"]);
    assert_eq!(later.experiments[0].faults, ["network-latency for 2m on db-2"]);
    assert_eq!(later.game_day.stage, "running");
}

#[tokio::test]
async fn a_go_to_an_experiment_is_refused_on_a_fleet_that_has_changed() {
    let day = Day::of(&text().replace("      name: again\n      hold: before\n", "      name: again\n").replacen(
        "    - experiment: checkout-survives-a-slow-database\n",
        "    - experiment: checkout-survives-a-slow-database\n      hold: before\n",
        1,
    ))
    .await;
    day.approve("grace").await.unwrap();
    day.approve("linus").await.unwrap();
    day.answer("ada", Asked::Question(0), Answer::Go).await.unwrap();
    day.another_host().await;
    let refused = day.answer("ada", Asked::Before(0), Answer::Go).await.unwrap_err();
    assert_eq!(refused.class().1, "drifted", "{refused}");
    assert_eq!(day.show().await.asks, Some(Asked::Before(0)));
    let skipped = day.answer("ada", Asked::Before(0), Answer::Skip).await.unwrap();
    assert!(skipped.experiments[0].skipped, "left out all the same");
    let audited = day.fixture.audited().await;
    assert!(audited.iter().any(|line| line.contains("refused: checkout-survives")), "{audited:#?}");
}
