//! Approvals, and what becomes of them when the plan or the fleet is another one.

use super::*;

#[test]
fn approvals_need_other_entitled_people_and_the_plan_as_it_is() {
    let mut play = Play::requested();
    for (by, error) in [
        ("ada", "ada may not approve"),
        ("nobody", "nobody may not approve"),
        ("dennis", "dennis may not approve what they asked for themselves"),
    ] {
        assert_eq!(play.approve(by).unwrap_err().to_string(), error);
    }
    let of_another = Event::Approved { by: "grace".into(), hash: PlanHash::given("sha256:other") };
    assert!(matches!(play.put(of_another), Err(Illegal::OtherPlan { .. })));
    play.approve("grace").unwrap();
    assert_eq!(play.approve("grace").unwrap_err(), Illegal::Twice { who: "grace".into() });
    play.must(Event::Withdrawn { by: "grace".into() });
    assert_eq!(play.state.missing_approvals(at(play.now)), 2);
    assert!(play.put(Event::Withdrawn { by: "linus".into() }).is_err());
}

#[test]
fn a_change_voids_and_time_expires_approvals_even_in_the_middle() {
    let mut play = Play::holding();
    let same = play.state.hash().clone();
    assert_eq!(play.must(planned(same, &[])), []);
    let asked = play.must(planned(PlanHash::given("sha256:new"), &[]));
    assert_eq!(asked, [Command::AskApprovals { missing: 2 }]);
    assert!(play.put(decided("ada", Answer::Go)).is_err(), "nobody starts it without approvals");
    play.approve("grace").unwrap();
    let asked = play.approve("linus").unwrap();
    assert_eq!(asked, [Command::AskGo { experiment: 1, when: HoldPoint::Before }]);

    let mut opened = fixture::opened();
    opened.game_day.spec.window = None;
    if let Some(approvals) = &mut opened.game_day.spec.approvals {
        approvals.expire_after = TimeSpan::from_secs(100);
    }
    let (state, _) = step(None, at(0), Event::Opened(Box::new(opened))).unwrap();
    let mut play = Play { state, now: 0 };
    play.must(Event::Requested { by: "dennis".into() });
    play.approve("grace").unwrap();
    play.now = 50;
    play.approve("linus").unwrap();
    play.must(answered(0, "ada", Answer::Go));
    play.now = 120;
    let asked = play.must(answered(1, "ada", Answer::Go));
    assert_eq!(asked, [Command::AskApprovals { missing: 1 }], "the first approval has expired");
    play.approve("grace").unwrap();
    assert_eq!(*play.state.stage(), Stage::Running { experiment: 0 });
}

#[test]
fn a_fleet_that_has_changed_stops_what_is_due_until_somebody_plans_anew_tries_again_or_leaves_it_out() {
    let drifted = |experiment| Event::Drifted { experiment, because: "db-1 is gone".into() };
    let stage = |experiment| Stage::AwaitingPlan { experiment, because: "db-1 is gone".into() };
    let mut play = Play::running();
    assert!(play.put(drifted(1)).is_err(), "it is not due");
    assert_eq!(play.must(drifted(0)), [Command::AskPlan { experiment: 0 }]);
    assert_eq!((play.state.stage(), play.state.asked()), (&stage(0), Some(Asked::Plan(0))));
    assert!(play.state.experiments()[0].asked.is_none() && play.state.watches().is_none());
    assert!(play.put(drifted(0)).is_err() && play.put(Event::Queued { experiment: 0, run: "r0".into() }).is_err());

    // Tried again, with the approvals that there are.
    let again = play.must(decided("ada", Answer::Go));
    assert!(matches!(again.last(), Some(Command::StartExperiment { experiment: 0, .. })), "{again:?}");
    play.must(drifted(0));

    // The same plan again: as it was approved.
    let same = play.state.hash().clone();
    let again = play.must(planned(same, &[]));
    assert!(matches!(again.last(), Some(Command::StartExperiment { experiment: 0, .. })), "{again:?}");
    play.must(drifted(0));

    // Another plan: approved again, and not by who had it made.
    let hashes = ["sha256:one", "sha256:two"];
    assert_eq!(play.must(planned(PlanHash::given("sha256:new"), &hashes)), [Command::AskApprovals { missing: 2 }]);
    assert!(play.state.approvals().iter().all(|approval| approval.void.as_deref() == Some("the plan was changed")));
    assert_eq!(play.state.replans()[0].differences, ["db-1 is gone"]);
    play.approve("grace").unwrap();
    let started = play.approve("linus").unwrap();
    let start = Command::StartExperiment { experiment: 0, hash: PlanHash::given("sha256:one") };
    assert_eq!(started.last(), Some(&start), "what was answered before stays answered");

    // What has begun keeps its plan.
    let other = ["sha256:three", "sha256:two"];
    assert!(play.put(planned(PlanHash::given("sha256:newer"), &other)).is_err());
    assert!(play.put(planned(PlanHash::given("sha256:newer"), &["sha256:one"])).is_err(), "too few");
    play.must(Event::Started { experiment: 0, run: "r0".into() });
    assert!(play.put(drifted(0)).is_err(), "it runs");
    play.must(ended(0, RunVerdict::Held));

    // A go at the hold was of the plan before it.
    assert!(play.state.asked() == Some(Asked::Before(1)));
    let newest = planned(PlanHash::given("sha256:newest"), &["sha256:one", "sha256:four"]);
    assert_eq!(play.must(newest), [Command::AskApprovals { missing: 2 }]);
    play.approve("grace").unwrap();
    assert_eq!(play.approve("linus").unwrap(), [Command::AskGo { experiment: 1, when: HoldPoint::Before }]);
    play.must(decided("ada", Answer::Go));
    play.must(drifted(1));
    play.must(decided("ada", Answer::Skip));
    assert!(play.state.experiments()[1].skipped && play.state.is_over());

    let mut play = Play::running();
    play.must(drifted(0));
    play.must(decided("ada", Answer::NoGo));
    assert_eq!(ending(&play), EndingKind::NoGo);
}
