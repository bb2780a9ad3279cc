use std::time::Duration;

use faultline_agent::halt::{Halt, HaltScope};
use faultline_agent::node::{MustStop, NodeStatus};
use jiff::Timestamp;

use super::fixture::{DOCUMENT, Fixture, SCHEDULE, labels, somebody};
use super::runs::{RunStanding, RunsWanted};
use super::submit::Submission;
use super::{ControllerError, Settings};
use crate::access::{Principal, Role, Scope};
use crate::experiment::machine::Stop;
use crate::store::runs::{Origin, RunState};

const LEASE: Duration = Duration::from_secs(60);

async fn two_databases() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.host("db-1", &[("role", "db"), ("team", "payments")]).await;
    fixture.host("db-2", &[("role", "db"), ("team", "search")]).await;
    fixture.host("web-1", &[("role", "web")]).await;
    fixture
}

fn submission() -> Submission {
    Submission { document: DOCUMENT.into(), ..Submission::default() }
}

fn status(error: &ControllerError) -> u16 {
    error.class().0
}

#[tokio::test]
async fn a_run_is_planned_submitted_claimed_stopped_and_audited() {
    let fixture = two_databases().await;
    let (controller, ann) = (&fixture.controller, somebody("ann", Role::Operator));
    let plan = controller.plan(&ann, DOCUMENT, None).await.unwrap();
    assert_eq!(plan.hosts.iter().map(|host| host.host.as_str()).collect::<Vec<_>>(), ["db-1", "db-2"]);
    assert_eq!(plan.plan["injections"][0]["hosts"], serde_json::json!(["db-1", "db-2"]));
    assert_eq!(plan.plan["hash"], plan.plan_hash.as_str());

    let bound = Submission { plan_hash: Some(plan.plan_hash.clone()), ..submission() };
    let run = controller.submit(&ann, bound).await.unwrap();
    assert_eq!((run.state, run.requested_by.as_str(), run.seed), (RunStanding::Queued, "ann", 7));
    let details = controller.run(&ann, &run.id).await.unwrap();
    assert_eq!(details.hosts, ["db-1", "db-2"]);
    assert_eq!(details.document, DOCUMENT);

    let now = controller.now().await.unwrap();
    let claimed = controller.store.claim_next("controller-a", LEASE, now).await.unwrap().unwrap();
    assert_eq!(claimed.id, run.id);
    let held = controller.submit(&ann, submission()).await.unwrap_err();
    assert!(status(&held) == 409 && held.to_string().contains(&format!("held by run {}", run.id)), "{held}");

    let mut ordered = fixture.running.begin(&run.id, claimed.epoch);
    let stopped = controller.cancel(&ann, &run.id, "enough").await.unwrap();
    assert_eq!(stopped.stop_requested.as_deref(), Some("cancelled by ann: enough"));
    assert_eq!(ordered.try_recv(), Ok(Stop::Interrupted("cancelled by ann: enough".into())));
    controller.store.finish(&run.id, claimed.epoch, "interrupted", "enough", now).await.unwrap();
    let over = controller.cancel(&ann, &run.id, "again").await.unwrap_err();
    assert_eq!(status(&over), 409, "{over}");
    let same = controller.cancel(&ann, &run.id, "enough").await.unwrap();
    assert_eq!(same.state, RunStanding::Finished, "whoever lost the answer asks again, and is answered");

    let (id, audited) = (&run.id, fixture.audited().await);
    let expected = [
        format!("token/ann run run/{id}: asked"),
        format!("token/ann run run/{id}: done"),
        format!("token/ann abort run/{id}: asked"),
        format!("token/ann abort run/{id}: done"),
        format!("token/ann abort run/{id}: asked"),
        format!("token/ann abort run/{id}: refused: run {id} is finished, so it cannot become cancelled"),
        format!("token/ann abort run/{id}: asked"),
        format!("token/ann abort run/{id}: done"),
    ];
    assert_eq!(audited, expected);
    controller.verify_audit(&somebody("eve", Role::Viewer), None).await.unwrap();
}

