//! What people may say, and what of it counts.

use super::*;

#[tokio::test]
async fn a_game_day_is_planned_with_its_hosts_and_shown_to_who_may_see_them() {
    let day = Day::submitted().await;
    let shown = day.show().await;
    assert_eq!(shown.game_day.requested_by, "dennis");
    assert_eq!(
        (shown.experiments[0].name.as_str(), shown.experiments[1].name.as_str()),
        ("checkout-survives-a-slow-database", "again")
    );
    assert_eq!(shown.experiments[0].faults, ["network-latency for 2m on db-1"]);
    assert!(shown.plan_hash.starts_with("sha256:") && shown.document.contains("# ") == text().contains("# "));
    let controller = &day.fixture.controller;
    let listed = controller.game_days(&somebody("eve", Role::Viewer), None, 10).await.unwrap();
    assert_eq!(listed.game_days.len(), 1);
    let stranger = Principal { name: "x".into(), role: Role::Admin, scope: "team=search".parse().unwrap() };
    assert!(controller.game_days(&stranger, None, 10).await.unwrap().game_days.is_empty());
    for error in [
        controller.game_day(&stranger, &day.id).await.map(drop).unwrap_err(),
        controller.approve_game_day(&stranger, &day.id, &day.hash).await.map(drop).unwrap_err(),
        controller.abort_game_day(&stranger, &day.id, "x").await.map(drop).unwrap_err(),
        controller.submit_game_day(&stranger, &text()).await.map(drop).unwrap_err(),
        controller.game_day_sheet(&stranger, &day.id, Format::Json).await.map(drop).unwrap_err(),
        controller.game_day_journal(&stranger, &day.id, 0, Duration::ZERO).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(status(&error), 403, "{error}");
    }
    assert_eq!(status(&controller.game_day(&dennis(), "nothing").await.unwrap_err()), 404);
}

#[tokio::test]
async fn approvals_are_of_others_who_are_named_bound_to_the_plan_given_once_and_can_be_taken_back() {
    let day = Day::submitted().await;
    let controller = &day.fixture.controller;
    for (who, hash, expected, told) in [
        (somebody("grace", Role::Operator), day.hash.as_str(), 403, "needs the role approver"),
        (dennis(), &day.hash, 403, "asked for this himself"),
        (somebody("DENNIS", Role::Admin), &day.hash, 403, "asked for this himself"),
        (somebody("eve", Role::Admin), &day.hash, 403, "eve may not approve"),
        (somebody("grace", Role::Approver), "sha256:00", 409, "the plan is"),
    ] {
        let error = controller.approve_game_day(&who, &day.id, hash).await.unwrap_err();
        assert!(status(&error) == expected && error.to_string().contains(told), "{}: {error}", who.name);
    }
    assert_eq!(day.approve("grace").await.unwrap().approvals_missing, 1);
    let twice = day.approve("grace").await.unwrap_err();
    assert!(status(&twice) == 409 && twice.to_string().contains("approved already"), "{twice}");
    let grace = somebody("grace", Role::Approver);
    assert_eq!(controller.withdraw_game_day(&grace, &day.id).await.unwrap().approvals_missing, 2);
    assert_eq!(status(&controller.withdraw_game_day(&grace, &day.id).await.unwrap_err()), 403);
    day.approve("grace").await.unwrap();
    day.approve("linus").await.unwrap();
    // Whoever takes it back while others answer stops what follows.
    let back = controller.withdraw_game_day(&grace, &day.id).await.unwrap();
    assert_eq!((back.asks, back.approvals_missing), (Some(Asked::Approvals), 1));
    let audited = day.fixture.audited().await;
    let (id, of_grace) = (&day.id, |line: &&String| line.starts_with("token/grace"));
    let expected = [
        format!("approve game-day/{id}: asked"),
        format!("approve game-day/{id}: refused: the approval is of 00, the plan is {} now", &day.hash[7..19]),
        format!("approve game-day/{id}: asked"),
        format!("approve game-day/{id}: done"),
    ];
    let told: Vec<String> =
        audited.iter().filter(of_grace).map(|line| line["token/grace ".len()..].to_owned()).collect();
    assert_eq!(told[1..5], expected, "{told:#?}");
    controller.verify_audit(&somebody("eve", Role::Viewer), None).await.unwrap();
}

#[tokio::test]
async fn an_approval_that_expired_does_not_count() {
    let day = Day::of(&text().replace("expireAfter: 1h", "expireAfter: 5s")).await;
    day.approve("grace").await.unwrap();
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    let late = day.approve("linus").await.unwrap();
    assert_eq!((late.asks, late.approvals_missing), (Some(Asked::Approvals), 1));
    assert_eq!(late.approvals.iter().map(|approval| approval.counts).collect::<Vec<_>>(), [false, true]);
    assert_eq!(day.approve("grace").await.unwrap().asks, Some(Asked::Question(0)), "given again");
}

#[tokio::test]
async fn an_answer_is_to_what_is_asked_and_by_who_may() {
    let day = Day::submitted().await;
    let early = day.answer("ada", Asked::Question(0), Answer::Go).await.unwrap_err();
    assert!(status(&early) == 409 && early.to_string().contains("approvals is"), "{early}");
    day.approve("grace").await.unwrap();
    day.approve("linus").await.unwrap();
    for (who, to, answer, expected) in [
        ("grace", Asked::Question(0), Answer::Go, 403),
        ("eve", Asked::Question(0), Answer::Go, 403),
        ("ada", Asked::Question(0), Answer::Skip, 400),
        ("ada", Asked::Before(1), Answer::Go, 409),
        ("ada", Asked::Approvals, Answer::Go, 409),
    ] {
        let error = day.answer(who, to, answer).await.unwrap_err();
        assert_eq!(status(&error), expected, "{who} {to}: {error}");
    }
    let viewer = somebody("ada", Role::Viewer);
    let (controller, to) = (&day.fixture.controller, Asked::Question(0));
    let refused = controller.answer_game_day(&viewer, &day.id, to, Answer::Go, None).await.unwrap_err();
    assert_eq!(status(&refused), 403, "{refused}");
    assert_eq!(status(&controller.note_game_day(&viewer, &day.id, "x", &[]).await.unwrap_err()), 403);
    assert_eq!(status(&controller.abort_game_day(&viewer, &day.id, "x").await.unwrap_err()), 403);
    let no = day.answer("ada", Asked::Question(0), Answer::NoGo).await.unwrap();
    assert_eq!((no.game_day.stage.as_str(), no.exit_code), ("aborted", Some(3)));
    let over = day.answer("ada", Asked::Question(0), Answer::Go).await.unwrap_err();
    assert_eq!(status(&over), 409, "{over}");
    // What was learned is written down afterwards too.
    controller.note_game_day(&somebody("ada", Role::Operator), &day.id, "we forgot", &[]).await.unwrap();
    assert!(!day.round().await && day.runs().await.is_empty());
}

#[tokio::test]
async fn of_two_who_answer_at_once_one_is_heard() {
    let day = Day::submitted().await;
    day.approve("grace").await.unwrap();
    let linus = somebody("linus", Role::Approver);
    let mut many = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (controller, linus) = (Arc::clone(&day.fixture.controller), linus.clone());
        let (id, hash) = (day.id.clone(), day.hash.clone());
        many.spawn(async move { controller.approve_game_day(&linus, &id, &hash).await });
    }
    let heard = many.join_all().await.into_iter().filter(Result::is_ok).count();
    assert_eq!(heard, 1);
    assert_eq!(day.show().await.asks, Some(Asked::Question(0)));
}