#[tokio::test]
async fn a_run_that_waits_is_cancelled_and_never_claimed() {
    let fixture = two_databases().await;
    let (controller, ann) = (&fixture.controller, somebody("ann", Role::Operator));
    let run = controller.submit(&ann, submission()).await.unwrap();
    let cancelled = controller.cancel(&ann, &run.id, "changed my mind").await.unwrap();
    assert_eq!(cancelled.state, RunStanding::Cancelled);
    assert_eq!(controller.cancel(&ann, &run.id, "changed my mind").await.unwrap(), cancelled);
    assert_eq!(status(&controller.cancel(&ann, &run.id, "another reason").await.unwrap_err()), 409);
    let now = controller.now().await.unwrap();
    assert_eq!(controller.store.claim_next("controller-a", LEASE, now).await.unwrap(), None);
    let unknown = controller.cancel(&ann, "20200101T000000-000000", "x").await.unwrap_err();
    assert_eq!(status(&unknown), 404, "{unknown}");
}

#[tokio::test]
async fn approvals_are_of_others_bound_to_the_plan_and_queue_the_run() {
    let fixture = two_databases().await;
    let controller = &fixture.controller;
    let (ann, bea) = (somebody("ann", Role::Approver), somebody("bea", Role::Approver));
    let run = controller.submit(&ann, Submission { approvals: 1, ..submission() }).await.unwrap();
    assert_eq!(run.state, RunStanding::WaitingForApproval);
    for (who, hash, expected) in [
        (&ann, run.plan_hash.as_str(), 403),
        (&somebody("ANN", Role::Admin), &run.plan_hash, 403),
        (&somebody("cleo", Role::Operator), &run.plan_hash, 403),
        (&bea, "sha256:00", 409),
    ] {
        let error = controller.approve(who, &run.id, hash).await.unwrap_err();
        assert_eq!(status(&error), expected, "{}: {error}", who.name);
    }
    assert_eq!(controller.run(&ann, &run.id).await.unwrap().run.state, RunStanding::WaitingForApproval);
    let approved = controller.approve(&bea, &run.id, &run.plan_hash).await.unwrap();
    assert_eq!((approved.run.state, approved.approvals[0].approver.as_str()), (RunStanding::Queued, "bea"));
    assert_eq!(
        controller.approve(&bea, &run.id, &run.plan_hash).await.unwrap(),
        approved,
        "asked again, answered again"
    );
    let late = controller.approve(&somebody("dora", Role::Approver), &run.id, &run.plan_hash).await.unwrap_err();
    assert_eq!(status(&late), 409, "{late}");
}

#[tokio::test]
async fn a_run_that_waits_says_for_what() {
    let fixture = two_databases().await;
    let (controller, ann) = (&fixture.controller, somebody("ann", Role::Operator));
    let waits = async |run: &str| controller.run(&ann, run).await.unwrap().waiting_for;
    let first = controller.submit(&ann, submission()).await.unwrap().id;
    assert_eq!(waits(&first).await, ["a controller to claim it, which each does five times a second"]);
    let second = controller.submit(&ann, submission()).await.unwrap().id;
    let behind = format!("run {first}, which is older and waits for db-1, db-2 too");
    // Two runs of one second are in the order of their ids, which are drawn.
    let (first, second, behind) = match waits(&second).await {
        waits if waits == [behind.clone()] => (first, second, behind),
        _ => {
            let behind = format!("run {second}, which is older and waits for db-1, db-2 too");
            (second, first, behind)
        }
    };
    assert_eq!(waits(&second).await, [behind]);
    let third = controller.submit(&ann, Submission { approvals: 2, ..submission() }).await.unwrap();
    assert_eq!(waits(&third.id).await, ["approvals of its plan: 0 of 2 are given"]);
    let not_before = Some(controller.now().await.unwrap() + Duration::from_secs(3600));
    let later = controller.submit(&ann, Submission { not_before, ..submission() }).await.unwrap();
    assert_eq!(waits(&later.id).await[0], format!("its time, {}", later.not_before.unwrap()));
    let now = controller.now().await.unwrap();
    assert_eq!(controller.store.claim_next("controller-a", LEASE, now).await.unwrap().unwrap().id, first);
    assert_eq!(waits(&first).await, [""; 0]);
    controller.registry().end("db-2", "its cable was pulled", true);
    let expected = [
        format!("run {first}, which has db-1, db-2"),
        "db-2 to connect; for ten seconds, then it is refused or done without".into(),
    ];
    assert_eq!(waits(&second).await, expected);
    controller.cancel(&ann, &second, "enough").await.unwrap();
    assert_eq!(waits(&second).await, [""; 0]);
}

#[tokio::test]
async fn nobody_approves_a_plan_that_the_fleet_cannot_carry_out_any_more() {
    let fixture = two_databases().await;
    let controller = &fixture.controller;
    let (ann, bea) = (somebody("ann", Role::Operator), somebody("bea", Role::Approver));
    let run = controller.submit(&ann, Submission { approvals: 1, ..submission() }).await.unwrap();
    controller.registry().end("db-2", "its cable was pulled", true);
    let error = controller.approve(&bea, &run.id, &run.plan_hash).await.unwrap_err();
    assert_eq!((status(&error), error.class().1), (409, "drifted"));
    assert!(error.to_string().ends_with("(db-2 of target `db` is gone: not connected)"), "{error}");
    assert!(fixture.audited().await.last().unwrap().contains("refused: the fleet is not the one"), "audited");
    assert!(controller.run(&ann, &run.id).await.unwrap().approvals.is_empty());
    assert_eq!(controller.run(&ann, &run.id).await.unwrap().run.state, RunStanding::WaitingForApproval);
}

#[tokio::test]
async fn what_no_fleet_can_do_is_refused_before_anything_is_kept() {
    let fixture = two_databases().await;
    let (controller, ann) = (&fixture.controller, somebody("ann", Role::Operator));
    let refused = async |document: String| {
        let error = controller.submit(&ann, Submission { document, ..Submission::default() }).await.unwrap_err();
        (status(&error), error.to_string())
    };
    let exec = DOCUMENT
        .replace("http: { url: \"http://127.0.0.1:9/\", rate: 50/s }", "exec: { run: [\"true\"], read: number }");
    let exec = exec.replace("latency: { quantile: 0.99, below: 300ms }", "value: { below: 3 }");
    let (code, told) = refused(exec.clone()).await;
    assert!(code == 422 && told.contains("runs a command"), "{code} {told}");
    let services = DOCUMENT
        .replace("  signals:\n", "  services: { shop: { run: [sleep, \"9\"] } }\n  network: host\n  signals:\n");
    let services = services.replace("  network: host\n", "");
    let (code, told) = refused(services).await;
    assert!(code == 422 && told.contains("services of its own"), "{code} {told}");
    let (code, told) = refused(DOCUMENT.replace("delay: 100ms", "delay: lots")).await;
    assert!(code == 422 && told.contains("lots"), "{code} {told}");
    let (code, told) = refused(DOCUMENT.replace("role: db", "role: mainframe")).await;
    assert!(code == 409 && told.contains("target `db`"), "{code} {told}");
    let (code, told) = refused(DOCUMENT.replace(", on: db", "")).await;
    assert!(code == 422, "{code} {told}");
    let error = controller.submit(&ann, Submission { plan_hash: Some("sha256:1".into()), ..submission() }).await;
    assert_eq!(status(&error.unwrap_err()), 409);
    assert!(controller.runs(&ann, &RunsWanted { limit: 9, ..RunsWanted::default() }).await.unwrap().runs.is_empty());

    let allowing = Fixture::with(Settings { allow_exec_signals: true, ..Settings::default() }).await;
    allowing.host("db-1", &[("role", "db")]).await;
    let run = allowing.controller.submit(&ann, Submission { document: exec, ..Submission::default() }).await;
    assert_eq!(run.unwrap().state, RunStanding::Queued);
}

#[tokio::test]
async fn a_host_whose_policy_refuses_stops_the_submission() {
    let fixture = Fixture::new().await;
    fixture.host_that("db-1", &[("role", "db")], Some("no latency on this host")).await;
    let ann = somebody("ann", Role::Operator);
    let plan = fixture.controller.plan(&ann, DOCUMENT, None).await.unwrap();
    assert_eq!(plan.hosts[0].refused.as_deref(), Some("no latency on this host"));
    let error = fixture.controller.submit(&ann, submission()).await.unwrap_err();
    assert_eq!(error.to_string(), "db-1 cannot do `network-latency`: no latency on this host");
}

#[tokio::test]
async fn no_host_puts_itself_into_a_scope_or_out_of_one() {
    let fixture = Fixture::new().await;
    // Both are chosen by what they say of themselves, since selectors go by all labels.
    fixture.host_claiming("db-1", &[], &[("role", "db"), ("team", "payments")], None).await;
    fixture.host_claiming("db-2", &[("team", "payments")], &[("role", "db"), ("team", "search")], None).await;
    let controller = &fixture.controller;
    let of = |team: &str, role| Principal { name: "x".into(), role, scope: format!("team={team}").parse().unwrap() };
    let seen = async |team| -> Vec<String> {
        let seen = controller.agents(&of(team, Role::Viewer), None, 500).await.unwrap().agents;
        seen.into_iter().map(|agent| agent.name).collect()
    };
    assert_eq!(seen("payments").await, ["db-2"], "not the one that only says so");
    assert_eq!(seen("search").await, [""; 0]);
    let run = controller.submit(&of("payments", Role::Operator), submission()).await;
    let refused = run.unwrap_err();
    assert!(status(&refused) == 403 && refused.to_string().contains("db-1"), "{refused}");
    let all = controller.agents(&somebody("root", Role::Viewer), None, 500).await.unwrap().agents;
    assert_eq!(
        (&all[1].contradicted, &all[1].labels["team"]),
        (&labels(&[("team", "search")]), &"payments".to_owned())
    );
    assert!(all[0].bound.is_empty() && all[0].contradicted.is_empty());
}

#[tokio::test]
async fn a_run_made_later_stays_in_the_scope_of_who_ordered_it() {
    let fixture = Fixture::new().await;
    fixture.host_claiming("db-1", &[("team", "payments")], &[("role", "db")], None).await;
    let controller = &fixture.controller;
    let new_run = async |scope: &str| {
        let origin = Origin::Schedule { name: "nightly".into(), slot: Timestamp::UNIX_EPOCH };
        controller.new_run(&scope.parse().unwrap(), "schedule/nightly", submission(), origin).await
    };
    assert_eq!(new_run("team=payments").await.unwrap().hosts, ["db-1"]);
    assert_eq!(new_run("*").await.unwrap().hosts, ["db-1"]);
    // A host that joined since says that it is the team's too.
    fixture.host_claiming("db-2", &[], &[("role", "db"), ("team", "payments")], None).await;
    let refused = new_run("team=payments").await.unwrap_err();
    assert!(status(&refused) == 403 && refused.to_string().contains("db-2"), "{refused}");
    assert_eq!(new_run("*").await.unwrap().hosts, ["db-1", "db-2"]);
}

#[tokio::test]
async fn a_scope_is_a_wall() {
    let fixture = two_databases().await;
    let controller = &fixture.controller;
    let scoped = |role| Principal { name: "pay".into(), role, scope: "team=payments".parse::<Scope>().unwrap() };
    let ann = somebody("ann", Role::Operator);
    let run = controller.submit(&ann, submission()).await.unwrap();
    // db-2 is of another team.
    let denied = [
        controller.submit(&scoped(Role::Operator), submission()).await.map(drop).unwrap_err(),
        controller.plan(&scoped(Role::Operator), DOCUMENT, None).await.map(drop).unwrap_err(),
        controller.cancel(&scoped(Role::Operator), &run.id, "x").await.map(drop).unwrap_err(),
        controller.run(&scoped(Role::Viewer), &run.id).await.map(drop).unwrap_err(),
        controller.agent(&scoped(Role::Viewer), "db-2").await.map(drop).unwrap_err(),
        controller.audit(&scoped(Role::Viewer), &Default::default(), 5).await.map(drop).unwrap_err(),
        controller.exposition(&scoped(Role::Viewer)).await.map(drop).unwrap_err(),
        controller.release(&scoped(Role::Admin)).await.map(drop).unwrap_err(),
        controller.revoke_agent(&scoped(Role::Admin), "db-2", "x").await.map(drop).unwrap_err(),
        controller.create_api_token(&scoped(Role::Admin), "x", "viewer", "*", None).await.map(drop).unwrap_err(),
    ];
    for error in denied {
        assert_eq!(status(&error), 403, "{error}");
    }
    let seen = controller.agents(&scoped(Role::Viewer), None, 500).await.unwrap().agents;
    assert_eq!(seen.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>(), ["db-1"]);
    let audited = fixture.audited().await;
    assert!(
        audited.iter().any(|line| line.contains("token/pay run run/") && line.contains("refused: the host db-2")),
        "{audited:?}"
    );
    let own = DOCUMENT.replace("role: db", "team: payments");
    let run = controller.submit(&scoped(Role::Operator), Submission { document: own, ..Submission::default() }).await;
    assert_eq!(run.unwrap().state, RunStanding::Queued);
}

#[tokio::test]
async fn a_halt_reaches_hosts_runs_and_the_queue_and_a_release_lets_in_again() {
    let fixture = two_databases().await;
    let (controller, eve) = (&fixture.controller, somebody("eve", Role::Viewer));
    let (ann, bea) = (somebody("ann", Role::Operator), somebody("bea", Role::Approver));
    let run = controller.submit(&ann, submission()).await.unwrap();
    let mut ordered = fixture.running.begin("another", 1);
    let halted = controller.halt(&eve, "customers complain").await.unwrap();
    assert!(halted.clean, "{halted:?}");
    assert_eq!((halted.cancelled, halted.halt.by.as_str()), (vec![run.id], "eve"));
    assert_eq!(ordered.try_recv(), Ok(Stop::Halted("customers complain (by eve)".into())));
    let mut asked = fixture.asked.lock().unwrap().clone();
    asked.retain(|line| line.contains("halt"));
    asked.sort();
    assert_eq!(asked, ["db-1", "db-2", "web-1"].map(|host| format!("{host}: halt: customers complain (by eve)")));
    let error = controller.submit(&ann, submission()).await.unwrap_err();
    assert_eq!((status(&error), error.class().1), (409, "halted"), "{error}");
    let state = controller.halt_state(&eve).await.unwrap().halted.unwrap();
    assert_eq!(state.reason, "customers complain");
    assert_eq!(status(&controller.release(&ann).await.unwrap_err()), 403);
    assert_eq!(controller.last_release().await.unwrap(), None, "what was refused releases nothing");
    let released = controller.release(&bea).await.unwrap();
    assert_eq!(released.released.unwrap().by, "eve");
    assert_eq!(controller.last_release().await.unwrap().unwrap().deed.actor, "token/bea");
    assert_eq!(controller.submit(&ann, submission()).await.unwrap().state, RunStanding::Queued);
    assert_eq!(controller.halt_state(&eve).await.unwrap().halted, None);
}

#[tokio::test]
async fn whatever_is_asked_of_a_halted_fleet_is_refused_because_it_is_halted() {
    let fixture = two_databases().await;
    let (controller, ann) = (&fixture.controller, somebody("ann", Role::Operator));
    controller.halt(&somebody("eve", Role::Viewer), "customers complain").await.unwrap();
    // As the agents say it then.
    let halt = Halt {
        reason: "controller: customers complain (by eve)".into(),
        user: Some(0),
        time: String::new(),
        scope: HaltScope::Folder,
        elsewhere: Vec::new(),
    };
    for host in ["db-1", "db-2"] {
        let must_stop = Some(MustStop::Halted(halt.clone()));
        fixture.says(host, &NodeStatus { must_stop, ..NodeStatus::default() });
    }
    let origin = Origin::Schedule { name: "nightly".into(), slot: Timestamp::UNIX_EPOCH };
    for refused in [
        controller.submit(&ann, submission()).await.map(drop),
        controller.new_run(&Scope::everything(), "schedule/nightly", submission(), origin).await.map(drop),
        controller.plan(&ann, DOCUMENT, None).await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!((status(&refused), refused.class().1), (409, "halted"), "{refused}");
        let text = refused.to_string();
        assert!(
            text.starts_with("the fleet is halted since ") && text.ends_with(" by eve: customers complain"),
            "{text}"
        );
        assert!(refused.hint().contains("`faultline halt --release`"), "{}", refused.hint());
    }
}

#[tokio::test]
async fn a_revoked_agent_is_cut_off_and_stays_out() {
    let fixture = two_databases().await;
    let (controller, root) = (&fixture.controller, somebody("root", Role::Admin));
    let before = controller.agent(&root, "db-1").await.unwrap();
    assert!(before.agent.connected && before.agent.health == "healthy", "{before:?}");
    let revoked = controller.revoke_agent(&root, "db-1", "stolen").await.unwrap();
    assert!(revoked.cut_off);
    let after = controller.agent(&root, "db-1").await.unwrap();
    assert!(!after.agent.connected);
    assert_eq!(after.certificates[0].revoked_because.as_deref(), Some("stolen"));
    assert!(controller.revocations.contains(before.agent.certificate.parse().unwrap()));
    let run = controller.submit(&somebody("ann", Role::Operator), submission()).await.unwrap();
    assert_eq!(controller.run(&root, &run.id).await.unwrap().hosts, ["db-2"]);
    assert_eq!(status(&controller.revoke_agent(&root, "db-9", "x").await.unwrap_err()), 404);
}

#[tokio::test]
async fn tokens_are_shown_once_bounded_and_taken_back() {
    let fixture = Fixture::new().await;
    let (controller, root) = (&fixture.controller, somebody("root", Role::Admin));
    let made = controller.create_api_token(&root, "ci", "operator", "team=payments", None).await.unwrap();
    let bearer = controller.authenticate(&made.token).await.unwrap();
    assert_eq!(
        (bearer.name.as_str(), bearer.role, bearer.scope.to_string().as_str()),
        ("ci", Role::Operator, "team=payments")
    );
    let listed = serde_json::to_string(&controller.api_tokens(&root, None, 500).await.unwrap()).unwrap();
    let secret = made.token.rsplit('.').next().unwrap();
    assert!(!listed.contains(secret) && listed.contains(&made.id), "{listed}");
    let swapped = made.token.replace(&made.id, "0123456789abcdef");
    for wrong in ["", "fla1", &made.id, &swapped, "fla1.0123456789abcdef.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(status(&controller.authenticate(wrong).await.unwrap_err()), 401, "{wrong}");
    }
    for (name, role, scope) in
        [("", "viewer", "*"), ("a b", "viewer", "*"), ("x", "king", "*"), ("x", "viewer", "team")]
    {
        let error = controller.create_api_token(&root, name, role, scope, None).await.unwrap_err();
        assert_eq!(status(&error), 400, "{error}");
    }
    controller.revoke_api_token(&root, &made.id).await.unwrap();
    assert_eq!(status(&controller.authenticate(&made.token).await.unwrap_err()), 401);
    assert!(!fixture.audited().await.concat().contains(secret));

    let token = controller.create_enrolment_token(&root, labels(&[("role", "db")]), LEASE, 2).await.unwrap();
    assert!(token.token.starts_with("flt1."), "{}", token.id);
    let listed = controller.enrolment_tokens(&root, None, 500).await.unwrap().tokens;
    assert_eq!((listed[0].uses_left, &listed[0].labels), (2, &labels(&[("role", "db")])));
    controller.revoke_enrolment_token(&root, &token.id).await.unwrap();
    assert!(controller.enrolment_tokens(&root, None, 500).await.unwrap().tokens[0].revoked_at.is_some());
    let forged = controller.create_enrolment_token(&root, labels(&[("faultline.dev/kernel", "9")]), LEASE, 1).await;
    assert_eq!(status(&forged.unwrap_err()), 400);
}

#[tokio::test]
async fn a_journal_is_followed_to_its_end_and_gives_every_report() {
    use crate::report::Format;
    use crate::report::fixture::{Ending, journal, lines};
    let fixture = two_databases().await;
    let (controller, ann) = (&fixture.controller, somebody("ann", Role::Operator));
    let run = controller.submit(&ann, submission()).await.unwrap();
    let early = controller.report(&ann, &run.id, Format::Json).await.unwrap_err();
    assert_eq!((status(&early), early.class().1), (409, "not-begun"), "{early}");
    let none = controller.journal(&ann, &run.id, 0, Duration::ZERO).await.unwrap();
    assert!(none.entries.is_empty() && !none.over);
    let now = controller.now().await.unwrap();
    let claimed = controller.store.claim_next("controller-a", LEASE, now).await.unwrap().unwrap();
    let folder = controller.runs_folder().join(&run.id);
    std::fs::create_dir_all(&folder).unwrap();
    let entries = journal(Ending::Held);
    std::fs::write(folder.join("journal.jsonl"), lines(&entries)).unwrap();
    controller.store.record_state(&run.id, claimed.epoch, RunState::Running).await.unwrap();
    controller.store.finish(&run.id, claimed.epoch, "held", "it held", now).await.unwrap();
    let (mut read, mut from) = (Vec::new(), 0);
    loop {
        let page = controller.journal(&ann, &run.id, from, Duration::ZERO).await.unwrap();
        (from, _) = (page.next, read.extend(page.entries));
        if page.over {
            break;
        }
    }
    assert_eq!(read, entries);
    for (format, begins) in
        [(Format::Json, "{"), (Format::Html, "<!DOCTYPE html>"), (Format::Junit, "<?xml"), (Format::Markdown, "##")]
    {
        let report = controller.report(&ann, &run.id, format).await.unwrap();
        assert!(report.starts_with(begins), "{format:?}");
    }
    let other = Fixture::new().await;
    assert_eq!(status(&other.controller.report(&ann, &run.id, Format::Json).await.unwrap_err()), 404);
}

#[tokio::test]
async fn a_controller_is_ready_while_its_store_answers_somebody_leads_and_it_does_not_stop() {
    let fixture = Fixture::new().await;
    let controller = &fixture.controller;
    assert!(!controller.readiness().await.ready, "nobody leads");
    let now = controller.now().await.unwrap();
    controller.store.try_lead("controller-a", LEASE, now).await.unwrap();
    assert!(controller.readiness().await.ready);
    controller.stopping().cancel();
    assert!(!controller.readiness().await.ready);
    controller.store.close().await;
    assert!(!controller.readiness().await.store);
}

#[tokio::test]
async fn a_schedule_is_kept_changed_suspended_and_removed() {
    let fixture = Fixture::new().await;
    let (controller, ann) = (&fixture.controller, somebody("ann", Role::Operator));
    let first = controller.put_schedule(&ann, SCHEDULE, Some(0)).await.unwrap();
    let next = first.next_fire.unwrap();
    assert_eq!(
        (first.name.as_str(), first.version, next.strftime("%H:%M").to_string()),
        ("nightly", 1, "03:00".into())
    );
    assert_eq!(status(&controller.put_schedule(&ann, SCHEDULE, Some(0)).await.unwrap_err()), 409);
    let later = SCHEDULE.replace("0 3 * * *", "30 4 * * *");
    let changed = controller.put_schedule(&ann, &later, None).await.unwrap();
    assert_eq!((changed.version, changed.created_by.as_str()), (2, "ann"));
    let details = controller.schedule(&ann, "nightly").await.unwrap();
    assert_eq!((details.document, details.coming.len(), details.past.len()), (later, 10, 0));
    let from = "2026-12-01T00:00:00Z".parse().unwrap();
    let fires = controller.fires(&ann, "nightly", Some(from), None, 3).await.unwrap().fires;
    assert_eq!(
        fires.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["2026-12-01T04:30:00Z", "2026-12-02T04:30:00Z", "2026-12-03T04:30:00Z"]
    );
    assert_eq!(status(&controller.fires(&ann, "nightly", Some(from), Some(from), 3).await.unwrap_err()), 400);
    let suspended = controller.suspend_schedule(&ann, "nightly", true).await.unwrap();
    assert!(suspended.suspended && suspended.next_fire.is_none());
    assert!(controller.suspend_schedule(&ann, "nightly", false).await.unwrap().next_fire.is_some());
    let stranger = Principal { name: "x".into(), role: Role::Operator, scope: "team=search".parse().unwrap() };
    assert_eq!(status(&controller.delete_schedule(&stranger, "nightly").await.unwrap_err()), 403);
    let paying = Principal { name: "y".into(), role: Role::Operator, scope: "team=payments".parse().unwrap() };
    let wide = controller.put_schedule(&paying, SCHEDULE, None).await.unwrap_err();
    assert!(status(&wide) == 403 && wide.to_string().contains("target `db`"), "{wide}");
    let narrow = SCHEDULE.replace("role: db", "role: db, team: payments");
    assert_eq!(controller.put_schedule(&paying, &narrow, None).await.unwrap().changed_by, "y");
    let stolen = SCHEDULE.replace("team: payments", "team: search");
    assert_eq!(status(&controller.put_schedule(&stranger, &stolen, None).await.unwrap_err()), 403);
    assert!(controller.schedules(&stranger).await.unwrap().schedules.is_empty());
    controller.delete_schedule(&ann, "nightly").await.unwrap();
    assert_eq!(status(&controller.schedule(&ann, "nightly").await.unwrap_err()), 404);
    let named = SCHEDULE.split("  experiment:").next().unwrap().to_owned()
        + "  experiment: checkout-survives-a-slow-database\n";
    assert_eq!(status(&controller.put_schedule(&ann, &named, None).await.unwrap_err()), 422);
    let both = format!("{named}---{DOCUMENT}");
    assert_eq!(controller.put_schedule(&ann, &both, None).await.unwrap().version, 1);
    for (wrong, told) in [(DOCUMENT, "exactly one schedule"), (SCHEDULE, "nightly"), ("kind: Schedule", "apiVersion")] {
        let text = if wrong == SCHEDULE { SCHEDULE.replace("0 3 * * *", "0 25 * * *") } else { wrong.to_owned() };
        let error = controller.put_schedule(&ann, &text, None).await.unwrap_err();
        assert!(status(&error) == 422 && (error.to_string().contains(told) || wrong == SCHEDULE), "{error}");
    }
}

#[tokio::test]
async fn a_schedule_keeps_so_many_runs_and_forgets_the_others_with_their_folders() {
    let fixture = two_databases().await;
    let (controller, store) = (&fixture.controller, &fixture.controller.store);
    let text = SCHEDULE.replace("  cron:", "  history: { keep: 2 }\n  cron:");
    controller.put_schedule(&somebody("ann", Role::Operator), &text, None).await.unwrap();
    let begin = store.now().await.unwrap();
    let mut runs = Vec::new();
    // A simulated clock: a run each night, of which the second left something and the last is under way.
    for night in 0..6_u64 {
        let now = begin + Duration::from_secs(night * 24 * 3600);
        let origin = Origin::Schedule { name: "nightly".into(), slot: now };
        let run = controller.new_run(&Scope::everything(), "schedule/nightly", submission(), origin).await.unwrap();
        store.submit(&run, now).await.unwrap();
        let claimed = store.claim_next(controller.id(), LEASE, now).await.unwrap().unwrap();
        std::fs::create_dir_all(controller.runs_folder().join(&run.id)).unwrap();
        std::fs::write(controller.runs_folder().join(&run.id).join("journal.jsonl"), "{}\n").unwrap();
        if night < 5 {
            let verdict = if night == 1 { "cleanup-unverified" } else { "held" };
            store.finish(&run.id, claimed.epoch, verdict, "", now).await.unwrap();
        }
        runs.push(run.id);
    }
    let mut forgotten = controller.forget_old_runs().await.unwrap();
    forgotten.sort();
    let mut expected = vec![runs[0].clone(), runs[2].clone()];
    expected.sort();
    assert_eq!(forgotten, expected, "the newest two that are over stay, and what is open or not clean");
    for (night, run) in runs.iter().enumerate() {
        let stays = ![0, 2].contains(&night);
        assert_eq!(store.run(run).await.is_ok(), stays, "night {night}");
        assert_eq!(controller.runs_folder().join(run).exists(), stays, "night {night}");
    }
    assert_eq!(controller.forget_old_runs().await.unwrap(), [""; 0]);
    controller.delete_schedule(&somebody("ann", Role::Operator), "nightly").await.unwrap();
    assert_eq!(controller.forget_old_runs().await.unwrap(), [""; 0], "the runs of a removed schedule stay");
}

#[tokio::test]
async fn signals_of_a_run_do_not_reach_the_metadata_of_a_cloud() {
    let fixture = two_databases().await;
    let ann = somebody("ann", Role::Operator);
    for url in
        ["http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/", "http://[fd00:ec2::254]:80/"]
    {
        let document = DOCUMENT.replace("http://127.0.0.1:9/", url);
        let refused = fixture.controller.submit(&ann, Submission { document, ..submission() }).await.unwrap_err();
        assert!(refused.to_string().contains("signal `shop`"), "{refused}");
        assert_eq!(status(&refused), 422, "{refused}");
    }
    assert!(fixture.controller.submit(&ann, submission()).await.is_ok());
}
